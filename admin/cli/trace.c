// `hssctl trace`: a line for each message as it comes, and the messages in a capture file. Ends by its
// limits, by Ctrl-C, or when the HSS ends.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "admin/cli/cli.h"
#include "admin/cli/pcapng.h"
#include "admin/cli/screen.h"
#include "lib/base/base64.h"
#include "lib/base/secret.h"

#define LIMIT	   1000
#define WIDE	   120 // a terminal of so many columns has room for whole names
#define PEER_SHORT 20

struct shown {
	struct pcapng pcap;
	const struct cli_args *a;
	json_int_t rows, limit;
	bool begun;
	int rc;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static const char *text_of(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	return text ? text : "";
}

static void time_text(const json_t *row, char out[32])
{
	json_int_t us = json_integer_value(json_object_get(row, "time_us"));
	time_t s = (time_t)(us / 1000000);
	struct tm tm;
	size_t n = gmtime_r(&s, &tm) ? strftime(out, 32, "%H:%M:%S", &tm) : 0;

	snprintf(out + n, 32 - n, ".%06lld", (long long)(us % 1000000));
}

static bool narrow(void)
{
	return isatty(STDOUT_FILENO) && screen_width() < WIDE;
}

static int peer_width(void)
{
	return narrow() ? PEER_SHORT : 32;
}

static void put_head(void)
{
	printf("%s%-15s  %-3s  %-7s  %-8s  %-*s  %s%s\n", screen_colour(SCREEN_BOLD), "TIME (UTC)", "",
	       "COMMAND", "RESULT", peer_width(), "PEER",
	       "SUBJECT, OR RULE", screen_colour(SCREEN_PLAIN));
	fflush(stdout);
}

// A refused request stands out; its result says so without colours, too.
static void put_line(const json_t *row)
{
	const json_t *took = json_object_get(row, "took_us");
	const char *result = text_of(row, "result"), *rule = text_of(row, "rule"),
	    *subject = text_of(row, "subject");
	bool answer = !json_is_true(json_object_get(row, "request"));
	bool refused = answer && *result != '2' && strncmp(result, "exp_2", 5) != 0;
	char when[32], what[600], took_ms[40] = "", shown[600], peer[256];

	time_text(row, when);
	if (json_is_integer(took))
		snprintf(took_ms, sizeof(took_ms), "%s(%.3f ms)", *rule ? " " : "",
			 (double)json_integer_value(took) / 1000);
	snprintf(what, sizeof(what), "%.500s%s", answer ? rule : subject, took_ms);
	screen_text(what, shown, sizeof(shown));
	screen_text(text_of(row, "peer"), peer, sizeof(peer));
	if (narrow() && strlen(peer) > PEER_SHORT) // its own name comes first
		snprintf(peer + PEER_SHORT - 1, 2, "~");
	printf("%s%-15s  %-3s  %-7s  %-8s  %-*s  %s%s\n", refused ? screen_colour(SCREEN_YELLOW) : "", when,
	       text_of(row, "direction"), text_of(row, "command"), answer ? *result ? result : "-" : "",
	       peer_width(), peer, shown,
	       refused ? screen_colour(SCREEN_PLAIN) : "");
	fflush(stdout);
}

static bool put_packet(struct shown *w, const json_t *row)
{
	const char *text = text_of(row, "message");
	size_t len = strlen(text), n = 0;
	uint8_t *message = malloc(len + 1);
	bool good = message && (len == 0 || base64_decode(slice_of(text, len), message, &n));
	char comment[600];

	snprintf(comment, sizeof(comment), "%.500s", text_of(row, "rule"));
	if (good && n)
		good = pcapng_put(&w->pcap, (uint64_t)json_integer_value(json_object_get(row, "time_us")),
				  strcmp(text_of(row, "direction"), "in") == 0, text_of(row, "address"),
				  slice_of(message, n),
				  comment);
	if (message)
		secret_wipe(message, len + 1);
	free(message);
	if (!good)
		fprintf(stderr, "hssctl: trace: %s: %s\n", w->a->file, err_text(errno));
	return good;
}

// One row; false: no more is wanted.
static bool take(struct shown *w, const char *text, size_t len)
{
	json_t *row = json_loadb(text, len, 0, NULL);
	bool message = strcmp(text_of(row, "event"), "message") == 0, good = true;

	if (w->a->json)
		cli_json_row(stdout, text, len);
	else if (!message && !w->begun)
		put_head();
	else if (message)
		put_line(row);
	fflush(stdout);
	w->begun = true;
	if (message && w->pcap.f)
		good = put_packet(w, row);
	json_decref(row);
	w->rc = good && !ferror(stdout) ? CLI_DONE : CLI_REFUSED;
	w->rows += message;
	return w->rc == CLI_DONE && w->rows < w->limit;
}

static void told(const struct shown *w, const char *end)
{
	json_t *row = end ? json_loads(end, 0, NULL) : NULL;
	json_int_t dropped = json_integer_value(json_object_get(row, "dropped"));

	if (dropped)
		fprintf(stderr,
			"hssctl: trace: %lld messages were left out, since they came faster than they were "
			"taken\n",
			(long long)dropped);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "%lld messages\n", (long long)w->rows);
	json_decref(row);
}

static void listen_to(struct cli_session *s, struct shown *w)
{
	struct pollfd in = {.fd = s->fd, .events = POLLIN};
	char *text;
	size_t len;

	while (!stop) {
		switch (cli_session_next(s, false, &text, &len)) {
		case CLI_LINE_ROW:
			if (!take(w, text, len)) {
				told(w, NULL);
				return;
			}
			break;
		case CLI_LINE_END:
			w->rc = cli_session_end(text, w->a->command);
			told(w, text);
			return;
		case CLI_LINE_NONE:
			(void)poll(&in, 1, 500); // a signal ends it, too: also one that came just before
			break;
		default:
			w->rc = CLI_REFUSED;
			return;
		}
	}
	w->rc = CLI_DONE;
	told(w, NULL);
}

int cli_trace(struct cli_session *s, const struct cli_args *a)
{
	const struct sigaction act = {.sa_handler = on_signal};
	json_int_t limit = json_integer_value(json_object_get(a->args, "limit"));
	struct shown w = {.a = a, .limit = limit > 0 ? limit : LIMIT, .rc = CLI_REFUSED};

	if (a->file) {
		if (!pcapng_open(&w.pcap, a->file)) {
			fprintf(stderr, "hssctl: trace: %s: %s\n", a->file, err_text(errno));
			return CLI_REFUSED;
		}
		json_object_set_new(a->args, "messages", json_true());
	}
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (cli_session_request(s, a))
		listen_to(s, &w);
	if (w.pcap.f && !pcapng_close(&w.pcap)) {
		fprintf(stderr, "hssctl: trace: %s: %s\n", a->file, err_text(errno));
		w.rc = CLI_REFUSED;
	}
	return w.rc;
}
