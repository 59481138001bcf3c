// A new configuration for an HSS that runs: at SIGHUP, or because an operator asked hss-admin. hssd. A file with an error changes
// nothing. An option that needs a restart keeps its value. Whoever asked is told in lines of text:
//
//	error WHY           nothing was changed
//	live OPTION         its new value is applied
//	restart OPTION      it has a new value that a restart will apply
//
// A thread reads the file and resolves its host names, since a file system or a resolver may take its time; the main thread, which
// watches the roles meanwhile, applies the result. What is asked for during one reload is done by the next one.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "supervisor/hssd.h"

#define ASKERS_MAX 32

struct asker {
	const struct instance *in;
	pid_t pid; // of then: its successor has not asked
	uint64_t id;
};

static struct {
	char text[8192];
	size_t len;
} told;

static struct {
	const char *path;
	struct config fresh; // the thread's while it runs
	struct config_error e;
	int rc;
	bool running, again;
	int done_fd;
	struct event *done;
	struct asker asker[ASKERS_MAX]; // those of the reload that runs, then those of the next one
	unsigned asker_cnt, served_cnt; // served: by the one that runs
} job = {.done_fd = -1};

__attribute__((format(printf, 1, 2))) static void tell(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(told.text + told.len, sizeof(told.text) - told.len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(told.text) - told.len)
		told.len += (size_t)n;
}

// --- the thread

static void *read_it(void *arg)
{
	const uint64_t one = 1;
	(void)arg;
	job.rc = config_load(job.path, &job.fresh, &job.e);
	if (job.rc == 0 && !config_resolve(&job.fresh, job.path, &job.e))
		job.rc = -EINVAL;
	ssize_t n = write(job.done_fd, &one, sizeof(one));
	(void)n; // an eventfd takes it
	return NULL;
}

bool background(void *(*fn)(void *), void *arg)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	sigfillset(&all); // signals are the main thread's
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&thread, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc == 0;
}

// --- the result

static void refuse(const char *text)
{
	say_lines("reload_refused", text);
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
		tell("error %.*s\n", (int)strcspn(text, "\n"), text);
}

// What differs; what can't be changed now keeps its value.
static void compare(const struct config *old, struct config *fresh)
{
	unsigned at = 0;
	bool live;
	const char *option;

	while ((option = config_changed(old, fresh, &at, &live))) {
		tell("%s %s\n", live ? "live" : "restart", option);
		if (live)
			continue;
		log_warn("reload_needs_restart", LOG_STR("key", option));
		config_keep(old, fresh, option);
	}
}

static void apply(struct hssd *h)
{
	if (h->phase != PHASE_SERVING) {
		tell("error the HSS is stopping\n");
		return;
	}
	if (job.rc < 0) {
		refuse(job.e.text);
		return;
	}
	say_lines("peer_address_unknown", job.e.text);
	compare(&h->config, &job.fresh);
	if (!files_reopen(h, &job.fresh)) {
		told.len = 0;
		tell("error a file of tls can't be opened: the log says which one\n");
		return;
	}
	h->config = job.fresh;
	log_set_level(h->config.log_level);
	spawn_reload(h);
	log_info("reloaded");
}

// Behind the new configuration on the same channel, so that `config show` after it shows the new one.
static void answer(const struct asker *a)
{
	if (a->in->ch && a->in->pid == a->pid && channel_send(a->in->ch, IPC_RELOAD_TOLD, a->id, told.text, told.len))
		channel_flush(a->in->ch);
}

static void answer_served(void)
{
	for (unsigned i = 0; i < job.served_cnt; i++)
		answer(&job.asker[i]);
	job.asker_cnt -= job.served_cnt;
	memmove(job.asker, job.asker + job.served_cnt, job.asker_cnt * sizeof(job.asker[0]));
	job.served_cnt = 0;
	told.len = 0;
}

static void begin(struct hssd *h);

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct hssd *h = arg;
	uint64_t cnt;
	(void)what;
	if (read((int)fd, &cnt, sizeof(cnt)) < 0)
		return;
	job.running = false;
	apply(h);
	notify_send("READY=1");
	answer_served();
	if (job.again)
		begin(h);
}

static void begin(struct hssd *h)
{
	job.again = false;
	job.served_cnt = job.asker_cnt;
	job.path = h->config_path;
	if (h->phase != PHASE_SERVING) {
		log_warn("reload_ignored", LOG_STR("why", "starting or stopping"));
		tell("error the HSS is starting or stopping\n");
		answer_served();
		return;
	}
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono_us());
	if (job.done_fd < 0) {
		job.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		job.done = event_new(h->base, job.done_fd, EV_READ | EV_PERSIST, on_done, h);
	}
	job.running = job.done && event_add(job.done, NULL) == 0 && background(read_it, NULL);
	if (job.running)
		return;
	refuse("no thread to read the file");
	notify_send("READY=1");
	answer_served();
}

void reload(struct hssd *h, const struct instance *asker, uint64_t id)
{
	if (asker && job.asker_cnt < ASKERS_MAX)
		job.asker[job.asker_cnt++] = (struct asker){.in = asker, .pid = asker->pid, .id = id};
	job.again = job.running;
	if (!job.running)
		begin(h);
}
