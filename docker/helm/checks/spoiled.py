"""Checks that cannot fail are worth nothing: each is shown something that is wrong, and has to say so."""

import copy

from . import chart, identities, live, nonsense, policies, ports, readme, schemas, security, selectors, settings, texts

EVERYTHING = "everything"


def unnoticed(checks, binary):
    """The kinds of damage that nobody noticed, and checks that were shown none."""
    for title, noticed in _tried(binary):
        if not noticed:
            yield f"nobody noticed {title}"
    tried = {check.__name__ for _, check, _ in SPOILED.values()}
    yield from sorted(f"{check.__name__} was shown nothing wrong" for check in checks if check.__name__ not in tried)


def _tried(binary):
    """Each kind of damage, and what was found of it."""
    sound = {case.name: chart.render(case) for case in chart.values_files() if case.name in USED}
    for title, (case, check, spoil) in SPOILED.items():
        rendered = copy.deepcopy(sound[case])
        spoil(rendered)
        yield title, list(check(rendered))
    yield from _of_the_chart(sound["defaults"])
    if binary:
        yield from _of_the_binary(binary, sound["defaults"])


# What can be spoiled: an object, by kind and the end of its name.


def _object(rendered, kind, ending=""):
    return next(each for each in rendered.of(kind) if each["metadata"]["name"].endswith(ending))


def _spec(rendered, role):
    return rendered.role(role)[0].spec


def _container(rendered, role):
    return rendered.role(role)[0].container()


def _at(path, value, kind, ending=""):
    """Spoils one place of an object; the last part of the path is set, or deleted if the value is `GONE`."""

    def spoil(rendered):
        _put(_object(rendered, kind, ending), path, value)

    return spoil


GONE = object()


def _put(place, path, value):
    *above, last = path
    for key in above:
        place = place[key]
    if value is GONE:
        del place[last]
    else:
        place[last] = value


def _in_container(role, path, value):
    def spoil(rendered):
        _put(_container(rendered, role), path, value)

    return spoil


def _in_spec(role, path, value):
    def spoil(rendered):
        _put(_spec(rendered, role), path, value)

    return spoil


def _argument(role, name, value):
    def spoil(rendered):
        arguments = _container(rendered, role)["args"]
        place = next(place for place, each in enumerate(arguments) if each.startswith(f"--{name}="))
        arguments[place] = f"--{name}={value}"

    return spoil


def _policy_rule(ending, direction, number, change):
    def spoil(rendered):
        rules = _object(rendered, "NetworkPolicy", ending)["spec"][direction]
        change(rules, number)

    return spoil


def _without_rule(rules, number):
    del rules[number]


def _for_everybody(rules, number):
    rules[number].pop("from", None)
    rules[number].pop("to", None)


def _without_ports(rules, number):
    del rules[number]["ports"]


def _rename(kind, ending, name):
    return _at(("metadata", "name"), name, kind, ending)


def _write(rendered, attribute, old, new):
    setattr(rendered, attribute, getattr(rendered, attribute).replace(old, new))


POD = ("spec", "template", "metadata", "labels")

