//! The segment log from outside: what it promises, what crashes leave of it, and what damage does.

mod crash;
mod damage;
mod format_v1;
mod promises;
mod support;
