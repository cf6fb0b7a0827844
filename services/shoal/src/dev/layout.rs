//! What `shoal dev` runs, where it listens and where its data lies.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

/// The port that users know; with it all others are the documented ones too.
const KNOWN_PORT: u16 = 9324;
const MANAGER_PORT: u16 = 9325;
const HOST_PORTS: u16 = 9400;
const ADMIN_PORTS: u16 = 9330;
/// Log segments are small here: six hosts on one disk need not reserve half a gigabyte.
pub(crate) const SEGMENT_BYTES: u32 = 4 << 20;
/// Hosts of a cluster and clusters that one machine can sensibly run.
const HOSTS_MAX: usize = 5;
const CLUSTERS_MAX: usize = 16;

/// How many of what; kept in the data folder, since a cluster's hosts cannot be left out later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) clusters: usize,
    pub(crate) hosts: usize,
}

impl Shape {
    const FILE: &str = "dev.toml";

    pub(crate) fn check(self) -> anyhow::Result<Self> {
        ensure!(
            (1..=CLUSTERS_MAX).contains(&self.clusters),
            "--clusters: {} is not within 1 to {CLUSTERS_MAX}",
            self.clusters
        );
        ensure!(
            (1..=HOSTS_MAX).contains(&self.hosts),
            "--hosts: {} is not within 1 to {HOSTS_MAX} hosts per cluster",
            self.hosts
        );
        Ok(self)
    }

    /// Remembers the shape in a new folder; in an old one it must be the same.
    pub(crate) fn settle(self, data: &Path) -> anyhow::Result<Self> {
        let file = data.join(Self::FILE);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let before: Self = toml::from_str(&text)
                    .with_context(|| format!("{} is damaged", file.display()))?;
                if before != self {
                    bail!(
                        "{} was made with --clusters {} --hosts {}; start it with these, or choose another --data",
                        data.display(),
                        before.clusters,
                        before.hosts
                    );
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                std::fs::write(&file, toml::to_string(&self)?)
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", file.display())),
        }
        Ok(self)
    }

    pub(crate) fn hosts_in_all(self) -> usize {
        self.clusters * self.hosts
    }
}

/// Every address and folder of one `dev`.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    pub(crate) manager: Place,
    pub(crate) frontend: Place,
    pub(crate) hosts: Vec<Place>,
}

/// Where one role lives.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `manager`, `frontend`, `h1`, `h2`, …
    pub(crate) name: String,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) data: PathBuf,
    /// Hosts of a cluster stand in different zones.
    pub(crate) zone: String,
}

impl Layout {
    /// Fixed ports beside the known one, otherwise ports that are free now.
    pub(crate) fn new(shape: Shape, listen: SocketAddr, data: &Path) -> anyhow::Result<Self> {
        let hosts = shape.hosts_in_all();
        let ports = if listen.port() == KNOWN_PORT {
            Ports::documented(listen.ip(), hosts)
        } else {
            Ports::free(listen, hosts)?
        };
        let place = |name: String, zone: String, listen, admin| Place {
            data: data.join(&name),
            name,
            listen,
            admin,
            zone,
        };
        let zone = |n: usize| format!("zone-{}", char::from(b'a' + (n % shape.hosts) as u8));
        Ok(Self {
            shape,
            manager: place(
                "manager".to_owned(),
                String::new(),
                ports.manager,
                ports.admin[1],
            ),
            frontend: place(
                "frontend".to_owned(),
                String::new(),
                ports.frontend,
                ports.admin[0],
            ),
            hosts: (0..hosts)
                .map(|n| {
                    place(
                        format!("h{}", n + 1),
                        zone(n),
                        ports.hosts[n],
                        ports.admin[n + 2],
                    )
                })
                .collect(),
        })
    }

    pub(crate) fn manager_url(&self) -> String {
        format!("http://{}", self.manager.listen)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.frontend.listen)
    }
}

