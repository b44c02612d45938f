/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as operators write them, and those that are none. */
#include "net/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

static void test_url(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *authority, *path; /* host NULL: refused */
        uint16_t port;
        bool tls;
    } cases[] = {
        {"http://a", "a", "a", "", 80, false},
        {"https://a", "a", "a", "", 443, true},
        {"http://a/", "a", "a", "/", 80, false},
        {"http://localhost:4566/base/x", "localhost", "localhost:4566", "/base/x", 4566, false},
        {"https://127.0.0.1:8443", "127.0.0.1", "127.0.0.1:8443", "", 8443, true},
        {"http://[::1]", "::1", "[::1]", "", 80, false},
        {"http://[fd00:ec2::23]:80/c", "fd00:ec2::23", "[fd00:ec2::23]:80", "/c", 80, false},
        {"http://a:65535", "a", "a:65535", "", 65535, false},
        {""},
        {"a"},
        {"a:80"},
        {"//a"},
        {"http:/a"},
        {"HTTP://a"},
        {"ftp://a"},
        {"http://"},
        {"http:///path"},
        {"http://:80"},
        {"http://a:"},
        {"http://a:0"},
        {"http://a:65536"},
        {"http://a:80x"},
        {"http://a:-1"},
        {"http://a:80:80"},
        {"http://[::1"},
        {"http://[]"},
        {"http://[a]"},
        {"http://[::1]80"},
        {"http://[::1]:"},
        {"http://u@a"},
        {"http://u:p@a"},
        {"http://a b"},
        {"http://a/b c"},
        {"http://a/b?c"},
        {"http://a/#b"},
        {"http://a\n"},
        {"http://a%20b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct url url = {.target.port = 7};
        bool good = url_read(str_from(cases[i].text), &url);
        if (good != (cases[i].host != NULL)) fail_msg("%s", cases[i].text);
        if (!good) {
            assert_int_equal(url.target.port, 7);
            continue;
        }
        assert_true(str_eq(url.target.host, str_from(cases[i].host)));
        assert_true(str_eq(url.authority, str_from(cases[i].authority)));
        assert_true(str_eq(url.path, str_from(cases[i].path)));
        assert_int_equal(url.target.port, cases[i].port);
        assert_int_equal(url.target.tls, cases[i].tls);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_url)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
