"""quickstart and get-server, in copies of what they need of this repository: packages are not installed, nothing is built or
fetched, and the programs are those of the build under test."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests", "e2e"))
import hss  # noqa: E402

PORTS = range(20000, 26000)  # the metrics are at 6000 above: both below what Linux gives to others


def script(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


def free_port():
    """One that is free, as is that of the metrics."""
    for port in PORTS[os.getpid() % 1000::7]:
        try:
            for each in (port, port + 6000):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", each))
            return port
        except OSError:
            pass
    raise AssertionError("no free port")


class Quickstart(unittest.TestCase):
    def place(self, name):
        """A directory of that name with quickstart and all that it starts."""
        base = tempfile.mkdtemp(prefix="hss-quick-")
        self.addCleanup(shutil.rmtree, base, ignore_errors=True)
        where = os.path.join(base, name)
        os.makedirs(os.path.join(where, "build", "release", "bin"))
        shutil.copy(os.path.join(ROOT, "quickstart"), where)
        script(os.path.join(where, "tools", "install-packages"), "exit 0\n")
        script(os.path.join(base, "stub", "cmake"), "exit 0\n")
        self.env = {**os.environ, "PATH": os.path.join(base, "stub") + ":" + os.environ["PATH"]}
        for program in ("hss-load", "hssctl", *hss.ROLES):
            os.symlink(os.path.join(hss.BIN, program), os.path.join(where, "build", "release", "bin", program))
        # the last argument is the configuration's file; sanitizers need what the sandbox forbids
        more = ""
        if hss.sanitized(hss.BIN):
            more = 'for file; do :; done\ngrep -q "^sandbox" "$file" || echo "sandbox: false" >>"$file"\n'
        script(os.path.join(where, "build", "release", "bin", "hssd"), more + f'exec "{hss.BIN}/hssd" "$@"\n')
        return where

    def start(self, where, *args):
        process = subprocess.Popen(["./quickstart", *map(str, args)], cwd=where, env=self.env, text=True, start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        return process

    def test_odd_paths(self):
        """Paths that mean something in YAML, or are too long for a socket's address."""
        for name in ("a, b: {c} 'd' \"e\" #f\\g", "long" * 40):
            where = self.place(name)
            process = self.start(where, "--exit", "--port", free_port())
            out, _ = process.communicate(timeout=hss.TIMEOUT)
            self.assertEqual(process.returncode, 0, out)
            self.assertIn("001010000000010", out)
            self.assertNotIn("curl", out)

    def test_a_second_one_beside_a_running_one(self):
        where = self.place("x")
        first = self.start(where, "--port", free_port())
        out = ""
        while "Running until Ctrl-C" not in out:
            line = first.stdout.readline()
            self.assertTrue(line, "quickstart ended:\n" + out)
            out += line
        log = os.path.join(where, ".quickstart", "hss.log")
        with open(log) as f:
            before = f.read()
        self.assertTrue(before)
        second = self.start(where, "--exit", "--port", free_port())
        said, _ = second.communicate(timeout=hss.TIMEOUT)
        self.assertEqual(second.returncode, 1, said)
        self.assertIn("another one runs in this directory", said)
        with open(log) as f:
            self.assertTrue(f.read().startswith(before), "the log of the first was truncated")
        ctl = [os.path.join(hss.BIN, "hssctl"), "--socket", os.path.join(where, ".quickstart", "admin.sock"), "status"]
        self.assertEqual(subprocess.run(ctl, capture_output=True, check=False).returncode, 0)
        os.killpg(first.pid, signal.SIGINT)
        first.communicate(timeout=hss.TIMEOUT)
        # and when it has ended, another one starts
        third = self.start(where, "--exit", "--port", free_port())
        said, _ = third.communicate(timeout=hss.TIMEOUT)
        self.assertEqual(third.returncode, 0, said)


class GetServer(unittest.TestCase):
    def test_the_cause_is_shown_when_maven_fails(self):
        """Maven ends with several lines of general advice."""
        with tempfile.TemporaryDirectory() as base:
            shutil.copytree(os.path.join(ROOT, "tests", "mongo"), os.path.join(base, "tests", "mongo"))
            os.mkdir(os.path.join(base, "build"))
            advice = "\n".join(f"[ERROR] advice {n}" for n in range(9))
            script(os.path.join(base, "bin", "mvn"), f"cat <<EOF\n[INFO] downloading\n[ERROR] Unknown host repo.example\n{advice}\n"
                                                     "EOF\nexit 1\n")
            done = subprocess.run([os.path.join(base, "tests", "mongo", "get-server")], capture_output=True, text=True, check=False,
                                  env={**os.environ, "PATH": os.path.join(base, "bin") + ":" + os.environ["PATH"]})
        self.assertEqual(done.returncode, 1)
        self.assertIn("Unknown host repo.example", done.stderr)
        self.assertIn("maven.log", done.stderr)
        self.assertNotIn("advice 8", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
