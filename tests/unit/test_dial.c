// When a peer of the list is dialled: the waits between attempts, which ends of a connection make them longer or
// shorter, and when a peer is left alone. The clock is frozen, and connect() is the test's: it refuses, or gives
// a socket pair.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "frontend/dial.h"
#include "tests/support/frontend_fixture.h"

#define START_US 5000000000ull
#define HOST     "dra.example"

static struct ff f;
static unsigned attempts;
static bool refuses;
static int theirs = -1; // the peer's end of the last connection

// In place of the system's.
int connect(int fd, const struct sockaddr *to, socklen_t len)
{
	int fds[2];
	(void)to, (void)len;
	attempts++;
	if (refuses) {
		errno = ECONNREFUSED;
		return -1;
	}
	assert_int_equal(theirs, -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	assert_true(dup2(fds[1], fd) >= 0);
	close(fds[1]);
	theirs = fds[0];
	return 0;
}

static int setup(void **state)
{
	(void)state;
	ff_configure(&f);
	f.config.peer[0] = (struct config_peer){
	    .host = HOST, .addresses = {"127.0.0.1"}, .address_cnt = 1, .via = VIA_TCP, .connect = true};
	f.config.peer_cnt = 1;
	attempts = 0;
	refuses = false;
	ff_open(&f, 1, START_US);
	f.config.peer[0].address_cnt = 0; // the dialer has its copy; a socket pair comes from no address
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (theirs >= 0)
		close(theirs);
	theirs = -1;
	ff_close(&f);
	memset(&f, 0, sizeof f);
	return 0;
}

static struct dial_status status(void)
{
	return dial_status(&f.fe[0], 0, f.now_us / 1000);
}

// The peer is dialled after `about_ms`, a quarter more or less, as its status says; not a millisecond earlier.
static void expect_next_after(uint32_t about_ms)
{
	uint32_t wait_ms = status().next_ms;
	unsigned before = attempts;
	assert_in_range(wait_ms, about_ms - about_ms / 4, about_ms + about_ms / 4);
	ff_later(&f, wait_ms - 1);
	assert_int_equal(attempts, before);
	ff_later(&f, 1);
	assert_int_equal(attempts, before + 1);
}

static void hang_up(void)
{
	close(theirs);
	theirs = -1;
	ff_pump(&f, 3);
}

// Dialled just now: answers its CER with the Hop-by-Hop that it has.
static void accept_it(void)
{
	uint8_t cer[4096], out[512];
	ff_pump(&f, 3);
	assert_true(read(theirs, cer, sizeof cer) >= DIAMETER_HEADER_LEN);
	struct base_node node = ff_node(HOST);
	struct wr w = wr_of(out, sizeof out);
	base_cea_write(&w, &node, cer, RESULT_SUCCESS, NULL, slice_str(""));
	assert_true(ff_send(theirs, out, wr_len(&w)));
	ff_pump(&f, 3);
	assert_true(ff_is_peer(&f, HOST));
}

static void test_back_off(void **state)
{
	(void)state;
	static const uint32_t about_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
	refuses = true;
	ff_later(&f, 1);
	assert_int_equal(attempts, 1);
	assert_string_equal(status().reason, "Connection refused");
	for (size_t i = 0; i < sizeof about_ms / sizeof about_ms[0]; i++)
		expect_next_after(about_ms[i]);
}

// Accepted and closed before the CEA: a failure as well.
static void test_back_off_of_closed_connections(void **state)
{
	(void)state;
	ff_later(&f, 1);
	for (uint32_t about_ms = 1000; about_ms <= 8000; about_ms *= 2) {
		hang_up();
		assert_false(status().connecting);
		expect_next_after(about_ms);
	}
}

static void test_short_connections_do_not_shorten_the_wait(void **state)
{
	(void)state;
	ff_later(&f, 1);
	accept_it();
	assert_false(status().connecting);
	hang_up();
	expect_next_after(2000); // the attempt itself has used the first one up
	accept_it();
	hang_up();
	expect_next_after(8000);
}

static void test_a_healthy_connection_begins_afresh(void **state)
{
	(void)state;
	refuses = true;
	ff_later(&f, 1);
	expect_next_after(1000);
	expect_next_after(2000);
	refuses = false;
	expect_next_after(4000);
	f.config.watchdog_ms = 120000; // no DWR meanwhile
	accept_it();
	ff_later(&f, 30000);
	assert_int_equal(attempts, 4);
	hang_up();
	expect_next_after(1000);
}

static void test_nobody_is_dialled_who_is_connected(void **state)
{
	(void)state;
	uint8_t cer[512];
	int own = ff_connect(&f, NULL);
	assert_true(ff_send(own, cer, ff_cer(cer, sizeof cer, HOST)));
	ff_pump(&f, 3);
	assert_true(ff_is_peer(&f, HOST));
	for (unsigned i = 0; i < 10; i++)
		ff_later(&f, 1000);
	assert_int_equal(attempts, 0);
	close(own);
	ff_pump(&f, 3);
	ff_later(&f, 1000);
	assert_int_equal(attempts, 1);
}

static void test_a_reload_dials_at_once(void **state)
{
	(void)state;
	refuses = true;
	ff_later(&f, 1);
	expect_next_after(1000);
	f.config.peer[0].address_cnt = 1;
	dial_configure(&f.fe[0]);
	ff_later(&f, 1);
	assert_int_equal(attempts, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_back_off, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_back_off_of_closed_connections, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_short_connections_do_not_shorten_the_wait, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_healthy_connection_begins_afresh, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nobody_is_dialled_who_is_connected, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_reload_dials_at_once, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
