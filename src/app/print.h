/* SPDX-License-Identifier: Apache-2.0 */
/* How stored events look: for people and as JSON. And the first step of every command that reads. */
#ifndef PAYHOOK_APP_PRINT_H
#define PAYHOOK_APP_PRINT_H

#include "app/options.h"
#include "store/store.h"

#include <stdio.h>

/* Bytes as they are, but for control bytes (line feeds and tabs aside) and what is not UTF-8, which a terminal must not
 * see: \xNN. */
void print_safe(FILE *out, struct str bytes);
/* A JSON string, quotes included. */
void print_json_string(FILE *out, struct str text);
/* "name": "text" or null. */
void print_json_member(FILE *out, const char *name, struct str text);
/* One event as one JSON object, no line feed. */
void print_event_json(FILE *out, const struct event_record *record, bool with_payload);
/* Several lines for a person. */
void print_event_text(FILE *out, const struct event_record *record, bool with_payload);

/* Opens the configured store for reading. Else a sentence goes to stderr and the exit code comes back in ret_code. */
bool open_for_reading(const struct options *options, struct store **ret_store, int *ret_code);
/* Says why a reading failed, and gives EXIT_FAILED. */
int complain_reading(const struct store *store, struct err failure);

#endif
