//! What operators look at.

use serde_json::Value;

use super::super::schema::{
    Properties, boolean, count, list, object, or_null, reference, text, whole, word,
};
use crate::plan::EventKind;

/// Every schema by its name.
pub(super) fn schemas() -> Properties<'static> {
    vec![
        ("Cluster", cluster()),
        ("Host", host()),
        ("Move", movement()),
        ("Event", event()),
        ("EventPage", event_page()),
    ]
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
            (
                "only",
                text("The member that alone is to take commands, if an operator wants that."),
            ),
            ("change", change()),
        ],
    )
}

fn change() -> Value {
    let fields = vec![
        (
            "steps",
            list(
                "What is still to be done, in this order.",
                serde_json::json!({
                    "description": "`{\"add\": HOST}`, `{\"remove\": HOST}`, `{\"only\": HOST}` or `\"all\"`.",
                    "type": ["object", "string"],
                }),
            ),
        ),
        ("progress", text("How far the first step is, for people.")),
        (
            "asked_at",
            count("When it was asked for: microseconds since 1970."),
        ),
    ];
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    object(
        "The change of its members that is under way, if one is.",
        &required,
        fields,
    )
}

fn host() -> Value {
    let fields = vec![
        ("host", text("Which: h and hex digits.")),
        ("address", text("What others dial.")),
        ("zone", text("Where it stands, as its operator said.")),
        (
            "pool",
            text("Which hosts it may be in a cluster with, if its operator said so."),
        ),
        ("cluster", or_null(text("Its cluster, if it has one."))),
        (
            "state",
            word(
                "What it said last.",
                &[
                    "unassigned",
                    "joining",
                    "acting",
                    "learning",
                    "needs_snapshot",
                    "removed",
                    "forgotten",
                ],
            ),
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
        ("executed", text("The entry executed last: view/time/lane.")),
        (
            "state_hash",
            text("The hash of everything executed, 16 hex digits."),
        ),
        ("trouble", text("Why it takes no commands, if it said why.")),
    ];
    let always = fields.iter().map(|(name, _)| *name);
    let required: Vec<&str> = always
        .filter(|name| !["pool", "trouble"].contains(name))
        .collect();
    object("A host.", &required, fields)
}

fn movement() -> Value {
    let ids = |description: &str, item: &str| list(description, text(item));
    let fields = vec![
        (
            "id",
            text("The first partition that it opens: p and hex digits."),
        ),
        ("queue", text("The queue's name.")),
        ("kind", word("What it is.", &["move", "split", "merge"])),
        (
            "stage",
            word(
                "How far it is.",
                &["creating", "sealing", "opening", "draining", "undoing"],
            ),
        ),
        (
            "seals",
            ids(
                "Partitions that are followed and not empty yet.",
                "p and hex digits.",
            ),
        ),
        ("opens", ids("Partitions that follow.", "p and hex digits.")),
        (
            "from",
            ids("Where those are that are followed.", "c and hex digits."),
        ),
        (
            "to",
            ids("Where those are that follow.", "c and hex digits."),
        ),
        ("text", text("What and why, for people.")),
        (
            "progress",
            text("What it waits for; empty if its step was just begun."),
        ),
        (
            "begun_at",
            count("When it was decided: microseconds since 1970."),
        ),
        ("under_way_s", count("Seconds since then.")),
    ];
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    object(
        "A move, split or merge of a queue that is under way.",
        &required,
        fields,
    )
}

fn event() -> Value {
    object(
        "Something that was decided, or that came of a decision.",
        &["number", "at", "kind", "clusters", "text"],
        vec![
            (
                "number",
                count("Its place among all events, from 1; numbers may be missing."),
            ),
            ("at", count("When: microseconds since 1970.")),
            (
                "kind",
                word("What it is about.", &EventKind::ALL.map(EventKind::as_str)),
            ),
            (
                "clusters",
                list("Clusters that take part.", text("c and hex digits.")),
            ),
            ("queue", text("The queue, if it is about one.")),
            ("text", text("What happened and why, for people.")),
        ],
    )
}

fn event_page() -> Value {
    object(
        "A page of events.",
        &["events", "next"],
        vec![
            (
                "events",
                list("In the order of their numbers.", reference("Event")),
            ),
            (
                "next",
                count("What to pass as `after` to get those that come next."),
            ),
        ],
    )
}
