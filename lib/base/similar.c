// See similar.h. Used for messages to operators only.
#include "lib/base/similar.h"
#include <ctype.h>
#include <string.h>

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned similar_distance(const char *a, const char *b)
{
	unsigned row[3][SIMILAR_MAX + 1], n = (unsigned)strlen(a), m = (unsigned)strlen(b);
	if (n > SIMILAR_MAX || m > SIMILAR_MAX)
		return SIMILAR_MAX;
	for (unsigned j = 0; j <= m; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= n; i++) {
		unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *two_before = row[(i + 1) % 3];
		now[0] = i;
		for (unsigned j = 1; j <= m; j++) {
			now[j] = before[j - 1] + !same(a[i - 1], b[j - 1]);
			now[j] = least(now[j], least(before[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				now[j] = least(now[j], two_before[j - 2] + 1);
		}
	}
	return row[n % 3][m];
}

struct similar similar_to(const char *word)
{
	// a third of the word may be wrong, and one letter of a short one
	unsigned letters = (unsigned)strlen(word);
	return (struct similar){.word = word, .distance = letters < 6 ? 2 : letters / 3 + 1};
}

void similar_offer(struct similar *s, const char *candidate)
{
	unsigned d = similar_distance(s->word, candidate);
	if (d >= s->distance)
		return;
	s->distance = d;
	s->best = candidate;
}
