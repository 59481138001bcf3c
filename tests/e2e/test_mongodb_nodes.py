"""Two corehss nodes on one database, and a writer beside them: no SQN twice, the newest location wins everywhere, and the node
that lost tells its MME."""
import os
import threading
import time
import unittest

import diameter as d
import hss
import mongo
from hss import K, OPC, imsi
from mongo import Int64


class Nodes(unittest.TestCase):
    oplog = True
    count = 20

    def setUp(self):
        self.server, self.nodes = mongo.two_nodes(self, self.count, oplog=self.oplog)
        self.c = self.server.collection()
        self.proxies = [h.proxy for h in self.nodes]

    def peer(self, node, host):
        peer = d.Peer(self.nodes[node].port, host, "test")
        self.addCleanup(peer.close)
        return peer

    def host(self, n):
        found = self.c.find_one({"imsi": imsi(n)}).get("mme_host")
        return found if isinstance(found, str) else None

    def test_newest_location(self):
        a, b = self.peer(0, "mme-a.test"), self.peer(1, "mme-b.test")
        self.assertEqual(a.call(a.ulr(imsi(1))).result, 2001)
        self.nodes[0].until(lambda: self.host(1) == "mme-a.test", "in MongoDB")
        self.nodes[1].wait_location(imsi(1), "mme-a.test")
        self.assertEqual(b.call(b.ulr(imsi(1))).result, 2001)
        self.nodes[0].wait_location(imsi(1), "mme-b.test")
        clr = a.take(d.CLR)
        self.assertEqual((clr.one(d.USER_NAME).text, clr.one(d.CANCELLATION).number), (imsi(1), 0))
        self.assertEqual(self.host(1), "mme-b.test")
        # and back
        self.assertEqual(a.call(a.ulr(imsi(1))).result, 2001)
        self.nodes[1].wait_location(imsi(1), "mme-a.test")
        self.assertEqual(b.take(d.CLR).one(d.USER_NAME).text, imsi(1))

    def sgsn(self, node):
        return (self.nodes[node].location(imsi(1)).get("sgsn") or {}).get("host")

    def test_newest_sgsn(self):
        """Of the SGSN as of the MME, one beside the other."""
        mme, s0, s1 = self.peer(0, "mme.test"), self.peer(0, "sgsn-0.test"), self.peer(1, "sgsn-1.test")
        gprs = {"ulr_flags": 0, "rat": 1000}
        self.assertEqual(mme.call(mme.ulr(imsi(1), ulr_flags=2)).result, 2001)
        self.assertEqual(s0.call(s0.ulr(imsi(1), **gprs)).result, 2001)
        self.nodes[1].until(lambda: self.sgsn(1) == "sgsn-0.test", "the SGSN on the other node")
        self.assertEqual(self.nodes[1].location(imsi(1))["sgsn"]["plmn"], "00101")
        self.assertEqual(s1.call(s1.ulr(imsi(1), **gprs)).result, 2001)
        self.nodes[0].until(lambda: self.sgsn(0) == "sgsn-1.test", "back on the first one")
        clr = s0.take(d.CLR)
        self.assertEqual((clr.one(d.USER_NAME).text, clr.one(d.CANCELLATION).number), (imsi(1), 1))
        for node in range(2):
            self.nodes[node].wait_location(imsi(1), "mme.test")
        # an attach of the MME on a node does not take away what the other one wrote
        self.assertEqual(mme.call(mme.ulr(imsi(1), ulr_flags=2)).result, 2001)
        mongo.wait_written(self.nodes[0])
        self.assertEqual(self.c.find_one({"imsi": imsi(1)})["corehss"]["sgsn_host"], "sgsn-1.test")
        # cancelled on one node: gone on the other
        self.nodes[1].ctl("location", "cancel", imsi(1))
        self.nodes[0].until(lambda: self.sgsn(0) is None and not self.nodes[0].location(imsi(1))["mme"], "cancelled")

    def test_a_change_is_pushed_once(self):
        """By the node at which the subscriber has registered, although the MME is connected to both."""
        here, there = self.peer(0, "mme.test"), self.peer(1, "mme.test")
        self.assertEqual(here.call(here.ulr(imsi(1))).result, 2001)
        self.nodes[1].wait_location(imsi(1), "mme.test")

        def pushed(value, to, other, other_node):
            self.c.update_one({"imsi": imsi(1)}, {"$set": {"ambr.downlink": {"value": value, "unit": 2}}})
            ambr = to.take(d.IDR).one(d.SUBSCRIPTION).one(1435)
            self.assertEqual(ambr.one(515).number, value * 10**6)
            self.nodes[other_node].until(lambda: self.nodes[other_node].ctl_json("subscriber", "show", imsi(1))["ambr"]["downlink"][
                "value"] == value, "known there, too")
            self.assertEqual(other.call(other.dwr()).result, 2001)
            self.assertEqual(other.requests, [])
            self.assertEqual(self.nodes[other_node].ctl_json("store", "status")["hss_requests_pending"], 0)
        pushed(7, here, there, 1)
        self.assertEqual(there.call(there.ulr(imsi(1))).result, 2001)
        mongo.wait_written(self.nodes[1])
        self.nodes[0].until(lambda: self.nodes[0].location(imsi(1))["mme"]["time_us"] ==
                            self.nodes[1].location(imsi(1))["mme"]["time_us"], "registered at the other one")
        pushed(8, there, here, 0)

    def test_written_late(self):
        """The older location waits in an outbox while the newer one is written: it does not win when it arrives."""
        a, b = self.peer(0, "mme-a.test"), self.peer(1, "mme-b.test")
        self.proxies[0].cut()
        for n in range(1, 6):
            self.assertEqual(a.call(a.ulr(imsi(n))).result, 2001)
        for n in range(1, 6):
            self.assertEqual(b.call(b.ulr(imsi(n))).result, 2001)
        self.nodes[1].until(lambda: {self.host(n) for n in range(1, 6)} == {"mme-b.test"}, "in MongoDB")
        self.proxies[0].resume()
        mongo.wait_written(self.nodes[0])
        for n in range(1, 6):
            self.nodes[0].wait_location(imsi(n), "mme-b.test")
            self.assertEqual(self.host(n), "mme-b.test")
        told = {a.take(d.CLR).one(d.USER_NAME).text for _ in range(5)}
        self.assertEqual(told, {imsi(n) for n in range(1, 6)})

    def test_no_sqn_twice(self):
        """Both under load, with kills, and a writer that takes the field's value and adds 32."""
        theirs, stop = [], threading.Event()
        writer_client = mongo.client(self.server.port)
        self.addCleanup(writer_client.close)
        c = writer_client[mongo.DATABASE][mongo.COLLECTION]

        def write():
            n = 0
            while not stop.is_set():
                n = n % self.count + 1
                old = c.find_one_and_update({"imsi": imsi(n)}, {"$inc": {"security.sqn": Int64(32)}})
                theirs.append((imsi(n), old["security"]["sqn"]))
        writer = threading.Thread(target=write)
        writer.start()
        self.addCleanup(writer.join)
        self.addCleanup(stop.set)
        ours = []
        victims = ("loader", "worker-0", "all", "none")
        for turn in range(40 if hss.ALL else 4):
            logs = [os.path.join(h.dir, f"air-{turn}") for h in self.nodes]
            running = [h.load_start("air", imsi=imsi(1), subscribers=self.count, duration=1, window=4, k=K, opc=OPC, log=log,
                                    reconnect=True, retransmit=True, timeout=5, host=f"air{turn}.test")
                       for h, log in zip(self.nodes, logs)]
            for r in running:
                self.addCleanup(r.stop)
            time.sleep(0.3)
            h, victim = self.nodes[turn % 2], victims[turn % 4]
            if victim == "all":
                h.kill()
                h.start()
            elif victim != "none":
                h.kill_role(victim)
            for r in running:
                self.assertEqual(r.finish(check=False)["bad_vectors"], 0)
            for log in logs:
                ours += [(i, int(value)) for _, i, value in hss.load_log(log)]
        stop.set()
        writer.join()
        for group in (ours, theirs):
            self.assertGreater(len(group), 50)
            self.assertEqual(len(set(group)), len(group))
        self.assertFalse(set(ours) & set(theirs))

    def test_provisioned_on_one(self):
        """Served by the other at once; a new key, and the deletion too."""
        self.nodes[0].ctl("subscriber", "add", imsi(100), "--k", K, "--opc", OPC)
        b = self.peer(1, "mme-b.test")
        self.assertEqual(b.call(b.air(imsi(100))).result, 2001)
        self.assertEqual(b.call(b.ulr(imsi(100))).result, 2001)
        self.nodes[0].ctl("subscriber", "delete", imsi(100))
        self.assertEqual(b.take(d.CLR).one(d.CANCELLATION).number, 2)
        self.nodes[1].until(lambda: b.call(b.air(imsi(100))).result == 5001, "unknown")


class NodesPolled(Nodes):
    oplog = False
    test_no_sqn_twice = None  # as with change streams


if __name__ == "__main__":
    unittest.main(verbosity=2)
