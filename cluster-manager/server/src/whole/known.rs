//! Which of the manager's revisions others know of, and whether this store can have given them. No I/O.
//!
//! ```text
//!  0 ─────────────── opened ─ ─ ─ left out ─ ─ ─ first ──────────── newest
//!    given by earlier        given by nobody           given by this
//!    processes               that this store           process
//!                            knows of
//! ```
//! A store that was set back goes on where the lost one went on before: a number alone would not tell which
//! of the two gave it. So each process leaves out revisions, as many as it draws, before its own. What earlier
//! processes left out is kept: hosts may report only after the manager was started again.

use shoal_types::Revision;

use crate::records::LeftOut;

#[derive(Debug)]
pub(super) struct Known {
    /// The highest that somebody was heard to know.
    highest: Revision,
    /// Where the store was when this process opened it.
    opened: Revision,
    /// Given by nobody who had this store, oldest first. None after an operator had it rebuilt: what was known
    /// then is in it.
    left_out: Vec<LeftOut>,
}

impl Known {
    /// Of a store at this revision, at whose earlier starts these were left out.
    pub(super) fn new(opened: Revision, left_out: Vec<LeftOut>) -> Self {
        Self {
            highest: Revision(0),
            opened,
            left_out,
        }
    }

    pub(super) fn hear(&mut self, revision: Revision) {
        self.highest = self.highest.max(revision);
    }

    pub(super) fn highest(&self) -> Revision {
        self.highest
    }

    /// Where the store was when this process opened it.
    pub(super) fn opened(&self) -> Revision {
        self.opened
    }

    pub(super) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// These are left out at this start.
    pub(super) fn begin(&mut self, left_out: LeftOut) {
        self.left_out.push(left_out);
    }

    /// An operator saw to it that the store has what is known.
    pub(super) fn forget_left_out(&mut self) {
        self.left_out.clear();
    }

    /// In words, what a store at `store` lacks of which somebody knows this revision; `None` if nothing.
    pub(super) fn missing(&self, revision: Revision, store: Revision) -> Option<String> {
        if revision > store {
            return Some(format!(
                "knows of revision {revision}, and the store is at {store}"
            ));
        }
        let left_out = self.left_out.iter().find(|one| one.has(revision))?;
        let LeftOut { opened, .. } = left_out;
        Some(format!(
            "knows of revision {revision}, which this store never gave: it was at {opened} when it was opened"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(opened: u64, through: u64) -> LeftOut {
        LeftOut {
            opened: Revision(opened),
            through: Revision(through),
        }
    }

    #[track_caller]
    fn assert_lacks(known: &Known, store: u64, revision: u64, lacks: bool) {
        let missing = known.missing(Revision(revision), Revision(store));
        assert_eq!(
            missing.is_some(),
            lacks,
            "{revision} at {store}: {missing:?}"
        );
    }

    #[test]
    fn before_anything_is_given_whatever_is_above_the_store_is_missing() {
        let known = Known::new(Revision(100), Vec::new());
        for (revision, lacks) in [(0, false), (99, false), (100, false), (101, true)] {
            assert_lacks(&known, 100, revision, lacks);
        }
    }

    /// An old copy wrote what hosts reported until it was past what its lost successor had given, and took
    /// that for its own.
    #[test]
    fn what_was_left_out_is_missing_however_far_the_store_has_come() {
        let mut known = Known::new(Revision(100), Vec::new());
        known.begin(left_out(100, 999));
        for (revision, lacks) in [
            (100, false),
            (101, true),
            (999, true),
            (1_000, false),
            (5_000, false),
            (5_001, true),
        ] {
            assert_lacks(&known, 5_000, revision, lacks);
        }
    }

    /// A manager on an old copy was started twice before the hosts were up, and the second start took what the
    /// first had left out for its own.
    #[test]
    fn what_an_earlier_start_left_out_is_missing_too() {
        let mut known = Known::new(Revision(1_000), vec![left_out(100, 999)]);
        assert_lacks(&known, 1_000, 500, true);
        known.begin(left_out(1_000, 1_999));
        for (revision, lacks) in [(100, false), (500, true), (1_000, false), (1_500, true)] {
            assert_lacks(&known, 5_000, revision, lacks);
        }
    }

    #[test]
    fn once_it_is_rebuilt_only_what_is_above_the_store_is_missing() {
        let mut known = Known::new(Revision(100), Vec::new());
        known.begin(left_out(100, 999));
        known.forget_left_out();
        assert_lacks(&known, 5_000, 500, false);
        assert_lacks(&known, 5_000, 5_001, true);
    }
}
