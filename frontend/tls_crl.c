// Revocation lists (see tls_crl.h). Runs in hss-frontend.
#include "frontend/tls_crl.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h> // lint: TLS is spoken by the transport
#include <openssl/x509v3.h>
#include <time.h>
#include "frontend/tls.h"
#include "lib/base/log.h"

static const STACK_OF(X509_OBJECT) * objects(const SSL_CTX *ctx)
{
	return X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));
}

static X509_CRL *crl_at(const STACK_OF(X509_OBJECT) * all, int i)
{
	return X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
}

static bool names(const X509_CRL *crl, const X509_NAME *issuer)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(crl), issuer) == 0;
}

// Not an authority's whose name it has: the file would cut off all its peers.
static bool signed_well(const SSL_CTX *ctx, X509_CRL *crl)
{
	const STACK_OF(X509_OBJECT) *all = objects(ctx);
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

bool crl_use(SSL_CTX *ctx, BIO *in)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509_CRL *crl;
	unsigned cnt = 0;
	bool ok = true;
	while (ok && (crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL))) {
		ok = signed_well(ctx, crl) && X509_STORE_add_crl(store, crl) == 1;
		X509_CRL_free(crl);
		cnt++;
	}
	return ok && cnt && tls_pem_ended() &&
	       X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

// ---- what is worth a warning ---------------------------------------------------------------------

// Past, or in the last quarter of its time: its authority makes new ones sooner.
static void judge_time(const X509_CRL *crl, const char *path)
{
	const ASN1_TIME *from = X509_CRL_get0_lastUpdate(crl), *to = X509_CRL_get0_nextUpdate(crl);
	char name[128], until[32] = "";
	const char *event = NULL;
	struct tm tm;
	int days, seconds, left_days, left_seconds;

	if (X509_cmp_current_time(from) > 0)
		event = "tls_crl_not_yet_valid";
	else if (to && X509_cmp_current_time(to) < 0)
		event = "tls_crl_expired";
	else if (to && ASN1_TIME_diff(&days, &seconds, from, to) == 1 &&
		 ASN1_TIME_diff(&left_days, &left_seconds, NULL, to) == 1 &&
		 (left_days * 86400LL + left_seconds) * 4 < days * 86400LL + seconds)
		event = "tls_crl_expires_soon";
	if (!event)
		return;
	if (to && ASN1_TIME_to_tm(to, &tm) == 1)
		strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &tm);
	X509_NAME_oneline(X509_CRL_get_issuer(crl), name, sizeof name);
	log_warn(event, LOG_STR("path", path), LOG_STR("authority", name), LOG_STR("until", until));
}

static void judge_authority(const STACK_OF(X509_OBJECT) * all, const X509 *ca, const char *path)
{
	char name[128];
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		const X509_CRL *crl = crl_at(all, i);
		if (crl && names(crl, X509_get_subject_name(ca)))
			return;
	}
	X509_NAME_oneline(X509_get_subject_name(ca), name, sizeof name);
	log_warn("tls_authority_without_crl", LOG_STR("path", path), LOG_STR("authority", name));
}

unsigned crl_judge(const SSL_CTX *ctx, const char *path)
{
	const STACK_OF(X509_OBJECT) *all = objects(ctx);
	unsigned cnt = 0;
	for (int i = 0; path[0] && i < sk_X509_OBJECT_num(all); i++) {
		const X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		const X509_CRL *crl = crl_at(all, i);
		if (ca)
			judge_authority(all, ca, path);
		if (crl)
			judge_time(crl, path);
		cnt += crl != NULL;
	}
	return cnt;
}

// ---- checks --------------------------------------------------------------------------------------

bool crl_forgives(X509_STORE_CTX *check)
{
	if (X509_STORE_CTX_get_error(check) != X509_V_ERR_UNABLE_TO_GET_CRL ||
	    X509_STORE_CTX_get_error_depth(check) == 0)
		return false;
	X509_STORE_CTX_set_error(check, X509_V_OK);
	return true;
}

// Whether this certificate, signed by `ca`, is in a list. The signature is looked at last: that takes longer.
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
		if (listed(objects(ctx), sk_X509_value(chain, i), sk_X509_value(chain, i + 1)))
			return true;
	return false;
}
