/* SPDX-License-Identifier: Apache-2.0 */
/* One member of a zip, read to its end: enough to know what AWS Lambda would be given. Pure. */
#ifndef PAYHOOK_STACK_ZIP_H
#define PAYHOOK_STACK_ZIP_H

#include "base/str.h"

enum { ZIP_HEAD_SIZE = 64 };

struct zip_member {
    uint32_t mode; /* as in st_mode; 0 where the zip was not made on Unix */
    uint64_t size; /* bytes, unpacked */
    uint8_t head[ZIP_HEAD_SIZE];
    size_t head_size; /* bytes of head, fewer where the member is shorter */
};
/* NULL: the zip has exactly one member of this name, and all of it unpacks to the bytes whose size and checksum it
 * names. Else a phrase that completes "it …" ("has no bootstrap in it" is said by the caller: *ret_absent). */
const char *zip_member_read(struct str zip, struct str name, struct zip_member *ret_member, bool *ret_absent);

#endif
