/* SPDX-License-Identifier: Apache-2.0 */
/* payhook serve: sets the parts up, watches signals and the keys file, and takes them down in the order that loses
 * nothing: accept no more, answer what is in flight, stop the keeper, close the store.
 *
 * Threads: this one (signals, configuration), the I/O threads, the keeper's. This thread alone loads configurations; it
 * hands each new one to every I/O thread. */
#include "app/admin.h"
#include "app/keeper.h"
#include "app/listener.h"
#include "app/log.h"
#include "app/notify.h"
#include "app/options.h"
#include "app/sandbox.h"
#include "base/os.h"
#include "codec/digest.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { CLOCK_REPORTS_MAX = 1024, KEYS_LOOK_US = 500000, STOP_GRACE_US = 1000000 };

struct server {
    struct config_overrides overrides;
    struct config *config;
    struct tls *tls; /* what config names, or NULL */
    struct admin *admin;
    struct store *stores[KEEPERS_MAX]; /* one, or handles for as many keepers as the kind allows */
    uint32_t store_count;
    struct keeper keeper;
    struct io_shared shared;
    struct io_thread *threads[IO_THREADS_MAX];
    uint32_t thread_count;
    struct event_base *base;
    struct stat keys_seen;
    struct mailbox clock_reports;
    struct clock_watch clock;
    struct notify notify;
    sigset_t signals_before; /* the mask this thread was started with */
    int lock_fd, failed_fd, clock_fd;
    uint32_t ended_count; /* of the I/O threads */
    bool stopping, failed;
};

/* ---- configuration ---- */

static void warn(void *context, struct str sentence) {
    (void)context;
    log_sentence(LOG_WARNING, sentence);
}

