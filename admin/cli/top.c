// `hssctl top`: what the HSS does now, on one screen, every second: processes, load, answers, latency's causes, peers. Asks for
// `status`, `stats` and `peer list` again and again and shows what changed between two times.
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "admin/cli/cli.h"
#include "admin/cli/screen.h"
#include "admin/cli/status.h"
#include "lib/base/clock.h"

#define PEERS_MAX    512
#define COMMANDS_MAX 40
#define TOP_ALARMS   3

struct sample {
	uint64_t at_us;
	json_t *status; // owned; NULL: none yet
	json_t *stats;  // owned: "metric{labels}" -> value
	json_t *peers;  // owned: array
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

// --- asking

// Gives each row to `put`. false: told on stderr; `status` may end with 1 while something is not ready, which is no failure.
static bool ask(struct cli_session *s, const char *words, void (*put)(struct sample *to, json_t *row), struct sample *to)
{
	struct cli_args a = {.command = admin_command_find(words), .args = json_object()};
	char *text;
	size_t len;
	bool good = a.args && cli_session_request(s, &a), more = good;

	while (more) {
		switch (cli_session_next(s, true, &text, &len)) {
		case CLI_LINE_ROW: {
			json_t *row = json_loads(text, 0, NULL);
			put(to, row);
			json_decref(row);
			break;
		}
		case CLI_LINE_END:
			more = false;
			break;
		default:
			good = more = false;
		}
	}
	json_decref(a.args);
	return good;
}

static void put_status(struct sample *to, json_t *row)
{
	json_decref(to->status);
	to->status = json_incref(row);
}

static void put_stat(struct sample *to, json_t *row)
{
	char name[160];
	const char *metric = json_string_value(json_object_get(row, "metric"));
	const char *labels = json_string_value(json_object_get(row, "labels"));

	snprintf(name, sizeof(name), "%s{%s}", metric ? metric : "", labels ? labels : "");
	json_object_set(to->stats, name, json_object_get(row, "value"));
}

static void put_peer(struct sample *to, json_t *row)
{
	if (json_array_size(to->peers) < PEERS_MAX)
		json_array_append(to->peers, row);
}

static void sample_free(struct sample *s)
{
	json_decref(s->status);
	json_decref(s->stats);
	json_decref(s->peers);
	*s = (struct sample){0};
}

static bool sample_take(struct cli_session *s, struct sample *to)
{
	*to = (struct sample){.stats = json_object(), .peers = json_array()};
	bool good = ask(s, "status", put_status, to) && ask(s, "stats", put_stat, to);

	to->at_us = clock_mono_us();
	good = good && ask(s, "peer list", put_peer, to);
	if (!good)
		sample_free(to);
	return good;
}

// --- showing

static double number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static double rate(const struct sample *a, const struct sample *b, const char *name)
{
	double seconds = (double)(b->at_us - a->at_us) / 1e6;

	return seconds > 0 ? (number(b->stats, name) - number(a->stats, name)) / seconds : 0;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "-";
}

static void show_head(const struct sample *b, struct page *p)
{
	const json_t *store = json_object_get(b->status, "store"), *roles = json_object_get(b->status, "roles");
	json_t *role;
	size_t i, ready = 0, restarts = 0;

	json_array_foreach(roles, i, role)
	{
		ready += json_is_true(json_object_get(role, "ready"));
		restarts += (size_t)number(role, "restarts");
	}
	page_line(p, "%s  corehss %s  %s", text_of(b->status, "host"), text_of(b->status, "version"),
	     json_is_true(json_object_get(b->status, "serving")) ? "serving" : "NOT SERVING EVERYTHING");
	page_line(p, "processes %zu of %zu ready, %zu restarts   peers %.0f   subscribers %.0f of %.0f (%s)", ready,
	     json_array_size(roles), restarts, number(b->status, "peers"), number(store, "subscribers"), number(store, "limit"),
	     text_of(store, "load_state"));
	cli_status_alarms(p, b->status, TOP_ALARMS);
}

static void show_load(const struct sample *a, const struct sample *b, struct page *p)
{
	page_line(p, "vectors/s %.0f   changes/s %.0f   commits/s %.0f   journal %.0f   waiting %.0f",
	     rate(a, b, "hss_vectors_total{}"), rate(a, b, "hss_changes_total{}"), rate(a, b, "hss_commits_total{}"),
	     number(b->stats, "hss_journal_rows{}"), number(b->stats, "hss_requests_pending{}"));
	page_line(p, "refused for load/s %.0f   waited too long/s %.0f   resynchronisations/s %.1f   commit failures %.0f",
	     rate(a, b, "hss_too_busy_total{}"), rate(a, b, "hss_request_timeouts_total{}"),
	     rate(a, b, "hss_resynchronisations_total{}"), number(b->stats, "hss_commit_failures_total{}"));
}

struct command_row {
	char name[24];
	double requests, good, bad;
};

// Requests a second by command, and answers that were no 2001.
static void show_commands(const struct sample *a, const struct sample *b, struct page *p)
{
	struct command_row rows[COMMANDS_MAX];
	unsigned cnt = 0;
	const char *name;
	json_t *value;

	json_object_foreach(b->stats, name, value)
	{
		if (cnt < COMMANDS_MAX && sscanf(name, "hss_requests_total{command=%23[^,}]}", rows[cnt].name) == 1) {
			rows[cnt].requests = rate(a, b, name);
			rows[cnt].good = rows[cnt].bad = 0;
			cnt++;
		}
	}
	json_object_foreach(b->stats, name, value)
	{
		char command[24], result[24];

		if (sscanf(name, "hss_answers_total{command=%23[^,],result=%23[^}]}", command, result) != 2)
			continue;
		for (unsigned i = 0; i < cnt; i++)
			if (strcmp(rows[i].name, command) == 0)
				*(strcmp(result, "2001") == 0 ? &rows[i].good : &rows[i].bad) += rate(a, b, name);
	}
	page_line(p, "%s", "");
	page_line(p, "%-10s %12s %12s %12s", "COMMAND", "REQUESTS/S", "2001/S", "OTHER/S");
	for (unsigned i = 0; i < cnt; i++)
		page_line(p, "%-10s %12.0f %12.0f %12.0f", rows[i].name, rows[i].requests, rows[i].good, rows[i].bad);
}

static double peer_requests(const struct sample *s, const char *host)
{
	json_t *peer;
	size_t i;

	json_array_foreach(s->peers, i, peer)
	{
		if (strcmp(text_of(peer, "host"), host) == 0)
			return number(peer, "requests");
	}
	return -1;
}

static void show_peers(const struct sample *a, const struct sample *b, struct page *p)
{
	double seconds = (double)(b->at_us - a->at_us) / 1e6;
	json_t *peer;
	size_t i;

	page_line(p, "%s", "");
	page_line(p, "%-48s %-10s %12s %8s", "PEER", "STATE", "REQUESTS/S", "PENDING");
	json_array_foreach(b->peers, i, peer)
	{
		const char *host = text_of(peer, "host");
		double before = peer_requests(a, host);

		page_line(p, "%-48.48s %-10.10s %12.0f %8.0f", host, text_of(peer, "state"),
		     before < 0 || seconds <= 0 ? 0 : (number(peer, "requests") - before) / seconds, number(peer, "pending"));
	}
}

static void show(const struct sample *a, const struct sample *b, bool terminal)
{
	struct page page = {.f = stdout,
			    .left = terminal ? screen_height() - 1 : 100000,
			    .width = terminal ? screen_width() : 1000};

	if (terminal)
		fputs("\033[H\033[2J", stdout);
	show_head(b, &page);
	show_load(a, b, &page);
	show_commands(a, b, &page);
	show_peers(a, b, &page);
	fflush(stdout);
}

// --- the loop

// Until the next time, or a key: q ends it.
static void wait_key(int ms)
{
	struct pollfd key = {.fd = STDIN_FILENO, .events = POLLIN};
	char c;

	if (!isatty(STDIN_FILENO)) {
		(void)poll(NULL, 0, ms);
		return;
	}
	if (poll(&key, 1, ms) > 0 && (read(STDIN_FILENO, &c, 1) != 1 || c == 'q' || c == 'Q'))
		stop = 1;
}

int cli_top(struct cli_session *s, const struct cli_args *a)
{
	struct termios before;
	bool terminal = isatty(STDOUT_FILENO), keys = terminal && tcgetattr(STDIN_FILENO, &before) == 0;
	json_int_t every = json_integer_value(json_object_get(a->args, "every"));
	struct sample old = {0}, now = {0};
	bool good = sample_take(s, &old);

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (keys) {
		struct termios raw = before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	while (good && !stop) {
		wait_key((int)(every > 0 && every < 3600 ? every : 1) * 1000);
		if (stop || !(good = sample_take(s, &now)))
			break;
		show(&old, &now, terminal);
		sample_free(&old);
		old = now;
		now = (struct sample){0};
		if (!terminal) // a pipe or a file: once
			break;
	}
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	sample_free(&old);
	return good ? CLI_DONE : CLI_REFUSED;
}
