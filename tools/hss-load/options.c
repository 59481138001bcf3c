// The command line of hss-load: see options.h.
#include "tools/hss-load/options.h"
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/ident.h"

static const char usage_text[] =
    "usage: hss-load CASE --connect HOST:PORT --imsi FIRST [options]\n"
    "cases: air ulr attach pur nor resync mixed ecr (an MME); register uar mar sar lir (a CSCF);\n"
    "       wlan-mar wlan-sar (an AAA server);\n"
    "       udr sh-pur (an application server)\n"
    "  --connect HOST:PORT       the HSS or DRA, over TCP ([::1]:3868 for IPv6)\n"
    "  --sctp                    over SCTP\n"
    "  --imsi FIRST              first IMSI; leading zeros are kept\n"
    "  --subscribers N           IMSIs FIRST .. FIRST+N-1 (1)\n"
    "  --order random|seq        each round visits every subscriber, in this order (random)\n"
    "  --window W                requests outstanding (64)\n"
    "  --rate R                  or: R a second, open loop; latency from the intended send time\n"
    "  --duration S              stop after S seconds\n"
    "  --requests N              or: after N procedures (default: each subscriber once)\n"
    "  --timeout S               how long an answer may take (10)\n"
    "  --k HEX (--opc HEX | --op HEX)   the keys of all subscribers\n"
    "  --keys FILE               or: lines `IMSI K OPC'; without --imsi these are the subscribers\n"
    "  --verify all|sample|none  check vectors (sample: 1 of 64; none without keys)\n"
    "  --vectors N               Number-Of-Requested-Vectors (1)\n"
    "  --s6d                     be an SGSN: UTRAN vectors, S6d location update\n"
    "  --plmn MCCMNC             Visited-PLMN-Id (00101)\n"
    "  --apn NAME                the APN that nor reports (internet)\n"
    "  --jump N                  resync: the card is N SEQs ahead (1000)\n"
    "  --forge                   resync: AUTS with a wrong MAC-S\n"
    "  --host NAME --realm NAME  Origin-Host and Origin-Realm\n"
    "  --dest-realm NAME --dest-host NAME\n"
    "  --domain NAME             register ..: domain of IMSI@NAME and sip:IMSI@NAME (that of --dest-realm)\n"
    "  --server-name URI         register ..: the S-CSCF (sip:hss-load.invalid)\n"
    "  --ha1 HEX                 register, mar: SIP Digest with this HA1 in place of AKA\n"
    "  --anid NAME               wlan-mar: EAP-AKA' for this access network, in place of EAP-AKA\n"
    "  --tls-ca FILE             TLS, with an HSS that one of these authorities has signed\n"
    "  --tls-cert FILE --tls-key FILE   our certificate\n"
    "  --connections C           several connections, hosts NAME, NAME-2 ... (1)\n"
    "  --answer-clr              answer CLR, IDR, DSR and RSR with 2001 (else they are ignored)\n"
    "  --reconnect               go on after a lost connection\n"
    "  --retransmit              with --reconnect: repeat what was outstanding, with the T flag\n"
    "  --expect CODE             the code that every answer must have (2001)\n"
    "  --log FILE                one line for each acknowledged result\n"
    "  --pcap FILE               what was said, for Wireshark (the first MiB of each connection)\n"
    "  --show                    print every answer readably\n"
    "  --json                    report as one JSON object\n";

enum {
	O_CONNECT = 256,
	O_SCTP,
	O_IMSI,
	O_SUBSCRIBERS,
	O_ORDER,
	O_WINDOW,
	O_RATE,
	O_DURATION,
	O_REQUESTS,
	O_TIMEOUT,
	O_K,
	O_OPC,
	O_OP,
	O_KEYS,
	O_VERIFY,
	O_VECTORS,
	O_S6D,
	O_PLMN,
	O_APN,
	O_JUMP,
	O_FORGE,
	O_HOST,
	O_REALM,
	O_DEST_REALM,
	O_DEST_HOST,
	O_DOMAIN,
	O_SERVER_NAME,
	O_HA1,
	O_ANID,
	O_TLS_CA,
	O_TLS_CERT,
	O_TLS_KEY,
	O_CONNECTIONS,
	O_ANSWER_CLR,
	O_RECONNECT,
	O_RETRANSMIT,
	O_EXPECT,
	O_LOG,
	O_PCAP,
	O_SHOW,
	O_JSON,
	O_HELP,
	O_VERSION
};

