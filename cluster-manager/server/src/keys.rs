//! The key space of the metadata store. These forms are on disk: they do not change.
//!
//! | key | value | lives |
//! |---|---|---|
//! | `clusters/{id, 16 hex}` | [`crate::records::ClusterRecord`] | from the decision to form it |
//! | `counters/{name}` | [`crate::records::Counter`] | from the first id that was given |
//! | `dead_letters/{queue id, 16 hex}` | [`crate::records::DeadLettersRecord`] | from the first decision that its messages die until the queue is deleted |
//! | `deleted/{queue name}` | [`crate::records::DeletedRecord`] | from a deletion until the name is used again |
//! | `events/{number, 16 hex}` | [`crate::records::EventRecord`] | the newest [`crate::limits::EVENTS_KEPT_MAX`] |
//! | `hosts/{id, 16 hex}` | [`crate::records::HostRecord`] | from the first heartbeat |
//! | `moves/{partition id, 16 hex}` | [`crate::records::MoveRecord`] | from the decision until nothing of it is left |
//! | `lacking` | [`crate::records::LackingRecord`] | from when the store is noticed to lack what hosts know until it is rebuilt |
//! | `opened` | [`crate::records::OpenedRecord`] | from the first start of a manager on it |
//! | `rebuilding` | [`crate::records::RebuildingRecord`] | while the store is being rebuilt from what hosts report |
//! | `redrives/{queue id, 16 hex}` | [`crate::records::RedrivesRecord`] | from the first task that moves its messages until the queue is deleted |
//! | `queues/{queue name}` | [`crate::records::QueueRecord`] | from the decision to create it until it is deleted at its cluster |

use shoal_types::{ClusterId, HostId, PartitionId, QueueId, QueueName};

pub(crate) const CLUSTERS: &str = "clusters/";
pub(crate) const DEAD_LETTERS: &str = "dead_letters/";
pub(crate) const DELETED: &str = "deleted/";
pub(crate) const EVENTS: &str = "events/";
pub(crate) const HOSTS: &str = "hosts/";
pub(crate) const MOVES: &str = "moves/";
pub(crate) const QUEUES: &str = "queues/";
pub(crate) const REDRIVES: &str = "redrives/";

/// There while the store is known to lack what hosts know.
pub(crate) const LACKING: &str = "lacking";
/// When a manager went on from the store last.
pub(crate) const OPENED: &str = "opened";
/// There while the store is being rebuilt: without what the hosts know it is not to be used.
pub(crate) const REBUILDING: &str = "rebuilding";
/// The last cluster id that was given.
pub(crate) const CLUSTER_IDS: &str = "counters/clusters";
/// The last queue id that was reserved.
pub(crate) const QUEUE_IDS: &str = "counters/queues";
/// The last partition id that was reserved.
pub(crate) const PARTITION_IDS: &str = "counters/partitions";

pub(crate) fn host(host: HostId) -> String {
    format!("{HOSTS}{:016x}", host.0)
}

pub(crate) fn cluster(cluster: ClusterId) -> String {
    format!("{CLUSTERS}{:016x}", cluster.0)
}

pub(crate) fn moving(first: PartitionId) -> String {
    format!("{MOVES}{:016x}", first.0)
}

pub(crate) fn queue(name: &QueueName) -> String {
    format!("{QUEUES}{name}")
}

pub(crate) fn dead_letters(queue: QueueId) -> String {
    format!("{DEAD_LETTERS}{:016x}", queue.0)
}

pub(crate) fn redrives(queue: QueueId) -> String {
    format!("{REDRIVES}{:016x}", queue.0)
}

pub(crate) fn event(number: u64) -> String {
    format!("{EVENTS}{number:016x}")
}

pub(crate) fn deleted(name: &QueueName) -> String {
    format!("{DELETED}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_they_are_on_disk() {
        let name: QueueName = "orders.fifo".parse().unwrap();
        assert_eq!(host(HostId(0xab)), "hosts/00000000000000ab");
        assert_eq!(cluster(ClusterId(u64::MAX)), "clusters/ffffffffffffffff");
        assert_eq!(queue(&name), "queues/orders.fifo");
        assert_eq!(deleted(&name), "deleted/orders.fifo");
        assert_eq!(moving(PartitionId(0xf)), "moves/000000000000000f");
        assert_eq!(dead_letters(QueueId(0xf)), "dead_letters/000000000000000f");
        assert_eq!(redrives(QueueId(0xf)), "redrives/000000000000000f");
        assert_eq!(event(0xe1), "events/00000000000000e1");
        assert_eq!(
            [LACKING, OPENED, REBUILDING],
            ["lacking", "opened", "rebuilding"]
        );
        assert_eq!(
            [CLUSTER_IDS, QUEUE_IDS, PARTITION_IDS],
            [
                "counters/clusters",
                "counters/queues",
                "counters/partitions"
            ]
        );
    }
}
