"""imstool ng and corehss.rtpengine: against Debian's rtpengine over UDP, TCP and WebSocket, in bencode and JSON; against a
server that loses, delays, duplicates and garbles; answers of any size, over IPv6, cut short."""
import json
import re
import socket
import struct
import tempfile
import threading
import unittest

import imstool
import rtpengine
from corehss import Error
from corehss.rtpengine import RTPengine
from rtpengine import Rtpengine, Scripted, bencode, command_of, sdp

PONG = {"result": "pong"}


class Engine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Rtpengine()
        cls.addClassCleanup(cls.engine.close)
        cls.ways = [(cls.engine.udp, "udp", "bencode"), (cls.engine.udp, "udp", "json"), (cls.engine.tcp, "tcp", "bencode"),
                    (cls.engine.http, "ws", "bencode"), (cls.engine.http, "ws", "json")]

    def ng(self, *words, way=0, input=None):
        server, transport, format = self.ways[way]
        return imstool.run("ng", "--server", server, "--transport", transport, "--format", format, *words, input=input)

    def call(self, call_id, way=0):
        """Sets up a call and returns the ports that rtpengine offered to either side."""
        with tempfile.NamedTemporaryFile("w", newline="") as f:
            f.write(sdp(self.a.getsockname()[1]))
            f.flush()
            done = self.ng("offer", "--call-id", call_id, "--from-tag", "A", "--sdp", f.name, "ICE=remove",
                           "replace=origin", "replace=session-connection", way=way)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        offered = int(re.search(r"m=audio (\d+)", done.stdout).group(1))
        done = self.ng("answer", "--call-id", call_id, "--from-tag", "A", "--to-tag", "B", "--sdp", "-", way=way,
                       input=sdp(self.b.getsockname()[1]))
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertTrue(done.stdout.startswith("v=0\r\n"), done.stdout)
        return offered, int(re.search(r"m=audio (\d+)", done.stdout).group(1))

    def setUp(self):
        for name in ("a", "b"):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("127.0.0.1", 0))
            s.settimeout(imstool.TIMEOUT)
            self.addCleanup(s.close)
            setattr(self, name, s)

    def test_ping(self):
        for way in range(len(self.ways)):
            done = self.ng("ping", way=way)
            self.assertEqual((done.returncode, done.stderr), (0, ""), self.ways[way])
            self.assertRegex(done.stdout, r"^pong from [0-9.:]+ in [0-9.]+ ms\n$")

    def test_life_of_a_call(self):
        for way, (server, transport, format) in enumerate(self.ways):
            with self.subTest(transport=transport, format=format):
                call_id = f"life-{way}@example.com"
                self.call(call_id, way)
                done = self.ng("list", way=way)
                self.assertRegex(done.stdout, rf"(?m)^\d+ s +\d+ s +4 +{call_id}$")
                done = self.ng("query", call_id, way=way)
                self.assertEqual(done.returncode, 0)
                self.assertRegex(done.stdout, r"(?m)^A +audio +- +RTP +127\.0\.0\.1:\d+ +127\.0\.0\.1:"
                                              rf"{self.a.getsockname()[1]} +0 +0 +- +- +-$")
                done = self.ng("delete", "--call-id", call_id, "--from-tag", "A", way=way)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                done = self.ng("query", call_id, way=way)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertEqual(done.stderr, f"imstool ng: {server}: Unknown call-id\n")

    def test_media(self):
        """Packets that went through are seen in the query."""
        _, answered = self.call("media")
        packet = struct.pack(">BBHII", 0x80, 8, 1, 160, 0x1234) + b"\xd5" * 160
        for n in range(7):  # A sends to what the answer said
            self.a.sendto(packet, ("127.0.0.1", answered))
            self.assertEqual(len(self.b.recv(2048)), len(packet))
        packets = 0
        while packets < 7:  # its counters may follow the packets
            (row,) = imstool.rows("ng", "--server", self.engine.udp, "query", "media")
            stream = row["tags"]["A"]["medias"][0]["streams"][0]
            packets = stream["stats"]["packets"]
        self.assertEqual((packets, stream["SSRC"]), (7, 0x1234))
        self.assertRegex(self.ng("query", "media").stdout, r"(?m)^A +audio +PCMA/8000 .* 7 +0 +- +\d+ s +00001234$")
        self.ng("delete", "media")

    def test_other_commands(self):
        done = self.ng("statistics")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"(?m)^statistics\.currentstatistics\.sessionstotal: \d+$")
        self.call("recorded")
        for verb in ("block-media", "unblock-media", "start-forwarding", "stop-forwarding"):
            self.assertEqual(self.ng(verb, "recorded").stdout, "result: ok\n", verb)
        self.ng("delete", "recorded")
        done = self.ng("no-such-command")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Unrecognized command", done.stderr)
        done = imstool.run("ng", "--server", self.engine.udp, "offer", "--call-id", "x", "--from-tag", "y", "--sdp", "-",
                           input="no SDP")
        self.assertEqual((done.returncode, done.stdout), (1, ""))

    def test_list_limit(self):
        for n in range(3):
            self.call(f"limit-{n}")
        self.assertEqual(len(imstool.rows("ng", "--server", self.engine.udp, "list", "--limit", "2")), 2)
        rows = imstool.rows("ng", "--server", self.engine.udp, "list")
        self.assertLessEqual({"limit-0", "limit-1", "limit-2"}, {row["call-id"] for row in rows})
        for row in rows:
            self.assertEqual(row["streams"], 4)
            self.assertGreaterEqual(row["age"], 0)
        for n in range(3):
            self.ng("delete", f"limit-{n}")

    def test_watch(self):
        self.call("watched")
        done = self.ng("watch", "watched", "--count", "3", "--interval-ms", "1")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.count("TAG "), 3)
        done = self.ng("watch", "--count", "2", "--interval-ms", "1")
        self.assertEqual(done.stdout.count("watched"), 2)
        self.ng("delete", "watched")

    def test_python(self):
        host, port = self.engine.udp.split(":")
        engine = RTPengine(host, int(port))
        self.assertTrue(engine.ping())
        offered = engine.offer("py", "A", sdp(self.a.getsockname()[1]), ICE="remove", flags=["trust-address"])
        self.assertIn("m=audio ", offered["sdp"])
        engine.answer("py", "A", "B", sdp(self.b.getsockname()[1]))
        self.assertIn("py", engine.list())
        self.assertEqual(set(engine.query("py")["tags"]), {"A", "B"})
        self.assertIn("currentstatistics", engine.statistics())
        self.assertEqual(engine.delete("py", "A")["result"], "ok")
        with self.assertRaisesRegex(Error, "query: Unknown call-id") as raised:
            engine.query("py")
        self.assertEqual(raised.exception.status, 1)
        engine = RTPengine(host, int(self.engine.http.split(":")[1]), transport="ws", format="json")
        self.assertTrue(engine.ping())


