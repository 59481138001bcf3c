// The traces under way, what they look for, and the requests that they wait for the answers of (see trace.h).
// Runs in hss-frontend. A request is matched by whom it is about or whose it is; its answer by the
// identifiers of the request.
#include "frontend/trace.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frontend/frontend.h"
#include "frontend/trace_row.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/request.h"

#define WAITING_MAX    1024u // requests whose answers are awaited: for one more the oldest is forgotten; 2^n
#define WINDOW_ROWS    512u // that the client has not taken; hss-admin keeps those of all frontends (client.c)
#define WINDOW_OCTETS  (256u << 10)
#define ROWS_MAX       1000000u
#define ROWS_DEFAULT   1000u
#define SECONDS_MAX    86400u
#define SECONDS_DEFAULT 600u

struct one {
	bool used;
	uint64_t id; // of the call
	struct slice host; // in `text`; empty: by subject
	uint64_t digits, hash; // of the subject: the number that it is, else its hash and type
	uint8_t type;
	bool messages, vectors;
	uint32_t left; // rows
	uint64_t until_ms;
	uint64_t rows, octets; // not taken yet
	uint64_t sent, dropped;
	char text[256];
};

struct waiting {
	uint8_t traces; // bit n: one[n]; 0: free
	bool in;	// the request came from the peer
	uint32_t conn, generation, hop;
	uint64_t at_us;
	struct header h;
	char subject[128];
};

struct trace {
	struct channel *admin;
	struct one one[TRACES_MAX];
	struct waiting waiting[WAITING_MAX];
	uint32_t next; // place for the next one
	uint32_t waiting_cnt; // that are in use
};

int trace_new(struct frontend *fe)
{
	fe->trace = calloc(1, sizeof *fe->trace);
	return fe->trace ? 0 : -ENOMEM;
}

void trace_free(struct frontend *fe)
{
	free(fe->trace);
	fe->trace = NULL;
	fe->tracing = 0;
}

// ---- beginning and ending ------------------------------------------------------------------------

static bool send_json(struct trace *t, uint16_t type, const struct one *o, json_t *v_taken, size_t *len)
{
	char *text = json_dumps(v_taken, JSON_COMPACT);
	bool sent = text && channel_send(t->admin, type, o->id, text, strlen(text));

	*len = text ? strlen(text) : 0;
	if (sent)
		channel_flush(t->admin);
	if (text && o->vectors)
		secret_wipe(text, *len);
	free(text);
	json_decref(v_taken);
	return sent;
}

static void forget(struct frontend *fe, struct one *o)
{
	uint8_t bit = (uint8_t)(1u << (o - fe->trace->one));

	for (uint32_t i = 0; i < WAITING_MAX; i++) {
		struct waiting *w = &fe->trace->waiting[i];

		fe->trace->waiting_cnt -= w->traces == bit; // nobody else waits for it
		w->traces &= (uint8_t)~bit;
	}
	*o = (struct one){0};
	fe->tracing--;
}

static void end(struct frontend *fe, struct one *o, const char *why)
{
	size_t len;

	(void)send_json(fe->trace, IPC_ADMIN_END, o,
			json_pack("{s:i, s:I, s:I, s:s}", "status", 0, "rows", (json_int_t)o->sent, "dropped",
				  (json_int_t)o->dropped, "ended", why),
			&len);
	forget(fe, o);
}

// What a row of `looks for` is: digits, a URI, or the name of a private identity.
static bool looks_for(struct one *o, const char *text)
{
	struct slice s = slice_str(text);
	bool number = strspn(text + (text[0] == '+'), "0123456789") == s.len - (text[0] == '+');
	bool uri = strncmp(text, "sip:", 4) == 0 || strncmp(text, "sips:", 5) == 0 ||
	    strncmp(text, "tel:", 4) == 0;
	struct subject subject;

	if (!subject_read(number && text[0] != '+' && s.len >= 5 ? SUBJECT_FORM_IMSI
			  : number				 ? SUBJECT_FORM_MSISDN
			  : uri					 ? SUBJECT_FORM_PUBLIC
								 : SUBJECT_FORM_PRIVATE,
			  s, &subject))
		return false;
	o->digits = number ? subject.digits : 0;
	o->hash = subject.hash;
	o->type = subject.type;
	return true;
}

static uint32_t count_of(const json_t *args, const char *name, uint32_t absent, uint32_t most)
{
	json_int_t v = json_integer_value(json_object_get(args, name));

	return v < 1 ? absent : v > most ? most : (uint32_t)v;
}

