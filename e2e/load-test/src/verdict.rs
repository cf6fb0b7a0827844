//! What was promised and not kept.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::limits::EXAMPLES_PER_KIND;

/// A way to break a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A send was accepted, the queue is empty, and nobody ever received the message.
    Lost,
    /// A message was received, never deleted by its receiver, and is gone.
    Vanished,
    /// A message was delivered by a receive that began after its delete had been answered.
    Returned,
    /// A message was delivered again while its lease lasted.
    TwoReceivers,
    /// One send gave two messages.
    SentTwice,
    /// Two messages have the same number.
    NumberTwice,
    /// A number was never given to a message, though larger ones were.
    NumberMissing,
    /// A send that began after another was accepted got a smaller number.
    OutOfOrder,
    /// A group's messages came in another order, or the next before the last was gone.
    GroupOrder,
    /// A body came back other than it was sent.
    Altered,
    /// A send that was refused as "not applied" was delivered.
    RefusedButDelivered,
    /// A queue that was made for this load delivered something that this load did not send.
    Foreign,
    /// The consumers did not empty the queues in the time they had, so nothing is known of the rest.
    NotDrained,
}

/// Broken promises: each kind counted, the first few in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Violations(BTreeMap<Kind, Instances>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Instances {
    count: u64,
    examples: Vec<String>,
}

impl Violations {
    pub(crate) fn add(&mut self, kind: Kind, example: impl FnOnce() -> String) {
        let instances = self.0.entry(kind).or_default();
        instances.count += 1;
        if instances.examples.len() < EXAMPLES_PER_KIND {
            instances.examples.push(example());
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (kind, from) in other.0 {
            let into = self.0.entry(kind).or_default();
            into.count += from.count;
            let room = EXAMPLES_PER_KIND.saturating_sub(into.examples.len());
            into.examples.extend(from.examples.into_iter().take(room));
        }
    }

    /// How often this promise was broken.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        self.0.get(&kind).map_or(0, |i| i.count)
    }

    /// Which promises were broken.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.0.keys().copied()
    }

    /// True if every promise was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What the ledger says at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// True if every promise was kept and everything could be checked.
    pub ok: bool,
    /// Sends that were accepted, by message.
    pub accepted: u64,
    /// Sends that were certainly not applied.
    pub refused: u64,
    /// Sends of which nobody knows whether they were applied.
    pub unknown: u64,
    /// Messages that were received at least once.
    pub received: u64,
    /// Deliveries of messages that had been delivered before.
    pub redelivered: u64,
    /// Messages whose delete was answered with success.
    pub deleted: u64,
    /// Messages that were accepted and not received, or received and not deleted. 0 after a complete
    /// run without failed operations.
    pub open: u64,
    /// What was promised and not kept.
    pub violations: Violations,
}

impl std::fmt::Display for Violations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (kind, instances) in &self.0 {
            writeln!(f, "  {kind:?}: {}", instances.count)?;
            for example in &instances.examples {
                writeln!(f, "    {example}")?;
            }
        }
        Ok(())
    }
}
