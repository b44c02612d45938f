/* SPDX-License-Identifier: Apache-2.0 */
/* Digests and HMAC over OpenSSL's EVP digests.
 *
 * The algorithms are fetched once in the process; EVP_sha256() and its like would look them up again at every start of
 * a digest, which costs more than hashing a short text. Each thread keeps one context per algorithm, since a context
 * that changes its algorithm frees and allocates its state. HMAC is RFC 2104 spelled out over the same contexts: a kept
 * EVP_MAC context costs a little more, and would be one more thing to keep. A thread's contexts are freed when it ends.
 *
 * Keys are wiped here from all that this file has copied them to; the caller's copy is the caller's. */
#include "codec/digest.h"

#include "base/err.h"
#include "base/os.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>

enum { DIGEST_COUNT = 3, BLOCK_SIZE_MAX = 128 };

/* To add a digest: a value in digest.h, a row here, DIGEST_COUNT; a block larger than BLOCK_SIZE_MAX changes that. */
static const struct digest_row {
    const char *name; /* as OpenSSL calls it */
    uint8_t size, block_size;
} rows[DIGEST_COUNT] = {
    [DIGEST_SHA1] = {"SHA1", 20, 64},
    [DIGEST_SHA256] = {"SHA256", 32, 64},
    [DIGEST_SHA512] = {"SHA512", 64, 128},
};

/* Written once, by process_start, before any other use. */
static struct {
    pthread_once_t once;
    pthread_key_t thread_key; /* its only use is to be told that a thread ends */
    EVP_MD *algorithms[DIGEST_COUNT];
} process = {.once = PTHREAD_ONCE_INIT};

static _Thread_local EVP_MD_CTX *thread_contexts[DIGEST_COUNT];

static void thread_end(void *contexts) {
    EVP_MD_CTX **each = contexts;
    for (size_t i = 0; i < DIGEST_COUNT; i++) {
        EVP_MD_CTX_free(each[i]);
        each[i] = NULL;
    }
}

static void process_start(void) {
    for (size_t i = 0; i < DIGEST_COUNT; i++) {
        process.algorithms[i] = EVP_MD_fetch(NULL, rows[i].name, NULL);
        check(process.algorithms[i] != NULL);
    }
    check(pthread_key_create(&process.thread_key, thread_end) == 0);
}

static EVP_MD_CTX *context_make(enum digest digest) {
    check(pthread_once(&process.once, process_start) == 0);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    check(context != NULL);
    check(EVP_DigestInit_ex2(context, process.algorithms[digest], NULL) == 1);
    thread_contexts[digest] = context;
    check(pthread_setspecific(process.thread_key, thread_contexts) == 0);
    return context;
}

/* The thread's context of this digest, whatever state it is in. */
static EVP_MD_CTX *context_of(enum digest digest) {
    check((unsigned)digest < DIGEST_COUNT);
    EVP_MD_CTX *context = thread_contexts[digest];
    return context != NULL ? context : context_make(digest);
}

static void start(EVP_MD_CTX *context) { check(EVP_DigestInit_ex2(context, NULL, NULL) == 1); }
static void add(EVP_MD_CTX *context, const void *bytes, size_t size) {
    if (size > 0) check(EVP_DigestUpdate(context, bytes, size) == 1);
}
static void add_parts(EVP_MD_CTX *context, const struct str *parts, size_t count) {
    for (size_t i = 0; i < count; i++)
        add(context, parts[i].ptr, parts[i].len);
}
static void finish(EVP_MD_CTX *context, uint8_t *ret_digest) {
    check(EVP_DigestFinal_ex(context, ret_digest, NULL) == 1);
}

size_t digest_size(enum digest digest) {
    check((unsigned)digest < DIGEST_COUNT);
    return rows[digest].size;
}

void digest_of(enum digest digest, const struct str *parts, size_t count, uint8_t *ret_digest) {
    EVP_MD_CTX *context = context_of(digest);
    start(context);
    add_parts(context, parts, count);
    finish(context, ret_digest);
}

void digest_hmac(enum digest digest, struct str key, const struct str *parts, size_t count, uint8_t *ret_digest) {
    EVP_MD_CTX *context = context_of(digest);
    const struct digest_row *row = &rows[digest];
    uint8_t pad[BLOCK_SIZE_MAX] = {0};
    uint8_t inner[DIGEST_SIZE_MAX];

    /* RFC 2104 §2: a key longer than a block is hashed first; shorter ones are filled up with zeros. */
    if (key.len > row->block_size) {
        start(context);
        add(context, key.ptr, key.len);
        finish(context, pad);
    } else if (key.len > 0) {
        memcpy(pad, key.ptr, key.len);
    }

    for (size_t i = 0; i < row->block_size; i++)
        pad[i] ^= 0x36;
    start(context);
    add(context, pad, row->block_size);
    add_parts(context, parts, count);
    finish(context, inner);

    for (size_t i = 0; i < row->block_size; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    start(context);
    add(context, pad, row->block_size);
    add(context, inner, row->size);
    finish(context, ret_digest);

    os_wipe(pad, row->block_size);
    os_wipe(inner, row->size);
}

bool digest_equal(const void *a, const void *b, size_t size) { return CRYPTO_memcmp(a, b, size) == 0; }

/* Digests of the two would hide where they differ, but not their lengths: a few cycles more or less, measurable over a
 * million calls (tests/timing). So every byte of given is looked at, against the first of the secret where there is
 * none left. The mask is arithmetic, and difference volatile, so that no compiler makes a branch of either. */
bool digest_secret_equal(struct str secret, struct str given) {
    const char *bytes = secret.len > 0 ? secret.ptr : "";
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < given.len; i++) {
        size_t inside = (size_t)0 - ((i - secret.len) >> (8 * sizeof(size_t) - 1)); /* all ones while i < secret.len */
        difference = difference | (uint8_t)(bytes[i & inside] ^ given.ptr[i]);
    }
    return (difference | (secret.len ^ given.len)) == 0;
}

const char *digest_library(void) { return OpenSSL_version(OPENSSL_VERSION); }
