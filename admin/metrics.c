// The exposition. hss-admin. Everything comes from the control segment, which is mapped read-only and changes
// while it is read: single numbers are atomic, and Prometheus wants no more than that. The names that appear are
// those of our own tables. Which process a sample is of, the labels `role` and `process` tell: `instance` is the name of the
// scraper's own label.
#include "admin/metrics.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "lib/base/ident.h"
#include "lib/base/log.h"
#include "lib/diameter/grammar.h"
#include "lib/diameter/app_name.h"

#define COMMAND_CNT (STAT_CMD_MAX < CMD_CNT ? STAT_CMD_MAX : CMD_CNT)
#define US_PER_S    1000000.0
#define SILENT_MS   1000 // a process that has given no sign of life for so long is not up

// The letters of stats.def.
enum { H = 1 << ROLE_HSSD, F = 1 << ROLE_FRONTEND, W = 1 << ROLE_WORKER, L = 1 << ROLE_LOADER, A = 1 << ROLE_ADMIN };

static const struct {
	const char *metric, *kind, *help;
	unsigned roles;
} rows[STAT_CNT] = {
#define STAT(id, metric, roles, kind, help) {metric, #kind, help, roles},
#include "cache/stats.def"
#undef STAT
};

struct instance {
	enum role role;
	unsigned index, at; // at: in role[] and stats[]
};

static uint64_t load(const _Atomic uint64_t *v)
{
	return atomic_load_explicit((_Atomic uint64_t *)v, memory_order_relaxed);
}

// The n-th process that this HSS runs; false after the last.
static bool instance_nth(const struct control *c, unsigned n, struct instance *out)
{
	static const enum role single[] = {ROLE_HSSD, ROLE_LOADER, ROLE_ADMIN};
	unsigned frontends = c->frontend_cnt < FRONTEND_MAX ? c->frontend_cnt : FRONTEND_MAX;
	unsigned workers = c->worker_cnt < WORKER_MAX ? c->worker_cnt : WORKER_MAX;

	if (n < 3)
		*out = (struct instance){.role = single[n]};
	else if (n < 3 + frontends)
		*out = (struct instance){.role = ROLE_FRONTEND, .index = n - 3};
	else if (n < 3 + frontends + workers)
		*out = (struct instance){.role = ROLE_WORKER, .index = n - 3 - frontends};
	else
		return false;
	out->at = control_instance(out->role, out->index);
	return true;
}

// hss-admin maps the segment read-only, so the one thing that it counts of itself is not there.
static uint64_t value_of(const struct control *c, const struct instance *i, unsigned stat)
{
	return i->role == ROLE_ADMIN && stat == STAT_LOG_DROPPED ? log_dropped() : load(&c->stats[i->at].c[stat]);
}

static const char *app_name(uint32_t app)
{
	const char *word = app_word(app);
	return word ? word : "other";
}

static void head(struct evbuffer *out, const char *metric, const char *kind, const char *help)
{
	evbuffer_add_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", metric, help, metric, kind);
}

static void write_rows(struct evbuffer *out, const struct control *c)
{
	struct instance in;

	for (unsigned s = 0; s < STAT_CNT; s++) {
		head(out, rows[s].metric, rows[s].kind, rows[s].help);
		for (unsigned n = 0; instance_nth(c, n, &in); n++) {
			if (rows[s].roles & 1u << in.role)
				evbuffer_add_printf(out, "%s{role=\"%s\",process=\"%u\"} %" PRIu64 "\n",
						    rows[s].metric, role_name(in.role), in.index,
						    value_of(c, &in, s));
		}
	}
}

// --- per command, summed over the frontends

static uint64_t sum_requests(const struct control *c, unsigned cmd)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ROLE_INSTANCE_MAX; i++)
		sum += load(&c->stats[i].requests[cmd]);
	return sum;
}

static uint64_t sum_answers(const struct control *c, unsigned cmd, unsigned result)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ROLE_INSTANCE_MAX; i++)
		sum += load(&c->stats[i].answers[cmd][result]);
	return sum;
}

// What a command is called in labels: "AIR"; NULL for ids without a row.
static const struct command *command_of(unsigned cmd)
{
	const struct command *command = cmd == CMD_NONE ? NULL : grammar_by_id(cmd);

	return command && command->name ? command : NULL;
}

