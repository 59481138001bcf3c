"""Certificates of a test: an authority and whatever it signs, made by the openssl command. And TLS peers.

    ca = Authority(directory)
    cert = ca.issue("mme.test")               # (certificate, key), SAN = the name
    ca.crl(cert)                              # path of a revocation list with it
"""
import datetime
import os
import socket
import ssl
import subprocess

import capture
import diameter as d
import hss


def openssl(*args, **how):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, **how)


class Authority:
    def __init__(self, directory, name="ca", parent=None, subject=None):
        """One that signs itself, or that another one signs. subject: its name, when it isn't that of its files."""
        self.dir, self.parent = directory, parent
        self.path, self.key = self.file(name + ".pem"), self.file(name + ".key")
        self.name = name
        self.serial = 1
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={subject or name}", "-keyout",
               self.key)
        what = "basicConstraints=critical,CA:TRUE"
        if not parent:
            openssl("req", "-x509", *new, "-days", 30, "-out", self.path, "-addext", what)
            return
        with open(self.file(name + ".ext"), "w") as f:
            f.write(what + "\n")
        openssl("req", *new, "-out", self.file(name + ".csr"))
        parent.sign(self.file(name + ".csr"), self.path, self.file(name + ".ext"), ["-days", 30])

    def file(self, name):
        return os.path.join(self.dir, name)

    def issue(self, host, names=None, days=30, file=None, key="ec", usage="serverAuth,clientAuth", san=None):
        """A certificate for these DNS names (default: the host), or with this subjectAltName as openssl has them. Negative
        days: it is expired."""
        base = self.file(f"{self.name}-{file or host}")
        names = [host] if names is None else names
        kind = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else [key]
        openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={host[:60]}", "-keyout", base + ".key",
                "-out", base + ".csr")
        with open(base + ".ext", "w") as f:
            if san or names:
                f.write("subjectAltName=" + (san or ",".join(f"DNS:{n}" for n in names)) + "\n")
            f.write(f"extendedKeyUsage={usage}\n")
        when = ["-days", days]
        if days < 0:  # `x509` of this version takes no dates: `ca` does
            conf = base + ".cnf"
            with open(base + ".index", "w"):
                pass
            with open(conf, "w") as f:
                f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}.index\nnew_certs_dir={self.dir}\n"
                        f"rand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
            openssl("ca", "-batch", "-config", conf, "-cert", self.path, "-keyfile", self.key, "-in", base + ".csr",
                    "-out", base + ".pem", "-extfile", base + ".ext", "-notext",
                    "-startdate", "20200101000000Z", "-enddate", "20200201000000Z")
        else:
            self.sign(base + ".csr", base + ".pem", base + ".ext", when)
        if self.parent:
            with open(base + ".pem", "ab") as f, open(self.path, "rb") as own:
                f.write(own.read())
        return base + ".pem", base + ".key"

    def sign(self, request, path, extensions, when):
        self.serial += 1
        openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-set_serial", self.serial, "-out", path,
                "-extfile", extensions, *when)

    def crl(self, *revoked, file=None, since=-1, until=24, more=0):
        """A list of these certificates, (path, key) each, from so many hours on to so many from now; and of that many more
        that nobody has."""
        base = self.file(file or self.name + "-crl")
        with open(base + ".index", "w") as index:
            index.writelines(f"R\t491231235959Z\t200101000000Z\t{n:X}\tunknown\t/CN=nobody\n" for n in
                             range(1 << 124, (1 << 124) + more))
            for certificate, _ in revoked:
                serial = openssl("x509", "-in", certificate, "-noout", "-serial").stdout.decode().strip().partition("=")[2]
                index.write(f"R\t491231235959Z\t200101000000Z\t{serial}\tunknown\t/CN=somebody\n")
        with open(base + ".cnf", "w") as f:
            f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}.index\ndefault_md=sha256\n")
        now = datetime.datetime.now(datetime.timezone.utc)
        openssl("ca", "-gencrl", "-config", base + ".cnf", "-cert", self.path, "-keyfile", self.key, "-out", base + ".pem",
                *(word for option, hours in (("-crl_lastupdate", since), ("-crl_nextupdate", until)) for word in
                  (option, f"{now + datetime.timedelta(hours=hours):%Y%m%d%H%M%SZ}")))
        return base + ".pem"

    def config(self, host, **more):
        """Section tls for this host's HSS."""
        certificate, key = self.issue(host)
        return {"certificate": certificate, "key": key, "ca": self.path, **more}


