// Change streams, by the two commands that they consist of (see mongo_feed.h). With the driver's own stream
// we would not see where a batch ends, and the driver would retry by itself; what a batch brought is sent to
// the main thread as one. Loader process, the feed thread; law 8.
//
// The position, as it is stored: { after: <resume token> | at: <operation time to start at>, seen: <the last
// operation time>, election: <of the primary> }.
#include "loader/upstream/mongo/mongo_feed.h"
#include <stdio.h>
#include <string.h>
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define AWAIT_MS    500 // that the server keeps a question without news
#define BATCH       1000
#define POSITION_MS 100u   // between two stored positions
#define IDLE_MS     10000u // and when nothing but the time went on
#define LAG_US      10000000u // that a majority may need at most to have a change

// ---- position

void stream_forget(struct mongo_feed *f)
{
	if (f->position)
		bson_destroy(f->position);
	f->position = NULL;
	f->moved = false;
	f->compare = true;
	f->compare_ms = 0;
}

bool stream_restore(struct mongo_feed *f, struct slice position)
{
	bson_iter_t at;
	f->position = position.len ? bson_new_from_data(position.p, position.len) : NULL;
	if (!f->position)
		return false;
	if (bson_validate(f->position, BSON_VALIDATE_NONE, NULL) && bson_iter_init(&at, f->position)) {
		while (bson_iter_next(&at)) {
			if (strcmp(bson_iter_key(&at), "election") == 0 && BSON_ITER_HOLDS_OID(&at)) {
				f->election = *bson_iter_oid(&at);
				f->has_election = true;
			}
		}
		if (bson_has_field(f->position, "after") || bson_has_field(f->position, "at"))
			return true;
	}
	stream_forget(f);
	return false;
}

static void set_position(struct mongo_feed *f, const bson_iter_t *token, const bson_iter_t *time)
{
	bson_iter_t old;
	bson_t *p = bson_new();
	if (token)
		bson_append_iter(p, "after", -1, token);
	else if (f->position && bson_iter_init_find(&old, f->position, "after"))
		bson_append_iter(p, "after", -1, &old);
	else if (f->position && bson_iter_init_find(&old, f->position, "at"))
		bson_append_iter(p, "at", -1, &old);
	else if (time)
		bson_append_iter(p, "at", -1, time);
	if (bson_empty(p)) { // a server that tells neither before the first event
		bson_destroy(p);
		return;
	}
	if (time)
		bson_append_iter(p, "seen", -1, time);
	if (f->has_election)
		BSON_APPEND_OID(p, "election", &f->election);
	f->moved |= !f->position || !bson_equal(f->position, p);
	if (f->position)
		bson_destroy(f->position);
	f->position = p;
}

// Only when everything before it is known to be told.
static bool give_position(struct mongo_feed *f)
{
	uint64_t now = clock_mono_ms();
	if (!f->position || !f->moved || f->compare || f->loss.pending || f->position->len > UP_TOKEN_MAX)
		return true;
	char *copy = bson_malloc(f->position->len);
	memcpy(copy, bson_get_data(f->position), f->position->len);
	f->moved = f->changed = false;
	f->told_ms = now;
	return mongo_feed_give(f, &(struct up_item){.kind = UP_POSITION, .text = copy, .len = f->position->len});
}

// ---- commands

// Is the server behind what it said before? Then it was restored from a copy, or rolled back.
static bool went_back(const struct mongo_feed *f, const bson_t *reply)
{
	bson_iter_t now, before;
	uint32_t now_t, now_i, before_t, before_i;
	if (!f->position || !bson_iter_init_find(&now, reply, "operationTime") ||
	    !BSON_ITER_HOLDS_TIMESTAMP(&now) || !bson_iter_init_find(&before, f->position, "seen") ||
	    !BSON_ITER_HOLDS_TIMESTAMP(&before))
		return false;
	bson_iter_timestamp(&now, &now_t, &now_i);
	bson_iter_timestamp(&before, &before_t, &before_i);
	return now_t < before_t || (now_t == before_t && now_i < before_i);
}

static bool command(struct mongo_feed *f, const bson_t *cmd, bson_t *reply, bson_error_t *error)
{
	bson_t opts = BSON_INITIALIZER;
	bson_error_t ignored;
	BSON_APPEND_INT32(&opts, "serverId", (int32_t)f->server);
	if (f->session)
		(void)mongoc_client_session_append(f->session, &opts, &ignored);
	// not as a read command: a getMore that is repeated would skip what the first one took
	bool ok = mongoc_client_command_with_opts(f->m.client, upstream_options(f->u)->config->store_database,
						  cmd, NULL, &opts, reply, error);
	bson_destroy(&opts);
	return ok;
}

