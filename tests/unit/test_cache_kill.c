// kill -9 of the loader at every step: a loader attaches, begins a change and ends at the k-th store that others
// can see, for all k; then at random instructions, killed by a timer. After each: what is published is exactly
// the old or the new record, a new loader attaches, nothing leaks, and what a reader held all the time has
// not changed under it.
//
// A step is where the loader's process would be killed: here it leaves with longjmp and never comes back, its
// memory abandoned, which others cannot tell from a kill. The random ones are real processes: with sanitizers
// a fork takes 11 ms.
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "cache_fixture.h"

// Of the leak sanitizer, if there is one.
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

enum { CNT = 40, NUMBERS = CNT * 8 };

static uint32_t steps_left;
static jmp_buf loader_gone;

// IMSIs and numbers whose homes lie close together, round the end of the index: removals have entries to
// move.
static imsi_t imsis[CNT];
static msisdn_t msisdns[NUMBERS];
static uint64_t identities[NUMBERS];

static void identities_choose(const struct cache *c)
{
	for (uint32_t n = 0, i = 0; n < CNT; i++)
		if ((((uint32_t)ident_hash(imsi_no(i).v) + 20) & c->imsi_mask) < 44)
			imsis[n++] = imsi_no(i);
	for (uint32_t n = 0, i = 0; n < NUMBERS; i++)
		if ((((uint32_t)ident_hash(msisdn_no(i).v) + 30) & c->msisdn_mask) < 70)
			msisdns[n++] = msisdn_no(i);
	// the home is in the upper bits
	for (uint32_t n = 0; n < NUMBERS; n++)
		identities[n] = ident_hash(n + 1) >> 20 | (uint64_t)(n % 70 - 30) << c->identity_shift;
}

// Parts and identities of a version; every fourth has none.
static struct builder_extra extra_no(struct builder *b, uint32_t n, uint32_t version, struct cache_part *part,
				     uint64_t *identity)
{
	static uint32_t words[2][64];
	struct builder_extra x = {.part = part, .identity = identity};
	if (version % 4 == 0)
		return x;
	for (unsigned kind = 0; kind <= version % 2; kind++) {
		words[kind][0] = node_no(b, version % 5);
		words[kind][1] = builder_shared(b, slice_of(&version, sizeof version));
		for (unsigned i = 2; i < 64; i++)
			words[kind][i] = version * 3 + i;
		part[x.part_cnt++] = (struct cache_part){.app = 3,
							 .kind = (uint8_t)kind,
							 .version = (uint8_t)version,
							 .node_cnt = 1,
							 .shared_cnt = 1,
							 .bytes = slice_of(words[kind], 8 + version % 200)};
	}
	for (unsigned i = 0; i < version % 4; i++)
		identity[x.identity_cnt++] = identities[n * 8 + (i * 3 + version) % 8];
	return x;
}

static void parts_look(const struct fixture *f, const struct cache_record *r, uint32_t n, uint32_t version,
		       bool attached)
{
	struct cache_part p;
	struct slice host, realm;
	bool has[8] = {false};
	for (unsigned kind = 0; kind < 2; kind++) {
		bool want = version % 4 && kind <= version % 2;
		assert_int_equal(cache_part_find(&f->reader, r, 3, kind, &p), want);
		if (!want)
			continue;
		uint32_t words[64];
		assert_int_equal(p.version, (uint8_t)version);
		assert_int_equal(p.bytes.len, 8 + version % 200);
		memcpy(words, p.bytes.p, p.bytes.len);
		assert_true(cache_node_get(&f->reader, words[0], &host, &realm));
		assert_int_equal(host.p[3], '0' + version % 5);
		assert_true(slice_eq(cache_shared_get(&f->reader, words[1]), slice_of(&version, sizeof version)));
		for (unsigned i = 2; i < p.bytes.len / 4; i++)
			assert_int_equal(words[i], version * 3 + i);
	}
	assert_false(cache_part_find(&f->reader, r, 2, 0, &p));
	for (unsigned i = 0; i < version % 4; i++)
		has[(i * 3 + version) % 8] = true;
	for (unsigned i = 0; i < 8; i++) {
		const struct cache_record *by = cache_find_identity(&f->reader, identities[n * 8 + i], NULL, NULL);
		assert_true(has[i] ? by == r || (!by && !attached) : !by);
	}
}

static void step(void)
{
	if (steps_left-- == 0)
		longjmp(loader_gone, 1);
}

