// hss-admin without its process: requests, import lines, and clients against a loader that this file plays,
// over real sockets in one event loop. Nothing sleeps: the loop runs until what is awaited is there.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "admin/client.h"
#include "admin/http.h"
#include "admin/lines.h"
#include "admin/health.h"
#include "admin/metrics.h"
#include "admin/watch.h"
#include "tests/support/tmp.h"

// --- requests

static const struct {
	const char *line, *error;
} requests[] = {
    {"{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"001010000000001\"}}", NULL},
    {"{\"cmd\":\"stats\"}", NULL},
    {"{\"cmd\":\"sqn set\",\"args\":{\"imsi\":\"00101\",\"sqn\":\"281474976710655\",\"force\":true}}", NULL},
    {"{\"cmd\":\"sqn set\",\"args\":{\"imsi\":\"00101\",\"sqn\":32}}", NULL},
    {"{\"cmd\":\"subscriber set\",\"args\":{\"imsi\":\"00101\",\"fields\":{\"a\":1}}}", NULL},
    {"", "expected a JSON object on one line of at most 65536 octets"},
    {"{", "expected a JSON object on one line of at most 65536 octets"},
    {"[]", "expected a JSON object on one line of at most 65536 octets"},
    {"{\"cmd\":\"stats\"} x", "expected a JSON object on one line of at most 65536 octets"},
    {"{\"cmd\":\"stats\",\"cmd\":\"stats\"}", "expected a JSON object on one line of at most 65536 octets"},
    {"{\"cmd\":\"stats\",\"id\":1}", "expected the members cmd and args only"},
    {"{\"cmd\":7}", "cmd: expected the name of a command"},
    {"{\"cmd\":\"sqn\"}", "cmd: expected the name of a command"},
    {"{\"cmd\":\"stats\",\"args\":[]}", "stats: args: expected an object"},
    {"{\"cmd\":\"stats\",\"args\":{\"x\":1}}", "stats: an argument that it does not have"},
    {"{\"cmd\":\"sqn show\"}", "sqn show: imsi is missing"},
    {"{\"cmd\":\"sqn show\",\"args\":{\"imsi\":1010}}", "sqn show: imsi: expected 5 to 15 digits"},
    {"{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"0010x\"}}", "sqn show: imsi: expected 5 to 15 digits"},
    {"{\"cmd\":\"sqn set\",\"args\":{\"imsi\":\"00101\",\"sqn\":\"281474976710656\"}}",
     "sqn set: sqn: expected a decimal number below 281474976710656"},
    {"{\"cmd\":\"sqn set\",\"args\":{\"imsi\":\"00101\",\"sqn\":-1}}",
     "sqn set: sqn: expected a decimal number below 281474976710656"},
    {"{\"cmd\":\"sqn set\",\"args\":{\"imsi\":\"00101\",\"sqn\":\"1\",\"force\":1}}",
     "sqn set: force: expected true or false"},
    {"{\"cmd\":\"subscriber add\",\"args\":{\"imsi\":\"00101\",\"k\":\"465B\"}}",
     "subscriber add: k: expected 32 hex digits"},
    {"{\"cmd\":\"subscriber add\",\"args\":{\"imsi\":\"00101\",\"msisdn\":\"1\"}}",
     "subscriber add: msisdn: expected a list of at most 64 values"},
    {"{\"cmd\":\"subscriber add\",\"args\":{\"imsi\":\"00101\",\"msisdn\":[\"1\",\"x\"]}}",
     "subscriber add: msisdn: expected 1 to 15 digits"},
    {"{\"cmd\":\"subscriber import\",\"args\":{\"file\":\"x\"}}",
     "subscriber import: an argument that it does not have"},
    {"{\"cmd\":\"subscriber set\",\"args\":{\"imsi\":\"00101\",\"fields\":{}}}",
     "subscriber set: fields: expected at least one KEY=VALUE"},
    {"{\"cmd\":\"log level\",\"args\":{\"level\":\"loud\"}}",
     "log level: level: expected error, warn, info or debug"},
    {"{\"cmd\":\"log level\",\"args\":{\"level\":\"info\\u0000x\"}}",
     "expected a JSON object on one line of at most 65536 octets"},
    {"{\"cmd\":\"peer disconnect\",\"args\":{\"host\":\"a\\nb\"}}",
     "peer disconnect: host: expected 1 to 512 octets of text without control characters"},
};

