// What is wrong with filter criteria or User-Data: all that is found, up to a bound, with its place.
#pragma once
#include <stdbool.h>
#include <stdio.h>

#define IMS_FINDING_MAX 50

// Where something stands: a line of a file, or a member of a JSON document.
struct ims_at {
	unsigned line;	  // 0: not in a file
	const char *path; // NULL: not in a document
};

struct ims_finding {
	unsigned line;
	bool warning; // it is allowed and hardly meant
	char path[100];
	char text[240];
};

struct ims_report {
	unsigned cnt;	 // all; only the first IMS_FINDING_MAX are kept
	unsigned errors; // of them, those that are no warnings
	struct ims_finding finding[IMS_FINDING_MAX];
};

__attribute__((format(printf, 3, 4))) void ims_report_error(struct ims_report *r, struct ims_at at, const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void ims_report_warning(struct ims_report *r, struct ims_at at, const char *fmt, ...);

// "file:12: reason" or "path: reason", one a line; `file` is the name of what was read. Control characters of the
// input become '?'. Says how many more there were.
void ims_report_print(const struct ims_report *r, const char *file, FILE *to);

// The same in `room`, as many whole lines as fit, without the last line feed.
const char *ims_report_text(const struct ims_report *r, const char *file, char *room, size_t cap);

// The first error in one line, for a log: "line 12: reason" or "path: reason" and how many more. ""
// when there is none.
const char *ims_report_first(const struct ims_report *r, char *room, size_t cap);
