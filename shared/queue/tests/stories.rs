//! What users rely on, told case by case. Each test is one story of a queue; the model test covers
//! the combinations.

mod descriptions;
mod desk;
mod fair_turns;
mod leases;
mod succession;
mod transfers;

use desk::{Desk, QUEUE, SECOND, item, keyed, origin, plain_settings, seconds};
use shoal_queue::{Effect, Machine, RestoreError, RowBodies, RowBody};
use shoal_types::limits::{DUE_ITEMS_PER_ENTRY, LEASED_MAX, LEASES_PER_MESSAGE_MAX};
use shoal_types::{
    BodyRef, Command, ErrorCode, Outcome, PartitionId, PartitionSettings, ReceiptResult, Revision,
    SendResult, Sequence,
};

#[test]
fn numbers_have_no_gap_whatever_is_refused_in_between() {
    let mut desk = Desk::with(PartitionSettings {
        max_messages: 3,
        ..plain_settings()
    });
    let sent = desk.send(vec![
        item(1),
        keyed(item(1), 7),
        keyed(item(1), 7),
        item(1),
        item(1),
    ]);
    assert_eq!(
        sent,
        [
            SendResult::Accepted(Sequence(1)),
            SendResult::Accepted(Sequence(2)),
            SendResult::Duplicate(Sequence(2)),
            SendResult::Accepted(Sequence(3)),
            SendResult::Full,
        ]
    );
    let received = desk.receive(1);
    desk.acknowledge(&received);
    assert_eq!(
        desk.send(vec![item(1)]),
        [SendResult::Accepted(Sequence(4))]
    );
}

#[test]
fn a_lease_that_runs_out_brings_the_message_back_and_fences_the_old_receipt() {
    let mut desk = Desk::new();
    desk.send(vec![item(1)]);
    let first = desk.receive(1);
    assert_eq!(desk.receive(1), [], "it is leased");
    desk.wait(seconds(30));
    let second = desk.receive(1);
    assert_eq!(second[0].receive_count, 2);
    assert_eq!(second[0].first_received_at, first[0].first_received_at);
    assert_eq!(desk.acknowledge(&first), [ReceiptResult::Superseded]);
    assert_eq!(desk.acknowledge(&second), [ReceiptResult::Done]);
    assert_eq!(desk.acknowledge(&second), [ReceiptResult::Done], "again");
    desk.wait(seconds(60));
    assert_eq!(desk.receive(1), []);
}

#[test]
fn a_late_acknowledge_deletes_from_a_standard_queue_only() {
    for (fifo, result, left) in [
        (false, ReceiptResult::Done, 0),
        (true, ReceiptResult::Expired, 1),
    ] {
        let mut desk = Desk::with(PartitionSettings {
            fifo,
            ..plain_settings()
        });
        desk.send(vec![desk::grouped(item(1), "g")]);
        let received = desk.receive(1);
        desk.wait(seconds(31));
        assert_eq!(desk.acknowledge(&received), [result]);
        assert_eq!(desk.receive(9).len(), left);
    }
}

#[test]
fn an_extended_lease_lasts_longer_and_a_released_message_comes_back_sooner() {
    let mut desk = Desk::new();
    desk.send(vec![item(1), item(2)]);
    let received = desk.receive(2);
    desk.change_visibility(&received[..1], seconds(100));
    desk.release(&received[1..], seconds(5));
    assert_eq!(desk.receive(9), []);
    desk.wait(seconds(5));
    let again = desk.receive(9);
    assert_eq!(again[0].sequence, Sequence(2));
    assert_eq!(again[0].receive_count, 2, "a released message was received");
    desk.wait(seconds(94));
    assert_eq!(desk.receive(9).len(), 1, "only the second one");
    desk.wait(seconds(1));
    assert_eq!(desk.receive(9)[0].sequence, Sequence(1));
}

