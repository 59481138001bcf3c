"""Copies of the state directories that an earlier commit left (tests/data/state-COMMIT), and what it said of them."""
import json
import os
import tarfile

import diameter as d
import hss
from hss import K, OPC
from sim import Sim

DATA = os.path.join(hss.ROOT, "tests", "data", "state-7c47b9d")
OTHER_K = "000102030405060708090A0B0C0D0E0F"


def expected(name):
    with open(os.path.join(DATA, f"{name}.json")) as f:
        return json.load(f)


def unpack(name, state_dir):
    os.mkdir(state_dir, 0o700)
    with tarfile.open(os.path.join(DATA, f"{name}.tar.xz")) as tar:
        tar.extractall(state_dir)


def same_location(now, before):
    """A network that is unknown was 000000 then."""
    for kind in ("mme", "sgsn"):
        for where in (now, before):
            if where[kind] and set(where[kind].get("plmn") or "0") == {"0"}:
                where[kind] = {k: v for k, v in where[kind].items() if k != "plmn"}
    return all((now[k] or None) == (before[k] or None) for k in ("mme", "sgsn", "imeisv"))


def check(test, h, said, restarts=1):
    """Everybody is shown as before. `restarts`: since the kill; each may skip SEQs, never go back."""
    for imsi, before in said["subscribers"].items():
        with test.subTest(imsi=imsi):
            shown = h.ctl("--json", "subscriber", "show", imsi, check=False)
            test.assertEqual(shown.returncode, 0 if before else 1, shown.stderr)
            if not before:
                continue
            now = shown.json
            test.assertTrue(same_location(h.location(imsi), before["location"]), (h.location(imsi), before["location"]))
            for document in (now, before["subscriber"]):
                document["security"].pop("sqn", None)
            test.assertEqual(now, before["subscriber"])
            sqn = h.ctl_json("sqn", "show", imsi)
            test.assertGreaterEqual(sqn["seq"], before["sqn"]["seq"])
            test.assertLess(sqn["seq"] - before["sqn"]["seq"], 4096 * restarts)
            test.assertGreater(sqn["sqn"], before["drawn"])


def vector_sqn(peer, imsi, k=K):
    """The SQN of one more vector, whose AUTN is right."""
    answer = peer.call(peer.air(imsi))
    assert answer.result == 2001, answer.result
    vector = answer.one(d.AUTH_INFO).one(d.EUTRAN_VECTOR)
    return Sim(k, OPC).answer(vector.one(d.RAND).data, vector.one(d.AUTN).data)[0]


def check_vectors(test, h, said, other_keys=()):
    """Vectors are new for every SIM, and each MME has the IND that it had."""
    for host, ind in said["ind"].items():
        with d.Peer(h.port, host) as mme:
            for imsi, before in said["subscribers"].items():
                if not before:
                    test.assertEqual(mme.call(mme.air(imsi)).result, 5001)
                    continue
                sqn = vector_sqn(mme, imsi, OTHER_K if imsi in other_keys else K)
                test.assertGreater(sqn >> 5, before["drawn"] >> 5)
                test.assertEqual(sqn & 31, ind)
                before["drawn"] = sqn
