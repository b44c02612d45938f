/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of store/store.h, one suite over every backend, and a comparison of each with the memory store on random
 * commits. To add a backend: a row in backends. What only one of them can do (files, damage, faults) is in its unit
 * test.
 *
 * DynamoDB is asked where the environment has PAYHOOK_TEST_DYNAMODB=http://127.0.0.1:PORT, an emulator's address; each
 * test then has a table of its own. Its seq is of one transaction, and events come in the order of their times. So
 * every event made here has a later time than the one before, but where a test is about time. */
#include "base/arena.h"
#include "base/limits.h"
#include "base/os.h"
#include "codec/digest.h"
#include "codec/text.h"
#include "net/aws.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const backends[] = {"memory", "sqlite", "dynamodb"};
enum { BACKENDS = sizeof backends / sizeof backends[0] };

enum { ARENA_SIZE = 64 << 20, COMMIT_MAX = 600, COMMIT_US_MAX = 100000000 };

/* ---- a store in a folder of its own, and memory for what is put in and read back ---- */

struct fixture {
    const char *backend;
    char kind[64]; /* as store_open wants it */
    bool one_order;
    int64_t clock_us; /* of the next event made */
    char folder[64];
    struct store *store;
    struct arena arena;
    enum outcome outcomes[COMMIT_MAX];
};

/* 2026-11-23T19:08:50Z */
static const int64_t noon_us = INT64_C(1795460930000000);

/* Every source that these tests use and then look for. */
static const struct str source_names[] = {
    {"a", 1}, {"ab", 2},     {"B", 1},        {"b", 1},        {"b-1", 3},      {"b2", 2},      {"c", 1},
    {"s", 1}, {"stripe", 6}, {"source-0", 8}, {"source-1", 8}, {"source-2", 8}, {"source-3", 8}};

static struct store *open_store(const char *kind, const char *folder) {
    char memory[512];
    struct writer message = writer_make(memory, sizeof memory);
    struct store *store = NULL;
    struct err opened = store_open(kind, folder, STORE_WRITE, &message, &store);
    if (err_is(opened)) fail_msg("%s: %s", kind, writer_cstr(&message));
    store_name_sources(store, source_names, sizeof source_names / sizeof source_names[0]);
    return store;
}

/* One call about the table of a test, as the operator makes it. */
static void table_call(const char *operation, const char *target, const char *table, const char *more) {
    char memory[512], body[1024];
    struct writer message = writer_make(memory, sizeof memory);
    const struct aws_options options = {0};
    struct aws *aws;
    if (err_is(aws_open(&options, &message, &aws))) fail_msg("%s", writer_cstr(&message));
    (void)snprintf(body, sizeof body, "{\"TableName\":\"%s\"%s}", table, more);
    const struct aws_call call = {.service = "dynamodb",
                                  .operation = operation,
                                  .amz_target = target,
                                  .body = str_from(body),
                                  .deadline_us = os_mono_us() + 10000000};
    const struct aws_answer *answer;
    struct err failure = aws_request(aws, &call, &answer);
    if (err_is(failure)) fail_msg("%s: %s (%s)", operation, failure.where, err_kind_text(failure.kind));
    if (answer->status != 200) fail_msg("%s: %.*s", operation, STR_ARG(answer->body));
    aws_close(aws);
}

/* Names a table of the test's own in f->kind, and makes it: the user's, with its index. */
static void make_table(struct fixture *f) {
    uint32_t drawn;
    os_random(&drawn, sizeof drawn);
    (void)snprintf(f->kind, sizeof f->kind, "dynamodb:payhook-%08x", (unsigned)drawn);
    table_call("CreateTable", "DynamoDB_20120810.CreateTable", strchr(f->kind, ':') + 1,
               ",\"BillingMode\":\"PAY_PER_REQUEST\","
               "\"AttributeDefinitions\":[{\"AttributeName\":\"transactionId\",\"AttributeType\":\"S\"},"
               "{\"AttributeName\":\"timestamp\",\"AttributeType\":\"N\"}],"
               "\"KeySchema\":[{\"AttributeName\":\"transactionId\",\"KeyType\":\"HASH\"}],"
               "\"GlobalSecondaryIndexes\":[{\"IndexName\":\"timestamp-index\","
               "\"KeySchema\":[{\"AttributeName\":\"timestamp\",\"KeyType\":\"HASH\"}],"
               "\"Projection\":{\"ProjectionType\":\"ALL\"}}]");
}

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->backend = *state;
    f->clock_us = noon_us;
    (void)snprintf(f->kind, sizeof f->kind, "%s", f->backend);
    if (strcmp(f->backend, "dynamodb") == 0) make_table(f);
    /* In memory where there is such a place: what is durable is asked elsewhere. */
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(f->folder, sizeof f->folder, "%s/payhook-store-XXXXXX", place);
    assert_non_null(mkdtemp(f->folder));
    f->store = open_store(f->kind, f->folder);
    f->one_order = store_has_one_order(f->store);
    assert_int_equal(store_aws(f->store) != NULL, strcmp(f->backend, "dynamodb") == 0);
    f->arena = arena_make(malloc(ARENA_SIZE), ARENA_SIZE);
    assert_non_null(f->arena.memory);
    *state = f;
    return 0;
}

static void remove_folder(const char *folder) {
    static const char *const names[] = {"payhook.db", "payhook.db-wal", "payhook.db-shm"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path); /* not every one of them is there */
    }
    assert_int_equal(rmdir(folder), 0);
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    store_close(f->store);
    remove_folder(f->folder);
    if (strcmp(f->backend, "dynamodb") == 0)
        table_call("DeleteTable", "DynamoDB_20120810.DeleteTable", strchr(f->kind, ':') + 1, "");
    free(f->arena.memory);
    free(f);
    return 0;
}

