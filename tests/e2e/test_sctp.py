"""SCTP needs a kernel that has it: everything is in sctp_guest.py, which user-mode Linux runs."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support", "vm"))
import vm  # noqa: E402


class Sctp(unittest.TestCase):
    def test_in_user_mode_linux(self):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        with tempfile.TemporaryDirectory() as directory:
            extension = os.path.join(directory, "s6a_client.fdx")
            subprocess.run([compiler, "-O2", "-Wall", "-fPIC", "-shared", "-o", extension,
                            os.path.join(HERE, "fd", "s6a_client.c")], check=True)
            with open(extension, "rb") as f:
                files = {"s6a_client.fdx": f.read()}
        done = vm.uml([sys.executable, os.path.join(HERE, "sctp_guest.py"), "-v"], files=files, timeout=85,
                      env={"HSS_BIN": vm.release_bin()})
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        self.assertRegex(done.stdout, r"Ran 1[0-9] tests")


if __name__ == "__main__":
    unittest.main(verbosity=2)
