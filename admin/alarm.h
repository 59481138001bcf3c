// Alarms: what is wrong with this HSS now, by state (alarms.def has the rows, alarm_rules.c the conditions).
// hss-admin. Everything is seen from outside: the control segment, the configuration, and what the loader
// says to `store status`. So an alarm of a process that dies is not lost, and none is left behind by it. A
// new hss-admin looks at everything afresh: `since` is then the time at which it saw it first.
#pragma once
#include <event2/buffer.h>
#include <jansson.h>
#include "cache/control.h"
#include "config/config.h"

#define ALARM_RAISED_MAX 512 // alarms at a time; more are counted and left out

enum alarm_id {
#define ALARM(id, name, severity, seconds, subject, meaning, effect, action) ALARM_##id,
#include "admin/alarms.def"
#undef ALARM
	ALARM_CNT
};

struct alarms; // opaque, one a process

// `control` and `config` are borrowed; `config` changes at a reload. NULL: no memory.
struct alarms *alarms_new(const struct control *control, const struct config *config);
void alarms_free(struct alarms **a);

// What the loader last said to `store status`; borrowed. Kept until it says something else.
void alarms_store(struct alarms *a, json_t *store);
// Looks at everything, once a second: raises and clears, and says so in the log. now_ms: monotonic; now_s:
// seconds since 1970.
void alarms_look(struct alarms *a, uint64_t now_ms, int64_t now_s);

// Rows of `alarm list`: {"alarm","severity","since","subject","text","effect","action","raised","cleared"},
// the worst first. all: those that are not raised, too (since null; cleared: when that was last, or null).
void alarms_rows(const struct alarms *a, bool all, void (*row)(void *ctx, json_t *row_taken), void *ctx);
// [{"alarm","severity","since","subject","text"}], a new reference.
json_t *alarms_short(const struct alarms *a);
unsigned alarms_cnt(const struct alarms *a);
// hss_alarm: how many are raised, by alarm.
void alarms_metrics(const struct alarms *a, struct evbuffer *out);

// --- alarm_rules.c: what is so now
struct alarm_past; // opaque: earlier values of counters
struct alarm_past *alarm_past_new(void);
void alarm_past_free(struct alarm_past **past);
// Says alarm_is for everything that is so. store NULL: the loader has not said anything yet.
void alarm_rules(struct alarms *a, struct alarm_past *past, const struct control *control,
		 const struct config *config,
		 const json_t *store, uint64_t now_ms, int64_t now_s);
// It is so now; subject "": there is only one. Said again at each look at which it is so.
void alarm_is(struct alarms *a, enum alarm_id id, const char *subject, const char *text, ...)
	__attribute__((format(printf, 4, 5)));
