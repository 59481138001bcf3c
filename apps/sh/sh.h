// Sh and Dh (TS 29.328, 29.329) in workers: what the HSS decides on UDR, PUR and SNR. Handlers follow worker/request.h: they run
// from their top each time the loader has replied.
#pragma once
#include "apps/sh/data.h"
#include "apps/sh/identity.h"
#include "worker/request.h"

void sh_udr(struct request *r); // TS 29.328 6.1.1
void sh_pur(struct request *r); // 6.1.2
void sh_snr(struct request *r); // 6.1.3

// Features of TS 29.329 7.1.1, list 1
enum sh_feature { SH_NOTIF_EFF = 1 << 0, SH_UPDATE_EFF = 1 << 1 };
#define SH_FEATURES (SH_NOTIF_EFF | SH_UPDATE_EFF)

// What a request says beside its user.
struct sh_asked {
	uint64_t references;
	struct slice key[SH_KEYS_MAX]; // Service-Indications
	unsigned key_cnt;
	uint8_t sets; // Identity-Sets, and as they came
	struct slice set[SH_SETS_MAX];
	unsigned set_cnt;
	bool has_features;
	uint32_t features; // both sides have
};
// Reads it. false: answered.
bool sh_ask(struct request *r, struct sh_asked *q);
// Is the application server allowed to (sh.servers)? Otherwise the request is refused: logged, counted, answered 5102, 5103 or
// 5104.
bool sh_may(struct request *r, enum sh_operation operation, const struct sh_asked *q);

// The user that a request is about.
struct sh_subject {
	struct request *r;
	const struct cache_record *rec;
	struct ims_user user;
	struct ims_state ims;
	struct sh_state sh;
	int pub;	// place in user.d.pub; -1: an MSISDN was named
	bool wildcard;	// the public identity is one that a wildcard stands for
	struct slice identity; // the inside of User-Identity
};
// Finds the user of User-Identity, checks User-Name against it, and that this kind of identity leads to all that is asked for (E1
// to E3, steps 2 to 3). false: the request waits for the loader, or has been answered: 5001, 5002, 5004, 5101.
bool sh_open(struct request *r, unsigned identity_slot, unsigned user_slot, const struct sh_asked *q, struct sh_subject *s);
// The document that answers the request (UDR; SNR with Send-Data-Indication).
struct sh_query sh_query_of(const struct sh_subject *s, const struct sh_asked *q, struct slice server_name);

void sh_put_features(struct wr *w, const struct sh_asked *q);
void sh_put_wildcard(struct wr *w, const struct sh_subject *s);
// User-Data with the document; none when there is nothing to say.
void sh_put_data(struct wr *w, const struct sh_query *q);
// An answer without data.
void sh_answer(const struct sh_subject *s, const struct sh_asked *q, uint32_t result, bool experimental);
// Sends a decision to the loader as a CHANGE. The handler runs again with r->change_done.
void sh_change(struct sh_subject *s, const struct sh_decision *d);
