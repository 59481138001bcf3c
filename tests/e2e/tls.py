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

import diameter as d


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

    def issue(self, host, names=None, days=30, file=None, key="ec", usage="serverAuth,clientAuth"):
        """A certificate for these DNS names (default: the host). Negative days: it is expired."""
        base = self.file(f"{self.name}-{file or host}")
        names = [host] if names is None else names
        kind = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else [key]
        openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={host[:60]}", "-keyout", base + ".key",
                "-out", base + ".csr")
        with open(base + ".ext", "w") as f:
            if names:
                f.write("subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n")
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

    def crl(self, *revoked, file=None, since=-1, until=24):
        """A list of these certificates, (path, key) each, from so many hours on to so many from now."""
        base = self.file(file or self.name + "-crl")
        with open(base + ".index", "w") as index:
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
    c.load_verify_locations(ca.path)
    if certificate:
        c.load_cert_chain(*certificate)
    return c


def server_context(ca, certificate):
    """That of a peer whom the HSS connects to."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_verify_locations(ca.path)
    c.verify_mode = ssl.CERT_REQUIRED
    c.load_cert_chain(*certificate)
    return c


class TlsPeer(d.Peer):
    """A Peer over TLS."""

    def __init__(self, port, host, context, server, capabilities=True, **how):
        super().__init__(port, host, capabilities=False, **how)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=server)
        except BaseException:
            self.close()
            raise
        if capabilities:
            self.cea = self.call(self.cer())
            assert self.cea.result == 2001, self.cea.result

    def read(self, timeout=None):
        # what OpenSSL has unpacked already makes no socket readable
        if self.socket.pending():
            self.buffer += self.socket.recv(self.socket.pending())
        try:
            return super().read(timeout)
        except ssl.SSLError as e:
            self.record.ended(False)
            raise d.Closed from e

    def ends_well(self):
        """The HSS says close_notify before the end of the stream."""
        self.socket.settimeout(self.timeout)
        try:
            return self.socket.recv(1) == b""
        except (ssl.SSLError, ConnectionError, socket.timeout):
            return False
