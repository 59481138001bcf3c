// A subscriber's document (the Open5GS schema of both generations, any JSON flavour) becomes a validated
// record and a profile of ready AVPs. Nothing that a document can hold makes this fail in another way than
// with a message that names the field, what was expected and what was there. Unknown fields are not looked
// at; the document itself is kept.
#pragma once
#include <jansson.h>
#include "loader/document/reader.h"
#include "loader/store/entry.h"
#include "lib/base/err.h"

// The document's content; slices point into the document.
struct subscription {
	imsi_t imsi;
	msisdn_t msisdn[2];
	uint8_t k[16], opc[16];
	uint16_t amf;
	uint8_t alg;
	bool no_key; // it has none: a user without SIM
	bool has_sqn;
	uint64_t sqn; // 48 bits as its writer left it; record_seq makes the SEQ of it
	uint64_t imeisv;
	unsigned node; // 1 + number of the node of ours that wrote last to the upstream; 0: unknown
	_Alignas(16) uint8_t of_apps[SUBSCRIPTION_OF_APPS_MAX]; // each application's own (reader.h); no secrets
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
	const struct doc_reader *reader[DOC_OWNERS_MAX + 1]; // ended by NULL
	unsigned reader_cnt;
	uint16_t place[DOC_OWNERS_MAX]; // of each in subscription.of_apps
};
// `readers`: of the applications, ended by NULL.
int record_ctx_init(struct record_ctx *c, const struct doc_reader *const readers[]) MUST_USE;
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
};
// Slices in `s` borrow from what is read.
void record_begin(struct record_reader *r, struct record_ctx *c, struct subscription *s, struct record_error *e);
// As record_parse. Wipes what the reader holds.
bool record_end(struct record_reader *r) MUST_USE;
// What a parsed document says of an application's state (reader.h), that of c->reader[i]: into `out`, of DOC_SAID_MAX.
struct slice record_said(const struct record_ctx *c, const struct subscription *s, unsigned i, uint8_t *out);
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
// As subscription.imeisv; 0: not 14 to 16 digits.
uint64_t record_imeisv(struct slice digits);

#define RECORD_PROFILE_MAX (60u << 10)
