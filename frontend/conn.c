// Connections: buffers, limits, deadlines (see conn.h). Runs in hss-frontend. Law 9: every buffer is bounded,
// and what one peer does costs the others at most one read of CONN_READ_MAX octets.
#include "frontend/conn.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include "frontend/admission.h"
#include "frontend/frontend.h"
#include "frontend/hss_request.h"
#include "frontend/peer.h"
#include "frontend/route.h"
#include "frontend/trace.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/diameter/frame.h"

#define NEVER UINT64_MAX

int conn_table_init(struct conn_table *t, uint32_t cap)
{
	memset(t, 0, sizeof *t);
	t->cap = cap;
	if (getrandom(&t->seed, sizeof t->seed, 0) != sizeof t->seed)
		return -errno;
	t->conn = calloc(cap, sizeof *t->conn);
	t->deadline_ms = malloc(cap * sizeof *t->deadline_ms);
	t->free = malloc(cap * sizeof *t->free);
	t->dirty = malloc(cap * sizeof *t->dirty);
	t->scratch = malloc(CONN_TAIL_KEEP + CONN_READ_MAX);
	if (!t->conn || !t->deadline_ms || !t->free || !t->dirty || !t->scratch) {
		conn_table_fini(t);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < cap; i++) {
		t->deadline_ms[i] = NEVER;
		t->free[i] = cap - 1 - i; // low numbers first
	}
	t->free_cnt = cap;
	return 0;
}

void conn_table_fini(struct conn_table *t)
{
	for (uint32_t i = 0; t->conn && i < t->high; i++)
		if (t->conn[i].used)
			conn_close(&t->conn[i], "end");
	while (t->pool_cnt)
		free(t->pool[--t->pool_cnt]);
	free(t->conn);
	free(t->deadline_ms);
	free(t->free);
	free(t->dirty);
	free(t->scratch);
	memset(t, 0, sizeof *t);
}

void conn_rearm(struct conn *c)
{
	uint64_t at = NEVER;
	if (c->phase_deadline_ms)
		at = c->phase_deadline_ms;
	if (c->stall_deadline_ms && c->stall_deadline_ms < at)
		at = c->stall_deadline_ms;
	if (c->watchdog.deadline_ms && !c->ending && c->watchdog.deadline_ms < at)
		at = c->watchdog.deadline_ms;
	c->fe->conns.deadline_ms[c->index] = at;
}

static void set_reading(struct conn *c, bool on)
{
	on = on && !c->waits;
	if (c->reading == on)
		return;
	if (on ? event_add(&c->read_event, NULL) : event_del(&c->read_event))
		log_error("event_failed", LOG_STR("peer", c->address));
	c->reading = on;
}

static void set_writing(struct conn *c, bool on)
{
	if (c->writing == on)
		return;
	if (on ? event_add(&c->write_event, NULL) : event_del(&c->write_event))
		log_error("event_failed", LOG_STR("peer", c->address));
	c->writing = on;
}

