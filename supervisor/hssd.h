// hssd from inside: what its files share. One process, one `struct hssd`; one thread, beside that of the log.
//
//   main.c     options, the configuration, signals
//   listen.c   the listening sockets
//   files.c    the files that hold secrets: opened, and passed on unread
//   roles.c    the table of roles, the edges between them, and which descriptors each gets
//   spawn.c    fork and exec, BOOT, the edges of a new instance
//   notify.c   systemd
//   reload.c   SIGHUP
//   remember.c who was connected before a restart
//   state_dir.c, say.c, check_system.c  the start, and --check
//   log_pump.c the log's way out
//   probe.c    whether peers are served, for systemd's watchdog
//   check.c    --check of the upstream
//   supervise.c a silent role is a dead role
//   reap.c     what follows a death: clean-up, restart, orderly stop
#pragma once
#include <event2/event.h>
#include <sys/types.h>
#include "cache/control.h"
#include "config/config.h"
#include "lib/ipc/channel.h"

#define LISTENERS_MAX (CONFIG_LISTEN_MAX + 2)

enum hssd_phase { PHASE_STARTING, PHASE_SERVING, PHASE_STOPPING };

struct hssd;

// One process of a role. Lives as long as hssd; `pid` and `ch` change with every restart.
struct instance {
	struct hssd *h;
	enum role role;
	unsigned index;
	pid_t pid; // 0: not running
	struct channel *ch;
	bool ready;
	uint64_t started_ms;
	uint32_t next_delay_ms; // before the next restart
	const char *killed;	// why we killed it; NULL: we did not
	uint64_t told_beats;	// signs of life that came as messages (hss-admin)
	uint64_t beat;		// at the last look
	uint32_t silent_ms;	// since it changed
	struct event *restart;
	char name[24]; // "worker-0"
};

struct hssd {
	struct event_base *base;
	const char *config_path;
	struct config config;
	enum hssd_phase phase;
	int exit_status;
	bool state_dir_made, admin_dir_made; // by us: they were not there
	char admin_dir[CONFIG_PATH_MAX];
	bool stop_sent;      // to the roles whose turn it is
	unsigned stop_order; // whose turn it is to stop
	struct event *stop_timer;
	struct control *control;
	int control_fd, control_ro_fd, records_fd, records_ro_fd, sqn_fd, state_dir_fd, op_fd; // -1: none
	int uri_fd; // -1: none
	int tls_fd[CONFIG_TLS_FILES]; // certificate, key, authorities, revocation lists; -1: none
	int diameter_fd[CONFIG_LISTEN_MAX];
	unsigned diameter_cnt;
	int admin_fd, readonly_fd, metrics_fd; // -1: none
	char program[ROLE_CNT][CONFIG_PATH_MAX + 32];
	struct instance instance[ROLE_INSTANCE_MAX];
	unsigned instance_cnt;
};

// --- roles.c
// Fills in the instances that the configuration asks for, in the order of their start.
void roles_plan(struct hssd *h);
// Finds every role's program: beside hssd, or in libexec. false: told on stderr which one is missing.
bool roles_find_programs(struct hssd *h);
// The descriptors that this role gets: fills in mask and listener_cnt of `boot`, returns how many are in
// `fds`.
unsigned roles_fds(const struct hssd *h, enum role role, struct ipc_boot *boot, int fds[CHANNEL_FD_MAX]);
// Whether instances of these two roles have a channel between them.
bool roles_edge(enum role a, enum role b);
// 0 is stopped first.
#define STOP_ORDER_CNT 4
unsigned roles_stop_order(enum role role);
// How long the roles of this turn may take to stop before they are killed.
unsigned roles_stop_ms(unsigned order);

// --- listen.c
// Whether this kernel has what the configuration's listeners need; touches nothing. What is missing is added to *e.
void listen_check(const struct hssd *h, struct config_error *e);
// Makes every listening socket of the configuration. false: told on stderr which one, and why.
bool listen_open(struct hssd *h) MUST_USE;
// The admin socket's file; only once listen_open has made it.
void listen_unlink(const struct hssd *h);

// --- say.c
// What concerns the start: "hssd: ..." on stderr, or a log line from say_as_log on.
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_as_log(void);
// Each line of the text by itself; as a log line of this event, or as `say` does it (NULL).
void say_lines(const char *event, const char *text);

