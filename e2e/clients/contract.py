"""The contract: every operation of the service model, asked rightly and wrongly, in both protocols.

`contract.py ENDPOINT` generates its cases from the model that botocore carries, so a model that grows
makes it fail. It ends with 1 if an answer is not what Amazon SQS would give, and prints each one that is
not.
"""

import copy
import sys
import time
import uuid

from wire import MODEL, Json, Query, check_shape

# Members that the model knows, and values that are right for them. `{url}`, `{handle}` … are filled in.
ARN = "arn:aws:sqs:us-east-1:000000000000:"

# Where AWS names a bound, the values just within and just outside it.
# operation, member: good values, bad values, the code for bad ones.
INVALID = "InvalidParameterValue"
BOUNDS = {
    # The twelve hours begin with the receive, a moment ago: not all of them are left.
    ("ChangeMessageVisibility", "VisibilityTimeout"): ([0, 43_000], [-1, 43_200, 43_201], INVALID),
    ("ReceiveMessage", "MaxNumberOfMessages"): ([1, 10], [0, 11, -1], INVALID),
    ("ReceiveMessage", "VisibilityTimeout"): ([0, 43_200], [-1, 43_201], INVALID),
    ("ReceiveMessage", "WaitTimeSeconds"): ([0, 1], [-1, 21], INVALID),
    ("SendMessage", "DelaySeconds"): ([0, 900], [-1, 901], INVALID),
    ("ListQueues", "MaxResults"): ([1, 1_000], [0, 1_001], INVALID),
    ("ListDeadLetterSourceQueues", "MaxResults"): ([1, 1_000], [0, 1_001], INVALID),
    ("ListMessageMoveTasks", "MaxResults"): ([1, 10], [0, 11], INVALID),
    ("StartMessageMoveTask", "MaxNumberOfMessagesPerSecond"): ([], [0, 501], INVALID),
    ("CreateQueue", "QueueName"): (["x" * 80], ["", "x" * 81, "a b", "a/b", "ä", "a.fifo"], INVALID),
    ("GetQueueUrl", "QueueName"): ([], ["", "x" * 81, "a b"], "AWS.SimpleQueueService.NonExistentQueue"),
    ("SendMessage", "MessageBody"): (["x"], [""], "MissingParameter"),
    ("SendMessage", "MessageGroupId"): (["g" * 128], ["g" * 129, "a b"], INVALID),
    ("ReceiveMessage", "ReceiveRequestAttemptId"): ([], ["a" * 129], INVALID),
    ("DeleteMessage", "ReceiptHandle"): ([], ["x", "00" * 5_000], "ReceiptHandleIsInvalid"),
    ("AddPermission", "Label"): ([], ["", "x" * 81, "a b"], INVALID),
}

# Attributes of a queue: what is taken, and what is refused as InvalidAttributeValue.
ATTRIBUTES = {
    "VisibilityTimeout": (["0", "43200"], ["-1", "43201", "abc", "1e3", ""]),
    "DelaySeconds": (["0", "900"], ["-1", "901", "x"]),
    "MaximumMessageSize": (["1024", "1048576"], ["1023", "1048577", "x"]),
    "MessageRetentionPeriod": (["60", "1209600"], ["59", "1209601", "x"]),
    "ReceiveMessageWaitTimeSeconds": (["0", "20"], ["-1", "21", "x"]),
    "KmsDataKeyReusePeriodSeconds": (["60", "86400"], ["59", "86401", "x"]),
    "SqsManagedSseEnabled": (["true", "false"], ["maybe"]),
    "RedrivePolicy": ([], ["no JSON", "{}", '{"maxReceiveCount":"3"}']),
    "RedriveAllowPolicy": (['{"redrivePermission":"denyAll"}'], ["no JSON", '{"redrivePermission":"some"}']),
}

BATCH_ERRORS = {
    "none": "AWS.SimpleQueueService.EmptyBatchRequest",
    "eleven": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    "twice": "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
    "bad id": "AWS.SimpleQueueService.InvalidBatchEntryId",
}

# AWS's error types, by the code of the query protocol, where they are not the last part of it.
TYPES = {
    "AWS.SimpleQueueService.NonExistentQueue": "QueueDoesNotExist",
    "QueueAlreadyExists": "QueueNameExists",
    "InvalidParameterValue": "InvalidParameterValueException",
    "MissingParameter": "MissingRequiredParameterException",
    "MalformedInput": "SerializationException",
}
# What cannot be read: JSON says so of the whole request, a form of the parameter.
MISTYPED = (INVALID, "MalformedInput")
STATUSES = {
    "AWS.SimpleQueueService.PurgeQueueInProgress": 403,
    "OverLimit": 403,
    "ResourceNotFoundException": 404,
}


