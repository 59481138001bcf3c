"""A whole HSS for end-to-end tests: the built hssd with its roles, in a temporary directory, on free ports.

    with Hss(workers=2) as hss:                 # started, all roles ready
        hss.ctl("subscriber", "add", "001010000000001", "--k", K, "--opc", OPC)
        result = hss.load("air", imsi="001010000000001", subscribers=1, requests=100, k=K, opc=OPC)
        old = hss.kill_role("worker-0")         # kill -9; returns when it serves again
        assert hss.stop() == 0                  # SIGTERM

Programs are taken from $HSS_BIN. Everything is awaited by events (sd_notify datagrams, pidfds), never by sleeping.
$HSS_TEST_KEEP=1 keeps the temporary directory. Standard library only.
"""
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import capture

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("HSS_BIN", os.path.join(ROOT, "build", "dev", "bin"))
TIMEOUT = float(os.environ.get("HSS_TEST_TIMEOUT", "60"))
ROLES = ("hss-frontend", "hss-worker", "hss-loader", "hss-admin")
ALL = os.environ.get("HSS_CHECK_ALL") == "1"  # the long runs too
HOST = "hss01.epc.mnc001.mcc001.3gppnetwork.org"
REALM = "epc.mnc001.mcc001.3gppnetwork.org"
FIRST = "001010000000001"
K = "465B5CE8B199B49FAA5F0A2EE238A6BC"
OPC = "E8ED289DEBA952E4283B54E88E6183CA"


def have(*programs):
    """Whether all these programs were built; tests skip what is not there."""
    return all(os.access(os.path.join(BIN, p), os.X_OK) for p in programs)


def sanitized(bin):
    """Whether hssd there has a sanitizer, which needs system calls that the sandbox forbids."""
    with open(os.path.join(bin, "hssd"), "rb") as f:
        image = f.read()
    return b"__asan_init" in image or b"__tsan_init" in image or b"__ubsan_handle" in image


def imsi(n):
    """The n-th subscriber that `provision` makes, from 1."""
    return str(int(FIRST) + n - 1).zfill(len(FIRST))


def document(imsi, k=K, opc=OPC, op=None, sqn=64, **more):
    """A subscriber document in the shape of the Open5GS schema: internet and ims."""
    def session(name, index, priority):
        return {"name": name, "type": 3,
                "qos": {"index": index, "arp": {"priority_level": priority, "pre_emption_capability": 1,
                                                "pre_emption_vulnerability": 1}},
                "ambr": {"downlink": {"value": 1, "unit": 3}, "uplink": {"value": 1, "unit": 3}}}
    return {"schema_version": 1, "imsi": imsi, "msisdn": ["49151" + imsi[-8:]],
            "security": {"k": k, "amf": "8000", "op": op, "opc": opc, "sqn": sqn},
            "ambr": {"downlink": {"value": 1, "unit": 3}, "uplink": {"value": 1, "unit": 3}},
            "slice": [{"sst": 1, "default_indicator": True,
                       "session": [session("internet", 9, 8), session("ims", 5, 1)]}],
            "access_restriction_data": 32, "subscriber_status": 0, "network_access_mode": 0,
            "subscribed_rau_tau_timer": 12, **more}


def load_log(path):
    """hss-load --log FILE as lists of (what, imsi, value)."""
    with open(path) as f:
        return [tuple(line.split()) for line in f if line.endswith("\n")]


def free_port():
    """A port that nobody listens on. Below the range that the kernel takes for outgoing connections: it gives those out again at
    once, also between this look and the start of the HSS."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def yaml_of(config):
    """One top-level key a line; values as JSON, which YAML reads."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items())


def children(pid):
    """{name: pid} of the living roles of this hssd; hssd names them in argv[1]: "worker-0", "loader"."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as f:
                state, ppid = f.read().rsplit(")", 1)[1].split()[:2]
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                argv = f.read().split(b"\0")
        except OSError:
            continue
        if int(ppid) == pid and state not in "ZX" and len(argv) > 1 and b"/hss-" in argv[0]:
            found[argv[1].decode()] = int(entry)
    return found


def wait_dead(pid, timeout=TIMEOUT):
    """Waits until this process, not necessarily a child, is gone (or a zombie). False: it still lives."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], timeout)[0])
    finally:
        os.close(fd)


class Failed(AssertionError):
    pass


