//! `shoal health`: is the process here well? For whoever has to find out by running a command: container
//! engines, and people on a machine. Asks admin ports and changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use clap::Args;
use shoal_runtime::http_client;
use tokio::task::JoinSet;

/// From dialling to the end of an answer. With the start of this command it is below 3 s, what callers
/// may count on: engines give a check some seconds and then take it for failed.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Bytes of an answer that are shown: what is not ready says why in a sentence or a few.
const ANSWER_BYTES_MAX: usize = 4 << 10;
/// The admin ports of frontend, manager and host, if nobody said others.
const ADMIN_PORTS: [u16; 3] = [9330, 9331, 9332];

#[derive(Args)]
pub(crate) struct HealthArgs {
    /// The process's admin port; if not given, those of 127.0.0.1:9330, 9331 and 9332 that answer
    #[arg(long, value_name = "ADDRESS", env = "SHOAL_ADMIN")]
    admin: Option<SocketAddr>,
    /// Ask whether it is ready to work, not only whether it is alive
    #[arg(long)]
    ready: bool,
}

/// Exit code 0: what was asked is well, 1: it is not, or nothing answers.
///
/// # Errors
/// If nothing answers where it was asked; says where that was.
pub(crate) async fn run(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let path = if args.ready { "readyz" } else { "healthz" };
    let answers = match args.admin {
        Some(admin) => vec![ask(within_reach(admin), path).await?],
        None => ask_all(path).await?,
    };
    for answer in &answers {
        println!("{}: {}", answer.admin, answer.text);
    }
    Ok(match answers.iter().all(|answer| answer.is_well) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

struct Answer {
    admin: SocketAddr,
    is_well: bool,
    text: String,
}

/// The answers of the usual ports. Where nobody listens there is no process to be unwell.
async fn ask_all(path: &'static str) -> anyhow::Result<Vec<Answer>> {
    let usual = ADMIN_PORTS.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let asking: JoinSet<_> = usual.into_iter().map(|admin| ask(admin, path)).collect();
    let (answers, silent): (Vec<_>, Vec<_>) =
        asking.join_all().await.into_iter().partition(Result::is_ok);
    let silent: Vec<String> = silent
        .iter()
        .filter_map(|silent| silent.as_ref().err().map(ToString::to_string))
        .collect();
    ensure!(!answers.is_empty(), "{}", silent.join("; "));
    let mut answers: Vec<Answer> = answers.into_iter().flatten().collect();
    answers.sort_by_key(|answer| answer.admin);
    Ok(answers)
}

async fn ask(admin: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let url = format!("http://{admin}/{path}");
    let client = http_client::builder(&url)
        .no_proxy()
        .timeout(PATIENCE)
        .build()?;
    let silent = |error: reqwest::Error| {
        let error = anyhow::Error::from(error);
        anyhow!("{url} does not answer: {}", error.root_cause())
    };
    let mut answer = client.get(&url).send().await.map_err(silent)?;
    let mut text = Vec::new();
    while text.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = answer.chunk().await.map_err(silent)?
    {
        text.extend_from_slice(&chunk);
    }
    text.truncate(ANSWER_BYTES_MAX);
    Ok(Answer {
        admin,
        is_well: answer.status().is_success(),
        text: String::from_utf8_lossy(&text).trim().to_owned(),
    })
}

/// A process that listens on all addresses is asked on this machine's own.
fn within_reach(mut admin: SocketAddr) -> SocketAddr {
    if admin.ip().is_unspecified() {
        admin.set_ip(match admin.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    admin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        for (listens, asked) in [
            ("0.0.0.0:9332", "127.0.0.1:9332"),
            ("[::]:9332", "[::1]:9332"),
            ("10.0.0.1:9332", "10.0.0.1:9332"),
        ] {
            let asked: SocketAddr = asked.parse().unwrap();
            assert_eq!(within_reach(listens.parse().unwrap()), asked);
        }
    }
}
