/* SPDX-License-Identifier: Apache-2.0 */
/* What POST / accepts: requests as real clients sent them, each byte of them flipped, and requests that are signed
 * rightly but break one rule of the policy each. */
#include "provider/iam.h"

#include "codec/digest.h"
#include "codec/sigv4.h"
#include "codec/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define S(literal)                                                                                                     \
    { literal, sizeof(literal) - 1 }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ID        "AKIDLOCAL0000000001"
#define SECRET    "local/secret+key/0123456789abcdef"
#define BODY      "{\"transactionId\":\"test-123\",\"amount\":100}"
#define BODY_HASH "232e13393e984f5124ee5af8668e8eda2f016cacba5b27a6ee16f5fcf4c34f80"
#define DATE      "20261125T072657Z"
#define DAY       "20261125"
#define AUTHORIZATION(day, names, signature)                                                                           \
    "Authorization: AWS4-HMAC-SHA256 Credential=" ID "/" day "/eu-central-1/lambda/aws4_request, SignedHeaders=" names \
    ", Signature=" signature "\r\n"

static const int64_t signed_s = 1795591617; /* DATE */
static char memory[1 << 17];

/* Captured on loopback; curl 7.88.1 --aws-sigv4 aws:amz:eu-central-1:lambda, and botocore 1.43.11 SigV4Auth sent by
 * http.client. */
static const struct {
    const char *name;
    struct str wire;
} captured[] = {
    {"curl, JSON",
     S("POST / HTTP/1.1\r\n"
       "Host: 127.0.0.1:18099\r\n" AUTHORIZATION(
           DAY, "content-type;host;x-amz-date",
           "8120f5b6203ff2664dcd06bf9861443d96e63bd68021f84b49a7d0e3370f9c37") "X-Amz-Date: " DATE "\r\n"
                                                                               "User-Agent: curl/7.88.1\r\n"
                                                                               "Accept: */*\r\n"
                                                                               "content-type: application/json\r\n"
                                                                               "Content-Length: 41\r\n\r\n" BODY)},
    {"curl, idempotency key",
     S("POST / HTTP/1.1\r\n"
       "Host: 127.0.0.1:18099\r\n" AUTHORIZATION(
           DAY, "content-type;host;idempotency-key;x-amz-date;x-amz-meta-a",
           "af6a22bd235232a00200ed1074bf9de7d060c89cc5c01eaa2dd4f25e90354706") "X-Amz-Date: " DATE "\r\n"
                                                                               "User-Agent: curl/7.88.1\r\n"
                                                                               "Accept: */*\r\n"
                                                                               "content-type: application/json\r\n"
                                                                               "Idempotency-Key:  order-77\r\n"
                                                                               "x-amz-meta-a: 1\r\n"
                                                                               "Content-Length: 41\r\n\r\n" BODY)},
    {"curl, query and a content type of its own",
     S("POST /?a=1&b=2 HTTP/1.1\r\n"
       "Host: 127.0.0.1:18099\r\n" AUTHORIZATION(DAY, "host;x-amz-date",
                                                 "7d5e23ddbf9982c89f916e91dbc7278ae4eacb2151970b589ec739254d732e"
                                                 "b3") "X-Amz-Date: " DATE "\r\n"
                                                       "User-Agent: curl/7.88.1\r\n"
                                                       "Accept: */*\r\n"
                                                       "Content-Length: 41\r\n"
                                                       "Content-Type: "
                                                       "application/x-www-form-urlencoded\r\n\r\n" BODY)},
    {"botocore",
     S("POST / HTTP/1.1\r\n"
       "Host: 127.0.0.1:18099\r\n"
       "Accept-Encoding: identity\r\n"
       "Content-Type: application/json\r\n"
       "Idempotency-Key: order-77\r\n"
       "X-Amz-Date: " DATE "\r\n" AUTHORIZATION(
           DAY, "content-type;host;idempotency-key;x-amz-date",
           "c1b0a76c5a9ca5714b7d3ad3e2082fcd6825426f891f837336a7470f81cbaf81") "Content-Length: 41\r\n\r\n" BODY)},
};

