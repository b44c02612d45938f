/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the service manager how the server stands: sd_notify(3) without its library. Does nothing where nobody asked
 * ($NOTIFY_SOCKET). */
#ifndef PAYHOOK_APP_NOTIFY_H
#define PAYHOOK_APP_NOTIFY_H

struct notify {
    int fd; /* -1: nobody asked */
};

/* Before the sandbox, which lets no abstract socket be reached that was not reached before. */
void notify_open(struct notify *ret_notify);
void notify_ready(const struct notify *notify);
/* Between this and notify_ready a new configuration is read. */
void notify_reloading(const struct notify *notify);
void notify_stopping(const struct notify *notify);
void notify_close(struct notify *notify);

#endif
