"""A SIM and the NAS security of a phone, from the specifications: Milenage (TS 35.206), KASME and NAS keys (TS 33.401 A.2,
A.7), EIA2 (TS 33.401 B.2.3). To judge what the HSS computes without using its code. AES is that of libcrypto."""
import ctypes
import hashlib
import hmac


def aes(key, block):
    crypto = ctypes.CDLL("libcrypto.so.3")
    schedule, out = ctypes.create_string_buffer(256), ctypes.create_string_buffer(16)
    crypto.AES_set_encrypt_key(key, 128, schedule)
    crypto.AES_encrypt(block, out, schedule)
    return out.raw


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


class Rejected(AssertionError):
    pass


class Sim:
    def __init__(self, k, opc):
        self.k, self.opc = bytes.fromhex(k), bytes.fromhex(opc)

    def _out(self, rand, rotate, constant):
        temp = xor(aes(self.k, xor(rand, self.opc)), self.opc)
        turned = temp[rotate // 8:] + temp[:rotate // 8]
        return xor(aes(self.k, xor(turned, bytes(15) + bytes([constant]))), self.opc)

    def _out1(self, rand, sqn, amf):
        temp = aes(self.k, xor(rand, self.opc))
        both = xor((sqn + amf) * 2, self.opc)
        return xor(aes(self.k, xor(temp, both[8:] + both[:8])), self.opc)

    def answer(self, rand, autn):
        """(SQN, RES, CK, IK) of a challenge whose AUTN is right."""
        out2 = self._out(rand, 0, 1)
        sqn = xor(autn[:6], out2[:6])
        if self._out1(rand, sqn, autn[6:8])[:8] != autn[8:]:
            raise Rejected("MAC of AUTN")
        return int.from_bytes(sqn, "big"), out2[8:], self._out(rand, 32, 2), self._out(rand, 64, 4)

    def auts(self, rand, sqn):
        """What a SIM that has seen this SQN says to an older one."""
        text = sqn.to_bytes(6, "big")
        return xor(text, self._out(rand, 96, 8)[:6]) + self._out1(rand, text, bytes(2))[8:]


def kasme(ck, ik, plmn, autn):
    return hmac.new(ck + ik, b"\x10" + plmn + b"\0\3" + autn[:6] + b"\0\6", hashlib.sha256).digest()


def nas_integrity_key(kasme, algorithm):
    return hmac.new(kasme, b"\x15\x02\0\1" + bytes([algorithm]) + b"\0\1", hashlib.sha256).digest()[16:]


def cmac(key, message):
    """AES-CMAC (RFC 4493)."""
    def double(block):
        n = int.from_bytes(block, "big") << 1
        return (n & (1 << 128) - 1 ^ (0x87 if n >> 128 else 0)).to_bytes(16, "big")
    k1 = double(aes(key, bytes(16)))
    head, last = message[:(len(message) - 1) // 16 * 16], message[(len(message) - 1) // 16 * 16:]
    last = xor(last, k1) if len(last) == 16 else xor(last + b"\x80" + bytes(15 - len(last)), double(k1))
    state = bytes(16)
    for at in range(0, len(head), 16):
        state = aes(key, xor(state, head[at:at + 16]))
    return aes(key, xor(state, last))


def eia2(key, count, downlink, message):
    return cmac(key, count.to_bytes(4, "big") + bytes([downlink << 2, 0, 0, 0]) + message)[:4]
