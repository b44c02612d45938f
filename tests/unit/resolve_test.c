/* SPDX-License-Identifier: Apache-2.0 */
/* Names that need no asking, and a name server of ours that answers over UDP on loopback, lies, or says nothing. */
#include "net/resolve.h"

#include "base/os.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

static void test_known_without_asking(void **state) {
    (void)state;
    static const struct {
        const char *host, *first; /* first NULL: must be asked for */
        uint32_t count;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", 1},
        {"::1", "::1", 1},
        {"2001:db8::7", "2001:db8::7", 1},
        {"localhost", "127.0.0.1", 2},
        {"LocalHost", "127.0.0.1", 2},
        {"abc.lambda-url.us-east-1.localhost", "127.0.0.1", 2},
        {"notlocalhost", NULL, 0},
        {".localhost", NULL, 0},
        {"localhost.example.com", NULL, 0},
        {"localhos", NULL, 0},
        {"127.0.0.1.example.com", NULL, 0},
        {"127.1", NULL, 0},
        {"127.0.0.256", NULL, 0},
        {"0x7f000001", NULL, 0},
        {"[::1]", NULL, 0},
        {":::", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct addresses addresses = {.count = 99};
        bool known = addresses_known(str_from(cases[i].host), &addresses);
        if (known != (cases[i].first != NULL)) fail_msg("%s", cases[i].host);
        assert_int_equal(addresses.count, known ? cases[i].count : 99);
        if (known) assert_string_equal(addresses.text[0], cases[i].first);
    }
}

/* Answers A with 127.0.0.9 and AAAA with ::9 for names beginning with "g", "no such name" for those beginning with "n",
 * the first two bytes of an answer for "b", and nothing else. */
static void *serve_names(void *context) {
    int fd = *(int *)context;
    for (;;) {
        uint8_t packet[1024];
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&from, &size);
        if (got < 17) return NULL; /* the test's end is one byte */
        char first = (char)(packet[13] | 0x20);
        size_t length = (size_t)got, end = 12;
        while (end < length && packet[end] != 0)
            end += packet[end] + 1U;
        length = end + 5;
        bool v6 = packet[end + 2] == 28;
        packet[2] = 0x81;
        packet[3] = first == 'n' ? 0x83 : 0x80;
        packet[6] = packet[8] = packet[9] = packet[10] = packet[11] = 0;
        packet[7] = first == 'g';
        if (first == 'g') {
            const uint8_t head[] = {0xc0, 12, 0, v6 ? 28 : 1, 0, 1, 0, 0, 0, 60, 0, v6 ? 16 : 4};
            memcpy(packet + length, head, sizeof head);
            length += sizeof head;
            memset(packet + length, 0, 16);
            if (!v6) packet[length] = 127;
            length += v6 ? 16 : 4;
            packet[length - 1] = 9;
        }
        if (first == 'b') length = 2;
        if (first == 'g' || first == 'n' || first == 'b')
            (void)sendto(fd, packet, length, 0, (struct sockaddr *)&from, size);
    }
}

struct asked {
    struct addresses addresses;
    bool done;
};
static void on_addresses(void *context, const struct addresses *addresses) {
    struct asked *asked = context;
    assert_false(asked->done);
    *asked = (struct asked){*addresses, true};
}

static void test_a_name_server(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t count;
        const char *first;
    } cases[] = {
        {"good.example.com", 2, "127.0.0.9"},
        {"Good.Example.Com", 2, "127.0.0.9"},
        {"nosuch.example.com", 0, NULL},
        {"localhost", 1, "127.0.0.1"}, /* in every hosts file; with more addresses in some */
        {"a..b", 0, NULL},
    };
    char path[] = "/tmp/payhook-resolve-XXXXXX", text[128];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    pthread_t thread;
    assert_int_equal(bind(server, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve_names, &server), 0);
    int file = mkstemp(path);
    (void)snprintf(text, sizeof text, "nameserver 127.0.0.1:%u\noptions timeout:10 attempts:1\n",
                   ntohs(address.sin_port));
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    assert_int_equal(close(file), 0);

    struct event_base *base = event_base_new();
    struct resolver *resolver = resolver_open(base, path);
    assert_non_null(resolver);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked asked = {.done = false};
        resolver_start(resolver, str_from(cases[i].name), on_addresses, &asked);
        int64_t end_us = os_mono_us() + 20000000;
        while (!asked.done && os_mono_us() < end_us)
            (void)event_base_loop(base, EVLOOP_ONCE);
        assert_true(asked.done);
        if (asked.addresses.count < cases[i].count || (cases[i].count == 0 && asked.addresses.count > 0))
            fail_msg("%s: %u addresses", cases[i].name, asked.addresses.count);
        if (cases[i].first != NULL) assert_string_equal(asked.addresses.text[0], cases[i].first);
    }
    char too_long[300];
    memset(too_long, 'g', sizeof too_long);
    struct asked asked = {.done = false}, left = {.done = false};
    resolver_start(resolver, str_make(too_long, sizeof too_long), on_addresses, &asked);
    assert_true(asked.done);
    assert_int_equal(asked.addresses.count, 0);
    /* Nobody answers for this one: closing ends it without a call. */
    resolver_start(resolver, STR("silent.example.com"), on_addresses, &left);
    resolver_start(resolver, STR("silent.example.com"), on_addresses, &left);
    (void)event_base_loop(base, EVLOOP_NONBLOCK);
    resolver_start(resolver, STR("good.example.com"), on_addresses, &left);
    resolver_close(resolver);
    assert_false(left.done);
    event_base_free(base);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sendto(server, "x", 1, 0, (struct sockaddr *)&address, sizeof address), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(close(server), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_without_asking),
                                       cmocka_unit_test(test_a_name_server)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
