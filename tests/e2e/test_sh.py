"""Sh: what an application server may read, store and watch; every answer by every state; what is kept over restarts; whom a change
is told. What comes out is judged by tshark and, for being well-formed, by xmllint."""
import json
import os
import shutil
import subprocess
import time
import unittest

import cscf as c
import diameter as d
import sh as s
from hss import FIRST, Hss, K, OPC, document, imsi
from test_cx_criteria import CRITERION

NUMBER = "49151" + FIRST[-8:]
USER, IMPU = c.private(FIRST), c.public(FIRST)
SIP, TEL = f"sip:+{NUMBER}@{c.DOMAIN}", f"tel:+{NUMBER}"
ALL = [s.REPOSITORY, s.IDENTITIES, s.STATE, s.SCSCF, s.CRITERIA, s.CHARGING, s.NUMBER, s.TADS, s.IMSI, s.PRIVATE, 14, 15, 18]
SERVERS = {"servers": [
    {"host": "tas.ims.test", "pull": ALL, "update": ["RepositoryData", "19"], "notify": ["0", "IMSUserState", *range(12, 18), 10, 33]},
    {"host": "*.conf.ims.test", "pull": ["RepositoryData"], "update": [0], "notify": [0, 11, 12]},
]}


def well_formed(text):
    if not shutil.which("xmllint"):
        return True
    return subprocess.run(["xmllint", "--noout", "--nonet", "-"], input=text, text=True, capture_output=True).stderr == ""


