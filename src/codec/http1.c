/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 request heads, the chunked coding, and reply heads (RFC 9112, RFC 9110).
 *
 * The head reader is one pass from left to right. It gives an answer as soon as the bytes seen so far decide it, so the
 * answer does not depend on how the network cut the stream: a prefix either needs more, or has the result that the
 * whole has. Bytes are tested against one table of classes, and names and values are slices of the buffer. A head that
 * is not all there is read again only when a new byte can change the outcome (worth_reading); until then only line ends
 * are looked for. The chunked decoder is a table of legal moves, a byte at a time but for the data itself, which is
 * moved in one piece.
 *
 * Refused although RFC 9112 would let a server repair it: bare LF as a line end (§2.2), line folding (§5.2), blanks
 * around the parts of a request line (§3), equal Content-Lengths (§6.3). Each is a way to make two programs disagree
 * about one message. The absolute form (§3.2.2) is refused as well, see request_line_read.
 *
 * Not here: deadlines, body limits and 100 (Continue) replies, which belong to the connection; what a method or a path
 * means. */
#include "codec/http1.h"

#include "base/err.h"

/* Classes of bytes. RFC 9110 §5.6.2 (token), RFC 3986 with only the fragment left out (target), RFC 9110 §5.5 (value),
 * RFC 3986 §3.2.2 (reg-name and the inside of an IP-literal). */
enum byte_class {
    CLASS_TOKEN = 0x01,  /* tchar */
    CLASS_TARGET = 0x02, /* 0x21 to 0x7e but "#" */
    CLASS_VALUE = 0x04,  /* HTAB, 0x20 to 0x7e, 0x80 to 0xff */
    CLASS_HOST = 0x08,   /* unreserved and sub-delims without the comma */
    CLASS_IPV6 = 0x10,   /* hex digits ":" "." */
};

// clang-format off
static const uint8_t byte_classes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0, 0, /* 0x00 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 0x10 */
    0x04, 0x0f, 0x06, 0x05, 0x0f, 0x07, 0x0f, 0x0f, 0x0e, 0x0e, 0x0f, 0x0f, 0x06, 0x0f, 0x1f, 0x06, /* 0x20 */
    0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x16, 0x0e, 0x06, 0x0e, 0x06, 0x06, /* 0x30 */
    0x06, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, /* 0x40 */
    0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x06, 0x06, 0x06, 0x07, 0x0f, /* 0x50 */
    0x07, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, /* 0x60 */
    0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x06, 0x07, 0x06, 0x0f, 0, /* 0x70 */
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, /* 0x80 */
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, /* 0xa0 */
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, /* 0xc0 */
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, /* 0xe0 */
};
// clang-format on

/* What the fields of one head have said so far. */
struct reading {
    struct http_request *request;
    struct http1_head *head;
    bool has_host;
    bool has_length;
    bool has_continue;
    bool says_close;
    bool says_keep_alive;
};

static enum http1_result host_read(struct reading *reading, struct str value);
static enum http1_result length_read(struct reading *reading, struct str value);
static enum http1_result coding_read(struct reading *reading, struct str value);
static enum http1_result expect_read(struct reading *reading, struct str value);
static enum http1_result connection_read(struct reading *reading, struct str value);

/* The fields that decide about the connection or the body. A new row is a name in lower case and the function that
 * looks at each occurrence; every other field is only kept. */
#define FIELD(text, function)                                                                                          \
    { {text, sizeof(text) - 1}, function }
static const struct {
    struct str name;
    enum http1_result (*read)(struct reading *reading, struct str value);
} fields[] = {
    FIELD("host", host_read),     FIELD("content-length", length_read), FIELD("transfer-encoding", coding_read),
    FIELD("expect", expect_read), FIELD("connection", connection_read),
};
enum { FIELDS_COUNT = sizeof(fields) / sizeof(fields[0]) };

static bool is_class(char c, enum byte_class class) { return (byte_classes[(unsigned char)c] & class) != 0; }