/* A text that outlives the call, with a NUL behind it. */
static struct str text(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static struct str text(struct fixture *f, const char *format, ...) {
    char memory[4096];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(memory, sizeof memory, format, args);
    va_end(args);
    assert_in_range(len, 0, sizeof memory - 1);
    struct str copied = arena_copy(&f->arena, str_make(memory, (size_t)len + 1));
    assert_non_null(copied.ptr);
    return str_make(copied.ptr, (size_t)len);
}

static struct event *make(struct fixture *f, const char *source, const char *transaction_id, const char *event_key,
                          struct str payload) {
    struct event *event = arena_new(&f->arena, struct event, 1);
    assert_non_null(event);
    *event = (struct event){
        .source = str_from(source),
        .transaction_id = str_from(transaction_id),
        .event_key = str_from(event_key),
        .payload = payload,
        .headers = STR("content-type: application/json\n"),
        .method = STR("POST"),
        .target = STR("/hooks/x"),
        .environment = STR("prod"),
        .processed_by = STR("host"),
        .received_us = f->clock_us++,
        .authenticated = AUTHENTICATED_BODY,
    };
    digest_sha256(payload, event->payload_sha256);
    return event;
}

/* Commits and gives the outcomes. */
static const enum outcome *commit(struct fixture *f, struct event **events, size_t count) {
    const struct event *given[COMMIT_MAX];
    assert_in_range(count, 0, COMMIT_MAX);
    for (size_t i = 0; i < count; i++)
        given[i] = events[i];
    store_set_deadline(f->store, os_mono_us() + COMMIT_US_MAX);
    struct err committed = store_commit(f->store, given, count, f->outcomes);
    assert_int_equal(committed.kind, ERR_OK);
    struct str complaint = store_complaint(f->store);
    if (complaint.len > 0) fail_msg("%.*s", STR_ARG(complaint));
    return f->outcomes;
}

static enum outcome commit_one(struct fixture *f, struct event *event) { return commit(f, &event, 1)[0]; }

/* Records kept after their reading. stop_after: how many to take before saying stop; 0: all. */
struct list {
    struct arena *arena;
    size_t stop_after;
    size_t count;
    size_t room;
    struct event_record *records;
};

static struct list list_make(struct fixture *f) { return (struct list){.arena = &f->arena}; }

static void grow(struct list *list) {
    size_t room = list->room > 0 ? 2 * list->room : 32;
    struct event_record *records = arena_new(list->arena, struct event_record, room);
    assert_non_null(records);
    if (list->count > 0) memcpy(records, list->records, list->count * sizeof *records);
    list->records = records;
    list->room = room;
}

static void keep(struct arena *arena, struct str *slice) {
    if (slice->ptr == NULL) return;
    *slice = arena_copy(arena, *slice);
    assert_non_null(slice->ptr);
}

static bool take(void *context, const struct event_record *given) {
    struct list *list = context;
    if (list->count == list->room) grow(list);
    struct event_record *r = &list->records[list->count++];
    *r = *given;
    struct str *slices[] = {&r->event.source,       &r->event.transaction_id, &r->event.event_key,
                            &r->event.event_id,     &r->event.event_type,     &r->event.unreadable,
                            &r->event.payload,      &r->event.request_body,   &r->event.headers,
                            &r->event.method,       &r->event.target,         &r->event.environment,
                            &r->event.processed_by, &r->received_at,          &r->repeats};
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++)
        keep(list->arena, slices[i]);
    return list->stop_after == 0 || list->count < list->stop_after;
}

static struct store_filter everything(void) {
    return (struct store_filter){.source = STR_NONE, .since_s = INT64_MIN, .with_payload = true};
}

static struct list read_events(struct fixture *f, struct store *store, struct store_filter filter) {
    struct list list = list_make(f);
    assert_int_equal(store_events(store, &filter, take, &list).kind, ERR_OK);
    return list;
}

static struct list read_all(struct fixture *f) { return read_events(f, f->store, everything()); }

static struct list read_timeline(struct fixture *f, struct store *store, const char *source, const char *transaction) {
    struct list list = list_make(f);
    assert_int_equal(store_timeline(store, str_from(source), str_from(transaction), take, &list).kind, ERR_OK);
    return list;
}

struct names {
    size_t stop_after;
    size_t count;
    char text[1024]; /* each name with a blank behind it */
};

static bool take_name(void *context, struct str source) {
    struct names *names = context;
    size_t len = strlen(names->text);
    assert_in_range(len + source.len + 1, 0, sizeof names->text - 1);
    memcpy(names->text + len, source.ptr, source.len);
    names->text[len + source.len] = ' ';
    names->count++;
    return names->stop_after == 0 || names->count < names->stop_after;
}

static struct names read_sources(struct store *store, const char *transaction_id) {
    struct names names = {0};
    assert_int_equal(store_sources(store, str_from(transaction_id), take_name, &names).kind, ERR_OK);
    return names;
}

static void assert_str(struct str got, struct str wanted) {
    assert_int_equal(got.ptr == NULL, wanted.ptr == NULL);
    assert_int_equal(got.len, wanted.len);
    if (wanted.len > 0) assert_memory_equal(got.ptr, wanted.ptr, wanted.len);
}

static void assert_text(struct str got, const char *wanted) { assert_str(got, str_from(wanted)); }

/* A text that always is there: none is stored as an empty one. */
static void assert_needed(struct str got, struct str wanted) {
    assert_non_null(got.ptr);
    assert_str(got, wanted.ptr != NULL ? wanted : STR(""));
}

static void assert_record(const struct event_record *r, const struct event *e) {
    assert_needed(r->event.source, e->source);
    assert_needed(r->event.transaction_id, e->transaction_id);
    assert_needed(r->event.event_key, e->event_key);
    assert_str(r->event.event_id, e->event_id);
    assert_str(r->event.event_type, e->event_type);
    assert_str(r->event.unreadable, e->unreadable);
    assert_needed(r->event.payload, e->payload);
    assert_str(r->event.request_body, e->request_body);
    assert_needed(r->event.headers, e->headers);
    assert_needed(r->event.method, e->method);
    assert_needed(r->event.target, e->target);
    assert_needed(r->event.environment, e->environment);
    assert_needed(r->event.processed_by, e->processed_by);
    assert_true(r->event.received_us == e->received_us);
    assert_int_equal(r->event.matched_secret, e->matched_secret);
    assert_int_equal(r->event.authenticated, e->authenticated);
    assert_memory_equal(r->event.payload_sha256, e->payload_sha256, 32);
    /* What instructs the commit is not given back. */
    static const uint8_t zero[32];
    assert_memory_equal(r->event.content_sha256, zero, 32);
    assert_false(r->event.look_for_repeats);
    assert_false(r->event.bytes_must_match);
    char memory[64];
    struct writer received_at = writer_make(memory, sizeof memory);
    text_received_at_write(&received_at, e->received_us);
    assert_str(r->received_at, writer_str(&received_at));
    assert_true(r->timestamp == e->received_us / 1000000);
    assert_false(r->damaged);
}

/* ---- storing ---- */

static void an_empty_store_has_nothing(void **state) {
    struct fixture *f = *state;
    assert_int_equal(read_all(f).count, 0);
    assert_int_equal(read_timeline(f, f->store, "default", "t").count, 0);
    assert_int_equal(read_sources(f->store, "t").count, 0);
    commit(f, NULL, 0);
    assert_int_equal(read_all(f).count, 0);
}

static void a_record_is_as_it_was_written(void **state) {
    struct fixture *f = *state;
    struct event *event = make(f, "stripe", "pi_1", "evt_1", STR("{\"id\":\"evt_1\"}"));
    event->event_id = STR("evt_1");
    event->event_type = STR("payment_intent.succeeded");
    event->unreadable = STR("not JSON");
    event->headers = STR("content-type: application/json\nstripe-signature: t=1,v1=00\n");
    event->method = STR("PUT");
    event->target = STR("/hooks/stripe?a=%20b");
    event->environment = STR("test");
    event->processed_by = STR("a.example");
    event->received_us = noon_us + 7;
    event->matched_secret = 3;
    event->authenticated = AUTHENTICATED_FIELDS;
    assert_int_equal(commit_one(f, event), OUTCOME_STORED);
    struct list list = read_all(f);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.records[0].seq, 1);
    assert_record(&list.records[0], event);
    assert_text(list.records[0].received_at, "2026-11-23T19:08:50.000007");
    assert_str(list.records[0].repeats, STR_NONE);
    list = read_timeline(f, f->store, "stripe", "pi_1");
    assert_int_equal(list.count, 1);
    assert_record(&list.records[0], event);
}

