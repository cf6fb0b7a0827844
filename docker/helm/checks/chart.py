"""The chart, rendered with values as `helm` would, without a cluster and without `helm`."""

import contextlib
import copy
import json
import pathlib
from dataclasses import dataclass, field

import helm_python as helm
import yaml

from .rendered import Rendered

HERE = pathlib.Path(__file__).resolve().parent.parent
CHART = HERE / "shoal"
ROOT = HERE.parent.parent

RELEASE = "demo"
NAMESPACE = "mq"


@dataclass
class Case:
    """Values to render the chart with."""

    name: str
    values: dict
    release: str = RELEASE
    namespace: str = NAMESPACE
    # The chart itself, or a changed copy.
    chart: pathlib.Path = field(default=CHART)


def values_files():
    """A case for each file of ci/, and one for the values as they come."""
    yield Case("defaults", {})
    for path in sorted((CHART / "ci").glob("*-values.yaml")):
        yield Case(path.name.removesuffix("-values.yaml"), yaml.safe_load(path.read_text()))


def sizes():
    """1, 2 and 50 clusters of 3 and of 4 hosts, with and without policies and monitors."""
    monitored = yaml.safe_load((CHART / "ci" / "monitors-values.yaml").read_text())
    for clusters in (1, 2, 50):
        for hosts in (3, 4):
            for policies in (True, False):
                for monitors in (True, False):
                    values = copy.deepcopy(monitored) if monitors else {}
                    values.setdefault("networkPolicy", {})["enabled"] = policies
                    values |= {"clusters": clusters, "hostsPerCluster": hosts}
                    said = f"{'policies' if policies else 'no policies'}, {'monitors' if monitors else 'no monitors'}"
                    yield Case(f"{clusters} clusters of {hosts} hosts, {said}", values)


def render(case):
    """What the chart makes of the case.

    Raises `helm.HelmError` if the values are refused.
    """
    with loaded(case.chart) as chart:
        texts = chart.render(values=case.values, name=case.release, namespace=case.namespace)
        merged = chart.merge_values(case.values)
    return Rendered(case.name, case.namespace, merged, texts)


@contextlib.contextmanager
def loaded(path):
    with helm.Chart.load(str(path)) as chart:
        yield chart


def lint():
    """What `helm lint` finds. An icon is a matter of taste."""
    report = helm.lint(str(CHART))
    yield from report["errors"]
    for message in report["messages"]:
        if message["severity"] >= 2:
            yield f"{message['path']}: {message['error']}"


def about():
    """Chart.yaml."""
    return yaml.safe_load((CHART / "Chart.yaml").read_text())


def schema():
    """values.schema.json."""
    return json.loads((CHART / "values.schema.json").read_text())
