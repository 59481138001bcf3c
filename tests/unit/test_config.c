// The configuration: the packaged file, defaults, both ends of every range, the exact text and line of every
// error.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "config/options.h"

#define IDENTITY "identity: { host: hss.example.org, realm: example.org }\n"

static struct config c;
static struct config_error e;

static int parse(const char *text)
{
	return config_parse(text, strlen(text), "t", &c, &e);
}

static void example_and_defaults(void **state)
{
	(void)state;
	assert_int_equal(config_load(TEST_DATA "/../../packaging/hss.yaml", &c, &e), 0);
	assert_string_equal(c.host, "hss01.epc.mnc001.mcc001.3gppnetwork.org");
	assert_int_equal(c.listen_cnt, 1);
	assert_int_equal(c.metrics_port, 9868);
	assert_string_equal(c.metrics_address, "127.0.0.1");

	assert_int_equal(
	    parse("identity: { host: HSS.Example.ORG, realm: Example.org, realms: [IMS.example.org] }"), 0);
	assert_string_equal(c.host, "hss.example.org");
	assert_int_equal(c.realm_cnt, 1);
	assert_int_equal(c.listen_cnt, 1);
	assert_string_equal(c.listen[0].address, "127.0.0.1");
	assert_int_equal(c.listen[0].port, 3868);
	assert_int_equal(c.accept, ACCEPT_ANY);
	assert_int_equal(c.watchdog_ms, 30000);
	assert_int_equal(c.cer_timeout_ms, 5000);
	assert_int_equal(c.max_message, 65536);
	assert_int_equal(c.max_connections, 4096);
	assert_int_equal(c.max_pending, 4096);
	assert_int_equal(c.request_timeout_ms, 2000);
	assert_int_equal(c.max_vectors, 5);
	assert_int_equal(c.frontends, 1);
	assert_int_equal(c.workers, 2);
	assert_int_equal(c.max_subscribers, 1000000);
	assert_int_equal(c.hss_request_timeout_ms, 5000);
	assert_int_equal(c.hss_request_lifetime_s, 600);
	assert_int_equal(c.store, STORE_SQLITE);
	assert_int_equal(c.store_poll_ms, 10000);
	assert_int_equal(c.store_lookup_rate, 1000);
	assert_string_equal(c.state_dir, "/var/lib/corehss");
	assert_string_equal(c.admin_socket, "/run/corehss/admin.sock");
	assert_string_equal(c.metrics_address, "");
	assert_int_equal(c.log_level, LOG_LEVEL_INFO);
	assert_true(c.sandbox && !c.log_json && !c.allow_xor && !c.refuse_in_aia);
	assert_true(config_realm_served(&c, slice_str("EXAMPLE.org")));
	assert_true(config_realm_served(&c, slice_str("ims.EXAMPLE.org")));
	assert_false(config_realm_served(&c, slice_str("example.or")));
	assert_string_equal(c.ims_domain, "example.org");
}

// "a.b" with a value as a file: every option that is a number, at both ends and one beyond.
static int parse_one(const struct option_row *o, uint64_t value)
{
	char text[512];
	const char *dot = strrchr(o->path, '.');

	if (strncmp(o->path, "listen[]", 8) == 0)
		snprintf(text, sizeof(text), IDENTITY "listen: [{ address: 10.0.0.1, %s: %llu }]\n", dot + 1,
			 (unsigned long long)value);
	else if (strncmp(o->path, "peers.list[]", 12) == 0)
		snprintf(text, sizeof(text), IDENTITY "peers: { list: [{ host: x.y, %s: %llu }] }\n", dot + 1,
			 (unsigned long long)value);
	else if (strcmp(o->path, "ims.default_capabilities[]") == 0)
		snprintf(text, sizeof(text), IDENTITY "ims: { default_capabilities: [%llu] }\n", (unsigned long long)value);
	else if (strncmp(o->path, "ims.shared", 10) == 0)
		snprintf(text, sizeof(text), IDENTITY "ims: { shared_filter_criteria: [{ file: /x, %s: %llu }] }\n", dot + 1,
			 (unsigned long long)value);
	else if (strncmp(o->path, "identity.", 9) == 0)
		snprintf(text, sizeof(text), "identity: { host: a.b, realm: b, %s: %llu }\n", dot + 1,
			 (unsigned long long)value);
	else
		snprintf(text, sizeof(text), IDENTITY "%.*s%s{ %s: %llu }\n", dot ? (int)(dot - o->path) : 0,
			 o->path, dot ? ": " : "", dot ? dot + 1 : o->path, (unsigned long long)value);
	if (!dot) // top level: no mapping around it
		snprintf(text, sizeof(text), IDENTITY "%s: %llu\n", o->path, (unsigned long long)value);
	return parse(text);
}

