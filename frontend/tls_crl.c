// Reading revocation lists, and looking certificates up in them (see tls_crl.h for what is refused and why). Owns no memory of its
// own: the lists belong to the verify store of an SSL_CTX. Runs in hss-frontend.
#include "frontend/tls_crl.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h> // lint: TLS is spoken by the transport
#include <openssl/x509v3.h>
#include "frontend/tls.h"

X509_STORE *crl_store(const SSL_CTX *ctx)
{
	X509_STORE *store = NULL;
	SSL_CTX_get0_verify_cert_store((SSL_CTX *)ctx, &store);
	return store ? store : SSL_CTX_get_cert_store(ctx);
}

void crl_forget(SSL_CTX *ctx)
{
	SSL_CTX_set0_verify_cert_store(ctx, NULL);
}

void crl_forget_session(SSL *session)
{
	SSL_set0_verify_cert_store(session, NULL);
}

static X509_CRL *crl_at(const STACK_OF(X509_OBJECT) * all, int i)
{
	return X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
}

static bool names(const X509_CRL *crl, const X509_NAME *issuer)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(crl), issuer) == 0;
}

// A list that carries an authority's name but not its signature is refused: taking it would shut out all peers of that authority.
// A list of an unknown authority harms nobody.
static bool signed_well(const X509_STORE *store, X509_CRL *crl)
{
	const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
	bool known = false;
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		const X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		if (!ca || !names(crl, X509_get_subject_name(ca)))
			continue;
		known = true;
		if (X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
			return true;
	}
	ERR_clear_error();
	if (known)
		ERR_raise(ERR_LIB_X509, X509_R_CRL_VERIFY_FAILURE);
	return !known;
}

static bool copy_authorities(X509_STORE *to, const X509_STORE *from)
{
	const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(from);
	bool ok = true;
	for (int i = 0; ok && i < sk_X509_OBJECT_num(all); i++) {
		X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		ok = !ca || X509_STORE_add_cert(to, ca) == 1;
	}
	return ok;
}

bool crl_use(SSL_CTX *ctx, BIO *in)
{
	X509_STORE *store = X509_STORE_new();
	X509_CRL *crl;
	unsigned cnt = 0;
	bool ok = store && copy_authorities(store, SSL_CTX_get_cert_store(ctx));
	while (ok && (crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL))) {
		ok = signed_well(store, crl) && X509_STORE_add_crl(store, crl) == 1;
		X509_CRL_free(crl);
		cnt++;
	}
	ok = ok && cnt && tls_pem_ended() &&
	     X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1 &&
	     SSL_CTX_set1_verify_cert_store(ctx, store) == 1;
	X509_STORE_free(store);
	return ok;
}

bool crl_forgives(X509_STORE_CTX *check)
{
	if (X509_STORE_CTX_get_error(check) != X509_V_ERR_UNABLE_TO_GET_CRL ||
	    X509_STORE_CTX_get_error_depth(check) == 0)
		return false;
	X509_STORE_CTX_set_error(check, X509_V_OK);
	return true;
}

// Whether a list names this certificate, which `ca` has signed. The list's signature is verified last, since that takes longest.
static bool listed(const STACK_OF(X509_OBJECT) * all, X509 *cert, const X509 *ca)
{
	X509_REVOKED *entry;
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509_CRL *crl = crl_at(all, i);
		if (crl && names(crl, X509_get_issuer_name(cert)) &&
		    X509_CRL_get0_by_cert(crl, &entry, cert) == 1 &&
		    X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
			return true;
	}
	return false;
}

bool crl_revokes(const SSL_CTX *ctx, const SSL *session)
{
	const STACK_OF(X509) *chain = SSL_get0_verified_chain(session);
	for (int i = 0; ctx && i + 1 < sk_X509_num(chain); i++)
		if (listed(X509_STORE_get0_objects(crl_store(ctx)), sk_X509_value(chain, i),
			   sk_X509_value(chain, i + 1)))
			return true;
	return false;
}
