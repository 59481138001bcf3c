"""Attach and what follows, seen from peers: vectors, subscription, locations, cancellations, repetitions, restarts."""
import json
import os
import unittest

import diameter as d
import hss
from hss import FIRST, K, OPC, Hss


class Attach(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hss = Hss(frontends=2)  # cancellations go to peers of the other one as well
        cls.addClassCleanup(cls.hss.close)
        cls.hss.provision(60)

    def peer(self, host, **how):
        p = d.Peer(self.hss.port, host, **how)
        self.addCleanup(p.close)
        return p

    def mme(self, imsi):
        return self.hss.location(imsi)["mme"]["host"]

    def test_vectors_and_subscription(self):
        report = self.hss.load("attach", imsi=hss.imsi(1), subscribers=10, k=K, opc=OPC, verify="all", vectors=5)
        self.assertEqual(report["results"], {"2001": 20})
        self.assertEqual((report["vectors_verified"], report["bad_vectors"], report["duplicate_sqn"]), (50, 0, 0))
        shown = self.hss.run("hss-load", "attach", "--connect", self.hss.target, "--imsi", hss.imsi(1), "--k", K,
                             "--opc", OPC, "--show").stdout
        for what in ("internet", "ims", "49151"):
            self.assertIn(what, shown)
        sqn = self.hss.ctl_json("sqn", "show", hss.imsi(1))
        self.assertEqual(sqn["imsi"], hss.imsi(1))
        self.assertEqual(int(sqn["sqn"]), int(sqn["seq"]) << 5)
        self.assertEqual(sqn["ind_bits"], 5)
        self.assertGreater(int(sqn["reserved_until"]), int(sqn["sqn"]))
        self.assertEqual(self.mme(hss.imsi(1)), "mme01.epc.mnc001.mcc001.3gppnetwork.org")

    def test_subscription_avps(self):
        with self.peer("mme-avps.test") as mme:
            data = mme.call(mme.ulr(hss.imsi(11))).one(d.SUBSCRIPTION)
        profile = data.one(d.APN_PROFILE)
        self.assertEqual([a.one(d.SERVICE_SELECTION).text for a in profile.all(d.APN)], ["internet", "ims"])
        self.assertEqual(data.one(d.MSISDN).data.hex(), self.bcd("49151" + hss.imsi(11)[-8:]))

    @staticmethod
    def bcd(digits):
        digits += "f" * (len(digits) % 2)
        return "".join(digits[i + 1] + digits[i] for i in range(0, len(digits), 2))

    def test_unknown_subscriber(self):
        with self.peer("mme-unknown.test") as mme:
            for request in (mme.air, mme.ulr, mme.pur, mme.nor):
                answer = mme.call(request("001019999999999"))
                self.assertEqual(answer.result, 5001)
                self.assertTrue(answer.all(d.EXPERIMENTAL))
                self.assertFalse(answer.all(d.SUBSCRIPTION))

    def test_refused_requests_are_logged(self):
        """Why does this phone not attach? Peer, subscriber, result and rule are in the log, at level info."""
        unknown, barred, lte = "001019999999999", hss.imsi(58), hss.imsi(57)
        self.hss.ctl("subscriber", "set", barred, "subscriber_status=1", "operator_determined_barring=0")
        self.hss.ctl("subscriber", "set", lte, "access_restriction_data=16")
        with self.peer("mme-why.test") as mme:
            self.assertEqual(mme.call(mme.air(unknown)).result, 5001)
            self.assertEqual(mme.call(mme.ulr(barred)).result, 5004)
            self.assertEqual(mme.call(mme.ulr(lte)).result, 5421)
        for command, imsi, result, rule in (("AIR", unknown, 5001, "unknown subscriber"),
                                            ("ULR", barred, 5004, "operator_determined_barring: all packet services"),
                                            ("ULR", lte, 5421, "access_restriction_data forbids this RAT")):
            self.hss.wait_log(f'request_refused peer="mme-why.test" command="{command}" imsi="{imsi}" '
                              f'result="exp_{result}" rule="{rule}"')

    def test_a_peer_of_another_application_is_told_of(self):
        with self.peer("as.test", capabilities=False) as peer:
            self.assertEqual(peer.call(peer.cer(app=16777291)).result, 5010)
        self.hss.wait_log('peer_rejected peer="as.test" .* result=5010 reason="no common application; this HSS does not '
                          'serve SLh \\(16777291\\)"')

    def test_refused_by_subscription(self):
        """What the operator sets is what the next request meets."""
        def result(imsi, **how):
            answer = mme.call(mme.ulr(imsi, **how))
            self.assertEqual(bool(answer.all(d.SUBSCRIPTION)), answer.result == 2001)
            return answer.result
        imsi = hss.imsi(41)
        with self.peer("mme-refused.test") as mme:
            self.assertEqual(result(imsi), 2001)
            self.hss.ctl("subscriber", "set", imsi, "access_restriction_data=16")  # no WB-E-UTRAN
            self.assertEqual(result(imsi), 5421)
            self.assertEqual(mme.call(mme.air(imsi)).result, 2001)
            # 0 is "All Packet Oriented Services Barred" of the WebUI; 1 bars roamers only
            self.hss.ctl("subscriber", "set", imsi, "access_restriction_data=0", "subscriber_status=1",
                         "operator_determined_barring=0")
            self.assertEqual(result(imsi), 5004)  # that MME announces no support of barring
            self.hss.ctl("subscriber", "bar", imsi, "--what", "home-apn")
            self.assertEqual(result(imsi), 2001)
            self.hss.ctl("subscriber", "bar", imsi)
            self.assertEqual(result(imsi), 5004)
            self.hss.ctl("subscriber", "unbar", imsi)
            self.assertEqual(result(imsi), 2001)
            self.assertEqual(self.mme(imsi), "mme-refused.test")

    def test_cancel_at_the_first_mme(self):
        imsi = hss.imsi(12)
        with self.peer("mme-a.test") as a, self.peer("mme-b.test") as b:
            self.assertEqual(a.call(a.ulr(imsi)).result, 2001)
            self.assertEqual(b.call(b.ulr(imsi)).result, 2001)
            clr = a.take(d.CLR)
            self.assertEqual((clr.one(d.USER_NAME).text, clr.one(d.CANCELLATION).number), (imsi, 0))
            self.assertEqual(clr.one(d.DEST_HOST).text, "mme-a.test")
            self.assertEqual(clr.one(d.DEST_REALM).text, "test")
            self.assertEqual(self.mme(imsi), "mme-b.test")
            self.assertEqual(b.call(b.ulr(imsi)).result, 2001)  # the same node again: nobody to cancel
            self.assertEqual(b.call(b.dwr()).result, 2001)
            self.assertFalse(b.requests)

    def test_cancel_between_two_hss_load(self):
        """Two MMEs fight for the same subscribers; each gets the other's cancellations."""
        how = dict(imsi=hss.imsi(21), subscribers=20, duration=3, rate=50, answer_clr=True)
        one = self.hss.load_start("ulr", host="mme-one.test", realm="test", **how)
        two = self.hss.load_start("ulr", host="mme-two.test", realm="test", **how)
        for report in (one.finish(), two.finish()):
            self.assertEqual(list(report["results"]), ["2001"])
            self.assertGreater(report["clr_received"], 0)

    def test_sgsn_beside_mme(self):
        imsi = hss.imsi(13)
        with self.peer("mme-c.test") as mme, self.peer("sgsn-c.test") as sgsn:
            self.assertEqual(mme.call(mme.ulr(imsi, ulr_flags=0x02)).result, 2001)
            self.assertEqual(sgsn.call(sgsn.ulr(imsi, ulr_flags=0x00, rat=1000)).result, 2001)
            self.assertEqual(mme.call(mme.dwr()).result, 2001)
            self.assertFalse(mme.requests, "both are remembered side by side")
            where = self.hss.location(imsi)
            self.assertEqual((where["mme"]["host"], where["sgsn"]["host"]), ("mme-c.test", "sgsn-c.test"))

    def test_purge_and_notify(self):
        imsi = hss.imsi(14)
        with self.peer("mme-p.test") as mme, self.peer("mme-q.test") as other:
            self.assertEqual(mme.call(mme.ulr(imsi)).result, 2001)
            gateway = [d.avp(d.SERVICE_SELECTION, "internet"), d.avp(486, [d.avp(334, b"\0\1\x0a\0\0\1")])]
            self.assertEqual(mme.call(mme.nor(imsi, gateway)).result, 2001)
            self.assertEqual(other.call(other.nor(imsi, gateway)).result, 5423)
            answer = other.call(other.pur(imsi))
            self.assertEqual(answer.result, 2001)
            self.assertFalse([a for a in answer.all(d.PUA_FLAGS) if a.number])
            self.assertFalse(self.hss.location(imsi)["mme"]["purged"])
            answer = mme.call(mme.pur(imsi))
            self.assertEqual((answer.result, answer.one(d.PUA_FLAGS).number & 1), (2001, 1))
            self.assertTrue(self.hss.location(imsi)["mme"]["purged"])

    def test_repeated_requests_change_nothing_twice(self):
        """Same Origin-Host and End-to-End: a's late copy doesn't take the subscriber back from b."""
        imsi = hss.imsi(15)
        with self.peer("mme-r.test") as a, self.peer("mme-s.test") as b:
            first = a.id()
            self.assertEqual(a.call(a.ulr(imsi, e2e=first)).result, 2001)
            self.assertEqual(b.call(b.ulr(imsi)).result, 2001)
            a.take(d.CLR)
            for flags in (d.REQUEST | d.PROXIABLE | d.RETRANSMIT, d.REQUEST | d.PROXIABLE):
                self.assertEqual(a.call(a.ulr(imsi, e2e=first, flags=flags)).result, 2001)
                self.assertEqual(self.mme(imsi), "mme-s.test")
            self.assertEqual(b.call(b.dwr()).result, 2001)
            self.assertFalse(b.requests, "no cancellation")
            repeated = [a.call(a.air(imsi, e2e=first + 999)) for _ in range(2)]
            rands = {m.one(d.AUTH_INFO).one(d.EUTRAN_VECTOR).one(d.RAND).data for m in repeated}
            self.assertEqual(len(rands), 2, "fresh vectors")

    def test_vectors_in_order(self):
        with self.peer("mme-v.test") as mme:
            vectors = mme.call(mme.air(hss.imsi(16), vectors=5)).one(d.AUTH_INFO).all(d.EUTRAN_VECTOR)
            self.assertEqual([v.one(d.ITEM_NUMBER).number for v in vectors], [1, 2, 3, 4, 5])
            vectors = mme.call(mme.air(hss.imsi(16), vectors=32)).one(d.AUTH_INFO).all(d.EUTRAN_VECTOR)
            self.assertEqual(len(vectors), 5)  # s6a.max_vectors

    def test_utran_vectors(self):
        report = self.hss.load("attach", imsi=hss.imsi(17), k=K, opc=OPC, verify="all", s6d=True, host="sgsn9.test")
        self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 2}, 0))

    def test_resynchronisation(self):
        report = self.hss.load("resync", imsi=hss.imsi(18), k=K, opc=OPC, jump=5000, verify="all")
        self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 2}, 0))

    def test_forged_auts(self):
        before = self.hss.ctl_json("sqn", "show", hss.imsi(19))["seq"]
        with self.peer("mme-f.test") as mme:
            self.assertEqual(mme.call(mme.air(hss.imsi(19), resync=bytes(30))).result, 4181)
        self.assertEqual(self.hss.ctl_json("sqn", "show", hss.imsi(19))["seq"], before)

    def test_changed_subscriber_is_served_changed(self):
        imsi = hss.imsi(20)
        self.hss.ctl("subscriber", "delete", imsi)
        with self.peer("mme-w.test") as mme:
            self.assertEqual(mme.call(mme.ulr(imsi)).result, 5001)
            self.hss.ctl("subscriber", "add", imsi, "--k", K, "--opc", OPC, "--apn", "corporate")
            data = mme.call(mme.ulr(imsi)).one(d.SUBSCRIPTION)
            self.assertEqual([a.one(d.SERVICE_SELECTION).text for a in data.one(d.APN_PROFILE).all(d.APN)],
                             ["corporate"])


