//! `shoal load-test`: flags in, progress to stderr, report to stdout.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::load::{Load, Running};
use crate::plan::Plan;
use crate::report::Report;
use crate::rest::Rest;
use crate::service::Service;

/// Puts load on a frontend and accounts for every message.
///
/// Makes queues of its own, sends, receives and acknowledges, and says at the end how fast that went
/// and whether every promise was kept: nothing lost, nothing delivered after its acknowledged delete,
/// no gap in the numbers, message groups in order. Exits with 1 if a promise was broken.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The frontend, or several with commas between them: they are asked by turns.
    #[arg(
        long,
        visible_alias = "endpoint",
        default_value = "http://127.0.0.1:9324",
        value_name = "URL[,URL…]"
    )]
    frontend: String,
    /// Allow a frontend that is not on this machine.
    #[arg(long)]
    allow_remote: bool,
    /// Sends under way at once, at most.
    #[arg(long, default_value_t = Plan::default().producers)]
    producers: usize,
    /// Receives under way at once; 0 only sends.
    #[arg(long, default_value_t = Plan::default().consumers)]
    consumers: usize,
    /// Queues to make and use.
    #[arg(long, default_value_t = Plan::default().queues)]
    queues: usize,
    /// Message groups of each queue, which is a FIFO queue then; 0 makes standard queues.
    #[arg(long, default_value_t = Plan::default().groups)]
    groups: usize,
    /// Let the queues be split over several clusters (`partitions: auto`).
    #[arg(long)]
    auto: bool,
    /// Messages per second, all producers together. Without it each producer sends as soon as its
    /// last send was answered.
    #[arg(long, value_name = "MSG/S")]
    rate: Option<f64>,
    /// Without --rate: about so many messages may be sent and not yet received; producers wait at the
    /// bound.
    #[arg(long, default_value_t = 2_000, value_name = "MESSAGES")]
    backlog_max: u32,
    /// Messages of one send, and of one receive unless --receive-batch says otherwise.
    #[arg(long, default_value_t = Plan::default().batch)]
    batch: usize,
    /// Messages of one receive, at most.
    #[arg(long)]
    receive_batch: Option<usize>,
    /// Bytes of each body.
    #[arg(long, default_value_t = Plan::default().body_bytes)]
    body_bytes: usize,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    duration: f64,
    /// Seconds of load before the measurement.
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    warm_up: f64,
    /// End after so many messages, if not before.
    #[arg(long, default_value_t = Plan::default().messages_max)]
    messages_max: u64,
    /// Visibility timeout of the queues.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    visibility: u64,
    /// How long a receive waits.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    wait: u64,
    /// How long the consumers may take to empty the queues afterwards.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    drain: f64,
    /// Measure the processor time of this process and all that it started, for instance that of
    /// `shoal dev`. May be given several times.
    #[arg(long, value_name = "PID")]
    cpu_of: Vec<u32>,
    /// Leave the queues there.
    #[arg(long)]
    keep_queues: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Carries out `shoal load-test`.
///
/// # Errors
/// If the flags make no valid plan or the queues cannot be made.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    ensure!(
        args.allow_remote || are_loopback(&args.frontend)?,
        "{} is not on this machine: say --allow-remote if you mean it",
        args.frontend
    );
    let plan = args.plan()?;
    let service = Rest::new(&args.frontend)?;
    let running = Load::prepare(plan, service).await?.start(&args.cpu_of);
    let report = finish_with_progress(running).await;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(if report.verdict.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Args {
    fn plan(&self) -> anyhow::Result<Plan> {
        let seconds = |name, s: f64| {
            Duration::try_from_secs_f64(s).with_context(|| format!("{name}: {s} is no duration"))
        };
        let plan = Plan {
            queues: self.queues,
            groups: self.groups,
            auto: self.auto,
            producers: self.producers,
            consumers: self.consumers,
            rate: self.rate,
            backlog_max: Some(self.backlog_max),
            batch: self.batch,
            receive_batch: self.receive_batch.unwrap_or(self.batch),
            body_bytes: self.body_bytes,
            warm_up: seconds("warm-up", self.warm_up)?,
            duration: seconds("duration", self.duration)?,
            messages_max: self.messages_max,
            visibility: Duration::from_secs(self.visibility),
            wait: Duration::from_secs(self.wait),
            drain: seconds("drain", self.drain)?,
            keep_queues: self.keep_queues,
            ..Plan::default()
        };
        plan.validate()?;
        Ok(plan)
    }
}

/// A line to stderr every five seconds until the load is done.
async fn finish_with_progress<S: Service>(running: Running<S>) -> Report {
    let watch = running.watch();
    let finish = running.finish();
    tokio::pin!(finish);
    let mut every = tokio::time::interval(Duration::from_secs(5));
    every.tick().await;
    loop {
        tokio::select! {
            report = &mut finish => return report,
            _ = every.tick() => eprintln!("{}", watch.progress()),
        }
    }
}

/// True if all URLs of a list are this machine's loopback.
fn are_loopback(urls: &str) -> anyhow::Result<bool> {
    let all: Result<Vec<bool>, _> = urls.split(',').map(is_loopback).collect();
    Ok(all?.into_iter().all(|is_loopback| is_loopback))
}

/// True if a URL's host is this machine's loopback.
fn is_loopback(url: &str) -> anyhow::Result<bool> {
    let Some(rest) = url.trim().strip_prefix("http://") else {
        bail!("{url} does not begin with http://");
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_loopback_address = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    Ok(host == "localhost" || is_loopback_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn only_this_machine_counts_as_loopback() {
        for here in [
            "http://localhost:9324",
            "http://127.0.0.1:1/",
            "http://127.9.9.9",
            "http://[::1]:9324",
        ] {
            assert!(is_loopback(here).unwrap(), "{here}");
        }
        for there in [
            "http://10.0.0.1:9324",
            "http://localhost.example.org",
            "http://127.0.0.1.example.org:9324",
            "http://[2001:db8::1]",
        ] {
            assert!(!is_loopback(there).unwrap(), "{there}");
        }
        assert!(is_loopback("ftp://localhost").is_err());
        assert!(are_loopback("http://127.0.0.1:1,http://[::1]:2").unwrap());
        assert!(!are_loopback("http://127.0.0.1:1,http://10.0.0.1:2").unwrap());
    }

    #[test]
    fn without_flags_the_plan_is_valid_and_unpaced() {
        let command = <Command as clap::Parser>::parse_from(["load-test"]);
        assert_eq!(command.args.plan().unwrap().rate, None);
    }

    #[test]
    fn receives_take_as_many_as_sends_unless_told_otherwise() {
        let plan = |flags: &[&str]| {
            let command = <Command as clap::Parser>::parse_from([&["load-test"], flags].concat());
            command.args.plan().unwrap().receive_batch
        };
        assert_eq!(plan(&["--batch", "7"]), 7);
        assert_eq!(plan(&["--batch", "7", "--receive-batch", "100"]), 100);
    }
}
