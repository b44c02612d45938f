/* SPDX-License-Identifier: Apache-2.0 */
/* Stores events, each by itself, many at once.
 *
 * Each event is a job. Its first request assumes what is usual (a head with room, content nobody has said before); one
 * whose condition does not hold changes nothing, and its answer tells what the next must assume: the modes of
 * dynamodb_request.h are the states a head can be in. So an event is stored by exactly one request that carries all of
 * it and its mark, and a crash between two requests leaves nothing behind that anybody would see.
 *
 *   OPEN ── its condition fails (the head is not given back: it would be large for nothing) ──> CLOSED
 *   CLOSED, TURN, ADOPT ── the head comes back: the event is in it: decided; else the mode that fits what came back
 *   any ── the event's own item comes back: decided
 *
 * Decided: what is stored carries our delivery id (a try that seemed lost had landed): STORED. Else a duplicate, or a
 * conflict where bytes_must_match and the digests differ. An answer that should have brought the item and did not is a
 * failure: FAILED is always safe, since the sender's retry finds whatever was stored.
 *
 * Jobs of one transaction, or of one content, run one after the other, so that a commit's own order is kept and its
 * copies are found. The bodies of batches are jobs too, before the events that name them. */
#include "base/os.h"
#include "codec/digest.h"
#include "codec/text.h"
#include "store/dynamodb.h"
#include "store/dynamodb_request.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    PAUSE_US_MIN = 25000,    /* the first pause where somebody else writes to the same items; doubled each time … */
    PAUSE_US_MAX = 1000000,  /* … up to this, and of it a random part */
    BODY_SIZE_INLINE = 4096, /* bytes of a batch's body that stand beside its only event */
    BODY_SIZE_SMALL = 256,   /* the same, whoever else has it */
    ITEM_ROOM = 4096,        /* what reading an item may need besides its own size */
};

enum progress { WAITING, RUNNING, PAUSED, ENDED };

struct commit;
struct job {
    struct commit *commit;
    enum progress progress;
    enum outcome outcome;
    struct job *after[3]; /* end before this one begins: same transaction, same content, its body */
    struct dynamodb_plan plan;
    struct dynamodb_reasons reasons;
    char repeats[EVENT_KEY_SIZE_MAX]; /* what plan.put.repeats points to */
    unsigned changes;                 /* of the plan */
    unsigned pauses;
    struct wire request;
    struct json_t *seen;  /* what plan.seen points to */
    char *memory;         /* and what slices of the adopted event point to */
    struct event foreign; /* what plan.foreign.event points to */
    struct str body;      /* of a job that is a batch's body; else ptr NULL */
    uint8_t body_sha256[32];
};

struct commit {
    struct dynamodb *d;
    int64_t deadline_us;
    struct job *jobs; /* the bodies' behind the events' */
    size_t count, ended, in_flight;
};

static void advance(struct commit *commit);

static void end(struct job *job, enum outcome outcome) {
    job->outcome = outcome;
    job->progress = ENDED;
    job->commit->ended++;
    wire_done(&job->request);
    wire_free(job->seen);
    free(job->memory);
    job->seen = NULL;
    job->memory = NULL;
}

static void fail(struct job *job, const char *what, struct err failure, const struct aws_answer *answer) {
    dynamodb_complain(job->commit->d, what, failure, answer);
    end(job, OUTCOME_FAILED);
}

static void on_answer(void *context, struct err failure, const struct aws_answer *answer);

static void send(struct job *job) {
    struct commit *commit = job->commit;
    bool single;
    if (job->body.ptr != NULL) {
        dynamodb_body_write(&job->request, job->plan.table, job->body, job->body_sha256, job->plan.put.delivery,
                            job->plan.tries, &single);
    } else {
        dynamodb_request_write(&job->request, &job->plan, &job->reasons);
        single = job->reasons.single;
    }
    job->plan.tries++;
    if (job->request.failed) {
        fail(job, "write a request", err_make(ERR_MEMORY, 0, "write a request"), NULL);
        return;
    }
    job->progress = RUNNING;
    commit->in_flight++;
    enum dynamodb_operation one = job->body.ptr != NULL ? DYNAMODB_PUT_ITEM : DYNAMODB_UPDATE_ITEM;
    dynamodb_start(commit->d, single ? one : DYNAMODB_TRANSACT_WRITE_ITEMS, wire_str(&job->request),
                   commit->deadline_us, on_answer, job);
}

