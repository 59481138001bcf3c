// S13's options, a member of struct config.
#pragma once
#include <stdint.h>

// In the order of the words in apps/options_words.def: the first three are enum s13_color.
enum s13_unknown { S13_UNKNOWN_WHITE, S13_UNKNOWN_BLACK, S13_UNKNOWN_GREY, S13_REFUSE_UNKNOWN };

struct s13_options {
	uint8_t unknown; // enum s13_unknown
};
