// What every role except hssd has in common: it starts with descriptor 3 as its channel to hssd, takes its
// BOOT message, initialises, enters its sandbox, says READY, and loops until STOP, end of file on descriptor
// 3, or SIGTERM.
#pragma once
#include "cache/control.h"
#include "config/config.h"
#include "lib/ipc/channel.h"

struct role_env {
	enum role role;
	unsigned index;
	unsigned frontend_cnt, worker_cnt;
	struct config config;
	struct event_base *base;
	struct control *control;
	struct stats_block
	    *stats; // this instance's; NULL in hss-admin, which maps the control segment read-only
	int records_fd, sqn_fd, state_dir_fd, op_fd, uri_fd; // -1 when this role does not get it
	// The three files of TLS (enum boot_fd's order), -1 each when there are none. A reload brings new
	// ones; who takes them closes them and sets -1.
	int tls_fd[CONFIG_TLS_FILES];
	int listener[CONFIG_LISTEN_MAX];
	unsigned listener_cnt;
	void *ctx; // the role's own
};

struct role_ops {
	// After BOOT, before the sandbox: allocate, map, open. 0 or a negative errno (logged; the process
	// exits 1). The descriptors in `env` are the role's now. A loader that finds `state_dir` in use exits
	// ROLE_EXIT_IN_USE itself.
	int (*init)(struct role_env *env);
	// A channel to another role instance: the descriptor is the callee's now. Comes once for each edge at
	// start, and again whenever the other end was restarted.
	void (*edge)(struct role_env *env, enum role role, unsigned index, int fd);
	// A new configuration, already checked; reloadable keys only differ.
	void (*reload)(struct role_env *env, const struct config *fresh);
	// What came of role_ask_reload (hss-admin); NULL elsewhere.
	void (*reload_told)(struct role_env *env, uint64_t id, struct slice lines);
	// Finish in order; call role_stopped when done. hssd kills after 10 s.
	void (*stop)(struct role_env *env);
};

// Exit status of the loader when another HSS holds state_dir: hssd gives up with one clear message.
#define ROLE_EXIT_IN_USE 3

// main of a role: never returns except to exit with the returned status. The edges of the start are given
// after init and the sandbox, before READY is sent or the loop runs. SIGTERM, SIGINT and SIGHUP are ignored:
// hssd decides.
int role_main(int argc, char **argv, enum role role, const struct role_ops *ops);
void role_stopped(struct role_env *env);
// Asks hssd to read the configuration again (hss-admin); `reload_told` follows. false: hssd does not listen.
bool role_ask_reload(struct role_env *env, uint64_t id);
// Passes a log level on to hssd, which tells every role (hss-admin).
void role_send_log_level(struct role_env *env, uint32_t level);
