"""Cx: users whose identities the document names: digest users without a SIM, several devices and sets, barred and wildcarded
identities, services; what a changed document means for those who are registered; hssctl ims."""
import hashlib
import json
import os
import unittest

import cscf as c
import diameter as d
from hss import FIRST, Hss, document, imsi

BOB = "sip:bob@home.example"
ALICE = {"private_identities": [{"identity": "alice1@ims.example", "scheme": "aka"}, {"identity": "alice2@ims.example"}],
         "public_identities": [{"identity": "sip:alice@ims.example", "set": 1},
                               {"identity": "tel:+15550100003", "set": 1, "default": True},
                               {"identity": "sip:work@ims.example", "set": 2, "barred": True, "profile": 1},
                               {"identity": "sip:alice.w@ims.example", "set": 2, "profile": 1},
                               {"identity": "sip:list-!.*!@ims.example", "set": 3, "type": "psi"},
                               {"identity": "sip:box@ims.example", "set": 4, "type": "psi", "server_name": "sip:as.example"}],
         "profiles": [{}, {"filter_criteria": [
             {"priority": 1, "trigger_point": {"condition_type_cnf": 1, "spt": [{"group": 0, "method": "INVITE"}]},
              "application_server": {"server_name": "sip:tas.ims.example", "default_handling": 0}}]}],
         "charging": {"primary_ccf": "aaa://ccf.ims.example"},
         "scscf": {"name": "sip:scscf.ims.example", "capabilities": {"mandatory": [7], "optional": [9]}},
         "visited_networks": ["ims.example"]}


def digest_user(n=2, **more):
    return {"imsi": imsi(n), "ims": {"private_identities": [{"identity": "bob2@home.example", "scheme": "digest",
                                                              "password": "s3cret", **more}],
                                     "public_identities": [{"identity": BOB, "set": 1}]}}


HA1 = hashlib.md5(b"bob2@home.example:home.example:s3cret").hexdigest()


