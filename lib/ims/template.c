// See template.h. Placeholders become marks (fragment.h) in the values of the parsed tree, so that no value can break the
// XML. Owns nothing between calls.
#include "lib/ims/template.h"
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/err.h"
#include "lib/ims/fragment.h"

#define DEPTH_MAX 32
#define VALUES_MAX (64u << 10) // octets of all values of one criterion

struct template_reader {
	const char *name;
	struct ims_template_report *report;
	unsigned seen_cnt;
	uint32_t seen[IMS_CRITERIA_MAX]; // priorities
	uint8_t values[VALUES_MAX];
	size_t used;
};

__attribute__((format(printf, 3, 4))) static bool bad(struct template_reader *r, long line, const char *fmt, ...)
{
	char *at = r->report->text;
	size_t have = strlen(at), room = sizeof(r->report->text) - have;
	char why[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	r->report->errors++;
	int n = snprintf(at + have, room, "%s%s:%ld: %s", have ? "\n" : "", r->name, line, why);
	if (n < 0 || (size_t)n >= room)
		at[have] = 0;
	return false;
}

// ---- placeholders

static const struct {
	const char *name;
	enum ims_mark mark;
} names[] = {{"imsi", IMS_MARK_IMSI},	  {"msisdn", IMS_MARK_MSISDN}, {"domain", IMS_MARK_DOMAIN},
	     {"mcc", IMS_MARK_MCC},	  {"mnc", IMS_MARK_MNC},       {"impi", IMS_MARK_PRIVATE},
	     {"impu", IMS_MARK_PUBLIC},	  {"ims_domain", IMS_MARK_DOMAIN}};

static enum ims_mark mark_of(const char *name, size_t len)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].name) == len && strncasecmp(names[i].name, name, len) == 0)
			return names[i].mark;
	return (enum ims_mark)0;
}

// What stands between braces: imsi, or iFC_vars['imsi'] with blanks around it. 0: no placeholder.
static enum ims_mark placeholder(const char *p, const char *end)
{
	while (p < end && *p == ' ')
		p++;
	while (end > p && end[-1] == ' ')
		end--;
	if (end - p > 12 && strncmp(p, "iFC_vars[", 9) == 0 && end[-1] == ']' && (p[9] == '\'' || p[9] == '"')) {
		p += 10;
		end -= 2;
	}
	return end > p ? mark_of(p, (size_t)(end - p)) : (enum ims_mark)0;
}

// Copies a value with marks in place of placeholders. false: told.
static bool take_value(struct template_reader *r, long line, const char *text, struct slice *out)
{
	uint8_t *to = r->values + r->used, *start = to, *room = r->values + VALUES_MAX;
	for (const char *p = text; *p;) {
		const char *open = p, *close = NULL;
		unsigned braces = p[0] == '{' ? p[1] == '{' ? 2 : 1 : 0;
		if (braces)
			close = strstr(p, braces == 2 ? "}}" : "}");
		enum ims_mark mark = close ? placeholder(open + braces, close) : (enum ims_mark)0;
		if (braces == 2 && !mark)
			return bad(r, line, "expected a placeholder that is known, got \"%.40s\"", p);
		if (to == room)
			return bad(r, line, "expected at most %u octets of values in one criterion", VALUES_MAX);
		if (mark) {
			*to++ = (uint8_t)mark;
			r->report->marks++;
			p = close + braces;
		} else {
			*to++ = (uint8_t)*p++;
		}
	}
	*out = slice_of(start, (size_t)(to - start));
	r->used += out->len;
	return true;
}

// ---- elements