const char *trace_begin(struct frontend *fe, struct channel *admin, uint64_t id, const json_t *args)
{
	const char *subject = json_string_value(json_object_get(args, "subject"));
	const char *host = json_string_value(json_object_get(args, "peer"));
	struct one *o = NULL;
	size_t len;

	for (unsigned i = 0; i < TRACES_MAX && !o; i++)
		if (!fe->trace->one[i].used)
			o = &fe->trace->one[i];
	if (!o)
		return "too many traces at a time";
	if (!subject == !host)
		return "expected a subscriber, or --peer HOST";
	*o = (struct one){.id = id};
	if (subject && !looks_for(o, subject))
		return "subject: expected an IMSI, an MSISDN, a public or a private identity";
	if (host) {
		snprintf(o->text, sizeof o->text, "%s", host);
		o->host = slice_str(o->text);
	}
	o->messages = json_is_true(json_object_get(args, "messages"));
	o->vectors = json_is_true(json_object_get(args, "vectors"));
	o->left = count_of(args, "limit", ROWS_DEFAULT, ROWS_MAX);
	o->until_ms = clock_mono_ms() + count_of(args, "for", SECONDS_DEFAULT, SECONDS_MAX) * 1000ull;
	o->used = true;
	fe->trace->admin = admin;
	fe->tracing++;
	log_info("trace_begun", LOG_INT("rows", o->left), LOG_STR("vectors", o->vectors ? "yes" : "no"));
	if (o->vectors)
		channel_set_wipe(admin);
	// from now on nothing is missed: whoever waits for that may go on
	(void)send_json(fe->trace, IPC_ADMIN_ROW, o,
			json_pack("{s:s, s:I}", "event", "begun", "frontend", (json_int_t)fe->index), &len);
	return NULL;
}

static struct one *by_id(struct frontend *fe, uint64_t id)
{
	for (unsigned i = 0; i < TRACES_MAX; i++)
		if (fe->trace->one[i].used && fe->trace->one[i].id == id)
			return &fe->trace->one[i];
	return NULL;
}

void trace_taken(struct frontend *fe, uint64_t id, uint64_t rows)
{
	struct one *o = by_id(fe, id);

	if (!o)
		return;
	if (rows >= o->rows) {
		o->rows = o->octets = 0;
		return;
	}
	o->octets -= o->octets / o->rows * rows;
	o->rows -= rows;
}

void trace_cancel(struct frontend *fe, uint64_t id)
{
	struct one *o = by_id(fe, id);

	if (o)
		forget(fe, o);
}

void trace_cancel_all(struct frontend *fe)
{
	for (unsigned i = 0; i < TRACES_MAX; i++)
		if (fe->trace->one[i].used)
			forget(fe, &fe->trace->one[i]);
	fe->trace->admin = NULL;
}

// ---- rows ----------------------------------------------------------------------------------------

static void give(struct frontend *fe, struct one *o, json_t *row_taken)
{
	size_t len = 0;

	if (o->rows >= WINDOW_ROWS || o->octets >= WINDOW_OCTETS) {
		json_decref(row_taken);
		o->dropped++;
	} else if (row_taken && send_json(fe->trace, IPC_ADMIN_ROW, o, row_taken, &len)) {
		o->rows++;
		o->octets += len;
		o->sent++;
	} else {
		o->dropped++;
	}
	if (--o->left == 0)
		end(fe, o, "limit");
}

static void give_all(struct conn *c, uint8_t traces, const struct trace_about *about, const uint8_t *msg,
		     uint32_t len)
{
	struct frontend *fe = c->fe;

	for (unsigned i = 0; i < TRACES_MAX; i++) {
		struct one *o = &fe->trace->one[i];
		bool full = o->rows >= WINDOW_ROWS || o->octets >= WINDOW_OCTETS;

		if (o->used && traces >> i & 1)
			give(fe, o, full ? NULL : trace_row(c, about, msg, len, o->messages, o->vectors));
	}
}

// ---- matching ------------------------------------------------------------------------------------

// Whom a request is about: what request.def says, and the user that it names beside that.
struct parties {
	struct subject subject[3];
	struct slice node; // Origin-Host, or Destination-Host of what we send
};

static void parties_of(const uint8_t *msg, uint32_t len, const struct header *h, bool in, struct parties *p)
{
	const struct command *cmd = grammar_find(h->code, h->app, true);
	struct slice body = slice_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN), spelling;
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	struct avp a;

	for (unsigned i = 0; i < 3; i++)
		subject_none(&p->subject[i]);
	p->node = (struct slice){0};
	if (cmd && grammar_check(cmd, msg, len, slots, &v))
		(void)request_subject(cmd, msg, slots, &p->subject[0], &spelling);
	if (avp_find(body, AVP_CODE_User_Name, 0, &a)) { // a request with defects has one all the same
		(void)subject_read(SUBJECT_FORM_NAI, a.data, &p->subject[1]);
		(void)subject_read(SUBJECT_FORM_PRIVATE, a.data, &p->subject[2]);
	}
	if (avp_find(body, in ? AVP_CODE_Origin_Host : AVP_CODE_Destination_Host, 0, &a))
		p->node = a.data;
}

