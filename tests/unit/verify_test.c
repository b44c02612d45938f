/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/verify.h"

#include "provider_help.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define BODY  "{\"id\":\"evt_1\",\"type\":\"payment.settled\",\"transactionId\":\"T-1\"}"

static const char *const providers[] = {"stripe", "standardwebhooks", "svix", "hub-sha256", "api-key"};
enum { PROVIDERS = sizeof providers / sizeof *providers };

static const char *signature_header(const char *provider) {
    const struct provider_row *row = provider_find(str_from(provider));
    return row->signature_headers[0];
}

static void genuine(void **state) {
    (void)state;
    for (size_t i = 0; i < PROVIDERS; i++) {
        struct world w;
        world_genuine(&w, providers[i], BODY, NOW);
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_int_equal(w.answer.matched_secret, 0);
        assert_int_equal(w.answer.event_count, 1);
    }
}

static void each_bit_of_body_and_signature(void **state) {
    (void)state;
    for (size_t i = 0; i < PROVIDERS; i++) {
        struct world w;
        world_genuine(&w, providers[i], BODY, NOW);
        char body[sizeof BODY];
        memcpy(body, BODY, sizeof body);
        w.request.body = str_make(body, sizeof body - 1);
        for (size_t bit = 0; bit < 8 * w.request.body.len && strcmp(providers[i], "api-key") != 0; bit++) {
            body[bit / 8] ^= (char)(1 << bit % 8);
            assert_int_not_equal(world_ask(&w), VERDICT_ACCEPT);
            body[bit / 8] ^= (char)(1 << bit % 8);
        }
        /* Every signed or secret header, the time and the id too. */
        for (uint32_t j = 0; j < w.request.header_count; j++) {
            struct str name = w.request.headers[j].name, value = w.request.headers[j].value;
            if (str_eq_nocase(name, STR("content-type")) || str_starts(name, STR("X-GitHub"))) continue;
            char changed[1024];
            memcpy(changed, value.ptr, value.len);
            w.request.headers[j].value = str_make(changed, value.len);
            for (size_t bit = 0; bit < 8 * value.len; bit++) {
                changed[bit / 8] ^= (char)(1 << bit % 8);
                if (world_ask(&w) == VERDICT_ACCEPT) fail_msg("%s: bit %zu", providers[i], bit);
                changed[bit / 8] ^= (char)(1 << bit % 8);
            }
            w.request.headers[j].value = value;
        }
        assert_verdict(&w, VERDICT_ACCEPT);
    }
}

static void cut_at_each_length(void **state) {
    (void)state;
    for (size_t i = 0; i < PROVIDERS; i++) {
        struct world w;
        world_genuine(&w, providers[i], BODY, NOW);
        for (uint32_t j = 0; j < w.request.header_count; j++) {
            struct http_header *header = &w.request.headers[j];
            struct str whole = header->value;
            if (str_eq_nocase(header->name, STR("content-type")) || str_starts(header->name, STR("X-GitHub"))) continue;
            for (size_t size = 0; size < whole.len; size++) {
                header->value = str_make(whole.ptr, size);
                if (world_ask(&w) == VERDICT_ACCEPT) fail_msg("%s cut at %zu", providers[i], size);
                header->value = str_make(whole.ptr + size + 1, whole.len - size - 1);
                if (world_ask(&w) == VERDICT_ACCEPT) fail_msg("%s without %zu", providers[i], size + 1);
            }
            header->value = whole;
        }
        for (size_t size = 0; size < w.request.body.len && strcmp(providers[i], "api-key") != 0; size++) {
            struct str whole = w.request.body;
            w.request.body.len = size;
            assert_verdict(&w, VERDICT_BAD_SIGNATURE);
            w.request.body = whole;
        }
    }
}

