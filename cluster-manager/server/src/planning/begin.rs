//! Beginning what was planned: the fleet's hosts by the orders that an operator would give, queues by moves.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::manager::ChangeRequest;
use shoal_api::plan::PlannedAction;
use shoal_planner::{Action, Decided};
use shoal_types::{ClusterId, QueueId};

use super::queues::Names;
use crate::orders::Orders;
use crate::queues::{Queues, Wanted};
use crate::records::MoveKind;

/// Begins actions.
pub(super) struct Beginner<'a> {
    pub(super) orders: &'a Orders,
    pub(super) queues: &'a Arc<Queues>,
    pub(super) names: &'a Names,
    pub(super) by_itself: ByItself,
}

/// What the manager does without being asked for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByItself {
    /// Makes clusters of free hosts.
    pub(crate) forms_clusters: bool,
    /// Moves, splits and merges queues.
    pub(crate) moves_queues: bool,
}

/// Whether an action was begun, and what is to be said about it.
type Begun = Result<String, String>;

impl Beginner<'_> {
    /// Begins an action, or says why not. Whatever was not begun is decided anew in the next round.
    pub(super) async fn begin(&self, decided: &Decided) -> PlannedAction {
        let Decided { action, reason } = decided;
        let reason = reason.to_string();
        let begun = match action {
            Action::Replace { cluster, dead, by } => {
                let asked = ChangeRequest {
                    add: Some(*by),
                    remove: Some(*dead),
                    ..ChangeRequest::default()
                };
                let ordered = self.orders.change(*cluster, asked, &reason).await;
                said(ordered, "the members are being changed")
            }
            Action::Form(_) if !self.by_itself.forms_clusters => {
                Err("clusters are formed by operators only (`form_clusters`)".to_owned())
            }
            Action::Form(new) => {
                let why = format!("{new}; {reason}");
                let assigned = self.orders.formation.assign(&new.members, why).await;
                match assigned {
                    Ok(Some(cluster)) => Ok(format!("{cluster} is being formed")),
                    Ok(None) => Err("a host changed meanwhile".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            }
            Action::Retire { cluster } => {
                said(self.orders.retire(*cluster, &reason).await, "it is retired")
            }
            Action::Move { .. } | Action::Split { .. } | Action::Merge { .. }
                if !self.by_itself.moves_queues =>
            {
                Err("queues are not moved (`move_queues`)".to_owned())
            }
            Action::Move { .. } | Action::Split { .. } | Action::Merge { .. } => {
                self.begin_move(action, &reason).await
            }
            Action::Forward {
                queue,
                partition,
                to,
                ..
            } => match self.names.get(queue) {
                Some(name) => said(
                    self.queues
                        .begin_forwarding(name, *partition, *to, &reason)
                        .await,
                    "it is being carried out",
                ),
                None => Err("the queue is gone".to_owned()),
            },
        };
        PlannedAction {
            action: action.to_string(),
            reason,
            queue: queue(action).and_then(|queue| self.names.get(&queue).cloned()),
            clusters: clusters(action),
            begun: begun.is_ok(),
            outcome: begun.unwrap_or_else(|why| why),
        }
    }
}

impl Beginner<'_> {
    async fn begin_move(&self, action: &Action, reason: &str) -> Begun {
        let Some(wanted) = wanted(action, reason) else {
            return Err("this is no move".to_owned());
        };
        let Some(name) = self.names.get(&wanted.queue) else {
            return Err("the queue is gone".to_owned());
        };
        said(
            self.queues.begin_move(name, wanted).await,
            "it is being carried out",
        )
    }
}

/// What of an action about a queue is to be carried out.
pub(super) fn wanted(action: &Action, reason: &str) -> Option<Wanted> {
    let (kind, with, to) = match action {
        Action::Move { to, .. } => (MoveKind::Move, None, vec![*to]),
        Action::Split { to, .. } => (MoveKind::Split, None, to.clone()),
        Action::Merge { with, to, .. } => (MoveKind::Merge, Some(*with), vec![*to]),
        _ => return None,
    };
    let (Action::Move {
        queue,
        partition,
        epoch,
        carries,
        ..
    }
    | Action::Split {
        queue,
        partition,
        epoch,
        carries,
        ..
    }
    | Action::Merge {
        queue,
        partition,
        epoch,
        carries,
        ..
    }) = action
    else {
        return None;
    };
    Some(Wanted {
        kind,
        queue: *queue,
        epoch: *epoch,
        partition: *partition,
        with,
        to,
        carries: carries.as_millionths(),
        text: format!("{action}: {reason}"),
    })
}

fn said<T>(ordered: Result<T, Problem>, what: &str) -> Begun {
    match ordered {
        Ok(_) => Ok(what.to_owned()),
        Err(problem) => Err(problem.detail.to_string()),
    }
}

fn queue(action: &Action) -> Option<QueueId> {
    match action {
        Action::Move { queue, .. }
        | Action::Split { queue, .. }
        | Action::Merge { queue, .. }
        | Action::Forward { queue, .. } => Some(*queue),
        Action::Replace { .. } | Action::Form(_) | Action::Retire { .. } => None,
    }
}

fn clusters(action: &Action) -> Vec<ClusterId> {
    match action {
        Action::Replace { cluster, .. } | Action::Retire { cluster } => vec![*cluster],
        Action::Form(_) => Vec::new(),
        Action::Move { from, to, .. }
        | Action::Merge { from, to, .. }
        | Action::Forward { from, to, .. } => vec![*from, *to],
        Action::Split { from, to, .. } => [&[*from], to.as_slice()].concat(),
    }
}
