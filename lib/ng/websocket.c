// The client's side of WebSocket (RFC 6455), as far as ng needs it: the handshake, frames, no extensions.
//
//      0               1               2               3
//     +-+-+-+-+-------+-+-------------+-------------------------------+
//     |F|0|0|0|opcode |M| length      | extended length, 2 or 8 octets|
//     +-+-+-+-+-------+-+-------------+-------------------------------+
//     | mask, 4 octets, in frames of the client only  | payload       |
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>
#include <sys/random.h>
#include "lib/ng/ng.h"

#define PROTOCOL  "ng.rtpengine.com"
#define HEAD_MAX  8192 // octets of the handshake's answer
#define FIN       0x80
#define MASKED    0x80
#define CONTROL   0x08
#define LENGTH_16 126
#define LENGTH_64 127

static void random_octets(uint8_t *out, size_t len)
{
	if (getrandom(out, len, 0) != (ssize_t)len)
		bug("no random numbers: %s", err_text(errno));
}

void ng_ws_key(char out[NG_WS_KEY_SIZE])
{
	uint8_t octets[16];

	random_octets(octets, sizeof octets);
	EVP_EncodeBlock((uint8_t *)out, octets, sizeof octets);
}

bool ng_ws_handshake_write(const char *host, const char *path, const char *key, struct wr *w)
{
	char text[1024];
	int len = snprintf(text, sizeof text,
			   "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			   "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " PROTOCOL
			   "\r\n\r\n",
			   path, host, key);

	if (len < 0 || (size_t)len >= sizeof text)
		return false;
	wr_bytes(w, text, (size_t)len);
	return !w->err;
}

// base64(SHA-1(key and a constant)), RFC 6455 4.2.2.
static void accept_of(const char *key, char out[32])
{
	char text[NG_WS_KEY_SIZE + 40];
	uint8_t hash[EVP_MAX_MD_SIZE];
	int len = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

	if (EVP_Digest(text, (size_t)len, hash, NULL, EVP_sha1(), NULL) != 1)
		bug("OpenSSL gives no SHA-1");
	EVP_EncodeBlock((uint8_t *)out, hash, 20);
}

// The value of a header of this answer; empty: there is none.
static struct slice header(struct slice head, const char *name)
{
	const char *p = (const char *)head.p, *end = p + head.len;
	size_t name_len = strlen(name);

	while (p < end) {
		const char *line_end = memmem(p, (size_t)(end - p), "\r\n", 2);
		if (!line_end)
			break;
		if ((size_t)(line_end - p) > name_len && strncasecmp(p, name, name_len) == 0 && p[name_len] == ':') {
			for (p += name_len + 1; p < line_end && *p == ' ';)
				p++;
			return slice_of(p, (size_t)(line_end - p));
		}
		p = line_end + 2;
	}
	return (struct slice){0};
}

static enum ng_read refuse(struct ng_fault *fault, const char *what)
{
	*fault = (struct ng_fault){0, what};
	return NG_READ_BAD;
}

enum ng_read ng_ws_handshake_read(struct slice stream, const char *key, size_t *used, struct ng_fault *fault)
{
	const uint8_t *end = stream.len ? memmem(stream.p, stream.len, "\r\n\r\n", 4) : NULL;
	char expected[32];
	struct slice head, protocol;

	if (!end && stream.len > HEAD_MAX)
		return refuse(fault, "an answer to the handshake that doesn't end");
	if (!end) {
		*fault = (struct ng_fault){stream.len, "it ends before it is whole"};
		return NG_READ_CUT;
	}
	head = slice_of(stream.p, (size_t)(end - stream.p) + 2);
	*used = head.len + 2;
	if (head.len < 12 || memcmp(head.p, "HTTP/1.1 101", 12) != 0)
		return refuse(fault, "the server doesn't speak WebSocket there");
	accept_of(key, expected);
	if (!slice_eq(header(head, "Sec-WebSocket-Accept"), slice_str(expected)))
		return refuse(fault, "the server answered another handshake");
	protocol = header(head, "Sec-WebSocket-Protocol");
	if (!slice_eq(protocol, slice_str(PROTOCOL)))
		return refuse(fault, "the server doesn't speak " PROTOCOL);
	return NG_READ_OK;
}

bool ng_ws_frame_write(enum ng_ws_opcode opcode, struct slice payload, struct wr *w)
{
	uint8_t mask[4];

	random_octets(mask, sizeof mask);
	wr_u8(w, (uint8_t)(FIN | opcode));
	if (payload.len < LENGTH_16) {
		wr_u8(w, (uint8_t)(MASKED | payload.len));
	} else if (payload.len <= UINT16_MAX) {
		wr_u8(w, MASKED | LENGTH_16);
		wr_u16(w, (uint16_t)payload.len);
	} else {
		wr_u8(w, MASKED | LENGTH_64);
		wr_u64(w, payload.len);
	}
	wr_bytes(w, mask, sizeof mask);
	uint8_t *p = wr_reserve(w, payload.len);
	for (uint32_t i = 0; p && i < payload.len; i++)
		p[i] = payload.p[i] ^ mask[i % 4];
	return !w->err;
}

enum ng_read ng_ws_frame_read(struct rd *r, struct ng_ws_frame *frame, struct ng_fault *fault)
{
	struct rd ahead = *r;
	uint8_t first = rd_u8(&ahead), second = rd_u8(&ahead);
	uint64_t len = second & 0x7f;

	if (len == LENGTH_16)
		len = rd_u16(&ahead);
	else if (len == LENGTH_64)
		len = rd_u64(&ahead);
	*frame = (struct ng_ws_frame){.opcode = (enum ng_ws_opcode)(first & 0x0f), .last = first & FIN};
	if (first & 0x70)
		return refuse(fault, "a frame with an extension that nobody asked for");
	if (!ahead.err && (second & MASKED))
		return refuse(fault, "a frame of a server with a mask");
	if ((first & CONTROL) && (!frame->last || len >= LENGTH_16))
		return refuse(fault, "a control frame that is too long or in pieces");
	if (len > NG_MESSAGE_MAX)
		return refuse(fault, "a frame that is too long");
	frame->payload = rd_bytes(&ahead, len);
	if (ahead.err) {
		*fault = (struct ng_fault){(uint32_t)(r->end - r->p), "it ends before it is whole"};
		return NG_READ_CUT;
	}
	*r = ahead;
	return NG_READ_OK;
}
