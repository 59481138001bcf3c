// Whether this HSS lives and serves, for load balancers and orchestrators. hss-admin. Pure: everything is read from the control
// segment.
#pragma once
#include <event2/buffer.h>
#include "cache/control.h"

// Every process runs; one that has died is started again within seconds. What does not run is named in `why`.
bool health_alive(const struct control *c, struct evbuffer *why);
// Every process is ready and every local record is served: what `hssctl status` says, too.
bool health_ready(const struct control *c, struct evbuffer *why);
