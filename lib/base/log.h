// Logging: one line an event, as text or JSON, to stderr or where log_set_fd says. Never blocks a process that hssd
// started: a line that is not taken at once is dropped and counted. An event has a short fixed name
// and key=value fields; values are escaped, so that no peer can forge a line. Keys, vectors and other secrets are never
// fields. IMSIs are passed with LOG_IMSI and masked when the configuration says so.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/wire.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_field {
	const char *key;
	enum { LOG_F_END, LOG_F_STR, LOG_F_SLICE, LOG_F_INT, LOG_F_HEX, LOG_F_IMSI } kind;
	const char *str;
	struct slice bytes;
	int64_t num;
};

#define LOG_STR(k, v)                                                                                        \
	((struct log_field){.key = (k), .kind = LOG_F_STR, .str = (v)})
#define LOG_SLICE(k, v)                                                                                      \
	((struct log_field){.key = (k), .kind = LOG_F_SLICE, .bytes = (v)})
#define LOG_INT(k, v)                                                                                        \
	((struct log_field){.key = (k), .kind = LOG_F_INT, .num = (int64_t)(v)})
#define LOG_IMSI(k, v)                                                                                       \
	((struct log_field){.key = (k), .kind = LOG_F_IMSI, .str = (v)})

// role: "loader", "worker-0" ...; kept by reference.
void log_init(const char *role, enum log_level level, bool json, bool mask_imsi);
void log_set_level(enum log_level level);
// The descriptor that lines go to; stderr before.
void log_set_fd(int fd);
// Where dropped lines are counted from now on, in shared memory for example.
void log_count_dropped(_Atomic uint64_t *counter);
// How many were dropped.
uint64_t log_dropped(void);
bool log_enabled(enum log_level level);
bool log_level_parse(const char *text, enum log_level *out);
const char *log_level_name(enum log_level level);

void log_fields(enum log_level level, const char *event, const struct log_field *fields);
#define log_event(level, event, ...)                                                                         \
	do {                                                                                                 \
		if (log_enabled(level))                                                                      \
			log_fields(level, event,                                                             \
				   (const struct log_field[]){__VA_ARGS__ __VA_OPT__(,)(struct log_field){.kind = LOG_F_END}});  \
	} while (0)
#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

// Rate limit for lines that a peer can provoke: true at most `per_second` times a second for this place; what was
// held back is counted and told with the next line that passes (field suppressed=N is the caller's to add).
struct log_limit {
	uint64_t window_s;
	uint32_t passed;
	uint32_t suppressed;
};
bool log_limit_pass(struct log_limit *l, uint32_t per_second);
