/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a data folder with events as Stripe's, of 2.5 KB each, through the store's own commit with its own settings, in
 * commits of many events: as years of webhooks would leave it. As theirs, ids that follow each other in time are alike.
 *
 *     fill FOLDER COUNT
 *
 * Prints one line of JSON. The folder's store is made where there is none; its owner is whoever runs this. */
#include "base/err.h"
#include "base/os.h"
#include "codec/digest.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { COMMIT = 4096, FILLER_SIZE = 2200, BODY_SIZE_MAX_HERE = 2560, ID_SIZE = 40 };

struct made {
    struct event event;
    char id[ID_SIZE], transaction_id[ID_SIZE], body[BODY_SIZE_MAX_HERE];
};

static void make(struct made *made, uint64_t run_id, uint64_t serial, const char *filler, int64_t now_us) {
    (void)snprintf(made->id, sizeof made->id, "evt_%016llx%016llx", (unsigned long long)run_id,
                   (unsigned long long)serial);
    (void)snprintf(made->transaction_id, sizeof made->transaction_id, "pi_%llx",
                   (unsigned long long)(run_id ^ serial / 3));
    int size = snprintf(made->body, sizeof made->body,
                        "{\n  \"id\": \"%s\",\n  \"object\": \"event\",\n  \"type\": \"payment_intent.succeeded\",\n  "
                        "\"data\": {\n    \"object\": {\n      \"id\": \"%s\",\n      \"amount\": 186500,\n      "
                        "\"description\": \"%.*s\"\n    }\n  }\n}\n",
                        made->id, made->transaction_id, FILLER_SIZE, filler);
    check(size > 0);
    check((size_t)size < sizeof made->body);
    made->event = (struct event){
        .source = STR("stripe"),
        .transaction_id = str_from(made->transaction_id),
        .event_key = str_from(made->id),
        .event_id = str_from(made->id),
        .event_type = STR("payment_intent.succeeded"),
        .payload = str_make(made->body, (size_t)size),
        .headers = STR("content-type: application/json; charset=utf-8\nuser-agent: Stripe/1.0\n"),
        .method = STR("POST"),
        .target = STR("/hooks/stripe"),
        .environment = STR("prod"),
        .processed_by = STR("bench"),
        .received_us = now_us,
        .authenticated = AUTHENTICATED_BODY,
    };
    digest_sha256(made->event.payload, made->event.payload_sha256);
}

static void fill(struct store *store, uint64_t count) {
    struct made *made = calloc(COMMIT, sizeof *made);
    const struct event **events = calloc(COMMIT, sizeof(const struct event *));
    enum outcome *outcomes = calloc(COMMIT, sizeof *outcomes);
    check(made != NULL);
    check(events != NULL);
    check(outcomes != NULL);
    char filler[FILLER_SIZE];
    memset(filler, 'x', sizeof filler);
    for (uint64_t done = 0; done < count;) {
        uint64_t run_id;
        size_t some = count - done < COMMIT ? (size_t)(count - done) : COMMIT;
        os_random(&run_id, sizeof run_id);
        for (size_t i = 0; i < some; i++) {
            make(&made[i], run_id, done + i, filler, os_wall_us());
            events[i] = &made[i].event;
        }
        check(!err_is(store_commit(store, events, some, outcomes)));
        for (size_t i = 0; i < some; i++)
            check(outcomes[i] == OUTCOME_STORED);
        done += some;
    }
    free(made);
    free(events);
    free(outcomes);
}

int main(int argc, char **argv) {
    uint64_t count;
    if (argc != 3 || !str_u64(str_from(argv[2]), UINT32_MAX, &count)) {
        fprintf(stderr, "usage: fill FOLDER COUNT\n");
        return 2;
    }
    char text[1024];
    struct writer message = writer_make(text, sizeof text);
    struct store *store;
    if (err_is(store_open("sqlite", argv[1], STORE_WRITE, &message, &store))) {
        fprintf(stderr, "fill: %s\n", writer_cstr(&message));
        return 1;
    }
    int64_t started_us = os_mono_us();
    fill(store, count);
    double seconds = (double)(os_mono_us() - started_us) / 1e6;
    store_close(store);
    printf("{\"events\": %llu, \"seconds\": %.1f, \"per_second\": %.0f}\n", (unsigned long long)count, seconds,
           seconds > 0 ? (double)count / seconds : 0);
    return 0;
}
