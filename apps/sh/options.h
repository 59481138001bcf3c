// What application servers may do: Sh's part of struct config (config/config.h), filled in from the rows of options.def. Plain data
// without pointers. references.h asks it.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define SH_SERVER_MAX	 64
#define SH_REFERENCE_MAX 26 // data references of TS 29.328 table 7.6.1; apps/options_words.def has each twice: name and number

struct sh_options {
	struct sh_server {
		char host[256]; // Origin-Host, or "*." and its end
		uint8_t pull[SH_REFERENCE_MAX], update[SH_REFERENCE_MAX], notify[SH_REFERENCE_MAX];
		uint32_t pull_cnt, update_cnt, notify_cnt;
	} server[SH_SERVER_MAX];
	uint32_t server_cnt;
};
