/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the client trusts: servers of ours with certificates made here, good and bad, reached through the client. */
#include "net/tls.h"

#include "net/client.h"
#include "net_help.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those before it */
#include <cmocka.h>

#define OK ">HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* -- Certificates ---------------------------------------------------------------------------------------- */

static void add_extension(X509 *certificate, X509 *issuer, int kind, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* issuer NULL: signed by itself, an authority. names: "DNS:a,IP:127.0.0.1", or NULL. Valid from now + begins_s on for
 * an hour. */
static X509 *make_certificate(EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *common_name,
                              const char *names, long begins_s) {
    static long serial = 1;
    X509 *certificate = X509_new();
    assert_non_null(certificate);
    X509_NAME *name = X509_get_subject_name(certificate);
    assert_int_equal(X509_set_version(certificate, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), begins_s));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), begins_s + 3600));
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0), 1);
    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(issuer != NULL ? issuer : certificate)),
                     1);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    add_extension(certificate, issuer != NULL ? issuer : certificate, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (names != NULL) add_extension(certificate, issuer != NULL ? issuer : certificate, NID_subject_alt_name, names);
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    return certificate;
}

static void write_bundle(const char *path, X509 *certificate) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
}

/* -- A server with TLS ----------------------------------------------------------------------------------- */

static void *tls_wrap(void *context, int fd) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    return ssl;
}
static long tls_read(void *wrapped, void *bytes, size_t size) { return SSL_read(wrapped, bytes, (int)size); }
static long tls_write(void *wrapped, const void *bytes, size_t size) { return SSL_write(wrapped, bytes, (int)size); }
static void tls_unwrap(void *wrapped, bool politely) {
    if (politely) (void)SSL_shutdown(wrapped); /* its own good-bye; the peer's is not waited for */
    SSL_free(wrapped);
    ERR_clear_error();
}

static EVP_PKEY *authority_key, *other_key, *server_key;
static X509 *authority, *other;
static char bundle[64];

static int set_up(void **state) {
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* as the program does */
    authority_key = EVP_EC_gen("P-256");
    other_key = EVP_EC_gen("P-256");
    server_key = EVP_EC_gen("P-256");
    authority = make_certificate(authority_key, NULL, authority_key, "our authority", NULL, 0);
    other = make_certificate(other_key, NULL, other_key, "another authority", NULL, 0);
    memcpy(bundle, "/tmp/payhook-tls-XXXXXX", sizeof "/tmp/payhook-tls-XXXXXX");
    int fd = mkstemp(bundle);
    if (fd < 0 || close(fd) != 0) return 1;
    write_bundle(bundle, authority);
    setenv("SSL_CERT_FILE", bundle, 1);
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    X509_free(authority);
    X509_free(other);
    EVP_PKEY_free(authority_key);
    EVP_PKEY_free(other_key);
    EVP_PKEY_free(server_key);
    return unlink(bundle);
}

/* Asks a server with this certificate, by this name, and gives the failure; *ret_status stays where there is one. */
static struct err ask(X509 *certificate, const char *host, int version_max, const script *words, size_t times,
                      int *ret_status, size_t *ret_accepted) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_non_null(context);
    SSL_CTX_set_security_level(context, 0); /* so that old versions may be offered at all */
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, server_key), 1);
    if (version_max != 0) assert_int_equal(SSL_CTX_set_max_proto_version(context, version_max), 1);
    struct stand stand = {.wrap = tls_wrap,
                          .wrapped_read = tls_read,
                          .wrapped_write = tls_write,
                          .unwrap = tls_unwrap,
                          .context = context};
    stand_open(&stand, words, 1);
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    struct client *client;
    assert_false(err_is(client_open(&message, &client)));
    struct http_request request = {.method = STR("POST"), .target = STR("/"), .body = STR("body")};
    request.headers[request.header_count++] = (struct http_header){STR("Host"), STR("x")};
    const struct client_target target = {.tls = true, .host = str_from(host), .port = stand.port};
    const struct client_response *response;
    struct err failure = err_ok();
    for (size_t i = 0; i < times && !err_is(failure); i++) {
        failure = client_exchange(client, &target, &request,
                                  (struct client_timeouts){.connect_ms = 10000, .whole_ms = 10000}, &response);
        if (!err_is(failure)) *ret_status = response->status;
    }
    *ret_accepted = stand_accepted(&stand);
    client_close(client);
    stand_close(&stand);
    SSL_CTX_free(context);
    return failure;
}

