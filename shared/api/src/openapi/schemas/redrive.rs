//! Dead letters, and tasks that move a queue's messages.

use serde_json::{Value, json};
use shoal_types::limits;

use super::super::schema::{
    Properties, batch, count, list, object, or_null, reference, text, time, whole, word,
};
use crate::redrive::RedriveStatus;

/// Every schema by its name.
pub(super) fn schemas() -> Properties<'static> {
    vec![
        ("RedriveRequest", redrive_request()),
        ("Redrive", redrive()),
        (
            "RedriveList",
            object(
                "Tasks that move a queue's messages.",
                &["redrives"],
                vec![(
                    "redrives",
                    list("The last ten, newest first.", reference("Redrive")),
                )],
            ),
        ),
        ("DeadLetterSource", dead_letter_source()),
    ]
}

/// The settings that are about dead letters.
pub(super) fn settings() -> Properties<'static> {
    let (count_min, count_max) = limits::RECEIVE_COUNT.into_inner();
    vec![
        (
            "max_receive_count",
            or_null(whole(
                "A message that was received so often goes to the dead-letter queue instead of being received again. Goes with dead_letter_queue; none by default.",
                count_min.into(),
                count_max.into(),
            )),
        ),
        (
            "dead_letter_queue",
            or_null(text(
                "The queue that dead letters go to: another one, FIFO if and only if this one is. Goes with max_receive_count; none by default.",
            )),
        ),
        ("redrive_allow", redrive_allow()),
    ]
}

fn redrive_allow() -> Value {
    let queues = batch(
        "Their names.",
        text("A queue's name."),
        limits::REDRIVE_SOURCES_MAX,
    );
    let these = object("Only these.", &["queues"], vec![("queues", queues)]);
    json!({
        "description": "Which queues may have this one as their dead-letter queue; all by default.",
        "oneOf": [{ "type": "string", "enum": ["all", "none"] }, these, { "type": "null" }],
    })
}

fn redrive_request() -> Value {
    object(
        "Where a queue's messages are to go, and how fast.",
        &[],
        vec![
            (
                "to",
                or_null(text(
                    "The queue that all of them go to; each to the queue in which it died if not said.",
                )),
            ),
            (
                "max_per_second",
                or_null(rate("as fast as it goes if not said")),
            ),
        ],
    )
}

fn redrive() -> Value {
    let statuses = RedriveStatus::ALL.map(RedriveStatus::as_str);
    let required = [
        "task",
        "queue",
        "status",
        "to_move",
        "moved",
        "failed",
        "started_at",
    ];
    object(
        "A task that moves a queue's messages.",
        &required,
        vec![
            ("task", task()),
            ("queue", text("The queue whose messages go.")),
            (
                "to",
                text("Where to; missing: each to the queue in which it died."),
            ),
            ("max_per_second", rate("missing: as fast as it goes")),
            ("status", word("What became of it.", &statuses)),
            (
                "to_move",
                count("Messages that could be received when it began."),
            ),
            ("moved", count("Messages that arrived.")),
            (
                "failed",
                count("Messages that stay, because where they died is unknown or gone."),
            ),
            ("started_at", time("When it was asked for.")),
            (
                "reason",
                text("Why it failed, for people; missing if it did not."),
            ),
        ],
    )
}

fn dead_letter_source() -> Value {
    object(
        "Where a dead letter comes from.",
        &["id", "receive_count"],
        vec![
            (
                "queue",
                text("The queue in which it died; missing if that is gone."),
            ),
            ("id", text("The id that it was sent under.")),
            ("receive_count", count("How often it was received there.")),
        ],
    )
}

fn task() -> Value {
    json!({
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "Tells it from all other tasks.",
    })
}

fn rate(otherwise: &str) -> Value {
    let description = format!("Messages a second at most; {otherwise}.");
    whole(&description, 1, limits::MOVED_PER_SECOND_MAX.into())
}
