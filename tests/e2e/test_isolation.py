"""Who can reach subscriber keys: workers and the loader, nobody else. Looks at what the kernel says of the processes,
and searches all their memory for keys that were in use."""
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import unittest

import diameter as d
import hss
from hss import FIRST, Hss

# sanitizers trace their own process, which needs it dumpable
RELEASE_BIN = os.environ.get("HSS_RELEASE_BIN") or hss.BIN
SHADOW = 1 << 32  # larger mappings are a sanitizer's shadow and allocator spaces, mostly never touched


def mappings(pid):
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            span, rights, _, _, _, *name = line.split(maxsplit=5)
            begin, end = (int(x, 16) for x in span.split("-"))
            yield begin, end, rights, name[0].strip() if name else ""


def resident(pid, begin, end):
    """The spans of this mapping that have memory behind them (bits 63 and 62 of its page map)."""
    page = os.sysconf("SC_PAGESIZE")
    with open(f"/proc/{pid}/pagemap", "rb") as f:
        f.seek(begin // page * 8)
        entries = f.read((end - begin) // page * 8)
    at = None
    for n in range(len(entries) // 8 + 1):
        present = n < len(entries) // 8 and entries[n * 8 + 7] & 0xc0
        if present and at is None:
            at = n
        elif not present and at is not None:
            yield begin + at * page, (n - at) * page
            at = None


def find_in_memory(pid, patterns):
    """Names of the patterns found anywhere in the readable memory of this process."""
    found, searched = set(), 0
    fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        for begin, end, rights, name in mappings(pid):
            if "r" not in rights or name in ("[vvar]", "[vsyscall]"):
                continue
            spans = resident(pid, begin, end) if end - begin < SHADOW else ()
            for at, length in spans:
                try:
                    data = os.pread(fd, length, at)
                except OSError:
                    continue
                searched += len(data)
                found |= {key for key, pattern in patterns.items() if pattern in data}
    finally:
        os.close(fd)
    assert searched > 100000, f"only {searched} bytes of {pid} could be read"
    return found


class Isolation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.k, cls.opc = secrets.token_hex(16), secrets.token_hex(16)
        cls.patterns = {}
        for name, key in (("K", cls.k), ("OPc", cls.opc)):
            for form, pattern in (("octets", bytes.fromhex(key)), ("text", key.encode()),
                                  ("upper text", key.upper().encode())):
                cls.patterns[f"{name} as {form}"] = pattern
        cls.hss = Hss(log={"level": "debug"})
        cls.addClassCleanup(cls.hss.close)
        cls.hss.provision(20, k=cls.k, opc=cls.opc)
        with d.Peer(cls.hss.port, "mme.test") as mme:
            assert mme.call(mme.air(FIRST, resync=bytes(30))).result == 4181
        for case in ("attach", "resync"):
            cls.hss.load(case, imsi=FIRST, subscribers=20, k=cls.k, opc=cls.opc, verify="all")
        # keys pass through hss-admin, in all three ways, and nothing of them stays
        cls.hss.ctl("subscriber", "add", "001010000000099", "--k", cls.k, "--opc", cls.opc)
        exported = cls.hss.ctl("subscriber", "export", "-").stdout
        assert exported.lower().count(cls.k) == 21, exported
        assert cls.k in cls.hss.ctl("subscriber", "show", FIRST, "--secrets").stdout.lower()
        cls.hss.metrics()
        cls.pids = cls.hss.pids()

    def descriptors(self, name):
        pid = self.pids[name]
        return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]

    def test_frontend_and_admin_map_nothing_of_the_cache(self):
        for name in ("frontend-0", "admin"):
            mapped = [m[3] for m in mappings(self.pids[name])]
            for where in (mapped, self.descriptors(name)):
                for what in ("hss-records", "hss-sqn", self.hss.state_dir, ".db"):
                    self.assertFalse([m for m in where if what in m], (name, what))
        self.assertTrue([m for m in mappings(self.pids["worker-0"]) if "hss-records" in m[3]])

    def test_records_are_read_only_for_workers(self):
        rights = {m[2] for m in mappings(self.pids["worker-0"]) if "hss-records" in m[3]}
        self.assertEqual(rights, {"r--s"})
        self.assertFalse([f for f in self.descriptors("worker-0") if "hss-records" in f])

    def test_no_key_in_other_memory(self):
        served = set()
        for name in ("worker-0", "worker-1"):
            served |= find_in_memory(self.pids[name], self.patterns)
        self.assertLessEqual({"K as octets", "OPc as octets"}, served, "the search finds what is there")
        for name in ("frontend-0", "admin"):
            self.assertEqual(find_in_memory(self.pids[name], self.patterns), set(), name)
        self.assertEqual(find_in_memory(self.hss.process.pid, self.patterns), set(), "hssd")

    def test_workers_and_loader_have_no_network_sockets(self):
        network = set()
        for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
            with open(f"/proc/net/{table}") as f:
                network |= {line.split()[9] for line in f.readlines()[1:]}
        def held(name):
            inodes = {m[1] for f in self.descriptors(name) if (m := re.match(r"socket:\[(\d+)\]", f))}
            return inodes & network
        self.assertTrue(held("frontend-0"), "the search finds what is there")
        for name in ("worker-0", "worker-1", "loader"):
            self.assertEqual(held(name), set(), name)

    def test_mongo_driver_keeps_no_file(self):
        """Its counters would stay in /dev/shm for ever when the loader is killed."""
        self.assertNotIn(f"mongoc-{self.hss.pid('loader')}", os.listdir("/dev/shm"))

    def test_no_key_in_the_log(self):
        log = self.hss.log().lower()
        self.assertIn("debug", log)
        self.assertNotIn(self.k, log)
        self.assertNotIn(self.opc, log)

    def test_no_core_no_new_privileges(self):
        for name, pid in {**self.pids, "hssd": self.hss.process.pid}.items():
            with open(f"/proc/{pid}/limits") as f:
                limit = re.search(r"Max core file size +(\d+|unlimited) +(\d+|unlimited)", f.read())
            self.assertEqual(limit.groups(), ("0", "0"), name)
            with open(f"/proc/{pid}/status") as f:
                status = dict(line.split(":\t", 1) for line in f if ":\t" in line)
            if name != "hssd":
                self.assertEqual(status["NoNewPrivs"].strip(), "1", name)


@unittest.skipIf(hss.sanitized(RELEASE_BIN), "a build with a sanitizer stays dumpable")
class Dumps(unittest.TestCase):
    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_not_dumpable(self):
        # the kernel gives the files of /proc/PID to root when the process is not dumpable, else to its user
        nobody = pwd.getpwnam("nobody").pw_uid
        other = subprocess.Popen(["cat"], user="nobody", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        other.stdin.write(b"x")
        other.stdin.flush()
        other.stdout.read(1)  # it has executed
        self.assertEqual(os.stat(f"/proc/{other.pid}/environ").st_uid, nobody, "the search finds what is there")
        other.communicate()
        h = Hss(bin=RELEASE_BIN, user="nobody", start=False)
        self.addCleanup(h.close)
        bin = os.path.join(h.dir, "bin")  # where nobody can reach it
        os.mkdir(bin)
        for program in ("hssd", *hss.ROLES):
            shutil.copy2(os.path.join(RELEASE_BIN, program), bin)
        for path, mode in ((h.dir, 0o755), (bin, 0o755), (h.config_path, 0o644)):
            os.chmod(path, mode)
        h.bin = bin
        h.start()
        for name, pid in {**h.pids(), "hssd": h.process.pid}.items():
            with open(f"/proc/{pid}/status") as f:
                self.assertRegex(f.read(), rf"Uid:\s+{nobody}\s", name)
            self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 0, name)

    def test_crash_leaves_no_core(self):
        h = Hss(bin=RELEASE_BIN, workers=1)
        self.addCleanup(h.close)
        h.provision(1)
        h.load("air", imsi=FIRST, subscribers=1, requests=10, k=hss.K, opc=hss.OPC)
        places = {h.dir, h.state_dir, RELEASE_BIN, "/var/crash", "/var/lib/systemd/coredump",
                  *(os.readlink(f"/proc/{pid}/cwd") for pid in h.pids().values())}
        with open("/proc/sys/kernel/core_pattern") as f:
            places.add(os.path.dirname(f.read().strip().lstrip("|").split()[0]))
        def files():
            return {os.path.join(p, n) for p in places if os.path.isdir(p) for n in os.listdir(p) if "core" in n}
        before = files()
        for name in h.pids():
            h.kill_role(name, signal.SIGSEGV)
            h.wait_log(rf'role_killed role="{name}".* signal=11')
        left = {f for f in files() - before if os.path.isfile(f)}
        self.assertEqual(left, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
