"""boto3, unmodified but for the endpoint: what an application does with a queue."""

import concurrent.futures
import hashlib
import sys
import threading
import time
import traceback
import uuid

import boto3
from botocore.config import Config


FAILURES = []


def client(endpoint):
    return boto3.client(
        "sqs", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test", config=Config(retries={"max_attempts": 5, "mode": "standard"}),
    )


def name(kind):
    return f"boto3-{kind}-{uuid.uuid4().hex[:8]}"


def standard_round_trip(sqs):
    """boto3 checks the MD5 of the body and of the attributes by itself."""
    url = sqs.create_queue(QueueName=name("standard"), tags={"team": "blue"})["QueueUrl"]
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="hello 😀",
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "a"},
            "bytes": {"DataType": "Binary.own", "BinaryValue": b"\x00\x01\xff"},
        },
    )
    assert sent["MD5OfMessageBody"] == hashlib.md5("hello 😀".encode()).hexdigest()
    [message] = sqs.receive_message(
        QueueUrl=url, WaitTimeSeconds=5, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"],
    )["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "hello 😀")
    assert message["MessageAttributes"]["bytes"]["BinaryValue"] == b"\x00\x01\xff"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    [again] = sqs.receive_message(
        QueueUrl=url, WaitTimeSeconds=5, MessageSystemAttributeNames=["ApproximateReceiveCount"],
    )["Messages"]
    assert again["Attributes"] == {"ApproximateReceiveCount": "2"}
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "blue"}
    sqs.delete_queue(QueueUrl=url)
    try:
        sqs.send_message(QueueUrl=url, MessageBody="late")
    except sqs.exceptions.QueueDoesNotExist as gone:
        assert gone.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue", gone.response
    else:
        raise AssertionError("a deleted queue took a message")


def batches(sqs):
    url = sqs.create_queue(QueueName=name("batch"))["QueueUrl"]
    entries = [{"Id": str(n), "MessageBody": f"body {n}"} for n in range(10)]
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10
    messages = []
    while len(messages) < 10:
        messages += sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
    assert {message["Body"] for message in messages} == {f"body {n}" for n in range(10)}
    done = sqs.delete_message_batch(
        QueueUrl=url, Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)],
    )
    assert len(done["Successful"]) == 10 and "Failed" not in done, done


