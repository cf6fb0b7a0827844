//! Makes a running process's syncs fail or take long, with `strace`: the program under test has no
//! switch for that and needs none.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::process::Process;
use crate::wait;

/// From starting `strace` to its word that it has all threads.
const ATTACHED_WITHIN: Duration = Duration::from_secs(10);

/// Says what is missing.
pub(crate) fn available() -> Result<(), String> {
    let probe = Command::new("strace")
        .args(["-f", "-e", "trace=fdatasync"])
        .args(["-e", "inject=fdatasync:error=EIO:when=1", "true"])
        .output();
    match probe {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("strace may not trace: {}", said.trim()))
        }
        Err(_) => Err("strace is not installed".to_owned()),
    }
}

/// From now on, and until the tracer is dropped, this happens to each `fdatasync` of the process; see
/// `inject` in strace's manual.
pub(crate) async fn attach(pid: u32, what: &str, name: &str, folder: &Path) -> Result<Process> {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-e", "trace=fdatasync"])
        .args(["-e", &format!("inject=fdatasync:{what}")])
        .args(["-p", &pid.to_string()]);
    let mut tracer = Process::start(name, strace, folder)?;
    let attached = wait::until("strace to attach", ATTACHED_WITHIN, async || {
        if tracer.has_ended()?.is_some() {
            return Ok(false);
        }
        ensure!(tracer.log_tail().contains("attached"));
        Ok(true)
    });
    if !attached.await? {
        bail!("strace ended:\n{}", tracer.log_tail());
    }
    Ok(tracer)
}
