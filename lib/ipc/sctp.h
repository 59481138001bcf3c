// How fast an SCTP association of ours notices what is dead, and its streams. One place for the sockets that
// hssd listens on and those that a frontend connects. RFC 9260 16, RFC 6458 8.1.
#pragma once
#include "lib/base/err.h"

// For a socket that is not connected yet; what it accepts later inherits it. 0 or a negative errno.
MUST_USE int sctp_set_paths(int fd);
