// Names of Diameter applications, for people and metrics (applications.def).
#pragma once
#include <stddef.h>
#include <stdint.h>

// The interface's name: "Cx". NULL: it has none here.
static inline const char *app_interface(uint32_t id)
{
	switch (id) {
#define APP_ID(name, number, interface, word)                                                                          \
	case number:                                                                                                   \
		return interface;
#include "lib/diameter/applications.def"
#undef APP_ID
	default:
		return NULL;
	}
}

// The word of metrics and hssctl: "cx". NULL: it has none here.
static inline const char *app_word(uint32_t id)
{
	switch (id) {
#define APP_ID(name, number, interface, word)                                                                          \
	case number:                                                                                                   \
		return word;
#include "lib/diameter/applications.def"
#undef APP_ID
	default:
		return NULL;
	}
}
