/* SPDX-License-Identifier: Apache-2.0 */
/* The disk first, then the sqlite3_vfs over it. */
#include "crash_vfs.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512 };

uint64_t random_next(uint64_t *state) {
    uint64_t x = *state != 0 ? *state : 0x9e3779b97f4a7c15U;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dU;
}

unsigned random_below(uint64_t *state, unsigned below) { return (unsigned)((random_next(state) >> 32) % below); }

/* ---- bytes ---- */

static void bytes_resize(struct bytes *b, size_t size) {
    if (size > b->room) {
        size_t room = 2 * b->room > size ? 2 * b->room : size;
        char *grown = realloc(b->ptr, room);
        check(grown != NULL);
        b->ptr = grown;
        b->room = room;
    }
    if (size > b->size) memset(b->ptr + b->size, 0, size - b->size);
    b->size = size;
}

static void bytes_put(struct bytes *b, size_t offset, const char *from, size_t size) {
    if (size == 0) return;
    if (b->size < offset + size) bytes_resize(b, offset + size);
    memcpy(b->ptr + offset, from, size);
}

static void bytes_set(struct bytes *b, const struct bytes *from) {
    bytes_resize(b, 0);
    bytes_put(b, 0, from->ptr, from->size);
}

static void bytes_free(struct bytes *b) {
    free(b->ptr);
    *b = (struct bytes){0};
}

/* ---- the disk ---- */

void disk_init(struct disk *disk, const char *database, size_t size) {
    *disk = (struct disk){0};
    struct disk_file *file = &disk->files[DISK_DB];
    file->present = file->name_durable = true;
    bytes_put(&file->durable, 0, database, size);
    bytes_put(&file->current, 0, database, size);
}

static void pend(struct disk_file *file, const struct disk_op *op) {
    if (file->pending_count == file->pending_room) {
        file->pending_room = file->pending_room > 0 ? 2 * file->pending_room : 64;
        const struct disk_op **grown = realloc(file->pending, file->pending_room * sizeof(struct disk_op *));
        check(grown != NULL);
        file->pending = grown;
    }
    file->pending[file->pending_count++] = op;
}

void disk_copy(const struct disk *from, struct disk *ret_disk) {
    *ret_disk = (struct disk){.mark = from->mark};
    for (int i = 0; i < DISK_FILES; i++) {
        const struct disk_file *file = &from->files[i];
        struct disk_file *copy = &ret_disk->files[i];
        copy->present = file->present;
        copy->name_durable = file->name_durable;
        copy->may_return = file->may_return;
        bytes_set(&copy->durable, &file->durable);
        bytes_set(&copy->current, &file->current);
        bytes_set(&copy->deleted, &file->deleted);
        for (size_t at = 0; at < file->pending_count; at++)
            pend(copy, file->pending[at]);
    }
}

static void apply_to(struct bytes *b, const struct disk_op *op) {
    if (op->kind == DISK_WRITE)
        bytes_put(b, op->offset, op->bytes, op->size);
    else
        bytes_resize(b, op->offset);
}

void disk_apply(struct disk *disk, const struct disk_op *op) {
    struct disk_file *file = &disk->files[op->name];
    switch (op->kind) {
    case DISK_CREATE:
        check(!file->present);
        file->present = true;
        file->name_durable = false;
        break;
    case DISK_WRITE:
    case DISK_TRUNCATE:
        apply_to(&file->current, op);
        pend(file, op);
        break;
    case DISK_SYNC:
        for (size_t i = 0; i < file->pending_count; i++)
            apply_to(&file->durable, file->pending[i]);
        file->pending_count = 0;
        file->name_durable = true; /* SQLite syncs the folder with the first sync of a log */
        file->may_return = false;
        break;
    case DISK_DELETE:
        if (file->name_durable) {
            bytes_set(&file->deleted, &file->durable);
            file->may_return = true;
        }
        if (op->folder_synced) file->may_return = false;
        file->present = file->name_durable = false;
        file->pending_count = 0;
        bytes_resize(&file->durable, 0);
        bytes_resize(&file->current, 0);
        break;
    }
}

bool disk_has_choice(const struct disk *disk) {
    for (int i = 0; i < DISK_FILES; i++) {
        const struct disk_file *file = &disk->files[i];
        if (file->pending_count > 0 || file->may_return || (file->present && !file->name_durable)) return true;
    }
    return false;
}

/* How the pending operations fare. Each is what some disk, or the kernel's writing back, does. */
enum fate { FATE_NONE, FATE_ALL, FATE_SOME, FATE_TORN_END, FATE_SECTORS, FATES };

