/* SPDX-License-Identifier: Apache-2.0 */
/* Does the time of a comparison tell where two secrets differ, or how long one is? Each subject is measured over inputs
 * of two classes, drawn at random one after the other, which differ in nothing but the secret thing: a difference at
 * the first byte or at the last, an equal length or another. A constant-time subject has |t| < 4.5 at a million
 * samples; the controls, a comparison that ends at the first difference and one that looks at the lengths first, must
 * have more, else nothing was shown.
 *
 *     timing [SAMPLES]     default 1,000,000; one line a subject; exit status 1 where one is not as it must be
 *
 * What this does not see: differences below the noise of this machine, and caches or power as an attacker on the same
 * core would watch them. */
#include "base/os.h"
#include "codec/digest.h"
#include "codec/sigv4.h"
#include "codec/text.h"
#include "provider/iam.h"
#include "provider/sign.h"
#include "statistics.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define T_LIMIT   4.5
#define SECRET    "whsec_0123456789abcdefghijklmnopqr"
#define KEY_ID    "AKIDLOCAL0000000001"
#define BODY      "{\"id\":\"evt_1\",\"type\":\"payment_intent.succeeded\",\"transactionId\":\"t-1\"}"
#define SIGNED_S  INT64_C(1782901234)
#define VALUE_MAX 256

