"""Cx: registration of a user without any IMS data, whose identities follow from IMSI and MSISDN; every answer by every
state; what is kept over restarts; two S-CSCFs that want one user."""
import unittest

import cscf as c
import diameter as d
from hss import FIRST, Hss, imsi
from sim import Sim
from hss import K, OPC

USER, IMPU = c.private(FIRST), c.public(FIRST)
NUMBER = "49151" + FIRST[-8:]


class Cx(unittest.TestCase):
    def provision(self, h, cnt=1):
        for n in range(cnt):
            h.ctl("subscriber", "add", imsi(n + 1), "--k", K, "--opc", OPC, "--msisdn", "49151" + imsi(n + 1)[-8:])

    def test_a_registration_from_first_to_last(self):
        with Hss() as h:
            self.provision(h)
            with c.Cscf(h.port) as s:
                first = s.uar(USER, IMPU)
                self.assertEqual(first.result, 2001)
                self.assertEqual(first.all(d.RESULT), [])  # an Experimental-Result, alone
                self.assertEqual(first.all(c.SERVER_NAME), [])
                maa = s.mar(USER, IMPU)
                self.assertEqual(maa.result, 2001)
                self.assertEqual([maa.one(code).text for code in (d.USER_NAME, c.PUBLIC)], [USER, IMPU])
                self.assertEqual(maa.one(c.NUMBER_ITEMS).number, 1)
                self.assertEqual(c.item(maa).one(c.ITEM_NUMBER).number, 1)
                self.assertEqual(c.item(maa).one(c.SCHEME).text, c.AKA)
                c.challenge(maa)
                pending = s.uar(USER, IMPU)
                self.assertEqual((pending.result, pending.one(c.SERVER_NAME).text), (2002, c.SCSCF))
                saa = s.sar(USER, IMPU, c.REGISTRATION)
                self.assertEqual(saa.result, 2001)
                profile = c.Profile(saa)
                self.assertEqual(profile.private, USER)
                self.assertEqual(profile.publics, [f"sip:+{NUMBER}@{c.DOMAIN}", f"tel:+{NUMBER}", IMPU])
                self.assertEqual(profile.barred, [IMPU])
                for who in (IMPU, f"tel:+{NUMBER}", f"tel:{NUMBER}", f"sip:+{NUMBER}@{c.DOMAIN};user=phone"):
                    lia = s.lir(who)
                    self.assertEqual((lia.result, lia.one(c.SERVER_NAME).text), (2001, c.SCSCF), who)
                self.assertEqual(s.uar(USER, IMPU).result, 2002)
                self.assertEqual(s.uar(USER, IMPU, kind=1).one(d.RESULT).number, 2001)
                self.assertEqual(s.sar(USER, IMPU, c.RE_REGISTRATION, available=1).all(c.USER_DATA), [])
                self.assertEqual(s.sar(USER, IMPU, c.USER).result, 2001)
                gone = s.lir(IMPU)
                self.assertEqual((gone.result, gone.all(c.SERVER_NAME)), (5003, []))
                self.assertEqual(s.uar(USER, IMPU, kind=1).result, 5003)
                self.assertEqual(s.uar(USER, IMPU).result, 2001)
            self.assertEqual(h.stop(), 0)

    def test_who_is_not_known_and_who_is_another(self):
        with Hss() as h:
            self.provision(h, 2)
            with c.Cscf(h.port) as s:
                stranger = "001010999999999"
                self.assertEqual(s.uar(c.private(stranger), c.public(stranger)).result, 5001)
                self.assertEqual(s.uar(USER, c.public(stranger)).result, 5001)
                self.assertEqual(s.uar(c.private(stranger), IMPU).result, 5001)
                self.assertEqual(s.uar(c.private(imsi(2)), IMPU).result, 5002)
                self.assertEqual(s.uar(USER, f"sip:{FIRST}@elsewhere.example").result, 5001)
                self.assertEqual(s.lir("tel:+4999").result, 5001)
                for broken in ("", "sip:", "sip:a@", b"sip:\xff@ims", b"sip:a\0b@ims", "http://x", "sip:" + "a" * 300):
                    answer = s.lir(broken)
                    self.assertEqual(answer.result, 5004, broken)
                    self.assertEqual(answer.failed[0].code, c.PUBLIC)
                self.assertEqual(s.lir("sip:<a&b>@ims").result, 5004)
                self.assertEqual(s.lir(f"sip:a&b@{c.DOMAIN}").result, 5001)
            self.assertEqual(h.stop(), 0)

    def test_resynchronisation_by_a_scheme_or_none(self):
        with Hss() as h:
            self.provision(h)
            with c.Cscf(h.port) as s:
                _, rand = c.challenge(s.mar(USER, IMPU))
                ahead = (1 << 30) << 5
                for scheme in (c.AKA, None):
                    auts = Sim(K, OPC).auts(rand, ahead)
                    sqn, rand = c.challenge(s.mar(USER, IMPU, scheme=scheme, auts=rand + auts))
                    self.assertGreater(sqn >> 5, ahead >> 5)
                    ahead = sqn + (1 << 20 << 5)
                forged = s.mar(USER, IMPU, auts=rand + bytes(14))
                self.assertEqual(forged.result, 5012)
                self.assertEqual(s.mar(USER, IMPU, auts=rand).failed[0].code, c.AUTH_ITEM)
                other = s.mar(USER, IMPU, auts=rand + Sim(K, OPC).auts(rand, ahead), server="sip:other.test")
                self.assertEqual(other.result, 5012)
                # the S-CSCF's IND is its own: an MME's vectors and its do not get in each other's way
                self.assertEqual(sqn & 31, 5)
            self.assertEqual(h.stop(), 0)

    def test_schemes(self):
        with Hss() as h:
            self.provision(h)
            with c.Cscf(h.port) as s:
                for scheme in ("Unknown", "unknown", c.AKA, c.AKA.lower()):
                    answer = s.mar(USER, IMPU, scheme=scheme)
                    self.assertEqual(answer.one(d.RESULT).number, 2001)
                    self.assertEqual(answer.all(d.EXPERIMENTAL), [])
                for scheme in ("SIP Digest", "NASS-Bundled", "x"):
                    self.assertEqual(s.mar(USER, IMPU, scheme=scheme).result, 5006, scheme)
                three = s.mar(USER, IMPU, items=3)
                self.assertEqual([i.one(c.ITEM_NUMBER).number for i in three.all(c.AUTH_ITEM)], [1, 2, 3])
                self.assertEqual(s.mar(USER, IMPU, items=100).one(c.NUMBER_ITEMS).number, 5)
            self.assertEqual(h.stop(), 0)

    def test_a_registration_outlives_every_kill(self):
        with Hss() as h:
            self.provision(h)
            with c.Cscf(h.port) as s:
                self.assertEqual(s.register(USER, IMPU).result, 2001)
                for role in ("worker-0", "worker-1", "loader"):
                    h.kill_role(role)
                    self.assertEqual(s.lir(IMPU).one(c.SERVER_NAME).text, c.SCSCF)
            h.kill()
            h.start()
            h.wait_served()
            with c.Cscf(h.port) as s:
                self.assertEqual(s.lir(IMPU).one(c.SERVER_NAME).text, c.SCSCF)
                self.assertEqual(s.sar(USER, IMPU, c.TIMEOUT).result, 2001)
            h.kill()
            h.start()
            h.wait_served()
            with c.Cscf(h.port) as s:
                self.assertEqual(s.lir(IMPU).result, 5003)
            self.assertEqual(h.stop(), 0)

    def test_two_servers_want_one_user(self):
        with Hss() as h:
            self.provision(h)
            with c.Cscf(h.port) as old, c.Cscf(h.port, "scscf2.ims.test", scscf="sip:scscf2.test") as new:
                self.assertEqual(old.register(USER, IMPU).result, 2001)
                taken = new.sar(USER, IMPU, c.REGISTRATION)
                self.assertEqual((taken.result, taken.one(c.SERVER_NAME).text), (5005, c.SCSCF))
                self.assertEqual(new.register(USER, IMPU).result, 2001)
                rtr = old.take(c.RTR)
                self.assertEqual(rtr.one(d.USER_NAME).text, USER)
                self.assertEqual(rtr.one(c.REASON).one(c.REASON_CODE).number, 1)
                self.assertIn(IMPU, [p.text for p in rtr.all(c.PUBLIC)])
                self.assertEqual(new.lir(IMPU).one(c.SERVER_NAME).text, "sip:scscf2.test")
                # what the former one still says does not count
                self.assertEqual(old.sar(USER, IMPU, c.TIMEOUT).result, 2001)
                self.assertEqual(new.lir(IMPU).one(c.SERVER_NAME).text, "sip:scscf2.test")
                self.assertEqual(old.sar(USER, IMPU, c.NO_ASSIGNMENT).result, 5012)
                self.assertEqual(c.Profile(new.sar(USER, IMPU, c.NO_ASSIGNMENT)).private, USER)
            self.assertEqual(h.stop(), 0)

    def test_users_without_registration(self):
        with Hss() as h:
            self.provision(h)
            with c.Cscf(h.port) as s:
                self.assertEqual(s.lir(IMPU).result, 5003)
                self.assertEqual(s.lir(IMPU, originating=True).result, 2003)
                saa = s.sar(None, IMPU, c.UNREGISTERED)
                self.assertEqual((saa.result, c.Profile(saa).private), (2001, USER))
                self.assertEqual(s.lir(IMPU).one(c.SERVER_NAME).text, c.SCSCF)
                self.assertEqual(s.uar(USER, IMPU).result, 2002)
                self.assertEqual(s.sar(USER, IMPU, c.REGISTRATION).result, 2001)
                self.assertEqual(s.sar(USER, IMPU, c.USER_STORE).result, 2001)
                self.assertEqual(s.lir(IMPU).one(c.SERVER_NAME).text, c.SCSCF)
                self.assertEqual(s.sar(USER, IMPU, c.TIMEOUT).result, 2001)
                self.assertEqual(s.lir(IMPU).result, 5003)
            h.configure(ims={"keep_server_name": False, "bar_imsi_identity": False})
            h.reload()
            with c.Cscf(h.port) as s:
                profile = c.Profile(s.register(USER, IMPU))
                self.assertEqual((profile.publics[0], profile.barred), (IMPU, []))
                self.assertEqual(s.sar(USER, IMPU, c.USER_STORE).result, 2004)
                self.assertEqual(s.lir(IMPU).result, 5003)
            self.assertEqual(h.stop(), 0)

    def test_authentication_that_fails(self):
        with Hss() as h:
            self.provision(h)
            with c.Cscf(h.port) as s:
                c.challenge(s.mar(USER, IMPU))
                self.assertEqual(s.sar(USER, IMPU, c.FAILURE).result, 2001)
                self.assertEqual(s.uar(USER, IMPU).result, 2001)
                self.assertEqual(s.register(USER, IMPU).result, 2001)
                c.challenge(s.mar(USER, IMPU))
                self.assertEqual(s.sar(USER, IMPU, c.AUTH_TIMEOUT).result, 2001)
                self.assertEqual(s.uar(USER, IMPU).result, 2002)
            self.assertEqual(h.stop(), 0)

    def test_other_servers_users_are_redirected(self):
        with Hss(ims={"redirect": [{"identity": "sip:*@two.example", "host": "hss2.two.example"},
                                   {"identity": "tel:4930*", "host": "hss3.example"}]}) as h:
            self.provision(h)
            with c.Cscf(h.port) as s:
                for who, host in (("sip:bob@TWO.example", "hss2.two.example"), ("tel:+49-30-1234", "hss3.example")):
                    answer = s.lir(who)
                    self.assertEqual((answer.result, answer.flags & d.ERROR), (3006, d.ERROR))
                    self.assertEqual(answer.one(292).text, f"aaa://{host}")
                self.assertEqual(s.uar("bob@two.example", "sip:bob@two.example").result, 3006)
                self.assertEqual(s.lir("sip:bob@three.example").result, 5001)
                self.assertEqual(s.lir(IMPU).result, 5003)
            self.assertEqual(h.stop(), 0)

    def test_hss_load_plays_a_cscf(self):
        with Hss() as h:
            self.provision(h, 40)
            keys = {"imsi": FIRST, "subscribers": 40, "k": K, "opc": OPC, "verify": "all"}
            self.assertEqual(h.load("uar", **keys)["results"], {"2001": 40})
            mar = h.load("mar", **keys)
            self.assertEqual((mar["results"], mar["vectors_verified"], mar["bad_vectors"]), ({"2001": 40}, 40, 0))
            whole = h.load("register", **keys)
            self.assertEqual(whole["results"], {"2001": 80, "2002": 80})
            self.assertEqual((whole["vectors_verified"], whole["bad_vectors"], whole["duplicate_sqn"]), (40, 0, 0))
            self.assertEqual(h.load("sar", **keys)["results"], {"2001": 40})
            self.assertEqual(h.load("lir", **keys)["results"], {"2001": 40})
            wrong = h.load("mar", **{**keys, "opc": "00" * 16}, check=False)
            self.assertEqual(wrong["bad_vectors"], 40)
            self.assertEqual(h.ctl_json("ims", "show", FIRST)["scscf"]["name"], "sip:hss-load.invalid")
            ha1 = h.load("mar", check=False, imsi=FIRST, ha1="00" * 16)
            self.assertEqual(ha1["results"], {"5006": 1})
            self.assertEqual(h.stop(), 0)

    def test_what_a_request_must_not_say(self):
        with Hss() as h:
            self.provision(h)
            with c.Cscf(h.port) as s:
                wrong = s.sar(USER, IMPU, 12)
                self.assertEqual((wrong.result, wrong.failed[0].code), (5004, c.ASSIGNMENT))
                nobody = s.sar(None, None, c.USER)
                self.assertEqual((nobody.result, nobody.failed[0].code), (5005, c.PUBLIC))
                twice = s.sar(USER, [IMPU, f"tel:+{NUMBER}"], c.REGISTRATION)
                self.assertEqual((twice.result, twice.failed[0].code), (5009, c.PUBLIC))
                self.assertEqual(s.uar(USER, IMPU, kind=3).failed[0].code, c.AUTHORIZATION_TYPE)
                self.assertEqual(s.sar(USER, [IMPU, f"tel:+{NUMBER}"], c.USER).result, 2001)
                self.assertEqual(s.sar(USER, [IMPU, "sip:x@y"], c.USER).result, 5002)
                self.assertEqual(s.lir(IMPU, more=[d.avp(494, "x", vendor=50, flags=0)]).result, 5003)
            self.assertEqual(h.stop(), 0)


if __name__ == "__main__":
    unittest.main()
