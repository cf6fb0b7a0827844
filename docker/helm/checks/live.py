"""Roles as the chart starts them, really started: do their probes get an answer?

Each is started with its container's arguments and environment; only folders are temporary, and ports free ones of
the loopback.
"""

import contextlib
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from . import chart
from .settings import PARTS, started_with

# A role answers within a second; this is for a machine that is very busy.
STARTED_WITHIN_S = 30
ENDED_WITHIN_S = 20

# What probes take for an answer: yes, or no with a reason. Anything else is a path that is not there.
ANSWERS = {200, 503}


def probes_are_answered(binary, rendered=None):
    rendered = rendered or chart.render(chart.Case("probes", {}))
    for role in PARTS:
        pods = rendered.role(role)[0]
        with tempfile.TemporaryDirectory() as folder:
            arguments, environment = _here(pods, folder)
            admin = next(each for each in arguments if each.startswith("--admin=")).split("=", 1)[1]
            with _running(binary, arguments, environment, folder) as process:
                yield from (f"{pods}: {wrong}" for wrong in _asked(pods, process, admin, folder))


def _asked(pods, process, admin, folder):
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        path = pods.container()[kind]["httpGet"]["path"]
        status = _status(process, f"http://{admin}{path}")
        if status not in ANSWERS:
            with open(f"{folder}/log") as log:
                yield f"{kind} {path} is answered with {status}: {log.read()[-500:]}"


def _here(pods, folder):
    """Its arguments, for this machine instead of a pod."""
    arguments, environment = started_with(pods)
    arguments = [argument.replace("=/data/", f"={folder}/") for argument in arguments]
    arguments = [re.sub(r"=0\.0\.0\.0:\d+$", lambda _: f"=127.0.0.1:{_free_port()}", each) for each in arguments]
    # Nobody is asked for by a name that only Kubernetes knows.
    return [re.sub(r"http://[^:]+:\d+$", "http://127.0.0.1:9", each) for each in arguments], dict(environment)


@contextlib.contextmanager
def _running(binary, arguments, environment, folder):
    with open(f"{folder}/log", "w") as log:
        process = subprocess.Popen([binary.path, *arguments], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(ENDED_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _status(process, url):
    """What it is answered with; None if nobody answers or the process has ended."""
    until = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            return urllib.request.urlopen(url, timeout=5).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.05)
    return None


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
