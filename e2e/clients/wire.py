"""Amazon SQS's two wire protocols, written down a second time and without an SDK.

Tests that send what no SDK would send need requests in the raw. The shapes come from the service model
that botocore carries; what the model no longer says about the query protocol stands in `QUERY_NAMES`.
"""

import base64
import http.client
import json
import urllib.parse
import xml.etree.ElementTree as xml

from botocore.loaders import Loader
from botocore.model import ServiceModel

API_VERSION = "2012-11-05"
NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"

# Whoever is asked here takes any credentials; some servers look into them for the service that is meant.
CREDENTIALS = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00"
)

MODEL = ServiceModel(Loader().load_service_model("sqs", "service-2"))

# What lists and maps are called in the query protocol, where it is not the member's own name.
QUERY_NAMES = {
    "AWSAccountIds": "AWSAccountId",
    "Actions": "ActionName",
    "AttributeNames": "AttributeName",
    "Attributes": "Attribute",
    "MessageAttributeNames": "MessageAttributeName",
    "MessageAttributes": "MessageAttribute",
    "MessageSystemAttributeNames": "MessageSystemAttributeName",
    "MessageSystemAttributes": "MessageSystemAttribute",
    "Messages": "Message",
    "QueueUrls": "QueueUrl",
    "Results": "ListMessageMoveTasksResultEntry",
    "TagKeys": "TagKey",
    "Tags": "Tag",
    "queueUrls": "QueueUrl",
    "tags": "Tag",
    "Failed": "BatchResultErrorEntry",
}

# Lists of batches' answers: the model requires both, and Amazon SQS leaves out the one that is empty.
LEFT_OUT_IF_EMPTY = {"Successful", "Failed"}

# Maps whose keys are called Key; those of attributes are called Name.
KEYED = {"Tags", "tags"}


class Answer:
    """What a server said: its status, its headers, and what the body means."""

    def __init__(self, status, headers, body, value, code, text):
        self.status = status
        self.headers = headers
        self.body = body
        self.value = value
        self.code = code
        self.text = text

    def __repr__(self):
        return f"{self.status} {self.code or ''} {self.body[:300]!r}"


class Wire:
    """A protocol spoken to an endpoint `http://host:port`."""

    def __init__(self, endpoint):
        self.place = urllib.parse.urlsplit(endpoint).netloc

    def ask(self, method, path, body, headers):
        headers = {"Authorization": CREDENTIALS} | headers
        connection = http.client.HTTPConnection(self.place, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


class Json(Wire):
    """AWS JSON 1.0."""

    name = "json"

    def call(self, operation, params, raw=None):
        body = json.dumps(params).encode() if raw is None else raw
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AmazonSQS.{operation}",
        }
        return self.read(*self.ask("POST", "/", body, headers))

    @staticmethod
    def read(status, headers, body):
        value = json.loads(body) if body else {}
        if status == 200:
            return Answer(status, headers, body, value, None, None)
        kind = value.get("__type", "").rpartition("#")[2]
        old = headers.get("x-amzn-query-error", "")
        code, _, fault = old.partition(";")
        assert fault in ("Sender", "Receiver"), f"x-amzn-query-error: {old!r} of {body!r}"
        assert kind, f"no __type: {body!r}"
        return Answer(status, headers, body, value, code, value.get("message"))


class Query(Wire):
    """The query protocol: a form, answered in XML."""

    name = "query"

    def call(self, operation, params, raw=None):
        pairs = [("Action", operation), ("Version", API_VERSION)]
        if raw is None:
            shape = MODEL.operation_model(operation).input_shape
            for member, value in params.items():
                flatten(member, value, shape.members.get(member), "", pairs)
        body = urllib.parse.urlencode(pairs).encode() if raw is None else raw
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.read(operation, *self.ask("POST", "/", body, headers))

    @staticmethod
    def read(operation, status, headers, body):
        root = xml.fromstring(body)
        if status != 200:
            error = root.find("Error") if root.find("Error") is not None else root.find(f"{NAMESPACE}Error")
            assert root.tag.endswith("ErrorResponse") and error is not None, body
            found = {part.tag.rpartition("}")[2]: part.text for part in error}
            assert found.get("Type") in ("Sender", "Receiver"), body
            return Answer(status, headers, body, found, found["Code"], found.get("Message"))
        assert root.tag == f"{NAMESPACE}{operation}Response", root.tag
        metadata = root.find(f"{NAMESPACE}ResponseMetadata/{NAMESPACE}RequestId")
        assert metadata is not None and metadata.text, body
        shape = MODEL.operation_model(operation).output_shape
        result = root.find(f"{NAMESPACE}{operation}Result")
        value = {} if shape is None or result is None else read_structure(result, shape, operation)
        return Answer(status, headers, body, value, None, None)


