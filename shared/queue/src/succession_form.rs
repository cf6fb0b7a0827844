//! What is wrong with a command about how partitions follow one another, whatever the state.

use std::collections::BTreeSet;

use shoal_types::limits::{
    CLUSTER_HOSTS, DEDUPLICATION_IDS_MAX, GROUP_CHARS_MAX, HELD_GROUPS_MAX, KEYED_SENDS_TOLD_MAX,
    PIECE_MESSAGES_MAX, SUCCESSORS_MAX,
};
use shoal_types::{
    ClusterMember, Command, ErrorCode, GroupHash, GroupName, HeldGroups, Inherited, PartitionId,
    Piece, Refusal, Rest, Seal, Successor, is_address,
};

type Checked = Result<(), Refusal>;

fn check(is_right: bool, detail: &'static str) -> Checked {
    if is_right {
        return Ok(());
    }
    Err(Refusal::not_applied(ErrorCode::InvalidRequest, detail))
}

/// Whether such a command is well-formed; others are not looked at.
pub(crate) fn check_succession_form(command: &Command) -> Checked {
    match command {
        Command::CreateSuccessor {
            partition,
            succeeds,
            ..
        } => {
            check(
                is_each_once(succeeds.iter()),
                "succeeds: not 1 to 33 partitions, each once",
            )?;
            check(
                !succeeds.contains(partition),
                "succeeds: the partition itself is among them",
            )
        }
        Command::Seal {
            partition,
            successors,
            ..
        } => check_successors(*partition, successors),
        Command::Succeed { seal, news, .. } => {
            check_seal(seal)?;
            check_news(news)
        }
        Command::TakePiece { piece, .. } => check_piece(piece),
        Command::ToldDrained { successors, .. } => check(
            is_each_once(successors.iter()),
            "successors: not 1 to 33 partitions, each once",
        ),
        Command::CreateHeir {
            partition,
            settings,
            source,
            seal,
            ..
        } => {
            check_seal(seal)?;
            check(source != partition, "source: the heir itself")?;
            let mut successors = seal.successors.iter();
            check(
                seal.partition != *partition && successors.all(|one| one.partition != *partition),
                "seal: of the heir itself, or it is among the successors",
            )?;
            check(
                seal.epoch == settings.epoch,
                "settings.epoch: another one than the seal's",
            )
        }
        Command::Forward { heir, .. } => check_members(
            &heir.members,
            "heir.members: not 1 to 5 hosts, each once",
            "heir.members.address: not name:port of at most 260 bytes",
        ),
        _ => Ok(()),
    }
}

fn is_each_once<'a>(ids: impl ExactSizeIterator<Item = &'a PartitionId>) -> bool {
    let count = ids.len();
    (1..=SUCCESSORS_MAX).contains(&count) && ids.collect::<BTreeSet<_>>().len() == count
}

fn check_successors(partition: PartitionId, successors: &[Successor]) -> Checked {
    check(
        is_each_once(successors.iter().map(|successor| &successor.partition)),
        "successors: not 1 to 33 partitions, each once",
    )?;
    check(
        successors.iter().all(|one| one.partition != partition),
        "successors: the sealed partition itself is among them",
    )?;
    for successor in successors {
        check_members(
            &successor.members,
            "successors.members: not 1 to 5 hosts, each once",
            "successors.members.address: not name:port of at most 260 bytes",
        )?;
    }
    check(
        successors
            .iter()
            .all(|one| one.groups.first <= one.groups.last),
        "successors.groups: last is below first",
    )
}

/// What is kept, checkpointed and dialled. The words: if the hosts are wrong, and if an address is.
pub(crate) fn check_members(
    members: &[ClusterMember],
    hosts: &'static str,
    address: &'static str,
) -> Checked {
    let each_once: BTreeSet<_> = members.iter().map(|member| member.host).collect();
    check(
        CLUSTER_HOSTS.contains(&members.len()) && each_once.len() == members.len(),
        hosts,
    )?;
    check(
        members.iter().all(|member| is_address(&member.address)),
        address,
    )
}

pub(crate) fn check_seal(seal: &Seal) -> Checked {
    check_successors(seal.partition, &seal.successors)?;
    check(
        seal.keyed_sends as usize <= DEDUPLICATION_IDS_MAX,
        "seal.keyed_sends: more than 1000000",
    )?;
    match &seal.held {
        HeldGroups::These(groups) => check(
            is_within_bounds(groups) && groups.is_sorted_by(|one, next| one < next),
            "seal.held: more than 10000 groups, or not ascending",
        ),
        HeldGroups::None | HeldGroups::All => Ok(()),
    }
}

fn check_piece(piece: &Piece) -> Checked {
    check(
        piece.messages.len() <= PIECE_MESSAGES_MAX,
        "piece.messages: more than 1000",
    )?;
    let is_short = |group: &GroupName| group.len() <= 4 * GROUP_CHARS_MAX;
    let mut groups = piece.messages.iter().filter_map(|one| one.group.as_ref());
    check(
        groups.all(is_short),
        "piece.messages.group: longer than a group's name may be",
    )?;
    match &piece.rest {
        Rest::Some {
            groups: HeldGroups::These(groups),
        } => check(
            is_within_bounds(groups),
            "piece.rest: more than 10000 groups",
        ),
        _ => Ok(()),
    }
}

fn check_news(news: &Inherited) -> Checked {
    match news {
        Inherited::Seal | Inherited::Drained => Ok(()),
        Inherited::KeyedSends { sends, .. } => check(
            sends.len() <= KEYED_SENDS_TOLD_MAX,
            "news.sends: more than 20000",
        ),
        Inherited::GroupsGone(groups) => check(
            is_within_bounds(groups),
            "news: more than 10000 groups at once",
        ),
    }
}

fn is_within_bounds(groups: &[GroupHash]) -> bool {
    groups.len() <= HELD_GROUPS_MAX
}
