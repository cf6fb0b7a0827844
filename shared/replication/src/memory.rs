//! What a host remembers of the others, and refusing one that knows less than that of itself.
//!
//! A host whose data folder was wiped, or set back to an earlier copy, has forgotten what it promised and
//! acknowledged. If it voted, a quorum could decide without knowing what was answered to clients. It
//! cannot tell by itself, but the others can: what a life of it had on disk, every later life has too.
//!
//! So every host introduces itself: the first message on a new connection is a heartbeat, which says which
//! life speaks, its view, and what it has on disk. Who compares it with what it remembers either goes on
//! listening, or refuses that life for good and says why ([`crate::Message::Forgotten`]). Whoever is told
//! so does nothing any more. Memory is volatile: a host that restarts remembers from what it hears.

use std::fmt;

use serde::{Deserialize, Serialize};
use shoal_types::planted::{Bug, planted};
use shoal_types::{HostId, Incarnation, ViewNumber};

use crate::peer::Kept;
use crate::{Engine, Heartbeat, HostPhase, LinkEvent, Message, Output};

/// What a host lacks that another one remembers of it.
///
/// The variants' order is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lacks {
    /// A start of its process with a higher number, or another one with the same number.
    Life {
        /// The highest number that was seen.
        seen: Incarnation,
    },
    /// The view in which it acted, or of which it said that it has it.
    View {
        /// That view, or a later one.
        seen: ViewNumber,
    },
    /// Entries of a view that it said it has on disk.
    Entries {
        /// The view.
        view: ViewNumber,
        /// Whose lane.
        lane: HostId,
        /// Up to which index it had them.
        seen: u64,
        /// Up to which index it has them now.
        has: u64,
    },
    /// That it belongs to the cluster at all.
    Cluster,
}

impl fmt::Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Life { seen } => write!(f, "its start number {seen}"),
            Self::View { seen } => write!(f, "view {seen}, in which it was"),
            Self::Entries {
                view,
                lane,
                seen,
                has,
            } => write!(
                f,
                "entries of {lane}'s lane in view {view}: it had them up to {seen} and has them up to {has}"
            ),
            Self::Cluster => write!(f, "that it is a member of the cluster"),
        }
    }
}

/// Why this host does nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Who remembers.
    pub by: HostId,
    /// What.
    pub lacks: Lacks,
}

impl fmt::Display for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, lacks } = self;
        write!(
            f,
            "this data folder has forgotten what this host knew: it was lost or set back. {by} remembers \
             of it {lacks}. Replace this host by a new one with an empty data folder"
        )
    }
}

impl Engine {
    /// Why this host does nothing any more, if the others remember more of it than it knows.
    #[must_use]
    pub fn forgotten(&self) -> Option<Forgotten> {
        self.forgotten
    }

    /// A heartbeat of a life whose place in the order of lives is not known yet. False if the sender is
    /// not to be listened to.
    pub(crate) fn introduces_itself(&mut self, k: usize, heartbeat: &Heartbeat) -> bool {
        match self.judge(k, heartbeat) {
            Some(lacks) => {
                self.peers[k].refused = Some((heartbeat.incarnation, heartbeat.life));
                self.refuse(k, heartbeat.incarnation, Some(heartbeat.life), lacks);
                false
            }
            // What an earlier life said arrives late.
            None if !self.showed_incarnation(k, heartbeat.incarnation) => false,
            None => {
                let peer = &mut self.peers[k];
                peer.refused = None;
                peer.introduced = Some((heartbeat.incarnation, heartbeat.life));
                self.remember(k, heartbeat);
                true
            }
        }
    }

    /// True if a host's words count: its present life has introduced itself, or nothing is remembered
    /// that it could contradict.
    pub(crate) fn is_introduced(&self, k: usize) -> bool {
        let peer = &self.peers[k];
        let known = |(life, _): (Incarnation, u64)| peer.incarnation == Some(life);
        peer.refused.is_none() && peer.introduced.is_none_or(known)
    }

