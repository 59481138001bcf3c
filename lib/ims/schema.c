// Checks a tree of elements against tables. The tables are static, so the recursion is as deep as they are.
#include <stdlib.h>
#include <string.h>
#include "lib/ims/schema.h"

enum content {
	GROUP,	// elements
	TEXT,	// any text
	NAME,	// text, not empty
	NUMBER, // 0 to `most`
	BOOL,	// 0, 1, false, true
	DIGITS,
	EMPTY,
};

#define MANY   UINT32_MAX
#define INT_XS 2147483647 // xs:int

struct rule {
	const char *name;
	uint8_t content; // enum content
	bool own;	 // the subscriber's own: a template's is not looked at
	uint8_t choice;	 // neighbours of one number: exactly one of them
	uint32_t least, often;
	int64_t most; // of a number
	const struct rule *children; // up to a row without a name
};

#define ONE(n, c, ...)  {.name = n, .content = c, .least = 1, .often = 1, __VA_ARGS__}
#define OPT(n, c, ...)  {.name = n, .content = c, .least = 0, .often = 1, __VA_ARGS__}
#define ANY(n, c, ...)  {.name = n, .content = c, .least = 0, .often = MANY, __VA_ARGS__}
#define SOME(n, c, ...) {.name = n, .content = c, .least = 1, .often = MANY, __VA_ARGS__}
#define EXTENSION(c)    OPT("Extension", GROUP, .children = c)
#define END             {.name = NULL}

// "Extension" where release 18 has nothing in it.
static const struct rule nothing[] = {END};

static const struct rule registration[] = {
    {.name = "RegistrationType", .content = NUMBER, .often = 2, .most = 2}, EXTENSION(nothing), END};
static const struct rule header[] = {ONE("Header", NAME), OPT("Content", TEXT), EXTENSION(nothing), END};
static const struct rule line[] = {ONE("Line", NAME), OPT("Content", TEXT), EXTENSION(nothing), END};
static const struct rule spt[] = {
    OPT("ConditionNegated", BOOL),
    SOME("Group", NUMBER, .most = INT_XS),
    ONE("RequestURI", NAME, .choice = 1),
    ONE("Method", NAME, .choice = 1),
    ONE("SIPHeader", GROUP, .choice = 1, .children = header),
    ONE("SessionCase", NUMBER, .choice = 1, .most = 4),
    ONE("SessionDescription", GROUP, .choice = 1, .children = line),
    EXTENSION(registration),
    END,
};
static const struct rule trigger[] = {
    ONE("ConditionTypeCNF", BOOL), SOME("SPT", GROUP, .children = spt), EXTENSION(nothing), END};
static const struct rule registers[] = {
    OPT("IncludeRegisterRequest", EMPTY), OPT("IncludeRegisterResponse", EMPTY), EXTENSION(nothing), END};
static const struct rule server[] = {
    ONE("ServerName", NAME), OPT("DefaultHandling", NUMBER, .most = 1), OPT("ServiceInfo", TEXT), EXTENSION(registers), END};
static const struct rule criterion[] = {
    ONE("Priority", NUMBER, .most = INT_XS),
    OPT("TriggerPoint", GROUP, .children = trigger),
    ONE("ApplicationServer", GROUP, .children = server),
    OPT("ProfilePartIndicator", NUMBER, .most = 1),
    EXTENSION(nothing),
    END,
};
static const struct rule criteria[] = {ANY("InitialFilterCriteria", GROUP, .children = criterion), END};

static const struct rule service_ids[] = {ANY("ServiceId", NAME), EXTENSION(nothing), END};
static const struct rule services[] = {OPT("ListOfServiceIds", GROUP, .children = service_ids), EXTENSION(nothing), END};
static const struct rule authorization[] = {
    OPT("SubscribedMediaProfileId", NUMBER, .most = INT_XS), EXTENSION(services), END};
static const struct rule shared[] = {ANY("SharedIFCSetID", NUMBER, .most = INT_XS), EXTENSION(nothing), END};

static const struct rule identity5[] = {OPT("MaxNumOfAllowedSimultRegistrations", NUMBER, .most = INT_XS), EXTENSION(nothing), END};
static const struct rule priority[] = {ONE("PriorityNamespace", NAME), ONE("PriorityLevel", NAME), EXTENSION(nothing), END};
static const struct rule identity4[] = {ANY("ExtendedPriority", GROUP, .children = priority), EXTENSION(identity5), END};
static const struct rule identity3[] = {
    OPT("WildcardedIMPU", NAME), OPT("ServiceLevelTraceInfo", TEXT), OPT("ServicePriorityLevel", NUMBER, .most = 4),
    EXTENSION(identity4), END};
