"""Change streams: every kind of event reaches the cache within milliseconds, and nothing that can happen to a stream, its
position, its collection or its server empties the cache or leaves a gap. On a real server or mongo-java-server; what those
do not give on demand comes from the scripted one, in the shape in which a real one sent it."""
import statistics
import time
import unittest

import diameter as d
import hss
import mongo
from hss import K, OPC, Hss, imsi
from mongo import webui, with_sqn

SECOND_K = "0396EB317B6D1C36F19C1C84CD6FFD16"


def air(h, n, k=K):
    """What an AIR of this subscriber gets: its result code, or "wrong key"."""
    report = h.load("air", check=False, imsi=imsi(n), subscribers=1, requests=1, k=k, opc=OPC)
    return "wrong key" if report["bad_vectors"] else int(next(iter(report["results"])))


class Feed(unittest.TestCase):
    def setUp(self):
        self.server = mongo.MongoServer(oplog=True, file=self.with_file)
        self.addCleanup(self.server.close)
        self.c = self.server.collection()
        self.c.create_index("imsi", unique=True)
        self.c.insert_many([with_sqn(webui(n), 64) for n in range(1, 21)])
        self.proxy = mongo.Proxy(self.server.port)
        self.addCleanup(self.proxy.close)
        self.hss = Hss(config=mongo.patient(self.proxy.store()))
        self.addCleanup(self.hss.close)
        self.assertEqual(mongo.wait_live(self.hss, 20)["mode"], "stream")

    with_file = False

    def becomes(self, n, path, value):
        """The document as the HSS has it."""
        def look():
            done = self.hss.ctl("--json", "subscriber", "show", imsi(n), check=False)
            return done.returncode == 0 and mongo.get(done.json, path) == value
        self.hss.until(look, f"{imsi(n)}: {path} is {value}", timeout=10)

    def becomes_unknown(self, n):
        self.hss.until(lambda: self.hss.ctl("subscriber", "show", imsi(n), check=False).returncode == 1, "unknown", timeout=10)