static void ranges(void **state)
{
	unsigned numbers = 0;

	(void)state;
	for (unsigned i = 0; i < option_cnt; i++) {
		const struct option_row *o = &option_rows[i];
		uint32_t u32 = 0;
		uint16_t u16 = 0;

		if (o->kind != OPTION_U32 && o->kind != OPTION_U16)
			continue;
		numbers++;
		for (unsigned end = 0; end < 2; end++) {
			uint32_t want = end ? o->max : o->min;

			assert_int_equal(parse_one(o, want), 0);
			if (o->kind == OPTION_U32)
				memcpy(&u32, (char *)&c + o->offset, 4);
			else
				memcpy(&u16, (char *)&c + o->offset, 2);
			if (want == 0 && strcmp(o->path, "listen[].port") == 0)
				want = 3868; // 0: the transport's own
			assert_int_equal(o->kind == OPTION_U32 ? u32 : u16, want);
		}
		assert_int_equal(parse_one(o, (uint64_t)o->max + 1), -EINVAL);
		assert_non_null(strstr(e.text, "expected a whole number from "));
		if (o->min > 0)
			assert_int_equal(parse_one(o, o->min - 1), -EINVAL);
		assert_int_equal(parse_one(o, UINT64_MAX), -EINVAL);
		assert_int_equal(parse_one(o, 1ull << 32), -EINVAL);
	}
	assert_int_equal(numbers, 27);
}

