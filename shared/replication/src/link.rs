//! What the driver tells about connections.

use shoal_types::Incarnation;

/// Something happened to the connection to another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// Connected; the handshake showed this life of the peer.
    Up {
        /// Which start of the peer's process answered.
        incarnation: Incarnation,
        /// True if it said that it belongs to a cluster.
        assigned: bool,
    },
    /// A connection that was up is gone. The driver dials again at once.
    Closed,
    /// Dialling was refused: nobody listens there, so the process is gone. (A dial that merely times
    /// out is no event.)
    Refused,
}
