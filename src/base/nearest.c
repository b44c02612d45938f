/* SPDX-License-Identifier: Apache-2.0 */
/* The distance of two words is the number of letters inserted, left out, replaced or swapped with their neighbour to
 * get from one to the other (optimal string alignment), in three rows of fixed size: longer words are near to nothing.
 */
#include "base/nearest.h"

#include "base/err.h"

enum { WORD_SIZE_MAX = 48, FAR = 255 };

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

static unsigned distance(struct str a, struct str b) {
    if (a.len > WORD_SIZE_MAX || b.len > WORD_SIZE_MAX) return FAR;
    unsigned rows[3][WORD_SIZE_MAX + 1] = {0};
    for (unsigned j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.ptr[i - 1] == b.ptr[j - 1];
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = least(row[j], above2[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

const char *nearest_word(struct str word, word_at *at) {
    check(at != NULL);
    const char *best = NULL;
    unsigned best_distance = FAR;
    for (size_t i = 0; at(i) != NULL; i++) {
        struct str known = str_from(at(i));
        size_t longer = known.len > word.len ? known.len : word.len;
        unsigned far = distance(word, known);
        bool begun = word.len >= 3 && str_starts(known, word);
        if (begun) far = least(far, 1);
        if (far >= best_distance || (!begun && far * 3 > longer)) continue;
        best = at(i);
        best_distance = far;
    }
    return best;
}
