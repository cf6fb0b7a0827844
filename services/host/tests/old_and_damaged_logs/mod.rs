//! What a host does about log segments that few messages hold on to, and about bodies that it cannot
//! read any more. Told over cores and disks in memory.

use std::time::Duration;

use bytes::Bytes;
use shoal_storage::{Disk as _, MemDisk};
use shoal_types::{
    Applied, BodyRef, Command, Delivery, ErrorCode, HostId, HostReply, HostState, Outcome, Query,
    QueueSettings, Refusal,
};

use crate::rig::{QUEUE, Rig, receive};

const A: HostId = HostId(1);
const B: HostId = HostId(2);
const C: HostId = HostId(3);
const SECOND: u64 = 1_000_000;

fn trio() -> Rig {
    Rig::with_checkpoints_every(Duration::from_secs(1), 3, QueueSettings::default())
}

fn deliveries(received: &Outcome) -> &[Delivery] {
    match received {
        Outcome::Received(deliveries) => deliveries,
        other => panic!("{other:?}"),
    }
}

/// Where a host has the bodies of the first messages.
fn places(rig: &Rig, host: HostId) -> Vec<BodyRef> {
    let found = rig.core(host).machine().peek(QUEUE, 10).unwrap();
    found.into_iter().map(|(_, at)| at).collect()
}

/// Sends and acknowledges so much that the log goes over into further segments (of 1 MiB), and that
/// nothing sent before is in anybody's memory any more.
fn churn(rig: &mut Rig, mib: usize) {
    let body: &'static str = Box::leak("x".repeat(200_000).into_boxed_str());
    for _ in 0..mib * 6 {
        rig.send(A, body).unwrap();
        let received = rig.execute(A, receive(10, None), vec![]).unwrap();
        let is_churn = |delivery: &&Delivery| delivery.size == 200_000;
        let (churned, old): (Vec<_>, Vec<_>) = deliveries(&received)
            .iter()
            .partition(|delivery| is_churn(delivery));
        let receipts = churned.iter().map(|delivery| delivery.receipt).collect();
        let ack = Command::Acknowledge {
            partition: QUEUE,
            receipts,
        };
        rig.execute(A, ack, vec![]).unwrap();
        if !old.is_empty() {
            let receipts = old.iter().map(|delivery| delivery.receipt).collect();
            let release = Command::Release {
                partition: QUEUE,
                receipts,
                delay: 0,
            };
            rig.execute(A, release, vec![]).unwrap();
        }
    }
}

fn segments(rig: &Rig, host: HostId) -> Vec<u32> {
    let segments = rig.core(host).log().segments();
    segments.iter().map(|segment| segment.number).collect()
}

/// Peeking reads the body without leasing the message.
fn peek(rig: &mut Rig, host: HostId) -> (Result<HostReply, Refusal>, Vec<Bytes>) {
    let query = rig.query(Query::Peek {
        partition: QUEUE,
        limit: 1,
    });
    let operation = rig.call(host, query, vec![]);
    rig.run_until(|rig| rig.is_answered(operation));
    rig.answer(operation).unwrap()
}

#[test]
fn a_segment_that_one_old_message_holds_on_to_is_emptied_and_goes() {
    let mut rig = trio();
    rig.send(B, "old").unwrap();
    let first = places(&rig, A)[0];
    churn(&mut rig, 4);
    assert!(segments(&rig, A).len() > 3);
    rig.run_for(3 * SECOND);
    for host in rig.hosts() {
        let moved = places(&rig, host)[0];
        assert!(moved.segment > first.segment, "{host}: {moved:?}");
        assert!(segments(&rig, host)[0] > first.segment, "{host}");
        assert!(segments(&rig, host).len() <= 3, "{host}");
        assert!(rig.core(host).care().emptied > 0);
        assert_eq!(&peek(&mut rig, host).1[0][..], b"old");
    }
    // What was moved is found again by a restart, from the checkpoint and the log's end.
    rig.power_off();
    for host in [A, B, C] {
        rig.start(host);
    }
    rig.run_until(|rig| rig.acting().len() == 3);
    for host in [A, B, C] {
        assert_eq!(&peek(&mut rig, host).1[0][..], b"old");
    }
}