class Events(Feed):
    def test_insert_update_replace_delete(self):
        h, c = self.hss, self.c
        c.insert_one(webui(30, msisdn=["4915100001"]))
        self.becomes(30, "msisdn", ["4915100001"])
        c.update_one({"imsi": imsi(1)}, {"$set": {"msisdn": ["4915100002"], "slice.0.session.0.name": "corp"}})
        self.becomes(1, "msisdn", ["4915100002"])
        with d.Peer(h.port, "mme.test") as mme:
            profile = mme.call(mme.ulr(imsi(1))).one(d.SUBSCRIPTION).one(d.APN_PROFILE)
            self.assertEqual(profile.one(d.APN).one(d.SERVICE_SELECTION).text, "corp")
        c.update_one({"imsi": imsi(2)}, {"$set": {"subscriber_status": 1}, "$unset": {"msisdn": 1}})
        self.becomes(2, "subscriber_status", 1)
        document = c.find_one({"imsi": imsi(3)})
        document["msisdn"] = ["4915100003"]
        c.replace_one({"_id": document["_id"]}, document)
        self.becomes(3, "msisdn", ["4915100003"])
        c.delete_one({"imsi": imsi(4)})
        self.becomes_unknown(4)
        self.assertEqual(air(h, 4), 5001)
        c.delete_many({"imsi": {"$in": [imsi(5), imsi(6)]}})
        self.becomes_unknown(5)
        self.becomes_unknown(6)
        mongo.wait_live(h, 18)

    def test_another_key(self):
        self.c.update_one({"imsi": imsi(1)}, {"$set": {"security.k": SECOND_K, "security.sqn": mongo.Int64(96)}})
        self.hss.until(lambda: air(self.hss, 1, SECOND_K) == 2001, "the new key is used")
        self.assertEqual(air(self.hss, 2), 2001)

    def test_delete_and_insert_again(self):
        """With another key, with the same, many times; the SQN goes on where it was for the same key."""
        h, c = self.hss, self.c
        for _ in range(3):
            self.assertEqual(air(h, 1), 2001)
        before = int(h.ctl_json("sqn", "show", imsi(1))["seq"])
        c.delete_one({"imsi": imsi(1)})
        c.insert_one(webui(1, msisdn=["49151000077"]))
        self.becomes(1, "msisdn", ["49151000077"])
        self.assertGreaterEqual(int(h.ctl_json("sqn", "show", imsi(1))["seq"]), before)
        document = webui(2, msisdn=["49151000078"])
        document["security"]["k"] = SECOND_K
        c.delete_one({"imsi": imsi(2)})
        c.insert_one(document)
        h.until(lambda: air(h, 2, SECOND_K) == 2001, "the new key is used")
        for n in range(10):
            c.delete_one({"imsi": imsi(3)})
            c.insert_one(webui(3, msisdn=[f"491510000{n}"]))
        self.becomes(3, "msisdn", ["4915100009"])
        mongo.wait_live(h, 20)

    def test_imsi_changes(self):
        self.c.update_one({"imsi": imsi(1)}, {"$set": {"imsi": imsi(31)}})
        self.becomes(31, "imsi", imsi(31))
        self.becomes_unknown(1)
        self.assertEqual(air(self.hss, 31), 2001)

    def test_spoilt_and_mended(self):
        """A document that turns bad is served as it was; a problem until it is good again or gone."""
        h, c = self.hss, self.c
        c.update_one({"imsi": imsi(1)}, {"$set": {"security.k": "nothing"}})
        mongo.wait_upstream(h, lambda u: u["problems"] == 1, "a problem")
        self.assertIn(imsi(1), h.ctl("subscriber", "problems").stdout)
        c.update_one({"imsi": imsi(1)}, {"$set": {"security.k": SECOND_K}})
        mongo.wait_upstream(h, lambda u: u["problems"] == 0, "none")
        h.until(lambda: air(h, 1, SECOND_K) == 2001, "served")
        c.insert_one({"imsi": imsi(40), "mme_host": "x"})
        mongo.wait_upstream(h, lambda u: u["problems"] == 1, "a problem")
        c.delete_one({"imsi": imsi(40)})
        mongo.wait_upstream(h, lambda u: u["problems"] == 0, "none")

    def test_read_through(self):
        """Inserted a moment ago: the first request is answered with a vector."""
        with d.Peer(self.hss.port, "mme.test") as mme:
            for n in range(50, 80):
                self.c.insert_one(webui(n))
                self.assertEqual(mme.call(mme.air(imsi(n))).result, 2001)
            self.assertEqual(mme.call(mme.air(imsi(99))).result, 5001)

    def test_one_change_after_the_other(self):
        """Each is served before the next is made; how soon is what tests/bench measures."""
        took = []
        with d.Peer(self.hss.port, "mme.test") as mme:
            for n in range(60):
                value = f"4915100{1000 + n}"
                self.c.update_one({"imsi": imsi(1)}, {"$set": {"msisdn": [value]}})
                began = time.monotonic()
                while True:
                    ula = mme.call(mme.ulr(imsi(1)))
                    got = ula.one(d.SUBSCRIPTION).all(d.MSISDN)
                    if [a.data for a in got] == [tbcd(value)]:
                        break
                    self.assertLess(time.monotonic() - began, 10)
                took.append(time.monotonic() - began)
        print(f"served after: median {statistics.median(took) * 1000:.1f} ms, worst {max(took) * 1000:.1f} ms")

    def test_own_writes_change_nothing(self):
        """What we wrote comes back and is recognised: no record is made anew for it, nothing is written for it."""
        h = self.hss
        with d.Peer(h.port, "mme.test", "test") as mme:
            for n in range(1, 21):
                self.assertEqual(mme.call(mme.ulr(imsi(n))).result, 2001)
        mongo.wait_written(h)
        h.until(lambda: all(x.get("mme_host") == "mme.test" for x in self.c.find({"imsi": {"$lte": imsi(20)}})), "written")
        for n in range(1, 21):
            self.assertEqual(h.location(imsi(n))["mme"]["host"], "mme.test")
        done = h.ctl("--json", "store", "verify")
        self.assertEqual(done.returncode, 0)


def tbcd(digits):
    digits += "f" * (len(digits) % 2)
    return bytes(int(digits[i + 1] + digits[i], 16) for i in range(0, len(digits), 2))


