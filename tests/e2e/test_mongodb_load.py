"""The first load from MongoDB, and later starts: every way in which others write a document, bad ones among them, what is
there before all is loaded, what changed while nobody looked, and starts without the server."""
import time
import unittest

import diameter as d
import hss
import mongo
from hss import Hss, imsi
from mongo import dbctl, nextepc, webui, with_sqn

SECOND_K = "0396EB317B6D1C36F19C1C84CD6FFD16"


class Load(unittest.TestCase):
    oplog = True

    def serve(self, documents, **options):
        server = mongo.MongoServer(oplog=self.oplog, file=options.pop("file", False))
        self.addCleanup(server.close)
        server.collection().insert_many(documents)
        h = Hss(config=mongo.patient(server.store(poll_interval_ms=200)), **options)
        self.addCleanup(h.close)
        return server, h

    def result(self, h, n, case="attach", **options):
        report = mongo.served(h, n, case, check=False, **options)
        self.assertEqual((report["bad_vectors"], report["malformed"]), (0, 0), report)
        return set(report["results"])

    def test_every_writer(self):
        """Both generations, int32, int64, double, keys with blanks and in any case, scalars and arrays of one."""
        documents = [
            webui(1), dbctl(2), dbctl(3, number=float), nextepc(4), hss.document(imsi(5)),
            with_sqn(webui(6), 4129), with_sqn(webui(7), 4129.0), webui(8), dbctl(9, number=mongo.Int64),
            webui(10, mme_host=["mme.test"], mme_realm=["test"], purge_flag=[False], imeisv=["3534900698733190"],
                  mme_timestamp=mongo.Int64(1700000000000000)),
            webui(11, mme_host="mme.test", mme_realm="test", purge_flag=False, imeisv="3534900698733190",
                  mme_timestamp=mongo.Int64(1700000000000000), unknown={"kept": [1, 2.5, None]})]
        documents[7]["security"]["sqn"] = 4129  # int32
        documents[4]["ifc"] = []
        server, h = self.serve(documents)
        mongo.wait_live(h, len(documents))
        for n in range(1, len(documents) + 1):
            with self.subTest(documents[n - 1]["imsi"]):
                self.assertEqual(self.result(h, n), {"2001"})
        for n in (6, 7, 8):
            self.assertGreaterEqual(int(h.ctl_json("sqn", "show", imsi(n))["seq"]), 4129 >> 5)
        self.assertEqual(mongo.upstream(h)["problems"], 0)
        shown = h.ctl_json("subscriber", "show", imsi(11))
        self.assertEqual(shown["unknown"], {"kept": [1, 2.5, None]})

    def test_locations_are_taken_over(self):
        where = {"mme_realm": "test", "purge_flag": False, "mme_timestamp": mongo.Int64(1700000000000000)}
        _, h = self.serve([webui(1, **{**where, "mme_host": "mme-a.test"}),
                           webui(2, **{**where, "mme_host": ["mme-b.test"], "mme_realm": ["test"]})])
        mongo.wait_live(h, 2)
        self.assertEqual(h.location(imsi(1))["mme"]["host"], "mme-a.test")
        self.assertEqual(h.location(imsi(2))["mme"]["host"], "mme-b.test")
        with d.Peer(h.port, "mme-a.test", "test") as old, d.Peer(h.port, "mme-c.test", "test") as new:
            self.assertEqual(new.call(new.ulr(imsi(1))).result, 2001)
            self.assertEqual(old.take(d.CLR).one(d.USER_NAME).text, imsi(1))

    def test_bad_documents(self):
        """Each is counted and named, by IMSI where it has one; the others are served."""
        bad = [webui(101), webui(102), webui(103), webui(104), {"imsi": imsi(105), "mme_host": "x"}, webui(106),
               webui(107), webui(108)]
        del bad[0]["security"]["k"]
        bad[1]["security"]["k"] = "12"
        bad[2]["security"] = None
        bad[3]["imsi"] = 1010000000104
        bad[5]["slice"] = "text"
        del bad[6]["imsi"]
        bad[7]["security"]["opc"] = None
        good = [webui(n) for n in range(1, 51)]
        twice = webui(50)
        server, h = self.serve(good[:25] + bad + good[25:] + [twice])
        mongo.wait_live(h)
        for n in (1, 25, 26, 49):
            self.assertEqual(self.result(h, n), {"2001"})
        self.assertEqual(self.result(h, 50), {"2001"}, "one of two is served")
        rows = h.ctl("--json", "subscriber", "problems").lines
        text = "\n".join(map(str, rows))
        for n in (101, 102, 103, 105, 108, 50):
            self.assertIn(imsi(n), text)
        self.assertGreaterEqual(mongo.upstream(h)["problems"], len(bad) + 1)
        self.assertNotIn(hss.K, h.log().upper())
        self.assertNotIn(mongo.SPACED_K, h.log().upper())
        self.assertEqual(self.result(h, 101, "air"), {"5001"})
        # mended, it is served, and no problem any more
        before = mongo.upstream(h)["problems"]
        server.collection().update_one({"imsi": imsi(101)}, {"$set": {"security.k": SECOND_K}})
        mongo.wait_upstream(h, lambda u: u["problems"] < before, "the mended document is good")
        h.until(lambda: h.load("air", check=False, imsi=imsi(101), subscribers=1, requests=1, k=SECOND_K,
                               opc=hss.OPC)["results"] == {"2001": 1}, "it is served")

    def test_read_through_while_it_loads(self):
        """Who is not yet loaded is served, long before the load is through."""
        server = mongo.MongoServer(oplog=self.oplog)
        self.addCleanup(server.close)
        server.collection().insert_many([webui(n) for n in range(1, 5001)])
        server.collection().create_index("imsi", unique=True)
        proxy = mongo.Proxy(server.port)
        self.addCleanup(proxy.close)
        h = Hss(config={"store": proxy.store()}, start=False)
        self.addCleanup(h.close)
        proxy.delay_ms = 20  # each piece of 64 KiB: the load takes a second or two
        h.start()
        with d.Peer(h.port, "mme.test") as mme:
            answer = mme.call(mme.air(imsi(5000)))
            loading = mongo.upstream(h)["state"] != "live"
            self.assertEqual(answer.result, 2001)
            self.assertTrue(loading, "the load was too fast to tell")
        mongo.wait_live(h, 5000)
        h.wait_served()

    def test_later_start(self):
        """Inserted, changed and deleted meanwhile; unchanged ones are served at once, also with the server away."""
        server, h = self.serve([webui(n) for n in range(1, 201)], file=True)
        c = server.collection()
        mongo.wait_live(h, 200)
        self.assertEqual(self.result(h, 7), {"2001"})
        mongo.wait_written(h)
        self.assertEqual(h.stop(), 0)
        c.insert_one(webui(201))
        c.update_one({"imsi": imsi(1)}, {"$set": {"msisdn": ["4915112345"]}})
        c.delete_one({"imsi": imsi(2)})
        c.update_one({"imsi": imsi(3)}, {"$set": {"security.k": SECOND_K}})
        h.start()
        mongo.wait_live(h, 200)
        h.until(lambda: h.ctl_json("subscriber", "show", imsi(1))["msisdn"] == ["4915112345"], "changed")
        self.assertEqual(self.result(h, 2), {"5001"})
        self.assertEqual(self.result(h, 201), {"2001"})
        report = h.load("air", check=False, imsi=imsi(3), subscribers=1, requests=1, k=SECOND_K, opc=hss.OPC)
        self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 1}, 0))
        self.assertEqual(h.stop(), 0)
        server.kill()
        h.start()
        h.wait_served()
        self.assertEqual(self.result(h, 7), {"2001"})
        self.assertEqual(self.result(h, 201), {"2001"})
        self.assertEqual(self.result(h, 4000, "air"), {"3004"}, "nobody can say that there is none")
        self.assertNotEqual(mongo.upstream(h)["state"], "live")
        self.assertTrue(mongo.upstream(h)["last_error"])
        server.start()
        mongo.wait_live(h, 200)
        self.assertEqual(self.result(h, 4000, "air"), {"5001"})

    def test_killed_in_the_middle(self):
        """kill -9 of the loader, then of everything, while it loads: the next start has everybody."""
        server = mongo.MongoServer(oplog=self.oplog)
        self.addCleanup(server.close)
        server.collection().insert_many([webui(n) for n in range(1, 4001)])
        proxy = mongo.Proxy(server.port)
        self.addCleanup(proxy.close)
        h = Hss(config={"store": proxy.store()}, start=False)
        self.addCleanup(h.close)
        proxy.delay_ms = 20
        h.start()
        mongo.wait_upstream(h, lambda u: u["state"] == "loading", "it loads")
        h.kill_role("loader")
        mongo.wait_upstream(h, lambda u: u["state"] == "loading", "it loads again")
        h.kill()
        h.start()
        proxy.delay_ms = 0
        mongo.wait_live(h, 4000)
        for first in (1, 3801):
            report = h.load("air", imsi=imsi(first), subscribers=200, requests=200, k=hss.K, opc=hss.OPC)
            self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 200}, 0))


