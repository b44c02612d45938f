/* SPDX-License-Identifier: Apache-2.0 */
/* Prints records. Nothing here decides; a damaged record is shown as damaged. */
#include "app/print.h"

#include "codec/json.h"
#include "codec/text.h"

#include <stdlib.h>

static void put(FILE *out, struct str s) {
    (void)fwrite(s.ptr, 1, s.len, out); /* main looks at the stream's error at the end */
}

void print_safe(FILE *out, struct str bytes) {
    while (bytes.len > 0) {
        size_t plain = 0;
        while (plain < bytes.len &&
               ((unsigned char)bytes.ptr[plain] >= 0x20 || bytes.ptr[plain] == '\n' || bytes.ptr[plain] == '\t') &&
               (unsigned char)bytes.ptr[plain] < 0x7f)
            plain++;
        put(out, str_make(bytes.ptr, plain));
        bytes = str_from_index(bytes, plain);
        if (bytes.len == 0) return;
        /* One character, or one byte that is none. */
        size_t size = 1;
        while (size < 4 && size < bytes.len && ((unsigned char)bytes.ptr[size] & 0xc0) == 0x80)
            size++;
        if ((unsigned char)bytes.ptr[0] < 0x80 || !json_is_utf8(str_make(bytes.ptr, size))) size = 1;
        char text[32];
        struct writer w = writer_make(text, sizeof text);
        writer_escaped(&w, str_make(bytes.ptr, size));
        put(out, writer_str(&w));
        bytes = str_from_index(bytes, size);
    }
}

void print_json_string(FILE *out, struct str text) {
    if (!json_is_utf8(text)) {
        (void)fputs("null", out);
        return;
    }
    /* A byte becomes at most six ("\u0001"). */
    size_t size = text.len * 6 + 2;
    char *memory = malloc(size);
    check(memory != NULL);
    struct writer w = writer_make(memory, size);
    json_write_string(&w, text, false);
    check(!w.overflow);
    put(out, writer_str(&w));
    free(memory);
}

void print_json_member(FILE *out, const char *name, struct str text) {
    fprintf(out, "\"%s\": ", name);
    if (text.ptr == NULL)
        (void)fputs("null", out);
    else
        print_json_string(out, text);
}

static void print_payload_json(FILE *out, struct str payload) {
    if (json_is_utf8(payload)) {
        (void)fputs(", ", out);
        print_json_member(out, "payload", payload);
        return;
    }
    size_t size = payload.len / 3 * 4 + 8;
    char *memory = malloc(size);
    check(memory != NULL);
    struct writer w = writer_make(memory, size);
    text_base64_write(&w, payload.ptr, payload.len);
    check(!w.overflow);
    (void)fputs(", \"payload_base64\": \"", out);
    put(out, writer_str(&w));
    (void)fputc('"', out);
    free(memory);
}

void print_event_json(FILE *out, const struct event_record *record, bool with_payload) {
    const struct event *event = &record->event;
    char hex[64];
    struct writer digest = writer_make(hex, sizeof hex);
    text_hex_write(&digest, event->payload_sha256, sizeof event->payload_sha256);
    fprintf(out, "{\"seq\": %llu, ", (unsigned long long)record->seq);
    print_json_member(out, "source", event->source);
    (void)fputs(", ", out);
    print_json_member(out, "event_key", event->event_key);
    (void)fputs(", ", out);
    print_json_member(out, "event_id", event->event_id);
    (void)fputs(", ", out);
    print_json_member(out, "event_type", event->event_type);
    (void)fputs(", ", out);
    print_json_member(out, "transaction_id", event->transaction_id);
    fprintf(out, ", \"timestamp\": %lld, ", (long long)record->timestamp);
    print_json_member(out, "received_at", record->received_at);
    if (event->matched_secret >= 0)
        fprintf(out, ", \"matched_secret\": %d", (int)event->matched_secret);
    else
        (void)fputs(", \"matched_secret\": null", out);
    fprintf(out, ", \"authenticated\": \"%s\", ", authenticated_word(event->authenticated));
    print_json_member(out, "body_sha256", writer_str(&digest));
    if (record->repeats.ptr != NULL) {
        (void)fputs(", ", out);
        print_json_member(out, "repeats", record->repeats);
    }
    if (event->unreadable.ptr != NULL) {
        (void)fputs(", ", out);
        print_json_member(out, "unreadable", event->unreadable);
    }
    if (record->damaged) (void)fputs(", \"damaged\": true", out);
    if (with_payload) print_payload_json(out, event->payload);
    (void)fputc('}', out);
}

static void line(FILE *out, const char *name, struct str text) {
    if (text.ptr == NULL) return;
    fprintf(out, "  %-12s ", name);
    print_safe(out, text);
    (void)fputc('\n', out);
}

void print_event_text(FILE *out, const struct event_record *record, bool with_payload) {
    const struct event *event = &record->event;
    fprintf(out, "event %llu, received ", (unsigned long long)record->seq);
    print_safe(out, record->received_at);
    (void)fputs("Z\n", out);
    line(out, "key", event->event_key);
    line(out, "id", event->event_id);
    line(out, "type", event->event_type);
    line(out, "repeats", record->repeats);
    line(out, "unreadable", event->unreadable);
    fprintf(out, "  %-12s %s", "verified", authenticated_word(event->authenticated));
    if (event->matched_secret >= 0) fprintf(out, ", secret %d matched", (int)event->matched_secret);
    fprintf(out, "\n  %-12s ", "processed by");
    print_safe(out, event->processed_by);
    (void)fputs(" (", out);
    print_safe(out, event->environment);
    (void)fputs(")\n", out);
    if (record->damaged)
        fprintf(out, "  %-12s the payload is not what was received: its checksum does not match\n", "DAMAGED");
    if (!with_payload) return;
    print_safe(out, event->payload);
    if (event->payload.len == 0 || event->payload.ptr[event->payload.len - 1] != '\n') (void)fputc('\n', out);
}

static void ignore(void *context, struct str sentence) {
    (void)context, (void)sentence; /* secrets are not needed to read */
}

static void name_sources(struct store *store, const struct config *config) {
    struct str *names = calloc(config->source_count + 1, sizeof *names);
    check(names != NULL);
    for (uint32_t i = 0; i < config->source_count; i++)
        names[i] = config->sources[i].name;
    store_name_sources(store, names, config->source_count);
    free(names);
}

int complain_reading(const struct store *store, struct err failure) {
    struct str complaint = store_complaint(store);
    return complain(EXIT_FAILED, "cannot %s: %.*s", failure.where,
                    STR_ARG(complaint.len > 0 ? complaint : str_from(err_kind_text(failure.kind))));
}

bool open_for_reading(const struct options *options, struct store **ret_store, int *ret_code) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct config_overrides overrides = option_overrides(options);
    struct config *config;
    if (err_is(config_load(&overrides, ignore, NULL, &message, &config))) {
        *ret_code = complain(EXIT_FAILED, "%s", writer_cstr(&message));
        return false;
    }
    struct err opened = store_open(config->store, config->data, STORE_READ, &message, ret_store);
    if (!err_is(opened)) name_sources(*ret_store, config);
    config_release(config);
    if (err_is(opened)) *ret_code = complain(EXIT_FAILED, "%s", writer_cstr(&message));
    return !err_is(opened);
}
