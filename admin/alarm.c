// The table of what is so: raised when it has been so for long enough, cleared at the first look at which it
// is not so any more. hss-admin; see alarm.h.
#include "admin/alarm.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/log.h"

enum severity { CRITICAL, WARNING, SEVERITY_CNT };
static const char *const severity_word[SEVERITY_CNT] = {"critical", "warning"};

static const struct {
	const char *name;
	uint8_t severity;
	uint16_t seconds;
	const char *meaning, *effect, *action;
} row_of[ALARM_CNT] = {
#define ALARM(id, name, severity, seconds, subject, meaning, effect, action) \
	{name, severity, seconds, meaning, effect, action},
#include "admin/alarms.def"
#undef ALARM
};

struct alarm {
	bool used, seen, raised;
	uint8_t id; // enum alarm_id
	int64_t since_s;
	uint64_t since_ms;
	char subject[128], text[256];
};

struct alarms {
	const struct control *control;
	const struct config *config;
	struct alarm_past *past;
	json_t *store; // owned
	uint64_t now_ms;
	int64_t now_s;
	int64_t cleared_s[ALARM_CNT]; // 0: not yet
	struct log_limit full;
	struct alarm alarm[ALARM_RAISED_MAX];
};

struct alarms *alarms_new(const struct control *control, const struct config *config)
{
	struct alarms *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->control = control;
	a->config = config;
	a->past = alarm_past_new();
	if (!a->past)
		alarms_free(&a);
	return a;
}

void alarms_free(struct alarms **a)
{
	if (!*a)
		return;
	json_decref((*a)->store);
	alarm_past_free(&(*a)->past);
	free(*a);
	*a = NULL;
}

void alarms_store(struct alarms *a, json_t *store)
{
	json_decref(a->store);
	a->store = json_incref(store);
}

// --- raising and clearing

static struct alarm *alarm_at(struct alarms *a, enum alarm_id id, const char *subject)
{
	struct alarm *place = NULL;

	for (unsigned i = 0; i < ALARM_RAISED_MAX; i++) {
		struct alarm *m = &a->alarm[i];

		if (m->used && m->id == id && strcmp(m->subject, subject) == 0)
			return m;
		if (!m->used && !place)
			place = m;
	}
	if (!place) {
		if (log_limit_pass(&a->full, 1))
			log_error("alarms_full", LOG_INT("limit", ALARM_RAISED_MAX));
		return NULL;
	}
	*place = (struct alarm){.used = true, .id = (uint8_t)id, .since_s = a->now_s, .since_ms = a->now_ms};
	snprintf(place->subject, sizeof(place->subject), "%s", subject);
	return place;
}

void alarm_is(struct alarms *a, enum alarm_id id, const char *subject, const char *text, ...)
{
	char cut[sizeof(a->alarm[0].subject)];
	va_list ap;

	snprintf(cut, sizeof(cut), "%s", subject);
	struct alarm *m = alarm_at(a, id, cut);
	if (!m)
		return;
	m->seen = true;
	va_start(ap, text);
	vsnprintf(m->text, sizeof(m->text), text, ap);
	va_end(ap);
}

static void raise_alarm(struct alarm *m)
{
	m->raised = true;
	log_warn("alarm_raised", LOG_STR("alarm", row_of[m->id].name),
		 LOG_STR("severity", severity_word[row_of[m->id].severity]),
		 LOG_STR("subject", m->subject), LOG_STR("text", m->text));
}

static void clear_alarm(struct alarms *a, struct alarm *m)
{
	if (m->raised) {
		a->cleared_s[m->id] = a->now_s;
		log_info("alarm_cleared", LOG_STR("alarm", row_of[m->id].name),
			 LOG_STR("subject", m->subject),
			 LOG_INT("seconds", a->now_s - m->since_s));
	}
	*m = (struct alarm){0};
}

void alarms_look(struct alarms *a, uint64_t now_ms, int64_t now_s)
{
	a->now_ms = now_ms;
	a->now_s = now_s;
	for (unsigned i = 0; i < ALARM_RAISED_MAX; i++)
		a->alarm[i].seen = false;
	alarm_rules(a, a->past, a->control, a->config, a->store, now_ms, now_s);
	for (unsigned i = 0; i < ALARM_RAISED_MAX; i++) {
		struct alarm *m = &a->alarm[i];

		if (m->used && !m->seen)
			clear_alarm(a, m);
		else if (m->used && !m->raised && now_ms - m->since_ms >= row_of[m->id].seconds * 1000ull)
			raise_alarm(m);
	}
}

// --- showing

unsigned alarms_cnt(const struct alarms *a)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < ALARM_RAISED_MAX; i++)
		cnt += a->alarm[i].raised;
	return cnt;
}

static unsigned cnt_of(const struct alarms *a, unsigned id)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < ALARM_RAISED_MAX; i++)
		cnt += a->alarm[i].raised && a->alarm[i].id == id;
	return cnt;
}

static json_t *short_row(const struct alarm *m)
{
	return json_pack("{s:s, s:s, s:I, s:s, s:s}", "alarm", row_of[m->id].name, "severity",
			 severity_word[row_of[m->id].severity], "since", (json_int_t)m->since_s, "subject",
			 m->subject,
			 "text", m->text);
}

static void put_details(const struct alarms *a, json_t *row, unsigned id, bool raised)
{
	json_object_set_new(row, "effect", json_string(row_of[id].effect));
	json_object_set_new(row, "action", json_string(row_of[id].action));
	json_object_set_new(row, "raised", json_boolean(raised));
	json_object_set_new(row, "cleared", a->cleared_s[id] ? json_integer(a->cleared_s[id]) : json_null());
}

void alarms_rows(const struct alarms *a, bool all, void (*row)(void *ctx, json_t *row_taken), void *ctx)
{
	for (unsigned pass = 0; pass < SEVERITY_CNT; pass++) {
		for (unsigned i = 0; i < ALARM_RAISED_MAX; i++) {
			const struct alarm *m = &a->alarm[i];
			json_t *r = m->raised && row_of[m->id].severity == pass ? short_row(m) : NULL;

			if (!r)
				continue;
			put_details(a, r, m->id, true);
			row(ctx, r);
		}
	}
	for (unsigned id = 0; all && id < ALARM_CNT; id++) {
		if (cnt_of(a, id))
			continue;
		json_t *r = json_pack("{s:s, s:s, s:n, s:s, s:s}", "alarm", row_of[id].name, "severity",
				      severity_word[row_of[id].severity], "since", "subject", "", "text",
				      row_of[id].meaning);
		put_details(a, r, id, false);
		row(ctx, r);
	}
}

json_t *alarms_short(const struct alarms *a)
{
	json_t *list = json_array();

	for (unsigned pass = 0; pass < SEVERITY_CNT; pass++)
		for (unsigned i = 0; i < ALARM_RAISED_MAX; i++)
			if (a->alarm[i].raised && row_of[a->alarm[i].id].severity == pass)
				json_array_append_new(list, short_row(&a->alarm[i]));
	return list;
}

void alarms_metrics(const struct alarms *a, struct evbuffer *out)
{
	evbuffer_add_printf(out, "# HELP hss_alarm Alarms that are raised now (hssctl alarm list).\n"
				 "# TYPE hss_alarm gauge\n");
	for (unsigned id = 0; id < ALARM_CNT; id++)
		evbuffer_add_printf(out, "hss_alarm{alarm=\"%s\",severity=\"%s\"} %u\n", row_of[id].name,
				    severity_word[row_of[id].severity], cnt_of(a, id));
}
