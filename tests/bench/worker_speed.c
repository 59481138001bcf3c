// What a worker costs besides its system calls: AIRs as a frontend sends them, in batches, answers drained by
// the same process. Prints the CPU time of one AIR with its channel, without it (the handler called
// straight), and of the channel's two system calls alone.
// Usage: worker_speed [REQUESTS] [SUBSCRIBERS] [ROAMING-RULES] [abroad]
#include <time.h>
#include "apps/s6a/policy.h"
#include "tests/support/worker_fixture.h"

#define BATCH 256

static double cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// Rules of which none denies, and for those abroad the last one matches.
static void publish_rules(struct wf *f, unsigned rules)
{
	static struct s6a_options o;
	static union {
		struct s6a_policy p;
		uint8_t octets[S6A_POLICY_LEN_MAX];
	} u;
	for (unsigned i = 0; i < rules && i < ROAMING_RULE_MAX; i++)
		snprintf(o.rule[o.rule_cnt++].visited, sizeof(o.rule[0].visited), "%u", 20000 + i * 7);
	o.in_aia = true;
	size_t len = s6a_policy_make(&o, &u.p);
	CHECK(rules == 0 || builder_common_set(f->b, app_s6a, slice_of(u.octets, len)) == 0);
}

static struct wf *make(unsigned subscribers, const char *prefix, uint8_t **bodies, size_t *body_len)
{
	struct wf *f = wf_new(subscribers);
	uint32_t profile = wf_profile(f, true, false, 0, 0);
	*bodies = NULL;
	for (unsigned i = 0; i < subscribers; i++) {
		char imsi[16];
		snprintf(imsi, sizeof imsi, "%s%010u", prefix, i + 1);
		wf_subscriber(f, imsi, profile, 1, 1ull << 40);
		struct wr w = wf_air(f, imsi, 1);
		header_finish(&w, 0);
		static uint8_t body[4096];
		*body_len =
		    (wf_request_body(f->msg, (uint32_t)wr_len(&w), body, sizeof body, 0) + 7) & ~(size_t)7;
		if (!*bodies)
			*bodies = malloc(*body_len * subscribers);
		CHECK(*bodies);
		memcpy(*bodies + i * *body_len, body, *body_len);
	}
	return f;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 500000,
		 subscribers = argc > 2 ? (unsigned)atoi(argv[2]) : 10000;
	uint8_t *bodies;
	size_t len;
	struct wf *f = make(subscribers, argc > 4 ? "20801" : "00101", &bodies, &len);
	publish_rules(f, argc > 3 ? (unsigned)atoi(argv[3]) : 0);
	uint32_t msg_len = ((struct ipc_request *)bodies)->msg_len;
	uint32_t frame_len =
	    (uint32_t)(sizeof(struct ipc_request) + SLOT_AIR_CNT * sizeof(struct avp_slot) + msg_len);
	f->count_only = true;
	double best[2] = {1e9, 1e9};
	for (unsigned round = 0; round < 5; round++) {
		unsigned sent = 0, at = round * 7919;
		double start = cpu_ns();
		for (unsigned i = 0; i < n / 5; i++) {
			uint8_t *body = bodies + (size_t)(at++ % subscribers) * len;
			struct ipc_hdr hdr = {
			    .len = frame_len + (uint32_t)sizeof hdr, .type = IPC_REQUEST, .id = i};
			if (i % BATCH == 0) { // the next batch: what a channel does after each
				wf_flush(f);
				event_base_loop(f->base, EVLOOP_NONBLOCK);
			}
			((struct ipc_request *)body)->arrival_us = clock_mono_us();
			request_arrived(&f->w, 0, &hdr, body);
			sent++;
		}
		wf_run(f);
		double ns = (cpu_ns() - start) / sent;
		if (ns < best[0])
			best[0] = ns;
		// without draining: answers are composed and thrown away with their channel's buffer
		start = cpu_ns();
		for (unsigned i = 0; i < n / 5; i++) {
			uint8_t *body = bodies + (size_t)(at++ % subscribers) * len;
			struct ipc_hdr hdr = {
			    .len = frame_len + (uint32_t)sizeof hdr, .type = IPC_REQUEST, .id = i};
			if (i % BATCH == 0) {
				double drain = cpu_ns();
				wf_flush(f);
				event_base_loop(f->base, EVLOOP_NONBLOCK);
				start += cpu_ns() - drain;
			}
			((struct ipc_request *)body)->arrival_us = clock_mono_us();
			request_arrived(&f->w, 0, &hdr, body);
		}
		ns = (cpu_ns() - start) / (n / 5);
		if (ns < best[1])
			best[1] = ns;
		wf_run(f);
	}
	CHECK(f->stats->c[STAT_CHANNEL_FULL] == 0 && f->stats->c[STAT_VECTORS] >= n / 5 * 10);
	printf("%-44s %8.0f ns\n", "AIR, frame to answer, no system calls", best[1]);
	printf("%-44s %8.0f ns\n", "the same with writing and reading the answer", best[0]);
	wf_free(f);
	free(bodies);
	return 0;
}
