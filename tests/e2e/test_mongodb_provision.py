"""What an operator changes is in MongoDB first, in the form of the Open5GS WebUI, and served at once; refused while MongoDB
is away. An import replaces what the schema knows and nothing else. What is not fit is said by hssd --check and in the log."""
import json
import os
import subprocess
import threading
import time
import unittest

import diameter as d
import hss
import mongo
from hss import K, OPC, Hss, imsi
from mongo import Int64, webui, with_sqn

OTHER_K = "00112233445566778899aabbccddeeff"


class Base(unittest.TestCase):
    def begin(self, documents=(), index=True):
        self.server = mongo.MongoServer(oplog=True)
        self.addCleanup(self.server.close)
        self.c = self.server.collection()
        if index:
            self.c.create_index("imsi", unique=True)
        if documents:
            self.c.insert_many(documents)
        self.proxy = mongo.Proxy(self.server.port)
        self.addCleanup(self.proxy.close)
        self.hss = Hss(config=mongo.patient(self.proxy.store(poll_interval_ms=200)))
        self.addCleanup(self.hss.close)
        mongo.wait_live(self.hss, len(documents))

    def document(self, n):
        return self.c.find_one({"imsi": imsi(n)})

    def refused(self, reason, *args):
        done = self.hss.ctl(*args, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, reason)


class Commands(Base):
    def test_add_set_delete(self):
        self.begin()
        self.hss.ctl("subscriber", "add", imsi(1), "--k", K, "--opc", OPC, "--sqn", "64", "--msisdn", "491510000001")
        with d.Peer(self.hss.port, "mme.test", "test") as mme:
            self.assertEqual(mme.call(mme.air(imsi(1))).result, 2001)
        x = self.document(1)
        self.assertEqual({name: x[name] for name in ("schema_version", "msisdn", "imeisv", "mme_host", "mme_realm",
                                                     "purge_flag", "__v")},
                         {"schema_version": 1, "msisdn": ["491510000001"], "imeisv": [], "mme_host": [], "mme_realm": [],
                          "purge_flag": [], "__v": 0})
        self.assertEqual(set(webui(1)) - set(x), set())
        self.assertIs(type(x["security"]["sqn"]), Int64)
        self.assertIs(type(x["ambr"]["downlink"]["value"]), int)
        self.assertIsNone(x["security"]["op"])
        kinds = {type(part["_id"]).__name__ for part in (x, x["slice"][0], x["slice"][0]["session"][0])}
        self.assertEqual(kinds, {"ObjectId"})
        self.refused("exists", "subscriber", "add", imsi(1), "--k", K, "--opc", OPC)

        self.hss.ctl("subscriber", "set", imsi(1), "subscriber_status=1", "operator_determined_barring=0")
        self.assertEqual((self.document(1)["subscriber_status"], self.document(1)["_id"]), (1, x["_id"]))
        self.assertEqual(self.hss.ctl_json("subscriber", "show", imsi(1))["subscriber_status"], 1)
        self.refused("no such subscriber", "subscriber", "set", imsi(2), "subscriber_status=1")

        self.hss.ctl("subscriber", "delete", imsi(1))
        self.assertEqual(self.c.count_documents({}), 0)
        self.refused("no such subscriber", "subscriber", "show", imsi(1))
        self.refused("no such subscriber", "subscriber", "delete", imsi(1))

    def test_one_that_was_just_added_there(self):
        """Nobody here has heard of it yet: it exists all the same."""
        self.begin()
        self.c.insert_one(webui(1))
        self.refused("exists", "subscriber", "add", imsi(1), "--k", K, "--opc", OPC)
        self.hss.ctl("subscriber", "delete", imsi(1))
        self.assertEqual(self.c.count_documents({}), 0)

    def test_away(self):
        """Refused with a reason, soon, and nothing is changed here either."""
        self.begin([webui(1)])
        self.proxy.cut()
        self.refused("MongoDB", "subscriber", "add", imsi(2), "--k", K, "--opc", OPC)
        self.refused("MongoDB", "subscriber", "set", imsi(1), "subscriber_status=1")
        self.refused("MongoDB", "subscriber", "delete", imsi(1))
        self.assertEqual(self.hss.ctl_json("subscriber", "show", imsi(1))["subscriber_status"], 0)
        self.assertEqual([row["imsi"] for row in self.hss.ctl("--json", "subscriber", "list").lines], [imsi(1)])
        self.proxy.resume()
        mongo.wait_live(self.hss, 1)
        self.hss.until(lambda: self.hss.ctl("subscriber", "set", imsi(1), "subscriber_status=1",
                                            check=False).returncode == 0, "set")
        self.assertEqual(self.document(1)["subscriber_status"], 1)


