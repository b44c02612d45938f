/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way: made when its head is complete, handed to the keeper with everything it needs, and freed when
 * its reply is written. */
#ifndef PAYHOOK_APP_SLOT_H
#define PAYHOOK_APP_SLOT_H

#include "app/mailbox.h"
#include "codec/http1.h"
#include "core/ingest.h"

enum message_kind {
    MESSAGE_SLOT,   /* struct slot, back from the keeper */
    MESSAGE_CONFIG, /* struct io_command: use this configuration from now on */
    MESSAGE_DRAIN,  /* struct io_command: accept no more, finish what is in flight, end */
};

/* What an I/O thread finds in its inbox. */
struct message {
    struct letter letter;
    enum message_kind kind;
};

struct io_thread;
struct connection;

struct slot {
    struct message message;
    struct io_thread *thread; /* where it goes back to */
    struct connection *connection;
    struct config *config; /* held until the reply */
    struct ingest ingest;
    struct arena arena;
    struct slot *next_free;
    uint64_t request_id;
    char *body; /* malloc'd; NULL while the body lies in the head buffer */
    size_t body_size, body_capacity;
    struct body_budget *budget;        /* what body_capacity was claimed from */
    size_t leftover_at, leftover_size; /* in body: bytes of the next request that came with a chunked body */
    struct http1_chunks chunks;
    struct http1_head head;
    struct http_request request; /* large, and not cleared */
};

/* Bytes that the bodies of all connections may hold together. */
struct body_budget {
    atomic_size_t used;
    size_t size;
};

/* Memory of one I/O thread that is used again. It grows to what was needed at once; the budget and the connection limit
 * bound that. */
struct pools {
    char *heads;  /* of HTTP_HEAD_SIZE_MAX bytes, linked through their first bytes */
    char *arenas; /* of REQUEST_ARENA_SIZE bytes, the same */
    struct slot *slots;
};
/* A piece of the pool, or of fresh memory; NULL where there is none. */
char *pool_take(char **pool, size_t size);
void pool_give(char **pool, char *piece);
void pools_done(struct pools *pools);

/* A slot whose members up to request are zero; NULL where there is no memory. */
struct slot *slot_take(struct pools *pools);
/* Gives back the slot and all it holds: body, arena, configuration. */
void slot_give(struct pools *pools, struct slot *slot);

/* At most how many bytes the slot's body may need room for. */
size_t slot_body_limit(const struct slot *slot);
/* Room for at least `more` bytes behind body_size, claimed from the budget in pieces; at most limit bytes in all.
 * False: the budget or memory is used up. */
bool slot_body_grow(struct slot *slot, struct body_budget *budget, size_t more, size_t limit);

#endif
