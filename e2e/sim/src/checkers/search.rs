//! C17: each message's history can be put in an order, found without knowing the hosts'.
//!
//! A message is judged alone: the steps that clients saw of it (sent, delivered under a lease, receipts
//! shown and what came of them) must have an order that keeps to real time and in which each answer is
//! right. The order is searched for (after Wing and Gong), with what was tried before remembered. Steps
//! of which nobody heard may have happened or not; leases run out, and time and purges take messages
//! away, whenever they may. Own search instead of a library's: these optional steps and the freedom of
//! time are what general linearizability testers do not have.

use std::collections::BTreeSet;

use shoal_types::{PartitionId, ReceiptResult, Sequence};

use super::facts::{Facts, Shown, Story, Use};
use super::findings::Findings;
use super::{Checker, Evidence, words};
use crate::history::SimTime;

/// Steps of one message that are put in order; longer histories are not judged.
const STEPS_MAX: usize = 40;
/// Arrangements tried for one message before it is given up.
const TRIED_MAX: usize = 20_000;

/// What happened to a message.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Sent,
    Delivered(u16),
    Taken(u16),
    Shown(Use, u16, Option<ReceiptResult>),
    /// The same with an answer, where the message may have gone on to an heir, or be dead, or elsewhere.
    ShownWhereItWas(Use, u16, ReceiptResult),
    /// Expired, purged, or taken by a receive of which nobody heard.
    Vanished,
}

struct Step {
    deed: Deed,
    from: SimTime,
    until: SimTime,
    /// It happened for sure.
    required: bool,
    operation: Option<usize>,
}

/// What matters of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    there: bool,
    gone: bool,
    lease: u16,
    given_back: bool,
}

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    for ((partition, sequence), story) in &facts.stories {
        let steps = steps(facts, evidence, *partition, *sequence, story);
        let queue = facts.partitions.get(partition);
        let unseen = queue.is_some_and(|queue| !queue.leased_unseen.is_empty());
        if steps.len() <= STEPS_MAX && !Search::new(&steps, unseen).finds_an_order() {
            let last = steps.iter().filter(|s| s.required).map(|s| s.until).max();
            findings.add(Checker::C17, last.unwrap_or_default(), || {
                let steps = steps.iter().filter_map(|step| {
                    let operation = &facts.operations[step.operation?];
                    Some(format!(
                        "{:?} by {}",
                        step.deed,
                        words::operation(operation)
                    ))
                });
                let steps: Vec<String> = steps.collect();
                format!(
                    "message {} of {partition} has no possible order of: {}",
                    sequence.number(),
                    steps.join("; ")
                )
            });
        }
    }
}

fn steps(
    facts: &Facts<'_>,
    evidence: &Evidence<'_>,
    partition: PartitionId,
    sequence: Sequence,
    story: &Story,
) -> Vec<Step> {
    const NEVER: SimTime = SimTime(u64::MAX);
    let sends = story.sent.iter().map(|at| {
        let sent = &facts.sent[*at];
        Step {
            deed: Deed::Sent,
            from: sent.invoked,
            until: sent.answered.map_or(NEVER, |(at, _)| at),
            required: sent.answered.is_some(),
            operation: Some(sent.operation),
        }
    });
    let mut steps: Vec<Step> = sends.collect();
    if story.came(facts) {
        steps.push(Step {
            deed: Deed::Sent,
            from: SimTime::default(),
            until: NEVER,
            required: false,
            operation: None,
        });
    }
    let mut received: BTreeSet<(usize, u16)> = BTreeSet::new();
    for at in &story.delivered {
        let delivered = &facts.delivered[*at];
        let lease = delivered.delivery.receipt.lease;
        // All attempts of one receive give the same.
        if received.insert((delivered.operation, lease)) {
            steps.push(Step {
                deed: if delivered.auto_ack {
                    Deed::Taken(lease)
                } else {
                    Deed::Delivered(lease)
                },
                from: delivered.invoked,
                until: delivered.returned,
                required: true,
                operation: Some(delivered.operation),
            });
        }
    }
    for at in &story.shown {
        let shown = &facts.shown[*at];
        let here = facts.operations[shown.operation].command.partition();
        if here != Some(shown.receipt.partition) || shown.receipt.sequence != sequence {
            continue;
        }
        if shown.answered.is_none() && !shown.possible {
            continue;
        }
        steps.push(Step {
            deed: deed(facts, shown),
            from: shown.invoked,
            until: shown.answered.map_or(NEVER, |(at, _)| at),
            required: shown.answered.is_some(),
            operation: Some(shown.operation),
        });
    }
    let cleared = story.may_be_cleared_from(facts, partition, evidence.skew_bound);
    let unseen = story.may_be_taken_unseen_from(facts, partition);
    steps.push(Step {
        deed: Deed::Vanished,
        from: unseen.map_or(cleared, |unseen| unseen.min(cleared)),
        until: NEVER,
        required: false,
        operation: None,
    });
    steps
}

