"""imstool digest and corehss.sip_digest: the worked numbers of RFCs and of another implementation (hashlib), requests as
they were copied from traces, the mistakes that are found, what passwords do not leak into; help, manual, completion."""
import hashlib
import json
import os
import re
import subprocess
import tempfile
import unittest

import imstool
from corehss import Error, sip_digest

with open(os.path.join(imstool.ROOT, "tests", "data", "digest.json")) as f:
    VECTORS = json.load(f)

REQUEST = """   REGISTER sips:ss2.biloxi.example.com SIP/2.0
   Via: SIP/2.0/TLS client.biloxi.example.com:5061;branch=z9hG4bKnashd92
   From: Bob <sips:bob@biloxi.example.com>;tag=ja743ks76zlflH
   CSeq: 2 REGISTER
   Authorization: Digest username="bob", realm="atlanta.example.com",
    nonce="ea9c8e88df84f1cec4341ae6cbe5a359", opaque="",
    uri="URI", response="bc2f51f99c2add3e9dfce04d43df0c6a"

"""
SHOWN = REQUEST.replace("URI", "sips:ss2.biloxi.example.com")  # as that article prints it
GOOD = REQUEST.replace("URI", "sips:biloxi.example.com")


def words_of(vector):
    words = ["digest", "--username", vector["username"], "--realm", vector["realm"], "--algorithm", vector["algorithm"]]
    for name in ("method", "uri", "nonce", "qop", "nc", "cnonce", "res", "ik", "ck"):
        if name in vector:
            words += ["--" + name, vector[name]]
    return words if "res" in vector else [*words, "--password", vector["password"]]


class Digest(unittest.TestCase):
    def test_worked_numbers(self):
        for vector in VECTORS:
            with self.subTest(vector["name"]), tempfile.NamedTemporaryFile() as body:
                body.write(vector.get("body", "").encode())
                body.flush()
                more = ["--body", body.name] if "body" in vector else []
                (row,) = imstool.rows(*words_of(vector), *more)
                for name in ("ha1", "ha2", "response"):
                    self.assertEqual(row[name], vector[name])

    def test_another_implementation(self):
        """The hashes are those of hashlib over the text that is said to have been hashed."""
        names = {"MD5": "md5", "SHA-256": "sha256", "SHA-512/256": "sha512_256"}
        for vector in VECTORS:
            if "res" in vector or "body" in vector:
                continue
            (row,) = imstool.rows(*words_of(vector), "--secrets")
            for name in ("ha1", "ha1_session", "ha2", "response"):
                if name in row:
                    hash, text = re.fullmatch(r"([A-Z0-9/-]+)\((.*)\)", row[name + "_of"]).groups()
                    self.assertEqual(row[name], hashlib.new(names[hash], text.encode()).hexdigest(), vector["name"])

    def test_text(self):
        done = imstool.run("digest", "--username", "bob", "--realm", "atlanta.example.com", "--password", "bobspassword",
                           "--method", "REGISTER", "--uri", "sips:biloxi.example.com", "--nonce",
                           "ea9c8e88df84f1cec4341ae6cbe5a359")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.splitlines(), [
            "algorithm    MD5",
            "HA1          2da91700e1ef4f38df91500c8729d35f  MD5(bob:atlanta.example.com:***)",
            "HA2          8f2d44a2696b3b3ed781d2f44375b3df  MD5(REGISTER:sips:biloxi.example.com)",
            "response     bc2f51f99c2add3e9dfce04d43df0c6a  MD5(2da91700e1ef4f38df91500c8729d35f:"
            "ea9c8e88df84f1cec4341ae6cbe5a359:8f2d44a2696b3b3ed781d2f44375b3df)"])

    def test_ha1_alone(self):
        (row,) = imstool.rows("digest", "--username", "bob", "--realm", "r", "--password-file", "-", input="secret\r\nx")
        self.assertEqual(row["ha1"], hashlib.md5(b"bob:r:secret").hexdigest())
        self.assertNotIn("response", row)

    def test_usage(self):
        for words, reason in ((["--username", "a"], "--username and --realm are needed"),
                              (["--username", "a", "--realm", "b"], "--password or --ha1 is needed"),
                              (["--username", "a", "--realm", "b", "--password", "c", "--ha1", "d"], "exclude each other"),
                              (["--username", "a", "--realm", "b", "--password", "c", "--method", "d"], "belong together"),
                              (["--username", "a", "--username", "b"], "--username is given twice"),
                              (["--algorithm", "SHA-1"], "unknown algorithm SHA-1"), (["--qop", "x"], "expected auth or"),
                              (["--username"], "--username: a value is missing"), (["--nothing"], "unknown option --nothing"),
                              (["word"], "word: expected options only"), (["--wordlist", "x"], "belongs to --check"),
                              (["--check", "-"], "--password, --ha1 or --wordlist is needed"),
                              (["--ha1", "12", "--method", "a", "--uri", "b", "--nonce", "c"], "expected 32 hex digits"),
                              (["--check", "-", "--ha1", "zz"], "expected 32 hex digits")):
            done = imstool.run("digest", *words, input=GOOD)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn(reason, done.stderr)
        done = imstool.run("digest", "--check", "/nonexistent", "--password", "x")
        self.assertEqual((done.returncode, done.stderr),
                         (1, "imstool digest: /nonexistent: No such file or directory\n"))
        self.assertEqual(imstool.run("nothing").returncode, 2)
        self.assertEqual(imstool.run().returncode, 2)


