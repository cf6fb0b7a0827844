//! `cargo run --release -p shoal-sim -- --seeds 200`

#[cfg(feature = "planted")]
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use shoal_sim::checkers::{Checker, CheckerSet};
use shoal_sim::options::Wanted;
#[cfg(feature = "planted")]
use shoal_sim::planted::{self, Search};
use shoal_sim::report::{self, Report};
use shoal_sim::runner::{self, Batch};
use shoal_sim::scenarios::Scenario;
use shoal_sim::world::Ended;
#[cfg(feature = "planted")]
use shoal_types::planted::{Bug, plant};

/// Runs whole clusters against faults in simulated time, and judges what comes out.
#[derive(Debug, Parser)]
#[command(name = "shoal-sim", after_help = checkers_help())]
struct Cli {
    /// How many seeds to run.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// Run this one seed.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// The first seed; unless given, fresh ones by the time of day.
    #[arg(long)]
    from: Option<u64>,
    /// Seconds of load in each run; then faults end and everything has to come to rest.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Hosts of each cluster; unless given, each seed draws 3, 4 or 5.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=5))]
    hosts: Option<u64>,
    /// Let partitions be followed by others, as when queues move.
    #[arg(long)]
    moves: bool,
    /// Let messages die and go to dead-letter queues, and tasks move them.
    #[arg(long)]
    dead_letters: bool,
    /// Threads; unless given, one per core.
    #[arg(long)]
    jobs: Option<u64>,
    /// Print everything that happens in the run (with --seed or --scenario).
    #[arg(long)]
    trace: bool,
    /// Checkers to turn off, by name.
    #[arg(long, value_delimiter = ',', conflicts_with = "only")]
    without: Vec<Checker>,
    /// Checkers to leave on, by name.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Checker>,
    /// Run a story of its own instead of drawn faults; "all" runs every one.
    #[arg(long)]
    scenario: Option<String>,
    /// Plant this bug: the runs should fail then.
    #[cfg(feature = "planted")]
    #[arg(long)]
    plant: Option<Bug>,
    /// Look for each planted bug, or for these, in up to --seeds seeds, and print what found it.
    #[cfg(feature = "planted")]
    #[arg(long, num_args = 0.., value_delimiter = ',', conflicts_with_all = ["seed", "plant", "only"])]
    planted_table: Option<Vec<Bug>>,
}

fn checkers_help() -> String {
    let checkers = Checker::ALL
        .iter()
        .map(|checker| format!("  {checker:<10} {}", checker.what()));
    let scenarios = Scenario::ALL
        .iter()
        .map(|scenario| format!("  {}", scenario.name));
    let (checkers, scenarios): (Vec<_>, Vec<_>) = (checkers.collect(), scenarios.collect());
    format!(
        "Checkers:\n{}\n\nScenarios:\n{}",
        checkers.join("\n"),
        scenarios.join("\n")
    )
}

impl Cli {
    fn checkers(&self) -> CheckerSet {
        if self.only.is_empty() {
            CheckerSet::without(self.without.iter().copied())
        } else {
            CheckerSet::only(self.only.iter().copied())
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            seconds: self.seconds,
            hosts: self.hosts,
            moves: self.moves,
            dead_letters: self.dead_letters,
        }
    }

    #[cfg(feature = "planted")]
    fn with_bug(&self) -> String {
        let plant = self.plant.map(|bug| format!(" --plant {bug}"));
        format!(" --features planted --{}", plant.unwrap_or_default())
    }