#[test]
fn a_message_that_no_client_saw_was_not_received() {
    let mut desk = Desk::new();
    desk.send(vec![item(1)]);
    let lost = desk.receive(1);
    desk.unreceive(&lost);
    let received = desk.receive(1);
    assert_eq!(received[0].receive_count, 1);
    assert_ne!(
        received[0].receipt, lost[0].receipt,
        "the old receipt stays fenced"
    );
    assert_eq!(desk.acknowledge(&lost), [ReceiptResult::Superseded]);
}

#[test]
fn a_group_goes_on_only_after_its_oldest_message_is_deleted() {
    let mut desk = Desk::fifo();
    desk.send_in_groups(&["a", "b", "a", "b", "a"]);
    assert_eq!(desk.numbers(2), [1, 2], "one of each");
    assert_eq!(desk.numbers(9), [0; 0], "both groups are locked");
    desk.wait(seconds(31));
    let both = desk.receive(2);
    assert_eq!(desk::numbers_of(&both), [1, 2], "the same come first again");
    desk.acknowledge(&both[..1]);
    assert_eq!(
        desk.numbers(9),
        [3, 5],
        "as many of a as there are, none of b"
    );
}

#[test]
fn a_released_fifo_message_waits_for_its_leased_successors() {
    let mut desk = Desk::fifo();
    desk.send_in_groups(&["a", "a", "a"]);
    let all = desk.receive(2);
    desk.release(&all[..1], 0);
    assert_eq!(desk.numbers(9), [0; 0], "2 is still out");
    desk.acknowledge(&all[1..]);
    assert_eq!(desk.numbers(9), [1, 3]);
}

#[test]
fn a_delayed_message_holds_up_its_group_but_no_other() {
    let mut desk = Desk::fifo();
    let mut late = desk::grouped(item(1), "a");
    late.delay = Some(seconds(10));
    desk.send(vec![
        late,
        desk::grouped(item(2), "a"),
        desk::grouped(item(3), "b"),
    ]);
    assert_eq!(desk.numbers(9), [3]);
    desk.wait(seconds(10));
    assert_eq!(desk.numbers(9), [1, 2]);
}

#[test]
fn a_key_counts_for_five_minutes_and_tells_other_content_apart() {
    let mut desk = Desk::new();
    let with_fingerprint = |fingerprint| {
        let mut item = keyed(item(1), 1);
        item.deduplication.as_mut().unwrap().fingerprint = Some(fingerprint);
        item
    };
    assert_eq!(
        desk.send(vec![with_fingerprint(5)]),
        [SendResult::Accepted(Sequence(1))]
    );
    desk.wait(seconds(299));
    assert_eq!(
        desk.send(vec![with_fingerprint(5)]),
        [SendResult::Duplicate(Sequence(1))]
    );
    assert_eq!(desk.send(vec![with_fingerprint(6)]), [SendResult::Conflict]);
    desk.purge();
    assert_eq!(
        desk.send(vec![keyed(item(1), 1)]),
        [SendResult::Duplicate(Sequence(1))]
    );
    desk.wait(seconds(1));
    assert_eq!(
        desk.send(vec![with_fingerprint(6)]),
        [SendResult::Accepted(Sequence(2))]
    );
}

#[test]
fn after_a_conflict_nothing_more_of_the_same_request_is_taken() {
    // A batch repeated under its idempotency key with one more message was answered as a conflict, but
    // the extra message, whose key nobody had used, was kept.
    let mut desk = Desk::new();
    let of_request = |key, fingerprint| {
        let mut item = keyed(item(1), key);
        item.deduplication.as_mut().unwrap().fingerprint = Some(fingerprint);
        item
    };
    desk.send(vec![of_request(1, 5)]);
    let longer = vec![of_request(1, 6), of_request(2, 6)];
    assert_eq!(
        desk.send(longer),
        [SendResult::Conflict, SendResult::Conflict]
    );
    assert_eq!(desk.numbers(9), [1]);
}

