//! Tells the successors of sealed partitions what they have to know, on whatever cluster they are: the
//! seal, the sends with deduplication keys, which groups are gone, and at last that nothing is left.
//!
//! For each sealed partition one host of the view does it, for a few seconds, then another one: who cannot,
//! because its clock is off or it does not reach the other cluster, holds nobody up for long. Any of them
//! would do, and two at a time do no harm, since what is told may be repeated. What was told is remembered
//! here alone: who takes over begins at the beginning. Of the sends with keys, which may be many, the answer
//! to the first block says how many the successor knows, and the next one goes on from there. Replicated here
//! is only the end of it, by [`Command::ToldDrained`]. Choosing what to tell is all that happens here; the
//! calls are the driver's.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{
    ClusterId, ClusterMember, Command, GroupHash, HeldGroups, HostRequest, Inherited, KeyedSend,
    Mono, Outcome, PartitionId, Seal, Successor,
};

use super::looks::{Looks, in_turn};
use super::retry::{Retry, idempotent};
use super::{Core, Effect};
use crate::limits;

/// Something to be told to a successor by a call of one of its cluster's hosts.
#[derive(Debug)]
pub struct Telling {
    /// Where the successor is.
    pub cluster: ClusterId,
    /// The hosts there, as far as is known; any of them will do.
    pub members: Vec<ClusterMember>,
    /// What to call it with. May be repeated.
    pub request: HostRequest,
    about: About,
}

/// What became of a [`Telling`].
#[derive(Debug)]
pub struct Told {
    about: About,
    answer: Result<Outcome, String>,
}

#[derive(Clone, Debug)]
struct About {
    sealed: PartitionId,
    /// Whose seal it shows: its own, or as an heir that of the first before it.
    shows: PartitionId,
    successor: PartitionId,
    piece: Piece,
}

/// What of [`Inherited`] was told.
#[derive(Clone, Debug)]
enum Piece {
    Seal,
    KeyedSends,
    GroupsGone(Vec<GroupHash>),
    Drained,
}

impl Telling {
    /// To be given to [`Core::on_told`]: the answer, or why there is none.
    #[must_use]
    pub fn told(&self, answer: Result<Outcome, String>) -> Told {
        Told {
            about: self.about.clone(),
            answer,
        }
    }
}

impl Told {
    /// True if the successor knows it now.
    #[must_use]
    pub fn is_known(&self) -> bool {
        matches!(self.answer, Ok(Outcome::Done | Outcome::Closed { .. }))
    }
}

/// What this host has told. Of partitions that are sealed, and that it looks after.
#[derive(Default)]
pub(super) struct Tellings {
    by_sealed: BTreeMap<PartitionId, Followed>,
    looks: Looks,
    /// The partition looked at last: the next look begins behind it.
    looked_at: PartitionId,
}

impl Tellings {
    fn under_way(&self) -> usize {
        let successors = self
            .by_sealed
            .values()
            .flat_map(|one| one.successors.values());
        successors.filter(|progress| progress.under_way).count()
    }
}

/// A sealed partition.
#[derive(Default)]
struct Followed {
    successors: BTreeMap<PartitionId, Progress>,
    /// When the replicated state was to take note of who has been told all.
    noted_at: Option<Mono>,
}

/// What one successor knows.
#[derive(Default)]
struct Progress {
    under_way: bool,
    retry: Retry,
    has_seal: bool,
    /// So many sends with keys, from the first on.
    keyed_sends: u32,
    groups: BTreeSet<GroupHash>,
    is_drained: bool,
}