class Ipv6(unittest.TestCase):
    def test_engine(self):
        with Rtpengine("::1") as engine:
            for server, transport in ((engine.udp, "udp"), (engine.tcp, "tcp"), (engine.http, "ws")):
                done = imstool.run("ng", "--server", server, "--transport", transport, "ping")
                self.assertEqual((done.returncode, done.stderr), (0, ""), server)

    def test_name_with_two_addresses(self):
        """Nobody listens on the first address that localhost has."""
        with Scripted(lambda server, request: [request.partition(b" ")[0] + b" " + bencode(PONG)]) as server:
            done = imstool.run("ng", "--server", "localhost:" + server.udp.split(":")[1], "ping")
            self.assertEqual((done.returncode, done.stderr), (0, ""))


class Network(unittest.TestCase):
    """A network that does what networks do."""
    def run_with(self, script, *words, **more):
        with Scripted(script, **more) as server:
            done = imstool.run("ng", "--server", server.udp, "--repeat-ms", "20", "--timeout-ms", "20000", *words)
        return done, server

    def answer(self, request, value):
        return request.partition(b" ")[0] + b" " + bencode(value)

    def test_loss(self):
        """The third try is answered; all three have one cookie."""
        done, server = self.run_with(lambda s, request: [self.answer(request, PONG)] if len(s.requests) == 3 else [], "ping")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(set(server.requests)), 1)
        self.assertEqual(command_of(b"x " + server.requests[0][1]), "ping")

    def test_fresh_cookies(self):
        def script(server, request):
            return [self.answer(request, {"result": "ok", "calls": ["a", "b"]} if command_of(request) == "list" else
                                {"result": "ok", "created": 1})]
        done, server = self.run_with(script, "list")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len({cookie for cookie, _ in server.requests}), 3)  # list, and a query for each call

    def test_foreign_duplicate_late(self):
        """Answers to others, and to what was asked before, are not taken for ours."""
        late = []

        def script(server, request):
            command = command_of(request)
            if command == "list":
                late.append(self.answer(request, {"result": "ok", "calls": ["late"]}))
                good = self.answer(request, {"result": "ok", "calls": ["a", "b"]})
                return [b"ffffffffffffffff " + bencode({"result": "ok", "calls": ["foreign"]}), good, good, good]
            return [late[0], late[0], self.answer(request, {"result": "ok", "created": 1796094779})]
        done, _ = self.run_with(script, "--json", "list")
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual([(row["call-id"], row["created"]) for row in map(json.loads, done.stdout.splitlines())],
                         [("a", 1796094779), ("b", 1796094779)])

    def test_delay(self):
        """The answer to the first try comes after the second was sent, and then that one's, too."""
        def script(server, request):
            return [self.answer(request, PONG)] * 2 if len(server.requests) > 1 else []
        done, server = self.run_with(script, "ping")
        self.assertEqual(done.returncode, 0)

    def test_garbled(self):
        """Datagrams that are no message are passed over, ours comes behind them."""
        def script(server, request):
            cookie = request.partition(b" ")[0]
            good = self.answer(request, PONG)
            return [b"", b"\0" * 100, cookie, cookie + b" ", cookie + b" d6:result", cookie + b" d6:result99999999:x",
                    cookie + b" i1e", cookie + b" {\"result\":", good[:-1], good + b"e", b"x" + good, good.upper(), good]
        done, _ = self.run_with(script, "ping")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_only_garbage(self):
        with Scripted(lambda s, request: [request.partition(b" ")[0] + b" d6:result4:pong"]) as server:
            done = imstool.run("ng", "--server", server.udp, "--timeout-ms", "200", "ping")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, "an answer that can't be read: octet 32: it ends before it is whole")

    def test_silence(self):
        with Scripted(lambda s, request: []) as server:
            done = imstool.run("ng", "--server", server.udp, "--timeout-ms", "300", "--repeat-ms", "20", "ping")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"no answer for 300 ms, sent \d+ times")
        with Scripted(lambda s, request: [b"0 " + bencode(PONG)]) as server:
            done = imstool.run("ng", "--server", server.udp, "--timeout-ms", "200", "ping")
        self.assertRegex(done.stderr, r"no answer for 200 ms(.|\n)*\d+ answers to other requests have come")

    def test_nobody(self):
        port = rtpengine.free_port()
        done = imstool.run("ng", "--server", f"127.0.0.1:{port}", "ping")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Connection refused", done.stderr)
        port = rtpengine.free_port(socket.SOCK_STREAM)
        for transport in ("tcp", "ws"):
            done = imstool.run("ng", "--server", f"127.0.0.1:{port}", "--transport", transport, "ping")
            self.assertEqual(done.returncode, 1)
            self.assertIn("Connection refused", done.stderr)

    def test_largest_answer(self):
        """As much as a datagram holds."""
        def script(server, request):
            room = 65507 - len(self.answer(request, {"result": "ok", "text": ""})) - 4
            answer = self.answer(request, {"result": "ok", "text": "x" * room})
            self.assertEqual(len(answer), 65507)
            return [answer]
        done, _ = self.run_with(script, "--json", "anything")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertGreater(len(json.loads(done.stdout)["text"]), 65000)
        done, _ = self.run_with(lambda s, r: [], "anything", "x=" + "y" * 65600)
        self.assertEqual(done.returncode, 1)
        self.assertIn("a request above 65507 octets", done.stderr)

    def test_hostile_answer(self):
        """Octets that steer terminals or are no text are shown as what they are."""
        def script(server, request):
            cookie = request.partition(b" ")[0]
            return [cookie + b" d4:call5:\x1b[2J\xff6:result2:oke"]
        done, _ = self.run_with(script, "anything")
        self.assertEqual(done.stdout, "call: \\x1b[2J\ufffd\nresult: ok\n")
        done, _ = self.run_with(script, "--json", "anything")
        self.assertEqual(json.loads(done.stdout), {"call": "\x1b[2J\ufffd", "result": "ok"})

    def test_odd_query(self):
        """Members that are missing or of another type are not taken for something."""
        stream = {"endpoint": "none", "stats": [1], "local port": "x", "SSRC": {}, "flags": ["RTCP", 5], "last packet": -7}
        good = {"local address": "2001:db8::1", "local port": 4000, "endpoint": {"address": "192.0.2.1", "port": 5000},
                "stats": {"packets": "12", "errors": 3}, "SSRC": 77, "flags": ["RTP"], "last packet": 1}
        answer = {"result": "ok", "created": [], "SSRC": {"77": {"cumulative loss": 5}},
                  "tags": {"A": {"medias": [{"type": "audio", "codec": "PCMU/8000", "streams": [stream, good, 5]}, "x"]},
                           "B": 1, "C": {"medias": {"x": 1}}}}
        done, _ = self.run_with(lambda s, request: [self.answer(request, answer)], "query", "c")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "age -, last signal - ago")
        self.assertEqual(lines[2].split(), ["A", "audio", "PCMU/8000", "RTCP", "-", "-", "-", "-", "-", "-", "-"])
        self.assertRegex(lines[3], r"^A +audio +PCMU/8000 +RTP +\[2001:db8::1\]:4000 +192\.0\.2\.1:5000 +12 +3 +5 +\d+ h \d+ "
                                   r"min +0000004d$")

    def test_request(self):
        """What the words on the command line become."""
        done, server = self.run_with(lambda s, request: [self.answer(request, PONG)], "--format", "json", "start-recording",
                                     "007", "n=5", "t=x", "flags=a", "list=1", "list=b", "object={\"a\":[true]}", "s=\"5\"",
                                     "address=10")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(json.loads(server.requests[0][1]),
                         {"command": "start recording", "call-id": "007", "n": 5, "t": "x", "flags": ["a"],
                          "list": [1, "b"], "object": {"a": [True]}, "s": "5", "address": "10"})

    def test_usage(self):
        for words, reason in (([], "--server HOST:PORT is needed"), (["--server", "x"], "expected HOST:PORT"),
                              (["--server", "::1:5"], "expected HOST:PORT"), (["--server", "x:0"], "expected HOST:PORT"),
                              (["--server", "x:1", "--transport", "sctp"], "expected udp, tcp or ws"),
                              (["--server", "x:1", "--format", "xml"], "expected bencode or json"),
                              (["--server", "x:1", "--format", "json", "--transport", "tcp"], "udp or ws"),
                              (["--server", "x:1", "--limit", "0"], "--limit: expected a number from 1"),
                              (["--server", "x:1", "--timeout-ms", "x"], "--timeout-ms: expected 1 to"),
                              (["--server", "x:1", "novalue"], "novalue: expected KEY=VALUE")):
            done = imstool.run("ng", *words[:2], "ping", *words[2:])
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn(reason, done.stderr)
        for words, reason in ((["query"], "query needs a call id"), (["offer", "x"], "offer needs --sdp FILE"), ([], "ask?")):
            done = imstool.run("ng", "--server", "127.0.0.1:1", *words)
            self.assertEqual(done.returncode, 2)
            self.assertIn(reason, done.stderr)


