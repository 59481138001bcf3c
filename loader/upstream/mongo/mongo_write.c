// The write thread of upstream.h. It sends each batch as unordered bulks, with at most one update of a kind
// for each subscriber, acknowledged by the majority of the replica set and on its disks. Updates that are not
// known to have arrived are given back; they come again in a later batch, with the newest values of that
// time. While the server is away the thread waits between attempts, so that batches are composed late. Loader
// process; laws 6 and 8.
//
// Each bulk gives the server a time limit. If another program holds an open transaction on one document, the
// server waits in the middle of the bulk, and all updates behind it wait, too. When the limit has passed, the
// bulk is cut into pieces until that document is alone. That one is tried again later; the others go on.
#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>
#include "loader/upstream/mongo/bulk_size.h"
#include "loader/upstream/mongo/mongo.h"
#include "loader/upstream/mongo/mongo_update.h"
#include "loader/upstream/upstream.h"
#include "lib/base/clock.h"

#define WAIT_MS	    500u
#define PARTS	    4u	  // that a bulk is cut into when its time was not enough
#define SEARCH_MS   8000u // a batch may spend on finding the document that is held back
#define CODE_LIMIT  50u	  // MaxTimeMSExpired

// What became of a bulk.
enum sent {
	SENT_KNOWN, // for each item
	SENT_LIMIT, // the time was not enough: it is unknown which items are done
	SENT_AWAY,  // the outcome is unknown
};

