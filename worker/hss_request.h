// HSS-initiated requests in a worker. The loader has stored that a node must be told something, and says when it is due
// (HSS_SEND); the worker finds the way to the node, has the application compose the message from the state of this
// moment, and tells the loader how it ended.
#pragma once
#include "lib/base/ident.h"
#include "lib/base/wire.h"
#include "lib/ipc/messages.h"

struct worker;
struct hss_under_way; // opaque, heap

// One such request, for its application. Slices are borrowed.
struct hss_request {
	struct worker *w;
	uint64_t row; // the loader's id
	imsi_t imsi;
	uint64_t created_us; // wall clock
	uint32_t tries;
	uint8_t app, purpose;
	struct slice host, realm, data;
	uint32_t memo; // the application's: from compose to ended, and to the loader
};

struct hss_answer {
	uint32_t result; // Result-Code or Experimental-Result-Code
	bool experimental;
	struct slice msg; // the whole message
};

struct hss_under_way *hss_under_way_new(void);
void hss_under_way_free(struct hss_under_way **t);

#define HSS_NO_USER ((struct slice){.p = (const uint8_t *)"", .len = 0})
// Begins the message: header, Session-Id ending in `what`, the application's envelope, Origin, Destination and
// User-Name (`user`; empty: the IMSI, if it is about a subscriber; HSS_NO_USER: none). For an application's `compose`, which
// appends its own AVPs; the end is the worker's.
void hss_request_begin(const struct hss_request *q, struct wr *m, uint32_t command_code, const char *what,
		       struct slice user);

// HSS_SEND: sends the request. If there is no way to the node, or if the application says that events have
// overtaken the request, the loader is told at once.
void hss_request_send(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body);
// HSS_ANSWER: how a request ended.
void hss_request_answered(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body);
// A frontend died: the requests that were on their way through it need another way.
void hss_request_frontend_lost(struct worker *w, unsigned frontend);
