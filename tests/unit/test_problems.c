// What can't be served is listed: bounded, the newest kept, a row for each place, taken away when it is good
// again.
#include "tests/unit/loader_fixture.h"

static uint64_t id = 1;

static int setup(void **state)
{
	(void)state;
	world_open(100);
	return 0;
}

static void add(unsigned n, const char *text)
{
	char where[32];
	snprintf(where, sizeof(where), "file.csv:%u", n);
	problems_add(&world.l, where, (imsi_t){0}, text);
}

// Rows of a whole list, in order; the caller takes as it comes.
static json_t *list(void)
{
	json_t *all = json_array();
	world_sent_clear();
	const char *text = "{\"cmd\":\"subscriber problems\"}";
	world_frame(ROLE_ADMIN, IPC_ADMIN_CALL, ++id, 0, text, strlen(text));
	uint64_t more = 100;
	for (unsigned i = 0; i < 20 && !sent_find(IPC_ADMIN_END, id); i++)
		world_frame(ROLE_ADMIN, IPC_ADMIN_MORE, id, 0, &more, sizeof(more));
	assert_non_null(sent_find(IPC_ADMIN_END, id));
	for (unsigned i = 0; i < world.sent_cnt; i++)
		if (world.sent[i].type == IPC_ADMIN_ROW)
			json_array_append_new(all, json_loads((char *)world.sent[i].body, 0, NULL));
	return all;
}

static const char *member(const json_t *rows, size_t i, const char *name)
{
	return json_string_value(json_object_get(json_array_get(rows, i), name));
}

static void listed_and_cleared(void **state)
{
	(void)state;
	json_t *rows = list();
	assert_int_equal(json_array_size(rows), 0);
	json_decref(rows);
	problems_clear(&world.l, "file.csv");
	add(3, "three");
	problems_add(&world.l, "document 12", imsi_of("001010000000001"),
		     "security.k: expected 32 hex digits");
	add(30, "thirty");
	add(3, "three again");
	rows = list();
	assert_int_equal(json_array_size(rows), 3);
	assert_string_equal(member(rows, 0, "where"), "document 12");
	assert_string_equal(member(rows, 0, "imsi"), "001010000000001");
	assert_string_equal(member(rows, 0, "error"), "security.k: expected 32 hex digits");
	assert_string_equal(member(rows, 2, "where"), "file.csv:3");
	assert_string_equal(member(rows, 2, "error"), "three again");
	assert_true(json_is_null(json_object_get(json_array_get(rows, 2), "imsi")));
	json_decref(rows);
	problems_clear(&world.l, "file.csv:3");
	assert_int_equal(problems_count(&world.l), 2);
	problems_clear(&world.l, "file.csv");
	assert_int_equal(problems_count(&world.l), 1);
	problems_clear(&world.l, "document 12");
	assert_int_equal(problems_count(&world.l), 0);
}

static void bounded(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= PROBLEMS_MAX + 10; i++)
		add(i, "x");
	assert_int_equal(problems_count(&world.l), PROBLEMS_MAX);
	json_t *rows = list(); // more than a window: what is not taken is not sent
	assert_int_equal(json_array_size(rows), PROBLEMS_MAX);
	assert_string_equal(member(rows, 0, "where"), "file.csv:11");
	assert_string_equal(member(rows, PROBLEMS_MAX - 1, "where"), "file.csv:1010");
	json_decref(rows);
}

static void odd_text(void **state)
{
	char longer[1000];
	(void)state;
	memset(longer, 'y', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	add(1, "\xff\"\n\xc3");
	problems_add(&world.l, longer, (imsi_t){0}, longer);
	json_t *rows = list();
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(member(rows, 0, "error"), "?\"\n?");
	assert_true(strlen(member(rows, 1, "where")) > 100 && strlen(member(rows, 1, "error")) > 200);
	json_decref(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(listed_and_cleared, setup, world_teardown),
	    cmocka_unit_test_setup_teardown(bounded, setup, world_teardown),
	    cmocka_unit_test_setup_teardown(odd_text, setup, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
