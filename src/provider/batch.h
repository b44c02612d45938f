/* SPDX-License-Identifier: Apache-2.0 */
/* What an authentic request says: one event, or those of a batch, or none. By now the sender is known, so nothing in a
 * provider's body is refused any more; what cannot be read as an event is kept as `unreadable`. Only POST / answers
 * 400. */
#ifndef PAYHOOK_PROVIDER_BATCH_H
#define PAYHOOK_PROVIDER_BATCH_H

#include "provider/table.h"

enum batch_split {
    BATCH_SPLIT,
    BATCH_OVER, /* more than BATCH_EVENTS_MAX items; nothing is allocated */
    BATCH_FULL, /* the arena is full */
};
/* The items of a JSON array that json_scan has accepted, as raw bytes. */
enum batch_split batch_split(struct str array, struct arena *arena, struct str **ret_items, uint32_t *ret_count);

/* The events of any provider's row. */
row_read batch_read;
/* The event of POST /: the user's body and `idempotency-key`. */
row_read batch_read_root;

#endif
