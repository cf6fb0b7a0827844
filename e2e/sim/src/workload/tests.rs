//! The clients against a cluster that never fails.

use std::collections::BTreeSet;

use shoal_types::{Outcome, ReceiptResult, SendResult};

use super::ideal;
use crate::history::{Call, Told};

#[test]
fn a_cluster_that_never_fails_pleases_every_checker() {
    for seed in 0..12 {
        let run = ideal::run(seed, 12);
        assert_eq!(run.violations, [], "seed {seed}");
        assert!(run.calls.len() > 300, "{} calls", run.calls.len());
    }
}

#[test]
fn a_seed_means_the_same_calls_each_time() {
    let told = |seed| {
        let calls = ideal::run(seed, 5).calls;
        calls
            .iter()
            .map(|call| format!("{call:?}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(3), told(3));
    assert_ne!(told(3), told(4));
}

#[test]
fn no_two_bodies_of_a_run_are_equal() {
    let calls = ideal::run(5, 12).calls;
    let mut operations = BTreeSet::new();
    let mut bodies = BTreeSet::new();
    for call in calls {
        if operations.insert(call.request.id) {
            for body in call.bodies {
                assert!(bodies.insert(body.clone()), "{body:?} was sent twice");
            }
        }
    }
    assert!(bodies.len() > 50);
}

/// A name for each kind of answer, and of command.
fn kinds(call: &Call, kinds: &mut BTreeSet<String>) {
    let first_word = |text: String| {
        let end = text.find(|c: char| !c.is_alphanumeric());
        text[..end.unwrap_or(text.len())].to_owned()
    };
    kinds.insert(first_word(format!("{:?}", call.request.command)));
    match &call.returned {
        Some((_, Told::Outcome(Outcome::Sent(results), _))) => {
            let name = |result: &SendResult| first_word(format!("{result:?}"));
            kinds.extend(results.iter().map(name));
        }
        Some((_, Told::Outcome(Outcome::Receipts(results), _))) => {
            let name = |result: &ReceiptResult| format!("{result:?}");
            kinds.extend(results.iter().map(name));
        }
        Some((_, Told::Refused(refusal))) => {
            kinds.insert(refusal.code.to_string());
        }
        _ => {}
    }
}

#[test]
fn clients_do_everything_and_meet_every_answer() {
    let mut met = BTreeSet::new();
    for seed in 100..130 {
        for call in ideal::run(seed, 8).calls {
            kinds(&call, &mut met);
        }
    }
    let expected = [
        "CreatePartition",
        "ConfigurePartition",
        "DeletePartition",
        "Send",
        "Receive",
        "Acknowledge",
        "ChangeVisibility",
        "Release",
        "Unreceive",
        "Purge",
        "Accepted",
        "Duplicate",
        "Conflict",
        "Full",
        "Done",
        "Gone",
        "Expired",
        "Superseded",
        "Unknown",
        "deadline_exceeded",
        "fenced",
        "invalid_request",
        "queue_not_found",
        "stale_route",
    ];
    let missing: Vec<_> = expected
        .iter()
        .filter(|kind| !met.contains(**kind))
        .collect();
    assert!(missing.is_empty(), "{missing:?} never occur; {met:?}");
}
