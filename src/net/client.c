/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges over net/channel: deadlines for each phase, kept connections, several addresses of one name, and the
 * knowledge of whether a request that failed may have arrived.
 *
 * An exchange waits in one queue at a time: the client's (to be started in the next turn of the loop), its pool's (for
 * addresses, or for a connection) or none (it has a connection). A pool is a target: its connections, idle and busy, at
 * most CLIENT_CONNECTIONS_MAX. Where one is idle, the request is sent at once; nothing is ever called back from there.
 * Ended exchanges are kept with their memory for the next ones.
 *
 * It does not follow redirects, cache, compress, pipeline, or know proxies and cookies. */
#include "net/client.h"

#include "base/os.h"
#include "net/channel.h"
#include "net/message.h"
#include "net/resolve.h"
#include "net/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

enum { NAME_KEPT_US = 5000000 }; /* how long addresses are used again for new connections */

TAILQ_HEAD(exchange_queue, exchange);
LIST_HEAD(connection_list, channel);
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

struct exchange {
    TAILQ_ENTRY(exchange) next;
    struct exchange_queue *queue; /* it waits in, or NULL */
    struct client *client;
    struct pool *pool;
    const struct http_request *request;
    struct client_timeouts timeouts;
    client_done *done;
    void *context;
    struct channel *connection; /* or NULL */
    struct transfer transfer;
    struct client_response response;
    struct event *timer;
    int64_t whole_us, connect_us, phase_us; /* ends on the monotonic clock; INT64_MAX: none; 0: not begun */
    uint32_t address;                       /* which is tried next */
    bool replaced;                          /* a dead kept connection was */
    bool kept;                              /* not given back after done: client_exchange's */
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
    struct wait_list waits;
    struct exchange_queue unused;
    size_t in_flight, unused_count;
    struct exchange *carried; /* the last one that got a connection, while it has it */
    struct exchange *last;    /* whose response client_exchange has given */
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

/* In the next turn of the loop, so that done is never called from where an exchange begins or another one ends. */
static void start_soon(struct exchange *exchange) {
    dequeue(exchange);
    enqueue(exchange, &exchange->client->starting);
    event_active(exchange->client->pump, EV_TIMEOUT, 0);
}

/* With another connection. */
static void start_again(struct exchange *exchange) {
    transfer_end(&exchange->transfer);
    start_soon(exchange);
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
    event_free(exchange->timer);
    transfer_done(&exchange->transfer);
    free(exchange);
}

/* With its memory, for the next one. */
static void give_back(struct exchange *exchange) {
    struct client *client = exchange->client;
    if (client->unused_count == CLIENT_UNUSED_MAX) {
        exchange_free(exchange);
        return;
    }
    transfer_end(&exchange->transfer);
    TAILQ_INSERT_HEAD(&client->unused, exchange, next);
    client->unused_count++;
}

static void finish(struct exchange *exchange, struct err failure) {
    dequeue(exchange);
    check(exchange->connection == NULL);
    struct client *client = exchange->client;
    client->in_flight--;
    if (client->carried == exchange) client->carried = NULL;
    (void)event_del(exchange->timer); /* fails only where it was never set up */
    bool kept = exchange->kept;       /* then its owner gives it back */
    exchange->done(exchange->context, failure, &exchange->response);
    if (!kept) give_back(exchange);
}

/* -- Connections ----------------------------------------------------------------------------------------- */

/* Takes a connection out of its pool; whoever waits for one may make another. */
static void drop_connection(struct channel *connection) {
    struct pool *pool = connection->owner;
    LIST_REMOVE(connection, next);
    channel_close(connection);
    pool->connection_count--;
    move_first(&pool->for_connection);
}

static void release_connection(struct channel *connection) {
    struct pool *pool = connection->owner;
    if (!channel_rest(connection)) {
        drop_connection(connection);
        return;
    }
    LIST_REMOVE(connection, next);
    LIST_INSERT_HEAD(&pool->idle, connection, next);
    move_first(&pool->for_connection);
}

static void on_moved(struct channel *connection) {
    struct exchange *exchange = connection->user;
    bool waits = exchange->transfer.sent && !exchange->transfer.answered;
    set_phase(exchange, waits ? end_of(exchange->timeouts.first_byte_ms, os_mono_us()) : INT64_MAX);
}

static void on_ended(struct channel *connection, struct err failure);
static const struct channel_calls channel_calls = {on_moved, on_ended, drop_connection};

static struct channel *open_connection(struct pool *pool, const char *address, struct err *ret_failure) {
    struct client *client = pool->client;
    *ret_failure = err_ok();
    if (pool->tls && client->tls == NULL) {
        *ret_failure = tls_open(&client->tls);
        if (err_is(*ret_failure)) return NULL;
    }
    struct channel *connection = channel_open(client->base, pool->tls ? client->tls : NULL, str_from(pool->host),
                                              address, pool->port, &channel_calls);
    if (connection == NULL) {
        *ret_failure = err_make(ERR_MEMORY, ENOMEM, "make a connection");
        return NULL;
    }
    connection->owner = pool;
    LIST_INSERT_HEAD(&pool->busy, connection, next);
    pool->connection_count++;
    return connection;
}

static struct channel *take_idle(struct pool *pool) {
    struct channel *connection;
    while ((connection = LIST_FIRST(&pool->idle)) != NULL) {
        if (channel_is_quiet(connection)) {
            LIST_REMOVE(connection, next);
            LIST_INSERT_HEAD(&pool->busy, connection, next);
            return connection;
        }
        drop_connection(connection);
    }
    return NULL;
}

/* -- One exchange from its start to its end -------------------------------------------------------------- */

/* Its connection has failed. Another address, another connection, or the end. */
static void on_failure(struct exchange *exchange, struct channel *connection, struct err failure) {
    struct pool *pool = exchange->pool;
    bool was_kept = connection->kept, stood = exchange->transfer.writing;
    bool distrusted = failure.kind == ERR_NETWORK && !stood && channel_is_distrusted(connection);
    exchange->connection = NULL;
    drop_connection(connection);
    if (distrusted) { /* that is no fault of the address */
        finish(exchange, err_make(ERR_NETWORK, 0, "trust the server's certificate"));
        return;
    }
    if (!stood) {
        int64_t now_us = os_mono_us();
        if (++exchange->address < pool->addresses.count && now_us < exchange->whole_us &&
            now_us < exchange->connect_us) {
            start_again(exchange);
            return;
        }
        if (pool->addresses_until_us != INT64_MAX) pool->addresses_until_us = 0; /* ask again next time */
        finish(exchange, failure);
        return;
    }
    exchange->response.ambiguous = true;
    if (was_kept && failure.kind == ERR_NETWORK && !exchange->transfer.answered && !exchange->replaced &&
        !exchange->timeouts.once) {
        exchange->replaced = true;
        exchange->connect_us = 0;
        start_again(exchange);
        return;
    }
    finish(exchange, failure);
}

static void on_ended(struct channel *connection, struct err failure) {
    struct exchange *exchange = connection->user;
    if (err_is(failure)) {
        on_failure(exchange, connection, failure);
        return;
    }
    const struct answer *answer = &exchange->transfer.answer;
    exchange->response.status = answer->status;
    exchange->response.headers = answer->headers;
    exchange->response.header_count = answer->header_count;
    exchange->response.body = answer->body;
    exchange->connection = NULL;
    release_connection(connection);
    finish(exchange, err_ok());
}

static void on_deadline(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct exchange *exchange = context;
    struct channel *connection = exchange->connection;
    const char *where = exchange->transfer.sent      ? "get an answer in time"
                        : exchange->transfer.writing ? "send the request in time"
                        : connection != NULL         ? "connect in time"
                        : exchange->pool != NULL && exchange->queue == &exchange->pool->for_addresses
                            ? "find the host's address in time"
                            : "get a connection in time";
    struct err failure = err_make(ERR_TIMEOUT, 0, where);
    if (connection == NULL)
        finish(exchange, failure);
    else
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
static struct channel *connection_for(struct exchange *exchange) {
    struct pool *pool = exchange->pool;
    struct channel *connection = exchange->replaced ? NULL : take_idle(pool);
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

/* What cannot be sent now is sent from the loop. False, and the connection is gone: no memory. */
static bool carry(struct exchange *exchange, struct channel *connection) {
    if (!transfer_begin(&exchange->transfer, exchange->request)) {
        drop_connection(connection);
        return false;
    }
    exchange->connection = connection;
    exchange->client->carried = exchange;
    connection->user = exchange;
    channel_carry(connection, &exchange->transfer);
    return true;
}

static void start(struct exchange *exchange) {
    if (exchange->pool == NULL || !message_is_sendable(exchange->request)) {
        finish(exchange, err_make(ERR_INPUT, 0, "send a request like that"));
        return;
    }
    struct channel *connection = connection_for(exchange);
    if (connection != NULL && !carry(exchange, connection))
        finish(exchange, err_make(ERR_MEMORY, ENOMEM, "send the request"));
}

/* True where an idle connection has taken it: that needs no turn of the loop, and nothing can end within. */
static bool start_at_once(struct exchange *exchange) {
    struct pool *pool = exchange->pool;
    if (pool == NULL || !TAILQ_EMPTY(&exchange->client->starting) || !message_is_sendable(exchange->request))
        return false;
    struct channel *connection = take_idle(pool);
    return connection != NULL && carry(exchange, connection);
}

static void on_pump(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct client *client = context;
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
    TAILQ_INIT(&client->unused);
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

static void drop_connections(struct connection_list *list) {
    struct channel *connection = LIST_FIRST(list), *after;
    for (; connection != NULL; connection = after) {
        after = LIST_NEXT(connection, next);
        if (connection->transfer != NULL) exchange_free(connection->user);
        channel_close(connection);
    }
}

static void drop_pools(struct client *client) {
    struct pool *pool = LIST_FIRST(&client->pools), *after;
    for (; pool != NULL; pool = after) {
        after = LIST_NEXT(pool, next);
        drop(&pool->for_addresses);
        drop(&pool->for_connection);
        drop_connections(&pool->idle);
        drop_connections(&pool->busy);
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
    event_free(client->pump);
    drop_pools(client);
    resolver_close(client->resolver);
    if (client->last != NULL) exchange_free(client->last);
    drop(&client->unused);
    tls_close(client->tls);
    event_base_free(client->base);
    free(client);
}

static struct exchange *begin(struct client *client, const struct client_target *target,
                              const struct http_request *request, struct client_timeouts timeouts, client_done *done,
                              void *context) {
    struct exchange *exchange = TAILQ_FIRST(&client->unused);
    if (exchange != NULL) {
        TAILQ_REMOVE(&client->unused, exchange, next);
        client->unused_count--;
    } else {
        exchange = calloc(1, sizeof *exchange);
        check(exchange != NULL);
        exchange->client = client;
        exchange->timer = event_new(client->base, -1, 0, on_deadline, exchange);
        check(exchange->timer != NULL);
    }
    exchange->pool = NULL;
    exchange->request = request;
    exchange->timeouts = timeouts;
    exchange->done = done;
    exchange->context = context;
    exchange->response = (struct client_response){0};
    exchange->whole_us = end_of(timeouts.whole_ms, os_mono_us());
    exchange->connect_us = 0;
    exchange->replaced = exchange->kept = false;
    struct str host = target->host;
    if (host.len > 0 && host.len < sizeof((struct pool *)0)->host && target->port != 0 && !str_has_control(host))
        exchange->pool = pool_of(client, target);
    client->in_flight++;
    if (!start_at_once(exchange)) start_soon(exchange);
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

/* True where a single exchange waits for its answer, and its deadline is far enough that it need not be watched. */
static bool wait_for_one(struct client *client) {
    const struct exchange *only = client->carried;
    if (client->in_flight != 1 || only == NULL || only->connection == NULL || !LIST_EMPTY(&client->waits)) return false;
    int64_t end_us = only->phase_us < only->whole_us ? only->phase_us : only->whole_us;
    if (end_us != INT64_MAX && end_us - os_mono_us() <= CHANNEL_WAIT_MS * INT64_C(1000)) return false;
    return channel_wait(only->connection);
}

static void turn(struct client *client) {
    check(!client->running);
    client->running = true;
    if (!wait_for_one(client)) check(event_base_loop(client->base, EVLOOP_ONCE) == 0);
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
    if (client->last != NULL) give_back(client->last);
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
