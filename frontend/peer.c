// What the actions of the peer machine do on an accepted connection (see peer.h). Runs in hss-frontend. Laws
// 2 and 9: the peer's bytes are checked by the grammar before they are looked at, each defect costs one
// message or this one connection, and every log line that a peer can provoke is rate-limited.
#include "frontend/peer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frontend/admission.h"
#include "frontend/dial.h"
#include "frontend/frontend.h"
#include "frontend/hss_request.h"
#include "frontend/interconnect.h"
#include "frontend/route.h"
#include "frontend/check.h"
#include "frontend/trace.h"
#include "lib/base/clock.h"
#include "lib/base/ident.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"

#define RESULT_ELECTION_LOST 4003 // RFC 6733 7.1.4
#define CLOSING_MS           5000 // after a DPR of either side
#define CER_WAIT_MS          1000 // hssd reaps in milliseconds
#define ANSWER_ROOM          2048 // own base messages; error answers need the request's length beside

static struct log_limit log_peers, log_unmatched;

bool peer_is_open(const struct conn *c)
{
	return c->used && !c->ending && (c->state == PEER_R_OPEN || c->state == PEER_I_OPEN);
}

static struct slice peer_name(const struct conn *c)
{
	return c->host_len ? slice_of(c->host, c->host_len) : slice_str(c->address);
}

// ---- directory of peers --------------------------------------------------------------------------

static struct control_peer *entry_of(struct conn *c)
{
	return c->directory >= 0 ? &c->fe->control->peer[c->directory] : NULL;
}

void peer_publish(struct conn *c)
{
	struct control_peer *p = entry_of(c);
	if (!p)
		return;
	__atomic_store_n(&p->requests, c->requests, __ATOMIC_RELAXED);
	__atomic_store_n(&p->answers, c->answers, __ATOMIC_RELAXED);
	__atomic_store_n(&p->rejected, c->rejected, __ATOMIC_RELAXED);
	__atomic_store_n(&p->watchdog, c->watchdog.state, __ATOMIC_RELAXED);
}

// Only an OPEN entry is found by those who look for the peer: HSS-initiated requests, and a new connection of
// its host.
static void directory_state(struct conn *c, enum peer_slot_state state)
{
	struct control_peer *p = entry_of(c);
	if (p)
		__atomic_store_n((uint32_t *)&p->state, state, __ATOMIC_RELEASE);
}

// RFC 3539 failover: the peer may come on another connection, also to another frontend. Failback: it is the
// one again, unless it did come meanwhile.
static void failover(struct conn *c)
{
	peer_publish(c);
	directory_state(c, PEER_SLOT_CLAIMED);
	// what we asked it goes to an alternate, with the T flag (RFC 3539 3.4.1)
	hss_sent_conn_lost(c->fe, c);
	log_info("peer_suspect", LOG_SLICE("peer", peer_name(c)));
}

static void failback(struct conn *c)
{
	uint32_t frontend, conn, generation;
	if (control_peer_find(c->fe->control, slice_of(c->host, c->host_len), &frontend, &conn,
			      &generation) >= 0) {
		conn_close(c, "replaced by a connection to another frontend");
		return;
	}
	peer_publish(c);
	directory_state(c, PEER_SLOT_OPEN);
}

static void directory_enter(struct conn *c, const struct base_cer *cer)
{
	struct frontend *fe = c->fe;
	c->directory = control_peer_claim(fe->control, fe->index);
	c->directory_generation = c->generation;
	struct control_peer *p = entry_of(c);
	if (!p) {
		// served all the same; HSS-initiated requests do not find it
		if (log_limit_pass(&log_peers, 50))
			log_warn("peer_directory_full", LOG_SLICE("peer", peer_name(c)));
		return;
	}
	c->directory_generation = __atomic_load_n((uint32_t *)&p->generation, __ATOMIC_RELAXED);
	p->frontend = fe->index;
	p->conn = c->index;
	p->since_us = c->since_us;
	p->apps = frontend_app_numbers(c->app_mask) | (c->relay ? CONTROL_APP_RELAY : 0);
	p->transport = c->transport.ops->kind;
	p->host_len = c->host_len;
	p->realm_len = c->realm_len;
	memcpy(p->host, c->host, sizeof p->host);
	memcpy(p->realm, c->realm, sizeof p->realm);
	memcpy(p->address, c->address, sizeof p->address);
	dial_listens(c, cer, p->listens);
	__atomic_store_n((uint64_t *)&p->host_hash, c->host_hash, __ATOMIC_RELAXED);
	peer_publish(c);
	directory_state(c, PEER_SLOT_OPEN);
}

