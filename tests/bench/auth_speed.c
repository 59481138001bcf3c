// Cost of one authentication vector of each kind, in nanoseconds: the best of several rounds, a new
// subscriber's keys for each vector as in service. Usage: auth_speed [VECTORS_PER_ROUND]
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "lib/auth/vectors.h"

#define ROUND_CNT    5
#define KEYS_CNT     1024
#define DEFAULT_RUNS 200000

static struct auth auth;
static struct auth_keys keys[KEYS_CNT];
static const uint8_t plmn[3] = {0x00, 0xf1, 0x10};

static int run_eutran(unsigned i)
{
	struct eutran_vector v;
	return auth_eutran_vector(&auth, &keys[i % KEYS_CNT], (uint64_t)i << 5, plmn, &v);
}

static int run_utran(unsigned i)
{
	struct utran_vector v;
	return auth_utran_vector(&auth, &keys[i % KEYS_CNT], (uint64_t)i << 5, &v);
}

static int run_geran(unsigned i)
{
	struct geran_vector v;
	return auth_geran_vector(&auth, &keys[i % KEYS_CNT], &v);
}

static int run_eap_aka_prime(unsigned i)
{
	struct utran_vector v;
	return auth_eap_aka_prime_vector(&auth, &keys[i % KEYS_CNT], (uint64_t)i << 5, slice_str("WLAN"), &v);
}

static int run_forged_auts(unsigned i)
{
	static const uint8_t rand[16], auts[14];
	uint64_t sqn_ms;
	return auth_resync(&auth, &keys[i % KEYS_CNT], rand, auts, &sqn_ms) == AUTH_RESYNC_MAC_FAILED ? 0
												      : -1;
}

static const struct {
	const char *name;
	int (*run)(unsigned i);
} kinds[] = {
    {"E-UTRAN vector", run_eutran},         {"UTRAN vector", run_utran},      {"GERAN triplet", run_geran},
    {"EAP-AKA' vector", run_eap_aka_prime}, {"forged AUTS", run_forged_auts},
};

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// Best round of one kind, or a negative number when a vector failed.
static double measure(int (*run)(unsigned), unsigned runs)
{
	double best = 0;
	for (unsigned round = 0; round < ROUND_CNT; round++) {
		double start = now_ns();
		for (unsigned i = 0; i < runs; i++) {
			if (run(i) != 0)
				return -1;
		}
		double ns = (now_ns() - start) / runs;
		if (round == 0 || ns < best)
			best = ns;
	}
	return best;
}

int main(int argc, char **argv)
{
	unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : DEFAULT_RUNS;
	if (runs == 0 || runs > 100000000) {
		fprintf(stderr, "usage: auth_speed [VECTORS_PER_ROUND]\n");
		return 2;
	}
	if (auth_init(&auth) != 0) {
		fprintf(stderr, "auth_speed: libcrypto has no AES-128-ECB or SHA-256\n");
		return 1;
	}
	for (unsigned i = 0; i < KEYS_CNT; i++) {
		keys[i] = (struct auth_keys){.amf = 0x8000};
		be32_put(keys[i].k, i);
		be32_put(keys[i].opc, ~i);
	}
	int result = 0;
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		double ns = measure(kinds[k].run, (unsigned)runs);
		printf("%-16s %7.1f ns\n", kinds[k].name, ns);
		if (ns < 0)
			result = 1;
	}
	auth_fini(&auth);
	return result;
}
