/* SPDX-License-Identifier: Apache-2.0 */
/* Every bound of the program, with its unit and what happens there. Those marked * are also configuration; the value
 * here is then the default. The contract is the page "Limits" of payhook.conf(5) and README. */
#ifndef PAYHOOK_BASE_LIMITS_H
#define PAYHOOK_BASE_LIMITS_H

#include <assert.h>

enum {
    /* HTTP requests (codec/http1): beyond, the request is refused and the connection closed. */
    HTTP_HEAD_SIZE_MAX = 16384,     /* bytes, request line to the empty line: 431 (the target alone: 414) */
    HTTP_TARGET_SIZE_MAX = 8192,    /* bytes: 414 */
    HTTP_METHOD_SIZE_MAX = 32,      /* bytes: 400 */
    HTTP_HEADERS_MAX = 100,         /* header fields: 431 */
    HTTP_CHUNK_LINE_SIZE_MAX = 256, /* bytes of one chunk-size line with its extension: 400 */
    HTTP_TRAILER_SIZE_MAX = 8192,   /* bytes of all trailer fields: 431 */

    /* Bodies. */
    BODY_SIZE_MAX = 1 << 20,      /* * bytes: 413 */
    BODY_PIECE_SIZE = 65536,      /* bytes claimed from the budget at a time */
    BODY_BUDGET_SIZE = 256 << 20, /* * bytes for the bodies of all connections: 503 before the body is read */

    /* JSON of webhooks (codec/json). */
    JSON_DEPTH_MAX = 64,           /* nested arrays and objects: "too deep" */
    JSON_POINTER_SIZE_MAX = 128,   /* bytes of one configured pointer: refused at load */
    JSON_POINTER_SEGMENTS_MAX = 8, /* segments of one pointer: refused at load */
    JSON_POINTERS_MAX = 32,        /* pointers read in one pass: a bug beyond */

    /* Events. */
    TRANSACTION_ID_SIZE_MAX = 1024, /* bytes of UTF-8: at POST / 400, from a provider replaced by its digest */
    EVENT_KEY_SIZE_MAX = 256,       /* bytes: replaced by its digest */
    EVENT_TYPE_SIZE_MAX = 256,      /* bytes: cut off, since nothing depends on it */
    BATCH_EVENTS_MAX = 512,         /* events of one request: 413 */
    KEPT_HEADERS_SIZE_MAX = 8192,   /* bytes of the headers kept with an event: further ones are left out */

    /* Signatures, sources. */
    SIGNATURE_CANDIDATES_MAX = 32, /* candidates of one signature header: malformed */
    SOURCE_SECRETS_MAX = 8,        /* secrets of a source: refused at load */
    SOURCES_MAX = 1000,            /* refused at load */
    SOURCE_NAME_SIZE_MAX = 63,     /* bytes: refused at load */
    SECRET_SIZE_MIN = 16,          /* bytes: a shorter secret is left out with a warning */
    TOKEN_SIZE_MIN = 8,            /* bytes, for static tokens */
    SECRET_SIZE_MAX = 4096,        /* bytes: left out with a warning */
    PLACES_MAX = 8,                /* alternatives of one place list: refused at load */
    IAM_KEYS_MAX = 256,            /* key pairs for POST / in the keys file: key add refuses */
    IAM_SKEW_S_MAX = 300,          /* seconds either way: 403 */

    /* The server. */
    MAILBOX_EVENTS_MAX = 4096,      /* * requests waiting for the keeper: 503 */
    IO_THREADS_MAX = 16,            /* * threads reading and writing connections */
    CONNECTIONS_MAX = 15000,        /* * open connections: new ones wait in the listen queue */
    HEAD_DEADLINE_S = 10,           /* * seconds for a whole head: 408 */
    BODY_DEADLINE_S = 30,           /* * seconds for a whole body: 408 */
    BODY_RATE_MIN = 1024,           /* bytes a second on average, looked at every 5 s of a body: 408 */
    IDLE_DEADLINE_S = 75,           /* * seconds without a byte between requests: closed */
    WRITE_DEADLINE_S = 10,          /* seconds for a client to take a reply: closed */
    LINGER_SIZE_MAX = 65536,        /* bytes dropped after a refusal that closes */
    LINGER_MS_MAX = 1000,           /* milliseconds, the same */
    DRAIN_MS_MAX = 5000,            /* milliseconds from SIGTERM to the end */
    TLS_FILE_SIZE_MAX = 1 << 20,    /* bytes of a file of a TLS certificate or key: refused at load */
    TLS_TICKET_LIFETIME_S = 7200,   /* seconds for which a TLS 1.3 session may be resumed: then a whole handshake */
    ADMIN_CONNECTIONS_MAX = 16,     /* connections of the admin listener: the oldest is closed */
    ADMIN_DEADLINE_S = 5,           /* seconds for one request there and its reply: closed */
    READY_ROOM_SIZE_MIN = 65536,    /* bytes free on the disk of the data folder: below, /readyz answers 503 */
    READY_RETRY_S = 10,             /* seconds for which /readyz answers 503 after a commit that failed */
    REQUEST_ARENA_SIZE = 1 << 20,   /* bytes (touched as used): a request that needs more is answered 500 */
    CONFIG_FILE_SIZE_MAX = 4 << 20, /* bytes: refused at load */

