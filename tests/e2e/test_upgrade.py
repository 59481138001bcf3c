"""State directories of an earlier version are upgraded in place: this build opens what commit 7c47b9d left after kill -9, rows
and entries of the journal, and serves everybody as before. (With MongoDB: test_mongodb_upgrade.py.)"""
import os
import sqlite3
import time
import unittest

import diameter as d
import upgrade
from hss import K, OPC, Hss, imsi

CREATED = slice(8, 16)  # microseconds since 1970 in the body of a Cancel-Location-Request's row and entry
OWN_PUT = 6  # kind of its journal entry


def date_anew(state_dir):
    """The requests that wait are of now: of their own date they would be given up as too old."""
    for name, table, where in (("hss.db", "own_request", ""), ("journal.db", "journal", f" WHERE kind = {OWN_PUT}")):
        db = sqlite3.connect(os.path.join(state_dir, name))
        for row, body in db.execute(f"SELECT rowid, body FROM {table}{where}").fetchall():
            body = bytearray(body)
            body[CREATED] = int(time.time() * 1e6).to_bytes(8, "big")
            db.execute(f"UPDATE {table} SET body = ? WHERE rowid = ?", (bytes(body), row))
        db.commit()
        db.close()


class Upgrade(unittest.TestCase):
    def begin(self):
        self.said = upgrade.expected("sqlite")
        self.hss = Hss(start=False, s6a={"clr_lifetime_s": 604800})
        self.addCleanup(self.hss.close)
        upgrade.unpack("sqlite", self.hss.state_dir)

    def start(self):
        self.hss.start()
        self.hss.wait_served()

    def test_everybody_is_served_as_before(self):
        self.begin()
        self.start()
        upgrade.check(self, self.hss, self.said)
        upgrade.check_vectors(self, self.hss, self.said, other_keys=[imsi(10)])
        # what was upgraded is there again after every kind of end
        for n, end in enumerate((self.hss.kill, self.hss.stop), 2):
            end()
            self.start()
            upgrade.check(self, self.hss, upgrade.expected("sqlite"), restarts=n)
        upgrade.check_vectors(self, self.hss, self.said, other_keys=[imsi(10)])
        self.assertEqual(self.hss.stop(), 0)

    def test_rows_of_former_keys_count(self):
        """A deleted subscriber who comes back, and one who gets the former key again, go on above what they used."""
        self.begin()
        self.start()
        self.hss.ctl("subscriber", "add", imsi(9), "--k", K, "--opc", OPC)
        self.hss.ctl("subscriber", "set", imsi(10), f"security.k={K}")
        with d.Peer(self.hss.port, "mme-a.test") as mme:
            for n in (9, 10):
                self.assertGreater(upgrade.vector_sqn(mme, imsi(n)) >> 5, self.said["former"][imsi(n)] >> 5)

    def test_waiting_cancellations_are_delivered(self):
        """Of MMEs that were away, from a row or an entry of the journal; the one that was acknowledged does not come again."""
        self.begin()
        date_anew(self.hss.state_dir)
        self.start()
        for host, n in (("mme-gone.test", 8), ("mme-gone2.test", 2)):
            with d.Peer(self.hss.port, host) as mme:
                clr = mme.take(d.CLR, timeout=30)
                self.assertEqual((clr.one(d.USER_NAME).text, clr.one(d.CANCELLATION).number), (imsi(n), 0))
                self.assertEqual(mme.call(mme.dwr()).result, 2001)
                self.assertFalse(mme.requests, "no other one")


if __name__ == "__main__":
    unittest.main()
