//! The order, executed by the reference model.

use std::collections::VecDeque;

use shoal_model::{Given, Model};
use shoal_types::{Command, Forwarded, Outcome, Refusal};

use super::Replayed;
use crate::auditor::OrderLog;
use crate::checkers::Checker;
use crate::checkers::findings::Findings;
use crate::history::Step;

/// Executes the order once more and compares every outcome and every gift. Stops at the first
/// difference: all that follows would come from it.
pub(in crate::checkers) fn replay(log: &OrderLog, findings: &mut Findings<'_>) -> Replayed {
    let mut model = Model::default();
    let mut expected: VecDeque<Given> = VecDeque::new();
    for (place, logged) in log.steps().iter().enumerate() {
        if let Some(what) = differs(&mut model, &mut expected, &logged.step) {
            findings.add(Checker::C0, logged.at, || {
                format!("step {place} of the order, {:?}: {what}", logged.step)
            });
            return Replayed::default();
        }
    }
    if let Some(given) = expected.front() {
        let at = log
            .steps()
            .last()
            .map_or_else(Default::default, |last| last.at);
        findings.add(Checker::C0, at, || {
            format!("the order ends where the model gives {given:?}")
        });
        return Replayed::default();
    }
    let counts = model.partitions().map(|partition| {
        let counts = model.counts(partition).expect("just listed");
        (partition, counts)
    });
    Replayed {
        counts: counts.collect(),
        agreed: true,
    }
}

fn differs(model: &mut Model, expected: &mut VecDeque<Given>, step: &Step) -> Option<String> {
    if let Step::Given(origin, waiter, deliveries) = step {
        let Some(given) = expected.pop_front() else {
            return Some("the model gives nothing".to_owned());
        };
        let same =
            (given.origin, given.waiter) == (*origin, *waiter) && given.deliveries == *deliveries;
        return (!same).then(|| format!("the model: {given:?}"));
    }
    if let Some(given) = expected.front() {
        return Some(format!("the model first gives {given:?}"));
    }
    let mut effects = Vec::new();
    match step {
        Step::Entry(position) => model.begin_entry(*position, &mut effects),
        Step::View(_, lives) => model.view_installed(lives),
        Step::Command(request, _, outcome) => {
            let another = is_another_piece(model, &request.command);
            if let Some(what) = another.or_else(|| is_another_parcel(model, &request.command)) {
                return Some(what);
            }
            let modelled = model.apply(request, &mut effects);
            if plain(outcome) != plain(&modelled) {
                return Some(format!("the model: {modelled:?}"));
            }
        }
        Step::Given(..) => unreachable!("looked at above"),
    }
    expected.extend(effects);
    None
}

/// What is brought to an heir must be what the model has on its way there, but for messages that were
/// purged or whose time was over meanwhile. A piece that comes again when the next one is on its way was
/// looked at before.
fn is_another_piece(model: &Model, command: &Command) -> Option<String> {
    let Command::TakePiece {
        partition,
        from,
        piece,
    } = command
    else {
        return None;
    };
    let (_, modelled) = model
        .piece(*from)
        .filter(|(heir, modelled)| heir == partition && modelled.number == piece.number)?;
    let brought = |message: &Forwarded| piece.messages.contains(message);
    let same = modelled.rest == piece.rest && modelled.messages.iter().all(brought);
    (!same).then(|| format!("the model has on its way: {modelled:?}"))
}

/// The same of what is brought to another queue.
fn is_another_parcel(model: &Model, command: &Command) -> Option<String> {
    let Command::TakeParcel {
        partition,
        from,
        parcel,
    } = command
    else {
        return None;
    };
    let (_, modelled) = model
        .parcel(*from)
        .filter(|(to, modelled)| to == partition && modelled.number == parcel.number)?;
    let mut brought = parcel.messages.iter();
    // In their order.
    let mut messages = modelled.messages.iter();
    let same = messages.all(|message| brought.any(|one| one == message));
    (!same).then(|| format!("the model has on its way: {modelled:?}"))
}

/// The words of a refusal are for people; code and class are what is promised.
fn plain(outcome: &Outcome) -> std::borrow::Cow<'_, Outcome> {
    match outcome {
        Outcome::Refused(refusal) => std::borrow::Cow::Owned(Outcome::Refused(Refusal {
            detail: "".into(),
            ..refusal.clone()
        })),
        other => std::borrow::Cow::Borrowed(other),
    }
}