static void write_requests(struct evbuffer *out, const struct control *c)
{
	head(out, "hss_requests_total", "counter",
	     "Requests received from peers, by application and command");
	for (unsigned cmd = 0; cmd < COMMAND_CNT; cmd++) {
		const struct command *command = command_of(cmd);
		uint64_t n = command ? sum_requests(c, cmd) : 0;

		if (n)
			evbuffer_add_printf(out,
					    "hss_requests_total{app=\"%s\",command=\"%s\"} %" PRIu64 "\n",
					    app_name(command->app), command->name, n);
	}
	head(out, "hss_answers_total", "counter",
	     "Answers sent to peers, by application, command and result");
	for (unsigned cmd = 0; cmd < COMMAND_CNT; cmd++) {
		const struct command *command = command_of(cmd);

		for (unsigned r = 0; command && r < STAT_RESULT_MAX; r++) {
			uint64_t n = sum_answers(c, cmd, r);

			// unknown codes share the last place; places between have no text of their own
			if (n && (r == STAT_RESULT_MAX - 1 || strcmp(stat_result_text(r), "other") != 0))
				evbuffer_add_printf(
				    out,
				    "hss_answers_total{app=\"%s\",command=\"%s\",result=\"%s\"} %" PRIu64
				    "\n",
				    app_name(command->app), command->name, stat_result_text(r), n);
		}
	}
}

static void write_histogram(struct evbuffer *out, const struct control *c, unsigned cmd,
			    const struct command *command)
{
	uint64_t cumulative = 0, sum_us = 0, bucket[STAT_LATENCY_BUCKETS] = {0};
	char labels[96];

	for (unsigned i = 0; i < ROLE_INSTANCE_MAX; i++) {
		sum_us += load(&c->stats[i].latency_sum_us[cmd]);
		for (unsigned b = 0; b < STAT_LATENCY_BUCKETS; b++)
			bucket[b] += load(&c->stats[i].latency[cmd][b]);
	}
	for (unsigned b = 0; b < STAT_LATENCY_BUCKETS; b++)
		cumulative += bucket[b];
	if (cumulative == 0)
		return;
	snprintf(labels, sizeof(labels), "app=\"%s\",command=\"%s\"", app_name(command->app), command->name);
	cumulative = 0;
	for (unsigned b = 0; b < STAT_LATENCY_BUCKETS; b++) {
		cumulative += bucket[b];
		if (b < STAT_LATENCY_BUCKETS - 1)
			evbuffer_add_printf(out,
					    "hss_request_duration_seconds_bucket{%s,le=\"%g\"} %" PRIu64 "\n",
					    labels, (double)(50ull << b) / US_PER_S, cumulative);
	}
	evbuffer_add_printf(out,
			    "hss_request_duration_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n"
			    "hss_request_duration_seconds_sum{%s} %.6f\n"
			    "hss_request_duration_seconds_count{%s} %" PRIu64 "\n",
			    labels, cumulative, labels, (double)sum_us / US_PER_S, labels, cumulative);
}

// --- peers and processes

unsigned metrics_peers(const struct control *c, enum peer_slot_state state)
{
	uint32_t high = atomic_load_explicit((_Atomic uint32_t *)&c->peer_high, memory_order_relaxed);
	unsigned cnt = 0;

	for (uint32_t i = 0; i < high && i < PEER_DIRECTORY_MAX; i++) {
		const struct control_peer *p = &c->peer[i];

		if (atomic_load_explicit((_Atomic uint32_t *)&p->owner, memory_order_relaxed) &&
		    atomic_load_explicit((_Atomic uint32_t *)&p->state, memory_order_relaxed) ==
			(uint32_t)state)
			cnt++;
	}
	return cnt;
}

bool metrics_peer_open(const struct control *c, uint64_t host_hash)
{
	uint32_t high = atomic_load_explicit((_Atomic uint32_t *)&c->peer_high, memory_order_acquire);

	for (uint32_t i = 0; i < high && i < PEER_DIRECTORY_MAX; i++) {
		const struct control_peer *p = &c->peer[i];

		if (load(&p->host_hash) == host_hash &&
		    atomic_load_explicit((_Atomic uint32_t *)&p->state, memory_order_acquire) == PEER_SLOT_OPEN)
			return true;
	}
	return false;
}

unsigned metrics_peers_listed(const struct control *c, const struct config *config, unsigned *listed)
{
	unsigned up = 0;

	*listed = 0;
	for (uint32_t i = 0; i < config->peer_cnt && i < CONFIG_PEER_MAX; i++) {
		if (config_peer_is_pattern(&config->peer[i]))
			continue;
		++*listed;
		up += metrics_peer_open(c, ident_hash_bytes(slice_str(config->peer[i].host), true));
	}
	return up;
}