static const struct iam_key keys[] = {
    {S("AKIDOTHER0000000002"), S("another/secret")},
    {S(ID), S("the secret before the last roll")},
    {S(ID), S(SECRET)},
    {S(""), S("")},
};

static struct iam_policy policy_at(int64_t now_s) {
    return (struct iam_policy){.keys = keys,
                               .key_count = COUNT(keys),
                               .region = STR("eu-central-1"),
                               .service = STR("lambda"),
                               .now_s = now_s,
                               .skew_s_max = IAM_SKEW_S_MAX};
}

/* Slices over text. Only as strict as our own requests need. */
static void read_request(struct str text, struct http_request *ret) {
    struct str line, rest;
    *ret = (struct http_request){.method = STR("")};
    assert_true(str_cut(text, '\n', &line, &text));
    assert_true(str_cut(line, ' ', &ret->method, &rest));
    assert_true(str_cut(rest, ' ', &ret->target, &rest));
    request_split_target(ret);
    while (str_cut(text, '\n', &line, &text) && line.len > 1) {
        struct http_header *header = &ret->headers[ret->header_count++];
        line.len--; /* CR */
        assert_true(str_cut(line, ':', &header->name, &header->value));
        header->value = str_trim(header->value);
    }
    ret->body = text;
}

struct answer {
    bool authentic;
    int32_t key;
    int64_t skew_s;
    struct str reason;
};

static struct answer verify(const struct iam_policy *policy, const struct http_request *request) {
    struct arena arena = arena_make(memory, sizeof(memory));
    struct answer answer = {.key = 77, .skew_s = 77, .reason = STR_NONE};
    answer.authentic = iam_verify(policy, request, &arena, &answer.key, &answer.skew_s, &answer.reason);
    assert_int_equal(arena.used, 0);
    assert_int_equal(answer.reason.len == 0, answer.authentic);
    assert_non_null(answer.reason.ptr);
    return answer;
}

static void real_clients(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(captured); i++) {
        struct http_request request;
        read_request(captured[i].wire, &request);
        struct iam_policy policy = policy_at(signed_s + 12);
        struct answer answer = verify(&policy, &request);
        if (!answer.authentic) print_error("%s: %.*s\n", captured[i].name, STR_ARG(answer.reason));
        assert_true(answer.authentic);
        assert_int_equal(answer.key, 2);
        assert_int_equal(answer.skew_s, -12);
    }
}