/* Only some sectors of a write, each by chance. */
static void put_sectors(struct bytes *b, const struct disk_op *op, uint64_t *random) {
    for (size_t at = 0; at < op->size;) {
        size_t end = (op->offset + at) / SECTOR * SECTOR + SECTOR - op->offset;
        if (end > op->size) end = op->size;
        if (random_below(random, 2) == 1) bytes_put(b, op->offset + at, op->bytes + at, end - at);
        at = end;
    }
}

static void crash_file_bytes(const struct disk_file *file, enum fate fate, uint64_t *random, struct bytes *b) {
    size_t count = file->pending_count;
    bool torn = fate == FATE_TORN_END && count > 0;
    if (fate == FATE_NONE) return;
    if (torn) count = random_below(random, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        const struct disk_op *op = file->pending[i];
        if (fate == FATE_SOME && random_below(random, 2) == 0) continue;
        if (fate == FATE_SECTORS && op->kind == DISK_WRITE)
            put_sectors(b, op, random);
        else
            apply_to(b, op);
    }
    if (torn && file->pending[count]->kind == DISK_WRITE) {
        const struct disk_op *op = file->pending[count];
        size_t sectors = (op->offset % SECTOR + op->size) / SECTOR;
        size_t end = random_below(random, (unsigned)sectors + 1) * (size_t)SECTOR;
        if (end > op->offset % SECTOR) bytes_put(b, op->offset, op->bytes, end - op->offset % SECTOR);
    }
}

void disk_crash(const struct disk *disk, uint64_t *random, struct disk *ret_disk) {
    *ret_disk = (struct disk){.mark = disk->mark};
    for (int i = 0; i < DISK_FILES; i++) {
        const struct disk_file *file = &disk->files[i];
        struct disk_file *left = &ret_disk->files[i];
        enum fate fate = (enum fate)random_below(random, FATES);
        left->present = file->present && (file->name_durable || random_below(random, 2) == 1);
        if (left->present) {
            bytes_set(&left->durable, &file->durable);
            crash_file_bytes(file, fate, random, &left->durable);
        } else if (file->may_return && random_below(random, 2) == 1) {
            left->present = true;
            bytes_set(&left->durable, &file->deleted);
        }
        left->name_durable = left->present;
        bytes_set(&left->current, &left->durable);
    }
}

void disk_done(struct disk *disk) {
    for (int i = 0; i < DISK_FILES; i++) {
        bytes_free(&disk->files[i].durable);
        bytes_free(&disk->files[i].current);
        bytes_free(&disk->files[i].deleted);
        free(disk->files[i].pending);
    }
    for (size_t i = 0; i < disk->log_count; i++) {
        free(disk->log[i]->bytes);
        free(disk->log[i]);
    }
    free(disk->log);
    *disk = (struct disk){0};
}

/* Logs an operation and does it. bytes are copied. */
static void disk_do(struct disk *disk, struct disk_op op, const void *bytes) {
    struct disk_op *kept = malloc(sizeof *kept);
    check(kept != NULL);
    *kept = op;
    kept->mark = disk->mark;
    if (op.kind == DISK_WRITE) {
        kept->bytes = malloc(op.size);
        check(kept->bytes != NULL);
        memcpy(kept->bytes, bytes, op.size);
    }
    if (disk->log_count == disk->log_room) {
        disk->log_room = disk->log_room > 0 ? 2 * disk->log_room : 256;
        struct disk_op **grown = realloc(disk->log, disk->log_room * sizeof(struct disk_op *));
        check(grown != NULL);
        disk->log = grown;
    }
    disk->log[disk->log_count++] = kept;
    disk_apply(disk, kept);
}

/* ---- files, as SQLite calls them ---- */

struct crash_file {
    sqlite3_file base;
    struct crash_vfs *vfs;
    struct crash_file *next;
    enum disk_name name;
    int lock;                           /* SQLITE_LOCK_… */
    unsigned shm_shared, shm_exclusive; /* a bit a lock */
};

static struct crash_file *ours(sqlite3_file *file) { return (struct crash_file *)(void *)file; }
static struct disk_file *file_of(sqlite3_file *file) { return &ours(file)->vfs->disk->files[ours(file)->name]; }

