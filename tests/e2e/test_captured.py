"""The requests of a real MME and SIM, byte for byte as captured: a first AIR, and the AIR with the AUTS of a SIM that
had seen SQN 1383. Its MAC-S is over AMF* 0000, and it must be accepted; the next vector must be newer for that SIM."""
import os
import subprocess
import unittest

import diameter as d
import hss
from hss import Hss

IMSI = "214010000000099"
K = "465B5CE8B199B49FAA5F0A2EE238A6BC"
OP = "BA10AB971166F9B28B8B73AE5DF1BACA"
SQN_MS = 1383


def captured():
    with open(os.path.join(hss.ROOT, "tests", "data", "captured.hex")) as f:
        return [bytes.fromhex(line) for line in f if not line.startswith("#")]


def aes(key, block):
    return subprocess.run(["openssl", "enc", "-aes-128-ecb", "-K", key.hex(), "-nopad"], input=block, check=True,
                          capture_output=True).stdout


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def check_autn(rand, autn, res):
    """The SQN of this AUTN after checking MAC-A and RES as the SIM would (TS 35.206)."""
    k, op = bytes.fromhex(K), bytes.fromhex(OP)
    opc = xor(aes(k, op), op)
    temp = aes(k, xor(rand, opc))
    out2 = xor(aes(k, xor(xor(temp, opc), bytes(15) + b"\1")), opc)
    sqn = xor(autn[:6], out2[:6])
    amf, mac = autn[6:8], autn[8:]
    in1 = xor((sqn + amf) * 2, opc)
    out1 = xor(aes(k, xor(temp, in1[8:] + in1[:8])), opc)
    assert out1[:8] == mac, "MAC-A"
    assert out2[8:] == res, "RES"
    return int.from_bytes(sqn, "big")


class Captured(unittest.TestCase):
    def setUp(self):
        self.hss = Hss(identity={"host": "hss.localdomain", "realm": "localdomain"})
        self.addCleanup(self.hss.close)
        self.hss.ctl("subscriber", "add", IMSI, "--k", K, "--op", OP, "--sqn", 32)
        self.mme = d.Peer(self.hss.port, "mme.localdomain", "localdomain", dest_realm="localdomain")
        self.addCleanup(self.mme.close)
        self.first, self.golden, self.resync, self.golden_after = captured()[:4]

    def seq(self):
        return int(self.hss.ctl_json("sqn", "show", IMSI)["seq"])

    def vector(self, answer):
        self.assertEqual(answer.result, 2001)
        v = answer.one(d.AUTH_INFO).one(d.EUTRAN_VECTOR)
        return check_autn(v.one(d.RAND).data, v.one(d.AUTN).data, v.one(d.XRES).data)

    def test_the_check_itself(self):
        """The answers of the capture verify, with the SQNs that they are known to carry."""
        self.assertEqual(self.vector(d.Message(self.golden)), 1383)
        self.assertEqual(self.vector(d.Message(self.golden_after)), 1416)

    def test_resynchronisation_sqn_ms_1383(self):
        before = self.vector(self.mme.call(self.first))
        self.assertLess(before, SQN_MS, "the HSS is behind the SIM")
        self.assertLess(self.seq(), SQN_MS >> 5)
        after = self.vector(self.mme.call(self.resync))
        self.assertGreater(after >> 5, SQN_MS >> 5)
        self.assertLess(after >> 5, (SQN_MS >> 5) + 8, "no further than needed")
        self.assertGreater(self.seq(), SQN_MS >> 5)

    def test_every_forged_octet_of_auts(self):
        self.vector(self.mme.call(self.first))
        before = self.seq()
        at = self.resync.index(bytes.fromhex("46af726351ae673f149a4f618c54"))
        for n in range(14):
            forged = bytearray(self.resync)
            forged[at + n] ^= 0x10
            forged[12:20] = d.u32(1000 + n) * 2
            self.assertEqual(self.mme.call(bytes(forged)).result, 4181, f"octet {n}")
        self.assertEqual(self.seq(), before)
        self.assertEqual(self.hss.metric("hss_resynchronisation_mac_failures_total"), 14)


if __name__ == "__main__":
    unittest.main(verbosity=2)