static void skew(void **state) {
    (void)state;
    static const struct {
        int64_t now_s, skew_s;
        bool authentic;
    } cases[] = {{0, 0, true},       {300, -300, true},      {-300, 300, true},      {301, -301, false},
                 {-301, 301, false}, {86400, -86400, false}, {-86400, 86400, false}, {-1795591617, 1795591617, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_request request;
        read_request(captured[0].wire, &request);
        struct iam_policy policy = policy_at(signed_s + cases[i].now_s);
        struct answer answer = verify(&policy, &request);
        assert_int_equal(answer.authentic, cases[i].authentic);
        assert_int_equal(answer.skew_s, cases[i].skew_s); /* told even where it is refused */
        assert_int_equal(answer.key, 2);
    }
}

enum mark { MARK_SYNTAX, MARK_FREE, MARK_SIGNED, MARK_NAME };

/* part is a slice of whole. */
static void mark(struct str whole, struct str part, enum mark mark, enum mark *marks) {
    size_t start = (size_t)(part.ptr - whole.ptr);
    for (size_t i = 0; i < part.len; i++)
        marks[start + i] = mark;
}

static bool is_signed(struct str names, struct str header) {
    struct str name, rest;
    while (str_cut(names, ';', &name, &rest)) {
        if (str_eq_nocase(name, header)) return true;
        names = rest;
    }
    return str_eq_nocase(names, header) || str_eq_nocase(header, STR("authorization"));
}

/* Each bit of what is signed, and of the signature: no. Of the rest: still yes, since it is not what it says. */
static void flips(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(captured); i++) {
        char text[1024];
        enum mark marks[1024] = {MARK_SYNTAX};
        struct str wire = str_make(text, captured[i].wire.len);
        assert_true(wire.len <= sizeof(text));
        memcpy(text, captured[i].wire.ptr, wire.len);
        struct http_request request;
        struct sigv4_authorization authorization;
        struct str value = STR_NONE;
        read_request(wire, &request);
        assert_int_equal(request_header(&request, STR("authorization"), &value), 1);
        assert_true(sigv4_authorization_read(value, &authorization));
        mark(wire, request.method, MARK_SIGNED, marks);
        mark(wire, str_from_index(request.target, 1), MARK_SIGNED, marks); /* "." for its slash is no request at all */
        mark(wire, request.body, MARK_SIGNED, marks);
        for (uint32_t k = 0; k < request.header_count; k++) {
            const struct http_header *header = &request.headers[k];
            bool covered = is_signed(authorization.signed_headers, header->name);
            mark(wire, header->name, covered ? MARK_NAME : MARK_SYNTAX, marks);
            mark(wire, header->value, covered ? MARK_SIGNED : MARK_FREE, marks);
        }

        struct iam_policy policy = policy_at(signed_s);
        size_t count = 0;
        for (size_t at = 0; at < wire.len; at++) {
            if (marks[at] == MARK_SYNTAX) continue;
            for (unsigned bit = 0; bit < 8; bit++) {
                if (marks[at] == MARK_NAME && bit == 5 && text[at] != '-') continue; /* both cases are one name */
                text[at] ^= (char)(1u << bit);
                struct http_request flipped =
                    request; /* slices stay, whatever the byte would mean to a reader of HTTP */
                request_split_target(&flipped);
                struct answer answer = verify(&policy, &flipped);
                text[at] ^= (char)(1u << bit);
                if (answer.authentic != (marks[at] == MARK_FREE))
                    print_error("%s: byte %zu bit %u\n", captured[i].name, at, bit);
                assert_int_equal(answer.authentic, marks[at] == MARK_FREE);
                count += marks[at] != MARK_FREE;
            }
        }
        assert_true(count > 2000);
        assert_true(verify(&policy, &request).authentic);
    }
}

static void bodies(void **state) {
    (void)state;
    struct iam_policy policy = policy_at(signed_s);
    struct http_request request;
    read_request(captured[0].wire, &request);
    struct str body = request.body;
    for (size_t size = 0; size < body.len; size++) {
        request.body = str_make(body.ptr, size);
        assert_false(verify(&policy, &request).authentic);
        request.body = str_from_index(body, size + 1);
        assert_false(verify(&policy, &request).authentic);
    }
    request.body = STR(BODY "\n");
    assert_false(verify(&policy, &request).authentic);
    request.body = STR_NONE;
    assert_false(verify(&policy, &request).authentic);
}

/* A request signed with the right key over exactly what the row names. Zero members mean the usual. */
struct row {
    const char *headers; /* in the place of the usual ones, "|" between them */
    const char *names;   /* signed */
    const char *target, *date, *day, *region, *service, *id, *secret, *hash, *form;
    const char *reason; /* NULL: authentic */
};

#define USUAL "Host: h|X-Amz-Date: " DATE "|Content-Type: application/json"
#define NAMES "content-type;host;x-amz-date"

static const char *or_usual(const char *text, const char *usual) { return text != NULL ? text : usual; }

/* The form with each "$" in it replaced by the next part. */
static struct str fill(struct arena *arena, const char *form, const char *const parts[3]) {
    struct writer w = arena_writer(arena);
    for (size_t next = 0; *form != '\0'; form++) {
        if (*form == '$') {
            assert_true(next < 3);
            writer_put(&w, str_from(parts[next++]));
        } else {
            writer_char(&w, *form);
        }
    }
    struct str text = arena_take(arena, &w);
    assert_non_null(text.ptr);
    return text;
}

