/* SPDX-License-Identifier: Apache-2.0 */
/* One connection at a time, without pools, addresses and deadlines: what is sent, in which order its owner is told, and
 * what an idle one notices. The rest is seen through the client (client_test, tls_test). */
#include "net/channel.h"

#include "net_help.h"

#include <event2/event.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

#define OK ">HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* What a connection's owner was told. */
struct told {
    struct transfer transfer;
    size_t moved, ended, lost;
    struct err failure;
};

static void on_moved(struct channel *channel) { ((struct told *)channel->owner)->moved++; }
static void on_ended(struct channel *channel, struct err failure) {
    struct told *told = channel->owner;
    told->ended++;
    told->failure = failure;
}
static void on_lost(struct channel *channel) {
    ((struct told *)channel->owner)->lost++;
    channel_close(channel);
}
static const struct channel_calls calls = {on_moved, on_ended, on_lost};

static struct http_request make_request(struct str body) {
    struct http_request request = {.method = STR("POST"), .target = STR("/"), .body = body};
    request.headers[request.header_count++] = (struct http_header){STR("Host"), STR("x")};
    return request;
}

static struct channel *open_channel(struct event_base *base, uint16_t port, struct told *told) {
    struct channel *channel = channel_open(base, NULL, STR("127.0.0.1"), "127.0.0.1", port, &calls);
    assert_non_null(channel);
    channel->owner = told;
    return channel;
}

static void carry(struct event_base *base, struct channel *channel, struct told *told, struct str body) {
    struct http_request request = make_request(body);
    size_t before = told->ended;
    assert_true(transfer_begin(&told->transfer, &request));
    channel_carry(channel, &told->transfer);
    assert_int_equal(told->ended, before); /* never from within */
    while (told->ended == before)
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void test_requests_one_after_the_other(void **state) {
    (void)state;
    static const script words = {"<", OK, "<", ">HTTP/1.1 200 OK\r\nContent-Le", "~20", ">ngth: 2\r\n\r\nok",
                                 "<", OK, "-"};
    struct stand stand = {0};
    stand_open(&stand, &words, 1);
    struct event_base *base = event_base_new();
    struct told told = {.moved = 0};
    struct channel *channel = open_channel(base, stand.port, &told);
    static char large[300000];
    memset(large, 'x', sizeof large);
    const struct str bodies[] = {STR("small"), STR(""), str_make(large, sizeof large)};
    for (size_t i = 0; i < 3; i++) {
        carry(base, channel, &told, bodies[i]);
        assert_false(err_is(told.failure));
        assert_true(told.transfer.writing && told.transfer.sent && told.transfer.answered);
        assert_int_equal(told.transfer.answer.status, 200);
        assert_true(str_eq(told.transfer.answer.body, STR("ok")));
        assert_true(channel_rest(channel));
        assert_true(channel_is_quiet(channel));
        assert_int_equal(stand_requests(&stand), i + 1);
    }
    assert_int_equal(stand_accepted(&stand), 1);
    /* Small memory stays for the next, and nothing of what it held. */
    assert_non_null(told.transfer.in);
    size_t got = told.transfer.in_size;
    transfer_end(&told.transfer);
    for (size_t i = 0; i < got; i++)
        assert_int_equal(told.transfer.in[i], 0);
    transfer_done(&told.transfer);
    assert_null(told.transfer.in);
    channel_close(channel);
    event_base_free(base);
    stand_close(&stand);
}

static void test_an_answer_grows(void **state) {
    (void)state;
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE + 128);
    assert_non_null(text);
    int head = snprintf(text, 128, ">HTTP/1.1 200 OK\r\nX-First: y\r\nContent-Length: %d\r\n\r\n", SIZE);
    for (size_t i = 0; i < SIZE; i++)
        text[(size_t)head + i] = (char)('a' + i % 23);
    text[head + SIZE] = '\0';
    const script words = {"<", text, "-"};
    struct stand stand = {0};
    stand_open(&stand, &words, 1);
    struct event_base *base = event_base_new();
    struct told told = {.moved = 0};
    struct channel *channel = open_channel(base, stand.port, &told);
    carry(base, channel, &told, STR("{}"));
    assert_false(err_is(told.failure));
    assert_true(str_eq(told.transfer.answer.headers[0].name, STR("X-First"))); /* though the memory has moved */
    assert_true(str_eq(told.transfer.answer.body, str_make(text + head, SIZE)));
    transfer_end(&told.transfer);
    assert_null(told.transfer.in); /* too much to keep */
    assert_int_equal(told.transfer.in_room, 0);
    transfer_done(&told.transfer);
    channel_close(channel);
    event_base_free(base);
    stand_close(&stand);
    free(text);
}

