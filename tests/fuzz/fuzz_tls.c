// What can come over a TLS listener: octets in place of a handshake, octets between the records of a session,
// and a stream inside of one, cut into pieces, before or after its CER. The first octet says which: bit 0:
// the stream goes through the session; bit 1: after a good handshake, else in place of it; bit 2: after a
// good CER too; the rest: how long the pieces are. A second peer, over TLS, must be served afterwards.
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>
#include "frontend/tls.h"
#include "tests/support/check.h"
#include "tests/support/frontend_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ff f;
static SSL_CTX *client;
static struct sockaddr_un address; // of the listener
static socklen_t address_len = sizeof address;
static int listener;

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
	CHECK(san && X509_add_ext(x, san, -1) && X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256()));
	X509_EXTENSION_free(san);
	return x;
}

static int file_of(X509 *x, EVP_PKEY *key)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);
	FILE *pem = fdopen(dup(fd), "w");
	CHECK(pem &&
	      (x ? PEM_write_X509(pem, x) : PEM_write_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL)) &&
	      fclose(pem) == 0);
	return fd;
}

static void start(void)
{
	signal(SIGPIPE, SIG_IGN); // OpenSSL writes where the frontend has closed
	CHECK(tls_init() == 0);
	ff_configure(&f);
	// only what has a name is read, and there are no revocation lists
	snprintf(f.config.tls_certificate, sizeof f.config.tls_certificate, "certificate");
	snprintf(f.config.tls_key, sizeof f.config.tls_key, "key");
	snprintf(f.config.tls_ca, sizeof f.config.tls_ca, "authorities");
	ff_open(&f, 1, 1000000000);
	address.sun_family = AF_UNIX;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(bind(listener, (const struct sockaddr *)&address, sizeof address.sun_family) == 0 &&
	      listen(listener, 8) == 0 &&
	      getsockname(listener, (struct sockaddr *)&address, &address_len) == 0);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = certificate(key);
	const int files[] = {[TLS_CERTIFICATE] = file_of(x, NULL),
			     [TLS_KEY] = file_of(NULL, key),
			     [TLS_CA] = file_of(x, NULL),
			     [TLS_CRL] = open("/dev/null", O_RDONLY | O_CLOEXEC)};
	client = SSL_CTX_new(TLS_client_method());
	CHECK(tls_load(files, &f.config) == 0 && client && SSL_CTX_use_certificate(client, x) == 1 &&
	      SSL_CTX_use_PrivateKey(client, key) == 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

static struct side connected(bool session)
{
	struct side s = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)};
	struct transport t;
	CHECK(s.fd >= 0 && connect(s.fd, (const struct sockaddr *)&address, address_len) == 0 &&
	      transport_tls.accept(listener, &t) == 0);
	conn_open_take(&f.fe[0], &t);
	if (!session)
		return s;
	s.ssl = SSL_new(client);
	CHECK(s.ssl && SSL_set_fd(s.ssl, s.fd));
	SSL_set_connect_state(s.ssl);
	for (unsigned i = 0; i < 20 && SSL_do_handshake(s.ssl) != 1; i++)
		ff_pump(&f, 2);
	ff_pump(&f, 2);
	CHECK(SSL_is_init_finished(s.ssl));
	return s;
}

static bool put(struct side *s, const uint8_t *p, size_t len, bool inside)
{
	bool ok = inside ? SSL_write(s->ssl, p, (int)len) == (int)len : ff_send(s->fd, p, len);
	ff_pump(&f, 2);
	return ok;
}

static size_t take(struct side *s)
{
	static uint8_t sink[65536];
	size_t all = 0;
	int n;
	if (!s->ssl)
		return ff_drain(s->fd);
	while ((n = SSL_read(s->ssl, sink, sizeof sink)) > 0)
		all += (size_t)n;
	return all;
}

static void capabilities(struct side *s, const char *host)
{
	uint8_t out[512];
	CHECK(put(s, out, ff_cer(out, sizeof out, host), true));
	ff_pump(&f, 2);
	CHECK(take(s) >= DIAMETER_HEADER_LEN);
}

static void gone(struct side *s)
{
	SSL_free(s->ssl);
	close(s->fd);
	ff_pump(&f, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.base)
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
	ff_later(&f, 10000);
	CHECK(ff_at_rest(&f));
	return 0;
}
