// TLS over TCP (RFC 6733 2.1, 13.1: the handshake comes before the CER). Runs in hss-frontend.
//
// OpenSSL never sees the socket. It reads from and writes to a BIO without memory of its own: what one recv
// brought (`arrived`) and what one send will take (`leaving`), both shared by the whole process, since a
// session is driven to its end of input within one call. So many records cost one system call, and an idle
// session holds no buffer. What does not fit is kept by the session: `rest` (came, not yet taken by OpenSSL
// because the caller's buffer was full, at most ARRIVED_MAX) and `held` (sealed, not yet taken by the kernel,
// at most HELD_MAX, which only a peer that does not read reaches: it is closed).
//
// A session is made with the first octet that comes: a connection that says nothing costs its descriptor.
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h> // lint: the TLS transport
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "frontend/tls.h"
#include "frontend/tls_crl.h"
#include "frontend/transport.h"
#include "lib/base/log.h"

#define ARRIVED_MAX (64u << 10)
#define SEND_MAX    (64u << 10) // plain octets sealed in one call
#define LEAVING_MAX (96u << 10) // those and their records' overhead; a handshake's flight
#define HELD_MAX    (256u << 10)

struct tls {
	SSL *ssl;    // NULL until something came
	char *host;  // whom we connect to; NULL: accepted
	bool up;     // the handshake is done
	bool told;   // a line was logged for it
	bool ended;  // the peer's close_notify, or its end of file
	bool closed; // our close_notify is sent
	int error;   // negative errno: what recv and send return from now on
	uint8_t *rest, *held;
	uint32_t rest_off, rest_len, held_off, held_len;
};

// each thread has its own of these (handshake.h)
static _Thread_local struct {
	const uint8_t *p;
	size_t len;
} arrived;

static _Thread_local struct {
	uint8_t p[LEAVING_MAX];
	size_t len;
} leaving;

static _Thread_local struct log_limit log_refused, log_unfinished;

// ---- the BIO -------------------------------------------------------------------------------------

static int pipe_read(BIO *b, char *buf, int cap)
{
	BIO_clear_retry_flags(b);
	if (arrived.len == 0 || cap <= 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	size_t n = arrived.len < (size_t)cap ? arrived.len : (size_t)cap;
	memcpy(buf, arrived.p, n);
	arrived.p += n;
	arrived.len -= n;
	return (int)n;
}

static int pipe_write(BIO *b, const char *buf, int len)
{
	BIO_clear_retry_flags(b);
	size_t room = LEAVING_MAX - leaving.len;
	if (room == 0 || len <= 0) {
		BIO_set_retry_write(b);
		return -1;
	}
	size_t n = room < (size_t)len ? room : (size_t)len;
	memcpy(leaving.p + leaving.len, buf, n);
	leaving.len += n;
	return (int)n;
}

static long pipe_ctrl(BIO *b, int cmd, long num, void *arg)
{
	(void)b, (void)num, (void)arg;
	return cmd == BIO_CTRL_FLUSH;
}

static int pipe_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static BIO_METHOD *pipe_method;

static void pipe_method_make(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "batch");
	if (m && BIO_meth_set_read(m, pipe_read) && BIO_meth_set_write(m, pipe_write) &&
	    BIO_meth_set_ctrl(m, pipe_ctrl) && BIO_meth_set_create(m, pipe_create))
		pipe_method = m;
}

static BIO *pipe_new(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, pipe_method_make);
	return pipe_method ? BIO_new(pipe_method) : NULL;
}

// ---- the session ---------------------------------------------------------------------------------

