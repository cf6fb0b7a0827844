"""Does the binary take what containers are started with? It is asked: `shoal ROLE … --dump-config`."""

import functools
import os
import re
import subprocess
import tomllib

from . import chart

# Roles with settings, by the part of the values that sets them.
PARTS = {"host": "hosts", "frontend": "frontend", "manager": "manager"}

# Settings that are of no use here. A pool has as many hosts as its cluster: one kept as a spare, and there would
# never be a cluster.
NOT_OFFERED = {"spares_kept"}

# Answers of --dump-config come at once; this is for a machine that is very busy.
ANSWER_WITHIN_S = 20

# What the downward API says.
DOWNWARD = {
    "metadata.name": "demo-shoal-p1-0",
    "spec.nodeName": "node-1.example.com",
    "metadata.labels['topology.kubernetes.io/zone']": "zone-a",
}


class Binary:
    """A `shoal` to ask."""

    def __init__(self, path):
        self.path = str(path)

    @functools.lru_cache(maxsize=None)
    def ask(self, arguments, environment):
        """Its output, or what it says against the arguments."""
        variables = {"PATH": os.environ["PATH"], **dict(environment)}
        ran = subprocess.run(
            [self.path, *arguments], env=variables, capture_output=True, text=True, timeout=ANSWER_WITHIN_S
        )
        return (ran.stdout, None) if ran.returncode == 0 else (None, ran.stderr.strip().replace("\n", " "))

    def settings(self, role, *arguments, environment=()):
        """Every setting of the role, and where it came from; or what is wrong."""
        text, wrong = self.ask((role, *arguments, "--dump-config"), tuple(environment))
        return (None, wrong) if wrong else (read(text), None)


def read(text):
    """`key = value  # from …` and `# key is not set  # from …`: values and origins by key."""
    values = tomllib.loads(text)
    values |= {key: None for key in re.findall(r"^# (\S+) is not set", text, re.MULTILINE)}
    origins = re.findall(r"^(?:# )?(\S+) (?:=|is not set).*  # from (.*)$", text, re.MULTILINE)
    return values, dict(origins)


def started_with(pods, downward=None):
    """Arguments and environment of a container, as the kubelet would fill them in."""
    downward = downward or DOWNWARD
    container, environment = pods.container(), {}
    for variable in container.get("env", []):
        if "value" in variable:
            environment[variable["name"]] = variable["value"]
        elif "fieldRef" in variable["valueFrom"]:
            environment[variable["name"]] = downward[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            environment[variable["name"]] = "from a secret"

    def filled(text):
        return re.sub(r"\$\(([A-Za-z_]\w*)\)", lambda found: environment.get(found[1], found[0]), text)

    return tuple(filled(argument) for argument in container["args"]), tuple(sorted(environment.items()))


def accepted(binary, rendered):
    """Everything is taken, and arrives as it was meant."""
    for pods in rendered.workloads():
        arguments, environment = started_with(pods)
        left = [argument for argument in arguments if "$(" in argument]
        if left:
            yield f"{pods}: nothing fills in {left}"
        if arguments[0] not in PARTS:
            # Commands have no settings to show; their help does not hide a flag that they do not know.
            _, wrong = binary.ask((*arguments, "--help"), environment)
        else:
            dumped, wrong = binary.settings(*arguments, environment=environment)
            if dumped:
                yield from _arrived(rendered, pods, *dumped)
        if wrong:
            yield f"{pods}: {wrong}"


def _arrived(rendered, pods, values, origins):
    of = rendered.of_pool(pods) if pods.role == "host" else rendered.values[PARTS[pods.role]]
    meant = of["settings"]
    for key, value in meant.items():
        if values.get(key) != value or origins.get(key) != f"environment SHOAL_{key.upper()}":
            yield f"{pods}: {key} is {values.get(key)} from {origins.get(key)}, not {value}"
    # Whatever else came from somewhere is what the chart says by flags.
    for key, origin in origins.items():
        if origin not in ("default", f"flag --{key.replace('_', '-')}") and key not in meant:
            yield f"{pods}: {key} comes from {origin}"


def all_settings_are_known(binary):
    """The schema knows every setting of the binary that the chart does not set itself, and no other; and its bounds
    hold the default."""
    definitions = chart.schema()["$defs"]
    rendered = chart.render(chart.Case("settings", {"frontend": {"publicUrl": "https://mq.example.com"}}))
    for role in PARTS:
        arguments, _ = started_with(rendered.role(role)[0])
        dumped, wrong = binary.settings(*arguments)
        if wrong:
            yield f"{role}: {wrong}"
            continue
        values, origins = dumped
        by_flag = {key for key, origin in origins.items() if origin.startswith("flag ")}
        offered = definitions[f"{role}Settings"]["properties"]
        for key in sorted(set(values) - by_flag - NOT_OFFERED - set(offered)):
            yield f"values.schema.json: {role}Settings does not know {key}"
        for key in sorted(set(offered) - (set(values) - by_flag - NOT_OFFERED)):
            yield f"values.schema.json: {role}Settings knows {key}, which is no setting or set by the chart"
        for key, rule in offered.items():
            value = values.get(key)
            if value is not None and not _within(value, rule):
                yield f"values.schema.json: {role}Settings refuses the default of {key}, {value}"


def _within(value, rule):
    if rule["type"] == "boolean":
        return isinstance(value, bool)
    return rule["minimum"] <= value <= rule["maximum"]
