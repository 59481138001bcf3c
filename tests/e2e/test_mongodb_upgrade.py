"""A state directory of commit 7c47b9d whose upstream was away: what MongoDB lacked is written to it, nothing else is touched."""
import json
import unittest

from bson.json_util import loads

import mongo
import upgrade
from hss import Hss, imsi


class Upgrade(unittest.TestCase):
    def test_outbox_and_positions(self):
        said = upgrade.expected("mongodb")
        with mongo.MongoServer(oplog=True) as server:
            documents = loads(json.dumps(said["documents"]))
            collection = server.collection()
            collection.create_index("imsi", unique=True)
            collection.insert_many(documents)
            proxy = mongo.Proxy(server.port)
            self.addCleanup(proxy.close)
            proxy.cut()
            with Hss(start=False, config=mongo.patient(proxy.store())) as h:
                upgrade.unpack("mongodb", h.state_dir)
                h.start()
                h.wait_served()
                upgrade.check(self, h, said)
                self.assertEqual(mongo.upstream(h)["outbox"], said["outbox"])
                proxy.resume()
                mongo.wait_live(h, len(documents))
                mongo.wait_written(h)
                self.compare(h, said, collection, documents)
                upgrade.check_vectors(self, h, said)
                self.assertEqual(h.stop(), 0)

    def compare(self, h, said, collection, documents):
        for before in documents:
            shown = said["subscribers"][before["imsi"]]
            with self.subTest(imsi=before["imsi"]):
                h.until(lambda: collection.find_one({"imsi": before["imsi"]})["security"]["sqn"] >= shown["drawn"], "SQN")
                now = collection.find_one({"imsi": before["imsi"]})
                mme = shown["location"]["mme"]
                self.assertEqual(now["mme_host"], mme["host"] if mme else before["mme_host"])
                if mme:
                    self.assertEqual(now["mme_timestamp"], mme["time_us"])
                self.assertEqual((now["_id"], now["msisdn"]), (before["_id"], before["msisdn"]))
                self.assertEqual(now["slice"], before["slice"])
        self.assertEqual({x["imsi"] for x in collection.find()}, {imsi(n) for n in range(1, 7)})


if __name__ == "__main__":
    unittest.main()
