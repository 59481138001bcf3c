// Cx in the loader: what a registered user costs in the cache, what of a state and of data comes back after a restart, and
// the identities that data give to a subscriber.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "apps/apps.h"
#include "apps/ims/user.h"
#include "apps/ims/state.h"
#include "tests/unit/loader_fixture.h"

#define IMSI "001010000000001"
#define MANY 64u

static struct config config; // of whoever looks up

static void imsi_at(unsigned n, char out[16])
{
	snprintf(out, 16, "0010100000%05u", n);
}

static enum change_status change(const char *imsi, uint16_t version, const struct ims_state *s, uint64_t key)
{
	static uint64_t id = 100;
	uint8_t body[IMS_STATE_MAX + 64], state[IMS_STATE_MAX];
	struct wr sw = wr_of(state, sizeof(state)), w = wr_of(body, sizeof(body));
	ims_state_put(&sw, s, false);
	const struct ipc_change c = {.imsi = imsi_of(imsi).v,
				     .key = change_key(key, 301, 1, clock_wall_us()),
				     .version = version,
				     .state_len = (uint16_t)wr_len(&sw),
				     .app = app_cx};
	wr_bytes(&w, &c, sizeof(c));
	wr_slice(&w, wr_done(&sw));
	world_frame(ROLE_WORKER, IPC_CHANGE, ++id, 0, body, wr_len(&w));
	txn_commit(&world.l);
	return world_ack(id);
}

static struct ims_state registered(void)
{
	return (struct ims_state){.scscf = slice_str("sip:scscf.ims.mnc001.mcc001.3gppnetwork.org:6060"),
				 .host = slice_str("scscf.ims.mnc001.mcc001.3gppnetwork.org"),
				 .realm = slice_str("ims.mnc001.mcc001.3gppnetwork.org"),
				 .time_s = 7,
				 .pair_cnt = 1,
				 .pair = {{IMS_DEVICE_IMSI, 0, IMS_REGISTERED}}};
}

static uint64_t used(void)
{
	builder_reclaim(world.l.builder);
	return world.l.header->blob_used;
}

static struct ims_state state_of(const char *imsi)
{
	struct ims_state s;
	const struct cache_record *r = cache_find(world.l.cache, imsi_of(imsi));
	assert_non_null(r);
	ims_state_of(world.l.cache, r, &s);
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

// The target of issue "IMS registration": 48 octets beyond the record while registered, nothing while not.
static void a_registered_user_costs_48_octets(void **state)
{
	const struct ims_state s = registered(), none = {.pair_cnt = 0};
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
	assert_int_equal(state_of(imsi).pair[0].flags, IMS_REGISTERED);
	for (unsigned n = 1; n <= MANY; n++) {
		imsi_at(n, imsi);
		assert_int_equal(change(imsi, 1, &none, 1000 + n), CHANGE_DONE);
	}
	for (unsigned i = 0; i < 4; i++) // what no reader can see any more is given back in steps
		(void)used();
	assert_int_equal(used(), before);
	assert_int_equal(state_of(imsi).pair_cnt, 0);
}

static void a_state_outlives_restarts(void **state)
{
	struct ims_state s = registered();
	(void)state;
	s.pair[0] = (struct ims_pair){IMS_DEVICE_IMSI, 0, IMS_REGISTERED | IMS_PENDING};
	assert_int_equal(change(IMSI, 0, &s, 1), CHANGE_DONE);
	s.pair_cnt = 3;
	s.pair[1] = (struct ims_pair){99, 4, IMS_UNREGISTERED};
	s.pair[2] = (struct ims_pair){99, 5, IMS_REGISTERED};
	s.restoration_cnt = 1;
	s.restoration[0] = (struct ims_restoration){99, slice_str("12345678")};
	assert_int_equal(change(IMSI, 1, &s, 2), CHANGE_DONE);
	assert_int_equal(change(IMSI, 1, &s, 3), CHANGE_CONFLICT);
	assert_int_equal(change(IMSI, 1, &s, 2), CHANGE_DUPLICATE);
	for (unsigned i = 0; i < 3; i++) {
		struct ims_state back = state_of(IMSI);
		assert_true(slice_eq(back.scscf, s.scscf) && slice_eq(back.host, s.host) && slice_eq(back.realm, s.realm));
		assert_int_equal(back.time_s, 7);
		assert_int_equal(back.version, 2);
		assert_int_equal(back.pair_cnt, 3);
		assert_int_equal(back.pair[0].flags, IMS_REGISTERED | IMS_PENDING);
		assert_int_equal(back.pair[2].set, 5);
		assert_true(slice_eq(back.restoration[0].avps, slice_str("12345678")));
		if (i == 1)
			assert_true(fold_now() >= 0);
		world_restart(i == 0);
	}
}

#define DOCUMENT(imsi, ims)                                                                                                \
	"{\"imsi\":\"" imsi "\",\"security\":{\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\","                                     \
	"\"opc\":\"E8ED289DEBA952E4283B54E88E6183CA\"},\"ims\":" ims "}"

static void put(const char *text)
{
	char call[2048];
	static uint64_t id = 9000;
	snprintf(call, sizeof(call), "{\"cmd\":\"subscriber add\",\"args\":{\"imsi\":\"1\",\"document\":%s}}", text);
	assert_int_equal(world_call(++id, call), ADMIN_OK);
}

static const struct cache_record *found(const char *identity, struct ims_user *u)
{
	struct subject s;
	bool wildcard;
	int at;
	assert_true(subject_read(strchr(identity, ':') ? SUBJECT_FORM_PUBLIC : SUBJECT_FORM_PRIVATE, slice_str(identity), &s));
	return ims_user_find(world.l.cache, &config, &s, u, &at, &wildcard);
}

static void identities_come_and_go_with_the_document(void **state)
{
	static struct ims_user u;
	(void)state;
	snprintf(config.ims_domain, sizeof(config.ims_domain), "ims.test");
	snprintf(config.realm, sizeof(config.realm), "test");
	put(DOCUMENT("001010000000900", "{\"private_identities\":[{\"identity\":\"a@home\"}],\"public_identities\":"
					"[{\"identity\":\"sip:A@home;x=y\"},{\"identity\":\"tel:+1-555\",\"set\":2}]}"));
	for (unsigned i = 0; i < 2; i++) {
		assert_non_null(found("a@HOME", &u));
		assert_int_equal(u.d.pub_cnt, 2);
		assert_non_null(found("sip:A@home", &u));
		assert_non_null(found("tel:1555", &u));
		assert_null(found("sip:a@home", &u));
		assert_null(found("sip:001010000000900@ims.test", &u));
		assert_non_null(found("sip:" IMSI "@IMS.test", &u)); // one without a member ims
		assert_non_null(found(IMSI "@test", &u));
		world_restart(i);
	}
	assert_int_equal(world_call(8000, "{\"cmd\":\"subscriber set\",\"args\":{\"imsi\":\"001010000000900\",\"fields\":{\"ims\":null}}}"),
			 ADMIN_OK);
	for (unsigned i = 0; i < 2; i++) {
		assert_null(found("sip:A@home", &u));
		assert_null(found("a@home", &u));
		assert_non_null(found("sip:001010000000900@ims.test", &u));
		world_restart(i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_registered_user_costs_48_octets, setup, teardown),
		cmocka_unit_test_setup_teardown(a_state_outlives_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(identities_come_and_go_with_the_document, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
