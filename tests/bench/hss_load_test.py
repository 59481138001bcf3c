#!/usr/bin/env python3
"""hss-load as a program: against the relay (sink, vectors) and against a scripted peer that closes the connection,
sends requests of its own, or refuses. Usage: hss_load_test.py --bin DIR [unittest arguments]"""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

K, OP = "465b5ce8b199b49faa5f0a2ee238a6bc", "cdc202d5123e20f62b6d676ac72cb318"
OPC = "cd63cb71954a9f4e48a5994e37a02baf"
KEYS = ["--k", K, "--opc", OPC]
IMSI = "001010000000001"
BIN = ""


def run(port, case, *options, timeout=60):
    command = [BIN + "/hss-load", case, "--connect", "127.0.0.1:%d" % port, "--imsi", IMSI, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


class Relay:
    """The reference program on a free port; it ends when its standard input is closed."""

    def __init__(self, *options):
        self.process = subprocess.Popen([BIN + "/relay", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


def avp(code, data):
    return struct.pack(">IB", code, 0x40) + struct.pack(">I", 8 + len(data))[1:] + data + bytes(-len(data) % 4)


def avp3(code, data):
    """An AVP of 3GPP; a number means Unsigned32."""
    data = struct.pack(">I", data) if isinstance(data, int) else data
    return struct.pack(">IB", code, 0xc0) + struct.pack(">I", 12 + len(data))[1:] + struct.pack(">I", 10415) + data + \
        bytes(-len(data) % 4)


def ambr(down, up):
    return avp3(1435, avp3(516, up) + avp3(515, down))


# what an HSS gives for a subscriber with one APN (TS 29.272 7.3.2)
SUBSCRIPTION = avp3(1400, avp3(701, bytes.fromhex("945111325476f8")) + avp3(1417, 2) + avp3(1424, 0) +
                    ambr(1000000000, 5000001) + avp3(1429, avp3(1423, 1) + avp3(1428, 0) + avp3(
                        1430, avp3(1423, 1) + avp3(1456, 2) + avp(493, b"inter\nnet") + avp3(
                            1431, avp3(1028, 9) + avp3(1034, avp3(1046, 8) + avp3(1047, 1) + avp3(1048, 0))) +
                        ambr(2000000, 1000000))))


class Peer:
    """A scripted Diameter server: `script(peer)` runs in a thread, its exception fails the test."""

    def __init__(self, script):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]
        self.error = None
        self.connection = None
        self.thread = threading.Thread(target=self.run, args=(script,))
        self.thread.start()

    def run(self, script):
        try:
            script(self)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join(30)
        self.listener.close()
        if self.connection:
            self.connection.close()
        if self.error:
            raise self.error

    def accept(self, cea=2001):
        if self.connection:
            self.connection.close()
        self.connection = self.listener.accept()[0]
        self.connection.settimeout(20)
        self.answer(self.receive(257), cea)

    def receive(self, command=None):
        """One message, as bytes; None at the end of the stream."""
        data = b""
        while len(data) < 20 or len(data) < int.from_bytes(data[1:4], "big"):
            want = 20 if len(data) < 20 else int.from_bytes(data[1:4], "big")
            got = self.connection.recv(want - len(data))
            if not got:
                return None
            data += got
        if command is not None and int.from_bytes(data[5:8], "big") != command:
            raise AssertionError("command %d expected, got %d" % (command, int.from_bytes(data[5:8], "big")))
        return data

    def answer(self, request, code=2001, more=b""):
        body = avp(268, struct.pack(">I", code)) + avp(264, b"peer.test") + avp(296, b"test") + more
        self.connection.sendall(b"\1" + struct.pack(">I", 20 + len(body))[1:] + bytes([request[4] & 0x40]) +
                                request[5:20] + body)

    def request(self, command, app, flags, *avps):
        body = b"".join(avps)
        self.connection.sendall(b"\1" + struct.pack(">I", 20 + len(body))[1:] + bytes([flags]) +
                                struct.pack(">I", command)[1:] + struct.pack(">III", app, 7, 9) + body)

    def finish(self):
        """Answers whatever comes until the client has said good-bye."""
        while True:
            request = self.receive()
            if request is None:
                return
            self.answer(request)


class AgainstRelay(unittest.TestCase):
    def test_sink(self):
        with Relay("--sink") as relay:
            done = run(relay.port, "air", "--subscribers", "1000", "--requests", "50000", "--window", "256", "--json")
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(report["results"], {"2001": 50000})
        self.assertEqual((report["requests"], report["answers"], report["timeouts"]), (50000, 50000, 0))
        self.assertLessEqual(report["p50_us"], report["p99_us"])
        self.assertLessEqual(report["p99_us"], report["p999_us"])

    def test_vectors_are_right(self):
        with Relay("--vectors", "--k", K, "--opc", OPC) as relay, tempfile.NamedTemporaryFile("r") as log:
            done = run(relay.port, "attach", "--subscribers", "500", "--k", K, "--op", OP, "--verify", "all",
                       "--connections", "3", "--log", log.name, "--json")
            lines = log.read().splitlines()
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual((report["vectors_verified"], report["bad_vectors"], report["duplicate_sqn"]), (500, 0, 0))
        self.assertEqual(report["requests"], 1000)
        sqns = [line.split()[2] for line in lines if line.startswith("air ")]
        self.assertEqual(len(set(sqns)), 500)
        self.assertEqual(len({line.split()[1] for line in lines if line.startswith("ulr ")}), 500)
        self.assertTrue(any(line.endswith(" mme01-3.epc.mnc001.mcc001.3gppnetwork.org") for line in lines))

    def test_wrong_keys_are_found(self):
        with Relay("--vectors", "--k", K, "--opc", OPC) as relay:
            done = run(relay.port, "air", "--k", OPC, "--opc", K, "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["bad_vectors"], 1)
        self.assertEqual(json.loads(done.stdout)["first_bad"], "MAC of AUTN")

    def test_missing_vector_is_found(self):
        with Relay() as relay:
            done = run(relay.port, "air", *KEYS, "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["bad_vectors"], 1)

    def test_same_sqn_is_found(self):
        # the relay counts sequence numbers from 1 at each start, so two starts give the same ones
        with tempfile.NamedTemporaryFile("r") as log:
            found = []
            for _ in range(2):
                with Relay("--vectors", "--k", K, "--opc", OPC) as relay:
                    run(relay.port, "air", *KEYS, "--log", log.name)
                found += log.readlines()
                log.seek(0)
        self.assertEqual(len(found), 2)
        self.assertEqual(found[0], found[1])

    def test_open_loop_keeps_the_rate(self):
        with Relay() as relay:
            done = run(relay.port, "ulr", "--rate", "2000", "--duration", "1", "--json")
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertAlmostEqual(report["requests"], 2000, delta=100)  # the end comes late on a busy machine

    def test_show(self):
        with Relay("--vectors", "--k", K, "--opc", OPC) as relay:
            done = run(relay.port, "attach", *KEYS, "--show")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("001010000000001 authentication: 2001 success", done.stdout)
        self.assertRegex(done.stdout, r"vector 1: verified \(MAC, XRES, KASME\), SQN 32 = SEQ 1, IND 0")

    def test_interrupt_reports_what_was_done(self):
        with Relay() as relay:
            command = [BIN + "/hss-load", "ulr", "--connect", "127.0.0.1:%d" % relay.port, "--imsi", IMSI,
                       "--duration", "60", "--log", "/dev/stdout", "--window", "2", "--json"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
                acknowledged = 1 if load.stdout.readline().startswith("ulr ") else 0
                load.send_signal(signal.SIGTERM)
                rest = load.stdout.readlines()
        text = "".join(rest)
        acknowledged += len(re.findall(r"^ulr ", text, re.M))
        report = json.loads(re.search(r"\{.*\}", text).group())
        self.assertEqual(load.returncode, 0)
        self.assertEqual(report["answers"], acknowledged)


class AgainstPeer(unittest.TestCase):
    def test_refused_connection(self):
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        done = run(port, "air")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Connection refused", done.stderr)

    def test_refused_capabilities(self):
        with Peer(lambda peer: peer.accept(cea=3010)) as peer:
            done = run(peer.port, "air")
        self.assertEqual(done.returncode, 1)
        self.assertIn("3010", done.stderr)

    def test_expected_error(self):
        def script(peer):
            peer.accept()
            peer.answer(peer.receive(318), 5001)
            peer.finish()
        for expect, status in (("5001", 0), ("2001", 1)):
            with Peer(script) as peer:
                done = run(peer.port, "air", "--expect", expect, "--json")
            self.assertEqual(json.loads(done.stdout)["results"], {"5001": 1})
            self.assertEqual(done.returncode, status)

    def test_show_subscription(self):
        def script(peer):
            peer.accept()
            peer.answer(peer.receive(316), more=SUBSCRIPTION)
            peer.finish()
        with Peer(script) as peer:
            done = run(peer.port, "ulr", "--show")
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in ("    MSISDN 4915112345678", "    service granted, access mode only packet",
                     "    subscriber AMBR 1000 Mbit/s down, 5000001 bit/s up",
                     "    APN inter?net (context 1, default): IPv4v6, QCI 9, ARP 8 (may pre-empt: no, may be pre-empted: "
                     "yes), AMBR 2 Mbit/s down, 1 Mbit/s up"):
            self.assertIn(line + "\n", done.stdout)

    def test_requests_of_the_server(self):
        def script(peer):
            peer.accept()
            request = peer.receive(316)
            peer.request(280, 0, 0x80, avp(264, b"peer.test"), avp(296, b"test"))
            assert peer.receive(280)[4] == 0
            peer.request(317, 16777251, 0xc0, avp(263, b"peer.test;1;1"), avp(1, IMSI.encode()))
            answer = peer.receive(317)
            assert answer[4] == 0x40 and avp(263, b"peer.test;1;1") in answer and avp(268, b"\0\0\7\xd1") in answer
            peer.answer(request)
            peer.finish()
        with Peer(script) as peer:
            done = run(peer.port, "ulr", "--answer-clr", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["clr_received"], 1)

    def test_late_and_foreign_answers_are_not_taken(self):
        def script(peer):
            peer.accept()
            request = peer.receive(316)
            for changed in (12, 13, 15, 16, 19, 7):  # Hop-by-Hop, End-to-End, command
                foreign = bytearray(request)
                foreign[changed] ^= 1
                peer.answer(bytes(foreign), 5012)
            peer.answer(request)
            peer.answer(request)  # twice
            peer.finish()
        with Peer(script) as peer:
            done = run(peer.port, "ulr", "--json")
        report = json.loads(done.stdout)
        self.assertEqual(report["results"], {"2001": 1})
        self.assertGreaterEqual(report["unmatched"], 6)

    def test_lost_connection_ends_the_run(self):
        def script(peer):
            peer.accept()
            peer.receive(316)
            peer.connection.close()
        with Peer(script) as peer:
            done = run(peer.port, "ulr")
        self.assertEqual(done.returncode, 1)
        self.assertIn("closed the connection", done.stderr)

    def test_reconnect_and_retransmit(self):
        def script(peer):
            peer.accept()
            first = peer.receive(316)
            peer.connection.close()
            peer.accept()
            again = peer.receive(316)
            assert first[4] == 0xc0 and again[4] == 0xd0, "T flag"
            assert first[16:20] == again[16:20], "End-to-End id"
            assert first[20:] == again[20:], "the same AVPs"
            peer.answer(again)
            peer.finish()
        with Peer(script) as peer:
            done = run(peer.port, "ulr", "--reconnect", "--retransmit", "--json")
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((report["reconnects"], report["answers"], report["lost"]), (1, 1, 0))

    def test_reconnect_counts_what_was_lost(self):
        def script(peer):
            peer.accept()
            peer.receive(316)
            peer.connection.close()
            peer.accept()
            peer.finish()
        with Peer(script) as peer:
            done = run(peer.port, "ulr", "--reconnect", "--requests", "3", "--window", "1", "--json")
        report = json.loads(done.stdout)
        self.assertEqual((report["reconnects"], report["answers"], report["lost"]), (1, 2, 1))

    def test_timeout(self):
        def script(peer):
            peer.accept()
            peer.receive(316)
            peer.finish()
        with Peer(script) as peer:
            done = run(peer.port, "ulr", "--timeout", "0.3", "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["timeouts"], 1)

    def test_garbage(self):
        for garbage in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\1\0\0\x10" + bytes(40), b"\1\xff\xff\xff" + bytes(40)):
            def script(peer, data=garbage):
                peer.accept()
                peer.receive(316)
                peer.connection.sendall(data)
                peer.connection.close()
            with Peer(script) as peer:
                done = run(peer.port, "ulr", "--json")
            self.assertEqual(done.returncode, 1)

    def test_usage(self):
        done = subprocess.run([BIN + "/hss-load", "air", "--nonsense"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage: hss-load CASE", done.stderr)


if __name__ == "__main__":
    at = sys.argv.index("--bin")
    BIN = os.path.abspath(sys.argv[at + 1])
    del sys.argv[at:at + 2]
    unittest.main()
