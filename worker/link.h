// The worker's questions to the loader. Each makes the request wait and is answered by running its handler again. When
// the loader is away the request keeps waiting, and asks again when the loader is back. When there is no room the request
// is answered 3004.
#pragma once
#include "worker/request.h"

struct worker;

// The loader can be asked now.
bool link_up(const struct worker *w);
// Read through: the subscriber is not in the cache, which may not be complete.
void link_ask_miss(struct request *r);
// A place in the IND table for the requesting host.
void link_ask_ind(struct request *r, struct slice host);
// A higher SQN limit, one more block or at least `at_least`, for all who wait for it (sqn_block.h). false: no room. A loader
// that is away is asked when it is back.
bool link_ask_block(struct worker *w, imsi_t imsi, uint32_t index, uint64_t at_least, uint64_t id);
// The same ahead of need: nobody waits.
void link_hint_sqn(struct worker *w, imsi_t imsi, uint32_t index);
// A change of state, decided from `version`. Slices are borrowed. The handler runs again when the loader has replied:
// with r->change_done and the outcome in r->change; or, when the state was of another version, as on its first run.
struct link_change {
	uint16_t version;
	uint32_t options; // enum change_option, but for CHANGE_REPEATED
	struct slice state;
	struct slice kept[2];
	unsigned request_cnt;
	struct link_hss_request {
		uint8_t purpose;
		struct slice host, realm, data;
	} request[4];
};
void link_change(struct request *r, const struct link_change *c);
// The subscriber is not in the cache although it may be known: the request waits for the loader (true); or there is no
// such subscriber.
bool link_look_up(struct request *r);

// Frames of the loader: acknowledgements and deliveries.
void link_frame(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body);
