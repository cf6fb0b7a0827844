"""What may be wrong with rendered objects, one at a time, and which check has to notice it."""

from . import admission, identities, policies, ports, schemas, security, selectors, texts
from .spoiling import GONE, argument, at, for_everybody, in_container, in_spec, policy_rule, without_ports, without_rule

# The case that sets everything.
EVERYTHING = "everything"

# Title: values to render, the check that has to notice, what is spoiled.
SPOILED = {
    "an unknown field": ("defaults", schemas.valid, at(("spec", "replica"), 3, "StatefulSet")),
    "a field of a wrong type": ("defaults", schemas.valid, at(("spec", "replicas"), "three", "Deployment")),
    "an object of an unknown kind": ("defaults", schemas.valid, at(("kind",), "Servise", "Service")),
    "a label with a blank": (
        "defaults",
        admission.labels_are_labels,
        at(("spec", "template", "metadata", "labels", "team"), "two words", "Deployment"),
    ),
    "a mount of no volume": (
        "defaults",
        admission.names_within_pods,
        at(("spec", "volumeClaimTemplates"), [], "StatefulSet"),
    ),
    "a variable that is there twice": (
        "defaults",
        admission.names_within_pods,
        in_container("host", ("env", 1, "name"), "POD_NAME"),
    ),
    "more memory requested than allowed": (
        "defaults",
        admission.amounts,
        in_container("host", ("resources", "requests", "memory"), "2049Mi"),
    ),
    "a sleep until the kill": (
        "defaults",
        admission.times,
        in_spec("frontend", ("terminationGracePeriodSeconds",), 10),
    ),
    "scrapes that overtake one another": (
        "monitors",
        admission.times,
        at(("spec", "endpoints", 0, "interval"), "5s", "ServiceMonitor"),
    ),
    "an object that is there twice": (
        "defaults",
        identities.names_are_short_and_single,
        at(("metadata", "name"), "demo-shoal-p1", "Service", "-p2"),
    ),
    "a StatefulSet's name that is too long": (
        "defaults",
        identities.names_are_short_and_single,
        at(("metadata", "name"), "a" * 53, "StatefulSet", "-p2"),
    ),
    "an object in another namespace": (
        "defaults",
        identities.names_are_short_and_single,
        at(("metadata", "namespace"), "default", "Service"),
    ),
    "a label that is too long": (
        "defaults",
        identities.labels_are_short,
        at(("metadata", "labels", "long"), "a" * 64, "Service"),
    ),
    "two clusters in one pool": (
        "defaults",
        identities.pools_are_told_apart,
        argument("host", "pool", "demo-shoal-p2"),
    ),
    "a cluster of two hosts": (
        "defaults",
        identities.pools_are_told_apart,
        at(("spec", "replicas"), 2, "StatefulSet"),
    ),
    "hosts that wait for one another": (
        "defaults",
        identities.pools_are_told_apart,
        at(("spec", "podManagementPolicy"), GONE, "StatefulSet"),
    ),
    "volumes that go with the StatefulSet": (
        "defaults",
        identities.pools_are_told_apart,
        at(("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"), "Delete", "StatefulSet"),
    ),
    "a pool that is updated although it is not to be": (
        "pools",
        identities.pools_are_as_they_are_said_to_be,
        at(("spec", "updateStrategy", "rollingUpdate", "partition"), 0, "StatefulSet", "-p3"),
    ),
    "a volume of another size": (
        "pools",
        identities.claims,
        at(
            ("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"),
            "20Gi",
            "StatefulSet",
            "-p4",
        ),
    ),
    "data beside the volume": ("defaults", identities.claims, argument("host", "data", "/var/host")),
    "a workload that selects others' pods": (
        "defaults",
        selectors.workloads_select_their_own,
        at(("spec", "selector", "matchLabels", "shoal/pool"), GONE, "StatefulSet"),
    ),
    "a service that selects nobody": (
        "defaults",
        selectors.services,
        at(("spec", "selector", "app.kubernetes.io/component"), "frontends", "Service", "-frontend"),
    ),
    "a service that selects too many": (
        "defaults",
        selectors.services,
        at(("spec", "selector", "app.kubernetes.io/component"), GONE, "Service", "-manager"),
    ),
    "a missing service": ("defaults", selectors.services, at(("kind",), "ConfigMap", "Service", "-p1")),
    "an admin service that selects the smoke test": (
        "monitors",
        selectors.services,
        at(("spec", "selector", "shoal/metrics"), GONE, "Service", "-admin"),
    ),
    "a budget over two clusters": (
        "defaults",
        selectors.disruption_budgets,
        at(("spec", "selector", "matchLabels", "shoal/pool"), GONE, "PodDisruptionBudget", "-p1"),
    ),
    "a budget of two hosts": (
        "defaults",
        selectors.disruption_budgets,
        at(("spec", "maxUnavailable"), 2, "PodDisruptionBudget"),
    ),
    "a cluster without a budget": (
        "defaults",
        selectors.disruption_budgets,
        at(("kind",), "ConfigMap", "PodDisruptionBudget", "-p2"),
    ),
    "hosts spread with those of other clusters": (
        "defaults",
        selectors.spreads,
        in_spec("host", ("topologySpreadConstraints", 0, "labelSelector", "matchLabels", "shoal/pool"), GONE),
    ),
    "an anti-affinity that is not there": (EVERYTHING, selectors.spreads, in_spec("host", ("affinity",), {})),
    "an autoscaler that is overruled": (
        EVERYTHING,
        selectors.autoscaler,
        at(("spec", "replicas"), 2, "Deployment"),
    ),
    "an autoscaler of nothing": (
        EVERYTHING,
        selectors.autoscaler,
        at(("spec", "scaleTargetRef", "name"), "frontend", "HorizontalPodAutoscaler"),
    ),
    "a monitor that selects no service": (
        "monitors",
        selectors.monitors,
        at(("spec", "selector", "matchLabels", "app.kubernetes.io/component"), "metrics", "ServiceMonitor"),
    ),
    "a monitor of a port that is not there": (
        "monitors",
        selectors.monitors,
        at(("spec", "endpoints", 0, "port"), "metrics", "ServiceMonitor"),
    ),
    "an ingress to a port that is not there": (
        EVERYTHING,
        selectors.ingresses,
        at(
            ("spec", "rules", 0, "http", "paths", 0, "backend", "service", "port", "name"), "https", "Ingress"
        ),
    ),
    "a container port that nobody listens on": (
        "defaults",
        ports.container_ports,
        in_container("host", ("ports", 0, "containerPort"), 9401),
    ),
    "a service to a port that is not there": (
        "defaults",
        ports.service_ports,
        at(("spec", "ports", 0, "targetPort"), "api", "Service", "-frontend"),
    ),
    "a probe of another port": (
        "defaults",
        ports.probes,
        in_container("frontend", ("readinessProbe", "httpGet", "port"), "http"),
    ),
    "a host that is started again because it is not ready": (
        "defaults",
        ports.probes,
        in_container("host", ("livenessProbe", "httpGet", "path"), "/readyz"),
    ),
    "a manager by another name": (
        "defaults",
        ports.addresses,
        argument("frontend", "manager", "http://manager:9325"),
    ),
    "a manager at another port": (
        "defaults",
        ports.addresses,
        argument("host", "manager", "http://demo-shoal-manager:9324"),
    ),
    "a host that advertises what nobody can dial": (
        "defaults",
        ports.addresses,
        argument("host", "advertise", "$(POD_NAME):9400"),
    ),
    "hosts without names before they are ready": (
        "defaults",
        ports.addresses,
        at(("spec", "publishNotReadyAddresses"), GONE, "Service", "-p1"),
    ),
    "a frontend that is killed while it answers": (
        "defaults",
        ports.endings,
        in_spec("frontend", ("terminationGracePeriodSeconds",), 30),
    ),
    "a frontend that goes at once": ("defaults", ports.endings, in_container("frontend", ("lifecycle",), {})),
    "hosts that cannot reach hosts": (
        "defaults",
        policies.who_reaches_whom,
        policy_rule("-hosts", "egress", 0, without_rule),
    ),
    "hosts open to everybody": (
        "defaults",
        policies.who_reaches_whom,
        policy_rule("-hosts", "ingress", 0, for_everybody),
    ),
    "a manager open to everybody": (
        EVERYTHING,
        policies.who_reaches_whom,
        policy_rule("-manager", "ingress", 0, for_everybody),
    ),
    "clients that cannot come in": (
        "defaults",
        policies.who_reaches_whom,
        policy_rule("-frontend", "ingress", 0, without_rule),
    ),
    "clients that reach the admin port": (
        "defaults",
        policies.who_reaches_whom,
        policy_rule("-frontend", "ingress", 0, without_ports),
    ),
    "a Prometheus that cannot scrape": (
        "monitors",
        policies.who_reaches_whom,
        policy_rule("-manager", "ingress", 1, without_rule),
    ),
    "no names": ("defaults", policies.who_reaches_whom, policy_rule("-frontend", "egress", 2, without_rule)),
    "frontends that get out everywhere": (
        "defaults",
        policies.who_reaches_whom,
        policy_rule("-frontend", "egress", 2, without_ports),
    ),
    "a manager without a policy": (
        "defaults",
        policies.who_reaches_whom,
        at(("kind",), "ConfigMap", "NetworkPolicy", "-manager"),
    ),
    "policies for another release": (
        "defaults",
        policies.who_reaches_whom,
        at(
            ("spec", "podSelector", "matchLabels", "app.kubernetes.io/instance"), "other", "NetworkPolicy", "-hosts"
        ),
    ),
    "a pod that may run as root": (
        "defaults",
        security.pods_are_confined,
        in_spec("host", ("securityContext", "runAsNonRoot"), GONE),
    ),
    "a pod with variables of services": (
        "defaults",
        security.pods_are_confined,
        in_spec("frontend", ("enableServiceLinks",), GONE),
    ),
    "a pod with a token": (
        "defaults",
        security.pods_are_confined,
        in_spec("manager", ("automountServiceAccountToken",), True),
    ),
    "a root file system that can be written": (
        "defaults",
        security.containers_are_confined,
        in_container("smoke", ("securityContext", "readOnlyRootFilesystem"), False),
    ),
    "a container with a capability": (
        "defaults",
        security.containers_are_confined,
        in_container("host", ("securityContext", "capabilities", "add"), ["SYS_PTRACE"]),
    ),
    "a container without a limit of memory": (
        "defaults",
        security.containers_are_confined,
        in_container("manager", ("resources", "limits"), {}),
    ),
    "an image that moves": (
        "defaults",
        security.images_stand_still,
        in_container("host", ("image",), "example.com:5000/shoal:latest"),
    ),
    "an image without a tag": (
        "defaults",
        security.images_stand_still,
        in_container("host", ("image",), "example.com:5000/shoal"),
    ),
    "a secret that is written out": (
        EVERYTHING,
        security.secrets_are_referred_to,
        in_container("host", ("env",), [{"name": "TOKEN", "value": "abc"}]),
    ),
    "a key file that everybody may read": (
        EVERYTHING,
        security.secrets_are_referred_to,
        in_spec("frontend", ("volumes", 0, "secret", "defaultMode"), 0o444),
    ),
    "a key file elsewhere": (
        EVERYTHING,
        security.secrets_are_referred_to,
        argument("frontend", "credentials", "/etc/keys.toml"),
    ),
    "an account that is not made": (
        "defaults",
        security.accounts,
        in_spec("host", ("serviceAccountName",), "admin"),
    ),
    "a value that was not there": (
        "defaults",
        texts.nothing_unresolved,
        lambda rendered: rendered.texts.update({"x.yaml": "a: <no value>"}),
    ),
    "rules that are not those of the file": (
        "monitors",
        texts.embedded_files,
        at(("spec", "groups"), [], "PrometheusRule"),
    ),
    "a dashboard that is not that of the file": (
        "monitors",
        texts.embedded_files,
        at(("data",), {"a.json": '{"a": 1}'}, "ConfigMap", "-dashboard"),
    ),
    "notes that do not warn": (
        "one-node",
        texts.notes_warn,
        lambda rendered: setattr(rendered, "notes", rendered.notes.replace("keep nothing", "keep it all")),
    ),
}
