/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: what is right, the sentence and line for what is wrong, warnings, the rules of places, reload and
 * release. Secrets come from a table here; tests of config_load go through files in a folder of their own. */
#include "core/config.h"

#include "base/os.h"
#include "core/secrets.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CANARY "canary4f1d7c2a9b"

static char folder[] = "/tmp/payhook-config-XXXXXX";
static char message_memory[16384], warning_memory[65536];
static struct writer message, warnings;
static const struct config_overrides NONE;

static void note(void *context, struct str sentence) {
    assert_ptr_equal(context, &warnings);
    writer_put(&warnings, sentence);
    writer_char(&warnings, '\n');
}

/* The secrets of these tests: each holds the canary but where it must be short. */
static struct err read_stub(void *reader, struct str reference, struct writer *why, struct secret_texts *ret_texts) {
    assert_null(reader);
    static const struct {
        const char *reference, *text;
    } secrets[] = {
        {"env:GOOD", CANARY "-good"},
        {"file:/secrets/good", CANARY "-file"},
        {"env:SHORT", "canary"},
        {"env:BLANK", CANARY CANARY "\r"},
        {"env:PEM", CANARY "-pem"},
        {"env:TOKEN", "canary78"},
        {"env:PLACEHOLDER", "placeholder_value_replace_in_production"},
    };
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        if (!str_eq(reference, str_from(secrets[i].reference))) continue;
        size_t size = strlen(secrets[i].text);
        char *copy = os_secret_alloc(size);
        assert_non_null(copy);
        memcpy(copy, secrets[i].text, size);
        *ret_texts = (struct secret_texts){.texts = {str_make(copy, size)}, .count = 1};
        return err_ok();
    }
    if (!secret_is_reference(reference)) return secret_read(reference, why, &ret_texts->texts[0]);
    writer_escaped(why, reference);
    writer_put(why, STR(": it is nowhere"));
    return err_make(ERR_ABSENT, 0, "read the secret");
}

static struct err parse_with(struct str text, const struct config_overrides *overrides, struct config **ret_config) {
    message.len = warnings.len = 0;
    struct err result =
        config_parse(text, "my.conf", overrides, read_stub, NULL, note, &warnings, &message, ret_config);
    (void)writer_cstr(&message); /* read in place */
    (void)writer_cstr(&warnings);
    assert_false(message.overflow);
    assert_false(warnings.overflow);
    /* Whatever was wrong, no secret is repeated. */
    assert_null(strstr(message_memory, "canary"));
    assert_null(strstr(warning_memory, "canary"));
    return result;
}

static struct config *parse(const char *text) {
    struct config *config = NULL;
    struct err result = parse_with(str_from(text), &NONE, &config);
    if (err_is(result)) fail_msg("%s\n%s", text, message_memory);
    assert_int_equal(message.len, 0);
    return config;
}

static int group_begin(void **state) {
    (void)state; /* there is none */
    message = writer_make(message_memory, sizeof message_memory);
    warnings = writer_make(warning_memory, sizeof warning_memory);
    return mkdtemp(folder) == NULL || chdir(folder) != 0 || unsetenv("ENVIRONMENT") != 0 ||
                   setenv("HOME", "/home/u", 1) != 0
               ? -1
               : 0;
}

