// The loop of a run: see run.h. Each turn sends what is due, waits only when neither direction can move, and
// reads what has arrived.
#include "tools/hss-load/run.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_NS     100000000ull
#define GIVE_UP_NS   60000000000ull // without any connection
#define DPA_WAIT_NS  2000000000ull
#define DRAIN_NS     2000000000ull // after a signal
#define MIN_SLEEP_NS 50000ull

static volatile sig_atomic_t interrupts;

void hl_run_interrupt(void)
{
	interrupts = interrupts + 1;
}

uint64_t hl_clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

// Host of connection n: NAME, then NAME with -2, -3 ... in its first label.
static bool make_host(char out[256], const char *name, unsigned n)
{
	const char *dot = strchr(name, '.');
	int head = dot ? (int)(dot - name) : (int)strlen(name);
	int len = n == 0 ? snprintf(out, 256, "%s", name)
			 : snprintf(out, 256, "%.*s-%u%s", head, name, n + 1, dot ? dot : "");
	return len > 0 && len < 256;
}

static bool resolve(struct hl_run *r)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	int rc = getaddrinfo(r->o->host, r->o->port, &hints, &r->addresses);

	if (rc)
		fprintf(stderr, "hss-load: %s: %s\n", r->o->host, gai_strerror(rc));
	return rc == 0;
}

static int init_conn(struct hl_run *r, unsigned n)
{
	struct hl_conn *c = &r->conns[n];

	c->fd = -1;
	c->in = malloc(HL_IN_SIZE);
	c->out = malloc(HL_OUT_SIZE);
	if (!c->in || !c->out)
		return -ENOMEM;
	if (!make_host(c->origin_host, r->o->origin_host, n))
		return -EINVAL;
	for (int kind = 0; kind < HL_KINDS; kind++)
		if (!hl_template_build(&c->templates[kind], (enum hl_kind)kind, r->o, r->subscribers->digits,
				       c->origin_host))
			return -EINVAL;
	return 0;
}

static uint32_t slots_wanted(const struct hl_options *o)
{
	double outstanding = o->rate * o->timeout * 1.1 + 1024;
	if (o->window)
		return o->window;
	return outstanding < HL_MAX_SLOTS ? (uint32_t)outstanding : HL_MAX_SLOTS;
}

int hl_run_init(struct hl_run *r, const struct hl_options *o, struct sim *sim, struct hl_subscribers *s,
		FILE *log)
{
	uint32_t random[2] = {0};

	*r = (struct hl_run){
	    .o = o,
	    .sim = sim,
	    .subscribers = s,
	    .log = log,
	    .slot_count = slots_wanted(o),
	    .free_head = HL_NO_SLOT,
	    .ready_head = HL_NO_SLOT,
	    .ready_tail = HL_NO_SLOT,
	};
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -EIO;
	// RFC 6733 8.8 and 3: unique over restarts
	r->session_high = (uint32_t)time(NULL) ^ random[0] >> 24;
	r->end_to_end_base = (uint32_t)time(NULL) << 20 | (random[1] & 0xfffff);
	r->slots = calloc(r->slot_count, sizeof *r->slots);
	r->conns = calloc(o->connections, sizeof *r->conns);
	if (!r->slots || !r->conns)
		return -ENOMEM;
	if (o->kase == HL_RESYNC && !(r->resync = calloc(r->slot_count, sizeof *r->resync)))
		return -ENOMEM;
	for (unsigned i = 0; i < o->connections; i++) {
		int rc = init_conn(r, i);
		if (rc)
			return rc;
	}
	return 0;
}

void hl_run_fini(struct hl_run *r)
{
	for (unsigned i = 0; r->conns && i < r->o->connections; i++) {
		if (r->conns[i].in && r->conns[i].fd >= 0)
			close(r->conns[i].fd);
		hl_tls_close(&r->conns[i]);
		free(r->conns[i].in);
		free(r->conns[i].out);
	}
	free(r->conns);
	hl_tls_fini(r);
	hl_pcap_fini(r);
	free(r->slots);
	free(r->resync);
	free(r->seen);
	if (r->addresses)
		freeaddrinfo(r->addresses);
	*r = (struct hl_run){0};
}

static uint64_t sleep_ns(const struct hl_run *r)
{
	uint64_t ns = hl_procedures_next_due(r);

	if (ns > SWEEP_NS)
		ns = SWEEP_NS;
	// a wake-up for each of 200,000 requests a second would cost more than the requests
	return ns && ns < MIN_SLEEP_NS ? MIN_SLEEP_NS : ns;
}