void conn_admit(struct conn *c)
{
	if (c->half_open)
		c->fe->conns.half_open[c->bucket]--;
	c->half_open = false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static struct conn *conn_new(struct frontend *fe, struct transport own, int bucket)
{
	struct conn_table *t = &fe->conns;
	uint32_t index = t->free[--t->free_cnt];
	struct conn *c = &t->conn[index];
	uint32_t generation = c->generation + 1;
	*c = (struct conn){.fe = fe,
			   .index = index,
			   .generation = generation,
			   .used = true,
			   .transport = own,
			   .directory = -1,
			   .half_open = bucket >= 0,
			   .bucket = bucket >= 0 ? (uint16_t)bucket : 0,
			   .dirty = c->dirty,
			   .listed = c->listed};
	if (c->half_open)
		t->half_open[c->bucket]++;
	if (index >= t->high)
		t->high = index + 1;
	own.ops->remote(&own, c->address, sizeof c->address);
	event_assign(&c->read_event, fe->base, own.fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->write_event, fe->base, own.fd, EV_WRITE | EV_PERSIST, on_writable, c);
	return c;
}

struct conn *conn_open_take(struct frontend *fe, const struct transport *transport)
{
	struct transport own = *transport;
	int bucket = admission_bucket(fe, &own);
	if (fe->conns.free_cnt == 0 || admission_half_open_full(fe, &own, bucket)) {
		own.ops->close(&own);
		return NULL;
	}
	struct conn *c = conn_new(fe, own, bucket);
	set_reading(c, true);
	stat_add(fe->stats, STAT_CONNECTIONS_ACCEPTED, 1);
	peer_connected(c, clock_mono_ms());
	conn_rearm(c);
	return c;
}

struct conn *conn_dial_take(struct frontend *fe, const struct transport *transport, uint32_t dial)
{
	struct transport own = *transport;
	if (fe->conns.free_cnt == 0) {
		own.ops->close(&own);
		return NULL;
	}
	struct conn *c = conn_new(fe, own, -1);
	c->dial = (uint16_t)(dial + 1);
	set_writing(c, true);
	stat_add(fe->stats, STAT_CONNECTIONS_OPENED, 1);
	peer_dialling(c, clock_mono_ms());
	conn_rearm(c);
	return c;
}

// ---- being set up --------------------------------------------------------------------------------

bool conn_connects(const struct conn *c)
{
	return c->state == PEER_WAIT_CONN_ACK;
}

// The next step is one of a handshake, and the thread's. It is neither read nor written until conn_shaken.
static bool shakes(struct conn *c)
{
	if (!c->transport.costly || c->ending || !handshake_take(c))
		return false;
	c->shaking = true;
	set_reading(c, false);
	set_writing(c, false);
	return true;
}

// A connection of ours has come this far.
static void established(struct conn *c, int err)
{
	if (err && err != -EAGAIN) {
		conn_close(c, err_text(err));
		return;
	}
	set_reading(c, true);
	set_writing(c, c->transport.held > 0);
	if (err == 0) {
		c->transport.ops->remote(&c->transport, c->address, sizeof c->address);
		peer_established(c);
	}
}

static void establish(struct conn *c)
{
	established(c, c->transport.ops->establish(&c->transport));
}

static void output_free(struct conn *c)
{
	struct conn_table *t = &c->fe->conns;
	t->out_total -= c->out_cap;
	if (c->out && c->out_cap == CONN_OUT_CHUNK && t->pool_cnt < sizeof t->pool / sizeof t->pool[0])
		t->pool[t->pool_cnt++] = c->out;
	else
		free(c->out);
	c->out = NULL;
	c->out_off = c->out_len = c->out_cap = 0;
}

void conn_close(struct conn *c, const char *why)
{
	struct conn_table *t = &c->fe->conns;
	if (!c->used)
		return;
	if (c->shaking)
		handshake_give_up(c);
	c->shaking = false;
	peer_gone(c, why);
	hss_sent_conn_lost(c->fe, c);
	fair_conn_lost(c->fe, c);
	conn_admit(c);
	set_reading(c, false);
	set_writing(c, false);
	c->transport.ops->close(&c->transport);
	output_free(c);
	free(c->in);
	free(c->cer);
	c->in = c->cer = NULL;
	c->in_len = c->in_cap = 0;
	c->used = false;
	t->deadline_ms[c->index] = NEVER;
	t->free[t->free_cnt++] = c->index;
	stat_add(c->fe->stats, STAT_CONNECTIONS_CLOSED, 1);
	frontend_conn_closed(c->fe);
}

static void mark_dirty(struct conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	c->fe->conns.dirty[c->fe->conns.dirty_cnt++] = c->index;
}

void conn_end(struct conn *c, const char *why)
{
	if (!c->used || c->ending)
		return;
	peer_gone(c, why);
	hss_sent_conn_lost(c->fe, c);
	c->ending = true;
	c->waits = false;
	c->phase_deadline_ms = clock_mono_ms() + CONN_LINGER_MS;
	conn_rearm(c);
	mark_dirty(c);
}

struct conn *conn_find(struct frontend *fe, uint32_t index, uint32_t generation)
{
	if (index >= fe->conns.high)
		return NULL;
	struct conn *c = &fe->conns.conn[index];
	return c->used && c->generation == generation ? c : NULL;
}

// ---- output --------------------------------------------------------------------------------------

// Room for `more` octets behind out_len: first by moving what is unsent to the front, then by doubling.
static bool output_room(struct conn *c, uint32_t more)
{
	struct conn_table *t = &c->fe->conns;
	uint32_t unsent = c->out_len - c->out_off;
	if (c->out_cap - c->out_len >= more)
		return true;
	if (unsent + more > CONN_OUT_MAX)
		return false;
	if (!c->out && more <= CONN_OUT_CHUNK && t->pool_cnt) {
		c->out = t->pool[--t->pool_cnt];
		c->out_cap = CONN_OUT_CHUNK;
		t->out_total += CONN_OUT_CHUNK;
		return true;
	}
	if (c->out_off > c->out_cap / 2 && c->out_cap - unsent >= more) {
		memmove(c->out, c->out + c->out_off, unsent);
		c->out_off = 0;
		c->out_len = unsent;
		return true;
	}
	uint32_t cap = c->out_cap ? c->out_cap : CONN_OUT_CHUNK;
	while (cap - c->out_len < more)
		cap *= 2;
	uint8_t *grown = realloc(c->out, cap);
	if (!grown)
		return false;
	t->out_total += cap - c->out_cap;
	c->out = grown;
	c->out_cap = cap;
	return true;
}

struct wr conn_write(struct conn *c, uint32_t max)
{
	if (c->shut || !output_room(c, max)) {
		struct wr none = wr_of(NULL, 0);
		none.err = true;
		return none;
	}
	return wr_of(c->out + c->out_len, max);
}

bool conn_written(struct conn *c, const struct wr *w)
{
	mark_dirty(c);
	if (w->err) {
		// an answer that finds no room cannot be left out in silence: the peer waits for it
		if (!c->shut) {
			c->out_len = c->out_off;
			conn_end(c, "output overflow");
		}
		return false;
	}
	c->out_len += (uint32_t)wr_len(w);
	if (c->fe->tracing)
		trace_out(c, w->base, (uint32_t)wr_len(w));
	return true;
}

static void sent_all(struct conn *c)
{
	output_free(c);
	c->full = false;
	c->stall_deadline_ms = 0;
	set_writing(c, false);
	if (c->ending && !c->shut) {
		c->transport.ops->shut(&c->transport);
		c->shut = true;
	}
	set_reading(c, true);
}

static void flush(struct conn *c)
{
	uint32_t unsent = c->out_len - c->out_off;
	if (c->shaking)
		return;
	ssize_t n = unsent || c->transport.held
			? c->transport.ops->send(&c->transport, c->out + c->out_off, unsent)
			: 0;
	if (n < 0 && n != -EAGAIN) {
		conn_close(c, "send failed");
		return;
	}
	if (n > 0) {
		c->out_off += (uint32_t)n;
		unsent -= (uint32_t)n;
		stat_add(c->fe->stats, STAT_BYTES_OUT, (uint64_t)n);
	}
	if (unsent == 0 && !c->transport.held) {
		sent_all(c);
		return;
	}
	if (n > 0 || !c->stall_deadline_ms) {
		c->stall_deadline_ms = c->fe->now_us / 1000 + CONN_STALL_MS;
		conn_rearm(c);
	}
	set_writing(c, true);
	// a peer that does not take its answers is not read
	uint32_t water = c->fe->conns.out_total > CONN_OUT_BUDGET ? CONN_OUT_CHUNK : CONN_HIGH_WATER;
	if (unsent > water || unsent < water / 2)
		c->full = unsent > water;
	set_reading(c, !c->full); // it may have been its share that it waited for
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	(void)fd, (void)what;
	c->fe->now_us = clock_mono_us();
	if (!conn_connects(c))
		flush(c);
	else if (!shakes(c))
		establish(c);
	frontend_flush(c->fe);
}

void conn_flush_all(struct frontend *fe)
{
	struct conn_table *t = &fe->conns;
	// a flush that closes a connection may leave new output to others (never more than one entry each)
	for (uint32_t i = 0; i < t->dirty_cnt; i++) {
		struct conn *c = &t->conn[t->dirty[i]];
		// closed meanwhile: the mark must not stay for the next connection in this slot
		c->dirty = false;
		if (c->used)
			flush(c);
	}
	t->dirty_cnt = 0;
}

// ---- input ---------------------------------------------------------------------------------------

// It has its share (fair.h): others first.
static void wait_for_share(struct conn *c)
{
	fair_wait(c);
	c->waits = true;
	set_reading(c, false);
}

// Gives every whole message in the buffer to the peer machine, as long as the peer needn't wait. Returns the
// octets consumed.
static size_t take_messages(struct conn *c, const uint8_t *p, size_t len, bool *any)
{
	size_t used = 0;
	while (c->used && !c->ending && used < len) {
		if (fair_must_wait(c->fe, c)) {
			wait_for_share(c);
			break;
		}
		int n = frame_next(p + used, len - used, c->fe->config->max_message);
		if (n == FRAME_MORE)
			break;
		if (n == FRAME_BROKEN) {
			stat_add(c->fe->stats, STAT_FRAMING_LOST, 1);
			conn_close(c, "framing lost");
			break;
		}
		*any = true;
		peer_message(c, p + used, (uint32_t)n);
		used += (size_t)n;
	}
	return used;
}

static bool keep_tail(struct conn *c, const uint8_t *p, size_t len)
{
	if (len > c->in_cap || (len && len <= CONN_TAIL_KEEP && c->in_cap > CONN_TAIL_KEEP)) {
		// not more than what has come: an announced length costs nothing, and what was there before
		// neither
		size_t cap = len < CONN_TAIL_KEEP ? CONN_TAIL_KEEP : len;
		uint8_t *grown = malloc(cap);
		if (!grown)
			return false;
		memcpy(grown, p, len);
		free(c->in);
		c->in = grown;
		c->in_cap = (uint32_t)cap;
	} else if (len) {
		memmove(c->in, p, len);
	} else if (c->in_cap > CONN_TAIL_KEEP) {
		free(c->in);
		c->in = NULL;
		c->in_cap = 0;
	}
	c->in_len = (uint32_t)len;
	return true;
}

// Where the next octets go. A short tail is copied to the front of the shared buffer; a long one grows where
// it lies, up to its message's end, so that a message in small pieces is not copied once a piece.
static uint8_t *read_target(struct conn *c, size_t *room)
{
	uint8_t *scratch = c->fe->conns.scratch;
	if (c->in_len < CONN_TAIL_KEEP) {
		if (c->in_len)
			memcpy(scratch, c->in, c->in_len);
		*room = CONN_READ_MAX;
		return scratch;
	}
	uint32_t whole = be24_get(c->in + 1); // frame_next accepted it: at most max_message
	if (c->in_cap == c->in_len) {
		uint32_t cap = c->in_cap * 2 < whole ? c->in_cap * 2 : whole;
		uint8_t *grown = realloc(c->in, cap);
		if (!grown)
			return NULL;
		c->in = grown;
		c->in_cap = cap;
	}
	*room = (c->in_cap < whole ? c->in_cap : whole) - c->in_len;
	return c->in;
}

static void discard(struct conn *c)
{
	ssize_t n = c->transport.ops->recv(&c->transport, c->fe->conns.scratch, CONN_READ_MAX);
	if (n <= 0 && n != -EAGAIN)
		conn_close(c, "ended");
}

static void read_once(struct conn *c)
{
	size_t room = 0;
	bool any = false;

	if (c->ending) {
		discard(c);
		return;
	}
	if (conn_connects(c)) {
		establish(c);
		return;
	}
	uint8_t *buf = read_target(c, &room);
	ssize_t n = buf ? c->transport.ops->recv(&c->transport, buf + c->in_len, room) : -ENOMEM;
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		conn_close(c, n == 0 ? "closed by peer" : err_text((int)n));
		return;
	}
	stat_add(c->fe->stats, STAT_BYTES_IN, (uint64_t)n);
	size_t have = c->in_len + (size_t)n;
	size_t used = take_messages(c, buf, have, &any);
	if (c->used && any && !c->ending)
		peer_heard(c);
	if (c->used && !c->ending && !keep_tail(c, buf + used, have - used))
		conn_close(c, "out of memory");
}

