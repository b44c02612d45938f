/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to a verdict, and from verdicts to one durable commit. The provider room judges a request; this file
 * knows the paths, the built-in source's rules, and what outcomes mean for a reply. It does no I/O of its own. */
#include "core/ingest.h"

#include "codec/digest.h"
#include "provider/iam.h"

struct ingest_route ingest_find(const struct config *config, const struct http_request *request) {
    const struct str hooks = STR("/hooks/");
    const struct source *source = NULL;
    if (str_eq(request->path, STR("/")))
        source = &config->default_source;
    else if (str_starts(request->path, hooks)) {
        struct str name = str_from_index(request->path, hooks.len);
        /* "default" has one door only, its own. */
        bool is_name = config_is_source_name(name);
        if (is_name) source = config_source(config, name);
        if (is_name && source == NULL && config->sources_unknown)
            return (struct ingest_route){VERDICT_UNAVAILABLE, NULL};
    }
    if (source == NULL) return (struct ingest_route){VERDICT_NOT_FOUND, NULL};
    /* Methods are case-sensitive (RFC 9110 §9.1). */
    if (!str_eq(request->method, STR("POST"))) return (struct ingest_route){VERDICT_METHOD_NOT_ALLOWED, source};
    return (struct ingest_route){VERDICT_ACCEPT, source};
}

/* x-api-key at POST /, where the operator asks for it (README, "Secrets"): after the signature, so that a stranger
 * learns nothing of it. */
static enum verdict api_key_check(const struct config *config, const struct http_request *request,
                                  struct str *ret_reason) {
    if (!config->require_api_key) return VERDICT_ACCEPT;
    uint32_t usable = 0;
    bool equal = false;
    struct str sent;
    uint32_t count = request_header(request, STR("x-api-key"), &sent);
    for (uint32_t i = 0; i < config->api_key_count; i++) {
        const struct secret *key = &config->api_keys[i];
        if (key->fault != NULL || key->text.ptr == NULL) continue;
        usable++;
        if (count == 1 && digest_secret_equal(key->text, sent)) equal = true; /* all are looked at, in the same time */
    }
    if (usable == 0) {
        *ret_reason = STR("x-api-key is required, but its secret cannot be used");
        return VERDICT_UNAVAILABLE;
    }
    if (equal) return VERDICT_ACCEPT;
    *ret_reason = count == 0 ? STR("x-api-key is missing") : STR("x-api-key is wrong");
    return count == 0 ? VERDICT_MISSING_HEADER : VERDICT_BAD_SIGNATURE;
}

static bool iam_keys_of(const struct config *config, struct arena *arena, struct provider_input *input) {
    struct iam_key *keys = arena_new(arena, struct iam_key, config->keys.count);
    if (keys == NULL) return false;
    for (uint32_t i = 0; i < config->keys.count; i++) {
        const struct key_pair *pair = &config->keys.pairs[i];
        keys[i] = (struct iam_key){str_from(pair->access_key_id), str_from(pair->secret)};
    }
    input->iam_keys = keys;
    input->iam_key_count = config->keys.count;
    input->iam_region = str_from(config->iam_region);
    input->iam_service = str_from(config->iam_service);
    return true;
}

