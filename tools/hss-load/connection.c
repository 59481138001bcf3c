// One connection to the HSS: non-blocking socket, buffers, and the little peer state machine of a client
// (RFC 6733 5.6: connect, CER/CEA, open, DPR/DPA).
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tools/hss-load/run.h"

#define RETRY_NS 100000000ull

uint8_t *hl_conn_room(struct hl_conn *c, uint32_t n)
{
	if (HL_OUT_SIZE - c->out_len < n) {
		if (HL_OUT_SIZE - (c->out_len - c->out_sent) < n)
			return NULL;
		memmove(c->out, c->out + c->out_sent, c->out_len - c->out_sent);
		c->out_len -= c->out_sent;
		c->pcap_out -= c->pcap_out < c->out_sent ? c->pcap_out : c->out_sent;
		c->out_sent = 0;
	}
	uint8_t *p = c->out + c->out_len;
	c->out_len += n;
	return p;
}

static void send_small(struct hl_run *r, struct hl_conn *c, const struct wr *w)
{
	struct slice message = wr_done(w);
	uint8_t *p = message.len ? hl_conn_room(c, message.len) : NULL;

	if (!p) {
		hl_conn_lost(r, c, "the peer does not read");
		return;
	}
	memcpy(p, message.p, message.len);
}

void hl_conn_lost(struct hl_run *r, struct hl_conn *c, const char *why)
{
	bool was_open = c->state == HL_OPEN, expected = c->state == HL_DPR_SENT || r->stopping;

	hl_pcap_end(r, c);
	hl_tls_close(c);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->in_len = c->out_len = c->out_sent = 0;
	c->readable = false;
	c->state = HL_CLOSED;
	if (was_open) {
		r->open_conns--;
		hl_procedures_conn_lost(r, c);
	}
	if (expected)
		return;
	if (r->o->reconnect) {
		c->state = HL_DOWN;
		c->retry_ns = r->now_ns + RETRY_NS;
		return;
	}
	if (!r->failed)
		fprintf(stderr, "hss-load: %s:%s: %s\n", r->o->host, r->o->port, why);
	r->failed = true;
}