static const struct rule identity2[] = {
    OPT("DisplayName", TEXT), OPT("AliasIdentityGroupID", TEXT), EXTENSION(identity3), END};
static const struct rule identity1[] = {
    OPT("IdentityType", NUMBER, .most = 4), OPT("WildcardedPSI", NAME), EXTENSION(identity2), END};
static const struct rule identity[] = {
    OPT("BarringIndication", BOOL), ONE("Identity", NAME), EXTENSION(identity1), END};

static const struct rule profile[] = {
    SOME("PublicIdentity", GROUP, .own = true, .children = identity),
    OPT("CoreNetworkServicesAuthorization", GROUP, .children = authorization),
    ANY("InitialFilterCriteria", GROUP, .children = criterion),
    EXTENSION(shared),
    END,
};
static const struct rule location[] = {
    OPT("AccessType", TEXT), OPT("AccessInfo", TEXT), OPT("AccessValue", TEXT), EXTENSION(nothing), END};
static const struct rule subscription2[] = {
    OPT("ReferenceLocationInformation", GROUP, .children = location), EXTENSION(nothing), END};
static const struct rule subscription1[] = {OPT("IMSI", DIGITS), EXTENSION(subscription2), END};
static const struct rule subscription[] = {
    ONE("PrivateID", NAME, .own = true),
    SOME("ServiceProfile", GROUP, .children = profile),
    OPT("Extension", GROUP, .own = true, .children = subscription1),
    END,
};

static const struct rule user_data_roots[] = {ONE("IMSSubscription", GROUP, .children = subscription), END};
static const struct rule template_roots[] = {
    ONE("IMSSubscription", GROUP, .choice = 1, .children = subscription),
    ONE("ServiceProfile", GROUP, .choice = 1, .children = profile),
    ONE("IFCs", GROUP, .choice = 1, .children = criteria),
    ONE("InitialFilterCriteria", GROUP, .choice = 1, .children = criterion),
    END,
};

struct check {
	struct ims_report *report;
	enum schema_mode mode;
};

// "A, B or C"
static void names(const struct rule *rules, char room[400])
{
	struct wr w = wr_of(room, 399);

	for (const struct rule *r = rules; r->name; r++) {
		if (r != rules)
			wr_slice(&w, slice_str(r[1].name ? ", " : " or "));
		wr_slice(&w, slice_str(r->name));
	}
	room[wr_len(&w)] = 0;
	if (!rules->name)
		memcpy(room, "nothing", 8);
}

// A choice counts at its first row.
static unsigned slot(const struct rule *rules, unsigned i)
{
	while (rules[i].choice && i && rules[i - 1].choice == rules[i].choice)
		i--;
	return i;
}

// --- values

// The text of an element in the library's memory, without blanks at its ends.
static xmlChar *content_of(const xmlNode *node, const char **from, size_t *len)
{
	xmlChar *all = xmlNodeGetContent(node);
	const char *s = all ? (const char *)all : "";

	s += strspn(s, " \t\r\n");
	*len = strlen(s);
	while (*len && strchr(" \t\r\n", s[*len - 1]))
		--*len;
	*from = s;
	return all;
}

static bool is_number(const char *s, size_t len, int64_t most)
{
	int64_t v = 0;

	if (len && *s == '+') {
		s++;
		len--;
	}
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (s[i] - '0');
		if (v > most)
			return false;
	}
	return len > 0;
}

static bool word(const char *s, size_t len, const char *want)
{
	return strlen(want) == len && memcmp(s, want, len) == 0;
}

static const char *value_refusal(const struct rule *r, const char *s, size_t len, char room[80])
{
	switch (r->content) {
	case NAME:
		return len ? NULL : "expected text";
	case NUMBER:
		snprintf(room, 80, "expected a whole number from 0 to %lld", (long long)r->most);
		return is_number(s, len, r->most) ? NULL : room;
	case BOOL:
		return word(s, len, "0") || word(s, len, "1") || word(s, len, "false") || word(s, len, "true")
			   ? NULL
			   : "expected 0 or 1";
	case DIGITS:
		return len && strspn(s, "0123456789") >= len ? NULL : "expected digits";
	case EMPTY:
		return len ? "expected nothing in it" : NULL;
	default:
		return NULL;
	}
}

