"""Alert rules and scrape configuration, without a running system."""

import pathlib
import re
import shutil
import subprocess
import tempfile

from . import files


def runbooks_without_a_place():
    for name, block in files.alerts().items():
        runbook = re.search(r"(?m)^ +runbook: (\S+?)#(\S+)$", block)
        if not runbook:
            yield f"{name}: it names no runbook"
            continue
        document, anchor = runbook.groups()
        if anchor not in _anchors(files.REPOSITORY / document):
            yield f"{name}: {document} has no #{anchor}"


def _anchors(document):
    headings = re.findall(r"(?m)^#+ (.*)$", document.read_text())
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def untested():
    """Each test says all that fires, so an alert that one of them expects does not fire in the others."""
    tests = files.without_comments(files.TESTS.read_text())
    expected = set(re.findall(r'\{alertname="(\w+)"', tests))
    for name in sorted(set(files.alerts()) - expected):
        yield f"{name}: no test of {files.TESTS.name} sees it firing"
    for name in sorted(expected - set(files.alerts())):
        yield f"{name}: there is a test and no rule"


def refused_by_promtool():
    with _as_mounted() as folder:
        yield from said_by_promtool("check", "config", f"{folder}/prometheus.yaml")
        yield from said_by_promtool("check", "rules", "--lint-fatal", f"{folder}/alerts.yaml")


def failing_tests():
    with _as_mounted() as folder:
        yield from said_by_promtool("test", "rules", f"{folder}/{files.TESTS.name}")


def said_by_promtool(*words):
    """What it says if it does not agree."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True)
    if done.returncode != 0:
        yield f"promtool {' '.join(words[:2])}: {(done.stdout + done.stderr).strip()}"


class _as_mounted(tempfile.TemporaryDirectory):
    """The files beside one another, as they are for Prometheus."""

    def __enter__(self):
        folder = super().__enter__()
        for file in (files.CONFIGURATION, files.ALERTS, files.TESTS):
            shutil.copy(file, pathlib.Path(folder) / file.name)
        return folder
