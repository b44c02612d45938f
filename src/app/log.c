/* SPDX-License-Identifier: Apache-2.0 */
/* Formats log lines and writes them to stderr. A write is whole lines of at most PIPE_BUF bytes, so that the lines of
 * several threads do not mix in a pipe (POSIX write(), "Pipes and FIFOs"). A log that cannot be written is dropped: an
 * event must not fail for it. */
#include "app/log.h"

#include "base/os.h"
#include "codec/text.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_SIZE_MAX = 4000, VALUE_SIZE_MAX = 256 };

static void write_out(const char *text, size_t size) {
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, text, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        text += written;
        size -= (size_t)written;
    }
}

static void begin_line(struct writer *w, enum log_level level, int64_t now_us) {
    static const char *const words[] = {[LOG_INFO] = "info", [LOG_WARNING] = "warning", [LOG_ERROR] = "error"};
    writer_put(w, STR("time="));
    text_received_at_write(w, now_us);
    writer_put(w, STR("Z level="));
    writer_put(w, str_from(words[level]));
}

/* An id may be anything, a card number too; that is not written down. A value that needs no quotes stands bare; any
 * other is quoted and escaped. */
static void put_field(struct writer *w, struct str key, struct str value) {
    writer_char(w, ' ');
    writer_put(w, key);
    writer_char(w, '=');
    bool cut = value.len > VALUE_SIZE_MAX;
    if (cut) value.len = VALUE_SIZE_MAX;
    bool bare = value.len > 0;
    for (size_t i = 0; i < value.len && bare; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        bare = c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '=';
    }
    if (!bare) writer_char(w, '"');
    size_t from = w->len;
    writer_escaped(w, value);
    text_cards_mask(w->ptr + from, w->len - from);
    if (cut) writer_put(w, STR("..."));
    if (!bare) writer_char(w, '"');
}

void log_sentence(enum log_level level, struct str sentence) {
    char line[LINE_SIZE_MAX];
    struct writer w = writer_make(line, sizeof line - 1);
    begin_line(&w, level, os_wall_us());
    writer_put(&w, STR(" message=\""));
    struct writer text = writer_make(line + w.len, sizeof line - 2 - w.len);
    writer_escaped(&text, sentence);
    w.len += text.len;
    writer_char(&w, '"');
    line[w.len] = '\n';
    write_out(line, w.len + 1);
}

void log_format(enum log_level level, const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0) return;
    log_sentence(level, str_make(text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1));
}

void log_webhook(struct log_buffer *buffer, const struct log_request *request) {
    if (sizeof buffer->text - buffer->size < LINE_SIZE_MAX) log_flush(buffer);
    struct writer w = writer_make(buffer->text + buffer->size, LINE_SIZE_MAX - 1);
    const struct ingest *ingest = request->ingest;
    const struct event *event = ingest != NULL && ingest->event_count > 0 ? &ingest->events[0] : NULL;
    bool unreadable = event != NULL && event->unreadable.ptr != NULL;
    enum log_level level = request->status >= 500                 ? LOG_ERROR
                           : unreadable || request->status >= 400 ? LOG_WARNING
                                                                  : LOG_INFO;
    begin_line(&w, level, request->now_us);
    writer_format(&w, " request=%016llx", (unsigned long long)request->request_id);
    if (ingest != NULL && ingest->source != NULL) put_field(&w, STR("source"), ingest->source->name);
    if (event != NULL) {
        put_field(&w, STR("event"), event->event_key);
        put_field(&w, STR("transaction"), event->transaction_id);
        if (ingest->event_count != 1) {
            writer_put(&w, STR(" events="));
            writer_u64(&w, ingest->event_count);
        }
        if (unreadable) put_field(&w, STR("unreadable"), event->unreadable);
    }
    put_field(&w, STR("verdict"), str_from(verdict_row(request->verdict)->word));
    writer_put(&w, STR(" status="));
    writer_u64(&w, (uint64_t)request->status);
    if (ingest != NULL && ingest->reason.len > 0) put_field(&w, STR("reason"), ingest->reason);
    writer_format(&w, " ms=%lld.%03lld", (long long)(request->duration_us / 1000),
                  (long long)(request->duration_us % 1000));
    /* Each field is bounded, so a line never overflows; if one did, what fits is still a line. */
    buffer->text[buffer->size + w.len] = '\n';
    buffer->size += w.len + 1;
}

void log_flush(struct log_buffer *buffer) {
    size_t from = 0;
    while (from < buffer->size) {
        size_t end = buffer->size - from <= PIPE_BUF ? buffer->size : from + PIPE_BUF;
        while (buffer->text[end - 1] != '\n')
            end--;
        write_out(buffer->text + from, end - from);
        from = end;
    }
    buffer->size = 0;
}
