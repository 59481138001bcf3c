// SWx in the loader: what a registered user costs in the cache, what of a state comes back after a restart, and what a document
// means for a user who is registered: nothing, a PPR, or an RTR.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "apps/apps.h"
#include "apps/swx/data.h"
#include "apps/swx/registration.h"
#include "tests/unit/loader_fixture.h"

#define IMSI "001010000000001"
#define MANY 64u

static void imsi_at(unsigned n, char out[16])
{
	snprintf(out, 16, "0010100000%05u", n);
}

static enum change_status change(const char *imsi, uint16_t version, const struct swx_state *s, uint64_t key)
{
	static uint64_t id = 100;
	uint8_t body[SWX_STATE_MAX + 64], state[SWX_STATE_MAX];
	struct wr sw = wr_of(state, sizeof(state)), w = wr_of(body, sizeof(body));
	swx_state_put(&sw, s, false);
	const struct ipc_change c = {.imsi = imsi_of(imsi).v,
				     .key = change_key(key, 301, 1, clock_wall_us()),
				     .version = version,
				     .state_len = (uint16_t)wr_len(&sw),
				     .app = app_swx};
	wr_bytes(&w, &c, sizeof(c));
	wr_slice(&w, wr_done(&sw));
	world_frame(ROLE_WORKER, IPC_CHANGE, ++id, 0, body, wr_len(&w));
	txn_commit(&world.l);
	return world_ack(id);
}

static struct swx_state registered(void)
{
	return (struct swx_state){.host = slice_str("aaa.epc.mnc001.mcc001.3gppnetwork.org"),
				  .realm = slice_str("epc.mnc001.mcc001.3gppnetwork.org"),
				  .flags = SWX_REGISTERED,
				  .time_s = 7};
}

static uint64_t used(void)
{
	builder_reclaim(world.l.builder);
	return world.l.header->blob_used;
}

static struct swx_state state_of(const char *imsi)
{
	struct swx_state s;
	const struct cache_record *r = cache_find(world.l.cache, imsi_of(imsi));
	assert_non_null(r);
	swx_state_of(world.l.cache, r, &s);
	return s;
}

static int setup(void **state)
{
	char imsi[16];
	(void)state;
	world_open(1000);
	for (unsigned n = 1; n <= MANY; n++) {
		imsi_at(n, imsi);
		world_add(imsi);
	}
	world_sent_clear();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close();
	return 0;
}

static void a_registered_user_costs_48_octets(void **state)
{
	const struct swx_state s = registered(), none = {.flags = 0};
	char imsi[16];
	(void)state;
	uint64_t before = used();
	imsi_at(1, imsi);
	assert_int_equal(change(imsi, 0, &s, 1), CHANGE_DONE);
	uint64_t first = used();
	for (unsigned n = 2; n <= MANY; n++) {
		imsi_at(n, imsi);
		assert_int_equal(change(imsi, 0, &s, n), CHANGE_DONE);
	}
	assert_in_range((used() - first) / (MANY - 1), 1, 48);
	assert_int_equal(state_of(imsi).flags, SWX_REGISTERED);
	for (unsigned n = 1; n <= MANY; n++) {
		imsi_at(n, imsi);
		assert_int_equal(change(imsi, 1, &none, 1000 + n), CHANGE_DONE);
	}
	for (unsigned i = 0; i < 4; i++) // what no reader can see any more is given back in steps
		(void)used();
	assert_int_equal(used(), before);
	assert_int_equal(state_of(imsi).flags, 0);
}

static void a_state_outlives_restarts(void **state)
{
	struct swx_state s = registered();
	(void)state;
	s.flags = SWX_PENDING;
	assert_int_equal(change(IMSI, 0, &s, 1), CHANGE_DONE);
	s.flags = SWX_REGISTERED;
	s.gateways.cnt = 2;
	s.gateways.one[0] = (struct gateway){.apn = slice_str("internet"), .info = slice_str("12345678")};
	s.gateways.one[1] = (struct gateway){.apn = slice_str("ims"), .info = slice_str("abc")};
	assert_int_equal(change(IMSI, 1, &s, 2), CHANGE_DONE);
	assert_int_equal(change(IMSI, 1, &s, 3), CHANGE_CONFLICT);
	assert_int_equal(change(IMSI, 1, &s, 2), CHANGE_DUPLICATE);
	for (unsigned i = 0; i < 3; i++) {
		struct swx_state back = state_of(IMSI);
		assert_true(slice_eq(back.host, s.host) && slice_eq(back.realm, s.realm));
		assert_true(back.flags == SWX_REGISTERED && back.time_s == 7 && back.version == 2 && back.gateways.cnt == 2);
		assert_true(slice_eq(back.gateways.one[1].info, slice_str("abc")));
		if (i == 1)
			assert_true(fold_now() >= 0);
		world_restart(i == 0);
	}
}

// Sets members of the subscriber's document.
static void set(const char *fields)
{
	static uint64_t id = 9000;
	char call[512];
	snprintf(call, sizeof(call), "{\"cmd\":\"subscriber set\",\"args\":{\"imsi\":\"" IMSI "\",\"fields\":%s}}", fields);
	assert_int_equal(world_call(++id, call), ADMIN_OK);
}

static unsigned requests_now(void)
{
	return hss_requests_pending(&world.l);
}

static void what_a_document_means(void **state)
{
	struct swx_state s = registered();
	(void)state;
	set("{\"non_3gpp\":{\"apns\":[\"internet\"],\"rat_types\":[\"wlan\"]}}");
	s.flags = SWX_PENDING;
	assert_int_equal(change(IMSI, 0, &s, 1), CHANGE_DONE);
	set("{\"non_3gpp\":{\"allowed\":false}}"); // nobody is registered yet
	assert_int_equal(requests_now(), 0);
	set("{\"non_3gpp\":null}");
	s.flags = SWX_REGISTERED;
	assert_int_equal(change(IMSI, 1, &s, 2), CHANGE_DONE);
	set("{\"non_3gpp\":{\"rat_types\":[\"wlan\"]}}"); // nothing that the AAA server is told
	set("{\"access_restriction_data\":0}");
	assert_int_equal(requests_now(), 0);
	set("{\"non_3gpp\":{\"apn_access\":false}}");
	assert_int_equal(requests_now(), 1);
	set("{\"ambr.downlink.value\":7}"); // the newer PPR takes the place of the older one
	assert_int_equal(requests_now(), 1);
	for (unsigned i = 0; i < 2; i++) {
		struct swx_data d;
		swx_data_of(world.l.cache, cache_find(world.l.cache, imsi_of(IMSI)), &d);
		assert_true(d.no_apns && !d.denied);
		world_restart(i);
	}
	assert_int_equal(state_of(IMSI).flags, SWX_REGISTERED);
	set("{\"non_3gpp\":{\"apns\":[\"other\"]}}");
	assert_int_equal(requests_now(), 2); // and an RTR
	assert_int_equal(state_of(IMSI).host.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_registered_user_costs_48_octets, setup, teardown),
		cmocka_unit_test_setup_teardown(a_state_outlives_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_document_means, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
