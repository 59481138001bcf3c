// The control segment: made by hssd, mapped by every role. Holds no secret, but it outlives the roles, so
// nothing here may depend on a role finishing what it began: an entry of the peer directory is claimed by one
// compare-and-swap that names its owner, opened by one release store, and cleared by hssd when the owner
// dies. Readers copy out and look again.
#include "cache/control.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/segment.h"
#include "lib/base/clock.h"
#include "lib/base/ident.h"

#define CODE_EXPERIMENTAL 10000u // added to a code of the experimental table

static const struct {
	uint32_t code;
	const char *text;
} result_rows[] = {
    {2001, "2001"},
    {2002, "2002"},
    {3001, "3001"},
    {3002, "3002"},
    {3003, "3003"},
    {3004, "3004"},
    {3005, "3005"},
    {3006, "3006"},
    {3007, "3007"},
    {3008, "3008"},
    {3009, "3009"},
    {3010, "3010"},
    {4001, "4001"},
    {4002, "4002"},
    {4003, "4003"},
    {5001, "5001"},
    {5002, "5002"},
    {5003, "5003"},
    {5004, "5004"},
    {5005, "5005"},
    {5006, "5006"},
    {5007, "5007"},
    {5008, "5008"},
    {5009, "5009"},
    {5010, "5010"},
    {5011, "5011"},
    {5012, "5012"},
    {5013, "5013"},
    {5014, "5014"},
    {5015, "5015"},
    {5016, "5016"},
    {5017, "5017"},
    // TS 29.272 7.4, TS 29.229 6.2, TS 29.329 6.2, TS 29.273 10.3
    {CODE_EXPERIMENTAL + 2001, "exp_2001"},
    {CODE_EXPERIMENTAL + 2002, "exp_2002"},
    {CODE_EXPERIMENTAL + 2003, "exp_2003"},
    {CODE_EXPERIMENTAL + 2004, "exp_2004"},
    {CODE_EXPERIMENTAL + 4100, "exp_4100"},
    {CODE_EXPERIMENTAL + 4101, "exp_4101"},
    {CODE_EXPERIMENTAL + 4181, "exp_4181"},
    {CODE_EXPERIMENTAL + 4182, "exp_4182"},
    {CODE_EXPERIMENTAL + 5001, "exp_5001"},
    {CODE_EXPERIMENTAL + 5002, "exp_5002"},
    {CODE_EXPERIMENTAL + 5003, "exp_5003"},
    {CODE_EXPERIMENTAL + 5004, "exp_5004"},
    {CODE_EXPERIMENTAL + 5005, "exp_5005"},
    {CODE_EXPERIMENTAL + 5006, "exp_5006"},
    {CODE_EXPERIMENTAL + 5007, "exp_5007"},
    {CODE_EXPERIMENTAL + 5008, "exp_5008"},
    {CODE_EXPERIMENTAL + 5009, "exp_5009"},
    {CODE_EXPERIMENTAL + 5011, "exp_5011"},
    {CODE_EXPERIMENTAL + 5100, "exp_5100"},
    {CODE_EXPERIMENTAL + 5101, "exp_5101"},
    {CODE_EXPERIMENTAL + 5102, "exp_5102"},
    {CODE_EXPERIMENTAL + 5420, "exp_5420"},
    {CODE_EXPERIMENTAL + 5421, "exp_5421"},
    {CODE_EXPERIMENTAL + 5422, "exp_5422"},
    {CODE_EXPERIMENTAL + 5423, "exp_5423"},
    {CODE_EXPERIMENTAL + 5450, "exp_5450"},
    {CODE_EXPERIMENTAL + 5451, "exp_5451"},
    {CODE_EXPERIMENTAL + 5452, "exp_5452"},
};
#define RESULT_ROWS (sizeof(result_rows) / sizeof(result_rows[0]))
static_assert(RESULT_ROWS < STAT_RESULT_MAX, "the last index is for unknown codes");

unsigned stat_result_index(uint32_t code, bool experimental)
{
	// Sorted by code: base codes first, then experimental ones.
	uint64_t want = (uint64_t)code + (experimental ? CODE_EXPERIMENTAL : 0);
	unsigned lo = 0, hi = RESULT_ROWS;
	if (code >= CODE_EXPERIMENTAL)
		return STAT_RESULT_MAX - 1;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (result_rows[mid].code < want)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < RESULT_ROWS && result_rows[lo].code == want ? lo : STAT_RESULT_MAX - 1;
}

