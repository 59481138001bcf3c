// Revocation lists (CRLs, RFC 5280 5) of the authorities that peers' certificates are checked against. Runs in hss-frontend.
//
// The lists are kept in the verify store of an SSL_CTX, together with a copy of the authorities. A reload makes a new SSL_CTX, so it
// replaces all lists or none; and their memory is freed when the last handshake that needs them is over, although connections
// that were made with them go on.
//
// A peer's own certificate is always looked up. If its authority has no list here, or one past its next update, nobody knows
// whether the certificate is revoked, so the peer is refused. Certificates of authorities between it and the root are looked up
// only where there is a list, because roots often publish none.
#pragma once
#include <openssl/types.h>
#include <stdbool.h>

// Takes the lists of a PEM file, one at least, into the store, behind the authorities. Each must be signed by
// the authority that it names, when that is in the store. false: OpenSSL's error says why.
bool crl_use(SSL_CTX *ctx, BIO *in);
// Whether a certificate's check goes on despite its error: there is no list for an authority's own
// certificate.
bool crl_forgives(X509_STORE_CTX *check);
// The store that certificates are checked with.
X509_STORE *crl_store(const SSL_CTX *ctx);
// Frees the lists: of a context that makes no further sessions, of a session whose handshake is done.
void crl_forget(SSL_CTX *ctx);
void crl_forget_session(SSL *session);
// Whether a list of ctx revokes a certificate of this session's chain.
bool crl_revokes(const SSL_CTX *ctx, const SSL *session);
