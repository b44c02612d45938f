/* SPDX-License-Identifier: Apache-2.0 */
/* One request a connection, read by the same strict reader as a webhook's: read a head, write the reply, close our
 * side, wait for the other's. One deadline for all of it. When too many are open the oldest goes, so that whoever holds
 * connections cannot keep a health check out.
 *
 * It has no TLS and no password: it belongs on loopback, or on a network of the operator's own. */
#include "app/admin.h"

#include "app/listener.h"
#include "codec/http1.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY_HEAD_SIZE_MAX = 512 };

struct client {
    struct admin *admin;
    struct client *next;
    struct event *event, *timer;
    char *out; /* malloc'd; NULL until the head is there */
    size_t out_size, out_sent;
    size_t head_size, scanned;
    int fd;
    char head[HTTP_HEAD_SIZE_MAX];
};

struct admin {
    struct event_base *base;
    struct event *accept_event;
    struct admin_asks asks;
    struct client *clients; /* the newest first */
    size_t client_count;
    int fd;
};

/* ---- pages ---- */

struct page {
    int status;
    struct str content_type, extra, body;
    char *memory; /* the body's, or NULL */
};

static struct page text_page(int status, struct str body) {
    return (struct page){.status = status, .content_type = STR("text/plain; charset=utf-8"), .body = body};
}

static struct page page_health(struct admin *admin, struct writer *room) {
    (void)admin, (void)room; /* the columns of the table */
    return text_page(200, STR("ok\n"));
}

static struct page page_ready(struct admin *admin, struct writer *room) {
    bool ready = admin->asks.ready(admin->asks.context, room);
    if (ready) writer_put(room, STR("ready"));
    writer_char(room, '\n');
    struct page page = text_page(ready ? 200 : 503, writer_str(room));
    if (!ready) page.extra = STR("retry-after: 1\r\n");
    return page;
}

static struct page page_metrics(struct admin *admin, struct writer *room) {
    (void)room;
    struct str text = admin->asks.metrics(admin->asks.context);
    if (text.ptr == NULL) return text_page(503, STR("no memory\n"));
    return (struct page){.status = 200,
                         .content_type = STR("text/plain; version=0.0.4; charset=utf-8"),
                         .body = text,
                         .memory = (char *)(uintptr_t)text.ptr};
}

/* To add a page: its function and a row. */
static const struct {
    const char *path;
    struct page (*make)(struct admin *admin, struct writer *room);
} PAGES[] = {
    {"/healthz", page_health},
    {"/readyz", page_ready},
    {"/metrics", page_metrics},
};

static struct page page_of(struct admin *admin, const struct http_request *request, struct writer *room) {
    for (size_t i = 0; i < sizeof PAGES / sizeof *PAGES; i++) {
        if (!str_eq(request->path, str_from(PAGES[i].path))) continue;
        if (str_eq(request->method, STR("GET")) || str_eq(request->method, STR("HEAD")))
            return PAGES[i].make(admin, room);
        struct page page = text_page(405, STR("only GET and HEAD\n"));
        page.extra = STR("allow: GET, HEAD\r\n");
        return page;
    }
    return text_page(404, STR("there are /healthz, /readyz and /metrics\n"));
}

/* ---- connections ---- */

static void client_close(struct client *client) {
    struct client **at = &client->admin->clients;
    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    client->admin->client_count--;
    if (client->event != NULL) event_free(client->event);
    if (client->timer != NULL) event_free(client->timer);
    (void)close(client->fd);
    free(client->out);
    free(client);
}

static void on_deadline(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    client_close(context);
}

