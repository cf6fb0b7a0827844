//! Receiving messages.

mod attempts;
mod several;
mod stopping;

use std::time::Duration;

use shoal_api::Problem;
use shoal_types::limits::RECEIVE_BYTES_MAX;
use shoal_types::{
    AttemptKey, Command, Delivery, Micros, Outcome, PartitionId, PartitionRoute, QueueRoute, Ts,
};
use tokio::time::Instant;

use super::stored::{self, StoredMessage};
use super::unexpected;
use crate::admission::Place;
use crate::app::{App, QueueOperation};
use crate::dispatch::{Answer, Deadline};
use crate::limits::CUT_SHORT_BY;
use crate::partitions::{for_receives, not_there_yet};

pub(crate) use several::Turns;
pub(crate) use stopping::receive;

/// How long to wait for a message, as asked for or else as the queue says; not at all if too many wait
/// already.
pub(crate) fn wait(asked_s: Option<u64>, route: &QueueRoute, place: &mut Place) -> Duration {
    let seconds = asked_s.unwrap_or_else(|| route.settings.receive_wait_s.into());
    if seconds > 0 && place.wait() {
        Duration::from_secs(seconds)
    } else {
        Duration::ZERO
    }
}

/// What a client wants.
pub(crate) struct Wanted {
    /// At most so many messages.
    pub(crate) max: u16,
    /// How long they stay hidden, if not as the queue says.
    pub(crate) visibility: Option<Micros>,
    /// Says that it is the same again. Where messages are deleted as they are given, nothing is.
    pub(crate) attempt: Option<AttemptKey>,
    /// They are deleted as they are given.
    pub(crate) auto_ack: bool,
}

/// A message in a consumer's hands.
pub(crate) struct Given {
    pub(crate) partition: PartitionId,
    pub(crate) delivery: Delivery,
    pub(crate) message: StoredMessage,
}

/// A request on its way.
struct Receive {
    wanted: Wanted,
    deadline: Deadline,
    /// Until then it may wait for a message.
    wait_until: Instant,
    found: Found,
}

/// What was received so far.
#[derive(Default)]
struct Found {
    messages: Vec<Given>,
    /// Of their stored forms, and of those that were held back.
    bytes: usize,
    /// Where messages were held back since their stored bytes are damaged.
    damaged: Option<PartitionId>,
}

impl QueueOperation for Receive {
    /// The messages, smallest number first; none if nothing came in time.
    type Done = Vec<Given>;

    async fn run(&mut self, app: &App, route: &QueueRoute) -> Result<Vec<Given>, Problem> {
        let mut places = for_receives(route);
        let from = *places.next().ok_or_else(|| not_there_yet(route))?;
        if places.next().is_some() {
            return Box::pin(self.run_on_several(app, route)).await;
        }
        let wait = self.deadline.wait;
        let command = |now: Ts| self.command(&from, self.wanted.max, now, wait);
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
    fn new(wanted: Wanted, deadline: Deadline) -> Self {
        Self {
            wanted,
            deadline,
            wait_until: Instant::now() + deadline.wait,
            found: Found::default(),
        }
    }

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
            visibility: self.wanted.visibility,
            wait_until: (wait > 0).then(|| now.after(wait)),
            attempt: self.wanted.attempt,
            auto_ack: self.wanted.auto_ack,
        }
    }

    /// Adds what a partition gave.
    fn take(&mut self, from: &PartitionRoute, answer: Answer<Outcome>) -> Result<(), Problem> {
        let deliveries = match answer.reply {
            Outcome::Received(deliveries) if deliveries.len() == answer.bodies.len() => deliveries,
            other => return Err(unexpected(&other)),
        };
        let found = &mut self.found;
        let message = |(delivery, bytes): (Delivery, bytes::Bytes)| {
            found.bytes += bytes.len();
            let read = stored::read(from.partition, delivery.sequence, delivery.crc, &bytes);
            let Some(message) = read else {
                found.damaged = Some(from.partition);
                return None;
            };
            Some(Given {
                partition: from.partition,
                delivery,
                message,
            })
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

    fn answer(&mut self) -> Result<Vec<Given>, Problem> {
        let messages = std::mem::take(&mut self.found.messages);
        match self.found.damaged {
            Some(partition) if messages.is_empty() => Err(stored::nothing_intact(partition)),
            _ => Ok(messages),
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
