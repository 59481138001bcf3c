"""A real MME needs SCTP, and more of a machine than user-mode Linux: mme_guest.py runs in QEMU, with Debian's kernel."""
import os
import sys
import tempfile
import unittest

import capture
import diameter as d
import judge

PORT = 3868
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support", "vm"))
import vm  # noqa: E402


class Mme(unittest.TestCase):
    def test_in_qemu(self):
        vm.program("nextepc-mmed", "nextepc-mme")
        done = vm.qemu([sys.executable, os.path.join(HERE, "mme_guest.py")], fetch=("s6a.pcap",),
                       env={"HSS_BIN": vm.release_bin(), "HSS_PORT": str(PORT)})
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        self.assertIn("Ran 4 tests", done.stdout)
        capture.keep("sctp", done.files["s6a.pcap"])
        with tempfile.NamedTemporaryFile(suffix=".pcap") as f:
            f.write(done.files["s6a.pcap"])
            f.flush()
            self.judge(f.name)

    def judge(self, path):
        """tshark knows of nothing wrong in what we sent, nor of a request that nobody answered."""
        ours = f"sctp.srcport=={PORT} && diameter"
        decode = (f"sctp.port=={PORT}",)
        answered = {code for code, request in judge.commands(path, ours, decode) if not request}
        self.assertLessEqual({d.CER, d.AIR, d.ULR}, answered)
        self.assertEqual(judge.remarks(path, ours, decode), [])
        for alone in ("diameter.flags.request==1 && !diameter.answer_in", "diameter.flags.request==0 && !diameter.answer_to"):
            self.assertEqual(judge.tshark(path, alone, decode=decode), [])
        self.assertEqual({ppid for ppid, in judge.tshark(path, ours, "sctp.data_payload_proto_id", decode=decode)}, {"46"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