void peer_gone(struct conn *c, const char *why)
{
	if (c->directory >= 0)
		control_peer_release(c->fe->control, c->directory);
	c->directory = -1;
	dial_gone(c, why);
	if (c->host_len && c->state != PEER_CLOSED && log_limit_pass(&log_peers, 50))
		log_info("peer_down", LOG_SLICE("peer", peer_name(c)), LOG_STR("address", c->address),
			 LOG_STR("reason", why));
	else if (c->state == PEER_CLOSED && !c->ending && log_limit_pass(&log_peers, 10))
		log_debug("connection_closed", LOG_STR("address", c->address), LOG_STR("reason", why));
	c->state = PEER_CLOSED;
}

// ---- writing -------------------------------------------------------------------------------------

static void send_dwr(struct conn *c)
{
	struct frontend *fe = c->fe;
	struct wr w = conn_write(c, ANSWER_ROOM);
	c->dwr_hop = fe->next_hop++;
	c->dwr_us = clock_mono_us();
	base_dwr_write(&w, &fe->node, c->dwr_hop, fe->next_end++);
	conn_written(c, &w);
}

static void send_dpr(struct conn *c, enum base_disconnect_cause cause)
{
	struct frontend *fe = c->fe;
	struct wr w = conn_write(c, ANSWER_ROOM);
	c->dpr_hop = fe->next_hop++;
	base_dpr_write(&w, &fe->node, cause, c->dpr_hop, fe->next_end++);
	conn_written(c, &w);
}

// Closing: the other side has some seconds to end the connection.
static void await_end(struct conn *c)
{
	c->phase_deadline_ms = clock_mono_ms() + CLOSING_MS;
	conn_rearm(c);
}

// The grammar of a base request; a defect is answered, and false returned.
static bool base_checked(struct conn *c, enum command_id id, const uint8_t *msg, uint32_t len)
{
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	const struct command *cmd = grammar_by_id(id);
	if (cmd && grammar_check(cmd, msg, len, slots, &v))
		return true;
	route_refuse(c->fe, c, cmd, msg, len, &v, "malformed");
	return false;
}

static void note_origin_state(struct conn *c, uint32_t id)
{
	if (id > c->origin_state_id && c->origin_state_id && log_limit_pass(&log_peers, 50))
		log_info("peer_restarted", LOG_SLICE("peer", peer_name(c)), LOG_INT("origin_state_id", id));
	if (id)
		c->origin_state_id = id;
}

// ---- capabilities exchange -----------------------------------------------------------------------

// The local addresses of the connection are what we announce, unless it has none.
static struct base_node node_for(struct conn *c, struct base_addr addrs[BASE_ADDRS_MAX])
{
	struct base_node node = c->fe->node;
	uint32_t cnt = c->transport.ops->local(&c->transport, addrs);
	if (cnt) {
		node.addrs = addrs;
		node.addr_cnt = cnt;
	}
	return node;
}

static void send_cea(struct conn *c, const uint8_t *msg, uint32_t result, const char *message)
{
	struct base_addr addrs[BASE_ADDRS_MAX];
	struct base_node node = node_for(c, addrs);
	struct wr w = conn_write(c, ANSWER_ROOM);
	base_cea_write(&w, &node, msg, result, NULL, slice_str(message));
	conn_written(c, &w);
	route_count(c->fe, CMD_CER, result);
}

