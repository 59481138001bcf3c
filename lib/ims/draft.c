// Values of filter criteria (placeholders, regular expressions, server names), and the rules between them.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/subject.h"
#include "lib/base/utf8.h"
#include "lib/ims/draft.h"

#define ROOM_FACTOR 12 // octets of the draft for one octet of input, at most: "<SPT/>" makes a struct draft_spt
#define ROOM_MORE   65536
#define CHECKED_MAX (4 * IMS_TEXT_MAX) // octets of a value that has its placeholders filled in

#define SAMPLE(text) {.p = (const uint8_t *)(text), .len = sizeof(text) - 1}

// What a value is checked with in place of a subscriber's own.
const struct ims_names draft_samples = {
    .by_mark = {[IMS_MARK_IMSI] = SAMPLE("001010000000001"), [IMS_MARK_MSISDN] = SAMPLE("15550100001"),
		[IMS_MARK_DOMAIN] = SAMPLE("ims.example"), [IMS_MARK_MCC] = SAMPLE("001"), [IMS_MARK_MNC] = SAMPLE("001"),
		[IMS_MARK_PRIVATE] = SAMPLE("001010000000001@ims.example"),
		[IMS_MARK_PUBLIC] = SAMPLE("sip:+15550100001@ims.example")},
};

struct draft *draft_new(size_t input_len, struct ims_report *report)
{
	struct draft *d = calloc(1, sizeof *d);

	*report = (struct ims_report){0};
	if (d && arena_init(&d->arena, input_len * ROOM_FACTOR + ROOM_MORE) == 0) {
		d->report = report;
		d->media_profile = -1;
		return d;
	}
	free(d);
	return NULL;
}

void draft_free(struct draft **d)
{
	if (!*d)
		return;
	arena_fini(&(*d)->arena);
	free(*d);
	*d = NULL;
}

void *draft_room(struct draft *d, size_t n)
{
	void *p = arena_take(&d->arena, n);

	if (!p)
		ims_report_error(d->report, (struct ims_at){0}, "too much in all");
	return p;
}

// --- placeholders

