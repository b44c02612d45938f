/* SPDX-License-Identifier: Apache-2.0 */
/* From request to reply: who answers, what each door believes, what a commit makes of it, and the bytes that go out.
 * Configurations are made by hand, with rows of the test's own beside those of the table. */
#include "core/ingest.h"

#include "codec/sigv4.h"
#include "provider/iam.h"
#include "provider_help.h"

#include <signal.h>
#include <sys/resource.h>

#define ID     "PHKABCDEFGHIJKLMNOPQ"
#define PAIR   "invented/Secret+of40characters0000000000"
#define NOW_US (NOW * 1000000 + 123456)
#define PAID   "{\"transactionId\": \"t-1\"}"

/* Believes everybody: batches are about meaning. */
static enum verdict verify_nothing(const struct provider_input *input, struct verification *v) {
    (void)input;
    v->matched_secret = 0;
    return VERDICT_ACCEPT;
}
static enum verdict verify_later(const struct provider_input *input, struct verification *v) {
    v->key_url = STR("https://keys.example.com/1");
    return verify_refuse(input, v, VERDICT_NEED_KEY, "the provider's key is not here yet");
}
static const struct provider_row batch_row = {
    .name = "batch",
    .verify = verify_nothing,
    .authenticated = AUTHENTICATED_BODY,
    .event_id = "json:/id",
    .transaction_id = "json:/payment",
    .batch = "/events",
};
static const struct provider_row key_row = {.name = "needs-key", .verify = verify_later, .no_secret = true};
static const struct provider_row own_row = {.name = "own",
                                            .verify = verify_hmac,
                                            .authenticated = AUTHENTICATED_BODY,
                                            .signature_headers = {"x-signature"},
                                            .digest = DIGEST_SHA256,
                                            .signed_text = "{body}",
                                            .event_id = "json:/id",
                                            .refusal_status = 498,
                                            .reply_body = "[accepted]"};

static struct key_pair pairs[2] = {{.name = "one", .access_key_id = ID, .secret = PAIR},
                                   {.name = "two", .access_key_id = ID "2", .secret = "another" PAIR}};
static struct source sources[5];
static struct config config;
static struct http_request request;
static struct arena arena;
static struct ingest ingest;
static struct store *store;

static void make_source(struct source *source, const char *name, const struct provider_row *row) {
    *source = (struct source){.name = str_from(name), .row = row, .secret_count = 1};
    source->secrets[0] = (struct secret){.text = STR(SECRET)};
}

static int each_begin(void **state) {
    (void)state; /* there is none */
    make_source(&sources[0], "batch", &batch_row);
    make_source(&sources[1], "hook-2", provider_find(STR("hub-sha256")));
    make_source(&sources[2], "later", &key_row);
    make_source(&sources[3], "own", &own_row);
    make_source(&sources[4], "stripe", provider_find(STR("stripe")));
    static char environment[] = "prod", processed_by[] = "till", region[] = "us-east-1", service[] = "lambda";
    config = (struct config){.environment = environment,
                             .processed_by = processed_by,
                             .iam_region = region,
                             .iam_service = service,
                             .keys = {pairs, 2},
                             .default_source = {.name = STR("default"), .row = provider_find(STR("iam"))},
                             .sources = sources,
                             .source_count = 5};
    arena = arena_make(help_memory, sizeof help_memory);
    help_texts_used = 0;
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    return err_is(store_open("memory", "", STORE_WRITE, &message, &store)) ? -1 : 0;
}

static int each_end(void **state) {
    (void)state; /* there is none */
    store_close(store);
    return 0;
}

static void ask_for(const char *method, const char *target, struct str body) {
    request = (struct http_request){.method = str_from(method), .target = str_from(target), .body = body};
    request_split_target(&request);
}

static void header(const char *name, const char *value) {
    request.headers[request.header_count++] = (struct http_header){str_from(name), keep(str_from(value))};
}

static void sign_at_the_root(const char *id, const char *secret) {
    header("host", "localhost");
    const struct sigv4_signer signer = {.access_key_id = str_from(id),
                                        .secret = str_from(secret),
                                        .session_token = STR(""),
                                        .region = STR("us-east-1"),
                                        .service = STR("lambda"),
                                        .now_s = NOW - 7};
    assert_true(sigv4_sign(&signer, SIGV4_AWS_SERVICE, false, &request, &arena));
}

