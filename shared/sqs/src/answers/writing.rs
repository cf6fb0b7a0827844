//! Writing answers and errors. An answer is described once, in terms of texts, numbers, lists and maps with
//! their names in both protocols; what brackets those become is the writer's matter.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use shoal_types::Attribute;

use super::json::JsonWriter;
use super::xml::XmlWriter;
use super::{Answer, BatchAnswer, MoveTask, MoveTaskStatus, ReceivedMessage, SentMessage};
use crate::{ErrorKind, Fault, OperationName, Protocol, SqsError};

const REQUEST_ID: &str = "x-amzn-requestid";
/// Tells clients of the JSON protocol the code by which the query protocol knows the error.
const QUERY_ERROR: &str = "x-amzn-query-error";
const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

/// What both protocols can write. Lists and maps that are empty are left out, as AWS does.
pub(super) trait Writer {
    fn text(&mut self, name: &str, value: &str);
    fn number(&mut self, name: &str, value: u64);
    fn flag(&mut self, name: &str, value: bool);
    fn binary(&mut self, name: &str, value: &[u8]);

    /// A list of texts: `name` is the list's in JSON, `element` each element's in XML.
    fn texts(&mut self, name: &str, element: &str, values: &[String]);

    /// The same, there even if it is empty.
    fn texts_or_none(&mut self, name: &str, element: &str, values: &[String]);

    /// A list of objects.
    fn objects<T>(
        &mut self,
        name: &str,
        element: &str,
        values: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Self, T),
    );

    /// A map from texts to texts, in XML a list of pairs with these names.
    fn map<'v>(
        &mut self,
        name: &str,
        element: &str,
        pair: (&str, &str),
        values: impl IntoIterator<Item = (&'v str, &'v str)>,
    );

    /// A map from texts to objects, in XML a list of `Name` and `Value`.
    fn map_of_objects<'v, T>(
        &mut self,
        name: &str,
        element: &str,
        values: impl IntoIterator<Item = (&'v str, T)>,
        write: impl FnMut(&mut Self, T),
    );

    fn optional_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn optional_number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(name, value);
        }
    }
}

/// Writes an answer.
#[must_use]
pub fn write_answer(protocol: Protocol, answer: &Answer, request_id: &str) -> Response<Bytes> {
    let body = match protocol {
        Protocol::Json => {
            let mut json = JsonWriter::with_capacity(size_hint(answer));
            describe(answer, &mut json);
            json.finish()
        }
        Protocol::Query => {
            let mut xml = XmlWriter::with_capacity(size_hint(answer));
            let name = answer.operation().as_str();
            xml.declare();
            xml.open_with_namespace(&format!("{name}Response"), NAMESPACE);
            if !matches!(answer, Answer::Done(_)) {
                let result = format!("{name}Result");
                xml.within(&result, |xml| describe(answer, xml));
            }
            xml.within("ResponseMetadata", |xml| xml.text("RequestId", request_id));
            xml.close(&format!("{name}Response"));
            xml.finish()
        }
    };
    respond(StatusCode::OK, protocol.content_type(), request_id, body)
}

/// Writes an error.
#[must_use]
pub fn write_error(protocol: Protocol, error: &SqsError, request_id: &str) -> Response<Bytes> {
    let kind = error.kind;
    let status = StatusCode::from_u16(kind.http_status()).expect("a status of the table");
    match protocol {
        Protocol::Json => {
            let mut json = JsonWriter::with_capacity(256);
            json.text("__type", kind.json_type());
            json.text("message", &error.message);
            let mut response = respond(status, protocol.content_type(), request_id, json.finish());
            let code = format!("{};{}", kind.query_code(), kind.fault().as_str());
            let code = HeaderValue::try_from(code).expect("codes are ASCII");
            response.headers_mut().insert(QUERY_ERROR, code);
            response
        }
        // What names no action is answered by what stands before SQS, and in its words.
        Protocol::Query if kind == ErrorKind::UnknownOperation => {
            let body = Bytes::from_static(b"<UnknownOperationException/>\n");
            respond(
                StatusCode::NOT_FOUND,
                protocol.content_type(),
                request_id,
                body,
            )
        }
        Protocol::Query => {
            let mut xml = XmlWriter::with_capacity(512);
            xml.declare();
            xml.open_with_namespace("ErrorResponse", NAMESPACE);
            xml.within("Error", |xml| {
                xml.text("Type", kind.fault().as_str());
                xml.text("Code", kind.query_code());
                xml.text("Message", query_message(error));
                xml.empty("Detail");
            });
            xml.text("RequestId", request_id);
            xml.close("ErrorResponse");
            respond(status, protocol.content_type(), request_id, xml.finish())
        }
    }
}