json_int_t metrics_sum(const struct control *c, enum stat_id id)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ROLE_INSTANCE_MAX; i++)
		sum += load(&c->stats[i].c[id]);
	return (json_int_t)sum;
}

static void write_processes(struct evbuffer *out, const struct control *c)
{
	struct instance in;

	head(out, "hss_peers", "gauge", "Diameter peers by state");
	evbuffer_add_printf(out, "hss_peers{state=\"opening\"} %u\nhss_peers{state=\"open\"} %u\n",
			    metrics_peers(c, PEER_SLOT_CLAIMED), metrics_peers(c, PEER_SLOT_OPEN));
	evbuffer_add_printf(out, "hss_peers{state=\"closing\"} %u\n", metrics_peers(c, PEER_SLOT_CLOSING));
	head(out, "hss_role_up", "gauge", "Whether the process runs, is ready, and gives signs of life");
	for (unsigned n = 0; instance_nth(c, n, &in); n++)
		evbuffer_add_printf(out, "hss_role_up{role=\"%s\",process=\"%u\"} %d\n", role_name(in.role),
				    in.index,
				    c->role[in.at].pid && c->role[in.at].ready &&
					c->role[in.at].silent_ms < SILENT_MS);
	head(out, "hss_role_restarts_total", "counter", "How often the process was started again");
	for (unsigned n = 0; instance_nth(c, n, &in); n++)
		evbuffer_add_printf(out, "hss_role_restarts_total{role=\"%s\",process=\"%u\"} %u\n",
				    role_name(in.role), in.index, (unsigned)c->role[in.at].restarts);
	head(out, "hss_role_silences_total", "counter", "How often the process was killed since it gave no sign of life");
	for (unsigned n = 0; instance_nth(c, n, &in); n++)
		if (in.role != ROLE_HSSD)
			evbuffer_add_printf(out, "hss_role_silences_total{role=\"%s\",process=\"%u\"} %u\n",
					    role_name(in.role), in.index, (unsigned)c->role[in.at].silences);
	head(out, "process_start_time_seconds", "gauge", "When hssd was started, seconds since 1970");
	evbuffer_add_printf(out, "process_start_time_seconds %.3f\n", (double)c->started_us / US_PER_S);
	head(out, "hss_build_info", "gauge", "Version of this HSS");
	evbuffer_add_printf(out, "hss_build_info{version=\"%s\"} 1\n", HSS_VERSION);
}

void metrics_write(struct evbuffer *out, const struct control *c)
{
	write_processes(out, c);
	write_rows(out, c);
	write_requests(out, c);
	head(out, "hss_request_duration_seconds", "histogram",
	     "Time from a request's arrival to its answer, inside the HSS");
	for (unsigned cmd = 0; cmd < COMMAND_CNT; cmd++) {
		const struct command *command = command_of(cmd);

		if (command)
			write_histogram(out, c, cmd, command);
	}
}

// --- rows for `hssctl stats`

static void put(void (*row)(void *, json_t *), void *ctx, const char *metric, const char *labels,
		uint64_t value)
{
	json_t *r =
	    json_pack("{s:s, s:s, s:I}", "metric", metric, "labels", labels, "value", (json_int_t)value);

	if (r)
		row(ctx, r);
}

void metrics_rows(const struct control *c, void (*row)(void *ctx, json_t *row_taken), void *ctx)
{
	char labels[96];

	for (unsigned s = 0; s < STAT_CNT; s++) {
		uint64_t sum = (uint64_t)metrics_sum(c, (enum stat_id)s);

		sum += s == STAT_LOG_DROPPED ? log_dropped() : 0; // its own
		put(row, ctx, rows[s].metric, "", sum);
	}
	for (unsigned cmd = 0; cmd < COMMAND_CNT; cmd++) {
		const struct command *command = command_of(cmd);
		uint64_t n = command ? sum_requests(c, cmd) : 0;

		snprintf(labels, sizeof(labels), "command=%s", command ? command->name : "");
		if (n)
			put(row, ctx, "hss_requests_total", labels, n);
		for (unsigned r = 0; command && r < STAT_RESULT_MAX; r++) {
			n = sum_answers(c, cmd, r);
			snprintf(labels, sizeof(labels), "command=%s,result=%s", command->name,
				 stat_result_text(r));
			if (n)
				put(row, ctx, "hss_answers_total", labels, n);
		}
	}
}
