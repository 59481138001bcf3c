// The UDP datagrams of a pcap or pcapng file: link layers, VLAN tags, IPv4 and IPv6, read through the bounded reader. What
// isn't UDP is passed over; what is cut short is used as far as it was captured.
#include <pcap/pcap.h>
#include <string.h>
#include "tools/imstool/rtp.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define PROTO_UDP      17
#define HEADERS_MAX    8 // VLAN tags, or extension headers of IPv6, one behind another

// The EtherType behind a link layer's header; 0: not one that is known.
static unsigned link_type(int kind, struct rd *r)
{
	unsigned type = 0;

	switch (kind) {
	case DLT_EN10MB:
		rd_take(r, 12);
		type = rd_u16(r);
		break;
	case DLT_LINUX_SLL:
		rd_take(r, 14);
		type = rd_u16(r);
		break;
	case DLT_LINUX_SLL2:
		type = rd_u16(r);
		rd_take(r, 18);
		break;
	case DLT_NULL: // a number of the host that captured, which differs for IPv6: the version says it
	case DLT_LOOP:
		rd_take(r, 4);
		break;
	default: // raw IP
		break;
	}
	for (unsigned i = 0; i < HEADERS_MAX && (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ); i++) {
		rd_take(r, 2);
		type = rd_u16(r);
	}
	if (type || !rd_left(r))
		return type;
	return *r->p >> 4 == 4 ? ETHERTYPE_IPV4 : *r->p >> 4 == 6 ? ETHERTYPE_IPV6 : 0;
}

static bool is_known_link(int kind)
{
	static const int known[] = {DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_NULL, DLT_LOOP, DLT_RAW, DLT_IPV4, DLT_IPV6};

	for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
		if (kind == known[i])
			return true;
	return false;
}

// Leaves the payload of IP in `r`, without what a link layer has padded. False: no UDP.
static bool ipv4(struct rd *r, struct im_datagram *d, struct im_capture_counts *counts)
{
	const uint8_t *from = r->p;
	uint8_t version = rd_u8(r);
	uint32_t header = 4u * (version & 0x0f);

	rd_take(r, 1);
	uint16_t total = rd_u16(r);
	rd_take(r, 2);
	uint16_t fragment = rd_u16(r) & 0x3fff;
	rd_take(r, 1);
	uint8_t protocol = rd_u8(r);
	rd_take(r, 2);
	struct slice source = rd_bytes(r, 4), target = rd_bytes(r, 4);
	if (r->err || version >> 4 != 4 || header < 20 || total < header || protocol != PROTO_UDP)
		return false;
	if (fragment) {
		counts->fragments++;
		return false;
	}
	rd_take(r, header - 20);
	memcpy(d->from, source.p, 4);
	memcpy(d->to, target.p, 4);
	if (!r->err && (size_t)(r->end - from) > total)
		r->end = from + total;
	return !r->err;
}

static bool ipv6(struct rd *r, struct im_datagram *d, struct im_capture_counts *counts)
{
	uint8_t version = rd_u8(r);
	uint16_t length;

	rd_take(r, 3);
	length = rd_u16(r);
	uint8_t next = rd_u8(r);
	rd_take(r, 1);
	struct slice source = rd_bytes(r, 16), target = rd_bytes(r, 16);
	if (r->err || version >> 4 != 6)
		return false;
	if (rd_left(r) > length)
		r->end = r->p + length;
	memcpy(d->from, source.p, 16);
	memcpy(d->to, target.p, 16);
	d->is_v6 = true;
	for (unsigned i = 0; i < HEADERS_MAX && (next == 0 || next == 43 || next == 60 || next == 44); i++) {
		uint8_t kind = next;
		next = rd_u8(r);
		uint8_t words = rd_u8(r);
		if (kind == 44) { // a fragment's header; one that is all of it is no fragment
			uint16_t offset = rd_u16(r);
			counts->fragments += (offset & 0xfff9) != 0;
			if (r->err || (offset & 0xfff9))
				return false;
			rd_take(r, 4);
		} else {
			rd_take(r, 6 + 8u * words);
		}
	}
	return !r->err && next == PROTO_UDP;
}

static bool udp(struct rd *r, struct im_datagram *d)
{
	d->from_port = rd_u16(r);
	d->to_port = rd_u16(r);
	uint16_t length = rd_u16(r);
	rd_take(r, 2);
	if (r->err || length < 8)
		return false;
	d->cut = rd_left(r) < length - 8u;
	d->payload = rd_bytes(r, d->cut ? rd_left(r) : length - 8u);
	return true;
}

static bool datagram_of(int kind, struct slice frame, struct im_datagram *d, struct im_capture_counts *counts)
{
	struct rd r = rd_slice(frame);
	unsigned type = link_type(kind, &r);

	if (type == ETHERTYPE_IPV4)
		return ipv4(&r, d, counts) && udp(&r, d);
	return type == ETHERTYPE_IPV6 && ipv6(&r, d, counts) && udp(&r, d);
}

bool im_capture_read(const struct im_args *a, const char *path, struct im_capture_counts *counts,
		     bool (*each)(void *ctx, const struct im_datagram *d), void *ctx)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, why);
	struct pcap_pkthdr *head;
	const u_char *octets;
	int rc;

	*counts = (struct im_capture_counts){0};
	if (!pcap) {
		im_no(a, "%s", why);
		return false;
	}
	int kind = pcap_datalink(pcap);
	if (!is_known_link(kind)) {
		const char *name = pcap_datalink_val_to_name(kind);
		im_no(a, "%s: captured on a link of the kind %s (%d), which isn't known", path, name ? name : "?", kind);
		pcap_close(pcap);
		return false;
	}
	while ((rc = pcap_next_ex(pcap, &head, &octets)) == 1) {
		struct im_datagram d = {.frame = ++counts->frames};
		d.ns = (int64_t)head->ts.tv_sec * 1000000000 + head->ts.tv_usec;
		if (datagram_of(kind, slice_of(octets, head->caplen), &d, counts) && !each(ctx, &d))
			break;
	}
	if (rc == PCAP_ERROR) // the file was cut: what was read counts
		im_no(a, "%s: frame %llu: %s", path, (unsigned long long)counts->frames + 1, pcap_geterr(pcap));
	pcap_close(pcap);
	return true;
}