def context(ca, certificate=None):
    """A client's side, as a peer would have it: the HSS is checked, too."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.keylog_filename = capture.keys()
    c.load_verify_locations(ca.path)
    if certificate:
        c.load_cert_chain(*certificate)
    return c


def server_context(ca, certificate):
    """That of a peer whom the HSS connects to."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.keylog_filename = capture.keys()
    c.load_verify_locations(ca.path)
    c.verify_mode = ssl.CERT_REQUIRED
    c.load_cert_chain(*certificate)
    return c


def s_client(test, port, ca, *args, stdin=b""):
    """What openssl s_client says. It sends this and waits for the end of the connection."""
    keys = capture.keys()
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{capture.proxied(test, port, capture.TlsStream)}",
                           "-CAfile", ca.path, "-verify_return_error", "-ign_eof", *(["-keylogfile", keys] if keys else []), *args],
                          input=stdin, capture_output=True, timeout=hss.TIMEOUT, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


class TlsSocket:
    """TLS on a connected socket, through memory, so that the record gets what is on the wire."""

    def __init__(self, raw, context, record=None, **how):
        self.raw, self.record = raw, record or capture.stream(capture.TlsStream)
        self.ragged = False  # ended without close_notify
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **how)
        try:
            self.until_done(self.tls.do_handshake)
        except BaseException:
            self.record.ended(False)
            raise

    def __getattr__(self, name):
        return getattr(self.tls if name in ("version", "cipher", "getpeercert") else self.raw, name)

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.record.take(True, data)
            self.raw.sendall(data)

    def until_done(self, call, *args):
        while True:
            try:
                return call(*args)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.raw.recv(65536)
                if data:
                    self.record.take(False, data)
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            finally:
                self.flush()

    def pending(self):
        """Whether something may be read without the socket being readable."""
        return self.incoming.pending

    def recv(self, _):
        """All that there is, not only so many octets: no socket tells what OpenSSL has unpacked already."""
        data = b""
        try:
            data = some = self.until_done(self.tls.read, 65536)
            while some:
                some = self.tls.read(65536)
                data += some
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            self.ragged = True
        return data

    def sendall(self, data):
        self.until_done(self.tls.write, data)


class TlsSide:
    """A Peer whose socket is a TlsSocket."""

    def read(self, timeout=None):
        if self.socket.pending():
            self.buffer += self.socket.recv(65536)
        try:
            return super().read(timeout)
        except ssl.SSLError as e:
            self.record.ended(False)
            raise d.Closed from e

    def ends_well(self):
        """The HSS says close_notify before the end of the stream."""
        self.socket.settimeout(self.timeout)
        try:
            return self.socket.recv(1) == b"" and not self.socket.ragged
        except (ssl.SSLError, ConnectionError, socket.timeout):
            return False


class TlsPeer(TlsSide, d.Peer):
    """A Peer over TLS."""

    def __init__(self, port, host, context, server, capabilities=True, **how):
        super().__init__(port, host, capabilities=False, **how)
        try:
            self.socket = TlsSocket(self.socket, context, self.record, server_hostname=server)
            if capabilities:
                self.cea = self.call(self.cer())
                assert self.cea.result == 2001, self.cea.result
        except BaseException:
            self.close()
            raise

    def recorder(self):
        return capture.stream(capture.TlsStream)