static enum verdict ask(enum door door) {
    memset(&ingest, 0xee, sizeof ingest);
    ingest_check(&config, &request, door, NOW_US, &arena, &ingest);
    assert_true(ingest.verdict == VERDICT_ACCEPT || (ingest.events == NULL && ingest.event_count == 0));
    return ingest.verdict;
}

#define assert_word(verdict, expected) assert_string_equal(verdict_row(verdict)->word, verdict_row(expected)->word)

/* Routes */

static void routes(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *target, *source; /* NULL: not found */
    } cases[] = {
        {"/", "default"},
        {"/?a=b", "default"},
        {"/?", "default"},
        {"/hooks/stripe", "stripe"},
        {"/hooks/stripe?x=/hooks/own", "stripe"},
        {"/hooks/hook-2", "hook-2"},
        {"", NULL},
        {"*", NULL},
        {"//", NULL},
        {"/hooks", NULL},
        {"/hooks/", NULL},
        {"/hooks//", NULL},
        {"/hooks/?stripe", NULL},
        {"/hooks/stripe/", NULL},
        {"/hooks//stripe", NULL},
        {"//hooks/stripe", NULL},
        {"/hooks/./stripe", NULL},
        {"/hooks/../hooks/stripe", NULL},
        {"/x/../hooks/stripe", NULL},
        {"/hooks/str%69pe", NULL},
        {"/hooks/%73tripe", NULL},
        {"/hooks%2fstripe", NULL},
        {"/hooks/stripe%00", NULL},
        {"/hooks/stripe%20", NULL},
        {"/hooks/stripe;v=1", NULL},
        {"/hooks/Stripe", NULL},
        {"/HOOKS/stripe", NULL},
        {"/hooks/stripes", NULL},
        {"/hooks/strip", NULL},
        {"/hooks/hook_2", NULL},
        {"/hooks/2", NULL},
        {"/hooks/default", NULL}, /* it has its own door */
        {"/hooks/d%65fault", NULL},
        {"/default", NULL},
        {"/hooks/~~stripe", NULL},
        {"/hooks/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
        {"/stripe", NULL},
        {"/index.html", NULL},
        {"http://localhost/hooks/stripe", NULL}, /* only origin form reaches us */
    };
    static const char *const methods[] = {"POST", "GET", "HEAD", "OPTIONS", "PUT", "post", "Post", "POST ", "POS", ""};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
            print_message("%s %s\n", methods[m], cases[i].target);
            ask_for(methods[m], cases[i].target, STR(PAID));
            struct ingest_route route = ingest_find(&config, &request);
            assert_word(route.verdict, cases[i].source == NULL ? VERDICT_NOT_FOUND
                                       : m == 0                ? VERDICT_ACCEPT
                                                               : VERDICT_METHOD_NOT_ALLOWED);
            assert_int_equal(route.source != NULL, cases[i].source != NULL);
            if (route.source != NULL) assert_str(route.source->name, cases[i].source);
            if (route.verdict == VERDICT_ACCEPT) continue;
            assert_word(ask(DOOR_SERVER), route.verdict);
            assert_ptr_equal(ingest.source, route.source);
            assert_word(ask(DOOR_URL), route.verdict);
        }
    config.source_count = 0;
    ask_for("POST", "/hooks/stripe", STR(PAID));
    assert_word(ingest_find(&config, &request).verdict, VERDICT_NOT_FOUND);
}

/* Doors */

