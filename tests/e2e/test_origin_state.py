"""Origin-State-Id (RFC 6733 8.16): greater at each start than at any before, whatever the clock says."""
import os
import unittest

import diameter as d
import hss


def origin_state(h):
    peer = d.Peer(h.port, "mme.test", capabilities=False)
    try:
        return peer.call(peer.cer()).one(d.ORIGIN_STATE).number
    finally:
        peer.close()


class OriginState(unittest.TestCase):
    def test_a_clock_that_was_set_back(self):
        with hss.Hss() as h:
            first = origin_state(h)
            path = os.path.join(h.state_dir, "origin-state")
            with open(path) as f:
                self.assertEqual(int(f.read()), first)
            h.stop()
            later = first + 1000000  # of a start when the clock was some days ahead
            with open(path, "w") as f:
                f.write(f"{later}\n")
            for n in (1, 2):
                h.start()
                self.assertEqual(origin_state(h), later + n)
                h.kill()
            for text in ("", "nonsense", "9" * 40):
                with open(path, "w") as f:
                    f.write(text)
                h.start()
                self.assertGreaterEqual(origin_state(h), first)
                h.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
