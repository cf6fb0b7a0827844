//! A partition is sealed, and its hosts tell the one that follows it what it has to know.

use bytes::Bytes;
use shoal_types::{
    ClusterMember, Command, Deduplication, Epoch, GroupRange, HostId, Outcome, PartitionId, Query,
    QueryReply, QueueSettings, Revision, SendItem, SendResult, SuccessionStage, Successor,
};

use super::rig::{CLUSTER, QUEUE, Rig};
use super::{A, B, C, deliveries};
use shoal_types::HostReply;

const NEXT: PartitionId = PartitionId(8);

fn fifo() -> QueueSettings {
    QueueSettings {
        fifo: true,
        ..QueueSettings::default()
    }
}

fn create_next(rig: &mut Rig, settings: &QueueSettings) {
    let create = Command::CreateSuccessor {
        partition: NEXT,
        settings: settings.partition(Epoch(1)),
        revision: Revision(3),
        succeeds: vec![QUEUE],
    };
    assert_eq!(rig.execute(A, create, vec![]), Ok(Outcome::Done));
}

fn seal(rig: &mut Rig) {
    let members = rig.hosts().into_iter().map(|host| ClusterMember {
        host,
        address: format!("{host}:1"),
    });
    let next = Successor {
        partition: NEXT,
        epoch: Epoch(1),
        cluster: CLUSTER,
        members: members.collect(),
        groups: GroupRange::ALL,
    };
    let seal = Command::Seal {
        partition: QUEUE,
        successors: vec![next],
        revision: Revision(4),
    };
    let sealed = rig.execute(B, seal, vec![]);
    assert!(matches!(sealed, Ok(Outcome::Sealed(_))), "{sealed:?}");
}

/// A queue whose partition is sealed, and the closed one that follows it.
fn sealed_queue(settings: &QueueSettings) -> Rig {
    let mut rig = Rig::with_movable_queue(3, settings.clone());
    create_next(&mut rig, settings);
    seal(&mut rig);
    rig
}

fn send_to(
    rig: &mut Rig,
    partition: PartitionId,
    group: Option<&str>,
    key: Option<u64>,
) -> Outcome {
    let send = Command::Send {
        partition,
        items: vec![item(group, key)],
    };
    rig.execute(C, send, vec![Bytes::new()]).unwrap()
}

fn item(group: Option<&str>, key: Option<u64>) -> SendItem {
    SendItem {
        size: 0,
        crc: 0,
        delay: None,
        ttl: None,
        group: group.map(Into::into),
        deduplication: key.map(|key| Deduplication {
            key: u128::from(key).to_le_bytes(),
            fingerprint: None,
        }),
    }
}

/// Receives one message if there is one, and deletes it.
fn take_from(rig: &mut Rig, partition: PartitionId) -> bool {
    let receive = Command::Receive {
        partition,
        max: 1,
        visibility: None,
        wait_until: None,
        attempt: None,
        auto_ack: true,
    };
    !deliveries(rig.execute(A, receive, vec![]).unwrap()).is_empty()
}

fn stage(rig: &mut Rig, partition: PartitionId) -> SuccessionStage {
    let host = rig.acting()[0];
    let query = rig.query(Query::Succession { partition });
    match rig.ask(host, query) {
        Ok(HostReply::Query(QueryReply::Succession(succession))) => succession.stage,
        other => panic!("{other:?}"),
    }
}

fn wait_until_open(rig: &mut Rig) {
    rig.run_until(|rig| {
        let host = rig.acting()[0];
        let next = rig.core(host).machine().succession(NEXT);
        next.is_some_and(|next| next.stage == SuccessionStage::Open)
    });
}

/// All hosts know that the successor was told that nothing is left.
fn wait_until_told_drained(rig: &mut Rig) {
    rig.run_until(|rig| {
        rig.acting().iter().all(|host| {
            let told = rig.core(*host).machine().seal_of(QUEUE);
            told.is_some_and(|(_, told_drained)| told_drained == [NEXT])
        })
    });
}

