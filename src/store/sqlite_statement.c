/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite store's statements: their parameters, their running, and what a failure means. */
#include "store/sqlite.h"

#include <errno.h>

/* What a result code means, right after the call that gave it. Writing, a failure of the disk leaves it open what is
 * stored; reading, it is only a failure.
 *
 * The cause is in errno, which that call began with at 0. sqlite3_system_errno would not do: a failed COMMIT does not
 * set it, so that it may tell of an earlier failure, and a stale ENOSPC would make a lost write look harmless. */
struct err sqlite_failure(int rc, bool writing, const char *where) {
    int sys = errno;
    bool full = sys == ENOSPC || sys == EDQUOT;
    switch (rc & 0xff) {
    case SQLITE_FULL: return err_make(ERR_FULL, ENOSPC, where);
    case SQLITE_NOMEM: return err_make(ERR_MEMORY, 0, where);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return err_make(ERR_BUSY, 0, where);
    case SQLITE_PERM:
    case SQLITE_READONLY: return err_make(ERR_DENIED, sys, where);
    case SQLITE_CANTOPEN:
        if (full) return err_make(ERR_FULL, sys, where);
        return err_make(sys == EACCES || sys == EPERM || sys == EROFS ? ERR_DENIED : ERR_SYSTEM, sys, where);
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM) return err_make(ERR_MEMORY, 0, where);
        if (!writing) return err_make(ERR_SYSTEM, sys, where);
        /* Also with ENOSPC: a file system may say so only when it is synced, and then pages are lost. */
        if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC) return err_make(ERR_SYNC, sys, where);
        return err_make(full ? ERR_FULL : ERR_SYNC, sys, where);
    case SQLITE_TOOBIG: return err_make(ERR_INPUT, 0, where);
    /* CORRUPT and NOTADB; and what can only come from a schema or rows that somebody changed: ERROR, SCHEMA,
     * CONSTRAINT. */
    default: return err_make(ERR_DAMAGED, 0, where);
    }
}

void sqlite_bind_i64(struct binder *b, int64_t value) {
    b->at++;
    if (b->rc == SQLITE_OK) b->rc = sqlite3_bind_int64(b->statement, b->at, value);
}
void sqlite_bind_null(struct binder *b) {
    b->at++;
    if (b->rc == SQLITE_OK) b->rc = sqlite3_bind_null(b->statement, b->at);
}
void sqlite_bind_text(struct binder *b, struct str text) {
    b->at++;
    const char *ptr = text.ptr != NULL ? text.ptr : "";
    if (b->rc == SQLITE_OK) b->rc = sqlite3_bind_text64(b->statement, b->at, ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
}
void sqlite_bind_optional(struct binder *b, struct str text) {
    if (text.ptr != NULL)
        sqlite_bind_text(b, text);
    else
        sqlite_bind_null(b);
}
void sqlite_bind_blob(struct binder *b, struct str bytes) {
    b->at++;
    if (b->rc == SQLITE_OK) b->rc = sqlite3_bind_blob64(b->statement, b->at, bytes.ptr, bytes.len, SQLITE_STATIC);
}

/* UTF-8 (RFC 3629 §4) without NUL. */
static bool is_text(struct str s) {
    const unsigned char *at = (const unsigned char *)s.ptr, *end = at + s.len;
    while (at < end) {
        uint64_t eight;
        if ((size_t)(end - at) >= sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            uint64_t high_or_nul = (eight | (eight - 0x0101010101010101U)) & 0x8080808080808080U;
            if (high_or_nul == 0) {
                at += sizeof eight;
                continue;
            }
        }
        unsigned char first = *at++;
        if (first == 0) return false;
        if (first < 0x80) continue;
        if (first < 0xc2 || first > 0xf4) return false;
        ptrdiff_t more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        if (end - at < more) return false;
        unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (at[0] < least || at[0] > most) return false;
        for (ptrdiff_t i = 1; i < more; i++)
            if ((at[i] & 0xc0) != 0x80) return false;
        at += more;
    }
    return true;
}

void sqlite_bind_bytes(struct binder *b, struct str bytes) {
    if (bytes.ptr == NULL || is_text(bytes))
        sqlite_bind_text(b, bytes);
    else
        sqlite_bind_blob(b, bytes);
}

int sqlite_step(sqlite3_stmt *statement) {
    errno = 0;
    return sqlite3_step(statement);
}

/* Runs a statement that gives no rows. */
int sqlite_run(struct binder *b) {
    int rc = b->rc == SQLITE_OK ? sqlite_step(b->statement) : b->rc;
    int reset = sqlite3_reset(b->statement);
    return rc == SQLITE_DONE ? reset : rc;
}

int sqlite_run_plain(struct sqlite_store *s, enum statement which) {
    struct binder b = {.statement = s->statements[which]};
    return sqlite_run(&b);
}

/* Runs a statement that gives one number at most; SQLITE_DONE where it gives none, or NULL. */
int sqlite_run_number(struct binder *b, int64_t *ret_value) {
    int rc = b->rc == SQLITE_OK ? sqlite_step(b->statement) : b->rc;
    bool none = rc == SQLITE_ROW && sqlite3_column_type(b->statement, 0) != SQLITE_INTEGER;
    int64_t value = rc == SQLITE_ROW ? sqlite3_column_int64(b->statement, 0) : 0;
    (void)sqlite3_reset(b->statement); /* repeats what step said */
    if (none) return SQLITE_DONE;
    if (rc == SQLITE_ROW) *ret_value = value;
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}
