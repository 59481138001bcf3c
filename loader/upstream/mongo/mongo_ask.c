// The ask thread of upstream.h. It takes all questions that wait together, each subscriber once. One find
// reads the documents that a change must know, one unordered bulk makes the changes, one find reads what is
// there now. So a flood of unknown subscribers costs one question for a hundred of them, and an import two
// questions and a bulk. Loader process; laws 8 and 9.
//
// While the server is away it is tried again after a pause that grows to 2 s. In between, every question is
// answered at once that the server is away.
#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>
#include "loader/upstream/mongo/mongo.h"
#include "loader/upstream/mongo/mongo_change.h"
#include "loader/upstream/mongo/mongo_check.h"
#include "loader/upstream/mongo/mongo_doc.h"
#include "loader/upstream/mongo/mongo_update.h"
#include "loader/upstream/upstream.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define TOGETHER     100u
#define WAIT_MS      500u
#define BACK_OFF_MS  100u
#define BACK_OFF_MAX 2000u
#define AGAIN_MS     500u // a failure that came faster may be that of a connection that broke while nobody asked

// One question that is under way.
struct asked {
	struct up_ask *ask;
	char imsi[16];
	bson_t *before, *after; // NULL: no such document
	unsigned after_cnt;     // documents that have the IMSI now
	uint64_t read_us;       // when `after` was asked for
	struct mongo_change change;
	bool composed;   // `change` holds something
	bool existed;    // before any try
	bool has_status; // decided
	enum up_status status;
	char reason[UP_ERROR_MAX];
};

struct asker {
	struct upstream *u;
	struct mongo m;
	struct mongo_docs docs;
	uint64_t failed_ms, quiet_until_ms; // the server is away
	bool checked;            // since it was away last
	char why[UP_ERROR_MAX];  // of the last failure
	struct asked asked[TOGETHER];
	unsigned cnt;
	uint8_t item_of[TOGETHER];
	unsigned op_cnt;
};

static void decide(struct asked *q, enum up_status status, const char *reason)
{
	if (q->has_status)
		return;
	q->has_status = true;
	q->status = status;
	snprintf(q->reason, sizeof(q->reason), "%.*s", (int)sizeof(q->reason) - 1, reason);
}

static void drop(bson_t **b)
{
	if (*b)
		bson_destroy(*b);
	*b = NULL;
}

// ---- taking

static bool is_taken(const struct asker *a, imsi_t imsi)
{
	for (unsigned i = 0; i < a->cnt; i++)
		if (a->asked[i].ask->imsi.v == imsi.v)
			return true;
	return false;
}

// Takes the questions that wait. Several about one subscriber keep their order: the second one waits for the
// next round.
static void take(struct asker *a)
{
	struct up_ask *ask = upstream_next_ask(a->u, WAIT_MS);
	for (a->cnt = 0; ask; ask = a->cnt < TOGETHER ? upstream_next_ask(a->u, 0) : NULL) {
		if (is_taken(a, ask->imsi)) {
			upstream_ask_back(a->u, ask);
			return;
		}
		struct asked *q = &a->asked[a->cnt++];
		*q = (struct asked){.ask = ask};
		imsi_text(ask->imsi, q->imsi);
	}
}

// ---- finding

static struct asked *asked_of(struct asker *a, const bson_t *doc)
{
	bson_iter_t at;
	if (!bson_iter_init_find(&at, doc, "imsi") || !BSON_ITER_HOLDS_UTF8(&at))
		return NULL;
	const char *imsi = bson_iter_utf8(&at, NULL);
	for (unsigned i = 0; i < a->cnt; i++)
		if (strcmp(a->asked[i].imsi, imsi) == 0)
			return &a->asked[i];
	return NULL;
}

static bool wants(const struct asked *q, bool after)
{
	if (q->has_status)
		return false;
	if (after)
		return q->ask->kind != UP_REMOVE;
	return q->ask->kind == UP_ADD || q->ask->kind == UP_REPLACE || q->ask->kind == UP_REMOVE;
}

