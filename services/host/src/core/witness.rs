//! Whoever wants to see what a host executes, in order: a simulator that checks it.

use bytes::Bytes;
use shoal_replication::View;
use shoal_types::{Delivery, Origin, Outcome, Position, Request, RequestId};

/// Told of every step of execution, replay after a start included. A witness only looks.
pub trait Witness {
    /// An entry begins; its commands follow.
    fn entry(&mut self, position: Position);
    /// A command of that entry was executed.
    fn command(&mut self, request: &Request, bodies: &[Bytes], outcome: &Outcome);
    /// A waiting receive was given messages (none: its wait is over), by the entry's time or by the
    /// command before.
    fn given(&mut self, origin: Origin, waiter: RequestId, deliveries: &[Delivery]);
    /// A view was installed at this place of the order.
    fn view_installed(&mut self, view: &View);
}
