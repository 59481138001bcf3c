"""kill -9 of each role, and of everything at once, under load. From the clients' own logs: no (IMSI, SQN) is ever
handed out twice, no acknowledged location is lost, peers stay connected unless their frontend died, and the next answer
comes within 3 s. HSS_CHECK_ALL=1: many rounds. $HSS_TEST_SEED repeats the moments of a run."""
import os
import random
import select
import signal
import time
import unittest

import diameter as d
import hss
from hss import K, OPC, Hss

SUBSCRIBERS = 600
ROUND = 200  # subscribers of one round, so that many keep what an earlier round left
NEXT_ANSWER_S = 3
ROLES = ("worker-0", "worker-1", "loader", "frontend-0", "frontend-1", "admin")


class Kill(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("HSS_TEST_SEED", time.time_ns() & 0xffffffff))
        self.random = random.Random(self.seed)
        self.hss = Hss(workers=2, frontends=2)
        self.addCleanup(self.hss.close)
        self.hss.provision(SUBSCRIBERS)
        self.round = 0
        self.vectors = set()  # every (IMSI, SQN) so far
        self.acknowledged = {}  # IMSI -> the round that was last acknowledged
        self.tried = {}  # IMSI -> rounds that tried since then; an unanswered ULR may have taken effect or not

    def load(self):
        """Two clients in the background; each ends by itself."""
        first = self.random.randrange(SUBSCRIBERS - ROUND) + 1
        how = dict(imsi=hss.imsi(first), subscribers=ROUND, duration=1.2, window=16, reconnect=True, retransmit=True,
                   timeout=5, realm="test")
        for n in range(first, first + ROUND):
            self.tried.setdefault(hss.imsi(n), []).append(self.round)
        self.logs = [os.path.join(self.hss.dir, f"{case}-{self.round}") for case in ("air", "ulr")]
        running = [self.hss.load_start(case, host=f"{case}-{self.round}.test", log=log, **how, **more)
                   for case, log, more in (("air", self.logs[0], dict(k=K, opc=OPC)), ("ulr", self.logs[1], {}))]
        for r in running:
            self.addCleanup(r.stop)
        return running

    def probe(self, peer, since):
        """Asks until a vector comes; returns the peer that got it (a new one if the connection is gone)."""
        while time.monotonic() - since < 30:
            try:
                peer = peer or d.Peer(self.hss.port, f"probe-{self.round}.test", timeout=5)
                if peer.call(peer.air(hss.imsi(SUBSCRIBERS)), timeout=1).result == 2001:
                    took = time.monotonic() - since
                    self.assertLess(took, NEXT_ANSWER_S, f"round {self.round}, seed {self.seed}")
                    return peer
            except TimeoutError:
                continue
            except (d.Closed, d.Refused, OSError):
                peer = None  # refused: the identity still counts as connected to the dead frontend, for a moment
            select.select([], [], [], 0.01)
        self.fail(f"no answer at all: round {self.round}, seed {self.seed}\n{self.hss.log_tail()}")

    def one_round(self, victims):
        self.round += 1
        peer = d.Peer(self.hss.port, f"probe-{self.round}.test", timeout=5)
        self.addCleanup(peer.close)
        running = self.load()
        select.select([], [], [], self.random.uniform(0.2, 0.8))  # any moment is the right one
        self.hss.drain_notifications()
        pids = self.hss.pids()
        hssd = self.hss.process.pid
        since = time.monotonic()
        if victims == "all":
            self.hss.kill()
            since = time.monotonic()
            self.hss.start(wait=False)
        else:
            for victim in victims:
                os.kill(pids[victim], signal.SIGKILL)
        got = self.probe(peer, since)
        frontends_lived = victims != "all" and not any(v.startswith("frontend") for v in victims)
        if frontends_lived:
            self.assertIs(got, peer, "the peer's connection was lost")
        got.close()
        reports = [r.finish(check=False) for r in running]
        for report in reports:
            self.assertFalse(set(report["results"]) - {"2001", "3004"}, (victims, report))
            self.assertGreater(report["results"].get("2001", 0), 0)
            self.assertEqual((report["bad_vectors"], report["malformed"]), (0, 0))
            self.assertEqual(report["timeouts"], 0, (victims, report))
            if frontends_lived:
                self.assertEqual((report["reconnects"], report["lost"]), (0, 0), (victims, report))
        if victims != "all":
            self.assertEqual(self.hss.process.pid, hssd)
            self.assertIsNone(self.hss.process.poll(), "hssd lives")
            self.hss.wait(lambda s: set(self.hss.pids()) == set(pids), "all roles are back")
        self.read_logs()

    def read_logs(self):
        for what, imsi, value in hss.load_log(self.logs[0]):
            self.assertEqual(what, "air")
            self.assertNotIn((imsi, value), self.vectors, f"SQN twice: round {self.round}, seed {self.seed}")
            self.vectors.add((imsi, value))
        for what, imsi, host in hss.load_log(self.logs[1]):
            self.assertEqual((what, host), ("ulr", f"ulr-{self.round}.test"))
            self.acknowledged[imsi] = self.round
            self.tried[imsi] = [r for r in self.tried[imsi] if r > self.round]

    def check_locations(self):
        shown = {row["imsi"]: row["mme"] for row in self.hss.ctl("--json", "subscriber", "list").lines}
        for imsi, last in self.acknowledged.items():
            allowed = {f"ulr-{r}.test" for r in [last, *self.tried[imsi]]}
            self.assertIn(shown[imsi], allowed, f"seed {self.seed}")

    def rounds(self, list_of_victims, times):
        for n in range(times):
            if n:  # or the delay before a restart would go on doubling
                self.assertEqual(self.hss.stop(), 0)
                self.hss.start()
            for victims in list_of_victims:
                self.one_round(victims)
        self.hss.wait_served()
        self.check_locations()
        self.assertGreater(len(self.vectors), 100)
        self.assertEqual(self.hss.stop(), 0)

    def test_each_role(self):
        self.rounds([(role,) for role in ROLES], 20 if hss.ALL else 1)

    def test_several_at_once(self):
        self.rounds([("worker-0", "worker-1"), ("loader", "worker-0"), ("frontend-0", "frontend-1", "loader")],
                    20 if hss.ALL else 1)

    def test_stop_under_load(self):
        """SIGTERM: exit 0 within 10 s, every peer hears of it, and what was acknowledged is there at the next start."""
        for _ in range(10 if hss.ALL else 1):
            self.round += 1
            running = self.load()
            select.select([], [], [], self.random.uniform(0.3, 0.9))
            self.assertEqual(self.hss.stop(timeout=10), 0)
            self.hss.start()
            for r in running:
                self.assertFalse(set(r.finish(check=False)["results"]) - {"2001", "3004"})
            self.read_logs()
        self.check_locations()

    def test_everything_at_once(self):
        self.rounds(["all"] * 3, 20 if hss.ALL else 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
