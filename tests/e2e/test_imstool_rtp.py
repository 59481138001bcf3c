"""imstool rtp and corehss.rtp: packets to JSON and back; the streams of captures that lose, reorder, duplicate and delay,
with tshark's own statistics of the same captures as judge; sound that comes out as it went in; malformed packets."""
import json
import math
import os
import random
import shutil
import struct
import subprocess
import tempfile
import threading
import unittest
import wave

import imstool
import rtp_capture as made
from corehss import Error, rtp

EXAMPLE = "8008d4340000303c0b12671a" + "d5" * 160
SCRIPT = {"version": 2, "padding": 0, "extension": 0, "csi_count": 0, "marker": 0, "payload_type": 8,
          "sequence_number": 54324, "timestamp": 12348, "ssrc": 185755418, "payload": "d5" * 160}
FULL = "b2e0010203040506" "0708090a" "11111111" "22222222" "bede0002" "10aa21bbcc000000" "cafe" "000003"
COMPOUND = ("81c8000c00000001e0001234800000000000032000000005000003200000000219fffffd0001ffff0000001e123400000000028f"
            "81ca0003000000010103614062000000" "a1cb00040000000103627965" "0000000000000004")


def decode(hex):
    (row,) = imstool.rows("rtp", "decode", hex)
    return row


def encode(*packets):
    done = imstool.run("rtp", "encode", "-", input="\n".join(map(json.dumps, packets)))
    return done.stdout.split() if done.returncode == 0 else done


