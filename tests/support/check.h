// What a fixture, a fuzz target or a measurement relies on. Without CMocka, which only the unit tests are
// linked with.
#pragma once
#include <stdio.h>
#include <stdlib.h>

// Says where and what, and ends the process.
#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)
