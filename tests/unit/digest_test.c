/* SPDX-License-Identifier: Apache-2.0 */
/* Digests and HMAC against the published answers, cut into parts everywhere, and from several threads. */
#include "codec/digest.h"

#include "codec/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>

#define S(literal)                                                                                                     \
    { literal, sizeof(literal) - 1 }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_hex(const uint8_t *bytes, size_t size, const char *hex) {
    char text[2 * DIGEST_SIZE_MAX + 1];
    struct writer w = writer_make(text, sizeof(text));
    text_hex_write(&w, bytes, size);
    assert_string_equal(writer_cstr(&w), hex);
}

/* FIPS 180-4, "Secure Hash Standard": the examples of NIST's page "Cryptographic Standards and Guidelines, Example
 * Values". */
static const struct {
    enum digest digest;
    struct str text;
    const char *hex;
} digests[] = {
    {DIGEST_SHA1, S(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {DIGEST_SHA1, S("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {DIGEST_SHA1, S("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {DIGEST_SHA256, S(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {DIGEST_SHA256, S("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {DIGEST_SHA256, S("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {DIGEST_SHA512, S(""),
     "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a"
     "5383"
     "27af927da3e"},
    {DIGEST_SHA512, S("abc"),
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2"
     "a9ac"
     "94fa54ca49f"},
    {DIGEST_SHA512,
     S("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrst"
       "u"),
     "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545"
     "e96e"
     "55b874be909"},
};

static void known_digests(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(digests); i++) {
        uint8_t digest[DIGEST_SIZE_MAX];
        digest_of(digests[i].digest, &digests[i].text, 1, digest);
        assert_hex(digest, digest_size(digests[i].digest), digests[i].hex);
        for (size_t cut = 0; cut <= digests[i].text.len; cut++) {
            struct str parts[3] = {str_make(digests[i].text.ptr, cut), STR_NONE, str_from_index(digests[i].text, cut)};
            digest_of(digests[i].digest, parts, 3, digest);
            assert_hex(digest, digest_size(digests[i].digest), digests[i].hex);
        }
    }
    uint8_t digest[DIGEST_SIZE_MAX];
    digest_of(DIGEST_SHA256, NULL, 0, digest);
    assert_hex(digest, 32, digests[3].hex);
    digest_sha256(STR("abc"), digest);
    assert_hex(digest, 32, digests[4].hex);
}

/* A million "a", in parts of uneven size. */
static void long_text(void **state) {
    (void)state;
    static char text[1000000];
    memset(text, 'a', sizeof(text));
    static const char *const hex[] = {
        [DIGEST_SHA1] = "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
        [DIGEST_SHA256] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        [DIGEST_SHA512] =
            "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb0"
            "09c5c2c49aa2e4eadb217ad8cc09b",
    };
    for (unsigned digest = 0; digest < COUNT(hex); digest++) {
        uint8_t bytes[DIGEST_SIZE_MAX];
        struct str parts[] = {str_make(text, 1), str_make(text + 1, 499998), str_make(text + 499999, 500001)};
        digest_of((enum digest)digest, parts, COUNT(parts), bytes);
        assert_hex(bytes, digest_size((enum digest)digest), hex[digest]);
    }
}

#define K20(c)     c c c c c c c c c c c c c c c c c c c c
#define K50(c)     K20(c) K20(c) c c c c c c c c c c
#define COUNTING   "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31"
#define K131       K50("\xaa") K50("\xaa") K20("\xaa") "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
#define K80        K20("\xaa") K20("\xaa") K20("\xaa") K20("\xaa")
#define LARGER_KEY "Test Using Larger Than Block-Size Key - Hash Key First"
#define LARGER_BOTH                                                                                                    \
    "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed " \
    "before being used by the HMAC algorithm."

/* RFC 2202 §3 (SHA-1, cases 1 to 7 but 5's truncation) and RFC 4231 §4 (cases 1 to 4, 6, 7). */
static const struct {
    enum digest digest;
    struct str key, text;
    const char *hex;
} hmacs[] = {
    {DIGEST_SHA1, S(K20("\x0b")), S("Hi There"), "b617318655057264e28bc0b6fb378c8ef146be00"},
    {DIGEST_SHA1, S("Jefe"), S("what do ya want for nothing?"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {DIGEST_SHA1, S(K20("\xaa")), S(K50("\xdd")), "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
    {DIGEST_SHA1, S(COUNTING), S(K50("\xcd")), "4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
    {DIGEST_SHA1, S(K20("\x0c")), S("Test With Truncation"), "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
    {DIGEST_SHA1, S(K80), S(LARGER_KEY), "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {DIGEST_SHA1, S(K80), S("Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data"),
     "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
    {DIGEST_SHA256, S(K20("\x0b")), S("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {DIGEST_SHA256, S("Jefe"), S("what do ya want for nothing?"),
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {DIGEST_SHA256, S(K20("\xaa")), S(K50("\xdd")), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {DIGEST_SHA256, S(COUNTING), S(K50("\xcd")), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {DIGEST_SHA256, S(K131), S(LARGER_KEY), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {DIGEST_SHA256, S(K131), S(LARGER_BOTH), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {DIGEST_SHA512, S(K20("\x0b")), S("Hi There"),
     "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702"
     "e696"
     "c203a126854"},
    {DIGEST_SHA512, S("Jefe"), S("what do ya want for nothing?"),
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b6"
     "36e0"
     "70a38bce737"},
    {DIGEST_SHA512, S(K20("\xaa")), S(K50("\xdd")),
     "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee894267"
     "4278"
     "859e13292fb"},
    {DIGEST_SHA512, S(COUNTING), S(K50("\xcd")),
     "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de"
     "2ade"
     "beb10a298dd"},
    {DIGEST_SHA512, S(K131), S(LARGER_KEY),
     "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8"
     "b915"
     "a985d786598"},
    {DIGEST_SHA512, S(K131), S(LARGER_BOTH),
     "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de044606"
     "5c97"
     "440fa8c6a58"},
};

static void known_hmacs(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(hmacs); i++) {
        for (size_t cut = 0; cut <= hmacs[i].text.len; cut++) {
            struct str parts[2] = {str_make(hmacs[i].text.ptr, cut), str_from_index(hmacs[i].text, cut)};
            uint8_t digest[DIGEST_SIZE_MAX];
            digest_hmac(hmacs[i].digest, hmacs[i].key, parts, 2, digest);
            assert_hex(digest, digest_size(hmacs[i].digest), hmacs[i].hex);
        }
    }
}

/* A key of one block is used as it is, of one byte more is hashed; and an empty key and text have an answer (RFC 2104
 * §2). */
static void key_sizes(void **state) {
    (void)state;
    static const size_t blocks[] = {[DIGEST_SHA1] = 64, [DIGEST_SHA256] = 64, [DIGEST_SHA512] = 128};
    char key[129];
    memset(key, 'k', sizeof(key));
    for (unsigned i = 0; i < COUNT(blocks); i++) {
        enum digest digest = (enum digest)i;
        uint8_t inner[DIGEST_SIZE_MAX], wanted[DIGEST_SIZE_MAX], got[DIGEST_SIZE_MAX];
        char inner_pad[128], outer_pad[128];
        size_t size = digest_size(digest);
        struct str text = STR("text"), long_key = str_make(key, blocks[i] + 1);

        memset(inner_pad, 'k' ^ 0x36, blocks[i]);
        memset(outer_pad, 'k' ^ 0x5c, blocks[i]);
        digest_of(digest, (struct str[]){str_make(inner_pad, blocks[i]), text}, 2, inner);
        digest_of(digest, (struct str[]){str_make(outer_pad, blocks[i]), str_make((char *)inner, size)}, 2, wanted);
        digest_hmac(digest, str_make(key, blocks[i]), &text, 1, got);
        assert_memory_equal(got, wanted, size);

        digest_of(digest, &long_key, 1, inner);
        digest_hmac(digest, str_make((char *)inner, size), &text, 1, wanted);
        digest_hmac(digest, long_key, &text, 1, got);
        assert_memory_equal(got, wanted, size);
    }
    uint8_t digest[DIGEST_SIZE_MAX];
    digest_hmac(DIGEST_SHA256, STR_NONE, NULL, 0, digest);
    assert_hex(digest, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void equal(void **state) {
    (void)state;
    uint8_t a[32], b[32];
    digest_sha256(STR("abc"), a);
    memcpy(b, a, sizeof(b));
    assert_true(digest_equal(a, b, sizeof(a)));
    for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(digest_equal(a, b, sizeof(a)));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(digest_equal(a, b, 0));
}

static void secret_equal(void **state) {
    (void)state;
    static const struct {
        struct str a, b;
        bool equal;
    } cases[] = {
        {S("whsec_1"), S("whsec_1"), true},  {S(""), S(""), true},          {S(""), {NULL, 0}, true},
        {S("a\0b"), S("a\0b"), true},        {S("a\0b"), S("a\0c"), false}, {S("a"), S("a\0"), false},
        {S("whsec_1"), S("whsec_2"), false}, {S("whsec_1"), S(""), false},  {S("whsec_1"), S("whsec_11"), false},
        {S("whsec_1"), S("Whsec_1"), false}, {S("\0"), S(""), false},       {S("aaa"), S("a"), false},
        {S("aaab"), S("aaac"), false},       {S("baaa"), S("caaa"), false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(digest_secret_equal(cases[i].a, cases[i].b), cases[i].equal);
        assert_int_equal(digest_secret_equal(cases[i].b, cases[i].a), cases[i].equal);
    }
}

static void *from_a_thread(void *failures) {
    for (size_t round = 0; round < 200; round++)
        for (size_t i = 0; i < COUNT(hmacs); i++) {
            uint8_t digest[DIGEST_SIZE_MAX], wanted[DIGEST_SIZE_MAX];
            size_t size = digest_size(hmacs[i].digest);
            digest_hmac(hmacs[i].digest, hmacs[i].key, &hmacs[i].text, 1, digest);
            if (!text_hex_read(str_make(hmacs[i].hex, 2 * size), TEXT_HEX_LOWER, wanted, size) ||
                !digest_equal(digest, wanted, size))
                ++*(size_t *)failures;
        }
    return NULL;
}

static void threads(void **state) {
    (void)state;
    pthread_t ids[4];
    size_t failures[COUNT(ids)] = {0};
    for (size_t i = 0; i < COUNT(ids); i++)
        assert_int_equal(pthread_create(&ids[i], NULL, from_a_thread, &failures[i]), 0);
    for (size_t i = 0; i < COUNT(ids); i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
    for (size_t i = 0; i < COUNT(ids); i++)
        assert_int_equal(failures[i], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads), /* first, so that the threads race for the first use */
        cmocka_unit_test(known_digests), cmocka_unit_test(long_text), cmocka_unit_test(known_hmacs),
        cmocka_unit_test(key_sizes),     cmocka_unit_test(equal),     cmocka_unit_test(secret_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
