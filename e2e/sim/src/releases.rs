//! Which release each host runs: on some seeds hosts begin with releases that support different machine
//! versions, and are upgraded one by one while clients load the cluster. Formats on disk and on the wire
//! follow. Some upgrades are given up half-way: the release before is put back.

use std::collections::BTreeMap;

use shoal_types::{HostId, MachineVersion, Micros};

use crate::limits::{MS, SECOND};
use crate::random::Random;

/// The newest version that any release of a run supports.
const VERSION_MAX: u64 = 5;
/// A release that is put back was away for so long at least.
const GIVEN_UP_AFTER_MIN: Micros = 5 * SECOND;
/// Upgrades of one host in a run, at most.
const UPGRADES_MAX: u64 = 3;

/// The releases of a run.
#[derive(Clone, Debug)]
pub struct ReleaseOptions {
    /// The newest machine version that a host supports when the run begins. If none is listed, all
    /// hosts run one release, which supports this version and those before it.
    pub first: BTreeMap<HostId, MachineVersion>,
    /// See there.
    pub of_all: MachineVersion,
    /// In order of time.
    pub upgrades: Vec<Upgrade>,
}

/// A host is stopped and started again with a later release, or with the one before that.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade {
    /// When, since the beginning.
    pub at: Micros,
    /// Whose.
    pub host: HostId,
    /// The newest machine version that it supports from then on.
    pub supports: MachineVersion,
}

/// The first version.
pub(crate) const FIRST: MachineVersion = MachineVersion(1);
/// From this one on partitions may follow others.
pub(crate) const SUCCESSION: MachineVersion = MachineVersion(2);
/// From this one on messages go to other queues.
pub(crate) const TRANSFERS: MachineVersion = MachineVersion(3);

impl Default for ReleaseOptions {
    fn default() -> Self {
        Self {
            first: BTreeMap::new(),
            of_all: FIRST,
            upgrades: Vec::new(),
        }
    }
}

impl ReleaseOptions {
    /// A release that all hosts run supports this version too.
    pub(crate) fn at_least(self, version: MachineVersion) -> Self {
        Self {
            of_all: self.of_all.max(version),
            ..self
        }
    }

    /// One seed in three has several releases.
    pub(crate) fn draw(random: &mut Random, hosts: &[HostId], load: Micros) -> Self {
        if !random.one_in(3) {
            return Self::default();
        }
        let first = hosts
            .iter()
            .map(|host| (*host, version(random.range(1..4))))
            .collect();
        let mut options = Self {
            first,
            ..Self::default()
        };
        for host in hosts {
            options.draw_upgrades(*host, random, load);
        }
        if random.one_in(2) {
            options.draw_given_up(random, hosts, load);
        }
        options.upgrades.sort_by_key(|upgrade| upgrade.at);
        options
    }

    /// Some hosts go over to a later release and are put back, all while one host holds newer rules back.
    fn draw_given_up(&mut self, random: &mut Random, hosts: &[HostId], load: Micros) {
        let holds_back = hosts[random.below(hosts.len() as u64) as usize];
        let first = self.first[&holds_back];
        let of_holder = self.upgrades.iter().filter(|u| u.host == holds_back);
        let until = of_holder.map(|u| u.at).min().unwrap_or(load);
        if until < 4 * GIVEN_UP_AFTER_MIN {
            return;
        }
        for host in hosts {
            let before = self.first[host];
            if *host == holds_back || before < first || random.one_in(2) {
                continue;
            }
            let supports = version(random.range(u64::from(before.0) + 1..VERSION_MAX + 1));
            let at = random.range(SECOND..until / 2);
            let back = random.range(at + GIVEN_UP_AFTER_MIN..until);
            self.upgrades.retain(|u| u.host != *host || u.at > back);
            for (at, supports) in [(at, supports), (back, before)] {
                self.upgrades.push(Upgrade {
                    at,
                    host: *host,
                    supports,
                });
            }
        }
    }

    fn draw_upgrades(&mut self, host: HostId, random: &mut Random, load: Micros) {
        let mut supports = u64::from(self.first[&host].0);
        let mut at = 0;
        for _ in 0..random.below(UPGRADES_MAX + 1) {
            if supports == VERSION_MAX {
                break;
            }
            supports = random.range(supports + 1..VERSION_MAX + 1);
            at += random.range(SECOND..load.max(SECOND + MS));
            self.upgrades.push(Upgrade {
                at,
                host,
                supports: version(supports),
            });
        }
    }

    /// The newest version that a host supports when the run begins. A host that joins later runs the
    /// newest release of all.
    pub(crate) fn first_of(&self, host: HostId) -> MachineVersion {
        let unlisted = if self.first.is_empty() {
            self.of_all
        } else {
            version(VERSION_MAX)
        };
        self.first.get(&host).copied().unwrap_or(unlisted)
    }
}

fn version(number: u64) -> MachineVersion {
    MachineVersion(u16::try_from(number).expect("a handful of versions"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_put_back_only_while_another_host_holds_newer_rules_back() {
        let hosts: Vec<HostId> = (1..=4).map(HostId).collect();
        let (mut several, mut put_back) = (0, 0);
        for seed in 0..200 {
            let options = ReleaseOptions::draw(&mut Random::new(seed), &hosts, 60 * SECOND);
            several += u64::from(!options.first.is_empty());
            let mut supports = options.first.clone();
            for upgrade in &options.upgrades {
                let before = supports.insert(upgrade.host, upgrade.supports);
                if before > Some(upgrade.supports) {
                    put_back += 1;
                    let mut others = supports.iter().filter(|(host, _)| **host != upgrade.host);
                    let held = others.any(|(_, newest)| *newest <= upgrade.supports);
                    assert!(held, "{options:?}");
                    assert_eq!(upgrade.supports, options.first[&upgrade.host]);
                }
            }
        }
        assert!((30..120).contains(&several), "{several} of 200 seeds");
        assert!(put_back > 10, "{put_back} in 200 seeds");
    }
}
