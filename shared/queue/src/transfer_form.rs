//! What is malformed in a command about dead letters, tasks and parcels, whatever the partition.

use std::collections::BTreeSet;

use shoal_types::limits::{
    GROUP_CHARS_MAX, MOVE_PARTS_MAX, MOVE_QUEUES_MAX, MOVED_PER_SECOND_MAX, PIECE_MESSAGES_MAX,
    TARGET_PARTS_MAX,
};
use shoal_types::{
    Command, DeadLetters, ErrorCode, GroupHash, GroupName, MoveTask, MoveTo, Parcel, PartitionId,
    Refusal, Target, TargetPart,
};

use crate::succession_form::{check_members, check_seal};

type Checked = Result<(), Refusal>;

fn check(ok: bool, detail: &'static str) -> Checked {
    if ok {
        Ok(())
    } else {
        Err(Refusal::not_applied(ErrorCode::InvalidRequest, detail))
    }
}

/// Whether it is well-formed.
pub(crate) fn check_transfer_form(command: &Command) -> Checked {
    match command {
        Command::SetDeadLetters {
            partition,
            dead_letters: Some(dead_letters),
            ..
        } => check_dead_letters(*partition, dead_letters),
        Command::StartMove {
            partition, task, ..
        } => check_task(*partition, task),
        Command::TakeParcel {
            partition,
            from,
            parcel,
        } => {
            check(from != partition, "from: the partition itself")?;
            check_parcel(parcel)
        }
        Command::RedirectParcel {
            partition, seal, ..
        } => {
            check_seal(seal)?;
            let mut successors = seal.successors.iter();
            check(
                successors.all(|one| one.partition != *partition),
                "seal.successors: the partition itself is among them",
            )
        }
        _ => Ok(()),
    }
}

fn check_dead_letters(partition: PartitionId, dead_letters: &DeadLetters) -> Checked {
    check(
        dead_letters.max_receives > 0,
        "dead_letters.max_receives: 0",
    )?;
    check(
        dead_letters.queue != dead_letters.to.queue,
        "dead_letters.to.queue: the queue itself",
    )?;
    check_target(partition, &dead_letters.to)
}

fn check_task(partition: PartitionId, task: &MoveTask) -> Checked {
    let per_second = task.per_second;
    check(
        per_second.is_none_or(|rate| (1..=MOVED_PER_SECOND_MAX).contains(&rate)),
        "task.per_second: not within 1 to 500",
    )?;
    if let MoveTo::Origins(targets) = &task.to {
        let queues: BTreeSet<_> = targets.iter().map(|target| target.queue).collect();
        check(
            (1..=MOVE_QUEUES_MAX).contains(&targets.len()) && queues.len() == targets.len(),
            "task.to: not 1 to 1000 queues, each once",
        )?;
    }
    let parts: usize = task.targets().map(|target| target.parts.len()).sum();
    check(
        parts <= MOVE_PARTS_MAX,
        "task.to: more than 2000 partitions in all",
    )?;
    let mut targets = task.targets();
    targets.try_for_each(|target| check_target(partition, target))
}

fn check_target(partition: PartitionId, target: &Target) -> Checked {
    check(
        (1..=TARGET_PARTS_MAX).contains(&target.parts.len()),
        "to.parts: not 1 to 132 partitions",
    )?;
    check(
        target.parts.iter().all(|part| part.partition != partition),
        "to.parts: the partition itself is among them",
    )?;
    for part in &target.parts {
        check_members(
            &part.members,
            "to.parts.members: not 1 to 5 hosts, each once",
            "to.parts.members.address: not name:port of at most 260 bytes",
        )?;
    }
    check(
        cover_all_groups(&target.parts),
        "to.parts.groups: some hash is nobody's, or more than one's",
    )
}

/// Whether each hash is exactly one's.
pub(crate) fn cover_all_groups(parts: &[TargetPart]) -> bool {
    let mut ranges: Vec<_> = parts.iter().map(|part| part.groups).collect();
    ranges.sort_by_key(|range| range.first);
    let ends = (
        ranges.first().map(|range| range.first),
        ranges.last().map(|range| range.last),
    );
    ends == (Some(GroupHash::MIN), Some(GroupHash::MAX))
        && ranges.iter().all(|range| range.first <= range.last)
        && ranges.is_sorted_by(|one, next| one.last.checked_add(1) == Some(next.first))
}

fn check_parcel(parcel: &Parcel) -> Checked {
    check(parcel.number > 0, "parcel.number: 0")?;
    check(
        parcel.messages.len() <= PIECE_MESSAGES_MAX,
        "parcel.messages: more than 1000",
    )?;
    let is_short = |group: &GroupName| group.len() <= 4 * GROUP_CHARS_MAX;
    let mut groups = parcel.messages.iter().filter_map(|one| one.group.as_ref());
    check(
        groups.all(is_short),
        "parcel.messages.group: longer than a group's name may be",
    )
}
