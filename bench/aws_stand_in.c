/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark's AWS: DynamoDB and Secrets Manager as quick as a loopback can be. One thread, keep-alive connections,
 * one request after the other on each. It reads a request to its end and looks at nothing but its length and which of
 * the two services is asked: GetSecretValue has a secret as its answer, every write has "{}" and the CRC of that.
 * Nothing is kept and nothing refused: how right the requests are is for the tests.
 *
 *     aws_stand_in     prints its port, runs until it is killed */
#include "base/err.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_SIZE_MAX = 1 << 16 };

struct peer {
    int fd;
    size_t received;
    char in[REQUEST_SIZE_MAX + 1];
};

/* 2745614147 is the CRC-32 of "{}". */
static const char WRITTEN[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: R\r\n"
                              "x-amz-crc32: 2745614147\r\nContent-Length: 2\r\n\r\n{}";
static const char SECRET[] = "{\"ARN\":\"a\",\"Name\":\"n\",\"SecretString\":\"{\\\"api_key\\\": "
                             "\\\"placeholder_value_replace_in_production\\\"}\"}";

static void send_all(int fd, const char *text, size_t size) {
    check(send(fd, text, size, MSG_NOSIGNAL) == (ssize_t)size);
}

static void answer(const struct peer *peer) {
    if (strcasestr(peer->in, "x-amz-target: secretsmanager.") == NULL) {
        send_all(peer->fd, WRITTEN, sizeof WRITTEN - 1);
        return;
    }
    char text[512];
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nx-amzn-RequestId: R\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        sizeof SECRET - 1, SECRET);
    check(size > 0 && (size_t)size < sizeof text);
    send_all(peer->fd, text, (size_t)size);
}

/* False where the peer has hung up. */
static bool receive(struct peer *peer) {
    ssize_t got = recv(peer->fd, peer->in + peer->received, REQUEST_SIZE_MAX - peer->received, 0);
    if (got <= 0) return false;
    peer->received += (size_t)got;
    peer->in[peer->received] = '\0';
    const char *end = strstr(peer->in, "\r\n\r\n"), *length = strcasestr(peer->in, "\r\ncontent-length:");
    if (end == NULL) return true;
    check(length != NULL && length < end);
    size_t whole = (size_t)(end - peer->in) + 4 + strtoul(length + 17, NULL, 10);
    check(whole <= REQUEST_SIZE_MAX && peer->received <= whole);
    if (peer->received < whole) return true;
    answer(peer);
    peer->received = 0;
    return true;
}

static void accept_one(int listener, int epoll) {
    struct peer *peer = malloc(sizeof *peer);
    check(peer != NULL);
    peer->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    check(peer->fd >= 0);
    peer->received = 0;
    int one = 1;
    check(setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd, &event) == 0);
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC);
    check(listener >= 0 && epoll >= 0);
    check(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1024) == 0);
    check(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0);
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    (void)fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer == NULL) {
                accept_one(listener, epoll);
            } else if (!receive(peer)) {
                (void)close(peer->fd);
                free(peer);
            }
        }
    }
}