#[test]
fn a_waiting_receive_gets_the_next_message_oldest_waiter_first() {
    let mut desk = Desk::new();
    let (first, second) = (desk.wait_for(1, 20), desk.wait_for(1, 20));
    desk.send(vec![item(1)]);
    assert_eq!(desk.given(), [(first, vec![1])]);
    assert_eq!(desk.receive(1), [], "giving is the lease");
    desk.send(vec![item(1)]);
    assert_eq!(desk.given(), [(second, vec![2])]);
}

#[test]
fn a_waiting_receive_gets_what_runs_out_or_is_released_and_its_end_if_nothing_does() {
    let mut desk = Desk::new();
    desk.send(vec![item(1), item(2)]);
    let received = desk.receive(2);
    let first = desk.wait_for(9, 20);
    desk.release(&received[..1], 0);
    assert_eq!(desk.given(), [(first, vec![1])]);
    desk.wait(seconds(15));
    let second = desk.wait_for(9, 20);
    desk.wait(seconds(15));
    assert_eq!(desk.given(), [(second, vec![1, 2])]);
    let third = desk.wait_for(9, 20);
    desk.wait(seconds(20));
    assert_eq!(desk.given(), [(third, vec![])]);
}

#[test]
fn a_waiter_follows_its_client_to_another_host() {
    let mut desk = Desk::new();
    let waiter = desk.wait_for(1, 20);
    assert_eq!(desk.repeat(waiter, origin(2)), Outcome::Waiting);
    desk.view(&[origin(2)]);
    desk.cancel(waiter, origin(1));
    desk.send(vec![item(1)]);
    let [Effect::Given { origin: at, .. }] = &desk.effects()[..] else {
        panic!("the waiter stays: its client is at host 2 now");
    };
    assert_eq!(*at, origin(2));
    let Outcome::Received(again) = desk.repeat(waiter, origin(3)) else {
        panic!("what it was given is given again");
    };
    assert_eq!(desk::numbers_of(&again), [1]);
    assert_eq!(again[0].receive_count, 1);
}

#[test]
fn waiters_of_a_host_that_is_gone_get_nothing() {
    let mut desk = Desk::new();
    let waiter = desk.wait_for(1, 20);
    desk.view(&[origin(2)]);
    desk.send(vec![item(1)]);
    assert_eq!(desk.given(), []);
    let Outcome::Received(now) = desk.repeat(waiter, origin(2)) else {
        panic!("the request counts as new and finds the message");
    };
    assert_eq!(desk::numbers_of(&now), [1]);
}

#[test]
fn what_was_given_to_a_client_that_left_goes_back_uncounted() {
    let mut desk = Desk::new();
    let waiter = desk.wait_for(1, 20);
    desk.send(vec![item(1)]);
    desk.cancel(waiter, origin(1));
    assert_eq!(desk.receive(1)[0].receive_count, 1);
}

#[test]
fn a_repeated_request_changes_nothing_until_its_deadline() {
    let mut desk = Desk::new();
    let sent = desk.send(vec![item(1)]);
    let send = desk.last_request();
    desk.wait(seconds(10));
    assert_eq!(desk.repeat(send, origin(2)), Outcome::Sent(sent));
    assert_eq!(desk.counts().ready, 1);
    desk.wait(seconds(1));
    let Outcome::Refused(refusal) = desk.repeat(send, origin(2)) else {
        panic!("it is late");
    };
    assert_eq!(refusal.code, ErrorCode::DeadlineExceeded);
    assert_eq!(desk.counts().ready, 1);
}

