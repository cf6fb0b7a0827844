//! Getting messages to their partitions, whatever becomes of these meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shoal_api::Problem;
use shoal_types::{
    Command, DedupKey, Deduplication, GroupHash, GroupName, Micros, Outcome, PartitionId,
    PartitionRoute, QueueRoute, QueueSettings, Seal, SendItem, SendResult, group_hash,
};

use super::unexpected;
use crate::app::{App, QueueOperation};
use crate::dispatch::{Deadline, Pause};
use crate::partitions::{self, in_partition, is_not_there, only_one_for_sends};

/// A request's messages as their protocol has them, which know what they are in a certain queue.
pub(crate) trait Messages: Send + Sync {
    /// What goes to hosts, for a queue with these settings: one item for each message.
    ///
    /// # Errors
    /// If the queue does not take one of them. Nothing was sent then.
    fn wire(&self, settings: &QueueSettings) -> Result<Wire, Problem>;

    /// Where a message belongs if its queue has several partitions; `any`: where those go that may go
    /// anywhere.
    fn hash(&self, item: &SendItem, any: GroupHash) -> GroupHash {
        home_of(item, any)
    }
}

/// What became of one message: what its partition said of it, or why that was not asked or said nothing.
pub(crate) type Sent = Result<(PartitionId, SendResult), Problem>;

/// Messages as hosts take them.
#[derive(Default)]
pub(crate) struct Wire {
    items: Vec<SendItem>,
    /// One per item.
    bodies: Vec<Bytes>,
}

/// A message's place and time: all of it that is not in its stored form.
pub(crate) struct Envelope {
    pub(crate) delay: Option<Micros>,
    pub(crate) ttl: Option<Micros>,
    pub(crate) group: Option<GroupName>,
    pub(crate) deduplication: Option<Deduplication>,
}

impl Wire {
    /// Adds a message.
    pub(crate) fn push(&mut self, envelope: Envelope, stored: Bytes) {
        let Envelope {
            delay,
            ttl,
            group,
            deduplication,
        } = envelope;
        self.items.push(SendItem {
            size: u32::try_from(stored.len()).expect("messages are limited to 1 MiB"),
            crc: crc32c::crc32c(&stored),
            delay,
            ttl,
            group,
            deduplication,
        });
        self.bodies.push(stored);
    }

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

/// Where a message belongs: to its group. Without one, what says of it that it is the same again decides,
/// so that it is found to be; and else it is all the same. Never changes: frontends of different releases
/// must agree.
pub(crate) fn home_of(item: &SendItem, any: GroupHash) -> GroupHash {
    match (&item.group, &item.deduplication) {
        (Some(group), _) => group_hash(group),
        (None, Some(Deduplication { key, .. })) => of_key(key),
        (None, None) => any,
    }
}

/// Where a message belongs of which only its key decides.
pub(crate) fn of_key(key: &DedupKey) -> GroupHash {
    GroupHash::from_be_bytes([key[0], key[1], key[2], key[3]])
}

/// A request's messages on their way.
pub(crate) struct Sending<M> {
    messages: M,
    deadline: Deadline,
    /// Where messages go that may go anywhere: one choice for all of the request's attempts.
    any: GroupHash,
    /// What became of each message. Empty as long as all go to one partition.
    sent: Vec<Option<Sent>>,
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

impl<M: Messages> QueueOperation for Sending<M> {
    /// What became of each message, in order.
    type Done = Vec<Sent>;

    async fn run(&mut self, app: &App, route: &QueueRoute) -> Result<Vec<Sent>, Problem> {
        let wire = match self.messages.wire(&route.settings) {
            Ok(wire) => wire,
            Err(problem) => return self.fail(problem),
        };
        if self.sent.is_empty()
            && let Some(to) = only_one_for_sends(route)
        {
            match deliver(app, route, &to, &wire, self.deadline).await? {
                Delivered::Sent(results) => {
                    let sent = |result| Ok((to.partition, result));
                    return Ok(results.into_iter().map(sent).collect());
                }
                Delivered::Sealed(seal) => {
                    let newest = app.routes.seal(route, &seal);
                    return Box::pin(self.divide(app, &newest, &wire, Some(&seal))).await;
                }
            }
        }
        Box::pin(self.divide(app, route, &wire, None)).await
    }

    fn fail(&mut self, problem: Problem) -> Result<Vec<Sent>, Problem> {
        if self.sent.is_empty() {
            return Err(problem);
        }
        for unsent in self.sent.iter_mut().filter(|sent| sent.is_none()) {
            *unsent = Some(Err(problem.clone()));
        }
        Ok(self.fates())
    }
}

impl<M: Messages> Sending<M> {
    pub(crate) fn new(messages: M, deadline: Deadline) -> Self {
        Self {
            messages,
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
    ) -> Result<Vec<Sent>, Problem> {
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
            None => Ok(self.fates()),
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
            let hash = self.messages.hash(&wire.items[index], self.any);
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

    fn fates(&mut self) -> Vec<Sent> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.map(|sent| sent.expect("every message's fate is known by now"))
            .collect()
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
            Outcome::Closed { waits_for, .. } => {
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
