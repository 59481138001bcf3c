// When an alarm is raised: a function for each thing that is looked at. hss-admin; see alarm.h. What happened
// is known by counters that have risen since a moment of the past; what is so, by gauges, the table of
// processes, the directory of peers, and the loader's answer to `store status`. The segment changes while it
// is read: each look takes what it finds.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/alarm.h"
#include "admin/metrics.h"
#include "lib/base/ident.h"
#include "lib/base/log.h"

#define SILENT_MS	    2000
#define EVENT_MS	    300000u // for so long an event keeps its alarm raised
#define OVERLOAD_MS	    60000u
#define OVERLOAD_REQUESTS   60u
#define RESTARTS	    3u // within EVENT_MS
#define OUTBOX_AGE_S	    60
#define OUTBOX_MAX	    10000
#define JOURNAL_MAX	    200000u
#define DISK_LEAST	    (64ull << 20)
#define DISK_FEW	    (10ull << 30)
#define RING		    301u // a look a second

// Counters whose rise is looked at.
enum event { EVENT_EXPIRED, EVENT_CACHE_FULL, EVENT_SQN, EVENT_BUSY, EVENT_LOG, EVENT_INTERCONNECT, EVENT_CNT };

struct sample {
	uint64_t at_ms;
	uint64_t event[EVENT_CNT];
	uint32_t restarts[ROLE_INSTANCE_MAX];
};

struct alarm_past {
	struct sample ring[RING];
	unsigned cnt, newest;
	uint64_t met[CONFIG_PEER_MAX]; // hashes of listed peers that were connected once
	unsigned met_cnt;
};

struct alarm_past *alarm_past_new(void)
{
	return calloc(1, sizeof(struct alarm_past));
}

void alarm_past_free(struct alarm_past **past)
{
	free(*past);
	*past = NULL;
}

static uint64_t stat_max(const struct control *c, enum stat_id id)
{
	uint64_t max = 0;

	for (unsigned i = 0; i < ROLE_INSTANCE_MAX; i++) {
		uint64_t v = atomic_load_explicit((_Atomic uint64_t *)&c->stats[i].c[id],
						  memory_order_relaxed);
		max = v > max ? v : max;
	}
	return max;
}

// Nothing had happened yet when this HSS was started, if that is not long ago.
static void sample_begin(struct alarm_past *p, const struct control *c, uint64_t now_ms, int64_t now_s)
{
	int64_t age_s = now_s - (int64_t)(c->started_us / 1000000);

	if (p->cnt || age_s < 0 || age_s >= EVENT_MS / 1000)
		return;
	p->ring[0] = (struct sample){.at_ms = now_ms - (uint64_t)age_s * 1000};
	p->cnt = 1;
}

static const struct sample *sample_add(struct alarm_past *p, const struct control *c, uint64_t now_ms)
{
	p->newest = p->cnt ? (p->newest + 1) % RING : 0;
	p->cnt += p->cnt < RING;
	struct sample *s = &p->ring[p->newest];

	s->at_ms = now_ms;
	s->event[EVENT_EXPIRED] = (uint64_t)metrics_sum(c, STAT_HSS_REQUESTS_EXPIRED);
	s->event[EVENT_CACHE_FULL] = (uint64_t)metrics_sum(c, STAT_CACHE_FULL);
	s->event[EVENT_SQN] = (uint64_t)metrics_sum(c, STAT_SQN_REFUSED);
	s->event[EVENT_BUSY] = (uint64_t)metrics_sum(c, STAT_TOO_BUSY);
	s->event[EVENT_BUSY] += (uint64_t)metrics_sum(c, STAT_ROUTE_TIMEOUT);
	s->event[EVENT_INTERCONNECT] = (uint64_t)metrics_sum(c, STAT_INTERCONNECT);
	s->event[EVENT_LOG] = (uint64_t)metrics_sum(c, STAT_LOG_DROPPED) + log_dropped();
	for (unsigned i = 0; i < ROLE_INSTANCE_MAX; i++)
		s->restarts[i] = c->role[i].restarts;
	return s;
}

// The youngest sample that is at least so old; else the oldest.
static const struct sample *sample_of(const struct alarm_past *p, uint64_t now_ms, uint64_t age_ms)
{
	unsigned i = p->newest;

	for (unsigned n = 1; n < p->cnt && now_ms - p->ring[i].at_ms < age_ms; n++)
		i = (i + RING - 1) % RING;
	return &p->ring[i];
}