static void test_idle_connections(void **state) {
    (void)state;
    static const struct {
        const char *name;
        script words;
    } cases[] = {
        {"closed", {"<", OK}},
        {"half closed", {"<", OK, "~10", "$", "-"}},
        {"reset", {"<", OK, "~10", "!"}},
        {"unasked", {"<", OK, "~10", ">x", "-"}},
    };
    for (int noticed_by_loop = 0; noticed_by_loop < 2; noticed_by_loop++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct stand stand = {0};
            stand_open(&stand, &cases[i].words, 1);
            struct event_base *base = event_base_new();
            struct told told = {.moved = 0};
            struct channel *channel = open_channel(base, stand.port, &told);
            carry(base, channel, &told, STR("{}"));
            assert_false(err_is(told.failure));
            assert_true(channel_rest(channel));
            if (noticed_by_loop == 1) {
                while (told.lost == 0)
                    assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
            } else {
                bool quiet = true;
                for (int tries = 0; quiet && tries < 4000; tries++) {
                    usleep(5000);
                    quiet = channel_is_quiet(channel);
                }
                if (quiet) fail_msg("%s: not noticed", cases[i].name);
                channel_close(channel);
            }
            assert_int_equal(told.ended, 1);
            transfer_done(&told.transfer);
            event_base_free(base);
            stand_close(&stand);
        }
    }
}

/* What may not be used again after an answer. */
static void test_no_rest(void **state) {
    (void)state;
    static const script scripts[] = {
        {"<", ">HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "-"},
        {"<", ">HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "-"},
        {"<", OK "HTTP/1.1 500 No\r\n\r\n", "-"},
        {"<", ">HTTP/1.1 200 OK\r\n\r\nok", "$", "-"},
        {">HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "~300", "-"}, /* before it has read what is sent */
    };
    size_t size = 16 << 20;
    char *body = calloc(1, size);
    assert_non_null(body);
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        struct stand stand = {0};
        stand_open(&stand, &scripts[i], 1);
        struct event_base *base = event_base_new();
        struct told told = {.moved = 0};
        struct channel *channel = open_channel(base, stand.port, &told);
        carry(base, channel, &told, i == 4 ? str_make(body, size) : STR("{}"));
        assert_false(err_is(told.failure));
        assert_true(str_eq(told.transfer.answer.body, STR("ok")));
        if (channel_rest(channel)) fail_msg("case %zu is used again", i);
        channel_close(channel);
        transfer_done(&told.transfer);
        event_base_free(base);
        stand_close(&stand);
    }
    free(body);
}

static void test_nobody_there(void **state) {
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int holder = socket(AF_INET, SOCK_STREAM, 0); /* its port refuses, since it does not listen */
    assert_int_equal(bind(holder, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(holder, (struct sockaddr *)&address, &size), 0);
    struct event_base *base = event_base_new();
    struct told told = {.moved = 0};
    struct channel *channel = open_channel(base, ntohs(address.sin_port), &told);
    carry(base, channel, &told, STR("{}"));
    assert_int_equal(told.failure.kind, ERR_NETWORK);
    assert_non_null(strstr(told.failure.where, "reach"));
    assert_false(told.transfer.writing);
    assert_false(channel_is_distrusted(channel));
    channel_close(channel);
    transfer_done(&told.transfer);
    event_base_free(base);
    close(holder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_one_after_the_other),
        cmocka_unit_test(test_an_answer_grows),
        cmocka_unit_test(test_idle_connections),
        cmocka_unit_test(test_no_rest),
        cmocka_unit_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