    /* HTTP as a client (net/client). */
    CLIENT_CONNECTIONS_MAX = 128,        /* connections to one target: further exchanges wait for one */
    CLIENT_ANSWER_SIZE_MAX = 64 << 20,   /* bytes of an answer's body: no answer beyond (ERR_NETWORK) */
    CLIENT_ANSWER_HEAD_SIZE_MAX = 65536, /* bytes of an answer's head: the same */
    ANSWER_HEADERS_MAX = 128,            /* header fields of an answer (codec/answer): the same */
    CLIENT_ROOM_SIZE = 16384,            /* bytes of memory that an answer begins with, doubled as it grows … */
    CLIENT_ROOM_KEPT_SIZE = 65536,       /* … and kept for the next one up to this */
    CLIENT_UNUSED_MAX = 64,              /* ended exchanges whose memory is kept for the next ones */

    /* AWS (net/credentials, net/aws). */
    AWS_FILE_SIZE_MAX = 1 << 20,       /* bytes of a shared credentials or configuration file: refused */
    CREDENTIAL_TOKEN_SIZE_MAX = 16384, /* bytes of one credential or token: refused */
    CREDENTIALS_SIZE_MAX = 3 * 16384,  /* bytes of all three */
    AWS_CALL_ARENA_SIZE = 128 << 10,   /* bytes (touched as used) to sign one call in: ERR_INPUT beyond */
    AWS_RETRY_MS_MIN = 25,             /* milliseconds: the first wait before another try is at most this, */
    AWS_RETRY_MS_MAX = 1000,           /* doubling up to this */

    /* Secrets of AWS Secrets Manager. */
    SECRET_STRING_SIZE_MAX = 65536, /* bytes, the service's own limit: the secret cannot be read */
    SECRET_FETCH_MS_MAX = 10000,    /* milliseconds for one secret at a server's load: left out with a warning */

    /* The function. */
    FUNCTION_EVENT_SIZE_MAX = 7 << 20,  /* bytes of an event (the service's limit is 6 MB): the function ends */
    FUNCTION_MARGIN_MS = 1500,          /* milliseconds before its end by which an invocation is answered: 503 */
    FUNCTION_DEADLINE_MS = 30000,       /* milliseconds of an invocation that names no end */
    FUNCTION_SECRET_MS_MAX = 2500,      /* milliseconds for the secret within an invocation: it goes on without */
    FUNCTION_SECRET_KEEP_S = 300,       /* seconds a secret is used before it is fetched again … */
    FUNCTION_SECRET_JITTER_S = 30,      /* … give or take at most these */
    FUNCTION_SECRET_STALE_S = 3600,     /* seconds since the last good fetch: the secret is given up */
    FUNCTION_SECRET_PAUSE_S = 30,       /* seconds between two fetches that nothing but a refusal asks for */
    FUNCTION_SECRET_PAUSE_NEEDED_S = 5, /* the same where there is no secret, and the request cannot do without */
    /* Events in DynamoDB (store/dynamodb.c). Items of at most 400 KB, requests of at most 4 MB are the service's. */
    DYNAMODB_INLINE_SIZE_MAX = 8192, /* bytes of one event within its transaction's head: else an item of its own */
    DYNAMODB_OPEN_SIZE_MAX = 16384,  /* bytes of events in a head that takes more: beyond, all are items of their own */
    DYNAMODB_ORDER_MAX = 64,         /* events a head names in order: then they are moved to a page */
    DYNAMODB_TEXT_SIZE_MAX = 32768,  /* bytes of a body beside its event: a larger one is kept in parts */
    DYNAMODB_PART_SIZE = 380 * 1024, /* bytes of one part */
    DYNAMODB_BODY_SIZE_MAX = 2 << 20, /* bytes of a body: a configuration that allows more is refused at load */
    DYNAMODB_IN_FLIGHT_MAX = 64,      /* requests at once of one commit or reading: the next ones wait */
    DYNAMODB_WRITERS = 64,            /* keepers of a server, each with one request's events at a time */
    KEEPERS_MAX = DYNAMODB_WRITERS,   /* of any store */
    DYNAMODB_ATTEMPTS_MAX = 8,        /* changed requests for one event (3 where nobody interferes): it has failed */
    DYNAMODB_DEADLINE_MS = 10000,     /* milliseconds for a commit or a reading's request where nobody set another */