static void look_at_role(struct alarms *a, const struct control *c, enum role role, unsigned index,
			 const struct sample *old)
{
	unsigned at = control_instance(role, index);
	const struct control_role *r = &c->role[at];
	uint32_t restarts = r->restarts - old->restarts[at];
	char subject[32];

	snprintf(subject, sizeof(subject), "%s-%u", role_name(role), index);
	if (!r->pid)
		alarm_is(a, ALARM_PROCESS_DOWN, subject, "%s does not run", subject);
	else if (!r->ready)
		alarm_is(a, ALARM_PROCESS_DOWN, subject, "%s is not ready", subject);
	else if (role != ROLE_ADMIN && r->silent_ms >= SILENT_MS) // whoever looks is not silent
		alarm_is(a, ALARM_PROCESS_DOWN, subject, "%s has given no sign of life for %u s", subject,
			 (unsigned)(r->silent_ms / 1000));
	if (restarts >= RESTARTS)
		alarm_is(a, ALARM_PROCESS_RESTARTS, subject,
			 "%s was started again %u times within five minutes", subject,
			 (unsigned)restarts);
}

static void look_at_roles(struct alarms *a, const struct control *c, const struct sample *old)
{
	look_at_role(a, c, ROLE_LOADER, 0, old);
	look_at_role(a, c, ROLE_ADMIN, 0, old);
	for (unsigned i = 0; i < c->worker_cnt && i < WORKER_MAX; i++)
		look_at_role(a, c, ROLE_WORKER, i, old);
	for (unsigned i = 0; i < c->frontend_cnt && i < FRONTEND_MAX; i++)
		look_at_role(a, c, ROLE_FRONTEND, i, old);
}

static void look_at_events(struct alarms *a, const struct sample *now, const struct sample *old,
			   const struct sample *minute)
{
	uint64_t risen[EVENT_CNT];

	for (unsigned e = 0; e < EVENT_CNT; e++)
		risen[e] = now->event[e] - old->event[e];
	uint64_t busy = now->event[EVENT_BUSY] - minute->event[EVENT_BUSY];
	if (risen[EVENT_EXPIRED])
		alarm_is(a, ALARM_REQUESTS_EXPIRED, "", "%llu requests to nodes were given up",
			 (unsigned long long)risen[EVENT_EXPIRED]);
	if (risen[EVENT_CACHE_FULL])
		alarm_is(a, ALARM_CACHE_FULL, "", "%llu subscribers were refused",
			 (unsigned long long)risen[EVENT_CACHE_FULL]);
	if (risen[EVENT_SQN])
		alarm_is(a, ALARM_SQN_REFUSED, "", "%llu SQN blocks were refused",
			 (unsigned long long)risen[EVENT_SQN]);
	if (risen[EVENT_LOG])
		alarm_is(a, ALARM_LOG_DROPPED, "", "%llu log lines were dropped",
			 (unsigned long long)risen[EVENT_LOG]);
	if (risen[EVENT_INTERCONNECT])
		alarm_is(a, ALARM_INTERCONNECT, "", "%llu requests were found wrong",
			 (unsigned long long)risen[EVENT_INTERCONNECT]);
	if (busy > OVERLOAD_REQUESTS)
		alarm_is(a, ALARM_OVERLOAD, "", "%llu requests were answered 3004 within a minute",
			 (unsigned long long)busy);
}

static void look_at_gauges(struct alarms *a, const struct control *c)
{
	uint64_t subscribers = stat_max(c, STAT_SUBSCRIBERS), limit = stat_max(c, STAT_SUBSCRIBERS_MAX);
	uint64_t free_octets = stat_max(c, STAT_STATE_FREE), size = stat_max(c, STAT_STATE_SIZE);
	uint64_t journal = stat_max(c, STAT_JOURNAL_ROWS);

	if (!stat_max(c, STAT_LOADED))
		alarm_is(a, ALARM_NOT_LOADED, "", "not every record is served yet");
	if (limit && subscribers * 10 > limit * 9)
		alarm_is(a, ALARM_CACHE_NEARLY_FULL, "", "%llu of %llu subscribers",
			 (unsigned long long)subscribers,
			 (unsigned long long)limit);
	if (size && (free_octets < DISK_LEAST || (free_octets < size / 20 && free_octets < DISK_FEW)))
		alarm_is(a, ALARM_DISK_NEARLY_FULL, "", "%llu of %llu MiB are free",
			 (unsigned long long)(free_octets >> 20),
			 (unsigned long long)(size >> 20));
	if (journal > JOURNAL_MAX)
		alarm_is(a, ALARM_JOURNAL_GROWS, "", "%llu changes are not folded yet",
			 (unsigned long long)journal);
	if (stat_max(c, STAT_TLS_EXPIRED))
		alarm_is(a, ALARM_CERTIFICATE_EXPIRED, "", "%u certificates and lists are past their time",
			 (unsigned)stat_max(c, STAT_TLS_EXPIRED));
	if (stat_max(c, STAT_TLS_LATE))
		alarm_is(a, ALARM_CERTIFICATE_EXPIRES, "", "%u certificates and lists expire soon",
			 (unsigned)stat_max(c, STAT_TLS_LATE));
}

