// `imstool rtp`: decode, encode, and the streams of a capture.
#include "tools/imstool/rtp.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/ident.h"

static const struct im_option options[] = {
    [IR_CLOCK] = {"clock", "PT:RATE", "pcap: clock rate of a dynamic payload type, several with commas: 96:16000,101:8000", false},
    [IR_SSRC] = {"ssrc", "HEX", "pcap: which stream to write, when there are several", false},
    [IR_WAV] = {"wav", "FILE", "pcap: write a stream of PCMA or PCMU as sound", false},
    [IR_RAW] = {"raw", "FILE", "pcap: write a stream's payload as it came, in the order of its sequence", false},
    {0},
};

// --- decode

// A member in words that people use.
static void show_member(const char *path, const char *key, const json_t *value)
{
	const char *name = strcmp(key, "payload_type") == 0 ? rtp_payload_name((unsigned)json_integer_value(value)) : NULL;
	char label[256];

	snprintf(label, sizeof label, "%s%s", path, key);
	if (json_is_string(value)) {
		printf("%-28s ", label);
		im_print_text(stdout, slice_str(json_string_value(value)));
		putchar('\n');
	} else if (strstr(key, "ssrc") || strstr(key, "csrc")) {
		printf("%-28s %lld (0x%08llx)\n", label, (long long)json_integer_value(value),
		       (unsigned long long)json_integer_value(value));
	} else {
		printf("%-28s %lld%s%s%s\n", label, (long long)json_integer_value(value), name ? " (" : "", name ? name : "",
		       name ? ")" : "");
	}
}

static void show(const char *path, const json_t *object)
{
	char longer[200];
	const char *key;
	json_t *member, *one;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)object, key, member) {
		if (json_is_object(member)) {
			snprintf(longer, sizeof longer, "%s%s.", path, key);
			show(longer, member);
		} else if (json_is_array(member)) {
			json_array_foreach(member, i, one) {
				snprintf(longer, sizeof longer, "%s%s.%zu.", path, key, i);
				if (json_is_object(one))
					show(longer, one);
				else
					show_member(path, key, one);
			}
		} else {
			show_member(path, key, member);
		}
	}
}

// Hex digits with whatever stands between them in dumps. False: `fault` says where there is something else.
static bool take_hex(struct slice text, struct wr *w, struct rtp_fault *fault)
{
	int high = -1;

	for (uint32_t i = 0; i < text.len; i++) {
		uint8_t c = text.p[i], lower = c | 0x20;
		int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
		if (digit < 0 && high < 0 && (c == ' ' || c == '\t' || c == '\r' || c == ':'))
			continue;
		if (digit < 0) {
			*fault = (struct rtp_fault){(uint32_t)wr_len(w), "no hex digit"};
			return false;
		}
		if (high >= 0)
			wr_u8(w, (uint8_t)(high << 4 | digit));
		high = high >= 0 ? -1 : digit;
	}
	*fault = (struct rtp_fault){(uint32_t)wr_len(w), high >= 0 ? "half an octet" : "a packet that is too long"};
	return high < 0 && !w->err;
}

static int decode_line(const struct im_args *a, struct slice text)
{
	static uint8_t room[IM_PACKET_MAX];
	struct wr w = wr_of(room, sizeof room);
	struct rtp_fault fault = {0};
	json_t *object = NULL;

	if (text.len > 2 && memcmp(text.p, "0x", 2) == 0)
		text = slice_of(text.p + 2, text.len - 2);
	if (take_hex(text, &w, &fault)) {
		struct slice bytes = wr_done(&w);
		object = rtp_is_rtcp(bytes) ? im_rtcp_to_json(bytes, &fault) : im_rtp_to_json(bytes, &fault);
	}
	if (object && a->json) {
		im_print_json_take(object);
	} else if (object) {
		show("", object);
		json_decref(object);
	} else if (a->json) {
		im_print_json_take(json_pack("{s:s, s:i}", "error", fault.what, "offset", fault.offset));
		return IM_NO;
	} else {
		return im_no(a, "octet %u: %s", fault.offset, fault.what);
	}
	return IM_YES;
}

// A line is a packet. Each is answered before the next is read, so that a program can talk with this one.
static int decode_lines(const struct im_args *a)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int status = IM_YES;
	bool first = true;

	while ((len = getline(&line, &cap, stdin)) >= 0) {
		len -= len && line[len - 1] == '\n';
		if (len == 0)
			continue;
		if (!first && !a->json)
			putchar('\n');
		first = false;
		if (decode_line(a, slice_of(line, (size_t)len)))
			status = IM_NO;
		fflush(stdout);
	}
	free(line);
	return status;
}