static int session_start(struct tls *s)
{
	BIO *b = pipe_new();
	s->ssl = tls_session_new();
	if (!s->ssl || !b) {
		BIO_free(b);
		return -ENOMEM;
	}
	SSL_set_bio(s->ssl, b, b);
	if (!s->host) {
		SSL_set_accept_state(s->ssl);
		return 0;
	}
	// we dialled: the certificate must have the name of the host that we want
	SSL_set_connect_state(s->ssl);
	SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS);
	SSL_set_verify(s->ssl, SSL_VERIFY_PEER, SSL_get_verify_callback(s->ssl));
	return SSL_set1_host(s->ssl, s->host) == 1 && SSL_set_tlsext_host_name(s->ssl, s->host) == 1
		   ? 0
		   : -ENOMEM;
}

// One line for a session that fails, whatever else goes wrong with it.
static void refused(const struct transport *t, struct tls *s)
{
	char address[64], who[128];
	tls_certificate_name(SSL_get0_peer_certificate(s->ssl), who, sizeof who);
	s->error = -EPROTO;
	if (!s->told && log_limit_pass(&log_refused, 20)) {
		transport_remote(t, address, sizeof address);
		log_warn(s->up ? "tls_broken" : "tls_refused", LOG_STR("address", address),
			 LOG_STR("certificate", who),
			 LOG_STR("reason", tls_reason(SSL_get_verify_result(s->ssl))));
	}
	s->told = true;
	ERR_clear_error();
}

static bool handshake(const struct transport *t, struct tls *s)
{
	char address[64];
	int r = SSL_do_handshake(s->ssl);
	if (r != 1) {
		if (SSL_get_error(s->ssl, r) != SSL_ERROR_WANT_READ)
			refused(t, s);
		return false;
	}
	s->up = true;
	crl_forget_session(s->ssl);
	transport_remote(t, address, sizeof address);
	log_debug("tls_up", LOG_STR("address", address), LOG_STR("version", SSL_get_version(s->ssl)),
		  LOG_STR("cipher", SSL_get_cipher_name(s->ssl)));
	return true;
}

// Everything that has arrived, as far as there is room for it.
static size_t exchange(const struct transport *t, struct tls *s, uint8_t *buf, size_t cap)
{
	size_t got = 0, n;
	ERR_clear_error();
	if (!s->up && !handshake(t, s))
		return 0;
	while (got < cap && SSL_read_ex(s->ssl, buf + got, cap - got, &n) == 1)
		got += n;
	if (got == cap)
		return got;
	switch (SSL_get_error(s->ssl, 0)) {
	case SSL_ERROR_WANT_READ:
		break;
	case SSL_ERROR_ZERO_RETURN:
		s->ended = true;
		break;
	default:
		refused(t, s);
	}
	return got;
}

// ---- what does not fit ---------------------------------------------------------------------------

static int rest_keep(struct tls *s)
{
	if (arrived.len == 0 || s->error) {
		free(s->rest);
		s->rest = NULL;
		s->rest_off = s->rest_len = 0;
		return 0;
	}
	if (s->rest) {
		s->rest_off = s->rest_len - (uint32_t)arrived.len;
		return 0;
	}
	s->rest = malloc(arrived.len);
	if (!s->rest)
		return -ENOMEM;
	memcpy(s->rest, arrived.p, arrived.len);
	s->rest_off = 0;
	s->rest_len = (uint32_t)arrived.len;
	return 0;
}

static int hold(struct transport *t, struct tls *s, const uint8_t *p, size_t len)
{
	uint32_t have = s->held_len - s->held_off;
	if (len == 0)
		return 0;
	if (have + len > HELD_MAX)
		return -ENOBUFS;
	uint8_t *grown = malloc(have + len);
	if (!grown)
		return -ENOMEM;
	if (have)
		memcpy(grown, s->held + s->held_off, have);
	memcpy(grown + have, p, len);
	free(s->held);
	s->held = grown;
	s->held_off = 0;
	s->held_len = have + (uint32_t)len;
	t->held = s->held_len;
	return 0;
}