const char *stat_result_text(unsigned index)
{
	return index < RESULT_ROWS ? result_rows[index].text : "other";
}

unsigned stat_latency_bucket(uint64_t us)
{
	unsigned bucket = 0;
	while (bucket < STAT_LATENCY_BUCKETS - 1 && us > 50ull << bucket)
		bucket++;
	return bucket;
}

const char *role_name(enum role role)
{
	static const char *const names[ROLE_CNT] = {
	    [ROLE_HSSD] = "hssd",     [ROLE_FRONTEND] = "frontend", [ROLE_WORKER] = "worker",
	    [ROLE_LOADER] = "loader", [ROLE_ADMIN] = "admin",
	};
	return (unsigned)role < ROLE_CNT ? names[role] : "unknown";
}

int control_create(unsigned frontends, unsigned workers)
{
	if (frontends > FRONTEND_MAX || workers > WORKER_MAX)
		return -EINVAL;
	int fd = segment_create("hss-control", sizeof(struct control));
	if (fd < 0)
		return fd;
	struct control *c = segment_map(fd, sizeof(*c), true);
	if (!c) {
		int err = errno;
		close(fd);
		return -err;
	}
	c->version = CONTROL_VERSION;
	c->size = sizeof(*c);
	c->frontend_cnt = frontends;
	c->worker_cnt = workers;
	c->started_us = clock_wall_us();
	c->origin_state_id = (uint32_t)(c->started_us / 1000000);
	if (getrandom(&c->probe_token, sizeof(c->probe_token), 0) != sizeof(c->probe_token))
		bug("no random numbers");
	__atomic_store_n((uint64_t *)&c->epoch, 1,
			 __ATOMIC_SEQ_CST); // 0 would mean "outside" in a reader's word
	__atomic_store_n(&c->magic, CONTROL_MAGIC, __ATOMIC_RELEASE);
	munmap(c, sizeof(*c));
	return fd;
}

struct control *control_map(int fd, bool writable)
{
	struct control *c = segment_map(fd, sizeof(*c), writable);
	if (!c)
		return NULL;
	if (__atomic_load_n(&c->magic, __ATOMIC_ACQUIRE) != CONTROL_MAGIC || c->version != CONTROL_VERSION ||
	    c->size != sizeof(*c) || c->worker_cnt > WORKER_MAX || c->frontend_cnt > FRONTEND_MAX) {
		munmap(c, sizeof(*c));
		errno = EPROTO;
		return NULL;
	}
	return c;
}

static uint32_t peer_high(const struct control *c)
{
	uint32_t high = __atomic_load_n((const uint32_t *)&c->peer_high, __ATOMIC_ACQUIRE);
	return high < PEER_DIRECTORY_MAX ? high : PEER_DIRECTORY_MAX;
}

