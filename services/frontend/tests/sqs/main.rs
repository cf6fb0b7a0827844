//! SQS as its clients see it: every operation in both protocols, over a frontend with everything behind it.

#[path = "../support/mod.rs"]
mod support;

mod attributes;
mod client;
mod corpus;
mod dead_letters;
mod fifo;
mod http_level;
mod keys;
mod long_polls;
mod messages;
mod move_tasks;
mod permissions;
mod purge;
mod queues;
mod receipts;
mod tags;
mod wrong_requests;
