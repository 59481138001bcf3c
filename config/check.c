// Contradictions that single values don't show: all of them are told, each with the line of the value that has to change. hssd,
// right after parsing.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "config/options.h"
#include "config/uri.h"

struct check {
	const struct config *c;
	const struct config_lines *lines;
	const char *name;
	struct config_error *e;
};

// Not what only follows from a value that was refused before.
static int refuse_at(const struct check *k, uint32_t line, const char *key, const char *expected, const char *got)
{
	char told[160];
	snprintf(told, sizeof(told), ": %s: ", key);
	return strstr(k->e->text, told) ? -EINVAL : config_refuse(k->e, k->name, line, key, expected, got);
}

static int refuse(const struct check *k, const char *path, const char *expected, const char *got)
{
	uint32_t line = k->lines->option[option_index(path)];

	return refuse_at(k, line ? line : 1, path, expected, got);
}

static bool is_all(const char *address)
{
	return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

// Whether two sockets of TCP, or two of SCTP, can't have these addresses on one port: the same one, or one that is in the
// other. 0.0.0.0 and "::" go beside each other (listen.c), names are seen when they are resolved.
static bool addresses_meet(const char *a, const char *b)
{
	bool same_family = !strchr(a, ':') == !strchr(b, ':');
	return a[0] && (strcmp(a, b) == 0 || (same_family && b[0] && (is_all(a) || is_all(b))));
}

// Further addresses: of an SCTP endpoint only, beside one that is not all, and none twice.
static int check_addresses(const struct check *k, uint32_t i)
{
	const struct config_listen *l = &k->c->listen[i];
	bool all = is_all(l->address);
	char key[48];

	if (l->address_cnt == 0)
		return 0;
	snprintf(key, sizeof(key), "listen[%u].addresses", i);
	if (l->transport != TRANSPORT_SCTP)
		return refuse_at(k, k->lines->listen[i], key, "none, or transport sctp",
				     option_words(OPTION_TRANSPORT)[l->transport]);
	if (all)
		return refuse_at(k, k->lines->listen[i], key,
				     "none beside an address that is all", l->address);
	for (uint32_t j = 0; j < l->address_cnt; j++) {
		bool again = strcmp(l->addresses[j], l->address) == 0;
		for (uint32_t m = 0; m < j; m++)
			again |= strcmp(l->addresses[j], l->addresses[m]) == 0;
		if (again)
			return refuse_at(k, k->lines->listen[i], key, "each address once",
					     l->addresses[j]);
	}
	return 0;
}

static int check_listen(const struct check *k)
{
	char key[48], got[96];

	if (k->c->listen_cnt == 0)
		refuse(k, "listen", "at least one item", "none");
	for (uint32_t i = 0; i < k->c->listen_cnt; i++) {
		const struct config_listen *l = &k->c->listen[i];

		for (uint32_t j = 0; j < i; j++) {
			const struct config_listen *o = &k->c->listen[j];
			bool one_transport = (o->transport == TRANSPORT_SCTP) == (l->transport == TRANSPORT_SCTP);
			if (o->port != l->port || !one_transport || !addresses_meet(o->address, l->address))
				continue;
			snprintf(key, sizeof(key), "listen[%u]", i);
			snprintf(got, sizeof(got), "that of listen[%u]%s", j,
				 strcmp(o->address, l->address) == 0 ? "" : ", in one of which the other is");
			refuse_at(k, k->lines->listen[i], key, "an address and port of its own", got);
			break;
		}
		(void)check_addresses(k, i);
	}
	return 0;
}

// A number that looks like an address is no name that peers can route to.
static int check_identity(const struct check *k)
{
	uint8_t octets[4];

	if (inet_pton(AF_INET, k->c->host, octets) == 1)
		refuse(k, "identity.host", "a name (hss01.epc.mnc001.mcc001.3gppnetwork.org), which peers route to", "an IP address");
	if (inet_pton(AF_INET, k->c->realm, octets) == 1)
		refuse(k, "identity.realm", "a name (epc.mnc001.mcc001.3gppnetwork.org)", "an IP address");
	return 0;
}

// Certificate, key and authorities, or none of them, and none missing where TLS is spoken; revocation lists only
// beside them.
static int check_tls(const struct check *k)
{
	const struct config *c = k->c;
	const struct {
		const char *key, *value;
	} file[CONFIG_TLS_FILES] = {{"tls.certificate", c->tls_certificate},
				    {"tls.key", c->tls_key},
				    {"tls.ca", c->tls_ca},
				    {"tls.crl", c->tls_crl}};
	uint32_t line = k->lines->option[option_index("tls.certificate")]; // the section's, when there is one
	const char *expected = NULL;

	for (uint32_t i = 0; i < c->listen_cnt; i++) {
		if (c->listen[i].transport != TRANSPORT_TLS)
			continue;
		expected = "a file, for the tls of listen";
		line = line ? line : k->lines->listen[i];
	}
	for (unsigned i = 0; i < CONFIG_TLS_FILES && !expected; i++)
		if (file[i].value[0])
			expected = "a file, beside the other ones of tls";
	for (unsigned i = 0; i < CONFIG_TLS_FILES - 1 && expected; i++)
		if (!file[i].value[0])
			return refuse_at(k, line ? line : 1, file[i].key, expected, "nothing"); // one stands for all
	return 0;
}

static void check_peer(const struct check *k, uint32_t i)
{
	const struct config_peer *p = &k->c->peer[i];
	uint32_t line = k->lines->peer[i];
	char key[48], got[96];

	snprintf(key, sizeof(key), "peers.list[%u].connect", i);
	if (p->connect && config_peer_is_pattern(p))
		refuse_at(k, line, key, "false for a pattern", "true");
	else if (p->connect && p->address_cnt == 0)
		refuse_at(k, line, key, "an address to connect to", "none");
	if (p->connect && p->via == VIA_TLS && !k->c->tls_certificate[0])
		refuse_at(k, line, "tls.certificate", "a file, for peers.list", "nothing");
	snprintf(key, sizeof(key), "peers.list[%u].applications", i);
	if (p->interconnect && p->application_cnt == 0)
		refuse_at(k, line, key, "what other operators may use, for an interconnect", "none");
	snprintf(key, sizeof(key), "peers.list[%u].host", i);
	if (strcmp(p->host, k->c->host) == 0)
		refuse_at(k, line, key, "another host than ours", "identity.host");
	for (uint32_t j = 0; j < i; j++) {
		if (!p->host[0] || strcmp(k->c->peer[j].host, p->host) != 0)
			continue;
		snprintf(got, sizeof(got), "that of peers.list[%u]", j);
		refuse_at(k, line, key, "a host of its own", got);
		return;
	}
}

static int check_peers(const struct check *k)
{
	for (uint32_t i = 0; i < k->c->peer_cnt; i++)
		check_peer(k, i);
	if (k->c->accept == ACCEPT_LISTED && k->c->peer_cnt == 0)
		refuse(k, "peers.accept", "any, or peers in peers.list", "\"listed\" and no peers");
	return 0;
}

static uint32_t store_line(const struct check *k)
{
	uint32_t line = k->lines->option[option_index("store.type")];

	return line ? line : 1;
}

static int check_mongodb(const struct check *k)
{
	const struct config *c = k->c;
	char masked[512];
	const char *expected;

	if (c->store_uri[0] && c->store_uri_file[0])
		return refuse(k, "store.uri_file", "no uri_file beside store.uri", "one");
	if (c->store_path[0])
		return refuse(k, "store.path", "no path for store.type mongodb", "one");
	if (!c->store_uri[0] && !c->store_uri_file[0])
		return refuse_at(k, store_line(k), "store.uri",
				     "a connection string, or one in the file store.uri_file", "neither");
	if (c->store_uri[0] && !config_uri_valid(c->store_uri, &expected)) {
		config_uri_mask(c->store_uri, masked, sizeof(masked));
		return refuse(k, "store.uri", expected, masked);
	}
	if (!c->store_database[0] || strpbrk(c->store_database, "/\\. \"$*<>:|?"))
		return refuse(k, "store.database", "the name of a database", c->store_database);
	if (!c->store_collection[0] || strchr(c->store_collection, '$'))
		return refuse(k, "store.collection", "the name of a collection", c->store_collection);
	return 0;
}

static int check_csv(const struct check *k)
{
	const struct config *c = k->c;

	if (c->store_uri[0])
		return refuse(k, "store.uri", "no uri for store.type csv", "one");
	if (!c->store_path[0])
		return refuse_at(k, store_line(k), "store.path", "the path of a file, for store.type csv",
				     "nothing");
	if (c->store_path[strlen(c->store_path) - 1] == '/')
		return refuse(k, "store.path", "the path of a file", c->store_path);
	return 0;
}

static int check_store(const struct check *k)
{
	const struct config *c = k->c;

	if (c->store == STORE_MONGODB)
		return check_mongodb(k);
	if (c->store_uri_file[0])
		return refuse(k, "store.uri_file", "no uri_file but for store.type mongodb", "one");
	if (c->store == STORE_CSV)
		return check_csv(k);
	if (c->store_uri[0])
		return refuse(k, "store.uri", "no uri for store.type sqlite", "one");
	if (c->store_path[0])
		return refuse(k, "store.path", "no path for store.type sqlite", "one");
	return 0;
}

static int check_admin(const struct check *k)
{
	const struct config *c = k->c;

	if (c->admin_readonly_socket[0] && strcmp(c->admin_readonly_socket, c->admin_socket) == 0)
		return refuse(k, "admin.readonly_socket", "another path than admin.socket", c->admin_readonly_socket);
	if (c->admin_readonly_group[0] && !c->admin_readonly_socket[0])
		return refuse(k, "admin.readonly_group", "a socket, admin.readonly_socket", "none");
	return 0;
}

static int check_metrics(const struct check *k)
{
	const struct config *c = k->c;

	if (c->metrics_address[0] == 0)
		return 0;
	for (uint32_t i = 0; i < c->listen_cnt; i++) {
		if (c->listen[i].port == c->metrics_port && c->listen[i].transport != TRANSPORT_SCTP &&
		    addresses_meet(c->listen[i].address, c->metrics_address))
			return refuse(k, "metrics.port", "another port than those of listen",
				      "one that is used");
	}
	return 0;
}

int config_check(const struct config *c, const struct config_lines *lines, const char *name,
		 struct config_error *e)
{
	static int (*const checks[])(const struct check *k) = {check_identity, check_listen, check_tls,
							       check_peers,    check_store,  check_admin, check_metrics};
	const struct check k = {.c = c, .lines = lines, .name = name, .e = e};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		(void)checks[i](&k);
	return e->cnt ? -EINVAL : 0;
}