static void test_whom_to_trust(void **state) {
    (void)state;
    static const script words = {"<", OK, "-"};
    const struct {
        const char *name;
        X509 *issuer; /* NULL: signed by itself */
        const char *names, *host;
        long begins_s;
        int version_max;
        const char *failure; /* a word of it; NULL: trusted */
    } cases[] = {
        {"right", authority, "DNS:localhost", "localhost", 0, 0, NULL},
        {"right, TLS 1.2", authority, "DNS:localhost", "localhost", 0, TLS1_2_VERSION, NULL},
        {"by address", authority, "IP:127.0.0.1", "127.0.0.1", 0, 0, NULL},
        {"a name below", authority, "DNS:*.x.localhost", "a.x.localhost", 0, 0, NULL},
        {"another authority", other, "DNS:localhost", "localhost", 0, 0, "trust"},
        {"signed by itself", NULL, "DNS:localhost", "localhost", 0, 0, "trust"},
        {"another name", authority, "DNS:example.com", "localhost", 0, 0, "trust"},
        {"no name", authority, NULL, "localhost", 0, 0, "trust"},
        {"another address", authority, "IP:127.0.0.2", "127.0.0.1", 0, 0, "trust"},
        {"an address as a name", authority, "DNS:127.0.0.1", "127.0.0.1", 0, 0, "trust"},
        {"a name for an address", authority, "DNS:localhost", "127.0.0.1", 0, 0, "trust"},
        {"part of a label", authority, "DNS:lo*.x.localhost", "lolo.x.localhost", 0, 0, "trust"},
        {"two labels below", authority, "DNS:*.x.localhost", "a.b.x.localhost", 0, 0, "trust"},
        {"expired", authority, "DNS:localhost", "localhost", -7200, 0, "trust"},
        {"not yet", authority, "DNS:localhost", "localhost", 7200, 0, "trust"},
        {"TLS 1.1", authority, "DNS:localhost", "localhost", 0, TLS1_1_VERSION, "reach"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EVP_PKEY *issuer_key = cases[i].issuer == authority ? authority_key
                               : cases[i].issuer == other   ? other_key
                                                            : server_key;
        X509 *certificate =
            make_certificate(server_key, cases[i].issuer, issuer_key, "server", cases[i].names, cases[i].begins_s);
        int status = 0;
        size_t accepted;
        struct err failure = ask(certificate, cases[i].host, cases[i].version_max, &words, 1, &status, &accepted);
        X509_free(certificate);
        if (cases[i].failure == NULL) {
            if (err_is(failure)) fail_msg("%s: could not %s", cases[i].name, failure.where);
            assert_int_equal(status, 200);
            continue;
        }
        if (failure.kind != ERR_NETWORK || strstr(failure.where, cases[i].failure) == NULL)
            fail_msg("%s: kind %d, could not %s", cases[i].name, (int)failure.kind, failure.where);
    }
}

static void test_connections_are_used_again(void **state) {
    (void)state;
    static const script words = {"<", OK, "<", OK, "<", OK, "-"};
    X509 *certificate = make_certificate(server_key, authority, authority_key, "server", "DNS:localhost", 0);
    int status = 0;
    size_t accepted;
    assert_false(err_is(ask(certificate, "localhost", 0, &words, 3, &status, &accepted)));
    assert_int_equal(accepted, 1);
    X509_free(certificate);
}

/* Closed while idle, or with more than was asked for: another connection is made. */
static void test_connections_that_are_not_used_again(void **state) {
    (void)state;
    static const script scripts[] = {
        {"<", OK},
        {"<", OK, "$"},
        {"<", OK "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "-"},
        {"<", ">HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "-"},
    };
    X509 *certificate = make_certificate(server_key, authority, authority_key, "server", "DNS:localhost", 0);
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        int status = 0;
        size_t accepted;
        struct err failure = ask(certificate, "localhost", 0, &scripts[i], 2, &status, &accepted);
        if (err_is(failure)) fail_msg("case %zu: could not %s", i, failure.where);
        assert_int_equal(status, 200);
        assert_int_equal(accepted, 2);
    }
    X509_free(certificate);
}

/* An answer that ends with the connection must end with TLS's good-bye too. */
static void test_an_answer_cut_short(void **state) {
    (void)state;
    static const struct {
        script words;
        bool good;
    } cases[] = {
        {{"<", ">HTTP/1.1 200 OK\r\n\r\nall there is", "$"}, true},
        {{"<", ">HTTP/1.1 200 OK\r\n\r\nall there is"}, false},
        {{"<", ">HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", "$"}, false},
        {{"<", "$"}, false},
        {{"<"}, false},
    };
    X509 *certificate = make_certificate(server_key, authority, authority_key, "server", "DNS:localhost", 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = 0;
        size_t accepted;
        struct err failure = ask(certificate, "localhost", 0, &cases[i].words, 1, &status, &accepted);
        if (failure.kind != (cases[i].good ? ERR_OK : ERR_NETWORK))
            fail_msg("case %zu: could not %s", i, failure.where);
    }
    X509_free(certificate);
}

static void test_a_server_without_tls(void **state) {
    (void)state;
    static const script words = {">HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "-"};
    struct stand stand = {0};
    stand_open(&stand, &words, 1);
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    struct client *client;
    assert_false(err_is(client_open(&message, &client)));
    struct http_request request = {.method = STR("GET"), .target = STR("/")};
    const struct client_target target = {.tls = true, .host = STR("127.0.0.1"), .port = stand.port};
    const struct client_response *response;
    struct err failure =
        client_exchange(client, &target, &request, (struct client_timeouts){.connect_ms = 10000}, &response);
    assert_int_equal(failure.kind, ERR_NETWORK);
    client_close(client);
    stand_close(&stand);
}

/* A server that never says its half of the handshake. */
static void test_a_handshake_that_never_ends(void **state) {
    (void)state;
    static const script words = {"-"};
    struct stand stand = {0};
    stand_open(&stand, &words, 1);
    char text[256];
    struct writer message = writer_make(text, sizeof text);
    struct client *client;
    assert_false(err_is(client_open(&message, &client)));
    struct http_request request = {.method = STR("GET"), .target = STR("/")};
    const struct client_target target = {.tls = true, .host = STR("127.0.0.1"), .port = stand.port};
    const struct client_response *response;
    struct err failure =
        client_exchange(client, &target, &request, (struct client_timeouts){.connect_ms = 200}, &response);
    assert_int_equal(failure.kind, ERR_TIMEOUT);
    assert_non_null(strstr(failure.where, "connect"));
    client_close(client);
    stand_close(&stand);
}

static void test_bundles_that_are_none(void **state) {
    (void)state;
    static const char *const paths[] = {"/nonexistent/bundle.crt", "/dev/null", "/"};
    for (size_t i = 0; i < 3; i++) {
        struct tls *tls = NULL;
        setenv("SSL_CERT_FILE", paths[i], 1);
        struct err failure = tls_open(&tls);
        assert_int_equal(failure.kind, ERR_NETWORK);
        assert_non_null(strstr(failure.where, "CA certificates"));
        assert_null(tls);
    }
    setenv("SSL_CERT_FILE", bundle, 1);
    struct tls *tls;
    assert_false(err_is(tls_open(&tls)));
    char name[300];
    memset(name, 'a', sizeof name);
    assert_null(tls_peer_open(tls, -1, str_make(name, sizeof name)));
    assert_null(tls_peer_open(tls, -1, STR("")));
    tls_peer_close(NULL);
    tls_close(tls);
    tls_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whom_to_trust),
        cmocka_unit_test(test_connections_are_used_again),
        cmocka_unit_test(test_connections_that_are_not_used_again),
        cmocka_unit_test(test_an_answer_cut_short),
        cmocka_unit_test(test_a_server_without_tls),
        cmocka_unit_test(test_a_handshake_that_never_ends),
        cmocka_unit_test(test_bundles_that_are_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
