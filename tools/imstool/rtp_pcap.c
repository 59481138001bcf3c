// `imstool rtp pcap`: the RTP streams of a capture. A stream is one SSRC from one address and port to another. Whatever looks
// like RTP is counted as a stream at first; those whose packets don't follow one another are left out at the end.
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include "tools/imstool/rtp.h"

#define STREAMS_MAX 65536 // in one capture; further ones are counted only

struct stream {
	struct im_datagram key; // addresses and ports only
	struct rtp_stream rtp;
	struct im_flow *flow;
};

// What was malformed between two ports, whichever stream it belongs to.
struct im_flow {
	struct im_datagram key;
	uint64_t malformed, first_frame;
	struct rtp_fault first;
};

struct streams {
	const struct im_args *a;
	void *by_key, *flows; // of tsearch
	struct stream **list; // in the order of their first packets; owned
	unsigned cnt, shown;
	uint64_t left_out;
	bool failed;
};

static int by_ends(const struct im_datagram *x, const struct im_datagram *y)
{
	int c = memcmp(x->from, y->from, 16);

	if (!c)
		c = memcmp(x->to, y->to, 16);
	if (!c)
		c = (x->from_port > y->from_port) - (x->from_port < y->from_port);
	return c ? c : (x->to_port > y->to_port) - (x->to_port < y->to_port);
}

static int by_stream(const void *x, const void *y)
{
	const struct stream *a = x, *b = y;
	int c = by_ends(&a->key, &b->key);

	return c ? c : (a->rtp.ssrc > b->rtp.ssrc) - (a->rtp.ssrc < b->rtp.ssrc);
}

static int by_flow(const void *x, const void *y)
{
	return by_ends(&((const struct im_flow *)x)->key, &((const struct im_flow *)y)->key);
}

// The element with this key, or a copy of it that is added. NULL: no memory.
static void *find_or_add(void **root, const void *key, size_t size, int (*compare)(const void *, const void *), bool *added)
{
	void **found = tfind(key, root, compare), *copy;

	*added = false;
	if (found)
		return *found;
	copy = malloc(size);
	if (!copy)
		return NULL;
	memcpy(copy, key, size);
	if (!tsearch(copy, root, compare)) {
		free(copy);
		return NULL;
	}
	*added = true;
	return copy;
}

static struct im_flow *flow_of(struct streams *all, const struct im_datagram *d)
{
	struct im_flow key = {.key = *d};
	bool added;

	return find_or_add(&all->flows, &key, sizeof key, by_flow, &added);
}

static struct stream *stream_of(struct streams *all, const struct im_datagram *d, uint32_t ssrc)
{
	struct stream key = {.key = *d, .rtp.ssrc = ssrc}, *s;
	void **found = tfind(&key, &all->by_key, by_stream);
	bool added;

	if (found)
		return *found;
	if (all->cnt == STREAMS_MAX) {
		all->left_out++;
		return NULL;
	}
	key.flow = flow_of(all, d);
	s = key.flow ? find_or_add(&all->by_key, &key, sizeof key, by_stream, &added) : NULL;
	if (!s) {
		all->failed = true;
		return NULL;
	}
	rtp_stream_init(&s->rtp, ssrc);
	all->list[all->cnt++] = s;
	return s;
}

// A port that had RTP, but this isn't: the first one is kept for the report.
static void note_malformed(struct streams *all, const struct im_datagram *d, const struct rtp_fault *fault)
{
	struct im_flow key = {.key = *d}, **found = tfind(&key, &all->flows, by_flow);

	if (!found)
		return;
	if (!(*found)->malformed++) {
		(*found)->first_frame = d->frame;
		(*found)->first = *fault;
	}
}

static bool take(void *ctx, const struct im_datagram *d)
{
	struct streams *all = ctx;
	struct rtp_packet p;
	struct rtp_fault fault;
	struct stream *s;

	if (rtp_is_rtcp(d->payload))
		return true;
	if (!(d->cut ? rtp_decode_cut : rtp_decode)(d->payload, &p, &fault)) {
		note_malformed(all, d, &fault);
		return true;
	}
	s = stream_of(all, d, p.ssrc);
	if (s && rtp_stream_add(&s->rtp, &p, d->ns, im_clock_rate(all->a, p.payload_type)))
		all->failed = true;
	return !all->failed;
}

// --- Showing

static void address(const uint8_t *octets, bool is_v6, char out[INET6_ADDRSTRLEN])
{
	if (!inet_ntop(is_v6 ? AF_INET6 : AF_INET, octets, out, INET6_ADDRSTRLEN))
		bug("inet_ntop");
}

static void address_cell(struct im_table *t, const uint8_t *octets, bool is_v6, uint16_t port)
{
	char text[INET6_ADDRSTRLEN];

	address(octets, is_v6, text);
	im_cell(t, is_v6 ? "[%s]:%u" : "%s:%u", text, port);
}

static bool has_type(const struct rtp_stream *s, unsigned type)
{
	return s->payload_types[type / 64] >> type % 64 & 1;
}

