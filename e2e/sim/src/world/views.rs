//! Noticing rare events in how views come about.

use shoal_replication::{Reason, View};
use shoal_types::{HostId, ViewNumber};

use super::host::Seen;
use crate::sometimes::{Reached, Sometimes};

/// A host that asked so often to be let into one view (three times two or more writers) was made to wait.
const ASKED_OFTEN: u32 = 6;
/// Pre-votes sent for one view (four attempts with two or more peers) of which nothing has come.
const PRE_VOTES_IN_VAIN: u32 = 8;

/// Views that were looked at already, by any host.
#[derive(Debug, Default)]
pub(super) struct ReachedViews {
    newest: ViewNumber,
}

impl ReachedViews {
    pub(super) fn note(&mut self, id: HostId, view: &View, seen: &mut Seen, reached: &mut Reached) {
        let (appended_in, index) = seen.appended;
        if appended_in.next() == view.number
            && let Some(slot) = view.slot(id)
            && view.ends.get(slot).is_some_and(|end| *end < index)
        {
            reached.note(Sometimes::OwnBatchCutOff);
        }
        if view.number <= self.newest {
            return;
        }
        self.newest = view.number;
        if view.active.len() < view.members.len() {
            reached.note(Sometimes::ViewWithoutSomeone);
        }
        if view.active.len() == 1 {
            reached.note(Sometimes::ViewOfOne);
        }
    }
}

impl Seen {
    pub(super) fn pre_voted(&mut self, view: ViewNumber, reason: &Reason, reached: &mut Reached) {
        let count = match &self.pre_vote {
            Some((known, _, count)) if *known == view => count + 1,
            _ => 1,
        };
        if count == PRE_VOTES_IN_VAIN {
            reached.note(Sometimes::PreVoteInVain);
        }
        self.pre_vote = Some((view, reason.clone(), count));
    }

    pub(super) fn prepared(&mut self, view: ViewNumber, reached: &mut Reached) {
        if self.proposes >= view {
            return;
        }
        self.proposes = view;
        if let Some((known, reason, _)) = &self.pre_vote
            && *known == view
        {
            note_reason(reason, reached);
        }
    }

    pub(super) fn asked_to_join(&mut self, view: ViewNumber, reached: &mut Reached) {
        if self.asked_in.0 != view {
            self.asked_in = (view, 0);
        }
        self.asked_in.1 += 1;
        if self.asked_in.1 == ASKED_OFTEN {
            reached.note(Sometimes::JoinBackedOff);
        }
    }
}

fn note_reason(reason: &Reason, reached: &mut Reached) {
    if !reason.missing.is_empty() {
        reached.note(Sometimes::ViewForMissing);
    }
    if !reason.joining.is_empty() {
        reached.note(Sometimes::ViewForJoining);
    }
    if !reason.leaving.is_empty() {
        reached.note(Sometimes::ViewForLeaving);
    }
}
