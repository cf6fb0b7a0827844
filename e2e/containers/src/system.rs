//! The system: its containers, and what can be done to each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use shoal_harness::{Bench, Cluster as _, limits, wait};
use testcontainers::core::client::docker_client_instance;

use crate::container::Container;
use crate::engine::Sweep;
use crate::image::Image;
use crate::network::Network;
use crate::node::{FRONTEND_PORT, MANAGER_PORT, Node};
use crate::packets;

/// How many containers of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Frontends.
    pub frontends: usize,
    /// Clusters.
    pub clusters: usize,
    /// Hosts of each cluster.
    pub hosts: usize,
}

impl Default for Shape {
    /// One cluster of three behind one frontend.
    fn default() -> Self {
        Self {
            frontends: 1,
            clusters: 1,
            hosts: 3,
        }
    }
}

impl Shape {
    /// Everything that is started, in the order of starting.
    fn nodes(self) -> impl Iterator<Item = Node> {
        let frontends = (0..self.frontends).map(Node::Frontend);
        let hosts = (0..self.clusters * self.hosts).map(Node::Host);
        [Node::Manager].into_iter().chain(frontends).chain(hosts)
    }
}

/// A manager, frontends and clusters of hosts, each in a container with a volume. All of it, the network
/// included, is removed when this is dropped; images stay.
pub struct Containers {
    pub(crate) shape: Shape,
    pub(crate) network: Network,
    containers: BTreeMap<Node, Container>,
    /// What new containers are made from; each may be of another one since an [`Containers::upgrade`].
    image: Image,
    /// Off the network.
    pub(crate) isolated: Vec<Node>,
    /// Hosts that somebody's packets do not reach.
    pub(crate) deaf: Vec<Node>,
    /// Why links cannot be cut in one direction on this machine, if they cannot.
    pub(crate) cuts: Result<(), String>,
    // The last to be dropped.
    _sweep: Sweep,
}

impl Containers {
    /// Builds the image of the binary under test, starts everything from it and waits until all clusters
    /// serve.
    ///
    /// # Errors
    /// If anything of that fails.
    pub async fn start(bench: &Bench, shape: Shape) -> Result<Self> {
        Self::start_from(&Image::under_test(bench)?, shape).await
    }

