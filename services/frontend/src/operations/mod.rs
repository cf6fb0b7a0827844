//! What can be done with a queue's messages, whichever protocol asks for it: requests and results here are
//! neither REST's nor SQS's. Each operation finds its partitions by itself and goes on with newer routes,
//! see [`crate::app::QueueOperation`].

mod counts;
mod deduplication;
mod purge;
mod receipts;
mod receive;
pub(crate) mod send;
mod stored;

use shoal_api::Problem;
use shoal_types::{Applied, ErrorCode, Outcome};

pub(crate) use counts::counts;
pub(crate) use deduplication::{dedup_id_of_content, dedup_key};
pub(crate) use purge::Purge;
pub(crate) use receipts::{Finish, Foreign, Wish};
pub(crate) use receive::{Given, Turns, Wanted, receive, wait};
pub(crate) use send::Sending;
pub(crate) use stored::{Notes, read, write};

/// A host answered something that does not answer what was asked.
pub(crate) fn unexpected(outcome: &Outcome) -> Problem {
    let detail = format!("a host gave an answer of another kind: {outcome:?}");
    Problem::new(ErrorCode::Internal, detail).applied(Applied::Unknown)
}
