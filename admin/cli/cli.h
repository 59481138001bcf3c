// hssctl, the operator's command line: turns words into one request, sends it to the admin socket, shows what
// comes. A program of its own without privileges; it may hold keys that the operator gave or asked for, and
// wipes them.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include "admin/command.h"

#define CLI_SOCKET        "/run/corehss/admin.sock"
#define CLI_LINE_MAX      (1u << 20) // octets of one line of an answer
#define CLI_TIMEOUT_S     30
#define CLI_TIMEOUT_S_MAX 86400
#define CLI_TIMEOUT_NONE  UINT32_MAX // not given

enum { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2 };

// --- args.c: the command line
struct cli_args {
	const char *socket;
	bool json, help, version, commands;
	unsigned timeout_s;                  // nothing moves for so long: give up; 0: never
	const struct admin_command *command; // NULL with help, version or commands
	const char *noun;		     // help about "subscriber ..."; NULL: not about one
	json_t *args;                        // owned
	const char *file;                    // FILE of import and export
	char error[512];
};
// 0, or CLI_USAGE and a->error. Overwrites keys in argv. The caller calls cli_args_fini in every case.
int cli_args_parse(int argc, char **argv, struct cli_args *a) MUST_USE;
void cli_args_fini(struct cli_args *a);
// Usage of one command, of all of a noun, or of all.
void cli_help(FILE *f, const struct admin_command *command, const char *noun);
// "hssctl sqn show IMSI" and a line feed.
void cli_usage_line(FILE *f, const struct admin_command *c);
// Is it given as --name? Then `out` gets the name as it is typed: dry_run is --dry-run.
bool cli_is_option(const struct admin_arg *arg);
void cli_option_name(const struct admin_arg *arg, char out[40]);
// "IMSI": the word that stands for an argument. Valid until the next call.
const char *cli_word_name(const struct admin_arg *arg);
// One command a line with its options: what the completion of the shell reads.
void cli_commands(FILE *f);

// --- session.c: the connection
struct cli_session {
	int fd;
	unsigned timeout_s;
	char *in; // CLI_LINE_MAX + 1
	size_t start, len;
};
enum cli_line { CLI_LINE_ROW, CLI_LINE_END, CLI_LINE_NONE, CLI_LINE_BROKEN };
// 0, or CLI_REFUSED with the reason on stderr.
int cli_session_open(struct cli_session *s, const struct cli_args *a) MUST_USE;
void cli_session_close(struct cli_session *s);
// Sends the command. false: told on stderr.
bool cli_session_request(struct cli_session *s, const struct cli_args *a) MUST_USE;
// Sends what follows a request. false: told on stderr.
bool cli_session_send(struct cli_session *s, const char *text, size_t len) MUST_USE;
// The next line: the text of its row or end object (NUL-terminated, in the session's buffer, valid until the
// next call). `wait` false: CLI_LINE_NONE when there is no whole line yet. BROKEN: told on stderr.
enum cli_line cli_session_next(struct cli_session *s, bool wait, char **text, size_t *len);
// Tells on stderr that nothing has come for the timeout.
void cli_session_silent(const struct cli_session *s);
// Status of an end object; its error goes to stderr under the command's name.
int cli_session_end(const char *text, const struct admin_command *command);

// --- transfer.c, export.c: import and export, from the request to the end
int cli_import(struct cli_session *s, const struct cli_args *a);
int cli_export(struct cli_session *s, const struct cli_args *a);

// equipment.c
int cli_equipment_import(struct cli_session *s, const struct cli_args *a);

// --- backup.c
int cli_backup(struct cli_session *s, const struct cli_args *a);
int cli_restore(struct cli_session *s, const struct cli_args *a);

// --- ims.c: a file of filter criteria is checked here; no HSS is needed
int cli_ims_check(const struct cli_args *a);

// --- service.c: the HSS as a service
int cli_config_show(struct cli_session *s, const struct cli_args *a);
int cli_reload(struct cli_session *s, const struct cli_args *a);
int cli_audit(struct cli_session *s, const struct cli_args *a);
// Gives every row to `put`, or shows it as it came (--json), until the end, whose status is returned.
int cli_each_row(struct cli_session *s, const struct cli_args *a, void (*put)(const json_t *row));
// alarm.c
int cli_alarm_list(struct cli_session *s, const struct cli_args *a);
// status.c
int cli_status(struct cli_session *s, const struct cli_args *a);
// trace.c
int cli_trace(struct cli_session *s, const struct cli_args *a);
// top.c
int cli_top(struct cli_session *s, const struct cli_args *a);

// --- output: rows as text or as JSON lines
struct cli_output; // opaque
// NULL: no memory.
struct cli_output *cli_text_new(const struct admin_command *command, FILE *f);
void cli_text_row(struct cli_output *o, const char *text, size_t len);
// Writes out what is held back (the titles of an empty list only when that is the whole answer), frees it.
void cli_text_end(struct cli_output **o, bool complete);
// output_document.c: a member of a subscriber's document in words. false: it has none but its value.
bool cli_document_value(const char *path, const json_t *v, char out[256]);
// A row as it came, one a line.
void cli_json_row(FILE *f, const char *text, size_t len);
