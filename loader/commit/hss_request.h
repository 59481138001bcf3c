// HSS-initiated requests: what the HSS must tell other nodes, in rows that are committed with the change that causes
// them and survive every restart. A row says who must be told what for; the message itself is composed by a worker when
// it is sent, from the state of that moment. A row is sent again until the node has answered it, events have overtaken
// it, a newer row of the same purpose takes its place, or it is too old (logged as hss_request_expired).
//
// Rows are queued by node: at most a window of them is on its way to one node, and a node that cannot be reached is tried
// again when it connects, or after a delay that grows. Main thread.
#pragma once
#include <jansson.h>
#include "loader/loader.h"

struct hss_request; // opaque, heap
struct op;

int hss_requests_new(struct loader *l) MUST_USE;
void hss_requests_free(struct loader *l);
// Reads what is still to be sent (at the start).
int hss_requests_load(struct loader *l) MUST_USE;

// Adds a request to an operation: its journal entry, and its sending after the commit. Of `q`, id and created_us are
// given here. When too many wait it is left out, with an alarm.
void hss_request_add(struct loader *l, struct op *op, imsi_t imsi, const struct hss_request_image *q);
void hss_request_free(struct hss_request **r);
// Asks a node something for an operator: sent once or not at all, kept in memory only; `answered` (loader/app.h) follows
// in any case. false: too many wait.
bool hss_request_ask(struct loader *l, imsi_t imsi, const struct hss_request_image *q) MUST_USE;
// Does another request of this application wait for this node and subscriber, beside the row `id`? `purposes`: a bit for
// each purpose that counts.
bool hss_request_waits(const struct loader *l, imsi_t imsi, unsigned app, struct slice host, uint64_t id, uint32_t purposes);
// Committed: into its node's queue.
void hss_request_commit_take(struct loader *l, struct hss_request **r);
// HSS_SENT of a worker.
void hss_request_sent(struct loader *l, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len);
// A worker is gone, and what it had under way with it: that is due again.
void hss_requests_worker_lost(struct loader *l, unsigned worker);
// Once a second: repeats and expires.
void hss_requests_tick(struct loader *l);
unsigned hss_requests_pending(const struct loader *l);
// Nodes whose requests wait, since they can't be reached or do not answer: [{"host","requests","age_s","reached"}], a new
// reference. At most 32 of them.
json_t *hss_requests_waiting(const struct loader *l);

// ---- for operators

// A request as it stands. Slices are the table's.
struct hss_request_view {
	imsi_t imsi; // 0: about no subscriber
	const char *application, *command;
	struct slice host;
	uint64_t created_us; // wall clock
	uint32_t tries;
	const char *state; // "waiting", "sent", "node_away"
};
#define HSS_BUCKETS 4096u
// The bucket of a subscriber's requests.
unsigned hss_requests_bucket(imsi_t imsi);
// Calls `fn` with each request of a bucket, those of other subscribers among them.
void hss_requests_each(const struct loader *l, unsigned bucket, void (*fn)(void *ctx, const struct hss_request_view *v),
		       void *ctx);
// Tries again now what waits for this subscriber (0: any) and this node (empty: any). Returns how many.
unsigned hss_requests_retry(struct loader *l, imsi_t imsi, struct slice host);
// Gives up what waits for a subscriber, as a part of the operation that has been begun for it. Returns how many.
unsigned hss_requests_drop(struct loader *l, imsi_t imsi);