static void every_way_of_being_authenticated_is_kept(void **state) {
    struct fixture *f = *state;
    static const struct {
        enum authenticated authenticated;
        int32_t matched_secret;
    } rows[] = {{AUTHENTICATED_NONE, -1}, {AUTHENTICATED_BODY, 0},        {AUTHENTICATED_FIELDS, 7},
                {AUTHENTICATED_TOKEN, 1}, {AUTHENTICATED_IAM, INT32_MAX}, {AUTHENTICATED_INVOKE, -1}};
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct event *events[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        events[i] = make(f, "s", "t", text(f, "k%zu", i).ptr, STR("p"));
        events[i]->authenticated = rows[i].authenticated;
        events[i]->matched_secret = rows[i].matched_secret;
    }
    commit(f, events, ROWS);
    struct list list = read_all(f);
    assert_int_equal(list.count, ROWS);
    for (size_t i = 0; i < ROWS; i++)
        assert_record(&list.records[i], events[i]);
}

static void none_and_empty_are_told_apart(void **state) {
    struct fixture *f = *state;
    struct event *none = make(f, "s", "t", "none", STR("p"));
    struct event *empty = make(f, "s", "t", "empty", STR(""));
    empty->event_id = empty->event_type = empty->unreadable = empty->request_body = STR("");
    empty->headers = empty->method = empty->target = empty->environment = empty->processed_by = STR("");
    struct event *null = make(f, "s", "t", "null", STR_NONE);
    null->headers = null->method = null->target = null->environment = null->processed_by = STR_NONE;
    commit(f, (struct event *[]){none, empty, null}, 3);
    struct list list = read_all(f);
    assert_int_equal(list.count, 3);
    assert_record(&list.records[0], none);
    assert_record(&list.records[1], empty);
    assert_record(&list.records[2], null);
}

static void any_payload_is_kept(void **state) {
    struct fixture *f = *state;
    static const struct str payloads[] = {
        {"", 0},
        {"\0", 1},
        {"\0\0\0\0\0\0\0\0\0", 9},
        {"text", 4},
        {"a\0b", 3},
        {"12345678\0", 9},
        {"1234567\0"
         "9",
         9},
        {"123", 3}, /* digits stay text */
        {"1e5", 3},
        {"\xef\xbb\xbf{}", 5}, /* a byte order mark stays */
        {"\xff\xfe{\0", 4},
        {"gr\xc3\xbc\xc3\x9f", 6}, /* two bytes */
        {"\xe2\x82\xac", 3},       /* three */
        {"\xf0\x9f\x98\x80", 4},   /* four */
        {"\xf4\x8f\xbf\xbf", 4},   /* the last code point */
        {"\xf4\x90\x80\x80", 4},   /* beyond */
        {"\xc0\x80", 2},           /* overlong NUL */
        {"\xe0\x80\x80", 3},       /* overlong */
        {"\xf0\x80\x80\x80", 4},
        {"\xed\xa0\x80", 3}, /* a surrogate */
        {"\x80", 1},         /* a continuation alone */
        {"1234567\xc3", 8},  /* cut off */
        {"\xe2\x82", 2},
        {"\xf0\x9f\x98", 3},
        {"\xf8\x88\x80\x80\x80", 5},
        {"\xff", 1},
        {"' OR 1=1; --", 12},
        {"a\r\nb\n", 5},
    };
    enum { PAYLOADS = sizeof payloads / sizeof payloads[0] };
    struct event *events[PAYLOADS];
    for (size_t i = 0; i < PAYLOADS; i++) {
        events[i] = make(f, "s", "t", text(f, "k%zu", i).ptr, payloads[i]);
        events[i]->request_body = payloads[PAYLOADS - 1 - i];
    }
    commit(f, events, PAYLOADS);
    struct list list = read_all(f);
    assert_int_equal(list.count, PAYLOADS);
    for (size_t i = 0; i < PAYLOADS; i++)
        assert_record(&list.records[i], events[i]);
}

