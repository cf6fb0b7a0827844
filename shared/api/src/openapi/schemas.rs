//! The bodies.

use serde_json::{Value, json};
use shoal_types::{ErrorCode, limits};

use super::schema::{
    Properties, base64, batch, boolean, count, list, map, object, or_null, reference, short_text,
    text, whole, word,
};

/// Every schema by its name.
pub(super) fn all() -> Value {
    json!({
        "QueueSettings": queue_settings(),
        "Queue": queue(),
        "QueueCounts": queue_counts(),
        "QueuePartition": queue_partition(),
        "QueueList": object("A page of queues.", &["queues"], vec![
            ("queues", list("By name, without counts.", reference("Queue"))),
            ("next_cursor", text("For the next page; missing on the last one.")),
        ]),
        "SendMessage": object("One message.", &[], message_to_send()),
        "SendRequest": send_request(),
        "SendAnswer": object("What became of each message, in order.", &["messages"], vec![
            ("messages", list("One item per message.", json!({
                "oneOf": [reference("SentMessage"), reference("FailedMessage")],
            }))),
        ]),
        "SentMessage": object("A message that is kept.", &["id", "sequence"], vec![
            ("id", text("Its id.")),
            ("sequence", sequence()),
        ]),
        "FailedMessage": object("A message that is not kept.", &["error"], vec![
            ("error", reference("ItemError")),
        ]),
        "ItemError": object("Why one item failed.", &["code", "detail", "retryable", "applied"], error_fields()),
        "Attribute": attribute(),
        "ReceiveRequest": receive_request(),
        "ReceiveAnswer": object("Messages, smallest number first.", &["messages"], vec![
            ("messages", list("None if nothing came in time.", reference("ReceivedMessage"))),
        ]),
        "ReceivedMessage": received_message(),
        "PeekAnswer": object("Messages, smallest number first.", &["messages"], vec![
            ("messages", list("Those that could be received.", reference("PeekedMessage"))),
        ]),
        "PeekedMessage": object("A message that was only looked at.", &SEEN_ALWAYS, seen_message("How often it was received.")),
        "AckRequest": object("Which messages are done with.", &["receipts"], vec![("receipts", receipts())]),
        "ExtendRequest": object("Which leases are to end at another time.", &["receipts", "visibility_timeout_s"], vec![
            ("receipts", receipts()),
            ("visibility_timeout_s", whole("Seconds from now until they end; 0 gives the messages back at once.", 0, limits::VISIBILITY_S_MAX.into())),
        ]),
        "ReleaseRequest": object("Which messages are given back.", &["receipts"], vec![
            ("receipts", receipts()),
            ("delay_s", or_null(whole("Seconds until they can be received again; at once if not said.", 0, limits::DELAY_S_MAX.into()))),
        ]),
        "ReceiptAnswer": object("What became of each receipt, in order.", &["receipts"], vec![
            ("receipts", list("One item per receipt.", reference("ReceiptItem"))),
        ]),
        "ReceiptItem": object("What became of one receipt.", &["receipt", "ok"], vec![
            ("receipt", text("The receipt.")),
            ("ok", boolean("True if it was done.")),
            ("reason", word("Why not.", &["gone", "expired", "superseded", "unknown"])),
            ("detail", text("Why not, for people.")),
        ]),
        "Cluster": cluster(),
        "Host": host(),
        "Problem": problem(),
    })
}

