//! `docker/compose.yaml`, brought up by whichever tool is there: the plugin, `docker compose`, or the older
//! `docker-compose`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_harness::{Bench, free_address, wait};

use crate::image::{Image, said_by};

/// From the start to what `HEALTHCHECK` says of every container. It asks every ten seconds; on a machine that
/// compiles besides, all nine have taken 53 s.
const HEALTHY_WITHIN: Duration = Duration::from_secs(120);
/// What containers, networks and volumes of a project have as a label, whichever tool made them.
const LABEL: &str = "com.docker.compose.project";
/// Both frontends, and the variable that says where each is published.
const FRONTENDS: [&str; 2] = ["FRONTEND_1_PORT", "FRONTEND_2_PORT"];

/// A project of its own name. Taken down when dropped, with its volumes.
#[derive(Debug)]
pub struct Compose {
    tool: &'static [&'static str],
    file: PathBuf,
    project: String,
    frontends: Vec<SocketAddr>,
}

/// The words with which the tool that is there begins, or why none is.
///
/// # Errors
/// None of both answers; in words.
pub fn compose_tool() -> Result<&'static [&'static str], String> {
    const TOOLS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let answers = |tool: &&&[&str]| {
        let version = command(tool).arg("version").output();
        version.is_ok_and(|output| output.status.success())
    };
    let found = TOOLS.iter().find(answers);
    found
        .copied()
        .ok_or_else(|| "neither docker compose nor docker-compose answers".to_owned())
}

impl Compose {
    /// The image built, nothing started yet.
    ///
    /// # Errors
    /// If it cannot be built, or no port is free.
    pub fn new(bench: &Bench, tool: &'static [&'static str]) -> Result<Self> {
        let docker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker");
        // Names are seen by everybody who uses this engine.
        let project = format!("shoal-e2e-compose-{}", std::process::id());
        let compose = Self {
            tool,
            file: docker.join("compose.yaml"),
            frontends: FRONTENDS
                .map(|_| free_address())
                .into_iter()
                .collect::<Result<_>>()?,
            project,
        };
        Image::around(bench.binary()?, &compose.image())?;
        Ok(compose)
    }

    /// By its own tag, so that nobody gives it to another image meanwhile.
    #[must_use]
    pub fn image(&self) -> String {
        format!("shoal:{}", self.project)
    }

    /// Where this machine reaches each frontend.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        let endpoint = |address: &SocketAddr| format!("http://{address}");
        self.frontends.iter().map(endpoint).collect()
    }

    /// Runs the tool with these words, such as `up --detach`, to its end.
    ///
    /// # Errors
    /// If it fails; with what it said.
    pub fn run(&self, words: &str) -> Result<String> {
        let mut command = command(self.tool);
        command.arg("--file").arg(&self.file);
        command.args(["--project-name", &self.project]);
        command.env("IMAGE", self.image());
        for (variable, address) in FRONTENDS.iter().zip(&self.frontends) {
            command.env(variable, address.port().to_string());
        }
        said_by(command.args(words.split(' ')))
    }

    /// Waits until so many containers run and all are healthy, as the image's own check finds.
    ///
    /// # Errors
    /// If that takes longer than [`HEALTHY_WITHIN`]; with what the engine says of each.
    pub async fn healthy(&self, containers: usize) -> Result<()> {
        wait::until("healthy containers", HEALTHY_WITHIN, async || {
            let states = self.of_containers("{{.Names}} {{.Status}}")?;
            let healthy = states.iter().filter(|state| state.contains("(healthy)"));
            let running = states.iter().filter(|state| state.contains(" Up "));
            let (healthy, running) = (healthy.count(), running.count());
            ensure!(
                (healthy, running) == (containers, containers),
                "{healthy} healthy and {running} running of {containers}: {states:#?}"
            );
            Ok(())
        })
        .await
    }

    /// A line of this format for each container of the project.
    ///
    /// # Errors
    /// If the engine does not tell.
    pub fn of_containers(&self, format: &str) -> Result<Vec<String>> {
        self.list(&["ps", "--all"], format)
    }

    /// All that the engine has of the project: containers, volumes, networks.
    ///
    /// # Errors
    /// If it does not tell.
    pub fn left(&self) -> Result<Vec<String>> {
        let mut left = self.of_containers("{{.Names}}")?;
        left.extend(self.list(&["volume", "ls"], "{{.Name}}")?);
        left.extend(self.list(&["network", "ls"], "{{.Name}}")?);
        Ok(left)
    }

    fn list(&self, words: &[&str], format: &str) -> Result<Vec<String>> {
        let filter = format!("label={LABEL}={}", self.project);
        let mut list = Command::new("docker");
        list.args(words).args(["--filter", &filter]);
        let said = said_by(list.args(["--format", format])).context("what the engine has")?;
        Ok(said.lines().map(str::to_owned).collect())
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        let tag = self.image();
        let down = self.run("down --volumes --timeout 1");
        let untagged = said_by(Command::new("docker").args(["image", "rm", &tag]));
        for error in [down.err(), untagged.err()].into_iter().flatten() {
            eprintln!("something of this test stays with the engine: {error:#}");
        }
    }
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}
