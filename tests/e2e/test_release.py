"""The release build with its sandbox: attach, import and export, metrics, and a restart of each role, so that a system
call that the filters forbid is found. $HSS_RELEASE_BIN says where it is; without it the build under test is used."""
import json
import os
import re
import subprocess
import unittest

import diameter as d
import hss
from hss import FIRST, K, OPC, Hss

BIN = os.environ.get("HSS_RELEASE_BIN") or hss.BIN


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"programs: {BIN}", flush=True)
        if os.environ.get("HSS_RELEASE_BIN"):
            assert not hss.sanitized(BIN), f"{BIN} is no release build"
        cls.hss = Hss(bin=BIN, cache={"max_subscribers": 100000})
        cls.addClassCleanup(cls.hss.close)
        cls.hss.provision(100)

    def tearDown(self):
        self.assertNotRegex(self.hss.log(), r"signal=31|SIGSYS|Bad system call", "the sandbox ended a role")

    def seccomp(self, pid):
        with open(f"/proc/{pid}/status") as f:
            return next(line.split()[1] for line in f if line.startswith("Seccomp:"))

    def test_filters_are_on(self):
        for name, pid in self.hss.pids().items():
            self.assertEqual(self.seccomp(pid), "2" if self.hss.config["sandbox"] else self.seccomp(os.getpid()), name)

    def test_attach_purge_cancel(self):
        for case in ("attach", "resync", "mixed"):
            report = self.hss.load(case, imsi=FIRST, subscribers=100, requests=300, k=K, opc=OPC, verify="all")
            self.assertEqual((list(report["results"]), report["bad_vectors"]), (["2001"], 0))
        with d.Peer(self.hss.port, "mme-1.test") as one, d.Peer(self.hss.port, "mme-2.test") as two:
            self.assertEqual(one.call(one.ulr(FIRST)).result, 2001)
            self.assertEqual(two.call(two.ulr(FIRST)).result, 2001)
            one.take(d.CLR)
            self.hss.ctl("location", "cancel", FIRST)
            two.take(d.CLR)
            self.assertEqual(two.call(two.dwr()).result, 2001)
            self.assertEqual(two.call(two.pur(FIRST)).result, 2001)

    def test_operator(self):
        path = os.path.join(self.hss.dir, "export.jsonl")
        self.hss.ctl("subscriber", "export", path)
        with open(path) as f:
            before = [json.loads(line) for line in f]
        self.assertEqual(len(before), 100)
        self.assertEqual({doc["security"]["k"].replace(" ", "").upper() for doc in before}, {K})
        self.hss.ctl("subscriber", "import", path)
        self.hss.ctl("subscriber", "export", path)
        with open(path) as f:
            after = [json.loads(line) for line in f]
        self.assertEqual([doc["imsi"] for doc in after], [doc["imsi"] for doc in before])
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        for words in (("status",), ("stats",), ("peer", "list"), ("subscriber", "list"), ("store", "status"),
                      ("sqn", "show", FIRST), ("location", "show", FIRST), ("log", "level", "info"),
                      ("subscriber", "show", FIRST)):
            self.hss.ctl(*words)
            self.hss.ctl("--json", *words)
        self.hss.ctl("subscriber", "add", "001019000000001", "--k", K, "--opc", OPC)
        self.hss.ctl("sqn", "set", "001019000000001", 320000)
        self.assertEqual(self.hss.ctl("sqn", "set", "001019000000001", 32, check=False).returncode, 1)
        self.hss.ctl("sqn", "set", "001019000000001", 32, "--force")
        self.hss.ctl("subscriber", "delete", "001019000000001")
        self.assertEqual(self.hss.ctl("subscriber", "show", "001019000000001", check=False).returncode, 1)
        self.assertEqual(self.hss.ctl("nonsense", check=False).returncode, 2)

    def test_bad_rows_are_named_the_others_go_in(self):
        good = hss.document("001018000000001")
        bad = {**hss.document("001018000000002"), "security": {"k": "12", "opc": OPC, "amf": "8000"}}
        path = os.path.join(self.hss.dir, "rows.jsonl")
        with open(path, "w") as f:
            f.write("\n".join([json.dumps(good), "{nonsense", json.dumps(bad),
                               json.dumps(hss.document("001018000000003"))]) + "\n")
        done = self.hss.ctl("subscriber", "import", path, check=False)
        self.assertEqual(done.returncode, 1)
        said = done.stdout + done.stderr
        self.assertRegex(said, r"\b2\b")
        self.assertRegex(said, r"\b3\b")
        for imsi, status in (("001018000000001", 0), ("001018000000002", 1), ("001018000000003", 0)):
            self.assertEqual(self.hss.ctl("subscriber", "show", imsi, check=False).returncode, status, imsi)
        self.hss.ctl("subscriber", "delete", "001018000000001")
        self.hss.ctl("subscriber", "delete", "001018000000003")

    def test_metrics(self):
        self.hss.load("attach", imsi=FIRST, subscribers=100, k=K, opc=OPC)
        text = self.hss.metrics()
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        self.assertGreaterEqual(self.hss.metric("hss_vectors_total"), 100)
        self.assertTrue(re.search(r'^hss_\w*answers?\w*_total\{.*2001', text, re.M), text)

    def test_kill_each_role(self):
        for name in list(self.hss.pids()):
            self.hss.kill_role(name)
            self.hss.wait_served()
            report = self.hss.load("attach", imsi=FIRST, subscribers=100, k=K, opc=OPC, verify="all")
            self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": 200}, 0))
        self.test_filters_are_on()


class Stop(unittest.TestCase):
    def test_stop_and_start(self):
        with Hss(bin=BIN) as h:
            h.provision(10)
            with d.Peer(h.port, "mme.test") as mme:
                self.assertEqual(mme.call(mme.ulr(FIRST)).result, 2001)
                h.process.terminate()
                self.assertEqual(mme.take(d.DPR).one(d.DISCONNECT_CAUSE).number, 0)
                self.assertEqual(h.wait_exit(10), 0)
            h.start()
            self.assertEqual(h.location(FIRST)["mme"]["host"], "mme.test")
            self.assertEqual(h.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