impl Core {
    /// Looks through some of the sealed partitions for what their successors do not know yet.
    pub(super) fn tell_successors(&mut self) {
        if self.machine.sealed().next().is_none() {
            self.tellings.by_sealed.clear();
            return;
        }
        if self.next_telling().is_none_or(|at| self.now.mono < at) {
            return;
        }
        let sealed: BTreeSet<_> = self.machine.sealed().collect();
        let (now_are, pause) = (self.circumstances(), limits::SUCCESSORS_LOOK_INTERVAL);
        let looks = &mut self.tellings.looks;
        looks.begin(now_are, self.now.mono + pause, sealed.len());
        self.tellings.by_sealed.retain(|id, _| sealed.contains(id));
        let last = self.tellings.looked_at;
        let mut room = limits::TELLINGS_MAX.saturating_sub(self.tellings.under_way());
        let mut groups_left = limits::SUCCESSORS_LOOK_GROUPS;
        for id in in_turn(&sealed, last).take(limits::SUCCESSORS_LOOK_PARTITIONS) {
            if room == 0 || groups_left == 0 {
                break;
            }
            self.tellings.looked_at = id;
            self.tellings.looks.looked();
            let groups = self.tell_successors_of(id, &mut room);
            groups_left = groups_left.saturating_sub(groups);
        }
    }

    /// What was executed here may be shown. Whether this host takes commands does not matter. Before this
    /// life is on disk nobody would carry the calls out, and nobody would hear that.
    fn may_tell(&self) -> bool {
        !self.is_halted() && !self.lacks_state() && self.persisted >= self.life
    }

    /// When the next look is due.
    pub(super) fn next_telling(&self) -> Option<Mono> {
        let is_anything = self.may_tell() && self.machine.sealed().next().is_some();
        is_anything.then(|| self.tellings.looks.next(&self.circumstances()))
    }

    /// A successor was told something, or could not be.
    pub fn on_told(&mut self, told: Told) {
        let is_known = told.is_known();
        let Told { about, answer } = told;
        let followed = self.tellings.by_sealed.get_mut(&about.sealed);
        let Some(progress) = followed.and_then(|one| one.successors.get_mut(&about.successor))
        else {
            // Another host looks after it by now, or it is gone.
            return;
        };
        progress.under_way = false;
        // The next piece at once, and if it failed, for the time when it is tried again.
        self.tellings.looks.at_once(self.now.mono);
        if is_known {
            return progress.note(&about, &answer);
        }
        if answer.is_ok() {
            progress.forget();
        }
        if progress.retry.failed(self.now.mono) {
            tracing::warn!(
                sealed = %about.sealed, successor = %about.successor, ?answer,
                "a successor cannot be told what it follows; it is tried again"
            );
        }
    }

    /// Gives the number of groups that it took to find out. `room`: how many may be told something.
    fn tell_successors_of(&mut self, id: PartitionId, room: &mut usize) -> usize {
        let Some((seal, told_drained)) = self.machine.seal_of(id) else {
            return 0;
        };
        let knows_all = |one: &Successor| told_drained.contains(&one.partition);
        if seal.successors.iter().all(knows_all) {
            self.tellings.by_sealed.remove(&id);
            return 0;
        }
        if !self.looks_after(id) {
            // In its next turn it begins at the beginning. That it failed it remembers: turns are shorter than
            // what is worth a warning.
            if let Some(followed) = self.tellings.by_sealed.get_mut(&id) {
                followed.successors.values_mut().for_each(Progress::forget);
            }
            return 0;
        }
        let is_drained = self.machine.is_drained(id);
        let (groups, gone) = match &seal.held {
            HeldGroups::These(named) if !is_drained => (
                named.len(),
                self.machine.groups_gone(id).unwrap_or_default(),
            ),
            _ => (0, Vec::new()),
        };
        let serves = self.serves();
        let followed = self.tellings.by_sealed.entry(id).or_default();
        let mut all_told = Vec::new();
        for successor in seal.successors.iter().filter(|one| !knows_all(one)) {
            let progress = followed.successors.entry(successor.partition).or_default();
            if progress.is_drained {
                all_told.push(successor.partition);
                continue;
            }
            if progress.under_way || *room == 0 {
                continue;
            }
            if !progress.retry.is_due(self.now.mono) {
                self.tellings.looks.again_at(progress.retry.due_at());
                continue;
            }
            let keyed_sends = |first, max| self.machine.keyed_sends_at_seal(id, first, max);
            let news = progress.next_news(seal, successor, &gone, is_drained, keyed_sends);
            if let Some(news) = news {
                progress.under_way = true;
                *room -= 1;
                let telling = Box::new(telling(id, seal, successor, news));
                self.effects.push(Effect::Tell(telling));
            }
        }
        let again = followed.noted_at.map(|at| at + limits::TOLD_DRAINED_AGAIN);
        let may_note = serves && again.is_none_or(|at| self.now.mono >= at);
        if let Some(again) = again.filter(|_| !all_told.is_empty() && !may_note) {
            self.tellings.looks.again_at(again);
        }
        if !all_told.is_empty() && may_note {
            followed.noted_at = Some(self.now.mono);
            let again = self.now.mono + limits::TOLD_DRAINED_AGAIN;
            self.tellings.looks.again_at(again);
            let note = Command::ToldDrained {
                partition: id,
                successors: all_told,
            };
            self.intake.push_own(self.origin, note);
        }
        groups
    }
}

