// See criterion.h. Owns nothing.
#include "lib/ims/criterion.h"
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "lib/ims/fragment.h"

#define SESSION_CASE_MAX 4
#define PATTERN_MAX	 500

__attribute__((format(printf, 2, 3))) static bool bad(struct ims_reason *why, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return false;
}

// A POSIX extended regular expression, marks aside.
static bool is_pattern(struct slice s)
{
	char text[PATTERN_MAX + 1];
	regex_t re;
	if (s.len > PATTERN_MAX)
		return false;
	for (uint32_t i = 0; i < s.len; i++)
		text[i] = s.p[i] && s.p[i] < IMS_MARK_CNT ? 'x' : (char)s.p[i];
	text[s.len] = 0;
	if (regcomp(&re, text, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	regfree(&re);
	return true;
}

static bool is_method(struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= 'A' && s.p[i] <= 'Z') || s.p[i] == '*' || s.p[i] == '.' || s.p[i] == '_' || s.p[i] == '-'))
			return false;
	return s.len > 0 && s.len <= 40;
}

static bool content_check(const struct ims_spt *s, unsigned i, struct ims_reason *why)
{
	if (s->kind != IMS_SPT_REQUEST_URI && s->kind != IMS_SPT_SIP_HEADER && s->kind != IMS_SPT_SESSION_DESCRIPTION)
		return true;
	if (!s->name.len)
		return bad(why, "trigger_point.spt[%u]: expected a value, got nothing", i);
	if (!is_pattern(s->name) || !is_pattern(s->content))
		return bad(why, "trigger_point.spt[%u]: expected an extended regular expression of at most %d octets", i,
			   PATTERN_MAX);
	return true;
}

static bool spt_check(const struct ims_spt *s, unsigned i, struct ims_reason *why)
{
	if (s->kinds != 1)
		return bad(why,
			   "trigger_point.spt[%u]: expected one of request_uri, method, sip_header, session_case and "
			   "session_description, got %u",
			   i, s->kinds);
	if (s->group_cnt == 0)
		return bad(why, "trigger_point.spt[%u].group: expected a number, got nothing", i);
	if (s->kind == IMS_SPT_METHOD && !is_method(s->name))
		return bad(why, "trigger_point.spt[%u].method: expected a SIP method in capitals", i);
	if (s->kind == IMS_SPT_SESSION_CASE && s->session_case > SESSION_CASE_MAX)
		return bad(why, "trigger_point.spt[%u].session_case: expected 0 to %d, got %u", i, SESSION_CASE_MAX,
			   s->session_case);
	for (unsigned n = 0; n < s->registration_cnt; n++)
		if (s->registration[n] > 2)
			return bad(why, "trigger_point.spt[%u].registration_types: expected 0 to 2, got %u", i, s->registration[n]);
	if (s->registration_cnt && !(s->kind == IMS_SPT_METHOD && slice_eq(s->name, slice_str("REGISTER"))))
		return bad(why, "trigger_point.spt[%u].registration_types: expected only beside the method REGISTER", i);
	return content_check(s, i, why);
}

static bool is_sip(struct slice s)
{
	return (s.len > 4 && strncasecmp((const char *)s.p, "sip:", 4) == 0) ||
	       (s.len > 5 && strncasecmp((const char *)s.p, "sips:", 5) == 0);
}

bool ims_criterion_check(const struct ims_criterion *c, struct ims_reason *why)
{
	if (!c->has_priority)
		return bad(why, "priority: expected a whole number, got nothing");
	if (c->has_trigger && !c->has_cnf)
		return bad(why, "trigger_point.condition_type_cnf: expected 0 or 1, got nothing");
	if (c->cnf > 1)
		return bad(why, "trigger_point.condition_type_cnf: expected 0 or 1, got %u", c->cnf);
	if (c->has_trigger && c->spt_cnt == 0)
		return bad(why, "trigger_point.spt: expected one at least, got none");
	for (unsigned i = 0; i < c->spt_cnt; i++)
		if (!spt_check(&c->spt[i], i, why))
			return false;
	if (!is_sip(c->server))
		return bad(why, "application_server.server_name: expected a sip: URI, got \"%.*s\"",
			   (int)(c->server.len < 80 ? c->server.len : 80), c->server.len ? (const char *)c->server.p : "");
	if (c->handling > 1)
		return bad(why, "application_server.default_handling: expected 0 or 1, got %u", c->handling);
	if (c->part > 1)
		return bad(why, "profile_part_indicator: expected 0 or 1, got %u", c->part);
	return true;
}

