/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/batch.h"

#include "codec/sigv4.h"
#include "provider/iam.h"
#include "provider_help.h"

/* A scheme that believes everybody, for rows that are about meaning. */
static enum verdict verify_nothing(const struct provider_input *input, struct verification *v) {
    (void)input;
    v->matched_secret = 0;
    return VERDICT_ACCEPT;
}

static const char *hex_of(struct str s) {
    static char text[8][80];
    static int turn;
    uint8_t digest[32];
    turn = (turn + 1) % 8;
    digest_sha256(s, digest);
    struct writer w = writer_make(text[turn], sizeof text[turn]);
    text_hex_write(&w, digest, sizeof digest);
    return writer_cstr(&w);
}

static const char *digest_name(const char *raw) {
    static char text[8][80];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(text[turn], sizeof text[turn], "sha256-%s", hex_of(str_from(raw)));
    return text[turn];
}

static void world_row(struct world *w, const struct provider_row *row, const char *body) {
    world_init(w, NULL, SECRET, body);
    w->source.row = row;
}

/* Batches */

static const struct provider_row batch_row = {
    .name = "batch",
    .verify = verify_nothing,
    .authenticated = AUTHENTICATED_BODY,
    .event_id = "json:/id",
    .event_type = "json:/resource_type",
    .event_type_tail = "json:/action",
    .transaction_id = "json:/links/payment|json:/links/mandate",
    .batch = "/events",
    .batch_over_is_one = true,
    .refusal_status = 498,
    .reply_body = "[accepted]",
};

static void two_events(void **state) {
    (void)state;
    static const char first[] =
        "{\"id\":\"EV1\", \"resource_type\":\"payments\",\"action\":\"confirmed\",\"links\":{\"payment\":\"PM1\"}}";
    static const char second[] = "{\"id\":\"EV2\",\"resource_type\":\"mandates\",\"links\":{\"mandate\":\"MD1\"}}";
    char body[512];
    snprintf(body, sizeof body, "{\"meta\":{},\"events\": [ %s ,\n%s]}", first, second);
    struct world w;
    world_row(&w, &batch_row, body);
    world_header(&w, "Content-Type", "application/json");
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_int_equal(w.answer.event_count, 2);
    assert_str(w.answer.reply_body, "[accepted]");
    assert_int_equal(w.answer.refusal_status, 498);
    const struct event *events = w.answer.events;
    assert_str(events[0].event_id, "EV1");
    assert_str(events[0].event_key, "EV1");
    assert_str(events[0].event_type, "payments.confirmed");
    assert_str(events[0].transaction_id, "PM1");
    assert_str(events[0].payload, first);
    assert_str(events[1].event_id, "EV2");
    assert_str(events[1].event_type, "mandates");
    assert_str(events[1].transaction_id, "MD1");
    assert_str(events[1].payload, second);
    for (size_t i = 0; i < 2; i++) {
        uint8_t digest[32];
        digest_sha256(events[i].payload, digest);
        assert_memory_equal(events[i].payload_sha256, digest, 32);
        assert_memory_equal(events[i].content_sha256, digest, 32);
        assert_ptr_equal(events[i].request_body.ptr, body);
        assert_int_equal(events[i].request_body.len, strlen(body));
        assert_str(events[i].headers, "content-type: application/json\n");
        assert_int_equal(events[i].authenticated, AUTHENTICATED_BODY);
        assert_false(events[i].look_for_repeats);
        assert_false(events[i].bytes_must_match);
    }
}

