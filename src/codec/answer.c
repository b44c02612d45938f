/* SPDX-License-Identifier: Apache-2.0 */
/* Status line and fields are read from the left as soon as a line of the head has come to its end, so that what is no
 * answer is known before its head is complete. The body is framed by RFC 9112 §6.3, and what two programs could frame
 * in two ways is refused: a length beside a coding, two lengths, a coding but "chunked", bare LF as a line end, folded
 * lines. 100 (Continue) is passed over; other 1xx, which nobody asks for here, are refused.
 *
 * Not here: deadlines and memory, which belong to the connection; redirects, cookies, content codings, trailers'
 * values.
 */
#include "codec/answer.h"

#include "base/err.h"

enum framing { FRAMED_BY_LENGTH, FRAMED_BY_CHUNKS, FRAMED_BY_END };

static_assert(CLIENT_ANSWER_SIZE_MAX <= SIZE_MAX / 2, "sums of sizes do not overflow");

/* What the fields of one head have said so far. */
struct reading {
    struct answer *answer;
    bool is_http10, has_length, has_coding, says_close, says_keep_alive;
};

void answer_begin(struct answer *answer, struct str method) {
    answer->is_without_body = str_eq(method, STR("HEAD"));
    answer->has_head = false;
    answer->head_begin = answer->scanned = 0;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* RFC 9110 §5.6.2. */
static bool is_token(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], lower = (char)(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && !is_digit(c) && !str_has(STR("!#$%&'*+-.^_`|~"), c)) return false;
    }
    return s.len > 0;
}

/* RFC 9110 §5.5, and RFC 9112 §4 for the reason: HTAB, and all but other controls. */
static bool is_text(struct str s) {
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] < 0x20 && s.ptr[i] != '\t') || s.ptr[i] == 0x7f) return false;
    return true;
}

/* HTTP-version SP 3DIGIT SP [ reason ] (RFC 9112 §4). Some leave out the blank before a reason that is not there. */
static bool status_line_read(struct reading *reading, struct str line) {
    if (line.len < 12 || (!str_starts(line, STR("HTTP/1.1 ")) && !str_starts(line, STR("HTTP/1.0 ")))) return false;
    const char *digits = line.ptr + 9;
    if (!is_digit(digits[0]) || !is_digit(digits[1]) || !is_digit(digits[2])) return false;
    if (line.len > 12 && (line.ptr[12] != ' ' || !is_text(str_from_index(line, 13)))) return false;
    reading->is_http10 = line.ptr[7] == '0';
    reading->answer->status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
    return reading->answer->status == 100 || reading->answer->status >= 200;
}

static bool length_read(struct reading *reading, struct str value) {
    if (reading->has_length || value.len > 18 || !str_u64(value, UINT64_MAX, &reading->answer->length)) return false;
    reading->has_length = true;
    return true;
}

static bool coding_read(struct reading *reading, struct str value) {
    if (reading->has_coding || !str_eq_nocase(value, STR("chunked"))) return false;
    reading->has_coding = true;
    return true;
}

static bool connection_read(struct reading *reading, struct str value) {
    for (bool last = false; !last;) {
        struct str option, rest = STR_NONE;
        last = !str_cut(value, ',', &option, &rest);
        option = str_trim(last ? value : option);
        value = rest;
        if (str_eq_nocase(option, STR("close"))) reading->says_close = true;
        if (str_eq_nocase(option, STR("keep-alive"))) reading->says_keep_alive = true;
    }
    return true;
}

/* The fields that decide about the connection or the body: a name in lower case, and what looks at each occurrence. */
static const struct {
    struct str name;
    bool (*read)(struct reading *reading, struct str value);
} fields[] = {
    {{"content-length", 14}, length_read},
    {{"transfer-encoding", 17}, coding_read},
    {{"connection", 10}, connection_read},
};

/* field-name ":" OWS field-value OWS (RFC 9112 §5): no blank before the colon (§5.1), no folded line (§5.2). */
static bool field_read(struct reading *reading, struct str line) {
    struct answer *answer = reading->answer;
    struct str name, value;
    if (answer->header_count == ANSWER_HEADERS_MAX) return false;
    if (!str_cut(line, ':', &name, &value) || !is_token(name) || !is_text(value)) return false;
    value = str_trim(value);
    answer->headers[answer->header_count++] = (struct http_header){name, value};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (name.len == fields[i].name.len && str_eq_nocase(name, fields[i].name))
            return fields[i].read(reading, value);
    return true;
}

