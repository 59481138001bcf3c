"""hssd: the start, the edges, deaths and restarts, reload, the stop. With stub roles, so that the cases of failure can be
asked for; and with the real roles when they are built."""
import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest

import hss
from diameter import Peer
from hss import Hss

TEST_BIN = os.environ.get("HSS_TEST_BIN", os.path.join(os.path.dirname(hss.BIN), "tests", "bin"))


def stub_bin():
    """A directory with hssd and the stub under the names of all roles."""
    directory = tempfile.mkdtemp(prefix="hss-stub-")
    shutil.copy(os.path.join(hss.BIN, "hssd"), directory)
    for role in hss.ROLES:
        shutil.copy(os.path.join(TEST_BIN, "hss-stub-role"), os.path.join(directory, role))
    return directory


class Case(unittest.TestCase):
    """Cases that must hold for stubs and for the real roles."""

    bin = None
    options = {}

    def hss(self, **options):
        h = Hss(bin=self.bin, start=False, **{**self.options, **options})
        self.addCleanup(h.close)
        return h

    def started(self, **options):
        return self.hss(**options).start()


class Common:
    def test_start_and_stop(self):
        h = self.started(workers=3, frontends=2)
        self.assertEqual(set(h.pids()), {"loader", "admin", "worker-0", "worker-1", "worker-2", "frontend-0",
                                         "frontend-1"})
        self.assertEqual(stat.S_IMODE(os.stat(h.socket).st_mode), 0o660)
        self.assertEqual(stat.S_IMODE(os.stat(h.state_dir).st_mode), 0o700)
        pids = list(h.pids().values())
        began = time.monotonic()
        self.assertEqual(h.stop(), 0)
        self.assertLess(time.monotonic() - began, 10)
        self.assertTrue(all(hss.wait_dead(p, 0) for p in pids))
        self.assertFalse(os.path.exists(h.socket))

    def test_role_has_only_its_descriptors(self):
        h = self.started()
        held = {}
        for name, pid in h.pids().items():
            held[name] = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        for name in ("frontend-0", "admin"):
            for what in ("hss-records", "hss-sqn", h.state_dir):
                self.assertFalse([f for f in held[name] if what in f], (name, what))
        self.assertFalse([f for f in held["worker-0"] if h.state_dir in f])
        self.assertFalse([f for f in held["worker-0"] if "memfd:hss-control" in f], "mapped and closed")

    def test_each_role_is_restarted_alone(self):
        h = self.started()
        for name in ("worker-0", "worker-1", "frontend-0", "loader", "admin"):
            before = h.pids()
            old, new = h.kill_role(name)
            self.assertEqual(before[name], old)
            self.assertNotEqual(old, new)
            after = h.pids()
            del before[name], after[name]
            self.assertEqual(before, after, f"only {name} was replaced")
        self.assertEqual(h.stop(), 0)

    def test_hssd_killed_ends_every_role(self):
        h = self.started()
        pids = h.pids()
        os.kill(h.process.pid, signal.SIGKILL)
        h.wait_exit()
        for name, pid in pids.items():
            self.assertTrue(hss.wait_dead(pid, 5), name)
        h.start()  # a stale admin socket and a dead lock are no obstacle
        self.assertEqual(h.stop(), 0)

    def test_reload(self):
        h = self.started()
        pids = h.pids()
        h.configure(limits={"watchdog_ms": 6001}, workers=7)
        h.reload()
        h.wait_log('reload_needs_restart key="workers"')
        h.wait_log("hssd: reloaded")
        h.configure(nonsense=1)
        h.reload()
        h.wait_log("reload_refused .*nonsense")
        h.configure(nonsense=None)
        self.assertEqual(h.pids(), pids)
        self.assertEqual(h.stop(), 0)


