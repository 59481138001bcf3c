// The index thread of upstream.h. An index on a large collection takes minutes, and its connection can do
// nothing else meanwhile. So read-through and provisioning have connections of their own, and this one waits
// as long as the server needs. Law 8: an index is never made unasked. Loader process.
#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>
#include "loader/upstream/mongo/mongo.h"
#include "lib/base/log.h"

#define WAIT_MS 60000u

struct outcome {
	enum up_status status;
	char text[UP_ERROR_MAX];
};

static void say(struct outcome *o, enum up_status status, const char *text)
{
	o->status = status;
	snprintf(o->text, sizeof(o->text), "%s", text);
}

static void judge(struct mongo *m, const bson_error_t *e, struct outcome *o)
{
	char why[UP_ERROR_MAX];
	mongo_text(m, e, why);
	why[strcspn(why, "{")] = 0; // the key of a duplicate
	if (mongo_code(e) == 11000)
		say(o, UP_REFUSED, "two documents have the same imsi: see subscriber problems");
	else if (mongo_code(e) == 85 || mongo_code(e) == 86)
		say(o, UP_REFUSED, "there is an index on imsi already, which is not unique");
	else if (e->domain == MONGOC_ERROR_STREAM)
		say(o, UP_AWAY, "the connection broke before the answer; the server may still be making it: ask again");
	else
		say(o, mongo_fault_of(e) == MONGO_AWAY ? UP_AWAY : UP_REFUSED, why);
}

// The one that requests and write-backs find documents by.
static void make_index(struct mongo *m, struct outcome *o)
{
	bson_error_t e = {0};
	bool ok = false;
	if (mongo_open(m)) {
		bson_t *command =
		    BCON_NEW("createIndexes", BCON_UTF8(mongoc_collection_get_name(m->coll)), "indexes", "[", "{",
			     "key", "{", "imsi", BCON_INT32(1), "}", "name", BCON_UTF8("imsi_1"), "unique",
			     BCON_BOOL(true), "background", BCON_BOOL(true), "}", "]");
		ok = mongoc_collection_write_command_with_opts(m->coll, command, NULL, NULL, &e);
		bson_destroy(command);
	} else {
		bson_set_error(&e, MONGOC_ERROR_CLIENT, 0, "the connection string is not understood");
	}
	if (ok) {
		log_info("upstream_index_made");
		say(o, UP_DONE, "");
		return;
	}
	judge(m, &e, o);
	mongo_failed(m, "make the index", &e);
}

static void answer(struct upstream *u, const struct up_ask *ask, const struct outcome *o)
{
	struct up_item *item = calloc(1, sizeof(*item));
	if (!item)
		bug("no memory for an answer of the upstream");
	*item = (struct up_item){.kind = UP_ANSWER,
				 .ask = ask->number,
				 .status = o->status,
				 .text = o->text[0] ? strdup(o->text) : NULL};
	if (!upstream_give_take(u, &item))
		return; // the end
}

void *mongo_index_main(void *upstream)
{
	struct mongo m;
	struct outcome o;
	mongo_init(&m, upstream, "index");
	m.patient = true;
	while (!upstream_ending(upstream)) {
		struct up_ask *ask = upstream_next_index(upstream, WAIT_MS);
		if (!ask)
			continue;
		make_index(&m, &o);
		mongo_close(&m); // it may be months until the next one
		answer(upstream, ask, &o);
		up_ask_free(&ask);
	}
	return NULL;
}