static int file_close(sqlite3_file *file) {
    struct crash_file **at = &ours(file)->vfs->files;
    while (*at != ours(file))
        at = &(*at)->next;
    *at = ours(file)->next;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *to, int size, sqlite3_int64 at) {
    if (ours(file)->vfs->dead) return SQLITE_IOERR_READ;
    const struct bytes *b = &file_of(file)->current;
    size_t there = (size_t)at < b->size ? b->size - (size_t)at : 0;
    if (there > (size_t)size) there = (size_t)size;
    if (there > 0) memcpy(to, b->ptr + at, there);
    memset((char *)to + there, 0, (size_t)size - there);
    return there == (size_t)size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

/* Something else happens first, if it is time. */
static void let_in(struct crash_vfs *vfs) {
    void (*between)(void *) = vfs->between;
    if (between == NULL || vfs->between_after-- > 0) return;
    vfs->between = NULL;
    between(vfs->between_context);
}

static int file_write(sqlite3_file *file, const void *from, int size, sqlite3_int64 at) {
    if (ours(file)->vfs->dead) return SQLITE_IOERR_WRITE;
    let_in(ours(file)->vfs);
    struct disk_op op = {.kind = DISK_WRITE, .name = ours(file)->name, .offset = (size_t)at, .size = (size_t)size};
    disk_do(ours(file)->vfs->disk, op, from);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
    if (ours(file)->vfs->dead) return SQLITE_IOERR_TRUNCATE;
    let_in(ours(file)->vfs);
    struct disk_op op = {.kind = DISK_TRUNCATE, .name = ours(file)->name, .offset = (size_t)size};
    disk_do(ours(file)->vfs->disk, op, NULL);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags) {
    (void)flags;
    if (ours(file)->vfs->dead) return SQLITE_IOERR_FSYNC;
    let_in(ours(file)->vfs);
    if (ours(file)->vfs->lying) return SQLITE_OK;
    disk_do(ours(file)->vfs->disk, (struct disk_op){.kind = DISK_SYNC, .name = ours(file)->name}, NULL);
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size) {
    *ret_size = (sqlite3_int64)file_of(file)->current.size;
    return SQLITE_OK;
}

/* The highest lock that another connection has. */
static int others_lock(sqlite3_file *file) {
    int highest = SQLITE_LOCK_NONE;
    for (struct crash_file *at = ours(file)->vfs->files; at != NULL; at = at->next)
        if (at != ours(file) && at->name == ours(file)->name && at->lock > highest) highest = at->lock;
    return highest;
}

static int file_lock(sqlite3_file *file, int level) {
    int others = others_lock(file);
    bool free_for_us = level == SQLITE_LOCK_SHARED     ? others < SQLITE_LOCK_PENDING
                       : level == SQLITE_LOCK_RESERVED ? others < SQLITE_LOCK_RESERVED
                                                       : others == SQLITE_LOCK_NONE;
    if (!free_for_us) return SQLITE_BUSY;
    if (ours(file)->lock < level) ours(file)->lock = level;
    return SQLITE_OK;
}

static int file_unlock(sqlite3_file *file, int level) {
    if (ours(file)->lock > level) ours(file)->lock = level;
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *file, int *ret_is) {
    *ret_is = others_lock(file) >= SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *argument) {
    (void)file;
    if (op != SQLITE_FCNTL_HAS_MOVED) return SQLITE_NOTFOUND;
    *(int *)argument = 0;
    return SQLITE_OK;
}

/* As SQLite's own on Linux. */
static int file_sector_size(sqlite3_file *file) { return (void)file, 4096; }
static int file_characteristics(sqlite3_file *file) { return (void)file, SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

static int file_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret_memory) {
    struct crash_vfs *vfs = ours(file)->vfs;
    check(region < (int)(sizeof vfs->shm / sizeof vfs->shm[0]));
    if (vfs->dead) return SQLITE_IOERR_SHMMAP;
    if (vfs->shm[region] == NULL && extend != 0) vfs->shm[region] = calloc(1, (size_t)size);
    *ret_memory = vfs->shm[region];
    return SQLITE_OK;
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
    unsigned mask = ((1U << n) - 1) << offset;
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        ours(file)->shm_shared &= ~mask;
        ours(file)->shm_exclusive &= ~mask;
        return SQLITE_OK;
    }
    for (struct crash_file *at = ours(file)->vfs->files; at != NULL; at = at->next) {
        if (at == ours(file)) continue;
        if ((at->shm_exclusive & mask) != 0) return SQLITE_BUSY;
        if ((flags & SQLITE_SHM_EXCLUSIVE) != 0 && (at->shm_shared & mask) != 0) return SQLITE_BUSY;
    }
    if ((flags & SQLITE_SHM_EXCLUSIVE) != 0)
        ours(file)->shm_exclusive |= mask;
    else
        ours(file)->shm_shared |= mask;
    return SQLITE_OK;
}

static void file_shm_barrier(sqlite3_file *file) { (void)file; }

