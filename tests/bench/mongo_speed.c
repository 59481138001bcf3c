// What a MongoDB server and its driver do without us, to compare with: reads a collection through one cursor and touches
// every field, or updates documents in bulks as our write-back does. `mongo_speed iterate|bulk URI [COUNT]`; prints a second's
// rate.
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BULK 1000

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t touch(bson_iter_t *at)
{
	bson_iter_t in;
	uint64_t sum = 0;
	while (bson_iter_next(at)) {
		sum += (uint64_t)bson_iter_type(at) + (unsigned char)bson_iter_key(at)[0];
		if ((BSON_ITER_HOLDS_DOCUMENT(at) || BSON_ITER_HOLDS_ARRAY(at)) && bson_iter_recurse(at, &in))
			sum += touch(&in);
	}
	return sum;
}

static int iterate(mongoc_collection_t *coll)
{
	bson_t all = BSON_INITIALIZER, opts = BSON_INITIALIZER;
	const bson_t *doc;
	bson_error_t e;
	bson_iter_t at;
	uint64_t n = 0, sum = 0;
	double begun = now();
	BSON_APPEND_INT32(&opts, "batchSize", 10000);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(coll, &all, &opts, NULL);
	for (; mongoc_cursor_next(cursor, &doc); n++)
		sum += bson_iter_init(&at, doc) ? touch(&at) : 0;
	bool failed = mongoc_cursor_error(cursor, &e);
	printf("{\"documents\": %llu, \"rate\": %.0f, \"sum\": %llu}\n", (unsigned long long)n, (double)n / (now() - begun),
	       (unsigned long long)sum);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&all);
	bson_destroy(&opts);
	return failed;
}

static bool one_bulk(mongoc_collection_t *coll, long from, long count, bson_error_t *e)
{
	char imsi[32];
	bson_t opts = BSON_INITIALIZER;
	BSON_APPEND_BOOL(&opts, "ordered", false);
	mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(coll, &opts);
	bson_destroy(&opts);
	for (long i = from; i < from + count; i++) {
		bson_t filter = BSON_INITIALIZER, update = BSON_INITIALIZER, set;
		snprintf(imsi, sizeof(imsi), "%015ld", 1010000000000 + i);
		BSON_APPEND_UTF8(&filter, "imsi", imsi);
		BSON_APPEND_DOCUMENT_BEGIN(&update, "$set", &set);
		BSON_APPEND_UTF8(&set, "mme_host", "plain.bulk.example.org");
		BSON_APPEND_UTF8(&set, "mme_realm", "bulk.example.org");
		BSON_APPEND_INT64(&set, "mme_timestamp", (int64_t)(now() * 1e6));
		BSON_APPEND_BOOL(&set, "purge_flag", false);
		bson_append_document_end(&update, &set);
		mongoc_bulk_operation_update_one_with_opts(bulk, &filter, &update, NULL, e);
		bson_destroy(&filter);
		bson_destroy(&update);
	}
	bool ok = mongoc_bulk_operation_execute(bulk, NULL, e) != 0;
	mongoc_bulk_operation_destroy(bulk);
	return ok;
}

static int bulk(mongoc_collection_t *coll, long count)
{
	bson_error_t e;
	mongoc_write_concern_t *w = mongoc_write_concern_new();
	mongoc_write_concern_set_w(w, MONGOC_WRITE_CONCERN_W_MAJORITY);
	mongoc_write_concern_set_journal(w, true);
	mongoc_collection_set_write_concern(coll, w);
	mongoc_write_concern_destroy(w);
	double begun = now();
	for (long done = 0; done < count; done += BULK)
		if (!one_bulk(coll, done + 1, BULK, &e)) {
			fprintf(stderr, "mongo_speed: %s\n", e.message);
			return 1;
		}
	printf("{\"updates\": %ld, \"rate\": %.0f}\n", count, (double)count / (now() - begun));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: mongo_speed iterate|bulk URI [COUNT]\n");
		return 2;
	}
	mongoc_init();
	mongoc_client_t *client = mongoc_client_new(argv[2]);
	if (!client)
		return 2;
	mongoc_collection_t *coll = mongoc_client_get_collection(client, "open5gs", "subscribers");
	int rc = strcmp(argv[1], "iterate") == 0 ? iterate(coll) : bulk(coll, argc > 3 ? atol(argv[3]) : 10000);
	mongoc_collection_destroy(coll);
	mongoc_client_destroy(client);
	mongoc_cleanup();
	return rc;
}