static char *path_in(const char *folder, const char *name) {
    char *path = NULL;
    check(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

static struct stat keys_stat(const char *data) {
    struct stat info = {0};
    char path[PATH_MAX]; /* of its own, since the server looks again and again, also when memory is short */
    if ((size_t)snprintf(path, sizeof path, "%s/keys", data) < sizeof path) (void)stat(path, &info); /* absent: 0 */
    return info;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool fixed_part_differs(const struct config *a, const struct config *b) {
    return strcmp(a->listen, b->listen) != 0 || strcmp(a->admin, b->admin) != 0 || strcmp(a->data, b->data) != 0 ||
           strcmp(a->store, b->store) != 0 || a->limits.io_threads != b->limits.io_threads ||
           a->limits.mailbox_events_max != b->limits.mailbox_events_max ||
           a->limits.body_budget_size != b->limits.body_budget_size ||
           a->limits.connections_max != b->limits.connections_max;
}

/* The certificate of a configuration; NULL where it names none. */
static struct err load_tls(const struct config *config, struct writer *message, struct tls **ret_tls) {
    *ret_tls = NULL;
    if (config->tls_certificate == NULL) return err_ok();
    return tls_load(config->tls_certificate, config->tls_key, message, ret_tls);
}

/* Hands the new configuration and certificate to everybody; they are the server's from here on. */
static void use(struct server *server, struct config *fresh, struct tls *tls, const char *why) {
    for (uint32_t i = 0; i < server->thread_count; i++)
        io_thread_use(server->threads[i], fresh, tls);
    config_release(server->config);
    tls_release(server->tls);
    server->config = fresh;
    server->tls = tls;
    log_format(LOG_INFO, "%s: %u sources, %u keys", why, (unsigned)fresh->source_count, (unsigned)fresh->keys.count);
}

static void reload(struct server *server) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct config *fresh;
    server->keys_seen = keys_stat(server->config->data);
    struct tls *tls = NULL;
    struct err failure = config_load(&server->overrides, warn, NULL, &message, &fresh);
    if (!err_is(failure)) {
        failure = load_tls(fresh, &message, &tls);
        if (err_is(failure)) config_release(fresh);
    }
    if (err_is(failure)) {
        log_format(LOG_ERROR, "SIGHUP: the configuration in use is kept: %s", writer_cstr(&message));
        return;
    }
    if (fixed_part_differs(server->config, fresh))
        log_format(LOG_WARNING, "listen, admin, data, store, io_threads, mailbox_events_max, body_budget_size and "
                                "connections_max take effect at the next start");
    use(server, fresh, tls, "SIGHUP");
}

static void reload_keys(struct server *server) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct config *fresh;
    server->keys_seen = keys_stat(server->config->data);
    struct err failure = config_reload_keys(server->config, &message, &fresh);
    if (err_is(failure))
        log_format(LOG_ERROR, "the keys in use are kept: %s", writer_cstr(&message));
    else
        use(server, fresh, tls_hold(server->tls), "the keys changed");
}

/* ---- what this thread is told ---- */

static void stop(struct server *server) {
    if (server->stopping) return;
    server->stopping = true;
    check(event_base_loopbreak(server->base) == 0);
}

static void on_stop_signal(evutil_socket_t number, short what, void *context) {
    struct server *server = context;
    (void)what;
    if (!server->stopping)
        log_format(LOG_INFO, "%s: stopping; what is in flight is finished", number == SIGTERM ? "SIGTERM" : "SIGINT");
    stop(server);
}

static void on_reload_signal(evutil_socket_t number, short what, void *context) {
    struct server *server = context;
    (void)number, (void)what;
    if (server->stopping) return;
    notify_reloading(&server->notify);
    reload(server);
    notify_ready(&server->notify);
}

static void on_keys_timer(evutil_socket_t fd, short what, void *context) {
    struct server *server = context;
    (void)fd, (void)what;
    if (server->stopping) return;
    struct stat now = keys_stat(server->config->data);
    if (!same_file(&now, &server->keys_seen)) reload_keys(server);
}

static void on_store_failed(evutil_socket_t fd, short what, void *context) {
    struct server *server = context;
    (void)fd, (void)what;
    server->failed = true;
    stop(server);
}

static void on_clock_report(evutil_socket_t fd, short what, void *context) {
    struct server *server = context;
    (void)what;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0) check(errno == EAGAIN || errno == EINTR);
    struct letter *letter = mailbox_take(&server->clock_reports, UINT64_MAX);
    for (struct letter *next; letter != NULL; letter = next) {
        next = letter->next;
        struct clock_report *report = (struct clock_report *)(void *)letter;
        int64_t skew_s;
        if (clock_watch_take(&server->clock, report, os_mono_us(), &skew_s))
            log_format(LOG_WARNING, "source %s: the clock is probably wrong by %lld s", report->source,
                       (long long)skew_s);
        free(report);
    }
}

/* ---- what the operator asks ---- */

static bool disk_is_full(const char *folder) {
    struct statvfs info;
    return statvfs(folder, &info) == 0 && (uint64_t)info.f_bavail * info.f_frsize < READY_ROOM_SIZE_MIN;
}

static bool is_ready(void *context, struct writer *why) {
    const struct server *server = context;
    if (server->stopping) {
        writer_put(why, STR("stopping"));
        return false;
    }
    enum err_kind trouble = keeper_trouble(&server->keeper, os_mono_us());
    if (trouble == ERR_OK && disk_is_full(server->config->data)) trouble = ERR_FULL;
    if (trouble == ERR_OK) return true;
    writer_put(why, STR("nothing can be stored: "));
    writer_put(why, str_from(err_kind_text(trouble)));
    return false;
}

static struct str current_metrics(void *context) {
    struct server *server = context;
    const struct metrics *parts[IO_THREADS_MAX + KEEPERS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < server->thread_count; i++)
        parts[count++] = io_thread_metrics(server->threads[i]);
    for (uint32_t i = 0; i < server->keeper.thread_count; i++)
        parts[count++] = server->keeper.threads[i].metrics;
    return metrics_text(&(struct metrics_view){
        .parts = parts,
        .part_count = count,
        .config = server->config,
        .clock = &server->clock,
        .mailbox_depth = mailbox_weight(&server->keeper.mailbox),
    });
}

