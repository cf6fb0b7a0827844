//! Moves, splits and merges of queues: begun as the planner decides, carried out step by step.
//!
//! What a step wants is written first, then the clusters are told until they confirm, then the next step
//! is written (see [`crate::records::MoveRecord`] for the stages). Whatever happens in between, the record
//! says what to do next, and doing it again does no harm. Successors are created closed; only then is
//! what they follow sealed; so no send lands in the old partition after one landed in the new.

mod begin;
mod clear;
mod forward;
mod open;
mod order;
mod pursue;
mod table;

pub(crate) use begin::Wanted;
pub(super) use table::Table;
