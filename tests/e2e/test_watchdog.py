"""What feeds systemd's watchdog: a CER and a DWR through each own listener that are answered, and nothing else."""
import shutil
import tempfile
import unittest

import diameter as d
import hss
import tls
from hss import Hss
from test_supervisor import stub_bin

ENV = {"WATCHDOG_USEC": "1500000"}


class Watchdog(unittest.TestCase):
    def started(self, **options):
        h = Hss(start=False, env=ENV, **options)
        self.addCleanup(h.close)
        return h.start()

    def fed(self, h, times=2):
        for _ in range(times):
            h.status.pop("WATCHDOG", None)
            h.wait(lambda s: s.get("WATCHDOG") == "1", "a sign of life")

    def test_fed_while_served(self):
        h = self.started(log={"level": "debug"})
        self.fed(h)
        self.assertNotIn("peer_up", h.log(), "it is no peer")
        self.assertNotIn("peer_rejected", h.log())
        self.assertNotIn("listener_not_served", h.log())
        self.assertEqual(h.ctl("--json", "peer", "list").lines, [])

    def test_fed_when_only_listed_peers_are_let_in(self):
        h = self.started(peers={"accept": "listed", "list": [{"host": "mme.test"}]})
        self.fed(h)
        self.assertNotIn("peer_rejected", h.log())

    def test_every_listener_is_looked_at(self):
        ports = [hss.free_port() for _ in range(4)]
        with tempfile.TemporaryDirectory() as directory:
            ca = tls.Authority(directory)
            certificate, key = ca.issue(hss.HOST)
            h = self.started(listen=[{"transport": "tcp", "address": "0.0.0.0", "port": ports[0]},
                                     {"transport": "tcp", "address": "::", "port": ports[1]},
                                     {"transport": "tcp", "address": "127.0.0.8", "port": ports[2]},
                                     {"transport": "tls", "address": "127.0.0.1", "port": ports[3]}],
                             tls={"certificate": certificate, "key": key, "ca": ca.path})
            self.fed(h)
            self.assertNotIn("peer_rejected", h.log())
            self.assertNotIn("listener_not_served", h.log())

    def test_starved_when_nobody_serves_the_port(self):
        """Stub roles accept nothing: the port is open, hssd lives, and the service is to be restarted."""
        directory = stub_bin()
        self.addCleanup(shutil.rmtree, directory)
        h = self.started(bin=directory)
        h.wait_log('listener_not_served address="127.0.0.1"')
        h.wait_log('listener_not_served address="127.0.0.1"', start=len(h.log()))
        h.drain_notifications()
        self.assertNotIn("WATCHDOG", h.status)

    def test_fed_while_frontends_are_full(self):
        """Who takes all connections must not get the service restarted."""
        h = self.started(limits={"max_connections": 1})
        peer = d.Peer(h.port, "mme.test")
        self.addCleanup(peer.close)
        h.wait_log("peer_up")
        self.fed(h, 3)
        self.assertNotIn("listener_not_served", h.log())

    def test_own_name_from_elsewhere_is_refused(self):
        """Only a connection from the listener's own address is taken for hssd's; others that claim its name get 3010."""
        h = self.started(listen=[{"transport": "tcp", "address": "127.0.0.8", "port": hss.free_port()}])
        port = h.config["listen"][0]["port"]
        with self.assertRaises(d.Refused) as refused:
            d.Peer(port, hss.HOST, address="127.0.0.8")  # comes from 127.0.0.1
        self.assertEqual(refused.exception.args[0], 3010)


class NoNewPrivileges(unittest.TestCase):
    def test_every_process(self):
        h = Hss()
        self.addCleanup(h.close)
        for name, pid in {"hssd": h.process.pid, **h.pids()}.items():
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                self.assertIn("\nNoNewPrivs:\t1\n", f.read(), name)
        self.assertEqual(h.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
