"""Hostile peers, each beside a healthy one that is answered throughout: readers that don't read, senders that dribble,
connections without capabilities, floods. Messages that are wrong: test_attack.py."""
import socket
import threading
import unittest

import diameter as d
import hss
from beside import ANSWER_S, Beside


class Peers(Beside):
    def test_never_reads(self):
        """It sends until the HSS takes no more (or closes), then still reads nothing."""
        peer = self.peer("deaf.test")
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.socket.settimeout(2)
        batch = b"".join(peer.air(hss.imsi(2), vectors=5) for _ in range(500))
        sent = 0
        try:
            while sent < 200 << 20:
                sent += peer.socket.send(batch)
        except (TimeoutError, ConnectionError):
            pass
        self.assertLess(sent, 200 << 20, "it took everything without an answer being read")

    def test_dribbles(self):
        peer = self.peer("dribble.test")
        request = peer.air(hss.imsi(3))
        for n in range(len(request)):
            peer.send(request[n:n + 1])
        self.assertEqual(peer.wait(d.Message(request).hbh).result, 2001)
        batch = [peer.air(hss.imsi(3)) for _ in range(50)]
        whole = b"".join(batch)
        for at in range(0, len(whole), 37):  # any segmentation, many in flight
            peer.send(whole[at:at + 37])
        for request in batch:
            self.assertEqual(peer.wait(d.Message(request).hbh).result, 2001)

    def test_500_connections_without_capabilities(self):
        peers = [self.peer("silent.test", capabilities=False) for _ in range(500)]
        for p in peers[::2]:
            p.send(b"\1\0")  # half of them begin a message
        for p in peers:
            self.assertTrue(self.closes(p))

    def test_20_that_never_read(self):
        """What they ask for and don't take fills neither the table of pending requests nor the workers' queue."""
        ending = threading.Event()

        def ask(peer, batch):
            try:
                while not ending.is_set():
                    peer.socket.send(batch)
            except (TimeoutError, ConnectionError):
                pass

        attackers = []
        for n in range(20):
            peer = self.peer(f"deaf{n}.test")
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.socket.settimeout(1)
            batch = b"".join(peer.air(hss.imsi(n % 10 + 4), vectors=5) for _ in range(200))
            attackers.append(threading.Thread(target=ask, args=(peer, batch)))
            attackers[-1].start()
        pending = []
        for _ in range(20):
            with self.peer("quick.test") as quick:
                self.assertEqual(quick.call(quick.air(hss.imsi(3)), timeout=ANSWER_S).result, 2001)
            pending.append(self.hss.metric("hss_requests_pending"))
        ending.set()
        for a in attackers:
            a.join()
        self.assertLess(max(pending), 1000)

    def test_flood(self):
        """More at once than one peer may have under way: the rest waits in its connection, or is told 3004; each is
        answered."""
        peer = self.peer("flood.test", timeout=60)
        results = {}
        requests = [peer.air(hss.imsi(n % 10 + 4)) for n in range(12000)]
        sender = threading.Thread(target=peer.send, args=requests)
        sender.start()
        while len(peer.answers) < len(requests):  # a busy machine takes long enough for a watchdog
            peer.step()
        sender.join()
        for m in peer.answers.values():
            results[m.result] = results.get(m.result, 0) + 1
        self.assertEqual(len(peer.answers), len(requests))
        self.assertFalse(set(results) - {2001, 3004}, results)
        self.assertGreater(results[2001], 1000)

    def test_one_subscriber_to_and_fro(self):
        """Two MMEs move one subscriber as fast as they can: its changes queue up, nobody else's."""
        both = [self.hss.load_start("ulr", imsi=hss.imsi(20), duration=1.5, window=200, host=host, realm="test")
                for host in ("to.test", "fro.test")]
        with self.peer("beside.test") as peer:
            while any(r.process.poll() is None for r in both):
                self.assertEqual(peer.call(peer.ulr(hss.imsi(19)), timeout=ANSWER_S).result, 2001)
        for r in both:
            report = r.finish(check=False)
            self.assertFalse(set(report["results"]) - {"2001", "3004"}, report)
            self.assertEqual(report["timeouts"], 0)

    def test_second_connection_of_one_identity(self):
        """The peer that is there is not disturbed by somebody who says the same name."""
        first = self.peer("twice.test")
        second = self.peer("twice.test", capabilities=False)
        second.send(second.cer())
        try:
            second.read(5)
        except d.Closed:
            pass
        self.assertEqual(first.call(first.air(hss.imsi(2))).result, 2001)


if __name__ == "__main__":
    unittest.main(verbosity=2)
