//! Emptying a queue.

use axum::extract::{Request, State};
use axum::response::Response;
use shoal_api::Problem;

use super::call::{Call, no_content};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers};
use crate::admission::Class;
use crate::app::App;
use crate::limits::SETTINGS_BODY_BYTES_MAX;
use crate::operations::Purge;

/// `POST /v1/queues/{queue}/purge`
pub(super) async fn purge(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("purge");
    let purged = try_purge(&app, &call, queue, request).await;
    call.finish(purged)
}

/// What a purge takes: nothing yet.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn try_purge(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let taken = body::take(
        &app.admission,
        Class::Finish,
        request,
        SETTINGS_BODY_BYTES_MAX,
    )
    .await?;
    let name = queue_name(queue)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    taken.json_or_default::<Nothing>()?;
    app.on_queue(&name, deadline, &mut Purge::new(deadline))
        .await?;
    Ok(no_content())
}