static int group_end(void **state) {
    (void)state; /* there is none */
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static const char SAMPLE[] =
    "# the sample of the manual\n"
    "listen  = \"127.0.0.1:9080\"\n"
    "admin   = \"[::1]:0\"\n"
    "data    = \"/srv/payhook\"  // a folder\n"
    "store   = sqlite\n"
    "iam     { region = \"eu-west-1\"  service = \"execute-api\"  require_api_key = true api_key = \"env:TOKEN\" }\n"
    "limits  { body_size_max = 2048 body_budget_size = 68719476736 io_threads = 3 idle_deadline_s = 9 }\n"
    "/* two\n   lines */\n"
    "source stripe { provider = \"stripe\"  tolerance = 5m secrets = { \"file:/secrets/good\", # new\n"
    "                                                       'env:GOOD' } }\n"
    "source hook-2 {\n"
    "    secrets = \"env:GOOD\"\n"
    "    header = X-Signature\n"
    "    provider = hmac\n"
    "}\n"
    "source till   { provider = \"api-key\" secrets = \"env:TOKEN\" }\n"
    "tls { certificate = \"/tls/chain.pem\"  key = '/tls/key.pem' }\n";

static void test_sample(void **state) {
    (void)state; /* there is none */
    struct config *config = parse(SAMPLE);
    assert_int_equal(warnings.len, 0);
    assert_string_equal(config->file, "my.conf");
    assert_string_equal(config->listen, "127.0.0.1:9080");
    assert_string_equal(config->admin, "[::1]:0");
    assert_string_equal(config->data, "/srv/payhook");
    assert_string_equal(config->store, "sqlite");
    assert_string_equal(config->tls_certificate, "/tls/chain.pem");
    assert_string_equal(config->tls_key, "/tls/key.pem");
    assert_string_equal(config->environment, "prod");
    assert_true(config->processed_by[0] != '\0');
    assert_string_equal(config->iam_region, "eu-west-1");
    assert_string_equal(config->iam_service, "execute-api");
    assert_true(config->require_api_key);
    assert_int_equal(config->api_key_count, 1);
    assert_null(config->api_keys[0].fault);
    assert_true(str_eq(config->api_keys[0].text, STR("canary78")));
    assert_int_equal(config->limits.body_size_max, 2048);
    assert_true(config->limits.body_budget_size == 68719476736);
    assert_int_equal(config->limits.io_threads, 3);
    assert_int_equal(config->limits.idle_deadline_s, 9);
    assert_int_equal(config->limits.head_deadline_s, HEAD_DEADLINE_S);
    assert_int_equal(config->keys.count, 0);

    assert_int_equal(config->source_count, 3);
    const struct source *stripe = config_source(config, STR("stripe")), *hook = config_source(config, STR("hook-2")),
                        *till = config_source(config, STR("till"));
    assert_ptr_equal(hook, &config->sources[0]); /* by name */
    assert_ptr_equal(stripe, &config->sources[1]);
    assert_ptr_equal(till, &config->sources[2]);
    assert_string_equal(provider_name(stripe->row), "stripe");
    assert_string_equal(provider_name(hook->row), "hmac");
    assert_int_equal(stripe->secret_count, 2);
    assert_true(str_eq(stripe->secrets[0].text, STR(CANARY "-file")));
    assert_true(str_eq(stripe->secrets[1].text, STR(CANARY "-good")));
    assert_true(stripe->settings.tolerance_set);
    assert_int_equal(stripe->settings.tolerance_s, 300);
    assert_int_equal(hook->secret_count, 1);
    assert_true(str_eq(hook->settings.header, STR("X-Signature")));
    assert_null(till->secrets[0].fault);
    const struct source *builtin = config_source(config, STR("default"));
    assert_ptr_equal(builtin, &config->default_source);
    assert_string_equal(provider_name(builtin->row), "iam");
    assert_int_equal(builtin->secret_count, 0);
    static const char *const absent[] = {"", "a", "strip", "stripes", "Stripe", "hook", "zzz"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        assert_null(config_source(config, str_from(absent[i])));
    assert_null(config_source(config, STR("stripe\0")));
    config_release(config);
}

static void test_defaults(void **state) {
    (void)state; /* there is none */
    static const char *const texts[] = {
        "", "\n", "  \t\r\n", "# nothing", "// nothing\n", "/* nothing */", "iam {}", "limits { }\niam { }"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config *config = parse(texts[i]);
        assert_string_equal(config->listen, "127.0.0.1:8080");
        assert_string_equal(config->admin, "127.0.0.1:8081");
        assert_null(config->tls_certificate);
        assert_null(config->tls_key);
        assert_string_equal(config->store, "sqlite");
        assert_string_equal(config->iam_region, "us-east-1");
        assert_string_equal(config->iam_service, "lambda");
        assert_false(config->require_api_key);
        assert_int_equal(config->api_key_count, 0);
        assert_false(config->sources_unknown);
        assert_int_equal(config->limits.body_size_max, BODY_SIZE_MAX);
        assert_int_equal(config->limits.body_budget_size, BODY_BUDGET_SIZE);
        assert_int_equal(config->limits.mailbox_events_max, MAILBOX_EVENTS_MAX);
        assert_int_equal(config->limits.body_deadline_s, BODY_DEADLINE_S);
        assert_int_equal(config->limits.idle_deadline_s, IDLE_DEADLINE_S);
        assert_int_equal(config->limits.connections_max, CONNECTIONS_MAX);
        assert_in_range(config->limits.io_threads, 1, IO_THREADS_MAX);
        assert_int_equal(config->source_count, 0);
        assert_null(config_source(config, STR("stripe")));
        config_release(config);
    }
    config_release(NULL);
}

#define STRIPE "source stripe { provider = stripe secrets = { \"env:GOOD\" } }\n"
#define S31    "abcdefghijklmnopqrstuvwxyz01234"

/* Text, and the message it gets. */
static const struct {
    const char *text, *sentence;
} WRONG[] = {
    /* Words. */
    {"listn = x", "my.conf:1: there is no option 'listn'; did you mean listen?"},
    {"\n\nsorce stripe { }", "my.conf:3: there is no option 'sorce'; did you mean source?"},
    {"zzz = x", "my.conf:1: there is no option 'zzz'"},
    {"provider = stripe", "my.conf:1: there is no option 'provider'"},
    {"source s { provider = stripe\n tolerence = 5s }",
     "my.conf:2: source: there is no option 'tolerence'; did you mean tolerance?"},
    {"source s { secret = \"env:GOOD\" }", "my.conf:1: source: there is no option 'secret'; did you mean secrets?"},
    {"iam {\n regoin = x\n}", "my.conf:2: iam: there is no option 'regoin'; did you mean region?"},
    {"limits {\n\n body_size = 5 }", "my.conf:3: limits: there is no option 'body_size'; did you mean body_size_max?"},
    {"include(\"/etc/passwd\")", "my.conf:1: there is no option 'include'"},
    {"source s { source t { } }", "my.conf:1: source: there is no option 'source'"},
    {"source s { provider = strpe }", "my.conf:1: provider: there is no provider 'strpe'; did you mean stripe?"},
    {"source s {\n\n provider = hub\n }", "my.conf:3: provider: there is no provider 'hub'; did you mean hub-sha256?"},
    {"source s { provider = \"\" }", "my.conf:1: provider: there is no provider"},
    {"store = sqllite", "my.conf:1: store: there is no store 'sqllite'; did you mean sqlite?"},
    {"store = \"dynamodb:ab\"", "my.conf:1: store: a table's name is 3 to 255 letters, digits, '_', '-' and '.'"},
    {"store = \"dynamodb:a/b/c\"", "my.conf:1: store: a table's name is 3 to 255 letters, digits, '_', '-' and '.'"},
    {"store = \"dynamodb:\"", "my.conf:1: store: a table's name is 3 to 255 letters, digits, '_', '-' and '.'"},
    {"store = \"dynamodb:table\"\nlimits { body_size_max = 2097153 }",
     "my.conf:2: body_size_max: a body is at most 2097152 bytes where the store is dynamodb"},
    /* libconfuse's paths to options elsewhere. */
    {STRIPE "source|provider = x", "my.conf:2: there is no option this"},
    {STRIPE "\"source=stripe|provider\" = x", "my.conf:2: there is no option this"},
    {"\"iam|region\" = x", "my.conf:1: there is no option this"},
    {CANARY "|x = y", "my.conf:1: there is no option this"},
    {STRIPE "\"source=" CANARY "|x\" = y", "my.conf:2: there is no option this"},
    {"\"\" = x", "my.conf:1: this cannot be read"},
    {"\"|\" = x", "my.conf:1: there is no option this"},
    /* Form. */
    {"listen", "my.conf:1: premature end of file"},
    {"listen =", "my.conf:1: premature end of file"},
    {"listen \"127.0.0.1:1\"", "my.conf:1: missing equal sign after option 'listen'"},
    {"\nlisten = { \"127.0.0.1:1\" }", "my.conf:2: this does not fit here"},
    {"listen += x", "my.conf:1: attempt to append to non-list option 'listen'"},
    {"iam {\n region = x\n", "my.conf:1: the section that begins here has no closing brace"},
    {"\nsource s {\n provider = stripe\n secrets = { \"env:GOOD\" }\n",
     "my.conf:2: the section that begins here has no"},
    {"\nsource s {\n provider = stripe\n secrets = { \"env:GOOD\"\n", "my.conf:2: the section that begins here has no"},
    {"iam {", "my.conf:1: the section that begins here has no"},
    {"iam { } }", "my.conf:1: unexpected closing brace"},
    {"}", "my.conf:1: unexpected closing brace"},
    {"iam region = x", "my.conf:1: missing opening brace for section 'iam'"},
    {"source { provider = stripe }", "my.conf:1: missing title for section 'source'"},
    {"source s {\n secrets = { \"env:A\" \"env:B\" } }", "my.conf:2: this does not fit here; look for a missing comma"},
    {"source s {\n secrets = { , } }", "my.conf:2: this does not fit here"},
    {"(", "my.conf:1: this does not fit here"},
    {"listen = \"127.0.0.1:1\nadmin = \"127.0.0.1:2\"\n", "my.conf:1: this text has no closing quote on its line"},
    {"\nlisten = '127.0.0.1:1\n'", "my.conf:2: this text has no closing quote on its line"},
    {"\"abc", "my.conf:1: this text has no closing quote on its line"},
    {"data = \"a\\", "my.conf:1: this text has no closing quote on its line"},
    {"data = \"a\\\nb\"", "my.conf:1: this text has no closing quote on its line"},
    {"\n\n/* no end\n\n", "my.conf:3: this comment has no end"},
    {"/*/", "my.conf:1: this comment has no end"},
    {"/* a\n b\n */\ndata = \"x", "my.conf:4: this text has no closing quote"},
    {"data = \"a\\0b\"", "my.conf:1: \\ with a number is not taken in a text"},
    {"data = \"a\\x00b\"", "my.conf:1: \\ with a number is not taken in a text"},
    {"data = \"a\\999b\"", "my.conf:1: \\ with a number is not taken in a text"},
    {"data = \"a\x01\"", "my.conf:1: a control character stands in this text"},
    {"data = a\x1b", "my.conf:1: a control character stands here"},
    {"data = a\rlisten = x", "my.conf:1: a control character stands here"},
    {"\ndata = ${HOME}/x", "my.conf:2: put a text with *, + or ${ in it in quotes"},
    {"data = a*b", "my.conf:1: put a text with *, + or ${ in it in quotes"},
    {"data = +b", "my.conf:1: put a text with *, + or ${ in it in quotes"},
    {"data = a\ndata = b", "my.conf:2: data is given twice"},
    {"iam { region = a\nregion = b }", "my.conf:2: region is given twice"},
    {"iam { }\niam { }", "my.conf:2: iam is given twice"},
    {"source s { provider = stripe\nsecrets = { \"env:GOOD\" }\nsecrets = \"env:GOOD\" }",
     "my.conf:3: secrets is given twice"},
    {"iam { @ = 2 }", "my.conf:1: iam is given twice"},
    /* Lines are counted through comments, texts and lists. */
    {"# one\n# two\n// three\n/* four\nfive */ x = 1", "my.conf:5: there is no option 'x'"},
    {"data = 'a' # '\n/**/ /* \" */ // \"\nsource s { secrets = { \"env:GOOD\", // '\n /* , */ \"env:GOOD\" }\n x = 1 "
     "}",
     "my.conf:5: source: there is no option 'x'"},
    {"\r\n\r\nx = 1\r\n", "my.conf:3: there is no option 'x'"},
    /* Names. */
    {"source Stripe { provider = stripe }", "my.conf:1: source: a name is a lower-case letter"},
    {"\nsource\ndefault\n{\n provider = stripe }", "my.conf:4: source: a name is a lower-case letter"},
    {"source 1a { provider = stripe }", "my.conf:1: source: a name is"},
    {"source -a { provider = stripe }", "my.conf:1: source: a name is"},
    {"source a_b { provider = stripe }", "my.conf:1: source: a name is"},
    {"source \"a b\" { provider = stripe }", "my.conf:1: source: a name is"},
    {"source \"\" { provider = stripe }", "my.conf:1: source: a name is"},
    {"source " S31 S31 "01 { provider = stripe }", "my.conf:1: source: a name is"}, /* 64 */
    {STRIPE "\n" STRIPE, "my.conf:3: there is a source of this name already"},
    {"\nsource s\n{\n}\n", "my.conf:3: source: this needs provider ="},
    /* Settings. What the provider room says behind the place is its own business. */
    {"source s { provider = stripe\n tolerance = soon }", "my.conf:2: tolerance: "},
    {"source s { provider = hmac\n header = \"a b\" }", "my.conf:2: header: "},
    {"source s { provider = stripe\n transaction_id = \"json:a\" }", "my.conf:2: transaction_id: "},
    {"\nsource s {\n provider = stripe\n header = x }", "my.conf:2: source: "},
    {"\nsource s {\n provider = hmac\n }", "my.conf:2: source: "},
    {"source s { provider = stripe\n public_key = \"env:NOWHERE\" }",
     "my.conf:2: public_key: env:NOWHERE: it is nowhere"},
    {"source s { provider = stripe\n public_key = \"" CANARY "\" }",
     "my.conf:2: public_key: a secret is named by a reference"},
    {"source s { provider = stripe\n public_key = \"env:PEM\" }", "my.conf:1: source: "},
    /* Secrets. */
    {"source s { provider = stripe\n secrets = { \"env:GOOD\",\n\"whsec_" CANARY "\" } }",
     "my.conf:3: secrets: a secret is named by a reference: file:PATH, env:NAME or aws:NAME-OR-ARN, never written "
     "here"},
    {"source s { provider = stripe secrets = { " CANARY " } }", "my.conf:1: secrets: a secret is named by a reference"},
    {"source s { provider = stripe secrets = { \"env:GOOD\" " CANARY " } }", "my.conf:1: this does not fit here"},
    {"source s { provider = stripe secrets = \"env:GOOD\" " CANARY "-1 }",
     "my.conf:1: source: there is no option this"},
    {"source s { secrets = { \"" CANARY " } }", "my.conf:1: this text has no closing quote"},
    {"source s { provider = stripe " CANARY "+ }", "my.conf:1: put a text with"},
    {"source s { provider = \"" CANARY "\" }", "my.conf:1: provider: there is no provider"},
    {"source " CANARY "_ { }", "my.conf:1: source: a name"},
    {"listen = \"" CANARY "\"", "my.conf:1: listen: this is not"},
    {"store = \"" CANARY "\"", "my.conf:1: store: there is no store"},
    {"iam { region = \"" CANARY "/\" }", "my.conf:1: region: this is"},
    {"iam { require_api_key = " CANARY " }", "my.conf:1: require_api_key: this is true or false"},
    {"limits { body_size_max = " CANARY " }", "my.conf:1: body_size_max: this is a whole number"},
    {"iam {\n api_key = \"" CANARY "\" }", "my.conf:2: api_key: a secret is named by a reference"},
    {"iam {\n\n require_api_key = true }", "my.conf:3: require_api_key: this needs api_key ="},
    {"source s { provider = stripe secrets = { \"env:GOOD\", \"env:GOOD\", \"env:GOOD\", \"env:GOOD\", \"env:GOOD\", "
     "\"env:GOOD\","
     "\"env:GOOD\", \"env:GOOD\",\n \"env:GOOD\" } }",
     "my.conf:2: secrets: a source has at most 8"},
    /* Values. */
    {"listen = \"\"", "my.conf:1: listen: this is not a numeric ADDRESS:PORT, such as 127.0.0.1:8080"},
    {"\nlisten = localhost", "my.conf:2: listen: this is not"},
    {"admin = \"8081\"", "my.conf:1: admin: this is not"},
    {"admin = \"None\"", "my.conf:1: admin: this is not"},
    {"listen = \"none\"", "my.conf:1: listen: this is not"},
    {"\ntls {}", "my.conf:2: tls: this needs certificate"},
    {"tls {\n certificate = \"a\" }", "my.conf:1: tls: this needs certificate"},
    {"tls { key = \"a\" }", "my.conf:1: tls: this needs certificate"},
    {"tls { certificate = \"a\"\n key = \"\" }", "my.conf:2: tls: this needs certificate"},
    {"tls { certificate = \"a\" key = \"b\" key = \"c\" }", "my.conf:1: key is given twice"},
    {"tls { certificate = a key = b }\ntls { }", "my.conf:2: tls is given twice"},
    {"tls { certificates = \"a\" }", "my.conf:1: tls: there is no option 'certificates'; did you mean certificate?"},
    {"tls a { certificate = \"a\" }", "my.conf:1: "},
    {"tls = \"a\"", "my.conf:1: "},
    {"data = \"\"", "my.conf:1: data: this names no folder"},
    {"iam { require_api_key = maybe }", "my.conf:1: require_api_key: this is true or false"},
    {"iam { region = \"\" }", "my.conf:1: region: this is 1 to 64"},
    {"iam { service = Lambda }", "my.conf:1: service: this is 1 to 64"},
    {"iam { region = " S31 S31 "012 }", "my.conf:1: region: this is 1 to 64"},
    {"limits { io_threads = 0 }", "my.conf:1: io_threads: this is a whole number from 1 to 256"},
    {"limits { io_threads = 257 }", "my.conf:1: io_threads: this is"},
    {"limits { io_threads = -1 }", "my.conf:1: io_threads: this is"},
    {"limits { io_threads = 1.5 }", "my.conf:1: io_threads: this is"},
    {"limits { io_threads = 0x10 }", "my.conf:1: io_threads: this is"},
    {"limits { io_threads = \"\" }", "my.conf:1: io_threads: this is"},
    {"limits {\n idle_deadline_s = 10s }",
     "my.conf:2: idle_deadline_s: this is a whole number from 1 to 3600, without a unit"},
    {"limits { connections_max = 18446744073709551617 }", "my.conf:1: connections_max: this is"},
    {"limits { body_size_max = 1023 }", "my.conf:1: body_size_max: this is"},
    {"limits { body_size_max = 16777217 }", "my.conf:1: body_size_max: this is"},
    {"limits {\n body_size_max = 100000\n body_budget_size = 99999 }",
     "my.conf:3: body_budget_size: the bodies of all connections need at least"},
    {"limits { body_budget_size =\n 1000000 }", "my.conf:2: body_budget_size: the bodies"},
};

static void test_wrong(void **state) {
    (void)state; /* there is none */
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct config *config = NULL;
        struct err result = parse_with(str_from(WRONG[i].text), &NONE, &config);
        if (!err_is(result)) fail_msg("case %zu is taken: %s", i, WRONG[i].text);
        assert_int_equal(result.kind, ERR_INPUT);
        assert_null(config);
        if (strstr(message_memory, WRONG[i].sentence) != message_memory)
            fail_msg("case %zu: %s\nis:     %s\nwanted: %s", i, WRONG[i].text, message_memory, WRONG[i].sentence);
        assert_null(strchr(message_memory, '\n'));
        /* Nothing of it is left in libconfuse's globals. */
        config_release(parse(SAMPLE));
    }
    struct config *config = NULL;
    assert_int_equal(parse_with(STR("data = \"a\0b\""), &NONE, &config).kind, ERR_INPUT);
    assert_string_equal(message_memory, "my.conf:1: a control character stands in this text");
    assert_int_equal(parse_with(STR("data = a\n\0"), &NONE, &config).kind, ERR_INPUT);
    assert_string_equal(message_memory, "my.conf:2: a control character stands here");
    assert_false(err_is(parse_with(STR("# a\0b\n"), &NONE, &config)));
    config_release(config);
}

static void test_literal(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *text, *data;
    } cases[] = {
        {"data = \"a${HOME}b\"", "a${HOME}b"},
        {"data = \"${HOME:-x}\"", "${HOME:-x}"},
        {"data = 'a${HOME}b'", "a${HOME}b"},
        {"data = \"$\"", "$"},
        {"data = \"$$a$\"", "$$a$"},
        {"data = \"\\${HOME}\"", "${HOME}"},
        {"data = \"\\\\${HOME}\"", "\\${HOME}"},
        {"data = '\\${HOME}'", "\\${HOME}"},
        {"data = $HOME/x", "$HOME/x"},
        {"data = a$", "a$"},
        {"data = \"# // /* */ ' {}=\"", "# // /* */ ' {}="},
        {"data = '# \" // \\' \\\\'", "# \" // ' \\"},
        {"data = \"\\\"a\\\"\"", "\"a\""},
        {"data = http://x//y/z", "http://x//y/z"},
        {"data = /a//b", "/a//b"},
        {"data = a/**/", "a/"}, /* refused below: within a word this is no comment */
        {"data = \"a\tb\"", "a\tb"},
        {"data = \xc3\xa4", "\xc3\xa4"},
        {"data=a#b", "a"},
        {"data = /*x*/ /* y */a", "a"},
    };
    assert_int_equal(setenv("HOME", "/home-expanded", 1), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = NULL;
        struct err result = parse_with(str_from(cases[i].text), &NONE, &config);
        if (strstr(cases[i].text, "a/**/") != NULL) {
            assert_int_equal(result.kind, ERR_INPUT);
            continue;
        }
        if (err_is(result)) fail_msg("%s: %s", cases[i].text, message_memory);
        assert_string_equal(config->data, cases[i].data);
        config_release(config);
    }
}