#[test]
fn a_successor_opens_although_neither_manager_nor_frontend_shows_it_the_seal() {
    let mut rig = Rig::with_movable_queue(3, QueueSettings::default());
    send_to(&mut rig, QUEUE, None, None);
    create_next(&mut rig, &QueueSettings::default());
    rig.run_for(1_000_000);
    assert!(matches!(
        stage(&mut rig, NEXT),
        SuccessionStage::Closed { .. }
    ));
    seal(&mut rig);
    wait_until_open(&mut rig);
    let sealed = send_to(&mut rig, QUEUE, None, None);
    assert!(matches!(sealed, Outcome::Sealed(_)), "{sealed:?}");

    rig.run_for(1_000_000);
    let told = rig.core(A).machine().seal_of(QUEUE).unwrap().1;
    assert_eq!(told, [], "a message is left");
    assert!(take_from(&mut rig, QUEUE));
    wait_until_told_drained(&mut rig);
    rig.states_agree();

    let calls = rig.tellings_by().len();
    rig.run_for(5_000_000);
    assert_eq!(rig.tellings_by().len(), calls, "nothing is left to tell");
}

/// Sends so many messages with deduplication keys.
fn send_with_keys(rig: &mut Rig, count: u64) {
    for first in (0..count).step_by(1_000) {
        let items: Vec<_> = (first..first + 1_000)
            .map(|key| item(None, Some(key)))
            .collect();
        let bodies = vec![Bytes::new(); items.len()];
        let send = Command::Send {
            partition: QUEUE,
            items,
        };
        rig.execute(C, send, bodies).unwrap();
    }
}

/// Whoever took over began at the first send: of a million, two hundred calls, each turn of five seconds.
#[test]
fn who_takes_over_goes_on_with_the_keyed_sends_where_the_one_before_stopped() {
    const SENDS: u64 = 40_000;
    const BLOCK: usize = 5_000;
    let mut rig = Rig::with_movable_queue(3, QueueSettings::default());
    send_with_keys(&mut rig, SENDS);
    create_next(&mut rig, &QueueSettings::default());
    seal(&mut rig);
    rig.run_until(|rig| rig.keyed_sends_told() >= 4 * BLOCK);
    let by = *rig.tellings_by().last().expect("it has told");
    rig.kill(by);
    rig.run_until(|rig| {
        let next = rig.core(rig.acting()[0]).machine().succession(NEXT);
        rig.acting().len() == 2 && next.is_some_and(|next| next.stage == SuccessionStage::Open)
    });
    assert!(rig.tellings_by().iter().any(|host| *host != by));
    // Besides each once: what was on its way when the host died, and the block by which the next one learns
    // how far the successor is.
    let most = SENDS as usize + 2 * BLOCK;
    assert!(rig.keyed_sends_told() <= most, "{}", rig.keyed_sends_told());
}