static void the_largest_of_everything_is_kept(void **state) {
    struct fixture *f = *state;
    char *memory = arena_alloc(&f->arena, 1, 1, BODY_SIZE_MAX);
    assert_non_null(memory);
    os_random(memory, BODY_SIZE_MAX);
    struct event *event = make(f, "s", "t", "k", str_make(memory, BODY_SIZE_MAX));
    struct {
        struct str *slice;
        size_t size;
    } rows[] = {{&event->source, SOURCE_NAME_SIZE_MAX},    {&event->transaction_id, TRANSACTION_ID_SIZE_MAX},
                {&event->event_key, EVENT_KEY_SIZE_MAX},   {&event->event_id, EVENT_KEY_SIZE_MAX},
                {&event->event_type, EVENT_TYPE_SIZE_MAX}, {&event->headers, KEPT_HEADERS_SIZE_MAX},
                {&event->target, HTTP_TARGET_SIZE_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *filled = arena_alloc(&f->arena, 1, 1, rows[i].size);
        assert_non_null(filled);
        memset(filled, 'a' + (int)i, rows[i].size);
        *rows[i].slice = str_make(filled, rows[i].size);
    }
    char *body = arena_alloc(&f->arena, 1, 1, BODY_SIZE_MAX);
    assert_non_null(body);
    memset(body, 'x', BODY_SIZE_MAX);
    event->request_body = str_make(body, BODY_SIZE_MAX);
    assert_int_equal(commit_one(f, event), OUTCOME_STORED);
    assert_int_equal(commit_one(f, event), OUTCOME_DUPLICATE);
    struct list list = read_all(f);
    assert_int_equal(list.count, 1);
    assert_record(&list.records[0], event);
}

static void ids_are_bytes(void **state) {
    struct fixture *f = *state;
    /* Each is another id: nothing is trimmed, folded, escaped, normalised, or read as a number or a pattern. */
    static const char *const ids[] = {
        "a",
        "A",
        "a ",
        " a",
        "'",
        "''",
        "\"",
        "a'b\"c`",
        "%",
        "a%",
        "_",
        "?1",
        ":x",
        "$x",
        "1",
        "1.0",
        "01",
        "+1",
        "1e0",
        "NULL",
        "--",
        "a;b",
        "\\",
        "a/b",
        "~x",
        "\xc3\xa9",
        "e\xcc\x81",
        "\xc3\x89",
        "\xf0\x9f\x98\x80",
        "\xff",
        "\xc3",
        "x'00'",
    };
    enum { IDS = sizeof ids / sizeof ids[0] };
    for (size_t i = 0; i < IDS; i++) {
        struct event *by_key = make(f, "s", "t", ids[i], STR("p"));
        struct event *by_transaction = make(f, "s", ids[i], "key", STR("q"));
        commit(f, (struct event *[]){by_key, by_transaction}, 2);
        assert_int_equal(f->outcomes[0], OUTCOME_STORED);
        assert_int_equal(f->outcomes[1], OUTCOME_STORED);
    }
    for (size_t i = 0; i < IDS; i++) {
        assert_int_equal(commit_one(f, make(f, "s", "t", ids[i], STR("p"))), OUTCOME_DUPLICATE);
        struct list list = read_timeline(f, f->store, "s", ids[i]);
        assert_int_equal(list.count, 1);
        assert_text(list.records[0].event.transaction_id, ids[i]);
        assert_text(list.records[0].event.event_key, "key");
        assert_string_equal(read_sources(f->store, ids[i]).text, "s ");
    }
    struct list list = read_timeline(f, f->store, "s", "t");
    assert_int_equal(list.count, IDS);
    for (size_t i = 0; i < IDS; i++)
        assert_text(list.records[i].event.event_key, ids[i]);
}

/* ---- once ---- */

static void the_same_event_is_stored_once(void **state) {
    struct fixture *f = *state;
    assert_int_equal(commit_one(f, make(f, "s", "t", "k", STR("first"))), OUTCOME_STORED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(commit_one(f, make(f, "s", "t", "k", STR("first"))), OUTCOME_DUPLICATE);
    /* Other bytes under a provider's id: the first body stands. */
    assert_int_equal(commit_one(f, make(f, "s", "t", "k", STR("second"))), OUTCOME_DUPLICATE);
    struct list list = read_all(f);
    assert_int_equal(list.count, 1);
    assert_text(list.records[0].event.payload, "first");
}

static void copies_within_one_commit_are_stored_once(void **state) {
    struct fixture *f = *state;
    struct event *events[64];
    for (size_t i = 0; i < 64; i++)
        events[i] = make(f, "s", "t", i % 2 == 0 ? "even" : "odd", text(f, "%zu", i));
    commit(f, events, 64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(f->outcomes[i], i < 2 ? OUTCOME_STORED : OUTCOME_DUPLICATE);
    struct list list = read_all(f);
    assert_int_equal(list.count, 2);
    assert_record(&list.records[0], events[0]);
    assert_record(&list.records[1], events[1]);
}

static void source_transaction_and_key_together_make_an_event(void **state) {
    struct fixture *f = *state;
    struct event *events[] = {make(f, "a", "t", "k", STR("p")),  make(f, "b", "t", "k", STR("p")),
                              make(f, "a", "u", "k", STR("p")),  make(f, "a", "t", "l", STR("p")),
                              make(f, "at", "k", "k", STR("p")), make(f, "a", "tk", "k", STR("p"))};
    enum { EVENTS = sizeof events / sizeof events[0] };
    commit(f, events, EVENTS);
    for (size_t i = 0; i < EVENTS; i++)
        assert_int_equal(f->outcomes[i], OUTCOME_STORED);
    commit(f, events, EVENTS);
    for (size_t i = 0; i < EVENTS; i++)
        assert_int_equal(f->outcomes[i], OUTCOME_DUPLICATE);
    assert_int_equal(read_all(f).count, EVENTS);
}

static void a_key_used_with_other_bytes_is_a_conflict_where_asked(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *transaction_id;
        const char *event_key;
        struct str payload;
        bool bytes_must_match;
        enum outcome outcome;
    } rows[] = {
        {"t", "k", {"one", 3}, true, OUTCOME_STORED},
        {"t", "k", {"one", 3}, true, OUTCOME_DUPLICATE},
        {"t", "k", {"two", 3}, true, OUTCOME_CONFLICT},
        {"t", "k", {"on", 2}, true, OUTCOME_CONFLICT},
        {"t", "k", {"", 0}, true, OUTCOME_CONFLICT},
        {"t", "k", {"two", 3}, false, OUTCOME_DUPLICATE}, /* not asked */
        {"u", "k", {"two", 3}, true, OUTCOME_STORED},     /* its scope is the transaction */
        {"t", "l", {"two", 3}, true, OUTCOME_STORED},
        {"t", "k", {"one", 3}, true, OUTCOME_DUPLICATE}, /* a conflict changed nothing */
        {"t", "m", {"one", 3}, false, OUTCOME_STORED},
        {"t", "m", {"two", 3}, true, OUTCOME_CONFLICT}, /* also with an event that did not ask */
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    for (int together = 0; together < 2; together++) {
        struct event *events[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            events[i] = make(f, together ? "b" : "a", rows[i].transaction_id, rows[i].event_key, rows[i].payload);
            events[i]->bytes_must_match = rows[i].bytes_must_match;
            if (!together) assert_int_equal(commit_one(f, events[i]), rows[i].outcome);
        }
        if (together) commit(f, events, ROWS);
        for (size_t i = 0; i < ROWS && together; i++)
            assert_int_equal(f->outcomes[i], rows[i].outcome);
    }
    struct list list = read_all(f);
    assert_int_equal(list.count, 8);
    assert_text(list.records[0].event.payload, "one");
}

static void repeats_name_the_first_with_the_same_content(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *source, *transaction_id, *event_key;
        char content;
        bool look;
        const char *repeats;
        enum outcome outcome;
    } rows[] = {
        {"a", "t", "1", 'x', false, NULL, OUTCOME_STORED}, /* did not ask, so it is not looked at later either */
        {"a", "t", "2", 'x', true, NULL, OUTCOME_STORED},  /* the first */
        {"a", "t", "3", 'x', true, "2", OUTCOME_STORED},
        {"a", "u", "4", 'x', true, "2", OUTCOME_STORED},     /* always the first, in any transaction */
        {"b", "t", "5", 'x', true, NULL, OUTCOME_STORED},    /* another source */
        {"a", "t", "6", 'y', true, NULL, OUTCOME_STORED},    /* other content */
        {"a", "t", "3", 'x', true, NULL, OUTCOME_DUPLICATE}, /* stored already */
        {"a", "v", "2", 'x', true, "3", OUTCOME_STORED},     /* the same key elsewhere is not another key */
        {"a", "t", "7", 'x', false, NULL, OUTCOME_STORED},   /* not asked */
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    for (int together = 0; together < 2; together++) {
        struct event *events[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            struct event *event = events[i] = make(f, "", "", rows[i].event_key, text(f, "%zu", i));
            event->source = text(f, "%s%d", rows[i].source, together);
            event->transaction_id = text(f, "%s%d", rows[i].transaction_id, together);
            event->look_for_repeats = rows[i].look;
            memset(event->content_sha256, rows[i].content, sizeof event->content_sha256);
            if (!together) assert_int_equal(commit_one(f, event), rows[i].outcome);
        }
        if (together) commit(f, events, ROWS);
        struct list list = read_all(f);
        size_t at = list.count - 8;
        for (size_t i = 0; i < ROWS; i++) {
            if (together) assert_int_equal(f->outcomes[i], rows[i].outcome);
            if (rows[i].outcome != OUTCOME_STORED) continue;
            assert_str(list.records[at].repeats, str_from(rows[i].repeats));
            assert_record(&list.records[at++], events[i]);
        }
        assert_int_equal(at, list.count);
    }
}

/* ---- batches ---- */

static void a_batch_keeps_its_body_with_each_event(void **state) {
    struct fixture *f = *state;
    struct str body = text(f, "{\"events\":[\"a\",\"b\",\"c\"]}"), other = text(f, "{\"events\":[\"a\",\"b\",\"c\"]}");
    struct event *events[8];
    for (size_t i = 0; i < 6; i++) {
        events[i] = make(f, "s", "t", text(f, "k%zu", i).ptr, text(f, "%zu", i));
        events[i]->request_body = i < 3 ? body : other; /* two requests of the same bytes */
    }
    events[6] = make(f, "s", "t", "single", STR("p"));
    events[7] = make(f, "s", "t", "late", STR("q")); /* the first request again: not side by side */
    events[7]->request_body = body;
    commit(f, events, 8);
    struct list list = read_all(f);
    assert_int_equal(list.count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(f->outcomes[i], OUTCOME_STORED);
        assert_record(&list.records[i], events[i]);
    }
}

static void a_batch_seen_in_part_keeps_its_body_too(void **state) {
    struct fixture *f = *state;
    struct str body = text(f, "whole");
    struct event *events[4];
    for (size_t i = 0; i < 4; i++) {
        events[i] = make(f, "s", "t", text(f, "k%zu", i).ptr, text(f, "%zu", i));
    }
    assert_int_equal(commit_one(f, events[0]), OUTCOME_STORED);
    assert_int_equal(commit_one(f, events[2]), OUTCOME_STORED);
    for (size_t i = 0; i < 4; i++)
        events[i]->request_body = body;
    commit(f, events, 4);
    static const enum outcome wanted[] = {OUTCOME_DUPLICATE, OUTCOME_STORED, OUTCOME_DUPLICATE, OUTCOME_STORED};
    assert_memory_equal(f->outcomes, wanted, sizeof wanted);
    struct list list = read_timeline(f, f->store, "s", "t"); /* in the order they were stored */
    assert_int_equal(list.count, 4);
    assert_str(list.records[0].event.request_body, STR_NONE);
    assert_str(list.records[1].event.request_body, STR_NONE);
    assert_record(&list.records[2], events[1]);
    assert_record(&list.records[3], events[3]);
    /* Without payloads there are no bodies either. */
    struct store_filter filter = everything();
    filter.with_payload = false;
    list = read_events(f, f->store, filter);
    assert_int_equal(list.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(list.records[i].event.payload.len, 0);
        assert_null(list.records[i].event.request_body.ptr);
        assert_false(list.records[i].damaged);
    }
}

static void five_hundred_events_in_one_commit_keep_their_order(void **state) {
    struct fixture *f = *state;
    struct event *events[500];
    for (size_t i = 0; i < 500; i++) {
        const char *key = text(f, "%zu", (i * 7919) % 500).ptr; /* not in the order of the keys */
        events[i] = make(f, "s", text(f, "%zu", (i * 31) % 7).ptr, key, text(f, "payload %zu", i));
    }
    commit(f, events, 500);
    struct list list = read_all(f);
    assert_int_equal(list.count, 500);
    for (size_t i = 0; i < 500; i++) {
        assert_int_equal(f->outcomes[i], OUTCOME_STORED);
        if (f->one_order) assert_int_equal(list.records[i].seq, i + 1);
        assert_record(&list.records[i], events[i]);
    }
    list = read_timeline(f, f->store, "s", "0");
    for (size_t i = 0, at = 0; i < 500; i++) {
        if (!str_eq(events[i]->transaction_id, STR("0"))) continue;
        assert_true(at < list.count);
        if (!f->one_order) assert_int_equal(list.records[at].seq, at + 1);
        assert_record(&list.records[at++], events[i]);
    }
}

static void seq_grows_over_duplicates_and_conflicts(void **state) {
    struct fixture *f = *state;
    uint64_t before = 0;
    for (size_t i = 0; i < 20; i++) {
        struct event *fresh = make(f, "s", "t", text(f, "%zu", i).ptr, STR("p"));
        struct event *conflict = make(f, "s", "t", "0", STR("other"));
        conflict->bytes_must_match = true;
        commit(f, (struct event *[]){make(f, "s", "t", "0", STR("p")), conflict, fresh}, 3);
        struct store_filter filter = everything();
        filter.limit = 1;
        struct list list = read_events(f, f->store, filter);
        assert_int_equal(list.count, 1);
        assert_true(list.records[0].seq > before);
        before = list.records[0].seq;
    }
    assert_int_equal(read_all(f).count, 20);
}

/* ---- reading ---- */

/* 30 events: source a, b, c in turn; the clock goes on by 10 s each, but events 20 to 24 came with a clock an hour
 * back. */
static void fill(struct fixture *f, struct event **ret_events) {
    for (size_t i = 0; i < 30; i++) {
        const char *source = text(f, "%c", (char)('a' + i % 3)).ptr, *transaction = text(f, "t%zu", i % 5).ptr;
        ret_events[i] = make(f, source, transaction, text(f, "k%zu", i).ptr, text(f, "payload %zu", i));
        ret_events[i]->received_us = noon_us + (int64_t)i * 10000000 - (i >= 20 && i < 25 ? INT64_C(3600000000) : 0);
    }
    commit(f, ret_events, 30);
}

/* The indices that a filter must give where the order is that of time: by a plain look at all of them. */
static void choose_by_time(struct event **events, const struct store_filter *filter, struct writer *ret_wanted) {
    size_t chosen[30], count = 0;
    for (size_t i = 0; i < 30; i++) {
        if (filter->source.ptr != NULL && !str_eq(events[i]->source, filter->source)) continue;
        if (events[i]->received_us / 1000000 < filter->since_s) continue;
        size_t at = count++;
        for (; at > 0 && events[chosen[at - 1]]->received_us > events[i]->received_us; at--)
            chosen[at] = chosen[at - 1];
        chosen[at] = i;
    }
    for (size_t at = filter->limit > 0 && count > filter->limit ? count - filter->limit : 0; at < count; at++)
        writer_format(ret_wanted, "%zu ", chosen[at]);
}

static void filters_choose(void **state) {
    struct fixture *f = *state;
    struct event *events[30];
    fill(f, events);
    static const struct {
        const char *source;
        int64_t since_s; /* from noon; INT64_MIN: all */
        uint64_t after_seq, limit;
        const char *wanted; /* indices */
    } rows[] = {
        {NULL, 260, 0, 0, "26 27 28 29 "},
        {NULL, 261, 0, 0, "27 28 29 "},
        {NULL, 290, 0, 0, "29 "},
        {NULL, 291, 0, 0, ""},
        {NULL, INT64_MAX - 2000000000, 0, 0, ""},
        {NULL, 180, 0, 0, "18 19 25 26 27 28 29 "}, /* those whose clock went back are earlier */
        {NULL, 180, 0, 6, "19 25 26 27 28 29 "},
        {NULL, 180, 0, 7, "18 19 25 26 27 28 29 "},
        {NULL, 180, 0, 8, "18 19 25 26 27 28 29 "},
        {NULL, -3600, 24, 2, "28 29 "},
        {NULL, -3400, 0, 3, "27 28 29 "},
        {NULL, INT64_MIN, 0, 1, "29 "},
        {NULL, INT64_MIN, 0, 3, "27 28 29 "},
        {NULL, INT64_MIN, 26, 0, "26 27 28 29 "},
        {NULL, INT64_MIN, 26, 2, "28 29 "},
        {NULL, INT64_MIN, 29, 0, "29 "},
        {NULL, INT64_MIN, 30, 0, ""},
        {NULL, INT64_MIN, 31, 5, ""},
        {NULL, INT64_MIN, INT64_MAX, 5, ""},
        {NULL, INT64_MIN, UINT64_MAX, 0, ""},
        {"a", INT64_MIN, 0, 3, "21 24 27 "},
        {"a", INT64_MIN, 15, 0, "15 18 21 24 27 "},
        {"b", 0, 0, 4, "16 19 25 28 "},
        {"b", 200, 12, 0, "25 28 "},
        {"c", -3600, 22, 1, "29 "},
        {"d", INT64_MIN, 0, 0, ""},
        {"", INT64_MIN, 0, 0, ""},
        {"A", INT64_MIN, 0, 0, ""},
        {NULL, 250, 29, UINT64_MAX, "29 "},
        {NULL, 280, 0, INT64_MAX, "28 29 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool all = rows[i].since_s == INT64_MIN;
        struct store_filter filter = {.source = str_from(rows[i].source),
                                      .since_s = all ? INT64_MIN : noon_us / 1000000 + rows[i].since_s,
                                      .after_seq = rows[i].after_seq,
                                      .limit = rows[i].limit,
                                      .with_payload = i % 2 == 0};
        if (!f->one_order && filter.after_seq > 0) continue;
        struct list list = read_events(f, f->store, filter);
        char memory[256], other[256];
        struct writer got = writer_make(memory, sizeof memory), wanted = writer_make(other, sizeof other);
        for (size_t at = 0; at < list.count; at++) {
            const struct event_record *record = &list.records[at];
            unsigned long index = strtoul(text(f, "%.*s", STR_ARG(record->event.event_key)).ptr + 1, NULL, 10);
            assert_in_range(index, 0, 29);
            writer_format(&got, "%lu ", index);
            if (f->one_order) assert_int_equal(record->seq, index + 1);
            if (filter.with_payload)
                assert_record(record, events[index]);
            else
                assert_int_equal(record->event.payload.len, 0);
        }
        if (f->one_order)
            writer_put(&wanted, str_from(rows[i].wanted));
        else
            choose_by_time(events, &filter, &wanted);
        if (strcmp(writer_cstr(&got), writer_cstr(&wanted)) != 0)
            fail_msg("row %zu: %s instead of %s", i, memory, other);
    }
}

static void following_sees_each_event_once(void **state) {
    struct fixture *f = *state;
    struct event *events[30];
    fill(f, events);
    struct store_filter filter = everything();
    filter.limit = 4;
    uint64_t seen = 26;
    for (int round = 0; round < 10; round++) {
        struct list list = read_events(f, f->store, filter);
        for (size_t i = 0; i < list.count; i++)
            assert_int_equal(list.records[i].seq, ++seen);
        filter.after_seq = seen;
        filter.limit = 0;
        for (int i = 0; i < round; i++) {
            commit_one(f, make(f, "s", "t", text(f, "%d-%d", round, i).ptr, STR("p")));
        }
    }
    assert_int_equal(seen, 30 + 36);
}

static void a_reading_stops_when_told(void **state) {
    struct fixture *f = *state;
    struct event *events[30];
    fill(f, events);
    for (size_t n = 1; n < 6; n++) {
        struct list list = list_make(f);
        struct store_filter filter = everything();
        list.stop_after = n;
        assert_int_equal(store_events(f->store, &filter, take, &list).kind, ERR_OK);
        assert_int_equal(list.count, n);
        list.count = 0;
        assert_int_equal(store_timeline(f->store, STR("a"), STR("t0"), take, &list).kind, ERR_OK);
        assert_int_equal(list.count, n < 2 ? n : 2);
        struct names names = {.stop_after = n};
        assert_int_equal(store_sources(f->store, STR("t0"), take_name, &names).kind, ERR_OK);
        assert_int_equal(names.count, n < 3 ? n : 3);
    }
    assert_int_equal(commit_one(f, make(f, "s", "t", "k", STR("p"))), OUTCOME_STORED); /* nothing is left open */
}

static void a_timeline_is_one_transaction_in_arrival_order(void **state) {
    struct fixture *f = *state;
    static const char *const keys[] = {"z", "a", "m", "b", "y"}; /* not the order of arrival */
    enum { KEYS = sizeof keys / sizeof keys[0] };
    struct event *events[KEYS];
    for (size_t i = 0; i < KEYS; i++) {
        events[i] = make(f, "s", "t", keys[i], text(f, "%zu", i));
        events[i]->received_us = noon_us - (int64_t)i * 1000000; /* nor the clock's */
        commit(
            f,
            (struct event *[]){events[i], make(f, "s", "u", keys[i], STR("p")), make(f, "r", "t", keys[i], STR("p"))},
            3);
    }
    struct list list = read_timeline(f, f->store, "s", "t");
    assert_int_equal(list.count, KEYS);
    for (size_t i = 0; i < KEYS; i++)
        assert_record(&list.records[i], events[i]);
    static const char *const none[][2] = {{"s", "v"}, {"q", "t"},  {"t", "s"}, {"s", "T"},
                                          {"S", "t"}, {"s", "t "}, {"", ""}};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(read_timeline(f, f->store, none[i][0], none[i][1]).count, 0);
}

static void sources_come_in_alphabetical_order(void **state) {
    struct fixture *f = *state;
    static const char *const sources[] = {"stripe", "b", "a", "default", "B", "ab", "b2", "b-1"};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        commit_one(f, make(f, sources[i], "t", "k", STR("p")));
        commit_one(f, make(f, sources[i], "t", "l", STR("p")));
        commit_one(f, make(f, sources[i], text(f, "own-%s", sources[i]).ptr, "l", STR("p")));
    }
    assert_string_equal(read_sources(f->store, "t").text, "B a ab b b-1 b2 default stripe ");
    assert_string_equal(read_sources(f->store, "T").text, "");
    assert_string_equal(read_sources(f->store, "t'").text, "");
}

static void a_payload_that_does_not_fit_its_checksum_is_flagged(void **state) {
    struct fixture *f = *state;
    struct event *good = make(f, "s", "t", "good", STR("p")), *bad = make(f, "s", "t", "bad", STR("p"));
    bad->payload_sha256[31] ^= 1;
    commit(f, (struct event *[]){good, bad}, 2);
    struct list list = read_all(f);
    assert_false(list.records[0].damaged);
    assert_true(list.records[1].damaged);
    list = read_timeline(f, f->store, "s", "t");
    assert_false(list.records[0].damaged);
    assert_true(list.records[1].damaged);
    struct store_filter filter = everything();
    filter.with_payload = false; /* not looked at */
    list = read_events(f, f->store, filter);
    assert_false(list.records[1].damaged);
}

static void an_unknown_kind_is_refused(void **state) {
    struct fixture *f = *state;
    char memory[256];
    struct writer message = writer_make(memory, sizeof memory);
    struct store *store = NULL;
    assert_int_equal(store_open("floppy", f->folder, STORE_WRITE, &message, &store).kind, ERR_INPUT);
    assert_null(store);
    assert_non_null(strstr(writer_cstr(&message), "floppy"));
    assert_non_null(strstr(memory, f->backend));
    assert_int_equal(store_writers_max("floppy"), 1);
    static const char *const wrong[] = {"",          "sqlite:",     "memory:x",       "dynamodb",
                                        "dynamodb:", "dynamodb:ab", "dynamodb:a/b/c", "dynamodb:a b c"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        message.len = 0;
        assert_int_equal(store_open(wrong[i], f->folder, STORE_WRITE, &message, &store).kind, ERR_INPUT);
        assert_null(store);
        assert_true(message.len > 0);
    }
}

/* ---- compared with the model ---- */

/* xorshift64*: the same everywhere for one seed. */
static uint64_t roll(uint64_t *seed, uint64_t below) {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (*seed * UINT64_C(2685821657736338717) >> 16) % below;
}

static struct event *make_random(struct fixture *f, uint64_t *seed, uint64_t round) {
    struct event *event = make(f, "", "", "", STR(""));
    /* Mostly new keys, of recent ones many, of old ones some. */
    uint64_t key = roll(seed, 3) > 0 ? roll(seed, round * 4 + 4) : round * 4 + roll(seed, 4);
    event->source = text(f, "source-%d", (int)roll(seed, 4));
    event->transaction_id = text(f, "t%d", (int)(key % 37));
    event->event_key = text(f, "%d", (int)key);
    char memory[300];
    size_t len = roll(seed, roll(seed, 8) == 0 ? sizeof memory : 3);
    for (size_t i = 0; i < len; i++)
        memory[i] = (char)(roll(seed, 2) == 0 ? roll(seed, 256) : 'a');
    event->payload = arena_copy(&f->arena, str_make(memory, len));
    digest_sha256(event->payload, event->payload_sha256);
    if (roll(seed, 3) == 0) event->event_type = text(f, "type%d", (int)roll(seed, 3));
    if (roll(seed, 9) == 0) event->unreadable = STR("not JSON");
    event->matched_secret = (int32_t)roll(seed, 4) - 1;
    event->authenticated = (enum authenticated)roll(seed, 6);
    event->look_for_repeats = roll(seed, 4) == 0;
    memset(event->content_sha256, (int)roll(seed, 200), sizeof event->content_sha256);
    event->bytes_must_match = roll(seed, 4) == 0;
    event->received_us = noon_us + (int64_t)round * 1000000 - (int64_t)(roll(seed, 5) == 0 ? roll(seed, 400000000) : 0);
    return event;
}

static void assert_same_lists(const struct list *got, const struct list *model, bool with_payload) {
    assert_int_equal(got->count, model->count);
    for (size_t i = 0; i < got->count; i++) {
        struct event_record wanted = model->records[i];
        assert_int_equal(got->records[i].seq, wanted.seq);
        assert_str(got->records[i].repeats, wanted.repeats);
        if (!with_payload) wanted.event.payload = STR("");
        if (!with_payload) wanted.event.request_body = STR_NONE;
        assert_record(&got->records[i], &wanted.event);
    }
}

/* As a store without one order would have it: seq of the transaction, in the order of time. */
static int order_by_time(const void *left, const void *right) {
    const struct event_record *a = left, *b = right;
    if (a->event.received_us != b->event.received_us) return a->event.received_us < b->event.received_us ? -1 : 1;
    if (a->seq != b->seq) return a->seq < b->seq ? -1 : 1;
    int source = str_order(a->event.source, b->event.source);
    return source != 0 ? source : str_order(a->event.transaction_id, b->event.transaction_id);
}

static void count_anew(struct list *list) {
    for (size_t i = 0; i < list->count; i++) {
        struct event_record *record = &list->records[i];
        record->seq = 1;
        for (size_t k = i; k-- > 0 && record->seq == 1;)
            if (str_eq(list->records[k].event.source, record->event.source) &&
                str_eq(list->records[k].event.transaction_id, record->event.transaction_id))
                record->seq = list->records[k].seq + 1;
    }
}

static struct list read_by_time(struct fixture *f, struct store *model, const struct store_filter *filter) {
    struct list list = read_events(f, model, everything());
    count_anew(&list);
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++) {
        if (filter->source.ptr != NULL && !str_eq(list.records[i].event.source, filter->source)) continue;
        if (list.records[i].timestamp >= filter->since_s) list.records[count++] = list.records[i];
    }
    list.count = count;
    if (count > 0) qsort(list.records, count, sizeof *list.records, order_by_time);
    if (filter->limit > 0 && count > filter->limit) {
        list.records += count - filter->limit;
        list.count = (size_t)filter->limit;
    }
    return list;
}

static void assert_same_readings(struct fixture *f, struct store *model, uint64_t *seed, uint64_t round) {
    for (int i = 0; i < 4; i++) {
        struct store_filter filter = everything();
        struct str source = text(f, "source-%d", (int)roll(seed, 5));
        if (roll(seed, 2) == 0) filter.source = source;
        if (roll(seed, 2) == 0) filter.since_s = noon_us / 1000000 + (int64_t)roll(seed, round + 100) - 50;
        if (f->one_order && roll(seed, 3) == 0) filter.after_seq = roll(seed, round * 3 + 10);
        filter.limit = roll(seed, 200); /* at times 0: all */
        filter.with_payload = roll(seed, 2) == 0;
        struct list got = read_events(f, f->store, filter);
        struct list wanted = f->one_order ? read_events(f, model, filter) : read_by_time(f, model, &filter);
        assert_same_lists(&got, &wanted, filter.with_payload);
    }
    struct str source = text(f, "source-%d", (int)roll(seed, 4)), transaction = text(f, "t%d", (int)roll(seed, 38));
    struct list got = read_timeline(f, f->store, source.ptr, transaction.ptr);
    struct list wanted = read_timeline(f, model, source.ptr, transaction.ptr);
    if (!f->one_order) count_anew(&wanted);
    assert_same_lists(&got, &wanted, true);
    assert_string_equal(read_sources(f->store, transaction.ptr).text, read_sources(model, transaction.ptr).text);
}

static void random_commits_come_out_as_in_the_model(void **state) {
    struct fixture *f = *state;
    uint64_t seed;
    os_random(&seed, sizeof seed);
    const char *given = getenv("PAYHOOK_TEST_SEED"); /* to see a failure again */
    if (given != NULL) seed = strtoull(given, NULL, 10);
    seed |= 1;
    print_message("PAYHOOK_TEST_SEED=%llu\n", (unsigned long long)seed);
    struct store *model = open_store("memory", "");
    uint64_t outcomes_seen[4] = {0};
    uint64_t rounds = f->one_order ? 2500 : 250; /* over a network each takes its time */
    for (uint64_t round = 0; round < rounds; round++) {
        arena_reset(&f->arena);
        const struct event *events[16];
        enum outcome wanted[16], got[16];
        size_t count = 1 + roll(&seed, roll(&seed, 4) == 0 ? 16 : 3);
        struct str body = STR_NONE;
        for (size_t i = 0; i < count; i++) {
            struct event *event = make_random(f, &seed, round);
            if (roll(&seed, 4) == 0) body = roll(&seed, 2) == 0 ? STR_NONE : text(f, "body %d", (int)round);
            event->request_body = body;
            events[i] = event;
        }
        assert_int_equal(store_commit(f->store, events, count, got).kind, ERR_OK);
        assert_int_equal(store_commit(model, events, count, wanted).kind, ERR_OK);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(got[i], wanted[i]);
            outcomes_seen[got[i]]++;
        }
        if (round % 25 == 0) assert_same_readings(f, model, &seed, round);
    }
    arena_reset(&f->arena);
    const struct store_filter all = everything();
    struct list got = read_all(f), wanted = f->one_order ? read_events(f, model, all) : read_by_time(f, model, &all);
    assert_same_lists(&got, &wanted, true);
    /* It tried what it is for. */
    assert_in_range(outcomes_seen[OUTCOME_STORED], 2 * rounds / 5, UINT32_MAX);
    assert_in_range(outcomes_seen[OUTCOME_DUPLICATE], rounds / 5, UINT32_MAX);
    assert_in_range(outcomes_seen[OUTCOME_CONFLICT], rounds / 50, UINT32_MAX);
    store_close(model);
}

static void a_check_finds_nothing_where_nothing_is_wrong(void **state) {
    struct fixture *f = *state;
    char memory[256];
    struct writer message = writer_make(memory, sizeof memory);
    assert_int_equal(store_check(f->store, &message).kind, ERR_OK);
    struct event *events[] = {make(f, "a", "1", "k1", STR("x")), make(f, "a", "1", "k2", STR("\0\xff"))};
    (void)commit(f, events, 2);
    assert_int_equal(store_check(f->store, &message).kind, ERR_OK);
    assert_int_equal(message.len, 0);
}

static const struct {
    const char *name;
    CMUnitTestFunction test;
    bool one_order; /* only where there is one order of all events */
} cases[] = {
#define CASE(name)                                                                                                     \
    { #name, name, false }
#define ORDER_CASE(name)                                                                                               \
    { #name, name, true }
    CASE(an_empty_store_has_nothing),
    CASE(a_record_is_as_it_was_written),
    CASE(every_way_of_being_authenticated_is_kept),
    CASE(none_and_empty_are_told_apart),
    CASE(any_payload_is_kept),
    CASE(the_largest_of_everything_is_kept),
    CASE(ids_are_bytes),
    CASE(the_same_event_is_stored_once),
    CASE(copies_within_one_commit_are_stored_once),
    CASE(source_transaction_and_key_together_make_an_event),
    CASE(a_key_used_with_other_bytes_is_a_conflict_where_asked),
    CASE(repeats_name_the_first_with_the_same_content),
    CASE(a_batch_keeps_its_body_with_each_event),
    CASE(a_batch_seen_in_part_keeps_its_body_too),
    CASE(five_hundred_events_in_one_commit_keep_their_order),
    CASE(seq_grows_over_duplicates_and_conflicts),
    CASE(filters_choose),
    ORDER_CASE(following_sees_each_event_once),
    CASE(a_reading_stops_when_told),
    CASE(a_timeline_is_one_transaction_in_arrival_order),
    CASE(sources_come_in_alphabetical_order),
    CASE(a_payload_that_does_not_fit_its_checksum_is_flagged),
    CASE(a_check_finds_nothing_where_nothing_is_wrong),
    CASE(an_unknown_kind_is_refused),
    CASE(random_commits_come_out_as_in_the_model),
#undef CASE
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void dynamodb_is_asked_where_there_is_one(void **state) {
    (void)state;
    if (getenv("PAYHOOK_TEST_DYNAMODB") != NULL) return;
    print_message("PAYHOOK_TEST_DYNAMODB names no emulator\n");
    skip();
}

/* Credentials of nobody, and nothing of the operator's own. */
static bool set_up_dynamodb(void) {
    const char *endpoint = getenv("PAYHOOK_TEST_DYNAMODB");
    if (endpoint == NULL) return false;
    assert_true(strncmp(endpoint, "http://127.0.0.1:", 17) == 0);
    static const char *const settings[][2] = {{"AWS_ACCESS_KEY_ID", "test"},
                                              {"AWS_SECRET_ACCESS_KEY", "test"},
                                              {"AWS_REGION", "us-east-1"},
                                              {"AWS_CONFIG_FILE", "/nonexistent"},
                                              {"AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"}};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        assert_int_equal(setenv(settings[i][0], settings[i][1], 1), 0);
    assert_int_equal(setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint, 1), 0);
    return true;
}

int main(void) {
    struct CMUnitTest tests[BACKENDS * CASES + 1];
    char names[BACKENDS * CASES][128];
    bool has_dynamodb = set_up_dynamodb();
    const char *only = getenv("PAYHOOK_TEST_STORE"); /* one backend, to be quick */
    size_t count = 0;
    for (size_t i = 0; i < BACKENDS * CASES; i++) {
        const char *backend = backends[i / CASES];
        bool is_dynamodb = strcmp(backend, "dynamodb") == 0;
        if (is_dynamodb && (!has_dynamodb || cases[i % CASES].one_order)) continue;
        if (only != NULL && strcmp(backend, only) != 0) continue;
        (void)snprintf(names[count], sizeof names[count], "%s: %s", backend, cases[i % CASES].name);
        memset(&tests[count], 0, sizeof tests[count]);
        memcpy(&tests[count].initial_state, &backend, sizeof backend);
        tests[count].name = names[count];
        tests[count].test_func = cases[i % CASES].test;
        tests[count].setup_func = set_up;
        tests[count].teardown_func = tear_down;
        count++;
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(dynamodb_is_asked_where_there_is_one);
    return _cmocka_run_group_tests("store", tests, count, NULL, NULL);
}
