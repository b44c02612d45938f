/* SPDX-License-Identifier: Apache-2.0 */
/* Streaks of stale events, one a source. */
#include "app/clock.h"

#include "codec/digest.h"

#include <stdlib.h>

void clock_watch_done(struct clock_watch *watch) {
    free(watch->streaks);
    watch->streaks = NULL;
    watch->count = 0;
}

static struct clock_streak *streak_of(struct clock_watch *watch, const char *source) {
    for (size_t i = 0; i < watch->count; i++)
        if (strcmp(watch->streaks[i].source, source) == 0) return &watch->streaks[i];
    struct clock_streak *more = realloc(watch->streaks, (watch->count + 1) * sizeof *more);
    if (more == NULL) return NULL;
    watch->streaks = more;
    struct clock_streak *streak = &more[watch->count++];
    *streak = (struct clock_streak){0};
    memcpy(streak->source, source, sizeof streak->source);
    return streak;
}

static int64_t size_of(int64_t skew_s) { return skew_s < 0 ? -skew_s : skew_s; }

/* The same event again, as a retry is, proves nothing. */
static bool seen(const struct clock_streak *streak, uint64_t content) {
    for (uint32_t i = 0; i < streak->count && i < CLOCK_STREAK; i++)
        if (streak->contents[i] == content) return true;
    return false;
}

bool clock_watch_take(struct clock_watch *watch, const struct clock_report *report, int64_t now_us,
                      int64_t *ret_skew_s) {
    struct clock_streak *streak = streak_of(watch, report->source);
    if (streak == NULL) return false;
    uint32_t before = streak->count;
    bool other_side = before > 0 && (streak->skew_s < 0) != (report->skew_s < 0);
    if (!report->stale || other_side) streak->count = 0;
    if (report->stale && !seen(streak, report->content)) {
        streak->contents[streak->count % CLOCK_STREAK] = report->content;
        if (streak->count == 0 || size_of(report->skew_s) < size_of(streak->skew_s)) streak->skew_s = report->skew_s;
        streak->count++;
    }
    if (before == 0 && streak->count > 0) atomic_fetch_add(&watch->late_sources, 1);
    if (before > 0 && streak->count == 0) atomic_fetch_sub(&watch->late_sources, 1);
    if (streak->count < CLOCK_STREAK) return false;
    if (streak->warned_us != 0 && now_us - streak->warned_us < (int64_t)CLOCK_WARNING_PAUSE_S * 1000000) return false;
    streak->warned_us = now_us;
    *ret_skew_s = size_of(streak->skew_s);
    return true;
}

int64_t clock_watch_suspect_s(const struct clock_watch *watch, struct str source) {
    for (size_t i = 0; i < watch->count; i++) {
        const struct clock_streak *streak = &watch->streaks[i];
        if (str_eq(source, str_from(streak->source))) return streak->count < CLOCK_STREAK ? 0 : size_of(streak->skew_s);
    }
    return 0;
}

void clock_report_send(struct mailbox *mailbox, struct clock_watch *watch, const struct ingest *ingest,
                       struct str body) {
    if (ingest->source == NULL) return;
    /* POST / answers every refusal alike; a skew is only known where the signature was right. */
    bool stale = ingest->verdict == VERDICT_STALE ||
                 (ingest->verdict == VERDICT_FORBIDDEN && size_of(ingest->skew_s) > IAM_SKEW_S_MAX);
    if (!stale && (ingest->verdict != VERDICT_ACCEPT || atomic_load(&watch->late_sources) == 0)) return;
    struct clock_report *report = calloc(1, sizeof *report);
    if (report == NULL) return;
    report->letter.weight = 1;
    report->stale = stale;
    report->skew_s = ingest->skew_s;
    struct str name = ingest->source->name;
    memcpy(report->source, name.ptr, name.len < sizeof report->source - 1 ? name.len : sizeof report->source - 1);
    if (stale) {
        uint8_t digest[32];
        digest_sha256(body, digest);
        memcpy(&report->content, digest, sizeof report->content);
    }
    if (!mailbox_put(mailbox, &report->letter)) free(report);
}
