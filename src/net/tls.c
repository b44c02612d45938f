/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL on the descriptor (SSL_set_fd): TLS 1.2 or newer, the server's name sent (SNI) and checked against the
 * certificate. It reads ahead, so that a record costs one system call.
 *
 * A connection that ends without TLS's own good-bye is an error, so that an answer which ends with the connection
 * cannot be cut short by somebody else. There are no client certificates, no revocation lists, no resumption. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

struct tls {
    SSL_CTX *context;
};

struct tls_peer {
    SSL *ssl;
    bool broken;
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
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER); /* gives back the new mode */
    SSL_CTX_set_read_ahead(context, 1);
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

struct tls_peer *tls_peer_open(struct tls *tls, int fd, struct str host) {
    char name[256];
    if (host.len == 0 || host.len >= sizeof name) return NULL;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    struct tls_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL) return NULL;
    peer->ssl = SSL_new(tls->context);
    if (peer->ssl == NULL || SSL_set_fd(peer->ssl, fd) != 1 || !expect_host(peer->ssl, name)) {
        SSL_free(peer->ssl);
        free(peer);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_connect_state(peer->ssl);
    return peer;
}

void tls_peer_close(struct tls_peer *peer) {
    if (peer == NULL) return;
    if (!peer->broken && SSL_is_init_finished(peer->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(peer->ssl); /* what cannot be said at once is not said */
        ERR_clear_error();
    }
    SSL_free(peer->ssl);
    free(peer);
}

/* What a call's result, which is no success, means. OpenSSL looks at this thread's queue of errors for it, which must
 * have been empty before the call. */
static enum net_flow flow_of(struct tls_peer *peer, int result) {
    switch (SSL_get_error(peer->ssl, result)) {
    case SSL_ERROR_WANT_READ: return NET_WAIT_READ;
    case SSL_ERROR_WANT_WRITE: return NET_WAIT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return NET_END;
    default: break;
    }
    peer->broken = true;
    ERR_clear_error();
    return NET_BROKEN;
}

enum net_flow tls_peer_greet(struct tls_peer *peer) {
    if (peer->broken) return NET_BROKEN;
    ERR_clear_error();
    int result = SSL_do_handshake(peer->ssl);
    return result == 1 ? NET_DONE : flow_of(peer, result);
}

enum net_flow tls_peer_receive(struct tls_peer *peer, char *memory, size_t size, size_t *ret_size) {
    check(size > 0); /* OpenSSL's answer to 0 looks like an error */
    if (peer->broken) return NET_BROKEN;
    ERR_clear_error();
    int result = SSL_read_ex(peer->ssl, memory, size, ret_size);
    return result == 1 ? NET_DONE : flow_of(peer, result);
}

enum net_flow tls_peer_send(struct tls_peer *peer, const char *bytes, size_t size, size_t *ret_size) {
    check(size > 0);
    if (peer->broken) return NET_BROKEN;
    ERR_clear_error();
    int result = SSL_write_ex(peer->ssl, bytes, size, ret_size);
    return result == 1 ? NET_DONE : flow_of(peer, result);
}

bool tls_peer_has_pending(const struct tls_peer *peer) { return SSL_has_pending(peer->ssl) == 1; }
bool tls_peer_is_distrusted(const struct tls_peer *peer) { return SSL_get_verify_result(peer->ssl) != X509_V_OK; }
