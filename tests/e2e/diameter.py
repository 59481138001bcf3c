"""A Diameter peer byte by byte, for what hss-load doesn't do: hostile messages, exact repetitions, reading every AVP.

    with Peer(port, "mme1.x", realm) as mme:       # connected, capabilities exchanged
        answer = mme.call(mme.ulr("001010000000001"))
        assert answer.result == 2001
        clr = mme.take(CLR)                        # a request of the HSS, answered with success

Standard library only.
"""
import select
import socket
import struct
import time

import capture

VENDOR = 10415
S6A = 16777251
CER, DWR, DPR = 257, 280, 282
ULR, CLR, AIR, IDR, DSR, PUR, RSR, NOR = 316, 317, 318, 319, 320, 321, 322, 323
REQUEST, PROXIABLE, ERROR, RETRANSMIT = 0x80, 0x40, 0x20, 0x10
BASE_CODES = {CER, DWR, DPR}

USER_NAME, HOST_IP, AUTH_APP, VENDOR_ID, SESSION_ID, ORIGIN_HOST = 1, 257, 258, 266, 263, 264
RESULT, PRODUCT, DISCONNECT_CAUSE, AUTH_STATE, ORIGIN_STATE, FAILED = 268, 269, 273, 277, 278, 279
VSAI, ROUTE_RECORD, DEST_REALM, PROXY_INFO, DEST_HOST, ORIGIN_REALM = 260, 282, 283, 284, 293, 296
EXPERIMENTAL, EXPERIMENTAL_CODE = 297, 298
SUBSCRIPTION, ULR_FLAGS, PLMN, EUTRAN, AUTH_INFO, EUTRAN_VECTOR = 1400, 1405, 1407, 1408, 1413, 1414
ITEM_NUMBER, CANCELLATION, RAT, NUM_VECTORS, RESYNC, IMMEDIATE = 1419, 1420, 1032, 1410, 1411, 1412
NOR_FLAGS, RAND, XRES, AUTN, KASME, PUA_FLAGS, APN_PROFILE, APN = 1443, 1447, 1448, 1449, 1450, 1442, 1429, 1430
SERVICE_SELECTION, MSISDN = 493, 701


def u32(value):
    return struct.pack("!I", value)


def avp(code, data, vendor=None, flags=None, length=None):
    """One AVP, padded; `data` may be bytes, str, int (Unsigned32) or a list of AVPs. flags and length can be lies."""
    if isinstance(data, list):
        data = b"".join(data)
    elif isinstance(data, str):
        data = data.encode()
    elif isinstance(data, int):
        data = u32(data)
    if flags is None:
        flags = 0x40
    flags |= 0x80 if vendor else 0
    head = 12 if vendor else 8
    out = struct.pack("!IB", code, flags) + (head + len(data) if length is None else length).to_bytes(3, "big")
    out += u32(vendor) if vendor else b""
    return out + data + bytes(-len(data) % 4)


def v3(code, data, **how):
    """A 3GPP AVP."""
    return avp(code, data, vendor=VENDOR, **how)


def message(command, avps, flags=REQUEST | PROXIABLE, app=S6A, hbh=0, e2e=0, version=1, length=None):
    body = b"".join(avps)
    return (bytes([version]) + (20 + len(body) if length is None else length).to_bytes(3, "big") + bytes([flags]) +
            command.to_bytes(3, "big") + struct.pack("!III", app, hbh, e2e) + body)


class Avp:
    """One AVP read; groups are walked on demand."""

    def __init__(self, code, vendor, flags, data):
        self.code, self.vendor, self.flags, self.data = code, vendor, flags, data

    @property
    def number(self):
        return int.from_bytes(self.data, "big")

    @property
    def text(self):
        return self.data.decode()

    @property
    def avps(self):
        return walk(self.data)

    def all(self, code):
        return [a for a in self.avps if a.code == code]

    def one(self, code):
        found = self.all(code)
        assert len(found) == 1, f"AVP {code}: {len(found)} times"
        return found[0]

    def __repr__(self):
        return f"Avp({self.code}, {self.vendor}, {self.flags:#x}, {self.data.hex()})"


