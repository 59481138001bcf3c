"""Diameter peers over SCTP, for tests inside a virtual machine. Only system calls: Python has no SCTP of its own."""
import select
import socket
import struct
import time

import diameter as d

SOL_SCTP = 132
INITMSG, NODELAY, EVENTS, RECVRCVINFO, STATUS = 2, 3, 11, 32, 14
RTOINFO, PEER_ADDR_PARAMS, BINDX_ADD, GET_PEER_ADDRS = 0, 9, 100, 108
SNDINFO, RCVINFO = 2, 3  # control messages
UNORDERED, MSG_EOR = 1, 0x80
PPID = 46


def address_of(ip, port):
    if ":" in ip:
        return struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(port), 0, socket.inet_pton(socket.AF_INET6, ip), 0)
    return struct.pack("=HH4s8x", socket.AF_INET, socket.htons(port), socket.inet_aton(ip))


def connect(address, port, timeout=20, local=(), streams=16):
    """A one-to-one socket, bound to the local addresses if there are any."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, SOL_SCTP)
    s.settimeout(timeout)
    s.setsockopt(SOL_SCTP, INITMSG, struct.pack("=HHHH", streams, streams, 4, 1000))
    s.setsockopt(SOL_SCTP, NODELAY, 1)
    s.setsockopt(SOL_SCTP, RECVRCVINFO, 1)
    s.setsockopt(SOL_SCTP, RTOINFO, struct.pack("=iIII", 0, 300, 1000, 100))
    # a path is given up after two tries
    s.setsockopt(SOL_SCTP, PEER_ADDR_PARAMS, struct.pack("=i128xIHIIIIB1x", 0, 1000, 1, 0, 0, 1, 0, 0))
    for ip in local:
        s.setsockopt(SOL_SCTP, BINDX_ADD, address_of(ip, 0))
    s.connect((address, port))
    return s


def listen(addresses, port):
    """A listening one-to-one socket with all these addresses."""
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, SOL_SCTP)
    s.settimeout(20)
    s.setsockopt(SOL_SCTP, RECVRCVINFO, 1)
    s.setsockopt(SOL_SCTP, RTOINFO, struct.pack("=iIII", 0, 300, 1000, 100))
    s.setsockopt(SOL_SCTP, PEER_ADDR_PARAMS, struct.pack("=i128xIHIIIIB1x", 0, 1000, 1, 0, 0, 1, 0, 0))
    for ip in addresses:
        s.setsockopt(SOL_SCTP, BINDX_ADD, address_of(ip, port))
    s.listen()
    return s


def peer_addresses(s):
    """Those of the other end of the association."""
    raw = s.getsockopt(SOL_SCTP, GET_PEER_ADDRS, 1024)
    count, at, out = struct.unpack_from("=I", raw, 4)[0], 8, []
    for _ in range(count):
        family = struct.unpack_from("=H", raw, at)[0]
        if family == socket.AF_INET:
            out.append(socket.inet_ntoa(raw[at + 4:at + 8]))
            at += 16
        else:
            out.append(socket.inet_ntop(socket.AF_INET6, raw[at + 8:at + 24]))
            at += 28
    return sorted(out)


class SctpPeer(d.Peer):
    """A peer whose every message is one user message, and that asks the same of the HSS."""

    def __init__(self, port, *args, local=(), unordered=False, ppid=PPID, **how):
        self.local, self.unordered, self.ppid = local, unordered, ppid
        self.next_stream = 0
        self.seen = []  # (stream, flags, ppid) of each message read
        super().__init__(port, *args, **how)

    def connect(self, address, port):
        return connect(address, port, self.timeout, self.local)

    def send_user_message(self, data, stream=0):
        info = struct.pack("=HHIIi", stream, UNORDERED if self.unordered else 0, socket.htonl(self.ppid), 0, 0)
        assert self.socket.sendmsg([data], [(SOL_SCTP, SNDINFO, info)]) == len(data)

    def send(self, *messages):
        for m in messages:
            self.send_user_message(m, self.next_stream)
            self.next_stream = (self.next_stream + 1) % 8

    def read(self, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        whole = b""
        while True:
            if not select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            try:
                some, control, flags, _ = self.socket.recvmsg(262144, 256)
            except ConnectionError:
                some = b""
            if not some:
                raise d.Closed
            whole += some
            if flags & MSG_EOR:
                break
        info = next(value for level, kind, value in control if (level, kind) == (SOL_SCTP, RCVINFO))
        stream, _, flags, ppid = struct.unpack_from("=HHHxxI", info)
        self.seen.append((stream, flags, socket.ntohl(ppid)))
        assert whole[0] == 1 and int.from_bytes(whole[1:4], "big") == len(whole), "not one message: " + whole.hex()
        return d.Message(whole)
