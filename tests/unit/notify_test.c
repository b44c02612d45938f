/* SPDX-License-Identifier: Apache-2.0 */
/* What reaches a service manager's socket, by a path and by an abstract name, and what is left alone. */
#include "app/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A socket bound to a name of sd_notify's form. */
static int listen_at(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@') address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    return fd;
}

static void expect(int fd, const char *text) {
    char got[256] = {0};
    assert_true(recv(fd, got, sizeof got - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(got, text);
}

static void states(void **state) {
    (void)state; /* there is none */
    char folder[] = "/tmp/payhook-notify-XXXXXX", path[64], abstract[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)snprintf(abstract, sizeof abstract, "@payhook-notify-%d", (int)getpid());
    const char *const names[] = {path, abstract};
    for (size_t i = 0; i < 2; i++) {
        int manager = listen_at(names[i]);
        assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        struct notify notify;
        notify_open(&notify);
        assert_true(notify.fd >= 0);
        notify_ready(&notify);
        expect(manager, "READY=1");
        notify_reloading(&notify);
        char got[256] = {0};
        unsigned long long at = 0;
        assert_true(recv(manager, got, sizeof got - 1, MSG_DONTWAIT) > 0);
        assert_int_equal(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%llu", &at), 1);
        assert_true(at > 0);
        notify_stopping(&notify);
        expect(manager, "STOPPING=1");
        assert_int_equal(close(manager), 0);
        notify_ready(&notify); /* nobody there any more: no matter */
        notify_close(&notify);
        assert_int_equal(notify.fd, -1);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void nobody(void **state) {
    (void)state; /* there is none */
    static const char *const names[] = {"",
                                        "relative",
                                        "@",
                                        "/",
                                        "/nowhere/at-all",
                                        "vsock:2:1234",
                                        "/0123456789012345678901234567890123456789012345678901234567890123456789"
                                        "01234567890123456789012345678901234567890123456789"};
    for (size_t i = 0; i <= sizeof names / sizeof *names; i++) {
        if (i < sizeof names / sizeof *names)
            assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        else
            assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
        struct notify notify;
        notify_open(&notify);
        assert_int_equal(notify.fd, -1);
        notify_ready(&notify);
        notify_reloading(&notify);
        notify_stopping(&notify);
        notify_close(&notify);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(states), cmocka_unit_test(nobody)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
