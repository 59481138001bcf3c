// Reads single values of Extended JSON (extjson.h). They were written by operators and other programs, so
// every type is checked. Loader process; no state.
#include "loader/document/extjson.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

static enum ext_result from_double(double d, int64_t *out)
{
	// 2^63 itself does not fit; NaN fails every comparison
	if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0) || d != floor(d))
		return EXT_WRONG;
	*out = (int64_t)d;
	return EXT_OK;
}

enum ext_result ext_decimal(const char *text, int64_t *out)
{
	char *end = NULL;
	if (!text || !*text)
		return EXT_WRONG;
	errno = 0;
	long long n = strtoll(text, &end, 10);
	if (*end || errno)
		return EXT_WRONG;
	*out = n;
	return EXT_OK;
}

static enum ext_result from_text(const json_t *v, bool real, int64_t *out)
{
	const char *text = json_string_value(v);
	char *end = NULL;
	if (!text || !*text)
		return EXT_WRONG;
	if (!real)
		return ext_decimal(text, out);
	double d = strtod(text, &end);
	return *end ? EXT_WRONG : from_double(d, out);
}

enum ext_result ext_int(const json_t *v, int64_t *out)
{
	if (!v || json_is_null(v))
		return EXT_ABSENT;
	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return EXT_OK;
	}
	if (json_is_real(v))
		return from_double(json_real_value(v), out);
	if (!json_is_object(v) || json_object_size(v) != 1)
		return EXT_WRONG;
	const json_t *n = json_object_get(v, "$numberInt");
	if (!n)
		n = json_object_get(v, "$numberLong");
	if (n)
		return from_text(n, false, out);
	n = json_object_get(v, "$numberDouble");
	return n ? from_text(n, true, out) : EXT_WRONG;
}

enum ext_result ext_text(const json_t *v, struct slice *out)
{
	if (!v || json_is_null(v))
		return EXT_ABSENT;
	if (!json_is_string(v))
		return EXT_WRONG;
	*out = slice_of(json_string_value(v), json_string_length(v));
	return out->len ? EXT_OK : EXT_ABSENT;
}

enum ext_result ext_bool(const json_t *v, bool *out)
{
	if (!v || json_is_null(v))
		return EXT_ABSENT;
	if (!json_is_boolean(v))
		return EXT_WRONG;
	*out = json_is_true(v);
	return EXT_OK;
}

const char *ext_type_name(const json_t *v)
{
	if (!v)
		return "nothing";
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "a number";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}
