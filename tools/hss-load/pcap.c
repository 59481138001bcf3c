// What was said on the connections, as a capture file for Wireshark: made-up packets of TCP over IPv4, one
// message each, whatever the transport was, so that TLS is in clear text, nothing is lost and port 3868 tells
// what it is. 10.0.0.1 is the server, 10.2.x.y a connection of ours. The first HL_PCAP_MAX octets of each are
// enough to see what it is like; a reset says that there was more. A packet is written at once: the file is
// whole whenever the process ends.
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include "lib/base/wire.h"
#include "tools/hss-load/run.h"

#define SERVER   0x0a000001u
#define OURS     0x0a020000u
#define PORT     3868u
#define OUR_PORT 40000u
#define MAX_DATA 60000u // of a packet
#define HEADERS  40u

enum tcp_flags { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PUSH = 8, TCP_ACK = 16 };

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, sigfigs, snap_len, link_type;
};

struct packet_header {
	uint32_t seconds, microseconds, captured, length;
};

// The file's integers are in the writer's byte order; the magic number tells it.
bool hl_pcap_init(struct hl_run *r)
{
	const struct file_header h = {0xa1b2c3d4, 2, 4, 0, 0, 65535, 101}; // 101: IP without a link layer
	if (!r->o->pcap_path)
		return true;
	r->pcap = fopen(r->o->pcap_path, "we");
	if (!r->pcap || setvbuf(r->pcap, NULL, _IONBF, 0) || fwrite(&h, sizeof h, 1, r->pcap) != 1) {
		fprintf(stderr, "hss-load: %s: %s\n", r->o->pcap_path, err_text(errno));
		return false;
	}
	return true;
}

void hl_pcap_fini(struct hl_run *r)
{
	if (r->pcap)
		fclose(r->pcap);
	r->pcap = NULL;
}

static void packet(struct hl_run *r, struct hl_conn *c, bool sent, uint8_t flags, const uint8_t *p,
		   uint32_t len)
{
	uint8_t buf[sizeof(struct packet_header) + HEADERS + MAX_DATA];
	struct wr w = wr_of(buf + sizeof(struct packet_header), HEADERS + len);
	struct timespec now;
	struct packet_header h = {.captured = HEADERS + len, .length = HEADERS + len};

	clock_gettime(CLOCK_REALTIME, &now);
	h.seconds = (uint32_t)now.tv_sec;
	h.microseconds = (uint32_t)(now.tv_nsec / 1000);
	memcpy(buf, &h, sizeof h);
	wr_u32(&w, 0x45u << 24 | (HEADERS + len)); // IPv4, without checksums
	wr_u32(&w, 0);
	wr_u32(&w, 64u << 24 | (uint32_t)IPPROTO_TCP << 16);
	wr_u32(&w, sent ? OURS + c->pcap.number : SERVER);
	wr_u32(&w, sent ? SERVER : OURS + c->pcap.number);
	wr_u32(&w, sent ? OUR_PORT << 16 | PORT : PORT << 16 | OUR_PORT);
	wr_u32(&w, c->pcap.next[sent]);
	wr_u32(&w, c->pcap.next[!sent]);
	wr_u32(&w, 5u << 28 | (uint32_t)flags << 16 | 65535u);
	wr_u32(&w, 0);
	wr_bytes(&w, p, len);
	// the next number covers what was said, and SYN counts as an octet
	c->pcap.next[sent] += len + (flags & TCP_SYN ? 1 : 0);
	if (fwrite(buf, sizeof h + HEADERS + len, 1, r->pcap) != 1)
		hl_pcap_fini(r); // a full disk ends the capture, not the run
}

void hl_pcap_start(struct hl_run *r, struct hl_conn *c)
{
	if (!r->pcap)
		return;
	c->pcap = (struct hl_pcap){.number = ++r->pcap_streams, .left = HL_PCAP_MAX, .on = true};
	packet(r, c, true, TCP_SYN, NULL, 0);
	if (r->pcap)
		packet(r, c, false, TCP_SYN | TCP_ACK, NULL, 0);
}

void hl_pcap_message(struct hl_run *r, struct hl_conn *c, bool sent, struct slice m)
{
	if (!r->pcap || !c->pcap.on)
		return;
	c->pcap.on = m.len <= c->pcap.left;
	if (!c->pcap.on)
		packet(r, c, true, TCP_RST, NULL, 0);
	for (uint32_t at = 0; c->pcap.on && r->pcap && at < m.len; at += MAX_DATA) {
		uint32_t one = m.len - at < MAX_DATA ? m.len - at : MAX_DATA;
		packet(r, c, sent, TCP_PUSH | TCP_ACK, m.p + at, one);
		c->pcap.left -= one;
	}
}

void hl_pcap_sending(struct hl_run *r, struct hl_conn *c)
{
	while (r->pcap && c->pcap_out < c->out_len) {
		uint32_t len = be24_get(c->out + c->pcap_out + 1);
		hl_pcap_message(r, c, true, slice_of(c->out + c->pcap_out, len));
		c->pcap_out += len;
	}
}

void hl_pcap_end(struct hl_run *r, struct hl_conn *c)
{
	if (r->pcap && c->pcap.on)
		packet(r, c, true, TCP_FIN | TCP_ACK, NULL, 0);
	c->pcap.on = false;
	c->pcap_out = 0;
}
