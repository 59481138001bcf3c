"""hssctl status: one screen of 80 x 24, on a terminal and into a pipe, with what is wrong first."""
import os
import pty
import re
import select
import struct
import subprocess
import termios
import fcntl
import unittest

import diameter as d
import hss
from hss import FIRST, Hss

COLOUR = re.compile(r"\033\[[0-9;]*m")


def on_terminal(h, *words, rows=24, columns=80, env=None):
    """What is written to a terminal of that size, as text."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen([os.path.join(hss.BIN, "hssctl"), "--socket", h.socket, *words], stdin=theirs, stdout=theirs,
                               stderr=theirs, env={**os.environ, "TERM": "xterm", **(env or {})})
    os.close(theirs)
    shown = b""
    try:
        while select.select([ours], [], [], hss.TIMEOUT)[0]:
            shown += os.read(ours, 65536)
    except OSError:  # its last process has closed the terminal
        pass
    os.close(ours)
    assert process.wait(hss.TIMEOUT) in (0, 1)
    return shown.decode().replace("\r\n", "\n")


class Status(unittest.TestCase):
    def start(self, **options):
        h = Hss(**options)
        self.addCleanup(h.close)
        return h

    def test_what_it_says(self):
        h = self.start(peers={"list": [{"host": "mme.test"}, {"host": "other.test"}, {"host": "*.realm.test"}]})
        h.provision(3)
        with d.Peer(h.port, "mme.test") as mme:
            for n in range(30):
                mme.call(mme.air(FIRST))
            mme.call(mme.air("001019999999999"))
            h.until(lambda: h.ctl_json("status")["load"]["requests_per_s"] > 0, "hss-admin has looked")
            row = h.ctl_json("status")
            self.assertEqual((row["peers"], row["peers_listed"], row["peers_listed_connected"]), (1, 2, 1))
            self.assertEqual(row["sqn"], {"blocks": 0, "refused": 0, "waits": 0, "exhausted": 0})  # a start brings 256 SEQs
            load = row["load"]
            self.assertLessEqual(load["seconds"], 12)
            self.assertGreater(load["successes_per_s"], load["refusals_per_s"])
            self.assertGreater(load["refusals_per_s"], 0)
            self.assertGreaterEqual(load["p99_within_ms"], load["half_within_ms"])
            self.assertEqual(row["alarms"], [])
            text = h.ctl("status").stdout
        self.assertRegex(text, rf"^{hss.HOST}  corehss \d+\.\d+\.\d+  up 00:\d\d:\d\d\n")
        self.assertRegex(text, r"(?m)^store +complete, 3 of 10000 subscribers, 1 profiles, disk ok$")
        self.assertRegex(text, r"(?m)^peers +1 connected; 1 of 2 listed ones$")
        self.assertRegex(text, r"(?m)^latency +half within [0-9.]+ ms, 99 % within [0-9.]+ ms \(last \d+ s\)$")
        self.assertRegex(text, r"(?m)^alarms +none$")
        self.assertRegex(text, r"(?m)^worker +1 +\d+ +yes +0 +0 +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$")

    def test_screen(self):
        """With many processes and many alarms it still fits; what is wrong is shown, the rest is counted."""
        h = self.start(workers=16, frontends=2, cache={"max_subscribers": 100}, peers={"list": [
            {"host": f"peer{n}.with-a-very-long-name-that-fills-more-than-a-line.epc.mnc001.mcc001.3gppnetwork.org",
             "connect": True, "addresses": ["127.0.0.1"], "port": h_port} for n, h_port in enumerate(range(20001, 20011))]})
        h.provision(95)
        h.kill_role("worker-15")
        h.until(lambda: len(h.alarms()) == 11, "11 alarms are raised")
        shown = on_terminal(h, "status")
        lines = COLOUR.sub("", shown).splitlines()
        self.assertLessEqual(len(lines), 23)  # and the prompt
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn("\033[", shown)
        self.assertTrue(any(re.match(r" +7 more: hssctl alarm list$", line) for line in lines), shown)
        self.assertTrue(any(re.match(r"worker +15 .* yes +1 ", line) for line in lines), shown)
        self.assertRegex(lines[-1], r"^\d+ more: hssctl --json status$")
        # without colours it says the same
        plain = on_terminal(h, "status", env={"NO_COLOR": "1"})
        self.assertNotIn("\033", plain)
        strip = lambda text: [re.sub(r"\d+", "N", line) for line in COLOUR.sub("", text).splitlines()]
        self.assertEqual(strip(plain), strip(shown))
        # a pipe has all of it
        piped = h.ctl("status").stdout
        self.assertNotIn("\033", piped)
        self.assertEqual(len(re.findall(r"(?m)^(?:worker|frontend|loader|admin) ", piped)), 20)
        self.assertEqual(len(h.ctl_json("status")["alarms"]), 11)


if __name__ == "__main__":
    unittest.main(verbosity=2)
