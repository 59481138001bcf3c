// Every alarm of alarms.def is made true and untrue again by what it is about, seen in the rows, the metric
// and the log's number of raised ones. Time is the test's own.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "admin/alarm.h"
#include "lib/base/ident.h"

#define PEER "node1.example"
#define EVENTS_S 301 // after so many seconds an event is forgotten

struct scene {
	struct control *control;
	struct config *config;
	json_t *store;
	struct alarms *alarms;
	uint64_t now_ms;
};

static struct stats_block *loader_of(struct scene *s)
{
	return &s->control->stats[control_instance(ROLE_LOADER, 0)];
}

static struct stats_block *frontend_of(struct scene *s)
{
	return &s->control->stats[control_instance(ROLE_FRONTEND, 0)];
}

static struct control_role *worker_of(struct scene *s)
{
	return &s->control->role[control_instance(ROLE_WORKER, 0)];
}

static void set(struct scene *s, const char *object, const char *name, json_t *value)
{
	json_object_set_new(object ? json_object_get(s->store, object) : s->store, name, value);
}

static void process_down(struct scene *s, bool on)
{
	worker_of(s)->ready = !on;
}

static void process_restarts(struct scene *s, bool on)
{
	worker_of(s)->restarts += on ? 3 : 0;
}

static void not_loaded(struct scene *s, bool on)
{
	stat_set(loader_of(s), STAT_LOADED, !on);
}

static void upstream_away(struct scene *s, bool on)
{
	set(s, "upstream", "state", json_string(on ? "down" : "live"));
}

static void outbox_waits(struct scene *s, bool on)
{
	set(s, "upstream", "outbox_age_s", json_integer(on ? 61 : 60));
}

static void writes_refused(struct scene *s, bool on)
{
	set(s, "upstream", "set_aside", json_integer(on));
}

static void subscribers_held(struct scene *s, bool on)
{
	if (on)
		set(s, "upstream", "held", json_string("7 of 9 are gone"));
	else
		json_object_del(json_object_get(s->store, "upstream"), "held");
}

static void file_refused(struct scene *s, bool on)
{
	set(s, "file", "state", json_string(on ? "refused" : "current"));
}

static void subscriber_problems(struct scene *s, bool on)
{
	set(s, NULL, "bad_records", json_integer(on));
}

static void requests_wait(struct scene *s, bool on)
{
	set(s, NULL, "hss_requests_waiting", json_array());
	if (on)
		json_array_append_new(json_object_get(s->store, "hss_requests_waiting"),
				      json_pack("{s:s,s:i,s:i,s:b}", "host", PEER, "requests", 2, "age_s", 5,
						"reached", 0));
}

static void requests_expired(struct scene *s, bool on)
{
	stat_add(loader_of(s), STAT_HSS_REQUESTS_EXPIRED, on);
}

static void peer_down(struct scene *s, bool on)
{
	s->control->peer[0].state = on ? PEER_SLOT_FREE : PEER_SLOT_OPEN;
}

static void cache_nearly_full(struct scene *s, bool on)
{
	stat_set(loader_of(s), STAT_SUBSCRIBERS, on ? 91 : 90);
}

static void cache_full(struct scene *s, bool on)
{
	stat_add(loader_of(s), STAT_CACHE_FULL, on);
}

static void disk_nearly_full(struct scene *s, bool on)
{
	stat_set(loader_of(s), STAT_STATE_FREE, (on ? 4ull : 6ull) << 30);
}

static void disk_fails(struct scene *s, bool on)
{
	set(s, NULL, "disk", json_string(on ? "failing" : "ok"));
}

static void journal_grows(struct scene *s, bool on)
{
	stat_set(loader_of(s), STAT_JOURNAL_ROWS, on ? 200001 : 200000);
}

static void sqn_refused(struct scene *s, bool on)
{
	stat_add(loader_of(s), STAT_SQN_REFUSED, on);
}

static void overload(struct scene *s, bool on)
{
	stat_add(frontend_of(s), STAT_TOO_BUSY, on ? 61 : 0);
}

static void certificate_expires(struct scene *s, bool on)
{
	stat_set(frontend_of(s), STAT_TLS_LATE, on);
}

static void certificate_expired(struct scene *s, bool on)
{
	stat_set(frontend_of(s), STAT_TLS_EXPIRED, on);
}

static void dropped(struct scene *s, bool on)
{
	stat_add(frontend_of(s), STAT_LOG_DROPPED, on);
}

static void interconnect(struct scene *s, bool on)
{
	stat_add(frontend_of(s), STAT_INTERCONNECT, on);
}

