/* SPDX-License-Identifier: Apache-2.0 */
/* A zip read from its end, as unpackers do (PKWARE's APPNOTE.TXT, sections 4.3 and 4.4): the end record names the
 * central directory, and that each member. Every number is looked at before it is used. What has two readings is
 * refused: a member twice, a directory that does not end at its end record, a member whose own header says something
 * else.
 *
 * It knows no zip64 (a zip for AWS Lambda is at most 50 MB), no encryption, no several disks, and no way to pack but
 * none and deflate, which is all that Lambda unpacks. */
#include "stack/zip.h"

#include "base/limits.h"

#define ZLIB_CONST
#include <zlib.h>

enum {
    END_SIZE = 22,   /* 4.3.16 */
    ENTRY_SIZE = 46, /* 4.3.12 */
    LOCAL_SIZE = 30, /* 4.3.7 */
    COMMENT_MAX = 65535,
    MADE_ON_UNIX = 3,   /* 4.4.2.2 */
    FLAG_ENCRYPTED = 1, /* 4.4.4 */
    STORED = 0,         /* 4.4.5 */
    DEFLATED = 8,
};

struct entry {
    uint16_t flags, method;
    uint32_t checksum, packed_size, size, attributes, place;
    uint8_t made_on;
};

static uint16_t u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t u32(const uint8_t *p) { return (uint32_t)u16(p) | (uint32_t)u16(p + 2) << 16; }
static bool is_signed(const uint8_t *p, uint8_t third, uint8_t fourth) {
    return p[0] == 'P' && p[1] == 'K' && p[2] == third && p[3] == fourth;
}

/* The end record, whose comment reaches exactly to the end; NULL where there is none. */
static const uint8_t *find_end(const uint8_t *zip, size_t size) {
    if (size < END_SIZE) return NULL;
    for (size_t comment = 0; comment <= COMMENT_MAX && comment <= size - END_SIZE; comment++) {
        const uint8_t *end = zip + size - END_SIZE - comment;
        if (is_signed(end, 5, 6) && u16(end + 20) == comment) return end;
    }
    return NULL;
}

/* Walks the whole directory; *ret_count is how many members have the name, *ret_entry the last of them. */
static const char *find_entry(const uint8_t *zip, size_t size, struct str name, struct entry *ret_entry,
                              size_t *ret_count, size_t *ret_directory) {
    static const char damaged[] = "is no zip, or a damaged one";
    const uint8_t *end = find_end(zip, size);
    if (end == NULL) return damaged;
    size_t place = u32(end + 16), directory_size = u32(end + 12), end_place = (size_t)(end - zip);
    if (place == UINT32_MAX || u16(end + 10) == UINT16_MAX) return "is a zip64, which is not read here";
    if (u16(end + 4) != 0 || u16(end + 6) != 0 || u16(end + 8) != u16(end + 10))
        return "is one part of a zip in several";
    if (place > end_place || directory_size != end_place - place) return damaged;
    *ret_directory = place;
    *ret_count = 0;
    for (size_t left = u16(end + 10); left > 0; left--) {
        const uint8_t *p = zip + place;
        if (end_place - place < ENTRY_SIZE || !is_signed(p, 1, 2)) return damaged;
        size_t name_size = u16(p + 28), entry_size = ENTRY_SIZE + name_size + u16(p + 30) + u16(p + 32);
        if (end_place - place < entry_size) return damaged;
        if (str_eq(str_make((const char *)p + ENTRY_SIZE, name_size), name)) {
            *ret_entry = (struct entry){.made_on = p[5],
                                        .flags = u16(p + 8),
                                        .method = u16(p + 10),
                                        .checksum = u32(p + 16),
                                        .packed_size = u32(p + 20),
                                        .size = u32(p + 24),
                                        .attributes = u32(p + 38),
                                        .place = u32(p + 42)};
            ++*ret_count;
        }
        place += entry_size;
    }
    return place == end_place ? NULL : damaged;
}

