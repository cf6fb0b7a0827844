//! C0: all hosts execute one order (the auditor compares them), the reference model gives the same
//! when it executes that order, and clients were told what it says.

mod replay;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;

use shoal_types::{Origin, Outcome, PartitionCounts, PartitionId, Request, RequestId};

pub(super) use replay::replay;
pub(super) use told::check;

use crate::history::SimTime;

/// What came of replaying the order through the reference model.
#[derive(Default)]
pub(super) struct Replayed {
    /// Of the partitions that are left at the end; empty if the replay broke off.
    pub(super) counts: BTreeMap<PartitionId, PartitionCounts>,
    /// The order was replayed to its end, and the model gave the same everywhere.
    pub(super) agreed: bool,
}

/// A request's execution, in the order.
pub(super) struct Execution<'a> {
    pub(super) place: usize,
    pub(super) at: SimTime,
    pub(super) request: &'a Request,
    pub(super) bodies: &'a [bytes::Bytes],
    pub(super) outcome: &'a Outcome,
}

/// What a waiting receive was given, in the order.
pub(super) struct Gift<'a> {
    pub(super) at: SimTime,
    pub(super) origin: Origin,
    pub(super) deliveries: &'a [shoal_types::Delivery],
}

/// Executions and gifts of one request.
#[derive(Default)]
pub(super) struct Executed<'a> {
    pub(super) executions: Vec<Execution<'a>>,
    pub(super) gifts: Vec<Gift<'a>>,
}

pub(super) type ByRequest<'a> = BTreeMap<RequestId, Executed<'a>>;
