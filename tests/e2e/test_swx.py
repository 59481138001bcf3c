"""SWx: vectors of EAP-AKA and EAP-AKA' for every form of a name, registrations, restrictions of the document, PDN-GWs, two AAA
servers that want one user; what is kept over restarts."""
import unittest

import aaa as a
import diameter as d
from diameter import avp, v3
from hss import FIRST, K, OPC, Hss, imsi
from sim import Sim

NUMBER = "49151" + FIRST[-8:]
EXTRA = ["--apn", "internet", "--apn", "ims"]


class Swx(unittest.TestCase):
    def provision(self, h, cnt=1):
        for n in range(cnt):
            h.ctl("subscriber", "add", imsi(n + 1), "--k", K, "--opc", OPC, "--msisdn", "49151" + imsi(n + 1)[-8:], *EXTRA)

    def show(self, h):
        return h.ctl_json("wlan", "show", FIRST)

    def test_a_registration_from_first_to_last(self):
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as s:
                self.assertEqual(self.show(h)["state"], "not_registered")
                maa = s.mar(FIRST)
                self.assertEqual((maa.result, maa.one(d.USER_NAME).text, maa.one(a.NUMBER_ITEMS).number), (2001, FIRST, 1))
                a.challenge(maa)
                self.assertEqual(self.show(h), {"imsi": FIRST, "state": "authentication_pending", "pdn_gws": [],
                                                "aaa_server": {"host": "aaa.test", "realm": a.REALM}})
                saa = s.sar(FIRST, a.REGISTRATION)
                self.assertEqual(saa.result, 2001)
                data = saa.one(a.USER_DATA)
                who = data.one(a.SUBSCRIPTION_ID)
                self.assertEqual((who.one(a.ID_TYPE).number, who.one(a.ID_DATA).text), (0, NUMBER))
                self.assertEqual([data.one(code).number for code in (a.IP_ACCESS, a.IP_ACCESS_APN, a.CONTEXT)], [0, 0, 1])
                self.assertEqual(len(data.all(a.AMBR)), 1)
                self.assertEqual(list(a.apns(saa)), ["internet", "ims"])
                self.assertEqual(self.show(h)["state"], "registered")
                self.assertEqual(list(a.apns(s.sar(FIRST, a.USER_DATA_REQUEST))), ["internet", "ims"])
                self.assertEqual(s.mar(FIRST).result, 2001)  # authenticates again
                self.assertEqual(self.show(h)["state"], "registered")
                self.assertEqual(s.sar(FIRST, a.USER).result, 2001)
                self.assertEqual(self.show(h), {"imsi": FIRST, "state": "not_registered", "pdn_gws": [], "aaa_server": None})
            self.assertEqual(h.stop(), 0)


if __name__ == "__main__":
    unittest.main()
