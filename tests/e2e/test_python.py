"""The Python module corehss: a script written for the library of NextEPC and Open5GS, with its import line changed; what
the operations return; errors as exceptions that say why; the module where it is installed."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import hss
from hss import K, OPC, Hss

PYTHON = os.path.join(hss.ROOT, "tools", "python")
sys.path.insert(0, PYTHON)
import corehss  # noqa: E402

# As such scripts are: a document of the first generation, everything printed, a loop over all.
SCRIPT = '''
from corehss import NextEPC
core = NextEPC("127.0.0.1", 27017)

apn = {"apn": "internet", "pcc_rule": [], "ambr": {"downlink": 1234, "uplink": 1234}, "type": 2,
       "qos": {"qci": 9, "arp": {"priority_level": 8, "pre_emption_vulnerability": 1, "pre_emption_capability": 1}}}
data = {"imsi": "891012222222300", "pdn": [apn], "ambr": {"downlink": 1024000, "uplink": 1024001},
        "subscribed_rau_tau_timer": 12, "network_access_mode": 2, "subscriber_status": 0, "access_restriction_data": 32,
        "security": {"k": "465B5CE8 B199B49F AA5F0A2E E238A6BC", "amf": "8000", "op": None,
                     "opc": "E8ED289D EBA952E4 283B54E8 8E6183CA"}, "__v": 0}

print(core.AddSubscriber(data))
print(core.GetSubscriber("891012222222300"))
for number in range(5):
    core.AddSubscriber(dict(data, imsi="8910122222224%02d" % number))
print(core.UpdateSubscriber("891012222222300", dict(data, subscriber_status=1)))
for subscriber in core.GetSubscribers():
    print(subscriber['imsi'])
print(core.DeleteSubscriber("891012222222300"))
'''


class Python(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hss = Hss()
        cls.core = corehss.Open5GS("127.0.0.1", 27017, socket=cls.hss.socket)

    @classmethod
    def tearDownClass(cls):
        cls.hss.close()

    def run_script(self, text, path=PYTHON, **env):
        return subprocess.run([sys.executable, "-W", "error", "-c", text], capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": path, "COREHSS_SOCKET": self.hss.socket, **env})

    def refused(self, status, why, call, *args):
        with self.assertRaisesRegex(corehss.Error, why) as raised:
            call(*args)
        self.assertEqual(raised.exception.status, status)

    def test_old_script(self):
        done = self.run_script(SCRIPT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "000000000891012222222300")
        self.assertIn("'imsi': '891012222222300'", lines[1])
        self.assertEqual(lines[2], "True")
        self.assertLessEqual({"891012222222300", "891012222222400", "891012222222404"}, set(lines[3:-1]))
        self.assertEqual(lines[-1], "1")
        report = self.hss.load("ulr", imsi="891012222222400", subscribers=5, requests=5)
        self.assertEqual(report["results"], {"2001": 5})
        report = self.hss.load("air", imsi="891012222222400", subscribers=5, requests=5, k=K, opc=OPC)
        self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 5}, 0))

    def test_operations(self):
        one, document = hss.imsi(1), hss.document(hss.imsi(1), note={"kept": [1, 2.5, None, True]})
        self.assertIsNone(self.core.GetSubscriber(one))
        self.assertEqual(self.core.DeleteSubscriber(one), 0)
        self.assertEqual(self.core.AddSubscriber(document), one.zfill(24))
        self.assertNotIn("_id", document)
        got = self.core.GetSubscriber(one)
        self.assertEqual(got["security"]["k"], K)
        self.assertEqual((got["note"], got["_id"]), (document["note"], one.zfill(24)))
        self.hss.load("attach", imsi=one, subscribers=1, requests=2, k=K, opc=OPC)
        got = self.core.GetSubscriber(one)
        self.assertGreater(got["security"]["sqn"], 64)
        self.assertIsInstance(got["mme_timestamp"], int)
        # one member, a path, one that goes; the rest stays
        self.assertTrue(self.core.UpdateSubscriber(one, {"subscriber_status": 1, "ambr.downlink.value": 7,
                                                         "note": None}))
        after = self.core.GetSubscriber(one)
        self.assertEqual((after["subscriber_status"], after["ambr"]["downlink"]["value"]), (1, 7))
        self.assertNotIn("note", after)
        self.assertEqual(after["slice"], got["slice"])
        # what was read can be written
        self.assertTrue(self.core.UpdateSubscriber(one, dict(after, subscriber_status=0)))
        again = self.core.GetSubscriber(one)
        self.assertEqual(again, dict(after, subscriber_status=0))
        self.assertIn(one, [s["imsi"] for s in self.core.GetSubscribers()])
        self.assertEqual(self.core.DeleteSubscriber(one), 1)
        self.assertIsNone(self.core.GetSubscriber(one))

    def test_ids(self):
        """Documents that come from MongoDB have their own _id, and keep the type of it."""
        document = dict(hss.document(hss.imsi(2)), _id={"$oid": "66daf45a3085de0011a1de01"})
        document["slice"][0]["_id"] = corehss.ObjectId("6b0469b20ee061f75891b1c2")
        document["security"]["sqn"] = {"$numberLong": "4128"}
        self.assertEqual(self.core.AddSubscriber(document), "66daf45a3085de0011a1de01")
        got = self.core.GetSubscriber(hss.imsi(2))
        self.assertEqual((got["_id"], got["security"]["sqn"]), ("66daf45a3085de0011a1de01", 4128))
        self.core.UpdateSubscriber(hss.imsi(2), got)
        exported = [json.loads(line) for line in self.hss.ctl("subscriber", "export", "-").stdout.splitlines()]
        row = next(r for r in exported if r["imsi"] == hss.imsi(2))
        self.assertEqual(row["_id"], {"$oid": "66daf45a3085de0011a1de01"})
        self.assertEqual(row["slice"][0]["_id"], {"$oid": "6b0469b20ee061f75891b1c2"})

    def test_errors(self):
        add, update = self.core.AddSubscriber, self.core.UpdateSubscriber
        one = hss.document(hss.imsi(3))
        add(one)
        self.refused(1, "^subscriber add: the subscriber exists$", add, one)
        bad = hss.document(hss.imsi(4), k="12")
        self.refused(1, "^subscriber add: security.k: expected 32 hex digits, got 2$", add, bad)
        self.refused(2, "^imsi: expected 5 to 15 digits$", add, {"security": {}})
        self.refused(2, "^imsi: ", self.core.GetSubscriber, "x")
        self.refused(1, "^subscriber set: no such subscriber$", update, hss.imsi(4), {"subscriber_status": 1})
        self.refused(1, "^subscriber set: no such subscriber$", update, hss.imsi(4), {})
        self.refused(1, "^subscriber set: subscriber_status: expected 0 to 1", update, hss.imsi(3),
                     {"subscriber_status": 9})
        self.refused(2, "^imsi: a subscriber keeps it", update, hss.imsi(3), {"imsi": hss.imsi(4)})
        self.refused(2, "can't hold set", add, dict(one, imsi=hss.imsi(4), note={1, 2}))
        self.refused(2, "subscriber add: ", add, dict(one, imsi=hss.imsi(4), note=float("nan")))
        self.refused(2, "above 65536 octets", add, dict(one, imsi=hss.imsi(4), note="x" * 70000))
        self.assertIsNone(self.core.GetSubscriber(hss.imsi(4)))
        gone = corehss.Open5GS(socket=self.hss.socket + ".none")
        self.refused(None, r"none: No such file or directory \(is corehss running\?\)$", gone.GetSubscribers)
        done = self.run_script("import corehss; corehss.Open5GS().GetSubscribers()", COREHSS_SOCKET="/nowhere")
        self.assertIn("corehss.Error: /nowhere: No such file", done.stderr)

    def test_threads(self):
        """One object, many threads."""
        def work(first):
            try:
                for n in range(first, first + 20):
                    self.core.AddSubscriber(hss.document(hss.imsi(n)))
                    self.core.UpdateSubscriber(hss.imsi(n), {"access_restriction_data": n})
                    self.core.DeleteSubscriber(hss.imsi(n))
            except BaseException as error:  # shown below
                failed.append(error)
        failed = []
        threads = [threading.Thread(target=work, args=(1000 * t,)) for t in range(1, 5)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failed, [])

    def test_installed(self):
        cmake = shutil.which("cmake")
        build = os.path.dirname(hss.BIN)
        if not cmake or not os.path.exists(os.path.join(build, "cmake_install.cmake")):
            self.skipTest("no build directory to install from")
        with tempfile.TemporaryDirectory() as prefix:
            subprocess.run([cmake, "--install", build, "--component", "python", "--prefix", prefix], check=True,
                           stdout=subprocess.DEVNULL)
            found = [d for d, _, files in os.walk(prefix) if "__init__.py" in files]
            self.assertEqual(len(found), 1)
            self.assertRegex(found[0], r"/lib/python3[0-9.]*/dist-packages/corehss$")
            done = self.run_script("import corehss; print(corehss.__file__); corehss.Open5GS().GetSubscribers()",
                                   path=os.path.dirname(found[0]))
            self.assertEqual((done.returncode, done.stdout), (0, os.path.join(found[0], "__init__.py") + "\n"))


if __name__ == "__main__":
    unittest.main()
