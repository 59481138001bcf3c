"""Messages that brought other Diameter nodes down or fooled them, each beside a healthy peer that was connected before and is
answered throughout: the public reports against other implementations, and what an HSS must not be talked into by those
who reach it over an interconnect. Peers that misbehave in how they send and read: test_peers.py."""
import unittest

import diameter as d
import hss
from beside import Beside

HSS_ONLY_SENDS = {"CLR": d.CLR, "IDR": 319, "DSR": 320, "RSR": 322}
SUPPORTED_FEATURES = 628


class Attack(Beside):
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

    # --- lengths, depth, number

    def test_avp_length(self):
        """An AVP's length of 0, below its own header, or beyond the message: in a request, inside a group, in CER."""
        peer = self.peer("avp.test")
        for length in (0, 1, 7, 0xffff, 0xffffff):
            for bad in (d.avp(d.ROUTE_RECORD, "x", length=length),
                        d.v3(d.EUTRAN, [d.v3(d.NUM_VECTORS, 1, length=length)]),
                        d.v3(SUPPORTED_FEATURES, b"abcd", length=length),
                        d.v3(SUPPORTED_FEATURES, b"abcd", length=8 + length % 4)):  # below the header with Vendor-Id
                answer = peer.call(peer.s6a(d.AIR, hss.imsi(2), [d.v3(d.PLMN, b"\0\xf1\x10"), bad]))
                self.assertEqual((answer.result, len(answer.failed)), (5014, 1), (length, bad.hex()))
        for length in (0, 7, 0xffffff):
            caller = self.peer("cer-avp.test", capabilities=False)
            n = caller.id()
            caller.send(d.message(d.CER, caller.origin() + [
                d.avp(d.HOST_IP, b"\0\1\x7f\0\0\1"), d.avp(d.VENDOR_ID, 0), d.avp(d.PRODUCT, "x", flags=0),
                d.avp(d.AUTH_APP, d.S6A), d.avp(d.VSAI, b"", length=length)],
                flags=d.REQUEST, app=0, hbh=n, e2e=n))
            self.assertEqual(caller.wait(n).result, 5014, length)
            self.assertTrue(self.closes(caller))
        self.assertEqual(peer.call(peer.air(hss.imsi(2))).result, 2001)

    def test_nested_1000_deep(self):
        """In a group that is known, in one that may be ignored, in one that may not; in CER too."""
        peer = self.peer("deep.test")
        for code, vendor, flags, results in ((d.VSAI, None, 0x40, (5004, 5008, 5009, 5014)), (999999, None, 0, (2001,)),
                                             (999999, None, 0x40, (5001,)), (d.PROXY_INFO, None, 0x40, (5004, 5005, 5014)),
                                             (d.FAILED, None, 0, (2001, 5004, 5008, 5014)),
                                             (SUPPORTED_FEATURES, d.VENDOR, 0, (2001, 5004, 5005, 5014))):
            deep = b""
            for _ in range(1000):
                deep = d.avp(code, deep, vendor=vendor, flags=flags)
            answer = peer.call(peer.air(hss.imsi(2), more=[deep]))
            self.assertIn(answer.result, results, code)
            self.assertEqual(peer.call(peer.air(hss.imsi(2))).result, 2001)
        caller = self.peer("cer-deep.test", capabilities=False)
        n, deep = caller.id(), b""
        for _ in range(1000):
            deep = d.avp(d.VSAI, deep)
        caller.send(d.message(d.CER, caller.origin() + [
            d.avp(d.HOST_IP, b"\0\1\x7f\0\0\1"), d.avp(d.VENDOR_ID, 0), d.avp(d.PRODUCT, "x", flags=0), deep],
            flags=d.REQUEST, app=0, hbh=n, e2e=n))
        self.assertIn(caller.wait(n).result, (5005, 5008, 5010, 5014))

    def test_100000_avps(self):
        """More than any message needs are refused before they are looked at; 100,000 are longer than any message may be."""
        peer = self.peer("many-avps.test")
        for one, results in ((d.avp(999999, b"", flags=0), (5009,)), (d.avp(d.ROUTE_RECORD, "x"), (5009,)),
                             (d.avp(d.USER_NAME, hss.imsi(2)), (5009,)), (d.avp(999999, b"", flags=0x40), (5001, 5009)),
                             (d.v3(SUPPORTED_FEATURES, b"", flags=0), (5005, 5009))):
            answer = peer.call(peer.air(hss.imsi(2), more=[one] * (64000 // len(one))))
            self.assertIn(answer.result, results, one.hex())
            self.assertLess(len(answer.raw), 98304)
        peer.send(peer.air(hss.imsi(2), more=[d.avp(999999, b"", flags=0)] * 100000)[:65536])
        self.assertTrue(self.closes(peer))

    def test_many_proxy_infos(self):
        """Each comes back in the answer, whoever composes it."""
        peer = self.peer("proxy-infos.test")
        one = d.avp(d.PROXY_INFO, [d.avp(280, "p.test"), d.avp(33, b"state")])
        for cnt in (1, 100, 1000):
            for imsi in (hss.imsi(2), "001019999999999", "x"):
                answer = peer.call(peer.air(imsi, more=[one] * cnt))
                self.assertEqual(len(answer.all(d.PROXY_INFO)), cnt)

    # --- the peer's machine

    def test_cer_twice(self):
        """The second one ends this connection, not the first one's peer's right to come again."""
        peer = self.peer("cer-twice.test")
        self.assertEqual(peer.call(peer.cer()).result, 5012)
        self.assertTrue(self.closes(peer))
        again = self.peer("cer-twice.test")
        self.assertEqual(again.call(again.air(hss.imsi(2))).result, 2001)
        both = self.peer("cer-both.test", capabilities=False)  # in one segment, with a request behind
        both.send(both.cer(), both.cer(), both.air(hss.imsi(2)))
        self.assertTrue(self.closes(both))

    def test_requests_before_cer(self):
        """Nothing is served before the capabilities, also when the CER comes in the same segment."""
        for first in (d.AIR, d.ULR, d.PUR, d.NOR):
            peer = self.peer("before.test", capabilities=False)
            peer.send(peer.s6a(first, hss.imsi(2), []), peer.cer())
            with self.assertRaises(d.Closed):
                peer.read()
        self.assertNotIn('peer_up peer="before.test"', self.hss.log())

    def test_dwa_nobody_asked_for(self):
        peer = self.peer("dwa.test")
        for n in range(200):
            peer.send(d.message(d.DWR, [d.avp(d.RESULT, 2001)] + peer.origin(), flags=0, app=0, hbh=n, e2e=n))
        self.assertEqual(peer.call(peer.dwr()).result, 2001)
        row = self.hss.ctl_json("peer", "show", "dwa.test")
        self.assertEqual((row["state"], row["round_trip_us"]), ("open", None))

    # --- interconnect: level 1, what may come at all

    def test_commands_that_only_an_hss_sends(self):
        """An HSS is no reflector: CLR, IDR, DSR, RSR that come in are unknown commands here, for whoever they are."""
        peer = self.peer("reflector.test")
        with self.peer("victim.test") as victim:
            self.assertEqual(victim.call(victim.ulr(hss.imsi(5))).result, 2001)
            for name, command in HSS_ONLY_SENDS.items():
                for more, dest_host in (([d.v3(d.CANCELLATION, 0)], "victim.test"), ([d.v3(d.CANCELLATION, 0)], None),
                                        ([], hss.HOST)):
                    answer = peer.call(peer.s6a(command, hss.imsi(5), more, dest_host=dest_host))
                    self.assertEqual(answer.result, 3001, (name, more, dest_host))
            self.assertEqual(victim.call(victim.dwr()).result, 2001)
            self.assertEqual(victim.requests, [])
            self.assertEqual(self.hss.location(hss.imsi(5))["mme"]["host"], "victim.test")

    def test_applications_that_were_not_agreed(self):
        peer = self.peer("apps.test")
        for app in (0, 1, 16777216, 16777217, 16777252, 16777265, 16777308, 0xffffffff):
            n = peer.id()
            answer = peer.call(d.message(d.AIR, d.walk_raw(peer.air(hss.imsi(2))), app=app, hbh=n, e2e=n))
            self.assertIn(answer.result, (3007, 3001), app)

    def test_not_for_us(self):
        """Another host, another realm, our own name in the path, an unknown command."""
        peer = self.peer("elsewhere.test")
        self.assertEqual(peer.call(peer.air(hss.imsi(2), dest_host="other." + hss.REALM)).result, 3002)
        peer.dest_realm = "epc.mnc002.mcc001.3gppnetwork.org"
        self.assertEqual(peer.call(peer.air(hss.imsi(2))).result, 3003)
        for realm in ("", "\0", hss.REALM + "\0", "x" * 300, "\xff\xff"):
            peer.dest_realm = realm
            self.assertIn(peer.call(peer.air(hss.imsi(2))).result, (3003, 5004, 5014), repr(realm[:9]))
        peer.dest_realm = hss.REALM
        self.assertEqual(peer.call(peer.air(hss.imsi(2), more=[d.avp(d.ROUTE_RECORD, hss.HOST)])).result, 3005)
        self.assertEqual(peer.call(peer.s6a(4711, hss.imsi(2), [])).result, 3001)

    def test_who_says_he_is_us(self):
        peer = self.peer("us.test", capabilities=False)
        peer.host, peer.realm = hss.HOST, hss.REALM
        self.assertEqual(peer.call(peer.cer()).result, 3010)
        self.assertTrue(self.closes(peer))

    def test_session_id(self):
        """Absent, twice, not first, empty, enormous."""
        peer = self.peer("session.test")
        whole = d.walk_raw(peer.air(hss.imsi(2)))
        sid, rest = whole[0], whole[1:]
        for avps, results in ((rest, (5005,)), ([sid] + whole, (5009,)), (rest + [sid], (5012,)),
                              ([d.avp(d.SESSION_ID, b"")] + rest, (2001, 5004, 5014)),
                              ([d.avp(d.SESSION_ID, b"s" * 60000)] + rest, (2001, 5004, 5012))):
            n = peer.id()
            self.assertIn(peer.call(d.message(d.AIR, avps, hbh=n, e2e=n)).result, results)

    # --- interconnect: level 2, who may ask for what

    def test_another_node_purges_and_notifies(self):
        """PUR and NOR of who doesn't serve the subscriber: nothing changes, and PUR doesn't even tell."""
        with self.peer("serving.test") as serving, self.peer("stranger.test") as stranger:
            self.assertEqual(serving.call(serving.ulr(hss.imsi(6))).result, 2001)
            before = self.hss.location(hss.imsi(6))
            answer = stranger.call(stranger.pur(hss.imsi(6)))
            self.assertEqual((answer.result, answer.one(d.PUA_FLAGS).number), (2001, 0))
            self.assertEqual(stranger.call(stranger.nor(hss.imsi(6))).result, 5423)
            self.assertEqual(self.hss.location(hss.imsi(6)), before)
            self.assertEqual(serving.requests + stranger.requests, [])

    def test_vectors_without_end(self):
        peer = self.peer("greedy.test")
        for vectors in (6, 32, 1000, 0x7fffffff, 0xffffffff):
            answer = peer.call(peer.air(hss.imsi(2), vectors=vectors))
            if answer.result == 2001:
                self.assertLessEqual(len(answer.one(d.AUTH_INFO).all(d.EUTRAN_VECTOR)), 5)
            else:
                self.assertEqual(answer.result, 5004)
        self.assertIn(peer.call(peer.air(hss.imsi(2), vectors=0)).result, (2001, 5004))

    def test_answer_of_another_peer(self):
        """A CLR is answered by whom it was sent to: the same answer from somebody else is dropped."""
        old, other = self.peer("old.test"), self.peer("other.test")
        new = self.peer("new.test")
        old.answer_clr = False
        self.assertEqual(old.call(old.ulr(hss.imsi(7))).result, 2001)
        self.assertEqual(new.call(new.ulr(hss.imsi(7))).result, 2001)
        clr = old.take(d.CLR)
        before = self.hss.metric("hss_unmatched_answers_total")
        other.answer(clr)
        self.assertEqual(other.call(other.dwr()).result, 2001)
        self.assertEqual(self.hss.metric("hss_unmatched_answers_total") - before, 1)
        self.hss.until(lambda: self.hss.metric("hss_initiated_requests_pending") == 1, "it still waits")
        old.answer(clr)
        self.hss.until(lambda: self.hss.metric("hss_initiated_requests_pending") == 0, "answered")
        old.answer(clr)  # once more: nobody waits for it
        self.assertEqual(old.call(old.dwr()).result, 2001)
        self.assertEqual(self.hss.metric("hss_unmatched_answers_total") - before, 2)

    def test_answers_tell_nothing_of_the_inside(self):
        """No key, path or program text in what a refused request gets back."""
        peer = self.peer("curious.test")
        for request in (peer.air("x"), peer.air("001019999999999"), peer.air(hss.imsi(2), plmn=b""),
                        peer.air(hss.imsi(2), resync=b"\0" * 30), peer.air(hss.imsi(2), resync=b"\xff" * 3),
                        peer.ulr(hss.imsi(2), ulr_flags=0xffffffff), peer.s6a(4711, None, [])):
            raw = peer.call(request).raw
            for secret in (bytes.fromhex(hss.K), bytes.fromhex(hss.OPC), hss.K.encode(), b".c:", b"/tmp", b"/var",
                           self.hss.dir.encode(), b"hss-", b"127.0.0.1"):
                self.assertNotIn(secret, raw)


if __name__ == "__main__":
    unittest.main(verbosity=2)