void hl_conn_start(struct hl_run *r, struct hl_conn *c)
{
	const struct addrinfo *a = r->addresses;
	int on = 1, size = 4 << 20;

	c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       r->o->sctp ? IPPROTO_SCTP : 0);
	int err = c->fd < 0 ? errno : r->o->sctp ? hl_sctp_set(c->fd) : 0;
	if (err) {
		hl_conn_lost(r, c, err_text(err));
		return;
	}
	// without large buffers a full window of answers stops the peer in the middle of a batch
	if (!r->o->sctp)
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	c->state = HL_CONNECTING;
	if (connect(c->fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
		hl_conn_lost(r, c, err_text(errno));
}

static void send_cer(struct hl_run *r, struct hl_conn *c)
{
	uint8_t buf[2048];
	struct wr w = wr_of(buf, sizeof buf);
	struct sockaddr_storage self = {0};
	socklen_t len = sizeof self;

	if (getsockname(c->fd, (struct sockaddr *)&self, &len) < 0) {
		hl_conn_lost(r, c, err_text(errno));
		return;
	}
	if (self.ss_family == AF_INET6)
		hl_write_cer(&w, r->o, c->origin_host, ((struct sockaddr_in6 *)&self)->sin6_addr.s6_addr, 16,
			     1);
	else
		hl_write_cer(&w, r->o, c->origin_host, (uint8_t *)&((struct sockaddr_in *)&self)->sin_addr, 4,
			     1);
	hl_pcap_start(r, c);
	c->state = HL_CER_SENT;
	send_small(r, c, &w);
}

void hl_conn_disconnect(struct hl_run *r, struct hl_conn *c)
{
	uint8_t buf[2048];
	struct wr w = wr_of(buf, sizeof buf);

	if (c->state != HL_OPEN) {
		hl_tls_close(c);
		if (c->fd >= 0)
			close(c->fd);
		c->fd = -1;
		c->state = HL_CLOSED;
		return;
	}
	hl_write_dpr(&w, r->o, c->origin_host, 2);
	c->state = HL_DPR_SENT;
	r->open_conns--;
	send_small(r, c, &w);
}

static void take_cea(struct hl_run *r, struct hl_conn *c, struct slice message)
{
	struct hl_answer a;
	char why[80];

	if (c->state != HL_CER_SENT || !hl_answer_parse(message, &a)) {
		hl_conn_lost(r, c, "not a valid CEA");
		return;
	}
	if (a.result != 2001) {
		snprintf(why, sizeof why, "the peer refuses the connection: CEA with Result-Code %u",
			 a.result);
		hl_conn_lost(r, c, why);
		return;
	}
	if (c->was_open)
		r->stats.reconnects++;
	c->was_open = true;
	c->state = HL_OPEN;
	r->open_conns++;
}

static void take_request(struct hl_run *r, struct hl_conn *c, struct slice message)
{
	uint8_t buf[8192];
	struct wr w = wr_of(buf, sizeof buf);
	uint32_t command = be24_get(message.p + 5);
	bool base = command == HL_CMD_DW || command == HL_CMD_DP;
	struct slice user = {0};

	if (!base) {
		r->stats.requests_received++;
		r->stats.clr_received += command == HL_CMD_CL;
		struct slice avps = slice_of(message.p + HL_HEADER, message.len - HL_HEADER);
		if (r->log && command == HL_CMD_CL && hl_avp_find(avps, 1, 0, &user) && user.len <= 15)
			fprintf(r->log, "clr %.*s %s\n", (int)user.len, (const char *)user.p, c->origin_host);
	}
	if (!base && !r->o->answer_requests)
		return;
	hl_write_answer(&w, r->o, c->origin_host, message);
	send_small(r, c, &w);
	if (command == HL_CMD_DP && c->fd >= 0) {
		hl_conn_flush(r, c);
		hl_conn_lost(r, c, "the peer disconnects (DPR)");
	}
}

static void take_message(struct hl_run *r, struct hl_conn *c, struct slice message)
{
	uint32_t command = be24_get(message.p + 5);

	hl_pcap_message(r, c, false, message);
	if (message.p[4] & HL_FLAG_R)
		take_request(r, c, message);
	else if (command == HL_CMD_CE)
		take_cea(r, c, message);
	else if (command == HL_CMD_DP)
		hl_conn_lost(r, c, "the peer answers a DPR that was not sent");
	else
		hl_procedures_answer(r, c, message);
}

// Takes the whole messages out of the input buffer.
static void take_input(struct hl_run *r, struct hl_conn *c)
{
	uint32_t at = 0;

	while (c->fd >= 0 && c->in_len - at >= HL_HEADER) {
		const uint8_t *p = c->in + at;
		uint32_t len = be24_get(p + 1);
		if (p[0] != 1 || len < HL_HEADER || (len & 3) || len > HL_IN_SIZE) {
			r->stats.malformed++;
			hl_conn_lost(r, c, "the peer sends what is not Diameter");
			return;
		}
		if (c->in_len - at < len)
			break;
		__builtin_prefetch(p + len);
		take_message(r, c, slice_of(p, len));
		at += len;
	}
	if (c->fd < 0)
		return;
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
}

void hl_conn_read(struct hl_run *r, struct hl_conn *c)
{
	while (c->fd >= 0 && c->readable) {
		size_t room = HL_IN_SIZE - c->in_len;
		ssize_t n = c->tls ? hl_tls_recv(c, c->in + c->in_len, room)
				   : recv(c->fd, c->in + c->in_len, room, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			c->readable = errno == EINTR;
			continue;
		}
		if (n <= 0) {
			hl_conn_lost(r, c, n < 0 ? err_text(errno) : "the peer closed the connection");
			return;
		}
		// TCP: less than asked for is all that there was
		c->readable = c->tls || r->o->sctp || (size_t)n == room;
		c->in_len += (uint32_t)n;
		r->now_ns = hl_clock_ns();
		take_input(r, c);
	}
}

void hl_conn_connected(struct hl_run *r, struct hl_conn *c)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		hl_conn_lost(r, c, err_text(error));
		return;
	}
	const char *why = r->tls ? hl_tls_handshake(r, c) : NULL;
	if (why)
		hl_conn_lost(r, c, why);
	else if (!c->shaking)
		send_cer(r, c);
}

void hl_conn_flush(struct hl_run *r, struct hl_conn *c)
{
	hl_pcap_sending(r, c);
	while (c->fd >= 0 && c->out_sent < c->out_len) {
		const uint8_t *p = c->out + c->out_sent;
		uint32_t left = c->out_len - c->out_sent;
		ssize_t n = c->tls       ? hl_tls_send(c, p, left)
			    : r->o->sctp ? hl_sctp_send(c, p, left)
					 : send(c->fd, p, left, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			hl_conn_lost(r, c, err_text(errno));
			return;
		}
		c->out_sent += (uint32_t)n;
	}
	c->out_sent = c->out_len = c->pcap_out = 0;
}
