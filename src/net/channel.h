/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of net/client: TCP to a literal address, plain or with TLS, each of which carries one request and its
 * answer at a time. */
#ifndef PAYHOOK_NET_CHANNEL_H
#define PAYHOOK_NET_CHANNEL_H

#include "base/err.h"
#include "codec/answer.h"

#include <sys/queue.h>

enum { CHANNEL_WAIT_MS = 1000 };

struct event;
struct event_base;
struct tls;
struct tls_peer;

/* One request, and what comes back. Zeroed memory is a fresh one; its memory is kept from one request to the next. */
struct transfer {
    struct answer answer;         /* after `ended` without a failure: slices of `in` */
    bool writing, sent, answered; /* the connection stood and sending began; all was sent; a byte came back */
    char *out, *in;               /* private, as what follows */
    size_t out_size, out_room, sent_size;
    size_t in_size, in_room;
    struct str rest; /* of the request, behind out */
};
/* Makes it ready to be carried, for the first time or anew. The request must be sendable (net/message), and its body
 * live until the end. False: no memory. */
bool transfer_begin(struct transfer *transfer, const struct http_request *request);
/* Wipes what was sent and what came, and gives large memory back. */
void transfer_end(struct transfer *transfer);
void transfer_done(struct transfer *transfer);

struct channel;
/* Called from the loop only, but for moved, which channel_carry may call too. */
struct channel_calls {
    void (*moved)(struct channel *channel);                     /* writing, sent or answered has become true */
    void (*ended)(struct channel *channel, struct err failure); /* the answer is there, or none will come */
    void (*lost)(struct channel *channel);                      /* idle, and of no use any more */
};

struct channel {
    LIST_ENTRY(channel) next;          /* its owner's, as what follows */
    void *owner, *user;                /* whom it belongs to, and whose transfer it carries */
    bool kept;                         /* has carried one before */
    const struct channel_calls *calls; /* private, as what follows */
    int fd;
    struct tls_peer *peer; /* NULL: plain */
    struct event *readable, *writable;
    struct transfer *transfer; /* NULL: idle */
    bool connected, standing;  /* TCP's part of the handshake is over; so is TLS's */
    bool may_wait;             /* a call may wait for bytes: the descriptor is a blocking one */
    bool broken, mute;         /* in vain; nothing can be sent any more */
};

/* Begins one. tls NULL: plain. An address that cannot be reached is told by `ended`. NULL: no memory. */
struct channel *channel_open(struct event_base *base, struct tls *tls, struct str host, const char *address,
                             uint16_t port, const struct channel_calls *calls);
/* Also from within its own calls. */
void channel_close(struct channel *channel);
/* Carries a transfer that has begun and lives until ended or channel_close: sends at once what can be sent. */
void channel_carry(struct channel *channel, struct transfer *transfer);
/* Waits for bytes, for CHANNEL_WAIT_MS at most, without the loop; what they lead to is told as from there. False, and
 * it has not waited: this one needs the loop. */
bool channel_wait(struct channel *channel);
/* After an answer: true where it may carry another, and until then is idle. */
bool channel_rest(struct channel *channel);
/* Of an idle one: false where the peer has closed, or sent what nobody asked for. Both may be known to the kernel only,
 * when the process was frozen. */
bool channel_is_quiet(const struct channel *channel);
/* After a failure: true where the peer's certificate was the reason. */
bool channel_is_distrusted(const struct channel *channel);

#endif