/* The rules over all fields (RFC 9112 §6.3). */
static bool fields_done(struct reading *reading) {
    struct answer *answer = reading->answer;
    if (reading->has_coding && (reading->has_length || reading->is_http10)) return false;
    answer->keep_alive = !reading->says_close && (!reading->is_http10 || reading->says_keep_alive);
    answer->framing = reading->has_coding ? FRAMED_BY_CHUNKS : reading->has_length ? FRAMED_BY_LENGTH : FRAMED_BY_END;
    if (answer->is_without_body || answer->status == 204 || answer->status == 304) {
        answer->framing = FRAMED_BY_LENGTH;
        answer->length = 0;
    }
    if (answer->framing == FRAMED_BY_LENGTH) return answer->length <= CLIENT_ANSWER_SIZE_MAX;
    answer->length = 0;
    answer->chunks = (struct http1_chunks){0};
    answer->keep_alive = answer->keep_alive && answer->framing == FRAMED_BY_CHUNKS;
    return true;
}

/* A head from head_begin on. ANSWER_OK: body_begin is where it ends. */
static enum answer_result head_read(struct answer *answer, struct str bytes) {
    struct reading reading = {.answer = answer};
    const char *at = bytes.ptr + answer->head_begin, *end = bytes.ptr + bytes.len;
    bool is_first = true;
    answer->header_count = 0;
    for (;; is_first = false) {
        const char *lf = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        if (lf == NULL) return ANSWER_MORE;
        if (lf == at || lf[-1] != '\r') return ANSWER_BROKEN; /* RFC 9112 §2.2: never a bare LF */
        struct str line = str_make(at, (size_t)(lf - at - 1));
        at = lf + 1;
        if (line.len == 0 && !is_first) break;
        if (!(is_first ? status_line_read : field_read)(&reading, line)) return ANSWER_BROKEN;
    }
    answer->body_begin = (size_t)(at - bytes.ptr);
    return answer->status == 100 || fields_done(&reading) ? ANSWER_OK : ANSWER_BROKEN;
}

/* All heads up to the one that has the answer. */
static enum answer_result heads_read(struct answer *answer, struct str bytes) {
    /* Only a line that ends can tell anything new. */
    bool is_worth = memchr(bytes.ptr + answer->scanned, '\n', bytes.len - answer->scanned) != NULL;
    answer->scanned = bytes.len;
    enum answer_result result = ANSWER_MORE;
    while (is_worth) {
        result = head_read(answer, bytes);
        is_worth = result == ANSWER_OK && answer->status == 100;
        if (is_worth) answer->head_begin = answer->body_begin;
    }
    size_t size = result == ANSWER_OK ? answer->body_begin : bytes.len;
    return size <= CLIENT_ANSWER_HEAD_SIZE_MAX ? result : ANSWER_BROKEN;
}

/* Takes the coding off what has come behind the body so far. */
static enum answer_result chunks_read(struct answer *answer, char *memory, size_t *size) {
    size_t begin = answer->body_begin + answer->body_size, got, used;
    enum http1_result result = http1_chunks_read(&answer->chunks, memory + begin, *size - begin, &got, &used);
    if (result != HTTP1_OK && result != HTTP1_MORE) return ANSWER_BROKEN;
    answer->body_size += got;
    answer->more = used < *size - begin;
    *size = begin + got;
    uint64_t left = result == HTTP1_MORE ? http1_chunks_left(&answer->chunks) : 0;
    if (left > CLIENT_ANSWER_SIZE_MAX || answer->body_size + left > CLIENT_ANSWER_SIZE_MAX) return ANSWER_BROKEN;
    return result == HTTP1_OK ? ANSWER_OK : ANSWER_MORE;
}

static enum answer_result body_read(struct answer *answer, char *memory, size_t *size, bool ended) {
    size_t here = *size - answer->body_begin;
    switch ((enum framing)answer->framing) {
    case FRAMED_BY_CHUNKS: return chunks_read(answer, memory, size);
    case FRAMED_BY_LENGTH:
        answer->body_size = (size_t)answer->length;
        answer->more = here > answer->length;
        return here >= answer->length ? ANSWER_OK : ANSWER_MORE;
    case FRAMED_BY_END:
        answer->body_size = here;
        if (here > CLIENT_ANSWER_SIZE_MAX) return ANSWER_BROKEN;
        return ended ? ANSWER_OK : ANSWER_MORE;
    }
    return ANSWER_BROKEN;
}

enum answer_result answer_read(struct answer *answer, char *memory, size_t *size, bool ended) {
    enum answer_result result = ANSWER_MORE;
    if (!answer->has_head && *size > 0) {
        check(*size >= answer->scanned);
        result = heads_read(answer, str_make(memory, *size));
        answer->has_head = result == ANSWER_OK;
        answer->read_at = memory;
        answer->body_size = 0;
        answer->more = false;
    }
    if (answer->has_head) result = body_read(answer, memory, size, ended);
    if (result == ANSWER_MORE && ended) return ANSWER_BROKEN;
    if (result != ANSWER_OK) return result;
    if (answer->read_at != memory) { /* its slices are elsewhere */
        size_t body_begin = answer->body_begin;
        uint64_t length = answer->length;
        check(head_read(answer, str_make(memory, body_begin)) == ANSWER_OK);
        check(answer->body_begin == body_begin);
        answer->length = length;
    }
    answer->body = str_make(memory + answer->body_begin, answer->body_size);
    return ANSWER_OK;
}
