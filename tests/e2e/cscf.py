"""A CSCF on Cx, message by message (TS 29.229): an I-CSCF's UAR and LIR, an S-CSCF's MAR and SAR. It knows the SIM of its
user, so every vector is verified."""
import xml.etree.ElementTree

import diameter as d
from diameter import avp, v3
from hss import K, OPC
from sim import Sim

CX = 16777216
UAR, SAR, LIR, MAR, RTR, PPR = 300, 301, 302, 303, 304, 305
VISITED, PUBLIC, SERVER_NAME, CAPABILITIES, MANDATORY, OPTIONAL = 600, 601, 602, 603, 604, 605
USER_DATA, NUMBER_ITEMS, SCHEME, AUTHENTICATE, AUTHORIZATION = 606, 607, 608, 609, 610
AUTH_ITEM, ITEM_NUMBER, ASSIGNMENT, REASON, REASON_CODE, REASON_INFO, CHARGING = 612, 613, 614, 615, 616, 617, 618
AUTHORIZATION_TYPE, AVAILABLE, CK, IK, ORIGINATING, ASSOCIATED = 623, 624, 625, 626, 633, 632
DIGEST, DIGEST_REALM, DIGEST_ALGORITHM, DIGEST_QOP, DIGEST_HA1 = 635, 104, 111, 110, 121
WILDCARDED, RESTORATION, MULTIPLE, UAR_FLAGS, FEATURES, FEATURE_LIST_ID, FEATURE_LIST = 634, 639, 648, 637, 628, 629, 630
AKA, AUTO = "Digest-AKAv1-MD5", "Unknown"

(NO_ASSIGNMENT, REGISTRATION, RE_REGISTRATION, UNREGISTERED, TIMEOUT, USER, TIMEOUT_STORE, USER_STORE, ADMINISTRATIVE,
 FAILURE, AUTH_TIMEOUT, TOO_MUCH) = range(12)

DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
SCSCF = "sip:scscf.ims.mnc001.mcc001.3gppnetwork.org:6060"


def private(imsi):
    return f"{imsi}@{DOMAIN}"


def public(imsi):
    return f"sip:{imsi}@{DOMAIN}"


class Cscf(d.Peer):
    def __init__(self, port, host="scscf.ims.test", realm=DOMAIN, scscf=SCSCF, **how):
        self.scscf = scscf
        super().__init__(port, host=host, realm=realm, dest_realm=DOMAIN, **how)

    def cer(self, app=CX, **how):
        return super().cer(app=app, **how)

    def cx(self, command, avps, user=None, impu=None, **how):
        n = self.id()
        head = [avp(d.SESSION_ID, f"{self.host};1;{n};cx"), avp(d.VSAI, [avp(d.VENDOR_ID, d.VENDOR), avp(d.AUTH_APP, CX)]),
                avp(d.AUTH_STATE, 1)] + self.origin() + [avp(d.DEST_REALM, self.dest_realm)]
        if user is not None:
            head.append(avp(d.USER_NAME, user))
        for one in [impu] if isinstance(impu, (str, bytes)) else impu or []:
            head.append(v3(PUBLIC, one))
        return d.message(command, head + avps, app=CX, hbh=n, e2e=how.pop("e2e", n), **how)

    def uar(self, user, impu, kind=None, visited=DOMAIN, more=(), **how):
        kind = [] if kind is None else [v3(AUTHORIZATION_TYPE, kind)]
        return self.call(self.cx(UAR, [v3(VISITED, visited), *kind, *more], user, impu, **how))

    def lir(self, impu, originating=False, more=(), **how):
        more = [v3(ORIGINATING, 0, flags=0x40), *more] if originating else list(more)
        return self.call(self.cx(LIR, more, None, impu, **how))

    def mar(self, user, impu, scheme=AKA, auts=None, items=1, server=None, **how):
        item = ([v3(SCHEME, scheme)] if scheme else []) + ([v3(AUTHORIZATION, auts)] if auts else [])
        return self.call(self.cx(MAR, [v3(AUTH_ITEM, item), v3(NUMBER_ITEMS, items), v3(SERVER_NAME, server or self.scscf)],
                                 user, impu, **how))

    def sar(self, user, impu, kind, available=0, server=None, more=(), **how):
        return self.call(self.cx(SAR, [v3(SERVER_NAME, server or self.scscf), v3(ASSIGNMENT, kind), v3(AVAILABLE, available),
                                       *more], user, impu, **how))

    def register(self, user, impu, **how):
        """MAR and SAR of a registration; the answer to the latter."""
        answer = self.mar(user, impu, **how)
        assert answer.result == 2001, answer.result
        return self.sar(user, impu, REGISTRATION)


def item(answer):
    return answer.one(AUTH_ITEM)


def challenge(answer, k=K, opc=OPC):
    """(SQN, RAND) of an MAA; every part of its vector is right."""
    one = item(answer)
    both = one.one(AUTHENTICATE).data
    assert len(both) == 32
    sqn, res, ck, ik = Sim(k, opc).answer(both[:16], both[16:])
    assert one.one(AUTHORIZATION).data == res
    assert (one.one(CK).data, one.one(IK).data) == (ck, ik)
    return sqn, both[:16]


class Profile:
    """The Cx User-Data of an answer."""

    def __init__(self, answer):
        self.text = answer.one(USER_DATA).text
        self.root = xml.etree.ElementTree.fromstring(self.text)
        assert self.root.tag == "IMSSubscription"
        self.private = self.root.findtext("PrivateID")
        self.publics = [p.findtext("Identity") for p in self.root.iter("PublicIdentity")]
        self.barred = [p.findtext("Identity") for p in self.root.iter("PublicIdentity")
                       if p.findtext("BarringIndication") == "1"]
        self.servers = [s.text for s in self.root.iter("ServerName")]
