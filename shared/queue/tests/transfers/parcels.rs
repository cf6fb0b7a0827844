//! Parcels that come twice, late, or to somebody who does not take them, and how both sides come to know.

use shoal_queue::{Machine, RowBodies, RowBody};
use shoal_types::limits::{PARCEL_MEMORY, PARCEL_SOURCES_MAX, PIECE_MESSAGES_MAX};
use shoal_types::{
    BodyRef, ClusterMember, Command, ErrorCode, GroupRange, HostId, Outcome, Parcel, PartitionId,
    PartitionSettings, Revision, SendItem, Ts, group_hash,
};

use super::{Both, DEAD, dies_after, part};
use crate::desk::{Desk, QUEUE, item, plain_settings, seconds};
use crate::succession::{create, create_fifo, seal_for, successor};

const NEXT: PartitionId = PartitionId(51);
const OTHER: PartitionId = PartitionId(52);

impl Both {
    /// One message that died, in a parcel.
    fn with_a_parcel() -> (Self, Parcel) {
        let mut both = Self::dying_after(1, false);
        both.source.send(vec![item(1)]);
        both.source.fail(1);
        both.source.next_parcel(0);
        let (to, parcel) = both.source.parcel().expect("it is made");
        assert_eq!((to, parcel.number), (DEAD, 1));
        (both, parcel)
    }

    fn deliver(&mut self, parcel: &Parcel) -> Outcome {
        self.target.take_parcel(DEAD, QUEUE, parcel)
    }

    fn dead_count(&self) -> u64 {
        self.target.machine().counts(DEAD).unwrap().ready
    }
}

#[test]
fn a_parcel_is_taken_once_however_often_and_late_it_comes() {
    let (mut both, parcel) = Both::with_a_parcel();
    let taken = |through| Outcome::Taken { through };
    assert_eq!(both.deliver(&parcel), taken(1));
    assert_eq!(both.deliver(&parcel), taken(1));
    both.restart();
    assert_eq!(both.deliver(&parcel), taken(1));
    assert_eq!(both.dead_count(), 1);
    both.source.next_parcel(1);
    both.source.send(vec![item(2)]);
    both.source.fail(1);
    both.carry_all();
    assert_eq!(both.dead_count(), 2);
    both.wait(86_000);
    assert_eq!(
        both.deliver(&parcel),
        taken(4),
        "the last of two and two that settle"
    );
    assert_eq!(both.dead_count(), 2);
}

#[test]
fn what_is_on_its_way_stays_until_it_is_known_to_have_arrived() {
    let (mut both, parcel) = Both::with_a_parcel();
    both.source.next_parcel(0);
    assert_eq!(
        both.source.parcel(),
        Some((DEAD, parcel.clone())),
        "as it was"
    );
    both.source.restart();
    assert_eq!(both.source.outbox().dead, 1);
    both.source.next_parcel(1);
    assert_eq!(both.source.outbox().dead, 0);
    let never_made = Command::NextParcel {
        partition: QUEUE,
        taken: 9,
    };
    assert_eq!(both.source.refusal(never_made), ErrorCode::InvalidRequest);
}

#[test]
fn an_end_that_was_put_off_is_told_after_what_came_in_between() {
    let (mut both, parcel) = Both::with_a_parcel();
    both.deliver(&parcel);
    both.source.next_parcel(1);
    let (_, settles) = both.source.parcel().expect("the target is told");
    assert_eq!(settles.messages, []);
    both.source.send(vec![item(2)]);
    both.source.fail(1);
    both.source.next_parcel(1);
    let (_, second) = both.source.parcel().unwrap();
    assert_eq!((second.number, second.messages.len()), (3, 1));
    // The one that was put off arrives late, after what came in its stead.
    both.deliver(&second);
    assert_eq!(both.deliver(&settles), Outcome::Taken { through: 3 });
    both.carry_all();
    assert_eq!(both.dead_count(), 2);
    assert!(both.source.machine().senders().next().is_none());
}