struct Ports {
    frontend: SocketAddr,
    manager: SocketAddr,
    hosts: Vec<SocketAddr>,
    /// Frontend, manager, then the hosts.
    admin: Vec<SocketAddr>,
}

impl Ports {
    fn documented(ip: IpAddr, hosts: usize) -> Self {
        let at = |port: u16, n: usize| SocketAddr::new(ip, port + n as u16);
        Self {
            frontend: at(KNOWN_PORT, 0),
            manager: at(MANAGER_PORT, 0),
            hosts: (0..hosts).map(|n| at(HOST_PORTS, n)).collect(),
            admin: (0..hosts + 2).map(|n| at(ADMIN_PORTS, n)).collect(),
        }
    }

    /// All are held open until all are known, so that none is given out twice.
    fn free(listen: SocketAddr, hosts: usize) -> anyhow::Result<Self> {
        let mut held = Vec::new();
        let mut free = |at: SocketAddr| -> anyhow::Result<SocketAddr> {
            let listener =
                TcpListener::bind(at).with_context(|| format!("cannot listen on {at}"))?;
            let address = listener.local_addr()?;
            held.push(listener);
            Ok(address)
        };
        let any = SocketAddr::new(listen.ip(), 0);
        Ok(Self {
            frontend: free(listen)?,
            manager: free(any)?,
            hosts: (0..hosts).map(|_| free(any)).collect::<Result<_, _>>()?,
            admin: (0..hosts + 2)
                .map(|_| free(any))
                .collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        clusters: 2,
        hosts: 3,
    };

    #[test]
    fn the_known_port_brings_the_documented_ones() {
        let layout = Layout::new(SHAPE, ([127, 0, 0, 1], 9324).into(), Path::new("d"))
            .expect("no port is opened");
        assert_eq!(layout.manager_url(), "http://127.0.0.1:9325");
        assert_eq!(layout.hosts[5].listen.port(), 9405);
        assert_eq!(layout.hosts[0].admin.port(), 9332);
        assert_eq!(layout.hosts[5].data, Path::new("d/h6"));
    }

    #[test]
    fn hosts_of_a_cluster_can_stand_in_different_zones() {
        let layout = Layout::new(SHAPE, ([127, 0, 0, 1], 9324).into(), Path::new("d")).unwrap();
        let zones: Vec<&str> = layout.hosts.iter().map(|h| h.zone.as_str()).collect();
        assert_eq!(
            zones,
            ["zone-a", "zone-b", "zone-c", "zone-a", "zone-b", "zone-c"]
        );
    }

    #[test]
    fn another_port_brings_free_ones_each_once() {
        let layout = Layout::new(SHAPE, ([127, 0, 0, 1], 0).into(), Path::new("d")).unwrap();
        let mut ports: Vec<u16> = layout
            .hosts
            .iter()
            .flat_map(|h| [h.listen.port(), h.admin.port()])
            .collect();
        ports.extend([layout.manager.listen.port(), layout.frontend.listen.port()]);
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 14);
    }

    #[test]
    fn a_folder_keeps_its_shape() {
        let folder = tempfile::tempdir().unwrap();
        SHAPE.settle(folder.path()).unwrap();
        SHAPE.settle(folder.path()).unwrap();
        let error = Shape {
            clusters: 1,
            hosts: 3,
        }
        .settle(folder.path())
        .unwrap_err()
        .to_string();
        assert!(error.contains("--clusters 2 --hosts 3"), "{error}");
    }

    #[test]
    fn impossible_shapes_name_the_flag() {
        for (shape, flag) in [
            (
                Shape {
                    clusters: 0,
                    hosts: 3,
                },
                "--clusters",
            ),
            (
                Shape {
                    clusters: 2,
                    hosts: 6,
                },
                "--hosts",
            ),
        ] {
            assert!(shape.check().unwrap_err().to_string().starts_with(flag));
        }
    }
}
