// An application that the core has never heard of, in the loader (tests/support/dummy_app.h): its state is durable,
// published, kept apart from that of others, and its HSS-initiated requests are sent.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "tests/support/dummy_app.h"
#define WORLD_APPS with_dummy
extern const struct loader_app *const with_dummy[];
#include "tests/unit/loader_fixture.h"

extern const struct loader_app s6a_loader;
const struct loader_app *const with_dummy[] = {&s6a_loader, &dummy_loader, NULL};

#define IMSI  "001010000000001"
#define OTHER "001010000000002"

static enum change_status change(const char *imsi, uint16_t version, uint32_t count, uint64_t key)
{
	static uint64_t id = 100;
	uint8_t body[128];
	const struct ipc_change c = {.imsi = imsi_of(imsi).v,
				     .key = change_key(key, 324, 1, clock_wall_us()),
				     .version = version,
				     .state_len = 4,
				     .request_cnt = 1,
				     .app = DUMMY_APP};
	const struct ipc_change_request q = {.purpose = DUMMY_PURPOSE, .host_len = 4, .realm_len = 4};
	struct wr w = wr_of(body, sizeof(body));
	wr_bytes(&w, &c, sizeof(c));
	wr_u32(&w, count);
	wr_bytes(&w, &q, sizeof(q));
	wr_bytes(&w, "nodetest", 8);
	world_frame(ROLE_WORKER, IPC_CHANGE, ++id, 0, body, wr_len(&w));
	txn_commit(&world.l);
	return world_ack(id);
}

static uint32_t count_of(const char *imsi, uint16_t *version)
{
	const struct cache_record *r = cache_find(world.l.cache, imsi_of(imsi));
	assert_non_null(r);
	return dummy_count(world.l.cache, r, version);
}

static int setup(void **state)
{
	(void)state;
	world_open(100);
	world_add(IMSI);
	world_add(OTHER);
	world_sent_clear();
	return 0;
}

static void its_state_is_durable_and_published(void **state)
{
	uint16_t version;
	(void)state;
	assert_int_equal(change(IMSI, 0, 1, 11), CHANGE_DONE);
	assert_int_equal(change(IMSI, 1, 2, 12), CHANGE_DONE);
	assert_int_equal(change(IMSI, 1, 9, 13), CHANGE_CONFLICT);
	assert_int_equal(change(IMSI, 2, 9, 12), CHANGE_DUPLICATE);
	assert_int_equal(count_of(IMSI, &version), 2);
	assert_int_equal(version, 2);
	assert_int_equal(count_of(OTHER, NULL), 0);
	for (unsigned power_cut = 0; power_cut < 2; power_cut++) {
		world_restart(power_cut);
		assert_int_equal(count_of(IMSI, &version), 2);
		assert_int_equal(version, 2);
		assert_int_equal(count_of(OTHER, NULL), 0);
	}
	assert_true(fold_now() >= 0); // from rows, too
	world_restart(true);
	assert_int_equal(count_of(IMSI, &version), 2);
	assert_int_equal(change(IMSI, 2, 3, 14), CHANGE_DONE);
}

// S6a's changes, and those of the document, leave it alone; and it leaves S6a's alone.
static void its_state_and_that_of_others_are_apart(void **state)
{
	struct slice host, realm;
	(void)state;
	assert_int_equal(change(IMSI, 0, 5, 21), CHANGE_DONE);
	world_ulr(IMSI, 1, "mme.test");
	txn_commit(&world.l);
	assert_int_equal(world_ack(1), CHANGE_DONE);
	assert_int_equal(change(IMSI, 1, 6, 22), CHANGE_DONE);
	assert_int_equal(world_call(7, "{\"cmd\":\"subscriber set\",\"args\":{\"imsi\":\"" IMSI
				       "\",\"fields\":{\"msisdn\":[\"49151\"]}}}"),
			 ADMIN_OK);
	for (unsigned i = 0; i < 2; i++) {
		const struct cache_record *r = cache_find(world.l.cache, imsi_of(IMSI));
		assert_int_equal(count_of(IMSI, NULL), 6);
		assert_true(cache_node_get(world.l.cache, r->serving[0].node, &host, &realm));
		assert_true(slice_eq(host, slice_str("mme.test")));
		assert_int_equal(r->version, 1);
		world_restart(true);
	}
}

static void its_state_goes_with_the_subscriber(void **state)
{
	(void)state;
	assert_int_equal(change(IMSI, 0, 5, 31), CHANGE_DONE);
	assert_int_equal(world_call(8, "{\"cmd\":\"subscriber delete\",\"args\":{\"imsi\":\"" IMSI "\"}}"), ADMIN_OK);
	world_add(IMSI);
	assert_int_equal(count_of(IMSI, NULL), 0);
	world_restart(true);
	assert_int_equal(count_of(IMSI, NULL), 0);
	assert_int_equal(change(IMSI, 0, 1, 32), CHANGE_DONE);
}

// A newer request of the same purpose for the same node takes the place of the older one.
static void its_requests_are_sent_and_replaced(void **state)
{
	struct ipc_hss_send d;
	(void)state;
	assert_int_equal(change(IMSI, 0, 1, 41), CHANGE_DONE);
	assert_int_equal(sent_count(IPC_HSS_SEND), 1);
	assert_int_equal(change(IMSI, 1, 2, 42), CHANGE_DONE);
	assert_int_equal(hss_requests_pending(&world.l), 1);
	assert_int_equal(change(OTHER, 0, 1, 43), CHANGE_DONE);
	assert_int_equal(hss_requests_pending(&world.l), 2);
	uint64_t last = 0;
	for (unsigned i = 0; i < world.sent_cnt; i++)
		if (world.sent[i].type == IPC_HSS_SEND) {
			memcpy(&d, world.sent[i].body, sizeof(d));
			assert_int_equal(d.app, DUMMY_APP);
			assert_int_equal(d.purpose, DUMMY_PURPOSE);
			last = d.imsi == imsi_of(IMSI).v ? world.sent[i].id : last;
		}
	world_restart(true);
	assert_int_equal(hss_requests_pending(&world.l), 2);
	world_hss_sent(IMSI, last - 1, HSS_SENT_DONE, 2001); // a late word about the one that was replaced
	assert_int_equal(hss_requests_pending(&world.l), 2);
	world_hss_sent(IMSI, last, HSS_SENT_DONE, 2001);
	assert_int_equal(hss_requests_pending(&world.l), 1);
	txn_commit(&world.l);
	world_restart(true);
	assert_int_equal(hss_requests_pending(&world.l), 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    T(its_state_is_durable_and_published),
	    T(its_state_and_that_of_others_are_apart),
	    T(its_state_goes_with_the_subscriber),
	    T(its_requests_are_sent_and_replaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
