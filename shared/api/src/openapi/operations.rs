//! What each route does, takes and answers.

use serde_json::{Value, json};
use shoal_types::limits;

use super::schema::{reference, short_text, text, whole};
use crate::PROBLEM_CONTENT_TYPE;
use crate::plan::EVENTS_PAGE_MAX;
use crate::routes::Route;

/// Describes a route.
///
/// # Panics
/// If it is none of [`crate::routes::ROUTES`].
pub(super) fn describe(route: Route) -> Value {
    let mut operation = match (route.method, route.path) {
        ("GET", "/v1/queues") => Operation::new("listQueues", "List queues by name")
            .query("prefix", "Only names that start so.", text(""))
            .query("limit", "Queues of a page; 100 if not said.", whole("", 1, 1_000))
            .query("cursor", "`next_cursor` of the page before.", text(""))
            .answer(200, "A page of queues.", "QueueList"),
        ("PUT", "/v1/queues/{queue}") => Operation::new("createQueue", "Create a queue, or confirm that it is there with these settings")
            .body("QueueSettings", false)
            .answer(201, "The queue is new.", "Queue")
            .answer(200, "The queue was there, with the same settings.", "Queue"),
        ("GET", "/v1/queues/{queue}") => Operation::new("getQueue", "Show a queue's settings, counts and places")
            .answer(200, "The queue.", "Queue"),
        ("PATCH", "/v1/queues/{queue}") => Operation::new("changeQueue", "Change some of a queue's settings")
            .body("QueueSettings", true)
            .answer(200, "The queue as it is now.", "Queue"),
        ("DELETE", "/v1/queues/{queue}") => Operation::new("deleteQueue", "Delete a queue with all its messages")
            .nothing(),
        ("POST", "/v1/queues/{queue}/messages") => send(),
        ("POST", "/v1/queues/{queue}/messages/receive") => Operation::new("receiveMessages", "Receive messages: lease them, smallest number first")
            .header("Idempotency-Key", "The same key within five minutes gives the same messages again, while their leases last.", idempotency_key())
            .body("ReceiveRequest", false)
            .answer(200, "The messages; none if nothing came in time.", "ReceiveAnswer"),
        ("POST", "/v1/queues/{queue}/messages/ack") => Operation::new("acknowledgeMessages", "Delete received messages")
            .body("AckRequest", true)
            .receipts(),
        ("POST", "/v1/queues/{queue}/messages/extend") => Operation::new("extendMessages", "Let leases end later or earlier")
            .body("ExtendRequest", true)
            .receipts(),
        ("POST", "/v1/queues/{queue}/messages/release") => Operation::new("releaseMessages", "Give received messages back")
            .body("ReleaseRequest", true)
            .receipts(),
        ("GET", "/v1/queues/{queue}/messages/peek") => Operation::new("peekMessages", "Look at the first messages without receiving them")
            .query("limit", "Messages at most; 10 if not said.", whole("", 1, 1_000))
            .answer(200, "The messages, as one host sees them.", "PeekAnswer"),
        ("POST", "/v1/queues/{queue}/purge") => Operation::new("purgeQueue", "Delete all messages that were sent before")
            .nothing(),
        ("POST", "/v1/queues/{queue}/redrive") => Operation::new("startRedrive", "Move a dead-letter queue's messages back to where they died, or to another queue")
            .body("RedriveRequest", false)
            .answer(202, "The task, which goes on by itself.", "Redrive"),
        ("GET", "/v1/queues/{queue}/redrive") => Operation::new("listRedrives", "Show the last tasks that moved a queue's messages")
            .answer(200, "The tasks, newest first.", "RedriveList"),
        ("DELETE", "/v1/queues/{queue}/redrive") => Operation::new("cancelRedrive", "End the task that moves a queue's messages; what has not gone stays")
            .answer(200, "The task as it is now.", "Redrive"),
        ("GET", "/v1/clusters") => Operation::new("listClusters", "Show all clusters")
            .answers_list(200, "The clusters.", "Cluster"),
        ("GET", "/v1/hosts") => Operation::new("listHosts", "Show all hosts")
            .answers_list(200, "The hosts.", "Host"),
        ("GET", "/v1/moves") => Operation::new("listMoves", "Show moves, splits and merges of queues that are under way")
            .answers_list(200, "What is under way.", "Move"),
        ("GET", "/v1/events") => Operation::new("listEvents", "Show what was decided about the fleet, why, and what came of it")
            .query("after", "Only events with a higher number; without it the newest.", whole("", 0, u64::MAX))
            .query("limit", "Events of a page; 100 if not said.", whole("", 1, EVENTS_PAGE_MAX))
            .answer(200, "Events in the order of their numbers.", "EventPage"),
        ("GET", "/openapi.json") => Operation::new("getOpenApi", "This document").any_json(),
        _ => unreachable!("a route that nobody described: {route:?}"),
    };
    if route.path.contains("{queue}") {
        operation = operation.queue();
    }
    operation.done()
}

