/* SPDX-License-Identifier: Apache-2.0 */
/* The keys file: made, read back, damaged, guarded, and written by many at once. */
#include "core/keys.h"

#include "base/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ID     "PHKABCDEFGHIJKLMNOPQ"
#define ID2    "PHK234567ABCDEFGHIJK"
#define SECRET "canary+/ABCDEFGHIJKLMNOPQRSTUVWXYZ012345" /* 40 */

static char folder[] = "/tmp/payhook-keys-XXXXXX";
static char memory[2048];
static struct writer message;

static int group_begin(void **state) {
    (void)state; /* there is none */
    return mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

static int group_end(void **state) {
    (void)state; /* there is none */
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static int each_begin(void **state) {
    (void)state; /* there is none */
    message = writer_make(memory, sizeof memory);
    return 0;
}

static int each_end(void **state) {
    (void)state; /* there is none */
    (void)unlink("data/keys");
    (void)unlink("data/keys.lock");
    (void)rmdir("data");
    (void)unlink("pair");
    return 0;
}

static void write_keys(struct str content) {
    struct err result = os_private_dir("data");
    assert_false(err_is(result));
    result = os_file_replace("data/keys", 0600, content);
    assert_false(err_is(result));
}

static void add(const char *name, struct key_pair *ret_pair) {
    struct err result = keys_add("data", str_from(name), 1700000000, &message, ret_pair);
    if (err_is(result)) fail_msg("%s: %s", name, writer_cstr(&message));
}

static void test_absent(void **state) {
    (void)state; /* there is none */
    struct keys keys;
    memset(&keys, 0xff, sizeof keys);
    assert_int_equal(keys_load("data", &message, &keys).kind, ERR_ABSENT);
    assert_null(keys.pairs);
    assert_int_equal(keys.count, 0);
    keys_done(&keys);
    keys_done(&keys);
    assert_int_equal(keys_remove("data", STR("x"), &message).kind, ERR_ABSENT);
    assert_string_equal(writer_cstr(&message), "there is no key named x");
    assert_int_equal(access("data", F_OK), -1);
}

static void test_add_remove(void **state) {
    (void)state; /* there is none */
    struct key_pair one, two, three;
    struct keys keys;
    struct stat info;
    add("one", &one);
    add("Two.2_-", &two);
    add("3", &three);
    assert_int_equal(stat("data", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat("data/keys", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    struct err result = keys_load("data", &message, &keys);
    assert_false(err_is(result));
    assert_int_equal(keys.count, 3);
    const struct key_pair *const added[] = {&one, &two, &three};
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(&keys.pairs[i], added[i], sizeof one);
        assert_int_equal(added[i]->created_s, 1700000000);
        assert_int_equal(strlen(added[i]->access_key_id), 20);
        assert_int_equal(strspn(added[i]->access_key_id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), 20);
        assert_int_equal(strncmp(added[i]->access_key_id, "PHK", 3), 0);
        assert_int_equal(strlen(added[i]->secret), 40);
        assert_int_equal(strspn(added[i]->secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
                         40);
    }
    assert_string_not_equal(one.secret, two.secret);
    assert_string_not_equal(one.access_key_id, two.access_key_id);
    keys_done(&keys);

    struct key_pair untouched = one;
    assert_int_equal(keys_add("data", STR("one"), 1, &message, &one).kind, ERR_INPUT);
    assert_non_null(strstr(writer_cstr(&message), "a key named one already"));
    assert_memory_equal(&untouched, &one, sizeof one);

    result = keys_remove("data", STR("Two.2_-"), &message);
    assert_false(err_is(result));
    assert_int_equal(keys_remove("data", STR("Two.2_-"), &message).kind, ERR_ABSENT);
    result = keys_load("data", &message, &keys);
    assert_false(err_is(result));
    assert_int_equal(keys.count, 2);
    assert_string_equal(keys.pairs[0].name, "one");
    assert_string_equal(keys.pairs[1].name, "3");
    keys_done(&keys);

    result = keys_remove("data", STR("one"), &message);
    assert_false(err_is(result));
    result = keys_remove("data", STR("3"), &message);
    assert_false(err_is(result));
    result = keys_load("data", &message, &keys); /* an empty file is no key, not no file */
    assert_false(err_is(result));
    assert_int_equal(keys.count, 0);
    assert_null(keys.pairs);
    add("one", &one);
}

static void test_names(void **state) {
    (void)state; /* there is none */
    static const char *const bad[] = {"",
                                      ".a",
                                      "-a",
                                      "_a",
                                      "a b",
                                      "a\n",
                                      "a/b",
                                      "\xc3\xa4",
                                      "a:b",
                                      "a\"",
                                      "012345678901234567890123456789012345678901234567890123456789abcd"};
    struct key_pair pair;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(keys_add("data", str_from(bad[i]), 1, &message, &pair).kind, ERR_INPUT);
    assert_int_equal(keys_add("data", STR("a\0b"), 1, &message, &pair).kind, ERR_INPUT);
    assert_int_equal(access("data/keys", F_OK), -1);
    add("012345678901234567890123456789012345678901234567890123456789abc", &pair); /* 63 */
}

static void test_limit(void **state) {
    (void)state; /* there is none */
    static char content[(IAM_KEYS_MAX + 1) * 100];
    struct writer w = writer_make(content, sizeof content);
    struct key_pair pair;
    struct keys keys;
    for (int i = 0; i < IAM_KEYS_MAX; i++)
        writer_format(&w, "k%d PHKABCDEFGHIJKLM%04d " SECRET " 1\n", i, i);
    write_keys(writer_str(&w));
    struct err result = keys_load("data", &message, &keys);
    assert_false(err_is(result));
    assert_int_equal(keys.count, IAM_KEYS_MAX);
    keys_done(&keys);
    assert_int_equal(keys_add("data", STR("more"), 1, &message, &pair).kind, ERR_FULL);
    writer_format(&w, "more PHKABCDEFGHIJKLM9999 " SECRET " 1\n");
    write_keys(writer_str(&w));
    assert_int_equal(keys_load("data", &message, &keys).kind, ERR_INPUT);
    assert_non_null(strstr(writer_cstr(&message), "data/keys:257: there are more keys than the limit"));
}

#define GOOD "one " ID " " SECRET " 1700000000\n"

static void test_damaged(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str content;
        const char *fault;
    } cases[] = {
        {STR("\n"), "data/keys:1: it is not NAME"},
        {STR(GOOD "\n"), "data/keys:2: it is not NAME"},
        {STR("# comment\n"), "data/keys:1: it is not NAME"},
        {STR("one " ID " " SECRET " 1700000000"), "data/keys:1: it is cut off"},
        {STR(GOOD "two " ID2 " " SECRET " 17"), "data/keys:2: it is cut off"},
        {STR("one " ID " " SECRET "\n"), "data/keys:1: it is not NAME"},
        {STR("one  " ID " " SECRET " 1\n"), "the access key id is damaged"},
        {STR(" one " ID " " SECRET " 1\n"), "the name is damaged"},
        {STR("-one " ID " " SECRET " 1\n"), "the name is damaged"},
        {STR("one\t" ID " " SECRET " 1 \n"), "the name is damaged"},
        {STR("one phkABCDEFGHIJKLMNOPQ " SECRET " 1\n"), "the access key id is damaged"},
        {STR("one " ID "R " SECRET " 1\n"), "the access key id is damaged"},
        {STR("one PHKABCDEFGHIJKLMNOP " SECRET " 1\n"), "the access key id is damaged"},
        {STR("one " ID " " SECRET "6 1\n"), "the secret is damaged"},
        {STR("one " ID " canary+/ABCDEFGHIJKLMNOPQRSTUVWXYZ01234 1\n"), "the secret is damaged"},
        {STR("one " ID " canary+-ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 1\n"), "the secret is damaged"},
        {STR("one " ID " " SECRET " \n"), "the time is damaged"},
        {STR("one " ID " " SECRET " -1\n"), "the time is damaged"},
        {STR("one " ID " " SECRET " 1 \n"), "the time is damaged"},
        {STR("one " ID " " SECRET " 1\r\n"), "the time is damaged"},
        {STR("one " ID " " SECRET " 9223372036854775808\n"), "the time is damaged"},
        {STR("one " ID " " SECRET " 1\n\0"), "data/keys:2: it is cut off"},
        {STR("o\0e " ID " " SECRET " 1\n"), "the name is damaged"},
        {STR(GOOD "one " ID2 " " SECRET " 1\n"), "data/keys:2: the name is there already"},
        {STR(GOOD "two " ID " " SECRET " 1\n"), "data/keys:2: the access key id is there already"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keys keys;
        struct key_pair pair;
        write_keys(cases[i].content);
        message.len = 0;
        assert_int_equal(keys_load("data", &message, &keys).kind, ERR_INPUT);
        const char *sentence = writer_cstr(&message);
        if (strstr(sentence, cases[i].fault) == NULL) fail_msg("case %zu: %s", i, sentence);
        assert_null(strstr(sentence, "canary"));
        /* Neither is written over. */
        assert_int_equal(keys_add("data", STR("new"), 1, &message, &pair).kind, ERR_INPUT);
        assert_int_equal(keys_remove("data", STR("one"), &message).kind, ERR_INPUT);
    }
    /* Each cut of a good file but at a line's end. */
    const struct str two = STR(GOOD "two " ID2 " " SECRET " 1700000000\n");
    for (size_t size = 0; size <= two.len; size++) {
        struct keys keys;
        write_keys(str_make(two.ptr, size));
        struct err result = keys_load("data", &message, &keys);
        bool whole = size == 0 || two.ptr[size - 1] == '\n';
        assert_int_equal(result.kind, whole ? ERR_OK : ERR_INPUT);
        if (whole) keys_done(&keys);
    }
}

static void test_permissions(void **state) {
    (void)state; /* there is none */
    static const mode_t bad[] = {0640, 0604, 0620, 0602, 0644, 0660, 0666, 0677};
    struct keys keys;
    struct key_pair pair;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_keys(STR(GOOD));
        assert_int_equal(chmod("data/keys", bad[i]), 0);
        message.len = 0;
        assert_int_equal(keys_load("data", &message, &keys).kind, ERR_DENIED);
        assert_non_null(strstr(writer_cstr(&message), "data/keys can be read or written by others: chmod 600"));
        assert_int_equal(keys_add("data", STR("new"), 1, &message, &pair).kind, ERR_DENIED);
    }
    assert_int_equal(chmod("data/keys", 0400), 0);
    struct err result = keys_load("data", &message, &keys);
    assert_false(err_is(result));
    keys_done(&keys);
    if (geteuid() == 0) { /* else nobody can give a file away */
        assert_int_equal(chown("data/keys", 12345, 12345), 0);
        message.len = 0;
        assert_int_equal(keys_load("data", &message, &keys).kind, ERR_DENIED);
        assert_non_null(strstr(writer_cstr(&message), "belongs to another user"));
    }
    assert_int_equal(chmod("data", 0755), 0);
    assert_int_equal(keys_add("data", STR("new"), 1, &message, &pair).kind, ERR_DENIED);
    assert_int_equal(unlink("data/keys"), 0);
    assert_int_equal(mkdir("data/keys", 0700), 0);
    assert_int_equal(keys_load("data", &message, &keys).kind, ERR_INPUT);
    assert_int_equal(rmdir("data/keys"), 0);
}

/* Eight processes add five keys each, and remove one: none is lost. */
static void test_concurrency(void **state) {
    (void)state; /* there is none */
    enum { PROCESSES = 8, ADDS = 6 };
    pid_t children[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        children[p] = fork();
        assert_true(children[p] >= 0);
        if (children[p] > 0) continue;
        char name[64];
        struct key_pair pair;
        for (int i = 0; i < ADDS; i++) {
            (void)snprintf(name, sizeof name, "p%d.%d", p, i);
            if (err_is(keys_add("data", str_from(name), i, &message, &pair))) _exit(1);
        }
        if (err_is(keys_remove("data", str_from(name), &message))) _exit(2);
        _exit(0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        assert_int_equal(waitpid(children[p], &status, 0), children[p]);
        assert_int_equal(status, 0);
    }
    struct keys keys;
    struct err result = keys_load("data", &message, &keys);
    assert_false(err_is(result));
    assert_int_equal(keys.count, PROCESSES * (ADDS - 1));
    for (int p = 0; p < PROCESSES; p++) {
        for (int i = 0; i < ADDS; i++) {
            char name[64];
            uint32_t found = 0;
            (void)snprintf(name, sizeof name, "p%d.%d", p, i);
            for (uint32_t k = 0; k < keys.count; k++)
                found += strcmp(keys.pairs[k].name, name) == 0;
            assert_int_equal(found, i < ADDS - 1);
        }
    }
    keys_done(&keys);
}

static void test_read_pair(void **state) {
    (void)state; /* there is none */
    const struct {
        struct str content;
        const char *id, *secret; /* NULL: refused */
    } cases[] = {
        {STR(ID ":" SECRET "\n"), ID, SECRET},
        {STR(ID ":" SECRET), ID, SECRET},
        {STR("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n"), "AKIDEXAMPLE",
         "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"},
        {STR("A:a:b"), "A", "a:b"},
        {STR("user = \"" ID ":" SECRET "\"\n"), ID, SECRET},
        {STR("# made at the first start\naws-sigv4 = \"aws:amz:us-east-1:lambda\"\nuser = \"" ID ":" SECRET "\"\n"), ID,
         SECRET},
        {STR("user=\"" ID ":" SECRET "\"\naws-sigv4 = \"aws:amz\"\n"), ID, SECRET},
        {STR("\n  user\t=\t\"" ID ":" SECRET "\"  "), ID, SECRET},
        {STR(""), NULL, NULL},
        {STR("\n"), NULL, NULL},
        {STR(ID), NULL, NULL},
        {STR(ID ":"), NULL, NULL},
        {STR(":" SECRET), NULL, NULL},
        {STR(ID ":" SECRET "\n\n"), NULL, NULL},
        {STR(ID ":" SECRET "\r\n"), NULL, NULL},
        {STR(" " ID ":" SECRET), NULL, NULL},
        {STR(ID ": " SECRET), NULL, NULL},
        {STR(ID " " SECRET), NULL, NULL},
        {STR(ID ":" SECRET "\n" ID ":" SECRET "\n"), NULL, NULL},
        {STR("\"" ID ":" SECRET "\""), NULL, NULL},
        {STR("A-B:" SECRET), NULL, NULL},
        {STR("A\0B:" SECRET), NULL, NULL},
        {STR(ID ":a\0b"), NULL, NULL},
        {STR("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456:" SECRET), NULL, NULL}, /* 33 */
        {STR("A:" SECRET SECRET), NULL, NULL},                          /* 80 */
        {STR("user = " ID ":" SECRET "\n"), NULL, NULL},
        {STR("user = '" ID ":" SECRET "'\n"), NULL, NULL},
        {STR("user = \"" ID ":" SECRET "\n"), NULL, NULL},
        {STR("user = \"\n"), NULL, NULL},
        {STR("user = \"\"\n"), NULL, NULL},
        {STR("user \"" ID ":" SECRET "\"\n"), NULL, NULL},
        {STR("proxy-user = \"" ID ":" SECRET "\"\n"), NULL, NULL},
        {STR("user = \"" ID "\"\n"), NULL, NULL},
        {STR("{\"access_key_id\": \"" ID "\", \"secret_access_key\": \"" SECRET "\"}"), NULL, NULL},
        {STR("[default]\naws_access_key_id = " ID "\naws_secret_access_key = " SECRET "\n"), NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct key_pair pair = {.created_s = 7};
        struct err result = os_file_replace("pair", 0600, cases[i].content);
        assert_false(err_is(result));
        message.len = 0;
        result = keys_read_pair("pair", &message, &pair);
        const char *sentence = writer_cstr(&message);
        if (cases[i].id == NULL) {
            if (result.kind != ERR_INPUT) fail_msg("case %zu is taken", i);
            assert_non_null(strstr(sentence, "pair: this is neither ACCESS_KEY_ID:SECRET nor a curl configuration"));
            assert_null(strstr(sentence, "canary"));
            assert_int_equal(pair.created_s, 7);
            continue;
        }
        if (err_is(result)) fail_msg("case %zu: %s", i, sentence);
        assert_string_equal(pair.access_key_id, cases[i].id);
        assert_string_equal(pair.secret, cases[i].secret);
        assert_string_equal(pair.name, "");
    }
    struct key_pair pair;
    message.len = 0;
    assert_int_equal(keys_read_pair("missing", &message, &pair).kind, ERR_ABSENT);
    assert_non_null(strstr(writer_cstr(&message), "missing: could not open the file"));
    assert_int_equal(keys_read_pair(".", &message, &pair).kind, ERR_INPUT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, each_begin, each_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_absent),  TEST(test_add_remove),  TEST(test_names),       TEST(test_limit),
        TEST(test_damaged), TEST(test_permissions), TEST(test_concurrency), TEST(test_read_pair),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
