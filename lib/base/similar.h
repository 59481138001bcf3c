// "Did you mean ...?": how like two words are. Pure.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define SIMILAR_MAX 96u // longer words are like nothing

// Steps from one word to the other: a letter more, less or another one, or two neighbours swapped. Without case.
unsigned similar_distance(const char *a, const char *b);

// Looks through candidates one by one for the one that is most like `word`.
struct similar {
	const char *word;
	const char *best; // NULL: nothing is like it
	unsigned distance;
};
struct similar similar_to(const char *word);
// Borrows the candidate.
void similar_offer(struct similar *s, const char *candidate);
