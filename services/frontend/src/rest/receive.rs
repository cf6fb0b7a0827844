//! Receiving messages: what a request asks for and how it is answered.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use shoal_api::{Problem, ReceiveAnswer, ReceiveRequest, ReceivedMessage, Whole, keys};

use super::call::{Call, json};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers};
use crate::admission::Class;
use crate::app::App;
use crate::limits::SETTINGS_BODY_BYTES_MAX;
use crate::operations::{self, Given, Wanted, wait};

/// `POST /v1/queues/{queue}/messages/receive`
///
/// Should the client go away while it waits, this is dropped, and with it the call to the host, which
/// then forgets the waiter.
pub(super) async fn receive(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("receive");
    let received = try_receive(&app, &call, queue, request).await;
    call.finish(received)
}

async fn try_receive(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let limit = SETTINGS_BODY_BYTES_MAX;
    let mut taken = body::take(&app.admission, Class::Receive, request, limit).await?;
    let name = queue_name(queue)?;
    let asked: ReceiveRequest = taken.json_or_default()?;
    let attempt = headers::idempotency_key(&taken.headers)?.map(keys::of_attempt);
    // The queue says how long to wait if the request does not.
    let without_wait = headers::deadline(&taken.headers, call.started, Duration::ZERO)?;
    let route = app.find(&name, without_wait).await?;
    let wait = wait(asked.wait_s.map(Whole::get), &route, &mut taken.place);
    let deadline = headers::deadline(&taken.headers, call.started, wait)?;
    let wanted = Wanted {
        max: asked.max.map_or(1, |max| max.get() as u16),
        visibility: asked.visibility_timeout_s.map(Whole::seconds),
        attempt: attempt.filter(|_| !asked.auto_ack),
        auto_ack: asked.auto_ack,
    };
    let given = operations::receive(app, &name, wanted, deadline).await?;
    let shown = |given: Given| {
        let dead_from = given.delivery.dead_from.as_ref();
        let died_in = dead_from.and_then(|dead_from| app.routes.name(dead_from.queue));
        let (delivery, payload) = (given.delivery, given.message.payload);
        ReceivedMessage::new(given.partition, delivery, payload, asked.auto_ack, died_in)
    };
    let messages = given.into_iter().map(shown).collect();
    Ok(json(StatusCode::OK, &ReceiveAnswer { messages }))
}
