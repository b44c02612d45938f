/* SPDX-License-Identifier: Apache-2.0 */
/* What a deployment is asked to be: given, deployed, or new. */
#include "app/stack_wanted.h"

#include "base/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define OWN          "payhook-artifacts-123456789012-us-east-1"
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct given {
    enum option_id id;
    const char *value;
};
enum { GIVEN_MAX = 60 };

static char text[4096];
static struct writer message;
static struct wanted wanted;
static int code;

static bool read_with(const struct given *given, size_t count, const struct stack_description *stack) {
    static struct options options;
    options = (struct options){.program = "payhook", .given_count = count};
    for (size_t i = 0; i < count; i++) {
        options.given[i].id = given[i].id;
        options.given[i].value = given[i].value;
    }
    message = writer_make(text, sizeof text);
    code = -1;
    bool good = wanted_read(&options, stack, OWN, &message, &wanted, &code);
    assert_int_equal(good, message.len == 0);
    assert_int_equal(good, code == -1);
    return good;
}

static void assert_str(struct str actual, const char *expected) {
    if (!str_eq(actual, str_from(expected))) fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(actual), expected);
}

static const struct stack_description none = {.exists = false};
static const struct stack_description there = {
    .exists = true,
    .parameters = {{{"Architecture", 12}, {"arm64", 5}},
                   {{"UrlAuthType", 11}, {"NONE", 4}},
                   {{"CorsOrigins", 11}, {"https://a.example,https://b.example", 35}},
                   {{"ArtifactBucket", 14}, {"a-bucket-of-mine", 16}}},
    .parameter_count = 4,
    .tags = {{{"Owner", 5}, {"me", 2}}, {{"Environment", 11}, {"changed", 7}}},
    .tag_count = 2,
};

static void assert_tags(const char *expected) {
    char all[1024];
    struct writer w = writer_make(all, sizeof all);
    for (size_t i = 0; i < wanted.tag_count; i++) {
        writer_put(&w, wanted.tags[i].key);
        writer_char(&w, '=');
        writer_put(&w, wanted.tags[i].value);
        writer_char(&w, ' ');
    }
    assert_string_equal(writer_cstr(&w), expected);
}

static void a_new_stack(void **state) {
    (void)state; /* there is none */
    assert_true(read_with(NULL, 0, &none));
    assert_string_equal(wanted.arch, "x86_64");
    assert_str(wanted.auth, "AWS_IAM");
    assert_str(wanted.cors_origins, "*");
    assert_null(wanted.bucket);
    assert_tags("Environment=prod MigrationPhase=testing ");
    wanted_place(&wanted, "dev", OWN, "payhook/dev/x86_64/1.zip");
    static const char *const expected[WANTED_PARAMETERS][2] = {
        {"EnvironmentSuffix", "dev"}, {"ArtifactBucket", OWN},    {"ArtifactKey", "payhook/dev/x86_64/1.zip"},
        {"Architecture", "x86_64"},   {"UrlAuthType", "AWS_IAM"}, {"CorsOrigins", "*"}};
    for (size_t i = 0; i < WANTED_PARAMETERS; i++) {
        assert_str(wanted.parameters[i].key, expected[i][0]);
        assert_str(wanted.parameters[i].value, expected[i][1]);
    }
}

static void what_is_there_stays(void **state) {
    (void)state; /* there is none */
    assert_true(read_with(NULL, 0, &there));
    assert_string_equal(wanted.arch, "arm64");
    assert_str(wanted.auth, "NONE");
    assert_str(wanted.cors_origins, "https://a.example,https://b.example");
    assert_string_equal(wanted.bucket, "a-bucket-of-mine");
    assert_tags("Owner=me Environment=prod MigrationPhase=testing ");
}

