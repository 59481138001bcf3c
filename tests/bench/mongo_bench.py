#!/usr/bin/python3
"""What `store: { type: mongodb }` costs and does, beside what the server and the driver do alone, on the server that the
tests use (or a mongod). Needs a release build and tests/mongo/get-server. Prints figures; judges nothing.

    tests/bench/mongo_bench.py [SUBSCRIBERS]
"""
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("HSS_BIN", os.path.join(ROOT, "build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import hss  # noqa: E402
import mongo  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def speed(what, server, *more):
    uri = f"mongodb://127.0.0.1:{server.port}"
    return json.loads(subprocess.run([os.path.join(hss.BIN, "mongo_speed"), what, uri, *map(str, more)], check=True,
                                     capture_output=True, text=True).stdout)


def cpu_s(h):
    total = 0
    for pid in h.pids().values():
        with open(f"/proc/{pid}/stat") as f:
            part = f.read().rsplit(")", 1)[1].split()
        total += int(part[11]) + int(part[12])
    return total / TICK


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))


def cost(h, case, count, **more):
    """Microseconds of CPU of all our processes a request, at a rate that leaves the machine idle half of the time."""
    h.load(case, imsi=hss.imsi(1), subscribers=count, requests=count, window=64, timeout=20, **more)  # warm
    before = cpu_s(h)
    report = h.load(case, imsi=hss.imsi(1), subscribers=count, requests=200000, rate=15000, timeout=60, **more)
    time.sleep(1)
    return round((cpu_s(h) - before) / report["answers"] * 1e6, 2) if "answers" in report else round(
        (cpu_s(h) - before) / sum(report["results"].values()) * 1e6, 2)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
    out = {}
    cache = {"max_subscribers": max(n, 1000)}
    keys = dict(k=hss.K, opc=hss.OPC)
    with hss.Hss(cache=cache) as h:
        h.provision(min(n, 20000), timeout=120)
        out["sqlite_air_us"] = cost(h, "air", min(n, 20000), **keys)
        out["sqlite_ulr_us"] = cost(h, "ulr", min(n, 20000))
    # few: this server reads the whole collection for a filter of more than the indexed field, as ours are
    with mongo.MongoServer(oplog=True) as server:
        few = 1000
        server.collection().insert_many([mongo.webui(i) for i in range(1, few + 1)])
        server.collection().create_index("imsi", unique=True)
        speed("bulk", server, 5 * few)  # warm
        out["driver_bulk_per_s"] = speed("bulk", server, 20 * few)["rate"]
        with hss.Hss(cache=cache, config={"store": server.store()}) as h:
            mongo.wait_upstream(h, lambda u: u["state"] == "live" and u["documents"] == few, "loaded")
            begun = time.monotonic()
            rounds = 10
            for _ in range(rounds):
                h.load("ulr", imsi=hss.imsi(1), subscribers=few, requests=few, window=256, timeout=60)
                mongo.wait_written(h, timeout=120)
            told = time.monotonic() - begun
            out["write_back_per_s_with_its_ulrs"] = round(rounds * few / told)
            out["write_back_ratio"] = round(out["write_back_per_s_with_its_ulrs"] / out["driver_bulk_per_s"], 2)
    with mongo.MongoServer(oplog=True) as server, mongo.Proxy(server.port) as proxy:
        c = server.collection()
        for first in range(1, n + 1, 10000):
            c.insert_many([mongo.with_sqn(mongo.webui(i), mongo.Int64(64)) for i in range(first, min(first + 10000, n + 1))])
        c.create_index("imsi", unique=True)
        speed("iterate", server)  # warm
        out["driver_iterate_per_s"] = speed("iterate", server)["rate"]
        h = hss.Hss(cache=cache, config={"store": proxy.store(uri=f"mongodb://127.0.0.1:{server.port}")}, start=False)
        try:
            begun = time.monotonic()
            h.start()
            mongo.wait_upstream(h, lambda u: u["state"] == "live" and u["documents"] == n, "loaded", timeout=600)
            h.until(lambda: h.ctl_json("store", "status")["subscribers"] == n, "in the cache", timeout=600)
            out["first_load_per_s"] = round(n / (time.monotonic() - begun))
            out["first_load_ratio"] = round(out["first_load_per_s"] / out["driver_iterate_per_s"], 2)
            h.until(lambda: h.ctl_json("store", "status")["journal_rows"] == 0, "folded", timeout=600)
            out["loader_private_octets_a_subscriber"] = round(rss(h.pid("loader")) * 1024 / n, 1)
        finally:
            h.close()
        h = hss.Hss(cache=cache, config={"store": proxy.store()}, start=False)
        try:
            h.start()
            mongo.wait_upstream(h, lambda u: u["state"] == "live" and u["documents"] == n, "loaded", timeout=600)
            h.until(lambda: h.ctl_json("store", "status")["journal_rows"] == 0, "folded", timeout=600)
            proxy.stall()
            out["stalled_air_us"] = cost(h, "air", min(n, 20000), **keys)
            out["stalled_ulr_us"] = cost(h, "ulr", min(n, 20000))
        finally:
            h.close()
    out["air_ratio"] = round(out["stalled_air_us"] / out["sqlite_air_us"], 3)
    out["ulr_ratio"] = round(out["stalled_ulr_us"] / out["sqlite_ulr_us"], 3)
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
