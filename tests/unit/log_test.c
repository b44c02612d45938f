/* SPDX-License-Identifier: Apache-2.0 */
/* Lines as they arrive: stderr is a socket of packets here, so that each write is seen by itself. */
#include "app/log.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CANARY "canary4f1d7c2a9b"

enum { WRITES_MAX = 4096, LINE_SIZE_MAX = 4000 };

/* All that was written since capture_begin, and where each write ended. */
static char captured[8 << 20];
static size_t captured_size, write_ends[WRITES_MAX], write_count;
static int stderr_kept = -1, reading_end = -1;

static void capture_begin(void) {
    int pair[2];
    captured_size = write_count = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    stderr_kept = dup(STDERR_FILENO);
    assert_true(stderr_kept >= 0);
    assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(pair[1]), 0);
    reading_end = pair[0];
}

/* Between begin and end nothing may be asserted: cmocka writes to stderr. */
static void capture_more(void) {
    for (;;) {
        ssize_t got = recv(reading_end, captured + captured_size, sizeof captured - captured_size, MSG_DONTWAIT);
        if (got <= 0 || write_count == WRITES_MAX) return;
        captured_size += (size_t)got;
        write_ends[write_count++] = captured_size;
    }
}

static struct str capture_end(void) {
    capture_more();
    assert_int_equal(dup2(stderr_kept, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(stderr_kept), 0);
    assert_int_equal(close(reading_end), 0);
    size_t from = 0;
    for (size_t i = 0; i < write_count; i++) { /* whole lines, few enough bytes to stay together in a pipe */
        assert_true(write_ends[i] - from <= PIPE_BUF);
        assert_int_equal(captured[write_ends[i] - 1], '\n');
        from = write_ends[i];
    }
    return str_make(captured, captured_size);
}

/* Cuts the first line off, its end included, and looks at what any line must be. */
static struct str next_line(struct str *text) {
    struct str line;
    if (!str_cut(*text, '\n', &line, text)) fail_msg("no line: %.*s", STR_ARG(*text));
    assert_true(line.len < LINE_SIZE_MAX);
    assert_false(str_has_control(line));
    assert_true(str_starts(line, STR("time=")));
    return line;
}

#define assert_line(text, expected)                                                                                    \
    do {                                                                                                               \
        struct str text_ = (text), line_ = next_line(&text_);                                                          \
        if (!str_eq(line_, str_from(expected))) fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(line_), expected);          \
        assert_int_equal(text_.len, 0);                                                                                \
    } while (0)

/* Sentences */