/* ---- what an answer tells ---- */

/* The event is there: what is stored of it, whole or as a mark. */
static void decide(struct job *job, const struct json_t *stored) {
    const struct event *event = job->plan.put.event;
    char memory[64];
    struct arena arena = arena_make(memory, sizeof memory);
    bool bad = false;
    struct str delivery = wire_attribute(stored, "delivery", &arena, &bad);
    struct str sha256 = wire_attribute(stored, "payloadSha256", &arena, &bad);
    if (str_eq(delivery, str_make(job->plan.put.delivery, sizeof job->plan.put.delivery)))
        end(job, OUTCOME_STORED);
    else if (bad || sha256.len != sizeof event->payload_sha256)
        fail(job, "compare with what is stored", err_make(ERR_DAMAGED, 0, "compare with what is stored"), NULL);
    else if (event->bytes_must_match && memcmp(sha256.ptr, event->payload_sha256, sha256.len) != 0)
        end(job, OUTCOME_CONFLICT);
    else
        end(job, OUTCOME_DUPLICATE);
}

/* Makes the other program's item an event. False: no memory. */
static bool adopt(struct job *job, size_t size) {
    job->memory = malloc(size + ITEM_ROOM);
    if (job->memory == NULL) return false;
    struct arena arena = arena_make(job->memory, size + ITEM_ROOM);
    struct dynamodb_put *foreign = &job->plan.foreign;
    job->foreign =
        (struct event){.source = job->plan.put.event->source, .transaction_id = job->plan.put.event->transaction_id};
    dynamodb_foreign_read(job->seen, &arena, &job->foreign);
    *foreign = (struct dynamodb_put){
        .event = &job->foreign,
        .hash = dynamodb_hash_of(job->foreign.event_key),
        .size = dynamodb_inline_size(&job->foreign),
    };
    memset(foreign->delivery, '0', sizeof foreign->delivery); /* nobody's */
    foreign->own = foreign->size > DYNAMODB_INLINE_SIZE_MAX;
    if (foreign->own) foreign->size = DYNAMODB_MARK_SIZE;
    job->plan.is_foreign = memcmp(foreign->hash.text, job->plan.put.hash.text, sizeof foreign->hash.text) == 0;
    return true;
}

/* The head as it is, since the request's condition did not hold for it; NULL: there is none. True where the job goes
 * on with a plan that fits. */
static bool learn_head(struct job *job, struct json_t *head, size_t answer_size) {
    struct dynamodb_plan *plan = &job->plan;
    wire_free(job->seen);
    free(job->memory);
    job->memory = NULL;
    job->seen = NULL;
    plan->seen = NULL;
    plan->is_foreign = false;
    if (head == NULL) {
        plan->mode = DYNAMODB_OPEN;
        return true;
    }
    const struct json_t *stored = wire_map(head, dynamodb_event_name(plan->put.hash).text);
    if (stored != NULL) {
        decide(job, stored);
        return false;
    }
    plan->seen = job->seen = wire_hold(head);
    if (dynamodb_is_foreign(head)) {
        plan->mode = DYNAMODB_ADOPT;
        if (adopt(job, answer_size)) return true;
        fail(job, "keep an older program's item", err_make(ERR_MEMORY, 0, "keep an older program's item"), NULL);
        return false;
    }
    int64_t size = 0;
    bool sized = wire_integer(head, "eventsSize", &size), closed = wire_has(head, "closed");
    if (!sized) {
        fail(job, "read a transaction", err_make(ERR_DAMAGED, 0, "read a transaction"), NULL);
        return false;
    }
    if (!closed && size <= DYNAMODB_OPEN_SIZE_MAX)
        plan->mode = DYNAMODB_OPEN;
    else
        plan->mode = wire_count(wire_list(head, "eventOrder")) < DYNAMODB_ORDER_MAX ? DYNAMODB_CLOSED : DYNAMODB_TURN;
    return true;
}

