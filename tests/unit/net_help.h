/* SPDX-License-Identifier: Apache-2.0 */
/* A server that follows a script, on loopback: what a connection reads and writes is a list of words, one list a
 * connection in the order they are accepted; further connections follow the last list.
 *
 *   "<"      reads one request, its body by content-length      ">TEXT"  writes TEXT
 *   "~MS"    waits                                              "$"      says good-bye and closes the writing side
 *   "!"      resets the connection                              "-"      waits until the peer closes
 *
 * At the end of its list a connection is closed. */
#ifndef PAYHOOK_TESTS_NET_HELP_H
#define PAYHOOK_TESTS_NET_HELP_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORDS_IN_SCRIPT = 12, CONNECTIONS_IN_SCRIPT = 256, REQUEST_TEXT_SIZE = 16384 };

typedef const char *script[WORDS_IN_SCRIPT];

struct stand {
    int listener;
    uint16_t port;
    const script *scripts;
    size_t script_count;
    pthread_t acceptor;
    pthread_mutex_t lock;
    size_t accepted, requests;    /* under lock, as what follows */
    size_t open, open_max;        /* connections at once: a client that saw one close has seen it counted */
    size_t followed;              /* words of all scripts, and one for each connection closed */
    char last[REQUEST_TEXT_SIZE]; /* the last request, with a NUL */
    pthread_t threads[CONNECTIONS_IN_SCRIPT];
    int sockets[CONNECTIONS_IN_SCRIPT];
    /* For TLS: wraps an accepted socket; NULL: none. */
    void *(*wrap)(void *context, int fd);
    long (*wrapped_read)(void *wrapped, void *bytes, size_t size);
    long (*wrapped_write)(void *wrapped, const void *bytes, size_t size);
    void (*unwrap)(void *wrapped, bool politely);
    void *context;
};

struct stand_connection {
    struct stand *stand;
    size_t index;
    int fd;
    void *wrapped;
};

static inline long stand_read(struct stand_connection *c, void *bytes, size_t size) {
    return c->wrapped != NULL ? c->stand->wrapped_read(c->wrapped, bytes, size) : recv(c->fd, bytes, size, 0);
}

