// Warnings before certificates and lists expire (see tls_times.h). Runs in hss-frontend.
#include "frontend/tls_times.h"
#include <openssl/ssl.h> // lint: TLS is spoken by the transport
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>
#include "frontend/tls_crl.h"
#include "lib/base/log.h"

#define DAY_S     86400ll
#define LATE_DAYS 14

enum age { EARLY, FRESH, LATE, PAST };

// The last quarter of a validity period, at most LATE_DAYS, is late: whoever renews it would have done so by then.
static enum age age_of(const ASN1_TIME *from, const ASN1_TIME *to)
{
	int days, seconds, left_days, left_seconds;
	if (X509_cmp_current_time(from) > 0)
		return EARLY;
	if (!to)
		return FRESH;
	if (X509_cmp_current_time(to) < 0)
		return PAST;
	if (ASN1_TIME_diff(&days, &seconds, from, to) != 1 ||
	    ASN1_TIME_diff(&left_days, &left_seconds, NULL, to) != 1)
		return PAST;
	long long left = left_days * DAY_S + left_seconds;
	return left < LATE_DAYS * DAY_S && left * 4 < days * DAY_S + seconds ? LATE : FRESH;
}

static void count(struct tls_times *t, enum age age)
{
	t->late += age == LATE;
	t->past += age == PAST || age == EARLY;
}

// For a log line: "2026-11-25T09:00:00Z"; nothing when it can't be read, or there is none.
static const char *text_of(const ASN1_TIME *at, char out[32])
{
	struct tm tm;
	out[0] = 0;
	if (at && ASN1_TIME_to_tm(at, &tm) == 1)
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

static void judge_certificate(struct tls_times *t, const X509 *own, const struct config *config, bool say)
{
	static const char *const event[] = {[EARLY] = "tls_certificate_not_yet_valid",
					    [LATE] = "tls_certificate_expires_soon",
					    [PAST] = "tls_certificate_expired"};
	const ASN1_TIME *to = X509_get0_notAfter(own);
	const enum age age = age_of(X509_get0_notBefore(own), to);
	char until[32];

	count(t, age);
	if (say && X509_check_host((X509 *)own, config->host, strlen(config->host),
				   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1)
		log_warn("tls_certificate_names_another_host", LOG_STR("path", config->tls_certificate),
			 LOG_STR("expected", config->host));
	if (say && age != FRESH)
		log_warn(event[age], LOG_STR("path", config->tls_certificate),
			 LOG_STR("until", text_of(to, until)));
}

static void judge_list(struct tls_times *t, const X509_CRL *crl, const char *path, bool say)
{
	static const char *const event[] = {
	    [EARLY] = "tls_crl_not_yet_valid", [LATE] = "tls_crl_expires_soon", [PAST] = "tls_crl_expired"};
	const ASN1_TIME *to = X509_CRL_get0_nextUpdate(crl);
	const enum age age = age_of(X509_CRL_get0_lastUpdate(crl), to);
	char name[128], until[32];

	t->lists++;
	count(t, age);
	if (!say || age == FRESH)
		return;
	X509_NAME_oneline(X509_CRL_get_issuer(crl), name, sizeof name);
	log_warn(event[age], LOG_STR("path", path), LOG_STR("authority", name),
		 LOG_STR("until", text_of(to, until)));
}

static void judge_authority(const STACK_OF(X509_OBJECT) * all, const X509 *ca, const char *path)
{
	char name[128];
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
		if (crl && X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(ca)) == 0)
			return;
	}
	X509_NAME_oneline(X509_get_subject_name(ca), name, sizeof name);
	log_warn("tls_authority_without_crl", LOG_STR("path", path), LOG_STR("authority", name));
}

struct tls_times tls_times_of(const SSL_CTX *ctx, const struct config *config, bool say)
{
	const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(crl_store(ctx));
	struct tls_times t = {0};

	judge_certificate(&t, SSL_CTX_get0_certificate(ctx), config, say);
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
		if (crl)
			judge_list(&t, crl, config->tls_crl, say);
	}
	for (int i = 0; say && t.lists && i < sk_X509_OBJECT_num(all); i++) {
		const X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		if (ca)
			judge_authority(all, ca, config->tls_crl);
	}
	return t;
}
