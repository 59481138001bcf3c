// hssd: reads the configuration, makes what the roles share (memory, sockets, directory), starts them, and
// watches. It parses no peer's byte, maps no record and reads no secret. One thread; roles.c has the graph of
// what it starts.
//
// Order at start: options, configuration, programs (nothing touched so far: exit 1 with a message), sockets,
// state directory, memory, user, roles. Messages of the start go to stderr as plain text for whoever typed
// the command; from then on everything is a log line.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/build.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "supervisor/hssd.h"

static struct hssd hssd = {
    .control_fd = -1,
    .control_ro_fd = -1,
    .records_fd = -1,
    .records_ro_fd = -1,
    .sqn_fd = -1,
    .state_dir_fd = -1,
    .op_fd = -1,
    .uri_fd = -1,
    .tls_fd = {-1, -1, -1, -1},
    .admin_fd = -1,
    .readonly_fd = -1,
    .metrics_fd = -1,
};

// --- the start

static bool memory_make(struct hssd *h)
{
	char path[48];
	int rc = cache_create(h->config.max_subscribers, h->config.max_identities, &h->records_fd,
			      &h->records_ro_fd, &h->sqn_fd);
	if (rc < 0) {
		say("cache: memory for %u subscribers: %s", h->config.max_subscribers,
			err_text(rc));
		return false;
	}
	h->control_fd = control_create(h->config.frontends, h->config.workers);
	if (h->control_fd >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", h->control_fd); // lint: only opened
		h->control_ro_fd = open(path, O_RDONLY | O_CLOEXEC);
		h->control = control_map(h->control_fd, true);
	}
	if (!h->control || h->control_ro_fd < 0) {
		say("control segment: %s", err_text(errno));
		return false;
	}
	return true;
}

// Gives up root when the configuration names a user; what was made here becomes its own. A directory that was
// there before stays whose it was: a mistyped path must not give /var away.
static bool user_change(struct hssd *h)
{
	const char *user = h->config.user;
	if (!user[0] || geteuid() != 0)
		return true;
	const struct passwd *pw = getpwnam(user);
	if (!pw) {
		say("user: %s: no such user", user);
		return false;
	}
	if (h->state_dir_made && fchown(h->state_dir_fd, pw->pw_uid, pw->pw_gid) < 0) {
		say("state_dir: %s: %s", h->config.state_dir, err_text(errno));
		return false;
	}
	if (h->admin_dir_made && chown(h->admin_dir, pw->pw_uid, pw->pw_gid) < 0) {
		say("admin: { socket: %s }: %s", h->config.admin_socket, err_text(errno));
		return false;
	}
	gid_t group = pw->pw_gid;
	const char *looking = h->config.admin_readonly_socket;
	bool grouped = h->config.admin_readonly_group[0] || h->config.admin_group[0];
	if (looking[0] && chown(looking, pw->pw_uid, grouped ? (gid_t)-1 : group) < 0) {
		say("user: %s: %s: %s", user, looking, err_text(errno));
		return false;
	}
	if (chown(h->config.admin_socket, pw->pw_uid, h->config.admin_group[0] ? (gid_t)-1 : group) < 0 ||
	    initgroups(user, group) < 0 || setgid(group) < 0 || setuid(pw->pw_uid) < 0) {
		say("user: %s: %s", user, err_text(errno));
		return false;
	}
	return true;
}

