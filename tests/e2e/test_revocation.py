"""Revocation lists of the authorities that sign peers' certificates (tls.crl): who is refused, at the door and at the reload
that brings a list; lists that are too old, missing, broken or not their authority's."""
import os
import re
import shutil
import socket
import ssl
import tempfile
import unittest

import diameter as d
import hss
from hss import FIRST, HOST, Hss, free_port
from test_dial import TlsServer
from tls import Authority, TlsPeer, TlsSocket, context, s_client, server_context

REFUSED = (ssl.SSLError, d.Closed, ConnectionError)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="hss-crl-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.ca = Authority(cls.dir)
        cls.good = cls.ca.issue("good.test")
        cls.bad = cls.ca.issue("bad.test")

    def start(self, crl, ca=None, programs=None, **config):
        """An HSS with a copy of these revocation lists, which `replace` overwrites."""
        self.lists = os.path.join(self.dir, "lists.pem")
        self.replace(crl)
        self.tls_port = free_port()
        self.hss = Hss(start=False, bin=programs)
        self.addCleanup(self.hss.close)
        self.hss.configure(tls={**self.ca.config(HOST), "ca": ca or self.ca.path, "crl": self.lists},
                           listen=[{"transport": "tls", "address": "127.0.0.1", "port": self.tls_port}], **config)
        self.hss.start()
        self.hss.provision(1)

    def replace(self, *paths, more=b""):
        """By a rename, so that nobody ever reads half of it."""
        with open(self.lists + ".new", "wb") as f:
            for path in paths:
                with open(path, "rb") as one:
                    f.write(one.read())
            f.write(more)
        os.rename(self.lists + ".new", self.lists)

    def reload(self):
        """Where the log was before it."""
        start = len(self.hss.log())
        self.hss.reload()
        self.hss.wait_log("frontend-0: (tls_loaded|tls_unchanged)", start=start)
        return start

    def peer(self, host, certificate, ca=None):
        p = TlsPeer(self.tls_port, host, context(ca or self.ca, certificate), HOST)
        self.addCleanup(p.close)
        return p

    def served(self, p):
        self.assertEqual(p.call(p.air(FIRST)).result, 2001)

    def refused(self, reason, host, certificate, ca=None):
        start = len(self.hss.log())
        with self.assertRaises(REFUSED):
            self.peer(host, certificate, ca)
        self.hss.wait_log(f'tls_refused address="127.0.0.1:[0-9]+" certificate="{host}" reason="{reason}"', start=start)
        self.assertEqual(len(re.findall("tls_refused", self.hss.log()[start:])), 1)


