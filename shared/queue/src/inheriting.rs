//! What a partition does that follows others: it opens when it holds what they leave to it, and holds
//! groups back until older messages of theirs are gone.

use std::collections::BTreeSet;

use shoal_types::{
    ErrorCode, GroupHash, HeldGroups, Inherited, KeyedSend, Outcome, PartitionId, Refusal, Seal,
};

use crate::lineage::{Heard, Lineage, Predecessor};
use crate::partition::{Partition, Step};

fn refuse<T>(detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::not_applied(ErrorCode::InvalidRequest, detail))
}

impl Partition {
    /// What it follows and has not all been told about, ascending; it takes no sends as long as there
    /// is any.
    pub(crate) fn waits_for(&self) -> Vec<PartitionId> {
        let record = self.lineage.as_ref().map(|lineage| lineage.record());
        record
            .into_iter()
            .flat_map(|record| record.waits_for())
            .collect()
    }

    pub(crate) fn is_closed(&self) -> bool {
        let record = self.lineage.as_ref().map(|lineage| lineage.record());
        record.is_some_and(|record| record.waits_for().next().is_some())
    }

    /// Learns the seal of what it follows, and what that leaves.
    pub(crate) fn succeed(
        &mut self,
        seal: &Seal,
        news: &Inherited,
        step: &mut Step<'_>,
    ) -> Result<Outcome, Refusal> {
        let at = self.check_seal(seal)?;
        if let Inherited::KeyedSends { first, sends } = news {
            self.check_keyed_sends(at, seal, *first, sends)?;
        }
        self.note_seal(at, seal);
        match news {
            Inherited::Seal => {}
            Inherited::KeyedSends { first, sends } => self.inherit(at, *first, sends, step),
            Inherited::GroupsGone(groups) => self.let_go_of(at, groups),
            Inherited::Drained => self.let_go_of_all(at),
        }
        Ok(if self.is_closed() {
            Outcome::Closed {
                waits_for: self.waits_for(),
                keyed_sends: self.keyed_sends_told(at),
            }
        } else {
            Outcome::Done
        })
    }

    /// Puts back what a checkpoint tells, before the messages.
    pub(crate) fn restore_lineage(&mut self, lineage: Lineage) {
        let heard = lineage.record().follows.iter();
        for heard in heard.filter_map(|one| one.heard.as_ref()) {
            self.contents.hold(&heard.held);
        }
        self.lineage = Some(Box::new(lineage));
    }

    fn predecessors(&self) -> &[Predecessor] {
        let lineage = self.lineage.as_ref();
        lineage.map_or(&[], |lineage| &lineage.record().follows[..])
    }

    /// How many it knows of the sends that the seal of one that it follows counts.
    fn keyed_sends_told(&self, at: usize) -> u32 {
        let heard = self.predecessors()[at].heard.as_ref();
        heard.map_or(0, |heard| heard.keyed_sends_told)
    }

    /// Only of one whose seal was noted.
    fn heard_mut(&mut self, at: usize) -> &mut Heard {
        let lineage = self.lineage.as_mut().expect("it follows something");
        let heard = lineage.change().follows[at].heard.as_mut();
        heard.expect("its seal was noted")
    }

    /// Whether the seal is one of what this partition follows: of which.
    fn check_seal(&self, seal: &Seal) -> Result<usize, Refusal> {
        let mut follows = self.predecessors().iter();
        let Some(at) = follows.position(|one| one.partition == seal.partition) else {
            return refuse("seal.partition: not one that this partition follows");
        };
        let me = (self.id, self.settings.epoch);
        let mut successors = seal.successors.iter();
        if !successors.any(|one| (one.partition, one.epoch) == me) {
            return refuse("seal.successors: this partition, with its epoch, is not among them");
        }
        if seal.epoch >= self.settings.epoch {
            return refuse("seal.epoch: not below that of this partition");
        }
        let other = |heard: &Heard| {
            (heard.epoch, heard.sealed_at, heard.keyed_sends)
                != (seal.epoch, seal.sealed_at, seal.keyed_sends)
        };
        if self.predecessors()[at].heard.as_ref().is_some_and(other) {
            return refuse("seal: another one of the same partition was shown before");
        }
        Ok(at)
    }

    fn check_keyed_sends(
        &self,
        at: usize,
        seal: &Seal,
        first: u32,
        sends: &[KeyedSend],
    ) -> Result<(), Refusal> {
        let told = self.keyed_sends_told(at);
        let end = first as usize + sends.len();
        if first > told {
            return refuse("news.first: there is a gap before it");
        }
        if end > seal.keyed_sends as usize {
            return refuse("news.sends: more than the seal counts");
        }
        if sends.iter().any(|send| send.sequence.epoch() > seal.epoch) {
            return refuse("news.sends.sequence: of a later epoch than the seal's");
        }
        if end.saturating_sub(told as usize) > self.keyed_sends.room() {
            return Err(Refusal::not_applied(
                ErrorCode::Busy,
                "too many deduplication ids within five minutes",
            ));
        }
        Ok(())
    }

    /// From here on the groups that the seal names are held. Repeated, it holds nothing anew.
    fn note_seal(&mut self, at: usize, seal: &Seal) {
        if self.predecessors()[at].heard.is_some() {
            return;
        }
        let held = if self.settings.fifo {
            seal.held.clone()
        } else {
            HeldGroups::None
        };
        self.contents.hold(&held);
        let lineage = self.lineage.as_mut().expect("it follows something");
        lineage.change().follows[at].heard = Some(Heard {
            epoch: seal.epoch,
            sealed_at: seal.sealed_at,
            keyed_sends: seal.keyed_sends,
            keyed_sends_told: 0,
            held,
        });
    }

    fn inherit(&mut self, at: usize, first: u32, sends: &[KeyedSend], step: &Step<'_>) {
        let told = &mut self.heard_mut(at).keyed_sends_told;
        let again = (*told - first) as usize;
        *told += sends.len().saturating_sub(again) as u32;
        for send in sends.iter().skip(again) {
            self.keyed_sends.inherit(send, step.now);
        }
    }

    fn let_go_of(&mut self, at: usize, groups: &[GroupHash]) {
        let gone: BTreeSet<_> = groups.iter().copied().collect();
        let HeldGroups::These(held) = &mut self.heard_mut(at).held else {
            return;
        };
        let freed: Vec<_> = held.extract_if(.., |hash| gone.contains(&*hash)).collect();
        if !freed.is_empty() {
            self.contents.let_go(&HeldGroups::These(freed));
        }
    }

    fn let_go_of_all(&mut self, at: usize) {
        let held = std::mem::replace(&mut self.heard_mut(at).held, HeldGroups::None);
        self.contents.let_go(&held);
    }
}
