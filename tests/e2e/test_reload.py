"""SIGHUP reaches the roles: what a reload changes is changed for the next request, on connections that stay."""
import unittest

import diameter as d
import hss
from hss import FIRST, Hss


class Reload(unittest.TestCase):
    def setUp(self):
        self.hss = Hss()
        self.addCleanup(self.hss.close)
        self.hss.provision(2)
        self.mme = d.Peer(self.hss.port, "mme.test")
        self.addCleanup(self.mme.close)

    def vectors(self):
        answer = self.mme.call(self.mme.air(FIRST, vectors=5))
        self.assertEqual(answer.result, 2001)
        return len(answer.one(d.AUTH_INFO).all(d.EUTRAN_VECTOR))

    def test_vectors_per_request(self):
        self.assertEqual(self.vectors(), 5)
        self.hss.configure(s6a={"max_vectors": 2})
        self.hss.reload()
        self.hss.wait_log("hssd: reloaded")
        self.hss.until(lambda: self.vectors() == 2)

    def test_a_bad_file_changes_nothing(self):
        pids = self.hss.pids()
        self.hss.configure(s6a={"max_vectors": 3, "nonsense": 1})
        self.hss.reload()
        line = 1 + list(self.hss.config).index("s6a")
        self.hss.wait_log(rf"reload_refused .*hss.yaml:{line}: .*nonsense")
        self.assertEqual(self.vectors(), 5)
        self.assertEqual(self.hss.pids(), pids)

    def test_who_may_connect(self):
        self.hss.configure(peers={"accept": "listed", "list": [{"host": "known.test"}]})
        self.hss.reload()

        def refused():
            with d.Peer(self.hss.port, "stranger.test", capabilities=False) as p:
                return p.call(p.cer()).result == 3010
        self.hss.until(refused)
        d.Peer(self.hss.port, "known.test").disconnect()
        self.assertEqual(self.vectors(), 5, "who was connected stays")

    def test_log_level(self):
        for level, host in (("error", "quiet.test"), ("info", "loud.test")):
            self.hss.ctl("log", "level", level)
            if level == "info":
                self.hss.wait_log('frontend-0: log_level level="info"')
            d.Peer(self.hss.port, host).disconnect()
        self.hss.wait_log('peer_down peer="loud.test"')
        self.assertNotIn("quiet.test", self.hss.log())
        self.assertEqual(self.hss.ctl("log", "level", "loud", check=False).returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
