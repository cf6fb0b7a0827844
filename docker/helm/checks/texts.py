"""What the chart embeds and what it says: rules, dashboard, notes."""

import json

import yaml

from . import chart


def nothing_unresolved(rendered):
    for path, text in {**rendered.texts, "NOTES.txt": rendered.notes}.items():
        for sign in ("<no value>", "%!", "map["):
            if sign in text:
                yield f"{path} contains {sign}"


def embedded_files(rendered):
    """Unchanged: their own braces are Prometheus' and Grafana's, not Helm's."""
    for rule in rendered.of("PrometheusRule"):
        if rule["spec"] != yaml.safe_load((chart.CHART / "files" / "alerts.yaml").read_text()):
            yield "PrometheusRule: is not files/alerts.yaml"
        if not rule["spec"].get("groups"):
            yield "PrometheusRule: has no rules"
    monitoring = rendered.values["monitoring"]
    for kind, wanted in {
        "PrometheusRule": monitoring["rules"]["enabled"],
        "ServiceMonitor": monitoring["serviceMonitor"]["enabled"],
    }.items():
        if len(rendered.of(kind)) != int(wanted):
            yield f"{len(rendered.of(kind))} {kind}s, wanted {int(wanted)}"
    yield from _dashboard(rendered, monitoring["dashboard"]["enabled"])


def _dashboard(rendered, wanted):
    maps = [each for each in rendered.of("ConfigMap") if each["metadata"]["name"].endswith("-dashboard")]
    if len(maps) != int(wanted):
        yield f"{len(maps)} dashboards, wanted {int(wanted)}"
    for each in maps:
        for text in each["data"].values():
            if json.loads(text) != json.loads((chart.CHART / "files" / "dashboard.json").read_text()):
                yield "ConfigMap: is not files/dashboard.json"


def notes_warn(rendered):
    """Whoever keeps nothing, or lets everybody in, is told so."""
    values, notes = rendered.values, rendered.notes
    for said, when in {
        "keep nothing": any(not pods.owner["spec"].get("volumeClaimTemplates") for pods in rendered.role("host")),
        "the manager keeps nothing": not values["manager"]["persistence"]["enabled"],
        "without network policies": not values["networkPolicy"]["enabled"],
        "may share a node": values["hosts"]["antiAffinity"] != "hard"
        and values["hosts"]["spread"]["nodes"] != "DoNotSchedule",
        "anybody who reaches a frontend": values["frontend"]["credentials"]["mode"] == "any",
        "nobody's requests are taken": values["frontend"]["credentials"]["mode"] == "none",
    }.items():
        if (said in notes) != when:
            yield f"NOTES.txt {'says' if said in notes else 'does not say'} {said!r}"


def release_is_the_workspaces():
    """The chart runs the release that it lies beside."""
    lines = (chart.ROOT / "Cargo.toml").read_text().split("[workspace.package]", 1)[1].splitlines()
    version = next(line.split('"')[1] for line in lines if line.startswith("version"))
    about = chart.about()
    if about["appVersion"] != version:
        yield f"Chart.yaml: appVersion is {about['appVersion']}, the workspace's version {version}"
    if f"shoal:{version}" not in about["annotations"]["artifacthub.io/images"]:
        yield f"Chart.yaml: artifacthub.io/images does not name shoal:{version}"


CHECKS = [nothing_unresolved, embedded_files, notes_warn]
