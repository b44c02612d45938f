/* SPDX-License-Identifier: Apache-2.0 */
/* Each thread's numbers lie in cache lines of its own, and only it writes them: a relaxed load and store, no locked
 * instruction. A reader may see one number before another that was counted with it, never a torn one.
 *
 * A source's row is made by the thread that first answers for it, published by its bucket, and kept to the end, so that
 * counts survive a reload; their number is bounded by the names that were ever configured. The text has a row for every
 * source that is configured or was, with every verdict from the first scrape on, since rate() misses a count that
 * begins at one. The source "" stands for requests that named no source, and for bytes that were none.
 *
 * Names, units and types keep to the rules of Prometheus ("Metric and label naming", "Exposition formats"): seconds, a
 * unit at the end, _total for what only grows. */
#include "app/metrics.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CACHE_LINE = 64,
    SOURCE_BUCKETS = 256,
    BOUNDS_MAX = 14,
    ROW_TEXT_MAX = (VERDICT_COUNT + 4) * 160, /* bytes of one source's lines */
    FIXED_TEXT_MAX = 16384,                   /* bytes of all others */
};

typedef atomic_uint_least64_t counter;

struct histogram {
    counter buckets[BOUNDS_MAX + 1]; /* each counts its own; the last is for what is beyond all bounds */
    counter sum;
};

struct row {
    _Atomic(struct row *) next;
    char source[SOURCE_NAME_SIZE_MAX + 1];
    counter verdicts[VERDICT_COUNT], duplicates, unreadable;
};

struct metrics {
    _Alignas(CACHE_LINE) _Atomic(struct row *) rows[SOURCE_BUCKETS];
    struct histogram request, commit, batch;
    counter connections;
};

/* Upper bounds: as counted (microseconds or events), and as written. */
struct bounds {
    const char *name, *help;
    size_t offset;   /* of the histogram in struct metrics */
    uint64_t divide; /* what one unit of the text is in the unit of counting */
    size_t count;
    struct {
        uint64_t value;
        const char *text;
    } bounds[BOUNDS_MAX];
};

/* To add a histogram: a member of struct metrics, a row here, a function that observes. */
static const struct bounds REQUEST = {"payhook_request_seconds",
                                      "Time from the first byte of a request to its reply.",
                                      offsetof(struct metrics, request),
                                      1000000,
                                      14,
                                      {{250, "0.00025"},
                                       {500, "0.0005"},
                                       {1000, "0.001"},
                                       {2500, "0.0025"},
                                       {5000, "0.005"},
                                       {10000, "0.01"},
                                       {25000, "0.025"},
                                       {50000, "0.05"},
                                       {100000, "0.1"},
                                       {250000, "0.25"},
                                       {500000, "0.5"},
                                       {1000000, "1"},
                                       {5000000, "5"},
                                       {30000000, "30"}}};
static const struct bounds COMMIT = {"payhook_commit_seconds",
                                     "Time of one commit to the store, its sync included.",
                                     offsetof(struct metrics, commit),
                                     1000000,
                                     14,
                                     {{100, "0.0001"},
                                      {250, "0.00025"},
                                      {500, "0.0005"},
                                      {1000, "0.001"},
                                      {2500, "0.0025"},
                                      {5000, "0.005"},
                                      {10000, "0.01"},
                                      {25000, "0.025"},
                                      {50000, "0.05"},
                                      {100000, "0.1"},
                                      {250000, "0.25"},
                                      {500000, "0.5"},
                                      {1000000, "1"},
                                      {10000000, "10"}}};
static const struct bounds BATCH = {"payhook_batch_events",
                                    "Events in one commit to the store.",
                                    offsetof(struct metrics, batch),
                                    1,
                                    11,
                                    {{1, "1"},
                                     {2, "2"},
                                     {4, "4"},
                                     {8, "8"},
                                     {16, "16"},
                                     {32, "32"},
                                     {64, "64"},
                                     {128, "128"},
                                     {256, "256"},
                                     {512, "512"},
                                     {1024, "1024"}}};
enum { HISTOGRAM_COUNT = 3 };
static const struct bounds *const HISTOGRAMS[HISTOGRAM_COUNT] = {&REQUEST, &COMMIT, &BATCH};

/* ---- counting ---- */

static uint64_t value_of(const counter *c) { return atomic_load_explicit(c, memory_order_relaxed); }
/* By the only thread that writes it. */
static void add(counter *c, uint64_t more) { atomic_store_explicit(c, value_of(c) + more, memory_order_relaxed); }

struct metrics *metrics_open(void) {
    struct metrics *metrics = aligned_alloc(CACHE_LINE, sizeof *metrics);
    if (metrics == NULL) return NULL;
    memset(metrics, 0, sizeof *metrics); /* an atomic of these types is its value (gcc, clang) */
    return metrics;
}