static const char *skip(const char *at, const char *end, enum byte_class class) {
    while (at < end && is_class(*at, class)) {
        at++;
    }
    return at;
}

/* As skip with CLASS_VALUE. Most bytes of a head are in values, so eight are tested at a time: none below 0x20, none
 * 0x7f. A word with a HTAB in it goes the slow way. */
static const char *skip_value(const char *at, const char *end) {
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    for (;;) {
        while (end - at >= 8) {
            uint64_t word;
            memcpy(&word, at, sizeof(word));
            uint64_t del = word ^ (ones * 0x7f);
            if (((((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & highs) != 0) break;
            at += 8;
        }
        const char *pause = end - at > 8 ? at + 8 : end;
        at = skip(at, pause, CLASS_VALUE);
        if (at < pause || at == end) return at;
    }
}

/* CRLF at *at, which it moves past (RFC 9112 §2.2: never a bare CR or LF). */
static enum http1_result crlf_read(const char **at, const char *end) {
    if (*at == end) return HTTP1_MORE;
    if (**at != '\r') return HTTP1_BAD_REQUEST;
    if (end - *at < 2) return HTTP1_MORE;
    if ((*at)[1] != '\n') return HTTP1_BAD_REQUEST;
    *at += 2;
    return HTTP1_OK;
}

/* HTTP-version CRLF (RFC 9112 §2.3). Exactly 1.1 and 1.0 are read; others are well-formed but unknown, HTTP/2.0 of the
 * HTTP/2 preface among them. */
static enum http1_result version_read(const char **at, const char *end, bool *ret_is_http10) {
    static const char shape[] = "HTTP/d.d";
    const char *version = *at;
    for (const char *s = shape; *s != '\0'; s++, (*at)++) {
        if (*at == end) return HTTP1_MORE;
        bool fits = *s == 'd' ? **at >= '0' && **at <= '9' : **at == *s;
        if (!fits) return HTTP1_BAD_REQUEST;
    }
    enum http1_result result = crlf_read(at, end);
    if (result != HTTP1_OK) return result;
    if (version[5] != '1' || version[7] > '1') return HTTP1_VERSION_UNKNOWN;
    *ret_is_http10 = version[7] == '0';
    return HTTP1_OK;
}

/* method SP request-target SP HTTP-version CRLF (RFC 9112 §3). The bytes before checked have been accepted by an
 * earlier call.
 *
 * The target is the origin form, or "*" for OPTIONS. The absolute form is for proxies. RFC 9112 §3.2.2 wants servers to
 * take it, but no sender of webhooks uses it, its authority would compete with Host, and signatures are made over the
 * path, which would have to be cut out of it; so it is a bad request, as are the authority form and a fragment. */
static enum http1_result request_line_read(struct reading *reading, const char **at, const char *end,
                                           const char *checked) {
    const char *method = *at;
    const char *method_limit = end - method > HTTP_METHOD_SIZE_MAX ? method + HTTP_METHOD_SIZE_MAX + 1 : end;
    const char *p = skip(method, method_limit, CLASS_TOKEN);
    if (p - method > HTTP_METHOD_SIZE_MAX) return HTTP1_BAD_REQUEST;
    if (p == end) return HTTP1_MORE;
    if (p == method || *p != ' ') return HTTP1_BAD_REQUEST;
    reading->request->method = str_make(method, (size_t)(p - method));

    const char *target = p + 1;
    if (target == end) return HTTP1_MORE;
    bool is_star = *target == '*';
    if (!is_star && *target != '/') return HTTP1_BAD_REQUEST;
    const char *target_limit = end - target > HTTP_TARGET_SIZE_MAX ? target + HTTP_TARGET_SIZE_MAX + 1 : end;
    p = target + 1;
    if (checked > p) {
        const char *blank = memchr(p, ' ', (size_t)(checked - p));
        p = blank != NULL ? blank : checked;
    }
    p = skip(p, target_limit, CLASS_TARGET);
    if (is_star && p - target > 1) return HTTP1_BAD_REQUEST;
    if (p - target > HTTP_TARGET_SIZE_MAX) return HTTP1_TARGET_TOO_LONG;
    if (p == end) return HTTP1_MORE;
    if (*p != ' ') return HTTP1_BAD_REQUEST;
    reading->request->target = str_make(target, (size_t)(p - target));

    *at = p + 1;
    enum http1_result result = version_read(at, end, &reading->head->is_http10);
    if (result != HTTP1_OK) return result;
    if (is_star && !str_eq(reading->request->method, STR("OPTIONS"))) return HTTP1_BAD_REQUEST;
    return HTTP1_OK;
}

/* Host = uri-host [ ":" port ] (RFC 9110 §7.2), never empty. Percent-encoding and the comma, which RFC 3986 §3.2.2
 * would allow in a name, are refused: some programs decode the one, and join two fields with the other. */
static bool host_is_valid(struct str value) {
    const char *at = value.ptr, *end = value.ptr + value.len;
    const char *host = at;
    if (at < end && *at == '[') {
        at = skip(at + 1, end, CLASS_IPV6);
        if (at - host < 3 || at == end || *at++ != ']') return false;
    } else {
        at = skip(at, end, CLASS_HOST);
        if (at == host) return false;
    }
    if (at == end) return true;
    if (*at++ != ':') return false;
    struct str port = str_make(at, (size_t)(end - at));
    uint64_t ignored;
    return port.len == 0 || (port.len <= 5 && str_u64(port, 65535, &ignored)); /* port = *DIGIT (RFC 3986 §3.2.3) */
}

static enum http1_result host_read(struct reading *reading, struct str value) {
    if (reading->has_host || !host_is_valid(value)) return HTTP1_BAD_REQUEST; /* RFC 9112 §3.2 */
    reading->has_host = true;
    return HTTP1_OK;
}

/* RFC 9112 §6.3: a length and a coding together, or two lengths (even equal ones), are how requests are smuggled. */
static enum http1_result length_read(struct reading *reading, struct str value) {
    if (reading->has_length || reading->head->chunked) return HTTP1_BAD_REQUEST;
    if (value.len > 18 || !str_u64(value, UINT64_MAX, &reading->head->content_length)) return HTTP1_BAD_REQUEST;
    reading->has_length = true;
    return HTTP1_OK;
}

static enum http1_result coding_read(struct reading *reading, struct str value) {
    if (reading->has_length || reading->head->chunked) return HTTP1_BAD_REQUEST;
    if (reading->head->is_http10) return HTTP1_BAD_REQUEST; /* RFC 9112 §6.1: its framing is faulty */
    if (value.len == 0) return HTTP1_BAD_REQUEST; /* names no coding; a folded line looks like this at first */
    if (!str_eq_nocase(value, STR("chunked"))) return HTTP1_CODING_UNKNOWN;
    reading->head->chunked = true;
    return HTTP1_OK;
}

/* RFC 9110 §10.1.1 would let us answer 417 to another expectation; our contract has no such status, and nobody sends
 * one, so it is a bad request like any other field that we cannot honour. HTTP/1.0 knows no Expect, and the same
 * section says to ignore it. */
static enum http1_result expect_read(struct reading *reading, struct str value) {
    if (reading->head->is_http10) return HTTP1_OK;
    if (!str_eq_nocase(value, STR("100-continue"))) return HTTP1_BAD_REQUEST;
    reading->has_continue = true;
    return HTTP1_OK;
}

/* Connection = #token (RFC 9110 §7.6.1); empty elements are allowed (§5.6.1.2). Options but these two are for proxies,
 * which we are not: whatever fields they name stay where they are. */
static enum http1_result connection_read(struct reading *reading, struct str value) {
    for (bool last = false; !last;) {
        struct str option, rest = STR_NONE;
        last = !str_cut(value, ',', &option, &rest);
        option = str_trim(last ? value : option);
        value = rest;
        if (skip(option.ptr, option.ptr + option.len, CLASS_TOKEN) != option.ptr + option.len) return HTTP1_BAD_REQUEST;
        if (str_eq_nocase(option, STR("close"))) reading->says_close = true;
        if (str_eq_nocase(option, STR("keep-alive"))) reading->says_keep_alive = true;
    }
    return HTTP1_OK;
}

/* field-name ":" OWS field-value OWS CRLF (RFC 9112 §5): no blank before the colon (§5.1), no folded line (§5.2). The
 * bytes before checked have been accepted by an earlier call. */
static enum http1_result field_scan(const char **at, const char *end, const char *checked, const char **ret_colon,
                                    const char **ret_value_end) {
    const char *name = *at, *p = name;
    if (checked > name) {
        const char *known = memchr(name, ':', (size_t)(checked - name));
        p = known != NULL ? known : checked;
    }
    const char *colon = skip(p, end, CLASS_TOKEN);
    if (colon == end) return HTTP1_MORE;
    if (colon == name || *colon != ':') return HTTP1_BAD_REQUEST;
    /* The last checked byte may be the CR, whose LF is still to be seen. */
    p = checked > colon + 1 ? checked - 1 : colon + 1;
    p = skip_value(p, end);
    *ret_colon = colon;
    *ret_value_end = p;
    *at = p;
    return crlf_read(at, end);
}

static enum http1_result field_read(struct reading *reading, const char **at, const char *end) {
    const char *name = *at, *colon, *value_end;
    enum http1_result result = field_scan(at, end, name, &colon, &value_end);
    if (result != HTTP1_OK) return result;
    if (reading->request->header_count == HTTP_HEADERS_MAX) return HTTP1_HEAD_TOO_LARGE;

    struct http_header *header = &reading->request->headers[reading->request->header_count++];
    header->name = str_make(name, (size_t)(colon - name));
    header->value = str_trim(str_make(colon + 1, (size_t)(value_end - colon - 1)));
    for (size_t i = 0; i < FIELDS_COUNT; i++) {
        if (header->name.len == fields[i].name.len && str_eq_nocase(header->name, fields[i].name)) {
            return fields[i].read(reading, header->value);
        }
    }
    return HTTP1_OK;
}

/* The rules over all fields, once the empty line is there. */
static enum http1_result fields_done(struct reading *reading) {
    struct http1_head *head = reading->head;
    if (!head->is_http10 && !reading->has_host) return HTTP1_BAD_REQUEST; /* RFC 9112 §3.2 */
    if (!reading->has_length && !head->chunked) {
        /* RFC 9112 §6.3 reads it as an empty body and allows 411 (RFC 9110 §15.5.12): these methods always mean one. */
        struct str method = reading->request->method;
        bool needs_body = str_eq(method, STR("POST")) || str_eq(method, STR("PUT")) || str_eq(method, STR("PATCH"));
        if (needs_body) return HTTP1_LENGTH_REQUIRED;
    }
    head->expect_continue = reading->has_continue && (head->chunked || head->content_length > 0);
    head->keep_alive = !reading->says_close && (!head->is_http10 || reading->says_keep_alive);
    return HTTP1_OK;
}

static enum http1_result head_parse(const char *buffer, size_t size, size_t checked, struct reading *reading) {
    const char *at = buffer, *end = buffer + size;
    enum http1_result result;
    if (at < end && *at == '\r') { /* Some clients send one CRLF too many after a body (RFC 9112 §2.2). Not two. */
        if ((result = crlf_read(&at, end)) != HTTP1_OK) return result;
    }
    if ((result = request_line_read(reading, &at, end, buffer + checked)) != HTTP1_OK) return result;
    for (;;) {
        if (at == end) return HTTP1_MORE;
        if (*at == '\r') break;
        if ((result = field_read(reading, &at, end)) != HTTP1_OK) return result;
    }
    if ((result = crlf_read(&at, end)) != HTTP1_OK) return result;
    reading->head->size = (size_t)(at - buffer);
    return fields_done(reading);
}

/* Whether the bytes from scanned on can change the outcome of a head that needed more: any byte can in the request line
 * and in the empty line; behind it only a line that ends, or one that is faulty already. So a head is read at most once
 * a line, however it is cut, and yet a fault is answered with the byte that makes it one. */
static bool worth_reading(const char *buffer, size_t size, size_t scanned) {
    const char *first = buffer + (buffer[0] == '\r' ? 2 : 0), *end = buffer + size, *checked = buffer + scanned;
    if (checked <= first || memchr(checked, '\n', (size_t)(end - checked)) != NULL) return true;
    const char *line_end = memrchr(first, '\n', (size_t)(checked - first));
    if (line_end == NULL) return true;
    const char *at = line_end + 1, *colon, *value_end;
    if (at < end && *at == '\r') return true;
    return field_scan(&at, end, checked, &colon, &value_end) != HTTP1_MORE;
}

enum http1_result http1_head_read(struct str buffer, size_t *scanned, struct http_request *ret_request,
                                  struct http1_head *ret_head) {
    size_t size = buffer.len < HTTP_HEAD_SIZE_MAX ? buffer.len : HTTP_HEAD_SIZE_MAX;
    check(*scanned <= size);
    bool is_full = size == HTTP_HEAD_SIZE_MAX;
    size_t checked = *scanned;
    *scanned = size;
    if (size == 0) return HTTP1_MORE;
    if (checked > 0 && !is_full && !worth_reading(buffer.ptr, size, checked)) return HTTP1_MORE;

    *ret_head = (struct http1_head){0};
    ret_request->header_count = 0;
    ret_request->body = STR("");
    struct reading reading = {.request = ret_request, .head = ret_head};
    enum http1_result result = head_parse(buffer.ptr, size, checked, &reading);
    if (result == HTTP1_MORE && is_full) return HTTP1_HEAD_TOO_LARGE;
    if (result == HTTP1_OK) request_split_target(ret_request);
    return result;
}

/* The chunked coding: states, kinds of bytes, and which byte leads where (RFC 9112 §7.1). 0 is a fresh decoder, and in
 * the table the mark of a byte that may not come. The order matters: lines before CHUNK_DATA are chunk-size lines,
 * those from CHUNK_TRAILER_FIRST on are trailers. */
enum chunk_state {
    CHUNK_FRESH = 0,
    CHUNK_SIZE_FIRST, /* of the second and later chunks */
    CHUNK_SIZE,
    CHUNK_EXT,            /* blanks behind a size, name or value: only ";" may follow (BWS, not OWS) */
    CHUNK_EXT_NAME_FIRST, /* behind ";" */
    CHUNK_EXT_NAME,
    CHUNK_EXT_NAME_BLANK,
    CHUNK_EXT_VALUE_FIRST, /* behind "=" */
    CHUNK_EXT_VALUE,
    CHUNK_QUOTED, /* quoted-string, RFC 9110 §5.6.4 */
    CHUNK_QUOTED_PAIR,
    CHUNK_QUOTED_END,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_FIRST,
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF,
    CHUNK_DONE,
    CHUNK_FAILED,
};

enum chunk_byte {
    BYTE_CONTROL,
    BYTE_CR,
    BYTE_LF,
    BYTE_BLANK,
    BYTE_SEMICOLON,
    BYTE_EQUALS,
    BYTE_QUOTE,
    BYTE_BACKSLASH,
    BYTE_COLON,
    BYTE_HEX,
    BYTE_TOKEN, /* but hex digits */
    BYTE_OTHER, /* visible, none of the above; 0x80 to 0xff */
    BYTE_COUNT,
};

// clang-format off
#define ON_TOKEN(state) [BYTE_HEX] = (state), [BYTE_TOKEN] = (state)
#define ON_TEXT(state) ON_TOKEN(state), [BYTE_BLANK] = (state), [BYTE_SEMICOLON] = (state), [BYTE_EQUALS] = (state), \
    [BYTE_COLON] = (state), [BYTE_OTHER] = (state)
#define ON_EXT_END [BYTE_BLANK] = CHUNK_EXT, [BYTE_SEMICOLON] = CHUNK_EXT_NAME_FIRST, [BYTE_CR] = CHUNK_SIZE_LF

static const uint8_t chunk_moves[CHUNK_FAILED + 1][BYTE_COUNT] = {
    [CHUNK_FRESH] = {[BYTE_HEX] = CHUNK_SIZE},
    [CHUNK_SIZE_FIRST] = {[BYTE_HEX] = CHUNK_SIZE},
    [CHUNK_SIZE] = {[BYTE_HEX] = CHUNK_SIZE, ON_EXT_END},
    [CHUNK_EXT] = {[BYTE_BLANK] = CHUNK_EXT, [BYTE_SEMICOLON] = CHUNK_EXT_NAME_FIRST},
    [CHUNK_EXT_NAME_FIRST] = {ON_TOKEN(CHUNK_EXT_NAME), [BYTE_BLANK] = CHUNK_EXT_NAME_FIRST},
    [CHUNK_EXT_NAME] = {ON_TOKEN(CHUNK_EXT_NAME), [BYTE_BLANK] = CHUNK_EXT_NAME_BLANK,
        [BYTE_EQUALS] = CHUNK_EXT_VALUE_FIRST, [BYTE_SEMICOLON] = CHUNK_EXT_NAME_FIRST, [BYTE_CR] = CHUNK_SIZE_LF},
    [CHUNK_EXT_NAME_BLANK] = {[BYTE_BLANK] = CHUNK_EXT_NAME_BLANK, [BYTE_EQUALS] = CHUNK_EXT_VALUE_FIRST,
        [BYTE_SEMICOLON] = CHUNK_EXT_NAME_FIRST},
    [CHUNK_EXT_VALUE_FIRST] = {ON_TOKEN(CHUNK_EXT_VALUE), [BYTE_BLANK] = CHUNK_EXT_VALUE_FIRST, [BYTE_QUOTE] = CHUNK_QUOTED},
    [CHUNK_EXT_VALUE] = {ON_TOKEN(CHUNK_EXT_VALUE), ON_EXT_END},
    [CHUNK_QUOTED] = {ON_TEXT(CHUNK_QUOTED), [BYTE_BACKSLASH] = CHUNK_QUOTED_PAIR, [BYTE_QUOTE] = CHUNK_QUOTED_END},
    [CHUNK_QUOTED_PAIR] = {ON_TEXT(CHUNK_QUOTED), [BYTE_BACKSLASH] = CHUNK_QUOTED, [BYTE_QUOTE] = CHUNK_QUOTED},
    [CHUNK_QUOTED_END] = {ON_EXT_END},
    [CHUNK_SIZE_LF] = {[BYTE_LF] = CHUNK_DATA}, /* or, after size 0, CHUNK_TRAILER_FIRST */
    [CHUNK_DATA_CR] = {[BYTE_CR] = CHUNK_DATA_LF},
    [CHUNK_DATA_LF] = {[BYTE_LF] = CHUNK_SIZE_FIRST},
    [CHUNK_TRAILER_FIRST] = {ON_TOKEN(CHUNK_TRAILER_NAME), [BYTE_CR] = CHUNK_LAST_LF},
    [CHUNK_TRAILER_NAME] = {ON_TOKEN(CHUNK_TRAILER_NAME), [BYTE_COLON] = CHUNK_TRAILER_VALUE},
    [CHUNK_TRAILER_VALUE] = {ON_TEXT(CHUNK_TRAILER_VALUE), [BYTE_BACKSLASH] = CHUNK_TRAILER_VALUE,
        [BYTE_QUOTE] = CHUNK_TRAILER_VALUE, [BYTE_CR] = CHUNK_TRAILER_LF},
    [CHUNK_TRAILER_LF] = {[BYTE_LF] = CHUNK_TRAILER_FIRST},
    [CHUNK_LAST_LF] = {[BYTE_LF] = CHUNK_DONE},
};
// clang-format on

/* Trailers may not say again what framed the message (RFC 9110 §6.5.1). Names come in pieces, so those still possible
 * are a bit set, which lives in chunk_left, with line_size as the place in the name. */
static const char *const trailer_refused[] = {"content-length", "transfer-encoding", "host"};
enum { TRAILER_REFUSED_COUNT = sizeof(trailer_refused) / sizeof(trailer_refused[0]) };

static enum chunk_byte chunk_byte_of(char c) {
    switch (c) {
    case '\r': return BYTE_CR;
    case '\n': return BYTE_LF;
    case ' ':
    case '\t': return BYTE_BLANK;
    case ';': return BYTE_SEMICOLON;
    case '=': return BYTE_EQUALS;
    case '"': return BYTE_QUOTE;
    case '\\': return BYTE_BACKSLASH;
    case ':': return BYTE_COLON;
    default: break;
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) return BYTE_HEX;
    if (is_class(c, CLASS_TOKEN)) return BYTE_TOKEN;
    return is_class(c, CLASS_VALUE) ? BYTE_OTHER : BYTE_CONTROL;
}

static void trailer_name_match(struct http1_chunks *chunks, char c, bool is_first) {
    if (is_first) {
        chunks->line_size = 0;
        chunks->chunk_left = (UINT64_C(1) << TRAILER_REFUSED_COUNT) - 1;
    }
    char lower = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    for (size_t i = 0; i < TRAILER_REFUSED_COUNT; i++) {
        bool fits = chunks->line_size < strlen(trailer_refused[i]) && trailer_refused[i][chunks->line_size] == lower;
        if (!fits) chunks->chunk_left &= ~(UINT64_C(1) << i);
    }
    chunks->line_size++;
}

static bool trailer_name_is_refused(const struct http1_chunks *chunks) {
    for (size_t i = 0; i < TRAILER_REFUSED_COUNT; i++) {
        if ((chunks->chunk_left >> i & 1) != 0 && chunks->line_size == strlen(trailer_refused[i])) return true;
    }
    return false;
}

/* One byte of a chunk-size line: up to 16 hex digits, which fill a uint64_t and cannot overflow it. */
static enum http1_result chunk_line_step(struct http1_chunks *chunks, enum chunk_state next, char c) {
    if (next == CHUNK_DATA) { /* the line's LF */
        chunks->line_size = 0;
        chunks->state = chunks->chunk_left > 0 ? CHUNK_DATA : CHUNK_TRAILER_FIRST;
        return HTTP1_OK;
    }
    chunks->state = (int)next;
    if (next == CHUNK_SIZE_LF) return HTTP1_OK;
    if (++chunks->line_size > HTTP_CHUNK_LINE_SIZE_MAX) return HTTP1_BAD_REQUEST;
    if (next == CHUNK_SIZE) {
        if (chunks->line_size > 16) return HTTP1_BAD_REQUEST;
        chunks->chunk_left = chunks->chunk_left << 4 | (uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return HTTP1_OK;
}

static enum http1_result trailer_step(struct http1_chunks *chunks, enum chunk_state next, char c) {
    enum chunk_state before = (enum chunk_state)chunks->state;
    chunks->state = (int)next;
    if (next == CHUNK_LAST_LF || next == CHUNK_DONE) return HTTP1_OK;
    if (++chunks->trailer_size > HTTP_TRAILER_SIZE_MAX) return HTTP1_HEAD_TOO_LARGE;
    if (next == CHUNK_TRAILER_NAME) {
        bool is_first = before == CHUNK_TRAILER_FIRST;
        if (is_first && ++chunks->trailer_count > HTTP_HEADERS_MAX) return HTTP1_HEAD_TOO_LARGE;
        trailer_name_match(chunks, c, is_first);
    } else if (before == CHUNK_TRAILER_NAME && trailer_name_is_refused(chunks)) {
        return HTTP1_BAD_REQUEST;
    }
    return HTTP1_OK;
}

static enum http1_result chunk_step(struct http1_chunks *chunks, char c) {
    enum chunk_state next = (enum chunk_state)chunk_moves[chunks->state][chunk_byte_of(c)];
    if (next == CHUNK_FRESH) return HTTP1_BAD_REQUEST;
    if (chunks->state < CHUNK_DATA) return chunk_line_step(chunks, next, c);
    if (chunks->state >= CHUNK_TRAILER_FIRST) return trailer_step(chunks, next, c);
    chunks->state = (int)next;
    return HTTP1_OK;
}

enum http1_result http1_chunks_read(struct http1_chunks *chunks, char *buffer, size_t size, size_t *ret_body_size,
                                    size_t *ret_used) {
    check(chunks->state >= CHUNK_FRESH);
    check(chunks->state < CHUNK_DONE); /* a message that ended, or was refused, is not read on */
    size_t at = 0, body_size = 0;
    while (at < size && chunks->state != CHUNK_DONE) {
        if (chunks->state == CHUNK_DATA) {
            size_t step = chunks->chunk_left < size - at ? (size_t)chunks->chunk_left : size - at;
            if (at != body_size) memmove(buffer + body_size, buffer + at, step);
            body_size += step;
            at += step;
            chunks->chunk_left -= step;
            if (chunks->chunk_left == 0) chunks->state = CHUNK_DATA_CR;
            continue;
        }
        enum http1_result result = chunk_step(chunks, buffer[at++]);
        if (result != HTTP1_OK) {
            chunks->state = CHUNK_FAILED;
            return result;
        }
    }
    check(body_size <= at);
    *ret_body_size = body_size;
    *ret_used = at;
    return chunks->state == CHUNK_DONE ? HTTP1_OK : HTTP1_MORE;
}

uint64_t http1_chunks_left(const struct http1_chunks *chunks) {
    return chunks->state <= CHUNK_DATA ? chunks->chunk_left : 0; /* then it is the trailers' */
}

/* A status we answer with is a row here. Names: RFC 9110 §15, RFC 6585 §5; 498 is GoCardless's own. */
static const struct {
    int status;
    const char *text;
} status_texts[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {422, "Unprocessable Content"},
    {431, "Request Header Fields Too Large"},
    {498, "Invalid Token"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

const char *http1_status_text(int status) {
    for (size_t i = 0; i < sizeof(status_texts) / sizeof(status_texts[0]); i++) {
        if (status_texts[i].status == status) return status_texts[i].text;
    }
    return "Status";
}

void http1_reply_write(struct writer *w, int status, struct str content_type, struct str extra, struct str body,
                       bool close) {
    check(status >= 200); /* 1xx have no content-length */
    check(status <= 599);
    check(extra.len == 0 || str_ends(extra, STR("\r\n")));
    writer_put(w, STR("HTTP/1.1 "));
    writer_u64(w, (uint64_t)status);
    writer_char(w, ' ');
    writer_put(w, str_from(http1_status_text(status)));
    writer_put(w, STR("\r\n"));
    if (content_type.ptr != NULL) {
        writer_put(w, STR("content-type: "));
        writer_put(w, content_type);
        writer_put(w, STR("\r\n"));
    }
    writer_put(w, STR("content-length: "));
    writer_u64(w, body.len);
    writer_put(w, STR("\r\n"));
    if (close) writer_put(w, STR("connection: close\r\n"));
    writer_put(w, extra);
    writer_put(w, STR("\r\n"));
    writer_put(w, body);
}
