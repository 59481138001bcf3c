// See wildcard.h. The expression is matched by the set of its atoms that can come next: one pass over the identity, a word of
// bits.
#include "lib/ims/wildcard.h"
#include <string.h>

struct atom {
	const uint8_t *p; // the literal, '.', or '['
	uint32_t len;
	bool many, none; // may come more than once; may be left out
};

struct expression {
	struct slice before, after;
	struct atom atom[IMS_WILDCARD_ATOMS - 1];
	unsigned cnt;
};

// One atom from *p on; 0 when it makes no sense.
static uint32_t atom_len(const uint8_t *p, const uint8_t *end)
{
	if (*p == '\\')
		return end - p >= 2 ? 2 : 0;
	if (!*p || strchr("*+?(){}|^$", *p))
		return 0;
	if (*p != '[')
		return 1;
	const uint8_t *c = p + 1;
	if (c < end && *c == '^')
		c++;
	if (c < end && *c == ']')
		c++;
	for (; c < end && *c != ']'; c++) {
		// classes are not known here, and a range that is empty is a slip
		if (*c == '[' && end - c >= 2 && c[1] && strchr(":.=", c[1]))
			return 0;
		if (end - c >= 3 && c[1] == '-' && c[2] != ']' && c[2] < c[0])
			return 0;
	}
	return c < end ? (uint32_t)(c + 1 - p) : 0;
}

static bool parse(struct slice pattern, struct expression *e)
{
	const uint8_t *first = memchr(pattern.p ? (const char *)pattern.p : "", '!', pattern.len), *last = NULL;
	for (const uint8_t *c = first ? first + 1 : NULL; c && c < pattern.p + pattern.len; c++)
		if (*c == '!')
			last = c;
	if (!last)
		return false;
	e->before = slice_of(pattern.p, (size_t)(first - pattern.p));
	e->after = slice_of(last + 1, (size_t)(pattern.p + pattern.len - last - 1));
	e->cnt = 0;
	for (const uint8_t *p = first + 1; p < last;) {
		uint32_t len = atom_len(p, last);
		if (len == 0 || e->cnt == sizeof e->atom / sizeof *e->atom)
			return false;
		struct atom *a = &e->atom[e->cnt++];
		*a = (struct atom){.p = p, .len = len};
		p += len;
		if (p < last && *p && strchr("*+?", *p)) {
			a->many = *p != '?';
			a->none = *p != '+';
			p++;
		}
	}
	return true;
}

static bool in_set(const struct atom *a, uint8_t c)
{
	const uint8_t *p = a->p + 1, *end = a->p + a->len - 1;
	bool except = *p == '^', found = false;
	if (except)
		p++;
	for (; p < end; p++) {
		if (end - p >= 3 && p[1] == '-') {
			found |= c >= p[0] && c <= p[2];
			p += 2;
		} else {
			found |= c == *p;
		}
	}
	return found != except;
}

static bool atom_is(const struct atom *a, uint8_t c)
{
	switch (*a->p) {
	case '.': return true;
	case '\\': return a->p[1] == c;
	case '[': return in_set(a, c);
	default: return *a->p == c;
	}
}

// Adds the atoms that may be reached by leaving others out.
static uint64_t reach(const struct expression *e, uint64_t at)
{
	for (unsigned i = 0; i < e->cnt; i++)
		if (at >> i & 1 && e->atom[i].none)
			at |= 1ull << (i + 1);
	return at;
}

bool ims_wildcard_valid(struct slice pattern)
{
	struct expression e;
	return parse(pattern, &e);
}

bool ims_wildcard_match(struct slice pattern, struct slice identity)
{
	struct expression e;
	if (!parse(pattern, &e) || identity.len < e.before.len + e.after.len ||
	    memcmp(identity.p, e.before.p, e.before.len) != 0 ||
	    memcmp(identity.p + identity.len - e.after.len, e.after.p, e.after.len) != 0)
		return false;
	uint64_t at = reach(&e, 1);
	for (uint32_t i = e.before.len; i < identity.len - e.after.len; i++) {
		uint64_t next = 0;
		for (unsigned n = 0; n < e.cnt; n++)
			if (at >> n & 1 && atom_is(&e.atom[n], identity.p[i]))
				next |= 1ull << (n + 1) | (e.atom[n].many ? 1ull << n : 0);
		at = reach(&e, next);
	}
	return at >> e.cnt & 1;
}
