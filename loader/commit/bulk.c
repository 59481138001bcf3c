// The two batches of bulk.h: one fills while the fold thread writes the other. Loader process, main thread;
// laws 4 and 6. Why going past the journal is right:
//   - OP_NEW means that neither rows nor journal hold anything of the subscriber. So nothing that is folded later is
//     older than what is written here.
//   - No other operation about the subscriber begins meanwhile: txn_begin waits for a batch that has its key.
//   - The record's profile and nodes are held until the record is published.
//   - The pass that fills the cache at the start may have found the row and published it first. That record
//     stays, since a worker may have drawn from its words already (law 5).
#include "loader/commit/bulk.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "loader/commit/key_set.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define BULK_OPS     8192u
#define BULK_ENTRIES (BULK_OPS * 2)
#define BULK_BYTES   (16u << 20)
#define BULK_KEYS    (BULK_OPS * 4)
#define BULK_FEW     256u  // a smaller batch is cheaper in the journal, with one fsync
#define BULK_WORTH   4096u // a batch of this size is handed out at once; when more wait, their source is held back
#define BULK_WAIT_US 20000 // a batch waits so long for more, while new subscribers stream in
#define BULK_STREAM  1024u // so many in the last two seconds are a stream

// The two batches change places. Their memory is given back when no new subscriber has come for a while.
struct bulk_batch {
	struct op *op;
	struct entry *entry;
	uint32_t *entry_of; // first entry of each operation
	uint8_t *bytes;
	struct key_set keys;
	unsigned cnt, entry_cnt;
	size_t used;
};

struct bulk {
	struct bulk_batch a[2], *filling, *flying;
	bool in_flight;
	bool waiting; // for more, until `wait`
	bool dirty; // memory was used since the last tick
	struct event *wait;
	unsigned came, came_before; // since the last tick, and in the second before it
};

