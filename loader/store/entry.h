// What the local database holds, as bytes: journal entries, state rows, subscriber records. Written by this
// build or an older one, read back through the bounded reader. Numbers big-endian; each body starts with a
// version.
#pragma once
#include "cache/layout.h"
#include "loader/store/sqnrow.h"
#include "lib/base/wire.h"

enum entry_kind {
	ENTRY_STATE = 1,      // state row after a change
	ENTRY_DOC_PUT = 2,    // a subscriber's document and record, with its first SQN row
	ENTRY_DOC_DELETE = 3, // gone; its SQN rows stay
	ENTRY_SQN_ROW = 4,
	ENTRY_IND_HOST = 5, // a place in the IND table
	ENTRY_OWN_PUT = 6,  // a request of our own to deliver
	ENTRY_OWN_DONE = 7,
	ENTRY_RUN = 8, // the run number after `sqn jump`
	ENTRY_OUTBOX_DONE = 9, // the upstream has all of a subscriber's state up to this entry
	ENTRY_FEED = 10,       // position of the upstream's feed that is covered by all entries before
	ENTRY_OUTBOX = 11,     // the upstream may lack something of a subscriber's
};

// One journal entry; bytes borrowed.
struct entry {
	uint64_t seq; // given by local_commit
	uint64_t imsi;
	uint32_t kind;
	struct slice body;
};

#define STATE_BODY_MAX      (64 + 4 * 256)
#define STATE_EXT_MAX       (16u << 10)
#define RECORD_BODY_LEN     70
#define RECORD_BODY_VERSION 3 // 2 came with a profile that took the bit's position of ODB for a bit mask

// A state row (B0 of the procedures, as far as it is kept). Slices are borrowed.
struct state_image {
	struct slice mme_host, mme_realm, sgsn_host, sgsn_realm; // empty: none
	uint64_t mme_time_us, sgsn_time_us;
	uint64_t imeisv;
	uint64_t key[2]; // duplicate keys of the last two changes, newest first (law 9)
	uint8_t mme_plmn[3], sgsn_plmn[3];
	uint8_t flags; // the state bits of enum cache_record_flag
};
#define STATE_FLAGS (RECORD_MME_PURGED | RECORD_SGSN_PURGED | RECORD_MME_COMBINED)

void state_image_put(struct wr *w, const struct state_image *s);
bool state_image_get(struct slice body, struct state_image *out);
// Opaque AVPs kept beside the state; what is not set stays as it is, so that a ULR need not read them first.
struct state_extra {
	bool has_node, has_ext;
	bool outbox;	   // ours: the upstream is to be told
	struct slice node; // of the serving node: features, capabilities; replaced by each ULR that has any
	struct slice ext;  // by APN: PDN-GW of NOR, Active-APN; location of PUR; chunks (blob16)
};
// The journal's form: a state row and what changes beside it.
void entry_put_state(struct wr *w, const struct state_image *s, const struct state_extra *x);
// `state_body` is what goes into the row.
bool entry_get_state(struct slice body, struct slice *state_body, struct state_extra *x);

// What decides about a subscriber, without the profile.
struct record_image {
	msisdn_t msisdn[2];
	uint8_t k[16], opc[16];
	uint8_t fp[SQN_FP_LEN];
	uint16_t amf;
	uint8_t alg;
	uint8_t flags; // the subscription bits of enum cache_record_flag
	uint8_t taken_ind; // with RECORD_IND_SPARE: the IND that the upstream's other writers use
	bool old_odb;	   // its profile is of the version before, which is wrong when the subscriber is barred
};
void record_image_put(struct wr *w, const struct record_image *r);
// false: another version or broken, to be made anew from the document.
bool record_image_get(struct slice body, struct record_image *out);

struct doc_put {
	uint8_t digest[16];   // of the profile
	struct slice profile; // empty: known by its digest
	bool has_sqn;
	bool has_upstream;     // the document is the upstream's
	uint64_t up_id;	       // there: hash of its _id
	uint64_t up_digest;    // of its content without state
	struct sqn_row sqn;    // fp is that of the record
	struct slice record;   // record_image
	struct slice document; // JSON text
};
size_t entry_doc_put_size(const struct doc_put *d);
void entry_put_doc(struct wr *w, const struct doc_put *d);
bool entry_get_doc(struct slice body, struct doc_put *out);

void entry_put_sqn(struct wr *w, const struct sqn_row *r);
bool entry_get_sqn(struct slice body, struct sqn_row *out);

struct ind_host {
	uint64_t hash;
	uint32_t place;
	struct slice host;
};
void entry_put_ind(struct wr *w, const struct ind_host *i);
bool entry_get_ind(struct slice body, struct ind_host *out);

struct own_image {
	uint64_t id;
	uint64_t created_us; // wall clock
	uint32_t type;       // Cancellation-Type
	uint32_t flags;      // CLR-Flags
	struct slice host, realm;
};
void entry_put_own(struct wr *w, const struct own_image *o);
bool entry_get_own(struct slice body, struct own_image *out);

void entry_put_u64(struct wr *w, uint64_t v); // ENTRY_OWN_DONE (id), ENTRY_RUN (run), ENTRY_OUTBOX_DONE (seq)
bool entry_get_u64(struct slice body, uint64_t *out);
