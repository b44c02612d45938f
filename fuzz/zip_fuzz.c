/* SPDX-License-Identifier: Apache-2.0 */
/* A zip from anybody: read within its bytes, and what is accepted has the head that its size says. */
#include "base/limits.h"
#include "exact.h"
#include "stack/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    exact_reset();
    char *zip = exact_room(size);
    if (size > 0) memcpy(zip, data, size);
    struct zip_member member;
    bool absent;
    const char *fault = zip_member_read(str_make(zip, size), STR("bootstrap"), &member, &absent);
    check(fault != NULL || !absent);
    if (fault != NULL) return 0;
    check(member.size <= STACK_UNPACKED_SIZE_MAX);
    check(member.head_size == (member.size < ZIP_HEAD_SIZE ? member.size : ZIP_HEAD_SIZE));
    return 0;
}