    /* payhook stack */
    XML_DEPTH_MAX = 64,              /* elements within elements: refused */
    STACK_ANSWER_SIZE_MAX = 8 << 20, /* bytes of one answer of CloudFormation or S3: refused */
    STACK_ARENA_SIZE = 32 << 20,     /* bytes for one command's answers: it ends with a sentence */
    STACK_CHANGES_MAX = 200,         /* changes of a plan, rows of its progress: the plan is refused */
    STACK_PROPERTIES_MAX = 200,      /* changed properties of one resource: the rest is not shown */
    STACK_PARAMETERS_MAX = 60,       /* parameters of a stack that are read */
    STACK_OUTPUTS_MAX = 60,          /* outputs of a stack that are read */
    STACK_TAGS_MAX = 50,             /* tags of a stack, CloudFormation's own limit: refused */
    STACK_LOGICAL_ID_MAX = 256,      /* bytes with the NUL, as all of these: cut */
    STACK_TYPE_MAX = 204,            /* "AWS::Lambda::Function" */
    STACK_STATUS_MAX = 64,           /* "CREATE_IN_PROGRESS" */
    STACK_REASON_MAX = 2048,         /* why a resource failed */
    STACK_EVENT_ID_MAX = 128,
    STACK_EVENTS_MAX = 2000,             /* events of one operation: the oldest are forgotten */
    STACK_TEMPLATE_SIZE_MAX = 51200,     /* bytes in a call, CloudFormation's own limit: a test fails */
    STACK_ARTIFACT_SIZE_MAX = 50 << 20,  /* bytes of the function's zip, Lambda's own limit: refused */
    STACK_UNPACKED_SIZE_MAX = 250 << 20, /* bytes of the program in it, Lambda's own limit: refused */
    STACK_FIRST_CALL_MS_MAX = 6000, /* milliseconds of a command's first call, before anything has begun: the same */
    STACK_UPLOAD_MS_MAX = 600000,   /* milliseconds to upload it, with all tries: it ends with a sentence */
    STACK_OBJECTS_ARENA_SIZE = 8 << 20, /* bytes (touched as used) for one page of a bucket's list: refused */
    STACK_OBJECTS_PAGES_MAX = 1000,     /* pages of one list: refused */
    STACK_SECRET_TRIES_MAX = 5,         /* times that somebody else may write the secret in between: ERR_BUSY */
    STACK_CALL_MS_MAX = 30000,          /* milliseconds of one call with its tries: it ends with a sentence */
    STACK_PATIENCE_MS = 300000,         /* milliseconds nobody answers while an operation is watched: the watch ends */
    STACK_SETTLE_MS = 20000,            /* milliseconds in which a stack's status and its events may disagree */
};

static_assert(HTTP_TARGET_SIZE_MAX < HTTP_HEAD_SIZE_MAX, "a target fits the head buffer");
static_assert(BODY_PIECE_SIZE <= BODY_SIZE_MAX, "a body is at least one piece");
static_assert(EVENT_KEY_SIZE_MAX >= 7 + 64, "sha256- and its hex digits fit an event key");
static_assert(CREDENTIALS_SIZE_MAX >= 3 * CREDENTIAL_TOKEN_SIZE_MAX, "a key pair and its token fit");
static_assert(TRANSACTION_ID_SIZE_MAX >= EVENT_KEY_SIZE_MAX, "an event key can stand for a transaction");

#endif