fn send() -> Operation {
    let raw = |description: &str| json!({ "schema": { "description": description } });
    let mut operation = Operation::new("sendMessages", "Send one message or a batch")
        .header(
            "Idempotency-Key",
            "The same key within five minutes is the same send: it gives the same answer again.",
            idempotency_key(),
        )
        .header(
            "shoal-group",
            "Message group of a raw body.",
            short_text("", 1, limits::GROUP_CHARS_MAX),
        )
        .header(
            "shoal-dedup-id",
            "Deduplication id of a raw body.",
            short_text("", 1, limits::GROUP_CHARS_MAX),
        )
        .header(
            "shoal-delay-s",
            "Seconds before a raw body can be received.",
            whole("", 0, limits::DELAY_S_MAX.into()),
        )
        .header(
            "shoal-ttl-s",
            "Seconds after which a raw body is dropped.",
            whole("", 1, u64::from(*limits::RETENTION_S.end())),
        )
        .answer(201, "All messages are kept.", "SendAnswer")
        .answer(
            207,
            "Of a batch, some or none are kept; each item says.",
            "SendAnswer",
        );
    operation.0["requestBody"] = json!({
        "required": true,
        "content": {
            "application/json": { "schema": reference("SendRequest") },
            "text/*": raw("Any other type: the bytes are one message's body; text if they are UTF-8."),
            "application/octet-stream": raw("The bytes are one message's body."),
        },
    });
    operation
}

fn idempotency_key() -> Value {
    short_text("", 1, limits::IDEMPOTENCY_KEY_BYTES_MAX)
}

/// An operation under construction.
struct Operation(Value);

impl Operation {
    fn new(id: &str, summary: &str) -> Self {
        let problem = json!({
            "description": "A problem. `code` says which, `applied` whether anything was done.",
            "content": { PROBLEM_CONTENT_TYPE: { "schema": reference("Problem") } },
        });
        Self(json!({
            "operationId": id,
            "summary": summary,
            "parameters": [],
            "responses": { "default": problem },
        }))
        .header(
            "x-deadline-ms",
            "Milliseconds within which the answer must be there; more than 60,000 are 60,000. Without it: 5,000, and the wait of a receive on top.",
            whole("", 1, u64::MAX),
        )
    }

    fn parameter(mut self, place: &str, name: &str, description: &str, mut schema: Value) -> Self {
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("description");
        }
        let parameter = json!({
            "name": name,
            "in": place,
            "required": place == "path",
            "description": description,
            "schema": schema,
        });
        self.0["parameters"]
            .as_array_mut()
            .expect("made as one")
            .push(parameter);
        self
    }

    fn queue(self) -> Self {
        let description =
            "The queue's name: 1 to 80 of A-Z a-z 0-9 - _, and .fifo at the end of a FIFO queue's.";
        let schema = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+(\\.fifo)?$", "maxLength": limits::QUEUE_NAME_CHARS_MAX });
        self.parameter("path", "queue", description, schema)
    }

    fn query(self, name: &str, description: &str, schema: Value) -> Self {
        self.parameter("query", name, description, schema)
    }

    fn header(self, name: &str, description: &str, schema: Value) -> Self {
        self.parameter("header", name, description, schema)
    }

    fn body(mut self, schema: &str, required: bool) -> Self {
        let content = json!({ "application/json": { "schema": reference(schema) } });
        self.0["requestBody"] = json!({ "required": required, "content": content });
        self
    }

    fn response(mut self, status: u16, description: &str, schema: Value) -> Self {
        self.0["responses"][status.to_string()] = json!({
            "description": description,
            "content": { "application/json": { "schema": schema } },
        });
        self
    }

    fn answer(self, status: u16, description: &str, schema: &str) -> Self {
        self.response(status, description, reference(schema))
    }

    fn answers_list(self, status: u16, description: &str, of: &str) -> Self {
        self.response(
            status,
            description,
            json!({ "type": "array", "items": reference(of) }),
        )
    }

    fn any_json(self) -> Self {
        self.response(200, "An OpenAPI 3.1 document.", json!({ "type": "object" }))
    }

    fn receipts(self) -> Self {
        self.answer(200, "Done for every receipt.", "ReceiptAnswer")
            .answer(
                207,
                "Not done for every receipt; each item says.",
                "ReceiptAnswer",
            )
    }

    fn nothing(mut self) -> Self {
        self.0["responses"]["204"] = json!({ "description": "Done." });
        self
    }

    fn done(self) -> Value {
        self.0
    }
}
