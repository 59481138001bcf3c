"""The order in which a virtual machine loads its kernel's modules."""
import os
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests", "support", "vm"))
import vm  # noqa: E402


class Modules(unittest.TestCase):
    def order(self, **depends):
        with tempfile.TemporaryDirectory() as directory:
            paths = {}
            for name, needs in depends.items():
                paths[name] = os.path.join(directory, name)
                with open(paths[name], "wb") as f:
                    f.write(b"\x7fELF...\0license=GPL\0depends=" + needs.encode() + b"\0retpoline=Y\0")
            return vm.in_order(paths)

    def test_9p_of_linux_6_12(self):
        """There 9pnet needs netfs, which 6.1 loaded behind it (Debian 13)."""
        names = {"9pnet": "netfs", "9pnet_virtio": "9pnet", "netfs": "", "9p": "9pnet,netfs"}
        self.assertEqual(self.order(**names), ["netfs", "9pnet", "9pnet_virtio", "9p"])

    def test_the_list_decides_where_nothing_depends(self):
        self.assertEqual(self.order(**{"crc32c_generic": "", "sctp": "crc_ccitt", "crc-ccitt": ""}),
                         ["crc32c_generic", "crc-ccitt", "sctp"])

    def test_a_module_that_is_not_listed(self):
        with self.assertRaisesRegex(vm.Missing, "sctp needs new_thing"):
            self.order(sctp="new_thing")


if __name__ == "__main__":
    unittest.main(verbosity=2)
