/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL on the descriptor (SSL_set_fd). The only file that knows libssl.
 *
 * OpenSSL reads ahead, so that a record costs one system call, and gives its buffers back while a connection is idle. A
 * peer that closes without close_notify is treated as one that closed a plain connection: a request says itself where
 * it ends, so nothing can be cut off unseen.
 *
 * Sessions are resumed in TLS 1.3 only, by tickets whose key lives in memory and is forgotten with the certificate it
 * came with: there every connection has a key exchange of its own (psk_dhe_ke), so that a ticket key which leaks reads
 * nothing that was recorded. In TLS 1.2 it would, so there every handshake is a whole one.
 *
 * It does not ask for client certificates, choose between certificates by name (SNI), or staple OCSP. */
#include "app/tls.h"

#include "base/limits.h"
#include "base/os.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct tls_session {
    SSL *ssl;
    const char *fault;
    bool broken;
    bool said_goodbye;
};

/* ---- certificate and key ---- */

/* OpenSSL counts its contexts, so a struct tls is nothing else. */
static SSL_CTX *context_of(struct tls *tls) { return (SSL_CTX *)(void *)tls; }

/* OpenSSL's reason for the last failure: a static phrase, which holds nothing of a file or a peer. */
static const char *reason(void) {
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text != NULL ? text : "it is not as it must be";
}

static struct err refused(struct writer *message, const char *file, const char *sentence) {
    writer_put(message, STR("tls: "));
    writer_escaped(message, str_from(file));
    writer_format(message, ": %s", sentence);
    return err_make(ERR_INPUT, 0, "use the certificate");
}

/* A key that is locked by a password is refused: a server that starts by itself has nobody to ask. */
static int no_password(char *memory, int size, int writing, void *context) {
    (void)memory, (void)size, (void)writing, (void)context;
    return -1;
}

/* The caller frees the text. */
static struct err read_file(const char *file, struct writer *message, struct str *ret_text) {
    struct err result = os_file_read(file, TLS_FILE_SIZE_MAX, ret_text);
    if (!err_is(result)) return result;
    char sentence[256];
    (void)snprintf(sentence, sizeof sentence, "could not %s%s%s", result.where, result.sys != 0 ? ": " : "",
                   result.sys != 0 ? strerror(result.sys) : "");
    return refused(message, file, sentence);
}

/* The server's own certificate comes first, then what leads from it to a root (RFC 8446 §4.4.2). */
static bool take_chain(SSL_CTX *context, BIO *bio) {
    X509 *own = bio == NULL ? NULL : PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL), *next;
    bool good = own != NULL && SSL_CTX_use_certificate(context, own) == 1;
    X509_free(own);
    while (good && (next = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        good = SSL_CTX_add0_chain_cert(context, next) == 1;
        if (!good) X509_free(next);
    }
    return good && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; /* the end, and nothing worse */
}

static struct err take_certificate(SSL_CTX *context, const char *file, struct writer *message) {
    struct str text;
    TRY(read_file(file, message, &text));
    BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    bool good = take_chain(context, bio);
    BIO_free(bio);
    free((char *)(uintptr_t)text.ptr);
    char sentence[256];
    (void)snprintf(sentence, sizeof sentence, "this is no PEM certificate that can be used: %s", reason());
    return good ? err_ok() : refused(message, file, sentence);
}

static struct err take_key(SSL_CTX *context, const char *file, struct writer *message) {
    struct stat info;
    struct str text;
    if (stat(file, &info) == 0 && (info.st_mode & (S_IRWXO | S_IWGRP)) != 0)
        return refused(message, file, "the key can be read or changed by others: chmod 600");
    TRY(read_file(file, message, &text));
    BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    char *memory = (char *)(uintptr_t)text.ptr; /* ours to wipe and free */
    os_wipe(memory, text.len);
    free(memory);
    if (key == NULL) return refused(message, file, "this is no PEM private key without a password");
    bool good = SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    return good ? err_ok() : refused(message, file, "this key does not belong to the certificate");
}

