// What operators see and do of users on Wi-Fi: `hssctl wlan ...`. Loader process, main thread.
#include <arpa/inet.h>
#include "apps/swx/loader.h"
#include "lib/base/clock.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "loader/admin/admin.h"
#include "loader/admin/provision.h"
#include "loader/commit/txn.h"
#include "loader/upstream/outbox.h"

// What a peer has sent; null when it is no UTF-8.
static json_t *text(struct slice s)
{
	json_t *v = json_stringn((const char *)s.p, s.len);
	return v ? v : json_null();
}

// An Address (RFC 6733 4.3.1); NULL: neither IPv4 nor IPv6.
static json_t *address(struct slice data)
{
	char out[INET6_ADDRSTRLEN];
	int family = data.len == 6 && be16_get(data.p) == 1 ? AF_INET : data.len == 18 && be16_get(data.p) == 2 ? AF_INET6 : 0;
	return family && inet_ntop(family, data.p + 2, out, sizeof(out)) ? json_string(out) : NULL;
}

// What a PDN-GW is: its addresses and its name.
static json_t *gateway(const struct gateway *g)
{
	json_t *row = json_pack("{s:o,s:[]}", "apn", text(g->apn), "addresses");
	struct rd rd = rd_slice(g->info);
	struct avp a, host;
	while (avp_next(&rd, &a) == AVP_WALK_ONE)
		if (a.code == AVP_CODE_MIP_Home_Agent_Address && a.vendor == 0)
			json_array_append_new(json_object_get(row, "addresses"), address(a.data));
		else if (a.code == AVP_CODE_MIP_Home_Agent_Host && a.vendor == 0 &&
			 avp_find(a.data, AVP_CODE_Destination_Host, 0, &host))
			json_object_set_new(row, "host", text(host.data));
	return row;
}

static const char *state_name(const struct swx_state *s)
{
	return s->flags & SWX_REGISTERED ? "registered" : s->flags & SWX_PENDING ? "authentication_pending" : "not_registered";
}

static void wlan_show(struct loader *l, struct call *c)
{
	struct swx_state s;
	imsi_t number;
	char imsi[16];
	txn_commit(l);
	const struct cache_record *r = provision_find(l, c, &number);
	if (!r)
		return;
	json_t *gateways = json_array();
	imsi_text(number, imsi);
	swx_state_of(l->cache, r, &s);
	for (unsigned i = 0; i < s.gateways.cnt; i++)
		json_array_append_new(gateways, gateway(&s.gateways.one[i]));
	json_t *server = s.host.len ? json_pack("{s:o,s:o}", "host", text(s.host), "realm", text(s.realm)) : json_null();
	admin_row_take(l, c, json_pack("{s:s,s:s,s:o,s:o}", "imsi", imsi, "state", state_name(&s), "aaa_server", server, "pdn_gws",
				       gateways), false);
	admin_end(l, c, ADMIN_OK, NULL);
}

static void deregistered(struct loader *l, struct op *op, int error)
{
	if (error == 0 && l->outbox)
		outbox_state(l, op->rec.imsi);
	provision_done(l, op, error);
}

static void wlan_deregister(struct loader *l, struct call *c)
{
	static struct swx_decision d;
	struct swx_state now;
	imsi_t imsi;
	if (!provision_imsi(l, c, &imsi))
		return;
	struct op *op = txn_begin(l, imsi.v, TXN_APPS_ROOM);
	const struct cache_record *r = provision_find(l, c, &imsi);
	if (!r)
		return;
	swx_state_of(l->cache, r, &now);
	swx_deregister(&now, SWX_PERMANENT_TERMINATION, (uint32_t)(clock_wall_us() / 1000000), &d);
	*op = (struct op){.done = deregistered, .what = OP_PUT, .rec = *r, .id = c->serial};
	if (!d.changed) {
		txn_forget(l, op);
		admin_end(l, c, ADMIN_REFUSED, "no AAA server serves this subscriber");
	} else if (!swx_decide(l, op, &now, &d)) {
		txn_forget(l, op);
		admin_end(l, c, ADMIN_REFUSED, "the cache is full");
	} else if (!txn_add(l, op)) {
		admin_end(l, c, ADMIN_REFUSED, "could not be written");
	}
}

const struct admin_command swx_commands[] = {
	{"wlan show", wlan_show, NULL},
	{"wlan deregister", wlan_deregister, NULL},
	{NULL, NULL, NULL},
};
