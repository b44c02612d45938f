/* SPDX-License-Identifier: Apache-2.0 */
/* provider_check over every row with headers and a body of the fuzzer's. The secrets are random and never leave this
 * process, so a request that is taken for genuine (accepted, stale, or read any further) is a forgery: abort.
 *
 * Then the same body and headers once more from a sender who is known, by token and at the function URL: every answer
 * must be sound, with ids that a store can keep.
 *
 * Input: one byte for the row, one for its settings; headers, each one byte for the name, its value and LF; an empty
 * line (a lone LF); the body. */
#include "base/err.h"
#include "base/os.h"
#include "codec/text.h"
#include "provider/batch.h"
#include "provider/iam.h"
#include "provider/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char memory[1 << 20];

static const char *const names[] = {
    "stripe-signature",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
    "x-github-event",
    "x-hub-signature-256",
    "x-api-key",
    "authorization",
    "x-amz-date",
    "host",
    "idempotency-key",
    "x-sig",
    "x-time",
    "x-id",
    "content-type",
    "X-GitHub-Delivery",
};

/* One description of hmac's settings per row; the empty name ends it. */
static const char *const hmac_settings[][14] = {
    {"header", "x-sig", ""},
    {"header", "x-sig", "separator", ",", "encoding", "base64", "prefix", "v1=", ""},
    {"header", "x-sig", "signed", "{id}.{timestamp}.{body}", "timestamp_header", "x-time", "id_header", "x-id", ""},
    {"header", "x-sig", "signed", "{url}{timestamp}{body}", "timestamp_header", "x-time", "timestamp_unit", "ms",
     "notification_url", "https://pay.example.net/", "separator", " ", ""},
    {"header", "authorization", "digest", "sha512", "key_encoding", "base64", ""},
};

static struct str random_secret(const char *before, char *text, size_t size) {
    uint8_t bytes[30];
    os_random(bytes, sizeof bytes);
    struct writer w = writer_make(text, size);
    writer_put(&w, str_from(before));
    text_base64_write(&w, bytes, sizeof bytes);
    return writer_str(&w);
}

static void set(struct source *source, const char *name, const char *value) {
    char text[128];
    struct writer message = writer_make(text, sizeof text);
    bool good = source_set(source, str_from(name), str_from(value), &message);
    check(good);
}

static void sound(struct str text, size_t size_max) {
    check(text.ptr != NULL && text.len > 0);
    check(text.len <= size_max);
    check(!str_has_control(text));
    check(json_is_utf8(text));
}

static void ask_as_known(struct provider_input *input) {
    struct provider_answer answer;
    struct arena *arena = input->arena;
    arena_reset(arena);
    provider_check(input, &answer);
    if (answer.verdict != VERDICT_ACCEPT) {
        check(answer.event_count == 0);
        check(answer.verdict != VERDICT_INTERNAL);
        return;
    }
    check(answer.event_count == 1);
    sound(answer.events->event_key, EVENT_KEY_SIZE_MAX);
    sound(answer.events->transaction_id, TRANSACTION_ID_SIZE_MAX);
    if (answer.events->event_id.ptr != NULL) sound(answer.events->event_id, EVENT_KEY_SIZE_MAX);
    if (answer.events->event_type.ptr != NULL) sound(answer.events->event_type, EVENT_TYPE_SIZE_MAX);
    check(answer.events->headers.len <= KEPT_HEADERS_SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char secret_text[64], pair_text[96];
    static struct str secret, pair;
    if (secret.ptr == NULL) {
        secret = random_secret("whsec_", secret_text, sizeof secret_text);
        pair = random_secret("AKIAINVENTED00000001:", pair_text, sizeof pair_text);
    }
    size_t rows = 0;
    while (provider_row_at(rows) != NULL)
        rows++;
    check(rows > 0);
    if (size < 2) return 0;
    struct source source = {.name = STR("fuzz"), .row = provider_row_at(data[0] % rows), .secret_count = 1};
    bool iam = source.row->secret_form == SECRET_PAIR;
    source.secrets[0].text = iam ? pair : secret;
    if (source.row->needs != 0) {
        const char *const *pairs = hmac_settings[data[1] % (sizeof hmac_settings / sizeof *hmac_settings)];
        for (size_t i = 0; pairs[i][0] != '\0'; i += 2)
            set(&source, pairs[i], pairs[i + 1]);
    }

    struct http_request request = {.method = STR("POST"), .target = STR("/hooks/fuzz?id=1")};
    request_split_target(&request);
    struct str rest = str_make((const char *)data + 2, size - 2), line, after;
    while (str_cut(rest, '\n', &line, &after) && line.len > 0 && request.header_count < HTTP_HEADERS_MAX - 1) {
        request.headers[request.header_count++] = (struct http_header){
            .name = str_from(names[(uint8_t)line.ptr[0] % (sizeof names / sizeof *names)]),
            .value = str_trim(str_from_index(line, 1)),
        };
        rest = after;
    }
    request.body = rest.len > 0 && rest.ptr[0] == '\n' ? str_from_index(rest, 1) : rest;

    struct arena arena = arena_make(memory, sizeof memory);
    struct provider_input input = {.source = &source, .request = &request, .now_s = 1782901234, .arena = &arena};
    struct provider_answer answer;
    provider_check(&input, &answer);
    if (iam)
        check(answer.verdict == VERDICT_FORBIDDEN);
    else
        check(answer.verdict == VERDICT_BAD_SIGNATURE || answer.verdict == VERDICT_MISSING_HEADER ||
              answer.verdict == VERDICT_MALFORMED);
    check(answer.events == NULL);
    check(answer.matched_secret == -1);

    source = (struct source){.name = STR("fuzz"), .row = provider_find(STR("api-key")), .secret_count = 1};
    source.secrets[0].text = secret;
    set(&source, "header", "x-known");
    set(&source, "event_id", (data[1] & 1) ? "header:x-id" : "json:/id|json:/data/0/id");
    set(&source, "event_type", (data[1] & 2) ? "header:x-github-event" : "json:/type");
    set(&source, "transaction_id", (data[1] & 4) ? "query:id" : "json:/transactionId|json:/a~1b");
    request.headers[request.header_count++] = (struct http_header){STR("x-known"), secret};
    ask_as_known(&input);
    source = (struct source){.name = STR("fuzz"), .row = provider_find(STR("iam"))};
    input.iam_door = (data[1] & 8) ? IAM_DOOR_URL : IAM_DOOR_INVOKE;
    ask_as_known(&input);
    return 0;
}