// As many descriptors as the system allows: edges in flight count, and the roles inherit it.
static void limits_set(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	limit.rlim_cur = limit.rlim_max = 0;
	(void)setrlimit(RLIMIT_CORE, &limit);
#ifndef HSS_SANITIZED // the leak checker attaches to its own process
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

static void warn_of_open_state(const struct hssd *h)
{
	struct stat st;
	if (fstat(h->state_dir_fd, &st) == 0 && (st.st_mode & 0077))
		log_warn("state_dir_open_to_others", LOG_STR("path", h->config.state_dir),
			 LOG_STR("expected", "mode 0700"));
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

// peers.accept: any is for a lab: everybody who reaches a listener may ask for vectors.
static void warn_of_any_peer(const struct config *c)
{
	for (uint32_t i = 0; c->accept == ACCEPT_ANY && i < c->listen_cnt; i++) {
		bool verified = c->listen[i].transport == TRANSPORT_TLS && c->tls_verify == TLS_VERIFY_REQUIRED;
		if (is_loopback(c->listen[i].address) || verified)
			continue;
		log_warn("any_peer_may_ask", LOG_STR("address", c->listen[i].address), LOG_INT("port", c->listen[i].port),
			 LOG_STR("expected", "peers.accept: listed, and the peers in peers.list"));
		return;
	}
}

static bool roles_start(struct hssd *h)
{
	roles_plan(h);
	for (unsigned i = 0; i < h->instance_cnt; i++) {
		if (!spawn_instance(&h->instance[i]))
			return false;
	}
	return true;
}

// --- events

void hssd_progress(struct hssd *h)
{
	unsigned ready = 0;
	const char *waiting = NULL;

	for (unsigned i = 0; i < h->instance_cnt; i++) {
		if (h->instance[i].ready)
			ready++;
		else if (!waiting)
			waiting = h->instance[i].name;
	}
	if (h->phase == PHASE_STOPPING) {
		notify_send("STOPPING=1\nSTATUS=stopping");
	} else if (waiting) {
		notify_send("STATUS=%u of %u processes ready, waiting for %s", ready, h->instance_cnt,
			    waiting);
	} else if (h->phase == PHASE_STARTING) {
		h->phase = PHASE_SERVING;
		h->control->role[control_instance(ROLE_HSSD, 0)].ready = 1;
		log_info("ready", LOG_INT("processes", ready));
		notify_send("READY=1\nSTATUS=%u processes ready", ready);
	} else {
		notify_send("STATUS=%u processes ready", ready);
	}
}

static void on_signal(evutil_socket_t signal, short what, void *arg)
{
	struct hssd *h = arg;
	(void)what;
	switch ((int)signal) {
	case SIGCHLD:
		reap_children(h);
		break;
	case SIGHUP:
		reload(h, NULL, 0);
		break;
	default:
		log_info("stopping", LOG_INT("signal", signal));
		reap_stop(h, 0);
	}
}

static bool events_make(struct hssd *h)
{
	static const int signals[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};

	h->base = event_base_new();
	for (unsigned i = 0; h->base && i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct event *ev = evsignal_new(h->base, signals[i], on_signal, h);
		if (!ev || event_add(ev, NULL) < 0)
			return false;
	}
	return h->base && notify_open(h) && supervise_start(h);
}

// --- the command

static int serve(struct hssd *h)
{
	if (!roles_find_programs(h) || !state_dir_open(h) || !admin_dir_make(h) || !listen_open(h))
		goto out;
	if (!files_open(h) || !memory_make(h) || !user_change(h))
		goto out;
	limits_set();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		say("no_new_privs: %s", err_text(errno));
		goto out;
	}
	umask(0077);
	signal(SIGPIPE, SIG_IGN);
	int rc = log_pump_start(&h->control->stats[control_instance(ROLE_HSSD, 0)].c[STAT_LOG_DROPPED]);
	if (rc < 0) {
		say("log: %s", err_text(rc));
		goto out;
	}
	say_as_log();
	warn_of_open_state(h);
	warn_of_any_peer(&h->config);
	if (!events_make(h)) {
		say("event loop: %s", err_text(errno));
		goto out;
	}
	h->control->role[control_instance(ROLE_HSSD, 0)].pid = getpid();
	h->control->role[control_instance(ROLE_HSSD, 0)].started_us = clock_wall_us();
	h->control->origin_state_id = state_dir_origin_state(h);
	if (!remember_start(h)) {
		say("no memory");
		goto out;
	}
	log_info("starting", LOG_STR("version", HSS_VERSION), LOG_STR("host", h->config.host),
		 LOG_INT("frontends", h->config.frontends), LOG_INT("workers", h->config.workers));
	if (!roles_start(h)) {
		say("the processes could not be started");
		goto out; // those that run end with us
	}
	event_base_dispatch(h->base);
	log_info("stopped");
	listen_unlink(h);
	log_pump_finish();
	return h->exit_status;
out:
	listen_unlink(h);
	log_pump_finish();
	return 1;
}

static int usage(FILE *out, int status)
{
	fputs("usage: hssd [--check] --config FILE\n"
	      "  -c, --config FILE  the configuration (default /etc/corehss/hss.yaml)\n"
	      "      --check        check it, and exit: 0 good, 1 refused; says what is wrong with MongoDB\n"
	      "      --version      print the version\n"
	      "  -h, --help         print this\n"
	      "SIGHUP reads the configuration again, SIGTERM stops in order.\n",
	      out);
	return status;
}

static void standard_fds(void)
{
	int fd;
	do // a socket must never become stderr
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static struct config_error problems;

// --check: 0 good, 1 refused.
static int check_all(struct hssd *h)
{
	bool read = config_load(h->config_path, &h->config, &problems) == 0;
	unsigned warnings = 0;
	if (read && config_resolve(&h->config, h->config_path, &problems))
		warnings = problems.cnt; // peers whose names can't be resolved now
	if (read)
		check_system(h, &problems);
	say_lines(NULL, problems.text);
	if (problems.cnt > warnings)
		return 1;
	if (h->config.store == STORE_MONGODB && !check_store(h))
		return 1;
	printf("%s: good\n", h->config_path);
	return 0;
}

// The configuration, for a start. false: told.
static bool load(struct hssd *h)
{
	bool ok = config_load(h->config_path, &h->config, &problems) == 0;
	ok = ok && config_resolve(&h->config, h->config_path, &problems);
	unsigned warnings = ok ? problems.cnt : 0;
	if (ok)
		listen_check(h, &problems);
	log_init("hssd", h->config.log_level, h->config.log_json, h->config.log_mask_imsi);
	if (h->config.log_json)
		say_as_log();
	say_lines(NULL, problems.text);
	return ok && problems.cnt == warnings;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"check", no_argument, NULL, 'C'},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	bool check = false;
	int opt;

	standard_fds();
	hssd.config_path = "/etc/corehss/hss.yaml";
	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			hssd.config_path = optarg;
			break;
		case 'C':
			check = true;
			break;
		case 'V':
			puts("hssd (corehss) " HSS_VERSION);
			return 0;
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, 2);
		}
	}
	if (optind != argc)
		return usage(stderr, 2);
	return check ? check_all(&hssd) : load(&hssd) ? serve(&hssd) : 1;
}
