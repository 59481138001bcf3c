"""A real MME, inside the virtual machine that test_mme.py starts: phones attach at it, over S1AP; it asks us, over S6a,
both on SCTP. It proves by its NAS security that it has the KASME that the phone's SIM computes."""
import os
import re
import subprocess
import unittest

import enb
import hss
from hss import HOST, REALM, Hss
from sctp_capture import Capture

HERE = os.path.dirname(os.path.abspath(__file__))
HSS_ADDRESS, MME_ADDRESS, ENB_ADDRESS = "10.77.0.1", "10.77.0.2", "10.77.0.3"
MME = f"mme.{REALM}"
SQN_SEEN = 0x123400
# What this MME complains of without our being wrong: it wants the timer beside Subscription-Data, where TS 29.272 7.3.2 has
# it inside; and it says when a phone or we refuse.
EXPECTED = re.compile(r"no_Subscribed_RAU-TAU-Timer|Synch failure|Result Code\(5001\)|IMSI Unknown in HSS")


class Mme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for address in (HSS_ADDRESS, MME_ADDRESS, ENB_ADDRESS):
            subprocess.run(["ip", "addr", "add", address + "/32", "dev", "lo"], check=True)
        capture = Capture(os.path.join(os.environ["VM_RW"], "s6a.pcap"))
        cls.addClassCleanup(capture.stop)
        cls.hss = Hss(start=False)
        cls.hss.port = int(os.environ["HSS_PORT"])
        cls.addClassCleanup(cls.hss.close)
        cls.hss.configure(listen=[{"transport": "sctp", "address": HSS_ADDRESS, "port": cls.hss.port}], workers=1)
        cls.hss.start()
        cls.hss.provision(2)
        for name in ("mme.conf", "mme-fd.conf"):
            with open(os.path.join(HERE, "mme", name + ".in")) as f:
                text = f.read()
            for key, value in {"DIR": cls.hss.dir, "MME": MME, "REALM": REALM, "HSS": HOST, "PORT": str(cls.hss.port),
                               "HSS_ADDRESS": HSS_ADDRESS, "MME_ADDRESS": MME_ADDRESS}.items():
                text = text.replace(f"@{key}@", value)
            with open(os.path.join(cls.hss.dir, name), "w") as f:
                f.write(text)
        cls.log_path = os.path.join(cls.hss.dir, "mme.out")
        with open(cls.log_path, "w") as log:
            cls.mme = subprocess.Popen(["nextepc-mmed", "-f", os.path.join(cls.hss.dir, "mme.conf"), "-p", "/run/mme.pid"],
                                       env={**os.environ, "LD_LIBRARY_PATH": "/usr/lib/nextepc"}, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log)
        cls.addClassCleanup(cls.mme.wait)
        cls.addClassCleanup(cls.mme.kill)
        try:
            cls.hss.wait_log(f"peer_up.*{MME}", timeout=30)
            cls.hss.until(cls.connect_enb, "the MME listens")
        except Exception:
            print(cls.mme_log(), cls.hss.log_tail())
            raise
        cls.addClassCleanup(cls.enb.close)

    @classmethod
    def connect_enb(cls):
        try:
            cls.enb = enb.Enb(MME_ADDRESS, ENB_ADDRESS)
        except ConnectionRefusedError:
            return False
        return True

    @classmethod
    def mme_log(cls):
        """What it wrote, and its log."""
        text = ""
        for path in (cls.log_path, os.path.join(cls.hss.dir, "mme.log")):
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()
        return text

    def attach(self, imsi, **how):
        try:
            return enb.Phone(self.enb, imsi, hss.K, hss.OPC, **how).attach()
        except Exception:
            print(self.mme_log()[-4000:], self.hss.log_tail())
            raise

    def test_1_attach(self):
        phone = self.attach(hss.imsi(1))
        self.assertTrue(phone.secured)
        self.assertEqual(len(phone.sqns), 1)
        self.hss.wait_location(hss.imsi(1), MME)

    def test_2_resynchronisation(self):
        phone = self.attach(hss.imsi(2), sqn_seen=SQN_SEEN)
        self.assertTrue(phone.secured)
        self.assertEqual(len(phone.sqns), 2)
        self.assertGreater(phone.sqns[1], SQN_SEEN)
        self.assertGreater(int(self.hss.ctl_json("sqn", "show", hss.imsi(2))["sqn"]), SQN_SEEN)
        self.hss.wait_location(hss.imsi(2), MME)

    def test_3_unknown(self):
        phone = self.attach("001010000000999")
        self.assertEqual(phone.sqns, [])
        self.assertEqual(phone.reject_cause, 2)  # IMSI unknown in HSS

    def test_4_what_the_mme_says(self):
        """It understood all our answers."""
        self.assertIsNone(self.mme.poll())
        log = self.mme_log()
        for said in ("CONNECTED TO", "Synch failure", r"Result Code\(5001\)"):  # it does write what happens
            self.assertRegex(log, said)
        complaints = re.findall(r".*(?:ERRR|WARN|FATAL|ASSERT|[Pp]arsing|[Dd]iscarded|no_).*", log)
        self.assertEqual([line for line in complaints if not EXPECTED.search(line)], [], log)
        row = self.hss.ctl("--json", "peer", "list").lines[0]
        self.assertEqual((row["host"], row["transport"]), (MME, "sctp"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
