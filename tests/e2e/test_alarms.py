"""hssctl alarm list: what is wrong is raised while it is so, and cleared when it is over; in the rows, the metric, the log, and
on `hssctl status`. (Every alarm by itself: tests/unit/test_alarm.c; that of MongoDB: test_mongodb_faults.py.)"""
import os
import re
import signal
import subprocess
import sys
import time
import unittest

import diameter as d
import hss
from hss import FIRST, Hss, imsi
from test_csv import HEAD, Store, row
from test_durable import private_mounts

DEF = os.path.join(hss.ROOT, "admin", "alarms.def")
MANUAL = os.path.join(hss.ROOT, "docs", "manual.md")


def names():
    """As alarms.def has them, in its order."""
    with open(DEF, encoding="utf-8") as f:
        return re.findall(r'^ALARM\(\w+, "([a-z-]+)"', f.read(), re.M)


def raised(h):
    """{(alarm, subject): row}"""
    return {(r["alarm"], r["subject"]): r for r in h.ctl("--json", "alarm", "list").lines}


class Alarms(unittest.TestCase):
    def start(self, **options):
        h = Hss(**options)
        self.addCleanup(h.close)
        return h

    def wait_raised(self, h, alarm, subject="", timeout=hss.TIMEOUT):
        h.until(lambda: (alarm, subject) in raised(h), f"{alarm} of {subject} is raised", timeout)
        r = raised(h)[alarm, subject]
        self.assertTrue(all(r[member] for member in ("severity", "since", "text", "effect", "action")), r)
        self.assertIn(f'hss_alarm{{alarm="{alarm}",severity="{r["severity"]}"}} 1\n', h.metrics())
        h.wait_log(f'alarm_raised alarm="{alarm}" severity="{r["severity"]}" subject="{re.escape(subject)}"')
        return r

    def wait_cleared(self, h, alarm, subject=""):
        h.until(lambda: (alarm, subject) not in raised(h), f"{alarm} of {subject} is cleared")
        self.assertIn(f'hss_alarm{{alarm="{alarm}",severity="', h.metrics())
        self.assertNotRegex(h.metrics(), f'hss_alarm{{alarm="{alarm}",severity="[a-z]+"}} [1-9]')
        h.wait_log(f'alarm_cleared alarm="{alarm}" subject="{re.escape(subject)}"')

    def test_quiet(self):
        h = self.start()
        self.assertEqual(h.ctl("alarm", "list").stdout, "no alarms\n")
        self.assertEqual(h.ctl("--json", "alarm", "list").stdout, "")
        everything = h.ctl("--json", "alarm", "list", "--all").lines
        self.assertEqual([r["alarm"] for r in everything], names())
        self.assertEqual({(r["since"], r["raised"]) for r in everything}, {(None, False)})
        shown = h.ctl("alarm", "list", "--all").stdout
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)
        self.assertNotIn("\033", shown)
        self.assertEqual(re.findall(r"^(?:critical|warning ) +([a-z-]+) +not raised$", shown, re.M), names())

    def test_manual_has_them(self):
        with open(MANUAL, encoding="utf-8") as f:
            self.assertEqual(re.findall(r"^#### `([a-z-]+)`", f.read(), re.M), names())
        done = subprocess.run([sys.executable, os.path.join(hss.ROOT, "tools", "gen-docs.py"), "--check"], check=False)
        self.assertEqual(done.returncode, 0)

    def test_rule_leaves_out_real_ones(self):
        """CorehssAlarm names those that have a rule of their own."""
        with open(os.path.join(hss.ROOT, "packaging", "prometheus", "corehss.rules.yml"), encoding="utf-8") as f:
            left_out = re.search(r'hss_alarm{alarm!~"([a-z|-]+)"}', f.read()).group(1).split("|")
        self.assertEqual(set(left_out) - set(names()), set())
        self.assertLess(len(left_out), len(names()))

    def test_peer_and_what_it_must_be_told(self):
        """A listed peer goes, and a subscriber moves from it: it can't be told until it is back."""
        h = self.start(peers={"list": [{"host": "mme-a.test"}, {"host": "*.other.test"}, {"host": "never.test"}]})
        h.provision(1)
        with d.Peer(h.port, "mme-a.test") as a:
            self.assertEqual(a.call(a.ulr(FIRST)).result, 2001)
            h.until(lambda: h.ctl_json("status")["peers"] == 1)
            self.assertEqual(raised(h), {})
            time.sleep(2)  # hss-admin looks once a second, and tells nobody when
        with d.Peer(h.port, "mme-b.test") as b:
            self.assertEqual(b.call(b.ulr(FIRST)).result, 2001)
            waits = self.wait_raised(h, "requests-wait", "mme-a.test")
            self.assertRegex(waits["text"], r"^1 requests wait, the oldest for \d+ s; the node can't be reached$")
            self.wait_raised(h, "peer-down", "mme-a.test", timeout=30)
            self.assertEqual({subject for _, subject in raised(h)}, {"mme-a.test"})
            with d.Peer(h.port, "mme-a.test") as a:
                cancel = a.take(317)
                a.answer(cancel)
                self.wait_cleared(h, "requests-wait", "mme-a.test")
                self.wait_cleared(h, "peer-down", "mme-a.test")

    def test_processes(self):
        h = self.start(supervision={"silence_ms": 600000, "loader_silence_ms": 600000})  # a stopped one stays
        for _ in range(3):
            h.kill_role("worker-1")
        r = self.wait_raised(h, "process-restarts", "worker-1")
        self.assertEqual(r["severity"], "warning")
        pid = h.pid("worker-0")
        os.kill(pid, signal.SIGSTOP)
        try:
            self.wait_raised(h, "process-down", "worker-0")
        finally:
            os.kill(pid, signal.SIGCONT)
        self.wait_cleared(h, "process-down", "worker-0")

    def test_cache(self):
        h = self.start(cache={"max_subscribers": 100})
        h.provision(91)
        r = self.wait_raised(h, "cache-nearly-full")
        self.assertEqual(r["text"], "91 of 100 subscribers")
        self.assertRaisesRegex(hss.Failed, "the cache is full", h.provision, 20, first=imsi(200))
        self.assertEqual(self.wait_raised(h, "cache-full")["severity"], "critical")
        for n in range(1, 21):
            h.ctl("subscriber", "delete", imsi(n))
        self.wait_cleared(h, "cache-nearly-full")
        self.assertIn(("cache-full", ""), raised(h))  # for five minutes

    def test_file(self):
        with Store(hss.BIN, [HEAD, row(1)]) as s:
            s.hss.wait_served()
            s.replace([HEAD, "nonsense"])
            r = self.wait_raised(s.hss, "file-refused", s.path)
            self.assertIn("2", r["text"])
            s.replace([HEAD, row(1), row(2)])
            self.wait_cleared(s.hss, "file-refused", s.path)

    def test_admin_starts_again(self):
        """A new hss-admin sees by itself what is wrong."""
        h = self.start(cache={"max_subscribers": 10})
        h.provision(10)
        self.wait_raised(h, "cache-nearly-full")
        h.kill_role("admin")
        self.wait_raised(h, "cache-nearly-full")


