// Bytes that end at an unmapped page: reading one octet too far is a crash, in every build.
#pragma once
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
	uint8_t *map;
	size_t usable; // octets before the page that can't be touched
};

static inline void guard_init(struct guard *g, size_t at_least)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	g->usable = (at_least + page) / page * page;
	g->map = mmap(NULL, g->usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->map == MAP_FAILED || mprotect(g->map + g->usable, page, PROT_NONE) != 0)
		_exit(99);
}

// Room for `len` octets whose end is the guard.
static inline uint8_t *guard_room(const struct guard *g, size_t len)
{
	if (len > g->usable)
		_exit(99);
	return g->map + g->usable - len;
}

static inline uint8_t *guard_copy(const struct guard *g, const void *p, size_t len)
{
	uint8_t *to = guard_room(g, len);
	return len ? memcpy(to, p, len) : to;
}

static inline void guard_fini(struct guard *g)
{
	munmap(g->map, g->usable + (size_t)sysconf(_SC_PAGESIZE));
}
