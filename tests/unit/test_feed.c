// The main thread's side of an upstream: this file stands in for its threads. What documents, deletions, positions and
// answers do, what is asked and written, and what is on disk after a kill.
#include "tests/unit/loader_fixture.h"
#include "apps/documents.h"
#include "apps/s6a/said.h"
#include "loader/upstream/feed.h"
#include "loader/upstream/read_through.h"
#include "loader/upstream/outbox_priv.h"
#include "lib/base/clock.h"

#define IMSI "001010000000001"
#define K1   "465B5CE8B199B49FAA5F0A2EE238A6BC"
#define K2   "00112233445566778899AABBCCDDEEFF"
#define OPC1 "E8ED289DEBA952E4283B54E88E6183CA"

static struct loader *const l = &world.l;

static void begin(void)
{
	assert_int_equal(feed_start(l, "", world.dir), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&world.config, 0, sizeof(world.config));
	world.config.store = STORE_MONGODB;
	world.config.store_lookup_rate = 10;
	world_open(1000);
	begin();
	return 0;
}

static struct upstream *up(void)
{
	return feed_upstream(l);
}

static const struct cache_record *record(void)
{
	return cache_find(l->cache, imsi_of(IMSI));
}

// A document as the feed thread would bring it.
static struct up_doc *doc(uint64_t id, const char *k, const char *more)
{
	char text[1024];
	struct record_error e;
	static struct subscription s;
	struct up_doc *d = calloc(1, sizeof(*d));
	snprintf(text, sizeof(text),
		 "{\"imsi\":\"" IMSI "\",\"security\":{\"k\":\"%s\",\"opc\":\"" OPC1 "\",\"amf\":\"8000\"}%s}", k, more);
	d->json = json_loads(text, 0, NULL);
	assert_non_null(d->json);
	assert_true(record_parse(&l->records, d->json, &s, &e));
	assert_true(record_build(&l->records, &s, &d->image, &e));
	d->profile = malloc(l->records.profile->len);
	memcpy(d->profile, l->records.profile, l->records.profile->len);
	memcpy(d->profile_digest, l->records.digest, 16);
	d->text = strdup(text);
	d->text_len = strlen(text);
	d->id = id;
	d->read_us = clock_mono_us();
	d->digest = id * 1000 + strlen(more) * 256 + (uint8_t)k[0];
	d->imsi = s.imsi;
	d->sqn_int64 = true;
	d->imeisv = s.imeisv;
	d->node = s.node;
	d->said_octets = malloc(DOC_SAID_MAX);
	for (unsigned i = 0; i < l->records.reader_cnt; i++)
		if (l->records.reader[i]->owner == DOC_OWNER_S6A)
			d->said[DOC_OWNER_S6A] = record_said(&l->records, &s, i, d->said_octets);
	return d;
}

// What it says of S6a's state, to be changed and put back.
static struct s6a_said said_by(const struct up_doc *d)
{
	struct s6a_said said;
	assert_true(s6a_said_get(d->said[DOC_OWNER_S6A], &said));
	return said;
}

static struct up_doc *saying(struct up_doc *d, const struct s6a_said *said)
{
	uint8_t *octets = malloc(DOC_SAID_MAX);
	struct wr w = wr_of(octets, DOC_SAID_MAX);
	s6a_said_put(&w, said);
	assert_false(w.err);
	free(d->said_octets);
	d->said_octets = octets;
	d->said[DOC_OWNER_S6A] = wr_done(&w);
	return d;
}

static struct up_doc *at_time(struct up_doc *d, uint64_t mme_time_us)
{
	struct s6a_said said = said_by(d);
	said.serving[S6A_MME].time_us = mme_time_us;
	return saying(d, &said);
}

static struct up_doc *of_node(struct up_doc *d, unsigned node)
{
	d->node = node + 1;
	return d;
}

static struct up_doc *with_sgsn(struct up_doc *d, const char *host, uint64_t time_us, bool purged)
{
	struct s6a_said said = said_by(d);
	said.serving[S6A_SGSN] = (struct s6a_serving){.host = slice_str(host),
						      .realm = slice_str(*host ? "test" : ""),
						      .time_us = time_us,
						      .flags = purged ? SERVING_PURGED : 0};
	return saying(d, &said);
}

static struct up_doc *with_sqn(struct up_doc *d, uint64_t sqn)
{
	d->has_sqn = true;
	d->sqn = sqn;
	return d;
}

static struct up_item *item(enum up_kind kind, struct up_doc *d)
{
	struct up_item *i = calloc(1, sizeof(*i));
	*i = (struct up_item){.kind = kind, .doc = d, .imsi = imsi_of(IMSI), .id = d ? d->id : 0};
	return i;
}

static void give(struct up_item *i)
{
	assert_true(upstream_give_take(up(), &i));
	feed_resume(l);
	txn_commit(l);
}

static void give_doc(struct up_doc *d)
{
	give(item(UP_DOC, d));
}

static uint64_t seq(void)
{
	return loader_seq_next(l, record()->sqn);
}

static void a_document_becomes_a_subscriber_and_goes_again(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64));
	assert_non_null(record());
	assert_int_equal(seq(), 2);
	uint64_t id, digest;
	assert_int_equal(local_read_upstream(l->local, imsi_of(IMSI), &id, &digest), 1);
	assert_int_equal(id, 7);
	// a deletion of another document with this IMSI is none of this one
	struct up_item *i = item(UP_DELETE, NULL);
	i->id = 8;
	give(i);
	assert_non_null(record());
	i = item(UP_DELETE, NULL);
	i->id = 7;
	give(i);
	assert_null(record());
}

