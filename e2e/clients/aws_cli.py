"""The AWS CLI, as a person at a shell uses it."""

import json
import os
import pathlib
import subprocess
import sys
import uuid

ENDPOINT = sys.argv[1]
PROGRAM = pathlib.Path(sys.executable).with_name("aws")
ENVIRONMENT = {
    **os.environ,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def aws(*words, fails=None):
    command = [sys.executable, str(PROGRAM), "--endpoint-url", ENDPOINT, "--output", "json", "sqs", *words]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    if fails:
        assert done.returncode != 0 and fails in done.stderr, (words, done.stdout, done.stderr)
        return None
    assert done.returncode == 0, (words, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else {}


def main():
    queue = f"cli-{uuid.uuid4().hex[:8]}"
    url = aws("create-queue", "--queue-name", queue)["QueueUrl"]
    assert aws("get-queue-url", "--queue-name", queue)["QueueUrl"] == url
    assert url in aws("list-queues", "--queue-name-prefix", "cli-")["QueueUrls"]
    aws("send-message", "--queue-url", url, "--message-body", "hello",
        "--message-attributes", '{"a":{"DataType":"String","StringValue":"b"}}')
    found = aws("receive-message", "--queue-url", url, "--wait-time-seconds", "5",
                "--message-attribute-names", "All", "--attribute-names", "All")
    [message] = found["Messages"]
    assert message["Body"] == "hello" and message["MessageAttributes"]["a"]["StringValue"] == "b"
    aws("delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])
    attributes = aws("get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "0", attributes

    fifo = aws("create-queue", "--queue-name", f"{queue}.fifo", "--attributes",
               "FifoQueue=true,ContentBasedDeduplication=true")["QueueUrl"]
    sent = aws("send-message", "--queue-url", fifo, "--message-body", "x", "--message-group-id", "g")
    assert sent["SequenceNumber"], sent

    batch = [{"Id": "a", "MessageBody": "1"}, {"Id": "b", "MessageBody": "2", "DelaySeconds": 901}]
    answer = aws("send-message-batch", "--queue-url", url, "--entries", json.dumps(batch))
    assert (answer["Successful"][0]["Id"], answer["Failed"][0]["Id"]) == ("a", "b"), answer
    dead_letters(queue)
    aws("purge-queue", "--queue-url", url)
    aws("delete-queue", "--queue-url", url)
    aws("get-queue-url", "--queue-name", queue, fails="NonExistentQueue")
    print("aws: create, list, send, receive, delete, FIFO, batch, purge, dead letters and back")


def dead_letters(queue):
    """A message that nobody deletes dies; a person looks at it, and moves it back."""
    dead = aws("create-queue", "--queue-name", f"{queue}-dead")["QueueUrl"]
    arn = aws("get-queue-attributes", "--queue-url", dead, "--attribute-names", "QueueArn")["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "1"})
    source = aws("create-queue", "--queue-name", f"{queue}-source", "--attributes",
                 json.dumps({"RedrivePolicy": policy}))["QueueUrl"]
    aws("send-message", "--queue-url", source, "--message-body", "poison")
    [_] = aws("receive-message", "--queue-url", source, "--wait-time-seconds", "5", "--visibility-timeout", "0")["Messages"]
    [corpse] = aws("receive-message", "--queue-url", dead, "--wait-time-seconds", "20", "--visibility-timeout", "0",
                   "--attribute-names", "All")["Messages"]
    assert corpse["Body"] == "poison" and "DeadLetterQueueSourceArn" in corpse["Attributes"], corpse
    aws("start-message-move-task", "--source-arn", arn)
    [back] = aws("receive-message", "--queue-url", source, "--wait-time-seconds", "20")["Messages"]
    assert back["Body"] == "poison", back
    [task] = aws("list-message-move-tasks", "--source-arn", arn)["Results"]
    assert task["Status"] in ("RUNNING", "COMPLETED"), task


if __name__ == "__main__":
    main()
