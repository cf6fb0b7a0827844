"""What KEDA and Terraform ask of SQS, call for call: neither runs here, and each trips over an answer that
is not quite SQS's."""

import json
import sys
import time
import uuid

from wire import Json, Query

ENDPOINT = sys.argv[1]

# What Terraform takes for granted where an attribute is not shown: SQS shows it only if it is another.
DEFAULTS = {"KmsDataKeyReusePeriodSeconds": "300"}


def keda(wire):
    """The scaler of aws-sqs-queue asks for the depth, and adds what is in flight and delayed."""
    url = wire.call("CreateQueue", {"QueueName": f"keda-{uuid.uuid4().hex[:8]}"}).value["QueueUrl"]
    for number in range(3):
        wire.call("SendMessage", {"QueueUrl": url, "MessageBody": str(number)})
    wire.call("SendMessage", {"QueueUrl": url, "MessageBody": "later", "DelaySeconds": 900})
    wire.call("ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 1, "WaitTimeSeconds": 5})
    asked = [
        "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
    ]
    wanted = dict(zip(asked, ["2", "1", "1"]))
    until = time.monotonic() + 10
    while True:
        answer = wire.call("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": asked})
        found = answer.value["Attributes"]
        if found == wanted or time.monotonic() > until:
            break
        time.sleep(0.1)
    assert found == wanted, found


def terraform(wire):
    """A resource aws_sqs_queue: made, read until every attribute is as it was set, changed, and gone."""
    name = f"terraform-{uuid.uuid4().hex[:8]}.fifo"
    wanted = {
        "ContentBasedDeduplication": "true", "DeduplicationScope": "messageGroup", "DelaySeconds": "5", "FifoQueue": "true",
        "FifoThroughputLimit": "perMessageGroupId", "KmsDataKeyReusePeriodSeconds": "300", "MaximumMessageSize": "2048",
        "MessageRetentionPeriod": "86400", "ReceiveMessageWaitTimeSeconds": "10", "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }
    created = wire.call("CreateQueue", {"QueueName": name, "Attributes": wanted, "tags": {"team": "blue"}})
    url = created.value["QueueUrl"]
    read_until(wire, url, wanted)
    assert wire.call("ListQueueTags", {"QueueUrl": url}).value["Tags"] == {"team": "blue"}

    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    changed = {"VisibilityTimeout": "60", "DelaySeconds": "0", "Policy": policy}
    assert wire.call("SetQueueAttributes", {"QueueUrl": url, "Attributes": changed}).status == 200
    found = read_until(wire, url, wanted | changed)
    assert json.loads(found["Policy"]) == json.loads(policy)
    wire.call("UntagQueue", {"QueueUrl": url, "TagKeys": ["team"]})
    wire.call("TagQueue", {"QueueUrl": url, "Tags": {"team": "red"}})
    assert wire.call("ListQueueTags", {"QueueUrl": url}).value["Tags"] == {"team": "red"}

    assert wire.call("DeleteQueue", {"QueueUrl": url}).status == 200
    gone = wire.call("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})
    assert (gone.status, gone.code) == (400, "AWS.SimpleQueueService.NonExistentQueue"), gone
    assert wire.call("CreateQueue", {"QueueName": name, "Attributes": {"FifoQueue": "true"}}).status == 200


def read_until(wire, url, wanted):
    until = time.monotonic() + 10
    while True:
        answer = wire.call("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})
        found = answer.value["Attributes"]
        differ = {name: (value, found.get(name)) for name, value in wanted.items() if found.get(name, DEFAULTS.get(name)) != value}
        if not differ:
            return found
        assert time.monotonic() < until, f"wanted and found: {differ}"
        time.sleep(0.1)


def main():
    for wire in (Json(ENDPOINT), Query(ENDPOINT)):
        for replay in (keda, terraform):
            replay(wire)
            print(f"{wire.name}: the calls of {replay.__name__}")


if __name__ == "__main__":
    main()
