// Messages: a cookie, a blank, a dictionary; and what is needed to show an answer whose strings are octets.
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include "lib/base/ident.h"
#include "lib/ng/ng.h"

void ng_cookie(char out[NG_COOKIE_SIZE])
{
	uint8_t octets[NG_COOKIE_SIZE / 2];

	if (getrandom(octets, sizeof octets, 0) != sizeof octets)
		bug("no random numbers: %s", err_text(errno));
	hex_text(octets, sizeof octets, out);
}

static int to_writer(const char *text, size_t len, void *w)
{
	wr_bytes(w, text, len);
	return ((struct wr *)w)->err ? -1 : 0;
}

bool ng_message_write(const char *cookie, const json_t *dictionary, enum ng_format format, struct wr *w)
{
	wr_bytes(w, cookie, strlen(cookie));
	wr_u8(w, ' ');
	if (format == NG_BENCODE)
		return ng_bencode_write(dictionary, w) && !w->err;
	return json_dump_callback(dictionary, to_writer, w, JSON_COMPACT) == 0 && !w->err;
}

static enum ng_read fault_at(struct ng_fault *fault, size_t offset, const char *what, enum ng_read rc)
{
	*fault = (struct ng_fault){(uint32_t)offset, what};
	return rc;
}

static enum ng_read read_cookie(struct rd *r, struct slice *cookie, struct ng_fault *fault)
{
	const uint8_t *from = r->p;
	size_t left = rd_left(r), n = 0;

	while (n < left && from[n] != ' ' && n <= NG_COOKIE_MAX)
		n++;
	if (n > NG_COOKIE_MAX)
		return fault_at(fault, n, "a cookie that is too long", NG_READ_BAD);
	if (n == left)
		return fault_at(fault, n, "it ends before it is whole", NG_READ_CUT);
	if (n == 0)
		return fault_at(fault, 0, "expected a cookie", NG_READ_BAD);
	*cookie = rd_bytes(r, n);
	rd_take(r, 1);
	return NG_READ_OK;
}

static enum ng_read read_json(struct rd *r, json_t **out, struct ng_fault *fault)
{
	json_error_t error;

	*out = json_loadb((const char *)r->p, rd_left(r), JSON_REJECT_DUPLICATES, &error);
	if (!*out)
		return fault_at(fault, error.position > 0 ? (size_t)error.position : 0, "no JSON object", NG_READ_BAD);
	rd_take(r, rd_left(r));
	return NG_READ_OK;
}

static enum ng_read read_dictionary(struct slice all, struct rd *r, json_t **out, struct ng_fault *fault)
{
	size_t before = (size_t)(r->p - all.p);
	bool is_json = rd_left(r) && *r->p == '{';
	enum ng_read rc = is_json ? read_json(r, out, fault) : ng_bencode_read(r, out, fault);

	if (rc) {
		fault->offset += (uint32_t)before;
		return rc;
	}
	if (json_is_object(*out))
		return NG_READ_OK;
	json_decref(*out);
	*out = NULL;
	return fault_at(fault, before, "expected a dictionary", NG_READ_BAD);
}

enum ng_read ng_stream_read(struct slice stream, size_t *used, struct slice *cookie, json_t **out,
			    struct ng_fault *fault)
{
	struct rd r = rd_slice(stream);
	enum ng_read rc;

	*out = NULL;
	while (rd_left(&r) && *r.p == '\n') // between messages
		rd_take(&r, 1);
	rc = read_cookie(&r, cookie, fault);
	if (!rc)
		rc = read_dictionary(stream, &r, out, fault);
	*used = (size_t)(r.p - stream.p);
	return rc;
}

enum ng_read ng_message_read(struct slice message, struct slice *cookie, json_t **out, struct ng_fault *fault)
{
	size_t used;
	enum ng_read rc = ng_stream_read(message, &used, cookie, out, fault);

	if (rc || used == message.len)
		return rc;
	json_decref(*out);
	*out = NULL;
	return fault_at(fault, used, "something follows the message", NG_READ_BAD);
}

// --- Text that may be no UTF-8

// Octets of the character at the beginning, 0 if it isn't one. jansson says what is UTF-8: a character has 1 to 4 octets.
static unsigned character(const char *p, size_t left)
{
	for (unsigned len = 1; len <= 4 && len <= left; len++) {
		json_t *one = json_stringn(p, len);
		json_decref(one);
		if (one)
			return len;
	}
	return 0;
}

static char *clean_text(const char *text, size_t len, size_t *out_len)
{
	char *out = malloc(3 * len + 1);

	*out_len = 0;
	for (size_t i = 0; out && i < len;) {
		unsigned n = (unsigned char)text[i] < 0x80 ? 1 : character(text + i, len - i);
		memcpy(out + *out_len, n ? text + i : "\xef\xbf\xbd", n ? n : 3);
		*out_len += n ? n : 3;
		i += n ? n : 1;
	}
	if (out)
		out[*out_len] = 0;
	return out;
}

static json_t *clean_string(const char *text, size_t len)
{
	json_t *value = json_stringn(text, len);
	size_t clean_len;

	if (!value) {
		char *clean = clean_text(text, len, &clean_len);
		value = clean ? json_stringn(clean, clean_len) : NULL;
		free(clean);
	}
	return value;
}

static json_t *clean_object(json_t *object)
{
	json_t *out = json_object(), *member;
	const char *key;
	size_t len;

	json_object_foreach(object, key, member) {
		char *clean = clean_text(key, strlen(key), &len);
		if (clean)
			json_object_set_new(out, clean, ng_clean(member));
		free(clean);
	}
	return out;
}

json_t *ng_clean(const json_t *value)
{
	json_t *out;

	switch (json_typeof(value)) {
	case JSON_OBJECT: // jansson iterates over what it may change, and nothing is changed here
		return clean_object((json_t *)(uintptr_t)value);
	case JSON_ARRAY:
		out = json_array();
		for (size_t i = 0; i < json_array_size(value); i++)
			json_array_append_new(out, ng_clean(json_array_get(value, i)));
		return out;
	case JSON_STRING:
		return clean_string(json_string_value(value), json_string_length(value));
	default:
		return json_deep_copy(value);
	}
}