static const struct option long_options[] = {
    {"connect", required_argument, NULL, O_CONNECT},
    {"sctp", no_argument, NULL, O_SCTP},
    {"imsi", required_argument, NULL, O_IMSI},
    {"subscribers", required_argument, NULL, O_SUBSCRIBERS},
    {"order", required_argument, NULL, O_ORDER},
    {"window", required_argument, NULL, O_WINDOW},
    {"rate", required_argument, NULL, O_RATE},
    {"duration", required_argument, NULL, O_DURATION},
    {"requests", required_argument, NULL, O_REQUESTS},
    {"timeout", required_argument, NULL, O_TIMEOUT},
    {"k", required_argument, NULL, O_K},
    {"opc", required_argument, NULL, O_OPC},
    {"op", required_argument, NULL, O_OP},
    {"keys", required_argument, NULL, O_KEYS},
    {"verify", required_argument, NULL, O_VERIFY},
    {"vectors", required_argument, NULL, O_VECTORS},
    {"s6d", no_argument, NULL, O_S6D},
    {"plmn", required_argument, NULL, O_PLMN},
    {"apn", required_argument, NULL, O_APN},
    {"jump", required_argument, NULL, O_JUMP},
    {"forge", no_argument, NULL, O_FORGE},
    {"host", required_argument, NULL, O_HOST},
    {"realm", required_argument, NULL, O_REALM},
    {"dest-realm", required_argument, NULL, O_DEST_REALM},
    {"dest-host", required_argument, NULL, O_DEST_HOST},
    {"domain", required_argument, NULL, O_DOMAIN},
    {"server-name", required_argument, NULL, O_SERVER_NAME},
    {"ha1", required_argument, NULL, O_HA1},
    {"anid", required_argument, NULL, O_ANID},
    {"tls-ca", required_argument, NULL, O_TLS_CA},
    {"tls-cert", required_argument, NULL, O_TLS_CERT},
    {"tls-key", required_argument, NULL, O_TLS_KEY},
    {"connections", required_argument, NULL, O_CONNECTIONS},
    {"answer-clr", no_argument, NULL, O_ANSWER_CLR},
    {"reconnect", no_argument, NULL, O_RECONNECT},
    {"retransmit", no_argument, NULL, O_RETRANSMIT},
    {"expect", required_argument, NULL, O_EXPECT},
    {"log", required_argument, NULL, O_LOG},
    {"pcap", required_argument, NULL, O_PCAP},
    {"show", no_argument, NULL, O_SHOW},
    {"json", no_argument, NULL, O_JSON},
    {"help", no_argument, NULL, O_HELP},
    {"version", no_argument, NULL, O_VERSION},
    {0},
};

static bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*out = v;
	return v >= min && v <= max;
}

static bool parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v;
	if (!parse_u64(text, min, max, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool parse_positive(const char *text, double max, double *out)
{
	char *end;
	double v = strtod(text, &end);
	if (end == text || *end || !isfinite(v) || v <= 0 || v > max)
		return false;
	*out = v;
	return true;
}

// HOST:PORT or [IPV6]:PORT.
static bool parse_connect(const char *text, struct hl_options *o)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len;
	uint64_t port;

	if (!colon || !parse_u64(colon + 1, 1, 65535, &port))
		return false;
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return false;
	}
	if (len == 0 || len >= sizeof o->host)
		return false;
	memcpy(o->host, host, len);
	o->host[len] = 0;
	snprintf(o->port, sizeof o->port, "%u", (unsigned)port);
	return true;
}

