"""aiobotocore: many requests at once over one session."""

import asyncio
import sys
import uuid

from aiobotocore.session import get_session


async def run(endpoint):
    session = get_session()
    async with session.create_client(
        "sqs", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
    ) as sqs:
        queue = await sqs.create_queue(QueueName=f"aio-{uuid.uuid4().hex[:8]}")
        url = queue["QueueUrl"]
        waiting = asyncio.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))
        await asyncio.sleep(0.5)
        await sqs.send_message(QueueUrl=url, MessageBody="first")
        [first] = (await waiting)["Messages"]
        assert first["Body"] == "first"
        await sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])

        await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody=str(n)) for n in range(100)))
        seen = set()

        async def consume():
            while len(seen) < 100:
                answer = await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
                for message in answer.get("Messages", []):
                    assert message["Body"] not in seen, "twice"
                    seen.add(message["Body"])
                    await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

        await asyncio.wait_for(asyncio.gather(*(consume() for _ in range(5))), 60)
        assert seen == {str(n) for n in range(100)}

        fifo = await sqs.create_queue(QueueName=f"aio-{uuid.uuid4().hex[:8]}.fifo", Attributes={"FifoQueue": "true"})
        entries = [
            {"Id": str(n), "MessageBody": str(n), "MessageGroupId": "g", "MessageDeduplicationId": str(n)} for n in range(10)
        ]
        sent = await sqs.send_message_batch(QueueUrl=fifo["QueueUrl"], Entries=entries)
        assert len(sent["Successful"]) == 10, sent
        got = await sqs.receive_message(QueueUrl=fifo["QueueUrl"], MaxNumberOfMessages=10, WaitTimeSeconds=5)
        assert [message["Body"] for message in got["Messages"]] == [str(n) for n in range(10)]
        dead = (await sqs.create_queue(QueueName=f"aio-dead-{uuid.uuid4().hex[:8]}"))["QueueUrl"]
        shown = await sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        policy = f'{{"deadLetterTargetArn":"{shown["Attributes"]["QueueArn"]}","maxReceiveCount":"1"}}'
        source = await sqs.create_queue(
            QueueName=f"aio-source-{uuid.uuid4().hex[:8]}", Attributes={"RedrivePolicy": policy},
        )
        await sqs.send_message(QueueUrl=source["QueueUrl"], MessageBody="poison")
        corpse = asyncio.create_task(sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=20))
        await sqs.receive_message(QueueUrl=source["QueueUrl"], WaitTimeSeconds=5, VisibilityTimeout=0)
        [message] = (await corpse)["Messages"]
        assert message["Body"] == "poison"
    print("aiobotocore: long poll, 100 messages by five consumers, FIFO batch, a dead letter")


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
