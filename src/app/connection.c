/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection.
 *
 * - HEAD: a head buffer from the first byte on; none while idle.
 * - BODY: a slot, and where head and body do not fit one head buffer together, a body claimed from the budget as bytes
 *   arrive.
 * - COMMIT: the slot is with the keeper; nothing is read meanwhile.
 * - REPLY: the socket did not take the whole reply at once.
 * - LINGER: the last reply is sent and our side closed; what still comes is dropped for a moment, so that a reset does
 *   not overtake the reply (RFC 9112 §9.6).
 *
 * Direct reads and writes on the descriptor (app/stream); the read event stays armed and is only taken out when bytes
 * come that must wait. In TLS a read may have to wait until the descriptor can be written, and the other way round:
 * then the events change places for that while. Bytes that OpenSSL has already read raise no event of the descriptor,
 * so whoever goes on to read after a pause, or has not taken all, makes the read event active by hand. One timer a
 * connection, lazily moved: it is armed for the earliest deadline it has known, and looks when it fires. */
#include "app/connection.h"

#include "app/stream.h"
#include "base/os.h"

#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

enum { CONNECTION_MAGIC = 0x70686b63, BODY_RATE_CHECK_US = 5000000, REPLY_SIZE_MAX = 16384 };

enum state { STATE_HEAD, STATE_BODY, STATE_COMMIT, STATE_REPLY, STATE_LINGER };

struct connection {
    uint32_t magic;
    enum state state;
    struct io_thread *thread;
    struct connection *next, *previous;
    struct slot *slot; /* from a complete head to its reply */
    struct event *read_event, *write_event, *timer;
    char *head;       /* HTTP_HEAD_SIZE_MAX bytes, NULL while idle */
    size_t head_size; /* bytes in it */
    size_t scanned;   /* http1_head_read's */
    char *out;        /* what is left of a reply, malloc'd */
    size_t out_size, out_sent;
    size_t lingered;     /* bytes dropped */
    int64_t started_us;  /* first byte of the request that is being read */
    int64_t deadline_us; /* 0: none */
    int64_t armed_us;    /* when the timer will look; 0: it is not armed */
    int64_t body_started_us;
    struct stream stream;
    bool open; /* no handshake, or it is over */
    bool read_paused;
    bool write_waits_to_read; /* the rest of the reply: until the descriptor can be read */
    bool closing;             /* after this reply */
    bool gone;                /* close when the keeper gives the slot back */
};

/* ---- deadlines ---- */

static void timer_arm(struct connection *c, int64_t at_us, int64_t now_us) {
    int64_t left = at_us > now_us ? at_us - now_us : 0;
    struct timeval after = {.tv_sec = left / 1000000, .tv_usec = left % 1000000};
    c->armed_us = at_us;
    check(event_add(c->timer, &after) == 0);
}

static void deadline_set(struct connection *c, int64_t at_us, int64_t now_us) {
    c->deadline_us = at_us;
    if (c->armed_us == 0 || at_us < c->armed_us) timer_arm(c, at_us, now_us);
}

/* ---- the end ---- */

static void connection_free(struct connection *c) {
    struct io_thread *thread = c->thread;
    check(c->slot == NULL);
    event_free(c->read_event);
    event_free(c->write_event);
    event_free(c->timer);
    stream_close(&c->stream);
    if (c->head != NULL) pool_give(&thread->pools.heads, c->head);
    free(c->out);
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        thread->connections = c->next;
    if (c->next != NULL) c->next->previous = c->previous;
    c->magic = 0;
    free(c);
    io_thread_connection_closed(thread);
}

void connection_abort(struct connection *c) {
    if (c->state == STATE_COMMIT) {
        c->gone = true;
        return;
    }
    if (c->slot != NULL) {
        slot_give(&c->thread->pools, c->slot);
        c->slot = NULL;
    }
    connection_free(c);
}

static void read_arm(struct connection *c) {
    if (!c->read_paused) return;
    c->read_paused = false;
    check(event_add(c->read_event, NULL) == 0);
}

static void read_resume(struct connection *c) {
    read_arm(c);
    if (stream_has_pending(&c->stream)) event_active(c->read_event, EV_READ, 0);
}

static void read_pause(struct connection *c) {
    check(event_del(c->read_event) == 0);
    c->read_paused = true;
}

