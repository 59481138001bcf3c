#!/usr/bin/env python3
"""Peers that sit, dribble or do not read, as a process of its own, for `bench --only peers`.

    crowd.py KIND PORT COUNT        prints one line when all are there, ends with its standard input

idle: capabilities, then nothing but answers to watchdogs. dribble: a request in pieces of one octet, one a second each.
deaf: requests as fast as they are taken, and never reads an answer. half: no capabilities, opened again as they are closed.
"""
import os
import selectors
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import diameter as d  # pylint: disable=wrong-import-position


def imsi(n):
    return "%015d" % (1010000000001 + n)


class Crowd:
    def __init__(self, kind, port, count):
        self.kind, self.port, self.count = kind, port, count
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)
        self.peers = [self.peer(n) for n in range(count)]

    def peer(self, n):
        p = d.Peer(self.port, "%s%d.test" % (self.kind, n), capabilities=self.kind != "half")
        p.at = 0
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
        except (BlockingIOError, ConnectionError):
            pass

    def run(self):
        print("there", flush=True)
        due = time.monotonic()
        step = 1.0 if self.kind == "dribble" else 0.1
        while True:
            for key, _ in self.selector.select(max(0, due - time.monotonic())):
                if key.data is None:
                    return
                self.read(*key.data)
            if time.monotonic() >= due:
                due += step
                for p in self.peers:
                    if p and self.kind in ("dribble", "deaf"):
                        self.push(p)


if __name__ == "__main__":
    Crowd(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run()
