// The worker's questions to the loader. Each question makes the request wait, and is answered by running its
// handler again. While the loader is away the request keeps waiting, and it asks again when the loader is
// back. Without room to wait, the request is answered 3004.
#pragma once
#include "worker/request.h"

struct worker;

// Can the loader be asked now?
bool link_up(const struct worker *w);
// Asks for a subscriber that is not in the cache (read-through).
void link_ask_miss(struct request *r);
// Asks for a place in the IND table for the requesting host.
void link_ask_ind(struct request *r, struct slice host);
// Asks for a higher SQN limit, by one block or to at least `at_least`, for all requests that wait for it
// (sqn_block.h). A loader that is away is asked when it is back. false: no room.
bool link_ask_block(struct worker *w, imsi_t imsi, uint32_t index, uint64_t at_least, uint64_t id);
// The same ahead of need: no request waits.
void link_hint_sqn(struct worker *w, imsi_t imsi, uint32_t index);
// A change of state, decided from `version`. Slices are borrowed. The handler runs again when the loader has replied:
// with r->change_done and the outcome in r->change; or, when the state was of another version, as on its first run.
#define LINK_REQUEST_MAX 32 // of a CHANGE; an operation of the loader (OP_REQUEST_MAX) has room for more
struct link_change {
	uint16_t version;
	uint32_t options; // enum change_option, but for CHANGE_REPEATED
	struct slice state;
	struct slice kept[2];
	unsigned request_cnt;
	struct link_hss_request {
		uint8_t purpose;
		struct slice host, realm, data;
	} request[LINK_REQUEST_MAX];
};
void link_change(struct request *r, const struct link_change *c);
// Looks for a subscriber that is not in the cache. true: it may be known, and the request waits for the
// loader. false: there is no such subscriber.
bool link_look_up(struct request *r);

// A frame of the loader: an answer to a question, or an HSS-initiated request that is due.
void link_frame(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body);
