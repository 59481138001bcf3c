"""S13: an MME asks whether a phone may be used. The lists, their order of precedence, what is refused and why; hssctl's part;
every acknowledged entry survives kill -9."""
import json
import os
import subprocess
import unittest

import diameter as d
from hss import FIRST, Hss, imsi

S13 = 16777252
ECR, TERMINAL, IMEI, SV, MEID, STATUS = 324, 1401, 1402, 1403, 1471, 1445
WHITE, BLACK, GREY = 0, 1, 2
PHONE = "35622506141324"


class Equipment(unittest.TestCase):
    def setUp(self):
        self.h = Hss()
        self.addCleanup(self.h.close)
        self.connect()

    def connect(self):
        self.mme = d.Peer(self.h.port, "mme.test", capabilities=False)
        self.addCleanup(self.mme.close)
        self.assertEqual(self.mme.call(self.mme.cer(app=S13)).result, 2001)

    def ecr(self, terminal, user=None):
        n = self.mme.id()
        avps = [d.avp(d.SESSION_ID, f"mme.test;1;{n};s13"), d.avp(d.VSAI, [d.avp(d.VENDOR_ID, d.VENDOR), d.avp(d.AUTH_APP, S13)]),
                d.avp(d.AUTH_STATE, 1), *self.mme.origin(), d.avp(d.DEST_REALM, self.mme.dest_realm), d.v3(TERMINAL, terminal)]
        return self.mme.call(d.message(ECR, avps + ([d.avp(d.USER_NAME, user)] if user else []), app=S13, hbh=n, e2e=n))

    def status(self, imei, user=None, sv=None):
        answer = self.ecr([d.v3(IMEI, imei)] + ([d.v3(SV, sv)] if sv else []), user)
        self.assertEqual(answer.result, 2001)
        return answer.one(STATUS).number

    def eq(self, *args, **how):
        return self.h.ctl("equipment", *args, **how)

    def refused(self, reason, *args):
        r = self.eq(*args, check=False)
        self.assertNotEqual(r.returncode, 0, args)
        self.assertIn(reason, r.stderr)
        return r.returncode

    def test_what_counts_more(self):
        self.assertEqual(self.status(PHONE), WHITE)  # on no list
        self.eq("add", "35000000-35999999", "--color", "grey")
        self.assertEqual(self.status(PHONE), GREY)
        self.eq("add", "35622500-35622599", "--color", "white")
        self.assertEqual(self.status(PHONE), WHITE)
        self.eq("add", PHONE[:8], "--color", "grey")
        self.assertEqual(self.status(PHONE), GREY)
        self.eq("add", PHONE + "9", "--note", "stolen")  # a wrong check digit does not matter
        self.assertEqual(self.status(PHONE), BLACK)
        for form in (PHONE, PHONE + "0", PHONE + "77"):
            self.assertEqual(self.status(form, sv="42"), BLACK)
        self.eq("add", PHONE, "--imsi", FIRST, "--color", "white")
        self.assertEqual((self.status(PHONE, FIRST), self.status(PHONE, imsi(2)), self.status(PHONE)), (WHITE, BLACK, BLACK))
        rows = self.h.ctl("--json", "equipment", "show", PHONE, "--imsi", FIRST).lines
        self.assertEqual([(r.get("imei") or r.get("tac") or r["range"], r.get("imsi"), r["color"], r["note"]) for r in rows],
                         [(PHONE, FIRST, "white", None), (PHONE, None, "black", "stolen"), (PHONE[:8], None, "grey", None),
                          ("35622500-35622599", None, "white", None), ("35000000-35999999", None, "grey", None)])
        for args, then in (((PHONE, "--imsi", FIRST), BLACK), ((PHONE,), GREY), ((PHONE[:8],), WHITE),
                           (("35622500-35622599",), GREY), (("35000000-35999999",), WHITE)):
            self.eq("delete", *args)
            self.assertEqual(self.status(PHONE, FIRST), then, args)
        self.assertEqual(self.eq("list").stdout.count("\n"), 1)  # the titles

    def test_borders_of_ranges(self):
        self.eq("add", "35000010-35000019")
        self.eq("add", "35000013", "--color", "white")
        for tac, want in ((9, WHITE), (10, BLACK), (12, BLACK), (13, WHITE), (14, BLACK), (19, BLACK), (20, WHITE)):
            self.assertEqual(self.status(f"{35000000 + tac}123456"), want, tac)
        self.eq("add", "00000000-99999999", "--color", "grey")
        self.assertEqual((self.status("0" * 14), self.status("9" * 14)), (GREY, GREY))

    def test_what_is_refused(self):
        answer = self.ecr([d.v3(SV, "42")])
        self.assertEqual((answer.result, [a.code for a in answer.failed]), (5005, [IMEI]))
        odd = self.ecr([d.v3(IMEI, "\0" * 14)])  # no UTF8String at all: refused with its group
        self.assertEqual((odd.result, odd.one(d.FAILED).one(TERMINAL).one(IMEI).data), (5004, bytes(14)))
        for bad in ("", "3562250614132", "35622506141324123", "3562250614132x"):
            answer = self.ecr([d.v3(IMEI, bad)])
            self.assertEqual((answer.result, [(a.code, a.data) for a in answer.failed]), (5004, [(IMEI, bad.encode())]), bad)
        self.assertEqual(self.refused("expected an IMEI", "add", "123"), 2)
        self.assertEqual(self.refused("expected an IMEI", "add", "35000099-35000000"), 2)
        self.assertEqual(self.refused("expected an IMEI of 14 to 16 digits, for an IMSI", "add", "35622506", "--imsi", FIRST), 2)
        self.assertEqual(self.refused("white, grey or black", "add", PHONE, "--color", "red"), 2)
        self.assertEqual(self.refused("on no list", "show", PHONE), 1)
        self.assertEqual(self.refused("no such entry", "delete", PHONE), 1)
        self.eq("add", "35000000-35000009", "--color", "white")
        self.assertEqual(self.refused("35000000-35000009", "add", "35000005-35000014"), 1)  # as wide: which counts?
        self.eq("add", "35000005-35000014", "--color", "white")
        self.eq("add", "35000005-35000014", "--color", "white", "--note", "again")

    def test_unknown_equipment(self):
        for word, want in (("black", BLACK), ("grey", GREY), ("white", WHITE)):
            self.h.configure(equipment={"unknown": word})
            self.h.reload()
            self.h.until(lambda: self.status(PHONE) == want, word)
        self.h.configure(equipment={"unknown": "refuse"})
        self.h.reload()
        self.h.until(lambda: self.ecr([d.v3(IMEI, PHONE)]).result == 5422, "refused")

    def test_it_survives(self):
        self.eq("add", PHONE, "--note", "stolen")
        for role in ("loader", "worker-0", "worker-1"):
            self.h.kill_role(role)
            self.h.until(lambda: self.status(PHONE) == BLACK, role)
        self.eq("add", "35622507", "--color", "grey")
        self.eq("delete", PHONE)
        self.h.kill()
        self.h.start()
        self.connect()
        self.assertEqual((self.status(PHONE), self.status("35622507123456")), (WHITE, GREY))
        # a backup has it
        backup = os.path.join(self.h.dir, "backup")
        self.h.provision(1)
        self.h.ctl("backup", backup)
        self.eq("delete", "35622507")
        self.h.ctl("restore", backup)
        self.assertEqual(self.h.stop(), 0)
        self.h.start()
        self.connect()
        self.h.until(lambda: self.status("35622507123456") == GREY, "restored")

    def test_import_and_export(self):
        path = os.path.join(self.h.dir, "rows")

        def imported(text):
            with open(path, "w") as f:
                f.write(text)
            return self.eq("import", path, check=False)
        # PyHSS's
        r = imported("imei,imsi,regex_mode,match_response_code\n"
                     f"{PHONE},,0,1\n{PHONE},{FIRST},0,0\n^35622507.*,,1,2\n^3562.*(7|8)+$,,1,1\n\n99,,0,1\n35622508,,0,7\n")
        self.assertEqual(r.returncode, 1)
        self.assertEqual([line.split(":")[:2] for line in r.stderr.splitlines()],
                         [["line 5", " an expression"], ["line 7", " imei"], ["line 8", " color"]])
        self.assertIn("3 imported, 3 refused", r.stdout)
        # an expression for one user is an entry for that user alone
        r = imported("imei,imsi,regex_mode,match_response_code\n"
                     f"^35622509141324$,^{FIRST}$,1,1\n^35622510.*,^{FIRST}$,1,1\n^35622511141324$,^00101.*,1,1\n35622512141324,,0,\n")
        self.assertEqual([line.split(":")[:2] for line in r.stderr.splitlines()],
                         [["line 3", " imei"], ["line 4", " an expression"], ["line 5", " color"]])
        self.assertEqual([self.status("35622509141324", u) for u in (FIRST, imsi(2), None)], [BLACK, WHITE, WHITE])
        self.eq("delete", "35622509141324", "--imsi", FIRST)
        self.assertEqual((self.status(PHONE), self.status(PHONE, FIRST), self.status("35622507999999")), (BLACK, WHITE, GREY))
        r = imported('{"imei": "35622506000001", "color": "black", "note": "a; \\"b\\""}\n{"range": "36000000-36000009", "color": "grey"}\n'
                     '{"range": "36000005-36000014", "color": "black"}\n[]\n')
        self.assertEqual([line.split(":")[0] for line in r.stderr.splitlines()], ["line 3", "line 4"])
        self.assertIn("as wide", r.stderr)
        out = os.path.join(self.h.dir, "out")
        self.eq("export", out)
        with open(out) as f:
            before = [json.loads(line) for line in f]
        self.assertEqual(len(before), 5)
        for row in before:
            self.eq("delete", row.get("imei") or row.get("tac") or row["range"], *(["--imsi", row["imsi"]] if row.get("imsi") else []))
        self.assertEqual(self.eq("import", out).returncode, 0)
        self.assertEqual([json.loads(line) for line in self.h.ctl("--json", "equipment", "list").stdout.splitlines()], before)
        self.assertEqual(len(self.h.ctl("--json", "equipment", "list", "--color", "grey").lines), 2)

    def test_an_import_that_contradicts_itself(self):
        """Also when the rows are far apart; a later import may change what an earlier one said."""
        path = os.path.join(self.h.dir, "rows")

        def imported(color, *more):
            with open(path, "w") as f:
                f.write(f"imei,color\n{PHONE},{color}\n" + "".join(f"{36000000000000 + n},grey\n" for n in range(900)) + "".join(more))
            return self.eq("import", path, check=False)
        r = imported("black", f"{PHONE}7,white\n", f"{PHONE},black\n")
        self.assertEqual((r.returncode, r.stderr), (1, f"line 903: {PHONE} is black in an earlier row\n"))
        self.assertEqual(self.status(PHONE), BLACK)
        self.assertEqual(imported("white").returncode, 0)
        self.assertEqual(self.status(PHONE), WHITE)

    def test_an_import_that_is_broken_off(self):
        """What it has acknowledged counts, without another change."""
        command = [os.path.join(self.h.bin, "hssctl"), "--socket", self.h.socket, "equipment", "import", "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as importer:
            try:
                importer.stdin.write("imei\n" + "".join(f"{36000000000000 + n}\n" for n in range(400)))
                importer.stdin.flush()
                self.h.until(lambda: self.status("36000000000399") == BLACK, "published")
            finally:
                importer.kill()

    def test_hss_load(self):
        """The IMEI of its ECRs is the last 14 digits of the IMSI."""
        self.h.configure(equipment={"unknown": "refuse"})
        self.h.reload()
        self.h.until(lambda: self.ecr([d.v3(IMEI, PHONE)]).result == 5422, "refused")
        for n in range(20):
            self.eq("add", imsi(n)[-14:], "--color", "grey")
        report = self.h.load("ecr", imsi=imsi(0), subscribers=20, requests=200)
        self.assertEqual(report["results"], {"2001": 200})
        report = self.h.load("ecr", imsi=imsi(20), expect=5422)
        self.assertEqual(report["results"], {"5422": 1})

    def test_many(self):
        """In any order, in several pieces, and one of them found among all."""
        path = os.path.join(self.h.dir, "rows")
        with open(path, "w") as f:
            f.write("imei;color\n" + "".join(f"{35000000000000 + (n * 7919) % 20011};{'grey' if n % 3 else 'black'}\n"
                                             for n in range(20011)))
        self.assertIn("20011 imported", self.eq("import", path).stdout)
        for n in (0, 1, 2, 3, 10000, 20010):
            self.assertEqual(self.status(str(35000000000000 + (n * 7919) % 20011)), GREY if n % 3 else BLACK)
        self.assertEqual(self.status("35000000020012"), WHITE)
        rows = self.h.ctl("--json", "equipment", "list").lines
        self.assertEqual([r["imei"] for r in rows], [str(35000000000000 + n) for n in range(20011)])

    def test_a_stop_right_after_a_large_import(self):
        """It is in the journal and not in its rows yet: a stop does not wait for that, and a start has all of it."""
        path = os.path.join(self.h.dir, "rows")
        for turn, end in enumerate((self.h.kill, lambda: self.assertEqual(self.h.stop(), 0))):
            with open(path, "w") as f:
                f.write("imei\n" + "".join(f"{35000000 + turn}{(n * 7919) % 20011:06}\n" for n in range(20011)))
            self.assertIn("20011 imported", self.eq("import", path).stdout)
            end()
            self.h.start()
            self.assertEqual(self.eq("list").stdout.count("\n"), 1 + (turn + 1) * 20011)


if __name__ == "__main__":
    unittest.main(verbosity=2)