    #[cfg(not(feature = "planted"))]
    fn with_bug(&self) -> &'static str {
        " --"
    }

    /// The line that runs this seed again.
    fn replay(&self, what: &str) -> String {
        let mut line = format!("cargo run --release -p shoal-sim{} {what}", self.with_bug());
        if self.seconds != 60 {
            line += &format!(" --seconds {}", self.seconds);
        }
        if let Some(hosts) = self.hosts {
            line += &format!(" --hosts {hosts}");
        }
        if self.moves {
            line += " --moves";
        }
        if self.dead_letters {
            line += " --dead-letters";
        }
        let names = |checkers: &[Checker]| {
            let names: Vec<String> = checkers.iter().map(ToString::to_string).collect();
            names.join(",")
        };
        if !self.without.is_empty() {
            line += &format!(" --without {}", names(&self.without));
        }
        if !self.only.is_empty() {
            line += &format!(" --only {}", names(&self.only));
        }
        line
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    #[cfg(feature = "planted")]
    if let Some(bugs) = &cli.planted_table {
        return Ok(print_planted_table(&cli, bugs));
    }
    #[cfg(feature = "planted")]
    plant(cli.plant);
    let sound = match (&cli.scenario, cli.seed) {
        (Some(name), seed) => run_scenarios(&cli, name, seed)?,
        (None, Some(seed)) => run_one(&cli, seed),
        (None, None) => run_batch(&cli),
    };
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run_one(cli: &Cli, seed: u64) -> bool {
    let began = Instant::now();
    let ended = runner::run_seed(seed, cli.wanted(), &cli.checkers(), cli.trace);
    print!("{}", ended.lines);
    let mut report = Report::of(cli.wanted());
    report.add(seed, &ended);
    if !cli.trace {
        print!("{}", report.text(began.elapsed(), 1, &cli.checkers()));
    }
    println!("seed {seed}: course {:016x}", ended.hash);
    is_sound(&ended, || {
        report::failure(seed, &cli.replay(&format!("--seed {seed}")), &ended)
    })
}

fn is_sound(ended: &Ended, failure: impl FnOnce() -> String) -> bool {
    if !ended.violations.is_empty() {
        print!("{}", failure());
    }
    ended.violations.is_empty()
}

fn run_scenarios(cli: &Cli, name: &str, seed: Option<u64>) -> anyhow::Result<bool> {
    let chosen: Vec<&Scenario> = Scenario::ALL
        .iter()
        .filter(|scenario| name == "all" || scenario.name == name)
        .collect();
    anyhow::ensure!(
        !chosen.is_empty(),
        "there is no scenario {name:?}; --help lists them"
    );
    let seed = seed.unwrap_or(1);
    let mut all_sound = true;
    for scenario in chosen {
        let ended = scenario.run(seed, cli.checkers(), cli.trace);
        print!("{}", ended.lines);
        let what = format!("--scenario {} --seed {seed}", scenario.name);
        let sound = is_sound(&ended, || report::failure(seed, &cli.replay(&what), &ended));
        println!(
            "{}: {}, {} simulated, {} calls answered",
            scenario.name,
            if sound { "sound" } else { "FAILED" },
            ended.summary.ended_at,
            ended.summary.answered
        );
        all_sound &= sound;
    }
    Ok(all_sound)
}

/// Succeeds if every bug is found, and the simulator is sound without them.
#[cfg(feature = "planted")]
fn print_planted_table(cli: &Cli, bugs: &[Bug]) -> ExitCode {
    let bugs = if bugs.is_empty() { Bug::ALL } else { bugs };
    let search = Search {
        from: cli.from.unwrap_or_else(fresh_seed),
        seeds_max: cli.seeds,
        wanted: cli.wanted(),
        without: cli.without.clone(),
        jobs: cli.jobs.unwrap_or_else(cores),
    };
    println!("{}", planted::table_head());
    let (mut missed, mut unsound) = (Vec::new(), BTreeSet::new());
    for bug in bugs {
        let outcome = search.look_for(*bug);
        println!("{}", outcome.table_row());
        missed.extend(outcome.finding.is_none().then_some(bug.as_str()));
        unsound.extend(outcome.unsound);
    }
    let found = bugs.len() - missed.len();
    println!(
        "\n{found} of {} bugs found, seeds from {}",
        bugs.len(),
        search.from
    );
    if !missed.is_empty() {
        println!("not found: {}", missed.join(", "));
    }
    if !unsound.is_empty() {
        println!("seeds that fail without any bug: {unsound:?}");
    }
    if missed.is_empty() && unsound.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn cores() -> u64 {
    thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

fn run_batch(cli: &Cli) -> bool {
    const PROGRESS_EVERY: Duration = Duration::from_secs(5);
    let batch = Batch {
        from: cli.from.unwrap_or_else(fresh_seed),
        seeds: cli.seeds,
        wanted: cli.wanted(),
        checkers: cli.checkers(),
        jobs: cli.jobs.unwrap_or_else(cores),
    };
    println!(
        "seeds {} and the {} after it",
        batch.from,
        batch.seeds.saturating_sub(1)
    );
    let (began, mut shown) = (Instant::now(), Instant::now());
    let mut report = Report::of(cli.wanted());
    batch.run(|seed, ended| {
        report.add(seed, &ended);
        if !ended.violations.is_empty() {
            print!(
                "{}",
                report::failure(seed, &cli.replay(&format!("--seed {seed}")), &ended)
            );
        }
        if shown.elapsed() > PROGRESS_EVERY {
            shown = Instant::now();
            println!("{}", report.progress(batch.seeds, began.elapsed()));
        }
    });
    print!(
        "{}",
        report.text(began.elapsed(), batch.jobs, &batch.checkers)
    );
    report.failed().is_empty() && report.not_reached(&batch.checkers).is_empty()
}

/// Another one every microsecond, short enough to be read out.
fn fresh_seed() -> u64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since_1970.as_micros() as u64 % 1_000_000_000_000
}
