// Plays one scenario (*.scn): the real frontend on socket pairs, with a worker that does what the scenario
// says, in one process under a frozen clock. README.md describes the lines.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "frontend/route.h"
#include "lib/base/ident.h"
#include "tests/protocol/compose.h"
#include "tests/support/check.h"
#include "tests/support/frontend_fixture.h"

#define PEERS_MAX   8
#define WORKERS_MAX 4
#define PUMPS       300 // rounds of the event loop after which nothing more is expected
#define BUFFER      (256u << 10)
#define START_US    1000000000000ull

struct peer {
	char name[32];
	struct ff_peer end;
	struct compose_ids ids;
};

struct asked {
	uint64_t id;
	struct ipc_request head;
	uint8_t *msg;
};

struct worker {
	unsigned index;
	struct asked *asked;               // REQUESTs not answered yet
	size_t asked_cnt, asked_cap, seen; // `seen`: those that the scenario has looked at
	struct ipc_hss_answer own;
	bool own_there;
};

static struct ff f;
static struct peer peers[PEERS_MAX];
static unsigned peer_cnt;
static struct worker workers[WORKERS_MAX];
static size_t split;
static bool started, stop_done;
static uint8_t scratch[BUFFER];

static void pump(void)
{
	ff_pump(&f, 1);
}

// ---- the worker ----------------------------------------------------------------------------------

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct worker *w = ctx;
	(void)ch;
	if (hdr->type == IPC_HSS_ANSWER) {
		memcpy(&w->own, body, sizeof w->own);
		w->own_there = true;
		return;
	}
	if (w->asked_cnt == w->asked_cap) {
		w->asked_cap = w->asked_cap ? w->asked_cap * 2 : 64;
		CHECK((w->asked = realloc(w->asked, w->asked_cap * sizeof *w->asked)) != NULL);
	}
	struct asked *a = &w->asked[w->asked_cnt++];
	a->id = hdr->id;
	memcpy(&a->head, body, sizeof a->head);
	CHECK((a->msg = malloc(a->head.msg_len)) != NULL);
	memcpy(a->msg, body + sizeof a->head + a->head.slot_cnt * sizeof(struct avp_slot), a->head.msg_len);
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	const struct worker *w = ctx;
	(void)ch, (void)why;
	channel_free(&f.worker[w->index]);
}

static const struct channel_ops worker_ops = {.on_frame = on_frame, .on_down = on_down};

static void asked_drop(struct worker *w)
{
	free(w->asked[0].msg);
	memmove(w->asked, w->asked + 1, --w->asked_cnt * sizeof *w->asked);
	if (w->seen)
		w->seen--;
}

static void worker_start(unsigned i)
{
	workers[i].index = i;
	while (workers[i].asked_cnt)
		asked_drop(&workers[i]);
	ff_worker_start(&f, i, &worker_ops, &workers[i]);
}

static struct worker *worker_of(const struct line *l)
{
	uint64_t i = line_number(l, "worker", 0);
	if (i >= f.config.workers)
		line_fail(l, "no such worker");
	return &workers[i];
}

static void worker_expects(const struct line *l)
{
	struct worker *w = worker_of(l);
	for (unsigned i = 0; i < PUMPS && w->seen == w->asked_cnt; i++)
		pump();
	if (w->seen == w->asked_cnt)
		line_fail(l, "the worker was asked nothing");
	const struct asked *a = &w->asked[w->seen++];
	compose_expect(l, l->word[1], a->msg, a->head.msg_len);
	if (line_value(l, "relayed", 0) &&
	    (a->head.host_hash == ident_hash_bytes(slice_str("mme.example"), true)) ==
		line_number(l, "relayed", 0))
		line_fail(l, "host hash");
}