class Check(unittest.TestCase):
    def test_fits(self):
        done = imstool.run("digest", "--check", "-", "--password", "bobspassword", input=GOOD)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("\nit fits\n", done.stdout)
        done = imstool.run("digest", "--check", "-", "--ha1", "2DA91700E1EF4F38DF91500C8729D35F", input=GOOD)
        self.assertEqual(done.returncode, 0, done)

    def test_http(self):
        """RFC 7616 3.9.1, its answer with SHA-256."""
        request = ('GET /dir/index.html HTTP/1.1\r\nHost: www.example.org\r\nAuthorization: Digest username="Mufasa",\r\n'
                   '    realm="http-auth@example.org",\r\n    uri="/dir/index.html",\r\n    algorithm=SHA-256,\r\n'
                   '    nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",\r\n    nc=00000001,\r\n'
                   '    cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",\r\n    qop=auth,\r\n'
                   '    response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",\r\n'
                   '    opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"\r\n\r\n')
        done = imstool.run("digest", "--check", "-", "--password", "Circle of Life", input=request)
        self.assertEqual(done.returncode, 0, done)
        (row,) = imstool.rows("digest", "--check", "-", "--password", "Circle Of Life", input=request, status=1)
        self.assertEqual(row["mistakes"], [])

    def test_article(self):
        """Its header shows another URI than the one its response was made with."""
        done = imstool.run("digest", "--check", "-", "--password", "bobspassword", input=SHOWN)
        self.assertEqual(done.returncode, 1)
        self.assertIn("expected     e8bbc57b2a5c409bb03048d014d1384e\n", done.stdout)
        self.assertIn('would fit:   uri hashed as "sips:biloxi.example.com" in place of "sips:ss2.biloxi.example.com"',
                      done.stdout)
        (row,) = imstool.rows("digest", "--check", "-", "--password", "bobspassword", input=SHOWN, status=1)
        self.assertEqual([m["field"] for m in row["mistakes"]], ["uri"])

    def test_another_password(self):
        done = imstool.run("digest", "--check", "-", "--password", "other", input=GOOD)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no likely mistake makes it fit", done.stdout)

    def test_wordlist(self):
        with tempfile.NamedTemporaryFile("w") as f:
            f.write("1234\r\nbobspassword\r\nroot")
            f.flush()
            done = imstool.run("digest", "--check", "-", "--wordlist", f.name, input=GOOD)
            self.assertEqual(done.returncode, 0, done)
            self.assertIn(f'password "bobspassword" (line 2 of {f.name})', done.stdout)
            (row,) = imstool.rows("digest", "--check", "-", "--wordlist", f.name, "--password", "x", input=SHOWN, status=1)
            self.assertEqual((row["password"], row["wordlist_line"], row["mistakes"][0]["hashed"]),
                             ("bobspassword", 2, "sips:biloxi.example.com"))
            f.truncate(0)
            done = imstool.run("digest", "--check", "-", "--wordlist", f.name, input=GOOD)
            self.assertEqual(done.returncode, 1)
            self.assertIn("none of the words fits", done.stdout)

    def test_likely_mistakes(self):
        """A client that hashes something else than it sends, for each thing that it may be."""
        right = {"username": "alice@home.test", "realm": "home.test", "password": "pw", "method": "INVITE",
                 "uri": "sip:bob@home.test;user=phone"}
        for field, value in (("username", "alice"), ("realm", '"home.test"'), ("method", "REGISTER"), ("method", "ACK"),
                             ("uri", "sip:bob@192.0.2.9:5060"), ("uri", "sip:bob@home.test"), ("password", "pw\n"),
                             ("realm", "sip:home.test"), ("uri", '"sip:bob@home.test;user=phone"')):
            with self.subTest(field=field, value=value):
                r = {**right, field: value}
                h = [hashlib.md5(t.encode()).hexdigest() for t in ("{username}:{realm}:{password}".format(**r),
                                                                   "{method}:{uri}".format(**r))]
                response = hashlib.md5(f"{h[0]}:n:{h[1]}".encode()).hexdigest()
                request = (f'INVITE sip:bob@192.0.2.9:5060 SIP/2.0\r\nCSeq: 9 INVITE\r\nProxy-Authorization: Digest '
                           f'username="alice@home.test",realm="home.test",nonce="n",uri="sip:bob@home.test;user=phone",'
                           f'response="{response}"\r\n\r\n')
                (row,) = imstool.rows("digest", "--check", "-", "--password", "pw", "--secrets", input=request, status=1)
                self.assertEqual([(m["field"], m["hashed"]) for m in row["mistakes"]], [(field, value)])

    def test_aka(self):
        vector = next(v for v in VECTORS if v["algorithm"] == "AKAv1-MD5" and "qop" not in v)
        request = ('Authorization: Digest username="{username}",realm="{realm}",uri="{uri}",nonce="{nonce}",'
                   'response="{response}",algorithm=AKAv1-MD5').format(**vector)
        (row,) = imstool.rows("digest", "--check", "-", "--res", vector["res"], "--method", "REGISTER", input=request)
        self.assertEqual((row["fits"], row["rand"]), (True, "23553cbe9637a89d218ae64dae47bf35"))
        done = imstool.run("digest", "--check", "-", "--res", vector["res"], input=request)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--method is needed", done.stderr)

    def test_unreadable(self):
        done = imstool.run("digest", "--check", "-", "--password", "x", input="REGISTER sip:a SIP/2.0\nAuthorization: Digest a")
        self.assertEqual((done.returncode, done.stderr),
                         (1, "imstool digest: -: line 2, octet 45: expected NAME=VALUE\n"))
        done = imstool.run("digest", "--check", "-", "--password", "x", input="SIP/2.0 401 Unauthorized\n\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("an answer", done.stderr)

    def test_hostile_text(self):
        """Control characters of a request don't reach the terminal."""
        request = GOOD.replace('username="bob"', 'username="\x1b]0;x\x07bob\udcff"').encode(errors="surrogateescape")
        done = imstool.run("digest", "--check", "-", "--password", "x", input=request)
        self.assertEqual(done.returncode, 1)
        self.assertIn("\\x1b]0;x\\x07bob\\xff", done.stdout)
        (row,) = imstool.rows("digest", "--check", "-", "--password", "x", input=request, status=1)
        self.assertEqual(row["username"], "\x1b]0;x\x07bob\ufffd")


class Python(unittest.TestCase):
    def test_same_results(self):
        for vector in VECTORS:
            if "res" in vector:
                continue
            who = [vector[name] for name in ("username", "realm", "password")]
            more = {name: vector[name] for name in ("algorithm", "qop", "nc", "cnonce", "body") if name in vector}
            self.assertEqual(sip_digest.ha1(*who, algorithm=vector["algorithm"]), vector["ha1"])
            self.assertEqual(sip_digest.response(*who, vector["method"], vector["uri"], vector["nonce"], **more),
                             vector["response"])
            more = {name: more[name] for name in ("algorithm", "qop", "body") if name in more}
            self.assertEqual(sip_digest.ha2(vector["method"], vector["uri"], **more), vector["ha2"])

    def test_check(self):
        self.assertTrue(sip_digest.check(GOOD, "bobspassword")["fits"])
        self.assertEqual(sip_digest.check(SHOWN, "bobspassword")["mistakes"][0]["field"], "uri")
        self.assertTrue(sip_digest.check(GOOD, ha1="2da91700e1ef4f38df91500c8729d35f")["fits"])

    def test_errors(self):
        with self.assertRaisesRegex(Error, "unknown algorithm SHA-1") as raised:
            sip_digest.ha1("a", "b", "c", "SHA-1")
        self.assertEqual(raised.exception.status, 2)
        with self.assertRaisesRegex(Error, "no Digest credentials in it"):
            sip_digest.check("x", "y")
        self.addCleanup(os.environ.__setitem__, "COREHSS_IMSTOOL", imstool.PROGRAM)
        os.environ["COREHSS_IMSTOOL"] = "/nonexistent/imstool"
        with self.assertRaisesRegex(Error, "corehss-tools"):
            sip_digest.ha1("a", "b", "c")


class Written(unittest.TestCase):
    """What is written about imstool says all that there is."""
    @classmethod
    def setUpClass(cls):
        cls.commands = {}
        for line in imstool.run("--commands").stdout.splitlines():
            name, _, rest = line.partition(": ")
            cls.commands[name] = rest.split()

    def test_manual(self):
        with open(os.path.join(imstool.ROOT, "packaging", "man", "imstool.1")) as f:
            manual = f.read().replace("\\-", "-")
        for name, words in self.commands.items():
            for word in [name, *words]:
                if word not in ("FILE", "-"):
                    self.assertIn(word.partition("=")[0], manual, name)

    def test_help(self):
        for name in self.commands:
            done = imstool.run(name, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("examples:\n  imstool " + name, done.stdout)
            self.assertIn("usage: imstool " + name, done.stdout)
        self.assertEqual(imstool.run("--help").returncode, 0)
        self.assertRegex(imstool.run("--version").stdout, r"^imstool \d+\.\d+\.\d+\n$")

    def test_completion(self):
        script = os.path.join(imstool.ROOT, "tools", "imstool", "imstool.bash")
        ask = ". \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($#-1)); _imstool; echo \"${COMPREPLY[@]}\""
        for words, expected in (([""], {"digest", "ng", "rtp", "--help"}), (["digest", "--pass"], {"--password", "--password-file"}),
                                (["digest", "--qop", "a"], {"auth", "auth-int"}),
                                (["ng", "--server", "x:1", "li"], {"list"}), (["ng", "--transport", ""], {"udp", "tcp", "ws"}),
                                (["rtp", "pc"], {"pcap"}), (["digest", "--username", ""], set())):
            done = subprocess.run(["bash", "-c", ask, "bash", script, "imstool", *words], capture_output=True, text=True,
                                  env={**os.environ, "PATH": imstool.BIN + ":" + os.environ["PATH"]}, check=True)
            self.assertEqual(done.stderr, "")
            self.assertTrue(expected <= set(done.stdout.split()), (words, done))


if __name__ == "__main__":
    unittest.main(verbosity=2)
