// Reads tests/data/vectors.json for the tests of lib/auth: groups of sets with hexadecimal fields. A
// missing group, a wrong number of sets or a malformed field fails the test, so that no set is skipped
// unnoticed.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include "lib/base/ident.h"

static json_t *vector_root;

static inline int vectors_open(void **state)
{
	(void)state;
	json_error_t error;
	vector_root = json_load_file(TEST_DATA "/vectors.json", JSON_REJECT_DUPLICATES, &error);
	if (!vector_root)
		print_error("vectors.json line %d: %s\n", error.line, error.text);
	return vector_root ? 0 : -1;
}

static inline int vectors_close(void **state)
{
	(void)state;
	json_decref(vector_root);
	vector_root = NULL;
	return 0;
}

// The sets of a group, which must be exactly `count`.
static inline json_t *vector_group(const char *name, size_t count)
{
	json_t *group = json_object_get(vector_root, name);
	assert_true(json_is_array(group));
	assert_int_equal(json_array_size(group), count);
	return group;
}

static inline bool vector_has(const json_t *set, const char *field)
{
	return json_object_get(set, field) != NULL;
}

static inline const char *vector_string(const json_t *set, const char *field)
{
	const char *text = json_string_value(json_object_get(set, field));
	if (!text)
		fail_msg("%s: no field %s", json_string_value(json_object_get(set, "name")), field);
	return text;
}

static inline void vector_hex(const json_t *set, const char *field, uint8_t *out, unsigned len)
{
	if (!hex_parse(slice_str(vector_string(set, field)), out, len))
		fail_msg("%s: %s is not %u octets", vector_string(set, "name"), field, len);
}

// A field of up to 8 octets as a number.
static inline uint64_t vector_number(const json_t *set, const char *field, unsigned len)
{
	uint8_t octets[8];
	uint64_t v = 0;
	assert_in_range(len, 1, 8);
	vector_hex(set, field, octets, len);
	for (unsigned i = 0; i < len; i++)
		v = v << 8 | octets[i];
	return v;
}

// Compares computed octets with the field and names both when they differ.
static inline void vector_expect(const json_t *set, const char *field, const uint8_t *got, unsigned len)
{
	uint8_t expected[64];
	char text[2 * sizeof(expected) + 1];
	assert_in_range(len, 1, sizeof(expected));
	vector_hex(set, field, expected, len);
	hex_text(got, len, text);
	if (memcmp(got, expected, len) != 0)
		fail_msg("%s: %s is %s", vector_string(set, "name"), field, text);
}
