// Cx and Dx (TS 29.228, 29.229) in workers: what the HSS decides on UAR, MAR, SAR and LIR. Handlers follow
// worker/request.h: they run from their top each time the loader has replied.
#pragma once
#include "apps/cx/registration.h"
#include "worker/request.h"

void cx_uar(struct request *r); // TS 29.228 6.1.1
void cx_mar(struct request *r); // 6.3.1
void cx_sar(struct request *r); // 6.1.2
void cx_lir(struct request *r); // 6.1.4

// The user that a request is about.
struct cx_subject {
	struct request *r;
	const struct cache_record *rec;
	struct ims_user user;
	struct ims_state state;
	int pub, priv;	// places in user.d; -1: not named
	bool wildcard;	// the public identity is one that a wildcard stands for
	struct slice spelled; // Public-Identity as it came
};

enum cx_open_option { CX_NEEDS_PRIVATE = 1, CX_NEEDS_PUBLIC = 2 };
// Finds the user of the request's Public-Identity and User-Name (either may be absent), and reads its state (D1 to D4,
// steps 1 and 2). false: the request waits for the loader, or has been answered: 5001, 5002, 5004.
bool cx_open(struct request *r, unsigned public_slot, int user_slot, struct cx_subject *s);
// A further public identity of the request: its place in s->user.d.pub; -1: not one of this user's.
int cx_also(const struct cx_subject *s, struct slice identity);

// The S-CSCF that sends the request, under this name.
struct cx_server cx_server_of(const struct request *r, unsigned name_slot, unsigned host_slot, unsigned realm_slot);
// Sends a decision to the loader as a CHANGE. The handler runs again with r->change_done.
void cx_change(struct cx_subject *s, const struct cx_decision *d);
