// The messages of the base protocol that a node speaks about itself (RFC 6733 5): CER/CEA, DWR/DWA, DPR/DPA,
// and the error answer to any request. Readers and writers stand side by side. Used by the frontend and by
// test clients. Readers take messages that grammar_check found well-formed; they still read every byte
// through the bounded reader. Writers append to `w`; when something does not fit, `w` has the sticky error
// and nothing may be sent.
#pragma once
#include "lib/diameter/grammar.h"

#define BASE_APPS_MAX  64
#define BASE_ADDRS_MAX 16

// An IP address as Host-IP-Address carries it: 4 or 16 octets.
struct base_addr {
	uint8_t len;
	uint8_t octets[16];
};

// What we say about ourselves. Slices and arrays are borrowed and must outlive the writer's call.
struct base_node {
	struct slice host;
	struct slice realm;
	struct slice product;
	uint32_t vendor_id;
	uint32_t firmware;        // 0 = none is sent
	uint32_t origin_state_id; // 0 = none is sent
	const struct base_addr *addrs;
	unsigned addr_cnt;
	const uint32_t *apps; // each sent in a Vendor-Specific-Application-Id of 3GPP; APP_RELAY alone
	unsigned app_cnt;
};

// What a peer says about itself, in a CER or a CEA. Slices point into the message.
struct base_cer {
	struct slice origin_host;
	struct slice origin_realm;
	struct slice product;
	struct slice error_message; // CEA
	uint32_t result;            // CEA: Result-Code
	uint32_t vendor_id;
	uint32_t firmware;
	uint32_t origin_state_id; // 0 = absent
	uint32_t inband_security; // bit n: Inband-Security-Id n (0 none, 1 TLS) was listed; 0 = none listed
	uint32_t apps[BASE_APPS_MAX]; // auth and acct, plain or in a vendor's group; no duplicates
	unsigned app_cnt;
	bool relay;                             // APP_RELAY was among them
	bool apps_cut;                          // it had more than BASE_APPS_MAX, the rest is forgotten
	struct base_addr addrs[BASE_ADDRS_MAX]; // IPv4 and IPv6; further and other ones are skipped
	unsigned addr_cnt;
};

// Reads a CER or a CEA of `len` octets.
void base_cer_read(const uint8_t *msg, uint32_t len, struct base_cer *out);
// Whether the two sides can talk: a common application, or one of them is a relay (RFC 6733 5.3; else CEA
// 5010).
bool base_cer_common(const struct base_cer *peer, const struct base_node *me);

void base_cer_write(struct wr *w, const struct base_node *me, uint32_t hop_by_hop, uint32_t end_to_end);
// The answer to the CER whose header is at `request`. `v` (or NULL) adds its Failed-AVP; `message` may be
// empty.
void base_cea_write(struct wr *w, const struct base_node *me, const uint8_t *request, uint32_t result,
		    const struct verdict *v, struct slice message);

// What DWR, DWA, DPR and DPA hold.
struct base_note {
	struct slice origin_host;
	struct slice origin_realm;
	uint32_t origin_state_id;  // 0 = absent
	uint32_t result;           // answers
	uint32_t disconnect_cause; // DPR: enum base_disconnect_cause or unknown
};

enum base_disconnect_cause { BASE_REBOOTING, BASE_BUSY, BASE_DO_NOT_WANT_TO_TALK_TO_YOU };

void base_note_read(const uint8_t *msg, uint32_t len, struct base_note *out);

void base_dwr_write(struct wr *w, const struct base_node *me, uint32_t hop_by_hop, uint32_t end_to_end);
void base_dwa_write(struct wr *w, const struct base_node *me, const uint8_t *request, uint32_t result);
void base_dpr_write(struct wr *w, const struct base_node *me, enum base_disconnect_cause cause,
		    uint32_t hop_by_hop, uint32_t end_to_end);
void base_dpa_write(struct wr *w, const struct base_node *me, const uint8_t *request, uint32_t result);

// The answer that refuses a request of `len` octets (at least a header), however broken it is: same command,
// application, identifiers and P bit, E as the verdict says; Session-Id and every Proxy-Info in order as far
// as they can be read, our own origin, the verdict's result and Failed-AVP. Without the E bit, an application
// of 3GPP gets its Vendor-Specific-Application-Id and Auth-Session-State. To a CER it is a whole CEA. Needs
// room for the request's Proxy-Info, at most `len`, plus about 1.5 kB. Never call it for an answer: an
// erroneous answer is dropped (RFC 6733 7).
void base_answer_error_write(struct wr *w, const struct base_node *me, const uint8_t *request, uint32_t len,
			     const struct verdict *v, struct slice message);
