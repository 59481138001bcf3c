// The last refusals, read while a worker writes them: what a reader is given is one refusal, whole.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "cache/refusals.h"
#include <string.h>

#define IMSI   77u
#define ROUNDS 20000u

struct shared {
	struct control *control;
	_Atomic bool done;
};

static void *reads(void *arg)
{
	struct shared *s = arg;
	struct refusal out[REFUSAL_WAYS];
	uintptr_t torn = 0;
	while (!s->done)
		for (unsigned i = refusals_find(s->control, IMSI, out, REFUSAL_WAYS); i-- > 0;) {
			char host[sizeof out->host];
			memset(host, (char)out[i].time_us, sizeof host);
			torn += out[i].imsi != IMSI || out[i].result != (uint32_t)out[i].time_us ||
				out[i].line != (uint32_t)out[i].time_us || memcmp(out[i].host, host, sizeof host) != 0;
		}
	return (void *)torn;
}

static void a_refusal_is_read_whole(void **state)
{
	struct shared s = {.control = calloc(1, sizeof *s.control)};
	pthread_t reader;
	void *torn;
	(void)state;
	assert_non_null(s.control);
	s.control->worker_cnt = 1;
	assert_int_equal(pthread_create(&reader, NULL, reads, &s), 0);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		struct refusal r = {.imsi = IMSI, .time_us = i, .result = i, .line = i, .command = (uint16_t)(i % 5)};
		r.host_len = sizeof r.host;
		memset(r.host, (char)i, sizeof r.host);
		refusals_add(&s.control->refusals[0], &r);
	}
	s.done = true;
	pthread_join(reader, &torn);
	assert_int_equal((uintptr_t)torn, 0);
	struct refusal last;
	assert_int_equal(refusals_find(s.control, IMSI, &last, 1), 1);
	assert_int_equal(last.time_us, ROUNDS);
	free(s.control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_refusal_is_read_whole)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
