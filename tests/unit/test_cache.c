// The cache against a model: random puts, deletions, renumberings; after each step what the model holds is found with its
// exact content and what it does not hold is not found; a new builder attached in between finds the same. Then the
// edges: full, stuck readers, profiles and nodes coming and going, numbers that two records claim, concurrent readers.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

static uint32_t rng(uint32_t below)
{
	rng_state = rng_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((rng_state >> 33) % below);
}

static void fixture_open(struct fixture *f, uint32_t max)
{
	bool fresh;
	f->max = max;
	assert_int_equal(cache_create(max, &f->records, &f->records_ro, &f->sqn), 0);
	f->control_fd = control_create(1, 4);
	assert_true(f->control_fd >= 0);
	f->control = control_map(f->control_fd, true);
	assert_non_null(f->control);
	assert_int_equal(cache_open(&f->reader, f->records_ro, f->sqn, f->control, 0), 0);
	assert_null(cache_find(&f->reader, (imsi_t){1}));
	f->b = builder_open(f->records, f->sqn, f->control, max, &fresh);
	assert_non_null(f->b);
	assert_true(fresh);
}

static void fixture_close(struct fixture *f)
{
	builder_free(&f->b);
	cache_close(&f->reader);
	munmap(f->control, sizeof(*f->control));
	close(f->records);
	close(f->records_ro);
	close(f->sqn);
	close(f->control_fd);
}

static void fixture_attach(struct fixture *f)
{
	bool fresh;
	builder_free(&f->b);
	f->b = builder_open(f->records, f->sqn, f->control, f->max, &fresh);
	assert_non_null(f->b);
	assert_false(fresh);
}

static imsi_t imsi_no(uint32_t n)
{
	return (imsi_t){15ull << 60 | (1010000000001ull + n)};
}

static msisdn_t msisdn_no(uint32_t n)
{
	return (msisdn_t){12ull << 60 | (491700000000ull + n)};
}

static uint32_t profile_no(struct builder *b, uint32_t n)
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

static bool profile_is(const struct cache_profile *p, uint32_t n)
{
	if (!p || p->access_restriction != n || p->len != sizeof(*p) + 40 + n % 37 * 29)
		return false;
	for (uint32_t i = 0; i < p->len - sizeof(*p); i++)
		if (p->avps[i] != (uint8_t)(n + i * 7))
			return false;
	return true;
}

static uint32_t node_no(struct builder *b, uint32_t n)
{
	char host[64];
	snprintf(host, sizeof(host), "mme%u.epc.example.net", n);
	return builder_node(b, slice_str(host), slice_str("epc.example.net"));
}

static void keys_fill(struct cache_record *r, uint32_t version)
{
	for (unsigned i = 0; i < 16; i++) {
		r->k[i] = (uint8_t)(r->imsi.v + version * 3 + i);
		r->opc[i] = (uint8_t)(r->k[i] ^ 0xa5);
	}
	r->mme_time_us = version;
	r->sgsn_time_us = ~(uint64_t)version;
}

// Model: what is expected of IMSI number n.
struct model {
	bool there;
	uint32_t version, sqn, profile, node;
	uint32_t number[2]; // 0 = none
};

static void model_check(const struct fixture *f, const struct model *m, uint32_t n)
{
	const struct cache_record *r = cache_find(&f->reader, imsi_no(n));
	if (!m->there) {
		assert_null(r);
		return;
	}
	assert_non_null(r);
	struct cache_record want = {.imsi = imsi_no(n)};
	keys_fill(&want, m->version);
	assert_memory_equal(r->k, want.k, 16);
	assert_memory_equal(r->opc, want.opc, 16);
	assert_int_equal(r->mme_time_us, m->version);
	assert_int_equal(r->sgsn_time_us, ~(uint64_t)m->version);
	assert_int_equal(r->sqn, m->sqn);
	assert_int_equal(f->reader.sqn[r->sqn].next, 1000 + n);
	assert_true(m->profile == 0 ? !cache_profile(&f->reader, r) : profile_is(cache_profile(&f->reader, r), m->profile));
	struct slice host, realm;
	char text[64];
	assert_int_equal(cache_node_get(&f->reader, r->mme, &host, &realm), m->node != 0);
	snprintf(text, sizeof(text), "mme%u.epc.example.net", m->node);
	assert_true(m->node == 0 || slice_eq(host, slice_str(text)));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(r->msisdn[i].v, m->number[i] ? msisdn_no(m->number[i]).v : 0);
		if (m->number[i])
			assert_ptr_equal(cache_find_msisdn(&f->reader, msisdn_no(m->number[i])), r);
	}
}

