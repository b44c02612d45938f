/* SPDX-License-Identifier: Apache-2.0 */
/* The DynamoDB store without a service: keys, entries and attributes as tables, and commits against scripted answers,
 * most of them wrong in some way. aws_start and its like are ours here. What a service makes of the requests is asked
 * by tests/contract and tests/integration/test_dynamodb.py. */
#include "base/os.h"
#include "codec/digest.h"
#include "net/aws.h"
#include "store/dynamodb_layout.h"
#include "store/dynamodb_record.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

/* ---- a service that answers by script ---- */

struct answer {
    enum err_kind failure;
    int status;
    const char *error;
    const char *body;
    const char *operation; /* that must have been asked; NULL: any */
};

/* In an answer: becomes the delivery of the request. */
#define OURS "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@"

enum { CALLS_MAX = 2048 };
static struct {
    const struct answer *answers; /* one after the other; where they end, all is well */
    size_t count, asked;
    struct {
        struct aws_call call;
        aws_done *done;
        void *context;
    } waiting[CALLS_MAX];
    size_t first, last, most;
    char *bodies[CALLS_MAX]; /* as they were asked */
} service;

static void service_reset(const struct answer *answers, size_t count) {
    for (size_t i = 0; i < service.asked; i++)
        free(service.bodies[i]);
    memset(&service, 0, sizeof service);
    service.answers = answers;
    service.count = count;
}

struct aws {
    int nothing;
};
static struct aws the_aws;

struct err aws_open(const struct aws_options *options, struct writer *message, struct aws **ret_aws) {
    (void)options, (void)message;
    *ret_aws = &the_aws;
    return err_ok();
}
void aws_close(struct aws *aws) { (void)aws; }
const char *aws_trouble(const struct aws *aws) {
    (void)aws;
    return "no credentials anywhere";
}

void aws_start(struct aws *aws, const struct aws_call *call, aws_done *done, void *context) {
    (void)aws;
    assert_in_range(service.last, 0, CALLS_MAX - 1);
    service.waiting[service.last].call = *call;
    service.waiting[service.last].done = done;
    service.waiting[service.last++].context = context;
    if (service.last - service.first > service.most) service.most = service.last - service.first;
}

void aws_run(struct aws *aws) {
    (void)aws;
    while (service.first < service.last) {
        size_t at = service.first++;
        static const struct answer well = {.status = 200, .body = "{}"};
        const struct answer *answer = service.asked < service.count ? &service.answers[service.asked] : &well;
        const struct aws_call *call = &service.waiting[at].call;
        assert_string_equal(call->service, "dynamodb");
        if (answer->operation != NULL) assert_string_equal(call->operation, answer->operation);
        json_error_t error;
        json_t *json = json_loadb(call->body.ptr, call->body.len, 0, &error);
        if (json == NULL) fail_msg("no JSON: %s: %.*s", error.text, STR_ARG(call->body));
        json_decref(json);
        service.bodies[service.asked] = strndup(call->body.ptr, call->body.len);
        service.asked++;
        char body[2048];
        (void)snprintf(body, sizeof body, "%s", answer->body);
        char *hole = strstr(body, OURS), *delivery = strstr(service.bodies[service.asked - 1], "delivery\":{\"S\":\"");
        if (hole != NULL) {
            assert_non_null(delivery);
            memcpy(hole, delivery + 16, strlen(OURS));
        }
        const struct aws_answer given = {.status = answer->status,
                                         .body = str_from(body),
                                         .error = str_from(answer->error != NULL ? answer->error : ""),
                                         .error_message = STR("words"),
                                         .tries = 1};
        struct err failure = answer->failure != ERR_OK ? err_make(answer->failure, 0, "ask") : err_ok();
        service.waiting[at].done(service.waiting[at].context, failure, &given);
    }
}

