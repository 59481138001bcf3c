"""MongoDB and the way to it misbehave: whoever is known is served at full speed, and when it is over MongoDB, the local database
and the cache agree, every acknowledged location is there and no SQN came twice. $HSS_TEST_SEED repeats the moments of a run."""
import os
import random
import select
import threading
import time
import unittest

import diameter as d
import hss
import mongo
from hss import K, OPC, Hss, imsi
from mongo import Int64, webui, with_sqn
from test_mongodb_feed import air


class Timer:
    """An event that comes by itself."""
    def __init__(self, seconds):
        self.seconds = seconds

    def wait(self, _timeout):
        time.sleep(self.seconds)


class Faults(unittest.TestCase):
    oplog = True
    rounds = 200 if hss.ALL else 20

    def begin(self, count=100, file=False, **store):
        self.server = mongo.MongoServer(oplog=self.oplog, file=file)
        self.addCleanup(self.server.close)
        self.server.collection().create_index("imsi", unique=True)
        self.server.collection().insert_many([with_sqn(webui(n), 64) for n in range(1, count + 1)])
        self.proxy = mongo.Proxy(self.server.port)
        self.addCleanup(self.proxy.close)
        self.hss = Hss(config={"store": self.proxy.store(**{"poll_interval_ms": 300, **store})})
        self.addCleanup(self.hss.close)
        self.count = count
        mongo.wait_live(self.hss, count)

    def ulr(self, host, check=True, **options):
        report = self.hss.load("ulr", check=check, imsi=imsi(1), subscribers=self.count, requests=self.count, host=host,
                               realm="test", **options)
        if check:
            self.assertEqual(report["results"], {"2001": self.count})
        return report

    def everywhere(self, host):
        """MongoDB, the local database and the cache say this of everybody."""
        def look():
            return {x.get("mme_host") if isinstance(x.get("mme_host"), str) else None
                    for x in self.server.collection().find()} == {host}
        self.hss.until(look, f"MongoDB: everybody is at {host}", timeout=30)
        mongo.wait_written(self.hss)
        mongo.wait_live(self.hss, self.count)
        listed = self.hss.ctl("--json", "subscriber", "list").lines
        self.assertEqual({row["mme"] for row in listed}, {host})
        self.assertEqual(len(listed), self.count)
        done = self.hss.ctl("--json", "store", "verify", check=False)
        self.assertEqual(done.returncode, 0, done)

    def test_cut_anywhere(self):
        """Within a request of the write-back, within a reply, between: each location arrives, once in effect."""
        self.begin()
        for n, octets in enumerate((1, 10, 100, 1000, 10000)):
            self.proxy.cut_after(octets, requests=bool(n % 2))
            self.ulr(f"m{n}.test")
            self.everywhere(f"m{n}.test")
        self.assertGreater(self.proxy.cuts, 0)

    def test_stalled(self):
        """Accepts and never answers: nobody waits for it, unknown ones are told to come later."""
        self.begin()
        self.proxy.stall()
        self.ulr("stalled.test")
        report = self.hss.load("air", imsi=imsi(1), subscribers=self.count, requests=1000, k=K, opc=OPC)
        self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 1000}, 0))
        with d.Peer(self.hss.port, "mme.test") as mme:
            self.assertEqual(mme.call(mme.air(imsi(5000)), timeout=30).result, 3004)
        done = self.hss.ctl("subscriber", "add", imsi(6000), "--k", K, "--opc", OPC, check=False, timeout=40)
        self.assertEqual(done.returncode, 1, done)
        mongo.wait_upstream(self.hss, lambda u: u["outbox"] == self.count, "all wait")
        self.proxy.resume()
        self.everywhere("stalled.test")

    def test_stop_while_stalled(self):
        self.begin()
        self.proxy.stall()
        self.ulr("stalled.test")
        self.assertEqual(self.hss.stop(timeout=10), 0)
        self.proxy.cut()
        self.proxy.resume()
        self.hss.start()
        self.everywhere("stalled.test")

    def test_slow(self):
        """500 ms each way."""
        self.begin()
        self.proxy.delay_ms = 500
        report = self.ulr("slow.test")
        self.assertLess(report["p99_us"], 2000000)
        with d.Peer(self.hss.port, "mme.test", timeout=30) as mme:
            self.server.collection().insert_one(webui(5000))
            self.assertIn(mme.call(mme.air(imsi(5000))).result, (2001, 3004))
            self.server.collection().delete_one({"imsi": imsi(5000)})
        self.proxy.delay_ms = 0
        self.hss.until(lambda: self.hss.ctl("subscriber", "show", imsi(5000), check=False).returncode == 1, "gone again")
        self.everywhere("slow.test")

    def test_far_away_after_a_stall(self):
        """M1: 0.6 s to the server and back, and it stalls for a while under 1,000 attaches: what waits is written soon after."""
        self.begin(1000)
        self.proxy.delay_ms = 300
        self.proxy.stall()
        self.ulr("far.test")
        self.hss.wait_log("upstream_failed", timeout=30)  # a bulk was given up at least once
        self.proxy.stalled = False
        mongo.wait_upstream(self.hss, lambda u: u["outbox"] == 0, "all of it is written", timeout=45)
        self.assertEqual(self.server.collection().count_documents({"mme_host": "far.test"}), 1000)

    def test_outage(self):
        """Many changes while it is away; then all of it arrives, the newest of each."""
        self.begin(1000)
        self.proxy.cut()
        for turn in range(5 if hss.ALL else 2):
            report = self.hss.load("ulr", imsi=imsi(1), subscribers=1000, requests=20000 if hss.ALL else 3000,
                                   host=f"m{turn}.test", realm="test")
            self.assertEqual(set(report["results"]), {"2001"})
        mongo.wait_upstream(self.hss, lambda u: u["state"] != "live", "it is away, which a sweep finds out")
        self.assertEqual(mongo.upstream(self.hss)["outbox"], 1000)
        self.hss.until(lambda: ("upstream-away", "") in self.hss.alarms(), "the alarm is raised")
        self.proxy.resume()
        self.everywhere(f"m{turn}.test")
        self.hss.until(lambda: ("upstream-away", "") not in self.hss.alarms(), "the alarm is cleared")

    def test_killed_at_random(self):
        """kill -9 of the loader, of everything, of the server, under load."""
        self.begin(60, file=True)
        seed = int(os.environ.get("HSS_TEST_SEED", time.time_ns() & 0xffffffff))
        moments = random.Random(seed)
        drawn, allowed = set(), {}
        for turn in range(self.rounds):
            victim = ("loader", "all", "server", "cut")[turn % 4]
            what = f"round {turn}, {victim}, seed {seed}"
            logs = [os.path.join(self.hss.dir, f"{case}-{turn}") for case in ("air", "ulr")]
            how = dict(imsi=imsi(1), subscribers=self.count, duration=0.7, window=8, reconnect=True, retransmit=True,
                       timeout=5, realm="test")
            running = [self.hss.load_start("air", host=f"air-{turn}.test", log=logs[0], k=K, opc=OPC, **how),
                       self.hss.load_start("ulr", host=f"ulr-{turn}.test", log=logs[1], **how)]
            for r in running:
                self.addCleanup(r.stop)
            select.select([], [], [], moments.uniform(0.1, 0.5))
            if victim == "loader":
                self.hss.kill_role("loader")
            elif victim == "all":
                self.hss.kill()
                self.hss.start()
            elif victim == "server":
                self.server.kill()
                select.select([], [], [], moments.uniform(0, 0.3))
                self.server.start()
            else:
                self.proxy.cut_after(moments.randrange(5000), requests=bool(turn & 4))
            for r in running:
                report = r.finish(check=False)
                self.assertFalse(set(report["results"]) - {"2001", "3004"}, (what, report))
                self.assertEqual((report["bad_vectors"], report["timeouts"]), (0, 0), (what, report))
            for _, who, value in hss.load_log(logs[0]):
                self.assertNotIn((who, value), drawn, f"an SQN twice: {what}")
                drawn.add((who, value))
            for n in range(1, self.count + 1):
                allowed.setdefault(imsi(n), set()).add(f"ulr-{turn}.test")
            for _, who, host in hss.load_log(logs[1]):
                allowed[who] = {host}
            if turn % 4 == 3:
                self.hss.stop()  # or the delay before a restart would go on doubling
                self.hss.start()
        self.proxy.resume()
        self.assertGreater(len(drawn), 100)
        self.ulr("last.test")
        self.everywhere("last.test")

    def test_locations_after_kills(self):
        """What was acknowledged before everything was killed at once, with MongoDB away, arrives."""
        self.begin(file=True)
        self.proxy.cut()
        self.ulr("kept.test")
        self.hss.kill()
        self.server.kill()
        self.hss.start()
        self.hss.wait_served()
        self.assertEqual(self.hss.location(imsi(self.count))["mme"]["host"], "kept.test")
        self.server.start()
        self.proxy.resume()
        self.everywhere("kept.test")


