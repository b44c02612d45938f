/* SPDX-License-Identifier: Apache-2.0 */
/* The search for credentials: what each place says, which goes first, what is refused, and what happens as they expire.
 * Endpoints are servers of ours on loopback; the environment is set so that no other is ever asked. */
#include "net/credentials.h"

#include "base/os.h"
#include "codec/text.h"
#include "net_help.h"

#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

static char folder[64];
static struct client *client;

static void write_file(const char *name, const char *text, mode_t mode) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void remove_file(const char *name) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path); /* it may not be there */
}

static int set_up(void **state) {
    (void)state;
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_PROFILE",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                        "AWS_EC2_METADATA_SERVICE_ENDPOINT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    char path[128], text[128];
    memcpy(folder, "/tmp/payhook-credentials-XXXXXX", sizeof "/tmp/payhook-credentials-XXXXXX");
    if (mkdtemp(folder) == NULL) return 1;
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    (void)snprintf(path, sizeof path, "%s/credentials", folder);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    (void)snprintf(path, sizeof path, "%s/config", folder);
    setenv("AWS_CONFIG_FILE", path, 1);
    struct writer message = writer_make(text, sizeof text);
    return err_is(client_open(&message, &client));
}

static int tear_down(void **state) {
    (void)state;
    client_close(client);
    remove_file("credentials");
    remove_file("config");
    remove_file("token");
    return rmdir(folder);
}

static void on_found(void *context, struct err failure) { *(struct err *)context = failure; }

static struct err find(struct finder *finder) {
    struct err failure = err_make(ERR_BUSY, 0, "be called");
    finder_find(finder, on_found, &failure);
    client_run(client);
    return failure;
}

static struct finder *open_finder(const char *profile) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct finder *finder;
    if (err_is(finder_open(client, profile, &message, &finder))) fail_msg("%s", writer_cstr(&message));
    return finder;
}

/* Finds key, or nothing: then with these words in the sentence. */
static void expect(const char *profile, const char *key, const char *words) {
    struct finder *finder = open_finder(profile);
    assert_null(finder_have(finder));
    struct err failure = find(finder);
    if (key == NULL) {
        assert_int_equal(failure.kind, ERR_ABSENT);
        assert_null(finder_have(finder));
        if (strstr(finder_trouble(finder), words) == NULL)
            fail_msg("\"%s\" has no \"%s\"", finder_trouble(finder), words);
    } else {
        if (err_is(failure)) fail_msg("%s", finder_trouble(finder));
        const struct credentials *found = finder_have(finder);
        assert_non_null(found);
        if (!str_eq(found->access_key_id, str_from(key))) fail_msg("%.*s, not %s", STR_ARG(found->access_key_id), key);
    }
    finder_close(finder);
}

static void test_the_order(void **state) {
    (void)state;
    expect(NULL, NULL, "no AWS credentials");
    write_file("config", "[default]\naws_access_key_id=CONFIG\naws_secret_access_key=s\nregion=eu-west-3\n", 0600);
    expect(NULL, "CONFIG", NULL);
    write_file("credentials",
               "[default]\naws_access_key_id=SHARED\naws_secret_access_key=s\n"
               "[other]\naws_access_key_id=OTHER\naws_secret_access_key=s\naws_session_token=t\n",
               0600);
    expect(NULL, "SHARED", NULL);
    setenv("AWS_PROFILE", "other", 1);
    expect(NULL, "OTHER", NULL);
    setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT", 1);
    expect(NULL, NULL, "AWS_SECRET_ACCESS_KEY");
    setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    expect(NULL, "ENVIRONMENT", NULL);
    expect("other", "OTHER", NULL); /* named on the command line: the environment's keys do not count */
    expect("default", "SHARED", NULL);
    struct finder *finder = open_finder("default");
    assert_string_equal(finder_region(finder), "eu-west-3");
    finder_close(finder);
}