fn deed(facts: &Facts<'_>, shown: &Shown) -> Deed {
    let (use_, lease) = (shown.use_, shown.receipt.lease);
    let partition = shown.receipt.partition;
    let goes_on = facts.kinship.goes_on_from(partition);
    let leaves = facts.ways.leaves_from(facts.root(partition));
    let may_be_elsewhere = |at| goes_on.into_iter().chain(leaves).any(|from| from < at);
    match shown.answered {
        Some((at, result)) if may_be_elsewhere(at) => Deed::ShownWhereItWas(use_, lease, result),
        answered => Deed::Shown(use_, lease, answered.map(|(_, result)| result)),
    }
}

struct Search<'a> {
    steps: &'a [Step],
    /// Leases may have been given of which nobody heard.
    unseen: bool,
    tried: BTreeSet<(u64, State)>,
}

impl<'a> Search<'a> {
    fn new(steps: &'a [Step], unseen: bool) -> Self {
        Self {
            steps,
            unseen,
            tried: BTreeSet::new(),
        }
    }

    fn finds_an_order(mut self) -> bool {
        self.goes_on(0, State::default())
    }

    /// `done`: which steps were put in order already, one bit each.
    fn goes_on(&mut self, done: u64, state: State) -> bool {
        let open = |at: &usize| done & (1 << at) == 0;
        let required = |at: &usize| self.steps[*at].required;
        let left: Vec<usize> = (0..self.steps.len()).filter(open).collect();
        if !left.iter().any(required) || self.tried.len() >= TRIED_MAX {
            return true;
        }
        if !self.tried.insert((done, state)) {
            return false;
        }
        // Only what began before everything else that is left was over can come next.
        let ends = left
            .iter()
            .filter(|at| required(at))
            .map(|at| self.steps[*at].until);
        let first_end = ends.min().expect("one is left");
        for at in left {
            let step = &self.steps[at];
            if step.from > first_end {
                continue;
            }
            let (deed, done) = (step.deed, done | 1 << at);
            for next in after(state, deed, self.unseen) {
                if self.goes_on(done, next) {
                    return true;
                }
            }
        }
        false
    }
}

/// The states that the message can be in after a step, none if the step cannot be.
fn after(state: State, deed: Deed, unseen: bool) -> Vec<State> {
    let gone = State {
        gone: true,
        ..state
    };
    let here = state.there && !state.gone;
    let is = |possible: bool, next: State| if possible { vec![next] } else { Vec::new() };
    match deed {
        Deed::Sent => is(
            !state.there,
            State {
                there: true,
                ..state
            },
        ),
        Deed::Vanished => is(here, gone),
        Deed::Delivered(lease) => {
            let again = lease == state.lease && !state.given_back;
            let next = State {
                lease,
                given_back: false,
                ..state
            };
            is(here && (lease > state.lease || again), next)
        }
        Deed::Taken(lease) => is(here && lease > state.lease, State { lease, ..gone }),
        Deed::Shown(use_, lease, Some(result)) => shown(state, use_, lease, result, unseen),
        // Whoever has a receipt of the source has no say in it any more. How often the message was leased there
        // is not remembered.
        Deed::ShownWhereItWas(_, _, ReceiptResult::Expired) if state.there && state.lease > 0 => {
            vec![state]
        }
        Deed::ShownWhereItWas(use_, lease, result) => shown(state, use_, lease, result, unseen),
        Deed::Shown(use_, lease, None) => shown(state, use_, lease, ReceiptResult::Done, false),
    }
}