class Lists(Case):
    def test_revoked_and_not(self):
        """As openssl s_client sees it, too: an alert that says so."""
        self.start(self.ca.crl(self.bad))
        self.assertRegex(self.hss.log(), 'tls_loaded .*revocation_lists=1')
        self.assertNotRegex(self.hss.log(), "tls_crl_|without_crl")
        self.served(self.peer("good.test", self.good))
        self.refused("certificate revoked", "bad.test", self.bad)
        said = s_client(self, self.tls_port, self.ca, "-cert", self.bad[0], "-key", self.bad[1])
        self.assertIn("alert certificate revoked", said)

    def test_a_reload_brings_a_revocation(self):
        """Its peer is disconnected with DPR and one line; others stay as they are, until a list has them."""
        self.start(self.ca.crl(), peers={"list": [{"host": "bad.test", "transport": "tls"}]})
        good, bad = self.peer("good.test", self.good), self.peer("bad.test", self.bad)
        self.reload()
        self.served(bad)
        self.replace(self.ca.crl(self.bad))
        start = self.reload()
        self.assertEqual(bad.take(d.DPR).one(d.DISCONNECT_CAUSE).number, 0)
        with self.assertRaises(d.Closed):
            bad.read()
        self.served(good)
        self.assertEqual(re.findall("peer_not_admitted.*", self.hss.log()[start:]),
                         ['peer_not_admitted_any_more peer="bad.test" reason="certificate revoked"'])
        self.refused("certificate revoked", "bad.test", self.bad)
        # with another certificate it is who it was
        self.served(self.peer("bad.test", self.ca.issue("bad.test", file="bad-again")))
        # who is not listed is not wanted any more
        self.replace(self.ca.crl(self.bad, self.good))
        self.reload()
        self.assertEqual(good.take(d.DPR).one(d.DISCONNECT_CAUSE).number, 2)
        # without lists nothing is looked up
        self.hss.configure(tls={**self.hss.config["tls"], "crl": ""})
        self.reload()
        self.served(self.peer("good.test", self.good))

    def test_old_lists(self):
        """Past its next update: nobody knows who is revoked. In the last quarter of its time: a warning only."""
        self.start(self.ca.crl(since=-80, until=10))
        self.assertRegex(self.hss.log(), f'tls_crl_expires_soon path="{self.lists}" authority="/CN=ca" until="20[0-9T:-]+Z"')
        good = self.peer("good.test", self.good)
        self.replace(self.ca.crl(since=-80, until=-1))
        start = self.reload()
        self.hss.wait_log(f'tls_crl_expired path="{self.lists}" authority="/CN=ca" until="20', start=start)
        self.served(good)
        self.refused("CRL has expired", "mme.test", self.ca.issue("mme.test"))
        self.replace(self.ca.crl(since=1, until=10))
        start = self.reload()
        self.hss.wait_log("tls_crl_not_yet_valid", start=start)
        self.refused("CRL is not yet valid", "mme.test", self.ca.issue("mme.test"))
        self.replace(self.ca.crl())
        self.reload()
        self.served(self.peer("mme.test", self.ca.issue("mme.test")))

    def test_it_runs_out_meanwhile(self):
        """Told when it comes near and when it is past, without a reload; the metric says it, too."""
        self.start(self.ca.crl(since=-0.01, until=0.005))  # for 54 s, of which 18 s are left
        self.hss.wait_log("frontend-0: tls_crl_expires_soon")
        self.assertEqual(self.hss.metric("hss_tls_expired"), 0)
        self.hss.until(lambda: self.hss.alarms() == {("certificate-expires", "")}, "the alarm is raised")
        self.served(self.peer("good.test", self.good))
        self.hss.wait_log("frontend-0: tls_crl_expired")
        self.assertEqual(self.hss.metric("hss_tls_expired"), 1)
        self.hss.until(lambda: self.hss.alarms() == {("certificate-expired", "")}, "another alarm is raised")
        self.refused("CRL has expired", "good.test", self.good)
        self.assertEqual(len(re.findall("tls_crl_", self.hss.log())), 2)
        self.replace(self.ca.crl())
        self.reload()
        self.hss.until(lambda: self.hss.metric("hss_tls_expired") == 0)
        self.hss.until(lambda: not self.hss.alarms(), "the alarms are cleared")

    def test_an_authority_without_a_list(self):
        other = Authority(self.dir, "other")
        both = os.path.join(self.dir, "both.pem")
        with open(both, "wb") as f:
            for path in (self.ca.path, other.path):
                with open(path, "rb") as one:
                    f.write(one.read())
        self.start(self.ca.crl(), ca=both)
        self.assertRegex(self.hss.log(), f'tls_authority_without_crl path="{self.lists}" authority="/CN=other"')
        self.assertNotIn('authority="/CN=ca"', self.hss.log())
        self.served(self.peer("good.test", self.good))
        mme = other.issue("mme.test")
        theirs = context(self.ca, mme)
        with self.assertRaises(REFUSED):
            TlsPeer(self.tls_port, "mme.test", theirs, HOST)
        self.hss.wait_log('tls_refused .*certificate="mme.test" reason="unable to get certificate CRL"')
        self.replace(self.ca.crl(), other.crl())
        start = self.reload()
        self.assertRegex(self.hss.log()[start:], "revocation_lists=2")
        with TlsPeer(self.tls_port, "mme.test", theirs, HOST) as p:
            self.served(p)

    def test_chains(self):
        """An authority below the root: its list counts for whom it signed, the root's, when there is one, for itself."""
        below = Authority(self.dir, "below", parent=self.ca)
        mme, lost = below.issue("mme.test"), below.issue("lost.test")
        self.start(below.crl(lost))
        self.hss.wait_log('tls_authority_without_crl .*authority="/CN=ca"')
        p = self.peer("mme.test", mme)
        self.served(p)
        self.refused("certificate revoked", "lost.test", lost)
        self.refused("unable to get certificate CRL", "good.test", self.good)
        self.replace(below.crl(lost), self.ca.crl())
        self.reload()
        self.served(p)
        self.served(self.peer("good.test", self.good))
        self.replace(below.crl(), self.ca.crl((below.path, below.key)))
        self.reload()
        self.assertEqual(p.take(d.DPR).command, d.DPR)
        self.refused("certificate revoked", "lost.test", lost)

    def test_memory(self):
        """Lists that were replaced are gone, whoever connected while they counted. Release build: sanitizers keep memory."""
        programs = os.environ.get("HSS_RELEASE_BIN") or hss.BIN
        if hss.sanitized(programs):
            self.skipTest("for a release build")
        self.start(self.ca.crl(more=50000), programs=programs)

        def resident():
            with open(f"/proc/{self.hss.pid('frontend-0')}/status") as f:
                return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
        for n in range(8):
            host = f"mme{n}.test"
            self.served(self.peer(host, self.ca.issue(host)))
            self.reload()
            if n == 2:
                before = resident()  # of one list in use and one that is read
        self.assertLess(resident() - before, 15000)  # a list is 10 MiB

    def test_own_connections(self):
        """Whom we connect to shows a certificate that is revoked; and one that a reload revokes."""
        at = socket.create_server(("127.0.0.1", 0))
        at.settimeout(hss.TIMEOUT)
        self.addCleanup(at.close)
        host = "dra.test"
        lost, fresh = self.ca.issue(host, file="lost"), self.ca.issue(host, file="fresh")
        self.start(self.ca.crl(lost), peers={"list": [{"host": host, "addresses": ["127.0.0.1"], "port": at.getsockname()[1],
                                                       "connect": True, "transport": "tls"}]})
        raw = at.accept()[0]
        self.addCleanup(raw.close)
        raw.settimeout(hss.TIMEOUT)
        with self.assertRaises(REFUSED):
            TlsSocket(raw, server_context(self.ca, lost), server_side=True).recv(1) or self.fail("no alert")
        self.hss.wait_log(f'tls_refused .*certificate="{host}" reason="certificate revoked"')
        dra = TlsServer(TlsSocket(at.accept()[0], server_context(self.ca, fresh), server_side=True), host)
        self.addCleanup(dra.close)
        self.served(dra)
        self.replace(self.ca.crl(lost, fresh))
        start = self.reload()
        self.assertEqual(dra.take(d.DPR).command, d.DPR)
        self.hss.wait_log(f'peer_not_admitted_any_more peer="{host}" reason="certificate revoked"', start=start)


