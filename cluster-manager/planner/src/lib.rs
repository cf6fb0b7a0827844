//! Placement as a pure function: facts in, an immutable plan with reasons out.
//!
//! [`place`] says on which cluster a new queue goes, [`form`] which unassigned hosts become a
//! cluster. A plan leaves no choice to whoever carries it out, and prints why it is as it is. Equal
//! facts give equal plans, on every machine and in every release.
//!
//! This crate does no I/O and reads no clock. It plans what is *new*: what is stored already is a
//! fact, and nothing here moves it.

mod form;
pub mod limits;
mod place;
mod ring;

pub use form::{FormPlan, FormRules, Held, HostFacts, NewCluster, form};
pub use place::{ClusterFacts, NoCapacity, PassedOver, Placement, Why, bound, place};
pub use ring::Ring;