// "8 PCMA", or several.
static void types_cell(struct im_table *t, const struct rtp_stream *s)
{
	char text[256] = "";

	for (unsigned type = 0; type < 128; type++) {
		size_t len = strlen(text);
		const char *name = rtp_payload_name(type);
		if (has_type(s, type))
			snprintf(text + len, sizeof text - len, "%s%u%s%s", len ? "," : "", type, name ? " " : "", name ? name : "");
	}
	im_cell(t, "%s", text);
}

static double lost_percent(const struct rtp_stream *s)
{
	uint64_t expected = s->lost + s->packets - s->duplicates;
	return expected ? 100.0 * (double)s->lost / (double)expected : 0;
}

static void row(struct im_table *t, const struct stream *stream)
{
	const struct rtp_stream *s = &stream->rtp;

	address_cell(t, stream->key.from, stream->key.is_v6, stream->key.from_port);
	address_cell(t, stream->key.to, stream->key.is_v6, stream->key.to_port);
	im_cell(t, "%08x", s->ssrc);
	types_cell(t, s);
	im_cell(t, "%llu", (unsigned long long)s->packets);
	im_cell(t, "%llu (%.1f %%)", (unsigned long long)s->lost, lost_percent(s));
	im_cell(t, "%llu (%llu)", (unsigned long long)s->gaps, (unsigned long long)s->longest_gap);
	im_cell(t, "%llu", (unsigned long long)s->reordered);
	im_cell(t, "%llu", (unsigned long long)s->duplicates);
	if (s->jitter_cnt)
		im_cell(t, "%.2f / %.2f ms", 1e3 * s->jitter_sum / (double)s->jitter_cnt, 1e3 * s->max_jitter);
	else
		im_cell(t, "-");
	im_cell(t, "%.1f ms", (double)s->max_delta_ns / 1e6);
	im_cell(t, "%.2f s", (double)(s->last_ns - s->first_ns) / 1e9);
}

static void show_table(const struct streams *all)
{
	static const char *const heads[] = {"FROM", "TO",   "SSRC",      "TYPE",           "PACKETS",   "LOST",
					    "GAPS (LONGEST)", "REORDERED", "DUPLICATES", "JITTER MEAN/MAX", "LONGEST WAIT", "DURATION"};
	struct im_table *t = im_table_new(sizeof heads / sizeof *heads);

	for (unsigned i = 0; i < sizeof heads / sizeof *heads; i++)
		im_cell(t, "%s", heads[i]);
	for (unsigned i = 0; i < all->cnt; i++)
		if (rtp_stream_is_likely(&all->list[i]->rtp))
			row(t, all->list[i]);
	im_table_print_free(&t, stdout);
}

// What doesn't fit into a table.
static void show_notes(const struct streams *all, const struct im_capture_counts *counts)
{
	for (unsigned i = 0; i < all->cnt; i++) {
		const struct stream *s = all->list[i];
		if (!rtp_stream_is_likely(&s->rtp))
			continue;
		if (s->rtp.restarts || s->rtp.strays)
			printf("%08x: its sequence began anew %llu times; %llu packets belong to no sequence\n", s->rtp.ssrc,
			       (unsigned long long)s->rtp.restarts, (unsigned long long)s->rtp.strays);
		if (s->flow->malformed)
			printf("%08x: %llu malformed packets between these ports, the first is frame %llu, octet %u: %s\n",
			       s->rtp.ssrc, (unsigned long long)s->flow->malformed,
			       (unsigned long long)s->flow->first_frame, s->flow->first.offset, s->flow->first.what);
	}
	if (counts->fragments)
		printf("%llu fragments of IP were not looked at\n", (unsigned long long)counts->fragments);
	if (all->left_out)
		printf("%llu packets belong to further streams than %u\n", (unsigned long long)all->left_out, STREAMS_MAX);
}

static json_t *malformed_json(const struct im_flow *flow)
{
	json_t *o = json_pack("{s:I}", "count", (json_int_t)flow->malformed);

	if (flow->malformed) {
		json_object_set_new(o, "frame", json_integer((json_int_t)flow->first_frame));
		json_object_set_new(o, "offset", json_integer(flow->first.offset));
		json_object_set_new(o, "error", json_string(flow->first.what));
	}
	return o;
}

static void set(json_t *o, const char *name, uint64_t value)
{
	json_object_set_new(o, name, json_integer((json_int_t)value));
}