class Restart(unittest.TestCase):
    def test_state_survives(self):
        """A clean stop, then kill -9 of everything: locations stay, SEQs go on with less than 4096 skipped."""
        with Hss() as h:
            h.provision(20)
            log = os.path.join(h.dir, "answers")
            h.load("attach", imsi=FIRST, subscribers=20, requests=200, k=K, opc=OPC, verify="all", log=log)
            used = {(imsi, sqn) for what, imsi, sqn in hss.load_log(log) if what == "air"}
            for how in (lambda: self.assertEqual(h.stop(), 0), h.kill):
                before = [int(h.ctl_json("sqn", "show", hss.imsi(n + 1))["seq"]) for n in range(20)]
                how()
                h.start()
                h.wait_served()
                for n in range(20):
                    seq = int(h.ctl_json("sqn", "show", hss.imsi(n + 1))["seq"])
                    self.assertGreaterEqual(seq, before[n])
                    self.assertLess(seq - before[n], 4096)
                    self.assertEqual(h.location(hss.imsi(n + 1))["mme"]["host"],
                                     "mme01.epc.mnc001.mcc001.3gppnetwork.org")
                h.load("air", imsi=FIRST, subscribers=20, k=K, opc=OPC, verify="all", log=log)
                new = {(imsi, sqn) for what, imsi, sqn in hss.load_log(log) if what == "air"}
                self.assertEqual(len(new), 20)
                self.assertFalse(used & new)
                used |= new
            self.assertEqual(h.stop(), 0)

    def test_cancellation_is_delivered_when_the_node_is_back(self):
        """The old MME was away when its subscriber moved; everything was killed since."""
        with Hss() as h:
            h.provision(2)
            with d.Peer(h.port, "mme-a.test") as a:
                self.assertEqual(a.call(a.ulr(FIRST)).result, 2001)
                a.disconnect()
            with d.Peer(h.port, "mme-b.test") as b:
                self.assertEqual(b.call(b.ulr(FIRST)).result, 2001)
            h.kill()
            h.start()
            with d.Peer(h.port, "mme-a.test") as a:
                clr = a.take(d.CLR, timeout=15)
                self.assertEqual(clr.one(d.USER_NAME).text, FIRST)
                h.until(lambda: h.metric("hss_initiated_requests_pending") == 0, "delivered", timeout=5)
                self.assertFalse([r for r in a.requests if r.command == d.CLR], "once")
            self.assertEqual(h.stop(), 0)

    def test_ipv6_and_several_listeners(self):
        ports = [hss.free_port(), hss.free_port()]
        with Hss(listen=[{"transport": "tcp", "address": "::1", "port": ports[0]},
                         {"transport": "tcp", "address": "127.0.0.1", "port": ports[1]}]) as h:
            h.provision(2)
            for address, port in (("::1", ports[0]), ("127.0.0.1", ports[1])):
                with d.Peer(port, f"mme-{port}.test", address=address) as mme:
                    self.assertIn(bytes.fromhex("0002" + "00" * 15 + "01") if ":" in address else b"\0\1\x7f\0\0\1",
                                  [a.data for a in mme.cea.all(d.HOST_IP)])
                    self.assertEqual(mme.call(mme.ulr(FIRST)).result, 2001)
                    self.assertEqual(h.location(FIRST)["mme"]["host"], mme.host)

    def test_full_cache_refuses_subscribers_not_service(self):
        with Hss(cache={"max_subscribers": 10}) as h:
            path = os.path.join(h.dir, "many.jsonl")
            with open(path, "w") as f:
                for n in range(1, 16):
                    f.write(json.dumps(hss.document(hss.imsi(n))) + "\n")
            done = h.ctl("subscriber", "import", path, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"many\.jsonl:11: .*full")
            h.until(lambda: h.metric("hss_subscribers") == 10, "the gauge", timeout=5)  # is set once a second
            self.assertGreater(h.metric("hss_cache_full_total"), 0)
            self.assertEqual(h.load("attach", imsi=FIRST, subscribers=10, k=K, opc=OPC)["results"], {"2001": 20})
            h.ctl("subscriber", "delete", FIRST)
            h.ctl("subscriber", "add", hss.imsi(15), "--k", K, "--opc", OPC)
            self.assertEqual(h.stop(), 0)

    def test_deleted_and_added_again(self):
        with Hss() as h:
            h.ctl("subscriber", "add", FIRST, "--k", K, "--opc", OPC, "--sqn", 320000)
            h.load("air", imsi=FIRST, requests=10, k=K, opc=OPC)
            before = int(h.ctl_json("sqn", "show", FIRST)["seq"])
            h.ctl("subscriber", "delete", FIRST)
            h.ctl("subscriber", "add", FIRST, "--k", K, "--opc", OPC)
            self.assertGreaterEqual(int(h.ctl_json("sqn", "show", FIRST)["seq"]), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