static void batches_that_are_odd(void **state) {
    (void)state;
    static const struct {
        const char *body;
        uint32_t events;
        const char *unreadable; /* of the last event */
    } cases[] = {
        {"{\"events\":[]}", 0, NULL},
        {"{\"events\":[{\"id\":\"E\"}]}", 1, NULL},
        {"{\"events\":[{\"id\":\"E\"},{\"id\":\"E\"}]}", 2, NULL},
        {"{\"events\":[{\"id\":\"E\"},{\"no\":\"E\"}]}", 2, "no id"},
        {"{\"events\":[{\"id\":\"E\"},7]}", 2, "no id"},
        {"{\"events\":[{\"id\":\"E\"},{\"id\":\"F\",\"id\":\"G\"}]}", 2, "*"},
        {"{\"events\":{}}", 1, "no list of events"},
        {"{\"event\":[]}", 1, "no list of events"},
        {"[]", 1, "no list of events"},
        {"{\"events\":[{\"id\":\"E\"}]", 1, "*"},
        {"{\"events\":[],\"events\":[]}", 1, "*"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_row(&w, &batch_row, cases[i].body);
        print_message("%s\n", cases[i].body);
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_int_equal(w.answer.event_count, cases[i].events);
        if (cases[i].events == 0) continue;
        const struct event *last = &w.answer.events[cases[i].events - 1];
        assert_int_equal(last->unreadable.ptr != NULL, cases[i].unreadable != NULL);
        if (cases[i].unreadable != NULL) {
            if (cases[i].unreadable[0] != '*') assert_str(last->unreadable, cases[i].unreadable);
            assert_str(last->event_key, hex_of(last->payload));
            assert_str(last->transaction_id, hex_of(last->payload));
            assert_null(last->event_id.ptr);
        }
    }
    struct world w;
    world_row(&w, &batch_row, "");
    assert_verdict(&w, VERDICT_MALFORMED);
}

static void bound_of_a_batch(void **state) {
    (void)state;
    static char body[32 * (BATCH_EVENTS_MAX + 2)];
    struct provider_row strict = batch_row;
    strict.batch_over_is_one = false;
    for (int more = 0; more <= 1; more++) {
        struct writer out = writer_make(body, sizeof body);
        writer_put(&out, STR("{\"events\":["));
        for (int i = 0; i < BATCH_EVENTS_MAX + more; i++)
            writer_format(&out, "%s{\"id\":\"E%d\"}", i > 0 ? "," : "", i);
        writer_put(&out, STR("]}"));
        struct world w;
        world_row(&w, &batch_row, writer_cstr(&out));
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_int_equal(w.answer.event_count, more == 0 ? BATCH_EVENTS_MAX : 1);
        assert_int_equal(w.answer.events[0].unreadable.ptr != NULL, more);
        assert_str(w.answer.events[w.answer.event_count - 1].event_key, more == 0 ? "E511" : hex_of(w.request.body));
        if (more == 1) assert_int_equal(w.answer.events[0].payload.len, w.request.body.len);
        w.source.row = &strict;
        assert_verdict(&w, more == 0 ? VERDICT_ACCEPT : VERDICT_TOO_LARGE);

        struct str *items, array = str_make(body + 10, w.request.body.len - 11);
        uint32_t count = 77;
        struct arena arena = arena_make(help_memory, sizeof help_memory);
        assert_int_equal(batch_split(array, &arena, &items, &count), more == 0 ? BATCH_SPLIT : BATCH_OVER);
        assert_int_equal(count, more == 0 ? BATCH_EVENTS_MAX : 77);
        arena = arena_make(help_memory, 64);
        assert_int_equal(batch_split(array, &arena, &items, &count), more == 0 ? BATCH_FULL : BATCH_OVER);
    }
}

/* Fields as key, and a content that is not all bytes: as Adyen's items are. */
static bool content_of_fields(struct str item, struct arena *arena, struct str *ret_content) {
    struct writer w = arena_writer(arena);
    writer_put(&w, STR("said:"));
    writer_put(&w, str_make(item.ptr, item.len < 12 ? item.len : 12));
    *ret_content = arena_take(arena, &w);
    return ret_content->ptr != NULL;
}
static const struct provider_row fields_row = {
    .name = "fields",
    .verify = verify_nothing,
    .authenticated = AUTHENTICATED_FIELDS,
    .event_type = "json:/code",
    .transaction_id = "json:/original|json:/psp",
    .key = KEY_FIELDS,
    .key_fields = "json:/code|json:/psp|json:/success",
    .content = content_of_fields,
};

static void keys_of_fields(void **state) {
    (void)state;
    static const char body[] = "{\"code\":\"AUTH\",\"psp\":\"P1\",\"success\":\"true\",\"original\":\"\"}";
    struct world w;
    world_row(&w, &fields_row, body);
    assert_verdict(&w, VERDICT_ACCEPT);
    const struct event *event = w.answer.events;
    assert_null(event->event_id.ptr);
    assert_str(event->event_key, "AUTH:P1:true");
    assert_str(event->event_type, "AUTH");
    assert_str(event->transaction_id, "P1");
    uint8_t digest[32];
    digest_sha256(STR("said:{\"code\":\"AUT"), digest);
    assert_memory_equal(event->content_sha256, digest, 32);
    digest_sha256(str_from(body), digest);
    assert_memory_equal(event->payload_sha256, digest, 32);

    w.request.body = STR("{\"code\":\"AUTH\",\"psp\":\"P\\u0007\"}");
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_str(w.answer.events->event_key, digest_name("AUTH:P\\u0007:"));
    assert_str(w.answer.events->transaction_id, digest_name("P\\u0007"));

    w.request.body = STR("{\"other\":1}");
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_str(w.answer.events->unreadable, "no id");
    assert_str(w.answer.events->event_key, hex_of(STR("said:{\"other\":1}")));
}

static enum verdict pong(const struct provider_input *input, struct provider_answer *ret_answer) {
    ret_answer->reply_body = input->request->query;
    return VERDICT_ACCEPT;
}

static void challenges(void **state) {
    (void)state;
    struct provider_row row = batch_row;
    struct world w;
    world_row(&w, &row, "");
    w.request.method = STR("GET");
    assert_verdict(&w, VERDICT_METHOD_NOT_ALLOWED);
    row.challenge = pong;
    row.reply_body = NULL;
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_int_equal(w.answer.event_count, 0);
    assert_str(w.answer.reply_body, "a=b");
    w.request.method = STR("HEAD");
    assert_verdict(&w, VERDICT_METHOD_NOT_ALLOWED);
}

/* Event keys */

enum expected_key { ID, CONTENT, BOTH };

static void kinds_of_keys(void **state) {
    (void)state;
    static const struct {
        const char *provider, *event_id, *event_type;
        enum expected_key key;
        const char *id;
        bool repeats;
    } cases[] = {
        {"stripe", NULL, NULL, ID, "evt_1", false},
        {"stripe", NULL, "header:x-type", ID, "evt_1", false},
        {"stripe", "json:/other", NULL, ID, "o-1", false},
        {"stripe", "header:x-id", NULL, CONTENT, "h-1", false},
        {"stripe", "header:x-id", "header:x-type", BOTH, "h-1", true},
        {"standardwebhooks", NULL, NULL, ID, "msg_1", false},
        {"standardwebhooks", "header:webhook-id", NULL, ID, "msg_1", false},
        {"standardwebhooks", "header:WEBHOOK-ID", "header:x-type", ID, "msg_1", false},
        {"standardwebhooks", "header:webhook-id|header:x-id", NULL, CONTENT, "msg_1", false},
        {"standardwebhooks", "header:x-id", "header:x-type", BOTH, "h-1", true},
        {"standardwebhooks", "json:/id", NULL, ID, "evt_1", false},
        {"svix", NULL, NULL, ID, "msg_1", false},
        {"svix", "header:svix-id", NULL, ID, "msg_1", false},
        {"svix", "header:webhook-id", NULL, ID, "msg_1", false},
        {"hub-sha256", NULL, NULL, BOTH, "d-1", true},
        {"hub-sha256", NULL, "json:/type", CONTENT, "d-1", false},
        {"hub-sha256", "header:x-id", NULL, BOTH, "h-1", true},
        {"hub-sha256", "header:x-id", "json:/type", CONTENT, "h-1", false},
        {"hub-sha256", "header:x-id", "json:/type|header:x-type", BOTH, "h-1", true},
        {"hub-sha256", "json:/id", NULL, ID, "evt_1", false},
        {"hub-sha256", "json:/id|header:x-id", "json:/type", CONTENT, "evt_1", false},
        {"hub-sha256", "header:x-none", NULL, CONTENT, NULL, true},
        {"api-key", NULL, NULL, CONTENT, NULL, false},
        {"api-key", NULL, "json:/type", CONTENT, NULL, false},
        {"api-key", "header:x-id", "json:/type", BOTH, "h-1", false},
        {"api-key", "json:/id", "json:/type", BOTH, "evt_1", false},
        {"api-key", "json:/none", NULL, CONTENT, NULL, false},
    };
    static const char body[] = "{\"id\":\"evt_1\",\"other\":\"o-1\",\"type\":\"settled\",\"transactionId\":\"T-1\"}";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_genuine(&w, cases[i].provider, body, NOW);
        world_header(&w, "X-Id", "h-1");
        world_header(&w, "X-Type", "t-1");
        if (cases[i].event_id != NULL) world_set(&w, "event_id", cases[i].event_id);
        if (cases[i].event_type != NULL) world_set(&w, "event_type", cases[i].event_type);
        world_check(&w);
        print_message("%s %s %s\n", cases[i].provider, cases[i].event_id, cases[i].event_type);
        assert_verdict(&w, VERDICT_ACCEPT);
        const struct event *event = w.answer.events;
        char both[128];
        snprintf(both, sizeof both, "%s:%s", cases[i].id, hex_of(str_from(body)));
        assert_str(event->event_key, cases[i].key == ID     ? cases[i].id
                                     : cases[i].key == BOTH ? both
                                                            : hex_of(str_from(body)));
        assert_str(event->event_id, cases[i].id);
        assert_int_equal(event->look_for_repeats, cases[i].repeats);
        assert_false(event->bytes_must_match);
        assert_null(event->request_body.ptr);
        assert_str(event->payload, body);
        assert_int_equal(event->authenticated,
                         strcmp(cases[i].provider, "api-key") == 0 ? AUTHENTICATED_TOKEN : AUTHENTICATED_BODY);
        if (strcmp(cases[i].provider, "api-key") == 0)
            assert_str(event->transaction_id, "T-1");
        else
            assert_true(str_eq(event->transaction_id, event->event_key));
    }
}

