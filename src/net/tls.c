/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL under libevent's buffers: TLS 1.2 or newer, the server's name sent (SNI) and checked against the certificate.
 *
 * A connection that ends without TLS's own good-bye is an error, so that an answer which ends with the connection
 * cannot be cut short by somebody else. There are no client certificates, no revocation lists, no resumption. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

struct tls {
    SSL_CTX *context;
};

/* In this order; the first that can be read is all we trust. */
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Amazon Linux */
};

static const char *find_bundle(void) {
    const char *given = getenv("SSL_CERT_FILE");
    if (given != NULL && *given != '\0') return given;
    for (size_t i = 0; i < sizeof bundles / sizeof bundles[0]; i++)
        if (access(bundles[i], R_OK) == 0) return bundles[i];
    return NULL;
}

struct err tls_open(struct tls **ret_tls) {
    const char *bundle = find_bundle();
    if (bundle == NULL) return err_make(ERR_NETWORK, 0, "find a bundle of CA certificates (set SSL_CERT_FILE)");
    struct tls *tls = malloc(sizeof *tls);
    SSL_CTX *context = tls != NULL ? SSL_CTX_new(TLS_client_method()) : NULL;
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(context);
        free(tls);
        return err_make(ERR_MEMORY, 0, "set up TLS");
    }
    if (SSL_CTX_load_verify_file(context, bundle) != 1) {
        ERR_clear_error();
        SSL_CTX_free(context);
        free(tls);
        return err_make(ERR_NETWORK, 0, "read the bundle of CA certificates (SSL_CERT_FILE)");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* gives back the new mode */
    tls->context = context;
    *ret_tls = tls;
    return err_ok();
}

void tls_close(struct tls *tls) {
    if (tls == NULL) return;
    SSL_CTX_free(tls->context);
    free(tls);
}

/* RFC 9110 §4.3.4: a name is sent and must be in the certificate; an address is not sent (RFC 6066 §3) but must be in
 * it. */
static bool expect_host(SSL *ssl, char *host) {
    unsigned char address[16];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct bufferevent *tls_connection(struct tls *tls, struct event_base *base, struct str host) {
    char name[256];
    if (host.len == 0 || host.len >= sizeof name) return NULL;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    SSL *ssl = SSL_new(tls->context);
    if (ssl == NULL) return NULL;
    if (!expect_host(ssl, name)) {
        SSL_free(ssl);
        return NULL;
    }
    /* On failure the SSL is freed there already, as its option says. */
    return bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
}

bool tls_distrusted(struct bufferevent *connection) {
    SSL *ssl = bufferevent_openssl_get_ssl(connection);
    return ssl != NULL && SSL_get_verify_result(ssl) != X509_V_OK;
}