#[test]
fn a_receive_that_deletes_at_once_can_be_repeated_by_its_request() {
    let mut desk = Desk::new();
    desk.send(vec![item(5), item(6)]);
    let taken = desk.take(9);
    assert_eq!(desk::numbers_of(&taken), [1, 2]);
    assert_eq!(desk.counts().bytes, 0);
    let request = desk.last_request();
    assert_eq!(desk.repeat(request, origin(2)), Outcome::Received(taken));
    assert_eq!(desk.live_bodies(), 2, "the answer may be asked for again");
    desk.wait(seconds(12));
    assert_eq!(desk.live_bodies(), 0);
}

#[test]
fn an_attempt_repeated_gives_the_same_messages_while_they_are_leased() {
    let mut desk = Desk::new();
    desk.send(vec![item(1), item(2), item(3)]);
    let first = desk.attempt(2, 1);
    assert_eq!(desk.attempt(2, 1), first);
    desk.acknowledge(&first[..1]);
    assert_eq!(desk.attempt(2, 1), first[1..], "what is left of it");
    desk.wait(seconds(30));
    assert_eq!(
        desk::numbers_of(&desk.attempt(2, 1)),
        [2, 3],
        "a new receive"
    );
}

#[test]
fn a_cancelled_receive_keeps_what_its_attempt_told_another() {
    // The client of the waiting receive left after the messages were given to it, and came back with
    // its attempt id in a new request. Then the first host noticed that the client had left: it took
    // the leases away from the consumer that was working under them.
    let mut desk = Desk::new();
    let first = desk.wait_in_attempt(2, 1);
    desk.send(vec![item(1), item(2)]);
    let told = desk.attempt(2, 1);
    assert_eq!(desk::numbers_of(&told), [1, 2]);
    desk.cancel(first, origin(1));
    assert_eq!(desk.numbers(9), [], "they are in the consumer's hands");
    assert_eq!(desk.attempt(2, 1), told);
}

#[test]
fn a_receive_that_deletes_at_once_repeats_no_attempt() {
    // It gave the messages that the attempt had leased, deleted none of them, and they came back.
    let mut desk = Desk::new();
    desk.send(vec![item(1), item(2)]);
    desk.attempt(1, 1);
    assert_eq!(desk::numbers_of(&desk.take_in_attempt(1, 1)), [2]);
    desk.wait(seconds(30));
    assert_eq!(desk.numbers(9), [1]);
}

#[test]
fn a_receive_gives_less_rather_than_more_bytes_than_an_answer_holds() {
    let mut desk = Desk::new();
    desk.send(vec![item(3 << 20), item(1 << 20), item(1)]);
    assert_eq!(desk.numbers(9), [1, 2]);
    assert_eq!(desk.numbers(9), [3]);
}

#[test]
fn time_to_live_and_retention_end_a_message_whoever_has_it() {
    let mut desk = Desk::new();
    let mut short = item(1);
    short.ttl = Some(seconds(10));
    desk.send(vec![short.clone(), item(2)]);
    let received = desk.receive(1);
    desk.wait(seconds(10));
    assert_eq!(desk.counts().in_flight, 0);
    assert_eq!(desk.acknowledge(&received), [ReceiptResult::Done]);
    assert_eq!(
        desk.change_visibility(&received, SECOND),
        [ReceiptResult::Gone]
    );
    desk.wait(plain_settings().retention - seconds(10));
    assert_eq!(desk.receive(1), []);
    assert_eq!(desk.totals(), (0, 0));
}

#[test]
fn a_purge_leaves_nothing_and_goes_on_counting() {
    let mut desk = Desk::fifo();
    desk.send_in_groups(&["a", "b", "a"]);
    let received = desk.receive(1);
    desk.purge();
    assert_eq!(desk.counts().ready + desk.counts().in_flight, 0);
    assert_eq!(desk.acknowledge(&received), [ReceiptResult::Done]);
    assert_eq!(desk.numbers(9), [0; 0]);
    desk.send_in_groups(&["a"]);
    assert_eq!(desk.numbers(9), [4], "and its group is free");
}

