/* SPDX-License-Identifier: Apache-2.0 */
/* Formats the lines and writes each at once: a function has no moment later at which it surely runs again. Values are
 * cut at VALUE_SIZE_MAX bytes, and what is not UTF-8 in them is replaced, so that a line is always one JSON object. */
#include "app/log_json.h"

#include "base/os.h"
#include "codec/json.h"
#include "codec/text.h"

#include <errno.h>
#include <unistd.h>

enum { LINE_SIZE_MAX = 20480, VALUE_SIZE_MAX = 256, SENTENCE_SIZE_MAX = 2048 };
static_assert(LINE_SIZE_MAX > 6 * (SENTENCE_SIZE_MAX + 3 * VALUE_SIZE_MAX), "six bytes for each at most");
static_assert(LINE_SIZE_MAX > 6 * 8 * VALUE_SIZE_MAX + 1024, "the values of a webhook's line, and its words");

static void put_field(struct writer *w, const char *name, struct str value, size_t size_max) {
    writer_format(w, ",\"%s\":", name);
    if (value.len > size_max) value.len = size_max;
    json_write_string(w, value, true);
}

static void begin_line(struct writer *w, enum log_level level, int64_t now_us,
                       const struct log_invocation *invocation) {
    static const char *const words[] = {[LOG_INFO] = "INFO", [LOG_WARNING] = "WARN", [LOG_ERROR] = "ERROR"};
    writer_put(w, STR("{\"timestamp\":\""));
    text_received_at_write(w, now_us);
    writer_format(w, "Z\",\"level\":\"%s\"", words[level]);
    if (invocation->request_id.len > 0) put_field(w, "requestId", invocation->request_id, VALUE_SIZE_MAX);
    if (invocation->trace_id.len > 0) put_field(w, "traceId", invocation->trace_id, VALUE_SIZE_MAX);
    if (invocation->door != NULL) put_field(w, "door", str_from(invocation->door), VALUE_SIZE_MAX);
}

static void end_line(struct writer *w) {
    writer_put(w, STR("}\n"));
    check(!w->overflow); /* every field is bounded */
    struct str rest = writer_str(w);
    while (rest.len > 0) {
        ssize_t written = write(STDERR_FILENO, rest.ptr, rest.len);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return; /* an event must not fail for its log */
        rest = str_from_index(rest, (size_t)written);
    }
}

void log_json_sentence(enum log_level level, const struct log_invocation *invocation, struct str sentence) {
    char line[LINE_SIZE_MAX];
    struct writer w = writer_make(line, sizeof line);
    begin_line(&w, level, os_wall_us(), invocation);
    put_field(&w, "message", sentence, SENTENCE_SIZE_MAX);
    end_line(&w);
}

void log_json_webhook(const struct log_invocation *invocation, const struct log_request *request) {
    char line[LINE_SIZE_MAX];
    struct writer w = writer_make(line, sizeof line);
    const struct ingest *ingest = request->ingest;
    const struct event *event = ingest != NULL && ingest->event_count > 0 ? &ingest->events[0] : NULL;
    bool unreadable = event != NULL && event->unreadable.ptr != NULL;
    enum log_level level = request->status >= 500                 ? LOG_ERROR
                           : unreadable || request->status >= 400 ? LOG_WARNING
                                                                  : LOG_INFO;
    begin_line(&w, level, request->now_us, invocation);
    if (ingest != NULL && ingest->source != NULL) put_field(&w, "source", ingest->source->name, VALUE_SIZE_MAX);
    if (event != NULL) {
        put_field(&w, "event", event->event_key, VALUE_SIZE_MAX);
        put_field(&w, "transaction", event->transaction_id, VALUE_SIZE_MAX);
        if (ingest->event_count != 1) writer_format(&w, ",\"events\":%u", (unsigned)ingest->event_count);
        if (unreadable) put_field(&w, "unreadable", event->unreadable, VALUE_SIZE_MAX);
    }
    put_field(&w, "verdict", str_from(verdict_row(request->verdict)->word), VALUE_SIZE_MAX);
    writer_format(&w, ",\"status\":%d", request->status);
    if (ingest != NULL && ingest->reason.len > 0) put_field(&w, "reason", ingest->reason, VALUE_SIZE_MAX);
    writer_format(&w, ",\"ms\":%lld.%03lld", (long long)(request->duration_us / 1000),
                  (long long)(request->duration_us % 1000));
    end_line(&w);
}