// --- state_dir.c
// Makes and opens the directory of the local database. false: told why it can't be used, or that another HSS does.
bool state_dir_open(struct hssd *h) MUST_USE;
// Makes the directory of the admin socket when it is missing (not those above it). false: told.
bool admin_dir_make(struct hssd *h) MUST_USE;
// Whether its file system has no room for a database to work in.
uint32_t state_dir_origin_state(struct hssd *h);
bool state_dir_full(const struct hssd *h);

// --- files.c
// Opens what the configuration names. false: told on stderr which one, and why.
bool files_open(struct hssd *h) MUST_USE;
// Whether the files of TLS and that of subscribers are there, for --check. Without it, the one of subscribers is told of in the
// log once all runs: it may come later.
void files_check(const struct hssd *h, struct config_error *e);
// The files of TLS as `fresh` names them, opened again; those of before are closed when all can be. false:
// nothing has changed, and the log says why.
bool files_reopen(struct hssd *h, const struct config *fresh) MUST_USE;

// --- spawn.c
// Starts this instance and connects it to every living one that it has an edge to. false: logged, nothing
// runs.
bool spawn_instance(struct instance *in) MUST_USE;
// The configuration, or a log level, to every living instance; one that does not take it is killed (and
// restarted).
void spawn_reload(struct hssd *h);
void spawn_log_level(struct hssd *h, uint32_t level);
// kill -9, and why, for the log; SIGCHLD does the rest.
void spawn_kill(struct instance *in, const char *why);

// --- supervise.c
// Looks at all heartbeats from now on. false: no memory.
bool supervise_start(struct hssd *h) MUST_USE;
// One look, at this time (CLOCK_MONOTONIC).
void supervise_look(struct hssd *h, uint64_t now_ms);

// --- reap.c
// SIGCHLD: buries the dead, and starts them again or goes on stopping.
void reap_children(struct hssd *h);
void reap_restart_later(struct instance *in);
// SIGTERM, or a failure that ends everything: the roles in their order, then the event loop ends.
void reap_stop(struct hssd *h, int exit_status);

// --- log_pump.c
// From here on log lines of hssd go through the pump; `lost` counts those that are not taken. 0 or a negative errno.
int log_pump_start(_Atomic uint64_t *lost) MUST_USE;
// What a role gets as its stdout and stderr.
int log_pump_fd(void);
// The last lines go out, as far as somebody takes them within a second. Only when no role runs any more.
void log_pump_finish(void);

// --- reload.c
// Reads the configuration again and applies it. `asker`: the hss-admin that is told what came of it under this id, or NULL.
void reload(struct hssd *h, const struct instance *asker, uint64_t id);
// Runs this in a thread of its own, for what may wait for a disk or a resolver. false: there is none.
bool background(void *(*fn)(void *), void *arg) MUST_USE;

// --- notify.c
// To systemd, when it started us; also starts the looks whether peers are served (probe.c) that feed its watchdog, when it
// has one. Before the roles are started. false: no memory or descriptors.
bool notify_open(struct hssd *h) MUST_USE;
// One message of sd_notify(3), at most 255 octets; never blocks.
__attribute__((format(printf, 1, 2))) void notify_send(const char *fmt, ...);

// --- probe.c
// Begins a look at every own listener; `good` is called when all of them were answered. A look that has not ended when the
// next one begins has failed, which is logged.
void probe_start(struct hssd *h, void (*good)(void));

// --- remember.c
// Who was connected before, from state_dir; and looks from time to time who is now. false: no memory.
bool remember_start(struct hssd *h) MUST_USE;
// A frontend died, and its entries of the directory of peers are still there: its successor dials them.
void remember_lost(struct hssd *h, unsigned frontend);
// Fills in whom this instance has to dial.
void remember_for(const struct instance *in, struct config *c);
// The last look, before an orderly stop begins.
void remember_finish(struct hssd *h);

// --- check_system.c
// What of this machine the configuration counts on: everything that is not as it should be is added to *e.
void check_system(const struct hssd *h, struct config_error *e);

// --- check.c
// Whether the upstream that the configuration names is there and fit: what is not is told on stderr, and is no error of the
// configuration, since the HSS starts without it. Takes some seconds where nobody answers. false, told too: a file or program
// that hssd needs is missing.
bool check_store(struct hssd *h) MUST_USE;

// --- main.c
// A role said READY or died: tells systemd what the HSS is doing, and when it first serves.
void hssd_progress(struct hssd *h);
