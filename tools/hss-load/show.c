// Answers for a human (--show): what a vector proves and what the subscription allows, in words.
#include <ctype.h>
#include "tools/hss-load/run.h"

enum {
	AVP_SERVICE_SELECTION = 493,
	AVP_BANDWIDTH_DL = 515,
	AVP_BANDWIDTH_UL = 516,
	AVP_EXT_BANDWIDTH_DL = 554,
	AVP_EXT_BANDWIDTH_UL = 555,
	AVP_MSISDN = 701,
	AVP_QCI = 1028,
	AVP_ARP = 1034,
	AVP_PRIORITY_LEVEL = 1046,
	AVP_PREEMPTION_CAPABILITY = 1047,
	AVP_PREEMPTION_VULNERABILITY = 1048,
	AVP_NETWORK_ACCESS_MODE = 1417,
	AVP_CONTEXT_IDENTIFIER = 1423,
	AVP_SUBSCRIBER_STATUS = 1424,
	AVP_APN_PROFILE = 1429,
	AVP_APN_CONFIGURATION = 1430,
	AVP_EPS_QOS = 1431,
	AVP_AMBR = 1435,
	AVP_PDN_TYPE = 1456
};
#define V HL_VENDOR_3GPP

static const char *result_name(uint32_t code)
{
	switch (code) {
	case 2001:
		return "success";
	case 3002:
		return "unable to deliver";
	case 3004:
		return "too busy";
	case 4181:
		return "authentication data unavailable";
	case 5001:
		return "user unknown";
	case 5003:
		return "authorization rejected";
	case 5004:
		return "roaming not allowed";
	case 5012:
		return "unable to comply";
	case 5420:
		return "unknown EPS subscription";
	case 5421:
		return "RAT not allowed";
	default:
		return "not success";
	}
}

static void print_vectors(const struct hl_run *r, const struct hl_slot *slot, struct slice auth_info,
			  FILE *out)
{
	struct sim_vector vectors[32];
	const struct sim_keys *keys = hl_subscribers_keys(r->subscribers, slot->subscriber);
	bool keys_are_ck = r->o->s6d || hl_interface(r->o->kase) != HL_S6A;
	int count = hl_run_vectors(r, auth_info, vectors, 32);
	bool check = r->o->verify != HL_VERIFY_NONE && keys;

	if (count < 0)
		fputs("    malformed vector\n", out);
	for (int i = 0; i < count; i++) {
		uint64_t sqn;
		const char *wrong =
		    check ? sim_check(r->sim, keys, r->o->plmn, &vectors[i], &sqn) : "no keys given";
		if (wrong)
			fprintf(out, "    vector %d: NOT verified: %s\n", i + 1, wrong);
		else
			fprintf(out, "    vector %d: verified (MAC, XRES, %s), SQN %llu = SEQ %llu, IND %u\n",
				i + 1, r->o->anid ? "CK', IK'" : keys_are_ck ? "CK, IK" : "KASME", (unsigned long long)sqn,
				(unsigned long long)(sqn >> 5), (unsigned)(sqn & 31));
	}
}

static void print_bandwidth(struct slice ambr, uint32_t code, uint32_t extended, const char *direction,
			    FILE *out)
{
	uint64_t bits = hl_avp_find_u32(ambr, code, V, 0), kilobits = hl_avp_find_u32(ambr, extended, V, 0);

	if (kilobits)
		bits = kilobits * 1000;
	if (bits >= 1000000 && bits % 1000000 == 0)
		fprintf(out, " %llu Mbit/s %s", (unsigned long long)(bits / 1000000), direction);
	else
		fprintf(out, " %llu bit/s %s", (unsigned long long)bits, direction);
}

static void print_ambr(struct slice group, FILE *out)
{
	struct slice ambr;

	if (!hl_avp_find(group, AVP_AMBR, V, &ambr)) {
		fputs(" no AMBR", out);
		return;
	}
	fputs(" AMBR", out);
	print_bandwidth(ambr, AVP_BANDWIDTH_DL, AVP_EXT_BANDWIDTH_DL, "down,", out);
	print_bandwidth(ambr, AVP_BANDWIDTH_UL, AVP_EXT_BANDWIDTH_UL, "up", out);
}