static const struct {
	const char *text, *error;
} refused[] = {
    {"", "t:1: identity.host: expected a DiameterIdentity (a domain name of at most 255 characters), got nothing\n"
	 "t:1: identity.realm: expected a DiameterIdentity (a domain name of at most 255 characters), got "
	 "nothing"},
    {"\n\nidentity:\n  host: a.b\n", "t:4: identity.realm: expected a DiameterIdentity (a domain name of at "
				     "most 255 characters), got nothing"},
    {"identity: { host: -a.b, realm: b }", "t:1: identity.host: expected a DiameterIdentity (a domain name "
					   "of at most 255 characters), got \"-a.b\""},
    {"identity: { host: \"a\\0b\", realm: b }", "t:1: identity.host: expected a DiameterIdentity (a domain "
						"name of at most 255 characters), got \"a?b\""},
    {IDENTITY "workers: 65\n", "t:2: workers: expected a whole number from 1 to 64 processes, got \"65\""},
    {IDENTITY "workers: -1\n", "t:2: workers: expected a whole number from 1 to 64 processes, got \"-1\""},
    {IDENTITY "workers: '3'\n",
     "t:2: workers: expected a whole number from 1 to 64 processes, got quoted \"3\""},
    {IDENTITY "workers:\n", "t:2: workers: expected a whole number from 1 to 64 processes, got nothing"},
    {IDENTITY "workers: [1]\n", "t:2: workers: expected a whole number from 1 to 64 processes, got a list"},
    {IDENTITY "workers: !!int 3\n", "t:2: workers: expected a plain value, got a tag"},
    {IDENTITY "workers: &n 3\n", "t:2: workers: expected a plain value, got an anchor"},
    {IDENTITY "workers: *n\n", "t:2: workers: expected a value, got an alias"},
    {IDENTITY "workres: 3\n", "t:2: file: expected the name of an option, got \"workres\""},
    {IDENTITY "identity.realms: [x]\n", "t:2: file: expected the name of an option, got \"identity.realms\""},
    {IDENTITY "? [a]\n: 1\n", "t:2: file: expected the name of an option, got a list"},
    {IDENTITY "log:\n  level: info\n  colour: red\n",
     "t:4: log: expected the name of an option, got \"colour\""},
    {IDENTITY "log:\n  level: verbose\n",
     "t:3: log.level: expected error, warn, info or debug, got \"verbose\""},
    {IDENTITY "log: { level: info, level: info }", "t:2: log.level: expected to be given once, got it again"},
    {IDENTITY IDENTITY, "t:2: identity: expected to be given once, got it again"},
    {IDENTITY "log: info\n", "t:2: log: expected a mapping, got \"info\""},
    {IDENTITY "sandbox: yes\n", "t:2: sandbox: expected true or false, got \"yes\""},
    {IDENTITY "state_dir: var\n",
     "t:2: state_dir: expected an absolute path of at most 255 octets, got \"var\""},
    {IDENTITY "user: \"a\\nb\"\n",
     "t:2: user: expected text of 0 to 63 printable ASCII characters, got \"a?b\""},
    {IDENTITY "listen: []\n", "t:2: listen: expected at least one item, got none"},
    {IDENTITY "listen: here\n", "t:2: listen: expected a list, got \"here\""},
    {IDENTITY "listen:\n  - 3868\n", "t:3: listen[0]: expected a mapping, got \"3868\""},
    {IDENTITY "listen:\n  - { port: 3868 }\n",
     "t:3: listen[0].address: expected an IPv4 or IPv6 address or a host name, got nothing"},
    {IDENTITY "listen:\n  - { address: 1.2.3.400 }\n",
     "t:3: listen[0].address: expected an IPv4 or IPv6 address or a host name, got \"1.2.3.400\""},
    {IDENTITY "listen:\n  - { address: 1.1.1.1 }\n  - { address: 1.1.1.1 }\n",
     "t:4: listen[1]: expected an address and port of its own, got that of listen[0]"},
    {IDENTITY "listen:\n  - { address: 1.1.1.1, addresses: [1.1.1.2] }\n",
     "t:3: listen[0].addresses: expected none, or transport sctp, got tcp"},
    {IDENTITY "listen: [{ transport: sctp, address: \"::\", addresses: [1.1.1.2] }]\n",
     "t:2: listen[0].addresses: expected none beside an address that is all, got ::"},
    {IDENTITY "listen:\n  - { address: 1.1.1.1 }\n"
	      "  - { transport: sctp, address: 1.1.1.1, addresses: [1.1.1.2, 1.1.1.3, 1.1.1.2] }\n",
     "t:4: listen[1].addresses: expected each address once, got 1.1.1.2"},
    {IDENTITY "listen: [{ transport: sctp, address: 1.1.1.1, addresses: [1.1.1.1] }]\n",
     "t:2: listen[0].addresses: expected each address once, got 1.1.1.1"},
    {IDENTITY "listen: [{ transport: sctp, address: 1.1.1.1, addresses: [he_re] }]\n",
     "t:2: listen[0].addresses[0]: expected an IPv4 or IPv6 address or a host name, got \"he_re\""},
    {IDENTITY "listen:\n  - { address: 0.0.0.0 }\n  - { address: 127.0.0.1 }\n",
     "t:4: listen[1]: expected an address and port of its own, got that of listen[0], in one of which the other is"},
    {IDENTITY "listen:\n  - { address: 1.1.1.1, port: 5868 }\n  - { transport: tls, address: 1.1.1.1 }\n"
	      "tls: { certificate: /c, key: /k, ca: /a }\n",
     "t:4: listen[1]: expected an address and port of its own, got that of listen[0]"},
    {IDENTITY "metrics: { address: 0.0.0.0, port: 3868 }\n",
     "t:2: metrics.port: expected another port than those of listen, got one that is used"},
    {"identity: { host: 192.0.2.1, realm: a }", "t:1: identity.host: expected a name "
     "(hss01.epc.mnc001.mcc001.3gppnetwork.org), which peers route to, got an IP address"},
    {IDENTITY "peers: { list: [{ host: \"*.a.b\", connect: true, addresses: [1.1.1.1] }] }\n",
     "t:2: peers.list[0].connect: expected false for a pattern, got true"},
    {IDENTITY "peers: { list: [{ host: \"a.*.b\" }] }\n", "t:2: peers.list[0].host: expected a DiameterIdentity of at most "
     "255 characters, or \"*.\" and the end of many, got \"a.*.b\""},
    {"identity: { host: a, realm: b\nworkers: 3\n", "t:1: identity: expected a '}' for the '{' of this line, got none up to "
     "line 2 (did not find expected ',' or '}')"},
    {"identity: { host: a, realm: b }\nuser: ${HSS_TEST_UNSET}\n", "t:2: user: expected text of 0 to 63 printable ASCII "
     "characters, got the environment variable HSS_TEST_UNSET, which is not set"},
    {IDENTITY "listen: [{ transport: sctp, address: 1.1.1.1, addresses: 1.1.1.2 }]\n",
     "t:2: listen[0].addresses: expected a list, got \"1.1.1.2\""},
    {IDENTITY "listen: [{ transport: sctp, address: 1.1.1.1,\n  addresses: [1.1.1.2, 1.1.1.3, 1.1.1.4, "
	      "1.1.1.5, 1.1.1.6, 1.1.1.7, 1.1.1.8,\n 1.1.1.9] }]\n",
     "t:4: listen[0].addresses: expected at most 7 items, got more"},
    {IDENTITY "listen: [{ address: 1.1.1.1, transport: tls }]\n",
     "t:2: tls.certificate: expected a file, for the tls of listen, got nothing"},
    {IDENTITY "tls: { certificate: /c,\n  key: /k }\n",
     "t:2: tls.ca: expected a file, beside the other ones of tls, got nothing"},
    {IDENTITY "tls: { crl: /l }\n",
     "t:2: tls.certificate: expected a file, beside the other ones of tls, got nothing"},
    {IDENTITY "tls: { verify: never }\n", "t:2: tls.verify: expected required or optional, got \"never\""},
    {IDENTITY "store:\n  type: mongodb\n",
     "t:3: store.uri: expected a connection string, or one in the file store.uri_file, got neither"},
    {IDENTITY "store:\n  type: mongodb\n  uri: mongo://h\n",
     "t:4: store.uri: expected a connection string that starts with mongodb:// or mongodb+srv://, got mongo://h"},
    {IDENTITY "store:\n  type: mongodb\n  uri: \"mongodb://u:se:cret@h:99999/db\"\n",
     "t:4: store.uri: expected mongodb://[USER:PASSWORD@]HOST[:PORT],...[/...] (escape : / ? # [ ] @ in the password "
     "with %), got mongodb://u:***@h:99999/db"},
    {IDENTITY "store: { type: mongodb, uri: \"mongodb://h\", uri_file: /u }\n",
     "t:2: store.uri_file: expected no uri_file beside store.uri, got one"},
    {IDENTITY "store: { type: mongodb, uri_file: /u, path: /p }\n",
     "t:2: store.path: expected no path for store.type mongodb, got one"},
    {IDENTITY "store: { type: mongodb, uri_file: /u, database: a.b }\n",
     "t:2: store.database: expected the name of a database, got a.b"},
    {IDENTITY "store: { type: mongodb, uri_file: /u, collection: $c }\n",
     "t:2: store.collection: expected the name of a collection, got $c"},
    {IDENTITY "store: { uri_file: /u }\n",
     "t:2: store.uri_file: expected no uri_file but for store.type mongodb, got one"},
    {IDENTITY "store: { type: csv }\n", "t:2: store.path: expected the path of a file, for store.type csv, got nothing"},
    {IDENTITY "store: { type: csv, path: /etc/ }\n", "t:2: store.path: expected the path of a file, got /etc/"},
    {IDENTITY "store: { type: csv, path: /etc/s.csv, uri: \"mongodb://h\" }\n",
     "t:2: store.uri: expected no uri for store.type csv, got one"},
    {IDENTITY "store: { path: /etc/s.csv }\n",
     "t:2: store.path: expected no path for store.type sqlite, got one"},
    {IDENTITY "store: { uri: [secret] }\n",
     "t:2: store.uri: expected text of 0 to 511 printable ASCII characters, got a list"},
    {IDENTITY "store: { uri: \"mongodb://u:\\tsecret@h\" }\n",
     "t:2: store.uri: expected text of 0 to 511 printable ASCII characters, got ***"},
    {IDENTITY "store: { uri: \"mongodb://u:secret@h\" }\n",
     "t:2: store.uri: expected no uri for store.type sqlite, got one"},
    {IDENTITY "peers: { accept: listed }\n",
     "t:2: peers.accept: expected any, or peers in peers.list, got \"listed\" and no peers"},
    {IDENTITY "peers: { list: [{ host: a }, { host: A }] }\n",
     "t:2: peers.list[1].host: expected a host of its own, got that of peers.list[0]"},
    {IDENTITY "peers:\n  list:\n    - { host: a, connect: true }\n",
     "t:4: peers.list[0].connect: expected an address to connect to, got none"},
    {IDENTITY "peers: { list: [{ host: a, connect: true, addresses: [1.1.1.1], transport: tls }] }\n",
     "t:2: tls.certificate: expected a file, for peers.list, got nothing"},
    {IDENTITY "peers: { list: [{ host: HSS.example.org }] }\n",
     "t:2: peers.list[0].host: expected another host than ours, got identity.host"},
    {IDENTITY "metrics: { address: 127.0.0.1, port: 3868 }\n",
     "t:2: metrics.port: expected another port than those of listen, got one that is used"},
    {IDENTITY "---\nworkers: 3\n", "t:2: file: expected one document, got a second one"},
    {"- a\n", "t:1: file: expected a mapping of options, got a list"},
    {"\tworkers: 1\n",
	 "t:1: file: expected well-formed YAML, got found character that cannot start any token"},
    {"identity:\n  \xff\xfe\n", "t:2: file: expected well-formed YAML, got bytes that are not UTF-8 text"},
    {"identity: { host: a, realm: b, realms: [c, d, e, f, g, h, i, j, k] }",
     "t:1: identity.realms: expected at most 8 items, got more"},
};