// Composes {imsi: {$in: [...]}}. Returns how many; 0: there is nothing to look up.
static unsigned compose_find(struct asker *a, bool after, bson_t *filter)
{
	bson_t in, list;
	unsigned n = 0;
	char index[12];
	bson_init(filter);
	BSON_APPEND_DOCUMENT_BEGIN(filter, "imsi", &in);
	BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);
	for (unsigned i = 0; i < a->cnt; i++) {
		if (!wants(&a->asked[i], after))
			continue;
		snprintf(index, sizeof(index), "%u", n++);
		BSON_APPEND_UTF8(&list, index, a->asked[i].imsi);
	}
	bson_append_array_end(&in, &list);
	bson_append_document_end(filter, &in);
	return n;
}

static void keep(struct asker *a, const bson_t *doc, bool after)
{
	struct asked *q = asked_of(a, doc);
	bson_t **slot = q ? (after ? &q->after : &q->before) : NULL;
	if (q && after)
		q->after_cnt++;
	if (slot && !*slot)
		*slot = bson_copy(doc);
}

static bool find(struct asker *a, bool after, bson_error_t *e)
{
	const bson_t *doc;
	bson_t filter;
	unsigned n = compose_find(a, after, &filter);
	for (unsigned i = 0; i < a->cnt; i++)
		drop(after ? &a->asked[i].after : &a->asked[i].before);
	for (unsigned i = 0; i < a->cnt && after; i++) {
		a->asked[i].after_cnt = 0;
		a->asked[i].read_us = clock_mono_us();
	}
	bool ok = true;
	if (n) {
		mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(a->m.coll, &filter, NULL, NULL);
		while (mongoc_cursor_next(cursor, &doc))
			keep(a, doc, after);
		ok = !mongoc_cursor_error(cursor, e);
		mongoc_cursor_destroy(cursor);
	}
	bson_destroy(&filter);
	return ok;
}

// ---- changing

static void compose(struct asked *q)
{
	char reason[MONGO_REASON_MAX] = "";
	const json_t *json = q->ask->json;
	bool ok = true;
	switch (q->ask->kind) {
	case UP_ADD:
		if (q->before)
			decide(q, UP_REFUSED, "the subscriber exists");
		else
			ok = q->composed = mongo_change_add(json, &q->change, reason);
		break;
	case UP_REPLACE:
		ok = q->composed = mongo_change_replace(json, q->before, &q->change, reason);
		break;
	case UP_SET:
		ok = q->composed = mongo_change_set(json, &q->change, reason);
		break;
	case UP_REMOVE:
		q->existed |= q->before != NULL;
		if (!q->existed)
			decide(q, UP_REFUSED, "no such subscriber");
		break;
	case UP_LOOKUP:
	case UP_INDEX:
		break;
	}
	if (!ok)
		decide(q, UP_REFUSED, reason);
}

static void append(struct asker *a, mongoc_bulk_operation_t *bulk, struct asked *q)
{
	bson_error_t e;
	bson_t filter = BSON_INITIALIZER, opts = BSON_INITIALIZER;
	BSON_APPEND_UTF8(&filter, "imsi", q->imsi);
	if (!q->composed)
		upstream_note_own(a->u, UP_OWN_REMOVAL, &q->ask->imsi, 1);
	if (q->composed && q->change.upsert)
		BSON_APPEND_BOOL(&opts, "upsert", true);
	bool ok = q->composed ? mongoc_bulk_operation_update_one_with_opts(bulk, &filter, &q->change.update,
									   &opts, &e)
			      : mongoc_bulk_operation_remove_many_with_opts(bulk, &filter, NULL, &e);
	if (ok)
		a->item_of[a->op_cnt++] = (uint8_t)(q - a->asked);
	else
		decide(q, UP_REFUSED, e.message);
	bson_destroy(&filter);
	bson_destroy(&opts);
}

static void blame(struct asked *q, const struct mongo_error *e)
{
	bool taken = e->code == 11000;
	if (taken && q->ask->kind == UP_ADD)
		decide(q, UP_REFUSED, "the subscriber exists, or another document has its _id");
	else if (taken)
		decide(q, UP_REFUSED, "another document has its imsi or _id");
	else
		decide(q, mongo_update_blame(e->code, e->text) == MONGO_BLAME_SERVER ? UP_AWAY : UP_REFUSED,
		       e->text);
}

