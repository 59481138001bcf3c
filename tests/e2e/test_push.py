"""Changed subscription data reach the nodes that serve the subscriber: Insert- and Delete-Subscriber-Data (TS 29.272 5.2.2.1,
5.2.2.2), with what has changed and nothing else, once, and nothing that events have overtaken."""
import json
import os
import subprocess
import time
import unittest

import diameter as d
from hss import FIRST, Hss, imsi

SKIP = 0x26  # S6a, Skip-Subscriber-Data, Initial-Attach
STATUS, ODB, AMBR, CHARGING, DSR_FLAGS, INDICATOR, A_MSISDN, CANCELLATION = 1424, 1425, 1435, 13, 1421, 1428, 1643, 1420
LAST_APN = {"slice": [{"sst": 1, "default_indicator": True, "session": []}]}


def codes(request):
    return sorted(a.code for a in request.one(d.SUBSCRIPTION).avps)


class Push(unittest.TestCase):
    def setUp(self):
        self.h = Hss()
        self.h.provision(2)
        self.a = d.Peer(self.h.port, "mme-a.test")
        self.attach()

    def tearDown(self):
        self.a.close()
        self.assertEqual(self.h.stop(), 0)
        self.h.close()

    def attach(self, peer=None, **how):
        peer = peer or self.a
        answer = peer.call(peer.ulr(FIRST, **how))
        self.assertEqual(answer.result, 2001)
        return bool(answer.all(d.SUBSCRIPTION))

    def set(self, *fields):
        self.h.ctl("subscriber", "set", FIRST, *fields)

    def waiting(self):
        return self.h.ctl_json("store", "status")["hss_requests_pending"]

    def settled(self):
        """Answers what comes until nothing waits."""
        deadline = time.monotonic() + 30
        while self.waiting():
            self.assertLess(time.monotonic(), deadline, "requests still wait\n" + self.h.log_tail())
            try:
                self.a.step(0.05)
            except TimeoutError:
                pass

    def nothing_came(self):
        self.settled()
        self.assertEqual(self.a.call(self.a.dwr()).result, 2001)
        self.assertEqual(self.a.requests, [])

    def test_what_has_changed_and_nothing_else(self):
        self.set("ambr.downlink.value=7", "ambr.downlink.unit=2")
        idr = self.a.take(d.IDR)
        self.assertEqual(idr.one(d.USER_NAME).text, FIRST)
        self.assertEqual(idr.one(d.DEST_HOST).text, "mme-a.test")
        self.assertEqual(codes(idr), [AMBR])
        self.settled()
        self.assertFalse(self.attach(ulr_flags=SKIP), "the node has the new data")
        self.set("subscriber_status=1")
        self.assertEqual(codes(self.a.take(d.IDR)), [STATUS, ODB])
        self.set("subscriber_status=0")
        idr = self.a.take(d.IDR)
        self.assertEqual(codes(idr), [STATUS])
        self.assertEqual(idr.one(d.SUBSCRIPTION).one(STATUS).number, 0)
        self.set('msisdn=["4915100000077","4915100000078"]')
        self.assertEqual(codes(self.a.take(d.IDR)), [d.MSISDN, A_MSISDN])
        self.h.ctl("subscriber", "bar", FIRST, "--what", "visited-apn")
        self.assertEqual(codes(self.a.take(d.IDR)), [STATUS, ODB])

    def test_apns_are_sent_whole(self):
        self.set("slice.0.session.0.qos.index=8")
        data = self.a.take(d.IDR).one(d.SUBSCRIPTION)
        self.assertEqual([a.code for a in data.avps], [d.APN_PROFILE])
        profile = data.one(d.APN_PROFILE)
        self.assertEqual(profile.one(INDICATOR).number, 0)
        self.assertEqual([a.one(d.SERVICE_SELECTION).text for a in profile.all(d.APN)], ["internet", "ims"])

    def test_what_an_insertion_cannot_take_away(self):
        self.set("charging_characteristics=0800", "regional_subscription_zone_codes=[\"0001\"]")
        self.a.take(d.IDR)
        self.settled()
        self.set("charging_characteristics=null", "regional_subscription_zone_codes=null", "ambr.uplink.value=9")
        dsr, idr = self.a.take(d.DSR), self.a.take(d.IDR)
        self.assertEqual(dsr.one(DSR_FLAGS).number, 1 << 0 | 1 << 2)
        self.assertEqual(codes(idr), [AMBR])
        self.settled()
        self.assertFalse(self.attach(ulr_flags=SKIP), "both were taken")

    def test_members_of_later_releases(self):
        """Each is sent when it is new, and taken away: by a DSR, or by an IDR that says 0."""
        members = [("stn_sr", "491510000042", 1433, bytes.fromhex("945101000024"), 4), ("apn_oi_replacement", "mnc001.mcc001.gprs", 1427,
                   b"mnc001.mcc001.gprs", 10), ("ue_usage_type", 7, 1680, d.u32(7), 24), ("mps_priority", 3, 1616, d.u32(3), None),
                   ("subscribed_vsrvcc", "true", 1636, d.u32(0), 15), ("ics_indicator", "true", 1491, d.u32(1), None),
                   ("active_time", 60, 4324, d.u32(60), 29), ("service_gap_time", 90, 1698, d.u32(90), 31)]
        for name, value, code, octets, bit in members:
            self.set(f"{name}={value}")
            data = self.a.take(d.IDR).one(d.SUBSCRIPTION)
            self.assertEqual([(a.code, a.data) for a in data.avps], [(code, octets)], name)
        self.settled()
        ula = self.a.call(self.a.ulr(FIRST)).one(d.SUBSCRIPTION)
        self.assertEqual({code for _, _, code, _, _ in members} - {a.code for a in ula.avps}, set())
        for name, _, code, _, bit in members:
            self.set(f"{name}=null")
            if bit is None:
                data = self.a.take(d.IDR).one(d.SUBSCRIPTION)
                self.assertEqual([(a.code, a.data) for a in data.avps], [(code, d.u32(0))], name)
            else:
                self.assertEqual(self.a.take(d.DSR).one(DSR_FLAGS).number, 1 << bit, name)
        self.set("rfsp_index=5")
        self.assertEqual(codes(self.a.take(d.IDR)), [1440])
        self.set("msisdn=[]")
        self.assertEqual(self.a.take(d.DSR).one(DSR_FLAGS).number, 1 << 23)

    def test_the_default_apn(self):
        def default():
            profile = self.a.take(d.IDR).one(d.SUBSCRIPTION).one(d.APN_PROFILE)
            names = {a.one(1423).number: a.one(d.SERVICE_SELECTION).text for a in profile.all(d.APN)}
            return names[profile.one(1423).number]
        self.set("default_apn=ims")
        self.assertEqual(default(), "ims")
        self.set("slice.0.session.0.name=*", "default_apn=null")
        self.assertEqual(default(), "ims", "never the wildcard")
        for bad in ("nowhere", "*"):
            r = self.h.ctl("subscriber", "set", FIRST, f"default_apn={bad}", check=False)
            self.assertEqual(r.returncode, 1)
            self.assertIn("default_apn", r.stderr)

    def test_the_usage_type_in_an_authentication(self):
        self.set("ue_usage_type=9")
        asked = self.a.call(self.a.air(FIRST, more=[d.v3(1679, 1)]))
        self.assertEqual(asked.one(1680).number, 9)
        self.assertEqual(self.a.call(self.a.air(FIRST)).all(1680), [])

    def test_nothing_that_the_node_has_changed(self):
        self.set("security.amf=9000")
        self.set("imeisv=3520990017614823")
        self.h.ctl("sqn", "set", FIRST, "320000")
        self.h.ctl("subscriber", "set", imsi(2), "ambr.downlink.value=7")  # is nowhere
        self.nothing_came()
        self.assertEqual(self.a.call(self.a.pur(FIRST)).result, 2001)
        self.set("ambr.downlink.value=8")
        self.nothing_came()

    def test_several_changes_meanwhile_become_one(self):
        self.a.disconnect()
        self.set("ambr.downlink.value=7")
        self.set("subscriber_status=1")
        self.set("ambr.downlink.value=8")
        self.assertEqual(self.waiting(), 1)
        self.h.kill()
        self.h.start()
        self.h.wait_served()
        self.a = d.Peer(self.h.port, "mme-a.test")
        idr = self.a.take(d.IDR, timeout=15)
        self.assertEqual(codes(idr), [STATUS, ODB, AMBR])
        self.settled()
        self.assertFalse(self.attach(ulr_flags=SKIP))
        self.nothing_came()

    def test_changed_and_back_again(self):
        self.a.disconnect()
        self.set("subscriber_status=1")
        self.set("subscriber_status=0")
        self.a = d.Peer(self.h.port, "mme-a.test")
        self.nothing_came()

    def test_overtaken_by_an_update_of_the_location(self):
        self.a.disconnect()
        self.set("ambr.downlink.value=7")
        self.a = d.Peer(self.h.port, "mme-a.test")
        self.assertTrue(self.attach(ulr_flags=SKIP))
        self.nothing_came()
        self.a.disconnect()
        self.set("ambr.downlink.value=8")
        with d.Peer(self.h.port, "mme-b.test") as b:
            self.assertTrue(self.attach(b))
            self.a = d.Peer(self.h.port, "mme-a.test")
            self.a.take(d.CLR, timeout=15)
            self.nothing_came()

    def test_a_node_that_takes_no_part_gets_the_whole(self):
        whole = []

        def reply(idr):
            complete = bool(idr.one(d.SUBSCRIPTION).all(d.APN_PROFILE))
            whole.append(complete)
            return {"result": 2001 if complete else 5012}
        self.a.replies[d.IDR] = reply
        self.set("ambr.downlink.value=7")
        self.a.take(d.IDR)
        self.assertIn(AMBR, codes(self.a.take(d.IDR)))
        self.assertEqual(whole, [False, True])
        self.settled()
        self.assertEqual(self.h.metric("hss_pushes_refused_total"), 0)
        self.assertFalse(self.attach(ulr_flags=SKIP))

    def test_a_node_that_refuses_is_counted_and_asked_no_more(self):
        for n, refusal in enumerate(({"result": 3001}, {"result": 5001, "experimental": True}), 1):
            self.a.replies[d.IDR] = lambda idr, refusal=refusal: refusal
            self.set(f"ambr.downlink.value={70 + n}")
            self.a.take(d.IDR)
            self.settled()
            self.assertEqual(self.h.metric("hss_pushes_refused_total"), n)
            self.assertTrue(self.attach(ulr_flags=SKIP), "the node has not got them")
        self.h.wait_log("push_refused")

    def test_the_last_apn_goes(self):
        self.h.ctl("subscriber", "set", FIRST, 'slice=[{"sst":1,"default_indicator":true,"session":[]}]')
        clr = self.a.take(d.CLR)
        self.assertEqual(clr.one(CANCELLATION).number, 2)
        self.nothing_came()
        self.assertIsNone(self.h.location(FIRST)["mme"])

    def test_roles_are_killed_while_it_is_pushed(self):
        for n, role in enumerate(("worker-0", "worker-1", "loader")):
            self.set(f"ambr.downlink.value={20 + n}")
            self.h.kill_role(role)
            idr = self.a.take(d.IDR, timeout=30)
            self.assertEqual(codes(idr), [AMBR])
            self.settled()
            self.a.requests.clear()  # the same, again: its answer was lost with the role
            self.assertEqual(self.a.call(self.a.dwr()).result, 2001)
            self.assertFalse([r for r in self.a.requests if r.command != d.IDR])
            self.a.requests.clear()
            self.assertFalse(self.attach(ulr_flags=SKIP))


