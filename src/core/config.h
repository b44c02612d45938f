/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as one immutable value: read from the file (libconfuse) and the overrides of the command line, its
 * secrets fetched, its sources checked. The server makes a new one at SIGHUP and lets the old one go when the last
 * request that began under it has ended: hence the count. */
#ifndef PAYHOOK_CORE_CONFIG_H
#define PAYHOOK_CORE_CONFIG_H

#include "base/err.h"
#include "core/keys.h"
#include "core/secrets.h"
#include "provider/provider.h"

#include <stdatomic.h>

/* What the command line and environment say; NULL where they do not. */
struct config_overrides {
    const char *config; /* file; NULL: /etc/payhook/payhook.conf where it exists, else none */
    const char *data;
    const char *listen;
    const char *admin;
    const char *store; /* "sqlite" (default), "memory" (tests), "dynamodb:TABLE" */
};

struct config_limits { /* those of base/limits.h that are configuration, same units */
    uint64_t body_size_max, body_budget_size;
    uint32_t mailbox_events_max, io_threads, head_deadline_s, body_deadline_s, idle_deadline_s,
        connections_max; /* io_threads: never 0 */
};

struct config {
    atomic_uint references;              /* private */
    struct config *base;                 /* private: whose memory this one shares, or NULL */
    char *file;                          /* path it was read from, or NULL */
    char *listen, *admin, *data, *store; /* admin: "" where there is none */
    char *environment;                   /* ENVIRONMENT, or "prod" */
    char *processed_by;                  /* the host's name; of a function its own */
    char *tls_certificate, *tls_key;     /* files; both NULL where connections are plain */
    char *iam_region, *iam_service;
    bool require_api_key; /* then one of api_keys must match x-api-key at POST / */
    struct secret api_keys[SOURCE_SECRETS_MAX];
    uint32_t api_key_count;
    bool sources_unknown; /* a function whose secret could not be read: every /hooks/NAME answers 503 */
    struct config_limits limits;
    struct keys keys;
    struct source default_source; /* POST /: the row iam with the key pairs. No more than SOURCE_SECRETS_MAX fit there,
                                     so its pairs are keys above */
    struct source *sources;       /* sorted by name */
    uint32_t source_count;
    void *private_memory; /* what the slices point into */
};

/* Called with a sentence for each thing left out (a short secret, a reference that cannot be read …), also by
 * check-config. */
typedef void config_warn(void *context, struct str sentence);
/* As secret_reader_read, for a reader of the caller's own. */
typedef struct err config_read(void *reader, struct str reference, struct writer *message,
                               struct secret_texts *ret_texts);

/* Reads everything. A file that is wrong is ERR_INPUT and message holds "FILE:LINE: …" and what to do; a secret that
 * cannot be used is a warning, its source answers 503. A keys file that cannot be used fails, one that is absent holds
 * no keys. One thread at a time: libconfuse keeps its scanner in globals. */
struct err config_load(const struct config_overrides *overrides, config_warn *warn, void *context,
                       struct writer *message, struct config **ret_config) MUST_USE;
/* The part of config_load that reads no file: the configuration of a text, without keys. file names the text in
 * messages (NULL: there is no file, and text is empty). read gives the secrets. */
struct err config_parse(struct str text, const char *file, const struct config_overrides *overrides, config_read *read,
                        void *reader, config_warn *warn, void *context, struct writer *message,
                        struct config **ret_config) MUST_USE;

/* What a function knows without its secret. */
struct config_function {
    const char *store, *environment, *processed_by;
    bool require_api_key;
};
/* The configuration of a function, from the JSON of its secret: {"api_key": TEXT or LIST, "sources": {NAME:
 * {"provider": TEXT, "secrets": LIST, SETTING: TEXT …}}}, without keys. STR_NONE: it could not be read. ERR_INPUT where
 * it is not of this form; message never repeats what it holds. A source that is wrong is a warning, and answers 503. */
struct err config_from_secret(struct str json, const struct config_function *function, config_warn *warn, void *context,
                              struct writer *message, struct config **ret_config) MUST_USE;
/* The same configuration with the keys file read again (what the server does when that file changed): neither the
 * configuration file nor any secret is looked at. The new one holds the old one, and may outlive the caller's own hold
 * of it. */
struct err config_reload_keys(struct config *config, struct writer *message, struct config **ret_config) MUST_USE;
struct config *config_hold(struct config *config);
/* Lets go; the last one wipes its secrets. Accepts NULL. */
void config_release(struct config *config);

/* Calls each with the path of every file that the configuration named, whether or not it could be read: itself, and
 * those of secrets and certificates. */
void config_each_file(const struct config *config, void (*each)(void *context, const char *path), void *context);

/* The source of a name, or NULL; "default" is default_source. */
const struct source *config_source(const struct config *config, struct str name);
/* A source name by the rule [a-z][a-z0-9-]{0,62}, not "default". */
bool config_is_source_name(struct str name);
/* Takes "127.0.0.1:8080" or "[::1]:8080" apart: a numeric address without brackets, NUL behind, and a port (0: any free
 * one). */
bool config_split_address(struct str text, char *ret_host, size_t size, uint16_t *ret_port);

#endif
