// What the packets of one source tell about their way: loss, order, jitter (RFC 3550 A.1, A.3, A.8).
//
// Sequence numbers have 16 bits and wrap. They are counted from the first one of a segment; a map has a bit for each that
// has come, so that what never came and what came twice are known exactly, however late. A segment ends where the sequence
// begins anew. A step is at most RTP_DROPOUT_MAX, so the map has fewer than 400 octets for each packet.
#include "lib/rtp/rtp.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

void rtp_stream_init(struct rtp_stream *s, uint32_t ssrc)
{
	*s = (struct rtp_stream){.ssrc = ssrc};
}

void rtp_stream_fini(struct rtp_stream *s)
{
	free(s->seen);
	*s = (struct rtp_stream){0};
}

static bool was_seen(const struct rtp_stream *s, uint64_t n)
{
	return s->seen[n / 8] >> n % 8 & 1;
}

static int see(struct rtp_stream *s, uint64_t n)
{
	if (n >= s->seen_bits) {
		uint64_t bits = s->seen_bits ? s->seen_bits : 8192;
		while (bits <= n)
			bits *= 2;
		uint8_t *seen = realloc(s->seen, bits / 8);
		if (!seen)
			return -ENOMEM;
		memset(seen + s->seen_bits / 8, 0, (bits - s->seen_bits) / 8);
		s->seen = seen;
		s->seen_bits = bits;
	}
	s->seen[n / 8] |= (uint8_t)(1 << n % 8);
	return 0;
}

// Adds up what is missing in the segment that ends here.
static void end_segment(struct rtp_stream *s)
{
	uint64_t run = 0;

	for (uint64_t n = 0; s->begun && n <= s->max_extended; n++) {
		if (!was_seen(s, n)) {
			s->lost++;
			s->gaps += run++ == 0;
			s->longest_gap = run > s->longest_gap ? run : s->longest_gap;
		} else {
			run = 0;
		}
	}
	free(s->seen); // a new one is small: many new beginnings cost no more than one
	s->seen = NULL;
	s->seen_bits = 0;
	s->begun = false;
}

static int begin_segment(struct rtp_stream *s, uint16_t sequence)
{
	s->begun = true;
	s->max_sequence = sequence;
	s->max_extended = 0;
	return see(s, 0);
}

// Where in the sequence a packet belongs. 0, or -ENOMEM.
static int place(struct rtp_stream *s, uint16_t sequence)
{
	uint16_t ahead = (uint16_t)(sequence - s->max_sequence), back = (uint16_t)-ahead;

	if (ahead && ahead < RTP_DROPOUT_MAX) {
		s->max_extended += ahead;
		s->max_sequence = sequence;
		s->has_candidate = false;
		return see(s, s->max_extended);
	}
	if (back <= RTP_MISORDER_MAX) {
		if (back > s->max_extended) { // before the segment's first: it is no loss
			s->reordered++;
			return 0;
		}
		if (was_seen(s, s->max_extended - back))
			s->duplicates++;
		else
			s->reordered++;
		return see(s, s->max_extended - back);
	}
	if (s->has_candidate && sequence == (uint16_t)(s->candidate + 1)) {
		end_segment(s);
		s->restarts++;
		s->strays--;
		s->has_candidate = s->has_transit = false;
		int rc = begin_segment(s, s->candidate);
		return rc ? rc : place(s, sequence);
	}
	s->strays++;
	s->has_candidate = true;
	s->candidate = sequence;
	return 0;
}

// RFC 3550 A.8, in seconds in place of units of the timestamp, so that a change of the clock does no harm.
static void add_jitter(struct rtp_stream *s, const struct rtp_packet *p, int64_t ns, unsigned clock)
{
	double arrival = (double)(ns - s->first_ns) / 1e9, difference;

	if (!clock)
		return;
	if (!s->has_transit || s->clock != clock) {
		s->has_transit = true;
		s->clock = clock;
		s->transit = arrival;
		s->last_timestamp = p->timestamp;
		return;
	}
	// the wrap of the timestamp is taken out by looking at the step alone
	difference = fabs(arrival - s->transit - (double)(int32_t)(p->timestamp - s->last_timestamp) / clock);
	s->transit = arrival;
	s->last_timestamp = p->timestamp;
	s->jitter += (difference - s->jitter) / 16;
	s->max_jitter = s->jitter > s->max_jitter ? s->jitter : s->max_jitter;
	s->jitter_sum += s->jitter;
	s->jitter_cnt++;
}

int rtp_stream_add(struct rtp_stream *s, const struct rtp_packet *p, int64_t ns, unsigned clock_rate)
{
	if (!s->packets)
		s->first_ns = s->last_ns = ns;
	if (ns - s->last_ns > s->max_delta_ns)
		s->max_delta_ns = ns - s->last_ns;
	s->last_ns = ns;
	s->packets++;
	s->payload_octets += p->payload.len;
	s->payload_types[p->payload_type / 64] |= UINT64_C(1) << p->payload_type % 64;
	add_jitter(s, p, ns, clock_rate);
	return s->begun ? place(s, p->sequence) : begin_segment(s, p->sequence);
}

void rtp_stream_end(struct rtp_stream *s)
{
	end_segment(s);
}

bool rtp_stream_is_likely(const struct rtp_stream *s)
{
	return s->packets >= 3 && s->strays * 2 < s->packets && s->duplicates * 2 < s->packets;
}