static struct store *open_store(void) {
    char memory[256];
    struct writer message = writer_make(memory, sizeof memory);
    struct store *store = NULL;
    assert_int_equal(store_open("dynamodb:table", "", STORE_WRITE, &message, &store).kind, ERR_OK);
    return store;
}

static struct event make(const char *transaction_id, const char *event_key, struct str payload) {
    struct event event = {.source = STR("s"),
                          .transaction_id = str_from(transaction_id),
                          .event_key = str_from(event_key),
                          .payload = payload,
                          .received_us = 1795460930000000};
    digest_sha256(payload, event.payload_sha256);
    return event;
}

/* ---- keys ---- */

static void every_transaction_has_a_key_of_its_own(void **state) {
    (void)state;
    static const struct {
        const char *source;
        struct str id;
        const char *key;
    } rows[] = {
        {"default", {"test-123", 8}, "test-123"},
        {"default", {"a/b", 3}, "a/b"},
        {"default", {"/a", 2}, "/a"},
        {"default", {"~a", 2}, "~default//fmE="},
        {"default", {"~s/a", 4}, "~default//fnMvYQ=="},
        {"default", {"~~event/", 8}, "~default//fn5ldmVudC8="},
        {"default", {"\xff", 1}, "~default///w=="},
        {"default", {"a\0b", 3}, "~default//YQBi"},
        {"s", {"test-123", 8}, "~s/test-123"},
        {"s", {"~a", 2}, "~s/~a"},
        {"s", {"/a", 2}, "~s//L2E="},
        {"s", {"/", 1}, "~s//Lw=="},
        {"s", {"a/", 2}, "~s/a/"},
        {"s", {"\xc3", 1}, "~s//ww=="},
        {"s-t", {"\xc3\xa9", 2}, "~s-t/\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dynamodb_key key;
        dynamodb_head_key(str_from(rows[i].source), rows[i].id, &key);
        assert_true(str_eq(dynamodb_key_str(&key), str_from(rows[i].key)));
        char memory[TRANSACTION_ID_SIZE_MAX];
        struct str source, id;
        assert_true(dynamodb_head_read(dynamodb_key_str(&key), memory, &source, &id));
        assert_true(str_eq(source, str_from(rows[i].source)));
        assert_true(str_eq(id, rows[i].id));
    }
}

static void what_is_no_key_of_a_transaction_is_none(void **state) {
    (void)state;
    static const char *const keys[] = {
        "",         "~",        "~~",         "~~event/a/b",    "~~x",      "~s",
        "~s/",      "~/a",      "~s//",       "~s//YQ",         "~s//YQ=",  "~s//YQ==",
        "~s//Y Q=", "~s//w6k=", "~default/a", "~default//YQ==", "~s//wx==", "~default//",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char memory[TRANSACTION_ID_SIZE_MAX];
        struct str source, id;
        if (dynamodb_head_read(str_from(keys[i]), memory, &source, &id)) fail_msg("%s is a key", keys[i]);
    }
}

static void the_longest_id_has_a_key_that_the_service_takes(void **state) {
    (void)state;
    char source[SOURCE_NAME_SIZE_MAX], id[TRANSACTION_ID_SIZE_MAX], memory[TRANSACTION_ID_SIZE_MAX];
    memset(source, 'a', sizeof source);
    memset(id, 0xff, sizeof id);
    struct dynamodb_key key;
    dynamodb_head_key(str_make(source, sizeof source), str_make(id, sizeof id), &key);
    assert_in_range(key.len, 1, 2048);
    struct str read_source, read_id;
    assert_true(dynamodb_head_read(dynamodb_key_str(&key), memory, &read_source, &read_id));
    assert_true(str_eq(read_id, str_make(id, sizeof id)));
}

static void entries_are_read_strictly(void **state) {
    (void)state;
    static const char hash[] = "0123456789abcdef0123456789abcdef";
    static const int64_t times[] = {0, 1, -1, 1795460930123456, INT64_MAX, -INT64_MAX};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct dynamodb_entry entry = {.received_us = times[i]}, again;
        memcpy(entry.hash.text, hash, sizeof entry.hash.text);
        char memory[DYNAMODB_ENTRY_SIZE_MAX];
        struct writer w = writer_make(memory, sizeof memory);
        dynamodb_entry_write(&w, &entry);
        assert_false(w.overflow);
        assert_true(dynamodb_entry_read(writer_str(&w), &again));
        assert_memory_equal(again.hash.text, hash, sizeof again.hash.text);
        assert_true(again.received_us == times[i]);
    }
    static const char *const bad[] = {
        "",
        " ",
        " 1",
        "0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef ",
        "0123456789abcdef0123456789abcdef -",
        "0123456789abcdef0123456789abcdef +1",
        "0123456789abcdef0123456789abcdef 1 ",
        "0123456789abcdef0123456789abcdef 9223372036854775808",
        "0123456789ABCDEF0123456789abcdef 1",
        "0123456789abcdef0123456789abcde 1",
        "0123456789abcdef0123456789abcdeff 1",
        "0123456789abcdef0123456789abcdeg 1",
    };
    struct dynamodb_entry entry;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (dynamodb_entry_read(str_from(bad[i]), &entry)) fail_msg("%s is an entry", bad[i]);
    assert_false(dynamodb_entry_read(STR_NONE, &entry));
}

