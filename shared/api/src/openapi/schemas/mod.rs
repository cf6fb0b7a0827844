//! The bodies.

mod errors;
mod messages;
mod operation;
mod queues;
mod receipts;
mod redrive;

use serde_json::{Map, Value};

/// Every schema by its name.
pub(super) fn all() -> Value {
    let schemas = [
        errors::schemas(),
        messages::schemas(),
        operation::schemas(),
        queues::schemas(),
        receipts::schemas(),
        redrive::schemas(),
    ];
    let named = |(name, schema): (&str, Value)| (name.to_owned(), schema);
    Value::Object(
        schemas
            .into_iter()
            .flatten()
            .map(named)
            .collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::de::DeserializeOwned;

    use serde_json::json;

    use super::*;
    use crate::manager::{ClusterInfo, HostInfo};
    use crate::plan::{Event, EventPage, MoveInfo};
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
        assert_eq!(described("RedriveRequest"), taken::<RedriveBody>());
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
        let source = json!({ "queue": "a", "id": "i", "receive_count": 3 });
        received["dead_from"] = source.clone();
        let counts =
            json!({ "ready": 1, "in_flight": 1, "delayed": 1, "bytes": 1, "oldest_age_s": 1 });
        let partition =
            json!({ "partition": "p1", "epoch": 0, "cluster": "c1", "state": "active" });
        let queue = json!({
            "name": "a", "settings": {}, "counts": counts, "partitions": [partition],
            "created_at": "2026-11-21T04:12:00.000123Z",
            "changed_at": "2026-11-21T04:12:00.000123Z",
        });
        let redrive = json!({
            "task": "1", "queue": "dead", "to": "a", "max_per_second": 1, "status": "failed",
            "to_move": 3, "moved": 2, "failed": 1, "started_at": "2026-11-21T04:12:00.000123Z",
            "reason": "r",
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
            "queues": 1, "messages": 1, "only": "h1",
            "change": { "steps": [{ "add": "h1" }, "all"], "progress": "p", "asked_at": 1 },
        });
        let host = json!({
            "host": "h1", "address": "a:1", "zone": "z", "pool": "p", "cluster": "c1", "state": "acting",
            "alive": true, "heard_ms_ago": 1, "incarnation": 1, "view": 1, "messages": 1,
            "message_bytes": 1, "disk_used_percent": 1, "executed": "1/1/h1",
            "state_hash": "00", "trouble": "t",
        });
        let movement = json!({
            "id": "p1", "queue": "a", "kind": "split", "stage": "opening", "seals": ["p2"],
            "opens": ["p1"], "from": ["c1"], "to": ["c2"], "text": "t", "progress": "p",
            "begun_at": 1, "under_way_s": 1,
        });
        let event = json!({
            "number": 1, "at": 1, "kind": "decided", "clusters": ["c1"], "queue": "a", "text": "t",
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
            ("DeadLetterSource", written::<DeadLetterSource>(source)),
            (
                "RedriveList",
                written::<RedriveList>(json!({ "redrives": [redrive] })),
            ),
            ("Redrive", written::<RedriveTask>(redrive)),
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
            ("Move", written::<MoveInfo>(movement)),
            (
                "EventPage",
                written::<EventPage>(json!({ "events": [event], "next": 1 })),
            ),
            ("Event", written::<Event>(event)),
            ("Problem", written::<Problem>(problem)),
        ] {
            assert_eq!(described(schema), written, "{schema}");
        }
        // Those that are not always written have to be set.
        let settings = shoal_types::QueueSettings {
            max_receive_count: Some(1),
            dead_letter_queue: Some("dead".parse().unwrap()),
            redrive_allow: shoal_types::RedriveAllow::None,
            ..Default::default()
        };
        let settings = serde_json::to_value(settings).unwrap();
        let settings: Names = settings.as_object().unwrap().keys().cloned().collect();
        assert_eq!(described("QueueSettings"), settings);
    }
}
