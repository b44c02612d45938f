/* SPDX-License-Identifier: Apache-2.0 */
/* One datagram a state, to the socket that $NOTIFY_SOCKET names (sd_notify(3), "Notes", which promises that the
 * protocol stays): a path, or "@" and the name of an abstract socket. The socket is connected once and kept. A manager
 * that does not listen is no reason to stop, so that a datagram which cannot be sent is dropped. The watchdog is not
 * served. */
#include "app/notify.h"

#include "app/log.h"
#include "base/os.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_open(struct notify *ret_notify) {
    ret_notify->fd = -1;
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0') return;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    int fd = -1, sys = EINVAL;
    if ((path[0] == '/' || path[0] == '@') && len > 1 && len < sizeof address.sun_path) {
        memcpy(address.sun_path, path, len);
        if (path[0] == '@') address.sun_path[0] = '\0';
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
        if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, size) == 0) {
            ret_notify->fd = fd;
            return;
        }
        sys = errno;
        if (fd >= 0) (void)close(fd); /* unused */
    }
    log_format(LOG_WARNING, "the service manager is not told: NOTIFY_SOCKET: %s", strerror(sys));
}

static void tell(const struct notify *notify, const char *text) {
    if (notify->fd >= 0) (void)send(notify->fd, text, strlen(text), MSG_NOSIGNAL); /* see above */
}

void notify_ready(const struct notify *notify) { tell(notify, "READY=1"); }

void notify_reloading(const struct notify *notify) {
    char text[64];
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)os_mono_us());
    tell(notify, text);
}

void notify_stopping(const struct notify *notify) { tell(notify, "STOPPING=1"); }

void notify_close(struct notify *notify) {
    if (notify->fd >= 0) (void)close(notify->fd); /* nothing waits in it */
    notify->fd = -1;
}