// What OpenSSL wrote goes to the kernel, or behind what is held already.
static int leave(struct transport *t, struct tls *s)
{
	size_t sent = 0;
	if (leaving.len && !t->held) {
		ssize_t n = transport_tcp.send(t, leaving.p, leaving.len);
		if (n < 0 && n != -EAGAIN)
			return (int)n;
		sent = n > 0 ? (size_t)n : 0;
	}
	int err = hold(t, s, leaving.p + sent, leaving.len - sent);
	leaving.len = 0;
	return err;
}

static int held_send(struct transport *t, struct tls *s)
{
	while (t->held) {
		ssize_t n = transport_tcp.send(t, s->held + s->held_off, t->held);
		if (n < 0)
			return (int)n;
		s->held_off += (uint32_t)n;
		t->held -= (uint32_t)n;
	}
	free(s->held);
	s->held = NULL;
	s->held_off = s->held_len = 0;
	return 0;
}

// ---- the transport -------------------------------------------------------------------------------

static int tls_accept(int listener, struct transport *t)
{
	int err = transport_tcp.accept(listener, t);
	if (err)
		return err;
	t->ops = &transport_tls;
	t->costly = true;
	t->state = calloc(1, sizeof(struct tls));
	if (t->state)
		return 0;
	transport_tcp.close(t);
	return -ENOMEM;
}

static int tls_connect(const struct transport_path *path, struct transport *t)
{
	int err = transport_tcp.connect(path, t);
	if (err)
		return err;
	struct tls *s = t->state = calloc(1, sizeof *s);
	t->ops = &transport_tls;
	if (s && (s->host = strdup(path->host)))
		return 0;
	free(s);
	transport_tcp.close(t);
	return -ENOMEM;
}

// What there is to read: kept from the last time, or fresh from the socket.
static ssize_t input(const struct transport *t, struct tls *s)
{
	static _Thread_local uint8_t scratch[ARRIVED_MAX];
	if (t->pending) {
		arrived.p = s->rest + s->rest_off;
		arrived.len = s->rest_len - s->rest_off;
		return 1;
	}
	ssize_t n = transport_tcp.recv((struct transport *)t, scratch, sizeof scratch);
	arrived.p = scratch;
	arrived.len = n > 0 ? (size_t)n : 0;
	return n;
}

static int tls_establish(struct transport *t)
{
	struct tls *s = t->state;
	int err = held_send(t, s);
	if (err && err != -EAGAIN)
		return err;
	arrived.len = 0;
	if (!s->ssl) {
		err = transport_tcp.establish(t);
		err = err ? err : session_start(s);
		if (err)
			return err;
	} else {
		ssize_t n = input(t, s);
		if (n <= 0)
			return n ? (int)n : -ECONNRESET;
	}
	leaving.len = 0;
	ERR_clear_error();
	handshake(t, s);
	err = leave(t, s);
	s->error = s->error ? s->error : err;
	err = rest_keep(s);
	s->error = s->error ? s->error : err;
	t->pending = s->rest_len - s->rest_off;
	t->costly = !s->up;
	return s->error ? s->error : s->up ? 0 : -EAGAIN;
}

static ssize_t tls_recv(struct transport *t, void *buf, size_t cap)
{
	struct tls *s = t->state;
	size_t got = 0;
	int err;

	if (!s->error && !s->ended) {
		ssize_t n = input(t, s);
		if (n < 0)
			return n;
		if (n == 0)
			s->ended = true;
		else if (!s->ssl && (err = session_start(s)))
			s->error = err;
		if (n > 0 && !s->error) {
			leaving.len = 0;
			got = exchange(t, s, buf, cap);
			// an alert of ours leaves even when the session is over
			err = leave(t, s);
			s->error = s->error ? s->error : err;
		}
		err = rest_keep(s);
		s->error = s->error ? s->error : err;
	}
	bool over = s->error || s->ended;
	t->pending = cap ? 0 : s->rest_len - s->rest_off; // what came behind a handshake that is all of a call
	t->costly = !s->up && !over;
	if (got == 0)
		return s->error ? s->error : s->ended ? 0 : -EAGAIN;
	t->pending = s->rest_len - s->rest_off + (uint32_t)SSL_pending(s->ssl) + over;
	return (ssize_t)got;
}

