//! Looking after the fleet: every few seconds what is known goes to the planner, and what it decides is
//! carried out, through the same orders that an operator gives. Nothing is decided here.

#[cfg(test)]
mod agreement;
mod begin;
mod explain;
mod queues;
mod rounds;
mod told;

pub(crate) use begin::ByItself;
pub(crate) use explain::Explained;
pub(crate) use queues::QueueNews;
pub(crate) use rounds::Rounds;
