// imstool: what an engineer of an IMS core reaches for when a registration or a call fails. One command for each of
// the libraries sip, ng and rtp; this header is what the commands share: options, output, files. A program without
// privileges; it wipes the passwords that it was given.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define IM_OPTIONS_MAX 32
#define IM_COLUMNS_MAX 16
#define IM_FILE_MAX    (64u << 20) // octets of a file that is read as a whole

enum { IM_YES = 0, IM_NO = 1, IM_USAGE = 2 };

// One option of a command, in the order of the command's own enum. A table ends with an empty row.
struct im_option {
	const char *name; // without --
	const char *arg;  // what its value is called; NULL: it has none
	const char *help;
	bool secret; // a value that is taken out of the process's arguments, where others can see it
};

struct im_args {
	const struct im_command *command;
	const char *value[IM_OPTIONS_MAX]; // NULL: not given; "" for one without a value
	char **word;                       // what isn't an option
	int word_cnt;
	bool json;
	char *copy[IM_OPTIONS_MAX]; // of secrets; wiped by im_args_fini
};

struct im_command {
	const char *name;
	const char *synopsis; // what follows `imstool`, one line each way
	const char *summary;
	const struct im_option *options;
	const char *words; // for completion: the words that it takes, FILE for file names
	const char *details;
	const char *examples;
	int (*run)(const struct im_args *a);
};

extern const struct im_command im_digest, im_ng, im_rtp, *const im_commands[];

// --- args.c

// 0, or IM_USAGE, told on stderr. Words stay in argv. Call im_args_fini in every case.
MUST_USE int im_args_parse(struct im_args *a, const struct im_command *command, int argc, char **argv);
void im_args_fini(struct im_args *a);
// --help of one command, or of all with NULL.
void im_help(FILE *f, const struct im_command *command);
// A line for each command with its words and options, as the completion of the shell reads them.
void im_list_commands(FILE *f);
// Says what is wrong with the command line on stderr; returns IM_USAGE.
__attribute__((format(printf, 2, 3))) int im_usage(const struct im_args *a, const char *fmt, ...);
// Says on stderr why the answer is no; returns IM_NO.
__attribute__((format(printf, 2, 3))) int im_no(const struct im_args *a, const char *fmt, ...);
// A decimal number, all of the text; false: not one from min to max.
MUST_USE bool im_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);

// --- output.c

// Octets that came from elsewhere: control characters and what isn't UTF-8 are shown as \xHH, so that they can't
// steer a terminal.
void im_print_text(FILE *f, struct slice text);
// One value a line, members in the order they were added. Takes the reference.
void im_print_json_take(json_t *value);
// A string of octets that may be no UTF-8: what isn't is replaced by U+FFFD.
json_t *im_json_text(struct slice text);

// A table that is printed when all of its rows are known, each column as wide as its widest cell.
struct im_table;
struct im_table *im_table_new(unsigned columns);
// The next cell, in reading order; the text is copied.
__attribute__((format(printf, 2, 3))) void im_cell(struct im_table *t, const char *fmt, ...);
void im_table_print_free(struct im_table **t, FILE *f);

// --- file.c

// The whole of a file, or of standard input for "-"; the caller frees *out, which ends with a NUL that isn't counted.
// False: told on stderr.
MUST_USE bool im_read_file(const struct im_args *a, const char *path, uint8_t **out, size_t *len);
