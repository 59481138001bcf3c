"""What events have overtaken is not sent, and what a node was sent last decides what it may skip. The cases are those of
operators: an MME that was away while its subscriber moved to and fro, a profile that was changed in between."""
import unittest

import diameter as d
from hss import FIRST, K, OPC, Hss

SKIP = 0x26  # S6a, Skip-Subscriber-Data, Initial-Attach


def has_data(answer):
    assert answer.result == 2001, answer.result
    return bool(answer.all(d.SUBSCRIPTION))


class Overtaken(unittest.TestCase):
    def moved_while_away(self, h):
        """At mme-a, which leaves; then at mme-b: a Cancel-Location-Request waits for mme-a."""
        with d.Peer(h.port, "mme-a.test") as a:
            self.assertEqual(a.call(a.ulr(FIRST)).result, 2001)
            a.disconnect()
        b = d.Peer(h.port, "mme-b.test")
        self.assertEqual(b.call(b.ulr(FIRST)).result, 2001)
        h.until(lambda: h.metric("hss_initiated_requests_pending") == 1, "it waits for mme-a")
        return b

    def nothing_came(self, h, peer):
        """Every stored request has ended, and what the HSS had sent before the next answer has been read."""
        h.until(lambda: h.metric("hss_initiated_requests_pending") == 0, "nothing is left to be told")
        self.assertEqual(peer.call(peer.dwr()).result, 2001)
        self.assertEqual([r for r in peer.requests if r.command == d.CLR], [])

    def test_the_node_is_back_before_its_cancellation(self):
        with Hss() as h:
            h.provision(1)
            b = self.moved_while_away(h)
            # before the HSS looks for it again, as an MME does whose subscriber came back at once
            with d.Peer(h.port, "mme-a.test") as a:
                self.assertEqual(a.call(a.ulr(FIRST)).result, 2001)
                b.take(d.CLR)
                self.nothing_came(h, a)
                self.assertEqual(h.location(FIRST)["mme"]["host"], "mme-a.test")
            b.close()
            self.assertEqual(h.stop(), 0)

    def test_and_everything_was_killed_meanwhile(self):
        with Hss() as h:
            h.provision(1)
            self.moved_while_away(h).close()
            h.kill()
            h.start()
            h.wait_served()
            with d.Peer(h.port, "mme-a.test") as a:
                self.assertEqual(a.call(a.ulr(FIRST)).result, 2001)
                with d.Peer(h.port, "mme-b.test") as b:
                    b.take(d.CLR, timeout=15)
                    self.nothing_came(h, a)
            self.assertEqual(h.stop(), 0)

    def test_withdrawn_and_added_again(self):
        with Hss() as h:
            h.provision(1)
            with d.Peer(h.port, "mme-a.test") as a:
                self.assertEqual(a.call(a.ulr(FIRST)).result, 2001)
                a.disconnect()
            h.ctl("subscriber", "delete", FIRST)
            h.until(lambda: h.metric("hss_initiated_requests_pending") == 1, "the withdrawal waits for mme-a")
            h.ctl("subscriber", "add", FIRST, "--k", K, "--opc", OPC)
            with d.Peer(h.port, "mme-a.test") as a:
                self.assertEqual(a.call(a.ulr(FIRST)).result, 2001)
                self.nothing_came(h, a)
            self.assertEqual(h.stop(), 0)


class Sent(unittest.TestCase):
    def test_data_that_changed_are_not_skipped(self):
        with Hss() as h:
            h.provision(1)
            with d.Peer(h.port, "mme-a.test") as a:
                self.assertTrue(has_data(a.call(a.ulr(FIRST))))
                self.assertFalse(has_data(a.call(a.ulr(FIRST, ulr_flags=SKIP))))
                h.ctl("subscriber", "set", FIRST, "ambr.downlink.value=7")
                self.assertTrue(has_data(a.call(a.ulr(FIRST, ulr_flags=SKIP))))
                self.assertFalse(has_data(a.call(a.ulr(FIRST, ulr_flags=SKIP))))
                h.ctl("subscriber", "set", FIRST, "ambr.downlink.value=8")
            h.kill()
            h.start()
            h.wait_served()
            with d.Peer(h.port, "mme-a.test") as a:
                self.assertTrue(has_data(a.call(a.ulr(FIRST, ulr_flags=SKIP))))
                self.assertFalse(has_data(a.call(a.ulr(FIRST, ulr_flags=SKIP))))
            self.assertEqual(h.stop(), 0)

    def test_another_command_with_the_same_end_to_end_id(self):
        """The id belongs to its command: a PUR with the id of the ULR before it is no repetition of that."""
        with Hss() as h:
            h.provision(1)
            with d.Peer(h.port, "mme-a.test") as a:
                self.assertEqual(a.call(a.ulr(FIRST, e2e=7)).result, 2001)
                self.assertEqual(a.call(a.pur(FIRST, e2e=7)).result, 2001)
                self.assertTrue(h.location(FIRST)["mme"]["purged"])
            self.assertEqual(h.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
