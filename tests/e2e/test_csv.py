"""store.type csv: the rows of a PyHSS file are served; the file is read at the start, when it changes and at SIGHUP, taken
whole or not at all, and never written; SQNs and locations are ours. In the release build the sandbox is on."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import diameter as d
import hss
from hss import K, Hss

OP = "CDC202D5123E20F62B6D676AC72CB318"
BINS = [b for b in dict.fromkeys([hss.BIN, os.environ.get("HSS_RELEASE_BIN")]) if b]
HEAD = "IMSI,K,OP,AMF,SQN,RAND,APN"


def row(number, k=K, op=OP, sqn=64, apn="internet;ims"):
    return f"{hss.imsi(number)},{k},{op},8000,{sqn},,{apn}"


class Store:
    """An HSS on a file in a directory of its own."""

    def __init__(self, bin, rows=None, path=None, **options):
        self.dir = tempfile.mkdtemp(prefix="hss-csv-")
        self.path = path or os.path.join(self.dir, "subscribers.csv")
        if rows is not None:
            self.replace(rows)
        self.hss = Hss(bin=bin, start=False, store={"type": "csv", "path": self.path}, **options)

    def __enter__(self):
        self.hss.__enter__()
        try:
            self.hss.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *what):
        self.hss.__exit__(*what)
        shutil.rmtree(self.dir, ignore_errors=True)

    def replace(self, rows):
        """As a careful writer does it."""
        fresh = os.path.join(self.dir, ".fresh")
        with open(fresh, "w") as f:
            f.write("".join(r + "\n" for r in rows))
        os.rename(fresh, self.path)

    def write(self, rows):
        """In place."""
        with open(self.path, "w") as f:
            f.write("".join(r + "\n" for r in rows))

    def imsis(self):
        return [line.split()[0] for line in self.hss.ctl("subscriber", "list").stdout.splitlines()[1:]]

    def until(self, numbers):
        expected = [hss.imsi(n) for n in numbers]
        self.hss.until(lambda: self.imsis() == expected, f"served: {numbers}")

    def state(self):
        return self.hss.ctl_json("store", "status")["file"]


class Csv(unittest.TestCase):
    def attach(self, h, *numbers, result=2001):
        for n in numbers:
            report = h.load("attach", imsi=hss.imsi(n), subscribers=1, requests=1, k=K, op=OP, check=result == 2001)
            self.assertEqual((set(report["results"]), report["bad_vectors"]), ({str(result)}, 0))

    def test_life(self):
        for bin in BINS:
            with self.subTest(bin=bin), Store(bin, [HEAD, row(1), row(2), row(3)]) as s:
                h = s.hss
                h.wait_served()
                self.attach(h, 1, 2, 3)
                with d.Peer(h.port, "mme01.test") as mme:
                    self.assertEqual(mme.call(mme.ulr(hss.imsi(2))).result, 2001)
                    # replaced: one differs, one is gone (its MME hears of it), one is new
                    s.replace([HEAD, row(1, apn="corporate"), row(3), row(4)])
                    clr = mme.take(d.CLR)
                    self.assertEqual((clr.one(d.USER_NAME).text, clr.one(d.CANCELLATION).number), (hss.imsi(2), 2))
                s.until([1, 3, 4])
                self.attach(h, 4)
                self.attach(h, 2, result=5001)
                shown = h.ctl_json("subscriber", "show", hss.imsi(1))
                self.assertEqual([x["name"] for x in shown["slice"][0]["session"]], ["corporate"])
                # written in place, in two steps
                s.write([row(1), row(3)])
                s.until([1, 3])
                with open(s.path, "a") as f:
                    f.write(row(5) + "\n")
                s.until([1, 3, 5])
                # what was ours stays ours: locations and SQNs
                seq = int(h.ctl_json("sqn", "show", hss.imsi(3))["seq"])
                self.assertGreater(seq, 2)
                self.assertIsNotNone(h.location(hss.imsi(3))["mme"])
                self.assertEqual(h.stop(), 0)
                s.replace([row(3, sqn=0), row(6)])
                before = os.stat(s.path)
                h.start()
                h.wait_served()
                s.until([3, 6])
                h.kill()
                h.start()
                h.wait_served()
                self.assertGreaterEqual(int(h.ctl_json("sqn", "show", hss.imsi(3))["seq"]), seq)
                self.assertIsNotNone(h.location(hss.imsi(3))["mme"])
                self.attach(h, 3, 6)
                h.until(lambda: s.state()["state"] == "current", "read")
                after = os.stat(s.path)
                self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns), "never written")
                self.assertEqual(h.stop(), 0)

    def test_bad_file_keeps(self):
        for bin in BINS:
            with self.subTest(bin=bin), Store(bin, [HEAD, row(1), row(2)]) as s:
                h = s.hss
                s.until([1, 2])
                s.replace([HEAD, row(1), row(2, k="12"), row(2, op="zz")])
                found = h.wait_log(r'csv_refused file="?([^" ]+)"? line=(\d+) reason="([^"]+)" bad_rows=(\d+) '
                                   r'subscribers_kept=(\d+)')
                self.assertEqual(found.groups(), (s.path, "3", "K: expected 32 hex digits, got 2", "2", "2"))
                self.assertEqual(s.imsis(), [hss.imsi(1), hss.imsi(2)])
                self.attach(h, 2)
                problems = h.run("hssctl", "--socket", h.socket, "--json", "subscriber", "problems").lines
                self.assertEqual(problems, [
                    {"where": "subscribers.csv:3", "imsi": hss.imsi(2), "error": "K: expected 32 hex digits, got 2"},
                    {"where": "subscribers.csv:4", "imsi": hss.imsi(2), "error": "OP: expected 32 hex digits, got other "
                                                                               "characters"}])
                self.assertRegex(h.ctl("subscriber", "problems").stdout, r"(?m)^WHERE +IMSI +REASON\nsubscribers.csv:3 ")
                state = s.state()
                self.assertEqual((state["state"], state["rows"]), ("refused", 2))
                self.assertEqual(state["error"], "line 3: K: expected 32 hex digits, got 2")
                for text in ("", HEAD + "\n", "not a row\n"):
                    start = len(h.log())
                    with open(s.path, "w") as f:
                        f.write(text)
                    h.wait_log("csv_refused", start=start)
                start = len(h.log())
                os.unlink(s.path)
                h.reload()
                h.wait_log('csv_refused .*reason="?No such file', start=start)
                self.assertEqual(s.imsis(), [hss.imsi(1), hss.imsi(2)])
                s.replace([row(2)])
                s.until([2])
                self.assertEqual(h.ctl("subscriber", "problems").stdout.splitlines()[1:], [])

    def test_bad_rows_at_first(self):
        """With nothing to keep, the good rows are served."""
        with Store(hss.BIN, [row(1), "x", row(2)]) as s:
            s.until([1, 2])
            s.hss.wait_log("csv_rows_bad .*line=2 ")
            s.hss.until(lambda: s.state()["state"] == "incomplete", "read")
            self.attach(s.hss, 1, 2)

    def test_file_comes_later(self):
        for bin in BINS:
            with self.subTest(bin=bin), Store(bin) as s:
                s.hss.wait_log("csv_refused .*No such file")
                s.hss.wait_served()  # of what there is: nothing
                s.replace([row(1)])
                s.until([1])
                self.attach(s.hss, 1)

    def test_sighup(self):
        """Where nobody tells of a change, SIGHUP reads the file: here through a link to a link in another directory."""
        for bin in BINS:
            with self.subTest(bin=bin), Store(bin, [row(1)]) as s:
                other = os.path.join(s.dir, "other")
                os.mkdir(other)
                for name, number in (("a", 2), ("b", 3)):
                    with open(os.path.join(other, name), "w") as f:
                        f.write(row(number) + "\n")
                s.until([1])
                link = os.path.join(s.dir, "link")
                os.symlink("other/a", link)
                os.rename(link, s.path)
                s.until([2])
                with open(os.path.join(other, "a"), "a") as f:  # the file that the link leads to
                    f.write(row(4) + "\n")
                s.until([2, 4])
                os.rename(other, other + "2")
                os.mkdir(other)
                os.rename(os.path.join(other + "2", "b"), os.path.join(other, "a"))
                s.hss.reload()
                s.until([3])

    def test_operators_commands(self):
        with Store(hss.BIN, [row(1)]) as s:
            s.until([1])
            for words in (["add", hss.imsi(9), "--k", K, "--op", OP], ["set", hss.imsi(1), "subscriber_status=1"],
                          ["delete", hss.imsi(1)], ["import", s.path]):
                done = s.hss.ctl("subscriber", *words, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("subscribers come from the file store.path (store.type csv): change it there", done.stderr)
            self.assertEqual(s.imsis(), [hss.imsi(1)])
            s.hss.ctl("sqn", "set", hss.imsi(1), "320000")
            self.assertIn(row(1, sqn=320000, apn='"internet;ims"'),
                          s.hss.ctl("subscriber", "export", "-", "--format", "csv").stdout)

    def test_many_while_serving(self):
        """A large file is read in pieces: who is served is served on, and an unknown one is asked to wait."""
        count = 8000
        with Store(hss.BIN, [row(n) for n in range(1, 51)], cache={"max_subscribers": count + 100}) as s:
            h = s.hss
            s.until(range(1, 51))
            self.attach(h, 1)
            run = h.load_start("air", imsi=hss.imsi(1), subscribers=50, window=4, duration=4, k=K, op=OP)
            s.replace([row(n) for n in range(1, count + 1)])
            h.wait_log(f"csv_read .*rows={count} changed={count - 50} removed=0 not_served=0")
            report = run.finish()
            self.assertEqual((set(report["results"]), report["bad_vectors"]), ({"2001"}, 0))
            self.attach(h, count)
            s.replace([row(n) for n in range(1, 101)])
            h.wait_log(f"csv_read .*rows=100 changed=0 removed={count - 100} ")
            self.attach(h, 100)
            self.attach(h, 101, result=5001)

    def test_check(self):
        with Store(hss.BIN, [row(1)]) as s:
            def check():
                return subprocess.run([os.path.join(hss.BIN, "hssd"), "--check", "--config", s.hss.config_path],
                                      capture_output=True, text=True, check=False)
            self.assertEqual(check().returncode, 0)
            os.unlink(s.path)
            done = check()
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, rf"^hssd: {s.hss.config_path}:[0-9]+: store.path: {s.path}: No such file or directory\n$")
            os.mkdir(s.path)
            self.assertIn("expected a regular file", check().stderr)
            s.hss.configure(store={"type": "csv"})
            done = check()
            self.assertEqual(done.returncode, 1)
            self.assertTrue(re.search(r"store.path: expected the path of a file, for store.type csv, got nothing",
                                      done.stderr), done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_check_as_the_user(self):
        """Root checks what another user will open."""
        with Store(hss.BIN, [row(1)]) as s:
            def check():
                return subprocess.run([os.path.join(hss.BIN, "hssd"), "--check", "--config", s.hss.config_path],
                                      capture_output=True, text=True, check=False)
            s.hss.configure(user="nobody")
            os.chmod(s.path, 0o600)
            os.chmod(os.path.dirname(s.path), 0o755)
            done = check()
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, rf"^hssd: {s.hss.config_path}:[0-9]+: store.path: {s.path}: for the user nobody: "
                                          r"Permission denied\n$")
            os.chmod(s.path, 0o644)
            self.assertEqual((check().returncode, check().stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
