// Bytes in and out of one connection. The differences between TCP, SCTP and TLS are behind this table, so
// conn.c is the same for all of them. Runs in hss-frontend.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include "config/config.h"
#include "lib/diameter/base.h"

struct transport;

// From where to where a connection is opened. TCP uses the first address of `to` only; SCTP all of both, which
// lie packed behind each other.
struct transport_path {
	const struct sockaddr *to, *from;
	socklen_t to_len, from_len; // in octets; from_len 0: from whatever the kernel takes
	const char *host;	    // the host that it must reach (copied)
};

// What a transport knows about the identity of the other end.
enum transport_proof {
	TRANSPORT_UNPROVEN, // no proof was asked for, or this transport has none
	TRANSPORT_PROVEN,   // it is this host
	TRANSPORT_OTHER,    // it has proven to be another host
	TRANSPORT_REVOKED,  // its certificate has been revoked since
};

struct transport_ops {
	const char *name; // "tcp"
	uint8_t kind;     // enum config_transport
	// Takes one connection from a listening socket; fills in *t. 0, or -EAGAIN when none waits, or a
	// negative errno.
	int (*accept)(int listener, struct transport *t);
	// Starts a connection. 0, or a negative errno.
	int (*connect)(const struct transport_path *path, struct transport *t);
	// Goes on with it when its socket is writable, then when it is readable: 0 it stands, -EAGAIN not
	// yet, or a negative errno.
	int (*establish)(struct transport *t);
	// Octets read (at least 1), 0 at the end of the stream, -EAGAIN, or a negative errno.
	ssize_t (*recv)(struct transport *t, void *buf, size_t cap);
	// Octets taken (at least 1), -EAGAIN, or a negative errno. `buf` starts where the last call ended and
	// holds whole messages from there on, the first one cut only where an earlier call cut it. With len 0
	// only what is held goes on: 0 when nothing is left of it.
	ssize_t (*send)(struct transport *t, const void *buf, size_t len);
	// No more output will come; the other side reads the end of the stream.
	void (*shut)(struct transport *t);
	void (*close)(struct transport *t);
	// Our end's addresses, for Host-IP-Address (several with SCTP). Returns how many; 0 when it has none.
	uint32_t (*local)(const struct transport *t, struct base_addr out[BASE_ADDRS_MAX]);
	// The peer's address and port as text, for logs and lists.
	void (*remote)(const struct transport *t, char *out, size_t cap);
	// Has the other end proven that it is this host? `who` gets the name in its proof, as text for a log
	// line. NULL: this transport has no proofs.
	enum transport_proof (*proof)(const struct transport *t, struct slice host, char *who, size_t cap);
	// How it is secured, for lists: "TLSv1.3 TLS_AES_256_GCM_SHA384". NULL: it is not.
	void (*security)(const struct transport *t, char *out, size_t cap);
};

struct transport {
	const struct transport_ops *ops;
	int fd;
	uint32_t held;    // octets that send took and the kernel did not: send again when it is writable
	uint32_t pending; // not 0: recv has more without the socket being readable
	bool costly;      // the next recv or establish may be a step of a handshake: a thousand times a message
	void *state;      // the transport's own (a TLS session); NULL for TCP
};

extern const struct transport_ops transport_tcp;
extern const struct transport_ops transport_sctp;
extern const struct transport_ops transport_tls; // needs tls_load first (tls.h)

// For transports over IP sockets: whether a connection that was started is established (see establish); the
// peer's address and port as text; its address; the octets of a socket address. IPv4 in IPv6 form, from a
// listener on ::, is shown and announced as IPv4. false: neither IPv4 nor IPv6.
int transport_establish(struct transport *t);
void transport_remote(const struct transport *t, char *out, size_t cap);
bool transport_source(const struct transport *t, struct base_addr *out);
bool transport_octets(const struct sockaddr *address, struct base_addr *out);

// The table of a configured listener, NULL when this build does not speak it.
const struct transport_ops *transport_find(enum config_transport kind);
