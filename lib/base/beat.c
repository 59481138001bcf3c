// The word of this thread (see beat.h). Any process.
#include "lib/base/beat.h"
#include <stddef.h>

static _Thread_local _Atomic uint64_t *here;

void beat_here(_Atomic uint64_t *word)
{
	here = word;
}

void beat(void)
{
	// one writer: this thread
	if (here)
		__atomic_store_n((uint64_t *)here, __atomic_load_n((uint64_t *)here, __ATOMIC_RELAXED) + 1,
				 __ATOMIC_RELAXED);
}
