"""TLS on its own port (RFC 6733: the handshake comes before the CER): who is let in, who is refused and with which
line of the log, certificates that change while it runs, handshakes that stall."""
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import capture
import diameter as d
import hss
from hss import FIRST, HOST, REALM, Hss, free_port
from tls import Authority, TlsPeer, context, openssl, s_client

HERE = os.path.dirname(os.path.abspath(__file__))


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="hss-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.ca = Authority(cls.dir)
        cls.mme = cls.ca.issue("mme.test")
        cls.tls_port = free_port()
        cls.hss = Hss(start=False)
        cls.addClassCleanup(cls.hss.close)
        cls.hss.env = {**cls.hss.env, "SSLKEYLOGFILE": os.path.join(cls.dir, "keys")}
        cls.hss.configure(tls=cls.ca.config(HOST), limits={"cer_timeout_ms": 2000, "max_half_open": 20},
                          listen=[{"transport": "tcp", "address": "127.0.0.1", "port": cls.hss.port},
                                  {"transport": "tls", "address": "127.0.0.1", "port": cls.tls_port}])
        cls.hss.start()
        cls.hss.provision(20)

    def peer(self, host="mme.test", certificate=None, **how):
        p = TlsPeer(self.tls_port, host, context(self.ca, certificate or self.mme), HOST, **how)
        self.addCleanup(p.close)
        return p

    def s_client(self, *args, **how):
        return s_client(self, self.tls_port, self.ca, *args, **how)

    def refused(self, reason, *args):
        """s_client with these arguments is refused, with one line that says why."""
        start = len(self.hss.log())
        said = self.s_client(*args)
        line = self.hss.wait_log(rf"tls_refused .*(?:{reason}).*", start=start)
        self.assertEqual(len(re.findall("tls_refused", self.hss.log()[start:])), 1)
        self.assertRegex(line.group(), 'address="127.0.0.1:[0-9]+"')
        return said

    # --- who is let in

    def test_a_peer(self):
        p = self.peer()
        self.assertIn(p.socket.version(), ("TLSv1.3",))
        self.assertEqual(p.call(p.air(FIRST)).result, 2001)
        row = next(r for r in self.hss.ctl("--json", "peer", "list").lines if r["host"] == "mme.test")
        self.assertEqual(row["transport"], "tls")
        asked = subprocess.Popen([os.path.join(self.hss.bin, "hssctl"), "--socket", self.hss.socket, "peer", "disconnect",
                                  "mme.test"])
        p.take(d.DPR)
        self.assertTrue(p.ends_well(), "no close_notify")
        self.assertEqual(asked.wait(hss.TIMEOUT), 0)

    def test_openssl(self):
        """openssl s_client as a peer: it brings a CER and a DPR, and checks our name; we end the connection."""
        asks = d.Peer(self.hss.port, "mme.test", capabilities=False)
        self.addCleanup(asks.close)
        said = self.s_client("-quiet", "-verify_hostname", HOST, "-cert", self.mme[0], "-key", self.mme[1],
                             stdin=asks.cer() + asks.dpr())
        self.assertEqual(len(re.findall(f"(?<!CN = )(?<!CN=){HOST}", said)), 2)  # as Origin-Host of CEA and DPA

    def test_tls_1_2(self):
        c = context(self.ca, self.mme)
        c.maximum_version = ssl.TLSVersion.TLSv1_2
        with TlsPeer(self.tls_port, "mme.test", c, HOST) as p:
            self.assertEqual(p.socket.version(), "TLSv1.2")
            self.assertIn("GCM", p.socket.cipher()[0])
            self.assertEqual(p.call(p.air(FIRST)).result, 2001)
            p.disconnect()

    def test_case_of_the_name(self):
        p = self.peer("MME.Test")
        p.disconnect()

    def test_many_and_large(self):
        """Messages behind each other in one record, one message in many, and one longer than a record."""
        p = self.peer("mme3.test", self.ca.issue("mme3.test"))
        asked = [p.air(FIRST, vectors=5) for _ in range(300)]
        p.send(*asked)
        for m in asked:
            self.assertEqual(p.wait(d.Message(m).hbh).result, 2001)
        one = p.air(FIRST)
        for i in range(0, len(one), 50):
            p.socket.sendall(one[i:i + 50])
        self.assertEqual(p.wait(d.Message(one).hbh).result, 2001)
        large = p.air(FIRST, more=[d.avp(d.PROXY_INFO, [d.avp(280, "proxy.test"), d.avp(33, "x" * 60000)])])
        answer = p.call(large)
        self.assertEqual(answer.result, 2001)
        self.assertEqual(len(answer.one(d.PROXY_INFO).one(33).data), 60000)
        p.disconnect()

    def test_load(self):
        """hss-load over TLS, more at a time than its share of the workers: every vector is verified."""
        certificate, key = self.ca.issue("load.test")
        port = capture.proxied(self, self.tls_port, capture.TlsStream)
        done = self.hss.run("hss-load", "air", "--connect", f"127.0.0.1:{port}", "--json", "--imsi", FIRST,
                            "--subscribers", 20, "--requests", 6000, "--window", 3000, "--k", hss.K, "--opc", hss.OPC, "--verify", "all",
                            "--host", "load.test", "--dest-host", HOST, "--tls-ca", self.ca.path, "--tls-cert", certificate,
                            "--tls-key", key, env=capture.environment())
        self.assertEqual(done.json["results"], {"2001": 6000})
        self.assertEqual(done.json["bad_vectors"], 0)

    # --- who is not

    def test_another_ones_certificate(self):
        with self.peer("mme2.test", capabilities=False) as p:
            self.assertEqual(p.call(p.cer()).result, 3010)
            self.assertTrue(p.ends_well())
        self.hss.wait_log('peer_rejected peer="mme2.test" .*result=3010 reason="the certificate is that of mme.test"')

    def test_names_that_are_nearly_it(self):
        for i, names in enumerate((["*.near.test"], ["mme.near.test.evil.test"], ["evil.mme.near.test"], ["mme.near.test."],
                                   [])):
            certificate = self.ca.issue("mme.near.test", names, file=f"near{i}")
            with self.peer("mme.near.test", certificate, capabilities=False) as p:
                self.assertEqual(p.call(p.cer()).result, 3010, names)
        with self.peer(".near.test", self.ca.issue("sub.near.test"), capabilities=False) as p:
            self.assertIn(p.call(p.cer()).result, (3010, 5004))

    def test_names_that_are_none(self):
        """Only DNS names count, and their whole length: an address, a URI and a mailbox are no host's name."""
        def der(name):  # subjectAltName ::= SEQUENCE OF, with one dNSName [2]
            return "DER:" + (bytes([0x30, len(name) + 2, 0x82, len(name)]) + name).hex(":")
        for i, (host, san) in enumerate((
                ("mme.san.test", der(b"mme.san.test\0.evil.test")), ("mme.san.test", der(b"mme.san.test\0")),
                ("mme.san.test", "URI:aaa://mme.san.test,URI:mme.san.test,email:mme.san.test@mme.san.test"),
                ("mme.san.test", "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:mme.san.test,RID:1.2.3"),
                ("127.0.0.1", "IP:127.0.0.1"))):
            start = len(self.hss.log())
            with self.peer(host, self.ca.issue("mme.san.test", file=f"san{i}", san=san), capabilities=False) as p:
                self.assertEqual(p.call(p.cer()).result, 3010, san)
            line = self.hss.wait_log(f'peer_rejected peer="{host}" .*reason="the certificate is that of .*', start=start)
            if i < 2:  # all of the name is told
                self.assertRegex(line.group(), r"of mme\.san\.test\?(\.evil\.test)?\"")

    def test_several_names(self):
        """One of them is the peer's; case doesn't count."""
        certificate = self.ca.issue("other.test", san="IP:127.0.0.1,DNS:other.test,DNS:MME.Several.TEST")
        for host in ("mme.several.test", "other.test", "MME.SEVERAL.test"):
            self.peer(host, certificate).disconnect()

    def test_no_certificate(self):
        self.refused("peer did not return a certificate")

    def test_unknown_authority(self):
        other = Authority(self.dir, "other")
        certificate, key = other.issue("mme.test")
        said = self.refused('certificate="mme.test" reason="unable to get local issuer certificate"', "-cert",
                            certificate, "-key", key)
        self.assertIn("alert", said)

    def test_self_made(self):
        path = os.path.join(self.dir, "self")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 30, "-subj", "/CN=mme.test", "-keyout",
                path + ".key", "-out", path + ".pem", "-addext", "subjectAltName=DNS:mme.test")
        self.refused('reason="self-signed certificate"', "-cert", path + ".pem", "-key", path + ".key")

    def test_expired(self):
        certificate, key = self.ca.issue("mme.test", days=-1, file="expired")
        said = self.refused('certificate="mme.test" reason="certificate has expired"', "-cert", certificate, "-key", key)
        self.assertIn("expired", said)

    def test_not_for_clients(self):
        certificate, key = self.ca.issue("mme.test", file="server-only", usage="serverAuth")
        self.refused("unsuitable certificate purpose", "-cert", certificate, "-key", key)

    def test_old_versions(self):
        for version in ("-tls1", "-tls1_1"):
            self.refused("unsupported protocol", version, "-cipher", "ALL:@SECLEVEL=0", "-cert", self.mme[0], "-key",
                         self.mme[1])

    def test_weak_ciphers(self):
        for cipher in ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "aNULL"):
            self.refused("no shared cipher", "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0", "-cert", self.mme[0], "-key",
                         self.mme[1])

    def test_weak_key(self):
        """OpenSSL doesn't sign with it itself unless told: the client has no security level."""
        certificate, key = self.ca.issue("mme.test", file="weak", key="rsa:1024")
        self.refused("ee key too small|EE certificate key too weak", "-cipher", "ALL:@SECLEVEL=0", "-cert", certificate,
                     "-key", key)

    def test_not_tls(self):
        start = len(self.hss.log())
        with socket.create_connection(("127.0.0.1", self.tls_port), timeout=hss.TIMEOUT) as s:
            s.sendall(d.message(d.CER, [], flags=d.REQUEST, app=0))
            self.assertIn(s.recv(100)[:1], (b"", b"\x15"))
        self.hss.wait_log('tls_refused .*reason="wrong version number"', start=start)

    # --- while it runs

    def test_reload(self):
        """A new authority and certificate count for those who come later; who is connected stays."""
        old = self.peer("stays.test", self.ca.issue("stays.test"))
        fresh = Authority(self.dir, "fresh")
        paths = self.hss.config["tls"]
        kept = {key: pathlib.Path(paths[key]).read_bytes() for key in ("certificate", "key", "ca")}
        certificate, key = fresh.issue(HOST)

        def replace(key, data):
            with open(paths[key], "wb") as f:
                f.write(data)

        def put_back():
            for key, data in kept.items():
                replace(key, data)
            self.hss.reload()
        self.addCleanup(put_back)
        # a key that isn't the certificate's: nothing changes
        replace("key", pathlib.Path(key).read_bytes())
        start = len(self.hss.log())
        self.hss.reload()
        self.hss.wait_log("frontend-0: tls_file_refused .*key values mismatch", start=start)
        self.peer().disconnect()
        # a file that is away: the reload is refused as a whole
        os.rename(paths["ca"], paths["ca"] + ".away")
        start = len(self.hss.log())
        self.hss.reload()
        self.hss.wait_log("hssd: reload_refused .*No such file", start=start)
        replace("certificate", pathlib.Path(certificate).read_bytes())
        replace("ca", pathlib.Path(fresh.path).read_bytes())
        start = len(self.hss.log())
        self.hss.reload()
        self.hss.wait_log("frontend-0: tls_loaded", start=start)
        with TlsPeer(self.tls_port, "new.test", context(fresh, fresh.issue("new.test")), HOST) as p:
            self.assertEqual(p.call(p.air(FIRST)).result, 2001)
            p.disconnect()
        with self.assertRaises((ssl.SSLError, d.Closed, ConnectionError)):
            self.peer()
        self.assertEqual(old.call(old.air(FIRST)).result, 2001)
        old.disconnect()

    def test_a_frontend_that_restarts(self):
        """BOOT brings the files again: hssd's descriptors are where they were, whoever read them before."""
        self.hss.kill_role("frontend-0")
        self.peer().disconnect()

    def test_who_holds_the_key(self):
        """The key's descriptor is hssd's alone: frontends have read and closed it, nobody else ever gets it."""
        for name, pid in self.hss.pids().items():
            try:
                held = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
            except PermissionError:
                self.skipTest("needs root")
            self.assertFalse([h for h in held if h.endswith((".key", ".pem"))], name)

    def test_keys_are_not_written_down(self):
        """Not even when the environment asks for it: only test clients do that."""
        self.peer().disconnect()
        self.assertFalse(os.path.exists(self.hss.env["SSLKEYLOGFILE"]))

    # --- handshakes that stall

    def test_many_at_once(self):
        """15 whose handshakes meet: one step of one in a turn of the event loop, and all of them come to their end."""
        peers, halves = [], []
        for _ in range(15):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            side = context(self.ca, self.mme).wrap_bio(incoming, outgoing, server_hostname=HOST)
            with self.assertRaises(ssl.SSLWantReadError):
                side.do_handshake()
            s = socket.create_connection(("127.0.0.1", self.tls_port), timeout=hss.TIMEOUT)
            self.addCleanup(s.close)
            halves.append((s, outgoing.read(), incoming, outgoing, side))
        for s, hello, *_ in halves:
            s.sendall(hello)
        for s, _, incoming, outgoing, side in halves:
            while True:
                incoming.write(s.recv(65536) or self.fail("closed"))
                try:
                    side.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    s.sendall(outgoing.read())
            peers.append((s, outgoing.read(), incoming, side))
        for s, finished, *_ in peers:
            s.sendall(finished)
        for s, _, _, side in peers:
            self.assertIn(side.version(), ("TLSv1.2", "TLSv1.3"))
            s.close()
        self.peer().disconnect()

    def test_stalled(self):
        """20 connections that say nothing, or half a ClientHello, end after cer_timeout_ms; others are served."""
        start = len(self.hss.log())
        p = self.peer("busy.test", self.ca.issue("busy.test"))
        stalled = []
        for i in range(20):
            s = socket.create_connection(("127.0.0.1", self.tls_port), timeout=hss.TIMEOUT)
            self.addCleanup(s.close)
            if i % 2:
                s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            stalled.append(s)
        self.hss.until(lambda: self.hss.metric("hss_connections_accepted_total") -
                       self.hss.metric("hss_connections_closed_total") >= 21)
        # the limit of this address is reached, for both ports
        with socket.create_connection(("127.0.0.1", self.hss.port), timeout=hss.TIMEOUT) as s:
            self.assertEqual(s.recv(1), b"")
        self.hss.wait_log('too_many_half_open address="127.0.0.1:[0-9]+" limit=20', start=start)
        begin = time.monotonic()
        for _ in range(200):
            self.assertEqual(p.call(p.air(FIRST)).result, 2001)
        self.assertLess(time.monotonic() - begin, 2 if hss.sanitized(self.hss.bin) else 1)
        for s in stalled:
            self.assertEqual(s.recv(1), b"")
        self.peer().disconnect()
        self.hss.wait_log("tls_unfinished", start=start)

    def test_garbage_and_half_messages(self):
        """Records that break the session, and ends without close_notify, cost the peer its connection only."""
        healthy = self.peer("healthy.test", self.ca.issue("healthy.test"))
        p = self.peer("broken.test", self.ca.issue("broken.test"))
        raw = socket.socket(fileno=os.dup(p.socket.fileno()))
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.hss.wait_log('tls_broken .*certificate="broken.test"')
        raw.close()
        p = self.peer("gone.test", self.ca.issue("gone.test"))
        p.send(p.air(FIRST)[:40])
        os.close(p.socket.detach())
        self.hss.wait_log('peer_down peer="gone.test"')
        self.assertEqual(healthy.call(healthy.air(FIRST)).result, 2001)
        healthy.disconnect()

    def test_a_slow_reader(self):
        """Answers that the peer doesn't read wait in the HSS; every one arrives when it reads again."""
        p = self.peer("slow.test", self.ca.issue("slow.test"))
        asked = [p.air(FIRST, vectors=5) for _ in range(4000)]
        p.socket.settimeout(hss.TIMEOUT)
        sent = 0
        for i in range(0, len(asked), 100):
            p.send(*asked[i:i + 100])
            sent += 100
        results = {}
        while len(results) < sent:
            m = p.read()
            if m.is_request:
                p.answer(m)
            else:
                results[m.hbh] = m.result
        self.assertEqual(set(results.values()) - {2001, 3004}, set())
        p.disconnect()


