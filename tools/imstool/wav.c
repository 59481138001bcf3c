// Writes the payload of one stream: as it came (--raw), or as sound (--wav: 16 bits, mono), with silence where packets are
// missing. Packets are put in order by their sequence numbers, and each counts once.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tools/imstool/rtp.h"

#define WAV_HEADER   44
#define SAMPLES_MAX  (1u << 29) // more than a day of 8000 a second
#define SILENCE_MAX  (600u * 8000) // what the timestamps may jump: ten minutes

struct piece {
	int64_t sequence; // extended
	uint32_t timestamp;
	uint8_t type;
	struct slice payload; // owned
};

struct writer {
	const struct im_args *a;
	const struct im_datagram *like;
	uint32_t ssrc;
	struct piece *piece;
	size_t cnt, cap;
	int64_t last; // extended sequence number of the packet before
	bool failed;
};

unsigned im_clock_rate(const struct im_args *a, unsigned payload_type)
{
	for (const char *p = a->value[IR_CLOCK]; p && *p; p += strcspn(p, ","), p += *p == ',') {
		unsigned type, rate;
		if (sscanf(p, "%3u:%9u", &type, &rate) == 2 && type == payload_type)
			return rate;
	}
	return rtp_clock_rate(payload_type);
}

static bool keep(struct writer *w, const struct rtp_packet *p, int64_t sequence)
{
	uint8_t *copy = malloc(p->payload.len ? p->payload.len : 1);

	if (w->cnt == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 1024;
		struct piece *more = reallocarray(w->piece, cap, sizeof *more);
		if (more) {
			w->piece = more;
			w->cap = cap;
		}
	}
	if (!copy || w->cnt == w->cap) {
		free(copy);
		w->failed = true;
		return false;
	}
	if (p->payload.len)
		memcpy(copy, p->payload.p, p->payload.len);
	w->piece[w->cnt++] =
	    (struct piece){sequence, p->timestamp, p->payload_type, slice_of(copy, p->payload.len)};
	return true;
}

static bool take(void *ctx, const struct im_datagram *d)
{
	struct writer *w = ctx;
	struct rtp_packet p;
	struct rtp_fault fault;

	if (d->from_port != w->like->from_port || d->to_port != w->like->to_port || memcmp(d->from, w->like->from, 16) != 0 ||
	    memcmp(d->to, w->like->to, 16) != 0 || rtp_is_rtcp(d->payload) || !rtp_decode(d->payload, &p, &fault) ||
	    p.ssrc != w->ssrc)
		return true;
	w->last = w->cnt ? w->last + (int16_t)(p.sequence - (uint16_t)w->last) : p.sequence;
	return keep(w, &p, w->last);
}

static int by_sequence(const void *x, const void *y)
{
	const struct piece *a = x, *b = y;
	return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

static void sort_once_each(struct writer *w)
{
	size_t out = 0;

	if (w->cnt)
		qsort(w->piece, w->cnt, sizeof *w->piece, by_sequence);
	for (size_t i = 0; i < w->cnt; i++) {
		if (out && w->piece[i].sequence == w->piece[out - 1].sequence)
			free((uint8_t *)(uintptr_t)w->piece[i].payload.p);
		else
			w->piece[out++] = w->piece[i];
	}
	w->cnt = out;
}

static void put_le(uint8_t *p, uint32_t v, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void wav_header(uint8_t h[WAV_HEADER], uint32_t rate, uint32_t samples)
{
	memcpy(h, "RIFF....WAVEfmt ", 16);
	put_le(h + 4, WAV_HEADER - 8 + 2 * samples, 4);
	put_le(h + 16, 16, 4);
	put_le(h + 20, 1, 2); // PCM
	put_le(h + 22, 1, 2); // channels
	put_le(h + 24, rate, 4);
	put_le(h + 28, 2 * rate, 4);
	put_le(h + 32, 2, 2);
	put_le(h + 34, 16, 2);
	memcpy(h + 36, "data", 4);
	put_le(h + 40, 2 * samples, 4);
}

static void put_silence(FILE *f, uint64_t samples)
{
	for (; samples; samples--) {
		putc(0, f);
		putc(0, f);
	}
}

// The samples of all packets at the places of their timestamps. Returns how many, or 0 with what is wrong.
static uint32_t put_samples(const struct writer *w, FILE *f, const char **wrong)
{
	uint64_t written = 0;
	int64_t at = 0;

	for (size_t i = 0; i < w->cnt; i++) {
		const struct piece *p = &w->piece[i];
		if (i)
			at += (int32_t)(p->timestamp - w->piece[i - 1].timestamp);
		if (p->type != 0 && p->type != 8)
			continue; // telephone events, comfort noise: silence
		if (at < 0 || (uint64_t)at > written + SILENCE_MAX || written > SAMPLES_MAX) {
			*wrong = "its timestamps jump: --raw writes it without them";
			return 0;
		}
		if ((uint64_t)at > written) {
			put_silence(f, (uint64_t)at - written);
			written = (uint64_t)at;
		}
		for (uint32_t k = (uint32_t)(written - (uint64_t)at); k < p->payload.len; k++, written++) {
			int16_t sample = (p->type == 8 ? rtp_alaw : rtp_ulaw)(p->payload.p[k]);
			putc(sample & 0xff, f);
			putc(sample >> 8 & 0xff, f);
		}
	}
	*wrong = "no PCMA or PCMU in it: --raw writes any payload";
	return (uint32_t)written;
}

static int write_wav(const struct writer *w, FILE *f)
{
	uint8_t header[WAV_HEADER] = {0};
	const char *wrong;
	uint32_t samples;

	fwrite(header, 1, sizeof header, f);
	samples = put_samples(w, f, &wrong);
	if (!samples)
		return im_no(w->a, "%s", wrong);
	wav_header(header, 8000, samples);
	rewind(f);
	fwrite(header, 1, sizeof header, f);
	return IM_YES;
}

static int write_raw(const struct writer *w, FILE *f)
{
	for (size_t i = 0; i < w->cnt; i++)
		fwrite(w->piece[i].payload.p, 1, w->piece[i].payload.len, f);
	return IM_YES;
}

static int write_file(const struct writer *w)
{
	bool is_wav = w->a->value[IR_WAV] != NULL;
	const char *path = is_wav ? w->a->value[IR_WAV] : w->a->value[IR_RAW];
	FILE *f = fopen(path, "wbe");
	int status;

	if (!f)
		return im_no(w->a, "%s: %s", path, err_text(errno));
	status = is_wav ? write_wav(w, f) : write_raw(w, f);
	bool bad = ferror(f) != 0;
	bad |= fclose(f) != 0;
	if (bad && !status)
		status = im_no(w->a, "%s: %s", path, err_text(errno));
	if (status)
		remove(path); // half a file is worse than none
	return status;
}

int im_rtp_write(const struct im_args *a, const char *path, const struct im_datagram *like, uint32_t ssrc)
{
	struct writer w = {.a = a, .like = like, .ssrc = ssrc};
	struct im_capture_counts counts;
	int status = IM_NO;

	if (im_capture_read(a, path, &counts, take, &w)) {
		sort_once_each(&w);
		status = w.failed ? im_no(a, "no memory") : write_file(&w);
	}
	for (size_t i = 0; i < w.cnt; i++)
		free((uint8_t *)(uintptr_t)w.piece[i].payload.p);
	free(w.piece);
	return status;
}
