// Bytes in and out of one connection, nothing else: what differs between TCP, SCTP and TLS is behind this
// table, so that conn.c is the same for all of them. Runs in hss-frontend.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "config/config.h"
#include "lib/diameter/base.h"

struct transport;

struct transport_ops {
	const char *name; // "tcp"
	// Takes one connection from a listening socket; fills in *t. 0, or -EAGAIN when none waits, or a
	// negative errno.
	int (*accept)(int listener, struct transport *t);
	// Octets read (at least 1), 0 at the end of the stream, -EAGAIN, or a negative errno.
	ssize_t (*recv)(struct transport *t, void *buf, size_t cap);
	// Octets taken (at least 1), -EAGAIN, or a negative errno.
	ssize_t (*send)(struct transport *t, const void *buf, size_t len);
	// No more output will come; the other side reads the end of the stream.
	void (*shut)(struct transport *t);
	void (*close)(struct transport *t);
	// Our end's address, for Host-IP-Address; len 0 when it has none.
	void (*local)(const struct transport *t, struct base_addr *out);
	// The peer's address and port as text, for logs and lists.
	void (*remote)(const struct transport *t, char *out, size_t cap);
};

struct transport {
	const struct transport_ops *ops;
	int fd;
	void *state; // the transport's own (a TLS session); NULL for TCP
};

extern const struct transport_ops transport_tcp;

// The table of a configured listener, NULL when this build does not speak it.
const struct transport_ops *transport_find(enum config_transport kind);