/* ---- setting up ---- */

/* No core dumps: they would hold secrets and payloads. As many descriptors as may be, since each connection is one. */
static void harden(uint32_t connections_max) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        log_format(LOG_WARNING, "core dumps could not be turned off");
    struct rlimit files;
    check(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* a peer that has gone is an error of its write, for OpenSSL too */
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* what is allowed is enough, or the next line says that it is not */
    if (files.rlim_cur < (rlim_t)connections_max + 64)
        log_format(LOG_WARNING, "only %llu descriptors are allowed, fewer than %u connections need",
                   (unsigned long long)files.rlim_cur, (unsigned)connections_max);
}

/* A fresh folder gets one key pair, and a curl configuration that signs with it. */
static int first_key(const char *data, const struct config *config, bool *ret_made) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct keys keys;
    *ret_made = false;
    struct err found = keys_load(data, &message, &keys);
    if (!err_is(found)) {
        keys_done(&keys);
        return EXIT_DONE;
    }
    if (found.kind != ERR_ABSENT) return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    struct key_pair pair;
    message.len = 0;
    if (err_is(keys_add(data, STR("first"), os_wall_us() / 1000000, &message, &pair)))
        return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    char curl[512];
    struct writer w = writer_make(curl, sizeof curl);
    writer_format(
        &w, "# curl -K this-file: signs with the key pair \"first\"\nuser = \"%s:%s\"\naws-sigv4 = \"aws:amz:%s:%s\"\n",
        pair.access_key_id, pair.secret, config->iam_region, config->iam_service);
    os_wipe(&pair, sizeof pair);
    char *path = path_in(data, "first-key.curl");
    check(!w.overflow); /* every part is bounded */
    struct err written = os_file_replace(path, 0600, writer_str(&w));
    os_wipe(curl, sizeof curl);
    int code = EXIT_DONE;
    if (err_is(written)) code = complain(EXIT_FAILED, "%s could not be written: %s", path, err_kind_text(written.kind));
    free(path);
    *ret_made = true;
    return code;
}

/* The curl configuration holds a secret. Where somebody opened it to others, it is closed again, and said so. */
static void close_first_key(const char *data) {
    char *path = path_in(data, "first-key.curl");
    struct stat info;
    if (stat(path, &info) == 0 && (info.st_mode & 077) != 0) {
        bool closed = chmod(path, 0600) == 0;
        log_format(LOG_WARNING,
                   "%s could be read by others%s; if somebody was here, remove its key: payhook key remove first", path,
                   closed ? " and is private again" : "");
    }
    free(path);
}

/* For a shell: bare where every byte is harmless, else in single quotes. */
static void put_quoted(struct writer *w, const char *word) {
    bool bare = word[0] != '\0' &&
                word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,")] == '\0';
    if (!bare) writer_char(w, '\'');
    for (const char *at = word; *at != '\0'; at++) {
        if (*at == '\'')
            writer_put(w, STR("'\\''"));
        else
            writer_char(w, *at);
    }
    if (!bare) writer_char(w, '\'');
}