static void errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		size_t len = strlen(refused[i].text);

		assert_int_equal(config_parse(refused[i].text, len, "t", &c, &e), -EINVAL);
		if (strcmp(e.text, refused[i].error) != 0)
			assert_string_equal(e.text, refused[i].error);
	}
}

// All of them at once, in the order of the file, then the contradictions; nothing that only follows from another one.
static void every_error_is_told(void **state)
{
	(void)state;
	assert_int_equal(parse("identity: { host: hss.a.b }\n"
			       "workers: 0\n"
			       "nonsense: { deep: [1, { a: b }] }\n"
			       "listen: [{ address: he_re }, { address: 1.1.1.1, prot: 1 }, { address: 1.1.1.1 }]\n"
			       "log: { level: loud, level: info }\n"
			       "store: { type: mongodb, uri: [] }\n"),
			 -EINVAL);
	assert_int_equal(e.cnt, 9);
	assert_string_equal(
	    e.text,
	    "t:2: workers: expected a whole number from 1 to 64 processes, got \"0\"\n"
	    "t:3: file: expected the name of an option, got \"nonsense\"\n"
	    "t:4: listen[0].address: expected an IPv4 or IPv6 address or a host name, got \"he_re\"\n"
	    "t:4: listen[1]: expected the name of an option, got \"prot\"\n"
	    "t:5: log.level: expected error, warn, info or debug, got \"loud\"\n"
	    "t:5: log.level: expected to be given once, got it again\n"
	    "t:6: store.uri: expected text of 0 to 511 printable ASCII characters, got a list\n"
	    "t:1: identity.realm: expected a DiameterIdentity (a domain name of at most 255 characters), got nothing\n"
	    "t:4: listen[2]: expected an address and port of its own, got that of listen[1]");
}

