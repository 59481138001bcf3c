// Makes and closes a thread's client of MongoDB, names its errors, and waits between attempts (mongo.h).
// Loader process, any upstream thread.
#include "loader/upstream/mongo/mongo.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define CONNECT_MS 5000
#define SELECT_MS  2000
#define SOCKET_MS  10000
#define PATIENT_MS 86400000 // a day
#define HASTY_CONNECT_MS 1500
#define HASTY_SOCKET_MS	 2000
#define MAJORITY_MS	 8000
#define HASTY_MAJORITY_MS 1500
#define WAIT_MIN   100u
#define WAIT_MAX   5000u

static pthread_once_t once = PTHREAD_ONCE_INIT;

// The driver's own lines may hold anything, and every failure comes back as an error anyway.
static void init_driver(void)
{
	mongoc_log_set_handler(NULL, NULL); // before mongoc_init, which logs while it starts
	mongoc_init();
	mongoc_handshake_data_append("corehss", HSS_VERSION, NULL);
}

void mongo_init(struct mongo *m, struct upstream *u, const char *who)
{
	pthread_once(&once, init_driver);
	*m = (struct mongo){.u = u, .who = who};
}

static void unless_given(mongoc_uri_t *uri, const char *option, int32_t value)
{
	if (!mongoc_uri_has_option(uri, option))
		mongoc_uri_set_option_as_int32(uri, option, value);
}

// The time-outs of a connection on which a request or an operator waits: shorter, and without retries by the
// driver.
static void be_hasty(mongoc_uri_t *uri)
{
	unless_given(uri, MONGOC_URI_CONNECTTIMEOUTMS, HASTY_CONNECT_MS);
	unless_given(uri, MONGOC_URI_SOCKETTIMEOUTMS, HASTY_SOCKET_MS);
	if (!mongoc_uri_has_option(uri, MONGOC_URI_RETRYREADS))
		mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, false);
	if (!mongoc_uri_has_option(uri, MONGOC_URI_RETRYWRITES))
		mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false);
}

static mongoc_client_t *client_new(const char *text, bool hasty, bool patient, bson_error_t *e)
{
	pthread_once(&once, init_driver);
	mongoc_uri_t *uri = mongoc_uri_new_with_error(text, e);
	if (!uri)
		return NULL;
	if (hasty)
		be_hasty(uri);
	if (patient) // whatever it says: that is meant for other things
		mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, PATIENT_MS);
	unless_given(uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
	unless_given(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, SELECT_MS);
	unless_given(uri, MONGOC_URI_SOCKETTIMEOUTMS, SOCKET_MS);
	if (!mongoc_uri_get_appname(uri))
		mongoc_uri_set_appname(uri, "corehss");
	mongoc_client_t *client = mongoc_client_new_from_uri_with_error(uri, e);
	mongoc_uri_destroy(uri);
	if (client)
		mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
	return client;
}

mongoc_client_t *mongo_client_new(const char *text, bool hasty, bson_error_t *e)
{
	return client_new(text, hasty, false, e);
}

// Overrides the connection string: what the upstream has acknowledged must survive there (law 6), and a
// secondary may lag.
static void set_concerns(mongoc_collection_t *coll, bool hasty, bool patient)
{
	mongoc_write_concern_t *w = mongoc_write_concern_new();
	mongoc_read_prefs_t *r = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	mongoc_write_concern_set_w(w, MONGOC_WRITE_CONCERN_W_MAJORITY);
	mongoc_write_concern_set_journal(w, true);
	// without a majority the server gives up before we do, and does not gather our attempts
	if (!patient)
		mongoc_write_concern_set_wtimeout_int64(w, hasty ? HASTY_MAJORITY_MS : MAJORITY_MS);
	mongoc_collection_set_write_concern(coll, w);
	mongoc_collection_set_read_prefs(coll, r);
	mongoc_write_concern_destroy(w);
	mongoc_read_prefs_destroy(r);
}

bool mongo_open(struct mongo *m)
{
	const struct config *c = upstream_options(m->u)->config;
	bson_error_t e = {0};
	if (m->client)
		return true;
	m->client = client_new(upstream_options(m->u)->uri, m->hasty, m->patient, &e);
	if (!m->client) {
		mongo_failed(m, "connect", &e);
		return false;
	}
	m->coll = mongoc_client_get_collection(m->client, c->store_database, c->store_collection);
	set_concerns(m->coll, m->hasty, m->patient);
	return true;
}

