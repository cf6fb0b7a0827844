//! Who of several hosts does what any of them could do: all of them come to the same, without asking.

use shoal_types::{HostId, Micros, PartitionId};

use super::Core;
use crate::limits::TELLER_TURN;

impl Core {
    /// Whether it is this host's turn, among those of the view, to look after a partition.
    pub(super) fn looks_after(&self, partition: PartitionId) -> bool {
        let (turn, _) = self.turn();
        let active = &self.engine.view().active;
        chosen(partition, turn, active) == Some(self.origin.host)
    }

    /// Which turn it is, and how long it lasts yet.
    pub(super) fn turn(&self) -> (u64, Micros) {
        let clock = self.clock().0;
        (clock / TELLER_TURN, TELLER_TURN - clock % TELLER_TURN)
    }
}

/// The host that looks after a partition for now: the one with the largest weight for it. When a host goes
/// only what it looked after passes to others. `turn` grows as time goes, and with each turn another draw is
/// made: so nothing stays for long with a host that cannot do it, for whatever reason. `None` without hosts.
fn chosen(partition: PartitionId, turn: u64, hosts: &[HostId]) -> Option<HostId> {
    let drawn = mixed(partition.0 ^ mixed(turn));
    let weight = |host: &&HostId| (mixed(drawn ^ mixed(host.0)), **host);
    hosts.iter().max_by_key(weight).copied()
}

/// The finalizer of SplitMix64: every bit of the result depends on all of the number's.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [HostId; 3] = [HostId(1), HostId(2), HostId(3)];

    #[test]
    fn each_host_looks_after_about_as_many_and_a_loss_moves_no_others() {
        let mut counts = [0; 3];
        for partition in (0..3_000).map(PartitionId) {
            let host = chosen(partition, 7, &HOSTS).expect("there are hosts");
            counts[host.0 as usize - 1] += 1;
            let without_third = chosen(partition, 7, &HOSTS[..2]).expect("there are hosts");
            assert!(host == without_third || host == HostId(3));
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn each_host_has_its_turn_with_each_partition() {
        for partition in (0..100).map(PartitionId) {
            let turns = (0..30).filter_map(|turn| chosen(partition, turn, &HOSTS));
            let mut had: Vec<HostId> = turns.collect();
            had.sort_unstable();
            had.dedup();
            assert_eq!(had, HOSTS, "{partition}");
        }
    }

    #[test]
    fn the_order_of_the_hosts_does_not_matter_and_nobody_is_chosen_of_none() {
        let backwards = [HostId(3), HostId(2), HostId(1)];
        for partition in (0..100).map(PartitionId) {
            assert_eq!(
                chosen(partition, 1, &HOSTS),
                chosen(partition, 1, &backwards)
            );
        }
        assert_eq!(chosen(PartitionId(1), 0, &[]), None);
    }
}
