// What the parts of `imstool rtp` share: packets as JSON, and captures.
#pragma once
#include "lib/rtp/rtp.h"
#include "tools/imstool/imstool.h"

#define IM_PACKET_MAX 65536 // octets of a packet that is composed

enum im_rtp_option { IR_CLOCK, IR_SSRC, IR_WAV, IR_RAW };

// --- rtp_json.c, rtcp_json.c: NULL with the fault, or an object that the caller owns.
json_t *im_rtp_to_json(struct slice bytes, struct rtp_fault *fault);
json_t *im_rtcp_to_json(struct slice bytes, struct rtp_fault *fault);
// Composes what the object says. NULL, or what is wrong with it.
const char *im_rtp_of_json(const json_t *object, struct wr *w);
const char *im_rtcp_of_json(const json_t *object, struct wr *w);

// Members of an object. A member of another type or out of its range: *wrong is set, unless it is set already.
uint64_t im_member(const json_t *object, const char *name, uint64_t max, bool needed, const char **wrong);
// Hex digits become octets at the end of `w`. Without the member: nothing.
struct slice im_octets(const json_t *object, const char *name, struct wr *w, const char **wrong);
json_t *im_json_hex(struct slice octets);

// --- capture.c: the UDP datagrams of a capture

struct im_datagram {
	uint64_t frame; // from 1
	int64_t ns;
	bool is_v6, cut; // cut: its end was not captured
	uint8_t from[16], to[16];
	uint16_t from_port, to_port;
	struct slice payload;
};

struct im_capture_counts {
	uint64_t frames, fragments; // fragments of IP but the first are not looked at
};

// Calls `each` for each datagram until it returns false. False: told on stderr.
MUST_USE bool im_capture_read(const struct im_args *a, const char *path, struct im_capture_counts *counts,
			      bool (*each)(void *ctx, const struct im_datagram *d), void *ctx);

// --- wav.c

// The clock rate of a payload type: what --clock says, or RFC 3551. 0: unknown.
unsigned im_clock_rate(const struct im_args *a, unsigned payload_type);
// Writes the payload of one stream, in the order of its sequence; with --wav at the places that the timestamps give.
int im_rtp_write(const struct im_args *a, const char *path, const struct im_datagram *like, uint32_t ssrc);

int im_rtp_pcap(const struct im_args *a, const char *path);
