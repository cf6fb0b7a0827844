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
    aws("purge-queue", "--queue-url", url)
    aws("delete-queue", "--queue-url", url)
    aws("get-queue-url", "--queue-name", queue, fails="NonExistentQueue")
    print("aws: create, list, send, receive, delete, FIFO, batch, purge")


if __name__ == "__main__":
    main()