STATE, MME_STATE, USER_STATE, LOCATION, MME_LOCATION, ECGI, TAI, AGE, USER_ID, IDR_FLAGS = (1495, 1497, 1499, 1496, 1600, 1602, 1603,
                                                                                          1611, 1444, 1490)


class Ask(unittest.TestCase):
    def setUp(self):
        self.h = Hss()
        self.h.provision(3)
        self.a = d.Peer(self.h.port, "mme-a.test")
        self.assertEqual(self.a.call(self.a.ulr(FIRST)).result, 2001)

    def tearDown(self):
        self.a.close()
        self.assertEqual(self.h.stop(), 0)
        self.h.close()

    def ask(self, *more):
        """`location ask` while the MME answers."""
        p = subprocess.Popen([os.path.join(self.h.bin, "hssctl"), "--socket", self.h.socket, "--json", "location", "ask", FIRST,
                              *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        idr = self.a.take(d.IDR)
        out, error = p.communicate(timeout=30)
        return idr, p.returncode, out, error

    def test_the_answer_is_shown(self):
        here = [d.v3(STATE, [d.v3(MME_STATE, [d.v3(USER_STATE, 4)])]),
                d.v3(LOCATION, [d.v3(MME_LOCATION, [d.v3(ECGI, bytes.fromhex("00f1100a1b2c3d")), d.v3(TAI, bytes.fromhex("00f1101234")),
                                                    d.v3(AGE, 7)])])]
        self.a.replies[d.IDR] = lambda idr: {"more": here}
        idr, code, out, _ = self.ask("--current")
        self.assertEqual(idr.one(d.SUBSCRIPTION).avps, [])
        self.assertEqual(idr.one(IDR_FLAGS).number, 4 | 8 | 16)
        self.assertEqual(code, 0)
        self.assertEqual(json.loads(out), {
            "imsi": FIRST, "node": "mme-a.test", "user_state": "connected_reachable",
            "location": {"cell": {"plmn": "00101", "eci": 0xa1b2c3d}, "tracking_area": {"plmn": "00101", "tac": 0x1234}, "age_min": 7,
                         "current": False}})
        # the node has sent nothing about it
        self.a.replies[d.IDR] = lambda idr: {}
        idr, code, out, _ = self.ask()
        self.assertEqual(idr.one(IDR_FLAGS).number, 4 | 8)
        self.assertEqual((code, json.loads(out)["user_state"], json.loads(out)["location"]), (0, None, None))

    def test_the_answer_is_odd(self):
        for more in ([d.v3(STATE, [d.v3(MME_STATE, [d.v3(USER_STATE, 99)])])],
                     [d.v3(LOCATION, [d.v3(MME_LOCATION, [d.v3(ECGI, b"\0\xf1"), d.v3(TAI, b"\xff" * 5), d.v3(AGE, b"\1")])])],
                     [d.v3(LOCATION, b"\0\0\6\x40\x80\0\xff\xff")], [d.v3(STATE, b"\xff" * 16)],
                     [d.v3(LOCATION, b"\1" * 9000)]):
            self.a.replies[d.IDR] = lambda idr, more=more: {"more": more}
            _, code, out, error = self.ask()
            self.assertIn(code, (0, 1), error)
            if code == 0:
                self.assertIsNone(json.loads(out)["user_state"])

    def test_refusals_have_their_reason(self):
        self.a.replies[d.IDR] = lambda idr: {"result": 5001, "experimental": True}
        self.assertIn("does not know this subscriber", self.ask()[3])
        self.a.replies[d.IDR] = lambda idr: {"result": 5012}
        _, code, _, error = self.ask()
        self.assertEqual(code, 1)
        self.assertIn("answered 5012", error)
        for who, reason in ((imsi(2), "no node serves"), (imsi(9), "no such subscriber")):
            r = self.h.ctl("location", "ask", who, check=False)
            self.assertEqual(r.returncode, 1)
            self.assertIn(reason, r.stderr)
        self.a.disconnect()
        r = self.h.ctl("location", "ask", FIRST, check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("mme-a.test can't be reached", r.stderr)
        self.assertEqual(self.h.ctl_json("store", "status")["hss_requests_pending"], 0)

    def test_reset(self):
        with d.Peer(self.h.port, "mme-b.test") as b, d.Peer(self.h.port, "mme-c.test") as c:
            self.assertEqual(b.call(b.ulr(imsi(2))).result, 2001)
            self.h.ctl("reset")
            rsr = self.a.take(d.RSR)
            self.assertEqual((rsr.one(d.DEST_HOST).text, rsr.all(USER_ID), rsr.all(d.USER_NAME)), ("mme-a.test", [], []))
            b.take(d.RSR)
            self.assertEqual(c.call(c.dwr()).result, 2001)
            self.assertEqual(c.requests, [], "it serves nobody")
            self.h.ctl("reset", "--peer", "mme-b.test", "--imsi-prefix", "00101")
            self.assertEqual(b.take(d.RSR).one(USER_ID).text, "00101")
            for options, reason in ((("--imsi-prefix", "99"), "no node serves"), (("--peer", "mme-c.test"), "serves no such")):
                r = self.h.ctl("reset", *options, check=False)
                self.assertEqual(r.returncode, 1)
                self.assertIn(reason, r.stderr)
            self.assertEqual(self.a.call(self.a.dwr()).result, 2001)
            self.assertEqual(self.a.requests, [])

    def rows(self, *args):
        return self.h.ctl("--json", "request", "list", *args).lines

    def test_what_waits_is_listed_tried_again_and_dropped(self):
        self.assertEqual(self.a.call(self.a.ulr(imsi(2))).result, 2001)
        self.a.disconnect()
        self.h.ctl("subscriber", "set", FIRST, "ambr.downlink.value=7")
        self.h.ctl("subscriber", "delete", imsi(2))
        self.h.until(lambda: all(r["state"] == "node_away" for r in self.rows()), "both have found no way")
        rows = {(r["imsi"], r["application"], r["command"], r["node"]) for r in self.rows()}
        self.assertEqual(rows, {(FIRST, "s6a", "IDR", "mme-a.test"), (imsi(2), "s6a", "CLR", "mme-a.test")})
        self.assertEqual([r["imsi"] for r in self.rows(FIRST)], [FIRST])
        self.assertEqual(self.rows(imsi(3)), [])
        self.assertIn("IDR", self.h.ctl("request", "list").stdout)
        self.assertEqual(self.h.ctl_json("request", "drop", imsi(2)), {"requests": 1})
        self.assertEqual(self.h.ctl("request", "drop", imsi(2), check=False).returncode, 1)
        self.h.kill()
        self.h.start()
        self.h.wait_served()
        self.assertEqual([r["imsi"] for r in self.rows()], [FIRST])
        self.a = d.Peer(self.h.port, "mme-a.test")
        self.h.ctl("request", "retry", FIRST)
        self.a.take(d.IDR, timeout=5)
        self.h.until(lambda: self.rows() == [], "it has ended")


if __name__ == "__main__":
    unittest.main(verbosity=2)
