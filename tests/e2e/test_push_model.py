"""Subscribers move between MMEs and are changed, barred, purged, cancelled, while MMEs come and go and roles are killed, in an order
drawn at random. A model of an MME keeps what it was sent. In the end each MME has exactly the subscribers that are registered
there, with their data as they are now: every change has arrived, and nothing stale."""
import os
import random
import time
import unittest

import diameter as d
from hss import ALL, Hss, imsi

SUBSCRIBERS, STEPS, ROUNDS = 4, 60, 12 if ALL else 2
SEED = int(os.environ.get("HSS_TEST_SEED", "0")) or random.randrange(1 << 30)


class Mme:
    """What an MME keeps: for each subscriber the AVPs of Subscription-Data by code."""

    def __init__(self, h, name):
        self.h, self.name, self.peer, self.copies = h, name, None, {}

    def connect(self):
        self.peer = self.peer or d.Peer(self.h.port, self.name)
        self.peer.replies = {d.CLR: self.cancelled, d.IDR: self.inserted, d.DSR: self.deleted}

    def disconnect(self):
        if self.peer:
            self.drain()
            self.peer.disconnect()
            self.peer = None

    def cancelled(self, clr):
        self.copies.pop(clr.one(d.USER_NAME).text, None)
        return {}

    def inserted(self, idr):
        copy = self.copies.get(idr.one(d.USER_NAME).text)
        if copy is None:
            return {"result": 5001, "experimental": True}
        copy.update(data_of(idr))
        if copy.get(1424) == [bytes(4)]:
            copy.pop(1425, None)  # SERVICE_GRANTED ends all barring
        return {}

    def deleted(self, dsr):
        copy = self.copies.get(dsr.one(d.USER_NAME).text)
        if copy is None:
            return {"result": 5001, "experimental": True}
        for bit, code in ((0, 1400), (2, 13), (16, 1643)):
            if dsr.one(1421).number >> bit & 1:
                copy.pop(code, None)
        return {}

    def drain(self):
        try:
            while self.peer:
                self.peer.step(0)
        except TimeoutError:
            pass

    def attach(self, who):
        for _ in range(50):
            ula = self.peer.call(self.peer.ulr(who))
            if ula.result == 2001:
                self.copies[who] = data_of(ula)
                return
            assert ula.result == 3004, ula.result  # a role is being replaced
            time.sleep(0.1)
        raise AssertionError("not served for 5 s")


def data_of(message):
    out = {}
    for a in message.one(d.SUBSCRIPTION).avps:
        out.setdefault(a.code, []).append(a.data)
    return out


class Model(unittest.TestCase):
    def step(self, r):
        who, mme = imsi(r.randint(1, SUBSCRIBERS)), r.choice(self.mmes)
        what = r.choices(("attach", "rate", "bar", "charging", "apn", "away", "kill", "purge", "cancel"),
                         (6, 6, 3, 3, 2, 5, 2, 1, 1))[0]
        if what == "attach":
            mme.connect()
            mme.attach(who)
        elif what == "rate":
            self.set(who, f"ambr.downlink.value={r.randint(1, 4)}")
        elif what == "bar":
            self.set(who, f"subscriber_status={r.randint(0, 1)}")
        elif what == "charging":
            self.set(who, "charging_characteristics=" + r.choice(("0800", "0400", "null")))
        elif what == "apn":
            self.set(who, f"slice.0.session.0.qos.index={r.randint(7, 9)}")
        elif what == "away":
            mme.disconnect() if mme.peer else mme.connect()
        elif what == "kill":
            role = r.choice(("worker-0", "worker-1", "loader", "all"))
            if role == "all":
                for m in self.mmes:
                    m.peer, gone = None, m.peer
                    if gone:
                        gone.close()
                self.h.kill()
                self.h.start()
                self.h.wait_served()
            else:
                self.h.kill_role(role)
        elif what == "purge" and mme.peer and who in mme.copies:
            mme.drain()
            if mme.peer.call(mme.peer.pur(who)).result == 2001:
                mme.copies.pop(who, None)
        elif what == "cancel":
            self.h.ctl("location", "cancel", who, check=False)
        for m in self.mmes:
            m.drain()
        return what, who, mme.name

    def set(self, who, field):
        deadline = time.monotonic() + 20
        while self.h.ctl("subscriber", "set", who, field, check=False).returncode:
            self.assertLess(time.monotonic(), deadline, field)  # the loader is being replaced

    def settle(self):
        for m in self.mmes:
            m.connect()
        deadline = time.monotonic() + 60
        while self.h.ctl_json("store", "status")["hss_requests_pending"]:
            self.assertLess(time.monotonic(), deadline, self.h.ctl("request", "list").stdout)
            self.h.ctl("request", "retry")
            for m in self.mmes:
                m.drain()
        for m in self.mmes:
            m.peer.call(m.peer.dwr())

    def judge(self, steps):
        for n in range(1, SUBSCRIBERS + 1):
            who = imsi(n)
            mme = self.h.location(who)["mme"] or {"host": None, "purged": False}
            for m in self.mmes:
                has = who in m.copies
                serves = mme["host"] == m.name and not mme["purged"]
                self.assertEqual(has, serves, f"seed {SEED}: {who} at {m.name}: {mme}\n{steps}")
                if serves:
                    before = {code: value for code, value in m.copies[who].items()}
                    m.attach(who)  # what the HSS has for it
                    self.assertEqual(before, m.copies[who], f"seed {SEED}: {who} at {m.name}\n{steps}")

    def test_random_orders(self):
        r = random.Random(SEED)
        with Hss() as self.h:
            self.h.provision(SUBSCRIBERS)
            self.mmes = [Mme(self.h, f"mme-{x}.test") for x in "abc"]
            for _ in range(ROUNDS):
                steps = [self.step(r) for _ in range(STEPS)]
                self.settle()
                self.judge(steps)
            for m in self.mmes:
                m.disconnect()
            self.assertEqual(self.h.stop(), 0)


if __name__ == "__main__":
    print(f"HSS_TEST_SEED={SEED}")
    unittest.main(verbosity=2)