static uint32_t put(struct builder *b, uint32_t n, uint32_t version)
{
	const struct cache_record *old = cache_find(builder_cache(b), imsis[n]);
	struct cache_record r = {.imsi = imsis[n]};
	// numbers, profile and node follow from the version, so that each change moves all of them
	r.sqn = old ? old->sqn : builder_sqn_take(b, 5000, 5256);
	r.msisdn[0] = msisdns[n * 8 + version % 3];
	r.msisdn[1] = version % 2 ? msisdns[n * 8 + 4 + version % 3] : (msisdn_t){0};
	r.profile = profile_no(b, version);
	r.serving[0].node = node_no(b, version % 7);
	keys_fill(&r, version);
	struct cache_part part[2];
	uint64_t identity[3];
	struct builder_extra x = extra_no(b, n, version, part, identity);
	assert_int_equal(builder_put_with(b, &r, &x), 0);
	return r.sqn;
}

// Returns the version that is there, 0 for none; checks that it is whole.
static uint32_t look(const struct fixture *f, uint32_t n, bool attached)
{
	struct slice host, realm;
	const struct cache_record *r = cache_find(&f->reader, imsis[n]);
	if (!r)
		return 0;
	uint32_t version = (uint32_t)r->serving[0].time_us;
	assert_true(keys_whole(r));
	assert_true(profile_is(cache_profile(&f->reader, r), version));
	assert_true(cache_node_get(&f->reader, r->serving[0].node, &host, &realm));
	assert_int_equal(host.p[3], '0' + version % 7);
	assert_int_equal(r->msisdn[0].v, msisdns[n * 8 + version % 3].v);
	// between the stores, a number may not lead here yet; it never leads elsewhere
	for (uint32_t i = 0; i < 8; i++) {
		msisdn_t m = msisdns[n * 8 + i];
		const struct cache_record *by = cache_find_msisdn(&f->reader, m);
		bool has = r->msisdn[0].v == m.v || r->msisdn[1].v == m.v;
		assert_true(has ? by == r || (!by && !attached) : !by);
	}
	parts_look(f, r, n, version, attached);
	return version;
}

enum change { CHANGE_UPDATE, CHANGE_INSERT, CHANGE_DELETE, CHANGE_KEYS, CHANGE_RECLAIM, CHANGE_CNT };

static void change(struct builder *b, enum change what, uint32_t n, uint32_t version)
{
	switch (what) {
	case CHANGE_UPDATE:
	case CHANGE_INSERT:
		put(b, n, version);
		break;
	case CHANGE_DELETE:
		builder_delete(b, imsis[n]);
		break;
	case CHANGE_KEYS: { // other SQN words
		struct cache_record r = *cache_find(builder_cache(b), imsis[n]);
		r.sqn = builder_sqn_take(b, 7000, 7256);
		assert_int_equal(builder_put(b, &r), 0);
		break;
	}
	case CHANGE_RECLAIM:
		put(b, n, version);
		put(b, n, version + 1);
		builder_reclaim(b);
		break;
	case CHANGE_CNT:
		break;
	}
}

// Runs `what` as a loader that is killed at step k; false when it came to its end before.
static bool killed_at(struct fixture *f, enum change what, uint32_t n, uint32_t version, uint32_t k)
{
	bool fresh;
	int fd = dup(f->records); // the number that the loader's own descriptor will have
	close(fd);
	if (__lsan_disable)
		__lsan_disable();
	bool ended = setjmp(loader_gone);
	if (!ended) {
		steps_left = k;
		cache_step_hook = step;
		struct builder *b = builder_open(f->records, f->sqn, f->control, f->max, 0, &fresh);
		assert_true(b && !fresh);
		change(b, what, n, version);
		cache_step_hook = NULL;
		builder_free(&b);
	}
	cache_step_hook = NULL;
	if (ended)
		close(fd);
	if (__lsan_enable)
		__lsan_enable();
	return ended;
}

static void check_after_kill(struct fixture *f, uint32_t n, uint32_t *version, uint32_t other)
{
	for (unsigned attached = 0; attached < 2; attached++) {
		for (uint32_t i = 0; i < CNT; i++) {
			uint32_t v = look(f, i, attached);
			if (i != n || attached)
				assert_int_equal(v, version[i]);
			else if (v != version[i] && other && v == other + 1)
				version[i] = v; // two puts
			else {
				assert_true(v == version[i] || v == other);
				version[i] = v;
			}
		}
		if (!attached)
			fixture_attach(f);
	}
}