# Title: values to render, the check that has to notice, what is spoiled.
SPOILED = {
    "an unknown field": ("defaults", schemas.valid, _at(("spec", "replica"), 3, "StatefulSet")),
    "a field of a wrong type": ("defaults", schemas.valid, _at(("spec", "replicas"), "three", "Deployment")),
    "an object of an unknown kind": ("defaults", schemas.valid, _at(("kind",), "Servise", "Service")),
    "an object that is there twice": (
        "defaults",
        identities.names_are_short_and_single,
        _rename("Service", "-p2", "demo-shoal-p1"),
    ),
    "a StatefulSet's name that is too long": (
        "defaults",
        identities.names_are_short_and_single,
        _rename("StatefulSet", "-p2", "a" * 53),
    ),
    "an object in another namespace": (
        "defaults",
        identities.names_are_short_and_single,
        _at(("metadata", "namespace"), "default", "Service"),
    ),
    "a label that is too long": (
        "defaults",
        identities.labels_are_short,
        _at(("metadata", "labels", "long"), "a" * 64, "Service"),
    ),
    "two clusters in one pool": (
        "defaults",
        identities.pools_are_told_apart,
        _argument("host", "pool", "demo-shoal-p2"),
    ),
    "a cluster of two hosts": ("defaults", identities.pools_are_told_apart, _at(("spec", "replicas"), 2, "StatefulSet")),
    "hosts that wait for one another": (
        "defaults",
        identities.pools_are_told_apart,
        _at(("spec", "podManagementPolicy"), GONE, "StatefulSet"),
    ),
    "volumes that go with the StatefulSet": (
        "defaults",
        identities.pools_are_told_apart,
        _at(("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"), "Delete", "StatefulSet"),
    ),
    "a volume of another size": (
        "pools",
        identities.claims,
        _at(
            ("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"), "20Gi", "StatefulSet", "-p4"
        ),
    ),
    "data beside the volume": ("defaults", identities.claims, _argument("host", "data", "/var/host")),
    "a workload that selects others' pods": (
        "defaults",
        selectors.workloads_select_their_own,
        _at(("spec", "selector", "matchLabels", "shoal/pool"), GONE, "StatefulSet"),
    ),
    "a service that selects nobody": (
        "defaults",
        selectors.services,
        _at(("spec", "selector", "app.kubernetes.io/component"), "frontends", "Service", "-frontend"),
    ),
    "a service that selects too many": (
        "defaults",
        selectors.services,
        _at(("spec", "selector", "app.kubernetes.io/component"), GONE, "Service", "-manager"),
    ),
    "a missing service": ("defaults", selectors.services, _at(("kind",), "ConfigMap", "Service", "-p1")),
    "an admin service that selects the smoke test": (
        "monitors",
        selectors.services,
        _at(("spec", "selector", "shoal/metrics"), GONE, "Service", "-admin"),
    ),
    "a budget over two clusters": (
        "defaults",
        selectors.disruption_budgets,
        _at(("spec", "selector", "matchLabels", "shoal/pool"), GONE, "PodDisruptionBudget", "-p1"),
    ),
    "a budget of two hosts": (
        "defaults",
        selectors.disruption_budgets,
        _at(("spec", "maxUnavailable"), 2, "PodDisruptionBudget"),
    ),
    "a cluster without a budget": (
        "defaults",
        selectors.disruption_budgets,
        _at(("kind",), "ConfigMap", "PodDisruptionBudget", "-p2"),
    ),
    "hosts spread with those of other clusters": (
        "defaults",
        selectors.spreads,
        _in_spec("host", ("topologySpreadConstraints", 0, "labelSelector", "matchLabels", "shoal/pool"), GONE),
    ),
    "an anti-affinity that is not there": (EVERYTHING, selectors.spreads, _in_spec("host", ("affinity",), {})),
    "an autoscaler that is overruled": (
        EVERYTHING,
        selectors.autoscaler,
        _at(("spec", "replicas"), 2, "Deployment"),
    ),
    "an autoscaler of nothing": (
        EVERYTHING,
        selectors.autoscaler,
        _at(("spec", "scaleTargetRef", "name"), "frontend", "HorizontalPodAutoscaler"),
    ),
    "a monitor that selects no service": (
        "monitors",
        selectors.monitors,
        _at(("spec", "selector", "matchLabels", "app.kubernetes.io/component"), "metrics", "ServiceMonitor"),
    ),
    "a monitor of a port that is not there": (
        "monitors",
        selectors.monitors,
        _at(("spec", "endpoints", 0, "port"), "metrics", "ServiceMonitor"),
    ),
    "an ingress to a port that is not there": (
        EVERYTHING,
        selectors.ingresses,
        _at(
            ("spec", "rules", 0, "http", "paths", 0, "backend", "service", "port", "name"), "https", "Ingress"
        ),
    ),
    "a container port that nobody listens on": (
        "defaults",
        ports.container_ports,
        _in_container("host", ("ports", 0, "containerPort"), 9401),
    ),
    "a service to a port that is not there": (
        "defaults",
        ports.service_ports,
        _at(("spec", "ports", 0, "targetPort"), "api", "Service", "-frontend"),
    ),
    "a probe of another port": (
        "defaults",
        ports.probes,
        _in_container("frontend", ("readinessProbe", "httpGet", "port"), "http"),
    ),
    "a host that is started again because it is not ready": (
        "defaults",
        ports.probes,
        _in_container("host", ("livenessProbe", "httpGet", "path"), "/readyz"),
    ),
    "a manager by another name": (
        "defaults",
        ports.addresses,
        _argument("frontend", "manager", "http://manager:9325"),
    ),
    "a manager at another port": (
        "defaults",
        ports.addresses,
        _argument("host", "manager", "http://demo-shoal-manager:9324"),
    ),
    "a host that advertises what nobody can dial": (
        "defaults",
        ports.addresses,
        _argument("host", "advertise", "$(POD_NAME):9400"),
    ),
    "hosts without names before they are ready": (
        "defaults",
        ports.addresses,
        _at(("spec", "publishNotReadyAddresses"), GONE, "Service", "-p1"),
    ),
    "a frontend that is killed while it answers": (
        "defaults",
        ports.endings,
        _in_spec("frontend", ("terminationGracePeriodSeconds",), 30),
    ),
    "a frontend that goes at once": ("defaults", ports.endings, _in_container("frontend", ("lifecycle",), {})),
    "hosts that cannot reach hosts": (
        "defaults",
        policies.who_reaches_whom,
        _policy_rule("-hosts", "egress", 0, _without_rule),
    ),
    "hosts open to everybody": (
        "defaults",
        policies.who_reaches_whom,
        _policy_rule("-hosts", "ingress", 0, _for_everybody),
    ),
    "a manager open to everybody": (
        EVERYTHING,
        policies.who_reaches_whom,
        _policy_rule("-manager", "ingress", 0, _for_everybody),
    ),
    "clients that cannot come in": (
        "defaults",
        policies.who_reaches_whom,
        _policy_rule("-frontend", "ingress", 0, _without_rule),
    ),
    "clients that reach the admin port": (
        "defaults",
        policies.who_reaches_whom,
        _policy_rule("-frontend", "ingress", 0, _without_ports),
    ),
    "a Prometheus that cannot scrape": (
        "monitors",
        policies.who_reaches_whom,
        _policy_rule("-manager", "ingress", 1, _without_rule),
    ),
    "no names": ("defaults", policies.who_reaches_whom, _policy_rule("-frontend", "egress", 2, _without_rule)),
    "frontends that get out everywhere": (
        "defaults",
        policies.who_reaches_whom,
        _policy_rule("-frontend", "egress", 2, _without_ports),
    ),
    "a manager without a policy": (
        "defaults",
        policies.who_reaches_whom,
        _at(("kind",), "ConfigMap", "NetworkPolicy", "-manager"),
    ),
    "policies for another release": (
        "defaults",
        policies.who_reaches_whom,
        _at(
            ("spec", "podSelector", "matchLabels", "app.kubernetes.io/instance"), "other", "NetworkPolicy", "-hosts"
        ),
    ),
    "a pod that may run as root": (
        "defaults",
        security.pods_are_confined,
        _in_spec("host", ("securityContext", "runAsNonRoot"), GONE),
    ),
    "a pod with variables of services": (
        "defaults",
        security.pods_are_confined,
        _in_spec("frontend", ("enableServiceLinks",), GONE),
    ),
    "a pod with a token": (
        "defaults",
        security.pods_are_confined,
        _in_spec("manager", ("automountServiceAccountToken",), True),
    ),
    "a root file system that can be written": (
        "defaults",
        security.containers_are_confined,
        _in_container("smoke", ("securityContext", "readOnlyRootFilesystem"), False),
    ),
    "a container with a capability": (
        "defaults",
        security.containers_are_confined,
        _in_container("host", ("securityContext", "capabilities", "add"), ["SYS_PTRACE"]),
    ),
    "a container without a limit of memory": (
        "defaults",
        security.containers_are_confined,
        _in_container("manager", ("resources", "limits"), {}),
    ),
    "an image that moves": (
        "defaults",
        security.images_stand_still,
        _in_container("host", ("image",), "example.com:5000/shoal:latest"),
    ),
    "an image without a tag": (
        "defaults",
        security.images_stand_still,
        _in_container("host", ("image",), "example.com:5000/shoal"),
    ),
    "a secret that is written out": (
        EVERYTHING,
        security.secrets_are_referred_to,
        _in_container("host", ("env",), [{"name": "TOKEN", "value": "abc"}]),
    ),
    "a key file that everybody may read": (
        EVERYTHING,
        security.secrets_are_referred_to,
        _in_spec("frontend", ("volumes", 0, "secret", "defaultMode"), 0o444),
    ),
    "a key file elsewhere": (
        EVERYTHING,
        security.secrets_are_referred_to,
        _argument("frontend", "credentials", "/etc/keys.toml"),
    ),
    "an account that is not made": (
        "defaults",
        security.accounts,
        _in_spec("host", ("serviceAccountName",), "admin"),
    ),
    "a value that was not there": (
        "defaults",
        texts.nothing_unresolved,
        lambda rendered: rendered.texts.update({"x.yaml": "a: <no value>"}),
    ),
    "rules that are not those of the file": (
        "monitors",
        texts.embedded_files,
        _at(("spec", "groups"), [], "PrometheusRule"),
    ),
    "a dashboard that is not that of the file": (
        "monitors",
        texts.embedded_files,
        _at(("data",), {"a.json": '{"a": 1}'}, "ConfigMap", "-dashboard"),
    ),
    "notes that do not warn": (
        "one-node",
        texts.notes_warn,
        lambda rendered: _write(rendered, "notes", "keep nothing", "keep it all"),
    ),
}