static void test_warnings(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *text, *warning; /* NULL: none */
        const char *more;
    } cases[] = {
        {"source s { provider = stripe secrets = { \"env:GOOD\" } }", NULL, NULL},
        {"source s { provider = stripe }", "source s: it has no usable secret; /hooks/s answers 503 until it has one",
         NULL},
        {"source s { provider = stripe secrets = { } }", "source s: it has no usable secret", NULL},
        {"source s { provider = stripe secrets = { \"env:SHORT\" } }",
         "source s: the secret env:SHORT is left out: it ", "source s: it has no usable secret"},
        {"source s { provider = stripe secrets = { \"env:BLANK\" } }",
         "source s: the secret env:BLANK is left out: it ", "no usable secret"},
        {"source s { provider = stripe secrets = { \"env:PLACEHOLDER\" } }",
         "the secret env:PLACEHOLDER is left out: it ", "no usable secret"},
        {"source s { provider = stripe secrets = { \"env:NOWHERE\" } }",
         "source s: a secret is left out: env:NOWHERE: it is nowhere", "no usable secret"},
        {"iam { api_key = \"env:NOWHERE\" }", "iam: a secret is left out: env:NOWHERE: it is nowhere", NULL},
        {"iam { api_key = \"env:SHORT\" require_api_key = on }", "iam: the secret env:SHORT is left out: it ", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = parse(cases[i].text);
        if (cases[i].warning == NULL) {
            assert_string_equal(warning_memory, "");
        } else if (strstr(warning_memory, cases[i].warning) == NULL) {
            fail_msg("case %zu: %s", i, warning_memory);
        }
        if (cases[i].more != NULL) assert_non_null(strstr(warning_memory, cases[i].more));
        config_release(config);
    }
    /* One good secret is enough, and the others keep their places. */
    struct config *config =
        parse("source a { provider = stripe secrets = { \"env:NOWHERE\", \"env:GOOD\", \"env:SHORT\" } }" STRIPE);
    assert_null(strstr(warning_memory, "503"));
    const struct source *source = config_source(config, STR("a"));
    assert_int_equal(source->secret_count, 3);
    assert_string_equal(source->secrets[0].fault, "cannot be read");
    assert_null(source->secrets[0].text.ptr);
    assert_null(source->secrets[1].fault);
    assert_non_null(source->secrets[2].fault);
    assert_null(config_source(config, STR("stripe"))->secrets[0].fault);
    config_release(config);
    /* Nobody need listen. */
    assert_false(err_is(config_parse(STR("source s { provider = stripe }"), "f", &NONE, read_stub, NULL, NULL, NULL,
                                     &message, &config)));
    config_release(config);
}

