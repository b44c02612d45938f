/* SPDX-License-Identifier: Apache-2.0 */
/* Failures of the world, returned by value. Three things are never mixed: a bug stops the program (check), a failure of
 * the world is a struct err, and what a stranger sent is an ordinary answer (enum verdict, event/verdict.h). */
#ifndef PAYHOOK_BASE_ERR_H
#define PAYHOOK_BASE_ERR_H

#include <stdbool.h>

enum err_kind {
    ERR_OK = 0,
    ERR_SYSTEM,  /* a system call failed: sys holds its errno */
    ERR_MEMORY,  /* no memory */
    ERR_FULL,    /* no room on the disk: a later try may succeed */
    ERR_SYNC,    /* a write to stable storage failed: what was written can no longer be trusted; stop */
    ERR_BUSY,    /* somebody else holds it */
    ERR_DAMAGED, /* stored bytes are not what was stored */
    ERR_NEWER,   /* stored by a newer program */
    ERR_ABSENT,  /* it is not there */
    ERR_DENIED,  /* permissions or ownership are not what they must be */
    ERR_OUTSIDE, /* the sandbox that was entered at start keeps it out of reach: a restart is needed */
    ERR_INPUT,   /* a file or argument of the operator's is wrong */
    ERR_NETWORK, /* a peer could not be reached, or did not keep to its protocol */
    ERR_TIMEOUT, /* a deadline passed */
};

/* where: a static string, a phrase that completes "could not …". */
struct err {
    enum err_kind kind;
    int sys;
    const char *where;
};

#define MUST_USE __attribute__((warn_unused_result))

static inline struct err err_ok(void) { return (struct err){ERR_OK, 0, ""}; }
static inline struct err err_make(enum err_kind kind, int sys, const char *where) {
    return (struct err){kind, sys, where};
}
static inline bool err_is(struct err e) { return e.kind != ERR_OK; }

/* Returns from the calling function with the error of step, if it has one. */
#define TRY(step)                                                                                                      \
    do {                                                                                                               \
        struct err try_err_ = (step);                                                                                  \
        if (err_is(try_err_)) return try_err_;                                                                         \
    } while (0)

/* Always on: a wrong answer about money is worse than a restart. Never about what a stranger can send. */
#define check(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))
_Noreturn void check_failed(const char *condition, const char *file, int line);

/* The kind as words for a sentence ("the disk is full"). Static. */
const char *err_kind_text(enum err_kind kind);

#endif
