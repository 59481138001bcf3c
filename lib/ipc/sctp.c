// What every SCTP association of ours has from its start (see sctp.h). hssd and hss-frontend.
//
// The kernel's defaults would give a path up after a minute, when the watchdog has long given up the peer:
// here after three tries, 3 to 7 s, and an association after 9. A heartbeat every 10 s finds what is dead.
// Streams: we send on the first one only; a peer may use as many as it likes, up to 64.
#include "lib/ipc/sctp.h"
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h> // before linux/sctp.h, which needs its types
#include <linux/sctp.h>

int sctp_set_paths(int fd)
{
	const struct sctp_rtoinfo rto = {.srto_initial = 1000, .srto_min = 500, .srto_max = 4000};
	const struct sctp_paddrparams path = {
	    .spp_hbinterval = 10000, .spp_pathmaxrxt = 2, .spp_flags = SPP_HB_ENABLE};
	const struct sctp_assocparams assoc = {.sasoc_asocmaxrxt = 8};
	const struct sctp_initmsg streams = {.sinit_num_ostreams = 1, .sinit_max_instreams = 64};

	if (setsockopt(fd, IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof(rto)) < 0 ||
	    setsockopt(fd, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path)) < 0 ||
	    setsockopt(fd, IPPROTO_SCTP, SCTP_ASSOCINFO, &assoc, sizeof(assoc)) < 0 ||
	    setsockopt(fd, IPPROTO_SCTP, SCTP_INITMSG, &streams, sizeof(streams)) < 0)
		return -errno;
	return 0;
}
