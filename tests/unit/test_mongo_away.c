// The upstream's threads when MongoDB is not what it should be: they say so without credentials, and end when
// they must.
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "loader/upstream/mongo/mongo.h"
#include "lib/base/clock.h"
#include "tests/support/tmp.h"

#define SECRET "s3cr%21t"
#define PLAIN  "s3cr!t"

static struct config config;
static char dir[64];
static int silent = -1;
static unsigned port;

// Accepts (the kernel does) and never answers.
static int setup(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	(void)state;
	snprintf(config.store_database, sizeof(config.store_database), "open5gs");
	snprintf(config.store_collection, sizeof(config.store_collection), "subscribers");
	config.store_poll_ms = 1000;
	tmp_dir(dir, sizeof(dir), "hss-away-XXXXXX");
	silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(silent, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(silent, 16), 0);
	assert_int_equal(getsockname(silent, (struct sockaddr *)&a, &len), 0);
	port = ntohs(a.sin_port);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(silent);
	return rmdir(dir);
}

static struct upstream *start(const char *format, unsigned at, bool no_threads)
{
	char uri[256];
	struct upstream *u = NULL;
	snprintf(uri, sizeof(uri), format, at);
	assert_int_equal(upstream_start(
			     &(struct upstream_options){
				 .config = &config, .uri = uri, .dir = dir, .no_threads = no_threads},
			     &u),
			 0);
	return u;
}

static struct up_figures figures_with_error(struct upstream *u)
{
	struct up_figures f;
	uint64_t begun = clock_mono_ms();
	do {
		assert_true(clock_mono_ms() - begun < 20000);
		usleep(10000);
		upstream_figures(u, &f);
	} while (!f.last_error[0]);
	return f;
}

static void nobody_listens(void **state)
{
	(void)state;
	struct upstream *u = start("mongodb://hss:s3cr%%21t@127.0.0.1:%u/?authSource=admin", 1, false);
	struct up_figures f = figures_with_error(u);
	assert_non_null(strstr(f.last_error, "127.0.0.1:1"));
	assert_null(strstr(f.last_error, PLAIN));
	assert_int_equal(f.mode, UP_NONE);
	upstream_stop(&u);
}

static void an_option_that_the_driver_refuses(void **state)
{
	(void)state;
	struct upstream *u = start("mongodb://hss:s3cr%%21t@127.0.0.1:%u/?tls=maybe", 1, false);
	struct up_figures f = figures_with_error(u);
	assert_null(strstr(f.last_error, PLAIN));
	assert_null(strstr(f.last_error, SECRET));
	upstream_stop(&u);
}

// Waits until the feed has connected and asked, then ends: what it left behind ends with this process.
static _Noreturn void stop_while_stalled(void)
{
	struct upstream *u = start("mongodb://127.0.0.1:%u/", port, false);
	uint8_t hello[4];
	int s = accept(silent, NULL, NULL);
	if (s < 0 || recv(s, hello, sizeof(hello), MSG_PEEK) <= 0)
		_exit(2);
	uint64_t begun = clock_mono_ms();
	upstream_stop(&u);
	_exit(clock_mono_ms() - begun < 3000 ? 0 : 3);
}

// Threads that wait for a server that stalls do not hold up the end of the process.
static void stalled_threads_are_given_up(void **state)
{
	int status = 0;
	(void)state;
	pid_t pid = fork();
	if (pid == 0)
		stop_while_stalled();
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bson_error_t error_of(uint32_t domain, uint32_t code, const char *text)
{
	bson_error_t e = {.domain = domain, .code = code};
	snprintf(e.message, sizeof(e.message), "%s", text);
	return e;
}

static void what_errors_mean(void **state)
{
	static const struct {
		uint32_t domain, code;
		enum mongo_fault fault;
	} row[] = {
	    {MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET, MONGO_AWAY},
	    {MONGOC_ERROR_SERVER_SELECTION, MONGOC_ERROR_SERVER_SELECTION_FAILURE, MONGO_AWAY},
	    {MONGOC_ERROR_SERVER, 10107, MONGO_AWAY},
	    {MONGOC_ERROR_SERVER, 91, MONGO_AWAY},
	    {MONGOC_ERROR_SERVER, 43, MONGO_AWAY},
	    {MONGOC_ERROR_SERVER, 18, MONGO_DENIED},
	    {MONGOC_ERROR_CLIENT, MONGOC_ERROR_CLIENT_AUTHENTICATE, MONGO_DENIED},
	    {MONGOC_ERROR_SERVER, 13, MONGO_REFUSED},
	    {MONGOC_ERROR_SERVER, 40573, MONGO_REFUSED},
	    {MONGOC_ERROR_SERVER, 286, MONGO_REFUSED},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		bson_error_t e = error_of(row[i].domain, row[i].code, "x");
		assert_int_equal(mongo_fault_of(&e), row[i].fault);
	}
}

static void a_text_has_no_password(void **state)
{
	char text[UP_ERROR_MAX];
	struct mongo m;
	(void)state;
	struct upstream *u = start("mongodb://hss:s3cr%%21t@127.0.0.1:%u/", 1, true);
	mongo_init(&m, u, "test");
	assert_true(mongo_open(&m));
	bson_error_t e = error_of(MONGOC_ERROR_SERVER, 18, "no: hss " PLAIN ", given as " SECRET "\nat last");
	mongo_text(&m, &e, text);
	assert_string_equal(text, "no: hss ******, given as ******** at last (18)");
	mongo_close(&m);
	upstream_stop(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nobody_listens),
	    cmocka_unit_test(an_option_that_the_driver_refuses),
	    cmocka_unit_test(stalled_threads_are_given_up),
	    cmocka_unit_test(what_errors_mean),
	    cmocka_unit_test(a_text_has_no_password),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
