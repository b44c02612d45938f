/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the nth call of one kind fail, in any program it is preloaded into.
 *
 *   SHIM=CALL:NTH:ERROR[:PATH]  LD_PRELOAD=shim.so
 *
 * CALL is a row of `calls` below, a kind of library calls. NTH counts those whose file has PATH in its name (all, where
 * it is not given) from 1; with a + behind it every later one fails too. ERROR is the name of an errno, or "short"
 * (half is written or sent), or "lie" (success is said and nothing done). With SHIM_COUNT=FILE, a file of 16 bytes, the
 * number of calls that counted and of those that failed are kept in it, whatever becomes of the process.
 *
 * It sees calls through the dynamic linker only: what the C library does inside itself, such as fopen, it does not. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum call {
    CALL_NONE,
    CALL_OPEN,
    CALL_READ,
    CALL_WRITE,
    CALL_SYNC,
    CALL_TRUNCATE,
    CALL_RENAME,
    CALL_UNLINK,
    CALL_MMAP,
    CALL_MALLOC,
    CALL_ACCEPT,
    CALL_RECV,
    CALL_SEND,
    CALLS
};
static const char *const calls[CALLS] = {
    [CALL_NONE] = "none", [CALL_OPEN] = "open",         [CALL_READ] = "read",     [CALL_WRITE] = "write",
    [CALL_SYNC] = "sync", [CALL_TRUNCATE] = "truncate", [CALL_RENAME] = "rename", [CALL_UNLINK] = "unlink",
    [CALL_MMAP] = "mmap", [CALL_MALLOC] = "malloc",     [CALL_ACCEPT] = "accept", [CALL_RECV] = "recv",
    [CALL_SEND] = "send",
};

/* Beside the names of errnos: what else can happen to a call. */
enum { SHORT = -1, LIE = -2 };
static const struct {
    const char *name;
    int value;
} errors[] = {
    {"EIO", EIO},
    {"ENOSPC", ENOSPC},
    {"EINTR", EINTR},
    {"EMFILE", EMFILE},
    {"ENOMEM", ENOMEM},
    {"EACCES", EACCES},
    {"EPIPE", EPIPE},
    {"EDQUOT", EDQUOT},
    {"ECONNRESET", ECONNRESET},
    {"ECONNABORTED", ECONNABORTED},
    {"short", SHORT},
    {"lie", LIE},
};

struct counts {
    _Atomic uint64_t seen, failed;
};

/* The one state there is: set before main, then read, and its counters added to. */
static struct {
    enum call call;
    uint64_t nth;
    bool and_later;
    int error;
    char path[64];
    struct counts *counts, own;
} shim;

static int number_of(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (strlen(errors[i].name) == len && memcmp(errors[i].name, name, len) == 0) return errors[i].value;
    return 0;
}

static _Noreturn void refuse(const char *what) {
    (void)fprintf(stderr, "shim: %s in SHIM=CALL:NTH:ERROR[:PATH]\n", what);
    _exit(99);
}

__attribute__((constructor)) static void set_up(void) {
    const char *text = getenv("SHIM"), *file = getenv("SHIM_COUNT");
    shim.counts = &shim.own;
    if (file != NULL) {
        int fd = open(file, O_RDWR | O_CLOEXEC);
        void *memory = mmap(NULL, sizeof *shim.counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd < 0 || memory == MAP_FAILED) refuse("no file of SHIM_COUNT");
        (void)close(fd); /* the mapping stays */
        shim.counts = memory;
    }
    if (text == NULL) return;
    const char *nth = strchr(text, ':'), *error = nth != NULL ? strchr(nth + 1, ':') : NULL;
    if (error == NULL) refuse("too little");
    const char *path = strchr(error + 1, ':');
    char *end;
    shim.nth = strtoull(nth + 1, &end, 10);
    shim.and_later = *end == '+';
    size_t error_len = path != NULL ? (size_t)(path - error) - 1 : strlen(error + 1);
    shim.error = number_of(error + 1, error_len);
    if (shim.error == 0) refuse("unknown error");
    if (path != NULL) (void)snprintf(shim.path, sizeof shim.path, "%s", path + 1);
    enum call call = CALL_NONE;
    for (int i = 1; i < CALLS; i++)
        if (strlen(calls[i]) == (size_t)(nth - text) && memcmp(calls[i], text, (size_t)(nth - text)) == 0)
            call = (enum call)i;
    if (call == CALL_NONE) refuse("unknown call");
    shim.call = call; /* from now on */
}

