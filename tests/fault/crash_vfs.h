/* SPDX-License-Identifier: Apache-2.0 */
/* A disk in memory that can lose power, and the sqlite3_vfs that puts SQLite on it.
 *
 * A file has durable bytes (those that the last sync made safe), current bytes (what a reader sees) and pending
 * operations in between. A sync makes the pending ones durable. A crash keeps none, all, some of them, or all up to one
 * that is torn, cut at 512 bytes. A new file may vanish before its first sync, and a deleted one come back before the
 * folder is synced or a successor is.
 *
 * Every operation is kept in the disk's log, so that what the disk was before any of them can be made again without
 * running SQLite. Locks and the shared memory of the write-ahead log are in the heap: they end with the process, as a
 * kill or a power cut ends them. It has two files, a database and its log, and no rollback journal. */
#ifndef PAYHOOK_TESTS_CRASH_VFS_H
#define PAYHOOK_TESTS_CRASH_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

enum disk_name { DISK_DB, DISK_WAL, DISK_FILES };
enum disk_op_kind { DISK_CREATE, DISK_WRITE, DISK_TRUNCATE, DISK_SYNC, DISK_DELETE };

struct disk_op {
    enum disk_op_kind kind;
    enum disk_name name;
    size_t offset; /* DISK_WRITE; DISK_TRUNCATE: the new size */
    size_t size;
    char *bytes;        /* DISK_WRITE: owned */
    bool folder_synced; /* DISK_DELETE */
    unsigned mark;      /* the disk's when it came: what the test had been promised by then */
};

struct bytes {
    char *ptr;
    size_t size, room;
};

struct disk_file {
    bool present, name_durable, may_return;
    struct bytes durable, current, deleted; /* deleted: durable bytes of one that may return */
    const struct disk_op **pending;         /* since the last sync, in order; the log owns them */
    size_t pending_count, pending_room;
};

struct disk {
    struct disk_file files[DISK_FILES];
    struct disk_op **log; /* owned */
    size_t log_count, log_room;
    unsigned mark;
};

/* xorshift64*: the same seed makes the same run everywhere. */
uint64_t random_next(uint64_t *state);
/* From 0 to below - 1. */
unsigned random_below(uint64_t *state, unsigned below);

/* An empty disk with a durable database. */
void disk_init(struct disk *disk, const char *database, size_t size);
/* All of another but its log, which must outlive the copy. */
void disk_copy(const struct disk *from, struct disk *ret_disk);
/* Does one operation without logging it. The op must outlive the disk. */
void disk_apply(struct disk *disk, const struct disk_op *op);
/* Whether a crash now could leave different bytes behind. */
bool disk_has_choice(const struct disk *disk);
/* What is there when power is back: chosen by random. */
void disk_crash(const struct disk *disk, uint64_t *random, struct disk *ret_disk);
void disk_done(struct disk *disk);

struct crash_file;
struct crash_vfs {
    sqlite3_vfs vfs;
    struct disk *disk;        /* which it works on; changed only while no file is open */
    bool dead;                /* the process was killed: every call fails, and nothing is changed */
    bool lying;               /* syncs are said to be done, and are not */
    struct crash_file *files; /* open ones */
    /* Called before an operation that changes the disk, once `between_after` others have been; then it is forgotten. It
     * may use another connection: so two can be at work at the same time, in one thread. */
    void (*between)(void *context);
    void *between_context;
    unsigned between_after;
    void *shm[8]; /* regions */
    uint64_t random;
};
/* Registered as the default until crash_vfs_done. */
void crash_vfs_init(struct crash_vfs *vfs);
void crash_vfs_done(struct crash_vfs *vfs);

#endif
