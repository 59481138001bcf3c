"""A base station and the phones behind it: enough S1AP (TS 36.413) and NAS (TS 24.301) to attach at a real MME as far as
the Update-Location. S1AP is written by hand, in the few shapes that are sent here."""
import socket
import struct

import sim

PPID_S1AP = 18
S1_SETUP, INITIAL_UE, DOWNLINK_NAS, UPLINK_NAS, CONTEXT_RELEASE = 17, 12, 11, 13, 23
MME_UE_ID, ENB_UE_ID, NAS_PDU, GLOBAL_ENB, TAS, TAI, CGI, CAUSE_OF_CONTACT, PAGING = 0, 8, 26, 59, 64, 67, 100, 134, 137
REJECT, IGNORE = 0, 0x40  # criticality
PLMN, TAC = b"\x00\xf1\x10", b"\0\1"

ATTACH_REQUEST, ATTACH_REJECT, AUTH_REQUEST, AUTH_RESPONSE, AUTH_FAILURE = 0x41, 0x44, 0x52, 0x53, 0x5c
AUTH_REJECT, SECURITY_COMMAND, SECURITY_COMPLETE = 0x54, 0x5d, 0x5e
EMM, SYNCH_FAILURE = 7, 21


def length(n):
    return bytes([n]) if n < 128 else struct.pack("!H", 0x8000 | n)


def counted(data):
    return length(len(data)) + data


def take_length(data, at):
    if data[at] < 128:
        return data[at], at + 1
    return struct.unpack_from("!H", data, at)[0] & 0x3fff, at + 2


class Enb:
    def __init__(self, mme, local):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
        self.socket.settimeout(30)
        self.socket.bind((local, 0))
        self.socket.connect((mme, 36412))
        self.next_id = 0
        self.send(S1_SETUP, REJECT, [
            (GLOBAL_ENB, REJECT, b"\0" + PLMN + b"\0\0\0\x10"),
            # one tracking area: two bits of options, 16 of TAC, three for the number of networks
            (TAS, REJECT, b"\0" + (int.from_bytes(TAC, "big") << 6).to_bytes(3, "big") + PLMN),
            (PAGING, IGNORE, b"\x40")])
        kind, procedure, _ = self.receive()
        assert (kind, procedure) == (0x20, S1_SETUP), "the MME refuses the base station"

    def close(self):
        self.socket.close()

    def send(self, procedure, criticality, ies, stream=0):
        body = b"\0" + struct.pack("!H", len(ies))
        body += b"".join(struct.pack("!HB", ie, how) + counted(value) for ie, how, value in ies)
        info = struct.pack("=HHIIi", stream, 0, socket.htonl(PPID_S1AP), 0, 0)
        self.socket.sendmsg([bytes([0, procedure, criticality]) + counted(body)], [(132, 2, info)])

    def receive(self):
        """(kind, procedure, {IE: value}) of the next message."""
        data = self.socket.recv(65536)
        assert data, "the MME has closed"
        _, at = take_length(data, 3)
        count, at, ies = struct.unpack_from("!H", data, at + 1)[0], at + 3, {}
        for _ in range(count):
            ie = struct.unpack_from("!H", data, at)[0]
            size, at = take_length(data, at + 3)
            ies[ie] = data[at:at + size]
            at += size
        return data[0], data[1], ies


class Phone:
    """attach() goes as far as the MME lets it; what it saw is in its attributes."""

    def __init__(self, enb, imsi, k, opc, sqn_seen=None):
        self.enb, self.imsi, self.sim = enb, imsi, sim.Sim(k, opc)
        self.sqn_seen = sqn_seen  # a SIM that has seen this SQN, and says so to an older one
        self.sqns = []  # of the challenges with a right AUTN
        self.key = self.reject_cause = None
        self.secured = False
        enb.next_id += 1
        self.enb_id = (ENB_UE_ID, IGNORE, b"\0" + bytes([enb.next_id]))
        self.mme_id = None

    def place(self):
        return [(CGI, IGNORE, b"\0" + PLMN + bytes.fromhex("00001010")), (TAI, IGNORE, b"\0" + PLMN + TAC)]

    def say(self, nas):
        self.enb.send(UPLINK_NAS, IGNORE, [self.mme_id, self.enb_id, (NAS_PDU, REJECT, counted(nas)), *self.place()], 1)

    def attach(self):
        digits = [int(c) for c in self.imsi]
        identity = bytes([digits[0] << 4 | 9]) + bytes(digits[n + 1] << 4 | digits[n] for n in range(1, 15, 2))
        pdn_request = bytes.fromhex("0201d011")
        request = (bytes([EMM, ATTACH_REQUEST, 0x71]) + bytes([len(identity)]) + identity + bytes.fromhex("02e0e0") +
                   struct.pack("!H", len(pdn_request)) + pdn_request)
        self.enb.send(INITIAL_UE, IGNORE, [self.enb_id, (NAS_PDU, REJECT, counted(request)), *reversed(self.place()),
                                           (CAUSE_OF_CONTACT, IGNORE, b"\x30")], 1)
        while not self.secured and self.reject_cause is None:
            _, procedure, ies = self.enb.receive()
            if procedure != DOWNLINK_NAS or ies[ENB_UE_ID] != self.enb_id[2]:
                continue
            self.mme_id = (MME_UE_ID, REJECT, ies[MME_UE_ID])
            size, at = take_length(ies[NAS_PDU], 0)
            self.heard(ies[NAS_PDU][at:at + size])
        return self

    def heard(self, nas):
        if nas[0] & 0xf0 == 0x30:
            self.security_command(nas)
        elif nas[1] == AUTH_REQUEST:
            self.challenged(nas[3:19], nas[20:36])
        elif nas[1] in (ATTACH_REJECT, AUTH_REJECT):
            self.reject_cause = nas[2] if nas[1] == ATTACH_REJECT else 0
        else:
            raise AssertionError("what does the MME say? " + nas.hex())

    def challenged(self, rand, autn):
        sqn, res, ck, ik = self.sim.answer(rand, autn)  # raises when AUTN is not right
        self.sqns.append(sqn)
        if self.sqn_seen is not None and sqn <= self.sqn_seen:
            auts = self.sim.auts(rand, self.sqn_seen)
            self.say(bytes([EMM, AUTH_FAILURE, SYNCH_FAILURE, 0x30, len(auts)]) + auts)
            return
        self.key = sim.nas_integrity_key(sim.kasme(ck, ik, PLMN, autn), 2)
        self.say(bytes([EMM, AUTH_RESPONSE, len(res)]) + res)

    def security_command(self, nas):
        """Its MAC has a key that comes from KASME, which the MME has of the HSS, and this phone of its SIM."""
        assert nas[7] == SECURITY_COMMAND and nas[8] == 2, "EEA0 and EIA2 are expected: " + nas.hex()
        assert sim.eia2(self.key, nas[5], 1, nas[5:]) == nas[1:5], "NAS MAC: KASME differs"
        self.secured = True
        complete = bytes([0, EMM, SECURITY_COMPLETE])
        self.say(b"\x47" + sim.eia2(self.key, 0, 0, complete) + complete)