fn queue_settings() -> Value {
    let seconds = |description: &str, max: u32| or_null(whole(description, 0, max.into()));
    let (retention_min, retention_max) = limits::RETENTION_S.into_inner();
    let (bytes_min, bytes_max) = limits::QUEUE_MESSAGE_BYTES.into_inner();
    let description = "Settings. What is missing is the default for a new queue and stays as it is in a change; null is the default.";
    object(
        description,
        &[],
        vec![
            (
                "fifo",
                or_null(boolean(
                    "Groups strictly in order. Follows from the name if not said; cannot change.",
                )),
            ),
            (
                "visibility_timeout_s",
                seconds(
                    "Seconds that a received message stays hidden; 30 by default.",
                    limits::VISIBILITY_S_MAX,
                ),
            ),
            (
                "delay_s",
                seconds(
                    "Seconds that a sent message is held back; 0 by default.",
                    limits::DELAY_S_MAX,
                ),
            ),
            (
                "retention_s",
                or_null(whole(
                    "Seconds that a message is kept; 4 days by default.",
                    retention_min.into(),
                    retention_max.into(),
                )),
            ),
            (
                "max_message_bytes",
                or_null(whole(
                    "Largest message in bytes, attributes included; 1 MiB by default.",
                    bytes_min.into(),
                    bytes_max.into(),
                )),
            ),
            (
                "receive_wait_s",
                seconds(
                    "Seconds that a receive waits if it does not say; 0 by default.",
                    limits::RECEIVE_WAIT_S_MAX,
                ),
            ),
            (
                "content_deduplication",
                or_null(boolean(
                    "FIFO: messages with equal bodies within five minutes are one.",
                )),
            ),
            (
                "max_messages",
                or_null(whole(
                    "Sends are refused above so many messages; no bound by default.",
                    1,
                    u64::MAX,
                )),
            ),
            (
                "max_bytes",
                or_null(whole(
                    "Sends are refused above so many bytes; no bound by default.",
                    1,
                    u64::MAX,
                )),
            ),
            (
                "tags",
                or_null(map(
                    "Anything a user wants to note down; at most 50.",
                    text("A tag's value."),
                )),
            ),
        ],
    )
}

fn queue() -> Value {
    object(
        "A queue.",
        &["name", "settings", "partitions", "created_at"],
        vec![
            ("name", text("Its name.")),
            ("settings", reference("QueueSettings")),
            ("counts", or_null(reference("QueueCounts"))),
            (
                "partitions",
                list(
                    "Where it is, oldest partition first.",
                    reference("QueuePartition"),
                ),
            ),
            ("created_at", time("When it was created.")),
        ],
    )
}

fn queue_counts() -> Value {
    let required = ["ready", "in_flight", "delayed", "bytes", "oldest_age_s"];
    object(
        "How many messages are where, as one host saw it a moment ago.",
        &required,
        vec![
            ("ready", count("Can be received now.")),
            ("in_flight", count("Received and not acknowledged.")),
            ("delayed", count("Held back until their delay is over.")),
            ("bytes", count("Bytes of all of the above.")),
            (
                "oldest_age_s",
                or_null(count("Seconds since the oldest of them was sent.")),
            ),
        ],
    )
}

fn queue_partition() -> Value {
    object(
        "One partition of a queue.",
        &["partition", "epoch", "cluster", "state"],
        vec![
            ("partition", text("Which: p and hex digits.")),
            (
                "epoch",
                count("Its generation; the upper part of its messages' sequence numbers."),
            ),
            ("cluster", text("Where it is: c and hex digits.")),
            ("state", word("What it takes.", &["active", "pending"])),
        ],
    )
}

fn message_to_send() -> Properties<'static> {
    vec![
        (
            "body",
            or_null(short_text(
                "The body, if it is text.",
                1,
                limits::MESSAGE_BYTES_MAX,
            )),
        ),
        ("body_base64", or_null(base64("The body, if it is not."))),
        (
            "attributes",
            map(
                "Named values beside the body; at most 10.",
                reference("Attribute"),
            ),
        ),
        (
            "delay_s",
            or_null(whole(
                "Seconds before it can be received; as the queue says if not said.",
                0,
                limits::DELAY_S_MAX.into(),
            )),
        ),
        (
            "ttl_s",
            or_null(whole(
                "Seconds after which it is dropped, if sooner than the queue's retention.",
                1,
                u64::from(*limits::RETENTION_S.end()),
            )),
        ),
        (
            "group",
            or_null(short_text(
                "Message group; FIFO queues need one.",
                1,
                limits::GROUP_CHARS_MAX,
            )),
        ),
        (
            "dedup_id",
            or_null(short_text(
                "Messages with the same one within five minutes are one message.",
                1,
                limits::GROUP_CHARS_MAX,
            )),
        ),
    ]
}

