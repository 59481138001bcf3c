// Reference programs for the benchmarks: what this machine can do at most with a server of our shape.
//   relay            process A owns the sockets, splits the stream into messages and passes them over a Unix
//   socket to
//                    process B, which turns each request into a small successful answer; whole batches a
//                    system call
//   relay --vectors  B also makes one E-UTRAN vector for each request, as a worker does
//   relay --sink     one process answers at once: the measure of hss-load itself
// No state machine, no checks of AVPs, no subscribers: whatever the HSS costs more than this is its own
// logic. Ends when standard input is closed or on SIGTERM.
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/base/ident.h"
#include "tools/hss-load/message.h"
#include "lib/auth/vectors.h"

#define BUF_SIZE  (1u << 20)
#define HEADROOM  (1u << 16) // free bytes in an output buffer before anything more is read for it
#define MAX_LINKS 17         // 0: the other process, the rest: clients
#define FRAME     8          // length, link number

struct link {
	int fd;
	uint32_t in_len, out_len, out_sent;
	uint8_t *in, *out;
};

struct answerer {
	bool vectors;
	struct auth auth;
	struct auth_keys keys;
	uint64_t seq;
	uint8_t plmn[3];
	uint8_t tail[512]; // the answer's AVPs after the Session-Id, as far as they never change
	uint32_t tail_len;
	struct hl_options names;
};

static void die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, err_text(errno));
	exit(1);
}

static void link_open(struct link *l, int fd)
{
	*l = (struct link){.fd = fd, .in = malloc(BUF_SIZE), .out = malloc(BUF_SIZE)};
	if (!l->in || !l->out)
		die("malloc");
}

static void link_close(struct link *l)
{
	close(l->fd);
	free(l->in);
	free(l->out);
	*l = (struct link){.fd = -1};
}

static void links_close(struct link *links)
{
	for (int i = 0; i < MAX_LINKS; i++)
		if (links[i].fd >= 0)
			link_close(&links[i]);
}

// False: the other end has gone.
static bool link_fill(struct link *l, int flags)
{
	ssize_t n = recv(l->fd, l->in + l->in_len, BUF_SIZE - l->in_len, flags);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	l->in_len += (uint32_t)n;
	return true;
}

static void link_consume(struct link *l, uint32_t used)
{
	memmove(l->in, l->in + used, l->in_len - used);
	l->in_len -= used;
}

