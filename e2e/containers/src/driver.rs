//! The stories' driver: what is told to a host is done to its container.

use anyhow::Result;
use shoal_harness::{Cluster, Fault};

use crate::node::Node;
use crate::packets;
use crate::system::Containers;

impl Cluster for Containers {
    fn endpoint(&self) -> String {
        let frontends: Vec<String> = (0..self.shape.frontends)
            .map(|number| self.frontend(number))
            .collect();
        frontends.join(",")
    }

    fn hosts(&self) -> usize {
        self.shape.clusters * self.shape.hosts
    }

    fn can(&self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Cut => self.cuts.clone(),
            other => Err(format!("{other:?} is for processes")),
        }
    }

    async fn kill(&mut self, host: usize) -> Result<()> {
        Self::kill(self, Node::Host(host)).await
    }

    async fn terminate(&mut self, host: usize) -> Result<()> {
        self.stop(Node::Host(host)).await
    }

    async fn restart(&mut self, host: usize) -> Result<()> {
        self.start_again(Node::Host(host)).await
    }

    async fn ready(&mut self, host: usize) -> Result<()> {
        Self::ready(self, Node::Host(host)).await
    }

    async fn replace(&mut self, host: usize) -> Result<()> {
        let (node, fleet) = (Node::Host(host), self.fleet());
        let address = node.advertised(|node| self.name_of(node));
        let lost = fleet.member_at(&address).await?;
        self.lose(node).await?;
        let newcomer = fleet.newcomer_at(&address).await?;
        let manager = self.manager().await?;
        fleet.replace(&manager, lost, newcomer).await?;
        Self::ready(self, node).await
    }

    async fn freeze(&mut self, host: usize) -> Result<()> {
        self.pause(Node::Host(host)).await
    }

    async fn thaw(&mut self, host: usize) -> Result<()> {
        self.unpause(Node::Host(host)).await
    }

    async fn cut(&mut self, from: usize, to: usize) -> Result<()> {
        let (from, to) = (Node::Host(from), Node::Host(to));
        let sender = self.address(from).await?;
        packets::drop_from(self.pid(to).await?, sender)?;
        self.deaf.push(to);
        Ok(())
    }

    async fn isolate(&mut self, host: usize) -> Result<()> {
        self.disconnect(Node::Host(host)).await
    }

    async fn heal(&mut self) -> Result<()> {
        self.connect_all().await?;
        for node in std::mem::take(&mut self.deaf) {
            packets::let_in(self.pid(node).await?)?;
        }
        Ok(())
    }

    async fn log(&mut self, host: usize) -> Result<String> {
        Ok(self.log_of(Node::Host(host)).await)
    }
}
