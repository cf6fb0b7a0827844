//! One container: made, started, hurt, replaced by one from another image on the same volume.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use shoal_harness::limits;
use testcontainers::bollard::models::{
    ContainerCreateBody, ContainerState, HostConfig, NetworkingConfig, VolumeCreateRequest,
};
use testcontainers::bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions, StopContainerOptionsBuilder,
};

use crate::engine::LABEL;
use crate::image::Image;
use crate::network::Network;

/// What a process gets to end in good order before the engine kills it; a failure then.
const STOP_WITHIN_S: i32 = 20;
const NO_FORCE: Option<RemoveVolumeOptions> = None;
/// Lines of a log's end that are fetched; their last [`limits::LOG_TAIL_BYTES`] are shown.
const LOG_LINES: &str = "200";

/// A container on a test's network. Its name is what others find it by, and the name of its volume.
pub(crate) struct Container {
    pub(crate) name: String,
    command: Vec<String>,
    address: Option<Ipv4Addr>,
}

impl Container {
    /// Makes and starts it, with a volume of its own.
    pub(crate) async fn run(
        network: &Network,
        name: String,
        image: &Image,
        command: Vec<String>,
        address: Option<Ipv4Addr>,
    ) -> Result<Self> {
        let container = Self {
            name,
            command,
            address,
        };
        container.make_volume(network).await?;
        container.make(network, image).await?;
        container.start(network).await?;
        Ok(container)
    }

    pub(crate) async fn start(&self, network: &Network) -> Result<()> {
        let started = network.docker.start_container(&self.name, None).await;
        started.with_context(|| format!("{} does not start", self.name))
    }

    pub(crate) async fn kill(&self, network: &Network) -> Result<()> {
        Ok(network.docker.kill_container(&self.name, None).await?)
    }

    /// SIGTERM, and waits for the end, which must be a good one.
    pub(crate) async fn stop(&self, network: &Network) -> Result<()> {
        let options = StopContainerOptionsBuilder::new().t(STOP_WITHIN_S).build();
        let stopped = network.docker.stop_container(&self.name, Some(options));
        stopped.await?;
        let code = self.state(network).await?.exit_code;
        if code != Some(0) {
            let log = self.log(network).await;
            bail!("{} ended with {code:?}:\n{log}", self.name);
        }
        Ok(())
    }

    pub(crate) async fn pause(&self, network: &Network) -> Result<()> {
        Ok(network.docker.pause_container(&self.name).await?)
    }

    pub(crate) async fn unpause(&self, network: &Network) -> Result<()> {
        Ok(network.docker.unpause_container(&self.name).await?)
    }

    pub(crate) async fn disconnect(&self, network: &Network) -> Result<()> {
        network.disconnect(&self.name).await
    }

    pub(crate) async fn connect(&self, network: &Network) -> Result<()> {
        network.connect(&self.name, self.address).await
    }

    /// Another container takes its name and its volume; not started.
    pub(crate) async fn make_again(&self, network: &Network, image: &Image) -> Result<()> {
        self.remove(network).await?;
        self.make(network, image).await
    }

    /// It is gone, and its volume too; another one has its name, with an empty volume.
    pub(crate) async fn lose(&self, network: &Network, image: &Image) -> Result<()> {
        self.remove(network).await?;
        let removed = network.docker.remove_volume(&self.name, NO_FORCE);
        removed.await?;
        self.make_volume(network).await?;
        self.make(network, image).await?;
        self.start(network).await
    }

    /// Of its process, as this machine numbers it.
    pub(crate) async fn pid(&self, network: &Network) -> Result<i64> {
        let pid = self.state(network).await?.pid;
        pid.context("a container without a process")
    }

    /// Where it is on the network, as long as it runs.
    pub(crate) async fn address(&self, network: &Network) -> Result<IpAddr> {
        let found = network.docker.inspect_container(&self.name, None).await?;
        let networks = found.network_settings.and_then(|all| all.networks);
        let endpoint = networks.and_then(|mut all| all.remove(&network.name));
        let address = endpoint.and_then(|endpoint| endpoint.ip_address);
        let address = address.with_context(|| format!("{} is off the network", self.name))?;
        address
            .parse()
            .with_context(|| format!("{} has no address", self.name))
    }

    /// The end of what it wrote to standard error. Never an error: it is shown when something else failed.
    pub(crate) async fn log(&self, network: &Network) -> String {
        let options = LogsOptionsBuilder::new().stderr(true).tail(LOG_LINES);
        let mut lines = Box::pin(network.docker.logs(&self.name, Some(options.build())));
        let mut log = Vec::new();
        while let Some(line) = lines.next().await {
            match line {
                Ok(line) => log.extend_from_slice(&line.into_bytes()),
                Err(error) => log.extend(format!("no log: {error}\n").into_bytes()),
            }
        }
        let start = log.len().saturating_sub(limits::LOG_TAIL_BYTES);
        String::from_utf8_lossy(&log[start..]).into_owned()
    }

    async fn make_volume(&self, network: &Network) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(self.name.clone()),
            labels: Some(labels(network)),
            ..VolumeCreateRequest::default()
        };
        network.docker.create_volume(request).await?;
        Ok(())
    }

    async fn make(&self, network: &Network, image: &Image) -> Result<()> {
        let endpoint = network.endpoint(self.address);
        let body = ContainerCreateBody {
            image: Some(image.id().to_owned()),
            cmd: Some(self.command.clone()),
            labels: Some(labels(network)),
            host_config: Some(HostConfig {
                network_mode: Some(network.name.clone()),
                binds: Some(vec![format!("{}:/data", self.name)]),
                ..HostConfig::default()
            }),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(network.name.clone(), endpoint)])),
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&self.name);
        let made = network.docker.create_container(Some(options.build()), body);
        made.await
            .with_context(|| format!("{} cannot be made", self.name))?;
        Ok(())
    }

    async fn remove(&self, network: &Network) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = network.docker.remove_container(&self.name, Some(options));
        Ok(removed.await?)
    }

    async fn state(&self, network: &Network) -> Result<ContainerState> {
        let found = network.docker.inspect_container(&self.name, None).await?;
        found.state.context("a container without a state")
    }
}

fn labels(network: &Network) -> HashMap<String, String> {
    HashMap::from([(LABEL.to_owned(), network.name.clone())])
}
