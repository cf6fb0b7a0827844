//! A cluster of real processes on this machine, whose hosts reach one another, and are reached,
//! through [`Links`].

mod options;
mod releases;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

pub use options::ProcessesOptions;

use super::disk::LoopDisk;
use super::links::{End, LinkFault, Links};
use super::{Cluster, Fault, tracer};
use crate::bench::Bench;
use crate::binary::Release;
use crate::limits::BACK;
use crate::port::free_address;
use crate::process::{Process, Signal};
use crate::wait;

/// A cluster of processes. Everything ends when it is dropped.
pub struct Processes<'a> {
    // In this order they go: what has files open before what holds the files.
    hosts: Vec<Host>,
    frontend: Process,
    manager: Process,
    disks: Vec<LoopDisk>,
    bench: &'a Bench,
    /// `None`: hosts dial one another.
    links: Option<Links>,
    endpoint: String,
    manager_url: String,
    segment_bytes: u32,
}

struct Host {
    listen: SocketAddr,
    admin: SocketAddr,
    data: PathBuf,
    /// What its next process is started from.
    release: Release,
    /// Variables for its process only.
    environment: Vec<(String, String)>,
    process: Option<Process>,
    /// What makes its syncs fail or take long.
    tracer: Option<Process>,
}

impl<'a> Processes<'a> {
    /// Manager and frontend run, hosts have their places.
    async fn prepare(options: ProcessesOptions<'a>) -> Result<Self> {
        let bench = options.bench;
        let mut hosts = Vec::new();
        let mut disks = Vec::new();
        for number in 0..options.hosts {
            let name = name(number);
            let data = match options.disk_bytes {
                Some(bytes) => {
                    let disk = LoopDisk::make(bench.folder(), &name, bytes)?;
                    let data = disk.path().join("data");
                    disks.push(disk);
                    data
                }
                None => bench.folder().join(&name),
            };
            hosts.push(Host {
                listen: free_address()?,
                admin: free_address()?,
                data,
                release: Release::This,
                environment: Vec::new(),
                process: None,
                tracer: None,
            });
        }
        let listen: Vec<SocketAddr> = hosts.iter().map(|host| host.listen).collect();
        let links = match options.direct {
            true => None,
            false => Some(Links::before(&listen).await?),
        };
        let (manager_at, frontend_at) = (free_address()?, free_address()?);
        let manager_url = format!("http://{manager_at}");
        let endpoint = format!("http://{frontend_at}");
        let manager = releases::manager(bench, options.edge, &manager_url, options.hosts)?;
        let frontend = releases::frontend(bench, options.edge, &endpoint, &manager_url)?;
        Ok(Self {
            hosts,
            frontend,
            manager,
            disks,
            bench,
            links,
            endpoint,
            manager_url,
            segment_bytes: options.segment_bytes,
        })
    }

    /// Process ids of everything but the hosts, which come and go.
    #[must_use]
    pub fn lasting_pids(&self) -> [u32; 2] {
        [self.frontend.pid(), self.manager.pid()]
    }

    /// The manager's `http://…`.
    #[must_use]
    pub fn manager_url(&self) -> &str {
        &self.manager_url
    }

    /// A host's data folder, to damage it while the host is down.
    #[must_use]
    pub fn data(&self, host: usize) -> &Path {
        &self.hosts[host].data
    }

    /// A host's next processes have this variable.
    pub fn set_variable(&mut self, host: usize, name: &str, value: &str) {
        let variable = (name.to_owned(), value.to_owned());
        self.hosts[host].environment.push(variable);
    }

    /// A host's next processes have none of the variables of [`Processes::set_variable`].
    pub fn clear_variables(&mut self, host: usize) {
        self.hosts[host].environment.clear();
    }

    /// Frontends and the manager reach a host no longer, until [`Cluster::heal`]; its peers do.
    ///
    /// # Errors
    /// If links are direct.
    pub fn cut_callers(&self, host: usize) -> Result<()> {
        let links = self.links()?;
        links.set(End::Caller, End::Host(host), LinkFault::Cut);
        links.set(End::Host(host), End::Caller, LinkFault::Cut);
        Ok(())
    }

    /// A link's direction is slow from now on.
    ///
    /// # Errors
    /// If links are direct.
    pub fn delay(&self, from: usize, to: usize, by: Duration) -> Result<()> {
        self.links()?
            .set(End::Host(from), End::Host(to), LinkFault::Delay(by));
        Ok(())
    }

