// What the cache costs: look-ups at two sizes, alone and in prefetched batches; inserting, updating,
// attaching; memory a subscriber. Prints one line a measurement; `cache_speed [SUBSCRIBERS]`, 1,000,000 by
// default.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/build.h"
#include "lib/base/clock.h"

#define LOOKUPS 2000000u
#define BATCH   32

static uint64_t rng_state = 88172645463325252ull;

static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	return rng_state ^= rng_state << 17;
}

static imsi_t imsi_no(uint64_t n)
{
	return (imsi_t){15ull << 60 | (1010000000001ull + n)};
}

static void report(const char *what, uint64_t us, uint64_t n)
{
	printf("%-44s %8.1f ns  (%.2f M/s)\n", what, (double)us * 1000 / (double)n, (double)n / (double)us);
}

static uint64_t committed(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static uint32_t one_profile(struct builder *b)
{
	uint8_t bytes[600] __attribute__((aligned(8))) = {0};
	struct cache_profile *p = (void *)bytes;
	p->len = sizeof(bytes);
	p->head_len = sizeof(bytes) - sizeof(*p);
	return builder_profile(b, p);
}

static void die(const char *what)
{
	fprintf(stderr, "cache_speed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t fill(struct builder *b, uint32_t cnt)
{
	uint64_t start = clock_mono_us();
	for (uint32_t i = 0; i < cnt; i++) {
		struct cache_record r = {.imsi = imsi_no(i), .profile = one_profile(b)};
		r.sqn = builder_sqn_take(b, 1, 257);
		memcpy(r.k, &i, sizeof(i));
		if (builder_put(b, &r) < 0)
			die("put");
		if (i % 256 == 255)
			builder_reclaim(b);
	}
	return clock_mono_us() - start;
}

static uint64_t find_random(struct cache *c, uint32_t cnt, bool batch)
{
	imsi_t want[BATCH];
	uint64_t sum = 0, start = clock_mono_us();
	for (uint32_t done = 0; done < LOOKUPS; done += BATCH) {
		for (unsigned i = 0; i < BATCH; i++)
			want[i] = imsi_no(rng() % cnt);
		cache_pin(c);
		for (unsigned i = 0; batch && i < BATCH; i++)
			cache_prefetch(c, want[i]);
		for (unsigned i = 0; batch && i < BATCH; i++)
			cache_prefetch_record(c, want[i]);
		for (unsigned i = 0; i < BATCH; i++) {
			const struct cache_record *r = cache_find(c, want[i]);
			if (!r)
				die("a subscriber is missing");
			sum += r->k[0] + r->opc[15] + r->serving[0].time_us;
		}
		cache_unpin(c);
	}
	if (sum == 0)
		printf("(no keys?)\n");
	return clock_mono_us() - start;
}

static void measure(uint32_t cnt)
{
	int records, records_ro, sqn;
	bool fresh;
	struct cache c;
	char name[64];

	if (cache_create(cnt, 0, &records, &records_ro, &sqn) < 0)
		die("create");
	int control_fd = control_create(1, 1);
	struct control *control = control_map(control_fd, true);
	if (!control)
		die("control");
	struct builder *b = builder_open(records, sqn, control, cnt, 0, &fresh);
	if (!b || cache_open(&c, records_ro, sqn, control, 0) < 0)
		die("open");
	snprintf(name, sizeof(name), "%u subscribers: insert", cnt);
	report(name, fill(b, cnt), cnt);
	printf("%-44s %8.1f octets a subscriber\n", "committed, one shared profile, no MSISDN",
	       (double)(committed(records) + committed(sqn)) / cnt);
	report("find, random, one by one", find_random(&c, cnt, false), LOOKUPS);
	report("find, random, prefetched in batches of 32", find_random(&c, cnt, true), LOOKUPS);

	uint64_t start = clock_mono_us();
	for (uint32_t i = 0; i < LOOKUPS; i++) {
		struct cache_record r = *cache_find(builder_cache(b), imsi_no(rng() % cnt));
		r.serving[0].time_us++;
		if (builder_put(b, &r) < 0)
			die("update");
		if (i % 64 == 63)
			builder_reclaim(b);
	}
	report("update (find, put), reclaim every 64", clock_mono_us() - start, LOOKUPS);
	printf("%-44s %8.1f octets a subscriber\n", "committed after the updates",
	       (double)(committed(records) + committed(sqn)) / cnt);

	uint64_t first;
	bool low;
	start = clock_mono_us();
	for (uint32_t i = 0; i < LOOKUPS; i++) {
		uint32_t at = (uint32_t)(rng() % cnt);
		if (cache_sqn_draw(&c, at, 1, &first, &low) == SQN_NEED_BLOCK)
			builder_sqn_limit(b, at, c.sqn[at].next + 256);
	}
	report("draw an SQN, random", clock_mono_us() - start, LOOKUPS);

	builder_free(&b);
	start = clock_mono_us();
	b = builder_open(records, sqn, control, cnt, 0, &fresh);
	if (!b || fresh)
		die("attach");
	report("attach, a subscriber", clock_mono_us() - start, cnt);
	builder_free(&b);
	cache_close(&c);
	munmap(control, sizeof(*control));
	close(records);
	close(records_ro);
	close(sqn);
	close(control_fd);
}

int main(int argc, char **argv)
{
	measure(1000);
	measure(argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000);
	return 0;
}