void ingest_check(const struct config *config, const struct http_request *request, enum door door, int64_t now_us,
                  struct arena *arena, struct ingest *ret_ingest) {
    /* A direct invoke has neither path nor method. */
    struct ingest_route route = door == DOOR_INVOKE ? (struct ingest_route){VERDICT_ACCEPT, &config->default_source}
                                                    : ingest_find(config, request);
    *ret_ingest = (struct ingest){.verdict = route.verdict, .source = route.source};
    if (route.verdict != VERDICT_ACCEPT) return;

    bool built_in = route.source == &config->default_source;
    struct provider_input input = {
        .source = route.source, .request = request, .now_s = now_us / 1000000, .arena = arena};
    if (built_in) {
        input.iam_door = door == DOOR_SERVER ? IAM_DOOR_SIGNED : door == DOOR_URL ? IAM_DOOR_URL : IAM_DOOR_INVOKE;
        if (!iam_keys_of(config, arena, &input)) {
            ret_ingest->verdict = VERDICT_INTERNAL;
            return;
        }
    }
    struct provider_answer answer = {0};
    provider_check(&input, &answer);
    ret_ingest->verdict = answer.verdict;
    ret_ingest->reason = answer.reason;
    ret_ingest->refusal_status = answer.refusal_status;
    ret_ingest->reply_body = answer.reply_body;
    ret_ingest->key_url = answer.key_url;
    ret_ingest->skew_s = answer.skew_s;
    if (built_in && answer.verdict != VERDICT_FORBIDDEN && answer.verdict != VERDICT_INTERNAL) {
        enum verdict key = api_key_check(config, request, &ret_ingest->reason);
        if (key != VERDICT_ACCEPT) ret_ingest->verdict = key;
    }
    if (ret_ingest->verdict != VERDICT_ACCEPT) return;

    check(answer.event_count <= BATCH_EVENTS_MAX);
    for (uint32_t i = 0; i < answer.event_count; i++) {
        struct event *event = &answer.events[i];
        event->source = route.source->name;
        event->environment = str_from(config->environment);
        event->processed_by = str_from(config->processed_by);
        event->received_us = now_us;
        check(event->event_key.len > 0 && event->event_key.len <= EVENT_KEY_SIZE_MAX);
        check(event->transaction_id.len > 0 && event->transaction_id.len <= TRANSACTION_ID_SIZE_MAX);
    }
    ret_ingest->events = answer.events;
    ret_ingest->event_count = answer.event_count;
}

static enum verdict verdict_of(const enum outcome *outcomes, uint32_t count, uint32_t *ret_duplicates) {
    uint32_t duplicates = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (outcomes[i] == OUTCOME_FAILED) return VERDICT_UNAVAILABLE;
        if (outcomes[i] == OUTCOME_CONFLICT) return VERDICT_KEY_REUSED;
        if (outcomes[i] == OUTCOME_DUPLICATE) duplicates++;
    }
    *ret_duplicates = duplicates;
    /* A request without an event (a challenge, a signed empty batch) has nothing that could have been there before. */
    return count > 0 && duplicates == count ? VERDICT_DUPLICATE : VERDICT_STORED;
}

struct err ingest_commit(struct store *store, struct ingest *const *ingests, size_t count,
                         const struct ingest_scratch *scratch) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        check(ingests[i]->verdict == VERDICT_ACCEPT);
        check(ingests[i]->event_count <= scratch->size - total);
        for (uint32_t k = 0; k < ingests[i]->event_count; k++)
            scratch->events[total++] = &ingests[i]->events[k];
    }
    struct err result = total == 0 ? err_ok() : store_commit(store, scratch->events, total, scratch->outcomes);
    const enum outcome *outcomes = scratch->outcomes;
    for (size_t i = 0; i < count; i++) {
        if (err_is(result)) {
            ingests[i]->verdict = VERDICT_UNAVAILABLE;
            ingests[i]->reason = str_from(err_kind_text(result.kind));
        } else {
            ingests[i]->verdict = verdict_of(outcomes, ingests[i]->event_count, &ingests[i]->duplicate_count);
        }
        outcomes += ingests[i]->event_count;
    }
    return result;
}

struct reply ingest_reply(const struct ingest *ingest, struct arena *arena) {
    check(ingest->verdict != VERDICT_ACCEPT);
    if (ingest->verdict != VERDICT_STORED && ingest->verdict != VERDICT_DUPLICATE)
        return reply_refusal(ingest->verdict, ingest->refusal_status);
    struct reply reply;
    struct str transaction = ingest->event_count > 0 ? ingest->events[0].transaction_id : STR("");
    if (reply_success(arena, ingest->verdict == VERDICT_DUPLICATE, transaction, ingest->event_count, ingest->reply_body,
                      &reply))
        return reply;
    return reply_refusal(VERDICT_INTERNAL, 0);
}
