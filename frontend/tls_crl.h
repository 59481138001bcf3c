// Revocation lists (RFC 5280 5) of the authorities that a frontend believes. Runs in hss-frontend. They lie
// in a store of their own beside a copy of the authorities (the verify store of an SSL_CTX), so that one
// reload replaces all or nothing, and that their memory is free when no handshake needs them any more,
// whatever connections made from that SSL_CTX still stand.
//
// A peer's own certificate is looked up always: without a list of its authority, or with one that is past its
// next update, nobody knows whether it is revoked, and the peer is refused. The certificates of authorities
// between it and the root are looked up where there is a list: roots often have none.
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
// This context makes no further sessions; this session has done its handshake: no lists are needed.
void crl_forget(SSL_CTX *ctx);
void crl_forget_session(SSL *session);
// Whether a list of ctx has a certificate of this session's chain.
bool crl_revokes(const SSL_CTX *ctx, const SSL *session);