#[test]
fn a_purged_million_is_out_of_sight_at_once_and_freed_bit_by_bit() {
    let mut desk = Desk::new();
    for _ in 0..1_000 {
        desk.send(vec![item(10); 1_000]);
    }
    let full = desk.machine().memory_estimate();
    desk.purge();
    assert_eq!(desk.totals(), (0, 0));
    assert_eq!(desk.receive(1), []);
    assert!(desk.machine().memory_estimate() < full / 2);
    assert!(desk.live_bodies() > 900_000, "nothing was walked through");
    assert!(
        desk.machine().next_due() <= Some(desk.now()),
        "ticks free it"
    );
    let mut ticks = 0;
    while desk.live_bodies() > 0 {
        desk.wait(1);
        ticks += 1;
    }
    assert!(ticks < 100, "{ticks}");
}

#[test]
fn a_purge_survives_a_restart_at_every_stage_of_its_clearing() {
    let mut desk = Desk::new();
    for _ in 0..50 {
        desk.send(vec![item(10); 1_000]);
    }
    desk.checkpoint();
    desk.purge();
    desk.send(vec![item(1)]);
    for _ in 0..6 {
        desk.restart();
        assert_eq!(desk.totals(), (1, 1));
        assert_eq!(desk.live_bodies(), 1, "a restart knows what is dead");
        desk.wait(1);
        desk.checkpoint();
    }
    assert_eq!(desk.stored_chunks(), 1);
    assert_eq!(desk.numbers(9), [50_001]);
}

#[test]
fn a_deleted_partition_does_not_come_back() {
    let mut desk = Desk::new();
    desk.send(vec![item(1)]);
    let waiter = desk.wait_for_other(1);
    let gone = |revision| Command::DeletePartition {
        partition: QUEUE,
        revision: Revision(revision),
    };
    let create = |revision| Command::CreatePartition {
        partition: QUEUE,
        settings: plain_settings(),
        revision: Revision(revision),
    };
    assert_eq!(desk.refusal(gone(0)), ErrorCode::Fenced);
    assert_eq!(desk.request(gone(5)), Outcome::Done);
    assert_eq!(desk.given(), [(waiter, vec![])], "who waits is told");
    assert_eq!(desk.request(gone(5)), Outcome::Done, "again");
    desk.restart();
    assert_eq!(desk.refusal(create(1)), ErrorCode::Fenced);
    assert_eq!(
        desk.refusal(create(9)),
        ErrorCode::Fenced,
        "ids are not used again"
    );
    let purge = Command::Purge { partition: QUEUE };
    assert_eq!(desk.refusal(purge), ErrorCode::QueueNotFound);
    let purge = Command::Purge {
        partition: PartitionId(77),
    };
    assert_eq!(desk.refusal(purge), ErrorCode::StaleRoute);
    desk.wait(seconds(120));
    desk.checkpoint();
    assert_eq!(desk.stored_chunks(), 0);
}

#[test]
fn a_deletion_overtaking_the_creation_wins() {
    let mut desk = Desk::new();
    let partition = PartitionId(5);
    let revision = Revision(8);
    let delete = Command::DeletePartition {
        partition,
        revision,
    };
    assert_eq!(desk.request(delete), Outcome::Done);
    let create = Command::CreatePartition {
        partition,
        settings: plain_settings(),
        revision: Revision(7),
    };
    assert_eq!(desk.refusal(create), ErrorCode::Fenced);
}

#[test]
fn due_work_is_done_in_slices_and_receives_do_not_wait_for_the_timer() {
    let mut desk = Desk::new();
    for _ in 0..5 {
        desk.send(vec![item(1); 1_000]);
        assert_eq!(desk.receive(1_000).len(), 1_000);
    }
    desk.wait(seconds(30));
    assert_eq!(desk.counts().ready, DUE_ITEMS_PER_ENTRY as u64);
    assert_eq!(
        desk.machine().next_due().unwrap().since(desk.now()),
        0,
        "more is due"
    );
    for _ in 0..4 {
        assert_eq!(desk.receive(1_000).len(), 1_000, "all run out by the clock");
    }
}

