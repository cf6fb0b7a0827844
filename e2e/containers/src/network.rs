//! The private network of one test.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail};
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest,
    NetworkCreateRequest, NetworkDisconnectRequest,
};

use crate::engine::LABEL;

/// Somebody else may take a range of addresses between two questions; not so often.
const ATTEMPTS_MAX: usize = 5;
/// The largest prefix of a network that is cut in two: 14 addresses on each side are enough.
const PREFIX_MAX: u32 = 27;

/// A network in two halves: the engine gives out addresses of the lower one, those of the upper one are ours.
pub(crate) struct Network {
    pub(crate) docker: Docker,
    pub(crate) name: String,
    upper: Ipv4Addr,
}

impl Network {
    /// Makes it, in a range that the engine chooses.
    pub(crate) async fn create(docker: Docker, name: &str) -> Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS_MAX {
            // Addresses can be chosen only in a range that was asked for, so it is asked for the one that it
            // would have taken.
            create(&docker, name, None).await?;
            let range = Range::of(&docker, name).await;
            docker.remove_network(name).await?;
            let range = range?;
            match create(&docker, name, Some(range)).await {
                Ok(()) => {
                    let (name, upper) = (name.to_owned(), range.upper());
                    return Ok(Self {
                        docker,
                        name,
                        upper,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("nothing was tried")?)
    }

    /// One of ours, from 0.
    pub(crate) fn fixed_address(&self, number: usize) -> Ipv4Addr {
        let number = u32::try_from(number).expect("there are few containers");
        // The first one may be somebody's name for the half as a whole.
        Ipv4Addr::from_bits(self.upper.to_bits() + 1 + number)
    }

    /// How a container takes part.
    pub(crate) fn endpoint(&self, address: Option<Ipv4Addr>) -> EndpointSettings {
        EndpointSettings {
            ipam_config: address.map(|address| EndpointIpamConfig {
                ipv4_address: Some(address.to_string()),
                ..EndpointIpamConfig::default()
            }),
            ..EndpointSettings::default()
        }
    }

    pub(crate) async fn connect(&self, container: &str, address: Option<Ipv4Addr>) -> Result<()> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(self.endpoint(address)),
        };
        Ok(self.docker.connect_network(&self.name, request).await?)
    }

    pub(crate) async fn disconnect(&self, container: &str) -> Result<()> {
        let request = NetworkDisconnectRequest {
            container: container.to_owned(),
            force: None,
        };
        Ok(self.docker.disconnect_network(&self.name, request).await?)
    }
}

async fn create(docker: &Docker, name: &str, range: Option<Range>) -> Result<()> {
    let ipam = range.map(|range| Ipam {
        config: Some(vec![IpamConfig {
            subnet: Some(range.to_string()),
            ip_range: Some(range.lower().to_string()),
            ..IpamConfig::default()
        }]),
        ..Ipam::default()
    });
    let request = NetworkCreateRequest {
        name: name.to_owned(),
        labels: Some(HashMap::from([(LABEL.to_owned(), name.to_owned())])),
        ipam,
        ..NetworkCreateRequest::default()
    };
    docker.create_network(request).await?;
    Ok(())
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: Ipv4Addr,
    prefix: u32,
}

impl Range {
    async fn of(docker: &Docker, network: &str) -> Result<Self> {
        let found = docker.inspect_network(network, None).await?;
        let configs = found.ipam.and_then(|ipam| ipam.config);
        let subnet = configs.into_iter().flatten().find_map(|one| one.subnet);
        Self::read(&subnet.context("a network without addresses")?)
    }

    fn read(text: &str) -> Result<Self> {
        let (first, prefix) = text.split_once('/').context("no prefix")?;
        let range = Self {
            first: first.parse().context(text.to_owned())?,
            prefix: prefix.parse().context(text.to_owned())?,
        };
        if range.prefix > PREFIX_MAX {
            bail!("{text} has too few addresses");
        }
        Ok(range)
    }

    fn lower(self) -> Self {
        Self {
            prefix: self.prefix + 1,
            ..self
        }
    }

    /// Where the other half begins.
    fn upper(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits() + (1 << (31 - self.prefix)))
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_in_two_halves() {
        for (whole, lower, upper) in [
            ("172.18.0.0/16", "172.18.0.0/17", "172.18.128.0"),
            ("192.168.16.0/20", "192.168.16.0/21", "192.168.24.0"),
            ("10.0.0.32/27", "10.0.0.32/28", "10.0.0.48"),
        ] {
            let range = Range::read(whole).unwrap();
            assert_eq!(range.lower().to_string(), lower);
            assert_eq!(range.upper().to_string(), upper);
        }
        assert!(Range::read("10.0.0.0/28").is_err());
        assert!(Range::read("10.0.0.0").is_err());
    }
}