static void what_changes_nothing_is_not_written(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64));
	uint64_t before = local_seq(l->local);
	struct up_item *i = item(UP_DOC, with_sqn(doc(7, K1, ""), 64));
	give(i);
	assert_int_equal(local_seq(l->local), before);
	// the same after a restart, from the rows
	feed_stop(l);
	world_kill();
	assert_int_equal(world_attach(), 0);
	begin();
	uint64_t id, digest;
	assert_int_equal(local_read_upstream(l->local, imsi_of(IMSI), &id, &digest), 1);
	assert_int_equal(id, 7);
}

static void one_imsi_two_documents(void **state)
{
	(void)state;
	give_doc(doc(7, K1, ""));
	give_doc(doc(8, K2, ""));
	assert_int_equal(record()->k[0], 0x46);
	assert_int_equal(problems_count(l), 1);
	struct up_item *i = item(UP_DOC, doc(8, K2, ""));
	i->takes_over = true;
	give(i);
	assert_int_equal(record()->k[1], 0x11);
}

// Before the first is committed: a document, its deletion, its successor with the same IMSI.
static void one_imsi_that_three_items_of_a_batch_are_about(void **state)
{
	(void)state;
	give_doc(doc(7, K1, ""));
	struct up_item *i = item(UP_DOC, doc(8, K1, ",\"x\":1"));
	i->takes_over = true;
	assert_true(upstream_give_take(up(), &i));
	i = item(UP_DELETE, NULL);
	i->id = 8;
	assert_true(upstream_give_take(up(), &i));
	give_doc(doc(9, K2, ""));
	assert_int_equal(problems_count(l), 0);
	assert_non_null(record());
	assert_int_equal(record()->k[1], 0x11);
}

static void a_higher_sqn_is_followed_a_lower_one_is_not(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64));
	give_doc(with_sqn(doc(7, K1, ""), 1000 * 32));
	assert_int_equal(seq(), 1000);
	give_doc(with_sqn(doc(7, K1, ""), 64)); // a form of the WebUI that was opened long ago
	assert_int_equal(seq(), 1000);
	give_doc(with_sqn(doc(7, K2, ""), 64)); // another card
	assert_int_equal(seq(), 2);
	give_doc(with_sqn(doc(7, K1, ""), 64)); // the old one again: never what it had
	assert_true(seq() >= 1000);
}

static void columns_of_others_are_left_to_them(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64 + 3));
	assert_true(record()->flags & RECORD_IND_SPARE);
	assert_int_equal(record()->taken_ind, 3);
	give_doc(with_sqn(doc(7, K1, ""), 96 + 4));
	assert_int_equal(record()->taken_ind, 4);
	feed_stop(l);
	world_kill();
	assert_int_equal(world_attach(), 0);
	begin();
	assert_int_equal(record()->taken_ind, 4);
	give_doc(with_sqn(doc(7, K1, ""), 128 + 20)); // none of node 0
	assert_false(record()->flags & RECORD_IND_SPARE);
}

#define AT(host, time) ",\"mme_host\":\"" host "\",\"mme_realm\":\"test\",\"mme_timestamp\":" time

static bool served_by(const char *host)
{
	struct slice h, r;
	return cache_node_get(l->cache, record()->serving[0].node, &h, &r) && slice_eq(h, slice_str(host));
}

static struct up_batch *batch(void);
static void outcome(struct up_batch *b, enum up_status status);

static void the_newest_location_wins(void **state)
{
	(void)state;
	give_doc(doc(7, K1, AT("a", "1000")));
	assert_true(served_by("a"));
	give_doc(doc(7, K1, AT("b", "2000")));
	assert_true(served_by("b"));
	give_doc(doc(7, K1, AT("a", "1500"))); // somebody put an old one there: b is written again
	assert_true(served_by("b"));
	assert_int_equal(outbox_waiting(l), 1);
	outcome(batch(), UP_DONE);
	give_doc(doc(7, K1, AT("b", "2000") ",\"purge_flag\":true"));
	assert_true(record()->serving[0].flags & SERVING_PURGED);
	give_doc(doc(7, K1, AT("b", "2000") ",\"purge_flag\":false")); // an echo of before
	assert_true(record()->serving[0].flags & SERVING_PURGED);
	assert_int_equal(outbox_waiting(l), 0); // none of it is ours
}

// With the location that the record has.
static struct up_doc *up_to_date(struct up_doc *d)
{
	struct s6a_said said = said_by(d);
	struct s6a_serving *mme = &said.serving[S6A_MME];
	(void)cache_node_get(l->cache, record()->serving[0].node, &mme->host, &mme->realm);
	mme->time_us = record()->serving[0].time_us;
	return saying(d, &said);
}

static uint64_t doc_digest(void)
{
	uint64_t id, digest;
	assert_int_equal(local_read_upstream(l->local, imsi_of(IMSI), &id, &digest), 1);
	return digest;
}

static void change(const char *host, uint64_t key)
{
	world_ulr(IMSI, key, host);
	txn_commit(l);
}

static struct up_batch *batch(void)
{
	feed_tick(l);
	return upstream_next_batch(up(), 0);
}

static void outcome(struct up_batch *b, enum up_status status)
{
	struct up_item *i = calloc(1, sizeof(*i));
	b->status = status;
	*i = (struct up_item){.kind = UP_WRITTEN, .batch = b};
	give(i);
}

static void answer_lookup(enum up_status status, struct up_doc *d);

// kill -9 of everything: only the files are left.
static void kill_everything(void)
{
	feed_stop(l);
	world_kill();
	world_memory_close();
	world_memory(1000);
	assert_int_equal(world_attach(), 0);
	while (load_step(l))
		continue;
	begin();
}

static const struct up_field *field_of(const struct up_batch *b, const char *path)
{
	const struct up_write *w = &b->write[0];
	for (unsigned i = 0; i < w->field_cnt; i++)
		if (w->field[i].kind != UP_FIELD_UPDATE && strcmp(w->field[i].path, path) == 0)
			return &w->field[i];
	fail_msg("%s is not written", path);
	return NULL;
}