static int decode(const struct im_args *a)
{
	char *text = NULL;
	size_t len;
	FILE *f;
	int status;

	if (a->word_cnt < 2)
		return im_usage(a, "decode: HEX or - is needed");
	if (strcmp(a->word[1], "-") == 0)
		return decode_lines(a);
	f = open_memstream(&text, &len);
	if (!f)
		return im_no(a, "no memory");
	for (int i = 1; i < a->word_cnt; i++)
		fprintf(f, "%s%s", i > 1 ? " " : "", a->word[i]);
	if (fclose(f))
		return im_no(a, "no memory");
	status = decode_line(a, slice_of(text, len));
	free(text);
	return status;
}

// --- encode

static int encode_one(const struct im_args *a, const json_t *object)
{
	static uint8_t room[IM_PACKET_MAX];
	struct wr w = wr_of(room, sizeof room);
	const char *wrong = !json_is_object(object) ? "expected an object"
			    : json_object_get(object, "rtcp") ? im_rtcp_of_json(object, &w)
							      : im_rtp_of_json(object, &w);

	if (wrong && a->json)
		im_print_json_take(json_pack("{s:s}", "error", wrong));
	else if (wrong)
		im_no(a, "%s", wrong);
	else if (a->json)
		im_print_json_take(json_pack("{s:o}", "hex", im_json_hex(wr_done(&w))));
	else {
		for (const uint8_t *p = w.base; p < w.p; p++)
			printf("%02x", *p);
		putchar('\n');
	}
	return wrong ? IM_NO : IM_YES;
}

// Objects one after another; each is answered before the next is read.
static int encode_all(const struct im_args *a, FILE *f, const char *name)
{
	int status = IM_YES, c;

	for (;;) {
		json_error_t error;
		while ((c = fgetc(f)) == ' ' || c == '\t' || c == '\r' || c == '\n')
			;
		if (c == EOF)
			return ferror(f) ? im_no(a, "%s: %s", name, err_text(errno)) : status;
		ungetc(c, f);
		json_t *object = json_loadf(f, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
		if (!object)
			return im_no(a, "%s: line %d, octet %d: %s", name, error.line, error.position, error.text);
		if (encode_one(a, object))
			status = IM_NO;
		json_decref(object);
		fflush(stdout);
	}
}

static int encode(const struct im_args *a)
{
	const char *path = a->word_cnt > 1 ? a->word[1] : NULL;
	bool is_stdin;
	FILE *f;
	int status;

	if (a->word_cnt != 2)
		return im_usage(a, "encode: FILE or - is needed");
	is_stdin = strcmp(path, "-") == 0;
	f = is_stdin ? stdin : fopen(path, "re");
	if (!f)
		return im_no(a, "%s: %s", path, err_text(errno));
	status = encode_all(a, f, is_stdin ? "standard input" : path);
	if (!is_stdin)
		fclose(f);
	return status;
}

// --- The command

static int run(const struct im_args *a)
{
	const char *verb = a->word_cnt ? a->word[0] : "";
	bool is_pcap = strcmp(verb, "pcap") == 0;

	for (unsigned i = 0; options[i].name && !is_pcap; i++)
		if (a->value[i])
			return im_usage(a, "--%s belongs to pcap", options[i].name);
	if (strcmp(verb, "decode") == 0)
		return decode(a);
	if (strcmp(verb, "encode") == 0)
		return encode(a);
	if (is_pcap && a->word_cnt == 2)
		return im_rtp_pcap(a, a->word[1]);
	return im_usage(a, is_pcap ? "pcap: one FILE is needed" : "expected decode, encode or pcap");
}

const struct im_command im_rtp = {
    .name = "rtp",
    .synopsis = "rtp decode HEX|-\n"
		"rtp encode FILE|-\n"
		"rtp pcap FILE [--clock PT:RATE] [--wav FILE | --raw FILE [--ssrc HEX]]",
    .summary = "RTP and RTCP: packets to JSON and back, and what the streams of a capture have suffered",
    .options = options,
    .words = "decode encode pcap FILE",
    .details = "decode: an RTP or RTCP packet in hex digits, or one a line from standard input. With --json, what decode prints\n"
	       "encode reads. pcap: the RTP streams in a pcap or pcapng file, with loss, order, duplicates, gaps and jitter (RFC 3550\n"
	       "A.8). A malformed packet is told with the octet where it goes wrong.",
    .examples = "  imstool rtp decode 8008d4340000303c0b12671ad5d5d5d5\n"
		"  imstool rtp decode --json - < packets.hex | imstool rtp encode -\n"
		"  imstool rtp pcap call.pcapng\n"
		"  imstool rtp pcap call.pcapng --ssrc 0b12671a --wav call.wav\n",
    .run = run,
};