#[test]
fn no_more_leases_than_the_limit_and_the_next_as_soon_as_one_ends() {
    let mut desk = Desk::new();
    let mut last = Vec::new();
    for _ in 0..LEASED_MAX / 1_000 {
        desk.send(vec![item(1); 1_000]);
        last = desk.receive(1_000);
    }
    desk.send(vec![item(1); 3]);
    assert_eq!(desk.receive(1), []);
    let waiter = desk.wait_for(2, 10);
    assert_eq!(desk.take(1).len(), 1, "deleting at once needs no lease");
    desk.acknowledge(&last[..1]);
    assert_eq!(desk.given(), [(waiter, vec![LEASED_MAX as u64 + 2])]);
}

#[test]
fn a_message_whose_lease_counter_is_used_up_waits_for_its_end() {
    let mut desk = Desk::new();
    desk.send(vec![item(1), item(2)]);
    for _ in 0..LEASES_PER_MESSAGE_MAX {
        let received = desk.receive(1);
        assert_eq!(received[0].sequence, Sequence(1));
        desk.release(&received, 0);
    }
    desk.restart();
    assert_eq!(desk.numbers(9), [2]);
    assert_eq!(desk.counts().ready, 1, "it is there and goes in time");
}

#[test]
fn ready_messages_take_at_most_48_bytes_groups_120_and_empty_queues_800() {
    let mut desk = Desk::new();
    for _ in 0..200 {
        desk.send(vec![item(1); 1_000]);
    }
    desk.wait(seconds(120));
    desk.wait(1);
    let per_message = desk.machine().memory_estimate() / 200_000;
    assert!(per_message <= 48, "{per_message}");

    let mut desk = Desk::fifo();
    let groups = 50_000;
    for n in 0..groups / 1_000 {
        let names = (0..1_000).map(|m| format!("customer-{:08}", n * 1_000 + m));
        desk.send(names.map(|name| desk::grouped(item(1), &name)).collect());
    }
    desk.wait(seconds(120));
    desk.wait(1);
    // Slot and link of its one message are not the group's.
    let per_group = desk.machine().memory_estimate() / groups - 64;
    assert!(per_group <= 120, "{per_group}");

    let mut desk = Desk::new();
    let queues = 10_000;
    for n in 0..queues {
        desk.request(Command::CreatePartition {
            partition: PartitionId(100 + n),
            settings: plain_settings(),
            revision: Revision(1),
        });
    }
    for _ in 0..20 {
        desk.wait(seconds(20));
    }
    let per_queue = desk.machine().memory_estimate() / queues as usize;
    assert!(per_queue <= 800, "{per_queue}");
}

#[test]
fn admission_refuses_what_could_only_be_refused_later() {
    let mut desk = Desk::with(PartitionSettings {
        max_messages: 1,
        ..plain_settings()
    });
    let send = |items| Command::Send {
        partition: QUEUE,
        items,
    };
    assert_eq!(desk.admit(send(vec![item(1)]), 10), Ok(()));
    desk.send(vec![item(1)]);
    assert_eq!(
        desk.admit(send(vec![item(1)]), 10),
        Err(ErrorCode::QueueFull)
    );
    assert_eq!(
        desk.admit(send(vec![keyed(item(1), 1)]), 10),
        Ok(()),
        "it may be a repetition"
    );
    assert_eq!(
        desk.admit(send(vec![item(1); 1_001]), 10),
        Err(ErrorCode::TooLarge)
    );
    assert_eq!(
        desk.admit(Command::Tick, 61),
        Err(ErrorCode::InvalidRequest)
    );
    assert_eq!(
        desk.admit(Command::Tick, -1),
        Err(ErrorCode::DeadlineExceeded)
    );
    let elsewhere = Command::Purge {
        partition: PartitionId(9),
    };
    assert_eq!(desk.admit(elsewhere, 10), Err(ErrorCode::StaleRoute));
}

