"""Who may register where: roaming rules of the configuration, live at a reload; profiles and barring of a subscriber; what
`hssctl explain` and `subscriber show` say of it, against what peers are answered."""
import unittest

import diameter as d
from hss import FIRST, Hss

DIAGNOSTIC = 1614
HOME, FRANCE, ORANGE, GERMANY = b"\x00\xf1\x10", b"\x02\xf8\x02", b"\x02\xf8\x10", b"\x62\xf2\x10"  # 00101, 20820, 20801, 26201
NAMES = {HOME: "00101", FRANCE: "20820", ORANGE: "20801", GERMANY: "26201"}
EUTRAN, NB_IOT = 1004, 1005
ROAMING = {
    "default": "deny",
    "rules": [
        {"visited": "20801", "action": "allow"},
        {"visited": "208", "action": "deny", "result": 5012},
        {"visited": "262", "rats": ["nb-iot"], "action": "allow"},
        {"visited": "262", "action": "deny", "result": 5421},
        {"visited": "*", "profile": "traveller", "action": "allow"},
        {"visited": "20801", "profile": "traveller", "action": "deny", "diagnostic": "odb-all-apn"},
    ],
}


def outcome(answer):
    """('exp', 5004, 4), ('base', 5012, None) ..."""
    experimental = answer.all(297)
    diagnostic = answer.all(DIAGNOSTIC)
    return ("exp" if experimental else "base", answer.result, diagnostic[0].number if diagnostic else None)


OK = ("base", 2001, None)


