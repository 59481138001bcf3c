// What can come over a TLS listener: octets in place of a handshake, octets between the records of a session,
// and a stream inside of one, cut into pieces, before or after its CER. The first octet says which: bit 0:
// the stream goes through the session; bit 1: after a good handshake, else in place of it; bit 2: after a
// good CER too; the rest: how long the pieces are. A second peer, over TLS, must be served afterwards.
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "frontend/frontend.h"
#include "frontend/peer.h"
#include "frontend/route.h"
#include "frontend/tls.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config config = {
    .host = "hss.hss.example",
    .realm = "hss.example",
    .watchdog_ms = 30000,
    .cer_timeout_ms = 5000,
    .max_message = 65536,
    .max_connections = 8,
    .max_half_open = 8,
    .max_pending = 100,
    .request_timeout_ms = 2000,
    .frontends = 1,
    .workers = 1,
};
static struct frontend fe;
static struct event_base *base;
static struct control *control;
static SSL_CTX *client;
static struct sockaddr_un address; // of the listener
static socklen_t address_len = sizeof address;
static int listener;
static uint64_t now_us = 1000000000;

struct side {
	int fd;
	SSL *ssl; // NULL: none wanted
};

// One certificate for everybody, its own authority.
static X509 *certificate(EVP_PKEY *key)
{
	static const char names[] = "DNS:hss.hss.example,DNS:bad.example,DNS:good.example";
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"fuzz", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	if (!san || !X509_add_ext(x, san, -1) || !X509_set_pubkey(x, key) || !X509_sign(x, key, EVP_sha256()))
		abort();
	X509_EXTENSION_free(san);
	return x;
}

static int file_of(X509 *x, EVP_PKEY *key)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);
	FILE *f = fdopen(dup(fd), "w");
	if (!f || !(x ? PEM_write_X509(f, x) : PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL)) ||
	    fclose(f))
		abort();
	return fd;
}

static void start(void)
{
	int fd = control_create(1, 1);
	log_init("fuzz", LOG_LEVEL_ERROR, false, false);
	clock_freeze_us(now_us);
	signal(SIGPIPE, SIG_IGN); // OpenSSL writes where the frontend has closed
	base = event_base_new();
	control = control_map(fd, true);
	if (!base || !control || tls_init() ||
	    frontend_init(&fe, &config, base, control, &control->stats[control_instance(ROLE_FRONTEND, 0)], 0,
			  1))
		abort();
	address.sun_family = AF_UNIX;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(listener, (const struct sockaddr *)&address, sizeof address.sun_family) ||
	    listen(listener, 8) || getsockname(listener, (struct sockaddr *)&address, &address_len))
		abort();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = certificate(key);
	const int files[] = {[TLS_CERTIFICATE] = file_of(x, NULL),
			     [TLS_KEY] = file_of(NULL, key),
			     [TLS_CA] = file_of(x, NULL),
			     [TLS_CRL] = open("/dev/null", O_RDONLY | O_CLOEXEC)};
	client = SSL_CTX_new(TLS_client_method());
	if (tls_load(files, &config) || !client || SSL_CTX_use_certificate(client, x) != 1 ||
	    SSL_CTX_use_PrivateKey(client, key) != 1)
		abort();
	X509_free(x);
	EVP_PKEY_free(key);
}

static void pump(unsigned rounds)
{
	while (rounds--)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static struct side connected(bool session)
{
	struct side s = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)};
	struct transport t;
	if (s.fd < 0 || connect(s.fd, (const struct sockaddr *)&address, address_len) ||
	    transport_tls.accept(listener, &t))
		abort();
	conn_open_take(&fe, &t);
	if (!session)
		return s;
	s.ssl = SSL_new(client);
	if (!s.ssl || !SSL_set_fd(s.ssl, s.fd))
		abort();
	SSL_set_connect_state(s.ssl);
	for (unsigned i = 0; i < 20 && SSL_do_handshake(s.ssl) != 1; i++)
		pump(2);
	pump(2);
	if (!SSL_is_init_finished(s.ssl))
		abort();
	return s;
}

static bool put(struct side *s, const uint8_t *p, size_t len, bool inside)
{
	bool ok = inside ? SSL_write(s->ssl, p, (int)len) == (int)len
			 : send(s->fd, p, len, MSG_NOSIGNAL) == (ssize_t)len;
	pump(2);
	return ok;
}

static int take(struct side *s)
{
	static uint8_t sink[65536];
	int n, all = 0;
	while (s->ssl ? (n = SSL_read(s->ssl, sink, sizeof sink)) > 0
		      : (n = (int)read(s->fd, sink, sizeof sink)) > 0)
		all += n;
	return all;
}

static void capabilities(struct side *s, const char *host)
{
	uint8_t out[512];
	struct base_node mme = {.host = slice_str(host),
				.realm = slice_str("example"),
				.product = slice_str("fuzz"),
				.apps = (uint32_t[]){APP_S6A},
				.app_cnt = 1};
	struct wr w = wr_of(out, sizeof out);
	base_cer_write(&w, &mme, 1, 2);
	if (!put(s, out, wr_len(&w), true))
		abort();
	pump(2);
	if (take(s) < DIAMETER_HEADER_LEN)
		abort();
}

static void gone(struct side *s)
{
	SSL_free(s->ssl);
	close(s->fd);
	pump(3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!base)
		start();
	if (size < 1)
		return 0;
	bool session = data[0] & 2, inside = session && data[0] & 1;
	struct side bad = connected(session);
	if (session && data[0] & 4)
		capabilities(&bad, "bad.example");
	size_t piece = (data[0] >> 3) * 7u + 1 + size / 20; // few enough to be quick
	for (size_t at = 1; at < size; at += piece) {
		size_t n = piece < size - at ? piece : size - at;
		if (!put(&bad, data + at, n, inside))
			break;
		take(&bad);
	}
	struct side good = connected(true);
	capabilities(&good, "good.example");
	gone(&bad);
	gone(&good);
	clock_freeze_us(now_us += 10000000);
	frontend_tick(&fe);
	pump(3);
	if (frontend_conn_cnt(&fe) || route_pending(&fe))
		abort();
	return 0;
}
