/* SPDX-License-Identifier: Apache-2.0 */
/* Every case of Amazon's published suite (tests/data/aws-sig-v4-test-suite), signed and checked in both forms; then
 * what the suite leaves out: targets as clients send them, headers that must have no reading, and memory that is too
 * small. */
#include "codec/sigv4.h"

#include "base/os.h"
#include "codec/digest.h"
#include "codec/form.h"
#include "codec/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>

#define S(literal)                                                                                                     \
    { literal, sizeof(literal) - 1 }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SUITE        TEST_DATA "/aws-sig-v4-test-suite/v4"

static char memory[1 << 20]; /* of the case that runs */

static void assert_str(struct str got, struct str wanted) {
    if (!str_eq(got, wanted)) print_error("got    %.*s\nwanted %.*s\n", STR_ARG(got), STR_ARG(wanted));
    assert_true(str_eq(got, wanted));
}

static struct str read_case_file(struct arena *arena, const char *name, const char *file) {
    char path[512];
    struct str content;
    assert_true(snprintf(path, sizeof(path), SUITE "/%s/%s", name, file) < (int)sizeof(path));
    assert_false(err_is(os_file_read(path, 65536, &content)));
    struct str copy = arena_copy(arena, content);
    free((void *)(uintptr_t)content.ptr);
    assert_non_null(copy.ptr);
    return copy;
}

/* The suite's requests end lines with LF, have raw bytes in the target, and fold header values over lines. */
static void read_request(struct arena *arena, struct str text, struct http_request *ret) {
    *ret = (struct http_request){.body = STR("")};
    struct str line;
    assert_true(str_cut(text, '\n', &line, &text));
    assert_true(str_cut(line, ' ', &ret->method, &ret->target));
    assert_true(str_ends(ret->target, STR(" HTTP/1.1")));
    ret->target.len -= strlen(" HTTP/1.1");
    request_split_target(ret);
    while (text.len > 0) {
        if (!str_cut(text, '\n', &line, &text)) {
            line = text;
            text = STR("");
        }
        if (line.len == 0) break;
        if (line.ptr[0] == ' ') {
            struct http_header *last = &ret->headers[ret->header_count - 1];
            struct writer w = arena_writer(arena);
            writer_put(&w, last->value);
            writer_put(&w, line);
            last->value = arena_take(arena, &w);
            continue;
        }
        struct http_header *header = &ret->headers[ret->header_count++];
        assert_true(str_cut(line, ':', &header->name, &header->value));
    }
    ret->body = text;
}

struct context {
    struct sigv4_signer signer;
    struct sigv4_options options;
    uint32_t expires_s;
    bool sign_body;
};

static struct str json_text(struct arena *arena, json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return arena_copy(arena, str_from(text == NULL ? "" : text));
}

static struct context read_context(struct arena *arena, const char *name) {
    struct str text = read_case_file(arena, name, "context.json");
    json_t *root = json_loadb(text.ptr, text.len, 0, NULL);
    assert_non_null(root);
    json_t *credentials = json_object_get(root, "credentials");
    struct context context = {
        .signer.access_key_id = json_text(arena, credentials, "access_key_id"),
        .signer.secret = json_text(arena, credentials, "secret_access_key"),
        .signer.session_token = json_text(arena, credentials, "token"),
        .signer.region = json_text(arena, root, "region"),
        .signer.service = json_text(arena, root, "service"),
        .options = {.normalize_path = json_is_true(json_object_get(root, "normalize")), .encode_path_twice = true},
        .expires_s = (uint32_t)json_integer_value(json_object_get(root, "expiration_in_seconds")),
        .sign_body = json_is_true(json_object_get(root, "sign_body")),
    };
    if (json_is_true(json_object_get(root, "omit_session_token"))) context.signer.session_token = STR("");