static void parts_make_the_whole(void **state) {
    (void)state;
    char *body = malloc(DYNAMODB_BODY_SIZE_MAX);
    assert_non_null(body);
    static const struct {
        size_t size;
        unsigned parts;
    } rows[] = {{0, 0},
                {1, 0},
                {DYNAMODB_TEXT_SIZE_MAX, 0},
                {DYNAMODB_TEXT_SIZE_MAX + 1, 1},
                {DYNAMODB_PART_SIZE, 1},
                {DYNAMODB_PART_SIZE + 1, 2},
                {2 * DYNAMODB_PART_SIZE, 2},
                {DYNAMODB_BODY_SIZE_MAX, 6}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str whole = str_make(body, rows[i].size);
        assert_int_equal(dynamodb_parts(whole), rows[i].parts);
        size_t size = 0;
        for (unsigned part = 0; part < rows[i].parts; part++) {
            struct str piece = dynamodb_part(whole, part);
            assert_ptr_equal(piece.ptr, body + size);
            assert_in_range(piece.len, 1, DYNAMODB_PART_SIZE);
            size += piece.len;
        }
        if (rows[i].parts > 0) assert_int_equal(size, rows[i].size);
    }
    free(body);
}

/* ---- attributes ---- */

static void bad_items_are_told(void **state) {
    (void)state;
    static const char good[] = "\"eventKey\":{\"S\":\"k\"},\"receivedUs\":{\"N\":\"7\"},\"environment\":{\"S\":\"\"},"
                               "\"processedBy\":{\"S\":\"\"},"
                               "\"method\":{\"S\":\"\"},\"target\":{\"S\":\"\"},\"authenticated\":{\"S\":\"none\"},"
                               "\"payloadSha256\":{\"B\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"},";
    static const struct {
        const char *rest;
        bool bad;
    } rows[] = {
        {"\"headers\":{\"S\":\"\"},\"payload\":{\"S\":\"p\"}", false},
        {"\"headers\":{\"B\":\"\"},\"payload\":{\"B\":\"/w==\"}", false},
        {"\"headers\":{\"S\":\"\"},\"payloadAt\":{\"L\":[]}", false},
        {"\"headers\":{\"S\":\"\"},\"payload\":{\"S\":\"p\"},\"matchedSecret\":{\"N\":\"0\"}", false},
        {"\"headers\":{\"S\":\"\"}", true},
        {"\"payload\":{\"S\":\"p\"}", true},
        {"\"headers\":{\"S\":\"\"},\"payload\":{\"B\":\"/w=\"}", true},
        {"\"headers\":{\"S\":\"\"},\"payload\":{\"N\":\"1\"}", true},
        {"\"headers\":{\"S\":\"\"},\"payload\":\"p\"", true},
        {"\"headers\":{\"S\":1},\"payload\":{\"S\":\"p\"}", true},
        {"\"headers\":{\"S\":\"\"},\"payload\":{\"S\":\"p\"},\"matchedSecret\":{\"N\":\"-1\"}", true},
        {"\"headers\":{\"S\":\"\"},\"payload\":{\"S\":\"p\"},\"matchedSecret\":{\"N\":\"2147483648\"}", true},
        {"\"headers\":{\"S\":\"\"},\"payload\":{\"S\":\"p\"},\"matchedSecret\":{\"N\":\"1e1\"}", true},
        {"\"headers\":{\"S\":\"\"},\"payload\":{\"S\":\"p\"},\"eventType\":{\"BOOL\":true}", true},
        {"\"headers\":{\"S\":\"\"},\"payload\":{\"S\":\"p\"},\"requestBody\":{}", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[2048], memory[4096];
        (void)snprintf(text, sizeof text, "{%s%s}", good, rows[i].rest);
        struct json_t *item = wire_parse(str_from(text));
        assert_non_null(item);
        struct arena arena = arena_make(memory, sizeof memory);
        struct dynamodb_read read = {0};
        dynamodb_record_read(item, &arena, &read);
        if (read.bad != rows[i].bad) fail_msg("row %zu", i);
        assert_non_null(read.event.event_key.ptr);
        assert_non_null(read.event.headers.ptr);
        wire_free(item);
    }
    static const char *const none[] = {"", "[]", "1", "{", "{} x", "{\"a\":1,\"a\":2}", "\xff"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_null(wire_parse(str_from(none[i])));
    assert_null(wire_parse(STR_NONE));
}

/* ---- commits ---- */

#define CANCELLED(reasons) "{\"CancellationReasons\":[" reasons "]}"
#define FAILED_WITH(item)  "{\"Code\":\"ConditionalCheckFailed\",\"Item\":{" item "}}"
#define FAILED_BARE        "{\"Code\":\"ConditionalCheckFailed\"}"
#define FINE               "{\"Code\":\"None\"}"
#define CONTENDED          "{\"Code\":\"TransactionConflict\"}"
#define SHA_OF_P           "\"payloadSha256\":{\"B\":\"FI3pxaekTRnlbNmuGlVL9nhHr7DFj24S+imsfd/KmUA=\"}"
#define SHA_OTHER          "\"payloadSha256\":{\"B\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}"
#define IS_OURS            "\"delivery\":{\"S\":\"" OURS "\"}"
#define NOT_OURS           "\"delivery\":{\"S\":\"11111111111111111111111111111111\"}"
/* The first 16 bytes of the SHA-256 of "k". */
#define OF_K      "event-8254c329a92850f6d539dd376f4816ee"
#define FULL      "\"eventCount\":{\"N\":\"9\"},\"eventsSize\":{\"N\":\"20000\"},\"eventOrder\":{\"L\":[]}"
#define CONDITION "ConditionalCheckFailedException"
#define CANCEL    "TransactionCanceledException"

static void answers_decide(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct answer answers[4];
        size_t count;
        enum outcome outcome;
        bool bytes_must_match;
    } rows[] = {
        {"stored", {{ERR_OK, 200, NULL, "{}", "UpdateItem"}}, 1, OUTCOME_STORED, false},
        {"closed",
         {{ERR_OK, 400, CONDITION, "{}", "UpdateItem"}, {ERR_OK, 200, NULL, "{}", "TransactWriteItems"}},
         2,
         OUTCOME_STORED,
         false},
        {"in the head",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL,
           CANCELLED(FAILED_WITH(FULL ",\"" OF_K "\":{\"M\":{" NOT_OURS "," SHA_OTHER "}}") "," FINE), NULL}},
         2,
         OUTCOME_DUPLICATE,
         false},
        {"in the head, other bytes",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL,
           CANCELLED(FAILED_WITH(FULL ",\"" OF_K "\":{\"M\":{" NOT_OURS "," SHA_OTHER "}}") "," FINE), NULL}},
         2,
         OUTCOME_CONFLICT,
         true},
        {"in the head, the same bytes",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL,
           CANCELLED(FAILED_WITH(FULL ",\"" OF_K "\":{\"M\":{" NOT_OURS "," SHA_OF_P "}}") "," FINE), NULL}},
         2,
         OUTCOME_DUPLICATE,
         true},
        {"an item of its own, other bytes",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL, CANCELLED(FINE "," FAILED_WITH(NOT_OURS "," SHA_OTHER)), NULL}},
         2,
         OUTCOME_CONFLICT,
         true},
        {"our own, in the head",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL,
           CANCELLED(FAILED_WITH(FULL ",\"" OF_K "\":{\"M\":{" IS_OURS "," SHA_OF_P "}}") "," FINE), NULL}},
         2,
         OUTCOME_STORED,
         true},
        {"our own, an item of its own",
         {{ERR_OK, 400, CONDITION, "{}", NULL}, {ERR_OK, 400, CANCEL, CANCELLED(FINE "," FAILED_WITH(IS_OURS)), NULL}},
         2,
         OUTCOME_STORED,
         true},
        {"contention, then stored",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL, CANCELLED(CONTENDED "," FINE), NULL},
          {ERR_OK, 200, NULL, "{}", "TransactWriteItems"}},
         3,
         OUTCOME_STORED,
         false},
        {"turned",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL, CANCELLED(FAILED_WITH(FULL) "," FINE), NULL},
          {ERR_OK, 200, NULL, "{}", "TransactWriteItems"}},
         3,
         OUTCOME_STORED,
         false},
        {"gone meanwhile",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL, CANCELLED(FAILED_BARE "," FINE), NULL},
          {ERR_OK, 200, NULL, "{}", "UpdateItem"}},
         3,
         OUTCOME_STORED,
         false},
        /* What cannot be understood is never stored, nor a duplicate. */
        {"time-out", {{ERR_TIMEOUT, 0, NULL, "", NULL}}, 1, OUTCOME_FAILED, false},
        {"no credentials", {{ERR_ABSENT, 0, NULL, "", NULL}}, 1, OUTCOME_FAILED, false},
        {"refused", {{ERR_OK, 400, "AccessDeniedException", "{}", NULL}}, 1, OUTCOME_FAILED, false},
        {"no table", {{ERR_OK, 400, "ResourceNotFoundException", "{}", NULL}}, 1, OUTCOME_FAILED, false},
        {"throttled to the end", {{ERR_OK, 400, "ThrottlingException", "{}", NULL}}, 1, OUTCOME_FAILED, false},
        {"broken", {{ERR_OK, 500, "Unknown", "<html>", NULL}}, 1, OUTCOME_FAILED, false},
        {"a status of its own", {{ERR_OK, 204, NULL, "", NULL}}, 1, OUTCOME_FAILED, false},
        {"no JSON", {{ERR_OK, 400, CONDITION, "oops", NULL}}, 1, OUTCOME_FAILED, false},
        {"cancelled for nothing",
         {{ERR_OK, 400, CONDITION, "{}", NULL}, {ERR_OK, 400, CANCEL, "{}", NULL}},
         2,
         OUTCOME_FAILED,
         false},
        {"cancelled, no reasons",
         {{ERR_OK, 400, CONDITION, "{}", NULL}, {ERR_OK, 400, CANCEL, CANCELLED(""), NULL}},
         2,
         OUTCOME_FAILED,
         false},
        {"cancelled, all fine",
         {{ERR_OK, 400, CONDITION, "{}", NULL}, {ERR_OK, 400, CANCEL, CANCELLED(FINE "," FINE), NULL}},
         2,
         OUTCOME_FAILED,
         false},
        {"cancelled, invalid",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL, CANCELLED("{\"Code\":\"ValidationError\"}," FAILED_WITH(NOT_OURS "," SHA_OF_P)), NULL}},
         2,
         OUTCOME_FAILED,
         false},
        {"cancelled, reasons of another kind",
         {{ERR_OK, 400, CONDITION, "{}", NULL}, {ERR_OK, 400, CANCEL, CANCELLED("1,2"), NULL}},
         2,
         OUTCOME_FAILED,
         false},
        {"an item without a digest",
         {{ERR_OK, 400, CONDITION, "{}", NULL}, {ERR_OK, 400, CANCEL, CANCELLED(FINE "," FAILED_WITH(NOT_OURS)), NULL}},
         2,
         OUTCOME_FAILED,
         true},
        {"a digest that is none",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL, CANCELLED(FINE "," FAILED_WITH("\"payloadSha256\":{\"B\":\"AA==\"}")), NULL}},
         2,
         OUTCOME_FAILED,
         false},
        {"a head without its size",
         {{ERR_OK, 400, CONDITION, "{}", NULL},
          {ERR_OK, 400, CANCEL, CANCELLED(FAILED_WITH("\"eventCount\":{\"N\":\"9\"}") "," FINE), NULL}},
         2,
         OUTCOME_FAILED,
         false},
    };
    struct store *store = open_store();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        service_reset(rows[i].answers, rows[i].count);
        struct event event = make("t", "k", STR("p"));
        event.bytes_must_match = rows[i].bytes_must_match;
        const struct event *events[] = {&event};
        enum outcome outcome;
        assert_int_equal(store_commit(store, events, 1, &outcome).kind, ERR_OK);
        if (outcome != rows[i].outcome) fail_msg("%s: %d", rows[i].name, (int)outcome);
        if (service.asked != rows[i].count) fail_msg("%s: %zu requests", rows[i].name, service.asked);
        bool complained = store_complaint(store).len > 0;
        if (complained != (outcome == OUTCOME_FAILED)) fail_msg("%s: complaint", rows[i].name);
    }
    store_close(store);
}