static void writes(const struct up_batch *b, const char *path, const char *text)
{
	const struct up_field *f = field_of(b, path);
	assert_int_equal(f->kind, UP_FIELD_TEXT);
	assert_true(slice_eq(f->text, slice_str(text)));
}

static uint64_t written_time(const struct up_batch *b)
{
	return (uint64_t)field_of(b, "mme_timestamp")->n;
}

static struct up_batch *batch_soon(void)
{
	struct up_batch *b = NULL;
	for (unsigned i = 0; i < 100 && !b; i++)
		b = batch();
	return b;
}

static void a_location_is_written_back_until_it_is_there(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64));
	change("mme-1", 1);
	change("mme-2", 2);
	struct up_batch *b = batch();
	assert_non_null(b);
	assert_int_equal(b->cnt, 1); // the newest only
	writes(b, "mme_host", "mme-2");
	assert_int_equal(written_time(b), record()->serving[0].time_us);
	assert_int_equal(outbox_waiting(l), 1);
	change("mme-3", 3); // meanwhile: not beside it, after it
	assert_null(batch());
	assert_int_equal(outbox_waiting(l), 1);
	outcome(b, UP_AWAY);
	b = batch();
	writes(b, "mme_host", "mme-3");
	// killed before it is known: told again
	up_batch_free(&b);
	feed_stop(l);
	world_kill();
	assert_int_equal(world_attach(), 0);
	begin();
	assert_int_equal(outbox_waiting(l), 1);
	b = batch();
	writes(b, "mme_host", "mme-3");
	outcome(b, UP_DONE);
	assert_int_equal(outbox_waiting(l), 0);
	answer_lookup(UP_DONE, up_to_date(with_sqn(doc(7, K1, ""), 64))); // its SQN might have waited, too
	assert_null(batch_soon());
	txn_commit(l);
	feed_stop(l);
	world_kill();
	assert_int_equal(world_attach(), 0);
	begin();
	assert_int_equal(outbox_waiting(l), 0);
	assert_true(served_by("mme-3"));
}

// A form of the WebUI empties the location, or brings an old one back, and leaves its time.
static void a_location_that_a_form_wrote_over_is_written_again(void **state)
{
	static const char *const after[] = {"", ",\"mme_host\":[],\"mme_realm\":[],\"purge_flag\":[]",
					    ",\"mme_host\":[\"mme-0\"],\"mme_realm\":[\"test\"],\"purge_flag\":[true]"};
	(void)state;
	give_doc(doc(7, K1, ""));
	change("mme-1", 1);
	uint64_t time_us = record()->serving[0].time_us;
	outcome(batch(), UP_DONE);
	for (unsigned i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		struct up_doc *d = of_node(doc(7, K1, after[i]), 0);
		(void)at_time(d, time_us);
		give_doc(d);
		assert_true(served_by("mme-1"));
		assert_false(record()->serving[0].flags & SERVING_PURGED);
		assert_int_equal(outbox_waiting(l), 1);
		// that is durable: killed before it is there, it is told after the next start
		feed_stop(l);
		world_kill();
		assert_int_equal(world_attach(), 0);
		begin();
		struct up_batch *b = batch();
		writes(b, "mme_host", "mme-1");
		assert_int_equal(written_time(b), time_us);
		outcome(b, UP_DONE);
		assert_int_equal(outbox_waiting(l), 0);
	}
	// another node's word at the same time is not written over, nor what is ours already
	struct up_doc *d = of_node(doc(7, K1, AT("mme-2", "1")), 1);
	(void)at_time(d, time_us);
	give_doc(d);
	d = of_node(doc(7, K1, AT("mme-1", "1")), 0);
	(void)at_time(d, time_us);
	give_doc(d);
	assert_int_equal(outbox_waiting(l), 0);
	// while it is on its way anyway it is not added
	change("mme-3", 2);
	struct up_batch *b = batch();
	give_doc(of_node(doc(7, K1, ",\"y\":1"), 0));
	outcome(b, UP_DONE);
	assert_int_equal(outbox_waiting(l), 0);
	// a whole new document, by a script
	give_doc(doc(7, K1, ",\"yy\":1"));
	assert_int_equal(outbox_waiting(l), 1);
	b = batch();
	writes(b, "mme_host", "mme-3");
	outcome(b, UP_DONE);
}

// M2: a document that was saved before the attach is put back as it was, or the four fields are taken away. None of its other
// members differs from what is stored.
static void a_location_that_went_with_a_saved_document_is_written_again(void **state)
{
	static const char *const saved[] = {"", AT("old", "1000"), ",\"imeisv\":\"3534900698733190\""};
	(void)state;
	give_doc(doc(7, K1, AT("old", "1000")));
	change("mme-1", 1);
	struct up_batch *b = batch();
	writes(b, "mme_host", "mme-1");
	outcome(b, UP_DONE);
	uint64_t digest = doc_digest();
	for (unsigned i = 0; i < sizeof(saved) / sizeof(saved[0]); i++) {
		struct up_doc *d = doc(7, K1, saved[i]);
		d->digest = digest;
		give_doc(d);
		assert_true(served_by("mme-1"));
		assert_int_equal(outbox_waiting(l), 1);
		b = batch();
		writes(b, "mme_host", "mme-1");
		assert_int_equal(written_time(b), record()->serving[0].time_us);
		outcome(b, UP_DONE);
		assert_int_equal(outbox_waiting(l), 0);
	}
	// the SGSN's part alone, beside a location that is there
	struct up_doc *d = with_sgsn(doc(7, K1, AT("mme-1", "1")), "s1", record()->serving[0].time_us, false);
	(void)at_time(d, record()->serving[0].time_us);
	d->digest = digest;
	give_doc(d);
	assert_int_equal(outbox_waiting(l), 0);
	d = doc(7, K1, AT("mme-1", "1"));
	(void)at_time(d, record()->serving[0].time_us);
	d->digest = digest;
	give_doc(d);
	assert_int_equal(outbox_waiting(l), 1);
	b = batch();
	writes(b, "corehss.sgsn_host", "s1");
	outcome(b, UP_DONE);
}

