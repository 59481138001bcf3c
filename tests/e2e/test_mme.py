"""A real MME needs SCTP, and more of a machine than user-mode Linux: mme_guest.py runs in QEMU, with Debian's kernel."""
import os
import sys
import unittest

import diameter as d
from sctp_capture import read

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
        self.judge(lambda rule, *fields: read(done.files["s6a.pcap"], PORT, rule, *fields))

    def judge(self, seen):
        """tshark knows of nothing wrong in what we sent, nor of a request that nobody answered."""
        ours = f"sctp.srcport=={PORT} && diameter"
        answered = {int(code) for line in seen(f"{ours} && diameter.flags.request==0", "diameter.cmd.code")
                    for code in line.split(",")}
        self.assertLessEqual({d.CER, d.AIR, d.ULR}, answered)
        self.assertEqual(seen(f"{ours} && (_ws.malformed || _ws.expert.severity >= \"Note\" || diameter.avp.code.unknown)",
                              "frame.number", "diameter.cmd.code", "_ws.expert.message"), [])
        self.assertEqual(seen("diameter.flags.request==1 && !diameter.answer_in"), [])
        self.assertEqual(seen("diameter.flags.request==0 && !diameter.answer_to"), [])
        self.assertEqual(set(seen(ours, "sctp.data_payload_proto_id")), {"46"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
