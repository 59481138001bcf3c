// Who is connected, remembered over restarts (peers.dial_back): stock MMEs of some vendors dial a lost HSS after half a minute
// only, and refuse every phone until then, although they would take a connection from it at once. Once a second the directory of
// peers is looked at; a change is written to `peers` in state_dir (one line a peer, replaced as a whole; a power cut may cost the
// last changes). At a start, and when a frontend has died, the frontends get the peers that were connected, and dial them until
// they are back, for ten minutes at most. hssd.
//
// The directory is written by frontends from what peers say: names and addresses are looked at before they are believed.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/options.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "supervisor/hssd.h"

#define LOOK_S	1
#define FILE_NAME "peers"
#define FORGET_MS 600000u // a peer that is not back by then
#define TEXT_MAX  (CONFIG_REMEMBERED_MAX * 400)

struct known {
	struct config_remembered r;
	unsigned frontend; // that dials it
	uint64_t lost_ms;  // 0: it is connected
};

static struct {
	struct known known[CONFIG_REMEMBERED_MAX];
	unsigned cnt;
	struct event *timer;
	char text[TEXT_MAX], written[TEXT_MAX]; // of the file
	_Atomic bool writing;			// by the thread: `written` is its own
	bool ended;
} memory;

static bool address_valid(const char *text)
{
	uint8_t octets[16];
	return inet_pton(AF_INET, text, octets) == 1 || inet_pton(AF_INET6, text, octets) == 1;
}

// --- the file

static void read_line(struct hssd *h, char *line)
{
	struct known *k = &memory.known[memory.cnt];
	char *save = NULL;
	const char *host = strtok_r(line, " ", &save), *via = strtok_r(NULL, " ", &save);
	const char *address[2] = {strtok_r(NULL, " ", &save), strtok_r(NULL, " ", &save)};
	const char *const *words = option_words(OPTION_VIA);

	if (!host || !via || !address[1] || !config_identity_valid(host) || memory.cnt == CONFIG_REMEMBERED_MAX)
		return;
	*k = (struct known){.frontend = memory.cnt % h->config.frontends, .lost_ms = clock_mono_ms()};
	snprintf(k->r.host, sizeof(k->r.host), "%s", host);
	for (uint8_t i = 0; words[i]; i++)
		if (strcmp(words[i], via) == 0)
			k->r.via = i;
	for (unsigned i = 0; i < 2; i++)
		if (address_valid(address[i]))
			snprintf(k->r.addresses[i], sizeof(k->r.addresses[i]), "%.45s", address[i]);
	memory.cnt++;
}