static void worker_answers(const struct line *l)
{
	struct worker *w = worker_of(l);
	for (unsigned i = 0; i < PUMPS && w->asked_cnt == 0; i++)
		pump();
	struct channel *channel = f.worker[w->index];
	if (w->asked_cnt == 0 || !channel)
		line_fail(l, "the worker has nothing to answer");
	struct wr m = wr_of(scratch, sizeof scratch);
	compose_answer(l, w->asked[0].msg, &m);
	for (unsigned n = 0; n < line_number(l, "times", 1); n++) {
		uint8_t *p = channel_begin(channel, IPC_ANSWER, (uint16_t)stat_result_index(2001, false),
					   w->asked[0].id + line_number(l, "shift", 0), wr_len(&m));
		if (!p)
			line_fail(l, "the worker's channel is full");
		memcpy(p, scratch, wr_len(&m));
		channel_commit(channel, wr_len(&m));
	}
	channel_flush(channel);
	asked_drop(w);
	pump();
}

static void worker_line(const struct line *l)
{
	struct worker *w = worker_of(l);
	if (strcmp(l->word[0], "worker<") == 0) {
		worker_expects(l);
	} else if (strcmp(l->word[0], "worker>") == 0) {
		worker_answers(l);
	} else if (line_flag(l, "dies")) {
		pump();
		channel_free(&f.worker[w->index]);
		pump();
	} else if (line_flag(l, "starts")) {
		worker_start((unsigned)line_number(l, "worker", 0));
	} else {
		line_fail(l, "worker dies | starts");
	}
}

// ---- HSS-initiated requests ----------------------------------------------------------------------

static void own_send(const struct line *l)
{
	struct compose_ids ids = {.hop = 900};
	struct ipc_hss_request q = {.timeout_ms = (uint32_t)line_number(l, "timeout", 1000)};
	uint32_t frontend;
	const char *dhost = line_value(l, "dhost", 0);
	struct slice host = slice_str(dhost ? dhost : "");
	if (control_peer_find(f.control, host, &frontend, &q.conn, &q.generation) < 0 &&
	    !line_flag(l, "blind"))
		line_fail(l, "the directory does not have that peer");
	struct wr w = wr_of(scratch, sizeof scratch);
	wr_bytes(&w, &q, sizeof q);
	struct wr m = wr_of(scratch + sizeof q, sizeof scratch - sizeof q);
	compose_message(l, l->word[1], &ids, &m);
	workers[0].own_there = false;
	channel_send(f.worker[0], IPC_HSS_REQUEST, 4711, scratch, sizeof q + wr_len(&m));
	channel_flush(f.worker[0]);
	pump();
}

static void own_expect(const struct line *l)
{
	struct worker *w = &workers[0];
	for (unsigned i = 0; i < PUMPS && !w->own_there; i++)
		pump();
	if (!w->own_there)
		line_fail(l, "the worker was not told");
	w->own_there = false;
	if (w->own.status != line_number(l, "status", 0) || w->own.result != line_number(l, "result", 0))
		line_fail(l, "status %u result %u", w->own.status, w->own.result);
}

// ---- peers ---------------------------------------------------------------------------------------

static struct peer *peer_open(const char *name)
{
	CHECK(peer_cnt < PEERS_MAX);
	struct peer *p = &peers[peer_cnt++];
	snprintf(p->name, sizeof p->name, "%s", name);
	ff_peer_open(&f, &p->end);
	return p;
}

static struct peer *peer_of(const char *name, size_t len)
{
	char text[32];
	for (unsigned i = 0; i < peer_cnt; i++)
		if (strlen(peers[i].name) == len && strncmp(peers[i].name, name, len) == 0)
			return &peers[i];
	snprintf(text, sizeof text, "%.*s", (int)len, name);
	return peer_open(text);
}

static struct peer *peer_to(const struct line *l)
{
	const char *name = line_value(l, "to", 0);
	return peer_of(name ? name : "peer", strlen(name ? name : "peer"));
}

static void peer_write(const struct line *l, struct peer *p, const uint8_t *bytes, size_t len)
{
	unsigned stuck = 0;
	for (size_t at = 0; at < len;) {
		size_t piece = split && split < len - at ? split : len - at;
		ssize_t n = send(p->end.fd, bytes + at, piece, MSG_NOSIGNAL);
		if (n > 0) {
			at += (size_t)n;
			stuck = 0;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return; // closed on us: the scenario says whether that is right
		} else if (++stuck > PUMPS) {
			line_fail(l, "the peer's request is not read");
		}
		if (n <= 0 || split)
			pump();
	}
}