static void test_files_that_do_not_do(void **state) {
    (void)state;
    static const struct {
        const char *credentials, *config, *profile, *words;
    } cases[] = {
        {"[default]\naws_access_key_id=A\n", "", NULL, "no aws_secret_access_key"},
        {"[default]\naws_access_key_id=A\naws_secret_access_key=\n", "", NULL, "no aws_secret_access_key"},
        {"[default]\naws_access_key_id=A\x01\naws_secret_access_key=s\n", "", NULL, "control character"},
        {"", "[default]\nsso_session=s\n", NULL, "sso_session: export them"},
        {"", "[default]\nrole_arn=s\n", NULL, "role_arn: export them"},
        {"", "[profile p]\ncredential_process=s\n", "p", "export-credentials --profile p"},
        {"", "[default]\nregion=s\n", NULL, "no AWS credentials"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file("credentials", cases[i].credentials, 0600);
        write_file("config", cases[i].config, 0600);
        expect(cases[i].profile, NULL, cases[i].words);
    }
    setenv("AWS_PROFILE", "absent", 1);
    expect(NULL, NULL, "no profile absent");
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct finder *finder;
    assert_int_equal(finder_open(client, "absent", &message, &finder).kind, ERR_INPUT);
    assert_non_null(strstr(writer_cstr(&message), "no profile absent"));
    static char huge[AWS_FILE_SIZE_MAX + 2];
    memset(huge, '#', sizeof huge - 1);
    write_file("credentials", huge, 0600);
    message = writer_make(text, sizeof text);
    assert_int_equal(finder_open(client, NULL, &message, &finder).kind, ERR_INPUT);
    assert_non_null(strstr(writer_cstr(&message), "too large"));
    /* Where no profile was named, it matters only once the files are looked into. */
    unsetenv("AWS_PROFILE");
    expect(NULL, NULL, "too large");
    setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    expect(NULL, "ENVIRONMENT", NULL);
}

static void test_a_credential_that_is_too_long(void **state) {
    (void)state;
    static char token[CREDENTIAL_TOKEN_SIZE_MAX + 2];
    memset(token, 't', sizeof token - 1);
    setenv("AWS_ACCESS_KEY_ID", "A", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    setenv("AWS_SESSION_TOKEN", token, 1);
    expect(NULL, NULL, "longer than");
    token[CREDENTIAL_TOKEN_SIZE_MAX] = '\0';
    setenv("AWS_SESSION_TOKEN", token, 1);
    expect(NULL, "A", NULL);
}

/* -- Endpoints ------------------------------------------------------------------------------------------- */

#define HTTP_200(length, body) ">HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body
#define KEYS                   HTTP_200("72", "{\"AccessKeyId\":\"ENDPOINT\",\"SecretAccessKey\":\"s\",\"Token\":\"the/endpoint+\"}")
#define HTTP_ERROR(status)     ">HTTP/1.1 " status " No\r\nContent-Length: 0\r\n\r\n"

static void test_the_container(void **state) {
    (void)state;
    static const struct {
        script words;
        const char *path, *token, *expected, *words_of_trouble;
    } cases[] = {
        {{"<", KEYS}, "/v2/credentials?a=b", NULL, "GET /v2/credentials?a=b HTTP/1.1\r\n", NULL},
        {{"<", KEYS}, "", "secret-token", "\r\nauthorization: secret-token\r\n", NULL},
        {{"<", HTTP_ERROR("500"), "<", KEYS}, "/x", NULL, "GET /x", NULL},
        {{"<", HTTP_ERROR("404")}, "/x", NULL, NULL, "answers 404"},
        {{"<", HTTP_ERROR("500"), "<", HTTP_ERROR("500"), "<", HTTP_ERROR("500")}, "/x", NULL, NULL, "answers 500"},
        {{"<", HTTP_200("2", "{}")}, "/x", NULL, NULL, "not what it should be"},
        {{"<", HTTP_200("89", "{\"AccessKeyId\":\"E\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"2001-"
                              "01-01T00:00:00Z\"}")},
         "/x",
         NULL,
         NULL,
         "clock"},
        {{"<", "!"}, "/x", NULL, NULL, "does not answer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stand stand = {0};
        char url[128];
        stand_open(&stand, &cases[i].words, 1);
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", stand.port, cases[i].path);
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
        if (cases[i].token != NULL) setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", cases[i].token, 1);
        expect(NULL, cases[i].expected != NULL ? "ENDPOINT" : NULL, cases[i].words_of_trouble);
        stand_close(&stand);
        if (cases[i].expected != NULL && strstr(stand.last, cases[i].expected) == NULL) fail_msg("%s", stand.last);
    }
}

static void test_the_container_token_file(void **state) {
    (void)state;
    static const script scripts[] = {{"<", KEYS}};
    struct stand stand = {0};
    char text[128];
    stand_open(&stand, scripts, 1);
    (void)snprintf(text, sizeof text, "http://localhost:%u/c", stand.port);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    (void)snprintf(text, sizeof text, "%s/token", folder);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", text, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "not-this", 1);
    expect(NULL, NULL, "token");
    write_file("token", "", 0600);
    expect(NULL, NULL, "cannot be sent");
    write_file("token", "evil\r\nX: y\n", 0600);
    expect(NULL, NULL, "cannot be sent");
    write_file("token", "from-the-file\n", 0600);
    expect(NULL, "ENDPOINT", NULL);
    stand_close(&stand);
    assert_int_equal(stand.requests, 1);
    assert_non_null(strstr(stand.last, "\r\nauthorization: from-the-file\r\n"));
}

/* Nobody is asked: these hosts are not on this machine, or are no hosts. */
static void test_other_hosts_are_not_asked(void **state) {
    (void)state;
    static const char *const urls[] = {
        "http://example.com/c", "https://example.com/c", "http://10.0.0.1/c",      "http://127.0.0.1.example.com/c",
        "http://127.1/c",       "http://127.0.0.x/",     "http://127.0.0.1.2/c",   "http://127.0.0.256/c",
        "http://1270.0.0.1/",   "http://[::2]/c",        "http://169.254.170.3/c", "127.0.0.1/c",
        "http://u@127.0.0.1/c", "ftp://127.0.0.1/"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", urls[i], 1);
        expect(NULL, NULL, "must be on this machine");
    }
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@example.com/", 1);
    expect(NULL, NULL, "must be on this machine");
}

static void test_the_machine(void **state) {
    (void)state;
    static const struct {
        script words;
        const char *trouble; /* NULL: found */
    } cases[] = {
        {{"<", HTTP_200("5", "TOKEN"), "<", HTTP_200("10", "role-1\nold"), "<", KEYS}, NULL},
        {{"<", HTTP_ERROR("403")}, "answers 403"},
        {{"<", HTTP_200("0", "")}, "not what it should be"},
        {{"<", HTTP_200("3", "a\tb")}, "not what it should be"},
        {{"<", HTTP_200("5", "TOKEN"), "<", HTTP_ERROR("404")}, "no role"},
        {{"<", HTTP_200("5", "TOKEN"), "<", HTTP_200("0", "")}, "not what it should be"},
        {{"<", HTTP_200("5", "TOKEN"), "<", HTTP_200("6", "../../")}, "not what it should be"},
        {{"<", HTTP_200("5", "TOKEN"), "<", HTTP_200("6", "role-1"), "<", HTTP_ERROR("500")}, "answers 500"},
        {{"<", HTTP_200("5", "TOKEN"), "<", HTTP_200("6", "role-1"), "<", HTTP_200("17", "{\"Code\":\"Failed\"}")},
         "not what it should be"},
        {{"<", HTTP_200("5", "TOKEN"), "<", HTTP_200("6", "role-1"), "<",
          ">HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"},
         "broke off"},
        {{"<", "!"}, "no instance metadata service answers"},
    };
    unsetenv("AWS_EC2_METADATA_DISABLED");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stand stand = {0};
        char url[64];
        stand_open(&stand, &cases[i].words, 1);
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", stand.port);
        setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
        expect(NULL, cases[i].trouble == NULL ? "ENDPOINT" : NULL, cases[i].trouble);
        stand_close(&stand);
        if (cases[i].trouble != NULL) continue;
        assert_non_null(strstr(stand.last, "GET /latest/meta-data/iam/security-credentials/role-1 HTTP/1.1\r\n"));
        assert_non_null(strstr(stand.last, "\r\nx-aws-ec2-metadata-token: TOKEN\r\n"));
    }
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nonsense", 1);
    expect(NULL, NULL, "not a URL");
}

/* An answer with credentials that expire in so many seconds, as one word of a script. */
static void write_expiring(char *text, size_t size, const char *key, int64_t seconds) {
    char date[32], body[256];
    struct writer w = writer_make(date, sizeof date);
    text_amz_date_write(&w, os_wall_us() / 1000000 + seconds);
    const char *d = writer_cstr(&w);
    (void)snprintf(body, sizeof body,
                   "{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"%.4s-%.2s-%.2sT%"
                   ".2s:%.2s:%.2sZ\"}",
                   key, d, d + 4, d + 6, d + 9, d + 11, d + 13);
    (void)snprintf(text, size, ">HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
}

static void test_they_are_refreshed(void **state) {
    (void)state;
    char first[512], second[512], url[64];
    write_expiring(first, sizeof first, "FIRST", 6); /* lives less than five minutes: again after half of it */
    write_expiring(second, sizeof second, "SECOND", 3600);
    const script scripts[] = {
        {"<", first, "<", HTTP_ERROR("403"), "<", second},
    };
    struct stand stand = {0};
    stand_open(&stand, scripts, 1);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", stand.port);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    struct finder *finder = open_finder(NULL);
    assert_false(err_is(find(finder)));
    assert_true(str_eq(finder_have(finder)->access_key_id, STR("FIRST")));
    int64_t end_us = os_mono_us() + 30000000;
    while (finder_have(finder) != NULL && os_mono_us() < end_us)
        usleep(20000);
    assert_null(finder_have(finder));
    /* A refresh that fails: what is still good is used, and is asked for again before it ends. */
    assert_false(err_is(find(finder)));
    assert_non_null(finder_have(finder));
    assert_true(str_eq(finder_have(finder)->access_key_id, STR("FIRST")));
    while (finder_have(finder) != NULL && os_mono_us() < end_us)
        usleep(20000);
    assert_false(err_is(find(finder)));
    assert_true(str_eq(finder_have(finder)->access_key_id, STR("SECOND")));
    finder_forget(finder);
    assert_null(finder_have(finder));
    finder_close(finder);
    stand_close(&stand);
    assert_int_equal(stand.requests, 3);
}

/* A search that found nothing is not made again for each call that wants credentials. */
static void test_failures_are_kept_for_a_moment(void **state) {
    (void)state;
    static const script scripts[] = {{"<", HTTP_ERROR("404")}, {"<", KEYS}};
    struct stand stand = {0};
    char url[64];
    stand_open(&stand, scripts, 2);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", stand.port);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    struct finder *finder = open_finder(NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(find(finder).kind, ERR_ABSENT);
        assert_non_null(strstr(finder_trouble(finder), "answers 404"));
    }
    finder_close(finder);
    stand_close(&stand);
    assert_int_equal(stand.requests, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_do_not_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_credential_that_is_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_container, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_container_token_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_hosts_are_not_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_machine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_they_are_refreshed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_are_kept_for_a_moment, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
