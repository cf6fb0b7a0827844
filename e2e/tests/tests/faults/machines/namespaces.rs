//! Machines that are network namespaces: each has an address of its own and sees nothing but its loopback and
//! the others, over a bridge that stands in one more. A process holds each; none has a name, so nothing is
//! left of it when that process ends, which it does with the test however that ends.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use shoal_harness::{Bench, Process, limits, wait};

/// Longer than any test.
const HELD_FOR_S: &str = "600";

/// The address of a machine, as in the docs.
pub(super) fn address(machine: usize) -> Ipv4Addr {
    let last = u8::try_from(10 + machine).unwrap_or(u8::MAX);
    Ipv4Addr::new(10, 0, 0, last)
}

/// Where clients are.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

pub(super) struct Namespaces {
    /// Has the bridge, and is where clients are.
    switch: Process,
    machines: Vec<Process>,
}

impl Namespaces {
    /// Tries whether one can be made.
    ///
    /// # Errors
    /// Says what is missing.
    pub(super) fn available() -> Result<(), String> {
        let mut probe = holder();
        let made = probe
            .args(["ip", "link", "add", "probe", "type", "bridge"])
            .output();
        let made = made.map_err(|error| format!("setpriv cannot be run: {error}"))?;
        match made.status.success() {
            true => Ok(()),
            false => Err(format!(
                "no network namespace with a bridge: {}",
                String::from_utf8_lossy(&made.stderr).trim()
            )),
        }
    }

    /// Three machines, and clients.
    ///
    /// # Errors
    /// If they cannot be made.
    pub(super) async fn make(bench: &Bench) -> Result<Self> {
        let switch = held(bench, "switch").await?;
        ip(&switch, "link add bridge type bridge")?;
        ip(&switch, &format!("addr add {CLIENT}/24 dev bridge"))?;
        ip(&switch, "link set bridge up")?;
        let mut machines = Vec::new();
        for machine in 1..=3 {
            let held = held(bench, &format!("machine-{machine}")).await?;
            let (wire, pid) = (format!("machine-{machine}"), held.pid());
            ip(
                &switch,
                &format!("link add {wire} type veth peer name eth0 netns {pid}"),
            )?;
            ip(&switch, &format!("link set {wire} master bridge up"))?;
            ip(&held, &format!("addr add {}/24 dev eth0", address(machine)))?;
            ip(&held, "link set eth0 up")?;
            ip(&held, "link set lo up")?;
            machines.push(held);
        }
        Ok(Self { switch, machines })
    }

    /// A program on a machine, without any of this test's variables.
    pub(super) fn on(&self, machine: usize, program: &Path) -> Command {
        entered(&self.machines[machine - 1], program)
    }

    /// A program of a client.
    pub(super) fn client(&self, program: &Path) -> Command {
        entered(&self.switch, program)
    }
}

/// A program in a namespace of its own that ends with this test.
fn holder() -> Command {
    let mut command = Command::new("setpriv");
    command.env("PATH", path());
    command.args(["--pdeathsig", "KILL", "unshare", "--net"]);
    command
}

async fn held(bench: &Bench, name: &str) -> Result<Process> {
    let mut command = holder();
    command.args(["sleep", HELD_FOR_S]);
    let process = Process::start(name, command, bench.folder())?;
    let ours = std::fs::read_link("/proc/self/ns/net")?;
    wait::until("a namespace of its own", limits::READY, async || {
        let its = std::fs::read_link(format!("/proc/{}/ns/net", process.pid()))?;
        ensure!(its != ours, "it is in ours still: {}", process.log_tail());
        Ok(())
    })
    .await?;
    Ok(process)
}

fn entered(namespace: &Process, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.env_clear().env("PATH", path());
    command.arg(format!("--net=/proc/{}/ns/net", namespace.pid()));
    command.arg("--").arg(program);
    command
}

/// Programs for root are not on everybody's path.
fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

fn ip(namespace: &Process, words: &str) -> Result<()> {
    let mut command = entered(namespace, Path::new("ip"));
    let output = command.args(words.split(' ')).output().context("nsenter")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {words}: {said}");
    Ok(())
}
