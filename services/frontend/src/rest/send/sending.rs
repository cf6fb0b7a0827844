//! Getting messages to their partitions, whatever becomes of these meanwhile.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shoal_api::Problem;
use shoal_types::{
    Command, GroupHash, Outcome, PartitionId, PartitionRoute, QueueRoute, Seal, SendItem,
    SendResult,
};

use super::Batch;
use crate::app::{App, QueueOperation};
use crate::dispatch::{Deadline, Pause};
use crate::partitions::{self, in_partition, is_not_there, only_one_for_sends};
use crate::rest::unexpected;

/// A request's messages on their way.
pub(super) struct Sending {
    batch: Batch,
    deadline: Deadline,
    /// Where messages go that may go anywhere: one choice for all of the request's attempts.
    any: GroupHash,
    /// What became of each message. Empty as long as all go to one partition.
    sent: Vec<Option<Result<(PartitionId, SendResult), Problem>>>,
}

/// Messages that go to one partition.
struct Part {
    to: PartitionRoute,
    /// Which messages of the request, in its order.
    indices: Vec<usize>,
}

/// How a partition answered.
enum Delivered {
    Sent(Vec<SendResult>),
    /// It takes no sends any more. Nothing was applied.
    Sealed(Arc<Seal>),
}

/// The messages of a request as hosts take them.
struct Wire {
    items: Vec<SendItem>,
    /// One per item.
    bodies: Vec<Bytes>,
}

impl QueueOperation for Sending {
    type Done = Response;

    async fn run(&mut self, app: &App, route: &QueueRoute) -> Result<Response, Problem> {
        let wire = match self.batch.items(&route.settings) {
            Ok((items, bodies)) => Wire { items, bodies },
            Err(problem) => return self.fail(problem),
        };
        if self.sent.is_empty()
            && let Some(to) = only_one_for_sends(route)
        {
            match deliver(app, route, &to, &wire, self.deadline).await? {
                Delivered::Sent(results) => {
                    let results = results.iter().map(|result| Ok((to.partition, *result)));
                    return self.batch.answer(results);
                }
                Delivered::Sealed(seal) => {
                    let newest = app.routes.seal(route, &seal);
                    return Box::pin(self.divide(app, &newest, &wire, Some(&seal))).await;
                }
            }
        }
        Box::pin(self.divide(app, route, &wire, None)).await
    }

    fn fail(&mut self, problem: Problem) -> Result<Response, Problem> {
        if self.sent.is_empty() {
            return Err(problem);
        }
        for unsent in self.sent.iter_mut().filter(|sent| sent.is_none()) {
            *unsent = Some(Err(problem.clone()));
        }
        self.answer()
    }
}

impl Sending {
    pub(super) fn new(batch: Batch, deadline: Deadline) -> Self {
        Self {
            batch,
            deadline,
            any: rand::random(),
            sent: Vec::new(),
        }
    }

    /// Sends what is not sent yet, each message to the partition of its group, and on to the successors
    /// of those that turn out to be sealed, the first of which may be known.
    async fn divide(
        &mut self,
        app: &App,
        route: &QueueRoute,
        wire: &Wire,
        sealed: Option<&Seal>,
    ) -> Result<Response, Problem> {
        self.sent.resize(wire.items.len(), None);
        let unsent = (0..wire.items.len()).filter(|index| self.sent[*index].is_none());
        let mut newest = None::<Arc<QueueRoute>>;
        let mut lost = None;
        let mut running = FuturesUnordered::new();
        let begin = move |part: Part, route: Arc<QueueRoute>, deadline: Deadline| async move {
            let some = wire.part(&part.indices);
            let delivered = deliver(app, &route, &part.to, &some, deadline).await;
            (part, delivered)
        };
        let first = Arc::new(route.clone());
        for part in self.parts(route, wire, unsent, sealed)? {
            running.push(begin(part, Arc::clone(&first), self.deadline));
        }
        while let Some((part, delivered)) = running.next().await {
            match delivered {
                Ok(Delivered::Sent(results)) => {
                    for (index, result) in part.indices.iter().zip(results) {
                        self.sent[*index] = Some(Ok((part.to.partition, result)));
                    }
                }
                Ok(Delivered::Sealed(seal)) => {
                    let known = newest.as_ref().unwrap_or(&first);
                    let route = app.routes.seal(known, &seal);
                    match self.parts(&route, wire, part.indices.iter().copied(), Some(&seal)) {
                        Ok(parts) => {
                            for part in parts {
                                running.push(begin(part, Arc::clone(&route), self.deadline));
                            }
                        }
                        Err(problem) => self.note_failure(&part, &problem),
                    }
                    newest = Some(route);
                }
                Err(problem) if is_not_there(&problem) => lost = Some(problem),
                Err(problem) => self.note_failure(&part, &in_partition(&part.to, &problem)),
            }
        }
        match lost {
            // The rest is known; these are sent again with a newer route.
            Some(problem) => Err(problem),
            None => self.answer(),
        }
    }

