// CHANGE: what a ULR, PUR and NOR do to the state, which CLRs follow, and what a repetition does not do.
#include "tests/unit/loader_fixture.h"
#include "loader/app.h"
#include "lib/base/clock.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

#define IMSI "001010000000001"
#define MME1 "mme1.epc.test"
#define MME2 "mme2.epc.test"
#define SGSN "sgsn.epc.test"

static uint64_t next_id = 1;

// Under a number of its own.
static uint64_t ask_begin(const struct world_ask *a)
{
	struct world_ask with = *a;
	with.id = ++next_id;
	with.imsi = a->imsi ? a->imsi : IMSI;
	with.realm = "epc.test.";
	return world_change(&with) ? next_id : 0;
}

static enum change_status ask(const struct world_ask *a)
{
	uint64_t id = ask_begin(a);
	assert_true(id);
	txn_commit(&world.l);
	return world_ack(id);
}

static void assert_node(uint32_t node, const char *host)
{
	struct slice h, r;
	assert_true(cache_node_get(world.l.cache, node, &h, &r));
	assert_true(slice_eq(h, slice_str(host)));
	assert_true(slice_eq(r, slice_str("epc.test.")));
}

static const struct cache_record *record(void)
{
	const struct cache_record *r = cache_find(world.l.cache, imsi_of(IMSI));
	assert_non_null(r);
	return r;
}

// The only HSS-initiated request since the last clear.
static void assert_clr(const char *host, uint32_t type, uint32_t flags)
{
	assert_int_equal(sent_count(IPC_HSS_SEND), 1);
	for (unsigned i = 0; i < world.sent_cnt; i++) {
		struct ipc_hss_send d;
		struct s6a_cancel c;
		const uint8_t *names = world.sent[i].body + sizeof(d);
		if (world.sent[i].type != IPC_HSS_SEND)
			continue;
		memcpy(&d, world.sent[i].body, sizeof(d));
		assert_int_equal(d.imsi, imsi_of(IMSI).v);
		assert_int_equal(d.app, app_s6a);
		assert_int_equal(d.tries, 0);
		assert_true(slice_eq(slice_of(names, d.host_len), slice_str(host)));
		assert_true(s6a_cancel_get(d.purpose, slice_of(names + d.host_len + d.realm_len, d.data_len), &c));
		assert_int_equal(c.type, type);
		assert_int_equal(c.flags, flags);
		assert_true(c.registered_us > 0);
	}
}

static int setup(void **state)
{
	(void)state;
	world_open(100);
	world_add(IMSI);
	world_sent_clear();
	return 0;
}

static void ulr_stores_the_mme(void **state)
{
	(void)state;
	assert_int_equal(ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1}), CHANGE_DONE);
	assert_node(record()->serving[S6A_MME].node, MME1);
	assert_int_equal(record()->serving[S6A_SGSN].node, 0);
	assert_memory_equal(record()->serving[S6A_MME].plmn, "\x00\xf1\x10", 3);
	assert_true(record()->serving[S6A_MME].time_us > 0);
	assert_int_equal(sent_count(IPC_HSS_SEND), 0);
	world_restart(true);
	assert_node(record()->serving[S6A_MME].node, MME1);
	assert_memory_equal(record()->serving[S6A_MME].plmn, "\x00\xf1\x10", 3);
}

static void nothing_is_answered_before_the_commit(void **state)
{
	(void)state;
	uint64_t id = ask_begin(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	assert_null(sent_find(IPC_CHANGE_ACK, id));
	assert_int_equal(record()->serving[S6A_MME].node, 0);
	txn_commit(&world.l);
	assert_int_equal(world_ack(id), CHANGE_DONE);
}

static void new_mme_cancels_the_old_one(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = "MME1.EPC.test"}); // the same: case does not count
	assert_int_equal(sent_count(IPC_HSS_SEND), 0);
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2});
	assert_clr(MME1, CANCEL_MME_UPDATE, CLR_S6A); // as it was first written
}

