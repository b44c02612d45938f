/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges over libevent's HTTP client, with what it lacks: deadlines for each phase, kept connections, several
 * addresses of one name, and the knowledge of whether a request that failed may have arrived.
 *
 * An exchange waits in one queue at a time: the client's (to be started in the next turn of the loop), its pool's (for
 * addresses, or for a connection) or none (it has a connection). A pool is a target: its connections, idle and busy, at
 * most CLIENT_CONNECTIONS_MAX. A libevent connection object serves one TCP connection only and is never reconnected.
 * Since one may not be freed within its own call backs, it then goes to the dead, who are buried at the next turn. What
 * bytes came and went is seen by call backs on the buffers below libevent's HTTP client.
 *
 * It does not follow redirects, cache, compress, pipeline, or know proxies and cookies. */
#include "net/client.h"

#include "base/os.h"
#include "net/message.h"
#include "net/resolve.h"
#include "net/tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

enum {
    NAME_KEPT_US = 5000000,         /* how long addresses are used again for new connections */
    NEVER_S = 10 * 365 * 24 * 3600, /* libevent's own time-outs, which would end a wait for the Runtime API's next */
};

TAILQ_HEAD(exchange_queue, exchange);
LIST_HEAD(connection_list, connection);
LIST_HEAD(pool_list, pool);
LIST_HEAD(wait_list, wait);

struct pool {
    LIST_ENTRY(pool) next;
    struct client *client;
    bool tls;
    uint16_t port;
    char host[256];
    struct connection_list idle; /* the last used first */
    struct connection_list busy;
    uint32_t connection_count;
    struct exchange_queue for_connection, for_addresses;
    struct addresses addresses;
    int64_t addresses_until_us; /* INT64_MAX: known without asking */
    bool asking;
};

struct connection {
    LIST_ENTRY(connection) next;
    struct pool *pool;
    struct evhttp_connection *http;
    struct bufferevent *buffers;
    struct exchange *exchange; /* NULL: idle */
    bool kept;                 /* has served an exchange before */
    bool dead;
};

struct exchange {
    TAILQ_ENTRY(exchange) next;
    struct exchange_queue *queue; /* it waits in, or NULL */
    struct client *client;
    struct pool *pool;
    const struct http_request *request;
    struct client_timeouts timeouts;
    client_done *done;
    void *context;
    struct connection *connection; /* or NULL */
    struct evhttp_request *wire;   /* the request as libevent has it; its own, and gone with the answer */
    struct evhttp_request *answer; /* owned from the answer on, where the exchange is kept */
    struct http_header *headers;
    struct client_response response;
    struct event *timer;
    int64_t whole_us, connect_us, phase_us; /* ends on the monotonic clock; INT64_MAX: none; 0: not begun */
    uint32_t address;                       /* which is tried next */
    bool writing, sent, answered;           /* on this connection: a byte was given to it, all were, one came back */
    bool replaced;                          /* a dead kept connection was */
    bool kept;                              /* not freed after done: client_exchange's */
};

struct wait {
    LIST_ENTRY(wait) next;
    struct client *client;
    struct event *timer;
    void (*call)(void *context);
    void *context;
};

struct client {
    struct event_base *base;
    struct event *pump;
    struct resolver *resolver; /* NULL until a name is looked up */
    struct tls *tls;           /* NULL until a target wants it */
    struct exchange_queue starting;
    struct pool_list pools;
    struct connection_list dead;
    struct wait_list waits;
    size_t in_flight;
    struct exchange *last; /* whose response client_exchange has given */
    bool running;
};

/* -- Queues, deadlines, the end of an exchange ----------------------------------------------------------- */

static void enqueue(struct exchange *exchange, struct exchange_queue *queue) {
    check(exchange->queue == NULL);
    TAILQ_INSERT_TAIL(queue, exchange, next);
    exchange->queue = queue;
}

static void dequeue(struct exchange *exchange) {
    if (exchange->queue != NULL) TAILQ_REMOVE(exchange->queue, exchange, next);
    exchange->queue = NULL;
}

/* In the next turn of the loop, so that no call back of libevent's has us call it from within. */
static void start_soon(struct exchange *exchange) {
    dequeue(exchange);
    enqueue(exchange, &exchange->client->starting);
    event_active(exchange->client->pump, EV_TIMEOUT, 0);
}

