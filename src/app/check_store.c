/* SPDX-License-Identifier: Apache-2.0 */
/* payhook check-store: is what is stored what came in, and can it still be proved?
 *
 * Every event is read beside a running server. Its checksum is looked at by the store; its signature here: the request
 * is put together again from what was kept (kept headers, method, target, body) and goes through provider_check, the
 * same code that let it in, at the time it was received. So each event is one of:
 *
 *   verified        its signature is right under a secret that is configured now
 *   secret unknown  it is right under none of them: the secret was replaced since, or its source is gone
 *   not checkable   the proof itself is not kept: tokens, AWS signatures, an authorization header
 *   damaged         its bytes are not those that were stored
 *   failed          its signature is wrong, and the secret is there: events of the same source that matched the same
 *                   place in its list verify with one secret at least MARGIN_US before and after it was received
 *
 * The last rule is what can be known without keeping anything of a secret: in between, the secret was in use. The
 * margin lets a request through that began under the configuration before. Events at the edge of a secret's time count
 * as unknown, also if somebody changed them; their checksums are looked at all the same.
 *
 * It changes nothing and repairs nothing. */
#include "app/print.h"
#include "base/arena.h"
#include "base/os.h"

#include <stdlib.h>

enum { MARGIN_US = 120 * 1000000 }; /* longer than a request may take (limits.h) */

enum finding { VERIFIED, SECRET_UNKNOWN, NOT_CHECKABLE, DAMAGED, FAILED, FINDING_COUNT };
static const struct {
    const char *word, *member;
} findings[FINDING_COUNT] = {
    [VERIFIED] = {"verified", "verified"},
    [SECRET_UNKNOWN] = {"with a secret no longer known", "secret_unknown"},
    [NOT_CHECKABLE] = {"not checkable", "not_checkable"},
    [DAMAGED] = {"damaged", "damaged"},
    [FAILED] = {"with a wrong signature", "failed"},
};

/* An event whose signature is right under no secret, until it is known whether that secret should be there. */
struct doubt {
    uint64_t seq;
    int64_t received_us;
};

/* The time of one secret at one place of a source's list: from the first event it proves to the last so far. */
struct run {
    bool begun;
    int32_t secret; /* of the present configuration */
    int64_t first_us, last_us;
    struct doubt *doubts; /* since first_us */
    size_t doubt_count, doubt_room;
};

struct tally {
    char name[SOURCE_NAME_SIZE_MAX + 1];
    const struct source *source; /* NULL: no longer configured */
    uint64_t counts[FINDING_COUNT];
    struct run runs[SOURCE_SECRETS_MAX];
};

struct checking {
    const struct config *config;
    struct tally *tallies;
    size_t tally_count;
    uint64_t events;
    uint64_t *failed; /* seqs, to be named at the end */
    size_t failed_count, failed_room;
    uint64_t named;
    bool json;
    struct arena arena;
};

/* Room for one more; there is no going on without. */
static void *grow(void *items, size_t count, size_t *room, size_t size) {
    if (count < *room) return items;
    *room = *room > 0 ? 2 * *room : 64;
    void *grown = realloc(items, *room * size);
    if (grown == NULL) exit(complain(EXIT_FAILED, "there is no memory left"));
    return grown;
}

static struct tally *tally_of(struct checking *c, struct str name) {
    if (name.len > SOURCE_NAME_SIZE_MAX) name.len = SOURCE_NAME_SIZE_MAX; /* damaged, and counted all the same */
    for (size_t i = 0; i < c->tally_count; i++)
        if (str_eq(str_from(c->tallies[i].name), name)) return &c->tallies[i];
    struct tally *grown = realloc(c->tallies, (c->tally_count + 1) * sizeof *grown);
    if (grown == NULL) exit(complain(EXIT_FAILED, "there is no memory left"));
    c->tallies = grown;
    struct tally *tally = &grown[c->tally_count++];
    *tally = (struct tally){.source = config_source(c->config, name)};
    if (name.len > 0) memcpy(tally->name, name.ptr, name.len);
    return tally;
}

/* ---- the request again ---- */

/* False: the headers are not lines of "name: value". */
static bool headers_read(struct str kept, struct http_request *request) {
    struct str line;
    while (str_cut(kept, '\n', &line, &kept)) {
        struct http_header *header = &request->headers[request->header_count];
        if (request->header_count == HTTP_HEADERS_MAX || !str_cut(line, ':', &header->name, &header->value))
            return false;
        header->value = str_trim(header->value);
        request->header_count++;
    }
    return kept.len == 0;
}

/* What proved it is a secret itself, or was never kept. */
static bool is_kept(const struct event *event, const struct http_request *request) {
    struct str unused;
    if (event->authenticated != AUTHENTICATED_BODY && event->authenticated != AUTHENTICATED_FIELDS) return false;
    return request_header(request, STR("authorization"), &unused) == 0; /* replaced by a note */
}