class LoadStandalone(Load):
    oplog = False

    # the rest is as with change streams
    test_killed_in_the_middle = test_every_writer = test_locations_are_taken_over = test_read_through_while_it_loads = None


class Wrong(unittest.TestCase):
    """Configurations that cannot work: said clearly, once, without the password; and what is here is served."""

    def test_nobody_there(self):
        port = hss.free_port()
        with Hss(config={"store": mongo.store_section(port)}) as h:
            u = mongo.wait_upstream(h, lambda u: u["last_error"], "an error")
            self.assertNotEqual(u["state"], "live")
            with d.Peer(h.port, "mme.test") as mme:
                self.assertEqual(mme.call(mme.air(imsi(1))).result, 3004)
            done = h.ctl("subscriber", "add", imsi(1), "--k", hss.K, "--opc", hss.OPC, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "upstream|MongoDB|server")
            h.wait_log("upstream_failed")
            self.assertEqual(h.stop(), 0)

    def test_credentials_refused(self):
        with mongo.ScriptedServer() as server:
            for command in ("saslStart", "authenticate"):
                server.on(command, mongo.error(18, "Authentication failed."))
            store = {**server.store(), "uri": f"mongodb://hss:s3cr3t@127.0.0.1:{server.port}/?authSource=admin"}
            with Hss(config={"store": store}) as h:
                u = mongo.wait_upstream(h, lambda u: u["last_error"], "an error")
                self.assertRegex(u["last_error"], "(?i)auth")
                self.assertNotIn("s3cr3t", h.log() + str(h.ctl("--json", "status", check=False).json))
                tries = server.count("saslStart")
                self.assertLess(tries, 50, "it does not hammer")


if __name__ == "__main__":
    unittest.main(verbosity=2)