USED = {case for case, _, _ in SPOILED.values()}


def _of_the_chart(defaults):
    """Checks of more than one rendering."""
    changed = copy.deepcopy(defaults)
    claim = _object(changed, "StatefulSet")["spec"]["volumeClaimTemplates"][0]
    claim["metadata"]["labels"]["helm.sh/chart"] = "shoal-9"
    yield "a claim that changes with the chart", list(identities.fixed_parts_differ(defaults, changed))
    changed = copy.deepcopy(defaults)
    _put(_object(changed, "Deployment"), (*POD, "helm.sh/chart"), "shoal-9")
    yield "pods that start anew with the chart", list(identities.pods_differ(defaults, changed))
    yield "sense that is taken for nonsense", list(nonsense.refused([({"clusters": 3}, "/clusters")]))
    yield "a refusal that names nothing", list(nonsense.refused([({"clusters": 0}, "/hosts")]))
    yield "a value without a text", list(readme.undocumented("# -- told\na: 1\nb:\n  # -- told\n  c: 1\n  d: 1\n"))


def _of_the_binary(binary, defaults):
    """What only the binary can say."""
    for title, spoil in {
        "a flag that the binary does not know": _in_container("host", ("args",), ["host", "--rack=a"]),
        "a variable that is no setting": _in_container(
            "manager", ("env",), [{"name": "SHOAL_CLUSTER", "value": "3"}]
        ),
        "a value that the binary cannot read": _argument("frontend", "listen", "everywhere"),
        "a variable that nobody fills in": _in_container("host", ("env",), []),
    }.items():
        rendered = copy.deepcopy(defaults)
        spoil(rendered)
        yield title, list(settings.accepted(binary, rendered))
    rendered = copy.deepcopy(defaults)
    rendered.values["manager"]["settings"]["round_ms"] = 1_000
    yield "a setting that does not arrive", list(settings.accepted(binary, rendered))
    rendered = copy.deepcopy(defaults)
    for role in settings.PARTS:
        _in_container(role, ("readinessProbe", "httpGet", "path"), "/ready")(rendered)
    yield "a probe that nobody answers", list(live.probes_are_answered(binary, rendered))
