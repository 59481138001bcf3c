// The equipment register: numbers, the table that workers search against a plain model, rows of imports.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include <stdio.h>
#include "apps/s13/rows.h"
#include "lib/base/ident.h"
#include "tests/support/guard.h"

static imsi_t imsi_of(const char *text)
{
	imsi_t imsi = {0};
	assert_true(!*text || imsi_parse(slice_str(text), &imsi));
	return imsi;
}

static void numbers_have_one_form(void **state)
{
	static const struct {
		const char *text, *imsi, *shown; // NULL: refused
		bool check;
	} rows[] = {
		{"35622506141324", "", "35622506141324", false},
		{"490154203237518", "", "49015420323751", false}, // the example of TS 23.003 annex B
		{"490154203237517", "", "49015420323751", true},
		{"4901542032375142", "", "49015420323751", false},
		{"35622506", "", "35622506", false},
		{"35622506-35622506", "", "35622506", false},
		{"35622500-35622599", "", "35622500-35622599", false},
		{"00000000", "", "00000000", false},
		{"35622506141324", "00101", "35622506141324", false},
		{"35622506", "00101", NULL, false},
		{"35622599-35622500", "", NULL, false},
		{"3562250-35622599", "", NULL, false},
		{"35622500:35622599", "", NULL, false},
		{"3562250614132", "", NULL, false},
		{"35622506141324123", "", NULL, false},
		{"3562250614132x", "", NULL, false},
		{"356225061413241x", "", NULL, false},
		{"", "", NULL, false},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct s13_key key;
		const char *expected = NULL;
		char text[24];
		bool check, good = s13_key_read(slice_str(rows[i].text), imsi_of(rows[i].imsi), &key, &check, &expected);
		if (good != (rows[i].shown != NULL))
			fail_msg("%s", rows[i].text);
		if (!good) {
			assert_non_null(expected);
			continue;
		}
		s13_key_text(&key, text);
		assert_string_equal(text, rows[i].shown);
		assert_int_equal(check, rows[i].check);
	}
}

// ---- the table against a model that looks at every item

static unsigned seed;
static unsigned draw(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % below;
}

#define ITEMS 60
static const struct s13_item *model(const struct s13_item *items, unsigned n, uint64_t imei, imsi_t imsi)
{
	const struct s13_item *best = NULL;
	for (unsigned i = 0; i < n; i++) {
		const struct s13_key *k = &items[i].key;
		uint64_t tac = imei / 1000000;
		bool fits = k->kind == S13_TACS ? k->a <= tac && tac <= k->b : k->a == imei && (k->kind == S13_IMEI || (imsi.v && k->b == imsi.v));
		if (!fits)
			continue;
		if (!best || k->kind < best->key.kind || (k->kind == S13_TACS && best->key.kind == S13_TACS && k->b - k->a < best->key.b - best->key.a))
			best = &items[i];
	}
	return best;
}

static struct s13_item any_item(void)
{
	struct s13_item x = {.key = {.kind = (enum s13_kind)(1 + draw(3))}, .color = (uint8_t)draw(3)};
	uint64_t tac = 10000000 + draw(30);
	if (x.key.kind == S13_TACS) {
		x.key.a = tac;
		x.key.b = tac + (draw(2) ? 0 : draw(12));
		return x;
	}
	x.key.a = tac * 1000000 + draw(3);
	x.key.b = x.key.kind == S13_PAIR ? imsi_of(draw(2) ? "001010000000001" : "001010000000002").v : 0;
	return x;
}

static void random_register(unsigned start)
{
	struct s13_register *r = s13_register_new();
	struct s13_item items[ITEMS];
	unsigned n = 0;
	uint8_t *table;
	size_t len;
	seed = start;
	for (unsigned i = 0; i < ITEMS; i++) {
		struct s13_item x = any_item();
		if (s13_register_rival(r, &x))
			continue; // refused: which one counts could not be told
		assert_int_equal(s13_register_put(r, &x, slice_str(draw(2) ? "note" : "")), 0);
		unsigned at = 0;
		while (at < n && s13_key_cmp(&items[at].key, &x.key) != 0)
			at++;
		items[at] = x;
		n += at == n;
		if (draw(8) == 0) {
			at = draw(n);
			s13_register_remove(r, &items[at].key);
			items[at] = items[--n];
		}
	}
	assert_int_equal(s13_register_cnt(r), n);
	assert_true(s13_register_table(r, &table, &len));
	assert_true(len <= S13_TABLE_LEN(n));
	for (unsigned i = 0; i < 500; i++) {
		uint64_t imei = (9999998 + (uint64_t)draw(48)) * 1000000 + draw(3);
		static const char *const who[] = {"", "001010000000001", "001010000000002", "001010000000003"};
		imsi_t imsi = imsi_of(who[draw(4)]);
		const struct s13_item *want = model(items, n, imei, imsi);
		enum s13_color color;
		bool found = s13_table_find(slice_of(table, (uint32_t)len), imei, imsi, &color);
		if (found != (want != NULL) || (found && color != want->color))
			fail_msg("register %u: IMEI %llu", start, (unsigned long long)imei);
	}
	struct guard g;
	guard_init(&g, len);
	for (size_t cut = 0; cut < len; cut++) { // never beyond its end
		enum s13_color color;
		(void)s13_table_find(slice_of(guard_copy(&g, table, cut), (uint32_t)cut), items[0].key.a, (imsi_t){0}, &color);
	}
	guard_fini(&g);
	free(table);
	s13_register_free(&r);
}