static bool blocked(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

static void wait_for(struct client *client, short what, event_callback_fn callback) {
    (void)event_del(client->event); /* fails only for one that was never set up */
    if (event_assign(client->event, client->admin->base, client->fd, (short)(what | EV_PERSIST), callback, client) !=
            0 ||
        event_add(client->event, NULL) != 0)
        client_close(client);
}

static void on_rest(evutil_socket_t fd, short what, void *context) {
    char dropped[4096];
    (void)what;
    ssize_t got = recv(fd, dropped, sizeof dropped, 0);
    if (got > 0 || (got < 0 && blocked())) return; /* until the deadline */
    client_close(context);
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    struct client *client = context;
    (void)what;
    ssize_t sent = send(fd, client->out + client->out_sent, client->out_size - client->out_sent, MSG_NOSIGNAL);
    if (sent < 0 && blocked()) return;
    if (sent < 0) {
        client_close(client);
        return;
    }
    client->out_sent += (size_t)sent;
    if (client->out_sent < client->out_size) return;
    /* RFC 9112 §9.6: a close with bytes unread would reset what is still on its way. */
    if (shutdown(fd, SHUT_WR) != 0)
        client_close(client);
    else
        wait_for(client, EV_READ, on_rest);
}

static void answer(struct client *client, const struct page *page, bool is_head) {
    size_t size = REPLY_HEAD_SIZE_MAX + page->body.len;
    client->out = malloc(size);
    if (client->out == NULL) {
        client_close(client);
        return;
    }
    struct writer w = writer_make(client->out, size);
    http1_reply_write(&w, page->status, page->content_type, page->extra, page->body, true);
    check(!w.overflow);
    client->out_size = is_head ? w.len - page->body.len : w.len; /* RFC 9110 §9.3.2 */
    wait_for(client, EV_WRITE, on_writable);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct client *client = context;
    (void)what;
    ssize_t got = recv(fd, client->head + client->head_size, sizeof client->head - client->head_size, 0);
    if (got < 0 && blocked()) return;
    if (got <= 0) {
        client_close(client);
        return;
    }
    client->head_size += (size_t)got;
    struct http_request request;
    struct http1_head head;
    enum http1_result result =
        http1_head_read(str_make(client->head, client->head_size), &client->scanned, &request, &head);
    if (result == HTTP1_MORE) return;
    char memory[256];
    struct writer room = writer_make(memory, sizeof memory);
    bool good = result == HTTP1_OK;
    struct page page =
        good ? page_of(client->admin, &request, &room) : text_page(400, STR("this is no HTTP/1.1 request\n"));
    answer(client, &page, good && str_eq(request.method, STR("HEAD")));
    free(page.memory);
}

static void client_open(struct admin *admin, int fd) {
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        (void)close(fd);
        return;
    }
    client->admin = admin;
    client->fd = fd;
    client->next = admin->clients;
    admin->clients = client;
    admin->client_count++;
    client->event = event_new(admin->base, fd, EV_READ | EV_PERSIST, on_readable, client);
    client->timer = event_new(admin->base, -1, 0, on_deadline, client);
    const struct timeval deadline = {.tv_sec = ADMIN_DEADLINE_S};
    if (client->event == NULL || client->timer == NULL || event_add(client->event, NULL) != 0 ||
        event_add(client->timer, &deadline) != 0) {
        client_close(client);
        return;
    }
    if (admin->client_count <= ADMIN_CONNECTIONS_MAX) return;
    struct client *oldest = client;
    while (oldest->next != NULL)
        oldest = oldest->next;
    client_close(oldest);
}

static void on_acceptable(evutil_socket_t listen_fd, short what, void *context) {
    (void)what;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        client_open(context, fd);
        return;
    }
    /* Out of descriptors: one of ours goes, and the next try comes at once. Without one, whoever holds them must let
     * go; the loop's other work goes on meanwhile. */
    struct client *clients = ((struct admin *)context)->clients;
    if ((errno == EMFILE || errno == ENFILE) && clients != NULL) client_close(clients);
}

/* ---- from outside ---- */

struct err admin_open(struct event_base *base, const char *host, uint16_t port, const struct admin_asks *asks,
                      struct admin **ret_admin, uint16_t *ret_port) {
    struct admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL) return err_make(ERR_MEMORY, ENOMEM, "serve health and metrics");
    admin->base = base;
    admin->asks = *asks;
    struct err result = listener_open(host, port, &admin->fd, ret_port);
    if (err_is(result)) {
        free(admin);
        return result;
    }
    admin->accept_event = event_new(base, admin->fd, EV_READ | EV_PERSIST, on_acceptable, admin);
    if (admin->accept_event == NULL || event_add(admin->accept_event, NULL) != 0) {
        admin_close(admin);
        return err_make(ERR_MEMORY, ENOMEM, "serve health and metrics");
    }
    *ret_admin = admin;
    return err_ok();
}

void admin_close(struct admin *admin) {
    if (admin == NULL) return;
    for (struct client *client = admin->clients, *next; client != NULL; client = next) {
        next = client->next;
        client_close(client);
    }
    if (admin->accept_event != NULL) event_free(admin->accept_event);
    (void)close(admin->fd);
    free(admin);
}