static void request_lines(void **state)
{
	struct admin_request r;
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		int rc = admin_request_parse(slice_str(requests[i].line), &r, error);

		if (!requests[i].error) {
			char *text;

			assert_int_equal(rc, 0);
			text = admin_request_text(&r);
			assert_non_null(text);
			assert_null(strchr(text, '\n'));
			free(text);
			admin_request_fini(&r);
			continue;
		}
		assert_int_equal(rc, -EINVAL);
		assert_string_equal(error, requests[i].error);
	}
}

static void command_rows(void **state)
{
	(void)state;
	for (unsigned i = 0; i < admin_command_cnt; i++) {
		bool files = false;

		assert_ptr_equal(admin_command_find(admin_command_rows[i].words), &admin_command_rows[i]);
		for (unsigned n = 0; n < ADMIN_ARG_MAX && admin_command_rows[i].arg[n].name; n++) {
			// words of the command line come before its options, FILE is never followed by a word
			assert_false(files && admin_command_rows[i].arg[n].how == ADMIN_HOW_NEEDED);
			files = files || admin_command_rows[i].arg[n].how == ADMIN_HOW_FILE;
		}
	}
	assert_null(admin_command_find("subscriber"));
}

// --- import lines

static void line_chunks(void **state)
{
	struct admin_lines l = {0};
	struct admin_chunk c;
	static uint8_t big[ADMIN_LINE_MAX + 16];

	(void)state;
	c = admin_lines_next(&l, (const uint8_t *)"", 0, 100);
	assert_int_equal(c.consume, 0);
	c = admin_lines_next(&l, (const uint8_t *)"ab", 2, 100);
	assert_int_equal(c.consume, 0);
	c = admin_lines_next(&l, (const uint8_t *)"ab\ncd\nef", 8, 100);
	assert_int_equal(c.forward, 6);
	assert_int_equal(c.consume, 6);
	c = admin_lines_next(&l, (const uint8_t *)"ab\ncd\nef", 8, 5); // no credit for the second line
	assert_int_equal(c.forward, 3);
	c = admin_lines_next(&l, (const uint8_t *)"ab\ncd\nef", 8, 2);
	assert_int_equal(c.consume, 0);
	c = admin_lines_next(&l, (const uint8_t *)"ab\n\n{\"cmd\"", 10, 100); // never beyond the end
	assert_int_equal(c.forward, 3);
	assert_false(c.end);
	c = admin_lines_next(&l, (const uint8_t *)"\n{\"cmd\"", 7, 100);
	assert_true(c.end);
	assert_int_equal(c.consume, 1);
	assert_int_equal(c.forward, 0);

	memset(big, 'x', sizeof(big));
	c = admin_lines_next(&l, big, ADMIN_LINE_MAX - 1, SIZE_MAX); // may still end in time
	assert_int_equal(c.consume, 0);
	c = admin_lines_next(&l, big, sizeof(big), ADMIN_LINE_MAX); // no room for its line feed
	assert_int_equal(c.consume, 0);
	c = admin_lines_next(&l, big, sizeof(big), SIZE_MAX);
	assert_int_equal(c.forward, ADMIN_LINE_MAX);
	assert_true(c.add_newline);
	assert_true(l.skip);
	c = admin_lines_next(&l, big, 10, 0); // the rest needs no credit
	assert_int_equal(c.consume, 10);
	assert_int_equal(c.forward, 0);
	c = admin_lines_next(&l, (const uint8_t *)"xx\nab\n", 6, 100);
	assert_int_equal(c.consume, 3);
	assert_false(l.skip);
}

// --- the whole process, with a loader that is played here

#define FAKE_ROWS_MAX 100000
#define INPUT_MAX     (8u << 20)