static void *region(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

#define BATCH_REGIONS(X)                                                                                             \
	X(op, BULK_OPS * sizeof(struct op))                                                                          \
	X(entry, BULK_ENTRIES * sizeof(struct entry))                                                                \
	X(entry_of, (BULK_OPS + 1) * sizeof(uint32_t))                                                               \
	X(bytes, BULK_BYTES)                                                                                         \
	X(keys.place, BULK_KEYS * sizeof(struct key_place))

static bool batch_init(struct bulk_batch *b)
{
#define MAP(member, len) b->member = region(len);
	BATCH_REGIONS(MAP)
#undef MAP
	b->keys.mask = BULK_KEYS - 1;
	b->keys.batch = 1;
	return b->op && b->entry && b->entry_of && b->bytes && b->keys.place;
}

static void batch_fini(struct bulk_batch *b)
{
#define UNMAP(member, len)                                                                                           \
	if (b->member)                                                                                               \
		munmap(b->member, len);
	BATCH_REGIONS(UNMAP)
#undef UNMAP
}

static void batch_give_back(struct bulk_batch *b)
{
#define GIVE(member, len) madvise(b->member, len, MADV_DONTNEED);
	BATCH_REGIONS(GIVE)
#undef GIVE
	b->keys.batch = 1; // the places are empty
}

static void batch_clear(struct bulk_batch *b)
{
	secret_wipe(b->op, b->cnt * sizeof(*b->op));
	secret_wipe(b->bytes, b->used);
	b->cnt = b->entry_cnt = 0;
	b->used = 0;
	key_set_clear(&b->keys);
}

static void on_wait(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	txn_turn(arg);
}

int bulk_new(struct loader *l)
{
	struct bulk *b = l->bulk = calloc(1, sizeof(*b));
	if (!b || !batch_init(&b->a[0]) || !batch_init(&b->a[1]))
		return -ENOMEM;
	b->filling = &b->a[0];
	b->flying = &b->a[1];
	if (l->base)
		b->wait = event_new(l->base, -1, 0, on_wait, l);
	return b->wait || !l->base ? 0 : -ENOMEM;
}

void bulk_free(struct loader *l)
{
	struct bulk *b = l->bulk;
	if (!b)
		return;
	if (b->wait)
		event_free(b->wait);
	batch_fini(&b->a[0]);
	batch_fini(&b->a[1]);
	free(b);
	l->bulk = NULL;
}

bool bulk_has(const struct loader *l, uint64_t key)
{
	struct bulk *b = l->bulk;
	return (b->filling->cnt && key_set_has(&b->filling->keys, key, false)) ||
	       (b->flying->cnt && key_set_has(&b->flying->keys, key, false));
}

unsigned bulk_waiting(const struct loader *l)
{
	return l->bulk->filling->cnt + l->bulk->flying->cnt;
}

bool txn_is_behind(struct loader *l)
{
	return local_is_behind(l->local) || (l->bulk->in_flight && l->bulk->filling->cnt >= BULK_WORTH);
}

static void begin_flight(struct loader *l)
{
	struct bulk *b = l->bulk;
	struct bulk_batch *full = b->filling;
	b->filling = b->flying;
	b->flying = full;
	b->in_flight = true;
	local_bulk_begin(l->local, full->entry, full->entry_cnt);
}

static int outcome(struct loader *l, const struct bulk_batch *f, unsigned i, int error)
{
	struct op *op = &f->op[i];
	if (!f->entry[f->entry_of[i]].seq)
		return error ? error : -EIO;
	if (cache_find(l->cache, op->rec.imsi))
		op->what = 0;
	return 0;
}

// Publishes and answers the batch that is on the disk. false: it is not yet.
static bool land(struct loader *l, bool wait)
{
	struct bulk *b = l->bulk;
	struct bulk_batch *f = b->flying;
	int error;
	if (!b->in_flight || !local_bulk_landed(l->local, wait, &error))
		return false;
	if (error)
		txn_commit_failed(l, error, f->cnt);
	else
		loader_stat(l, STAT_COMMITS, 1);
	for (unsigned i = 0; i < f->cnt; i++) {
		struct cache_record held = f->op[i].rec;
		txn_finish(l, &f->op[i], outcome(l, f, i, error));
		builder_release(l->builder, &held);
		secret_wipe(&held, sizeof(held));
	}
	// no builder_reclaim: operations that wait, or are being composed, name profiles that no record names yet
	batch_clear(f);
	b->in_flight = false;
	return true;
}

// To the ordinary batch: it is committed with the journal.
static void go_ordinary(struct loader *l)
{
	struct bulk_batch *f = l->bulk->filling;
	for (unsigned i = 0; i < f->cnt; i++) {
		txn_take_back(l, &f->op[i], &f->entry[f->entry_of[i]], f->entry_of[i + 1] - f->entry_of[i]);
		builder_release(l->builder, &f->op[i].rec);
	}
	batch_clear(f);
}

static bool has_room(const struct bulk_batch *f, unsigned entries, size_t octets)
{
	return f->cnt < BULK_OPS && f->entry_cnt + entries <= BULK_ENTRIES && f->used + octets <= BULK_BYTES;
}

void bulk_take(struct loader *l, const struct op *from, const struct entry *entries, unsigned n)
{
	struct bulk *b = l->bulk;
	size_t octets = 0;
	for (unsigned i = 0; i < n; i++)
		octets += entries[i].body.len;
	if (!has_room(b->filling, n, octets)) {
		(void)land(l, true);
		begin_flight(l);
	}
	struct bulk_batch *f = b->filling;
	(void)key_set_has(&f->keys, from->rec.imsi.v, true);
	builder_hold(l->builder, &from->rec);
	f->op[f->cnt] = *from;
	f->entry_of[f->cnt] = f->entry_cnt;
	for (unsigned i = 0; i < n; i++) {
		struct entry *e = &f->entry[f->entry_cnt++];
		*e = entries[i];
		memcpy(f->bytes + f->used, e->body.p, e->body.len);
		e->body.p = f->bytes + f->used;
		f->used += e->body.len;
	}
	f->entry_of[++f->cnt] = f->entry_cnt;
	b->came++;
	b->dirty = true;
}

void bulk_turn(struct loader *l)
{
	struct bulk *b = l->bulk;
	(void)land(l, false);
	unsigned n = b->filling->cnt;
	if (n == 0 || b->in_flight)
		return;
	bool stream = b->came + b->came_before >= BULK_STREAM;
	bool waited = b->wait && !event_pending(b->wait, EV_TIMEOUT, NULL) && b->waiting;
	if (!stream || (waited && n < BULK_FEW))
		go_ordinary(l);
	else if (n >= BULK_WORTH || waited || !b->wait)
		begin_flight(l);
	b->waiting = b->filling->cnt > 0;
	if (b->waiting && !event_pending(b->wait, EV_TIMEOUT, NULL))
		event_add(b->wait, &(struct timeval){.tv_usec = BULK_WAIT_US});
}

void bulk_settle(struct loader *l)
{
	struct bulk *b = l->bulk;
	(void)land(l, true);
	if (b->filling->cnt >= BULK_FEW) {
		begin_flight(l);
		(void)land(l, true);
	} else {
		go_ordinary(l);
	}
}

void bulk_tick(struct loader *l)
{
	struct bulk *b = l->bulk;
	b->came_before = b->came;
	b->came = 0;
	if (!b->dirty || b->came_before || bulk_waiting(l))
		return;
	b->dirty = false;
	batch_give_back(&b->a[0]);
	batch_give_back(&b->a[1]);
}