#[test]
fn keyed_sends_go_over_in_pieces_and_are_recognised_there() {
    const SENDS: u64 = 11_000;
    let mut rig = Rig::with_movable_queue(3, QueueSettings::default());
    send_with_keys(&mut rig, SENDS);
    create_next(&mut rig, &QueueSettings::default());
    seal(&mut rig);
    wait_until_open(&mut rig);
    for key in [0, 4_999, 5_000, SENDS - 1] {
        match send_to(&mut rig, NEXT, None, Some(key)) {
            Outcome::Sent(results) => match results[..] {
                [SendResult::Duplicate(sequence)] => assert_eq!(sequence.number(), key + 1),
                ref other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_group_is_handed_out_by_the_successor_as_soon_as_nothing_older_of_it_is_left() {
    let mut rig = Rig::with_movable_queue(3, fifo());
    send_to(&mut rig, QUEUE, Some("a"), None);
    send_to(&mut rig, QUEUE, Some("b"), None);
    create_next(&mut rig, &fifo());
    seal(&mut rig);
    wait_until_open(&mut rig);
    send_to(&mut rig, NEXT, Some("a"), None);
    rig.run_for(1_000_000);
    assert!(
        !take_from(&mut rig, NEXT),
        "an older message of its group waits"
    );
    assert!(take_from(&mut rig, QUEUE), "the first of group a");
    rig.run_for(100_000);
    assert!(take_from(&mut rig, NEXT), "and not after group b");
    assert!(take_from(&mut rig, QUEUE));
    wait_until_told_drained(&mut rig);
    rig.states_agree();
}

/// Found by the simulator: the host whose turn it always was wrote and took no commands, since its clock
/// was off, and nobody told the successor anything.
#[test]
fn every_host_tells_in_its_turn() {
    let mut rig = Rig::with_movable_queue(3, fifo());
    create_next(&mut rig, &fifo());
    rig.successors_are_unreachable(true);
    seal(&mut rig);
    rig.run_for(60_000_000);
    let mut by = rig.tellings_by().to_vec();
    by.sort_unstable();
    by.dedup();
    assert_eq!(by, [A, B, C]);
}

#[test]
fn another_host_goes_on_where_the_one_that_told_dies() {
    let mut rig = sealed_queue(&fifo());
    wait_until_open(&mut rig);
    let by = rig.tellings_by()[0];
    assert!(
        rig.tellings_by().iter().all(|host| *host == by),
        "one host does it"
    );
    let heir = rig.hosts().into_iter().find(|host| *host != by).unwrap();
    rig.kill(by);
    rig.run_until(|rig| {
        rig.acting().len() == 2 && rig.core(heir).engine().view().active.len() == 2
    });
    rig.run_until(|rig| {
        rig.acting().iter().all(|host| {
            rig.core(*host)
                .machine()
                .seal_of(QUEUE)
                .is_some_and(|(_, told)| told == [NEXT])
        })
    });
    rig.start(by);
    rig.run_until(|rig| rig.acting().len() == 3);
    rig.states_agree();
}

#[test]
fn a_successor_that_cannot_be_reached_is_tried_again_ever_more_slowly() {
    let mut rig = Rig::with_movable_queue(3, QueueSettings::default());
    create_next(&mut rig, &QueueSettings::default());
    rig.successors_are_unreachable(true);
    seal(&mut rig);
    rig.run_for(30_000_000);
    // Each host in whose turn it falls begins with short pauses again.
    let calls = rig.tellings_by().len();
    assert!((12..=60).contains(&calls), "{calls} calls in 30 s");
    rig.successors_are_unreachable(false);
    wait_until_told_drained(&mut rig);
}

#[test]
fn after_a_power_failure_it_is_told_from_the_beginning() {
    let mut rig = Rig::with_movable_queue(3, fifo());
    send_to(&mut rig, QUEUE, Some("a"), Some(1));
    create_next(&mut rig, &fifo());
    seal(&mut rig);
    wait_until_open(&mut rig);
    rig.power_off();
    for host in [A, B, C] {
        rig.start(host);
    }
    rig.run_until(|rig| rig.acting().len() == 3);
    assert!(take_from(&mut rig, QUEUE));
    wait_until_told_drained(&mut rig);
    rig.states_agree();
}

/// Found by the simulator: a host began to tell in the turn in which its start writes that it lives. Nobody
/// carries out what else comes of that turn, so it waited for the answer for as long as it ran, and if all
/// hosts had been started since the seal, nobody told the successor anything.
#[test]
fn a_start_begins_no_call_that_nobody_makes() {
    let mut rig = Rig::with_movable_queue(3, fifo());
    create_next(&mut rig, &fifo());
    rig.successors_are_unreachable(true);
    seal(&mut rig);
    // Long enough for each host to start in its turn.
    for _ in 0..12 {
        rig.power_off();
        for host in [A, B, C] {
            rig.start(host);
        }
        rig.run_for(5_000_000);
    }
    rig.successors_are_unreachable(false);
    wait_until_open(&mut rig);
    wait_until_told_drained(&mut rig);
}

#[test]
fn nothing_is_told_of_a_partition_that_is_deleted_meanwhile() {
    let mut rig = Rig::with_movable_queue(3, QueueSettings::default());
    create_next(&mut rig, &QueueSettings::default());
    rig.successors_are_unreachable(true);
    seal(&mut rig);
    rig.run_for(1_000_000);
    let delete = Command::DeletePartition {
        partition: QUEUE,
        revision: Revision(5),
    };
    assert_eq!(rig.execute(HostId(1), delete, vec![]), Ok(Outcome::Done));
    rig.run_for(100_000);
    let calls = rig.tellings_by().len();
    rig.run_for(20_000_000);
    assert_eq!(rig.tellings_by().len(), calls);
}
