// The metrics endpoint: GET and HEAD of /metrics, /healthz and /readyz, and nothing else. hss-admin.
#pragma once
#include "cache/control.h"
#include "lib/ipc/channel.h"

#define METRICS_CLIENT_MAX  16
#define METRICS_REQUEST_MAX 8192 // octets of a request's line and headers
#define METRICS_TIMEOUT_S   10

struct metrics_server; // opaque, one a process

struct alarms;

// Serves the listening socket from this segment and these alarms (all borrowed; alarms NULL: none). NULL: logged.
struct metrics_server *metrics_server_new(struct event_base *base, int listener, const struct control *control,
					  const struct alarms *alarms);
void metrics_server_free(struct metrics_server **server);
