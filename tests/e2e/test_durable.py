"""Acknowledged means durable: the sync is complete before the loader tells the worker (strace), and a full disk refuses
what cannot be kept, goes on with what needs no write, and loses nothing that was acknowledged."""
import ctypes
import errno
import os
import re
import select
import signal
import subprocess
import time
import unittest

import diameter as d
import hss
from hss import Hss

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
ULRS = 30


class SyncBeforeAnswer(unittest.TestCase):
    """Follows the loader's system calls while locations change one after the other."""

    def trace(self, pid, path, run):
        strace = subprocess.Popen(["strace", "-f", "-yy", "-o", path, "-e",
                                   "trace=fsync,fdatasync,sync_file_range,sendmsg,sendto,write,writev,pwrite64",
                                   "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn("attached", strace.stderr.readline())
            run()
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(30)
            strace.stderr.close()
        with open(path) as f:
            return f.read().splitlines()

    def test_sync_before_answer(self):
        with Hss() as h:
            h.provision(ULRS)
            with d.Peer(h.port, "mme.test") as mme:
                def run():
                    for n in range(ULRS):
                        self.assertEqual(mme.call(mme.ulr(hss.imsi(n + 1))).result, 2001)
                lines = self.trace(h.pid("loader"), os.path.join(h.dir, "trace"), run)
            synced, acks = False, 0
            pending = set()
            for line in lines:
                pid, _, call = line.partition(" ")
                call = call.strip()
                if re.match(r"f(data)?sync\(", call):
                    if "<unfinished" in call:
                        pending.add(pid)
                    elif call.endswith("= 0"):
                        synced |= h.state_dir in call
                elif re.match(r"<\.\.\. f(data)?sync resumed", call) and pid in pending:
                    pending.discard(pid)
                    synced |= call.endswith("= 0")
                elif re.match(r"(sendmsg|sendto|writev?)\(\d+<UNIX", call):
                    self.assertTrue(synced, f"sent before it was synced:\n{line}\nafter {acks} answers")
                    synced = False
                    acks += 1
            self.assertGreaterEqual(acks, ULRS)
            self.assertEqual(h.stop(), 0)


def private_mounts():
    """Puts this process, and what it starts, into mounts of its own; they end with it. False: not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) == 0:
        # in a chroot "/" is no mount point: then a mount may be seen outside until it is taken away below
        return libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0 or ctypes.get_errno() == errno.EINVAL
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as f:
            f.write(text)
    return True


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.assertTrue(private_mounts(), "needs root, or user namespaces")
        self.hss = Hss(start=False)
        self.addCleanup(self.hss.close)
        os.mkdir(self.hss.state_dir, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "none", self.hss.state_dir], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.hss.state_dir], check=False)
        self.hss.start()
        self.hss.provision(40)
        self.mme = d.Peer(self.hss.port, "mme-0.test")
        self.addCleanup(self.mme.close)
        self.acknowledged = {}

    def ulr(self, n, host):
        """A ULR of this MME host on the one connection, as a proxy would send it."""
        self.mme.host = host
        result = self.mme.call(self.mme.ulr(hss.imsi(n))).result
        if result == 2001:
            self.acknowledged[n] = host
        return result

    def fill(self):
        path = os.path.join(self.hss.state_dir, "filler")
        with open(path, "wb", buffering=0) as f:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        f.write(bytes(size))
                except OSError:
                    pass
        return path

    def check_locations(self):
        for n, host in self.acknowledged.items():
            self.assertEqual(self.hss.location(hss.imsi(n))["mme"]["host"], host)

    def test_disk_full(self):
        h = self.hss
        for n in range(1, 41):
            self.assertEqual(self.ulr(n, "mme-0.test"), 2001)
        filler = self.fill()
        refused = None
        for n in range(4000):  # what is allocated already may still be used
            host = f"mme-{n + 1}.test"
            result = self.ulr(n % 40 + 1, host)
            if result != 2001:
                self.assertEqual(result, 5012)
                refused = n % 40 + 1
                break
            if n % 500 == 0:
                self.fill()
        self.assertIsNotNone(refused, "the disk never became full")
        for _ in range(20):
            self.assertEqual(self.mme.call(self.mme.air(hss.imsi(refused))).result, 2001, "AIR needs no write")
        self.check_locations()
        self.assertGreater(h.metric("hss_commit_failures_total"), 0)
        restarts = h.log().count("role_restart")
        os.unlink(filler)
        deadline = time.monotonic() + 10
        while self.ulr(refused, "mme-after.test") != 2001:
            self.assertLess(time.monotonic(), deadline, "doesn't recover")
            select.select([], [], [], 0.05)
        for n in range(1, 41):
            self.assertEqual(self.ulr(n, f"mme-after-{n}.test"), 2001)
        self.assertEqual(h.log().count("role_restart"), restarts, "nobody had to die for it")
        self.check_locations()
        # a loader that dies now may not be able to start, but what needs no write goes on, and it comes back by itself
        filler = self.fill()
        os.kill(h.pid("loader"), signal.SIGKILL)
        for n in range(20):  # from hosts that have no place in the IND table, too
            self.mme.host = f"mme-new-{n}.test"
            self.assertEqual(self.mme.call(self.mme.air(hss.imsi(1))).result, 2001)
        self.assertIn(self.ulr(2, "mme-meanwhile.test"), (2001, 3004, 5012))
        os.unlink(filler)
        h.until(lambda: self.ulr(2, "mme-back.test") == 2001, "changes work again", timeout=20)
        h.wait_served()
        self.check_locations()
        h.kill()
        h.start()
        h.wait_served()
        self.check_locations()


if __name__ == "__main__":
    unittest.main(verbosity=2)