static void racing_ulrs_in_one_batch_are_ordered(void **state)
{
	(void)state;
	uint64_t first = ask_begin(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	uint64_t second = ask_begin(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2});
	txn_commit(&world.l);
	assert_int_equal(world_ack(first), CHANGE_DONE);
	assert_int_equal(world_ack(second), CHANGE_CONFLICT); // its worker decides again, from what the first one left
	assert_int_equal(ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2}), CHANGE_DONE);
	assert_node(record()->serving[S6A_MME].node, MME2);
	assert_clr(MME1, CANCEL_MME_UPDATE, CLR_S6A);
}

static void purged_mme_is_not_cancelled(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	assert_int_equal(ask(&(struct world_ask){.kind = WORLD_PUR, .host = MME1}), CHANGE_DONE);
	assert_true(record()->serving[S6A_MME].flags & SERVING_PURGED);
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2});
	assert_int_equal(sent_count(IPC_HSS_SEND), 0);
	assert_false(record()->serving[S6A_MME].flags & SERVING_PURGED);
}

static void mme_and_sgsn_side_by_side(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	ask(&(struct world_ask){.kind = WORLD_ULR_SGSN, .host = SGSN});
	assert_node(record()->serving[S6A_MME].node, MME1);
	assert_node(record()->serving[S6A_SGSN].node, SGSN);
	assert_int_equal(sent_count(IPC_HSS_SEND), 0);
	ask(&(struct world_ask){.kind = WORLD_ULR_SGSN, .host = "sgsn2.epc.test"});
	assert_clr(SGSN, CANCEL_SGSN_UPDATE, 0);
}

static void initial_attach_cancels_the_sgsn_and_keeps_it(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_SGSN, .host = SGSN});
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1, .cancel_other = true});
	assert_clr(SGSN, CANCEL_INITIAL_ATTACH, 0);
	assert_node(record()->serving[S6A_SGSN].node, SGSN);
}

static void single_registration_deletes_the_sgsn(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_SGSN, .host = SGSN});
	ask(&(struct world_ask){
	    .kind = WORLD_ULR_MME, .host = MME1, .clear_sgsn = true, .cancel_other = true});
	assert_clr(SGSN, CANCEL_SGSN_UPDATE, 0);
	assert_int_equal(record()->serving[S6A_SGSN].node, 0);
	assert_true(record()->serving[S6A_SGSN].time_us > 0); // of its removal
}

static void unknown_user(void **state)
{
	(void)state;
	assert_int_equal(
	    ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1, .imsi = "001010000000099"}),
	    CHANGE_UNKNOWN_USER);
}

// Folding has lost touch: what could not be folded for long is not taken.
static void a_full_journal_is_busy(void **state)
{
	(void)state;
	uint64_t max = world.l.journal_max;
	world.l.journal_max = 0;
	assert_int_equal(ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1}), CHANGE_BUSY);
	assert_int_equal(record()->serving[S6A_MME].node, 0);
	world.l.journal_max = max;
	assert_int_equal(ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1}), CHANGE_DONE);
}

// Cut anywhere, too long by an octet, or of an application that there is not.
static void broken_bodies_are_refused(void **state)
{
	(void)state;
	uint8_t body[2048];
	struct s6a_decision d;
	uint16_t version;
	const struct world_ask a = {.imsi = IMSI, .host = MME2};
	ask(&(struct world_ask){.host = MME1});
	assert_true(world_decide(&a, &d, &version));
	size_t whole = world_change_body(&a, &d, version, body, sizeof(body));
	for (size_t len = sizeof(struct ipc_change); len <= whole + 1; len++) {
		if (len == whole)
			continue;
		world_frame(ROLE_WORKER, IPC_CHANGE, 1000 + len, 0, body, len);
		assert_int_equal(world_ack(1000 + len), CHANGE_REFUSED);
	}
	for (unsigned app = 0; app < 256; app++) {
		if (app < STATE_ROW_DATA && loader_app(&world.l, app))
			continue; // its octets are the application's own matter
		body[offsetof(struct ipc_change, app)] = (uint8_t)app;
		world_frame(ROLE_WORKER, IPC_CHANGE, 5000 + app, 0, body, whole);
		assert_int_equal(world_ack(5000 + app), CHANGE_REFUSED);
	}
	txn_commit(&world.l);
	assert_node(record()->serving[S6A_MME].node, MME1);
}

