"""tshark as judge of everything that the HSS sends: nothing malformed, nothing unknown, every request answered, every
answer matched. One capture holds every command, the errors of a peer's defects, cancellations and the end."""
import os
import select
import signal
import socket
import subprocess
import time
import unittest

import diameter as d
import hss
import judge
from hss import K, OPC, Hss


class Capture:
    """tshark on the loopback interface; starts when its capture file grows, stops when it has everything."""

    def __init__(self, port, path):
        self.port, self.path = port, path
        self.process = subprocess.Popen(["tshark", "-i", "lo", "-f", f"tcp port {port}", "-w", path, "-q"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        self.see_knock()

    def size(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def see_knock(self):
        """Connects until the capture has grown by that: nothing else tells that a packet has reached it."""
        before = self.size()
        deadline = time.monotonic() + 30
        while self.size() <= max(before, 1000):
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline, "tshark doesn't capture"
            socket.create_connection(("127.0.0.1", self.port)).close()
            select.select([], [], [], 0.1)

    def stop(self):
        self.see_knock()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.process.stderr.close()

    @property
    def judged(self):
        """Whose messages these are, for judge.py."""
        return {"path": self.path, "decode": [f"tcp.port=={self.port}"]}

    def read(self, rule):
        return judge.tshark(rule=rule, **self.judged)


class Judge(unittest.TestCase):
    def defects(self, port):
        """Each is answered with an error; for what the answer must be see the protocol scenarios."""
        def broken(p):
            imsi = hss.imsi(5)
            yield p.s6a(d.AIR, imsi, [])  # 5005, Failed-AVP
            yield p.s6a(d.AIR, None, [d.v3(d.PLMN, b"\x00\xf1\x10")])
            yield p.air(imsi, more=[d.avp(9999, b"abcd")])  # 5001
            yield p.air(imsi, more=[d.v3(d.PLMN, b"\x00\xf1\x10")])  # 5009
            yield p.ulr(imsi, rat=77777)  # 5004
            yield p.air(imsi, plmn=b"\x00")  # 5014
            yield p.ulr("00101" + "9" * 10)  # unknown subscriber
            yield p.ulr(imsi, dest_host="other.epc.mnc001.mcc001.3gppnetwork.org")  # 3002
            n = p.id()
            yield d.message(399, [d.avp(d.SESSION_ID, "a;1;2")] + p.origin(), hbh=n, e2e=n)  # 3001
            yield d.message(d.AIR, [d.avp(d.SESSION_ID, "a;1;3")] + p.origin(), app=16777999, hbh=n + 1, e2e=n)  # 3007
        with d.Peer(port, "mme-defects.test") as peer:
            for request in broken(peer):
                self.assertNotEqual(peer.call(request).result, 2001)

    def mix(self, h):
        with d.Peer(h.port, "mme-x.test") as x, d.Peer(h.port, "mme-y.test") as y:
            self.assertEqual(x.call(x.dwr()).result, 2001)
            for n in (1, 2, 3):
                self.assertEqual(x.call(x.air(hss.imsi(n), vectors=3)).result, 2001)
                self.assertEqual(x.call(x.ulr(hss.imsi(n))).result, 2001)
            self.assertEqual(y.call(y.ulr(hss.imsi(1))).result, 2001)
            x.take(d.CLR)
            self.assertEqual(x.call(x.nor(hss.imsi(2), [d.avp(d.SERVICE_SELECTION, "internet"), d.avp(
                486, [d.avp(334, b"\0\1\x0a\0\0\1")])])).result, 2001)
            self.assertEqual(x.call(x.ulr(hss.imsi(2))).result, 2001)  # the gateway is in the answer now
            self.assertEqual(x.call(x.pur(hss.imsi(2))).result, 2001)
            self.assertEqual(x.call(x.air(hss.imsi(4), resync=bytes(30))).result, 4181)
            proxied = [d.avp(d.PROXY_INFO, [d.avp(280, "proxy.test"), d.avp(33, b"state")]),
                       d.avp(282, "relay.test")]
            self.assertEqual(x.call(x.ulr(hss.imsi(3), more=proxied)).result, 2001)
            h.ctl("location", "cancel", hss.imsi(3))
            x.take(d.CLR)
            x.disconnect()
            self.assertEqual(y.call(y.dwr()).result, 2001)
            y.disconnect()
        with d.Peer(h.port, "mme-cer.test", capabilities=False) as p:
            self.assertEqual(p.call(p.cer(app=4)).result, 5010)

    def test_everything_we_send(self):
        with Hss() as h:
            h.provision(20)
            h.ctl("subscriber", "set", hss.imsi(9), "subscriber_status=1", "operator_determined_barring=0")
            capture = Capture(h.port, os.path.join(h.dir, "all.pcapng"))
            try:
                self.mix(h)
                self.defects(h.port)
                for case in ("attach", "resync", "mixed"):
                    h.load(case, imsi=hss.imsi(10), subscribers=10, k=K, opc=OPC)
                h.load("attach", imsi=hss.imsi(10), subscribers=10, k=K, opc=OPC, s6d=True, host="sgsn.test")
            finally:
                capture.stop()
            self.assertEqual(h.stop(), 0)
            ours = f"tcp.srcport=={h.port} && diameter"
            seen = judge.commands(rule=ours, **capture.judged)
            for command in (d.CER, d.DWR, d.DPR, d.AIR, d.ULR, d.PUR, d.NOR):
                self.assertIn((command, False), seen, f"no answer to {command} in the capture")
            self.assertIn((d.CLR, True), seen, "no CLR in the capture")
            # the judge itself: what the defects sent is found
            self.assertTrue(capture.read(f"tcp.dstport=={h.port} && diameter.avp.code.unknown"))
            # Failed-AVP (279) holds a peer's defective AVP as it came, and the answer 3001 the command that nobody
            # knows, as 3007 does the application: only there we repeat something wrong
            bad = judge.remarks(ours=f"{ours} && !(diameter.avp.code == 279) && !(diameter.cmd.code == 399) && "
                                     "!(diameter.applicationId == 16777999)", **capture.judged)
            self.assertEqual(bad, [])
            self.assertEqual(capture.read("diameter.flags.request==1 && !diameter.answer_in"), [])
            self.assertEqual(capture.read("diameter.flags.request==0 && !diameter.answer_to"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