class Contract:
    def __init__(self, wire):
        self.wire = wire
        self.failures = []
        self.cases = 0
        self.run = uuid.uuid4().hex[:8]

    def case(self, what, ask):
        """Runs one case; what it asserts and does not hold is noted, and the next one runs."""
        self.cases += 1
        try:
            ask()
        except Exception as error:  # whatever it is, the other cases are of interest too
            self.failures.append(f"{self.wire.name}: {what}: {type(error).__name__}: {error}")

    def call(self, operation, params):
        answer = self.wire.call(operation, params)
        assert answer.status == 200, f"{operation} {params!r:.200}: {answer}"
        check_shape(answer.value, MODEL.operation_model(operation).output_shape)
        return answer.value

    def refused(self, operation, params, code, raw=None):
        answer = self.wire.call(operation, params, raw)
        assert answer.status != 200, f"taken: {answer}"
        codes = code if isinstance(code, tuple) else (code,)
        assert answer.code in codes, f"{codes} was due: {answer}"
        expected = STATUSES.get(answer.code, 400)
        assert answer.status == expected, f"{expected} was due: {answer}"
        assert answer.text, f"says nothing: {answer}"
        if self.wire.name == "json":
            kind = TYPES.get(answer.code, answer.code.rpartition(".")[2])
            said = answer.value["__type"].rpartition("#")[2]
            assert said == kind, f"{kind} was due: {answer}"

    # Fixtures: each case has what it needs, and no case another one's.

    def queue(self, name=None, /, **attributes):
        name = name or f"contract-{self.run}-{uuid.uuid4().hex[:8]}"
        if attributes.get("FifoQueue"):
            name += ".fifo"
        params = {"QueueName": name, "Attributes": attributes} if attributes else {"QueueName": name}
        return self.call("CreateQueue", params)["QueueUrl"]

    def leased(self, url):
        self.call("SendMessage", {"QueueUrl": url, "MessageBody": "leased"})
        found = self.call("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 5})
        return found["Messages"][0]["ReceiptHandle"]

    def good(self, operation):
        """Parameters that are taken, every required one among them."""
        name = f"contract-{self.run}-{uuid.uuid4().hex[:8]}"
        if operation in ("CreateQueue", "ListQueues"):
            return {"QueueName": name} if operation == "CreateQueue" else {}
        if operation == "GetQueueUrl":
            self.queue(name)
            return {"QueueName": name}
        if operation in ("StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask"):
            return self.good_move_task(operation)
        url = self.queue()
        params = {"QueueUrl": url}
        if operation in ("DeleteMessage", "ChangeMessageVisibility"):
            params["ReceiptHandle"] = self.leased(url)
        params |= {
            "AddPermission": {"Label": "l", "AWSAccountIds": ["123456789012"], "Actions": ["SendMessage"]},
            "ChangeMessageVisibility": {"VisibilityTimeout": 30},
            "SendMessage": {"MessageBody": "hello"},
            "SendMessageBatch": {"Entries": [{"Id": "a", "MessageBody": "hello"}]},
            "SetQueueAttributes": {"Attributes": {"DelaySeconds": "1"}},
            "TagQueue": {"Tags": {"team": "blue"}},
            "UntagQueue": {"TagKeys": ["team"]},
            "GetQueueAttributes": {"AttributeNames": ["All"]},
            "RemovePermission": {"Label": "l"},
        }.get(operation, {})
        if operation == "RemovePermission":
            self.call("AddPermission", self.good("AddPermission") | {"QueueUrl": url})
        if operation == "DeleteMessageBatch":
            params["Entries"] = [{"Id": "a", "ReceiptHandle": self.leased(url)}]
        if operation == "ChangeMessageVisibilityBatch":
            handle = self.leased(url)
            params["Entries"] = [{"Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 3}]
        return params

    def good_move_task(self, operation):
        dead, source = f"dead-{self.run}-{uuid.uuid4().hex[:8]}", None
        dead_url = self.queue(dead)
        policy = f'{{"deadLetterTargetArn":"{ARN}{dead}","maxReceiveCount":"1"}}'
        self.queue(RedrivePolicy=policy)
        if operation == "CancelMessageMoveTask":
            for number in range(20):
                self.call("SendMessage", {"QueueUrl": dead_url, "MessageBody": str(number)})
            elsewhere = f"contract-{self.run}-{uuid.uuid4().hex[:8]}"
            self.queue(elsewhere)
            started = self.call("StartMessageMoveTask", {
                "SourceArn": ARN + dead, "DestinationArn": ARN + elsewhere,
                "MaxNumberOfMessagesPerSecond": 1,
            })
            return {"TaskHandle": started["TaskHandle"]}
        return {"SourceArn": ARN + dead}

    # What is asked.

    def answers_have_the_models_shape(self):
        for operation in MODEL.operation_names:
            self.case(f"{operation} is answered", lambda: self.call(operation, self.good(operation)))
        self.case("a receive shows all it can", self.receive_shows_all)
        self.case("a batch has per-entry results", self.batch_has_results)
        self.case("an empty receive has no messages", self.empty_receive)

    def receive_shows_all(self):
        url = self.queue(FifoQueue="true", ContentBasedDeduplication="true")
        attributes = {
            "text": {"DataType": "String.own", "StringValue": "<&>\r\n"},
            "number": {"DataType": "Number", "StringValue": "1.5"},
            "bytes": {"DataType": "Binary", "BinaryValue": "AAECAw=="},
        }
        trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
        sent = self.call("SendMessage", {
            "QueueUrl": url, "MessageBody": "<b>\r\n\t😀</b>]]>", "MessageAttributes": attributes,
            "MessageSystemAttributes": trace, "MessageGroupId": "g",
        })
        assert {"MD5OfMessageBody", "MD5OfMessageAttributes", "MD5OfMessageSystemAttributes",
                "MessageId", "SequenceNumber"} <= set(sent), sent
        found = self.call("ReceiveMessage", {
            "QueueUrl": url, "AttributeNames": ["All"], "MessageAttributeNames": ["All"],
            "MaxNumberOfMessages": 10, "WaitTimeSeconds": 5,
        })
        [message] = found["Messages"]
        assert message["Body"] == "<b>\r\n\t😀</b>]]>", message
        assert message["MD5OfBody"] == sent["MD5OfMessageBody"], message
        assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"], message
        assert message["MessageAttributes"]["text"]["StringValue"] == "<&>\r\n", message
        assert message["MessageAttributes"]["bytes"]["BinaryValue"] == "AAECAw==", message
        system = message["Attributes"]
        assert {"SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
                "SequenceNumber", "MessageDeduplicationId", "MessageGroupId", "AWSTraceHeader"} <= set(system), system
        assert abs(int(system["SentTimestamp"]) / 1000 - time.time()) < 60, system

    def batch_has_results(self):
        url = self.queue()
        answer = self.call("SendMessageBatch", {"QueueUrl": url, "Entries": [
            {"Id": "good", "MessageBody": "hello"},
            {"Id": "late", "MessageBody": "hello", "DelaySeconds": 901},
        ]})
        assert [one["Id"] for one in answer["Successful"]] == ["good"], answer
        [failed] = answer["Failed"]
        assert (failed["Id"], failed["SenderFault"], failed["Code"]) == ("late", True, INVALID), failed

    def empty_receive(self):
        answer = self.wire.call("ReceiveMessage", {"QueueUrl": self.queue()})
        assert answer.status == 200 and "Messages" not in answer.value, answer

    def what_is_required_is_required(self):
        for operation in MODEL.operation_names:
            shape = MODEL.operation_model(operation).input_shape
            for member in shape.required_members:
                self.case(f"{operation} without {member}", lambda: self.without(operation, member))
            entries = shape.members.get("Entries")
            if entries is not None:
                for member in entries.member.required_members:
                    self.case(f"{operation} with an entry without {member}",
                              lambda: self.without_in_entry(operation, member))

    def without(self, operation, member):
        params = self.good(operation)
        del params[member]
        empty = ("AWS.SimpleQueueService.EmptyBatchRequest",) if member == "Entries" else ()
        self.refused(operation, params, ("MissingParameter", *empty))

    def without_in_entry(self, operation, member):
        params = self.good(operation)
        del params["Entries"][0][member]
        self.refused(operation, params, "MissingParameter")

    def types_are_checked(self):
        wrong = {
            "string": [7, True, ["x"], {"x": "y"}],
            "integer": ["x", "7", [1], 1.5, True],
            "list": ["x", 7, {"x": "y"}],
            "map": ["x", 7, ["x"]],
            "structure": ["x", 7, ["x"]],
        }
        for operation in MODEL.operation_names:
            shape = MODEL.operation_model(operation).input_shape
            for member, inner in shape.members.items():
                if self.wire.name == "json":
                    for value in wrong[inner.type_name]:
                        self.case(f"{operation} with {member}={value!r}",
                                  lambda: self.mistyped(operation, member, value))
                elif inner.type_name == "integer":
                    for value in ["x", "1.5", "", "99999999999999999999"]:
                        self.case(f"{operation} with {member}={value!r}",
                                  lambda: self.mistyped(operation, member, value))

    def mistyped(self, operation, member, value):
        params = self.good(operation)
        params[member] = value
        self.refused(operation, params, MISTYPED)

    def bounds_are_bounds(self):
        for (operation, member), (good, bad, code) in BOUNDS.items():
            for value in good:
                self.case(f"{operation} with {member}={value!r:.40}", lambda: self.call(
                    operation, self.good(operation) | {member: value}))
            for value in bad:
                both = (code, "MissingParameter") if value == "" else code
                self.case(f"{operation} with {member}={value!r:.40} is refused", lambda: self.refused(
                    operation, self.good(operation) | {member: value}, both))
        for attribute, (good, bad) in ATTRIBUTES.items():
            for value in good:
                self.case(f"{attribute}={value!r}", lambda: self.call("SetQueueAttributes", {
                    "QueueUrl": self.queue(), "Attributes": {attribute: value}}))
            for value in bad:
                code = ("InvalidAttributeValue", INVALID)
                self.case(f"{attribute}={value!r} is refused", lambda: self.refused("SetQueueAttributes", {
                    "QueueUrl": self.queue(), "Attributes": {attribute: value}}, code))
        self.case("an unknown attribute is refused", lambda: self.refused("SetQueueAttributes", {
            "QueueUrl": self.queue(), "Attributes": {"Colour": "red"}}, "InvalidAttributeName"))
        self.case("the largest message is taken", lambda: self.call("SendMessage", {
            "QueueUrl": self.queue(), "MessageBody": "x" * 1_048_576}))
        self.case("a larger one is not", lambda: self.refused("SendMessage", {
            "QueueUrl": self.queue(), "MessageBody": "x" * 1_048_577}, INVALID))
        for character in ["\x00", "\x08", "\x0b", "\ufffe", "\uffff"]:
            self.case(f"{character!r} is refused", lambda: self.refused("SendMessage", {
                "QueueUrl": self.queue(), "MessageBody": f"a{character}"}, "InvalidMessageContents"))

    def batches_have_rules(self):
        for operation in ("SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"):
            for what, code in BATCH_ERRORS.items():
                self.case(f"{operation} with {what}", lambda: self.bad_batch(operation, what, code))
        self.case("a batch of more than 1 MiB", lambda: self.refused("SendMessageBatch", {
            "QueueUrl": self.queue(),
            "Entries": [{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)],
        }, "AWS.SimpleQueueService.BatchRequestTooLong"))

    def bad_batch(self, operation, what, code):
        params = self.good(operation)
        [entry] = params["Entries"]
        more = lambda identifier: copy.deepcopy(entry) | {"Id": identifier}
        params["Entries"] = {
            "none": [],
            "eleven": [more(str(n)) for n in range(11)],
            "twice": [more("a"), more("a")],
            "bad id": [more("a b")],
        }[what]
        both = (code, "MissingParameter") if what == "none" else code
        self.refused(operation, params, both)

    def queues_that_are_not_there(self):
        gone = "http://anywhere:1/000000000000/never-created"
        for operation in MODEL.operation_names:
            shape = MODEL.operation_model(operation).input_shape
            if "QueueUrl" in shape.members:
                self.case(f"{operation} on no queue", lambda: self.refused(
                    operation, self.good(operation) | {"QueueUrl": gone},
                    "AWS.SimpleQueueService.NonExistentQueue"))

    def other_requests(self):
        self.case("an operation that is none", lambda: self.refused(
            "MakeCoffee", {}, ("InvalidAction", "UnknownOperationException"), b"{}" if self.wire.name == "json"
            else b"Action=MakeCoffee&Version=2012-11-05"))
        if self.wire.name == "json":
            for raw in [b"", b"null", b"[]", b'"x"', b"{", b"[" * 10_000, b'{"QueueName":"\\ud800"}',
                        b'\xef\xbb\xbf{}', b'{"QueueName":"\xff"}', b'{"QueueName":NaN}']:
                self.case(f"the body {raw!r:.40}", lambda: self.refused(
                    "CreateQueue", {}, MISTYPED, raw))
            self.case("a member that is not known", lambda: self.call(
                "CreateQueue", self.good("CreateQueue") | {"Colour": "red"}))


def main():
    endpoint = sys.argv[1]
    failures = []
    for wire in (Json(endpoint), Query(endpoint)):
        contract = Contract(wire)
        contract.answers_have_the_models_shape()
        contract.what_is_required_is_required()
        contract.types_are_checked()
        contract.bounds_are_bounds()
        contract.batches_have_rules()
        contract.queues_that_are_not_there()
        contract.other_requests()
        kept = contract.cases - len(contract.failures)
        print(f"{wire.name}: {kept} of {contract.cases} cases as Amazon SQS has them")
        failures += contract.failures
    for failure in failures:
        print(failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