// Another system's clock is a day ahead.
static void a_stamp_of_tomorrow_gives_way_to_an_acknowledged_location(void **state)
{
	(void)state;
	uint64_t tomorrow = clock_wall_us() + 86400000000ull;
	struct up_doc *d = doc(7, K1, AT("old", "1"));
	(void)at_time(d, tomorrow);
	give_doc(with_sgsn(d, "s1", tomorrow, false));
	change("mme-1", 1);
	assert_true(served_by("mme-1"));
	assert_true(record()->serving[0].time_us > tomorrow);
	struct up_batch *b = batch();
	assert_true(written_time(b) > tomorrow); // or MongoDB would keep the old one
	outcome(b, UP_DONE);
	d = doc(7, K1, AT("old", "1") ",\"msisdn\":[\"4915100001\"]"); // somebody edits it
	(void)at_time(d, tomorrow);
	give_doc(with_sgsn(d, "s1", tomorrow, false));
	assert_true(served_by("mme-1"));
	outcome(batch(), UP_DONE);
	uint64_t before = record()->serving[0].time_us;
	assert_int_equal(world_call(9, "{\"cmd\":\"location cancel\",\"args\":{\"imsi\":\"" IMSI "\"}}"), ADMIN_OK);
	assert_true(record()->serving[0].time_us > before);
	assert_true(record()->serving[1].time_us > tomorrow);
}

static bool sgsn_is(const char *host)
{
	struct slice h, r;
	return cache_node_get(l->cache, record()->serving[1].node, &h, &r) && slice_eq(h, slice_str(host));
}

static void the_newest_sgsn_wins(void **state)
{
	(void)state;
	give_doc(with_sgsn(with_sqn(doc(7, K1, AT("a", "1000")), 64), "s1", 1000, false));
	assert_true(sgsn_is("s1"));
	give_doc(with_sgsn(with_sqn(doc(7, K1, AT("a", "1000")), 64), "s2", 2000, false));
	assert_true(sgsn_is("s2"));
	assert_true(served_by("a"));
	give_doc(with_sgsn(with_sqn(doc(7, K1, AT("b", "2000")), 64), "s1", 1500, false));
	assert_true(sgsn_is("s2"));
	assert_true(served_by("b"));
	give_doc(with_sgsn(of_node(with_sqn(doc(7, K1, AT("b", "2000")), 64), 1), "s2", 2000, true));
	assert_true(record()->serving[1].flags & SERVING_PURGED);
	assert_false(record()->serving[0].flags & SERVING_PURGED);
	// a document without one is not a removal: it may be from before
	give_doc(with_sqn(doc(7, K1, AT("b", "2000") ",\"z\":1"), 64));
	assert_true(sgsn_is("s2"));
	outcome(batch(), UP_DONE); // so it is written again
	feed_stop(l);
	world_kill();
	assert_int_equal(world_attach(), 0);
	begin();
	assert_true(sgsn_is("s2"));
	assert_int_equal(record()->serving[1].time_us, 2000);
	give_doc(with_sgsn(with_sqn(doc(7, K1, AT("b", "2000")), 64), "", 3000, false));
	assert_int_equal(record()->serving[1].node, 0);
	assert_int_equal(record()->serving[1].time_us, 3000);
	assert_int_equal(outbox_waiting(l), 0);
}

// `location cancel` on another node: the fields go, the time is that of the removal. An empty one is a form's.
static void a_location_that_another_node_removed(void **state)
{
	(void)state;
	give_doc(doc(7, K1, AT("a", "1000")));
	give_doc(of_node(doc(7, K1, ",\"mme_timestamp\":2000,\"mme_host\":[]"), 1));
	assert_true(served_by("a"));
	struct up_doc *d = of_node(doc(7, K1, ",\"mme_timestamp\":2000"), 1);
	give_doc(d);
	assert_int_equal(record()->serving[0].node, 0);
	assert_int_equal(outbox_waiting(l), 0);
}

static void what_is_refused_is_set_aside(void **state)
{
	(void)state;
	give_doc(doc(7, K1, ""));
	change("mme-1", 1);
	struct up_batch *b = batch();
	b->write[0].result = UP_WRITE_REFUSED;
	snprintf(b->error, sizeof(b->error), "14 TypeMismatch");
	outcome(b, UP_DONE);
	assert_int_equal(outbox_waiting(l), 0);
	assert_int_equal(outbox_refused(l), 1);
	assert_int_equal(problems_count(l), 1);
	assert_null(batch());
}

// M6: what MongoDB refused is listed until it takes a write of that subscriber again.
static void what_was_in_the_way_of_a_write_leaves_the_list(void **state)
{
	(void)state;
	give_doc(doc(7, K1, ""));
	change("mme-1", 1);
	struct up_batch *b = batch();
	b->write[0].result = UP_WRITE_REFUSED;
	outcome(b, UP_DONE);
	assert_int_equal(problems_count(l), 1);
	change("mme-2", 2);
	outcome(batch(), UP_DONE);
	assert_int_equal(problems_count(l), 0);
	// or until the subscriber goes
	change("mme-3", 3);
	b = batch();
	b->write[0].result = UP_WRITE_REFUSED;
	outcome(b, UP_DONE);
	assert_int_equal(problems_count(l), 1);
	struct up_item *i = item(UP_DELETE, NULL);
	i->id = 7;
	give(i);
	assert_int_equal(problems_count(l), 0);
	assert_int_equal(outbox_refused(l), 2);
}

