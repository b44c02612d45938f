/* SPDX-License-Identifier: Apache-2.0 */
/* What can and cannot be done within the sandbox, each in a process of its own that enters it. A kernel that offers no
 * landlock or seccomp skips what would be about it. */
#include "app/sandbox.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/payhook-sandbox-XXXXXX";

/* The errno of an attempt, 0 where it succeeds. */
typedef int trial(void);

static int result_of(long result) { return result < 0 ? errno : 0; }
static int try_open(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    (void)close(fd);
    return 0;
}

/* ---- files ---- */

static int read_shadow(void) { return try_open("/etc/shadow", O_RDONLY); }
static int read_passwd(void) { return try_open("/etc/passwd", O_RDONLY); }
static int read_elsewhere(void) { return try_open("elsewhere/file", O_RDONLY); }
static int write_elsewhere(void) { return try_open("elsewhere/new", O_WRONLY | O_CREAT); }
static int list_elsewhere(void) { return try_open("elsewhere", O_RDONLY | O_DIRECTORY); }
static int truncate_elsewhere(void) { return result_of(truncate("elsewhere/file", 0)); }
static int remove_elsewhere(void) { return result_of(unlink("elsewhere/file")); }
static int leave_data(void) { return result_of(rename("data/file", "elsewhere/moved")); }
static int climb_out(void) { return try_open("data/../elsewhere/file", O_RDONLY); }
static int follow_out(void) { return try_open("data/link", O_RDONLY); }
static int read_memory(void) { return try_open("/proc/self/mem", O_RDONLY); }
static int read_named(void) { return try_open("named/secret", O_RDONLY); }
static int read_beside_named(void) { return try_open("named/other", O_RDONLY); }
static int write_named(void) { return try_open("named/secret", O_WRONLY); }
static int make_beside_named(void) { return try_open("named/new", O_WRONLY | O_CREAT); }
static int read_random(void) { return try_open("/dev/urandom", O_RDONLY); }
static int make_folder(void) { return result_of(mkdir("data/folder", 0700)); }
static int make_link(void) { return result_of(symlink("/etc/shadow", "data/shadow")); }
static int make_fifo(void) { return result_of(mkfifo("data/fifo", 0600)); }

/* As whoever reloads a configuration meets it: the kind of failure. */
static int kind_elsewhere(void) {
    struct str content;
    return (int)os_file_read("elsewhere/file", 100, &content).kind;
}
static int kind_absent(void) {
    struct str content;
    return (int)os_file_read("elsewhere/absent", 100, &content).kind;
}

