"""Captures with RTP in them, made here: what was sent, when it arrived, on which link. A seed makes them the same each time."""
import random
import struct

ETHERNET, RAW, SLL = 1, 101, 113


def rtp(sequence, timestamp, ssrc, payload=b"\xd5" * 160, payload_type=8, marker=0):
    return struct.pack(">BBHII", 0x80, marker << 7 | payload_type, sequence & 0xffff, timestamp & 0xffffffff, ssrc) + payload


def address(text):
    if ":" in text:
        import socket
        return socket.inet_pton(socket.AF_INET6, text)
    return bytes(map(int, text.split(".")))


def udp(payload, source=("192.0.2.1", 4000), target=("192.0.2.2", 5000)):
    """An IP packet, v4 or v6 by its addresses."""
    data = struct.pack(">HHHH", source[1], target[1], 8 + len(payload), 0) + payload
    a, b = address(source[0]), address(target[0])
    if len(a) == 16:
        return struct.pack(">IHBB", 0x60000000, len(data), 17, 64) + a + b + data
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 1, 0, 64, 17, 0) + a + b
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    return head[:10] + struct.pack(">H", ~total & 0xffff) + head[12:] + data


def link(packet, kind, vlan=False):
    ethertype = 0x86dd if packet[0] >> 4 == 6 else 0x0800
    if kind == ETHERNET:
        tag = struct.pack(">HH", 0x8100, 7) if vlan else b""
        return bytes(6) + b"\x02" + bytes(5) + tag + struct.pack(">H", ethertype) + packet
    if kind == SLL:
        return struct.pack(">HHH8sH", 0, 1, 6, bytes(8), ethertype) + packet
    return packet


def pcap(frames, kind=RAW, snap=65535, nano=False):
    """frames: (seconds, packet). A classic pcap file."""
    out = struct.pack("<IHHIIII", 0xa1b23c4d if nano else 0xa1b2c3d4, 2, 4, 0, 0, snap, kind)
    for at, packet in frames:
        ticks = round(at * (1e9 if nano else 1e6))
        seconds, part = divmod(ticks, 10**9 if nano else 10**6)
        out += struct.pack("<IIII", seconds, part, min(snap, len(packet)), len(packet)) + packet[:snap]
    return out


def pcapng(frames, kind=RAW):
    """The same as pcapng: microseconds, one interface."""
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))
    out = block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1)) + block(1, struct.pack("<HHI", kind, 0, 65535))
    for at, packet in frames:
        ticks = round(at * 1e6)
        out += block(6, struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xffffffff, len(packet), len(packet)) + packet)
    return out


def stream(seed, count=500, loss=0.0, reorder=0.0, duplicate=0.0, jitter=0.0, ssrc=0x0b12671a, first=65400, payload_type=8,
           clock=8000, start=1000.0):
    """(arrival, RTP packet) of a stream of 20 ms packets that a network has treated so; and what it did, as a dict."""
    rng = random.Random(seed)
    sent = [rtp(first + n, 0xfffff000 + n * clock // 50, ssrc, bytes(rng.randrange(256) for _ in range(160)), payload_type)
            for n in range(count)]
    lost = {n for n in range(1, count - 1) if rng.random() < loss}
    order = [n for n in range(count) if n not in lost]
    reordered, i = 0, 1
    while i < len(order) - 2:
        if rng.random() < reorder:
            order[i], order[i + 1] = order[i + 1], order[i]
            reordered += 1
            i += 2
        i += 1
    out, duplicates, at = [], 0, start
    for place, n in enumerate(order):
        at = max(at + 1e-6, start + place * 0.02 + rng.random() * jitter)
        out.append((at, sent[n]))
        if n and rng.random() < duplicate:
            at += 1e-4
            out.append((at, sent[n]))
            duplicates += 1
    return out, {"packets": len(out), "lost": len(lost), "duplicates": duplicates, "reordered": reordered}