static void reject_cer(struct conn *c, const uint8_t *msg, struct slice host, uint32_t result,
		       const char *why)
{
	stat_add(c->fe->stats, STAT_PEER_REJECTED, 1);
	if (log_limit_pass(&log_peers, 50))
		log_warn("peer_rejected", LOG_SLICE("peer", host), LOG_STR("address", c->address),
			 LOG_INT("result", result), LOG_STR("reason", why));
	send_cea(c, msg, result, why);
	conn_end(c, why);
}

// Another connection of this frontend that is bound to the same Origin-Host.
static struct conn *same_host(struct conn *c, struct slice host, uint64_t hash)
{
	struct conn_table *t = &c->fe->conns;
	for (uint32_t i = 0; i < t->high; i++) {
		struct conn *o = &t->conn[i];
		if (o != c && o->used && o->state != PEER_CLOSED && o->host_hash == hash &&
		    slice_eq_nocase(slice_of(o->host, o->host_len), host))
			return o;
	}
	return NULL;
}

// What the machine says about a new connection of a host: accept it, or stay with the one it has. A dead one
// gives way.
static bool old_connection_yields(struct conn *c, struct slice host, uint64_t hash)
{
	struct frontend *fe = c->fe;
	struct conn *old = same_host(c, host, hash);
	if (old) {
		if (old->watchdog.state == WATCHDOG_SUSPECT ||
		    peer_step(old->state, PEER_EV_R_CONN_CER).action == PEER_DO_ACCEPT) {
			conn_close(old, "replaced by a new connection");
			return true;
		}
		if (watchdog_probe(&old->watchdog, fe->now_us / 1000) & WATCHDOG_SEND_DWR) {
			send_dwr(old);
			conn_rearm(old);
		}
		return false;
	}
	uint32_t frontend, conn, generation;
	return control_peer_find(fe->control, host, &frontend, &conn, &generation) < 0;
}

// Another frontend has an entry for this host. It may have died a moment ago, with hssd not come to clear its
// entries yet: the CER waits and is looked at again each tick, for CER_WAIT_MS. false: it has waited (or
// there is no memory).
static bool cer_waits(struct conn *c, const uint8_t *msg, uint32_t len)
{
	uint64_t now_ms = c->fe->now_us / 1000;
	if (!c->cer) {
		c->cer = malloc(len);
		if (!c->cer)
			return false;
		memcpy(c->cer, msg, len);
		c->cer_len = len;
		c->cer_until_ms = now_ms + CER_WAIT_MS;
	}
	if (now_ms >= c->cer_until_ms)
		return false;
	c->phase_deadline_ms = now_ms + FRONTEND_TICK_MS;
	conn_rearm(c);
	return true;
}

static void bind_peer(struct conn *c, const struct base_cer *cer, uint64_t hash)
{
	struct frontend *fe = c->fe;
	// DiameterIdentity of at most 255 octets: checked by the grammar, and again by the sizes here
	c->host_len = (uint8_t)(cer->origin_host.len < 256 ? cer->origin_host.len : 255);
	c->realm_len = (uint8_t)(cer->origin_realm.len < 256 ? cer->origin_realm.len : 255);
	memcpy(c->host, cer->origin_host.p, c->host_len);
	memcpy(c->realm, cer->origin_realm.p, c->realm_len);
	c->host[c->host_len] = c->realm[c->realm_len] = 0;
	c->host_hash = hash;
	c->relay = cer->relay;
	c->origin_state_id = cer->origin_state_id;
	c->app_mask = 0;
	for (unsigned i = 0; i < cer->app_cnt; i++) {
		int app = frontend_app_index(fe, cer->apps[i]);
		if (app >= 0)
			c->app_mask |= 1ull << app;
	}
	const struct config_peer *known = config_peer_find(fe->config, cer->origin_host);
	if (known && known->application_cnt) {
		// as a relay it would have all of them: it has those that are listed
		uint64_t allowed = admission_apps(fe, known);
		c->app_mask = c->relay ? allowed : c->app_mask & allowed;
		c->relay = false;
	}
	admission_configure(c);
	c->since_us = clock_wall_us();
}

