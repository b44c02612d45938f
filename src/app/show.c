/* SPDX-License-Identifier: Apache-2.0 */
/* payhook show: one transaction's timeline. */
#include "app/print.h"

struct shown {
    bool json, with_payload;
    struct str source, transaction_id;
    uint64_t events, damaged;
};

static void print_heading(const struct shown *shown) {
    if (shown->json) {
        (void)fputs("{", stdout);
        print_json_member(stdout, "source", shown->source);
        (void)fputs(", ", stdout);
        print_json_member(stdout, "transaction_id", shown->transaction_id);
        (void)fputs(", \"events\": [", stdout);
    } else {
        (void)fputs("transaction ", stdout);
        print_safe(stdout, shown->transaction_id);
        (void)fputs(" of source ", stdout);
        print_safe(stdout, shown->source);
        (void)fputs("\n", stdout);
    }
}

static bool show_event(void *context, const struct event_record *record) {
    struct shown *shown = context;
    if (shown->events == 0) print_heading(shown);
    if (shown->json) {
        (void)fputs(shown->events == 0 ? "\n" : ",\n", stdout);
        print_event_json(stdout, record, shown->with_payload);
    } else {
        (void)fputc('\n', stdout);
        print_event_text(stdout, record, shown->with_payload);
    }
    shown->events++;
    shown->damaged += record->damaged;
    return true;
}

static int timeline(struct store *store, struct shown *shown) {
    struct err failure = store_timeline(store, shown->source, shown->transaction_id, show_event, shown);
    if (err_is(failure)) return complain_reading(store, failure);
    if (shown->json && shown->events > 0) (void)fputs("\n]}\n", stdout);
    if (shown->damaged > 0)
        return complain(EXIT_FAILED, "%llu of these payloads are damaged: restore them from a backup",
                        (unsigned long long)shown->damaged);
    return EXIT_DONE;
}

/* The sources that have the transaction: the first is kept, the others counted. */
struct candidates {
    char first[SOURCE_NAME_SIZE_MAX + 1];
    size_t first_size;
    uint64_t count;
    struct str transaction_id;
    bool print;
};

static bool each_candidate(void *context, struct str source) {
    struct candidates *candidates = context;
    if (candidates->print) {
        print_safe(stdout, source);
        (void)fputc('/', stdout);
        print_safe(stdout, candidates->transaction_id);
        (void)fputc('\n', stdout);
        return true;
    }
    if (candidates->count++ == 0 && source.len <= sizeof candidates->first) {
        memcpy(candidates->first, source.ptr, source.len);
        candidates->first_size = source.len;
    }
    return true;
}

static int show(struct store *store, struct shown *shown, struct str word) {
    struct str source, rest;
    if (str_cut(word, '/', &source, &rest) && (str_eq(source, SOURCE_DEFAULT) || config_is_source_name(source))) {
        shown->source = source;
        shown->transaction_id = rest;
        int code = timeline(store, shown);
        if (code != EXIT_DONE || shown->events > 0) return code;
    }
    /* A "/" may also be part of the id itself. */
    struct candidates candidates = {.transaction_id = word};
    struct err failure = store_sources(store, word, each_candidate, &candidates);
    if (err_is(failure)) return complain_reading(store, failure);
    if (candidates.count == 0)
        return complain(EXIT_FAILED, "there is no transaction %s here; payhook events lists what there is", word.ptr);
    if (candidates.count > 1) {
        candidates.print = true;
        failure = store_sources(store, word, each_candidate, &candidates);
        if (err_is(failure)) return complain_reading(store, failure);
        return complain(EXIT_FAILED, "%llu sources have this transaction: say which",
                        (unsigned long long)candidates.count);
    }
    shown->source = str_make(candidates.first, candidates.first_size);
    shown->transaction_id = word;
    return timeline(store, shown);
}

int command_show(const struct options *options) {
    struct store *store;
    int code;
    if (!open_for_reading(options, &store, &code)) return code;
    struct shown shown = {
        .json = option_set(options, OPTION_JSON),
        .with_payload = !option_set(options, OPTION_NO_PAYLOAD),
    };
    code = show(store, &shown, str_from(options->words[0]));
    store_close(store);
    return code;
}
