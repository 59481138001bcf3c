"""freeDiameter as an MME. It parses all that we send against its own dictionary; two of them take subscribers from each
other, so that it also answers our Cancel-Location-Requests. And as a relay (DRA) between an MME and us."""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

import capture
import diameter as d
import hss
import tls
from hss import HOST, REALM, Hss
from test_dial import Server

HERE = os.path.dirname(os.path.abspath(__file__))
BAD = re.compile(r".*(?:Parsing error|Message discarded|ERROR).*")


class FreeDiameter(unittest.TestCase):
    stream = capture.Stream  # what it hears is judged by tshark, too
    own_noise = None  # what freeDiameter says of itself at this transport

    @classmethod
    def start_hss(cls):
        return Hss()

    @classmethod
    def setUpClass(cls):
        cls.hss = cls.start_hss()
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
        for key, value in {"IDENTITY": f"{name}.{REALM}", "REALM": REALM, "HSS": HOST, "PORT": str(capture.proxied(self, self.hss.port, self.stream)),
                           "EXTENSION": self.extension,
                           "CONF": " ".join(f"{k}={v}" for k, v in conf.items())}.items():
            text = text.replace(f"@{key}@", value)
        text = self.secured(text, f"{name}.{REALM}")
        path = os.path.join(self.hss.dir, name)
        with open(path + ".conf", "w") as f:
            f.write(text)
        with open(path + ".log", "w") as log:
            process = subprocess.Popen(["freeDiameterd", "-c", path + ".conf"], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, env=capture.environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, path + ".log"

    def secured(self, text, identity):
        """The configuration as it is for this transport."""
        return text

    def finish(self, started):
        process, path = started
        try:
            process.wait(50)
        except subprocess.TimeoutExpired:
            with open(path) as f:
                self.fail(f"freeDiameter didn't finish\n{f.read()[-3000:]}\n{self.hss.log_tail()}")
        with open(path) as f:
            text = f.read()
        bad = [line for line in BAD.findall(text) if not (self.own_noise and re.search(self.own_noise, line))]
        self.assertFalse(bad, text[-3000:])
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


class OverTls(FreeDiameter):
    """The same over TLS (GnuTLS on the other side). It checks that our certificate is for our Origin-Host."""
    stream = capture.TlsStream
    # after its own DPR its two threads shut the socket down one under the other: close_notify and a read then fail
    own_noise = r"fd_tls_rcvthr_core.*Transport endpoint is not connected|in 'gnutls_bye\(session.*push function"

    @classmethod
    def start_hss(cls):
        cls.dir = tempfile.mkdtemp(prefix="hss-fd-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.ca = tls.Authority(cls.dir)
        h = Hss(start=False)
        h.configure(tls=cls.ca.config(HOST), listen=[{"transport": "tls", "address": "127.0.0.1", "port": h.port}])
        return h.start()

    def secured(self, text, identity):
        certificate, key = self.ca.issue(identity)
        return text.replace("No_TLS; ", "") + (
            f'TLS_Cred = "{certificate}", "{key}";\nTLS_CA = "{self.ca.path}";\n'
            'TLS_Prio = "NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3";\n')

    def finish(self, started):
        result = super().finish(started)
        with open(started[1]) as f:
            self.assertNotIn("non-properly terminated", f.read(), "no close_notify")
        return result


class Relay(unittest.TestCase):
    """The MME is known to the HSS through the relay only: requests and answers, and the CLR's way back to it."""

    def setUp(self):
        self.hss = Hss()
        self.addCleanup(self.hss.close)
        self.hss.provision(50)
        self.mme_host = "mme.visited.test"
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(hss.TIMEOUT)
        self.addCleanup(listener.close)
        self.relay, self.log_path = self.start(listener.getsockname()[1])
        self.mme = Server(listener.accept()[0], self.mme_host, realm="visited.test")
        self.addCleanup(self.mme.close)
        self.hss.until(lambda: self.hss.ctl("peer", "show", "dra.core.test", check=False).returncode == 0, "the relay is there")

    def start(self, mme_port):
        with open(os.path.join(HERE, "fd", "relay.conf.in")) as f:
            text = f.read()
        path = os.path.join(self.hss.dir, "relay")
        with open(path + ".routes", "w") as f:
            f.write(f'dr="{REALM}" : "{HOST}" += 20 ;\n')
        for key, value in {"IDENTITY": "dra.core.test", "REALM": "core.test", "HSS": HOST, "PORT": capture.proxied(self, self.hss.port),
                           "ROUTES": path + ".routes", "MME": self.mme_host, "MMEPORT": mme_port}.items():
            text = text.replace(f"@{key}@", str(value))
        with open(path + ".conf", "w") as f:
            f.write(text)
        with open(path + ".log", "w") as log:
            process = subprocess.Popen(["freeDiameterd", "-c", path + ".conf"], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, path + ".log"

    def finish(self):
        """The relay leaves in order, and had nothing to complain of."""
        self.relay.terminate()
        self.mme.take(d.DPR)
        self.mme.close()
        self.relay.wait(hss.TIMEOUT)
        with open(self.log_path) as f:
            text = f.read()
        self.assertFalse(BAD.findall(text), text[-3000:])
        self.assertNotIn("dra.core.test", [row["host"] for row in self.hss.ctl("--json", "peer", "list").lines])

    def test_there_and_back(self):
        asked = [request for n in range(400) for request in
                 (self.mme.air(hss.imsi(1 + n % 50)), self.mme.ulr(hss.imsi(1 + n % 50)))]
        for at in range(0, len(asked), 32):
            self.mme.send(*asked[at:at + 32])
            for request in asked[at:at + 32]:
                answer = self.mme.wait(d.Message(request).hbh)
                self.assertEqual((answer.result, answer.one(d.ORIGIN_HOST).text), (2001, HOST))
                self.assertEqual(answer.one(d.SESSION_ID).data, d.Message(request).one(d.SESSION_ID).data)
        self.assertEqual(self.hss.location(hss.imsi(7))["mme"]["host"], self.mme_host)
        # another MME, connected directly, takes some over; the CLRs find the first one through the relay
        with d.Peer(self.hss.port, "mme.direct.test") as other:
            for n in range(1, 21):
                self.assertEqual(other.call(other.ulr(hss.imsi(n))).result, 2001)
        cancelled = set()
        for _ in range(20):
            clr = self.mme.take(d.CLR)
            self.assertEqual((clr.one(d.ORIGIN_HOST).text, clr.one(d.DEST_HOST).text), (HOST, self.mme_host))
            cancelled.add(clr.one(d.USER_NAME).text)
        self.assertEqual(cancelled, {hss.imsi(n) for n in range(1, 21)})
        self.hss.until(lambda: self.hss.metric("hss_initiated_requests_pending") == 0, "every CLR is answered")
        # defects are answered through it, too
        self.assertEqual(self.mme.call(self.mme.ulr("00101" + "9" * 10)).result, 5001)
        self.assertEqual(self.mme.call(self.mme.s6a(d.AIR, hss.imsi(5), [])).result, 5005)
        self.finish()


if __name__ == "__main__":
    unittest.main(verbosity=2)
