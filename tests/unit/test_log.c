// Log lines: one line an event whatever a peer sent, valid JSON always, masked IMSIs, limited rates.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>
#include "lib/base/clock.h"
#include "lib/base/log.h"

static int real_stderr = -1;
static int ends[2];
static char got[8192];

// What was written to stderr since capture_begin.
static void capture_begin(void)
{
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
}

static const char *capture_end(void)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(ends[1]);
	ssize_t n = read(ends[0], got, sizeof got - 1);
	close(ends[0]);
	got[n > 0 ? n : 0] = 0;
	return got;
}

static int setup(void **state)
{
	(void)state;
	clock_freeze_us(1700000000123456ull);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clock_freeze_us(0);
	log_init("-", LOG_LEVEL_INFO, false, false);
	return 0;
}

static void test_text_line(void **state)
{
	(void)state;
	log_init("worker-0", LOG_LEVEL_INFO, false, false);
	capture_begin();
	log_info("started", LOG_INT("n", -7), LOG_STR("path", "/run/x"));
	assert_string_equal(capture_end(),
			    "2023-11-14T22:13:20.123Z info  worker-0: started n=-7 path=\"/run/x\"\n");
	capture_begin();
	log_info("bare");
	assert_string_equal(capture_end(), "2023-11-14T22:13:20.123Z info  worker-0: bare\n");
}

static void test_no_peer_can_forge_a_line(void **state)
{
	(void)state;
	static const char evil[] = "x\" n=1\nerror: forged\\\r\x1b[2J\xff\x7f";
	log_init("frontend-0", LOG_LEVEL_INFO, false, false);
	capture_begin();
	log_info("peer", LOG_SLICE("host", slice_of(evil, sizeof evil)));
	const char *line = capture_end();
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_non_null(strstr(
	    line, "host=\"x\\\" n=1\\u000aerror: forged\\\\\\u000d\\u001b[2J\\u00ff\\u007f\\u0000\"\n"));
	for (const char *p = line; p[1]; p++)
		assert_in_range(*p, 0x20, 0x7e);
}

static json_t *json_of(const char *line)
{
	json_error_t error;
	json_t *doc = json_loads(line, 0, &error);
	if (!doc)
		fail_msg("%s: %s", error.text, line);
	return doc;
}

static void test_json_line(void **state)
{
	(void)state;
	log_init("loader", LOG_LEVEL_INFO, true, false);
	capture_begin();
	log_warn("slow", LOG_INT("ms", 12), LOG_SLICE("who", slice_of("a\"\n\\", 4)));
	json_t *doc = json_of(capture_end());
	assert_string_equal(json_string_value(json_object_get(doc, "event")), "slow");
	assert_string_equal(json_string_value(json_object_get(doc, "level")), "warn");
	assert_string_equal(json_string_value(json_object_get(doc, "role")), "loader");
	assert_string_equal(json_string_value(json_object_get(doc, "who")), "a\"\n\\");
	assert_int_equal(json_integer_value(json_object_get(doc, "ms")), 12);
	json_decref(doc);
}

// A value of any length and content leaves a line that is whole, and the fields after it.
static void test_long_values_keep_the_line_whole(void **state)
{
	(void)state;
	static uint8_t octets[5000];
	static const uint8_t fills[] = {'a', 0, '"', 0xff};
	log_init("frontend-0", LOG_LEVEL_INFO, true, false);
	for (size_t k = 0; k < sizeof fills; k++) {
		memset(octets, fills[k], sizeof octets);
		for (size_t len = 0; len < sizeof octets; len += 97) {
			struct slice s = slice_of(octets, len);
			capture_begin();
			log_info("peer", LOG_SLICE("a", s), LOG_SLICE("b", s), LOG_SLICE("c", s),
				 LOG_INT("z", 1));
			const char *line = capture_end();
			assert_true(strlen(line) <= 2048);
			assert_int_equal(line[strlen(line) - 1], '\n');
			json_t *doc = json_loads(line, JSON_ALLOW_NUL, NULL);
			assert_non_null(doc);
			assert_non_null(json_object_get(doc, "a"));
			assert_int_equal(json_integer_value(json_object_get(doc, "z")), 1);
			json_decref(doc);
		}
	}
}

