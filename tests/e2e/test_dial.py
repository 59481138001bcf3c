"""Connections that the HSS opens to peers of peers.list: capabilities, elections, reasons to stay away, TLS, and
requests of its own that go through a relay and survive a failover."""
import os
import random
import re
import select
import shutil
import socket
import ssl
import tempfile
import time
import unittest

import diameter as d
import hss
from hss import FIRST, HOST, Hss
from tls import Authority, TlsSide, TlsSocket, server_context

RELAY = 0xffffffff


class Server(d.Peer):
    """A peer that the HSS has connected to: `conn` is the accepted socket. It has read the CER."""

    def __init__(self, conn, host, app=d.S6A, result=2001, **how):
        self.conn = conn
        super().__init__(0, host, capabilities=False, **how)
        self.cer_in = self.read()
        assert (self.cer_in.command, self.cer_in.is_request) == (d.CER, True)
        if result:
            self.send(self.cea(result, app))

    def connect(self, address, port):
        self.conn.settimeout(self.timeout)
        return self.conn

    def cea(self, result=2001, app=d.S6A):
        c = self.cer_in
        apps = [d.avp(d.AUTH_APP, RELAY)] if app == RELAY else [
            d.avp(d.VSAI, [d.avp(d.VENDOR_ID, d.VENDOR), d.avp(d.AUTH_APP, app)])]
        return d.message(d.CER, [d.avp(d.RESULT, result)] + self.origin() + [
            d.avp(d.HOST_IP, b"\0\1\x7f\0\0\1"), d.avp(d.VENDOR_ID, 0), d.avp(d.PRODUCT, "e2e", flags=0)] + apps,
            flags=0, app=0, hbh=c.hbh, e2e=c.e2e)

    def disconnect_for(self, cause):
        n = self.id()
        m = self.call(d.message(d.DPR, self.origin() + [d.avp(d.DISCONNECT_CAUSE, cause)], flags=d.REQUEST, app=0,
                                hbh=n, e2e=n))
        assert m.result == 2001
        self.close()


class TlsServer(TlsSide, Server):
    """The same over TLS: `conn` is a TlsSocket."""

    def recorder(self):
        return self.conn.record


