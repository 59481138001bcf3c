// libxml2, used with care.
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <stdlib.h>
#include <string.h>
#include "lib/ims/xml.h"

// sax->serror: each defect with its line. The parser stops soon after the first.
#if LIBXML_VERSION >= 21200
static void on_error(void *ctx, const xmlError *e)
#else
static void on_error(void *ctx, xmlError *e)
#endif
{
	xmlParserCtxt *parser = ctx;
	struct ims_report *report = parser->_private;
	char text[160];
	size_t n = 0;

	if (e->level < XML_ERR_ERROR)
		return;
	for (const char *p = e->message ? e->message : "not XML"; *p && *p != '\n' && n < sizeof text - 1; p++)
		text[n++] = *p;
	text[n] = 0;
	ims_report_error(report, (struct ims_at){.line = e->line > 0 ? (unsigned)e->line : 0}, "no well-formed XML: %s", text);
}

// sax->internalSubset: entities would be declared there.
static void on_doctype(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	xmlParserCtxt *parser = ctx;

	(void)name;
	(void)external;
	(void)system;
	ims_report_error(parser->_private, (struct ims_at){.line = (unsigned)xmlSAX2GetLineNumber(ctx)},
			 "expected no DOCTYPE");
	xmlStopParser(parser);
}

static xmlDoc *parse(struct slice text, struct ims_report *report)
{
	xmlParserCtxt *parser = xmlNewParserCtxt();
	unsigned before = report->errors;
	xmlDoc *doc;

	if (!parser) {
		ims_report_error(report, (struct ims_at){0}, "no memory");
		return NULL;
	}
	parser->_private = report;
	parser->sax->serror = on_error;
	parser->sax->internalSubset = on_doctype;
	doc = xmlCtxtReadMemory(parser, (const char *)text.p, (int)text.len, NULL, "UTF-8",
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES | XML_PARSE_COMPACT);
	if (!doc && report->errors == before)
		ims_report_error(report, (struct ims_at){0}, "no well-formed XML");
	if (doc && (report->errors != before || !xmlDocGetRootElement(doc))) {
		xmlFreeDoc(doc);
		doc = NULL;
	}
	xmlFreeParserCtxt(parser);
	return doc;
}

// Where the first element begins: behind the declaration, comments and instructions; text.len: nowhere.
static uint32_t first_element(struct slice text)
{
	const char *p = (const char *)text.p, *end = p + text.len;

	while (p && p < end) {
		const char *to;

		p = memchr(p, '<', (size_t)(end - p));
		if (!p || end - p < 2 || (p[1] != '?' && p[1] != '!'))
			break;
		if (end - p > 3 && memcmp(p, "<!--", 4) == 0)
			to = memmem(p, (size_t)(end - p), "-->", 3);
		else
			to = memchr(p, '>', (size_t)(end - p));
		p = to;
	}
	return p && p < end ? (uint32_t)((const uint8_t *)p - text.p) : text.len;
}

// The text with <wrap> around its elements, on the lines where they are.
static xmlDoc *parse_wrapped(struct slice text, const char *wrap, struct ims_report *report)
{
	uint32_t at = first_element(text);
	size_t cap = text.len + 2 * strlen(wrap) + 5;
	uint8_t *room = malloc(cap);
	struct wr w = wr_of(room, cap);
	xmlDoc *doc = NULL;

	if (room) {
		wr_bytes(&w, text.p, at);
		wr_u8(&w, '<');
		wr_slice(&w, slice_str(wrap));
		wr_u8(&w, '>');
		wr_bytes(&w, text.p + at, text.len - at);
		wr_bytes(&w, "</", 2);
		wr_slice(&w, slice_str(wrap));
		wr_u8(&w, '>');
		doc = parse(wr_done(&w), report);
	} else {
		ims_report_error(report, (struct ims_at){0}, "no memory");
	}
	free(room);
	return doc;
}

xmlDoc *ims_xml_parse(struct slice text, const char *wrap, struct ims_report *report)
{
	static const char list[] = "<InitialFilterCriteria";
	uint32_t at = first_element(text);

	if (text.len > XML_TEXT_MAX) {
		ims_report_error(report, (struct ims_at){0}, "longer than %u octets", XML_TEXT_MAX);
		return NULL;
	}
	if (at == text.len) {
		ims_report_error(report, (struct ims_at){.line = 1}, "no XML: expected an element");
		return NULL;
	}
	if (wrap && text.len - at >= sizeof list && memcmp(text.p + at, list, sizeof list - 1) == 0)
		return parse_wrapped(text, wrap, report);
	return parse(text, report);
}

struct ims_at ims_xml_at(const xmlNode *node)
{
	long line = xmlGetLineNo(node);

	return (struct ims_at){.line = line > 0 ? (unsigned)line : 0};
}

static const xmlNode *ours(const xmlNode *node)
{
	const xmlNode *root = node && node->doc ? xmlDocGetRootElement(node->doc) : NULL;

	for (; node; node = node->next)
		if (node->type == XML_ELEMENT_NODE && (!node->ns || (root && node->ns == root->ns)))
			break;
	return node;
}

const xmlNode *ims_xml_first(const xmlNode *parent)
{
	return ours(parent->children);
}

const xmlNode *ims_xml_next(const xmlNode *node)
{
	return ours(node->next);
}

bool ims_xml_is(const xmlNode *node, const char *name)
{
	return strcmp((const char *)node->name, name) == 0;
}

const xmlNode *ims_xml_child(const xmlNode *parent, const char *name)
{
	const xmlNode *n = ims_xml_first(parent);

	while (n && !ims_xml_is(n, name))
		n = ims_xml_next(n);
	return n;
}