static void the_table_says_what_the_items_say(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 300; i++)
		random_register(i);
}

static void nothing_is_in_an_empty_register(void **state)
{
	struct s13_register *r = s13_register_new();
	uint8_t *table;
	size_t len;
	enum s13_color color;
	(void)state;
	assert_true(s13_register_table(r, &table, &len));
	assert_int_equal(len, 0);
	assert_false(s13_table_find((struct slice){0}, 35622506141324, (imsi_t){0}, &color));
	assert_null(s13_register_next(r, NULL));
	s13_register_free(&r);
}

static void no_more_items_than_the_table_has_room_for(void **state)
{
	struct s13_register *r = s13_register_new();
	struct s13_item item = {.key = {S13_PAIR, 35622506141324, 1}};
	uint8_t *table;
	size_t len;
	(void)state;
	s13_register_limit(r, 16 + 16 + 8 + 24);
	assert_int_equal(s13_register_put(r, &item, (struct slice){0}), 0);
	item.key = (struct s13_key){S13_TACS, 35000000, 35999999};
	assert_int_equal(s13_register_put(r, &item, (struct slice){0}), 0);
	item.key = (struct s13_key){S13_PAIR, 35622506141324, 2};
	assert_int_equal(s13_register_put(r, &item, (struct slice){0}), -ENOSPC); // 8 octets are left
	item.key = (struct s13_key){S13_IMEI, 35622506141324, 0};
	assert_int_equal(s13_register_put(r, &item, (struct slice){0}), 0);
	assert_int_equal(s13_register_put(r, &item, slice_str("replaced")), 0);
	assert_true(s13_register_table(r, &table, &len));
	assert_true(len <= 16 + 16 + 8 + 24);
	free(table);
	item.key.a++;
	assert_int_equal(s13_register_put(r, &item, (struct slice){0}), -ENOSPC);
	s13_register_remove(r, &(struct s13_key){S13_IMEI, 35622506141324, 0});
	assert_int_equal(s13_register_put(r, &item, (struct slice){0}), 0);
	s13_register_free(&r);
}

static void items_come_back_from_disk(void **state)
{
	uint8_t key[S13_KEY_LEN], body[1 + S13_NOTE_MAX];
	const struct s13_item item = {.key = {S13_PAIR, 35622506141324, imsi_of("001010000000001").v}, .color = S13_GREY};
	struct s13_item back;
	struct slice note;
	(void)state;
	struct slice k = s13_key_octets(&item.key, key), b = s13_body_octets(&item, slice_str("why"), body);
	assert_true(s13_item_read(k, b, &back, &note));
	assert_int_equal(s13_key_cmp(&back.key, &item.key), 0);
	assert_int_equal(back.color, S13_GREY);
	assert_true(slice_eq(note, slice_str("why")));
	for (uint32_t cut = 0; cut < k.len; cut++)
		assert_false(s13_item_read(slice_of(k.p, cut), b, &back, &note));
	assert_false(s13_item_read(k, (struct slice){0}, &back, &note));
	body[0] = 3; // a colour of a later version
	assert_false(s13_item_read(k, b, &back, &note));
}

// ---- rows

