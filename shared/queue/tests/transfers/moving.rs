//! Tasks that move messages to other queues.

use shoal_types::limits::UNSETTLED_TARGETS_MAX;
use shoal_types::{
    Command, ErrorCode, MoveProgress, MoveStatus, MoveTask, MoveTo, Outcome, QueueId, Revision,
};

use super::{Both, DEAD, DEAD_ORDERS, ORDERS, move_all, parcels::is_refused, target};
use crate::desk::{Desk, QUEUE, item, numbers_of, seconds};

const OTHERS: QueueId = QueueId(8);

fn start(task: MoveTask, revision: u64) -> Command {
    Command::StartMove {
        partition: QUEUE,
        task: Box::new(task),
        revision: Revision(revision),
    }
}

fn cancel(task: u64, revision: u64) -> Command {
    Command::CancelMove {
        partition: QUEUE,
        task,
        revision: Revision(revision),
    }
}

fn one() -> MoveTo {
    MoveTo::One(target(DEAD_ORDERS, DEAD))
}

impl Desk {
    /// One dead letter of each of these queues comes, of one byte more than the one before.
    fn take_dead_of(&mut self, queues: impl IntoIterator<Item = u64>) {
        for (number, queue) in (1..).zip(queues) {
            let size = number as u32;
            let parcel = shoal_types::Parcel {
                number,
                messages: vec![shoal_types::Parceled {
                    sent_at: shoal_types::Ts(seconds(1_000)),
                    size,
                    crc: size,
                    group: None,
                    expires: None,
                    dead_from: Some(Box::new(shoal_types::DeadFrom {
                        queue: QueueId(queue),
                        message: shoal_types::MessageId {
                            partition: shoal_types::PartitionId(queue),
                            sequence: shoal_types::Sequence(number),
                        },
                        receives: 3,
                    })),
                }],
            };
            let taken = self.take_parcel(QUEUE, shoal_types::PartitionId(70), &parcel);
            assert_eq!(taken, Outcome::Taken { through: number });
        }
    }

    fn progress(&self) -> MoveProgress {
        self.outbox().task.expect("there is one")
    }
}

#[test]
fn a_task_moves_what_can_be_received_and_leaves_what_is_in_somebodys_hands() {
    for fifo in [false, true] {
        let mut both = Both::dying_after(9, fifo);
        both.source.send_in_groups(&["a", "a", "b", "c"]);
        let leased = both.source.receive(1);
        assert_eq!(numbers_of(&leased), [1]);
        assert_eq!(
            both.source.request(start(move_all(1, one()), 6)),
            Outcome::Done
        );
        both.source.send_in_groups(&["d"]);
        both.restart();
        both.carry_all();
        let progress = both.source.progress();
        assert_eq!(progress.status, MoveStatus::Completed);
        // In a FIFO queue nothing overtakes the one that is leased.
        let moved = if fifo { 2 } else { 3 };
        assert_eq!((progress.moved, progress.failed), (moved, 0));
        assert_eq!(progress.to_move, 3);
        let arrived = both.dead();
        assert_eq!(arrived.len() as u64, moved);
        assert_eq!(arrived[0].dead_from, None, "it is a message like any other");
        both.source.release(&leased, 0);
        let stayed = both.given(fifo);
        assert_eq!(stayed, if fifo { vec![1, 2, 5] } else { vec![1, 5] });
        both.restart();
        assert_eq!(both.source.progress(), progress, "it is remembered");
    }
}

