//! Stories of groups in standard queues, which give their messages by turns.

mod dwell;

use shoal_queue::MACHINE_VERSION_MAX;
use shoal_types::{Command, Epoch, Outcome, PartitionId, PartitionSettings, Revision, SendItem};

use crate::desk::{Desk, QUEUE, grouped, item, numbers_of, plain_settings, seconds};

/// The first rules that know turns.
const TURNS: shoal_types::MachineVersion = shoal_types::MachineVersion(3);

fn raise(desk: &mut Desk) {
    let to = MACHINE_VERSION_MAX;
    assert!(to >= TURNS);
    assert_eq!(desk.anonymous(Command::RaiseVersion { to }), Outcome::Done);
}

/// A standard queue whose groups take turns.
pub(crate) fn desk() -> Desk {
    let mut desk = Desk::new();
    raise(&mut desk);
    desk
}

/// One message of each of these groups; `-` stands for none.
fn send(desk: &mut Desk, groups: &str) {
    let of = |group: &str| match group {
        "-" => item(1),
        group => grouped(item(1), group),
    };
    desk.send(groups.split_whitespace().map(of).collect());
}

#[test]
fn groups_give_one_message_each_and_go_to_the_end_of_the_line() {
    let mut desk = desk();
    send(&mut desk, "flood flood flood flood a b a");
    assert_eq!(desk.numbers(9), [1, 5, 6, 2, 7, 3, 4]);
}

#[test]
fn one_receive_after_the_other_goes_on_where_the_last_one_ended() {
    let mut desk = desk();
    send(&mut desk, "flood flood flood flood a b a");
    let mut numbers = Vec::new();
    for n in 0..7 {
        numbers.extend(desk.numbers(1));
        if n % 2 == 0 {
            desk.restart();
        }
    }
    assert_eq!(numbers, [1, 5, 6, 2, 7, 3, 4]);
}

#[test]
fn a_receive_that_deletes_at_once_takes_turns_too() {
    let mut desk = desk();
    send(&mut desk, "flood flood flood a");
    let taken: Vec<u64> = (0..4).flat_map(|_| numbers_of(&desk.take(1))).collect();
    assert_eq!(taken, [1, 4, 2, 3]);
}

#[test]
fn a_message_without_a_group_never_waits_for_what_came_later() {
    let mut desk = desk();
    send(&mut desk, "flood flood flood - - flood");
    assert_eq!(desk.numbers(2), [1, 4], "the flood had its turn");
    send(&mut desk, "-");
    // The flood stands behind 6 since its turn, so 5 goes first and 7 does not.
    assert_eq!(desk.numbers(9), [5, 2, 7, 3, 6]);
}

#[test]
fn without_groups_everything_goes_by_its_number() {
    let mut desk = desk();
    send(&mut desk, "- - - -");
    let first = desk.receive(2);
    desk.release(&first[..1], 0);
    assert_eq!(desk.numbers(9), [1, 3, 4]);
}

#[test]
fn what_comes_back_goes_first_within_its_group() {
    let mut desk = desk();
    send(&mut desk, "a a a a a a");
    let first = desk.receive(4);
    assert_eq!(numbers_of(&first), [1, 2, 3, 4]);
    // 2 comes before those that wait, 4 and 3 between, and 1 before all again.
    for back in [1, 3, 2, 0] {
        desk.release(&first[back..=back], 0);
        desk.restart();
    }
    send(&mut desk, "a");
    assert_eq!(desk.numbers(3), [1, 2, 3]);
    desk.restart();
    assert_eq!(desk.numbers(9), [4, 5, 6, 7]);
}

#[test]
fn what_comes_back_between_two_others_may_go_before_its_turn() {
    // It once was looked for in the list of those that wait in order, where it is not.
    let mut desk = desk();
    send(&mut desk, "a a a a");
    let first = desk.receive(3);
    desk.release(&first[..1], 0);
    desk.release(&first[2..], 0);
    desk.release(&first[1..2], 0);
    desk.acknowledge(&first[1..2]);
    assert_eq!(desk.numbers(1), [1]);
    assert_eq!(desk.numbers(9), [2, 3, 4]);
}

#[test]
fn a_group_that_got_something_again_stands_behind_those_that_wait() {
    let mut desk = desk();
    send(&mut desk, "a");
    let of_a = desk.receive(1);
    send(&mut desk, "b c");
    // A consumer that fails at once and for ever keeps nobody from the queue.
    desk.release(&of_a, 0);
    assert_eq!(desk.numbers(9), [2, 3, 1]);
}