/* The time stamp counter where there is one, the clock elsewhere: nanoseconds do as well, only less finely. */
#if defined(__x86_64__)
#include <x86intrin.h>
static uint64_t ticks(void) {
    unsigned processor;
    _mm_lfence();
    uint64_t now = __rdtscp(&processor);
    _mm_lfence();
    return now;
}
#else
#include <time.h>
static uint64_t ticks(void) {
    struct timespec now;
    check(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
#endif

/* Everything that a subject reads. value is what a stranger sends; it stands at the same place for both classes. */
struct scene {
    char value[VALUE_MAX];
    size_t value_size;
    char right[VALUE_MAX]; /* the value that is right */
    size_t right_size;
    size_t secret_size; /* of "own", for subjects whose secret's length varies */
    char own[VALUE_MAX];
    char key_id[32];
    struct source source;
    struct http_request request;
    struct iam_policy policy;
    struct iam_key key;
    struct arena arena;
    char memory[1 << 16];
};

struct subject {
    const char *name;
    bool constant;
    void (*init)(struct scene *scene);
    void (*draw)(struct scene *scene, int class, uint32_t random);
    bool (*run)(struct scene *scene); /* no input is right, so it must be false */
};

/* Inputs */

/* Another byte of the same alphabet at the first (class 0) or the last (class 1) place from a beginning on. */
static void differ(struct scene *scene, size_t begin, int class, uint32_t random) {
    static const char alphabet[] = "0123456789abcdef";
    memcpy(scene->value, scene->right, scene->right_size);
    scene->value_size = scene->right_size;
    size_t at = class == 0 ? begin : scene->right_size - 1;
    const char *here = strchr(alphabet, scene->right[at]);
    size_t shift = 1 + random % 15;
    scene->value[at] = alphabet[((here != NULL ? (size_t)(here - alphabet) : 0) + shift) % 16];
}

static void draw_position(struct scene *scene, int class, uint32_t random) { differ(scene, 0, class, random); }

/* Of Stripe's header only the digits behind "v1=" are compared. */
static void draw_stripe(struct scene *scene, int class, uint32_t random) {
    differ(scene, scene->right_size - 64, class, random);
    scene->request.headers[0].value = str_make(scene->value, scene->value_size);
}

static void draw_token(struct scene *scene, int class, uint32_t random) {
    differ(scene, 0, class, random);
    scene->request.headers[0].value = str_make(scene->value, scene->value_size);
}

/* The secret is as long as what was sent (class 0) or three times that (class 1), and alike up to the last byte of the
 * shorter. */
static void draw_length(struct scene *scene, int class, uint32_t random) {
    memset(scene->value, 'a' + (int)(random % 8), 24);
    memset(scene->own, 'a' + (int)(random % 8), 72);
    scene->value[23] = 'z';
    scene->value_size = 24;
    scene->secret_size = class == 0 ? 24 : 72;
}

/* The same, but shorter (class 1). */
static void draw_shorter(struct scene *scene, int class, uint32_t random) {
    draw_length(scene, class, random);
    scene->secret_size = class == 0 ? 24 : 9;
}

static void iam_authorization(struct scene *scene) {
    for (uint32_t i = 0; i < scene->request.header_count; i++)
        if (str_eq_nocase(scene->request.headers[i].name, STR("authorization")))
            scene->request.headers[i].value = str_make(scene->value, scene->value_size);
}

static void draw_iam(struct scene *scene, int class, uint32_t random) {
    differ(scene, scene->right_size - 64, class, random);
    iam_authorization(scene);
}

/* A key id that is there (class 0) or is not (class 1), both with a wrong signature. */
static void draw_iam_key(struct scene *scene, int class, uint32_t random) {
    differ(scene, scene->right_size - 64, 0, random);
    char *id = memmem(scene->value, scene->value_size, KEY_ID, sizeof KEY_ID - 1);
    check(id != NULL);
    id[sizeof KEY_ID - 2] = class == 0 ? '1' : '2';
    iam_authorization(scene);
}

/* Scenes */

static void right_set(struct scene *scene, struct str right) {
    check(right.len <= VALUE_MAX);
    memcpy(scene->right, right.ptr, right.len);
    scene->right_size = right.len;
}

static void init_bytes(struct scene *scene) { right_set(scene, STR("00112233445566778899aabbccddeeff")); }

static void init_source(struct scene *scene, const char *provider) {
    scene->source = (struct source){.name = STR("shop"), .row = provider_find(str_from(provider)), .secret_count = 1};
    check(scene->source.row != NULL);
    scene->source.secrets[0].text = STR(SECRET);
    scene->request = (struct http_request){.method = STR("POST"), .target = STR("/hooks/shop"), .body = STR(BODY)};
    request_split_target(&scene->request);
}

static void init_stripe(struct scene *scene) {
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    init_source(scene, "stripe");
    scene->arena = arena_make(scene->memory, sizeof scene->memory);
    bool signs = provider_sign(&scene->source, SIGNED_S, STR("evt_1"), &scene->arena, &scene->request, &message);
    check(signs);
    check(scene->request.header_count == 1);
    right_set(scene, scene->request.headers[0].value);
}

static void init_token(struct scene *scene) {
    init_source(scene, "api-key");
    right_set(scene, STR("0123456789abcdef0123456789abcdef"));
    scene->source.secrets[0].text = str_make(scene->right, scene->right_size);
    scene->request.headers[scene->request.header_count++] = (struct http_header){STR("x-api-key"), STR("")};
}

static void init_iam(struct scene *scene) {
    scene->request = (struct http_request){.method = STR("POST"), .target = STR("/"), .body = STR(BODY)};
    request_split_target(&scene->request);
    scene->request.headers[scene->request.header_count++] = (struct http_header){STR("Host"), STR("127.0.0.1:8080")};
    scene->key = (struct iam_key){STR(KEY_ID), STR("local/secret+key/0123456789abcdef0123456")};
    scene->policy = (struct iam_policy){&scene->key, 1, STR("us-east-1"), STR("lambda"), SIGNED_S, 300};
    const struct sigv4_signer signer = {.access_key_id = scene->key.access_key_id,
                                        .secret = scene->key.secret,
                                        .session_token = STR_NONE,
                                        .region = scene->policy.region,
                                        .service = scene->policy.service,
                                        .now_s = SIGNED_S};
    static char texts[1 << 14];
    struct arena arena = arena_make(texts, sizeof texts);
    bool signs = sigv4_sign(&signer, SIGV4_AWS_SERVICE, false, &scene->request, &arena);
    check(signs);
    right_set(scene, scene->request.headers[scene->request.header_count - 1].value);
    check(str_starts(str_make(scene->right, scene->right_size), STR("AWS4-HMAC-SHA256 ")));
}

/* Runs */

static __attribute__((noinline)) bool naive_equal(const char *a, const char *b, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (((const volatile char *)a)[i] != b[i]) return false;
    return true;
}

static bool run_naive(struct scene *scene) { return naive_equal(scene->value, scene->right, scene->right_size); }

static bool run_naive_length(struct scene *scene) {
    return scene->value_size == scene->secret_size && naive_equal(scene->value, scene->own, scene->secret_size);
}

static bool run_digest_equal(struct scene *scene) {
    return digest_equal(scene->value, scene->right, scene->right_size);
}

static bool run_secret_equal(struct scene *scene) {
    return digest_secret_equal(str_make(scene->right, scene->right_size), str_make(scene->value, scene->value_size));
}

static bool run_secret_length(struct scene *scene) {
    return digest_secret_equal(str_make(scene->own, scene->secret_size), str_make(scene->value, scene->value_size));
}

static bool run_provider(struct scene *scene) {
    scene->arena = arena_make(scene->memory, sizeof scene->memory);
    struct provider_input input = {
        .source = &scene->source, .request = &scene->request, .now_s = SIGNED_S, .arena = &scene->arena};
    struct provider_answer answer;
    provider_check(&input, &answer);
    check(answer.verdict == VERDICT_BAD_SIGNATURE || answer.verdict == VERDICT_ACCEPT);
    return answer.verdict == VERDICT_ACCEPT;
}

static bool run_iam(struct scene *scene) {
    scene->arena = arena_make(scene->memory, sizeof scene->memory);
    int32_t matched;
    int64_t skew_s;
    struct str reason;
    return iam_verify(&scene->policy, &scene->request, &scene->arena, &matched, &skew_s, &reason);
}

/* To add a comparison: what is right, how a wrong one is drawn for each class, and the call. */
static const struct subject subjects[] = {
    {"control: ends at the first difference", false, init_bytes, draw_position, run_naive},
    {"control: looks at the lengths first", false, init_bytes, draw_length, run_naive_length},
    {"digest_equal, where they differ", true, init_bytes, draw_position, run_digest_equal},
    {"digest_secret_equal, where they differ", true, init_bytes, draw_position, run_secret_equal},
    {"digest_secret_equal, a longer secret", true, init_bytes, draw_length, run_secret_length},
    {"digest_secret_equal, a shorter secret", true, init_bytes, draw_shorter, run_secret_length},
    {"stripe signature, where it differs", true, init_stripe, draw_stripe, run_provider},
    {"api-key token, where it differs", true, init_token, draw_token, run_provider},
    {"iam signature, where it differs", true, init_iam, draw_iam, run_iam},
    {"iam key id, known or not", true, init_iam, draw_iam_key, run_iam},
};

/* The last core we may use: the first serves most interrupts. */
static void pin(void) {
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    check(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    for (int i = CPU_SETSIZE - 1; i >= 0; i--) {
        if (!CPU_ISSET(i, &allowed)) continue;
        CPU_SET(i, &one);
        break;
    }
    check(sched_setaffinity(0, sizeof one, &one) == 0);
}

static uint32_t next_random(uint64_t *state) { /* xorshift64*: which class is next must not be a pattern */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * UINT64_C(2685821657736338717) >> 32);
}

static double measure(const struct subject *subject, struct sample *samples, size_t count) {
    static struct scene scene;
    uint64_t state;
    os_random(&state, sizeof state);
    state |= 1;
    scene = (struct scene){.value_size = 0};
    subject->init(&scene);
    size_t warm = count / 100 + 1000;
    for (size_t i = 0; i < warm + count; i++) {
        uint32_t random = next_random(&state);
        int class = (int)(random >> 31);
        subject->draw(&scene, class, random);
        atomic_thread_fence(memory_order_seq_cst); /* what was written is in place before the clock starts */
        uint64_t begin = ticks();
        bool equal = subject->run(&scene);
        uint64_t spent = ticks() - begin;
        check(!equal);
        if (i < warm) continue;
        samples[i - warm] = (struct sample){spent < UINT32_MAX ? (uint32_t)spent : UINT32_MAX, (uint8_t) class};
    }
    return statistics_t_max(samples, count);
}

int main(int argc, char **argv) {
    uint64_t count = 1000000;
    if (argc > 2 || (argc == 2 && !str_u64(str_from(argv[1]), 100000000, &count)) || count < 10000) {
        fprintf(stderr, "usage: timing [SAMPLES], 10,000 at least\n");
        return 2;
    }
    struct sample *samples = malloc(count * sizeof *samples);
    check(samples != NULL);
    pin();
    int failed = 0;
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        double t = measure(&subjects[i], samples, count);
        bool good = subjects[i].constant == (t < T_LIMIT);
        failed += !good;
        printf("%-42s |t| = %7.2f, must be %s %.1f: %s\n", subjects[i].name, t,
               subjects[i].constant ? "below" : "above", T_LIMIT, good ? "good" : "FAILED");
        (void)fflush(stdout);
    }
    free(samples);
    return failed == 0 ? 0 : 1;
}
