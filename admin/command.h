// The table of commands and the check of a request line against it: what hss-admin forwards is well-formed
// JSON with arguments of the right types and nothing else. Pure; shared by hss-admin and hssctl.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define ADMIN_ARG_MAX     12
#define ADMIN_REQUEST_MAX (64u << 10) // octets of one request line

enum admin_served { ADMIN_SERVED_LOADER, ADMIN_SERVED_FRONTENDS, ADMIN_SERVED_ADMIN };
// SLOW: it may take minutes, and nothing is heard meanwhile.
// TEXT: the only member of its row is a text, which is shown as it is. HERE: hssctl does it alone. LOOKS: it changes nothing.
// LIVE: it goes on until the client leaves, or for long; nothing may be heard meanwhile.
enum {
	ADMIN_FLAG_INPUT = 1,
	ADMIN_FLAG_SLOW = 2,
	ADMIN_FLAG_TEXT = 4,
	ADMIN_FLAG_HERE = 8,
	ADMIN_FLAG_LOOKS = 16,
	ADMIN_FLAG_LIVE = 32,
};
enum admin_type {
	ADMIN_TYPE_IMSI,
	ADMIN_TYPE_MSISDN,
	ADMIN_TYPE_KEY,
	ADMIN_TYPE_AMF,
	ADMIN_TYPE_SQN,
	ADMIN_TYPE_COUNT,
	ADMIN_TYPE_DIGITS,
	ADMIN_TYPE_TEXT,
	ADMIN_TYPE_LEVEL,
	ADMIN_TYPE_FORMAT,
	ADMIN_TYPE_STATUS,
	ADMIN_TYPE_BOOL,
	ADMIN_TYPE_OBJECT,
};
enum admin_how {
	ADMIN_HOW_NEEDED,
	ADMIN_HOW_WORD,
	ADMIN_HOW_OPTION,
	ADMIN_HOW_MANY,
	ADMIN_HOW_FLAG,
	ADMIN_HOW_PAIRS,
	ADMIN_HOW_FILE,
	ADMIN_HOW_FILE_OPTION,
	ADMIN_HOW_SENT,
};

struct admin_arg {
	const char *name; // NULL: no more
	uint8_t type;     // enum admin_type
	uint8_t how;      // enum admin_how
	const char *help;
};

struct admin_command {
	const char *words; // "sqn show"
	uint8_t served;    // enum admin_served
	uint8_t flags;
	const char *help;
	const char *example; // without "hssctl"
	struct admin_arg arg[ADMIN_ARG_MAX];
};

extern const struct admin_command admin_command_rows[];
extern const unsigned admin_command_cnt;

struct admin_request {
	const struct admin_command *command;
	json_t *args; // owned, always an object
	json_t *by;   // owned: who asks, for the audit log; NULL: it is not written down
};

// "sqn show" -> its row, or NULL.
const struct admin_command *admin_command_find(const char *words);
// A value of this type? On refusal `expected` says what would be one.
bool admin_value_valid(enum admin_type type, const json_t *value, const char **expected);

// One line without its line feed. 0 and *out (the caller calls admin_request_fini), or -EINVAL and the reason
// in `error`; the reason never repeats a value.
int admin_request_parse(struct slice line, struct admin_request *out, char error[256]) MUST_USE;
void admin_request_fini(struct admin_request *r);
// The request as one line of JSON for ADMIN_CALL; free with free(). NULL: no memory.
char *admin_request_text(const struct admin_request *r);

// Makes jansson wipe every block it frees: requests and documents hold keys. Once, at the start.
void admin_json_init(void);
// What jansson frees with, for texts that it made. NULL is accepted.
void admin_json_free(void *p);