static void linger(struct connection *c) {
    enum flow flow = stream_end(&c->stream);
    if (flow == FLOW_BROKEN) {
        connection_free(c);
        return;
    }
    int64_t now_us = os_mono_us();
    c->state = flow == FLOW_WAIT_WRITE ? STATE_REPLY : STATE_LINGER; /* a reply of no bytes: on_writable comes back */
    deadline_set(c, now_us + LINGER_MS_MAX * 1000, now_us);
    if (flow == FLOW_WAIT_WRITE)
        check(event_add(c->write_event, NULL) == 0);
    else
        read_resume(c);
}

/* ---- replies ---- */

static struct str date_line(struct io_thread *thread) {
    time_t now = (time_t)(os_wall_us() / 1000000);
    if (thread->date_s != (int64_t)now) {
        struct tm utc;
        check(gmtime_r(&now, &utc) != NULL);
        /* RFC 9110 §5.6.7; names are the C locale's, since nothing here sets another. */
        check(strftime(thread->date_line, sizeof thread->date_line, "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc) > 0);
        thread->date_s = (int64_t)now;
    }
    return str_from(thread->date_line);
}

/* The request is over: its memory goes back, and what came behind it moves to the front. False: the connection has no
 * more requests. */
static bool request_end(struct connection *c) {
    struct slot *slot = c->slot;
    check(slot != NULL || c->closing);
    if (!c->closing) {
        if (slot->body != NULL) {
            /* All that was in the head buffer behind the head went into the body. */
            check(slot->leftover_size <= HTTP_HEAD_SIZE_MAX);
            if (slot->leftover_size > 0) memcpy(c->head, slot->body + slot->leftover_at, slot->leftover_size);
            c->head_size = slot->leftover_size;
        } else {
            size_t used = slot->head.size + (size_t)slot->head.content_length;
            check(used <= c->head_size);
            c->head_size -= used;
            if (c->head_size > 0) memmove(c->head, c->head + used, c->head_size);
        }
    }
    if (slot != NULL) {
        slot_give(&c->thread->pools, slot);
        c->slot = NULL;
    }
    if (c->closing) {
        linger(c);
        return false;
    }
    c->state = STATE_HEAD;
    c->scanned = 0;
    int64_t now_us = os_mono_us();
    c->started_us = now_us;
    if (c->head_size == 0 && c->head != NULL) {
        pool_give(&c->thread->pools.heads, c->head);
        c->head = NULL;
    }
    const struct config_limits *limits = &c->thread->config->limits;
    uint32_t seconds = c->head_size == 0 ? limits->idle_deadline_s : limits->head_deadline_s;
    deadline_set(c, now_us + (int64_t)seconds * 1000000, now_us);
    read_resume(c);
    return true;
}

/* Waits for what the rest of a reply waits for. */
static void write_wait(struct connection *c, enum flow flow) {
    c->write_waits_to_read = flow == FLOW_WAIT_READ;
    if (c->write_waits_to_read) {
        check(event_del(c->write_event) == 0);
        read_arm(c); /* what waits in memory was not enough */
    } else {
        check(event_add(c->write_event, NULL) == 0);
    }
}

/* Sends, and keeps for later what the socket does not take. False: the client is gone, and the connection is freed. */
static bool send_out(struct connection *c, struct str bytes) {
    size_t done = 0;
    enum flow flow = c->open ? stream_send(&c->stream, bytes.ptr, bytes.len, &done) : FLOW_BROKEN;
    if (flow == FLOW_DONE && done == bytes.len) return true;
    c->out = flow == FLOW_END || flow == FLOW_BROKEN ? NULL : malloc(bytes.len - done);
    if (c->out == NULL) {
        connection_abort(c);
        return false;
    }
    memcpy(c->out, bytes.ptr + done, bytes.len - done);
    c->out_size = bytes.len - done;
    c->out_sent = 0;
    c->state = STATE_REPLY;
    int64_t now_us = os_mono_us();
    deadline_set(c, now_us + (int64_t)WRITE_DEADLINE_S * 1000000, now_us);
    write_wait(c, flow);
    return true;
}

/* Writes the reply of the request, with or without a slot, and logs it. True: read on. */
static bool answer(struct connection *c, struct reply reply, enum verdict verdict) {
    struct io_thread *thread = c->thread;
    struct slot *slot = c->slot;
    bool is_head = slot != NULL && str_eq(slot->request.method, STR("HEAD"));
    c->closing = c->closing || reply.closes || thread->draining || slot == NULL || !slot->head.keep_alive;

    char extra[512], text[REPLY_SIZE_MAX];
    struct writer e = writer_make(extra, sizeof extra);
    writer_put(&e, date_line(thread));
    writer_put(&e, reply.extra);
    check(!e.overflow);
    struct writer w = writer_make(text, sizeof text);
    http1_reply_write(&w, reply.status, reply.content_type, writer_str(&e), reply.body, c->closing);
    check(!w.overflow);
    if (is_head) w.len -= reply.body.len; /* RFC 9110 §9.3.2: the head as for GET, and no content */

    int64_t duration_us = os_mono_us() - c->started_us;
    metrics_request(thread->metrics, slot != NULL ? &slot->ingest : NULL, verdict, duration_us);
    log_webhook(&thread->log, &(struct log_request){
                                  .request_id = slot != NULL ? slot->request_id
                                                             : atomic_fetch_add(&thread->shared->next_request_id, 1),
                                  .ingest = slot != NULL ? &slot->ingest : NULL,
                                  .verdict = verdict,
                                  .status = reply.status,
                                  .now_us = os_wall_us(),
                                  .duration_us = duration_us,
                              });
    if (!send_out(c, writer_str(&w))) return false;
    return c->state == STATE_REPLY ? false : request_end(c);
}

static bool refuse(struct connection *c, enum verdict verdict, bool closing) {
    c->closing = c->closing || closing;
    return answer(c, reply_refusal(verdict, 0), verdict);
}

/* The keeper is done with the slot, or need not see it: answers by its verdict. */
static bool answer_slot(struct connection *c) {
    const struct ingest *ingest = &c->slot->ingest;
    return answer(c, ingest_reply(ingest, &c->slot->arena), ingest->verdict);
}

/* ---- requests ---- */

static bool request_complete(struct connection *c) {
    struct slot *slot = c->slot;
    struct io_thread *thread = c->thread;
    c->deadline_us = 0;
    if (thread->shared->null_server) {
        slot->ingest.verdict = VERDICT_STORED;
        slot->ingest.reply_body = STR("{\"message\": \"Webhook processed successfully\", \"transactionId\": \"x\"}");
        return answer_slot(c);
    }
    char *memory = pool_take(&thread->pools.arenas, REQUEST_ARENA_SIZE);
    if (memory == NULL) return refuse(c, VERDICT_UNAVAILABLE, false);
    slot->arena = arena_make(memory, REQUEST_ARENA_SIZE);
    ingest_check(slot->config, &slot->request, DOOR_SERVER, os_wall_us(), &slot->arena, &slot->ingest);
    clock_report_send(thread->shared->clock_reports, thread->shared->clock, &slot->ingest, slot->request.body);
    if (slot->ingest.verdict != VERDICT_ACCEPT) return answer_slot(c);
    slot->message.letter.weight = slot->ingest.event_count > 0 ? slot->ingest.event_count : 1;
    c->state = STATE_COMMIT;
    if (mailbox_put(thread->shared->keeper, &slot->message.letter)) return false;
    c->state = STATE_BODY;
    slot->ingest.verdict = VERDICT_UNAVAILABLE;
    slot->ingest.reason = STR("too many requests wait for the disk");
    return answer_slot(c);
}

static enum verdict verdict_of(enum http1_result result) {
    switch (result) {
    case HTTP1_LENGTH_REQUIRED: return VERDICT_LENGTH_REQUIRED;
    case HTTP1_TARGET_TOO_LONG: return VERDICT_TARGET_TOO_LONG;
    case HTTP1_HEAD_TOO_LARGE: return VERDICT_HEAD_TOO_LARGE;
    case HTTP1_CODING_UNKNOWN: return VERDICT_CODING_UNKNOWN;
    case HTTP1_VERSION_UNKNOWN: return VERDICT_VERSION_UNKNOWN;
    default: return VERDICT_BAD_REQUEST;
    }
}

/* Takes `size` new bytes at body + body_size. True: read on in another state. */
static bool body_feed(struct connection *c, size_t size) {
    struct slot *slot = c->slot;
    if (!slot->head.chunked) {
        slot->body_size += size;
        if (slot->body_size < slot->head.content_length) return false;
        slot->request.body = str_make(slot->body, slot->body_size);
        return request_complete(c);
    }
    size_t decoded, used;
    char *at = slot->body + slot->body_size;
    enum http1_result result = http1_chunks_read(&slot->chunks, at, size, &decoded, &used);
    if (result != HTTP1_OK && result != HTTP1_MORE) return refuse(c, verdict_of(result), true);
    slot->body_size += decoded;
    if (slot->body_size > slot->config->limits.body_size_max) return refuse(c, VERDICT_TOO_LARGE, true);
    if (result == HTTP1_MORE) return false;
    slot->leftover_at = (size_t)(at - slot->body) + used;
    slot->leftover_size = size - used;
    slot->request.body = str_make(slot->body, slot->body_size);
    return request_complete(c);
}

/* The next look at a body that is coming in: soon for its rate, and at its end of time. */
static void body_deadline_set(struct connection *c, int64_t now_us) {
    int64_t last_us = c->body_started_us + (int64_t)c->slot->config->limits.body_deadline_s * 1000000;
    int64_t next_us = now_us + BODY_RATE_CHECK_US;
    deadline_set(c, next_us < last_us ? next_us : last_us, now_us);
}

/* What came with the head goes where the body is read. */
static bool body_begin(struct connection *c) {
    struct slot *slot = c->slot;
    const struct http1_head *head = &slot->head;
    size_t behind = c->head_size - head->size;
    bool in_head = !head->chunked && head->size + head->content_length <= HTTP_HEAD_SIZE_MAX;
    c->state = STATE_BODY;
    if (in_head && behind >= head->content_length) {
        slot->request.body = str_make(c->head + head->size, (size_t)head->content_length);
        return request_complete(c);
    }
    if (!in_head && !slot_body_grow(slot, &c->thread->shared->budget, behind > 0 ? behind : 1, slot_body_limit(slot)))
        return refuse(c, VERDICT_UNAVAILABLE, true);

    int64_t now_us = os_mono_us();
    c->body_started_us = now_us;
    body_deadline_set(c, now_us);
    if (head->expect_continue && behind == 0) {
        /* RFC 9110 §10.1.1. A socket that cannot take 25 bytes is not worth waiting for. */
        const struct str go_on = STR("HTTP/1.1 100 Continue\r\n\r\n");
        size_t sent;
        if (stream_send(&c->stream, go_on.ptr, go_on.len, &sent) != FLOW_DONE || sent != go_on.len) {
            connection_abort(c);
            return false;
        }
    }
    if (in_head || behind == 0) return false;
    memcpy(slot->body, c->head + head->size, behind);
    return body_feed(c, behind);
}

/* Reads a head from what is in the buffer. True: another state, or another request, can go on with what is there. */
static bool head_run(struct connection *c) {
    struct io_thread *thread = c->thread;
    if (c->head_size == 0) return false;
    struct slot *slot = slot_take(&thread->pools);
    if (slot == NULL) return refuse(c, VERDICT_UNAVAILABLE, true);
    enum http1_result result =
        http1_head_read(str_make(c->head, c->head_size), &c->scanned, &slot->request, &slot->head);
    if (result != HTTP1_OK) {
        slot_give(&thread->pools, slot);
        if (result != HTTP1_MORE) return refuse(c, verdict_of(result), true);
        deadline_set(c, c->started_us + (int64_t)thread->config->limits.head_deadline_s * 1000000, os_mono_us());
        return false;
    }
    c->slot = slot;
    slot->thread = thread;
    slot->connection = c;
    slot->request_id = atomic_fetch_add_explicit(&thread->shared->next_request_id, 1, memory_order_relaxed);
    slot->config = config_hold(thread->config);

    bool has_body = slot->head.chunked || slot->head.content_length > 0;
    struct ingest_route route = thread->shared->null_server ? (struct ingest_route){VERDICT_ACCEPT, NULL}
                                                            : ingest_find(slot->config, &slot->request);
    slot->ingest.source = route.source;
    /* Refused before the body is read: the connection ends, since the body may still come. */
    if (route.verdict != VERDICT_ACCEPT) return refuse(c, route.verdict, has_body);
    if (slot->head.content_length > slot->config->limits.body_size_max) return refuse(c, VERDICT_TOO_LARGE, true);
    return body_begin(c);
}

/* As far as what is there allows. */
static void run(struct connection *c) {
    while (head_run(c))
        continue;
}

/* ---- events ---- */

/* The handshake may have ended with the last read. */
static void look_if_open(struct connection *c) {
    c->open = stream_is_open(&c->stream);
    if (!c->open || c->head_size > 0) return;
    int64_t now_us = os_mono_us();
    deadline_set(c, now_us + (int64_t)c->thread->config->limits.idle_deadline_s * 1000000, now_us);
}

/* Reads into memory; true where bytes came. False: nothing now, or the connection has ended. */
static bool receive(struct connection *c, char *memory, size_t room, size_t *ret_size) {
    enum flow flow = stream_receive(&c->stream, memory, room, ret_size);
    if (!c->open) look_if_open(c);
    if (flow == FLOW_DONE) {
        if (stream_has_pending(&c->stream)) event_active(c->read_event, EV_READ, 0);
        return true;
    }
    if (flow == FLOW_WAIT_READ || flow == FLOW_WAIT_WRITE) {
        if (c->head_size == 0 && c->head != NULL) { /* a read that gave only a piece of a handshake, or of a record */
            pool_give(&c->thread->pools.heads, c->head);
            c->head = NULL;
        }
        if (flow == FLOW_WAIT_WRITE) {
            read_pause(c);
            check(event_add(c->write_event, NULL) == 0);
        }
        return false;
    }
    if (flow == FLOW_BROKEN && c->stream.tls != NULL && tls_fault(c->stream.tls) != NULL)
        log_format(LOG_INFO, "a TLS connection was closed: %s", tls_fault(c->stream.tls));
    bool cut_off = flow == FLOW_END && (c->state == STATE_BODY || c->head_size > 0);
    if (cut_off)
        (void)refuse(c, VERDICT_BAD_REQUEST, true); /* half a request, and the client may still listen */
    else
        connection_abort(c);
    return false;
}

static void read_head(struct connection *c) {
    struct io_thread *thread = c->thread;
    bool first = c->head_size == 0;
    if (c->head == NULL) c->head = pool_take(&thread->pools.heads, HTTP_HEAD_SIZE_MAX);
    if (c->head == NULL) {
        connection_abort(c);
        return;
    }
    size_t size;
    if (!receive(c, c->head + c->head_size, HTTP_HEAD_SIZE_MAX - c->head_size, &size)) return;
    if (first) c->started_us = os_mono_us();
    c->head_size += size;
    run(c);
}

static void read_body(struct connection *c) {
    struct slot *slot = c->slot;
    size_t size;
    if (slot->body == NULL) {
        size_t need = slot->head.size + (size_t)slot->head.content_length;
        /* Up to the end of the buffer: what is behind the body is the next request. */
        if (!receive(c, c->head + c->head_size, HTTP_HEAD_SIZE_MAX - c->head_size, &size)) return;
        c->head_size += size;
        if (c->head_size < need) return;
        slot->request.body = str_make(c->head + slot->head.size, (size_t)slot->head.content_length);
        if (request_complete(c)) run(c);
        return;
    }
    if (!slot_body_grow(slot, &c->thread->shared->budget, slot->head.chunked ? HTTP_HEAD_SIZE_MAX : 1,
                        slot_body_limit(slot))) {
        (void)refuse(c, VERDICT_UNAVAILABLE, true);
        return;
    }
    size_t room = slot->body_capacity - slot->body_size;
    if (slot->head.chunked) {
        if (room > HTTP_HEAD_SIZE_MAX) room = HTTP_HEAD_SIZE_MAX; /* so that a leftover fits the head buffer */
    } else if (room > slot->head.content_length - slot->body_size) {
        room = (size_t)slot->head.content_length - slot->body_size;
    }
    if (!receive(c, slot->body + slot->body_size, room, &size)) return;
    if (body_feed(c, size)) run(c);
}

static void read_linger(struct connection *c) {
    size_t size;
    enum flow flow = stream_drop(&c->stream, &size);
    if (flow == FLOW_WAIT_READ) return;
    if (flow == FLOW_DONE) {
        c->lingered += size;
        if (c->lingered < LINGER_SIZE_MAX) return;
    }
    connection_free(c);
}

/* Goes on with a reply that the socket did not take at once. */
static void write_out(struct connection *c) {
    check(c->state == STATE_REPLY);
    while (c->out_sent < c->out_size) {
        size_t done;
        enum flow flow = stream_send(&c->stream, c->out + c->out_sent, c->out_size - c->out_sent, &done);
        if (flow == FLOW_WAIT_READ || flow == FLOW_WAIT_WRITE) {
            write_wait(c, flow);
            return;
        }
        if (flow != FLOW_DONE) {
            connection_abort(c);
            return;
        }
        c->out_sent += done;
    }
    check(event_del(c->write_event) == 0);
    free(c->out);
    c->out = NULL;
    if (c->slot == NULL && c->closing)
        linger(c);
    else if (request_end(c))
        run(c);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct connection *c = context;
    (void)fd, (void)what;
    check(c->magic == CONNECTION_MAGIC);
    switch (c->state) {
    case STATE_HEAD: read_head(c); break;
    case STATE_BODY: read_body(c); break;
    case STATE_LINGER: read_linger(c); break;
    case STATE_REPLY:
        if (c->write_waits_to_read) {
            write_out(c);
            break;
        }
        read_pause(c);
        break;
    case STATE_COMMIT: read_pause(c); break;
    }
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    struct connection *c = context;
    check(c->magic == CONNECTION_MAGIC);
    if (c->state == STATE_REPLY) {
        write_out(c);
        return;
    }
    /* It was reading that had to wait for this. */
    check(event_del(c->write_event) == 0);
    read_resume(c);
    on_readable(fd, what, c);
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    struct connection *c = context;
    (void)fd, (void)what;
    check(c->magic == CONNECTION_MAGIC);
    c->armed_us = 0;
    if (c->deadline_us == 0) return;
    int64_t now_us = os_mono_us();
    if (now_us < c->deadline_us) {
        timer_arm(c, c->deadline_us, now_us);
        return;
    }
    switch (c->state) {
    case STATE_HEAD:
        if (c->head_size > 0)
            (void)refuse(c, VERDICT_TIMED_OUT, true);
        else
            connection_abort(c);
        break;
    case STATE_BODY: {
        const struct slot *slot = c->slot;
        int64_t spent_us = now_us - c->body_started_us;
        size_t arrived = slot->body == NULL ? c->head_size - slot->head.size : slot->body_size;
        bool late = spent_us >= (int64_t)slot->config->limits.body_deadline_s * 1000000;
        if (late || (int64_t)arrived < spent_us / 1000000 * BODY_RATE_MIN)
            (void)refuse(c, VERDICT_TIMED_OUT, true);
        else
            body_deadline_set(c, now_us);
        break;
    }
    case STATE_REPLY:
    case STATE_LINGER: connection_abort(c); break;
    case STATE_COMMIT: break; /* has no deadline: the keeper always answers */
    }
}

/* ---- what the thread calls ---- */

struct connection *connection_next(const struct connection *connection) {
    return connection->next;
}

void connection_open(struct io_thread *thread, int fd) {
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) {
        stream_close(&(struct stream){.fd = fd});
        return;
    }
    c->magic = CONNECTION_MAGIC;
    c->thread = thread;
    c->stream.fd = fd;
    c->open = thread->tls == NULL;
    c->state = STATE_HEAD;
    c->read_event = event_new(thread->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->write_event = event_new(thread->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
    c->timer = event_new(thread->base, -1, 0, on_timer, c);
    const struct config_limits *limits = &thread->config->limits;
    const struct timeval first = {.tv_sec = c->open ? limits->idle_deadline_s : limits->head_deadline_s};
    c->next = thread->connections;
    if (c->next != NULL) c->next->previous = c;
    thread->connections = c;
    thread->connection_count++;
    if (thread->tls != NULL) c->stream.tls = tls_session_open(thread->tls, fd);
    if (c->read_event == NULL || c->write_event == NULL || c->timer == NULL ||
        (thread->tls != NULL && c->stream.tls == NULL) || event_add(c->read_event, NULL) != 0 ||
        event_add(c->timer, &first) != 0) {
        if (c->read_event != NULL) event_free(c->read_event);
        if (c->write_event != NULL) event_free(c->write_event);
        if (c->timer != NULL) event_free(c->timer);
        stream_close(&c->stream);
        thread->connections = c->next;
        if (c->next != NULL) c->next->previous = NULL;
        free(c);
        io_thread_connection_closed(thread);
        return;
    }
    metrics_connections(thread->metrics, thread->connection_count);
    c->deadline_us = c->armed_us = os_mono_us() + (int64_t)first.tv_sec * 1000000;
}

void connection_resume(struct slot *slot) {
    struct connection *c = slot->connection;
    check(c->magic == CONNECTION_MAGIC);
    check(c->state == STATE_COMMIT);
    check(c->slot == slot);
    c->state = STATE_BODY;
    if (c->gone) {
        connection_abort(c);
        return;
    }
    if (answer_slot(c)) run(c);
}

void connection_drain(struct connection *c) {
    if (c->state == STATE_HEAD && c->head_size == 0) connection_abort(c);
}