/* The finding, FAILED for a signature that is wrong under all secrets; ret_secret: which one proved it. */
static enum finding judge(struct checking *c, const struct tally *tally, const struct event *event,
                          int32_t *ret_secret) {
    struct http_request request = {.method = event->method,
                                   .target = event->target,
                                   .body = event->request_body.ptr != NULL ? event->request_body : event->payload};
    if (!headers_read(event->headers, &request) || !is_kept(event, &request)) return NOT_CHECKABLE;
    if (tally->source == NULL) return SECRET_UNKNOWN;
    request_split_target(&request);
    arena_reset(&c->arena);
    struct provider_input input = {
        .source = tally->source, .request = &request, .now_s = event->received_us / 1000000, .arena = &c->arena};
    struct provider_answer answer;
    provider_check(&input, &answer);
    *ret_secret = answer.matched_secret;
    switch (answer.verdict) {
    case VERDICT_ACCEPT: return VERIFIED;
    case VERDICT_BAD_SIGNATURE:
    case VERDICT_MALFORMED: return FAILED;
    case VERDICT_UNAVAILABLE: return SECRET_UNKNOWN;
    default: return NOT_CHECKABLE; /* a header too large to keep, a key that is fetched, another provider now */
    }
}

/* ---- whose secret is not there, and whose signature is wrong ---- */

/* The run is over: what was doubted within it, away from its ends, has failed. */
static void settle(struct checking *c, struct tally *tally, struct run *run) {
    for (size_t i = 0; i < run->doubt_count; i++) {
        const struct doubt *doubt = &run->doubts[i];
        bool within = doubt->received_us - MARGIN_US >= run->first_us && doubt->received_us + MARGIN_US <= run->last_us;
        tally->counts[within ? FAILED : SECRET_UNKNOWN]++;
        if (!within) continue;
        c->failed = grow(c->failed, c->failed_count, &c->failed_room, sizeof *c->failed);
        c->failed[c->failed_count++] = doubt->seq;
    }
    free(run->doubts);
    *run = (struct run){.begun = false};
}

static void doubt(struct run *run, const struct event_record *record) {
    run->doubts = grow(run->doubts, run->doubt_count, &run->doubt_room, sizeof *run->doubts);
    run->doubts[run->doubt_count++] = (struct doubt){record->seq, record->event.received_us};
}

static void take(struct checking *c, struct tally *tally, const struct event_record *record, enum finding finding,
                 int32_t secret) {
    int32_t place = record->event.matched_secret; /* in the list of its time */
    struct run *run = place >= 0 && place < SOURCE_SECRETS_MAX ? &tally->runs[place] : NULL;
    if (finding == FAILED && (run == NULL || !run->begun)) finding = SECRET_UNKNOWN;
    if (finding == FAILED) {
        doubt(run, record); /* counted when it is settled */
        return;
    }
    tally->counts[finding]++;
    if (finding != VERIFIED || run == NULL) return;
    if (run->begun && run->secret != secret) settle(c, tally, run);
    if (!run->begun) {
        run->begun = true;
        run->secret = secret;
        run->first_us = run->last_us = record->event.received_us;
    }
    if (record->event.received_us < run->first_us) run->first_us = record->event.received_us; /* a clock went back */
    if (record->event.received_us > run->last_us) run->last_us = record->event.received_us;
}

/* ---- printing ---- */

static void name_event(struct checking *c, const struct event_record *record, enum finding finding) {
    c->named++;
    if (c->json) {
        printf("%s{\"fault\": \"%s\", \"seq\": %llu, ", c->named > 1 ? ", " : "", findings[finding].member,
               (unsigned long long)record->seq);
        print_json_member(stdout, "source", record->event.source);
        (void)fputs(", ", stdout);
        print_json_member(stdout, "transaction_id", record->event.transaction_id);
        (void)fputc('}', stdout);
        return;
    }
    printf("%-8s event %llu, ", finding == DAMAGED ? "DAMAGED" : "FAILED", (unsigned long long)record->seq);
    print_safe(stdout, record->event.source);
    (void)fputc('/', stdout);
    print_safe(stdout, record->event.transaction_id);
    (void)fputs(finding == DAMAGED ? ": its bytes are not what was stored\n"
                                   : ": its signature is wrong, and its secret is configured\n",
                stdout);
}

static bool name_failed(void *context, const struct event_record *record) {
    name_event(context, record, FAILED);
    return false;
}

static void print_tally_json(const struct tally *tally, uint64_t total, bool first) {
    (void)fputs(first ? "{" : ", {", stdout);
    print_json_member(stdout, "source", str_from(tally->name));
    printf(", \"configured\": %s, \"events\": %llu", tally->source != NULL ? "true" : "false",
           (unsigned long long)total);
    for (int i = 0; i < FINDING_COUNT; i++)
        printf(", \"%s\": %llu", findings[i].member, (unsigned long long)tally->counts[i]);
    (void)fputc('}', stdout);
}