/// The one text that differs by protocol.
fn query_message(error: &SqsError) -> &str {
    match error.kind {
        ErrorKind::QueueDoesNotExist => "The specified queue does not exist for this wsdl version.",
        _ => &error.message,
    }
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    request_id: &str,
    body: Bytes,
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // An id that is no header value is our own doing, and still in the body of an XML answer.
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

impl Answer {
    /// The operation that it is an answer to.
    #[must_use]
    pub fn operation(&self) -> OperationName {
        match self {
            Self::Done(name) => *name,
            Self::CancelMessageMoveTask { .. } => OperationName::CancelMessageMoveTask,
            Self::ChangeMessageVisibilityBatch(_) => OperationName::ChangeMessageVisibilityBatch,
            Self::CreateQueue { .. } => OperationName::CreateQueue,
            Self::DeleteMessageBatch(_) => OperationName::DeleteMessageBatch,
            Self::GetQueueAttributes(_) => OperationName::GetQueueAttributes,
            Self::GetQueueUrl { .. } => OperationName::GetQueueUrl,
            Self::ListDeadLetterSourceQueues(_) => OperationName::ListDeadLetterSourceQueues,
            Self::ListMessageMoveTasks(_) => OperationName::ListMessageMoveTasks,
            Self::ListQueueTags(_) => OperationName::ListQueueTags,
            Self::ListQueues(_) => OperationName::ListQueues,
            Self::ReceiveMessage(_) => OperationName::ReceiveMessage,
            Self::SendMessage(_) => OperationName::SendMessage,
            Self::SendMessageBatch(_) => OperationName::SendMessageBatch,
            Self::StartMessageMoveTask { .. } => OperationName::StartMessageMoveTask,
        }
    }
}

/// Bytes that the answer will have, about.
fn size_hint(answer: &Answer) -> usize {
    let messages = match answer {
        Answer::ReceiveMessage(messages) => messages.as_slice(),
        _ => &[],
    };
    let bodies: usize = messages.iter().map(|message| message.body().len()).sum();
    512 + messages.len() * 512 + bodies + bodies / 8
}

fn describe<W: Writer>(answer: &Answer, w: &mut W) {
    match answer {
        Answer::Done(_) => {}
        Answer::CancelMessageMoveTask { moved } => {
            w.number("ApproximateNumberOfMessagesMoved", *moved);
        }
        Answer::ChangeMessageVisibilityBatch(batch) => {
            batch_of(
                w,
                "ChangeMessageVisibilityBatchResultEntry",
                batch,
                |_, ()| (),
            );
        }
        Answer::CreateQueue { url } | Answer::GetQueueUrl { url } => w.text("QueueUrl", url),
        Answer::DeleteMessageBatch(batch) => {
            batch_of(w, "DeleteMessageBatchResultEntry", batch, |_, ()| ());
        }
        Answer::GetQueueAttributes(attributes) => {
            let attributes = attributes
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            w.map("Attributes", "Attribute", ("Name", "Value"), attributes);
        }
        Answer::ListDeadLetterSourceQueues(page) => {
            w.texts_or_none("queueUrls", "QueueUrl", &page.urls);
            w.optional_text("NextToken", page.next_token.as_deref());
        }
        Answer::ListMessageMoveTasks(tasks) => {
            w.objects(
                "Results",
                "ListMessageMoveTasksResultEntry",
                tasks,
                move_task,
            );
        }
        Answer::ListQueueTags(tags) => {
            let tags = tags
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()));
            w.map("Tags", "Tag", ("Key", "Value"), tags);
        }
        Answer::ListQueues(page) => {
            w.texts("QueueUrls", "QueueUrl", &page.urls);
            w.optional_text("NextToken", page.next_token.as_deref());
        }
        Answer::ReceiveMessage(messages) => w.objects("Messages", "Message", messages, received),
        Answer::SendMessage(message) => sent(w, message),
        Answer::SendMessageBatch(batch) => batch_of(w, "SendMessageBatchResultEntry", batch, sent),
        Answer::StartMessageMoveTask { task_handle } => w.text("TaskHandle", task_handle),
    }
}

