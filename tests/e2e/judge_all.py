"""tshark over everything that the HSS said to the peers of all end-to-end tests (capture.py): nothing malformed, unknown or
remarkable, every answer belongs to a request, and every request is answered. Runs after the other tests, and fails when
they left nothing, or nothing over TLS. What was said over TLS is decrypted, all of it.

What a peer sent wrong is repeated in its answer (an unknown command, a Session-Id with NUL): a remark that tshark makes
about the request, too, is the peer's. Nobody owes an answer on a connection that was cut: a request must be answered when
the connection ended in order (DPA), or when the peer still read something 5 s later.
"""
import collections
import concurrent.futures
import glob
import os
import ssl
import sys
import tempfile
import unittest
from unittest import mock

import capture
import diameter as d
import judge
import tls
from capture import PORT, TLS_PORT

DIRECTORY = os.environ.get("HSS_CAPTURE_DIR", "")
PATIENCE_S = 5
VERSION = "5011"  # the answer to what is not Diameter as tshark knows it
MUST = [(code, False) for code in (d.CER, d.DWR, d.DPR, d.AIR, d.ULR, d.PUR, d.NOR)] + [
    (code, True) for code in (d.CER, d.DPR, d.CLR)] + [(306, False), (307, False), (308, False), (309, True)]  # the last: Sh
MUST_TLS = [(code, False) for code in (d.CER, d.DPR, d.AIR, d.ULR)] + [(code, True) for code in (d.CER, d.DPR, d.CLR)]
MUST_SCTP = [(code, False) for code in (d.CER, d.DPR, d.AIR, d.ULR, d.PUR)] + [(code, True) for code in (d.CER, d.CLR)]
ODD = "odd."  # an SCTP peer whose messages are not one user message each (sctp_guest.py): tshark sees not all of them
SCTP_PORTS = range(PORT, PORT + 5)  # in the virtual machines; to the ones above the first the HSS connects

FIELDS = {"frame": "frame.number", "stream": "tcp.stream", "from": "tcp.srcport", "sctp_from": "sctp.srcport",
          "sctp_to": "sctp.dstport", "again": "sctp.retransmission", "cut": "tcp.flags.reset", "time": "frame.time_epoch",
          "records": "tls.record.length", "content": "tls.record.content_type", "opaque": "tls.record.opaque_type",
          "result": "diameter.Result-Code", "who": "diameter.Origin-Host", "answer": "diameter.answer_in",
          "asked": "diameter.answer_to", "said": "_ws.expert.message"}
OF_ONE = {"command": "diameter.cmd.code", "request": "diameter.flags.request", "hop": "diameter.hopbyhopid",
          "end": "diameter.endtoendid"}  # each message has one


def keys_of(path, directory):
    """One file with all the keys that the test of this capture left; it may be empty."""
    together = os.path.join(directory, "keys")
    with open(together, "wb") as out:
        for each in glob.glob(os.path.join(os.path.dirname(path), "*.keys")):
            with open(each, "rb") as f:
                out.write(f.read())
    return together


def said_of(message):
    """tshark's remarks about it, a list; none about no message. The Subscription-Data of an IDR that only asks are empty: the AVP
    must be there (TS 29.272 7.2.9)."""
    said = message["said"].split(",") if message and message["said"] else []
    return [s for s in said if (message["command"], s) != (str(d.IDR), "Data is empty")]


