// Tests whether peers are served: connects to each of our listening sockets as a peer does, sends a CER and a
// DWR, and waits for the answers. systemd's watchdog is fed only while these tests succeed, so a port on
// which no frontend answers restarts the service. hssd.
//
// Only the headers of the answers are looked at. The frontend recognises hssd by its Origin-Host, its address
// and a token (admission.h), and makes no peer of it. An answer with any result shows that a frontend is
// there, and so does a connection that is closed: the listening socket is hssd's own, and stays open when the
// frontends are dead. A TLS port gets no CER; it must answer the end of the stream by its own end.
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/diameter/base.h"
#include "supervisor/hssd.h"

#define ANSWER_MAX 4096
#define CODE_CER   257
#define CODE_DWR   280

enum look { LOOK_CONNECT, LOOK_CEA, LOOK_DWA, LOOK_END };

static struct {
	struct hssd *h;
	void (*good)(void);
	struct event *event;
	int fd; // -1: no look is under way
	unsigned at; // listener
	enum look look;
	uint32_t hop;
	size_t len;
	uint8_t in[ANSWER_MAX];
} probe = {.fd = -1};

static void next_listener(void);

static void hang_up(void)
{
	if (probe.event)
		event_free(probe.event);
	probe.event = NULL;
	if (probe.fd >= 0)
		close(probe.fd);
	probe.fd = -1;
}

static void failed(const char *why)
{
	const struct config_listen *l = &probe.h->config.listen[probe.at];

	log_error("listener_not_served", LOG_STR("address", l->address), LOG_INT("port", l->port), LOG_STR("reason", why));
	hang_up();
}

static void served(void)
{
	hang_up();
	probe.at++;
	next_listener();
}

// --- what is sent

static bool send_request(uint32_t code)
{
	static const uint32_t apps[] = {APP_RELAY};
	const struct config *c = &probe.h->config;
	const struct base_addr any = {.len = 4, .octets = {127, 0, 0, 1}};
	const struct base_node me = {
	    .host = slice_str(c->host),
	    .realm = slice_str(c->realm),
	    .product = slice_str("corehss watchdog"),
	    .origin_state_id = probe.h->control->probe_token, // by this the frontend knows us
	    .addrs = &any,
	    .addr_cnt = 1,
	    .apps = apps,
	    .app_cnt = 1,
	};
	uint8_t out[2048];
	struct wr w = wr_of(out, sizeof(out));

	probe.hop++;
	if (code == CODE_CER)
		base_cer_write(&w, &me, probe.hop, probe.hop);
	else
		base_dwr_write(&w, &me, probe.hop, probe.hop);
	// a fresh connection takes so little whole, or it has ended
	return !w.err && send(probe.fd, out, wr_len(&w), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)wr_len(&w);
}

// --- events

static void wait_for(short what);

static void connected(void)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(probe.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		failed(err_text(error));
		return;
	}
	if (probe.h->config.listen[probe.at].transport == TRANSPORT_TLS) {
		probe.look = LOOK_END;
		shutdown(probe.fd, SHUT_WR);
	} else {
		probe.look = LOOK_CEA;
		if (!send_request(CODE_CER)) {
			served(); // closed by a frontend
			return;
		}
	}
	wait_for(EV_READ);
}

// A whole message is here.
static void answered(void)
{
	struct header head;
	uint32_t code = probe.look == LOOK_CEA ? CODE_CER : CODE_DWR;

	header_get(probe.in, &head);
	if (head.version != DIAMETER_VERSION || head.flags & HEADER_R || head.code != code || head.hop_by_hop != probe.hop) {
		failed("not the answer to our request");
		return;
	}
	probe.len = 0;
	if (probe.look == LOOK_CEA) {
		probe.look = LOOK_DWA;
		if (send_request(CODE_DWR)) {
			wait_for(EV_READ);
			return;
		}
	}
	served();
}

static void readable(void)
{
	ssize_t n = recv(probe.fd, probe.in + probe.len, sizeof(probe.in) - probe.len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		wait_for(EV_READ);
		return;
	}
	if (n <= 0 || probe.look == LOOK_END) {
		served(); // refused or ended by a frontend: it is there
		return;
	}
	probe.len += (size_t)n;
	if (probe.len < DIAMETER_HEADER_LEN || probe.len < be24_get(probe.in + 1)) {
		if (probe.len == sizeof(probe.in))
			failed("an answer that is too long");
		else
			wait_for(EV_READ);
		return;
	}
	answered();
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (probe.look == LOOK_CONNECT)
		connected();
	else
		readable();
}

static void wait_for(short what)
{
	if (probe.event)
		event_free(probe.event);
	probe.event = event_new(probe.h->base, probe.fd, what, on_event, NULL);
	if (!probe.event || event_add(probe.event, NULL) < 0)
		failed("no memory");
}

// --- the listeners in turn

// From the address that the listener has, so that the frontend sees that the connection comes from here.
static bool dial(const struct sockaddr_storage *to, socklen_t len)
{
	struct sockaddr_storage from = *to;
	int protocol = probe.h->config.listen[probe.at].transport == TRANSPORT_SCTP ? IPPROTO_SCTP : 0;

	if (from.ss_family == AF_INET)
		((struct sockaddr_in *)&from)->sin_port = 0;
	else
		((struct sockaddr_in6 *)&from)->sin6_port = 0;
	probe.fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (probe.fd < 0 || bind(probe.fd, (const struct sockaddr *)&from, len) < 0)
		return false;
	return connect(probe.fd, (const struct sockaddr *)to, len) == 0 || errno == EINPROGRESS;
}

// Where this listener is reached from here.
static bool address_of(unsigned at, struct sockaddr_storage *to, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

	*len = sizeof(*to);
	if (getsockname(probe.h->diameter_fd[at], (struct sockaddr *)to, len) < 0)
		return false;
	if (to->ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY))
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (to->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
	return true;
}

static void next_listener(void)
{
	struct sockaddr_storage to = {0};
	socklen_t len;

	if (probe.at >= probe.h->diameter_cnt) {
		probe.good();
		return;
	}
	probe.len = 0;
	probe.look = LOOK_CONNECT;
	if (!address_of(probe.at, &to, &len) || !dial(&to, len)) {
		failed(err_text(errno));
		return;
	}
	wait_for(EV_WRITE);
}

// Every frontend has all the connections that it may have: ours waits with others in the queue, and that is no fault.
static bool frontends_full(const struct hssd *h)
{
	for (unsigned i = 0; i < h->config.frontends; i++) {
		const struct stats_block *s = &h->control->stats[control_instance(ROLE_FRONTEND, i)];
		uint64_t held = s->c[STAT_CONNECTIONS_ACCEPTED] + s->c[STAT_CONNECTIONS_OPENED] - s->c[STAT_CONNECTIONS_CLOSED];

		if (held < h->config.max_connections)
			return false;
	}
	return true;
}

void probe_start(struct hssd *h, void (*good)(void))
{
	probe.h = h;
	probe.good = good;
	if (probe.fd >= 0 && !frontends_full(h))
		failed("no answer in time");
	bool waits_in_turn = probe.fd >= 0;
	hang_up();
	probe.at = 0;
	if (waits_in_turn || h->phase == PHASE_STOPPING)
		good();
	else
		next_listener();
}