/* Whether this call is the one. */
static bool strikes(void) {
    uint64_t at = atomic_fetch_add(&shim.counts->seen, 1) + 1;
    if (at != shim.nth && !(shim.and_later && at > shim.nth)) return false;
    (void)atomic_fetch_add(&shim.counts->failed, 1);
    if (shim.error > 0) errno = shim.error;
    return true;
}

static bool strikes_path(enum call call, const char *path) {
    if (shim.call != call) return false;
    return (shim.path[0] == '\0' || (path != NULL && strstr(path, shim.path) != NULL)) && strikes();
}

static bool strikes_fd(enum call call, int fd) {
    if (shim.call != call) return false;
    char link[64], path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    return strikes_path(call, path);
}

static bool strikes_any(enum call call) { return shim.call == call && strikes(); }

/* The next definition of the function that this one hides. */
#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

/* ---- files ---- */

#define OPEN_BODY(name, call_real)                                                                                     \
    mode_t mode = 0;                                                                                                   \
    if ((flags & (O_CREAT | __O_TMPFILE)) != 0) {                                                                      \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        mode = va_arg(arguments, mode_t);                                                                              \
        va_end(arguments);                                                                                             \
    }                                                                                                                  \
    return strikes_path(CALL_OPEN, path) ? -1 : call_real;

int open(const char *path, int flags, ...) { OPEN_BODY(open, REAL(open)(path, flags, mode)) }
int open64(const char *path, int flags, ...) { OPEN_BODY(open64, REAL(open64)(path, flags, mode)) }
int openat(int folder, const char *path, int flags, ...) { OPEN_BODY(openat, REAL(openat)(folder, path, flags, mode)) }
int openat64(int folder, const char *path, int flags,
             ...){OPEN_BODY(openat64, REAL(openat64)(folder, path, flags, mode))}

ssize_t read(int fd, void *to, size_t size) {
    return strikes_fd(CALL_READ, fd) ? -1 : REAL(read)(fd, to, size);
}
ssize_t pread64(int fd, void *to, size_t size, off64_t at) {
    return strikes_fd(CALL_READ, fd) ? -1 : REAL(pread64)(fd, to, size, at);
}

/* What is said where a write strikes; a short one changes *size instead and goes on. */
static bool write_strikes(enum call call, int fd, size_t *size, ssize_t *ret_said) {
    if (!strikes_fd(call, fd)) return false;
    if (shim.error == SHORT && *size > 1) *size /= 2;
    *ret_said = shim.error == LIE ? (ssize_t)*size : -1;
    return shim.error != SHORT;
}

ssize_t write(int fd, const void *from, size_t size) {
    ssize_t said;
    return write_strikes(CALL_WRITE, fd, &size, &said) ? said : REAL(write)(fd, from, size);
}
ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
    ssize_t said;
    return write_strikes(CALL_WRITE, fd, &size, &said) ? said : REAL(pwrite64)(fd, from, size, at);
}

static int said(void) { return shim.error == LIE ? 0 : -1; }

int fsync(int fd) { return strikes_fd(CALL_SYNC, fd) ? said() : REAL(fsync)(fd); }
int fdatasync(int fd) { return strikes_fd(CALL_SYNC, fd) ? said() : REAL(fdatasync)(fd); }
int ftruncate64(int fd, off64_t size) { return strikes_fd(CALL_TRUNCATE, fd) ? said() : REAL(ftruncate64)(fd, size); }
int rename(const char *from, const char *to) { return strikes_path(CALL_RENAME, to) ? said() : REAL(rename)(from, to); }
int unlink(const char *path) { return strikes_path(CALL_UNLINK, path) ? said() : REAL(unlink)(path); }

/* ---- memory ---- */

void *mmap64(void *hint, size_t size, int protection, int flags, int fd, off64_t at) {
    return strikes_any(CALL_MMAP) ? MAP_FAILED : REAL(mmap64)(hint, size, protection, flags, fd, at);
}

/* dlsym allocates, so these go to the C library's own names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *malloc(size_t size) { return strikes_any(CALL_MALLOC) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return strikes_any(CALL_MALLOC) ? NULL : __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { return strikes_any(CALL_MALLOC) ? NULL : __libc_realloc(memory, size); }

/* ---- sockets ---- */

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict size, int flags) {
    return strikes_any(CALL_ACCEPT) ? -1 : REAL(accept4)(fd, address, size, flags);
}
ssize_t recv(int fd, void *to, size_t size, int flags) {
    return strikes_any(CALL_RECV) ? -1 : REAL(recv)(fd, to, size, flags);
}
ssize_t send(int fd, const void *from, size_t size, int flags) {
    ssize_t said;
    return write_strikes(CALL_SEND, fd, &size, &said) ? said : REAL(send)(fd, from, size, flags);
}