#[test]
fn delayed_and_expired_messages_have_no_turn() {
    let mut desk = desk();
    let later = SendItem {
        delay: Some(seconds(5)),
        ..grouped(item(1), "a")
    };
    let short = SendItem {
        ttl: Some(seconds(3)),
        ..grouped(item(1), "b")
    };
    desk.send(vec![later, short.clone(), grouped(item(1), "b"), short]);
    send(&mut desk, "c");
    desk.wait(seconds(4));
    assert_eq!(
        desk.numbers(9),
        [3, 5],
        "b has its place as long as it has something"
    );
    desk.wait(seconds(1));
    assert_eq!(desk.numbers(9), [1]);
}

#[test]
fn a_purge_empties_the_line() {
    let mut desk = desk();
    send(&mut desk, "flood flood a b");
    desk.receive(1);
    desk.purge();
    desk.restart();
    send(&mut desk, "b flood flood a");
    assert_eq!(desk.numbers(9), [5, 6, 8, 7]);
}

#[test]
fn a_crowded_group_lets_others_go_first_and_never_stops() {
    let mut desk = desk();
    send(&mut desk, &"flood ".repeat(400));
    let mut of_flood = 0;
    for n in 0..300 {
        let tenant = format!("tenant-{n}");
        send(&mut desk, if n % 2 == 0 { &tenant } else { "-" });
        for delivery in desk.receive(1) {
            of_flood += u32::from(delivery.group.is_some_and(|group| &*group == "flood"));
        }
    }
    // At first about one in ten; each of its turns leaves one more of the others in line before it.
    assert!((8..=30).contains(&of_flood), "{of_flood}");
}

#[test]
fn a_crowded_group_has_all_turns_when_nobody_else_waits() {
    let mut desk = desk();
    send(&mut desk, &"flood ".repeat(25));
    assert_eq!(desk.numbers(25), (1..=25).collect::<Vec<_>>());
}

#[test]
fn crowded_groups_take_turns_among_each_other() {
    let mut desk = desk();
    send(&mut desk, &"x ".repeat(15));
    send(&mut desk, &"y ".repeat(15));
    assert_eq!(desk.numbers(4), [1, 16, 2, 17]);
    desk.restart();
    assert_eq!(desk.numbers(4), [3, 18, 4, 19]);
}

#[test]
fn messages_from_before_the_rules_knew_turns_go_by_their_numbers() {
    const KIND: u8 = 3;
    let versions = |desk: &mut Desk| {
        desk.checkpoint();
        let chunks = desk.stored().iter().filter(|(key, _)| key[0] == KIND);
        chunks.map(|(_, value)| value[0]).collect::<Vec<_>>()
    };
    let mut desk = Desk::new();
    send(&mut desk, "flood flood flood a");
    assert_eq!(versions(&mut desk), [1], "older releases can read it");
    raise(&mut desk);
    assert_eq!(versions(&mut desk), [1]);
    send(&mut desk, "flood flood a -");
    assert_eq!(versions(&mut desk), [2]);
    desk.restart();
    let before = desk.receive(4);
    assert_eq!(numbers_of(&before), [1, 2, 3, 4]);
    desk.release(&before[1..2], 0);
    desk.restart();
    assert_eq!(desk.numbers(9), [2, 5, 7, 8, 6]);
}

#[test]
fn other_kinds_of_queues_know_no_turns() {
    let mut desk = Desk::with(PartitionSettings {
        fifo: true,
        epoch: Epoch(0),
        ..plain_settings()
    });
    raise(&mut desk);
    send(&mut desk, "flood flood flood a");
    assert_eq!(desk.numbers(9), [1, 2, 3, 4]);
}

#[test]
fn groups_of_standard_queues_take_at_most_120_bytes() {
    const GROUPS: usize = 50_000;
    let mut desk = desk();
    for n in 0..GROUPS / 1_000 {
        let names = (0..1_000).map(|m| format!("tenant-{:07}", n * 1_000 + m));
        desk.send(names.map(|name| grouped(item(1), &name)).collect());
    }
    desk.wait(seconds(120));
    desk.wait(1);
    // Slot and link of its one message are not the group's.
    let per_group = desk.machine().memory_estimate() / GROUPS - 64;
    assert!(per_group <= 120, "{per_group}");
    // Once more around, which moves every group in line.
    for _ in 0..GROUPS / 1_000 {
        let received = desk.receive(1_000);
        desk.release(&received, 0);
    }
    desk.receive(1_000);
    desk.purge();
    for _ in 0..100 {
        desk.wait(seconds(20));
    }
    assert!(
        desk.machine().memory_estimate() < 200_000,
        "{}",
        desk.machine().memory_estimate()
    );
    desk.request(Command::DeletePartition {
        partition: QUEUE,
        revision: Revision(9),
    });
    assert_eq!(desk.machine().counts(PartitionId(1)), None);
}
