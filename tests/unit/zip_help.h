/* SPDX-License-Identifier: Apache-2.0 */
/* Makes small zips, good ones and others: what a case changes is patched in before the next part is written. */
#ifndef PAYHOOK_TESTS_ZIP_HELP_H
#define PAYHOOK_TESTS_ZIP_HELP_H

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

enum { ZIP_PARTS = 3, PATCHES_MAX = 3 };

/* A member, and where its three records begin once it is written. */
struct zip_part {
    const char *name;
    const uint8_t *content;
    size_t size;
    uint32_t mode;
    bool stored;
    size_t local, entry;
};

static inline void put16(struct writer *w, uint32_t value) {
    writer_char(w, (char)(value & 255));
    writer_char(w, (char)(value >> 8 & 255));
}
static inline void put32(struct writer *w, uint32_t value) {
    put16(w, value & 65535);
    put16(w, value >> 16);
}

/* Written as Info-ZIP does on Unix. Returns where the end record begins. */
static inline size_t zip_write(struct writer *w, struct zip_part *parts, size_t count, const char *comment) {
    uint32_t sizes[ZIP_PARTS], sums[ZIP_PARTS];
    for (size_t i = 0; i < count; i++) {
        struct zip_part *part = &parts[i];
        size_t room = compressBound(part->size) + 64;
        uint8_t *packed = malloc(room);
        z_stream stream = {.next_in = (Bytef *)(uintptr_t)part->content, .avail_in = (uInt)part->size};
        stream.next_out = packed;
        stream.avail_out = (uInt)room;
        if (packed == NULL || deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK ||
            deflate(&stream, Z_FINISH) != Z_STREAM_END)
            abort();
        struct str data = part->stored ? str_make((const char *)part->content, part->size)
                                       : str_make((const char *)packed, room - stream.avail_out);
        (void)deflateEnd(&stream);
        part->local = w->len;
        sizes[i] = (uint32_t)data.len;
        sums[i] = (uint32_t)crc32(0, part->content, (uInt)part->size);
        writer_put(w, STR("PK\x03\x04\x14"));
        writer_char(w, 0);
        put16(w, 0);
        put16(w, part->stored ? 0 : 8);
        put32(w, 0x00210000); /* 1980-01-01 */
        put32(w, sums[i]);
        put32(w, sizes[i]);
        put32(w, (uint32_t)part->size);
        put16(w, (uint32_t)strlen(part->name));
        put16(w, 0);
        writer_put(w, str_from(part->name));
        writer_put(w, data);
        free(packed);
    }
    size_t directory = w->len;
    for (size_t i = 0; i < count; i++) {
        struct zip_part *part = &parts[i];
        part->entry = w->len;
        writer_put(w, STR("PK\x01\x02\x1e\x03\x14"));
        writer_char(w, 0);
        put16(w, 0);
        put16(w, part->stored ? 0 : 8);
        put32(w, 0x00210000);
        put32(w, sums[i]);
        put32(w, sizes[i]);
        put32(w, (uint32_t)part->size);
        put16(w, (uint32_t)strlen(part->name));
        put32(w, 0); /* extra field, comment */
        put32(w, 0); /* disk, internal attributes */
        put32(w, part->mode << 16);
        put32(w, (uint32_t)part->local);
        writer_put(w, str_from(part->name));
    }
    size_t end = w->len;
    writer_put(w, STR("PK\x05\x06"));
    put32(w, 0);
    put16(w, (uint32_t)count);
    put16(w, (uint32_t)count);
    put32(w, (uint32_t)(end - directory));
    put32(w, (uint32_t)directory);
    put16(w, (uint32_t)strlen(comment));
    writer_put(w, str_from(comment));
    return end;
}

/* The head of a program: ELF, little-endian; size bytes, the rest of them counting up. */
static inline void elf_make(uint8_t *bytes, size_t size, uint8_t machine) {
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7);
    memset(bytes, 0, 64);
    memcpy(bytes,
           "\x7f"
           "ELF\x02\x01\x01",
           7);
    bytes[16] = 3;
    bytes[18] = machine;
    bytes[20] = 1;
}

#endif