static void peer_line(const struct line *l)
{
	struct peer *p = peer_of(l->word[0], strlen(l->word[0]) - 1);
	if (l->word_cnt < 2)
		line_fail(l, "what does the peer send?");
	if (strcmp(l->word[1], "closes") == 0) {
		ff_peer_hang_up(&p->end);
		p->end.eof = true;
		pump();
		return;
	}
	if (strcmp(l->word[1], "hex") == 0) {
		char text[4096] = "";
		for (unsigned i = 2; i < l->word_cnt; i++)
			strncat(text, l->word[i], sizeof text - strlen(text) - 1);
		unsigned len = (unsigned)strlen(text) / 2;
		if (!hex_parse(slice_str(text), scratch, len))
			line_fail(l, "bad hex");
		peer_write(l, p, scratch, len);
		return;
	}
	struct wr w = wr_of(scratch, sizeof scratch);
	compose_message(l, l->word[1], &p->ids, &w);
	peer_write(l, p, scratch, wr_len(&w));
}

static void hss_line(const struct line *l)
{
	struct peer *p = peer_to(l);
	uint32_t len = 0;
	for (unsigned i = 0; i < PUMPS && !len; i++) {
		pump();
		ff_peer_read(&p->end);
		len = ff_peer_message(&p->end);
	}
	if (!len)
		line_fail(l, p->end.eof ? "closed instead" : "nothing was sent");
	// at a heap block's end of its own, so that the sanitizer sees whoever reads too far
	uint8_t *msg = malloc(len);
	memcpy(msg, p->end.in, len);
	struct header h;
	header_get(msg, &h);
	if (h.flags & HEADER_R) {
		p->ids.last_hop = h.hop_by_hop;
		p->ids.last_end = h.end_to_end;
	}
	compose_expect(l, l->word[1], msg, len);
	free(msg);
	ff_peer_drop(&p->end);
}

static void quiet(const struct line *l, bool want_eof)
{
	struct ff_peer *p = &peer_to(l)->end;
	char what[160];
	for (unsigned i = 0; i < (want_eof ? PUMPS : 20) && !p->eof; i++) {
		pump();
		ff_peer_read(p);
	}
	if (p->eof != want_eof)
		line_fail(l, want_eof ? "the connection is open" : "the connection is closed");
	if (ff_peer_message(p) && !line_flag(l, "unread")) {
		compose_describe(p->in, ff_peer_message(p), what, sizeof what);
		line_fail(l, "got %s", what);
	}
}

// ---- everything else -----------------------------------------------------------------------------

static void advance(const struct line *l)
{
	uint64_t left = l->word_cnt > 1 ? strtoull(l->word[1], NULL, 10) : 0;
	while (left) {
		uint64_t step = left < FRONTEND_TICK_MS ? left : FRONTEND_TICK_MS;
		ff_later(&f, (unsigned)step);
		left -= step;
	}
}

static void expect_stat(const struct line *l)
{
	static const char *const name[] = {
#define STAT(id, metric, labels, kind, help) #id,
#include "cache/stats.def"
#undef STAT
	};
	ff_pump(&f, 20);
	for (unsigned i = 0; l->word_cnt == 3 && i < STAT_CNT; i++) {
		if (strcmp(name[i], l->word[1]) != 0)
			continue;
		uint64_t got = f.fe[0].stats->c[i];
		if (got != strtoull(l->word[2], NULL, 10))
			line_fail(l, "it is %llu", (unsigned long long)got);
		return;
	}
	line_fail(l, "stat ID N");
}

static void expect_directory(const struct line *l)
{
	ff_pump(&f, 20);
	bool there = l->word_cnt > 1 && ff_is_peer(&f, l->word[1]);
	if (there == line_flag(l, "absent"))
		line_fail(l, there ? "it is there" : "it is not there");
}

