// Certificate, key and authorities of a frontend (see tls.h). Runs in hss-frontend, before and inside its
// sandbox: everything is parsed from memory.
#include "frontend/tls.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h> // lint: TLS is spoken by the transport
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "frontend/tls_crl.h"
#include "frontend/tls_times.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define FILE_MAX      (1u << 20)
#define CRL_FILE_MAX  (8u << 20) // about 150,000 revoked certificates
#define CHAIN_DEPTH   5
#define PEER_CERT_MAX (32u << 10) // octets of the chain that a peer may send

static SSL_CTX *context; // written by the loop's thread, and read by the other one (handshake.h) under the lock
static pthread_mutex_t context_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls_times times; // as they were told last
static _Thread_local char
    failed_name[128]; // of the certificate whose check failed last; the log line follows at once

int tls_init(void)
{
	return OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) == 1
		   ? 0
		   : -ENOMEM;
}

void tls_fini(void)
{
	SSL_CTX_free(context);
	context = NULL;
}

struct ssl_ctx_st *tls_context(void)
{
	return context;
}

struct ssl_st *tls_session_new(void)
{
	pthread_mutex_lock(&context_lock);
	SSL *ssl = context ? SSL_new(context) : NULL;
	pthread_mutex_unlock(&context_lock);
	return ssl;
}

const char *tls_reason(long verify)
{
	unsigned long e = ERR_peek_error();
	if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return X509_verify_cert_error_string(verify);
	const char *why = ERR_reason_error_string(e);
	return why ? why : "no reason given";
}

void tls_certificate_name(const X509 *cert, char *out, size_t cap)
{
	GENERAL_NAMES *names = cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;
	if (!cert) {
		snprintf(out, cap, "%s", failed_name);
		failed_name[0] = 0;
		return;
	}
	X509_NAME_oneline(X509_get_subject_name(cert), out, (int)cap);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		if (n->type != GEN_DNS)
			continue;
		// all of it: behind a NUL it may go on
		size_t len = (size_t)ASN1_STRING_length(n->d.dNSName);
		len = len < cap ? len : cap - 1;
		memcpy(out, ASN1_STRING_get0_data(n->d.dNSName), len);
		out[len] = 0;
		for (size_t j = 0; j < len; j++)
			out[j] = out[j] ? out[j] : '?';
		break;
	}
	GENERAL_NAMES_free(names);
	for (; *out; out++) // it may go into an Error-Message
		*out = *out >= 0x20 && *out < 0x7f ? *out : '?';
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
	const X509 *leaf;
	ok = ok || crl_forgives(store);
	leaf = ok ? NULL : X509_STORE_CTX_get0_cert(store);
	if (leaf)
		tls_certificate_name(leaf, failed_name, sizeof failed_name);
	return ok;
}

// ---- files ---------------------------------------------------------------------------------------

struct pem {
	uint8_t *p;
	size_t len;
};

// The file's bytes. The descriptors' offset is shared with other frontends: it is not used.
static int pem_read(int fd, size_t cap, struct pem *out)
{
	ssize_t n = 1;
	out->len = 0;
	out->p = malloc(cap);
	if (!out->p)
		return -ENOMEM;
	while (out->len < cap && n > 0) {
		n = pread(fd, out->p + out->len, cap - out->len, (off_t)out->len);
		if (n < 0 && errno != EINTR)
			return -errno;
		out->len += n > 0 ? (size_t)n : 0;
		n = n < 0 ? 1 : n;
	}
	return out->len < cap ? 0 : -EFBIG;
}

static void pem_free(struct pem *f)
{
	if (f->p)
		secret_wipe(f->p, f->len);
	free(f->p);
	f->p = NULL;
}

// A key with a passphrase is refused: nobody is there to type it.
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

bool tls_pem_ended(void)
{
	bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	if (ended)
		ERR_clear_error();
	return ended;
}

static bool use_certificate(SSL_CTX *ctx, BIO *in)
{
	X509 *leaf = PEM_read_bio_X509(in, NULL, no_passphrase, NULL), *more;
	bool ok = leaf && SSL_CTX_use_certificate(ctx, leaf) == 1;
	X509_free(leaf);
	while (ok && (more = PEM_read_bio_X509(in, NULL, no_passphrase, NULL))) {
		ok = SSL_CTX_add0_chain_cert(ctx, more) == 1;
		if (!ok)
			X509_free(more);
	}
	return ok && tls_pem_ended();
}

