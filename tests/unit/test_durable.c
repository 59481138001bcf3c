// Law 6 proved from below: what is acknowledged was synced before, one sync serves many, and a disk that is
// full or broken refuses changes, loses nothing and recovers.
#include "tests/unit/loader_fixture.h"
#include "tests/unit/faulty_vfs.h"

#define N 50

static unsigned acks_dirty, acks;

// Every answer that says "done" looks at the disk.
static void checking_send(struct loader *l, enum role role, unsigned index, uint16_t type, uint64_t id,
			  const void *body, size_t len)
{
	uint64_t ack;
	world_send(l, role, index, type, id, body, len);
	if (type == IPC_CHANGE_ACK) {
		memcpy(&ack, body, sizeof(ack));
		acks += ack == CHANGE_DONE;
		acks_dirty += ack == CHANGE_DONE && faulty.dirty;
	}
	if (type == IPC_ADMIN_END)
		acks_dirty += faulty.dirty && faulty.write_fault == 0;
}

static void imsi_name(unsigned i, char out[16])
{
	snprintf(out, 16, "0010100000000%02u", i);
}

static int setup(void **state)
{
	char imsi[16];
	(void)state;
	world.vfs = faulty_register();
	world_open(1000);
	world.l.send = checking_send;
	for (unsigned i = 0; i < N; i++) {
		imsi_name(i, imsi);
		world_add(imsi);
	}
	world_sent_clear();
	acks = acks_dirty = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close();
	world.vfs = NULL;
	return 0;
}

static void ulr(unsigned i, const char *host, uint64_t id)
{
	char imsi[16];
	imsi_name(i, imsi);
	world_ulr(imsi, id, host);
}

static const struct cache_record *record(unsigned i)
{
	char imsi[16];
	imsi_name(i, imsi);
	return cache_find(world.l.cache, imsi_of(imsi));
}

static void synced_before_it_is_said(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < N; i++)
			ulr(i, round % 2 ? "a" : "b", 1 + round * 100 + i);
		assert_true(acks == round * N); // nothing yet
		txn_commit(&world.l);
		assert_int_equal(acks, (round + 1) * N);
	}
	assert_int_equal(acks_dirty, 0);
}

static void many_share_one_sync(void **state)
{
	(void)state;
	unsigned before = faulty.syncs;
	for (unsigned i = 0; i < N; i++)
		ulr(i, "a", 1 + i);
	txn_commit(&world.l);
	assert_int_equal(acks, N);
	assert_in_range(faulty.syncs - before, 1, 2);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
	static const int faults[][2] = {{SQLITE_FULL, 0}, {SQLITE_IOERR_WRITE, 0}, {0, SQLITE_IOERR_FSYNC}};
	uint64_t id = 1;
	(void)state;
	for (unsigned f = 0; f < 3; f++) {
		ulr(1, "before", ++id);
		txn_commit(&world.l);
		assert_int_equal(world_ack(id), CHANGE_DONE);
		uint32_t mme = record(1)->serving[0].node;
		faulty.write_fault = faults[f][0];
		faulty.sync_fault = faults[f][1];
		uint64_t limit = loader_seq_limit(&world.l, record(1)->sqn);
		struct ipc_sqn_block b = {
		    .imsi = record(1)->imsi.v, .index = record(1)->sqn, .at_least = limit + 1};
		ulr(2, "lost", ++id);
		world_frame(ROLE_WORKER, IPC_SQN_BLOCK, 900 + f, 0, &b, sizeof(b));
		txn_commit(&world.l);
		assert_int_equal(world_ack(id), CHANGE_REFUSED);
		assert_int_equal(record(1)->serving[0].node, mme);
		assert_int_equal(loader_seq_limit(&world.l, record(1)->sqn), limit);
		uint64_t raised;
		memcpy(&raised, sent_find(IPC_SQN_BLOCK_ACK, 900 + f)->body, 8);
		assert_int_equal(raised, 0);
		// what needs no write is still served
		struct ipc_read_through m = {.imsi = record(3)->imsi.v};
		world_frame(ROLE_WORKER, IPC_READ_THROUGH, 700 + f, 0, &m, sizeof(m));
		assert_non_null(sent_find(IPC_READ_THROUGH_ACK, 700 + f));
		assert_true(txn_failing(&world.l));
		faulty.write_fault = faulty.sync_fault = 0;
		ulr(2, "again", ++id);
		txn_commit(&world.l);
		assert_int_equal(world_ack(id), CHANGE_DONE);
		assert_false(txn_failing(&world.l));
	}
	assert_int_equal(acks_dirty, 0);
	assert_int_equal(world.control->stats[1].c[STAT_COMMIT_FAILURES], 3);
	world_restart(true);
	struct slice host, realm;
	assert_true(cache_node_get(world.l.cache, record(2)->serving[0].node, &host, &realm));
	assert_true(slice_eq(host, slice_str("again")));
}

static void a_fault_at_every_write(void **state)
{
	uint64_t id = 1;
	(void)state;
	for (unsigned after = 0; after < 40; after++) {
		faulty.fault_after = after;
		faulty.write_fault = SQLITE_FULL;
		char host[16];
		snprintf(host, sizeof(host), "h%u", after);
		for (unsigned i = 0; i < N; i++)
			ulr(i, host, ++id);
		txn_commit(&world.l);
		int folded = fold_now();
		(void)folded; // it may fail as well
		bool done = world_ack(id) == CHANGE_DONE;
		faulty.write_fault = 0;
		world_sent_clear();
		world_restart(after % 2);
		world.l.send = checking_send;
		struct slice h = {0}, r;
		(void)cache_node_get(world.l.cache, record(N - 1)->serving[0].node, &h, &r);
		if (done)
			assert_true(slice_eq(h, slice_str(host)));
	}
	assert_int_equal(acks_dirty, 0);
}

static void folding_fails_and_goes_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++)
		ulr(i, "a", 1 + i);
	txn_commit(&world.l);
	faulty.write_fault = SQLITE_FULL;
	assert_int_equal(fold_now(), -ENOSPC);
	faulty.write_fault = 0;
	assert_true(fold_now() >= 0);
	assert_int_equal(local_folded(world.l.local), local_seq(world.l.local));
	world_restart(true);
	assert_int_not_equal(record(N - 1)->serving[0].node, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(synced_before_it_is_said), T(many_share_one_sync),       T(a_full_disk_refuses_and_recovers),
	    T(a_fault_at_every_write),   T(folding_fails_and_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