class Judge(unittest.TestCase):
    def messages(self, path):
        """What tshark says of each message, and of each TLS record that is none."""
        wanted = {**FIELDS, **OF_ONE}
        with tempfile.TemporaryDirectory() as directory:
            rows = judge.tshark(path, "diameter || tls || tcp.flags.reset==1", *wanted.values(), keys=keys_of(path, directory),
                                decode=[f"tls.port=={TLS_PORT}", *(f"sctp.port=={port}" for port in SCTP_PORTS)])
        messages, by_frame, seen = [], collections.defaultdict(list), set()
        for row in rows:
            packet = dict(zip(wanted, row))
            packet["over"] = "TLS" if packet["records"] else "SCTP" if packet["sctp_from"] else "TCP"
            packet["stream"] = packet["stream"] or "-".join(sorted((packet["sctp_from"], packet["sctp_to"])))
            packet["ours"] = packet["from"] in (str(PORT), str(TLS_PORT)) or packet["sctp_from"] == str(PORT) or (
                packet["sctp_to"] in map(str, SCTP_PORTS[1:]))
            packet["said"] = ",".join(judge.of_diameter(packet["said"].split(",")))
            for values in zip(*(packet[name].split(",") for name in OF_ONE)):
                one = {**packet, **dict(zip(OF_ONE, values))}
                one["is_request"] = one["request"] in ("1", "True")
                what = one["stream"], one["ours"], *values
                if one["again"] and what in seen:  # a path was lost, or a reader was late
                    continue
                seen.add(what)
                messages.append(one)
                by_frame[one["frame"]].append(one)
        for m in messages:
            alone = [by_frame[m[other]] for other in ("asked", "answer") if m[other]]
            if m["over"] == "TCP" and len(by_frame[m["frame"]]) == 1 and all(len(each) == 1 for each in alone):
                m["asked"] = by_frame[m["asked"]][0] if m["asked"] else None
            else:
                m["asked"] = m["answer"] = None
        self.match(messages)
        return messages

    def match(self, messages):
        """Where tshark doesn't tell which of a packet's messages answers which."""
        waiting = {}
        for m in messages:
            key = m["stream"], m["hop"], m["end"], m["command"]
            if m["asked"] or m["answer"] or not m["command"]:
                continue
            if m["is_request"]:
                waiting[key, m["ours"]] = m
            elif (key, not m["ours"]) in waiting:
                m["asked"] = waiting.pop((key, not m["ours"]))
                m["asked"]["answer"] = m["frame"]

    def faults(self, messages):
        """What is wrong with ours, and what we owe."""
        in_order = {m["stream"] for m in messages if m["ours"] and m["command"] == str(d.DPR) and not m["is_request"]}
        last = {m["stream"]: float(m["time"]) for m in messages if m["ours"]}
        cut = {m["stream"] for m in messages if m["cut"] in ("1", "True")}  # there was more than the capture has
        odd = {m["stream"] for m in messages if m["over"] == "SCTP" and m["who"].startswith(ODD)}
        understood = {m["stream"] for m in messages if m["command"]}
        for m in messages:
            # TLS 1.3 hides what kind of record it is; where 1.2 doesn't, an application's octets must have become messages
            hidden = len(m["records"].split(",")) != len(m["content"].split(",")) or bool(m["records"]) != bool(m["content"])
            if hidden or (m["stream"] not in understood and not m["opaque"] and "23" in m["content"].split(",")):
                yield "is not decrypted", m
            if m["ours"] and not set(said_of(m)) <= set(said_of(m["asked"])):
                yield "remark", m
            if m["ours"] and m["command"] and not m["is_request"] and not m["asked"] and m["result"] != VERSION and (
                    m["stream"] not in odd):
                yield "answers nothing", m
            late = last.get(m["stream"], 0) > float(m["time"]) + PATIENCE_S and m["stream"] not in cut
            if not m["ours"] and m["is_request"] and not m["answer"] and not m["said"] and (m["stream"] in in_order or late):
                yield "has no answer", m


