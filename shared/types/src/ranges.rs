//! Ranges of the numbers in a request to a host. What is within can be kept and counted on from: a host that
//! carried out an instruction of the last revision there is could never be given another one.

use crate::limits::{CLUSTER_ID_MAX, REVISION_MAX};
use crate::{
    ClusterId, ClusterSpec, Command, Epoch, ErrorCode, HostRequest, Refusal, Revision, Seal,
    Successor,
};

impl HostRequest {
    /// Checks the numbers that the manager gives: clusters, revisions, epochs.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field, what it is and what it may be. Nothing was applied.
    pub fn check_ranges(&self) -> Result<(), Refusal> {
        match self {
            Self::Execute { cluster, request } => {
                check_cluster("cluster", *cluster)?;
                check_command(&request.command)
            }
            Self::Query { cluster, .. } => check_cluster("cluster", *cluster),
            Self::Form { spec } | Self::ChangeMembers { spec } | Self::Learn { spec } => {
                check_spec(spec)
            }
            Self::Status => Ok(()),
        }
    }
}

fn check_spec(spec: &ClusterSpec) -> Result<(), Refusal> {
    check_cluster("spec.cluster", spec.cluster)?;
    check_revision("spec.revision", spec.revision)
}

fn check_command(command: &Command) -> Result<(), Refusal> {
    if let Some(revision) = command.revision() {
        check_revision("revision", revision)?;
    }
    match command {
        Command::CreatePartition { settings, .. }
        | Command::ConfigurePartition { settings, .. }
        | Command::CreateSuccessor { settings, .. } => {
            check_epoch("settings.epoch", settings.epoch)
        }
        Command::CreateHeir { settings, seal, .. } => {
            check_epoch("settings.epoch", settings.epoch)?;
            check_seal(seal)
        }
        Command::Succeed { seal, .. } => check_seal(seal),
        Command::Seal { successors, .. } => check_successors(successors),
        Command::Forward { heir, .. } => check_cluster("heir.cluster", heir.cluster),
        _ => Ok(()),
    }
}

fn check_seal(seal: &Seal) -> Result<(), Refusal> {
    check_epoch("seal.epoch", seal.epoch)?;
    check_revision("seal.revision", seal.revision)?;
    check_successors(&seal.successors)
}

fn check_successors(successors: &[Successor]) -> Result<(), Refusal> {
    successors.iter().try_for_each(|one| {
        check_epoch("successors.epoch", one.epoch)?;
        check_cluster("successors.cluster", one.cluster)
    })
}

fn check_cluster(field: &str, cluster: ClusterId) -> Result<(), Refusal> {
    within(field, cluster.0, 1, CLUSTER_ID_MAX)
}

fn check_revision(field: &str, revision: Revision) -> Result<(), Refusal> {
    within(field, revision.0, 0, REVISION_MAX)
}

fn check_epoch(field: &str, epoch: Epoch) -> Result<(), Refusal> {
    within(field, epoch.0.into(), 0, Epoch::MAX.0.into())
}