#[test]
fn a_sealed_dead_letter_queue_sends_its_parcels_on_to_what_follows_it() {
    let (mut both, parcel) = Both::with_a_parcel();
    both.target.request(create(NEXT, 1, &[DEAD]));
    let seal = both.target.sealed(seal_for(DEAD, vec![successor(NEXT, 1)]));
    let sealed = both.deliver(&parcel);
    assert_eq!(sealed, Outcome::Sealed(Box::new(seal.clone())));
    let redirect = |number, seal| Command::RedirectParcel {
        partition: QUEUE,
        parcel: number,
        seal: Box::new(seal),
    };
    let mut other = seal.clone();
    other.partition = OTHER;
    assert_eq!(
        both.source.refusal(redirect(1, other)),
        ErrorCode::InvalidRequest
    );
    let mut half = seal.clone();
    half.successors[0].groups.last = 7;
    assert_eq!(
        both.source.refusal(redirect(1, half)),
        ErrorCode::InvalidRequest,
        "nobody would take the rest"
    );
    for _ in 0..2 {
        let redirected = both.source.request(redirect(1, seal.clone()));
        assert_eq!(redirected, Outcome::Done);
    }
    both.restart();
    both.source.next_parcel(0);
    let (to, again) = both.source.parcel().unwrap();
    assert_eq!((to, again.number), (NEXT, 2));
    assert_eq!(again.messages, parcel.messages);
    let closed = both.target.take_parcel(NEXT, QUEUE, &again);
    assert!(matches!(closed, Outcome::Closed { .. }), "{closed:?}");
    both.target.told(NEXT, &seal, shoal_types::Inherited::Seal);
    both.carry_all();
    assert_eq!(both.target.receive_from(NEXT).len(), 1);
    // What was on its way to the one before is not taken any more, however late it comes.
    assert_eq!(both.deliver(&parcel), Outcome::Sealed(Box::new(seal)));
}

#[test]
fn a_sealed_dead_letter_queue_is_not_drained_before_its_sources_know_what_it_took() {
    // Its partition was emptied and deleted before the answer reached the source, which took it for gone
    // for good: the message stood in both queues.
    let (mut both, parcel) = Both::with_a_parcel();
    both.deliver(&parcel);
    both.target.request(create(NEXT, 1, &[DEAD]));
    both.target.sealed(seal_for(DEAD, vec![successor(NEXT, 1)]));
    let dead = both.target.receive_from(DEAD);
    both.target.delete_all(&dead);
    assert!(!both.target.machine().is_drained(DEAD));
    both.target.restart();
    assert_eq!(both.deliver(&parcel), Outcome::Taken { through: 1 });
    both.carry_all();
    assert!(both.target.machine().is_drained(DEAD));
}

#[test]
fn a_sealed_source_is_not_drained_before_its_dead_have_arrived_and_all_is_settled() {
    let mut both = Both::dying_after(1, true);
    both.source.send_in_groups(&["a", "b"]);
    both.source.request(create_fifo(NEXT, 1, &[QUEUE]));
    both.source.fail(1);
    let seal = both
        .source
        .sealed(seal_for(QUEUE, vec![successor(NEXT, 1)]));
    let both_groups = {
        let mut hashes = vec![group_hash("a"), group_hash("b")];
        hashes.sort_unstable();
        shoal_types::HeldGroups::These(hashes)
    };
    assert_eq!(
        seal.held, both_groups,
        "a's next message may not overtake it"
    );
    let rest = both.source.receive(1);
    both.source.acknowledge(&rest);
    assert_eq!(
        both.source.machine().groups_gone(QUEUE),
        Some(vec![group_hash("b")])
    );
    while both
        .source
        .parcel()
        .is_none_or(|(_, parcel)| !parcel.messages.is_empty())
    {
        assert!(!both.source.machine().is_drained(QUEUE));
        both.carry();
    }
    assert!(!both.source.machine().is_drained(QUEUE), "not settled");
    both.carry_all();
    assert!(both.source.machine().is_drained(QUEUE));
}

#[test]
fn a_source_that_is_not_heard_of_is_forgotten_when_nothing_of_it_can_come_twice() {
    let (mut both, parcel) = Both::with_a_parcel();
    both.deliver(&parcel);
    let dead = both.target.receive_from(DEAD);
    both.target.delete_all(&dead);
    both.target.wait(PARCEL_MEMORY - 1);
    assert_eq!(both.deliver(&parcel), Outcome::Taken { through: 1 });
    assert_eq!(both.dead_count(), 0);
    both.target.restart();
    both.target.wait(2);
    // Nobody knows it any more, but what it contains is older than any queue keeps a message.
    assert_eq!(both.deliver(&parcel), Outcome::Taken { through: 1 });
    assert_eq!(both.dead_count(), 0);
    let mut ahead = parcel;
    ahead.number = 2;
    ahead.messages[0].sent_at = Ts(both.target.now().0 + seconds(3_601));
    let refused = both.deliver(&ahead);
    assert!(
        matches!(&refused, Outcome::Refused(why) if why.code == ErrorCode::NotReady),
        "{refused:?}"
    );
}