#[test]
fn emptying_segments_does_not_move_what_is_not_worth_it() {
    let mut rig = trio();
    let body: &'static str = Box::leak("y".repeat(200_000).into_boxed_str());
    for _ in 0..20 {
        rig.send(B, body).unwrap();
    }
    let before = places(&rig, A);
    rig.run_for(3 * SECOND);
    assert_eq!(places(&rig, A), before);
    assert_eq!(rig.core(A).care().moved, 0);
}

/// One message waits, and its body lies in a segment that is closed since.
fn trio_with_an_old_message() -> Rig {
    let mut rig = trio();
    rig.send(B, "precious").unwrap();
    churn(&mut rig, 17);
    rig
}

#[test]
fn a_damaged_body_comes_from_a_peer_and_is_sound_from_then_on() {
    let mut rig = trio_with_an_old_message();
    let at = places(&rig, A)[0];
    rig.flip(A, at, 3);
    let (result, bodies) = peek(&mut rig, A);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(&bodies[0][..], b"precious");
    let care = rig.core(A).care();
    assert_eq!((care.damaged, care.repaired, care.unrepaired), (1, 1, 0));
    rig.run_for(100_000);
    assert_ne!(places(&rig, A)[0], at, "it has another place");
    // Until a checkpoint covers it, the entry itself is still needed, and damaged.
    rig.run_for(2 * SECOND);
    rig.kill(A);
    rig.start(A);
    rig.run_until(|rig| rig.acting().len() == 3);
    let (_, bodies) = peek(&mut rig, A);
    assert_eq!(&bodies[0][..], b"precious");
}

#[test]
fn a_body_that_is_damaged_everywhere_is_an_error_and_the_message_stays() {
    let mut rig = trio_with_an_old_message();
    for host in [A, B, C] {
        let at = places(&rig, host)[0];
        rig.flip(host, at, 3);
    }
    let refusal = rig.execute(A, receive(1, None), vec![]).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Corrupt);
    assert_eq!(refusal.applied, Applied::Unknown);
    assert!(refusal.detail.contains("message 1 "), "{}", refusal.detail);
    rig.run_for(1_000_000);
    for host in [A, B, C] {
        assert_eq!(rig.core(host).machine().totals().0, 1, "nothing is lost");
    }
}

#[test]
fn a_damaged_body_is_asked_of_the_next_peer_if_one_is_away_or_damaged_too() {
    let mut rig = trio_with_an_old_message();
    for host in [A, B] {
        let at = places(&rig, host)[0];
        rig.flip(host, at, 0);
    }
    let (_, bodies) = peek(&mut rig, A);
    assert_eq!(&bodies[0][..], b"precious");
    rig.kill(C);
    rig.run_until(|rig| rig.acting().len() == 2);
    // B has the damaged body still, and A can give it by now.
    let (_, bodies) = peek(&mut rig, B);
    assert_eq!(&bodies[0][..], b"precious");
}

/// Receives with `auto_ack` at a host, which then has to read the body.
fn receive_for_good(rig: &mut Rig, host: HostId) -> (Result<HostReply, Refusal>, Vec<Bytes>) {
    let mut command = receive(1, None);
    if let Command::Receive { auto_ack, .. } = &mut command {
        *auto_ack = true;
    }
    let request = rig.request(command);
    let operation = rig.call(host, request, vec![]);
    rig.run_until(|rig| rig.is_answered(operation));
    rig.answer(operation).unwrap()
}

/// The message is deleted on every host before anybody reads its body: the others must remember it.
#[test]
fn a_damaged_body_that_was_deleted_as_it_was_received_comes_from_a_peer_all_the_same() {
    let mut rig = trio_with_an_old_message();
    let at = places(&rig, A)[0];
    rig.flip(A, at, 3);
    let (result, bodies) = receive_for_good(&mut rig, A);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(&bodies[0][..], b"precious");
    for host in [A, B, C] {
        assert_eq!(rig.core(host).machine().totals().0, 0, "it is deleted");
    }
    assert_eq!(rig.core(A).care().repaired, 1);
}