class FaultsPolled(Faults):
    oplog = False
    rounds = 200 if hss.ALL else 8


class Refused(unittest.TestCase):
    """Error replies that no server gives on demand."""

    def setUp(self):
        self.server = mongo.ScriptedServer()
        self.addCleanup(self.server.close)
        for n in range(1, 21):
            self.server.documents.append({"_id": mongo.bson.ObjectId(), **with_sqn(webui(n), 64)})
        self.hss = Hss(config={"store": self.server.store()})
        self.addCleanup(self.hss.close)
        mongo.wait_live(self.hss, 20)

    def at(self, n):
        host = self.server.document(imsi(n)).get("mme_host")
        return host if isinstance(host, str) else None

    def ulr(self, host):
        report = self.hss.load("ulr", imsi=imsi(1), subscribers=20, requests=20, host=host, realm="test")
        self.assertEqual(report["results"], {"2001": 20})

    def everywhere(self, host, *but):
        self.hss.until(lambda: {self.at(n) for n in range(1, 21) if n not in but} == {host}, f"at {host}", timeout=30)

    def test_not_now(self):
        """No primary, shutting down, disk full, no majority, no right: tried again until it works, and nothing is lost."""
        s = self.server
        for code, reply in [(c, mongo.error(c)) for c in (10107, 189, 91, 11602, 13435, 13, 14031, 262)] + \
                [(c, mongo.concern_error(c)) for c in (64, 91, 79, 100)] + \
                [(14031, mongo.write_error(14031, "No space left on device"))]:
            with self.subTest(code=code, reply=sorted(reply)):
                rule = s.on("update", reply, times=2)
                self.ulr(f"m{code}.test")
                self.everywhere(f"m{code}.test")
                self.hss.until(lambda: rule.used == 2, "refused twice")
                mongo.wait_written(self.hss)
                self.assertEqual(mongo.upstream(self.hss)["refused"], 0)

    def test_disk_full_for_long(self):
        s = self.server
        rule = s.on("update", mongo.error(14031, "OutOfDiskSpace"))
        self.ulr("full.test")
        mongo.wait_upstream(self.hss, lambda u: "14031" in (u["last_error"] or "") or "OutOfDiskSpace" in (u["last_error"] or ""),
                            "it says why")
        self.assertEqual(air(self.hss, 1), 2001)
        before = rule.used
        time.sleep(1)
        self.assertLess(rule.used - before, 20, "it does not hammer")
        s.off(rule)
        self.everywhere("full.test")

    def test_transaction_of_somebody_else(self):
        """M8: one document is held back by an open transaction, and the server waits for it as long as it may: the others are
        written meanwhile, and that one when it is free."""
        s, free = self.server, threading.Event()

        def wait(command):
            if free.is_set() or not any(u["q"].get("imsi") == imsi(7) for u in command["updates"]):
                return None
            return mongo.Slow(Timer(command.get("maxTimeMS", 60000) / 1000), mongo.error(50, "operation exceeded time limit"))
        s.on("update", wait)

        def written(host):
            return sum(x.get("mme_host") == host for x in list(s.documents)) == 19
        self.ulr("held.test")
        self.hss.until(lambda: written("held.test"), "all but one are written", timeout=40)
        mongo.wait_upstream(self.hss, lambda u: u["outbox"] == 1, "that one waits")
        self.ulr("next.test")  # and they are not held up again
        self.hss.until(lambda: written("next.test"), "all but one are written", timeout=40)
        free.set()
        mongo.wait_upstream(self.hss, lambda u: u["outbox"] == 0, "all are written")
        self.assertEqual(s.document(imsi(7))["mme_host"], "next.test")

    def test_document_refused(self):
        """Set aside with an alarm, not tried forever, and the others are written."""
        s = self.server
        for code in (14, 121, 28):
            with self.subTest(code=code):
                def refuse(command):
                    bad = [i for i, u in enumerate(command["updates"]) if u["q"].get("imsi") == imsi(7)]
                    if not bad:
                        return None
                    rest = {**command, "updates": [u for i, u in enumerate(command["updates"]) if i not in bad]}
                    if rest["updates"] and not command.get("ordered", True):
                        s.do_update(rest)
                    elif command.get("ordered", True):
                        s.do_update({**command, "updates": command["updates"][:bad[0]]})
                        bad = bad[:1]
                    return {"ok": 1.0, "n": len(command["updates"]) - len(bad), "nModified": 0,
                            "writeErrors": [{"index": i, "code": code, "errmsg": "Document failed validation"} for i in bad]}
                rule = s.on("update", refuse)
                self.ulr(f"m{code}.test")
                self.everywhere(f"m{code}.test", 7)
                mongo.wait_upstream(self.hss, lambda u: u["refused"] > 0 and u["outbox"] == 0, "set aside")
                self.assertIn(imsi(7), self.hss.ctl("subscriber", "problems").stdout)
                self.hss.until(lambda: ("writes-refused", "") in self.hss.alarms(), "the alarm is raised")
                used = rule.used
                self.assertLess(used, 10)
                self.assertEqual(self.hss.location(imsi(7))["mme"]["host"], f"m{code}.test")
                s.off(rule)
        self.ulr("later.test")  # the next change is tried anew
        self.everywhere("later.test")
        self.hss.until(lambda: ("writes-refused", "") not in self.hss.alarms(), "the alarm is cleared")

    def test_cut_replies(self):
        """The connection ends in place of a reply: nobody knows what was done, so it is done again, and harms nothing."""
        s = self.server
        for command in ("update", "getMore", "find", "aggregate"):
            with self.subTest(command):
                def done_but_cut(c):
                    if command == "update":
                        s.do_update(c)
                    return s.CUT
                s.on(command, done_but_cut, times=2)
                self.ulr(f"{command.lower()}.test")
                s.insert(webui(50 + len(command)))
                self.everywhere(f"{command.lower()}.test")
                self.hss.until(lambda: air(self.hss, 50 + len(command)) == 2001, "the feed goes on")
        self.assertEqual(len(s.documents), len({x["imsi"] for x in s.documents}))

    def test_step_down(self):
        """The primary is none for a while, for reads, writes and the stream."""
        s = self.server
        rules = [s.on(c, mongo.error(10107, "not master")) for c in ("update", "find", "aggregate", "getMore")]
        s.change(imsi(1), msisdn=["4915100001"])
        self.ulr("during.test")
        mongo.wait_upstream(self.hss, lambda u: u["outbox"] == 20 and u["state"] != "live", "it is told")
        asked = rules[1].used
        self.hss.until(lambda: air(self.hss, 99) == 3004 and rules[1].used >= asked + 5, "it pauses longer each time")
        for rule in rules:
            s.off(rule)
        mongo.wait_live(self.hss, 20)
        self.assertEqual(air(self.hss, 99), 5001, "the feed's coming back ends that pause")
        self.everywhere("during.test")
        self.hss.until(lambda: self.hss.ctl_json("subscriber", "show", imsi(1))["msisdn"] == ["4915100001"], "the feed")


if __name__ == "__main__":
    unittest.main(verbosity=2)
