"""Checks that cannot fail are worth nothing: each is shown something that is wrong, and has to say so."""

import copy

from . import chart, identities, live, nonsense, readme, settings
from .damage import SPOILED
from .spoiling import argument, found, in_container, put


def unnoticed(checks, binary):
    """The kinds of damage that nobody noticed, and checks that were shown none."""
    for title, noticed in _tried(binary):
        if not noticed:
            yield f"nobody noticed {title}"
    tried = {check.__name__ for _, check, _ in SPOILED.values()}
    yield from sorted(f"{check.__name__} was shown nothing wrong" for check in checks if check.__name__ not in tried)


def _tried(binary):
    """Each kind of damage, and what was found of it."""
    used = {case for case, _, _ in SPOILED.values()}
    sound = {case.name: chart.render(case) for case in chart.values_files() if case.name in used}
    for title, (case, check, spoil) in SPOILED.items():
        rendered = copy.deepcopy(sound[case])
        spoil(rendered)
        yield title, list(check(rendered))
    yield from _of_the_chart(sound["defaults"])
    if binary:
        yield from _of_the_binary(binary, sound["defaults"])


def _of_the_chart(defaults):
    """Checks of more than one rendering."""
    changed = copy.deepcopy(defaults)
    claim = found(changed, "StatefulSet")["spec"]["volumeClaimTemplates"][0]
    claim["metadata"]["labels"]["helm.sh/chart"] = "shoal-9"
    yield "a claim that changes with the chart", list(identities.fixed_parts_differ(defaults, changed))
    changed = copy.deepcopy(defaults)
    put(found(changed, "Deployment"), ("spec", "template", "metadata", "labels", "helm.sh/chart"), "shoal-9")
    yield "pods that start anew with the chart", list(identities.pods_differ(defaults, changed))
    yield "sense that is taken for nonsense", list(nonsense.refused([({"clusters": 3}, "/clusters")]))
    yield "a refusal that names nothing", list(nonsense.refused([({"clusters": 0}, "/hosts")]))
    yield "a value without a text", list(readme.undocumented("# -- told\na: 1\nb:\n  # -- told\n  c: 1\n  d: 1\n"))


def _of_the_binary(binary, defaults):
    """What only the binary can say."""
    for title, spoil in {
        "a flag that the binary does not know": in_container("host", ("args",), ["host", "--rack=a"]),
        "a variable that is no setting": in_container(
            "manager", ("env",), [{"name": "SHOAL_CLUSTER", "value": "3"}]
        ),
        "a value that the binary cannot read": argument("frontend", "listen", "everywhere"),
        "a variable that nobody fills in": in_container("host", ("env",), []),
    }.items():
        rendered = copy.deepcopy(defaults)
        spoil(rendered)
        yield title, list(settings.accepted(binary, rendered))
    rendered = copy.deepcopy(defaults)
    rendered.values["manager"]["settings"]["round_ms"] = 1_000
    yield "a setting that does not arrive", list(settings.accepted(binary, rendered))
    rendered = copy.deepcopy(defaults)
    for role in settings.PARTS:
        in_container(role, ("readinessProbe", "httpGet", "path"), "/ready")(rendered)
    yield "a probe that nobody answers", list(live.probes_are_answered(binary, rendered))