#[test]
fn a_deleted_body_that_is_damaged_everywhere_is_an_error_that_says_so_and_is_counted() {
    let mut rig = trio_with_an_old_message();
    for host in [A, B, C] {
        let at = places(&rig, host)[0];
        rig.flip(host, at, 3);
    }
    let refusal = receive_for_good(&mut rig, A).0.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.applied),
        (ErrorCode::Corrupt, Applied::Unknown)
    );
    let detail = &refusal.detail;
    assert!(detail.contains("the message is deleted"), "{detail}");
    assert_eq!(rig.core(A).care().unrepaired, 1);
}

/// Five messages in the first segment, which is worth keeping, and some segments and a checkpoint after
/// it; host A is down.
fn five_old_messages() -> (Rig, Vec<Bytes>) {
    let mut rig = trio();
    let mut sent = Vec::new();
    for n in 0..5u8 {
        let body = (b'a' + n) as char;
        let body: &'static str = Box::leak(body.to_string().repeat(150_000).into_boxed_str());
        rig.send(B, body).unwrap();
        sent.push(Bytes::from_static(body.as_bytes()));
    }
    churn(&mut rig, 3);
    rig.run_for(2 * SECOND);
    assert!(places(&rig, A).iter().all(|at| at.segment == 1));
    rig.kill(A);
    (rig, sent)
}

/// What host A gives for the five messages once it is back.
fn five_bodies(rig: &mut Rig) -> Vec<Bytes> {
    rig.run_until(|rig| rig.acting().len() == 3);
    let query = rig.query(Query::Peek {
        partition: QUEUE,
        limit: 5,
    });
    let operation = rig.call(A, query, vec![]);
    rig.run_until(|rig| rig.is_answered(operation));
    let (result, bodies) = rig.answer(operation).unwrap();
    assert!(result.is_ok(), "{result:?}");
    bodies
}

const OLDEST: &str = "0000000001.segment";

#[test]
fn a_damaged_segment_that_the_checkpoint_covers_is_repaired_from_the_peers() {
    type Damage = fn(&MemDisk);
    let damages: [(&str, Damage); 7] = [
        ("its header", |disk| disk.flip(OLDEST, 20, 1)),
        ("a block header", |disk| disk.flip(OLDEST, 4_100, 1)),
        ("bodies", |disk| {
            for offset in (8_000..700_000).step_by(50_000) {
                disk.flip(OLDEST, offset, 0x40);
            }
        }),
        ("its end cut off", |disk| {
            disk.open(OLDEST).unwrap().set_len(300_000).unwrap();
        }),
        ("all but nothing left", |disk| {
            disk.open(OLDEST).unwrap().set_len(100).unwrap();
        }),
        ("zeros", |disk| {
            let file = disk.open(OLDEST).unwrap();
            let zeros = vec![0; file.len().unwrap() as usize];
            file.write_at(0, &[&zeros]).unwrap();
        }),
        ("the file gone", |disk| disk.remove(OLDEST).unwrap()),
    ];
    for (what, damage) in damages {
        let (mut rig, sent) = five_old_messages();
        damage(rig.disk(A));
        rig.start(A);
        assert_eq!(five_bodies(&mut rig), sent, "{what}");
        rig.run_for(20 * SECOND);
        let (care, live) = (rig.core(A).care(), rig.core(A).machine().live_bodies());
        assert_eq!(care.unrepaired, 0, "{what}");
        if what != "its header" && what != "a block header" {
            assert!(care.repaired > 0, "{what}: {care:?}");
        }
        if what != "a block header" {
            assert!(!live.contains_key(&1), "{what}: {care:?}");
        }
        let hash = |host| rig.core(host).machine().full_hash();
        assert_eq!(hash(A), hash(B), "{what}");
        // And again without any help.
        rig.kill(A);
        rig.start(A);
        assert_eq!(five_bodies(&mut rig), sent, "{what}");
    }
}

