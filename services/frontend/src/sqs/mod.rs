//! Amazon SQS on the same listener as REST: `/`, and the queues' own addresses `/{account}/{queue}`.
//!
//! What a request says and how it is answered, in both of SQS's protocols, is `shoal-sqs`'s matter. Here is
//! what is done: who asks and whether they may (`caller`, `credentials`, `access`, `policy`), and the
//! operations, one file for each group, over the same [`crate::operations`] as REST.

mod access;
mod addresses;
mod attributes;
mod call;
mod caller;
mod credentials;
mod move_tasks;
mod pages;
mod permissions;
mod policy;
mod problems;
mod purge;
mod queues;
mod receipts;
mod receive;
mod send;
mod tags;
mod task_handle;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use shoal_runtime::http::HeadRefusal;
use shoal_sqs::{Answer, ErrorKind, Incoming, Operation, OperationName, Protocol, SqsError};

use crate::admission::Class;
use crate::app::App;
use crate::intake::{self, Taken};
use call::Call;
use caller::Caller;

pub(crate) use access::Session;
pub(crate) use credentials::Keys;
pub(crate) use purge::Purges;

/// Where a request in JSON names its operation.
const TARGET: &str = "x-amz-target";
/// What stands before the operation's name there.
const TARGET_PREFIX: &str = "AmazonSQS.";

/// True for what is asked of SQS and not of REST: at `/`, at a queue's own address, and anything at an
/// address that is nobody's that names an operation of SQS as the JSON protocol does.
pub(crate) fn is_asked(head: &Parts) -> bool {
    let path = head.uri.path();
    let first = path.split('/').nth(1).unwrap_or_default();
    let is_account = first.len() == 12 && first.bytes().all(|byte| byte.is_ascii_digit());
    let is_rest = ["v1", "openapi.json", "docs", "ui"].contains(&first);
    path == "/" || is_account || (!is_rest && head.headers.contains_key(TARGET))
}

/// Answers a request.
///
/// Should the client go away while a receive waits, this is dropped, and with it the call to the host, which
/// then forgets the waiter.
pub(crate) async fn answer(app: &Arc<App>, request: Request) -> Response {
    let protocol = Protocol::of(request.method(), request.headers());
    let mut call = Call::begin(protocol);
    let answer = Box::pin(try_answer(app, &mut call, request)).await;
    call.finish(answer)
}

/// What the HTTP server refuses before any handler sees it, in the words of SQS.
pub(crate) fn refuse(refusal: &HeadRefusal, head: &Parts) -> Response {
    let kind = match refusal.status {
        StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::URI_TOO_LONG
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ErrorKind::RequestTooLarge,
        _ => ErrorKind::MalformedQueryString,
    };
    let protocol = Protocol::of(&head.method, &head.headers);
    let refused = Err(SqsError::new(kind, refusal.detail.clone()));
    // The more precise status, since whatever stands between may act by it.
    let mut response = Call::begin(protocol).finish(refused);
    *response.status_mut() = refusal.status;
    response
}

async fn try_answer(
    app: &Arc<App>,
    call: &mut Call,
    request: Request<Body>,
) -> Result<Answer, SqsError> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    if method != Method::GET && method != Method::POST {
        let message = format!("{method} is not a method of SQS; these are GET and POST.");
        return Err(SqsError::new(ErrorKind::InvalidAction, message));
    }
    // Of a GET the header says nothing: it is read as the query protocol.
    let target = target(request.headers()).filter(|_| method == Method::POST);
    let class = target.map_or(Class::Finish, class_of);
    let limit = shoal_sqs::limits::BODY_BYTES_MAX;
    let taken = intake::take(&app.admission, class, request, limit).await;
    let mut taken = taken.map_err(|problem| problems::error(&problem))?;
    let incoming = Incoming {
        method: &method,
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: &taken.headers,
        body: &taken.body,
    };
    let caller = Caller::of(app, &incoming)?;
    let operation = shoal_sqs::read(&incoming, &caller.scope)?;
    call.is(operation.name());
    if target.is_none() {
        let place = &taken.place;
        let fits = place.turns_out(class_of(operation.name()));
        fits.map_err(|problem| problems::error(&problem))?;
    }
    caller.check_operation(operation.name())?;
    let base = addresses::base(&app.public_url, &taken.headers, &uri);
    let Taken { place, .. } = &mut taken;
    let session = Session::new(app, caller, operation.name(), base, call.started);
    execute(&session, place, operation).await
}

/// The operation that a request in JSON names, known before its body.
fn target(headers: &HeaderMap) -> Option<OperationName> {
    let target = headers.get(TARGET)?.to_str().ok()?;
    OperationName::of(target.strip_prefix(TARGET_PREFIX)?)
}

fn class_of(operation: OperationName) -> Class {
    match operation {
        OperationName::SendMessage | OperationName::SendMessageBatch => Class::Send,
        OperationName::ReceiveMessage => Class::Receive,
        _ => Class::Finish,
    }
}

async fn execute(
    session: &Session<'_>,
    place: &mut crate::admission::Place,
    operation: Operation,
) -> Result<Answer, SqsError> {
    match operation {
        Operation::AddPermission(asked) => permissions::add(session, asked).await,
        Operation::CancelMessageMoveTask(asked) => move_tasks::cancel(session, &asked).await,
        Operation::ChangeMessageVisibility(asked) => {
            receipts::change_visibility(session, asked).await
        }
        Operation::ChangeMessageVisibilityBatch(asked) => {
            receipts::change_visibility_batch(session, asked).await
        }
        Operation::CreateQueue(asked) => queues::create(session, asked).await,
        Operation::DeleteMessage(asked) => receipts::delete(session, asked).await,
        Operation::DeleteMessageBatch(asked) => receipts::delete_batch(session, asked).await,
        Operation::DeleteQueue(asked) => queues::delete(session, &asked).await,
        Operation::GetQueueAttributes(asked) => attributes::get(session, &asked).await,
        Operation::GetQueueUrl(asked) => queues::url(session, &asked).await,
        Operation::ListDeadLetterSourceQueues(asked) => queues::sources(session, &asked).await,
        Operation::ListMessageMoveTasks(asked) => move_tasks::list(session, &asked).await,
        Operation::ListQueueTags(asked) => tags::list(session, &asked).await,
        Operation::ListQueues(asked) => queues::list(session, &asked),
        Operation::PurgeQueue(asked) => purge::purge(session, &asked).await,
        Operation::ReceiveMessage(asked) => receive::receive(session, place, asked).await,
        Operation::RemovePermission(asked) => permissions::remove(session, asked).await,
        Operation::SendMessage(asked) => send::one(session, asked).await,
        Operation::SendMessageBatch(asked) => send::batch(session, asked).await,
        Operation::SetQueueAttributes(asked) => attributes::set(session, asked).await,
        Operation::StartMessageMoveTask(asked) => move_tasks::start(session, &asked).await,
        Operation::TagQueue(asked) => tags::add(session, asked).await,
        Operation::UntagQueue(asked) => tags::remove(session, asked).await,
    }
}