// Another primary may lack what the last one had not passed on.
static bool look_at_primary(struct mongo_feed *f, bson_error_t *error)
{
	bson_t cmd = BSON_INITIALIZER, reply;
	bson_iter_t at;
	mongoc_server_description_t *sd = mongoc_client_select_server(f->m.client, true, NULL, error);
	if (!sd)
		return false;
	f->server = mongoc_server_description_id(sd);
	mongoc_server_description_destroy(sd);
	if (!f->session) // one that knows no sessions needs none
		f->session = mongoc_client_start_session(f->m.client, NULL, &(bson_error_t){0});
	BSON_APPEND_INT32(&cmd, "isMaster", 1);
	bool ok = mongoc_client_command_with_opts(f->m.client, "admin", &cmd, NULL, NULL, &reply, error);
	if (ok && bson_iter_init_find(&at, &reply, "electionId") && BSON_ITER_HOLDS_OID(&at)) {
		if (f->has_election && !bson_oid_equal(&f->election, bson_iter_oid(&at))) {
			log_info("upstream_other_primary");
			f->compare = true;
		}
		f->election = *bson_iter_oid(&at);
		f->has_election = true;
	}
	bson_destroy(&reply);
	bson_destroy(&cmd);
	return ok;
}

static void compose_open(const struct mongo_feed *f, bson_t *cmd)
{
	bson_t pipeline, stage, inner, cursor;
	bson_iter_t at;
	BSON_APPEND_UTF8(cmd, "aggregate", upstream_options(f->u)->config->store_collection);
	BSON_APPEND_ARRAY_BEGIN(cmd, "pipeline", &pipeline);
	BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "0", &stage);
	BSON_APPEND_DOCUMENT_BEGIN(&stage, "$changeStream", &inner);
	BSON_APPEND_UTF8(&inner, "fullDocument", "updateLookup");
	if (f->position && bson_iter_init_find(&at, f->position, "after"))
		bson_append_iter(&inner, "resumeAfter", -1, &at);
	else if (f->position && bson_iter_init_find(&at, f->position, "at"))
		bson_append_iter(&inner, "startAtOperationTime", -1, &at);
	bson_append_document_end(&stage, &inner);
	bson_append_document_end(&pipeline, &stage);
	bson_append_array_end(cmd, &pipeline);
	BSON_APPEND_DOCUMENT_BEGIN(cmd, "cursor", &cursor);
	BSON_APPEND_INT32(&cursor, "batchSize", BATCH);
	bson_append_document_end(cmd, &cursor);
}

// ---- events

static bool sub_document(const bson_t *event, const char *name, bson_t *out)
{
	bson_iter_t at;
	uint32_t len;
	const uint8_t *data;
	if (!bson_iter_init_find(&at, event, name) || !BSON_ITER_HOLDS_DOCUMENT(&at))
		return false;
	bson_iter_document(&at, &len, &data);
	return bson_init_static(out, data, len);
}

static enum feed_result on_delete(struct mongo_feed *f, const bson_t *event)
{
	bson_t key;
	uint64_t id = sub_document(event, "documentKey", &key) ? mongo_doc_id(&key) : 0;
	const struct idmap_entry *e = idmap_find(&f->map, id);
	if (id == 0)
		f->compare = true; // the event does not say which documents went: compare all
	return e ? mongo_feed_gone_add(f, id, e->imsi) : FEED_OK;
}

// How old the document of an event may be. The document of an update was looked up when the server answered
// our question. That of an insert or a replacement is from the moment of the change, which is later than the
// last answer without events. Both may lag behind what the primary shows to others, since a stream has only
// what the majority has.
static uint64_t event_read_us(const struct mongo_feed *f, bool looked_up)
{
	uint64_t us = looked_up ? f->asked_us : f->level_us;
	return us > LAG_US ? us - LAG_US : 0;
}

static enum feed_result on_document(struct mongo_feed *f, const bson_t *event, bool looked_up)
{
	bson_t doc;
	// null: it is gone by now, and its deletion follows
	if (!sub_document(event, "fullDocument", &doc) || mongo_doc_id(&doc) == 0)
		return FEED_OK;
	enum feed_result r = mongo_feed_gone_flush(f);
	if (r != FEED_OK)
		return r;
	return mongo_feed_document(f, &doc, &(struct mongo_feed_how){.read_us = event_read_us(f, looked_up)}) ? FEED_OK : FEED_END;
}