class Interrupted(Feed):
    with_file = True

    def test_cut(self):
        """Changes made while the connection was cut arrive when it is back, deletions too; a cut within a reply as well."""
        h, c = self.hss, self.c
        for turn in range(3):
            self.proxy.cut()
            mongo.wait_upstream(h, lambda u: u["state"] != "live", "not live")
            c.update_one({"imsi": imsi(1)}, {"$set": {"msisdn": [f"4915100001{turn}"]}})
            c.delete_one({"imsi": imsi(10 + turn)})
            c.insert_one(webui(60 + turn))
            self.assertEqual(air(h, 2), 2001)
            self.proxy.resume()
            self.becomes(1, "msisdn", [f"4915100001{turn}"])
            self.becomes_unknown(10 + turn)
            self.becomes(60 + turn, "imsi", imsi(60 + turn))
        for octets in (1, 15, 40, 700):
            self.proxy.cut_after(octets)
            c.update_one({"imsi": imsi(2)}, {"$set": {"msisdn": [f"4915100{octets}"]}})
            self.becomes(2, "msisdn", [f"4915100{octets}"])
        mongo.wait_live(h, 20)

    def test_server_killed(self):
        h = self.hss
        self.server.kill()
        mongo.wait_upstream(h, lambda u: u["state"] != "live", "not live")
        self.assertEqual(air(h, 1), 2001)
        self.assertEqual(air(h, 90), 3004)
        self.server.start()
        c = self.server.collection()
        c.update_one({"imsi": imsi(1)}, {"$set": {"msisdn": ["49151000099"]}})
        c.delete_one({"imsi": imsi(2)})
        self.becomes(1, "msisdn", ["49151000099"])
        self.becomes_unknown(2)
        mongo.wait_live(h, 19)

    def test_collection_emptied_and_filled(self):
        """Dropped: what is known is kept and said to be; filled again it is compared. Nobody was unknown meanwhile."""
        h = self.hss
        documents = list(self.c.find())
        self.c.drop()
        mongo.wait_upstream(h, lambda u: u.get("held"), "held")
        self.assertEqual(air(h, 1), 2001)
        documents[0]["msisdn"] = ["49151000055"]
        self.c.insert_many(documents[:15])
        self.becomes(1, "msisdn", ["49151000055"])
        self.becomes_unknown(20)
        self.assertEqual(air(h, 15), 2001)
        mongo.wait_live(h, 15)