// Sends the bulk. false: its outcome is unknown.
static bool change(struct asker *a, bson_error_t *e)
{
	bson_t reply, opts = BSON_INITIALIZER;
	struct mongo_error one;
	BSON_APPEND_BOOL(&opts, "ordered", false);
	mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(a->m.coll, &opts);
	bson_destroy(&opts);
	a->op_cnt = 0;
	for (unsigned i = 0; i < a->cnt; i++)
		if (!a->asked[i].has_status && (a->asked[i].composed || a->asked[i].ask->kind == UP_REMOVE))
			append(a, bulk, &a->asked[i]);
	bool ok = true, blamed = false;
	if (a->op_cnt) {
		ok = mongoc_bulk_operation_execute(bulk, &reply, e) != 0;
		struct mongo_errors errors = mongo_errors_of(&reply, "writeErrors");
		while (mongo_errors_next(&errors, &one))
			if (one.index >= 0 && one.index < a->op_cnt) {
				blame(&a->asked[a->item_of[one.index]], &one);
				blamed = true;
			}
		struct mongo_errors concern = mongo_errors_of(&reply, "writeConcernErrors");
		bool unsure = mongo_errors_next(&concern, &one);
		// the driver tells the first error of a single operation as that of all
		ok = !unsure && (ok || (blamed && e->domain != MONGOC_ERROR_STREAM &&
					e->domain != MONGOC_ERROR_SERVER_SELECTION));
		bson_destroy(&reply);
	}
	mongoc_bulk_operation_destroy(bulk);
	return ok;
}

// ---- answering

static struct up_item *item_of_kind(struct asked *q, enum up_kind kind)
{
	struct up_item *item = calloc(1, sizeof(*item));
	if (!item)
		bug("no memory for an answer of the upstream");
	item->kind = kind;
	item->imsi = q->ask->imsi;
	item->ask = q->ask->number;
	return item;
}

// Beside the answer: lists a document that can't be served, or not as a whole, as a problem.
static void give_bad(struct asker *a, struct asked *q, uint64_t id, const char *text)
{
	struct up_item *item = item_of_kind(q, UP_BAD);
	upstream_note_known(a->u, id, q->ask->imsi); // the feed must notice when it goes
	item->id = id;
	item->text = strdup(text);
	if (!upstream_give_take(a->u, &item))
		return; // the end
}

static struct up_doc *read_after(struct asker *a, struct asked *q)
{
	struct mongo_digests digests;
	struct record_error e = {""};
	mongo_doc_digests(q->after, &digests);
	struct up_doc *doc = mongo_doc_read(&a->docs, q->after, &digests, &e);
	if (doc) {
		doc->read_us = q->read_us;
		doc->flawed = e.text[0] != 0;
	}
	if (!doc)
		decide(q, UP_REFUSED, e.text);
	if (!doc || doc->flawed)
		give_bad(a, q, digests.id, e.text);
	return doc;
}

// Is the document that is there now the one that this question made?
static bool made_by(const struct asked *q)
{
	bson_iter_t at;
	return bson_iter_init_find(&at, q->after, "_id") && BSON_ITER_HOLDS_OID(&at) &&
	       bson_oid_equal(bson_iter_oid(&at), &q->change.id);
}

static void answer(struct asker *a, struct asked *q)
{
	struct up_doc *doc = NULL;
	if (q->ask->kind == UP_REMOVE)
		decide(q, UP_DONE, "");
	else if (!q->has_status && !q->after)
		decide(q, UP_REFUSED, "no such subscriber");
	else if (!q->has_status && q->ask->kind == UP_ADD && !made_by(q))
		decide(q, UP_REFUSED, "the subscriber exists");
	else if (!q->has_status && q->ask->kind == UP_REPLACE && q->change.upsert && !made_by(q))
		decide(q, UP_AWAY, "somebody else added the subscriber at the same time");
	else if (!q->has_status)
		doc = read_after(a, q);
	decide(q, UP_DONE, "");
	struct up_item *item = item_of_kind(q, UP_ANSWER);
	item->status = q->status;
	item->doc = doc;
	item->takes_over = q->after_cnt == 1;
	item->text = q->reason[0] ? strdup(q->reason) : NULL;
	if (!upstream_give_take(a->u, &item))
		return; // the end
}

