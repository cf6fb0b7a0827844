//! What a batch of runs came to, for people.

use std::fmt::Write as _;
use std::time::Duration;

use crate::checkers::{Checker, CheckerSet};
use crate::limits::{SOMETIMES_SEEDS, SOMETIMES_SEEDS_OF_MOVES, VIOLATIONS_SHOWN};
use crate::options::Wanted;
use crate::sometimes::{Reached, Sometimes};
use crate::world::{Ended, Summary};

/// Sums over runs.
#[derive(Debug, Default)]
pub struct Report {
    seeds: u64,
    failed: Vec<u64>,
    sum: Summary,
    reached: Reached,
    simulated: u64,
    /// Queues move.
    moves: bool,
    /// Messages go to other queues.
    dead_letters: bool,
}

impl Report {
    /// Of such runs.
    #[must_use]
    pub fn of(wanted: Wanted) -> Self {
        Self {
            moves: wanted.moves,
            dead_letters: wanted.dead_letters,
            ..Self::default()
        }
    }

    /// Adds a run.
    pub fn add(&mut self, seed: u64, ended: &Ended) {
        self.seeds += 1;
        if !ended.violations.is_empty() {
            self.failed.push(seed);
        }
        let (sum, run) = (&mut self.sum, &ended.summary);
        self.simulated += run.ended_at.0;
        sum.events += run.events;
        sum.turns += run.turns;
        sum.messages += run.messages;
        sum.starts += run.starts;
        sum.calls += run.calls;
        sum.answered += run.answered;
        sum.tellings += run.tellings;
        sum.carriages += run.carriages;
        for (kind, count) in &run.faults {
            *sum.faults.entry(*kind).or_default() += count;
        }
        self.reached.add(&ended.reached);
    }

    /// Runs so far.
    #[must_use]
    pub fn seeds(&self) -> u64 {
        self.seeds
    }

    /// Seeds with violations.
    #[must_use]
    pub fn failed(&self) -> &[u64] {
        &self.failed
    }

    /// Rare events that a batch of this size should have reached and did not.
    #[must_use]
    pub fn not_reached(&self, on: &CheckerSet) -> Vec<Sometimes> {
        if !on.has(Checker::Sometimes) {
            return Vec::new();
        }
        let is_due = |what: &Sometimes| {
            let seeds = if what.is_of_moves() || what.is_of_dead_letters() {
                SOMETIMES_SEEDS_OF_MOVES
            } else {
                SOMETIMES_SEEDS
            };
            self.can_reach(*what) && self.seeds >= seeds
        };
        self.reached.never().filter(is_due).collect()
    }

    /// Some are reached only where queues move, or messages go to other queues.
    fn can_reach(&self, what: Sometimes) -> bool {
        (self.moves || !what.is_of_moves()) && (self.dead_letters || !what.is_of_dead_letters())
    }

    /// One line while it goes on.
    #[must_use]
    pub fn progress(&self, of: u64, took: Duration) -> String {
        format!(
            "{} of {of} seeds, {:.1} simulated hours, {:.0} simulated seconds a second, {} failed",
            self.seeds,
            self.hours(),
            self.speed(took),
            self.failed.len()
        )
    }

    fn hours(&self) -> f64 {
        self.simulated as f64 / 3.6e9
    }

    fn speed(&self, took: Duration) -> f64 {
        self.simulated as f64 / 1e6 / took.as_secs_f64().max(1e-9)
    }

    /// All figures.
    #[must_use]
    pub fn text(&self, took: Duration, jobs: u64, on: &CheckerSet) -> String {
        let sum = &self.sum;
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("memory takes all");
        line(format!(
            "{} seeds: {:.2} simulated hours in {:.0} s with {jobs} jobs, {:.0} simulated seconds per second and job",
            self.seeds,
            self.hours(),
            took.as_secs_f64(),
            self.speed(took) / jobs.max(1) as f64
        ));
        line(format!(
            "{} events, {} turns of hosts, {} messages between them, {} starts",
            sum.events, sum.turns, sum.messages, sum.starts
        ));
        line(format!(
            "{} calls of clients, {} of them answered with an outcome",
            sum.calls, sum.answered
        ));
        if self.moves || self.dead_letters {
            line(format!(
                "{} calls told successors what they follow, {} brought messages to heirs and other queues",
                sum.tellings, sum.carriages
            ));
        }
        line("faults:".to_owned());
        for (kind, count) in &sum.faults {
            line(format!("{count:>9}  {kind}"));
        }
        line("rare events:".to_owned());
        let shown = |what: &&Sometimes| self.can_reach(**what);
        for what in Sometimes::ALL.iter().filter(shown) {
            line(format!("{:>9}  {}", self.reached.count(*what), what.name()));
        }
        for what in self.not_reached(on) {
            line(format!(
                "NEVER REACHED in {} seeds: {}",
                self.seeds,
                what.name()
            ));
        }
        match self.failed.len() {
            0 => line("no violations".to_owned()),
            n => line(format!("{n} seeds with violations: {:?}", self.failed)),
        }
        text
    }
}

/// What went wrong in a run, and the line that replays it.
#[must_use]
pub fn failure(seed: u64, replay: &str, ended: &Ended) -> String {
    let mut text = format!(
        "seed {seed} FAILED, {} violations\n",
        ended.violations.len()
    );
    for violation in ended.violations.iter().take(VIOLATIONS_SHOWN) {
        writeln!(
            text,
            "  {} at {}: {}",
            violation.checker, violation.at, violation.what
        )
        .expect("memory takes all");
    }
    writeln!(text, "  replay: {replay}").expect("memory takes all");
    text
}
