//! What operators were told already: the log of events says what changes, not the same thing every round.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_api::plan::{CapacityInfo, EventKind, PlanInfo, PlannedAction};

use crate::events::{EventLog, News};
use crate::store::StoreError;

/// Writes events about what was planned and not begun, once for each reason.
pub(super) struct Told {
    events: Arc<EventLog>,
    capacity: Option<CapacityInfo>,
    /// Why what was planned in the last round was not begun. Bounded by the actions of a plan.
    not_begun: BTreeMap<Subject, String>,
}

/// What an action is about: the figures in its text change from round to round.
type Subject = (String, String);

impl Told {
    pub(super) fn new(events: Arc<EventLog>) -> Self {
        Self {
            events,
            capacity: None,
            not_begun: BTreeMap::new(),
        }
    }

    /// Tells what is new about a round.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn tell(&mut self, info: &PlanInfo) -> Result<(), StoreError> {
        let mut not_begun = BTreeMap::new();
        for action in info.actions.iter().filter(|action| !action.begun) {
            let subject = subject(action);
            if self.not_begun.get(&subject) != Some(&action.outcome) {
                self.events.note(about(action)).await?;
            }
            not_begun.insert(subject, action.outcome.clone());
        }
        self.not_begun = not_begun;
        if self.capacity != info.capacity_needed {
            self.capacity = info.capacity_needed;
            self.events.note(missing(self.capacity)).await?;
        }
        Ok(())
    }
}

/// The first word says what kind of action it is.
fn subject(action: &PlannedAction) -> Subject {
    let kind = action.action.split(' ').next().unwrap_or_default();
    let about = match (&action.queue, action.clusters.first()) {
        (Some(queue), _) => queue.to_string(),
        (None, Some(cluster)) => cluster.to_string(),
        (None, None) => String::new(),
    };
    (kind.to_owned(), about)
}

fn about(action: &PlannedAction) -> News {
    let PlannedAction {
        action: what,
        reason,
        queue,
        clusters,
        outcome,
        ..
    } = action;
    News {
        kind: EventKind::NotBegun,
        clusters: clusters.clone(),
        queue: queue.clone(),
        text: format!("not begun: {what}: {reason}. {outcome}"),
    }
}

fn missing(capacity: Option<CapacityInfo>) -> News {
    let text = match capacity {
        None => "no capacity is needed any more".to_owned(),
        Some(CapacityInfo {
            hosts,
            clusters,
            replacements,
        }) => format!(
            "capacity needed: {hosts} hosts, for {clusters} clusters and {replacements} dead members"
        ),
    };
    News {
        kind: EventKind::Capacity,
        clusters: Vec::new(),
        queue: None,
        text,
    }
}
