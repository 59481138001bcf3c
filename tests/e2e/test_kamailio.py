"""Debian's Kamailio as I-CSCF and S-CSCF: phones with a SIM and with a password register, are called, move and are
deregistered, while the roles of the HSS are killed between the steps. tshark judges all that the HSS sends."""
import json
import os
import subprocess
import tempfile
import threading
import unittest

import judge
import kamailio as k
from hss import FIRST, K, OPC, Hss, document, imsi

CRITERIA = f"""<ServiceProfile><InitialFilterCriteria><Priority>1</Priority><TriggerPoint>
<ConditionTypeCNF>0</ConditionTypeCNF><SPT><ConditionNegated>0</ConditionNegated><Group>0</Group><Method>MESSAGE</Method></SPT>
</TriggerPoint><ApplicationServer><ServerName>sip:as.{k.DOMAIN}:{k.AS_PORT}</ServerName><DefaultHandling>0</DefaultHandling>
</ApplicationServer></InitialFilterCriteria></ServiceProfile>"""
PASSWORD = "horse"


def digest_user(n, name):
    return {"imsi": imsi(n), "ims": {
        "private_identities": [{"identity": f"{name}@{k.DOMAIN}", "scheme": "digest", "password": PASSWORD}],
        "public_identities": [{"identity": f"sip:{name}@{k.DOMAIN}"}]}}