static void a_head_that_keeps_changing_is_given_up(void **state) {
    (void)state;
    static const struct answer gone = {ERR_OK, 400, CANCEL, CANCELLED(FAILED_WITH(FULL) "," FINE), NULL};
    struct answer answers[32] = {{ERR_OK, 400, CONDITION, "{}", NULL}};
    for (size_t i = 1; i < 32; i++)
        answers[i] = gone;
    struct store *store = open_store();
    service_reset(answers, 32);
    struct event event = make("t", "k", STR("p"));
    const struct event *events[] = {&event};
    enum outcome outcome;
    assert_int_equal(store_commit(store, events, 1, &outcome).kind, ERR_OK);
    assert_int_equal(outcome, OUTCOME_FAILED);
    assert_int_equal(service.asked, DYNAMODB_ATTEMPTS_MAX);
    store_close(store);
}

static void contention_ends_at_the_deadline(void **state) {
    (void)state;
    struct answer answers[200] = {{ERR_OK, 400, CONDITION, "{}", NULL}};
    for (size_t i = 1; i < 200; i++)
        answers[i] = (struct answer){ERR_OK, 400, CANCEL, CANCELLED(CONTENDED "," FINE), NULL};
    struct store *store = open_store();
    service_reset(answers, 200);
    struct event event = make("t", "k", STR("p"));
    const struct event *events[] = {&event};
    enum outcome outcome;
    int64_t before_us = os_mono_us();
    store_set_deadline(store, before_us + 1000000);
    assert_int_equal(store_commit(store, events, 1, &outcome).kind, ERR_OK);
    assert_int_equal(outcome, OUTCOME_FAILED);
    assert_true(os_mono_us() - before_us < 15000000);
    assert_in_range(service.asked, 2, 199);
    store_close(store);
}

