// Filter criteria of a subscriber's document: JSON to a draft. Two spellings are read: ours, and that of Open5GS's `ifc`,
// which has other names for three members and one group an SPT.
#include <errno.h>
#include <string.h>
#include "lib/ims/draft.h"

#define ROOM_INPUT 65536 // octets of JSON that the draft has room for, about
#define NO_PATH    "..."

#define INT_XS 2147483647 // xs:int

// --- places: "filter_criteria[0].trigger_point.spt[1].group"

static struct ims_at at_format(struct draft *d, const char *a, const char *b, size_t index, bool is_index)
{
	size_t cap = strlen(a) + (b ? strlen(b) : 0) + 24;
	char *path = draft_room(d, cap);

	if (path && is_index)
		snprintf(path, cap, "%s[%zu]", a, index);
	else if (path)
		snprintf(path, cap, "%s.%s", a, b);
	return (struct ims_at){.path = path ? path : NO_PATH};
}

static struct ims_at at_member(struct draft *d, struct ims_at parent, const char *name)
{
	return at_format(d, parent.path, name, 0, false);
}

static struct ims_at at_index(struct draft *d, struct ims_at parent, size_t i)
{
	return at_format(d, parent.path, NULL, i, true);
}

// --- members

// The member, which both spellings may name; NULL: it is absent or null. *at is its place.
static const json_t *member(struct draft *d, struct ims_at parent, const json_t *object, const char *name,
			    const char *other, struct ims_at *at)
{
	const json_t *v = json_object_get(object, name);

	if ((!v || json_is_null(v)) && other && json_object_get(object, other)) {
		name = other;
		v = json_object_get(object, other);
	}
	if (!v || json_is_null(v))
		return NULL;
	*at = at_member(d, parent, name);
	return v;
}

// An object, whose members are all among `names`; other programs' own (_id) are passed over.
static bool object_of(struct draft *d, struct ims_at at, const json_t *v, const char *const *names)
{
	const char *name;
	json_t *value;

	if (!json_is_object(v)) {
		ims_report_error(d->report, at, "expected an object");
		return false;
	}
	json_object_foreach((json_t *)v, name, value)
	{
		unsigned i = 0;

		while (names[i] && strcmp(names[i], name) != 0)
			i++;
		if (!names[i] && name[0] != '_')
			ims_report_error(d->report, at, "%.60s is not known here", name);
	}
	return true;
}

static bool array_of(struct draft *d, struct ims_at at, const json_t *v, size_t most)
{
	if (json_is_array(v) && json_array_size(v) <= most)
		return true;
	ims_report_error(d->report, at, "expected a list of at most %zu", most);
	return false;
}

// A whole number, also one that came as a double. `out` keeps its value when it is none.
static bool number(struct draft *d, struct ims_at at, const json_t *v, int64_t most, int64_t *out)
{
	int64_t n = -1;

	if (json_is_integer(v))
		n = json_integer_value(v);
	else if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) <= INT_XS &&
		 json_real_value(v) == (double)(int64_t)json_real_value(v))
		n = (int64_t)json_real_value(v);
	if (n < 0 || n > most) {
		ims_report_error(d->report, at, "expected a whole number from 0 to %lld", (long long)most);
		return false;
	}
	*out = n;
	return true;
}

static bool truth(struct draft *d, struct ims_at at, const json_t *v, bool *out)
{
	int64_t n;

	if (json_is_boolean(v)) {
		*out = json_is_true(v);
		return true;
	}
	if (!json_is_number(v)) {
		ims_report_error(d->report, at, "expected true, false, 1 or 0");
		return false;
	}
	if (!number(d, at, v, 1, &n))
		return false;
	*out = n == 1;
	return true;
}

static bool string(struct draft *d, struct ims_at at, enum draft_text kind, const json_t *v, struct slice *out)
{
	if (json_is_string(v))
		return draft_text(d, at, "value", kind, slice_of(json_string_value(v), json_string_length(v)), out);
	ims_report_error(d->report, at, "expected text");
	return false;
}

static void missing(struct draft *d, struct ims_at at, const char *name)
{
	ims_report_error(d->report, at, "%s is missing", name);
}