fn batch_of<W: Writer, T>(
    w: &mut W,
    element: &str,
    BatchAnswer(entries): &BatchAnswer<T>,
    write: impl Fn(&mut W, &T),
) {
    let successful = entries
        .iter()
        .filter_map(|(id, result)| Some((id, result.as_ref().ok()?)));
    w.objects("Successful", element, successful, |w, (id, item)| {
        w.text("Id", id);
        write(w, item);
    });
    let failed = entries
        .iter()
        .filter_map(|(id, result)| Some((id, result.as_ref().err()?)));
    w.objects(
        "Failed",
        "BatchResultErrorEntry",
        failed,
        |w, (id, error)| {
            w.text("Id", id);
            w.text("Code", error.kind.query_code());
            w.text("Message", &error.message);
            w.flag("SenderFault", error.kind.fault() == Fault::Sender);
        },
    );
}

fn sent<W: Writer>(w: &mut W, message: &SentMessage) {
    w.text("MessageId", &message.message_id);
    w.text("MD5OfMessageBody", &message.md5_of_body);
    w.optional_text(
        "MD5OfMessageAttributes",
        message.md5_of_attributes.as_deref(),
    );
    w.optional_text(
        "MD5OfMessageSystemAttributes",
        message.md5_of_system_attributes.as_deref(),
    );
    let number = message.sequence_number.map(crate::sequence_number);
    w.optional_text("SequenceNumber", number.as_deref());
}

fn received<W: Writer>(w: &mut W, message: &ReceivedMessage) {
    w.text("MessageId", message.message_id());
    w.text("ReceiptHandle", message.receipt_handle());
    w.text("MD5OfBody", &message.md5_of_body());
    w.text("Body", message.body());
    let system = message.system_attributes();
    let system = system
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    w.map("Attributes", "Attribute", ("Name", "Value"), system);
    w.optional_text(
        "MD5OfMessageAttributes",
        message.md5_of_attributes().as_deref(),
    );
    let attributes = message.attributes();
    let attributes = attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value));
    w.map_of_objects(
        "MessageAttributes",
        "MessageAttribute",
        attributes,
        attribute,
    );
}

fn attribute<W: Writer>(w: &mut W, attribute: &Attribute) {
    w.text("DataType", &attribute.kind);
    match str::from_utf8(&attribute.value) {
        Ok(text) if !attribute.kind.starts_with("Binary") => w.text("StringValue", text),
        _ => w.binary("BinaryValue", &attribute.value),
    }
}

fn move_task<W: Writer>(w: &mut W, task: &MoveTask) {
    if task.status == MoveTaskStatus::Running {
        w.text("TaskHandle", &task.task_handle);
    }
    w.text("Status", task.status.as_str());
    w.text("SourceArn", &task.source_arn);
    w.optional_text("DestinationArn", task.destination_arn.as_deref());
    w.optional_number(
        "MaxNumberOfMessagesPerSecond",
        task.max_per_second.map(u64::from),
    );
    w.number("ApproximateNumberOfMessagesMoved", task.moved);
    w.optional_number("ApproximateNumberOfMessagesToMove", task.to_move);
    w.optional_text("FailureReason", task.failure_reason.as_deref());
    w.number("StartedTimestamp", task.started_ms);
}
