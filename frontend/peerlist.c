// Answers `peer list`, `peer show` and `peer disconnect` for the peers of this frontend (see peerlist.h). Runs in hss-frontend.
// A list is sent row by row, as fast as the channel to hss-admin takes it, so it needs no memory of its own.
#include "frontend/peerlist.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>
#include "frontend/dial.h"
#include "frontend/frontend.h"
#include "frontend/peer.h"
#include "frontend/trace.h"
#include "lib/base/clock.h"
#include "lib/base/ident.h"
#include "lib/base/log.h"

#define CALLS_MAX   16 // lists on their way at a time
#define ADMIN_WATER (256u << 10)

struct call {
	uint64_t id;
	uint32_t next;   // connection to go on with
	uint32_t listed; // then this one of peers.list
	bool used;
};

struct peerlist {
	struct frontend *fe;
	struct channel *admin;
	struct call call[CALLS_MAX];
};

static void end(struct peerlist *l, uint64_t id, int status, const char *error)
{
	json_t *doc = json_object();
	json_object_set_new(doc, "status", json_integer(status));
	if (error)
		json_object_set_new(doc, "error", json_string(error));
	char *text = json_dumps(doc, JSON_COMPACT);
	if (text)
		channel_send(l->admin, IPC_ADMIN_END, id, text, strlen(text));
	free(text);
	json_decref(doc);
}

static json_t *row_of(const struct frontend *fe, const struct conn *c)
{
	json_t *apps = json_array(), *row = json_object();
	for (uint32_t i = 0; i < fe->app_cnt; i++)
		if (c->app_mask >> i & 1)
			json_array_append_new(apps, json_integer(fe->apps[i]));
	if (c->relay)
		json_array_append_new(apps, json_string("relay"));
	// DiameterIdentity: checked to be ASCII by the grammar
	json_object_set_new(row, "host", json_stringn(c->host, c->host_len));
	json_object_set_new(row, "realm", json_stringn(c->realm, c->realm_len));
	json_object_set_new(row, "state", json_string(peer_state_name(c->state)));
	json_object_set_new(row, "watchdog", json_string(watchdog_state_name(c->watchdog.state)));
	json_object_set_new(row, "transport", json_string(c->transport.ops->name));
	json_object_set_new(row, "address", json_string(c->address));
	json_object_set_new(row, "apps", apps);
	json_object_set_new(row, "requests", json_integer((json_int_t)c->requests));
	json_object_set_new(row, "answers", json_integer((json_int_t)c->answers));
	json_object_set_new(row, "rejected", json_integer((json_int_t)c->rejected));
	json_object_set_new(row, "pending", json_integer(c->pending));
	json_object_set_new(row, "since", json_integer((json_int_t)(c->since_us / 1000000)));
	json_object_set_new(row, "frontend", json_integer(fe->index));
	return row;
}

// Whether this host has an entry in the directory, at any frontend and in any state: a suspect or leaving peer is still
// connected.
static bool connected(const struct control *control, struct slice host)
{
	uint64_t hash = ident_hash_bytes(host, true);
	uint32_t high = __atomic_load_n((uint32_t *)&control->peer_high, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < high && i < PEER_DIRECTORY_MAX; i++) {
		const struct control_peer *p = &control->peer[i];
		if (__atomic_load_n((uint32_t *)&p->state, __ATOMIC_ACQUIRE) != PEER_SLOT_FREE &&
		    __atomic_load_n((uint64_t *)&p->host_hash, __ATOMIC_RELAXED) == hash)
			return true;
	}
	return false;
}

// peers.list[i], when it is this frontend's to tell about (each tells of its share) and not connected.
static bool is_down(const struct frontend *fe, uint32_t i)
{
	return !config_peer_is_pattern(&fe->config->peer[i]) && i % fe->config->frontends == fe->index &&
	       !connected(fe->control, slice_str(fe->config->peer[i].host));
}

