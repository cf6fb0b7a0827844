"""Who can reach whom, computed from the rendered policies and held against who must.

A connection passes if a policy that selects its source lets it out, and one that selects its destination lets it
in. Pods that no policy selects are not bound by any: that is how Kubernetes reads them.
"""

import ipaddress
from dataclasses import dataclass, field

from .rendered import what

# The ports that roles listen on, and their admin ports.
PORTS = {"host": 9400, "frontend": 9324, "manager": 9325}
ADMIN_PORTS = {"host": 9332, "frontend": 9330, "manager": 9331}

# Who has to reach the port of whom, inside. Hosts of different clusters too: dead letters, bodies and what nobody
# consumes go from one to another.
NEEDED = {
    ("host", "host"),
    ("frontend", "host"),
    ("manager", "host"),
    ("host", "manager"),
    ("frontend", "manager"),
    ("smoke", "frontend"),
}


@dataclass
class End:
    """One end of a connection: pods of ours, somebody else's, or an address outside."""

    name: str
    role: str = ""
    labels: dict = field(default_factory=dict)
    namespace: str = ""
    namespace_labels: dict = field(default_factory=dict)
    ip: str = ""


OUTSIDERS = [
    End("a stranger in the same namespace", labels={"app": "stranger"}, namespace="mq"),
    # Another release in the same namespace, with other pods that look much like ours.
    End(
        "a frontend of another release",
        labels={
            "app.kubernetes.io/name": "shoal",
            "app.kubernetes.io/instance": "another",
            "app.kubernetes.io/component": "frontend",
        },
        namespace="mq",
    ),
    End("a stranger elsewhere", labels={"app": "stranger"}, namespace="elsewhere"),
    End("a client", labels={"app": "orders"}, namespace="shop", namespace_labels={"queues": "yes"}),
    End("prometheus", labels={"app.kubernetes.io/name": "prometheus"}, namespace="monitoring"),
    End("something else that monitors", labels={"app": "grafana"}, namespace="monitoring"),
    End("an operator", labels={"app": "shell"}, namespace="operators"),
    End("an address inside 10/8", ip="10.2.0.1"),
    End("an address that is left out of 10/8", ip="10.1.0.1"),
    End("an address anywhere", ip="192.0.2.7"),
]
for _outsider in OUTSIDERS:
    if _outsider.namespace:
        _outsider.namespace_labels.setdefault("kubernetes.io/metadata.name", _outsider.namespace)


def who_reaches_whom(rendered):
    policies = rendered.of("NetworkPolicy")
    if not rendered.values["networkPolicy"]["enabled"]:
        yield from (f"{what(policy)}: policies are switched off" for policy in policies)
        return
    ours = [
        End(str(pods), pods.role, pods.labels, rendered.namespace, {"kubernetes.io/metadata.name": rendered.namespace})
        for pods in rendered.workloads()
    ]
    # Two pools are as good as fifty.
    ours = [end for end in ours if end.role != "host"] + [end for end in ours if end.role == "host"][:2]
    for target in ours:
        for port in sorted({*PORTS.values(), *ADMIN_PORTS.values()}):
            for source in ours + OUTSIDERS:
                passes = _lets(policies, "egress", source, target, port) and _lets(
                    policies, "ingress", target, source, port
                )
                wanted = _wanted(rendered.values["networkPolicy"], source, target, port, rendered.namespace)
                if passes != wanted:
                    yield f"{source.name} {'reaches' if passes else 'cannot reach'} {target.name} on {port}"
    yield from _outward(rendered, policies, ours)


def _outward(rendered, policies, ours):
    """Names are looked up; nothing else leaves."""
    dns = End("the name service", labels={"k8s-app": "kube-dns"}, namespace="kube-system")
    for source in ours:
        for port in rendered.values["networkPolicy"]["dnsPorts"]:
            for protocol in ("UDP", "TCP"):
                if not _lets(policies, "egress", source, dns, port, protocol):
                    yield f"{source.name} cannot ask {dns.name} on {port}/{protocol}"
        for outsider in OUTSIDERS:
            if _lets(policies, "egress", source, outsider, 443):
                yield f"{source.name} reaches {outsider.name} on 443"


def _wanted(values, source, target, port, namespace):
    if port == PORTS.get(target.role):
        if (source.role, target.role) in NEEDED:
            return True
        if target.role == "frontend" and not source.role:
            return not values["clientsFrom"] or _one_of(values["clientsFrom"], source, namespace)
        if target.role == "manager" and not source.role:
            return _one_of(values["operatorsFrom"], source, namespace)
    if port == ADMIN_PORTS.get(target.role) and not source.role:
        return _one_of(values["monitoringFrom"], source, namespace)
    return False


def _lets(policies, direction, end, other, port, protocol="TCP"):
    """Whether the policies of `end` let a connection with `other` pass, which is to `port` of whoever listens."""
    if not end.namespace:
        return True
    bound = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == end.namespace
        and direction.capitalize() in policy["spec"]["policyTypes"]
        and _matches(policy["spec"]["podSelector"], end.labels)
    ]
    if not bound:
        return True
    side = {"ingress": "from", "egress": "to"}[direction]
    return any(
        _one_of_or_any(rule.get(side), other, end.namespace) and _port_in(rule.get("ports"), port, protocol)
        for policy in bound
        for rule in policy["spec"].get(direction) or []
    )


def _one_of_or_any(peers, end, namespace):
    return not peers or _one_of(peers, end, namespace)


def _one_of(peers, end, namespace):
    return any(_is(peer, end, namespace) for peer in peers)


def _is(peer, end, namespace):
    if "ipBlock" in peer:
        return bool(end.ip) and _in_block(peer["ipBlock"], ipaddress.ip_address(end.ip))
    if end.ip:
        return False
    if "namespaceSelector" in peer:
        if not _matches(peer["namespaceSelector"], end.namespace_labels):
            return False
    elif end.namespace != namespace:
        return False
    return _matches(peer.get("podSelector", {}), end.labels)


def _in_block(block, ip):
    within = ip in ipaddress.ip_network(block["cidr"])
    return within and not any(ip in ipaddress.ip_network(out) for out in block.get("except", []))


def _matches(selector, labels):
    """An empty selector matches everything. Those of this chart have no expressions."""
    if "matchExpressions" in selector:
        raise NotImplementedError("selectors with expressions")
    return selector.get("matchLabels", {}).items() <= labels.items()


def _port_in(ports, port, protocol):
    return not ports or any(
        each["port"] == port and each.get("protocol", "TCP") == protocol for each in ports
    )


CHECKS = [who_reaches_whom]
