//! That a manager took its store for whole and went on from it, and which revisions were left out at each such
//! start: they were given by nobody who had this store.

use serde::{Deserialize, Serialize};
use shoal_types::{Revision, Ts};

use super::Record;
use crate::keys;
use crate::limits::LEFT_OUT_KEPT_MAX;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenedRecord {
    /// By the manager's clock.
    pub(crate) at: Ts,
    /// Of the newest starts since the store was rebuilt last, oldest first; at most [`LEFT_OUT_KEPT_MAX`].
    #[serde(default)]
    pub(crate) left_out: Vec<LeftOut>,
}

/// Revisions that were left out at one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOut {
    /// Where the store was then: the last one before them.
    pub(crate) opened: Revision,
    /// The last of them.
    pub(crate) through: Revision,
}

impl LeftOut {
    pub(crate) fn has(self, revision: Revision) -> bool {
        self.opened < revision && revision <= self.through
    }
}

impl OpenedRecord {
    /// With those of one more start.
    pub(crate) fn and(mut self, left_out: LeftOut) -> Self {
        self.left_out.push(left_out);
        let too_many = self.left_out.len().saturating_sub(LEFT_OUT_KEPT_MAX);
        self.left_out.drain(..too_many);
        self
    }
}

impl Record for OpenedRecord {
    fn key(&self) -> String {
        keys::OPENED.to_owned()
    }
}