class Result(subprocess.CompletedProcess):
    """Of hssctl and hss-load; `.json` is the parsed output."""

    @property
    def json(self):
        return json.loads(self.stdout)

    @property
    def lines(self):
        """One JSON value a line, as lists are streamed."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]


class Running:
    """A program in the background whose output is one JSON report."""

    def __init__(self, args):
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def finish(self, check=True, timeout=TIMEOUT):
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise Failed(f"{self.process.args}: not within {timeout} s\n{out}{err}") from None
        if not out or check and self.process.returncode != 0:
            raise Failed(f"{' '.join(self.process.args)}: {self.process.returncode}\n{out}{err}")
        return json.loads(out)

    def stop(self):
        """kill -9, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Hss:
    def __init__(self, bin=None, config=None, directory=None, start=True, env=None, **options):
        """options and config: top-level keys of the configuration (workers=3, cache={...}); None removes a key."""
        self.bin = bin or BIN
        self.own_dir = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="hss-e2e-")
        self.port = free_port()
        self.metrics_port = free_port()
        self.socket = os.path.join(self.dir, "admin.sock")
        self.state_dir = os.path.join(self.dir, "state")
        self.log_path = os.path.join(self.dir, "log")
        self.config_path = os.path.join(self.dir, "hss.yaml")
        self.env = dict(env or {})
        self.process = None
        self.notify = None
        self.status = {}  # last value of each sd_notify key
        self.config = {
            "identity": {"host": HOST, "realm": REALM},
            "listen": [{"transport": "tcp", "address": "127.0.0.1", "port": self.port}],
            "frontends": 1,
            "workers": 2,
            "store": {"type": "sqlite"},
            "state_dir": self.state_dir,
            "cache": {"max_subscribers": 10000},
            "admin": {"socket": self.socket},
            "metrics": {"address": "127.0.0.1", "port": self.metrics_port},
            "log": {"level": "info"},
            "sandbox": not sanitized(self.bin),
        }
        self.configure(**(config or {}), **options)
        if start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    # --- life

    def configure(self, **options):
        """Changes top-level keys and writes the file; hssd reads it at its next start or `reload`."""
        for key, value in options.items():
            if value is None:
                self.config.pop(key, None)
            else:
                self.config[key] = value
        with open(self.config_path, "w") as f:
            f.write(yaml_of(self.config))

    @property
    def target(self):
        return f"127.0.0.1:{self.port}"

    @property
    def role_cnt(self):
        return self.config["frontends"] + self.config["workers"] + 2

    def start(self, wait=True, timeout=TIMEOUT, stderr=None):
        """stderr: a descriptor in place of the log file."""
        assert self.process is None, "running already"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(self.dir, "notify.sock")
        if os.path.exists(path):
            os.unlink(path)
        self.notify.bind(path)
        os.chmod(path, 0o666)  # hssd may have changed its user
        self.status = {}
        env = {**os.environ, **self.env, "NOTIFY_SOCKET": path}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([os.path.join(self.bin, "hssd"), "--config", self.config_path], env=env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log if stderr is None else stderr)
        if wait:
            self.wait(lambda s: "READY" in s, "all roles are ready", timeout)
        return self

    def _take_notification(self):
        for line in self.notify.recv(65536).decode().splitlines():
            key, _, value = line.partition("=")
            self.status[key] = value

    def wait(self, condition, what="", timeout=TIMEOUT):
        """Takes sd_notify messages until condition(status). Fails when hssd ends first, or after `timeout`."""
        deadline = time.monotonic() + timeout
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while not condition(self.status):
                ready, _, _ = select.select([self.notify, pidfd], [], [], max(0, deadline - time.monotonic()))
                if self.notify in ready:
                    self._take_notification()
                elif pidfd in ready:
                    raise Failed(f"hssd ended ({self.process.wait()}) before: {what}\n{self.log_tail()}")
                else:
                    raise Failed(f"not within {timeout} s: {what}; {self.status}\n{self.log_tail()}")
        finally:
            os.close(pidfd)

    def drain_notifications(self):
        while select.select([self.notify], [], [], 0)[0]:
            self._take_notification()

    def wait_exit(self, timeout=TIMEOUT):
        """The exit status of hssd."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"hssd still runs after {timeout} s\n{self.log_tail()}") from None
        self.process = None
        self.notify.close()
        return status

    def stop(self, timeout=15):
        """SIGTERM; the exit status (0 is right)."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def kill(self):
        """kill -9 of everything at once, as a power cut would be; returns when all processes are gone."""
        pids = [self.process.pid, *self.pids().values()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.wait_exit()
        for pid in pids[1:]:
            if not wait_dead(pid):
                raise Failed(f"process {pid} outlived kill -9")

    def reload(self, timeout=TIMEOUT):
        """SIGHUP; returns when hssd has read its configuration again."""
        self.drain_notifications()
        self.status.pop("READY", None)
        self.process.send_signal(signal.SIGHUP)
        self.wait(lambda s: "READY" in s, "reloaded", timeout)

    def close(self):
        if self.process:
            try:
                self.kill()
            except Failed:
                pass
        report = self.sanitizer_report()
        if self.own_dir and os.environ.get("HSS_TEST_KEEP") != "1":
            shutil.rmtree(self.dir, ignore_errors=True)
        if report:
            raise Failed(report)

    def sanitizer_report(self):
        """What a sanitizer said of a role, which hssd would otherwise just restart."""
        if not os.path.exists(self.log_path):
            return None
        log = self.log()
        found = re.search(r"(ERROR|WARNING): \w+Sanitizer|runtime error:", log)
        return log[max(0, found.start() - 500):found.start() + 6000] if found else None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            print(self.log_tail())
        self.close()

    # --- roles

    def pids(self):
        return children(self.process.pid)

    def pid(self, name):
        return self.pids()[name]

    def kill_role(self, name, sig=signal.SIGKILL, timeout=TIMEOUT):
        """Kills one role and waits until hssd has it serving again. Returns (old pid, new pid)."""
        old = self.pid(name)
        self.drain_notifications()
        self.status["STATUS"] = ""
        os.kill(old, sig)
        self.wait(lambda s: s["STATUS"].startswith(f"{self.role_cnt} processes ready") and
                  self.pids().get(name, old) != old, f"{name} restarted", timeout)
        return old, self.pid(name)

    # --- what it said

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def log_tail(self, lines=60):
        """Without what polling tests ask."""
        kept = [line for line in self.log().splitlines() if " admin_command command=" not in line or " show" not in line and
                " status" not in line and "alarm list" not in line]
        return "\n".join(kept[-lines:])

    def wait_log(self, pattern, timeout=TIMEOUT, start=0):
        """The first match of this pattern in the log; polls, as a file tells nobody that it grew."""
        search = lambda: re.compile(pattern).search(self.log(), start)
        self.until(search, f"in the log: {pattern}", timeout)
        return search()

    # --- tools

    def run(self, program, *args, check=True, timeout=TIMEOUT, input=None, env=None):
        done = subprocess.run([os.path.join(self.bin, program), *map(str, args)], capture_output=True, text=True,
                              timeout=timeout, input=input, env=env, check=False)
        if check and done.returncode != 0:
            raise Failed(f"{program} {' '.join(map(str, args))}: {done.returncode}\n{done.stdout}{done.stderr}\n"
                         f"{self.log_tail(20)}")
        return Result(done.args, done.returncode, done.stdout, done.stderr)

    def ctl(self, *args, **how):
        """hssctl NOUN VERB ...; fails unless it exits 0, or check=False."""
        return self.run("hssctl", "--socket", self.socket, *args, **how)

    def ctl_json(self, *args, **how):
        return self.run("hssctl", "--socket", self.socket, "--json", *args, **how).json

    def load(self, case, check=True, timeout=TIMEOUT, **options):
        """hss-load CASE --connect ... --json; options are its long options (imsi=..., requests=100). The report."""
        return self.run("hss-load", *self.load_args(case, options), check=check, timeout=timeout).json

    def load_args(self, case, options):
        path = capture.of_another("hss-load")
        args = [case, "--connect", self.target, "--json"] + (["--pcap", path] if path else [])
        for key, value in options.items():
            args += ["--" + key.replace("_", "-")] + ([] if value is True else [str(value)])
        return args

    def load_start(self, case, **options):
        """The same in the background; `finish` waits for its report."""
        return Running([os.path.join(self.bin, "hss-load"), *self.load_args(case, options)])

    def provision(self, count, first=FIRST, **how):
        """Imports subscribers first, first + 1, ...; every one with K and OPC unless `how` says else."""
        path = os.path.join(self.dir, f"import-{first}.jsonl")
        with open(path, "w") as f:
            for n in range(count):
                f.write(json.dumps(document(str(int(first) + n).zfill(len(first)), **how)) + "\n")
        return self.ctl("subscriber", "import", path)

    def location(self, imsi):
        """Where the HSS says this subscriber is registered."""
        return self.ctl_json("location", "show", imsi)

    def alarms(self):
        """{(alarm, subject)} that are raised."""
        return {(r["alarm"], r["subject"]) for r in self.ctl("--json", "alarm", "list").lines}

    def until(self, condition, what="", timeout=TIMEOUT):
        """For what no event tells a client: polls. `what` is a text, or a function that then gives it."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                what = what() if callable(what) else what
                raise Failed(f"not within {timeout} s: {what}\n{self.log_tail()}")
            select.select([], [], [], 0.02)

    def wait_location(self, imsi, mme):
        """Until this MME serves the subscriber."""
        self.until(lambda: (self.location(imsi).get("mme") or {}).get("host") == mme, f"{imsi} is at {mme}")

    def wait_served(self):
        """Until every local record is served: `status` then exits 0."""
        self.until(lambda: self.ctl("status", check=False).returncode == 0, "every record is served")

    def metric(self, name):
        """The sum of the samples of this metric."""
        values = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)", self.metrics(), re.M)
        return sum(map(float, values))

    def metrics(self):
        """The text of the metrics endpoint."""
        with socket.create_connection(("127.0.0.1", self.metrics_port), timeout=TIMEOUT) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while True:
                some = s.recv(65536)
                if not some:
                    break
                answer += some
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0] + b" ":
            raise Failed(head.decode(errors="replace"))
        return body.decode()
