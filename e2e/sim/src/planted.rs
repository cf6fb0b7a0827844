//! The proof that the simulator finds bugs: each planted bug, and what it takes to notice it.
//!
//! A bug is looked for in one seed after the other. What finds it is then taken apart: which checkers
//! notice it alone, and without which ones it goes unnoticed.

use std::collections::BTreeSet;

use shoal_types::planted::{Bug, plant};

use crate::checkers::{Checker, CheckerSet};
use crate::options::Wanted;
use crate::runner::{Batch, run_seed};

/// Where to look for bugs.
#[derive(Clone, Debug)]
pub struct Search {
    /// The first seed.
    pub from: u64,
    /// A bug counts as not found after so many.
    pub seeds_max: u64,
    /// What does not follow from the seed. Queues move where a bug shows only then.
    pub wanted: Wanted,
    /// Checkers that are off all the time.
    pub without: Vec<Checker>,
    /// Threads.
    pub jobs: u64,
}

/// What became of looking for one bug.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which one.
    pub bug: Bug,
    /// Seeds that were run; the last of them found it, if any did.
    pub tried: u64,
    /// Seeds that fail without the bug as well, and therefore say nothing.
    pub unsound: Vec<u64>,
    /// How it was found, if it was.
    pub finding: Option<Finding>,
}

/// A run in which a bug shows itself.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The seed.
    pub seed: u64,
    /// The checkers that complain, all being on.
    pub by: BTreeSet<Checker>,
    /// Those of them that complain if they are the only one.
    pub alone: BTreeSet<Checker>,
    /// Those of them without which nobody complains.
    pub indispensable: BTreeSet<Checker>,
    /// Those that complain only once all of these are off, and so on: without them and these nobody does.
    pub further: BTreeSet<Checker>,
}

impl Search {
    /// Looks for a bug. The result does not depend on the number of threads. No bug is planted afterwards.
    #[must_use]
    pub fn look_for(&self, bug: Bug) -> Outcome {
        let search = Self {
            wanted: Wanted {
                moves: self.wanted.moves || bug.is_of_moves(),
                dead_letters: self.wanted.dead_letters || bug.is_of_dead_letters(),
                ..self.wanted
            },
            without: self.without.clone(),
            ..*self
        };
        let mut outcome = Outcome {
            bug,
            tried: 0,
            unsound: Vec::new(),
            finding: None,
        };
        while outcome.finding.is_none() && outcome.tried < self.seeds_max {
            search.look_further(&mut outcome);
        }
        plant(None);
        outcome
    }

    /// Runs as many seeds as there are threads.
    fn look_further(&self, outcome: &mut Outcome) {
        let mut failed = Vec::new();
        let batch = Batch {
            from: self.from.wrapping_add(outcome.tried),
            seeds: self.jobs.clamp(1, self.seeds_max - outcome.tried),
            wanted: self.wanted,
            checkers: self.all(),
            jobs: self.jobs,
        };
        plant(Some(outcome.bug));
        batch.run(|seed, ended| {
            if !ended.violations.is_empty() {
                failed.push(seed);
            }
        });
        for seed in failed {
            plant(None);
            if self.complaints(seed, &self.all()).is_empty() {
                outcome.tried = seed.wrapping_sub(self.from) + 1;
                outcome.finding = Some(self.take_apart(outcome.bug, seed));
                return;
            }
            outcome.unsound.push(seed);
        }
        outcome.tried += batch.seeds;
    }

    fn take_apart(&self, bug: Bug, seed: u64) -> Finding {
        plant(Some(bug));
        let by = self.complaints(seed, &self.all());
        let alone = |checker: &Checker| {
            let only = CheckerSet::only([*checker]);
            !self.complaints(seed, &only).is_empty()
        };
        let indispensable = |checker: &Checker| {
            let others = self.all_but(&[*checker].into());
            self.complaints(seed, &others).is_empty()
        };
        Finding {
            seed,
            alone: by.iter().copied().filter(alone).collect(),
            indispensable: by.iter().copied().filter(indispensable).collect(),
            further: self.further(seed, &by),
            by,
        }
    }

    /// Turns off whoever complains until nobody is left who does.
    fn further(&self, seed: u64, by: &BTreeSet<Checker>) -> BTreeSet<Checker> {
        let mut off = by.clone();
        loop {
            let more = self.complaints(seed, &self.all_but(&off));
            if more.is_empty() {
                return &off - by;
            }
            off.extend(more);
        }
    }

    fn all(&self) -> CheckerSet {
        self.all_but(&BTreeSet::new())
    }

    fn all_but(&self, off: &BTreeSet<Checker>) -> CheckerSet {
        CheckerSet::without(self.without.iter().chain(off).copied())
    }

    fn complaints(&self, seed: u64, checkers: &CheckerSet) -> BTreeSet<Checker> {
        let ended = run_seed(seed, self.wanted, checkers, false);
        ended.violations.iter().map(|v| v.checker).collect()
    }
}

/// The head of a table of outcomes, in Markdown.
#[must_use]
pub fn table_head() -> String {
    let columns =
        "| bug | rule broken | seeds needed | found by | of these, alone | missed without |";
    format!("{columns}\n|---|---|---|---|---|---|")
}

impl Outcome {
    /// A row of the table.
    #[must_use]
    pub fn table_row(&self) -> String {
        let (bug, rule, tried) = (self.bug, self.bug.rule(), self.tried);
        let Some(finding) = &self.finding else {
            return format!("| {bug} | {rule} | **not found in {tried}** | | | |");
        };
        let missed_without = if !finding.indispensable.is_empty() {
            names(&finding.indispensable)
        } else if finding.further.is_empty() {
            "all of these".to_owned()
        } else {
            format!("all of these and {}", names(&finding.further))
        };
        format!(
            "| {bug} | {rule} | {tried} (seed {}) | {} | {} | {missed_without} |",
            finding.seed,
            names(&finding.by),
            names(&finding.alone)
        )
    }
}

fn names(checkers: &BTreeSet<Checker>) -> String {
    let names: Vec<String> = checkers.iter().map(ToString::to_string).collect();
    names.join(", ")
}
