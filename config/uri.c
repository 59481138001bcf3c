// MongoDB's connection strings: see uri.h.
#include "config/uri.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "lib/base/secret.h"

#define PLAIN "mongodb://"
#define SRV   "mongodb+srv://"

// Where the hosts start: behind the last '@' before the path, since some forget to escape one in a password.
// An option may hold one, too: the options start at the first '?' behind a '/', which no password can hold
// unescaped.
static const char *hosts_of(const char *authority, const char **end)
{
	const char *options = strstr(authority, "/?"), *at = NULL, *p;
	const char *stop = options ? options : authority + strlen(authority);
	for (p = authority; p < stop; p++)
		if (*p == '@')
			at = p;
	const char *hosts = at ? at + 1 : authority;
	*end = hosts + strcspn(hosts, "/?");
	return hosts;
}

static bool port_valid(const char *p, const char *end)
{
	unsigned long port = 0;
	if (p == end || end - p > 5)
		return false;
	for (; p < end; p++) {
		if (!isdigit((unsigned char)*p))
			return false;
		port = port * 10 + (unsigned long)(*p - '0');
	}
	return port > 0 && port <= 65535;
}

// One host, with or without a port: a name, an address, [an IPv6 address], or the escaped path of a Unix
// socket.
static bool host_valid(const char *p, const char *end, bool srv)
{
	const char *colon = memchr(p, ':', (size_t)(end - p));
	if (end - p > 5 && p[0] == '%' && strncasecmp(end - 5, ".sock", 5) == 0)
		return !srv;
	if (p < end && *p == '[') {
		const char *close = memchr(p, ']', (size_t)(end - p));
		if (!close || srv)
			return false;
		return close + 1 == end || (close[1] == ':' && port_valid(close + 2, end));
	}
	if (colon && (srv || !port_valid(colon + 1, end)))
		return false;
	const char *name_end = colon ? colon : end;
	for (const char *q = p; q < name_end; q++)
		if (!isalnum((unsigned char)*q) && !strchr(".-_", *q))
			return false;
	return name_end > p;
}

bool config_uri_valid(const char *uri, const char **expected)
{
	bool srv = strncmp(uri, SRV, strlen(SRV)) == 0;
	const char *end, *next;
	*expected = "a connection string that starts with mongodb:// or mongodb+srv://";
	if (!srv && strncmp(uri, PLAIN, strlen(PLAIN)) != 0)
		return false;
	*expected = srv ? "mongodb+srv://[USER:PASSWORD@]HOST[/...], one host and no port (escape : / ? # [ "
			  "] @ in the "
			  "password with %)"
			: "mongodb://[USER:PASSWORD@]HOST[:PORT],...[/...] (escape : / ? # [ ] @ in the "
			  "password with %)";
	const char *start = uri + strlen(srv ? SRV : PLAIN), *p = hosts_of(start, &end);
	// options come behind a slash; where the driver took another end of the password, a piece of it would
	// be a host
	if (*end == '?' || (p > start && (memchr(start, '@', (size_t)(p - 1 - start)) ||
					  memchr(start, '/', (size_t)(p - start)))))
		return false;
	for (;; p = next + 1) {
		next = memchr(p, ',', (size_t)(end - p));
		if (!host_valid(p, next ? next : end, srv))
			return false;
		if (!next)
			return true;
		if (srv)
			return false;
	}
}

struct text {
	char *p;
	size_t len, cap;
};

static void add(struct text *t, const char *p, size_t len)
{
	for (size_t i = 0; i < len && t->len + 1 < t->cap; i++)
		t->p[t->len++] = p[i];
}

static bool option_secret(const char *name, size_t len)
{
	static const char *const secret[] = {"tlsCertificateKeyFilePassword",
					     "sslClientCertificateKeyPassword", "authMechanismProperties"};
	for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
		if (len == strlen(secret[i]) && strncasecmp(name, secret[i], len) == 0)
			return true;
	return false;
}

void config_uri_mask(const char *uri, char *out, size_t cap)
{
	struct text t = {.p = out, .cap = cap};
	const char *end, *p = strstr(uri, "://");
	if (cap == 0)
		return;
	p = p ? p + 3 : uri;
	const char *hosts = hosts_of(p, &end);
	const char *colon = memchr(p, ':', (size_t)(hosts - p));
	add(&t, uri, (size_t)((colon ? colon + 1 : p) - uri));
	if (colon) {
		add(&t, SECRET_MASK, strlen(SECRET_MASK));
		p = hosts - 1;
	}
	const char *options = strchr(hosts, '?');
	end = options ? options + 1 : hosts + strlen(hosts);
	add(&t, p, (size_t)(end - p));
	for (p = end; *p; p = end) {
		end = p + strcspn(p, "&;");
		const char *value = memchr(p, '=', (size_t)(end - p));
		bool secret = value && option_secret(p, (size_t)(value - p));
		add(&t, p, (size_t)((secret ? value + 1 : end) - p));
		if (secret)
			add(&t, SECRET_MASK, strlen(SECRET_MASK));
		end += *end != 0;
		if (end > p && strchr("&;", end[-1]))
			add(&t, end - 1, 1);
	}
	out[t.len] = 0;
}

int config_uri_read(int fd, char out[CONFIG_URI_MAX])
{
	const char *expected;
	ssize_t n = pread(fd, out, CONFIG_URI_MAX, 0);
	if (n < 0)
		return -errno;
	int rc = n == CONFIG_URI_MAX ? -EINVAL : 0;
	while (n > 0 && strchr(" \t\r\n", out[n - 1]))
		n--;
	for (ssize_t i = 0; i < n && rc == 0; i++)
		rc = out[i] > 0x20 && out[i] < 0x7f ? 0 : -EINVAL;
	out[rc ? 0 : n] = 0;
	return rc == 0 && config_uri_valid(out, &expected) ? 0 : -EINVAL;
}
