// SCTP of hss-load's connections: one Diameter message is one user message, in order on stream 0, with the
// payload protocol identifier of Diameter in clear text (RFC 6733 2.1.1). What comes is framed by its own
// length.
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h> // before linux/sctp.h, which needs its types
#include <linux/sctp.h>
#include "lib/base/wire.h"
#include "tools/hss-load/run.h"

#define PPID_DIAMETER 46

int hl_sctp_set(int fd)
{
	const int on = 1, never = 0;
	const struct sctp_sndinfo out = {.snd_ppid = htonl(PPID_DIAMETER)};

	if (setsockopt(fd, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on) < 0 ||
	    // the pieces of a long message don't mix with others
	    setsockopt(fd, IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, &never, sizeof never) < 0 ||
	    setsockopt(fd, IPPROTO_SCTP, SCTP_DEFAULT_SNDINFO, &out, sizeof out) < 0)
		return errno;
	return 0;
}

// The first message of these, which are whole ones: the kernel takes a user message whole or not at all.
ssize_t hl_sctp_send(struct hl_conn *c, const uint8_t *p, size_t len)
{
	size_t one = be24_get(p + 1);

	return send(c->fd, p, one < len ? one : len, MSG_NOSIGNAL);
}