// --- service point triggers

static void groups(struct draft *d, struct ims_at at, const json_t *v, struct draft_spt *out)
{
	int64_t n = 0;

	if (!json_is_array(v)) {
		if (number(d, at, v, INT_XS, &n))
			out->groups[out->group_cnt++] = (uint32_t)n;
		return;
	}
	if (!array_of(d, at, v, IMS_GROUP_MAX))
		return;
	for (size_t i = 0; i < json_array_size(v); i++)
		if (number(d, at_index(d, at, i), json_array_get(v, i), INT_XS, &n))
			out->groups[out->group_cnt++] = (uint32_t)n;
	if (!json_array_size(v))
		ims_report_error(d->report, at, "expected at least one group");
}

static void registration_types(struct draft *d, struct ims_at at, const json_t *v, struct draft_spt *out)
{
	int64_t n = 0;

	if (!array_of(d, at, v, 2)) // the schema has room for two of the three
		return;
	for (size_t i = 0; i < json_array_size(v); i++)
		if (number(d, at_index(d, at, i), json_array_get(v, i), 2, &n))
			out->registration_types |= (uint8_t)(1u << n);
}

static void pair(struct draft *d, struct ims_at at, const json_t *v, const char *first, struct draft_spt *out)
{
	const char *const names[] = {first, "content", NULL};
	struct ims_at where;
	const json_t *m;

	if (!object_of(d, at, v, names))
		return;
	m = member(d, at, v, first, NULL, &where);
	if (m)
		(void)string(d, where, DRAFT_ERE, m, &out->text);
	else
		missing(d, at, first);
	m = member(d, at, v, "content", NULL, &where);
	// Open5GS writes an empty text for content that is absent
	out->has_content = m && !(json_is_string(m) && !json_string_length(m));
	if (out->has_content)
		(void)string(d, where, DRAFT_ERE, m, &out->content);
}

// The one condition of an SPT; *kind counts them.
static void condition(struct draft *d, struct ims_at at, const json_t *v, struct draft_spt *out)
{
	unsigned cnt = 0;
	struct ims_at where;
	const json_t *m;
	int64_t n = 0;

	if ((m = member(d, at, v, "method", NULL, &where)) && ++cnt) {
		out->kind = SPT_METHOD;
		(void)string(d, where, DRAFT_METHOD, m, &out->text);
	}
	if ((m = member(d, at, v, "request_uri", NULL, &where)) && ++cnt) {
		out->kind = SPT_REQUEST_URI;
		(void)string(d, where, DRAFT_ERE, m, &out->text);
	}
	if ((m = member(d, at, v, "sip_header", NULL, &where)) && ++cnt) {
		out->kind = SPT_SIP_HEADER;
		pair(d, where, m, "header", out);
	}
	if ((m = member(d, at, v, "session_case", NULL, &where)) && ++cnt) {
		out->kind = SPT_SESSION_CASE;
		(void)number(d, where, m, 4, &n);
		out->session_case = (uint8_t)n;
	}
	if ((m = member(d, at, v, "session_description", "sdp_line", &where)) && ++cnt) {
		out->kind = SPT_SESSION_DESCRIPTION;
		pair(d, where, m, "line", out);
	}
	if (cnt != 1)
		ims_report_error(d->report, at, "%s; expected one of method, request_uri, sip_header, session_case, "
				 "session_description", cnt ? "more than one condition" : "no condition");
}

static void spt(struct draft *d, struct ims_at at, const json_t *v, struct draft_spt *out)
{
	static const char *const names[] = {"group", "negated", "condition_negated", "method", "request_uri", "sip_header",
					    "session_case", "session_description", "sdp_line", "registration_types", NULL};
	struct ims_at where;
	const json_t *m;

	out->at = at;
	if (!object_of(d, at, v, names))
		return;
	m = member(d, at, v, "group", NULL, &where);
	if (m)
		groups(d, where, m, out);
	else
		missing(d, at, "group");
	m = member(d, at, v, "negated", "condition_negated", &where);
	if (m)
		(void)truth(d, where, m, &out->negated);
	m = member(d, at, v, "registration_types", NULL, &where);
	if (m)
		registration_types(d, where, m, out);
	condition(d, at, v, out);
}

