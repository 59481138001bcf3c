// The control segment: creation, the directory of peers under concurrent claims and deaths, results and
// latencies.
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
#include <unistd.h>
#include "cache/control.h"
#include "cache/layout.h"

static int control_fd;

static struct control *control_new(void)
{
	control_fd = control_create(2, 3);
	assert_true(control_fd >= 0);
	struct control *c = control_map(control_fd, true);
	assert_non_null(c);
	return c;
}

static void control_end(struct control *c)
{
	munmap(c, sizeof(*c));
	close(control_fd);
}

static int peer_open(struct control *c, uint32_t frontend, uint32_t conn, const char *host)
{
	int i = control_peer_claim(c, frontend);
	if (i < 0)
		return i;
	struct control_peer *p = &c->peer[i];
	p->conn = conn;
	p->host_len = (uint8_t)strlen(host);
	memcpy(p->host, host, p->host_len);
	__atomic_store_n((uint64_t *)&p->host_hash, ident_hash_bytes(slice_str(host), true),
			 __ATOMIC_RELAXED);
	__atomic_store_n((uint32_t *)&p->state, PEER_SLOT_OPEN, __ATOMIC_RELEASE);
	return i;
}

static void test_relays(void **state)
{
	(void)state;
	struct control *c = control_new();
	uint32_t f, k, g;
	assert_int_equal(control_peer_find_relay(c, slice_str("home"), &f, &k, &g), -1);
	int plain = peer_open(c, 0, 1, "mme.home"), far = peer_open(c, 0, 2, "dra.ipx"),
	    near = peer_open(c, 1, 3, "dra.home");
	for (int i = 0; i < 3; i++) {
		struct control_peer *p = &c->peer[i == 0 ? plain : i == 1 ? far : near];
		p->apps = i ? CONTROL_APP_RELAY : 2;
		p->realm_len = i == 1 ? 3 : 4;
		memcpy(p->realm, i == 1 ? "ipx" : "Home", p->realm_len);
	}
	// the realm's own, then any; never who is no relay
	assert_int_equal(control_peer_find_relay(c, slice_str("home"), &f, &k, &g), near);
	assert_true(f == 1 && k == 3);
	assert_int_equal(control_peer_find_relay(c, slice_str("elsewhere"), &f, &k, &g), far);
	assert_true(f == 0 && k == 2);
	control_peer_release(c, near);
	assert_int_equal(control_peer_find_relay(c, slice_str("home"), &f, &k, &g), far);
	// in doubt (RFC 3539): not used
	c->peer[far].state = PEER_SLOT_CLAIMED;
	assert_int_equal(control_peer_find_relay(c, slice_str("home"), &f, &k, &g), -1);
	control_end(c);
}

static void test_create(void **state)
{
	(void)state;
	struct control *c = control_new();
	assert_int_equal(c->frontend_cnt, 2);
	assert_int_equal(c->worker_cnt, 3);
	assert_int_equal(c->epoch, 1);
	assert_true(c->started_us > 1500000000000000ull);
	assert_int_equal(ftruncate(control_fd, 0), -1);
	struct control *ro = control_map(control_fd, false);
	assert_non_null(ro);
	uint32_t a, b, g;
	assert_int_equal(control_peer_find(ro, slice_str("x"), &a, &b, &g), -1);
	munmap(ro, sizeof(*ro));
	c->version++;
	assert_null(control_map(control_fd, true));
	assert_int_equal(errno, EPROTO);
	control_end(c);
	assert_int_equal(control_create(FRONTEND_MAX + 1, 1), -EINVAL);
	assert_int_equal(control_create(1, WORKER_MAX + 1), -EINVAL);
}

static void test_directory(void **state)
{
	(void)state;
	struct control *c = control_new();
	uint32_t frontend, conn, generation, again;
	int i = peer_open(c, 1, 7, "mme1.example.net");
	assert_int_equal(control_peer_find(c, slice_str("MME1.example.NET"), &frontend, &conn, &generation),
			 i);
	assert_int_equal(frontend, 1);
	assert_int_equal(conn, 7);
	assert_int_equal(control_peer_find(c, slice_str("mme2.example.net"), &frontend, &conn, &again), -1);
	__atomic_store_n((uint32_t *)&c->peer[i].state, PEER_SLOT_CLOSING, __ATOMIC_RELEASE);
	assert_int_equal(control_peer_find(c, slice_str("mme1.example.net"), &frontend, &conn, &again), -1);
	control_peer_release(c, i);
	assert_int_equal(peer_open(c, 0, 8, "mme1.example.net"), i);
	assert_int_equal(control_peer_find(c, slice_str("mme1.example.net"), &frontend, &conn, &again), i);
	assert_int_not_equal(again, generation);
	control_peer_release(c, -1);
	control_peer_release(c, PEER_DIRECTORY_MAX);
	control_end(c);
}