// Six digits at least, so that "subscriber FIRST+n" cannot run into another operator's numbers unnoticed.
static bool parse_imsi(const char *text, struct hl_options *o)
{
	size_t len = strlen(text);
	if (len < 6 || len > IMSI_MAX_DIGITS || !parse_u64(text, 0, UINT64_MAX, &o->imsi_first))
		return false;
	o->imsi_digits = (unsigned)len;
	return true;
}

// "00101" or "001001" to the three octets of Visited-PLMN-Id (TS 29.272 7.3.9).
static bool parse_plmn(const char *text, uint8_t plmn[3])
{
	size_t len = strlen(text);
	uint8_t d[6];

	if (len != 5 && len != 6)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		d[i] = (uint8_t)(text[i] - '0');
	}
	plmn[0] = (uint8_t)(d[1] << 4 | d[0]);
	plmn[1] = (uint8_t)((len == 6 ? d[5] : 0xf) << 4 | d[2]);
	plmn[2] = (uint8_t)(d[4] << 4 | d[3]);
	return true;
}

static bool parse_word(const char *text, const char *const *words, int *out)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return true;
		}
	return false;
}

static bool parse_name(const char *text, size_t max, const char **out)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] > '~' || text[i] == ';')
			return false;
	*out = text;
	return len > 0 && len <= max;
}

static bool take_subscriber_option(int id, const char *arg, struct hl_options *o)
{
	static const char *const orders[] = {"random", "seq", NULL}, *const verifies[] = {"none", "sample",
											  "all", NULL};
	int word = 0;

	switch (id) {
	case O_IMSI:
		return parse_imsi(arg, o);
	case O_SUBSCRIBERS:
		return parse_u64(arg, 1, UINT32_MAX, &o->subscribers);
	case O_ORDER:
		if (!parse_word(arg, orders, &word))
			return false;
		o->sequential = word == 1;
		return true;
	case O_K:
		return o->have_k = hex_parse(slice_str(arg), o->keys.k, 16);
	case O_OPC:
		return o->have_opc = hex_parse(slice_str(arg), o->keys.opc, 16);
	case O_OP:
		return o->have_op = hex_parse(slice_str(arg), o->keys.opc, 16);
	case O_KEYS:
		o->keys_file = arg;
		return true;
	case O_VERIFY:
		if (!parse_word(arg, verifies, &word))
			return false;
		o->verify = (enum hl_verify)word;
		return true;
	case O_VECTORS:
		return parse_u32(arg, 1, 32, &o->vectors);
	case O_JUMP:
		return parse_u32(arg, 1, 1u << 28, &o->jump);
	default:
		return false;
	}
}

static bool take_cx_option(int id, const char *arg, struct hl_options *o)
{
	uint8_t ha1[16];
	const char *name = NULL;

	switch (id) {
	case O_SERVER_NAME:
		return parse_name(arg, 200, &o->server_name);
	case O_HA1:
		o->ha1 = arg;
		return o->digest = strlen(arg) == 32 && hex_parse(slice_str(arg), ha1, 16);
	default:
		if (!parse_name(arg, sizeof o->domain - 1, &name))
			return false;
		snprintf(o->domain, sizeof o->domain, "%s", name);
		return true;
	}
}

static bool take_peer_option(int id, const char *arg, struct hl_options *o)
{
	switch (id) {
	case O_CONNECT:
		return parse_connect(arg, o);
	case O_SCTP:
		return o->sctp = true;
	case O_PLMN:
		return parse_plmn(arg, o->plmn);
	case O_APN:
		return parse_name(arg, 100, &o->apn);
	case O_HOST:
		return parse_name(arg, 200, &o->origin_host);
	case O_REALM:
		return parse_name(arg, 200, &o->origin_realm);
	case O_DEST_REALM:
		o->realm_given = true;
		return parse_name(arg, 200, &o->dest_realm);
	case O_DEST_HOST:
		return parse_name(arg, 200, &o->dest_host);
	case O_ANID:
		return parse_name(arg, 253, &o->anid);
	case O_DOMAIN:
	case O_SERVER_NAME:
	case O_HA1:
		return take_cx_option(id, arg, o);
	case O_TLS_CA:
		o->tls_ca = arg;
		return true;
	case O_TLS_CERT:
		o->tls_cert = arg;
		return true;
	case O_TLS_KEY:
		o->tls_key = arg;
		return true;
	case O_CONNECTIONS:
		return parse_u32(arg, 1, HL_MAX_CONNECTIONS, &o->connections);
	default:
		return take_subscriber_option(id, arg, o);
	}
}

