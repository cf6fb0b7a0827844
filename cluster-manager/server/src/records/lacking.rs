//! That the store was noticed to lack what hosts or frontends know. As long as it stands there that is so,
//! also after the process that noticed it is gone and the store has come past what is known.

use serde::{Deserialize, Serialize};
use shoal_types::Ts;

use super::Record;
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LackingRecord {
    /// When it was noticed, by the manager's clock.
    pub(crate) since: Ts,
    /// In words: what shows it.
    pub(crate) why: String,
}

impl Record for LackingRecord {
    fn key(&self) -> String {
        keys::LACKING.to_owned()
    }
}
