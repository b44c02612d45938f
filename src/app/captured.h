/* SPDX-License-Identifier: Apache-2.0 */
/* A request described on the command line as curl would take it: -X, -H, -d, URL. Shared by verify and send. */
#ifndef PAYHOOK_APP_CAPTURED_H
#define PAYHOOK_APP_CAPTURED_H

#include "app/options.h"

struct captured {
    struct http_request request;
    char *memory;         /* bodies read or joined; free with captured_done */
    struct str authority; /* host[:port] of the URL */
    bool is_https;
};

/* Reads -X (POST by default), -H, -d, --data-binary and the URL. A header given twice is there twice; bytes are never
 * changed. Host is the URL's unless given. False: a sentence went to stderr (EXIT_USAGE, or EXIT_FAILED where a file
 * cannot be read) and ret_code is set. */
bool captured_read(const struct options *options, struct captured *ret_captured, int *ret_code);
void captured_done(struct captured *captured);

/* A source made from --provider (or --as), --secret and --set. Owns its secrets. */
struct made_source {
    struct source source;
    struct str texts[SOURCE_SECRETS_MAX + 4]; /* secret memory: secrets, then certificates and keys */
    size_t text_count;
};
bool made_source_read(const struct options *options, const char *provider, struct made_source *ret_made, int *ret_code);
void made_source_done(struct made_source *made);

#endif