/* The last connection's end is the end of the memory, as a new first one begins with an empty one. */
static int file_shm_unmap(sqlite3_file *file, int delete) {
    struct crash_vfs *vfs = ours(file)->vfs;
    (void)delete;
    ours(file)->shm_shared = ours(file)->shm_exclusive = 0;
    for (struct crash_file *at = vfs->files; at != NULL; at = at->next)
        if (at != ours(file) && at->name == DISK_DB) return SQLITE_OK;
    for (size_t i = 0; i < sizeof vfs->shm / sizeof vfs->shm[0]; i++) {
        free(vfs->shm[i]);
        vfs->shm[i] = NULL;
    }
    return SQLITE_OK;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2, /* no xFetch: no mapped memory */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- the file system ---- */

/* DISK_FILES: none of ours. */
static enum disk_name name_of(const char *path) {
    size_t len = path != NULL ? strlen(path) : 0;
    if (len >= 3 && strcmp(path + len - 3, ".db") == 0) return DISK_DB;
    if (len >= 4 && strcmp(path + len - 4, "-wal") == 0) return DISK_WAL;
    return DISK_FILES;
}

static int vfs_open(sqlite3_vfs *v, sqlite3_filename path, sqlite3_file *file, int flags, int *ret_flags) {
    struct crash_vfs *vfs = v->pAppData;
    enum disk_name name = name_of(path);
    ours(file)->base.pMethods = NULL;
    if (vfs->dead || name == DISK_FILES) return SQLITE_CANTOPEN;
    if (!vfs->disk->files[name].present) {
        if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
        disk_do(vfs->disk, (struct disk_op){.kind = DISK_CREATE, .name = name}, NULL);
    }
    *ours(file) = (struct crash_file){.base = {&file_methods}, .vfs = vfs, .next = vfs->files, .name = name};
    vfs->files = ours(file);
    if (ret_flags != NULL) *ret_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *v, const char *path, int sync_folder) {
    struct crash_vfs *vfs = v->pAppData;
    enum disk_name name = name_of(path);
    if (vfs->dead) return SQLITE_IOERR_DELETE;
    if (name == DISK_FILES || !vfs->disk->files[name].present) return SQLITE_IOERR_DELETE_NOENT;
    bool synced = sync_folder != 0 && !vfs->lying;
    disk_do(vfs->disk, (struct disk_op){.kind = DISK_DELETE, .name = name, .folder_synced = synced}, NULL);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *v, const char *path, int flags, int *ret_is) {
    const struct crash_vfs *vfs = v->pAppData;
    enum disk_name name = name_of(path);
    (void)flags;
    *ret_is = name != DISK_FILES && vfs->disk->files[name].present && vfs->disk->files[name].current.size > 0;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *v, const char *path, int size, char *ret_path) {
    (void)v;
    if (strlen(path) >= (size_t)size) return SQLITE_CANTOPEN;
    memcpy(ret_path, path, strlen(path) + 1);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *v, int size, char *to) {
    struct crash_vfs *vfs = v->pAppData;
    for (int i = 0; i < size; i++)
        to[i] = (char)random_next(&vfs->random);
    return size;
}

/* Nobody waits, and time stands still. */
static int vfs_sleep(sqlite3_vfs *v, int us) { return (void)v, us; }
static int vfs_time64(sqlite3_vfs *v, sqlite3_int64 *ret_ms) {
    (void)v;
    *ret_ms = INT64_C(212000000000000);
    return SQLITE_OK;
}
static int vfs_time(sqlite3_vfs *v, double *ret_days) {
    (void)v;
    *ret_days = 2453703.5;
    return SQLITE_OK;
}
static int vfs_last_error(sqlite3_vfs *v, int size, char *text) { return (void)v, (void)size, (void)text, 0; }

void crash_vfs_init(struct crash_vfs *vfs) {
    *vfs = (struct crash_vfs){.vfs = {
                                  .iVersion = 2,
                                  .szOsFile = (int)sizeof(struct crash_file),
                                  .mxPathname = 512,
                                  .zName = "crash",
                                  .pAppData = vfs,
                                  .xOpen = vfs_open,
                                  .xDelete = vfs_delete,
                                  .xAccess = vfs_access,
                                  .xFullPathname = vfs_full_path,
                                  .xRandomness = vfs_randomness,
                                  .xSleep = vfs_sleep,
                                  .xCurrentTime = vfs_time,
                                  .xGetLastError = vfs_last_error,
                                  .xCurrentTimeInt64 = vfs_time64,
                              }};
    check(sqlite3_vfs_register(&vfs->vfs, 1) == SQLITE_OK);
}

void crash_vfs_done(struct crash_vfs *vfs) {
    check(vfs->files == NULL);
    check(sqlite3_vfs_unregister(&vfs->vfs) == SQLITE_OK);
}
