//! What operators look at.

use serde_json::Value;

use super::super::schema::{Properties, boolean, count, list, object, or_null, text, whole, word};

/// Every schema by its name.
pub(super) fn schemas() -> Properties<'static> {
    vec![("Cluster", cluster()), ("Host", host())]
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
