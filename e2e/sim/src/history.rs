//! What a run leaves to be judged: what clients asked and were told, what hosts executed.
//!
//! Times are simulated: microseconds since the run began, of a clock that no host can read.

use std::fmt;

use bytes::Bytes;
use shoal_types::{
    Delivery, HostId, Incarnation, Micros, Origin, Outcome, Position, Refusal, Request, RequestId,
};

/// Microseconds of simulated time since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(pub u64);

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Names one call (one attempt of an operation at one host); never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// One attempt of a client's operation at one host. Attempts of one operation share `request.id`.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name.
    pub id: CallId,
    /// Which client.
    pub client: u32,
    /// The client's operations, counted; all attempts of one carry the same number.
    pub operation: u64,
    /// Where to.
    pub host: HostId,
    /// What was asked.
    pub request: Request,
    /// Bodies of a send, in order.
    pub bodies: Vec<Bytes>,
    /// When the client began.
    pub invoked: SimTime,
    /// How long the operation asks to be kept waiting (a receive that waits), in microseconds.
    pub waits: Micros,
    /// When the client gives the operation up: its deadline, or it leaves before.
    pub until: SimTime,
    /// The client asks this host and no other, however long it is not there.
    pub pinned: bool,
    /// When it was told what; `None`: never (the run ended, or the client stopped listening).
    pub returned: Option<(SimTime, Told)>,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The outcome, and the bodies of what was delivered, in order.
    Outcome(Outcome, Vec<Bytes>),
    /// No; the refusal says whether anything was applied.
    Refused(Refusal),
    /// The connection broke: nobody knows.
    Broken,
}

/// One step that a host executed, live or in replay.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// An entry begins.
    Entry(Position),
    /// A command of it, and what came out.
    Command(Request, Vec<Bytes>, Outcome),
    /// A waiting receive was given messages.
    Given(Origin, RequestId, Vec<Delivery>),
    /// A view was installed: its number and, unless it is the first, the lives it is about.
    View(shoal_types::ViewNumber, Vec<Origin>),
}

/// A host executed a step.
#[derive(Clone, Debug)]
pub struct Executed {
    /// When.
    pub at: SimTime,
    /// Who.
    pub host: HostId,
    /// Counts the starts of its process.
    pub life: u64,
    /// What.
    pub step: Step,
}

/// A fingerprint of a host's queues, taken between two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHash {
    /// Who.
    pub host: HostId,
    /// Which life.
    pub incarnation: Incarnation,
    /// After which entry.
    pub executed: Position,
    /// `Machine::state_hash`: rolling over positions, commands and outcomes.
    pub rolling: u64,
    /// `Machine::full_hash`, if it was taken: over everything the queues hold.
    pub full: Option<u64>,
}
