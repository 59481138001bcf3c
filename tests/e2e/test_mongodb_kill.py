"""kill -9 of the loader, of everything and of the MongoDB server, and cut connections, at random under load, while another
program increments security.sqn as Open5GS's UDR does. At the end: no SQN was handed out twice, by whomever; every
acknowledged location is in MongoDB; cache, local database and MongoDB agree. Two HSS nodes on one database, too.
HSS_CHECK_ALL=1: many rounds. $HSS_TEST_SEED repeats the moments of a run."""
import os
import random
import select
import signal
import threading
import time
import unittest

import pymongo

import diameter as d
import hss
import mongo
from hss import K, OPC, Hss

SUBSCRIBERS = 200
ROUNDS = 200 if hss.ALL else 20


class Writer(threading.Thread):
    """Open5GS's UDR: takes security.sqn as it is, and leaves it 32 higher; now and then 33, as after a resynchronisation."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server, self.random = server, random.Random(seed)
        self.drawn = set()
        self.enough, self.ending = threading.Event(), threading.Event()

    def run(self):
        with mongo.client(self.server.port) as client:
            c = client[mongo.DATABASE][mongo.COLLECTION]
            while not self.ending.wait(0.002):
                imsi = hss.imsi(self.random.randrange(SUBSCRIBERS) + 1)
                step = 33 if self.random.random() < 0.01 else 32
                try:
                    old = c.find_one_and_update({"imsi": imsi}, {"$inc": {"security.sqn": mongo.Int64(step)}})
                except pymongo.errors.PyMongoError:
                    continue  # done or not: a value that nobody got is used by nobody
                self.drawn.add((imsi, int(old["security"]["sqn"])))
                if len(self.drawn) > 20:
                    self.enough.set()

    def finish(self):
        """All that it has drawn, which is never next to nothing: beside the load of two nodes the server is slow."""
        self.enough.wait(hss.TIMEOUT)
        self.ending.set()
        self.join(hss.TIMEOUT)
        return self.drawn


class Rounds(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("HSS_TEST_SEED", time.time_ns() & 0xffffffff))
        self.random = random.Random(self.seed)
        self.server = mongo.MongoServer(oplog=True, file=True)
        self.addCleanup(self.server.close)
        documents = [mongo.with_sqn(mongo.webui(n), mongo.Int64(32 * 10 + n % 8)) for n in range(1, SUBSCRIBERS + 1)]
        self.server.collection().insert_many(documents)
        self.server.collection().create_index("imsi", unique=True)
        self.proxy = mongo.Proxy(self.server.port)
        self.addCleanup(self.proxy.close)
        self.round = 0
        self.drawn = set()
        self.acknowledged, self.tried = {}, {}

    def node(self, number):
        identity = {"host": f"hss{number}.{hss.REALM}", "realm": hss.REALM, "node_id": number}
        h = Hss(config={"store": self.proxy.store(), "identity": identity}, workers=1)
        self.addCleanup(h.close)
        mongo.wait_live(h, SUBSCRIBERS)
        return h

    def load(self, h, name, duration=0.7):
        self.round += 1
        for n in range(1, SUBSCRIBERS + 1):
            self.tried.setdefault(hss.imsi(n), []).append(f"ulr-{self.round}.test")
        how = dict(imsi=hss.imsi(1), subscribers=SUBSCRIBERS, duration=duration, rate=400, reconnect=True, retransmit=True,
                   timeout=5, realm="test")
        logs = [os.path.join(h.dir, f"{case}-{self.round}") for case in ("air", "ulr")]
        running = [h.load_start(case, host=f"{case}-{self.round}.test", log=log, **how, **more)
                   for case, log, more in (("air", logs[0], dict(k=K, opc=OPC)), ("ulr", logs[1], {}))]
        return logs, running

    def finish(self, logs, running, round_number):
        for r in running:
            report = r.finish(check=False)
            self.assertFalse(set(report["results"]) - {"2001", "3004"}, report)
            self.assertEqual((report["bad_vectors"], report["malformed"]), (0, 0), report)
        for _, imsi, sqn in hss.load_log(logs[0]):
            self.assertNotIn((imsi, int(sqn)), self.drawn, f"SQN twice, seed {self.seed}")
            self.drawn.add((imsi, int(sqn)))
        for _, imsi, host in hss.load_log(logs[1]):
            self.acknowledged[imsi] = host
            at = self.tried[imsi].index(host)
            self.tried[imsi] = self.tried[imsi][at:]

    def check_end(self, nodes, writer):
        for h in nodes:
            mongo.wait_upstream(h, lambda u: u["state"] == "live" and u["outbox"] == 0, "everything is told", timeout=30)
        drawn = writer.finish()
        self.assertGreater(len(drawn), 20)
        self.assertGreater(len(self.drawn), 100)
        self.assertFalse(drawn & self.drawn, f"an SQN was used by two, seed {self.seed}")
        there = {x["imsi"]: x for x in self.server.collection().find()}
        self.assertEqual(len(there), SUBSCRIBERS)
        for imsi in self.acknowledged:
            self.assertIn(there[imsi]["mme_host"], self.tried[imsi], f"{imsi}, seed {self.seed}")
        for h in nodes:
            shown = lambda: {row["imsi"]: row["mme"] for row in h.ctl("--json", "subscriber", "list").lines}
            h.until(lambda: shown() == {i: x.get("mme_host") for i, x in there.items()}, "what is served is what is there")
            verified = lambda: h.ctl("store", "verify", check=False)
            h.until(lambda: verified().returncode == 0, lambda: f"all agree, and not: {verified().stdout}", timeout=30)


class Kill(Rounds):
    def test_rounds(self):
        h = self.node(0)
        writer = Writer(self.server, self.seed)
        writer.start()
        for n in range(ROUNDS):
            logs, running = self.load(h, n)
            select.select([], [], [], self.random.uniform(0.1, 0.6))  # any moment is the right one
            victim = self.random.choice(("loader", "all", "server", "cut", "cut in a reply"))
            if victim == "loader":
                os.kill(h.pid("loader"), signal.SIGKILL)
            elif victim == "all":
                h.kill()
                h.start(wait=False)
            elif victim == "server":
                self.server.restart()
            elif victim == "cut":
                self.proxy.cut(refuse=False)
            else:
                self.proxy.cut_after(self.random.randrange(1, 2000))
            self.finish(logs, running, n)
            if n % 5 == 4:  # or the delay before a restart would go on doubling
                self.assertEqual(h.stop(), 0)
                h.start()
        self.check_end([h], writer)


class Nodes(Rounds):
    def test_two_nodes_and_a_writer(self):
        nodes = [self.node(0), self.node(1)]
        writer = Writer(self.server, self.seed)
        writer.start()
        for n in range(20 if hss.ALL else 3):
            parts = [self.load(h, n) for h in nodes]
            select.select([], [], [], self.random.uniform(0.1, 0.6))
            os.kill(self.random.choice(nodes).pid("loader"), signal.SIGKILL)
            for logs, running in parts:
                self.finish(logs, running, n)
        # of two nodes either may have been the last to acknowledge: what counts is the newer time
        self.tried = {imsi: [f"ulr-{r}.test" for r in range(1, self.round + 1)] for imsi in self.tried}
        self.check_end(nodes, writer)

    def test_two_nodes_do_not_raise_a_field_by_turns(self):
        """A field that another program leaves between two SEQs is rounded up; a node that has drawn nothing since writes
        nothing, or the other one rounds that up, and so on for ever."""
        a, b = self.node(0), self.node(1)
        imsi, drawn = hss.imsi(1), set()
        field = lambda: int(self.server.collection().find_one({"imsi": imsi})["security"]["sqn"])
        seq = lambda h: h.ctl_json("sqn", "show", imsi)["seq"]
        for h in (a, b):
            with d.Peer(h.port, "mme.test", "test") as mme:
                self.assertEqual(mme.call(mme.air(imsi)).result, 2001)
            h.until(lambda: field() >> 5 >= seq(h), "the field has followed")
        os.kill(b.pid("loader"), signal.SIGSTOP)
        left = (field() >> 5) + 3 << 5 | 2
        self.server.collection().update_one({"imsi": imsi}, {"$set": {"security.sqn": mongo.Int64(left)}})
        a.until(lambda: seq(a) == (left >> 5) + 1, "the one has rounded up")
        os.kill(b.pid("loader"), signal.SIGCONT)
        b.until(lambda: seq(b) > left >> 5, "the other has, too")
        for h in (a, b, a, b):
            h.until(lambda: h.ctl("store", "verify", check=False).returncode == 0, "all agree")
        self.assertEqual((seq(a), seq(b), field()), ((left >> 5) + 1, (left >> 5) + 1, left))
        with d.Peer(a.port, "mme.test", "test") as mme:
            self.assertEqual(mme.call(mme.air(imsi)).result, 2001)
        a.until(lambda: field() > left, "a draw raises the field")

    def test_the_node_that_lost_cancels_at_its_mme(self):
        a, b = self.node(0), self.node(1)
        imsi = hss.imsi(1)
        with d.Peer(a.port, "mme-a.test", "test") as old, d.Peer(b.port, "mme-b.test", "test") as new:
            self.assertEqual(old.call(old.ulr(imsi)).result, 2001)
            b.until(lambda: (b.location(imsi)["mme"] or {}).get("host") == "mme-a.test", "the other node hears of it")
            self.assertEqual(new.call(new.ulr(imsi)).result, 2001)
            self.assertEqual(old.take(d.CLR).one(d.USER_NAME).text, imsi)
            a.until(lambda: a.location(imsi)["mme"]["host"] == "mme-b.test", "and this one of that")
        a_doc = self.server.collection().find_one({"imsi": imsi})
        self.assertEqual((a_doc["mme_host"], a_doc["purge_flag"]), ("mme-b.test", False))


if __name__ == "__main__":
    unittest.main(verbosity=2)
