// What an APN may be called: for the documents of all sources. Pure; loader process.
#pragma once
#include "lib/base/wire.h"

#define APN_LIST_MAX 50 // of a subscriber: what a profile may hold (TS 29.272 7.3.34 says "*"; 50 is that of PDP contexts)
#define APN_NAME_MAX 100 // TS 23.003 9.1: octets on the wire

// What is wrong with an APN's network identifier (TS 23.003 9.1.1); NULL: nothing.
const char *apn_problem(struct slice name);
