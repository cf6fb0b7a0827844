//! The clients, each a Python program of `e2e/clients`.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_harness::skipped;
use tokio::process::Command;

/// The contract alone asks some 700 times, and Celery runs a task of a quarter of a minute. Within the time
/// of a test, so that what a client said until then is told.
const PATIENCE: Duration = Duration::from_secs(150);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    Contract,
    Boto3,
    Aiobotocore,
    AwsCli,
    Celery,
    Replays,
}

impl Client {
    fn script(self) -> &'static str {
        match self {
            Self::Contract => "contract.py",
            Self::Boto3 => "boto3_client.py",
            Self::Aiobotocore => "aiobotocore_client.py",
            Self::AwsCli => "aws_cli.py",
            Self::Celery => "celery_client.py",
            Self::Replays => "replays.py",
        }
    }

    fn environment(self) -> &'static str {
        match self {
            Self::Aiobotocore => "aiobotocore",
            _ => "clients",
        }
    }

    /// The interpreter that has what this client needs, if it is installed.
    fn python(self) -> Option<PathBuf> {
        let folder = std::env::var_os("E2E_SQS_CLIENTS")?;
        Some(
            Path::new(&folder)
                .join(self.environment())
                .join("bin/python"),
        )
    }
}

/// Lets a client do all it does. Says so if it is not installed.
pub(crate) async fn ask(test: &str, client: Client, endpoint: &str) -> Result<()> {
    let Some(python) = client.python() else {
        skipped(
            test,
            "E2E_SQS_CLIENTS names no folder made by e2e/clients/install",
        );
        return Ok(());
    };
    let output = output(client, &python, endpoint).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{client:?} ended with {}:\n{said}\n{complained}",
        output.status
    );
    println!("{said}");
    Ok(())
}

async fn output(client: Client, python: &Path, endpoint: &str) -> Result<Output> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients");
    let running = Command::new(python)
        .args(["-B", client.script(), endpoint])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(PATIENCE, running).await;
    let ended = ended.with_context(|| format!("{client:?} did not end in {PATIENCE:?}"))?;
    ended.with_context(|| format!("{client:?} could not be started"))
}
