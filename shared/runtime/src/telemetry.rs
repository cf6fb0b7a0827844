//! The log on standard error and the process's metrics.
//!
//! Both belong to the process, not to a role: `shoal dev` runs all roles in one. So whoever is
//! `main` calls [`init`]; libraries only write to them.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// What the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people; in colour if standard error is a terminal.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// What is logged if `SHOAL_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// Upper bounds of duration histograms in seconds: 50 µs (below a disk's sync) to 30 s (above the
/// longest poll), about a factor of two apart.
const SECONDS_BUCKETS: [f64; 18] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_5, 0.003, 0.006, 0.012, 0.025, 0.05, 0.1,
    0.2, 0.5, 1.0, 5.0, 10.0, 30.0,
];
/// Upper bounds of size histograms in bytes, up to a full frame.
const BYTES_BUCKETS: [f64; 9] = [
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    8_388_608.0,
];
/// Upper bounds of everything else: batch sizes and the like.
const COUNT_BUCKETS: [f64; 11] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 10_000.0,
];

/// Starts log and metrics. `filter` is what `SHOAL_LOG` says (`debug`, `info,shoal_host=trace`).
/// Calling it again changes nothing.
///
/// # Errors
/// If the filter cannot be understood.
pub fn init(format: LogFormat, filter: Option<&str>) -> Result<(), FilterError> {
    let text = filter.unwrap_or(DEFAULT_FILTER);
    let filter =
        EnvFilter::try_new(text).map_err(|e| FilterError(text.to_owned(), e.to_string()))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call (tests, or all roles in one process) finds a log and leaves it as it is.
    _ = match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    recorder();
    Ok(())
}

/// `SHOAL_LOG` is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SHOAL_LOG={0:?} is no log filter: {1}")]
pub struct FilterError(String, String);

/// The process's metrics as Prometheus' text format. The first use anywhere starts recording.
#[must_use]
pub fn render_metrics() -> String {
    recorder().render()
}

/// Folds recorded samples into their buckets; to be called every [`crate::limits::METRICS_UPKEEP`].
pub(crate) fn upkeep() {
    recorder().run_upkeep();
}

fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let buckets = |builder: PrometheusBuilder, suffix: &str, bounds: &[f64]| {
            let matcher = Matcher::Suffix(suffix.to_owned());
            builder
                .set_buckets_for_metric(matcher, bounds)
                .expect("bounds are not empty")
        };
        let builder = PrometheusBuilder::new()
            .set_buckets(&COUNT_BUCKETS)
            .expect("bounds are not empty");
        let builder = buckets(builder, "_seconds", &SECONDS_BUCKETS);
        let builder = buckets(builder, "_bytes", &BYTES_BUCKETS);
        builder
            .install_recorder()
            .expect("only this function installs a recorder")
    })
}

/// What a metric counts and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, in buckets by the name's ending: `_seconds`, `_bytes`, or counts.
    Histogram,
}

/// A metric's entry in its component's list. Each component has one file with its names as constants
/// and one such list, which is also what the documentation and the dashboards are checked against.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// `shoal_…`, base unit last.
    pub name: &'static str,
    /// How it counts.
    pub kind: MetricKind,
    /// Of its values.
    pub unit: Unit,
    /// What it means, and when to worry.
    pub help: &'static str,
}

/// Tells the recorder what a component's metrics mean. Doing it again changes nothing.
pub fn describe(metrics: &[Metric]) {
    recorder();
    for metric in metrics {
        match metric.kind {
            MetricKind::Counter => {
                metrics::describe_counter!(metric.name, metric.unit, metric.help)
            }
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            MetricKind::Histogram => {
                metrics::describe_histogram!(metric.name, metric.unit, metric.help)
            }
        }
    }
}

/// Keeps a log line that others can provoke (bad input, refused connections) from flooding the log.
#[derive(Debug)]
pub struct RateLimit {
    period: Duration,
    /// Milliseconds since the first use, plus one; 0 before it.
    last: AtomicU64,
    passed_over: AtomicU64,
}

impl RateLimit {
    /// At most one line per `period`.
    #[must_use]
    pub const fn new(period: Duration) -> Self {
        Self {
            period,
            last: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
        }
    }

    /// If a line may be written now: how many were passed over since the last one.
    pub fn allow(&self) -> Option<u64> {
        static START: OnceLock<Instant> = OnceLock::new();
        let now = START.get_or_init(Instant::now).elapsed().as_millis() as u64 + 1;
        let last = self.last.load(Ordering::Relaxed);
        let due = last == 0 || now - last.min(now) >= self.period.as_millis() as u64;
        if due
            && self
                .last
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            Some(self.passed_over.swap(0, Ordering::Relaxed))
        } else {
            self.passed_over.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_described_metric_is_rendered_with_its_help() {
        const NAME: &str = "shoal_test_wait_seconds";
        describe(&[Metric {
            name: NAME,
            kind: MetricKind::Histogram,
            unit: Unit::Seconds,
            help: "how long tests wait",
        }]);
        metrics::histogram!(NAME).record(0.000_3);
        let text = render_metrics();
        assert!(
            text.contains("# HELP shoal_test_wait_seconds how long tests wait"),
            "{text}"
        );
        assert!(
            text.contains("shoal_test_wait_seconds_bucket{le=\"0.0004\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn a_bad_filter_is_named() {
        let why = init(LogFormat::Text, Some("shoal=loud"))
            .unwrap_err()
            .to_string();
        assert!(
            why.starts_with("SHOAL_LOG=\"shoal=loud\" is no log filter"),
            "{why}"
        );
    }

    #[test]
    fn a_line_is_let_through_once_a_period_and_the_others_are_counted() {
        let limit = RateLimit::new(Duration::from_secs(3_600));
        assert_eq!(limit.allow(), Some(0));
        assert_eq!(limit.allow(), None);
        assert_eq!(limit.allow(), None);
        let always = RateLimit::new(Duration::ZERO);
        assert_eq!((always.allow(), always.allow()), (Some(0), Some(0)));
    }
}