/* RFC 7301 §3.2. Who offers only what we do not speak goes on without, and finds HTTP/1.1. */
static int select_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_size,
                           const unsigned char *offered, unsigned int size, void *context) {
    (void)ssl, (void)context;
    static const struct str ours = {"http/1.1", 8};
    for (unsigned int at = 0; at < size && offered[at] < size - at; at += 1U + offered[at]) {
        if (!str_eq(str_make((const char *)offered + at + 1, offered[at]), ours)) continue;
        *ret_name = offered + at + 1;
        *ret_size = offered[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* Called in each whole handshake, when the version is settled and no ticket has been written. */
static int on_certificate(SSL *ssl, void *context) {
    (void)context;
    if (SSL_version(ssl) < TLS1_3_VERSION) (void)SSL_set_options(ssl, SSL_OP_NO_TICKET);
    return 1;
}

static bool set_up(SSL_CTX *context) {
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_timeout(context, TLS_TICKET_LIFETIME_S);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
    SSL_CTX_set_cert_cb(context, on_certificate, NULL);
    SSL_CTX_set_default_passwd_cb(context, no_password);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 && SSL_CTX_set_num_tickets(context, 1) == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

struct err tls_load(const char *certificate, const char *key, struct writer *message, struct tls **ret_tls) {
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    struct err result = err_ok();
    if (context == NULL || !set_up(context)) {
        writer_put(message, STR("tls: OpenSSL cannot be set up"));
        result = err_make(ERR_MEMORY, 0, "set up TLS");
    }
    if (!err_is(result)) result = take_certificate(context, certificate, message);
    if (!err_is(result)) result = take_key(context, key, message);
    ERR_clear_error();
    if (err_is(result))
        SSL_CTX_free(context);
    else
        *ret_tls = (struct tls *)(void *)context;
    return result;
}

struct tls *tls_hold(struct tls *tls) {
    if (tls != NULL) check(SSL_CTX_up_ref(context_of(tls)) == 1);
    return tls;
}

void tls_release(struct tls *tls) { SSL_CTX_free(context_of(tls)); }

/* ---- one connection ---- */

struct tls_session *tls_session_open(struct tls *tls, int fd) {
    struct tls_session *session = calloc(1, sizeof *session);
    if (session == NULL) return NULL;
    session->ssl = SSL_new(context_of(tls));
    if (session->ssl == NULL || SSL_set_fd(session->ssl, fd) != 1) {
        SSL_free(session->ssl);
        free(session);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(session->ssl);
    return session;
}

void tls_session_close(struct tls_session *session) {
    if (session == NULL) return;
    (void)tls_goodbye(session); /* what cannot be said at once is not said: the peer sees the end of the connection */
    SSL_free(session->ssl);
    free(session);
}

/* What a call's result, which is no success, means. OpenSSL looks at this thread's queue of errors for it, which must
 * have been empty before the call. */
static enum flow flow_of(struct tls_session *session, int result) {
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ: return FLOW_WAIT_READ;
    case SSL_ERROR_WANT_WRITE: return FLOW_WAIT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return FLOW_END;
    case SSL_ERROR_SSL: session->fault = reason(); break;
    default: break; /* the system's error: the peer has gone */
    }
    session->broken = true;
    ERR_clear_error();
    return FLOW_BROKEN;
}

enum flow tls_receive(struct tls_session *session, char *memory, size_t size, size_t *ret_size) {
    check(size > 0); /* OpenSSL's answer to 0 looks like an error */
    if (session->broken) return FLOW_BROKEN;
    ERR_clear_error();
    int result = SSL_read_ex(session->ssl, memory, size, ret_size);
    return result == 1 ? FLOW_DONE : flow_of(session, result);
}

enum flow tls_send(struct tls_session *session, const char *bytes, size_t size, size_t *ret_size) {
    check(size > 0);
    if (session->broken) return FLOW_BROKEN;
    ERR_clear_error();
    int result = SSL_write_ex(session->ssl, bytes, size, ret_size);
    return result == 1 ? FLOW_DONE : flow_of(session, result);
}

enum flow tls_goodbye(struct tls_session *session) {
    if (session->broken || session->said_goodbye || !SSL_is_init_finished(session->ssl)) return FLOW_DONE;
    ERR_clear_error();
    int result = SSL_shutdown(session->ssl);
    if (result < 0 && flow_of(session, result) == FLOW_WAIT_WRITE) return FLOW_WAIT_WRITE;
    session->said_goodbye = true; /* a second SSL_shutdown would wait for the peer's */
    return FLOW_DONE;
}

bool tls_has_pending(const struct tls_session *session) { return SSL_has_pending(session->ssl) == 1; }
bool tls_is_open(const struct tls_session *session) { return SSL_is_init_finished(session->ssl) == 1; }
const char *tls_fault(const struct tls_session *session) { return session->fault; }
