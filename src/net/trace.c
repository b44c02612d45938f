/* SPDX-License-Identifier: Apache-2.0 */
/* X-Ray. In a Lambda function the service owns the segment, and only subsegments are taken: one a call, sent to the
 * daemon as one datagram that nobody waits for. What does not fit, or cannot be sent, is lost.
 *
 * The invocation's trace belongs to the thread that serves it; no other state is kept between invocations but the
 * socket.
 */
#include "net/trace.h"

#include "base/os.h"
#include "codec/json.h"
#include "codec/text.h"
#include "net/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER_SIZE_MAX = 512, DATAGRAM_SIZE_MAX = 8192 };

/* One thread's invocation. */
static _Thread_local struct {
    char header[HEADER_SIZE_MAX];
    size_t size;
    struct str root, parent; /* slices of header */
    bool sampled;
    bool looked; /* for a daemon */
    int socket;  /* -1: there is none */
} trace;

/* "Root=1-5759e988-bd862e3fe1be46a994272793": 1, 8 and 24 hex digits. */
static bool is_trace_id(struct str id) {
    if (id.len != 35 || id.ptr[0] != '1' || id.ptr[1] != '-' || id.ptr[10] != '-') return false;
    uint8_t bytes[12];
    return text_hex_read(str_make(id.ptr + 2, 8), TEXT_HEX_LOWER, bytes, 4) &&
           text_hex_read(str_make(id.ptr + 11, 24), TEXT_HEX_LOWER, bytes, 12);
}

void trace_begin(struct str header) {
    trace.size = 0;
    trace.root = trace.parent = STR("");
    trace.sampled = false;
    if (header.len == 0 || header.len > HEADER_SIZE_MAX || str_has_control(header)) return;
    memcpy(trace.header, header.ptr, header.len);
    trace.size = header.len;
    struct str rest = str_make(trace.header, trace.size), field, name, value;
    uint8_t id[8];
    while (rest.len > 0) {
        if (!str_cut(rest, ';', &field, &rest)) {
            field = rest;
            rest = STR_NONE;
        }
        if (!str_cut(str_trim(field), '=', &name, &value)) continue;
        if (str_eq(name, STR("Root")) && is_trace_id(value)) trace.root = value;
        if (str_eq(name, STR("Parent")) && value.len == 16 && text_hex_read(value, TEXT_HEX_LOWER, id, 8))
            trace.parent = value;
        if (str_eq(name, STR("Sampled"))) trace.sampled = str_eq(value, STR("1"));
    }
}

struct str trace_header(void) {
    return trace.size > 0 ? str_make(trace.header, trace.size) : STR("");
}
struct str trace_id(void) {
    return trace.root.len > 0 ? trace.root : STR("");
}

/* "127.0.0.1:2000", or "tcp:127.0.0.1:2000 udp:127.0.0.1:2001": the latter's udp. */
static struct str udp_address(struct str text) {
    struct str word, rest = text;
    if (!str_has(text, ' ') && !str_starts(text, STR("udp:"))) return text;
    while (rest.len > 0) {
        if (!str_cut(rest, ' ', &word, &rest)) {
            word = rest;
            rest = STR_NONE;
        }
        if (str_starts(word, STR("udp:"))) return str_from_index(word, 4);
    }
    return STR("");
}

/* A connected socket, or -1. Literal addresses only: looking up a name could take time. */
static int open_socket(void) {
    struct client_target target;
    char host[INET6_ADDRSTRLEN];
    const char *given = getenv("AWS_XRAY_DAEMON_ADDRESS");
    if (given == NULL || !url_authority_read(udp_address(str_from(given)), false, &target)) return -1;
    if (target.host.len >= sizeof host) return -1;
    memcpy(host, target.host.ptr, target.host.len);
    host[target.host.len] = '\0';
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(target.port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(target.port)};
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1) return -1;
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, is_v4 ? sizeof v4 : sizeof v6) == 0)
        return fd;
    (void)close(fd); /* nothing was sent */
    return -1;
}

static void write_seconds(struct writer *w, const char *name, int64_t us) {
    writer_format(w, ",\"%s\":%lld.%06lld", name, (long long)(us / 1000000), (long long)(us % 1000000));
}

static void write_text(struct writer *w, const char *name, struct str text) {
    writer_format(w, "\"%s\":", name);
    json_write_string(w, text, true);
}

/* "AWS X-Ray segment documents": a subsegment, sent on its own. */
static void write_document(struct writer *w, const struct trace_call *call) {
    uint8_t id[8];
    os_random(id, sizeof id);
    writer_put(w, STR("{\"format\":\"json\",\"version\":1}\n{\"id\":\""));
    text_hex_write(w, id, sizeof id);
    writer_put(w, STR("\",\"trace_id\":\""));
    writer_put(w, trace.root);
    writer_put(w, STR("\",\"parent_id\":\""));
    writer_put(w, trace.parent);
    writer_put(w, STR("\",\"type\":\"subsegment\",\"namespace\":\"aws\","));
    write_text(w, "name", str_from(call->service));
    write_seconds(w, "start_time", call->started_us);
    write_seconds(w, "end_time", call->ended_us);
    if (call->status != 0) writer_format(w, ",\"http\":{\"response\":{\"status\":%d}}", call->status);
    writer_put(w, STR(",\"aws\":{"));
    write_text(w, "operation", str_from(call->operation));
    writer_char(w, ',');
    write_text(w, "region", str_from(call->region));
    if (call->request_id.len > 0) {
        writer_char(w, ',');
        write_text(w, "request_id", call->request_id);
    }
    if (call->resource != NULL) {
        writer_char(w, ',');
        /* Only tables have a name of their own among the fields. */
        write_text(w, strcmp(call->service, "dynamodb") == 0 ? "table_name" : "resource", str_from(call->resource));
    }
    writer_char(w, '}');
    if (call->error.len > 0) {
        bool fault = call->status == 0 || call->status >= 500;
        writer_put(w, fault ? STR(",\"fault\":true") : STR(",\"error\":true"));
        if (call->status == 429) writer_put(w, STR(",\"throttle\":true"));
        os_random(id, sizeof id);
        writer_put(w, STR(",\"cause\":{\"exceptions\":[{\"id\":\""));
        text_hex_write(w, id, sizeof id);
        writer_put(w, STR("\",\"remote\":true,"));
        write_text(w, "type", call->error);
        writer_put(w, STR("}]}"));
    }
    writer_char(w, '}');
}

void trace_call(const struct trace_call *call) {
    if (!trace.sampled || trace.root.len == 0 || trace.parent.len == 0) return;
    if (!trace.looked) {
        trace.looked = true;
        trace.socket = open_socket();
    }
    if (trace.socket < 0) return;
    char datagram[DATAGRAM_SIZE_MAX];
    struct writer w = writer_make(datagram, sizeof datagram);
    write_document(&w, call);
    if (!w.overflow)
        (void)send(trace.socket, w.ptr, w.len,
                   MSG_DONTWAIT | MSG_NOSIGNAL); /* nobody waits for a trace, nor misses it */
}