static void test_overrides(void **state) {
    (void)state; /* there is none */
    const struct config_overrides all = {.data = "./run-data", .listen = "0.0.0.0:1", .admin = "", .store = "memory"};
    struct config *config;
    assert_false(err_is(parse_with(str_from(SAMPLE), &all, &config)));
    assert_string_equal(config->listen, "0.0.0.0:1");
    assert_string_equal(config->admin, "");
    assert_string_equal(config->data, "./run-data");
    assert_string_equal(config->store, "memory");
    config_release(config);
    const struct config_overrides no_admin = {.admin = "none"};
    assert_false(err_is(parse_with(str_from(SAMPLE), &no_admin, &config)));
    assert_string_equal(config->admin, "");
    config_release(config);
    static const struct {
        struct config_overrides overrides;
        const char *sentence;
    } wrong[] = {
        {{.listen = ""}, "listen: this is not a numeric ADDRESS:PORT"},
        {{.listen = "localhost:80"}, "listen: this is not a numeric ADDRESS:PORT"},
        {{.admin = "x"}, "admin: this is not a numeric ADDRESS:PORT"},
        {{.data = ""}, "data: this names no folder"},
        {{.store = "mysql"}, "store: there is no store 'mysql'"},
        {{.store = "memry"}, "store: there is no store 'memry'; did you mean memory?"},
        {{.store = "dynamodb:t"}, "store: a table's name is 3 to 255 letters"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(parse_with(str_from(SAMPLE), &wrong[i].overrides, &config).kind, ERR_INPUT);
        assert_ptr_equal(strstr(message_memory, wrong[i].sentence), message_memory); /* no FILE:LINE: it is not there */
    }
}

static void test_environment(void **state) {
    (void)state; /* there is none */
    bool root = geteuid() == 0;
    static const struct {
        const char *xdg, *home, *data; /* data for other users than root; NULL: refused */
    } cases[] = {
        {"/xdg", "/home/u", "/xdg/payhook"},
        {"relative", "/home/u", "/home/u/.local/share/payhook"},
        {"", "/home/u", "/home/u/.local/share/payhook"},
        {NULL, "/home/u", "/home/u/.local/share/payhook"},
        {NULL, "", NULL},
        {NULL, NULL, NULL},
        {NULL, "relative", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = NULL;
        assert_int_equal(cases[i].xdg != NULL ? setenv("XDG_DATA_HOME", cases[i].xdg, 1) : unsetenv("XDG_DATA_HOME"),
                         0);
        assert_int_equal(cases[i].home != NULL ? setenv("HOME", cases[i].home, 1) : unsetenv("HOME"), 0);
        struct err result = parse_with(STR(""), &NONE, &config);
        const char *data = root ? "/var/lib/payhook" : cases[i].data;
        assert_int_equal(result.kind, data == NULL ? ERR_INPUT : ERR_OK);
        if (data != NULL) assert_string_equal(config->data, data);
        if (data == NULL) assert_non_null(strstr(message_memory, "give --data DIR"));
        config_release(config);
    }
    assert_int_equal(setenv("HOME", "/home/u", 1), 0);
    assert_int_equal(setenv("ENVIRONMENT", "staging", 1), 0);
    struct config *config = parse("");
    assert_string_equal(config->environment, "staging");
    config_release(config);
    assert_int_equal(setenv("ENVIRONMENT", "", 1), 0);
    config = parse("");
    assert_string_equal(config->environment, "prod");
    config_release(config);
}

/* The sample cut at each length, and with each byte replaced: an answer with a line, or a configuration; nothing on
 * stderr. */
static void test_cuts(void **state) {
    (void)state; /* there is none */
    FILE *noise = tmpfile();
    int kept = dup(STDERR_FILENO);
    assert_non_null(noise);
    assert_int_equal(dup2(fileno(noise), STDERR_FILENO), STDERR_FILENO);
    char text[sizeof SAMPLE];
    size_t good = 0, bad = 0;
    static const char bytes[] = "\0\"'{}=+$/*#\n|\\x";
    for (size_t i = 0; i < sizeof SAMPLE - 1; i++) {
        for (size_t k = 0; k <= sizeof bytes - 1; k++) {
            struct config *config = NULL;
            memcpy(text, SAMPLE, sizeof text);
            if (k < sizeof bytes - 1) text[i] = bytes[k];
            struct str cut = str_make(text, k < sizeof bytes - 1 ? sizeof SAMPLE - 1 : i);
            struct err result = parse_with(cut, &NONE, &config);
            good += !err_is(result);
            bad += err_is(result);
            if (err_is(result)) assert_ptr_equal(strstr(message_memory, "my.conf:"), message_memory);
            if (err_is(result)) assert_int_equal(result.kind, ERR_INPUT);
            config_release(config);
        }
    }
    assert_int_equal(ftell(noise), 0);
    assert_int_equal(lseek(STDERR_FILENO, 0, SEEK_END), 0);
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    (void)close(kept);
    (void)fclose(noise);
    assert_true(good > 100);
    assert_true(bad > 1000);
}

static void test_many(void **state) {
    (void)state; /* there is none */
    static char memory[1 << 20];
    struct config *config = NULL;
    for (int count = SOURCES_MAX; count <= SOURCES_MAX + 1; count++) {
        struct writer text = writer_make(memory, sizeof memory);
        for (int i = 0; i < count; i++)
            writer_format(&text, "source s%d {\n provider = stripe secrets = { \"env:GOOD\" } }\n",
                          (i * 7919) % 100003);
        struct err result = parse_with(writer_str(&text), &NONE, &config);
        if (count > SOURCES_MAX) {
            assert_int_equal(result.kind, ERR_INPUT);
            assert_string_equal(message_memory, "my.conf:2002: there are more than 1000 sources");
            continue;
        }
        assert_false(err_is(result));
        assert_int_equal(config->source_count, SOURCES_MAX);
        for (int i = 0; i < count; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "s%d", (i * 7919) % 100003);
            const struct source *source = config_source(config, str_from(name));
            assert_non_null(source);
            assert_true(str_eq(source->name, str_from(name)));
        }
        assert_null(config_source(config, STR("s")));
        config_release(config);
    }
    static char big[CONFIG_FILE_SIZE_MAX + 1];
    memset(big, '\n', sizeof big);
    assert_false(err_is(parse_with(str_make(big, sizeof big - 1), &NONE, &config)));
    config_release(config);
    assert_int_equal(parse_with(str_make(big, sizeof big), &NONE, &config).kind, ERR_INPUT);
    assert_string_equal(message_memory, "the configuration is larger than 4194304 bytes");
}

static void test_source_names(void **state) {
    (void)state; /* there is none */
    static const char *const good[] = {"a", "a-", "a1", "stripe", "defaults", "a--b", S31 S31 "0"};
    static const char *const bad[] = {"",   "-",  "1",   "A",       "aB",       "a_",
                                      "a.", "a/", "a b", "default", "\xc3\xa4", S31 S31 "01"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(config_is_source_name(str_from(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(config_is_source_name(str_from(bad[i])));
    assert_false(config_is_source_name(STR("a\0")));
    assert_false(config_is_source_name(STR_NONE));
}

static void test_addresses(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080},
        {"0.0.0.0:0", "0.0.0.0", 0},
        {"[::1]:8080", "::1", 8080},
        {"[::]:65535", "::", 65535},
        {"255.255.255.255:1", "255.255.255.255", 1},
        {"[::ffff:1.2.3.4]:080", "::ffff:1.2.3.4", 80},
        {"[1111:2222:3333:4444:5555:6666:123.123.123.123]:00001", "1111:2222:3333:4444:5555:6666:123.123.123.123", 1},
    };
    static const char *const bad[] = {
        "",
        ":",
        ":80",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        " 127.0.0.1:1",
        "127.0.0.1:1 ",
        "127.0.0.1:1x",
        "127.0.0.1:000001",
        "127.0.0.1:1:1",
        "127.1:1",
        "0x7f.0.0.1:1",
        "256.0.0.1:1",
        "localhost:1",
        "*:1",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1]:",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[127.0.0.1]:80",
        "[::1%lo]:80",
        "[[::1]]:80",
        "[::1]:65536",
        "http://127.0.0.1:80",
        "[11111111111111111111111111111111111111111111111111111111]:1",
    };
    char host[64];
    uint16_t port;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!config_split_address(str_from(good[i].text), host, sizeof host, &port)) fail_msg("%s", good[i].text);
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
    memcpy(host, "kept", 5);
    port = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (config_split_address(str_from(bad[i]), host, sizeof host, &port)) fail_msg("%s is taken", bad[i]);
        assert_string_equal(host, "kept");
        assert_int_equal(port, 7);
    }
    assert_false(config_split_address(STR("127.0.0.1\0:80"), host, sizeof host, &port));
    assert_false(config_split_address(STR("127.0.0.1:80"), host, 9, &port));
    assert_true(config_split_address(STR("127.0.0.1:80"), host, 10, &port));
}