def fifo(sqs):
    url = sqs.create_queue(
        QueueName=name("fifo") + ".fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )["QueueUrl"]
    first = sqs.send_message(QueueUrl=url, MessageBody="0", MessageGroupId="g")
    twin = sqs.send_message(QueueUrl=url, MessageBody="0", MessageGroupId="g")
    assert (first["MessageId"], first["SequenceNumber"]) == (twin["MessageId"], twin["SequenceNumber"])
    for number in range(1, 25):
        sqs.send_message(QueueUrl=url, MessageBody=str(number), MessageGroupId="g")
    seen = []
    while len(seen) < 25:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        for message in answer["Messages"]:
            seen.append(int(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert seen == list(range(25)), seen


def dead_letters(sqs):
    """A message that is received twice and never deleted stands in the dead-letter queue, once; a task
    moves it back."""
    dead = sqs.create_queue(QueueName=name("dead"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":2}}'
    url = sqs.create_queue(QueueName=name("source"), Attributes={"RedrivePolicy": policy})["QueueUrl"]
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison")
    for count in ("1", "2"):
        [message] = sqs.receive_message(
            QueueUrl=url, WaitTimeSeconds=5, VisibilityTimeout=1, MessageSystemAttributeNames=["All"],
        )["Messages"]
        assert message["Attributes"]["ApproximateReceiveCount"] == count, message
    [corpse] = sqs.receive_message(
        QueueUrl=dead, WaitTimeSeconds=20, MessageSystemAttributeNames=["All"], VisibilityTimeout=0,
    )["Messages"]
    assert corpse["Body"] == "poison"
    source_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert corpse["Attributes"]["DeadLetterQueueSourceArn"] == source_arn, corpse
    assert "Messages" not in sqs.receive_message(QueueUrl=url)

    task = sqs.start_message_move_task(SourceArn=arn)["TaskHandle"]
    assert task
    [back] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert back["Body"] == "poison", sent
    until = time.monotonic() + 20
    while True:
        [result] = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
        if result["Status"] == "COMPLETED" or time.monotonic() > until:
            break
        time.sleep(0.2)
    assert result["Status"] == "COMPLETED" and result["ApproximateNumberOfMessagesMoved"] == 1, result


def dead_letters_in_order(sqs):
    """Messages of one group die in their order, each once, and no later one is given before."""
    kind = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    dead = sqs.create_queue(QueueName=name("dead") + ".fifo", Attributes=kind)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"RedrivePolicy": f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":1}}'}
    url = sqs.create_queue(QueueName=name("source") + ".fifo", Attributes=kind | policy)["QueueUrl"]
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number), MessageGroupId="g")
    for number in range(3):
        [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, VisibilityTimeout=1)["Messages"]
        assert message["Body"] == str(number), message
    corpses = []
    while len(corpses) < 3:
        answer = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        for message in answer["Messages"]:
            corpses.append(message["Body"])
            sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
    assert corpses == ["0", "1", "2"], corpses


def long_poll(sqs):
    url = sqs.create_queue(QueueName=name("poll"), Attributes={"ReceiveMessageWaitTimeSeconds": "20"})["QueueUrl"]
    begun = time.monotonic()
    threading.Timer(1.0, lambda: sqs.send_message(QueueUrl=url, MessageBody="at last")).start()
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "at last"
    assert 0.9 < time.monotonic() - begun < 10, "neither before it was sent nor long after"


def resource(endpoint):
    """The other interface of boto3."""
    sqs = boto3.session.Session().resource(
        "sqs", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
    )
    queue = sqs.create_queue(QueueName=name("resource"))
    queue.send_message(MessageBody="hello")
    for message in queue.receive_messages(WaitTimeSeconds=5):
        assert message.body == "hello"
        message.delete()
    queue.reload()
    assert queue.attributes["ApproximateNumberOfMessages"] == "0"
    assert sqs.get_queue_by_name(QueueName=queue.url.rpartition("/")[2]).url == queue.url


def accounts_and_regions(endpoint):
    """Queues of two accounts, or of two regions, do not meet."""
    shared = name("scoped")
    urls = []
    for account, region in [("111111111111", "us-east-1"), ("222222222222", "us-east-1"), ("111111111111", "eu-west-1")]:
        sqs = boto3.session.Session().client(
            "sqs", endpoint_url=endpoint, region_name=region, aws_access_key_id=account, aws_secret_access_key="test",
        )
        url = sqs.create_queue(QueueName=shared)["QueueUrl"]
        assert f"/{account}/" in url, url
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        assert arn == f"arn:aws:sqs:{region}:{account}:{shared}", arn
        assert "Messages" not in sqs.receive_message(QueueUrl=url), "another one's message"
        sqs.send_message(QueueUrl=url, MessageBody=region)
        assert sqs.list_queues(QueueNamePrefix=shared)["QueueUrls"] == [url]
        urls.append(url)
    assert len(urls) == 3


def main():
    endpoint = sys.argv[1]
    sqs = client(endpoint)
    alone = [(check, sqs) for check in (standard_round_trip, batches, fifo, dead_letters, dead_letters_in_order, long_poll)]
    alone += [(check, endpoint) for check in (resource, accounts_and_regions)]
    # Side by side, since most of them mostly wait.
    with concurrent.futures.ThreadPoolExecutor(len(alone)) as pool:
        running = {pool.submit(check, argument): check for check, argument in alone}
        for done in concurrent.futures.as_completed(running):
            name = running[done].__name__
            error = done.exception()
            if error is not None:
                FAILURES.append(name)
                traceback.print_exception(error)
            else:
                print(f"boto3: {name}")
    sys.exit(f"boto3: failed: {FAILURES}" if FAILURES else 0)


if __name__ == "__main__":
    main()