class Losses(Feed):
    """What other programs take away, and what they put back."""

    def test_sudden_loss(self):
        """M3: nearly everybody is deleted: nobody is cut off, an alarm says so, an operator's word lifts it."""
        h, c = self.hss, self.c
        c.insert_many([webui(n) for n in range(100, 600)])
        mongo.wait_live(h, 520)
        documents = list(c.find())
        c.delete_many({"imsi": {"$ne": imsi(5)}})
        c.insert_one(webui(700))
        mongo.wait_upstream(h, lambda u: "519 of 521" in u.get("held", ""), "held")
        for n in (1, 5, 100, 599, 700):
            self.assertEqual(air(h, n), 2001)
        self.assertIn("upstream_loss_held", h.log())
        h.until(lambda: h.metric("hss_upstream_held") == 519, "the metric says so")
        h.until(lambda: ("subscribers-held", "") in h.alarms(), "the alarm is raised")
        h.kill()  # and that is not forgotten
        h.start()
        mongo.wait_upstream(h, lambda u: "519 of 521" in u.get("held", ""), "held")
        self.assertEqual(air(h, 1), 2001)
        c.insert_many([x for x in documents if x["imsi"] != imsi(5)])  # they come back
        mongo.wait_upstream(h, lambda u: not u.get("held"), "over", timeout=30)
        h.until(lambda: ("subscribers-held", "") not in h.alarms(), "the alarm is cleared")
        self.assertEqual(air(h, 1), 2001)
        c.delete_many({"imsi": {"$ne": imsi(5)}})
        mongo.wait_upstream(h, lambda u: u.get("held"), "held")
        self.assertEqual(h.ctl_json("store", "accept-loss")["removed"], 520)
        self.becomes_unknown(1)
        self.assertEqual(air(h, 5), 2001)
        done = h.ctl("store", "accept-loss", check=False)
        self.assertEqual((done.returncode, "no loss" in done.stderr), (1, True))

    def test_sudden_loss_one_document_after_a_drop(self):
        """M3: the database is dropped, then one document is inserted."""
        h, c = self.hss, self.c
        c.database.client.drop_database(mongo.DATABASE)
        c.insert_one(webui(30))
        self.becomes(30, "imsi", imsi(30))
        mongo.wait_upstream(h, lambda u: "20 of 2" in u.get("held", ""), "held")
        self.assertEqual((air(h, 1), air(h, 20)), (2001, 2001))

    def test_many_are_deleted_on_purpose(self):
        """Less than half, and by hssctl any number."""
        h, c = self.hss, self.c
        c.insert_many([webui(n) for n in range(100, 130)])
        mongo.wait_live(h, 50)
        c.delete_many({"imsi": {"$gte": imsi(110), "$lte": imsi(129)}})
        self.becomes_unknown(129)
        for n in [*range(1, 21), *range(100, 110)]:
            h.ctl("subscriber", "delete", imsi(n))
        mongo.wait_live(h, 0)
        self.assertNotIn("upstream_loss_held", h.log())

    def test_new_key_in_a_loop(self):
        """M4: once the key that was set after the insert was used, the first one never is."""
        h, c = self.hss, self.c
        for n in range(50, 80):
            c.insert_one(webui(n))
            c.update_one({"imsi": imsi(n)}, {"$set": {"security.k": SECOND_K}})
            h.until(lambda: air(h, n, SECOND_K) == 2001, "the new key is used")
            for _ in range(3):
                self.assertEqual(air(h, n, SECOND_K), 2001)

    def test_put_back(self):
        """M2: a document saved before the attach is put back, or the fields are taken away: written again."""
        h, c = self.hss, self.c
        saved = {n: c.find_one({"imsi": imsi(n)}) for n in range(1, 11)}
        with d.Peer(h.port, "mme.test", "test") as mme:
            for n in range(1, 21):
                self.assertEqual(mme.call(mme.ulr(imsi(n))).result, 2001)
        h.until(lambda: c.count_documents({"mme_host": "mme.test"}) == 20, "written")
        mongo.wait_written(h)
        for n in range(1, 21):
            if n < 11:
                c.replace_one({"imsi": imsi(n)}, saved[n])
            else:
                c.update_one({"imsi": imsi(n)}, {"$unset": {"mme_host": 1, "mme_realm": 1, "mme_timestamp": 1, "purge_flag": 1}})
        h.until(lambda: c.count_documents({"mme_host": "mme.test", "mme_timestamp": {"$gt": 0}}) == 20, "written again")


