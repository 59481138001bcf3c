// RTP and RTCP (RFC 3550), header extensions (RFC 8285), what a stream of packets tells (RFC 3550 A.1, A.3, A.8), and the
// samples of PCMA and PCMU (G.711). Pure functions over borrowed bytes, except that a stream's statistics grow a map of the
// sequence numbers that have come.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define RTP_VERSION  2
#define RTP_CSRC_MAX 15

// Where a packet stops being what was expected.
struct rtp_fault {
	uint32_t offset; // octets from its beginning
	const char *what;
};

// --- A packet
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//     |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//     |                           timestamp                           |
//     |                             SSRC                              |
//     |                      CSRC, CC of them                         |
//     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//     | X: profile                    | words that follow             |

struct rtp_packet {
	bool extension, marker;
	uint8_t csrc_cnt, payload_type;
	uint16_t sequence;
	uint32_t timestamp, ssrc;
	uint32_t csrc[RTP_CSRC_MAX];
	uint16_t profile;      // of the extension
	struct slice ext;      // its data: whole words
	struct slice payload;  // without the padding
	struct slice padding;  // with its last octet, which says how many they are; empty: the P bit is not set
};

// Reads a whole packet. The slices point into it. False: `fault` says where it is malformed.
MUST_USE bool rtp_decode(struct slice bytes, struct rtp_packet *p, struct rtp_fault *fault);
// The same for a packet whose end was not captured: payload and padding are not told apart.
MUST_USE bool rtp_decode_cut(struct slice bytes, struct rtp_packet *p, struct rtp_fault *fault);
// False: it doesn't fit into `w`, the extension is not whole words, or the padding doesn't end with its length.
MUST_USE bool rtp_encode(const struct rtp_packet *p, struct wr *w);
// Whether this is RTCP where both come on one port (RFC 5761 4).
bool rtp_is_rtcp(struct slice bytes);
// PCMU, GSM, ...: the static payload types of RFC 3551. NULL, 0: it is none of them.
const char *rtp_payload_name(unsigned payload_type);
unsigned rtp_clock_rate(unsigned payload_type);

enum rtp_ext_form { RTP_EXT_OPAQUE, RTP_EXT_ONE_BYTE, RTP_EXT_TWO_BYTE };
enum rtp_ext_form rtp_ext_form(uint16_t profile);

struct rtp_ext_element {
	uint8_t id;
	struct slice data;
};
// The next element of an extension's data, padding passed over: 1; 0: there is none; -1: malformed, `fault` counted from
// where `r` stood when it was made.
MUST_USE int rtp_ext_next(struct rd *r, enum rtp_ext_form form, struct rtp_ext_element *e, struct rtp_fault *fault);
// Writes one. False: an id or a length that the form can't say, or no room. The caller pads to whole words with zeros.
MUST_USE bool rtp_ext_write(struct wr *w, enum rtp_ext_form form, const struct rtp_ext_element *e);

// --- RTCP

enum rtcp_type {
	RTCP_SR = 200,
	RTCP_RR = 201,
	RTCP_SDES = 202,
	RTCP_BYE = 203,
	RTCP_APP = 204,
	RTCP_RTPFB = 205,
	RTCP_PSFB = 206,
	RTCP_XR = 207,
};
// "SR" ...; NULL: unknown here.
const char *rtcp_type_name(unsigned type);

// One packet of a compound one.
struct rtcp_packet {
	uint8_t type;
	uint8_t count; // reports, chunks, sources; a subtype with APP and feedback
	uint32_t offset;
	struct slice body;    // behind the first word, without the padding
	struct slice padding; // of the last packet only
};
// The next packet: 1; 0: there is none; -1: malformed. `r` begins as the whole compound packet, `base` is its beginning.
MUST_USE int rtcp_next(struct rd *r, const uint8_t *base, struct rtcp_packet *p, struct rtp_fault *fault);
// Writes a packet around a body, which is padded to whole words with zeros when it isn't. False: it doesn't fit.
MUST_USE bool rtcp_write(struct wr *w, const struct rtcp_packet *p);

struct rtcp_sender {
	uint32_t ntp_seconds, ntp_fraction, rtp_timestamp, packets, octets;
};

struct rtcp_report {
	uint32_t ssrc;
	uint8_t fraction_lost; // of 256
	int32_t lost;          // 24 bits; negative when duplicates came
	uint32_t highest_sequence, jitter, last_sr, delay_since_last_sr;
};
// Through the sticky reader and writer: check r->err or w->err afterwards.
void rtcp_sender_read(struct rd *r, struct rtcp_sender *s);
void rtcp_sender_write(struct wr *w, const struct rtcp_sender *s);
void rtcp_report_read(struct rd *r, struct rtcp_report *report);
void rtcp_report_write(struct wr *w, const struct rtcp_report *report);

// An item of SDES: 1 CNAME ... 8 PRIV.
struct rtcp_item {
	uint8_t type;
	struct slice text;
};
// The next item of a chunk, behind its SSRC: 1; 0: the chunk's end, `r` stands at the next chunk; -1: malformed. `body` is
// what the chunks begin with.
MUST_USE int rtcp_item_next(struct rd *r, const uint8_t *body, struct rtcp_item *item);
// The end of a chunk that began at `chunk`: a zero, and more up to whole words.
void rtcp_chunk_end(struct wr *w, const uint8_t *chunk);
const char *rtcp_item_name(unsigned type);

// --- A stream

#define RTP_DROPOUT_MAX  3000 // a larger step forward, or
#define RTP_MISORDER_MAX 100  // a larger one back, is a new beginning if the next packet follows it (RFC 3550 A.1)

struct rtp_stream {
	uint32_t ssrc;
	uint64_t packets;
	uint64_t lost;       // sequence numbers that never came
	uint64_t duplicates; // packets that had come before
	uint64_t reordered;  // packets that came after later ones
	uint64_t gaps, longest_gap; // runs of sequence numbers that never came
	uint64_t restarts;   // new beginnings of the sequence
	uint64_t strays;     // packets far off that no other followed
	uint64_t payload_octets;
	uint64_t payload_types[2]; // a bit for each that was seen
	int64_t first_ns, last_ns;
	int64_t max_delta_ns; // the longest time between two packets
	double jitter, max_jitter, jitter_sum; // seconds; A.8
	uint64_t jitter_cnt;
	// what follows is its own
	bool begun, has_candidate, has_transit;
	uint16_t max_sequence, candidate;
	uint64_t max_extended; // from the segment's first sequence number
	uint8_t *seen;         // a bit for each sequence number of this segment
	uint64_t seen_bits;
	double transit;
	uint32_t last_timestamp;
	unsigned clock;
};

void rtp_stream_init(struct rtp_stream *s, uint32_t ssrc);
void rtp_stream_fini(struct rtp_stream *s);
// A packet that arrived at `ns` (of any clock, not going back). clock_rate 0: unknown, then it has no part in the jitter.
// 0, or -ENOMEM.
MUST_USE int rtp_stream_add(struct rtp_stream *s, const struct rtp_packet *p, int64_t ns, unsigned clock_rate);
// Counts what never came. Once, after the last packet.
void rtp_stream_end(struct rtp_stream *s);
// Whether so many packets followed one another that it is RTP, and not something that looks like it.
bool rtp_stream_is_likely(const struct rtp_stream *s);

// --- G.711: one octet to 16 bits

int16_t rtp_alaw(uint8_t octet);
int16_t rtp_ulaw(uint8_t octet);