static void forget(struct asked *q)
{
	drop(&q->before);
	drop(&q->after);
	if (q->composed)
		mongo_change_fini(&q->change);
	up_ask_free(&q->ask);
}

static void answer_all(struct asker *a)
{
	for (unsigned i = 0; i < a->cnt; i++) {
		answer(a, &a->asked[i]);
		forget(&a->asked[i]);
	}
	a->cnt = 0;
}

// ---- the server, there and away

static bool try_all(struct asker *a, bson_error_t *e)
{
	if (!mongo_open(&a->m)) {
		bson_set_error(e, MONGOC_ERROR_CLIENT, 0, "the connection string is not understood");
		return false;
	}
	if (!find(a, false, e))
		return false;
	for (unsigned i = 0; i < a->cnt; i++)
		if (!a->asked[i].composed && !a->asked[i].has_status)
			compose(&a->asked[i]);
	return change(a, e) && find(a, true, e);
}

static void failed(struct asker *a, const bson_error_t *e)
{
	char text[UP_ERROR_MAX];
	mongo_text(&a->m, e, text);
	snprintf(a->why, sizeof(a->why), "MongoDB can't be asked: %.*s", (int)sizeof(a->why) - 30, text);
	mongo_failed(&a->m, "ask", e);
	mongo_close(&a->m);
	a->m.wait_ms = a->m.wait_ms == 0                 ? BACK_OFF_MS
		       : a->m.wait_ms * 2 < BACK_OFF_MAX ? a->m.wait_ms * 2
							 : BACK_OFF_MAX;
	a->failed_ms = clock_mono_ms();
	a->quiet_until_ms = a->failed_ms + a->m.wait_ms;
	a->checked = false;
}

// After a failure the server is left alone for a while, unless the feed has reached it since.
static bool is_quiet(struct asker *a)
{
	struct up_figures f;
	if (clock_mono_ms() >= a->quiet_until_ms)
		return false;
	upstream_figures(a->u, &f);
	return f.reached_ms <= a->failed_ms;
}

// Checks the collection once after each outage, and warns the operator if it will be slow or has no
// subscribers.
static void check(struct asker *a)
{
	bson_error_t e = {0};
	char text[MONGO_CHECK_MAX];
	if (a->checked || is_quiet(a))
		return;
	int rc = mongo_open(&a->m) ? mongo_check_collection(a->m.coll, text, &e) : -1;
	if (rc < 0 && mongo_fault_of(&e) != MONGO_REFUSED) {
		failed(a, &e);
		return;
	}
	a->checked = true; // also without the right to list the indexes: it can't be found out then
	mongo_worked(&a->m);
	if (rc == 1)
		log_warn("upstream_not_fit", LOG_STR("reason", text));
}

static void serve(struct asker *a)
{
	bson_error_t e = {0};
	uint64_t start_ms = clock_mono_ms();
	bool ok = false;
	if (!is_quiet(a)) {
		ok = try_all(a, &e);
		// trying twice does not change twice
		if (!ok && a->m.wait_ms == 0 && clock_mono_ms() - start_ms < AGAIN_MS &&
		    !upstream_ending(a->u)) {
			mongo_close(&a->m);
			ok = try_all(a, &e);
		}
		if (ok)
			mongo_worked(&a->m);
		else
			failed(a, &e);
	}
	for (unsigned i = 0; i < a->cnt && !ok; i++)
		decide(&a->asked[i], UP_AWAY, a->why);
	answer_all(a);
}

void *mongo_ask_main(void *upstream)
{
	struct asker *a = calloc(1, sizeof(*a));
	if (!a || mongo_docs_init(&a->docs, upstream_options(upstream)))
		bug("no memory for the ask thread");
	a->u = upstream;
	mongo_init(&a->m, upstream, "ask");
	a->m.hasty = true;
	while (!upstream_ending(upstream)) {
		take(a);
		if (a->cnt)
			serve(a);
		else
			check(a);
	}
	mongo_close(&a->m);
	mongo_docs_fini(&a->docs);
	free(a);
	return NULL;
}
