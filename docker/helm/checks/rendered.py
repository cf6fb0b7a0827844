"""Rendered objects, and how they refer to one another: by selectors, names and ports."""

import yaml

WORKLOADS = ("Deployment", "StatefulSet", "Pod")


class Pods:
    """The pods that one workload makes: they are alike."""

    def __init__(self, owner):
        self.owner = owner
        self.kind = owner["kind"]
        self.name = owner["metadata"]["name"]
        if self.kind == "Pod":
            self.labels, self.spec, self.replicas = owner["metadata"]["labels"], owner["spec"], 1
        else:
            template = owner["spec"]["template"]
            self.labels, self.spec = template["metadata"]["labels"], template["spec"]
            self.replicas = owner["spec"].get("replicas")
        self.role = self.labels.get("app.kubernetes.io/component")

    def __str__(self):
        return f"{self.kind} {self.name}"

    def container(self):
        """The one that runs `shoal`."""
        return self.spec["containers"][0]

    def ports(self):
        """Numbers of container ports, by name."""
        return {port["name"]: port["containerPort"] for port in self.container().get("ports", [])}

    def flag(self, name):
        """What `--name=…` says, or None."""
        for argument in self.container()["args"]:
            if argument.startswith(f"--{name}="):
                return argument.split("=", 1)[1]
        return None

    def pod_names(self):
        if self.kind == "StatefulSet":
            return [f"{self.name}-{ordinal}" for ordinal in range(self.replicas)]
        return [self.name]


class Rendered:
    """All objects of one rendering."""

    def __init__(self, case, namespace, values, texts):
        self.case = case
        self.namespace = namespace
        self.values = values
        self.notes = next((text for path, text in texts.items() if path.endswith("NOTES.txt")), "")
        self.texts = {path: text for path, text in texts.items() if not path.endswith("NOTES.txt")}
        self.objects = [
            document
            for text in self.texts.values()
            for document in yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            if document
        ]

    def of(self, kind):
        return [each for each in self.objects if each["kind"] == kind]

    def named(self, kind, name):
        return next((each for each in self.of(kind) if each["metadata"]["name"] == name), None)

    def workloads(self):
        return [Pods(each) for kind in WORKLOADS for each in self.of(kind)]

    def role(self, role):
        return [pods for pods in self.workloads() if pods.role == role]

    def of_pool(self, pods):
        """What values say of the hosts of a pool: its own word, where it has one."""
        own = self.values["pools"].get(pods.name.rsplit("-", 1)[1]) or {}
        return merged(self.values["hosts"], own)

    def selected(self, labels):
        """The workloads whose pods carry all of these labels. None of them selects none: that is never meant."""
        if not labels:
            return []
        return [pods for pods in self.workloads() if labels.items() <= pods.labels.items()]


def merged(values, own):
    """Tables part by part, everything else as a whole."""
    if isinstance(values, dict) and isinstance(own, dict):
        return values | {key: merged(values.get(key), value) for key, value in own.items()}
    return own


def what(document):
    return f"{document['kind']} {document['metadata']['name']}"


def names(workloads):
    return sorted(str(pods) for pods in workloads)
