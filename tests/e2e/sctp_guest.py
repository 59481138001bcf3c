"""SCTP, inside the virtual machine that test_sctp.py starts. First without the kernel's module, then with it."""
import os
import re
import subprocess
import sys
import unittest

import diameter as d
import hss
import sctp
import sim
from hss import HOST, REALM, Hss
from sctp_capture import Capture
from test_dial import Server

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support", "vm"))
import vm  # noqa: E402

OURS = ["10.77.0.1", "10.77.0.2"]  # the HSS's
THEIRS = ["10.77.0.3", "10.77.0.4"]  # the peers'
DIALLED, SILENT_FIRST, FD_LISTENS = (f"{name}.{REALM}" for name in ("dialled", "silent", "fd-listens"))
SILENT = "10.77.0.9"  # packets to it go nowhere
BAD = re.compile(r".*(?:Parsing error|Message discarded|ERROR).*")


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def setUpModule():
    ip("link", "set", "lo", "mtu", "1500")  # so that long messages travel in fragments
    for address in OURS + THEIRS:
        ip("addr", "add", address + "/32", "dev", "lo")


def listeners(port):
    return [{"transport": "sctp", "address": OURS[0], "addresses": OURS[1:], "port": port},
            {"transport": "sctp", "address": "::1", "addresses": ["127.0.0.1"], "port": port},
            {"transport": "tcp", "address": "127.0.0.1", "port": port}]


def dialled(port):
    """Peers that the HSS connects to: nobody is there until a test listens, and a reload makes it try at once."""
    return {"list": [{"host": host, "addresses": addresses, "port": port, "transport": "sctp", "connect": True}
                     for host, addresses, port in ((DIALLED, THEIRS, port), (SILENT_FIRST, [SILENT, THEIRS[0]], port + 1),
                                                   (FD_LISTENS, THEIRS, port + 2))]}


def listens(port):
    with open("/proc/net/sctp/eps") as f:
        return f" {port} " in f.read()


class SctpServer(Server, sctp.SctpPeer):
    """What the HSS has connected to."""


class A_KernelWithout(unittest.TestCase):
    """Runs first: nobody has loaded the module."""

    def test_said_at_the_check(self):
        node = Hss(start=False)
        self.addCleanup(node.close)
        node.configure(listen=listeners(node.port))
        for check in (["--check"], []):
            done = node.run("hssd", *check, "--config", node.config_path, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, rf"(?m)^hssd: {node.config_path}:[0-9]+: listen\[0\].transport: sctp: this kernel "
                                          r"has no SCTP \(module sctp\)$")
        node.configure(listen=listeners(node.port)[2:], peers=dialled(1))
        self.assertRegex(node.run("hssd", "--check", "--config", node.config_path, check=False).stderr,
                         rf"(?m)^hssd: {node.config_path}:[0-9]+: peers.list\[0\].transport: sctp: this kernel has no SCTP "
                         r"\(module sctp\)$")
        node.configure(peers=None)
        self.assertEqual(node.run("hssd", "--check", "--config", node.config_path).returncode, 0)


