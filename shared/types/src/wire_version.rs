//! What processes of two releases speak with one another.

use std::fmt;

/// Version of everything that goes over a connection between two processes, but for the handshake, which
/// agrees on it. A release speaks its own and the one of the release before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum WireVersion {
    /// In use.
    V2 = 2,
    /// Of the release after this one, as it is rehearsed (`services/host/src/next_release.rs`).
    V3 = 3,
}

impl WireVersion {
    const ALL: [Self; 2] = [Self::V2, Self::V3];

    /// Its number in a handshake.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The version with this number, if this build knows one.
    #[must_use]
    pub fn numbered(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.number() == number)
    }
}

impl fmt::Display for WireVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}