class Dial(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="hss-dial-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def listener(self):
        s = socket.create_server(("127.0.0.1", 0))
        s.settimeout(hss.TIMEOUT)
        self.addCleanup(s.close)
        return s

    def start(self, *peers, **config):
        """An HSS that connects to these (host, listener, more) peers."""
        listed = [{"host": host, "addresses": ["127.0.0.1"], "port": at.getsockname()[1], "connect": True, **more}
                  for host, at, more in peers]
        self.hss = Hss(start=False, peers={"list": listed}, **config)
        self.addCleanup(self.hss.close)
        self.hss.start()
        self.hss.provision(3)

    def accept(self, at, host, **how):
        s = Server(at.accept()[0], host, **how)
        self.addCleanup(s.close)
        return s

    def nobody_comes(self, at, seconds):
        self.assertFalse(select.select([at], [], [], seconds)[0], "it was dialled")

    def wait_peer(self, host):
        self.hss.until(lambda: self.shown(host)["state"] == "open", f"{host} is connected")

    def shown(self, host):
        return self.hss.ctl_json("peer", "show", host)

    def test_a_peer(self):
        at = self.listener()
        self.start(("dra.test", at, {}))
        dra = self.accept(at, "dra.test")
        self.assertEqual(dra.cer_in.one(d.ORIGIN_HOST).text, HOST)
        self.assertEqual(dra.call(dra.air(FIRST)).result, 2001)
        row = self.hss.ctl_json("peer", "show", "dra.test")
        self.assertEqual((row["state"], row["transport"], row["address"]),
                         ("open", "tcp", f"127.0.0.1:{at.getsockname()[1]}"))
        # lost: dialled again, not at once
        begin = time.monotonic()
        dra.close()
        again = self.accept(at, "dra.test")
        self.assertGreater(time.monotonic() - begin, 0.7)
        self.assertEqual(again.call(again.air(FIRST)).result, 2001)
        # killed frontend: dialled by the new one
        self.hss.kill_role("frontend-0")
        third = self.accept(at, "dra.test")
        self.assertEqual(third.call(third.air(FIRST)).result, 2001)
        # an orderly end: DPR(REBOOTING)
        self.hss.process.terminate()
        dpr = third.take(d.DPR)
        self.assertEqual(dpr.one(d.DISCONNECT_CAUSE).number, 0)
        third.close()
        self.assertEqual(self.hss.wait_exit(), 0)

    def test_causes(self):
        at = self.listener()
        self.start(("dra.test", at, {}))
        dra = self.accept(at, "dra.test")
        self.wait_peer("dra.test")
        dra.disconnect_for(0)  # REBOOTING: it comes back
        dra = self.accept(at, "dra.test")
        self.wait_peer("dra.test")
        dra.disconnect_for(2)  # DO_NOT_WANT_TO_TALK_TO_YOU
        self.hss.wait_log('peer_not_dialled peer="dra.test"')
        self.nobody_comes(at, 3)
        self.hss.reload()
        dra = self.accept(at, "dra.test")
        self.wait_peer("dra.test")
        asked = self.hss.ctl("peer", "disconnect", "dra.test")
        self.assertEqual(asked.returncode, 0)
        self.assertEqual(dra.take(d.DPR).one(d.DISCONNECT_CAUSE).number, 2)
        dra.close()
        self.nobody_comes(at, 3)
        # it may still come by itself
        d.Peer(self.hss.port, "dra.test").disconnect()

    def test_wrong_answers(self):
        at = self.listener()
        self.start(("dra.test", at, {}))
        with self.accept(at, "another.test") as s:
            with self.assertRaises(d.Closed):
                s.read()
        self.hss.wait_log('peer_connect_failed peer="dra.test" .*reason="another host answers"')
        with self.accept(at, "dra.test", result=3010) as s:
            with self.assertRaises(d.Closed):
                s.read()
        self.hss.wait_log('peer_connect_failed peer="dra.test" .*reason="CEA with result 3010"')
        with self.accept(at, "dra.test", result=None) as s:
            s.send(s.dwr())
            with self.assertRaises(d.Closed):
                s.read()
        self.hss.wait_log('peer_connect_failed peer="dra.test" .*reason="protocol error"')

    def test_shown_while_not_connected(self):
        """What hssctl says of a peer of the list on its way: never reached, being set up, there, gone, given up."""
        at, closed = self.listener(), self.listener()
        closed_port = closed.getsockname()[1]
        self.start(("dra.test", at, {}), ("closed.test", closed, {"transport": "tcp"}), limits={"cer_timeout_ms": 60000})
        closed.close()
        conn = at.accept()[0]
        self.addCleanup(conn.close)
        row = self.shown("dra.test")
        self.assertEqual((row["state"], row["next_try_s"], row["listed"]), ("connecting", None, True))
        conn.close()
        at.setblocking(False)
        rows = []

        def is_down():  # for a moment only; longer each time that it is dialled again for nothing
            try:
                at.accept()[0].close()
            except BlockingIOError:
                pass
            rows.append(self.shown("dra.test"))
            return rows[-1]["state"] == "down"
        self.hss.until(is_down)
        at.setblocking(True)
        row = rows[-1]
        self.assertEqual((row["address"], row["transport"]), ("127.0.0.1", "any"))
        self.assertIn(row["reason"], ("closed by peer", "Connection reset by peer"))  # its CER may not be read
        self.assertIn(row["next_try_s"], range(40))
        dra = self.accept(at, "dra.test")
        self.wait_peer("dra.test")
        self.hss.until(lambda: self.shown("closed.test")["reason"] == "Connection refused", f"port {closed_port}")
        rows = {r["host"]: r for r in self.hss.ctl("--json", "peer", "list").lines}
        self.assertEqual({h: r["state"] for h, r in rows.items() if h == "dra.test"}, {"dra.test": "open"})
        self.assertIn(rows["closed.test"]["state"], ("down", "connecting"))
        self.assertRegex(self.hss.ctl("peer", "list").stdout, r"closed.test +(down|connecting) +tcp +127.0.0.1")
        dra.disconnect_for(2)
        self.hss.until(lambda: self.shown("dra.test")["state"] == "down")
        row = self.shown("dra.test")
        self.assertEqual((row["reason"], row["next_try_s"]), ("DO_NOT_WANT_TO_TALK_TO_YOU", None))

    def test_taken_off_the_list(self):
        """A reload without this peer: what was dialled ends in order and is not dialled again."""
        at, other = self.listener(), self.listener()
        self.start(("dra.test", at, {}), ("stays.test", other, {}))
        dra, stays = self.accept(at, "dra.test"), self.accept(other, "stays.test")
        for host in ("dra.test", "stays.test"):
            self.wait_peer(host)
        peers = dict(self.hss.config["peers"])
        self.hss.configure(peers={"accept": "listed", "list": peers["list"][1:]})
        self.hss.reload()
        self.assertEqual(dra.take(d.DPR).one(d.DISCONNECT_CAUSE).number, 2)
        dra.close()
        self.nobody_comes(at, 3)
        self.assertEqual(stays.call(stays.air(FIRST)).result, 2001)
        self.assertEqual(self.hss.ctl("peer", "show", "dra.test", check=False).returncode, 1)

    def test_where_to_dial_is_not_where_it_comes_from(self):
        at = socket.create_server(("127.0.0.2", 0))
        self.addCleanup(at.close)
        listed = {"host": "mme.test", "connect": True, "addresses": ["127.0.0.2"], "port": at.getsockname()[1]}
        self.hss = Hss(start=False, peers={"accept": "listed", "list": [listed]})
        self.addCleanup(self.hss.close)
        self.hss.start()
        at.accept()[0].close()
        d.Peer(self.hss.port, "mme.test").disconnect()  # from 127.0.0.1
        self.hss.configure(peers={"accept": "listed", "list": [{**listed, "from": ["127.0.0.3"]}]})
        self.hss.reload()
        with self.assertRaises(d.Refused) as refused:
            d.Peer(self.hss.port, "mme.test")
        self.assertEqual(refused.exception.args[0], 3010)

    def test_dial_back(self):
        """Who was connected is dialled after a restart, of everything or of the frontend, where its CER says that it listens."""
        address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.9"
        at = socket.create_server((address, 3868))
        at.settimeout(hss.TIMEOUT)
        self.addCleanup(at.close)
        self.hss = h = Hss(start=False, peers={"dial_back": True})
        self.addCleanup(h.close)
        h.start()

        class Mme(d.Peer):
            def cer(self, **how):
                return super().cer(**how).replace(b"\0\1\x7f\0\0\1", b"\0\1" + socket.inet_aton(address))

        def remembered():
            path = os.path.join(h.state_dir, "peers")
            if not os.path.exists(path):
                return ""
            with open(path) as f:
                return f.read()

        mme = Mme(h.port, "mme.test")
        left = Mme(h.port, "left.test")
        h.until(lambda: "left.test tcp" in remembered(), "both are remembered")
        left.disconnect()
        h.until(lambda: "left.test" not in remembered(), "who leaves in order is forgotten")
        self.assertIn(f"mme.test tcp {address} 127.0.0.1\n", remembered())
        h.kill_role("frontend-0")
        mme.close()
        mme = self.accept(at, "mme.test")
        self.assertEqual(mme.cer_in.one(d.ORIGIN_HOST).text, HOST)
        self.wait_peer("mme.test")
        h.kill()
        mme.close()
        h.start()
        mme = self.accept(at, "mme.test")
        self.wait_peer("mme.test")
        h.process.terminate()  # an orderly stop is a restart, too
        mme.take(d.DPR)
        mme.close()
        self.assertEqual(h.wait_exit(), 0)
        h.start()
        mme = self.accept(at, "mme.test")
        self.wait_peer("mme.test")
        mme.disconnect_for(0)

    def test_it_came_by_itself(self):
        at = self.listener()
        self.start(("dra.test", at, {}))
        at.accept()[0].close()
        own = d.Peer(self.hss.port, "dra.test")
        self.nobody_comes(at, 3)
        own.disconnect()
        self.accept(at, "dra.test")

    def test_election_won(self):
        """Our identity is the greater one: our attempt ends, the peer's connection is the one."""
        self.assertGreater(HOST, "aaa.test")
        at = self.listener()
        self.start(("aaa.test", at, {}))
        ours = self.accept(at, "aaa.test", result=None)
        theirs = d.Peer(self.hss.port, "aaa.test")
        self.assertEqual(theirs.cea.result, 2001)
        with self.assertRaises(d.Closed):
            ours.read()
        self.assertEqual(theirs.call(theirs.air(FIRST)).result, 2001)
        theirs.disconnect()

    def test_election_lost(self):
        self.assertLess(HOST, "zzz.test")
        at = self.listener()
        self.start(("zzz.test", at, {}))
        ours = self.accept(at, "zzz.test", result=None)
        theirs = d.Peer(self.hss.port, "zzz.test", capabilities=False)
        self.addCleanup(theirs.close)
        self.assertEqual(theirs.call(theirs.cer()).result, 4003)
        ours.send(ours.cea())
        self.assertEqual(ours.call(ours.air(FIRST)).result, 2001)

    def test_tls(self):
        ca = Authority(self.dir)
        at = self.listener()
        somebody, dra = server_context(ca, ca.issue("somebody.test")), server_context(ca, ca.issue("DRA.test"))
        nearly = server_context(ca, ca.issue("dra.test", san="DNS:*.test,DNS:dra.test.evil,IP:127.0.0.1", file="nearly"))
        self.start(("dra.test", at, {"transport": "tls"}), tls=ca.config(HOST))
        for other, name in ((somebody, "somebody.test"), (nearly, "*.test")):
            raw = at.accept()[0]
            self.addCleanup(raw.close)
            raw.settimeout(hss.TIMEOUT)
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                TlsSocket(raw, other, server_side=True).recv(1) or self.fail("no alert")
            self.hss.wait_log(f'tls_refused .*certificate="{re.escape(name)}" reason="hostname mismatch"')
        dra = TlsServer(TlsSocket(at.accept()[0], dra, server_side=True), "dra.test")
        self.addCleanup(dra.close)
        self.assertEqual(dra.conn.getpeercert()["subjectAltName"], (("DNS", HOST),))
        self.assertEqual(dra.call(dra.air(FIRST)).result, 2001)
        self.assertRegex(self.hss.ctl_json("peer", "show", "dra.test")["security"], "^TLSv1.3")

    def two_relays(self, **config):
        """The two DRAs in the order in which requests of ours prefer them, and a subscriber served behind them."""
        self.listeners = [self.listener(), self.listener()]
        named = list(zip(("dra1.test", "dra2.test"), self.listeners))
        self.start(*((name, at, {}) for name, at in named), **config)
        dras = []
        for name, at in named:
            dras.append(self.accept(at, name, app=RELAY))
            self.wait_peer(name)
            dras[-1].answer_clr = False
        with d.Peer(self.hss.port, "mme.far.test", realm="far.test") as mme:
            for imsi in (hss.imsi(1), hss.imsi(2), hss.imsi(3)):
                self.assertEqual(mme.call(mme.ulr(imsi)).result, 2001)
            mme.disconnect()
        return dras

    def cancelled(self, imsi, dras):
        """Cancels a subscriber's location. (the DRA that gets the CLR, the other one)."""
        self.hss.ctl("location", "cancel", imsi)
        ready = select.select([p.socket for p in dras], [], [], hss.TIMEOUT)[0]
        first = next(p for p in dras if p.socket in ready)
        return first, next(p for p in dras if p is not first)

    def same_again(self, clr, copy):
        """A copy with the T flag, which its receiver can know as one (RFC 6733 5.5.4)."""
        self.assertFalse(clr.flags & d.RETRANSMIT)
        self.assertTrue(copy.flags & d.RETRANSMIT)
        self.assertEqual((copy.e2e, copy.data), (clr.e2e, clr.data))

    def wait_all_answered(self):
        self.hss.until(lambda: self.hss.metric("hss_initiated_requests_pending") == 0, "every CLR is answered")

    def test_through_a_relay(self):
        """A CLR for an MME that isn't connected goes through the DRA; when that one dies without an answer, at once
        through the other one, with the T flag."""
        dras = self.two_relays()
        first, other = self.cancelled(FIRST, dras)
        clr = first.take(d.CLR)
        self.assertEqual((clr.one(d.DEST_HOST).text, clr.one(d.DEST_REALM).text), ("mme.far.test", "far.test"))
        first.close()
        copy = other.take(d.CLR, timeout=4)  # the loader would try it again after 10 s
        self.same_again(clr, copy)
        other.answer(copy)
        self.wait_all_answered()

    def test_no_way_left(self):
        """With the last DRA gone it waits, and goes out when one is back."""
        dras = self.two_relays()
        first, other = self.cancelled(FIRST, dras)
        clr = first.take(d.CLR)
        other.close()
        self.hss.wait_log('peer_down peer="dra.*closed by peer')
        first.close()
        back = self.accept(self.listeners[dras.index(first)], first.host, app=RELAY)
        copy = back.take(d.CLR, timeout=30)
        self.same_again(clr, copy)
        self.wait_all_answered()

    def test_failover_and_failback(self):
        """RFC 3539: a DRA that answers no watchdog any more is SUSPECT: what it owes goes to the other one at once; what
        comes next too; and it has its place again when it speaks."""
        dras = self.two_relays(limits={"watchdog_ms": 6000}, s6a={"clr_timeout_ms": 60000})
        first, other = self.cancelled(hss.imsi(1), dras)
        clr = first.take(d.CLR)
        begin = time.monotonic()
        copy = other.take(d.CLR, timeout=25)  # first's DWRs are not read meanwhile
        self.assertGreater(time.monotonic() - begin, 4)  # twice Tw at least, less the time since first was heard
        self.same_again(clr, copy)
        self.assertEqual(self.hss.ctl_json("peer", "show", first.host)["watchdog"], "suspect")
        other.answer(copy)
        self.hss.ctl("location", "cancel", hss.imsi(2))
        clr = other.take(d.CLR, timeout=4)
        self.assertFalse(clr.flags & d.RETRANSMIT)
        other.answer(clr)
        dwr = first.read()
        self.assertEqual((dwr.command, dwr.is_request), (d.DWR, True))
        first.answer(dwr)
        self.hss.until(lambda: self.hss.ctl_json("peer", "show", first.host)["watchdog"] == "okay", "failback")
        self.assertGreater(self.hss.ctl_json("peer", "show", first.host)["round_trip_us"], 1000000)
        self.hss.ctl("location", "cancel", hss.imsi(3))
        clr = first.take(d.CLR, timeout=4)
        self.assertFalse(clr.flags & d.RETRANSMIT)
        first.answer(clr)
        self.wait_all_answered()


if __name__ == "__main__":
    unittest.main(verbosity=2)
