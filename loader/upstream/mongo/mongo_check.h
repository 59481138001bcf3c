// Checks MongoDB against the configuration: is it there, does it let us in, has it the collection and an
// index on imsi? For `hssd --check`, in a loader that does nothing else, and for the ask thread when it is
// connected. Law 8.
#pragma once
#include <mongoc/mongoc.h>
#include "config/config.h"

#define MONGO_CHECK_MAX 400u

// Of a collection that can be asked. 0: fit; 1: served all the same, `text` says what is missing; negative:
// *e.
int mongo_check_collection(mongoc_collection_t *coll, char text[MONGO_CHECK_MAX], bson_error_t *e) MUST_USE;
// Connects, at most for some seconds. true: fit. Else `text` says what is not, without a password.
bool mongo_check(const struct config *c, const char *uri, char text[MONGO_CHECK_MAX]) MUST_USE;
// main of `hss-loader --check-store`: struct config on standard input, a uri_file as descriptor 3. What is
// not fit goes to standard error as one line. The exit status: 0 fit, 1 not.
int mongo_check_main(void);
