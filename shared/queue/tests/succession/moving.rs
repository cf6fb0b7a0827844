//! Whole moves, as producers and consumers see them.

use shoal_types::{
    Command, Delivery, Inherited, Outcome, PartitionId, Revision, SendResult, Sequence,
    SuccessionStage,
};

use super::{NEXT, create_fifo, desk};
use crate::desk::{Desk, QUEUE, grouped, item, keyed, seconds};

/// Sends where frontends would: where it was sent last, and on to where the answer points.
fn send(desk: &mut Desk, at: &mut PartitionId, group: &str, key: u8) -> SendResult {
    loop {
        let message = keyed(grouped(item(u32::from(key)), group), key);
        match desk.send_to(*at, vec![message]) {
            Outcome::Sent(results) => return results[0],
            Outcome::Sealed(seal) => {
                *at = seal.successors[0].partition;
                desk.tell_keyed_sends(*at, &seal, 2);
                desk.told(*at, &seal, Inherited::Seal);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Receives from the oldest partition on, deletes what came, and tells the successor what is gone.
fn receive(desk: &mut Desk, got: &mut Vec<(String, u32)>) {
    for partition in [QUEUE, NEXT] {
        let received = desk.receive_from(partition);
        if received.is_empty() {
            continue;
        }
        let one = |d: &Delivery| (d.group.clone().unwrap().to_string(), d.size);
        got.extend(received.iter().map(one));
        desk.delete_all(&received);
    }
    let SuccessionStage::Sealed { seal, .. } = desk.succession(QUEUE).stage else {
        return;
    };
    let gone = desk.machine().groups_gone(QUEUE).expect("it is sealed");
    desk.told(NEXT, &seal, Inherited::GroupsGone(gone));
}

#[test]
fn groups_stay_in_order_and_keys_stay_known_over_a_move() {
    let mut desk = desk(true);
    let mut at = QUEUE;
    let mut got = Vec::new();
    for key in 1..=4 {
        send(
            &mut desk,
            &mut at,
            if key % 2 == 0 { "even" } else { "odd" },
            key,
        );
    }
    // Somebody has the first odd message in hand: its group stays at the old place.
    let odd = desk.receive(1);
    desk.request(create_fifo(NEXT, 1, &[QUEUE]));
    desk.seal(QUEUE, NEXT, 1);
    let fifth = send(&mut desk, &mut at, "odd", 5);
    assert!(matches!(fifth, SendResult::Accepted(n) if n.epoch().0 == 1));
    assert_eq!(at, NEXT);
    send(&mut desk, &mut at, "even", 6);
    desk.restart();

    // Repeated by a producer who never heard the answer, at the old place and at the new.
    let first = SendResult::Duplicate(Sequence(1));
    for mut at in [QUEUE, NEXT] {
        assert_eq!(send(&mut desk, &mut at, "odd", 1), first);
    }
    receive(&mut desk, &mut got);
    receive(&mut desk, &mut got);
    let even = |n| ("even".to_owned(), n);
    assert_eq!(got, [2, 4, 6].map(even), "odd ones wait, even ones do not");
    desk.acknowledge(&odd);
    receive(&mut desk, &mut got);
    receive(&mut desk, &mut got);
    let odd = |n| ("odd".to_owned(), n);
    assert_eq!(got[3..], [3, 5].map(odd));

    // All is told: the old one goes, and what came of it stays known.
    let SuccessionStage::Sealed { seal, .. } = desk.succession(QUEUE).stage else {
        panic!("it is sealed")
    };
    assert_eq!(desk.told(NEXT, &seal, Inherited::Drained), Outcome::Done);
    let told = Command::ToldDrained {
        partition: QUEUE,
        successors: vec![NEXT],
    };
    assert_eq!(desk.request(told), Outcome::Done);
    let delete = Command::DeletePartition {
        partition: QUEUE,
        revision: Revision(30),
    };
    assert_eq!(desk.request(delete), Outcome::Done);
    assert_eq!(send(&mut desk, &mut at, "odd", 1), first);
    desk.wait(seconds(300));
    let again = send(&mut desk, &mut at, "odd", 1);
    assert!(matches!(again, SendResult::Accepted(_)));
}

#[test]
fn nothing_lands_in_the_old_partition_after_it_landed_in_the_new() {
    // The seal comes after so many sends; producers know the old place only.
    for sealed_after in 0..=6u8 {
        let mut desk = desk(true);
        desk.request(create_fifo(NEXT, 1, &[QUEUE]));
        let mut last = Sequence(0);
        for n in 0..6 {
            if n == sealed_after {
                desk.seal(QUEUE, NEXT, 1);
            }
            let SendResult::Accepted(sequence) = send(&mut desk, &mut { QUEUE }, "g", n) else {
                panic!("each is new")
            };
            assert!(sequence > last, "in the order in which they were sent");
            last = sequence;
            let moved = n >= sealed_after;
            assert_eq!(sequence.epoch().0, u32::from(moved));
        }
    }
}
