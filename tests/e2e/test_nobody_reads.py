"""Nothing that serves waits for whoever reads: a log that nobody takes (a pipe, a socket, a terminal stopped with Ctrl-S, a
full disk), clients of the metrics endpoint and of the admin socket that do not read. Service goes on, SIGTERM is obeyed."""
import fcntl
import os
import pty
import socket
import threading
import time
import tty
import unittest

import capture
import hss
from diameter import Peer
from hss import Hss


class Passing(Peer):
    """One of many thousand peers that come and go: nothing for the judge."""

    def recorder(self):
        return capture.Nothing()


class NobodyReads(unittest.TestCase):
    def fill(self, h):
        """Peers come and go, each worth some lines, until lines are dropped."""
        deadline = time.monotonic() + hss.TIMEOUT
        while h.metric("hss_log_dropped_total") == 0:
            for _ in range(100):
                Passing(h.port).close()
            self.assertLess(time.monotonic(), deadline, "never full")

    def served(self, h, stderr, dropped_by="frontend"):
        """Everything that an HSS must still do although its log is not read."""
        self.addCleanup(h.close)
        h.start(stderr=stderr)
        h.provision(1)
        self.fill(h)
        with Peer(h.port) as peer:
            self.assertEqual(peer.call(peer.air(hss.FIRST)).result, 2001)
        h.kill_role("worker-0")
        h.kill_role("admin")
        self.assertRegex(h.metrics(), rf'hss_log_dropped_total\{{role="{dropped_by}",process="0"\}} [1-9]')
        began = time.monotonic()
        self.assertEqual(h.stop(), 0)
        self.assertLess(time.monotonic() - began, 10)

    def test_log_pipe_that_nobody_reads(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        h = Hss(start=False, log={"level": "debug"})
        self.served(h, writing)
        self.assertFalse(fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK, "others share this description")
        os.close(writing)

    def test_log_socket_that_nobody_reads(self):
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.addCleanup(ours.close)
        self.served(Hss(start=False, log={"level": "debug"}), theirs.fileno())
        theirs.close()

    def test_log_terminal_that_is_stopped(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        tty.setraw(slave)
        self.served(Hss(start=False, log={"level": "debug"}), slave)
        os.close(slave)

    def test_log_that_is_read_again_says_what_is_missing(self):
        reading, writing = os.pipe()
        h = Hss(start=False, log={"level": "debug"})
        self.addCleanup(h.close)
        h.start(stderr=writing)
        os.close(writing)
        self.fill(h)
        lines = []
        with os.fdopen(reading, errors="replace") as log:
            reader = threading.Thread(target=lambda: lines.extend(log))
            reader.start()
            h.until(lambda: "log_dropped" in "".join(lines[-100:]) or not Peer(h.port).close(), "the gap is told")
            self.assertEqual(h.stop(), 0)
            reader.join()
        self.assertIn("hssd: stopped", lines[-1])
        for line in lines:  # each is whole
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT[0-9:.]+Z (error|warn |info |debug) [a-z0-9-]+: .*\n")

    def test_log_disk_that_is_full(self):
        with open("/dev/full", "w") as full:
            self.served(Hss(start=False, log={"level": "debug"}), full.fileno(), dropped_by="hssd")

    def test_log_reader_that_is_gone(self):
        reading, writing = os.pipe()
        os.close(reading)
        self.served(Hss(start=False, log={"level": "debug"}), writing, dropped_by="hssd")
        os.close(writing)

    def test_clients_that_do_not_read(self):
        with Hss() as h:
            h.provision(2000)
            held = []
            for _ in range(40):
                s = socket.create_connection(("127.0.0.1", h.metrics_port))
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
                s.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
                held.append(s)
            for _ in range(10):
                s = socket.socket(socket.AF_UNIX)
                s.connect(h.socket)
                s.sendall(b'{"cmd":"subscriber list","args":{}}\n')
                held.append(s)
            self.assertIn("hss_role_up", h.metrics())
            self.assertEqual(h.ctl("status").returncode, 0)
            with Peer(h.port) as peer:
                self.assertEqual(peer.call(peer.air(hss.FIRST)).result, 2001)
            self.assertEqual(h.stop(), 0)
            for s in held:
                s.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
