// Diameter messages as hss-load needs them: a writer for AVPs, request templates of which only IMSI and
// identifiers change, and a walk over an answer. Written apart from lib/diameter on purpose (a second opinion
// about the format).
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/wire.h"
#include "tools/hss-load/options.h"

#define HL_HEADER      20
#define HL_VENDOR_3GPP 10415u
#define HL_APP_S6A     16777251u
#define HL_APP_CX      16777216u
#define HL_APP_SWX     16777265u
#define HL_APP_SH      16777217u
#define HL_APP_S13     16777252u

enum hl_command {
	HL_CMD_CE = 257,
	HL_CMD_UA = 300,
	HL_CMD_SA = 301,
	HL_CMD_LI = 302,
	HL_CMD_MA = 303,
	HL_CMD_UD = 306,
	HL_CMD_SH_PU = 307,
	HL_CMD_DW = 280,
	HL_CMD_DP = 282,
	HL_CMD_UL = 316,
	HL_CMD_CL = 317,
	HL_CMD_AI = 318,
	HL_CMD_ID = 319,
	HL_CMD_DS = 320,
	HL_CMD_PU = 321,
	HL_CMD_RS = 322,
	HL_CMD_NO = 323,
	HL_CMD_EC = 324
};
enum hl_flags { HL_FLAG_R = 0x80, HL_FLAG_P = 0x40, HL_FLAG_E = 0x20, HL_FLAG_T = 0x10 };

struct hl_avp {
	uint32_t code;
	uint32_t vendor;
	struct slice data;
};

// Takes the next AVP; false at the end, and with r->err set when the bytes are no AVP.
bool hl_avp_next(struct rd *r, struct hl_avp *out);
// First AVP of that code and vendor in a sequence of AVPs; false when there is none.
bool hl_avp_find(struct slice avps, uint32_t code, uint32_t vendor, struct slice *data);
// First Unsigned32 of that code, or `otherwise`.
uint32_t hl_avp_find_u32(struct slice avps, uint32_t code, uint32_t vendor, uint32_t otherwise);

void hl_put(struct wr *w, uint32_t code, uint32_t vendor, bool mandatory, const void *data, size_t len);
void hl_put_text(struct wr *w, uint32_t code, uint32_t vendor, bool mandatory, const char *text);
void hl_put_u32(struct wr *w, uint32_t code, uint32_t vendor, bool mandatory, uint32_t v);
// A grouped AVP: what is written between open and close is its content.
uint8_t *hl_open(struct wr *w, uint32_t code, uint32_t vendor, bool mandatory);
void hl_close(struct wr *w, uint8_t *group);
void hl_header(struct wr *w, uint8_t flags, uint32_t command, uint32_t app, uint32_t hop_by_hop,
	       uint32_t end_to_end);
// Sets the message length of the header at `start`.
void hl_finish(struct wr *w, uint8_t *start);

enum hl_kind {
	HL_KIND_AIR,
	HL_KIND_ULR,
	HL_KIND_PUR,
	HL_KIND_NOR,
	HL_KIND_RESYNC,
	HL_KIND_ECR,
	HL_KIND_UAR,
	HL_KIND_MAR,
	HL_KIND_UAR_AGAIN, // after the phone has answered the challenge
	HL_KIND_SAR,
	HL_KIND_SAR_AGAIN, // re-registration
	HL_KIND_LIR,
	HL_KIND_WLAN_MAR,
	HL_KIND_WLAN_SAR,
	HL_KIND_UDR,
	HL_KIND_SH_PUR,
	HL_KINDS
};

// What the kinds are: command, application, the word in the log (NULL: not logged), what a human reads.
struct hl_kind_row {
	uint32_t command, application;
	const char *log, *text;
};
extern const struct hl_kind_row hl_kind_rows[HL_KINDS];

struct hl_template {
	uint8_t bytes[2600];
	uint32_t len;
	uint32_t session_at; // "HHHHHHHHHH;LLLLLLLLLL", decimal
	uint32_t imsi_at[2];
	unsigned imsi_cnt;
	uint32_t imsi_digits;
	uint32_t resync_at; // 30 octets, or 0
	uint32_t imei_at;   // 14 digits, or 0
};

// The request of that kind, sent by `origin_host`; false when names are too long for it.
MUST_USE bool hl_template_build(struct hl_template *t, enum hl_kind kind, const struct hl_options *o,
				unsigned imsi_digits, const char *origin_host);
// cx.c: an AVP of "PREFIX" IMSI "@" --domain.
void hl_put_identity(struct wr *w, struct hl_template *t, uint32_t code, uint32_t vendor, const char *prefix,
		     const struct hl_options *o);
// sh.c: the AVPs of an application server's request.
void hl_sh_put(struct wr *w, struct hl_template *t, enum hl_kind kind, const struct hl_options *o);
// cx.c: the AVPs of a CSCF's request.
void hl_cx_put(struct wr *w, struct hl_template *t, enum hl_kind kind, const struct hl_options *o);
// The vectors of an MAA, from all of its AVPs; as hl_answer_vectors.
int hl_cx_vectors(struct slice avps, struct sim_vector *out, int max);
// Does an MAA hold this HA1?
bool hl_cx_digest_is(struct slice avps, const char *ha1);
// swx.c: the AVPs of an AAA server's request. Its vectors are those of a CSCF.
void hl_swx_put(struct wr *w, struct hl_template *t, enum hl_kind kind, const struct hl_options *o);
// Copies the template to `out` (t->len bytes) and sets what differs between two requests.
void hl_template_stamp(const struct hl_template *t, uint8_t *out, uint64_t imsi, uint64_t session,
		       uint32_t session_high, uint32_t hop_by_hop, uint32_t end_to_end, bool again);

// Capabilities exchange, watchdog and disconnect of one connection.
void hl_write_cer(struct wr *w, const struct hl_options *o, const char *origin_host, const uint8_t *address,
		  size_t address_len, uint32_t id);
void hl_write_dpr(struct wr *w, const struct hl_options *o, const char *origin_host, uint32_t id);
// The answer 2001 to any request (DWR, DPR, CLR, IDR, DSR, RSR); `request` is the whole message.
void hl_write_answer(struct wr *w, const struct hl_options *o, const char *origin_host, struct slice request);

struct hl_answer {
	uint32_t result; // Result-Code or Experimental-Result-Code; 0: none
	struct slice auth_info; // of an MAA: all AVPs
	struct slice subscription;
};
// Walks the AVPs of an answer (whole message); false when they are malformed.
bool hl_answer_parse(struct slice message, struct hl_answer *out);

// The vectors of an Authentication-Info, in order of Item-Number as sent; returns how many, at most `max`, or
// -1 when one of them is malformed.
int hl_answer_vectors(struct slice auth_info, bool utran, struct sim_vector *out, int max);
