/* SPDX-License-Identifier: Apache-2.0 */
/* The program that AWS Lambda starts, which knows no other command: what the whole program does as `payhook lambda`,
 * without what a function has no use for (tools/lambda builds it). */
#include "app/options.h"

#include <signal.h>
#include <sys/stat.h>

int main(int argc, char **argv) {
    (void)umask(077); /* whatever is made here is the operator's alone */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return complain(EXIT_FAILED, "signals cannot be set up");
    const struct options options = {.program = argc > 0 ? argv[0] : "bootstrap"};
    return command_lambda(&options);
}
