//! Tasks that move a queue's messages: start, show, end. The manager has them and does them.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use shoal_api::redrive::CancelRedrive;
use shoal_api::{Problem, REDRIVES_SHOWN_MAX, RedriveBody, RedriveList, RedriveTask};

use super::call::{Call, json};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers};
use crate::admission::Class;
use crate::app::App;
use crate::limits::SETTINGS_BODY_BYTES_MAX;

/// `POST /v1/queues/{queue}/redrive`
pub(super) async fn start(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("start_redrive");
    let started = try_start(&app, &call, queue, request).await;
    call.finish(started)
}

async fn try_start(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let limit = SETTINGS_BODY_BYTES_MAX;
    let taken = body::take(&app.admission, Class::Finish, request, limit).await?;
    let name = queue_name(queue)?;
    let asked = taken.json_or_default::<RedriveBody>()?.request(name)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let task = deadline.bound(app.manager.start_redrive(&asked)).await?;
    Ok(json(StatusCode::ACCEPTED, &RedriveTask::from(task)))
}

/// `GET /v1/queues/{queue}/redrive`
pub(super) async fn list(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("list_redrives");
    let shown = try_list(&app, &call, queue, request).await;
    call.finish(shown)
}

async fn try_list(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let queue = queue_name(queue)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let tasks = deadline.bound(app.manager.redrives(&queue)).await?;
    let newest = tasks.into_iter().take(REDRIVES_SHOWN_MAX);
    let redrives = newest.map(RedriveTask::from).collect();
    Ok(json(StatusCode::OK, &RedriveList { redrives }))
}

/// `DELETE /v1/queues/{queue}/redrive`
pub(super) async fn cancel(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("cancel_redrive");
    let cancelled = try_cancel(&app, &call, queue, request).await;
    call.finish(cancelled)
}

async fn try_cancel(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let queue = queue_name(queue)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    // Whichever is under way.
    let cancelled = app.manager.cancel_redrive(&queue, CancelRedrive::default());
    let task = deadline.bound(cancelled).await?;
    Ok(json(StatusCode::OK, &RedriveTask::from(task)))
}
