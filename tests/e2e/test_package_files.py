"""What the packages ship beside the programs: example configurations, man pages, completion, one version, and the unit. The
packages themselves are built and installed by packaging/test."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import hss
import tls

PACKAGING = os.path.join(hss.ROOT, "packaging")
PROGRAMS = ("hssd", "hssctl", "hss-load", "imstool") + hss.ROLES


def read(*path):
    with open(os.path.join(hss.ROOT, *path), encoding="utf-8") as f:
        return f.read()


def version():
    return re.search(r"^project\(corehss VERSION (\S+)", read("CMakeLists.txt"), re.M).group(1)


class Examples(unittest.TestCase):
    """Each example passes --check with the installed directories replaced by ones that are here."""

    def check(self, name):
        with tempfile.TemporaryDirectory() as directory:
            ca = tls.Authority(directory)
            paths = ca.issue("hss", hss.HOST)
            text = read("packaging", "examples", name)
            uri = os.path.join(directory, "uri")
            with open(uri, "w", encoding="utf-8") as f:
                f.write("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100\n")
            for old, new in (("/etc/corehss/tls/hss.pem", paths[0]), ("/etc/corehss/tls/hss.key", paths[1]),
                             ("/etc/corehss/tls/peers-ca.pem", ca.path),
                             ("/run/credentials/corehss.service/mongodb", uri), ("/run/corehss", directory),
                             ("/var/lib/corehss", directory)):
                text = text.replace(old, new)
            path = os.path.join(directory, "hss.yaml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            return subprocess.run([os.path.join(hss.BIN, "hssd"), "--check", "--config", path], capture_output=True,
                                  text=True, check=False)

    def test_all_pass(self):
        names = sorted(os.listdir(os.path.join(PACKAGING, "examples")))
        self.assertEqual(names, ["dra.yaml", "filter-criteria.xml", "kamailio-ims.yaml", "mongodb.yaml", "open5gs.yaml", "tls.yaml"])
        for name in [n for n in names if n.endswith(".yaml")]: # tests/unit/test_ims_template.c reads the other one
            with self.subTest(name):
                done = self.check(name)
                self.assertEqual(done.returncode, 0, done.stderr)


class Version(unittest.TestCase):
    def test_every_program_tells_it(self):
        for program in PROGRAMS:
            with self.subTest(program):
                done = subprocess.run([os.path.join(hss.BIN, program), "--version"], capture_output=True, text=True,
                                      check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertRegex(done.stdout, rf"^{program} (\(corehss\) )?{re.escape(version())}\n$")

    def test_changelog_begins_with_it(self):
        first = re.search(r"^## (.*)$", read("CHANGELOG.md"), re.M).group(1)
        self.assertRegex(first, rf"^{re.escape(version())} \((unreleased|\d{{4}}-\d\d-\d\d)\)$")

    def test_debian_changelog(self):
        done = subprocess.run([os.path.join(PACKAGING, "debian-changelog"), os.path.join(hss.ROOT, "CHANGELOG.md"), "9.8~7",
                               "1764500000"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("corehss (9.8~7) unstable; urgency=medium\n\n  * "), done.stdout)
        self.assertRegex(done.stdout, r"\n -- [^<]+ <[^>]+>  \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\n")


class Pages(unittest.TestCase):
    def test_every_program_has_a_man_page(self):
        pages = {os.path.basename(p).rsplit(".", 1)[0] for p in glob.glob(os.path.join(PACKAGING, "man", "*.[158]"))}
        self.assertGreaterEqual(pages, set(PROGRAMS) | {"hss.yaml"})

    def test_page_of_the_configuration_has_every_option(self):
        page = read("packaging", "man", "hss.yaml.5").replace("\\-", "-")
        rows = read("config", "options.def") + read("apps", "s6a", "options.def")
        for path in re.findall(r'^(?:OPTION|LIST|LIST_AT)\("([^"]+)"', rows, re.M):
            self.assertIn(f"\n.B {path}\n", page)


class Zsh(unittest.TestCase):
    """The completion function of zsh, with what offers candidates replaced by one that prints them."""

    def test_completion(self):
        self.assertTrue(shutil.which("zsh"), "zsh is not installed (tools/install-packages test)")

        def candidates(*words):
            script = f"""
compadd() {{ print -l -- "${{(@P)2}}" ; }}
_files() {{ print -- FILES ; }}
words=(hssctl {' '.join(f"'{w}'" for w in words)} '')
CURRENT=${{#words}}
hssctl() {{ {os.path.join(hss.BIN, 'hssctl')} "$@" ; }}
source {os.path.join(PACKAGING, 'completion', '_hssctl')}
"""
            done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=False)
            self.assertEqual(done.stderr, "")
            return set(done.stdout.split())

        self.assertGreaterEqual(candidates(), {"subscriber", "sqn", "status", "--json"})
        self.assertGreaterEqual(candidates("subscriber"), {"add", "show", "import"})
        self.assertNotIn("status", candidates("subscriber"))
        self.assertGreaterEqual(candidates("subscriber", "add"), {"--k", "--k-file", "--opc"})
        self.assertIn("FILES", candidates("subscriber", "import"))
        self.assertEqual(candidates("log", "level"), {"error", "warn", "info", "debug"})


class Unit(unittest.TestCase):
    def unit(self, reload):
        text = read("packaging", "systemd", "corehss.service.in")
        return text.replace("@HSS_UNIT_TYPE@", reload).replace("@CMAKE_INSTALL_FULL_SBINDIR@", "/usr/sbin")

    def test_exposure_is_at_most_2(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "corehss.service")
            with open(path, "w", encoding="utf-8") as f:
                f.write(self.unit("Type=notify"))
            done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", path],
                                  capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertLessEqual(float(re.search(r"exposure level for corehss.service: ([\d.]+)", done.stdout).group(1)), 2.0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