    char date[32];
    struct writer w = writer_make(date, sizeof(date));
    struct str timestamp = json_text(arena, root, "timestamp"); /* 2015-08-30T12:36:00Z */
    for (size_t i = 0; i < timestamp.len; i++)
        if (timestamp.ptr[i] != '-' && timestamp.ptr[i] != ':') writer_char(&w, timestamp.ptr[i]);
    assert_true(text_amz_date_read(writer_str(&w), &context.signer.now_s));
    json_decref(root);
    return context;
}

static struct str hex_sha256(struct arena *arena, struct str s) {
    uint8_t digest[32];
    digest_sha256(s, digest);
    struct writer w = arena_writer(arena);
    text_hex_write(&w, digest, sizeof(digest));
    return arena_take(arena, &w);
}

/* Steps 1 to 4, each compared with its file. */
static void check_steps(struct arena *arena, const char *name, const char *form, const struct context *context,
                        const struct http_request *request, struct str signed_headers, struct str leave_out) {
    char file[64];
    struct str payload_hash = hex_sha256(arena, request->body);
    struct writer w = arena_writer(arena);
    sigv4_canonical_request(&w, request, signed_headers, payload_hash, leave_out, context->options);
    struct str canonical_request = arena_take(arena, &w);
    (void)snprintf(file, sizeof(file), "%s-canonical-request.txt", form);
    assert_str(canonical_request, read_case_file(arena, name, file));

    w = arena_writer(arena);
    sigv4_string_to_sign(&w, STR("20150830T123600Z"), STR("20150830/us-east-1/service/aws4_request"),
                         canonical_request);
    struct str string_to_sign = arena_take(arena, &w);
    (void)snprintf(file, sizeof(file), "%s-string-to-sign.txt", form);
    assert_str(string_to_sign, read_case_file(arena, name, file));

    char signature[64];
    sigv4_signature(context->signer.secret, STR("20150830"), STR("us-east-1"), STR("service"), string_to_sign,
                    signature);
    (void)snprintf(file, sizeof(file), "%s-signature.txt", form);
    assert_str(str_make(signature, 64), read_case_file(arena, name, file));
}

static void check_header_form(const char *name) {
    struct arena arena = arena_make(memory, sizeof(memory));
    struct context context = read_context(&arena, name);
    struct http_request request, signed_request;
    read_request(&arena, read_case_file(&arena, name, "request.txt"), &request);
    read_request(&arena, read_case_file(&arena, name, "header-signed-request.txt"), &signed_request);
    signed_request.body = request.body; /* the suite adds an empty line to those without a body */

    struct str header = STR_NONE, ours = STR_NONE;
    struct sigv4_authorization authorization;
    assert_int_equal(request_header(&signed_request, STR("Authorization"), &header), 1);
    assert_true(sigv4_authorization_read(header, &authorization));
    assert_str(authorization.access_key_id, context.signer.access_key_id);
    assert_str(authorization.date, STR("20150830"));
    assert_str(authorization.region, context.signer.region);
    assert_str(authorization.service, context.signer.service);
    assert_str(authorization.signature, read_case_file(&arena, name, "header-signature.txt"));
    check_steps(&arena, name, "header", &context, &signed_request, authorization.signed_headers, STR_NONE);

    assert_true(sigv4_sign(&context.signer, context.options, context.sign_body, &request, &arena));
    assert_int_equal(request_header(&request, STR("Authorization"), &ours), 1);
    assert_str(ours, header);
}

static void check_query_form(const char *name) {
    struct arena arena = arena_make(memory, sizeof(memory));
    struct context context = read_context(&arena, name);
    struct http_request request, signed_request;
    read_request(&arena, read_case_file(&arena, name, "request.txt"), &request);
    read_request(&arena, read_case_file(&arena, name, "query-signed-request.txt"), &signed_request);
    signed_request.body = request.body;

    struct str target, signed_headers = STR_NONE;
    bool bad = false;
    assert_true(sigv4_presign(&context.signer, context.options, context.expires_s, &request, &arena, &target));
    if (strcmp(name, "post-sts-header-after") == 0) { /* the token is added once all is signed */
        signed_request.target = target;
        request_split_target(&signed_request);
    }
    assert_str(target, signed_request.target);
    assert_int_equal(form_find(signed_request.query, STR("X-Amz-SignedHeaders"), &arena, &signed_headers, &bad), 1);
    check_steps(&arena, name, "query", &context, &signed_request, signed_headers, STR("X-Amz-Signature"));
}