static ssize_t tls_send(struct transport *t, const void *buf, size_t len)
{
	struct tls *s = t->state;
	size_t done = 0, n;

	int err = s->error ? s->error : held_send(t, s);
	if (err || len == 0)
		return err;
	if (!s->up)
		return -ENOTCONN;
	len = len < SEND_MAX ? len : SEND_MAX;
	leaving.len = 0;
	ERR_clear_error();
	while (done < len && SSL_write_ex(s->ssl, (const uint8_t *)buf + done, len - done, &n) == 1)
		done += n;
	err = leave(t, s);
	if (err)
		return err;
	if (done == 0) { // there was room, and nothing to wait for: the session is broken
		refused(t, s);
		return s->error;
	}
	return (ssize_t)done;
}

// close_notify, behind everything that was sent.
static void notify_close(struct transport *t, struct tls *s)
{
	if (!s->up || s->error || s->closed)
		return;
	s->closed = true;
	leaving.len = 0;
	ERR_clear_error();
	SSL_shutdown(s->ssl);
	if (leave(t, s))
		s->error = -EPIPE;
	ERR_clear_error();
}

static void tls_shut(struct transport *t)
{
	notify_close(t, t->state);
	if (!t->held) // else the peer's patience, or the linger's end
		transport_tcp.shut(t);
}

static void tls_close(struct transport *t)
{
	struct tls *s = t->state;
	char address[64];
	notify_close(t, s);
	if (!s->up && !s->told && log_limit_pass(&log_unfinished, 1)) {
		transport_remote(t, address, sizeof address);
		log_info("tls_unfinished", LOG_STR("address", address),
			 LOG_STR("reason", !s->ssl    ? "nothing came"
					   : s->ended ? "ended by the peer"
						      : "not in time"));
	}
	SSL_free(s->ssl);
	free(s->rest);
	free(s->held);
	free(s->host);
	free(s);
	t->state = NULL;
	t->held = t->pending = 0;
	transport_tcp.close(t);
}

static uint32_t tls_local(const struct transport *t, struct base_addr out[BASE_ADDRS_MAX])
{
	return transport_tcp.local(t, out);
}

// A DNS name of the certificate is the host (RFC 6733 13.1, RFC 6125): the whole name, no wildcards, never
// the subject. The chain was verified by the handshake; revocation lists may have come since.
static enum transport_proof tls_proof(const struct transport *t, struct slice host, char *who, size_t cap)
{
	const struct tls *s = t->state;
	X509 *cert = s->ssl ? SSL_get0_peer_certificate(s->ssl) : NULL;
	tls_certificate_name(cert, who, cap);
	if (!cert)
		return TRANSPORT_UNPROVEN;
	// to X509_check_host no length means "up to the NUL", and a leading dot means every host below
	bool fits =
	    host.len && host.p[0] != '.' &&
	    X509_check_host(cert, (const char *)host.p, host.len,
			    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1;
	if (!fits)
		return TRANSPORT_OTHER;
	return crl_revokes(tls_context(), s->ssl) ? TRANSPORT_REVOKED : TRANSPORT_PROVEN;
}

static void tls_security(const struct transport *t, char *out, size_t cap)
{
	const struct tls *s = t->state;
	snprintf(out, cap, "%s", "handshake");
	if (s->up)
		snprintf(out, cap, "%s %s", SSL_get_version(s->ssl), SSL_get_cipher_name(s->ssl));
}

const struct transport_ops transport_tls = {
    .name = "tls",
    .kind = TRANSPORT_TLS,
    .accept = tls_accept,
    .connect = tls_connect,
    .establish = tls_establish,
    .recv = tls_recv,
    .send = tls_send,
    .shut = tls_shut,
    .close = tls_close,
    .local = tls_local,
    .remote = transport_remote,
    .proof = tls_proof,
    .security = tls_security,
};