// The state is not the one any more that the worker decided from.
static void another_version_is_a_conflict(void **state)
{
	(void)state;
	uint8_t body[2048];
	struct s6a_decision d;
	uint16_t version;
	const struct world_ask a = {.imsi = IMSI, .host = MME2};
	assert_true(world_decide(&a, &d, &version));
	size_t len = world_change_body(&a, &d, version, body, sizeof(body));
	ask(&(struct world_ask){.host = MME1});
	world_frame(ROLE_WORKER, IPC_CHANGE, 7, 0, body, len);
	assert_int_equal(world_ack(7), CHANGE_CONFLICT);
	txn_commit(&world.l);
	assert_node(record()->serving[S6A_MME].node, MME1);
	world_restart(true); // versions go on
	world_frame(ROLE_WORKER, IPC_CHANGE, 8, 0, body, len);
	assert_int_equal(world_ack(8), CHANGE_CONFLICT);
}

static void a_repetition_changes_nothing(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1, .key = 5});
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2, .key = 6});
	world_sent_clear();
	// the last key, and the one before it: the original may come after its copy
	assert_int_equal(ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2, .key = 6}),
			 CHANGE_DUPLICATE);
	assert_int_equal(ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1, .key = 5}),
			 CHANGE_DUPLICATE);
	assert_node(record()->serving[S6A_MME].node, MME2);
	assert_int_equal(sent_count(IPC_HSS_SEND), 0);
	assert_int_equal(ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1, .key = 7}),
			 CHANGE_DONE);
}

static void a_repetition_is_known_after_a_restart(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1, .key = 5});
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2, .key = 6});
	for (int power_cut = 0; power_cut < 2; power_cut++) {
		world_restart(power_cut);
		assert_int_equal(ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2, .key = 6}),
				 CHANGE_DUPLICATE);
		assert_int_equal(
		    ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1, .key = 5, .hdr_flags = 1}),
		    CHANGE_DUPLICATE);
		assert_int_equal(
		    ask(&(struct world_ask){
			    .kind = WORLD_ULR_MME, .host = MME1, .repeated = true, .key = 5}),
		    CHANGE_DUPLICATE);
	}
}

static void a_repeated_purge_is_one(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	ask(&(struct world_ask){.kind = WORLD_PUR, .host = MME1, .key = 9});
	assert_int_equal(ask(&(struct world_ask){.kind = WORLD_PUR, .host = MME1, .key = 9}), CHANGE_DUPLICATE);
}

// RFC 6733 3: an End-to-End id is unique for four minutes, no longer.
static void an_end_to_end_id_that_comes_again_a_day_later_is_a_new_request(void **state)
{
	(void)state;
	uint64_t now = clock_wall_us();
	clock_freeze_us(now);
	ask(&(struct world_ask){.host = MME1, .key = 5});
	ask(&(struct world_ask){.host = MME2, .key = 6});
	clock_freeze_us(now + 239 * 1000000ull);
	assert_int_equal(ask(&(struct world_ask){.host = MME1, .key = 5}), CHANGE_DUPLICATE);
	clock_freeze_us(now + 86400 * 1000000ull);
	assert_int_equal(ask(&(struct world_ask){.host = MME1, .key = 5}), CHANGE_DONE);
	assert_node(record()->serving[S6A_MME].node, MME1);
	clock_freeze_us(0);
}

static struct slice pdn_gw(uint8_t *buf, size_t cap, const char *apn, uint8_t gw)
{
	struct wr w = wr_of(buf, cap);
	uint8_t address[6] = {0, 1, 10, 0, 0, gw};
	avp_put_slice(&w, AVP_CODE_Service_Selection, 0, AVP_M, slice_str(apn));
	avp_put(&w, AVP_CODE_MIP_Home_Agent_Address, 0, AVP_M, address, 6);
	return wr_done(&w);
}

static unsigned chunks(void)
{
	struct slice ext;
	unsigned n = 0;
	if (local_read_merged(world.l.local, imsi_of(IMSI), app_s6a, &ext) != 1)
		return 0;
	for (struct rd r = rd_slice(ext); rd_left(&r); n++) {
		(void)rd_blob16(&r);
		assert_false(r.err);
	}
	return n;
}

static void nor(struct slice chunk)
{
	assert_int_equal(ask(&(struct world_ask){
			     .kind = WORLD_NOR, .host = MME1, .kept = {[1] = chunk}, .merge = true}),
			 CHANGE_DONE);
}

