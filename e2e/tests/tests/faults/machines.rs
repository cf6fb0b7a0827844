//! Three machines set up by hand, as `docs/three-machines.md` says: with the unit of systemd and the files of
//! settings that stand there, and with its addresses. The machines are network namespaces; systemd itself is
//! tried by `docker/systemd/try`.

mod namespaces;
mod unit;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_harness::{Bench, Process, limits, run, skipped, wait};

use namespaces::Namespaces;
use unit::Unit;

/// Which roles run where.
const MACHINES: [&[&str]; 3] = [
    &["manager", "host", "frontend"],
    &["host", "frontend"],
    &["host", "frontend"],
];

/// A frontend waits up to 4 s for a manager that is away, and a smoke that fails cleans up for 10 s.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn three_machines_by_hand_serve_and_any_one_of_them_may_be_lost() {
    run(async |bench| {
        if let Err(why) = Namespaces::available() {
            skipped("three machines by hand", &why);
            return Ok(());
        }
        let mut machines = Machines::start(bench).await?;
        machines.pass_smoke(&[1, 2, 3]).await?;
        machines.are_healthy(&[1, 2, 3]).await?;

        machines.lose(3);
        machines.pass_smoke(&[1, 2]).await?;
        machines.begin(3)?;
        machines.are_healthy(&[3]).await?;
        machines.pass_smoke(&[3]).await?;

        // With the machine of the manager goes nothing but creating queues and changing them.
        machines.client(2, &["queue", "create", "orders"]).await?;
        machines.exchange("orders", &[2, 3]).await?;
        machines.lose(1);
        machines.exchange("orders", &[2, 3]).await?;
        machines.begin(1)?;
        machines.are_healthy(&[1, 2, 3]).await?;
        machines.pass_smoke(&[1, 2, 3]).await
    });
}

#[test]
fn each_setting_of_the_machines_files_is_taken_by_its_role() {
    run(async |bench| {
        let unit = Unit::read()?;
        for (machine, roles) in (1..).zip(MACHINES) {
            for role in roles {
                let settings = unit.settings(machine, role)?;
                let mut dump = Command::new(bench.binary()?);
                dump.args(unit.words(role)?).arg("--dump-config");
                let output = dump.env_clear().envs(settings.clone()).output()?;
                let said = String::from_utf8(output.stdout)?;
                ensure!(
                    output.status.success(),
                    "{role}: {:?}",
                    String::from_utf8(output.stderr)
                );
                for (name, value) in settings {
                    let from = format!("# from environment {name}");
                    let line = said.lines().find(|line| line.ends_with(&from));
                    let line = line.with_context(|| format!("{role}: no {name} in\n{said}"))?;
                    ensure!(line.contains(&value), "{role}: {name}={value}, but {line}");
                }
            }
        }
        Ok(())
    });
}

#[test]
fn systemd_takes_the_unit_and_calls_it_safe() {
    run(async |bench| {
        let mut analyze = Command::new("systemd-analyze");
        if analyze.arg("--version").output().is_err() {
            skipped("the unit of systemd", "systemd-analyze is not installed");
            return Ok(());
        }
        let unit = bench.folder().join("shoal@.service");
        std::fs::write(&unit, Unit::text_for(bench.binary()?)?)?;
        let said = analyzed(&["verify", "--man=no"], &unit)?;
        ensure!(said.trim().is_empty(), "{said}");
        // It ends with 1 if the unit may do more than so many tenths of a point.
        analyzed(
            &["security", "--offline=true", "--threshold=15", "--no-pager"],
            &unit,
        )?;
        Ok(())
    });
}

fn analyzed(words: &[&str], unit: &std::path::Path) -> Result<String> {
    let output = Command::new("systemd-analyze")
        .args(words)
        .arg(unit)
        .output()?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    ensure!(
        output.status.success(),
        "{words:?}: {}: {said}",
        output.status
    );
    Ok(said)
}

/// The machines and what runs there. All of it ends when this is dropped, or the test is killed.
struct Machines<'a> {
    bench: &'a Bench,
    unit: Unit,
    namespaces: Namespaces,
    /// What runs on each, by its number less one.
    running: [Vec<Process>; 3],
}

impl<'a> Machines<'a> {
    /// Starts what the units start.
    async fn start(bench: &'a Bench) -> Result<Self> {
        let mut machines = Self {
            bench,
            unit: Unit::read()?,
            namespaces: Namespaces::make(bench).await?,
            running: Default::default(),
        };
        for machine in 1..=3 {
            machines.begin(machine)?;
        }
        Ok(machines)
    }

    /// Starts everything that runs on a machine.
    fn begin(&mut self, machine: usize) -> Result<()> {
        for role in MACHINES[machine - 1] {
            let mut command = self.namespaces.on(machine, self.bench.binary()?);
            command.args(self.unit.words(role)?);
            command.envs(self.unit.settings(machine, role)?);
            let name = format!("{role}-{machine}");
            let data = self.bench.folder().join(&name);
            if self
                .unit
                .settings(machine, role)?
                .contains_key("SHOAL_DATA")
            {
                command.env("SHOAL_DATA", data);
            }
            let process = Process::start(&name, command, self.bench.folder())?;
            self.running[machine - 1].push(process);
        }
        Ok(())
    }

    /// Kills everything that runs on a machine.
    fn lose(&mut self, machine: usize) {
        self.running[machine - 1].clear();
    }

    /// That `shoal smoke` passes through the frontends of these machines, asked from another.
    async fn pass_smoke(&self, machines: &[usize]) -> Result<()> {
        for machine in machines {
            let said = self.client(*machine, &["smoke"]).await?;
            ensure!(said.contains("rest: delete queue: ok"), "{said}");
        }
        Ok(())
    }

    /// That a message comes through the frontends of these machines, which know the queue after that.
    async fn exchange(&self, queue: &str, machines: &[usize]) -> Result<()> {
        for machine in machines {
            self.client(*machine, &["send", queue, "two salmon"])
                .await?;
            let receive = ["receive", queue, "--wait", "5", "--auto-ack"];
            let received = self.client(*machine, &receive).await?;
            ensure!(received.contains("two salmon"), "{received}");
        }
        Ok(())
    }

    /// That `shoal health --ready` says so, on the machines themselves, of all that runs there.
    async fn are_healthy(&self, machines: &[usize]) -> Result<()> {
        for machine in machines {
            let what = format!("machine {machine} to be ready");
            wait::until(&what, limits::READY, async || {
                let mut health = self.namespaces.on(*machine, self.bench.binary()?);
                let output = health.args(["health", "--ready"]).output()?;
                let said = String::from_utf8([output.stdout, output.stderr].concat())?;
                let roles = MACHINES[machine - 1].len();
                let ready = said
                    .lines()
                    .filter(|line| line.ends_with(": ready"))
                    .count();
                ensure!(output.status.success() && ready == roles, "{said}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// What a command says that a client runs against the frontend of a machine.
    async fn client(&self, machine: usize, words: &[&str]) -> Result<String> {
        let mut command = self.namespaces.client(self.bench.binary()?);
        let endpoint = format!("http://{}:9324", namespaces::address(machine));
        command.args(words).env("SHOAL_ENDPOINT", endpoint);
        let running = tokio::task::spawn_blocking(move || command.output());
        let output = tokio::time::timeout(PATIENCE, running).await???;
        let said = String::from_utf8([output.stdout, output.stderr].concat())?;
        ensure!(
            output.status.success(),
            "{words:?} by machine {machine}: {said}"
        );
        Ok(said)
    }
}
