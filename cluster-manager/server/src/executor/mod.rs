//! What carries out decisions: hosts are told until they confirm. Nothing is decided here.

mod clients;
mod formation;
mod instruct;
mod membership;

pub(crate) use clients::HostClients;
pub(crate) use formation::Formation;
pub(crate) use instruct::{InstructError, Instructor, new_request};
pub(crate) use membership::Membership;