    /// What the sender of a heartbeat lacks, if it lacks something. Compared is only what an *earlier* life
    /// showed, or another one that claims the same number: words of one life may overtake each other.
    fn judge(&self, k: usize, heartbeat: &Heartbeat) -> Option<Lacks> {
        if planted(Bug::RolledBackHostVotes) {
            return None;
        }
        let peer = &self.peers[k];
        let now = (heartbeat.incarnation, heartbeat.life);
        if peer.refused == Some(now) {
            return Some(self.lacks_of_refused(k, heartbeat));
        }
        let number = |seen: &Incarnation| *seen > now.0;
        if let Some(seen) = self.highest_life(k).filter(number) {
            return Some(Lacks::Life { seen });
        }
        let same_number = |(number, life): &(Incarnation, u64)| *number == now.0 && *life != now.1;
        if let Some((seen, _)) = peer.introduced.filter(same_number) {
            return Some(Lacks::Life { seen });
        }
        if let Some((life, seen)) = peer.acted
            && now.0 > life
            && heartbeat.view < seen
        {
            return Some(Lacks::View { seen });
        }
        let kept = peer.kept.as_ref().filter(|kept| now.0 > kept.by)?;
        self.lacks_kept(kept, heartbeat)
    }

    fn lacks_kept(&self, kept: &Kept, heartbeat: &Heartbeat) -> Option<Lacks> {
        let view = kept.view;
        if heartbeat.view < view {
            return Some(Lacks::View { seen: view });
        }
        if heartbeat.view > view {
            return None;
        }
        let lanes = kept.durable.iter().zip(&heartbeat.durable).enumerate();
        let (lane, (seen, has)) = lanes.into_iter().find(|(_, (seen, has))| has < seen)?;
        let members = self.members_of(view).unwrap_or_default();
        Some(Lacks::Entries {
            view,
            lane: members.get(lane).copied().unwrap_or_default(),
            seen: *seen,
            has: *has,
        })
    }

    /// A life that was refused stays so, whatever it has fetched since.
    fn lacks_of_refused(&self, k: usize, heartbeat: &Heartbeat) -> Lacks {
        let kept = self.peers[k].kept.as_ref();
        let still = kept.and_then(|kept| self.lacks_kept(kept, heartbeat));
        let seen = self.highest_life(k).unwrap_or(heartbeat.incarnation);
        still.unwrap_or(Lacks::Life { seen })
    }

    /// The highest number of a start of a host's process that this host knows of.
    fn highest_life(&self, k: usize) -> Option<Incarnation> {
        let meant = match k < self.view.members.len() {
            true => self.view.incarnation_of(self.view.members[k]),
            false => None,
        };
        self.peers[k].incarnation.max(meant)
    }

    /// Takes note of what a host certainly has on disk.
    fn remember(&mut self, k: usize, heartbeat: &Heartbeat) {
        // In other phases the view itself may not be durable there.
        let lasts = matches!(heartbeat.phase, HostPhase::Acting | HostPhase::Learning);
        if lasts {
            self.peers[k].keeps(heartbeat.incarnation, heartbeat.view, &heartbeat.durable);
        }
    }

    /// A connection shows which life is at the other end, before that says anything.
    pub(crate) fn judge_link(&mut self, k: usize, event: LinkEvent) {
        let LinkEvent::Up {
            incarnation,
            assigned,
        } = event
        else {
            return;
        };
        if planted(Bug::RolledBackHostVotes) {
            return;
        }
        if let Some(seen) = self.highest_life(k).filter(|seen| *seen > incarnation) {
            // Which of the lives with this number, its heartbeat will tell.
            self.peers[k].refused = Some((incarnation, 0));
            self.refuse(k, incarnation, None, Lacks::Life { seen });
        } else if !assigned && self.peers[k].acted.is_some() {
            self.refuse(k, incarnation, None, Lacks::Cluster);
        }
    }

    fn refuse(&mut self, k: usize, incarnation: Incarnation, life: Option<u64>, lacks: Lacks) {
        let message = Message::Forgotten {
            incarnation,
            life,
            lacks,
        };
        self.send(k, message);
    }

    /// Somebody remembers more of this host than it knows itself.
    pub(crate) fn on_forgotten(
        &mut self,
        by: HostId,
        incarnation: Incarnation,
        life: Option<u64>,
        lacks: Lacks,
    ) {
        let meant = incarnation == self.incarnation && life.is_none_or(|l| l == self.config.seed);
        let lacking = match lacks {
            // It may have become a member while this was on its way.
            Lacks::Cluster => !self.belongs_somewhere(),
            // Said of a question: this host may have gone on since it asked.
            Lacks::View { seen } if life.is_none() => seen > self.view.number,
            _ => true,
        };
        if meant && lacking && self.forgotten.is_none() {
            let forgotten = Forgotten { by, lacks };
            self.forgotten = Some(forgotten);
            self.stopped = true;
            self.outputs.push_back(Output::Forgotten(forgotten));
        }
    }
}