impl Progress {
    /// What this successor is to be told next, if there is anything: first what it needs to open.
    fn next_news(
        &self,
        seal: &Seal,
        successor: &Successor,
        gone: &[GroupHash],
        is_drained: bool,
        keyed_sends: impl Fn(u32, usize) -> Option<Vec<KeyedSend>>,
    ) -> Option<Inherited> {
        let first = self.keyed_sends;
        // An heir has none to tell: its successors knew them before there was one.
        if first < seal.keyed_sends
            && let Some(sends) = keyed_sends(first, limits::KEYED_SENDS_AT_ONCE)
        {
            return Some(Inherited::KeyedSends { first, sends });
        }
        if !self.has_seal {
            return Some(Inherited::Seal);
        }
        if is_drained {
            return Some(Inherited::Drained);
        }
        let news = gone
            .iter()
            .filter(|group| successor.groups.contains(**group) && !self.groups.contains(group));
        let news: Vec<_> = news.copied().take(limits::GROUPS_GONE_AT_ONCE).collect();
        (!news.is_empty()).then_some(Inherited::GroupsGone(news))
    }

    /// The successor knows this now.
    fn note(&mut self, about: &About, answer: &Result<Outcome, String>) {
        self.retry.succeeded();
        self.has_seal = true;
        match &about.piece {
            Piece::Seal | Piece::KeyedSends => {}
            Piece::GroupsGone(groups) => self.groups.extend(groups),
            Piece::Drained => self.is_drained = true,
        }
        // Somebody else may have told it more.
        self.keyed_sends = match answer {
            Ok(Outcome::Closed {
                waits_for,
                keyed_sends,
            }) if waits_for.contains(&about.shows) => *keyed_sends,
            _ => u32::MAX,
        };
    }

    /// What it knows is found out anew.
    fn forget(&mut self) {
        *self = Self {
            under_way: self.under_way,
            retry: std::mem::take(&mut self.retry),
            ..Self::default()
        };
    }
}

/// `by`: the sealed partition or its heir, which shows its seal.
fn telling(by: PartitionId, seal: &Seal, successor: &Successor, news: Inherited) -> Telling {
    let piece = match &news {
        Inherited::Seal => Piece::Seal,
        Inherited::KeyedSends { .. } => Piece::KeyedSends,
        Inherited::GroupsGone(groups) => Piece::GroupsGone(groups.clone()),
        Inherited::Drained => Piece::Drained,
    };
    let command = Command::Succeed {
        partition: successor.partition,
        seal: Box::new(seal.clone()),
        news,
    };
    Telling {
        cluster: successor.cluster,
        members: successor.members.clone(),
        request: idempotent(successor.cluster, command),
        about: About {
            sealed: by,
            shows: seal.partition,
            successor: successor.partition,
            piece,
        },
    }
}