static void variables(void **state)
{
	(void)state;
	setenv("HSS_TEST_A", "hss", 1);
	setenv("HSS_TEST_N", "3", 1);
	setenv("HSS_TEST_EMPTY", "", 1);
	assert_int_equal(parse("identity: { host: \"${HSS_TEST_A}1.${HSS_TEST_B:-x.y}\", realm: b }\n"
			       "workers: ${HSS_TEST_N}\nfrontends: ${HSS_TEST_EMPTY:-4}\nuser: \"a$${b}\"\n"),
			 0);
	assert_string_equal(c.host, "hss1.x.y");
	assert_int_equal(c.workers, 3);
	assert_int_equal(c.frontends, 4);
	assert_string_equal(c.user, "a${b}");
	assert_int_equal(parse(IDENTITY "workers: ${HSS_TEST_A}\n"), -EINVAL);
}

static void names_are_resolved(void **state)
{
	(void)state;
	assert_int_equal(parse(IDENTITY "listen: [{ address: localhost }, { address: no-such-name.invalid, port: 1 }]\n"
					"metrics: { address: localhost, port: 2 }\n"
					"peers: { list: [{ host: a, connect: true, addresses: [no-such-name.invalid] }] }\n"),
			 0);
	assert_false(config_resolve(&c, "t", &e));
	assert_true(strcmp(c.listen[0].address, "127.0.0.1") == 0 || strcmp(c.listen[0].address, "::1") == 0);
	assert_string_equal(c.metrics_address, c.listen[0].address);
	assert_string_equal(c.peer[0].addresses[0], "no-such-name.invalid");
	assert_int_equal(e.cnt, 2);
	assert_memory_equal(e.text, "t:2: listen[1].address: no-such-name.invalid: ", 46);
	assert_non_null(strstr(e.text, "\nt:4: peers.list[0].addresses: no-such-name.invalid: "));
}