static void rows_are_read_or_refused(void **state)
{
	static const struct {
		const char *header, *line, *text, *imsi, *note, *error;
		uint8_t color;
	} rows[] = {
		{"", "{\"imei\":\"35622506141324\"}", "35622506141324", "", "", NULL, S13_BLACK},
		{"", "{\"tac\":35622506,\"color\":\"white\",\"note\":\"x\"}", "35622506", "", "x", NULL, S13_WHITE},
		{"", "{\"imei\":\"35622506141324\",\"imsi\":\"001010000000001\",\"match_response_code\":2}", "35622506141324", "001010000000001", "",
		 NULL, S13_GREY},
		{"", "{\"imei\":\"^35622506.*\",\"regex_mode\":true}", "35622506", "", "", NULL, S13_BLACK},
		{"", "{\"imei\":\"^35622506141324$\",\"regex_mode\":1}", "35622506141324", "", "", NULL, S13_BLACK},
		{"", "{\"imei\":\"^35622506141324$\",\"imsi\":\"^001010000000001$\",\"regex_mode\":1}", "35622506141324",
		 "001010000000001", "", NULL, S13_BLACK},
		{"", "{\"imei\":\"^35622506141324$\",\"imsi\":\"001010000000001\",\"regex_mode\":1}", "35622506141324",
		 "001010000000001", "", NULL, S13_BLACK},
		{"", "{\"imei\":\"^35622506.*\",\"imsi\":\".*\",\"regex_mode\":1}", "35622506", "", "", NULL, S13_BLACK},
		{"", "{\"imei\":\"^35622506141324$\",\"imsi\":\"^00101.*\",\"regex_mode\":1}", NULL, "", "", "of an IMSI only", 0},
		{"", "{\"imei\":\"^35622506141324$\",\"imsi\":\"^00101000\",\"regex_mode\":1}", NULL, "", "", "of an IMSI only", 0},
		{"", "{\"imei\":\"^35622506.*\",\"imsi\":\"^001010000000001$\",\"regex_mode\":1}", NULL, "", "", "for an IMSI", 0},
		{"", "{\"imei\":\"(a+)+$\",\"regex_mode\":1}", NULL, "", "", "an expression", 0},
		{"", "{\"imei\":[1]}", NULL, "", "", "expected texts", 0},
		{"", "{\"imei\":", NULL, "", "", "expected a JSON object", 0},
		{"", "[]", NULL, "", "", "expected a JSON object", 0},
		{"", "{}", NULL, "", "", "imei: expected", 0},
		{"imei,color,note", "35622506141324,white,\"a, b\"", "35622506141324", "", "a, b", NULL, S13_WHITE},
		{"note;imei", "n; 35622506 ;more", "35622506", "", "n", NULL, S13_BLACK},
		{"IMEI,IMSI", "35622506141324,00101000000000x", NULL, "", "", "imsi: expected", 0},
		{"imei,color", "35622506141324,", NULL, "", "", "color: expected", 0},
		{"imei,color", "35622506141324", NULL, "", "", "color: expected", 0},
		{"imei,color", "35622506141324,red", NULL, "", "", "color: expected", 0},
		{"imei,color", "", NULL, "", "", "imei: expected", 0},
		{"imei", "\"35622506141324", "35622506141324", "", "", NULL, S13_BLACK},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct s13_columns columns;
		struct s13_item item;
		struct slice note;
		char kept[S13_NOTE_MAX + 1], error[160] = "", text[24];
		assert_true(s13_columns_read(slice_str(rows[i].header), &columns));
		bool good = s13_row_read(&columns, slice_str(rows[i].line), &item, kept, &note, error, sizeof error);
		if (good != (rows[i].text != NULL) || (!good && !strstr(error, rows[i].error)))
			fail_msg("%s: %s", rows[i].line, error);
		if (!good)
			continue;
		s13_key_text(&item.key, text);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(item.color, rows[i].color);
		assert_int_equal(item.key.kind == S13_PAIR ? item.key.b : 0, imsi_of(rows[i].imsi).v);
		assert_true(slice_eq(note, slice_str(rows[i].note)));
	}
	struct s13_columns none;
	assert_false(s13_columns_read(slice_str("imsi,color"), &none));
}

static void rows_cut_anywhere(void **state)
{
	static const char *const lines[] = {"{\"imei\":\"35622506141324\",\"imsi\":\"001010000000001\",\"note\":\"a\\\"b\"}",
					    "\"35622506141324\",\"001010000000001\",grey,\"n\""};
	struct guard g;
	(void)state;
	guard_init(&g, 256);
	for (unsigned i = 0; i < 2; i++) {
		struct s13_columns columns;
		assert_true(s13_columns_read(slice_str(i ? "imei,imsi,color,note" : ""), &columns));
		for (size_t cut = 0; cut <= strlen(lines[i]); cut++) {
			uint8_t *copy = guard_copy(&g, lines[i], cut);
			struct s13_item item;
			struct slice note;
			char kept[S13_NOTE_MAX + 1], error[160];
			bool good = s13_row_read(&columns, slice_of(copy, (uint32_t)cut), &item, kept, &note, error, sizeof error);
			assert_true(good || error[0]);
		}
	}
	guard_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_have_one_form),
		cmocka_unit_test(the_table_says_what_the_items_say),
		cmocka_unit_test(nothing_is_in_an_empty_register),
		cmocka_unit_test(no_more_items_than_the_table_has_room_for),
		cmocka_unit_test(items_come_back_from_disk),
		cmocka_unit_test(rows_are_read_or_refused),
		cmocka_unit_test(rows_cut_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