static void sign_row(const struct row *row, struct arena *arena, struct http_request *ret) {
    *ret =
        (struct http_request){.method = STR("POST"), .target = str_from(or_usual(row->target, "/")), .body = STR(BODY)};
    request_split_target(ret);
    struct str rest = str_from(or_usual(row->headers, USUAL)), line;
    for (bool more = true; more;) {
        struct http_header *header = &ret->headers[ret->header_count++];
        more = str_cut(rest, '|', &line, &rest);
        assert_true(str_cut(more ? line : rest, ':', &header->name, &header->value));
        header->value = str_trim(header->value);
    }
    const char *names = or_usual(row->names, NAMES), *day = or_usual(row->day, DAY), *date = or_usual(row->date, DATE);
    const char *region = or_usual(row->region, "eu-central-1"), *service = or_usual(row->service, "lambda");
    struct str scope = fill(arena, "$/$/$/aws4_request", (const char *const[]){day, region, service});

    uint8_t digest[32];
    char hash[65], canonical[8192], string_to_sign[1024], signature[65] = "";
    digest_sha256(ret->body, digest);
    struct writer w = writer_make(hash, sizeof(hash));
    text_hex_write(&w, digest, sizeof(digest));
    (void)writer_cstr(&w);
    w = writer_make(canonical, sizeof(canonical));
    sigv4_canonical_request(&w, ret, str_from(names), str_from(or_usual(row->hash, hash)), STR_NONE, SIGV4_AWS_SERVICE);
    assert_false(w.overflow);
    struct writer sts = writer_make(string_to_sign, sizeof(string_to_sign));
    sigv4_string_to_sign(&sts, str_from(date), scope, writer_str(&w));
    assert_false(sts.overflow);
    sigv4_signature(str_from(or_usual(row->secret, SECRET)), str_from(day), str_from(region), str_from(service),
                    writer_str(&sts), signature);

    char credential[512];
    struct writer c = writer_make(credential, sizeof(credential));
    writer_put(&c, str_from(or_usual(row->id, ID)));
    writer_char(&c, '/');
    writer_put(&c, scope);
    const char *form = or_usual(row->form, "AWS4-HMAC-SHA256 Credential=$, SignedHeaders=$, Signature=$");
    struct str value = fill(arena, form, (const char *const[]){writer_cstr(&c), names, signature});
    ret->headers[ret->header_count++] = (struct http_header){STR("authorization"), value};
}

#define UNREADABLE "an authorization header that cannot be read"
#define QUERY_FORM "the query form is not accepted"
#define WRONG      "a wrong signature or an unknown access key id"

