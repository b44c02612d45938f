/* SPDX-License-Identifier: Apache-2.0 */
/* Clock, randomness, secret memory and files on Linux. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_us(clockid_t id) {
    struct timespec now;
    check(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t os_wall_us(void) { return clock_us(CLOCK_REALTIME); }
int64_t os_mono_us(void) { return clock_us(CLOCK_MONOTONIC); }

void os_random(void *memory, size_t size) {
    char *at = memory;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        check(got > 0);
        at += got;
        size -= (size_t)got;
    }
}

void os_wipe(void *memory, size_t size) {
    if (size > 0) explicit_bzero(memory, size);
}

/* A page-aligned mapping with its size in front, so that it can be kept out of dumps as a whole. */
struct secret_block {
    size_t size;
    _Alignas(16) char memory[];
};

void *os_secret_alloc(size_t size) {
    size_t total;
    if (__builtin_add_overflow(size, sizeof(struct secret_block), &total)) return NULL;
    struct secret_block *block = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return NULL;
    /* Both are best effort: the limit on locked memory may be small, and core dumps are off in the server anyway. */
    (void)mlock(block, total);
    (void)madvise(block, total, MADV_DONTDUMP);
    block->size = total;
    return block->memory;
}

void os_secret_free(void *memory, size_t size) {
    if (memory == NULL) return;
    struct secret_block *block =
        (struct secret_block *)(void *)((char *)memory - offsetof(struct secret_block, memory));
    check(block->size == size + sizeof(struct secret_block));
    size_t total = block->size;
    os_wipe(block, total);
    check(munmap(block, total) == 0);
}

static struct err system_error(const char *where) {
    int sys = errno;
    enum err_kind kind = sys == ENOENT || sys == ENOTDIR  ? ERR_ABSENT
                         : sys == EACCES || sys == EPERM  ? ERR_DENIED
                         : sys == ENOSPC || sys == EDQUOT ? ERR_FULL
                         : sys == ENOMEM                  ? ERR_MEMORY
                                                          : ERR_SYSTEM;
    return err_make(kind, sys, where);
}

static struct err read_all(int fd, size_t size_max, struct str *ret_content) {
    struct stat info;
    if (fstat(fd, &info) != 0) return system_error("look at the file");
    if (!S_ISREG(info.st_mode)) return err_make(ERR_INPUT, 0, "read it: it is not a regular file");
    if ((uint64_t)info.st_size > size_max) return err_make(ERR_INPUT, 0, "read it: the file is too large");
    /* A little more than it seems to hold, since it may grow while we read, but never more than size_max and one. */
    size_t room = (size_t)info.st_size + 4096 < size_max + 1 ? (size_t)info.st_size + 4096 : size_max + 1;
    char *memory = malloc(room + 1);
    if (memory == NULL) return err_make(ERR_MEMORY, ENOMEM, "read the file");
    size_t size = 0;
    for (;;) {
        ssize_t got = read(fd, memory + size, room - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            struct err failed = system_error("read the file");
            free(memory);
            return failed;
        }
        if (got == 0) break;
        size += (size_t)got;
        if (size == room) { /* it grew beyond what we can take */
            os_wipe(memory, size);
            free(memory);
            return err_make(ERR_INPUT, 0, "read it: the file is too large");
        }
    }
    memory[size] = '\0';
    *ret_content = str_make(memory, size);
    return err_ok();
}

struct err os_file_read(const char *path, size_t size_max, struct str *ret_content) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        struct err failed = system_error("open the file");
        /* Landlock refuses to open, but does not hide what the file's own permissions say. */
        if (failed.sys == EACCES && faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0)
            failed = err_make(ERR_OUTSIDE, 0, "open it: it is in no folder that was named at start; restart to use it");
        return failed;
    }
    struct err result = read_all(fd, size_max, ret_content);
    (void)close(fd); /* only read from: nothing can be lost */
    return result;
}

static struct err write_all(int fd, struct str content) {
    while (content.len > 0) {
        ssize_t written = write(fd, content.ptr, content.len);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return system_error("write the file");
        content = str_from_index(content, (size_t)written);
    }
    if (fsync(fd) != 0) return err_make(ERR_SYNC, errno, "sync the file");
    return err_ok();
}

static struct err sync_folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (folder == NULL) return err_make(ERR_MEMORY, ENOMEM, "sync the folder");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0) return system_error("open the folder");
    int failed = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return failed == 0 ? err_ok() : err_make(ERR_SYNC, failed, "sync the folder");
}

struct err os_file_replace(const char *path, mode_t mode, struct str content) {
    size_t size = strlen(path) + 32;
    char *temporary = malloc(size);
    if (temporary == NULL) return err_make(ERR_MEMORY, ENOMEM, "write the file");
    uint64_t unique;
    os_random(&unique, sizeof unique);
    (void)snprintf(temporary, size, "%s.%016llx", path, (unsigned long long)unique);
    struct err result;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        result = system_error("make the file");
        free(temporary);
        return result;
    }
    result = write_all(fd, content);
    if (!err_is(result) && fchmod(fd, mode) != 0) result = system_error("set the file's mode");
    if (close(fd) != 0 && !err_is(result)) result = system_error("close the file");
    if (!err_is(result) && rename(temporary, path) != 0) result = system_error("rename the file");
    if (err_is(result)) (void)unlink(temporary); /* best effort: the error is what counts */
    free(temporary);
    if (!err_is(result)) result = sync_folder_of(path);
    return result;
}

struct err os_private_dir(const char *path) {
    char *copy = strdup(path);
    if (copy == NULL) return err_make(ERR_MEMORY, ENOMEM, "make the folder");
    struct err result = err_ok();
    for (char *at = copy[0] == '\0' ? copy : copy + 1; !err_is(result); at++) {
        if (*at != '/' && *at != '\0') continue;
        char kept = *at;
        *at = '\0';
        if (mkdir(copy, 0700) == 0)
            result = sync_folder_of(copy);
        else if (errno != EEXIST)
            result = system_error("make the folder");
        *at = kept;
        if (kept == '\0') break;
    }
    free(copy);
    if (err_is(result)) return result;
    struct stat info;
    if (stat(path, &info) != 0) return system_error("look at the folder");
    if (!S_ISDIR(info.st_mode)) return err_make(ERR_DENIED, ENOTDIR, "use it as a folder");
    if (info.st_uid != geteuid() || (info.st_mode & 077) != 0)
        return err_make(ERR_DENIED, 0, "use the folder: it must be yours alone (chmod 700)");
    return err_ok();
}

struct err os_lock(const char *path, int *ret_fd) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return system_error("open the lock file");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        struct err result =
            errno == EWOULDBLOCK ? err_make(ERR_BUSY, errno, "take the lock") : system_error("take the lock");
        (void)close(fd);
        return result;
    }
    *ret_fd = fd;
    return err_ok();
}

void os_host_name(char *ret_name, size_t size) {
    char name[256]; /* HOST_NAME_MAX is 64 on Linux */
    if (gethostname(name, sizeof name) != 0 || name[0] == '\0') memcpy(name, "localhost", sizeof "localhost");
    name[sizeof name - 1] = '\0'; /* a longer name may come without its end */
    check(size > 0);
    (void)snprintf(ret_name, size, "%s", name); /* cut where it is too long */
}