static void each_event_of_a_commit_is_by_itself(void **state) {
    (void)state;
    static const struct answer answers[] = {{ERR_OK, 200, NULL, "{}", NULL},
                                            {ERR_OK, 400, "AccessDeniedException", "{}", NULL},
                                            {ERR_TIMEOUT, 0, NULL, "", NULL},
                                            {ERR_OK, 200, NULL, "{}", NULL}};
    struct store *store = open_store();
    service_reset(answers, 4);
    struct event of[4] = {make("a", "k", STR("p")), make("b", "k", STR("p")), make("c", "k", STR("p")),
                          make("d", "k", STR("p"))};
    const struct event *events[] = {&of[0], &of[1], &of[2], &of[3]};
    enum outcome outcomes[4];
    assert_int_equal(store_commit(store, events, 4, outcomes).kind, ERR_OK);
    static const enum outcome wanted[] = {OUTCOME_STORED, OUTCOME_FAILED, OUTCOME_FAILED, OUTCOME_STORED};
    assert_memory_equal(outcomes, wanted, sizeof wanted);
    assert_non_null(strstr(store_complaint(store).ptr, "AccessDeniedException: words"));
    store_close(store);
}

static void many_are_in_flight_but_one_of_a_transaction(void **state) {
    (void)state;
    struct store *store = open_store();
    enum { EVENTS = 500 };
    struct event *of = calloc(EVENTS, sizeof *of);
    const struct event *events[EVENTS];
    enum outcome outcomes[EVENTS];
    char ids[EVENTS][16];
    for (size_t transactions = 1; transactions <= EVENTS; transactions *= 10) {
        service_reset(NULL, 0);
        for (size_t i = 0; i < EVENTS; i++) {
            (void)snprintf(ids[i], sizeof ids[i], "%zu", i);
            of[i] = make(ids[i % transactions], ids[i], STR("p"));
            events[i] = &of[i];
        }
        assert_int_equal(store_commit(store, events, EVENTS, outcomes).kind, ERR_OK);
        for (size_t i = 0; i < EVENTS; i++)
            assert_int_equal(outcomes[i], OUTCOME_STORED);
        assert_int_equal(service.most, transactions < DYNAMODB_IN_FLIGHT_MAX ? transactions : DYNAMODB_IN_FLIGHT_MAX);
    }
    assert_true(DYNAMODB_IN_FLIGHT_MAX >= 32);
    free(of);
    store_close(store);
}