static void headers_missing_and_twice(void **state) {
    (void)state;
    for (size_t i = 0; i < PROVIDERS; i++) {
        struct world w;
        world_genuine(&w, providers[i], BODY, NOW);
        const struct http_request whole = w.request;
        for (uint32_t j = 1; j < whole.header_count; j++) { /* 0 is content-type */
            bool unsigned_header = str_starts(whole.headers[j].name, STR("X-GitHub"));
            w.request = whole;
            memmove(&w.request.headers[j], &w.request.headers[j + 1],
                    sizeof(struct http_header) * (whole.header_count - j - 1));
            w.request.header_count--;
            assert_verdict(&w, unsigned_header ? VERDICT_ACCEPT : VERDICT_MISSING_HEADER);

            w.request = whole;
            w.request.headers[w.request.header_count++] = whole.headers[j];
            assert_verdict(&w, VERDICT_MALFORMED);

            /* The same two copies as a function URL joins them. */
            w.request = whole;
            char joined[512];
            snprintf(joined, sizeof joined, "%.*s,%.*s", STR_ARG(whole.headers[j].value),
                     STR_ARG(whole.headers[j].value));
            w.request.headers[j].value = str_from(joined);
            assert_verdict(&w, VERDICT_MALFORMED);

            w.request = whole;
            w.request.headers[j].value = STR("");
            assert_int_equal(world_ask(&w) == VERDICT_ACCEPT, unsigned_header);
        }
    }
}

/* One signature header sent as two fields is not read as one. */
static void a_list_in_two_fields(void **state) {
    (void)state;
    struct world w;
    world_genuine(&w, "stripe", BODY, NOW);
    struct str *value = world_value(&w, "stripe-signature");
    struct str time, rest;
    assert_true(str_cut(*value, ',', &time, &rest));
    w.request.headers[w.request.header_count++] = (struct http_header){STR("stripe-signature"), rest};
    *value = time;
    assert_verdict(&w, VERDICT_MALFORMED);
}

static void age_at_its_limits(void **state) {
    (void)state;
    static const struct {
        const char *tolerance; /* NULL: the row's */
        int64_t limit;
    } cases[] = {{NULL, 300}, {"5s", 5}, {"0s", 0}, {"4d", 345600}, {"10m", 600}};
    for (size_t i = 0; i < 3; i++) { /* the three that sign a time */
        for (size_t j = 0; j < sizeof cases / sizeof *cases; j++) {
            for (int side = -1; side <= 1; side += 2) {
                for (int64_t more = -1; more <= 1; more++) {
                    struct world w;
                    int64_t skew = side * (cases[j].limit + more);
                    world_genuine(&w, providers[i], BODY, NOW + skew);
                    if (cases[j].tolerance != NULL) world_set(&w, "tolerance", cases[j].tolerance);
                    world_check(&w);
                    bool inside = cases[j].limit == 0 ? skew == 0 : more <= 0;
                    assert_verdict(&w, inside ? VERDICT_ACCEPT : VERDICT_STALE);
                    assert_int_equal(w.answer.skew_s, skew);
                }
            }
        }
    }
    struct world w;
    world_genuine(&w, "stripe", BODY, NOW - 412);
    assert_verdict(&w, VERDICT_STALE);
    assert_str(w.answer.reason, "signed 412 s ago; the limit is 300 s");
    assert_int_equal(w.answer.matched_secret, -1);
    world_genuine(&w, "svix", BODY, NOW + 301);
    assert_verdict(&w, VERDICT_STALE);
    assert_str(w.answer.reason, "signed 301 s ahead of our clock; the limit is 300 s");
    /* Only a genuine request is called stale. */
    world_genuine(&w, "stripe", BODY, NOW - 412);
    w.request.body = STR("{}");
    assert_verdict(&w, VERDICT_BAD_SIGNATURE);
    assert_int_equal(w.answer.skew_s, 0);
}

static void times_as_text(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "0",
                                      "01782901234",
                                      "+1782901234",
                                      "-1782901234",
                                      " 1782901234",
                                      "1782901234 ",
                                      "1782901234x",
                                      "1.7e9",
                                      "0x6a4",
                                      "1782901234.0",
                                      "1782901234000",
                                      "99999999999999999999",
                                      "\xd9\xa1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct world w;
        char before[96], text[96];
        world_init(&w, "stripe", SECRET, BODY);
        snprintf(before, sizeof before, "t=%s,v1=", bad[i]);
        snprintf(text, sizeof text, "%s.", bad[i]);
        world_header(&w, "stripe-signature", sign(DIGEST_SHA256, SIGNATURE_HEX, before, text, BODY, ""));
        print_message("t=%s\n", bad[i]);
        assert_verdict(&w, VERDICT_MALFORMED);

        world_init(&w, "svix", SECRET_BASE64, BODY);
        snprintf(text, sizeof text, "m.%s.", bad[i]);
        world_header(&w, "svix-id", "m");
        world_header(&w, "svix-timestamp", bad[i]);
        world_header(&w, "svix-signature", sign(DIGEST_SHA256, SIGNATURE_BASE64, "v1,", text, BODY, ""));
        assert_verdict(&w, VERDICT_MALFORMED);
    }
}