// A peer from now on.
static void enter(struct conn *c, const struct base_cer *cer, uint64_t hash)
{
	bind_peer(c, cer, hash);
	conn_admit(c);
	c->phase_deadline_ms = 0;
	watchdog_up(&c->watchdog, c->fe->now_us / 1000);
	directory_enter(c, cer);
	conn_rearm(c);
	if (log_limit_pass(&log_peers, 50))
		log_info(
		    "peer_up", LOG_SLICE("peer", cer->origin_host), LOG_SLICE("realm", cer->origin_realm),
		    LOG_STR("address", c->address), LOG_STR("transport", c->transport.ops->name),
		    LOG_STR("relay", c->relay ? "yes" : "no"), LOG_STR("dialled", c->dial ? "yes" : "no"));
}

// Both sides connect at once (RFC 6733 5.6.4, see dial.h): true when the CER of this connection goes on.
static bool elected(struct conn *c, struct slice host)
{
	char peer[256] = "";
	struct conn *own = dial_pending(c->fe, host);
	if (!own)
		return true;
	memcpy(peer, host.p, host.len < sizeof peer ? host.len : sizeof peer - 1);
	if (own->state == PEER_WAIT_I_CEA && !peer_election_won(c->fe->config->host, peer))
		return false;
	conn_close(own, "the peer connects at the same time");
	return true;
}

static void process_cer(struct conn *c, const uint8_t *msg, uint32_t len)
{
	struct frontend *fe = c->fe;
	struct base_cer cer;
	const char *why = NULL;

	if (!base_checked(c, CMD_CER, msg, len)) {
		stat_add(fe->stats, STAT_PEER_REJECTED, 1);
		conn_end(c, "malformed CER");
		return;
	}
	base_cer_read(msg, len, &cer);
	if (admission_probe(c, &cer)) { // stays Closed, and ends with limits.cer_timeout_ms at the latest
		c->probe = true;
		send_cea(c, msg, RESULT_SUCCESS, "");
		return;
	}
	uint32_t result = admission_result(c, &cer, &why);
	if (result) {
		reject_cer(c, msg, cer.origin_host, result, why);
		return;
	}
	if (!elected(c, cer.origin_host)) {
		reject_cer(c, msg, cer.origin_host, RESULT_ELECTION_LOST, "election lost");
		return;
	}
	uint64_t hash = ident_hash_bytes(cer.origin_host, true);
	if (!old_connection_yields(c, cer.origin_host, hash)) {
		if (!same_host(c, cer.origin_host, hash) && cer_waits(c, msg, len))
			return;
		reject_cer(c, msg, cer.origin_host, RESULT_ELECTION_LOST, "already connected");
		return;
	}
	enter(c, &cer, hash);
	send_cea(c, msg, RESULT_SUCCESS, "");
	c->state = PEER_R_OPEN;
}

// ---- connections that we open --------------------------------------------------------------------

void peer_dialling(struct conn *c, uint64_t now_ms)
{
	peer_connected(c, now_ms);
	c->state = PEER_WAIT_CONN_ACK;
}

void peer_established(struct conn *c)
{
	struct frontend *fe = c->fe;
	struct base_addr addr[BASE_ADDRS_MAX];
	struct base_node node = node_for(c, addr);
	struct wr w = conn_write(c, ANSWER_ROOM);
	c->cer_hop = fe->next_hop++;
	base_cer_write(&w, &node, c->cer_hop, fe->next_end++);
	c->state = PEER_WAIT_I_CEA;
	c->phase_deadline_ms = clock_mono_ms() + fe->config->cer_timeout_ms;
	conn_rearm(c);
	conn_written(c, &w);
}

