/* SPDX-License-Identifier: Apache-2.0 */
/* Sources, and the one question asked of them: is this request authentic, and what does it say? Pure: bytes, secrets
 * and the time go in, a verdict and 0 to BATCH_EVENTS_MAX events come out. No socket, file, clock or log.
 *
 * A provider is a row of the table in provider/table.c; a scheme (how a signature is made) is a function in
 * provider/verify.c. */
#ifndef PAYHOOK_PROVIDER_PROVIDER_H
#define PAYHOOK_PROVIDER_PROVIDER_H

#include "base/arena.h"
#include "codec/json.h"
#include "codec/request.h"
#include "event/event.h"
#include "event/verdict.h"

/* Where an id is: "json:/data/id", "header:x-event-id", "query:data.id", "xml:/notification/kind". */
enum place_kind { PLACE_JSON, PLACE_HEADER, PLACE_QUERY, PLACE_XML };
struct place {
    enum place_kind kind;
    struct json_pointer pointer; /* PLACE_JSON */
    struct str name;             /* the others */
};
/* Alternatives: the first that holds a non-empty string or a number counts. */
struct place_list {
    struct place places[PLACES_MAX];
    uint32_t count;
};

struct provider_row; /* provider/table.h */

/* One secret of a source. text is the operator's, in memory the owner keeps and wipes; fault names why it is left out
 * (NULL: it is used). */
struct secret {
    struct str text;
    const char *fault;
};

/* Settings of a source stanza, which override the row. Zeroed memory means "as the row says". Texts belong to the
 * source's owner. */
struct source_settings {
    bool tolerance_set, tolerance_none;
    int64_t tolerance_s;
    struct place_list event_id, event_type, transaction_id; /* count 0: the row's */
    /* hmac, api-key */
    struct str header, prefix, separator, encoding, digest, key_encoding, signed_text;
    struct str timestamp_header, timestamp_unit, id_header;
    /* square, paypal, wise, klarna */
    struct str notification_url, certificate, certificate_url, public_key, environment, key_id;
};

struct source {
    struct str name;
    const struct provider_row *row;
    struct source_settings settings;
    struct secret secrets[SOURCE_SECRETS_MAX]; /* for iam: "ACCESS_KEY_ID:SECRET" each */
    uint32_t secret_count;
};

/* The row of a name, or NULL. */
const struct provider_row *provider_find(struct str name);
const char *provider_name(const struct provider_row *row);
/* The names one by one, NULL at the end: for help texts and "did you mean". */
const char *provider_name_at(size_t index);
/* The names of all settings one by one, NULL at the end: what --set and a source stanza take. */
const char *provider_setting_at(size_t index);

/* Sets one setting from its text. value must live as long as the source. False: message says in a sentence what is
 * wrong. The settings that hold a reference (certificate, public_key) get the contents here. */
bool source_set(struct source *source, struct str name, struct str value, struct writer *message);
/* Looks at the settings as a whole once all are set (a setting the row does not take, one it needs). */
bool source_check(const struct source *source, struct writer *message);
/* Why a secret cannot be used with this source (too short, blanks at an end, the placeholder, not base64 where it must
 * be …), or NULL. Static text. allow_short leaves the length aside. */
const char *source_secret_fault(const struct source *source, struct str secret, bool allow_short);
/* True where the row needs at least one secret to verify anything (all but wise). */
bool source_needs_secret(const struct source *source);

/* Who has looked at a request of the row iam before us. */
enum iam_door {
    IAM_DOOR_SIGNED, /* nobody: Signature Version 4 is checked here */
    IAM_DOOR_URL,    /* AWS, at the function URL with AWS_IAM */
    IAM_DOOR_INVOKE, /* AWS: lambda:InvokeFunction; there are no headers and no method */
};
struct iam_key; /* provider/iam.h */

struct provider_input {
    const struct source *source;
    const struct http_request *request;
    int64_t now_s;
    struct arena *arena; /* everything in the answer lives here, in the request, or is static */

    /* For the row iam; zeroed is the usual. */
    enum iam_door iam_door;
    const struct iam_key *iam_keys; /* in the place of the source's secrets; matched_secret is then an index here */
    uint32_t iam_key_count;
    struct str iam_region, iam_service; /* empty: us-east-1, lambda */

    /* The answer to VERDICT_NEED_KEY: what was fetched from key_url. ptr NULL: nothing yet. */
    struct str key_url, key_pem;
};

struct provider_answer {
    /* ACCEPT, BAD_SIGNATURE, STALE, MISSING_HEADER, MALFORMED, NEED_KEY, TOO_LARGE (batch), UNAVAILABLE (no usable
     * secret), METHOD_NOT_ALLOWED, INTERNAL (arena full); for the row iam: ACCEPT, FORBIDDEN, the 400s of POST / */
    enum verdict verdict;
    struct str reason;      /* a phrase for our own log and `payhook verify`; never the signature or secret */
    int refusal_status;     /* 0, or the row's own status in the place of 401 */
    struct str reply_body;  /* the row's own success body (ptr NULL: the standard one) */
    int32_t matched_secret; /* -1 where none */
    int64_t skew_s;         /* signed time minus now, where the signature was right and the time was checked; else 0 */
    struct str key_url;     /* NEED_KEY: the allow-listed URL to fetch */
    struct event *events;   /* ACCEPT: what was said. source, environment, processed_by, received_us are the caller's */
    uint32_t event_count;   /* 0 for a challenge, or a signed empty batch */
};

/* Never fails: the answer is the verdict. */
void provider_check(const struct provider_input *input, struct provider_answer *ret_answer);

#endif