/* ------------------------------------------------------------------ files */

static void write_file(const char *path, mode_t mode, const char *content) {
    struct err result = os_file_replace(path, mode, str_from(content));
    assert_false(err_is(result));
}

static struct err load(const struct config_overrides *overrides, struct config **ret_config) {
    message.len = warnings.len = 0;
    struct err result = config_load(overrides, note, &warnings, &message, ret_config);
    (void)writer_cstr(&message); /* read in place */
    (void)writer_cstr(&warnings);
    assert_null(strstr(message_memory, "canary"));
    assert_null(strstr(warning_memory, "canary"));
    return result;
}

static void test_load(void **state) {
    (void)state; /* there is none */
    struct config_overrides overrides = {.config = "my.conf", .data = "data"};
    struct config *config = NULL;
    assert_int_equal(load(&overrides, &config).kind, ERR_ABSENT);
    assert_string_equal(message_memory, "my.conf: could not open the file: No such file or directory");
    overrides.config = ".";
    assert_int_equal(load(&overrides, &config).kind, ERR_INPUT);
    assert_string_equal(message_memory, ".: could not read it: it is not a regular file");
    overrides.config = "my.conf";

    write_file("my.conf", 0644, "source s { provider = stripe secrets = { \"file:secret\" } }\n");
    write_file("secret", 0600, CANARY "\n");
    assert_false(err_is(load(&overrides, &config)));
    assert_int_equal(warnings.len, 0);
    assert_string_equal(config->file, "my.conf");
    assert_int_equal(config->keys.count, 0);
    assert_true(str_eq(config->sources[0].secrets[0].text, STR(CANARY)));
    config_release(config);

    assert_int_equal(chmod("secret", 0644), 0);
    assert_false(err_is(load(&overrides, &config)));
    assert_non_null(
        strstr(warning_memory, "source s: the secret file:secret can be read by everyone on this machine: chmod 600"));
    assert_null(config->sources[0].secrets[0].fault);
    config_release(config);
    assert_int_equal(unlink("secret"), 0);
    assert_false(err_is(load(&overrides, &config)));
    assert_non_null(strstr(warning_memory, "a secret is left out: file:secret: could not open the file"));
    assert_non_null(strstr(warning_memory, "503"));
    config_release(config);

    write_file("my.conf", 0644, "\nlistn = x\n");
    config = NULL;
    assert_int_equal(load(&overrides, &config).kind, ERR_INPUT);
    assert_string_equal(message_memory, "my.conf:2: there is no option 'listn'; did you mean listen?");
    assert_null(config);
    assert_int_equal(unlink("my.conf"), 0);
    if (access("/etc/payhook/payhook.conf", F_OK) == 0) return; /* a machine where payhook is at home */
    overrides.config = NULL;
    assert_false(err_is(load(&overrides, &config)));
    assert_null(config->file);
    assert_string_equal(config->listen, "127.0.0.1:8080");
    config_release(config);
}

