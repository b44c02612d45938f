/* SPDX-License-Identifier: Apache-2.0 */
/* The words of failures, and the end of a program that found a bug in itself. */
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

/* Writes one line and aborts. It says where, never what the bytes were. */
_Noreturn void check_failed(const char *condition, const char *file, int line) {
    fprintf(stderr, "payhook: bug: check failed: %s (%s:%d)\n", condition, file, line);
    abort();
}

const char *err_kind_text(enum err_kind kind) {
    switch (kind) {
    case ERR_OK: return "no error";
    case ERR_SYSTEM: return "the system refused";
    case ERR_MEMORY: return "there is no memory left";
    case ERR_FULL: return "the disk is full";
    case ERR_SYNC: return "the disk did not confirm a write";
    case ERR_BUSY: return "somebody else holds it";
    case ERR_DAMAGED: return "it is damaged";
    case ERR_NEWER: return "it was made by a newer version";
    case ERR_ABSENT: return "it is not there";
    case ERR_DENIED: return "its permissions or owner are wrong";
    case ERR_OUTSIDE: return "it was not named at start";
    case ERR_INPUT: return "it is not as it must be";
    case ERR_NETWORK: return "the peer could not be reached or broke off";
    case ERR_TIMEOUT: return "it took too long";
    }
    return "unknown";
}