#[test]
fn dead_letters_go_back_each_to_the_queue_in_which_it_died() {
    // From the dead-letter queue (here the source) to two queues; of a third nobody says where it is.
    let mut desk = super::desk(false);
    desk.take_dead_of([ORDERS.0, OTHERS.0, 99, ORDERS.0]);
    desk.send(vec![item(9)]);
    let to = MoveTo::Origins(vec![
        target(ORDERS, shoal_types::PartitionId(80)),
        target(OTHERS, shoal_types::PartitionId(81)),
    ]);
    assert_eq!(desk.request(start(move_all(1, to), 6)), Outcome::Done);
    let mut went = Vec::new();
    for _ in 0..10 {
        desk.next_parcel(desk.machine().parcels_made(QUEUE));
        desk.restart();
        let Some((to, parcel)) = desk.parcel() else {
            break;
        };
        let sizes = parcel.messages.iter().map(|one| one.size);
        went.push((to.0, sizes.collect::<Vec<_>>()));
    }
    went.retain(|(_, sizes)| !sizes.is_empty());
    assert_eq!(went, [(80, vec![1, 4]), (81, vec![2])]);
    let progress = desk.progress();
    assert_eq!(progress.status, MoveStatus::Completed);
    assert_eq!((progress.moved, progress.failed), (3, 2));
    let left: Vec<u32> = desk.receive(10).iter().map(|one| one.size).collect();
    assert_eq!(left, [3, 9]);
}

/// With as many targets to settle with as there may be, the parcel that settles was given up for messages that
/// could not go, and the next one too: nothing went, for ever.
#[test]
fn a_task_to_more_queues_than_may_be_unsettled_settles_in_between_and_goes_on() {
    let queues = UNSETTLED_TARGETS_MAX as u64 + 5;
    let mut desk = super::desk(false);
    desk.take_dead_of(1_000..1_000 + queues);
    let origin = |queue| target(QueueId(queue), shoal_types::PartitionId(queue));
    let origins = (1_000..1_000 + queues).map(origin).collect();
    let task = move_all(1, MoveTo::Origins(origins));
    assert_eq!(desk.request(start(task, 6)), Outcome::Done);
    let mut settled = 0;
    for _ in 0..3 * queues {
        desk.next_parcel(desk.machine().parcels_made(QUEUE));
        let Some((_, parcel)) = desk.parcel() else {
            break;
        };
        settled += u64::from(parcel.messages.is_empty());
        // Hosts ask again before they have carried it.
        if desk.machine().may_make_parcel(QUEUE, desk.now()) {
            desk.next_parcel(0);
        }
        let (_, now) = desk.parcel().expect("there is one");
        assert!(now.number == parcel.number || !now.messages.is_empty());
    }
    let progress = desk.progress();
    assert_eq!(progress.status, MoveStatus::Completed);
    assert_eq!((progress.moved, settled), (queues, queues));
}

#[test]
fn no_more_messages_go_in_a_second_than_the_task_says() {
    let mut both = Both::dying_after(9, false);
    both.source.send((0..25).map(|_| item(1)).collect());
    let task = MoveTask {
        per_second: Some(10),
        ..move_all(1, one())
    };
    both.source.request(start(task, 6));
    for moved in [10, 20, 25] {
        both.carry_all();
        assert_eq!(both.source.progress().moved, moved);
        assert!(both.source.machine().senders().next().is_some());
        both.wait(1);
    }
    both.carry_all();
    assert_eq!(both.source.progress().status, MoveStatus::Completed);
    assert!(both.source.machine().senders().next().is_none());
}

#[test]
fn a_cancelled_task_leaves_what_has_not_gone_and_what_is_on_its_way_arrives() {
    let mut both = Both::dying_after(9, false);
    both.source.send((0..5).map(|_| item(1)).collect());
    let task = MoveTask {
        per_second: Some(2),
        ..move_all(1, one())
    };
    both.source.request(start(task.clone(), 6));
    both.source.next_parcel(0);
    assert_eq!(both.source.numbers(10), [3, 4, 5], "two are on their way");
    assert_eq!(both.source.refusal(cancel(2, 7)), ErrorCode::InvalidRequest);
    assert_eq!(both.source.refusal(cancel(1, 5)), ErrorCode::Fenced);
    assert_eq!(both.source.request(cancel(1, 7)), Outcome::Done);
    assert_eq!(both.source.progress().status, MoveStatus::Cancelling);
    let another = MoveTask { task: 2, ..task };
    let refused = both.source.refusal(start(another.clone(), 8));
    assert_eq!(refused, ErrorCode::InvalidRequest);
    both.restart();
    both.carry_all();
    assert_eq!(both.source.progress().status, MoveStatus::Cancelled);
    assert_eq!(both.source.progress().moved, 2);
    both.wait(30);
    assert_eq!(
        both.source.request(start(another.clone(), 8)),
        Outcome::Done
    );
    assert_eq!(
        both.source.request(start(another, 8)),
        Outcome::Done,
        "again"
    );
    assert_eq!(both.source.progress().to_move, 3);
}

