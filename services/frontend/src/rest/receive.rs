//! Receiving messages.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use shoal_api::{Problem, ReceiveAnswer, ReceiveRequest, ReceivedMessage, Whole, keys};
use shoal_types::{AttemptKey, Command, Delivery, Micros, Outcome, PartitionRoute, QueueRoute};

use super::call::{Call, json};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers, stored, unexpected};
use crate::admission::{Class, Place};
use crate::app::{App, QueueOperation};
use crate::dispatch::{Answer, Deadline};
use crate::limits::SETTINGS_BODY_BYTES_MAX;

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
    let wait = wait(&asked, &route, &mut taken.place);
    let deadline = headers::deadline(&taken.headers, call.started, wait)?;
    let receive = Receive {
        asked,
        attempt,
        deadline,
    };
    let answer = app.on_queue(&name, deadline, &receive).await?;
    Ok(json(StatusCode::OK, &answer))
}

/// How long to wait for a message; not at all if too many wait already.
fn wait(asked: &ReceiveRequest, route: &QueueRoute, place: &mut Place) -> Duration {
    let default = u64::from(route.settings.receive_wait_s);
    let seconds = asked.wait_s.map_or(default, Whole::get);
    if seconds > 0 && place.wait() {
        Duration::from_secs(seconds)
    } else {
        Duration::ZERO
    }
}

struct Receive {
    asked: ReceiveRequest,
    attempt: Option<AttemptKey>,
    deadline: Deadline,
}

impl QueueOperation for Receive {
    type Done = ReceiveAnswer;

    async fn run(&self, app: &App, route: &QueueRoute) -> Result<ReceiveAnswer, Problem> {
        // At present there is one partition. With several, the oldest that has something serves.
        let from = App::partition_for_receives(route)?;
        let wait = self.deadline.wait.as_micros() as Micros;
        let command = |now: shoal_types::Ts| Command::Receive {
            partition: from.partition,
            max: self.asked.max.map_or(1, |max| max.get() as u16),
            visibility: self.asked.visibility_timeout_s.map(Whole::seconds),
            wait_until: (wait > 0).then(|| now.after(wait)),
            attempt: self.attempt,
            auto_ack: self.asked.auto_ack,
        };
        let answer = app
            .dispatcher
            .execute(from.cluster, self.deadline, Vec::new(), command)
            .await?;
        self.messages(from, answer)
    }
}

impl Receive {
    fn messages(
        &self,
        from: PartitionRoute,
        answer: Answer<Outcome>,
    ) -> Result<ReceiveAnswer, Problem> {
        let deliveries = match answer.reply {
            Outcome::Received(deliveries) if deliveries.len() == answer.bodies.len() => deliveries,
            other => return Err(unexpected(&other)),
        };
        let auto_ack = self.asked.auto_ack;
        let message = |(delivery, bytes): (Delivery, bytes::Bytes)| {
            let payload = stored::read(from.partition, delivery.sequence, delivery.crc, &bytes)?;
            Some(ReceivedMessage::new(
                from.partition,
                delivery,
                payload,
                auto_ack,
            ))
        };
        let count = deliveries.len();
        let messages: Vec<_> = deliveries
            .into_iter()
            .zip(answer.bodies)
            .filter_map(message)
            .collect();
        if messages.is_empty() && count > 0 {
            return Err(stored::nothing_intact(from.partition));
        }
        Ok(ReceiveAnswer { messages })
    }
}
