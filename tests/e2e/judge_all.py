"""tshark over everything that the HSS said to the peers of all end-to-end tests (capture.py): nothing malformed, unknown or
remarkable, every answer belongs to a request, and every request is answered. Runs after the other tests, and fails when
they left nothing.

What a peer sent wrong is repeated in its answer (an unknown command, a Session-Id with NUL): a remark that tshark makes
about the request, too, is the peer's. Nobody owes an answer on a connection that was cut: a request must be answered when
the connection ended in order (DPA), or when the peer still read something 5 s later.
"""
import concurrent.futures
import glob
import os
import sys
import tempfile
import unittest
from unittest import mock

import capture
import diameter as d
import judge
from capture import PORT

DIRECTORY = os.environ.get("HSS_CAPTURE_DIR", "")
PATIENCE_S = 5
VERSION = "5011"  # the answer to what is not Diameter as tshark knows it
MUST = [(code, False) for code in (d.CER, d.DWR, d.DPR, d.AIR, d.ULR, d.PUR, d.NOR)] + [
    (code, True) for code in (d.CER, d.DPR, d.CLR)]


class Judge(unittest.TestCase):
    def messages(self, path):
        """What tshark says of each message, one a packet."""
        fields = ("frame.number", "tcp.stream", "tcp.srcport", "frame.time_epoch", "diameter.cmd.code", "diameter.flags.request",
                  "diameter.answer_in", "diameter.answer_to", "diameter.Result-Code", "_ws.expert.message")
        out = [dict(zip(("frame", "stream", "port", "time", "command", "request", "answer", "asked", "result", "said"), row))
               for row in judge.tshark(path, "diameter", *fields)]
        for m in out:
            m["ours"], m["is_request"] = m["port"] == str(PORT), m["request"] in ("1", "True")
        return out

    def faults(self, messages):
        """What is wrong with ours, and what we owe."""
        by_frame = {m["frame"]: m for m in messages}
        in_order = {m["stream"] for m in messages if m["ours"] and m["command"] == str(d.DPR) and not m["is_request"]}
        last = {m["stream"]: float(m["time"]) for m in messages if m["ours"]}
        for m in messages:
            asked = by_frame.get(m["asked"])
            if m["ours"] and m["said"] and not (asked and asked["said"] == m["said"]):
                yield "remark", m
            if m["ours"] and not m["is_request"] and not asked and m["result"] != VERSION:
                yield "answers nothing", m
            late = last.get(m["stream"], 0) > float(m["time"]) + PATIENCE_S
            if not m["ours"] and m["is_request"] and not m["answer"] and not m["said"] and (m["stream"] in in_order or late):
                yield "has no answer", m


class A_Itself(Judge):
    """It finds each kind of fault."""

    def said_of(self, *exchange):
        """Faults of a connection with these (by the peer, message); then DPR and DPA."""
        with tempfile.TemporaryDirectory() as directory:
            with mock.patch.dict(os.environ, {"HSS_CAPTURE_DIR": directory}), mock.patch.dict(capture.opened, clear=True):
                stream, who = capture.Stream(), d.avp(d.ORIGIN_HOST, "mme.example")
                for by_peer, message in [*exchange, (True, d.message(d.DPR, [who], d.REQUEST, 0, 99, 99)),
                                         (False, d.message(d.DPR, [who, d.avp(d.RESULT, 2001)], 0, 0, 99, 99))]:
                    (stream.sent if by_peer else stream.received)(message)
                capture.finish()
            path, = glob.glob(os.path.join(directory, "*", "*.pcap"))
            return [kind for kind, _ in self.faults(self.messages(path))]

    def exchange(self, *avps, answer=d.AIR, hbh=7):
        return [(True, d.message(d.AIR, [d.avp(d.SESSION_ID, "a;1;2")], hbh=7, e2e=7)),
                (False, d.message(answer, [d.avp(d.SESSION_ID, "a;1;2"), d.avp(d.RESULT, 2001), *avps], d.PROXIABLE, hbh=hbh,
                                  e2e=7))]

    def test_nothing_wrong(self):
        self.assertEqual(self.said_of(*self.exchange(d.avp(d.FAILED, [d.avp(0xf0001, "x")]))), [])

    def test_remarks(self):
        for wrong in (d.avp(0xf0001, "abcd"), d.v3(0xf0001, "abcd"), d.avp(d.AUTH_STATE, b"\0\1"),
                      d.avp(d.VSAI, [d.avp(d.VENDOR_ID, 10415, length=100)]), d.avp(d.ORIGIN_HOST, "a")[:-3] + b"abc",
                      d.avp(d.ORIGIN_HOST, "abcd", length=7)):
            self.assertEqual(self.said_of(*self.exchange(wrong)), ["remark"], wrong.hex())

    def test_matching(self):
        self.assertEqual(self.said_of(self.exchange()[0]), ["has no answer"])
        self.assertEqual(self.said_of(*self.exchange(hbh=8)), ["has no answer", "answers nothing"])


class Everything(Judge):
    def setUp(self):
        self.files = sorted(glob.glob(os.path.join(DIRECTORY, "*", "*.pcap"))) if DIRECTORY else []
        self.assertTrue(self.files, "the end-to-end tests left no captures in $HSS_CAPTURE_DIR")
        self.wrong_input = False

    def test_everything(self):
        seen = {}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as several:
            read = several.map(self.messages, self.files)
        for path, messages in zip(self.files, read):
            for m in messages:
                if m["ours"]:
                    key = int(m["command"].split(",")[0] or 0), m["is_request"]
                    seen[key] = seen.get(key, 0) + 1
            with self.subTest(path=path):
                self.assertEqual(list(self.faults(messages)), [])
            self.wrong_input |= any(m["said"] and not m["ours"] for m in messages)
        self.assertTrue(self.wrong_input, "the judge itself: it has something to say about what the tests sent wrong")
        print(f"{sum(seen.values())} messages of {len(self.files)} captures", file=sys.stderr)
        self.assertEqual([key for key in MUST if key not in seen], [], "the tests showed too little")


if __name__ == "__main__":
    unittest.main(verbosity=2)