/* The marker of what the event says; NULL: there is none. False: it cannot be read, and the job has ended. */
static bool learn_content(struct job *job, const struct json_t *marker) {
    struct dynamodb_plan *plan = &job->plan;
    const struct event *event = plan->put.event;
    plan->content = DYNAMODB_CONTENT_FIRST;
    plan->put.repeats = STR_NONE;
    if (marker == NULL) return true;
    char memory[2 * EVENT_KEY_SIZE_MAX + 16];
    struct arena arena = arena_make(memory, sizeof memory);
    bool bad = false;
    struct str first = wire_attribute(marker, "firstKey", &arena, &bad);
    struct str second = wire_attribute(marker, "secondKey", &arena, &bad);
    if (bad || first.ptr == NULL || first.len > EVENT_KEY_SIZE_MAX || second.len > EVENT_KEY_SIZE_MAX) {
        fail(job, "read what was said before", err_make(ERR_DAMAGED, 0, "read what was said before"), NULL);
        return false;
    }
    bool is_first = str_eq(first, event->event_key);
    struct str repeats = is_first ? second : first;
    plan->content = !is_first && second.ptr == NULL ? DYNAMODB_CONTENT_SECOND : DYNAMODB_CONTENT_NONE;
    if (repeats.ptr == NULL) return true;
    memcpy(job->repeats, repeats.ptr, repeats.len);
    plan->put.repeats = str_make(job->repeats, repeats.len);
    return true;
}

static void try_again(struct job *job) {
    if (++job->changes >= DYNAMODB_ATTEMPTS_MAX) {
        fail(job, "store an event that others keep changing", err_make(ERR_BUSY, 0, "store an event"), NULL);
        return;
    }
    job->plan.want_head = true;
    if (job->plan.is_foreign) job->plan.content = DYNAMODB_CONTENT_NONE;
    send(job);
}

