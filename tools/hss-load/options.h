// The command line of hss-load, checked. The hl_ prefix marks what belongs to this program, since the unit
// tests link it together with every library of the HSS.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "lib/base/err.h"
#include "tools/hss-load/sim.h"

#define HL_MAX_CONNECTIONS 64
#define HL_MAX_SLOTS       (1u << 20)

enum hl_case { HL_AIR, HL_ULR, HL_ATTACH, HL_PUR, HL_NOR, HL_RESYNC, HL_MIXED, HL_ECR,
	       HL_REGISTER, HL_UAR, HL_MAR, HL_SAR, HL_LIR, HL_WLAN_MAR, HL_WLAN_SAR, HL_UDR, HL_SH_PUR };
// Whose cases they are: an MME's, a CSCF's, an AAA server's, an application server's.
enum hl_interface { HL_S6A, HL_CX, HL_SWX, HL_SH, HL_INTERFACES };
static inline enum hl_interface hl_interface(enum hl_case kase)
{
	return kase < HL_REGISTER ? HL_S6A : kase < HL_WLAN_MAR ? HL_CX : kase < HL_UDR ? HL_SWX : HL_SH;
}
enum hl_verify { HL_VERIFY_NONE, HL_VERIFY_SAMPLE, HL_VERIFY_ALL };

struct hl_options {
	enum hl_case kase;
	const char *case_name;
	char host[256];
	char port[8];
	bool sctp;

	uint64_t imsi_first;  // decimal value of --imsi
	unsigned imsi_digits; // 0: no --imsi, the subscribers are the lines of --keys
	uint64_t subscribers;
	bool sequential;

	uint32_t window;   // closed loop: requests outstanding; 0 with --rate
	double rate;       // open loop: procedures a second; 0 with --window
	double duration;   // seconds; 0: none
	uint64_t requests; // procedures; 0: none
	double timeout;    // seconds that an answer may take

	bool have_k, have_opc, have_op;
	struct sim_keys keys; // opc holds OP until hl_keys_load has derived OPc, when have_op
	const char *keys_file;
	enum hl_verify verify;
	uint32_t vectors;
	bool s6d;
	uint8_t plmn[3];
	const char *apn;
	uint32_t jump; // resync: how many SEQs the card is ahead
	bool forge;    // resync: send an AUTS that no card has made

	const char *origin_host;
	const char *origin_realm;
	const char *dest_host; // NULL: none
	const char *dest_realm;
	char domain[256];	 // of IMS identities
	const char *server_name; // of the S-CSCF
	bool realm_given;	 // --dest-realm
	bool digest;		 // SIP Digest in place of AKA
	const char *ha1;	 // 32 hex digits
	const char *anid;	 // wlan-mar: access network of EAP-AKA'; NULL: EAP-AKA
	const char *tls_ca, *tls_cert, *tls_key; // tls_ca NULL: no TLS
	unsigned connections;
	bool answer_requests;
	bool reconnect;
	bool retransmit;

	uint32_t expect;
	bool show;
	bool json;
	const char *log_path;
	const char *pcap_path;
};

// What hl_options_parse found: run, or stop with exit status 0 (help, version) or 2 (usage).
enum hl_parsed { HL_PARSED, HL_PARSED_HELP, HL_PARSED_USAGE };

// Reads argv (strings are borrowed). Prints help to `out` and what is wrong, with the usage, to `err`.
MUST_USE enum hl_parsed hl_options_parse(int argc, char **argv, struct hl_options *o, FILE *out, FILE *err);
