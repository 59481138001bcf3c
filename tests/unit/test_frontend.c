// The frontend on real sockets: IPv4 and IPv6 listeners, what it says about its own address, full tables,
// idle memory; and two frontends beside each other, which share the directory of peers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/base/clock.h"
#include "lib/base/ident.h"
#include "lib/diameter/avp.h"
#include "tests/support/frontend_fixture.h"

static struct ff f;
static struct frontend *const fe = f.fe;
static uint8_t buf[65536];

static int setup(void **state)
{
	(void)state;
	ff_configure(&f);
	ff_open(&f, 2, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ff_close(&f);
	return 0;
}

static void pump(void)
{
	ff_pump(&f, 20);
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

// A listening socket on a free port of the loopback address; `to` is where to connect. -1 without IPv6 here.
static int listener(int family, union address *to)
{
	socklen_t len = sizeof *to;
	int fd = socket(family, SOCK_STREAM, 0);
	*to = (union address){.any = {.sa_family = (sa_family_t)family}};
	if (family == AF_INET)
		to->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		to->v6.sin6_addr = in6addr_loopback;
	if (fd < 0 || bind(fd, &to->any, sizeof *to) || listen(fd, 16) || getsockname(fd, &to->any, &len)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int join(const union address *to)
{
	int fd = socket(to->any.sa_family, SOCK_STREAM, 0);
	struct timeval patience = {.tv_sec = 5};
	assert_int_equal(connect(fd, &to->any, sizeof *to), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

// The loop turns until the socket has something to read.
static ssize_t receive(int fd)
{
	for (int i = 0; i < 2000; i++) {
		ff_pump(&f, 1);
		ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
		if (n >= 0)
			return n;
		usleep(100); // the kernel's loopback
	}
	return -1;
}

// The loop turns until a frontend has no more connections than that: their ends are on the way.
static void wait_for_conns(const struct frontend *of, uint32_t most)
{
	for (int i = 0; i < 1000 && frontend_conn_cnt(of) > most; i++) {
		usleep(100);
		pump();
	}
}

static void say_cer(int fd, const char *host)
{
	assert_true(ff_send(fd, buf, ff_cer(buf, sizeof buf, host)));
}

static void say_dwr(int fd, const char *host)
{
	assert_true(ff_send(fd, buf, ff_dwr(buf, sizeof buf, host)));
}

// The Result-Code of the CEA, which is left in buf.
static uint32_t cer(int fd, const char *host, struct base_cer *cea)
{
	say_cer(fd, host);
	ssize_t n = receive(fd);
	assert_true(n > DIAMETER_HEADER_LEN);
	base_cer_read(buf, (uint32_t)n, cea);
	return cea->result;
}

static void test_listeners(void **state)
{
	union address v4, v6;
	struct base_cer cea;
	(void)state;
	int a = listener(AF_INET, &v4), b = listener(AF_INET6, &v6);
	assert_int_equal(frontend_listen_take(&fe[0], &transport_tcp, a), 0);
	int one = join(&v4);
	assert_int_equal(cer(one, "four.example", &cea), 2001);
	assert_int_equal(cea.addr_cnt, 1);
	assert_int_equal(cea.addrs[0].len, 4);
	assert_memory_equal(cea.addrs[0].octets, "\x7f\0\0\1", 4);
	assert_memory_equal(fe[0].conns.conn[0].address, "127.0.0.1:", 10);
	if (b >= 0) {
		assert_int_equal(frontend_listen_take(&fe[0], &transport_tcp, b), 0);
		int two = join(&v6);
		assert_int_equal(cer(two, "six.example", &cea), 2001);
		assert_int_equal(cea.addr_cnt, 1);
		assert_int_equal(cea.addrs[0].len, 16);
		assert_memory_equal(cea.addrs[0].octets, &in6addr_loopback, 16);
		assert_memory_equal(fe[0].conns.conn[1].address, "[::1]:", 6);
		close(two);
	}
	assert_int_equal(frontend_listen_take(&fe[0], NULL, dup(1)), -EINVAL);
	for (int kind = TRANSPORT_TCP; kind <= TRANSPORT_TLS; kind++) // what the peer directory shows
		assert_int_equal(transport_find((enum config_transport)kind)->kind, kind);
	close(one);
	pump();
}

// A listener that two frontends share: each connection is taken once, whoever comes first.
static void test_shared_listener(void **state)
{
	union address to;
	struct base_cer cea;
	char host[32];
	int fds[10];
	(void)state;
	int a = listener(AF_INET, &to);
	assert_int_equal(frontend_listen_take(&fe[0], &transport_tcp, a), 0);
	assert_int_equal(frontend_listen_take(&fe[1], &transport_tcp, dup(a)), 0);
	for (int i = 0; i < 10; i++) {
		fds[i] = join(&to);
		snprintf(host, sizeof host, "mme%d.example", i);
		assert_int_equal(cer(fds[i], host, &cea), 2001);
	}
	// one frontend holds 8: the others went to the second one
	assert_int_equal(frontend_conn_cnt(&fe[0]) + frontend_conn_cnt(&fe[1]), 10);
	assert_true(frontend_conn_cnt(&fe[0]) <= 8 && frontend_conn_cnt(&fe[1]) <= 8);
	for (int i = 0; i < 10; i++)
		close(fds[i]);
	pump();
	for (int i = 0; i < 2; i++)
		wait_for_conns(&fe[i], 0);
	assert_int_equal(frontend_conn_cnt(&fe[0]) + frontend_conn_cnt(&fe[1]), 0);
}

// Full: who is in stays, the next one waits in the queue until a place is free.
static void test_full(void **state)
{
	union address to;
	struct base_cer cea;
	char host[32];
	int fds[9];
	(void)state;
	int a = listener(AF_INET, &to);
	assert_int_equal(frontend_listen_take(&fe[0], &transport_tcp, a), 0);
	for (int i = 0; i < 9; i++) {
		fds[i] = join(&to);
		snprintf(host, sizeof host, "mme%d.example", i);
		if (i < 8)
			assert_int_equal(cer(fds[i], host, &cea), 2001);
	}
	say_cer(fds[8], "late.example");
	pump();
	assert_int_equal(frontend_conn_cnt(&fe[0]), 8);
	assert_int_equal(recv(fds[8], buf, sizeof buf, MSG_DONTWAIT), -1);
	close(fds[3]);
	assert_true(receive(fds[8]) > 0);
	assert_int_equal(frontend_conn_cnt(&fe[0]), 8);
	for (int i = 0; i < 9; i++)
		if (i != 3)
			close(fds[i]);
}

static void test_same_host_on_two_frontends(void **state)
{
	union address to[2];
	struct base_cer cea;
	uint32_t frontend, conn, generation;
	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(frontend_listen_take(&fe[i], &transport_tcp, listener(AF_INET, &to[i])), 0);
	int one = join(&to[0]), two = join(&to[1]);
	assert_int_equal(cer(one, "mme.example", &cea), 2001);
	// that may be a dead one's: the second CER waits for a second
	uint64_t then_us = clock_mono_us();
	say_cer(two, "MME.example");
	pump();
	clock_freeze_us(then_us + 500000);
	frontend_tick(&fe[1]);
	assert_int_equal(recv(two, buf, sizeof buf, MSG_DONTWAIT), -1);
	clock_freeze_us(then_us + 2000000);
	frontend_tick(&fe[1]);
	ssize_t n = receive(two);
	assert_true(n > DIAMETER_HEADER_LEN);
	base_cer_read(buf, (uint32_t)n, &cea);
	assert_int_equal(cea.result, 4003);
	assert_int_equal(receive(two), 0);
	close(two);
	clock_freeze_us(0);
	// in doubt at the one, it may come to the other
	uint64_t now_us = clock_mono_us();
	for (int i = 1; i <= 2; i++) {
		clock_freeze_us(now_us + (uint64_t)i * 33000000);
		frontend_tick(&fe[0]);
	}
	assert_int_equal(
	    control_peer_find(f.control, slice_str("mme.example"), &frontend, &conn, &generation), -1);
	two = join(&to[1]);
	assert_int_equal(cer(two, "mme.example", &cea), 2001);
	// and when the old connection comes back, there is one too many
	say_dwr(one, "mme.example");
	wait_for_conns(&fe[0], 0);
	clock_freeze_us(0);
	assert_int_equal(frontend_conn_cnt(&fe[0]), 0);
	close(one);
	control_peer_find(f.control, slice_str("mme.example"), &frontend, &conn, &generation);
	assert_int_equal(frontend, 1);
	close(two);
}

// A frontend died and hssd has not cleared its entries when the peer is back at another one.
static void test_same_host_of_a_dead_frontend(void **state)
{
	union address to;
	struct base_cer cea;
	(void)state;
	assert_int_equal(frontend_listen_take(&fe[1], &transport_tcp, listener(AF_INET, &to)), 0);
	int entry = control_peer_claim(f.control, 0);
	struct control_peer *p = &f.control->peer[entry];
	p->frontend = 0;
	p->host_len = 11;
	memcpy(p->host, "mme.example", 12);
	p->host_hash = ident_hash_bytes(slice_str("mme.example"), true);
	p->state = PEER_SLOT_OPEN;
	for (int early = 0; early < 2; early++) {
		int fd = join(&to);
		say_cer(fd, "mme.example");
		pump();
		assert_int_equal(frontend_conn_cnt(&fe[1]), 1);
		assert_int_equal(recv(fd, buf, sizeof buf, MSG_DONTWAIT), -1);
		if (early == 0) { // who does not wait for the CEA is no peer
			say_cer(fd, "mme.example");
			assert_int_equal(receive(fd), 0);
			assert_int_equal(frontend_conn_cnt(&fe[1]), 0);
			close(fd);
			continue;
		}
		control_peer_release(f.control, entry);
		clock_freeze_us(clock_mono_us() + 200000);
		frontend_tick(&fe[1]);
		ssize_t n = receive(fd);
		assert_true(n > DIAMETER_HEADER_LEN);
		base_cer_read(buf, (uint32_t)n, &cea);
		assert_int_equal(cea.result, 2001);
		clock_freeze_us(0);
		close(fd);
	}
}

// What an idle connection keeps: nothing, or one small buffer after a message that came in two pieces.
static void test_idle_memory(void **state)
{
	union address to;
	struct base_cer cea;
	(void)state;
	assert_int_equal(frontend_listen_take(&fe[0], &transport_tcp, listener(AF_INET, &to)), 0);
	int fd = join(&to);
	assert_int_equal(cer(fd, "mme.example", &cea), 2001);
	struct conn *c = &fe[0].conns.conn[0];
	assert_null(c->in);
	assert_null(c->out);
	assert_true(sizeof *c <= 2048);
	for (unsigned round = 0; round < 2; round++) {
		uint32_t len = ff_dwr(buf, sizeof buf, "mme.example");
		if (round) { // a large one: an unknown AVP that says nothing
			struct wr w = wr_of(buf + len, sizeof buf - len);
			avp_put(&w, 9999, 0, 0, (const uint8_t[50000]){0}, 50000);
			len += (uint32_t)wr_len(&w);
			be24_put(buf + 1, len);
		}
		assert_int_equal(send(fd, buf, len - 10, 0), len - 10);
		for (int i = 0; i < 1000 && c->in_len < len - 10; i++) {
			pump();
			usleep(100);
		}
		assert_int_equal(c->in_len, len - 10);
		assert_int_equal(send(fd, buf + len - 10, 10, 0), 10);
		assert_true(receive(fd) > 0);
		assert_int_equal(c->in_len, 0);
		assert_true(c->in_cap <= CONN_TAIL_KEEP);
		assert_null(c->out);
	}
	close(fd);
}

// Whatever octets come, in whatever pieces: the frontend stays, its other peer is served.
static void test_noise(void **state)
{
	union address to;
	struct base_cer cea;
	unsigned seed = 12345;
	(void)state;
	assert_int_equal(frontend_listen_take(&fe[0], &transport_tcp, listener(AF_INET, &to)), 0);
	int good = join(&to);
	assert_int_equal(cer(good, "good.example", &cea), 2001);
	for (unsigned round = 0; round < 300; round++) {
		int bad = join(&to);
		if (round % 2)
			assert_int_equal(cer(bad, "bad.example", &cea), 2001);
		uint8_t junk[512];
		for (unsigned i = 0; i < sizeof junk; i++)
			junk[i] = (uint8_t)rand_r(&seed);
		// often a believable header, so that the inside is reached
		unsigned len = 20 + 4 * (unsigned)(rand_r(&seed) % 100);
		junk[0] = 1;
		be24_put(junk + 1, len);
		junk[4] = (uint8_t)(round % 4 < 2 ? HEADER_R | HEADER_P : rand_r(&seed));
		be24_put(junk + 5, round % 3 ? 318 : 280);
		be32_put(junk + 8, round % 3 ? APP_S6A : APP_BASE);
		send(bad, junk, len, MSG_NOSIGNAL);
		shutdown(bad, SHUT_WR);
		while (receive(bad) > 0)
			continue;
		close(bad);
		wait_for_conns(&fe[0], 1);
	}
	say_dwr(good, "good.example");
	assert_true(receive(good) > DIAMETER_HEADER_LEN);
	close(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_listeners, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_shared_listener, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_full, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_same_host_on_two_frontends, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_same_host_of_a_dead_frontend, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_idle_memory, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
