"""The PDN-GW that serves an APN, as an MME tells it (NOR, Active-APN of a ULR), is given to the MME that takes over, so that a
session can move (TS 29.272 5.2.1.1.3, 5.2.5.1.3); it survives every restart, and ends with the registration."""
import json
import unittest

import diameter as d
from hss import FIRST, Hss, document

MIP6, HOME_AGENT, NETWORK, ALLOCATION, CONTEXT, ACTIVE_APN, EMERGENCY = 486, 334, 600, 1438, 1423, 1612, 1538


def agent(last):
    return d.avp(MIP6, [d.avp(HOME_AGENT, b"\0\1\x0a\0\0" + bytes([last]))])


class Gateways(unittest.TestCase):
    def setUp(self):
        self.h = Hss()
        self.h.provision(1)
        self.a, self.b = d.Peer(self.h.port, "mme-a.test"), d.Peer(self.h.port, "mme-b.test")
        self.attach(self.a)

    def tearDown(self):
        self.a.close()
        self.b.close()
        self.assertEqual(self.h.stop(), 0)
        self.h.close()

    def attach(self, mme, **how):
        """APN -> (address, allocation, network) of its PDN-GW."""
        ula = mme.call(mme.ulr(FIRST, **how))
        self.assertEqual(ula.result, 2001)
        out = {}
        for apn in ula.one(d.SUBSCRIPTION).one(d.APN_PROFILE).all(d.APN):
            name, found = apn.one(d.SERVICE_SELECTION).text, apn.all(MIP6)
            if found:
                network = apn.all(NETWORK)
                out[name] = (found[0].one(HOME_AGENT).data[-1], apn.one(ALLOCATION).number, network[0].data if network else None)
        return out

    def nor(self, mme, *more):
        return mme.call(mme.nor(FIRST, more=more)).result

    def test_the_next_mme_gets_it(self):
        self.assertEqual(self.attach(self.b), {})
        self.assertEqual(self.nor(self.b, agent(7), d.avp(d.SERVICE_SELECTION, "IMS"), d.v3(NETWORK, b"net")), 2001)
        self.assertEqual(self.nor(self.b, agent(8), d.v3(CONTEXT, 1)), 2001)
        want = {"ims": (7, 1, b"net"), "internet": (8, 1, None)}
        self.assertEqual(self.attach(self.a), want)
        for role in ("loader", "worker-0", "worker-1"):
            self.h.kill_role(role)
            self.assertEqual(self.attach(self.b), want)
        self.b.close()
        self.a.close()
        self.h.kill()
        self.h.start()
        self.h.wait_served()
        self.a, self.b = d.Peer(self.h.port, "mme-a.test"), d.Peer(self.h.port, "mme-b.test")
        self.assertEqual(self.attach(self.a), want)
        self.h.ctl("subscriber", "set", FIRST, "ambr.downlink.value=7")  # a change of the document leaves it
        self.assertEqual(self.attach(self.b), want)
        # it moves to another one
        self.assertEqual(self.nor(self.b, agent(9), d.v3(CONTEXT, 1)), 2001)
        self.assertEqual(self.attach(self.a)["internet"], (9, 1, None))

    def test_an_mme_that_has_lost_them_tells_all(self):
        self.assertEqual(self.nor(self.a, agent(7), d.v3(CONTEXT, 2)), 2001)
        active = d.v3(ACTIVE_APN, [d.v3(CONTEXT, 1), d.avp(d.SERVICE_SELECTION, "internet"), agent(5)])
        self.assertEqual(self.attach(self.a, more=[active]), {"internet": (5, 1, None)})
        self.assertEqual(self.attach(self.b), {"internet": (5, 1, None)})

    def test_what_is_not_given(self):
        self.assertEqual(self.nor(self.a, agent(7), d.v3(EMERGENCY, 1)), 2001)
        self.assertEqual(self.nor(self.a, agent(7), d.avp(d.SERVICE_SELECTION, "elsewhere")), 5012)
        self.assertEqual(self.attach(self.b), {})
        self.assertEqual(self.nor(self.b, agent(7), d.v3(CONTEXT, 1)), 2001)
        # a static one goes before it
        self.h.ctl("subscriber", "set", FIRST, 'slice.0.session.0.smf={"ipv4":"10.0.0.99"}')
        self.assertEqual(self.attach(self.a)["internet"], (99, 0, None))
        self.h.ctl("subscriber", "set", FIRST, "slice.0.session.0.smf=null")
        self.assertEqual(self.attach(self.a)["internet"], (7, 1, None))
        # the registration ends, and with it what is known
        self.h.ctl("location", "cancel", FIRST)
        self.assertEqual(self.attach(self.b), {})
        self.assertEqual(self.nor(self.b, agent(7), d.v3(CONTEXT, 1)), 2001)
        self.h.ctl("subscriber", "delete", FIRST)
        self.h.ctl("subscriber", "import", "-", input=json.dumps(document(FIRST)))
        self.assertEqual(self.attach(self.a), {})

    def test_more_than_is_kept(self):
        """A node that tells without end fills no memory: what is too much replaces the oldest."""
        for n in range(200):
            self.assertEqual(self.nor(self.a, agent(n % 250), d.v3(CONTEXT, 1), d.v3(NETWORK, bytes(200) + bytes([n]))), 2001)
        self.assertEqual(self.attach(self.b)["internet"], (199, 1, bytes(200) + bytes([199])))


if __name__ == "__main__":
    unittest.main(verbosity=2)