struct fake {
	struct event_base *base;
	struct role_env env;
	struct admin_calls *calls;
	struct admin_server *server;
	struct channel *loader;
	char dir[64], path[108];
	int listener;
	// the loader
	uint64_t call, cancelled;
	unsigned calls_seen;
	char request[512];
	uint32_t to_send, sent, window;
	size_t row_len;
	size_t input_len;
	bool input_end, hold_credit;
	uint8_t *input;
};

static void fake_rows(struct fake *k)
{
	static char row[4096];

	while (k->sent < k->to_send && k->window > 0) {
		size_t len = (size_t)snprintf(row, sizeof(row), "{\"n\":%u,\"pad\":\"%*s\"}", k->sent,
					      (int)k->row_len, "");

		assert_true(channel_send(k->loader, IPC_ADMIN_ROW, k->call, row, len));
		k->sent++;
		k->window--;
	}
	if (k->to_send && k->sent == k->to_send) {
		k->to_send = 0;
		assert_true(channel_send(k->loader, IPC_ADMIN_END, k->call, "{\"status\":0}", 12));
	}
	channel_flush(k->loader);
}

static void fake_data(struct fake *k, const uint8_t *body, size_t len)
{
	uint64_t credit = len;

	if (len == 0) {
		k->input_end = true;
		return;
	}
	assert_true(k->input_len + len <= INPUT_MAX);
	memcpy(k->input + k->input_len, body, len);
	k->input_len += len;
	assert_int_equal(body[len - 1], '\n'); // whole lines
	if (!k->hold_credit)
		assert_true(channel_send(k->loader, IPC_ADMIN_CREDIT, k->call, &credit, sizeof(credit)));
}

static void fake_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct fake *k = ctx;
	size_t len = hdr->len - sizeof(*hdr);
	uint64_t rows;

	(void)ch;
	switch (hdr->type) {
	case IPC_ADMIN_CALL:
		assert_true(len < sizeof(k->request));
		memcpy(k->request, body, len);
		k->request[len] = 0;
		k->calls_seen++;
		if (strstr(k->request, "sqn show")) { // answered beside whatever goes on
			channel_send(k->loader, IPC_ADMIN_ROW, hdr->id, "{\"sqn\":\"32\"}", 12);
			channel_send(k->loader, IPC_ADMIN_END, hdr->id, "{\"status\":0}", 12);
			return;
		}
		k->call = hdr->id;
		k->window = 256;
		k->sent = 0;
		fake_rows(k);
		break;
	case IPC_ADMIN_MORE:
		memcpy(&rows, body, sizeof(rows));
		k->window += (uint32_t)rows;
		assert_true(k->window <= 256);
		fake_rows(k);
		break;
	case IPC_ADMIN_DATA:
		fake_data(k, body, len);
		break;
	case IPC_ADMIN_CANCEL:
		k->cancelled = hdr->id;
		k->to_send = 0;
		break;
	default:
		fail();
	}
}

static void fake_down(void *ctx, struct channel *ch, int why)
{
	struct fake *k = ctx;

	(void)ch;
	(void)why;
	channel_free(&k->loader);
}

static const struct channel_ops fake_ops = {.on_frame = fake_frame, .on_down = fake_down};

static void fake_loader(struct fake *k)
{
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	k->loader = channel_new_take(k->base, fds[0], 64u << 20, &fake_ops, k);
	assert_non_null(k->loader);
	channel_set_sides(k->loader, IPC_SIDE_ADMIN, IPC_SIDE_LOADER);
	admin_calls_edge(k->calls, ROLE_LOADER, 0, fds[1]);
}

