/* SPDX-License-Identifier: Apache-2.0 */
/* payhook events: stored events in arrival order, once or as they come. */
#include "app/print.h"
#include "base/os.h"

#include <signal.h>
#include <unistd.h>

enum {
    FOLLOW_PAUSE_US = 300000,
    SCAN_EVENTS = 1000, /* the newest of a table, where no --limit says how many */
};

struct listing {
    bool json, with_payload;
    uint64_t last_seq, damaged;
};

static bool list_event(void *context, const struct event_record *record) {
    struct listing *listing = context;
    listing->last_seq = record->seq;
    listing->damaged += record->damaged;
    if (listing->json) {
        print_event_json(stdout, record, listing->with_payload);
    } else if (listing->with_payload) {
        print_event_text(stdout, record, true);
    } else {
        const struct event *event = &record->event;
        fprintf(stdout, "%8llu  ", (unsigned long long)record->seq);
        print_safe(stdout, record->received_at);
        (void)fputs("Z  ", stdout);
        print_safe(stdout, event->source);
        (void)fputc('/', stdout);
        print_safe(stdout, event->transaction_id);
        (void)fputs("  ", stdout);
        print_safe(stdout, event->unreadable.ptr != NULL   ? STR("unreadable")
                           : event->event_type.ptr != NULL ? event->event_type
                                                           : STR("-"));
        if (record->repeats.ptr != NULL) (void)fputs("  repeats an earlier one", stdout);
    }
    (void)fputc('\n', stdout);
    return ferror(stdout) == 0;
}

static bool read_since(const char *word, int64_t *ret_since_s) {
    struct str text = str_from(word);
    uint64_t value, unit = 0;
    switch (text.len > 0 ? text.ptr[text.len - 1] : '\0') {
    case 's': unit = 1; break;
    case 'm': unit = 60; break;
    case 'h': unit = 3600; break;
    case 'd': unit = 86400; break;
    default: break;
    }
    if (unit > 0) text.len--;
    if (!str_u64(text, INT64_MAX / 86400, &value)) return false;
    *ret_since_s = unit > 0 ? os_wall_us() / 1000000 - (int64_t)(value * unit) : (int64_t)value;
    return true;
}

static volatile sig_atomic_t interrupted;
static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

static struct err follow(struct store *store, struct store_filter *filter, struct listing *listing) {
    struct sigaction action = {.sa_handler = on_signal};
    check(sigaction(SIGINT, &action, NULL) == 0);
    check(sigaction(SIGTERM, &action, NULL) == 0);
    filter->limit = 0;
    while (!interrupted && ferror(stdout) == 0) {
        (void)fflush(stdout); /* a closed pipe shows in ferror */
        (void)usleep(FOLLOW_PAUSE_US);
        filter->after_seq = listing->last_seq;
        TRY(store_events(store, filter, list_event, listing));
    }
    return err_ok();
}

int command_events(const struct options *options) {
    struct store_filter filter = {
        .source = str_from(option_value(options, OPTION_SOURCE)),
        .since_s = INT64_MIN,
        .with_payload = option_set(options, OPTION_PAYLOAD),
    };
    const char *since = option_value(options, OPTION_SINCE), *limit = option_value(options, OPTION_LIMIT);
    if (since != NULL && !read_since(since, &filter.since_s))
        return complain(EXIT_USAGE, "--since takes 90s, 15m, 24h, 7d or unix seconds, not \"%s\"", since);
    if (limit != NULL && (!str_u64(str_from(limit), UINT32_MAX, &filter.limit) || filter.limit == 0))
        return complain(EXIT_USAGE, "--limit takes a number from 1, not \"%s\"", limit);
    struct store *store;
    int code = EXIT_DONE;
    if (!open_for_reading(options, &store, &code)) return code;
    if (!store_has_one_order(store)) {
        if (option_set(options, OPTION_FOLLOW)) {
            store_close(store);
            return complain(EXIT_USAGE, "this store has no order of all events that could be followed");
        }
        if (limit == NULL) filter.limit = SCAN_EVENTS;
        fprintf(stderr, "payhook: reading the whole table for the newest %llu events, in the order of their times\n",
                (unsigned long long)filter.limit);
    }
    struct listing listing = {.json = option_set(options, OPTION_JSON), .with_payload = filter.with_payload};
    struct err failure = store_events(store, &filter, list_event, &listing);
    if (!err_is(failure) && option_set(options, OPTION_FOLLOW)) failure = follow(store, &filter, &listing);
    if (err_is(failure)) code = complain_reading(store, failure);
    store_close(store);
    if (code != EXIT_DONE) return code;
    if (listing.damaged > 0)
        return complain(EXIT_FAILED, "%llu payloads are damaged: restore them from a backup",
                        (unsigned long long)listing.damaged);
    return EXIT_DONE;
}
