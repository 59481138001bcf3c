// The control segment: everything that all roles may see, without secrets.
//
//   epochs     one per worker, written by that worker (by hssd for a dead one)
//   peers      the directory of connected peers; an entry is claimed and written by the frontend that holds the peer
//   stats      one block per role instance, written by that role only; survives its restarts, read by hss-admin
//   refusals   the last ones of subscribers, one table a worker, written by that worker (refusals.h)
//   roles      pid, state, restarts and silence of each role, written by hssd; its heartbeat, written by the role
//
// All frontends, workers, the loader and hssd map it read-write, hss-admin read-only.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define CONTROL_MAGIC      0x314c525443524843ull
#define CONTROL_VERSION    3
#define WORKER_MAX         64
#define FRONTEND_MAX       32
#define PEER_DIRECTORY_MAX 4096
#define REFUSAL_SETS	   512 // of a worker; a subscriber's refusals are all in one
#define REFUSAL_WAYS	   4

enum role { ROLE_HSSD, ROLE_FRONTEND, ROLE_WORKER, ROLE_LOADER, ROLE_ADMIN, ROLE_CNT };

enum peer_slot_state { PEER_SLOT_FREE = 0, PEER_SLOT_CLAIMED = 1, PEER_SLOT_OPEN = 2, PEER_SLOT_CLOSING = 3 };

struct control_peer {
	_Atomic uint32_t owner; // frontend + 1, 0 = free: claimed by compare-and-swap, so that the entries of
				// a frontend that died anywhere are known
	_Atomic uint32_t state; // enum peer_slot_state, stored with release after everything else
	uint32_t frontend;
	uint32_t conn;               // the frontend's connection number; together with `generation` unique
	_Atomic uint32_t generation; // raised by each claim
	_Atomic uint64_t host_hash;  // Origin-Host, case folded
	uint64_t since_us;           // wall clock
	uint64_t apps;               // CONTROL_APP_RELAY, and a bit for each application
	uint64_t requests, answers, rejected; // counters of this connection
	uint8_t watchdog;                     // RFC 3539 state
	uint8_t transport;                    // 0 tcp, 1 sctp, 2 tls
	uint8_t host_len, realm_len;
	char host[256], realm[256];
	char address[64];  // where it comes from
	char listens[64];  // its own address of its CER (Host-IP-Address) that we could connect to; "": none
};

#define CONTROL_APP_RELAY 1ull // bit 0; bit n: the application of number n (apps/apps.def)

// stats.def rows: STAT(name, "metric", roles, counter|gauge, "help")
enum stat_id {
#define STAT(id, metric, roles, kind, help) STAT_##id,
#include "cache/stats.def"
#undef STAT
	STAT_CNT
};

#define STAT_CMD_MAX         96 // enum command_id
#define STAT_RESULT_MAX      64 // rows of stat_result_codes
#define STAT_LATENCY_BUCKETS 20

// Upper bounds of the latency buckets in microseconds: 50 us * 2^n, the last one open.
struct stats_block {
	_Atomic uint64_t c[STAT_CNT];
	// frontends: answers by command and result, and the time from the request's arrival to its answer
	_Atomic uint64_t requests[STAT_CMD_MAX];
	_Atomic uint64_t answers[STAT_CMD_MAX][STAT_RESULT_MAX];
	_Atomic uint64_t latency[STAT_CMD_MAX][STAT_LATENCY_BUCKETS];
	_Atomic uint64_t latency_sum_us[STAT_CMD_MAX];
};

struct control_role {
	_Atomic int32_t pid; // 0 = not running
	_Atomic uint32_t ready;
	_Atomic uint32_t restarts;
	_Atomic uint32_t silences;  // how often it was killed since it gave no sign of life
	_Atomic uint64_t started_us;
	_Atomic uint64_t beat;      // written by the role: stands still when its main thread hangs (lib/base/beat.h). hss-admin
				    // can't write here: it tells hssd
	_Atomic uint32_t silent_ms; // for how long it has stood still
	uint32_t spare;
};

// A subscriber that was refused what it may not use. No secrets.
struct refusal {
	uint64_t imsi; // imsi_t.v; 0: none
	uint64_t time_us; // wall clock
	uint32_t result;
	uint32_t line;	 // of the configuration; 0: none
	uint16_t command; // enum command_id
	uint16_t rat;
	uint8_t plmn[3]; // visited
	uint8_t app, reason; // the application's number, and the reason as it numbers them
	uint8_t experimental; // 1: result is an experimental one
	uint8_t diagnostic; // 1 + Error-Diagnostic; 0: none
	uint8_t came_back;  // it has registered in another network since, or would not count
	uint8_t host_len;
	uint8_t spare[3];
	char host[76]; // Origin-Host, cut off
};

