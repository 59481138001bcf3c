// TLS of hss-load's connections: OpenSSL on the socket itself, as a peer of another make would do it. The HSS
// is checked against --tls-ca, and by name when --dest-host tells it.
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include "tools/hss-load/run.h"

#define READ_AHEAD (64u << 10)

static bool refuse(const char *what, const char *path)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());
	fprintf(stderr, "hss-load: %s %s: %s\n", what, path, why ? why : "not usable");
	ERR_clear_error();
	return false;
}

static void key_write(const SSL *ssl, const char *line)
{
	fprintf(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)), "%s\n", line);
}

// So that Wireshark reads what was said. A test client may do that; the HSS has no such thing.
static bool keys_open(struct hl_run *r)
{
	const char *path = secure_getenv("SSLKEYLOGFILE");
	if (!path || !path[0])
		return true;
	r->tls_keys = fopen(path, "ae");
	if (!r->tls_keys || setvbuf(r->tls_keys, NULL, _IOLBF, 0)) {
		fprintf(stderr, "hss-load: SSLKEYLOGFILE: %s: %s\n", path, err_text(errno));
		return false;
	}
	SSL_CTX_set_app_data(r->tls, r->tls_keys);
	SSL_CTX_set_keylog_callback(r->tls, key_write);
	return true;
}

bool hl_tls_init(struct hl_run *r)
{
	const struct hl_options *o = r->o;
	if (!o->tls_ca)
		return true;
	signal(SIGPIPE, SIG_IGN); // OpenSSL writes without MSG_NOSIGNAL
	SSL_CTX *ctx = r->tls = SSL_CTX_new(TLS_client_method());
	if (!ctx)
		return refuse("TLS", "");
	if (SSL_CTX_load_verify_locations(ctx, o->tls_ca, NULL) != 1)
		return refuse("--tls-ca", o->tls_ca);
	if (o->tls_cert && SSL_CTX_use_certificate_chain_file(ctx, o->tls_cert) != 1)
		return refuse("--tls-cert", o->tls_cert);
	if (o->tls_cert && SSL_CTX_use_PrivateKey_file(ctx, o->tls_key, SSL_FILETYPE_PEM) != 1)
		return refuse("--tls-key", o->tls_key);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1); // many records a system call
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
	return keys_open(r);
}

void hl_tls_fini(struct hl_run *r)
{
	SSL_CTX_free(r->tls);
	r->tls = NULL;
	if (r->tls_keys)
		fclose(r->tls_keys);
	r->tls_keys = NULL;
}

void hl_tls_close(struct hl_conn *c)
{
	if (c->tls && SSL_is_init_finished(c->tls))
		SSL_shutdown(c->tls);
	SSL_free(c->tls);
	c->tls = NULL;
	c->shaking = false;
	ERR_clear_error();
}

const char *hl_tls_handshake(struct hl_run *r, struct hl_conn *c)
{
	if (!c->tls) {
		c->tls = SSL_new(r->tls);
		if (!c->tls || SSL_set_fd(c->tls, c->fd) != 1 ||
		    (r->o->dest_host && SSL_set1_host(c->tls, r->o->dest_host) != 1))
			return "no memory for TLS";
		SSL_set_connect_state(c->tls);
	}
	ERR_clear_error();
	int n = SSL_do_handshake(c->tls), e = SSL_get_error(c->tls, n);
	c->shaking = n != 1;
	if (n == 1 || e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return NULL;
	long verify = SSL_get_verify_result(c->tls);
	const char *why = verify != X509_V_OK ? X509_verify_cert_error_string(verify)
					      : ERR_reason_error_string(ERR_peek_error());
	return why ? why : "the peer ended the TLS handshake";
}

// As recv(2) and send(2) tell it.
static ssize_t result(struct hl_conn *c, int n)
{
	switch (SSL_get_error(c->tls, n)) {
	case SSL_ERROR_NONE:
		return n;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		errno = EPROTO;
		return -1;
	}
}

ssize_t hl_tls_recv(struct hl_conn *c, void *buf, size_t cap)
{
	ERR_clear_error();
	return result(c, SSL_read(c->tls, buf, (int)cap));
}

ssize_t hl_tls_send(struct hl_conn *c, const void *buf, size_t len)
{
	ERR_clear_error();
	return result(c, SSL_write(c->tls, buf, (int)len));
}
