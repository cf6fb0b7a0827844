"""A whole system, each role a process of its own, with a little of everything that is counted."""

import contextlib
import json
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

STARTED_WITHIN_S = 60
ENDED_WITHIN_S = 20


@contextlib.contextmanager
def running(binary):
    words = [binary.resolve(), "dev", "--ephemeral", "--processes", "--clusters=2", "--listen=127.0.0.1:0"]
    # Whatever it leaves behind, it leaves there.
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "w") as log:
        with open(f"{folder}/said", "w") as said:
            process = subprocess.Popen(words, cwd=folder, env={"TMPDIR": folder}, stdout=said, stderr=log)
        try:
            yield System(_said(process, folder))
        finally:
            process.terminate()
            try:
                process.wait(ENDED_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _said(process, folder):
    until = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        with open(f"{folder}/said") as said:
            text = said.read()
        if "Ctrl-C stops everything." in text:
            return text
        time.sleep(0.1)
    with open(f"{folder}/log") as log:
        raise SystemExit(f"shoal dev is not ready: {log.read()[-2000:]}")


class System:
    """What `shoal dev` said of itself."""

    def __init__(self, text):
        self.endpoint = re.search(r"http://[0-9.]+:[0-9]+", text).group()
        self.manager = re.search(r"(?m)^ *manager +(http://\S+)", text).group(1)
        # Of each role, by the word after `shoal`.
        self.admins = {}
        for role, admin in re.findall(r" (manager|frontend|host) .*?--admin[ =](\S+)", text):
            self.admins.setdefault(role, []).append(admin)

    def metric_names(self):
        names = set()
        for admin in sum(self.admins.values(), []):
            text = urllib.request.urlopen(f"http://{admin}/metrics", timeout=10).read().decode()
            names.update(re.findall(r"(?m)^(shoal_\w+)[{ ]", text))
            # As it is named where all of it is meant.
            names.update(re.findall(r"(?m)^# TYPE (shoal_\w+) histogram$", text))
        return names

    def work(self):
        """What clients do, some of it wrong."""
        queue = f"{self.endpoint}/v1/queues/checked"
        self._ask(queue, method="PUT")
        self._ask(f"{queue}/messages", {"body": "hello"})
        received = self._ask(f"{queue}/messages/receive", {"max": 1, "wait_s": 5})
        receipts = [message["receipt"] for message in received["messages"]]
        self._ask(f"{queue}/messages/ack", {"receipts": receipts})
        for address in (self.endpoint, self.manager):
            with contextlib.suppress(urllib.error.HTTPError):
                self._ask(f"{address}/v1/queues/nobody-made-this")

    def _ask(self, url, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
        return json.load(urllib.request.urlopen(request, timeout=30))
