// The state of S6a/S6d for one subscriber: which MME and which SGSN serve it (TS 29.272, procedures B0). The
// local database has it as octets in a row, the cache in fields of the record. Pure functions, for workers
// and the loader.
#pragma once
#include "cache/lookup.h"
#include "lib/base/wire.h"

enum s6a_kind { S6A_MME = 0, S6A_SGSN = 1, S6A_KIND_CNT = 2 }; // index of cache_record.serving

struct s6a_serving {
	struct slice host, realm; // empty: none
	uint64_t time_us;	  // of the registration or its removal: later than any before
	uint8_t plmn[3];
	uint8_t flags; // enum cache_serving_flag
};

// Slices are borrowed.
struct s6a_state {
	struct s6a_serving serving[S6A_KIND_CNT];
	uint64_t imeisv;    // as in cache_record
	uint32_t data_mark; // what the nodes with SERVING_HAS_DATA were sent
};

#define S6A_STATE_MAX (64 + 4 * 256)

void s6a_state_put(struct wr *w, const struct s6a_state *s);
// Reads the octets, also those of the first version's rows. false: they are neither, and *out is empty.
bool s6a_state_get(struct slice body, struct s6a_state *out);
// Reads the state from the cache; the slices point into the cache.
void s6a_state_of(const struct cache *c, const struct cache_record *r, struct s6a_state *out);

// The purposes of S6a's HSS-initiated requests; kept in rows.
enum s6a_purpose {
	S6A_CANCEL_MME = 1,  // CLR to the node that was MME
	S6A_CANCEL_SGSN = 2, // CLR to the node that was SGSN
	S6A_INSERT_MME = 3,  // IDR: data that have changed
	S6A_INSERT_SGSN = 4,
	S6A_DELETE_MME = 5, // DSR: data that are gone
	S6A_DELETE_SGSN = 6,
	S6A_ASK_MME = 7, // IDR without data: an operator's question
	S6A_ASK_SGSN = 8,
	S6A_RESET = 9, // RSR
};
// What a cancellation is about, beside the node; the `data` of its row.
struct s6a_cancel {
	enum s6a_kind kind;
	uint32_t type;	// Cancellation-Type
	uint32_t flags; // CLR-Flags
	// Time of the registration that it ends; a newer one stands. 0: unknown (rows of the first version)
	uint64_t registered_us;
	struct slice host, realm;
};
// An operator's question to a node: IDR-Flags, and the call that waits for the answer.
struct s6a_question {
	uint32_t flags;
	uint64_t call;
};
#define S6A_QUESTION_LEN 12
struct slice s6a_question_data(const struct s6a_question *q, uint8_t out[S6A_QUESTION_LEN]);
bool s6a_question_get(struct slice data, struct s6a_question *out);
#define S6A_CANCEL_DATA_LEN 16
struct slice s6a_cancel_data(const struct s6a_cancel *c, uint8_t out[S6A_CANCEL_DATA_LEN]);
bool s6a_cancel_get(uint8_t purpose, struct slice data, struct s6a_cancel *out);
