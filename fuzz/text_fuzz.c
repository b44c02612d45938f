/* SPDX-License-Identifier: Apache-2.0 */
/* Text forms of bytes: what is written reads back as it was, and what can be read is written again as the same text, so
 * that no bytes have two texts. Forms cut any bytes. */
#include "base/err.h"
#include "codec/form.h"
#include "codec/text.h"
#include "exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Taken as bytes: written, then read. */
static void check_bytes(struct str bytes) {
    char *text = exact_room(4 * bytes.len + 4);
    uint8_t *back = exact_room(bytes.len);
    size_t size;

    struct writer w = writer_make(text, 2 * bytes.len);
    text_hex_write(&w, bytes.ptr, bytes.len);
    check(!w.overflow && w.len == 2 * bytes.len);
    check(text_hex_read(writer_str(&w), TEXT_HEX_LOWER, back, bytes.len));
    check(str_eq(str_make((char *)back, bytes.len), bytes));

    w = writer_make(text, (bytes.len + 2) / 3 * 4);
    text_base64_write(&w, bytes.ptr, bytes.len);
    check(!w.overflow && w.len == w.size);
    check(text_base64_read(writer_str(&w), back, bytes.len, &size));
    check(str_eq(str_make((char *)back, size), bytes));

    for (int keep_slash = 0; keep_slash < 2; keep_slash++) {
        w = writer_make(text, 3 * bytes.len);
        text_percent_write(&w, bytes, keep_slash);
        struct writer again = writer_make(back, bytes.len);
        check(!w.overflow && text_percent_read(&again, writer_str(&w), !keep_slash));
        check(!again.overflow && str_eq(writer_str(&again), bytes));
    }
}

/* Taken as text: where it can be read, it is written again. */
static void check_text(struct str text) {
    uint8_t *bytes = exact_room(text.len);
    char *again = exact_room(text.len + 3);
    size_t size;
    int64_t unix_s;

    if (text.len % 2 == 0 && text_hex_read(text, TEXT_HEX_LOWER, bytes, text.len / 2)) {
        check(text_hex_read(text, TEXT_HEX_ANY, bytes, text.len / 2));
        struct writer w = writer_make(again, text.len);
        text_hex_write(&w, bytes, text.len / 2);
        check(!w.overflow && str_eq(writer_str(&w), text));
    }
    if (text_base64_read(text, bytes, text.len / 4 * 3, &size)) {
        struct writer w = writer_make(again, text.len);
        text_base64_write(&w, bytes, size);
        check(!w.overflow && str_eq(writer_str(&w), text));
    }
    if (text_amz_date_read(text, &unix_s)) {
        struct writer w = writer_make(again, text.len);
        text_amz_date_write(&w, unix_s);
        check(!w.overflow && str_eq(writer_str(&w), text));
    }
}

/* Taken as a form: pairs are slices of it, in order, and each is found under its name. */
static void check_form(struct str form) {
    size_t position = 0;
    struct form_pair pair;
    for (size_t rounds = 0; rounds < 8 && form_next(form, &position, &pair); rounds++) {
        check(pair.name.ptr >= form.ptr && position <= form.len);
        check(pair.name.len + pair.value.len <= form.len);
        char *memory = exact_room(form.len);
        struct writer name = writer_make(memory, form.len);
        if (text_percent_read(&name, pair.name, true)) {
            char values[256];
            struct arena arena = arena_make(values, sizeof(values));
            struct str value = STR_NONE;
            bool bad = false;
            check(form_find(form, writer_str(&name), &arena, &value, &bad) > 0);
            check(bad || value.ptr != NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size); /* libFuzzer gives a copy of exactly its size */
    exact_reset();
    check_bytes(input);
    check_text(input);
    check_form(input);
    return 0;
}
