// Blocks of pcapng in the writer's byte order (the magic number tells it), exported PDUs inside: tags in
// network byte order, then the message. See pcapng.h.
#include "admin/cli/pcapng.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SECTION	0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET	6u
#define MAGIC		0x1a2b3c4du
#define LINK_EXPORTED	252u // LINKTYPE_WIRESHARK_UPPER_PDU
#define OPTION_COMMENT	1u
#define OUR_PORT	3868u
#define COMMENT_MAX	512u

enum tag { TAG_END = 0, TAG_DISSECTOR = 12, TAG_IPV4_SRC = 20, TAG_IPV4_DST, TAG_IPV6_SRC, TAG_IPV6_DST,
	  TAG_PORT_TYPE, TAG_SRC_PORT, TAG_DST_PORT };

static void native_u32(struct wr *w, uint32_t v)
{
	wr_bytes(w, &v, sizeof(v));
}

static void native_u16(struct wr *w, uint16_t v)
{
	wr_bytes(w, &v, sizeof(v));
}

static void pad(struct wr *w)
{
	wr_zero(w, -wr_len(w) & 3u);
}

// A block is its type, its length, its body, its length.
static bool block(struct pcapng *p, uint32_t type, const struct wr *body)
{
	uint32_t len = 12 + (uint32_t)wr_len(body), head[2] = {type, len};

	if (body->err)
		errno = EMSGSIZE;
	return !body->err && fwrite(head, sizeof(head), 1, p->f) == 1 &&
	    fwrite(body->base, wr_len(body), 1, p->f) == 1 &&
	       fwrite(&len, sizeof(len), 1, p->f) == 1 && fflush(p->f) == 0;
}

bool pcapng_open(struct pcapng *p, const char *path)
{
	uint8_t room[64];
	struct wr w = wr_of(room, sizeof(room));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	p->f = fd < 0 || fchmod(fd, 0600) < 0 ? NULL : fdopen(fd, "w");
	if (!p->f) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	native_u32(&w, MAGIC);
	native_u16(&w, 1); // version 1.0
	native_u16(&w, 0);
	native_u32(&w, UINT32_MAX); // length of the section: not known
	native_u32(&w, UINT32_MAX);
	if (!block(p, BLOCK_SECTION, &w))
		return false;
	w = wr_of(room, sizeof(room));
	native_u16(&w, LINK_EXPORTED);
	native_u16(&w, 0);
	native_u32(&w, 0); // no limit
	return block(p, BLOCK_INTERFACE, &w);
}

static void tag_put(struct wr *w, enum tag tag, const void *data, uint16_t len)
{
	wr_u16(w, (uint16_t)tag);
	wr_u16(w, (len + 3u) & 0xfffcu);
	wr_bytes(w, data, len);
	wr_zero(w, -len & 3u);
}

static void tag_u32(struct wr *w, enum tag tag, uint32_t v)
{
	uint8_t octets[4];

	be32_put(octets, v);
	tag_put(w, tag, octets, sizeof(octets));
}

// "192.0.2.1:3868" or "[2001:db8::1]:3868", to one side; ours is not known, and not needed.
static void address_put(struct wr *w, const char *address, bool in)
{
	char host[64];
	uint8_t octets[16];
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : strlen(address);
	uint32_t port = colon ? (uint32_t)strtoul(colon + 1, NULL, 10) : 0;
	bool brackets = n > 2 && address[0] == '[' && address[n - 1] == ']';

	snprintf(host, sizeof(host), "%.*s", (int)(brackets ? n - 2 : n), address + (brackets ? 1 : 0));
	if (inet_pton(AF_INET, host, octets) == 1)
		tag_put(w, in ? TAG_IPV4_SRC : TAG_IPV4_DST, octets, 4);
	else if (inet_pton(AF_INET6, host, octets) == 1)
		tag_put(w, in ? TAG_IPV6_SRC : TAG_IPV6_DST, octets, 16);
	tag_u32(w, TAG_PORT_TYPE, 2); // TCP
	tag_u32(w, TAG_SRC_PORT, in ? port : OUR_PORT);
	tag_u32(w, TAG_DST_PORT, in ? OUR_PORT : port);
}

bool pcapng_put(struct pcapng *p, uint64_t time_us, bool in, const char *address, struct slice message,
		const char *comment)
{
	size_t size = (size_t)message.len + 1024 + COMMENT_MAX, comment_len = strnlen(comment, COMMENT_MAX);
	uint8_t *room = malloc(size), *lengths;
	struct wr w = wr_of(room, room ? size : 0);

	native_u32(&w, 0); // the interface
	native_u32(&w, (uint32_t)(time_us >> 32));
	native_u32(&w, (uint32_t)time_us);
	lengths = wr_reserve(&w, 8);
	size_t start = wr_len(&w);
	tag_put(&w, TAG_DISSECTOR, "diameter", 8);
	address_put(&w, address, in);
	tag_put(&w, TAG_END, NULL, 0);
	wr_slice(&w, message);
	uint32_t len = (uint32_t)(wr_len(&w) - start), both[2] = {len, len};
	if (lengths)
		memcpy(lengths, both, sizeof(both));
	pad(&w);
	if (comment_len) {
		native_u16(&w, OPTION_COMMENT);
		native_u16(&w, (uint16_t)comment_len);
		wr_bytes(&w, comment, comment_len);
		pad(&w);
		native_u32(&w, 0); // the end of the options
	}
	bool good = room && block(p, BLOCK_PACKET, &w);
	free(room);
	return good;
}

bool pcapng_close(struct pcapng *p)
{
	bool good = fclose(p->f) == 0;

	p->f = NULL;
	return good;
}