static void nor_keeps_one_gateway_an_apn(void **state)
{
	uint8_t a[64], b[64], c[64];
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	nor(pdn_gw(a, sizeof(a), "internet", 1));
	nor(pdn_gw(b, sizeof(b), "ims", 2));
	assert_int_equal(chunks(), 2);
	nor(pdn_gw(c, sizeof(c), "INTERNET", 3));
	assert_int_equal(chunks(), 2);
	// a ULR without a list keeps them, in the journal and in the rows
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	assert_int_equal(chunks(), 2);
	world_restart(true);
	assert_int_equal(chunks(), 2);
	// Active-APN replaces all
	struct wr w = wr_of(a, sizeof(a));
	wr_u16(&w, 16);
	avp_put(&w, AVP_CODE_Active_APN, 10415, AVP_M, "xxxx", 4);
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1, .kept = {[1] = wr_done(&w)}});
	assert_int_equal(chunks(), 1);
	// and a deletion takes all
	assert_int_equal(world_call(501, "{\"cmd\":\"subscriber delete\",\"args\":{\"imsi\":\"" IMSI "\"}}"), ADMIN_OK);
	assert_int_equal(chunks(), 0);
	world_add(IMSI);
	assert_int_equal(chunks(), 0);
	world_restart(true);
	assert_int_equal(chunks(), 0);
}

static uint64_t delivered_id(void)
{
	for (unsigned i = 0; i < world.sent_cnt; i++)
		if (world.sent[i].type == IPC_HSS_SEND)
			return world.sent[i].id;
	fail_msg("no HSS_SEND");
	return 0;
}

static void a_clr_survives_until_it_is_delivered(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2});
	uint64_t id = delivered_id();
	world_hss_sent(IMSI, id, HSS_SENT_LATER, 0);
	assert_int_equal(hss_requests_pending(&world.l), 1);
	world_restart(true);
	assert_int_equal(hss_requests_pending(&world.l), 1);
	world_sent_clear();
	clock_freeze_us(clock_wall_us() + 20 * 1000000);
	hss_requests_tick(&world.l);
	assert_int_equal(delivered_id(), id);
	clock_freeze_us(0);
	world_hss_sent(IMSI, id, HSS_SENT_DONE, 0);
	assert_int_equal(hss_requests_pending(&world.l), 0);
	txn_commit(&world.l);
	world_restart(false);
	assert_int_equal(hss_requests_pending(&world.l), 0);
}

// How often it was sent before, of the request that is there; -1: none is.
static int delivered_tries(void)
{
	struct ipc_hss_send d;
	for (unsigned i = 0; i < world.sent_cnt; i++) {
		if (world.sent[i].type != IPC_HSS_SEND)
			continue;
		memcpy(&d, world.sent[i].body, sizeof d);
		return (int)d.tries;
	}
	return -1;
}

static void a_clr_that_was_lost_takes_another_way(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2});
	uint64_t id = delivered_id();
	assert_int_equal(delivered_tries(), 0);
	for (int i = 1; i <= 4; i++) {
		world_sent_clear();
		world_hss_sent(IMSI, id, HSS_SENT_LOST, 0);
		assert_int_equal(delivered_id(), id); // at once, and the T flag is due
		assert_int_equal(delivered_tries(), i);
	}
	world_sent_clear();
	world_hss_sent(IMSI, id, HSS_SENT_LOST, 0); // not for ever
	assert_int_equal(delivered_tries(), -1);
	clock_freeze_us(clock_wall_us() + 11 * 1000000);
	hss_requests_tick(&world.l);
	assert_int_equal(delivered_tries(), 5);
	world_sent_clear();
	world_hss_sent(IMSI, id, HSS_SENT_UNSENT, 0); // there is no way: later
	assert_int_equal(delivered_tries(), -1);
	clock_freeze_us(clock_wall_us() + 11 * 1000000);
	hss_requests_tick(&world.l);
	assert_int_equal(delivered_tries(), 5); // what was not sent does not count
	clock_freeze_us(0);
	assert_int_equal(hss_requests_pending(&world.l), 1);
}