static void keys_of_hmac(void **state) {
    (void)state;
    static const struct {
        const char *signed_text, *event_id, *event_type;
        enum expected_key key;
        const char *id;
        bool repeats;
    } cases[] = {
        {NULL, NULL, NULL, CONTENT, NULL, false},
        {NULL, "json:/id", NULL, ID, "evt_1", false},
        {NULL, "header:x-other", NULL, BOTH, "h-1", true},
        {NULL, "header:x-other", "json:/type", CONTENT, "h-1", false},
        {"{id}.{body}", NULL, NULL, ID, "i-1", false},
        {"{id}.{body}", "header:x-id", "json:/type", ID, "i-1", false},
        {"{id}.{body}", "json:/id", NULL, ID, "evt_1", false},
        {"{id}.{body}", "header:x-other", NULL, BOTH, "h-1", true},
    };
    static const char body[] = "{\"id\":\"evt_1\",\"type\":\"settled\"}";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool with_id = cases[i].signed_text != NULL;
        struct world w;
        world_init(&w, "hmac", SECRET, body);
        world_set(&w, "header", "x-sig");
        if (with_id) world_set(&w, "signed", cases[i].signed_text);
        if (with_id) world_set(&w, "id_header", "x-id");
        if (cases[i].event_id != NULL) world_set(&w, "event_id", cases[i].event_id);
        if (cases[i].event_type != NULL) world_set(&w, "event_type", cases[i].event_type);
        world_check(&w);
        world_header(&w, "x-sig", sign(DIGEST_SHA256, SIGNATURE_HEX, "", with_id ? "i-1." : "", body, ""));
        world_header(&w, "x-id", "i-1");
        world_header(&w, "x-other", "h-1");
        print_message("case %zu\n", i);
        assert_verdict(&w, VERDICT_ACCEPT);
        char both[128];
        snprintf(both, sizeof both, "%s:%s", cases[i].id, hex_of(str_from(body)));
        assert_str(w.answer.events->event_key, cases[i].key == ID     ? cases[i].id
                                               : cases[i].key == BOTH ? both
                                                                      : hex_of(str_from(body)));
        assert_str(w.answer.events->event_id, cases[i].id);
        assert_int_equal(w.answer.events->look_for_repeats, cases[i].repeats);
    }
}

