"""Debian's Kamailio as I-CSCF and S-CSCF, and a phone that registers there: in a network of their own, so that names and
ports are theirs. Each file of ims/ is a template."""
import base64
import glob
import hashlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time

from sim import Sim

HERE = os.path.dirname(os.path.abspath(__file__))
ICSCF, SCSCF, HSS, AS, PHONE = "127.0.3.1", "127.0.3.2", "127.0.3.10", "127.0.3.20", "127.0.3.100"
DOMAIN, PORT, AS_PORT = "ims.example", 3868, 5090
MODULES = (glob.glob("/usr/lib/*/kamailio/modules/") or [""])[0]


def own_network():
    """Runs this program again in a network, mount and user namespace of its own."""
    if os.environ.get("HSS_OWN_NETWORK"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    os.environ["HSS_OWN_NETWORK"] = "1"
    os.execvp("unshare", ["unshare", "-r", "-n", "-m", sys.executable, *sys.argv])


def own_hosts(directory):
    path = os.path.join(directory, "hosts")
    with open(path, "w") as f:
        f.write(f"127.0.0.1 localhost\n{ICSCF} icscf.{DOMAIN}\n{SCSCF} scscf.{DOMAIN}\n{HSS} hss.{DOMAIN}\n{AS} as.{DOMAIN}\n")
    subprocess.run(["mount", "--bind", path, "/etc/hosts"], check=True)


class Core:
    """The two CSCFs. scheme: AKAv1-MD5, or HSS-Selected, with which the S-CSCF asks for "unknown"."""

    def __init__(self, directory, scheme):
        self.directory, self.processes = directory, []
        schema = sorted(glob.glob("/usr/share/doc/kamailio*/examples/ims/scscf/CxDataType_Rel8.xsd"))
        with_schema = f'modparam("ims_registrar_scscf", "user_data_xsd", "{schema[0]}")' if schema else ""
        os.makedirs(os.path.join(directory, "dbtext"), exist_ok=True)
        for name, text in (("s_cscf", "id(int) name(string) s_cscf_uri(string)\n1:scscf:sip\\:scscf.ims.example\\:6060\n"),
                           ("s_cscf_capabilities", "id(int) id_s_cscf(int) capability(int)\n1:1:0\n2:1:1\n"),
                           ("nds_trusted_domains", f"id(int) trusted_domain(string)\n1:{DOMAIN}\n")):
            with open(os.path.join(directory, "dbtext", name), "w") as f:
                f.write(text)
        for name, address, accept in (("icscf", ICSCF, 3869), ("scscf", SCSCF, 3870)):
            words = {"NAME": name, "ADDRESS": address, "ACCEPT": str(accept), "PORT": str(PORT), "DIR": directory,
                     "MODULES": MODULES, "SCHEME": scheme, "SCHEMA": with_schema}
            for source, target in (("cscf.xml.in", f"{name}.xml"), ("common.cfg.in", f"{name}.common.cfg"),
                                   (f"{name}.cfg.in", f"{name}.cfg")):
                with open(os.path.join(HERE, "ims", source)) as f:
                    text = re.sub(r"@([A-Z]+)@", lambda m: words[m[1]], f.read())
                with open(os.path.join(directory, target), "w") as f:
                    f.write(text)

    def start(self):
        for name in ("icscf", "scscf"):
            run = os.path.join(self.directory, name)
            os.makedirs(run, exist_ok=True)
            with open(os.path.join(self.directory, name + ".log"), "ab") as log:
                self.processes.append(subprocess.Popen(
                    ["kamailio", "-DD", "-E", "-m", "64", "-M", "8", "-f", os.path.join(self.directory, name + ".cfg"), "-Y", run,
                     "-P", os.path.join(run, "pid")], stdout=log, stderr=log))

    def log(self, name):
        with open(os.path.join(self.directory, name + ".log"), errors="replace") as f:
            return f.read()

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []


def have_kamailio():
    return bool(shutil.which("kamailio")) and os.path.exists(os.path.join(MODULES, "ims_registrar_scscf.so"))


def md5(*parts):
    return hashlib.md5(b":".join(p if isinstance(p, bytes) else p.encode() for p in parts)).hexdigest()


class Phone:
    """A SIP user agent: with a SIM (k, opc) or a password."""

    def __init__(self, user, private, k=None, opc=None, password=None, port=5080):
        self.user, self.private, self.password = user, private, password
        self.sim = Sim(k, opc) if k else None
        self.sqn = 0  # the highest that the SIM has seen
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((PHONE, port))
        self.port = port
        self.call, self.cseq = f"{random.getrandbits(64):x}@phone", 0

    def close(self):
        self.socket.close()

    def ask(self, method, to, headers, body=""):
        """(code, text) of the final answer; the request is repeated as UDP asks for (RFC 3261 17.1.2), but
        late: nothing is lost here, and what a busy machine has only begun would be answered twice, with two challenges."""
        self.cseq += 1
        text = (f"{method} {to} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE}:{self.port};branch=z9hG4bK{random.getrandbits(64):x};rport\r\n"
                f"From: <sip:{self.user}@{DOMAIN}>;tag=1\r\nTo: <{to if method != 'REGISTER' else f'sip:{self.user}@{DOMAIN}'}>\r\n"
                f"Call-ID: {self.call}\r\nCSeq: {self.cseq} {method}\r\nMax-Forwards: 20\r\n{headers}"
                f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
        deadline, wait = time.monotonic() + 60, 5
        while time.monotonic() < deadline:
            self.socket.sendto(text, (ICSCF, 5060))
            self.socket.settimeout(wait)
            wait *= 2
            try:
                while True:
                    answer = self.socket.recv(65536).decode(errors="replace")
                    first = answer.split(None, 2)
                    if first[0] == "SIP/2.0" and f"CSeq: {self.cseq} " in answer and int(first[1]) >= 200:
                        return int(first[1]), answer
            except socket.timeout:
                pass
        return 0, ""

    def authorization(self, answer, ahead=None):
        found = dict(re.findall(r'(\w+)="?([^",\r]*)"?', re.search(r"WWW-Authenticate: Digest (.*)", answer)[1]))
        secret, more = self.password or "", ""
        if self.sim:
            challenge = base64.b64decode(found["nonce"])
            self.sqn, secret, ck, ik = self.sim.answer(challenge[:16], challenge[16:32])  # refuses a wrong AUTN
            assert found.get("ck", ck.hex()) == ck.hex() and found.get("ik", ik.hex()) == ik.hex()
            if ahead is not None:
                auts = self.sim.auts(challenge[:16], ahead)
                more, secret = f', auts="{base64.b64encode(auts).decode()}"', b""
        uri = f"sip:{DOMAIN}"
        response = md5(md5(self.private, found["realm"], secret), found["nonce"], "00000001", "0a4f113b", "auth", md5("REGISTER", uri))
        return (f'Authorization: Digest username="{self.private}", realm="{found["realm"]}", nonce="{found["nonce"]}", uri="{uri}", '
                f'response="{response}", algorithm={found["algorithm"]}, qop=auth, nc=00000001, cnonce="0a4f113b"{more}\r\n')

    def register(self, expires=600, ahead=None):
        """The code of the last answer. ahead: the SIM has seen this SQN, and says so once."""
        headers = (f"Contact: <sip:{self.user}@{PHONE}:{self.port}>;expires={expires}\r\nP-Visited-Network-ID: {DOMAIN}\r\n"
                   "Supported: path\r\n")
        blank = f'Authorization: Digest username="{self.private}", realm="{DOMAIN}", nonce="", uri="sip:{DOMAIN}", response=""\r\n'
        code, answer = self.ask("REGISTER", f"sip:{DOMAIN}", headers + blank)
        if code == 401 and ahead is not None:
            code, answer = self.ask("REGISTER", f"sip:{DOMAIN}", headers + self.authorization(answer, ahead))
        for _ in range(3):  # a busy Kamailio may forget its challenge and make a new one, which a phone answers as well
            if code == 401:
                code, answer = self.ask("REGISTER", f"sip:{DOMAIN}", headers + self.authorization(answer))
        self.last = answer
        return code

    def message(self, to):
        return self.ask("MESSAGE", to, "Content-Type: text/plain\r\n", "hello")[0]


class ApplicationServer:
    """Answers every request with 200 and remembers it."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((AS, AS_PORT))

    def take(self, timeout=20):
        self.socket.settimeout(timeout)
        text, peer = self.socket.recvfrom(65536)
        lines = text.decode(errors="replace").split("\r\n")
        kept = [line for line in lines[1:] if re.match(r"(Via|From|To|Call-ID|CSeq):", line)]
        self.socket.sendto(("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""])).encode(), peer)
        return lines[0]

    def close(self):
        self.socket.close()
