//! The promises, asked of real processes: one file for each.

mod bad_input;
mod by_hand;
mod clusters;
mod commands;
mod dead_letters;
mod dev;
mod forwarding;
mod health;
mod host_loss;
mod long_polls;
mod manager_loss;
mod members;
mod moves;
mod restart;
mod smoke;
mod support;