// The same for a document that could not be served for a while, however it became good.
static void a_document_that_is_served_is_no_problem_any_more(void **state)
{
	(void)state;
	struct up_item *i = item(UP_BAD, NULL);
	i->id = 7;
	i->text = strdup("security.k: expected 32 hex digits, got nothing");
	give(i);
	assert_int_equal(problems_count(l), 1);
	give_doc(doc(7, K1, ""));
	assert_int_equal(problems_count(l), 0);
	// one that is served in part says so itself
	struct up_doc *d = doc(7, K1, ",\"x\":1");
	d->flawed = true;
	i = item(UP_BAD, NULL);
	i->id = 7;
	i->text = strdup("security.sqn: expected a number");
	give(i);
	give_doc(d);
	assert_int_equal(problems_count(l), 1);
}

// M8: somebody's open transaction holds one document back. It is tried again later and alone; what happens meanwhile is told with it.
static void a_document_that_is_held_back_waits_alone(void **state)
{
	(void)state;
	give_doc(doc(7, K1, ""));
	change("mme-1", 1);
	struct up_batch *b = batch();
	assert_int_equal(b->write[0].tries, 0);
	b->write[0].result = UP_WRITE_BUSY;
	outcome(b, UP_DONE);
	assert_int_equal(outbox_waiting(l), 1);
	change("mme-2", 2);
	assert_null(batch());
	assert_int_equal(outbox_waiting(l), 1);
	clock_freeze_us(clock_mono_us() + 3000000);
	b = batch();
	assert_non_null(b);
	assert_int_equal(b->write[0].tries, 1);
	writes(b, "mme_host", "mme-2");
	b->write[0].result = UP_WRITE_BUSY;
	outcome(b, UP_DONE);
	clock_freeze_us(clock_mono_us() + 3000000);
	assert_null(batch()); // longer each time
	clock_freeze_us(clock_mono_us() + 3000000);
	b = batch();
	assert_non_null(b);
	outcome(b, UP_DONE);
	clock_freeze_us(0);
	assert_int_equal(outbox_waiting(l), 0);
	// nobody knows of this one alone
	change("mme-3", 3);
	b = batch();
	b->write[0].result = UP_WRITE_AGAIN;
	outcome(b, UP_DONE);
	b = batch();
	assert_int_equal(b->write[0].tries, 0);
	writes(b, "mme_host", "mme-3");
	outcome(b, UP_DONE);
	// deleted and added anew while it waits, and while it is under way
	change("mme-4", 4);
	b = batch();
	struct up_item *i = item(UP_DELETE, NULL);
	i->id = 7;
	give(i);
	give_doc(doc(7, K1, ""));
	b->write[0].result = UP_WRITE_BUSY;
	outcome(b, UP_DONE);
	assert_int_equal(outbox_waiting(l), 0);
}

static void drawn_sqns_reach_the_field_with_its_ind(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64 + 9));
	builder_sqn_raise(l->builder, record()->sqn, 40, 40);
	struct up_batch *b = NULL;
	for (unsigned i = 0; i < 100 && !b; i++)
		b = batch();
	assert_non_null(b);
	assert_int_equal(b->write[0].what, UP_WRITE_SQN);
	assert_int_equal(b->write[0].sqn, 40 * 32 + 9);
	assert_int_equal(outbox_waiting(l), 0);
	change("mme-1", 1); // behind it
	assert_int_equal(outbox_waiting(l), 1);
	outcome(b, UP_DONE);
	assert_int_equal(outbox_waiting(l), 1);
	b = batch();
	assert_int_equal(b->write[0].what, UP_WRITE_STATE);
	outcome(b, UP_DONE);
	assert_int_equal(outbox_waiting(l), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_null(batch());
	// double, as the old shell writes numbers: put right even when nothing was drawn
	struct up_doc *d = up_to_date(with_sqn(doc(7, K1, ""), 50 * 32));
	d->sqn_int64 = false;
	give_doc(d);
	b = batch();
	assert_int_equal(b->write[0].what, UP_WRITE_NORMALISE);
	assert_int_equal(b->write[0].seen, 50 * 32);
	assert_int_equal(b->write[0].sqn, 50 * 32);
	outcome(b, UP_DONE);
}

// Drawn while the upstream was away, and everything killed before it came back: the field follows without another AIR.
static void an_sqn_that_waited_outlives_a_kill(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64 + 9));
	builder_sqn_raise(l->builder, record()->sqn, 40, 40);
	struct up_batch *b = batch_soon();
	assert_non_null(b);
	outcome(b, UP_AWAY);
	for (unsigned again = 0; again < 2; again++) {
		kill_everything();
		assert_true(seq() > 40);
		b = batch_soon(); // of its state: it has none
		assert_non_null(b);
		outcome(b, UP_DONE);
		if (again == 0)
			continue; // killed before anybody knows what the field has
		answer_lookup(UP_DONE, with_sqn(doc(7, K1, ""), 64 + 9));
		b = batch_soon();
		assert_non_null(b);
		assert_int_equal(b->write[0].what, UP_WRITE_SQN);
		assert_int_equal(b->write[0].sqn, seq() * 32 + 9);
		outcome(b, UP_DONE);
	}
	assert_null(batch_soon());
	kill_everything();
	assert_null(batch_soon());
	assert_null(upstream_next_ask(up(), 0));
}

// What was drawn is noted at an orderly end; of the loader alone the words remain and tell.
static void an_sqn_that_was_drawn_before_an_end(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64));
	builder_sqn_raise(l->builder, record()->sqn, 40, 40);
	kill_everything(); // which feed_stop begins
	outcome(batch_soon(), UP_DONE);
	answer_lookup(UP_DONE, with_sqn(doc(7, K1, ""), 64));
	struct up_batch *b = batch_soon();
	assert_int_equal(b->write[0].what, UP_WRITE_SQN);
	outcome(b, UP_DONE);
	assert_null(batch_soon());
}