static void test_imsi_masked(void **state)
{
	(void)state;
	log_init("w", LOG_LEVEL_INFO, false, true);
	capture_begin();
	log_info("air", LOG_IMSI("imsi", "001010000000001"), LOG_IMSI("short", "00101"),
		 LOG_IMSI("none", NULL));
	assert_non_null(strstr(capture_end(), "imsi=\"00101**********\" short=\"00101\" none=\"\""));
	log_init("w", LOG_LEVEL_INFO, false, false);
	capture_begin();
	log_info("air", LOG_IMSI("imsi", "001010000000001"));
	assert_non_null(strstr(capture_end(), "imsi=\"001010000000001\""));
}

static void test_levels(void **state)
{
	(void)state;
	enum log_level level;
	log_init("w", LOG_LEVEL_WARN, false, false);
	capture_begin();
	log_info("not shown");
	log_debug("not shown");
	assert_string_equal(capture_end(), "");
	assert_true(log_enabled(LOG_LEVEL_ERROR));
	log_set_level(LOG_LEVEL_DEBUG);
	assert_true(log_enabled(LOG_LEVEL_DEBUG));
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
		assert_int_equal(level, i);
	}
	assert_true(log_level_parse("WARN", &level));
	assert_false(log_level_parse("loud", &level));
	assert_false(log_level_parse("", &level));
	assert_string_equal(log_level_name((enum log_level)9), "?");
}

static void test_limit(void **state)
{
	(void)state;
	struct log_limit l = {0};
	unsigned passed = 0;
	for (int i = 0; i < 100; i++)
		passed += log_limit_pass(&l, 10);
	assert_int_equal(passed, 10);
	assert_int_equal(l.suppressed, 90);
	clock_freeze_us(1700000001200000ull); // the next second
	assert_true(log_limit_pass(&l, 10));
}

// Whoever reads the log may stop: lines are dropped and counted, and the next one that passes says how many.
static void test_a_full_pipe_drops_and_counts_lines(void **state)
{
	(void)state;
	_Atomic uint64_t counted = 0;
	int pipe_ends[2];
	char line[512];
	unsigned lines = 0;
	assert_int_equal(pipe2(pipe_ends, O_NONBLOCK), 0);
	log_init("worker-0", LOG_LEVEL_INFO, true, false);
	log_count_dropped(&counted);
	log_set_fd(pipe_ends[1]);
	for (; log_dropped() == 0; lines++)
		log_info("event", LOG_INT("n", lines));
	log_info("event", LOG_INT("n", lines));
	assert_int_equal(counted, 2);
	lines -= 1; // that are in the pipe
	FILE *in = fdopen(pipe_ends[0], "r");
	for (unsigned n = 0; n < lines; n++) {
		assert_non_null(fgets(line, sizeof(line), in));
		json_decref(json_of(line)); // whole
	}
	log_info("after");
	assert_non_null(fgets(line, sizeof(line), in));
	json_t *doc = json_of(line);
	assert_string_equal(json_string_value(json_object_get(doc, "event")), "log_dropped");
	assert_int_equal(json_integer_value(json_object_get(doc, "lines")), 2);
	json_decref(doc);
	assert_non_null(fgets(line, sizeof(line), in));
	assert_non_null(strstr(line, "\"after\""));
	assert_int_equal(log_dropped(), 2);
	log_set_fd(STDERR_FILENO);
	fclose(in);
	close(pipe_ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_text_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_peer_can_forge_a_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_json_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_long_values_keep_the_line_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_imsi_masked, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_full_pipe_drops_and_counts_lines, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
