"""A real MME needs SCTP, and more of a machine than user-mode Linux: mme_guest.py runs in QEMU, with Debian's kernel."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support", "vm"))
import vm  # noqa: E402


class Mme(unittest.TestCase):
    def test_in_qemu(self):
        vm.program("nextepc-mmed", "nextepc-mme")
        done = vm.qemu([sys.executable, os.path.join(HERE, "mme_guest.py")], env={"HSS_BIN": vm.release_bin()})
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        self.assertIn("Ran 4 tests", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
