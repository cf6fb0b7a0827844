//! Sees what a host executes, for the auditor.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use shoal_host::core::Witness;
use shoal_replication::View;
use shoal_types::{Delivery, Origin, Outcome, Position, Request, RequestId};

use crate::history::Step;

/// Steps on their way from a core to the world; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps(Arc<Mutex<Vec<Step>>>);

impl Steps {
    /// What was executed since.
    pub(super) fn take(&self) -> Vec<Step> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True if such a step is among those not taken yet.
    pub(super) fn any(&self, is_it: impl Fn(&Step) -> bool) -> bool {
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.iter().any(is_it)
    }

    fn push(&self, step: Step) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(step);
    }
}

impl Witness for Steps {
    fn entry(&mut self, position: Position) {
        self.push(Step::Entry(position));
    }

    fn command(&mut self, request: &Request, bodies: &[Bytes], outcome: &Outcome) {
        self.push(Step::Command(
            request.clone(),
            bodies.to_vec(),
            outcome.clone(),
        ));
    }

    fn given(&mut self, origin: Origin, waiter: RequestId, deliveries: &[Delivery]) {
        self.push(Step::Given(origin, waiter, deliveries.to_vec()));
    }

    fn view_installed(&mut self, view: &View) {
        self.push(Step::View(view.number, view.incarnations.clone()));
    }
}