void metrics_close(struct metrics *metrics) {
    if (metrics == NULL) return;
    for (size_t i = 0; i < SOURCE_BUCKETS; i++)
        for (struct row *row = atomic_load(&metrics->rows[i]), *next; row != NULL; row = next) {
            next = atomic_load(&row->next);
            free(row);
        }
    free(metrics);
}

/* FNV-1a, folded to a bucket. Names come from the operator. */
static size_t bucket_of(struct str source) {
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < source.len; i++)
        hash = (hash ^ (unsigned char)source.ptr[i]) * 16777619U;
    return (hash ^ hash >> 16) % SOURCE_BUCKETS;
}

/* A source's row, made where there is none. NULL: no memory. */
static struct row *row_of(struct metrics *metrics, struct str source) {
    _Atomic(struct row *) *bucket = &metrics->rows[bucket_of(source)];
    struct row *first = atomic_load_explicit(bucket, memory_order_relaxed);
    for (struct row *row = first; row != NULL; row = atomic_load_explicit(&row->next, memory_order_relaxed))
        if (str_eq(source, str_from(row->source))) return row;
    struct row *row = calloc(1, sizeof *row);
    if (row == NULL) return NULL;
    check(source.len <= SOURCE_NAME_SIZE_MAX);
    if (source.len > 0) memcpy(row->source, source.ptr, source.len);
    atomic_store_explicit(&row->next, first, memory_order_relaxed);
    atomic_store_explicit(bucket, row, memory_order_release); /* a reader sees the row whole */
    return row;
}

static void observe(struct histogram *histogram, const struct bounds *bounds, uint64_t value) {
    size_t i = 0;
    while (i < bounds->count && value > bounds->bounds[i].value)
        i++;
    add(&histogram->buckets[i], 1);
    add(&histogram->sum, value);
}

void metrics_request(struct metrics *metrics, const struct ingest *ingest, enum verdict verdict, int64_t duration_us) {
    observe(&metrics->request, &REQUEST, duration_us > 0 ? (uint64_t)duration_us : 0);
    struct str source = ingest != NULL && ingest->source != NULL ? ingest->source->name : STR("");
    struct row *row = row_of(metrics, source);
    if (row == NULL) return; /* a count is lost, as the log would be */
    add(&row->verdicts[verdict], 1);
    if (ingest == NULL || (verdict != VERDICT_STORED && verdict != VERDICT_DUPLICATE)) return;
    add(&row->duplicates, ingest->duplicate_count);
    for (uint32_t i = 0; i < ingest->event_count && verdict == VERDICT_STORED; i++)
        if (ingest->events[i].unreadable.ptr != NULL) add(&row->unreadable, 1);
}

void metrics_connections(struct metrics *metrics, uint32_t count) {
    atomic_store_explicit(&metrics->connections, count, memory_order_relaxed);
}

void metrics_commit(struct metrics *metrics, size_t event_count, int64_t duration_us) {
    observe(&metrics->commit, &COMMIT, duration_us > 0 ? (uint64_t)duration_us : 0);
    observe(&metrics->batch, &BATCH, event_count);
}

/* ---- the text ---- */

/* Adds all rows of a thread to the totals. */
static bool add_rows(struct metrics *total, const struct metrics *part, size_t *row_count) {
    for (size_t i = 0; i < SOURCE_BUCKETS; i++)
        for (struct row *row = atomic_load_explicit(&part->rows[i], memory_order_acquire); row != NULL;
             row = atomic_load_explicit(&row->next, memory_order_relaxed)) {
            struct row *sum = row_of(total, str_from(row->source));
            if (sum == NULL) return false;
            for (size_t k = 0; k < VERDICT_COUNT; k++)
                add(&sum->verdicts[k], value_of(&row->verdicts[k]));
            add(&sum->duplicates, value_of(&row->duplicates));
            add(&sum->unreadable, value_of(&row->unreadable));
        }
    *row_count = 0;
    for (size_t i = 0; i < SOURCE_BUCKETS; i++)
        for (struct row *row = atomic_load(&total->rows[i]); row != NULL; row = atomic_load(&row->next))
            ++*row_count;
    return true;
}

static bool add_all(struct metrics *total, const struct metrics_view *view, size_t *row_count) {
    if (row_of(total, STR("")) == NULL || row_of(total, view->config->default_source.name) == NULL) return false;
    for (uint32_t i = 0; i < view->config->source_count; i++)
        if (row_of(total, view->config->sources[i].name) == NULL) return false;
    for (size_t i = 0; i < view->part_count; i++) {
        const struct metrics *part = view->parts[i];
        if (!add_rows(total, part, row_count)) return false;
        for (size_t k = 0; k < HISTOGRAM_COUNT; k++) {
            struct histogram *to = (struct histogram *)(void *)((char *)total + HISTOGRAMS[k]->offset);
            const struct histogram *from =
                (const struct histogram *)(const void *)((const char *)part + HISTOGRAMS[k]->offset);
            for (size_t n = 0; n <= BOUNDS_MAX; n++)
                add(&to->buckets[n], value_of(&from->buckets[n]));
            add(&to->sum, value_of(&from->sum));
        }
        add(&total->connections, value_of(&part->connections));
    }
    return true;
}