struct writer {
	struct upstream *u;
	struct mongo m;
	uint32_t node;
	struct bulk_size size;
	bool no_limit; // the server does not know maxTimeMS here
	struct up_batch *batch;
	uint64_t search_until_ms; // 0: no search is under way
	unsigned through;	  // items of this batch that are known
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

static void append(struct writer *w, bson_t *updates, uint32_t item)
{
	struct mongo_op ops[MONGO_OPS_MAX];
	bson_t one;
	char index[16];
	const char *key;
	unsigned cnt = mongo_update_ops(&w->batch->write[item], w->node, ops);
	for (unsigned i = 0; i < cnt; i++) {
		if (bson_validate(&ops[i].update, BSON_VALIDATE_UTF8, NULL)) {
			bson_uint32_to_string(w->op_cnt, &key, index, sizeof(index));
			bson_append_document_begin(updates, key, -1, &one);
			BSON_APPEND_DOCUMENT(&one, "q", &ops[i].filter);
			BSON_APPEND_DOCUMENT(&one, "u", &ops[i].update);
			bson_append_document_end(updates, &one);
			w->item_of[w->op_cnt++] = (uint16_t)item;
		} else {
			set_aside(w, item, "a name of the location is not UTF-8");
		}
		mongo_op_fini(&ops[i]);
	}
}

// Items from..to - 1 of the batch, as one command. The driver's bulks can't have a time limit.
static void compose(struct writer *w, unsigned from, unsigned to, unsigned limit_ms, bson_t *command)
{
	bson_t updates;
	w->op_cnt = 0;
	bson_init(command);
	BSON_APPEND_UTF8(command, "update", mongoc_collection_get_name(w->m.coll));
	BSON_APPEND_BOOL(command, "ordered", false);
	if (limit_ms)
		BSON_APPEND_INT32(command, "maxTimeMS", (int32_t)limit_ms);
	BSON_APPEND_ARRAY_BEGIN(command, "updates", &updates);
	for (unsigned i = from; i < to; i++)
		append(w, &updates, i);
	bson_append_array_end(command, &updates);
}

// ---- what became of it

static bool wc_error(const bson_t *reply, bson_error_t *e)
{
	bson_iter_t at, in;
	const char *text = "the majority did not confirm it";
	uint32_t code = 64;
	if (!bson_iter_init_find(&at, reply, "writeConcernError") || !bson_iter_recurse(&at, &in))
		return false;
	while (bson_iter_next(&in)) {
		if (strcmp(bson_iter_key(&in), "code") == 0)
			code = (uint32_t)bson_iter_as_int64(&in);
		else if (strcmp(bson_iter_key(&in), "errmsg") == 0 && BSON_ITER_HOLDS_UTF8(&in))
			text = bson_iter_utf8(&in, NULL);
	}
	bson_set_error(e, MONGOC_ERROR_WRITE_CONCERN, code, "%s", text);
	return true;
}

// The server's word about single operations. A fault of the server is that of all.
static enum sent judge_operations(struct writer *w, const bson_t *reply, bson_error_t *e)
{
	struct mongo_errors at = mongo_errors_of(reply, "writeErrors");
	struct mongo_error one;
	bool unknown = false;
	unsigned cnt = 0;
	for (; mongo_errors_next(&at, &one); cnt++) {
		enum mongo_blame blame = mongo_update_blame(one.code, one.text);
		bson_set_error(e, MONGOC_ERROR_SERVER, one.code, "%s", one.text);
		if (one.code == CODE_LIMIT)
			return SENT_LIMIT;
		if (blame == MONGO_BLAME_SERVER || one.index < 0 || one.index >= w->op_cnt)
			return SENT_AWAY;
		unknown |= blame == MONGO_BLAME_UNKNOWN;
		set_aside(w, w->item_of[one.index], one.text);
	}
	return unknown && cnt == w->op_cnt ? SENT_AWAY : SENT_KNOWN;
}

static enum sent judge(struct writer *w, bool ok, const bson_t *reply, bson_error_t *e)
{
	if (mongo_code(e) == CODE_LIMIT)
		return SENT_LIMIT;
	if (wc_error(reply, e))
		return mongo_code(e) == CODE_LIMIT ? SENT_LIMIT : SENT_AWAY;
	return ok ? judge_operations(w, reply, e) : SENT_AWAY;
}

static enum sent send_bulk(struct writer *w, unsigned from, unsigned to, bson_error_t *e)
{
	bson_t command, reply;
	unsigned cnt = to - from, tries = w->batch->write[from].tries;
	unsigned limit_ms = bulk_size_limit_ms(&w->size, cnt) << (tries < 6 ? tries / 2 : 3);
	limit_ms = limit_ms < BULK_LIMIT_MAX_MS ? limit_ms : BULK_LIMIT_MAX_MS;
	enum sent sent = SENT_KNOWN;
	*e = (bson_error_t){0};
	compose(w, from, to, w->no_limit ? 0 : limit_ms, &command);
	if (w->op_cnt) {
		uint64_t start_ms = clock_mono_ms();
		bool ok = mongoc_collection_write_command_with_opts(w->m.coll, &command, NULL, &reply, e);
		sent = judge(w, ok, &reply, e);
		if (sent == SENT_KNOWN)
			bulk_size_done(&w->size, cnt, clock_mono_ms() - start_ms);
		bson_destroy(&reply);
	}
	bson_destroy(&command);
	return sent;
}

// ---- a batch

static void mark(struct writer *w, unsigned from, unsigned to, enum up_write_result result)
{
	for (unsigned i = from; i < to; i++)
		w->batch->write[i].result = result;
}

// Its time was not enough: its parts, down to the single document that is held back.
static enum sent search(struct writer *w, unsigned from, unsigned to, bson_error_t *e)
{
	uint64_t now = clock_mono_ms();
	enum sent sent = SENT_KNOWN;
	if (w->search_until_ms == 0)
		w->search_until_ms = now + SEARCH_MS;
	if (to - from == 1 || now >= w->search_until_ms) {
		mark(w, from, to, to - from == 1 ? UP_WRITE_BUSY : UP_WRITE_AGAIN);
		return SENT_KNOWN;
	}
	unsigned part = (to - from + PARTS - 1) / PARTS;
	for (unsigned at = from, end; at < to && sent == SENT_KNOWN; at = end) {
		end = to - at > part ? at + part : to;
		mark(w, at, end, UP_WRITE_OK);
		sent = upstream_ending(w->u) ? SENT_AWAY : send_bulk(w, at, end, e);
		w->through += sent == SENT_KNOWN ? end - at : 0;
		if (sent == SENT_LIMIT)
			sent = search(w, at, end, e);
	}
	return sent;
}

// The next piece; those that were held back before go alone.
static unsigned piece_end(const struct writer *w, unsigned from)
{
	const struct up_batch *b = w->batch;
	unsigned to = from + 1;
	while (b->write[from].tries == 0 && to < b->cnt && to - from < w->size.piece && b->write[to].tries == 0)
		to++;
	return to;
}

static enum sent send_pieces(struct writer *w, bson_error_t *e)
{
	const struct up_batch *b = w->batch;
	enum sent sent = SENT_KNOWN;
	w->search_until_ms = 0;
	w->through = 0;
	for (unsigned from = 0, to; from < b->cnt && sent == SENT_KNOWN; from = to) {
		to = piece_end(w, from);
		sent = upstream_ending(w->u) ? SENT_AWAY : send_bulk(w, from, to, e);
		w->through += sent == SENT_KNOWN ? to - from : 0;
		if (sent == SENT_LIMIT)
			sent = search(w, from, to, e);
	}
	return sent;
}

// An old or foreign server that refuses the limit itself gets none.
static bool refuses_limit(struct writer *w, const bson_error_t *e)
{
	if (w->no_limit || mongo_fault_of(e) != MONGO_REFUSED || !strstr(e->message, "maxTimeMS"))
		return false;
	return w->no_limit = true;
}

static bool write_all(struct writer *w, bson_error_t *e)
{
	struct up_batch *b = w->batch;
	mark(w, 0, b->cnt, UP_WRITE_OK);
	enum sent sent = send_pieces(w, e);
	if (sent == SENT_AWAY && refuses_limit(w, e))
		sent = send_pieces(w, e);
	if (sent == SENT_AWAY) {
		bulk_size_lost(&w->size);
		return false;
	}
	if (w->search_until_ms == 0 || w->through || b->cnt < 2 || b->write[1].tries)
		return true;
	// several, and none got through: it is not single documents, the server is too slow for all
	bulk_size_too_slow(&w->size);
	bson_set_error(e, MONGOC_ERROR_SERVER, CODE_LIMIT, "operation exceeded time limit");
	return false;
}

static void note_written(const struct writer *w)
{
	imsi_t imsi[UP_BATCH_MAX];
	for (unsigned i = 0; i < w->batch->cnt; i++)
		imsi[i] = w->batch->write[i].imsi;
	upstream_note_own(w->u, UP_OWN_WRITE, imsi, w->batch->cnt);
}

static void write_batch(struct writer *w)
{
	struct up_batch *b = w->batch;
	bson_error_t e = {0};
	b->status = UP_DONE;
	b->error[0] = 0;
	// before and after: the feed may be told of a write before we are told that it was done
	note_written(w);
	bool written = mongo_open(&w->m) && write_all(w, &e);
	note_written(w);
	if (written) {
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
	bulk_size_init(&w->size, UP_BATCH_MAX);
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
