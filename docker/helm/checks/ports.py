"""Do ports, addresses and probes lead where somebody listens?"""

from .rendered import what

# The port that each role listens on, by the name of its container port, and the flag that says so.
LISTENS = {"host": "peers", "frontend": "http", "manager": "api"}

# The frontend's own, if the values do not say another one.
DRAIN_MS = 2_000

# What admin ports serve; checks.live asks the binary.
PROBED = {"/healthz", "/readyz"}


def container_ports(rendered):
    """They are what the flags say, and nothing else."""
    for pods in rendered.workloads():
        said = {}
        if pods.role in LISTENS:
            said = {LISTENS[pods.role]: _port(pods.flag("listen")), "admin": _port(pods.flag("admin"))}
        if pods.ports() != said:
            yield f"{pods}: container ports {pods.ports()}, but it listens on {said}"


def service_ports(rendered):
    """Each leads to a port that all selected pods have."""
    for service in rendered.of("Service"):
        for port in service["spec"]["ports"]:
            for pods in rendered.selected(service["spec"].get("selector")):
                target = port.get("targetPort", port["port"])
                if target not in pods.ports() and target not in pods.ports().values():
                    yield f"{what(service)}: {pods} has no port {target}"


def probes(rendered):
    for pods in rendered.workloads():
        if pods.role not in LISTENS:
            continue
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = pods.container().get(kind, {}).get("httpGet", {})
            if pods.ports().get(asked.get("port"), asked.get("port")) != _port(pods.flag("admin")):
                yield f"{pods}: {kind} asks port {asked.get('port')}, which is not its admin port"
            wanted = "/readyz" if kind == "readinessProbe" else "/healthz"
            if asked.get("path") != wanted:
                yield f"{pods}: {kind} asks {asked.get('path')}, not {wanted}"


def addresses(rendered):
    """What roles dial is a service of this release, and the port one that its pods listen on."""
    for pods in rendered.workloads():
        for flag in ("manager", "endpoint"):
            address = pods.flag(flag)
            if address is not None:
                yield from _leads_to(rendered, pods, flag, address)
        if pods.role == "host":
            yield from _advertised(rendered, pods)


def _leads_to(rendered, pods, flag, address):
    name, port = address.removeprefix("http://").rsplit(":", 1)
    role = {"manager": "manager", "endpoint": "frontend"}[flag]
    service = rendered.named("Service", name)
    if service is None:
        yield f"{pods}: --{flag} {address} is no service"
        return
    targets = [each["targetPort"] for each in service["spec"]["ports"] if each["port"] == int(port)]
    if targets != [LISTENS[role]]:
        yield f"{pods}: --{flag} {address} leads to {targets}, not to {LISTENS[role]}"
    roles = {each.role for each in rendered.selected(service["spec"]["selector"])}
    if roles != {role}:
        yield f"{pods}: --{flag} {address} is answered by {sorted(roles)}"


def _advertised(rendered, pods):
    """Pods of a StatefulSet have names by its headless service only, and must have one before they are ready."""
    address = pods.flag("advertise")
    governing = pods.owner["spec"]["serviceName"]
    if address != f"$(POD_NAME).{governing}:{_port(pods.flag('listen'))}":
        yield f"{pods}: --advertise {address} is not a name that {governing} gives"
    service = rendered.named("Service", governing)
    if service and (service["spec"].get("clusterIP") != "None" or not service["spec"].get("publishNotReadyAddresses")):
        yield f"Service {governing} gives hosts no names before they are ready"
    named = [each for each in pods.container()["env"] if each["name"] == "POD_NAME"]
    if not named or named[0].get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") != "metadata.name":
        yield f"{pods}: POD_NAME is not the pod's name"


def endings(rendered):
    """A frontend serves until nobody is sent to it any more, and is not killed before it has answered."""
    for pods in rendered.role("frontend"):
        preStop = pods.container().get("lifecycle", {}).get("preStop", {})
        sleeps = preStop.get("sleep", {}).get("seconds", 0)
        if sleeps != rendered.values["frontend"]["preStopSleepSeconds"]:
            yield f"{pods}: sleeps for {sleeps} s before it stops"
        grace = pods.spec["terminationGracePeriodSeconds"]
        drains = rendered.values["frontend"]["settings"].get("drain_ms", DRAIN_MS) / 1_000
        # The longest wait of a receive, and limits.rs of the frontend for what is being answered.
        if grace < sleeps + drains + 20 + 10:
            yield f"{pods}: is killed {grace} s after it began to sleep for {sleeps} s and to drain for {drains} s"


def _port(address):
    return int(address.rsplit(":", 1)[1]) if address else None


CHECKS = [container_ports, service_ports, probes, addresses, endings]
