"""hssctl against a running HSS: what an operator types and reads, exit codes, files, completion, metrics."""
import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest

import diameter as d
import hss
from hss import FIRST, K, OPC, Hss, imsi

ROOT = hss.ROOT


class Hssctl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hss = Hss(supervision={"silence_ms": 600000, "loader_silence_ms": 600000})  # stopped ones stay
        cls.addClassCleanup(cls.hss.close)

    def setUp(self):
        self.path = os.path.join(self.hss.dir, self.id().rsplit(".", 1)[1])

    def ctl(self, *args, **how):
        return self.hss.ctl(*args, **how)

    def refused(self, status, error, *args, **how):
        done = self.ctl(*args, check=False, **how)
        self.assertEqual(done.returncode, status, done)
        self.assertIn(error, done.stderr)
        self.assertTrue(done.stderr.startswith("hssctl: "), done.stderr)
        return done

    def write(self, text, suffix=""):
        with open(self.path + suffix, "w") as f:
            f.write(text)
        return self.path + suffix

    def test_subscriber(self):
        one = imsi(1000)
        self.ctl("subscriber", "add", one, "--k", K, "--opc", OPC, "--msisdn", "4915100", "--msisdn", "4915101",
                 "--apn", "internet", "--apn", "ims")
        self.refused(1, "exists", "subscriber", "add", one, "--k", K, "--opc", OPC)
        document = self.hss.ctl_json("subscriber", "show", one)
        self.assertEqual(document["msisdn"], ["4915100", "4915101"])
        self.assertEqual([s["name"] for s in document["slice"][0]["session"]], ["internet", "ims"])
        self.assertEqual(document["security"]["k"], "***")
        self.assertEqual(document["security"]["opc"], "***")
        shown = self.ctl("subscriber", "show", one).stdout
        self.assertRegex(shown, r"(?m)^imsi +" + one + "$")
        self.assertNotIn(K, shown.upper())
        self.assertIn(K, self.ctl("subscriber", "show", one, "--secrets").stdout.upper())
        self.ctl("subscriber", "set", one, "subscriber_status=1", "ambr.downlink.value=7", "security.amf=9000")
        document = self.hss.ctl_json("subscriber", "show", one)
        self.assertEqual((document["subscriber_status"], document["ambr"]["downlink"]["value"],
                          document["security"]["amf"]), (1, 7, "9000"))
        listed = self.ctl("subscriber", "list").stdout.splitlines()
        self.assertRegex(listed[0], r"^IMSI +MSISDN +STATUS")
        self.assertTrue(any(line.startswith(one) and "barred" in line for line in listed), listed)
        self.ctl("subscriber", "delete", one)
        self.refused(1, "no such subscriber", "subscriber", "show", one)
        self.refused(1, "no such subscriber", "subscriber", "delete", one)

    def test_keys_from_files(self):
        k, opc = self.write(K + "\n", "k"), self.write(" ".join(OPC[i:i + 4] for i in range(0, 32, 4)), "o")
        self.ctl("subscriber", "add", imsi(1100), "--k-file", k, "--opc-file", opc)
        security = self.ctl("--json", "subscriber", "show", imsi(1100), "--secrets").json["security"]
        self.assertEqual((security["k"].upper(), security["opc"].upper()), (K, OPC))
        self.refused(2, "expected 32 hex digits", "subscriber", "add", imsi(1101), "--k-file", self.write("12", "s"),
                     "--opc", OPC)
        self.refused(2, "No such file", "subscriber", "add", imsi(1101), "--k-file", self.path + "none", "--opc", OPC)

    def test_keys_leave_the_command_line(self):
        # a socket that accepts and never answers keeps the process there to be looked at
        path = self.path + ".sock"
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            s.listen()
            process = subprocess.Popen([os.path.join(hss.BIN, "hssctl"), "--socket", path, "subscriber", "add", FIRST,
                                        "--k", K, "--opc=" + OPC], stderr=subprocess.PIPE)
            self.addCleanup(process.stderr.close)
            client, _ = s.accept()
            request = client.makefile().readline()
            self.assertIn(K, request)
            with open(f"/proc/{process.pid}/cmdline", "rb") as f:
                line = f.read()
            client.close()
            self.assertEqual(process.wait(), 1)
        self.assertIn(FIRST.encode(), line)
        self.assertNotIn(K.encode(), line)
        self.assertNotIn(OPC.encode(), line)

    def test_sqn(self):
        one = imsi(1200)
        self.ctl("subscriber", "add", one, "--k", K, "--opc", OPC, "--sqn", "6400")
        row = self.hss.ctl_json("sqn", "show", one)
        self.assertEqual((row["imsi"], int(row["sqn"]), int(row["seq"]), row["ind_bits"]), (one, 6400, 200, 5))
        self.assertGreaterEqual(int(row["reserved_until"]), 200)
        self.refused(1, "--force", "sqn", "set", one, "3200")
        self.ctl("sqn", "set", one, "3200", "--force")
        self.assertEqual(int(self.hss.ctl_json("sqn", "show", one)["sqn"]), 3200)
        self.ctl("sqn", "jump", "--by", "100000")
        self.assertGreaterEqual(int(self.hss.ctl_json("sqn", "show", one)["seq"]), 100100)
        self.refused(2, "decimal", "sqn", "set", one, "281474976710656")
        self.refused(1, "no such subscriber", "sqn", "show", "99999")

    def test_location(self):
        one = imsi(1300)
        self.ctl("subscriber", "add", one, "--k", K, "--opc", OPC)
        self.assertIsNone(self.hss.ctl_json("location", "show", one)["mme"])
        self.refused(1, "", "location", "cancel", one)
        with d.Peer(self.hss.port, "mme.test") as mme:
            self.assertEqual(mme.call(mme.ulr(one)).result, 2001)
            self.assertEqual(self.hss.ctl_json("location", "show", one)["mme"]["host"], "mme.test")
            peers = self.ctl("peer", "list").stdout.splitlines()
            self.assertRegex(peers[0], r"^HOST +STATE")
            self.assertTrue(any(line.startswith("mme.test") for line in peers), peers)
            self.assertGreaterEqual(self.hss.ctl_json("status")["peers"], 1)
        self.refused(1, "no such peer", "peer", "disconnect", "nobody.test")

    def test_import_export(self):
        rows = [json.dumps(hss.document(imsi(2000 + n))) for n in range(300)]
        rows[10] = ""
        rows[20] = '{"imsi": "1"}'
        rows[30] = "{"
        rows[40] = '{"pad": "' + "x" * 200000 + '"}'
        done = self.ctl("subscriber", "import", self.write("\n".join(rows)), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"^296 imported, 3 refused, [0-9.]+ s\n$")
        told = [line.split(": ")[1].rsplit(":", 1)[1] for line in done.stderr.splitlines()]
        self.assertEqual(told, ["21", "31", "41"], done.stderr)
        # the same from standard input, and what is exported is what imports
        self.assertEqual(self.ctl("subscriber", "import", "-", input="\n".join(rows[41:])).returncode, 0)
        out = self.path + ".out"
        self.assertRegex(self.ctl("subscriber", "export", out).stdout, r"^\d+ exported\n$")
        self.assertEqual(stat.S_IMODE(os.stat(out).st_mode), 0o600)
        with open(out) as f:
            exported = {row["imsi"]: row for row in map(json.loads, f)}
        self.assertEqual(exported[imsi(2000)]["security"]["k"], K)
        self.assertNotIn(imsi(2020), exported)
        self.ctl("subscriber", "import", out)
        self.assertEqual(len(self.ctl("subscriber", "export", "-").stdout.splitlines()), len(exported))
        self.refused(1, "No such file", "subscriber", "import", self.path + "none")
        self.refused(1, "No such file", "subscriber", "export", self.path + "none/x")
        self.assertEqual([n for n in os.listdir(self.hss.dir) if ".out." in n], [], "no temporary file is left")

    def test_lists_stream(self):
        with open(self.path, "w") as f:
            for n in range(3000):
                f.write(json.dumps(hss.document(imsi(10000 + n))) + "\n")
        self.ctl("subscriber", "import", self.path)
        found = [line.split()[0] for line in self.ctl("subscriber", "list").stdout.splitlines()]
        self.assertTrue({imsi(10000 + n) for n in range(3000)} <= set(found))
        # who stops reading does not hold up anybody else
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.hss.socket)
            s.sendall(b'{"cmd":"subscriber list"}\n')
            self.assertEqual(len(s.recv(10)), 10)
            self.ctl("subscriber", "show", imsi(10000))

    def test_status_stats_log(self):
        text = self.ctl("status").stdout
        self.assertRegex(text, r"(?m)^serving +yes$")
        self.assertRegex(text, r"(?m)^worker +1 +\d+ +yes +0 ")
        row = self.hss.ctl_json("status")
        self.assertTrue(row["serving"])
        self.assertEqual(sorted(r["role"] for r in row["roles"]), ["admin", "frontend", "loader", "worker", "worker"])
        self.assertEqual(row["store"]["load_state"], "complete")
        self.assertIn("hss_subscribers", self.ctl("stats").stdout)
        self.ctl("log", "level", "debug")
        self.hss.wait_log(r"worker-0: log_level level=\"debug\"")
        self.ctl("log", "level", "info")

    def test_silent_loader(self):
        one, path = imsi(1400), self.write("\n".join(json.dumps(hss.document(imsi(30000 + n))) for n in range(5000)))
        self.ctl("subscriber", "add", one, "--k", K, "--opc", OPC)
        pid = self.hss.pid("loader")
        os.kill(pid, signal.SIGSTOP)
        try:
            done = self.ctl("status", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("the loader does not answer", done.stderr)
            for words in (["subscriber", "show", one], ["subscriber", "import", path], ["subscriber", "export", "-"]):
                with self.subTest(words):
                    began = time.monotonic()
                    done = self.ctl("--timeout", "1", *words, check=False)
                    self.assertEqual((done.returncode, done.stdout), (1, ""))
                    self.assertRegex(done.stderr, r"^hssctl: no answer for 1 s; .* done or not .*\n$")
                    self.assertGreaterEqual(time.monotonic() - began, 0.9)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(self.hss.ctl_json("subscriber", "show", one)["imsi"], one)
        self.hss.wait_served()
        self.assertEqual(self.hss.pid("loader"), pid)

    def test_silent_admin(self):
        pid = self.hss.pid("admin")
        os.kill(pid, signal.SIGSTOP)
        try:
            done = self.ctl("--timeout=1", "status", check=False)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no answer for 1 s", done.stderr)
        self.ctl("--timeout", "0", "status")

    def test_import_takes_its_time(self):
        # a file that comes slowly is no silent loader
        process = subprocess.Popen([os.path.join(hss.BIN, "hssctl"), "--socket", self.hss.socket, "--timeout", "1",
                                    "subscriber", "import", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        began = time.monotonic()
        for n in range(2):
            process.stdin.write(json.dumps(hss.document(imsi(1410 + n))) + "\n")
            process.stdin.flush()
            select.select([process.stdout], [], [], 1.3)  # nothing may come
        out, _ = process.communicate()
        self.assertGreater(time.monotonic() - began, 2)
        self.assertRegex(out, r"^2 imported, 0 refused")
        self.assertEqual(process.returncode, 0)

    def test_usage(self):
        for words in ([], ["nonsense"], ["subscriber", "lst"], ["sqn", "show"], ["sqn", "show", "1x"], ["--nonsense"],
                      ["sqn", "show", FIRST, "more"], ["sqn", "set", FIRST, "1", "--nonsense"],
                      ["subscriber", "add", FIRST], ["subscriber", "add", FIRST, "--k", K],
                      ["subscriber", "add", FIRST, "--k"], ["subscriber", "set", FIRST],
                      ["subscriber", "set", FIRST, "nothing"], ["log", "level", "loud"], ["--timeout", "1s", "status"], ["--timeout=86401", "status"],
                      ["status", "--timeout"]):
            with self.subTest(words):
                done = self.refused(2, "", *words)
                self.assertEqual(done.stdout, "")
        for words in (["--help"], ["help"], ["subscriber"], ["subscriber", "--help"], ["subscriber", "add", "--help"],
                      ["help", "subscriber", "add"], ["--version"]):
            self.assertNotEqual(self.ctl(*words).stdout, "")
        done = subprocess.run([os.path.join(hss.BIN, "hssctl"), "status"], capture_output=True, text=True,
                              env={**os.environ, "COREHSS_SOCKET": self.path}, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is corehss running?", done.stderr)

    def test_raw_socket(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.hss.socket)
            lines = s.makefile()
            for request, status in ((b"nonsense", 2), (b'{"cmd":"stats","x":1}', 2), (b"\xff\xfe", 2),
                                    (b'{"cmd":"sqn show","args":{"imsi":"99999"}}', 1),
                                    (b'{"cmd":"peer list"}', 0)):
                s.sendall(request + b"\n")
                while "end" not in (answer := json.loads(lines.readline())):
                    pass
                self.assertEqual(answer["end"]["status"], status, request)
            s.sendall(b"x" * 100000)
            self.assertEqual(json.loads(lines.readline())["end"]["status"], 2)
            with self.assertRaises((EOFError, ConnectionResetError)):  # closed, with octets of ours unread
                if not lines.readline():
                    raise EOFError

    def test_metrics(self):
        with d.Peer(self.hss.port, "scraped.test") as mme:
            mme.call(mme.air(FIRST))
            text = self.hss.metrics()
        for line in ('hss_peers{state="open"}', 'hss_role_up{role="worker",process="1"} 1',
                     'hss_requests_total{app="s6a",command="AIR"}', 'hss_request_duration_seconds_bucket{app="s6a"',
                     'hss_role_restarts_total{role="loader",process="0"} 0', "hss_build_info{"):
            self.assertIn(line, text)
        self.assertNotIn(FIRST, text)
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                                  check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)

    def test_completion(self):
        script = os.path.join(ROOT, "packaging", "completion", "hssctl.bash")
        ask = ". \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($#-1)); _hssctl; echo \"${COMPREPLY[@]}\""
        for words, expected in (([""], {"subscriber", "sqn", "status", "--json"}), (["sqn", ""], {"show", "set", "jump"}),
                                (["subscriber", "add", FIRST, "--op"], {"--op", "--opc", "--op-file", "--opc-file"}),
                                (["log", "level", "w"], {"warn"})):
            done = subprocess.run(["bash", "-c", ask, "bash", script, "hssctl", *words], capture_output=True, text=True,
                                  env={**os.environ, "PATH": hss.BIN + ":" + os.environ["PATH"]}, check=True)
            self.assertTrue(expected <= set(done.stdout.split()), (words, done))

    def test_manual(self):
        with open(os.path.join(ROOT, "packaging", "man", "hssctl.1")) as f:
            manual = f.read().replace("\\-", "-")
        for line in self.ctl("--commands").stdout.splitlines():
            words, _, rest = line.partition(":")
            self.assertIn(words, manual)
            for option in rest.split():
                if option.startswith("--"):
                    self.assertIn(option, manual, words)


@unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
class WhoMay(unittest.TestCase):
    def ask(self, group, extra_groups=()):
        """hssctl as nobody, with this group."""
        program = os.path.join(self.copy, "hssctl")
        return subprocess.run([program, "--socket", self.hss.socket, "stats"], user="nobody", group=group,
                              extra_groups=list(extra_groups), capture_output=True, text=True, check=False)

    def test_group(self):
        directory = tempfile.mkdtemp(prefix="hss-e2e-")
        self.addCleanup(shutil.rmtree, directory)
        os.chmod(directory, 0o755)
        self.copy = os.path.join(directory, "bin")  # where nobody can reach it
        os.mkdir(self.copy)
        shutil.copy2(os.path.join(hss.BIN, "hssctl"), self.copy)
        path = os.path.join(directory, "admin.sock")
        with Hss(admin={"socket": path, "group": "games"}) as self.hss:
            self.hss.socket = path
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
            for group, extra, status in (("games", [], 0), ("nogroup", ["games"], 0), ("nogroup", [], 1),
                                         ("daemon", ["mail"], 1)):
                with self.subTest(group=group, extra=extra):
                    done = self.ask(group, extra)
                    self.assertEqual(done.returncode, status, done)
            self.assertIn("Permission denied", self.ask("nogroup").stderr)
            os.chmod(path, 0o666)  # whoever loosens the file's mode has not loosened the process
            done = self.ask("nogroup")
            self.assertEqual((done.returncode, done.stdout), (1, ""))


class Starting(unittest.TestCase):
    def test_status_fails_until_all_is_served(self):
        with Hss() as h:
            pid = h.pid("loader")
            os.kill(pid, signal.SIGSTOP)  # as one that is still loading: it does not answer
            try:
                done = h.ctl("status", check=False)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stdout, r"(?m)^serving +no$")
                self.assertIn("not every record is served yet", done.stderr)
                h.ctl("stats")
                waiting = subprocess.Popen([os.path.join(h.bin, "hssctl"), "--socket", h.socket, "sqn", "jump"],
                                           stderr=subprocess.PIPE, text=True)
                h.wait_log('admin_command command="sqn jump"')
            finally:
                os.kill(pid, signal.SIGKILL)
            self.assertIn("may have been done or not", waiting.communicate()[1])
            self.assertEqual(waiting.returncode, 1)
            h.wait_served()
            loader = [r for r in h.ctl_json("status")["roles"] if r["role"] == "loader"]
            self.assertEqual(loader[0]["restarts"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
