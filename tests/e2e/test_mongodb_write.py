"""What goes back to MongoDB: locations as open5gs-hssd writes them, and the SQN, shared with whoever increments it. Nothing of
others is touched, nobody who was deleted comes back, what is refused is set aside, and no SQN comes twice."""
import os
import threading
import time
import unittest

import diameter as d
import hss
import mongo
from hss import K, OPC, Hss, imsi
from mongo import Int64, webui, with_sqn
from sim import Sim

class Base(unittest.TestCase):
    oplog = True
    documents = ()

    def begin(self, documents, **options):
        self.server = mongo.MongoServer(oplog=self.oplog, file=options.pop("file", False))
        self.addCleanup(self.server.close)
        self.c = self.server.collection()
        self.c.create_index("imsi", unique=True)
        self.c.insert_many(documents)
        self.proxy = mongo.Proxy(self.server.port)
        self.addCleanup(self.proxy.close)
        self.hss = Hss(config=mongo.patient(self.proxy.store(poll_interval_ms=200)), **options)
        self.addCleanup(self.hss.close)
        mongo.wait_live(self.hss, len(documents))

    def document(self, n):
        return self.c.find_one({"imsi": imsi(n)})

    def field(self, n, path):
        value = mongo.get(self.document(n) or {}, path)
        return None if value is mongo.MISSING else value

    def written(self, n, condition, what):
        self.hss.until(lambda: condition(self.document(n) or {}), f"in MongoDB: {what}; {self.document(n)}", timeout=15)
        return self.document(n)

    def peer(self, host="mme.test", realm="test"):
        peer = d.Peer(self.hss.port, host, realm)
        self.addCleanup(peer.close)
        return peer

    def seq(self, n):
        return int(self.hss.ctl_json("sqn", "show", imsi(n))["seq"])