fn send_request() -> Value {
    let messages = batch(
        "Messages to send in this order.",
        reference("SendMessage"),
        limits::SEND_BATCH_MAX,
    );
    let mut fields = vec![("messages", or_null(messages))];
    fields.extend(message_to_send());
    object(
        "The fields of one message, or messages and nothing else; at most 4 MiB together.",
        &[],
        fields,
    )
}

fn attribute() -> Value {
    let typed = object(
        "An attribute with its type.",
        &["type"],
        vec![
            (
                "type",
                text("String, Number or Binary, optionally with . and a label."),
            ),
            ("value", or_null(text("The value, unless it is binary."))),
            (
                "value_base64",
                or_null(base64("The value, if it is binary.")),
            ),
        ],
    );
    json!({ "oneOf": [text("A value of type String."), typed] })
}

fn receive_request() -> Value {
    object(
        "How to receive; an empty object is one message at once or nothing.",
        &[],
        vec![
            (
                "max",
                or_null(whole(
                    "At most so many messages; 1 if not said.",
                    1,
                    limits::RECEIVE_BATCH_MAX as u64,
                )),
            ),
            (
                "wait_s",
                or_null(whole(
                    "Seconds to wait if there is none; as the queue says if not said.",
                    0,
                    limits::RECEIVE_WAIT_S_MAX.into(),
                )),
            ),
            (
                "visibility_timeout_s",
                or_null(whole(
                    "Seconds until they come back if not acknowledged; as the queue says if not said.",
                    0,
                    limits::VISIBILITY_S_MAX.into(),
                )),
            ),
            (
                "auto_ack",
                boolean(
                    "Deletes them as they are received: at most once. What is lost on the way is lost for good.",
                ),
            ),
        ],
    )
}

const SEEN_ALWAYS: [&str; 7] = [
    "id",
    "sequence",
    "attributes",
    "group",
    "receive_count",
    "sent_at",
    "checksum",
];

fn seen_message(receive_count: &str) -> Properties<'static> {
    vec![
        ("id", text("Its id, the same at every delivery.")),
        ("sequence", sequence()),
        ("body", text("The body, if it is text.")),
        ("body_base64", base64("The body, if it is not.")),
        (
            "attributes",
            map("Named values beside the body.", reference("Attribute")),
        ),
        ("group", or_null(text("Its message group."))),
        ("receive_count", count(receive_count)),
        ("sent_at", time("When it was sent.")),
        (
            "checksum",
            text("crc32c: and the CRC-32C of the body's bytes in hex digits."),
        ),
    ]
}

fn received_message() -> Value {
    let mut fields = seen_message("How often it was received, this time included.");
    fields.push((
        "receipt",
        text("What to acknowledge, extend or release it with; missing after auto_ack."),
    ));
    object("A message in a consumer's hands.", &SEEN_ALWAYS, fields)
}

fn receipts() -> Value {
    batch(
        "Receipts of received messages.",
        text("A receipt."),
        limits::RECEIPT_BATCH_MAX,
    )
}

fn sequence() -> Value {
    json!({
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "Its number in the queue, as text, since it may be beyond what JSON numbers hold exactly.",
    })
}