class Disk(unittest.TestCase):
    wait_raised, wait_cleared = Alarms.wait_raised, Alarms.wait_cleared

    def test_disk(self):
        self.assertTrue(private_mounts(), "needs root, or user namespaces")
        h = Hss(start=False)
        self.addCleanup(h.close)
        os.mkdir(h.state_dir, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m,mode=0700", "none", h.state_dir], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", h.state_dir], check=False)
        h.start()
        h.provision(2)
        ballast = os.path.join(h.state_dir, "ballast")
        with open(ballast, "wb", buffering=0) as f:
            os.posix_fallocate(f.fileno(), 0, 150 << 20)
            self.wait_raised(h, "disk-nearly-full")
            try:
                while True:
                    f.seek(0, os.SEEK_END)
                    f.write(bytes(4096))
            except OSError:
                pass
        with d.Peer(h.port, "mme.test") as mme:
            h.until(lambda: mme.call(mme.ulr(FIRST)).result == 5012 or mme.call(mme.ulr(imsi(2))).result == 5012,
                    "changes are refused")
            self.wait_raised(h, "disk-fails")
            os.unlink(ballast)
            self.wait_cleared(h, "disk-nearly-full")
            h.until(lambda: mme.call(mme.ulr(FIRST)).result == 2001, "changes are stored")
            self.wait_cleared(h, "disk-fails")


if __name__ == "__main__":
    unittest.main(verbosity=2)