static void check_value(const struct check *c, const struct rule *r, const xmlNode *node)
{
	char room[80];
	const char *s, *why;
	size_t len;
	xmlChar *all;

	for (const xmlNode *n = node->children; n; n = n->next) {
		if (n->type != XML_ELEMENT_NODE)
			continue;
		ims_report_error(c->report, ims_xml_at(n), "%s in %s: expected text only", (const char *)n->name, r->name);
		return;
	}
	all = content_of(node, &s, &len);
	why = value_refusal(r, s, len, room);
	if (why)
		ims_report_error(c->report, ims_xml_at(node), "%s: \"%.*s\": %s", r->name, (int)(len < 60 ? len : 60), s, why);
	xmlFree(all);
}

int64_t schema_number(const xmlNode *node)
{
	const char *s;
	size_t len;
	xmlChar *all = content_of(node, &s, &len);
	int64_t v = word(s, len, "true") ? 1 : strtoll(s, NULL, 10);

	xmlFree(all);
	return v;
}

// --- elements

// Neither attributes (but those of schemas: xsi:...) nor text between elements.
static void check_shell(const struct check *c, const xmlNode *node, bool group)
{
	for (const xmlAttr *a = node->properties; a; a = a->next)
		if (!a->ns)
			ims_report_error(c->report, ims_xml_at(node), "%s has an attribute %.40s: expected none",
					 (const char *)node->name, (const char *)a->name);
	for (const xmlNode *n = node->children; n && group; n = n->next) {
		if ((n->type != XML_TEXT_NODE && n->type != XML_CDATA_SECTION_NODE) || xmlIsBlankNode(n))
			continue;
		const char *s = (const char *)n->content;

		s += strspn(s, " \t\r\n");
		ims_report_error(c->report, ims_xml_at(n), "text in %s, which has elements only: %.*s", (const char *)node->name,
				 (int)strcspn(s, "\r\n"), s);
	}
}

static void check_group(const struct check *c, const struct rule *rules, const xmlNode *parent);

static void check_element(const struct check *c, const struct rule *r, const xmlNode *node)
{
	if (r->own && c->mode == SCHEMA_TEMPLATE)
		return;
	check_shell(c, node, r->content == GROUP);
	if (r->content == GROUP)
		check_group(c, r->children, node);
	else
		check_value(c, r, node);
}

static const struct rule *find(const struct rule *rules, const xmlNode *node)
{
	while (rules->name && !ims_xml_is(node, rules->name))
		rules++;
	return rules->name ? rules : NULL;
}

static void check_missing(const struct check *c, const struct rule *rules, const uint32_t *seen, const xmlNode *parent)
{
	char room[400];

	for (unsigned i = 0; rules[i].name; i++) {
		bool excused = rules[i].own && c->mode == SCHEMA_TEMPLATE;
		struct rule choice[9] = {0};

		if (slot(rules, i) != i || seen[i] >= rules[i].least || excused)
			continue;
		for (unsigned k = 0; k < 8 && rules[i + k].name && slot(rules, i + k) == i; k++)
			choice[k] = rules[i + k];
		names(choice, room);
		ims_report_error(c->report, ims_xml_at(parent), "%s without %s", (const char *)parent->name, room);
	}
}

static void check_group(const struct check *c, const struct rule *rules, const xmlNode *parent)
{
	uint32_t seen[12] = {0};
	const xmlNode *before = NULL;
	unsigned last = 0;
	char room[400];

	for (const xmlNode *n = ims_xml_first(parent); n; n = ims_xml_next(n)) {
		const struct rule *r = find(rules, n);

		if (!r) {
			names(rules, room);
			ims_report_error(c->report, ims_xml_at(n), "%.60s in %s: expected %s", (const char *)n->name,
					 (const char *)parent->name, room);
			continue;
		}
		unsigned at = slot(rules, (unsigned)(r - rules));
		if (at < last && before)
			ims_report_error(c->report, ims_xml_at(n), "%s after %s: expected it before", r->name, (const char *)before->name);
		if (++seen[at] == r->often + 1ull)
			ims_report_error(c->report, ims_xml_at(n), "%s: expected at most %u %s", r->name, r->often,
					 r->choice ? "of its kind in an SPT" : "of them");
		if (at >= last) {
			last = at;
			before = n;
		}
		check_element(c, r, n);
	}
	check_missing(c, rules, seen, parent);
}

bool schema_check(const xmlNode *root, enum schema_mode mode, struct ims_report *report)
{
	const struct rule *roots = mode == SCHEMA_TEMPLATE ? template_roots : user_data_roots;
	const struct rule *r = find(roots, root);
	struct check c = {.report = report, .mode = mode};
	unsigned before = report->errors;
	char room[400];

	if (r) {
		check_element(&c, r, root);
	} else {
		names(roots, room);
		ims_report_error(report, ims_xml_at(root), "%.60s: expected %s", (const char *)root->name, room);
	}
	return report->errors == before;
}
