//! The manager as its callers see it: over HTTP, with hosts that speak the real protocol but keep
//! their partitions in a map.

mod bad_input;
mod feed;
mod forming;
mod members;
mod moving;
mod planning;
mod queues;
mod restart;
mod speed;
mod splitting;
mod support;