class Locations(Base):
    def test_the_last_apn_goes_and_the_location_with_it(self):
        self.begin([webui(1)])
        mme = self.peer()
        self.assertEqual(mme.call(mme.ulr(imsi(1))).result, 2001)
        self.written(1, lambda x: x.get("mme_host") == "mme.test", "the MME")
        self.c.update_one({"imsi": imsi(1)}, {"$set": {"slice.0.session": []}})
        self.assertEqual(mme.take(d.CLR).one(d.CANCELLATION).number, 2)
        self.written(1, lambda x: "mme_host" not in x, "the location is gone")

    def test_fields(self):
        before = webui(1, unknown={"a": [1, {"b": 2.5}]})
        self.begin([before, webui(2)])
        mme = self.peer()
        now = time.time()
        self.assertEqual(mme.call(mme.ulr(imsi(1))).result, 2001)
        after = self.written(1, lambda x: x.get("mme_host") == "mme.test", "the MME")
        self.assertEqual((after["mme_realm"], after["purge_flag"]), ("test", False))
        self.assertIs(type(after["mme_timestamp"]), Int64)
        self.assertLess(abs(after["mme_timestamp"] / 1e6 - now), 60)
        # all the rest is as it was
        for name in set(before) - {"mme_host", "mme_realm", "mme_timestamp", "purge_flag", "imeisv", "security"}:
            self.assertEqual(after[name], before[name], name)
        self.assertEqual({k: v for k, v in after["security"].items() if k != "sqn"}, before["security"])
        self.assertLessEqual(set(after) - set(before), {"mme_timestamp", "corehss"})
        other = self.document(2)
        self.assertEqual(other["mme_host"], [], "nothing is written of somebody who is nowhere")
        # purged
        self.assertEqual(mme.call(mme.pur(imsi(1))).result, 2001)
        self.written(1, lambda x: x["purge_flag"] is True and x["mme_host"] == "mme.test", "purged")
        # elsewhere
        other = self.peer("mme2.test")
        self.assertEqual(other.call(other.ulr(imsi(1))).result, 2001)
        self.written(1, lambda x: x["purge_flag"] is False and x["mme_host"] == "mme2.test", "the other MME")
        self.assertEqual(self.hss.ctl("store", "verify").returncode, 0)

    def test_deleted_is_not_made_again(self):
        """Its location waits in the outbox when it is deleted."""
        self.begin([webui(1), webui(2)])
        mme = self.peer()
        self.proxy.cut()
        for n in (1, 2):
            self.assertEqual(mme.call(mme.ulr(imsi(n))).result, 2001)
        mongo.wait_upstream(self.hss, lambda u: u["outbox"] == 2, "both wait")
        self.c.delete_one({"imsi": imsi(1)})
        self.proxy.resume()
        self.written(2, lambda x: x.get("mme_host") == "mme.test", "the other one")
        mongo.wait_written(self.hss)
        self.assertIsNone(self.document(1))
        self.assertEqual(self.c.count_documents({}), 1)

    def test_old_form(self):
        """The WebUI saves a form that was opened before the attach: arrays of one, an old SQN. Nobody is lost by it."""
        self.begin([with_sqn(webui(1), 2081)])
        mme = self.peer()
        self.assertEqual(mme.call(mme.ulr(imsi(1))).result, 2001)
        self.assertEqual(mme.call(mme.air(imsi(1))).result, 2001)
        self.written(1, lambda x: x.get("mme_host") == "mme.test" and x["security"]["sqn"] > 2081, "location and SQN")
        at, seq = self.field(1, "mme_timestamp"), self.seq(1)
        self.c.update_one({"imsi": imsi(1)}, {"$set": {
            "ambr.downlink.value": 2, "imeisv": ["3534900698733190"], "mme_host": ["mme.test"], "mme_realm": ["test"],
            "purge_flag": [False], "security.sqn": Int64(2081)}})
        self.hss.until(lambda: self.hss.ctl_json("subscriber", "show", imsi(1))["ambr"]["downlink"]["value"] == 2, "saved")
        self.assertGreaterEqual(self.seq(1), seq)
        self.assertEqual(self.hss.location(imsi(1))["mme"]["host"], "mme.test")
        self.assertEqual(self.field(1, "mme_timestamp"), at)
        self.assertEqual(mme.call(mme.air(imsi(1))).result, 2001)
        self.written(1, lambda x: x["security"]["sqn"] >> 5 > seq, "ours again")

    def test_form_from_before_the_attach(self):
        """As the WebUI of Open5GS 2.8 saves one that was opened before: the location is emptied there, its time stays. Both it
        and the SQN come back without a new attach; a session's members that its schema does not have are gone."""
        document = with_sqn(webui(1, notes="mine"), 64)
        document["slice"][0]["session"][0]["charging_characteristics"] = "0800"
        self.begin([document])
        mme = self.peer()
        imei = d.v3(1401, d.v3(1402, b"35123451234567") + d.v3(1403, b"01"))
        self.assertEqual(mme.call(mme.air(imsi(1), vectors=3)).result, 2001)
        self.assertEqual(mme.call(mme.ulr(imsi(1), more=[imei])).result, 2001)
        before = self.written(1, lambda x: x.get("mme_host") == "mme.test" and x["security"]["sqn"] >= 160, "location, SQN")
        where = self.hss.location(imsi(1))
        form = {k: v for k, v in document.items() if k not in ("_id", "security", "notes", "__v", "slice")}
        security = {f"security.{k}": v for k, v in document["security"].items()}
        del document["slice"][0]["session"][0]["charging_characteristics"]
        self.c.update_one({"imsi": imsi(1)}, {"$set": {**form, **security, "slice": document["slice"], "subscribed_rau_tau_timer": 13}})
        self.hss.until(lambda: self.hss.ctl_json("subscriber", "show", imsi(1))["subscribed_rau_tau_timer"] == 13, "saved")
        after = self.written(1, lambda x: x["mme_host"] == "mme.test" and x["security"]["sqn"] >= 160, "again")
        for name in ("mme_host", "mme_realm", "mme_timestamp", "purge_flag", "imeisv", "corehss", "notes"):
            self.assertEqual(after[name], before[name], name)
        self.assertEqual(self.hss.location(imsi(1)), where)
        # one from before a purge and the next attach, which says that the old MME has purged it
        self.assertEqual(mme.call(mme.ulr(imsi(1))).result, 2001)
        self.written(1, lambda x: x["mme_timestamp"] > after["mme_timestamp"], "the next attach")
        self.c.update_one({"imsi": imsi(1)}, {"$set": {"mme_host": ["old.test"], "mme_realm": ["test"], "purge_flag": [True],
                                                       "subscribed_rau_tau_timer": 12}})
        self.hss.until(lambda: self.hss.ctl_json("subscriber", "show", imsi(1))["subscribed_rau_tau_timer"] == 12, "saved")
        self.written(1, lambda x: x["mme_host"] == "mme.test" and x["purge_flag"] is False, "again")
        self.assertFalse(self.hss.location(imsi(1))["mme"]["purged"])
        self.assertEqual(self.hss.ctl("store", "verify").returncode, 0)

    def test_drawn_while_away_and_killed(self):
        """The field follows after the start, without another AIR; those of who drew nothing are left as they are."""
        self.begin([with_sqn(webui(n), 64) for n in range(1, 4)])
        mme = self.peer()
        self.assertEqual(mme.call(mme.air(imsi(1))).result, 2001)  # which commits the peer's IND
        self.written(1, lambda x: x["security"]["sqn"] > 64, "the first SQN")
        mongo.wait_written(self.hss)  # and known here to be
        self.proxy.cut()
        self.hss.wait_log("upstream_failed.*thread=.feed")

        def commits():
            return self.hss.ctl_json("store", "status")["commits"]
        before = commits()
        for _ in range(3):
            self.assertEqual(mme.call(mme.air(imsi(1))).result, 2001)
        drawn = self.seq(1)
        self.hss.until(lambda: commits() > before, "noted that its field lags")
        for how in (self.hss.kill, self.hss.stop):
            how()
            self.hss.start()
        self.proxy.resume()
        self.written(1, lambda x: x["security"]["sqn"] >> 5 >= drawn, "the SQN")
        mongo.wait_live(self.hss, 3)
        mongo.wait_written(self.hss)
        self.assertEqual([self.field(n, "security.sqn") for n in (2, 3)], [64, 64])

    def test_replaced_by_a_script(self):
        """A whole new document, without a location: ours is written into it."""
        self.begin([with_sqn(webui(1), 64)])
        mme = self.peer()
        self.assertEqual(mme.call(mme.ulr(imsi(1))).result, 2001)
        before = self.written(1, lambda x: x.get("mme_host") == "mme.test", "location")
        self.c.replace_one({"imsi": imsi(1)}, webui(1, msisdn=["7"]))
        after = self.written(1, lambda x: x.get("mme_host") == "mme.test", "again")
        self.assertEqual((after["msisdn"], after["mme_timestamp"]), (["7"], before["mme_timestamp"]))

    def test_elsewhere_by_another(self):
        """Another HSS writes a newer location: followed, and the MME of ours hears of it. An older one is not."""
        self.begin([webui(1), webui(2)])
        mme = self.peer()
        for n in (1, 2):
            self.assertEqual(mme.call(mme.ulr(imsi(n))).result, 2001)
            self.written(n, lambda x: x.get("mme_host") == "mme.test", "ours")
        later = Int64(time.time() * 1e6 + 1e6)
        self.c.update_one({"imsi": imsi(1)}, {"$set": {"mme_host": "mme9.test", "mme_realm": "test", "mme_timestamp": later}})
        self.hss.wait_location(imsi(1), "mme9.test")
        self.assertEqual(mme.take(d.CLR).one(d.USER_NAME).text, imsi(1))
        self.c.update_one({"imsi": imsi(2)}, {"$set": {"mme_host": "mme9.test", "mme_realm": "test",
                                                       "mme_timestamp": Int64(1700000000000000), "msisdn": ["5"]}})
        self.hss.until(lambda: self.hss.ctl_json("subscriber", "show", imsi(2))["msisdn"] == ["5"], "seen")
        self.assertEqual(self.hss.location(imsi(2))["mme"]["host"], "mme.test")

    def test_coalesced(self):
        """Thousands of changes of a few subscribers while MongoDB is away: the newest of each, and no more."""
        self.begin([webui(n) for n in range(1, 51)])
        self.proxy.cut()
        for host in ("a.test", "b.test", "c.test"):
            report = self.hss.load("ulr", imsi=imsi(1), subscribers=50, requests=1000, host=host, realm="test")
            self.assertEqual(set(report["results"]), {"2001"})
        mongo.wait_upstream(self.hss, lambda u: u["outbox"] == 50, "all wait")
        self.proxy.resume()
        mongo.wait_written(self.hss)
        self.assertEqual({x["mme_host"] for x in self.c.find()}, {"c.test"})
        self.assertEqual(self.hss.ctl("store", "verify").returncode, 0)

    def test_outbox_outlives(self):
        """What waits is there after a stop, after kill -9 of the loader and of everything."""
        self.begin([webui(n) for n in range(1, 101)])
        self.proxy.cut()
        for turn in range(3):
            report = self.hss.load("ulr", imsi=imsi(1), subscribers=100, requests=100, host=f"m{turn}.test", realm="test")
            self.assertEqual(report["results"], {"2001": 100})
            if turn == 0:
                self.assertEqual(self.hss.stop(), 0)
                self.hss.start()
            elif turn == 1:
                self.hss.kill_role("loader")
            else:
                self.hss.kill()
                self.hss.start()
            self.hss.wait_served()
            mongo.wait_upstream(self.hss, lambda u: u["outbox"] == 100, "all wait")
        self.proxy.resume()
        mongo.wait_written(self.hss)
        self.assertEqual({x["mme_host"] for x in self.c.find()}, {"m2.test"})


