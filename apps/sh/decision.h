// What a PUR, an SNR, an answer to a PNR and a change of the registration do to the state of state.h (TS 29.328 6.1.2, 6.1.3;
// procedures E2 to E4): the next state, the result, and who must be told. Pure functions.
#pragma once
#include "apps/sh/state.h"
#include "lib/ims/sh_read.h"

#define SH_SCOPE_NONE UINT64_MAX // the identity is none of this subscriber's any more

// The purposes of Sh's HSS-initiated requests; kept in rows.
enum sh_purpose { SH_PUSH = 1 };
// The `data` of a row of HSS-initiated requests, at most 255 octets: which data the node is told of.
#define SH_ROW_MAX  255
#define SH_ROW_HEAD 7 // octets beside identity and key
struct sh_row {
	uint8_t reference;
	bool last;	   // the subscription has ended with it
	uint16_t sequence; // of repository data that are deleted
	struct slice identity, key;
};
bool sh_row_put(struct wr *w, const struct sh_row *row); // false: does not fit
bool sh_row_get(struct slice data, struct sh_row *out);
// Of two rows for one node, does the newer tell all that the older would (loader/app.h)?
bool sh_row_replaces(uint8_t purpose, struct slice newer, struct slice older, struct wr *joined);

struct sh_notice {
	struct slice host, realm;
	struct sh_row row;
};

// `next` and the notices borrow from the state before and from the request.
struct sh_decision {
	struct sh_state next;
	bool changed;
	uint32_t result;
	bool experimental;
	const char *rule; // of a refusal, for the log
	unsigned failed;  // PUR: which instance is refused
	struct sh_notice notice[SH_SUBSCRIPTIONS_MAX];
	unsigned notice_cnt;
};

// PUR of repository data: all instances, or none.
struct sh_store {
	uint64_t scope;
	uint64_t watcher_scope[SH_WATCHERS_MAX]; // of each watcher's identity; or SH_SCOPE_NONE
	struct slice host;			 // who asks: it is not told
	uint32_t now_s;
	bool repeated; // it may have been done before
	const struct sh_update *update;
};
void sh_store(const struct sh_state *now, const struct sh_store *q, struct sh_decision *d);

#define SH_KEYS_MAX 8 // Service-Indications of one request
#define SH_SETS_MAX 4 // Identity-Sets
struct sh_subscribe {
	uint64_t scope;
	uint64_t references;
	struct slice host, realm, identity;
	struct slice key[SH_KEYS_MAX]; // of repository data
	unsigned key_cnt;
	struct slice server_name;     // of filter criteria
	struct slice set[SH_SETS_MAX]; // of identities: Identity-Sets, four octets each
	unsigned set_cnt;
	bool unsubscribe, one_time;
	uint32_t expires_s, now_s; // expires_s 0: never
};
// SNR: all subscriptions, or none.
void sh_subscribe(const struct sh_state *now, const struct sh_subscribe *q, struct sh_decision *d);

// Other data have changed: those that these subscriptions (by place) are for.
void sh_changed(const struct sh_state *now, const bool changed[SH_SUBSCRIPTIONS_MAX], uint32_t now_s, struct sh_decision *d);

// A PNA says that the user is unknown there (`all`), or that there is no such subscription.
void sh_unwanted(const struct sh_state *now, struct slice host, const struct sh_row *row, bool all, struct sh_decision *d);

// The watcher's subscription; NULL: none that counts now.
const struct sh_subscription *sh_subscription_find(const struct sh_state *s, struct slice host, const struct sh_row *row,
						   uint32_t now_s);