/* A second pair of eyes is at work on the same items: wait for it. */
static bool is_contention(struct str code) {
    static const struct str codes[] = {{"TransactionConflict", 19},
                                       {"ThrottlingError", 15},
                                       {"ProvisionedThroughputExceeded", 29},
                                       {"RequestLimitExceeded", 20}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (str_eq(code, codes[i])) return true;
    return false;
}

struct reason {
    bool failed; /* its condition did not hold */
    struct json_t *item;
};

/* The reasons of a cancelled transaction. False: they cannot be understood. */
static bool read_reasons(const struct json_t *reasons, struct reason *ret_reasons, size_t size, bool *ret_contention) {
    size_t count = wire_count(reasons);
    for (size_t i = 0; i < count; i++) {
        const struct json_t *given = wire_at(reasons, i);
        struct str code = wire_member(given, "Code");
        if (is_contention(code)) {
            *ret_contention = true;
        } else if (str_eq(code, STR("ConditionalCheckFailed"))) {
            if (i < size) ret_reasons[i] = (struct reason){true, wire_object(given, "Item")};
        } else if (!str_eq(code, STR("None"))) {
            return false;
        }
    }
    return count > 0;
}

static void learn(struct job *job, const struct json_t *root, const struct aws_answer *answer) {
    enum { REASONS = 3 }; /* head, content, event: those looked at are among the first three */
    struct reason reasons[REASONS] = {{0}};
    bool contention = false;
    if (job->reasons.single) {
        reasons[0] = (struct reason){true, wire_object(root, "Item")};
    } else if (!read_reasons(wire_array(root, "CancellationReasons"), reasons, REASONS, &contention)) {
        fail(job, "store an event", err_ok(), answer);
        return;
    }
    const struct reason *head = &reasons[0], none = {0};
    const struct reason *content = job->reasons.content > 0 ? &reasons[job->reasons.content] : &none;
    const struct reason *event = job->reasons.event > 0 ? &reasons[job->reasons.event] : &none;
    if (event->failed && event->item != NULL) {
        decide(job, event->item);
        return;
    }
    if (content->failed && !learn_content(job, content->item)) return;
    if (head->failed && !job->plan.want_head) {
        job->plan.mode = DYNAMODB_CLOSED; /* or the event is there, or it is another program's: the next answer tells */
    } else if (head->failed) {
        if (!learn_head(job, head->item, answer->body.len)) return;
    }
    if (head->failed || content->failed) {
        try_again(job);
    } else if (contention) {
        job->progress = PAUSED;
        job->pauses++;
    } else {
        fail(job, "store an event", err_ok(), answer);
    }
}

static void on_answer(void *context, struct err failure, const struct aws_answer *answer) {
    struct job *job = context;
    struct commit *commit = job->commit;
    commit->in_flight--;
    bool condition = !err_is(failure) && (str_eq(answer->error, STR("ConditionalCheckFailedException")) ||
                                          str_eq(answer->error, STR("TransactionCanceledException")));
    if (err_is(failure)) {
        fail(job, "store an event", failure, answer);
    } else if (answer->status == 200) {
        if (job->body.ptr == NULL && job->plan.mode == DYNAMODB_ADOPT && job->plan.is_foreign) {
            bool same = memcmp(job->foreign.payload_sha256, job->plan.put.event->payload_sha256, 32) == 0;
            end(job, job->plan.put.event->bytes_must_match && !same ? OUTCOME_CONFLICT : OUTCOME_DUPLICATE);
        } else {
            end(job, OUTCOME_STORED);
        }
    } else if (condition) {
        struct json_t *root = wire_parse(answer->body);
        struct reason unused[1];
        bool contention = false;
        if (root == NULL) {
            fail(job, "store an event", err_make(ERR_NETWORK, 0, "read the answer"), answer);
        } else if (job->body.ptr == NULL) {
            learn(job, root, answer);
        } else if (read_reasons(wire_array(root, "CancellationReasons"), unused, 0, &contention) && contention) {
            job->progress = PAUSED;
            job->pauses++;
        } else {
            fail(job, "store the body of a batch", err_ok(), answer);
        }
        wire_free(root);
    } else {
        fail(job, "store an event", err_ok(), answer);
    }
    advance(commit);
}

/* ---- many at once ---- */

static bool may_begin(const struct job *job) {
    for (size_t i = 0; i < sizeof job->after / sizeof job->after[0]; i++)
        if (job->after[i] != NULL && job->after[i]->progress != ENDED) return false;
    return true;
}

static void advance(struct commit *commit) {
    for (size_t i = 0; i < commit->count && commit->in_flight < DYNAMODB_IN_FLIGHT_MAX; i++) {
        struct job *job = &commit->jobs[i];
        if (job->progress != WAITING || !may_begin(job)) continue;
        const struct job *before = job->after[0], *body = job->after[2];
        /* Where the event before found the head closed, it still is. */
        if (before != NULL && (before->plan.mode == DYNAMODB_CLOSED || before->plan.mode == DYNAMODB_TURN) &&
            job->plan.tries == 0) {
            job->plan.mode = DYNAMODB_CLOSED;
            job->plan.want_head = true;
        }
        if (body != NULL && body->outcome == OUTCOME_FAILED) {
            end(job, OUTCOME_FAILED); /* what was wrong is said already */
            i = SIZE_MAX;             /* others may have waited for it */
        } else {
            send(job);
            if (job->progress == ENDED) i = SIZE_MAX;
        }
    }
}

/* Those that met others wait a random part of a time that doubles; then they go on, unless it is too late. */
static void pause_and_resume(struct commit *commit) {
    unsigned pauses = UINT32_MAX;
    for (size_t i = 0; i < commit->count; i++)
        if (commit->jobs[i].progress == PAUSED && commit->jobs[i].pauses < pauses) pauses = commit->jobs[i].pauses;
    uint32_t drawn;
    os_random(&drawn, sizeof drawn);
    int64_t most = pauses <= 6 ? (int64_t)PAUSE_US_MIN << (pauses - 1) : PAUSE_US_MAX;
    int64_t pause = drawn % (most > PAUSE_US_MAX ? PAUSE_US_MAX : most);
    bool late = os_mono_us() + pause >= commit->deadline_us;
    if (!late) (void)usleep((useconds_t)pause); /* sooner is no harm */
    for (size_t i = 0; i < commit->count; i++) {
        struct job *job = &commit->jobs[i];
        if (job->progress != PAUSED) continue;
        if (late)
            fail(job, "store an event beside others", err_make(ERR_TIMEOUT, 0, "store an event"), NULL);
        else
            job->progress = WAITING;
    }
}

/* ---- setting up ---- */

static bool same_slice(struct str a, struct str b) { return a.ptr == b.ptr && a.len == b.len; }

/* How the body of the batch comes with the event: beside it, or in items that a job before it writes. */
static void place_body(struct commit *commit, struct job *job, size_t events) {
    struct dynamodb_put *put = &job->plan.put;
    put->body = put->event->request_body;
    if (put->body.ptr == NULL) return;
    bool alone = true;
    for (size_t i = 0; i < events && alone; i++)
        alone = &commit->jobs[i] == job || !same_slice(commit->jobs[i].plan.put.event->request_body, put->body);
    if (put->body.len <= BODY_SIZE_SMALL || (alone && put->body.len <= BODY_SIZE_INLINE)) {
        put->size += put->body.len;
        return;
    }
    struct job *body = NULL;
    for (size_t i = events; i < commit->count && body == NULL; i++)
        if (same_slice(commit->jobs[i].body, put->body)) body = &commit->jobs[i];
    if (body == NULL) {
        body = &commit->jobs[commit->count++];
        body->commit = commit;
        body->body = put->body;
        body->plan.table = str_from(commit->d->table);
        digest_sha256(put->body, body->body_sha256);
        memcpy(body->plan.put.delivery, put->delivery, sizeof put->delivery); /* drawn: its token */
    }
    put->body_apart = true;
    memcpy(put->body_sha256, body->body_sha256, sizeof put->body_sha256);
    job->after[2] = body;
}

static void begin(struct commit *commit, struct job *job, const struct event *event) {
    struct dynamodb_plan *plan = &job->plan;
    uint8_t delivery[DYNAMODB_HASH_SIZE / 2];
    job->commit = commit;
    plan->table = str_from(commit->d->table);
    dynamodb_head_key(event->source, event->transaction_id, &plan->head_key);
    plan->head = dynamodb_hash_of(dynamodb_key_str(&plan->head_key));
    plan->put.event = event;
    plan->put.hash = dynamodb_hash_of(event->event_key);
    plan->put.size = dynamodb_inline_size(event);
    plan->content = event->look_for_repeats ? DYNAMODB_CONTENT_FIRST : DYNAMODB_CONTENT_NONE;
    os_random(delivery, sizeof delivery);
    struct writer w = writer_make(plan->put.delivery, sizeof plan->put.delivery);
    text_hex_write(&w, delivery, sizeof delivery);
}

static void order_after(struct commit *commit, size_t index) {
    struct job *job = &commit->jobs[index];
    const struct event *event = job->plan.put.event;
    for (size_t i = index; i-- > 0;) {
        struct job *other = &commit->jobs[i];
        const struct event *before = other->plan.put.event;
        if (job->after[0] == NULL && memcmp(other->plan.head.text, job->plan.head.text, DYNAMODB_HASH_SIZE) == 0)
            job->after[0] = other;
        if (job->after[1] == NULL && event->look_for_repeats && before->look_for_repeats &&
            memcmp(event->content_sha256, before->content_sha256, sizeof event->content_sha256) == 0)
            job->after[1] = other;
    }
}

static bool fits(const struct event *event) {
    return event->payload.len <= DYNAMODB_BODY_SIZE_MAX && event->request_body.len <= DYNAMODB_BODY_SIZE_MAX;
}

struct err dynamodb_commit(void *state, const struct event *const *events, size_t count, enum outcome *ret_outcomes) {
    struct dynamodb *d = state;
    d->complaint_len = 0;
    struct commit commit = {.d = d, .deadline_us = dynamodb_deadline(d), .count = count};
    commit.jobs = calloc(2 * count, sizeof *commit.jobs);
    if (commit.jobs == NULL) return err_make(ERR_MEMORY, 0, "store events");
    for (size_t i = 0; i < count; i++)
        begin(&commit, &commit.jobs[i], events[i]);
    for (size_t i = 0; i < count; i++) {
        struct job *job = &commit.jobs[i];
        order_after(&commit, i);
        place_body(&commit, job, count);
        job->plan.put.own = job->plan.want_head = job->plan.put.size > DYNAMODB_INLINE_SIZE_MAX;
        if (job->plan.put.own) job->plan.put.size = DYNAMODB_MARK_SIZE;
        if (!fits(events[i])) fail(job, "store a body over 2 MiB", err_make(ERR_INPUT, 0, "store a body"), NULL);
    }
    while (commit.ended < commit.count) {
        advance(&commit);
        aws_run(d->aws);
        if (commit.ended < commit.count) pause_and_resume(&commit);
    }
    for (size_t i = 0; i < count; i++)
        ret_outcomes[i] = commit.jobs[i].outcome;
    free(commit.jobs);
    return err_ok();
}