static void a_clr_that_was_never_sent_has_no_t_flag(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2});
	uint64_t id = delivered_id();
	world_sent_clear();
	world_hss_sent(IMSI, id, HSS_SENT_UNSENT, 0);
	clock_freeze_us(clock_wall_us() + 11 * 1000000);
	hss_requests_tick(&world.l);
	clock_freeze_us(0);
	assert_int_equal(delivered_tries(), 0);
}

static void an_old_clr_is_dropped(void **state)
{
	(void)state;
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2});
	clock_freeze_us(clock_wall_us() + 3601ull * 1000000);
	log_set_level(LOG_LEVEL_ERROR);
	hss_requests_tick(&world.l);
	clock_freeze_us(0);
	assert_int_equal(hss_requests_pending(&world.l), 0);
}

static void ind_places_are_given_once(void **state)
{
	(void)state;
	uint64_t place;
	uint8_t body[32];
	for (int round = 0; round < 3; round++) {
		for (uint64_t h = 1; h <= 5; h++) {
			memcpy(body, &h, 8);
			memcpy(body + 8, "host", 4);
			world_frame(ROLE_WORKER, IPC_IND_HOST, h, 0, body, 12);
			if (round == 0 && h == 2) // twice in one batch
				world_frame(ROLE_WORKER, IPC_IND_HOST, 77, 0, body, 12);
		}
		txn_commit(&world.l);
		for (uint64_t h = 1; h <= 5; h++) {
			memcpy(&place, sent_find(IPC_IND_HOST_ACK, h)->body, 8);
			assert_int_equal(place, h - 1);
			assert_int_equal(cache_ind_find(world.l.cache, h), h - 1);
		}
		if (round == 0)
			memcpy(&place, sent_find(IPC_IND_HOST_ACK, 77)->body, 8);
		assert_true(round || place == 1);
		world_sent_clear();
		world_restart(round == 1);
	}
}

static void a_miss_while_loading_reads_through(void **state)
{
	(void)state;
	uint64_t status;
	struct ipc_read_through m = {.imsi = imsi_of(IMSI).v}, unknown = {.imsi = imsi_of("001019999999999").v};
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME1});
	world_kill();
	world_memory_close();
	world_memory(100);
	assert_int_equal(world_attach(), 0); // and no load_step
	assert_null(cache_find(world.l.cache, imsi_of(IMSI)));
	world_frame(ROLE_WORKER, IPC_READ_THROUGH, 1, 0, &m, sizeof(m));
	world_frame(ROLE_WORKER, IPC_READ_THROUGH, 2, 0, &unknown, sizeof(unknown));
	memcpy(&status, sent_find(IPC_READ_THROUGH_ACK, 1)->body, 8);
	assert_int_equal(status, READ_THROUGH_FOUND);
	memcpy(&status, sent_find(IPC_READ_THROUGH_ACK, 2)->body, 8);
	assert_int_equal(status, READ_THROUGH_UNKNOWN);
	assert_node(record()->serving[S6A_MME].node, MME1);
	// a change before the pass has come here is not undone by it
	ask(&(struct world_ask){.kind = WORLD_ULR_MME, .host = MME2});
	while (load_step(&world.l))
		;
	assert_node(record()->serving[S6A_MME].node, MME2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    T(ulr_stores_the_mme),
	    T(nothing_is_answered_before_the_commit),
	    T(new_mme_cancels_the_old_one),
	    T(racing_ulrs_in_one_batch_are_ordered),
	    T(purged_mme_is_not_cancelled),
	    T(mme_and_sgsn_side_by_side),
	    T(initial_attach_cancels_the_sgsn_and_keeps_it),
	    T(single_registration_deletes_the_sgsn),
	    T(unknown_user),
	    T(a_full_journal_is_busy),
	    T(broken_bodies_are_refused),
	    T(another_version_is_a_conflict),
	    T(a_repetition_changes_nothing),
	    T(a_repetition_is_known_after_a_restart),
	    T(a_repeated_purge_is_one),
	    T(an_end_to_end_id_that_comes_again_a_day_later_is_a_new_request),
	    T(nor_keeps_one_gateway_an_apn),
	    T(a_clr_survives_until_it_is_delivered),
	    T(a_clr_that_was_lost_takes_another_way),
	    T(a_clr_that_was_never_sent_has_no_t_flag),
	    T(an_old_clr_is_dropped),
	    T(ind_places_are_given_once),
	    T(a_miss_while_loading_reads_through),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