/* %s stands for the right signature. */
static void lists_of_signatures(void **state) {
    (void)state;
    static const struct {
        const char *provider, *value;
        enum verdict verdict;
    } cases[] = {
        {"stripe", "t=1782901234,v1=%s", VERDICT_ACCEPT},
        {"stripe", "v1=%s,t=1782901234", VERDICT_ACCEPT},
        {"stripe", "v0=00,t=1782901234,v1=11,v1=%s,v2=22", VERDICT_ACCEPT},
        {"stripe", "t=1782901234,v1=%s,v1=zz", VERDICT_ACCEPT},
        {"stripe", "t=1782901234,v1=%s,v1=" ZEROS, VERDICT_ACCEPT},
        {"stripe", "t=1782901234,v1=" ZEROS ",v1=%s", VERDICT_ACCEPT},
        {"stripe", "t=1782901234,v1=" ZEROS, VERDICT_BAD_SIGNATURE},
        {"stripe", "t=1782901234,v0=%s", VERDICT_BAD_SIGNATURE},
        {"stripe", "t=1782901234,V1=%s", VERDICT_BAD_SIGNATURE},
        {"stripe", "t=1782901234, v1=%s", VERDICT_BAD_SIGNATURE},
        {"stripe", "t=1782901234,v1 =%s", VERDICT_BAD_SIGNATURE},
        {"stripe", "t=1782901234,v1= %s", VERDICT_BAD_SIGNATURE},
        {"stripe", "t=1782901234,v1==%s", VERDICT_BAD_SIGNATURE},
        {"stripe", "t=1782901234,v1=%s00", VERDICT_BAD_SIGNATURE},
        {"stripe", "t=1782901234", VERDICT_BAD_SIGNATURE},
        {"stripe", "t =1782901234,v1=%s", VERDICT_MALFORMED},
        {"stripe", "T=1782901234,v1=%s", VERDICT_MALFORMED},
        {"stripe", "v1=%s", VERDICT_MALFORMED},
        {"stripe", "t=1782901234,t=1782901234,v1=%s", VERDICT_MALFORMED},
        {"stripe", "t=1782901234,t=1,v1=%s", VERDICT_MALFORMED},
        {"stripe", "t=1782901234,,v1=%s", VERDICT_MALFORMED},
        {"stripe", ",t=1782901234,v1=%s", VERDICT_MALFORMED},
        {"stripe", "t=1782901234,v1=%s,", VERDICT_MALFORMED},
        {"stripe", "t=1782901234,v1", VERDICT_MALFORMED},
        {"stripe", "t=1782901234;v1=%s", VERDICT_MALFORMED},
        {"stripe", "%s", VERDICT_MALFORMED},
        {"svix", "v1,%s", VERDICT_ACCEPT},
        {"svix", "v1a,xyz v2,%s v1,%s", VERDICT_ACCEPT},
        {"svix", "v1,AAAA v1,%s", VERDICT_ACCEPT},
        {"svix", "v1a,%s", VERDICT_BAD_SIGNATURE},
        {"svix", "V1,%s", VERDICT_BAD_SIGNATURE},
        {"svix", "v1, %s", VERDICT_MALFORMED},
        {"svix", "v1,%s,v1,%s", VERDICT_MALFORMED},
        {"svix", "v1,%s  v1,%s", VERDICT_MALFORMED},
        {"svix", "v1=%s", VERDICT_MALFORMED},
        {"svix", "%s", VERDICT_MALFORMED},
        {"svix", "v1,%s=", VERDICT_BAD_SIGNATURE},
        {"svix", "v1,%s%s", VERDICT_BAD_SIGNATURE},
        {"hub-sha256", "sha256=%s", VERDICT_ACCEPT},
        {"hub-sha256", "%s", VERDICT_BAD_SIGNATURE},
        {"hub-sha256", "SHA256=%s", VERDICT_BAD_SIGNATURE},
        {"hub-sha256", "sha256=sha256=%s", VERDICT_BAD_SIGNATURE},
        {"hub-sha256", "sha512=%s", VERDICT_BAD_SIGNATURE},
        {"hub-sha256", "sha256=%s%s", VERDICT_BAD_SIGNATURE},
        {"hub-sha256", "sha256=%s,sha256=%s", VERDICT_MALFORMED},
        {"hub-sha256", "sha256=0,%s", VERDICT_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_genuine(&w, cases[i].provider, BODY, NOW);
        struct str *value = world_value(&w, signature_header(cases[i].provider));
        char right[128], text[512];
        size_t size = strcmp(cases[i].provider, "svix") == 0 ? 44 : 64;
        memcpy(right, value->ptr + value->len - size, size);
        right[size] = '\0';
        struct writer out = writer_make(text, sizeof text);
        for (const char *c = cases[i].value; *c != '\0'; c++) {
            if (c[0] == '%' && c[1] == 's') {
                writer_put(&out, str_from(right));
                c++;
            } else {
                writer_char(&out, *c);
            }
        }
        *value = writer_str(&out);
        print_message("%s: %s\n", cases[i].provider, cases[i].value);
        assert_verdict(&w, cases[i].verdict);
    }
}

static void bound_of_candidates(void **state) {
    (void)state;
    for (int more = 0; more <= 1; more++) {
        for (size_t i = 0; i < 2; i++) {
            struct world w;
            world_genuine(&w, providers[i], BODY, NOW);
            struct str *value = world_value(&w, signature_header(providers[i]));
            char text[8192];
            struct writer out = writer_make(text, sizeof text);
            for (int j = 1; j < SIGNATURE_CANDIDATES_MAX + more; j++)
                writer_put(&out, i == 0 ? STR("v1=00,") : STR("v1,AAAA "));
            writer_put(&out, *value);
            *value = writer_str(&out);
            assert_verdict(&w, more == 0 ? VERDICT_ACCEPT : VERDICT_MALFORMED);
        }
    }
}

static void every_secret_is_tried(void **state) {
    (void)state;
    for (size_t i = 0; i < PROVIDERS; i++) {
        struct world w;
        world_genuine(&w, providers[i], BODY, NOW);
        const struct secret right = w.source.secrets[0];
        w.source.secret_count = 0;
        for (int j = 0; j < SOURCE_SECRETS_MAX - 1; j++)
            world_secret(&w, i == 1 || i == 2 ? "whsec_QW5vdGhlciBpbnZlbnRlZCBzZWNyZXQu" : "another-invented-secret");
        w.source.secrets[3].fault = "is shorter than 16 bytes";
        w.source.secrets[4] = (struct secret){.text = STR(""), .fault = NULL};
        assert_verdict(&w, VERDICT_BAD_SIGNATURE);
        w.source.secrets[w.source.secret_count++] = right;
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_int_equal(w.answer.matched_secret, SOURCE_SECRETS_MAX - 1);
        assert_int_equal(w.answer.events[0].matched_secret, SOURCE_SECRETS_MAX - 1);
        w.source.secrets[7].fault = "has white space at an end";
        assert_verdict(&w, VERDICT_BAD_SIGNATURE);
    }
    /* A key of no bytes is anybody's, and so is an empty token. */
    struct world w;
    world_init(&w, "api-key", "", BODY);
    world_header(&w, "x-api-key", "");
    assert_verdict(&w, VERDICT_BAD_SIGNATURE);
    world_init(&w, "hub-sha256", "", BODY);
    uint8_t mac[32];
    char value[80];
    struct str body = STR(BODY);
    digest_hmac(DIGEST_SHA256, STR(""), &body, 1, mac);
    struct writer out = writer_make(value, sizeof value);
    writer_put(&out, STR("sha256="));
    text_hex_write(&out, mac, sizeof mac);
    world_header(&w, "x-hub-signature-256", writer_cstr(&out));
    assert_verdict(&w, VERDICT_BAD_SIGNATURE);
}

static void svix_falls_back_by_header(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"svix-id", "webhook-id"}, {"svix-timestamp", "webhook-timestamp"}, {"svix-signature", "webhook-signature"}};
    for (unsigned mask = 0; mask < 8; mask++) {
        struct world w;
        world_genuine(&w, "svix", BODY, NOW);
        for (uint32_t j = 0; j < 3; j++)
            if (mask & 1u << j) w.request.headers[j + 1].name = str_from(names[j][1]);
        assert_verdict(&w, VERDICT_ACCEPT);
        assert_str(w.answer.events[0].event_key, "msg_1");
        /* Where both are sent, its own name counts. */
        world_header(&w, names[0][(mask & 1u) ? 0 : 1], "msg_2");
        assert_verdict(&w, (mask & 1u) ? VERDICT_BAD_SIGNATURE : VERDICT_ACCEPT);
        if (!(mask & 1u)) assert_str(w.answer.events[0].event_key, "msg_1");
    }
    struct world w;
    world_genuine(&w, "svix", BODY, NOW);
    w.source.row = provider_find(STR("standardwebhooks"));
    assert_verdict(&w, VERDICT_MISSING_HEADER);
}

