/* SPDX-License-Identifier: Apache-2.0 */
/* arc4random and arc4random_buf over getrandom(2), for the function's build only: Debian 12's static libevent and expat
 * call glibc 2.36's, and Amazon Linux 2023 has glibc 2.34, where a program that asks for them does not start. Both
 * symbols are defined here, so that the linker asks nobody. */
#include "base/os.h"

#include <stdlib.h>

uint32_t arc4random(void) {
    uint32_t value;
    os_random(&value, sizeof value);
    return value;
}

void arc4random_buf(void *memory, size_t size) { os_random(memory, size); }
