"""hssctl backup and restore: online, complete, checked, on another machine, and no SQN twice."""
import json
import os
import shutil
import stat
import subprocess
import tempfile
import unittest

import hss
from hss import Hss, imsi


def xxh64(data):
    """XXH64 with seed 0, as its specification has it."""
    p1, p2, p3, p4, p5 = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579,
                          2870177450012600261)
    mask = 2 ** 64 - 1

    def rotate(v, n):
        return (v << n | v >> (64 - n)) & mask

    def step(acc, lane):
        return rotate((acc + lane * p2) & mask, 31) * p1 & mask

    acc = [(p1 + p2) & mask, p2, 0, -p1 & mask]
    whole = len(data) // 32 * 32
    for at in range(0, whole, 32):
        acc = [step(a, int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little")) for i, a in enumerate(acc)]
    h = p5
    if len(data) >= 32:
        h = sum(rotate(a, n) for a, n in zip(acc, (1, 7, 12, 18))) & mask
        for a in acc:
            h = ((h ^ step(0, a)) * p1 + p4) & mask
    h = (h + len(data)) & mask
    assert whole == len(data), "a database is whole pages"
    for shift, prime in ((33, p2), (29, p3)):
        h = (h ^ h >> shift) * prime & mask
    return h ^ h >> 32


class Backup(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="hss-backup-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.file = os.path.join(self.dir, "corehss.backup")

    def started(self, **options):
        h = Hss(**options)
        self.addCleanup(h.close)
        return h

    def provisioned(self, n=20):
        h = self.started()
        h.provision(n)
        h.load("ulr", imsi=hss.FIRST, subscribers=n, requests=n, k=hss.K, opc=hss.OPC)
        return h

    def seq(self, h, n):
        return h.ctl("--json", "sqn", "show", imsi(n)).lines[0]["seq"]

    def test_restored_on_another_machine(self):
        h = self.provisioned()
        done = h.ctl("backup", self.file)
        self.assertRegex(done.stdout, r"20 subscribers, \d+ octets, checked")
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assertEqual(os.listdir(self.dir), ["corehss.backup"])
        # drawn after the backup: they must not come again
        h.load("air", imsi=hss.FIRST, subscribers=20, requests=2000, k=hss.K, opc=hss.OPC)
        used = [self.seq(h, n) for n in (1, 20)]
        exported = sorted(h.ctl("subscriber", "list").stdout.splitlines())
        self.assertEqual(h.stop(), 0)

        other = self.started()
        other.ctl("subscriber", "add", "001019999999999", "--k", hss.K, "--opc", hss.OPC)
        self.assertIn("systemctl restart corehss", other.ctl("restore", self.file).stdout)
        self.assertEqual(len(other.ctl("--json", "subscriber", "list").lines), 1, "not before the restart")
        self.assertEqual(other.stop(), 0)
        other.start()
        other.wait_log("restored ")
        self.assertEqual(sorted(other.ctl("subscriber", "list").stdout.splitlines()), exported)
        self.assertIn("mme", other.ctl("location", "show", imsi(1)).stdout)
        for before, n in zip(used, (1, 20)):
            self.assertGreater(self.seq(other, n), before)
            self.assertGreater(self.seq(other, n), 1048576)
        result = other.load("air", imsi=hss.FIRST, subscribers=20, requests=100, k=hss.K, opc=hss.OPC)
        self.assertEqual((result["results"], result["bad_vectors"]), ({"2001": 100}, 0))
        kept = os.path.join(other.state_dir, "before-restore-hss.db")
        self.assertTrue(os.path.exists(kept))
        # once: the next start does not do it again
        after = self.seq(other, 1)
        self.assertEqual(other.stop(), 0)
        other.start()
        self.assertLess(self.seq(other, 1), after + 4096)

    def test_everything_acknowledged_before_is_in_it(self):
        """While requests go on: a subscriber whose addition was acknowledged before the backup is in it."""
        h = self.provisioned(5)
        running = h.load_start("attach", imsi=hss.FIRST, subscribers=5, requests=3000, k=hss.K, opc=hss.OPC)
        h.ctl("subscriber", "add", "001019999999999", "--k", hss.K, "--opc", hss.OPC)
        h.ctl("backup", self.file)
        result = running.finish()
        self.assertEqual(set(result["results"]), {"2001"})
        other = self.started()
        other.ctl("restore", self.file)
        other.stop()
        other.start()
        self.assertIn("001019999999999", other.ctl("subscriber", "list").stdout)

    def test_damage_is_found(self):
        h = self.provisioned(3)
        h.ctl("backup", self.file)
        with open(self.file, "rb") as f:
            good = f.read()
        header, _, data = good.partition(b"\n")
        fields = json.loads(header.split(b" ", 1)[1])
        self.assertEqual((fields["format"], fields["subscribers"], fields["size"]), (1, 3, len(data)))
        for name, bad in (("cut off", good[:-1]), ("one bit", good[:-100] + bytes([good[-100] ^ 1]) + good[-99:]),
                          ("no backup", b"x" + good), ("empty", b""), ("header only", header + b"\n")):
            with self.subTest(name):
                with open(self.file, "wb") as f:
                    f.write(bad)
                done = h.ctl("restore", self.file, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(self.file, done.stderr)
        self.assertEqual([f for f in os.listdir(h.state_dir) if "restore" in f or "backup" in f], [])

    def test_a_file_that_passes_the_digest_and_is_no_database(self):
        h = self.provisioned(1)
        h.ctl("backup", self.file)
        with open(self.file, "rb") as f:
            header, _, data = f.read().partition(b"\n")
        fields = json.loads(header.split(b" ", 1)[1])
        data = b"\0" * len(data)
        fields["xxh64"] = f"{xxh64(data):016x}"
        with open(self.file, "wb") as f:
            f.write(b"corehss-backup " + json.dumps(fields).encode() + b"\n" + data)
        done = h.ctl("restore", self.file, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the database: it is", done.stderr)
        self.assertEqual([f for f in os.listdir(h.state_dir) if "restore" in f], [])

    def test_backup_that_cannot_be_written(self):
        h = self.provisioned(1)
        done = h.ctl("backup", os.path.join(self.dir, "missing", "file"), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory", done.stderr)
        done = h.ctl("restore", os.path.join(self.dir, "missing"), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory", done.stderr)

    def test_killed_loader_leaves_nothing(self):
        h = self.provisioned(1)
        for name in ("backup.tmp", "restore.part"):
            with open(os.path.join(h.state_dir, name), "w", encoding="ascii") as f:
                f.write("left behind")
        self.assertIn("another one is under way", h.ctl("backup", self.file, check=False).stderr)
        self.assertEqual(h.stop(), 0)
        h.start()
        h.ctl("backup", self.file)
        self.assertEqual([f for f in os.listdir(h.state_dir) if f in ("backup.tmp", "restore.part")], [])


class Configuration(unittest.TestCase):
    def test_show_and_reload(self):
        h = Hss()
        self.addCleanup(h.close)
        shown = h.ctl("config", "show").stdout
        self.assertIn(f'  host: "{hss.HOST}"\n', shown)
        self.assertIn("  watchdog_ms: 30000\n", shown)
        self.assertEqual(h.ctl("reload").stdout, "nothing has changed\n")

        h.configure(limits={"watchdog_ms": 7000}, workers=3)
        self.assertEqual(h.ctl("reload").stdout, "limits.watchdog_ms: applied\nworkers: needs a restart\n")
        shown = h.ctl("config", "show").stdout
        self.assertIn("  watchdog_ms: 7000\n", shown)
        self.assertIn("workers: 2\n", shown)

        h.configure(nonsense=1)
        done = h.ctl("reload", check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, rf"^hssctl: reload: {h.config_path}:\d+: .*nonsense")
        self.assertIn("  watchdog_ms: 7000\n", h.ctl("config", "show").stdout)

        # what is shown is a configuration
        path = os.path.join(h.dir, "shown.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(shown)
        done = subprocess.run([os.path.join(hss.BIN, "hssd"), "--check", "--config", path], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_password_is_masked(self):
        h = Hss(store={"type": "mongodb", "uri": "mongodb://hss:geheim@127.0.0.1:1/?serverSelectionTimeoutMS=100"})
        self.addCleanup(h.close)
        shown = h.ctl("config", "show").stdout
        self.assertIn("mongodb://hss:", shown)
        self.assertNotIn("geheim", shown)


if __name__ == "__main__":
    unittest.main(verbosity=2)