static void show_json(const struct stream *stream)
{
	const struct rtp_stream *s = &stream->rtp;
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	json_t *types = json_array(), *o;

	address(stream->key.from, stream->key.is_v6, from);
	address(stream->key.to, stream->key.is_v6, to);
	for (unsigned type = 0; type < 128; type++)
		if (has_type(s, type))
			json_array_append_new(types, json_integer(type));
	o = json_pack("{s:s, s:i, s:s, s:i, s:I, s:o}", "from", from, "from_port", stream->key.from_port, "to", to, "to_port",
		      stream->key.to_port, "ssrc", (json_int_t)s->ssrc, "payload_types", types);
	set(o, "packets", s->packets);
	set(o, "lost", s->lost);
	set(o, "gaps", s->gaps);
	set(o, "longest_gap", s->longest_gap);
	set(o, "reordered", s->reordered);
	set(o, "duplicates", s->duplicates);
	set(o, "restarts", s->restarts);
	set(o, "strays", s->strays);
	set(o, "payload_octets", s->payload_octets);
	if (s->jitter_cnt) {
		json_object_set_new(o, "jitter_ms", json_real(1e3 * s->jitter));
		json_object_set_new(o, "mean_jitter_ms", json_real(1e3 * s->jitter_sum / (double)s->jitter_cnt));
		json_object_set_new(o, "max_jitter_ms", json_real(1e3 * s->max_jitter));
	}
	json_object_set_new(o, "max_delta_ms", json_real((double)s->max_delta_ns / 1e6));
	json_object_set_new(o, "start", json_real((double)s->first_ns / 1e9));
	json_object_set_new(o, "duration", json_real((double)(s->last_ns - s->first_ns) / 1e9));
	json_object_set_new(o, "malformed", malformed_json(stream->flow));
	im_print_json_take(o);
}

static void show(struct streams *all, const struct im_capture_counts *counts)
{
	for (unsigned i = 0; i < all->cnt; i++)
		all->shown += rtp_stream_is_likely(&all->list[i]->rtp);
	if (!all->shown && !all->a->json)
		puts("no RTP in it");
	if (all->shown && !all->a->json)
		show_table(all);
	if (!all->a->json) {
		show_notes(all, counts);
		return;
	}
	for (unsigned i = 0; i < all->cnt; i++)
		if (rtp_stream_is_likely(&all->list[i]->rtp))
			show_json(all->list[i]);
}

// --- The command

// The stream that --ssrc names, or the only one.
static int write_one(const struct streams *all, const char *path)
{
	const char *wanted = all->a->value[IR_SSRC];
	const struct stream *found = NULL;
	char *end;
	unsigned long ssrc = wanted ? strtoul(wanted, &end, 16) : 0;

	if (wanted && (!*wanted || *end || ssrc > UINT32_MAX))
		return im_usage(all->a, "--ssrc: expected up to 8 hex digits");
	for (unsigned i = 0; i < all->cnt; i++) {
		const struct stream *s = all->list[i];
		if (!rtp_stream_is_likely(&s->rtp) || (wanted && s->rtp.ssrc != ssrc))
			continue;
		if (found && !wanted)
			return im_usage(all->a, "several streams: --ssrc HEX says which");
		found = found ? found : s;
	}
	if (!found)
		return im_no(all->a, wanted ? "no stream %s in it" : "no stream in it", wanted);
	return im_rtp_write(all->a, path, &found->key, found->rtp.ssrc);
}

static void free_flow(void *flow)
{
	free(flow);
}

static void keep(void *stream)
{
	(void)stream; // the list owns it
}

static int check_options(const struct im_args *a)
{
	if (a->value[IR_WAV] && a->value[IR_RAW])
		return im_usage(a, "--wav and --raw exclude each other");
	if (a->value[IR_SSRC] && !a->value[IR_WAV] && !a->value[IR_RAW])
		return im_usage(a, "--ssrc belongs to --wav and --raw");
	for (const char *p = a->value[IR_CLOCK]; p && *p; p += strcspn(p, ","), p += *p == ',') {
		unsigned type = 0, rate = 0;
		int used = 0;
		if (sscanf(p, "%3u:%9u%n", &type, &rate, &used) != 2 || type > 127 || !rate || (p[used] && p[used] != ','))
			return im_usage(a, "--clock: expected PT:RATE, several with commas");
	}
	return 0;
}

int im_rtp_pcap(const struct im_args *a, const char *path)
{
	struct streams all = {.a = a, .list = calloc(STREAMS_MAX, sizeof *all.list)};
	struct im_capture_counts counts;
	int status = check_options(a);

	if (!status && !all.list)
		status = im_no(a, "no memory");
	if (!status && !im_capture_read(a, path, &counts, take, &all))
		status = IM_NO;
	if (!status && all.failed)
		status = im_no(a, "no memory");
	if (!status) {
		for (unsigned i = 0; i < all.cnt; i++)
			rtp_stream_end(&all.list[i]->rtp);
		show(&all, &counts);
		status = all.shown ? IM_YES : IM_NO;
		const char *out = a->value[IR_WAV] ? a->value[IR_WAV] : a->value[IR_RAW];
		if (out && all.shown)
			status = write_one(&all, path);
	}
	tdestroy(all.by_key, keep);
	tdestroy(all.flows, free_flow);
	for (unsigned i = 0; i < all.cnt; i++) {
		rtp_stream_fini(&all.list[i]->rtp);
		free(all.list[i]);
	}
	free(all.list);
	return status;
}
