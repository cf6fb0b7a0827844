//! Sending messages: what a request asks for and how it is answered.

mod batch;
mod raw;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use shoal_api::Problem;
use shoal_types::limits;

use super::call::Call;
use super::headers::{self, ContentType, content_type};
use super::path::{QueuePart, queue_name};
use super::{Shared, body};
use crate::admission::Class;
use crate::app::App;
use crate::limits::MESSAGES_BODY_BYTES_MAX;
use crate::operations::Sending;
use batch::Batch;

/// `POST /v1/queues/{queue}/messages`
pub(super) async fn send(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("send");
    let sent = try_send(&app, &call, queue, request).await;
    call.finish(sent)
}

async fn try_send(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let limit = match content_type(request.headers()) {
        ContentType::Json => MESSAGES_BODY_BYTES_MAX,
        _ => limits::MESSAGE_BYTES_MAX,
    };
    let taken = body::take(&app.admission, Class::Send, request, limit).await?;
    let name = queue_name(queue)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let batch = Arc::new(Batch::read(&taken)?);
    let mut sending = Sending::new(Arc::clone(&batch), deadline);
    let sent = app.on_queue(&name, deadline, &mut sending).await?;
    batch.answer(&sent)
}
