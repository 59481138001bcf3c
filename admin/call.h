// Calls under way: commands that were passed to other roles, and the channels to those roles. hss-admin.
// A call's owner gives three callbacks; the loader sends rows at most a window ahead of what the owner says
// it has taken, octets of an import go out only against credit. Every call ends exactly once, with on_end,
// unless its owner cancels it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "admin/command.h"
#include "cache/control.h"
#include "lib/ipc/channel.h"

#define ADMIN_CALL_MAX 64

struct admin_calls; // opaque, one a process

struct admin_call_ops {
	// One row, JSON without line breaks, valid during the callback.
	void (*on_row)(void *ctx, struct slice row);
	// Octets of input that may be sent now, since the call has credit for them. NULL for commands without
	// input.
	void (*on_credit)(void *ctx);
	// The end: a status, what else there is to say as a JSON object (borrowed). The id is void now.
	void (*on_end)(void *ctx, int status, json_t *end);
};

// NULL: no memory.
struct admin_calls *admin_calls_new(struct event_base *base);
void admin_calls_free(struct admin_calls **calls);
// A channel to a role instance; replaces the one before. Takes the descriptor.
void admin_calls_edge(struct admin_calls *calls, enum role role, unsigned index, int fd);

// Passes a request on to the roles that serve it. Returns the call's id, or 0 and the reason in *error
// (static text).
uint64_t admin_call_start(struct admin_calls *calls, const struct admin_request *request,
			  const struct admin_call_ops *ops, void *ctx, const char **error);
// Rows given so far have gone to the client: the roles may send as many again.
void admin_call_taken(struct admin_calls *calls, uint64_t id);
// Octets of input that may be sent now.
size_t admin_call_room(const struct admin_calls *calls, uint64_t id);
// Sends a chunk of input, at most admin_call_room octets; `newline` adds a line feed (counted). An empty
// chunk ends the input. false: not now, try again on on_credit.
bool admin_call_input(struct admin_calls *calls, uint64_t id, struct slice chunk, bool newline);
// Nobody listens any more; on_end is not called.
void admin_call_cancel(struct admin_calls *calls, uint64_t id);
