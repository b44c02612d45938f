/* SPDX-License-Identifier: Apache-2.0 */
/* Shared files and endpoints' answers, as they should be and as they should not. */
#include "net/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

static void test_profiles(void **state) {
    (void)state;
    static const struct {
        const char *text, *name;
        bool in_config, found;
        const char *key, *secret, *token, *region, *elsewhere; /* NULL: nothing is said */
    } cases[] = {
        {"[default]\naws_access_key_id=A\naws_secret_access_key=B\n", "default", false, true, "A", "B", NULL, NULL,
         NULL},
        {"[default]\naws_access_key_id = A \n  aws_secret_access_key=no\n", "default", false, true, "A", NULL, NULL,
         NULL, NULL},
        {"[default]\r\naws_access_key_id=A\r\n[other]\r\naws_access_key_id=B\r\n", "default", false, true, "A", NULL,
         NULL, NULL, NULL},
        {"[other]\naws_access_key_id=B\n[default]\naws_access_key_id=A", "default", false, true, "A", NULL, NULL, NULL,
         NULL},
        {"[a]\nAWS_Access_Key_Id=A\naws_session_token=T=\n", "a", false, true, "A", NULL, "T=", NULL, NULL},
        {"[a]\naws_access_key_id=A\n[a]\naws_access_key_id=B\n", "a", false, true, "B", NULL, NULL, NULL, NULL},
        {"[a]\naws_secret_access_key=B#not a comment\n", "a", false, true, NULL, "B#not a comment", NULL, NULL, NULL},
        {"[a]\naws_secret_access_key=\n", "a", false, true, NULL, "", NULL, NULL, NULL},
        {"#[a]\n;[a]\naws_access_key_id=A\n", "a", false, false, NULL, NULL, NULL, NULL, NULL},
        {"[ a ]\naws_access_key_id=A\n", "a", false, true, "A", NULL, NULL, NULL, NULL},
        {"[a] # comment\naws_access_key_id=A\n", "a", false, true, "A", NULL, NULL, NULL, NULL},
        {"[profile a]\naws_access_key_id=A\n", "a", false, false, NULL, NULL, NULL, NULL, NULL},
        {"[profile a]\nregion=eu-west-1\n", "a", true, true, NULL, NULL, NULL, "eu-west-1", NULL},
        {"[profile\ta]\nregion=eu-west-1\n", "a", true, true, NULL, NULL, NULL, "eu-west-1", NULL},
        {"[a]\nregion=eu-west-1\n", "a", true, false, NULL, NULL, NULL, NULL, NULL},
        {"[default]\nregion=eu-west-1\n", "default", true, true, NULL, NULL, NULL, "eu-west-1", NULL},
        {"[profile default]\nregion=eu-west-1\n", "default", true, true, NULL, NULL, NULL, "eu-west-1", NULL},
        {"[profilea]\nregion=eu-west-1\n", "a", true, false, NULL, NULL, NULL, NULL, NULL},
        {"[profile a]\nsso_session=s\nsso_account_id=1\n", "a", true, true, NULL, NULL, NULL, NULL, "sso_session"},
        {"[profile a]\nrole_arn=arn\nsource_profile=b\n", "a", true, true, NULL, NULL, NULL, NULL, "role_arn"},
        {"[profile a]\ncredential_process=/bin/false\n", "a", true, true, NULL, NULL, NULL, NULL, "credential_process"},
        {"[profile a]\ns3 =\n  region = inner\n", "a", true, true, NULL, NULL, NULL, NULL, NULL},
        {"[a\naws_access_key_id=A\n", "a", false, false, NULL, NULL, NULL, NULL, NULL},
        {"[]\naws_access_key_id=A\n", "a", false, false, NULL, NULL, NULL, NULL, NULL},
        {"[a]\naws_access_key_id\n=\n=A\n]\n", "a", false, true, NULL, NULL, NULL, NULL, NULL},
        {"aws_access_key_id=A\n", "default", false, false, NULL, NULL, NULL, NULL, NULL},
        {"", "default", false, false, NULL, NULL, NULL, NULL, NULL},
        {"\n\n[", "default", true, false, NULL, NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct profile p = {0};
        profile_read(str_from(cases[i].text), str_from(cases[i].name), cases[i].in_config, &p);
        const struct str found[] = {p.access_key_id, p.secret, p.session_token, p.region, p.elsewhere};
        const char *const wanted[] = {cases[i].key, cases[i].secret, cases[i].token, cases[i].region,
                                      cases[i].elsewhere};
        if (p.found != cases[i].found) fail_msg("%s: found %d", cases[i].text, p.found);
        for (size_t k = 0; k < 5; k++)
            if ((found[k].ptr == NULL) != (wanted[k] == NULL) || !str_eq(found[k], str_from(wanted[k])))
                fail_msg("%s: setting %zu is %.*s", cases[i].text, k, STR_ARG(found[k]));
    }
}

static void test_endpoint_answers(void **state) {
    (void)state;
    static const struct {
        const char *body;
        bool good;
        const char *token;
        int64_t expires_s;
    } cases[] = {
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Token\":\"T\",\"Expiration\":\"2026-11-23T19:08:50Z\"}",
         true, "T", 1795460930},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Token\":\"T\",\"Expiration\":\"2026-11-23T19:08:50."
         "123Z\"}",
         true, "T", 1795460930},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Code\":\"Success\"}", true, "", INT64_MAX},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Token\":null}", true, "", INT64_MAX},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Token\":\"a\\/b\"}", true, "a/b", INT64_MAX},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Expiration\":\"tomorrow\"}", false, NULL, 0},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Expiration\":\"2026-13-23T19:08:50Z\"}", false, NULL, 0},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Expiration\":\"2026-11-23T19:08:50+01:00\"}", false, NULL,
         0},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Expiration\":1795460930}", false, NULL, 0},
        {"{\"AccessKeyId\":\"A\"}", false, NULL, 0},
        {"{\"SecretAccessKey\":\"B\"}", false, NULL, 0},
        {"{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"B\"}", false, NULL, 0},
        {"{\"AccessKeyId\":1,\"SecretAccessKey\":\"B\"}", false, NULL, 0},
        {"{\"AccessKeyId\":\"A\\nB\",\"SecretAccessKey\":\"B\"}", false, NULL, 0},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Token\":\"\\ud800\"}", false, NULL, 0},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\"", false, NULL, 0},
        {"{\"Code\":\"AssumeRoleUnauthorizedAccess\"}", false, NULL, 0},
        {"<html>", false, NULL, 0},
        {"", false, NULL, 0},
        {"[]", false, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char memory[256];
        struct arena arena = arena_make(memory, sizeof memory);
        struct endpoint_credentials found = {.expires_s = -1};
        bool good = endpoint_credentials_read(str_from(cases[i].body), &arena, &found);
        if (good != cases[i].good) fail_msg("%s", cases[i].body);
        assert_int_equal(found.expires_s, good ? cases[i].expires_s : -1);
        if (!good) continue;
        assert_true(str_eq(found.credentials.access_key_id, STR("A")));
        assert_true(str_eq(found.credentials.secret, STR("B")));
        assert_true(str_eq(found.credentials.session_token, str_from(cases[i].token)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_profiles), cmocka_unit_test(test_endpoint_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