#[test]
fn a_receive_without_a_request_id_is_answered_at_once() {
    let mut desk = Desk::new();
    let receive = Command::Receive {
        partition: QUEUE,
        max: 1,
        visibility: None,
        wait_until: Some(desk.now().after(SECOND)),
        attempt: None,
        auto_ack: false,
    };
    let outcome = desk.anonymous(receive);
    assert_eq!(outcome, Outcome::Received(vec![]), "nobody could ask again");
}

#[test]
fn a_queue_takes_exactly_as_many_bytes_as_it_may_have() {
    let mut desk = Desk::with(PartitionSettings {
        max_bytes: 10,
        ..plain_settings()
    });
    let sent = desk.send(vec![item(4), item(7), item(6), item(1)]);
    assert_eq!(
        sent,
        [
            SendResult::Accepted(Sequence(1)),
            SendResult::Full,
            SendResult::Accepted(Sequence(2)),
            SendResult::Full,
        ]
    );
}

#[test]
fn a_checkpoint_that_is_damaged_is_refused_with_its_key() {
    let mut desk = Desk::new();
    desk.send(vec![item(1)]);
    desk.checkpoint();
    let stored = desk.stored().clone();
    assert!(Machine::restore(stored.clone()).is_ok());
    for key in stored.keys() {
        let mut cut = stored.clone();
        cut.get_mut(key).unwrap().pop();
        let error = Machine::restore(cut).unwrap_err();
        assert!(
            matches!(&error, RestoreError::Value { key: of, .. } if of == key),
            "{error}"
        );
        let mut without = stored.clone();
        without.remove(key);
        // What a request was answered may have been forgotten; a queue without its record is gone
        // with all it had; anything else is missed.
        let may_be_missing = [2, 6].contains(&key[0]);
        assert_eq!(Machine::restore(without).is_ok(), may_be_missing, "{key:?}");
    }
    let unknown = (vec![99], vec![1]);
    let error = Machine::restore(stored.into_iter().chain([unknown])).unwrap_err();
    assert_eq!(error, RestoreError::Key(vec![99]));
}

#[test]
fn rows_that_travel_are_the_same_state_with_other_places_of_bodies() {
    let mut desk = Desk::new();
    desk.send(vec![item(3); 400]);
    let received = desk.receive(5);
    desk.acknowledge(&received);
    desk.take(3);
    desk.checkpoint();
    // Purged messages are in rows that were stored before, and their bodies may be gone.
    desk.purge();
    desk.send(vec![item(4); 20]);
    desk.take(2);
    desk.checkpoint();
    let (mut sender, mut sent) = (RowBodies::default(), Vec::new());
    let mut bodies = 0;
    for (key, value) in desk.stored() {
        let count = |_: RowBody| {
            bodies += 1;
            BodyRef::default()
        };
        let row = sender.replace(key, value, count).unwrap();
        sent.extend(row.map(|value| (key.clone(), value)));
    }
    assert_eq!(bodies, 18 + 3 + 2, "waiting, or to be told once more");
    let (mut receiver, mut next) = (RowBodies::default(), 0);
    let mut place = |_: RowBody| {
        next += 1;
        BodyRef {
            segment: 900,
            offset: next,
        }
    };
    let placed = sent.into_iter().map(|(key, value)| {
        let value = receiver.replace(&key, &value, &mut place).unwrap();
        (key, value.expect("what is dead was not sent"))
    });
    let there = Machine::restore(placed.collect::<Vec<_>>()).unwrap();
    assert_eq!(there.full_hash(), desk.machine().full_hash());
    let segments: Vec<_> = there.live_bodies().keys().copied().collect();
    assert_eq!(segments, [900]);
}
