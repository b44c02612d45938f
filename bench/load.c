/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark's client: N keep-alive connections on one thread, each sends a fresh Stripe-signed event of about 2.5
 * KB and waits for its reply. Every reply must be a 200. Prints one line of JSON: replies a second, latencies, and the
 * CPU time of the client itself.
 *
 * Without RATE a connection sends its next event when it has its reply: as much as the server takes. With RATE (events
 * a second) events fall due at even steps whatever the server does, and a latency counts from when the event was due:
 * one that had to wait for a free connection is as late as its sender would see it.
 *
 *     load PORT CONNECTIONS SECONDS PATH SECRET [RATE] */
#include "base/err.h"
#include "base/os.h"
#include "codec/digest.h"
#include "codec/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX_HERE = 1024, FILLER_SIZE = 2200, LATENCIES_MAX = 1 << 22 };

struct client {
    int fd;
    int64_t sent_us;
    size_t received;
    char in[4096];
};

struct load {
    const char *path, *secret;
    uint16_t port;
    uint64_t rate; /* 0: no step */
    int64_t begin_us, end_us;
    uint64_t serial, run_id, replies;
    uint32_t *latencies_us;
    struct client *idle[CONNECTIONS_MAX_HERE];
    size_t idle_count, busy_count;
    char filler[FILLER_SIZE];
};

/* A new event and its signature, as Stripe's page "Check the webhook signatures" says. */
static void send_one(struct load *load, struct client *client, int64_t due_us) {
    char body_memory[3072], message_memory[4096], hex_memory[64];
    struct writer body = writer_make(body_memory, sizeof body_memory);
    writer_format(&body,
                  "{\n  \"id\": \"evt_%016llx%016llx\",\n  \"object\": \"event\",\n  \"type\": "
                  "\"payment_intent.succeeded\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"pi_%llx\",\n      "
                  "\"amount\": 186500,\n      \"description\": \"",
                  (unsigned long long)load->run_id, (unsigned long long)load->serial,
                  (unsigned long long)(load->run_id ^ load->serial / 3));
    load->serial++;
    writer_put(&body, str_make(load->filler, sizeof load->filler));
    writer_put(&body, STR("\"\n    }\n  }\n}\n"));
    char time_text[24];
    (void)snprintf(time_text, sizeof time_text, "%lld", (long long)(os_wall_us() / 1000000));
    const struct str parts[] = {str_from(time_text), STR("."), writer_str(&body)};
    uint8_t digest[32];
    digest_hmac(DIGEST_SHA256, str_from(load->secret), parts, 3, digest);
    struct writer hex = writer_make(hex_memory, sizeof hex_memory);
    text_hex_write(&hex, digest, sizeof digest);
    struct writer message = writer_make(message_memory, sizeof message_memory);
    writer_format(
        &message,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/json; charset=utf-8\r\nUser-Agent: "
        "Stripe/1.0\r\nAccept: */*\r\nCache-Control: no-cache\r\nContent-Length: %zu\r\nStripe-Signature: t=%s,v1=",
        load->path, (unsigned)load->port, body.len, time_text);
    writer_put(&message, writer_str(&hex));
    writer_put(&message, STR("\r\n\r\n"));
    writer_put(&message, writer_str(&body));
    check(!body.overflow);
    check(!message.overflow);
    client->sent_us = due_us;
    client->received = 0;
    check(send(client->fd, message.ptr, message.len, MSG_NOSIGNAL) == (ssize_t)message.len);
}

/* True where a whole reply is there. */
static bool receive(struct client *client) {
    ssize_t got = recv(client->fd, client->in + client->received, sizeof client->in - 1 - client->received, 0);
    check(got > 0);
    client->received += (size_t)got;
    client->in[client->received] = '\0';
    char *end = strstr(client->in, "\r\n\r\n");
    if (end == NULL) return false;
    char *length = strcasestr(client->in, "content-length: ");
    check(length != NULL);
    size_t whole = (size_t)(end - client->in) + 4 + strtoul(length + 16, NULL, 10);
    if (client->received < whole) return false;
    if (strncmp(client->in, "HTTP/1.1 200 ", 13) != 0) {
        fprintf(stderr, "load: not a 200: %.60s\n", client->in);
        exit(1);
    }
    return true;
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Sends what is due, as far as there are idle connections. False once no more will be. */
static bool send_due(struct load *load) {
    while (load->idle_count > 0) {
        int64_t now = os_mono_us();
        int64_t due = load->rate == 0 ? now : load->begin_us + (int64_t)(load->serial * 1000000 / load->rate);
        if (due >= load->end_us) return false;
        if (due > now) break;
        send_one(load, load->idle[--load->idle_count], due);
        load->busy_count++;
    }
    return true;
}

static void connect_all(struct load *load, struct client *clients, size_t count, int epoll) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(load->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    for (size_t i = 0; i < count; i++) {
        clients[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(connect(clients[i].fd, (struct sockaddr *)&address, sizeof address) == 0);
        check(setsockopt(clients[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        check(epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) == 0);
        load->idle[load->idle_count++] = &clients[i];
    }
}

/* Until the time is over and every reply is there. With a rate it never sleeps: a timer would be too coarse. */
static void run(struct load *load, int epoll) {
    for (bool more = send_due(load); more || load->busy_count > 0; more = more && send_due(load)) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, load->rate == 0 || !more ? -1 : 0);
        check(ready >= 0 || errno == EINTR);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (!receive(client)) continue;
            int64_t late_us = os_mono_us() - client->sent_us;
            if (load->replies < LATENCIES_MAX) load->latencies_us[load->replies] = (uint32_t)late_us;
            load->replies++;
            load->idle[load->idle_count++] = client;
            load->busy_count--;
        }
    }
}

static void print(const struct load *load) {
    double spent = (double)(os_mono_us() - load->begin_us) / 1e6;
    size_t kept = load->replies < LATENCIES_MAX ? load->replies : LATENCIES_MAX;
    check(kept > 0);
    qsort(load->latencies_us, kept, sizeof *load->latencies_us, by_value);
    struct rusage usage;
    check(getrusage(RUSAGE_SELF, &usage) == 0);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("{\"replies\": %llu, \"per_second\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"client_cpu_us\": %.2f}\n",
           (unsigned long long)load->replies, (double)load->replies / spent, load->latencies_us[kept / 2],
           load->latencies_us[kept * 99 / 100], cpu * 1e6 / (double)load->replies);
}

int main(int argc, char **argv) {
    if (argc != 6 && argc != 7) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SECONDS PATH SECRET [RATE]\n");
        return 2;
    }
    static struct load load;
    static struct client clients[CONNECTIONS_MAX_HERE];
    uint64_t port, count, seconds;
    check(str_u64(str_from(argv[1]), 65535, &port));
    check(str_u64(str_from(argv[2]), CONNECTIONS_MAX_HERE, &count));
    check(str_u64(str_from(argv[3]), 3600, &seconds));
    if (argc == 7) check(str_u64(str_from(argv[6]), 1000000, &load.rate));
    load.port = (uint16_t)port;
    load.path = argv[4];
    load.secret = argv[5];
    os_random(&load.run_id, sizeof load.run_id);
    memset(load.filler, 'x', sizeof load.filler);
    load.latencies_us = malloc(sizeof(uint32_t) * LATENCIES_MAX);
    check(load.latencies_us != NULL);

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    check(epoll >= 0);
    connect_all(&load, clients, count, epoll);
    load.begin_us = os_mono_us();
    load.end_us = load.begin_us + (int64_t)seconds * 1000000;
    run(&load, epoll);
    print(&load);
    free(load.latencies_us);
    return 0;
}
