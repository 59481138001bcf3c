"""The audit log, and the socket that is for looking only."""
import json
import os
import pwd
import stat
import subprocess
import unittest

import hss
from hss import Hss, imsi


class Audit(unittest.TestCase):
    def setUp(self):
        self.hss = Hss()
        self.addCleanup(self.hss.close)

    def entries(self, *args):
        return self.hss.ctl("--json", "audit", *args).lines

    def test_who_what_before_after(self):
        h, one = self.hss, imsi(1)
        h.ctl("subscriber", "add", one, "--k", hss.K, "--opc", hss.OPC, "--msisdn", "491510000001")
        h.ctl("subscriber", "set", one, "subscriber_status=1", "security.k=00112233445566778899aabbccddeeff")
        h.ctl("subscriber", "set", imsi(2), "subscriber_status=1", check=False)
        h.ctl("sqn", "set", one, "65536")
        h.ctl("subscriber", "show", one)
        h.ctl("subscriber", "show", one, "--secrets")
        h.ctl("subscriber", "delete", one)
        entries = self.entries()
        self.assertEqual([e["command"] for e in entries],
                         ["subscriber add", "subscriber set", "subscriber set", "sqn set", "subscriber show",
                          "subscriber delete"])
        self.assertEqual({e["uid"] for e in entries}, {os.getuid()})
        added, changed, refused, sqn, shown, deleted = entries
        self.assertEqual((added["before"], added["after"]["msisdn.0"], added["after"]["security.k"]),
                         ({}, "491510000001", "***"))
        self.assertEqual(changed["before"], {"subscriber_status": 0, "security.k": "***"})
        self.assertEqual(changed["after"], {"subscriber_status": 1, "security.k": "***"})
        self.assertEqual((refused["status"], refused["imsi"], refused["after"]), (1, imsi(2), {}))
        self.assertTrue(refused["error"])
        self.assertEqual(list(sqn["after"]), ["security.sqn"])
        self.assertEqual((shown["secrets"], shown["after"]), (True, {}))
        self.assertEqual(deleted["after"], {})
        self.assertEqual([e["command"] for e in self.entries("--imsi", imsi(2))], ["subscriber set"])
        text = h.ctl("audit").stdout
        self.assertIn(f"Z {pwd.getpwuid(os.getuid()).pw_name}: subscriber set {one}\n", text)
        self.assertIn("    subscriber_status: 0 -> 1\n", text)
        path = os.path.join(h.state_dir, "audit.log")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="utf-8") as f:
            log = f.read().lower()
        for key in (hss.K, hss.OPC, "00112233445566778899aabbccddeeff"):
            self.assertNotIn(key.lower(), log)

    def test_commands_of_other_processes(self):
        h = self.hss
        h.ctl("log", "level", "debug")
        h.ctl("reload")
        h.ctl("peer", "disconnect", "nobody.test", check=False)
        h.until(lambda: len(self.entries()) == 3, "the notes have arrived")
        self.assertEqual([(e["command"], e["status"]) for e in self.entries()],
                         [("log level", 0), ("reload", 0), ("peer disconnect", 1)])
        self.assertEqual(self.entries()[0]["level"], "debug")

    def test_rotation(self):
        h = self.hss
        path = os.path.join(h.state_dir, "audit.log")
        line = json.dumps({"command": "old", "pad": "x" * 1000}) + "\n"
        with open(path, "w", encoding="ascii") as f:
            f.write(line * ((16 << 20) // len(line) + 1))
        h.ctl("subscriber", "add", imsi(1), "--k", hss.K, "--opc", hss.OPC)  # the last one of that file
        h.ctl("subscriber", "delete", imsi(1))
        with open(path, encoding="utf-8") as f:
            self.assertEqual([json.loads(x)["command"] for x in f], ["subscriber delete"])
        self.assertEqual([e["command"] for e in self.entries("--imsi", imsi(1))], ["subscriber add", "subscriber delete"])


class Looking(unittest.TestCase):
    def test_changes_and_keys_are_refused(self):
        h = Hss(start=False)
        self.addCleanup(h.close)
        path = os.path.join(h.dir, "look.sock")
        h.configure(admin={"socket": h.socket, "readonly_socket": path})
        h.start()
        h.ctl("subscriber", "add", imsi(1), "--k", hss.K, "--opc", hss.OPC)

        def look(*args):
            return subprocess.run([os.path.join(hss.BIN, "hssctl"), "--socket", path, *args], capture_output=True, text=True,
                                  check=False)

        for words in (("status",), ("subscriber", "list"), ("subscriber", "show", imsi(1)), ("sqn", "show", imsi(1)),
                      ("peer", "list"), ("stats",), ("config", "show"), ("store", "status")):
            self.assertEqual(look(*words).returncode, 0, words)
        for words in (("subscriber", "delete", imsi(1)), ("subscriber", "show", imsi(1), "--secrets"), ("reload",),
                      ("subscriber", "export", "-"), ("backup", os.path.join(h.dir, "b")), ("sqn", "jump"), ("audit",),
                      ("log", "level", "debug"), ("subscriber", "import", "/dev/null")):
            done = look(*words)
            self.assertEqual(done.returncode, 1, words)
            self.assertIn("this socket is for looking only", done.stderr)
            self.assertNotIn(hss.K, done.stdout.upper())
        self.assertEqual(h.stop(), 0)
        self.assertFalse(os.path.exists(path))

    def test_groups(self):
        """A member of admin.readonly_group looks and has no way to the other socket."""
        if os.getuid() != 0:
            self.skipTest("takes other users' names")
        h = Hss(start=False)
        self.addCleanup(h.close)
        path = os.path.join(h.dir, "look.sock")
        h.configure(admin={"socket": h.socket, "group": "sys", "readonly_socket": path, "readonly_group": "games"})
        h.start()
        os.chmod(h.dir, 0o755)

        def as_group(group, socket):
            return subprocess.run(["setpriv", "--reuid", "nobody", "--regid", group, "--clear-groups",
                                   os.path.join(hss.BIN, "hssctl"), "--socket", socket, "status"], capture_output=True,
                                  text=True, check=False).returncode

        self.assertEqual((as_group("games", path), as_group("games", h.socket)), (0, 1))
        self.assertEqual((as_group("sys", path), as_group("sys", h.socket)), (1, 0))


if __name__ == "__main__":
    unittest.main(verbosity=2)
