// The document's member `non_3gpp` as data (data.h), checked. Loader process.
#include <stdarg.h>
#include <stdio.h>
#include "apps/swx/loader.h"
#include "loader/document/walk.h"

__attribute__((format(printf, 2, 3))) static bool bad(struct record_error *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return false;
}

static const json_t *get(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	return json_is_null(v) ? NULL : v;
}

// true or false; absent: true.
static bool bool_of(struct record_error *e, const json_t *object, const char *name, bool *out)
{
	const json_t *v = get(object, name);
	*out = !v || json_is_true(v);
	return !v || json_is_boolean(v) || bad(e, "non_3gpp.%s: expected true or false", name);
}

// A list of texts of 1 to `octets` octets each.
static bool texts_of(struct record_error *e, const json_t *object, const char *name, size_t octets, struct slice *out,
		     unsigned *cnt, unsigned max)
{
	const json_t *list = get(object, name);
	if (list && !json_is_array(list))
		return bad(e, "non_3gpp.%s: expected an array", name);
	if (json_array_size(list) > max)
		return bad(e, "non_3gpp.%s: expected at most %u", name, max);
	for (*cnt = 0; *cnt < json_array_size(list); ++*cnt) {
		const json_t *v = json_array_get(list, *cnt);
		if (!json_is_string(v) || !json_string_length(v) || json_string_length(v) > octets)
			return bad(e, "non_3gpp.%s[%u]: expected a text of 1 to %zu octets", name, *cnt, octets);
		out[*cnt] = slice_of(json_string_value(v), json_string_length(v));
	}
	return true;
}

static bool rats_of(struct record_error *e, const json_t *object, uint16_t *rats)
{
	struct slice name[SWX_RAT_CNT];
	unsigned cnt;
	if (!texts_of(e, object, "rat_types", 16, name, &cnt, SWX_RAT_CNT))
		return false;
	for (unsigned i = 0; i < cnt; i++) {
		unsigned rat = 0;
		while (rat < SWX_RAT_CNT && !slice_eq(name[i], slice_str(swx_rat_name[rat])))
			rat++;
		if (rat == SWX_RAT_CNT)
			return bad(e, "non_3gpp.rat_types[%u]: expected wlan, virtual, trusted-n3ga, wireline, cdma2000-1x, hrpd, "
				      "umb or ehrpd", i);
		*rats |= (uint16_t)(1u << rat);
	}
	return true;
}

bool swx_read(struct loader *l, const json_t *document, struct wr *out, struct record_error *e)
{
	static struct swx_data d;
	const json_t *member = get(document, "non_3gpp");
	bool allowed, apn_access;
	(void)l;
	d = (struct swx_data){.rats = 0};
	if (!member)
		return true;
	if (!json_is_object(member))
		return bad(e, "non_3gpp: expected an object");
	if (!bool_of(e, member, "allowed", &allowed) || !bool_of(e, member, "apn_access", &apn_access) ||
	    !texts_of(e, member, "apns", GATEWAY_APN_MAX, d.apn, &d.apn_cnt, SWX_APNS_MAX) || !rats_of(e, member, &d.rats) ||
	    !texts_of(e, member, "visited_networks", 200, d.visited, &d.visited_cnt, SWX_VISITED_MAX))
		return false;
	d.denied = !allowed;
	d.no_apns = !apn_access;
	swx_data_put(out, &d);
	return true;
}
