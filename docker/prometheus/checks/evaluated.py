"""What Prometheus makes of rules and panels while it reads a system that runs and is well."""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from . import files

# Roles of the scrape configuration, by the names of its jobs.
ROLES = {"shoal-manager": "manager", "shoal-frontends": "frontend", "shoal-hosts": "host"}
STARTED_WITHIN_S = 30
# Rates need two samples, gauges of the manager come every five seconds.
WATCHED_FOR_S = 8
ENDED_WITHIN_S = 20

# Alerts that tell of the machine on which this runs: how full its disk is, how slow it is.
OF_THE_MACHINE = re.compile(r"ShoalDisk.*|ShoalRequestsSlow|ShoalClusterHot|ShoalCapacityNeeded")
# Labels whose values come with what happens; that they exist is seen in the source.
OF_EVENTS = {"result", "operation"}
# Labels that Prometheus itself gives.
OF_SCRAPES = {"namespace", "job", "instance", "le"}


class Prometheus:
    def __init__(self, running):
        self.running = running

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self.folder.name)
        shutil.copy(files.ALERTS, folder / files.ALERTS.name)
        configuration = folder / files.CONFIGURATION.name
        configuration.write_text(self._configuration())
        address = f"127.0.0.1:{_free_port()}"
        self.url = f"http://{address}"
        words = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data"]
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen([*words, f"--web.listen-address={address}"], stdout=self.log, stderr=self.log)
        try:
            self._watch()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def _configuration(self):
        """Of docker/compose.yaml's jobs, with this system's addresses, and quick."""
        text = re.sub(r"(\w+_interval): \w+", r"\1: 1s", files.CONFIGURATION.read_text())
        text = re.sub(r"(?m)^ +- targets: .*\n", "", text)
        for job, role in ROLES.items():
            targets = json.dumps(self.running.admins[role])
            at = f"job_name: {job}\n    static_configs:\n"
            assert at in text, f"{files.CONFIGURATION.name} has no job {job}"
            text = text.replace(at, f"{at}      - targets: {targets}\n")
        return text

    def _watch(self):
        until = time.monotonic() + STARTED_WITHIN_S
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/-/ready", timeout=5)
                break
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise SystemExit("prometheus does not start: " + pathlib.Path(self.log.name).read_text()[-2000:])
                time.sleep(0.1)
        until = time.monotonic() + WATCHED_FOR_S
        while time.monotonic() < until:
            self.running.work()
            time.sleep(0.5)

    def _get(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            return json.load(urllib.request.urlopen(url, timeout=30))["data"]
        except urllib.error.HTTPError as error:
            raise Refused(json.load(error)["error"]) from error

    def targets_down(self):
        targets = self._get("targets")["activeTargets"]
        for target in targets:
            if target["health"] != "up":
                yield f"{target['scrapeUrl']}: {target['health']} {target['lastError']}"
        known = sum(map(len, self.running.admins.values()))
        if len(targets) != known:
            yield f"{len(targets)} of {known} are read"

    def rules_amiss(self):
        rules = [rule for group in self._get("rules")["groups"] for rule in group["rules"]]
        if len(rules) != len(files.rules()):
            yield f"{len(rules)} of {len(files.rules())} rules are loaded"
        for rule in rules:
            name = rule["name"]
            if rule["health"] != "ok":
                yield f"{name}: {rule['health']} {rule.get('lastError')}"
            elif rule["type"] == "alerting" and not OF_THE_MACHINE.fullmatch(name):
                for found in self._get("query", query=rule["query"])["result"]:
                    yield f"{name}: it would fire for {found}"

    def selectors_of_nothing(self):
        sources = _sources()
        for name, block in files.rules().items():
            for metric, matchers in re.findall(r"(shoal_\w+)(?:\{([^}]*)\})?", block.split("annotations:")[0]):
                kept = []
                for label, operator, value in re.findall(r'(\w+)(=~|=|!=|!~)"([^"]*)"', matchers):
                    if label in OF_EVENTS:
                        kept.append(f'{label}!=""')
                        yield from (
                            f"{name}: nobody says {each} for {label}"
                            for each in value.split("|")
                            if not re.search(rf"\b{each}", sources)
                        )
                    else:
                        kept.append(f'{label}{operator}"{value}"')
                selector = f"{metric}{{{', '.join(kept)}}}"
                if not self._get("series", **{"match[]": selector}):
                    yield f"{name}: there is no {selector}"
            yield from self._labels_of_nobody(name, block)

    def _labels_of_nobody(self, name, block):
        """Labels by which is summed, and which texts name."""
        used = set(re.findall(r"\$labels\.(\w+)", block))
        for labels in re.findall(r"\bby \(([^)]*)\)", block):
            used.update(label.strip() for label in labels.split(","))
        metrics = re.findall(r"\bshoal[:_]\w+(?::\w+)?", block.split("annotations:")[0])
        series = self._get("series", **{"match[]": metrics})
        known = {label for each in series for label in each} | OF_SCRAPES
        for label in sorted(used - known):
            yield f"{name}: what it looks at has no label {label}"

    def empty_panels(self):
        for panel in files.panels():
            for text in files.expressions(panel):
                try:
                    if not self._get("query", query=text)["result"]:
                        yield f"{panel['title']}: nothing comes of {text}"
                except Refused as refused:
                    yield f"{panel['title']}: {refused}"


class Refused(Exception):
    """Prometheus does not take an expression."""


def _sources():
    roots = ("services/frontend/src", "cluster-manager/server/src", "shared/types/src", "shared/sqs/src")
    return "\n".join(file.read_text() for root in roots for file in (files.REPOSITORY / root).rglob("*.rs"))


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
