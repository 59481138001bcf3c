// Messages of scenarios: made of what a line says, and compared with what a line expects.
#pragma once
#include "tests/protocol/line.h"

// Identifiers of a peer's requests, counted up by itself unless a line names them, and those of the last
// request that it got, which its answers carry.
struct compose_ids {
	uint32_t hop;
	uint32_t last_hop, last_end;
};

// The message that words 1.. of the line describe: NAME and key=value. See README.md for the keys.
void compose_message(const struct line *l, const char *name, struct compose_ids *ids, struct wr *w);
// The answer of a worker to a request, with the result that the line names.
void compose_answer(const struct line *l, const uint8_t *request, struct wr *w);
// Fails unless the message is what the line expects.
void compose_expect(const struct line *l, const char *name, const uint8_t *msg, uint32_t len);
// For failure messages: "AIA result 2001".
void compose_describe(const uint8_t *msg, uint32_t len, char *out, size_t cap);
const struct command *compose_command(const char *name);