static int setup(void **state)
{
	struct fake *k = calloc(1, sizeof(*k));
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd;

	if (!k)
		return -1;
	k->input = malloc(INPUT_MAX);
	k->base = event_base_new();
	k->env.base = k->base;
	k->env.frontend_cnt = k->env.worker_cnt = 1;
	fd = control_create(1, 1);
	k->env.control = control_map(fd, true);
	close(fd);
	if (!k->env.control)
		return -1;
	tmp_dir(k->dir, sizeof(k->dir), "hss-admin-test-XXXXXX");
	snprintf(k->path, sizeof(k->path), "%s/s", k->dir);
	strcpy(name.sun_path, k->path);
	k->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(k->listener, (struct sockaddr *)&name, sizeof(name)) || listen(k->listener, 64))
		return -1;
	k->calls = admin_calls_new(k->base);
	k->env.ctx = watch_new(&k->env, k->calls); // never started: a loader that this file plays is not asked
	k->server = admin_server_new(&k->env, k->calls, k->listener, "");
	fake_loader(k);
	*state = k;
	return k->server ? 0 : -1;
}

static int teardown(void **state)
{
	struct fake *k = *state;

	admin_server_free(&k->server);
	struct watch *watch = k->env.ctx;
	watch_free(&watch);
	admin_calls_free(&k->calls);
	channel_free(&k->loader);
	close(k->listener);
	unlink(k->path);
	rmdir(k->dir);
	munmap(k->env.control, sizeof(struct control));
	event_base_free(k->base);
	free(k->input);
	free(k);
	return 0;
}

struct tester {
	int fd;
	size_t len;
	char *in; // all that came, NUL-terminated
	bool closed;
};

static struct tester tester_new(struct fake *k)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct tester t = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};

	strcpy(name.sun_path, k->path);
	assert_int_equal(connect(t.fd, (struct sockaddr *)&name, sizeof(name)), 0);
	t.in = calloc(1, 1);
	return t;
}

static void tester_free(struct tester *t)
{
	if (t->fd >= 0)
		close(t->fd);
	free(t->in);
}

static void tester_read(struct tester *t)
{
	static char buf[1 << 20];
	ssize_t n = recv(t->fd, buf, sizeof(buf), 0);

	if (n == 0)
		t->closed = true;
	if (n <= 0)
		return;
	t->in = realloc(t->in, t->len + (size_t)n + 1);
	assert_non_null(t->in);
	memcpy(t->in + t->len, buf, (size_t)n);
	t->len += (size_t)n;
	t->in[t->len] = 0;
}

static void turn(struct fake *k)
{
	event_base_loop(k->base, EVLOOP_NONBLOCK);
}