class Documents(unittest.TestCase):
    def put(self, h, *documents, **how):
        return h.ctl("subscriber", "import", "-", input="".join(json.dumps(one) + "\n" for one in documents), **how)

    def test_a_digest_user_without_sim(self):
        with Hss() as h:
            self.put(h, digest_user())
            shown = json.dumps(h.ctl_json("subscriber", "show", imsi(2), "--secrets"))
            self.assertIn(HA1, shown)
            self.assertNotIn("s3cret", shown)
            self.assertNotIn(HA1, json.dumps(h.ctl_json("subscriber", "show", imsi(2))))
            with c.Cscf(h.port) as s, d.Peer(h.port) as mme:
                self.assertEqual(s.uar("bob2@home.example", BOB).result, 2001)
                maa = s.mar("bob2@home.example", BOB, scheme="unknown")
                self.assertEqual((maa.result, c.item(maa).one(c.SCHEME).text), (2001, "SIP Digest"))
                digest = c.item(maa).one(c.DIGEST)
                self.assertEqual([digest.one(code).text for code in (c.DIGEST_REALM, c.DIGEST_ALGORITHM, c.DIGEST_QOP, c.DIGEST_HA1)],
                                 ["home.example", "MD5", "auth", HA1])
                self.assertEqual(s.mar("bob2@home.example", BOB, scheme=c.AKA).result, 5006)
                self.assertEqual(c.Profile(s.sar("bob2@home.example", BOB, c.REGISTRATION)).publics, [BOB])
                self.assertEqual(mme.call(mme.air(imsi(2))).result, 5001)
                self.assertEqual(mme.call(mme.ulr(imsi(2))).result, 5001)
                # the derived identities are not his
                self.assertEqual(s.lir(c.public(imsi(2))).result, 5001)
                # another password, while he is registered
                self.put(h, digest_user(password="other"))
                ppr = s.take(c.PPR)
                fresh = ppr.one(c.AUTH_ITEM).one(c.DIGEST).one(c.DIGEST_HA1).text
                self.assertEqual(fresh, hashlib.md5(b"bob2@home.example:home.example:other").hexdigest())
            self.assertNotIn("s3cret", h.log())
            for name in os.listdir(h.state_dir):
                with open(os.path.join(h.state_dir, name), "rb") as f:
                    self.assertNotIn(b"s3cret", f.read(), name)
            self.assertEqual(h.stop(), 0)

    def test_sets_devices_services_and_wildcards(self):
        with Hss(identity={"host": "hss.ims.example", "realm": "ims.example", "realms": [c.DOMAIN]}) as h:
            self.put(h, document(FIRST, ims=ALICE))
            with c.Cscf(h.port, scscf="sip:scscf.ims.example") as s:
                one = s.uar("alice1@ims.example", "sip:alice@ims.example", visited="IMS.example")
                self.assertEqual(one.result, 2001)
                wanted = one.one(c.CAPABILITIES)
                self.assertEqual([wanted.one(code).number for code in (c.MANDATORY, c.OPTIONAL)], [7, 9])
                self.assertEqual(wanted.one(c.SERVER_NAME).text, "sip:scscf.ims.example")
                self.assertEqual(s.uar("alice1@ims.example", "sip:alice@ims.example", visited="elsewhere").result, 5004)
                self.assertEqual(s.uar("alice1@ims.example", "sip:box@ims.example", visited="ims.example").result, 5001)
                profile = c.Profile(s.register("alice1@ims.example", "sip:alice@ims.example"))
                self.assertEqual(profile.publics, ["tel:+15550100003", "sip:alice@ims.example"])
                # the second device; its set is known already, the other set is not
                second = s.register("alice2@ims.example", "tel:+1-555-010-0003")
                self.assertEqual([u.text for u in second.one(c.ASSOCIATED).all(d.USER_NAME)],
                                 ["alice1@ims.example", "alice2@ims.example"])
                self.assertEqual(second.one(c.CHARGING).avps[0].text, "aaa://ccf.ims.example")
                other = s.lir("sip:alice.w@ims.example")
                self.assertEqual(other.one(c.SERVER_NAME).text, "sip:scscf.ims.example")
                self.assertEqual(s.uar("alice1@ims.example", "sip:work@ims.example", visited="ims.example").result, 2002)
                work = c.Profile(s.sar("alice1@ims.example", "sip:work@ims.example", c.REGISTRATION))
                self.assertEqual((work.publics, work.barred),
                                 (["sip:alice.w@ims.example", "sip:work@ims.example"], ["sip:work@ims.example"]))
                self.assertEqual(work.servers, ["sip:tas.ims.example"])
                # one device leaves: the set stays registered by the other
                self.assertEqual(s.sar("alice1@ims.example", "sip:alice@ims.example", c.USER).result, 2001)
                self.assertEqual(s.lir("sip:alice@ims.example").result, 2001)
                ambiguous = s.sar("alice2@ims.example", "sip:alice@ims.example", c.REGISTRATION)
                self.assertEqual(ambiguous.result, 2001)
                direct = s.lir("sip:box@ims.example")
                self.assertEqual((direct.result, direct.one(c.SERVER_NAME).text), (2001, "sip:as.example"))
                anyone = s.lir("sip:list-42@ims.example", originating=True)
                self.assertEqual(anyone.one(c.WILDCARDED).text, "sip:list-!.*!@ims.example")
                service = c.Profile(s.sar(None, "sip:list-42@ims.example", c.UNREGISTERED))
                self.assertEqual(service.publics, ["sip:list-!.*!@ims.example"])
                self.assertEqual(s.sar(None, "sip:list-42@ims.example", c.REGISTRATION).result, 5007)
                self.assertEqual(s.lir("sip:other-42@ims.example").result, 5001)
            self.assertEqual(h.stop(), 0)

    def test_each_set_has_its_termination(self):
        """While the S-CSCF is away both sets end: it is told of each, and not of a set that it has registered anew."""
        work, home = "sip:alice.w@ims.example", "sip:alice@ims.example"
        with Hss(identity={"host": "hss.ims.example", "realm": "ims.example", "realms": [c.DOMAIN]}) as h:
            self.put(h, document(FIRST, ims=ALICE))
            with c.Cscf(h.port, scscf="sip:scscf.ims.example") as s:
                for one in (work, home):
                    self.assertEqual(s.register("alice1@ims.example", one).result, 2001)
            for one in (work, home):
                h.ctl("ims", "deregister", one)
            with c.Cscf(h.port, scscf="sip:scscf.ims.example") as s:
                told = [{p.text for p in s.take(c.RTR).all(c.PUBLIC)} for _ in range(2)]
                self.assertCountEqual(told, [{work, "sip:work@ims.example"}, {home, "tel:+15550100003"}])
                self.assertEqual([r.command for r in s.requests], [])
            self.assertEqual(h.stop(), 0)

    def test_a_changed_document_reaches_the_server(self):
        with Hss(identity={"host": "hss.ims.example", "realm": "ims.example", "realms": [c.DOMAIN]}) as h:
            self.put(h, document(FIRST, ims=ALICE))
            with c.Cscf(h.port, scscf="sip:scscf.ims.example") as s:
                s.register("alice1@ims.example", "sip:alice@ims.example")
                s.register("alice2@ims.example", "sip:alice@ims.example")
                # nothing that the S-CSCF has changed
                h.ctl("subscriber", "set", FIRST, "ims.visited_networks.0=other")
                h.ctl("subscriber", "set", FIRST, "ims.public_identities.0.barred=true")
                ppr = s.take(c.PPR)
                self.assertEqual(c.Profile(ppr).barred, ["sip:alice@ims.example"])
                self.assertIn(ppr.one(d.USER_NAME).text, ["alice1@ims.example", "alice2@ims.example"])
                # a device is taken away
                h.ctl("subscriber", "set", FIRST, 'ims.private_identities=[{"identity":"alice2@ims.example"}]')
                rtr = s.take(c.RTR)
                self.assertEqual(rtr.one(d.USER_NAME).text, "alice1@ims.example")
                self.assertEqual(rtr.one(c.REASON).one(c.REASON_CODE).number, 0)
                self.assertEqual(s.lir("sip:alice@ims.example").result, 2001)
                # the default identity changes: a PPR cannot say it
                h.ctl("subscriber", "set", FIRST, "ims.public_identities.1.default=false", "ims.public_identities.0.barred=false",
                      "ims.public_identities.0.default=true")
                rtr = s.take(c.RTR)
                self.assertEqual(rtr.one(c.REASON).one(c.REASON_CODE).number, 2)
                self.assertEqual(h.ctl_json("ims", "show", FIRST)["scscf"], None)
                s.register("alice2@ims.example", "sip:alice@ims.example")
                h.ctl("subscriber", "delete", FIRST)
                self.assertEqual(s.take(c.RTR).one(d.USER_NAME).text, "alice2@ims.example")
                self.assertEqual(s.lir("sip:alice@ims.example").result, 5001)
                self.assertEqual([r.command for r in s.requests], [])
            self.assertEqual(h.stop(), 0)

    def test_identities_belong_to_one_subscriber(self):
        with Hss() as h:
            both = digest_user(3)
            answer = self.put(h, digest_user(2), both, check=False)
            self.assertEqual(answer.returncode, 1)
            self.assertIn(f"subscriber {imsi(2)} has \"bob2@home.example\" already", answer.stdout + answer.stderr)
            # in one batch, and over a restart
            h.kill()
            h.start()
            h.wait_served()
            answer = self.put(h, both, check=False)
            self.assertIn("already", answer.stdout + answer.stderr)
            mine = digest_user(2)
            mine["ims"]["public_identities"][0]["identity"] = "sip:bobby@home.example"
            self.put(h, mine)
            with c.Cscf(h.port) as s:
                self.assertEqual(s.lir(BOB).result, 5001)
                self.assertEqual(s.lir("sip:bobby@home.example").result, 5003)
            self.assertEqual(h.stop(), 0)

    def test_open5gs_criteria(self):
        ifc = [{"priority": 0, "trigger_point": {"condition_type_cnf": 1, "spt": [
                    {"condition_negated": 0, "group": 0, "method": "INVITE"},
                    {"condition_negated": 1, "group": 1, "sip_header": {"header": "To", "content": "<x>&.*"}}]},
                "application_server": {"server_name": "sip:as.example:5060", "default_handling": 0}}]
        with Hss(ims={"bar_imsi_identity": False}) as h:
            self.put(h, document(FIRST, ifc=ifc))
            with c.Cscf(h.port) as s:
                profile = c.Profile(s.register(c.private(FIRST), c.public(FIRST)))
                self.assertEqual((profile.servers, profile.root.findtext(".//Content")), (["sip:as.example:5060"], "<x>&.*"))
            self.assertEqual(h.stop(), 0)

    def test_what_is_wrong_is_named(self):
        wrong = [({"private_identities": {}}, "ims.private_identities: expected an array"),
                 ({"private_identities": [{"identity": ""}]}, "ims.private_identities[0].identity: expected user@realm"),
                 ({"private_identities": [{"identity": "a@b", "scheme": "x"}]}, "ims.private_identities[0].scheme: expected aka"),
                 ({"private_identities": [{"identity": "a@b", "scheme": "digest"}]}, "expected ha1 or password"),
                 ({"private_identities": [{"identity": "a@b", "scheme": "digest", "ha1": "12"}]}, "ha1: expected 32 hex digits"),
                 ({"public_identities": [{"identity": "http://a"}]}, "ims.public_identities[0].identity: expected a sip:"),
                 ({"public_identities": [{"identity": "sip:a@b", "set": 256}]}, "ims.public_identities[0].set: expected a whole"),
                 ({"public_identities": [{"identity": "sip:a@b", "profile": 1}]}, "expected a place in ims.profiles"),
                 ({"public_identities": [{"identity": "sip:a!@b"}]}, "expected a wildcard"),
                 ({"public_identities": [{"identity": "sip:a!(x|y)!@b"}]}, "expected a wildcard"),
                 ({"profiles": [{"filter_criteria": [{"priority": 0}]}]}, "ims.profiles[0].filter_criteria[0]: application_server is missing"),
                 ({"scscf": {"capabilities": {"mandatory": [-1]}}}, "ims.scscf.capabilities.mandatory: expected a whole number")]
        with Hss() as h:
            for ims, text in wrong:
                answer = self.put(h, document(FIRST, ims=ims), check=False)
                self.assertEqual(answer.returncode, 1, ims)
                self.assertIn(text, answer.stdout + answer.stderr)
            self.assertEqual(h.stop(), 0)

    def test_hssctl(self):
        with Hss() as h:
            h.provision(1)
            with c.Cscf(h.port) as s:
                before = h.ctl_json("ims", "show", FIRST)
                self.assertEqual((before["imsi"], before["scscf"]), (FIRST, None))
                self.assertEqual({p["state"] for p in before["public_identities"]}, {"not_registered"})
                s.mar(c.private(FIRST), c.public(FIRST))
                self.assertEqual(h.ctl_json("ims", "show", c.public(FIRST))["public_identities"][0]["state"], "authentication_pending")
                s.sar(c.private(FIRST), c.public(FIRST), c.REGISTRATION)
                shown = h.ctl_json("ims", "show", c.private(FIRST))
                self.assertEqual(shown["scscf"], {"name": c.SCSCF, "host": "scscf.ims.test", "realm": c.DOMAIN})
                self.assertEqual(shown["private_identities"], [{"identity": c.private(FIRST), "scheme": "aka"}])
                self.assertEqual({p["state"] for p in shown["public_identities"]}, {"registered"})
                xml = h.ctl("ims", "user-data", c.public(FIRST)).stdout
                self.assertTrue(xml.startswith("<?xml"), xml)
                h.ctl("ims", "push", FIRST)
                self.assertEqual(c.Profile(s.take(c.PPR)).text.strip(), xml.strip())
                h.ctl("ims", "deregister", FIRST, "--reason", "server-change", "--text", "we move")
                rtr = s.take(c.RTR)
                self.assertEqual({p.text for p in rtr.all(c.PUBLIC)}, {p["identity"] for p in shown["public_identities"]})
                reason = rtr.one(c.REASON)
                self.assertEqual((reason.one(c.REASON_CODE).number, reason.one(c.REASON_INFO).text), (2, "we move"))
                self.assertEqual(s.lir(c.public(FIRST)).result, 5003)
            for words in (["push", FIRST], ["deregister", FIRST], ["show", "sip:x@y"], ["user-data", "nobody@x"]):
                self.assertEqual(h.ctl("ims", *words, check=False).returncode, 1, words)
            self.assertEqual(h.ctl("ims", "deregister", FIRST, "--reason", "x", check=False).returncode, 2)
            self.assertEqual(h.stop(), 0)


if __name__ == "__main__":
    unittest.main()
