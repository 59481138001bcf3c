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

    def test_every_form_of_a_name(self):
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as s:
                for name in (FIRST, "0" + FIRST, f"0{FIRST}@{a.NAI}", f"6{FIRST}@{a.NAI}", f"{FIRST}@localdomain",
                             f"visited.example!0{FIRST}@{a.NAI}", f"a.example!b.example!6{FIRST}@other.example"):
                    maa = s.mar(name)
                    self.assertEqual((maa.result, maa.one(d.USER_NAME).text), (2001, name), name)
                    a.challenge(maa)
                for name in ("2", "3", "4", "5", "7", "8"):  # pseudonyms and fast re-authentication: who is it?
                    self.assertEqual(s.mar(f"{name}{FIRST}@{a.NAI}").result, 5001, name)
                    self.assertEqual(s.mar(f"{name}kFzGh+/=@{a.NAI}").result, 5001, name)
                self.assertEqual(s.mar("001010999999999").result, 5001)
                self.assertEqual(s.sar(f"0001010999999999@{a.NAI}", a.REGISTRATION).result, 5001)
                self.assertEqual(s.sar(f"6{FIRST}@{a.NAI}", a.REGISTRATION).result, 2001)
            self.assertEqual(h.stop(), 0)

    def test_vectors_are_bound_to_the_access_network(self):
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as s:
                one, _ = a.challenge(s.mar(FIRST, a.PRIME, "WLAN"), a.PRIME, "WLAN")
                two, _ = a.challenge(s.mar(FIRST, "eap-aka'", "5G:NR" * 20), a.PRIME, "5G:NR" * 20)
                three, rand = a.challenge(s.mar(FIRST, a.AKA, "WLAN"), a.AKA)
                self.assertTrue(one < two < three)
                self.assertEqual({sqn & 31 for sqn in (one, two, three)}, {6})  # an IND of its own
                missing = s.mar(FIRST, a.PRIME)
                self.assertEqual((missing.result, missing.failed[0].code), (5005, a.ANID))
                for broken in ("", "W" * 254):
                    answer = s.mar(FIRST, a.PRIME, broken)
                    self.assertEqual((answer.result, answer.failed[0].code), (5004, a.ANID), broken)
                for scheme in ("EAP-SIM", "Digest-AKAv1-MD5", "x"):
                    answer = s.mar(FIRST, scheme)
                    self.assertEqual((answer.result, len(answer.all(d.EXPERIMENTAL))), (5006, 1), scheme)
                several = s.mar(FIRST, a.PRIME, "WLAN", items=3)
                self.assertEqual([i.one(a.ITEM_NUMBER).number for i in several.all(a.AUTH_ITEM)], [1, 2, 3])
                self.assertEqual(len({a.challenge(several, a.PRIME, "WLAN", number=n) for n in range(3)}), 3)
                self.assertEqual(s.mar(FIRST, items=100).one(a.NUMBER_ITEMS).number, 5)
                self.assertEqual(s.mar(FIRST, items=0).one(a.NUMBER_ITEMS).number, 1)
            self.assertEqual(h.stop(), 0)

    def test_resynchronisation_with_a_scheme_or_without(self):
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as s:
                _, rand = a.challenge(s.mar(FIRST))
                ahead = (1 << 30) << 5
                for name, scheme, anid, made in ((FIRST, a.AKA, None, a.AKA), (FIRST, None, None, a.AKA),
                                                 (f"6{FIRST}@{a.NAI}", None, "WLAN", a.PRIME),
                                                 (f"6{FIRST}@{a.NAI}", None, None, a.AKA),
                                                 (FIRST, a.PRIME, "WLAN", a.PRIME)):
                    auts = Sim(K, OPC).auts(rand, ahead)
                    sqn, rand = a.challenge(s.mar(name, scheme, anid, rand + auts), made, anid)
                    self.assertGreater(sqn >> 5, ahead >> 5)
                    ahead = sqn + (1 << 20 << 5)
                forged = s.mar(FIRST, auts=rand + bytes(14))
                self.assertEqual((forged.result, len(forged.all(d.EXPERIMENTAL))), (4181, 1))
                self.assertEqual(s.mar(FIRST, auts=rand).failed[0].code, a.AUTH_ITEM)
                # a RAND that was never issued here: the phone had it of another interface
                zero = bytes(16)
                a.challenge(s.mar(FIRST, None, auts=zero + Sim(K, OPC).auts(zero, ahead)))
            self.assertEqual(h.stop(), 0)

    def test_what_the_document_forbids(self):
        with Hss() as h:
            self.provision(h)

            def say(text):
                h.ctl("subscriber", "set", FIRST, f"non_3gpp={text}")

            with a.Aaa(h.port) as s:
                say('{"visited_networks": ["Visited.example"], "rat_types": ["wlan", "hrpd"]}')
                away = [v3(a.VISITED, "elsewhere.example")]
                self.assertEqual(s.mar(FIRST, more=away).result, 5004)
                self.assertEqual(s.mar(FIRST, more=[v3(a.VISITED, "visited.EXAMPLE")]).result, 2001)
                self.assertEqual(s.mar(FIRST, more=[v3(a.VISITED, a.REALM)]).result, 2001)
                self.assertEqual(s.mar(FIRST, rat=a.HRPD).result, 2001)
                self.assertEqual(s.mar(FIRST, rat=None).result, 2001)
                for rat in (1, a.EUTRAN, 77777):
                    answer = s.mar(FIRST, rat=rat)
                    self.assertEqual((answer.result, len(answer.all(d.EXPERIMENTAL))), (5452, 1))
                self.assertEqual(s.mar(FIRST, rat=1, more=away).result, 5004)  # roaming is looked at first
                say('{"apns": ["IMS"], "apn_access": false}')
                saa = s.register(FIRST)
                self.assertEqual((list(a.apns(saa)), saa.one(a.USER_DATA).one(a.IP_ACCESS_APN).number), (["ims"], 1))
                self.assertEqual(saa.one(a.USER_DATA).one(a.CONTEXT).number, 2)  # the default APN is not among them
                say('{"allowed": false}')
                self.assertEqual(s.take(a.RTR).one(a.REASON).one(a.REASON_CODE).number, 0)
                self.assertEqual(s.mar(FIRST, rat=1, more=away).result, 5450)
                say('{"apns": ["none"]}')
                self.assertEqual(s.mar(FIRST).result, 2001)
                self.assertEqual(self.show(h)["state"], "authentication_pending")
                self.assertEqual(s.sar(FIRST, a.REGISTRATION).result, 5450)
                self.assertEqual(self.show(h)["state"], "not_registered")  # and the server is forgotten
                for wrong in ('{"rat_types": ["wifi"]}', '{"apns": "ims"}', '{"apns": [""]}', '{"allowed": 1}', '7',
                              '{"visited_networks": [1]}'):
                    with self.assertRaises(Exception, msg=wrong):
                        say(wrong)
            self.assertEqual(h.stop(), 0)

    def test_two_servers_want_one_user(self):
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as old, a.Aaa(h.port, "aaa2.test") as new:
                self.assertEqual(old.mar(FIRST).result, 2001)
                self.assertEqual(new.mar(FIRST).result, 2001)  # nobody is registered yet
                taken = old.sar(FIRST, a.REGISTRATION)
                self.assertEqual((taken.result, taken.one(a.AAA_SERVER).text), (5005, "aaa2.test"))
                self.assertEqual(old.register(FIRST).result, 2001)
                taken = new.mar(FIRST)
                self.assertEqual((taken.result, taken.one(a.AAA_SERVER).text), (5005, "aaa.test"))
                self.assertEqual(len(taken.all(d.EXPERIMENTAL)), 1)
                self.assertEqual(taken.all(a.AUTH_ITEM), [])
                for kind in (a.REGISTRATION, a.USER, a.USER_DATA_REQUEST, a.PGW_UPDATE, a.RESTORATION):
                    self.assertEqual(new.sar(FIRST, kind).one(a.AAA_SERVER).text, "aaa.test", kind)
                self.assertEqual(new.mar(FIRST, more=[v3(a.AAA_FAILURE, 0, flags=0)]).result, 5005)
                self.assertEqual(new.mar(FIRST, more=[v3(a.AAA_FAILURE, 1, flags=0)]).result, 2001)
                rtr = old.take(a.RTR)
                self.assertEqual(rtr.one(d.USER_NAME).text, FIRST)
                self.assertEqual(rtr.one(a.REASON).one(a.REASON_CODE).number, 1)
                self.assertEqual(new.sar(FIRST, a.REGISTRATION).result, 2001)
                self.assertEqual(self.show(h)["aaa_server"]["host"], "aaa2.test")
            self.assertEqual(h.stop(), 0)

    def test_gateways(self):
        with Hss() as h:
            self.provision(h)
            internet, host = avp(d.SERVICE_SELECTION, "Internet"), "pgw.epc.mnc001.mcc001.3gppnetwork.org"
            with a.Aaa(h.port) as s:
                self.assertEqual(s.register(FIRST).result, 2001)
                self.assertEqual(s.sar(FIRST, a.PGW_UPDATE, [a.agent("10.0.0.1")]).failed[0].code, d.SERVICE_SELECTION)
                no = s.sar(FIRST, a.PGW_UPDATE, [avp(d.SERVICE_SELECTION, "mms"), a.agent("10.0.0.1")])
                self.assertEqual((no.result, len(no.all(d.EXPERIMENTAL))), (5451, 1))
                info = a.agent("10.0.0.1", "2001:db8::1", host=host)
                self.assertEqual(s.sar(FIRST, a.PGW_UPDATE, [internet, info]).result, 2001)
                self.assertEqual(self.show(h)["pdn_gws"], [{"apn": "Internet", "addresses": ["10.0.0.1", "2001:db8::1"], "host": host}])
                both = a.apns(s.sar(FIRST, a.REGISTRATION))
                self.assertEqual(both["internet"].one(a.AGENT).data, info[8:])
                self.assertEqual(both["internet"].one(a.ALLOCATION).number, 1)
                self.assertEqual(both["ims"].all(a.AGENT), [])
                self.assertEqual(s.sar(FIRST, a.PGW_UPDATE, [internet]).result, 2001)
                self.assertEqual(self.show(h)["pdn_gws"], [])
                self.assertEqual(s.sar(FIRST, a.PGW_UPDATE, [internet, a.agent(*["10.0.0.1"] * 30)]).failed[0].code, a.AGENT)
                # what the AAA server restores, when the HSS has nothing
                self.assertEqual(s.sar(FIRST, a.TIMEOUT).result, 2001)
                active = [v3(a.ACTIVE_APN, [v3(a.CONTEXT, 1), avp(d.SERVICE_SELECTION, name), a.agent("10.0.0.9")], flags=0)
                          for name in ("ims", "gone")]
                saa = s.sar(FIRST, a.RESTORATION, active)
                self.assertEqual((saa.result, len(a.apns(saa)["ims"].all(a.AGENT))), (2001, 1))
                self.assertEqual([g["apn"] for g in self.show(h)["pdn_gws"]], ["ims"])
                # APNs that only the wildcard stands for
                h.ctl("subscriber", "add", imsi(2), "--k", K, "--opc", OPC, "--apn", "*")
                self.assertEqual(s.register(imsi(2)).result, 2001)
                self.assertEqual(s.sar(imsi(2), a.PGW_UPDATE, [avp(d.SERVICE_SELECTION, "mms"), a.agent("10.0.0.1")]).result, 2001)
                some = a.apns(s.sar(imsi(2), a.USER_DATA_REQUEST))["*"].one(a.SPECIFIC_APN)
                self.assertEqual(some.one(d.SERVICE_SELECTION).text, "mms")
            self.assertEqual(h.stop(), 0)

    def test_a_handover_keeps_the_gateway(self):
        """From LTE to Wi-Fi, and from Wi-Fi to LTE: each is sent what the other told; that of Wi-Fi goes first."""
        def of(answer, group=None):
            """MIP6-Agent-Info by APN."""
            apns = answer.one(d.SUBSCRIPTION).one(d.APN_PROFILE).all(d.APN) if group else answer.one(a.USER_DATA).all(d.APN)
            return {one.one(d.SERVICE_SELECTION).text: one.one(a.AGENT).data for one in apns if one.all(a.AGENT)}

        lte, wifi, other = a.agent("10.0.0.1", host="pgw1.test"), a.agent("10.0.0.2"), a.agent("2001:db8::3")
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as s, d.Peer(h.port) as mme:
                self.assertEqual(of(s.register(FIRST)), {})
                self.assertEqual(of(mme.call(mme.ulr(FIRST)), "s6a"), {})
                self.assertEqual(mme.call(mme.s6a(d.NOR, FIRST, [avp(d.SERVICE_SELECTION, "IMS"), lte])).result, 2001)
                by_id = [v3(a.CONTEXT, 1), other]
                self.assertEqual(mme.call(mme.s6a(d.NOR, FIRST, by_id)).result, 2001)
                self.assertEqual(of(s.sar(FIRST, a.REGISTRATION)), {"ims": lte[8:], "internet": other[8:]})
                self.assertEqual(s.sar(FIRST, a.PGW_UPDATE, [avp(d.SERVICE_SELECTION, "ims"), wifi]).result, 2001)
                self.assertEqual(of(s.sar(FIRST, a.USER_DATA_REQUEST)), {"ims": wifi[8:], "internet": other[8:]})
                self.assertEqual(of(mme.call(mme.ulr(FIRST)), "s6a"), {"ims": wifi[8:], "internet": other[8:]})
                h.ctl("subscriber", "set", FIRST, "ambr.downlink.value=7")
                self.assertEqual(of(s.take(a.PPR)), {"ims": wifi[8:], "internet": other[8:]})
                # what an MME says at once of all APNs that are active
                active = [v3(a.ACTIVE_APN, [v3(a.CONTEXT, 2), avp(d.SERVICE_SELECTION, "ims"), lte], flags=0)]
                self.assertEqual(mme.call(mme.ulr(FIRST, more=active)).result, 2001)
                self.assertEqual(s.sar(FIRST, a.USER).result, 2001)  # Wi-Fi is left: what LTE has stays
                h.kill_role("loader")
                self.assertEqual(of(s.register(FIRST)), {"ims": lte[8:]})
                self.assertEqual(of(mme.call(mme.ulr(FIRST)), "s6a"), {"ims": lte[8:]})
                h.ctl("location", "cancel", FIRST)
                self.assertEqual(of(s.sar(FIRST, a.USER_DATA_REQUEST)), {})
            self.assertEqual(h.stop(), 0)

    def test_the_server_hears_of_changes(self):
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as s:
                self.assertEqual(s.register(FIRST).result, 2001)
                h.ctl("subscriber", "set", FIRST, "ambr.downlink.value=7")
                ppr = s.take(a.PPR)
                self.assertEqual((ppr.one(d.USER_NAME).text, list(a.apns(ppr))), (FIRST, ["internet", "ims"]))
                h.ctl("subscriber", "set", FIRST, "apn_oi_replacement=mnc001.mcc001.gprs", "default_apn=ims")
                data = s.take(a.PPR).one(a.USER_DATA)
                self.assertEqual((data.one(1427).text, data.one(a.CONTEXT).number), ("mnc001.mcc001.gprs", 2))
                h.ctl("subscriber", "set", FIRST, "access_restriction_data=0")  # nothing of this is told over SWx
                h.ctl("subscriber", "set", FIRST, 'non_3gpp={"apns": ["ims"]}')
                self.assertEqual(list(a.apns(s.take(a.PPR))), ["ims"])
                h.ctl("wlan", "deregister", FIRST)
                self.assertEqual(s.take(a.RTR).one(a.REASON).one(a.REASON_CODE).number, 0)
                self.assertEqual(self.show(h)["state"], "not_registered")
                self.assertEqual(h.ctl("wlan", "deregister", FIRST, check=False).returncode, 1)
                self.assertEqual(s.register(FIRST).result, 2001)
                h.ctl("subscriber", "delete", FIRST)
                self.assertEqual(s.take(a.RTR).one(d.USER_NAME).text, FIRST)
                self.assertEqual(s.sar(FIRST, a.USER).result, 5001)
            self.assertEqual(h.stop(), 0)

    def test_an_overtaken_termination_is_not_sent(self):
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as s:
                self.assertEqual(s.register(FIRST).result, 2001)
            h.ctl("wlan", "deregister", FIRST)  # the server is away, so it waits
            with a.Aaa(h.port, "aaa2.test") as other:
                self.assertEqual(other.register(FIRST).result, 2001)
                self.assertEqual(other.sar(FIRST, a.USER).result, 2001)
            with a.Aaa(h.port) as s:
                rtr = s.take(a.RTR)  # another server's registration did not overtake it
                self.assertEqual(rtr.one(d.USER_NAME).text, FIRST)
                self.assertEqual(s.register(FIRST).result, 2001)
            self.assertEqual(h.stop(), 0)

    def test_a_registration_outlives_every_kill(self):
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as s:
                self.assertEqual(s.register(FIRST).result, 2001)
                self.assertEqual(s.sar(FIRST, a.PGW_UPDATE, [avp(d.SERVICE_SELECTION, "ims"), a.agent("10.0.0.1")]).result, 2001)
                before = self.show(h)
                for role in ("worker-0", "worker-1", "loader"):
                    h.kill_role(role)
                    self.assertEqual(s.sar(FIRST, a.USER_DATA_REQUEST).result, 2001)
            h.kill()
            h.start()
            h.wait_served()
            self.assertEqual(self.show(h), before)
            with a.Aaa(h.port) as s:
                self.assertEqual(len(a.apns(s.sar(FIRST, a.USER_DATA_REQUEST))["ims"].all(a.AGENT)), 1)
                self.assertEqual(s.sar(FIRST, a.FAILURE).result, 2001)
            h.kill()
            h.start()
            h.wait_served()
            self.assertEqual(self.show(h)["state"], "not_registered")
            self.assertEqual(h.stop(), 0)

    def test_what_a_request_must_not_say(self):
        with Hss() as h:
            self.provision(h)
            with a.Aaa(h.port) as s:
                for kind in (a.REGISTRATION, a.USER, a.USER_DATA_REQUEST, a.PGW_UPDATE):
                    answer = s.sar(FIRST, kind)
                    self.assertEqual((answer.result, answer.all(d.EXPERIMENTAL)), (5012, []), kind)
                # one that is repeated may be done already
                self.assertEqual(s.sar(FIRST, a.USER, flags=d.REQUEST | d.PROXIABLE | d.RETRANSMIT).result, 2001)
                for kind in (0, 2, 3, 6, 7, 11):
                    self.assertEqual(s.sar(FIRST, kind).result, 5007, kind)
                for kind in (15, 0xffffffff):
                    wrong = s.sar(FIRST, kind)
                    self.assertEqual((wrong.result, wrong.failed[0].code), (5004, a.ASSIGNMENT))
                self.assertEqual(s.call(s.swx(a.MAR, [], None)).failed[0].code, d.USER_NAME)
                for kind in (a.TIMEOUT, a.USER, a.ADMINISTRATIVE, a.FAILURE, a.AUTH_TIMEOUT):
                    self.assertEqual(s.register(FIRST).result, 2001)
                    self.assertEqual(s.sar(FIRST, kind).result, 2001)
                    self.assertEqual(self.show(h)["state"], "not_registered", kind)
                asked = v3(a.FEATURES, [avp(d.VENDOR_ID, d.VENDOR), v3(a.FEATURE_LIST_ID, 1, flags=0),
                                        v3(a.FEATURE_LIST, 0xf, flags=0)], flags=0)
                maa = s.mar(FIRST, more=[asked])
                self.assertEqual(maa.one(a.FEATURES).one(a.FEATURE_LIST).number, 1)
            self.assertEqual(h.stop(), 0)

    def test_a_user_without_sim_or_apn(self):
        with Hss() as h:
            h.ctl("subscriber", "import", "-", input='{"imsi": "001010000000900", "ims": {"private_identities": [{"identity": '
                  '"bob@home.example"}], "public_identities": [{"identity": "sip:bob@home.example"}]}}\n'
                  f'{{"imsi": "{FIRST}", "security": {{"k": "{K}", "opc": "{OPC}"}}, "slice": []}}\n')
            with a.Aaa(h.port) as s:
                self.assertEqual(s.mar("001010000000900").result, 5001)
                self.assertEqual(s.mar(FIRST).result, 2001)
                self.assertEqual(s.sar(FIRST, a.REGISTRATION).result, 5450)
            self.assertEqual(h.stop(), 0)

    def test_hss_load_plays_an_aaa_server(self):
        with Hss() as h:
            self.provision(h, 40)
            keys = {"imsi": FIRST, "subscribers": 40, "k": K, "opc": OPC, "verify": "all"}
            self.assertEqual(h.load("wlan-sar", check=False, imsi=FIRST)["results"], {"5012": 1})
            for more in ({}, {"anid": "WLAN"}):
                mar = h.load("wlan-mar", **keys, **more)
                self.assertEqual((mar["results"], mar["vectors_verified"], mar["bad_vectors"]), ({"2001": 40}, 40, 0))
                self.assertEqual(mar["duplicate_sqn"], 0)
            self.assertEqual(h.load("wlan-sar", **keys)["results"], {"2001": 40})
            self.assertEqual(self.show(h)["state"], "registered")
            wrong = h.load("wlan-mar", **{**keys, "opc": "00" * 16}, check=False)
            self.assertEqual(wrong["bad_vectors"], 40)
            self.assertEqual(h.stop(), 0)

    def test_as_open5gs_asks(self):
        """What its own test of an AAA server sends, and needs of the answers; thrice, the phone on LTE in between."""
        user = f"{FIRST}@localdomain"
        with Hss(identity={"host": "hss.localdomain", "realm": "localdomain"}) as h:
            h.ctl("subscriber", "add", FIRST, "--k", K, "--opc", OPC, "--msisdn", "491725670014", "--msisdn", "491725670015",
                  "--apn", "internet", "--apn", "wlan", "--sqn", "64")

            with a.Aaa(h.port, "aaa.localdomain", "localdomain") as s:
                s.dest_realm = "localdomain"
                to = [avp(d.DEST_HOST, "hss.localdomain")]
                for _ in range(3):
                    answers = [s.mar(user, more=to)]
                    a.challenge(answers[0])
                    resync = v3(a.AUTH_ITEM, [v3(a.AUTHORIZATION, bytes(16) + Sim(K, OPC).auts(bytes(16), 0x11223344))])
                    answers.append(s.call(s.swx(a.MAR, to + [v3(d.RAT, a.WLAN, flags=0), resync, v3(a.NUMBER_ITEMS, 1)], user)))
                    sqn, _ = a.challenge(answers[1])
                    self.assertGreater(sqn, 0x11223344)
                    answers.append(s.sar(user, a.REGISTRATION, to))
                    for answer in answers:  # it aborts otherwise
                        self.assertEqual(answer.one(d.RESULT).number, 2001)
                        for code in (d.SESSION_ID, d.VSAI, d.AUTH_STATE, d.ORIGIN_HOST, d.ORIGIN_REALM):
                            answer.one(code)
                    self.assertEqual(list(a.apns(answers[2])), ["internet", "wlan"])
                    with d.Peer(h.port, host="mme.localdomain", realm="localdomain", dest_realm="localdomain") as mme:
                        self.assertEqual(mme.call(mme.air(FIRST)).result, 2001)
            self.assertEqual(h.stop(), 0)


if __name__ == "__main__":
    unittest.main()
