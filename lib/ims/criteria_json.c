// See criteria_json.h. Owns nothing. Two spellings of some members are read: ours, and that of Open5GS.
#include "lib/ims/criteria_json.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct json_reader {
	struct ims_reason *why;
	char at[64];
};

__attribute__((format(printf, 2, 3))) static bool bad(struct json_reader *r, const char *fmt, ...)
{
	char text[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(r->why->text, sizeof(r->why->text), "%s%s", r->at, text);
	return false;
}

static const json_t *get(const json_t *object, const char *name, const char *other)
{
	const json_t *v = json_object_get(object, name);
	if (!v && other)
		v = json_object_get(object, other);
	return json_is_null(v) ? NULL : v;
}

static bool number(struct json_reader *r, const json_t *v, const char *name, uint32_t *out)
{
	bool whole = json_is_integer(v) || (json_is_real(v) && json_real_value(v) == (double)(long long)json_real_value(v));
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : whole ? (json_int_t)json_real_value(v) : -1;
	if (json_is_boolean(v))
		n = json_is_true(v);
	if (n < 0 || n > INT32_MAX)
		return bad(r, "%s: expected a whole number", name);
	*out = (uint32_t)n;
	return true;
}

// Absent: stays. *has may be NULL.
static bool number_of(struct json_reader *r, const json_t *object, const char *name, uint32_t *out, bool *has)
{
	const json_t *v = get(object, name, NULL);
	if (has)
		*has = v != NULL;
	return !v || number(r, v, name, out);
}

// Control characters would be taken for marks.
static bool text(struct json_reader *r, const json_t *v, const char *name, struct slice *out)
{
	if (!json_is_string(v))
		return bad(r, "%s: expected a text", name);
	*out = slice_of(json_string_value(v), json_string_length(v));
	for (uint32_t i = 0; i < out->len; i++)
		if (out->p[i] < 0x20 || out->p[i] == 0x7f)
			return bad(r, "%s: expected no control character", name);
	return true;
}

static bool text_of(struct json_reader *r, const json_t *object, const char *name, const char *other, struct slice *out)
{
	const json_t *v = get(object, name, other);
	*out = (struct slice){0};
	return !v || text(r, v, name, out);
}

// A number, or a list of them.
static bool groups(struct json_reader *r, const json_t *v, struct ims_spt *s)
{
	if (!v)
		return true;
	if (!json_is_array(v)) {
		s->group_cnt = 1;
		return number(r, v, "group", &s->group[0]);
	}
	if (json_array_size(v) > IMS_GROUPS_MAX)
		return bad(r, "group: expected at most %d", IMS_GROUPS_MAX);
	for (size_t i = 0; i < json_array_size(v); i++)
		if (!number(r, json_array_get(v, i), "group", &s->group[s->group_cnt++]))
			return false;
	return true;
}

static bool pair(struct json_reader *r, const json_t *v, const char *name, struct ims_spt *s)
{
	if (!json_is_object(v))
		return bad(r, "%s: expected an object", name);
	return text_of(r, v, strcmp(name, "sip_header") == 0 ? "header" : "line", NULL, &s->name) &&
	       text_of(r, v, "content", NULL, &s->content);
}

static bool condition(struct json_reader *r, const json_t *v, struct ims_spt *s)
{
	static const struct {
		const char *name, *other;
		enum ims_spt_kind kind;
	} kinds[] = {{"request_uri", NULL, IMS_SPT_REQUEST_URI},
		     {"method", NULL, IMS_SPT_METHOD},
		     {"sip_header", NULL, IMS_SPT_SIP_HEADER},
		     {"session_case", NULL, IMS_SPT_SESSION_CASE},
		     {"session_description", "sdp_line", IMS_SPT_SESSION_DESCRIPTION}};
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const json_t *one = get(v, kinds[i].name, kinds[i].other);
		bool ok = true;
		if (!one)
			continue;
		s->kinds++;
		s->kind = kinds[i].kind;
		if (s->kind == IMS_SPT_REQUEST_URI || s->kind == IMS_SPT_METHOD)
			ok = text(r, one, kinds[i].name, &s->name);
		else if (s->kind == IMS_SPT_SESSION_CASE)
			ok = number(r, one, kinds[i].name, &s->session_case);
		else
			ok = pair(r, one, kinds[i].name, s);
		if (!ok)
			return false;
	}
	return true;
}