static void what_is_given_counts(void **state) {
    (void)state; /* there is none */
    static const struct given given[] = {
        {OPTION_ARCH, "x86_64"},          {OPTION_AUTH, "AWS_IAM"},      {OPTION_CORS_ORIGIN, "https://c.example:8443"},
        {OPTION_CORS_ORIGIN, "http://d"}, {OPTION_BUCKET, OWN},          {OPTION_TAG, "Team=checkout=1"},
        {OPTION_TAG, "Environment=dev"},  {OPTION_TAG, "Team=payments"}, {OPTION_TAG, "Empty="},
    };
    assert_true(read_with(given, COUNT(given), &there));
    assert_string_equal(wanted.arch, "x86_64");
    assert_str(wanted.auth, "AWS_IAM");
    assert_str(wanted.cors_origins, "https://c.example:8443,http://d");
    assert_null(wanted.bucket); /* the one we make, by its name */
    assert_tags("Team=payments Empty= Environment=prod MigrationPhase=testing ");
    /* A stack that is only imported has neither. */
    struct stack_description imported = {
        .exists = true, .parameters = {{STR("OldPolicy"), STR("")}}, .parameter_count = 1};
    assert_true(read_with(NULL, 0, &imported));
    assert_string_equal(wanted.arch, "x86_64");
    assert_str(wanted.auth, "AWS_IAM");
}

static void what_is_wrong(void **state) {
    (void)state; /* there is none */
    static const struct given wrong[] = {
        {OPTION_ARCH, ""},
        {OPTION_ARCH, "x86"},
        {OPTION_ARCH, "X86_64"},
        {OPTION_ARCH, "arm64 "},
        {OPTION_AUTH, ""},
        {OPTION_AUTH, "none"},
        {OPTION_AUTH, "AWS_IAM,NONE"},
        {OPTION_CORS_ORIGIN, ""},
        {OPTION_CORS_ORIGIN, "shop.example"},
        {OPTION_CORS_ORIGIN, "ftp://shop.example"},
        {OPTION_CORS_ORIGIN, "https://"},
        {OPTION_CORS_ORIGIN, "https://:1"},
        {OPTION_CORS_ORIGIN, "https://shop.example/"},
        {OPTION_CORS_ORIGIN, "https://shop.example/path"},
        {OPTION_CORS_ORIGIN, "https://shop.example,https://b.example"},
        {OPTION_CORS_ORIGIN, "https://shop.example:"},
        {OPTION_CORS_ORIGIN, "https://shop.example:65536"},
        {OPTION_CORS_ORIGIN, "https://shop.example:080000"},
        {OPTION_CORS_ORIGIN, "https://*.example"},
        {OPTION_CORS_ORIGIN, "https://user@shop.example"},
        {OPTION_CORS_ORIGIN, "\x1b[2J"},
        {OPTION_TAG, ""},
        {OPTION_TAG, "Owner"},
        {OPTION_TAG, "=me"},
        {OPTION_TAG, "aws:stack=me"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        print_message("%d \"%s\"\n", wrong[i].id, wrong[i].value);
        assert_false(read_with(&wrong[i], 1, &none));
        assert_int_equal(code, EXIT_USAGE);
        assert_false(str_has(writer_str(&message), '\x1b'));
    }
    struct stack_description odd = there;
    odd.parameters[0].value = STR("mips");
    assert_false(read_with(NULL, 0, &odd));
    assert_int_equal(code, EXIT_FAILED); /* nobody typed it */
    static const struct given cure[] = {{OPTION_ARCH, "arm64"}};
    assert_true(read_with(cure, 1, &odd));
}

static void bounds(void **state) {
    (void)state; /* there is none */
    static char tags[GIVEN_MAX][16], long_key[140] = "", long_value[270] = "k=";
    static struct given given[GIVEN_MAX];
    for (size_t i = 0; i < GIVEN_MAX; i++) {
        (void)snprintf(tags[i], sizeof tags[i], "k%zu=v", i);
        given[i] = (struct given){OPTION_TAG, tags[i]};
    }
    assert_true(read_with(given, STACK_TAGS_MAX - 2, &none));
    assert_int_equal(wanted.tag_count, STACK_TAGS_MAX);
    assert_false(read_with(given, STACK_TAGS_MAX - 1, &none));
    assert_false(read_with(given, GIVEN_MAX, &none));
    memset(long_key, 'k', 128);
    (void)snprintf(long_key + 128, 12, "=v");
    memset(long_value + 2, 'v', 256);
    const struct given fits[] = {{OPTION_TAG, long_key}, {OPTION_TAG, long_value}};
    assert_true(read_with(fits, 2, &none));
    (void)snprintf(long_key + 128, 12, "k=v");
    assert_false(read_with(fits, 1, &none));
    long_value[258] = 'v';
    assert_false(read_with(fits + 1, 1, &none));
    static struct given origins[200];
    static char origin[60] = "https://";
    memset(origin + 8, 'a', 50);
    for (size_t i = 0; i < COUNT(origins); i++)
        origins[i] = (struct given){OPTION_CORS_ORIGIN, origin};
    assert_true(read_with(origins, 60, &none));
    assert_false(read_with(origins, COUNT(origins), &none));
}

static void touch(const char *path) {
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fclose(out), 0);
}