static void sentences(void **state) {
    (void)state; /* there is none */
    const struct {
        enum log_level level;
        struct str sentence;
        const char *line; /* behind the time */
    } cases[] = {
        {LOG_INFO, STR("listening on 127.0.0.1:8080"), " level=info message=\"listening on 127.0.0.1:8080\""},
        {LOG_WARNING, STR(""), " level=warning message=\"\""},
        {LOG_WARNING, STR_NONE, " level=warning message=\"\""},
        {LOG_ERROR, STR("a\r\nlevel=info"), " level=error message=\"a\\x0d\\x0alevel=info\""},
        {LOG_ERROR, STR("\"quoted\" \\ \0\x1b[2J\x7f"),
         " level=error message=\"\\x22quoted\\x22 \\x5c \\x00\\x1b[2J\\x7f\""},
        {LOG_INFO, STR("caf\xc3\xa9 \xc2\x85 \xff"), " level=info message=\"caf\xc3\xa9 \\xc2\\x85 \\xff\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        capture_begin();
        log_sentence(cases[i].level, cases[i].sentence);
        struct str text = capture_end(), line = next_line(&text);
        assert_int_equal(write_count, 1);
        assert_int_equal(text.len, 0);
        assert_true(line.len > 32);
        assert_int_equal(line.ptr[15], 'T'); /* time=2026-07-01T10:20:34.123456Z */
        assert_int_equal(line.ptr[31], 'Z');
        struct str rest = str_from_index(line, 32);
        if (!str_eq(rest, str_from(cases[i].line))) fail_msg("%.*s", STR_ARG(rest));
    }
}

static void long_sentences(void **state) {
    (void)state; /* there is none */
    static char text[10000];
    for (size_t size = 3800; size < sizeof text; size += size < 4100 ? 1 : 997)
        for (int hostile = 0; hostile <= 1; hostile++) {
            memset(text, hostile ? '\n' : 'x', size);
            capture_begin();
            log_sentence(LOG_INFO, str_make(text, size));
            struct str all = capture_end(), line = next_line(&all);
            assert_int_equal(write_count, 1);
            assert_int_equal(all.len, 0);
            assert_true(str_ends(line, hostile ? STR("\\x0a\"") : STR("x\"")));
            assert_true(line.len > LINE_SIZE_MAX - 8 || line.len == 32 + strlen(" level=info message=\"\"") + size);
        }
    memset(text, 'y', 5000);
    text[5000] = '\0';
    capture_begin();
    log_format(LOG_WARNING, "%s=%d %s", "a\nb", 7, text);
    struct str all = capture_end(), line = next_line(&all);
    assert_true(str_starts(str_from_index(line, 32), STR(" level=warning message=\"a\\x0ab=7 yyyy")));
    assert_true(str_ends(line, STR("y\"")));
}

/* Webhooks */

static struct log_buffer buffer;
static struct source shop;
static struct event event;
static struct ingest ingest;
static struct log_request request;

/* An ordinary stored event, every other text of which holds what no line may say. */
static int each_begin(void **state) {
    (void)state; /* there is none */
    shop.name = STR("shop");
    event = (struct event){
        .source = STR("shop"),
        .transaction_id = STR("pi_1"),
        .event_key = STR("evt_1"),
        .event_id = STR(CANARY),
        .event_type = STR(CANARY),
        .payload = STR(CANARY),
        .request_body = STR(CANARY),
        .headers = STR("x: " CANARY "\n"),
        .method = STR(CANARY),
        .target = STR("/?" CANARY),
        .environment = STR(CANARY),
        .processed_by = STR(CANARY),
    };
    ingest = (struct ingest){.verdict = VERDICT_STORED,
                             .source = &shop,
                             .reason = STR(""),
                             .reply_body = STR(CANARY),
                             .key_url = STR(CANARY),
                             .events = &event,
                             .event_count = 1};
    shop.secrets[0] = (struct secret){STR(CANARY), CANARY};
    shop.secret_count = 1;
    request = (struct log_request){.request_id = 0x1a2b,
                                   .ingest = &ingest,
                                   .verdict = VERDICT_STORED,
                                   .status = 200,
                                   .now_us = INT64_C(1795460930123456),
                                   .duration_us = 1234567};
    buffer.size = 0;
    return 0;
}

static struct str logged(void) {
    capture_begin();
    log_webhook(&buffer, &request);
    bool early = buffer.size == 0;
    log_flush(&buffer);
    struct str all = capture_end();
    assert_false(early); /* it is kept until it is asked for */
    assert_int_equal(buffer.size, 0);
    assert_null(memmem(all.ptr, all.len, CANARY, strlen(CANARY)));
    return all;
}

#define HEAD(level) "time=2026-11-23T19:08:50.123456Z level=" level " request=0000000000001a2b"
#define TAIL        " ms=1234.567"

static void webhooks(void **state) {
    (void)state; /* there is none */
    assert_line(logged(), HEAD("info") " source=shop event=evt_1 transaction=pi_1 verdict=stored status=200" TAIL);

    request.verdict = VERDICT_DUPLICATE;
    request.duration_us = 42;
    ingest.event_count = 512;
    assert_line(logged(), HEAD("info") " source=shop event=evt_1 transaction=pi_1 events=512 verdict=duplicate "
                                       "status=200 ms=0.042");
    ingest.event_count = 0;
    ingest.events = NULL;
    request.verdict = VERDICT_STORED;
    request.duration_us = 0;
    assert_line(logged(), HEAD("info") " source=shop verdict=stored status=200 ms=0.000");

    request.verdict = VERDICT_BAD_SIGNATURE;
    request.status = 401;
    request.request_id = UINT64_MAX;
    request.duration_us = 1000;
    ingest.reason = STR("no secret of this source made the signature");
    assert_line(logged(), "time=2026-11-23T19:08:50.123456Z level=warning request=ffffffffffffffff source=shop "
                          "verdict=bad_signature status=401 reason=\"no secret of this source made the signature\" "
                          "ms=1.000");
}

static void levels(void **state) {
    (void)state; /* there is none */
    static const struct {
        int status;
        const char *unreadable, *level;
    } cases[] = {
        {200, NULL, "level=info "},    {200, "not JSON", "level=warning "}, {399, NULL, "level=info "},
        {400, NULL, "level=warning "}, {498, NULL, "level=warning "},       {499, NULL, "level=warning "},
        {500, NULL, "level=error "},   {503, "not JSON", "level=error "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        request.status = cases[i].status;
        event.unreadable = str_from(cases[i].unreadable);
        struct str all = logged(), line = next_line(&all);
        assert_non_null(memmem(line.ptr, line.len, cases[i].level, strlen(cases[i].level)));
        const char *says = " unreadable=\"not JSON\" ";
        assert_int_equal(memmem(line.ptr, line.len, says, strlen(says)) != NULL, cases[i].unreadable != NULL);
    }
}

static void without_a_source(void **state) {
    (void)state;           /* there is none */
    request.ingest = NULL; /* nothing could be read */
    request.verdict = VERDICT_HEAD_TOO_LARGE;
    request.status = 431;
    assert_line(logged(), HEAD("warning") " verdict=head_too_large status=431" TAIL);
    request.ingest = &ingest;
    ingest = (struct ingest){.verdict = VERDICT_NOT_FOUND};
    request.verdict = VERDICT_NOT_FOUND;
    request.status = 404;
    assert_line(logged(), HEAD("warning") " verdict=not_found status=404" TAIL);
}

/* What an id may be, and what becomes of it. */
static void values(void **state) {
    (void)state; /* there is none */
    static char long_text[300], long_logged[300], long_hostile[300];
    memset(long_text, 'k', sizeof long_text);
    memset(long_hostile, '"', sizeof long_hostile);
    memset(long_logged, 'k', 256);
    memcpy(long_logged + 256, "...", 4);
    const struct {
        struct str value;
        const char *logged;
    } cases[] = {
        {STR("a-Z_0~!/:;,'"), "a-Z_0~!/:;,'"},
        {STR(""), "\"\""},
        {STR("a b"), "\"a b\""},
        {STR("a=b"), "\"a=b\""},
        {STR("a\"b"), "\"a\\x22b\""},
        {STR("a\\b"), "\"a\\x5cb\""},
        {STR("x verdict=stored status=200"), "\"x verdict=stored status=200\""},
        {STR("x\" verdict=\"stored"), "\"x\\x22 verdict=\\x22stored\""},
        {STR("x\r\ntime=2026"), "\"x\\x0d\\x0atime=2026\""},
        {STR("\x1b]0;title\x07"), "\"\\x1b]0;title\\x07\""},
        {STR("\0"), "\"\\x00\""},
        {STR("\t"), "\"\\x09\""},
        {STR("\x7f"), "\"\\x7f\""},
        {STR("\xc2\x9b"
             "2J"),
         "\"\\xc2\\x9b2J\""},
        {STR("caf\xc3\xa9"), "\"caf\xc3\xa9\""},
        {STR("\xff\xfe"), "\"\\xff\\xfe\""},
        {str_make(long_text, 256), NULL},
        {str_make(long_text, 257), long_logged},
        {str_make(long_text, 300), long_logged},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int where = 0; where < 2; where++) {
            char expected[1024], value[300];
            (void)snprintf(value, sizeof value, "%.*s", cases[i].logged == NULL ? 256 : 299,
                           cases[i].logged == NULL ? long_text : cases[i].logged);
            event.event_key = where == 0 ? cases[i].value : STR("evt_1");
            event.transaction_id = where == 1 ? cases[i].value : STR("pi_1");
            (void)snprintf(expected, sizeof expected,
                           HEAD("info") " source=shop event=%s transaction=%s verdict=stored status=200" TAIL,
                           where == 0 ? value : "evt_1", where == 1 ? value : "pi_1");
            print_message("case %zu\n", i);
            assert_line(logged(), expected);
        }
    /* The worst that can come with an event, and without one: nothing of the line is lost. */
    event.event_key = str_make(long_hostile, 256);
    event.transaction_id = str_make(long_hostile, 300);
    event.unreadable = STR("nested too deep");
    struct str all = logged(), line = next_line(&all);
    assert_true(str_ends(line, STR(" unreadable=\"nested too deep\" verdict=stored status=200" TAIL)));
    ingest.event_count = 0;
    ingest.reason = str_make(long_hostile, 255);
    request.verdict = VERDICT_MALFORMED;
    all = logged();
    line = next_line(&all);
    assert_true(str_ends(line, STR("\\x22\" ms=1234.567")));
    /* More than can come is cut, and still one line. */
    ingest.event_count = 1;
    memset(long_hostile, '\n', sizeof long_hostile);
    ingest.reason = event.unreadable = str_make(long_hostile, 300);
    all = logged();
    (void)next_line(&all);
    assert_int_equal(all.len, 0);
}

/* Flushes */

static void many_lines(void **state) {
    (void)state; /* there is none */
    static char key[256];
    static const size_t sizes[] = {1, 7, 100, 255, 256};
    enum { LINES = 6000 };
    memset(key, '"', sizeof key); /* four bytes each */
    size_t flushed_early = 0;
    capture_begin();
    for (int i = 0; i < LINES; i++) {
        event.event_key = str_make(key, sizes[i % 5]);
        event.transaction_id = str_make(key, sizes[i / 5 % 5]);
        request.request_id = (uint64_t)i;
        size_t before = buffer.size;
        log_webhook(&buffer, &request);
        flushed_early += buffer.size < before;
        capture_more();
    }
    log_flush(&buffer);
    size_t size_after = buffer.size;
    log_flush(&buffer); /* of nothing */
    struct str all = capture_end();
    assert_int_equal(size_after, 0);
    assert_true(flushed_early > 10);
    assert_true(write_count < LINES); /* several lines at once */
    for (int i = 0; i < LINES; i++) {
        char number[32];
        struct str line = next_line(&all);
        (void)snprintf(number, sizeof number, " request=%016x ", (unsigned)i);
        assert_non_null(memmem(line.ptr, line.len, number, strlen(number)));
        assert_true(str_ends(line, STR(TAIL)));
    }
    assert_int_equal(all.len, 0);
}

/* A log that cannot be written is dropped: nobody waits for it, and nothing is left in the buffer. */
static void nobody_reads(void **state) {
    (void)state; /* there is none */
    capture_begin();
    (void)close(STDERR_FILENO); /* capture_end puts it back */
    for (int i = 0; i < 2000; i++)
        log_webhook(&buffer, &request);
    log_flush(&buffer);
    log_sentence(LOG_ERROR, STR("x"));
    size_t size = buffer.size;
    struct str all = capture_end();
    assert_int_equal(size, 0);
    assert_int_equal(all.len, 0);
}

#define each(test) cmocka_unit_test_setup(test, each_begin)

int main(void) {
    const struct CMUnitTest tests[] = {
        each(sentences), each(long_sentences),   each(webhooks),   each(levels),
        each(values),    each(without_a_source), each(many_lines), each(nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
