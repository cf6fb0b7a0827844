//! Messages on their way in and out.

use serde_json::{Value, json};
use shoal_types::limits;

use super::super::schema::{
    Properties, base64, batch, boolean, count, list, map, object, or_null, reference, short_text,
    text, time, whole,
};

/// Every schema by its name.
pub(super) fn schemas() -> Properties<'static> {
    vec![
        (
            "SendMessage",
            object("One message.", &[], message_to_send()),
        ),
        ("SendRequest", send_request()),
        ("SendAnswer", send_answer()),
        (
            "SentMessage",
            object(
                "A message that is kept.",
                &["id", "sequence"],
                vec![("id", text("Its id.")), ("sequence", sequence())],
            ),
        ),
        (
            "FailedMessage",
            object(
                "A message that is not kept.",
                &["error"],
                vec![("error", reference("ItemError"))],
            ),
        ),
        ("Attribute", attribute()),
        ("ReceiveRequest", receive_request()),
        (
            "ReceiveAnswer",
            seen_messages("None if nothing came in time.", "ReceivedMessage"),
        ),
        ("ReceivedMessage", received_message()),
        (
            "PeekAnswer",
            seen_messages("Those that could be received.", "PeekedMessage"),
        ),
        ("PeekedMessage", peeked_message()),
    ]
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
    fields.push(("dead_from", reference("DeadLetterSource")));
    object("A message in a consumer's hands.", &SEEN_ALWAYS, fields)
}

fn sequence() -> Value {
    json!({
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "Its number in the queue, as text, since it may be beyond what JSON numbers hold exactly.",
    })
}

fn send_answer() -> Value {
    let item = json!({ "oneOf": [reference("SentMessage"), reference("FailedMessage")] });
    let messages = list("One item per message.", item);
    object(
        "What became of each message, in order.",
        &["messages"],
        vec![("messages", messages)],
    )
}

fn seen_messages(description: &str, of: &str) -> Value {
    let messages = list(description, reference(of));
    object(
        "Messages, smallest number first.",
        &["messages"],
        vec![("messages", messages)],
    )
}

fn peeked_message() -> Value {
    let fields = seen_message("How often it was received.");
    object("A message that was only looked at.", &SEEN_ALWAYS, fields)
}
