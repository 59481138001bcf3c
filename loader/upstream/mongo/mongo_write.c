// MongoDB: the write thread of upstream.h. Loader process. One unordered bulk a batch, at most one update of
// a kind for each subscriber, acknowledged by the majority of the replica set and on its disks. What is not
// known to be there is given back and comes again in a later batch, with what is newest then; while the
// server is away the thread waits in between, so that batches are composed late. Laws 6 and 8.
#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>
#include "loader/upstream/mongo/mongo.h"
#include "loader/upstream/mongo/mongo_update.h"
#include "loader/upstream/upstream.h"
#include "lib/base/clock.h"

#define WAIT_MS 500u
#define SLOW_MS 2000u // of one bulk

struct writer {
	struct upstream *u;
	struct mongo m;
	uint32_t node;
	unsigned piece; // items of one bulk
	struct up_batch *batch;
	// of the bulk that is under way
	uint32_t op_cnt;
	uint16_t item_of[UP_BATCH_MAX * MONGO_OPS_MAX];
};

static void set_aside(struct writer *w, uint32_t item, const char *text)
{
	struct up_batch *b = w->batch;
	b->write[item].result = UP_WRITE_REFUSED;
	if (!b->error[0])
		snprintf(b->error, sizeof(b->error), "%.*s", (int)sizeof(b->error) - 1, text);
}

static void add(struct writer *w, mongoc_bulk_operation_t *bulk, uint32_t item)
{
	struct mongo_op ops[MONGO_OPS_MAX];
	bson_error_t e;
	unsigned cnt = mongo_update_ops(&w->batch->write[item], w->node, ops);
	for (unsigned i = 0; i < cnt; i++) {
		if (mongoc_bulk_operation_update_one_with_opts(bulk, &ops[i].filter, &ops[i].update, NULL,
							       &e))
			w->item_of[w->op_cnt++] = (uint16_t)item;
		else // a host's name that is not UTF-8
			set_aside(w, item, e.message);
		mongo_op_fini(&ops[i]);
	}
}

// Errors of single operations, *cnt of them. false: one is the server's, or all are of an unknown kind; *why
// is it.
static bool errors_of_documents(struct writer *w, const bson_t *reply, unsigned *cnt, struct mongo_error *why)
{
	struct mongo_errors at = mongo_errors_of(reply, "writeErrors");
	struct mongo_error e;
	bool unknown = false;
	for (*cnt = 0; mongo_errors_next(&at, &e); (*cnt)++) {
		enum mongo_blame blame = mongo_update_blame(e.code, e.text);
		*why = e;
		if (blame == MONGO_BLAME_SERVER || e.index < 0 || e.index >= w->op_cnt)
			return false;
		unknown |= blame == MONGO_BLAME_UNKNOWN;
		set_aside(w, w->item_of[e.index], e.text);
	}
	return !unknown || *cnt < w->op_cnt;
}

// What became of the bulk. true: it is known for each item.
static bool judge(struct writer *w, bool ok, const bson_t *reply, bson_error_t *e)
{
	struct mongo_errors concern = mongo_errors_of(reply, "writeConcernErrors");
	struct mongo_error why;
	unsigned cnt;
	if (!errors_of_documents(w, reply, &cnt, &why)) {
		bson_set_error(e, MONGOC_ERROR_SERVER, why.code, "%s", why.text);
		return false;
	}
	if (mongo_errors_next(&concern, &why)) {
		bson_set_error(e, MONGOC_ERROR_WRITE_CONCERN, why.code, "%s", why.text);
		return false;
	}
	// the driver tells the first error of a single operation as that of all
	return ok ||
	       (cnt > 0 && e->domain != MONGOC_ERROR_STREAM && e->domain != MONGOC_ERROR_SERVER_SELECTION);
}

// Items from..to - 1 of the batch.
static bool send_bulk(struct writer *w, unsigned from, unsigned to, bson_error_t *e)
{
	bson_t reply, opts = BSON_INITIALIZER;
	BSON_APPEND_BOOL(&opts, "ordered", false);
	mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(w->m.coll, &opts);
	bson_destroy(&opts);
	w->op_cnt = 0;
	for (unsigned i = from; i < to; i++)
		add(w, bulk, i);
	bool known = true;
	if (w->op_cnt) {
		bool ok = mongoc_bulk_operation_execute(bulk, &reply, e) != 0;
		known = judge(w, ok, &reply, e);
		bson_destroy(&reply);
	}
	mongoc_bulk_operation_destroy(bulk);
	return known;
}

// A server that needs long for each update (without an index on imsi it reads the whole collection) gets
// smaller bulks, so that their answers come before our patience ends.
static void adapt(struct writer *w, bool known, uint64_t ms)
{
	if (!known && ms >= SLOW_MS)
		w->piece = w->piece > 4 ? w->piece / 4 : 1;
	else if (ms >= SLOW_MS && w->piece > 1)
		w->piece /= 2;
	else if (known && ms < SLOW_MS / 4 && w->piece < UP_BATCH_MAX)
		w->piece *= 2;
}

static bool send_pieces(struct writer *w, bson_error_t *e)
{
	const struct up_batch *b = w->batch;
	bool known = true;
	for (unsigned from = 0, to; from < b->cnt && known; from = to) {
		uint64_t start_ms = clock_mono_ms();
		to = b->cnt - from > w->piece ? from + w->piece : b->cnt;
		known = !upstream_ending(w->u) && send_bulk(w, from, to, e);
		adapt(w, known, clock_mono_ms() - start_ms);
	}
	return known;
}

static void write_batch(struct writer *w)
{
	struct up_batch *b = w->batch;
	bson_error_t e = {0};
	b->status = UP_DONE;
	b->error[0] = 0;
	for (unsigned i = 0; i < b->cnt; i++)
		b->write[i].result = UP_WRITE_OK;
	if (mongo_open(&w->m) && send_pieces(w, &e)) {
		mongo_worked(&w->m);
		return;
	}
	b->status = UP_AWAY;
	if (w->m.client) {
		mongo_text(&w->m, &e, b->error);
		mongo_failed(&w->m, "write", &e);
	}
	if (mongo_back_off(&w->m))
		return; // the end, which the caller sees too
}

static void give_back(struct writer *w)
{
	struct up_item *item = calloc(1, sizeof(*item));
	if (!item)
		bug("no memory for an answer of the upstream");
	item->kind = UP_WRITTEN;
	item->batch = w->batch;
	w->batch = NULL;
	if (!upstream_give_take(w->u, &item))
		return; // the end: all of it is in the outbox still
}

void *mongo_write_main(void *upstream)
{
	struct writer *w = calloc(1, sizeof(*w));
	if (!w)
		bug("no memory for the write thread");
	w->u = upstream;
	w->node = upstream_options(upstream)->config->node_id;
	w->piece = UP_BATCH_MAX / 8; // until it is known how fast the server is
	mongo_init(&w->m, upstream, "write");
	while (!upstream_ending(upstream)) {
		w->batch = upstream_next_batch(upstream, WAIT_MS);
		if (!w->batch)
			continue;
		write_batch(w);
		give_back(w);
	}
	mongo_close(&w->m);
	free(w);
	return NULL;
}