    /// One direction of a link is whole again.
    ///
    /// # Errors
    /// If links are direct.
    pub fn mend(&self, from: usize, to: usize) -> Result<()> {
        self.links()?.mend(End::Host(from), End::Host(to));
        Ok(())
    }

    /// Waits until a host's process has ended by itself, and says how.
    ///
    /// # Errors
    /// If it goes on running.
    pub async fn ended(&mut self, host: usize) -> Result<std::process::ExitStatus> {
        let status = self.process(host)?.ended().await?;
        self.gone(host);
        Ok(status)
    }

    /// True if a host's process has ended by itself; then it can be started again.
    ///
    /// # Errors
    /// If it was not running before.
    pub fn has_ended(&mut self, host: usize) -> Result<bool> {
        let has_ended = self.process(host)?.has_ended()?.is_some();
        if has_ended {
            self.gone(host);
        }
        Ok(has_ended)
    }

    /// Looks once whether a host acts in its cluster's view.
    ///
    /// # Errors
    /// If it does not; says why not.
    pub async fn is_ready(&self, host: usize) -> Result<()> {
        let url = format!("http://{}/readyz", self.hosts[host].admin);
        let answer = reqwest::get(&url).await?;
        let status = answer.status();
        ensure!(status.is_success(), "{status}: {}", answer.text().await?);
        Ok(())
    }

    /// What a host has logged so far is not shown any more.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn forget_log(&self, host: usize) -> Result<()> {
        Ok(std::fs::write(self.log_file(host), "")?)
    }

    /// Waits until all hosts act in one view.
    ///
    /// # Errors
    /// If they do not within the time of a start.
    pub async fn serving(&mut self) -> Result<()> {
        self.fleet().serving(self.hosts.len()).await?;
        for host in 0..self.hosts.len() {
            self.ready(host).await?;
        }
        Ok(())
    }

    /// What a host's metric says, whatever its labels; a process has one host.
    ///
    /// # Errors
    /// If it cannot be asked, or has no such metric.
    pub async fn metric(&self, host: usize, name: &str) -> Result<f64> {
        let url = format!("http://{}/metrics", self.hosts[host].admin);
        let text = reqwest::get(&url).await?.text().await?;
        let value = text.lines().find_map(|line| {
            let rest = line.strip_prefix(name)?;
            let rest = match rest.strip_prefix('{') {
                Some(labels) => labels.split_once('}')?.1,
                None => rest,
            };
            rest.strip_prefix(' ')
        });
        Ok(value.with_context(|| format!("no {name}"))?.parse()?)
    }

    /// What the others dial.
    fn advertised(&self, host: usize) -> SocketAddr {
        match &self.links {
            Some(links) => links.address(host),
            None => self.hosts[host].listen,
        }
    }

    fn links(&self) -> Result<&Links> {
        self.links.as_ref().context("hosts dial one another")
    }

    fn process(&mut self, host: usize) -> Result<&mut Process> {
        let process = self.hosts[host].process.as_mut();
        process.with_context(|| format!("{} does not run", name(host)))
    }

    fn disk(&mut self, host: usize) -> Result<&mut LoopDisk> {
        self.disks.get_mut(host).context("no disk of its own")
    }

    fn log_file(&self, host: usize) -> PathBuf {
        self.bench.folder().join(format!("{}.log", name(host)))
    }

    /// Its process is gone: nobody listens any more.
    fn gone(&mut self, host: usize) {
        self.hosts[host].process = None;
        self.hosts[host].tracer = None;
        if let Some(links) = &mut self.links {
            links.close(host);
        }
    }

    async fn trace(&mut self, host: usize, what: &str) -> Result<()> {
        let pid = self.process(host)?.pid();
        let name = format!("strace-{}", name(host));
        // One process has one tracer.
        self.hosts[host].tracer = None;
        let tracer = tracer::attach(pid, what, &name, self.bench.folder()).await?;
        self.hosts[host].tracer = Some(tracer);
        Ok(())
    }
}