static void bodies_that_hold_no_event(void **state) {
    (void)state;
    static char deep[2 * JSON_DEPTH_MAX + 3];
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    const struct {
        const char *body;
        bool no_id_only; /* readable where no id in the body is wanted */
    } cases[] = {
        {"Hello, World!", false},
        {"a=b&c=d", false},
        {" ", false},
        {"{\"id\":\"evt_1\"", false},
        {"{\"id\":\"evt_1\"}x", false},
        {"\xef\xbb\xbf{\"id\":\"evt_1\"}", false},
        {"{\"id\":\"evt_1\",\"x\":\"\xc3(\xff\"}", false},
        {"{\"id\":\"evt_1\",\"type\":\"a\",\"type\":\"b\"}", false},
        {deep, false},
        {"{\"type\":\"a\"}", true},
        {"{\"id\":\"\"}", true},
        {"{\"id\":null}", true},
        {"{\"id\":true}", true},
        {"{\"id\":{\"x\":1}}", true},
        {"[{\"id\":\"evt_1\"}]", true},
        {"7", true},
    };
    static const char *const providers[] = {"stripe", "svix", "hub-sha256", "api-key"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t j = 0; j < 4; j++) {
            struct world w;
            world_genuine(&w, providers[j], cases[i].body, NOW);
            if (j > 0) world_set(&w, "event_type", "json:/type");
            assert_verdict(&w, VERDICT_ACCEPT);
            assert_int_equal(w.answer.event_count, 1);
            const struct event *event = w.answer.events;
            bool readable = cases[i].no_id_only && j > 0;
            if ((event->unreadable.ptr == NULL) != readable) fail_msg("%s: %s", providers[j], cases[i].body);
            assert_str(event->payload, cases[i].body);
            if (readable) continue;
            assert_str(event->event_key, hex_of(w.request.body));
            assert_str(event->transaction_id, hex_of(w.request.body));
            assert_null(event->event_id.ptr);
            assert_null(event->event_type.ptr);
            assert_false(event->look_for_repeats);
            assert_int_equal(w.answer.matched_secret, 0);
        }
    }
}

static char *many(char c, size_t count) {
    static char text[16][2048];
    static int turn;
    turn = (turn + 1) % 16;
    memset(text[turn], c, count);
    text[turn][count] = '\0';
    return text[turn];
}