static void policy_rows(void **state) {
    (void)state;
    static const struct row rows[] = {
        /* Authentic. */
        {.reason = NULL},
        {.headers = "host: h|x-amz-date: " DATE, .names = "host;x-amz-date"},
        {.names = "host;x-amz-date"}, /* content-type need not be signed */
        {.headers = USUAL "|Idempotency-Key: k", .names = "content-type;host;idempotency-key;x-amz-date"},
        {.headers = USUAL "|X-Amz-Content-SHA256: " BODY_HASH,
         .names = "content-type;host;x-amz-content-sha256;x-amz-date"},
        {.headers = USUAL "|User-Agent: x|Accept: a|Accept: b|Cookie: c"},
        {.headers = USUAL "|Accept: a|Accept: b", .names = "accept;content-type;host;x-amz-date"},
        {.target = "/?a=1&b=%20"},
        {.target = "/?b=2&a=1"},
        {.target = "/?amz-x=1&xamz=2&x-am=3"},
        {.form = "AWS4-HMAC-SHA256 Credential=$,SignedHeaders=$,Signature=$"},
        {.secret = "the secret before the last roll"},

        /* The key. */
        {.id = "AKIDUNKNOWN", .reason = WRONG},
        {.id = "AKIDOTHER0000000002", .reason = WRONG},
        {.id = "akidlocal0000000001", .reason = WRONG},
        {.id = ID "0", .reason = WRONG},
        {.id = "AKIDUNKNOWN", .secret = "0000000000000000000000000000000000000000", .reason = WRONG}, /* the stand-in */
        {.id = "AKIDUNKNOWN", .secret = "", .reason = WRONG},
        {.id = "", .secret = "", .reason = UNREADABLE},
        {.secret = "local/secret+key/0123456789abcdeg", .reason = WRONG},
        {.secret = "", .reason = WRONG},

        /* The authorization header. */
        {.headers = USUAL "|Authorization: Bearer x", .reason = "more than one authorization header"},
        {.form = "AWS4-HMAC-SHA256 Credential=$, SignedHeaders=$", .reason = UNREADABLE},
        {.form = "AWS4-HMAC-SHA256 Credential=$, SignedHeaders=$, Signature=$, Signature=0", .reason = UNREADABLE},
        {.form = "AWS4-HMAC-SHA512 Credential=$, SignedHeaders=$, Signature=$", .reason = UNREADABLE},
        {.form = "AWS4-HMAC-SHA256 Credential=$, SignedHeaders=$, Signature=$,AWS4-HMAC-SHA256", .reason = UNREADABLE},
        {.names = "host;content-type;x-amz-date", .reason = UNREADABLE},
        {.names = "Content-Type;Host;X-Amz-Date", .reason = UNREADABLE},
        {.names = "host;host;x-amz-date", .reason = UNREADABLE},

        /* The scope. */
        {.day = "20261124", .reason = "the scope is of another day than x-amz-date"},
        {.day = "20261126", .reason = "the scope is of another day than x-amz-date"},
        {.day = "2026112", .reason = UNREADABLE},
        {.region = "us-east-1", .reason = "another region"},
        {.region = "EU-CENTRAL-1", .reason = "another region"},
        {.region = "eu-central-1a", .reason = "another region"},
        {.service = "s3", .reason = "another service"},
        {.service = "Lambda", .reason = "another service"},

        /* The date. */
        {.headers = "Host: h|Date: Wed, 25 Nov 2026 07:26:57 GMT",
         .names = "date;host",
         .reason = "no x-amz-date header"},
        {.headers = "Host: h|X-Amz-Date: 2026-11-25T07:26:57Z",
         .names = "host;x-amz-date",
         .date = "2026-11-25T07:26:57Z",
         .reason = "an x-amz-date that is no date"},
        {.headers = "Host: h|X-Amz-Date: 20261125T072657",
         .names = "host;x-amz-date",
         .date = "20261125T072657",
         .reason = "an x-amz-date that is no date"},
        {.headers = "Host: h|X-Amz-Date: ",
         .names = "host;x-amz-date",
         .date = "",
         .reason = "an x-amz-date that is no date"},
        {.headers = USUAL "|X-Amz-Date: " DATE, .reason = "a repeated x-amz-* header"},
        {.headers = USUAL "|x-amz-date: 20261125T072658Z", .reason = "a repeated x-amz-* header"},
        {.headers = "Host: h|X-Amz-Date: " DATE "," DATE,
         .names = "host;x-amz-date",
         .date = DATE "," DATE,
         .reason = "an x-amz-date that is no date"},
        {.date = "20261125T072658Z", .reason = WRONG}, /* the string to sign has another time than the header */
        {.headers = "Host: h|X-Amz-Date: 20261125T072157Z", .names = "host;x-amz-date", .date = "20261125T072157Z"},
        {.headers = "Host: h|X-Amz-Date: 20261125T072156Z",
         .names = "host;x-amz-date",
         .date = "20261125T072156Z",
         .reason = "signed too long ago"},
        {.headers = "Host: h|X-Amz-Date: 20261125T073157Z", .names = "host;x-amz-date", .date = "20261125T073157Z"},
        {.headers = "Host: h|X-Amz-Date: 20261125T073158Z",
         .names = "host;x-amz-date",
         .date = "20261125T073158Z",
         .reason = "signed in the future"},

        /* What must be signed, and what is signed must be there. */
        {.names = "content-type;x-amz-date", .reason = "host is not signed"},
        {.names = "content-type;host", .reason = "an x-amz-* header is not signed"},
        {.headers = USUAL "|X-Amz-Meta: a", .reason = "an x-amz-* header is not signed"},
        {.headers = USUAL "|x-AMZ-target: a", .reason = "an x-amz-* header is not signed"},
        {.headers = USUAL "|X-Amz-Meta: a|X-Amz-Meta: b",
         .names = NAMES ";x-amz-meta",
         .reason = "a repeated x-amz-* header"},
        {.headers = USUAL "|Idempotency-Key: k", .reason = "idempotency-key is not signed"},
        {.headers = USUAL "|IDEMPOTENCY-KEY: k", .reason = "idempotency-key is not signed"},
        {.names = NAMES ";x-amz-meta", .reason = "a signed header is missing"},
        {.names = "content-type;host;idempotency-key;x-amz-date", .reason = "a signed header is missing"},
        {.headers = "X-Amz-Date: " DATE, .names = "x-amz-date", .reason = "not exactly one host header"},
        {.headers = "X-Amz-Date: " DATE, .names = "host;x-amz-date", .reason = "a signed header is missing"},
        {.headers = USUAL "|Host: h2", .reason = "not exactly one host header"},

        /* The payload, and credentials that are not ours. */
        {.headers = USUAL "|X-Amz-Content-Sha256: UNSIGNED-PAYLOAD",
         .names = "content-type;host;x-amz-content-sha256;x-amz-date",
         .hash = "UNSIGNED-PAYLOAD",
         .reason = "x-amz-content-sha256 is not the body's hash"},
        {.headers = USUAL "|X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
         .names = "content-type;host;x-amz-content-sha256;x-amz-date",
         .hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
         .reason = "x-amz-content-sha256 is not the body's hash"},
        {.headers = USUAL "|X-Amz-Content-Sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         .names = "content-type;host;x-amz-content-sha256;x-amz-date",
         .hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         .reason = "x-amz-content-sha256 is not the body's hash"},
        {.headers = USUAL "|X-Amz-Content-Sha256: 232E13393E984F5124EE5AF8668E8EDA2F016CACBA5B27A6EE16F5FCF4C34F80",
         .names = "content-type;host;x-amz-content-sha256;x-amz-date",
         .reason = "x-amz-content-sha256 is not the body's hash"},
        {.headers = USUAL "|X-Amz-Content-Sha256: ",
         .names = "content-type;host;x-amz-content-sha256;x-amz-date",
         .reason = "x-amz-content-sha256 is not the body's hash"},
        {.hash = "UNSIGNED-PAYLOAD", .reason = WRONG},
        {.hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", .reason = WRONG},
        {.headers = USUAL "|X-Amz-Security-Token: t",
         .names = NAMES ";x-amz-security-token",
         .reason = "temporary credentials are not ours"},
        {.headers = USUAL "|X-Amz-Security-Token: ",
         .names = NAMES ";x-amz-security-token",
         .reason = "temporary credentials are not ours"},

        /* The query form beside the header. */
        {.target = "/?X-Amz-Signature=0", .reason = QUERY_FORM},
        {.target = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256", .reason = QUERY_FORM},
        {.target = "/?a=1&X-Amz-Credential=x", .reason = QUERY_FORM},
        {.target = "/?X-Amz-Date", .reason = QUERY_FORM},
        {.target = "/?x-amz-signature=0", .reason = QUERY_FORM},
        {.target = "/?X-AMZ-EXPIRES=1", .reason = QUERY_FORM},
        {.target = "/?%58-Amz-Signature=0", .reason = QUERY_FORM},
        {.target = "/?X%2dAmz%2DSignature=0", .reason = QUERY_FORM},
        {.target = "/?x-amz-", .reason = QUERY_FORM},
        {.target = "/?X-Amz-Sig%zz=0", .reason = QUERY_FORM},
        {.target = "/?&&X-Amz-SignedHeaders=host", .reason = QUERY_FORM},
        {.target = "/??X-Amz-Signature=0"}, /* its name begins with "?" */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        static char texts[1 << 16];
        struct arena arena = arena_make(texts, sizeof(texts));
        struct http_request request;
        sign_row(&rows[i], &arena, &request);
        struct iam_policy policy = policy_at(signed_s);
        struct answer answer = verify(&policy, &request);
        struct str wanted = str_from(or_usual(rows[i].reason, ""));
        if (!str_eq(answer.reason, wanted))
            print_error("row %zu: got \"%.*s\", wanted \"%.*s\"\n", i, STR_ARG(answer.reason), STR_ARG(wanted));
        assert_true(str_eq(answer.reason, wanted));
        assert_int_equal(answer.authentic, rows[i].reason == NULL);
        bool right = answer.authentic || str_starts(wanted, STR("signed "));
        assert_int_equal(answer.key, !right ? -1 : rows[i].secret == NULL ? 2 : 1);
        if (!right) assert_int_equal(answer.skew_s, 0);
    }
}

/* What sigv4_sign makes passes, with and without the payload's hash in a header. */
static void own_signer(void **state) {
    (void)state;
    const struct sigv4_signer signer = {.access_key_id = STR(ID),
                                        .secret = STR(SECRET),
                                        .session_token = STR_NONE,
                                        .region = STR("eu-central-1"),
                                        .service = STR("lambda"),
                                        .now_s = signed_s};
    for (int hash = 0; hash < 2; hash++) {
        static char texts[1 << 14];
        struct arena arena = arena_make(texts, sizeof(texts));
        struct http_request request = {
            .method = STR("POST"), .target = STR("/?x=%20&a"), .body = STR(BODY), .header_count = 3};
        request_split_target(&request);
        request.headers[0] = (struct http_header){STR("Host"), STR("payhook.example")};
        request.headers[1] = (struct http_header){STR("Idempotency-Key"), STR("a  b")};
        request.headers[2] = (struct http_header){STR("User-Agent"), STR("payhook")};
        assert_true(sigv4_sign(&signer, SIGV4_AWS_SERVICE, hash, &request, &arena));
        struct iam_policy policy = policy_at(signed_s);
        assert_true(verify(&policy, &request).authentic);

        policy.key_count = 1;
        assert_false(verify(&policy, &request).authentic);
        policy.keys = NULL, policy.key_count = 0;
        assert_false(verify(&policy, &request).authentic);

        /* Without each of its headers but the user agent, and with each sent twice. */
        policy = policy_at(signed_s);
        for (uint32_t i = 0; i < request.header_count; i++) {
            struct http_request other = request;
            memmove(&other.headers[i], &other.headers[i + 1], (other.header_count - i - 1) * sizeof(other.headers[0]));
            other.header_count--;
            assert_int_equal(verify(&policy, &other).authentic, i == 2);
            other = request;
            other.headers[other.header_count++] = request.headers[i];
            assert_int_equal(verify(&policy, &other).authentic, i == 2);
        }
    }
}

static void memory_too_small(void **state) {
    (void)state;
    struct http_request request;
    read_request(captured[0].wire, &request);
    struct iam_policy policy = policy_at(signed_s);
    bool authentic = false;
    for (size_t size = 0; size <= 1024; size++) {
        struct arena arena = arena_make(memory, size);
        int32_t key;
        int64_t skew_s;
        struct str reason;
        bool now = iam_verify(&policy, &request, &arena, &key, &skew_s, &reason);
        assert_true(now || !authentic);
        if (!now) assert_true(str_eq(reason, STR("no memory")));
        authentic = now;
    }
    assert_true(authentic);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_clients),     cmocka_unit_test(skew),        cmocka_unit_test(flips),
        cmocka_unit_test(bodies),           cmocka_unit_test(policy_rows), cmocka_unit_test(own_signer),
        cmocka_unit_test(memory_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