class Scripted(unittest.TestCase):
    """What a real server sends, told by the scripted one."""

    def setUp(self):
        self.server = mongo.ScriptedServer()
        self.addCleanup(self.server.close)
        for n in range(1, 21):
            self.server.documents.append({"_id": mongo.bson.ObjectId(), **with_sqn(webui(n), 64)})
        self.hss = Hss(config={"store": self.server.store(poll_interval_ms=200)}, start=False)
        self.addCleanup(self.hss.close)

    becomes, becomes_unknown = Feed.becomes, Feed.becomes_unknown

    def begin(self):
        self.hss.start()
        return mongo.wait_live(self.hss, 20)

    def test_shapes(self):
        s = self.server
        self.assertEqual(self.begin()["mode"], "stream")
        s.change(imsi(1), msisdn=["4915100005"])
        self.becomes(1, "msisdn", ["4915100005"])
        s.change(imsi(2), "replace", msisdn=["4915100006"])
        self.becomes(2, "msisdn", ["4915100006"])
        # an update whose document was gone when it was looked up, then its delete
        gone = s.document(imsi(3))
        s.emit("update", gone, {"x": 1}, fullDocument=None)
        s.remove(imsi(3))
        self.becomes_unknown(3)
        # deleted and inserted again under another _id: three events
        old = s.document(imsi(4))
        s.remove(imsi(4))
        s.insert({**{k: v for k, v in old.items() if k != "_id"}, "msisdn": ["4915100007"]})
        self.becomes(4, "msisdn", ["4915100007"])
        # several updates that all show the last state
        s.change(imsi(5), msisdn=["4915100008"])
        for _ in range(3):
            s.emit("update", s.document(imsi(5)), {"msisdn": ["4915100000"]})
        self.becomes(5, "msisdn", ["4915100008"])
        # what later servers send beside
        s.emit("createIndexes", operationDescription={})
        s.emit("modify", operationDescription={})
        s.change(imsi(6), msisdn=["4915100009"])
        self.becomes(6, "msisdn", ["4915100009"])
        self.assertEqual(mongo.wait_live(self.hss, 19)["problems"], 0)

    def test_drop_rename_invalidate(self):
        s = self.server
        self.begin()
        for n, operation in enumerate(("drop", "rename", "dropDatabase")):
            with self.subTest(operation):
                opened = s.count("aggregate")
                s.documents[0]["msisdn"] = [f"1{n}"]  # without an event
                s.emit(operation)
                s.emit("invalidate")
                self.hss.until(lambda: s.count("aggregate") > opened, "a new stream")
                self.becomes(1, "msisdn", [f"1{n}"])
                s.change(imsi(2), msisdn=[f"2{n}"])
                self.becomes(2, "msisdn", [f"2{n}"])
                self.assertEqual(air(self.hss, 20), 2001)

    def test_position_lost(self):
        """Each code that says so: compared, never empty, no gap."""
        s = self.server
        self.begin()
        for code in (286, 280, 260, 136, 40576, 50811):
            with self.subTest(code=code):
                refuse = s.on("aggregate", mongo.error(code, "Resume of change stream was not possible"),
                              when=lambda c: bool({"resumeAfter", "startAfter"} & set(str(c["pipeline"]).split("'"))))
                with s.changed:
                    s.documents[0]["msisdn"] = [str(code)]  # no event tells of it
                    gone = s.documents.pop()
                s.cut()
                self.becomes(1, "msisdn", [str(code)])
                self.becomes_unknown(int(gone["imsi"][-4:]))
                s.off(refuse)
                s.change(imsi(2), msisdn=[f"9{code}"])
                self.becomes(2, "msisdn", [f"9{code}"])
                self.assertEqual(air(self.hss, 3), 2001)

    def test_position_lost_while_streaming(self):
        s = self.server
        self.begin()
        for code in (286, 280, 136):
            with self.subTest(code=code):
                with s.changed:
                    s.documents[0]["msisdn"] = [str(code)]
                rule = s.on("getMore", mongo.error(code, "history lost", errorLabels=["NonResumableChangeStreamError"]),
                            times=1)
                s.change(imsi(2), msisdn=["4915100001"])  # wakes the one that waits
                s.change(imsi(2), msisdn=["4915100002"])
                self.becomes(1, "msisdn", [str(code)])
                self.assertEqual(rule.used, 1)

    def test_resumed(self):
        """Errors that a stream survives: it goes on where it was, without a comparison."""
        s = self.server
        self.begin()
        found = s.count("find")
        for n, code in enumerate((43, 91, 189, 10107, 11602, 13436, 6, 89)):
            with self.subTest(code=code):
                rule = s.on("getMore", mongo.error(code, "later", errorLabels=["ResumableChangeStreamError"]), times=1)
                s.change(imsi(1), msisdn=[str(code)])
                self.hss.until(lambda: rule.used or not s.change(imsi(2), msisdn=["4915100001"]), "told")
                s.change(imsi(1), msisdn=[str(code + 1)])
                self.becomes(1, "msisdn", [str(code + 1)])
        s.cut()
        s.change(imsi(1), msisdn=["4915100000"])
        self.becomes(1, "msisdn", ["4915100000"])
        self.assertLessEqual(s.count("find"), found + 1, "no comparison")

    def test_position_kept(self):
        """Over a stop and over kill -9: resumed behind what it covers."""
        s = self.server
        self.begin()
        s.change(imsi(1), msisdn=["4915100001"])
        self.becomes(1, "msisdn", ["4915100001"])
        for value, gone, end in (("2", 20, self.hss.stop), ("3", 19, self.hss.kill)):
            end()
            s.change(imsi(1), msisdn=[value])
            s.remove(imsi(gone))
            opened = len(s.seen)
            self.hss.start()
            self.becomes(1, "msisdn", [value])
            self.becomes_unknown(gone)
            mongo.wait_live(self.hss)
        first = next(c for c in s.seen[opened:] if "$changeStream" in str(c.get("pipeline")))
        self.assertRegex(str(first["pipeline"]), "resumeAfter|startAfter|startAtOperationTime")


if __name__ == "__main__":
    unittest.main(verbosity=2)
