// Values of MongoDB documents as JSON: plain, relaxed and canonical Extended JSON alike, and numbers in
// whatever type a tool happened to write them (law 8).
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/wire.h"

enum ext_result { EXT_OK, EXT_ABSENT, EXT_WRONG };

// A whole number: integer, double without fraction, $numberInt, $numberLong, $numberDouble. NULL and null:
// absent.
enum ext_result ext_int(const json_t *v, int64_t *out);
// Text of a whole number.
enum ext_result ext_decimal(const char *text, int64_t *out);
// A string; "" counts as absent. Valid as long as the document.
enum ext_result ext_text(const json_t *v, struct slice *out);
enum ext_result ext_bool(const json_t *v, bool *out);
// "a string", "an array" ... for messages.
const char *ext_type_name(const json_t *v);
