/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of key=value on stderr, one per outcome. Never a payload, a signature, a secret or a header: what is logged of
 * a request is named field by field below. Bytes from outside are escaped, so that a line is a line. Each thread has a
 * buffer of its own. */
#ifndef PAYHOOK_APP_LOG_H
#define PAYHOOK_APP_LOG_H

#include "core/ingest.h"

enum log_level { LOG_INFO, LOG_WARNING, LOG_ERROR };

/* One sentence, written at once. */
void log_sentence(enum log_level level, struct str sentence);
void log_format(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lines of one thread, written when the buffer is full or log_flush is called. */
struct log_buffer {
    size_t size;
    char text[65536];
};

struct log_request {
    uint64_t request_id;
    const struct ingest *ingest; /* NULL: nothing could be read of it */
    enum verdict verdict;
    int status;
    int64_t now_us;      /* wall clock */
    int64_t duration_us; /* from the first byte to the reply */
};
void log_webhook(struct log_buffer *buffer, const struct log_request *request);
void log_flush(struct log_buffer *buffer);

#endif
