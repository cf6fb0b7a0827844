//! Queues: settings, counts, places.

use serde_json::{Value, json};
use shoal_types::limits;

use super::super::schema::{
    Properties, boolean, count, list, map, object, or_null, reference, text, time, whole, word,
};
use super::redrive;

/// Every schema by its name.
pub(super) fn schemas() -> Properties<'static> {
    vec![
        ("QueueSettings", queue_settings()),
        ("Queue", queue()),
        ("QueueCounts", queue_counts()),
        ("QueuePartition", queue_partition()),
        (
            "QueueList",
            object(
                "A page of queues.",
                &["queues"],
                vec![
                    (
                        "queues",
                        list("By name, without counts.", reference("Queue")),
                    ),
                    (
                        "next_cursor",
                        text("For the next page; missing on the last one."),
                    ),
                ],
            ),
        ),
    ]
}

fn queue_settings() -> Value {
    let seconds = |description: &str, max: u32| or_null(whole(description, 0, max.into()));
    let (retention_min, retention_max) = limits::RETENTION_S.into_inner();
    let (bytes_min, bytes_max) = limits::QUEUE_MESSAGE_BYTES.into_inner();
    let description = "Settings. What is missing is the default for a new queue and stays as it is in a change; null is the default.";
    let mut fields = redrive::settings();
    fields.extend(vec![
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
                "partitions",
                json!({
                    "description": "Whether the queue may be split over several clusters when it is too much for one: 1, the default, or \"auto\". Of a FIFO queue that is split, each message group keeps its order.",
                    "enum": [1, "auto", null],
                }),
            ),
            (
                "tags",
                or_null(map(
                    "Anything a user wants to note down; at most 50.",
                    text("A tag's value."),
                )),
            ),
        ]);
    object(description, &[], fields)
}

fn queue() -> Value {
    object(
        "A queue.",
        &["name", "settings", "partitions", "created_at", "changed_at"],
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
            (
                "changed_at",
                time(
                    "When its settings were last changed; when it was created if they never were.",
                ),
            ),
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
            (
                "state",
                word("What it takes.", &["active", "pending", "held", "draining"]),
            ),
        ],
    )
}
