// The protocol table: every row's lengths and sides, and everything that is not a row.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/ipc/channel.h"

#define B IPC_BODY_MAX

static void lengths(void **state)
{
	(void)state;
	static const struct {
		uint16_t type;
		uint32_t min, max;
	} rows[] = {
#define IPC(id, from, to, lo, hi) {IPC_##id, lo, hi},
#include "lib/ipc/messages.def"
#undef IPC
	};
	assert_int_equal(sizeof(rows) / sizeof(rows[0]), IPC_TYPE_CNT - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(rows[i].min <= rows[i].max);
		assert_true(rows[i].max <= IPC_BODY_MAX);
		assert_true(ipc_length_valid(rows[i].type, rows[i].min));
		assert_true(ipc_length_valid(rows[i].type, rows[i].max));
		assert_false(ipc_length_valid(rows[i].type, rows[i].max + 1));
		if (rows[i].min)
			assert_false(ipc_length_valid(rows[i].type, rows[i].min - 1));
		assert_string_not_equal(ipc_type_name(rows[i].type), "UNKNOWN");
	}
}

static void not_a_row(void **state)
{
	(void)state;
	static const uint16_t types[] = {IPC_NONE, IPC_TYPE_CNT, IPC_TYPE_CNT + 1, 0x7fff, 0xffff};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		for (uint32_t len = 0; len < 64; len++)
			assert_false(ipc_length_valid(types[i], len));
		assert_false(ipc_length_valid(types[i], UINT32_MAX));
	}
	assert_false(ipc_sides_valid(IPC_NONE, IPC_SIDE_HSSD, IPC_SIDE_WORKER));
	assert_false(ipc_sides_valid(IPC_TYPE_CNT, IPC_SIDE_ANY, IPC_SIDE_ANY));
	assert_string_equal(ipc_type_name(IPC_TYPE_CNT), "UNKNOWN");
	assert_string_equal(ipc_type_name(IPC_REQUEST), "REQUEST");
}

static void sides(void **state)
{
	(void)state;
	assert_true(ipc_sides_valid(IPC_REQUEST, IPC_SIDE_FRONTEND, IPC_SIDE_WORKER));
	assert_false(ipc_sides_valid(IPC_REQUEST, IPC_SIDE_WORKER, IPC_SIDE_FRONTEND));
	assert_false(ipc_sides_valid(IPC_REQUEST, IPC_SIDE_LOADER, IPC_SIDE_WORKER));
	assert_true(ipc_sides_valid(IPC_ANSWER, IPC_SIDE_WORKER, IPC_SIDE_FRONTEND));
	assert_false(ipc_sides_valid(IPC_ANSWER, IPC_SIDE_FRONTEND, IPC_SIDE_WORKER));
	assert_true(ipc_sides_valid(IPC_CHANGE, IPC_SIDE_WORKER, IPC_SIDE_LOADER));
	assert_true(ipc_sides_valid(IPC_ADMIN_ROW, IPC_SIDE_LOADER, IPC_SIDE_ADMIN));
	assert_false(ipc_sides_valid(IPC_ADMIN_ROW, IPC_SIDE_LOADER, IPC_SIDE_WORKER));
	assert_true(ipc_sides_valid(IPC_BOOT, IPC_SIDE_HSSD, IPC_SIDE_ADMIN));
	assert_false(ipc_sides_valid(IPC_BOOT, IPC_SIDE_ADMIN, IPC_SIDE_HSSD));
	assert_true(ipc_sides_valid(IPC_READY, IPC_SIDE_LOADER, IPC_SIDE_HSSD));
	assert_true(ipc_sides_valid(IPC_LOG_LEVEL, IPC_SIDE_ADMIN, IPC_SIDE_HSSD));
	assert_true(ipc_sides_valid(IPC_REQUEST, IPC_SIDE_ANY, IPC_SIDE_ANY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(not_a_row),
	    cmocka_unit_test(sides),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
