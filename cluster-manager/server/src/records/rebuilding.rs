//! That the store is being rebuilt from what hosts report. As long as it stands there the store lacks
//! something, also after the process that wrote it is gone.

use serde::{Deserialize, Serialize};
use shoal_types::Ts;

use super::Record;
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RebuildingRecord {
    /// By the manager's clock.
    pub(crate) since: Ts,
}

impl Record for RebuildingRecord {
    fn key(&self) -> String {
        keys::REBUILDING.to_owned()
    }
}
