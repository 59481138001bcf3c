"""What is written down is so: the reference of the configuration is that of the options, the packaged file is accepted,
and a mistake in it is told with file, line, key and what was expected."""
import os
import pwd
import re
import socket
import subprocess
import sys
import tempfile
import unittest

import hss

PACKAGED = os.path.join(hss.ROOT, "packaging", "hss.yaml")


def check(path):
    return subprocess.run([os.path.join(hss.BIN, "hssd"), "--check", "--config", path], capture_output=True, text=True,
                          check=False)


def user_exists(name):
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def kernel_has_sctp():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


class Docs(unittest.TestCase):
    def test_configuration_reference(self):
        done = subprocess.run([sys.executable, os.path.join(hss.ROOT, "tools", "gen-docs.py"), "--check"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_packaged_configuration(self):
        done = check(PACKAGED)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_commented_examples(self):
        """What the packaged file shows in comments is accepted too, once the # is gone."""
        with open(PACKAGED) as f:
            text = re.sub(r"(?m)^( *)# ( *(?:[a-z0-9_]+:|- {))", r"\1\2", f.read())
        self.assertIn("\nlimits:\n", text)
        self.assertIn("allow_xor: false", text)
        if not kernel_has_sctp():
            text, removed = re.subn(r"(?m)^ *- { transport: sctp, .*\n", "", text)
            self.assertEqual(removed, 1)
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "hss.yaml")
            with open(path, "w") as f:
                f.write(text)
            # each file that is missing is named, with its option and line; so is the user of the package
            missing = check(path)
            self.assertEqual(missing.returncode, 1)
            for option, named in (("user", "corehss: no such user"), ("tls.certificate", "/etc/corehss/tls/hss.pem: No such"),
                                  ("tls.key", "/etc/corehss/tls/hss.key: No such"),
                                  ("s6a.op_file", "/etc/corehss/op: No such")):
                if option != "user" or not user_exists("corehss"):
                    self.assertRegex(missing.stderr, rf"(?m)^hssd: {path}:[0-9]+: {option}: {named}")
            for name, kind in (("hss.pem", "CERTIFICATE"), ("hss.key", "PRIVATE KEY"), ("peers-ca.pem", "CERTIFICATE"),
                               ("peers-crl.pem", "X509 CRL")):
                with open(os.path.join(directory, name), "w") as f:
                    f.write(f"-----BEGIN {kind}-----\n")
            with open(os.path.join(directory, "op"), "w") as f:
                f.write("00112233445566778899aabbccddeeff\n")
            text = re.sub(r"\b(user|group): corehss\b", r"\1: root", text)
            text = text.replace("/etc/corehss/tls", directory).replace("/etc/corehss/op", os.path.join(directory, "op"))
            with open(path, "w") as f:
                f.write(text)
            done = check(path)
        self.assertEqual(done.returncode, 0, done.stderr + text)

    def test_mistake(self):
        with open(PACKAGED) as f:
            text = f.read().replace("workers: 2", "workers: 200")
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text)
            f.flush()
            done = check(f.name)
            line = text[:text.index("workers: 200")].count("\n") + 1
            self.assertEqual(done.returncode, 1)
            self.assertIn(f'{f.name}:{line}: workers: expected a whole number from 1 to 64 processes, got "200"',
                          done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
