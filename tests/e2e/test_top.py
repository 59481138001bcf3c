"""hssctl top: one time into a pipe, live on a terminal until q."""
import os
import pty
import select
import subprocess
import unittest

import hss
from hss import Hss


class Top(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hss = Hss()
        cls.addClassCleanup(cls.hss.close)
        cls.hss.ctl("subscriber", "add", hss.FIRST, "--k", hss.K, "--opc", hss.OPC)
        cls.hss.load("air", imsi=hss.FIRST, subscribers=1, requests=5, k=hss.K, opc=hss.OPC)

    def test_into_a_pipe(self):
        shown = self.hss.ctl("top").stdout
        self.assertTrue(shown.startswith(f"{hss.HOST}  corehss "), shown)
        self.assertIn("  serving\n", shown)
        self.assertIn("subscribers 1 of 10000", shown)
        self.assertRegex(shown, r"\nAIR +0 +0 +0\n")
        self.assertNotIn("\033", shown)

    def test_on_a_terminal_until_q(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        process = subprocess.Popen([os.path.join(hss.BIN, "hssctl"), "--socket", self.hss.socket, "top"], stdin=theirs,
                                   stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        shown = b""
        while shown.count(b"\033[H\033[2J") < 2:
            self.assertTrue(select.select([ours], [], [], hss.TIMEOUT)[0], shown)
            shown += os.read(ours, 65536)
        os.write(ours, b"q")
        self.assertEqual(process.wait(hss.TIMEOUT), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
