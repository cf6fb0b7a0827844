//! What executing a command makes the hosts do besides answering its caller.

use shoal_types::{Delivery, Origin, RequestId};

/// Something that follows from a command and concerns another request than the command's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The answer of a waiting receive. The leases are taken already: the host that is `origin`
    /// answers its client, every other host does nothing.
    Given {
        /// Whose client waits.
        origin: Origin,
        /// The request id of the receive.
        waiter: RequestId,
        /// What it gets. Empty: the wait is over.
        deliveries: Vec<Delivery>,
    },
}
