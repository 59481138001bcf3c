"""Servers without change streams: swept every store.poll_interval_ms. Changes and deletions are found, what was inserted a moment
ago is read through, and unknown subscribers cost MongoDB no more than store.lookup_rate."""
import time
import unittest

import diameter as d
import hss
import mongo
from hss import K, OPC, Hss, imsi
from mongo import Int64, webui, with_sqn
from test_mongodb_feed import Feed, air


class Polled(unittest.TestCase):
    becomes, becomes_unknown = Feed.becomes, Feed.becomes_unknown

    def begin(self, **store):
        self.server = mongo.MongoServer(oplog=False)
        self.addCleanup(self.server.close)
        self.c = self.server.collection()
        self.c.create_index("imsi", unique=True)
        self.c.insert_many([with_sqn(webui(n), 64) for n in range(1, 21)])
        self.hss = Hss(config=mongo.patient(self.server.store(**{"poll_interval_ms": 200, **store})))
        self.addCleanup(self.hss.close)
        self.assertEqual(mongo.wait_live(self.hss, 20)["mode"], "poll")

    def test_changes_and_deletions(self):
        self.begin()
        c = self.c
        c.insert_one(webui(30, msisdn=["1"]))
        c.update_one({"imsi": imsi(1)}, {"$set": {"msisdn": ["2"]}})
        document = c.find_one({"imsi": imsi(3)})
        c.replace_one({"_id": document["_id"]}, {**document, "msisdn": ["3"]})
        c.delete_one({"imsi": imsi(4)})
        c.delete_one({"imsi": imsi(5)})
        c.insert_one(webui(5, msisdn=["5"]))  # the same IMSI under another _id
        c.update_one({"imsi": imsi(6)}, {"$set": {"imsi": imsi(36)}})
        for n, value in ((30, "1"), (1, "2"), (3, "3"), (5, "5")):
            self.becomes(n, "msisdn", [value])
        self.becomes_unknown(4)
        self.becomes_unknown(6)
        self.becomes(36, "imsi", imsi(36))
        self.assertEqual(air(self.hss, 4), 5001)
        mongo.wait_live(self.hss, 20)

    def test_nothing_changes(self):
        """Sweeps that find nothing change nothing here; status tells what they cost."""
        self.begin(poll_interval_ms=100)
        events = mongo.upstream(self.hss)["events"]
        commits = self.hss.ctl_json("store", "status")["commits"]
        time.sleep(1)  # ten sweeps: that nothing happens can't be awaited
        u = mongo.upstream(self.hss)
        self.assertEqual(u["events"], events)
        self.assertLessEqual(self.hss.ctl_json("store", "status")["commits"], commits + 1)
        self.assertIn("sweep_cpu_ms", u)
        self.assertLess(u["lag_ms"], 5000)

    def test_read_through(self):
        """Long before the next sweep."""
        self.begin(poll_interval_ms=3600000)
        with d.Peer(self.hss.port, "mme.test") as mme:
            for n in range(50, 60):
                self.c.insert_one(webui(n))
                self.assertEqual(mme.call(mme.air(imsi(n))).result, 2001)
                self.assertEqual(mme.call(mme.ulr(imsi(n))).result, 2001)
            self.assertEqual(mme.call(mme.air(imsi(99))).result, 5001)

    def test_operators_are_read_through(self):
        """hssctl about one that no sweep has seen yet."""
        self.begin(poll_interval_ms=3600000)
        for n in range(50, 55):
            self.c.insert_one(with_sqn(webui(n, mme_host="mme.test", mme_realm="test", mme_timestamp=Int64(1)), 6400))
        self.hss.ctl("subscriber", "set", imsi(50), "subscriber_status=1")
        self.assertEqual(self.c.find_one({"imsi": imsi(50)})["subscriber_status"], 1)
        self.assertEqual(self.hss.ctl_json("subscriber", "show", imsi(51))["imsi"], imsi(51))
        self.assertEqual(self.hss.ctl_json("sqn", "show", imsi(52))["sqn"], 6400)
        self.hss.ctl("sqn", "set", imsi(53), "9600")
        self.assertEqual(self.c.find_one({"imsi": imsi(53)})["security"]["sqn"], 9600)
        self.assertEqual(self.hss.ctl_json("location", "show", imsi(54))["mme"]["host"], "mme.test")
        self.c.insert_one(webui(55, security={"amf": "8000"}))
        for command, n, reason in (("show", 56, "no such subscriber"), ("show", 55, "security.k")):
            done = self.hss.ctl("subscriber", command, imsi(n), check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(reason, done.stderr)
        self.server.kill()
        done = self.hss.ctl("sqn", "show", imsi(57), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "no such subscriber here, and .*MongoDB")
        self.assertEqual(self.hss.ctl_json("subscriber", "show", imsi(51))["imsi"], imsi(51))

    def test_deleted_before_a_sweep_saw_it(self):
        """Known by hssctl or a request only, and gone again: missed all the same, and its MME is told."""
        self.begin()
        for n in range(40, 50):
            if n % 2:
                self.hss.ctl("subscriber", "add", imsi(n), "--k", K, "--opc", OPC)
            else:
                self.c.insert_one(webui(n))
            with d.Peer(self.hss.port, "mme.test", "test") as mme:
                self.assertEqual(mme.call(mme.ulr(imsi(n))).result, 2001)
                self.c.delete_one({"imsi": imsi(n)})
                clr = mme.take(d.CLR)
                self.assertEqual((clr.one(d.USER_NAME).text, clr.one(d.CANCELLATION).number), (imsi(n), 2))
            self.becomes_unknown(n)
        mongo.wait_live(self.hss, 20)

    def test_emptied(self):
        self.begin()
        self.c.delete_many({})
        mongo.wait_upstream(self.hss, lambda u: u.get("held"), "held")
        self.assertEqual(air(self.hss, 1), 2001)
        self.c.insert_many([webui(n) for n in range(1, 6)])
        self.becomes_unknown_after_word(20)
        self.assertEqual(air(self.hss, 1), 2001)

    def becomes_unknown_after_word(self, n):
        """Nearly all are gone: that is believed when an operator says so."""
        self.hss.until(lambda: "15 of 2" in mongo.upstream(self.hss).get("held", ""), "held", timeout=10)
        self.assertEqual(air(self.hss, n), 2001)
        self.assertEqual(self.hss.ctl_json("store", "accept-loss")["removed"], 15)
        self.becomes_unknown(n)
        self.assertNotIn("held", mongo.upstream(self.hss))

    def test_deleted_and_inserted_again(self):
        """O5: the same IMSI under another _id, between two sweeps: served, and no complaint about two documents."""
        self.begin(poll_interval_ms=500)
        for turn in range(3):
            for n in range(1, 11):
                self.c.delete_one({"imsi": imsi(n)})
                self.c.insert_one(webui(n, msisdn=[f"4915100{turn}{n}"]))
            for n in range(1, 11):
                self.becomes(n, "msisdn", [f"4915100{turn}{n}"])
        self.assertNotIn("another document", self.hss.log())
        self.assertNotIn("subscriber_refused", self.hss.log())
        self.assertEqual(mongo.upstream(self.hss)["problems"], 0)
        self.c.drop_index("imsi_1")
        self.c.insert_one(webui(1, msisdn=["49"]))  # two at once: that one is named
        self.hss.until(lambda: "another document" in self.hss.ctl("subscriber", "problems").stdout, "named")

    def test_saved_a_second_before_the_attach(self):
        """O3: what the WebUI saved is in the answer to the attach, although the interval is the default of 10 s."""
        self.begin(poll_interval_ms=10000)
        for turn in range(3):
            self.c.update_one({"imsi": imsi(1)}, {"$set": {"slice.0.session.0.name": f"apn{turn}"}})
            time.sleep(1)  # the attach comes then: it is not awaited
            with d.Peer(self.hss.port, f"mme{turn}.test") as mme:
                profile = mme.call(mme.ulr(imsi(1))).one(d.SUBSCRIPTION).one(d.APN_PROFILE)
                self.assertEqual(profile.one(d.APN).one(d.SERVICE_SELECTION).text, f"apn{turn}")

    def test_put_back_between_two_sweeps(self):
        """M2: the document that was saved before the attach is put back before a sweep has seen the location in it."""
        self.begin(poll_interval_ms=100)
        saved = {n: self.c.find_one({"imsi": imsi(n)}) for n in range(1, 21)}
        with d.Peer(self.hss.port, "mme.test", "test") as mme:
            for n in range(1, 21):
                self.assertEqual(mme.call(mme.ulr(imsi(n))).result, 2001)
                self.hss.until(lambda: self.c.find_one({"imsi": imsi(n)}).get("mme_host") == "mme.test", "written")
                self.c.replace_one({"imsi": imsi(n)}, saved[n])
        self.hss.until(lambda: self.c.count_documents({"mme_host": "mme.test"}) == 20, "written again", timeout=20)

class Flood(unittest.TestCase):
    def test_unknown(self):
        """Others are served meanwhile, and the server is asked at most lookup_rate times a second."""
        for streams in (True, False):
            with self.subTest(streams=streams), mongo.ScriptedServer(streams=streams) as server:
                for n in range(1, 11):
                    server.documents.append({"_id": mongo.bson.ObjectId(), **with_sqn(webui(n), 64)})
                with Hss(config={"store": server.store(lookup_rate=50)}) as h:
                    mongo.wait_live(h, 10)
                    asked = sum(c.get("find") is not None and "imsi" in str(c.get("filter")) for c in server.seen)
                    began = time.monotonic()
                    flood = h.load_start("air", imsi=imsi(5001), subscribers=4000, requests=20000, window=200, k=K, opc=OPC,
                                         host="flood.test")
                    self.addCleanup(flood.stop)
                    report = h.load("air", imsi=imsi(1), subscribers=10, requests=500, window=4, k=K, opc=OPC)
                    self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 500}, 0))
                    report = flood.finish(check=False)
                    took = time.monotonic() - began
                    self.assertLessEqual(set(report["results"]), {"5001", "3004"})
                    self.assertGreater(report["results"].get("5001", 0), 0)
                    asked = sum(c.get("find") is not None and "imsi" in str(c.get("filter")) for c in server.seen) - asked
                    self.assertLess(asked, 50 * (took + 2), f"in {took} s")

    def test_coalesced(self):
        """Many requests for one unknown IMSI at once: one question, then a moment of memory."""
        with mongo.ScriptedServer() as server, Hss(config={"store": server.store()}) as h:
            server.insert(webui(1))
            mongo.wait_live(h, 1)
            before = len(server.seen)
            report = h.load("air", check=False, imsi=imsi(9), subscribers=1, requests=200, window=50, k=K, opc=OPC)
            self.assertEqual(set(report["results"]), {"5001"})
            self.assertLess(sum("find" in c for c in server.seen[before:]), 20)


class Codes(unittest.TestCase):
    def test_no_change_streams(self):
        """Each way of a server to say that it has none, also of one that calls itself a replica set."""
        for code, replica_set in ((40573, False), (238, True), (59, True), (115, True), (40573, True)):
            with self.subTest(code=code), mongo.ScriptedServer(replica_set=replica_set) as server:
                server.documents.append({"_id": mongo.bson.ObjectId(), **with_sqn(webui(1), 64)})
                server.on("aggregate", mongo.error(code, "no change streams here"),
                          when=lambda c: "$changeStream" in str(c["pipeline"]))
                with Hss(config={"store": server.store(poll_interval_ms=100)}) as h:
                    self.assertEqual(mongo.wait_live(h, 1)["mode"], "poll")
                    server.documents[0]["msisdn"] = ["7"]
                    h.until(lambda: h.ctl_json("subscriber", "show", imsi(1))["msisdn"] == ["7"], "found")


if __name__ == "__main__":
    unittest.main(verbosity=2)
