// What a host that we connect to can do with octets alone: a stream, cut into pieces, in place of its CEA or
// after it, while it may also connect to us by itself (an election). The first octet says which: bit 0: after
// a good CEA; bit 1: it connects too, before the octets; bit 2: ours is the greater identity; the rest: how
// long the pieces are. Afterwards it is dialled again, is our peer, and another one is served.
#include <stdio.h>
#include <unistd.h>
#include "frontend/dial.h"
#include "tests/support/check.h"
#include "tests/support/frontend_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ff f;
static struct config_peer *const aaa = &f.config.peer[0];
static int dialled = -1; // the other end of the last connection that the frontend opened

// In place of the system's: the connection is a socket pair, whose other end is the peer here.
int connect(int fd, const struct sockaddr *to, socklen_t len)
{
	int fds[2];
	(void)to, (void)len;
	CHECK(dialled < 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0 &&
	      dup2(fds[1], fd) >= 0);
	close(fds[1]);
	dialled = fds[0];
	return 0;
}

static void start(void)
{
	ff_configure(&f);
	*aaa = (struct config_peer){
	    .addresses = {"127.0.0.1"}, .address_cnt = 1, .via = VIA_TCP, .connect = true};
	f.config.peer_cnt = 1; // at the start there must be one, or none is ever dialled
	ff_open(&f, 1, 1000000000);
}

// It may have been closed: what comes next sees that.
static void say(int fd, const uint8_t *message, size_t len)
{
	if (ff_send(fd, message, len))
		ff_pump(&f, 3);
}

// Answers the CER with this Hop-by-Hop.
static void say_cea(int fd, const char *host, uint32_t hop)
{
	uint8_t out[512], in[DIAMETER_HEADER_LEN] = {1, 0, 0, DIAMETER_HEADER_LEN, HEADER_R, 0, 1, 1};
	struct base_node node = ff_node(host);
	struct wr w = wr_of(out, sizeof out);
	be32_put(in + HEADER_HBH_OFFSET, hop);
	base_cea_write(&w, &node, in, RESULT_SUCCESS, NULL, slice_str(""));
	say(fd, out, wr_len(&w));
}

static int comes(const char *host)
{
	uint8_t out[512];
	int fd = ff_connect(&f, NULL);
	say(fd, out, ff_cer(out, sizeof out, host));
	return fd;
}

static void hang_up(void)
{
	if (dialled >= 0)
		close(dialled);
	dialled = -1;
	ff_pump(&f, 3);
}

// As after a reload: dialled at once, whatever happened before. Returns the CER's Hop-by-Hop.
static uint32_t dial(void)
{
	f.config.peer_cnt = 0;
	dial_configure(&f.fe[0]);
	f.config.peer_cnt = aaa->address_cnt = 1;
	dial_configure(&f.fe[0]);
	aaa->address_cnt = 0; // a socket pair comes from no address
	uint32_t hop = f.fe[0].next_hop = 7;
	ff_later(&f, 1);
	CHECK(dialled >= 0 && ff_drain(dialled) >= DIAMETER_HEADER_LEN);
	return hop;
}

static void attack(const uint8_t *data, size_t size)
{
	size_t piece = (data[0] >> 3) * 7u + 1 + size / 40; // few enough to be quick
	int own = -1;
	uint32_t hop = dial();
	if (data[0] & 2)
		own = comes(aaa->host);
	if (data[0] & 1)
		say_cea(dialled, aaa->host, hop);
	ff_send_pieces(&f, dialled, data + 1, size - 1, piece);
	ff_pump(&f, 2);
	// whoever won: it is not connected twice, and what it may have is a connection that works
	CHECK(frontend_conn_cnt(&f.fe[0]) <= (own >= 0 ? 2 : 1));
	hang_up();
	if (own >= 0)
		close(own);
	ff_pump(&f, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.base)
		start();
	if (size < 1)
		return 0;
	snprintf(aaa->host, sizeof aaa->host, "%s", data[0] & 4 ? "aaa.example" : "zzz.example");
	attack(data, size);
	ff_later(&f, 3000); // what lingers is gone; it may have been dialled again
	hang_up();
	ff_later(&f, 3000);
	hang_up();
	uint32_t hop = dial();
	say_cea(dialled, aaa->host, hop);
	CHECK(ff_is_peer(&f, aaa->host));
	int good = comes("good.example");
	CHECK(ff_drain(good) >= DIAMETER_HEADER_LEN && ff_is_peer(&f, "good.example"));
	close(good);
	f.config.peer_cnt = 0; // nobody is dialled between inputs
	dial_configure(&f.fe[0]);
	hang_up();
	ff_later(&f, 3000);
	CHECK(ff_at_rest(&f));
	return 0;
}