static enum feed_result on_event(struct mongo_feed *f, const bson_t *event)
{
	bson_iter_t at;
	const char *type = bson_iter_init_find(&at, event, "operationType") && BSON_ITER_HOLDS_UTF8(&at)
			       ? bson_iter_utf8(&at, NULL)
			       : "";
	if (strcmp(type, "insert") == 0 || strcmp(type, "update") == 0 || strcmp(type, "replace") == 0)
		return on_document(f, event, type[0] == 'u');
	if (strcmp(type, "delete") == 0)
		return on_delete(f, event);
	if (strcmp(type, "drop") == 0 || strcmp(type, "rename") == 0 || strcmp(type, "dropDatabase") == 0 ||
	    strcmp(type, "invalidate") == 0) {
		log_warn("upstream_collection_gone", LOG_STR("event", type));
		return FEED_LOST;
	}
	return FEED_OK;
}

// A reply's batch; then the position behind it.
static enum feed_result take_batch(struct mongo_feed *f, const bson_t *reply)
{
	bson_iter_t cursor, in, at, token, last, time;
	bool has_token = false, has_last = false, some = false;
	enum feed_result r = FEED_OK;
	// before the events are looked at: some of them are echoes of what we did ourselves
	mongo_feed_learn_own(f);
	if (!bson_iter_init_find(&cursor, reply, "cursor") || !bson_iter_recurse(&cursor, &in))
		return FEED_AWAY;
	f->cursor = 0;
	while (bson_iter_next(&in) && r == FEED_OK) {
		const char *key = bson_iter_key(&in);
		if (strcmp(key, "id") == 0)
			f->cursor = bson_iter_as_int64(&in);
		if (strcmp(key, "postBatchResumeToken") == 0 && BSON_ITER_HOLDS_DOCUMENT(&in)) {
			token = in;
			has_token = true;
		}
		if ((strcmp(key, "firstBatch") != 0 && strcmp(key, "nextBatch") != 0) ||
		    !bson_iter_recurse(&in, &at))
			continue;
		while (r == FEED_OK && bson_iter_next(&at)) {
			bson_t event;
			uint32_t len;
			const uint8_t *data;
			if (!BSON_ITER_HOLDS_DOCUMENT(&at))
				continue;
			bson_iter_document(&at, &len, &data);
			if (!bson_init_static(&event, data, len))
				continue;
			r = on_event(f, &event);
			some = true;
			has_last = bson_iter_init_find(&last, &event, "_id") || has_last;
		}
	}
	if (r == FEED_OK)
		r = mongo_feed_gone_flush(f);
	if (r != FEED_OK)
		return r;
	if (!some) // nothing has happened since we asked: we are level with the server
		f->level_us = f->asked_us;
	bool has_time =
	    bson_iter_init_find(&time, reply, "operationTime") && BSON_ITER_HOLDS_TIMESTAMP(&time);
	// Only after all events of the batch were given: the position must never run ahead of them. An old
	// server gives no token for the batch; that of its last event will do.
	set_position(f, has_token ? &token : has_last ? &last : NULL, has_time ? &time : NULL);
	return f->cursor ? FEED_OK : FEED_AWAY;
}

// ---- the stream

static bool is_listed(uint32_t code, const uint32_t list[], size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		if (list[i] == code)
			return true;
	return false;
}

// Of MongoDB 3.6 to 8: the position was lost from the oplog, or its collection is not this one any more.
static bool position_is_lost(uint32_t code)
{
	static const uint32_t lost[] = {136, 222, 260, 280, 286, 40576, 40615, 40647, 40649, 50811};
	return is_listed(code, lost, sizeof(lost) / sizeof(lost[0]));
}

static enum feed_result on_failure(struct mongo_feed *f, const char *doing, const bson_error_t *error)
{
	// no replica set, not implemented, no such command, no such command here, no such stage
	static const uint32_t streamless[] = {40573, 238, 59, 115, 40324};
	char text[UP_ERROR_MAX];
	if (mongo_fault_of(error) != MONGO_REFUSED) {
		mongo_failed(&f->m, doing, error);
		return FEED_AWAY;
	}
	mongo_text(&f->m, error, text);
	if (f->position) { // whatever it does not like about the position, a new stream is the answer
		log_warn("upstream_stream_refused", LOG_STR("reason", text));
		return FEED_LOST;
	}
	if (f->told != UP_POLL)
		log_info("upstream_without_stream", LOG_STR("reason", text));
	f->streamless = is_listed(mongo_code(error), streamless, sizeof(streamless) / sizeof(streamless[0]));
	return FEED_NONE;
}

