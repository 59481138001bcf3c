// Keys pass through hss-admin in both directions, in buffers of libevent and jansson that are freed unwiped
// otherwise: a later allocation, or whoever reads this process, would find them. The channel to the loader
// wipes its own (channel_set_wipe).
#include "admin/memory.h"
#include <event2/event.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "admin/command.h"

// realloc would leave a copy where the block was.
static void *realloc_wiped(void *p, size_t n)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *moved = malloc(n);

	if (!moved)
		return NULL;
	if (p)
		memcpy(moved, p, old < n ? old : n);
	admin_json_free(p);
	return moved;
}

void admin_memory_init(void)
{
	event_set_mem_functions(malloc, realloc_wiped, admin_json_free);
	admin_json_init();
}