static void configure(void)
{
	ff_configure(&f);
	snprintf(f.config.realms[f.config.realm_cnt++], CONFIG_NAME_MAX, "ims.example");
	f.config.max_connections = 16;
	f.config.max_pending = 4096;
}

static void set_config(const struct line *l)
{
	struct {
		const char *key;
		uint32_t *at;
	} numbers[] = {{"max_pending", &f.config.max_pending},
		       {"max_message", &f.config.max_message},
		       {"max_connections", &f.config.max_connections},
		       {"request_timeout_ms", &f.config.request_timeout_ms},
		       {"workers", &f.config.workers}};
	if (l->word_cnt != 3)
		line_fail(l, "config KEY VALUE");
	for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		if (strcmp(numbers[i].key, l->word[1]) == 0) {
			*numbers[i].at = (uint32_t)atoi(l->word[2]);
			return;
		}
	}
	if (strcmp(l->word[1], "listed") != 0)
		line_fail(l, "no such key");
	f.config.accept = ACCEPT_LISTED;
	snprintf(f.config.peer[f.config.peer_cnt++].host, CONFIG_NAME_MAX, "%s", l->word[2]);
}

static void stopped(void *ctx)
{
	(void)ctx;
	stop_done = true;
}

static void start(void)
{
	ff_open(&f, 1, START_US);
	for (unsigned i = 0; i < f.config.workers; i++)
		worker_start(i);
	started = true;
}

static void expect_pending(const struct line *l)
{
	ff_pump(&f, 50);
	if (l->word_cnt < 2 || route_pending(&f.fe[0]) != strtoul(l->word[1], NULL, 10))
		line_fail(l, "%u are pending", route_pending(&f.fe[0]));
}

static void play(const struct line *l)
{
	const char *w = l->word[0];
	if (strcmp(w, "config") == 0) {
		set_config(l);
		return;
	}
	if (!started)
		start();
	if (strncmp(w, "worker", 6) == 0)
		worker_line(l);
	else if (strcmp(w, "hss>") == 0)
		hss_line(l);
	else if (strcmp(w, "own>") == 0)
		own_send(l);
	else if (strcmp(w, "own<") == 0)
		own_expect(l);
	else if (strncmp(w, "peer", 4) == 0 && w[strlen(w) - 1] == '>')
		peer_line(l);
	else if (strcmp(w, "advance") == 0)
		advance(l);
	else if (strcmp(w, "closed") == 0 || strcmp(w, "nothing") == 0)
		quiet(l, w[0] == 'c');
	else if (strcmp(w, "split") == 0)
		split = l->word_cnt > 1 ? strtoul(l->word[1], NULL, 10) : 0;
	else if (strcmp(w, "stat") == 0)
		expect_stat(l);
	else if (strcmp(w, "directory") == 0)
		expect_directory(l);
	else if (strcmp(w, "pending") == 0)
		expect_pending(l);
	else if (strcmp(w, "stop") == 0)
		frontend_stop(&f.fe[0], stopped, NULL);
	else if (strcmp(w, "stopped") == 0 ? !stop_done : strcmp(w, "running") == 0 ? stop_done : true)
		line_fail(l, "not so, or not known");
}

static void end(void)
{
	ff_close(&f);
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		while (workers[i].asked_cnt)
			asked_drop(&workers[i]);
		free(workers[i].asked);
	}
	for (unsigned i = 0; i < peer_cnt; i++)
		ff_peer_free(&peers[i].end);
}

int main(int argc, char **argv)
{
	static struct line l;
	char text[4096];
	FILE *scenario = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (!scenario) {
		fprintf(stderr, "usage: run_scenario FILE\n");
		return 2;
	}
	configure();
	l.file = argv[1];
	while (fgets(text, sizeof text, scenario)) {
		unsigned long times = 1;
		char *rest = text;
		l.number++;
		if (strncmp(text, "repeat ", 7) == 0)
			times = strtoul(text + 7, &rest, 10);
		if (!line_parse(&l, rest))
			continue;
		while (times--)
			play(&l);
	}
	fclose(scenario);
	if (!started)
		return 2;
	end();
	return 0;
}