static const struct {
	const char *name;
	void (*make)(struct scene *s, bool on);
	const char *subject;
	unsigned after_s, cleared_s; // looks until it is raised, and until it is cleared
} cases[ALARM_CNT] = {
    [ALARM_PROCESS_DOWN] = {"process-down", process_down, "worker-0", 2, 0},
    [ALARM_PROCESS_RESTARTS] = {"process-restarts", process_restarts, "worker-0", 0, EVENTS_S},
    [ALARM_NOT_LOADED] = {"not-loaded", not_loaded, "", 60, 0},
    [ALARM_UPSTREAM_AWAY] = {"upstream-away", upstream_away, "", 3, 0},
    [ALARM_OUTBOX_WAITS] = {"outbox-waits", outbox_waits, "", 0, 0},
    [ALARM_WRITES_REFUSED] = {"writes-refused", writes_refused, "", 0, 0},
    [ALARM_SUBSCRIBERS_HELD] = {"subscribers-held", subscribers_held, "", 0, 0},
    [ALARM_FILE_REFUSED] = {"file-refused", file_refused, "/x.csv", 0, 0},
    [ALARM_SUBSCRIBER_PROBLEMS] = {"subscriber-problems", subscriber_problems, "", 0, 0},
    [ALARM_REQUESTS_WAIT] = {"requests-wait", requests_wait, PEER, 2, 0},
    [ALARM_REQUESTS_EXPIRED] = {"requests-expired", requests_expired, "", 0, EVENTS_S},
    [ALARM_PEER_DOWN] = {"peer-down", peer_down, PEER, 10, 0},
    [ALARM_CACHE_NEARLY_FULL] = {"cache-nearly-full", cache_nearly_full, "", 0, 0},
    [ALARM_CACHE_FULL] = {"cache-full", cache_full, "", 0, EVENTS_S},
    [ALARM_DISK_NEARLY_FULL] = {"disk-nearly-full", disk_nearly_full, "", 0, 0},
    [ALARM_DISK_FAILS] = {"disk-fails", disk_fails, "", 0, 0},
    [ALARM_JOURNAL_GROWS] = {"journal-grows", journal_grows, "", 60, 0},
    [ALARM_SQN_REFUSED] = {"sqn-refused", sqn_refused, "", 0, EVENTS_S},
    [ALARM_OVERLOAD] = {"overload", overload, "", 0, 61},
    [ALARM_CERTIFICATE_EXPIRES] = {"certificate-expires", certificate_expires, "", 0, 0},
    [ALARM_CERTIFICATE_EXPIRED] = {"certificate-expired", certificate_expired, "", 0, 0},
    [ALARM_INTERCONNECT] = {"interconnect-findings", interconnect, "", 0, EVENTS_S},
    [ALARM_LOG_DROPPED] = {"log-dropped", dropped, "", 0, EVENTS_S},
};

static void look(struct scene *s)
{
	alarms_store(s->alarms, s->store);
	alarms_look(s->alarms, s->now_ms, (int64_t)(s->now_ms / 1000));
	s->now_ms += 1000;
}

static int scene_new(void **state)
{
	static struct scene s;

	s = (struct scene){.control = calloc(1, sizeof(struct control)),
			   .config = calloc(1, sizeof(struct config)), .now_ms = 5000};
	s.control->worker_cnt = s.control->frontend_cnt = 1;
	for (unsigned i = 0; i < ROLE_INSTANCE_MAX; i++)
		s.control->role[i].pid = s.control->role[i].ready = 1;
	stat_set(loader_of(&s), STAT_LOADED, 1);
	stat_set(loader_of(&s), STAT_SUBSCRIBERS_MAX, 100);
	stat_set(loader_of(&s), STAT_STATE_SIZE, 100ull << 30);
	stat_set(loader_of(&s), STAT_STATE_FREE, 50ull << 30);
	s.control->peer_high = 1;
	s.control->peer[0].host_hash = ident_hash_bytes(slice_str(PEER), true);
	s.control->peer[0].state = PEER_SLOT_OPEN;
	s.config->peer_cnt = 2;
	strcpy(s.config->peer[0].host, PEER);
	strcpy(s.config->peer[1].host, "*.example");
	s.store = json_pack("{s:s, s:{s:s}, s:{s:s,s:s,s:s}}", "disk", "ok", "upstream", "state", "live",
			    "file", "state",
			    "current", "path", "/x.csv", "error", "why");
	s.alarms = alarms_new(s.control, s.config);
	assert_non_null(s.alarms);
	look(&s);
	*state = &s;
	return 0;
}

static int scene_free(void **state)
{
	struct scene *s = *state;

	alarms_free(&s->alarms);
	json_decref(s->store);
	free(s->control);
	free(s->config);
	return 0;
}

static void keep(void *ctx, json_t *row_taken)
{
	json_array_append_new(ctx, row_taken);
}

static const char *text_of(const json_t *row, const char *name)
{
	return json_string_value(json_object_get(row, name));
}

