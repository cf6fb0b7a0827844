"""Pods as containers: what the kubelet and services would do, as far as one Docker engine can."""

import json
import os
import subprocess
import time

from .settings import DOWNWARD, started_with

# A cluster comes about some seconds after its last host; this is for a machine that is very busy.
READY_WITHIN_S = 120
# Between two looks.
LOOK_AGAIN_S = 0.3
# An engine that does not answer for so long is gone.
ENGINE_WITHIN_S = 180


class Played:
    """A release that plays in containers, until the end of its `with`."""

    def __init__(self, rendered, image):
        self.rendered = rendered
        self._image = image
        # Of its own, so that several can play at once; also the label of all that is made.
        self._name = f"shoal-chart-{os.getpid()}"
        self._label = f"org.shoal.chart={self._name}"

    def __enter__(self):
        docker("network", "create", "--label", self._label, self._name)
        return self

    def __exit__(self, *_):
        """Removes what was made, in whatever state it is; what cannot be removed is said, and the rest is."""
        mine = ("--filter", f"label={self._label}")
        for made, remove in {
            ("ps", "--all", "--quiet"): ("rm", "--force", "--volumes"),
            ("volume", "ls", "--quiet"): ("volume", "rm"),
            ("network", "ls", "--quiet"): ("network", "rm"),
        }.items():
            for each in docker(*made, *mine).split():
                removed = subprocess.run(["docker", *remove, each], capture_output=True, text=True)
                if removed.returncode:
                    print(f"stays with the engine: {each}: {removed.stderr}")

    def begin(self, rendered=None):
        """Starts what is not there yet, all at once as Kubernetes does, and removes what is there no more."""
        self.rendered = rendered or self.rendered
        meant = {self._container(name): (pods, name) for pods, name in self._pods()}
        there = docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"label={self._label}").split()
        for container in sorted(set(there) - set(meant)):
            docker("stop", container)
            docker("rm", container)
        for container, (pods, name) in meant.items():
            if container not in there:
                self._run(pods, name)

    def await_ready(self):
        """Returns when every pod is ready."""
        for pods, name in self._pods():
            self._await_ready(pods, name)

    def _pods(self):
        workloads = [pods for pods in self.rendered.workloads() if pods.role != "smoke"]
        return [(pods, name) for pods in workloads for name in self.names_of(pods)]

    def names_of(self, pods):
        """Names of its pods. Those of a Deployment are drawn by Kubernetes, and numbered here."""
        if pods.kind == "Deployment":
            return [f"{pods.name}-{number}" for number in range(pods.replicas)]
        return pods.pod_names()

    def smoke(self):
        """Runs the pod of `helm test` to its end, and returns what it says. Fails if that does."""
        (pods,) = self.rendered.role("smoke")
        options = ["--rm", "--pull", "never", *self._confined(pods, pods.name)]
        return docker("run", *options, self._image, *started_with(pods)[0]).rstrip()

    def restart(self, pods, name):
        """Ends a pod as Kubernetes would, starts it again, and returns when it is ready."""
        grace = str(pods.spec["terminationGracePeriodSeconds"])
        docker("stop", "--time", grace, self._container(name))
        code = docker("inspect", "--format", "{{.State.ExitCode}}", self._container(name)).strip()
        if code != "0":
            raise SystemExit(f"{name} ended with {code}: {self._log(name)}")
        docker("start", self._container(name))
        self._await_ready(pods, name)

    def lose(self, pods, name):
        """A pod and its volume are gone; Kubernetes makes both anew. Returns when the pod is ready."""
        docker("rm", "--force", "--volumes", self._container(name))
        docker("volume", "rm", self._container(name))
        self._run(pods, name)
        self._await_ready(pods, name)

    def shoal(self, role, *arguments):
        """What a command in the first pod of a role prints, as by `kubectl exec`."""
        name = self.names_of(self.rendered.role(role)[0])[0]
        return docker("exec", self._container(name), "/shoal", *arguments)

    def listed(self, kind, matches):
        """Waits for a host or cluster of which this is true, by `shoal host list` or `shoal cluster list`."""
        until = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until:
            found = json.loads(self.shoal("frontend", kind, "list", "-o", "json"))
            for each in found[f"{kind}s"] if isinstance(found, dict) else found:
                if matches(each):
                    return each
            time.sleep(LOOK_AGAIN_S)
        raise SystemExit(f"no {kind} is as it should be: {self.shoal('frontend', kind, 'list')}")

    def _run(self, pods, name):
        options = self._confined(pods, name)
        for mount in pods.container().get("volumeMounts", []):
            if mount["name"] == "data":
                volume = self._container(name)
                docker("volume", "create", "--label", self._label, volume)
                options += ["--volume", f"{volume}:{mount['mountPath']}"]
        arguments, environment = started_with(pods, DOWNWARD | {"metadata.name": name})
        for key, value in environment:
            options += ["--env", f"{key}={value}"]
        docker("run", "--detach", "--pull", "never", *options, self._image, *arguments)

    def _confined(self, pods, name):
        """What pod and container are allowed, and what they are called."""
        context = pods.spec["securityContext"]
        options = ["--name", self._container(name), "--hostname", name, "--label", self._label]
        options += ["--network", self._name, "--user", f"{context['runAsUser']}:{context['runAsGroup']}"]
        options += ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        for alias in self._aliases(pods, name):
            options += ["--network-alias", alias]
        return options

    def _aliases(self, pods, name):
        """The names by which services lead to this pod."""
        for service in self.rendered.of("Service"):
            if service["spec"]["selector"].items() <= pods.labels.items():
                of = service["metadata"]["name"]
                yield f"{name}.{of}" if service["spec"].get("clusterIP") == "None" else of

    def _await_ready(self, pods, name):
        """By the binary's own look at the port that the probe asks."""
        admin = f"127.0.0.1:{pods.ports()['admin']}"
        until = time.monotonic() + READY_WITHIN_S
        while True:
            look = ["docker", "exec", self._container(name), "/shoal", "health", "--ready", "--admin", admin]
            looked = subprocess.run(look, capture_output=True, text=True, timeout=ENGINE_WITHIN_S)
            if looked.returncode == 0:
                return
            if time.monotonic() > until:
                raise SystemExit(f"{name} is not ready: {looked.stdout}{looked.stderr}\n{self._log(name)}")
            time.sleep(LOOK_AGAIN_S)

    def _container(self, name):
        return f"{self._name}-{name}"

    def _log(self, name):
        logs = ["docker", "logs", "--tail", "20", self._container(name)]
        logged = subprocess.run(logs, capture_output=True, text=True)
        return logged.stdout + logged.stderr


def docker(*arguments):
    """What docker answers; ends the program with what it says if it refuses."""
    ran = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=ENGINE_WITHIN_S)
    if ran.returncode:
        raise SystemExit(f"docker {' '.join(arguments)}: {ran.stdout}{ran.stderr}")
    return ran.stdout