/* What the store does. */
static int work_in_data(void) {
    int fd = open("data/new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    bool good = write(fd, "0123456789", 10) == 10 && fsync(fd) == 0 && ftruncate(fd, 5) == 0 && close(fd) == 0;
    good = good && rename("data/new", "data/renamed") == 0 && truncate("data/renamed", 0) == 0;
    fd = open("data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    good = good && fd >= 0 && fsync(fd) == 0 && close(fd) == 0 && unlink("data/renamed") == 0;
    return good ? 0 : errno;
}

/* ---- system calls ---- */

static int run_program(void) {
    char *const words[] = {(char[]){"true"}, NULL};
    return result_of(execv("/bin/true", words));
}
static int run_by_fd(void) {
    char *const words[] = {(char[]){"true"}, NULL};
    int fd = open("/bin/true", O_PATH | O_CLOEXEC);
    return result_of(syscall(SYS_execveat, fd, "", words, environ, AT_EMPTY_PATH));
}
static int make_process(void) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    return result_of(child);
}
static int make_process_shared(void) {
    long child = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return result_of(child);
}
static int make_process_newly(void) { return result_of(syscall(SYS_clone3, NULL, 0)); }
static int trace_parent(void) { return result_of(ptrace(PTRACE_ATTACH, getppid(), 0, 0)); }
static int signal_parent(void) { return result_of(kill(getppid(), SIGUSR1)); }
static int signal_thread(void) { return result_of(syscall(SYS_tgkill, getppid(), getppid(), 0)); }
static int new_namespace(void) { return result_of(unshare(CLONE_NEWUSER)); }
static int change_root(void) { return result_of(chroot("data")); }
static int become_another(void) { return result_of(setuid(65534)); }
static int load_bpf(void) { return result_of(syscall(SYS_bpf, 0, NULL, 0)); }
static int set_up_uring(void) { return result_of(syscall(SYS_io_uring_setup, 1, NULL)); }
static int packet_socket(void) { return result_of(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }
static int vsock_socket(void) { return result_of(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static int tcp_socket(void) { return result_of(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static int bind_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? -1 : result_of(bind(fd, (const struct sockaddr *)&address, sizeof address));
}

static void *map(int protection) { return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
static int map_written_and_executed(void) { return map(PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED ? errno : 0; }
static int make_executable(void) {
    return result_of(mprotect(map(PROT_READ | PROT_WRITE), 4096, PROT_READ | PROT_EXEC));
}
static int map_memory(void) { return map(PROT_READ | PROT_WRITE) == MAP_FAILED ? errno : 0; }
static int map_library(void) { /* as dlopen does */
    return map(PROT_READ | PROT_EXEC) == MAP_FAILED ? errno : 0;
}

static void *nothing(void *context) { return context; }
static int start_thread(void) {
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, nothing, NULL);
    return failed != 0 ? failed : pthread_join(thread, NULL);
}
static void *read_elsewhere_too(void *context) {
    *(int *)context = read_elsewhere();
    return NULL;
}
static int read_in_a_thread(void) {
    pthread_t thread;
    int result = -1;
    if (pthread_create(&thread, NULL, read_elsewhere_too, &result) != 0) return -1;
    return pthread_join(thread, NULL) == 0 ? result : -1;
}

enum by { BY_NOBODY, BY_LANDLOCK, BY_SECCOMP };
static const struct row {
    const char *name;
    trial *attempt;
    int expected; /* errno; 0: it must work */
    enum by by;
    long version_min; /* of landlock */
} rows[] = {
#define ROW(attempt, ...)                                                                                              \
    { #attempt, attempt, __VA_ARGS__ }
    ROW(work_in_data, 0, BY_NOBODY, 0),
    ROW(read_named, 0, BY_NOBODY, 0),
    ROW(read_beside_named, 0, BY_NOBODY, 0),
    ROW(read_random, 0, BY_NOBODY, 0),
    ROW(tcp_socket, 0, BY_NOBODY, 0),
    ROW(map_memory, 0, BY_NOBODY, 0),
    ROW(map_library, 0, BY_NOBODY, 0),
    ROW(start_thread, 0, BY_NOBODY, 0),
    ROW(read_shadow, EACCES, BY_LANDLOCK, 1),
    ROW(read_passwd, EACCES, BY_LANDLOCK, 1),
    ROW(read_elsewhere, EACCES, BY_LANDLOCK, 1),
    ROW(read_in_a_thread, EACCES, BY_LANDLOCK, 1),
    ROW(write_elsewhere, EACCES, BY_LANDLOCK, 1),
    ROW(list_elsewhere, EACCES, BY_LANDLOCK, 1),
    ROW(kind_elsewhere, ERR_OUTSIDE, BY_LANDLOCK, 1),
    ROW(kind_absent, ERR_ABSENT, BY_LANDLOCK, 1),
    ROW(truncate_elsewhere, EACCES, BY_LANDLOCK, 3),
    ROW(remove_elsewhere, EACCES, BY_LANDLOCK, 1),
    ROW(leave_data, EACCES, BY_LANDLOCK, 1),
    ROW(climb_out, EACCES, BY_LANDLOCK, 1),
    ROW(follow_out, EACCES, BY_LANDLOCK, 1),
    ROW(read_memory, EACCES, BY_LANDLOCK, 1),
    ROW(write_named, EACCES, BY_LANDLOCK, 1),
    ROW(make_beside_named, EACCES, BY_LANDLOCK, 1),
    ROW(make_folder, EACCES, BY_LANDLOCK, 1),
    ROW(make_link, EACCES, BY_LANDLOCK, 1),
    ROW(bind_port, EACCES, BY_LANDLOCK, 4),
    ROW(signal_thread, EPERM, BY_LANDLOCK, 6),
    ROW(make_fifo, EPERM, BY_SECCOMP, 0),
    ROW(run_program, EPERM, BY_SECCOMP, 0),
    ROW(run_by_fd, EPERM, BY_SECCOMP, 0),
    ROW(make_process, EPERM, BY_SECCOMP, 0),
    ROW(make_process_shared, EPERM, BY_SECCOMP, 0),
    ROW(make_process_newly, ENOSYS, BY_SECCOMP, 0),
    ROW(trace_parent, EPERM, BY_SECCOMP, 0),
    ROW(signal_parent, EPERM, BY_SECCOMP, 0),
    ROW(new_namespace, EPERM, BY_SECCOMP, 0),
    ROW(change_root, EPERM, BY_SECCOMP, 0),
    ROW(become_another, EPERM, BY_SECCOMP, 0),
    ROW(load_bpf, EPERM, BY_SECCOMP, 0),
    ROW(set_up_uring, EPERM, BY_SECCOMP, 0),
    ROW(packet_socket, EAFNOSUPPORT, BY_SECCOMP, 0),
    ROW(vsock_socket, EAFNOSUPPORT, BY_SECCOMP, 0),
    ROW(map_written_and_executed, EPERM, BY_SECCOMP, 0),
    ROW(make_executable, EPERM, BY_SECCOMP, 0),
#undef ROW
};

/* ---- the frame ---- */

static struct err read_secret(void *reader, struct str reference, struct writer *message,
                              struct secret_texts *ret_texts) {
    (void)reader, (void)reference, (void)message, (void)ret_texts;
    return err_make(ERR_ABSENT, 0, "read it"); /* named, if not there: its folder counts all the same */
}

static struct config *make_config(void) {
    char text[1024], sentence[1024];
    struct writer message = writer_make(sentence, sizeof sentence);
    (void)snprintf(text, sizeof text,
                   "data = \"%s/data\"\nsource one { provider = \"stripe\" secrets = { \"file:%s/named/secret\" } }\n",
                   folder, folder);
    struct config *config = NULL;
    const struct config_overrides overrides = {0};
    struct err made =
        config_parse(str_from(text), "conf/payhook.conf", &overrides, read_secret, NULL, NULL, NULL, &message, &config);
    if (err_is(made)) fail_msg("%s", writer_cstr(&message));
    return config;
}

/* What the attempt gives, with the sandbox or without: in a child, as it is for good. */
static int outcome(trial *attempt, const struct config *config) {
    int pair[2], result = -1;
    assert_int_equal(pipe(pair), 0);
    pid_t child = fork();
    if (child == 0) {
        if (config != NULL) {
            int quiet = open("/dev/null", O_WRONLY);
            (void)dup2(quiet, STDERR_FILENO);
            sandbox_enter(config);
        }
        errno = 0;
        result = attempt();
        _exit(write(pair[1], &result, sizeof result) == sizeof result ? 0 : 1);
    }
    assert_true(child > 0);
    (void)close(pair[1]);
    ssize_t got = read(pair[0], &result, sizeof result);
    (void)close(pair[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return got == sizeof result ? result : 0; /* it has become another program */
}

static void within(void **state) {
    struct config *config = *state;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        if (row->by == BY_LANDLOCK && version < row->version_min) continue;
        int result = outcome(row->attempt, config);
        if (result == row->expected) continue;
        print_error("%s: %s, and not %s\n", row->name, strerror(result), strerror(row->expected));
        failed++;
    }
    assert_int_equal(failed, 0);
}

/* The table is about the sandbox, and not about what could not be done anyway. */
static void without(void **state) {
    (void)state; /* there is no configuration */
    static trial *const possible[] = {read_passwd, read_elsewhere, list_elsewhere,  climb_out,
                                      follow_out,  read_memory,    write_named,     run_program,
                                      run_by_fd,   make_process,   signal_thread,   bind_port,
                                      make_fifo,   make_folder,    make_executable, map_written_and_executed};
    for (size_t i = 0; i < sizeof possible / sizeof *possible; i++)
        assert_int_equal(outcome(possible[i], NULL), 0);
}

static void make_file(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "secret", 6), 6);
    assert_int_equal(close(fd), 0);
}

static int set_up(void **state) {
    static const char *const folders[] = {"data", "named", "elsewhere", "conf"};
    (void)signal(SIGUSR1, SIG_IGN);
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) return 1;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (mkdir(folders[i], 0700) != 0) return 1;
    make_file("data/file");
    make_file("named/secret");
    make_file("named/other");
    make_file("elsewhere/file");
    if (symlink("../elsewhere/file", "data/link") != 0) return 1;
    *state = make_config();
    return 0;
}

static int tear_down(void **state) {
    config_release(*state);
    static const char *const left[] = {"data/file",      "data/link",    "data/fifo",   "data/folder",
                                       "data",           "named/secret", "named/other", "named",
                                       "elsewhere/file", "elsewhere",    "conf"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        (void)remove(left[i]); /* not every one of them is there; the last step says so */
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(within), cmocka_unit_test(without)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