class Connection(unittest.TestCase):
    """A TCP server that says what a test wants, in the pieces that it wants."""
    def serve(self, answers, *words):
        """answers: for what was read first, the pieces to send, then the connection is closed."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            address = "127.0.0.1:%d" % listener.getsockname()[1]

            def run():
                connection, _ = listener.accept()
                with connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for piece in answers(connection.recv(65536)):
                        connection.sendall(piece)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
            thread = threading.Thread(target=run)
            thread.start()
            done = imstool.run("ng", "--server", address, "--timeout-ms", "20000", *words)
            thread.join()
        return done

    def test_tcp(self):
        def answer(request):
            return request.partition(b" ")[0] + b" " + bencode({"result": "ok", "text": "x" * 100000})
        done = self.serve(lambda r: [b"0 de", answer(r)[:7], answer(r)[7:60000], answer(r)[60000:]], "--json", "--transport",
                          "tcp", "anything")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(json.loads(done.stdout)["text"]), 100000)
        for pieces, reason in ((lambda r: [answer(r)[:50]], "the server closed the connection"),
                               (lambda r: [b"0 x"], "an answer that can't be read: octet 2: expected a value"),
                               (lambda r: [b"c" * 300], "a cookie that is too long"),
                               (lambda r: [b"0 d1:a1048577:"], "a number that is too large")):
            done = self.serve(pieces, "--transport", "tcp", "ping")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(reason, done.stderr)

    def test_websocket(self):
        for pieces, reason in ((lambda r: [b"HTTP/1.1 404 Not Found\r\n\r\n"], "doesn't speak WebSocket"),
                               (lambda r: [b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: x\r\n\r\n"], "another handshake"),
                               (lambda r: [b"x" * 9000], "doesn't end"), (lambda r: [b"HTTP"], "closed the connection")):
            done = self.serve(pieces, "--transport", "ws", "ping")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(reason, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
