"""Names and labels: short enough, each there once, and nothing changes that Kubernetes does not let change."""

import contextlib
import json
import pathlib
import re
import shutil
import tempfile

import yaml

from . import admission, chart
from .rendered import what

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

# A StatefulSet's name and a hash of ten digits are the value of a label.
STATEFUL_SET_NAME_MAX = 63 - 11

# Kinds whose names are parts of names in DNS.
DNS_LABELS = {"Service", "StatefulSet", "Deployment", "Pod"}

# What happens to volumes when a StatefulSet goes or shrinks: nothing.
RETAIN = {"whenDeleted": "Retain", "whenScaled": "Retain"}

# What the binary takes for a pool or an address at most: limits.rs of the manager, and of shared/types.
POOL_BYTES_MAX = 64
ADDRESS_BYTES_MAX = 260


def names_are_short_and_single(rendered):
    seen = set()
    for document in rendered.objects:
        kind, name = document["kind"], document["metadata"]["name"]
        if (kind, name) in seen:
            yield f"{what(document)} is there twice"
        seen.add((kind, name))
        bound = STATEFUL_SET_NAME_MAX if kind == "StatefulSet" else 63
        if len(name) > bound:
            yield f"{what(document)} has {len(name)} bytes, more than {bound}"
        if kind in DNS_LABELS and not LABEL.fullmatch(name):
            yield f"{what(document)} is no name for DNS"
        if document["metadata"].get("namespace", rendered.namespace) != rendered.namespace:
            yield f"{what(document)} is in namespace {document['metadata']['namespace']}"


def labels_are_short(rendered):
    for document in rendered.objects:
        for key, value in document["metadata"].get("labels", {}).items():
            if len(value) > 63:
                yield f"{what(document)}: label {key} has {len(value)} bytes"


def pools_are_told_apart(rendered):
    """As many as were asked for, each with its own pool, labels and number of hosts."""
    values = rendered.values
    wanted = {}
    for number in range(1, values["clusters"] + 1):
        own = values["pools"].get(f"p{number}") or {}
        if not own.get("removed"):
            wanted[f"p{number}"] = own.get("hostsPerCluster", values["hostsPerCluster"])
    found = {pods.name.rsplit("-", 1)[1]: pods.replicas for pods in rendered.role("host")}
    if found != wanted:
        yield f"pools {found}, not {wanted}"
    pools = [pods.flag("pool") for pods in rendered.role("host")]
    if len(set(pools)) != len(pools):
        yield f"two StatefulSets say the same pool: {pools}"
    for pods in rendered.role("host"):
        if not pods.flag("pool") == pods.name == pods.labels.get("shoal/pool"):
            yield f"{pods}: its pool is {pods.flag('pool')}, its label {pods.labels.get('shoal/pool')}"
        longest = pods.flag("advertise").replace("$(POD_NAME)", pods.pod_names()[-1])
        if len(pods.name) > POOL_BYTES_MAX or len(longest) > ADDRESS_BYTES_MAX:
            yield f"{pods}: pool or address {longest} is too long"
        for key, value in {"podManagementPolicy": "Parallel", "persistentVolumeClaimRetentionPolicy": RETAIN}.items():
            if pods.owner["spec"].get(key) != value:
                yield f"{pods}: {key} is {pods.owner['spec'].get(key)}"
        if pods.owner["spec"]["updateStrategy"].get("rollingUpdate", {}).get("maxUnavailable", 1) != 1:
            yield f"{pods}: more than one host is updated at once"


def claims(rendered):
    """Size and class are those of the values, a pool's own if it has any."""
    for pods in rendered.role("host") + rendered.role("manager"):
        of = rendered.of_pool(pods) if pods.role == "host" else rendered.values["manager"]
        values = of["persistence"]
        claims = pods.owner["spec"].get("volumeClaimTemplates") or []
        if len(claims) != int(values["enabled"]):
            yield f"{pods}: {len(claims)} volumes, with persistence.enabled {values['enabled']}"
        for claim in claims:
            spec = claim["spec"]
            found = (spec["resources"]["requests"]["storage"], spec.get("storageClassName", ""), spec["accessModes"])
            wanted = (values["size"], values["storageClass"], [values["accessMode"]])
            if found != wanted:
                yield f"{pods}: its volume is {found}, not {wanted}"
        mounts = {mount["mountPath"] for mount in pods.container()["volumeMounts"] if mount["name"] == "data"}
        if not any(pods.flag("data").startswith(f"{path}/") for path in mounts):
            yield f"{pods}: --data {pods.flag('data')} is not on its volume"


