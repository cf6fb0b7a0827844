//! Finishing with messages: acknowledge, extend, release.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::de::DeserializeOwned;
use shoal_api::receipts::{ReceiptTexts, invalid_receipt, parse};
use shoal_api::{
    AckRequest, ExtendRequest, Problem, ReceiptAnswer, ReceiptFailure, ReceiptItem, ReleaseRequest,
    Whole,
};

use super::call::{Call, json};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers};
use crate::admission::Class;
use crate::app::App;
use crate::limits::RECEIPTS_BODY_BYTES_MAX;
use crate::operations::{Finish, Foreign, Wish};

/// `POST /v1/queues/{queue}/messages/ack`
pub(super) async fn acknowledge(
    State(app): Shared,
    queue: QueuePart,
    request: Request,
) -> Response {
    let wish = |asked: AckRequest| (Wish::Acknowledge, asked.receipts);
    answer("acknowledge", &app, queue, request, wish).await
}

/// `POST /v1/queues/{queue}/messages/extend`
pub(super) async fn extend(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let wish = |asked: ExtendRequest| {
        let each = asked.visibility_timeout_s.seconds();
        let count = asked.receipts.as_slice().len();
        (Wish::Extend(vec![each; count]), asked.receipts)
    };
    answer("extend", &app, queue, request, wish).await
}

/// `POST /v1/queues/{queue}/messages/release`
pub(super) async fn release(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let wish = |asked: ReleaseRequest| {
        (
            Wish::Release(asked.delay_s.map_or(0, Whole::seconds)),
            asked.receipts,
        )
    };
    answer("release", &app, queue, request, wish).await
}

async fn answer<T: DeserializeOwned>(
    operation: &'static str,
    app: &App,
    queue: QueuePart,
    request: Request,
    wish: impl FnOnce(T) -> (Wish, ReceiptTexts),
) -> Response {
    let call = Call::begin(operation);
    let answer = try_answer(app, &call, queue, request, wish).await;
    call.finish(answer)
}

async fn try_answer<T: DeserializeOwned>(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
    wish: impl FnOnce(T) -> (Wish, ReceiptTexts),
) -> Result<Response, Problem> {
    let limit = RECEIPTS_BODY_BYTES_MAX;
    let taken = body::take(&app.admission, Class::Finish, request, limit).await?;
    let name = queue_name(queue)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let (wish, texts) = wish(taken.json()?);
    let receipts = parse(&texts)?;
    let mut finish = Finish::new(wish, receipts, Foreign::FailsAll, deadline);
    let results = app.on_queue(&name, deadline, &mut finish).await?;
    let items = texts.into_vec().into_iter().zip(results);
    let receipts: Vec<_> = items
        .map(|(text, result)| match result {
            Some(result) => ReceiptItem::new(text, result),
            None => ReceiptItem::unavailable(text),
        })
        .collect();
    if receipts
        .iter()
        .all(|item| item.reason == Some(ReceiptFailure::Unknown))
    {
        return Err(invalid_receipt(0, ReceiptFailure::Unknown.detail()));
    }
    let all_done = receipts.iter().all(|item| item.ok);
    let status = if all_done {
        StatusCode::OK
    } else {
        StatusCode::MULTI_STATUS
    };
    Ok(json(status, &ReceiptAnswer { receipts }))
}