static void each_is_raised_and_cleared(void **state)
{
	struct scene *s = *state;

	for (unsigned i = 0; i < ALARM_CNT; i++) {
		assert_non_null(cases[i].make); // a row of alarms.def without a case here
		assert_int_equal(alarms_cnt(s->alarms), 0);
		uint64_t began_ms = s->now_ms;
		cases[i].make(s, true);
		for (unsigned n = 0; n < cases[i].after_s; n++) {
			look(s);
			assert_int_equal(alarms_cnt(s->alarms), 0);
		}
		look(s);
		json_t *rows = json_array();
		alarms_rows(s->alarms, false, keep, rows);
		assert_int_equal(json_array_size(rows), 1);
		const json_t *row = json_array_get(rows, 0);
		assert_string_equal(text_of(row, "alarm"), cases[i].name);
		assert_string_equal(text_of(row, "subject"), cases[i].subject);
		assert_true(strlen(text_of(row, "text")) && strlen(text_of(row, "effect")) &&
			    strlen(text_of(row, "action")));
		assert_int_equal(json_integer_value(json_object_get(row, "since")), began_ms / 1000);
		json_decref(rows);

		cases[i].make(s, false);
		for (unsigned n = 1; n < cases[i].cleared_s; n++) {
			look(s);
			if (n + 2 < cases[i].cleared_s)
				assert_int_equal(alarms_cnt(s->alarms), 1);
		}
		look(s);
		assert_int_equal(alarms_cnt(s->alarms), 0);
	}
}

static void all_lists_every_row(void **state)
{
	struct scene *s = *state;
	json_t *rows = json_array(), *row;
	size_t i;

	disk_fails(s, true);
	look(s);
	cache_nearly_full(s, true);
	disk_fails(s, false);
	look(s);
	alarms_rows(s->alarms, true, keep, rows);
	assert_int_equal(json_array_size(rows), ALARM_CNT);
	assert_string_equal(text_of(json_array_get(rows, 0), "alarm"), "cache-nearly-full");
	json_array_foreach(rows, i, row)
	{
		assert_int_equal(json_is_true(json_object_get(row, "raised")), i == 0);
		assert_int_equal(json_is_integer(json_object_get(row, "cleared")),
				 strcmp(text_of(row, "alarm"), "disk-fails") == 0);
	}
	json_decref(rows);
}

static void the_metric_counts_subjects(void **state)
{
	struct scene *s = *state;
	struct evbuffer *out = evbuffer_new();

	worker_of(s)->pid = 0;
	s->control->role[control_instance(ROLE_FRONTEND, 0)].silent_ms = 5000;
	for (unsigned i = 0; i < 3; i++)
		look(s);
	alarms_metrics(s->alarms, out);
	evbuffer_add(out, "", 1);
	const char *text = (const char *)evbuffer_pullup(out, -1);
	assert_non_null(strstr(text, "hss_alarm{alarm=\"process-down\",severity=\"critical\"} 2\n"));
	assert_non_null(strstr(text, "hss_alarm{alarm=\"disk-fails\",severity=\"critical\"} 0\n"));
	evbuffer_free(out);
}

static void a_peer_that_never_came_is_not_missed(void **state)
{
	struct scene *s = *state;

	strcpy(s->config->peer[1].host, "node2.example");
	for (unsigned i = 0; i < 12; i++)
		look(s);
	assert_int_equal(alarms_cnt(s->alarms), 0);
	s->config->peer[1].connect = true; // unless we have to connect to it
	for (unsigned i = 0; i < 12; i++)
		look(s);
	assert_int_equal(alarms_cnt(s->alarms), 1);
}

static void what_came_before_the_first_look(void **state)
{
	struct scene *s = *state;
	struct alarms *fresh = alarms_new(s->control, s->config);

	cache_full(s, true);
	s->control->started_us = 1000 * 1000000ull;
	alarms_look(fresh, 500000, 1299); // the HSS was started 299 s ago
	assert_int_equal(alarms_cnt(fresh), 1);
	alarms_look(fresh, 800000, 1599);
	assert_int_equal(alarms_cnt(fresh), 0);
	alarms_free(&fresh);
	fresh = alarms_new(s->control, s->config);
	alarms_look(fresh, 500000, 1300);
	assert_int_equal(alarms_cnt(fresh), 0);
	alarms_free(&fresh);
}

static void more_than_fit_are_left_out(void **state)
{
	struct scene *s = *state;
	char host[32];

	for (unsigned i = 0; i < ALARM_RAISED_MAX + 10; i++) {
		snprintf(host, sizeof(host), "node%u.example", i);
		if (i == 0)
			requests_wait(s, true);
		json_array_append_new(json_object_get(s->store, "hss_requests_waiting"),
				      json_pack("{s:s,s:i,s:i}", "host", host, "requests", 1, "age_s", 1));
	}
	for (unsigned i = 0; i < 3; i++)
		look(s);
	assert_int_equal(alarms_cnt(s->alarms), ALARM_RAISED_MAX);
	requests_wait(s, false);
	look(s);
	assert_int_equal(alarms_cnt(s->alarms), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_is_raised_and_cleared, scene_new, scene_free),
	    cmocka_unit_test_setup_teardown(all_lists_every_row, scene_new, scene_free),
	    cmocka_unit_test_setup_teardown(the_metric_counts_subjects, scene_new, scene_free),
	    cmocka_unit_test_setup_teardown(a_peer_that_never_came_is_not_missed, scene_new, scene_free),
	    cmocka_unit_test_setup_teardown(what_came_before_the_first_look, scene_new, scene_free),
	    cmocka_unit_test_setup_teardown(more_than_fit_are_left_out, scene_new, scene_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