impl Cluster for Processes<'_> {
    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn hosts(&self) -> usize {
        self.hosts.len()
    }

    fn can(&self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Cut if self.links.is_none() => Err("hosts dial one another".to_owned()),
            Fault::FullDisk | Fault::PowerLoss if self.disks.is_empty() => {
                Err("hosts have no disks of their own".to_owned())
            }
            Fault::Sync => tracer::available(),
            Fault::Cut | Fault::FullDisk | Fault::PowerLoss => Ok(()),
        }
    }

    async fn kill(&mut self, host: usize) -> Result<()> {
        self.process(host)?.signal(Signal::KILL)?;
        // Waits for it, which takes a moment, and then nobody listens.
        self.process(host)?.ended().await?;
        self.gone(host);
        Ok(())
    }

    async fn terminate(&mut self, host: usize) -> Result<()> {
        self.process(host)?.signal(Signal::TERM)?;
        let status = self.process(host)?.ended().await?;
        ensure!(status.success(), "{}: {status}", name(host));
        self.gone(host);
        Ok(())
    }

    async fn restart(&mut self, host: usize) -> Result<()> {
        ensure!(self.hosts[host].process.is_none(), "{} runs", name(host));
        let advertise = self.advertised(host);
        let place = &self.hosts[host];
        let words = [
            "host".to_owned(),
            format!("--listen={}", place.listen),
            format!("--advertise={advertise}"),
            format!("--admin={}", place.admin),
            format!("--data={}", place.data.display()),
            format!("--manager={}", self.manager_url),
            format!("--zone=z{host}"),
            format!("--segment-bytes={}", self.segment_bytes),
        ];
        let mut command = self.bench.shoal_of(place.release, words)?;
        command.envs(place.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(&name(host), command, self.bench.folder())?;
        self.hosts[host].process = Some(process);
        if let Some(links) = &mut self.links {
            links.open(host).await?;
        }
        Ok(())
    }

    async fn ready(&mut self, host: usize) -> Result<()> {
        let what = format!("{} to be ready", name(host));
        let ready = wait::until(&what, BACK, async || {
            if let Some(status) = self.process(host)?.has_ended()? {
                return Ok(Err(status));
            }
            self.is_ready(host).await?;
            Ok(Ok(()))
        })
        .await?;
        match ready {
            Ok(()) => Ok(()),
            Err(status) => {
                let log = self.log(host).await?;
                anyhow::bail!("{} ended with {status}:\n{log}", name(host))
            }
        }
    }

    async fn replace(&mut self, host: usize) -> Result<()> {
        let fleet = self.fleet();
        let address = self.advertised(host).to_string();
        let lost = fleet.member_at(&address).await?;
        if self.hosts[host].process.is_some() {
            self.kill(host).await?;
        }
        std::fs::remove_dir_all(&self.hosts[host].data)?;
        self.restart(host).await?;
        let newcomer = fleet.newcomer_at(&address).await?;
        fleet.replace(&self.manager_url, lost, newcomer).await?;
        self.ready(host).await
    }

    async fn freeze(&mut self, host: usize) -> Result<()> {
        self.process(host)?.signal(Signal::STOP)
    }

    async fn thaw(&mut self, host: usize) -> Result<()> {
        self.process(host)?.signal(Signal::CONT)
    }

    async fn cut(&mut self, from: usize, to: usize) -> Result<()> {
        self.links()?
            .set(End::Host(from), End::Host(to), LinkFault::Cut);
        Ok(())
    }

    async fn isolate(&mut self, host: usize) -> Result<()> {
        let links = self.links()?;
        let others = (0..self.hosts.len())
            .filter(|other| *other != host)
            .map(End::Host);
        for other in others.chain([End::Caller]) {
            links.set(End::Host(host), other, LinkFault::Cut);
            links.set(other, End::Host(host), LinkFault::Cut);
        }
        Ok(())
    }

    async fn heal(&mut self) -> Result<()> {
        self.links()?.mend_all();
        Ok(())
    }

    async fn fill_disk(&mut self, host: usize, percent: u8) -> Result<()> {
        self.disk(host)?.fill(percent)
    }

    async fn free_disk(&mut self, host: usize) -> Result<()> {
        self.disk(host)?.free()
    }

    async fn fail_sync(&mut self, host: usize) -> Result<()> {
        self.trace(host, "error=EIO:when=1").await
    }

    async fn slow_sync(&mut self, host: usize, milliseconds: u32) -> Result<()> {
        let microseconds = u64::from(milliseconds) * 1_000;
        self.trace(host, &format!("delay_enter={microseconds}"))
            .await
    }

    async fn lose_power(&mut self, hosts: &[usize]) -> Result<()> {
        // The disks first: what is acknowledged from here on would be a lie.
        for host in hosts {
            self.disk(*host)?.lose_power()?;
        }
        for host in hosts {
            self.process(*host)?.signal(Signal::KILL).ok();
        }
        for host in hosts {
            self.process(*host)?.ended().await?;
            self.gone(*host);
            self.disk(*host)?.back()?;
        }
        Ok(())
    }

    async fn log(&mut self, host: usize) -> Result<String> {
        Ok(crate::process::log_tail(&self.log_file(host)))
    }
}

fn name(host: usize) -> String {
    format!("h{host}")
}
