// MongoDB: the ask thread of upstream.h. Loader process.
#include "cache/loader/upstream.h"

void *mongo_ask_main(void *upstream)
{
	while (!upstream_wait(upstream, 1000))
		(void)upstream_compare_wanted(upstream);
	return NULL;
}
