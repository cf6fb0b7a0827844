//! How far one host is, over all its lives.

use shoal_types::{Incarnation, Position};

use super::log::OrderLog;
use crate::checkers::Checker;
use crate::history::Step;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Progress {
    life: Option<u64>,
    /// The step that comes next; `None`: not known, it does something that is not in the order.
    next: Option<usize>,
    /// How far the farthest life came.
    farthest: usize,
    /// Of the life and incarnation that were looked at last.
    fingerprinted: Option<(Incarnation, Position)>,
}

type Found = Vec<(Checker, String)>;

impl Progress {
    /// Where a step has to stand that this host executes now.
    pub(super) fn place(
        &mut self,
        life: u64,
        step: &Step,
        log: &OrderLog,
        found: &mut Found,
    ) -> Option<usize> {
        if self.life != Some(life) {
            if self.life.is_some_and(|before| before > life) {
                let before = self.life;
                found.push((Checker::C14, format!("executes after its life {before:?}")));
            }
            self.life = Some(life);
            self.next = Some(self.first_of_life(step, log, found));
        }
        let place = self.next?;
        self.next = Some(place + 1);
        self.farthest = self.farthest.max(place + 1);
        Some(place)
    }

    /// A life begins where a checkpoint or the log begins: at a step of an earlier life, or right after
    /// the last one, and never beyond.
    fn first_of_life(&self, step: &Step, log: &OrderLog, found: &mut Found) -> usize {
        let place = log.find(step).unwrap_or(log.len());
        if place > self.farthest {
            found.push((
                Checker::C14,
                format!(
                    "begins with step {place} of the order ({step:?}), but came only to {} before",
                    self.farthest
                ),
            ));
        }
        place
    }

    /// It took over the state before this step from another host.
    pub(super) fn may_begin_at(&mut self, place: usize) {
        self.farthest = self.farthest.max(place);
    }

    /// It executed something else than the others: what follows would only repeat that.
    pub(super) fn lose(&mut self) {
        self.next = None;
    }

    /// Steps executed in the newest life, and those it did not have to execute again.
    pub(super) fn executed(&self) -> usize {
        self.next.unwrap_or_default()
    }

    pub(super) fn fingerprint(
        &mut self,
        incarnation: Incarnation,
        executed: Position,
        found: &mut Found,
    ) {
        if let Some((before, position)) = self.fingerprinted {
            if incarnation < before {
                found.push((
                    Checker::C14,
                    format!("is in incarnation {incarnation:?} after {before:?}"),
                ));
            } else if incarnation == before && executed < position {
                found.push((
                    Checker::C14,
                    format!("has executed up to {executed:?} after {position:?}"),
                ));
            }
        }
        self.fingerprinted = Some((incarnation, executed));
    }
}
