#!/usr/bin/env python3
"""Documents for `hssctl subscriber import` from PyHSS's tables: pyhss.py auc.json subscriber.json apn.json >subscribers.jsonl

Each file is a JSON array of rows, as `sqlite3 -json`, json_agg or PyHSS's REST API writes it. A row that can't be taken is named
on stderr, and the exit status is then 1.
"""
import json
import sys

BARRED = 1
ALL_PACKET_SERVICES = 0  # operator_determined_barring
IP_TYPES = {0: 1, 1: 2, 2: 3, 3: 3}  # IPv4, IPv6, both, either


def truth(value):
    return str(value).strip().lower() in ("1", "true", "t")


def rate(value):
    return {"value": int(value or 0), "unit": 0}  # bit/s


def session(apn):
    return {
        "name": apn["apn"],
        "type": IP_TYPES[int(apn.get("ip_version") or 0)],
        "qos": {"index": int(apn.get("qci") or 9),
                "arp": {"priority_level": int(apn.get("arp_priority") or 4),
                        "pre_emption_capability": 2 if truth(apn.get("arp_preemption_capability")) else 1,
                        "pre_emption_vulnerability": 2 if truth(apn.get("arp_preemption_vulnerability")) else 1}},
        "ambr": {"downlink": rate(apn["apn_ambr_dl"]), "uplink": rate(apn["apn_ambr_ul"])},
    }


def document(subscriber, auc, apns):
    ids = [int(subscriber["default_apn"])]
    ids += [int(i) for i in str(subscriber["apn_list"]).split(",") if i.strip() and int(i) not in ids]
    barred = not truth(subscriber.get("enabled", 1))
    return {
        "schema_version": 1,
        "imsi": subscriber["imsi"],
        "msisdn": [subscriber["msisdn"]] if subscriber.get("msisdn") else [],
        "security": {"k": auc["ki"], "opc": auc["opc"], "op": None, "amf": auc["amf"] or "8000",
                     "sqn": int(auc.get("sqn") or 0)},
        "ambr": {"downlink": rate(subscriber.get("ue_ambr_dl")), "uplink": rate(subscriber.get("ue_ambr_ul"))},
        "slice": [{"sst": 1, "default_indicator": True, "session": [session(apns[i]) for i in ids]}],
        "access_restriction_data": 32,
        "subscriber_status": BARRED if barred else 0,
        "operator_determined_barring": ALL_PACKET_SERVICES,
        "network_access_mode": int(subscriber.get("nam") or 0),
        "subscribed_rau_tau_timer": max(1, int(subscriber.get("subscribed_rau_tau_timer") or 720) // 60),
    }


def main():
    tables = []
    for path in sys.argv[1:4]:
        with open(path, encoding="utf-8") as f:
            tables.append(json.load(f) or [])
    auc = {int(row["auc_id"]): row for row in tables[0]}
    apns = {int(row["apn_id"]): row for row in tables[2]}
    status = 0
    for row in tables[1]:
        try:
            keys = auc[int(row["auc_id"])]
            if not keys.get("ki") or not keys.get("opc"):
                raise ValueError("no ki or no opc")
            print(json.dumps(document(row, keys, apns)))
        except (KeyError, ValueError, TypeError) as e:
            print(f"pyhss.py: {row.get('imsi')}: {type(e).__name__}: {e}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main() if len(sys.argv) == 4 else __doc__)
