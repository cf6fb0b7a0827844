//! Which ids are used.

use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counter {
    /// Its key, one of those in [`crate::keys`].
    pub(crate) counter: String,
    /// The last id that was given or reserved. Ids start at 1.
    pub(crate) last: u64,
}

impl Record for Counter {
    fn key(&self) -> String {
        self.counter.clone()
    }
}
