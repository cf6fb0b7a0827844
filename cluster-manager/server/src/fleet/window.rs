//! What a host reported during one window, brought down to one figure each.

use std::collections::BTreeMap;

use shoal_types::{LoadReport, Micros, PartitionId, PartitionLoad};

use crate::limits::REPORTS_PER_WINDOW_MAX;

/// Reports of one host, added up. What it names is bounded: a report names at most 50 partitions.
#[derive(Default)]
pub(super) struct Gathered {
    /// The last report that was taken in: a heartbeat may repeat it.
    last: u64,
    reports: u64,
    operations: u64,
    bytes: u64,
    refusals: u64,
    cpu_percent: u64,
    /// The sum over those reports that tell of commits.
    commits: Micros,
    with_commits: u64,
    partitions: BTreeMap<PartitionId, PartitionLoad>,
}

/// What a host did during a window: means over its reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HostWindow {
    pub(super) operations: u64,
    pub(super) bytes: u64,
    pub(super) refusals: u64,
    pub(super) cpu_percent: u64,
    pub(super) commit: Micros,
    pub(super) partitions: Vec<PartitionLoad>,
}

impl Gathered {
    /// Adds a report, if it is a new one.
    pub(super) fn take_in(&mut self, report: &LoadReport) {
        if report.number == 0 || report.number == self.last {
            return;
        }
        self.last = report.number;
        if self.reports == REPORTS_PER_WINDOW_MAX {
            return;
        }
        self.reports += 1;
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.operations, report.operations);
        add(&mut self.bytes, report.bytes);
        add(&mut self.refusals, report.refusals);
        add(&mut self.cpu_percent, report.cpu_percent.into());
        if report.commit > 0 {
            add(&mut self.commits, report.commit);
            self.with_commits += 1;
        }
        for load in &report.partitions {
            let known = self.partitions.entry(load.partition).or_default();
            add(&mut known.operations, load.operations);
            add(&mut known.bytes, load.bytes);
        }
    }

    /// Ends the window and begins the next; `None` if nothing was reported.
    pub(super) fn close(&mut self) -> Option<HostWindow> {
        let last = self.last;
        let all = std::mem::replace(
            self,
            Self {
                last,
                ..Self::default()
            },
        );
        let mean = |sum: u64| sum / all.reports;
        let load = |(&partition, sums): (&PartitionId, &PartitionLoad)| PartitionLoad {
            partition,
            operations: mean(sums.operations),
            bytes: mean(sums.bytes),
        };
        (all.reports > 0).then(|| HostWindow {
            operations: mean(all.operations),
            bytes: mean(all.bytes),
            refusals: mean(all.refusals),
            cpu_percent: mean(all.cpu_percent),
            commit: all.commits.checked_div(all.with_commits).unwrap_or(0),
            partitions: all.partitions.iter().map(load).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(number: u64, operations: u64, commit: Micros) -> LoadReport {
        let partition = PartitionLoad {
            partition: PartitionId(7),
            operations,
            bytes: 0,
        };
        LoadReport {
            number,
            operations,
            commit,
            partitions: vec![partition],
            ..LoadReport::default()
        }
    }

    #[test]
    fn a_window_is_the_mean_of_reports_each_counted_once() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.close(), None, "nothing was told");
        for report in [report(0, 999, 999), report(1, 100, 0), report(1, 100, 0)] {
            gathered.take_in(&report);
        }
        gathered.take_in(&report(2, 300, 8_000));
        let window = gathered.close().unwrap();
        assert_eq!((window.operations, window.commit), (200, 8_000));
        assert_eq!(window.partitions[0].operations, 200);
        gathered.take_in(&report(2, 300, 8_000));
        assert_eq!(gathered.close(), None, "told in the window before");
    }
}