static void patterns(void **state)
{
	(void)state;
	assert_int_equal(parse(IDENTITY "peers: { list: [{ host: \"*.EPC.example\", max_rate: 1 }, { host: mme.epc.example, "
					"max_rate: 2 }, { host: \"*.a.epc.example\", max_rate: 3 }] }\n"),
			 0);
	assert_int_equal(config_peer_find(&c, slice_str("MME2.epc.EXAMPLE"))->max_rate, 1);
	assert_int_equal(config_peer_find(&c, slice_str("x.y.epc.example"))->max_rate, 1);
	assert_int_equal(config_peer_find(&c, slice_str("mme.epc.example"))->max_rate, 2);
	assert_int_equal(config_peer_find(&c, slice_str("mme.a.epc.example"))->max_rate, 3);
	assert_null(config_peer_find(&c, slice_str("epc.example")));
	assert_null(config_peer_find(&c, slice_str("notepc.example")));
	assert_null(config_peer_find(&c, slice_str("")));
}

static void files(void **state)
{
	(void)state;
	assert_int_equal(config_load("/nonexistent/hss.yaml", &c, &e), -ENOENT);
	assert_string_equal(e.text, "/nonexistent/hss.yaml: No such file or directory");
	assert_int_equal(config_load("/", &c, &e), -EISDIR);
}

static void garbage(void **state)
{
	static const char alphabet[] = "{}[]:,-?&*!|>'\"%@` \n\tabz019#\\\xc3\xa9\x01";
	size_t len = 64 << 10;
	char *text = malloc(len);
	uint32_t seed = 1;

	(void)state;
	assert_non_null(text);
	for (unsigned round = 0; round < 64; round++) {
		for (size_t i = 0; i < len; i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] =
			    round % 2 ? alphabet[(seed >> 16) % (sizeof(alphabet) - 1)] : (char)(seed >> 24);
		}
		assert_int_equal(config_parse(text, len, "t", &c, &e), -EINVAL);
		assert_memory_equal(e.text, "t:", 2);
	}
	memset(text, '[', len);
	assert_int_equal(config_parse(text, len, "t", &c, &e), -EINVAL);
	free(text);
	text = malloc(2 << 20);
	assert_non_null(text);
	memset(text, ' ', 2 << 20);
	assert_int_equal(config_parse(text, 2 << 20, "t", &c, &e), -EINVAL);
	assert_string_equal(e.text, "t:1: file: expected at most 1048576 octets, got more");
	free(text);
}