class A_Itself(Judge):
    """It finds each kind of fault."""

    def plainly(self, exchange):
        stream = capture.Stream()
        for by_peer, message in exchange:
            (stream.sent if by_peer else stream.received)(message)

    def over_tls(self, exchange, version=ssl.TLSVersion.TLSv1_3, known=True):
        """The same between two sides that only write down what they would send. not known: the keys are lost."""
        with tempfile.TemporaryDirectory() as directory:
            ca = tls.Authority(directory)
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.load_cert_chain(*ca.issue("hss.example"))
            server.num_tickets = 0
            client = tls.context(ca)
        client.maximum_version = version
        if not known:
            client.keylog_filename = None
        stream, one, other = capture.TlsStream(), ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = client.wrap_bio(one, other, server_hostname="hss.example")
        node = server.wrap_bio(other, one, server_side=True)
        # what a side has written is taken, written down, and put back for the other one
        def carry(by_peer):
            pipe = other if by_peer else one
            data = pipe.read()
            pipe.write(data)
            if data:
                stream.take(by_peer, data)
        for side in (peer, node, peer, node):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            carry(side is peer)
        for by_peer, message in exchange:
            (peer if by_peer else node).write(message)
            carry(by_peer)
            (node if by_peer else peer).read(65536)

    def said_of(self, *exchange, say=None, **how):
        """Faults of a connection with these (by the peer, message); then DPR and DPA."""
        with tempfile.TemporaryDirectory() as directory:
            with mock.patch.dict(os.environ, {"HSS_CAPTURE_DIR": directory}), mock.patch.dict(capture.opened, clear=True):
                who = d.avp(d.ORIGIN_HOST, "mme.example")
                (say or self.plainly)([*exchange, (True, d.message(d.DPR, [who], d.REQUEST, 0, 99, 99)),
                                       (False, d.message(d.DPR, [who, d.avp(d.RESULT, 2001)], 0, 0, 99, 99))], **how)
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

    def test_remarks_that_the_request_deserved(self):
        """Not all of a defect is in the answer: which octets are depends on how many digits an id has, thus on the date."""
        wrong, unknown, other = d.avp(d.AUTH_STATE, b"\0\1"), d.avp(0xf0001, "abcd"), d.avp(d.ORIGIN_HOST, "abcd", length=7)
        asked = True, d.message(d.AIR, [d.avp(d.SESSION_ID, "a;1;2"), unknown, wrong], hbh=7, e2e=7)
        self.assertEqual(self.said_of(asked, self.exchange(wrong)[1]), [])
        self.assertEqual(self.said_of(asked, self.exchange(other)[1]), ["remark"])

    def test_matching(self):
        self.assertEqual(self.said_of(self.exchange()[0]), ["has no answer"])
        self.assertEqual(self.said_of(*self.exchange(hbh=8)), ["has no answer", "answers nothing"])


    def test_over_tls(self):
        asked, answered = self.exchange()
        wrong = self.exchange(d.avp(0xf0001, "abcd"))[1]
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            def faults(*exchange, **how):
                return self.said_of(*exchange, say=self.over_tls, version=version, **how)
            # several messages in a record
            other = [d.message(d.AIR, [d.avp(d.SESSION_ID, "a;1;3")], hbh=8, e2e=8),
                     d.message(d.AIR, [d.avp(d.SESSION_ID, "a;1;3"), d.avp(d.RESULT, 2001)], d.PROXIABLE, hbh=8, e2e=8)]
            self.assertEqual(faults((True, asked[1] + other[0]), (False, other[1] + answered[1])), [])
            self.assertEqual(faults((True, asked[1] + other[0]), answered), ["has no answer"])
            self.assertEqual(faults(asked, wrong, (False, other[1])), ["remark", "answers nothing"])
            self.assertEqual(set(faults(asked, answered, known=False)), {"is not decrypted"})


class Everything(Judge):
    def setUp(self):
        self.files = sorted(glob.glob(os.path.join(DIRECTORY, "*", "*.pcap"))) if DIRECTORY else []
        self.assertTrue(self.files, "the end-to-end tests left no captures in $HSS_CAPTURE_DIR")
        self.wrong_input = False

    def test_everything(self):
        over, seen, versions = collections.Counter(), collections.defaultdict(set), set()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as several:
            read = several.map(self.messages, self.files)
        for path, messages in zip(self.files, read):
            for m in messages:
                if m["ours"] and m["command"]:
                    over[m["over"]] += 1
                    seen[m["over"]].add((int(m["command"]), m["is_request"]))
                    versions |= {bool(m["opaque"])} if m["records"] else set()
            with self.subTest(path=path):
                self.assertEqual(list(self.faults(messages)), [])
            self.wrong_input |= any(m["said"] and m["command"] and not m["ours"] for m in messages)
        self.assertTrue(self.wrong_input, "the judge itself: it has something to say about what the tests sent wrong")
        print(f"{sum(over.values())} messages of {len(self.files)} captures:", ", ".join(f"{count} over {transport}" for
                                                                                     transport, count in over.items()),
              file=sys.stderr)
        self.assertEqual([key for key in MUST if key not in seen["TCP"]], [], "the tests showed too little")
        self.assertEqual([key for key in MUST_TLS if key not in seen["TLS"]], [], "the tests showed too little over TLS")
        self.assertEqual([key for key in MUST_SCTP if key not in seen["SCTP"]], [], "the tests showed too little over SCTP")
        self.assertEqual(versions, {True, False}, "both TLS 1.3 and 1.2")


if __name__ == "__main__":
    unittest.main(verbosity=2)
