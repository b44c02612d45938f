/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of a provider's row: all that differs between two providers. Zeroed members mean "none", so a row names
 * only what it has. The rows are in table.c, what reads them in verify.c (proof), batch.c (meaning) and provider.c
 * (settings, answer). */
#ifndef PAYHOOK_PROVIDER_TABLE_H
#define PAYHOOK_PROVIDER_TABLE_H

#include "codec/digest.h"
#include "provider/provider.h"

/* X(NAME, name, member of struct source_settings). The names are what --set and a source stanza take. */
// clang-format off
#define SETTINGS(X)                                          \
    X(TOLERANCE,        "tolerance",        tolerance_s)      \
    X(EVENT_ID,         "event_id",         event_id)         \
    X(EVENT_TYPE,       "event_type",       event_type)       \
    X(TRANSACTION_ID,   "transaction_id",   transaction_id)   \
    X(HEADER,           "header",           header)           \
    X(PREFIX,           "prefix",           prefix)           \
    X(SEPARATOR,        "separator",        separator)        \
    X(ENCODING,         "encoding",         encoding)         \
    X(DIGEST,           "digest",           digest)           \
    X(KEY_ENCODING,     "key_encoding",     key_encoding)     \
    X(SIGNED,           "signed",           signed_text)      \
    X(TIMESTAMP_HEADER, "timestamp_header", timestamp_header) \
    X(TIMESTAMP_UNIT,   "timestamp_unit",   timestamp_unit)   \
    X(ID_HEADER,        "id_header",        id_header)        \
    X(NOTIFICATION_URL, "notification_url", notification_url) \
    X(CERTIFICATE,      "certificate",      certificate)      \
    X(CERTIFICATE_URL,  "certificate_url",  certificate_url)  \
    X(PUBLIC_KEY,       "public_key",       public_key)       \
    X(ENVIRONMENT,      "environment",      environment)      \
    X(KEY_ID,           "key_id",           key_id)
// clang-format on
enum setting {
#define X(name, word, member) SETTING_##name,
    SETTINGS(X)
#undef X
        SETTING_COUNT
};
#define SETTING_BIT(name) (UINT32_C(1) << SETTING_##name)
#define SETTINGS_PLACES   (SETTING_BIT(EVENT_ID) | SETTING_BIT(EVENT_TYPE) | SETTING_BIT(TRANSACTION_ID))

enum key_encoding {
    KEY_TEXT,   /* the secret's bytes as they are */
    KEY_BASE64, /* decoded, after an optional "whsec_" */
    KEY_HEX,    /* decoded, either case */
    KEY_SHA1,   /* the SHA-1 of the text */
};
enum signature_encoding { SIGNATURE_HEX, SIGNATURE_BASE64 }; /* lower-case hex; padded base64 */
enum time_unit { TIME_S, TIME_MS };
enum secret_form {
    SECRET_KEY,   /* signs: at least SECRET_SIZE_MIN bytes */
    SECRET_TOKEN, /* is sent as it is: at least TOKEN_SIZE_MIN bytes */
    SECRET_PAIR,  /* "ACCESS_KEY_ID:SECRET" */
};

/* How signatures stand in the header. Without a separator the value is one signature. With one it is a list; where
 * there is a joint its items are pairs, only those called name count, and the one called timestamp_name is the time. A
 * list by commas without a time in it may come as several fields of one name (RFC 9110 §5.3). */
struct signature_form {
    char separator, joint;
    const char *name, *timestamp_name;
    const char *prefix; /* before each signature */
    bool prefix_optional;
    enum signature_encoding encoding;
};

/* What makes two events different, spec "What is kept". */
enum key_kind {
    KEY_BY_RULE,    /* from where id and type stand: see key_kind_of in batch.c */
    KEY_ID,         /* the provider's id */
    KEY_CONTENT,    /* the SHA-256 of what was said; an id is only kept */
    KEY_ID_CONTENT, /* both; KEY_ID where the scheme finds that the signature covers the id's header */
    KEY_FIELDS,     /* key_fields joined by ":"; event_id stays none */
};

struct verification; /* provider/verify.h */

/* A scheme: is this request authentic? VERDICT_ACCEPT, or why not, with v->reason. */
typedef enum verdict scheme_verify(const struct provider_input *input, struct verification *v);
/* From an authentic request to ret_answer's events: VERDICT_ACCEPT, or what the answer is instead. */
typedef enum verdict row_read(const struct provider_input *input, const struct verification *v,
                              struct provider_answer *ret_answer);
/* What of a body or a batch's item says what happened, where that is not all its bytes. False: the arena is full. */
typedef bool row_content(struct str bytes, struct arena *arena, struct str *ret_content);
/* Answers a GET that asks whether the endpoint is alive: VERDICT_ACCEPT with ret_answer->reply_body, or a refusal. */
typedef enum verdict row_challenge(const struct provider_input *input, struct provider_answer *ret_answer);

enum { ROW_HEADERS_MAX = 2 };

struct provider_row {
    const char *name;

    /* Proof. Of each kind of header the first that was sent counts. */
    scheme_verify *verify;
    enum authenticated authenticated; /* what the proof covers */
    const char *signature_headers[ROW_HEADERS_MAX];
    struct signature_form form;
    enum digest digest;
    enum key_encoding key_encoding;
    const char *signed_text; /* with {body}, {timestamp}, {id}, {url} */
    const char *timestamp_headers[ROW_HEADERS_MAX];
    enum time_unit time_unit;
    int64_t past_s_max, ahead_s_max; /* default tolerances; 0: the time is not checked unless the source says so */
    const char *id_headers[ROW_HEADERS_MAX];
    enum secret_form secret_form;
    bool no_secret;          /* the key is public */
    const char *key_urls[2]; /* where keys may be fetched: a live and a sandbox prefix, one more path segment follows */

    /* Meaning. Places as in settings; of a batch they are read in the item. event_id NULL: the signed {id}, if any. */
    const char *event_id, *event_type, *transaction_id;
    const char *event_type_tail; /* follows the type after a "." */
    enum key_kind key;
    const char *key_fields; /* KEY_FIELDS: places, each a part */
    bool repeats;           /* look for repeats although the key is an id: what covers it is no real digest */
    row_content *content;   /* NULL: all bytes */
    const char *batch;      /* pointer to the array of events; NULL: the body is one event */
    bool batch_over_is_one; /* over BATCH_EVENTS_MAX: one unreadable event, not 413 */
    row_read *read;         /* NULL: batch_read */

    /* Answer. */
    row_challenge *challenge;
    int refusal_status;     /* 0: 401 */
    const char *reply_body; /* NULL: the standard one */

    const char *kept_headers[4]; /* beside those named above or in settings, content-type and user-agent */
    uint32_t takes, needs;       /* settings: SETTING_BIT(…) */
};

/* The rows in the table's order; NULL at the end. */
const struct provider_row *provider_row_at(size_t index);

#endif
