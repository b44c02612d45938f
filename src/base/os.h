/* SPDX-License-Identifier: Apache-2.0 */
/* Clock, randomness and files: the seam that tests replace. Nothing above base calls the system for these directly. */
#ifndef PAYHOOK_BASE_OS_H
#define PAYHOOK_BASE_OS_H

#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

/* Microseconds since 1970 UTC, and since some fixed point that never goes back. */
int64_t os_wall_us(void);
int64_t os_mono_us(void);

/* Fills with random bytes from the kernel; a failure stops the program, since nothing secret could be made. */
void os_random(void *memory, size_t size);

/* Overwrites in a way the compiler keeps. */
void os_wipe(void *memory, size_t size);

/* Memory for secrets: locked where the limit allows, left out of core dumps, wiped by os_secret_free. NULL on failure.
 */
void *os_secret_alloc(size_t size);
void os_secret_free(void *memory, size_t size);

/* Reads a whole file of at most size_max bytes into malloc'd memory, NUL added behind (not counted). The caller frees.
 * ERR_ABSENT where it does not exist, ERR_INPUT where it is larger or no regular file, ERR_OUTSIDE where only the
 * sandbox (app/sandbox.h) is in the way. */
struct err os_file_read(const char *path, size_t size_max, struct str *ret_content) MUST_USE;
/* Replaces path atomically and durably: a temporary beside it, synced, renamed, the directory synced. */
struct err os_file_replace(const char *path, mode_t mode, struct str content) MUST_USE;
/* Makes the folder (and parents) with mode 0700, or checks that it is a folder of ours which nobody else can enter:
 * else ERR_DENIED. */
struct err os_private_dir(const char *path) MUST_USE;
/* Takes the exclusive lock of a file (made 0600); ERR_BUSY when another process has it. The lock lives as long as the
 * descriptor. */
struct err os_lock(const char *path, int *ret_fd) MUST_USE;
/* The host's name, cut to size - 1 bytes, "localhost" where it cannot be read. */
void os_host_name(char *ret_name, size_t size);

#endif
