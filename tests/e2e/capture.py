"""What the peers of a test and the HSS said to each other, as a capture file for tshark: judge_all.py reads those of all
tests. Only with $HSS_CAPTURE_DIR; a test gets a directory of its own in it, a process a file.

The packets are made up: each connection has a peer's address of its own (10.1.x.y), the HSS is 10.0.0.1 port 3868, and
nothing is lost or reordered. Failed-AVP, the copy of a peer's defect, is left out of what the HSS sent, so that all the rest
of such an answer is judged.

Over TLS (port 5868) the octets are those that were on the wire, and the peers write the keys of their sessions beside the
captures (never the HSS: it has no way to do that), so that tshark decrypts what was really said.
"""
import atexit
import os
import shutil
import socket
import struct
import sys
import threading
import time

HSS, PORT, TLS_PORT, LIMIT = b"\x0a\0\0\1", 3868, 5868, 2 << 20
FAILED = 279
FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16

lock = threading.RLock()
opened = {}  # process -> (file, streams so far); a forked one has its own


def test_name():
    main = getattr(sys.modules["__main__"], "__file__", None) or sys.argv[0] or "interactive"
    return os.path.splitext(os.path.basename(main))[0]


@atexit.register
def finish():
    for file, _ in opened.values():
        file.close()


def capture_file():
    """This process's; with the lock held."""
    pid = os.getpid()
    if pid not in opened:
        directory = os.path.join(os.environ["HSS_CAPTURE_DIR"], test_name())
        if not opened:
            shutil.rmtree(directory, ignore_errors=True)  # of an earlier run
        os.makedirs(directory, exist_ok=True)
        opened[pid] = [open(os.path.join(directory, f"{pid}.pcap"), "wb", buffering=1 << 16), 0]
        opened[pid][0].write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101))
    opened[pid][1] += 1
    return opened[pid]


def without_failed(raw):
    """A message without its Failed-AVP; as it is when its AVPs can't be told apart, so that tshark finds that."""
    out, at = [raw[:20]], 20
    while at < len(raw):
        code, length = int.from_bytes(raw[at:at + 4], "big"), int.from_bytes(raw[at + 5:at + 8], "big")
        end = at + length + -length % 4
        if length < 8 or end > len(raw):
            return raw
        if code != FAILED:
            out.append(raw[at:end])
        at = end
    whole = b"".join(out)
    return whole[:1] + len(whole).to_bytes(3, "big") + whole[4:]


def of_another(program):
    """Where another program of this test is to write its capture; None: nowhere."""
    if not os.environ.get("HSS_CAPTURE_DIR"):
        return None
    with lock:
        file, number = capture_file()
    return f"{file.name[:-5]}-{program}-{number}.pcap"


def keep(name, content):
    """A capture that was made elsewhere, to be judged with all others."""
    path = of_another(name)
    if path:
        with open(path, "wb") as f:
            f.write(content)


def keys():
    """Where this process and the programs that it starts write the keys of their TLS sessions; None: nowhere."""
    if not os.environ.get("HSS_CAPTURE_DIR"):
        return None
    with lock:
        file, _ = capture_file()
    return file.name[:-5] + ".keys"


def environment():
    """For a program of which the same is wanted."""
    path = keys()
    return {**os.environ, "SSLKEYLOGFILE": path} if path else None


class Stream:
    """One connection."""
    port = PORT

    def __init__(self):
        with lock:
            self.file, number = capture_file()
        self.address = b"\x0a\x01" + struct.pack("!H", number)
        self.next = {True: 1, False: 1}  # sequence numbers; True: the peer's
        self.left = LIMIT
        self.packet(True, SYN)
        self.packet(False, SYN | ACK)
        self.next = {True: 2, False: 2}

    def packet(self, by_peer, flags, data=b""):
        source, target = (self.address, HSS) if by_peer else (HSS, self.address)
        ports = (40000, self.port) if by_peer else (self.port, 40000)
        tcp = struct.pack("!HHIIBBHHH", *ports, self.next[by_peer], self.next[not by_peer], 5 << 4, flags, 65535, 0, 0)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0) + source + target
        whole, now = ip + tcp + data, time.time_ns() // 1000
        with lock:
            if not self.file.closed:
                self.file.write(struct.pack("=IIII", now // 1000000, now % 1000000, len(whole), len(whole)) + whole)

    def take(self, by_peer, data):
        whole = self.left >= 0
        self.left -= len(data)
        if self.left < 0:  # a flood: what it is like was seen
            if whole:
                self.packet(True, RST)  # so that the judge knows
            return
        for at in range(0, len(data), 60000):
            part = data[at:at + 60000]
            self.packet(by_peer, PUSH | ACK, part)
            self.next[by_peer] += len(part)

    def sent(self, data):
        """By the peer: any octets, before they are sent. A message is a packet, as far as they are messages."""
        while len(data) > 20 and data[0] == 1 and 20 <= int.from_bytes(data[1:4], "big") < len(data):
            length = int.from_bytes(data[1:4], "big")
            self.take(True, data[:length])
            data = data[length:]
        self.take(True, data)

    def received(self, message):
        """A whole message of the HSS."""
        self.take(False, without_failed(message))

    def ended(self, by_peer):
        if self.left >= 0:
            self.packet(by_peer, FIN | ACK)
        self.left = -1
        with lock:
            if not self.file.closed:
                self.file.flush()


class TlsStream(Stream):
    """One over TLS: what is inside doesn't matter."""
    port = TLS_PORT

    def sent(self, data):
        pass

    def received(self, message):
        pass


class Proxy:
    """A TCP port for peers that can't write a capture themselves: what comes there goes on to the HSS, and back."""

    def __init__(self, port, stream=Stream):
        self.port, self.stream = port, stream
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.own_port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return  # closed
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer:
            try:
                node = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                return
            with node:
                record = self.stream()
                there = threading.Thread(target=self.carry, args=(peer, node, record, True), daemon=True)
                there.start()
                self.carry(node, peer, record, False)
                there.join()

    def carry(self, source, target, record, by_peer):
        rest = b""
        try:
            while some := source.recv(65536):
                if self.stream is TlsStream:
                    record.take(by_peer, some)
                else:
                    rest += some
                while len(rest) >= 20 and 20 <= int.from_bytes(rest[1:4], "big") <= len(rest):
                    length = int.from_bytes(rest[1:4], "big")
                    (record.sent if by_peer else record.received)(rest[:length])
                    rest = rest[length:]
                target.sendall(some)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other way ended
        if not by_peer:
            record.ended(False)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Nothing:
    """No capture is wanted."""

    def take(self, by_peer, data):
        pass

    def sent(self, data):
        pass

    def received(self, message):
        pass

    def ended(self, by_peer):
        pass


def stream(kind=Stream):
    return kind() if os.environ.get("HSS_CAPTURE_DIR") else Nothing()


def proxied(test, port, kind=Stream):
    """Where this port of a test's HSS is reached through a recorder, when there is a capture."""
    if not os.environ.get("HSS_CAPTURE_DIR"):
        return port
    proxy = Proxy(port, kind)
    test.addCleanup(proxy.close)
    return proxy.own_port
