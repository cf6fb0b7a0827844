//! One role of `shoal dev --processes`: which process it is and how to start it again.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::bench::Bench;
use crate::limits::READY;
use crate::process::{self, Process, Signal};
use crate::wait;

/// A child of `shoal dev --processes`, as printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `manager`, `frontend`, `h1`, `h2` …
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// What a user would paste to start it again.
    pub command_line: String,
}

impl Role {
    /// Reads `NAME  pid PID: COMMAND LINE`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.trim().split_once(" pid ")?;
        let (pid, command_line) = rest.split_once(": ")?;
        Some(Self {
            name: name.trim().to_owned(),
            pid: pid.parse().ok()?,
            command_line: command_line.to_owned(),
        })
    }

    /// True for hosts.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.name.starts_with('h')
    }

    /// Ends it without warning, and waits until it is gone.
    ///
    /// # Errors
    /// If it was gone before or does not go.
    pub async fn kill9(&self) -> Result<()> {
        process::send(self.pid, Signal::KILL)?;
        self.gone().await
    }

    /// Ends it without warning, and does not wait.
    ///
    /// # Errors
    /// If it was gone before.
    pub fn kill9_now(&self) -> Result<()> {
        process::send(self.pid, Signal::KILL)
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// If it was gone before or does not go.
    pub async fn terminate(&self) -> Result<()> {
        process::send(self.pid, Signal::TERM)?;
        self.gone().await
    }

    /// Waits until its process is gone.
    ///
    /// # Errors
    /// If it does not go.
    pub async fn gone(&self) -> Result<()> {
        process::gone(self.pid).await
    }

    /// Freezes it: connections stay open, nothing answers.
    ///
    /// # Errors
    /// If it is gone.
    pub fn freeze(&self) -> Result<()> {
        process::send(self.pid, Signal::STOP)
    }

    /// Lets it go on after [`Role::freeze`].
    ///
    /// # Errors
    /// If it is gone.
    pub fn thaw(&self) -> Result<()> {
        process::send(self.pid, Signal::CONT)
    }

    /// Runs its command line in a shell, as a user would.
    ///
    /// # Errors
    /// If there is no shell.
    pub fn start_again(&self, bench: &Bench) -> Result<Restarted> {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {}", self.command_line)]);
        let process = Process::start(&self.name, shell, bench.folder())?;
        let role = Self {
            pid: process.pid(),
            ..self.clone()
        };
        Ok(Restarted { role, process })
    }

    /// What `--listen` says.
    ///
    /// # Errors
    /// If its command line does not say it.
    pub fn listen(&self) -> Result<&str> {
        self.flag("--listen")
    }

    /// Where `/readyz` and `/metrics` are.
    ///
    /// # Errors
    /// If its command line does not say it.
    pub fn admin(&self) -> Result<&str> {
        self.flag("--admin")
    }

    /// Where it keeps its data.
    ///
    /// # Errors
    /// If its command line does not say it.
    pub fn data(&self) -> Result<&str> {
        self.flag("--data")
    }

    /// Waits until `/readyz` says 200.
    ///
    /// # Errors
    /// If it is not ready after `bound`; says what it last answered.
    pub async fn ready_within(&self, bound: Duration) -> Result<()> {
        let url = format!("http://{}/readyz", self.admin()?);
        let what = format!("{} to be ready", self.name);
        wait::until(&what, bound, async || {
            let answer = reqwest::get(&url).await?;
            let status = answer.status();
            ensure!(status.is_success(), "{status}: {}", answer.text().await?);
            Ok(())
        })
        .await
    }

    /// What its `/metrics` say of this one, summed over all labels; 0 if it is not there yet.
    ///
    /// # Errors
    /// If it does not answer, or a value is none.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let url = format!("http://{}/metrics", self.admin()?);
        let text = reqwest::get(url).await?.text().await?;
        let is_its = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let values = text.lines().filter(is_its).map(|line| {
            let (_, value) = line.rsplit_once(' ').context("a line without a value")?;
            Ok(value.parse::<f64>()?)
        });
        values.sum()
    }

    /// Memory that it takes, in MiB.
    ///
    /// # Errors
    /// If it is gone.
    pub fn resident_mib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|text| text.trim().strip_suffix(" kB"));
        Ok(kib.context("no VmRSS")?.trim().parse::<u64>()? / 1024)
    }

    fn flag(&self, name: &str) -> Result<&str> {
        let mut words = self.command_line.split(' ');
        words.find(|word| *word == name);
        words
            .next()
            .with_context(|| format!("{name} is not in {:?}", self.command_line))
    }
}

/// A role that the test started again. Ends when dropped.
#[derive(Debug)]
pub struct Restarted {
    /// As it is now.
    pub role: Role,
    /// Its process.
    pub process: Process,
}

impl Restarted {
    /// Waits until it is ready.
    ///
    /// # Errors
    /// If it ends or is not ready within [`READY`]; with the end of its log.
    pub async fn ready(&mut self) -> Result<()> {
        let ready = self.role.ready_within(READY).await;
        if let Some(status) = self.process.has_ended()? {
            anyhow::bail!(
                "{} ended with {status}:\n{}",
                self.role.name,
                self.process.log_tail()
            );
        }
        ready.with_context(|| self.process.log_tail())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_line_says_all_there_is_to_know() {
        let line = "  h1        pid 123: /t/shoal host --listen 127.0.0.1:5 --admin 127.0.0.1:6";
        let role = Role::parse(line).unwrap();
        assert_eq!((role.name.as_str(), role.pid), ("h1", 123));
        assert_eq!(role.listen().unwrap(), "127.0.0.1:5");
        assert_eq!(role.admin().unwrap(), "127.0.0.1:6");
        assert!(role.flag("--zone").is_err());
        assert!(role.is_host());
        assert_eq!(Role::parse("Shoal is ready: 2 clusters"), None);
    }
}
