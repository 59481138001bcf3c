// The roles and the graph of channels between them, as tables: who is started, who may talk to whom, who gets
// which descriptor, who stops when. Everything that one process can reach of another is visible here. hssd.
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/hssd.h"

enum listeners { LISTEN_NONE, LISTEN_DIAMETER, LISTEN_ADMIN };

// Secrets of subscribers are in the records, the SQN words, the state directory, the OP file and the upstream's URI: no frontend
// and no admin process ever holds one of those descriptors. The key of TLS goes to frontends and nobody else.
// The records are writable for the loader only, the control segment is readable only for admin.
static const struct role_row {
	const char *program;
	uint32_t fd_mask; // enum boot_fd
	enum listeners listeners;
	unsigned stop_order;
} table[ROLE_CNT] = {
    [ROLE_LOADER] = {"hss-loader",
		     BOOT_FD_CONTROL | BOOT_FD_RECORDS | BOOT_FD_SQN | BOOT_FD_STATE_DIR | BOOT_FD_OP_FILE |
			 BOOT_FD_URI_FILE,
		     LISTEN_NONE, 3},
    [ROLE_WORKER] = {"hss-worker", BOOT_FD_CONTROL | BOOT_FD_RECORDS | BOOT_FD_SQN, LISTEN_NONE, 1},
    [ROLE_FRONTEND] = {"hss-frontend",
		       BOOT_FD_CONTROL | BOOT_FD_TLS_CERTIFICATE | BOOT_FD_TLS_KEY | BOOT_FD_TLS_CA |
			   BOOT_FD_TLS_CRL,
		       LISTEN_DIAMETER, 0},
    [ROLE_ADMIN] = {"hss-admin", BOOT_FD_CONTROL, LISTEN_ADMIN, 2},
};

// Each instance of one with each instance of the other.
static const struct {
	enum role a, b;
} edges[] = {
    {ROLE_FRONTEND, ROLE_WORKER}, // requests and answers
    {ROLE_WORKER, ROLE_LOADER},   // changes of state
    {ROLE_ADMIN, ROLE_LOADER},    // the operator
    {ROLE_ADMIN, ROLE_WORKER},    {ROLE_ADMIN, ROLE_FRONTEND},
};

// First the peers are told and their answers finished, last the state is closed. All together within the 10 s
// that an operator may expect of SIGTERM.
static const unsigned stop_ms[STOP_ORDER_CNT] = {5000, 1000, 500, 2500};

static void plan(struct hssd *h, enum role role, unsigned cnt, bool numbered)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct instance *in = &h->instance[h->instance_cnt++];
		in->h = h;
		in->role = role;
		in->index = i;
		if (numbered)
			snprintf(in->name, sizeof(in->name), "%s-%u", role_name(role), i);
		else
			snprintf(in->name, sizeof(in->name), "%s", role_name(role));
	}
}

void roles_plan(struct hssd *h)
{
	plan(h, ROLE_LOADER, 1, false);
	plan(h, ROLE_WORKER, h->config.workers, true);
	plan(h, ROLE_FRONTEND, h->config.frontends, true);
	plan(h, ROLE_ADMIN, 1, false);
}

bool roles_find_programs(struct hssd *h)
{
	char self[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *beside = n > 0 ? dirname(self) : HSS_LIBEXECDIR;

	for (int role = 0; role < ROLE_CNT; role++) {
		if (!table[role].program)
			continue;
		const char *dirs[] = {beside, HSS_LIBEXECDIR};
		bool found = false;
		for (unsigned i = 0; i < 2 && !found; i++) {
			int len = snprintf(h->program[role], sizeof(h->program[role]), "%s/%s", dirs[i],
					   table[role].program);
			found = len > 0 && (size_t)len < sizeof(h->program[role]) &&
				access(h->program[role], X_OK) == 0;
		}
		if (!found) {
			say("%s: no such program in %s or %s", table[role].program,
				beside, HSS_LIBEXECDIR);
			return false;
		}
	}
	return true;
}

unsigned roles_fds(const struct hssd *h, enum role role, struct ipc_boot *boot, int fds[CHANNEL_FD_MAX])
{
	const struct role_row *row = &table[role];
	// in the order of enum boot_fd
	const int all[] = {
	    role == ROLE_ADMIN ? h->control_ro_fd : h->control_fd,
	    role == ROLE_LOADER ? h->records_fd : h->records_ro_fd,
	    h->sqn_fd,
	    h->state_dir_fd,
	    h->op_fd,
	    h->tls_fd[0],
	    h->tls_fd[1],
	    h->tls_fd[2],
	    h->tls_fd[3],
	    h->uri_fd,
	};
	unsigned cnt = 0;

	boot->fd_mask = 0;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if ((row->fd_mask & 1u << i) && all[i] >= 0) {
			boot->fd_mask |= 1u << i;
			fds[cnt++] = all[i];
		}
	}
	unsigned before = cnt;
	if (row->listeners == LISTEN_DIAMETER) {
		for (unsigned i = 0; i < h->diameter_cnt; i++)
			fds[cnt++] = h->diameter_fd[i];
	} else if (row->listeners == LISTEN_ADMIN) {
		fds[cnt++] = h->admin_fd;
		if (h->readonly_fd >= 0)
			fds[cnt++] = h->readonly_fd;
		if (h->metrics_fd >= 0)
			fds[cnt++] = h->metrics_fd;
	}
	boot->listener_cnt = cnt - before;
	return cnt;
}

bool roles_edge(enum role a, enum role b)
{
	for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		if ((edges[i].a == a && edges[i].b == b) || (edges[i].a == b && edges[i].b == a))
			return true;
	}
	return false;
}

unsigned roles_stop_order(enum role role)
{
	return table[role].stop_order;
}

unsigned roles_stop_ms(unsigned order)
{
	return stop_ms[order];
}