static json_t *down_row(const struct frontend *fe, uint32_t i)
{
	static const char *const via[] = {
	    [VIA_ANY] = "any", [VIA_TCP] = "tcp", [VIA_SCTP] = "sctp", [VIA_TLS] = "tls"};
	const struct config_peer *p = &fe->config->peer[i];
	struct dial_status s = dial_status(fe, i, clock_mono_ms());
	const char *reason = s.reason[0] ? s.reason : s.dialled ? "not tried yet" : "it has to connect";
	bool again = s.dialled && !s.given_up && !s.connecting;
	json_t *row = json_object();
	json_object_set_new(row, "host", json_string(p->host));
	json_object_set_new(row, "state", json_string(s.connecting ? "connecting" : "down"));
	json_object_set_new(row, "transport", json_string(via[p->via]));
	json_object_set_new(row, "address", p->address_cnt ? json_string(p->addresses[0]) : json_null());
	json_object_set_new(row, "listed", json_true());
	json_object_set_new(row, "reason", json_string(reason));
	json_object_set_new(row, "next_try_s", again ? json_integer((s.next_ms + 999) / 1000) : json_null());
	json_object_set_new(row, "frontend", json_integer(fe->index));
	return row;
}

// One peer in full.
static json_t *details_of(const struct frontend *fe, const struct conn *c)
{
	json_t *row = row_of(fe, c);
	char text[128] = "none";
	if (c->transport.ops->security)
		c->transport.ops->security(&c->transport, text, sizeof text);
	json_object_set_new(row, "security", json_string(text));
	json_object_set_new(
	    row, "listed",
	    json_boolean(config_peer_find(fe->config, slice_of(c->host, c->host_len)) != NULL));
	json_object_set_new(row, "round_trip_us",
			    c->round_trip_us ? json_integer(c->round_trip_us) : json_null());
	json_object_set_new(row, "max_pending", json_integer(c->max_pending));
	json_object_set_new(row, "max_rate", json_integer(c->max_rate));
	json_object_set_new(row, "origin_state_id", json_integer(c->origin_state_id));
	json_object_set_new(row, "unsent_octets", json_integer(c->out_len - c->out_off + c->transport.held));
	return row;
}

// Takes `row`. false when the channel is full: to be tried again when it has drained.
static bool send_row(struct peerlist *l, uint64_t id, json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT);
	// a row that cannot be made (no memory) is left out
	bool sent = !text || channel_send(l->admin, IPC_ADMIN_ROW, id, text, strlen(text));
	free(text);
	json_decref(row);
	return sent;
}

static void go_on(struct peerlist *l, struct call *call)
{
	const struct conn_table *t = &l->fe->conns;
	for (; call->next < t->high; call->next++) {
		const struct conn *c = &t->conn[call->next];
		if (c->used && c->state != PEER_CLOSED && c->host_len &&
		    !send_row(l, call->id, row_of(l->fe, c)))
			return;
	}
	for (; call->listed < l->fe->config->peer_cnt; call->listed++)
		if (is_down(l->fe, call->listed) && !send_row(l, call->id, down_row(l->fe, call->listed)))
			return;
	call->used = false;
	end(l, call->id, 0, NULL);
}

static void list(struct peerlist *l, uint64_t id)
{
	for (unsigned i = 0; i < CALLS_MAX; i++) {
		if (l->call[i].used)
			continue;
		l->call[i] = (struct call){.id = id, .used = true};
		go_on(l, &l->call[i]);
		return;
	}
	end(l, id, 1, "too many lists at a time");
}

static struct conn *find(struct frontend *fe, struct slice host)
{
	for (uint32_t i = 0; i < fe->conns.high; i++) {
		struct conn *c = &fe->conns.conn[i];
		if (peer_is_open(c) && slice_eq_nocase(slice_of(c->host, c->host_len), host))
			return c;
	}
	return NULL;
}

// A peer that is connected here, or one of peers.list that is nowhere.
static json_t *details(struct frontend *fe, struct slice host)
{
	const struct conn *c = find(fe, host);
	if (c)
		return details_of(fe, c);
	for (uint32_t i = 0; i < fe->config->peer_cnt; i++)
		if (slice_eq_nocase(host, slice_str(fe->config->peer[i].host)))
			return is_down(fe, i) ? down_row(fe, i) : NULL;
	return NULL;
}