#[test]
fn damage_where_the_log_is_replayed_is_refused_and_names_the_place() {
    let (mut rig, _) = five_old_messages();
    rig.start(A);
    rig.run_until(|rig| rig.acting().len() == 3);
    // Not covered by any checkpoint: what is replayed cannot be done without.
    rig.send(B, "new").unwrap();
    rig.send(B, "newer").unwrap();
    let found = rig.core(A).machine().peek(QUEUE, 10).unwrap();
    let (_, at) = found[5];
    rig.kill(A);
    rig.flip(A, at, 0);
    let error = rig.try_start(A).unwrap_err().to_string();
    let file = format!("{:010}.segment is damaged at offset ", at.segment);
    assert!(error.contains(&file), "{error}");
    assert!(error.contains("replace this host"), "{error}");
    rig.flip(A, at, 0);
    rig.start(A);
    rig.run_until(|rig| rig.acting().len() == 3);
}

#[test]
fn the_scrub_finds_damage_that_nobody_asked_for() {
    let (mut rig, sent) = five_old_messages();
    rig.start(A);
    rig.run_until(|rig| rig.acting().len() == 3);
    let at = places(&rig, A)[3];
    rig.flip(A, at, 70);
    rig.run_for(30 * SECOND);
    let care = rig.core(A).care();
    assert_eq!((care.damaged_segments, care.repaired), (1, 1));
    assert!(care.scrubs > 0);
    assert!(places(&rig, A).iter().all(|at| at.segment > 1), "emptied");
    assert_eq!(five_bodies(&mut rig), sent);
}

#[test]
fn one_full_disk_stops_sends_and_receives_everywhere_until_there_is_room() {
    let mut rig = trio();
    rig.send(A, "before").unwrap();
    let disk = rig.disk(C).clone();
    let used = |name: &String| disk.open(name).and_then(|file| file.len()).unwrap_or(0);
    let used: u64 = disk.list().unwrap().iter().map(used).sum();
    disk.set_capacity(Some(used));
    // What was made ahead is used up, and nothing more can be made.
    let received = loop {
        let body: &'static str = Box::leak("z".repeat(200_000).into_boxed_str());
        if rig.core(A).engine().fullest_disk() >= 95 {
            break rig.execute(A, receive(1, None), vec![]).unwrap_err();
        }
        // Taken, until the others hear how full the disk is.
        let _ = rig.send(B, body);
        rig.run_for(SECOND / 2);
    };
    assert_eq!(received.code, ErrorCode::DiskFull);
    assert_eq!(received.applied, Applied::No);
    disk.set_capacity(None);
    rig.run_for(5 * SECOND);
    rig.send(A, "after").unwrap();
    let received = rig.execute(B, receive(1, None), vec![]).unwrap();
    assert_eq!(deliveries(&received).len(), 1);
}

const CHECKPOINT: &str = "checkpoint.redb";

/// Places of the checkpoint's file that hold something.
fn used_bytes(disk: &MemDisk) -> Vec<u64> {
    let file = disk.open(CHECKPOINT).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    let places = bytes.iter().zip(0..).filter(|(byte, _)| **byte != 0);
    places.map(|(_, at)| at).collect()
}

/// Wherever its checkpoint is hit: a host starts, and has the state of the others soon.
#[test]
fn a_host_with_a_damaged_checkpoint_mends_it_or_gets_the_state_from_a_peer() {
    const ROUNDS: usize = 20;
    let (mut mended, mut given) = (0, 0);
    for round in 0..ROUNDS {
        let (mut rig, sent) = five_old_messages();
        let used = used_bytes(rig.disk(A));
        let at = used[round * used.len() / ROUNDS];
        rig.disk(A).flip(CHECKPOINT, at, 1 << (round % 8));
        rig.start(A);
        assert_eq!(five_bodies(&mut rig), sent, "byte {at}");
        rig.run_for(3 * SECOND);
        mended += rig.core(A).care().checkpoints_mended;
        given += rig.restarts(A);
        let hash = |host| rig.core(host).machine().full_hash();
        assert_eq!(hash(A), hash(B), "byte {at}");
        // And again from what it has on disk now.
        rig.kill(A);
        rig.start(A);
        assert_eq!(rig.core(A).care().checkpoint_damage, 0, "byte {at}");
        assert_eq!(five_bodies(&mut rig), sent, "byte {at}");
    }
    assert!(mended > 0 && given > 0, "{mended} mended, {given} given");
}

