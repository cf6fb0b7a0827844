//! What is simulated.

use std::path::PathBuf;

use clap::Parser;

/// Simulates a fleet of clusters under the planner that the manager uses: skewed load that comes and goes
/// with the day, floods, dying hosts, growth and drains. Exits 1 if a bar is missed.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// Clusters of three hosts at the start.
    #[arg(long, default_value_t = 100)]
    pub(crate) clusters: u64,
    /// Queues at the start. The n-th has 1/n of the first one's load.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) queues: u64,
    /// The same seed gives the same fleet.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Mean heat of the clusters over a day, in percent of what they are to bear.
    #[arg(long, default_value_t = 55)]
    pub(crate) heat_percent: u64,
    /// Hours in which the fleet may find its balance: queues were placed by name, not by load.
    #[arg(long, default_value_t = 4.0)]
    pub(crate) settling_hours: f64,
    /// Hours of which the figures of the steady state are.
    #[arg(long, default_value_t = 12.0)]
    pub(crate) steady_hours: f64,
    /// Hours in which things happen.
    #[arg(long, default_value_t = 8.0)]
    pub(crate) eventful_hours: f64,
    /// Where an SVG plot of the run goes.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
}