class Import(Base):
    def put(self, *documents):
        path = os.path.join(self.hss.dir, "import.jsonl")
        with open(path, "w") as f:
            f.writelines(json.dumps(x) + "\n" for x in documents)
        return self.hss.ctl("subscriber", "import", path)

    def test_replaces(self):
        old = with_sqn(webui(1, notes="mine", charging_characteristics="0800"), 4128)
        self.begin([old, with_sqn(webui(2), 4128)])
        with d.Peer(self.hss.port, "mme.test", "test") as mme:
            self.assertEqual(mme.call(mme.ulr(imsi(1))).result, 2001)
        mongo.wait_written(self.hss)
        self.put(hss.document(imsi(1), sqn=64), hss.document(imsi(2), k=OTHER_K, sqn=64), hss.document(imsi(3), sqn=64))
        one, two, three = (self.document(n) for n in (1, 2, 3))
        self.assertEqual((one["_id"], one["notes"], one["mme_host"]), (old["_id"], "mine", "mme.test"))
        self.assertNotIn("charging_characteristics", one)
        self.assertEqual(len(one["slice"][0]["session"]), 2)
        self.assertGreaterEqual(one["security"]["sqn"], 4128)  # the same keys: never lower
        self.assertEqual(two["security"]["k"].replace(" ", ""), OTHER_K)
        self.assertGreaterEqual(three["security"]["sqn"], 64)
        self.assertIs(type(three["security"]["sqn"]), Int64)
        self.assertEqual(self.hss.ctl("store", "verify").returncode, 0)

    def test_many(self):
        """More than fit into one bulk."""
        self.begin()
        self.put(*[hss.document(imsi(n)) for n in range(1, 1001)])
        self.assertEqual(self.c.count_documents({}), 1000)
        self.put(*[hss.document(imsi(n), msisdn=["7"]) for n in range(1, 1001)])
        self.assertEqual(self.c.count_documents({"msisdn": "7"}), 1000)
        self.assertEqual(self.hss.ctl("store", "verify").returncode, 0)


class Fit(Base):
    def check(self, store):
        path = os.path.join(self.hss.dir, "check.yaml")
        with open(path, "w") as f:
            f.write(hss.yaml_of({"identity": {"host": "hss.test", "realm": "test"}, "store": store}))
        return subprocess.run([os.path.join(hss.BIN, "hssd"), "--check", "--config", path], capture_output=True, text=True,
                              check=False, timeout=30)

    def test_index(self):
        self.begin([webui(1)], index=False)
        self.hss.wait_log("upstream_not_fit.*no index on imsi")
        self.assertRegex(self.check(self.proxy.store()).stderr, "no index on imsi")
        self.hss.ctl("store", "index")
        self.assertTrue(any(x["key"] == [("imsi", 1)] and x.get("unique") for x in self.c.index_information().values()))
        done = self.check(self.proxy.store())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.check(self.proxy.store(collection="nothing"))
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, 'no collection "nothing"')

    def test_index_that_takes_long(self):
        """The answer waits for it, and nobody else does."""
        with mongo.ScriptedServer() as server:
            server.insert(webui(1))
            with Hss(config={"store": server.store()}) as h:
                mongo.wait_live(h, 1)
                made = threading.Event()
                server.on("createIndexes", mongo.Slow(made, {"ok": 1.0}))
                slow = subprocess.Popen([os.path.join(hss.BIN, "hssctl"), "--socket", h.socket, "store", "index"],
                                        stderr=subprocess.PIPE, text=True)
                self.addCleanup(slow.wait)
                h.until(lambda: server.count("createIndexes"), "asked for")
                began = time.monotonic()
                while time.monotonic() < began + 3:  # longer than any other command would be waited for
                    server.insert(webui(2 + int((time.monotonic() - began) * 10), msisdn=["7"]))
                    h.ctl("subscriber", "add", imsi(100 + server.count("update")), "--k", K, "--opc", OPC)
                self.assertIsNone(slow.poll())
                made.set()
                self.assertEqual((slow.communicate(timeout=30)[1], slow.returncode), ("", 0))
                self.assertEqual(server.count("createIndexes"), 1)
                server.off()
                server.on("createIndexes", server.CUT)
                done = h.ctl("store", "index", check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("connection broke", done.stderr)

    def test_nobody(self):
        self.begin()
        done = self.check({"type": "mongodb", "uri": f"mongodb://u:secret@127.0.0.1:{hss.free_port()}"})
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "can't be reached")
        self.assertNotIn("secret", done.stderr)
        missing = self.check({"type": "mongodb", "uri_file": "/nonexistent/uri"})
        self.assertEqual(missing.returncode, 1)
        self.assertIn("store.uri_file: /nonexistent/uri: ", missing.stderr)

    def test_from_a_file(self):
        """The connection string as a credential: the loader reads it."""
        self.begin([webui(1)])
        path = os.path.join(self.hss.dir, "uri")
        with open(path, "w") as f:
            f.write(self.proxy.store()["uri"] + "\n")
        store = {"type": "mongodb", "uri_file": path}
        self.assertEqual((self.check(store).returncode, self.check(store).stderr), (0, ""))
        with Hss(config={"store": store}) as h:
            mongo.wait_live(h, 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
