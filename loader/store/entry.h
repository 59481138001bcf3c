// What the local database holds, as bytes: journal entries, state rows, subscriber records. They were written
// by this build or an older one, and are read through the bounded reader. Numbers are big-endian; each body
// starts with a version.
#pragma once
#include "cache/layout.h"
#include "loader/store/sqnrow.h"
#include "lib/base/wire.h"

enum entry_kind {
	ENTRY_STATE_1 = 1,    // state row, as the first version wrote it
	ENTRY_DOC_PUT = 2,    // a subscriber's document and record, with its first SQN row
	ENTRY_DOC_DELETE = 3, // gone; its SQN rows stay
	ENTRY_SQN_ROW = 4,
	ENTRY_IND_HOST = 5, // a place in the IND table
	ENTRY_HSS_REQUEST = 6, // an HSS-initiated request that is to be sent
	ENTRY_HSS_REQUEST_DONE = 7,
	ENTRY_RUN = 8, // the run number after `sqn jump`
	ENTRY_OUTBOX_DONE = 9, // the upstream has all of a subscriber's state up to this entry
	ENTRY_FEED = 10,       // position of the upstream's feed that is covered by all entries before
	ENTRY_OUTBOX = 11,     // the upstream may lack something of a subscriber's
	ENTRY_STATE = 12,      // an application's state row after a change
	ENTRY_ITEM = 13,       // what an application keeps that is no subscriber's
};

// One journal entry; bytes borrowed.
struct entry {
	uint64_t seq; // given by local_commit
	uint64_t imsi;
	uint32_t kind;
	struct slice body;
};

#define STATE_BODY_MAX	 (16u << 10) // of one application's state
#define STATE_KEPT_MAX	 (16u << 10) // of what is kept beside it, each
#define RECORD_BODY_LEN     70
#define RECORD_BODY_VERSION 3 // profiles of version 2 may be wrong: they took the position of an ODB bit for a bit mask

// What one application keeps for one subscriber: its state; or its data, which it made of the subscriber's document,
// and which have neither version nor keys. Slices are borrowed.
#define STATE_ROW_DATA CACHE_APP_MAX // added to the application's number: the row of its data
struct state_row {
	uint8_t app;	 // number of apps/apps.def, or that and STATE_ROW_DATA
	uint16_t version;
	uint64_t key[2]; // of the last two changes, newest first (law 9)
	struct slice body; // the application's
};
#define STATE_ROW_HEAD 20

void state_row_put(struct wr *w, const struct state_row *s);
bool state_row_get(struct slice row, struct state_row *out);
// Opaque octets that an application keeps beside its state, and that nobody reads while serving: kept[0] is replaced
// as a whole, kept[1] may be merged. What is not set stays as it is, so that a change need not read it first.
struct state_kept {
	bool has[2];
	bool outbox; // the change is ours: the upstream must be told
	struct slice blob[2];
};
// The journal's form: a state row and what changes beside it.
void entry_put_state(struct wr *w, const struct state_row *s, const struct state_kept *k);
// Of ENTRY_STATE and ENTRY_STATE_1: `row` is what goes into the database's row.
bool entry_get_state(struct slice body, struct slice *row, struct state_kept *k);

// The subscriber's own part of a record: all but the profile.
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
// false: another version, or broken; the caller makes it anew from the document.
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

// What an application keeps that is no subscriber's: octets under a key, both the application's. Slices are borrowed.
#define ITEM_KEY_MAX  64
#define ITEM_BODY_MAX 1024
struct item_image {
	uint8_t app;	   // number of apps/apps.def
	struct slice key;  // never empty
	struct slice body; // empty: nothing any more
};
void entry_put_item(struct wr *w, const struct item_image *i);
bool entry_get_item(struct slice body, struct item_image *out);

struct hss_request_image {
	uint64_t id;
	uint64_t created_us; // wall clock
	uint8_t app;	     // number of apps/apps.def
	uint8_t purpose;     // the application's
	struct slice host, realm, data;
};
void entry_put_hss_request(struct wr *w, const struct hss_request_image *o);
// Also as the first version wrote it, which had one application and one purpose: its data are two numbers
// of four octets each.
bool entry_get_hss_request(struct slice body, struct hss_request_image *out);

void entry_put_u64(struct wr *w, uint64_t v); // ENTRY_HSS_REQUEST_DONE (id), ENTRY_RUN (run), ENTRY_OUTBOX_DONE (seq)
bool entry_get_u64(struct slice body, uint64_t *out);
