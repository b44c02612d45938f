/* SPDX-License-Identifier: Apache-2.0 */
/* The null server: the program's own listener and connections with nothing behind them. Each request is read strictly
 * and answered by a fixed 200; nothing is verified, nothing stored. What the real server adds to it is what payhook
 * costs.
 *
 *     null_server THREADS CONFIG     prints its port, runs until it is killed */
#include "app/listener.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void ignore(void *context, struct str sentence) { (void)context, (void)sentence; }

int main(int argc, char **argv) {
    uint64_t threads;
    if (argc != 3 || !str_u64(str_from(argv[1]), IO_THREADS_MAX, &threads)) return 2;
    static struct io_shared shared = {.null_server = true, .ended_fd = -1};
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct config *config;
    struct config_overrides overrides = {.config = argv[2]};
    if (err_is(config_load(&overrides, ignore, NULL, &message, &config))) {
        fprintf(stderr, "null_server: %s\n", writer_cstr(&message));
        return 1;
    }
    uint16_t port;
    check(!err_is(listener_open("127.0.0.1", 0, &shared.listen_fd, &port)));
    shared.budget.size = config->limits.body_budget_size;
    for (uint64_t i = 0; i < threads; i++) {
        struct io_thread *thread;
        check(!err_is(io_thread_start(&shared, config, NULL, config->limits.connections_max, &thread)));
    }
    printf("%u\n", (unsigned)port);
    (void)fflush(stdout);
    for (;;)
        (void)pause();
}