// --- what the loader says

static json_int_t number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void look_at_upstream(struct alarms *a, const json_t *up)
{
	const char *state = text_of(up, "state"), *error = text_of(up, "last_error"),
	    *held = text_of(up, "held");

	if (!up)
		return;
	if (strcmp(state, "down") == 0 || strcmp(state, "connecting") == 0)
		alarm_is(a, ALARM_UPSTREAM_AWAY, "", "MongoDB: %s%s%s", state, *error ? ": " : "", error);
	if (number(up, "outbox") > OUTBOX_MAX || number(up, "outbox_age_s") > OUTBOX_AGE_S)
		alarm_is(a, ALARM_OUTBOX_WAITS, "", "%lld wait, the oldest for %lld s",
			 (long long)number(up, "outbox"),
			 (long long)number(up, "outbox_age_s"));
	if (number(up, "set_aside") > 0)
		alarm_is(a, ALARM_WRITES_REFUSED, "", "the writes of %lld subscribers are set aside",
			 (long long)number(up, "set_aside"));
	if (*held)
		alarm_is(a, ALARM_SUBSCRIBERS_HELD, "", "%s", held);
}

static void look_at_store(struct alarms *a, const json_t *store)
{
	const json_t *file = json_object_get(store, "file"), *up = json_object_get(store, "upstream");
	const char *state = text_of(file, "state");
	json_int_t bad = number(store, "bad_records");
	json_int_t problems = number(up, "problems") - number(up, "set_aside") + number(file, "problems");
	json_t *waiting;
	size_t i;

	look_at_upstream(a, up);
	if (strcmp(state, "refused") == 0 || strcmp(state, "incomplete") == 0)
		alarm_is(a, ALARM_FILE_REFUSED, text_of(file, "path"), "%s", text_of(file, "error"));
	if (bad > 0 || problems > 0)
		alarm_is(a, ALARM_SUBSCRIBER_PROBLEMS, "", "%lld rows or documents, %lld stored records",
			 (long long)problems,
			 (long long)bad);
	if (strcmp(text_of(store, "disk"), "failing") == 0)
		alarm_is(a, ALARM_DISK_FAILS, "", "%lld writes were refused since the start",
			 (long long)number(store, "commit_failures"));
	json_array_foreach(json_object_get(store, "hss_requests_waiting"), i, waiting)
	{
		bool reached = json_is_true(json_object_get(waiting, "reached"));

		alarm_is(a, ALARM_REQUESTS_WAIT, text_of(waiting, "host"),
			 "%lld requests wait, the oldest for %lld s; the node %s",
			 (long long)number(waiting, "requests"), (long long)number(waiting, "age_s"),
			 reached ? "does not answer" : "can't be reached");
	}
}

// --- peers

static bool met(struct alarm_past *past, uint64_t hash, bool now)
{
	for (unsigned i = 0; i < past->met_cnt; i++)
		if (past->met[i] == hash)
			return true;
	if (now && past->met_cnt < CONFIG_PEER_MAX)
		past->met[past->met_cnt++] = hash;
	return now;
}

static void look_at_peers(struct alarms *a, struct alarm_past *past, const struct control *c,
			  const struct config *config)
{
	for (uint32_t i = 0; i < config->peer_cnt && i < CONFIG_PEER_MAX; i++) {
		const struct config_peer *p = &config->peer[i];
		uint64_t hash = ident_hash_bytes(slice_str(p->host), true);

		if (config_peer_is_pattern(p))
			continue;
		bool up = metrics_peer_open(c, hash), before = met(past, hash, up);
		if (!up && (p->connect || before))
			alarm_is(a, ALARM_PEER_DOWN, p->host, "%s is not connected%s", p->host,
				 before ? " any more" : "");
	}
}

void alarm_rules(struct alarms *a, struct alarm_past *past, const struct control *control,
		 const struct config *config,
		 const json_t *store, uint64_t now_ms, int64_t now_s)
{
	sample_begin(past, control, now_ms, now_s);
	const struct sample *now = sample_add(past, control, now_ms),
	    *old = sample_of(past, now_ms, EVENT_MS);

	look_at_roles(a, control, old);
	look_at_events(a, now, old, sample_of(past, now_ms, OVERLOAD_MS));
	look_at_gauges(a, control);
	if (store)
		look_at_store(a, store);
	look_at_peers(a, past, control, config);
}
