// The last refusals of subscribers (refusals.h). A worker that is killed while it writes leaves an odd turn behind: readers pass
// over the entry, and the next write of it puts that right.
#include "cache/refusals.h"
#include "lib/base/ident.h"
#include <assert.h>
#include <string.h>

#define READ_TRIES 4

void refusal_set_host(struct refusal *f, struct slice host)
{
	f->host_len = (uint8_t)(host.len < sizeof(f->host) ? host.len : sizeof(f->host));
	if (f->host_len)
		memcpy(f->host, host.p, f->host_len);
}

static unsigned set_of(uint64_t imsi)
{
	return (unsigned)(ident_hash(imsi) % REFUSAL_SETS);
}

static bool is_same(const struct refusal *a, const struct refusal *b)
{
	return a->imsi == b->imsi && a->app == b->app && a->command == b->command && a->reason == b->reason &&
	       memcmp(a->plmn, b->plmn, 3) == 0;
}

#define WORDS (sizeof(struct refusal) / sizeof(uint64_t))
static_assert(sizeof(struct refusal) % sizeof(uint64_t) == 0, "is written and read as words");

static void write_entry(struct refusals *t, unsigned set, unsigned way, const struct refusal *f)
{
	uint32_t *turn = (uint32_t *)&t->entry[set][way].turn;
	uint64_t *to = (uint64_t *)&t->entry[set][way].r;
	const uint64_t *from = (const uint64_t *)f;
	uint32_t odd = *turn | 1;
	__atomic_store_n(turn, odd, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < WORDS; i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELEASE); // whoever reads a word sees the odd turn
	__atomic_store_n(turn, odd + 1, __ATOMIC_RELEASE);
}

void refusals_add(struct refusals *t, const struct refusal *f)
{
	if (!t)
		return;
	unsigned set = set_of(f->imsi), at = 0;
	for (unsigned i = 0; i < REFUSAL_WAYS; i++) {
		const struct refusal *o = &t->entry[set][i].r;
		if (is_same(o, f)) {
			at = i;
			break;
		}
		if (o->time_us < t->entry[set][at].r.time_us)
			at = i;
	}
	write_entry(t, set, at, f);
	__atomic_store_n((uint32_t *)&t->used, 1, __ATOMIC_RELAXED);
}

bool refusals_came_back(struct refusals *t, uint64_t imsi, unsigned app, const uint8_t plmn[3])
{
	bool came = false;
	if (!t || !__atomic_load_n((uint32_t *)&t->used, __ATOMIC_RELAXED))
		return false;
	unsigned set = set_of(imsi);
	for (unsigned i = 0; i < REFUSAL_WAYS; i++) {
		struct refusal f = t->entry[set][i].r;
		if (f.imsi != imsi || f.app != app || f.came_back || memcmp(f.plmn, plmn, 3) == 0)
			continue;
		f.came_back = 1;
		write_entry(t, set, i, &f);
		came = true;
	}
	return came;
}

// false: it was being written each time.
static bool read_entry(const struct refusals *t, unsigned set, unsigned way, struct refusal *out)
{
	uint32_t *turn = (uint32_t *)&t->entry[set][way].turn;
	const uint64_t *from = (const uint64_t *)&t->entry[set][way].r;
	uint64_t *to = (uint64_t *)out;
	for (unsigned n = 0; n < READ_TRIES; n++) {
		uint32_t before = __atomic_load_n(turn, __ATOMIC_ACQUIRE);
		for (unsigned i = 0; i < WORDS; i++)
			to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
		if (!(before & 1) && __atomic_load_n(turn, __ATOMIC_RELAXED) == before)
			return true;
	}
	return false;
}

unsigned refusals_find(const struct control *c, uint64_t imsi, struct refusal *out, unsigned max)
{
	unsigned cnt = 0, workers = c->worker_cnt < WORKER_MAX ? c->worker_cnt : WORKER_MAX;
	for (unsigned w = 0; w < workers; w++) {
		const struct refusals *t = &c->refusals[w];
		for (unsigned i = 0; i < REFUSAL_WAYS && __atomic_load_n((uint32_t *)&t->used, __ATOMIC_RELAXED); i++) {
			struct refusal f;
			if (!read_entry(t, set_of(imsi), i, &f) || f.imsi != imsi || !imsi)
				continue;
			unsigned at = cnt < max ? cnt++ : max;
			for (; at && out[at - 1].time_us < f.time_us; at--)
				if (at < max)
					out[at] = out[at - 1];
			if (at < max)
				out[at] = f;
		}
	}
	return cnt;
}
