//! Packets that do not arrive: a filter in a container's network namespace, set from outside. The image
//! has no tool for that and the containers no right to it, so it takes root where the engine runs.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Says what is missing, tried out on a running container's process.
pub(crate) fn available(pid: i64) -> Result<(), String> {
    if !namespace(pid).exists() {
        return Err("the engine's processes are not on this machine".to_owned());
    }
    iptables(pid, &["-L", "INPUT", "-n"]).map_err(|error| format!("{error:#}"))
}

/// Nothing that this sender sends reaches the container any more, and nobody is told.
pub(crate) fn drop_from(pid: i64, sender: IpAddr) -> Result<()> {
    let sender = sender.to_string();
    iptables(pid, &["-A", "INPUT", "-s", &sender, "-j", "DROP"])
}

/// Everything reaches the container.
pub(crate) fn let_in(pid: i64) -> Result<()> {
    iptables(pid, &["-F", "INPUT"])
}

fn iptables(pid: i64, words: &[&str]) -> Result<()> {
    let mut nsenter = Command::new("nsenter");
    nsenter.arg(format!("--net={}", namespace(pid).display()));
    let output = nsenter
        .args(["iptables", "-w"])
        .args(words)
        .output()
        .context("nsenter is not installed")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "iptables: {}", said.trim());
    Ok(())
}

fn namespace(pid: i64) -> PathBuf {
    format!("/proc/{pid}/ns/net").into()
}