fn time(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

fn cluster() -> Value {
    let required = [
        "cluster", "state", "view", "members", "active", "queues", "messages",
    ];
    object(
        "A cluster.",
        &required,
        vec![
            ("cluster", text("Which: c and hex digits.")),
            (
                "state",
                word("Whether it serves.", &["forming", "serving", "unavailable"]),
            ),
            (
                "view",
                count("The newest view that one of its hosts reported."),
            ),
            ("members", list("All its hosts.", text("h and hex digits."))),
            (
                "active",
                list("Those that take commands.", text("h and hex digits.")),
            ),
            ("queues", count("Queues placed there.")),
            ("messages", count("Messages waiting there.")),
        ],
    )
}

fn host() -> Value {
    let fields = vec![
        ("host", text("Which: h and hex digits.")),
        ("address", text("What others dial.")),
        ("zone", text("Where it stands, as its operator said.")),
        ("cluster", or_null(text("Its cluster, if it has one."))),
        (
            "state",
            word("What it said last.", &["unassigned", "joining", "acting"]),
        ),
        ("alive", boolean("True if it was heard from lately.")),
        (
            "heard_ms_ago",
            count("Milliseconds since it was heard from."),
        ),
        ("incarnation", count("Which start of its process.")),
        ("view", count("The last view it installed.")),
        ("messages", count("Messages it keeps.")),
        ("message_bytes", count("Bytes of bodies it keeps.")),
        (
            "disk_used_percent",
            whole("Percent of its data volume in use.", 0, 100),
        ),
    ];
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    object("A host.", &required, fields)
}

fn error_fields() -> Properties<'static> {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    vec![
        ("code", word("What programs compare.", &codes)),
        ("detail", text("What went wrong this time, for people.")),
        (
            "retryable",
            boolean("True if the same may succeed later, unchanged."),
        ),
        (
            "applied",
            word("Whether it may have taken effect.", &["no", "unknown"]),
        ),
    ]
}

