"""A silent role is a dead role: stopped (SIGSTOP) or spinning, it is killed and replaced within supervision.silence_ms, and
frontends ask the other workers long before. Nobody is killed because hssd, or everything, was stopped."""
import os
import shutil
import signal
import time
import unittest

import hss
from diameter import Peer
from hss import FIRST, Hss
from test_supervisor import stub_bin


class SilentRoles(unittest.TestCase):
    def started(self, **options):
        h = Hss(start=False, **options)
        self.addCleanup(h.close)
        return h.start()

    def replaced(self, h, name, old, start):
        """Until hssd has killed this role for its silence, and its successor is ready."""
        h.wait_log(f'role_silent role="{name}" pid={old} ', start=start)
        h.wait_log(f'role_ended role="{name}" pid={old} reason="silent"', start=start)
        h.wait_log(f'role_ready role="{name}"', start=start)
        self.assertNotIn(f'role_killed role="{name}"', h.log()[start:], "it was our own doing")
        self.assertTrue(hss.wait_dead(old))

    def test_a_stopped_role_of_each_kind(self):
        h = self.started(frontends=2, supervision={"loader_silence_ms": 3000})
        h.provision(2)
        for name in ("worker-1", "frontend-1", "admin", "loader"):
            with self.subTest(name):
                others = h.pids()
                old, end = others.pop(name), len(h.log())
                os.kill(old, signal.SIGSTOP)
                self.replaced(h, name, old, end)
                h.until(lambda: name in h.pids(), f"{name} is there")
                self.assertEqual({n: p for n, p in h.pids().items() if n != name}, others, "nobody else")
                h.wait_served()
                with Peer(h.port) as peer:
                    self.assertEqual(peer.call(peer.air(FIRST)).result, 2001)
                    self.assertEqual(peer.call(peer.ulr(FIRST)).result, 2001)
        roles = {f"{r['role']}-{r['instance']}": r for r in h.ctl_json("status")["roles"]}
        self.assertEqual({n for n, r in roles.items() if r["silences"] == 1},
                         {"worker-1", "frontend-1", "admin-0", "loader-0"})
        self.assertIn('hss_role_silences_total{role="worker",process="1"} 1\n', h.metrics())
        self.assertEqual(h.stop(), 0)

    def test_status_tells_of_a_stopped_worker(self):
        h = self.started(supervision={"silence_ms": 600000})
        pid = h.pid("worker-0")
        os.kill(pid, signal.SIGSTOP)
        h.until(lambda: 'hss_role_up{role="worker",process="0"} 0' in h.metrics(), "it is not up")
        row = [r for r in h.ctl_json("status", check=False)["roles"] if r["pid"] == pid][0]
        self.assertFalse(row["ready"])
        self.assertGreaterEqual(row["silent_ms"], 1000)
        os.kill(pid, signal.SIGCONT)
        h.until(lambda: 'hss_role_up{role="worker",process="0"} 1' in h.metrics(), "it is up again")
        self.assertEqual(h.pid("worker-0"), pid)

    def test_others_serve_while_a_worker_is_stopped(self):
        """The stopped worker is never killed here: frontends must do without it by themselves."""
        h = self.started(supervision={"silence_ms": 600000})
        h.provision(40)
        with Peer(h.port) as peer:
            for n in range(1, 41):
                self.assertEqual(peer.call(peer.air(hss.imsi(n))).result, 2001)
            pid = h.pid("worker-0")
            os.kill(pid, signal.SIGSTOP)
            waiting = [peer.air(hss.imsi(n)) for n in range(1, 41)]
            peer.send(*waiting)
            h.wait_log('frontend-0: worker_silent worker=0')
            results = [peer.wait(int.from_bytes(m[12:16], "big")).result for m in waiting]
            self.assertEqual(set(results), {2001, 3004}, "some were at the stopped one, all are answered")
            for n in range(1, 41):  # law 3: any worker serves any request
                self.assertEqual(peer.call(peer.air(hss.imsi(n))).result, 2001)
            os.kill(pid, signal.SIGCONT)
            h.wait_log('frontend-0: worker_speaks_again worker=0')
            for n in range(1, 41):
                self.assertEqual(peer.call(peer.air(hss.imsi(n))).result, 2001)
        self.assertEqual(h.pid("worker-0"), pid)

    def test_a_spinning_role(self):
        directory = stub_bin()
        self.addCleanup(shutil.rmtree, directory)
        h = Hss(bin=directory, start=False, env={"HSS_STUB_SPIN": "admin"})
        self.addCleanup(h.close)
        h.start()
        old, end = h.pid("admin"), len(h.log())
        h.configure(limits={"watchdog_ms": 6001})
        h.reload()
        self.replaced(h, "admin", old, end)

    def test_nobody_is_killed_for_what_hssd_did_not_see(self):
        """Everything is stopped for longer than the limit, as by a suspended machine or a frozen container."""
        h = self.started(supervision={"silence_ms": 1000, "loader_silence_ms": 1000})
        before = h.pids()
        for pid in (h.process.pid, *before.values()):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(3)  # the time that passes is what is tested
        for pid in (h.process.pid, *before.values()):  # hssd first: it sees all the others standing still
            os.kill(pid, signal.SIGCONT)
        with Peer(h.port) as peer:
            self.assertNotEqual(peer.call(peer.air(FIRST)).result, 3004)
        self.assertEqual(h.pids(), before)
        self.assertNotIn("role_silent", h.log())

    def test_a_stopped_frontend_does_not_delay_the_stop(self):
        h = self.started(supervision={"silence_ms": 600000})
        os.kill(h.pid("frontend-0"), signal.SIGSTOP)
        os.kill(h.pid("loader"), signal.SIGSTOP)
        began = time.monotonic()
        self.assertEqual(h.stop(), 0)
        self.assertLess(time.monotonic() - began, 12)


if __name__ == "__main__":
    unittest.main(verbosity=2)