class Kamailio(unittest.TestCase):
    scheme = "HSS-Selected"

    def setUp(self):
        self.assertTrue(k.have_kamailio(), "kamailio and kamailio-ims-modules are not installed")
        self.dir = tempfile.mkdtemp(prefix="kamailio-")
        os.chmod(self.dir, 0o755)
        k.own_hosts(self.dir)
        self.criteria = os.path.join(self.dir, "criteria.xml")
        with open(self.criteria, "w") as f:
            f.write(CRITERIA)
        self.capture = os.path.join(self.dir, "cx.pcapng")
        self.tshark = subprocess.Popen(["tshark", "-q", "-i", "lo", "-f", f"tcp port {k.PORT}", "-w", self.capture],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.tshark.kill)
        self.assertIn("Capturing", self.tshark.stderr.readline() + self.tshark.stderr.readline())
        self.h = Hss(identity={"host": f"hss.{k.DOMAIN}", "realm": k.DOMAIN}, ims={"filter_criteria_file": self.criteria},
                     listen=[{"transport": "tcp", "address": k.HSS, "port": k.PORT}])
        self.addCleanup(self.h.close)
        self.core = k.Core(self.dir, self.scheme)
        self.addCleanup(self.core.stop)
        self.core.start()
        self.as_server = k.ApplicationServer()
        self.addCleanup(self.as_server.close)
        self.h.until(self.connected, "both CSCFs are connected")

    def connected(self):
        return len([p for p in self.h.ctl("--json", "peer", "list").lines if p.get("state") == "open"]) == 2

    def put(self, *documents):
        self.h.ctl("subscriber", "import", "-", input="".join(json.dumps(one) + "\n" for one in documents))

    def phone(self, *args, **how):
        phone = k.Phone(*args, **how)
        self.addCleanup(phone.close)
        return phone

    def state(self, identity):
        return self.h.ctl_json("ims", "show", identity)["public_identities"][0]["state"]

    def judged(self):
        """tshark finds nothing to remark on in what the HSS has sent."""
        self.assertEqual(self.h.stop(), 0)
        self.core.stop()
        self.tshark.terminate()
        self.tshark.communicate()
        remarks = judge.of_diameter([r[-1] for r in judge.remarks(self.capture, f"ip.src=={k.HSS} && diameter")])
        self.assertEqual(remarks, [])
        self.assertTrue(judge.tshark(self.capture, f"ip.src=={k.HSS} && diameter.cmd.code==301"))

    def test_phones(self):
        h = self.h
        self.put(document(FIRST, msisdn=[]), digest_user(2, "bob"), document(imsi(3), msisdn=[]))
        sim = self.phone(FIRST, f"{FIRST}@{k.DOMAIN}", k=K, opc=OPC)
        bob = self.phone("bob", f"bob@{k.DOMAIN}", password=PASSWORD, port=5081)
        self.assertEqual(sim.register(), 200, sim.last)
        self.assertIn(f"sip:{FIRST}@{k.DOMAIN}", sim.last)  # P-Associated-URI, from our XML
        self.assertEqual(self.state(FIRST), "registered")
        h.kill_role("worker-0")
        self.assertEqual(bob.register(), 200, bob.last)
        h.kill_role("loader")
        self.assertEqual(sim.register(ahead=(1 << 24) << 5), 200, sim.last)
        self.assertGreater(sim.sqn >> 5, 1 << 24)
        h.kill_role("worker-1")
        # to a registered user: the filter criteria of our profile lead to the application server
        called = threading.Thread(target=lambda: self.codes.append(bob.message(f"sip:{FIRST}@{k.DOMAIN}")))
        self.codes = []
        called.start()
        self.assertTrue(self.as_server.take().startswith(f"MESSAGE sip:{FIRST}@"))
        called.join(40)
        self.assertEqual(self.codes, [200])
        # to one who is not registered but has services for that
        called = threading.Thread(target=lambda: self.codes.append(bob.message(f"sip:{imsi(3)}@{k.DOMAIN}")))
        called.start()
        self.assertTrue(self.as_server.take().startswith(f"MESSAGE sip:{imsi(3)}@"))
        called.join(40)
        self.assertEqual(self.codes, [200, 200])
        self.assertEqual(self.state(imsi(3)), "unregistered")
        self.assertEqual(bob.message(f"sip:nobody@{k.DOMAIN}"), 604)  # LIA 5001
        # wrong password, unknown user
        wrong = self.phone("bob", f"bob@{k.DOMAIN}", password="wrong", port=5082)
        self.assertEqual(wrong.register(), 403)
        unknown = self.phone("nobody", f"nobody@{k.DOMAIN}", password="x", port=5083)
        self.assertEqual(unknown.register() // 100, 6)
        # the whole HSS goes and comes back: nothing is forgotten
        h.kill()
        h.start()
        h.wait_served()
        h.until(self.connected, "both are back")
        self.assertEqual(self.state(FIRST), "registered")
        self.assertEqual(sim.register(), 200, sim.last)
        self.assertEqual(sim.register(expires=0), 200, sim.last)
        h.until(lambda: self.state(FIRST) == "not_registered", "deregistered")
        # a PPR, which this Kamailio never answers, holds up nothing; an RTR ends the registration
        h.ctl("ims", "push", f"sip:bob@{k.DOMAIN}")
        h.ctl("ims", "deregister", f"sip:bob@{k.DOMAIN}", "--text", "closed")
        self.assertEqual(self.state(f"sip:bob@{k.DOMAIN}"), "not_registered")
        ended = f"ip.dst=={k.HSS} && diameter.cmd.code==304 && diameter.Result-Code==2001"
        h.until(lambda: judge.tshark(self.capture, ended), "Kamailio has ended the registration")
        self.assertEqual(bob.register(), 200, bob.last)
        self.judged()

    def test_a_hundred_by_sipp(self):
        self.put(*[digest_user(n, f"user{n}") for n in range(1, 101)])
        path = os.path.join(self.dir, "users.csv")
        with open(path, "w") as f:
            f.write("SEQUENTIAL\n" + "".join(f"user{n};[authentication username=user{n}@{k.DOMAIN} password={PASSWORD}]\n"
                                             for n in range(1, 101)))
        done = subprocess.run(["sipp", "-sf", os.path.join(k.HERE, "ims", "register.xml"), "-inf", path, "-i", k.PHONE, "-p", "5070",
                               "-m", "100", "-r", "50", "-nostdin", "-timeout", "60s", f"{k.ICSCF}:5060"], cwd=self.dir,
                              capture_output=True, text=True, env={**os.environ, "TERM": "dumb"})
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-500:])
        self.assertEqual(self.state(f"sip:user100@{k.DOMAIN}"), "registered")
        self.judged()


if __name__ == "__main__":
    k.own_network()
    unittest.main()