class Files(Case):
    """Those that are no use: nothing changes, and somebody says why."""

    def wrong(self):
        """(what it is, its content, what is said of it)."""
        with open(self.ca.crl(), "rb") as f:
            good = f.read()
        twin = Authority(self.dir, "twin", subject="ca")
        with open(twin.crl(), "rb") as f:
            forged = f.read()
        with open(self.ca.path, "rb") as f:
            certificate = f.read()
        middle = len(good) // 2
        return (("empty", b"", "no start line"), ("no PEM", b"\0" * 5000, "no start line"),
                ("a certificate", certificate, "no start line"),
                ("one octet", good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1:], ".+"),
                ("the second one is cut", good + good[:middle], ".+"),
                ("signed by another one of that name", forged, "crl verify failure"))

    def test_at_a_reload(self):
        self.start(self.ca.crl(self.bad))
        good = self.peer("good.test", self.good)
        for what, content, reason in self.wrong():
            with self.subTest(what):
                self.replace(more=content)
                start = self.reload()
                self.hss.wait_log(f'tls_file_refused path="{self.lists}" reason="{reason}"', start=start)
                self.hss.wait_log("frontend-0: tls_unchanged", start=start)
                self.refused("certificate revoked", "bad.test", self.bad)
                self.served(good)

    def test_at_the_start(self):
        path = os.path.join(self.dir, "wrong.pem")
        node = Hss(start=False)
        self.addCleanup(node.close)
        node.configure(tls={**self.ca.config(HOST), "crl": path},
                       listen=[{"transport": "tls", "address": "127.0.0.1", "port": free_port()}])
        check = lambda: node.run("hssd", "--check", "--config", node.config_path, check=False)
        def refused(why):
            done = check()
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, rf"^hssd: {node.config_path}:[0-9]+: tls.crl: {path}: {why}\n$")

        refused("No such file or directory")
        with open(path, "wb") as f:
            f.write(b"garbage\n")
        refused("expected revocation lists in PEM form")
        node.start(wait=False)
        self.assertEqual(node.wait_exit(), 1)
        self.assertRegex(node.log(), f'tls_file_refused path="{path}" reason="no start line"')
        shutil.copy(self.ca.crl(), path)
        self.assertEqual((check().returncode, check().stderr), (0, ""))
        os.unlink(path)
        os.mkdir(path)
        self.assertIn(f"tls.crl: {path}: expected a regular file", check().stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
