// RTPengine's ng protocol: a dictionary each way, in bencode or JSON, behind a cookie that ties an answer to its request.
// Values are those of jansson; strings are octets, so json_dumps may refuse what came off the network (see ng_clean).
// bencode.c, message.c and websocket.c are pure; client.c waits on a socket, which no other part of lib/ does but
// lib/ipc: it is for programs that have nothing else to do meanwhile.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define NG_DEPTH_MAX    32         // lists and dictionaries inside of each other
#define NG_DATAGRAM_MAX 65507      // octets of a message over UDP
#define NG_MESSAGE_MAX  (1u << 20) // octets of a message over a connection
#define NG_COOKIE_SIZE  17         // of our own cookies, with a NUL
#define NG_COOKIE_MAX   255        // octets of anybody's

enum ng_format { NG_BENCODE, NG_JSON };

// Where bytes stop being what was expected.
struct ng_fault {
	uint32_t offset;
	const char *what;
};

enum ng_read {
	NG_READ_OK,
	NG_READ_CUT, // more bytes could make it whole
	NG_READ_BAD,
};

// --- bencode

// Reads one value and moves `r` behind it. Numbers have 64 bits and one spelling; keys are strings without NUL, each once,
// in any order (RTPengine doesn't sort them). The caller owns *out. Not OK: `fault` says where, counted from where `r`
// stood, and *out is NULL.
MUST_USE enum ng_read ng_bencode_read(struct rd *r, json_t **out, struct ng_fault *fault);
// Writes a value; keys sorted as raw strings. true and false become 1 and 0. False: it doesn't fit into `w`, or holds a
// real number or null, which bencode has no words for.
MUST_USE bool ng_bencode_write(const json_t *value, struct wr *w);

// --- messages

// A fresh random cookie.
void ng_cookie(char out[NG_COOKIE_SIZE]);
// COOKIE SP DICTIONARY. False as ng_bencode_write.
MUST_USE bool ng_message_write(const char *cookie, const json_t *dictionary, enum ng_format format, struct wr *w);
// Reads a message in either format; the whole of `message` must be one. The cookie points into it. The caller owns *out,
// an object. CUT only with bencode, and only if the message would go on.
MUST_USE enum ng_read ng_message_read(struct slice message, struct slice *cookie, json_t **out, struct ng_fault *fault);
// Reads the first message of a stream, which is in bencode, and says in *used how many octets it has.
MUST_USE enum ng_read ng_stream_read(struct slice stream, size_t *used, struct slice *cookie, json_t **out,
				     struct ng_fault *fault);
// A copy whose strings and keys are all UTF-8: what isn't is replaced by U+FFFD. The caller owns it.
json_t *ng_clean(const json_t *value);

// --- WebSocket (RFC 6455), the client's side

#define NG_WS_KEY_SIZE 25
#define NG_WS_HEADER   14 // octets before a frame's payload, at most

enum ng_ws_opcode { NG_WS_MORE = 0, NG_WS_TEXT = 1, NG_WS_BINARY = 2, NG_WS_CLOSE = 8, NG_WS_PING = 9, NG_WS_PONG = 10 };

struct ng_ws_frame {
	enum ng_ws_opcode opcode;
	bool last;
	struct slice payload;
};

// A random Sec-WebSocket-Key.
void ng_ws_key(char out[NG_WS_KEY_SIZE]);
MUST_USE bool ng_ws_handshake_write(const char *host, const char *path, const char *key, struct wr *w);
// The server's answer up to its empty line. OK: *used octets, and it has accepted our key and protocol.
MUST_USE enum ng_read ng_ws_handshake_read(struct slice stream, const char *key, size_t *used, struct ng_fault *fault);
// A whole frame with a random mask.
MUST_USE bool ng_ws_frame_write(enum ng_ws_opcode opcode, struct slice payload, struct wr *w);
// The first frame of a stream: unmasked, at most NG_MESSAGE_MAX octets. Moves `r` behind it.
MUST_USE enum ng_read ng_ws_frame_read(struct rd *r, struct ng_ws_frame *frame, struct ng_fault *fault);

// --- the client

enum ng_transport { NG_UDP, NG_TCP, NG_WS };

struct ng_options {
	const char *host; // name or address
	const char *port;
	const char *path; // of WebSocket; NULL: /
	enum ng_transport transport;
	enum ng_format format; // of TCP bencode only, which marks a message's end
	unsigned timeout_ms;   // until a request is given up
	unsigned repeat_ms;    // UDP: until a request is first sent again; doubles each time
};

struct ng_counts {
	unsigned sent, repeated;
	unsigned foreign;    // answers to other requests, or to none
	unsigned unreadable; // datagrams with our cookie that were no message
};

struct ng_client;

// Connects. 0 and *out, or a negative errno and its reason in `why`. Strings of `o` must outlive the client.
MUST_USE int ng_client_new(struct ng_client **out, const struct ng_options *o, char *why, size_t why_size);
void ng_client_free(struct ng_client **c);
// Sends a request with a fresh cookie and waits for its answer, an object that the caller owns. 0, or a negative errno:
// -ETIMEDOUT no answer; -EMSGSIZE a request above a datagram; -EBADMSG an answer on a connection that can't be read;
// others as the system says. ng_client_why then has the reason as text.
MUST_USE int ng_client_call(struct ng_client *c, const json_t *request, json_t **answer);
const char *ng_client_why(const struct ng_client *c);
const struct ng_counts *ng_client_counts(const struct ng_client *c);