def pools_are_as_they_are_said_to_be(rendered):
    """A pool's own values count, also if they are 0 or false."""
    for pods in rendered.role("host"):
        of, spec = rendered.of_pool(pods), pods.owner["spec"]
        for key, found in {
            "partition": spec["updateStrategy"]["rollingUpdate"]["partition"],
            "minReadySeconds": spec["minReadySeconds"],
            "terminationGracePeriodSeconds": pods.spec["terminationGracePeriodSeconds"],
            "resources": pods.container()["resources"],
            "nodeSelector": pods.spec.get("nodeSelector", {}),
            "tolerations": pods.spec.get("tolerations", []),
            "priorityClassName": pods.spec.get("priorityClassName", ""),
        }.items():
            if found != of[key]:
                yield f"{pods}: {key} is {found}, not {of[key]}"


CHECKS = [
    names_are_short_and_single,
    labels_are_short,
    pools_are_told_apart,
    pools_are_as_they_are_said_to_be,
    claims,
]


# What Kubernetes lets nobody change once it is there.
FIXED = ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")


def what_may_not_change():
    """An upgrade of chart, release, labels or settings changes nothing that is fixed, and a new version of the chart
    alone starts no pod anew."""
    before = chart.render(chart.Case("before", {}))
    newer = {
        "image": {"tag": "9.9.9"},
        "commonLabels": {"team": "another"},
        "hosts": {"settings": {"capacity": 2}, "resources": {"limits": {"memory": "9Gi"}}},
        "networkPolicy": {"enabled": False},
        "clusters": 3,
    }
    after = chart.render(chart.Case("after", newer))
    with another_version() as path:
        rechartered = chart.render(chart.Case("another version of the chart", {}, chart=path))
    yield from fixed_parts_differ(before, after)
    yield from fixed_parts_differ(before, rechartered)
    yield from pods_differ(before, rechartered)


def fixed_parts_differ(before, after):
    for pods in before.workloads():
        then = after.named(pods.kind, pods.name)
        for key in FIXED:
            if pods.kind != "Pod" and pods.owner["spec"].get(key) != then["spec"].get(key):
                yield f"{pods}: {key} changes, and Kubernetes refuses that"


def pods_differ(before, after):
    for pods in before.workloads():
        if pods.kind != "Pod":
            then = after.named(pods.kind, pods.name)["spec"]["template"]
            if json.dumps(pods.owner["spec"]["template"]) != json.dumps(then):
                yield f"{pods}: starts anew, only because the chart has another version"


@contextlib.contextmanager
def another_version():
    """A copy of the chart with another version of its own, as long as it is used."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "shoal"
        shutil.copytree(chart.CHART, path)
        about = chart.about() | {"version": "9.9.9"}
        (path / "Chart.yaml").write_text(yaml.safe_dump(about))
        yield path


LONG = "a" * 53
ALL_BUT_THE_LAST = {f"p{number}": {"removed": True} for number in range(1, 1000)}


def long_names():
    """Names of releases may have 53 bytes. Cut, two of them stay apart."""
    cases = [
        chart.Case("a long release", {"clusters": 1}, release=LONG),
        chart.Case("another long release", {"clusters": 1}, release=LONG[:-1] + "b"),
        chart.Case("a long full name", {"clusters": 1, "fullnameOverride": "b" * 63}),
        chart.Case("a release that is called like the chart", {"clusters": 1}, release="shoal"),
        chart.Case("a tag that is no label", {"clusters": 1, "image": {"tag": "_" + "a" * 61 + "-_.b"}}),
        chart.Case("a cut at a dash", {"clusters": 1}, release="a" * 32 + "-" + "b" * 20),
        chart.Case("the last of many clusters", {"clusters": 1000, "pools": ALL_BUT_THE_LAST}, release=LONG),
    ]
    rendered = [chart.render(case) for case in cases]
    for each in rendered:
        for check in [*CHECKS, admission.labels_are_labels]:
            for wrong in check(each):
                yield f"{each.case}: {wrong}"
    # Objects of two releases may be in one namespace.
    first, second = ({what(document) for document in each.objects} for each in rendered[:2])
    for both in sorted(first & second):
        yield f"{both} is made by two releases"