static void ids_of_any_form(void **state) {
    (void)state;
    char over[400], longest[400], fits[1200], beyond[1200], long_type[400];
    snprintf(longest, sizeof longest, "\"%s\"", many('k', EVENT_KEY_SIZE_MAX));
    snprintf(over, sizeof over, "\"%s\"", many('k', EVENT_KEY_SIZE_MAX + 1));
    snprintf(fits, sizeof fits, "\"%s\"", many('t', TRANSACTION_ID_SIZE_MAX));
    snprintf(beyond, sizeof beyond, "\"%s\"", many('t', TRANSACTION_ID_SIZE_MAX + 1));
    snprintf(long_type, sizeof long_type, "\"%s\xc3\xa9xx\"", many('y', EVENT_TYPE_SIZE_MAX - 1));
    const struct {
        const char *id, *transaction, *type;
        const char *want_id, *want_transaction, *want_type;
    } cases[] = {
        {"12345678901234567890123", "820982911946154508", "7", "12345678901234567890123", "820982911946154508", "7"},
        {"-0.10e2", "1e2", "\"t\"", "-0.10e2", "1e2", "t"},
        {"\"e\\u0076t\"", "\"~x\"", "null", "evt", "~x", NULL},
        {longest, fits, "\"\"", many('k', EVENT_KEY_SIZE_MAX), many('t', TRANSACTION_ID_SIZE_MAX), NULL},
        {over, beyond, long_type, digest_name(many('k', EVENT_KEY_SIZE_MAX + 1)),
         digest_name(many('t', TRANSACTION_ID_SIZE_MAX + 1)), many('y', EVENT_TYPE_SIZE_MAX - 1)},
        {"\"a\\u0000b\"", "\"a\\nb\"", "\"a\\nb\"", digest_name("a\\u0000b"), digest_name("a\\nb"), NULL},
        {"\"a\x7f\"", "\"\\ud800\"", "\"\\udc00\"", digest_name("a\x7f"), digest_name("\\ud800"), NULL},
        {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"", "\"\xc3\xa9\"", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80",
         "\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[4096];
        snprintf(body, sizeof body, "{\"id\":%s,\"type\":%s,\"data\":{\"object\":{\"id\":%s}}}", cases[i].id,
                 cases[i].type, cases[i].transaction);
        struct world w;
        world_genuine(&w, "stripe", body, NOW);
        print_message("case %zu\n", i);
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_str(w.answer.events->event_id, cases[i].want_id);
        assert_str(w.answer.events->event_key, cases[i].want_id);
        assert_str(w.answer.events->transaction_id, cases[i].want_transaction);
        assert_str(w.answer.events->event_type, cases[i].want_type);
    }
}

static void ids_beside_the_content(void **state) {
    (void)state;
    static const char body[] = "{\"zen\":1}";
    char raw[600];
    const size_t room = EVENT_KEY_SIZE_MAX - 65;
    for (size_t more = 0; more <= 1; more++) {
        struct world w;
        const char *id = many('d', room + more);
        world_genuine(&w, "hub-sha256", body, NOW);
        *world_value(&w, "x-github-delivery") = str_from(id);
        assert_verdict(&w, VERDICT_ACCEPT);
        snprintf(raw, sizeof raw, "%s:%s", id, hex_of(str_from(body)));
        assert_str(w.answer.events->event_key, more == 0 ? raw : digest_name(raw));
        assert_str(w.answer.events->event_id, id);
        assert_true(w.answer.events->look_for_repeats);
    }
    struct world w;
    world_genuine(&w, "hub-sha256", body, NOW);
    *world_value(&w, "x-github-delivery") = STR("caf\xe9"); /* a header may hold any byte; a key is UTF-8 */
    *world_value(&w, "x-github-event") = STR("caf\xe9");
    assert_verdict(&w, VERDICT_ACCEPT);
    snprintf(raw, sizeof raw, "caf\xe9:%s", hex_of(str_from(body)));
    assert_str(w.answer.events->event_key, digest_name(raw));
    assert_str(w.answer.events->event_id, digest_name("caf\xe9"));
    assert_null(w.answer.events->event_type.ptr);
}

static void places_of_a_transaction(void **state) {
    (void)state;
    static const struct {
        const char *body, *transaction;
    } cases[] = {
        {"{\"id\":\"e\",\"data\":{\"object\":{\"id\":\"pi_1\"}}}", "pi_1"},
        {"{\"id\":\"e\",\"data\":{\"object\":{\"id\":\"ch_1\",\"payment_intent\":\"pi_1\"}}}", "pi_1"},
        {"{\"id\":\"e\",\"data\":{\"object\":{\"id\":\"ch_1\",\"payment_intent\":null}}}", "ch_1"},
        {"{\"id\":\"e\",\"data\":{\"object\":{\"id\":\"ch_1\",\"payment_intent\":{\"id\":\"pi_1\"}}}}", "ch_1"},
        {"{\"id\":\"e\",\"related_object\":{\"id\":\"pi_2\"}}", "pi_2"},
        {"{\"id\":\"e\",\"data\":{}}", "e"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_genuine(&w, "stripe", cases[i].body, NOW);
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_str(w.answer.events->transaction_id, cases[i].transaction);
    }
}

static void kept_headers(void **state) {
    (void)state;
    struct world w;
    world_genuine(&w, "standardwebhooks", "{}", NOW);
    world_header(&w, "Authorization", "Basic abc");
    world_header(&w, "Cookie", "secret");
    world_header(&w, "User-Agent", "Sender/1");
    world_header(&w, "X-Other", "1");
    assert_verdict(&w, VERDICT_ACCEPT);
    char want[512];
    snprintf(want, sizeof want,
             "content-type: application/json\nwebhook-id: msg_1\nwebhook-timestamp: %lld\nwebhook-signature: "
             "%.*s\nuser-agent: Sender/1\n",
             (long long)NOW, STR_ARG(*world_value(&w, "webhook-signature")));
    assert_str(w.answer.events->headers, want);
    assert_str(w.answer.events->method, "POST");
    assert_str(w.answer.events->target, "/hooks/shop?a=b");

    world_genuine(&w, "api-key", "{}", NOW);
    world_header(&w, "X-Id", "1");
    world_set(&w, "event_id", "header:x-id");
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_str(w.answer.events->headers,
               "content-type: application/json\nx-api-key: present, matched secret 0\nx-id: 1\n");
    assert_null(memmem(w.answer.events->headers.ptr, w.answer.events->headers.len, SECRET, strlen(SECRET)));
    world_set(&w, "event_id", "header:authorization");
    world_header(&w, "Authorization", "Bearer 1");
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_null(memmem(w.answer.events->headers.ptr, w.answer.events->headers.len, "Bearer", 6));

    /* The bound: the later ones are left out. */
    world_genuine(&w, "stripe", "{\"id\":\"e\"}", NOW);
    static char large[KEPT_HEADERS_SIZE_MAX];
    memset(large, 'u', sizeof large);
    struct http_header *agent = &w.request.headers[w.request.header_count++];
    *agent = (struct http_header){STR("user-agent"), str_make(large, 10)};
    assert_verdict(&w, VERDICT_ACCEPT);
    size_t others = w.answer.events->headers.len - 10;
    agent->value.len = KEPT_HEADERS_SIZE_MAX - others;
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_int_equal(w.answer.events->headers.len, KEPT_HEADERS_SIZE_MAX);
    agent->value.len++;
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_int_equal(w.answer.events->headers.len, others - strlen("user-agent: \n"));
}

/* POST / */

static void bodies_of_the_root(void **state) {
    (void)state;
    char fits[1100], beyond[1100], digits[1100];
    snprintf(fits, sizeof fits, "{\"transactionId\":\"%s\"}", many('t', TRANSACTION_ID_SIZE_MAX));
    snprintf(beyond, sizeof beyond, "{\"transactionId\":\"%s\"}", many('t', TRANSACTION_ID_SIZE_MAX + 1));
    snprintf(digits, sizeof digits, "{\"transactionId\":%s}", many('1', TRANSACTION_ID_SIZE_MAX + 1));
    const struct {
        const char *body;
        enum verdict verdict;
        const char *transaction;
    } cases[] = {
        {"{\"transactionId\":\"test-123\",\"amount\":100}", VERDICT_ACCEPT, "test-123"},
        {" {\"a\":{\"transactionId\":1},\"transactionId\":\"\\u0041~\"} ", VERDICT_ACCEPT, "A~"},
        {"{\"transactionId\":123456789012345678901234567890}", VERDICT_ACCEPT, "123456789012345678901234567890"},
        {"{\"transactionId\":-7}", VERDICT_ACCEPT, "-7"},
        {"{\"transactionId\":0}", VERDICT_ACCEPT, "0"},
        {"{\"transactionId\":\"0\",\"x\":1,\"x\":2}", VERDICT_ACCEPT, "0"},
        {fits, VERDICT_ACCEPT, many('t', TRANSACTION_ID_SIZE_MAX)},
        {"{}", VERDICT_MISSING_TRANSACTION, NULL},
        {"{\"transactionid\":\"x\"}", VERDICT_MISSING_TRANSACTION, NULL},
        {"{\"data\":{\"transactionId\":\"x\"}}", VERDICT_MISSING_TRANSACTION, NULL},
        {"{\"transactionId\":\"\"}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":null}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":true}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":1.0}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":1e2}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":1E2}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":[1]}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":{\"a\":1}}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":\"~x\"}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":\"\\u007ex\"}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":\"a\\u0000\"}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":\"a\\n\"}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":\"a\x7f\"}", VERDICT_INVALID_TRANSACTION, NULL},
        {"{\"transactionId\":\"\\ud800\"}", VERDICT_INVALID_TRANSACTION, NULL},
        {beyond, VERDICT_INVALID_TRANSACTION, NULL},
        {digits, VERDICT_INVALID_TRANSACTION, NULL},
        {"", VERDICT_INVALID_JSON, NULL},
        {"null", VERDICT_INVALID_JSON, NULL},
        {"[{\"transactionId\":\"x\"}]", VERDICT_INVALID_JSON, NULL},
        {"\"transactionId\"", VERDICT_INVALID_JSON, NULL},
        {"{\"transactionId\":\"x\"", VERDICT_INVALID_JSON, NULL},
        {"{\"transactionId\":\"x\"}}", VERDICT_INVALID_JSON, NULL},
        {"{\"transactionId\":\"x\",}", VERDICT_INVALID_JSON, NULL},
        {"{\"transactionId\":01}", VERDICT_INVALID_JSON, NULL},
        {"{\"transactionId\":NaN}", VERDICT_INVALID_JSON, NULL},
        {"{'transactionId':'x'}", VERDICT_INVALID_JSON, NULL},
        {"\xef\xbb\xbf{\"transactionId\":\"x\"}", VERDICT_INVALID_JSON, NULL},
        {"{\"transactionId\":\"x\",\"a\":\"\xff\"}", VERDICT_INVALID_JSON, NULL},
        {"{\"transactionId\":\"x\",\"transactionId\":\"x\"}", VERDICT_INVALID_JSON, NULL},
        {"{\"transactionId\":\"x\",\"transaction\\u0049d\":\"y\"}", VERDICT_INVALID_JSON, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int door = IAM_DOOR_URL; door <= IAM_DOOR_INVOKE; door++) {
            struct world w;
            world_init(&w, "iam", NULL, cases[i].body);
            w.input.iam_door = (enum iam_door)door;
            if (door == IAM_DOOR_INVOKE) w.request.method = STR_NONE;
            print_message("%.60s\n", cases[i].body);
            assert_verdict(&w, cases[i].verdict);
            if (cases[i].verdict != VERDICT_ACCEPT) continue;
            const struct event *event = w.answer.events;
            assert_int_equal(w.answer.event_count, 1);
            assert_str(event->transaction_id, cases[i].transaction);
            assert_str(event->event_key, hex_of(w.request.body));
            assert_str(event->payload, cases[i].body);
            assert_null(event->event_id.ptr);
            assert_null(event->event_type.ptr);
            assert_false(event->bytes_must_match);
            assert_false(event->look_for_repeats);
            assert_int_equal(event->matched_secret, -1);
            assert_int_equal(event->authenticated, door == IAM_DOOR_URL ? AUTHENTICATED_IAM : AUTHENTICATED_INVOKE);
        }
    }
}

