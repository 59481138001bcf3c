"""Cx: filter criteria of files, as PyHSS and FHoSS keep them: for all users who have none of their own, and in shared sets;
broken ones at the start, at a reload, at --check; hssctl ims check. What comes out is judged by xmllint where a schema is
installed."""
import glob
import json
import os
import re
import shutil
import subprocess
import unittest

import cscf as c
import diameter as d
from hss import FIRST, Hss, document

CRITERION = """<InitialFilterCriteria><Priority>{0}</Priority>
  <TriggerPoint><ConditionTypeCNF>1</ConditionTypeCNF>
    <SPT><ConditionNegated>0</ConditionNegated><Group>0</Group><Method>REGISTER</Method>
      <Extension><RegistrationType>0</RegistrationType></Extension></SPT>
    <SPT><ConditionNegated>1</ConditionNegated><Group>1</Group><SIPHeader><Header>From</Header>
      <Content>.*{1}.*</Content></SIPHeader></SPT></TriggerPoint>
  <ApplicationServer><ServerName>sip:as{0}.example</ServerName><DefaultHandling>0</DefaultHandling>
    <Extension><IncludeRegisterRequest/></Extension></ApplicationServer></InitialFilterCriteria>"""
PYHSS = """<?xml version="1.0" encoding="UTF-8"?>
<!-- as PyHSS has it -->
<IMSSubscription>
 <PrivateID>{{ iFC_vars['imsi'] }}@ims.mnc{{ iFC_vars['mnc'] }}.mcc{{ iFC_vars['mcc'] }}.3gppnetwork.org</PrivateID>
 <ServiceProfile>
  <PublicIdentity><Identity>sip:{{ iFC_vars['msisdn'] }}@ims.example</Identity></PublicIdentity>
  """ + CRITERION.format(10, "{{ iFC_vars['msisdn'] }}") + CRITERION.format(20, "{imsi}|{domain}|{mcc}{mnc}|[0-9]{2}") + """
 </ServiceProfile>
</IMSSubscription>
"""
SCHEMAS = sorted(glob.glob("/usr/share/doc/kamailio*/examples/ims/scscf/CxDataType_Rel*.xsd"))


def schema_errors(text):
    """What xmllint says of the document; None: no schema is installed."""
    if not SCHEMAS or not shutil.which("xmllint"):
        return None
    done = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", SCHEMAS[-1], "-"], input=text, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr


class Criteria(unittest.TestCase):
    def write(self, h, name, text):
        path = os.path.join(h.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def test_each_private_identity_has_room_in_its_user_data(self):
        long = "u" * 200 + "@ims.example"
        with Hss(start=False) as h:
            text = "".join(CRITERION.format(n, "{impi}" * 8) for n in range(1, 41))
            h.configure(identity={"host": "hss.ims.example", "realm": "ims.example", "realms": [c.DOMAIN]},
                        ims={"filter_criteria_file": self.write(h, "ifc.xml", text)})
            h.start()
            h.ctl("subscriber", "import", "-", input=json.dumps(document(FIRST, ims={
                "private_identities": [{"identity": "a@b"}, {"identity": long}],
                "public_identities": [{"identity": "sip:bob@ims.example"}]})) + "\n")
            with c.Cscf(h.port) as s:
                for user in ("a@b", long):
                    self.assertEqual(c.Profile(s.register(user, "sip:bob@ims.example")).private, user)
            self.assertEqual(h.stop(), 0)

    def test_files_too_large_together_change_nothing(self):
        with Hss(start=False) as h:
            sets = [{"id": n, "file": self.write(h, f"set{n}.xml", CRITERION.format(1, "x"))} for n in range(5)]
            h.configure(ims={"filter_criteria_file": self.write(h, "ifc.xml", CRITERION.format(1, "x")),
                             "shared_filter_criteria": sets})
            h.start()
            h.provision(1)
            with c.Cscf(h.port) as s:
                before = c.Profile(s.register(c.private(FIRST), c.public(FIRST)))
                self.assertEqual(before.servers, ["sip:as1.example"])
                for one in sets:
                    self.write(h, os.path.basename(one["file"]), "".join(CRITERION.format(n, "z" * 700) for n in range(1, 50)))
                h.reload()
                h.wait_log("filter_criteria_too_large")
                after = c.Profile(s.sar(c.private(FIRST), c.public(FIRST), c.RE_REGISTRATION))
                self.assertEqual(after.text, before.text)
            self.assertEqual(h.stop(), 0)

    def test_the_file_of_all_users(self):
        with Hss(start=False) as h:
            h.configure(ims={"filter_criteria_file": self.write(h, "ifc.xml", PYHSS)})
            h.start()
            h.provision(1)
            h.ctl("subscriber", "set", FIRST, 'msisdn=["49151"]')
            with c.Cscf(h.port) as s:
                # services for those who are not registered
                self.assertEqual(s.lir(c.public(FIRST)).result, 2003)
                profile = c.Profile(s.register(c.private(FIRST), c.public(FIRST)))
                self.assertEqual(profile.private, c.private(FIRST))
                self.assertEqual(profile.servers, ["sip:as10.example", "sip:as20.example"])
                self.assertEqual([p.text for p in profile.root.iter("Content")],
                                 [".*49151.*", f".*{FIRST}|{re.escape(c.DOMAIN)}|001001|[0-9]{{2}}.*"])
                self.assertIn(schema_errors(profile.text), (None, ""))
                # a broken one changes nothing, and is told with its line
                self.write(h, "ifc.xml", PYHSS.replace("<Priority>20</Priority>", "<Priority>10</Priority>"))
                h.reload()
                h.wait_log("filter_criteria_wrong")
                self.assertIn("ifc.xml:14: priority 10 is taken by the criterion of line 7; expected one of its own", h.log())
                self.assertEqual(c.Profile(s.sar(c.private(FIRST), c.public(FIRST), c.RE_REGISTRATION)).servers, profile.servers)
                # a new one holds at once
                self.write(h, "ifc.xml", CRITERION.format(5, "x"))
                h.reload()
                h.until(lambda: c.Profile(s.sar(c.private(FIRST), c.public(FIRST), c.RE_REGISTRATION)).servers ==
                        ["sip:as5.example"], "the new criteria")
            self.assertEqual(h.stop(), 0)

    def test_shared_sets(self):
        ims = {"public_identities": [{"identity": "sip:bob@ims.example"}], "profiles": [{"shared_filter_criteria": [7]}]}
        with Hss(start=False) as h:
            h.configure(identity={"host": "hss.ims.example", "realm": "ims.example", "realms": [c.DOMAIN]}, ims={"shared_filter_criteria": [{"id": 7, "file": self.write(h, "seven.xml", CRITERION.format(1, "x"))}]})
            h.start()
            h.ctl("subscriber", "import", "-", input=json.dumps(document(FIRST, ims=ims)) + "\n")
            with c.Cscf(h.port) as s:
                user, who = f"{FIRST}@ims.example", "sip:bob@ims.example"
                plain = c.Profile(s.register(user, who))
                self.assertEqual(plain.servers, ["sip:as1.example"])
                features = d.v3(c.FEATURES, [d.avp(d.VENDOR_ID, d.VENDOR), d.v3(c.FEATURE_LIST_ID, 1, flags=0),
                                             d.v3(c.FEATURE_LIST, 1, flags=0)], flags=0)
                short = s.sar(user, who, c.RE_REGISTRATION, more=[features])
                self.assertEqual(c.Profile(short).servers, [])
                self.assertEqual(c.Profile(short).root.findtext(".//SharedIFCSetID"), "7")
                self.assertEqual(short.one(c.FEATURES).one(c.FEATURE_LIST).number & 1, 1)
                for text in (plain.text, c.Profile(short).text):
                    self.assertIn(schema_errors(text), (None, ""))
            self.assertEqual(h.stop(), 0)

    def test_broken_files_are_refused(self):
        wrong = [("<a><b></a>", "no well-formed XML"), ("", "expected an element"),
                 ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "expected no DOCTYPE"),
                 (CRITERION.format(1, "(").replace("Priority", "Prio"), "Prio in InitialFilterCriteria: expected Priority, "),
                 (CRITERION.format(1, "("), "Content: .*(.*: expected a regular expression"),
                 (CRITERION.format(1, "{{ nothing }}"), "expected {{ iFC_vars['imsi'] }}"),
                 (CRITERION.format(1, "x").replace("sip:as", "http:as"), "expected a SIP URI"),
                 (CRITERION.format(1, "x").replace(">REGISTER<", ">INVITE<"), "only possible with the method REGISTER"),
                 (CRITERION.format(1, "x").replace("<Group>0</Group>", ""), "SPT without Group"),
                 (CRITERION.format(1, "x").replace("CNF>1<", "CNF>2<"), 'ConditionTypeCNF: "2": expected 0 or 1')]
        with Hss() as h:
            for text, reason in wrong:
                path = self.write(h, "ifc.xml", text)
                h.configure(ims={"filter_criteria_file": path})
                checked = h.run("hssd", "--check", "--config", h.config_path, check=False)
                self.assertEqual(checked.returncode, 1, text)
                self.assertIn(reason, checked.stderr)
                self.assertIn("ims.filter_criteria_file", checked.stderr)
                told = h.run("hssctl", "ims", "check", path, check=False)
                self.assertEqual(told.returncode, 1)
                self.assertIn(reason, told.stderr)
                self.assertRegex(told.stderr, f"^{path}:[1-9]: ")
            good = h.run("hssctl", "ims", "check", self.write(h, "good.xml", PYHSS))
            self.assertIn("2 filter criteria", good.stdout)
            h.configure(ims={"filter_criteria_file": os.path.join(h.dir, "none.xml")})
            self.assertIn("No such file", h.run("hssd", "--check", "--config", h.config_path, check=False).stderr)


if __name__ == "__main__":
    unittest.main()
