"""Requests that other operators send through an interconnect peer: what is refused, why, and what is not; the same request
through a peer that is none is served."""
import unittest

import diameter as d
from hss import FIRST, HOST, REALM, Hss

ORANGE, HOME = b"\x02\xf8\x10", b"\x00\xf1\x10"  # 20801, 00101
PARTNER = "epc.mnc001.mcc208.3gppnetwork.org"
LIST = [{"host": "dra.ipx.example", "interconnect": True, "applications": ["s6a"]}, {"host": "mme.test"}]


class Interconnect(unittest.TestCase):
    def hss(self, **more):
        h = Hss(peers={"list": LIST, "partner_realms": [PARTNER, "*.partner.example"], **more})
        self.addCleanup(h.close)
        h.provision(2)
        return h

    def peer(self, h, host="dra.ipx.example", realm="ipx.example"):
        peer = d.Peer(h.port, host, realm)
        self.addCleanup(peer.close)
        return peer

    def outcome(self, peer, host, realm, plmn=ORANGE, request="ulr", **how):
        peer.host, peer.realm = host, realm
        return peer.call(getattr(peer, request)(FIRST, plmn=plmn, **how)).result

    def test_what_is_refused(self):
        h = self.hss()
        dra = self.peer(h)
        self.assertEqual(self.outcome(dra, "mme1." + PARTNER, PARTNER, request="air"), 2001)
        self.assertEqual(self.outcome(dra, "mme1." + PARTNER, PARTNER), 2001)
        refused = [
            ("mme1." + REALM, REALM, 3003),  # somebody claims to be one of us
            ("mme1.EPC.mnc001.mcc001.3gppnetwork.org", REALM.upper(), 3003),
            ("mme1.epc.mnc002.mcc208.3gppnetwork.org", "epc.mnc002.mcc208.3gppnetwork.org", 3003),  # no partner
            ("mme1.partner.example", "partner.example", 3003),  # "*." stands for a label at least
            ("mme1.elsewhere.example", PARTNER, 5012),
            (PARTNER, PARTNER, 5012),
            ("evil" + PARTNER, PARTNER, 5012),
        ]
        for n, (host, realm, result) in enumerate(refused, 1):
            self.assertEqual(self.outcome(dra, host, realm), result, (host, realm))
            h.until(lambda: h.metric("hss_interconnect_findings_total") == n, (host, realm))
        dra.host, dra.realm = "mme1." + PARTNER, PARTNER
        odd = bytearray(dra.ulr(FIRST, plmn=ORANGE))
        at = odd.index(b"mme1.")
        odd[at:at + 4] = b"mm;e"  # of the Session-Id, which comes first
        self.assertEqual(dra.call(bytes(odd)).result, 5012)
        # a realm that is not that of the network: no vectors, no registration
        self.assertEqual(self.outcome(dra, "mme1." + PARTNER, PARTNER, plmn=HOME, request="air"), 5003)
        self.assertEqual(self.outcome(dra, "mme1." + PARTNER, PARTNER, plmn=HOME), 5004)
        self.assertEqual(self.outcome(dra, "mme1.a.partner.example", "a.partner.example"), 5004)
        rows = h.ctl("--json", "explain", FIRST, "--plmn", "00101", "--node", "dra.ipx.example").lines
        self.assertEqual(rows[0]["result"], "5003")
        self.assertIn("interconnect", rows[0]["rule"])
        # none of this is said of another peer
        mme = self.peer(h, "mme.test", "test")
        self.assertEqual(self.outcome(mme, "mme1." + REALM, REALM, plmn=HOME), 2001)
        self.assertEqual(self.outcome(mme, "mme1.elsewhere.example", PARTNER, plmn=HOME), 2001)
        self.assertEqual(h.stop(), 0)

    def test_only_log(self):
        h = self.hss(interconnect_log_only=True)
        dra = self.peer(h)
        self.assertEqual(self.outcome(dra, "mme1.elsewhere.example", PARTNER, plmn=HOME), 2001)
        h.wait_log('interconnect_finding.*reason="Origin-Host is not in Origin-Realm" refused="no"')
        h.wait_log("realm_misfits")
        h.until(lambda: ("interconnect-findings", "") in h.alarms(), "the alarm is raised")
        # live at a reload
        h.configure(peers={"list": LIST, "partner_realms": [PARTNER]})
        h.reload()
        h.until(lambda: self.outcome(dra, "mme1.elsewhere.example", PARTNER, plmn=HOME) == 5012, "refused now")
        self.assertEqual(h.stop(), 0)

    def test_applications_must_be_named(self):
        h = Hss(start=False, peers={"list": [{"host": "dra.ipx.example", "interconnect": True}]})
        self.addCleanup(h.close)
        r = h.run("hssd", "--check", "--config", h.config_path, check=False)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("applications", r.stdout + r.stderr)
        self.assertRegex(r.stdout + r.stderr, r"hss.yaml:\d+")


if __name__ == "__main__":
    unittest.main(verbosity=2)
