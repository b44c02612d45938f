/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two classes of measured times differ, as dudect asks it (Reparaz, Balasch, Verbauwhede: "Dude, is my code
 * constant time?", 2017): Welch's t of the two means, over all times and over those below each of some percentiles,
 * since interrupts make a long tail in which a small difference is lost. */
#ifndef PAYHOOK_TESTS_TIMING_STATISTICS_H
#define PAYHOOK_TESTS_TIMING_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

enum { CROPS = 20 };

struct sample {
    uint32_t ticks;
    uint8_t class; /* 0 or 1 */
};

/* The largest |t| over all crops. */
double statistics_t_max(const struct sample *samples, size_t count);

#endif
