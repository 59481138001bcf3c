// The protocol table of the internal channels: messages.def as data. All processes; no state.
#include "lib/ipc/messages.h"

#include <stddef.h>

#include "lib/ipc/channel.h"

#define B             IPC_BODY_MAX
#define SIDE_HSSD     IPC_SIDE_HSSD
#define SIDE_FRONTEND IPC_SIDE_FRONTEND
#define SIDE_WORKER   IPC_SIDE_WORKER
#define SIDE_LOADER   IPC_SIDE_LOADER
#define SIDE_ADMIN    IPC_SIDE_ADMIN
#define SIDE_ANY      IPC_SIDE_ANY

static const struct row {
	const char *name;
	uint32_t min, max;
	uint8_t from, to;
} rows[IPC_TYPE_CNT] = {
	[IPC_NONE] = {"NONE", 1, 0, IPC_SIDE_NONE, IPC_SIDE_NONE},
#define IPC(id, f, t, lo, hi) [IPC_##id] = {#id, lo, hi, SIDE_##f, SIDE_##t},
#include "lib/ipc/messages.def"
#undef IPC
};

bool ipc_length_valid(uint16_t type, uint32_t body_len)
{
	return type < IPC_TYPE_CNT && body_len >= rows[type].min && body_len <= rows[type].max;
}

bool ipc_sides_valid(uint16_t type, enum ipc_side from, enum ipc_side to)
{
	if (type >= IPC_TYPE_CNT)
		return false;
	return (from == IPC_SIDE_ANY || rows[type].from == IPC_SIDE_ANY || rows[type].from == from) &&
	       (to == IPC_SIDE_ANY || rows[type].to == IPC_SIDE_ANY || rows[type].to == to);
}

const char *ipc_type_name(uint16_t type)
{
	return type < IPC_TYPE_CNT ? rows[type].name : "UNKNOWN";
}
