// The HSS-initiated requests in memory (hss_request.h): a row each, found by subscriber and number, which stands in the
// queue of its node. Private to hss_request.c and its own file; main thread.
#pragma once
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "loader/commit/hss_request.h"

#define HSS_REQUESTS_MAX 200000u
#define HSS_NODES_MAX	 65536u
#define HSS_RETRY_MS	 10000u // the first delay; doubled each time

enum hss_lane { HSS_AT_ONCE, HSS_PACED, HSS_LANES };

struct hss_node {
	struct hss_node *next; // of its bucket
	struct hss_node *list; // of all nodes
	struct hss_request *first[HSS_LANES], *last[HSS_LANES]; // in the order of their arrival
	uint32_t cnt, under_way;
	uint64_t paced_ms; // monotonic: up to when the pace has been reckoned
	uint32_t paced;	   // how many paced ones may be sent at once
	uint32_t held; // rows that name it, committed or not
	uint64_t down_until_ms; // monotonic; 0: it can be reached as far as we know
	uint32_t delay_ms;	// after the next failure
	uint8_t host_len, realm_len;
	char text[]; // host, realm
};

struct hss_request {
	struct hss_request *next;	  // of its bucket
	struct hss_request *before, *after; // in its node's queue
	struct hss_node *node;
	uint64_t id;
	imsi_t imsi;
	uint64_t created_us;
	uint64_t due_ms; // monotonic: when it is sent again
	uint32_t tries, failovers;
	uint32_t delay_ms; // after the last failure
	bool under_way;
	uint8_t lane;  // enum hss_lane
	uint8_t worker; // while it is under way
	bool question; // only in memory: asked once, or not at all
	uint8_t app, purpose;
	uint8_t data_len;
	uint8_t data[];
};

struct hss_requests {
	struct hss_request *bucket[HSS_BUCKETS];
	struct hss_node *node[HSS_BUCKETS], *nodes, *look; // look: where the next tick goes on to look for peers
	unsigned cnt, node_cnt;
	uint64_t next_id;
	struct log_limit full;
};

struct slice hss_node_host(const struct hss_node *n);
struct slice hss_node_realm(const struct hss_node *n);
// The node of these names, made if it is new. NULL: there are too many, or a name is too long.
struct hss_node *hss_node_of(struct hss_requests *t, struct slice host, struct slice realm);
// It has answered or connected: no delay any more.
void hss_node_reached(struct hss_node *n);
// There was no way to it: nothing is sent to it for a while.
void hss_node_failed(struct hss_node *n, uint64_t now_ms);
// Frees the nodes that nothing waits for: their names come from peers, so they must not pile up.
void hss_nodes_forget_idle(struct hss_requests *t);
// The delay after this one.
uint32_t hss_longer(uint32_t delay_ms);

// A row that is not in the table yet. NULL: no memory, or a name or its data are too long.
struct hss_request *hss_row_make(struct loader *l, imsi_t imsi, const struct hss_request_image *q);
void hss_row_insert(struct hss_requests *t, struct hss_request *r);
void hss_row_remove(struct hss_requests *t, struct hss_request **r); // and frees it
struct hss_request *hss_row_find(const struct hss_requests *t, imsi_t imsi, uint64_t id);
// The first row of this subscriber's bucket, which holds those of others, too; go on by ->next.
struct hss_request *hss_row_first(const struct hss_requests *t, imsi_t imsi);
struct slice hss_row_data(const struct hss_request *r);
void hss_row_under_way(struct hss_request *r, bool under_way);