/* The settings of hmac, and a request that fits them. */
struct hmac_case {
    const char *settings[20];
    enum digest digest;
    enum signature_encoding encoding;
    const char *secret, *before, *texts[3], *after;
    const char *headers[6];
    enum verdict verdict;
};

static void settings_of_hmac(void **state) {
    (void)state;
    static const struct hmac_case cases[] = {
        {{"header", "x-sig"}, DIGEST_SHA256, SIGNATURE_HEX, SECRET, "", {BODY, "", ""}, "", {0}, VERDICT_ACCEPT},
        {{"header", "X-Sig"}, DIGEST_SHA1, SIGNATURE_HEX, SECRET, "", {BODY, "", ""}, "", {0}, VERDICT_BAD_SIGNATURE},
        {{"header", "x-sig", "digest", "sha1"},
         DIGEST_SHA1,
         SIGNATURE_HEX,
         SECRET,
         "",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "digest", "sha512"},
         DIGEST_SHA512,
         SIGNATURE_HEX,
         SECRET,
         "",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "encoding", "base64"},
         DIGEST_SHA256,
         SIGNATURE_BASE64,
         SECRET,
         "",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "encoding", "base64"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_BAD_SIGNATURE},
        {{"header", "x-sig", "prefix", "hmac "},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "hmac ",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "prefix", "hmac "},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_BAD_SIGNATURE},
        {{"header", "x-sig", "key_encoding", "base64"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET_BASE64,
         "",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "key_encoding", "hex"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         "616E2d696e76656e7465642d7365637265742d6f662d33322d62797465732d21",
         "",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "separator", ","},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "00,",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "separator", ","},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {BODY, "", ""},
         "",
         {"x-sig", "00"},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "separator", ","},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {BODY, "", ""},
         ",",
         {0},
         VERDICT_MALFORMED},
        {{"header", "x-sig", "separator", " ", "prefix", "v1,"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "v2,11 v1,",
         {BODY, "", ""},
         "",
         {0},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "separator", ";"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {BODY, "", ""},
         "",
         {"x-sig", "00"},
         VERDICT_MALFORMED},
        {{"header", "x-sig"}, DIGEST_SHA256, SIGNATURE_HEX, SECRET, "00,", {BODY, "", ""}, "", {0}, VERDICT_MALFORMED},
        {{"header", "x-sig", "signed", "{timestamp}.{body}", "timestamp_header", "x-time"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"1782901234.", BODY, ""},
         "",
         {"x-time", "1782901234"},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "signed", "{timestamp}.{body}", "timestamp_header", "x-time"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"1782900933.", BODY, ""},
         "",
         {"x-time", "1782900933"},
         VERDICT_STALE},
        {{"header", "x-sig", "signed", "{timestamp}.{body}", "timestamp_header", "x-time", "tolerance", "301s"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"1782900933.", BODY, ""},
         "",
         {"x-time", "1782900933"},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "signed", "{timestamp}.{body}", "timestamp_header", "x-time"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"1782901234.", BODY, ""},
         "",
         {0},
         VERDICT_MISSING_HEADER},
        {{"header", "x-sig", "signed", "{timestamp}{body}", "timestamp_header", "x-time", "timestamp_unit", "ms"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"1782900934000", BODY, ""},
         "",
         {"x-time", "1782900934000"},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "signed", "{timestamp}{body}", "timestamp_header", "x-time", "timestamp_unit", "ms"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"1782900933999", BODY, ""},
         "",
         {"x-time", "1782900933999"},
         VERDICT_STALE},
        {{"header", "x-sig", "signed", "{timestamp}{body}", "timestamp_header", "x-time", "timestamp_unit", "ms"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"1782901534001", BODY, ""},
         "",
         {"x-time", "1782901534001"},
         VERDICT_STALE},
        {{"header", "x-sig", "signed", "{timestamp}{body}", "timestamp_header", "x-time", "timestamp_unit", "ms"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"178290123400", BODY, ""},
         "",
         {"x-time", "178290123400"},
         VERDICT_MALFORMED},
        {{"header", "x-sig", "signed", "v0:{id}:{timestamp}:{body}", "timestamp_header", "x-time", "id_header", "x-id"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"v0:i-1:", "1782901234:", BODY},
         "",
         {"x-time", "1782901234", "x-id", "i-1"},
         VERDICT_ACCEPT},
        {{"header", "x-sig", "signed", "v0:{id}:{timestamp}:{body}", "timestamp_header", "x-time", "id_header", "x-id"},
         DIGEST_SHA256,
         SIGNATURE_HEX,
         SECRET,
         "",
         {"v0:i-1:", "1782901234:", BODY},
         "",
         {"x-time", "1782901234", "x-id", "i-2"},
         VERDICT_BAD_SIGNATURE},
        {{"header", "x-sig", "signed", "{url}{body}", "notification_url", "https://pay.example.net/x?y"},
         DIGEST_SHA256,
         SIGNATURE_BASE64,
         SECRET,
         "",
         {"https://pay.example.net/x?y", BODY, ""},
         "",
         {0},
         VERDICT_BAD_SIGNATURE},
        {{"header", "x-sig", "signed", "{url}{body}", "notification_url", "https://pay.example.net/x?y", "encoding",
          "base64"},
         DIGEST_SHA256,
         SIGNATURE_BASE64,
         SECRET,
         "",
         {"https://pay.example.net/x?y", BODY, ""},
         "",
         {0},
         VERDICT_ACCEPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct hmac_case *c = &cases[i];
        struct world w;
        char value[1024];
        world_init(&w, "hmac", c->secret, BODY);
        for (size_t j = 0; c->settings[j] != NULL; j += 2)
            world_set(&w, c->settings[j], c->settings[j + 1]);
        print_message("case %zu\n", i);
        world_check(&w);
        snprintf(value, sizeof value, "%s%s",
                 sign(c->digest, c->encoding, c->before, c->texts[0], c->texts[1], c->texts[2]), c->after);
        world_header(&w, "X-SIG", value);
        for (size_t j = 0; j < 6 && c->headers[j] != NULL; j += 2)
            world_header(&w, c->headers[j], c->headers[j + 1]);
        assert_verdict(&w, c->verdict);
    }
    /* Never set up: nothing is accepted. */
    struct world w;
    world_init(&w, "hmac", SECRET, BODY);
    assert_verdict(&w, VERDICT_UNAVAILABLE);
}