static void move_first(struct exchange_queue *queue) {
    if (!TAILQ_EMPTY(queue)) start_soon(TAILQ_FIRST(queue));
}

static int64_t end_of(uint32_t ms, int64_t now_us) { return ms == 0 ? INT64_MAX : now_us + (int64_t)ms * 1000; }

/* Sets the end of a phase, and the timer for whichever end comes first. */
static void set_phase(struct exchange *exchange, int64_t end_us) {
    exchange->phase_us = end_us;
    int64_t first_us = end_us < exchange->whole_us ? end_us : exchange->whole_us;
    if (first_us == INT64_MAX) {
        (void)event_del(exchange->timer); /* fails only where it was never set up */
        return;
    }
    int64_t left_us = first_us - os_mono_us();
    if (left_us < 0) left_us = 0;
    const struct timeval left = {.tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000};
    check(event_add(exchange->timer, &left) == 0);
}

static void exchange_free(struct exchange *exchange) {
    if (exchange == NULL) return;
    if (exchange->timer != NULL) event_free(exchange->timer);
    if (exchange->answer != NULL) evhttp_request_free(exchange->answer);
    free(exchange->headers);
    free(exchange);
}

static void finish(struct exchange *exchange, struct err failure) {
    dequeue(exchange);
    check(exchange->connection == NULL);
    exchange->client->in_flight--;
    event_free(exchange->timer);
    exchange->timer = NULL;
    bool kept = exchange->kept; /* then its owner frees it */
    exchange->done(exchange->context, failure, &exchange->response);
    if (!kept) exchange_free(exchange);
}

/* -- Connections ----------------------------------------------------------------------------------------- */

/* Frees all of a list, with the exchanges they may have. */
static void bury(struct connection_list *list) {
    struct connection *connection = LIST_FIRST(list), *after;
    LIST_INIT(list);
    for (; connection != NULL; connection = after) {
        after = LIST_NEXT(connection, next);
        struct exchange *exchange = connection->exchange;
        connection->exchange = NULL;
        evhttp_connection_set_closecb(connection->http, NULL, NULL);
        evhttp_connection_free(connection->http);
        free(connection);
        exchange_free(exchange);
    }
}

/* Takes a connection out of its pool; whoever waits for one may make another. */
static void kill_connection(struct connection *connection) {
    if (connection->dead) return;
    connection->dead = true;
    connection->exchange = NULL;
    struct pool *pool = connection->pool;
    LIST_REMOVE(connection, next);
    LIST_INSERT_HEAD(&pool->client->dead, connection, next);
    pool->connection_count--;
    move_first(&pool->for_connection);
    event_active(pool->client->pump, EV_TIMEOUT, 0);
}

static void release_connection(struct connection *connection) {
    struct pool *pool = connection->pool;
    connection->exchange = NULL;
    connection->kept = true;
    /* It is closed already; or there is more than the answer, which must not be taken for the next one's. */
    if (bufferevent_getfd(connection->buffers) < 0 ||
        evbuffer_get_length(bufferevent_get_input(connection->buffers)) > 0) {
        kill_connection(connection);
        return;
    }
    LIST_REMOVE(connection, next);
    LIST_INSERT_HEAD(&pool->idle, connection, next);
    move_first(&pool->for_connection);
}

/* Closed by libevent: by the peer when it was idle, else within an exchange, which then is told otherwise. */
static void on_close(struct evhttp_connection *http, void *context) {
    (void)http;
    struct connection *connection = context;
    if (connection->exchange == NULL) kill_connection(connection);
}

