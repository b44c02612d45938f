/* SPDX-License-Identifier: Apache-2.0 */
/* Percentiles of the whole sample, then one pass a crop. Nothing is kept between calls. */
#include "statistics.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct moments {
    double count, mean, squares; /* Welford's */
};

static void moments_add(struct moments *m, double x) {
    m->count += 1;
    double delta = x - m->mean;
    m->mean += delta / m->count;
    m->squares += delta * (x - m->mean);
}

static double welch(const struct moments *a, const struct moments *b) {
    if (a->count < 1000 || b->count < 1000) return 0;
    double error = sqrt(a->squares / (a->count - 1) / a->count + b->squares / (b->count - 1) / b->count);
    return error > 0 ? (a->mean - b->mean) / error : 0;
}

static double cropped(const struct sample *samples, size_t count, uint32_t limit) {
    struct moments classes[2] = {{0}};
    for (size_t i = 0; i < count; i++)
        if (samples[i].ticks <= limit) moments_add(&classes[samples[i].class], samples[i].ticks);
    return fabs(welch(&classes[0], &classes[1]));
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

double statistics_t_max(const struct sample *samples, size_t count) {
    check(count > 0);
    uint32_t *sorted = malloc(count * sizeof *sorted);
    check(sorted != NULL);
    for (size_t i = 0; i < count; i++)
        sorted[i] = samples[i].ticks;
    qsort(sorted, count, sizeof *sorted, by_value);
    double t_max = cropped(samples, count, UINT32_MAX);
    for (int i = 0; i < CROPS; i++) {
        /* Closer and closer to the end, as dudect has it: 29 % is the first, 99.9 % the last. */
        double share = 1 - pow(0.5, 10.0 * (i + 1) / CROPS);
        double t = cropped(samples, count, sorted[(size_t)(share * (double)(count - 1))]);
        if (t > t_max) t_max = t;
    }
    free(sorted);
    return t_max;
}