fn shown(state: State, use_: Use, lease: u16, result: ReceiptResult, unseen: bool) -> Vec<State> {
    let here = state.there && !state.gone;
    let current = here && lease == state.lease && lease > 0;
    let acknowledges = use_ == Use::Acknowledge;
    let mut next = Vec::new();
    match result {
        ReceiptResult::Done if acknowledges => {
            if state.gone {
                next.push(state);
            }
            if current && !state.given_back {
                next.push(State {
                    gone: true,
                    ..state
                });
            }
        }
        ReceiptResult::Done if current && !state.given_back => next.push(State {
            given_back: !matches!(use_, Use::Change(1..)),
            ..state
        }),
        ReceiptResult::Gone if state.gone && !acknowledges => next.push(state),
        ReceiptResult::Expired | ReceiptResult::NotLeased if current => next.push(state),
        ReceiptResult::TooLong if current && !acknowledges && !state.given_back => {
            next.push(state);
        }
        ReceiptResult::Superseded if here && lease < state.lease => next.push(state),
        ReceiptResult::Superseded if current && unseen => next.push(State {
            lease: lease.saturating_add(1),
            given_back: false,
            ..state
        }),
        ReceiptResult::Unknown if !state.there || here && (lease > state.lease || lease == 0) => {
            next.push(state);
        }
        _ => {}
    }
    next
}

#[cfg(test)]
mod tests {
    use shoal_types::ReceiptResult::{Done, Gone, Superseded};

    use super::Checker::C17;
    use crate::checkers::tale::Tale;

    fn leased() -> Tale {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale
    }

    #[test]
    fn overlapping_steps_may_have_happened_in_any_order() {
        let mut tale = leased();
        tale.acknowledges(6_000..6_050, 1, 1, Some(Superseded));
        tale.received(6_010..6_040, &[("a", 1, 2)]);
        tale.extends(6_060..6_100, 1, 2, 5_000, Some(Gone));
        tale.acknowledges(6_060..6_100, 1, 2, Some(Done));
        tale.pleases(C17);
    }

    #[test]
    fn a_delivery_after_its_deletion_has_no_order() {
        let mut tale = leased();
        tale.acknowledged(50..60, 1, 1);
        tale.received(6_000..6_010, &[("a", 1, 2)]);
        tale.alarms(C17, &["message 1", "call 3", "call 4"]);
    }

    #[test]
    fn superseded_by_a_lease_that_begins_later_has_no_order() {
        let mut tale = leased();
        tale.acknowledges(50..60, 1, 1, Some(Superseded));
        tale.received(6_000..6_010, &[("a", 1, 2)]);
        tale.alarms(C17, &["Superseded"]);
    }

    #[test]
    fn a_receive_that_nobody_heard_of_may_have_the_newer_lease() {
        let mut tale = leased();
        tale.call(5_000..5_010, Tale::receive(1), Vec::new(), None);
        tale.acknowledges(6_000..6_010, 1, 1, Some(Superseded));
        tale.pleases(C17);
    }

    #[test]
    fn an_acknowledge_that_nobody_heard_of_may_have_happened_or_not() {
        let mut tale = leased();
        tale.acknowledges(50..60, 1, 1, None);
        tale.extends(70..80, 1, 1, 3_000, Some(Gone));
        tale.pleases(C17);
        let mut tale = leased();
        tale.acknowledges(50..60, 1, 1, None);
        tale.extends(70..80, 1, 1, 3_000, Some(Done));
        tale.pleases(C17);
    }

    #[test]
    fn gone_and_then_there_again_has_no_order() {
        let mut tale = leased();
        tale.acknowledges(50..60, 1, 1, None);
        tale.extends(70..80, 1, 1, 3_000, Some(Gone));
        tale.extends(90..95, 1, 1, 3_000, Some(Done));
        tale.alarms(C17, &["Gone", "Done"]);
    }

    #[test]
    fn a_lease_before_its_predecessor_has_no_order() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 2)]);
        tale.received(6_030..6_040, &[("a", 1, 1)]);
        tale.alarms(C17, &["Delivered(2)", "Delivered(1)"]);
    }

    #[test]
    fn a_delivery_before_the_send_began_has_no_order() {
        let mut tale = Tale::new();
        tale.received(1..5, &[("a", 1, 1)]);
        tale.sent(10..20, "a", 1);
        tale.alarms(C17, &["Sent", "Delivered(1)"]);
    }
}
