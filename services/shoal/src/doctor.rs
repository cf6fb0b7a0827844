//! `shoal doctor`: looks into the data folder of a host that does not run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use shoal_host::doctor::{Diagnosis, examine};

use crate::cli::Format;
use crate::output::print;

/// Nothing could be looked at: as for other mistakes on the command line.
const USAGE: u8 = 2;

#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// The host's data folder
    #[arg(long)]
    data: PathBuf,
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// Exit code 0: sound, 1: damaged, 2: there is no such folder, or it is in use.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let diagnosis = match examine(&args.data) {
        Ok(diagnosis) => diagnosis,
        Err(error) => {
            eprintln!("shoal: {error}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    print(args.output, &diagnosis, Diagnosis::text)?;
    Ok(if diagnosis.sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