// Every start takes the SEQs a block further: that alone is written to nobody's field.
static void a_start_writes_to_nobody_who_has_not_drawn(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64));
	kill_everything();
	assert_true(seq() > 2);
	give_doc(with_sqn(doc(7, K1, ""), 64)); // a comparison brings everybody
	assert_null(batch_soon());
	builder_sqn_raise(l->builder, record()->sqn, seq() + 1, 0);
	struct up_batch *b = batch_soon();
	assert_int_equal(b->write[0].sqn, seq() * 32);
	outcome(b, UP_DONE);
	give_doc(with_sqn(doc(7, K1, ""), 64)); // a form from long ago, or an image from before: it is asked
	assert_null(batch_soon());
	answer_lookup(UP_DONE, with_sqn(doc(7, K1, ""), 64));
	b = batch_soon();
	assert_int_equal(b->write[0].sqn, seq() * 32);
	outcome(b, UP_DONE);
}

static void miss(unsigned id)
{
	struct {
		struct ipc_hdr hdr;
		struct ipc_read_through m;
	} f = {.hdr = {.type = IPC_READ_THROUGH, .len = sizeof(f), .id = id}, .m = {.imsi = imsi_of(IMSI).v}};
	loader_frame(l, ROLE_WORKER, 0, &f.hdr, (const uint8_t *)&f.m);
}

static uint64_t told(unsigned id)
{
	const struct sent *s = sent_find(IPC_READ_THROUGH_ACK, id);
	uint64_t v = UINT64_MAX;
	if (s)
		memcpy(&v, s->body, sizeof(v));
	return v;
}

static void answer_lookup(enum up_status status, struct up_doc *d)
{
	struct up_ask *a = upstream_next_ask(up(), 0);
	assert_non_null(a);
	assert_int_equal(a->kind, UP_LOOKUP);
	struct up_item *i = item(UP_ANSWER, d);
	i->ask = a->number;
	i->status = status;
	up_ask_free(&a);
	give(i);
}

static void misses_are_read_through_once(void **state)
{
	(void)state;
	miss(1);
	miss(2);
	assert_int_equal(told(1), UINT64_MAX);
	answer_lookup(UP_DONE, doc(7, K1, ""));
	assert_null(upstream_next_ask(up(), 0));
	assert_int_equal(told(1), READ_THROUGH_FOUND);
	assert_int_equal(told(2), READ_THROUGH_FOUND);
	assert_non_null(record());
}

static void who_is_nowhere_is_not_asked_for_again_at_once(void **state)
{
	(void)state;
	miss(1);
	answer_lookup(UP_REFUSED, NULL);
	assert_int_equal(told(1), READ_THROUGH_UNKNOWN);
	miss(2);
	assert_int_equal(told(2), READ_THROUGH_UNKNOWN);
	assert_null(upstream_next_ask(up(), 0));
	clock_freeze_us(clock_mono_us() + 1100000);
	miss(3);
	answer_lookup(UP_AWAY, NULL);
	clock_freeze_us(0);
	assert_int_equal(told(3), READ_THROUGH_BUSY); // nobody knows
}

static void found_but_deleted_meanwhile(void **state)
{
	(void)state;
	miss(1);
	struct up_item *i = item(UP_DELETE, NULL);
	i->id = 7;
	give(i);
	answer_lookup(UP_DONE, doc(7, K1, "")); // may be of before
	assert_null(record());
	answer_lookup(UP_REFUSED, NULL);
	assert_int_equal(told(1), READ_THROUGH_UNKNOWN);
}

static void an_answer_behind_a_deletion_that_is_not_committed(void **state)
{
	(void)state;
	miss(1);
	give_doc(doc(7, K1, ""));
	struct up_item *i = item(UP_DELETE, NULL);
	i->id = 7;
	assert_true(upstream_give_take(up(), &i));
	feed_resume(l);
	answer_lookup(UP_DONE, doc(7, K1, "")); // of before
	assert_null(record());
	answer_lookup(UP_REFUSED, NULL);
	assert_int_equal(told(1), READ_THROUGH_UNKNOWN);
}

static const char *end_of(uint64_t id)
{
	const struct sent *s = sent_find(IPC_ADMIN_END, id);
	return s ? (const char *)s->body : "";
}

// Between two sweeps of a server without change streams.
static void call(uint64_t id, const char *cmd)
{
	char text[256];
	snprintf(text, sizeof(text), "{\"cmd\":\"%s\",\"args\":{\"imsi\":\"" IMSI "\"}}", cmd);
	world_frame(ROLE_ADMIN, IPC_ADMIN_CALL, id, 0, text, strlen(text));
}

// M5: what the load read before our write was acknowledged says less than we know. Nobody has lowered anything.
static void an_image_from_before_our_write_lowers_nothing(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64));
	builder_sqn_raise(l->builder, record()->sqn, 40, 40);
	struct up_batch *b = batch_soon();
	assert_int_equal(b->write[0].sqn, 40 * 32);
	struct up_doc *before = with_sqn(doc(7, K1, ""), 64);
	outcome(b, UP_DONE);
	give_doc(before);
	answer_lookup(UP_DONE, with_sqn(doc(7, K1, ""), 40 * 32)); // MongoDB has it
	assert_null(batch_soon());
	assert_int_equal(l->outbox->lowered, 0);
	// while it is asked for a further one is written: that answer says nothing, either
	give_doc(with_sqn(doc(7, K1, ""), 64));
	struct up_ask *a = upstream_next_ask(up(), 0);
	builder_sqn_raise(l->builder, record()->sqn, 50, 50);
	assert_null(batch_soon()); // it waits for the answer
	struct up_item *i = item(UP_ANSWER, with_sqn(doc(7, K1, ""), 40 * 32));
	i->ask = a->number;
	up_ask_free(&a);
	give(i);
	b = batch_soon();
	assert_int_equal(b->write[0].sqn, 50 * 32);
	outcome(b, UP_DONE);
	assert_int_equal(l->outbox->lowered, 0);
	// and this time it is true
	give_doc(with_sqn(doc(7, K1, ""), 64));
	answer_lookup(UP_DONE, with_sqn(doc(7, K1, ""), 64));
	b = batch_soon();
	assert_int_equal(b->write[0].sqn, 50 * 32);
	outcome(b, UP_DONE);
	assert_int_equal(l->outbox->lowered, 1);
	// nobody can be asked: it stays in doubt, and is asked again
	give_doc(with_sqn(doc(7, K1, ""), 64));
	answer_lookup(UP_AWAY, NULL);
	assert_null(batch_soon());
	answer_lookup(UP_DONE, with_sqn(doc(7, K1, ""), 64));
	outcome(batch_soon(), UP_DONE);
}

