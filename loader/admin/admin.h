// Calls of hss-admin: their table, their rows, flow control (README.md has the protocol). A call lives from
// ADMIN_CALL to ADMIN_END or ADMIN_CANCEL; operations that are under way name it by its serial, so that they
// may outlive it.
#pragma once
#include <jansson.h>
#include "loader/loader.h"

#define ADMIN_WINDOW     256u
#define ADMIN_CALLS_MAX  64u
#define ADMIN_ERRORS_MAX 10000u

enum admin_status { ADMIN_OK = 0, ADMIN_REFUSED = 1, ADMIN_USAGE = 2 };

struct csv;
struct import_docs;
struct backup;
struct audit;

// Counts the digits of an import's IMSIs: an IMSI that is shorter than most is likely a slip.
#define IMSI_DIGITS_MAX 15u
struct imsi_lengths {
	uint64_t cnt[IMSI_DIGITS_MAX + 1];
	uint64_t line[IMSI_DIGITS_MAX + 1]; // of the first one
	imsi_t first[IMSI_DIGITS_MAX + 1];
};

struct call {
	uint64_t id;     // hss-admin's
	uint64_t serial; // ours
	const struct admin_command *command;
	json_t *args;    // owned
	unsigned window; // rows that may be sent
	bool started;
	bool looked_up; // in the upstream, which had its subscriber
	uint64_t need_seq; // a stream begins when all up to here is folded
	imsi_t cursor;
	// import
	uint64_t line, rows, errors, in_flight, owed;
	char warning[256]; // goes with the end; "": none
	// a list: what is wanted, and how much was found
	uint64_t found, limit;
	uint64_t progress_ms;
	bool ended, failed, dry;
	uint64_t warnings;
	bool columns_told;
	struct imsi_lengths lengths;
	struct import_docs *docs; // owned; NULL: rows of CSV
	struct csv *csv;	  // owned; NULL: documents
	struct audit *audit;	  // owned; NULL: it is not written down
	struct backup *backup;	  // owned; NULL: neither a backup nor a restore
};

struct admin_command {
	const char *name;
	void (*run)(struct loader *l, struct call *c);  // ends the call, at once or later
	void (*pump)(struct loader *l, struct call *c); // NULL, or: there is room for rows
};

// `commands` are the core's, ended by an empty row; the applications' are in their tables.
int admin_new(struct loader *l, const struct admin_command *commands) MUST_USE;
void admin_free(struct loader *l);
void admin_frame(struct loader *l, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len);
void admin_gone(struct loader *l); // hss-admin has gone: ends all calls
void admin_tick(struct loader *l);
// The fold thread has made a step: streams may begin, imports may go on.
void admin_folded(struct loader *l);

// Calls the pumps again that have stopped to let other events have their turn.
void admin_again(struct loader *l);

// The call of an operation, NULL when it is over.
struct call *admin_call(struct loader *l, uint64_t serial);
// Sends one row and drops it. `secret`: its text is wiped.
void admin_row_take(struct loader *l, struct call *c, json_t *row, bool secret);
// The end: `error` NULL or a text. The call is freed.
__attribute__((format(printf, 4, 5))) void admin_end(struct loader *l, struct call *c,
						     enum admin_status status, const char *error, ...);
// The same with further members; takes `members`.
void admin_end_take(struct loader *l, struct call *c, json_t *members);

void import_data(struct loader *l, struct call *c, struct slice lines);
void import_resume(struct loader *l, struct call *c);
void import_tick(struct loader *l, struct call *c);