static bool matches(const struct one *o, const struct conn *c, const struct parties *p)
{
	if (o->host.len)
		return slice_eq_nocase(o->host, slice_of(c->host, c->host_len)) ||
		       slice_eq_nocase(o->host, p->node);
	for (unsigned i = 0; i < 3; i++) {
		const struct subject *s = &p->subject[i];

		if (s->type != SUBJECT_NONE &&
		    (o->digits ? s->digits == o->digits : s->type == o->type && s->hash == o->hash))
			return true;
	}
	return false;
}

static void request_seen(struct conn *c, const uint8_t *msg, uint32_t len, struct trace_about *about)
{
	struct trace *t = c->fe->trace;
	struct parties p;
	uint8_t traces = 0;

	parties_of(msg, len, &about->h, about->in, &p);
	for (unsigned i = 0; i < TRACES_MAX; i++)
		if (t->one[i].used && matches(&t->one[i], c, &p))
			traces |= (uint8_t)(1u << i);
	if (!traces)
		return;
	for (unsigned i = 0; i < 3 && !about->subject.len; i++)
		about->subject = subject_text(&p.subject[i]);
	struct waiting *w = &t->waiting[t->next++ % WAITING_MAX];
	t->waiting_cnt += w->traces == 0;
	*w = (struct waiting){.traces = traces,
			      .in = about->in,
			      .conn = c->index,
			      .generation = c->generation,
			      .hop = about->h.hop_by_hop,
			      .at_us = clock_mono_us(),
			      .h = about->h};
	snprintf(w->subject, sizeof w->subject, "%.*s", (int)about->subject.len,
		 about->subject.len ? (const char *)about->subject.p : "");
	give_all(c, traces, about, msg, len);
}

static void answer_seen(struct conn *c, const uint8_t *msg, uint32_t len, struct trace_about *about)
{
	struct trace *t = c->fe->trace;

	for (uint32_t i = 1; i <= WAITING_MAX && t->waiting_cnt; i++) { // the newest first
		struct waiting *w = &t->waiting[(t->next - i) % WAITING_MAX];

		if (!w->traces || w->in == about->in || w->conn != c->index ||
		    w->generation != c->generation ||
		    w->hop != about->h.hop_by_hop || w->h.code != about->h.code)
			continue;
		uint64_t now_us = clock_mono_us();
		uint8_t traces = w->traces;

		about->took_us = now_us > w->at_us ? now_us - w->at_us : 1;
		about->subject = slice_str(w->subject);
		w->traces = 0;
		t->waiting_cnt--;
		give_all(c, traces, about, msg, len);
		return;
	}
}

static void seen(struct conn *c, const uint8_t *msg, uint32_t len, bool in, struct slice why)
{
	struct trace_about about = {.in = in, .why = why};

	if (len < DIAMETER_HEADER_LEN || c->probe)
		return;
	header_get(msg, &about.h);
	if (about.h.flags & HEADER_R)
		request_seen(c, msg, len, &about);
	else
		answer_seen(c, msg, len, &about);
}

void trace_in(struct conn *c, const uint8_t *msg, uint32_t len)
{
	seen(c, msg, len, true, (struct slice){0});
}

void trace_out(struct conn *c, const uint8_t *msg, uint32_t len)
{
	seen(c, msg, len, false, c->fe->trace_why);
}

// ---- time ----------------------------------------------------------------------------------------

// A request of ours that the peer has not answered in its time: a row says so, too.
static void unanswered(struct frontend *fe, struct waiting *w)
{
	const struct command *cmd = grammar_find(w->h.code, w->h.app, false);
	uint8_t traces = w->traces;

	w->traces = 0;
	fe->trace->waiting_cnt--;
	for (unsigned i = 0; i < TRACES_MAX; i++) {
		if (!fe->trace->one[i].used || !(traces >> i & 1))
			continue;
		give(fe, &fe->trace->one[i],
		     json_pack("{s:s, s:I, s:s, s:b, s:s, s:s, s:s, s:n, s:s, s:I}", "event", "message",
			       "time_us",
			       (json_int_t)clock_wall_us(), "direction", "in", "request", 0, "peer",
			       w->conn < fe->conns.high ? fe->conns.conn[w->conn].host : "", "command",
			       cmd ? cmd->name : "", "subject", w->subject, "result", "rule",
			       "no answer came", "frontend",
			       (json_int_t)fe->index));
	}
}

void trace_tick(struct frontend *fe, uint64_t now_ms)
{
	uint64_t limit_us = (uint64_t)fe->config->hss_request_timeout_ms * 1000;

	if (!fe->tracing)
		return;
	for (uint32_t i = 0; i < WAITING_MAX; i++) {
		struct waiting *w = &fe->trace->waiting[i];

		if (w->traces && !w->in && w->at_us + limit_us < now_ms * 1000)
			unanswered(fe, w);
	}
	for (unsigned i = 0; i < TRACES_MAX; i++) {
		struct one *o = &fe->trace->one[i];

		if (o->used && o->until_ms <= now_ms)
			end(fe, o, "time");
	}
}