static void the_body_of_a_batch_comes_first(void **state) {
    (void)state;
    char body[5000];
    memset(body, 'b', sizeof body);
    static const struct answer well[] = {{ERR_OK, 200, NULL, "{}", "PutItem"},
                                         {ERR_OK, 200, NULL, "{}", "UpdateItem"},
                                         {ERR_OK, 200, NULL, "{}", "UpdateItem"}};
    static const struct answer refused[] = {{ERR_OK, 400, "AccessDeniedException", "{}", "PutItem"}};
    struct store *store = open_store();
    struct event of[2] = {make("a", "k", STR("p")), make("b", "k", STR("p"))};
    of[0].request_body = of[1].request_body = str_make(body, sizeof body);
    const struct event *events[] = {&of[0], &of[1]};
    enum outcome outcomes[2];
    service_reset(well, 3);
    assert_int_equal(store_commit(store, events, 2, outcomes).kind, ERR_OK);
    assert_int_equal(outcomes[0], OUTCOME_STORED);
    assert_int_equal(outcomes[1], OUTCOME_STORED);
    assert_int_equal(service.asked, 3);
    assert_non_null(strstr(service.bodies[1], "requestBodyAt"));
    service_reset(refused, 1);
    assert_int_equal(store_commit(store, events, 2, outcomes).kind, ERR_OK);
    assert_int_equal(outcomes[0], OUTCOME_FAILED);
    assert_int_equal(outcomes[1], OUTCOME_FAILED);
    assert_int_equal(service.asked, 1); /* no event names what is not there */
    store_close(store);
}

