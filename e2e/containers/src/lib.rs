//! A cluster of containers on a private network, from the image of `docker/Dockerfile`: the driver of
//! [`Cluster`] for Docker. A crate of its own, since the library for Docker is large and nothing else
//! needs it.
//!
//! Where no Docker engine answers, [`engine`] says so and tests skip themselves. `E2E_DOCKER` set
//! to `required`, as `.ci/run` does where an engine answers, makes that a failure.

mod image;
mod packets;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use shoal_harness::{Bench, Cluster, Fault, limits, wait};
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{
    HostConfig, NetworkConnectRequest, NetworkDisconnectRequest, PortBinding,
};
use testcontainers::core::IntoContainerPort as _;
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

const MANAGER: &str = "manager";
const FRONTEND: &str = "frontend";
const MANAGER_PORT: u16 = 9325;
const FRONTEND_PORT: u16 = 9324;
const HOST_PORT: u16 = 9400;
const ADMIN_PORT: u16 = 9332;
/// What a host gets to end in good order before Docker kills it; a failure then.
const STOP_WITHIN_S: i32 = 20;
/// For the engine to answer at all.
const ENGINE_ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Where no engine has to answer, says why none does.
///
/// # Errors
/// If one has to, and does not.
pub async fn engine() -> Result<Option<String>> {
    let ping = async { Ok::<_, anyhow::Error>(docker_client_instance().await?.ping().await?) };
    let why = match tokio::time::timeout(ENGINE_ANSWERS_WITHIN, ping).await {
        Ok(Ok(_)) => return Ok(None),
        Ok(Err(error)) => format!("no Docker engine answers: {error:#}"),
        Err(_) => "no Docker engine answers in time".to_owned(),
    };
    let required = std::env::var("E2E_DOCKER").is_ok_and(|value| value == "required");
    ensure!(!required, "{why}, and E2E_DOCKER requires one");
    Ok(Some(why))
}

/// A manager, a frontend and one cluster of hosts, each in a container. All of it, the network
/// included, is removed when this is dropped; the image stays.
pub struct Containers {
    hosts: Vec<ContainerAsync<GenericImage>>,
    _frontend: ContainerAsync<GenericImage>,
    manager: ContainerAsync<GenericImage>,
    place: Place,
    endpoint: String,
    /// Hosts that are off the network.
    isolated: Vec<usize>,
    /// Hosts that somebody's packets do not reach.
    deaf: Vec<usize>,
    /// Why links cannot be cut in one direction on this machine, if they cannot.
    cuts: Result<(), String>,
}

/// Where containers are started, and from what.
struct Place {
    docker: Docker,
    tag: String,
    network: String,
}

impl Place {
    /// Starts one. Its volume is its own: it outlives a kill, and goes with the container.
    async fn run(&self, name: &str, line: &str) -> Result<ContainerAsync<GenericImage>> {
        let reachable = name == FRONTEND;
        let container = GenericImage::new("shoal", self.tag.as_str())
            .with_network(&self.network)
            .with_container_name(self.name_of(name))
            .with_host_config_modifier(move |config| publish(config, reachable))
            .with_cmd(line.split_whitespace())
            .start();
        container
            .await
            .with_context(|| format!("{name} does not start"))
    }

    async fn run_host(&self, host: usize) -> Result<ContainerAsync<GenericImage>> {
        let (advertise, manager) = (self.address_of(host), self.name_of(MANAGER));
        let line = format!(
            "host --listen 0.0.0.0:{HOST_PORT} --advertise {advertise} --admin 0.0.0.0:{ADMIN_PORT} \
             --manager http://{manager}:{MANAGER_PORT} --zone z{host} --segment-bytes 1048576"
        );
        self.run(&host_name(host), &line).await
    }

    /// What others dial.
    fn address_of(&self, host: usize) -> String {
        format!("{}:{HOST_PORT}", self.name_of(&host_name(host)))
    }

    /// A container's name, which is also what the others find it by.
    fn name_of(&self, name: &str) -> String {
        format!("{}-{name}", self.network)
    }
}

impl Containers {
    /// Builds the image, starts so many hosts and waits until the cluster serves.
    ///
    /// # Errors
    /// If anything of that fails.
    pub async fn start(bench: &Bench, hosts: usize) -> Result<Self> {
        let place = Place {
            tag: image::build(bench)?,
            docker: docker_client_instance().await?,
            // Names are seen by everybody who uses this engine.
            network: format!("shoal-e2e-{}", std::process::id()),
        };
        let line = format!("manager --listen 0.0.0.0:{MANAGER_PORT} --cluster-size {hosts}");
        let manager = place.run(MANAGER, &line).await?;
        let manager_name = place.name_of(MANAGER);
        let line = format!(
            "frontend --listen 0.0.0.0:{FRONTEND_PORT} --manager http://{manager_name}:{MANAGER_PORT}"
        );
        let frontend = place.run(FRONTEND, &line).await?;
        let mut running = Vec::new();
        for host in 0..hosts {
            running.push(place.run_host(host).await?);
        }
        let port = frontend.get_host_port_ipv4(FRONTEND_PORT.tcp()).await?;
        let address = frontend.get_host().await?;
        let mut cluster = Self {
            hosts: running,
            _frontend: frontend,
            manager,
            place,
            endpoint: format!("http://{address}:{port}"),
            isolated: Vec::new(),
            deaf: Vec::new(),
            cuts: Ok(()),
        };
        cluster.cuts = packets::available(cluster.pid(0).await?);
        cluster.serving().await?;
        Ok(cluster)
    }

