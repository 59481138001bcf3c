// Clients of the admin socket: who may connect, one request at a time each, rows out and import lines in,
// both no faster than the slower side. hss-admin.
#pragma once
#include <stdbool.h>
#include "admin/call.h"
#include "supervisor/role.h"

#define ADMIN_CLIENT_MAX 32

struct admin_server; // opaque, one a process
struct admin_client; // opaque

// Serves the listening socket (borrowed). `group` is the name of the group whose members may connect, or "".
// NULL: logged.
struct admin_server *admin_server_new(struct role_env *env, struct admin_calls *calls, int listener,
				      const char *group);
// Its clients may only look (rights.h).
void admin_server_read_only(struct admin_server *server);
void admin_server_free(struct admin_server **server);
// Takes no more clients; those who are there are cut off.
void admin_server_stop(struct admin_server *server);

// For commands that this process serves itself (local.c).
struct role_env *admin_client_env(const struct admin_client *cl);
struct admin_calls *admin_client_calls(const struct admin_client *cl);
void admin_client_row(struct admin_client *cl, json_t *row_taken);
// Ends the command. error NULL: none.
void admin_client_end(struct admin_client *cl, int status, const char *error);
// A call of the client's own command, so that it is cancelled when the client goes away.
void admin_client_call_set(struct admin_client *cl, uint64_t id);
// When the command has not ended by then: its call is cancelled, fn ends it.
void admin_client_timeout(struct admin_client *cl, unsigned ms, void (*fn)(struct admin_client *cl));
// A number of the command under way, for who serves it; 0 at first.
unsigned *admin_client_mark(struct admin_client *cl);

// May this process connect: root, the same user as ours, or a member of the group (gid -1: none)?
bool admin_peer_allowed(int fd, gid_t gid);