static void a_body_beyond_the_limit_is_not_sent(void **state) {
    (void)state;
    char *body = calloc(1, DYNAMODB_BODY_SIZE_MAX + 1);
    assert_non_null(body);
    struct store *store = open_store();
    struct event event = make("a", "k", str_make(body, DYNAMODB_BODY_SIZE_MAX + 1));
    const struct event *events[] = {&event};
    enum outcome outcome;
    service_reset(NULL, 0);
    assert_int_equal(store_commit(store, events, 1, &outcome).kind, ERR_OK);
    assert_int_equal(outcome, OUTCOME_FAILED);
    assert_int_equal(service.asked, 0);
    event.payload.len--;
    assert_int_equal(store_commit(store, events, 1, &outcome).kind, ERR_OK);
    assert_int_equal(outcome, OUTCOME_STORED);
    store_close(store);
    free(body);
}

static bool take_nothing(void *context, const struct event_record *record) {
    (void)context, (void)record;
    fail_msg("there is nothing to read");
    return false;
}

static void readings_fail_where_answers_do(void **state) {
    (void)state;
    static const struct {
        struct answer answer;
        enum err_kind kind;
    } rows[] = {
        {{ERR_OK, 200, NULL, "{}", "GetItem"}, ERR_OK}, /* there is no such transaction */
        {{ERR_OK, 200, NULL, "oops", NULL}, ERR_NETWORK},
        {{ERR_OK, 400, "AccessDeniedException", "{}", NULL}, ERR_DENIED},
        {{ERR_TIMEOUT, 0, NULL, "", NULL}, ERR_TIMEOUT},
        {{ERR_OK, 200, NULL, "{\"Item\":{\"eventCount\":{\"N\":\"x\"}}}", NULL}, ERR_DAMAGED},
        {{ERR_OK, 200, NULL, "{\"Item\":{\"eventCount\":{\"N\":\"1\"}}}", NULL}, ERR_DAMAGED},
        {{ERR_OK, 200, NULL, "{\"Item\":{\"eventCount\":{\"N\":\"0\"},\"eventPages\":{\"N\":\"-1\"}}}", NULL},
         ERR_DAMAGED},
        {{ERR_OK, 200, NULL, "{\"Item\":{\"eventCount\":{\"N\":\"1\"},\"eventOrder\":{\"L\":[{\"S\":\"x\"}]}}}", NULL},
         ERR_DAMAGED},
    };
    struct store *store = open_store();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        service_reset(&rows[i].answer, 1);
        struct err result = store_timeline(store, STR("s"), STR("t"), take_nothing, NULL);
        if (result.kind != rows[i].kind) fail_msg("row %zu: %d", i, (int)result.kind);
    }
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_transaction_has_a_key_of_its_own),
        cmocka_unit_test(what_is_no_key_of_a_transaction_is_none),
        cmocka_unit_test(the_longest_id_has_a_key_that_the_service_takes),
        cmocka_unit_test(entries_are_read_strictly),
        cmocka_unit_test(parts_make_the_whole),
        cmocka_unit_test(bad_items_are_told),
        cmocka_unit_test(answers_decide),
        cmocka_unit_test(a_head_that_keeps_changing_is_given_up),
        cmocka_unit_test(contention_ends_at_the_deadline),
        cmocka_unit_test(each_event_of_a_commit_is_by_itself),
        cmocka_unit_test(many_are_in_flight_but_one_of_a_transaction),
        cmocka_unit_test(the_body_of_a_batch_comes_first),
        cmocka_unit_test(a_body_beyond_the_limit_is_not_sent),
        cmocka_unit_test(readings_fail_where_answers_do),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    service_reset(NULL, 0);
    return failed;
}
