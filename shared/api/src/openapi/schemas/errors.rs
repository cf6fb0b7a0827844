//! What went wrong, with a request or with one item of it.

use serde_json::Value;
use shoal_types::ErrorCode;

use super::super::schema::{Properties, boolean, object, text, whole, word};

/// Every schema by its name.
pub(super) fn schemas() -> Properties<'static> {
    vec![
        ("Problem", problem()),
        (
            "ItemError",
            object(
                "Why one item failed.",
                &["code", "detail", "retryable", "applied"],
                error_fields(),
            ),
        ),
    ]
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
