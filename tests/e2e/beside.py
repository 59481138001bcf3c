"""A peer that asks all the time, beside whatever a test does to the same frontend: at the end it has been answered
throughout, nobody was restarted, and the frontend's memory is bounded.

    class Attack(Beside):
        def test_x(self):
            self.peer("evil.test").send(...)
"""
import threading
import unittest

import diameter as d
import hss
from hss import Hss

MEMORY_MIB = 400  # of a sanitized frontend; what the attackers send would be far more
ANSWER_S = 2


class Healthy(threading.Thread):
    """A peer that asks for vectors all the time, and 10 times at least; `stop` tells what went wrong."""

    def __init__(self, port):
        super().__init__()
        self.port, self.ending, self.wrong, self.count = port, threading.Event(), [], 0
        self.answered = threading.Event()

    def run(self):
        try:
            with d.Peer(self.port, "healthy.test") as peer:
                while not self.ending.wait(0.005) or self.count < 10:
                    result = peer.call(peer.air(hss.imsi(1)), timeout=ANSWER_S).result
                    self.count += 1
                    self.answered.set()
                    if result != 2001:
                        self.wrong.append(result)
        except Exception as e:  # a lost connection or a missing answer: what the test is about
            self.wrong.append(repr(e))
            self.answered.set()

    def stop(self):
        """After one answer more than there were."""
        before = self.count
        while self.is_alive() and self.count <= before:
            self.join(0.002)
        self.ending.set()
        self.join()
        return self.wrong


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) // 1024


class Beside(unittest.TestCase):
    """One HSS for all tests of a class; `options` are its configuration."""
    options = {"limits": {"cer_timeout_ms": 1500}}

    @classmethod
    def setUpClass(cls):
        cls.hss = Hss(**cls.options)
        cls.addClassCleanup(cls.hss.close)
        cls.hss.provision(20)

    def setUp(self):
        self.pids = self.hss.pids()
        self.healthy = Healthy(self.hss.port)
        self.healthy.start()
        self.healthy.answered.wait()

    def tearDown(self):
        self.assertEqual(self.healthy.stop(), [], "the healthy peer")
        self.assertEqual(self.hss.pids(), self.pids, "nobody was restarted")
        self.assertLess(resident_mib(self.pids["frontend-0"]), MEMORY_MIB)

    def peer(self, host, **how):
        p = d.Peer(self.hss.port, host, **how)
        self.addCleanup(p.close)
        return p

    def closes(self, peer, timeout=20):
        """Whether the HSS closes this connection; what it says before is read."""
        try:
            while True:
                peer.read(timeout)
        except d.Closed:
            return True
        except TimeoutError:
            return False
