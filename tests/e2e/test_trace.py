"""hssctl trace: the messages about a subscriber or of a peer, live, with what was answered and why; in a capture file that tshark
reads, with the vectors masked unless asked for."""
import json
import os
import signal
import subprocess
import unittest

import cscf as c
import diameter as d
import hss
from hss import FIRST, K, OPC, Hss, imsi

SECOND = imsi(2)


class Tracing:
    """hssctl trace in the background, begun when this returns."""

    def __init__(self, h, *words, json=True, frontends=1):
        self.process = subprocess.Popen([os.path.join(hss.BIN, "hssctl"), "--socket", h.socket, *(["--json"] if json else []),
                                         "trace", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.begun = [self.process.stdout.readline() for _ in range(frontends if json else 1)]

    def row(self):
        return json.loads(self.process.stdout.readline())

    def rows(self, count):
        return [self.row() for _ in range(count)]

    def end(self, sig=signal.SIGINT):
        """(status, what else it said)"""
        if sig:
            self.process.send_signal(sig)
        out, err = self.process.communicate(timeout=hss.TIMEOUT)
        return self.process.returncode, out, err


def brief(rows):
    return [(r["direction"], r["command"], r.get("result")) for r in rows]


def tshark(path, *fields):
    """Rows of these fields, one a message; fails when tshark finds anything malformed."""
    done = subprocess.run(["tshark", "-n", "-r", path, "-T", "fields", *[x for f in ("_ws.malformed", "_ws.expert.severity", *fields)
                                                                        for x in ("-e", f)]],
                          capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert all(r[0] == "" for r in rows), done.stdout
    return [r[2:] for r in rows]


class Trace(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hss = Hss()
        cls.addClassCleanup(cls.hss.close)
        cls.hss.provision(5)

    def trace(self, *words, **how):
        t = Tracing(self.hss, *words, **how)

        def kill():
            t.process.kill()
            t.process.communicate()
        self.addCleanup(kill)
        return t

    def peer(self, host="mme.test"):
        peer = d.Peer(self.hss.port, host)
        self.addCleanup(peer.close)
        return peer

    def test_subscriber(self):
        mme, t = self.peer(), self.trace(FIRST)
        self.assertEqual(json.loads(t.begun[0]), {"event": "begun", "frontend": 0})
        mme.call(mme.air(SECOND))  # somebody else
        self.assertEqual(mme.call(mme.air(FIRST)).result, 2001)
        self.hss.ctl("subscriber", "bar", FIRST)
        self.addCleanup(self.hss.ctl, "subscriber", "unbar", FIRST)
        self.assertEqual(mme.call(mme.ulr(FIRST)).result, 5004)
        mme.call(mme.ulr(FIRST, rat=77777))  # a value that there is not: 2001 or refused, but shown
        rows = t.rows(6)
        self.assertEqual(brief(rows[:4]), [("in", "AIR", None), ("out", "AIA", "2001"), ("in", "ULR", None),
                                           ("out", "ULA", "exp_5004")])
        self.assertEqual({(r["peer"], r["subject"], r["application"]) for r in rows}, {("mme.test", FIRST, "s6a")})
        self.assertIn("barr", rows[3]["rule"])
        self.assertGreater(rows[3]["took_us"], 0)
        self.assertEqual(rows[2]["hop_by_hop"], rows[3]["hop_by_hop"])
        self.assertTrue(all("message" not in r for r in rows))
        self.assertEqual(t.end(), (0, "", ""))

    def test_defect_and_unknown(self):
        """What the frontend answers itself says which AVP is at fault; an unknown subscriber is one, too."""
        mme, t = self.peer(), self.trace(FIRST)
        unknown = self.trace("001019999999999")
        ulr = mme.s6a(316, FIRST, [])  # without Visited-PLMN-Id and the rest
        self.assertEqual(mme.call(ulr).result, 5005)
        rows = t.rows(2)
        self.assertEqual(brief(rows), [("in", "ULR", None), ("out", "ULA", "5005")])
        self.assertRegex(rows[1]["rule"], "^malformed: [A-Z][A-Za-z-]+$")
        mme.call(mme.air("001019999999999"))
        rows = unknown.rows(2)
        self.assertEqual(brief(rows), [("in", "AIR", None), ("out", "AIA", "exp_5001")])
        self.assertEqual(rows[1]["rule"], "unknown subscriber")

    def test_peer_and_requests_of_the_hss(self):
        """Of a peer all that passes, and what the HSS asks it, with an answer that never comes."""
        a, b = self.peer("old.test"), self.peer("new.test")
        self.assertEqual(a.call(a.ulr(imsi(3))).result, 2001)
        t, s = self.trace("--peer", "OLD.test"), self.trace(imsi(3))
        a.call(a.dwr())
        self.assertEqual(b.call(b.ulr(imsi(3))).result, 2001)
        cancel = a.take(317)
        a.answer(cancel)
        self.assertEqual(brief(t.rows(4)), [("in", "DWR", None), ("out", "DWA", "2001"), ("out", "CLR", None),
                                            ("in", "CLA", "2001")])
        self.assertEqual({r["peer"] for r in s.rows(4)}, {"old.test", "new.test"})

    def test_ims(self):
        """By an IMSI what names an identity that is made of it; by a public identity what names that."""
        private, public = c.private(imsi(4)), c.public(imsi(4))
        by_imsi, by_public = self.trace(imsi(4)), self.trace(public)
        with c.Cscf(self.hss.port) as s:
            self.assertEqual(s.uar(private, public).result, 2001)
        for t in (by_imsi, by_public):
            rows = t.rows(2)
            self.assertEqual(brief(rows), [("in", "UAR", None), ("out", "UAA", "exp_2001")])
            self.assertEqual(rows[0]["application"], "cx")

    def test_text(self):
        mme, t = self.peer(), self.trace(FIRST, "--limit", "2", json=False)
        self.assertRegex(t.begun[0], r"^TIME \(UTC\) +COMMAND +RESULT +PEER +SUBJECT, OR RULE$")
        mme.call(mme.air(FIRST))
        mme.call(mme.air(FIRST))  # above the limit
        status, out, err = t.end(None)
        self.assertEqual((status, err), (0, ""))
        lines = out.splitlines()
        self.assertRegex(lines[0], rf"^\d\d:\d\d:\d\d\.\d{{6}}  in   AIR +mme\.test +{FIRST}$")
        self.assertRegex(lines[1], r"^\d\d:\d\d:\d\d\.\d{6}  out  AIA +2001 +mme\.test +\(\d+\.\d{3} ms\)$")
        self.assertEqual(len(lines), 2)

    def captured(self, *words):
        path = os.path.join(self.hss.dir, "trace.pcapng")
        mme, t = self.peer(), self.trace(FIRST, "--limit", "4", "--pcap", path, *words)
        mme.call(mme.air(FIRST, vectors=2))
        mme.call(mme.s6a(316, FIRST, []))
        self.assertEqual(t.end(None)[0], 0)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        return path, [r for r in t.rows(0)]

    def test_capture(self):
        path, _ = self.captured()
        rows = tshark(path, "diameter.cmd.code", "diameter.flags.request", "diameter.User-Name", "frame.comment",
                      "diameter.KASME", "diameter.XRES", "diameter.RAND", "diameter.AUTN")
        self.assertEqual([r[:2] for r in rows], [["318", "True"], ["318", "False"], ["316", "True"], ["316", "False"]]
                         if rows[0][1] == "True" else [["318", "1"], ["318", "0"], ["316", "1"], ["316", "0"]])
        self.assertEqual(rows[0][2], FIRST)
        self.assertRegex(rows[3][3], "^malformed: ")
        masked = lambda octets: ",".join(["2a" * octets] * 2)
        self.assertEqual([x.replace(":", "") for x in rows[1][4:]], [masked(32), masked(8), masked(16), masked(16)])
        ports = tshark(path, "exported_pdu.dst_port", "exported_pdu.ipv4_src")
        self.assertEqual(ports[0], ["3868", "127.0.0.1"])

    def test_vectors_are_asked_for(self):
        path, _ = self.captured("--vectors")
        keys = tshark(path, "diameter.KASME")[1][0].replace(":", "").split(",")
        self.assertEqual([len(k) for k in keys], [64, 64])
        self.assertNotIn("2a" * 32, keys)
        audit = self.hss.ctl("--json", "audit").lines
        self.assertEqual([(e["command"], e["status"]) for e in audit if e["command"] == "trace"], [("trace", 0)])

    def test_bounds(self):
        """By rows and by time; no more traces at a time than there is room for; a client that goes away ends its trace."""
        mme = self.peer()
        t = self.trace(FIRST, "--for", "1")
        status, out, err = t.end(None)
        self.assertEqual((status, out, err), (0, "", ""))
        four = [self.trace(FIRST) for _ in range(4)]
        self.assertEqual(len(four), 4)
        fifth = self.hss.ctl("trace", FIRST, check=False)
        self.assertEqual((fifth.returncode, fifth.stderr), (2, "hssctl: trace: too many traces at a time\n"))
        four[0].process.kill()
        four[0].process.wait()
        self.hss.until(lambda: "too many" not in self.hss.ctl("trace", FIRST, "--for", "1", check=False).stderr, "there is room")
        mme.call(mme.air(FIRST))
        for t in four[1:]:
            self.assertEqual(brief(t.rows(2)), [("in", "AIR", None), ("out", "AIA", "2001")])
            t.end()

    def test_slow_client(self):
        """One that reads nothing holds up nobody: what is too much is left out and counted."""
        t = self.trace("--peer", "hss-load.test", "--limit", "100000", "--for", "5")
        os.kill(t.process.pid, signal.SIGSTOP)
        report = self.hss.load("air", imsi=FIRST, subscribers=1, requests=20000, k=K, opc=OPC, host="hss-load.test",
                               realm="test")
        self.assertEqual(report["results"], {"2001": 20000})
        os.kill(t.process.pid, signal.SIGCONT)
        status, out, err = t.end(None)
        self.assertEqual(status, 0)
        self.assertRegex(err, r"^hssctl: trace: \d+ messages were left out")
        self.assertGreater(len(out.splitlines()), 400)

    def test_two_frontends(self):
        """Each traces its own peers; one that dies leaves, and the others go on."""
        with Hss(frontends=2) as h:
            h.provision(1)
            t = Tracing(h, FIRST, frontends=2)
            self.addCleanup(t.process.communicate)
            self.addCleanup(t.process.kill)
            self.assertEqual({json.loads(line)["frontend"] for line in t.begun}, {0, 1})
            h.kill_role("frontend-0")
            h.wait_served()
            for n in range(50):  # at the one or at the other
                with d.Peer(h.port, f"mme{n}.test") as mme:
                    mme.call(mme.air(FIRST))
            status, out, _ = t.end()
            rows = [json.loads(line) for line in out.splitlines()]
            self.assertEqual(status, 0)
            self.assertEqual({r["frontend"] for r in rows}, {1})

    def test_usage(self):
        for words in ([], [FIRST, "--peer", "x"], [FIRST, "--limit", "0"], [FIRST, "--pcap"], ["sip:"]):
            with self.subTest(words):
                done = self.hss.ctl("trace", *words, check=False)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertTrue(done.stderr.startswith("hssctl: "), done.stderr)
        done = self.hss.ctl("trace", FIRST, "--pcap", "/nonexistent/x", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file", done.stderr)
        self.assertIn("--pcap x", self.hss.ctl("trace", FIRST, "--pcab", "x", check=False).stderr.replace("--pcap?", "--pcap x"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