static void print_welcome(const struct options *options, const struct config *config, const char *host, uint16_t port,
                          uint16_t admin_port) {
    char text[8192], url[128];
    struct writer w = writer_make(text, sizeof text - 1);
    (void)snprintf(url, sizeof url, strchr(host, ':') != NULL ? "%s://[%s]:%u/" : "%s://%s:%u/",
                   config->tls_certificate != NULL ? "https" : "http", host, (unsigned)port);
    char *curl = path_in(config->data, "first-key.curl");
    writer_format(&w, "payhook %s serves %s\n  data     ", PAYHOOK_VERSION, url);
    writer_put(&w, str_from(config->data));
    if (config->admin[0] != '\0') {
        const char *colon = strrchr(config->admin, ':');
        writer_format(&w, "\n  admin    http://%.*s:%u/metrics", (int)(colon - config->admin), config->admin,
                      (unsigned)admin_port);
    }
    writer_format(&w, "\n  sources  %u configured, each at /hooks/NAME\n", (unsigned)config->source_count);
    if (access(curl, R_OK) == 0 &&
        config->tls_certificate == NULL) { /* https needs a name, which only a sender knows */
        writer_put(&w, STR("\nsend a first webhook:\n  curl -K "));
        put_quoted(&w, curl);
        writer_format(
            &w, " -H 'content-type: application/json' -d '{\"transactionId\":\"test-123\",\"amount\":100}' %s\n", url);
        writer_put(&w, STR("\nand look at it:\n  "));
        put_quoted(&w, options->program);
        writer_put(&w, STR(" show test-123 --data "));
        put_quoted(&w, config->data);
        writer_char(&w, '\n');
    }
    free(curl);
    printf("%s\n", writer_cstr(&w));
    (void)fflush(stdout); /* a welcome that nobody reads is no reason to stop */
}

static int set_up_store(struct server *server) {
    const char *data = server->config->data;
    struct err made = os_private_dir(data);
    if (err_is(made))
        return complain(EXIT_FAILED, "cannot %s: %s (%s)", made.where, data,
                        made.sys != 0 ? strerror(made.sys) : err_kind_text(made.kind));
    char *lock = path_in(data, "lock");
    struct err locked = os_lock(lock, &server->lock_fd);
    free(lock);
    if (locked.kind == ERR_BUSY)
        return complain(EXIT_FAILED, "another payhook serves %s: stop it first, or use another --data", data);
    if (err_is(locked)) return complain(EXIT_FAILED, "cannot lock %s: %s", data, strerror(locked.sys));
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    unsigned writers = store_writers_max(server->config->store);
    check(writers <= KEEPERS_MAX);
    while (server->store_count < writers) {
        struct err opened =
            store_open(server->config->store, data, STORE_WRITE, &message, &server->stores[server->store_count]);
        if (err_is(opened)) return complain(EXIT_FAILED, "%s", writer_cstr(&message));
        server->store_count++;
    }
    return EXIT_DONE;
}

/* Signals are this thread's: the others are started with all of them blocked. Here they are let in when run watches
 * them, so that a stop as soon as somebody is served is not an end without draining. */
static struct err start_threads(struct server *server) {
    sigset_t all;
    check(sigfillset(&all) == 0);
    check(pthread_sigmask(SIG_BLOCK, &all, &server->signals_before) == 0);
    uint32_t count = server->config->limits.io_threads;
    check(count >= 1);
    check(count <= IO_THREADS_MAX);
    uint32_t share = server->config->limits.connections_max / count;
    struct err result = keeper_start(&server->keeper, server->stores, server->store_count,
                                     server->config->limits.mailbox_events_max, server->failed_fd);
    server->shared.keeper = err_is(result) ? NULL : &server->keeper.mailbox;
    while (!err_is(result) && server->thread_count < count) {
        result = io_thread_start(&server->shared, server->config, server->tls, share > 0 ? share : 1,
                                 &server->threads[server->thread_count]);
        if (!err_is(result)) server->thread_count++;
    }
    return result;
}

/* ---- running ---- */

/* A stop that hangs (a disk that never answers) must still end; nothing that was acknowledged is lost by it. */
static void *end_anyway(void *context) {
    const struct server *server = context;
    (void)usleep(DRAIN_MS_MAX * 1000 + STOP_GRACE_US / 2);
    log_format(LOG_ERROR, "the store did not answer in time; what was not acknowledged is left to the sender's retry");
    _exit(server->failed ? EXIT_FAILED : EXIT_DONE);
}

static void on_threads_ended(evutil_socket_t fd, short what, void *context) {
    struct server *server = context;
    (void)what;
    uint64_t count;
    if (read(fd, &count, sizeof count) == sizeof count) server->ended_count += (uint32_t)count;
}