def walk(data):
    out, at = [], 0
    while at < len(data):
        code, flags = struct.unpack_from("!IB", data, at)
        length = int.from_bytes(data[at + 5:at + 8], "big")
        head = 12 if flags & 0x80 else 8
        assert head <= length <= len(data) - at, f"AVP {code}: length {length}"
        vendor = struct.unpack_from("!I", data, at + 8)[0] if flags & 0x80 else 0
        out.append(Avp(code, vendor, flags, data[at + head:at + length]))
        padded = length + -length % 4
        assert not any(data[at + length:at + padded]), f"AVP {code}: padding isn't zero"
        at += padded
    return out


def walk_raw(message):
    """The AVPs of a whole message as bytes, to be put together otherwise."""
    out, at = [], 20
    while at < len(message):
        length = int.from_bytes(message[at + 5:at + 8], "big")
        length += -length % 4
        out.append(message[at:at + length])
        at += length
    return out


class Message(Avp):
    def __init__(self, raw):
        self.raw = raw
        self.command = int.from_bytes(raw[5:8], "big")
        self.app, self.hbh, self.e2e = struct.unpack_from("!III", raw, 8)
        super().__init__(0, 0, raw[4], raw[20:])

    @property
    def is_request(self):
        return bool(self.flags & REQUEST)

    @property
    def result(self):
        """Result-Code, or the code of Experimental-Result."""
        plain, experimental = self.all(RESULT), self.all(EXPERIMENTAL)
        assert len(plain) + len(experimental) == 1, f"results: {plain} {experimental}"
        return plain[0].number if plain else experimental[0].one(EXPERIMENTAL_CODE).number

    @property
    def failed(self):
        """What is inside Failed-AVP."""
        return self.one(FAILED).avps


class Closed(Exception):
    """The HSS closed the connection."""


class Refused(Exception):
    """The capabilities were answered with an error."""


