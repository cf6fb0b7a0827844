//! Processor time of the server's processes, read from `/proc` (Linux; elsewhere there is none).
//!
//! Counted are the named processes and everything they started. A process that ends while the load
//! runs takes its time with it; how many did is part of the answer.

use std::collections::BTreeMap;
use std::fs;

/// `/proc` counts in hundredths of a second on every Linux (USER_HZ is part of its ABI).
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time of a tree of processes at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample(BTreeMap<u32, Process>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// Tells a process from a later one with the same id.
    started: u64,
    /// User and system time.
    ticks: u64,
}

/// Processor time between two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Used {
    pub(crate) seconds: f64,
    /// Processes counted.
    pub(crate) processes: usize,
    /// Processes that ended in between and are not counted.
    pub(crate) ended: usize,
}

/// Looks at the processes in `roots` and all that they started. Empty where there is no `/proc`.
pub(crate) fn sample(roots: &[u32]) -> Sample {
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: BTreeMap<u32, Process> = ids
        .filter_map(|id| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            Some((id, parse(&stat)?))
        })
        .collect();
    let mut tree = Sample::default();
    for id in all.keys() {
        if ancestors(*id, &all).any(|ancestor| roots.contains(&ancestor)) {
            tree.0.insert(*id, all[id]);
        }
    }
    tree
}

/// What was used from one sample to a later one.
pub(crate) fn used(before: &Sample, after: &Sample) -> Used {
    let ticks = after.0.iter().map(|(id, now)| {
        let earlier = before.0.get(id).filter(|p| p.started == now.started);
        now.ticks - earlier.map_or(0, |p| p.ticks)
    });
    let still_there =
        |(id, p): (&u32, &Process)| after.0.get(id).is_some_and(|now| now.started == p.started);
    Used {
        seconds: ticks.sum::<u64>() as f64 / TICKS_PER_SECOND,
        processes: after.0.len(),
        ended: before.0.len() - before.0.iter().filter(|e| still_there(*e)).count(),
    }
}

/// The process itself, its parent, and so on. Bounded, for what is read while processes come and go.
fn ancestors(id: u32, all: &BTreeMap<u32, Process>) -> impl Iterator<Item = u32> {
    let parent = |id: &u32| all.get(id).map(|p| p.parent);
    std::iter::successors(Some(id), parent).take(64)
}

/// Reads `/proc/ID/stat`. The second field is the program's name in brackets and may contain
/// anything, brackets and blanks included.
fn parse(stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        parent: number(1)? as u32,
        ticks: number(11)? + number(12)?,
        started: number(19)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_no_trouble() {
        let stat =
            "42 (a) b (c)) S 7 42 42 0 -1 4194304 100 0 0 0 30 12 0 0 20 0 1 0 9999 1000 1 1 1";
        assert_eq!(
            parse(stat),
            Some(Process {
                parent: 7,
                ticks: 42,
                started: 9999
            })
        );
    }

    #[test]
    fn processes_that_come_and_go_are_counted_for_what_they_did_in_between() {
        let process = |started, ticks| Process {
            parent: 1,
            started,
            ticks,
        };
        let before = Sample(
            [
                (10, process(1, 100)),
                (11, process(1, 50)),
                (12, process(1, 9)),
            ]
            .into(),
        );
        let after = Sample([(10, process(1, 180)), (11, process(2, 20))].into());
        let used = used(&before, &after);
        assert_eq!((used.processes, used.ended), (2, 2));
        assert!((used.seconds - 1.0).abs() < 1e-9, "80 and 20 ticks");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_finds_itself() {
        let me = std::process::id();
        assert!(sample(&[me]).0.contains_key(&me));
        assert!(sample(&[]).0.is_empty());
    }
}
