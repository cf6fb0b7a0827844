//! A request as it came in, and what it asks.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use shoal_types::Scope;

use crate::error::quoted;
use crate::protocol::{TARGET_HEADER, media_type};
use crate::reading::{Context, Fields, Form, Members, json};
use crate::{ErrorKind, Operation, OperationName, Protocol, SqsError, limits, place};

/// What stands before an operation's name in `x-amz-target`.
const TARGET_PREFIX: &str = "AmazonSQS.";
/// The version of the query protocol that every client speaks; a request may leave it out.
const API_VERSION: &str = "2012-11-05";

/// The parts of an HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as it came, still escaped.
    pub path: &'a str,
    /// What stands after the question mark, still escaped; empty if nothing does.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a Bytes,
}

impl Incoming<'_> {
    /// How the client speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        Protocol::of(self.method, self.headers)
    }
}

/// What a request of a caller with this account and region asks.
///
/// # Errors
/// What AWS answers to a request like this; nothing was applied.
pub fn read(incoming: &Incoming<'_>, scope: &Scope) -> Result<Operation, SqsError> {
    if incoming.body.len() > limits::BODY_BYTES_MAX
        || incoming.query.len() > limits::QUERY_BYTES_MAX
    {
        let message = "The request is larger than any that SQS takes.";
        return Err(SqsError::new(ErrorKind::RequestTooLarge, message));
    }
    let path_queue = place::queue_from_path(incoming.path, scope.region());
    let protocol = incoming.protocol();
    let context = Context {
        protocol,
        scope,
        body: incoming.body,
        path_queue: path_queue.as_ref(),
    };
    match protocol {
        Protocol::Json => {
            let operation = target(incoming)?;
            operation.read(&mut Members::new(context, json::read(incoming.body)?))
        }
        Protocol::Query => {
            let mut members = Members::new(context, form(incoming)?);
            let operation = action(incoming, &mut members)?;
            operation.read(&mut members)
        }
    }
}

/// The operation that a JSON request names.
fn target(incoming: &Incoming<'_>) -> Result<OperationName, SqsError> {
    let unknown = |message| SqsError::new(ErrorKind::UnknownOperation, message);
    let Some(target) = incoming.headers.get(TARGET_HEADER) else {
        return Err(unknown(
            "The request names no operation in x-amz-target.".to_owned(),
        ));
    };
    let name = target
        .to_str()
        .ok()
        .and_then(|name| name.strip_prefix(TARGET_PREFIX));
    name.and_then(OperationName::of).ok_or_else(|| {
        let target = String::from_utf8_lossy(target.as_bytes());
        unknown(format!("The operation {} is not known.", quoted(&target)))
    })
}

/// The parameters of query string and form.
fn form<'a>(incoming: &Incoming<'a>) -> Result<Fields<'a>, SqsError> {
    let mut form = Form::default();
    form.add(incoming.query)?;
    if *incoming.method == Method::POST && !incoming.body.is_empty() {
        let kind = incoming.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|value| value.to_str().ok()).map(media_type);
        if kind.as_deref() != Some("application/x-www-form-urlencoded") {
            let message = "The body of a request is application/x-amz-json-1.0 with x-amz-target, or \
                           application/x-www-form-urlencoded.";
            return Err(SqsError::new(ErrorKind::MalformedQueryString, message));
        }
        let body = str::from_utf8(incoming.body).map_err(|_| {
            SqsError::new(ErrorKind::MalformedQueryString, "The body is not UTF-8.")
        })?;
        form.add(body)?;
    }
    Ok(form.into_fields())
}

/// The operation that a query request names.
fn action(incoming: &Incoming<'_>, members: &mut Members<'_>) -> Result<OperationName, SqsError> {
    if let Some(version) = members.text("Version")?
        && version != API_VERSION
    {
        let message = format!(
            "The requested version ( {} ) is not valid.",
            quoted(&version)
        );
        return Err(SqsError::new(ErrorKind::NoSuchVersion, message));
    }
    let invalid = |name: &str| {
        let message = format!(
            "The action {} is not valid for this endpoint.",
            quoted(name)
        );
        SqsError::new(ErrorKind::InvalidAction, message)
    };
    let name = match members.text("Action")? {
        Some(name) => name,
        None if *incoming.method == Method::GET => {
            let message = "The request names no action.";
            return Err(SqsError::new(ErrorKind::UnknownOperation, message));
        }
        None => return Err(SqsError::missing("Action")),
    };
    let operation = OperationName::of(&name).ok_or_else(|| invalid(&name))?;
    // What is about no queue that exists is not asked at a queue's address.
    let rootless = [OperationName::CreateQueue, OperationName::ListQueues];
    if members.has_path_queue() && rootless.contains(&operation) {
        return Err(invalid(&name));
    }
    Ok(operation)
}
