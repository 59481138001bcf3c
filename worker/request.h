// One request, followed from its arrival to its single answer. A handler is called with it. The handler
// either answers, which ends the request, or makes it wait for the loader. When the loader has replied, the
// same handler is called again from its top and finds the reply in the request. So handlers keep no state of
// their own, and a request that has waited sees the cache as it is now, not as it was.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/ident.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/grammar.h"
#include "lib/ipc/messages.h"

#define WAITING_MAX	   8192	       // requests of one worker that wait for the loader
#define WAITING_MSG_MAX	   3072	       // octets of slots and message kept in place
#define WAITING_BIG_MAX	   64	       // larger ones, up to the largest message
#define REQUEST_TRIES_MAX  8	       // questions to the loader for one request at most
#define WAITING_TIMEOUT_US 30000000ull // the longest wait for the loader's answer to a change

struct worker;

enum wait_kind { WAIT_NONE, WAIT_READ_THROUGH, WAIT_IND, WAIT_SQN, WAIT_CHANGE, WAIT_TURN };

struct request {
	struct worker *w;
	const struct command *cmd;
	const struct avp_slot *slots;
	const uint8_t *msg;
	struct header h;
	struct ipc_request in;
	uint64_t id; // the frontend's, goes back with the answer
	unsigned frontend;
	uint8_t app; // number of apps/apps.def
	imsi_t imsi;

	// what the loader has said so far
	uint8_t tries;
	bool read_through_asked, unknown; // the upstream was asked; and it does not know the subscriber
	bool ind_asked;
	bool sqn_refused; // no block could be made durable
	bool resync_done;
	uint64_t resync_seq;
	bool change_sent; // the loader may have stored it: it is never given up
	bool change_done, resent;
	enum change_status change;
	uint32_t memo; // the handler's: what it decided before it sent a change, for the answer to that change

	const char *rule;	// why it is refused, for the log; NULL: the result says it all
	struct wait_slot *slot; // where it waits; NULL on its first run
};

// A slot of the waiting room. The request's slots and message are copied behind it.
struct wait_slot {
	struct request r;
	enum wait_kind kind;
	uint32_t generation;
	uint32_t next_free;
	uint32_t question; // place + 1 of the SQN block that it waits for (sqn_block.h), and its neighbours there
	uint32_t block_next, block_prev;
	uint32_t turn; // place + 1 of the turn that it holds or waits for (turn.h), and its neighbours there
	uint32_t turn_next, turn_prev;
	uint64_t since_us;
	uint8_t *big; // message storage when it did not fit in place
	_Alignas(8) uint8_t bytes[WAITING_MSG_MAX];
};

struct waiting {
	struct wait_slot *slot; // WAITING_MAX, mapped lazily
	uint8_t *big;		// WAITING_BIG_MAX x IPC_BODY_MAX
	uint8_t big_used[WAITING_BIG_MAX];
	uint32_t free_head; // index + 1
	uint32_t used;
};

int waiting_init(struct waiting *wt) MUST_USE;
void waiting_fini(struct waiting *wt);

// A REQUEST frame of frontend `frontend`: checked, turned into a request, and given to its handler.
void request_arrived(struct worker *w, unsigned frontend, const struct ipc_hdr *hdr, const uint8_t *body);
// The loader replied to the question of waiting request `tag`; `fill` is called with it before its handler runs again.
// false: no such request any more.
struct request *request_by_tag(struct worker *w, uint64_t tag, enum wait_kind kind);
void request_resume(struct request *r);
// The loader is back after a restart: every waiting request asks again, so changes that were not acknowledged
// are sent again.
void request_resume_all(struct worker *w);
// The loader is gone: requests that only wait for a place in the IND table go on without one.
void request_loader_lost(struct worker *w);
// A frontend died: its requests are forgotten. Nobody takes their answers, and its successor uses the same
// ids for other requests.
void request_frontend_lost(struct worker *w, unsigned frontend);
// Forgets requests that have waited too long: the frontend has answered them 3004. A request whose change the
// loader may have stored is kept for WAITING_TIMEOUT_US.
void request_sweep(struct worker *w);

// The data of a slot's first occurrence; empty when absent.
static inline struct slice request_slot(const struct request *r, unsigned slot)
{
	const struct avp_slot *s = &r->slots[slot];
	return s->cnt ? slice_of(r->msg + s->off, s->len) : (struct slice){0};
}

static inline bool request_has(const struct request *r, unsigned slot)
{
	return r->slots[slot].cnt != 0;
}

// An Unsigned32 or Enumerated; `absent` when there is none.
static inline uint32_t request_u32(const struct request *r, unsigned slot, uint32_t absent)
{
	struct slice s = request_slot(r, slot);
	return s.len == 4 ? be32_get(s.p) : absent;
}

// All AVPs of the message, for those that occur several times: give it to avp_next.
static inline struct rd request_avps(const struct request *r)
{
	return rd_of(r->msg + DIAMETER_HEADER_LEN, r->in.msg_len - DIAMETER_HEADER_LEN);
}

// ---- answering ----------------------------------------------------------------------------------------------------
// begin writes the header, Session-Id, the application's envelope and the result; the handler appends its AVPs; end
// appends Proxy-Info and hands the message to the frontend. `room`: octets that the handler will append at most.
// NULL-safe: when the frontend's channel is full the writer is void and the request is dropped: the frontend
// answers 3004 itself when its time is over.
void request_answer_begin(struct request *r, struct wr *w, uint32_t result, bool experimental, size_t room);
void request_answer_end(struct request *r, struct wr *w);
// A whole answer without further AVPs.
void request_answer(struct request *r, uint32_t result, bool experimental);
// After a change (r->change_done): true when it stands. Otherwise the request has been answered: 5001
// (DIAMETER_ERROR_USER_UNKNOWN) where the subscriber is gone, else 5012.
bool request_change_stands(struct request *r);
// A 3xxx answer (E bit, short grammar).
void request_refuse(struct request *r, uint32_t result);
// The same with the host to ask instead: 3006 and Redirect-Host (RFC 6733 6.12).
void request_redirect(struct request *r, struct slice host);
// A 5xxx base answer with Failed-AVP.
void request_answer_failed(struct request *r, const struct verdict *v);
// Result with a copy of slot's AVP in Failed-AVP (5004 ...).
void request_answer_bad_value(struct request *r, unsigned slot);

// ---- waiting ------------------------------------------------------------------------------------------------------
// Puts the request into the waiting room; its tag goes into the question to the loader. 0: no room, or asked too
// often: the caller refuses with 3004.
uint64_t request_wait(struct request *r, enum wait_kind kind);