#[test]
fn if_the_queue_that_a_task_moves_to_is_gone_it_fails_and_nothing_is_lost() {
    for fifo in [false, true] {
        let mut both = Both::dying_after(9, fifo);
        both.source.send_in_groups(&["a", "a", "b"]);
        both.source.request(start(move_all(1, one()), 6));
        both.source.next_parcel(0);
        assert_eq!(both.source.numbers(10), [0; 0]);
        both.source.restart();
        let gone = Command::ReturnParcel {
            partition: QUEUE,
            parcel: 1,
        };
        assert_eq!(both.source.request(gone), Outcome::Done);
        assert_eq!(both.source.progress().status, MoveStatus::Failed);
        assert!(!both.source.outbox().target_gone, "that is another matter");
        both.source.restart();
        assert_eq!(both.given(fifo), [1, 2, 3]);
    }
}

#[test]
fn a_moved_message_is_no_consumers_any_more_and_one_on_its_way_is_given_to_nobody() {
    let mut both = Both::dying_after(9, false);
    both.source.send(vec![item(1)]);
    let received = both.source.receive(1);
    both.source.wait(seconds(30));
    both.source.request(start(move_all(1, one()), 6));
    both.source.next_parcel(0);
    let expired = [shoal_types::ReceiptResult::Expired];
    assert_eq!(both.source.acknowledge(&received), expired);
    both.carry_all();
    assert_eq!(both.source.acknowledge(&received), expired);
    let moved = both.dead();
    assert_eq!(moved[0].receive_count, 1, "they are counted anew");
    assert_eq!(moved[0].sent_at, both.target.now());
}

#[test]
fn dead_letters_and_a_task_have_their_turns() {
    let mut both = Both::dying_after(1, false);
    both.source.send(vec![item(1), item(2)]);
    let first = both.source.receive(1);
    both.source.request(start(
        MoveTask {
            per_second: Some(1),
            ..move_all(1, one())
        },
        6,
    ));
    both.source.release(&first, 0);
    both.source.next_parcel(0);
    assert_eq!(both.source.parcel().unwrap().1.messages[0].size, 1);
    both.source.send(vec![item(3)]);
    both.carry();
    let (_, next) = both.source.parcel().unwrap();
    assert_eq!(
        (next.messages[0].size, &next.messages[0].dead_from),
        (2, &None)
    );
}

#[test]
fn malformed_tasks_are_refused_by_the_name_of_the_field() {
    let mut desk = super::desk(false);
    let with_rate = |per_second| MoveTask {
        per_second,
        ..move_all(1, one())
    };
    let twice = vec![target(ORDERS, DEAD), target(ORDERS, DEAD)];
    for (task, field) in [
        (with_rate(Some(0)), "task.per_second"),
        (with_rate(Some(501)), "task.per_second"),
        (move_all(1, MoveTo::Origins(Vec::new())), "task.to"),
        (move_all(1, MoveTo::Origins(twice)), "task.to"),
        (move_all(1, MoveTo::One(target(ORDERS, QUEUE))), "to.parts"),
    ] {
        is_refused(&mut desk, start(task, 6), field);
    }
    assert_eq!(desk.outbox().task, None);
}