static void process_cea(struct conn *c, const struct header *h, const uint8_t *msg, uint32_t len)
{
	struct frontend *fe = c->fe;
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	struct base_cer cea;
	uint32_t frontend, conn, generation;
	const char *why = NULL;
	char text[48];

	if (h->hop_by_hop != c->cer_hop || !grammar_check(grammar_by_id(CMD_CEA), msg, len, slots, &v)) {
		conn_close(c, "not a valid CEA");
		return;
	}
	base_cer_read(msg, len, &cea);
	if (cea.result != RESULT_SUCCESS) {
		snprintf(text, sizeof text, "CEA with result %u", cea.result);
		why = text;
	} else if (!slice_eq_nocase(cea.origin_host, slice_str(dial_host(c)))) {
		why = "another host answers";
	} else if (admission_result(c, &cea, &why) == 0 &&
		   control_peer_find(fe->control, cea.origin_host, &frontend, &conn, &generation) >= 0) {
		why = "it came by itself";
	}
	if (why) {
		conn_close(c, why);
		return;
	}
	// it is the peer that we dialled, it is let in, and no other connection of it is open
	enter(c, &cea, ident_hash_bytes(cea.origin_host, true));
	dial_up(c);
	c->state = PEER_I_OPEN;
}

// What is wrong with a request of another operator (interconnect.h): counted and logged. NULL: it is served.
static const char *interconnect_refusal(struct conn *c, const struct command *cmd, const uint8_t *msg, uint32_t len,
					const struct avp_slot *slots, struct verdict *v)
{
	static struct log_limit limit;
	struct frontend *fe = c->fe;
	const struct check_slots *s = check_slots_of(cmd);
	struct interconnect_asked q = {.host = check_data(msg, slots, s->origin_host)};
	struct avp realm;
	uint32_t result;
	if (avp_find(slice_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN), AVP_CODE_Origin_Realm, 0, &realm))
		q.realm = realm.data;
	if (s->session_id != SCREEN_NONE)
		q.session = check_data(msg, slots, s->session_id);
	const char *why = interconnect_finding(fe->config, fe->node.realm, &q, &result);
	if (!why)
		return NULL;
	bool served = fe->config->interconnect_log_only;
	stat_add(fe->stats, STAT_INTERCONNECT, 1);
	if (log_limit_pass(&limit, 5))
		log_warn("interconnect_finding", LOG_SLICE("peer", slice_of(c->host, c->host_len)),
			 LOG_STR("command", cmd->name), LOG_STR("reason", why), LOG_STR("refused", served ? "no" : "yes"));
	check_verdict(v, result);
	return served ? NULL : why;
}

// ---- messages of an open connection --------------------------------------------------------------

static void process_request(struct conn *c, const struct header *h, const uint8_t *msg, uint32_t len)
{
	struct frontend *fe = c->fe;
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;

	c->requests++;
	const struct command *cmd = check_command(fe, c, h, &v);
	if (!cmd) {
		route_refuse(fe, c, NULL, msg, len, &v, "header");
		return;
	}
	// overload is refused before anything is spent on the message (law 9)
	bool slow = !c->max_rate || admission_rate(c);
	if (!slow || !route_has_room(fe, c)) {
		stat_add(fe->stats, STAT_TOO_BUSY, 1);
		check_verdict(&v, RESULT_TOO_BUSY);
		route_refuse(fe, c, cmd, msg, len, &v, slow ? "too busy" : "above max_rate");
		return;
	}
	if (!check_request(fe, cmd, msg, len, slots, &v)) {
		route_refuse(fe, c, cmd, msg, len, &v, "malformed");
		return;
	}
	const char *why = c->peer_flags & IPC_PEER_INTERCONNECT ? interconnect_refusal(c, cmd, msg, len, slots, &v) : NULL;
	if (why) {
		route_refuse(fe, c, cmd, msg, len, &v, why);
		return;
	}
	if (!route_request(fe, c, cmd, msg, len, slots)) {
		stat_add(fe->stats, STAT_TOO_BUSY, 1);
		check_verdict(&v, RESULT_TOO_BUSY);
		route_refuse(fe, c, cmd, msg, len, &v, "no worker");
	}
}