/* What is written for the first time is the request: the connection stands, its handshake is done. When all of it has
 * gone, the wait for the answer begins. */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *context) {
    struct connection *connection = context;
    struct exchange *exchange = connection->exchange;
    if (exchange == NULL || exchange->connection != connection) return;
    if (info->n_added > 0 && !exchange->writing) {
        exchange->writing = true;
        set_phase(exchange, INT64_MAX);
        /* An answer to a request that the peer did not read to its end is an answer. Not once it is sent: then libevent
         * would wait for ever where a connection ends within a line of the answer. */
        check(evhttp_connection_set_flags(connection->http, EVHTTP_CON_READ_ON_WRITE_ERROR) == 0);
        if (connection->kept) return;
        const int on = 1; /* best effort: it only saves time */
        (void)setsockopt(bufferevent_getfd(connection->buffers), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (info->n_deleted > 0 && evbuffer_get_length(output) == 0 && !exchange->sent) {
        exchange->sent = true;
        check(evhttp_connection_set_flags(connection->http, 0) == 0);
        if (!exchange->answered) set_phase(exchange, end_of(exchange->timeouts.first_byte_ms, os_mono_us()));
    }
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *context) {
    (void)input;
    struct connection *connection = context;
    struct exchange *exchange = connection->exchange;
    if (exchange == NULL || info->n_added == 0 || exchange->answered) return;
    exchange->answered = true;
    set_phase(exchange, INT64_MAX);
}

static struct connection *open_connection(struct pool *pool, const char *address, struct err *ret_failure) {
    struct client *client = pool->client;
    *ret_failure = err_ok();
    if (pool->tls && client->tls == NULL) {
        *ret_failure = tls_open(&client->tls);
        if (err_is(*ret_failure)) return NULL;
    }
    *ret_failure = err_make(ERR_MEMORY, ENOMEM, "make a connection");
    struct bufferevent *buffers = pool->tls ? tls_connection(client->tls, client->base, str_from(pool->host))
                                            : bufferevent_socket_new(client->base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (buffers == NULL) return NULL;
    struct connection *connection = calloc(1, sizeof *connection);
    struct evhttp_connection *http = NULL;
    if (connection != NULL && evbuffer_add_cb(bufferevent_get_output(buffers), on_output, connection) != NULL &&
        evbuffer_add_cb(bufferevent_get_input(buffers), on_input, connection) != NULL)
        http = evhttp_connection_base_bufferevent_new(client->base, NULL, buffers, address, pool->port);
    if (http == NULL) {
        bufferevent_free(buffers);
        free(connection);
        return NULL;
    }
    evhttp_connection_set_timeout_tv(http, &(const struct timeval){.tv_sec = NEVER_S});
    evhttp_connection_set_max_body_size(http, CLIENT_ANSWER_SIZE_MAX);
    evhttp_connection_set_max_headers_size(http, CLIENT_ANSWER_HEAD_SIZE_MAX);
    evhttp_connection_set_closecb(http, on_close, connection);
    *connection = (struct connection){.pool = pool, .http = http, .buffers = buffers};
    LIST_INSERT_HEAD(&pool->busy, connection, next);
    pool->connection_count++;
    *ret_failure = err_ok();
    return connection;
}

/* False where the peer has closed, or sent what nobody asked for: both may be known to the kernel only, when the
 * process was frozen. With TLS the latter may be one of its own messages. */
static bool is_usable(const struct connection *connection) {
    char byte;
    ssize_t got = recv(bufferevent_getfd(connection->buffers), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return got > 0 && connection->pool->tls;
}

static struct connection *take_idle(struct pool *pool) {
    struct connection *connection;
    while ((connection = LIST_FIRST(&pool->idle)) != NULL) {
        if (is_usable(connection)) {
            LIST_REMOVE(connection, next);
            LIST_INSERT_HEAD(&pool->busy, connection, next);
            return connection;
        }
        kill_connection(connection);
    }
    return NULL;
}

/* -- One exchange from its start to its end -------------------------------------------------------------- */

/* Begins anew, with another connection. */
static void again(struct exchange *exchange) {
    exchange->writing = exchange->sent = exchange->answered = false;
    start_soon(exchange);
}

/* Its connection has failed. Another address, another connection, or the end. */
static void on_failure(struct exchange *exchange, struct connection *connection, struct err failure) {
    struct pool *pool = exchange->pool;
    bool was_kept = connection->kept, stood = exchange->writing || was_kept;
    bool distrusted = failure.kind == ERR_NETWORK && !stood && pool->tls && tls_distrusted(connection->buffers);
    exchange->connection = NULL;
    kill_connection(connection);
    if (distrusted) { /* that is no fault of the address */
        finish(exchange, err_make(ERR_NETWORK, 0, "trust the server's certificate"));
        return;
    }
    if (!stood) {
        int64_t now_us = os_mono_us();
        if (++exchange->address < pool->addresses.count && now_us < exchange->whole_us &&
            now_us < exchange->connect_us) {
            again(exchange);
            return;
        }
        if (pool->addresses_until_us != INT64_MAX) pool->addresses_until_us = 0; /* ask again next time */
        finish(exchange, failure);
        return;
    }
    exchange->response.ambiguous = true;
    if (was_kept && failure.kind == ERR_NETWORK && !exchange->answered && !exchange->replaced &&
        !exchange->timeouts.once) {
        exchange->replaced = true;
        exchange->connect_us = 0;
        again(exchange);
        return;
    }
    finish(exchange, failure);
}

/* NULL, or a status of 0: there is no answer. */
static void on_answer(struct evhttp_request *answer, void *context) {
    struct exchange *exchange = context;
    struct connection *connection = exchange->connection;
    check(connection != NULL);
    exchange->wire = NULL;
    if (answer == NULL || evhttp_request_get_response_code(answer) == 0) {
        const char *where = !exchange->writing   ? "reach the server"
                            : exchange->answered ? "read the answer to its end"
                                                 : "get an answer: the connection broke off";
        on_failure(exchange, connection, err_make(ERR_NETWORK, 0, where));
        return;
    }
    struct err failure = message_read(answer, &exchange->headers, &exchange->response);
    if (exchange->kept) {
        evhttp_request_own(answer);
        exchange->answer = answer;
    }
    if (err_is(failure)) exchange->response.ambiguous = true;
    /* What was not sent to its end leaves the connection in the middle of something. */
    bool whole = exchange->sent && evbuffer_get_length(bufferevent_get_output(connection->buffers)) == 0;
    exchange->connection = NULL;
    if (whole && !err_is(failure))
        release_connection(connection);
    else
        kill_connection(connection);
    finish(exchange, failure);
}

/* From the loop, never from within libevent's HTTP client: the connection can be freed at once, and must be, since it
 * still knows the exchange. */
static void on_deadline(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct exchange *exchange = context;
    struct connection *connection = exchange->connection;
    const char *where = exchange->sent       ? "get an answer in time"
                        : exchange->writing  ? "send the request in time"
                        : connection != NULL ? "connect in time"
                        : exchange->pool != NULL && exchange->queue == &exchange->pool->for_addresses
                            ? "find the host's address in time"
                            : "get a connection in time";
    struct err failure = err_make(ERR_TIMEOUT, 0, where);
    if (connection == NULL) {
        finish(exchange, failure);
        return;
    }
    /* Without the request, which is freed here: on_answer is not called for it. */
    evhttp_cancel_request(exchange->wire);
    exchange->wire = NULL;
    on_failure(exchange, connection, failure);
}

static void on_addresses(void *context, const struct addresses *addresses) {
    struct pool *pool = context;
    pool->asking = false;
    pool->addresses = *addresses;
    pool->addresses_until_us = os_mono_us() + NAME_KEPT_US;
    struct exchange *exchange;
    while ((exchange = TAILQ_FIRST(&pool->for_addresses)) != NULL) {
        TAILQ_REMOVE(&pool->for_addresses, exchange, next);
        exchange->queue = NULL;
        if (addresses->count > 0)
            start_soon(exchange);
        else
            finish(exchange, err_make(ERR_NETWORK, 0, "find the host's address"));
    }
    if (addresses->count == 0) pool->addresses_until_us = 0;
}

/* True where the pool has addresses; else the exchange waits for them, or is gone with the reason. */
static bool have_addresses(struct exchange *exchange) {
    struct pool *pool = exchange->pool;
    struct client *client = pool->client;
    if (pool->addresses_until_us > os_mono_us()) return true;
    if (client->resolver == NULL) client->resolver = resolver_open(client->base, "/etc/resolv.conf");
    if (client->resolver == NULL) {
        finish(exchange, err_make(ERR_MEMORY, ENOMEM, "find the host's address"));
        return false;
    }
    set_phase(exchange, exchange->connect_us);
    exchange->address = 0;
    enqueue(exchange, &pool->for_addresses);
    if (pool->asking) return false;
    pool->asking = true;
    resolver_start(client->resolver, str_from(pool->host), on_addresses, pool);
    return false;
}

/* An idle connection, or a new one. NULL: the exchange waits, or is gone. */
static struct connection *connection_for(struct exchange *exchange) {
    struct pool *pool = exchange->pool;
    struct connection *connection = exchange->replaced ? NULL : take_idle(pool);
    if (connection != NULL) {
        set_phase(exchange, INT64_MAX);
        return connection;
    }
    if (pool->connection_count >= CLIENT_CONNECTIONS_MAX) {
        set_phase(exchange, INT64_MAX);
        enqueue(exchange, &pool->for_connection);
        return NULL;
    }
    int64_t now_us = os_mono_us();
    if (exchange->connect_us == 0) {
        exchange->connect_us = end_of(exchange->timeouts.connect_ms, now_us);
        exchange->address = 0;
    }
    if (!have_addresses(exchange)) return NULL;
    if (exchange->address >= pool->addresses.count) exchange->address = 0; /* they have changed meanwhile */
    check(exchange->address < pool->addresses.count);
    /* An address that swallows everything leaves the others their share of the time. */
    int64_t end_us = exchange->connect_us;
    if (end_us != INT64_MAX) end_us = now_us + (end_us - now_us) / (pool->addresses.count - exchange->address);
    set_phase(exchange, end_us);
    struct err failure;
    connection = open_connection(pool, pool->addresses.text[exchange->address], &failure);
    if (connection == NULL) finish(exchange, failure);
    return connection;
}

static struct pool *pool_of(struct client *client, const struct client_target *target) {
    struct pool *pool = LIST_FIRST(&client->pools);
    for (; pool != NULL; pool = LIST_NEXT(pool, next)) {
        if (pool->tls == target->tls && pool->port == target->port && str_eq(str_from(pool->host), target->host))
            return pool;
    }
    pool = calloc(1, sizeof *pool);
    check(pool != NULL);
    *pool = (struct pool){.client = client, .tls = target->tls, .port = target->port};
    memcpy(pool->host, target->host.ptr, target->host.len);
    TAILQ_INIT(&pool->for_connection);
    TAILQ_INIT(&pool->for_addresses);
    if (addresses_known(target->host, &pool->addresses)) pool->addresses_until_us = INT64_MAX;
    LIST_INSERT_HEAD(&client->pools, pool, next);
    return pool;
}

static void start(struct exchange *exchange) {
    if (exchange->pool == NULL || !message_is_sendable(exchange->request)) {
        finish(exchange, err_make(ERR_INPUT, 0, "send a request like that"));
        return;
    }
    struct connection *connection = connection_for(exchange);
    if (connection == NULL) return;
    exchange->connection = connection;
    connection->exchange = exchange;
    exchange->wire = message_make(exchange->request, on_answer, exchange);
    /* From here on the exchange may be gone: a connection that fails at once is told within the call. Where the call
     * itself fails nothing was told. */
    if (exchange->wire == NULL || !message_send(connection->http, exchange->wire, exchange->request)) {
        exchange->wire = NULL;
        exchange->connection = NULL;
        kill_connection(connection);
        finish(exchange, err_make(ERR_MEMORY, ENOMEM, "send the request"));
    }
}

static void on_pump(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct client *client = context;
    bury(&client->dead);
    struct exchange *exchange;
    while ((exchange = TAILQ_FIRST(&client->starting)) != NULL) {
        TAILQ_REMOVE(&client->starting, exchange, next);
        exchange->queue = NULL;
        start(exchange);
    }
}

/* -- The client ------------------------------------------------------------------------------------------ */

/* What libevent would say on stderr is said by our callers. */
static void say_nothing(int severity, const char *message) { (void)severity, (void)message; }

struct err client_open(struct writer *message, struct client **ret_client) {
    struct client *client = calloc(1, sizeof *client);
    struct event_config *config = event_config_new();
    event_set_log_callback(say_nothing);
    if (client != NULL && config != NULL && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        client->base = event_base_new_with_config(config);
    if (config != NULL) event_config_free(config);
    if (client != NULL && client->base != NULL) client->pump = event_new(client->base, -1, 0, on_pump, client);
    if (client == NULL || client->pump == NULL) {
        writer_put(message, STR("an event loop cannot be made: too many open files, or no memory"));
        if (client != NULL && client->base != NULL) event_base_free(client->base);
        free(client);
        return err_make(ERR_SYSTEM, errno, "make an event loop");
    }
    TAILQ_INIT(&client->starting);
    *ret_client = client;
    return err_ok();
}

static void drop(struct exchange_queue *queue) {
    struct exchange *exchange = TAILQ_FIRST(queue), *after;
    for (; exchange != NULL; exchange = after) {
        after = TAILQ_NEXT(exchange, next);
        exchange_free(exchange);
    }
    TAILQ_INIT(queue);
}

static void drop_pools(struct client *client) {
    struct pool *pool = LIST_FIRST(&client->pools), *after;
    for (; pool != NULL; pool = after) {
        after = LIST_NEXT(pool, next);
        drop(&pool->for_addresses);
        drop(&pool->for_connection);
        bury(&pool->idle);
        bury(&pool->busy);
        free(pool);
    }
}

static void drop_waits(struct client *client) {
    struct wait *wait = LIST_FIRST(&client->waits), *after;
    for (; wait != NULL; wait = after) {
        after = LIST_NEXT(wait, next);
        event_free(wait->timer);
        free(wait);
    }
}

void client_close(struct client *client) {
    if (client == NULL) return;
    check(!client->running);
    drop(&client->starting);
    drop_waits(client);
    bury(&client->dead);
    event_free(client->pump);
    drop_pools(client);
    resolver_close(client->resolver);
    exchange_free(client->last);
    tls_close(client->tls);
    /* Buffers are freed by the loop. */
    (void)event_base_loop(client->base, EVLOOP_NONBLOCK); /* whether events are left does not matter */
    event_base_free(client->base);
    free(client);
}

static struct exchange *begin(struct client *client, const struct client_target *target,
                              const struct http_request *request, struct client_timeouts timeouts, client_done *done,
                              void *context) {
    struct exchange *exchange = calloc(1, sizeof *exchange);
    check(exchange != NULL);
    *exchange =
        (struct exchange){.client = client, .request = request, .timeouts = timeouts, .done = done, .context = context};
    exchange->whole_us = end_of(timeouts.whole_ms, os_mono_us());
    exchange->timer = event_new(client->base, -1, 0, on_deadline, exchange);
    check(exchange->timer != NULL);
    struct str host = target->host;
    if (host.len > 0 && host.len < sizeof((struct pool *)0)->host && target->port != 0 && !str_has_control(host))
        exchange->pool = pool_of(client, target);
    client->in_flight++;
    start_soon(exchange);
    return exchange;
}

void client_start(struct client *client, const struct client_target *target, const struct http_request *request,
                  struct client_timeouts timeouts, client_done *done, void *context) {
    (void)begin(client, target, request, timeouts, done, context);
}

static void on_wait(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct wait *wait = context, copy = *wait;
    LIST_REMOVE(wait, next);
    event_free(wait->timer);
    free(wait);
    copy.call(copy.context);
}

void client_after(struct client *client, uint32_t ms, void (*call)(void *context), void *context) {
    struct wait *wait = calloc(1, sizeof *wait);
    check(wait != NULL);
    *wait = (struct wait){.client = client, .call = call, .context = context};
    wait->timer = event_new(client->base, -1, 0, on_wait, wait);
    const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};
    check(wait->timer != NULL && event_add(wait->timer, &after) == 0);
    LIST_INSERT_HEAD(&client->waits, wait, next);
}

static void turn(struct client *client) {
    check(!client->running);
    client->running = true;
    check(event_base_loop(client->base, EVLOOP_ONCE) == 0);
    client->running = false;
}

void client_run(struct client *client) {
    while (client->in_flight > 0 || !LIST_EMPTY(&client->waits))
        turn(client);
}

struct waited {
    struct err failure;
    bool done;
};

static void on_waited(void *context, struct err failure, const struct client_response *response) {
    (void)response;
    struct waited *waited = context;
    *waited = (struct waited){failure, true};
}

struct err client_exchange(struct client *client, const struct client_target *target,
                           const struct http_request *request, struct client_timeouts timeouts,
                           const struct client_response **ret_response) {
    struct waited waited = {.done = false};
    exchange_free(client->last);
    client->last = begin(client, target, request, timeouts, on_waited, &waited);
    client->last->kept = true;
    while (!waited.done)
        turn(client);
    if (!err_is(waited.failure)) *ret_response = &client->last->response;
    return waited.failure;
}

struct str client_header(const struct client_response *response, struct str name) {
    for (uint32_t i = 0; i < response->header_count; i++)
        if (str_eq_nocase(response->headers[i].name, name)) return response->headers[i].value;
    return STR_NONE;
}