fn within(field: &str, value: u64, min: u64, max: u64) -> Result<(), Refusal> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let detail = format!("{field}: {value} is not within {min} to {max}");
    Err(Refusal::not_applied(ErrorCode::InvalidRequest, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Description, Heir, HeldGroups, Inherited, Origin, PartitionId, Query, QueueSettings,
        Request, RequestId, Seal, Successor, Ts,
    };

    fn execute(cluster: u64, command: Command) -> HostRequest {
        let request = Request {
            id: RequestId(1),
            deadline: Ts(1),
            origin: Origin::default(),
            command,
        };
        let cluster = ClusterId(cluster);
        HostRequest::Execute { cluster, request }
    }

    fn seal(epoch: u64, revision: u64) -> Box<Seal> {
        Box::new(Seal {
            partition: PartitionId(1),
            epoch: Epoch(u32::try_from(epoch).unwrap_or(u32::MAX)),
            successors: Vec::new(),
            keyed_sends: 0,
            held: HeldGroups::None,
            revision: Revision(revision),
            sealed_at: Ts(1),
        })
    }

    fn settings(epoch: u64) -> crate::PartitionSettings {
        let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
        QueueSettings::default().partition(Epoch(epoch))
    }

    fn created(epoch: u64, revision: u64) -> Command {
        Command::CreatePartition {
            partition: PartitionId(1),
            settings: settings(epoch),
            revision: Revision(revision),
        }
    }

    fn spec(cluster: u64, revision: u64) -> ClusterSpec {
        ClusterSpec {
            cluster: ClusterId(cluster),
            members: Vec::new(),
            revision: Revision(revision),
            only: None,
        }
    }

    fn heir(epoch: u64, of: Box<Seal>) -> Command {
        Command::CreateHeir {
            partition: PartitionId(2),
            settings: settings(epoch),
            revision: Revision(1),
            source: PartitionId(1),
            seal: of,
        }
    }

    /// A partition that was configured with the last revision there is took no instruction any more, and its
    /// hosts' heartbeats were about a revision that no manager gives.
    #[test]
    fn numbers_of_a_request_are_within_their_ranges_or_their_field_is_named() {
        type Make = fn(u64) -> HostRequest;
        let revision: [(&str, Make); 9] = [
            ("revision", |n| execute(1, created(0, n))),
            ("revision", |n| {
                let revision = Revision(n);
                let bytes = b"{}".as_slice().into();
                let description = Description { revision, bytes };
                let partition = PartitionId(1);
                execute(
                    1,
                    Command::Describe {
                        partition,
                        description,
                    },
                )
            }),
            ("revision", |n| {
                let (partition, revision) = (PartitionId(1), Revision(n));
                execute(
                    1,
                    Command::DeletePartition {
                        partition,
                        revision,
                    },
                )
            }),
            ("spec.revision", |n| HostRequest::Form { spec: spec(1, n) }),
            ("spec.revision", |n| HostRequest::Learn { spec: spec(1, n) }),
            ("spec.revision", |n| HostRequest::ChangeMembers {
                spec: spec(1, n),
            }),
            ("seal.revision", |n| execute(1, heir(0, seal(0, n)))),
            ("seal.revision", |n| {
                let (partition, seal) = (PartitionId(2), seal(0, n));
                let news = Inherited::Seal;
                execute(
                    1,
                    Command::Succeed {
                        partition,
                        seal,
                        news,
                    },
                )
            }),
            ("revision", |n| {
                let heir = Heir {
                    partition: PartitionId(2),
                    cluster: ClusterId(1),
                    members: Vec::new(),
                };
                let (partition, revision) = (PartitionId(1), Revision(n));
                execute(
                    1,
                    Command::Forward {
                        partition,
                        heir,
                        revision,
                    },
                )
            }),
        ];
        let cluster: [(&str, Make); 5] = [
            ("cluster", |n| execute(n, Command::Tick)),
            ("cluster", |n| HostRequest::Query {
                cluster: ClusterId(n),
                query: Query::Counts {
                    partition: PartitionId(1),
                },
            }),
            ("spec.cluster", |n| HostRequest::Form { spec: spec(n, 1) }),
            ("successors.cluster", |n| {
                let successors = vec![Successor {
                    partition: PartitionId(2),
                    epoch: Epoch(1),
                    cluster: ClusterId(n),
                    members: Vec::new(),
                    groups: crate::GroupRange::ALL,
                }];
                let (partition, revision) = (PartitionId(1), Revision(1));
                execute(
                    1,
                    Command::Seal {
                        partition,
                        successors,
                        revision,
                    },
                )
            }),
            ("heir.cluster", |n| {
                let heir = Heir {
                    partition: PartitionId(2),
                    cluster: ClusterId(n),
                    members: Vec::new(),
                };
                let (partition, revision) = (PartitionId(1), Revision(1));
                execute(
                    1,
                    Command::Forward {
                        partition,
                        heir,
                        revision,
                    },
                )
            }),
        ];
        let epoch: [(&str, Make); 3] = [
            ("settings.epoch", |n| execute(1, created(n, 1))),
            ("settings.epoch", |n| execute(1, heir(n, seal(0, 1)))),
            ("seal.epoch", |n| execute(1, heir(0, seal(n, 1)))),
        ];
        let all = [
            (&revision[..], 0, REVISION_MAX),
            (&cluster[..], 1, CLUSTER_ID_MAX),
            (&epoch[..], 0, Epoch::MAX.0.into()),
        ];
        for (fields, min, max) in all {
            for (field, make) in fields {
                for value in [0, 1, max - 1, max, max + 1, u64::MAX - 1, u64::MAX] {
                    let checked = make(value).check_ranges();
                    if (min..=max).contains(&value) {
                        assert_eq!(checked, Ok(()), "{field} {value}");
                    } else {
                        let refused = checked.unwrap_err();
                        assert_eq!(refused.applied, crate::Applied::No);
                        assert!(
                            refused.detail.starts_with(&format!("{field}: ")),
                            "{refused}"
                        );
                    }
                }
            }
        }
    }
}
