"""SCTP needs a kernel that has it: everything is in sctp_guest.py, which user-mode Linux runs."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import diameter as d
import hss
from sctp_capture import read

PORT, DIAL_PORT = 3868, 3870

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support", "vm"))
import vm  # noqa: E402


class Sctp(unittest.TestCase):
    def setUp(self):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        with tempfile.TemporaryDirectory() as directory:
            extension = os.path.join(directory, "s6a_client.fdx")
            subprocess.run([compiler, "-O2", "-Wall", "-fPIC", "-shared", "-o", extension,
                            os.path.join(HERE, "fd", "s6a_client.c")], check=True)
            with open(extension, "rb") as f:
                self.files = {"s6a_client.fdx": f.read()}

    def run_in(self, machine, programs, *which, **how):
        done = machine([sys.executable, os.path.join(HERE, "sctp_guest.py"), *which], files=self.files,
                       env={"HSS_BIN": programs, "HSS_PORT": str(PORT), "HSS_DIAL_PORT": str(DIAL_PORT)}, fetch=("sctp.pcap",), **how)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        self.assertRegex(done.stdout, r"Ran 1[0-9] tests")
        self.judge(lambda rule, *fields: read(done.files["sctp.pcap"], PORT, rule, *fields))

    def judge(self, seen):
        """tshark knows of nothing wrong in what we sent."""
        dialled = " || ".join(f"sctp.dstport=={DIAL_PORT + n}" for n in range(3))
        ours = f"(sctp.srcport=={PORT} || {dialled}) && diameter"
        answered = {int(code) for line in seen(f"{ours} && diameter.flags.request==0", "diameter.cmd.code")
                    for code in line.split(",")}
        asked = {int(code) for line in seen(f"({dialled}) && diameter.flags.request==1", "diameter.cmd.code")
                 for code in line.split(",")}
        self.assertLessEqual({d.CER, d.CLR}, asked)
        self.assertLessEqual({d.CER, d.DPR, d.AIR, d.ULR, d.PUR}, answered)
        # what was sent again, as a path was lost or a reader was late, was judged when it was sent first
        odd = seen(f"{ours} && !sctp.retransmission && (_ws.malformed || _ws.expert.severity >= \"Note\" || "
                   "diameter.avp.code.unknown)", "frame.number", "diameter.cmd.code", "_ws.expert.message")
        # a busy machine loses more than one of them: said of the first sending, too, and not about Diameter
        self.assertEqual([row for row in odd if row.split("\t")[2] != "This TSN was retransmitted more than 2 times."], [])
        self.assertTrue(seen(f"sctp.dstport=={PORT} && diameter.avp.code.unknown"))  # the judge itself: it finds ours

    def test_in_user_mode_linux(self):
        self.run_in(vm.uml, vm.release_bin(), timeout=85)

    @unittest.skipUnless(hss.ALL and hss.have("hssd") and hss.sanitized(hss.BIN), "a long run, for programs with sanitizers")
    def test_sanitizers_in_qemu(self):
        """User-mode Linux has no room for their shadow memory."""
        self.run_in(vm.qemu, hss.BIN, "B_Sctp", timeout=180)


if __name__ == "__main__":
    unittest.main(verbosity=2)
