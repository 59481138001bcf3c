// A subscriber's document (the Open5GS schema of both generations, any JSON flavour) becomes a validated
// record and a profile of ready AVPs. Nothing that a document can hold makes this fail in another way than
// with a message that names the field, what was expected and what was there. Unknown fields are not looked
// at; the document itself is kept.
//
// Values that a document leaves out get the defaults of the schema: ARD 32, status 0, access mode 0, timer 12
// minutes, QCI 9, priority 8, pre-emption off, AMBR 1 Gbit/s both ways, PDN type IPv4v6.
#pragma once
#include <jansson.h>
#include "loader/document/walk.h"
#include "loader/store/entry.h"
#include "lib/base/err.h"

#define RECORD_APN_MAX                                                                                       \
	50 // what an S6a profile may hold (TS 29.272 7.3.34 says "*"; 50 is that of PDP contexts)

#define RECORD_APN_NAME_MAX 100 // TS 23.003 9.1: octets on the wire

struct apn {
	struct slice name;
	uint8_t pdn_type; // PDN-Type of TS 29.272: 0 IPv4, 1 IPv6, 2 IPv4v6
	uint8_t qci;
	uint8_t priority;
	uint8_t capability;    // 0 may pre-empt
	uint8_t vulnerability; // 0 may be pre-empted
	bool vplmn_allowed;
	bool ue4, ue6, gw4, gw6;
	uint8_t ue_v4[4], ue_v6[16], gw_v4[4], gw_v6[16];
	uint64_t ul, dl; // bit/s
	struct slice charging;
};

// The document's content; slices point into the JSON.
struct subscription {
	imsi_t imsi;
	msisdn_t msisdn[2];
	uint8_t k[16], opc[16];
	uint16_t amf;
	uint8_t alg;
	bool no_key; // it has none: a user without SIM
	bool has_sqn;
	uint64_t sqn; // 48 bits as its writer left it; record_seq makes the SEQ of it
	uint32_t ard, odb, status, nam; // odb: bits of Operator-Determined-Barring
	uint64_t rau_s;
	uint64_t ul, dl;
	struct slice charging;
	struct apn apn[RECORD_APN_MAX];
	unsigned apn_cnt;
	// state, as another HSS left it: for subscribers that come with their location
	struct slice mme_host, mme_realm;
	uint64_t mme_time_us, imeisv;
	bool purged;
};

struct opc_maker;
struct record_ctx {
	struct sqn_hash hash;
	struct opc_maker *opc;
	uint8_t op[16]; // per operator
	bool has_op;
	bool allow_xor;
	struct cache_profile *profile; // of the last document
	uint8_t digest[16];
};
int record_ctx_init(struct record_ctx *c) MUST_USE;
void record_ctx_fini(struct record_ctx *c); // wipes OP

// Reads a document. false: it can't be served, e->text says why. true: e->text is empty, or names what was left out (a
// number that is none, an APN of a kind that an EPC doesn't have). `s` holds keys: wipe it.
bool record_parse(struct record_ctx *c, const json_t *document, struct subscription *s,
		  struct record_error *e) MUST_USE;
// The same piece by piece, for documents of any form: doc_walk_member or doc_walk_all with r->walk between the two.
struct record_reader {
	struct record_ctx *c;
	struct subscription *s;
	struct doc_walk walk;
	struct doc_sink sink[DOC_OWNERS_MAX]; // by enum doc_owner
	bool has_imsi, has_security, has_k, has_opc, has_op;
	uint8_t op[16];
	bool has_slices;
	unsigned slice; // whose APNs count
	bool dropped, foreign_type; // an APN was left out; because of its type
};
// Slices in `s` borrow from what is read.
void record_begin(struct record_reader *r, struct record_ctx *c, struct subscription *s, struct record_error *e);
// As record_parse. Wipes what the reader holds.
bool record_end(struct record_reader *r) MUST_USE;
// What is wrong with an APN's network identifier (TS 23.003 9.1.1); NULL: nothing.
const char *record_apn_problem(struct slice name);
// What of `image` is the subscriber's own: all but the flags, which the profile decides.
bool record_image(struct record_ctx *c, const struct subscription *s, struct record_image *image,
		  struct record_error *e) MUST_USE;
// Encodes c->profile (c->digest names it) and fills in `image`. false: the profile would be too large.
bool record_build(struct record_ctx *c, const struct subscription *s, struct record_image *image,
		  struct record_error *e) MUST_USE;

// The SEQ with which a number of another system goes on: the first one of which nothing may have been used. Below
// `sqn` everything may, with any IND: others count in steps of 1, 32 or 100.
static inline uint64_t record_seq(uint64_t sqn)
{
	return (sqn + 31) >> 5;
}
// The bits of Operator-Determined-Barring (TS 29.272 7.3.30) that a document's number stands for. 0 to 8, which is what
// Open5GS's WebUI offers by name, is the position of one bit: 0 bars all packet services. A larger number can only
// come from a writer who meant the AVP itself: it is taken as the bits.
static inline uint32_t record_odb_bits(uint32_t number)
{
	return number <= 8 ? 1u << number : number;
}

// As subscription.imeisv; 0: not 14 to 16 digits.
uint64_t record_imeisv(struct slice digits);

// record_avps.c: the profile's bytes. false when they do not fit into `cap`.
bool record_encode_profile(const struct subscription *s, struct cache_profile *out, size_t cap) MUST_USE;
#define RECORD_PROFILE_MAX (60u << 10)
