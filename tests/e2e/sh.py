"""An application server on Sh, message by message (TS 29.329): UDR, PUR, SNR, and the PNR that it is sent. User-Data are read as
strictly as annex D of TS 29.328 has them: each element in its place."""
import time
import xml.etree.ElementTree

import diameter as d
from cscf import DOMAIN
from diameter import avp, v3

SH = 16777217
UDR, PUR, SNR, PNR = 306, 307, 308, 309
USER_IDENTITY, PUBLIC, MSISDN, USER_DATA, REFERENCE, INDICATION = 700, 601, 701, 702, 703, 704
SUBS, SET, EXPIRY, SEND_DATA, ONE_TIME, SERVER_NAME = 705, 708, 709, 710, 712, 602
REPOSITORY_ID, SEQUENCE = 715, 716
FEATURES, LIST_ID, LIST = 628, 629, 630
NOTIF_EFF, UPDATE_EFF = 1, 2
REPOSITORY, IDENTITIES, STATE, SCSCF, CRITERIA, CHARGING, NUMBER, TADS, IMSI, PRIVATE = 0, 10, 11, 12, 13, 16, 17, 26, 32, 33
NTP = 2208988800
# what stands beside each other inside of an element, in this order
ORDER = {
    "Sh-Data": ["PublicIdentifiers", "RepositoryData", "Sh-IMS-Data", "CSLocationInformation", "PSLocationInformation",
                "CSUserState", "PSUserState", "Extension"],
    "RepositoryData": ["ServiceIndication", "SequenceNumber", "ServiceData"],
    "Sh-IMS-Data": ["SCSCFName", "IFCs", "IMSUserState", "ChargingInformation", "Extension"],
    "PublicIdentifiers": ["IMSPublicIdentity", "MSISDN", "Extension"],
}


def tbcd(number):
    number += "f" * (len(number) % 2)
    return bytes(int(number[i + 1] + number[i], 16) for i in range(0, len(number), 2))


def repository(indication, sequence, data=None):
    inside = "" if data is None else f"<ServiceData>{data}</ServiceData>"
    return (f"<RepositoryData><ServiceIndication>{indication}</ServiceIndication><SequenceNumber>{sequence}</SequenceNumber>"
            f"{inside}</RepositoryData>")


def sh_data(*parts):
    return '<?xml version="1.0" encoding="UTF-8"?><Sh-Data>' + "".join(parts) + "</Sh-Data>"


def features(bits):
    return v3(FEATURES, [avp(d.VENDOR_ID, d.VENDOR), v3(LIST_ID, 1, flags=0), v3(LIST, bits, flags=0)], flags=0)


class Data:
    """User-Data of an answer or a request; nothing, when it has none."""

    def __init__(self, message):
        found = message.all(USER_DATA)
        assert len(found) <= 1 and all(a.vendor == d.VENDOR for a in found)
        self.text = found[0].text if found else None
        self.root = xml.etree.ElementTree.fromstring(self.text) if found else None
        if found:
            assert self.root.tag == "Sh-Data", self.root.tag
            for element in self.root.iter():
                places = [ORDER[element.tag].index(child.tag) for child in element] if element.tag in ORDER else []
                assert places == sorted(places), self.text

    def all(self, path):
        return [] if self.root is None else [e.text or "" for e in self.root.findall(path)]

    def one(self, path):
        found = self.all(path)
        assert len(found) == 1, f"{path}: {found} in {self.text}"
        return found[0]

    @property
    def services(self):
        """{indication: (number, what ServiceData holds, octet for octet, or None)}"""
        out = {}
        for part in (self.text or "").split("<RepositoryData>")[1:]:
            part = part.split("</RepositoryData>")[0]
            root = xml.etree.ElementTree.fromstring(f"<RepositoryData>{part}</RepositoryData>")
            data = part.split("<ServiceData>")[1].rsplit("</ServiceData>", 1)[0] if "<ServiceData>" in part else None
            out[root.findtext("ServiceIndication")] = (int(root.findtext("SequenceNumber")), data)
        return out


class Server(d.Peer):
    def __init__(self, port, host="tas.ims.test", realm=DOMAIN, **how):
        self.results = {}  # command of the HSS -> what to answer it, an Experimental-Result
        super().__init__(port, host=host, realm=realm, dest_realm=DOMAIN, **how)

    def cer(self, app=SH, **how):
        return super().cer(app=app, **how)

    def identity(self, who):
        """A URI, or the digits of an MSISDN."""
        if isinstance(who, list):
            return v3(USER_IDENTITY, who)
        return v3(USER_IDENTITY, [v3(MSISDN, tbcd(who)) if who.isdigit() else v3(PUBLIC, who)])

    def sh(self, command, who, references, avps=(), user=None, supported=None, services=(), **how):
        n = self.id()
        head = [avp(d.SESSION_ID, f"{self.host};1;{n};sh"), avp(d.VSAI, [avp(d.VENDOR_ID, d.VENDOR), avp(d.AUTH_APP, SH)]),
                avp(d.AUTH_STATE, 1)] + self.origin() + [avp(d.DEST_REALM, self.dest_realm)]
        head += [] if supported is None else [features(supported)]
        head.append(self.identity(who))
        if user is not None:
            head.append(avp(d.USER_NAME, user))
        head += [v3(INDICATION, s) for s in services]
        head += [v3(REFERENCE, r) for r in ([references] if isinstance(references, int) else references)]
        return d.message(command, head + list(avps), app=SH, hbh=n, e2e=how.pop("e2e", n), **how)

    def udr(self, who, references, services=(), sets=(), server=None, more=(), **how):
        more = [*more, *(v3(SET, s, flags=0) for s in sets), *([v3(SERVER_NAME, server)] if server else [])]
        return self.call(self.sh(UDR, who, references, more, services=services, **how))

    def pur(self, who, text, references=REPOSITORY, **how):
        return self.call(self.sh(PUR, who, references, [v3(USER_DATA, text)], **how))

    def put(self, who, indication, sequence, data=None, **how):
        return self.pur(who, sh_data(repository(indication, sequence, data)), **how)

    def snr(self, who, references, services=(), end=False, until=None, data=False, one_time=False, sets=(), server=None, **how):
        more = [v3(SUBS, 1 if end else 0), *(v3(SET, n, flags=0) for n in sets), *([v3(SERVER_NAME, server)] if server else [])]
        more += [v3(EXPIRY, int(until) + NTP & 0xffffffff, flags=0)] if until else []
        more += [v3(SEND_DATA, 1, flags=0)] if data else []
        more += [v3(ONE_TIME, 0, flags=0)] if one_time else []
        return self.call(self.sh(SNR, who, references, more, services=services, **how))

    def answer(self, request, result=2001):
        if request.command not in self.results:
            super().answer(request, result)
            return
        kept = [avp(a.code, a.data) for a in request.avps if a.code == d.SESSION_ID]
        said = [avp(d.EXPERIMENTAL, [avp(d.VENDOR_ID, d.VENDOR), avp(d.EXPERIMENTAL_CODE, self.results[request.command])])]
        self.send(d.message(request.command, kept + said + [avp(d.AUTH_STATE, 1)] + self.origin(), flags=request.flags & d.PROXIABLE,
                            app=request.app, hbh=request.hbh, e2e=request.e2e))

    def nothing_comes(self):
        """No request of the HSS has come up to now: one that was sent before an answer arrives before it."""
        self.call(self.dwr())
        return not self.requests
