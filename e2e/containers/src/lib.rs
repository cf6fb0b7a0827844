//! A cluster of containers on a private network, from the image of `docker/Dockerfile`: the driver of
//! [`Cluster`] for Docker. A crate of its own, since the library for Docker is large and nothing else
//! needs it.
//!
//! Where no Docker engine answers, [`engine`] says so and tests skip themselves. `E2E_DOCKER` set
//! to `required`, as `.ci/run` does where an engine answers, makes that a failure.

mod image;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use shoal_api::manager::{ClusterInfo, ClusterState};
use shoal_harness::{Bench, Cluster, Fault, limits, wait};
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{
    HostConfig, NetworkConnectRequest, NetworkDisconnectRequest, PortBinding,
};
use testcontainers::core::IntoContainerPort as _;
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

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
    _manager: ContainerAsync<GenericImage>,
    docker: Docker,
    network: String,
    endpoint: String,
    /// Hosts that are off the network.
    isolated: Vec<usize>,
}

impl Containers {
    /// Builds the image, starts so many hosts and waits until the cluster serves.
    ///
    /// # Errors
    /// If anything of that fails.
    pub async fn start(bench: &Bench, hosts: usize) -> Result<Self> {
        let tag = image::build(bench)?;
        let docker = docker_client_instance().await?;
        // Names are seen by everybody who uses this engine.
        let network = format!("shoal-e2e-{}", std::process::id());
        let run = async |name: &str, words: Vec<String>| {
            // The image's volume is the container's own: it outlives a kill, and goes with the container.
            let reachable = name == "frontend";
            let container = GenericImage::new("shoal", tag.as_str())
                .with_network(&network)
                .with_container_name(in_network(&network, name))
                .with_host_config_modifier(move |config| publish(config, reachable))
                .with_cmd(words)
                .start();
            container
                .await
                .with_context(|| format!("{name} does not start"))
        };
        let manager_url = format!("http://{}:{MANAGER_PORT}", in_network(&network, "manager"));
        let manager = run(
            "manager",
            words(&format!(
                "manager --listen 0.0.0.0:{MANAGER_PORT} --cluster-size {hosts}"
            )),
        )
        .await?;
        let frontend = run(
            "frontend",
            words(&format!(
                "frontend --listen 0.0.0.0:{FRONTEND_PORT} --manager {manager_url}"
            )),
        )
        .await?;
        let mut running = Vec::new();
        for host in 0..hosts {
            let name = host_name(host);
            let advertise = in_network(&network, &name);
            let line = format!(
                "host --listen 0.0.0.0:{HOST_PORT} --advertise {advertise}:{HOST_PORT} \
                 --admin 0.0.0.0:{ADMIN_PORT} --manager {manager_url} --zone z{host} \
                 --segment-bytes 1048576"
            );
            running.push(run(&name, words(&line)).await?);
        }
        let port = frontend.get_host_port_ipv4(FRONTEND_PORT.tcp()).await?;
        let address = frontend.get_host().await?;
        let mut cluster = Self {
            hosts: running,
            _frontend: frontend,
            _manager: manager,
            docker,
            network,
            endpoint: format!("http://{address}:{port}"),
            isolated: Vec::new(),
        };
        cluster.serving().await?;
        Ok(cluster)
    }

    /// Waits until all hosts act in one view.
    async fn serving(&mut self) -> Result<()> {
        let url = format!("{}/v1/clusters", self.endpoint);
        wait::until("the cluster to serve", limits::START, async || {
            let answer = reqwest::get(&url).await?.error_for_status()?;
            let clusters: Vec<ClusterInfo> = serde_json::from_slice(&answer.bytes().await?)?;
            let all = clusters.iter().any(|cluster| {
                cluster.state == ClusterState::Serving && cluster.active.len() == self.hosts.len()
            });
            ensure!(all, "{clusters:?}");
            Ok(())
        })
        .await
        .context(self.logs().await)?;
        for host in 0..self.hosts.len() {
            self.ready(host).await?;
        }
        Ok(())
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
        Err(format!("{fault:?} is for processes"))
    }

    async fn kill(&mut self, host: usize) -> Result<()> {
        let killed = self.docker.kill_container(self.hosts[host].id(), None);
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

    async fn freeze(&mut self, host: usize) -> Result<()> {
        Ok(self.hosts[host].pause().await?)
    }

    async fn thaw(&mut self, host: usize) -> Result<()> {
        Ok(self.hosts[host].unpause().await?)
    }

    async fn cut(&mut self, from: usize, to: usize) -> Result<()> {
        bail!("containers {from} and {to}: a link has no single direction here")
    }

    async fn isolate(&mut self, host: usize) -> Result<()> {
        let request = NetworkDisconnectRequest {
            container: self.hosts[host].id().to_owned(),
            force: None,
        };
        self.docker
            .disconnect_network(&self.network, request)
            .await?;
        self.isolated.push(host);
        Ok(())
    }

    async fn heal(&mut self) -> Result<()> {
        for host in std::mem::take(&mut self.isolated) {
            let request = NetworkConnectRequest {
                container: self.hosts[host].id().to_owned(),
                endpoint_config: None,
            };
            self.docker.connect_network(&self.network, request).await?;
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

/// A container's name, which is also what the others find it by.
fn in_network(network: &str, name: &str) -> String {
    format!("{network}-{name}")
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