// An answer that nobody waits for is counted and dropped, never answered (RFC 6733 6.2.2).
static void drop_answer(struct conn *c, const struct header *h)
{
	stat_add(c->fe->stats, STAT_UNMATCHED_ANSWERS, 1);
	if (log_limit_pass(&log_unmatched, 5))
		log_warn("answer_unmatched", LOG_SLICE("peer", peer_name(c)), LOG_INT("command", h->code),
			 LOG_INT("application", h->app));
}

static void process_dwr(struct conn *c, const uint8_t *msg, uint32_t len)
{
	struct base_note note;
	if (!base_checked(c, CMD_DWR, msg, len))
		return;
	base_note_read(msg, len, &note);
	note_origin_state(c, note.origin_state_id);
	struct wr w = conn_write(c, ANSWER_ROOM);
	base_dwa_write(&w, &c->fe->node, msg, RESULT_SUCCESS);
	route_count(c->fe, CMD_DWR, RESULT_SUCCESS);
	conn_written(c, &w);
}

static void process_dpr(struct conn *c, const uint8_t *msg, uint32_t len)
{
	struct base_note note;
	if (!base_checked(c, CMD_DPR, msg, len))
		return;
	base_note_read(msg, len, &note);
	log_debug("peer_disconnects", LOG_SLICE("peer", peer_name(c)),
		  LOG_INT("cause", note.disconnect_cause));
	dial_leave(c, note.disconnect_cause);
	struct wr w = conn_write(c, ANSWER_ROOM);
	base_dpa_write(&w, &c->fe->node, msg, RESULT_SUCCESS);
	route_count(c->fe, CMD_DPR, RESULT_SUCCESS);
	if (!conn_written(c, &w))
		return;
	// HSS-initiated requests go elsewhere from now on; the peer closes when it has the DPA
	directory_state(c, PEER_SLOT_CLOSING);
	c->state = PEER_CLOSING;
	await_end(c);
}

static void process_dwa(struct conn *c, const struct header *h)
{
	if (!c->watchdog.pending || h->hop_by_hop != c->dwr_hop) {
		drop_answer(c, h);
		return;
	}
	c->round_trip_us = (uint32_t)(c->fe->now_us - c->dwr_us);
	if (watchdog_receive(&c->watchdog, c->fe->now_us / 1000, true) & WATCHDOG_FAILBACK && peer_is_open(c))
		failback(c);
}

// Which event a message is. Base commands have application 0; anything else is the applications'.
static enum peer_event event_of(const struct conn *c, const struct header *h)
{
	bool request = h->flags & HEADER_R;
	if (c->state == PEER_WAIT_I_CEA)
		return h->code == 257 && !request && h->app == APP_BASE ? PEER_EV_I_CEA : PEER_EV_I_NON_CEA;
	if (h->app != APP_BASE || h->version != DIAMETER_VERSION)
		return PEER_EV_MESSAGE;
	if (h->code == 257 && request)
		return c->state == PEER_CLOSED ? PEER_EV_R_CONN_CER : PEER_EV_CER_AGAIN;
	if (h->code == 280)
		return request ? PEER_EV_DWR : PEER_EV_DWA;
	if (h->code == 282)
		return request ? PEER_EV_DPR : PEER_EV_DPA;
	return PEER_EV_MESSAGE;
}

static void process_message(struct conn *c, const struct header *h, const uint8_t *msg, uint32_t len)
{
	if (h->flags & HEADER_R)
		process_request(c, h, msg, len);
	else if (!hss_sent_answer(c->fe, c, msg, len))
		drop_answer(c, h);
}