static inline bool stand_write(struct stand_connection *c, const char *text, size_t size) {
    while (size > 0) {
        long wrote = c->wrapped != NULL ? c->stand->wrapped_write(c->wrapped, text, size)
                                        : send(c->fd, text, size, MSG_NOSIGNAL);
        if (wrote <= 0) return false;
        text += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

/* One request, byte by byte so that nothing of the next is taken. */
static inline bool stand_read_request(struct stand_connection *c) {
    static const char name[] = "content-length:";
    char *text = calloc(1, REQUEST_TEXT_SIZE);
    size_t size = 0;
    bool good = text != NULL;
    while (good && (size < 4 || memcmp(text + size - 4, "\r\n\r\n", 4) != 0))
        good = size < REQUEST_TEXT_SIZE - 1 && stand_read(c, text + size, 1) == 1 && ++size > 0;
    size_t body = 0;
    for (size_t i = 0; good && i + sizeof name < size; i++)
        if (strncasecmp(text + i, name, sizeof name - 1) == 0) body = strtoul(text + i + sizeof name - 1, NULL, 10);
    while (good && body > 0) { /* what does not fit is dropped */
        char byte[4096];
        long got = stand_read(c, byte, body < sizeof byte ? body : sizeof byte);
        good = got > 0;
        if (!good) break;
        size_t room = REQUEST_TEXT_SIZE - 1 - size, some = (size_t)got < room ? (size_t)got : room;
        memcpy(text + size, byte, some);
        size += some;
        body -= (size_t)got;
    }
    if (good) {
        pthread_mutex_lock(&c->stand->lock);
        c->stand->requests++;
        memcpy(c->stand->last, text, size);
        c->stand->last[size] = '\0';
        pthread_mutex_unlock(&c->stand->lock);
    }
    free(text);
    return good;
}

static inline bool stand_follow(struct stand_connection *c, const char *word) {
    char byte;
    switch (word[0]) {
    case '<': return stand_read_request(c);
    case '>': return stand_write(c, word + 1, strlen(word + 1));
    case '~': usleep((unsigned)strtoul(word + 1, NULL, 10) * 1000); return true;
    case '$':
        if (c->wrapped != NULL) c->stand->unwrap(c->wrapped, true);
        c->wrapped = NULL;
        return shutdown(c->fd, SHUT_WR) == 0;
    case '-':
        while (recv(c->fd, &byte, 1, 0) > 0)
            ;
        return false;
    case '!': {
        const struct linger now = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        return false;
    }
    default: return false;
    }
}

static inline void *stand_serve(void *context) {
    struct stand_connection *c = context;
    struct stand *stand = c->stand;
    const script *words = &stand->scripts[c->index < stand->script_count ? c->index : stand->script_count - 1];
    bool good = true;
    if (stand->wrap != NULL) {
        c->wrapped = stand->wrap(stand->context, c->fd);
        good = c->wrapped != NULL;
    }
    for (size_t i = 0; good && i < WORDS_IN_SCRIPT && (*words)[i] != NULL; i++) {
        good = stand_follow(c, (*words)[i]);
        pthread_mutex_lock(&stand->lock);
        stand->followed++;
        pthread_mutex_unlock(&stand->lock);
    }
    if (c->wrapped != NULL) stand->unwrap(c->wrapped, false);
    pthread_mutex_lock(&stand->lock);
    stand->sockets[c->index] = -1;
    stand->open--;
    close(c->fd);
    stand->followed++;
    pthread_mutex_unlock(&stand->lock);
    free(c);
    return NULL;
}

static inline void *stand_accept(void *context) {
    struct stand *stand = context;
    for (;;) {
        int fd = accept(stand->listener, NULL, NULL);
        if (fd < 0) return NULL;
        struct stand_connection *c = calloc(1, sizeof *c);
        pthread_mutex_lock(&stand->lock);
        if (c == NULL || stand->accepted == CONNECTIONS_IN_SCRIPT) abort();
        *c = (struct stand_connection){.stand = stand, .index = stand->accepted, .fd = fd};
        stand->sockets[c->index] = fd;
        if (++stand->open > stand->open_max) stand->open_max = stand->open;
        if (pthread_create(&stand->threads[stand->accepted++], NULL, stand_serve, c) != 0) abort();
        pthread_mutex_unlock(&stand->lock);
    }
}

/* The stand may have been given its TLS functions; all else is set here. */
static inline void stand_open(struct stand *stand, const script *scripts, size_t count) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    stand->scripts = scripts;
    stand->script_count = count;
    stand->accepted = stand->requests = stand->followed = stand->open = stand->open_max = 0;
    stand->last[0] = '\0';
    stand->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pthread_mutex_init(&stand->lock, NULL) != 0 || stand->listener < 0 ||
        bind(stand->listener, (struct sockaddr *)&address, size) != 0 || listen(stand->listener, 1024) != 0 ||
        getsockname(stand->listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&stand->acceptor, NULL, stand_accept, stand) != 0)
        abort();
    stand->port = ntohs(address.sin_port);
}

static inline void stand_close(struct stand *stand) {
    (void)shutdown(stand->listener, SHUT_RDWR); /* ends accept */
    pthread_join(stand->acceptor, NULL);
    close(stand->listener);
    pthread_mutex_lock(&stand->lock);
    for (size_t i = 0; i < stand->accepted; i++)
        if (stand->sockets[i] >= 0) (void)shutdown(stand->sockets[i], SHUT_RDWR);
    size_t count = stand->accepted;
    pthread_mutex_unlock(&stand->lock);
    for (size_t i = 0; i < count; i++)
        pthread_join(stand->threads[i], NULL);
    pthread_mutex_destroy(&stand->lock);
}

static inline size_t stand_requests(struct stand *stand) {
    pthread_mutex_lock(&stand->lock);
    size_t count = stand->requests;
    pthread_mutex_unlock(&stand->lock);
    return count;
}
/* Waits until so many words have been followed, in vain for 20 s. */
static inline bool stand_wait(struct stand *stand, size_t count) {
    bool there = false;
    for (int i = 0; i < 4000 && !there; i++) {
        pthread_mutex_lock(&stand->lock);
        there = stand->followed >= count;
        pthread_mutex_unlock(&stand->lock);
        if (!there) usleep(5000);
    }
    return there;
}
static inline size_t stand_accepted(struct stand *stand) {
    pthread_mutex_lock(&stand->lock);
    size_t count = stand->accepted;
    pthread_mutex_unlock(&stand->lock);
    return count;
}
static inline size_t stand_open_max(struct stand *stand) {
    pthread_mutex_lock(&stand->lock);
    size_t count = stand->open_max;
    pthread_mutex_unlock(&stand->lock);
    return count;
}

#endif