class Sh(unittest.TestCase):
    def hss(self, **how):
        return Hss(sh=SERVERS, **how)

    def provision(self, h, cnt=1):
        for n in range(cnt):
            h.ctl("subscriber", "add", imsi(n + 1), "--k", K, "--opc", OPC, "--msisdn", "49151" + imsi(n + 1)[-8:])

    def read(self, answer, result=2001):
        self.assertEqual(answer.result, result)
        data = s.Data(answer)
        if data.text:
            self.assertTrue(well_formed(data.text), data.text)
        return data

    def test_what_is_read_of_a_user_without_and_with_a_registration(self):
        with self.hss(ims={"primary_ccf": "aaa://ccf.test"}) as h:
            self.provision(h)
            with s.Server(h.port) as a, c.Cscf(h.port) as cscf:
                for who in (SIP, TEL, IMPU, f"tel:{NUMBER}", f"sip:+{NUMBER}@{c.DOMAIN};user=phone"):
                    self.assertEqual(self.read(a.udr(who, s.IDENTITIES)).all("PublicIdentifiers/IMSPublicIdentity"), [SIP, TEL], who)
                self.assertEqual(self.read(a.udr(NUMBER, s.IDENTITIES)).all("PublicIdentifiers/IMSPublicIdentity"), [SIP, TEL])
                for who in (TEL, NUMBER):
                    self.assertEqual(self.read(a.udr(who, s.NUMBER)).one("PublicIdentifiers/MSISDN"), NUMBER)
                    self.assertEqual(self.read(a.udr(who, s.CHARGING)).one(
                        "Sh-IMS-Data/ChargingInformation/PrimaryChargingCollectionFunctionName"), "aaa://ccf.test")
                    self.assertEqual(self.read(a.udr(who, s.IMSI)).one(".//IMSI"), FIRST)
                self.assertEqual(self.read(a.udr(TEL, s.PRIVATE)).one(".//IMSPrivateUserIdentity"), USER)
                self.assertEqual(self.read(a.udr(TEL, s.STATE)).one("Sh-IMS-Data/IMSUserState"), "0")
                self.assertIsNone(self.read(a.udr(TEL, s.SCSCF)).text)
                self.assertEqual(self.read(a.udr(TEL, s.SCSCF, supported=1)).one("Sh-IMS-Data/SCSCFName"), "")
                self.assertEqual(cscf.mar(USER, IMPU).result, 2001)
                self.assertEqual(self.read(a.udr(TEL, s.STATE)).one("Sh-IMS-Data/IMSUserState"), "3")
                self.assertEqual(cscf.sar(USER, IMPU, c.REGISTRATION).result, 2001)
                both = self.read(a.udr(TEL, [s.STATE, s.SCSCF, s.IDENTITIES], supported=1, sets=[1, 3]))
                self.assertEqual((both.one("Sh-IMS-Data/IMSUserState"), both.one("Sh-IMS-Data/SCSCFName")), ("1", c.SCSCF))
                self.assertEqual(both.all("Extension/RegisteredIdentites/IMSPublicIdentity"), [SIP, TEL])
                self.assertEqual(both.all("Extension/AliasIdentities/IMSPublicIdentity"), [SIP, TEL])
                # only the serving nodes know: as if not available; T-ADS has a word for that
                for reference in (14, 15):
                    self.assertIsNone(self.read(a.udr(TEL, reference)).text)
                self.assertEqual(self.read(a.udr(TEL, s.TADS)).one(".//IMSVoiceOverPSSessionSupport"), "2")
            self.assertEqual(h.stop(), 0)

    def test_filter_criteria_by_the_name_of_their_server(self):
        with self.hss(start=False) as h:
            path = os.path.join(h.dir, "ifc.xml")
            with open(path, "w", encoding="ascii") as f:
                f.write("<IMSSubscription><PrivateID>x</PrivateID><ServiceProfile><PublicIdentity><Identity>sip:x@y</Identity>"
                        "</PublicIdentity><CoreNetworkServicesAuthorization><SubscribedMediaProfileId>1</SubscribedMediaProfileId>"
                        "</CoreNetworkServicesAuthorization>" + CRITERION.format(10, "{msisdn}") + CRITERION.format(20, "{msisdn}") +
                        "</ServiceProfile></IMSSubscription>")
            h.configure(ims={"filter_criteria_file": path})
            h.start()
            self.provision(h)
            with s.Server(h.port) as a:
                one = self.read(a.udr(TEL, s.CRITERIA, server="sip:as20.example"))
                self.assertEqual(one.one("Sh-IMS-Data/IFCs/InitialFilterCriteria/ApplicationServer/ServerName"), "sip:as20.example")
                self.assertEqual(one.one(".//Content"), f".*{NUMBER}.*")
                self.assertNotIn("Authorization", one.text)
                self.assertIsNone(self.read(a.udr(TEL, s.CRITERIA, server="sip:as2.example")).text)
                none = self.read(a.udr(TEL, s.CRITERIA, server="sip:as2.example", supported=1))
                self.assertEqual(none.all("Sh-IMS-Data/IFCs"), [""])
                self.assertEqual(a.snr(TEL, s.CRITERIA).failed[0].code, s.SERVER_NAME)
            self.assertEqual(h.stop(), 0)

    def test_servers_are_told_of_a_changed_document(self):
        with self.hss() as h:
            h.ctl("subscriber", "import", "-", input=json.dumps(document(FIRST)))
            with s.Server(h.port) as a:
                self.assertEqual(a.snr(IMPU, [s.IDENTITIES, s.PRIVATE, s.CHARGING, s.STATE]).result, 2001)
                self.assertEqual(a.snr(IMPU, s.IDENTITIES, sets=[2]).result, 2001)
                self.assertEqual(a.snr(IMPU, s.CRITERIA, server="sip:as.example").result, 2001)
                self.assertEqual(len(h.ctl("--json", "sh", "subscriptions", FIRST).lines), 6)
                h.ctl("subscriber", "set", FIRST, "subscriber_status=0", "ambr.downlink.value=7")
                self.assertTrue(a.nothing_comes())
                h.ctl("subscriber", "set", FIRST, 'msisdn=["4930123"]')
                told = [self.read_request(a.take(s.PNR)) for _ in range(2)]
                lists = sorted((t.all("PublicIdentifiers/IMSPublicIdentity"), t.all("Extension/ImplicitIdentities/IMSPublicIdentity"))
                               for t in told)
                now = [f"sip:+4930123@{c.DOMAIN}", "tel:+4930123"]
                self.assertEqual(lists, [([], now), (now, [])])
                self.assertTrue(a.nothing_comes())
                changed = document(FIRST, msisdn=["4930123"], ims={
                    "profiles": [{"filter_criteria": [{"priority": 1, "application_server": {"server_name": "sip:as.example"}}]}],
                    "charging": {"primary_ecf": "aaa://ecf.example"}})
                h.ctl("subscriber", "import", "-", input=json.dumps(changed))
                told = [self.read_request(a.take(s.PNR)) for _ in range(2)]
                self.assertEqual([x for t in told for x in t.all(".//PrimaryEventChargingFunctionName")], ["aaa://ecf.example"])
                self.assertEqual([x for t in told for x in t.all(".//ServerName")], ["sip:as.example"])
                self.assertTrue(a.nothing_comes())
            self.assertEqual(h.stop(), 0)

    def test_refusals_of_a_read_in_their_order(self):
        with self.hss() as h:
            self.provision(h, 2)
            with s.Server(h.port) as a, s.Server(h.port, "x.conf.ims.test") as b, s.Server(h.port, "stranger.test") as x:
                # permission comes before all else
                self.assertEqual(x.udr("tel:+4999", s.STATE).result, 5102)
                self.assertEqual(b.udr("tel:+4999", [s.REPOSITORY, s.STATE], services=["a"]).result, 5102)
                self.assertEqual(x.put(TEL, "a", 0, "<a/>").result, 5103)
                self.assertEqual(x.snr(TEL, s.STATE).result, 5104)
                self.assertEqual(a.snr(TEL, s.IMSI).result, 5104)
                self.assertGreaterEqual(h.metric("hss_not_permitted_total"), 5)
                h.wait_log("not_permitted .*stranger.test")
                self.assertEqual(a.udr("tel:+4999", s.STATE).result, 5001)
                self.assertEqual(a.udr("4999", s.NUMBER).result, 5001)
                self.assertEqual(a.udr(TEL, s.STATE, user=c.private(imsi(2))).result, 5002)
                self.assertEqual(a.udr(TEL, s.STATE, user=USER).result, 2001)
                self.assertEqual(a.udr(NUMBER, s.STATE).result, 5101)
                self.assertEqual(a.udr(NUMBER, s.REPOSITORY, services=["a"]).result, 5101)
                self.assertEqual(a.udr(TEL, 18).result, 5101)
                missing = a.udr(TEL, s.REPOSITORY)
                self.assertEqual((missing.result, missing.failed[0].code), (5005, s.INDICATION))
                missing = a.udr(TEL, s.CRITERIA)
                self.assertEqual((missing.result, missing.failed[0].code), (5005, s.SERVER_NAME))
                for reference in (1, 20, 36, 2**31):
                    wrong = a.udr(TEL, reference)
                    self.assertEqual((wrong.result, wrong.failed[0].code), (5004, s.REFERENCE), reference)
                self.assertEqual(a.udr([], s.STATE).failed[0].code, s.USER_IDENTITY)
                self.assertEqual(a.udr([d.v3(3111, "a@b", flags=0)], s.IMSI).result, 5001)
                for broken in ("", "sip:", b"sip:\xff@ims"):
                    self.assertEqual(a.udr([d.v3(s.PUBLIC, broken)], s.STATE).result, 5004)
            self.assertEqual(h.stop(), 0)

    def test_repository_data_from_first_to_last(self):
        data = "<a x='1'>\n\t&lt;&#x41;<!-- c --><b xmlns=\"urn:b\"/><![CDATA[<&]]>\u00e4</a>\r\n"
        with self.hss() as h:
            self.provision(h)
            with s.Server(h.port) as a:
                self.assertIsNone(self.read(a.udr(SIP, 0, services=["svc"])).text)
                self.assertEqual(self.read(a.udr(SIP, 0, services=["svc"], supported=1)).services, {"svc": (0, None)})
                self.assertEqual(a.put(SIP, "svc", 0).result, 5101)
                self.assertEqual(a.put(SIP, "svc", 1, data).result, 5105)
                self.assertEqual(a.put(SIP, "svc", 0, data).result, 2001)
                # aliases share their data: octet for octet what was stored
                for who in (SIP, TEL, IMPU):
                    self.assertEqual(self.read(a.udr(who, 0, services=["svc"])).services, {"svc": (0, data)}, who)
                self.assertEqual(a.put(SIP, "svc", 0, data).result, 5105)
                self.assertEqual(a.put(SIP, "svc", 2, data).result, 5105)
                self.assertEqual(a.put(TEL, "svc", 1, "<b/>").result, 2001)
                self.assertEqual(a.put(TEL, "other &amp; x", 0, "<c/>").result, 2001)
                two = self.read(a.udr(SIP, 0, services=["svc", "other & x", "none"], supported=1)).services
                self.assertEqual(two, {"svc": (1, "<b/>"), "other & x": (0, "<c/>"), "none": (0, None)})
                h.kill()
                h.start()
                h.wait_served()
            with s.Server(h.port) as a:
                self.assertEqual(self.read(a.udr(SIP, 0, services=["svc"])).services, {"svc": (1, "<b/>")})
                self.assertEqual(a.put(SIP, "svc", 2).result, 2001)
                self.assertIsNone(self.read(a.udr(SIP, 0, services=["svc"])).text)
                self.assertEqual(a.put(SIP, "svc", 0, "<again/>").result, 2001)
            self.assertEqual(h.stop(), 0)

    def test_what_is_no_sh_data_is_refused_and_what_is_too_large(self):
        with self.hss() as h:
            self.provision(h)
            with s.Server(h.port) as a:
                whole = s.repository("svc", 0, "<a/>")
                for text in ("", "x", "<Sh-Data>", "<Sh-Data/>", "<Sh-Data></Sh-Data>x", s.sh_data(whole) + "<b/>",
                             "<!DOCTYPE a [<!ENTITY e 'x'>]>" + s.sh_data(whole), s.sh_data(s.repository("svc", 0, "&e;")),
                             s.sh_data(s.repository("svc", 0, "<a>")), s.sh_data(s.repository("svc", 0, "<a></b>")),
                             s.sh_data(s.repository("svc", 0, "<a b='1' b='2'/>")), s.sh_data(s.repository("svc", 65536, "<a/>")),
                             s.sh_data(s.repository("", 0, "<a/>")), s.sh_data(s.repository("svc", -1, "<a/>")),
                             s.sh_data(s.repository("svc", 0, "<a>" * 40 + "</a>" * 40)), s.sh_data(s.repository("x" * 101, 0, "<a/>")),
                             s.sh_data(s.repository("svc", 0, "\ud800")).encode(errors="surrogatepass"),
                             "<?xml version='1.0' encoding='ISO-8859-1'?><Sh-Data>" + whole + "</Sh-Data>"):
                    self.assertEqual(a.pur(SIP, text).result, 5100, text)
                self.assertEqual(a.pur(SIP, s.sh_data("<Sh-IMS-Data><PSIActivation>0</PSIActivation></Sh-IMS-Data>")).result, 5101)
                self.assertEqual(a.pur(SIP, s.sh_data(whole), references=[0, 19]).result, 5101)
                self.assertEqual(a.put(SIP, "svc", 0, "<a>" + "x" * 8200 + "</a>").result, 5008)
                self.assertEqual(a.put(SIP, "svc", 0, "<a>" + "x" * 8000 + "</a>").result, 2001)
                self.assertEqual(a.put(SIP, "svc2", 0, "<a>" + "x" * 5000 + "</a>").result, 5008)
                # several at once: all or none, and the first that is refused is named
                two = a.pur(SIP, s.sh_data(s.repository("n1", 0, "<a/>"), s.repository("n2", 7, "<a/>")), supported=2)
                self.assertEqual(two.result, 5105)
                self.assertEqual(two.one(s.REPOSITORY_ID).one(s.INDICATION).text, "n2")
                self.assertEqual(two.one(s.REFERENCE).number, 0)
                self.assertIsNone(self.read(a.udr(SIP, 0, services=["n1"])).text)
                self.assertEqual(a.pur(SIP, s.sh_data(s.repository("n1", 0, "<a/>"), s.repository("n2", 0, "<a/>")),
                                       supported=2).result, 2001)
            self.assertEqual(h.stop(), 0)

    def test_a_repeated_update_is_done_once(self):
        with self.hss() as h:
            self.provision(h)
            with s.Server(h.port) as a:
                for sequence, data in ((0, "<a/>"), (1, None)):
                    first = a.sh(s.PUR, SIP, 0, [d.v3(s.USER_DATA, s.sh_data(s.repository("svc", sequence, data)))])
                    self.assertEqual(a.call(first).result, 2001)
                    again = first[:4] + bytes([first[4] | d.RETRANSMIT]) + first[5:]
                    a.send(again)
                    self.assertEqual(a.wait(d.Message(again).hbh).result, 2001)
            self.assertEqual(h.stop(), 0)

    def test_other_servers_are_told_of_an_update(self):
        with self.hss() as h:
            self.provision(h)
            with s.Server(h.port) as a, s.Server(h.port, "b.conf.ims.test") as b:
                self.assertEqual(b.snr(TEL, 0, services=["svc"]).result, 5106)
                self.assertEqual(a.put(SIP, "svc", 0, "<a/>").result, 2001)
                until = int(time.time()) + 3600
                with_data = b.snr(TEL, 0, services=["svc"], data=True, until=until)
                self.assertEqual(self.read(with_data).services, {"svc": (0, "<a/>")})
                self.assertEqual(with_data.one(s.EXPIRY).number, until + s.NTP & 0xffffffff)
                self.assertEqual(a.snr(SIP, 0, services=["svc"]).result, 2001)
                self.assertEqual(a.put(SIP, "svc", 1, "<b>1</b>").result, 2001)
                pnr = b.take(s.PNR)
                self.assertEqual(pnr.one(s.USER_IDENTITY).one(s.PUBLIC).text, TEL)  # as it was spelled
                self.assertEqual(pnr.all(d.USER_NAME), [])
                self.assertEqual(self.read_request(pnr).services, {"svc": (1, "<b>1</b>")})
                self.assertTrue(a.nothing_comes())  # who changes it is not told
                self.assertEqual(b.put(SIP, "svc", 2).result, 2001)
                gone = a.take(s.PNR)
                self.assertEqual(gone.one(s.USER_IDENTITY).one(s.PUBLIC).text, SIP)
                self.assertEqual(self.read_request(gone).services, {"svc": (2, None)})
                # with the data the subscriptions are gone
                self.assertEqual(a.put(SIP, "svc", 0, "<new/>").result, 2001)
                self.assertEqual(a.snr(SIP, 0, services=["svc"], end=True).result, 2001)
                self.assertTrue(a.nothing_comes() and b.nothing_comes())
            self.assertEqual(h.stop(), 0)

    def read_request(self, request):
        data = s.Data(request)
        self.assertTrue(well_formed(data.text), data.text)
        return data

    def test_servers_are_told_of_the_registration(self):
        with self.hss() as h:
            self.provision(h)
            with s.Server(h.port) as a, c.Cscf(h.port) as cscf:
                self.assertEqual(self.read(a.snr(TEL, [s.STATE, s.SCSCF], data=True, supported=1)).one("Sh-IMS-Data/IMSUserState"), "0")
                self.assertEqual(cscf.mar(USER, IMPU).result, 2001)
                self.assertEqual(self.read_request(a.take(s.PNR)).one("Sh-IMS-Data/SCSCFName"), c.SCSCF)
                self.assertTrue(a.nothing_comes())  # pending passes
                self.assertEqual(cscf.sar(USER, IMPU, c.REGISTRATION).result, 2001)
                self.assertEqual(self.read_request(a.take(s.PNR)).one("Sh-IMS-Data/IMSUserState"), "1")
                self.assertEqual(cscf.sar(USER, IMPU, c.RE_REGISTRATION).result, 2001)
                self.assertTrue(a.nothing_comes())
                for role in ("loader", "worker-0", "worker-1"):
                    h.kill_role(role)
                h.wait_served()
                h.ctl("ims", "deregister", IMPU)
                told = [self.read_request(a.take(s.PNR)) for _ in range(2)]
                self.assertEqual([x for t in told for x in t.all("Sh-IMS-Data/IMSUserState")], ["0"])
                self.assertEqual([x for t in told for x in t.all("Sh-IMS-Data/SCSCFName")], [""])
                cscf.take(c.RTR)
            self.assertEqual(h.stop(), 0)

    def test_a_server_that_wants_no_more_is_told_no_more(self):
        with self.hss() as h:
            self.provision(h)
            with s.Server(h.port) as a, s.Server(h.port, "b.conf.ims.test") as b, c.Cscf(h.port) as cscf:
                for server in (a, b):
                    self.assertEqual(server.snr(TEL, s.STATE).result, 2001)
                    self.assertEqual(server.snr(TEL, s.SCSCF).result, 2001)
                a.results[s.PNR], b.results[s.PNR] = 5107, 5001
                self.assertEqual(cscf.mar(USER, IMPU).result, 2001)  # the S-CSCF's name
                for server in (a, b):
                    self.read_request(server.take(s.PNR))
                h.until(lambda: len(h.ctl_json("sh", "show", TEL)["subscriptions"]) == 1, "three subscriptions have ended")
                self.assertEqual(cscf.sar(USER, IMPU, c.REGISTRATION).result, 2001)
                self.assertEqual(self.read_request(a.take(s.PNR)).one("Sh-IMS-Data/IMSUserState"), "1")
                self.assertTrue(b.nothing_comes())
            self.assertEqual(h.stop(), 0)

    def test_one_notification_and_one_that_waits_for_its_server(self):
        with self.hss() as h:
            self.provision(h)
            with s.Server(h.port) as a, c.Cscf(h.port) as cscf:
                self.assertEqual(a.snr(TEL, s.STATE, one_time=True).result, 2001)
                self.assertEqual(a.snr(SIP, s.SCSCF).result, 2001)
                a.disconnect()
                self.assertEqual(cscf.register(USER, IMPU).result, 2001)
                self.assertEqual(cscf.sar(USER, IMPU, c.USER).result, 2001)
                h.kill_role("loader")
            with s.Server(h.port) as a:
                told = [self.read_request(a.take(s.PNR)) for _ in range(2)]
                # what is so now, once
                self.assertEqual(sorted((t.all("Sh-IMS-Data/IMSUserState"), t.all("Sh-IMS-Data/SCSCFName")) for t in told),
                                 [([], [""]), (["0"], [])])
                self.assertTrue(a.nothing_comes())
            self.assertEqual(h.stop(), 0)

    def test_what_operators_see_and_change(self):
        with self.hss() as h:
            self.provision(h)
            with s.Server(h.port) as a:
                h.ctl("sh", "set-data", TEL, "svc", "<a>1</a>")
                self.assertEqual(self.read(a.udr(SIP, 0, services=["svc"])).services, {"svc": (0, "<a>1</a>")})
                self.assertEqual(a.snr(SIP, 0, services=["svc"]).result, 2001)
                self.assertEqual(a.snr(SIP, s.STATE, until=time.time() + 999, one_time=True).result, 2001)
                h.ctl("sh", "set-data", SIP, "svc", "<a>2</a>")
                self.assertEqual(self.read_request(a.take(s.PNR)).services, {"svc": (1, "<a>2</a>")})
                shown = h.ctl_json("sh", "show", FIRST)
                self.assertEqual(shown["repository_data"], [{"service": "svc", "sequence": 1, "octets": 8,
                                                             "identities": [SIP, TEL, IMPU]}])
                self.assertEqual(h.ctl_json("sh", "show", SIP, "--data")["repository_data"][0]["data"], "<a>2</a>")
                listed = h.ctl("--json", "sh", "subscriptions", NUMBER).lines
                self.assertEqual(len(listed), len(shown["subscriptions"]))
                first, second = shown["subscriptions"]
                self.assertEqual((first["server"], first["identity"], first["data"], first["service"], first["expires"]),
                                 ("tas.ims.test", SIP, "RepositoryData", "svc", None))
                self.assertTrue(second["one_time"] and second["expires"].endswith("Z"))
                for bad in ("<a>", "</ServiceData><ServiceData>", "</ServiceData></RepositoryData><RepositoryData><ServiceData>"):
                    self.assertEqual(h.ctl("sh", "set-data", SIP, "svc", bad, check=False).returncode, 1, bad)
                self.assertEqual(h.ctl("sh", "set-data", FIRST, "svc", "<a/>", check=False).returncode, 2)
                h.ctl("sh", "delete-data", SIP, "svc")
                self.assertEqual(self.read_request(a.take(s.PNR)).services, {"svc": (2, None)})
                self.assertEqual(h.ctl("sh", "delete-data", SIP, "svc", check=False).returncode, 1)
                self.assertEqual(h.ctl("sh", "show", "tel:+4999", check=False).returncode, 1)
            self.assertEqual(h.stop(), 0)


if __name__ == "__main__":
    unittest.main()
