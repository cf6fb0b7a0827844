"""What Kubernetes' server refuses although it is of the right shape: what schemas cannot say."""

import re

from .rendered import what

LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"|[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTP", start=1)
}


def labels_are_labels(rendered):
    for document in rendered.objects:
        for labels in _labels(document):
            for key, value in labels.items():
                if not LABEL_KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
                    yield f"{what(document)}: {key}: {value} is no label"


def _labels(part):
    """All tables of labels, wherever they stand."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("labels", "matchLabels", "nodeSelector"):
                yield value
            else:
                yield from _labels(value)
    elif isinstance(part, list):
        for each in part:
            yield from _labels(each)


def names_within_pods(rendered):
    """Ports, variables and volumes are told apart by their names, and mounts name a volume that is there."""
    for pods in rendered.workloads():
        container = pods.container()
        claims = pods.owner["spec"].get("volumeClaimTemplates") or []
        volumes = [volume["name"] for volume in pods.spec.get("volumes", [])]
        volumes += [claim["metadata"]["name"] for claim in claims]
        mounts = container.get("volumeMounts", [])
        for kind, found in {
            "port": [port["name"] for port in container.get("ports", [])],
            "variable": [variable["name"] for variable in container.get("env", [])],
            "volume": volumes,
            "mount at": [mount["mountPath"] for mount in mounts],
        }.items():
            yield from (f"{pods}: {kind} {name} is there twice" for name in sorted(_twice(found)))
        yield from (f"{pods}: there is no volume {m['name']}" for m in mounts if m["name"] not in volumes)
        yield from (f"{pods}: {name} is no name of a port" for name in pods.ports() if not PORT_NAME.fullmatch(name))


def _twice(found):
    return {name for name in found if found.count(name) > 1}


def amounts(rendered):
    """No more is requested than is allowed."""
    for pods in rendered.workloads():
        resources = pods.container().get("resources", {})
        for kind, wanted in resources.get("requests", {}).items():
            limit = resources.get("limits", {}).get(kind)
            if limit is not None and _amount(wanted) > _amount(limit):
                yield f"{pods}: requests {wanted} of {kind}, and may use {limit}"
        for claim in pods.owner["spec"].get("volumeClaimTemplates") or []:
            if _amount(claim["spec"]["resources"]["requests"]["storage"]) <= 0:
                yield f"{pods}: a volume of no size"


def _amount(text):
    number, unit = QUANTITY.fullmatch(str(text)).groups()
    return float(number) * UNITS.get(unit, 1)


def times(rendered):
    """A sleep before the end has to end before the end; a scrape before the next one."""
    for pods in rendered.workloads():
        sleep = pods.container().get("lifecycle", {}).get("preStop", {}).get("sleep")
        if sleep and not 0 < sleep["seconds"] < pods.spec["terminationGracePeriodSeconds"]:
            yield f"{pods}: sleeps for {sleep['seconds']} s"
    for monitor in rendered.of("ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            if int(endpoint["scrapeTimeout"].rstrip("s")) > int(endpoint["interval"].rstrip("s")):
                yield f"{what(monitor)}: a scrape may take {endpoint['scrapeTimeout']} of {endpoint['interval']}"


CHECKS = [labels_are_labels, names_within_pods, amounts, times]
