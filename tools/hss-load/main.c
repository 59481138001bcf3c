// hss-load: plays MMEs against an HSS, for acceptance and load tests. Reports rate, latency and results, and
// verifies the authentication vectors with a card simulation of its own.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/base/secret.h"
#include "tools/hss-load/run.h"

static void on_signal(int signo)
{
	(void)signo;
	hl_run_interrupt();
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

// Flushes and closes the log; false when a line could not be written.
static bool close_log(FILE *log, const char *path)
{
	if (!log)
		return true;
	bool bad = ferror(log) != 0;
	bad |= fclose(log) != 0;
	if (bad)
		fprintf(stderr, "hss-load: %s: the log is incomplete\n", path);
	return !bad;
}

static int run(struct hl_options *o)
{
	struct sim sim;
	struct hl_subscribers subscribers;
	struct hl_run r;
	FILE *log = NULL;
	int status = 1, rc;

	if (sim_init(&sim)) {
		fputs("hss-load: OpenSSL gives no AES or HMAC\n", stderr);
		return 1;
	}
	if (!hl_subscribers_init(&subscribers, o, &sim))
		goto out_sim;
	if (!o->requests && o->duration <= 0)
		o->requests = subscribers.count;
	if (o->log_path && !(log = fopen(o->log_path, "we"))) {
		fprintf(stderr, "hss-load: %s: %s\n", o->log_path, err_text(errno));
		goto out_subscribers;
	}
	rc = hl_run_init(&r, o, &sim, &subscribers, log);
	if (rc)
		fprintf(stderr, "hss-load: %s\n",
			rc == -EINVAL ? "the host and realm names are too long" : err_text(rc));
	else if (hl_run_play(&r) || r.stats.answers)
		hl_report_print(&r, stdout);
	if (!rc)
		status = hl_report_status(&r);
	hl_run_fini(&r);
	if (!close_log(log, o->log_path))
		status = 1;
out_subscribers:
	hl_subscribers_fini(&subscribers);
out_sim:
	sim_fini(&sim);
	return status;
}

int main(int argc, char **argv)
{
	struct hl_options o;
	int status = 0;

	switch (hl_options_parse(argc, argv, &o, stdout, stderr)) {
	case HL_PARSED_HELP:
		return 0;
	case HL_PARSED_USAGE:
		return 2;
	case HL_PARSED:
		catch_signals();
		status = run(&o);
	}
	secret_wipe(&o.keys, sizeof o.keys);
	return status;
}