#define MODEL_CNT 300
#define NUMBERS	  1200

static uint8_t number_owned[NUMBERS];

static void model_numbers(struct model *m)
{
	for (unsigned i = 0; i < 2; i++) {
		if (rng(3))
			continue;
		number_owned[m->number[i]] = 0;
		m->number[i] = 0;
		uint32_t n = 1 + rng(NUMBERS - 1);
		if (rng(4) && !number_owned[n]) {
			number_owned[n] = 1;
			m->number[i] = n;
		}
	}
}

static int model_put(struct fixture *f, struct model *m, uint32_t n)
{
	if (!m->there) {
		m->sqn = builder_sqn_take(f->b, 1000 + n, 1256 + n);
		assert_int_not_equal(m->sqn, UINT32_MAX);
	}
	m->version++;
	m->profile = rng(5) ? 1 + rng(60) : 0;
	m->node = rng(3) ? 1 + rng(50) : 0;
	model_numbers(m);
	struct cache_record r = {.imsi = imsi_no(n), .sqn = m->sqn};
	keys_fill(&r, m->version);
	if (m->profile) {
		r.profile = profile_no(f->b, m->profile);
		assert_int_not_equal(r.profile, 0);
	}
	if (m->node) {
		r.mme = node_no(f->b, m->node);
		assert_int_not_equal(r.mme, 0);
	}
	for (unsigned i = 0; i < 2; i++)
		r.msisdn[i] = m->number[i] ? msisdn_no(m->number[i]) : (msisdn_t){0};
	m->there = true;
	return builder_put(f->b, &r);
}

static void model_delete(struct fixture *f, struct model *m, uint32_t n)
{
	assert_int_equal(builder_delete(f->b, imsi_no(n)), m->there);
	if (m->there)
		for (unsigned i = 0; i < 2; i++) {
			number_owned[m->number[i]] = 0;
			m->number[i] = 0;
		}
	m->there = false;
}

static void random_walk(uint64_t seed)
{
	static struct model model[MODEL_CNT];
	struct fixture f;

	print_message("seed %llu\n", (unsigned long long)seed);
	rng_state = seed;
	memset(model, 0, sizeof(model));
	memset(number_owned, 0, sizeof(number_owned));
	fixture_open(&f, MODEL_CNT);
	for (unsigned step = 0; step < 4000; step++) {
		uint32_t n = rng(MODEL_CNT);
		if (rng(4))
			assert_int_equal(model_put(&f, &model[n], n), 0);
		else
			model_delete(&f, &model[n], n);
		if (rng(3) == 0)
			builder_reclaim(f.b);
		if (step % 200 == 199)
			fixture_attach(&f);
		for (unsigned i = 0; i < MODEL_CNT; i += step % 50 == 0 ? 1 : 13)
			model_check(&f, &model[i], i);
		model_check(&f, &model[n], n);
		for (uint32_t i = 1; step % 100 == 0 && i < NUMBERS; i++)
			assert_int_equal(cache_find_msisdn(&f.reader, msisdn_no(i)) != NULL, number_owned[i]);
	}
	uint32_t there = 0;
	for (unsigned i = 0; i < MODEL_CNT; i++)
		there += model[i].there;
	assert_int_equal(f.reader.h->subscriber_cnt, there);
	// nothing was lost: slots in use + free = all that were ever used, and updates reused what came free
	assert_true(f.reader.h->slot_high <= MODEL_CNT + 64);
	for (unsigned i = 0; i < MODEL_CNT; i++)
		model_delete(&f, &model[i], i);
	builder_reclaim(f.b);
	builder_reclaim(f.b);
	assert_int_equal(f.reader.h->subscriber_cnt, 0);
	assert_int_equal(f.reader.h->profile_cnt, 0);
	// with every key gone no tombstone is left
	for (uint64_t i = 0; i <= f.reader.imsi_mask; i++)
		assert_int_equal(f.reader.imsi_index[i], INDEX_EMPTY);
	for (uint64_t i = 0; i <= f.reader.msisdn_mask; i++)
		assert_int_equal(f.reader.msisdn_index[i], INDEX_EMPTY);
	fixture_close(&f);
}

static void test_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++)
		random_walk(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