static void the_zip(void **state) {
    (void)state; /* there is none */
    char folder[] = "/tmp/payhook-wanted-XXXXXX", path[PATH_MAX], program[PATH_MAX], found[PATH_MAX];
    static const char *const folders[] = {"",       "/bin",       "/share",        "/share/payhook",
                                          "/build", "/build/src", "/build/src/app"};
    static const struct {
        const char *zip, *program, *arch;
        bool found;
    } cases[] = {
        {"/bin/payhook-lambda-x86_64.zip", "/bin/payhook", "x86_64", true},
        {"/bin/payhook-lambda-x86_64.zip", "/bin/payhook", "arm64", false},
        {"/share/payhook/payhook-lambda-arm64.zip", "/bin/payhook", "arm64", true},
        {"/build/payhook-lambda-x86_64.zip", "/build/src/app/payhook", "x86_64", true},
        {"/payhook-lambda-x86_64.zip", "/build/bin/payhook", "x86_64", false}, /* not built there */
        {"/build/payhook-lambda-x86_64.zip", "/bin/payhook", "x86_64", false},
    };
    assert_non_null(mkdtemp(folder));
    for (size_t i = 1; i < COUNT(folders); i++) {
        (void)snprintf(path, sizeof path, "%s%s", folder, folders[i]);
        assert_false(err_is(os_private_dir(path)));
    }
    struct options options = {.program = "payhook"};
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(path, sizeof path, "%s%s", folder, cases[i].zip);
        (void)snprintf(program, sizeof program, "%s%s", folder, cases[i].program);
        touch(path);
        message = writer_make(text, sizeof text);
        print_message("%s %s\n", cases[i].zip, cases[i].program);
        assert_int_equal(wanted_zip(&options, cases[i].arch, program, &message, found), cases[i].found);
        assert_int_equal(message.len > 0, !cases[i].found);
        if (cases[i].found)
            assert_int_equal(access(found, F_OK), 0);
        else
            assert_non_null(strstr(writer_cstr(&message), "make lambda"));
        assert_int_equal(unlink(path), 0);
    }
    options.given_count = 1;
    options.given[0].id = OPTION_ZIP;
    options.given[0].value = "any/where.zip";
    assert_true(wanted_zip(&options, "arm64", program, &message, found));
    assert_string_equal(found, "any/where.zip");
    char *long_path = malloc(PATH_MAX + 1);
    assert_non_null(long_path);
    memset(long_path, 'a', PATH_MAX);
    long_path[PATH_MAX] = '\0';
    options.given[0].value = long_path;
    assert_false(wanted_zip(&options, "arm64", program, &message, found));
    free(long_path);
    for (size_t i = COUNT(folders); i > 0; i--) {
        (void)snprintf(path, sizeof path, "%s%s", folder, folders[i - 1]);
        assert_int_equal(rmdir(path), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_stack),
        cmocka_unit_test(what_is_there_stays),
        cmocka_unit_test(what_is_given_counts),
        cmocka_unit_test(what_is_wrong),
        cmocka_unit_test(bounds),
        cmocka_unit_test(the_zip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