static bool spt(struct json_reader *r, const json_t *v, struct ims_spt *s)
{
	const json_t *types = get(v, "registration_types", NULL), *negated = get(v, "negated", "condition_negated");
	uint32_t yes = 0;
	*s = (struct ims_spt){0};
	if (!json_is_object(v))
		return bad(r, "expected an object");
	if (negated && !number(r, negated, "negated", &yes))
		return false;
	s->negated = yes;
	if (json_array_size(types) > 2)
		return bad(r, "registration_types: expected at most 2");
	for (size_t i = 0; i < json_array_size(types); i++)
		if (!number(r, json_array_get(types, i), "registration_types", &s->registration[s->registration_cnt++]))
			return false;
	return groups(r, get(v, "group", NULL), s) && condition(r, v, s);
}

static bool trigger(struct json_reader *r, const json_t *v, struct ims_criterion *c)
{
	const json_t *list = get(v, "spt", NULL);
	char at[sizeof(r->at)];
	if (!v)
		return true;
	c->has_trigger = true;
	if (!number_of(r, v, "condition_type_cnf", &c->cnf, &c->has_cnf))
		return false;
	if (!json_is_array(list) || json_array_size(list) > IMS_SPT_MAX)
		return bad(r, "trigger_point.spt: expected an array of at most %d", IMS_SPT_MAX);
	memcpy(at, r->at, sizeof(at));
	for (size_t i = 0; i < json_array_size(list); i++) {
		snprintf(r->at, sizeof(r->at), "%.20strigger_point.spt[%zu].", at, i);
		if (!spt(r, json_array_get(list, i), &c->spt[c->spt_cnt++]))
			return false;
	}
	memcpy(r->at, at, sizeof(at));
	return true;
}

static bool server(struct json_reader *r, const json_t *v, struct ims_criterion *c)
{
	if (!json_is_object(v))
		return bad(r, "application_server: expected an object");
	c->include_request = json_is_true(get(v, "include_register_request", NULL));
	c->include_response = json_is_true(get(v, "include_register_response", NULL));
	return text_of(r, v, "server_name", NULL, &c->server) && text_of(r, v, "service_info", NULL, &c->service_info) &&
	       number_of(r, v, "default_handling", &c->handling, &c->has_handling);
}

static bool criterion(struct json_reader *r, const json_t *v, struct ims_criterion *c)
{
	*c = (struct ims_criterion){0};
	if (!json_is_object(v))
		return bad(r, "expected an object");
	return number_of(r, v, "priority", &c->priority, &c->has_priority) && trigger(r, get(v, "trigger_point", NULL), c) &&
	       server(r, get(v, "application_server", NULL), c) &&
	       number_of(r, v, "profile_part_indicator", &c->part, &c->has_part);
}

static bool read_one(struct json_reader *r, const json_t *v, struct wr *out, uint32_t *priority)
{
	static _Thread_local struct ims_criterion c;
	struct ims_reason why;
	if (!criterion(r, v, &c))
		return false;
	if (!ims_criterion_check(&c, &why))
		return bad(r, "%.120s", why.text);
	*priority = c.priority;
	ims_criterion_put(out, &c);
	return true;
}

bool ims_criteria_read(const json_t *list, struct wr *out, struct ims_reason *why)
{
	struct json_reader r = {.why = why};
	uint32_t priority[IMS_CRITERIA_MAX];
	if (!json_is_array(list) || json_array_size(list) > IMS_CRITERIA_MAX)
		return bad(&r, ": expected an array of at most %d", IMS_CRITERIA_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		snprintf(r.at, sizeof(r.at), "[%zu].", i);
		if (!read_one(&r, json_array_get(list, i), out, &priority[i]))
			return false;
		for (size_t k = 0; k < i; k++)
			if (priority[k] == priority[i])
				return bad(&r, "priority: expected one that no other criterion has, got %u", priority[i]);
	}
	return true;
}
