// Steps of handshakes in a thread of their own: the loop serves others meanwhile, one step at a time in the
// order in which they were wanted, and a connection that is closed before or during its step. The transport
// is the test's: a step of it begins and ends when the test says so.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "frontend/peer.h"
#include "tests/support/frontend_fixture.h"

#define START_US 5000000000ull
#define PEERS    4

struct fake {
	struct ff_peer peer;
	char name[32];
	sem_t begun, go;
	unsigned left; // steps of the handshake
	unsigned steps;
	int error; // that the last step ends with
	bool inside, closed;
	bool by_loop;        // a step was taken by the loop's thread, or for more than the handshake
	uint8_t behind[512]; // came together with the handshake's last octets
	uint32_t behind_len;
};

static struct ff f;
static struct frontend *const fe = f.fe;
static struct fake fake[PEERS];
static struct ff_peer plain;
static pthread_t loop;

static int step(struct transport *t)
{
	struct fake *p = t->state;
	p->by_loop |= pthread_equal(pthread_self(), loop);
	p->inside = true;
	p->steps++;
	sem_post(&p->begun);
	sem_wait(&p->go);
	p->inside = false;
	t->costly = --p->left > 0;
	t->pending = t->costly ? 0 : p->behind_len;
	return -EAGAIN;
}

static ssize_t fake_recv(struct transport *t, void *buf, size_t cap)
{
	struct fake *p = t->state;
	if (t->costly) {
		uint8_t drop[64];
		p->by_loop |= cap != 0;
		(void)transport_tcp.recv(t, drop, sizeof drop);
		return step(t);
	}
	if (p->error)
		return p->error;
	if (t->pending == 0)
		return transport_tcp.recv(t, buf, cap);
	memcpy(buf, p->behind, t->pending);
	t->pending = 0;
	return (ssize_t)p->behind_len;
}

static ssize_t fake_send(struct transport *t, const void *buf, size_t len)
{
	return transport_tcp.send(t, buf, len);
}

static void fake_shut(struct transport *t)
{
	transport_tcp.shut(t);
}

static void fake_close(struct transport *t)
{
	struct fake *p = t->state;
	assert_false(p->inside);
	p->closed = true;
	transport_tcp.close(t);
}

static uint32_t fake_local(const struct transport *t, struct base_addr out[BASE_ADDRS_MAX])
{
	(void)t, (void)out;
	return 0;
}

static const struct transport_ops ops = {.name = "fake",
					 .recv = fake_recv,
					 .send = fake_send,
					 .shut = fake_shut,
					 .close = fake_close,
					 .local = fake_local,
					 .remote = transport_remote};

static void fake_up(struct fake *p, unsigned left)
{
	int fds[2];
	p->left = left;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	p->peer.fd = fds[0];
	p->peer.conn =
	    conn_open_take(fe, &(struct transport){.ops = &ops, .fd = fds[1], .state = p, .costly = true});
	assert_non_null(p->peer.conn);
	assert_true(ff_send(p->peer.fd, "hello", 5));
}

