// What application servers keep here about one subscriber: repository data, and subscriptions to notifications (TS 29.328 6.1.2,
// 6.1.3). It is one state in the sense of worker/link.h, so it has bounds: what one server stores costs the others nothing, and a
// change of it is one row of bounded size. Pure functions, for workers and the loader.
#pragma once
#include "cache/state.h"
#include "lib/base/wire.h"

#define SH_SERVICES_MAX	     16		// repository data of one subscriber, over all identities
#define SH_SERVICE_OCTETS    (8u << 10) // of one service's data
#define SH_REPOSITORY_OCTETS (12u << 10) // of all, their indications included
#define SH_INDICATION_MAX    100
#define SH_WATCHERS_MAX	     12 // pairs of an application server and an identity by which it watches the subscriber
#define SH_SUBSCRIPTIONS_MAX 32
#define SH_STATE_MAX	     (16u << 10)

// Whose repository data: the public identities of one implicit registration set that have one service profile are aliases and
// share theirs (TS 23.008 3.4.2; Cx has no AliasIdentityGroupID here). A service (PSI) has its own.
#define SH_SCOPE_SERVICE (1ull << 63) // and the hash of the identity

struct sh_service {
	uint64_t scope;
	uint16_t sequence;
	struct slice indication, data;
};

struct sh_watcher {
	struct slice host, realm;
	struct slice identity; // the inside of User-Identity, as the application server spelled it
};

struct sh_subscription {
	uint8_t watcher; // place in sh_state.watcher
	uint8_t reference;
	bool one_time;
	uint32_t expires_s; // seconds since 1970; 0: never
	struct slice key;   // of repository data the Service-Indication, of criteria the Server-Name, of identities the Identity-Set
};

// Slices are borrowed.
struct sh_state {
	struct sh_service service[SH_SERVICES_MAX];
	struct sh_watcher watcher[SH_WATCHERS_MAX];
	struct sh_subscription subscription[SH_SUBSCRIPTIONS_MAX];
	unsigned service_cnt, watcher_cnt, subscription_cnt;
	uint16_t version; // read from the cache: for the CHANGE
};

// Writes the row; a state of nothing gives no octets. w->err: it does not fit.
void sh_state_put(struct wr *w, const struct sh_state *s);
// false: not the octets of a state; *out is empty.
bool sh_state_get(struct slice body, struct sh_state *out);
// From the cache. Without a state *out is empty, its version 0.
void sh_state_of(const struct cache *c, const struct cache_record *r, struct sh_state *out);

// The service's data; NULL: there are none.
const struct sh_service *sh_service_find(const struct sh_state *s, uint64_t scope, struct slice indication);