// --- criteria

static void trigger(struct draft *d, struct ims_at at, const json_t *v, struct draft_criterion *out)
{
	static const char *const names[] = {"condition_type_cnf", "spt", NULL};
	struct ims_at where;
	const json_t *m;

	if (!object_of(d, at, v, names))
		return;
	m = member(d, at, v, "condition_type_cnf", NULL, &where);
	if (m)
		(void)truth(d, where, m, &out->cnf);
	else
		missing(d, at, "condition_type_cnf");
	m = member(d, at, v, "spt", NULL, &where);
	if (!m || (json_is_array(m) && !json_array_size(m))) {
		ims_report_error(d->report, at, "expected at least one spt (without a trigger_point all requests match)");
		return;
	}
	if (!array_of(d, where, m, IMS_SPT_MAX))
		return;
	out->has_trigger = true;
	out->spt = draft_room(d, json_array_size(m) * sizeof *out->spt);
	for (size_t i = 0; out->spt && i < json_array_size(m); i++)
		spt(d, at_index(d, where, i), json_array_get(m, i), &out->spt[out->spt_cnt++]);
}

static void server(struct draft *d, struct ims_at at, const json_t *v, struct draft_criterion *out)
{
	static const char *const names[] = {"server_name",	    "default_handling", "service_info",
					    "include_register_request", "include_register_response", NULL};
	struct ims_at where;
	const json_t *m;
	int64_t n = -1;

	if (!object_of(d, at, v, names))
		return;
	m = member(d, at, v, "server_name", NULL, &where);
	if (m)
		(void)string(d, where, DRAFT_SERVER, m, &out->server);
	else
		missing(d, at, "server_name");
	m = member(d, at, v, "default_handling", NULL, &where);
	if (m && number(d, where, m, 1, &n))
		out->default_handling = (int8_t)n;
	m = member(d, at, v, "service_info", NULL, &where);
	out->has_service_info = m && string(d, where, DRAFT_PLAIN, m, &out->service_info);
	m = member(d, at, v, "include_register_request", NULL, &where);
	if (m)
		(void)truth(d, where, m, &out->include_request);
	m = member(d, at, v, "include_register_response", NULL, &where);
	if (m)
		(void)truth(d, where, m, &out->include_response);
}

static void criterion(struct draft *d, struct ims_at at, const json_t *v, struct draft_criterion *out)
{
	static const char *const names[] = {"priority", "trigger_point", "application_server", "profile_part_indicator", NULL};
	struct ims_at where;
	const json_t *m;
	int64_t n = 0;

	*out = (struct draft_criterion){.at = at, .default_handling = -1, .part = -1};
	if (!object_of(d, at, v, names))
		return;
	m = member(d, at, v, "priority", NULL, &where);
	if (!m)
		missing(d, at, "priority");
	else if (number(d, where, m, INT_XS, &n))
		out->priority = (uint32_t)n;
	m = member(d, at, v, "trigger_point", NULL, &where);
	if (m)
		trigger(d, where, m, out);
	m = member(d, at, v, "application_server", NULL, &where);
	if (m)
		server(d, where, m, out);
	else
		missing(d, at, "application_server");
	m = member(d, at, v, "profile_part_indicator", NULL, &where);
	if (m && number(d, where, m, 1, &n))
		out->part = (int8_t)n;
}

int ims_criteria_from_json(const json_t *list, const char *path, struct ims_criteria *out, struct ims_report *report)
{
	struct draft *d = draft_new(ROOM_INPUT, report);
	struct ims_at at = {.path = path};
	int rc = -EINVAL;

	*out = (struct ims_criteria){.media_profile = -1};
	if (!d)
		return -ENOMEM;
	if (array_of(d, at, list, IMS_CRITERIA_MAX))
		for (size_t i = 0; i < json_array_size(list); i++)
			criterion(d, at_index(d, at, i), json_array_get(list, i), &d->criterion[d->criterion_cnt++]);
	if (d->report->errors == 0 && draft_check(d))
		rc = draft_compile(d, out);
	draft_free(&d);
	return rc;
}