def flatten(member, value, shape, prefix, pairs):
    """Adds the pairs of a form that say `member = value`."""
    name = prefix + QUERY_NAMES.get(member, member)
    kind = shape.type_name if shape is not None else None
    if kind == "map" and isinstance(value, dict):
        key_name = "Key" if member in KEYED else "Name"
        for number, (key, one) in enumerate(value.items(), 1):
            pairs.append((f"{name}.{number}.{key_name}", key))
            flatten("Value", one, shape.value, f"{name}.{number}.", pairs)
    elif kind == "list" and isinstance(value, list):
        if member == "Entries":
            name = prefix + shape.member.name
        for number, one in enumerate(value, 1):
            flatten(str(number), one, shape.member, f"{name}.", pairs)
    elif kind == "structure" and isinstance(value, dict):
        for inner, one in value.items():
            flatten(inner, one, shape.members.get(inner), f"{name}.", pairs)
    elif isinstance(value, bytes):
        pairs.append((name, base64.b64encode(value).decode()))
    else:
        pairs.append((name, str(value)))


def read_structure(node, shape, operation):
    value = {}
    for member, inner in shape.members.items():
        name = QUERY_NAMES.get(member, member)
        if member == "Successful":
            name = f"{operation}ResultEntry"
        found = node.findall(NAMESPACE + name)
        if not found:
            if inner.type_name == "list" and member in shape.required_members:
                value[member] = []  # XML has no empty list
            continue
        if inner.type_name == "list":
            value[member] = [read_value(one, inner.member, operation) for one in found]
        elif inner.type_name == "map":
            value[member] = dict(read_entry(one, inner, operation) for one in found)
        else:
            value[member] = read_value(found[0], inner, operation)
    known = {QUERY_NAMES.get(member, member) for member in shape.members} | {f"{operation}ResultEntry"}
    unknown = {child.tag for child in node} - {NAMESPACE + name for name in known}
    assert not unknown, f"{shape.name} has no {unknown}"
    return value


def read_entry(node, shape, operation):
    parts = {part.tag.rpartition("}")[2]: part for part in node}
    key = parts.pop("Name", None)
    if key is None:
        key = parts.pop("Key")
    return key.text, read_value(parts.pop("Value"), shape.value, operation)


def read_value(node, shape, operation):
    text = node.text or ""
    return {
        "structure": lambda: read_structure(node, shape, operation),
        "integer": lambda: int(text),
        "long": lambda: int(text),
        "boolean": lambda: {"true": True, "false": False}[text],
    }.get(shape.type_name, lambda: text)()


def check_shape(value, shape, path=""):
    """Asserts that a decoded answer is what the model says."""
    if shape is None:
        assert value == {}, f"{path or 'the answer'}: {value!r} instead of nothing"
        return
    kinds = {
        "structure": dict, "map": dict, "list": list, "string": str, "blob": str,
        "integer": int, "long": int, "boolean": bool, "timestamp": (int, float),
    }
    kind = kinds[shape.type_name]
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    assert right, f"{path}: {value!r} is no {shape.type_name}"
    if shape.type_name == "structure":
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{path}: {shape.name} has no {unknown}"
        missing = set(shape.required_members) - set(value) - LEFT_OUT_IF_EMPTY
        assert not missing, f"{path}: {shape.name} lacks {missing}"
        for member, inner in value.items():
            check_shape(inner, shape.members[member], f"{path}.{member}")
    elif shape.type_name == "map":
        for key, inner in value.items():
            check_shape(inner, shape.value, f"{path}[{key}]")
    elif shape.type_name == "list":
        for number, inner in enumerate(value):
            check_shape(inner, shape.member, f"{path}[{number}]")
