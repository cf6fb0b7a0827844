//! The one order of a run: every step once, as the first host that executed it saw it.

use std::collections::BTreeMap;

use shoal_types::{BodyRef, Delivery, HostId, Incarnation, Outcome, Position, ViewNumber};

use super::limits::STEPS_MAX;
use crate::checkers::Checker;
use crate::history::{SimTime, Step};

/// A step of the order.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// When it was executed first.
    pub at: SimTime,
    /// Who executed it first.
    pub by: HostId,
    /// What.
    pub step: Step,
}

/// See the module.
#[derive(Debug, Default)]
pub struct OrderLog {
    steps: Vec<Logged>,
    entries: BTreeMap<Position, usize>,
    views: BTreeMap<ViewNumber, usize>,
    /// As the newest view that tells says.
    incarnations: BTreeMap<HostId, Incarnation>,
}

impl OrderLog {
    /// How many steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// True before the first step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// All steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Logged] {
        &self.steps
    }

    pub(super) fn get(&self, place: usize) -> &Logged {
        &self.steps[place]
    }

    pub(super) fn last(&self) -> Option<&Logged> {
        self.steps.last()
    }

    /// Where a step stands that needs nothing before it to be found: an entry's or a view's begin.
    pub(super) fn find(&self, step: &Step) -> Option<usize> {
        match step {
            Step::Entry(position) => self.entries.get(position).copied(),
            Step::View(number, _) => self.views.get(number).copied(),
            Step::Command(..) | Step::Given(..) => None,
        }
    }

    /// The first entry or view after both of these.
    pub(super) fn after(&self, executed: Position, view: ViewNumber) -> usize {
        let entry = self.entries.get(&executed);
        let last = entry.max(self.views.get(&view));
        let first = last.map_or(0, |last| last + 1);
        let part = |logged: &&Logged| matches!(logged.step, Step::Command(..) | Step::Given(..));
        first + self.steps[first..].iter().take_while(part).count()
    }

    /// Adds the next step. `Err`: it cannot come next.
    pub(super) fn append(&mut self, logged: Logged) -> Result<(), (Checker, String)> {
        let place = self.steps.len();
        if place >= STEPS_MAX {
            return Err((Checker::C0, format!("more than {STEPS_MAX} steps")));
        }
        let last_entry = self.entries.last_key_value().map(|(at, _)| *at);
        let last_view = self.views.last_key_value().map(|(number, _)| *number);
        match &logged.step {
            Step::Entry(position) => {
                if let Some(last) =
                    last_entry.filter(|last| last >= position || last.ts > position.ts)
                {
                    return Err((
                        Checker::C14,
                        format!("entry {position:?} comes after {last:?}"),
                    ));
                }
                if last_view.is_none_or(|view| view != position.view) {
                    return Err((
                        Checker::C0,
                        format!("entry {position:?} is executed in view {last_view:?}"),
                    ));
                }
                self.entries.insert(*position, place);
            }
            Step::View(number, lives) => {
                if let Some(last) = last_view.filter(|last| last >= number) {
                    return Err((
                        Checker::C14,
                        format!("view {number:?} comes after {last:?}"),
                    ));
                }
                for origin in lives {
                    let known = self.incarnations.entry(origin.host).or_default();
                    if *known > origin.incarnation {
                        return Err((
                            Checker::C14,
                            format!("view {number:?} is about {origin:?}, after {known:?}"),
                        ));
                    }
                    *known = origin.incarnation;
                }
                self.views.insert(*number, place);
            }
            Step::Command(..) | Step::Given(..) if last_entry.is_none() => {
                return Err((Checker::C0, format!("{:?} stands in no entry", logged.step)));
            }
            Step::Command(..) | Step::Given(..) => {}
        }
        self.steps.push(logged);
        Ok(())
    }
}

/// Without what is a host's own: where it keeps the bodies.
pub(super) fn comparable(step: Step) -> Step {
    fn strip(mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
        for delivery in &mut deliveries {
            delivery.body = BodyRef::default();
        }
        deliveries
    }
    match step {
        Step::Command(request, bodies, Outcome::Received(deliveries)) => {
            Step::Command(request, bodies, Outcome::Received(strip(deliveries)))
        }
        Step::Given(origin, waiter, deliveries) => Step::Given(origin, waiter, strip(deliveries)),
        other => other,
    }
}