class Peer:
    def __init__(self, port, host="mme01.test", realm="test", dest_realm=None, capabilities=True, address="127.0.0.1",
                 timeout=20):
        self.host, self.realm = host, realm
        self.dest_realm = dest_realm or "epc.mnc001.mcc001.3gppnetwork.org"
        self.timeout = timeout
        self.buffer = b""
        self.requests = []  # of the HSS, already answered
        self.answers = {}  # Hop-by-Hop -> answer that nobody has taken yet
        self.answer_clr = True
        self.replies = {}  # command -> what a function of the request gives: the result, and further AVPs
        self.next_id = 10**9 + int(time.time() * 1000) % 10**9  # as many digits on any day
        self.record = self.recorder()
        self.socket = self.connect(address, port)
        if capabilities:
            self.cea = self.call(self.cer())
            if self.cea.result != 2001:
                self.close()
                raise Refused(self.cea.result)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()

    def close(self):
        self.record.ended(True)
        self.socket.close()

    # --- requests, as bytes

    def id(self):
        self.next_id += 1
        return self.next_id & 0xffffffff

    def origin(self):
        return [avp(ORIGIN_HOST, self.host), avp(ORIGIN_REALM, self.realm)]

    def cer(self, app=S6A, **how):
        n = self.id()
        return message(CER, self.origin() + [
            avp(HOST_IP, b"\0\1\x7f\0\0\1"), avp(VENDOR_ID, 0), avp(PRODUCT, "e2e", flags=0),
            avp(265, VENDOR), avp(VSAI, [avp(VENDOR_ID, VENDOR), avp(AUTH_APP, app)])],
            flags=REQUEST, app=0, hbh=n, e2e=n, **how)

    def dwr(self):
        n = self.id()
        return message(DWR, self.origin(), flags=REQUEST, app=0, hbh=n, e2e=n)

    def dpr(self):
        n = self.id()
        return message(DPR, self.origin() + [avp(DISCONNECT_CAUSE, 0)], flags=REQUEST, app=0, hbh=n, e2e=n)

    def s6a(self, command, imsi, more, dest_host=None, flags=REQUEST | PROXIABLE, e2e=None, **how):
        n = self.id()
        head = [avp(SESSION_ID, f"{self.host};1;{n};s6a"),
                avp(VSAI, [avp(VENDOR_ID, VENDOR), avp(AUTH_APP, S6A)]), avp(AUTH_STATE, 1)] + self.origin()
        if dest_host:
            head.append(avp(DEST_HOST, dest_host))
        head.append(avp(DEST_REALM, self.dest_realm))
        if imsi is not None:
            head.append(avp(USER_NAME, imsi))
        return message(command, head + more, flags=flags, hbh=n, e2e=n if e2e is None else e2e, **how)

    def air(self, imsi, vectors=1, resync=None, plmn=b"\x00\xf1\x10", more=(), **how):
        group = [v3(NUM_VECTORS, vectors), v3(IMMEDIATE, 0)]
        if resync:
            group.append(v3(RESYNC, resync))
        return self.s6a(AIR, imsi, [v3(EUTRAN, group), v3(PLMN, plmn), *more], **how)

    def ulr(self, imsi, ulr_flags=0x22, rat=1004, plmn=b"\x00\xf1\x10", more=(), **how):
        return self.s6a(ULR, imsi, [v3(RAT, rat), v3(ULR_FLAGS, ulr_flags), v3(PLMN, plmn), *more], **how)

    def pur(self, imsi, **how):
        return self.s6a(PUR, imsi, [], **how)

    def nor(self, imsi, more=(), **how):
        return self.s6a(NOR, imsi, [v3(NOR_FLAGS, 0), *more], **how)

    # --- the connection

    def recorder(self):
        return capture.stream()

    def connect(self, address, port):
        """A connected socket; other transports have their own."""
        s = socket.create_connection((address, port), timeout=self.timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def send(self, *messages):
        data = b"".join(messages)
        self.record.sent(data)
        self.socket.sendall(data)

    def read(self, timeout=None):
        """The next message. Closed: the HSS closed; TimeoutError: nothing came."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            if len(self.buffer) >= 4:
                length = int.from_bytes(self.buffer[1:4], "big")
                if len(self.buffer) >= length:
                    raw, self.buffer = self.buffer[:length], self.buffer[length:]
                    assert raw[0] == 1 and length >= 20 and length % 4 == 0
                    self.record.received(raw)
                    return Message(raw)
            if not select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            try:
                some = self.socket.recv(65536)
            except ConnectionError:
                some = b""
            if not some:
                self.record.ended(False)
                raise Closed
            self.buffer += some

    def answer(self, request, result=2001, more=(), experimental=False):
        kept = [avp(a.code, a.data) for a in request.avps if a.code == SESSION_ID]
        state = [] if request.command in BASE_CODES else [avp(AUTH_STATE, 1)]
        how = avp(EXPERIMENTAL, [avp(VENDOR_ID, VENDOR), avp(EXPERIMENTAL_CODE, result)]) if experimental else avp(RESULT, result)
        self.send(message(request.command, kept + [how] + state + self.origin() + list(more),
                          flags=request.flags & PROXIABLE, app=request.app, hbh=request.hbh, e2e=request.e2e))

    def step(self, timeout=None):
        """Reads one message: answers the HSS's request, or keeps an answer."""
        m = self.read(timeout)
        if not m.is_request:
            assert m.hbh not in self.answers, f"answered twice: {self.answers[m.hbh].raw.hex()} {m.raw.hex()}"
            self.answers[m.hbh] = m
            return
        if m.command in self.replies:
            self.answer(m, **self.replies[m.command](m))
        elif m.command != CLR or self.answer_clr:
            self.answer(m)
        if m.command != DWR:
            self.requests.append(m)

    def wait(self, hbh, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while hbh not in self.answers:
            self.step(deadline - time.monotonic())
        return self.answers.pop(hbh)

    def call(self, request, timeout=None):
        """Sends a request and waits for its answer; what must be the same in both is."""
        self.send(request)
        asked = Message(request)
        answer = self.wait(asked.hbh, timeout)
        assert (answer.command, answer.app, answer.e2e) == (asked.command, asked.app, asked.e2e)
        assert answer.flags & PROXIABLE == asked.flags & PROXIABLE and not answer.flags & RETRANSMIT
        return answer

    def take(self, command, timeout=None):
        """The next request of the HSS with this command."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not any(r.command == command for r in self.requests):
            self.step(deadline - time.monotonic())
        found = next(r for r in self.requests if r.command == command)
        self.requests.remove(found)
        return found

    def disconnect(self):
        """DPR, DPA, and the connection is gone."""
        assert self.call(self.dpr()).result == 2001
        self.close()
