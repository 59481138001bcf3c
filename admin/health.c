// Reads the table of processes in the control segment, and says what does not run or is not ready (health.h).
#include "admin/health.h"
#include <stdatomic.h>

static bool role_good(const struct control *c, enum role role, unsigned index, bool ready, struct evbuffer *why)
{
	const struct control_role *r = &c->role[control_instance(role, index)];

	if (r->pid && (!ready || r->ready))
		return true;
	evbuffer_add_printf(why, "%s %u %s\n", role_name(role), index, r->pid ? "is not ready" : "does not run");
	return false;
}

static bool roles_good(const struct control *c, bool ready, struct evbuffer *why)
{
	bool good = role_good(c, ROLE_LOADER, 0, ready, why);

	for (unsigned i = 0; i < c->worker_cnt && i < WORKER_MAX; i++)
		good &= role_good(c, ROLE_WORKER, i, ready, why);
	for (unsigned i = 0; i < c->frontend_cnt && i < FRONTEND_MAX; i++)
		good &= role_good(c, ROLE_FRONTEND, i, ready, why);
	return good;
}

bool health_alive(const struct control *c, struct evbuffer *why)
{
	return roles_good(c, false, why);
}

bool health_ready(const struct control *c, struct evbuffer *why)
{
	const struct stats_block *s = &c->stats[control_instance(ROLE_LOADER, 0)];
	bool good = roles_good(c, true, why);

	if (atomic_load_explicit((_Atomic uint64_t *)&s->c[STAT_LOADED], memory_order_relaxed))
		return good;
	evbuffer_add_printf(why, "not every record is served yet\n");
	return false;
}