/* The loop goes on while requests are finished: /readyz tells that no more should come. */
static void wait_for_threads(struct server *server) {
    struct event *ended =
        event_new(server->base, server->shared.ended_fd, EV_READ | EV_PERSIST, on_threads_ended, server);
    if (ended == NULL) return; /* then the joins do the waiting */
    if (event_add(ended, NULL) == 0)
        while (server->ended_count < server->thread_count)
            check(event_base_loop(server->base, EVLOOP_ONCE) >= 0);
    event_free(ended);
}

static void shut_down(struct server *server) {
    sigset_t all;
    notify_stopping(&server->notify);
    check(sigfillset(&all) == 0);
    check(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0); /* who asks again is not sooner done */
    pthread_t watchdog;
    if (pthread_create(&watchdog, NULL, end_anyway, server) == 0) check(pthread_detach(watchdog) == 0);
    for (uint32_t i = 0; i < server->thread_count; i++)
        io_thread_drain(server->threads[i]);
    wait_for_threads(server);
    for (uint32_t i = 0; i < server->thread_count; i++)
        io_thread_join(server->threads[i]);
    if (server->shared.keeper != NULL) keeper_stop(&server->keeper);
}

static int run(struct server *server) {
    struct {
        evutil_socket_t what;
        short flags;
        event_callback_fn callback;
    } const watched[] = {
        {SIGTERM, EV_SIGNAL | EV_PERSIST, on_stop_signal},
        {SIGINT, EV_SIGNAL | EV_PERSIST, on_stop_signal},
        {SIGHUP, EV_SIGNAL | EV_PERSIST, on_reload_signal},
        {server->failed_fd, EV_READ, on_store_failed},
        {-1, EV_PERSIST, on_keys_timer},
        {server->clock_fd, EV_READ | EV_PERSIST, on_clock_report},
    };
    enum { WATCHED = sizeof watched / sizeof watched[0] };
    struct event *events[WATCHED] = {0};
    const struct timeval look = {.tv_sec = 0, .tv_usec = KEYS_LOOK_US};
    bool ready = true;
    for (size_t i = 0; i < WATCHED && ready; i++) {
        events[i] = event_new(server->base, watched[i].what, watched[i].flags, watched[i].callback, server);
        ready = events[i] != NULL && event_add(events[i], watched[i].what == -1 ? &look : NULL) == 0;
    }
    check(pthread_sigmask(SIG_SETMASK, &server->signals_before, NULL) == 0);
    if (ready) (void)event_base_dispatch(server->base);
    shut_down(server);
    for (size_t i = 0; i < WATCHED; i++)
        if (events[i] != NULL) event_free(events[i]);
    if (!ready) return complain(EXIT_FAILED, "signals cannot be watched");
    return server->failed ? EXIT_FAILED : EXIT_DONE;
}

/* False: a sentence went to stderr. */
static bool open_admin(struct server *server, uint16_t *ret_port) {
    const char *address = server->config->admin;
    if (address[0] == '\0') return true;
    char host[128];
    uint16_t port;
    check(config_split_address(str_from(address), host, sizeof host, &port)); /* config_load has looked */
    const struct admin_asks asks = {is_ready, current_metrics, server};
    struct err opened = admin_open(server->base, host, port, &asks, &server->admin, ret_port);
    if (opened.kind == ERR_BUSY)
        (void)complain(EXIT_FAILED, "%s is in use by another program: choose another --admin, or none", address);
    else if (err_is(opened))
        (void)complain(EXIT_FAILED, "cannot serve health and metrics on %s: %s", address,
                       opened.sys != 0 ? strerror(opened.sys) : opened.where);
    return !err_is(opened);
}

