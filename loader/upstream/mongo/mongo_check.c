// Checks MongoDB against the configuration (mongo_check.h). Loader process, and the program `hss-loader
// --check-store`.
#include "loader/upstream/mongo/mongo_check.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "loader/upstream/mongo/mongo.h"
#include "config/uri.h"
#include "lib/base/secret.h"

#define URI_FD 3

static bool is_on_imsi(const bson_t *index)
{
	bson_iter_t at, key;
	return bson_iter_init_find(&at, index, "key") && BSON_ITER_HOLDS_DOCUMENT(&at) &&
	       bson_iter_recurse(&at, &key) && bson_iter_next(&key) &&
	       strcmp(bson_iter_key(&key), "imsi") == 0;
}

int mongo_check_collection(mongoc_collection_t *coll, char text[MONGO_CHECK_MAX], bson_error_t *e)
{
	const char *name = mongoc_collection_get_name(coll);
	const bson_t *index;
	unsigned cnt = 0;
	bool found = false;
	mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(coll, NULL);
	for (; mongoc_cursor_next(cursor, &index); cnt++)
		found |= is_on_imsi(index);
	bool failed = mongoc_cursor_error(cursor, e) && mongo_code(e) != 26; // NamespaceNotFound
	mongoc_cursor_destroy(cursor);
	if (failed)
		return -1;
	if (cnt == 0) // the one on _id is always there
		snprintf(text, MONGO_CHECK_MAX, "the database has no collection \"%s\" (yet)", name);
	else if (!found)
		snprintf(
		    text, MONGO_CHECK_MAX,
		    "collection \"%s\" has no index on imsi, so each lookup and each update reads all of it: "
		    "hssctl store index makes one",
		    name);
	return cnt == 0 || !found;
}

static bool check_client(const struct config *c, mongoc_client_t *client, char text[MONGO_CHECK_MAX])
{
	bson_error_t e = {0};
	mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	mongoc_collection_t *coll =
	    mongoc_client_get_collection(client, c->store_database, c->store_collection);
	mongoc_collection_set_read_prefs(coll, primary);
	int rc = mongo_check_collection(coll, text, &e);
	mongoc_collection_destroy(coll);
	mongoc_read_prefs_destroy(primary);
	if (rc < 0 && mongo_fault_of(&e) == MONGO_DENIED)
		snprintf(text, MONGO_CHECK_MAX, "not let in with these credentials: %.250s", e.message);
	else if (rc < 0 && mongo_code(&e) == 13)
		snprintf(text, MONGO_CHECK_MAX, "the user may not read it: %.250s", e.message);
	else if (rc < 0)
		snprintf(text, MONGO_CHECK_MAX, "can't be reached: %.250s", e.message);
	return rc == 0;
}

bool mongo_check(const struct config *c, const char *uri, char text[MONGO_CHECK_MAX])
{
	bson_error_t e = {0};
	char shown[200];
	mongoc_client_t *client = mongo_client_new(uri, true, &e);
	if (client) {
		bool fit = check_client(c, client, text);
		mongoc_client_destroy(client);
		return fit;
	}
	config_uri_mask(uri, shown, sizeof(shown));
	snprintf(text, MONGO_CHECK_MAX, "the driver does not understand %s", shown);
	return false;
}

static bool read_config(struct config *c)
{
	uint8_t *p = (uint8_t *)c;
	size_t left = sizeof(*c);
	while (left) {
		ssize_t n = read(STDIN_FILENO, p, left);
		if (n <= 0)
			return false;
		p += n;
		left -= (size_t)n;
	}
	return true;
}

int mongo_check_main(void)
{
	static struct config c; // 70 KiB: not for the stack
	char uri[CONFIG_URI_MAX], text[MONGO_CHECK_MAX] = "";
	if (!read_config(&c)) {
		fputs("hss-loader: --check-store is for hssd --check\n", stderr);
		return 1;
	}
	snprintf(uri, sizeof(uri), "%s", c.store_uri);
	int rc = c.store_uri_file[0] ? config_uri_read(URI_FD, uri) : 0;
	bool fit = rc == 0 && mongo_check(&c, uri, text);
	secret_wipe(uri, sizeof(uri));
	if (rc)
		snprintf(text, sizeof(text), "store.uri_file: expected one line with a connection string");
	if (!fit)
		fprintf(stderr, "%s\n", text);
	mongoc_cleanup();
	return !fit;
}