static void print_tally_text(const struct tally *tally, uint64_t total) {
    (void)fputs("source   ", stdout);
    print_safe(stdout, str_from(tally->name));
    printf("%s: %llu events", tally->source != NULL ? "" : " (no longer configured)", (unsigned long long)total);
    for (int i = 0; i < FINDING_COUNT; i++)
        if (tally->counts[i] > 0) printf(", %llu %s", (unsigned long long)tally->counts[i], findings[i].word);
    (void)fputc('\n', stdout);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct tally *)a)->name, ((const struct tally *)b)->name);
}

/* Prints the counts of each source and gives all of them together. */
static void print_tallies(struct checking *c, uint64_t *ret_counts) {
    if (c->tally_count > 0) qsort(c->tallies, c->tally_count, sizeof *c->tallies, by_name);
    if (c->json) (void)fputs("], \"sources\": [", stdout);
    for (size_t i = 0; i < c->tally_count; i++) {
        uint64_t total = 0;
        for (int k = 0; k < FINDING_COUNT; k++) {
            total += c->tallies[i].counts[k];
            ret_counts[k] += c->tallies[i].counts[k];
        }
        if (c->json)
            print_tally_json(&c->tallies[i], total, i == 0);
        else
            print_tally_text(&c->tallies[i], total);
    }
    if (c->json) (void)fputc(']', stdout);
}

/* ---- the command ---- */

static bool check_event(void *context, const struct event_record *record) {
    struct checking *c = context;
    struct tally *tally = tally_of(c, record->event.source);
    int32_t secret = -1;
    c->events++;
    enum finding finding = record->damaged ? DAMAGED : judge(c, tally, &record->event, &secret);
    take(c, tally, record, finding, secret);
    if (finding == DAMAGED) name_event(c, record, DAMAGED);
    return ferror(stdout) == 0;
}

static struct err check_events(struct checking *c, struct store *store) {
    struct store_filter filter = {.since_s = INT64_MIN, .with_payload = true};
    TRY(store_events(store, &filter, check_event, c));
    for (size_t i = 0; i < c->tally_count; i++)
        for (size_t k = 0; k < SOURCE_SECRETS_MAX; k++)
            settle(c, &c->tallies[i], &c->tallies[i].runs[k]);
    for (size_t i = 0; i < c->failed_count; i++) {
        filter = (struct store_filter){.since_s = INT64_MIN, .after_seq = c->failed[i] - 1};
        TRY(store_events(store, &filter, name_failed, c));
    }
    return err_ok();
}

static int check_store(struct checking *c, struct store *store) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    uint64_t counts[FINDING_COUNT] = {0};
    if (c->json) (void)fputs("{\"faults\": [", stdout);
    struct err read = check_events(c, store);
    print_tallies(c, counts);
    struct err sound = store_check(store, &message);
    if (c->json) {
        printf(", \"events\": %llu, ", (unsigned long long)c->events);
        print_json_member(stdout, "database", err_is(sound) ? str_from(writer_cstr(&message)) : STR("ok"));
        (void)fputs("}\n", stdout);
    } else {
        printf("database %s\n", err_is(sound) ? writer_cstr(&message) : "sound");
    }
    if (err_is(read)) return complain(EXIT_FAILED, "cannot %s: %s", read.where, err_kind_text(read.kind));
    if (err_is(sound) || counts[DAMAGED] > 0)
        return complain(EXIT_FAILED,
                        "%llu events are damaged%s: stop payhook, copy the whole folder, and restore a backup",
                        (unsigned long long)counts[DAMAGED], err_is(sound) ? ", and the database is" : "");
    if (counts[FAILED] > 0)
        return complain(EXIT_FAILED,
                        "%llu events have a wrong signature: they, or the settings of their source, were changed",
                        (unsigned long long)counts[FAILED]);
    return EXIT_DONE;
}

static void warn(void *context, struct str sentence) {
    (void)context;
    (void)complain(EXIT_DONE, "warning: %.*s", STR_ARG(sentence));
}

int command_check_store(const struct options *options) {
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct config_overrides overrides = option_overrides(options);
    struct config *config;
    struct store *store;
    if (err_is(config_load(&overrides, warn, NULL, &message, &config)))
        return complain(EXIT_FAILED, "%s", writer_cstr(&message));
    char *memory = malloc(REQUEST_ARENA_SIZE);
    int code = EXIT_FAILED;
    if (memory == NULL) {
        (void)complain(EXIT_FAILED, "there is no memory left");
    } else if (err_is(store_open(config->store, config->data, STORE_READ, &message, &store))) {
        (void)complain(EXIT_FAILED, "%s", writer_cstr(&message));
    } else {
        struct checking c = {.config = config,
                             .json = option_set(options, OPTION_JSON),
                             .arena = arena_make(memory, REQUEST_ARENA_SIZE)};
        code = check_store(&c, store);
        store_close(store);
        free(c.tallies);
        free(c.failed);
    }
    free(memory);
    config_release(config);
    return code;
}
