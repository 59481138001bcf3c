#!/usr/bin/env python3
"""Peers that sit, dribble or do not read, as a process of its own, for `bench --only peers`.

    crowd.py KIND PORT COUNT [HOST CA CERTIFICATE KEY]      prints one line when all are there, ends with its standard input

idle: capabilities, then nothing but answers to watchdogs. dribble: a request in pieces of one octet, one a second each.
deaf: requests as fast as they are taken, and never reads an answer; hangs up and comes again when nothing more is taken.
half: no capabilities, opened again as they are closed. open: connections one after the other, so many of them at a time,
from an address that nobody else has, and nothing else. shake: the same with TLS handshakes.
"""
import collections
import os
import selectors
import socket
import ssl
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import diameter as d  # pylint: disable=wrong-import-position


DEAF_FOR_S = 0.2
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h


def imsi(n):
    return "%015d" % (1010000000001 + n)


class Crowd:
    def __init__(self, kind, port, count):
        self.kind, self.port, self.count, self.names = kind, port, count, 0
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)
        self.peers = [self.peer(n) for n in range(count)]

    def peer(self, n):
        self.names += 1 # its predecessor may still be there
        p = d.Peer(self.port, "%s%d.test" % (self.kind, self.names), capabilities=self.kind != "half")
        p.at, p.taken = 0, time.monotonic()
        if self.kind == "dribble":
            p.request = p.air(imsi(n))
        if self.kind == "deaf":
            p.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            p.request = b"".join(p.air(imsi(n), vectors=5) for _ in range(200))
        p.socket.setblocking(False)
        if self.kind != "deaf":
            self.selector.register(p.socket, selectors.EVENT_READ, (n, p))
        return p

    def read(self, n, p):
        try:
            data = p.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.selector.unregister(p.socket)
            p.close()
            self.peers[n] = self.peer(n) if self.kind == "half" else None
            return
        p.buffer += data
        while len(p.buffer) >= 20 and len(p.buffer) >= int.from_bytes(p.buffer[1:4], "big"):
            m = d.Message(p.buffer[:int.from_bytes(p.buffer[1:4], "big")])
            p.buffer = p.buffer[len(m.raw):]
            if m.is_request:
                p.answer(m)

    def push(self, p):
        """One octet of a dribbler; as much as goes of a deaf one."""
        try:
            if self.kind == "dribble":
                p.socket.send(p.request[p.at:p.at + 1])
                p.at = (p.at + 1) % len(p.request)
            while self.kind == "deaf":
                p.at = (p.at + p.socket.send(p.request[p.at:])) % len(p.request)
                p.taken = time.monotonic()
        except (BlockingIOError, ConnectionError):
            pass

    def deaf_again(self, n, p):
        if time.monotonic() - p.taken > DEAF_FOR_S:
            p.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            p.close()
            self.peers[n] = self.peer(n)

    def run(self):
        print("there", flush=True)
        due = time.monotonic()
        step = 1.0 if self.kind == "dribble" else 0.01
        while True:
            for key, _ in self.selector.select(max(0, due - time.monotonic())):
                if key.data is None:
                    return
                self.read(*key.data)
            if time.monotonic() >= due:
                due += step
                for n, p in enumerate(self.peers):
                    if p and self.kind in ("dribble", "deaf"):
                        self.push(p)
                    if p and self.kind == "deaf":
                        self.deaf_again(n, p)


def shake(port, count, host, ca, certificate, key):
    """Handshakes from so many connections at a time; at the end prints how many there were in a second."""
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(certificate, key)
    done = [0] * count

    def one_after_the_other(n):
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port)) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    with context.wrap_socket(s, server_hostname=host):
                        done[n] += 1
            except OSError:
                pass

    for n in range(count):
        threading.Thread(target=one_after_the_other, args=(n,), daemon=True).start()
    begin = time.monotonic()
    print("there", flush=True)
    sys.stdin.read()
    print("%.0f" % (sum(done) / (time.monotonic() - begin)), flush=True)
    os._exit(0)


def open_all(port, count):
    """Opens connections; the oldest of them is reset for the next."""
    kept = collections.deque()
    print("there", flush=True)
    while True:
        s = socket.socket()
        kept.append(s)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        s.bind(("127.0.0.2", 0))
        try:
            s.connect(("127.0.0.1", port))
        except OSError:
            pass
        if len(kept) > count:
            kept.popleft().close()


if __name__ == "__main__":
    if sys.argv[1] == "open":
        open_all(int(sys.argv[2]), int(sys.argv[3]))
    if sys.argv[1] == "shake":
        shake(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:8])
    Crowd(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run()
