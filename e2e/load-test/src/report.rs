//! What a load has shown: for people as a table, for programs as JSON.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cpu;
use crate::load::Shared;
use crate::meter::{Gaps, Meter, Operation};
use crate::plan::Plan;
use crate::verdict::Verdict;

/// What a load has shown.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was to be done.
    pub plan: Plan,
    /// Seconds of the measured part: rates, latencies, gaps and processor time are of it alone.
    pub measured_s: f64,
    /// Messages accepted per second.
    pub sent_per_s: f64,
    /// Messages through send, receive and acknowledge per second.
    pub acknowledged_per_s: f64,
    /// Sends that were due and never started, since the service was too slow.
    pub unsent: u64,
    /// Latency from the moment a send was due.
    pub send: OperationReport,
    /// Latency of receives that gave messages, waiting for them included.
    pub receive: OperationReport,
    /// Latency of acknowledges, of all messages of one receive together.
    pub acknowledge: OperationReport,
    /// From the moment a send was due to the message in a consumer's hands, first deliveries only.
    pub end_to_end: Latency,
    /// The server's processor time, if it was measured.
    pub cpu: Option<CpuReport>,
    /// True if the queues were empty at the end.
    pub drained: bool,
    /// What the ledger says.
    pub verdict: Verdict,
}

/// One kind of operation.
#[derive(Clone, Debug, Serialize)]
pub struct OperationReport {
    /// Operations that succeeded, warm-up and draining included.
    pub succeeded: u64,
    /// Messages in them.
    pub messages: u64,
    /// Operations that failed, by code, warm-up and draining included.
    pub failed: BTreeMap<String, u64>,
    /// The longest time without a success on one queue, in milliseconds.
    pub longest_gap_ms: f64,
    /// Latency in milliseconds.
    pub latency: Latency,
}

/// A distribution of latencies in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Arithmetic mean.
    pub mean_ms: f64,
    /// Half took no longer.
    pub p50_ms: f64,
    /// Nine of ten took no longer.
    pub p90_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// 999 of 1,000 took no longer.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// Processor time of the server's processes within the measured part.
#[derive(Clone, Debug, Serialize)]
pub struct CpuReport {
    /// Whose: these processes and all that they started.
    pub of: Vec<u32>,
    /// How many processes that were at the end.
    pub processes: usize,
    /// Processes that ended in between; theirs is missing.
    pub ended: usize,
    /// User and system time in seconds.
    pub seconds: f64,
    /// The same per message that was acknowledged, in microseconds.
    pub per_message_us: f64,
}

impl Report {
    pub(crate) fn new<S>(
        shared: &Shared<S>,
        drained: bool,
        unsent: u64,
        cpu: Option<(cpu::Used, Vec<u32>)>,
    ) -> Self {
        let meter = &shared.meter;
        let now = shared.timeline.now();
        let window = meter.window();
        let measured_s = window.map_or(0.0, |w| (w.end - w.begin) as f64 / 1e6);
        let gaps = meter.gaps(now);
        let measured = |operation| meter.operation(operation).messages_measured as f64;
        let acknowledged = measured(Operation::Acknowledge);
        let per_s = |messages: f64| {
            if measured_s > 0.0 {
                messages / measured_s
            } else {
                0.0
            }
        };
        let operation = |kind| OperationReport::new(meter, kind, gaps);
        Self {
            plan: shared.plan.clone(),
            measured_s,
            sent_per_s: per_s(measured(Operation::Send)),
            acknowledged_per_s: per_s(acknowledged),
            unsent,
            send: operation(Operation::Send),
            receive: operation(Operation::Receive),
            acknowledge: operation(Operation::Acknowledge),
            end_to_end: Latency::of(&meter.end_to_end()),
            cpu: cpu.map(|(used, of)| CpuReport {
                of,
                processes: used.processes,
                ended: used.ended,
                seconds: used.seconds,
                per_message_us: used.seconds * 1e6 / acknowledged.max(1.0),
            }),
            drained,
            verdict: shared.ledger.verdict(drained),
        }
    }

    /// Operations of any kind that failed.
    #[must_use]
    pub fn failed_operations(&self) -> u64 {
        let all = [&self.send, &self.receive, &self.acknowledge];
        all.iter().flat_map(|o| o.failed.values()).sum()
    }
}

impl OperationReport {
    fn new(meter: &Meter, operation: Operation, gaps: Gaps) -> Self {
        let measured = meter.operation(operation);
        Self {
            succeeded: measured.succeeded,
            messages: measured.messages,
            longest_gap_ms: gaps.of(operation).as_secs_f64() * 1e3,
            latency: Latency::of(&measured.latency),
            failed: measured.failed,
        }
    }
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            mean_ms: histogram.mean() / 1e3,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: histogram.max() as f64 / 1e3,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        let rate = match plan.rate {
            Some(rate) => format!("{rate} msg/s"),
            None => "as fast as it goes".to_owned(),
        };
        writeln!(
            f,
            "plan       {} producers, {} consumers, {} queues, {rate}, batch {}, {} bytes",
            plan.producers, plan.consumers, plan.queues, plan.batch, plan.body_bytes
        )?;
        writeln!(
            f,
            "measured   {:.1} s after {:.1} s of warm-up: {:.0} msg/s sent, {:.0} msg/s acknowledged\n",
            self.measured_s,
            plan.warm_up.as_secs_f64(),
            self.sent_per_s,
            self.acknowledged_per_s
        )?;
        writeln!(
            f,
            "{:<12}{:>10}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>13}",
            "",
            "succeeded",
            "failed",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "longest gap"
        )?;
        let operations = [
            ("send", &self.send),
            ("receive", &self.receive),
            ("acknowledge", &self.acknowledge),
        ];
        for (name, operation) in operations {
            let failed: u64 = operation.failed.values().sum();
            write!(f, "{name:<12}{:>10}{failed:>8}", operation.succeeded)?;
            write!(f, "{}", operation.latency)?;
            writeln!(f, "{:>10.0} ms", operation.longest_gap_ms)?;
        }
        writeln!(f, "{:<12}{:>18}{}\n", "end to end", "", self.end_to_end)?;
        for (name, operation) in operations {
            for (code, count) in &operation.failed {
                writeln!(f, "failed     {name}: {code}, {count} times")?;
            }
        }
        if self.unsent > 0 {
            writeln!(
                f,
                "unsent     {} sends were due and never started",
                self.unsent
            )?;
        }
        if let Some(cpu) = &self.cpu {
            writeln!(f, "{cpu}")?;
        }
        write!(f, "{}", self.verdict)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [
            self.p50_ms,
            self.p90_ms,
            self.p99_ms,
            self.p999_ms,
            self.max_ms,
        ];
        columns.iter().try_for_each(|ms| write!(f, "{ms:>9.2}"))
    }
}

impl fmt::Display for CpuReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "server CPU {:.0} µs per message ({:.2} s; process {:?} and what it started, {} processes",
            self.per_message_us, self.seconds, self.of, self.processes
        )?;
        if self.ended > 0 {
            write!(f, "; {} more ended and are not counted", self.ended)?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "ledger     {} accepted, {} refused, {} unknown; {} received ({} deliveries repeated), {} deleted, {} open",
            self.accepted,
            self.refused,
            self.unknown,
            self.received,
            self.redelivered,
            self.deleted,
            self.open
        )?;
        if self.ok {
            writeln!(f, "verdict    every promise kept")
        } else {
            write!(f, "verdict    PROMISES BROKEN\n{}", self.violations)
        }
    }
}