#[test]
fn what_a_target_remembers_is_bounded_and_one_more_source_has_to_wait() {
    let (mut both, parcel) = Both::with_a_parcel();
    for n in 0..PARCEL_SOURCES_MAX as u64 {
        let from = PartitionId(1_000 + n);
        let taken = both.target.take_parcel(DEAD, from, &parcel);
        assert_eq!(taken, Outcome::Taken { through: 1 });
    }
    let refused = both.deliver(&parcel);
    assert!(
        matches!(&refused, Outcome::Refused(why) if why.code == ErrorCode::Busy),
        "{refused:?}"
    );
    let known = both.target.take_parcel(DEAD, PartitionId(1_000), &parcel);
    assert_eq!(known, Outcome::Taken { through: 1 });
}

#[test]
fn a_full_dead_letter_queue_takes_whole_parcels_or_none() {
    let mut both = Both::dying_after(1, false);
    both.target.request(Command::ConfigurePartition {
        partition: DEAD,
        settings: PartitionSettings {
            max_messages: 2,
            ..plain_settings()
        },
        revision: Revision(2),
    });
    both.source.send(vec![item(1), item(2), item(3)]);
    both.source.fail(3);
    both.carry_all();
    assert_eq!(both.dead_count(), 3, "it was not full before");
    both.source.send(vec![item(4)]);
    both.source.fail(1);
    both.source
        .next_parcel(both.source.machine().parcels_made(QUEUE));
    let (_, parcel) = both.source.parcel().unwrap();
    let refused = both.deliver(&parcel);
    assert!(
        matches!(&refused, Outcome::Refused(why) if why.code == ErrorCode::QueueFull),
        "{refused:?}"
    );
    let dead = both.target.receive_from(DEAD);
    both.target.delete_all(&dead);
    both.carry_all();
    assert_eq!(both.dead_count(), 1);
}

#[test]
fn each_group_goes_to_the_partition_that_has_its_hash_and_large_ones_in_several_parcels() {
    let mut both = Both::dying_after(1, true);
    let halves = GroupRange::ALL.split(2);
    let mut command = dies_after(1, 6);
    if let Command::SetDeadLetters {
        dead_letters: Some(known),
        ..
    } = &mut command
    {
        known.to.parts = vec![part(DEAD, halves[0]), part(OTHER, halves[1])];
    }
    assert_eq!(both.source.request(command), Outcome::Done);
    both.target.request(Command::CreatePartition {
        partition: OTHER,
        settings: PartitionSettings {
            fifo: true,
            ..plain_settings()
        },
        revision: Revision(1),
    });
    let groups: Vec<String> = (0..30).map(|n| format!("g{}", n % 10)).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    for _ in 0..50 {
        both.source.send_in_groups(&groups);
    }
    for _ in 0..4 {
        both.source.fail(1_000);
        both.source.wait(1);
    }
    assert_eq!(both.source.outbox().dead, 1_500);
    both.carry_all();
    let mut total = 0;
    for (partition, range) in [(DEAD, halves[0]), (OTHER, halves[1])] {
        let mut last = std::collections::BTreeMap::new();
        loop {
            let dead = both.target.receive_from(partition);
            let Some(_) = dead.first() else {
                break;
            };
            for one in &dead {
                let group = one.group.clone().unwrap();
                assert!(range.contains(group_hash(&group)));
                let number = one.dead_from.as_ref().unwrap().message.sequence;
                let before = last.insert(group, number);
                assert!(before < Some(number), "in the order in which they were");
            }
            total += dead.len();
            both.target.delete_all(&dead);
        }
    }
    assert_eq!(total, 1_500);
    assert!(both.source.machine().parcels_made(QUEUE) >= 1_500 / PIECE_MESSAGES_MAX as u64);
}

