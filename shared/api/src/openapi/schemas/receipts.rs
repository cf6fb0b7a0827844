//! Finishing with messages: acknowledge, extend, release.

use serde_json::Value;
use shoal_types::limits;

use super::super::schema::{
    Properties, batch, boolean, list, object, or_null, reference, text, whole, word,
};

/// Every schema by its name.
pub(super) fn schemas() -> Properties<'static> {
    vec![
        (
            "AckRequest",
            object(
                "Which messages are done with.",
                &["receipts"],
                vec![("receipts", receipts())],
            ),
        ),
        ("ExtendRequest", extend_request()),
        ("ReleaseRequest", release_request()),
        ("ReceiptAnswer", receipt_answer()),
        ("ReceiptItem", receipt_item()),
    ]
}

fn receipts() -> Value {
    batch(
        "Receipts of received messages.",
        text("A receipt."),
        limits::RECEIPT_BATCH_MAX,
    )
}

fn extend_request() -> Value {
    let description = "Seconds from now until they end; 0 gives the messages back at once.";
    let seconds = whole(description, 0, limits::VISIBILITY_S_MAX.into());
    let fields = vec![("receipts", receipts()), ("visibility_timeout_s", seconds)];
    let required = ["receipts", "visibility_timeout_s"];
    object(
        "Which leases are to end at another time.",
        &required,
        fields,
    )
}

fn release_request() -> Value {
    let description = "Seconds until they can be received again; at once if not said.";
    let seconds = or_null(whole(description, 0, limits::DELAY_S_MAX.into()));
    let fields = vec![("receipts", receipts()), ("delay_s", seconds)];
    object("Which messages are given back.", &["receipts"], fields)
}

fn receipt_answer() -> Value {
    let items = list("One item per receipt.", reference("ReceiptItem"));
    object(
        "What became of each receipt, in order.",
        &["receipts"],
        vec![("receipts", items)],
    )
}

fn receipt_item() -> Value {
    object(
        "What became of one receipt.",
        &["receipt", "ok"],
        vec![
            ("receipt", text("The receipt.")),
            ("ok", boolean("True if it was done.")),
            (
                "reason",
                word(
                    "Why not.",
                    &[
                        "gone",
                        "expired",
                        "superseded",
                        "unknown",
                        "not_leased",
                        "too_long",
                        "unavailable",
                    ],
                ),
            ),
            ("detail", text("Why not, for people.")),
        ],
    )
}