static bool is(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

static long line_of(const xmlNode *n)
{
	return xmlGetLineNo(n);
}

// The text of an element, without the blanks around it.
static bool text_of(struct template_reader *r, const xmlNode *n, struct slice *out)
{
	xmlChar *text = xmlNodeGetContent(n);
	const char *p = text ? (const char *)text : "";
	p += strspn(p, " \t\r\n");
	size_t len = strlen(p);
	while (len && strchr(" \t\r\n", p[len - 1]))
		len--;
	char *copy = strndup(p, len);
	bool ok = copy && take_value(r, line_of(n), copy, out);
	free(copy);
	xmlFree(text);
	return ok;
}

static bool number_of(struct template_reader *r, const xmlNode *n, uint32_t *out)
{
	struct slice s;
	uint64_t v = 0;
	if (!text_of(r, n, &s))
		return false;
	bool ok = s.len > 0 && s.len <= 10;
	for (uint32_t i = 0; ok && i < s.len; i++) {
		ok = s.p[i] >= '0' && s.p[i] <= '9';
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	if (slice_eq(s, slice_str("true")) || slice_eq(s, slice_str("false"))) {
		v = s.len == 4;
		ok = true;
	}
	if (!ok || v > INT32_MAX)
		return bad(r, line_of(n), "%s: expected a whole number, got \"%.*s\"", n->name, (int)(s.len < 40 ? s.len : 40),
			   s.len ? (const char *)s.p : "");
	*out = (uint32_t)v;
	return true;
}

static bool unknown(struct template_reader *r, const xmlNode *n, const char *in)
{
	return n->type != XML_ELEMENT_NODE || bad(r, line_of(n), "%s: not expected in %s", n->name, in);
}

static bool pair_read(struct template_reader *r, const xmlNode *n, const char *first, struct ims_spt *s)
{
	for (const xmlNode *c = n->children; c; c = c->next) {
		bool ok = is(c, first)	     ? text_of(r, c, &s->name)
			  : is(c, "Content") ? text_of(r, c, &s->content)
					     : unknown(r, c, (const char *)n->name);
		if (!ok)
			return false;
	}
	return true;
}

static bool types_read(struct template_reader *r, const xmlNode *n, struct ims_spt *s)
{
	for (const xmlNode *c = n->children; c; c = c->next) {
		if (!is(c, "RegistrationType"))
			continue; // what later releases have put there
		if (s->registration_cnt == 2)
			return bad(r, line_of(c), "RegistrationType: expected at most 2");
		if (!number_of(r, c, &s->registration[s->registration_cnt++]))
			return false;
	}
	return true;
}

static bool condition_read(struct template_reader *r, const xmlNode *n, struct ims_spt *s)
{
	s->kinds++;
	if (is(n, "SessionCase")) {
		s->kind = IMS_SPT_SESSION_CASE;
		return number_of(r, n, &s->session_case);
	}
	if (is(n, "SIPHeader")) {
		s->kind = IMS_SPT_SIP_HEADER;
		return pair_read(r, n, "Header", s);
	}
	if (is(n, "SessionDescription")) {
		s->kind = IMS_SPT_SESSION_DESCRIPTION;
		return pair_read(r, n, "Line", s);
	}
	s->kind = is(n, "Method") ? IMS_SPT_METHOD : IMS_SPT_REQUEST_URI;
	return text_of(r, n, &s->name);
}

static bool spt_read(struct template_reader *r, const xmlNode *n, struct ims_spt *s)
{
	*s = (struct ims_spt){0};
	for (const xmlNode *c = n->children; c; c = c->next) {
		uint32_t v = 0;
		bool ok = true;
		if (is(c, "ConditionNegated")) {
			ok = number_of(r, c, &v);
			s->negated = v;
		} else if (is(c, "Group")) {
			ok = s->group_cnt < IMS_GROUPS_MAX ? number_of(r, c, &s->group[s->group_cnt++])
							   : bad(r, line_of(c), "Group: expected at most %d", IMS_GROUPS_MAX);
		} else if (is(c, "RequestURI") || is(c, "Method") || is(c, "SIPHeader") || is(c, "SessionCase") ||
			   is(c, "SessionDescription")) {
			ok = condition_read(r, c, s);
		} else if (is(c, "Extension")) {
			ok = types_read(r, c, s);
		} else {
			ok = unknown(r, c, "SPT");
		}
		if (!ok)
			return false;
	}
	return true;
}

static bool trigger_read(struct template_reader *r, const xmlNode *n, struct ims_criterion *k)
{
	k->has_trigger = true;
	for (const xmlNode *c = n->children; c; c = c->next) {
		bool ok = true;
		if (is(c, "ConditionTypeCNF")) {
			k->has_cnf = true;
			ok = number_of(r, c, &k->cnf);
		} else if (is(c, "SPT")) {
			ok = k->spt_cnt < IMS_SPT_MAX ? spt_read(r, c, &k->spt[k->spt_cnt++])
						      : bad(r, line_of(c), "SPT: expected at most %d", IMS_SPT_MAX);
		} else {
			ok = unknown(r, c, "TriggerPoint");
		}
		if (!ok)
			return false;
	}
	return true;
}

static bool server_read(struct template_reader *r, const xmlNode *n, struct ims_criterion *k)
{
	for (const xmlNode *c = n->children; c; c = c->next) {
		bool ok = true;
		if (is(c, "ServerName")) {
			ok = text_of(r, c, &k->server);
		} else if (is(c, "DefaultHandling")) {
			k->has_handling = true;
			ok = number_of(r, c, &k->handling);
		} else if (is(c, "ServiceInfo")) {
			ok = text_of(r, c, &k->service_info);
		} else if (is(c, "Extension")) {
			for (const xmlNode *e = c->children; e; e = e->next) {
				k->include_request |= is(e, "IncludeRegisterRequest");
				k->include_response |= is(e, "IncludeRegisterResponse");
			}
		} else {
			ok = unknown(r, c, "ApplicationServer");
		}
		if (!ok)
			return false;
	}
	return true;
}

static bool criterion_read(struct template_reader *r, const xmlNode *n, struct ims_criterion *k)
{
	*k = (struct ims_criterion){0};
	r->used = 0;
	for (const xmlNode *c = n->children; c; c = c->next) {
		bool ok = true;
		if (is(c, "Priority")) {
			k->has_priority = true;
			ok = number_of(r, c, &k->priority);
		} else if (is(c, "TriggerPoint")) {
			ok = trigger_read(r, c, k);
		} else if (is(c, "ApplicationServer")) {
			ok = server_read(r, c, k);
		} else if (is(c, "ProfilePartIndicator")) {
			k->has_part = true;
			ok = number_of(r, c, &k->part);
		} else {
			ok = unknown(r, c, "InitialFilterCriteria");
		}
		if (!ok)
			return false;
	}
	return true;
}

// One criterion into the fragment; every wrong one is told.
static void criterion_take(struct template_reader *r, const xmlNode *n, struct ims_criterion *k, struct wr *out)
{
	struct ims_reason why;
	if (!criterion_read(r, n, k))
		return;
	if (!ims_criterion_check(k, &why)) {
		(void)bad(r, line_of(n), "%s", why.text);
		return;
	}
	for (unsigned i = 0; i < r->seen_cnt; i++)
		if (r->seen[i] == k->priority) {
			(void)bad(r, line_of(n), "Priority: expected one that no other criterion has, got %u", k->priority);
			return;
		}
	if (r->seen_cnt == IMS_CRITERIA_MAX) {
		(void)bad(r, line_of(n), "InitialFilterCriteria: expected at most %d", IMS_CRITERIA_MAX);
		return;
	}
	r->seen[r->seen_cnt++] = k->priority;
	ims_criterion_put(out, k);
	r->report->criteria++;
}

static void walk(struct template_reader *r, const xmlNode *n, unsigned depth, struct ims_criterion *k, struct wr *out)
{
	for (; n; n = n->next) {
		if (is(n, "InitialFilterCriteria"))
			criterion_take(r, n, k, out);
		else if (n->type == XML_ELEMENT_NODE && depth < DEPTH_MAX)
			walk(r, n->children, depth + 1, k, out);
	}
}

static void quiet(void *ctx, const char *fmt, ...)
{
	(void)ctx;
	(void)fmt;
}

// The parser's own words, without their line end.
static void tell_parser(struct template_reader *r, xmlParserCtxt *ctx)
{
	const xmlError *e = xmlCtxtGetLastError(ctx);
	char text[200];
	snprintf(text, sizeof(text), "%s", e && e->message ? e->message : "not XML");
	text[strcspn(text, "\r\n")] = 0;
	(void)bad(r, e ? e->line : 1, "expected well-formed XML: %s", text);
}

static xmlDoc *parse(struct template_reader *r, struct slice text)
{
	xmlParserCtxt *ctx = xmlNewParserCtxt();
	if (!ctx)
		return NULL;
	ctx->sax->error = ctx->sax->warning = quiet;
	xmlDoc *doc = xmlCtxtReadMemory(ctx, (const char *)text.p, (int)text.len, NULL, NULL,
					XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!doc)
		tell_parser(r, ctx);
	if (doc && (doc->intSubset || doc->extSubset)) {
		(void)bad(r, 1, "expected no document type");
		xmlFreeDoc(doc);
		doc = NULL;
	}
	xmlFreeParserCtxt(ctx);
	return doc;
}

bool ims_template_read(struct slice text, const char *name, struct wr *out, struct ims_template_report *report)
{
	*report = (struct ims_template_report){0};
	struct template_reader *r = calloc(1, sizeof(*r));
	struct ims_criterion *k = calloc(1, sizeof(*k));
	xmlDoc *doc = NULL;
	if (!r || !k) {
		free(r);
		free(k);
		report->errors = 1;
		return false;
	}
	r->name = name;
	r->report = report;
	if (text.len == 0 || text.len > IMS_TEMPLATE_SIZE_MAX)
		(void)bad(r, 1, "expected 1 to %u octets of XML", IMS_TEMPLATE_SIZE_MAX);
	else
		doc = parse(r, text);
	if (doc)
		walk(r, xmlDocGetRootElement(doc), 0, k, out);
	if (doc && report->errors == 0 && out->err)
		(void)bad(r, 1, "expected filter criteria of at most %u octets", (unsigned)(out->end - out->base));
	xmlFreeDoc(doc);
	free(r);
	free(k);
	return report->errors == 0;
}

bool ims_template_load(const char *path, struct wr *out, struct ims_template_report *report)
{
	FILE *f = fopen(path, "re");
	char *text = malloc(IMS_TEMPLATE_SIZE_MAX + 1);
	size_t n = f && text ? fread(text, 1, IMS_TEMPLATE_SIZE_MAX + 1, f) : 0;
	bool ok = f && text && !ferror(f);
	if (ok) {
		ok = ims_template_read(slice_of(text, n), path, out, report);
	} else {
		*report = (struct ims_template_report){.errors = 1};
		snprintf(report->text, sizeof(report->text), "%s: %s", path, err_text(f ? EIO : errno));
	}
	if (f)
		fclose(f);
	free(text);
	return ok;
}
