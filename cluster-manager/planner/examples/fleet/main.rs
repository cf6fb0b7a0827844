//! A fleet of many clusters under the planner, in simulated time: `--help` says what can be set.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the ban on clocks and I/O covers the library, not this example"
)]

mod carry;
mod events;
mod load;
mod options;
mod plot;
mod random;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let report = run::run(&options, |line| println!("{line}"));
    println!("\n{report}");
    if let Some(file) = &options.plot {
        plot::write(&report, file)?;
        println!("plot: {}", file.display());
    }
    let reached = report.missed().is_empty();
    Ok(if reached {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
