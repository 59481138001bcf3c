// What the tests of the cache share: a cache with a builder and one reader, and records whose content follows
// from the IMSI and a version, so that a torn or recycled one is recognised.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/builder.h"

struct fixture {
	int records, records_ro, sqn, control_fd;
	struct control *control;
	struct builder *b;
	struct cache reader;
	uint32_t max;
};

static uint64_t rng_state;

static inline uint32_t rng(uint32_t below)
{
	rng_state = rng_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((rng_state >> 33) % below);
}

static inline void fixture_open(struct fixture *f, uint32_t max)
{
	bool fresh;
	f->max = max;
	assert_int_equal(cache_create(max, 0, &f->records, &f->records_ro, &f->sqn), 0);
	f->control_fd = control_create(1, 4);
	assert_true(f->control_fd >= 0);
	f->control = control_map(f->control_fd, true);
	assert_non_null(f->control);
	assert_int_equal(cache_open(&f->reader, f->records_ro, f->sqn, f->control, 0), 0);
	assert_null(cache_find(&f->reader, (imsi_t){1}));
	f->b = builder_open(f->records, f->sqn, f->control, max, 0, &fresh);
	assert_non_null(f->b);
	assert_true(fresh);
}

static inline void fixture_close(struct fixture *f)
{
	builder_free(&f->b);
	cache_close(&f->reader);
	munmap(f->control, sizeof(*f->control));
	close(f->records);
	close(f->records_ro);
	close(f->sqn);
	close(f->control_fd);
}

static inline void fixture_attach(struct fixture *f)
{
	bool fresh;
	builder_free(&f->b);
	f->b = builder_open(f->records, f->sqn, f->control, f->max, 0, &fresh);
	assert_non_null(f->b);
	assert_false(fresh);
}

static inline imsi_t imsi_no(uint32_t n)
{
	return (imsi_t){15ull << 60 | (1010000000001ull + n)};
}

static inline msisdn_t msisdn_no(uint32_t n)
{
	return (msisdn_t){12ull << 60 | (491700000000ull + n)};
}

static inline uint32_t profile_no(struct builder *b, uint32_t n)
{
	uint8_t bytes[1200] __attribute__((aligned(8))) = {0};
	struct cache_profile *p = (void *)bytes;
	p->len = (uint32_t)sizeof(*p) + 40 + n % 37 * 29;
	p->access_restriction = n;
	p->head_len = 40;
	for (uint32_t i = 0; i < p->len - sizeof(*p); i++)
		p->avps[i] = (uint8_t)(n + i * 7);
	return builder_profile(b, p);
}

static inline bool profile_is(const struct cache_profile *p, uint32_t n)
{
	if (!p || p->access_restriction != n || p->len != sizeof(*p) + 40 + n % 37 * 29)
		return false;
	for (uint32_t i = 0; i < p->len - sizeof(*p); i++)
		if (p->avps[i] != (uint8_t)(n + i * 7))
			return false;
	return true;
}

static inline uint32_t node_no(struct builder *b, uint32_t n)
{
	char host[64];
	snprintf(host, sizeof(host), "mme%u.epc.example.net", n);
	return builder_node(b, slice_str(host), slice_str("epc.example.net"));
}

static inline void keys_fill(struct cache_record *r, uint32_t version)
{
	for (unsigned i = 0; i < 16; i++) {
		r->k[i] = (uint8_t)(r->imsi.v + version * 3 + i);
		r->opc[i] = (uint8_t)(r->k[i] ^ 0xa5);
	}
	r->serving[0].time_us = version;
	r->serving[1].time_us = ~(uint64_t)version;
}

// Whether a record is whole: what keys_fill wrote, for one version.
static inline bool keys_whole(const struct cache_record *r)
{
	struct cache_record want = {.imsi = r->imsi};
	keys_fill(&want, (uint32_t)r->serving[0].time_us);
	return memcmp(want.k, r->k, 16) == 0 && memcmp(want.opc, r->opc, 16) == 0 &&
	       r->serving[1].time_us == ~r->serving[0].time_us;
}

static inline uint32_t pool_free_cnt(const struct pool *p)
{
	uint32_t cnt = p->stack_cnt;
	for (uint32_t i = 0; i <= p->cnt / 64; i++)
		cnt += (uint32_t)__builtin_popcountll(p->free[i]);
	return cnt;
}

static inline uint64_t blob_free_units(const struct builder *b)
{
	uint64_t units = 0;
	for (unsigned c = 0; c < BLOB_CLASSES; c++)
		for (uint32_t at = b->blob_free[c]; at;) {
			const struct cache_blob *blob =
			    (const void *)(b->blob + (uint64_t)(at - 1) * CACHE_BLOB_ALIGN);
			units += blob->units;
			at = blob->owner;
		}
	return units;
}

// Whatever was ever used is in use or free: nothing leaks. No reader may be pinned.
static inline void assert_nothing_lost(struct builder *b)
{
	builder_reclaim(b);
	builder_reclaim(b);
	assert_int_equal(b->retired_cnt, 0);
	assert_int_equal(b->gaps, 0);
	assert_int_equal(b->h->slot_high, b->h->subscriber_cnt + pool_free_cnt(&b->slots));
	assert_int_equal(b->h->sqn_high, b->h->subscriber_cnt + pool_free_cnt(&b->sqns));
	assert_int_equal(b->h->blob_high, b->h->blob_used + blob_free_units(b) * CACHE_BLOB_ALIGN);
}