fn problem() -> Value {
    let mut fields = error_fields();
    fields.extend([
        (
            "type",
            text("A URI that names the kind of problem and leads to its explanation."),
        ),
        ("title", text("The kind in a few words.")),
        ("status", whole("The HTTP status.", 400, 599)),
        (
            "field",
            text("The field, query parameter, path part or header that is wrong."),
        ),
        (
            "request_id",
            text("Names this request in the server's log."),
        ),
    ]);
    let required = [
        "type",
        "title",
        "status",
        "code",
        "detail",
        "retryable",
        "applied",
    ];
    object("Why a request failed (RFC 9457).", &required, fields)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::de::DeserializeOwned;

    use super::*;
    use crate::manager::{ClusterInfo, HostInfo};
    use crate::*;

    type Names = BTreeSet<String>;

    fn described(schema: &str) -> Names {
        let schema = &all()[schema];
        assert_eq!(schema["additionalProperties"], false);
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    /// What a type takes, as its refusal of an unknown field says.
    fn taken<T: DeserializeOwned + std::fmt::Debug>() -> Names {
        let error = serde_json::from_str::<T>("{\"-\":0}")
            .unwrap_err()
            .to_string();
        let listed = error
            .split_once(", expected ")
            .expect("it lists the known fields")
            .1;
        listed
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    /// What a value writes; `json` must give every field.
    fn written<T: DeserializeOwned + serde::Serialize>(json: Value) -> Names {
        let value: T = serde_json::from_value(json).unwrap();
        serde_json::to_value(value)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    #[test]
    fn every_field_of_a_request_is_described_and_no_other() {
        assert_eq!(described("QueueSettings"), taken::<QueueBody>());
        assert_eq!(described("SendRequest"), taken::<SendRequest>());
        assert_eq!(described("SendMessage"), taken::<SendMessage>());
        assert_eq!(described("ReceiveRequest"), taken::<ReceiveRequest>());
        assert_eq!(described("ExtendRequest"), taken::<ExtendRequest>());
        assert_eq!(described("ReleaseRequest"), taken::<ReleaseRequest>());
        assert_eq!(described("AckRequest"), taken::<AckRequest>());
        let typed = &all()["Attribute"]["oneOf"][1]["properties"];
        let typed: Names = typed.as_object().unwrap().keys().cloned().collect();
        assert_eq!(typed, taken::<TypedAttribute>());
    }

    #[test]
    fn every_field_of_an_answer_is_described_and_no_other() {
        let seen = json!({
            "id": "i", "sequence": "1", "body": "b", "body_base64": "Yg==", "attributes": {},
            "group": "g", "receive_count": 1, "sent_at": "2026-11-21T04:12:00.000123Z",
            "checksum": "c",
        });
        let mut received = seen.clone();
        let receipt = shoal_types::Receipt {
            partition: shoal_types::PartitionId(1),
            sequence: shoal_types::Sequence(1),
            lease: 1,
        };
        received["receipt"] = json!(receipt.to_string());
        let counts =
            json!({ "ready": 1, "in_flight": 1, "delayed": 1, "bytes": 1, "oldest_age_s": 1 });
        let partition =
            json!({ "partition": "p1", "epoch": 0, "cluster": "c1", "state": "active" });
        let queue = json!({
            "name": "a", "settings": {}, "counts": counts, "partitions": [partition],
            "created_at": "2026-11-21T04:12:00.000123Z",
        });
        let error = json!({ "code": "busy", "detail": "d", "retryable": true, "applied": "no" });
        let mut problem = error.clone();
        for (name, value) in [
            ("type", json!("t")),
            ("title", json!("t")),
            ("status", json!(503)),
            ("field", json!("f")),
            ("request_id", json!("r")),
        ] {
            problem[name] = value;
        }
        let cluster = json!({
            "cluster": "c1", "state": "serving", "view": 1, "members": ["h1"], "active": ["h1"],
            "queues": 1, "messages": 1,
        });
        let host = json!({
            "host": "h1", "address": "a:1", "zone": "z", "cluster": "c1", "state": "acting",
            "alive": true, "heard_ms_ago": 1, "incarnation": 1, "view": 1, "messages": 1,
            "message_bytes": 1, "disk_used_percent": 1,
        });
        let item = json!({ "receipt": "r", "ok": false, "reason": "gone", "detail": "d" });
        for (schema, written) in [
            (
                "ReceivedMessage",
                written::<ReceivedMessage>(received.clone()),
            ),
            (
                "ReceiveAnswer",
                written::<ReceiveAnswer>(json!({ "messages": [received] })),
            ),
            ("PeekedMessage", written::<PeekedMessage>(seen.clone())),
            (
                "PeekAnswer",
                written::<PeekAnswer>(json!({ "messages": [seen] })),
            ),
            ("QueueCounts", written::<QueueCounts>(counts)),
            ("QueuePartition", written::<QueuePartition>(partition)),
            (
                "QueueList",
                written::<QueueList>(json!({ "queues": [queue], "next_cursor": "c" })),
            ),
            ("Queue", written::<QueueInfo>(queue)),
            ("ItemError", written::<ItemError>(error.clone())),
            (
                "FailedMessage",
                written::<SendItemAnswer>(json!({ "error": error })),
            ),
            (
                "SentMessage",
                written::<SendItemAnswer>(json!({ "id": "i", "sequence": "1" })),
            ),
            (
                "SendAnswer",
                written::<SendAnswer>(json!({ "messages": [] })),
            ),
            ("ReceiptItem", written::<ReceiptItem>(item)),
            (
                "ReceiptAnswer",
                written::<ReceiptAnswer>(json!({ "receipts": [] })),
            ),
            ("Cluster", written::<ClusterInfo>(cluster)),
            ("Host", written::<HostInfo>(host)),
            ("Problem", written::<Problem>(problem)),
        ] {
            assert_eq!(described(schema), written, "{schema}");
        }
        let settings = serde_json::to_value(shoal_types::QueueSettings::default()).unwrap();
        let settings: Names = settings.as_object().unwrap().keys().cloned().collect();
        assert_eq!(described("QueueSettings"), settings);
    }
}