static bool use_key(SSL_CTX *ctx, BIO *in)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
	bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	return ok;
}

static bool use_authorities(SSL_CTX *ctx, BIO *in)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509 *ca;
	unsigned cnt = 0;
	bool ok = true;
	while (ok && (ca = PEM_read_bio_X509(in, NULL, no_passphrase, NULL))) {
		ok = X509_STORE_add_cert(store, ca) == 1 && SSL_CTX_add_client_CA(ctx, ca) == 1;
		X509_free(ca);
		cnt++;
	}
	return ok && cnt && tls_pem_ended();
}

// ---- context -------------------------------------------------------------------------------------

static SSL_CTX *context_new(const struct config *config)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	if (!ctx)
		return NULL;
	// level 2: RSA and DH of 2048 bits, curves of 224, no SHA-1 signatures
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE);
	// an idle connection keeps no record buffers
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx,
			   config->tls_verify == TLS_VERIFY_REQUIRED
			       ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
			       : SSL_VERIFY_PEER,
			   on_verify);
	SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH);
	SSL_CTX_set_max_cert_list(ctx, PEER_CERT_MAX);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static void loaded(SSL_CTX *ctx, const struct config *config)
{
	const ASN1_TIME *to = X509_get0_notAfter(SSL_CTX_get0_certificate(ctx));
	char until[32] = "";
	struct tm tm;
	if (ASN1_TIME_to_tm(to, &tm) == 1)
		strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &tm);
	// else the first look-up would do it, and with it change what this thread reads while the other one
	// checks
	sk_X509_OBJECT_sort(X509_STORE_get0_objects(crl_store(ctx)));
	pthread_mutex_lock(&context_lock);
	if (context)
		crl_forget(context);
	SSL_CTX_free(context);
	context = ctx;
	pthread_mutex_unlock(&context_lock);
	times = tls_times_of(ctx, config, true);
	log_info("tls_loaded", LOG_STR("certificate", config->tls_certificate), LOG_STR("until", until),
		 LOG_INT("revocation_lists", times.lists));
}

struct tls_times tls_watch(const struct config *config)
{
	const struct tls_times before = times;
	if (!context)
		return (struct tls_times){0};
	times = tls_times_of(context, config, false);
	if (times.late != before.late || times.past != before.past)
		times = tls_times_of(context, config, true);
	return times;
}

int tls_load(const int fds[CONFIG_TLS_FILES], const struct config *config)
{
	static bool (*const use[CONFIG_TLS_FILES])(SSL_CTX *, BIO *) = {[TLS_CERTIFICATE] = use_certificate,
									[TLS_KEY] = use_key,
									[TLS_CA] = use_authorities,
									[TLS_CRL] = crl_use};
	const char *const path[CONFIG_TLS_FILES] = {config->tls_certificate, config->tls_key, config->tls_ca,
						    config->tls_crl};
	SSL_CTX *ctx = context_new(config);
	int err = ctx ? 0 : -ENOMEM;

	ERR_clear_error();
	for (unsigned i = 0; i < CONFIG_TLS_FILES; i++) {
		struct pem file = {0};
		err = err ? err : pem_read(fds[i], i == TLS_CRL ? CRL_FILE_MAX : FILE_MAX, &file);
		BIO *in = err ? NULL : BIO_new_mem_buf(file.p, (int)file.len);
		if (!err && path[i][0] && !(in && use[i](ctx, in))) {
			err = -EBADMSG;
			log_error("tls_file_refused", LOG_STR("path", path[i]),
				  LOG_STR("reason", tls_reason(0)));
		} else if (err && err != -EBADMSG) {
			log_error("tls_file_refused", LOG_STR("path", path[i]),
				  LOG_STR("reason", err_text(err)));
			err = -EBADMSG; // said once
		}
		BIO_free(in);
		pem_free(&file);
		close(fds[i]);
	}
	ERR_clear_error();
	if (err) {
		SSL_CTX_free(ctx);
		return err;
	}
	loaded(ctx, config);
	return 0;
}