static void show(struct peerlist *l, uint64_t id, const char *host)
{
	json_t *row = details(l->fe, slice_str(host));
	if (!row) {
		end(l, id, 1, "no such peer is connected here");
		return;
	}
	bool sent = send_row(l, id, row);
	end(l, id, sent ? 0 : 1, sent ? NULL : "no room for the answer");
}

static void disconnect(struct peerlist *l, uint64_t id, const char *host)
{
	struct conn *c = find(l->fe, slice_str(host));
	if (!c) {
		end(l, id, 1, "no such peer is connected here");
		return;
	}
	log_info("peer_disconnect_asked", LOG_STR("peer", c->host));
	peer_stop(c, BASE_DO_NOT_WANT_TO_TALK_TO_YOU);
	frontend_flush(l->fe);
	end(l, id, 0, NULL);
}

static void trace(struct peerlist *l, uint64_t id, const json_t *args)
{
	const char *why = trace_begin(l->fe, l->admin, id, args);
	if (why)
		end(l, id, 2, why);
}

static void call_in(struct peerlist *l, uint64_t id, const uint8_t *body, size_t len)
{
	json_t *doc = json_loadb((const char *)body, len, 0, NULL);
	const char *command = json_string_value(json_object_get(doc, "cmd"));
	const char *host = json_string_value(json_object_get(json_object_get(doc, "args"), "host"));
	if (!command)
		end(l, id, 2, "not a command");
	else if (strcmp(command, "peer list") == 0)
		list(l, id);
	else if (strncmp(command, "peer ", 5) == 0 && !host)
		end(l, id, 2, "a host is needed");
	else if (strcmp(command, "peer show") == 0)
		show(l, id, host);
	else if (strcmp(command, "peer disconnect") == 0)
		disconnect(l, id, host);
	else if (strcmp(command, "trace") == 0)
		trace(l, id, json_object_get(doc, "args"));
	else
		end(l, id, 2, "frontends serve no such command");
	json_decref(doc);
}

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct peerlist *l = ctx;
	(void)ch;
	if (hdr->type == IPC_ADMIN_CALL)
		call_in(l, hdr->id, body, hdr->len - sizeof *hdr);
	uint64_t rows = 0;
	if (hdr->type == IPC_ADMIN_MORE) {
		memcpy(&rows, body, sizeof rows); // length: protocol table
		trace_taken(l->fe, hdr->id, rows);
	}
	if (hdr->type == IPC_ADMIN_CANCEL)
		trace_cancel(l->fe, hdr->id);
	for (unsigned i = 0; hdr->type == IPC_ADMIN_CANCEL && i < CALLS_MAX; i++)
		if (l->call[i].id == hdr->id)
			l->call[i].used = false;
}

static void on_drain(void *ctx, struct channel *ch)
{
	struct peerlist *l = ctx;
	for (unsigned i = 0; i < CALLS_MAX; i++)
		if (l->call[i].used)
			go_on(l, &l->call[i]);
	channel_flush(ch);
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	struct peerlist *l = ctx;
	(void)ch, (void)why;
	trace_cancel_all(l->fe);
	channel_free(&l->admin);
	memset(l->call, 0, sizeof l->call);
}

static const struct channel_ops admin_ops = {.on_frame = on_frame, .on_down = on_down, .on_drain = on_drain};

int peerlist_new(struct frontend *fe)
{
	fe->peerlist = calloc(1, sizeof *fe->peerlist);
	if (!fe->peerlist)
		return -ENOMEM;
	fe->peerlist->fe = fe;
	return 0;
}

void peerlist_free(struct frontend *fe)
{
	if (fe->peerlist)
		channel_free(&fe->peerlist->admin);
	free(fe->peerlist);
	fe->peerlist = NULL;
}

void peerlist_admin_take(struct frontend *fe, int fd)
{
	struct peerlist *l = fe->peerlist;
	if (l->admin)
		on_down(l, l->admin, 0);
	l->admin = channel_new_take(fe->base, fd, ADMIN_WATER, &admin_ops, l);
	if (!l->admin)
		log_error("admin_channel_failed", LOG_STR("error", err_text(errno)));
	else
		channel_set_sides(l->admin, IPC_SIDE_ADMIN, IPC_SIDE_FRONTEND);
}