    /// The same, from any image.
    ///
    /// # Errors
    /// As [`Containers::start`].
    pub async fn start_from(image: &Image, shape: Shape) -> Result<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        // Names are seen by everybody who uses this engine.
        let started = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("shoal-e2e-{}-{started}", std::process::id());
        let sweep = Sweep { name: name.clone() };
        let network = Network::create(docker_client_instance().await?, &name).await?;
        let mut system = Self {
            shape,
            network,
            containers: BTreeMap::new(),
            image: image.clone(),
            isolated: Vec::new(),
            deaf: Vec::new(),
            cuts: Ok(()),
            _sweep: sweep,
        };
        for node in shape.nodes() {
            system.run(node).await?;
        }
        let pid = system.container(Node::Host(0)).pid(&system.network).await?;
        system.cuts = packets::available(pid);
        system.serving().await?;
        Ok(system)
    }

    async fn run(&mut self, node: Node) -> Result<()> {
        let command = node.command(self.shape.hosts, |node| self.name_of(node));
        let address = node.fixed_address().map(|n| self.network.fixed_address(n));
        let name = self.name_of(node);
        let container = Container::run(&self.network, name, &self.image, command, address);
        self.containers.insert(node, container.await?);
        Ok(())
    }

    /// Waits until all hosts act, each in its cluster's one view.
    async fn serving(&self) -> Result<()> {
        let all = self.shape.clusters * self.shape.hosts;
        if let Err(error) = self.fleet().serving(all).await {
            return Err(error.context(self.logs().await));
        }
        for node in self.nodes() {
            self.ready(node).await?;
        }
        Ok(())
    }

    /// All containers: the manager, frontends, hosts.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.shape.nodes().collect()
    }

    /// A frontend's `http://…`, the same after it was started again.
    #[must_use]
    pub fn frontend(&self, number: usize) -> String {
        let address = self.network.fixed_address(number);
        format!("http://{address}:{FRONTEND_PORT}")
    }

    /// The manager's `http://…`, until it is started again.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn manager(&self) -> Result<String> {
        let address = self.address(Node::Manager).await?;
        Ok(format!("http://{address}:{MANAGER_PORT}"))
    }

    /// Where a node's health, readiness and metrics are, until it is started again.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn admin(&self, node: Node) -> Result<String> {
        let address = self.address(node).await?;
        Ok(format!("http://{address}:{}", node.admin_port()))
    }

    /// `SIGKILL`; waits for nothing.
    ///
    /// # Errors
    /// If it does not run, or the engine does not do it. So do all that follow.
    pub async fn kill(&mut self, node: Node) -> Result<()> {
        self.container(node).kill(&self.network).await
    }

    /// What `docker stop` does: `SIGTERM`, and waits for the end, which must be in good order.
    ///
    /// # Errors
    /// If it ends in any other way.
    pub async fn stop(&mut self, node: Node) -> Result<()> {
        self.container(node).stop(&self.network).await
    }

    /// Starts one that ended, on its volume; waits for nothing.
    ///
    /// # Errors
    /// If the engine does not.
    pub async fn start_again(&mut self, node: Node) -> Result<()> {
        self.container(node).start(&self.network).await
    }

    /// Stops one as [`Containers::stop`] does and starts it from another image, on its volume; waits for
    /// nothing. Earlier or later makes no difference: an upgrade is undone in the same way.
    ///
    /// # Errors
    /// If it does not end in good order, or the other one is not started.
    pub async fn upgrade(&mut self, node: Node, image: &Image) -> Result<()> {
        let container = self.container(node);
        container.stop(&self.network).await?;
        container.make_again(&self.network, image).await?;
        container.start(&self.network).await
    }

    /// A container is lost with its volume; one with an empty volume has its name.
    ///
    /// # Errors
    /// If the engine does not do it.
    pub(crate) async fn lose(&mut self, node: Node) -> Result<()> {
        self.container(node).lose(&self.network, &self.image).await
    }

    /// All its processes stand still, its connections stay open.
    ///
    /// # Errors
    /// If the engine does not do it.
    pub async fn pause(&mut self, node: Node) -> Result<()> {
        self.container(node).pause(&self.network).await
    }

    /// It goes on.
    ///
    /// # Errors
    /// If the engine does not do it.
    pub async fn unpause(&mut self, node: Node) -> Result<()> {
        self.container(node).unpause(&self.network).await
    }

    /// Takes one off the network, until [`shoal_harness::Cluster::heal`].
    ///
    /// # Errors
    /// If the engine does not do it.
    pub async fn disconnect(&mut self, node: Node) -> Result<()> {
        self.container(node).disconnect(&self.network).await?;
        self.isolated.push(node);
        Ok(())
    }

    /// All that are off the network are on it again.
    pub(crate) async fn connect_all(&mut self) -> Result<()> {
        for node in std::mem::take(&mut self.isolated) {
            self.container(node).connect(&self.network).await?;
        }
        Ok(())
    }

    /// Waits until one is ready: a host acts in its cluster's view, a frontend knows all queues.
    ///
    /// # Errors
    /// If it is not within [`limits::BACK`], with the ends of all logs.
    pub async fn ready(&self, node: Node) -> Result<()> {
        let what = format!("{node} to be ready");
        let ready = wait::until(&what, limits::BACK, async || {
            let answer = reqwest::get(format!("{}/readyz", self.admin(node).await?)).await?;
            let status = answer.status();
            ensure!(status.is_success(), "{status}: {}", answer.text().await?);
            Ok(())
        });
        match ready.await {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.logs().await)),
        }
    }

    /// The end of what one has logged.
    pub async fn log_of(&self, node: Node) -> String {
        self.container(node).log(&self.network).await
    }

    pub(crate) async fn logs(&self) -> String {
        let mut text = String::new();
        for (node, container) in &self.containers {
            let log = container.log(&self.network).await;
            text += &format!("--- end of {node}\n{log}");
        }
        text
    }

    pub(crate) async fn address(&self, node: Node) -> Result<IpAddr> {
        self.container(node).address(&self.network).await
    }

    pub(crate) async fn pid(&self, node: Node) -> Result<i64> {
        self.container(node).pid(&self.network).await
    }

    /// A container's name, which is also what the others find it by.
    pub(crate) fn name_of(&self, node: Node) -> String {
        format!("{}-{node}", self.network.name)
    }

    fn container(&self, node: Node) -> &Container {
        let found = self.containers.get(&node);
        found.unwrap_or_else(|| panic!("there is no {node} in {:?}", self.shape))
    }
}