// M4: an insert's image of the document is older than what a request was answered from.
static void a_key_that_was_replaced_is_not_used_again(void **state)
{
	(void)state;
	struct up_doc *inserted = doc(7, K1, "");
	miss(1);
	answer_lookup(UP_DONE, doc(7, K2, "")); // with the key that was set after the insert
	assert_int_equal(told(1), READ_THROUGH_FOUND);
	assert_int_equal(record()->k[1], 0x11);
	inserted->read_us = 0;
	give_doc(inserted);
	assert_int_equal(record()->k[1], 0x11);
	struct up_item *i = item(UP_POSITION, NULL);
	i->text = strdup("token");
	i->len = 5;
	uint64_t before = local_seq(l->local);
	give(i); // not before it is known what the document is now
	assert_int_equal(local_seq(l->local), before);
	answer_lookup(UP_DONE, doc(7, K2, ""));
	assert_int_equal(record()->k[1], 0x11);
	assert_null(upstream_next_ask(up(), 0));
	// an update that was looked up before the answer was there, and is newer all the same
	struct up_doc *updated = doc(7, K1, ",\"x\":1");
	updated->read_us = 0;
	give_doc(updated);
	answer_lookup(UP_DONE, doc(7, K1, ",\"x\":1"));
	assert_int_equal(record()->k[0], 0x46);
	// of before what somebody removed
	call(5, "subscriber delete");
	struct up_ask *a = upstream_next_ask(up(), 0);
	assert_int_equal(a->kind, UP_REMOVE);
	i = item(UP_ANSWER, NULL);
	i->ask = a->number;
	up_ask_free(&a);
	give(i);
	assert_null(record());
	updated = doc(7, K1, ",\"x\":1");
	updated->read_us = 0;
	give_doc(updated);
	assert_null(record());
	answer_lookup(UP_REFUSED, NULL);
	assert_null(record());
}

// The other way round: the feed has brought a later image while the answer was on its way.
static void an_answer_that_the_feed_has_overtaken(void **state)
{
	(void)state;
	give_doc(with_sqn(doc(7, K1, ""), 64));
	assert_true(feed_learn(l, imsi_of(IMSI)));
	struct up_doc *early = with_sqn(doc(7, K1, ""), 64);
	give_doc(with_sqn(doc(7, K2, ""), 64));
	assert_int_equal(record()->k[1], 0x11);
	answer_lookup(UP_DONE, early);
	assert_int_equal(record()->k[1], 0x11);
	answer_lookup(UP_DONE, with_sqn(doc(7, K2, ""), 64));
	assert_int_equal(record()->k[1], 0x11);
}

static void an_operator_names_one_that_is_not_here_yet(void **state)
{
	(void)state;
	call(1, "sqn show");
	assert_null(sent_find(IPC_ADMIN_END, 1));
	answer_lookup(UP_DONE, with_sqn(doc(7, K1, ""), 640));
	assert_string_equal(end_of(1), "{\"status\":0}");
	assert_non_null(strstr((const char *)sent_find(IPC_ADMIN_ROW, 1)->body, "\"sqn\":640,"));
	call(2, "subscriber show");
	assert_string_equal(end_of(2), "{\"status\":0}"); // nobody is asked again
	assert_null(upstream_next_ask(up(), 0));
}

static void an_operator_names_one_that_is_nowhere(void **state)
{
	(void)state;
	call(1, "location cancel");
	call(2, "subscriber show");
	call(3, "sqn show");
	answer_lookup(UP_REFUSED, NULL);
	assert_non_null(strstr(end_of(1), "no such subscriber\""));
	world_frame(ROLE_ADMIN, IPC_ADMIN_CANCEL, 2, 0, "", 0);
	answer_lookup(UP_DONE, doc(7, K1, ""));
	assert_null(sent_find(IPC_ADMIN_END, 2));
	answer_lookup(UP_AWAY, NULL); // it came in another way
	assert_string_equal(end_of(3), "{\"status\":0}");
	struct up_item *i = item(UP_DELETE, NULL);
	i->id = 7;
	give(i);
	call(4, "sqn show");
	answer_lookup(UP_AWAY, NULL);
	assert_non_null(strstr(end_of(4), "does not answer"));
}

// Deleted while it was asked for: asked again.
static void an_operator_names_one_that_goes(void **state)
{
	(void)state;
	call(1, "subscriber show");
	struct up_item *i = item(UP_DELETE, NULL);
	i->id = 7;
	give(i);
	answer_lookup(UP_DONE, doc(7, K1, ""));
	assert_null(record());
	answer_lookup(UP_REFUSED, NULL);
	assert_non_null(strstr(end_of(1), "no such subscriber\""));
}