static void read_file(struct hssd *h)
{
	char *save = NULL;
	int fd = openat(h->state_dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd >= 0 ? read(fd, memory.text, sizeof(memory.text) - 1) : 0;
	if (fd >= 0)
		close(fd);
	memory.text[n > 0 ? n : 0] = 0;
	for (char *line = strtok_r(memory.text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_line(h, line);
}

// The file as it should be now.
static void compose(char text[TEXT_MAX])
{
	const char *const *words = option_words(OPTION_VIA);
	size_t n = 0;
	text[0] = 0;
	for (unsigned i = 0; i < memory.cnt && n < TEXT_MAX; i++) {
		const struct config_remembered *r = &memory.known[i].r;
		n += (size_t)snprintf(text + n, TEXT_MAX - n, "%s %s %s %s\n", r->host, words[r->via],
				      r->addresses[0][0] ? r->addresses[0] : "-", r->addresses[1][0] ? r->addresses[1] : "-");
	}
}

// In a thread, so that a slow disk holds nobody up; and in place at the end.
static void *write_file(void *arg)
{
	const struct hssd *h = arg;
	size_t len = strlen(memory.written);
	int fd = openat(h->state_dir_fd, FILE_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && write(fd, memory.written, len) == (ssize_t)len;
	if (fd >= 0 && close(fd) < 0)
		ok = false;
	if (ok)
		ok = renameat(h->state_dir_fd, FILE_NAME ".new", h->state_dir_fd, FILE_NAME) == 0;
	static struct log_limit limit;
	if (!ok && log_limit_pass(&limit, 1))
		log_warn("peers_not_remembered", LOG_STR("directory", h->config.state_dir), LOG_STR("error", err_text(errno)));
	__atomic_store_n(&memory.writing, false, __ATOMIC_RELEASE);
	return NULL;
}

static void write_changes(struct hssd *h, bool now)
{
	if (__atomic_load_n(&memory.writing, __ATOMIC_ACQUIRE))
		return; // the next look tries again
	compose(memory.text);
	if (strcmp(memory.text, memory.written) == 0)
		return;
	memcpy(memory.written, memory.text, sizeof(memory.written));
	__atomic_store_n(&memory.writing, true, __ATOMIC_RELEASE);
	if (now || !background(write_file, h))
		(void)write_file(h);
}

// --- the directory

static struct known *find(const char *host)
{
	for (unsigned i = 0; i < memory.cnt; i++)
		if (strcasecmp(memory.known[i].r.host, host) == 0)
			return &memory.known[i];
	return NULL;
}

// "192.0.2.7:40000" or "[2001:db8::7]:40000"
static void without_port(const char text[64], char out[46])
{
	const char *from = text + (text[0] == '[');
	size_t len = text[0] == '[' ? strcspn(from, "]") : (size_t)((strrchr(text, ':') ? strrchr(text, ':') : text) - text);
	snprintf(out, 46, "%.*s", len < 46 ? (int)len : 0, from);
	if (!address_valid(out))
		out[0] = 0;
}

static void note(const struct control_peer *p)
{
	char host[CONFIG_NAME_MAX], text[64];
	snprintf(host, sizeof(host), "%.*s", p->host_len, p->host);
	struct known *k = find(host);
	if (!config_identity_valid(host) || (!k && memory.cnt == CONFIG_REMEMBERED_MAX))
		return;
	if (!k)
		k = &memory.known[memory.cnt++];
	*k = (struct known){.frontend = p->frontend};
	memcpy(k->r.host, host, sizeof(host));
	k->r.via = p->transport == TRANSPORT_SCTP ? VIA_SCTP : p->transport == TRANSPORT_TLS ? VIA_TLS : VIA_TCP;
	snprintf(text, sizeof(text), "%.45s", p->listens);
	if (address_valid(text))
		snprintf(k->r.addresses[0], sizeof(k->r.addresses[0]), "%.45s", text);
	snprintf(text, sizeof(text), "%.63s", p->address);
	without_port(text, k->r.addresses[1]);
}

// Those that left in order, and those that have not come back for long, are forgotten.
static void look(struct hssd *h)
{
	struct known was[CONFIG_REMEMBERED_MAX];
	unsigned was_cnt = memory.cnt;
	uint64_t now_ms = clock_mono_ms();

	memcpy(was, memory.known, sizeof(was));
	memory.cnt = 0;
	for (unsigned i = 0; i < was_cnt; i++)
		if (was[i].lost_ms && now_ms - was[i].lost_ms < FORGET_MS)
			memory.known[memory.cnt++] = was[i];
	for (unsigned i = 0; i < PEER_DIRECTORY_MAX; i++) {
		const struct control_peer *p = &h->control->peer[i];
		if (__atomic_load_n((const uint32_t *)&p->owner, __ATOMIC_ACQUIRE) &&
		    __atomic_load_n((const uint32_t *)&p->state, __ATOMIC_ACQUIRE) == PEER_SLOT_OPEN)
			note(p);
	}
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct hssd *h = arg;
	(void)fd;
	(void)what;
	if (memory.ended)
		return;
	look(h);
	write_changes(h, false);
}

bool remember_start(struct hssd *h)
{
	static const struct timeval every = {.tv_sec = LOOK_S};
	if (!h->config.dial_back)
		return true;
	read_file(h);
	compose(memory.written);
	memory.timer = event_new(h->base, -1, EV_PERSIST, on_look, h);
	return memory.timer && event_add(memory.timer, &every) == 0;
}

void remember_lost(struct hssd *h, unsigned frontend)
{
	if (!memory.timer || memory.ended)
		return;
	look(h);
	for (unsigned i = 0; i < memory.cnt; i++) {
		struct known *k = &memory.known[i];
		if (!k->lost_ms && k->frontend == frontend)
			k->lost_ms = clock_mono_ms();
	}
}

void remember_for(const struct instance *in, struct config *c)
{
	c->remembered_cnt = 0;
	for (unsigned i = 0; i < memory.cnt && in->role == ROLE_FRONTEND; i++)
		if (memory.known[i].lost_ms && memory.known[i].frontend == in->index)
			c->remembered[c->remembered_cnt++] = memory.known[i].r;
}

void remember_finish(struct hssd *h)
{
	if (!memory.timer || memory.ended)
		return;
	memory.ended = true; // from here on peers leave because we do
	look(h);
	write_changes(h, true);
}
