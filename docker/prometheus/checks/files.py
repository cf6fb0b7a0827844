"""The files that are checked, and what is read of them."""

import json
import pathlib
import re

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
ALERTS = REPOSITORY / "docker/helm/shoal/files/alerts.yaml"
DASHBOARD = REPOSITORY / "docker/helm/shoal/files/dashboard.json"
CONFIGURATION = REPOSITORY / "docker/prometheus/prometheus.yaml"
TESTS = REPOSITORY / "docker/prometheus/alerts_test.yaml"

# What Grafana puts in; the range is what it takes for 15 s between two scrapes.
VARIABLES = {"$__rate_interval": "1m", "$namespace": ".*", "$host": ".*"}


def without_comments(text):
    return "".join(line for line in text.splitlines(True) if not line.lstrip().startswith("#"))


def rules():
    """Name and text of each rule: alerts, and what is recorded for them."""
    blocks = re.split(r"(?m)^ +- (?:alert|record): ", without_comments(ALERTS.read_text()))
    return {block.split("\n", 1)[0].strip(): block for block in blocks[1:]}


def alerts():
    """Those of them that fire."""
    return {name: block for name, block in rules().items() if "severity:" in block}


def panels():
    """All panels but the rows."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions(panel):
    """What a panel asks Prometheus, as Grafana sends it."""
    for target in panel["targets"]:
        text = target["expr"]
        for name, value in VARIABLES.items():
            text = text.replace(name, value)
        yield text
