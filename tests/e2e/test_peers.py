"""Hostile peers, each beside a healthy one that is answered throughout: readers that don't read, senders that dribble,
connections without capabilities, floods, and the messages that brought other Diameter nodes down. At the end the same
frontend still runs, within bounded memory."""
import socket
import threading
import unittest

import diameter as d
import hss
from hss import Hss

MEMORY_MIB = 400  # of a sanitized frontend; what the attackers send would be far more
ANSWER_S = 2


class Healthy(threading.Thread):
    """A peer that asks for vectors all the time, and 10 times at least; `stop` tells what went wrong."""

    def __init__(self, port):
        super().__init__()
        self.port, self.ending, self.wrong, self.count = port, threading.Event(), [], 0

    def run(self):
        try:
            with d.Peer(self.port, "healthy.test") as peer:
                while not self.ending.wait(0.005) or self.count < 10:
                    result = peer.call(peer.air(hss.imsi(1)), timeout=ANSWER_S).result
                    self.count += 1
                    if result != 2001:
                        self.wrong.append(result)
        except Exception as e:  # a lost connection or a missing answer: what the test is about
            self.wrong.append(repr(e))

    def stop(self):
        self.ending.set()
        self.join()
        return self.wrong


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) // 1024


class Peers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hss = Hss(limits={"cer_timeout_ms": 1500})
        cls.addClassCleanup(cls.hss.close)
        cls.hss.provision(20)

    def setUp(self):
        self.pids = self.hss.pids()
        self.healthy = Healthy(self.hss.port)
        self.healthy.start()

    def tearDown(self):
        self.assertEqual(self.healthy.stop(), [], "the healthy peer")
        self.assertEqual(self.hss.pids(), self.pids, "nobody was restarted")
        self.assertLess(resident_mib(self.pids["frontend-0"]), MEMORY_MIB)

    def peer(self, host, **how):
        p = d.Peer(self.hss.port, host, **how)
        self.addCleanup(p.close)
        return p

    def closes(self, peer, timeout=20):
        """Whether the HSS closes this connection; what it says before is read."""
        try:
            while True:
                peer.read(timeout)
        except d.Closed:
            return True
        except TimeoutError:
            return False

    def test_never_reads(self):
        """It sends until the HSS takes no more (or closes), then still reads nothing."""
        peer = self.peer("deaf.test")
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.socket.settimeout(2)
        batch = b"".join(peer.air(hss.imsi(2), vectors=5) for _ in range(500))
        sent = 0
        try:
            while sent < 200 << 20:
                sent += peer.socket.send(batch)
        except (TimeoutError, ConnectionError):
            pass
        self.assertLess(sent, 200 << 20, "it took everything without an answer being read")

    def test_dribbles(self):
        peer = self.peer("dribble.test")
        request = peer.air(hss.imsi(3))
        for n in range(len(request)):
            peer.send(request[n:n + 1])
        self.assertEqual(peer.wait(d.Message(request).hbh).result, 2001)
        batch = [peer.air(hss.imsi(3)) for _ in range(50)]
        whole = b"".join(batch)
        for at in range(0, len(whole), 37):  # any segmentation, many in flight
            peer.send(whole[at:at + 37])
        for request in batch:
            self.assertEqual(peer.wait(d.Message(request).hbh).result, 2001)

    def test_500_connections_without_capabilities(self):
        peers = [self.peer("silent.test", capabilities=False) for _ in range(500)]
        for p in peers[::2]:
            p.send(b"\1\0")  # half of them begin a message
        for p in peers:
            self.assertTrue(self.closes(p))

    def test_flood(self):
        """More at once than one peer may have under way: the rest is told 3004, each is answered."""
        peer = self.peer("flood.test", timeout=60)
        results = {}
        requests = [peer.air(hss.imsi(n % 10 + 4)) for n in range(12000)]
        sender = threading.Thread(target=peer.send, args=requests)
        sender.start()
        for _ in requests:
            peer.step()
        sender.join()
        for m in peer.answers.values():
            results[m.result] = results.get(m.result, 0) + 1
        self.assertEqual(len(peer.answers), len(requests))
        self.assertFalse(set(results) - {2001, 3004}, results)
        self.assertGreater(results[2001], 1000)

    def test_one_subscriber_to_and_fro(self):
        """Two MMEs move one subscriber as fast as they can: its changes queue up, nobody else's."""
        both = [self.hss.load_start("ulr", imsi=hss.imsi(20), duration=1.5, window=1000, host=host, realm="test")
                for host in ("to.test", "fro.test")]
        with self.peer("beside.test") as peer:
            while any(r.process.poll() is None for r in both):
                self.assertEqual(peer.call(peer.ulr(hss.imsi(19)), timeout=ANSWER_S).result, 2001)
        for r in both:
            report = r.finish(check=False)
            self.assertFalse(set(report["results"]) - {"2001", "3004"}, report)
            self.assertEqual(report["timeouts"], 0)

    def test_first_message_is_no_cer(self):
        for first in ("air", "dwr", "dpr"):
            peer = self.peer("first.test", capabilities=False)
            peer.send(peer.air(hss.imsi(2)) if first == "air" else getattr(peer, first)())
            self.assertTrue(self.closes(peer), first)

    def test_header_length_below_20(self):
        """Kamailio 4876: a header length below 20, before the capabilities."""
        for length in (0, 4, 16, 19, 21, 0xffffff):
            for capable in (False, True):
                peer = self.peer("short.test", capabilities=capable)
                peer.send(b"\1" + length.to_bytes(3, "big") + bytes(64))
                self.assertTrue(self.closes(peer), length)
                peer.close()

    def test_64_origin_hosts(self):
        """Open5GS 4145: too often in CER, and in a request."""
        peer = self.peer("many.test", capabilities=False)
        n = peer.id()
        peer.send(d.message(d.CER, peer.origin() + [d.avp(d.ORIGIN_HOST, "many.test")] * 64 + [
            d.avp(d.HOST_IP, b"\0\1\x7f\0\0\1"), d.avp(d.VENDOR_ID, 0), d.avp(d.PRODUCT, "x", flags=0)],
            flags=d.REQUEST, app=0, hbh=n, e2e=n))
        self.assertEqual(peer.wait(n).result, 5009)
        with self.peer("many2.test") as peer:
            answer = peer.call(peer.air(hss.imsi(2), more=[d.avp(d.ORIGIN_HOST, "x.test")] * 64))
            self.assertEqual((answer.result, answer.failed[0].code), (5009, d.ORIGIN_HOST))

    def test_broken_vendor_specific_application(self):
        """Open5GS 4155: broken groups in CER."""
        for group in ([], b"\0\0\0", [d.avp(d.AUTH_APP, b"\1")], [d.avp(d.VENDOR_ID, 1, length=5)], b"\xff" * 40):
            peer = self.peer("vsai.test", capabilities=False)
            n = peer.id()
            peer.send(d.message(d.CER, peer.origin() + [
                d.avp(d.HOST_IP, b"\0\1\x7f\0\0\1"), d.avp(d.VENDOR_ID, 0), d.avp(d.PRODUCT, "x", flags=0),
                d.avp(d.VSAI, group)], flags=d.REQUEST, app=0, hbh=n, e2e=n))
            self.assertIn(peer.wait(n).result, (5005, 5010, 5014))
            peer.close()

    def test_bad_address(self):
        """Open5GS 4334: a Host-IP-Address that is none."""
        for address in (b"", b"\0", b"\0\1\x7f", b"\0\2" + bytes(4), b"\0\x63abc"):
            peer = self.peer("address.test", capabilities=False)
            n = peer.id()
            peer.send(d.message(d.CER, peer.origin() + [
                d.avp(d.HOST_IP, address), d.avp(d.VENDOR_ID, 0), d.avp(d.PRODUCT, "x", flags=0),
                d.avp(d.AUTH_APP, d.S6A)], flags=d.REQUEST, app=0, hbh=n, e2e=n))
            self.assertIn(peer.wait(n).result, (2001, 5004, 5014), address)
            peer.close()

    def test_strange_identities(self):
        """Open5GS 4644, 4675: NUL in Session-Id, empty and strange User-Names; the same connection goes on."""
        peer = self.peer("names.test")
        for name in ("", "\0", "9" * 16, "00101000000000x", "\xff" * 200, "001010000000001\0", "x" * 60000):
            answer = peer.call(peer.air(name))
            self.assertIn(answer.result, (5001, 5004), repr(name[:20]))
        n = peer.id()
        rest = d.Message(peer.air(hss.imsi(2))).avps[1:]
        body = [d.avp(d.SESSION_ID, b"a\0b;1;2")] + [d.avp(a.code, a.data, vendor=a.vendor) for a in rest]
        self.assertIn(peer.call(d.message(d.AIR, body, hbh=n, e2e=n)).result, (2001, 5004))
        self.assertEqual(peer.call(peer.air(hss.imsi(2))).result, 2001)

    def test_unknown_enumerators(self):
        """Open5GS 4309: values that are no enumerator."""
        peer = self.peer("enum.test")
        for request, what in ((peer.ulr(hss.imsi(2), rat=9999), d.RAT),
                              (peer.s6a(d.AIR, hss.imsi(2), [d.avp(d.AUTH_STATE, 7)]), d.AUTH_STATE)):
            answer = peer.call(request)
            self.assertIn(answer.result, (5004, 5005, 5009))
            if answer.result == 5004:
                self.assertEqual(answer.failed[0].code, what)

    def test_unsolicited_answers(self):
        """freeDiameter 15: answers to nothing."""
        peer = self.peer("unsolicited.test")
        before = self.hss.metric("hss_unmatched_answers_total")
        for command, app, flags in ((d.DWR, 0, 0), (d.CER, 0, 0), (d.DPR, 0, 0), (d.CLR, d.S6A, d.PROXIABLE),
                                    (d.AIR, d.S6A, d.PROXIABLE), (999, 77, 0)):
            peer.send(d.message(command, [d.avp(d.SESSION_ID, "a;1;2")] * (app != 0) + [d.avp(d.RESULT, 2001)] +
                                peer.origin(), flags=flags, app=app, hbh=5, e2e=5))
        self.assertEqual(peer.call(peer.air(hss.imsi(2))).result, 2001)
        self.assertGreaterEqual(self.hss.metric("hss_unmatched_answers_total") - before, 3)

    def test_every_octet_of_a_request_wrong(self):
        """Each octet in turn turned over: an answer or a closed connection, never silence about the next request."""
        peer = None
        request = self.peer("octets.test").air(hss.imsi(2))
        for at in range(len(request)):
            broken = bytearray(request)
            broken[12:16] = d.u32(at * 0x01010101 & 0xffffffff)
            broken[at] ^= 0xff
            try:
                peer = peer or self.peer(f"octets-{at}.test")  # the last one may not be known as gone yet
                peer.send(bytes(broken))
                if at in range(1, 4):  # the length: the rest may be taken for a longer message
                    raise d.Closed
                peer.call(peer.dwr())
            except (d.Closed, BrokenPipeError, ConnectionError):
                peer.close()
                peer = None

    def test_second_connection_of_one_identity(self):
        """The peer that is there is not disturbed by somebody who says the same name."""
        first = self.peer("twice.test")
        second = self.peer("twice.test", capabilities=False)
        second.send(second.cer())
        try:
            second.read(5)
        except d.Closed:
            pass
        self.assertEqual(first.call(first.air(hss.imsi(2))).result, 2001)


if __name__ == "__main__":
    unittest.main(verbosity=2)