static void printed_is_accepted(void **state)
{
	static struct config again;
	static char text[65536];
	int fd = memfd_create("config", MFD_CLOEXEC);
	ssize_t len;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(
	    parse(IDENTITY
		  "peers: { accept: listed, list: [{ host: a.b, refuse_in_aia: true, applications: [s6a],\n"
		  "  addresses: [10.0.0.1, \"::1\"], transport: tls },\n"
		  "  { host: c.d, connect: true, addresses: [10.0.0.1, 10.0.0.2], from: [10.0.0.3], transport: sctp }] }\n"
		  "listen: [{ address: \"::1\", port: 1 },\n"
		  "  { transport: sctp, address: 10.0.0.1, addresses: [10.0.0.2, \"fd00::1\"] }]\n"
		  "user: 'a\"\\b$${c}'\nlog: { format: json }\n"
		  "roaming: { default: deny, home: [\"00102\"], realms: [{ realm: x.y, visited: 208 }],\n"
		  "  rules: [{ visited: 20801, rats: [eutran, nb-iot], realm: a.b, action: deny, result: 5012, diagnostic: none },\n"
		  "  { visited: \"*\", profile: gold, action: allow }] }\n"),
	    0);
	assert_int_equal(c.s6a.rule_cnt, 2);
	assert_int_equal(c.s6a.rule[0].rat_cnt, 2);
	assert_int_equal(c.s6a.rule[0].result, ROAMING_5012);
	assert_int_equal(c.s6a.rule_line[1], c.s6a.rule_line[0] + 1);
	assert_string_equal(c.s6a.rule[1].profile, "gold");
	assert_int_equal(c.listen[0].address_cnt, 0);
	assert_int_equal(c.listen[1].address_cnt, 2);
	assert_string_equal(c.listen[1].addresses[0], "10.0.0.2");
	assert_string_equal(c.listen[1].addresses[1], "fd00::1");
	config_print(&c, fd);
	len = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(len > 0);
	assert_int_equal(config_parse(text, (size_t)len, "printed", &again, &e), 0);
	assert_string_equal(again.file, "printed");
	memcpy(again.file, c.file, sizeof(c.file)); // where it was read is not printed
	memcpy(again.s6a.rule_line, c.s6a.rule_line, sizeof(c.s6a.rule_line));
	assert_memory_equal(&c, &again, sizeof(c));

	assert_int_equal(ftruncate(fd, 0), 0);
	strcpy(c.store_uri, "mongodb://user:p:4ss@w0rd@host:27017/db");
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	config_print(&c, fd);
	len = pread(fd, text, sizeof(text) - 1, 0);
	text[len] = 0;
	assert_non_null(strstr(text, "uri: \"mongodb://user:***@host:27017/db\""));
	assert_null(strstr(text, "4ss"));
	assert_null(strstr(text, "w0rd"));
	close(fd);
}

static void reload(void **state)
{
	static struct config old;

	(void)state;
	assert_int_equal(parse(IDENTITY), 0);
	old = c;
	assert_int_equal(parse(IDENTITY "log: { level: debug }\npeers: { list: [{ host: x }] }\n"
					"limits: { watchdog_ms: 6000 }\n"),
			 0);
	assert_null(config_not_reloadable(&old, &c));
	assert_non_null(config_peer_find(&c, slice_str("X")));
	assert_null(config_peer_find(&c, slice_str("y")));
	assert_int_equal(parse(IDENTITY "workers: 3\n"), 0);
	assert_string_equal(config_not_reloadable(&old, &c), "workers");
	assert_int_equal(parse(IDENTITY "listen: [{ address: 127.0.0.1, port: 3869 }]\n"), 0);
	assert_string_equal(config_not_reloadable(&old, &c), "listen");
	assert_int_equal(parse("identity: { host: other, realm: example.org }"), 0);
	assert_string_equal(config_not_reloadable(&old, &c), "identity.host");
	assert_int_equal(
	    parse(IDENTITY "listen: [{ transport: sctp, address: 1.1.1.1, addresses: [1.1.1.2] }]\n"), 0);
	old = c;
	strcpy(old.listen[0].addresses[0], "1.1.1.3");
	assert_string_equal(config_not_reloadable(&old, &c), "listen");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(example_and_defaults),
	    cmocka_unit_test(ranges),
	    cmocka_unit_test(errors),
	    cmocka_unit_test(every_error_is_told),
	    cmocka_unit_test(variables),
	    cmocka_unit_test(names_are_resolved),
	    cmocka_unit_test(patterns),
	    cmocka_unit_test(files),
	    cmocka_unit_test(garbage),
	    cmocka_unit_test(printed_is_accepted),
	    cmocka_unit_test(reload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