/* Unpacks to nowhere, but for the first bytes. */
struct sink {
    struct zip_member *member;
    uint64_t size;
    uint32_t checksum;
};
static void sink_put(struct sink *sink, const uint8_t *bytes, size_t size) {
    struct zip_member *member = sink->member;
    size_t room = ZIP_HEAD_SIZE - member->head_size, some = size < room ? size : room;
    memcpy(member->head + member->head_size, bytes, some);
    member->head_size += some;
    sink->size += size;
    sink->checksum = (uint32_t)crc32_z(sink->checksum, bytes, size);
}

static const char *inflate_all(const uint8_t *packed, size_t packed_size, uint64_t size_max, struct sink *sink) {
    static const char damaged[] = "is damaged: what is packed in it does not unpack";
    z_stream stream = {.next_in = packed, .avail_in = (uInt)packed_size};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return "cannot be unpacked: there is no memory";
    uint8_t bytes[16384];
    int result = Z_OK;
    while (result == Z_OK && sink->size <= size_max) {
        stream.next_out = bytes;
        stream.avail_out = sizeof bytes;
        result = inflate(&stream, Z_NO_FLUSH);
        sink_put(sink, bytes, sizeof bytes - stream.avail_out);
    }
    bool whole = result == Z_STREAM_END && stream.avail_in == 0;
    (void)inflateEnd(&stream); /* fails only for a stream that is none */
    return whole ? NULL : damaged;
}

static const char *unpack(const uint8_t *zip, size_t directory, struct str name, const struct entry *entry,
                          struct zip_member *member) {
    static const char damaged[] = "is damaged: a member's own header is not that of the directory";
    if ((entry->flags & FLAG_ENCRYPTED) != 0) return "is encrypted";
    if (entry->method != STORED && entry->method != DEFLATED) return "is packed in a way that Lambda does not unpack";
    if (entry->size > STACK_UNPACKED_SIZE_MAX) return "is too large for Lambda once it is unpacked";
    size_t place = entry->place;
    if (place > directory || directory - place < LOCAL_SIZE) return damaged;
    const uint8_t *local = zip + place;
    size_t name_size = u16(local + 26), header_size = LOCAL_SIZE + name_size + u16(local + 28);
    if (!is_signed(local, 3, 4) || u16(local + 6) != entry->flags || u16(local + 8) != entry->method) return damaged;
    if (directory - place < header_size) return damaged;
    if (!str_eq(str_make((const char *)local + LOCAL_SIZE, name_size), name)) return damaged;
    place += header_size;
    if (directory - place < entry->packed_size) return damaged;
    struct sink sink = {.member = member, .checksum = (uint32_t)crc32_z(0, NULL, 0)};
    if (entry->method == STORED)
        sink_put(&sink, zip + place, entry->packed_size);
    else {
        const char *fault = inflate_all(zip + place, entry->packed_size, entry->size, &sink);
        if (fault != NULL) return fault;
    }
    if (sink.size != entry->size || sink.checksum != entry->checksum) return "is damaged: its checksum is wrong";
    return NULL;
}

const char *zip_member_read(struct str zip, struct str name, struct zip_member *ret_member, bool *ret_absent) {
    const uint8_t *bytes = (const uint8_t *)zip.ptr;
    struct entry entry = {0};
    size_t count, directory;
    *ret_absent = false;
    const char *fault = find_entry(bytes, zip.len, name, &entry, &count, &directory);
    if (fault != NULL) return fault;
    if (count == 0) {
        *ret_absent = true;
        return "lacks it";
    }
    if (count > 1) return "has the same member twice";
    struct zip_member member = {.mode = entry.made_on == MADE_ON_UNIX ? entry.attributes >> 16 : 0, .size = entry.size};
    fault = unpack(bytes, directory, name, &entry, &member);
    if (fault == NULL) *ret_member = member;
    return fault;
}