enum feed_result stream_open(struct mongo_feed *f)
{
	bson_error_t error = {0};
	bson_t cmd = BSON_INITIALIZER, reply;
	if (!look_at_primary(f, &error)) {
		mongo_failed(&f->m, "connect", &error);
		bson_destroy(&cmd);
		return FEED_AWAY;
	}
	f->compare |= !f->position; // nothing says what happened before this stream
	compose_open(f, &cmd);
	f->asked_us = clock_mono_us();
	enum feed_result r =
	    command(f, &cmd, &reply, &error) ? FEED_OK : on_failure(f, "open a change stream", &error);
	if (r == FEED_OK && went_back(f, &reply))
		r = FEED_LOST;
	if (r == FEED_OK) {
		mongo_worked(&f->m);
		r = take_batch(f, &reply);
	}
	bson_destroy(&reply);
	bson_destroy(&cmd);
	return r;
}

static enum feed_result stream_next(struct mongo_feed *f)
{
	bson_error_t error = {0};
	bson_t cmd = BSON_INITIALIZER, reply;
	BSON_APPEND_INT64(&cmd, "getMore", f->cursor);
	BSON_APPEND_UTF8(&cmd, "collection", upstream_options(f->u)->config->store_collection);
	BSON_APPEND_INT32(&cmd, "batchSize", BATCH);
	BSON_APPEND_INT32(&cmd, "maxTimeMS", AWAIT_MS);
	f->asked_us = clock_mono_us();
	enum feed_result r = FEED_OK;
	if (command(f, &cmd, &reply, &error)) {
		r = take_batch(f, &reply);
	} else if (position_is_lost(mongo_code(&error))) {
		r = FEED_LOST;
	} else {
		mongo_failed(&f->m, "read the change stream", &error);
		r = FEED_AWAY;
	}
	bson_destroy(&reply);
	bson_destroy(&cmd);
	return r;
}

// Makes the comparison that is due. Events since the stream was opened wait meanwhile and come after it.
static enum feed_result compare(struct mongo_feed *f)
{
	bool first = !f->loaded;
	if (f->compare_ms && clock_mono_ms() < f->compare_ms)
		return FEED_OK;
	if (f->held && !f->resend && mongo_feed_still_missing(f)) {
		f->compare_ms = clock_mono_ms() + FEED_HELD_MS;
		return FEED_OK;
	}
	if (first)
		feed_state(f, UP_LOADING, UP_STREAM);
	enum feed_result r = mongo_feed_compare(f, false);
	if (r != FEED_OK)
		return r;
	f->loaded = true;
	feed_state(f, UP_LIVE, UP_STREAM);
	f->moved = true;
	return mongo_feed_complete(f) && give_position(f) ? FEED_OK : FEED_END;
}

enum feed_result stream_run(struct mongo_feed *f)
{
	enum feed_result r = FEED_OK;
	feed_state(f, f->compare ? UP_LOADING : UP_LIVE, UP_STREAM);
	while (r == FEED_OK) {
		if (upstream_compare_wanted(f->u, &f->wish)) {
			f->compare = f->resend = true;
			f->compare_ms = 0;
		}
		if (f->compare)
			r = compare(f);
		uint64_t before = f->changes;
		mongo_feed_forget_known(f);
		if (r == FEED_OK)
			r = stream_next(f);
		if (r == FEED_OK)
			r = mongo_gone_settle(f);
		if (r != FEED_OK)
			break;
		mongo_feed_count(f, true);
		f->changed |= f->changes != before;
		uint64_t age = clock_mono_ms() - f->told_ms;
		if ((f->changed ? age >= POSITION_MS : age >= IDLE_MS) && !give_position(f))
			r = FEED_END;
		if (upstream_ending(f->u))
			r = FEED_END;
	}
	return r;
}

void stream_close(struct mongo_feed *f)
{
	if (f->session)
		mongoc_client_session_destroy(f->session);
	f->session = NULL;
	f->cursor = 0;
}