static void positions_are_kept_behind_what_they_cover(void **state)
{
	(void)state;
	struct slice token;
	give_doc(doc(7, K1, ""));
	struct up_item *i = item(UP_POSITION, NULL);
	i->text = strdup("token-1");
	i->len = 7;
	give(i);
	feed_stop(l);
	world_kill();
	assert_int_equal(world_attach(), 0);
	begin();
	assert_int_equal(local_feed_position(l->local, &token), 1);
	assert_true(slice_eq(token, slice_str("token-1")));
}

static void complete(uint64_t wish)
{
	struct up_item *i = item(UP_COMPLETE, NULL);
	i->id = wish;
	give(i);
}

static void one_document(struct up_figures *f, const void *arg)
{
	(void)arg;
	f->documents = 1;
}

// What the operator changed just before may be behind the place where one that is going on has arrived.
static void verify_waits_for_a_comparison_that_began_later(void **state)
{
	(void)state;
	uint64_t wish = 0;
	give_doc(doc(7, K1, ""));
	upstream_set(up(), one_document, NULL);
	call(1, "store verify");
	call(2, "store verify");
	assert_non_null(strstr(end_of(2), "already"));
	give_doc(doc(7, K1, ",\"x\":1"));
	complete(0); // it had begun before
	assert_null(sent_find(IPC_ADMIN_END, 1));
	assert_true(upstream_compare_wanted(up(), &wish));
	assert_false(upstream_compare_wanted(up(), &wish));
	complete(wish);
	assert_string_equal(end_of(1), "{\"status\":0}");
	call(3, "store verify");
	assert_true(upstream_compare_wanted(up(), &wish));
	give_doc(doc(7, K1, ",\"x\":22"));
	complete(wish);
	assert_non_null(strstr(end_of(3), "1 subscribers differed"));
	// one whose caller went away is nobody's
	call(4, "store verify");
	world_frame(ROLE_ADMIN, IPC_ADMIN_CANCEL, 4, 0, "", 0);
	call(5, "store verify");
	assert_true(upstream_compare_wanted(up(), &wish));
	complete(wish);
	assert_string_equal(end_of(5), "{\"status\":0}");
}

static void disk_fails(bool fails)
{
	assert_int_equal(sql_exec(l->local->journal, fails ? "PRAGMA query_only=1" : "PRAGMA query_only=0"), 0);
}

static bool position_is_kept(void)
{
	uint64_t before = local_seq(l->local);
	struct up_item *i = item(UP_POSITION, NULL);
	i->text = strdup("token");
	i->len = 5;
	give(i);
	return local_seq(l->local) > before;
}

// What could not be stored is behind the position for ever, unless a comparison that began later has brought it.
static void a_failed_commit_holds_the_position(void **state)
{
	(void)state;
	disk_fails(true);
	give_doc(doc(7, K1, ""));
	assert_null(record());
	disk_fails(false);
	assert_false(position_is_kept());
	complete(0); // the one that was going on
	assert_false(position_is_kept());
	uint64_t wish = 0;
	assert_true(upstream_compare_wanted(up(), &wish));
	give_doc(doc(7, K1, ""));
	complete(wish);
	assert_true(position_is_kept());
	assert_non_null(record());
}

// The commit of the comparison's own last documents fails.
static void a_failure_at_the_end_of_a_comparison(void **state)
{
	(void)state;
	struct up_item *i = item(UP_DOC, doc(7, K1, ""));
	assert_true(upstream_give_take(up(), &i));
	disk_fails(true);
	give(item(UP_COMPLETE, NULL));
	disk_fails(false);
	assert_false(position_is_kept());
}

static void the_end_while_the_disk_fails(void **state)
{
	(void)state;
	struct up_item *i = item(UP_DOC, doc(7, K1, ""));
	assert_true(upstream_give_take(up(), &i));
	feed_resume(l); // begun, not committed
	disk_fails(true);
	feed_stop(l);
	disk_fails(false);
	assert_null(record());
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    T(a_document_becomes_a_subscriber_and_goes_again),
	    T(what_changes_nothing_is_not_written),
	    T(one_imsi_two_documents),
	    T(one_imsi_that_three_items_of_a_batch_are_about),
	    T(a_higher_sqn_is_followed_a_lower_one_is_not),
	    T(columns_of_others_are_left_to_them),
	    T(the_newest_location_wins),
	    T(a_location_is_written_back_until_it_is_there),
	    T(a_location_that_a_form_wrote_over_is_written_again),
	    T(a_location_that_went_with_a_saved_document_is_written_again),
	    T(a_stamp_of_tomorrow_gives_way_to_an_acknowledged_location),
	    T(the_newest_sgsn_wins),
	    T(a_location_that_another_node_removed),
	    T(what_is_refused_is_set_aside),
	    T(what_was_in_the_way_of_a_write_leaves_the_list),
	    T(a_document_that_is_served_is_no_problem_any_more),
	    T(a_document_that_is_held_back_waits_alone),
	    T(an_image_from_before_our_write_lowers_nothing),
	    T(a_key_that_was_replaced_is_not_used_again),
	    T(an_answer_that_the_feed_has_overtaken),
	    T(drawn_sqns_reach_the_field_with_its_ind),
	    T(an_sqn_that_waited_outlives_a_kill),
	    T(an_sqn_that_was_drawn_before_an_end),
	    T(a_start_writes_to_nobody_who_has_not_drawn),
	    T(misses_are_read_through_once),
	    T(who_is_nowhere_is_not_asked_for_again_at_once),
	    T(found_but_deleted_meanwhile),
	    T(an_answer_behind_a_deletion_that_is_not_committed),
	    T(an_operator_names_one_that_is_not_here_yet),
	    T(an_operator_names_one_that_is_nowhere),
	    T(an_operator_names_one_that_goes),
	    T(positions_are_kept_behind_what_they_cover),
	    T(verify_waits_for_a_comparison_that_began_later),
	    T(a_failed_commit_holds_the_position),
	    T(a_failure_at_the_end_of_a_comparison),
	    T(the_end_while_the_disk_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
