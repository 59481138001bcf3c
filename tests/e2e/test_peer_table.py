"""peers.list: what is demanded of a peer by its name, its limits, and what hssctl shows of it."""
import shutil
import tempfile
import time
import unittest

import diameter as d
import hss
from hss import FIRST, HOST, Hss, free_port
from tls import Authority, TlsPeer, context


class PeerTable(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="hss-peers-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.ca = Authority(cls.dir)
        cls.tls_port = free_port()
        cls.hss = Hss(start=False)
        cls.addClassCleanup(cls.hss.close)
        cls.peers = {"accept": "listed", "list": [
            {"host": "plain.test"},
            {"host": "secure.test", "transport": "tls"},
            {"host": "tcp.test", "transport": "tcp"},
            {"host": "here.test", "addresses": ["::1", "127.0.0.1"]},
            {"host": "there.test", "addresses": ["192.0.2.1"]},
            {"host": "s6a.test", "applications": ["s6a"]},
            {"host": "slow.test", "max_rate": 50},
            {"host": "narrow.test", "max_pending": 3},
        ]}
        cls.hss.configure(peers=cls.peers, tls=cls.ca.config(HOST, verify="optional"),
                          listen=[{"transport": "tcp", "address": "127.0.0.1", "port": cls.hss.port},
                                  {"transport": "tls", "address": "127.0.0.1", "port": cls.tls_port}])
        cls.hss.start()
        cls.hss.provision(5)

    def tcp(self, host, **how):
        p = d.Peer(self.hss.port, host, capabilities=False, **how)
        self.addCleanup(p.close)
        return p

    def tls(self, host, certificate=None):
        p = TlsPeer(self.tls_port, host, context(self.ca, certificate), HOST, capabilities=False)
        self.addCleanup(p.close)
        return p

    def comes_in(self, p, result=2001, **cer):
        self.assertEqual(p.call(p.cer(**cer)).result, result)
        return p

    def test_who(self):
        self.comes_in(self.tcp("plain.test")).disconnect()
        self.comes_in(self.tcp("PLAIN.test")).disconnect()
        self.comes_in(self.tcp("stranger.test"), 3010)

    def test_transport(self):
        certificate = self.ca.issue("secure.test")
        self.comes_in(self.tls("secure.test", certificate)).disconnect()
        self.comes_in(self.tcp("secure.test"), 5017)
        self.comes_in(self.tls("secure.test"), 5017)  # nothing proves who it is
        self.hss.wait_log('peer_rejected peer="secure.test" .*reason="peer must use TLS and a certificate"')
        self.comes_in(self.tcp("tcp.test")).disconnect()
        self.comes_in(self.tls("tcp.test", self.ca.issue("tcp.test")), 3010)

    def test_address(self):
        self.comes_in(self.tcp("here.test")).disconnect()
        self.comes_in(self.tcp("there.test"), 3010)
        self.hss.wait_log('peer_rejected peer="there.test" .*reason="peer is listed with other addresses"')

    def test_applications(self):
        self.comes_in(self.tcp("s6a.test")).disconnect()
        self.comes_in(self.tcp("s6a.test"), 5010, app=16777216)
        p = self.comes_in(self.tcp("s6a.test"), app=0xffffffff)  # a relay with a leash
        self.assertEqual(p.call(p.air(FIRST)).result, 2001)
        row = self.hss.ctl_json("peer", "show", "s6a.test")
        self.assertEqual(row["apps"], [d.S6A])
        p.disconnect()

    def test_rate(self):
        """50 a second: of 200 at once a burst is served and the rest told to come later; others notice nothing."""
        p = self.comes_in(self.tcp("slow.test"))
        other = self.comes_in(self.tcp("plain.test"))
        asked = [p.air(FIRST) for _ in range(200)]
        begin = time.monotonic()
        p.send(*asked)
        results = [p.wait(d.Message(m).hbh).result for m in asked]
        allowed = 7 + 50 * (time.monotonic() - begin)
        self.assertEqual(set(results), {2001, 3004})
        self.assertLessEqual(results.count(2001), allowed)
        self.assertGreaterEqual(results.count(2001), 5)
        self.assertEqual(other.call(other.air(FIRST)).result, 2001)
        # nobody is punished for ever
        self.hss.until(lambda: p.call(p.air(FIRST)).result == 2001)
        p.disconnect()
        other.disconnect()

    def test_outstanding(self):
        p = self.comes_in(self.tcp("narrow.test"))
        asked = [p.air(FIRST) for _ in range(100)]
        p.send(*asked)
        results = [p.wait(d.Message(m).hbh).result for m in asked]
        self.assertEqual(set(results), {2001, 3004})
        p.disconnect()

    def test_listed_and_not_connected(self):
        rows = {r["host"]: r for r in self.hss.ctl("--json", "peer", "list").lines}
        row = rows["there.test"]
        self.assertEqual((row["state"], row["address"], row["transport"], row["reason"], row["next_try_s"]),
                         ("down", "192.0.2.1", "any", "it has to connect", None))
        self.assertEqual(self.hss.ctl_json("peer", "show", "THERE.test"), row)
        self.assertEqual(self.hss.ctl("peer", "disconnect", "there.test", check=False).returncode, 1)
        p = self.comes_in(self.tcp("here.test"))
        rows = [r for r in self.hss.ctl("--json", "peer", "list").lines if r["host"] == "here.test"]
        self.assertEqual([r["state"] for r in rows], ["open"])  # once
        p.disconnect()

    def test_reload_with_others(self):
        """Who is not let in any more is told so; who is listed now and wasn't, or needn't be, notices nothing."""
        self.addCleanup(lambda: (self.hss.configure(peers=self.peers), self.hss.reload()))
        self.hss.configure(peers={"accept": "any", "list": []})
        self.hss.reload()
        gone, moved, stays = (self.comes_in(self.tcp(h)) for h in ("gone.test", "there.test", "plain.test"))
        self.hss.configure(peers=self.peers)
        self.hss.reload()
        self.assertEqual(gone.take(d.DPR).one(d.DISCONNECT_CAUSE).number, 2)  # not listed: don't come again
        self.assertEqual(moved.take(d.DPR).one(d.DISCONNECT_CAUSE).number, 0)  # from another address it may
        self.hss.wait_log('peer_not_admitted_any_more peer="gone.test" reason="peer is not listed"')
        for p in (gone, moved):
            with self.assertRaises(d.Closed):
                p.read()
        self.assertEqual(stays.call(stays.air(FIRST)).result, 2001)
        self.assertEqual(stays.requests, [])
        stays.disconnect()
        self.comes_in(self.tcp("gone.test"), 3010)

    def test_reload(self):
        """New limits count for those who are connected; nobody is disconnected."""
        p = self.comes_in(self.tcp("plain.test"))
        self.addCleanup(lambda: (self.hss.configure(peers=self.peers), self.hss.reload()))
        fresh = {"accept": "listed", "list": [{"host": "plain.test", "max_rate": 7, "max_pending": 9}]}
        self.hss.configure(peers=fresh)
        self.hss.reload()
        self.hss.until(lambda: self.hss.ctl_json("peer", "show", "plain.test")["max_rate"] == 7)
        row = self.hss.ctl_json("peer", "show", "plain.test")
        self.assertEqual(row["max_pending"], 9)
        self.assertEqual(p.call(p.air(FIRST)).result, 2001)
        p.disconnect()

    def test_show(self):
        p = self.comes_in(self.tls("plain.test", self.ca.issue("plain.test")))
        self.assertEqual(p.call(p.air(FIRST)).result, 2001)
        self.assertEqual(p.call(p.air("001019999999999")).result, 5001)
        row = self.hss.ctl_json("peer", "show", "plain.test")
        self.assertEqual((row["host"], row["state"], row["transport"], row["listed"], row["requests"], row["answers"]),
                         ("plain.test", "open", "tls", True, 2, 2))
        self.assertRegex(row["security"], "^TLSv1.3 TLS_")
        self.assertIsNone(row["round_trip_us"])  # after a watchdog: test_dial.py, test_failover_and_failback
        self.assertIn("TLSv1.3", self.hss.ctl("peer", "show", "plain.test").stdout)
        p.disconnect()
        done = self.hss.ctl("peer", "show", "nobody.test", check=False)
        self.assertEqual((done.returncode, "no such peer" in done.stderr), (1, True))


if __name__ == "__main__":
    unittest.main(verbosity=2)
