/* SPDX-License-Identifier: Apache-2.0 */
/* Bugs stop the program: does this one, and what does it say? */
#ifndef PAYHOOK_TESTS_ABORT_HELP_H
#define PAYHOOK_TESTS_ABORT_HELP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* True where bug() ends in SIGABRT, in a process of its own. Its stderr is cut to size - 1 bytes and ends in NUL. */
static inline bool aborts_saying(void (*bug)(void), char *ret_said, size_t size) {
    int pipe_fd[2], status = 0;
    if (pipe(pipe_fd) != 0) return false;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core); /* best effort: a core file would only be in the way */
        (void)signal(SIGABRT, SIG_DFL);         /* cmocka catches it; this cannot fail */
        if (dup2(pipe_fd[1], STDERR_FILENO) >= 0) bug();
        _exit(0);
    }
    (void)close(pipe_fd[1]); /* the child's end */
    size_t used = 0;
    for (ssize_t got; used < size - 1 && (got = read(pipe_fd[0], ret_said + used, size - 1 - used)) > 0;)
        used += (size_t)got;
    ret_said[used] = '\0';
    (void)close(pipe_fd[0]); /* only read from */
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static inline bool aborts(void (*bug)(void)) {
    char said[512];
    return aborts_saying(bug, said, sizeof said);
}

#endif
