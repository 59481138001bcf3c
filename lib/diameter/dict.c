// The dictionary's rows and the hash over them (every process that reads Diameter). The hash is filled before
// main and never written again.
#include "lib/diameter/dict.h"
#include <stddef.h>

static const struct avp_def defs[AVP_ID_CNT] = {
#define AVP(id_, name_, code_, vendor_, type_, m_, v_, spec_)                                                \
	[AVP_ID_##id_] = {.name = name_,                                                                     \
			  .code = code_,                                                                     \
			  .vendor = vendor_,                                                                 \
			  .type = AVP_T_##type_,                                                             \
			  .m = AVP_##m_,                                                                     \
			  .v = AVP_##v_,                                                                     \
			  .id = AVP_ID_##id_},
#include "lib/diameter/dict.def"
#undef AVP
};

// Open addressing at a load of a third; 0 (AVP_ID_NONE) is an empty place.
#define HASH_BITS 11
#define HASH_SIZE (1u << HASH_BITS)
_Static_assert(AVP_ID_CNT * 2 < HASH_SIZE, "raise HASH_BITS");
static uint16_t places[HASH_SIZE];

static inline uint32_t place_of(uint32_t code, uint32_t vendor)
{
	return ((code ^ vendor << 7) * 0x9e3779b1u) >> (32 - HASH_BITS);
}

__attribute__((constructor)) static void dict_init(void)
{
	for (uint16_t id = AVP_ID_NONE + 1; id < AVP_ID_CNT; id++) {
		uint32_t at = place_of(defs[id].code, defs[id].vendor);
		while (places[at])
			at = (at + 1) % HASH_SIZE;
		places[at] = id;
	}
}

const struct avp_def *dict_find(uint32_t code, uint32_t vendor)
{
	for (uint32_t at = place_of(code, vendor); places[at]; at = (at + 1) % HASH_SIZE) {
		const struct avp_def *def = &defs[places[at]];
		if (def->code == code && def->vendor == vendor)
			return def;
	}
	return NULL;
}

const struct avp_def *dict_by_id(enum avp_id id)
{
	return id > AVP_ID_NONE && id < AVP_ID_CNT ? &defs[id] : NULL;
}

static const struct {
	uint16_t avp;
	int32_t value;
	const char *name;
} enums[] = {
#define ENUM(avp_, value_, name_) {AVP_ID_##avp_, value_, name_},
#include "lib/diameter/enums.def"
#undef ENUM
};

const char *dict_enum_name(enum avp_id id, int32_t value)
{
	for (size_t i = 0; i < sizeof enums / sizeof *enums; i++)
		if (enums[i].avp == id && enums[i].value == value)
			return enums[i].name;
	return NULL;
}

uint32_t dict_min_len(const struct avp_def *def)
{
	switch ((enum avp_type)def->type) {
	case AVP_T_I32:
	case AVP_T_U32:
	case AVP_T_ENUM:
	case AVP_T_TIME:
	case AVP_T_F32:
		return 4;
	case AVP_T_I64:
	case AVP_T_U64:
	case AVP_T_F64:
		return 8;
	case AVP_T_ADDRESS:
		return 6;
	case AVP_T_OCTETS:
	case AVP_T_UTF8:
	case AVP_T_IDENTITY:
	case AVP_T_URI:
	case AVP_T_GROUPED:
	case AVP_T_FILTER:
		break;
	}
	return 0;
}
