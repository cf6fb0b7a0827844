"""Celery over its SQS transport: a worker of its own, a round trip, a retry, and a task longer than the
visibility timeout."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

import boto3
from celery import Celery
from celery.result import AsyncResult
from celery.signals import task_received

PLACE = urllib.parse.urlsplit(os.environ.get("CELERY_ENDPOINT", "http://127.0.0.1:9324")).netloc
RESULTS = os.environ.get("CELERY_RESULTS", "")
VISIBILITY_S = 8
QUEUE = os.environ.get("CELERY_QUEUE", "celery")

app = Celery("celery_client", broker=f"sqs://test:test@{PLACE}//", backend=f"file://{RESULTS}" if RESULTS else None)
app.conf.update(
    broker_transport_options={
        "is_secure": False, "region": "us-east-1", "visibility_timeout": VISIBILITY_S, "wait_time_seconds": 2,
    },
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_default_queue=QUEUE,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_prefetch_multiplier=1,
)


@app.task
def add(one, other):
    return one + other


@app.task(bind=True, max_retries=3)
def second_time_lucky(self):
    if self.request.retries == 0:
        raise self.retry(countdown=1)
    return self.request.retries


# Where the messages of tasks that this worker runs came from, and their receipts.
deliveries = {}


@task_received.connect
def remember(request, **_):
    deliveries[request.id] = request.message.delivery_info


@app.task(bind=True)
def long(self, seconds):
    """Runs longer than its message would stay hidden, and says so to the queue while it runs."""
    until = time.monotonic() + seconds
    with runs(self.request.id).open("a") as file:
        file.write("run\n")
    delivery = deliveries[self.request.id]
    sqs = boto3.client(
        "sqs", endpoint_url=f"http://{PLACE}", region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    while time.monotonic() < until:
        sqs.change_message_visibility(
            QueueUrl=delivery["sqs_queue"], ReceiptHandle=delivery["sqs_message"]["ReceiptHandle"],
            VisibilityTimeout=VISIBILITY_S,
        )
        time.sleep(2)
    return "done"


def runs(task):
    return pathlib.Path(RESULTS) / f"runs-{task}"


def result(task, timeout):
    return AsyncResult(task.id, app=app).get(timeout=timeout, interval=0.2)


def main():
    endpoint = sys.argv[1]
    with tempfile.TemporaryDirectory() as results:
        environment = {
            **os.environ, "CELERY_ENDPOINT": endpoint, "CELERY_RESULTS": results,
            "CELERY_QUEUE": f"celery-{uuid.uuid4().hex[:8]}", "INSIDE": "1",
        }
        here = pathlib.Path(__file__).parent
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "celery_client", "worker", "--pool", "threads", "-c", "2", "-l", "WARNING"],
            cwd=here, env=environment,
        )
        try:
            done = subprocess.run([sys.executable, __file__], cwd=here, env=environment, timeout=120)
        finally:
            worker.terminate()
            worker.wait(30)
        sys.exit(done.returncode)


def ask():
    assert result(add.delay(2, 3), 30) == 5
    print("celery: round trip")
    assert result(second_time_lucky.delay(), 30) == 1
    print("celery: retry")
    task = long.delay(14)
    assert result(task, 60) == "done"
    assert runs(task.id).read_text().split() == ["run"], "it was given out again while it ran"
    print("celery: a task longer than the visibility timeout")


if __name__ == "__main__":
    ask() if os.environ.get("INSIDE") else main()
