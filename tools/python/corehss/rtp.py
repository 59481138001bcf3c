"""RTP and RTCP packets from Python, by imstool rtp: dicts to hex digits and back.

    from corehss import rtp
    packet = rtp.decode("8008d4340000303c0b12671ad5d5d5d5")     # or bytes
    packet["sequence_number"] += 1
    rtp.encode(packet)                                          # hex digits
    rtp.streams("call.pcapng")                                  # what imstool rtp pcap says about each stream

The members: version padding extension csi_count marker payload_type sequence_number timestamp ssrc payload; csrc,
header_extension and padding_octets where a packet has them. An RTCP packet is {"rtcp": [packet, ...]}. Scripts written for
PyRTP go on with GenerateRTPpacket and DecodeRTPpacket. A malformed packet is a corehss.Error that names the octet.

One imstool is started for all packets and answers them one by one, so that a script can make 50 of them a second and more.
"""
from corehss import Error, _imstool

__all__ = ["DecodeRTPpacket", "GenerateRTPpacket", "decode", "encode", "streams"]

_decoder = _imstool.Helper(["rtp", "decode", "--json", "-"])
_encoder = _imstool.Helper(["rtp", "encode", "--json", "-"])


def decode(packet):
    """The packet in hex digits or octets, as a dict."""
    text = packet.hex() if isinstance(packet, (bytes, bytearray, memoryview)) else "".join(packet.split())
    answer = _decoder.ask(text) if text else {"error": "it ends within its header", "offset": 0}
    if "error" in answer:
        raise Error(f"octet {answer['offset']}: {answer['error']}", 1)
    return answer


def encode(packet):
    """The packet that a dict describes, in hex digits. What decode returned gives the same octets."""
    answer = _encoder.ask(_imstool.line(packet))
    if "error" in answer:
        raise Error(answer["error"], 1)
    return answer["hex"]


def streams(path, clock=None):
    """The RTP streams of a pcap or pcapng file, a dict each. clock: {payload type: rate} of dynamic payload types."""
    clocks = ["--clock", ",".join(f"{t}:{rate}" for t, rate in clock.items())] if clock else []
    status, rows = _imstool.run(["rtp", *clocks, "pcap", path], empty_is_no=True)
    return rows if status == 0 else []


GenerateRTPpacket = encode  # their names in PyRTP
DecodeRTPpacket = decode