static void put_head(struct writer *w, const char *name, const char *type, const char *help) {
    writer_format(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_value(struct writer *w, uint64_t value) {
    writer_char(w, ' ');
    writer_u64(w, value);
    writer_char(w, '\n');
}

/* name{source="…"} for each source. Names are letters, digits and '-': nothing to escape. */
static void put_each(struct writer *w, const struct metrics *total, const char *name, size_t offset) {
    for (size_t i = 0; i < SOURCE_BUCKETS; i++)
        for (struct row *row = atomic_load(&total->rows[i]); row != NULL; row = atomic_load(&row->next)) {
            writer_format(w, "%s{source=\"%s\"}", name, row->source);
            put_value(w, value_of((const counter *)(const void *)((const char *)row + offset)));
        }
}

static void put_requests(struct writer *w, const struct metrics *total) {
    for (size_t i = 0; i < SOURCE_BUCKETS; i++)
        for (struct row *row = atomic_load(&total->rows[i]); row != NULL; row = atomic_load(&row->next))
            for (size_t k = 0; k < VERDICT_COUNT; k++) {
                if (k == VERDICT_ACCEPT) continue; /* no answer */
                writer_format(w, "payhook_requests_total{source=\"%s\",verdict=\"%s\"}", row->source,
                              verdict_row((enum verdict)k)->word);
                put_value(w, value_of(&row->verdicts[k]));
            }
}

static void put_clock(struct writer *w, const struct metrics *total, const struct clock_watch *clock) {
    for (size_t i = 0; i < SOURCE_BUCKETS; i++)
        for (struct row *row = atomic_load(&total->rows[i]); row != NULL; row = atomic_load(&row->next)) {
            writer_format(w, "payhook_clock_suspect_seconds{source=\"%s\"}", row->source);
            put_value(w, (uint64_t)clock_watch_suspect_s(clock, str_from(row->source)));
        }
}

static void put_histogram(struct writer *w, const struct metrics *total, const struct bounds *bounds) {
    const struct histogram *histogram = (const struct histogram *)(const void *)((const char *)total + bounds->offset);
    put_head(w, bounds->name, "histogram", bounds->help);
    uint64_t count = 0;
    for (size_t i = 0; i <= bounds->count; i++) {
        count += value_of(&histogram->buckets[i]);
        writer_format(w, "%s_bucket{le=\"%s\"}", bounds->name, i < bounds->count ? bounds->bounds[i].text : "+Inf");
        put_value(w, count);
    }
    uint64_t sum = value_of(&histogram->sum);
    writer_format(w, "%s_sum %llu", bounds->name, (unsigned long long)(sum / bounds->divide));
    if (bounds->divide > 1) writer_format(w, ".%06llu", (unsigned long long)(sum % bounds->divide));
    writer_format(w, "\n%s_count", bounds->name);
    put_value(w, count);
}

static void put_all(struct writer *w, const struct metrics *total, const struct metrics_view *view) {
    put_head(w, "payhook_requests_total", "counter", "Requests answered, by source and verdict.");
    put_requests(w, total);
    put_head(w, "payhook_duplicates_total", "counter", "Events that came again and were acknowledged.");
    put_each(w, total, "payhook_duplicates_total", offsetof(struct row, duplicates));
    put_head(w, "payhook_unreadable_total", "counter", "Authentic bodies stored that hold no event we can read.");
    put_each(w, total, "payhook_unreadable_total", offsetof(struct row, unreadable));
    put_head(w, "payhook_clock_suspect_seconds", "gauge",
             "By how much our clock is probably wrong, by the events of a source; 0 where nothing says so.");
    put_clock(w, total, view->clock);
    for (size_t i = 0; i < HISTOGRAM_COUNT; i++)
        put_histogram(w, total, HISTOGRAMS[i]);
    put_head(w, "payhook_mailbox_depth", "gauge", "Events that wait for the store.");
    writer_put(w, STR("payhook_mailbox_depth"));
    put_value(w, view->mailbox_depth);
    put_head(w, "payhook_connections", "gauge", "Open connections.");
    writer_put(w, STR("payhook_connections"));
    put_value(w, value_of(&total->connections));
}

struct str metrics_text(const struct metrics_view *view) {
    struct str text = STR_NONE;
    size_t row_count = 0;
    struct metrics *total = metrics_open();
    if (total == NULL) return text;
    if (add_all(total, view, &row_count)) {
        size_t size = FIXED_TEXT_MAX + row_count * ROW_TEXT_MAX;
        char *memory = malloc(size);
        if (memory != NULL) {
            struct writer w = writer_make(memory, size);
            put_all(&w, total, view);
            check(!w.overflow);
            text = writer_str(&w);
        }
    }
    metrics_close(total);
    return text;
}