static void tester_say(struct tester *t, const char *text)
{
	assert_int_equal(send(t->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

// Until the tester has got `text` at the end of what it received.
static void tester_expect(struct fake *k, struct tester *t, const char *text)
{
	size_t len = strlen(text);

	for (unsigned i = 0; i < 500000 && !t->closed; i++) {
		if (t->len >= len && memcmp(t->in + t->len - len, text, len) == 0)
			return;
		turn(k);
		tester_read(t);
	}
	fail_msg("expected %s, got %s", text, t->in);
}

// Until the server has closed the connection.
static void tester_expect_end(struct fake *k, struct tester *t)
{
	for (unsigned i = 0; i < 100000 && !t->closed; i++) {
		turn(k);
		tester_read(t);
	}
	assert_true(t->closed);
}

static void one_command(void **state)
{
	struct fake *k = *state;
	struct tester t = tester_new(k);

	tester_say(&t, "{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"001010000000001\"}}\n");
	tester_expect(k, &t, "{\"row\":{\"sqn\":\"32\"}}\n{\"end\":{\"status\":0}}\n");
	assert_string_equal(k->request, "{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"001010000000001\"}}");
	// several in one write, the last without waiting for an answer, then half closed
	t.len = 0;
	tester_say(&t, "{\"cmd\":\"nonsense\"}\n{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"00101\"}}\n");
	shutdown(t.fd, SHUT_WR);
	tester_expect(k, &t, "{\"row\":{\"sqn\":\"32\"}}\n{\"end\":{\"status\":0}}\n");
	assert_memory_equal(
	    t.in, "{\"end\":{\"status\":2,\"error\":\"cmd: expected the name of a command\"}}\n", 66);
	tester_expect_end(k, &t);
	tester_free(&t);
}

static void long_request(void **state)
{
	struct fake *k = *state;
	struct tester t = tester_new(k);
	static char text[ADMIN_REQUEST_MAX + 2];
	size_t sent = 0;

	memset(text, ' ', sizeof(text));
	for (unsigned i = 0; i < 100000 && sent < sizeof(text); i++) {
		ssize_t n = send(t.fd, text + sent, sizeof(text) - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		turn(k);
	}
	tester_expect(k, &t, "{\"end\":{\"status\":2,\"error\":\"the request line is too long\"}}\n");
	tester_expect_end(k, &t);
	tester_free(&t);
}

// A client that does not read holds back its own rows, bounded, and nobody else.
static void rows_wait_for_a_slow_client(void **state)
{
	struct fake *k = *state;
	struct tester slow = tester_new(k), other = tester_new(k);
	unsigned rows = 0;
	uint32_t stalled;

	k->to_send = 5000;
	k->row_len = 1000;
	tester_say(&slow, "{\"cmd\":\"subscriber list\"}\n");
	for (unsigned i = 0; i < 2000; i++)
		turn(k);
	stalled = k->sent;
	assert_true(stalled >= 256 && stalled < 3000); // kernel buffers, one low-water mark, one window
	tester_say(&other, "{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"00101\"}}\n");
	tester_expect(k, &other, "{\"end\":{\"status\":0}}\n");
	assert_int_equal(k->sent, stalled);

	tester_expect(k, &slow, "{\"end\":{\"status\":0}}\n");
	for (char *p = slow.in; strncmp(p, "{\"row\":{\"n\":", 12) == 0; p = strchr(p, '\n') + 1)
		assert_int_equal(strtoul(p + 12, NULL, 10), rows++);
	assert_int_equal(rows, 5000);
	tester_free(&slow);
	tester_free(&other);
}

static void client_goes_away(void **state)
{
	struct fake *k = *state;
	struct tester t = tester_new(k);

	k->to_send = FAKE_ROWS_MAX;
	k->row_len = 1000;
	tester_say(&t, "{\"cmd\":\"subscriber list\"}\n");
	for (unsigned i = 0; i < 1000 && k->sent == 0; i++)
		turn(k);
	tester_free(&t);
	for (unsigned i = 0; i < 100000 && !k->cancelled; i++)
		turn(k);
	assert_int_equal(k->cancelled, k->call);
	assert_true(k->sent < 2000);
}

static void loader_goes_away(void **state)
{
	struct fake *k = *state;
	struct tester t = tester_new(k);

	tester_say(&t, "{\"cmd\":\"sqn jump\"}\n");
	for (unsigned i = 0; i < 10000 && !k->calls_seen; i++)
		turn(k);
	channel_free(&k->loader);
	tester_expect(
	    k, &t,
	    "{\"end\":{\"status\":1,\"error\":\"the process that serves this ended; what was asked may have "
	    "been done or not\"}}\n");
	tester_say(&t, "{\"cmd\":\"sqn jump\"}\n");
	tester_expect(k, &t, "{\"end\":{\"status\":1,\"error\":\"the loader is not running\"}}\n");
	fake_loader(k); // restarted
	tester_say(&t, "{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"00101\"}}\n");
	tester_expect(k, &t, "{\"end\":{\"status\":0}}\n");
	tester_free(&t);
}

static void bad_sibling(void **state)
{
	struct fake *k = *state;
	struct tester t = tester_new(k);

	tester_say(&t, "{\"cmd\":\"sqn jump\"}\n");
	for (unsigned i = 0; i < 10000 && !k->calls_seen; i++)
		turn(k);
	channel_send(k->loader, IPC_ADMIN_ROW, k->call + 77, "{}", 2); // nobody's
	channel_send(k->loader, IPC_ADMIN_ROW, k->call, "{\n}", 3);
	channel_flush(k->loader);
	tester_expect(
	    k, &t,
	    "{\"end\":{\"status\":1,\"error\":\"the answer of another process could not be read\"}}\n");
	tester_say(&t, "{\"cmd\":\"sqn jump\"}\n");
	for (unsigned i = 0; i < 10000 && k->calls_seen < 2; i++)
		turn(k);
	channel_send(k->loader, IPC_ADMIN_END, k->call, "{\"status\":9}", 12);
	channel_flush(k->loader);
	t.len = 0;
	tester_expect(
	    k, &t,
	    "{\"end\":{\"status\":1,\"error\":\"the answer of another process could not be read\"}}\n");
	tester_free(&t);
}

static size_t say_some(struct tester *t, const char *text, size_t sent, size_t len)
{
	ssize_t n = send(t->fd, text + sent, len - sent, MSG_NOSIGNAL);

	return n > 0 ? sent + (size_t)n : sent;
}

// An import goes out only against credit; the line that is too long arrives cut off under its own number.
static void import_waits_for_credit(void **state)
{
	struct fake *k = *state;
	struct tester t = tester_new(k);
	size_t len = 0, sent = 0, expected;
	char *text = malloc(8u << 20);
	uint64_t credit = 1u << 20;

	assert_non_null(text);
	len += (size_t)sprintf(text, "{\"cmd\":\"subscriber import\"}\n");
	size_t head = len;
	for (unsigned i = 0; i < 40000; i++)
		len += (size_t)sprintf(text + len, "{\"imsi\":\"%015u\",\"pad\":\"%60s\"}\n", i, "");
	expected = len - head;
	memset(text + len, 'x', ADMIN_LINE_MAX + 5000);
	len += ADMIN_LINE_MAX + 5000;
	len += (size_t)sprintf(text + len, "\n{\"last\":1}\n\n");
	expected += ADMIN_LINE_MAX + 1 + 11;

	k->hold_credit = true;
	for (unsigned i = 0; i < 5000; i++) {
		sent = say_some(&t, text, sent, len);
		turn(k);
	}
	assert_true(k->input_len > (900u << 10) && k->input_len <= (1u << 20));
	assert_true(sent < len);
	k->hold_credit = false;
	credit = k->input_len;
	channel_send(k->loader, IPC_ADMIN_CREDIT, k->call, &credit, sizeof(credit));
	channel_flush(k->loader);
	for (unsigned i = 0; i < 500000 && !k->input_end; i++) {
		if (sent < len)
			sent = say_some(&t, text, sent, len);
		turn(k);
	}
	assert_true(k->input_end);
	assert_int_equal(k->input_len, expected);
	assert_memory_equal(k->input, text + head, expected - ADMIN_LINE_MAX - 12);
	assert_memory_equal(k->input + expected - 13, "x\n{\"last\":1}\n", 13);
	channel_send(k->loader, IPC_ADMIN_END, k->call, "{\"status\":0,\"rows\":3}", 21);
	channel_flush(k->loader);
	tester_expect(k, &t, "{\"end\":{\"status\":0,\"rows\":3}}\n");
	free(text);
	tester_free(&t);
}

// The loader gives up in the middle: the rest of the document lines is not taken for requests.
static void import_ends_early(void **state)
{
	struct fake *k = *state;
	struct tester t = tester_new(k);

	tester_say(&t, "{\"cmd\":\"subscriber import\"}\n{\"a\":1}\n");
	for (unsigned i = 0; i < 10000 && !k->input_len; i++)
		turn(k);
	channel_send(k->loader, IPC_ADMIN_END, k->call, "{\"status\":1,\"error\":\"disk\"}", 27);
	channel_flush(k->loader);
	tester_expect(k, &t, "{\"end\":{\"status\":1,\"error\":\"disk\"}}\n");
	tester_say(&t, "{\"cmd\":\"sqn jump\"}\n\n{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"00101\"}}\n");
	tester_expect(k, &t, "{\"end\":{\"status\":0}}\n");
	assert_int_equal(k->calls_seen, 2);
	tester_free(&t);
	// and a client that breaks off in the middle cancels
	t = tester_new(k);
	tester_say(&t, "{\"cmd\":\"subscriber import\"}\n{\"a\":1}\n");
	for (unsigned i = 0; i < 10000 && k->calls_seen < 3; i++)
		turn(k);
	shutdown(t.fd, SHUT_WR);
	for (unsigned i = 0; i < 10000 && !k->cancelled; i++)
		turn(k);
	assert_int_equal(k->cancelled, k->call);
	assert_false(k->input_end);
	tester_free(&t);
}

static void too_many_clients(void **state)
{
	struct fake *k = *state;
	struct tester t[ADMIN_CLIENT_MAX + 1];

	for (unsigned i = 0; i <= ADMIN_CLIENT_MAX; i++) {
		t[i] = tester_new(k);
		turn(k);
	}
	tester_expect(k, &t[ADMIN_CLIENT_MAX], "{\"end\":{\"status\":1,\"error\":\"too many clients\"}}\n");
	tester_say(&t[0], "{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"00101\"}}\n");
	tester_expect(k, &t[0], "{\"end\":{\"status\":0}}\n");
	for (unsigned i = 0; i <= ADMIN_CLIENT_MAX; i++)
		tester_free(&t[i]);
}

static void status_without_a_loader(void **state)
{
	struct fake *k = *state;
	struct tester t = tester_new(k);

	channel_free(&k->loader);
	turn(k);
	tester_say(&t, "{\"cmd\":\"status\"}\n");
	tester_expect(k, &t, "{\"end\":{\"status\":1,\"error\":\"the loader is not running\"}}\n");
	assert_non_null(strstr(t.in, "{\"row\":{\"serving\":false,"));
	assert_non_null(strstr(t.in, "{\"role\":\"worker\",\"instance\":0,\"pid\":0,\"ready\":false,"));
	tester_free(&t);
}

static void stats_and_metrics(void **state)
{
	struct fake *k = *state;
	struct tester t = tester_new(k);
	struct stats_block *s = &k->env.control->stats[control_instance(ROLE_FRONTEND, 0)];
	struct evbuffer *out = evbuffer_new();
	const char *text;

	stat_add(s, STAT_BYTES_IN, 1234);
	s->requests[1] = 7;
	s->latency[1][0] = 3;
	s->latency[1][STAT_LATENCY_BUCKETS - 1] = 4;
	s->latency_sum_us[1] = 1500000;
	tester_say(&t, "{\"cmd\":\"stats\"}\n");
	tester_expect(k, &t, "{\"end\":{\"status\":0}}\n");
	assert_non_null(strstr(
	    t.in, "{\"row\":{\"metric\":\"hss_received_bytes_total\",\"labels\":\"\",\"value\":1234}}\n"));
	metrics_write(out, k->env.control);
	evbuffer_add(out, "", 1);
	text = (const char *)evbuffer_pullup(out, -1);
	assert_non_null(strstr(text, "\nhss_received_bytes_total{role=\"frontend\",process=\"0\"} 1234\n"));
	// a metric that a role cannot have does not show as 0 there; `instance` is the scraper's
	assert_null(strstr(text, "hss_received_bytes_total{role=\"worker\""));
	assert_null(strstr(text, "instance="));
	assert_non_null(strstr(text, "\nhss_log_dropped_total{role=\"admin\",process=\"0\"} 0\n"));
	assert_non_null(strstr(text, "\nhss_requests_total{app=\"base\",command=\"CER\"} 7\n"));
	assert_non_null(strstr(text, "app=\"base\",command=\"CER\",le=\"5e-05\"} 3\n"));
	assert_non_null(strstr(text, "app=\"base\",command=\"CER\",le=\"+Inf\"} 7\n"));
	assert_non_null(
	    strstr(text, "hss_request_duration_seconds_sum{app=\"base\",command=\"CER\"} 1.500000\n"));
	evbuffer_free(out);
	tester_free(&t);
}

static void assert_health(bool (*check)(const struct control *, struct evbuffer *), const struct control *c, const char *why)
{
	struct evbuffer *out = evbuffer_new();

	assert_int_equal(check(c, out), why[0] == 0);
	evbuffer_add(out, "", 1);
	assert_string_equal((const char *)evbuffer_pullup(out, -1), why);
	evbuffer_free(out);
}

static void health_names_what_is_missing(void **state)
{
	static struct control c;
	struct control_role *loader = &c.role[control_instance(ROLE_LOADER, 0)];
	struct control_role *worker = &c.role[control_instance(ROLE_WORKER, 1)];

	(void)state;
	c.worker_cnt = 2;
	c.frontend_cnt = 1;
	for (unsigned i = 0; i < ROLE_INSTANCE_MAX; i++)
		c.role[i] = (struct control_role){.pid = 1, .ready = 1};
	assert_health(health_alive, &c, "");
	assert_health(health_ready, &c, "not every record is served yet\n");
	stat_set(&c.stats[control_instance(ROLE_LOADER, 0)], STAT_LOADED, 1);
	assert_health(health_ready, &c, "");
	worker->ready = 0;
	assert_health(health_alive, &c, "");
	assert_health(health_ready, &c, "worker 1 is not ready\n");
	worker->pid = 0;
	loader->pid = 0;
	assert_health(health_alive, &c, "loader 0 does not run\nworker 1 does not run\n");
}

static void endpoint(void **state)
{
	static const struct {
		const char *request, *answer;
	} cases[] = {
	    {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n"},
	    {"GET /metrics?x=1 HTTP/1.0\n\n", "HTTP/1.1 200 OK\r\n"},
	    {"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n"},
	    {"GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n"}, // no process was started
	    {"HEAD /readyz HTTP/1.1\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n"},
	    {"GET /readyzz HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"},
	    {"HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"},
	    {"GET /metricsx HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"},
	    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"},
	    {"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 404 Not Found\r\n"},
	    {"\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"},
	};
	struct fake *k = *state;
	struct metrics_server *server;
	struct tester t[METRICS_CLIENT_MAX + 1];
	static char headers[METRICS_REQUEST_MAX];

	admin_server_stop(k->server); // its listening socket serves the endpoint now
	server = metrics_server_new(k->base, k->listener, k->env.control, NULL);
	assert_non_null(server);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tester one = tester_new(k);

		tester_say(&one, cases[i].request);
		for (unsigned n = 0; n < 100000 && !one.closed; n++) {
			turn(k);
			tester_read(&one);
		}
		assert_memory_equal(one.in, cases[i].answer, strlen(cases[i].answer));
		if (strncmp(cases[i].request, "HEAD", 4) == 0)
			assert_string_equal(strstr(one.in, "\r\n\r\n"), "\r\n\r\n"); // without a body
		tester_free(&one);
	}
	for (unsigned i = 0; i <= METRICS_CLIENT_MAX; i++) {
		t[i] = tester_new(k);
		turn(k);
	}
	tester_read(&t[0]);
	assert_true(t[0].closed); // one too many that says nothing: the first one goes
	assert_false(t[METRICS_CLIENT_MAX].closed);
	memset(headers, 'x', sizeof(headers));
	assert_int_equal(send(t[1].fd, headers, sizeof(headers), 0), sizeof(headers));
	for (unsigned n = 0; n < 100000 && !t[1].closed; n++) {
		turn(k);
		tester_read(&t[1]);
	}
	assert_true(t[1].closed);
	for (unsigned i = 0; i <= METRICS_CLIENT_MAX; i++)
		tester_free(&t[i]);
	metrics_server_free(&server);
}

#define WITH_LOADER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(request_lines),
	    cmocka_unit_test(command_rows),
	    cmocka_unit_test(line_chunks),
	    WITH_LOADER(one_command),
	    WITH_LOADER(long_request),
	    WITH_LOADER(rows_wait_for_a_slow_client),
	    WITH_LOADER(client_goes_away),
	    WITH_LOADER(loader_goes_away),
	    WITH_LOADER(bad_sibling),
	    WITH_LOADER(import_waits_for_credit),
	    WITH_LOADER(import_ends_early),
	    WITH_LOADER(too_many_clients),
	    WITH_LOADER(status_without_a_loader),
	    WITH_LOADER(stats_and_metrics),
	    cmocka_unit_test(health_names_what_is_missing),
	    WITH_LOADER(endpoint),
	};
	signal(SIGPIPE, SIG_IGN); // as in every role
	return cmocka_run_group_tests(tests, NULL, NULL);
}
