//! A whole system: `shoal dev` as a real process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use serde::de::DeserializeOwned;
use shoal_api::manager::{ClusterInfo, HostInfo};

use crate::bench::Bench;
use crate::limits::START;
use crate::port::free_address;
use crate::process::{Process, Signal};
use crate::role::Role;
use crate::wait;

/// The last line that `dev` prints when it is ready.
const LAST_LINE: &str = "Ctrl-C stops everything.";

/// How to start a [`Dev`].
#[derive(Clone)]
pub struct DevOptions<'a> {
    bench: &'a Bench,
    name: String,
    clusters: usize,
    processes: bool,
    /// `None`: `--ephemeral`.
    data: Option<PathBuf>,
    listen: Option<SocketAddr>,
}

impl<'a> DevOptions<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        Self {
            bench,
            name: "dev".to_owned(),
            clusters: 1,
            processes: false,
            data: Some(bench.folder().join("data")),
            listen: None,
        }
    }

    /// Its name in log files; `dev` if not said.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// So many clusters of three hosts; 1 if not said.
    #[must_use]
    pub fn clusters(mut self, clusters: usize) -> Self {
        self.clusters = clusters;
        self
    }

    /// Every role is a process of its own.
    #[must_use]
    pub fn processes(mut self) -> Self {
        self.processes = true;
        self
    }

    /// Keeps its data in this folder below the test's own; `data` if not said.
    #[must_use]
    pub fn data(mut self, name: &str) -> Self {
        self.data = Some(self.bench.folder().join(name));
        self
    }

    /// Keeps nothing.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.data = None;
        self
    }

    /// Listens there, for instance where an earlier one did; on a free port if not said.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// If it ends or is not ready within [`START`]; with the end of its log.
    pub async fn start(self) -> Result<Dev> {
        let mut process = self.spawn()?;
        let printed = Printed::read(process.child_mut().stdout.take().context("stdout")?);
        let ready = wait::until("shoal dev to be ready", START, async || {
            if let Some(status) = process.has_ended()? {
                return Ok(Err(status));
            }
            ensure!(printed.is_complete(), "it has printed {:?}", printed.text());
            Ok(Ok(()))
        });
        if let Err(status) = ready.await? {
            bail!("shoal dev ended with {status}:\n{}", process.log_tail());
        }
        Dev::parse(process, printed.text())
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(&self) -> Result<Process> {
        let listen = self.listen.map_or_else(free_address, Ok)?;
        let mut words = vec![
            "dev".to_owned(),
            format!("--clusters={}", self.clusters),
            format!("--listen={listen}"),
        ];
        match &self.data {
            Some(data) => words.push(format!("--data={}", data.display())),
            None => words.push("--ephemeral".to_owned()),
        }
        if self.processes {
            words.push("--processes".to_owned());
        }
        let mut command = self.bench.shoal(words)?;
        command.stdout(Stdio::piped());
        Process::start(&self.name, command, self.bench.folder())
    }
}

/// A system that is ready. Ends, with all its processes, when dropped.
#[derive(Debug)]
pub struct Dev {
    process: Process,
    text: String,
    address: SocketAddr,
    roles: Vec<Role>,
}

impl Dev {
    fn parse(process: Process, text: String) -> Result<Self> {
        let address = text
            .split_once("http://")
            .and_then(|(_, rest)| rest.split('/').next())
            .with_context(|| format!("no address in what shoal dev printed:\n{text}"))?
            .parse()?;
        let roles = text.lines().filter_map(Role::parse).collect();
        Ok(Self {
            process,
            text,
            address,
            roles,
        })
    }

    /// Where the frontend listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and [`Dev::address`].
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of a queue, or of what is below it.
    #[must_use]
    pub fn queue(&self, path: &str) -> String {
        format!("{}/v1/queues/{path}", self.endpoint())
    }

    /// Everything it printed until it was ready.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its own process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// All roles; none without `--processes`.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The role of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn role(&self, name: &str) -> Result<&Role> {
        let mut roles = self.roles.iter();
        roles
            .find(|role| role.name == name)
            .with_context(|| format!("no role {name} in\n{}", self.text))
    }

    /// The hosts, cluster by cluster.
    ///
    /// # Errors
    /// If the frontend does not tell, or tells of hosts that are not ours.
    pub async fn hosts_by_cluster(&self) -> Result<Vec<Vec<Role>>> {
        let clusters: Vec<ClusterInfo> = self.get("/v1/clusters").await?;
        let hosts: Vec<HostInfo> = self.get("/v1/hosts").await?;
        let role_at = |address: &str| {
            let mut roles = self.roles.iter().filter(|role| role.is_host());
            let role = roles.find(|role| role.listen().is_ok_and(|listen| listen == address));
            role.cloned()
                .with_context(|| format!("no process listens on {address}"))
        };
        clusters
            .iter()
            .map(|cluster| {
                let members = hosts
                    .iter()
                    .filter(|host| host.cluster == Some(cluster.cluster));
                members.map(|host| role_at(&host.address)).collect()
            })
            .collect()
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = reqwest::get(format!("{}{path}", self.endpoint())).await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))
    }

    /// Kills it and, with it, all its processes, and waits until they are gone.
    ///
    /// # Errors
    /// If one of them stays.
    pub async fn kill9(mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.ended().await?;
        for role in &self.roles {
            role.gone().await?;
        }
        Ok(())
    }

    /// Asks it to end, as Ctrl-C does, and waits until it has.
    ///
    /// # Errors
    /// If it does not end or ends with another code than 0.
    pub async fn stop(mut self) -> Result<()> {
        self.process.signal(Signal::INT)?;
        let status = self.process.ended().await?;
        ensure!(status.success(), "{status}:\n{}", self.process.log_tail());
        Ok(())
    }
}

/// What a process prints, read as it comes so that it never has to wait for us.
struct Printed(Arc<Mutex<String>>);

impl Printed {
    fn read(stdout: ChildStdout) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&text);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut text = into.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self(text)
    }

    fn text(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }

    fn is_complete(&self) -> bool {
        self.text().contains(LAST_LINE)
    }
}