static void suite(void **state) {
    (void)state;
    DIR *dir = opendir(SUITE);
    size_t count = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        check_header_form(entry->d_name);
        check_query_form(entry->d_name);
        count++;
    }
    assert_int_equal(closedir(dir), 0);
    assert_int_equal(count, 38);
}

static struct http_request request_of(struct str target) {
    struct http_request request = {.method = STR("POST"), .target = target, .body = STR("")};
    request_split_target(&request);
    request.headers[request.header_count++] = (struct http_header){STR("Host"), STR("h")};
    return request;
}

/* Targets as they are on the wire, where paths are already encoded once. */
static void raw_targets(void **state) {
    (void)state;
    static const struct {
        const char *target;
        bool normalize, twice;
        const char *path, *query;
    } cases[] = {
        {"/", true, true, "/", ""},
        {"", true, true, "/", ""},
        {"", false, false, "/", ""},
        {"/?", true, true, "/", ""},
        {"/a%20b", true, true, "/a%2520b", ""},
        {"/a%20b", false, false, "/a%20b", ""},
        {"/a b+c", true, true, "/a%20b%2Bc", ""},
        {"/a b+c", false, false, "/a%20b%2Bc", ""},
        {"/a%2fb%7E~", false, false, "/a%2Fb~~", ""},
        {"/a%2fb", true, true, "/a%252fb", ""},
        {"/2015/functions/arn%3Aaws/x", true, true, "/2015/functions/arn%253Aaws/x", ""},
        {"/a%zz%4", false, false, "/a%25zz%254", ""},
        {"/a/./b/../c", true, true, "/a/c", ""},
        {"/a/./b/../c", false, true, "/a/./b/../c", ""},
        {"/../../a", true, true, "/a", ""},
        {"/a/..", true, true, "/", ""},
        {"/a/../", true, true, "/", ""},
        {"/a/.", true, true, "/a", ""},
        {"/a/./", true, true, "/a/", ""},
        {"/a//b//", true, true, "/a/b/", ""},
        {"/a b/..//%20/..", true, true, "/", ""},
        {"/.../..a", true, true, "/.../..a", ""},
        {"/%2e%2e/a", true, true, "/%252e%252e/a", ""},
        {"/a%2Fb/../c", true, false, "/c", ""},
        {"//", true, false, "/", ""},
        {"//", false, false, "//", ""},
        {"/?b=2&a=1", true, true, "/", "a=1&b=2"},
        {"/?a", true, true, "/", "a="},
        {"/?a=&a", true, true, "/", "a=&a="},
        {"/?=", true, true, "/", "="},
        {"/?a=b=c", true, true, "/", "a=b%3Dc"},
        {"/?a=2&a=10&a=1", true, true, "/", "a=1&a=10&a=2"},
        {"/?a-=1&a=2&aa=3", true, true, "/", "a=2&a-=1&aa=3"},
        {"/?a=1&&b=2&", true, true, "/", "a=1&b=2"},
        {"/?B=1&a=2&C=3", true, true, "/", "B=1&C=3&a=2"},
        {"/?a=%2f&b=%2F&c=/", true, true, "/", "a=%2F&b=%2F&c=%2F"},
        {"/?a=x+y&b=%20&c= ", true, true, "/", "a=x%2By&b=%20&c=%20"},
        {"/?a=%zz&b=%", true, true, "/", "a=%25zz&b=%25"},
        {"/?%61=%7e", true, true, "/", "a=~"},
        {"/?a=?&b=1?2", true, true, "/", "a=%3F&b=1%3F2"},
        {"/?x=1&Leave-Out=2&y=3", true, true, "/", "x=1&y=3"},
        {"/?x=1&Leave%2DOut=2", true, true, "/", "x=1"},
        {"/?leave-out=2&Leave-Outs=1", true, true, "/", "Leave-Outs=1&leave-out=2"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_request request = request_of(str_from(cases[i].target));
        struct sigv4_options options = {cases[i].normalize, cases[i].twice};
        char wanted[512];
        (void)snprintf(wanted, sizeof(wanted), "POST\n%s\n%s\nhost:h\n\nhost\nHASH", cases[i].path, cases[i].query);
        struct writer w = writer_make(memory, sizeof(memory));
        sigv4_canonical_request(&w, &request, STR("host"), STR("HASH"), STR("Leave-Out"), options);
        assert_str(writer_str(&w), str_from(wanted));
    }
}

static void header_values(void **state) {
    (void)state;
    struct http_request request = request_of(STR("/"));
    static const struct http_header headers[] = {
        {S("X-A"), S("  a \t b  ")}, {S("x-b"), S("")}, {S("X-a"), S("c")}, {S("x-A"), S("\t")}, {S("x-aa"), S("no")},
    };
    for (size_t i = 0; i < COUNT(headers); i++)
        request.headers[request.header_count++] = headers[i];
    struct writer w = writer_make(memory, sizeof(memory));
    sigv4_canonical_request(&w, &request, STR("host;x-a;x-b;x-none"), STR("HASH"), STR_NONE, SIGV4_AWS_SERVICE);
    assert_str(writer_str(&w), STR("POST\n/\n\nhost:h\nx-a:a b,c,\nx-b:\nx-none:\n\nhost;x-a;x-b;x-none\nHASH"));
}

#define HEX64   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CRED    "Credential=AKID/20150830/us-east-1/lambda/aws4_request"
#define HEADERS "SignedHeaders=host;x-amz-date"
#define SIGN    "Signature=" HEX64

static void authorization_accepted(void **state) {
    (void)state;
    static const struct str cases[] = {
        S("AWS4-HMAC-SHA256 " CRED ", " HEADERS ", " SIGN),      S("AWS4-HMAC-SHA256 " CRED "," HEADERS "," SIGN),
        S("AWS4-HMAC-SHA256   " CRED " ,\t" HEADERS " , " SIGN), S("AWS4-HMAC-SHA256 " SIGN ", " HEADERS ", " CRED),
        S("AWS4-HMAC-SHA256 " HEADERS "," CRED "," SIGN " "),
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sigv4_authorization found;
        assert_true(sigv4_authorization_read(cases[i], &found));
        assert_str(found.access_key_id, STR("AKID"));
        assert_str(found.scope, STR("20150830/us-east-1/lambda/aws4_request"));
        assert_str(found.date, STR("20150830"));
        assert_str(found.region, STR("us-east-1"));
        assert_str(found.service, STR("lambda"));
        assert_str(found.signed_headers, STR("host;x-amz-date"));
        assert_str(found.signature, STR(HEX64));
    }
}

static void authorization_refused(void **state) {
    (void)state;
#define A "AWS4-HMAC-SHA256 "
    static const struct str cases[] = {
        S(""),
        S("AWS4-HMAC-SHA256"),
        S(A),
        S(A ","),
        S("Basic dXNlcjpwYXNz"),
        S("Bearer " CRED "," HEADERS "," SIGN),
        S("aws4-hmac-sha256 " CRED "," HEADERS "," SIGN),
        S("AWS4-HMAC-SHA512 " CRED "," HEADERS "," SIGN),
        S("AWS4-ECDSA-P256-SHA256 " CRED "," HEADERS "," SIGN),
        S(" AWS4-HMAC-SHA256 " CRED "," HEADERS "," SIGN),
        S("AWS4-HMAC-SHA256\t" CRED "," HEADERS "," SIGN),
        S("AWS4-HMAC-SHA256," CRED "," HEADERS "," SIGN),
        /* A part missing, twice, unknown, empty, or misspelled. */
        S(A HEADERS "," SIGN),
        S(A CRED "," SIGN),
        S(A CRED "," HEADERS),
        S(A CRED "," CRED "," HEADERS "," SIGN),
        S(A CRED "," HEADERS "," HEADERS "," SIGN),
        S(A CRED "," HEADERS "," SIGN "," SIGN),
        S(A CRED "," HEADERS "," SIGN ","),
        S(A "," CRED "," HEADERS "," SIGN),
        S(A CRED ",," HEADERS "," SIGN),
        S(A CRED "," HEADERS "," SIGN ",Extra=1"),
        S(A CRED "," HEADERS "," SIGN ",Extra"),
        S(A "credential=AKID/20150830/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A CRED ",signedheaders=host," SIGN),
        S(A CRED "," HEADERS ",signature=" HEX64),
        S(A CRED " " HEADERS " " SIGN),
        S(A CRED ";" HEADERS ";" SIGN),
        S(A CRED "," HEADERS "," SIGN "," A CRED "," HEADERS "," SIGN),
        S(A "Credential =AKID/20150830/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential= AKID/20150830/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential=\"AKID/20150830/us-east-1/lambda/aws4_request\"," HEADERS "," SIGN),
        /* The scope. */
        S(A "Credential=," HEADERS "," SIGN),
        S(A "Credential," HEADERS "," SIGN),
        S(A "Credential=AKID," HEADERS "," SIGN),
        S(A "Credential=AKID/20150830/us-east-1/lambda," HEADERS "," SIGN),
        S(A "Credential=AKID/20150830/us-east-1/lambda/," HEADERS "," SIGN),
        S(A "Credential=AKID/20150830/us-east-1/lambda/aws4_request/," HEADERS "," SIGN),
        S(A "Credential=AKID/20150830/us-east-1/lambda/x/aws4_request," HEADERS "," SIGN),
        S(A "Credential=AKID/20150830/us-east-1/lambda/AWS4_REQUEST," HEADERS "," SIGN),
        S(A "Credential=/20150830/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential=AKID//us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential=AKID/20150830//lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential=AKID/20150830/us-east-1//aws4_request," HEADERS "," SIGN),
        S(A "Credential=AKID/2015083/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential=AKID/201508300/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential=AKID/2015083x/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential=AK ID/20150830/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential=AK\0ID/20150830/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        S(A "Credential=AK\xc3\xa9/20150830/us-east-1/lambda/aws4_request," HEADERS "," SIGN),
        /* The header names. */
        S(A CRED ",SignedHeaders=," SIGN),
        S(A CRED ",SignedHeaders," SIGN),
        S(A CRED ",SignedHeaders=;host," SIGN),
        S(A CRED ",SignedHeaders=host;," SIGN),
        S(A CRED ",SignedHeaders=host;;x," SIGN),
        S(A CRED ",SignedHeaders=x-amz-date;host," SIGN),
        S(A CRED ",SignedHeaders=host;host," SIGN),
        S(A CRED ",SignedHeaders=Host;x-amz-date," SIGN),
        S(A CRED ",SignedHeaders=host;x amz," SIGN),
        S(A CRED ",SignedHeaders=host;x:y," SIGN),
        S(A CRED ",SignedHeaders=host;x\n," SIGN),
        S(A CRED ",SignedHeaders=host;x\0," SIGN),
        S(A CRED ",SignedHeaders=host;\xc3\xa9," SIGN),
        S(A CRED ",SignedHeaders=a;c;b," SIGN),
        S(A CRED ",SignedHeaders=ab;a," SIGN),
        /* The signature. */
        S(A CRED "," HEADERS ",Signature="),
        S(A CRED "," HEADERS ",Signature"),
        S(A CRED "," HEADERS "," SIGN "0"),
        S(A CRED "," HEADERS ",Signature=0123456789abcdef"),
        S(A CRED "," HEADERS ",Signature=" HEX64 HEX64),
        S(A CRED "," HEADERS ",Signature=0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"),
        S(A CRED "," HEADERS ",Signature=g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        S(A CRED "," HEADERS ",Signature= 123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        S(A CRED "," HEADERS ",Signature=\0"
                 "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sigv4_authorization found = {.access_key_id = STR("untouched")};
        if (sigv4_authorization_read(cases[i], &found)) print_error("accepted: %.*s\n", STR_ARG(cases[i]));
        assert_false(sigv4_authorization_read(cases[i], &found));
        assert_str(found.access_key_id, STR("untouched"));
    }
    /* Cut at each length. */
    struct str whole = STR(A CRED "," HEADERS "," SIGN);
    struct sigv4_authorization found;
    assert_true(sigv4_authorization_read(whole, &found));
    for (size_t size = 0; size < whole.len; size++)
        assert_false(sigv4_authorization_read(str_make(whole.ptr, size), &found));
}

/* Secrets around the size of a block: "AWS4" and the secret are one key. */
static void secret_sizes(void **state) {
    (void)state;
    for (size_t size = 0; size <= 200; size++) {
        char key[204] = "AWS4", wanted[64], got[64];
        memset(key + 4, 's', size);
        const struct str steps[] = {STR("20150830"), STR("us-east-1"), STR("lambda"), STR("aws4_request"), STR("text")};
        uint8_t digest[32];
        digest_hmac(DIGEST_SHA256, str_make(key, 4 + size), &steps[0], 1, digest);
        for (size_t i = 1; i < COUNT(steps); i++) {
            uint8_t last[32];
            memcpy(last, digest, sizeof(last));
            digest_hmac(DIGEST_SHA256, str_make((const char *)last, sizeof(last)), &steps[i], 1, digest);
        }
        struct writer w = writer_make(wanted, sizeof(wanted));
        text_hex_write(&w, digest, sizeof(digest));
        sigv4_signature(str_make(key + 4, size), steps[0], steps[1], steps[2], steps[4], got);
        assert_memory_equal(got, wanted, sizeof(got));
    }
}

/* With memory of each size: the same answer, or overflow. */
static void canonical_bounded(void **state) {
    (void)state;
    struct http_request request = request_of(STR("/a b/../c?q=%2f&a=1"));
    struct writer whole = writer_make(memory, sizeof(memory));
    sigv4_canonical_request(&whole, &request, STR("host"), STR(HEX64), STR_NONE, SIGV4_AWS_SERVICE);
    assert_false(whole.overflow);
    for (size_t room = 0; room <= whole.len + 1; room++) {
        char text[512];
        memset(text, '#', sizeof(text));
        struct writer w = writer_make(text, room);
        sigv4_canonical_request(&w, &request, STR("host"), STR(HEX64), STR_NONE, SIGV4_AWS_SERVICE);
        if (!w.overflow) assert_str(writer_str(&w), writer_str(&whole));
        if (room >= whole.len + 8) assert_false(w.overflow); /* a segment that ".." removes needs room for a while */
        assert_true(room >= whole.len || w.overflow);
        for (size_t i = room; i < sizeof(text); i++)
            assert_int_equal(text[i], '#');
    }
}

static void query_bounded(void **state) {
    (void)state;
    static char target[HTTP_TARGET_SIZE_MAX + 3];
    static const char *const patterns[] = {"a&", "&", "%", "=", "%41", "\xff", "a=b&"};
    for (size_t i = 0; i < COUNT(patterns); i++)
        for (size_t extra = 0; extra < 2; extra++) {
            target[0] = '/', target[1] = '?';
            for (size_t k = 0; k < HTTP_TARGET_SIZE_MAX + 1; k++)
                target[2 + k] = patterns[i][k % strlen(patterns[i])];
            struct http_request request = request_of(str_make(target, 2 + HTTP_TARGET_SIZE_MAX + extra));
            struct writer w = writer_make(memory, sizeof(memory));
            sigv4_canonical_request(&w, &request, STR("host"), STR("HASH"), STR_NONE, SIGV4_AWS_SERVICE);
            assert_int_equal(w.overflow, extra == 1);
        }
}

static const struct sigv4_signer signer = {
    .access_key_id = S("AKID"),
    .secret = S("secret"),
    .session_token = S("token/+="),
    .region = S("eu-central-1"),
    .service = S("dynamodb"),
    .now_s = 1795460930,
};

/* What goes on the way is not signed, names are lower-cased and sorted, and a name sent twice is named once. */
static void sign_names(void **state) {
    (void)state;
    static const struct http_header headers[] = {
        {S("User-Agent"), S("x")},
        {S("X-Amz-Target"), S("DynamoDB_20120810.UpdateItem")},
        {S("Connection"), S("close")},
        {S("Expect"), S("100-continue")},
        {S("Transfer-Encoding"), S("chunked")},
        {S("Accept"), S("a")},
        {S("accept"), S("b")},
        {S("X_Y"), S("1")},
    };
    struct arena arena = arena_make(memory, sizeof(memory));
    struct http_request request = request_of(STR("/"));
    for (size_t i = 0; i < COUNT(headers); i++)
        request.headers[request.header_count++] = headers[i];
    uint32_t count = request.header_count;
    assert_true(sigv4_sign(&signer, SIGV4_AWS_SERVICE, true, &request, &arena));
    assert_int_equal(request.header_count, count + 4);
    struct str value = STR_NONE;
    assert_int_equal(request_header(&request, STR("x-amz-date"), &value), 1);
    assert_str(value, STR("20261123T190850Z"));
    assert_int_equal(request_header(&request, STR("x-amz-security-token"), &value), 1);
    assert_str(value, signer.session_token);
    assert_int_equal(request_header(&request, STR("x-amz-content-sha256"), &value), 1);
    assert_str(value, STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    assert_int_equal(request_header(&request, STR("authorization"), &value), 1);
    struct sigv4_authorization authorization;
    assert_true(sigv4_authorization_read(value, &authorization));
    assert_str(authorization.signed_headers,
               STR("accept;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target;x_y"));
}

static void sign_bounded(void **state) {
    (void)state;
    const struct http_request plain = request_of(STR("/path?a=b"));
    bool signed_once = false, presigned_once = false;
    for (size_t size = 0; size <= 4096; size++) {
        struct arena arena = arena_make(memory, size);
        struct http_request request = plain;
        bool done = sigv4_sign(&signer, SIGV4_AWS_SERVICE, true, &request, &arena);
        assert_true(done || !signed_once);
        assert_int_equal(request.header_count, plain.header_count + (done ? 4 : 0));
        signed_once = done;

        arena = arena_make(memory, size);
        struct str target = STR("untouched");
        done = sigv4_presign(&signer, SIGV4_AWS_SERVICE, 60, &plain, &arena, &target);
        assert_true(done || !presigned_once);
        assert_int_equal(str_eq(target, STR("untouched")), !done);
        presigned_once = done;
    }
    assert_true(signed_once);
    assert_true(presigned_once);

    for (uint32_t room = 0; room < 6; room++) {
        struct http_request request = plain;
        while (request.header_count < HTTP_HEADERS_MAX - room)
            request.headers[request.header_count++] = (struct http_header){STR("x"), STR("y")};
        struct arena arena = arena_make(memory, sizeof(memory));
        assert_int_equal(sigv4_sign(&signer, SIGV4_AWS_SERVICE, true, &request, &arena), room >= 4);
        assert_int_equal(request.header_count, HTTP_HEADERS_MAX - room + (room >= 4 ? 4 : 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suite),
        cmocka_unit_test(raw_targets),
        cmocka_unit_test(header_values),
        cmocka_unit_test(authorization_accepted),
        cmocka_unit_test(authorization_refused),
        cmocka_unit_test(secret_sizes),
        cmocka_unit_test(canonical_bounded),
        cmocka_unit_test(query_bounded),
        cmocka_unit_test(sign_names),
        cmocka_unit_test(sign_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
