//! How long messages of quiet groups wait while another group floods the queue: at most twice as long as
//! without it. Time is counted in services: consumers see to one message per tick.

use std::collections::BTreeMap;

use shoal_types::GroupName;

use crate::desk::{Desk, grouped, item};

const QUIET: usize = 10;
const TICKS: u64 = 1_500;
/// Messages of the flood for each of one quiet group, or thereabouts.
const FLOOD: usize = 100;

/// When quiet groups send.
#[derive(Clone, Copy, Debug)]
enum Pattern {
    /// One after the other, so many ticks apart.
    Spread(u64),
    /// All at once, every so many ticks.
    Together(u64),
    /// One of them so many messages at once; the next one after so many ticks.
    Bursts(usize, u64),
}

impl Pattern {
    /// The quiet groups that send in this tick.
    fn senders(self, tick: u64) -> Vec<usize> {
        match self {
            Self::Spread(every) if tick.is_multiple_of(every) => {
                vec![(tick / every) as usize % QUIET]
            }
            Self::Together(every) if tick.is_multiple_of(every) => (0..QUIET).collect(),
            Self::Bursts(count, every) if tick.is_multiple_of(every) => {
                vec![(tick / every) as usize % QUIET; count]
            }
            _ => Vec::new(),
        }
    }
}

/// Ticks from send to receive, the receive's own included: the mean over all quiet groups' messages, and
/// the longest of any.
fn dwell(pattern: Pattern, flooded: bool, batch: u16) -> (f64, u64) {
    let mut desk: Desk = super::desk();
    let mut sent = BTreeMap::<u64, u64>::new();
    let (mut last, mut all) = (0, Vec::new());
    let name = |n: usize| format!("quiet-{n}");
    for tick in 0..TICKS {
        let senders = pattern.senders(tick);
        let mut items = Vec::new();
        if flooded && tick.is_multiple_of(10) {
            items.extend(vec![grouped(item(1), "flood"); FLOOD]);
        }
        let quiet_from = last + items.len() as u64 + 1;
        items.extend(senders.iter().map(|n| grouped(item(1), &name(*n))));
        last += items.len() as u64;
        sent.extend((quiet_from..=last).map(|number| (number, tick)));
        desk.send(items);
        // Consumers that see to `batch` messages come every so many ticks.
        if !tick.is_multiple_of(u64::from(batch)) {
            continue;
        }
        let received = desk.receive(batch);
        for delivery in &received {
            let is_flood = delivery.group == Some(GroupName::from("flood"));
            match sent.remove(&delivery.sequence.number()) {
                Some(at) => all.push(tick - at + 1),
                None => assert!(is_flood, "{delivery:?}"),
            }
        }
        desk.acknowledge(&received);
        if tick == TICKS / 2 {
            desk.restart();
        }
    }
    assert!(sent.len() <= 25, "{pattern:?}: {} still wait", sent.len());
    let mean = all.iter().sum::<u64>() as f64 / all.len() as f64;
    (mean, all.into_iter().max().expect("some were received"))
}

#[test]
fn a_flood_at_most_doubles_the_time_that_others_messages_wait() {
    for (pattern, batches) in [
        (Pattern::Spread(2), &[1, 10][..]),
        (Pattern::Spread(3), &[1, 10]),
        (Pattern::Together(20), &[1, 10]),
        (Pattern::Together(13), &[1, 10]),
        (Pattern::Bursts(6, 10), &[1, 10]),
        (Pattern::Bursts(10, 15), &[1, 10]),
        // These are crowded themselves, so each of theirs waits for one of the flood. In tens that would
        // be measured in receives that they do not fill.
        (Pattern::Bursts(20, 30), &[1]),
    ] {
        for &batch in batches {
            let (alone, longest_alone) = dwell(pattern, false, batch);
            let (flooded, longest) = dwell(pattern, true, batch);
            let what = format!(
                "{pattern:?}, {batch} at a time: {alone:.2} to {flooded:.2} ticks, at the longest \
                 {longest_alone} to {longest}"
            );
            println!("{what}");
            assert!(flooded <= 2.0 * alone, "{what}");
            // What just does not fit any more waits for the next receive.
            let one_more = longest_alone + u64::from(batch);
            assert!(longest <= one_more.max(2 * longest_alone), "{what}");
        }
    }
}