    /// Divides messages by their partitions. Those of one that was sealed go to its successors, even if
    /// the route knows of none.
    fn parts(
        &self,
        route: &QueueRoute,
        wire: &Wire,
        indices: impl Iterator<Item = usize>,
        sealed: Option<&Seal>,
    ) -> Result<Vec<Part>, Problem> {
        let mut parts = Vec::<Part>::new();
        for index in indices {
            let hash = self.batch.hash(index, &wire.items[index], self.any);
            let to = home(route, hash, sealed)?;
            match parts
                .iter_mut()
                .find(|part| part.to.partition == to.partition)
            {
                Some(part) => part.indices.push(index),
                None => parts.push(Part {
                    to,
                    indices: vec![index],
                }),
            }
        }
        Ok(parts)
    }

    fn note_failure(&mut self, part: &Part, problem: &Problem) {
        for index in &part.indices {
            self.sent[*index] = Some(Err(problem.clone()));
        }
    }

    fn answer(&self) -> Result<Response, Problem> {
        let results = self.sent.iter().map(|sent| {
            let sent = sent.as_ref().expect("every message's fate is known by now");
            sent.as_ref().copied()
        });
        self.batch.answer(results)
    }
}

impl Wire {
    fn part(&self, indices: &[usize]) -> Self {
        Self {
            items: indices
                .iter()
                .map(|index| self.items[*index].clone())
                .collect(),
            bodies: indices
                .iter()
                .map(|index| self.bodies[*index].clone())
                .collect(),
        }
    }
}

/// The partition of messages with this hash, of which one has just shown this seal.
fn home(
    route: &QueueRoute,
    hash: GroupHash,
    sealed: Option<&Seal>,
) -> Result<PartitionRoute, Problem> {
    let found = partitions::for_sends(route, hash);
    let Some(seal) = sealed else {
        return found;
    };
    match found {
        // So every step leads to a later epoch, and they end.
        Ok(place) if place.epoch > seal.epoch => Ok(place),
        _ => partitions::successor(seal, hash).ok_or_else(|| partitions::not_there_yet(route)),
    }
}

/// Sends messages to one partition, which is opened if it is not open yet.
async fn deliver(
    app: &App,
    route: &QueueRoute,
    to: &PartitionRoute,
    wire: &Wire,
    deadline: Deadline,
) -> Result<Delivered, Problem> {
    let mut pause = Pause::default();
    let mut was_closed = false;
    loop {
        let command = |_| Command::Send {
            partition: to.partition,
            items: wire.items.clone(),
        };
        let sent = app
            .dispatcher
            .execute(to.cluster, deadline, &wire.bodies, command);
        match sent.await?.reply {
            Outcome::Sent(results) if results.len() == wire.items.len() => {
                return Ok(Delivered::Sent(results));
            }
            Outcome::Sealed(seal) if seal.partition == to.partition => {
                return Ok(Delivered::Sealed(Arc::from(seal)));
            }
            Outcome::Closed { waits_for } => {
                // The host that was asked may not know yet that another one has opened it.
                if std::mem::replace(&mut was_closed, true) && !pause.wait(deadline).await {
                    return Err(crate::openings::not_open(to, &waits_for));
                }
                Box::pin(app.open(route, to, waits_for, deadline)).await?;
            }
            other => return Err(unexpected(&other)),
        }
    }
}
