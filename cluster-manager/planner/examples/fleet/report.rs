//! What came of it: figures for people, and whether the bars were reached.

use std::fmt;
use std::time::Duration;

/// Largest load of a cluster over the mean, at any minute of the steady state.
const MAX_OVER_MEAN: f64 = 1.25;
/// Longest round of planning.
const ROUND: Duration = Duration::from_secs(1);
/// Queues that are moved, split or merged in any hour of the steady state, of all.
const SHARE_PER_HOUR: f64 = 0.01;

/// One minute of the run.
#[derive(Clone, Copy)]
pub(crate) struct Minute {
    pub(crate) hours: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
    /// Queues about which something was begun.
    pub(crate) changed: u64,
    pub(crate) is_steady: bool,
}

/// All of the run.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) queues: usize,
    pub(crate) minutes: Vec<Minute>,
    pub(crate) rounds: Vec<Duration>,
    pub(crate) actions: Actions,
    pub(crate) floods_auto_s: Vec<Option<u64>>,
    pub(crate) floods_whole_s: Vec<Option<u64>>,
    pub(crate) grown: Option<(usize, Option<u64>)>,
    pub(crate) drained_s: Option<Option<u64>>,
    pub(crate) died_and_replaced: (usize, usize),
    pub(crate) capacity_needed: u64,
}

/// How often each was begun.
#[derive(Default)]
pub(crate) struct Actions {
    pub(crate) moves: u64,
    pub(crate) splits: u64,
    pub(crate) merges: u64,
    pub(crate) forwards: u64,
    pub(crate) formed: u64,
}

impl Report {
    fn steady(&self) -> impl Iterator<Item = &Minute> {
        self.minutes.iter().filter(|minute| minute.is_steady)
    }

    /// Median and maximum of the largest load over the mean, in the steady state.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let mut spreads: Vec<f64> = self
            .steady()
            .map(|minute| minute.max / minute.mean)
            .collect();
        spreads.sort_unstable_by(f64::total_cmp);
        (
            middle(&spreads).unwrap_or_default(),
            spreads.last().copied().unwrap_or_default(),
        )
    }

    /// Mean and maximum of the queues changed in an hour of the steady state.
    pub(crate) fn changed_per_hour(&self) -> (f64, u64) {
        let changed: Vec<u64> = self.steady().map(|minute| minute.changed).collect();
        let hours = changed.len() as f64 / 60.0;
        let most = changed
            .windows(60.min(changed.len().max(1)))
            .map(|hour| hour.iter().sum())
            .max();
        (
            changed.iter().sum::<u64>() as f64 / hours.max(1.0 / 60.0),
            most.unwrap_or(0),
        )
    }

    fn planning(&self) -> (Duration, Duration) {
        let mut rounds = self.rounds.clone();
        rounds.sort_unstable();
        (
            middle(&rounds).unwrap_or_default(),
            rounds.last().copied().unwrap_or_default(),
        )
    }

    /// The bars that were missed, in words.
    pub(crate) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        let (_, spread) = self.spread();
        if spread > MAX_OVER_MEAN {
            missed.push(format!(
                "max/mean load {spread:.3} is above {MAX_OVER_MEAN}"
            ));
        }
        let (_, slowest) = self.planning();
        if slowest > ROUND {
            missed.push(format!("a round of planning took {slowest:.1?}"));
        }
        let (_, changed) = self.changed_per_hour();
        let share = changed as f64 / self.queues as f64;
        if share >= SHARE_PER_HOUR {
            missed.push(format!(
                "{:.2} % of the queues were changed in an hour",
                share * 100.0
            ));
        }
        missed
    }
}

fn middle<T: Copy>(sorted: &[T]) -> Option<T> {
    sorted.get(sorted.len() / 2).copied()
}

fn waits(waits: &[Option<u64>]) -> String {
    let mut over: Vec<u64> = waits.iter().copied().flatten().collect();
    over.sort_unstable();
    match (middle(&over), over.last()) {
        (Some(median), Some(most)) => {
            format!(
                "{} of {} over, median {median} s, longest {most} s",
                over.len(),
                waits.len()
            )
        }
        _ => format!("0 of {} over", waits.len()),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, most) = self.spread();
        writeln!(f, "steady state")?;
        writeln!(
            f,
            "  max/mean load        median {median:.3}, largest {most:.3}"
        )?;
        let (mean, most) = self.changed_per_hour();
        let share = most as f64 / self.queues as f64 * 100.0;
        writeln!(
            f,
            "  queues changed/hour  mean {mean:.0}, most {most} ({share:.3} % of all)"
        )?;
        let (median, most) = self.planning();
        writeln!(f, "whole run")?;
        writeln!(
            f,
            "  planning, a round    median {median:.1?}, longest {most:.1?}, of {} rounds",
            self.rounds.len()
        )?;
        let Actions {
            moves,
            splits,
            merges,
            forwards,
            formed,
        } = self.actions;
        writeln!(
            f,
            "  begun                {moves} moves, {splits} splits, {merges} merges, {forwards} forwards, {formed} clusters formed of spares"
        )?;
        writeln!(
            f,
            "  capacity needed      said in {} rounds",
            self.capacity_needed
        )?;
        writeln!(f, "eventful hours")?;
        writeln!(f, "  floods of auto       {}", waits(&self.floods_auto_s))?;
        writeln!(f, "  floods of whole      {}", waits(&self.floods_whole_s))?;
        let (died, replaced) = self.died_and_replaced;
        writeln!(f, "  dead hosts           {replaced} of {died} replaced")?;
        if let Some((clusters, done)) = self.grown {
            writeln!(
                f,
                "  {clusters} clusters added     {}",
                after(done, "had 80 % of the mean load")
            )?;
        }
        if let Some(done) = self.drained_s {
            writeln!(
                f,
                "  1 cluster drained    {}",
                after(done, "was empty and retired")
            )?;
        }
        for missed in self.missed() {
            writeln!(f, "MISSED: {missed}")?;
        }
        Ok(())
    }
}

fn after(seconds: Option<u64>, what: &str) -> String {
    match seconds {
        Some(seconds) => format!("{what} after {:.0} min", seconds as f64 / 60.0),
        None => format!("not yet: {what}"),
    }
}
