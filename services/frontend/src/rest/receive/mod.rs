//! Receiving messages: what a request asks for and how it is answered.

mod attempts;
mod several;

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use shoal_api::{Problem, ReceiveAnswer, ReceiveRequest, ReceivedMessage, Whole, keys};
use shoal_types::limits::RECEIVE_BYTES_MAX;
use shoal_types::{
    AttemptKey, Command, Delivery, Micros, Outcome, PartitionId, PartitionRoute, QueueRoute, Ts,
};
use tokio::time::Instant;

use super::call::{Call, json};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers, stored, unexpected};
use crate::admission::{Class, Place};
use crate::app::{App, QueueOperation};
use crate::dispatch::{Answer, Deadline};
use crate::limits::{CUT_SHORT_BY, SETTINGS_BODY_BYTES_MAX};
use crate::partitions::{for_receives, not_there_yet};

pub(crate) use several::Turns;

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
    let mut receive = Receive {
        max: asked.max.map_or(1, |max| max.get() as u16),
        visibility: asked.visibility_timeout_s.map(Whole::seconds),
        attempt: attempt.filter(|_| !asked.auto_ack),
        auto_ack: asked.auto_ack,
        deadline,
        wait_until: Instant::now() + deadline.wait,
        found: Found::default(),
    };
    let answer = app.on_queue(&name, deadline, &mut receive).await?;
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

/// A request on its way.
struct Receive {
    max: u16,
    visibility: Option<Micros>,
    /// Says that it is the same again. Where messages are deleted as they are given, nothing is.
    attempt: Option<AttemptKey>,
    auto_ack: bool,
    deadline: Deadline,
    /// Until then it may wait for a message.
    wait_until: Instant,
    found: Found,
}

/// What was received so far.
#[derive(Default)]
struct Found {
    messages: Vec<ReceivedMessage>,
    /// Of their stored forms, and of those that were held back.
    bytes: usize,
    /// Where messages were held back since their stored bytes are damaged.
    damaged: Option<PartitionId>,
}

impl QueueOperation for Receive {
    type Done = ReceiveAnswer;

    async fn run(&mut self, app: &App, route: &QueueRoute) -> Result<ReceiveAnswer, Problem> {
        let mut places = for_receives(route);
        let from = *places.next().ok_or_else(|| not_there_yet(route))?;
        if places.next().is_some() {
            return Box::pin(self.run_on_several(app, route)).await;
        }
        let wait = self.deadline.wait;
        let command = |now: Ts| self.command(&from, self.max, now, wait);
        let received = app
            .dispatcher
            .execute(from.cluster, self.deadline, &[], command);
        let answer = received.await?;
        self.take(&from, answer)?;
        if self.found.is_empty() && self.was_cut_short() && app.is_sealed(route, &from).await {
            // What comes now comes to other partitions.
            return Box::pin(self.run_on_several(app, route)).await;
        }
        self.answer()
    }
}

impl Receive {
    /// True if more of the wait is left than clocks may differ by. So it is if the partition was sealed,
    /// which ends all waits there, and if there are as many already as there may be.
    fn was_cut_short(&self) -> bool {
        Instant::now() + CUT_SHORT_BY < self.wait_until
    }

    /// What a host is asked for.
    fn command(&self, from: &PartitionRoute, max: u16, now: Ts, wait: Duration) -> Command {
        let wait = wait.as_micros() as Micros;
        Command::Receive {
            partition: from.partition,
            max,
            visibility: self.visibility,
            wait_until: (wait > 0).then(|| now.after(wait)),
            attempt: self.attempt,
            auto_ack: self.auto_ack,
        }
    }

    /// Adds what a partition gave.
    fn take(&mut self, from: &PartitionRoute, answer: Answer<Outcome>) -> Result<(), Problem> {
        let deliveries = match answer.reply {
            Outcome::Received(deliveries) if deliveries.len() == answer.bodies.len() => deliveries,
            other => return Err(unexpected(&other)),
        };
        let (auto_ack, found) = (self.auto_ack, &mut self.found);
        let message = |(delivery, bytes): (Delivery, bytes::Bytes)| {
            found.bytes += bytes.len();
            let payload = stored::read(from.partition, delivery.sequence, delivery.crc, &bytes);
            let Some(payload) = payload else {
                found.damaged = Some(from.partition);
                return None;
            };
            Some(ReceivedMessage::new(
                from.partition,
                delivery,
                payload,
                auto_ack,
            ))
        };
        let messages = deliveries.into_iter().zip(answer.bodies);
        let messages: Vec<_> = messages.filter_map(message).collect();
        if self.found.messages.is_empty() {
            self.found.messages = messages;
        } else {
            self.found.messages.extend(messages);
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<ReceiveAnswer, Problem> {
        let messages = std::mem::take(&mut self.found.messages);
        match self.found.damaged {
            Some(partition) if messages.is_empty() => Err(stored::nothing_intact(partition)),
            _ => Ok(ReceiveAnswer { messages }),
        }
    }
}

impl Found {
    fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// How many more messages are wanted.
    fn room(&self, max: u16) -> u16 {
        if self.bytes >= RECEIVE_BYTES_MAX {
            return 0;
        }
        max.saturating_sub(u16::try_from(self.messages.len()).unwrap_or(u16::MAX))
    }
}
