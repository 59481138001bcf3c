// SWx (TS 29.273 8) in workers: what the HSS decides on MAR and SAR. Handlers follow worker/request.h: they run from their top
// each time the loader has replied.
#pragma once
#include "apps/swx/data.h"
#include "apps/swx/registration.h"
#include "worker/request.h"

void swx_mar(struct request *r); // 8.1.2.1
void swx_sar(struct request *r); // 8.1.2.2

// The user that a request is about.
struct swx_subject {
	struct request *r;
	const struct cache_record *rec;
	const struct cache_profile *profile; // NULL: none
	struct swx_data data;
	struct swx_state state;
	struct swx_server by; // who asks
	unsigned user_slot, features_slot;
};

// Finds the user by its IMSI, in whatever form of a NAI, and reads its state. s->user_slot and s->features_slot are set by
// the caller. false: the request waits for the loader, or has been answered 5001.
bool swx_open(struct request *r, unsigned host_slot, unsigned realm_slot, struct swx_subject *s);
// Begins the answer: result, User-Name as it came, Supported-Features.
void swx_answer_begin(const struct swx_subject *s, struct wr *w, uint32_t result, bool experimental, size_t room);
// A whole answer with the name of the AAA server that is stored.
void swx_answer_server(const struct swx_subject *s, uint32_t result, bool experimental);
// A whole answer without it.
void swx_answer(const struct swx_subject *s, uint32_t result, bool experimental);

// Sends a decision to the loader as a CHANGE. The handler runs again with r->change_done.
void swx_change(struct swx_subject *s, const struct swx_decision *d);
