"""Debian's rtpengine on loopback, forwarding in user space; and a server that loses, delays, duplicates and garbles.

    with Rtpengine() as engine:                  # ready: it has said so
        imstool.run("ng", "--server", engine.udp, "ping")
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import imstool


def free_port(kind=socket.SOCK_DGRAM, host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def sdp(port, address="127.0.0.1"):
    return (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n"
            "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n")


class Rtpengine:
    def __init__(self, host="127.0.0.1"):
        program = shutil.which("rtpengine")
        if not program:
            raise AssertionError("rtpengine is missing: tools/install-packages test")
        self.directory = tempfile.mkdtemp(prefix="imstool-")
        bracketed = f"[{host}]" if ":" in host else host
        self.udp = f"{bracketed}:{free_port(host=host)}"
        self.tcp = f"{bracketed}:{free_port(socket.SOCK_STREAM, host)}"
        self.http = f"{bracketed}:{free_port(socket.SOCK_STREAM, host)}"
        first = free_port() & ~1
        config = os.path.join(self.directory, "rtpengine.conf")
        with open(config, "w") as f:
            f.write(f"[rtpengine]\ntable = -1\ninterface = 127.0.0.1\nlisten-ng = {self.udp}\nlisten-tcp-ng = {self.tcp}\n"
                    f"listen-http = {self.http}\nport-min = {min(first, 65000)}\nport-max = {min(first, 65000) + 400}\n"
                    f"log-level = 6\nlog-stderr = true\nforeground = true\nnum-threads = 2\ndelete-delay = 0\n"
                    f"pidfile = {self.directory}/pid\n")
        self.process = subprocess.Popen([program, "--config-file=" + config], stderr=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, text=True)
        self.log = []
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        if not self.ready.wait(imstool.TIMEOUT) or self.process.poll() is not None:
            self.close()
            raise AssertionError("rtpengine doesn't start: " + "".join(self.log))

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line)
            if "Websocket listener thread running" in line:
                self.ready.set()
        self.ready.set()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        shutil.rmtree(self.directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(k) + bencode(v) for k, v in value.items()) + b"e"  # unsorted, as rtpengine writes


def command_of(request):
    """The command of a request in either format."""
    body = request.partition(b" ")[2]
    if body[:1] == b"{":
        return json.loads(body)["command"]
    length, name = re.search(rb"7:command(\d+):(.*)", body, re.S).groups()
    return name[:int(length)].decode()


class Scripted:
    """A UDP server whose answers the script makes: script(server, request) returns the datagrams to send. All that has come
    is in .requests, as (cookie, octets after it)."""
    def __init__(self, script, host="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((host, 0))
        self.udp = f"[{host}]:{self.socket.getsockname()[1]}" if ":" in host else f"{host}:{self.socket.getsockname()[1]}"
        self.script, self.requests, self.failure = script, [], None
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while True:
            request, peer = self.socket.recvfrom(65536)
            if request == b"end":
                return
            cookie, _, body = request.partition(b" ")
            self.requests.append((cookie, body))
            try:
                answers = self.script(self, request)
            except Exception as error:  # the test fails for it, not this thread alone
                self.failure, answers = error, []
            for answer in answers:
                self.socket.sendto(answer, peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", self.socket.getsockname()[:2])
        self.thread.join()
        self.socket.close()
        if self.failure:
            raise self.failure