// The peer's text, with everything that is not printable replaced.
static void print_text(struct slice text, FILE *out)
{
	for (uint32_t i = 0; i < text.len; i++)
		fputc(isprint(text.p[i]) ? text.p[i] : '?', out);
}

static void print_apn(struct slice apn, uint32_t default_context, FILE *out)
{
	static const char *const types[] = {"IPv4", "IPv6", "IPv4v6", "IPv4 or IPv6"};
	struct slice name = {0}, qos = {0}, arp = {0};
	uint32_t context = hl_avp_find_u32(apn, AVP_CONTEXT_IDENTIFIER, V, 0);
	uint32_t type = hl_avp_find_u32(apn, AVP_PDN_TYPE, V, 99);

	fputs("    APN ", out);
	if (hl_avp_find(apn, AVP_SERVICE_SELECTION, 0, &name))
		print_text(name, out);
	fprintf(out, " (context %u%s): %s", context, context == default_context ? ", default" : "",
		type < 4 ? types[type] : "no known PDN type");
	if (hl_avp_find(apn, AVP_EPS_QOS, V, &qos)) {
		fprintf(out, ", QCI %u", hl_avp_find_u32(qos, AVP_QCI, V, 0));
		if (hl_avp_find(qos, AVP_ARP, V, &arp))
			fprintf(out, ", ARP %u (may pre-empt: %s, may be pre-empted: %s)",
				hl_avp_find_u32(arp, AVP_PRIORITY_LEVEL, V, 0),
				hl_avp_find_u32(arp, AVP_PREEMPTION_CAPABILITY, V, 1) ? "no" : "yes",
				hl_avp_find_u32(arp, AVP_PREEMPTION_VULNERABILITY, V, 0) ? "no" : "yes");
	}
	fputc(',', out);
	print_ambr(apn, out);
	fputc('\n', out);
}

static void print_msisdn(struct slice tbcd, FILE *out)
{
	fputs("    MSISDN ", out);
	for (uint32_t i = 0; i < tbcd.len * 2; i++) {
		unsigned digit = i & 1 ? tbcd.p[i / 2] >> 4 : tbcd.p[i / 2] & 15;
		if (digit < 10)
			fputc((int)('0' + digit), out);
	}
	fputc('\n', out);
}

static void print_subscription(struct slice data, FILE *out)
{
	static const char *const modes[] = {"packet and circuit", "reserved", "only packet"};
	struct slice profile, tbcd;
	uint32_t mode = hl_avp_find_u32(data, AVP_NETWORK_ACCESS_MODE, V, 99);

	if (hl_avp_find(data, AVP_MSISDN, V, &tbcd))
		print_msisdn(tbcd, out);
	fprintf(out, "    service %s, access mode %s\n",
		hl_avp_find_u32(data, AVP_SUBSCRIBER_STATUS, V, 0) ? "barred by the operator" : "granted",
		mode < 3 ? modes[mode] : "not given");
	fputs("    subscriber", out);
	print_ambr(data, out);
	fputc('\n', out);
	if (!hl_avp_find(data, AVP_APN_PROFILE, V, &profile))
		return;
	struct rd rd = rd_slice(profile);
	struct hl_avp avp;
	uint32_t default_context = hl_avp_find_u32(profile, AVP_CONTEXT_IDENTIFIER, V, 0);
	while (hl_avp_next(&rd, &avp))
		if (avp.code == AVP_APN_CONFIGURATION && avp.vendor == V)
			print_apn(avp.data, default_context, out);
}

void hl_show_answer(const struct hl_run *r, const struct hl_slot *slot, const struct hl_answer *a, FILE *out)
{
	fprintf(out, "%0*llu %s: %u %s (%.1f ms)\n", (int)r->subscribers->digits,
		(unsigned long long)hl_subscribers_imsi(r->subscribers, slot->subscriber), hl_kind_rows[slot->kind].text,
		a->result, result_name(a->result), (double)(r->now_ns - slot->start_ns) / 1e6);
	if (a->auth_info.len && !r->o->digest)
		print_vectors(r, slot, a->auth_info, out);
	if (a->subscription.len)
		print_subscription(a->subscription, out);
}