class LocationsPolled(Locations):
    oplog = False


class Sqn(Base):
    def test_reaches_the_field(self):
        """By $max, with the five low bits that it had, as an int64."""
        self.begin([with_sqn(webui(1), 4129), with_sqn(webui(2), 4129.0), webui(3), with_sqn(webui(4), 4129)])
        self.c.update_one({"imsi": imsi(4)}, {"$set": {"security.sqn": 4129}})
        self.written(3, lambda x: type(x["security"].get("sqn")) is Int64, "missing, made without any request")
        mme = self.peer()
        for n in (1, 2, 3, 4):
            before = int(self.field(n, "security.sqn"))
            drawn = [self.sqn_of(mme, n) for _ in range(5)]
            self.assertEqual(drawn, sorted(set(drawn)))
            self.assertGreaterEqual(drawn[0] >> 5, before >> 5)
            if n != 3:
                self.assertNotIn(1, {s & 31 for s in drawn}, "the IND that the field carries is not ours")
            after = self.written(n, lambda x: int(x["security"]["sqn"]) >> 5 > drawn[-1] >> 5, "what was drawn")
            self.assertEqual(after["security"]["sqn"] & 31, before & 31)
            self.assertIs(type(after["security"]["sqn"]), Int64)

    def test_normalised(self):
        """Whatever it is: an int64 without any request (on the scripted server: mongo-java-server takes 4129.0 for it)."""
        with mongo.ScriptedServer() as server:
            for n, value in enumerate((4129.0, 4129, None, 0.0), 1):
                server.documents.append({"_id": mongo.bson.ObjectId(), **webui(n)})
                if value is not None:
                    server.documents[-1]["security"]["sqn"] = value
            with Hss(config={"store": server.store()}) as h:
                h.until(lambda: all(type(x["security"].get("sqn")) is Int64 for x in server.documents), "int64")
                found = [x["security"]["sqn"] for x in server.documents]
                self.assertEqual([x & 31 for x in found], [1, 1, found[2] & 31, 0])
                self.assertTrue(found[0] >= 4129 and found[1] >= 4129)

    def sqn_of(self, mme, n):
        """That of a fresh vector."""
        answer = mme.call(mme.air(imsi(n)))
        self.assertEqual(answer.result, 2001)
        vector = answer.one(d.AUTH_INFO).one(d.EUTRAN_VECTOR)
        return Sim(K, OPC).answer(vector.one(d.RAND).data, vector.one(d.AUTN).data)[0]

    def test_followed(self):
        self.begin([with_sqn(webui(1), 64)])
        mme = self.peer()
        self.sqn_of(mme, 1)
        self.c.update_one({"imsi": imsi(1)}, {"$set": {"security.sqn": Int64(1000000 << 5)}})
        self.hss.until(lambda: self.seq(1) >= 1000000, "followed")
        self.assertGreaterEqual(self.sqn_of(mme, 1) >> 5, 1000000)
        self.written(1, lambda x: x["security"]["sqn"] > 1000000 << 5, "level, so that nothing raises it meanwhile")
        # lower without another key: not followed
        self.c.update_one({"imsi": imsi(1)}, {"$set": {"security.sqn": Int64(64), "msisdn": ["6"]}})
        self.hss.until(lambda: self.hss.ctl_json("subscriber", "show", imsi(1))["msisdn"] == ["6"], "seen")
        self.assertGreaterEqual(self.sqn_of(mme, 1) >> 5, 1000000)
        self.hss.wait_log("upstream_sqn_lowered")
        self.written(1, lambda x: x["security"]["sqn"] >> 5 >= 1000000, "raised again")

    def test_unusable(self):
        """Text, null and what is no SQN: a problem of that document; it is served, and not written over."""
        self.begin([webui(1), webui(2), webui(3), webui(4)])
        for n, value in ((1, "4129"), (2, None), (3, -5), (4, {"high": 1})):
            self.c.update_one({"imsi": imsi(n)}, {"$set": {"security.sqn": value}})
        mongo.wait_upstream(self.hss, lambda u: u["problems"] >= 4, "four problems")
        mme = self.peer()
        for n in (1, 2, 3, 4):
            self.assertEqual(mme.call(mme.air(imsi(n))).result, 2001)
            self.assertEqual(mme.call(mme.ulr(imsi(n))).result, 2001)
            self.written(n, lambda x: x.get("mme_host") == "mme.test", "the location all the same")
        self.assertEqual([self.field(n, "security.sqn") for n in (1, 2, 3, 4)], ["4129", None, -5, {"high": 1}])

    def test_set_by_operator(self):
        self.begin([with_sqn(webui(1), 64000)])
        self.hss.ctl("sqn", "set", imsi(1), "320000")
        self.written(1, lambda x: x["security"]["sqn"] >> 5 >= 10000, "raised")
        self.hss.ctl("sqn", "set", imsi(1), "3200", "--force")
        self.hss.until(lambda: self.seq(1) < 10000, "lowered")

    def test_shared_with_a_writer(self):
        """Somebody does $inc 32 as fast as it can, taking the value as its own SQN; we draw under load, with kills: all
        different, and each writer's go up."""
        count = 20
        self.begin([with_sqn(webui(n), 65) for n in range(1, count + 1)])
        theirs, stop = [], threading.Event()
        writer_client = mongo.client(self.server.port)
        self.addCleanup(writer_client.close)
        c = writer_client[mongo.DATABASE][mongo.COLLECTION]

        def write():
            n = 0
            while not stop.is_set():
                n = n % count + 1
                # as open5gs-udr: the value before is used
                old = c.find_one_and_update({"imsi": imsi(n)}, {"$inc": {"security.sqn": Int64(32)}})
                theirs.append((imsi(n), old["security"]["sqn"]))
        writer = threading.Thread(target=write)
        writer.start()
        self.addCleanup(writer.join)
        self.addCleanup(stop.set)
        ours = []
        for turn, victim in enumerate(("none", "loader", "worker-0", "all")):
            log = os.path.join(self.hss.dir, f"air-{turn}")
            running = self.hss.load_start("air", imsi=imsi(1), subscribers=count, duration=1.5, window=8, k=K, opc=OPC,
                                          log=log, reconnect=True, retransmit=True, timeout=5, host=f"air{turn}.test")
            self.addCleanup(running.stop)
            time.sleep(0.5)
            if victim == "all":
                self.hss.kill()
                self.hss.start()
            elif victim != "none":
                self.hss.kill_role(victim)
            report = running.finish(check=False)
            self.assertEqual(report["bad_vectors"], 0)
            ours += [(i, int(value)) for _, i, value in hss.load_log(log)]
        stop.set()
        writer.join()
        self.assertGreater(len(theirs), 100)
        self.assertGreater(len(ours), 100)
        self.assertEqual(len(set(ours)), len(ours), "ours are different")
        self.assertEqual(len(set(theirs)), len(theirs))
        self.assertFalse(set(ours) & set(theirs), "nobody's is another's")
        mme = self.peer()
        for n in range(1, count + 1):  # after kill -9 the field follows with the next draw
            last = max(s for i, s in ours if i == imsi(n))
            self.written(n, lambda x: x["security"]["sqn"] >> 5 >= last >> 5 or self.sqn_of(mme, n) < last, "ours")


if __name__ == "__main__":
    unittest.main(verbosity=2)