static void idempotency_keys(void **state) {
    (void)state;
    const struct {
        const char *key, *again; /* NULL: not sent */
        enum verdict verdict;
        const char *want; /* NULL: content */
    } cases[] = {
        {NULL, NULL, VERDICT_ACCEPT, NULL},
        {"order-1", NULL, VERDICT_ACCEPT, "order-1"},
        {many('k', EVENT_KEY_SIZE_MAX), NULL, VERDICT_ACCEPT, many('k', EVENT_KEY_SIZE_MAX)},
        {many('k', EVENT_KEY_SIZE_MAX + 1), NULL, VERDICT_ACCEPT, digest_name(many('k', EVENT_KEY_SIZE_MAX + 1))},
        {"caf\xe9", NULL, VERDICT_ACCEPT, digest_name("caf\xe9")},
        {"", NULL, VERDICT_FORBIDDEN, NULL},
        {"a\tb", NULL, VERDICT_FORBIDDEN, NULL},
        {"a,b", NULL, VERDICT_FORBIDDEN, NULL},
        {"a", "a", VERDICT_FORBIDDEN, NULL},
        {"a", "b", VERDICT_FORBIDDEN, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_init(&w, "iam", NULL, "{\"transactionId\":\"x\"}");
        w.input.iam_door = IAM_DOOR_URL;
        if (cases[i].key != NULL) world_header(&w, "Idempotency-Key", cases[i].key);
        if (cases[i].again != NULL) world_header(&w, "idempotency-key", cases[i].again);
        print_message("case %zu\n", i);
        assert_verdict(&w, cases[i].verdict);
        if (cases[i].verdict != VERDICT_ACCEPT) continue;
        assert_str(w.answer.events->event_key, cases[i].want != NULL ? cases[i].want : hex_of(w.request.body));
        assert_int_equal(w.answer.events->bytes_must_match, cases[i].want != NULL);
        w.input.iam_door = IAM_DOOR_INVOKE; /* has none */
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_str(w.answer.events->event_key, hex_of(w.request.body));
        assert_false(w.answer.events->bytes_must_match);
    }
}

static void signed_at_the_root(void **state) {
    (void)state;
    static const char id[] = "AKIAINVENTED00000001", secret[] = "invented/Secret+of40characters0000000000";
    struct world w;
    char memory[8192];
    struct arena arena = arena_make(memory, sizeof memory);
    world_init(&w, "iam", "AKIAINVENTED00000000:another/Secret+of40characters000000000000",
               "{\"transactionId\":\"x\"}");
    world_secret(&w, "AKIAINVENTED00000001:invented/Secret+of40characters0000000000");
    w.source.secrets[0].fault = "is shorter than 16 bytes";
    w.request.target = STR("/");
    request_split_target(&w.request);
    world_header(&w, "host", "127.0.0.1:8080");
    world_header(&w, "idempotency-key", "order-1");
    const struct http_request bare = w.request;
    const struct sigv4_signer signer = {.access_key_id = str_from(id),
                                        .secret = str_from(secret),
                                        .session_token = STR(""),
                                        .region = STR("us-east-1"),
                                        .service = STR("lambda"),
                                        .now_s = NOW - 300};
    assert_true(sigv4_sign(&signer, SIGV4_AWS_SERVICE, false, &w.request, &arena));
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_int_equal(w.answer.matched_secret, 1);
    assert_int_equal(w.answer.skew_s, -300);
    assert_str(w.answer.events->event_key, "order-1");
    assert_true(w.answer.events->bytes_must_match);
    assert_int_equal(w.answer.events->authenticated, AUTHENTICATED_IAM);
    assert_str(w.answer.events->headers,
               "idempotency-key: order-1\nx-amz-date: 20260701T101534Z\nauthorization: present, matched secret 1\n");

    w.input.now_s = NOW + 1;
    assert_verdict(&w, VERDICT_FORBIDDEN);
    world_set(&w, "tolerance", "301s");
    assert_verdict(&w, VERDICT_ACCEPT);
    w.input.now_s = NOW;
    w.input.iam_region = STR("eu-west-1");
    assert_verdict(&w, VERDICT_FORBIDDEN);
    w.input.iam_region = STR("us-east-1");
    w.input.iam_service = STR("execute-api");
    assert_verdict(&w, VERDICT_FORBIDDEN);
    w.input.iam_service = STR("");
    w.source.secrets[1].fault = "is empty";
    assert_verdict(&w, VERDICT_FORBIDDEN);
    const struct iam_key *keys = (const struct iam_key[]){{str_from("AKIAINVENTED00000009"), str_from(secret)},
                                                          {str_from(id), str_from(secret)}};
    w.input.iam_keys = keys;
    w.input.iam_key_count = 2;
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_int_equal(w.answer.matched_secret, 1);
    w.input.iam_key_count = 1;
    assert_verdict(&w, VERDICT_FORBIDDEN);
    w.input.iam_key_count = 2;
    w.request.body = STR("{\"transactionId\":\"y\"}");
    assert_verdict(&w, VERDICT_FORBIDDEN);
    w.request.body = bare.body;
    w.request.method = STR("PUT");
    assert_verdict(&w, VERDICT_METHOD_NOT_ALLOWED);

    /* The key beside a signature that does not cover it. */
    arena_reset(&arena);
    w.request = bare;
    w.request.header_count = 1;
    assert_true(sigv4_sign(&signer, SIGV4_AWS_SERVICE, false, &w.request, &arena));
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_str(w.answer.events->event_key, hex_of(w.request.body));
    world_header(&w, "Idempotency-Key", "order-1");
    assert_verdict(&w, VERDICT_FORBIDDEN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_events),
        cmocka_unit_test(batches_that_are_odd),
        cmocka_unit_test(bound_of_a_batch),
        cmocka_unit_test(keys_of_fields),
        cmocka_unit_test(challenges),
        cmocka_unit_test(kinds_of_keys),
        cmocka_unit_test(keys_of_hmac),
        cmocka_unit_test(bodies_that_hold_no_event),
        cmocka_unit_test(ids_of_any_form),
        cmocka_unit_test(ids_beside_the_content),
        cmocka_unit_test(places_of_a_transaction),
        cmocka_unit_test(kept_headers),
        cmocka_unit_test(bodies_of_the_root),
        cmocka_unit_test(idempotency_keys),
        cmocka_unit_test(signed_at_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
