// Shows operators what the HSS still has to tell other nodes, tries it again or gives it up (requests.h).
#include "loader/admin/requests.h"
#include "lib/base/clock.h"
#include "loader/admin/provision.h"
#include "loader/commit/hss_request.h"
#include "loader/commit/txn.h"

struct listing {
	struct loader *l;
	struct call *c;
	imsi_t only; // 0: all
	uint64_t now_us;
};

static void row(void *ctx, const struct hss_request_view *v)
{
	struct listing *a = ctx;
	char imsi[16];
	if (a->only.v && a->only.v != v->imsi.v)
		return;
	imsi_text(v->imsi, imsi);
	uint64_t age_us = a->now_us > v->created_us ? a->now_us - v->created_us : 0;
	admin_row_take(a->l, a->c,
		       json_pack("{s:o,s:s,s:s,s:s%,s:I,s:i,s:s}", "imsi", v->imsi.v ? json_string(imsi) : json_null(), "application",
				 v->application, "command", v->command, "node", v->host.p, (size_t)v->host.len, "age_s",
				 (json_int_t)(age_us / 1000000), "tries", (int)v->tries, "state", v->state),
		       false);
}

// args.imsi, if it is given. false: it is no IMSI, and the call has been ended.
static bool subscriber(struct loader *l, struct call *c, imsi_t *imsi)
{
	*imsi = (imsi_t){0};
	return !json_object_get(c->args, "imsi") || provision_imsi(l, c, imsi);
}

// c->found is the next bucket. The requests of one are sent together, however many rows are allowed: they are few, and while they wait their order
// may change.
void requests_pump(struct loader *l, struct call *c)
{
	struct listing a = {.l = l, .c = c, .now_us = clock_wall_us()};
	while (c->window && c->found < HSS_BUCKETS)
		hss_requests_each(l, (unsigned)c->found++, row, &a);
	if (c->found == HSS_BUCKETS)
		admin_end(l, c, ADMIN_OK, NULL);
}

void requests_list(struct loader *l, struct call *c)
{
	struct listing a = {.l = l, .c = c, .now_us = clock_wall_us()};
	if (!subscriber(l, c, &a.only))
		return;
	txn_commit(l);
	c->started = true;
	if (!a.only.v) {
		requests_pump(l, c);
		return;
	}
	hss_requests_each(l, hss_requests_bucket(a.only), row, &a);
	admin_end(l, c, ADMIN_OK, NULL);
}

void requests_retry(struct loader *l, struct call *c)
{
	const json_t *node = json_object_get(c->args, "node");
	imsi_t imsi;
	if (!subscriber(l, c, &imsi))
		return;
	txn_commit(l);
	unsigned n = hss_requests_retry(l, imsi, slice_of(json_string_value(node), json_string_length(node)));
	admin_row_take(l, c, json_pack("{s:i}", "requests", (int)n), false);
	admin_end(l, c, ADMIN_OK, NULL);
}

void requests_drop(struct loader *l, struct call *c)
{
	imsi_t imsi;
	if (!provision_imsi(l, c, &imsi))
		return;
	struct op *op = txn_begin(l, imsi.v, 65536);
	*op = (struct op){.done = provision_done, .id = c->serial};
	unsigned n = hss_requests_drop(l, imsi);
	if (n == 0) {
		txn_forget(l, op);
		admin_end(l, c, ADMIN_REFUSED, "nothing waits to be told about this subscriber");
		return;
	}
	admin_row_take(l, c, json_pack("{s:i}", "requests", (int)n), false);
	if (!txn_add(l, op))
		admin_end(l, c, ADMIN_REFUSED, "could not be written");
}