    /// Waits until all hosts act in one view.
    async fn serving(&mut self) -> Result<()> {
        let serving = self.fleet().serving(self.hosts.len()).await;
        if let Err(error) = serving {
            return Err(error.context(self.logs().await));
        }
        for host in 0..self.hosts.len() {
            self.ready(host).await?;
        }
        Ok(())
    }

    /// Of the container's process, as this machine numbers it.
    async fn pid(&self, host: usize) -> Result<i64> {
        let id = self.hosts[host].id();
        let container = self.place.docker.inspect_container(id, None).await?;
        let state = container.state.context("a container without a state")?;
        state.pid.context("a container without a process")
    }

    async fn address(&self, host: usize) -> Result<IpAddr> {
        Ok(self.hosts[host].get_bridge_ip_address().await?)
    }

    async fn logs(&self) -> String {
        let mut text = String::new();
        for (host, container) in self.hosts.iter().enumerate() {
            let log = container.stderr_to_vec().await.unwrap_or_default();
            let start = log.len().saturating_sub(limits::LOG_TAIL_BYTES);
            text += &format!(
                "--- end of {}\n{}",
                host_name(host),
                String::from_utf8_lossy(&log[start..])
            );
        }
        text
    }
}

impl Cluster for Containers {
    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn hosts(&self) -> usize {
        self.hosts.len()
    }

    fn can(&self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Cut => self.cuts.clone(),
            other => Err(format!("{other:?} is for processes")),
        }
    }

    async fn kill(&mut self, host: usize) -> Result<()> {
        let killed = self
            .place
            .docker
            .kill_container(self.hosts[host].id(), None);
        Ok(killed.await?)
    }

    async fn terminate(&mut self, host: usize) -> Result<()> {
        let container = &self.hosts[host];
        container.stop_with_timeout(Some(STOP_WITHIN_S)).await?;
        let code = container.exit_code().await?;
        if code != Some(0) {
            bail!(
                "{} ended with {code:?}:\n{}",
                host_name(host),
                self.logs().await
            );
        }
        Ok(())
    }

    async fn restart(&mut self, host: usize) -> Result<()> {
        Ok(self.hosts[host].start().await?)
    }

    async fn ready(&mut self, host: usize) -> Result<()> {
        let what = format!("{} to be ready", host_name(host));
        let ready = wait::until(&what, limits::BACK, async || {
            let url = format!("http://{}:{ADMIN_PORT}/readyz", self.address(host).await?);
            let answer = reqwest::get(&url).await?;
            let status = answer.status();
            ensure!(status.is_success(), "{status}: {}", answer.text().await?);
            Ok(())
        });
        match ready.await {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.logs().await)),
        }
    }

    async fn replace(&mut self, host: usize) -> Result<()> {
        let fleet = self.fleet();
        let address = self.place.address_of(host);
        let lost = fleet.member_at(&address).await?;
        // With its volume, and before another one can have its name.
        self.hosts.remove(host).rm().await?;
        let newcomer = self.place.run_host(host).await?;
        self.hosts.insert(host, newcomer);
        let newcomer = fleet.newcomer_at(&address).await?;
        let manager = self.manager.get_bridge_ip_address().await?;
        let manager = format!("http://{manager}:{MANAGER_PORT}");
        fleet.replace(&manager, lost, newcomer).await?;
        self.ready(host).await
    }

    async fn freeze(&mut self, host: usize) -> Result<()> {
        Ok(self.hosts[host].pause().await?)
    }

    async fn thaw(&mut self, host: usize) -> Result<()> {
        Ok(self.hosts[host].unpause().await?)
    }

    async fn cut(&mut self, from: usize, to: usize) -> Result<()> {
        let sender = self.address(from).await?;
        packets::drop_from(self.pid(to).await?, sender)?;
        self.deaf.push(to);
        Ok(())
    }

    async fn isolate(&mut self, host: usize) -> Result<()> {
        let request = NetworkDisconnectRequest {
            container: self.hosts[host].id().to_owned(),
            force: None,
        };
        let Place {
            docker, network, ..
        } = &self.place;
        docker.disconnect_network(network, request).await?;
        self.isolated.push(host);
        Ok(())
    }

    async fn heal(&mut self) -> Result<()> {
        for host in std::mem::take(&mut self.isolated) {
            let request = NetworkConnectRequest {
                container: self.hosts[host].id().to_owned(),
                endpoint_config: None,
            };
            let Place {
                docker, network, ..
            } = &self.place;
            docker.connect_network(network, request).await?;
        }
        for host in std::mem::take(&mut self.deaf) {
            packets::let_in(self.pid(host).await?)?;
        }
        Ok(())
    }

    async fn log(&mut self, host: usize) -> Result<String> {
        let log = self.hosts[host].stderr_to_vec().await?;
        let start = log.len().saturating_sub(limits::LOG_TAIL_BYTES);
        Ok(String::from_utf8_lossy(&log[start..]).into_owned())
    }
}

/// From this machine alone, and only where the load comes in.
fn publish(config: &mut HostConfig, reachable: bool) {
    config.publish_all_ports = Some(false);
    let loopback = PortBinding {
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: None,
    };
    let frontend = (format!("{FRONTEND_PORT}/tcp"), Some(vec![loopback]));
    config.port_bindings = reachable.then(|| HashMap::from([frontend]));
}

fn host_name(host: usize) -> String {
    format!("h{host}")
}
