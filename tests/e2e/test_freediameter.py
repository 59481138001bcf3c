"""freeDiameter as an MME. It parses all that we send against its own dictionary; two of them take subscribers from each
other, so that it also answers our Cancel-Location-Requests."""
import os
import re
import shutil
import subprocess
import unittest

import hss
from hss import HOST, REALM, Hss

HERE = os.path.dirname(os.path.abspath(__file__))
BAD = re.compile(r".*(?:Parsing error|Message discarded|ERROR).*")


class FreeDiameter(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hss = Hss()
        cls.addClassCleanup(cls.hss.close)
        cls.hss.provision(50)
        cls.extension = os.path.join(cls.hss.dir, "s6a_client.fdx")
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        subprocess.run([compiler, "-O2", "-Wall", "-fPIC", "-shared", "-o", cls.extension,
                        os.path.join(HERE, "fd", "s6a_client.c")], check=True)

    def start(self, name, **conf):
        """A freeDiameterd with this first label of its identity. (process, path of its log)"""
        with open(os.path.join(HERE, "fd", "client.conf.in")) as f:
            text = f.read()
        conf = {"realm": REALM, "imsi": hss.FIRST, **conf}
        for key, value in {"IDENTITY": f"{name}.{REALM}", "REALM": REALM, "HSS": HOST, "PORT": str(self.hss.port),
                           "EXTENSION": self.extension,
                           "CONF": " ".join(f"{k}={v}" for k, v in conf.items())}.items():
            text = text.replace(f"@{key}@", value)
        path = os.path.join(self.hss.dir, name)
        with open(path + ".conf", "w") as f:
            f.write(text)
        with open(path + ".log", "w") as log:
            process = subprocess.Popen(["freeDiameterd", "-c", path + ".conf"], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, path + ".log"

    def finish(self, started):
        process, path = started
        try:
            process.wait(50)
        except subprocess.TimeoutExpired:
            with open(path) as f:
                self.fail(f"freeDiameter didn't finish\n{f.read()[-3000:]}\n{self.hss.log_tail()}")
        with open(path) as f:
            text = f.read()
        self.assertFalse(BAD.findall(text), text[-3000:])
        found = re.search(r"S6A_CLIENT sent=(\d+) success=(\d+) other=(\d+) clr=(\d+)", text)
        self.assertTrue(found, text[-3000:])
        return tuple(map(int, found.groups()))

    def test_vectors_and_locations(self):
        sent, success, other, _ = self.finish(self.start("fd-mme", requests=2000, window=32, subscribers=50, ulr=1))
        self.assertEqual((sent, success, other), (2000, 2000, 0))

    def test_cancellations(self):
        """The second takes over the subscribers of the first, which waits for a CLR for each."""
        first = self.start("fd-first", requests=40, window=1, subscribers=20, ulr=1, wait_clr=20)
        self.hss.wait_location(hss.imsi(20), f"fd-first.{REALM}")
        second = self.start("fd-second", requests=40, window=1, subscribers=20, ulr=1)
        self.assertEqual(self.finish(second)[:3], (40, 40, 0))
        self.assertEqual(self.finish(first), (40, 40, 0, 20))


if __name__ == "__main__":
    unittest.main(verbosity=2)