// ---- XML. Values hold marks, which stay.

static void put_text(struct wr *w, struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (s.p[i] && s.p[i] < IMS_MARK_CNT)
			wr_u8(w, s.p[i]);
		else
			ims_put_value(w, slice_of(s.p + i, 1));
}

static void put_element(struct wr *w, const char *open, struct slice value, const char *close)
{
	ims_put(w, open);
	put_text(w, value);
	ims_put(w, close);
}

static void put_condition(struct wr *w, const struct ims_spt *s)
{
	switch (s->kind) {
	case IMS_SPT_REQUEST_URI:
		put_element(w, "<RequestURI>", s->name, "</RequestURI>");
		break;
	case IMS_SPT_METHOD:
		put_element(w, "<Method>", s->name, "</Method>");
		break;
	case IMS_SPT_SIP_HEADER:
		put_element(w, "<SIPHeader><Header>", s->name, "</Header>");
		if (s->content.len)
			put_element(w, "<Content>", s->content, "</Content>");
		ims_put(w, "</SIPHeader>");
		break;
	case IMS_SPT_SESSION_CASE:
		ims_put_number(w, "SessionCase", s->session_case);
		break;
	case IMS_SPT_SESSION_DESCRIPTION:
		put_element(w, "<SessionDescription><Line>", s->name, "</Line>");
		if (s->content.len)
			put_element(w, "<Content>", s->content, "</Content>");
		ims_put(w, "</SessionDescription>");
		break;
	case IMS_SPT_NONE:
		break;
	}
}

static void put_spt(struct wr *w, const struct ims_spt *s)
{
	ims_put(w, "<SPT>");
	ims_put_number(w, "ConditionNegated", s->negated);
	for (unsigned i = 0; i < s->group_cnt; i++)
		ims_put_number(w, "Group", s->group[i]);
	put_condition(w, s);
	if (s->registration_cnt) {
		ims_put(w, "<Extension>");
		for (unsigned i = 0; i < s->registration_cnt; i++)
			ims_put_number(w, "RegistrationType", s->registration[i]);
		ims_put(w, "</Extension>");
	}
	ims_put(w, "</SPT>");
}

static void put_server(struct wr *w, const struct ims_criterion *c)
{
	put_element(w, "<ApplicationServer><ServerName>", c->server, "</ServerName>");
	if (c->has_handling)
		ims_put_number(w, "DefaultHandling", c->handling);
	if (c->service_info.len)
		put_element(w, "<ServiceInfo>", c->service_info, "</ServiceInfo>");
	if (c->include_request || c->include_response) {
		ims_put(w, "<Extension>");
		if (c->include_request)
			ims_put(w, "<IncludeRegisterRequest/>");
		if (c->include_response)
			ims_put(w, "<IncludeRegisterResponse/>");
		ims_put(w, "</Extension>");
	}
	ims_put(w, "</ApplicationServer>");
}

void ims_criterion_put(struct wr *w, const struct ims_criterion *c)
{
	ims_put(w, "<InitialFilterCriteria>");
	ims_put_number(w, "Priority", c->priority);
	if (c->has_trigger) {
		ims_put(w, "<TriggerPoint>");
		ims_put_number(w, "ConditionTypeCNF", c->cnf);
		for (unsigned i = 0; i < c->spt_cnt; i++)
			put_spt(w, &c->spt[i]);
		ims_put(w, "</TriggerPoint>");
	}
	put_server(w, c);
	if (c->has_part)
		ims_put_number(w, "ProfilePartIndicator", c->part);
	ims_put(w, "</InitialFilterCriteria>");
}