void mongo_close(struct mongo *m)
{
	if (m->coll)
		mongoc_collection_destroy(m->coll);
	if (m->client)
		mongoc_client_destroy(m->client);
	m->coll = NULL;
	m->client = NULL;
}

// ---- errors

uint32_t mongo_code(const bson_error_t *e)
{
	return e->domain == MONGOC_ERROR_SERVER || e->domain == MONGOC_ERROR_WRITE_CONCERN ||
		       e->domain == MONGOC_ERROR_QUERY || e->domain == MONGOC_ERROR_COLLECTION
		   ? e->code
		   : 0;
}

enum mongo_fault mongo_fault_of(const bson_error_t *e)
{
	static const uint32_t away[] = {
	    6,	  7,	 43,	50,    63,    89,    91,    112,   133,	 134, // unreachable, cursor or time lost, election
	    150,  189,	 234,	262,   9001,  10058, 10107, 11600, 11601, 11602, 13388, 13435, 13436,
	};
	uint32_t code = mongo_code(e);
	if (code == 18 || (e->domain == MONGOC_ERROR_CLIENT && e->code == MONGOC_ERROR_CLIENT_AUTHENTICATE))
		return MONGO_DENIED;
	if (code == 0)
		return MONGO_AWAY;
	for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++)
		if (away[i] == code)
			return MONGO_AWAY;
	return MONGO_REFUSED;
}

static void mask(char *text, const char *secret)
{
	size_t len = secret ? strlen(secret) : 0;
	for (char *at = text; len && (at = strstr(at, secret)); at += len)
		memset(at, '*', len);
}

// The password as the connection string has it, and as the driver understands it.
static void mask_password(const struct mongo *m, char *text)
{
	const char *uri = upstream_options(m->u)->uri, *end;
	char raw[512] = "";
	const char *at = strstr(uri, "://");
	const char *colon = at ? strchr(at + 3, ':') : NULL;
	if (colon && (end = strchr(colon, '@')))
		snprintf(raw, sizeof(raw), "%.*s", (int)(end - colon - 1), colon + 1);
	mask(text, raw);
	secret_wipe(raw, sizeof(raw));
	if (m->client)
		mask(text, mongoc_uri_get_password(mongoc_client_get_uri(m->client)));
}

void mongo_text(const struct mongo *m, const bson_error_t *e, char out[UP_ERROR_MAX])
{
	char text[sizeof(e->message) + 1];
	uint32_t code = mongo_code(e);
	snprintf(text, sizeof(text), "%s", e->message[0] ? e->message : "no reason given");
	mask_password(m, text);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	if (code)
		snprintf(out, UP_ERROR_MAX, "%.*s (%u)", UP_ERROR_MAX - 16, text, code);
	else
		snprintf(out, UP_ERROR_MAX, "%.*s", UP_ERROR_MAX - 1, text);
}

void mongo_failed(struct mongo *m, const char *doing, const bson_error_t *e)
{
	char text[UP_ERROR_MAX];
	mongo_text(m, e, text);
	upstream_error(m->u, text);
	// an absent server is logged once, and again when it is back
	if (m->wait_ms == 0)
		log_warn("upstream_failed", LOG_STR("thread", m->who), LOG_STR("doing", doing), LOG_STR("reason", text));
}

void mongo_worked(struct mongo *m)
{
	if (m->wait_ms)
		log_info("upstream_back", LOG_STR("thread", m->who));
	m->wait_ms = 0;
}

bool mongo_back_off(struct mongo *m)
{
	mongo_close(m);
	m->wait_ms = m->wait_ms ? m->wait_ms * 2 : WAIT_MIN;
	if (m->wait_ms > WAIT_MAX)
		m->wait_ms = WAIT_MAX;
	uint64_t now = clock_mono_ms(), until = now + m->wait_ms;
	for (; now < until; now = clock_mono_ms()) {
		if (upstream_wait(m->u, (unsigned)(until - now)))
			return true;
		// a comparison is asked for, which only the feed can begin: not a reason to try at once
		if (clock_mono_ms() < until)
			nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return upstream_ending(m->u);
}