static void test_keys(void **state) {
    (void)state; /* there is none */
    const struct config_overrides overrides = {.config = "my.conf", .data = "data"};
    struct config *first, *second, *third = NULL;
    struct key_pair pair;
    write_file("my.conf", 0644, SAMPLE);
    assert_int_equal(setenv("GOOD", CANARY, 1), 0);
    assert_int_equal(setenv("TOKEN", CANARY, 1), 0);
    assert_false(err_is(keys_add("data", STR("one"), 1, &message, &pair)));
    assert_false(err_is(load(&overrides, &first)));
    assert_int_equal(first->keys.count, 1);
    assert_memory_equal(first->keys.pairs, &pair, sizeof pair);

    /* The new one has the new keys, and lives on without the old one. A broken file is none of its business. */
    assert_false(err_is(keys_add("data", STR("two"), 2, &message, &pair)));
    write_file("my.conf", 0644, "broken");
    assert_int_equal(unsetenv("GOOD"), 0);
    message.len = 0;
    assert_false(err_is(config_reload_keys(first, &message, &second)));
    assert_int_equal(first->keys.count, 1);
    assert_int_equal(second->keys.count, 2);
    config_release(first);
    assert_string_equal(second->data, "data");
    assert_string_equal(second->listen, "127.0.0.1:9080");
    assert_string_equal(second->tls_key, "/tls/key.pem");
    assert_true(str_eq(config_source(second, STR("stripe"))->secrets[1].text, STR(CANARY)));
    assert_true(str_eq(second->api_keys[0].text, STR(CANARY)));

    assert_int_equal(unlink("data/keys"), 0);
    assert_false(err_is(config_reload_keys(second, &message, &third)));
    config_release(second);
    assert_int_equal(third->keys.count, 0);
    assert_ptr_equal(config_source(third, STR("default")), &third->default_source);
    assert_non_null(config_source(third, STR("till")));
    config_release(config_hold(third));

    write_file("data/keys", 0600, "damaged\n");
    assert_int_equal(config_reload_keys(third, &message, &second).kind, ERR_INPUT);
    assert_non_null(strstr(writer_cstr(&message), "data/keys:1: "));
    write_file("my.conf", 0644, "");
    assert_int_equal(load(&overrides, &first).kind, ERR_INPUT);
    assert_int_equal(chmod("data/keys", 0644), 0);
    assert_int_equal(load(&overrides, &first).kind, ERR_DENIED);
    assert_non_null(strstr(message_memory, "chmod 600"));
    config_release(third);
    assert_int_equal(unlink("my.conf"), 0);
    assert_int_equal(unlink("data/keys"), 0);
    assert_int_equal(unlink("data/keys.lock"), 0);
    assert_int_equal(rmdir("data"), 0);
}

