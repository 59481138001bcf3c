"""The alert rules and the dashboard of the package against a real Prometheus that scrapes a real HSS: every query is answered,
and every metric that it names exists. And each rule fires for the case that it is there for."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

import hss
from hss import Hss

RULES = os.path.join(hss.ROOT, "packaging", "prometheus", "corehss.rules.yml")
DASHBOARD = os.path.join(hss.ROOT, "packaging", "grafana", "corehss.json")
# what Grafana puts in the place of its variables
VARIABLES = {"$instance": ".*", "$__rate_interval": "1m", "$__range": "1h"}


def rules():
    """[(alert, expression)]; the file keeps each on one line."""
    with open(RULES, encoding="utf-8") as f:
        return re.findall(r"- alert: (\w+)\n +expr: (.*)\n", f.read())


def queries():
    """[(panel, expression)] of the dashboard, variables filled in."""
    with open(DASHBOARD, encoding="utf-8") as f:
        for panel in json.load(f)["panels"]:
            for target in panel["targets"]:
                expression = target["expr"]
                for name, value in VARIABLES.items():
                    expression = expression.replace(name, value)
                yield panel["title"], expression


class Prometheus:
    """A Prometheus with the rules of the package, scraping this port every second."""

    def __init__(self, port, directory):
        self.port = hss.free_port()
        path = os.path.join(directory, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                       "rule_files": [RULES],
                       "scrape_configs": [{"job_name": "corehss",
                                           "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]}, f)
        self.process = subprocess.Popen(["prometheus", f"--config.file={path}",
                                         f"--storage.tsdb.path={os.path.join(directory, 'data')}",
                                         f"--web.listen-address=127.0.0.1:{self.port}"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path, **arguments):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, timeout=hss.TIMEOUT) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def wait(self, expression):
        """Until this has a result: Prometheus tells nobody that it has scraped."""
        deadline = time.monotonic() + hss.TIMEOUT
        while time.monotonic() < deadline:
            try:
                if self.query(expression):
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise hss.Failed(f"no result of {expression}")

    def close(self):
        self.process.kill()
        self.process.wait()


class Scraped(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        assert shutil.which("prometheus"), "prometheus is not installed (tools/install-packages test)"
        cls.hss = Hss()
        cls.addClassCleanup(cls.hss.close)
        cls.hss.ctl("subscriber", "add", hss.FIRST, "--k", hss.K, "--opc", hss.OPC)
        for case in ("air", "ulr"):
            cls.hss.load(case, imsi=hss.FIRST, subscribers=1, requests=5, k=hss.K, opc=hss.OPC)
        directory = tempfile.mkdtemp(prefix="hss-prometheus-")
        cls.addClassCleanup(shutil.rmtree, directory)
        cls.prometheus = Prometheus(cls.hss.metrics_port, directory)
        cls.addClassCleanup(cls.prometheus.close)
        cls.prometheus.wait("rate(hss_requests_total[1m])")

    def check(self, expression):
        self.prometheus.query(expression)  # an error is an exception
        metrics = set(re.findall(r"\bhss_\w+", expression))
        self.assertTrue(metrics or expression.startswith("up{"), expression)
        for metric in metrics:
            self.assertTrue(self.prometheus.query(metric), f"{metric} of {expression}")

    def test_every_rule(self):
        self.assertGreater(len(rules()), 10)
        for alert, expression in rules():
            with self.subTest(alert):
                self.check(expression)

    def test_rules_are_loaded_and_healthy(self):
        groups = self.prometheus.get("rules")["groups"]
        self.assertEqual([g["name"] for g in groups], ["corehss"])
        self.assertEqual([r["name"] for r in groups[0]["rules"]], [alert for alert, _ in rules()])
        self.assertEqual({r["health"] for r in groups[0]["rules"]} - {"unknown"}, {"ok"})

    def test_every_panel(self):
        panels = list(queries())
        self.assertGreater(len(panels), 20)
        for panel, expression in panels:
            with self.subTest(panel, expression=expression):
                self.check(expression)

    def test_health(self):
        for path in ("healthz", "readyz"):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.hss.metrics_port}/{path}", timeout=hss.TIMEOUT) as answer:
                self.assertEqual((answer.status, answer.read()), (200, b"ok\n"))

    def test_panels_show_what_happened(self):
        by_title = dict(queries())
        self.assertEqual(self.prometheus.query(by_title["Subscribers"])[0]["value"][1], "1")
        self.assertEqual(self.prometheus.query(by_title["Processes not ready"])[0]["value"][1], "0")


class Firing(unittest.TestCase):
    """promtool plays a series for each alert that makes it fire, and one for each that does not."""

    def test_rules(self):
        path = os.path.join(hss.ROOT, "tests", "data", "corehss.rules.test.yml")
        done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(path, encoding="utf-8") as f:
            tested = set(re.findall(r"alertname: (\w+)", f.read()))
        self.assertEqual(tested, {alert for alert, _ in rules()})


if __name__ == "__main__":
    unittest.main(verbosity=2)