class Packets(unittest.TestCase):
    def test_example(self):
        self.assertEqual(decode(EXAMPLE), SCRIPT)
        self.assertEqual(encode(SCRIPT), [EXAMPLE])
        done = imstool.run("rtp", "decode", EXAMPLE[:28])
        self.assertEqual(done.returncode, 0)
        for line in ("payload_type                 8 (PCMA)", "ssrc                         185755418 (0x0b12671a)",
                     "payload                      d5d5"):
            self.assertIn(line + "\n", done.stdout)

    def test_everything(self):
        row = decode(FULL)
        self.assertEqual((row["padding"], row["extension"], row["csi_count"], row["marker"], row["payload_type"]),
                         (1, 1, 2, 1, 96))
        self.assertEqual(row["csrc"], [0x11111111, 0x22222222])
        self.assertEqual(row["header_extension"], {"profile": 0xbede, "data": "10aa21bbcc000000",
                                                   "elements": [{"id": 1, "data": "aa"}, {"id": 2, "data": "bbcc"}]})
        self.assertEqual((row["payload"], row["padding_octets"]), ("cafe", "000003"))
        self.assertEqual(encode(row), [FULL])
        del row["header_extension"]["data"], row["padding_octets"]  # made of the elements; padded to whole words
        self.assertEqual(encode(row), [FULL[:-6] + "0002"])
        row["header_extension"] = {"profile": 0x1000, "elements": [{"id": 5, "data": ""}, {"id": 200, "data": "aa" * 17}]}
        self.assertEqual(decode(encode(row)[0])["header_extension"]["elements"], row["header_extension"]["elements"])

    def test_hex_of_dumps(self):
        for text in ("0x" + EXAMPLE, EXAMPLE.upper(), ":".join(EXAMPLE[i:i + 2] for i in range(0, len(EXAMPLE), 2))):
            self.assertEqual(decode(text), SCRIPT)
        done = imstool.run("rtp", "decode", "--json", "8008", "d434", "0000303c", "0b12671a")
        self.assertEqual(json.loads(done.stdout), {**SCRIPT, "payload": ""})

    def test_many(self):
        """One a line; those that are malformed are told and the others go on."""
        lines = [EXAMPLE, "", "4008d4340000303c0b12671a", FULL, "80x"]
        done = imstool.run("rtp", "decode", "--json", "-", input="\n".join(lines))
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(done.returncode, 1)
        self.assertEqual(rows[1], {"error": "not version 2", "offset": 0})
        self.assertEqual(rows[3], {"error": "no hex digit", "offset": 1})
        self.assertEqual(encode(rows[0], rows[2]), [EXAMPLE, FULL])
        done = imstool.run("rtp", "decode", "-", input="\n".join(lines))
        self.assertEqual((done.returncode, done.stderr.splitlines()),
                         (1, ["imstool rtp: octet 0: not version 2", "imstool rtp: octet 1: no hex digit"]))

    def test_cut(self):
        """Whatever is cut off, it is an error with its offset or a packet that gives the same octets."""
        for whole in (FULL, COMPOUND):
            cuts = [whole[:2 * n] for n in range(1, len(whole) // 2)]
            done = imstool.run("rtp", "decode", "--json", "-", input="\n".join(cuts))
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual(len(rows), len(cuts))
            good = [(row, cut) for row, cut in zip(rows, cuts) if "error" not in row]
            self.assertEqual(encode(*(row for row, _ in good)), [cut for _, cut in good])
            for row, cut in zip(rows, cuts):
                self.assertTrue("error" not in row or row["offset"] <= len(cut) // 2)

    def test_rtcp(self):
        row = decode(COMPOUND)
        sr, sdes, bye = row["rtcp"]
        self.assertEqual((sr["type"], sr["ssrc"], sr["packets"], sr["ntp_seconds"]), ("SR", 1, 5, 0xe0001234))
        self.assertEqual(sr["reports"], [{"ssrc": 2, "fraction_lost": 25, "lost": -3, "highest_sequence": 0x1ffff,
                                          "jitter": 30, "last_sr": 0x12340000, "delay_since_last_sr": 0x28f}])
        self.assertEqual(sdes["chunks"], [{"ssrc": 1, "items": [{"type": 1, "data": "614062", "name": "CNAME", "text": "a@b"}]}])
        self.assertEqual((bye["sources"], bye["reason"], bye["padding"]), ([1], "bye", 1))
        self.assertEqual(encode(row), [COMPOUND])
        for packet in ("81cd00030000000100000002000a0003", "80cf00020000000104000000", "83cc0003000000017465737401020304",
                       "80c9000100000001", "80c800060000000100000000000000000000000000000000000000" "00", "81ca000100000001"[:8] +
                       "00000001"):
            done = imstool.run("rtp", "decode", "--json", packet)
            if done.returncode == 0:
                self.assertEqual(encode(json.loads(done.stdout)), [packet])
        made_up = {"rtcp": [{"packet_type": 203, "sources": [7, 8], "reason": "so long"}]}
        self.assertEqual(decode(encode(made_up)[0])["rtcp"][0]["reason"], "so long")

    def test_refused(self):
        for change, reason in (({"version": 1}, "version: expected 2"), ({"payload_type": 128}, "payload_type: expected a number"),
                               ({"sequence_number": -1}, "sequence_number: expected"), ({"ssrc": "1"}, "ssrc: expected"),
                               ({"payload": "abc"}, "payload: expected an even"), ({"payload": 5}, "payload: expected an even"),
                               ({"csi_count": 2}, "csrc: expected a list of csi_count numbers"),
                               ({"csi_count": 1, "csrc": [-1]}, "csrc: expected numbers"),
                               ({"extension": 1}, "header_extension: it belongs to"), ({"timestamp": 2**32}, "timestamp: expected"),
                               ({"padding_octets": "01"}, "padding_octets: they belong to"),
                               ({"padding": 1, "padding_octets": "02"}, "padding_octets: expected their number"),
                               ({"payload": "00" * 70000}, "a packet that is too long")):
            done = encode({**SCRIPT, **change})
            self.assertEqual((done.returncode, done.stdout), (1, ""), change)
            self.assertIn(reason, done.stderr)
        self.assertIn("expected an object", encode(5).stderr)
        done = imstool.run("rtp", "encode", "-", input='{"version": 2,')
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard input: line ", done.stderr)
        for words in ([], ["decode"], ["encode"], ["pcap"], ["nothing"], ["decode", "--wav", "x", "80"], ["pcap", "x", "y"],
                      ["pcap", "x", "--clock", "96"], ["pcap", "x", "--ssrc", "1"], ["pcap", "x", "--wav", "a", "--raw", "b"]):
            self.assertEqual(imstool.run("rtp", *words).returncode, 2, words)


class Captures(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="imstool-")
        self.addCleanup(shutil.rmtree, self.directory)

    def file(self, octets, name="capture.pcap"):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as f:
            f.write(octets)
        return path

    def tshark(self, path):
        """tshark's statistics of a capture: by SSRC packets, lost, max delta, mean and max jitter."""
        done = subprocess.run(["tshark", "-r", path, "-d", "udp.port==5000,rtp", "-q", "-z", "rtp,streams"], text=True,
                              capture_output=True, check=True, env={**os.environ, "TZ": "UTC"})
        out = {}
        for line in done.stdout.splitlines():
            words = line.split()
            if len(words) > 10 and words[6].startswith("0x"):
                numbers = words[words.index(next(w for w in words if w.startswith("("))) - 2:]
                out[int(words[6], 16)] = {"packets": int(numbers[0]), "lost": int(numbers[1]), "max_delta_ms": float(numbers[5]),
                                          "mean_jitter_ms": float(numbers[7]), "max_jitter_ms": float(numbers[8])}
        return out

    def judge(self, frames, kind=made.RAW, octets=None):
        """Both say the same of the same capture."""
        path = self.file(octets or made.pcap(frames, kind))
        rows = imstool.rows("rtp", "pcap", path)
        judged = self.tshark(path)
        self.assertEqual({row["ssrc"] for row in rows}, set(judged))
        for row in rows:
            theirs = judged[row["ssrc"]]
            self.assertEqual(row["packets"], theirs["packets"])
            self.assertEqual(row["lost"] - row["duplicates"], theirs["lost"])  # expected - received, RFC 3550 A.3
            for name in ("max_delta_ms", "mean_jitter_ms", "max_jitter_ms"):
                self.assertAlmostEqual(row[name], theirs[name], delta=0.0011, msg=(name, row, theirs))
        return rows

    def test_judged_by_tshark(self):
        for seed, network in enumerate(({}, {"loss": 0.05, "jitter": 0.01}, {"reorder": 0.03, "jitter": 0.004},
                                        {"duplicate": 0.05}, {"loss": 0.3}, {"count": 3000, "first": 60000, "loss": 0.01},
                                        {"loss": 0.02, "reorder": 0.03, "duplicate": 0.03, "jitter": 0.015})):
            with self.subTest(network=network):
                packets, did = made.stream(seed, **network)
                (row,) = self.judge([(at, made.udp(packet)) for at, packet in packets])
                for name, count in did.items():
                    self.assertEqual(row[name], count, name)

    def test_two_ways_and_a_restart_of_ports(self):
        there, _ = made.stream(1, loss=0.02, jitter=0.01, ssrc=1)
        back, _ = made.stream(2, reorder=0.02, jitter=0.01, ssrc=0xfffffffe, payload_type=0, start=1000.0005)
        frames = sorted([(at, made.udp(p)) for at, p in there] +
                        [(at, made.udp(p, ("192.0.2.2", 5000), ("192.0.2.1", 4000))) for at, p in back])
        self.assertEqual(len(self.judge(frames)), 2)

    def test_links(self):
        packets, did = made.stream(3, count=60, loss=0.1)
        v4 = [(at, made.udp(p)) for at, p in packets]
        v6 = [(at, made.udp(p, ("2001:db8::1", 4000), ("2001:db8::2", 5000))) for at, p in packets]
        for name, octets in (("raw", made.pcap(v4)), ("v6", made.pcap(v6)), ("pcapng", made.pcapng(v4)),
                             ("nanoseconds", made.pcap(v4, nano=True)),
                             ("sll", made.pcap([(at, made.link(p, made.SLL)) for at, p in v4], made.SLL)),
                             ("ethernet", made.pcap([(at, made.link(p, made.ETHERNET)) for at, p in v6], made.ETHERNET)),
                             ("vlan", made.pcap([(at, made.link(p, made.ETHERNET, True)) for at, p in v4], made.ETHERNET)),
                             ("padded", made.pcap([(at, made.link(p, made.ETHERNET) + bytes(6)) for at, p in v4],
                                                  made.ETHERNET))):
            with self.subTest(name):
                (row,) = self.judge(None, octets=octets)
                self.assertEqual((row["packets"], row["lost"], row["payload_octets"]),
                                 (did["packets"], did["lost"], 160 * did["packets"]))
        # the end of each frame was not captured
        (row,) = imstool.rows("rtp", "pcap", self.file(made.pcap(v4, snap=60)))
        self.assertEqual((row["packets"], row["lost"]), (did["packets"], did["lost"]))

    def test_table(self):
        packets, _ = made.stream(1, count=100, loss=0.05, reorder=0.05, duplicate=0.05)
        done = imstool.run("rtp", "pcap", self.file(made.pcap([(at, made.udp(p)) for at, p in packets])))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^192\.0\.2\.1:4000 +192\.0\.2\.2:5000 +0b12671a +8 PCMA +\d+ +\d+ \(\d\.\d %\) +\d+ "
                                      r"\(\d+\) +\d+ +\d+ +\d\.\d\d / \d\.\d\d ms +[0-9.]+ ms +[0-9.]+ s$")

    def test_what_is_no_rtp(self):
        rng = random.Random(1)
        noise = [(1000 + n / 50, made.udp(bytes(rng.randrange(256) for _ in range(50)))) for n in range(300)]
        rtcp = [(1000 + n, made.udp(bytes.fromhex(COMPOUND))) for n in range(10)]
        done = imstool.run("rtp", "pcap", self.file(made.pcap(noise + rtcp)))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "no RTP in it\n", ""))
        packets, did = made.stream(4, count=100)
        (row,) = imstool.rows("rtp", "pcap", self.file(made.pcap(sorted(
            noise + rtcp + [(at, made.udp(p, ("192.0.2.3", 6000))) for at, p in packets]))))
        self.assertEqual(row["packets"], did["packets"])

    def test_malformed(self):
        packets, did = made.stream(5, count=50)
        frames = [(at, made.udp(p)) for at, p in packets]
        bad = bytes([0xa0]) + packets[20][1][1:12] + b"\x00" * 3 + b"\xf0"  # more padding than there is
        frames.insert(20, (frames[20][0] - 0.001, made.udp(bad)))
        path = self.file(made.pcap(frames))
        (row,) = imstool.rows("rtp", "pcap", path)
        self.assertEqual(row["packets"], did["packets"])
        self.assertEqual(row["malformed"], {"count": 1, "frame": 21, "offset": 15,
                                            "error": "padding of a length that can't be"})
        self.assertIn("1 malformed packets between these ports, the first is frame 21, octet 15", imstool.run("rtp", "pcap",
                                                                                                              path).stdout)

    def test_restart(self):
        one, _ = made.stream(6, count=30, first=100)
        two, _ = made.stream(6, count=30, first=40000, start=1001)
        (row,) = imstool.rows("rtp", "pcap", self.file(made.pcap([(at, made.udp(p)) for at, p in one + two])))
        self.assertEqual((row["packets"], row["lost"], row["restarts"], row["strays"]), (60, 0, 1, 0))

    def test_dynamic_type(self):
        """An unknown clock makes no jitter; --clock says it."""
        packets, _ = made.stream(7, count=50, jitter=0.01, payload_type=96, clock=16000)
        path = self.file(made.pcap([(at, made.udp(p)) for at, p in packets]))
        (row,) = imstool.rows("rtp", "pcap", path)
        self.assertNotIn("jitter_ms", row)
        (row,) = imstool.rows("rtp", "pcap", path, "--clock", "101:8000,96:16000")
        self.assertLess(row["max_jitter_ms"], 10)
        (again,) = rtp.streams(path, {96: 16000})
        self.assertEqual(again, row)

    def test_broken_files(self):
        packets, _ = made.stream(8, count=20)
        whole = made.pcap([(at, made.udp(p)) for at, p in packets])
        for octets, reason in ((b"", "truncated"), (b"no capture at all, this is", "unknown file format"),
                               (made.pcap([], 147), "isn't known")):
            done = imstool.run("rtp", "pcap", self.file(octets))
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(reason, done.stderr)
        done = imstool.run("rtp", "pcap", "/nonexistent")
        self.assertEqual(done.returncode, 1)
        # cut within a frame: what came before counts
        done = imstool.run("rtp", "pcap", "--json", self.file(whole[:-50]))
        self.assertEqual(json.loads(done.stdout)["packets"], 19)
        self.assertIn("frame 20", done.stderr)
        for n in range(24, 24 + 16 + len(made.udp(packets[0][1])), 11):  # never more than a reason
            self.assertEqual(imstool.run("rtp", "pcap", self.file(whole[:n])).returncode, 1)

    def test_sound(self):
        """A tone through each law comes out as it went in, in order, each packet once, silence where one is missing."""
        tone = [round(20000 * math.sin(n / 7)) for n in range(160 * 40)]
        for payload_type, make in ((8, alaw), (0, ulaw)):
            sent = [made.rtp(65530 + n, 0xffffff00 + 160 * n, 5, bytes(map(make, tone[160 * n:160 * n + 160])), payload_type)
                    for n in range(40)]
            order = [n for n in range(40) if n != 20]
            order[5], order[6] = order[6], order[5]
            order.insert(10, order[9])
            frames = [(1000 + place * 0.02, made.udp(sent[n])) for place, n in enumerate(order)]
            path, out = self.file(made.pcap(frames)), os.path.join(self.directory, "out")
            self.assertEqual(imstool.run("rtp", "pcap", path, "--wav", out).returncode, 0)
            with wave.open(out) as sound:
                self.assertEqual((sound.getnchannels(), sound.getsampwidth(), sound.getframerate(), sound.getnframes()),
                                 (1, 2, 8000, 6400))
                got = struct.unpack("<6400h", sound.readframes(6400))
            self.assertEqual(got[3200:3360], (0,) * 160)
            for n, (a, b) in enumerate(zip(got, tone)):
                if not 3200 <= n < 3360:
                    self.assertLessEqual(abs(a - b), 16 + abs(b) // 25, n)
            self.assertEqual(imstool.run("rtp", "pcap", path, "--raw", out).returncode, 0)
            with open(out, "rb") as f:
                self.assertEqual(f.read(), b"".join(p[12:] for n, p in enumerate(sent) if n != 20))

    def test_sound_of_what(self):
        one, _ = made.stream(9, count=10, ssrc=1)
        two, _ = made.stream(9, count=10, ssrc=2, payload_type=96)
        path = self.file(made.pcap(sorted((at, made.udp(p)) for at, p in one + two)))
        out = os.path.join(self.directory, "out.wav")
        for words, status, reason in (([], 2, "several streams: --ssrc HEX says which"), (["--ssrc", "zz"], 2, "hex digits"),
                                      (["--ssrc", "3"], 1, "no stream 3 in it"), (["--ssrc", "2"], 1, "no PCMA or PCMU in it")):
            done = imstool.run("rtp", "pcap", path, "--wav", out, *words)
            self.assertEqual(done.returncode, status, words)
            self.assertIn(reason, done.stderr)
            self.assertFalse(os.path.exists(out))
        self.assertEqual(imstool.run("rtp", "pcap", path, "--wav", out, "--ssrc", "00000001").returncode, 0)
        done = imstool.run("rtp", "pcap", path, "--wav", "/nonexistent/x", "--ssrc", "1")
        self.assertEqual(done.returncode, 1)


def alaw(sample):
    sign, value = (0x80, sample >> 4) if sample >= 0 else (0, (-sample - 1) >> 4)
    value = min(value, 2047)
    segment = max(value.bit_length() - 4, 0)
    mantissa = value >> max(segment - 1, 0) & 15
    return (sign | segment << 4 | mantissa) ^ 0x55


def ulaw(sample):
    sign, value = (0, sample) if sample >= 0 else (0x80, -sample)
    value = min(value, 32635) + 132
    segment = value.bit_length() - 8
    return ~(sign | segment << 4 | value >> segment + 3 & 15) & 0xff


class Python(unittest.TestCase):
    def test_old_script(self):
        """As scripts have it: a dict to digits, digits to a dict, packet after packet."""
        params = dict(SCRIPT, sequence_number=306, timestamp=306)
        for _ in range(200):
            packet = rtp.GenerateRTPpacket(params)
            self.assertEqual(rtp.DecodeRTPpacket(packet), params)
            params["sequence_number"] += 1
            params["timestamp"] += 160
        self.assertEqual(rtp.encode(SCRIPT), EXAMPLE)

    def test_octets(self):
        self.assertEqual(rtp.decode(bytes.fromhex(FULL)), decode(FULL))
        self.assertEqual(rtp.decode(COMPOUND)["rtcp"][0]["type"], "SR")

    def test_errors(self):
        with self.assertRaisesRegex(Error, "^octet 4: it ends within its header$"):
            rtp.decode("8008d434")
        with self.assertRaisesRegex(Error, "^octet 0: it ends within its header$"):
            rtp.decode("")
        with self.assertRaisesRegex(Error, "payload_type: expected"):
            rtp.encode({"version": 2})
        with self.assertRaisesRegex(Error, "not JSON"):
            rtp.encode({"payload": b"x"})
        with self.assertRaisesRegex(Error, "No such file"):
            rtp.streams("/nonexistent")
        self.assertEqual(rtp.decode(EXAMPLE), SCRIPT)  # the next one is answered

    def test_threads_and_forks(self):
        failed = []

        def work(n):
            for k in range(50):
                packet = dict(SCRIPT, ssrc=n, sequence_number=k)
                if rtp.decode(rtp.encode(packet)) != packet:
                    failed.append((n, k))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        child = os.fork()
        if child == 0:
            os._exit(rtp.decode(EXAMPLE) != SCRIPT)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(rtp.decode(EXAMPLE), SCRIPT)

    def test_helper_dies(self):
        self.assertEqual(rtp.decode(EXAMPLE), SCRIPT)
        rtp._decoder.process.kill()
        rtp._decoder.process.wait()
        self.assertEqual(rtp.decode(EXAMPLE), SCRIPT)


if __name__ == "__main__":
    unittest.main(verbosity=2)
