// `hssctl status`: the HSS on one screen. On a terminal the page is as high as that; what does not fit is
// counted. Elsewhere it is 80 characters wide and has every process.
#include "admin/cli/status.h"
#include <string.h>
#include <unistd.h>
#include "admin/cli/cli.h"

#define ALARMS_MAX 5

static double number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "-";
}

static void duration(double seconds, char out[32])
{
	long long s = (long long)seconds;

	if (s >= 86400)
		snprintf(out, 32, "%lldd %02lld:%02lld", s / 86400, s / 3600 % 24, s / 60 % 60);
	else
		snprintf(out, 32, "%02lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

// --- what the HSS has to do with

static void put_store(struct page *p, const json_t *store)
{
	const json_t *up = json_object_get(store, "upstream"), *file = json_object_get(store, "file");
	const char *disk = text_of(store, "disk");

	if (!store) {
		page_coloured(p, SCREEN_RED, "store      the loader does not answer");
		return;
	}
	page_coloured(p, strcmp(disk, "ok") == 0 ? SCREEN_PLAIN : SCREEN_RED,
		      "store      %s, %.0f of %.0f subscribers, %.0f profiles, disk %s",
		      text_of(store, "load_state"),
		      number(store, "subscribers"), number(store, "limit"), number(store, "profiles"), disk);
	if (up)
		page_coloured(p, strcmp(text_of(up, "state"), "live") == 0 ? SCREEN_PLAIN : SCREEN_YELLOW,
			      "upstream   MongoDB %s (%s), %.0f documents, lag %.1f s, "
			      "outbox %.0f (oldest %.0f s)",
			      text_of(up, "state"), text_of(up, "mode"), number(up, "documents"),
			      number(up, "lag_ms") / 1000, number(up, "outbox"), number(up, "outbox_age_s"));
	if (file)
		page_coloured(p, strcmp(text_of(file, "state"), "refused") ? SCREEN_PLAIN : SCREEN_YELLOW,
			      "upstream   %s %s, %.0f rows, %.0f problems", text_of(file, "path"),
			      text_of(file, "state"), number(file, "rows"), number(file, "problems"));
}

static void put_peers(struct page *p, const json_t *row)
{
	double listed = number(row, "peers_listed"), up = number(row, "peers_listed_connected");

	page_coloured(p, up < listed ? SCREEN_YELLOW : SCREEN_PLAIN,
		      "peers      %.0f connected; %.0f of %.0f listed ones",
		      number(row, "peers"), up, listed);
}

static void put_load(struct page *p, const json_t *load)
{
	const json_t *half = json_object_get(load, "half_within_ms"),
	    *most = json_object_get(load, "p99_within_ms");

	page_line(p, "load       %.0f requests/s: %.0f succeed, %.0f are refused, %.0f of them for load",
		  number(load, "requests_per_s"), number(load, "successes_per_s"),
		  number(load, "refusals_per_s"),
		  number(load, "busy_per_s"));
	if (json_is_number(half) && json_is_number(most))
		page_line(p, "latency    half within %g ms, 99 %% within %g ms (last %.0f s)",
			  json_number_value(half),
			  json_number_value(most), number(load, "seconds"));
	else
		page_line(p, "latency    no request in the last %.0f s", number(load, "seconds"));
}

static void put_rest(struct page *p, const json_t *row)
{
	const json_t *store = json_object_get(row, "store"), *sqn = json_object_get(row, "sqn");

	if (store)
		page_line(p, "to nodes   %.0f requests of the HSS wait, for %zu nodes that can't be reached",
			  number(store, "hss_requests_pending"),
			  json_array_size(json_object_get(store, "hss_requests_waiting")));
	page_coloured(p, number(sqn, "refused") > 0 ? SCREEN_YELLOW : SCREEN_PLAIN,
		      "SQN        %.0f blocks reserved, %.0f refused, %.0f requests waited for one",
		      number(sqn, "blocks"),
		      number(sqn, "refused"), number(sqn, "waits"));
}

void cli_status_alarms(struct page *p, const json_t *status, unsigned most)
{
	const json_t *alarms = json_object_get(status, "alarms");
	size_t i, cnt = json_array_size(alarms), shown = cnt <= most ? cnt : most - 1;
	json_t *alarm;

	if (cnt == 0)
		page_line(p, "alarms     none");
	json_array_foreach(alarms, i, alarm)
	{
		const char *severity = text_of(alarm, "severity"), *subject = text_of(alarm, "subject");

		if (i == shown)
			break;
		page_coloured(p, strcmp(severity, "critical") == 0 ? SCREEN_RED : SCREEN_YELLOW,
			      "%-9s  %s %s%s%s: %s",
			      i ? "" : "alarms", severity, text_of(alarm, "alarm"), *subject ? " " : "",
			      subject,
			      text_of(alarm, "text"));
	}
	if (shown < cnt)
		page_line(p, "%-9s  %zu more: hssctl alarm list", "", cnt - shown);
}

// --- the processes

static void put_role(struct page *p, const json_t *role)
{
	bool ready = json_is_true(json_object_get(role, "ready"));
	char since[32] = "-";

	if (number(role, "started") > 0)
		screen_time((time_t)number(role, "started"), since);
	page_coloured(p, !ready ? SCREEN_RED : number(role, "restarts") > 0 ? SCREEN_YELLOW : SCREEN_PLAIN,
		      "%-8s  %6.0f  %7.0f  %-5s  %8.0f  %8.0f  %s", text_of(role, "role"),
		      number(role, "instance"),
		      number(role, "pid"), ready ? "yes" : "no", number(role, "restarts"),
		      number(role, "silences"), since);
}

// Those that are not ready or were started again first, when there is no room for all.
static void put_roles(struct page *p, const json_t *roles)
{
	size_t i, cnt = json_array_size(roles), room = p->left > 2 ? p->left - 2 : 0, left_out = 0;
	bool all = cnt <= room;
	json_t *role;

	page_line(p, "%s", "");
	page_coloured(p, SCREEN_BOLD, "%-8s  %6s  %7s  %-5s  %8s  %8s  %s", "ROLE", "NUMBER", "PID", "READY",
		      "RESTARTS",
		      "SILENCES", "UP SINCE");
	for (int pass = all ? 1 : 0; pass < 2; pass++) {
		json_array_foreach(roles, i, role)
		{
			bool odd = !json_is_true(json_object_get(role, "ready")) ||
			    number(role, "restarts") > 0;

			if (!all && odd == (pass == 1))
				continue;
			if (all || p->left > 1)
				put_role(p, role);
			else
				left_out++;
		}
	}
	if (left_out)
		page_line(p, "%zu more: hssctl --json status", left_out);
}

static void put_status(const json_t *row)
{
	bool terminal = isatty(STDOUT_FILENO), serving = json_is_true(json_object_get(row, "serving"));
	struct page p = {.f = stdout, .left = terminal ? screen_height() - 1 : 100000,
			 .width = screen_width()};
	char up[32];

	duration(number(row, "uptime_s"), up);
	page_coloured(&p, SCREEN_BOLD, "%s  corehss %s  up %s", text_of(row, "host"),
		      text_of(row, "version"), up);
	page_coloured(&p, serving ? SCREEN_GREEN : SCREEN_RED, "serving    %s", serving ? "yes" : "no");
	put_store(&p, json_object_get(row, "store"));
	put_peers(&p, row);
	put_load(&p, json_object_get(row, "load"));
	put_rest(&p, row);
	cli_status_alarms(&p, row, ALARMS_MAX);
	put_roles(&p, json_object_get(row, "roles"));
}

int cli_status(struct cli_session *s, const struct cli_args *a)
{
	return cli_each_row(s, a, put_status);
}