/// What it promised is in the copy of the head: without any of its checkpoint a host is still itself.
#[test]
fn a_host_whose_checkpoint_is_gone_gets_the_state_from_a_peer() {
    let (mut rig, sent) = five_old_messages();
    rig.disk(A).remove(CHECKPOINT).unwrap();
    rig.start(A);
    assert_eq!(five_bodies(&mut rig), sent);
    assert_eq!(rig.restarts(A), 1);
}

#[test]
fn the_scrub_finds_a_damaged_checkpoint_and_it_is_written_anew() {
    let (mut rig, sent) = five_old_messages();
    rig.start(A);
    rig.run_until(|rig| rig.acting().len() == 3);
    rig.run_for(2 * SECOND);
    let used = used_bytes(rig.disk(A));
    // Behind redb's own header, which is written with every checkpoint.
    let hit = used.iter().filter(|at| **at >= 4_096).step_by(50);
    for at in hit {
        rig.disk(A).flip(CHECKPOINT, *at, 1);
    }
    rig.run_for(30 * SECOND);
    let care = rig.core(A).care();
    assert!(
        care.checkpoint_damage > 0 && care.checkpoints_mended > 0,
        "{care:?}"
    );
    rig.kill(A);
    rig.start(A);
    assert_eq!(rig.core(A).care().checkpoint_damage, 0);
    assert_eq!(five_bodies(&mut rig), sent);
}

/// The end of a log, cut where it had been acknowledged, may look like one that was never written. Then
/// the other members know better: they refuse this host, or give it what it lacks before it counts again.
#[test]
fn a_log_cut_in_acknowledged_territory_is_refused_or_made_good_by_the_others() {
    type Damage = fn(&MemDisk, &str);
    let damages: [(&str, Damage); 6] = [
        ("the newest segment deleted", |disk, name| {
            disk.remove(name).unwrap();
        }),
        ("cut to its header", |disk, name| {
            disk.open(name).unwrap().set_len(4_096).unwrap();
        }),
        ("cut to nothing", |disk, name| {
            disk.open(name).unwrap().set_len(0).unwrap();
        }),
        ("zeros behind its header", |disk, name| {
            zero(disk, name, 4_096)
        }),
        ("zeros all over", |disk, name| zero(disk, name, 0)),
        ("zeros in its second half", |disk, name| {
            let used = last_used(disk, name);
            zero(disk, name, used / 2);
        }),
    ];
    for (what, damage) in damages {
        let (mut rig, _) = five_old_messages();
        rig.start(A);
        rig.run_until(|rig| rig.acting().len() == 3);
        for _ in 0..20 {
            rig.send(A, "acknowledged by A").unwrap();
        }
        let newest = segments(&rig, A).pop().unwrap();
        rig.kill(A);
        damage(rig.disk(A), &format!("{newest:010}.segment"));
        let Ok(()) = rig.try_start(A) else {
            continue;
        };
        rig.run_for(5 * SECOND);
        // It is behind where the others sealed what it had acknowledged, or knows an earlier view only.
        match rig.core(A).state() {
            HostState::Forgotten => {}
            HostState::Acting => {
                let hash = |host| rig.core(host).machine().full_hash();
                assert_eq!(hash(A), hash(B), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(rig.core(B).machine().totals().0, 25, "{what}");
    }
}

fn last_used(disk: &MemDisk, name: &str) -> u64 {
    let file = disk.open(name).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64
}

fn zero(disk: &MemDisk, name: &str, from: u64) {
    let file = disk.open(name).unwrap();
    let zeros = vec![0; (file.len().unwrap() - from) as usize];
    file.write_at(from, &[&zeros]).unwrap();
}
