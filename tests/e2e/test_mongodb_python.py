"""The Python module corehss with store mongodb: what the old library did to the collection, its operations do now, through
the HSS; and imports of files end in the collection too."""
import json
import os
import subprocess
import sys
import unittest

import hss
import mongo
from hss import K, OPC, Hss, imsi
from test_python import PYTHON, SCRIPT

sys.path.insert(0, PYTHON)
import corehss  # noqa: E402


class WithMongo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = mongo.MongoServer(oplog=True)
        cls.addClassCleanup(cls.server.close)
        cls.server.collection().insert_one(mongo.webui(1))
        cls.hss = Hss(config={"store": cls.server.store()})
        cls.addClassCleanup(cls.hss.close)
        mongo.wait_live(cls.hss, 1)
        cls.core = corehss.Open5GS("127.0.0.1", cls.server.port, socket=cls.hss.socket)

    def stored(self, number):
        return self.server.collection().find_one({"imsi": number})

    def test_old_script(self):
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": PYTHON, "COREHSS_SOCKET": self.hss.socket})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout.splitlines()[0], r"^[0-9a-f]{24}$")
        self.assertIsNone(self.stored("891012222222300"))
        one = self.stored("891012222222404")
        self.assertEqual((one["pdn"][0]["apn"], one["ambr"]["uplink"], one["security"]["op"]), ("internet", 1024001, None))
        report = self.hss.load("air", imsi="891012222222400", subscribers=5, requests=5, k=K, opc=OPC)
        self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 5}, 0))

    def test_operations(self):
        """The collection has what was asked for when a call returns, under the _id that it returned."""
        number = imsi(10)
        made = self.core.AddSubscriber(hss.document(number))
        self.assertEqual(str(self.stored(number)["_id"]), made)
        got = self.core.GetSubscriber(number)
        self.assertEqual((got["_id"], got["imsi"]), (made, number))
        self.core.UpdateSubscriber(number, {"subscriber_status": 1, "ambr.downlink.value": 7})
        after = self.stored(number)
        self.assertEqual((after["subscriber_status"], after["ambr"]["downlink"]["value"], str(after["_id"])), (1, 7, made))
        self.assertIn(imsi(1), [s["imsi"] for s in self.core.GetSubscribers()])
        with self.assertRaisesRegex(corehss.Error, "exist"):
            self.core.AddSubscriber(hss.document(number))
        self.assertEqual(self.core.DeleteSubscriber(number), 1)
        self.assertIsNone(self.stored(number))
        self.assertEqual(self.core.DeleteSubscriber(number), 0)
        with self.assertRaisesRegex(corehss.Error, "no such subscriber"):
            self.core.UpdateSubscriber(number, {"subscriber_status": 1})

    def test_imports(self):
        """An array over many lines and a CSV, into the collection; the document of the WebUI keeps its _id."""
        before = self.stored(imsi(1))["_id"]
        documents = [dict(hss.document(imsi(n)), access_restriction_data=n) for n in (1, 21, 22)]
        done = self.hss.ctl("subscriber", "import", "-", input=json.dumps(documents, indent=1))
        self.assertRegex(done.stdout, r"^3 imported, 0 refused")
        self.assertEqual((self.stored(imsi(1))["_id"], self.stored(imsi(1))["access_restriction_data"]), (before, 1))
        self.assertEqual(self.stored(imsi(22))["access_restriction_data"], 22)
        rows = f"IMSI,K,OP,AMF,SQN,RAND,APN\n{imsi(23)},{K},{OPC},8000,4128,,internet;ims\n{imsi(24)},12,,,\n"
        done = self.hss.ctl("subscriber", "import", "-", input=rows, check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "hssctl: standard input:3: K: expected 32 hex digits, got 2\n"))
        stored = self.stored(imsi(23))
        self.assertEqual(stored["security"]["op"], OPC)
        self.assertEqual([s["name"] for s in stored["slice"][0]["session"]], ["internet", "ims"])
        self.assertGreaterEqual(stored["security"]["sqn"], 4128)
        report = self.hss.load("air", imsi=imsi(23), subscribers=1, requests=1, k=K, op=OPC)
        self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 1}, 0))


if __name__ == "__main__":
    unittest.main()
