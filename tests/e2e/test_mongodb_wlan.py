"""Registrations on Wi-Fi of two corehss nodes on one MongoDB: the newest counts everywhere, an outage loses none, the document's
own members stay as they were; members of a document that somebody edits reach the AAA server."""
import unittest

import aaa as a
import mongo
from diameter import SERVICE_SELECTION, avp
from hss import imsi

USER = imsi(1)


class Wlan(unittest.TestCase):
    def setUp(self):
        self.server, self.nodes = mongo.two_nodes(self, 5)
        self.c = self.server.collection()

    def aaa(self, node, **how):
        peer = a.Aaa(self.nodes[node].port, **how)
        self.addCleanup(peer.close)
        return peer

    def show(self, node):
        shown = self.nodes[node].ctl_json("wlan", "show", USER)
        return (shown["state"], (shown["aaa_server"] or {}).get("host"), len(shown["pdn_gws"]))

    def test_the_newest_registration_counts(self):
        one, two = self.aaa(0), self.aaa(1, host="aaa2.test")
        before = self.c.find_one({"imsi": USER})
        self.assertEqual(one.register(USER).result, 2001)
        apn = before["slice"][0]["session"][0]["name"]
        self.assertEqual(one.sar(USER, a.PGW_UPDATE, [avp(SERVICE_SELECTION, apn), a.agent("10.0.0.1")]).result, 2001)
        self.nodes[1].until(lambda: self.show(1) == ("registered", "aaa.test", 1), "the other node knows it")
        self.assertEqual(two.mar(USER).result, 5005)
        self.assertEqual(one.sar(USER, a.USER).result, 2001)
        self.nodes[1].until(lambda: self.show(1)[1] is None, "and its end")
        self.assertEqual(two.register(USER).result, 2001)
        self.nodes[0].until(lambda: self.show(0) == ("registered", "aaa2.test", 0), "the newer one has come back")
        after = self.c.find_one({"imsi": USER})
        for gone in ("corehss", "security"):
            before.pop(gone, None)
            after.pop(gone, None)
        self.assertEqual(after, before)

    def test_an_outage_and_a_kill_lose_nothing(self):
        one = self.aaa(0)
        self.nodes[0].proxy.cut()
        self.assertEqual(one.register(USER).result, 2001)
        self.nodes[0].kill()
        self.nodes[0].start()
        self.nodes[0].until(lambda: self.show(0)[1] == "aaa.test", "it is still here")
        self.nodes[0].proxy.resume()
        self.nodes[1].until(lambda: self.show(1)[1] == "aaa.test", "and there")

    def test_a_writer_who_removes_it_does_not_win(self):
        self.assertEqual(self.aaa(0).register(USER).result, 2001)
        self.nodes[1].until(lambda: self.show(1)[1] == "aaa.test", "the other node knows it")
        self.c.update_one({"imsi": USER}, {"$unset": {"corehss": 1}})
        self.nodes[0].until(lambda: "wlan_state" in (self.c.find_one({"imsi": USER}).get("corehss") or {}), "written again")
        self.assertEqual(self.show(0)[1], "aaa.test")
        self.c.update_one({"imsi": USER}, {"$set": {"corehss.wlan_state": "no base64", "corehss.wlan_timestamp": 4102444800}})
        self.nodes[0].until(lambda: self.show(0)[1] == "aaa.test", "nonsense is not taken")

    def test_members_that_somebody_edits(self):
        one = self.aaa(0)
        self.assertEqual(one.register(USER).result, 2001)
        self.c.update_one({"imsi": USER}, {"$set": {"non_3gpp": {"apn_access": False}}})
        self.assertEqual(one.take(a.PPR).one(a.USER_DATA).one(a.IP_ACCESS_APN).number, 1)
        self.c.update_one({"imsi": USER}, {"$set": {"non_3gpp": {"allowed": False}}})
        self.assertEqual(one.take(a.RTR).one(a.REASON).one(a.REASON_CODE).number, 0)
        self.nodes[1].until(lambda: self.show(1)[0] == "not_registered", "on the other node, too")
        self.assertEqual(self.nodes[1].ctl_json("store", "status")["hss_requests_pending"], 0)  # which left it to the first one
        self.assertEqual(self.aaa(1, host="aaa2.test").mar(USER).result, 5450)


if __name__ == "__main__":
    unittest.main()
