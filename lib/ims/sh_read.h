// Reads the Sh-Data that an application server sends in a Profile-Update-Request (TS 29.328 annex D). The text is hostile (pull.h).
// Pure; workers link it.
#pragma once
#include "lib/base/wire.h"

#define SH_READ_OCTETS_MAX     (64u << 10)
#define SH_READ_INSTANCES_MAX  8
#define SH_READ_INDICATION_MAX 100

// One RepositoryData. `data` is what stands between the tags of ServiceData, octet for octet, borrowed from the text.
struct sh_instance {
	char indication[SH_READ_INDICATION_MAX]; // references resolved
	uint32_t indication_len;
	uint16_t sequence;
	bool has_data;
	struct slice data;
};

struct sh_update {
	struct sh_instance instance[SH_READ_INSTANCES_MAX];
	unsigned cnt;
	bool has_other; // something else than RepositoryData stands in the document
};

// NULL: *out holds the document. Otherwise what is wrong with it, for the log: text of ours, without any of the input.
const char *sh_update_read(struct slice text, struct sh_update *out);

static inline struct slice sh_instance_indication(const struct sh_instance *i)
{
	return slice_of(i->indication, i->indication_len);
}