class Roaming(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hss = Hss(roaming=ROAMING)
        cls.addClassCleanup(cls.hss.close)
        cls.hss.provision(6)
        cls.mme = d.Peer(cls.hss.port, "mme.test")
        cls.addClassCleanup(cls.mme.close)

    def imsi(self, n):
        return str(int(FIRST) + n).zfill(15)

    def both(self, imsi, plmn, rat=EUTRAN):
        return (outcome(self.mme.call(self.mme.air(imsi, plmn=plmn))),
                outcome(self.mme.call(self.mme.ulr(imsi, plmn=plmn, rat=rat))))

    def explained(self, imsi, plmn, rat="eutran", *more):
        rows = self.hss.ctl("--json", "explain", imsi, "--plmn", NAMES[plmn], "--rat", rat, *more).lines
        return [r for r in rows if r["time_us"] is None], [r for r in rows if r["time_us"]]

    def check(self, imsi, plmn, air, ulr, rat=EUTRAN, rat_name="eutran"):
        """Peers are answered so, and explain says the same."""
        self.assertEqual(self.both(imsi, plmn, rat), (air, ulr), NAMES[plmn])
        now, _ = self.explained(imsi, plmn, rat_name)
        for row, want in zip(now, (air, ulr)):
            self.assertEqual(row["result"], ("exp_" if want[0] == "exp" else "") + str(want[1]), row)
            self.assertEqual(row["diagnostic"] is not None, want[2] is not None, row)
        return now

    def test_rules(self):
        imsi = self.imsi(0)
        self.check(imsi, HOME, OK, OK)
        now = self.check(imsi, ORANGE, OK, OK)
        self.assertRegex(now[1]["rule"], r"the rule of line \d+ of .*hss\.yaml")
        self.check(imsi, FRANCE, ("base", 5012, None), ("base", 5012, None))
        # an AIR does not tell the RAT: what one of them may, none is refused
        self.check(imsi, GERMANY, OK, ("exp", 5421, None))
        self.check(imsi, GERMANY, OK, OK, NB_IOT, "nb-iot")

    def test_the_line_is_that_of_the_rule(self):
        imsi = self.imsi(1)
        self.both(imsi, FRANCE)
        now, last = self.explained(imsi, FRANCE)
        line = int(now[1]["rule"].split("line ")[1].split()[0])
        with open(self.hss.config_path) as f:
            text = f.read().splitlines()[line - 1]
        self.assertIn("208", text)
        self.assertEqual([(r["request"], r["plmn"], r["node"], r["result"]) for r in last],
                         [("ULR", "20820", "mme.test", "5012"), ("AIR", "20820", "mme.test", "5012")])
        shown = self.hss.ctl_json("subscriber", "show", imsi)
        self.assertEqual([r["result"] for r in shown["last_refusals"]], ["5012", "5012"])

    def test_profile_of_a_subscriber(self):
        imsi = self.imsi(2)
        self.assertEqual(self.both(imsi, FRANCE)[1][1], 5012)
        self.hss.ctl("subscriber", "set", imsi, "roaming=traveller")
        self.hss.until(lambda: self.both(imsi, FRANCE) == (OK, OK))
        self.check(imsi, ORANGE, ("exp", 5004, 2), ("exp", 5004, 2))
        self.hss.ctl("subscriber", "set", imsi, 'roaming=[{"visited":"262","action":"deny","result":5012},'
                     '{"visited":"*","rats":["eutran"],"realm":"test","action":"allow"}]')
        self.hss.until(lambda: self.both(imsi, ORANGE) == (OK, OK))
        now = self.check(imsi, GERMANY, ("base", 5012, None), ("base", 5012, None))
        self.assertIn("rule 1", now[1]["rule"])
        for wrong in ('roaming=[{"visited":"20","action":"deny"}]', 'roaming=[{"visited":"*"}]', "roaming={}",
                      'roaming=[{"visited":"*","action":"deny","rat":"eutran"}]', 'roaming=[{"visited":"*","action":"stop"}]',
                      "roaming=" + "x" * 24, "roaming=" + str([{"visited": "*", "action": "deny"}] * 17).replace("'", '"')):
            answer = self.hss.ctl("subscriber", "set", imsi, wrong, check=False)
            self.assertEqual(answer.returncode, 1, wrong)
            self.assertIn("roaming", answer.stderr)
        self.hss.ctl("subscriber", "set", imsi, "roaming=nobody")
        self.hss.until(lambda: self.both(imsi, GERMANY)[1][1] == 5421)
        self.assertIn("no rule has the profile", self.explained(imsi, GERMANY)[0][1]["rule"])
        self.hss.ctl("subscriber", "set", imsi, "roaming=null")
        self.hss.until(lambda: self.both(imsi, ORANGE) == (OK, OK))

    def test_came_back_elsewhere_is_counted(self):
        imsi = self.imsi(3)
        before = self.hss.metric("hss_refused_came_back_total")
        self.both(imsi, FRANCE)
        self.both(imsi, FRANCE)
        self.assertEqual(self.both(imsi, ORANGE), (OK, OK))
        self.assertEqual(self.both(imsi, ORANGE), (OK, OK))
        self.hss.until(lambda: self.hss.metric("hss_refused_came_back_total") == before + 1)

    def test_barring(self):
        imsi = self.imsi(4)
        self.hss.ctl("subscriber", "bar", imsi)
        self.hss.until(lambda: self.both(imsi, HOME) == (OK, ("exp", 5004, 2)))
        now, _ = self.explained(imsi, HOME)
        self.assertIn("operator_determined_barring", now[1]["rule"])
        self.hss.ctl("subscriber", "unbar", imsi)
        self.hss.until(lambda: self.both(imsi, HOME) == (OK, OK))
        self.hss.ctl("subscriber", "set", imsi, "core_network_restrictions=1")
        self.hss.until(lambda: self.both(imsi, HOME) == (OK, ("exp", 5420, 0)))
        now, _ = self.explained(imsi, HOME)
        self.assertIn("core_network_restrictions", now[1]["rule"])

    def test_wrong_auts_is_remembered(self):
        imsi = self.imsi(5)
        before = self.hss.metric("hss_refused_came_back_total")
        self.assertEqual(self.mme.call(self.mme.air(imsi, resync=bytes(30))).result, 4181)
        _, last = self.explained(imsi, HOME)
        self.assertEqual([(r["request"], r["result"], r["diagnostic"]) for r in last], [("AIR", "exp_4181", None)])
        self.assertIn("AUTS", last[0]["rule"])
        self.assertEqual(self.both(imsi, ORANGE), (OK, OK))
        self.assertEqual(self.hss.metric("hss_refused_came_back_total"), before)

    def test_bad_options(self):
        for wrong in ("--plmn", "2080"), ("--plmn", "00a01"), ("--rat", "6g"), ("--rat", "1035"):
            self.assertEqual(self.hss.ctl("explain", self.imsi(0), *wrong, check=False).returncode, 2, wrong)
        self.assertEqual(self.hss.ctl("explain", "001019999999999", check=False).returncode, 1)


class Reload(unittest.TestCase):
    def test_rules_are_live(self):
        hss = Hss()
        self.addCleanup(hss.close)
        hss.provision(1)
        mme = d.Peer(hss.port, "mme.test")
        self.addCleanup(mme.close)

        def ulr(plmn=FRANCE):
            return outcome(mme.call(mme.ulr(FIRST, plmn=plmn)))
        self.assertEqual(ulr(), OK)
        hss.configure(roaming={"default": "deny", "diagnostic": "none"})
        hss.reload()
        hss.until(lambda: ulr() == ("exp", 5004, None))
        self.assertEqual(ulr(HOME), OK)
        hss.configure(roaming={"default": "deny", "home": ["20820"]})
        hss.reload()
        hss.until(lambda: ulr() == OK)
        self.assertEqual(ulr(GERMANY), ("exp", 5004, 4))
        hss.kill_role("loader")
        self.assertEqual(ulr(GERMANY), ("exp", 5004, 4), "the table outlives the loader")
        hss.configure(roaming={"realm_check": "log"})
        hss.reload()
        hss.until(lambda: ulr() == OK and hss.metric("hss_realm_mismatches_total") > 0)
        hss.wait_log("realm_misfits")
        hss.configure(roaming={"realm_check": "enforce", "realms": [{"realm": "test", "visited": "262"}]})
        hss.reload()
        hss.until(lambda: ulr() == ("exp", 5004, None))
        self.assertEqual(outcome(mme.call(mme.air(FIRST, plmn=FRANCE))), ("base", 5003, None))
        self.assertEqual(ulr(GERMANY), OK)


if __name__ == "__main__":
    unittest.main(verbosity=2)