static void tokens(void **state) {
    (void)state;
    struct world w;
    world_init(&w, "api-key", SECRET, BODY);
    world_set(&w, "header", "Authorization");
    world_check(&w);
    world_header(&w, "x-api-key", SECRET);
    assert_verdict(&w, VERDICT_MISSING_HEADER);
    world_header(&w, "AUTHORIZATION", SECRET);
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_str(w.answer.events[0].headers, "authorization: present, matched secret 0\n");
    *world_value(&w, "authorization") = STR(SECRET "x");
    assert_verdict(&w, VERDICT_BAD_SIGNATURE);
    /* A token may hold a comma; else one means two copies. */
    world_secret(&w, SECRET "," SECRET);
    *world_value(&w, "authorization") = STR(SECRET "," SECRET);
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_int_equal(w.answer.matched_secret, 1);
    w.source.secret_count = 1;
    assert_verdict(&w, VERDICT_MALFORMED);
}

/* A provider whose key is fetched, as a row of a later day would have it: HMAC under what the URL gave stands for RSA.
 */
static enum verdict verify_fetched(const struct provider_input *input, struct verification *v) {
    struct str url = STR_NONE, signature = STR_NONE, pem = STR_NONE;
    if (request_header(input->request, STR("test-cert-url"), &url) != 1 ||
        request_header(input->request, STR("test-signature"), &signature) != 1)
        return verify_refuse(input, v, VERDICT_MISSING_HEADER, "a header is missing");
    enum verdict verdict = verify_key(input, url, v, &pem);
    if (verdict != VERDICT_ACCEPT) return verdict;
    uint8_t right[32], given[32];
    digest_hmac(DIGEST_SHA256, pem, &input->request->body, 1, right);
    bool equal = text_hex_read(signature, TEXT_HEX_LOWER, given, 32) && digest_equal(right, given, 32);
    return equal ? VERDICT_ACCEPT : verify_refuse(input, v, VERDICT_BAD_SIGNATURE, "not signed with that key");
}
static const struct provider_row fetched_row = {
    .name = "fetched",
    .verify = verify_fetched,
    .authenticated = AUTHENTICATED_BODY,
    .no_secret = true,
    .key_urls = {"https://api.example.net/v1/certs/", "https://api.sandbox.example.net/v1/certs/"},
    .event_id = "json:/id",
    .event_type = "json:/type",
    .takes = SETTING_BIT(CERTIFICATE) | SETTING_BIT(CERTIFICATE_URL) | SETTING_BIT(ENVIRONMENT),
};

