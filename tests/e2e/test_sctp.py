"""SCTP needs a kernel that has it: everything is in sctp_guest.py, which user-mode Linux runs."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import capture
import diameter as d
import hss
import judge

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
        done = machine([sys.executable, os.path.join(HERE, "sctp_guest.py"), *which], files=self.files, fetch=("sctp.pcap",),
                       env={"HSS_BIN": programs, "HSS_PORT": str(PORT), "HSS_DIAL_PORT": str(DIAL_PORT)}, **how)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        self.assertRegex(done.stdout, r"Ran 1[0-9] tests")
        capture.keep("sctp", done.files["sctp.pcap"])
        with tempfile.NamedTemporaryFile(suffix=".pcap") as f:
            f.write(done.files["sctp.pcap"])
            f.flush()
            self.judge({"path": f.name, "decode": [f"sctp.port=={PORT + n}" for n in (0, 2, 3, 4)]})

    def judge(self, said):
        """tshark knows of nothing wrong in what we sent."""
        dialled = " || ".join(f"sctp.dstport=={DIAL_PORT + n}" for n in range(3))
        ours = f"(sctp.srcport=={PORT} || {dialled}) && diameter"
        self.assertLessEqual({(d.CER, False), (d.DPR, False), (d.AIR, False), (d.ULR, False), (d.PUR, False), (d.DPR, True),
                              (d.CLR, True)}, judge.commands(rule=ours, **said).keys())
        asked = judge.commands(rule=f"({dialled}) && diameter", **said)
        self.assertLessEqual({(d.CER, True), (d.CLR, True), (d.AIR, False), (d.ULR, False)}, asked.keys())
        # what was sent again, as a path was lost or a reader was late, was judged when it was sent first
        odd = judge.remarks(ours=f"{ours} && !sctp.retransmission", **said)
        self.assertEqual([row for row in odd if judge.of_diameter(row[2].split(","))], [])
        # the judge itself: it finds ours
        self.assertTrue(judge.tshark(rule=f"sctp.dstport=={PORT} && diameter.avp.code.unknown", **said))

    def test_in_user_mode_linux(self):
        self.run_in(vm.uml, vm.release_bin(), timeout=85)

    @unittest.skipUnless(hss.ALL and hss.have("hssd") and hss.sanitized(hss.BIN), "a long run, for programs with sanitizers")
    def test_sanitizers_in_qemu(self):
        """User-mode Linux has no room for their shadow memory."""
        self.run_in(vm.qemu, hss.BIN, "B_Sctp", timeout=180)


if __name__ == "__main__":
    unittest.main(verbosity=2)
