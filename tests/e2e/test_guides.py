"""The guides' commands, run as they stand: every block marked `sh`, in order, in one shell for each guide. Directories and
addresses of an installed package are replaced by ones of the test; systemctl is one that starts and stops this HSS."""
import glob
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import textwrap
import unittest

import hss

GUIDES = os.path.join(hss.ROOT, "docs", "guides")
SYSTEMCTL = """#!/bin/bash
# start, restart, enable --now: the HSS of this test, until it serves
set -e
case " $* " in
*" restart "*) [ ! -e hssd.pid ] || { kill -TERM $(cat hssd.pid); tail --pid=$(cat hssd.pid) -f /dev/null; } ;;
esac
hssd --config etc/hss.yaml >>hssd.log 2>&1 </dev/null &
echo $! >hssd.pid
for _ in $(seq 600); do
	hssctl status >/dev/null 2>&1 && exit 0
	kill -0 $(cat hssd.pid)
	sleep 0.1
done
exit 1
"""


def blocks(name):
    with open(os.path.join(GUIDES, name), encoding="utf-8") as f:
        return re.findall(r"^```sh\n(.*?)^```$", f.read(), re.M | re.S)


class Guides(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="hss-guide-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.ports = {port: str(hss.free_port()) for port in ("3868", "5868", "9868")}
        for name in ("etc", "run", "state", "bin"):
            os.mkdir(os.path.join(self.dir, name), 0o700)
        path = os.path.join(self.dir, "bin", "systemctl")
        with open(path, "w", encoding="utf-8") as f:
            f.write(SYSTEMCTL)
        os.chmod(path, 0o755)
        with open(os.path.join(self.dir, "uri"), "w", encoding="utf-8") as f:
            f.write("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100\n")
        shutil.copy(os.path.join(GUIDES, "pyhss.py"), self.dir)
        self.addCleanup(self.stop)

    def stop(self):
        try:
            with open(os.path.join(self.dir, "hssd.pid"), encoding="ascii") as f:
                pid = int(f.read())
            os.kill(pid, signal.SIGTERM)
            if not hss.wait_dead(pid, 15):
                os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass

    def replaced(self, text):
        for old, new in (("/etc/corehss", f"{self.dir}/etc"), ("/run/corehss", f"{self.dir}/run"),
                         ("/var/lib/corehss", f"{self.dir}/state"), ("/usr/share/doc/corehss/examples", f"{self.dir}/examples"),
                         ("/run/credentials/corehss.service/mongodb", f"{self.dir}/uri"), ("192.0.2.10", "127.0.0.1"),
                         ("127.0.0.8", "127.0.0.1"), *self.ports.items()):
            text = text.replace(old, new)
        # what an example or a guide leaves at its default
        text = re.sub(r"(?m)^( *- \{ transport: tls, address: 127.0.0.1)( \})", rf"\1, port: {self.ports['5868']}\2", text)
        if "state_dir" not in text:
            text = re.sub(r"(?m)^(identity:)$", rf"state_dir: {self.dir}/state\n\1", text)
        if "admin:" not in text:
            text = re.sub(r"(?m)^(identity:)$", rf"admin: {{ socket: {self.dir}/run/admin.sock }}\n\1", text)
        if hss.sanitized(hss.BIN):
            text = re.sub(r"(?m)^(identity:)$", r"sandbox: false\n\1", text)
        return text

    def run_guide(self, name, before=""):
        os.mkdir(os.path.join(self.dir, "examples"))
        for path in glob.glob(os.path.join(hss.ROOT, "packaging", "examples", "*.yaml")):
            with open(path, encoding="utf-8") as f, \
                 open(os.path.join(self.dir, "examples", os.path.basename(path)), "w", encoding="utf-8") as out:
                out.write(self.replaced(f.read()))
        env = {**os.environ, "PATH": f"{self.dir}/bin:{hss.BIN}:{os.environ['PATH']}",
               "COREHSS_SOCKET": f"{self.dir}/run/admin.sock"}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", self.replaced(before + "".join(blocks(name)))], cwd=self.dir, env=env, capture_output=True,
                              text=True, check=False, timeout=300)
        log = ""
        if os.path.exists(os.path.join(self.dir, "hssd.log")):
            with open(os.path.join(self.dir, "hssd.log"), encoding="utf-8", errors="replace") as f:
                log = f.read()[-3000:]
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}\n{log}")
        return done.stdout

    # a service to import into, where a guide begins with one
    SERVICE = textwrap.dedent("""\
        cat >/etc/corehss/hss.yaml <<'END'
        identity:
          host: hss01.epc.mnc001.mcc001.3gppnetwork.org
          realm: epc.mnc001.mcc001.3gppnetwork.org
        listen:
          - { transport: tcp, address: 127.0.0.1, port: 3868 }
        END
        systemctl start corehss
        """)

    def test_every_guide_is_here(self):
        guides = {os.path.basename(p) for p in glob.glob(os.path.join(GUIDES, "*.md"))} - {"README.md"}
        with open(os.path.join(GUIDES, "README.md"), encoding="utf-8") as f:
            self.assertEqual(set(re.findall(r"^\| \[(\S+\.md)\]", f.read(), re.M)), guides)
        tested = {m.replace("test_guide_", "").replace("_", "-") + ".md" for m in dir(self) if m.startswith("test_guide_")}
        self.assertEqual(tested, guides)

    def test_guide_lte_in_ten_minutes(self):
        out = self.run_guide("lte-in-ten-minutes.md")
        self.assertIn("mme01.epc.mnc001.mcc001.3gppnetwork.org", out)

    def test_guide_from_pyhss(self):
        db = sqlite3.connect(os.path.join(self.dir, "hss.db"))
        db.executescript("""
            CREATE TABLE apn(apn_id INTEGER PRIMARY KEY, apn TEXT, ip_version INTEGER, apn_ambr_dl INTEGER, apn_ambr_ul INTEGER,
                qci INTEGER, arp_priority INTEGER, arp_preemption_capability BOOLEAN, arp_preemption_vulnerability BOOLEAN);
            CREATE TABLE auc(auc_id INTEGER PRIMARY KEY, ki TEXT, opc TEXT, amf TEXT, sqn BIGINT, iccid TEXT, imsi TEXT);
            CREATE TABLE subscriber(subscriber_id INTEGER PRIMARY KEY, imsi TEXT, enabled BOOLEAN, auc_id INTEGER,
                default_apn INTEGER, apn_list TEXT, msisdn TEXT, ue_ambr_dl INTEGER, ue_ambr_ul INTEGER, nam INTEGER,
                subscribed_rau_tau_timer INTEGER);
            INSERT INTO apn VALUES(1, 'internet', 2, 1000000000, 500000000, 9, 8, 0, 1), (2, 'ims', 0, 256000, 256000, 5, 1, 1, 0);
            """)
        db.execute("INSERT INTO auc VALUES(7, ?, ?, '8000', 8192, '89', ?)", (hss.K, hss.OPC, hss.imsi(2)))
        db.execute("INSERT INTO subscriber VALUES(1, ?, 1, 7, 2, '1,2', '491510000002', 999999, 999999, 0, 300)", (hss.imsi(2),))
        db.commit()
        db.close()
        out = self.run_guide("from-pyhss.md", self.SERVICE)
        self.assertIn("491510000002", out)
        self.assertLess(out.index('"ims"' if '"ims"' in out else "ims"), out.rindex("internet"), "the default one is first")
        self.assertRegex(out, r"sqn.*8192")

    def test_guide_from_open5gs_hssd(self):
        shutil.copy(os.path.join(hss.ROOT, "tests", "data", "subscribers.jsonl"), self.dir)
        out = self.run_guide("from-open5gs-hssd.md", self.SERVICE)
        self.assertIn("0 refused", out)

    def test_guide_ims_with_kamailio(self):
        out = self.run_guide("ims-with-kamailio.md")
        self.assertIn("tel:+15550100001", out)
        self.assertIn("vector 1: verified (MAC, XRES, CK, IK)", out)
        self.assertIn("<Identity>sip:+15550100001@ims.mnc001.mcc001.3gppnetwork.org</Identity>", out)

    def test_guide_tls_between_sites(self):
        self.run_guide("tls-between-sites.md", self.SERVICE)

    def test_guide_two_nodes_one_mongodb(self):
        self.assertEqual(self.run_guide("two-nodes-one-mongodb.md").count(": good\n"), 2)

    def test_guide_capacity(self):
        self.assertIn("1000 imported, 0 refused", self.run_guide("capacity.md", self.SERVICE))


if __name__ == "__main__":
    unittest.main(verbosity=2)
