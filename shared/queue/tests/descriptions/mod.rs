//! Stories of what the manager notes down beside partitions, for one that lost its store.

use shoal_queue::Machine;
use shoal_types::limits::{DESCRIPTION_BYTES_MAX, PARTITIONS_TOLD_BYTES_MAX};
use shoal_types::{
    Command, Description, ErrorCode, Outcome, PartitionId, Revision, Standing, Successor,
};

use crate::desk::{Desk, QUEUE, plain_settings, seconds};

fn describe(partition: PartitionId, revision: u64, bytes: impl Into<Vec<u8>>) -> Command {
    Command::Describe {
        partition,
        description: Description {
            revision: Revision(revision),
            bytes: bytes.into().into(),
        },
    }
}

fn kept(machine: &Machine) -> Option<Vec<u8>> {
    let (partitions, _) = machine.kept(None, 1);
    let description = partitions[0].description.as_ref()?;
    Some(description.bytes.to_vec())
}

#[track_caller]
fn is_refused(outcome: Outcome, code: ErrorCode) {
    assert!(
        matches!(&outcome, Outcome::Refused(refusal) if refusal.code == code),
        "{outcome:?}"
    );
}

#[test]
fn the_newest_description_is_kept_whatever_comes_late() {
    let mut desk = Desk::new();
    assert_eq!(kept(desk.machine()), None);
    assert_eq!(desk.request(describe(QUEUE, 5, *b"new")), Outcome::Done);
    is_refused(desk.request(describe(QUEUE, 4, *b"old")), ErrorCode::Fenced);
    // Repeated, it says the same.
    assert_eq!(desk.request(describe(QUEUE, 5, *b"new")), Outcome::Done);
    assert_eq!(kept(desk.machine()).as_deref(), Some(&b"new"[..]));
    assert_eq!(desk.machine().instructed(), Revision(5));
}

#[test]
fn a_description_survives_a_restart_and_goes_with_its_partition() {
    let mut desk = Desk::new();
    desk.request(describe(QUEUE, 5, *b"name"));
    desk.restart();
    assert_eq!(kept(desk.machine()).as_deref(), Some(&b"name"[..]));
    let delete = |revision| Command::DeletePartition {
        partition: QUEUE,
        revision: Revision(revision),
    };
    // Of an older decision than the one that described it.
    is_refused(desk.request(delete(4)), ErrorCode::Fenced);
    desk.restart();
    assert_eq!(desk.request(delete(6)), Outcome::Done);
    desk.restart();
    assert_eq!(desk.machine().kept(None, 9), (vec![], false));
    assert_eq!(desk.machine().instructed(), Revision(6));
    desk.restart();
    assert_eq!(desk.machine().instructed(), Revision(6));
}

#[test]
fn a_description_that_is_too_long_or_of_nothing_is_refused() {
    let mut desk = Desk::new();
    let fits = vec![7; DESCRIPTION_BYTES_MAX];
    let too_long = [fits.clone(), vec![7]].concat();
    is_refused(
        desk.request(describe(QUEUE, 2, too_long)),
        ErrorCode::TooLarge,
    );
    assert_eq!(desk.request(describe(QUEUE, 2, fits)), Outcome::Done);
    let nobody = PartitionId(99);
    is_refused(
        desk.request(describe(nobody, 3, *b"x")),
        ErrorCode::StaleRoute,
    );
    assert_eq!(
        desk.machine().instructed(),
        Revision(2),
        "nothing else was applied"
    );
}

/// The manager must not take what it described for a partition that it instructed otherwise.
#[test]
fn a_description_moves_no_fence_of_other_instructions() {
    let mut desk = Desk::new();
    desk.request(describe(QUEUE, 9, *b"later"));
    let configure = Command::ConfigurePartition {
        partition: QUEUE,
        settings: plain_settings(),
        revision: Revision(5),
    };
    assert_eq!(desk.request(configure), Outcome::Done);
}

#[test]
fn pages_are_bounded_by_count_and_by_bytes_and_show_what_each_partition_takes() {
    let mut desk = Desk::new();
    desk.request(Command::RaiseVersion {
        to: shoal_types::MachineVersion(2),
    });
    let mut settings = plain_settings();
    settings.epoch.0 = 1;
    let create = |id| Command::CreateSuccessor {
        partition: PartitionId(id),
        settings,
        revision: Revision(2),
        succeeds: vec![QUEUE],
    };
    for id in 2..=12 {
        assert_eq!(desk.request(create(id)), Outcome::Done);
        let long = vec![0; DESCRIPTION_BYTES_MAX];
        desk.request(describe(PartitionId(id), 3, long));
    }
    let successor = Successor {
        partition: PartitionId(2),
        epoch: settings.epoch,
        cluster: shoal_types::ClusterId(1),
        members: vec![shoal_types::ClusterMember {
            host: shoal_types::HostId(1),
            address: "a:1".to_owned(),
        }],
        groups: shoal_types::GroupRange::ALL,
    };
    let sealed = desk.request(Command::Seal {
        partition: QUEUE,
        successors: vec![successor],
        revision: Revision(4),
    });
    assert!(matches!(sealed, Outcome::Sealed(_)), "{sealed:?}");
    desk.wait(seconds(1));

    let machine = desk.machine();
    let (two, more) = machine.kept(None, 2);
    assert_eq!((two.len(), more), (2, true));
    let successors = vec![PartitionId(2)];
    assert_eq!(two[0].standing, Standing::Sealed { successors });
    let waits_for = vec![QUEUE];
    assert_eq!(two[1].standing, Standing::Closed { waits_for });
    let (page, more) = machine.kept(Some(PartitionId(1)), 1_000);
    let full = PARTITIONS_TOLD_BYTES_MAX / DESCRIPTION_BYTES_MAX;
    assert_eq!((page.len(), more), (full, true));
    let last = page.last().unwrap().partition;
    let (rest, more) = machine.kept(Some(last), 1_000);
    assert_eq!((rest.len(), more), (11 - full, false));
}
