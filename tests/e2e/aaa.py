"""A 3GPP AAA server on SWx, message by message (TS 29.273 8). It knows the SIM of its user, so every vector is verified."""
import hashlib
import hmac
import socket

import diameter as d
from diameter import avp, v3
from hss import K, OPC
from sim import Sim

SWX = 16777265
SAR, MAR, RTR, PPR = 301, 303, 304, 305
AGENT, AGENT_ADDRESS, AGENT_HOST, AAA_SERVER, SUBSCRIPTION_ID, ID_DATA, ID_TYPE = 486, 334, 348, 318, 443, 444, 450
VISITED, NUMBER_ITEMS, SCHEME, AUTHENTICATE, AUTHORIZATION, AUTH_ITEM, ITEM_NUMBER = 600, 607, 608, 609, 610, 612, 613
ASSIGNMENT, REASON, REASON_CODE, CK, IK = 614, 615, 616, 625, 626
FEATURES, FEATURE_LIST_ID, FEATURE_LIST = 628, 629, 630
USER_DATA, IP_ACCESS, IP_ACCESS_APN, ANID, AAA_FAILURE, ACTIVE_APN = 1500, 1501, 1502, 1504, 1518, 1612
CONTEXT, AMBR, ALLOCATION, SPECIFIC_APN = 1423, 1435, 1438, 1472
AKA, PRIME = "EAP-AKA", "EAP-AKA'"
WLAN, EUTRAN, HRPD = 0, 1004, 2001
REALM = "epc.mnc001.mcc001.3gppnetwork.org"
NAI = "nai.epc.mnc001.mcc001.3gppnetwork.org"

REGISTRATION, TIMEOUT, USER, ADMINISTRATIVE, FAILURE, AUTH_TIMEOUT, USER_DATA_REQUEST, PGW_UPDATE, RESTORATION = (
    1, 4, 5, 8, 9, 10, 12, 13, 14)


def agent(*addresses, host=None):
    """MIP6-Agent-Info of a PDN-GW."""
    inside = [avp(AGENT_ADDRESS, (b"\0\2" if ":" in a else b"\0\1") +
                  socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a)) for a in addresses]
    if host:
        inside.append(avp(AGENT_HOST, [avp(d.DEST_REALM, REALM), avp(d.DEST_HOST, host)]))
    return avp(AGENT, inside)


class Aaa(d.Peer):
    def __init__(self, port, host="aaa.test", realm=REALM, **how):
        super().__init__(port, host=host, realm=realm, dest_realm=REALM, **how)

    def cer(self, app=SWX, **how):
        return super().cer(app=app, **how)

    def swx(self, command, avps, user, **how):
        n = self.id()
        head = [avp(d.SESSION_ID, f"{self.host};1;{n};swx"), avp(d.VSAI, [avp(d.VENDOR_ID, d.VENDOR), avp(d.AUTH_APP, SWX)]),
                avp(d.AUTH_STATE, 1)] + self.origin() + [avp(d.DEST_REALM, self.dest_realm)]
        if user is not None:
            head.append(avp(d.USER_NAME, user))
        return d.message(command, head + avps, app=SWX, hbh=n, e2e=how.pop("e2e", n), **how)

    def mar(self, user, scheme=AKA, anid=None, auts=None, items=1, rat=WLAN, more=(), **how):
        item = ([v3(SCHEME, scheme)] if scheme else []) + ([v3(AUTHORIZATION, auts)] if auts else [])
        avps = [v3(d.RAT, rat, flags=0)] if rat is not None else []
        avps += [v3(ANID, anid)] if anid is not None else []
        return self.call(self.swx(MAR, [*avps, v3(AUTH_ITEM, item), v3(NUMBER_ITEMS, items), *more], user, **how))

    def sar(self, user, kind, more=(), **how):
        return self.call(self.swx(SAR, [v3(ASSIGNMENT, kind), *more], user, **how))

    def register(self, user, **how):
        """MAR and SAR of a registration; the answer to the latter."""
        answer = self.mar(user, **how)
        assert answer.result == 2001, answer.result
        return self.sar(user, REGISTRATION)


def challenge(answer, scheme=AKA, anid="", k=K, opc=OPC, number=0):
    """(SQN, RAND) of an MAA; every part of its vector is right, also the AMF separation bit."""
    one = answer.all(AUTH_ITEM)[number]
    assert one.one(SCHEME).text == scheme
    rand, autn = one.one(AUTHENTICATE).data[:16], one.one(AUTHENTICATE).data[16:]
    sqn, res, ck, ik = Sim(k, opc).answer(rand, autn)
    assert len(autn) == 16 and one.one(AUTHORIZATION).data == res
    assert bool(autn[6] & 0x80) == (scheme == PRIME), autn.hex()
    if scheme == PRIME:  # TS 33.402 A.2
        text = b"\x20" + anid.encode() + len(anid).to_bytes(2, "big") + autn[:6] + b"\0\6"
        both = hmac.new(ck + ik, text, hashlib.sha256).digest()
        ck, ik = both[:16], both[16:]
    assert (one.one(CK).data, one.one(IK).data) == (ck, ik)
    return sqn, rand


def apns(answer):
    """APN-Configurations of an SAA or PPR by name."""
    return {a.one(d.SERVICE_SELECTION).text: a for a in answer.one(USER_DATA).all(d.APN)}