static int setup(void **state)
{
	(void)state;
	memset(fake, 0, sizeof fake);
	plain = (struct ff_peer){0};
	loop = pthread_self();
	alarm(60); // a step that never comes
	ff_configure(&f);
	ff_open(&f, 1, START_US);
	assert_int_equal(handshake_start(fe), 0);
	for (unsigned i = 0; i < PEERS; i++) {
		snprintf(fake[i].name, sizeof fake[i].name, "mme%u.example", i);
		fake[i].behind_len = ff_cer(fake[i].behind, sizeof fake[i].behind, fake[i].name);
		fake[i].peer.fd = -1;
		sem_init(&fake[i].begun, 0, 0);
		sem_init(&fake[i].go, 0, 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ff_peer_free(&plain);
	ff_close(&f);
	for (unsigned i = 0; i < PEERS; i++) {
		ff_peer_free(&fake[i].peer);
		sem_destroy(&fake[i].begun);
		sem_destroy(&fake[i].go);
	}
	return 0;
}

// Turns the loop until the peer has a message; drops it.
static void await_message(struct ff_peer *p)
{
	while (!ff_peer_message(p) && !p->eof) {
		event_base_loop(f.base, EVLOOP_ONCE);
		ff_peer_read(p);
	}
	assert_true(ff_peer_message(p) > 0);
	ff_peer_drop(p);
}

static void await_step(struct fake *p)
{
	while (sem_trywait(&p->begun))
		event_base_loop(f.base, EVLOOP_NONBLOCK);
}

// ---- tests ---------------------------------------------------------------------------------------

static void test_others_are_served(void **state)
{
	uint8_t msg[512];
	(void)state;
	fake_up(&fake[0], 2);
	await_step(&fake[0]);
	// the step takes as long as this
	ff_peer_open(&f, &plain);
	assert_true(ff_send(plain.fd, msg, ff_cer(msg, sizeof msg, FF_MME)));
	await_message(&plain);
	for (unsigned i = 0; i < 10; i++) {
		assert_true(ff_send(plain.fd, msg, ff_dwr(msg, sizeof msg, FF_MME)));
		await_message(&plain);
	}
	assert_true(fake[0].inside);
	sem_post(&fake[0].go);
	// the next step comes with the next octets, and the CER behind the last one
	assert_true(ff_send(fake[0].peer.fd, "more", 4));
	await_step(&fake[0]);
	assert_false(ff_is_peer(&f, fake[0].name));
	sem_post(&fake[0].go);
	await_message(&fake[0].peer);
	assert_true(ff_is_peer(&f, fake[0].name));
	assert_int_equal(fake[0].steps, 2);
	assert_false(fake[0].by_loop);
	// no thread is needed for what follows
	assert_true(ff_send(fake[0].peer.fd, msg, ff_dwr(msg, sizeof msg, fake[0].name)));
	await_message(&fake[0].peer);
	assert_int_equal(fake[0].steps, 2);
}

static void test_in_turn(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEERS; i++) {
		fake_up(&fake[i], 1);
		ff_pump(&f, 2);
	}
	for (unsigned i = 0; i < PEERS; i++) {
		await_step(&fake[i]);
		for (unsigned other = i + 1; other < PEERS; other++)
			assert_int_equal(fake[other].steps, 0);
		sem_post(&fake[i].go);
		await_message(&fake[i].peer);
	}
}

static void test_closed_in_the_queue(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEERS; i++) {
		fake_up(&fake[i], 1);
		ff_pump(&f, 2);
	}
	await_step(&fake[0]);
	conn_close(fake[2].peer.conn, "test");
	conn_close(fake[1].peer.conn, "test");
	assert_true(fake[1].closed && fake[2].closed);
	sem_post(&fake[0].go);
	await_step(&fake[3]);
	sem_post(&fake[3].go);
	await_message(&fake[3].peer);
	await_message(&fake[0].peer);
	assert_int_equal(fake[1].steps + fake[2].steps, 0);
	// their places are others'
	fake_up(&fake[1], 1);
	await_step(&fake[1]);
	sem_post(&fake[1].go);
	await_message(&fake[1].peer);
}

static bool closing;

static void *let_go(void *arg)
{
	while (!__atomic_load_n(&closing, __ATOMIC_ACQUIRE))
		sched_yield();
	for (unsigned i = 0; i < 1000; i++)
		sched_yield();
	sem_post(arg);
	return NULL;
}

// The transport is the thread's until its step has ended, as fake_close checks.
static void test_closed_in_a_step(void **state)
{
	pthread_t helper;
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		fake_up(&fake[i], 1);
		ff_pump(&f, 2);
	}
	await_step(&fake[0]);
	closing = false;
	assert_int_equal(pthread_create(&helper, NULL, let_go, &fake[0].go), 0);
	__atomic_store_n(&closing, true, __ATOMIC_RELEASE);
	conn_close(fake[0].peer.conn, "test");
	pthread_join(helper, NULL);
	assert_true(fake[0].closed);
	await_step(&fake[1]);
	sem_post(&fake[1].go);
	await_message(&fake[1].peer);
	assert_false(ff_is_peer(&f, fake[0].name));
}

// Too long for its time: closed by the clock, between two steps of its own.
static void test_no_cer_in_time(void **state)
{
	(void)state;
	fake_up(&fake[0], 2);
	await_step(&fake[0]);
	sem_post(&fake[0].go);
	while (fake[0].peer.conn->shaking)
		event_base_loop(f.base, EVLOOP_ONCE);
	ff_later(&f, 6000);
	assert_true(fake[0].closed);
	assert_true(ff_at_rest(&f));
}

static void test_refused(void **state)
{
	(void)state;
	fake_up(&fake[0], 1);
	fake[0].behind_len = 0;
	fake[0].error = -EPROTO;
	await_step(&fake[0]);
	sem_post(&fake[0].go);
	while (!fake[0].closed)
		event_base_loop(f.base, EVLOOP_ONCE);
	assert_true(ff_at_rest(&f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_others_are_served, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_in_turn, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_closed_in_the_queue, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_closed_in_a_step, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_cer_in_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
