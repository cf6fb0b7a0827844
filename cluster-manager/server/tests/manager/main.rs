//! The manager as its callers see it: over HTTP, with hosts that speak the real protocol but keep
//! their partitions in a map.

mod bad_input;
mod dead_letters;
mod feed;
mod forming;
mod members;
mod moving;
mod planning;
mod pools;
mod queues;
mod rebuilding;
mod redrives;
mod restart;
mod speed;
mod splitting;
mod support;
