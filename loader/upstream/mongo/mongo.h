// A connection to MongoDB, as each of the upstream's threads has one of its own: a single-threaded client of the driver with
// explicit timeouts and concerns, what an error means, and the waiting between attempts. Loader process, any upstream thread;
// laws 6 and 8. Every text that leaves here is free of the connection string's password.
#pragma once
#include <mongoc/mongoc.h>
#include "loader/upstream/upstream.h"

struct mongo {
	struct upstream *u;
	const char *who;	   // "feed", "ask", "write", "index": for the log
	mongoc_client_t *client;   // NULL: closed
	mongoc_collection_t *coll; // of the subscribers: write concern majority and journal, reads from the primary
	unsigned wait_ms;	   // before the next attempt, 0: the last one worked
	bool hasty;		   // somebody waits for what is asked here: shorter timeouts, one attempt
	bool patient;		   // what is asked here takes as long as it takes
};

enum mongo_fault {
	MONGO_AWAY,    // nobody there, cut off, too slow, not the primary, shutting down: try again
	MONGO_DENIED,  // not let in; try again, somebody may mend it
	MONGO_REFUSED, // the server understood and said no to this command
};

// A client as the connection string says, with our timeouts where it says none; nothing is sent. NULL and *e. Any process of
// the loader's program, once at a time.
mongoc_client_t *mongo_client_new(const char *uri, bool hasty, bson_error_t *e) MUST_USE;
void mongo_init(struct mongo *m, struct upstream *u, const char *who);
// Makes the client unless there is one; nothing is sent yet. false (what is wrong is in the log and last_error): the
// connection string is not understood by the driver, or there is no memory; back off.
bool mongo_open(struct mongo *m) MUST_USE;
// Closes it; the next mongo_open begins anew (and looks names up again). Its streams and cursors must be gone.
void mongo_close(struct mongo *m);

enum mongo_fault mongo_fault_of(const bson_error_t *e);
// The error's code as the server gave it; 0: none of the server's (network, driver).
uint32_t mongo_code(const bson_error_t *e);
// Its text for people, without credentials, one line.
void mongo_text(const struct mongo *m, const bson_error_t *e, char out[UP_ERROR_MAX]);
// Notes a failure: last_error, and a log line where this is not just the last one again.
void mongo_failed(struct mongo *m, const char *doing, const bson_error_t *e);
// Something was answered: the next failure is waited out from the beginning; a log line after a failure.
void mongo_worked(struct mongo *m);
// Closes, and waits 100 ms, twice as long each time, at most 5 s. true: the end has come.
bool mongo_back_off(struct mongo *m) MUST_USE;
