"""IMS registrations of two corehss nodes on one MongoDB: the newest counts everywhere, an outage loses none, the document's
own members stay as they were; members of a document that somebody edits reach the cache."""
import hashlib
import unittest

import cscf as c
import mongo
from hss import imsi

USER, IMPU = c.private(imsi(1)), c.public(imsi(1))


class Ims(unittest.TestCase):
    def setUp(self):
        self.server, self.nodes = mongo.two_nodes(self, 5)
        self.c = self.server.collection()

    def cscf(self, node, **how):
        peer = c.Cscf(self.nodes[node].port, **how)
        self.addCleanup(peer.close)
        return peer

    def scscf(self, node, who=IMPU):
        return (self.nodes[node].ctl_json("ims", "show", who)["scscf"] or {}).get("name")

    def test_the_newest_registration_counts(self):
        a, b = self.cscf(0), self.cscf(1, host="scscf-b.test", scscf="sip:b.test")
        before = self.c.find_one({"imsi": imsi(1)})
        self.assertEqual(a.register(USER, IMPU).result, 2001)
        self.nodes[1].until(lambda: self.scscf(1) == c.SCSCF, "the other node knows it")
        self.assertEqual(b.lir(IMPU).one(c.SERVER_NAME).text, c.SCSCF)
        self.assertEqual(b.register(USER, IMPU).result, 2001)
        self.nodes[0].until(lambda: self.scscf(0) == "sip:b.test", "the newer one has come back")
        self.assertEqual(b.sar(USER, IMPU, c.USER).result, 2001)
        self.nodes[0].until(lambda: self.scscf(0) is None, "and its end")
        self.assertEqual(a.lir(IMPU).result, 5003)
        after = self.c.find_one({"imsi": imsi(1)})
        for gone in ("corehss", "security"):
            before.pop(gone, None)
            after.pop(gone, None)
        self.assertEqual(after, before)

    def test_an_outage_and_a_kill_lose_nothing(self):
        a = self.cscf(0)
        self.nodes[0].proxy.cut()
        self.assertEqual(a.register(USER, IMPU).result, 2001)
        self.nodes[0].kill()
        self.nodes[0].start()
        self.nodes[0].until(lambda: self.scscf(0) == c.SCSCF, "it is still here")
        self.nodes[0].proxy.resume()
        self.nodes[1].until(lambda: self.scscf(1) == c.SCSCF, "and there")

    def test_a_writer_who_removes_it_does_not_win(self):
        a = self.cscf(0)
        self.assertEqual(a.register(USER, IMPU).result, 2001)
        self.nodes[1].until(lambda: self.scscf(1) == c.SCSCF, "the other node knows it")
        self.c.update_one({"imsi": imsi(1)}, {"$unset": {"corehss": 1}})
        self.nodes[0].until(lambda: "ims_state" in (self.c.find_one({"imsi": imsi(1)}).get("corehss") or {}), "written again")
        self.assertEqual(self.scscf(0), c.SCSCF)
        self.c.update_one({"imsi": imsi(1)}, {"$set": {"corehss.ims_state": "no base64", "corehss.ims_timestamp": 4102444800}})
        self.nodes[0].until(lambda: self.scscf(0) == c.SCSCF, "nonsense is not taken")

    def test_members_that_somebody_edits(self):
        bob = "sip:bob@home.example"
        member = {"private_identities": [{"identity": "bob@home.example", "scheme": "digest", "password": "s3cret"}],
                  "public_identities": [{"identity": bob}]}
        self.c.update_one({"imsi": imsi(2)}, {"$set": {"ims": member}})
        for h in self.nodes:
            h.until(lambda h=h: h.run("hssctl", "--socket", h.socket, "ims", "show", bob, check=False).returncode == 0, "it is known")
        s = self.cscf(1)
        maa = s.mar("bob@home.example", bob, scheme="unknown")
        self.assertEqual(c.item(maa).one(c.DIGEST).one(c.DIGEST_HA1).text,
                         hashlib.md5(b"bob@home.example:home.example:s3cret").hexdigest())
        self.assertEqual(s.sar("bob@home.example", bob, c.REGISTRATION).result, 2001)
        # claimed by another document: named, and not served
        self.c.update_one({"imsi": imsi(3)}, {"$set": {"ims": member}})
        self.nodes[0].until(lambda: "already" in self.nodes[0].ctl("subscriber", "problems").stdout, "a named problem")
        self.c.update_one({"imsi": imsi(2)}, {"$set": {"ims.public_identities.0.barred": True}})
        self.assertEqual(c.Profile(s.take(c.PPR)).barred, [bob])


if __name__ == "__main__":
    unittest.main()
