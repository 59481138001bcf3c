"""Import and export of what other programs have and take: mongoexport's output in every flavour, both generations of the
schema, PyHSS's CSV; bad rows by their line, and everything in bounded memory."""
import json
import os
import subprocess
import unittest

import hss
from hss import K, OPC

OP = "CDC202D5123E20F62B6D676AC72CB318"


def imsi(n):
    return hss.imsi(n)


def canonical(value, name=""):
    """As mongoexport --jsonFormat=canonical writes it."""
    if isinstance(value, dict):
        return {key: canonical(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [canonical(member) for member in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return {"$numberLong": str(value)} if name in ("sqn", "mme_timestamp") else {"$numberInt": str(value)}
    if isinstance(value, float):
        return {"$numberDouble": str(value)}
    return value


def nextepc(number, **more):
    """A document of the first generation: pdn, kbit/s, Diameter's values."""
    rate = {"downlink": 1024000, "uplink": 1024000}
    qos = {"qci": 9, "arp": {"priority_level": 8, "pre_emption_capability": 1, "pre_emption_vulnerability": 1}}
    return {"_id": {"$oid": "5f1a0c0e8f1b2c00%08x" % number}, "imsi": imsi(number), "subscribed_rau_tau_timer": 12,
            "network_access_mode": 2, "subscriber_status": 0, "access_restriction_data": 32,
            "security": {"k": " ".join(K[i:i + 8] for i in range(0, 32, 8)), "amf": "8000", "op": None, "opc": OPC.lower()},
            "ambr": rate, "pdn": [{"apn": "internet", "type": 2, "qos": qos, "ambr": rate, "pcc_rule": []}], "__v": 0,
            **more}


class Formats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hss = hss.Hss()
        cls.path = os.path.join(cls.hss.dir, "file")

    @classmethod
    def tearDownClass(cls):
        cls.hss.close()

    def write(self, text):
        with open(self.path, "w") as f:
            f.write(text)
        return self.path

    def load(self, text, *options, refused=0, imported=None):
        done = self.hss.ctl("subscriber", "import", self.write(text), *options, check=False)
        self.assertEqual(done.returncode, 1 if refused else 0, done.stderr)
        self.assertRegex(done.stdout, rf"^{r'[0-9]+' if imported is None else imported} imported, {refused} refused, ")
        return [line.split(self.path + ":", 1)[1] for line in done.stderr.splitlines()]

    def show(self, number):
        return self.hss.ctl_json("subscriber", "show", imsi(number), "--secrets")

    def served(self, number, **keys):
        result = self.hss.load("attach", imsi=imsi(number), subscribers=1, requests=2, k=K, **(keys or {"opc": OPC}))
        self.assertEqual((result["results"], result["bad_vectors"]), ({"2001": 4}, 0))

    def export(self, *options):
        return self.hss.ctl("subscriber", "export", "-", *options).stdout.splitlines()

    def test_mongoexport_flavours(self):
        """Each flavour, as lines, as one array in a line, as one over many, and without an array over many."""
        number = 100
        for flavour in (lambda v: v, canonical):
            for shape in ("lines", "array", "pretty array", "pretty"):
                with self.subTest(shape, canonical=flavour is canonical):
                    docs = [flavour(hss.document(imsi(number), sqn=4129)), flavour(nextepc(number + 1))]
                    if shape == "lines":
                        text = "".join(json.dumps(d) + "\n" for d in docs)
                    elif shape == "array":
                        text = json.dumps(docs, separators=(",", ":"))
                    elif shape == "pretty array":
                        text = json.dumps(docs, indent=1) + "\n"
                    else:
                        text = "".join(json.dumps(d, indent="\t") + "\n" for d in docs)
                    self.assertEqual(self.load(text, imported=2), [])
                    self.assertEqual(self.show(number)["security"]["sqn"], 4160)  # the next SEQ
                    self.served(number)
                    self.served(number + 1)
                    number += 2
        self.assertEqual(self.hss.load("ulr", imsi=imsi(101), subscribers=1, requests=1)["results"], {"2001": 1})

    def test_bad_documents(self):
        docs = [hss.document(imsi(200 + n)) for n in range(5)]
        docs[1]["security"]["k"] = "12"
        del docs[3]["imsi"]
        told = self.load(json.dumps(docs, indent=2), refused=2, imported=3)
        lines = json.dumps(docs, indent=2).splitlines()
        began = [n for n, line in enumerate(lines, 1) if line == "  {"]
        self.assertEqual(told, [f"{began[1]}: document 2: security.k: expected 32 hex digits, got 2",
                                f"{began[3]}: document 4: imsi: expected 5 to 15 digits as text, got nothing"])
        self.assertEqual(self.load(json.dumps(docs), refused=2, imported=3),
                         ["1: document 2: security.k: expected 32 hex digits, got 2",
                          "1: document 4: imsi: expected 5 to 15 digits as text, got nothing"])
        done = self.hss.ctl("subscriber", "import", self.write(json.dumps(docs[:1], indent=1)[:-2]), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the array does not end: the file is cut off", done.stderr)
        self.assertRegex(self.load("some text\nmore\n", refused=2)[0], r"^1: not JSON: ")

    def test_csv(self):
        rows = ["#IMSI,K,OP,AMF,SQN,RAND,APN",
                f"{imsi(300)},{K},{OP},8000,4129,,internet;ims",
                f'{imsi(301)},"{K.lower()}",{OP},8000,0,00112233445566778899AABBCCDDEEFF,',
                f"{imsi(302)},{K},{OP},9999,1383",
                "",
                f"{imsi(303)},{K},{OP[:30]},8000,1,,internet",
                f"{imsi(304)},{K},{OP},8000,x,,internet",
                f"{imsi(305)},{K}"]
        told = self.load("\r\n".join(rows), refused=3, imported=3)
        self.assertEqual(told, ["6: OP: expected 32 hex digits, got 30",
                                "7: SQN: expected a decimal number below 281474976710656",
                                "8: expected IMSI,K,OP,AMF,SQN,RAND,APN, got 2 fields"])
        for number in (300, 301, 302):
            self.served(number, op=OP)
        shown = self.show(300)
        self.assertEqual([s["name"] for s in shown["slice"][0]["session"]], ["internet", "ims"])
        self.assertEqual(self.show(302)["security"]["amf"], "9999")
        # without a header, said or recognised; never lower
        before = self.hss.ctl_json("sqn", "show", imsi(300))["sqn"]
        self.load("\n".join(rows[1:3]), "--format", "csv", imported=2)
        self.load("\n".join(rows[1:3]), imported=2)
        self.assertGreaterEqual(self.hss.ctl_json("sqn", "show", imsi(300))["sqn"], before)
        self.assertRegex(self.load(rows[1], "--format", "mongo", refused=1)[0], r"^1: not JSON: ")
        done = self.hss.ctl("subscriber", "import", self.path, "--format", "xml", check=False)
        self.assertEqual((done.returncode, done.stderr), (2, "hssctl: --format: expected mongo or csv\n"))

    def test_csv_round(self):
        with hss.Hss(workers=1) as one:
            text = "\n".join(["IMSI,K,OP,AMF,SQN,RAND,APN",
                              f'{imsi(1)},{K},{OP},8000,64,,"internet;ims"',
                              f'{imsi(2)},{K},{OP},9999,96,,"corp"']) + "\n"
            with open(self.path, "w") as f:
                f.write(text)
            one.ctl("subscriber", "import", self.path)
            out = self.path + ".csv"
            self.assertEqual(one.ctl("subscriber", "export", out, "--format", "csv").stdout, "2 exported\n")
            with open(out) as f:
                self.assertEqual(f.read(), text)
            one.ctl("subscriber", "add", imsi(3), "--k", K, "--opc", OPC, "--msisdn", "491512345")
            done = one.ctl("subscriber", "export", "-", "--format", "csv")
            self.assertEqual(done.stdout, text + f'{imsi(3)},{K},,8000,32,,"internet",{OPC}\n')
            self.assertEqual(done.stderr, "hssctl: 1 of them have no OP: their OPc is an eighth field, which PyHSS does "
                                          "not read\n")
            one.ctl("subscriber", "delete", imsi(3))
            one.ctl("subscriber", "import", "-", input=done.stdout)
            result = one.load("air", imsi=imsi(3), subscribers=1, requests=1, k=K, opc=OPC)
            self.assertEqual(result["bad_vectors"], 0)

    def test_output_of_a_shell(self):
        shell = (f"[\n  {{\n    _id: ObjectId('64c000000000000000000001'),\n    imsi: '{imsi(700)}',\n    msisdn: [ '49151' ],\n"
                 f"    security: {{ k: '{K}', opc: '{OPC}', sqn: Long('4128') }},\n    __v: 0,\n  }}\n]\n")
        self.assertEqual(self.load(shell, imported=1), [])
        self.assertEqual(self.show(700)["security"]["sqn"], 4128)

    def test_list_of_a_sim_vendor(self):
        rows = f"ICCID;IMSI;PIN1;PUK1;Ki;OPC;ADM1\n8988211;{imsi(701)};1234;12345678;{K};{OPC};1111\n"
        told = self.load(rows, "--dry-run", imported="1 would be")
        self.assertIn("columns that are not used: PIN1, PUK1, ADM1", told[0])
        self.assertEqual(self.hss.ctl("subscriber", "show", imsi(701), check=False).returncode, 1)
        self.assertEqual(len(self.load(rows, imported=1)), 1)
        self.assertEqual(self.show(701)["iccid"], "8988211")

    def test_export_mongo(self):
        docs = [canonical(hss.document(imsi(400), sqn=4129, note={"a": 1.5, "b": [2]})), nextepc(401)]
        self.load("".join(json.dumps(d) + "\n" for d in docs), imported=2)
        self.hss.load("ulr", imsi=imsi(400), subscribers=1, requests=1)
        rows = {row["imsi"]: row for row in map(json.loads, self.export("--format", "mongo"))}
        row = rows[imsi(400)]
        self.assertEqual(row["security"]["sqn"], {"$numberLong": "4160"})  # the next SEQ
        self.assertEqual(set(row["mme_timestamp"]), {"$numberLong"})
        self.assertEqual((row["schema_version"], row["note"]), (1, {"a": 1.5, "b": [2]}))
        self.assertEqual(rows[imsi(401)]["_id"], {"$oid": "5f1a0c0e8f1b2c00%08x" % 401})
        self.assertEqual(rows[imsi(401)]["pdn"][0]["ambr"]["downlink"], 1024000)
        self.hss.ctl("subscriber", "import", "-", input="\n".join(map(json.dumps, rows.values())))

    def test_bounded_memory(self):
        """An array in a single line, 12 MB of it, and the rows back: hssctl needs no memory for them."""
        count, limit = (2000, "") if hss.sanitized(self.hss.bin) else (16000, "ulimit -v 14000 && ")
        with open(self.path, "w") as f:
            f.write("[")
            for n in range(count):
                f.write(("," if n else "") + json.dumps(hss.document(imsi(1000 + n % 8000))))
            f.write("]")
        program = os.path.join(self.hss.bin, "hssctl")
        for words in (["import", self.path], ["export", self.path + ".out", "--format", "csv"]):
            done = subprocess.run(["sh", "-c", f'{limit}exec "$0" "$@"', program, "--socket", self.hss.socket, "subscriber",
                                   *words], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path + ".out") as f:
            self.assertGreater(sum(1 for _ in f), min(count, 8000))


if __name__ == "__main__":
    unittest.main()
