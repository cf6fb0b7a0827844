//! One container of a system: its name, its ports, its command line.

use std::fmt;

/// A container, by what runs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// The manager.
    Manager,
    /// A frontend, from 0.
    Frontend(usize),
    /// A host, from 0, counted through all clusters: with three hosts each the second cluster has 3, 4 and 5.
    /// The hosts of a cluster are a pool, so that no other ones form it.
    Host(usize),
}

pub(crate) const MANAGER_PORT: u16 = 9325;
pub(crate) const FRONTEND_PORT: u16 = 9324;
const HOST_PORT: u16 = 9400;

impl Node {
    /// Health, readiness and metrics.
    pub(crate) fn admin_port(self) -> u16 {
        match self {
            Self::Frontend(_) => 9330,
            Self::Manager => 9331,
            Self::Host(_) => 9332,
        }
    }

    /// Clients find frontends by their addresses, which must outlast a restart. All others find one another
    /// by name, as under any orchestrator.
    pub(crate) fn fixed_address(self) -> Option<usize> {
        match self {
            Self::Frontend(number) => Some(number),
            Self::Manager | Self::Host(_) => None,
        }
    }

    /// `shoal`'s words for it. `name_of` says by which name a container is found, `hosts` how many are in a
    /// cluster.
    pub(crate) fn command(self, hosts: usize, name_of: impl Fn(Self) -> String) -> Vec<String> {
        let manager = format!("http://{}:{MANAGER_PORT}", name_of(Self::Manager));
        let admin = self.admin_port();
        let line = match self {
            Self::Manager => {
                format!("manager --listen 0.0.0.0:{MANAGER_PORT} --cluster-size {hosts}")
            }
            Self::Frontend(_) => {
                format!("frontend --listen 0.0.0.0:{FRONTEND_PORT} --manager {manager}")
            }
            Self::Host(number) => format!(
                "host --listen 0.0.0.0:{HOST_PORT} --advertise {} --manager {manager} --pool p{} \
                 --zone z{} --segment-bytes 1048576",
                self.advertised(name_of),
                number / hosts,
                number % hosts,
            ),
        };
        let line = format!("{line} --admin 0.0.0.0:{admin}");
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// What others dial, of a host.
    pub(crate) fn advertised(self, name_of: impl Fn(Self) -> String) -> String {
        format!("{}:{HOST_PORT}", name_of(self))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manager => f.write_str("manager"),
            Self::Frontend(number) => write!(f, "f{number}"),
            Self::Host(number) => write!(f, "h{number}"),
        }
    }
}