static bool take_option(int id, const char *arg, struct hl_options *o)
{
	switch (id) {
	case O_WINDOW:
		return parse_u32(arg, 1, HL_MAX_SLOTS, &o->window);
	case O_RATE:
		return parse_positive(arg, 1e7, &o->rate);
	case O_DURATION:
		return parse_positive(arg, 1e7, &o->duration);
	case O_REQUESTS:
		return parse_u64(arg, 1, UINT64_MAX / 20, &o->requests);
	case O_TIMEOUT:
		return parse_positive(arg, 3600, &o->timeout);
	case O_EXPECT:
		return parse_u32(arg, 1000, 5999, &o->expect);
	case O_LOG:
		o->log_path = arg;
		return true;
	case O_PCAP:
		o->pcap_path = arg;
		return true;
	case O_S6D:
		return o->s6d = true;
	case O_FORGE:
		return o->forge = true;
	case O_ANSWER_CLR:
		return o->answer_requests = true;
	case O_RECONNECT:
		return o->reconnect = true;
	case O_RETRANSMIT:
		return o->retransmit = true;
	case O_SHOW:
		return o->show = true;
	case O_JSON:
		return o->json = true;
	default:
		return take_peer_option(id, arg, o);
	}
}

// TS 23.003 13.2: the realm with ims in place of epc. A CSCF sends its requests there.
static void set_domain(struct hl_options *o)
{
	bool epc = strncmp(o->dest_realm, "epc.", 4) == 0;

	if (!o->domain[0])
		snprintf(o->domain, sizeof o->domain, "%s%s", epc ? "ims." : "", o->dest_realm + (epc ? 4 : 0));
	if ((hl_interface(o->kase) == HL_CX || hl_interface(o->kase) == HL_SH) && !o->realm_given)
		o->dest_realm = o->domain;
}

// What the options say together; NULL, or what is wrong with them.
static const char *check_together(struct hl_options *o, bool verify_given)
{
	bool keys = o->have_k || o->keys_file;
	uint64_t limit = 1;

	if (!o->host[0])
		return "--connect HOST:PORT is missing";
	if (!o->imsi_digits && !o->keys_file)
		return "--imsi FIRST (or --keys FILE) is missing";
	if (o->window && o->rate > 0)
		return "--window and --rate exclude each other";
	if (o->duration > 0 && o->requests)
		return "--duration and --requests exclude each other";
	if (o->have_opc && o->have_op)
		return "--opc and --op exclude each other";
	if (o->have_k != (o->have_opc || o->have_op))
		return "--k and --opc (or --op) belong together";
	if (o->have_k && o->keys_file)
		return "--k and --keys exclude each other";
	if (!keys && (o->kase == HL_RESYNC || (verify_given && o->verify != HL_VERIFY_NONE)))
		return "keys are needed: --k and --opc, or --keys FILE";
	if (!o->tls_cert != !o->tls_key || (o->tls_cert && !o->tls_ca))
		return "--tls-cert and --tls-key belong together, and to --tls-ca";
	if (o->sctp && o->tls_ca)
		return "--sctp and --tls-ca exclude each other";
	if (o->retransmit && !o->reconnect)
		return "--retransmit needs --reconnect";
	for (unsigned i = 0; i < o->imsi_digits; i++)
		limit *= 10;
	if (o->imsi_digits && o->imsi_first + (o->subscribers ? o->subscribers : 1) > limit)
		return "--imsi and --subscribers go beyond the last IMSI";
	if (!keys && !o->digest)
		o->verify = HL_VERIFY_NONE;
	if (o->digest && hl_interface(o->kase) != HL_CX)
		return "--ha1 is for register and mar";
	if (o->anid && o->kase != HL_WLAN_MAR)
		return "--anid is for wlan-mar";
	set_domain(o);
	return NULL;
}