class Optional(unittest.TestCase):
    def test_no_certificate(self):
        directory = tempfile.mkdtemp(prefix="hss-tls-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        ca = Authority(directory)
        port = free_port()
        with Hss(tls=ca.config(HOST, verify="optional"),
                 listen=[{"transport": "tls", "address": "127.0.0.1", "port": port}]) as h:
            h.provision(1)
            with TlsPeer(port, "anybody.test", context(ca), HOST) as p:
                self.assertEqual(p.call(p.air(FIRST)).result, 2001)
            # a certificate that is shown must be right all the same
            with TlsPeer(port, "anybody.test", context(ca, ca.issue("mme.test")), HOST, capabilities=False) as p:
                self.assertEqual(p.call(p.cer()).result, 3010)
            other = Authority(directory, "other")
            with self.assertRaises((ssl.SSLError, d.Closed, ConnectionError)):
                TlsPeer(port, "mme.test", context(ca, other.issue("mme.test")), HOST)

    def test_files_that_are_wrong(self):
        directory = tempfile.mkdtemp(prefix="hss-tls-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        ca = Authority(directory)
        good = ca.config(HOST)
        locked = os.path.join(directory, "locked.key")
        openssl("pkcs8", "-topk8", "-in", good["key"], "-passout", "pass:x", "-out", locked)
        cut = os.path.join(directory, "cut.pem")
        with open(good["ca"], encoding="ascii") as whole, open(cut, "w", encoding="ascii") as f:
            text = whole.read()
            f.write(text + text[:len(text) // 2])
        for key, path, said in (("ca", good["key"], "tls_file_refused path=.*ca-.*key"),
                                ("ca", cut, "tls_file_refused path=.*cut.pem"),
                                ("certificate", cut, "tls_file_refused path=.*cut.pem"),
                                ("certificate", "/dev/null", "tls_file_refused path=\"/dev/null\""),
                                ("key", locked, "tls_file_refused path=.*locked.key"),
                                ("key", "/nowhere/key", "hssd: tls: /nowhere/key: No such file")):
            h = Hss(start=False, tls={**good, key: path},
                    listen=[{"transport": "tls", "address": "127.0.0.1", "port": free_port()}])
            try:
                h.start(wait=False)
                self.assertEqual(h.wait_exit(), 1)
                self.assertRegex(h.log(), said)
            finally:
                h.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