static void wait_events(struct hl_run *r, uint64_t ns)
{
	struct pollfd fds[HL_MAX_CONNECTIONS];
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
	unsigned n = r->o->connections;

	for (unsigned i = 0; i < n; i++) {
		struct hl_conn *c = &r->conns[i];
		bool out = (c->state == HL_CONNECTING && !c->shaking) || c->out_len > 0;
		fds[i] = (struct pollfd){.fd = c->fd, .events = (short)(POLLIN | (out ? POLLOUT : 0))};
	}
	if (ppoll(fds, n, &t, NULL) <= 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		struct hl_conn *c = &r->conns[i];
		if (fds[i].revents && c->state == HL_CONNECTING)
			hl_conn_connected(r, c);
		else if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			c->readable = true;
	}
}

static void timers(struct hl_run *r)
{
	for (unsigned i = 0; i < r->o->connections; i++)
		if (r->conns[i].state == HL_DOWN && r->now_ns >= r->conns[i].retry_ns && !r->stopping)
			hl_conn_start(r, &r->conns[i]);
	if (r->now_ns - r->sweep_ns >= SWEEP_NS) {
		r->sweep_ns = r->now_ns;
		hl_procedures_sweep(r);
	}
}

// One turn; `sending` is off while connections are set up and taken down.
static void turn(struct hl_run *r, bool sending)
{
	r->now_ns = hl_clock_ns();
	timers(r);
	if (sending)
		hl_procedures_send(r);
	for (unsigned i = 0; i < r->o->connections; i++)
		hl_conn_flush(r, &r->conns[i]);
	wait_events(r, sending ? sleep_ns(r) : SWEEP_NS);
	for (unsigned i = 0; i < r->o->connections; i++)
		hl_conn_read(r, &r->conns[i]);
}

static bool connect_all(struct hl_run *r)
{
	uint64_t limit;

	if (!hl_pcap_init(r) || !hl_tls_init(r) || !resolve(r)) {
		r->failed = true;
		return false;
	}
	r->now_ns = hl_clock_ns();
	limit = r->now_ns + (r->o->reconnect ? GIVE_UP_NS : (uint64_t)(r->o->timeout * 1e9));
	for (unsigned i = 0; i < r->o->connections && !r->failed; i++)
		hl_conn_start(r, &r->conns[i]);
	while (!r->failed && r->open_conns < r->o->connections && !interrupts) {
		turn(r, false);
		if (r->now_ns > limit) {
			fprintf(stderr, "hss-load: %s:%s: no connection in time\n", r->o->host, r->o->port);
			r->failed = true;
		}
	}
	return !r->failed && !interrupts;
}

static void play(struct hl_run *r)
{
	uint64_t drain_limit = 0, last_open;

	r->now_ns = r->start_ns = r->sweep_ns = last_open = r->last_answer_ns = hl_clock_ns();
	r->end_ns = r->o->duration > 0 ? r->start_ns + (uint64_t)(r->o->duration * 1e9) : UINT64_MAX;
	while (!r->failed && !hl_procedures_finished(r)) {
		turn(r, true);
		if (r->open_conns)
			last_open = r->now_ns;
		r->stopping |= r->now_ns >= r->end_ns;
		if (interrupts && !drain_limit) {
			r->stopping = true;
			drain_limit = r->now_ns + DRAIN_NS;
		}
		if (interrupts > 1 || (drain_limit && r->now_ns > drain_limit) ||
		    (r->stopping && !r->open_conns))
			break;
		if (r->now_ns - last_open > GIVE_UP_NS) {
			fprintf(stderr, "hss-load: %s:%s: the connection does not come back\n", r->o->host,
				r->o->port);
			r->failed = true;
		}
	}
	r->stats.lost += r->busy;
}

static void disconnect_all(struct hl_run *r)
{
	uint64_t limit = hl_clock_ns() + DPA_WAIT_NS;
	bool waiting = true;

	r->stopping = true;
	for (unsigned i = 0; i < r->o->connections; i++)
		hl_conn_disconnect(r, &r->conns[i]);
	while (waiting && r->now_ns < limit) {
		turn(r, false);
		waiting = false;
		for (unsigned i = 0; i < r->o->connections; i++)
			waiting |= r->conns[i].fd >= 0;
	}
}

bool hl_run_play(struct hl_run *r)
{
	// the default slack of 50 us would be added to every sleep of the open loop
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	if (connect_all(r)) {
		play(r);
		disconnect_all(r);
	}
	return !r->failed;
}