static void test_full_and_dead_frontend(void **state)
{
	(void)state;
	struct control *c = control_new();
	char host[64];
	uint32_t frontend, conn, generation;
	for (uint32_t n = 0; n < PEER_DIRECTORY_MAX; n++) {
		snprintf(host, sizeof(host), "p%u.example.net", n);
		assert_int_equal(peer_open(c, n % 2, n, host), n);
	}
	assert_int_equal(control_peer_claim(c, 0), -1);
	assert_int_equal(control_peer_find(c, slice_str("p4095.example.net"), &frontend, &conn, &generation),
			 4095);
	control_frontend_clear(c, 1);
	assert_int_equal(control_peer_find(c, slice_str("p4095.example.net"), &frontend, &conn, &generation),
			 -1);
	assert_int_equal(control_peer_find(c, slice_str("p4094.example.net"), &frontend, &conn, &generation),
			 4094);
	// one that died between its claim and anything else
	int i = control_peer_claim(c, 5);
	assert_int_equal(i, 1);
	c->peer[i].frontend = 0;
	control_frontend_clear(c, 5);
	assert_int_equal(control_peer_claim(c, 0), 1);
	control_end(c);
}

static void *claim_all(void *arg)
{
	struct control *c = arg;
	uintptr_t cnt = 0;
	while (control_peer_claim(c, 3) >= 0)
		cnt++;
	return (void *)cnt;
}

static void test_claims_race(void **state)
{
	(void)state;
	struct control *c = control_new();
	pthread_t t[3];
	uintptr_t total = 0;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, claim_all, c), 0);
	for (unsigned i = 0; i < 3; i++) {
		void *cnt;
		pthread_join(t[i], &cnt);
		total += (uintptr_t)cnt;
	}
	assert_int_equal(total, PEER_DIRECTORY_MAX);
	for (unsigned i = 0; i < PEER_DIRECTORY_MAX; i++)
		assert_int_equal(c->peer[i].generation, 1);
	control_end(c);
}

static void test_results(void **state)
{
	(void)state;
	bool seen[STAT_RESULT_MAX] = {0};
	char text[16];
	for (unsigned exp = 0; exp < 2; exp++)
		for (uint32_t code = 0; code < 12000; code++) {
			unsigned i = stat_result_index(code, exp);
			assert_true(i < STAT_RESULT_MAX);
			if (i == STAT_RESULT_MAX - 1)
				continue;
			assert_false(seen[i]);
			seen[i] = true;
			snprintf(text, sizeof(text), exp ? "exp_%u" : "%u", code);
			assert_string_equal(stat_result_text(i), text);
		}
	assert_string_equal(stat_result_text(stat_result_index(2001, false)), "2001");
	assert_string_equal(stat_result_text(stat_result_index(5001, true)), "exp_5001");
	assert_string_equal(stat_result_text(stat_result_index(4181, true)), "exp_4181");
	assert_string_equal(stat_result_text(stat_result_index(UINT32_MAX, true)), "other");
	assert_int_equal(stat_result_index(15001, false), STAT_RESULT_MAX - 1);
	assert_string_equal(stat_result_text(UINT32_MAX), "other");
	assert_int_equal(stat_latency_bucket(0), 0);
	assert_int_equal(stat_latency_bucket(50), 0);
	assert_int_equal(stat_latency_bucket(51), 1);
	assert_int_equal(stat_latency_bucket(100), 1);
	assert_int_equal(stat_latency_bucket(UINT64_MAX), STAT_LATENCY_BUCKETS - 1);
	assert_string_equal(role_name(ROLE_LOADER), "loader");
	assert_string_equal(role_name(ROLE_CNT), "unknown");
}

static void test_instances(void **state)
{
	(void)state;
	bool seen[ROLE_INSTANCE_MAX] = {0};
	for (unsigned r = 0; r < ROLE_CNT; r++) {
		unsigned cnt = r == ROLE_FRONTEND ? FRONTEND_MAX : r == ROLE_WORKER ? WORKER_MAX : 1;
		for (unsigned i = 0; i < cnt; i++) {
			unsigned at = control_instance(r, i);
			assert_true(at < ROLE_INSTANCE_MAX && !seen[at]);
			seen[at] = true;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_relays),
	    cmocka_unit_test(test_create),
	    cmocka_unit_test(test_directory),
	    cmocka_unit_test(test_full_and_dead_frontend),
	    cmocka_unit_test(test_claims_race),
	    cmocka_unit_test(test_results),
	    cmocka_unit_test(test_instances),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
