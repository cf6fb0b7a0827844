//! Placement as a pure function: facts in, an immutable plan with reasons out.
//!
//! [`plan`] says what is to be done about a fleet: replace dead hosts, relieve overheated clusters by
//! splitting and moving queues, empty and retire clusters, merge, balance. [`place`] says on which
//! cluster a new queue goes, [`form`] which unassigned hosts become a cluster. A plan leaves no choice to
//! whoever carries it out, and prints why it is as it is. Equal facts give equal plans, on every machine
//! and in every release.
//!
//! This crate does no I/O, reads no clock and draws no random numbers. How it decides is told in
//! `docs/planner.md`.

mod balance;
mod capacity;
mod decide;
mod drain;
pub mod facts;
mod form;
mod forward;
mod health;
mod heat;
pub mod limits;
mod merge;
mod movable;
mod moves;
mod overheated;
mod place;
mod plan;
mod pool;
mod ring;
mod round;
mod rules;
mod split;
mod words;

pub use decide::plan;
pub use form::{FormPlan, FormRules, Held, HostFacts, NewCluster, WhyHeld, form};
pub use heat::{Heat, Measure, Reading, heat_of, lasting};
pub use place::{ClusterFacts, NoCapacity, PassedOver, Placement, Why, bound, place};
pub use plan::{
    Action, CapacityNeeded, Decided, NotEmptied, NotHelped, Plan, Reason, WhyNot, WhyStays,
};
pub use pool::pool_of;
pub use ring::Ring;
pub use rules::{Rules, Targets};