// What a transport has unpacked and we had no room for comes without a further event: one read's worth.
static void read_all(struct conn *c)
{
	do
		read_once(c);
	while (c->used && !c->waits && c->transport.pending);
	if (c->used && c->transport.held && !conn_connects(c))
		mark_dirty(c); // a handshake's own octets
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	(void)fd, (void)what;

	if (shakes(c))
		return;
	c->fe->now_us = clock_mono_us();
	read_all(c);
	frontend_flush(c->fe);
}

void conn_shaken(struct conn *c, int result)
{
	struct frontend *fe = c->fe;
	c->shaking = false;
	fe->now_us = clock_mono_us();
	if (conn_connects(c)) {
		established(c, result);
	} else {
		set_reading(c, true);
		if (!c->transport.costly)
			read_all(c); // what came behind the handshake, or why it failed
		else if (c->transport.held)
			mark_dirty(c);
	}
	frontend_flush(fe);
}

// First what it had sent before; then it is read again.
void conn_resume(struct conn *c)
{
	uint8_t *in = c->in;
	uint32_t len = c->in_len, cap = c->in_cap;
	bool any = false;

	c->waits = false;
	// what is done with the messages may close the connection: its buffer must outlive that
	c->in = NULL;
	c->in_len = c->in_cap = 0;
	size_t used = len ? take_messages(c, in, len, &any) : 0;
	if (c->used && any && !c->ending)
		peer_heard(c);
	if (c->used && !c->ending) {
		c->in = in;
		c->in_cap = cap;
		in = NULL;
		if (!keep_tail(c, c->in + used, len - used))
			conn_close(c, "out of memory");
	}
	free(in);
	while (c->used && !c->waits && c->transport.pending)
		read_once(c);
	if (c->used)
		mark_dirty(c); // flush knows whether it may be read again
}

bool conn_tick_all(struct frontend *fe, uint64_t now_ms)
{
	struct conn_table *t = &fe->conns;
	uint32_t due = 0;
	for (uint32_t i = 0; i < t->high; i++) {
		if (t->deadline_ms[i] > now_ms)
			continue;
		if (due++ == CONN_DUE_MAX)
			return true;
		struct conn *c = &t->conn[i];
		if (c->stall_deadline_ms && c->stall_deadline_ms <= now_ms)
			conn_close(c, "does not take its answers");
		else if (c->phase_deadline_ms && c->phase_deadline_ms <= now_ms)
			peer_timeout(c);
		else if (c->watchdog.deadline_ms && c->watchdog.deadline_ms <= now_ms)
			peer_watchdog(c, now_ms);
		if (c->used)
			conn_rearm(c);
	}
	return false;
}
