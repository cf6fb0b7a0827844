//! Searches all small worlds and prints what was found; ends with 1 if a promise was broken or a world
//! cannot reach what it is there to show.

use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser;
use shoal_small_worlds::{Found, Limits, Order, Scope, Sight, catalogue, search};

/// Searches everything that can happen to three hosts of the real replication engine.
#[derive(Parser)]
struct Args {
    /// Only worlds whose name contains this.
    #[arg(long)]
    world: Option<String>,
    /// States to come upon at most in each world, repeatedly ones included.
    #[arg(long, default_value_t = 12_000_000)]
    states: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let limits = Limits {
        states: args.states,
        threads: available_parallelism().map_or(1, usize::from),
    };
    let mut worlds = catalogue();
    worlds.retain(|scope| {
        args.world
            .as_ref()
            .is_none_or(|part| scope.name.contains(part))
    });
    let mut rows = vec![heading()];
    let mut good = true;
    for scope in &worlds {
        let mut found = search(scope.bounds.clone(), Order::Breadth, limits);
        report(scope.name, &found, &mut rows);
        let mut sights = found.sights.clone();
        if !found.exhausted && found.broken.is_none() {
            found = search(scope.bounds.clone(), Order::Depth, limits);
            report("  depth first", &found, &mut rows);
            sights.extend(&found.sights);
        }
        good &= judge(scope, &found, &sights);
    }
    println!("\n{}", rows.join("\n"));
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn report(name: &str, found: &Found, rows: &mut Vec<String>) {
    let row = row(name, found);
    println!("{row}");
    rows.push(row);
}

/// Says what is wrong, if anything.
fn judge(scope: &Scope, found: &Found, sights: &[Sight]) -> bool {
    if let Some((promise, story)) = &found.broken {
        println!("{}: {} is broken: {story}", scope.name, promise.name());
        return false;
    }
    let missed = scope.reaches.iter().filter(|s| !sights.contains(s));
    let missed: Vec<_> = missed.map(|sight| sight.name()).collect();
    if !missed.is_empty() {
        println!("{}: never seen: {}", scope.name, missed.join(", "));
    }
    missed.is_empty()
}

fn heading() -> String {
    format!(
        "{:<24} {:>10} {:>9} {:>10} {:>5} {:>8} {:>9}  {}",
        "world", "states", "of hosts", "exhausted", "depth", "seconds", "states/s", "seen"
    )
}

fn row(name: &str, found: &Found) -> String {
    let seconds = found.took.as_secs_f64();
    let sights: Vec<_> = found.sights.iter().map(|sight| sight.name()).collect();
    format!(
        "{name:<24} {:>10} {:>9} {:>10} {:>5} {seconds:>8.1} {:>9.0}  {}",
        found.states,
        found.hosts,
        if found.exhausted { "yes" } else { "no" },
        found.depth,
        found.states as f64 / seconds,
        sights.join(", ")
    )
}
