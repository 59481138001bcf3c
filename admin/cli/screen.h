// What the pages of hssctl share: printable text, lines that fit the terminal, colours.
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define SCREEN_WIDTH 80u // where there is no terminal to ask

// The terminal that stdout is; 80 x 24 when it is none.
unsigned screen_width(void);
unsigned screen_height(void);
// Colours are for a terminal that has not refused them (NO_COLOR), and always beside a word that says the
// same.
enum screen_colour { SCREEN_PLAIN, SCREEN_BOLD, SCREEN_RED, SCREEN_YELLOW, SCREEN_GREEN };
const char *screen_colour(enum screen_colour colour); // "" without colours
// Copies what is printable; the rest becomes '?'. Values may come from peers and from other people's
// documents.
void screen_text(const char *text, char *out, size_t room);
// The text in lines of the terminal's width, each behind `indent` spaces; the first one behind `head`.
void screen_fold(FILE *f, const char *head, unsigned indent, const char *text);
// "2026-12-01 09:00:00 UTC"
void screen_time(time_t t, char out[32]);

// A page of lines that fits: a line that is too long is cut off, further lines than there is room for are
// left out.
struct page {
	FILE *f;
	unsigned left, width;
};
void page_line(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// The same in a colour, all of it.
void page_coloured(struct page *p, enum screen_colour colour, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
