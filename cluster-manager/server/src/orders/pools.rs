//! Orders may not mix pools: only hosts of one pool form a cluster or replace each other, whoever asks.

use std::collections::BTreeSet;

use shoal_api::Problem;
use shoal_types::HostId;

use super::{Orders, conflict};
use crate::records::{ClusterRecord, HostRecord};

impl Orders {
    /// Checks that all hosts are of the pool of the first.
    pub(super) fn check_one_pool(&self, hosts: &BTreeSet<HostId>) -> Result<(), Problem> {
        let known = hosts.iter().filter_map(|host| self.fleet.host(*host));
        let mut pools = known.map(|at| (at.record.host, at.record.pool));
        let Some((first, pool)) = pools.next() else {
            return Ok(());
        };
        match pools.find(|(_, other)| *other != pool) {
            None => Ok(()),
            Some((host, other)) => {
                let (pool, other) = (named(&pool), named(&other));
                let whose = format!("{host} is of {other} and {first} of {pool}");
                Err(mixed("hosts", &whose))
            }
        }
    }

    /// Checks that a newcomer is of the pool of those members that stay; of the only member's if none stays.
    pub(super) fn check_pool(
        &self,
        cluster: &ClusterRecord,
        newcomer: &HostRecord,
        goes: Option<HostId>,
    ) -> Result<(), Problem> {
        let those_that_stay = self.fleet.pool_of(cluster, goes);
        let pool = those_that_stay.or_else(|| self.fleet.pool_of(cluster, None));
        match pool.filter(|pool| *pool != newcomer.pool) {
            None => Ok(()),
            Some(pool) => {
                let (host, cluster) = (newcomer.host, cluster.cluster);
                let (pool, other) = (named(&pool), named(&newcomer.pool));
                let whose = format!("{host} is of {other} and {cluster} of {pool}");
                Err(mixed("add", &whose))
            }
        }
    }
}

/// A pool in a sentence.
fn named(pool: &str) -> String {
    match pool {
        "" => "the pool without a name".to_owned(),
        named => format!("pool {named:?}"),
    }
}

fn mixed(field: &str, whose: &str) -> Problem {
    let why = format!("{whose}: only hosts of one pool can be in a cluster together");
    conflict(field, why)
}
