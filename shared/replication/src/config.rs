//! What an engine must be told once.

use std::time::Duration;

use shoal_types::HostId;

/// Configuration of an [`crate::Engine`].
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// This host.
    pub me: HostId,
    /// Seeds the jitter of attempts, and tells this life of the process from any other one, even one on
    /// a copy of its data folder. Draw it at random in production; equal seeds and inputs give equal
    /// outputs.
    pub seed: u64,
    /// How long to wait for what.
    pub timings: Timings,
}

impl EngineConfig {
    /// With the usual timings.
    #[must_use]
    pub fn new(me: HostId, seed: u64) -> Self {
        Self {
            me,
            seed,
            timings: Timings::default(),
        }
    }
}

/// How long to wait for what. The defaults suit hosts within one region.
#[derive(Clone, Debug)]
pub struct Timings {
    /// Between two heartbeats to the same peer.
    pub heartbeat: Duration,
    /// Shortest silence that is suspicious, however regular the heartbeats were.
    pub silence_min: Duration,
    /// Longest silence that is not, however irregular they were: the bound of every pause.
    pub silence_max: Duration,
    /// How long a closed connection may take to come back before its host is suspected.
    pub reconnect: Duration,
    /// Least distance between the attempts of two ranks, and least time before a message of a view
    /// change is sent again; 4 × the recent slowest sync if that is longer.
    pub step_min: Duration,
    /// Before a fetch that got no answer goes to another peer.
    pub fetch_retry: Duration,
    /// A writer that drops out sooner than this after it joined is flapping: it must wait before it
    /// joins again.
    pub settled: Duration,
    /// The first such wait; doubles each time.
    pub rejoin_wait_min: Duration,
    /// The longest such wait.
    pub rejoin_wait_max: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(20),
            silence_min: Duration::from_millis(300),
            silence_max: Duration::from_millis(450),
            reconnect: Duration::from_millis(20),
            step_min: Duration::from_millis(20),
            fetch_retry: Duration::from_millis(50),
            settled: Duration::from_secs(10),
            rejoin_wait_min: Duration::from_millis(250),
            rejoin_wait_max: Duration::from_secs(30),
        }
    }
}