static void doors(void **state) {
    (void)state; /* there is none */
    enum { UNSIGNED, SIGNED, SIGNED_BY_THE_SECOND, SIGNED_BY_A_STRANGER };
    static const struct {
        const char *body;
        int proof;
        enum door door;
        enum verdict verdict;
        enum authenticated authenticated;
        int matched_secret;
    } cases[] = {
        {PAID, UNSIGNED, DOOR_SERVER, VERDICT_FORBIDDEN, 0, 0},
        {PAID, SIGNED_BY_A_STRANGER, DOOR_SERVER, VERDICT_FORBIDDEN, 0, 0},
        {PAID, SIGNED, DOOR_SERVER, VERDICT_ACCEPT, AUTHENTICATED_IAM, 0},
        {PAID, SIGNED_BY_THE_SECOND, DOOR_SERVER, VERDICT_ACCEPT, AUTHENTICATED_IAM, 1},
        {PAID, UNSIGNED, DOOR_URL, VERDICT_ACCEPT, AUTHENTICATED_IAM, -1},
        {PAID, UNSIGNED, DOOR_INVOKE, VERDICT_ACCEPT, AUTHENTICATED_INVOKE, -1},
        /* A stranger learns nothing of what a body should be. */
        {"{", UNSIGNED, DOOR_SERVER, VERDICT_FORBIDDEN, 0, 0},
        {"{}", SIGNED_BY_A_STRANGER, DOOR_SERVER, VERDICT_FORBIDDEN, 0, 0},
        {"{", SIGNED, DOOR_SERVER, VERDICT_INVALID_JSON, 0, 0},
        {"[]", UNSIGNED, DOOR_URL, VERDICT_INVALID_JSON, 0, 0},
        {"", UNSIGNED, DOOR_INVOKE, VERDICT_INVALID_JSON, 0, 0},
        {"{}", SIGNED, DOOR_SERVER, VERDICT_MISSING_TRANSACTION, 0, 0},
        {"{}", UNSIGNED, DOOR_URL, VERDICT_MISSING_TRANSACTION, 0, 0},
        {"{}", UNSIGNED, DOOR_INVOKE, VERDICT_MISSING_TRANSACTION, 0, 0},
        {"{\"transactionId\": \"~a\"}", SIGNED, DOOR_SERVER, VERDICT_INVALID_TRANSACTION, 0, 0},
        {"{\"transactionId\": null}", UNSIGNED, DOOR_URL, VERDICT_INVALID_TRANSACTION, 0, 0},
        {"{\"transactionId\": \"\"}", UNSIGNED, DOOR_INVOKE, VERDICT_INVALID_TRANSACTION, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("case %zu: %s\n", i, cases[i].body);
        arena_reset(&arena);
        ask_for("POST", "/", str_from(cases[i].body));
        if (cases[i].door == DOOR_INVOKE) request = (struct http_request){.body = request.body};
        if (cases[i].proof == SIGNED) sign_at_the_root(ID, PAIR);
        if (cases[i].proof == SIGNED_BY_THE_SECOND) sign_at_the_root(ID "2", "another" PAIR);
        if (cases[i].proof == SIGNED_BY_A_STRANGER) sign_at_the_root(ID, "another" PAIR);
        assert_word(ask(cases[i].door), cases[i].verdict);
        assert_ptr_equal(ingest.source, &config.default_source);
        assert_null(ingest.reply_body.ptr);
        assert_int_equal(ingest.refusal_status, 0);
        if (ingest.verdict != VERDICT_ACCEPT) continue;
        assert_int_equal(ingest.event_count, 1);
        assert_int_equal(ingest.skew_s, cases[i].door == DOOR_SERVER ? -7 : 0);
        const struct event *event = ingest.events;
        assert_str(event->source, "default");
        assert_str(event->transaction_id, "t-1");
        assert_int_equal(event->event_key.len, 64);
        assert_str(event->payload, PAID);
        assert_str(event->environment, "prod");
        assert_str(event->processed_by, "till");
        assert_true(event->received_us == NOW_US);
        assert_int_equal(event->authenticated, cases[i].authenticated);
        assert_int_equal(event->matched_secret, cases[i].matched_secret);
    }
    /* Without a key pair nobody gets in, whatever he signs. */
    ask_for("POST", "/", STR(PAID));
    sign_at_the_root(ID, PAIR);
    config.keys.count = 0;
    config.keys.pairs = NULL;
    assert_word(ask(DOOR_SERVER), VERDICT_FORBIDDEN);
    assert_word(ask(DOOR_URL), VERDICT_ACCEPT);
}

/* At every door a source verifies its own requests; none speaks for it. */
static void doors_of_sources(void **state) {
    (void)state; /* there is none */
    for (int door = DOOR_SERVER; door <= DOOR_URL; door++) {
        ask_for("POST", "/hooks/hook-2", STR(PAID));
        assert_word(ask((enum door)door), VERDICT_MISSING_HEADER);
        assert_ptr_equal(ingest.source, &sources[1]);
        assert_true(ingest.reason.len > 0);
        sign_at_the_root(ID, PAIR);
        assert_word(ask((enum door)door), VERDICT_MISSING_HEADER);
        header("x-hub-signature-256", sign(DIGEST_SHA256, SIGNATURE_HEX, "sha256=", PAID, "", ""));
        assert_word(ask((enum door)door), VERDICT_ACCEPT);
        assert_str(ingest.events->source, "hook-2");
        assert_str(ingest.events->environment, "prod");
        request.body = STR(PAID " ");
        assert_word(ask((enum door)door), VERDICT_BAD_SIGNATURE);
        sources[1].secrets[0].fault = "is shorter than 16 bytes";
        assert_word(ask((enum door)door), VERDICT_UNAVAILABLE);
        sources[1].secrets[0].fault = NULL;
    }
    ask_for("POST", "/hooks/own", STR(PAID));
    assert_word(ask(DOOR_SERVER), VERDICT_MISSING_HEADER);
    assert_int_equal(ingest.refusal_status, 498);
    assert_int_equal(ingest_reply(&ingest, &arena).status, 498);
    ask_for("POST", "/hooks/batch", STR("{\"events\":[{\"id\":\"1\"},{\"id\":\"2\"}]}"));
    arena = arena_make(help_memory, 100);
    assert_word(ask(DOOR_SERVER), VERDICT_INTERNAL);
    arena = arena_make(help_memory, 20); /* not even the key pairs fit */
    ask_for("POST", "/", STR(PAID));
    assert_word(ask(DOOR_URL), VERDICT_INTERNAL);
}

static void api_keys(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *sent[2]; /* NULL: not */
        const char *body, *fault;
        bool none, required;
        enum verdict verdict;
    } cases[] = {
        {{NULL}, PAID, NULL, false, false, VERDICT_ACCEPT},
        {{"wrong"}, PAID, NULL, false, false, VERDICT_ACCEPT},
        {{NULL}, PAID, "is empty", false, false, VERDICT_ACCEPT},
        {{SECRET}, PAID, NULL, false, true, VERDICT_ACCEPT},
        {{NULL}, PAID, NULL, false, true, VERDICT_MISSING_HEADER},
        {{""}, PAID, NULL, false, true, VERDICT_BAD_SIGNATURE},
        {{"wrong"}, PAID, NULL, false, true, VERDICT_BAD_SIGNATURE},
        {{SECRET "!"}, PAID, NULL, false, true, VERDICT_BAD_SIGNATURE},
        {{"an-invented-secret-of-32-bytes-"}, PAID, NULL, false, true, VERDICT_BAD_SIGNATURE},
        {{"AN-INVENTED-SECRET-OF-32-BYTES-!"}, PAID, NULL, false, true, VERDICT_BAD_SIGNATURE},
        {{SECRET, SECRET}, PAID, NULL, false, true, VERDICT_BAD_SIGNATURE},
        {{SECRET, "wrong"}, PAID, NULL, false, true, VERDICT_BAD_SIGNATURE},
        {{"wrong", SECRET}, PAID, NULL, false, true, VERDICT_BAD_SIGNATURE},
        {{SECRET "," SECRET}, PAID, NULL, false, true, VERDICT_BAD_SIGNATURE},
        {{SECRET}, PAID, "is shorter than 8 bytes", false, true, VERDICT_UNAVAILABLE}, /* never fails open */
        {{NULL}, PAID, "is shorter than 8 bytes", false, true, VERDICT_UNAVAILABLE},
        {{SECRET}, PAID, NULL, true, true, VERDICT_UNAVAILABLE},
        {{""}, PAID, NULL, true, true, VERDICT_UNAVAILABLE},
        {{SECRET}, "{}", NULL, false, true, VERDICT_MISSING_TRANSACTION},
        {{"wrong"}, "{}", NULL, false, true, VERDICT_BAD_SIGNATURE}, /* no word about the body */
        {{NULL}, "{", NULL, false, true, VERDICT_MISSING_HEADER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int proof = 0; proof <= 1; proof++) {
            print_message("case %zu\n", i);
            arena_reset(&arena);
            config.require_api_key = cases[i].required;
            config.api_keys[0] = (struct secret){cases[i].none ? STR_NONE : STR(SECRET), cases[i].fault};
            config.api_key_count = 1;
            ask_for("POST", "/", str_from(cases[i].body));
            for (int k = 0; k < 2 && cases[i].sent[k] != NULL; k++)
                header(k == 0 ? "X-Api-Key" : "x-api-key", cases[i].sent[k]);
            assert_word(ask(DOOR_URL), cases[i].verdict);
            assert_null(memmem(ingest.reason.ptr, ingest.reason.len, SECRET, strlen(SECRET)));
            /* At the server the signature comes first: a stranger is told nothing of the key. */
            if (proof == 0) {
                assert_word(ask(DOOR_SERVER), VERDICT_FORBIDDEN);
            } else if (cases[i].sent[0] != NULL && cases[i].sent[1] == NULL) {
                sign_at_the_root(ID, PAIR);
                assert_word(ask(DOOR_SERVER), cases[i].verdict);
            }
        }
    config.require_api_key = true; /* of POST / only */
    config.api_keys[0] = (struct secret){STR(SECRET), NULL};
    config.api_key_count = 1;
    ask_for("POST", "/hooks/batch", STR("{\"events\":[{\"id\":\"1\"}]}"));
    assert_word(ask(DOOR_SERVER), VERDICT_ACCEPT);
}

/* Commits */

enum { ROUND_MAX = 8 };
static struct ingest round_ingests[ROUND_MAX];
static size_t round_count;

/* One more request of the next commit, by way of the function URL. */
static void take(const char *target, const char *body, const char *key) {
    struct str copy = arena_copy(&arena, str_from(body));
    ask_for("POST", target, copy);
    if (key != NULL) header("idempotency-key", key);
    if (strcmp(target, "/hooks/own") == 0) header("x-signature", sign(DIGEST_SHA256, SIGNATURE_HEX, "", body, "", ""));
    assert_word(ask(DOOR_URL), VERDICT_ACCEPT);
    assert_true(round_count < ROUND_MAX);
    round_ingests[round_count++] = ingest;
}

static struct err commit(struct store *into) {
    const struct event *events[64];
    enum outcome outcomes[64];
    struct ingest *list[ROUND_MAX];
    const struct ingest_scratch scratch = {events, outcomes, 64};
    for (size_t i = 0; i < round_count; i++)
        list[i] = &round_ingests[i];
    size_t count = round_count;
    round_count = 0;
    return ingest_commit(into, list, count, &scratch);
}

static bool count_one(void *context, const struct event_record *record) {
    (void)record;
    ++*(size_t *)context;
    return true;
}

static size_t stored(void) {
    size_t count = 0;
    const struct store_filter all = {.source = STR_NONE, .since_s = INT64_MIN};
    assert_int_equal(store_events(store, &all, count_one, &count).kind, ERR_OK);
    return count;
}

static void assert_reply(const struct ingest *answered, int status, const char *body, const char *extra) {
    struct reply reply = ingest_reply(answered, &arena);
    assert_int_equal(reply.status, status);
    assert_str(reply.body, body);
    assert_str(reply.extra, extra);
    assert_str(reply.content_type, body[0] == '[' ? "text/plain" : "application/json");
    assert_false(reply.closes);
}

#define PROCESSED   "{\"message\": \"Webhook processed successfully\", \"transactionId\": "
#define DUPLICATE   "payhook-duplicate: true\r\n"
#define RETRY_AFTER "retry-after: 1\r\n"

/* Each row is one commit of one to three requests, over what the rows before have stored. */
static void commits(void **state) {
    (void)state; /* there is none */
    const struct {
        struct {
            const char *target, *body, *key;
            enum verdict verdict;
            uint32_t duplicates;
            const char *reply;
        } requests[3];
        size_t stored; /* in all, after it */
    } cases[] = {
        {{{"/", PAID, NULL, VERDICT_STORED, 0, PROCESSED "\"t-1\"}"}}, 1},
        {{{"/", PAID, NULL, VERDICT_DUPLICATE, 1, PROCESSED "\"t-1\"}"}}, 1},
        {{{"/", PAID " ", NULL, VERDICT_STORED, 0, PROCESSED "\"t-1\"}"}}, 2}, /* other bytes, another event */
        {{{"/", "{\"transactionId\": 42}", NULL, VERDICT_STORED, 0, PROCESSED "\"42\"}"}}, 3},
        /* Keys. */
        {{{"/", PAID, "k", VERDICT_STORED, 0, PROCESSED "\"t-1\"}"}}, 4},
        {{{"/", PAID, "k", VERDICT_DUPLICATE, 1, PROCESSED "\"t-1\"}"}}, 4},
        {{{"/", PAID " ", "k", VERDICT_KEY_REUSED, 0, "{\"error\": \"Idempotency key reused\"}"}}, 4},
        {{{"/", "{\"transactionId\": \"t-2\"}", "k", VERDICT_STORED, 0, PROCESSED "\"t-2\"}"}}, 5},
        {{{"/", PAID "\n", "k2", VERDICT_STORED, 0, PROCESSED "\"t-1\"}"},
          {"/", PAID "\r", "k2", VERDICT_KEY_REUSED, 0, "{\"error\": \"Idempotency key reused\"}"},
          {"/", PAID "\n", "k2", VERDICT_DUPLICATE, 1, PROCESSED "\"t-1\"}"}},
         6},
        /* Batches: the first event's transaction, and how many there are. */
        {{{"/hooks/batch", "{\"events\":[{\"id\":\"1\",\"payment\":\"p\"},{\"id\":\"2\",\"payment\":\"q\"}]}", NULL,
           VERDICT_STORED, 0, PROCESSED "\"p\", \"events\": 2}"}},
         8},
        {{{"/hooks/batch", "{\"events\":[{\"id\":\"2\",\"payment\":\"q\"},{\"id\":\"1\",\"payment\":\"p\"}]}", NULL,
           VERDICT_DUPLICATE, 2, PROCESSED "\"q\", \"events\": 2}"}},
         8},
        {{{"/hooks/batch", "{\"events\":[{\"id\":\"2\",\"payment\":\"q\"},{\"id\":\"3\",\"payment\":\"p\"}]}", NULL,
           VERDICT_STORED, 1, PROCESSED "\"q\", \"events\": 2}"}}, /* one is new: no duplicate */
         9},
        {{{"/hooks/batch", "{\"events\":[{\"id\":\"4\"},{\"id\":\"4\"},{\"id\":\"4\"}]}", NULL, VERDICT_STORED, 2,
           PROCESSED "\"4\", \"events\": 3}"}},
         10},
        {{{"/hooks/batch", "{\"events\":[{\"id\":\"1\",\"payment\":\"p\"}]}", NULL, VERDICT_DUPLICATE, 1,
           PROCESSED "\"p\"}"}},
         10},
        {{{"/hooks/batch", "{\"events\":[]}", NULL, VERDICT_STORED, 0, PROCESSED "\"\", \"events\": 0}"}}, 10},
        /* Requests do not lend each other their outcomes, whatever their sizes. */
        {{{"/hooks/batch", "{\"events\":[]}", NULL, VERDICT_STORED, 0, PROCESSED "\"\", \"events\": 0}"},
          {"/hooks/batch", "{\"events\":[{\"id\":\"5\"},{\"id\":\"6\"}]}", NULL, VERDICT_STORED, 0,
           PROCESSED "\"5\", \"events\": 2}"},
          {"/", PAID, NULL, VERDICT_DUPLICATE, 1, PROCESSED "\"t-1\"}"}},
         12},
        {{{"/hooks/own", "{\"id\":\"o\"}", NULL, VERDICT_STORED, 0, "[accepted]"},
          {"/hooks/own", "{\"id\":\"o\", \"more\":1}", NULL, VERDICT_DUPLICATE, 1,
           "[accepted]"}}, /* first body stands */
         13},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("commit %zu\n", i);
        arena_reset(&arena);
        size_t count = 0;
        for (; count < 3 && cases[i].requests[count].target != NULL; count++)
            take(cases[i].requests[count].target, cases[i].requests[count].body, cases[i].requests[count].key);
        assert_int_equal(commit(store).kind, ERR_OK);
        for (size_t k = 0; k < count; k++) {
            const struct ingest *done = &round_ingests[k];
            assert_word(done->verdict, cases[i].requests[k].verdict);
            assert_int_equal(done->duplicate_count, cases[i].requests[k].duplicates);
            assert_reply(done, done->verdict == VERDICT_KEY_REUSED ? 422 : 200, cases[i].requests[k].reply,
                         done->verdict == VERDICT_DUPLICATE ? DUPLICATE : "");
        }
        assert_int_equal(stored(), cases[i].stored);
    }
}

static void nothing_to_commit(void **state) {
    (void)state; /* there is none */
    assert_int_equal(commit(store).kind, ERR_OK);
    take("/hooks/batch", "{\"events\":[]}", NULL);
    take("/hooks/batch", "{\"events\":[]}", NULL);
    assert_int_equal(commit(NULL).kind, ERR_OK); /* the store is not asked */
    assert_word(round_ingests[0].verdict, VERDICT_STORED);
    assert_word(round_ingests[1].verdict, VERDICT_STORED);
}

/* A direct invoke has no method, target or headers: the durable store takes it all the same. */
static void failures_of_the_store(void **state) {
    (void)state; /* there is none */
    char folder[] = "/tmp/payhook-ingest-XXXXXX", text[256], command[64];
    struct writer message = writer_make(text, sizeof text);
    struct store *durable;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(store_open("sqlite", folder, STORE_WRITE, &message, &durable).kind, ERR_OK);
    request = (struct http_request){.body = STR(PAID)};
    assert_word(ask(DOOR_INVOKE), VERDICT_ACCEPT);
    round_ingests[round_count++] = ingest;
    assert_int_equal(commit(durable).kind, ERR_OK);
    assert_word(round_ingests[0].verdict, VERDICT_STORED);

    /* No file may grow any more: a disk that fails. */
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1;
    (void)signal(SIGXFSZ, SIG_IGN); /* cannot fail */
    take("/", PAID, NULL);          /* it is there already */
    take("/", PAID " ", NULL);
    take("/hooks/own", "{\"id\":\"o\"}", NULL);
    take("/hooks/batch", "{\"events\":[]}", NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct err failure = commit(durable);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_DFL); /* cannot fail */
    assert_true(err_is(failure));
    for (size_t i = 0; i < 4; i++) {
        assert_word(round_ingests[i].verdict, VERDICT_UNAVAILABLE);
        assert_str(round_ingests[i].reason, err_kind_text(failure.kind));
        assert_int_equal(round_ingests[i].duplicate_count, 0);
        assert_reply(&round_ingests[i], 503, "{\"error\": \"Service unavailable\"}", RETRY_AFTER);
    }
    store_close(durable);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

/* Replies of what never came to a commit */

static void refusals(void **state) {
    (void)state; /* there is none */
    static const struct {
        const char *method, *target;
        int status;
        const char *body, *extra;
    } cases[] = {
        {"POST", "/", 403, "{\"Message\":\"Forbidden\"}", "x-amzn-errortype: AccessDeniedException\r\n"},
        {"POST", "/x", 404, "{\"error\": \"Not found\"}", ""},
        {"POST", "/hooks/default", 404, "{\"error\": \"Not found\"}", ""},
        {"GET", "/hooks/stripe", 405, "{\"error\": \"Method not allowed\"}", "allow: POST\r\n"},
        {"POST", "/hooks/stripe", 401, "{\"error\": \"Unauthorized\"}", ""},
        {"POST", "/hooks/own", 498, "{\"error\": \"Unauthorized\"}", ""},
        {"POST", "/hooks/later", 503, "{\"error\": \"Service unavailable\"}", RETRY_AFTER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("%s %s\n", cases[i].method, cases[i].target);
        ask_for(cases[i].method, cases[i].target, STR(PAID));
        assert_int_not_equal(ask(DOOR_SERVER), VERDICT_ACCEPT);
        assert_reply(&ingest, cases[i].status, cases[i].body, cases[i].extra);
    }
    assert_word(ingest.verdict, VERDICT_NEED_KEY);
    assert_str(ingest.key_url, "https://keys.example.com/1");

    /* Durable, but the reply does not fit: the sender asks again, and hears of a duplicate. */
    take("/", PAID, NULL);
    assert_int_equal(commit(store).kind, ERR_OK);
    struct arena full = arena_make(help_memory, 10);
    struct reply reply = ingest_reply(&round_ingests[0], &full);
    assert_int_equal(reply.status, 500);
    assert_str(reply.body, "{\"error\": \"Internal server error\"}");
}

#define each(test) cmocka_unit_test_setup_teardown(test, each_begin, each_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        each(routes),
        each(doors),
        each(doors_of_sources),
        each(api_keys),
        each(commits),
        each(nothing_to_commit),
        each(failures_of_the_store),
        each(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