void peer_message(struct conn *c, const uint8_t *msg, uint32_t len)
{
	struct header h;
	if (c->cer) {
		conn_close(c, "a message before the CEA");
		return;
	}
	header_get(msg, &h);
	if (c->fe->tracing)
		trace_in(c, msg, len);
	enum peer_event event = event_of(c, &h);
	if (c->probe && event == PEER_EV_DWR) { // hssd's own look: it is no peer and has no state
		process_dwr(c, msg, len);
		return;
	}
	switch ((enum peer_action)peer_step(c->state, event).action) {
	case PEER_DO_ACCEPT:
		process_cer(c, msg, len);
		return;
	case PEER_DO_PROCESS_CEA:
		process_cea(c, &h, msg, len);
		return;
	case PEER_DO_PROCESS:
		process_message(c, &h, msg, len);
		return;
	case PEER_DO_SEND_DWA:
		process_dwr(c, msg, len);
		return;
	case PEER_DO_PROCESS_DWA:
		process_dwa(c, &h);
		return;
	case PEER_DO_SEND_DPA:
		process_dpr(c, msg, len);
		return;
	case PEER_DO_NOTHING:
		drop_answer(c, &h);
		return;
	case PEER_DO_REFUSE_CER:
		reject_cer(c, msg, peer_name(c), RESULT_UNABLE_TO_COMPLY, "CER again");
		return;
	case PEER_DO_CLOSE:
		if (event == PEER_EV_DPA && h.hop_by_hop != c->dpr_hop) { // not the answer to our DPR
			drop_answer(c, &h);
			return;
		}
		c->leaving = true;
		peer_answered(c);
		return;
	default:
		conn_close(c, c->state == PEER_CLOSED ? "first message is not a CER" : "protocol error");
		return;
	}
}

void peer_answered(struct conn *c)
{
	// what the peer asked before the DPR is still answered
	if (c->leaving && c->pending == 0)
		conn_end(c, "disconnected");
}

// ---- time ----------------------------------------------------------------------------------------

void peer_connected(struct conn *c, uint64_t now_ms)
{
	c->state = PEER_CLOSED;
	watchdog_init(&c->watchdog, c->fe->config->watchdog_ms, clock_wall_us() + c->index);
	c->phase_deadline_ms = now_ms + c->fe->config->cer_timeout_ms;
}

void peer_heard(struct conn *c)
{
	if (c->state != PEER_CLOSED && c->state != PEER_WAIT_I_CEA &&
	    watchdog_receive(&c->watchdog, c->fe->now_us / 1000, false) & WATCHDOG_FAILBACK &&
	    peer_is_open(c))
		failback(c);
}

// The CER that waited, once more.
static void cer_again(struct conn *c)
{
	process_cer(c, c->cer, c->cer_len);
	if (c->used && (c->state != PEER_CLOSED || c->ending)) {
		free(c->cer);
		c->cer = NULL;
	}
}

void peer_timeout(struct conn *c)
{
	if (c->cer) {
		cer_again(c);
		return;
	}
	conn_close(c, c->ending                        ? "ended"
		      : c->state == PEER_CLOSED        ? "no CER in time"
		      : c->state == PEER_WAIT_CONN_ACK ? "no connection in time"
		      : c->state == PEER_WAIT_I_CEA    ? "no CEA in time"
						       : "no end in time");
}

void peer_watchdog(struct conn *c, uint64_t now_ms)
{
	if (c->ending || c->state == PEER_CLOSED)
		return;
	unsigned actions = watchdog_expire(&c->watchdog, now_ms);
	if (actions & WATCHDOG_SEND_DWR)
		send_dwr(c);
	if (actions & WATCHDOG_FAILOVER && peer_is_open(c))
		failover(c);
	if (actions & WATCHDOG_CLOSE) {
		stat_add(c->fe->stats, STAT_WATCHDOG_FAILURES, 1);
		conn_close(c, "watchdog");
	}
}

void peer_stop(struct conn *c, enum base_disconnect_cause cause)
{
	switch ((enum peer_action)peer_step(c->state, PEER_EV_STOP).action) {
	case PEER_DO_SEND_DPR:
		dial_leave(c, cause);
		send_dpr(c, cause);
		directory_state(c, PEER_SLOT_CLOSING);
		c->state = PEER_CLOSING;
		await_end(c);
		return;
	case PEER_DO_CLOSE:
	case PEER_DO_CLEANUP:
		conn_close(c, "stopping");
		return; // was not a peer yet
	default:
		return;
	}
}