static bool link_flush(struct link *l, int flags)
{
	while (l->out_sent < l->out_len) {
		ssize_t n = send(l->fd, l->out + l->out_sent, l->out_len - l->out_sent, flags | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		l->out_sent += (uint32_t)n;
	}
	l->out_sent = l->out_len = 0;
	return true;
}

static bool link_has_room(const struct link *l)
{
	return BUF_SIZE - l->out_len >= HEADROOM;
}

static struct wr link_writer(struct link *l)
{
	return wr_of(l->out + l->out_len, BUF_SIZE - l->out_len);
}

// The next whole message, or an empty slice; *bad when the stream is no Diameter.
static struct slice next_message(const struct link *l, uint32_t at, bool *bad)
{
	if (l->in_len - at < HL_HEADER)
		return (struct slice){0};
	uint32_t len = be24_get(l->in + at + 1);
	*bad = l->in[at] != 1 || len < HL_HEADER || len > HEADROOM / 2 || (len & 3);
	return *bad || l->in_len - at < len ? (struct slice){0} : slice_of(l->in + at, len);
}

static void answerer_init(struct answerer *a)
{
	struct wr w = wr_of(a->tail, sizeof a->tail);
	uint8_t *group = hl_open(&w, 260, 0, true);

	a->names.origin_host = "relay.bench.invalid";
	a->names.origin_realm = "bench.invalid";
	hl_put_u32(&w, 266, 0, true, HL_VENDOR_3GPP);
	hl_put_u32(&w, 258, 0, true, HL_APP_S6A);
	hl_close(&w, group);
	hl_put_u32(&w, 268, 0, true, 2001);
	hl_put_u32(&w, 277, 0, true, 1);
	hl_put_text(&w, 264, 0, true, a->names.origin_host);
	hl_put_text(&w, 296, 0, true, a->names.origin_realm);
	a->tail_len = (uint32_t)wr_len(&w);
	if (w.err || (a->vectors && auth_init(&a->auth)))
		die("start");
}

static void put_vector(struct answerer *a, struct wr *w)
{
	struct eutran_vector v;

	if (auth_eutran_vector(&a->auth, &a->keys, ++a->seq << 5, a->plmn, &v))
		die("vector");
	uint8_t *info = hl_open(w, 1413, HL_VENDOR_3GPP, true);
	uint8_t *vector = hl_open(w, 1414, HL_VENDOR_3GPP, true);
	hl_put_u32(w, 1419, HL_VENDOR_3GPP, true, 1);
	hl_put(w, 1447, HL_VENDOR_3GPP, true, v.rand, 16);
	hl_put(w, 1448, HL_VENDOR_3GPP, true, v.xres, v.xres_len);
	hl_put(w, 1449, HL_VENDOR_3GPP, true, v.autn, 16);
	hl_put(w, 1450, HL_VENDOR_3GPP, true, v.kasme, 32);
	hl_close(w, vector);
	hl_close(w, info);
}

// The request's header and Session-Id, then what never changes, then the vector.
static void answer(struct answerer *a, struct wr *w, struct slice request)
{
	uint8_t *start = w->p;
	struct rd r = rd_slice(request);
	struct hl_avp first;

	(void)rd_take(&r, HL_HEADER);
	wr_bytes(w, request.p, HL_HEADER);
	if (w->err)
		return;
	start[4] &= (uint8_t)~HL_FLAG_R;
	if (hl_avp_next(&r, &first))
		hl_put(w, first.code, first.vendor, true, first.data.p, first.data.len);
	wr_bytes(w, a->tail, a->tail_len);
	if (a->vectors)
		put_vector(a, w);
	hl_finish(w, start);
}

// Answers every whole frame that has arrived; false when A has gone.
static bool answer_batch(struct answerer *a, struct link *l)
{
	uint32_t at = 0;

	while (l->in_len - at >= FRAME && l->in_len - at >= be32_get(l->in + at)) {
		uint32_t len = be32_get(l->in + at);
		if (!link_has_room(l) && !link_flush(l, 0))
			return false;
		struct wr w = link_writer(l);
		uint8_t *head = wr_reserve(&w, FRAME);
		if (!head)
			return false;
		memcpy(head, l->in + at, FRAME);
		answer(a, &w, slice_of(l->in + at + FRAME, len - FRAME));
		be32_put(head, (uint32_t)wr_len(&w));
		l->out_len += (uint32_t)wr_len(&w);
		at += len;
	}
	link_consume(l, at);
	return link_flush(l, 0);
}

// Process B: frames in, frames out, until A has gone.
static void run_back(struct answerer *a, int fd)
{
	struct link l;

	link_open(&l, fd);
	answerer_init(a);
	while (link_fill(&l, 0) && answer_batch(a, &l))
		;
	link_close(&l);
	if (a->vectors)
		auth_fini(&a->auth);
}

// CER, DWR and DPR are answered here, the rest goes to B (or, as a sink, is answered at once).
static void pass_request(struct link *links, uint32_t n, struct slice message, struct answerer *sink)
{
	uint32_t command = be24_get(message.p + 5);
	bool base = command == HL_CMD_CE || command == HL_CMD_DW || command == HL_CMD_DP;
	struct link *to = base || sink ? &links[n] : &links[0];
	struct wr w = link_writer(to);

	if (base) {
		static const struct hl_options names = {.origin_realm = "bench.invalid"};
		hl_write_answer(&w, &names, "relay.bench.invalid", message);
	} else if (sink) {
		answer(sink, &w, message);
	} else {
		wr_u32(&w, FRAME + message.len);
		wr_u32(&w, n);
		wr_slice(&w, message);
	}
	if (!w.err)
		to->out_len += (uint32_t)wr_len(&w);
}

static void read_client(struct link *links, uint32_t n, struct answerer *sink)
{
	struct link *l = &links[n];
	bool bad = !link_fill(l, MSG_DONTWAIT);
	uint32_t at = 0;
	struct slice message;

	while (!bad && link_has_room(l) && (sink || link_has_room(&links[0]))) {
		message = next_message(l, at, &bad);
		if (!message.len)
			break;
		pass_request(links, n, message, sink);
		at += message.len;
	}
	if (bad)
		link_close(l);
	else
		link_consume(l, at);
}

// Answers from B to the connections they belong to.
static void read_back(struct link *links)
{
	struct link *b = &links[0];
	uint32_t at = 0;

	if (!link_fill(b, MSG_DONTWAIT)) {
		fputs("relay: the second process has gone\n", stderr);
		exit(1);
	}
	while (b->in_len - at >= FRAME && b->in_len - at >= be32_get(b->in + at)) {
		uint32_t len = be32_get(b->in + at), n = be32_get(b->in + at + 4);
		struct link *to = &links[n < MAX_LINKS ? n : 0];
		if (to->fd >= 0 && to != b) {
			if (!link_has_room(to))
				break;
			memcpy(to->out + to->out_len, b->in + at + FRAME, len - FRAME);
			to->out_len += len - FRAME;
		}
		at += len;
	}
	link_consume(b, at);
}

static void accept_client(struct link *links, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), on = 1, size = 4 << 20;

	if (fd < 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	for (int i = 1; i < MAX_LINKS; i++)
		if (links[i].fd < 0) {
			link_open(&links[i], fd);
			return;
		}
	close(fd);
}

static short wanted(const struct link *l, bool other_has_room)
{
	bool in = l->in_len < BUF_SIZE && link_has_room(l) && other_has_room;
	return (short)((in ? POLLIN : 0) | (l->out_len ? POLLOUT : 0));
}

// Process A, or the sink when `sink` is set. fds: clients, the other process, the listener, standard input.
static void run_front(int listener, int back, struct answerer *sink)
{
	struct link links[MAX_LINKS];
	struct pollfd fds[MAX_LINKS + 2];

	for (int i = 0; i < MAX_LINKS; i++)
		links[i] = (struct link){.fd = -1};
	if (!sink)
		link_open(&links[0], back);
	for (;;) {
		bool room = sink || link_has_room(&links[0]);
		for (int i = 0; i < MAX_LINKS; i++) {
			bool open = links[i].fd >= 0;
			fds[i] = (struct pollfd){.fd = links[i].fd};
			if (open)
				fds[i].events = i ? wanted(&links[i], room)
						  : (short)(POLLIN | (links[0].out_len ? POLLOUT : 0));
		}
		fds[MAX_LINKS] = (struct pollfd){.fd = listener, .events = POLLIN};
		fds[MAX_LINKS + 1] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
		if (poll(fds, MAX_LINKS + 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (fds[MAX_LINKS + 1].revents & (POLLIN | POLLHUP)) {
			links_close(links);
			return;
		}
		if (fds[MAX_LINKS].revents)
			accept_client(links, listener);
		if (fds[0].revents & (POLLIN | POLLHUP))
			read_back(links);
		for (uint32_t i = 1; i < MAX_LINKS; i++)
			if (fds[i].fd >= 0 && fds[i].revents & (POLLIN | POLLHUP | POLLERR))
				read_client(links, i, sink);
		for (int i = 0; i < MAX_LINKS; i++)
			if (links[i].fd >= 0 && links[i].out_len && !link_flush(&links[i], MSG_DONTWAIT))
				link_close(&links[i]);
	}
}

// Listens on 127.0.0.1; port 0 takes a free one. Prints the port, so that a test can wait for the line.
static int listen_on(uint16_t port)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    bind(fd, (struct sockaddr *)&a, len) || listen(fd, 16) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		die("listen");
	printf("%u\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

static void start(uint16_t port, bool sink, struct answerer *a)
{
	int pair[2], listener;

	if (sink) {
		answerer_init(a);
		run_front(listen_on(port), -1, a);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	pid_t child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0UL, 0UL, 0UL);
		close(pair[0]);
		run_back(a, pair[1]);
		exit(0);
	}
	close(pair[1]);
	listener = listen_on(port);
	run_front(listener, pair[0], NULL);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"port", required_argument, NULL, 'p'}, {"sink", no_argument, NULL, 's'},
	    {"vectors", no_argument, NULL, 'v'},    {"k", required_argument, NULL, 'k'},
	    {"opc", required_argument, NULL, 'o'},  {0},
	};
	static struct answerer a = {.plmn = {0x00, 0xf1, 0x10}};
	unsigned long port = 0;
	bool sink = false, good = true;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			port = strtoul(optarg, NULL, 10);
		else if (c == 's')
			sink = true;
		else if (c == 'v')
			a.vectors = true;
		else if (c == 'k')
			good &= hex_parse(slice_str(optarg), a.keys.k, 16);
		else if (c == 'o')
			good &= hex_parse(slice_str(optarg), a.keys.opc, 16);
		else
			good = false;
	}
	if (!good || optind != argc || port > 65535) {
		fputs("usage: relay [--port N] [--sink | --vectors] [--k HEX --opc HEX]\n", stderr);
		return 2;
	}
	start((uint16_t)port, sink, &a);
	return 0;
}