#[test]
fn malformed_instructions_and_parcels_are_refused_by_the_name_of_the_field() {
    let (mut both, parcel) = Both::with_a_parcel();
    let changed = |change: &dyn Fn(&mut shoal_types::DeadLetters)| {
        let mut command = dies_after(1, 9);
        if let Command::SetDeadLetters {
            dead_letters: Some(known),
            ..
        } = &mut command
        {
            change(known);
        }
        command
    };
    let member = ClusterMember {
        host: HostId(1),
        address: "a:1".to_owned(),
    };
    let commands = [
        (
            changed(&|it| it.max_receives = 0),
            "dead_letters.max_receives",
        ),
        (
            changed(&|it| it.to.queue = it.queue),
            "dead_letters.to.queue",
        ),
        (changed(&|it| it.to.parts.clear()), "to.parts"),
        (changed(&|it| it.to.parts[0].partition = QUEUE), "to.parts"),
        (
            changed(&|it| it.to.parts[0].members.clear()),
            "to.parts.members",
        ),
        (
            changed(&|it| it.to.parts[0].members = vec![member.clone(); 6]),
            "to.parts.members",
        ),
        (
            changed(&|it| it.to.parts[0].groups.first = 1),
            "to.parts.groups",
        ),
        (
            changed(&|it| it.to.parts = vec![it.to.parts[0].clone(); 133]),
            "to.parts",
        ),
    ];
    for (command, field) in commands {
        is_refused(&mut both.source, command, field);
    }
    let take = |from, change: &dyn Fn(&mut Parcel)| {
        let mut parcel = parcel.clone();
        change(&mut parcel);
        Command::TakeParcel {
            partition: DEAD,
            from,
            parcel,
        }
    };
    let long: std::sync::Arc<str> = "x".repeat(600).into();
    let commands = [
        (take(DEAD, &|_| ()), "from"),
        (take(QUEUE, &|it| it.number = 0), "parcel.number"),
        (
            take(QUEUE, &|it| {
                it.messages = vec![it.messages[0].clone(); 1_001]
            }),
            "parcel.messages",
        ),
        (
            take(QUEUE, &|it| it.messages[0].group = Some(long.clone())),
            "parcel.messages.group",
        ),
    ];
    for (command, field) in commands {
        is_refused(&mut both.target, command, field);
    }
    assert_eq!(both.dead_count(), 0);
}

#[track_caller]
pub(super) fn is_refused(desk: &mut Desk, command: Command, field: &str) {
    match desk.request(command) {
        Outcome::Refused(refusal) => {
            assert_eq!(refusal.code, ErrorCode::InvalidRequest);
            assert!(refusal.detail.starts_with(field), "{refusal}");
        }
        other => panic!("{field}: {other:?}"),
    }
}

#[test]
fn two_queues_may_be_each_others_dead_letter_queue() {
    let mut both = Both::dying_after(2, false);
    let back = Command::SetDeadLetters {
        partition: DEAD,
        dead_letters: Some(Box::new(shoal_types::DeadLetters {
            queue: super::DEAD_ORDERS,
            max_receives: 1,
            to: super::target(super::ORDERS, QUEUE),
        })),
        revision: Revision(5),
    };
    assert_eq!(both.target.request(back), Outcome::Done);
    both.source.send(vec![SendItem {
        group: Some("a".into()),
        ..item(1)
    }]);
    for round in 1..=3 {
        both.source.fail(1);
        assert_eq!(both.source.fail(1).len(), 1);
        both.carry_all();
        both.target.receive_from(DEAD);
        both.target.wait(seconds(30));
        let target = both.target.machine();
        assert_eq!(target.outbox(DEAD).unwrap().dead, 1);
        let made = target.parcels_made(DEAD);
        both.target.anonymous(Command::NextParcel {
            partition: DEAD,
            taken: made,
        });
        let (_, parcel, _) = both.target.machine().parcel(DEAD).unwrap();
        let through = parcel.number;
        for _ in 0..2 {
            let taken = both.source.take_parcel(QUEUE, DEAD, &parcel);
            assert_eq!(taken, Outcome::Taken { through });
        }
        both.target.anonymous(Command::NextParcel {
            partition: DEAD,
            taken: through,
        });
        assert_eq!(both.source.totals().0, 1, "round {round}");
        assert_eq!(both.target.totals().0, 0);
    }
    let back = both.source.receive(1);
    let died = back[0].dead_from.as_ref().unwrap();
    assert_eq!(died.queue, super::DEAD_ORDERS);
    assert_eq!(
        died.message.sequence.number(),
        1,
        "the name that it was sent under"
    );
    assert_eq!(died.receives, 9, "twice and once, three times");
}

#[test]
fn where_messages_died_goes_along_when_a_host_gets_the_state_from_a_peer() {
    let (mut both, _) = Both::with_a_parcel();
    both.source.send(vec![item(3)]);
    both.source.fail(1);
    both.carry_all();
    let first = both.target.receive_from(DEAD).remove(0);
    both.target.delete_all(&[first]);
    both.target.checkpoint();
    let mut rows = RowBodies::default();
    let place = |body: RowBody| BodyRef {
        segment: 900,
        offset: body.size,
    };
    let stored = both.target.stored().iter();
    let placed = stored.map(|(key, value)| {
        let value = rows.replace(key, value, place).unwrap();
        (key.clone(), value.expect("nothing was purged"))
    });
    let there = Machine::restore(placed.collect::<Vec<_>>()).unwrap();
    assert_eq!(there.full_hash(), both.target.machine().full_hash());
    let segments: Vec<_> = there.live_bodies().keys().copied().collect();
    assert_eq!(segments, [900]);
}
