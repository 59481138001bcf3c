// Regular expressions (POSIX ERE, XBD 9.4) that an operator wrote: would the C library take them, and are they of a size
// that an S-CSCF, which compiles them as well, can afford? Bounds that stand inside of each other multiply, and
// regcomp would take gigabytes for some forty octets; so the size is known before regcomp sees it.
#include <regex.h>
#include <stdint.h>
#include <string.h>
#include "lib/ims/draft.h"

#define DEPTH_MAX 16
#define STATES_MAX 2000

// Octets of a bracket expression at `p`, its brackets included. A ']' that is first is an ordinary one, and so is one
// inside of [: :], [. .], [= =].
static size_t bracket_len(const char *p)
{
	size_t i = 1;

	if (p[i] == '^')
		i++;
	if (p[i] == ']')
		i++;
	for (; p[i] && p[i] != ']'; i++) {
		if (p[i] != '[' || !p[i + 1] || !strchr(":.=", p[i + 1]))
			continue;
		const char end[3] = {p[i + 1], ']', 0}, *to = strstr(p + i + 2, end);

		if (to)
			i = (size_t)(to + 1 - p);
	}
	return p[i] ? i + 1 : i;
}

// How many copies of an atom the repetition at `p` makes, at most: '+' is one and a starred one in glibc, a bound {m},
// {m,}, {m,n} or {,n} its larger number and one more. *len gets its octets, 0: there is none.
static uint64_t repetition(const char *p, size_t *len)
{
	uint64_t n = 0, most = 1;
	size_t i = 1;

	*len = *p == '*' || *p == '?' || *p == '+';
	if (*len)
		return *p == '+' ? 2 : 1;
	if (p[0] != '{')
		return 1;
	for (; (p[i] >= '0' && p[i] <= '9') || p[i] == ','; i++) {
		n = p[i] == ',' ? 0 : n * 10 + (uint64_t)(p[i] - '0');
		if (n > STATES_MAX)
			n = STATES_MAX;
		if (n > most)
			most = n;
	}
	if (i == 1 || p[i] != '}')
		return 1;
	*len = i + 1;
	return most + 1;
}

static uint64_t capped(uint64_t v)
{
	return v > STATES_MAX ? STATES_MAX + 1 : v;
}

// States, roughly; more than STATES_MAX when it is too large or too deep.
static uint64_t size_of(const char *p)
{
	uint64_t size[DEPTH_MAX + 1] = {0}, atom = 0;
	unsigned depth = 0;

	while (*p) {
		size_t n = 1, len;

		if (*p == '(') {
			if (++depth > DEPTH_MAX)
				return STATES_MAX + 1;
			size[depth] = 0;
			p++;
			continue;
		}
		if (*p == '[')
			n = bracket_len(p);
		else if (*p == '\\' && p[1])
			n = 2;
		atom = 1;
		if (*p == ')' && depth)
			atom = size[depth--] + 1;
		p += n;
		for (uint64_t copies = repetition(p, &len); len; copies = repetition(p, &len)) {
			atom = capped(atom * copies + 1);
			p += len;
		}
		size[depth] = capped(size[depth] + atom);
	}
	while (depth--) // an open group: regcomp will tell
		size[depth] = capped(size[depth] + size[depth + 1]);
	return size[0];
}

const char *ere_refusal(const char *text, char *room, size_t cap)
{
	char why[80];
	regex_t re;
	int rc;

	if (!*text)
		return "expected a regular expression";
	if (size_of(text) > STATES_MAX)
		return "expected a smaller regular expression (its bounds multiply)";
	rc = regcomp(&re, text, REG_EXTENDED | REG_NOSUB);
	if (rc == 0) {
		regfree(&re);
		return NULL;
	}
	regerror(rc, &re, why, sizeof why);
	snprintf(room, cap, "expected a regular expression: %s", why);
	return room;
}
