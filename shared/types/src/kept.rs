//! What a cluster keeps for a manager that lost its store: which partitions there are, and what the
//! manager noted down beside each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ClusterSpec, PartitionId, PartitionSettings, Revision};

/// What the manager noted down beside a partition. Clusters keep it as it is and do not look into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Of the instruction that brought it: of two the one with the higher revision is kept.
    pub revision: Revision,
    /// At most [`crate::limits::DESCRIPTION_BYTES_MAX`] bytes.
    pub bytes: Arc<[u8]>,
}

/// A partition, without its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPartition {
    /// Which.
    pub partition: PartitionId,
    /// What it is set to.
    pub settings: PartitionSettings,
    /// Fence: the highest revision of an instruction that it carried out.
    pub revision: Revision,
    /// `None` if the manager never described it.
    pub description: Option<Description>,
    /// What it takes.
    pub standing: Standing,
}

/// What a partition takes, and which others that has to do with.
///
/// The variants' order is the wire format: add at the end only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Sends and receives.
    Open,
    /// No sends yet.
    Closed {
        /// What it follows and has not all been told about, ascending.
        waits_for: Vec<PartitionId>,
    },
    /// No sends any more.
    Sealed {
        /// What follows it, as its seal names them.
        successors: Vec<PartitionId>,
    },
    /// No sends any more, and its messages go on to an heir.
    Forwarding {
        /// What follows it, as its seal names them.
        successors: Vec<PartitionId>,
        /// Who takes its messages over.
        heir: PartitionId,
    },
    /// Takes over the messages of a sealed one, and is sealed as that is.
    Heir {
        /// Whose messages.
        of: PartitionId,
        /// What follows both.
        successors: Vec<PartitionId>,
    },
}

/// Some of a cluster's partitions, by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionPage {
    /// Ascending.
    pub partitions: Vec<KeptPartition>,
    /// True if there are others after the last of them.
    pub more: bool,
    /// The cluster's members, as this host has them.
    pub cluster: ClusterSpec,
    /// The highest revision of all instructions that were carried out, also on partitions that are gone.
    pub instructed: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterId, Command, Epoch, Query};

    #[test]
    fn a_description_and_what_is_told_of_it_are_frozen_on_the_wire() {
        let bytes: Arc<[u8]> = Arc::from(*b"hi");
        let describe = Command::Describe {
            partition: PartitionId(1),
            description: Description {
                revision: Revision(9),
                bytes: bytes.clone(),
            },
        };
        let told = [1, 9, 2, b'h', b'i'];
        let encoded = postcard::to_allocvec(&describe).unwrap();
        assert_eq!(encoded, [&[17][..], &told].concat());
        assert_eq!(postcard::from_bytes::<Command>(&encoded), Ok(describe));
        let query = Query::Partitions {
            after: Some(PartitionId(300)),
            limit: 4,
        };
        assert_eq!(postcard::to_allocvec(&query).unwrap(), [3, 1, 0xac, 2, 4]);
        let page = PartitionPage {
            partitions: vec![KeptPartition {
                partition: PartitionId(1),
                settings: PartitionSettings {
                    epoch: Epoch(2),
                    fifo: false,
                    visibility: 3,
                    delay: 4,
                    retention: 5,
                    max_messages: 6,
                    max_bytes: 7,
                },
                revision: Revision(8),
                description: Some(Description {
                    revision: Revision(9),
                    bytes,
                }),
                standing: Standing::Sealed {
                    successors: vec![PartitionId(10)],
                },
            }],
            more: true,
            cluster: ClusterSpec {
                cluster: ClusterId(11),
                members: Vec::new(),
                revision: Revision(12),
                only: None,
            },
            instructed: Revision(13),
        };
        let kept = [
            1, 1, 2, 0, 3, 4, 5, 6, 7, 8, 1, 9, 2, b'h', b'i', 2, 1, 10, 1, 11, 0, 12, 0, 13,
        ];
        assert_eq!(postcard::to_allocvec(&page).unwrap(), kept);
        assert_eq!(postcard::from_bytes::<PartitionPage>(&kept), Ok(page));
    }
}