// One change of subscriber n that is killed at step k, with everything that must hold afterwards.
static bool kill_one(struct fixture *f, enum change what, uint32_t n, uint32_t k, uint32_t *version,
		     uint32_t *next)
{
	// the reader sits on the old one through kill, attach and more changes
	cache_pin(&f->reader);
	const struct cache_record *held = cache_find(&f->reader, imsis[n]);
	struct cache_record copy = *held;
	struct cache_part part;
	uint8_t bytes[256];
	bool has_part = cache_part_find(&f->reader, held, 3, 0, &part);
	if (has_part)
		memcpy(bytes, part.bytes.p, part.bytes.len);
	uint32_t held_version = version[n];
	if (what == CHANGE_INSERT) {
		builder_delete(f->b, imsis[n]);
		version[n] = 0;
	}
	uint32_t new_version = what == CHANGE_DELETE ? 0 : what == CHANGE_KEYS ? version[n] : *next;
	*next += 2;
	bool killed = killed_at(f, what, n, new_version, k);
	// the one who comes to clean up may be killed as well
	if (killed && k % 3)
		killed_at(f, CHANGE_CNT, n, 0, rng(12));
	check_after_kill(f, n, version, new_version);
	for (unsigned i = 0; i < 5; i++)
		put(f->b, (n + 1) % CNT, version[(n + 1) % CNT] = (*next)++);
	builder_reclaim(f->b);
	assert_memory_equal(held, &copy, sizeof(copy));
	if (has_part)
		assert_memory_equal(part.bytes.p, bytes, part.bytes.len);
	assert_true(profile_is(cache_profile(&f->reader, &copy), held_version));
	cache_unpin(&f->reader);
	if (!version[n])
		put(f->b, n, version[n] = (*next)++);
	assert_nothing_lost(f->b);
	return killed;
}

static void kill_all_steps(enum change what)
{
	struct fixture f;
	uint32_t version[CNT], next = 1, steps = 0, idle = 0;

	fixture_open(&f, 64);
	identities_choose(&f.reader);
	rng_state = 3;
	for (uint32_t n = 0; n < CNT; n++) {
		version[n] = next++;
		put(f.b, n, version[n]);
	}
	builder_reclaim(f.b);
	// how many steps there are depends on the subscriber: on until a whole round came to its end
	for (uint32_t k = 0; idle < 5; k++, idle++)
		for (uint32_t i = 0; i < 5; i++)
			if (kill_one(&f, what, (k * 7 + i * 5) % CNT, k, version, &next)) {
				steps++;
				idle = 0;
			}
	print_message("killed %u times\n", steps);
	assert_true(steps > 30);
	// removals had something to move
	assert_true(f.reader.h->imsi_moves + f.reader.h->msisdn_moves > 0 || what == CHANGE_KEYS);
	assert_true(f.reader.h->identity_moves > 0 || what == CHANGE_KEYS);
	fixture_close(&f);
}

static void test_kill_update(void **state)
{
	(void)state;
	kill_all_steps(CHANGE_UPDATE);
}

static void test_kill_insert(void **state)
{
	(void)state;
	kill_all_steps(CHANGE_INSERT);
}

static void test_kill_delete(void **state)
{
	(void)state;
	kill_all_steps(CHANGE_DELETE);
}

static void test_kill_keys(void **state)
{
	(void)state;
	kill_all_steps(CHANGE_KEYS);
}

static void test_kill_reclaim(void **state)
{
	(void)state;
	kill_all_steps(CHANGE_RECLAIM);
}

// Any instruction: a timer kills a child that changes without rest.
static void test_kill_anywhere(void **state)
{
	(void)state;
	struct fixture f;
	fixture_open(&f, 256);
	identities_choose(&f.reader);
	rng_state = 99;
	for (uint32_t n = 0; n < CNT; n++)
		put(f.b, n, n + 1);
	const char *all = getenv("HSS_CHECK_ALL");
	const uint32_t rounds = all && all[0] == '1' ? 2000 : 50;
	for (uint32_t round = 0; round < rounds; round++) {
		uint32_t delay_us = 50 + rng(3000);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			bool fresh;
			struct itimerval timer = {.it_value = {.tv_usec = delay_us}};
			signal(SIGALRM, SIG_DFL);
			setitimer(ITIMER_REAL, &timer, NULL);
			struct builder *b = builder_open(f.records, f.sqn, f.control, f.max, 0, &fresh);
			if (!b || fresh)
				_exit(2);
			rng_state += round;
			for (uint32_t v = round * 100000 + 100;; v++) {
				if (rng(4))
					put(b, rng(CNT), v);
				else
					builder_delete(b, imsis[rng(CNT)]);
				if (v % 5 == 0)
					builder_reclaim(b);
			}
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
		uint32_t version[CNT], there = 0;
		for (uint32_t n = 0; n < CNT; n++) {
			version[n] = look(&f, n, false);
			there += version[n] != 0;
		}
		fixture_attach(&f);
		for (uint32_t n = 0; n < CNT; n++)
			assert_int_equal(look(&f, n, true), version[n]);
		assert_int_equal(f.reader.h->subscriber_cnt, there);
		assert_nothing_lost(f.b);
	}
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kill_anywhere), // first: it forks, and the others leave memory behind
	    cmocka_unit_test(test_kill_update),
	    cmocka_unit_test(test_kill_insert),
	    cmocka_unit_test(test_kill_delete),
	    cmocka_unit_test(test_kill_keys),
	    cmocka_unit_test(test_kill_reclaim),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