static void set_defaults(struct hl_options *o)
{
	*o = (struct hl_options){
	    .verify = HL_VERIFY_SAMPLE,
	    .timeout = 10,
	    .vectors = 1,
	    .plmn = {0x00, 0xf1, 0x10},
	    .apn = "internet",
	    .jump = 1000,
	    .origin_host = "mme01.epc.mnc001.mcc001.3gppnetwork.org",
	    .origin_realm = "epc.mnc001.mcc001.3gppnetwork.org",
	    .dest_realm = "epc.mnc001.mcc001.3gppnetwork.org",
	    .connections = 1,
	    .expect = 2001,
	    .server_name = "sip:hss-load.invalid",
	};
}

__attribute__((format(printf, 2, 3))) static enum hl_parsed refuse(FILE *err, const char *fmt, ...)
{
	va_list ap;
	fputs("hss-load: ", err);
	va_start(ap, fmt);
	vfprintf(err, fmt, ap);
	va_end(ap);
	// one line of usage: all of it would bury what was wrong
	fprintf(err, "\n%.*s (hss-load --help tells them)\n", (int)strcspn(usage_text, "\n"), usage_text);
	return HL_PARSED_USAGE;
}

// A key that is wrong in one digit is still a secret.
static enum hl_parsed refuse_value(FILE *err, const char *option, const char *value)
{
	if (strcmp(option, "k") == 0 || strcmp(option, "ha1") == 0 || strcmp(option, "op") == 0 || strcmp(option, "opc") == 0)
		return refuse(err, "--%s: expected 32 hex digits", option);
	return refuse(err, "--%s: bad value '%s'", option, value);
}

enum hl_parsed hl_options_parse(int argc, char **argv, struct hl_options *o, FILE *out, FILE *err)
{
	static const char *const cases[] = {"air", "ulr",      "attach", "pur", "nor", "resync",
					    "mixed", "ecr", "register", "uar",    "mar", "sar", "lir",    "wlan-mar", "wlan-sar",
					    "udr", "sh-pur", NULL};
	bool verify_given = false;
	int id, word, index = 0;

	set_defaults(o);
	optind = 0; // the parser may run several times in one process (unit tests)
	opterr = 0;
	while ((id = getopt_long(argc, argv, "h", long_options, &index)) != -1) {
		if (id == O_HELP || id == 'h') {
			fputs(usage_text, out);
			return HL_PARSED_HELP;
		}
		if (id == O_VERSION) {
			fprintf(out, "hss-load %s\n", HSS_VERSION);
			return HL_PARSED_HELP;
		}
		if (id == '?' || id == ':')
			return refuse(err, "unknown option or missing value: %s", argv[optind - 1]);
		if (!take_option(id, optarg, o))
			return refuse_value(err, long_options[index].name, optarg ? optarg : "");
		verify_given |= id == O_VERIFY;
	}
	if (optind + 1 != argc)
		return refuse(err, optind < argc ? "too many arguments: %s" : "which CASE?%s",
			      optind < argc ? argv[optind + 1] : "");
	if (!parse_word(argv[optind], cases, &word))
		return refuse(err, "unknown case '%s'", argv[optind]);
	o->kase = (enum hl_case)word;
	o->case_name = cases[word];
	const char *wrong = check_together(o, verify_given);
	if (wrong)
		return refuse(err, "%s", wrong);
	if (!o->window && o->rate <= 0)
		o->window = o->show ? 1 : 64;
	return HL_PARSED;
}
