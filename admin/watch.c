// The clock of the alarms. hss-admin; see watch.h. The loader is asked for `store status` as an operator asks
// it, and asked again when it has answered: one that is silent is asked once.
#include "admin/watch.h"
#include <event2/event.h>
#include <stdlib.h>
#include "lib/base/clock.h"

struct watch {
	struct role_env *env;
	struct admin_calls *calls;
	struct alarms *alarms;
	struct recent *recent;
	struct event *timer;
	bool asked;
};

static void on_row(void *ctx, struct slice row)
{
	struct watch *w = ctx;
	json_t *store = json_loadb((const char *)row.p, row.len, 0, NULL);

	if (json_is_object(store))
		alarms_store(w->alarms, store);
	json_decref(store);
}

static void on_end(void *ctx, int status, json_t *end)
{
	struct watch *w = ctx;

	(void)status;
	(void)end;
	w->asked = false;
}

static void ask(struct watch *w)
{
	static const struct admin_call_ops ops = {.on_row = on_row, .on_end = on_end};
	const struct admin_request request = {.command = admin_command_find("store status"),
					      .args = json_object()};
	const char *why;

	w->asked = request.args && admin_call_start(w->calls, &request, &ops, w, &why);
	json_decref(request.args);
}

static void on_second(evutil_socket_t fd, short what, void *ctx)
{
	struct watch *w = ctx;

	(void)fd;
	(void)what;
	recent_look(w->recent, clock_mono_ms());
	alarms_look(w->alarms, clock_mono_ms(), (int64_t)(clock_wall_us() / 1000000));
	if (!w->asked)
		ask(w);
}

struct watch *watch_new(struct role_env *env, struct admin_calls *calls)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->env = env;
	w->calls = calls;
	w->alarms = alarms_new(env->control, &env->config);
	w->recent = recent_new(env->control);
	w->timer = event_new(env->base, -1, EV_PERSIST, on_second, w);
	if (!w->alarms || !w->recent || !w->timer)
		watch_free(&w);
	return w;
}

bool watch_start(struct watch *w)
{
	const struct timeval second = {.tv_sec = 1};

	recent_look(w->recent, clock_mono_ms());
	return event_add(w->timer, &second) == 0;
}

void watch_free(struct watch **w)
{
	if (!*w)
		return;
	if ((*w)->timer)
		event_free((*w)->timer);
	alarms_free(&(*w)->alarms);
	recent_free(&(*w)->recent);
	free(*w);
	*w = NULL;
}

const struct recent *watch_recent(const struct watch *w)
{
	return w->recent;
}

const struct alarms *watch_alarms(const struct watch *w)
{
	return w->alarms;
}
