// Wildcarded identities of IMS (TS 23.003 13.5): sip:list-!.*!@ims.example. Between the two ! stands a regular expression.
// So that a request can be matched without allocation and in bounded time, it may consist of literal characters (escaped by
// \ where they mean something), . and [...] (ranges, ^ for all others), each followed by * + or ? or not. Pure.
#pragma once
#include "lib/base/wire.h"

#define IMS_WILDCARD_ATOMS 64

// Is this a wildcarded identity that can be matched?
bool ims_wildcard_valid(struct slice pattern);
// Does it stand for this identity? The whole of both must meet; false for a pattern that is not valid.
bool ims_wildcard_match(struct slice pattern, struct slice identity);