static int listen_and_run(struct server *server, const struct options *options) {
    char host[128];
    uint16_t port;
    check(
        config_split_address(str_from(server->config->listen), host, sizeof host, &port)); /* config_load has looked */
    struct err opened = listener_open(host, port, &server->shared.listen_fd, &port);
    if (opened.kind == ERR_BUSY)
        return complain(EXIT_FAILED, "%s is in use by another program: choose another --listen",
                        server->config->listen);
    if (err_is(opened))
        return complain(EXIT_FAILED, "cannot listen on %s: %s", server->config->listen,
                        opened.sys != 0 ? strerror(opened.sys) : opened.where);
    server->shared.budget.size = server->config->limits.body_budget_size;
    os_random(&server->shared.next_request_id, sizeof server->shared.next_request_id);
    server->failed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->clock_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->shared.ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    mailbox_init(&server->clock_reports, CLOCK_REPORTS_MAX, server->clock_fd);
    server->shared.clock_reports = &server->clock_reports;
    server->shared.clock = &server->clock;
    server->base = event_base_new();
    int code = EXIT_FAILED;
    uint16_t admin_port = 0;
    if (server->failed_fd < 0 || server->clock_fd < 0 || server->shared.ended_fd < 0 || server->base == NULL) {
        (void)complain(EXIT_FAILED, "the event loop cannot be set up");
    } else if (open_admin(server, &admin_port)) {
        sandbox_enter(server->config);
        struct err started = start_threads(server);
        if (err_is(started)) {
            (void)complain(EXIT_FAILED, "cannot %s: %s", started.where, strerror(started.sys));
            shut_down(server);
        } else {
            print_welcome(options, server->config, host, port, admin_port);
            log_format(LOG_INFO, "serving %s with %u I/O threads, %u sources, %u keys", server->config->listen,
                       (unsigned)server->thread_count, (unsigned)server->config->source_count,
                       (unsigned)server->config->keys.count);
            notify_ready(&server->notify);
            code = run(server);
        }
    }
    admin_close(server->admin);
    if (server->base != NULL) event_base_free(server->base);
    if (server->shared.ended_fd >= 0) (void)close(server->shared.ended_fd);
    if (server->failed_fd >= 0) (void)close(server->failed_fd);
    if (server->clock_fd >= 0) (void)close(server->clock_fd);
    for (struct letter *letter = mailbox_take(&server->clock_reports, UINT64_MAX), *next; letter != NULL;
         letter = next) {
        next = letter->next;
        free(letter);
    }
    mailbox_done(&server->clock_reports);
    clock_watch_done(&server->clock);
    (void)close(server->shared.listen_fd);
    return code;
}

int command_serve(const struct options *options) {
    struct server server = {.overrides = option_overrides(options),
                            .lock_fd = -1,
                            .failed_fd = -1,
                            .clock_fd = -1,
                            .shared = {.ended_fd = -1}};
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    uint8_t digest[32];
    digest_sha256(STR(""),
                  digest); /* OpenSSL's first use, which does not survive a lack of memory, is before serving */
    struct err loaded = config_load(&server.overrides, warn, NULL, &message, &server.config);
    if (!err_is(loaded)) loaded = load_tls(server.config, &message, &server.tls);
    if (err_is(loaded)) {
        config_release(server.config);
        return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    }
    harden(server.config->limits.connections_max);
    notify_open(&server.notify);
    int code = set_up_store(&server);
    bool made = false;
    if (code == EXIT_DONE) code = first_key(server.config->data, server.config, &made);
    if (code == EXIT_DONE && made) reload_keys(&server);
    if (code == EXIT_DONE) close_first_key(server.config->data);
    server.keys_seen = keys_stat(server.config->data);
    if (code == EXIT_DONE) code = listen_and_run(&server, options);
    while (server.store_count > 0)
        store_close(server.stores[--server.store_count]);
    if (server.lock_fd >= 0) (void)close(server.lock_fd); /* lets go of the lock */
    notify_close(&server.notify);
    tls_release(server.tls);
    config_release(server.config);
    return code;
}
