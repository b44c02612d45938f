/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and histograms: each thread counts in memory of its own, without a lock, and whoever asks sums them up and
 * gets the text that Prometheus reads. Labels come from the configuration and from the table of verdicts, never from
 * outside. */
#ifndef PAYHOOK_APP_METRICS_H
#define PAYHOOK_APP_METRICS_H

#include "app/clock.h"
#include "core/config.h"
#include "core/ingest.h"

struct metrics;

/* What one thread counts; it alone may call the next three. NULL where there is no memory. */
struct metrics *metrics_open(void);
/* Accepts NULL. */
void metrics_close(struct metrics *metrics);

/* A request was answered. ingest: NULL where nothing could be read of it. */
void metrics_request(struct metrics *metrics, const struct ingest *ingest, enum verdict verdict, int64_t duration_us);
void metrics_connections(struct metrics *metrics, uint32_t count);
void metrics_commit(struct metrics *metrics, size_t event_count, int64_t duration_us);

/* What the text is made of. */
struct metrics_view {
    const struct metrics *const *parts; /* of all threads, which may go on counting */
    size_t part_count;
    const struct config *config;
    const struct clock_watch *clock;
    uint64_t mailbox_depth;
};
/* The text (Prometheus exposition format 0.0.4), malloc'd; ptr NULL where there is no memory. The caller frees. */
struct str metrics_text(const struct metrics_view *view);

#endif