int control_peer_claim(struct control *c, uint32_t frontend)
{
	for (uint32_t i = 0; i < PEER_DIRECTORY_MAX; i++) {
		struct control_peer *p = &c->peer[i];
		uint32_t owner = 0;
		if (!__atomic_compare_exchange_n((uint32_t *)&p->owner, &owner, frontend + 1, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		__atomic_fetch_add((uint32_t *)&p->generation, 1, __ATOMIC_ACQ_REL);
		p->frontend = frontend;
		p->requests = p->answers = p->rejected = 0;
		p->watchdog = 0;
		__atomic_store_n((uint32_t *)&p->state, PEER_SLOT_CLAIMED, __ATOMIC_RELEASE);
		uint32_t high = peer_high(c);
		while (high <= i && !__atomic_compare_exchange_n((uint32_t *)&c->peer_high, &high, i + 1,
								 false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		return (int)i;
	}
	return -1;
}

static void peer_free(struct control_peer *p)
{
	// first invisible, then claimable
	__atomic_store_n((uint32_t *)&p->state, PEER_SLOT_FREE, __ATOMIC_RELEASE);
	__atomic_store_n((uint64_t *)&p->host_hash, 0, __ATOMIC_RELEASE);
	__atomic_store_n((uint32_t *)&p->owner, 0, __ATOMIC_RELEASE);
}

void control_peer_release(struct control *c, int index)
{
	if (index >= 0 && index < PEER_DIRECTORY_MAX)
		peer_free(&c->peer[index]);
}

// Whether an entry is open and has this host; fills in how to reach it. The entry may be closed and claimed
// again while we read it: the generation tells.
static bool peer_matches(const struct control_peer *p, struct slice host, uint64_t hash, uint32_t *frontend,
			 uint32_t *conn, uint32_t *generation)
{
	char copy[256];

	if (__atomic_load_n((const uint64_t *)&p->host_hash, __ATOMIC_RELAXED) != hash)
		return false;
	*generation = __atomic_load_n((const uint32_t *)&p->generation, __ATOMIC_ACQUIRE);
	if (__atomic_load_n((const uint32_t *)&p->state, __ATOMIC_ACQUIRE) != PEER_SLOT_OPEN)
		return false;
	// acquire: the second look comes after the copy
	uint8_t len = __atomic_load_n(&p->host_len, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < len; i++)
		copy[i] = __atomic_load_n(&p->host[i], __ATOMIC_ACQUIRE);
	*frontend = __atomic_load_n(&p->frontend, __ATOMIC_ACQUIRE);
	*conn = __atomic_load_n(&p->conn, __ATOMIC_ACQUIRE);
	if (__atomic_load_n((const uint32_t *)&p->generation, __ATOMIC_ACQUIRE) != *generation ||
	    __atomic_load_n((const uint32_t *)&p->state, __ATOMIC_ACQUIRE) != PEER_SLOT_OPEN)
		return false;
	return slice_eq_nocase(slice_of(copy, len), host);
}

int control_peer_find(const struct control *c, struct slice host, uint32_t *frontend, uint32_t *conn,
		      uint32_t *generation)
{
	uint64_t hash = ident_hash_bytes(host, true);
	uint32_t high = peer_high(c);
	for (uint32_t i = 0; i < high; i++)
		if (peer_matches(&c->peer[i], host, hash, frontend, conn, generation))
			return (int)i;
	return -1;
}

// Whether an entry is open and a relay, and of this realm; fills in how to reach it, as peer_matches does.
static bool relay_matches(const struct control_peer *p, struct slice realm, bool *same_realm,
			  uint32_t *frontend, uint32_t *conn, uint32_t *generation)
{
	char copy[256];

	*generation = __atomic_load_n((const uint32_t *)&p->generation, __ATOMIC_ACQUIRE);
	if (__atomic_load_n((const uint32_t *)&p->state, __ATOMIC_ACQUIRE) != PEER_SLOT_OPEN)
		return false;
	bool relay = __atomic_load_n(&p->apps, __ATOMIC_ACQUIRE) & CONTROL_APP_RELAY;
	uint8_t len = __atomic_load_n(&p->realm_len, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < len; i++)
		copy[i] = __atomic_load_n(&p->realm[i], __ATOMIC_ACQUIRE);
	*frontend = __atomic_load_n(&p->frontend, __ATOMIC_ACQUIRE);
	*conn = __atomic_load_n(&p->conn, __ATOMIC_ACQUIRE);
	if (__atomic_load_n((const uint32_t *)&p->generation, __ATOMIC_ACQUIRE) != *generation ||
	    __atomic_load_n((const uint32_t *)&p->state, __ATOMIC_ACQUIRE) != PEER_SLOT_OPEN)
		return false;
	*same_realm = slice_eq_nocase(slice_of(copy, len), realm);
	return relay;
}

int control_peer_find_relay(const struct control *c, struct slice realm, uint32_t *frontend, uint32_t *conn,
			    uint32_t *generation)
{
	uint32_t high = peer_high(c), f, k, g;
	int found = -1;
	for (uint32_t i = 0; i < high; i++) {
		bool same = false;
		if (!relay_matches(&c->peer[i], realm, &same, &f, &k, &g) || (found >= 0 && !same))
			continue;
		found = (int)i;
		*frontend = f;
		*conn = k;
		*generation = g;
		if (same)
			break;
	}
	return found;
}

void control_frontend_clear(struct control *c, uint32_t frontend)
{
	// all of them: it may have died before it raised peer_high
	for (uint32_t i = 0; i < PEER_DIRECTORY_MAX; i++)
		if (__atomic_load_n((uint32_t *)&c->peer[i].owner, __ATOMIC_ACQUIRE) == frontend + 1)
			peer_free(&c->peer[i]);
}