class B_Sctp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        vm.load_sctp()
        # a receive buffer that a long message doesn't fit in: the kernel hands it out in pieces (partial delivery)
        with open("/proc/sys/net/sctp/sctp_rmem", "w") as f:
            f.write("4096 32768 4194304")
        capture = Capture(os.path.join(os.environ["VM_RW"], "sctp.pcap"))
        cls.addClassCleanup(capture.stop)
        cls.hss = Hss(start=False)
        cls.addClassCleanup(cls.hss.close)
        cls.hss.port = int(os.environ["HSS_PORT"])
        cls.dial_port = int(os.environ["HSS_DIAL_PORT"])
        ip("route", "add", SILENT, "dev", "lo")
        # an emulated machine may take its time over what it was sent in one go
        cls.hss.configure(listen=listeners(cls.hss.port), peers=dialled(cls.dial_port), limits={"request_timeout_ms": 20000})
        cls.hss.start()
        with open("/proc/sys/net/sctp/sctp_rmem", "w") as f:
            f.write("4096 262144 4194304")
        cls.hss.provision(50)

    def peer(self, name="sctp", address=OURS[0], **how):
        peer = sctp.SctpPeer(self.hss.port, f"{name}.{REALM}", REALM, address=address, **how)
        self.addCleanup(peer.close)
        return peer

    def row(self, peer):
        """Of `peer list`; None when it is not connected."""
        rows = self.hss.ctl("--json", "peer", "list").lines
        return next((row for row in rows if row["host"] == peer.host), None)

    def addresses(self, cea):
        return sorted(".".join(map(str, a.data[2:])) for a in cea.all(d.HOST_IP))

    def test_procedures(self):
        mme = self.peer(local=THEIRS)
        self.assertEqual(self.addresses(mme.cea), OURS)
        answer = mme.call(mme.air(hss.imsi(1)))
        self.assertEqual(answer.result, 2001)
        vector = answer.one(d.AUTH_INFO).one(d.EUTRAN_VECTOR)
        sqn, res, ck, ik = sim.Sim(hss.K, hss.OPC).answer(vector.one(d.RAND).data, vector.one(d.AUTN).data)
        self.assertEqual(vector.one(d.XRES).data, res)
        self.assertEqual(vector.one(d.KASME).data, sim.kasme(ck, ik, b"\x00\xf1\x10", vector.one(d.AUTN).data))
        answer = mme.call(mme.ulr(hss.imsi(1)))
        self.assertEqual(answer.result, 2001)
        self.assertEqual(self.hss.location(hss.imsi(1))["mme"]["host"], mme.host)
        self.assertEqual(self.row(mme)["transport"], "sctp")
        # the next MME takes the subscriber over
        other = self.peer("other", "::1")
        self.assertEqual(other.call(other.ulr(hss.imsi(1))).result, 2001)
        self.assertEqual(mme.take(d.CLR).one(d.USER_NAME).text, hss.imsi(1))
        self.assertEqual(mme.call(mme.pur(hss.imsi(1))).result, 2001)
        mme.disconnect()
        self.assertEqual(set(mme.seen + other.seen), {(0, 0, sctp.PPID)})  # in order, on stream 0

    def test_both_families_on_one_endpoint(self):
        for address, name in (("::1", "six"), ("127.0.0.1", "four")):
            peer = self.peer(name, address)
            self.assertEqual(peer.call(peer.air(hss.imsi(2))).result, 2001)
            peer.disconnect()

    def test_many_at_once(self):
        """Every answer is a message of its own, whatever the peer's streams, order and payload identifier are."""
        for how in ({}, {"unordered": True}, {"ppid": 0}):
            mme = self.peer("many", **how)
            asked = [mme.air(hss.imsi(1 + n % 50)) for n in range(200)]
            mme.send(*asked)
            for request in asked:
                self.assertEqual(mme.wait(d.Message(request).hbh).result, 2001)
            mme.disconnect()

    def test_long_messages_in_pieces(self):
        """Longer than the HSS's receive buffer, with short ones before, between and behind on other streams."""
        for unordered in (False, True):
            mme = self.peer("long", unordered=unordered)
            asked = []
            for length in (60000, 10, 65000, 30000, 4000, 65000):
                asked.append(mme.air(hss.imsi(3), more=[d.avp(0xf0001, bytes(length), flags=0)]))
                asked += [mme.air(hss.imsi(4)), mme.air(hss.imsi(5))]
            mme.send(*asked)
            for request in asked:
                self.assertEqual(mme.wait(d.Message(request).hbh).result, 2001)
            mme.disconnect()

    def test_answers_that_wait_for_the_reader(self):
        """More than both ends' buffers hold: the rest waits in the HSS, message by message, and others are served."""
        mme, other = self.peer("late"), self.peer("other")
        asked = [mme.air(hss.imsi(1 + n % 50), vectors=5) for n in range(800)]
        mme.send(*asked)
        self.hss.until(lambda: self.row(mme)["requests"] == 800 and self.row(mme)["pending"] == 0, "all are served")
        self.assertEqual(other.call(other.air(hss.imsi(1))).result, 2001)
        length = 0
        for request in asked:
            answer = mme.wait(d.Message(request).hbh)
            self.assertEqual(answer.result, 2001)
            length += len(answer.raw)
        self.assertGreater(length, 262144 + 212992)  # the test itself: it was more

    def test_message_and_user_message_differ(self):
        """Two in one, and one in two: the length in the header counts."""
        mme = self.peer("odd")
        asked = [mme.air(hss.imsi(6)) for _ in range(4)]
        mme.send_user_message(asked[0] + asked[1])
        mme.send_user_message(asked[2] + asked[3][:33])
        mme.send_user_message(asked[3][33:])
        for request in asked:
            self.assertEqual(mme.wait(d.Message(request).hbh).result, 2001)

    def test_broken_framing_ends_one_association(self):
        well, broken = self.peer("well"), self.peer("broken")
        for bad in (b"\1\0\0\4", b"\2" + bytes(19), b"\1\xff\xff\xff" + bytes(16)):
            broken.send_user_message(bad)
            with self.assertRaises(d.Closed):
                broken.read()
            self.assertEqual(well.call(well.air(hss.imsi(7))).result, 2001)
            broken = self.peer("broken")

    def test_path_is_lost(self):
        """Both ends have two addresses; the one in use goes away, and the association lives on."""
        mme = self.peer("paths", local=THEIRS)
        self.assertEqual(sctp.peer_addresses(mme.socket), OURS)
        self.assertEqual(mme.call(mme.air(hss.imsi(8))).result, 2001)
        for address in (OURS[0], THEIRS[0]):
            ip("addr", "del", address + "/32", "dev", "lo")
            self.addCleanup(ip, "addr", "add", address + "/32", "dev", "lo")
        for _ in range(3):
            self.assertEqual(mme.call(mme.air(hss.imsi(8)), timeout=30).result, 2001)

    def test_peer_that_vanishes_in_the_middle(self):
        mme = self.peer("short")
        mme.send_user_message(mme.air(hss.imsi(9))[:50])
        mme.close()
        self.hss.until(lambda: not self.row(mme), "the old association is gone")
        again = self.peer("short")
        self.assertEqual(again.call(again.air(hss.imsi(9))).result, 2001)

    def test_frontend_dies(self):
        mme = self.peer("before")
        self.hss.kill_role("frontend-0")
        with self.assertRaises(d.Closed):
            mme.read()
        again = self.peer("before")
        self.assertEqual(again.call(again.air(hss.imsi(10))).result, 2001)

    def accept(self, addresses, port, host):
        """The HSS connects to a peer that listens here, which it is told at once."""
        listener = sctp.listen(addresses, port)
        self.addCleanup(listener.close)
        self.hss.reload()
        conn = listener.accept()[0]
        server = SctpServer(conn, host)
        self.addCleanup(server.close)
        self.hss.until(lambda: self.row(server), f"{host} is connected")
        return server

    def test_own_connection(self):
        """From all our addresses to all of theirs; AIR, a CLR, and the path in use goes away."""
        mme = self.accept(THEIRS, self.dial_port, DIALLED)
        self.assertEqual(sctp.peer_addresses(mme.conn), OURS)
        self.assertEqual(self.addresses(mme.cer_in), OURS)
        row = self.row(mme)
        self.assertEqual((row["transport"], row["state"]), ("sctp", "open"))
        self.assertEqual(mme.call(mme.air(hss.imsi(11))).result, 2001)
        self.assertEqual(mme.call(mme.ulr(hss.imsi(11))).result, 2001)
        other = self.peer("takes")
        self.assertEqual(other.call(other.ulr(hss.imsi(11))).result, 2001)
        self.assertEqual(mme.take(d.CLR).one(d.USER_NAME).text, hss.imsi(11))
        self.assertEqual(set(mme.seen), {(0, 0, sctp.PPID)})
        for address in (OURS[0], THEIRS[0]):
            ip("addr", "del", address + "/32", "dev", "lo")
            self.addCleanup(ip, "addr", "add", address + "/32", "dev", "lo")
        for _ in range(3):
            self.assertEqual(mme.call(mme.air(hss.imsi(11)), timeout=30).result, 2001)
        mme.disconnect_for(2)  # not dialled again until the next reload

    def test_own_connection_with_a_silent_address(self):
        mme = self.accept(THEIRS[:1], self.dial_port + 1, SILENT_FIRST)
        self.assertEqual(mme.call(mme.air(hss.imsi(12))).result, 2001)
        mme.disconnect_for(2)

    def test_hss_load(self):
        """The one that is packaged, on sockets of its own: each vector is checked."""
        done = self.hss.run("hss-load", "attach", "--sctp", "--connect", f"{OURS[0]}:{self.hss.port}", "--json", "--imsi",
                            hss.FIRST, "--subscribers", 50, "--requests", 300, "--vectors", 5, "--k", hss.K, "--opc", hss.OPC,
                            "--verify", "all", "--host", f"load.{REALM}", "--realm", REALM)
        self.assertEqual((done.json["results"], done.json["bad_vectors"], done.json["vectors_verified"]), ({"2001": 600}, 0, 1500))

    def freediameter(self, template, name, **conf):
        """The command of a freeDiameter with this configuration."""
        with open(os.path.join(HERE, "fd", template)) as f:
            text = f.read()
        acl = os.path.join(self.hss.dir, "acl.conf")
        with open(acl, "w") as f:
            f.write(f"ALLOW_IPSEC {HOST}\n")
        conf = {"realm": REALM, "imsi": hss.FIRST, **conf}
        for key, value in {"IDENTITY": f"{name}.{REALM}", "REALM": REALM, "HSS": HOST, "ADDRESS": OURS[0], "ACL": acl,
                           "CONF": " ".join(f"{key}={value}" for key, value in conf.items()),
                           "PORT": str(self.dial_port + 2 if "listen" in template else self.hss.port),
                           "EXTENSION": os.path.join(os.environ["VM_RW"], "s6a_client.fdx")}.items():
            text = text.replace(f"@{key}@", value)
        path = os.path.join(self.hss.dir, name + ".conf")
        with open(path, "w") as f:
            f.write(text)
        return ["freeDiameterd", "-c", path]

    def satisfied(self, out, sent, clr):
        self.assertFalse(BAD.findall(out), out[-3000:])
        self.assertRegex(out, f"S6A_CLIENT sent={sent} success={sent} other=0 clr={clr}")

    def test_freediameter(self):
        done = subprocess.run(self.freediameter("sctp.conf.in", "fd", requests=400, window=16, subscribers=50, ulr=1),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              text=True, check=False)
        self.satisfied(done.stdout, 400, 0)

    def test_own_connection_to_freediameter(self):
        """We connect to it; it asks, and answers the CLRs that another MME's updates cause."""
        name = FD_LISTENS.split(".")[0]
        with subprocess.Popen(self.freediameter("sctp-listen.conf.in", name, requests=40, window=1, subscribers=20, ulr=1,
                                                wait_clr=20),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as fd:
            self.addCleanup(fd.kill)
            self.hss.until(lambda: listens(self.dial_port + 2), "freeDiameter listens")
            self.hss.reload()
            self.hss.wait_location(hss.imsi(20), FD_LISTENS)
            mme = self.peer("takes-all")
            for n in range(1, 21):
                self.assertEqual(mme.call(mme.ulr(hss.imsi(n))).result, 2001)
            out, _ = fd.communicate(timeout=60)
        self.satisfied(out, 40, 20)

    def test_z_stop(self):
        """DPR to the peers, and nothing is left."""
        mme = self.peer("stop")
        self.hss.process.terminate()
        mme.take(d.DPR)
        with self.assertRaises(d.Closed):
            mme.read()
        self.assertEqual(self.hss.wait_exit(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
