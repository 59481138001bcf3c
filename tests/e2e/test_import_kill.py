"""An import that kill -9 ends at any moment: who was served before is served after, nobody is there in halves, and the same
file goes in again. Imports of new subscribers go past the journal, so this is what their durability rests on."""
import json
import os
import random
import subprocess
import time
import unittest

import diameter as d
import hss
from hss import K, OPC, Hss, imsi
from sim import Sim

SUBSCRIBERS = 6000
ROUNDS = 12 if hss.ALL else 2
SAMPLE = 25


class ImportKill(unittest.TestCase):
    def setUp(self):
        seed = int(os.environ.get("HSS_TEST_SEED", time.time_ns() & 0xffffffff))
        print(f"HSS_TEST_SEED={seed}")
        self.random = random.Random(seed)
        self.hss = Hss(cache={"max_subscribers": SUBSCRIBERS + 10})
        self.addCleanup(self.hss.close)
        self.file = os.path.join(self.hss.dir, "all.jsonl")
        with open(self.file, "w") as f:
            f.writelines(json.dumps(hss.document(imsi(n))) + "\n" for n in range(1, SUBSCRIBERS + 1))

    def begin(self):
        process = subprocess.Popen([os.path.join(self.hss.bin, "hssctl"), "--socket", self.hss.socket, "subscriber", "import",
                                    self.file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def served(self):
        return self.hss.ctl_json("store", "status")["subscribers"]

    def check(self, before):
        """All rows that were served are there; a sample of all that are there is served whole."""
        listed = [row["imsi"] for row in self.hss.ctl("--json", "subscriber", "list").lines]
        self.assertGreaterEqual(len(listed), before)
        self.assertEqual(self.served(), len(listed))
        with d.Peer(self.hss.port) as mme:
            for one in self.random.sample(listed, min(SAMPLE, len(listed))):
                vector = mme.call(mme.air(one)).one(d.AUTH_INFO).one(d.EUTRAN_VECTOR)
                Sim(K, OPC).answer(vector.one(d.RAND).data, vector.one(d.AUTN).data)
                self.assertEqual(mme.call(mme.ulr(one)).result, 2001)
                self.assertEqual(self.hss.location(one)["mme"]["host"], "mme01.test")

    def test_killed_while_importing(self):
        for n in range(ROUNDS):
            importing = self.begin()
            goal = self.random.randrange(1, SUBSCRIBERS)
            self.hss.until(lambda: self.served() >= min(goal, SUBSCRIBERS) or importing.poll() is not None, "rows")
            before = self.served()
            if n % 2:
                self.hss.kill_role("loader")
            else:
                self.hss.kill()
                self.hss.start()
            self.hss.wait_served()
            importing.wait(hss.TIMEOUT)
            self.check(before)
        self.assertEqual(self.hss.ctl("subscriber", "import", self.file).returncode, 0)
        report = self.hss.load("air", imsi=imsi(1), subscribers=SUBSCRIBERS, requests=SUBSCRIBERS, k=K, opc=OPC, verify="all")
        self.assertEqual((report["results"], report["bad_vectors"]), ({"2001": SUBSCRIBERS}, 0))
        self.assertEqual(self.hss.stop(), 0)


if __name__ == "__main__":
    unittest.main()