static bool word_octet(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static enum ims_mark mark_named(const char *name, size_t len)
{
	for (enum ims_mark v = IMS_MARK_NONE + 1; v < IMS_MARK_CNT; v++)
		if (strlen(ims_mark_names[v]) == len && memcmp(ims_mark_names[v], name, len) == 0)
			return v;
	return IMS_MARK_NONE;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

// What PyHSS writes: {{ iFC_vars['imsi'] }}, with either quote, or {{ iFC_vars.imsi }}. Returns the octets that it has, 0:
// it is something else.
static size_t jinja(const char *text, enum ims_mark *found)
{
	const char *p = skip_blanks(text + 2), *name;
	char quote = 0;
	size_t n;

	if (strncmp(p, "iFC_vars", 8) != 0)
		return 0;
	p = skip_blanks(p + 8);
	if (*p == '[') {
		p = skip_blanks(p + 1);
		quote = *p;
		if (quote != '\'' && quote != '"')
			return 0;
	} else if (*p != '.') {
		return 0;
	}
	name = ++p;
	for (n = 0; word_octet(p[n]);)
		n++;
	p += n;
	if (quote && *p++ != quote)
		return 0;
	if (quote && *(p = skip_blanks(p)) != ']')
		return 0;
	p = skip_blanks(quote ? p + 1 : p);
	*found = mark_named(name, n);
	return strncmp(p, "}}", 2) == 0 ? (size_t)(p + 2 - text) : 0;
}

#define OURS "expected {imsi}, {msisdn}, {domain}, {mcc}, {mnc}, {impi} or {impu}"

// A placeholder at `text`, which begins with '{'. Returns its octets; 0: this is a brace like any other.
static size_t placeholder(struct draft *d, struct ims_at at, const char *what, const char *text, enum ims_mark *found)
{
	size_t n = 1;

	*found = IMS_MARK_NONE;
	if (text[1] == '{') {
		n = jinja(text, found);
		if (*found == IMS_MARK_NONE || !n)
			ims_report_error(d->report, at,
					 "%s: %.40s: expected {{ iFC_vars['imsi'] }}, or msisdn, domain, mcc, mnc, impi, impu in its "
					 "place", what, text);
		return n ? n : 2;
	}
	if (text[1] == '%' || text[1] == '#') {
		ims_report_error(d->report, at, "%s: %.40s: statements of Jinja are not known; expected values like "
				 "{imsi} only", what, text);
		return 2;
	}
	while (word_octet(text[n]))
		n++;
	if (n == 1 || text[n] != '}')
		return 0;
	*found = mark_named(text + 1, n - 1);
	if (*found == IMS_MARK_NONE)
		ims_report_error(d->report, at, "%s: %.*s is no placeholder; " OURS, what, (int)(n < 40 ? n + 1 : 40), text);
	return n + 1;
}

// Copies the text of a value with marks for placeholders. The result is never longer.
static uint32_t with_marks(struct draft *d, struct ims_at at, const char *what, bool ere, const char *from, char *to)
{
	char *start = to;

	while (*from) {
		enum ims_mark found = IMS_MARK_NONE;
		size_t n = *from == '{' ? placeholder(d, at, what, from, &found) : 0;

		if (n && found != IMS_MARK_NONE)
			*to++ = (char)(found | (ere ? IMS_MARK_ERE : 0));
		if (!n)
			*to++ = *from++;
		from += n;
	}
	return (uint32_t)(to - start);
}

// --- values

// RFC 3261 25.1: a token; and compared with its case (7.1), so small letters would match no method there is.
static bool is_method(struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (!isupper(s.p[i]) && !isdigit(s.p[i]) && !(s.p[i] && strchr("-.!%*_+`'~", s.p[i])))
			return false;
	return s.len > 0;
}

static const char *server_refusal(const char *text)
{
	struct subject s;

	if (strncasecmp(text, "sip:", 4) != 0 && strncasecmp(text, "sips:", 5) != 0)
		return "expected a SIP URI, like sip:as.ims.example:5060";
	if (!subject_read(SUBJECT_FORM_PUBLIC, slice_str(text), &s) || !subject_domain(&s).len)
		return "expected a SIP URI with a valid host";
	return NULL;
}

static const char *refusal(enum draft_text kind, struct slice text, char *room, size_t cap)
{
	char sample[CHECKED_MAX + 1];
	struct wr w = wr_of(sample, sizeof sample);

	if (kind == DRAFT_METHOD)
		return is_method(text) ? NULL : "expected a SIP method in capitals, like INVITE";
	if (kind != DRAFT_ERE && kind != DRAFT_SERVER)
		return NULL;
	ims_fill(&w, text, &draft_samples);
	wr_u8(&w, 0);
	if (w.err)
		return "too many placeholders";
	return kind == DRAFT_ERE ? ere_refusal(sample, room, cap) : server_refusal(sample);
}

// XML 1.0 2.2: no control characters but TAB, LF and CR, which only plain text may have here; no U+FFFE, no U+FFFF.
static const char *octets_refusal(enum draft_text kind, struct slice s)
{
	if (!utf8_valid(s))
		return "expected UTF-8 text";
	for (uint32_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];

		if (c == 0x7f || (c < 0x20 && ((kind != DRAFT_PLAIN && kind != DRAFT_LITERAL) || !strchr("\t\r\n", c))))
			return "expected no control characters";
		if (c == 0xef && s.len - i > 2 && s.p[i + 1] == 0xbf && s.p[i + 2] >= 0xbe)
			return "expected characters that XML may have";
	}
	return NULL;
}

static struct slice trimmed(struct slice s)
{
	while (s.len && (s.p[0] == ' ' || (s.p[0] >= 9 && s.p[0] <= 13)))
		s = slice_of(s.p + 1, s.len - 1);
	while (s.len && (s.p[s.len - 1] == ' ' || (s.p[s.len - 1] >= 9 && s.p[s.len - 1] <= 13)))
		s.len--;
	return s;
}

bool draft_text(struct draft *d, struct ims_at at, const char *what, enum draft_text kind, struct slice value,
		struct slice *out)
{
	struct slice s = trimmed(value);
	char *copy, *marked, room[160];
	const char *why = octets_refusal(kind, s);
	unsigned errors = d->report->errors;

	*out = (struct slice){0};
	if (!why && s.len > (d->literal ? CHECKED_MAX : IMS_TEXT_MAX))
		why = "longer than 1024 octets";
	if (why) {
		ims_report_error(d->report, at, "%s: %s", what, why);
		return false;
	}
	copy = draft_room(d, s.len + 1);
	marked = draft_room(d, s.len + 1);
	if (!copy || !marked)
		return false;
	if (s.len)
		memcpy(copy, s.p, s.len);
	s = d->literal || kind == DRAFT_LITERAL ? slice_of(copy, s.len)
						: slice_of(marked, with_marks(d, at, what, kind == DRAFT_ERE, copy, marked));
	if (d->report->errors != errors) // a placeholder
		return false;
	why = refusal(kind, s, room, sizeof room);
	if (why) {
		ims_report_error(d->report, at, "%s: %.80s: %s", what, copy, why);
		return false;
	}
	*out = s;
	return true;
}

// --- rules

static void check_spt(struct draft *d, const struct draft_spt *s)
{
	for (unsigned i = 0; i < s->group_cnt; i++)
		for (unsigned k = 0; k < i; k++)
			if (s->groups[i] == s->groups[k])
				ims_report_error(d->report, s->at, "group %u is named twice in one SPT", s->groups[i]);
	if (s->registration_types && (s->kind != SPT_METHOD || !slice_eq(s->text, slice_str("REGISTER"))))
		ims_report_error(d->report, s->at, "a registration type is only possible with the method REGISTER");
}

static bool in_group(const struct draft_spt *s, uint32_t group)
{
	for (unsigned i = 0; i < s->group_cnt; i++)
		if (s->groups[i] == group)
			return true;
	return false;
}

// Is it alone in one of its groups?
static bool alone(const struct draft_criterion *c, const struct draft_spt *s)
{
	for (unsigned g = 0; g < s->group_cnt; g++) {
		unsigned members = 0;

		for (unsigned i = 0; i < c->spt_cnt; i++)
			members += in_group(&c->spt[i], s->groups[g]);
		if (members == 1)
			return true;
	}
	return false;
}

// A request has one method and one session case: must two SPTs hold at once that exclude each other?
static bool exclude(const struct draft_criterion *c, const struct draft_spt *a, const struct draft_spt *b)
{
	if (a->kind != b->kind || a->negated || b->negated)
		return false;
	if (a->kind == SPT_METHOD ? slice_eq(a->text, b->text)
				  : a->kind != SPT_SESSION_CASE || a->session_case == b->session_case)
		return false;
	if (c->cnf)
		return alone(c, a) && alone(c, b);
	for (unsigned i = 0; i < a->group_cnt; i++)
		if (in_group(b, a->groups[i]))
			return true;
	return false;
}

static void check_trigger(struct draft *d, const struct draft_criterion *c)
{
	for (unsigned i = 0; i < c->spt_cnt; i++) {
		check_spt(d, &c->spt[i]);
		for (unsigned k = 0; k < i; k++) {
			if (!exclude(c, &c->spt[i], &c->spt[k]))
				continue;
			ims_report_warning(d->report, c->spt[i].at,
					   "never true: two %s at once (ConditionTypeCNF %s)",
					   c->spt[i].kind == SPT_METHOD ? "methods" : "session cases",
					   c->cnf ? "1 asks for one SPT of each group" : "0 asks for all SPTs of a group");
			break;
		}
	}
}

bool draft_check(struct draft *d)
{
	for (unsigned i = 0; i < d->criterion_cnt; i++) {
		const struct draft_criterion *c = &d->criterion[i];

		for (unsigned k = 0; k < i; k++) {
			const struct draft_criterion *other = &d->criterion[k];

			if (c->priority != other->priority)
				continue;
			if (other->at.line)
				ims_report_error(d->report, c->at, "priority %u is taken by the criterion of line %u; expected one of its own",
						 c->priority, other->at.line);
			else
				ims_report_error(d->report, c->at, "priority %u is taken by %s; expected one of its own",
						 c->priority, other->at.path ? other->at.path : "another one");
			break;
		}
		if (c->has_trigger)
			check_trigger(d, c);
	}
	return d->report->errors == 0;
}
