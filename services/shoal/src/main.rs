//! `shoal`: the one binary. It reads the command line and starts what it asks for; everything else is
//! in the libraries.

mod cli;
mod commands;
mod dev;
mod doctor;
mod explain;
mod health;
mod operate;
mod output;
mod queues;
mod rebuild;
mod redrive;
mod roles;
mod smoke;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command};
use shoal_api::plan::MoveRequest;
use shoal_runtime::shutdown::{Shutdown, signals};
use shoal_runtime::telemetry::{self, LogFormat};

#[cfg(feature = "planted")]
compile_error!(
    "planted bugs are for the simulator alone: build `shoal` without the feature `planted`"
);
// Another package's feature may have compiled them in as well.
const _: () = assert!(
    !shoal_types::planted::PLANTED,
    "planted bugs are compiled in: build `shoal` without the feature `planted` of shoal-types"
);

#[cfg(feature = "next-release")]
const _: () = assert!(
    option_env!("REHEARSE_NEXT_RELEASE").is_some(),
    "a rehearsal of the next release is for tests of upgrades alone, and writes what no release will \
     read: build `shoal` without the feature `next-release`"
);
const _: () = assert!(
    shoal_host::NEXT_RELEASE == cfg!(feature = "next-release"),
    "the next release is rehearsed: build `shoal` without the feature `next-release` of shoal-host"
);

fn main() -> ExitCode {
    shoal_runtime::crypto::install();
    // Usage errors end here with exit code 2.
    let cli = Cli::parse();
    if let Err(error) = die_with_dev().and_then(|()| start_log()) {
        return failed(&error);
    }
    allow_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(cli.command)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

/// Ends once the command has done what it says. Long-running ones listen for signals.
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::new();
    tokio::spawn(signals(shutdown.clone())?);
    match command {
        Command::Dev(args) => dev::run(args, shutdown).await?,
        Command::Host(args) => match args.command {
            None => roles::host(args, shutdown).await?,
            Some(cli::HostCommand::List(endpoint)) => commands::hosts(&endpoint).await?,
            Some(cli::HostCommand::Replace(args)) => operate::replace(args).await?,
        },
        Command::Frontend(args) => roles::frontend(args, shutdown).await?,
        Command::Manager(args) => match args.command {
            None => roles::manager(args, shutdown).await?,
            Some(cli::ManagerCommand::Rebuild(args)) => rebuild::run(args).await?,
        },
        Command::Queue(command) => queues::run(command).await?,
        Command::Send(args) => commands::send(args).await?,
        Command::Receive(args) => commands::receive(args, &shutdown).await?,
        Command::Ack(args) => return commands::acknowledge(args).await,
        Command::Cluster(command) => operate::cluster(command).await?,
        Command::Move(cli::MoveCommand::List(operator)) => explain::moves(operator).await?,
        Command::Move(cli::MoveCommand::Start {
            operator,
            queue,
            to,
            partition,
        }) => {
            let asked = MoveRequest {
                queue,
                to,
                partition,
            };
            operate::start_move(operator, &asked).await?
        }
        Command::Health(args) => return health::run(args).await,
        Command::Smoke(args) => return smoke::run(args).await,
        Command::Doctor(args) => return doctor::run(&args),
        Command::LoadTest(args) => return shoal_load_test::run(args).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn start_log() -> anyhow::Result<()> {
    let filter = std::env::var("SHOAL_LOG").ok();
    telemetry::init(LogFormat::Text, filter.as_deref())?;
    Ok(())
}

/// A child of `shoal dev --processes` ends when that ends, however it ends.
fn die_with_dev() -> anyhow::Result<()> {
    if let Ok(parent) = std::env::var(dev::PARENT_VARIABLE) {
        shoal_runtime::parent::die_with_parent(parent.parse()?)?;
    }
    Ok(())
}

/// Raises the number of files that may be open to what the system allows at most. What many systems give
/// unasked, 1,024, is a tenth of the connections that a frontend takes.
fn allow_many_files() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the number of open files stays as it was");
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("shoal: {error:#}");
    ExitCode::FAILURE
}