struct refusals {
	_Atomic uint32_t used; // 0: no refusal yet
	uint32_t spare;
	struct {
		_Atomic uint32_t turn; // odd while the entry is written
		struct refusal r;
	} entry[REFUSAL_SETS][REFUSAL_WAYS];
};

#define ROLE_INSTANCE_MAX (WORKER_MAX + FRONTEND_MAX + 3)

struct control {
	uint64_t magic;
	uint32_t version;
	uint32_t size;
	uint32_t worker_cnt, frontend_cnt;
	uint64_t started_us;                 // wall clock
	uint32_t origin_state_id;            // RFC 6733 8.16: greater than at any start before, whatever the clock says
	uint32_t probe_token;                // what hssd's looks at its own listeners say in place of theirs; nobody else knows it
	_Atomic uint32_t peer_high;          // directory entries that were ever used: how far to search
	_Alignas(64) _Atomic uint64_t epoch; // raised by the loader; starts at 1
	struct {
		_Alignas(64) _Atomic uint64_t v; // 0 = outside; a cache line each
	} reader[WORKER_MAX];
	struct control_role role[ROLE_INSTANCE_MAX];
	struct stats_block stats[ROLE_INSTANCE_MAX];
	struct control_peer peer[PEER_DIRECTORY_MAX];
	struct refusals refusals[WORKER_MAX];
};

// Index of a role instance in role[] and stats[].
static inline unsigned control_instance(enum role role, unsigned index)
{
	switch (role) {
	case ROLE_HSSD:
		return 0;
	case ROLE_LOADER:
		return 1;
	case ROLE_ADMIN:
		return 2;
	case ROLE_FRONTEND:
		return 3 + index;
	case ROLE_WORKER:
		return 3 + FRONTEND_MAX + index;
	case ROLE_CNT:
		break;
	}
	return 0;
}

const char *role_name(enum role role); // "loader"

// Makes the memory file (hssd): sized, sealed, filled in. Returns the descriptor or a negative errno.
int control_create(unsigned frontends, unsigned workers);
// Maps it; checks magic, version and size. NULL with errno on failure (EPROTO: another layout).
struct control *control_map(int fd, bool writable);

// Directory. claim returns the entry's index or -1 when full. The frontend fills in the rest (host_hash =
// ident_hash_bytes(host, true)), then stores PEER_SLOT_OPEN with release. Strings are not changed while OPEN.
int control_peer_claim(struct control *c, uint32_t frontend);
void control_peer_release(struct control *c, int index);
// The open peer with this Origin-Host (case ignored); -1 when none. Copies what a worker needs to reach it.
int control_peer_find(const struct control *c, struct slice host, uint32_t *frontend, uint32_t *conn,
		      uint32_t *generation);
// A relay that is connected, for a node that is not: one of this realm if there is one, else any. The first
// of the directory, so that requests meet in one, and go to the next when it leaves.
int control_peer_find_relay(const struct control *c, struct slice realm, uint32_t *frontend, uint32_t *conn,
			    uint32_t *generation);
// hssd: a frontend died, its entries are free again.
void control_frontend_clear(struct control *c, uint32_t frontend);

static inline void stat_add(struct stats_block *s, enum stat_id id, uint64_t n)
{
	// one writing thread per block: a plain add, published relaxed
	__atomic_store_n((uint64_t *)&s->c[id], __atomic_load_n((uint64_t *)&s->c[id], __ATOMIC_RELAXED) + n,
			 __ATOMIC_RELAXED);
}

static inline void stat_set(struct stats_block *s, enum stat_id id, uint64_t v)
{
	__atomic_store_n((uint64_t *)&s->c[id], v, __ATOMIC_RELAXED);
}

// Index of a result code in stats_block.answers (2001, 3xxx ... base codes; 10415:5001 ... experimental
// ones); unknown codes share the last index. stat_result_text gives "2001" or "exp_5001".
unsigned stat_result_index(uint32_t code, bool experimental);
const char *stat_result_text(unsigned index);
unsigned stat_latency_bucket(uint64_t us);