static void keys_that_are_fetched(void **state) {
    (void)state;
    static const char *const refused[] = {
        "",
        "https://api.example.net/v1/certs/",
        "https://api.example.net/v1/certs",
        "http://api.example.net/v1/certs/CERT-1",
        "HTTPS://api.example.net/v1/certs/CERT-1",
        "https://api.example.net.evil.example/v1/certs/CERT-1",
        "https://api.example.net@evil.example/v1/certs/CERT-1",
        "https://evil.example/https://api.example.net/v1/certs/CERT-1",
        "https://api.example.net:444/v1/certs/CERT-1",
        "https://api.example.net/v1/certs/../CERT-1",
        "https://api.example.net/v1/certs/a/b",
        "https://api.example.net/v1/certs/CERT-1?x",
        "https://api.example.net/v1/certs/CERT-1#x",
        "https://api.example.net/v1/certs/CERT%2d1",
        "https://api.example.net/v1/certs/CERT-1 ",
        "https://api.sandbox.example.net/v1/certs/CERT-1",
    };
    static const char url[] = "https://api.example.net/v1/certs/CERT_360-a";
    struct world w;
    world_init(&w, NULL, NULL, BODY);
    w.source.row = &fetched_row;
    world_header(&w, "test-cert-url", url);
    world_header(&w, "test-signature", sign(DIGEST_SHA256, SIGNATURE_HEX, "", BODY, "", ""));
    world_check(&w);
    assert_false(source_needs_secret(&w.source));
    assert_verdict(&w, VERDICT_NEED_KEY);
    assert_str(w.answer.key_url, url);

    w.input.key_url = str_from(url);
    w.input.key_pem = STR(SECRET);
    assert_verdict(&w, VERDICT_ACCEPT);
    assert_str(w.answer.events[0].event_key, "evt_1");
    assert_null(w.answer.key_url.ptr);
    w.input.key_pem = STR("another key");
    assert_verdict(&w, VERDICT_BAD_SIGNATURE);
    w.input.key_url = STR("https://api.example.net/v1/certs/OTHER");
    assert_verdict(&w, VERDICT_NEED_KEY);

    /* A pinned certificate, for its URL only. */
    world_set(&w, "certificate", SECRET);
    world_set(&w, "certificate_url", url);
    w.input.key_url = w.input.key_pem = STR_NONE;
    assert_verdict(&w, VERDICT_ACCEPT);
    world_set(&w, "certificate_url", "https://api.example.net/v1/certs/CERT_361-a");
    assert_verdict(&w, VERDICT_NEED_KEY);

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        *world_value(&w, "test-cert-url") = str_from(refused[i]);
        w.input.key_url = str_from(refused[i]);
        w.input.key_pem = STR(SECRET);
        assert_verdict(&w, VERDICT_MALFORMED);
        assert_null(w.answer.key_url.ptr);
    }
    world_set(&w, "environment", "sandbox");
    assert_verdict(&w, VERDICT_ACCEPT); /* the last one, at home there */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(genuine),
        cmocka_unit_test(each_bit_of_body_and_signature),
        cmocka_unit_test(cut_at_each_length),
        cmocka_unit_test(headers_missing_and_twice),
        cmocka_unit_test(a_list_in_two_fields),
        cmocka_unit_test(age_at_its_limits),
        cmocka_unit_test(times_as_text),
        cmocka_unit_test(lists_of_signatures),
        cmocka_unit_test(bound_of_candidates),
        cmocka_unit_test(every_secret_is_tried),
        cmocka_unit_test(svix_falls_back_by_header),
        cmocka_unit_test(settings_of_hmac),
        cmocka_unit_test(tokens),
        cmocka_unit_test(keys_that_are_fetched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