/* ---- the files it named */

struct files {
    char paths[16][64];
    size_t count;
};

static void note_file(void *context, const char *path) {
    struct files *files = context;
    assert_in_range(files->count, 0, 15);
    (void)snprintf(files->paths[files->count++], sizeof files->paths[0], "%s", path);
}

static bool noted(const struct files *files, const char *path) {
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->paths[i], path) == 0) return true;
    return false;
}

static void test_files(void **state) {
    (void)state; /* there is none */
    struct config *config = parse("source a { provider = \"stripe\" secrets = { \"file:/one\", \"env:ONE\" } }\n"
                                  "source b { provider = \"api-key\" secrets = { \"file:missing/two\" } }\n"
                                  "iam { api_key = \"file:three\" }\n");
    struct files files = {.count = 0};
    config_each_file(config, note_file, &files);
    assert_int_equal(files.count, 4); /* itself, and three files, whether or not they are there */
    assert_true(noted(&files, "/one"));
    assert_true(noted(&files, "missing/two"));
    assert_true(noted(&files, "three"));
    config_release(config);
    config = parse("");
    files.count = 0;
    config_each_file(config, note_file, &files);
    assert_int_equal(files.count, 1);
    config_release(config);
}

static void *hold_and_release(void *config) {
    for (int i = 0; i < 10000; i++) {
        struct config *held = config_hold(config);
        if (config_source(held, STR("stripe")) == NULL) return config;
        config_release(held);
    }
    config_release(config); /* this thread's own */
    return NULL;
}

static void test_threads(void **state) {
    (void)state; /* there is none */
    struct config *config = parse(SAMPLE);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_release, config_hold(config)), 0);
    config_release(config); /* the last thread to end frees it */
    for (size_t i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),       cmocka_unit_test(test_defaults),  cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_literal),      cmocka_unit_test(test_warnings),  cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_environment),  cmocka_unit_test(test_cuts),      cmocka_unit_test(test_many),
        cmocka_unit_test(test_source_names), cmocka_unit_test(test_addresses), cmocka_unit_test(test_load),
        cmocka_unit_test(test_keys),         cmocka_unit_test(test_threads),   cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