class WithStubs(Common, Case):
    @classmethod
    def setUpClass(cls):
        cls.bin = stub_bin()
        cls.addClassCleanup(shutil.rmtree, cls.bin)

    def test_every_edge_once(self):
        h = self.started()
        for role, to in (("frontend-0", "worker"), ("worker-1", "frontend"), ("worker-1", "loader"),
                         ("loader", "worker"), ("loader", "admin"), ("admin", "loader"), ("admin", "worker"),
                         ("admin", "frontend"), ("frontend-0", "admin"), ("worker-0", "admin")):
            h.wait_log(f'{role}: stub_edge to="{to}" index=0')
        self.assertNotIn('frontend-0: stub_edge to="loader"', h.log())
        self.assertNotIn('worker-0: stub_edge to="worker"', h.log())

    def test_restart_reconnects_both_sides(self):
        h = self.started()
        h.wait_log('frontend-0: stub_edge to="worker" index=1')
        h.wait_log('loader: stub_edge to="worker" index=1')
        end = len(h.log())
        h.kill_role("worker-1")
        for line in ('frontend-0: stub_edge to="worker" index=1', 'loader: stub_edge to="worker" index=1',
                     'admin: stub_edge to="worker" index=1', 'worker-1: stub_edge to="frontend" index=0',
                     'worker-1: stub_edge to="loader" index=0', 'worker-1: stub_edge to="admin" index=0'):
            h.wait_log(line, start=end)

    def test_descriptors_follow_the_table(self):
        with tempfile.NamedTemporaryFile() as op:
            h = self.started(s6a={"op_file": op.name})
            h.wait_log("frontend-0: stub_init records=0 sqn=0 state_dir=0 op=0 listeners=1 stats=1")
            h.wait_log("worker-0: stub_init records=1 sqn=1 state_dir=0 op=0 listeners=0 stats=1")
            h.wait_log("loader: stub_init records=1 sqn=1 state_dir=1 op=1 listeners=0 stats=1")
            h.wait_log("admin: stub_init records=0 sqn=0 state_dir=0 op=0 listeners=2 stats=0")

    def test_delay_doubles(self):
        h = self.started()
        for delay in (0, 100, 200, 400):
            end = len(h.log())
            h.kill_role("admin")
            h.wait_log(f'role_restart role="admin" delay_ms={delay}', start=end)

    def test_reload_keeps_what_cannot_change(self):
        h = self.started()
        h.configure(limits={"watchdog_ms": 6001}, workers=7)
        h.reload()
        for role in ("loader", "worker-0", "worker-1", "frontend-0", "admin"):
            h.wait_log(f"{role}: stub_reload watchdog_ms=6001 workers=2")

    def test_log_level_reaches_all_and_stays(self):
        h = self.started(env={"HSS_STUB_LEVEL": "admin"})
        h.reload()
        for role in ("loader", "worker-0", "worker-1", "frontend-0", "admin"):
            h.wait_log(f'{role}: log_level level="debug"')
        end = len(h.log())
        h.kill_role("worker-0")
        h.wait_log("debug hssd: role_started", start=end)

    def test_log_level_from_another_role(self):
        h = self.started(env={"HSS_STUB_LEVEL": "worker"})
        h.configure(limits={"watchdog_ms": 6001})
        h.process.send_signal(signal.SIGHUP)
        h.wait_log('role_channel_broken role="worker-[01]"')
        h.wait_log('role_(killed|exited) role="worker-[01]"')

    def test_everything_dies_at_once(self):
        h = self.started(workers=6, frontends=4)
        for _ in range(3):
            h.drain_notifications()
            h.status["STATUS"] = ""
            before = h.pids()
            end = len(h.log())
            for pid in before.values():
                os.kill(pid, signal.SIGKILL)
            h.wait(lambda s: s["STATUS"] == "12 processes ready" and
                   not set(h.pids().values()) & set(before.values()), "all restarted")
            for worker in range(6):  # each pair of living processes is connected in the end
                for frontend in range(4):
                    h.wait_log(f'frontend-{frontend}: stub_edge to="worker" index={worker}', start=end)
                    h.wait_log(f'worker-{worker}: stub_edge to="frontend" index={frontend}', start=end)
        self.assertNotIn("role_not_listening", h.log())
        self.assertEqual(h.stop(), 0)

    def test_many_processes(self):
        h = self.started(workers=24, frontends=12)
        self.assertEqual(len(h.pids()), 38)
        h.wait_log('frontend-11: stub_edge to="worker" index=23')
        self.assertEqual(h.stop(), 0)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_user(self):
        h = self.hss(user="nobody")
        os.chmod(h.dir, 0o755)
        os.chmod(self.bin, 0o755)
        os.chmod(h.config_path, 0o644)
        h.start()
        uid = pwd.getpwnam("nobody").pw_uid
        for pid in (h.process.pid, *h.pids().values()):
            with open(f"/proc/{pid}/status") as f:
                text = f.read()
            self.assertRegex(text, rf"Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}\n")
            self.assertRegex(text, r"CapEff:\s+0+\n")
        self.assertEqual(os.stat(h.state_dir).st_uid, uid)
        self.assertEqual(os.stat(h.socket).st_uid, uid)
        self.assertEqual(h.stop(), 0)
        other = os.path.join(h.dir, "other")
        os.mkdir(other, 0o755)
        h.configure(state_dir=other)
        h.start()
        self.assertEqual(os.stat(other).st_uid, 0, "was there before: not ours to give away")
        self.assertIn("state_dir_open_to_others", h.log())
        self.assertEqual(h.stop(), 0)
        h.configure(user="nosuchuser")
        h.start(wait=False)
        self.assertEqual(h.wait_exit(), 1)
        self.assertIn("hssd: user: nosuchuser: no such user", h.log())

    def test_systemd_that_does_not_listen(self):
        """Nobody takes the notifications: hssd goes on, and what counts arrives once somebody does."""
        h = self.started()
        with open("/proc/sys/net/unix/max_dgram_qlen") as f:
            cnt = int(f.read()) + 5
        for _ in range(min(cnt, 100)):
            end = len(h.log())
            h.process.send_signal(signal.SIGHUP)
            h.wait_log("hssd: reloaded", start=end, timeout=10)
        old = h.pid("admin")
        end = len(h.log())
        os.kill(old, signal.SIGKILL)
        h.wait_log('role_ready role="admin"', start=end, timeout=10)
        h.status = {}
        h.wait(lambda s: s.get("STATUS") == "5 processes ready", "the last state arrives")
        self.assertEqual(h.stop(10), 0)

    def test_sigterm_during_the_start(self):
        h = self.hss()
        h.start(wait=False)
        h.wait_log("hssd: starting")
        self.assertEqual(h.stop(), 0)

    def test_stop_in_order(self):
        h = self.started(workers=1)
        self.assertEqual(h.stop(), 0)
        at = [h.log().index(f"{r}: stub_stop") for r in ("frontend-0", "worker-0", "admin", "loader")]
        self.assertEqual(at, sorted(at))

    def test_stop_of_a_hanging_role(self):
        h = self.hss(env={"HSS_STUB_HANG": "worker"})
        h.start()
        began = time.monotonic()
        self.assertEqual(h.stop(), 0)
        self.assertLess(time.monotonic() - began, 10)
        self.assertIn("role_stop_timeout", h.log())
        self.assertIn("loader: stub_stop", h.log())

    def test_state_dir_in_use(self):
        h = self.hss(env={"HSS_STUB_EXIT": "loader:3"})
        h.start(wait=False)
        self.assertEqual(h.wait_exit(), 1)
        self.assertEqual(h.log().count(f"state_dir: {h.state_dir} is in use by another HSS"), 1)
        self.assertNotIn("role_killed", h.log(), "those that we killed ourselves")

    def test_first_start_fails(self):
        for role in ("loader", "worker", "frontend", "admin"):
            h = self.hss(env={"HSS_STUB_EXIT": f"{role}:1"})
            h.start(wait=False)
            self.assertEqual(h.wait_exit(), 1)
            self.assertRegex(h.log(), f'hssd: start_failed reason="{role}(-[01])? failed to start')
            self.assertNotIn("role_killed", h.log(), "those that we killed ourselves")

    def test_missing_program(self):
        h = self.hss()
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        shutil.copy(os.path.join(self.bin, "hssd"), directory)
        h.bin = directory
        h.start(wait=False)
        self.assertEqual(h.wait_exit(), 1)
        self.assertRegex(h.log(), "hssd: hss-(frontend|worker|loader|admin): no such program in ")
        self.assertFalse(os.path.exists(h.state_dir), "nothing was touched")

    def test_role_by_hand(self):
        done = subprocess.run([os.path.join(self.bin, "hss-worker")], capture_output=True, text=True, timeout=20,
                              stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is started by hssd", done.stderr)


@unittest.skipUnless(hss.have("hssd", *hss.ROLES), "roles are not built")
class WithRoles(Common, Case):
    def test_second_on_the_same_state_dir(self):
        h = self.started()
        other = self.hss(state_dir=h.state_dir)
        other.start(wait=False)
        self.assertEqual(other.wait_exit(20), 1)
        self.assertEqual(other.log(), f"hssd: state_dir: {h.state_dir} is in use by another HSS\n",
                         "found before it listens or starts anything")
        self.assertFalse(os.path.exists(other.socket))
        self.assertEqual(len(h.pids()), h.role_cnt)


class Messages(Case):
    """What somebody reads who typed the command."""

    def hssd(self, *args):
        return subprocess.run([os.path.join(hss.BIN, "hssd"), *args], capture_output=True, text=True, timeout=20,
                              check=False)

    def test_check(self):
        h = self.hss()
        done = self.hssd("--check", "--config", h.config_path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse(os.path.exists(h.state_dir))

    def test_check_refuses_with_line(self):
        h = self.hss()
        with open(h.config_path, "a") as f:
            f.write("worker: 3\n")
        line = len(h.config) + 1
        for args in (("--check", "--config", h.config_path), ("--config", h.config_path)):
            done = self.hssd(*args)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"hss.yaml:{line}: ", done.stderr)
            self.assertIn("\"worker\"", done.stderr)
            self.assertFalse(os.path.exists(h.state_dir))

    def test_no_file(self):
        done = self.hssd("--config", "/nonexistent/hss.yaml")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent/hss.yaml", done.stderr)

    def test_usage(self):
        self.assertEqual(self.hssd("--nonsense").returncode, 2)
        self.assertEqual(self.hssd("--config", "x", "more").returncode, 2)
        self.assertEqual(self.hssd("--help").returncode, 0)
        self.assertRegex(self.hssd("--version").stdout, r"^hssd \(corehss\) [0-9.]+\n$")

    def failing(self, bin_dir, **options):
        h = self.hss(**options)
        h.bin = bin_dir
        h.start(wait=False)
        self.assertEqual(h.wait_exit(20), 1)
        return h.log()

    def test_listeners(self):
        directory = stub_bin()
        self.addCleanup(shutil.rmtree, directory)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            log = self.failing(directory, listen=[{"transport": "tcp", "address": "127.0.0.1", "port": port}])
            self.assertIn(f"listen: {{ transport: tcp, address: 127.0.0.1, port: {port} }}: Address already in use",
                          log)
            log = self.failing(directory, metrics={"address": "127.0.0.1", "port": port})
            self.assertIn(f"metrics: {{ address: 127.0.0.1, port: {port} }}: Address already in use", log)

    def test_admin_socket_in_use(self):
        directory = stub_bin()
        self.addCleanup(shutil.rmtree, directory)
        h = self.hss()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(h.socket)
            other.listen()
            h.bin = directory
            h.start(wait=False)
            self.assertEqual(h.wait_exit(20), 1)
            self.assertIn(f"admin: {{ socket: {h.socket} }}: Address already in use", h.log())
        with open(os.path.join(h.dir, "file"), "w"):
            pass
        h.configure(admin={"socket": os.path.join(h.dir, "file")})
        h.start(wait=False)
        self.assertEqual(h.wait_exit(20), 1)
        self.assertTrue(os.path.exists(os.path.join(h.dir, "file")), "not ours to remove")

    def test_state_dir_without_parent(self):
        directory = stub_bin()
        self.addCleanup(shutil.rmtree, directory)
        log = self.failing(directory, state_dir="/nonexistent/state")
        self.assertIn("hssd: state_dir: /nonexistent/state: No such file or directory", log)


class Start(Case):
    """What a start finds on a machine that is not as it should be."""

    def hssd(self, *args, env=None):
        return subprocess.run([os.path.join(hss.BIN, "hssd"), *args], capture_output=True, text=True, timeout=60,
                              check=False, env={**os.environ, **(env or {})})

    def check(self, h, **how):
        return self.hssd("--check", "--config", h.config_path, **how)

    def test_the_smallest_configuration_of_the_readme_starts(self):
        """As it is written, but for the places that only root has."""
        with open(os.path.join(hss.ROOT, "README.md")) as f:
            text = re.search(r"smallest configuration.*?```yaml\n(.*?)```", f.read(), re.S).group(1)
        h = self.hss()
        own = os.path.join(h.dir, "run", "admin.sock")  # its directory is missing, as /run/corehss is
        text = text.replace("/var/lib/corehss", h.state_dir).replace("3868", str(h.port))
        with open(h.config_path, "w") as f:
            f.write(text + f"admin: {{ socket: {own} }}\nsandbox: {str(not hss.sanitized(hss.BIN)).lower()}\n")
        h.socket = own
        self.assertEqual(self.check(h).stderr, "")
        h.start()
        self.assertEqual(h.ctl("status").returncode, 0)
        self.assertEqual(h.stop(), 0)

    def test_json_lines_only(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for options in ({"listen": [{"address": "127.0.0.1", "port": port}]}, {"state_dir": "/nonexistent/state"},
                            {"nonsense": 1}, {"user": "nosuchuser"} if os.geteuid() == 0 else {"workers": 0}):
                with self.subTest(options):
                    h = self.hss(log={"format": "json"}, **options)
                    h.start(wait=False)
                    self.assertEqual(h.wait_exit(), 1)
                    rows = [json.loads(line) for line in h.log().splitlines()]
                    self.assertEqual([r["event"] for r in rows], ["start_failed"])

    def test_full_file_system(self):
        """It starts, or says which directory is full; no message names a descriptor or is another library's alone."""
        mount = tempfile.mkdtemp(prefix="hss-full-")
        self.addCleanup(shutil.rmtree, mount, ignore_errors=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", mount], capture_output=True, check=False)
        if done.returncode:
            self.skipTest("no right to mount a small file system")
        self.addCleanup(subprocess.run, ["umount", "-l", mount], check=False)
        h = self.started(state_dir=os.path.join(mount, "state"))
        h.provision(1)
        self.assertEqual(h.stop(), 0)
        with open(os.path.join(mount, "ballast"), "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 65536):
                    pass
            except OSError:
                pass
        end = len(h.log())
        h.start(wait=False)
        self.assertEqual(h.wait_exit(), 1)
        log = h.log()[end:]
        self.assertIn(f"state_dir: {h.config['state_dir']}: its file system is full", log)
        self.assertNotIn("/proc/self/fd", log)
        self.assertNotIn("role_killed", log)
        os.unlink(os.path.join(mount, "ballast"))
        h.start()
        with Peer(h.port) as peer:
            self.assertEqual(peer.call(peer.air(hss.FIRST)).result, 2001)
        self.assertEqual(h.stop(), 0)

    def test_all_addresses_mean_both_families(self):
        h = self.started(listen=[{"transport": "tcp", "address": "::", "port": hss.free_port()}])
        port = h.config["listen"][0]["port"]
        Peer(port, address="127.0.0.1").disconnect()
        Peer(port, address="::1").disconnect()
        h.wait_log(r'peer_up .*address="127.0.0.1:')
        self.assertEqual(h.stop(), 0)
        # beside an IPv4 address each means its own family
        h.configure(listen=[{"address": "::", "port": port}, {"address": "0.0.0.0", "port": port}])
        h.start()
        Peer(port, address="127.0.0.1").disconnect()
        Peer(port, address="::1").disconnect()

    def test_names_and_variables(self):
        h = self.hss(env={"TEST_PORT": "", "TEST_LEVEL": "debug"})
        h.configure(listen=[{"address": "localhost", "port": h.port}], log={"level": "${TEST_LEVEL}"},
                    metrics={"address": "${TEST_ADDRESS:-localhost}", "port": h.metrics_port})
        h.start()
        h.wait_log("debug hssd: role_started")
        self.assertEqual(h.stop(), 0)
        h.configure(log={"level": "${TEST_NO_SUCH}"})
        done = self.check(h)
        self.assertEqual(done.returncode, 1)
        self.assertIn("log.level: expected error, warn, info or debug, got the environment variable TEST_NO_SUCH, which "
                      "is not set", done.stderr)

    def test_address_that_comes_later(self):
        h = self.hss(listen=[{"address": "192.0.2.77", "port": hss.free_port()}])
        done = self.check(h)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"hss.yaml:\d+: listen\[0\].address: 192.0.2.77: no interface of this machine has")
        h.configure(listen=[{"address": "192.0.2.77", "port": h.port, "freebind": True}])
        self.assertEqual(self.check(h).stderr, "")
        h.start()
        self.assertEqual(h.stop(), 0)

    def test_check_finds_what_a_start_finds(self):
        """Everything at once, each with its line."""
        h = self.hss()
        with open(os.path.join(h.dir, "op"), "w") as f:
            f.write("nonsense")
        with open(h.state_dir, "w"):
            pass
        missing = os.path.join(h.dir, "missing")
        h.configure(listen=[{"address": "192.0.2.77", "port": h.port}, {"transport": "tls", "address": "127.0.0.1"}],
                    tls={"certificate": missing, "key": missing, "ca": missing}, user="nosuchuser",
                    store={"type": "csv", "path": missing}, s6a={"op_file": os.path.join(h.dir, "op")},
                    admin={"socket": os.path.join(missing, "deep", "admin.sock"), "group": "nosuchgroup"})
        lines = {key: n + 1 for n, key in enumerate(h.config)}
        done = self.check(h)
        self.assertEqual(done.returncode, 1)
        for key, section, text in (
                ("listen[0].address", "listen", "no interface of this machine"),
                ("tls.certificate", "tls", "No such file"), ("tls.key", "tls", "No such file"),
                ("tls.ca", "tls", "No such file"), ("user", "user", "nosuchuser: no such user"),
                ("store.path", "store", "No such file"), ("s6a.op_file", "s6a", "expected 32 hex digits"),
                ("state_dir", "state_dir", "it is a file, expected a directory"),
                ("admin.group", "admin", "nosuchgroup: no such group"),
                ("admin.socket", "admin", "is a directory")):
            self.assertRegex(done.stderr, rf"(?m)^hssd: .*hss.yaml:{lines[section]}: {re.escape(key)}: .*{text}")
        h.configure(listen=[{"address": "0.0.0.0", "port": h.port}, {"address": "127.0.0.1", "port": h.port}], workers=0,
                    identity={"host": "192.0.2.1", "realm": "x.test"}, nonsense=1)
        done = self.check(h)
        for text in ("listen[1]: expected an address and port of its own", "workers: expected a whole number",
                     "identity.host: expected a name", "the name of an option, got \"nonsense\""):
            self.assertIn(text, done.stderr)

    def test_unclosed_brace(self):
        h = self.hss()
        with open(h.config_path, "w") as f:
            f.write("identity: { host: a.test, realm: b.test\nworkers: 2\nstore: { type: sqlite }\n")
        self.assertIn("hss.yaml:1: identity: expected a '}' for the '{' of this line", self.check(h).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
