//! Stories of messages that go on to an heir.

use shoal_types::limits::PIECE_MESSAGES_MAX;
use shoal_types::{
    ClusterId, ClusterMember, Command, ErrorCode, Heir, HeldGroups, HostId, Inherited, Outcome,
    PartitionId, Passed, Piece, ReceiptResult, Rest, Revision, Seal, SendItem, SuccessionStage,
    group_hash,
};

use super::{NEXT, OTHER as HEIR, create, create_fifo, desk, settings};
use crate::desk::{Desk, QUEUE, grouped, item, numbers_of, seconds};

fn heir(partition: PartitionId) -> Heir {
    Heir {
        partition,
        cluster: ClusterId(3),
        members: vec![ClusterMember {
            host: HostId(7),
            address: "elsewhere:1".to_owned(),
        }],
    }
}

fn forward(to: PartitionId, revision: u64) -> Command {
    Command::Forward {
        partition: QUEUE,
        heir: heir(to),
        revision: Revision(revision),
    }
}

impl Desk {
    /// Sealed for a successor that is open, and with an heir that nothing has gone to yet.
    fn forwarded(&mut self, fifo: bool) -> Seal {
        self.request(match fifo {
            true => create_fifo(NEXT, 1, &[QUEUE]),
            false => create(NEXT, 1, &[QUEUE]),
        });
        let seal = self.seal(QUEUE, NEXT, 1);
        assert_eq!(self.told(NEXT, &seal, Inherited::Seal), Outcome::Done);
        self.create_heir(QUEUE, HEIR, &seal, fifo);
        assert_eq!(self.request(forward(HEIR, 30)), Outcome::Done);
        seal
    }

    fn create_heir(&mut self, source: PartitionId, heir: PartitionId, seal: &Seal, fifo: bool) {
        let created = self.request(Command::CreateHeir {
            partition: heir,
            settings: settings(0, fifo),
            revision: Revision(30),
            source,
            seal: Box::new(seal.clone()),
        });
        assert_eq!(created, Outcome::Done);
    }

    fn next_piece(&mut self, taken: u64) -> Outcome {
        self.anonymous(Command::NextPiece {
            partition: QUEUE,
            heir: HEIR,
            taken,
        })
    }

    #[track_caller]
    fn piece(&self) -> Piece {
        let (_, piece, bodies) = self.machine().piece(QUEUE).expect("one is on its way");
        assert_eq!(piece.messages.len(), bodies.len());
        piece
    }

    fn take_piece(&mut self, piece: &Piece) -> Outcome {
        self.anonymous(Command::TakePiece {
            partition: HEIR,
            from: QUEUE,
            piece: piece.clone(),
        })
    }

    /// All that can go, as a host does it; gives the number of pieces.
    fn forward_all(&mut self) -> u64 {
        loop {
            let (_, made) = self.machine().heir(QUEUE).expect("it has one");
            if let Some((_, piece, _)) = self.machine().piece(QUEUE) {
                let through = piece.number;
                assert_eq!(self.take_piece(&piece), Outcome::Taken { through });
            }
            self.next_piece(made);
            if self.machine().piece(QUEUE).is_none() {
                assert!(!self.machine().may_make_piece(QUEUE));
                return made;
            }
        }
    }

    fn passed(&self) -> (Passed, bool) {
        match self.succession(QUEUE).stage {
            SuccessionStage::Forwarding {
                passed, complete, ..
            } => (passed, complete),
            other => panic!("{other:?}"),
        }
    }

    fn numbers_from(&mut self, partition: PartitionId) -> Vec<u64> {
        numbers_of(&self.receive_from(partition))
    }
}

#[test]
fn what_nobody_consumes_is_received_from_the_heir_under_the_numbers_that_it_had() {
    let mut desk = desk(false);
    let delayed = SendItem {
        delay: Some(seconds(60)),
        ..item(5)
    };
    desk.send(vec![item(1), item(2), delayed, item(4)]);
    let seal = desk.forwarded(false);
    assert_eq!(desk.forward_all(), 1, "and it was the last");
    let passed = Passed {
        messages: 4,
        bytes: 12,
    };
    assert_eq!(desk.passed(), (passed, true));
    desk.restart();
    assert_eq!(desk.succession(QUEUE).messages, 0);
    assert!(
        !desk.machine().is_drained(QUEUE),
        "that is the heir's to say"
    );

    let received = desk.receive_from(HEIR);
    assert_eq!(numbers_of(&received), [1, 2, 4]);
    assert!(received.iter().all(|d| d.sequence.epoch() == seal.epoch));
    assert!(!desk.machine().is_drained(HEIR));
    desk.delete_all(&received);
    desk.wait(seconds(61));
    let late = desk.receive_from(HEIR);
    assert_eq!(numbers_of(&late), [3]);
    desk.delete_all(&late);
    assert!(desk.machine().is_drained(HEIR));
    assert_eq!(desk.live_bodies(), 0);
}

#[test]
fn a_piece_is_neither_lost_nor_doubled_however_often_and_late_it_comes() {
    let mut desk = desk(false);
    desk.send(vec![item(1); PIECE_MESSAGES_MAX]);
    desk.send(vec![item(1)]);
    desk.forwarded(false);
    desk.next_piece(0);
    let first = desk.piece();
    assert_eq!(first.messages.len(), PIECE_MESSAGES_MAX);
    // Whoever drives it died before the heir was asked; the next one begins anew.
    desk.restart();
    desk.next_piece(0);
    assert_eq!(desk.piece(), first);
    assert_eq!(
        desk.numbers_from(QUEUE),
        [1_001],
        "what goes is given to nobody here"
    );
    for _ in 0..2 {
        assert_eq!(desk.take_piece(&first), Outcome::Taken { through: 1 });
        desk.restart();
    }
    assert_eq!(desk.machine().counts(HEIR).unwrap().ready, 1_000);
    desk.next_piece(1);
    desk.wait(seconds(31));
    desk.next_piece(1);
    let second = desk.piece();
    assert_eq!(second.messages.len(), 1);
    assert_eq!(second.rest, Rest::Nothing);
    let gap = Piece {
        number: 3,
        ..second.clone()
    };
    assert!(matches!(desk.take_piece(&gap), Outcome::Refused(_)));
    for piece in [&second, &first] {
        assert_eq!(desk.take_piece(piece), Outcome::Taken { through: 2 });
    }
    // A late word on the first one says nothing about the second.
    desk.next_piece(1);
    assert_eq!(desk.piece(), second);
    desk.next_piece(2);
    let (passed, complete) = desk.passed();
    assert_eq!((passed.messages, complete), (1_001, true));
    assert_eq!(desk.machine().counts(HEIR).unwrap().ready, 1_001);
}

#[test]
fn who_has_a_message_in_hand_keeps_it_and_deletes_it_where_it_is() {
    let mut desk = desk(false);
    desk.send(vec![item(1); 3]);
    let held = desk.receive(1);
    desk.forwarded(false);
    desk.forward_all();
    assert!(!desk.passed().1);
    assert_eq!(desk.acknowledge(&held), [ReceiptResult::Done]);
    assert!(desk.machine().may_make_piece(QUEUE));
    desk.forward_all();
    assert!(desk.passed().1);
    assert_eq!(desk.acknowledge(&held), [ReceiptResult::Done], "once more");
    assert_eq!(desk.numbers_from(HEIR), [2, 3]);
}

/// A standard queue still deletes by a receipt whose lease ran out. Where the message is no more that
/// would be said and not done, and it would come again from the heir.
#[test]
fn an_old_receipt_does_not_delete_what_went_on() {
    let mut desk = desk(false);
    desk.send(vec![item(1); 2]);
    let late = desk.receive(2);
    let deleted = desk.acknowledge(&late[..1]);
    assert_eq!(deleted, [ReceiptResult::Done]);
    desk.wait(seconds(31));
    desk.forwarded(false);
    desk.next_piece(0);
    let expected = [ReceiptResult::Done, ReceiptResult::Expired];
    assert_eq!(desk.acknowledge(&late), expected, "on its way");
    desk.forward_all();
    desk.restart();
    assert_eq!(desk.acknowledge(&late), expected, "gone on");
    let again = desk.receive_from(HEIR);
    assert_eq!((again[0].receive_count, again[0].receipt.lease), (2, 2));
    assert_eq!(numbers_of(&again), [2]);
}

#[test]
fn a_group_goes_in_order_and_is_given_out_at_one_place_at_a_time() {
    let mut desk = desk(true);
    let large = |group| grouped(item(1 << 20), group);
    desk.send(vec![large("long"); 5]);
    desk.send_in_groups(&["busy", "busy", "free"]);
    // The long group's turn comes first.
    desk.forwarded(true);
    desk.next_piece(0);
    assert_eq!(desk.piece().messages.len(), 4);
    desk.restart();
    assert_eq!(
        desk.groups_from(QUEUE),
        ["busy", "busy", "free"],
        "but not the rest of the one of which a part went"
    );
    let first = desk.piece();
    desk.take_piece(&first);
    assert_eq!(desk.numbers_from(HEIR), [1, 2, 3, 4]);
    desk.next_piece(1);
    let second = desk.piece();
    assert_eq!(
        second.messages.len(),
        1,
        "leased ones stay, with their groups"
    );
    let busy_and_free = {
        let mut left = vec![group_hash("busy"), group_hash("free")];
        left.sort_unstable();
        HeldGroups::These(left)
    };
    assert_eq!(
        second.rest,
        Rest::Some {
            groups: busy_and_free
        }
    );
    desk.take_piece(&second);
    assert!(
        desk.receive_from(HEIR).is_empty(),
        "its group is in a consumer's hands"
    );
    desk.next_piece(2);
    desk.wait(seconds(31));
    desk.forward_all();
    // A receive gives at most 4 MiB.
    let first = desk.receive_from(HEIR);
    assert_eq!(numbers_of(&first), [1, 2, 3, 4]);
    desk.delete_all(&first);
    assert_eq!(desk.numbers_from(HEIR), [5, 6, 7, 8]);
}

#[test]
fn a_successor_waits_for_what_its_predecessors_heir_has() {
    let mut desk = desk(true);
    desk.send_in_groups(&["a", "b"]);
    let b = {
        let both = desk.receive(2);
        desk.release(&both[..1], 0);
        both[1..].to_vec()
    };
    let seal = desk.forwarded(true);
    let more = ["a", "b"].map(|group| grouped(item(1), group));
    desk.sent_to(NEXT, more.to_vec());
    desk.forward_all();
    let tell_gone = |desk: &mut Desk| {
        for from in [QUEUE, HEIR] {
            let gone = desk.machine().groups_gone(from).expect("it is sealed");
            desk.told(NEXT, &seal, Inherited::GroupsGone(gone));
        }
    };
    // The source has no message of group a, and one of b.
    tell_gone(&mut desk);
    assert!(desk.receive_from(NEXT).is_empty());
    let a = desk.receive_from(HEIR);
    desk.delete_all(&a);
    tell_gone(&mut desk);
    assert_eq!(desk.groups_from(NEXT), ["a"]);
    // The last of b is consumed where it was; the heir learns of it by a piece without messages.
    desk.acknowledge(&b);
    tell_gone(&mut desk);
    assert!(desk.receive_from(NEXT).is_empty());
    desk.forward_all();
    assert!(desk.machine().is_drained(HEIR));
    desk.told(NEXT, &seal, Inherited::Drained);
    assert_eq!(desk.groups_from(NEXT), ["b"]);
    let told = Command::ToldDrained {
        partition: HEIR,
        successors: vec![NEXT],
    };
    assert_eq!(desk.request(told), Outcome::Done);
}

#[test]
fn without_an_heir_all_is_as_it_was_and_another_one_may_be_given() {
    let mut desk = desk(true);
    let delayed = SendItem {
        delay: Some(seconds(60)),
        ..grouped(item(1), "late")
    };
    desk.send(vec![grouped(item(1), "a"), delayed]);
    let seal = desk.forwarded(true);
    desk.next_piece(0);
    assert!(desk.receive(10).is_empty());
    assert_eq!(desk.refusal(forward(PartitionId(9), 40)), ErrorCode::Fenced);
    let end = Command::EndForwarding {
        partition: QUEUE,
        heir: HEIR,
    };
    assert_eq!(desk.request(end.clone()), Outcome::Done);
    assert_eq!(desk.refusal(end), ErrorCode::InvalidRequest);
    desk.restart();
    assert_eq!(desk.numbers(10), [1]);
    assert_eq!(desk.refusal(forward(HEIR, 40)), ErrorCode::QueueNotFound);
    desk.wait(seconds(61));
    assert_eq!(desk.numbers(10), [1, 2]);
    assert!(matches!(
        desk.succession(QUEUE).stage,
        SuccessionStage::Sealed { .. }
    ));
    desk.wait(seconds(61));
    desk.create_heir(QUEUE, PartitionId(9), &seal, true);
    assert_eq!(desk.request(forward(PartitionId(9), 40)), Outcome::Done);
}

#[test]
fn what_was_purged_does_not_arrive() {
    let mut desk = desk(false);
    desk.send(vec![item(1); 3]);
    desk.forwarded(false);
    desk.next_piece(0);
    let piece = desk.piece();
    desk.request(Command::Purge { partition: HEIR });
    desk.restart();
    assert_eq!(desk.take_piece(&piece), Outcome::Taken { through: 1 });
    assert!(desk.receive_from(HEIR).is_empty());
    assert_eq!(desk.machine().counts(HEIR).unwrap().bytes, 0);
    desk.next_piece(1);
    assert!(desk.passed().1);
    assert!(desk.machine().is_drained(HEIR));
}

#[test]
fn only_a_sealed_partition_is_forwarded_and_its_heir_takes_no_sends() {
    let mut desk = desk(false);
    assert_eq!(desk.refusal(forward(HEIR, 30)), ErrorCode::InvalidRequest);
    let seal = desk.forwarded(false);
    assert_eq!(desk.refusal(forward(HEIR, 29)), ErrorCode::Fenced);
    let sent = desk.send_to(HEIR, vec![item(1)]);
    assert_eq!(sent, Outcome::Sealed(Box::new(seal.clone())));
    let other_epoch = Command::CreateHeir {
        partition: PartitionId(9),
        settings: settings(1, false),
        revision: Revision(30),
        source: QUEUE,
        seal: Box::new(seal),
    };
    assert_eq!(desk.refusal(other_epoch), ErrorCode::InvalidRequest);
}

/// A frontend that knew nothing of the heir purged the source alone, and what had gone on came after all.
#[test]
fn a_purge_of_what_is_sealed_names_who_follows_and_the_heir_however_often_it_is_asked() {
    let mut desk = desk(false);
    desk.send(vec![item(1); 3]);
    desk.forwarded(false);
    desk.next_piece(0);
    let named = |outcome: Outcome| match outcome {
        Outcome::PurgedBut { seal, heir } => {
            (seal.successors.len(), heir.map(|heir| heir.partition))
        }
        other => panic!("{other:?}"),
    };
    let (purged_but, purged_but_no_heir) = ((1, Some(HEIR)), (1, None));
    let purge = Command::Purge { partition: QUEUE };
    assert_eq!(named(desk.request(purge.clone())), purged_but);
    let (request, from) = (desk.last_request(), crate::desk::origin(2));
    let repeated = desk.repeat(request, from);
    assert_eq!(named(repeated), purged_but, "by another host");
    desk.forward_all();
    assert_eq!(
        named(desk.request(purge.clone())),
        purged_but,
        "all is gone on"
    );
    let end = Command::EndForwarding {
        partition: QUEUE,
        heir: HEIR,
    };
    desk.request(end);
    assert_eq!(named(desk.request(purge)), purged_but_no_heir);
}

/// What B passes on of a group was given out at C, and at the same time what came to B of the group later.
#[test]
fn an_heir_passes_nothing_on_before_it_has_all_itself() {
    const C: PartitionId = PartitionId(9);
    let mut desk = desk(true);
    let large = grouped(item(1 << 20), "a");
    desk.send(vec![large; 5]);
    let seal = desk.forwarded(true);
    desk.next_piece(0);
    let first = desk.piece();
    desk.take_piece(&first);
    desk.create_heir(HEIR, C, &seal, true);
    let on = |address: &str| {
        let mut to = heir(C);
        address.clone_into(&mut to.members[0].address);
        Command::Forward {
            partition: HEIR,
            heir: to,
            revision: Revision(31),
        }
    };
    assert_eq!(desk.refusal(on("there:1")), ErrorCode::NotReady);
    assert!(matches!(
        desk.succession(HEIR).stage,
        SuccessionStage::Sealed { .. }
    ));
    desk.forward_all();
    assert_eq!(desk.request(on("there:1")), Outcome::Done);
    assert_eq!(desk.request(on("elsewhere:1")), Outcome::Done);
}

/// A host asked for the next piece each second, for as long as a consumer had the group in hand.
#[test]
fn while_a_group_is_in_somebodys_hands_its_delayed_messages_are_no_reason_to_ask() {
    let mut desk = desk(true);
    let late = SendItem {
        delay: Some(seconds(600)),
        ..grouped(item(1), "a")
    };
    desk.send(vec![grouped(item(1), "a"), late]);
    let held = desk.receive(1);
    desk.forwarded(true);
    assert!(!desk.machine().may_make_piece(QUEUE));
    desk.acknowledge(&held);
    assert!(desk.machine().may_make_piece(QUEUE));
    assert_eq!(desk.forward_all(), 1);
}

#[test]
fn hosts_that_nobody_could_dial_are_refused_at_the_door() {
    let mut desk = desk(false);
    desk.forwarded(false);
    let with = |members: Vec<ClusterMember>| Command::Forward {
        partition: QUEUE,
        heir: Heir {
            members,
            ..heir(HEIR)
        },
        revision: Revision(31),
    };
    let at = |host, address: &str| ClusterMember {
        host: HostId(host),
        address: address.to_owned(),
    };
    let long = format!("{}:1", "a".repeat(259));
    let detail = |desk: &mut Desk, command| match desk.request(command) {
        Outcome::Refused(refusal) => refusal.detail.into_owned(),
        other => panic!("{other:?}"),
    };
    for address in ["", "there", ":1", "there:0", "there:65536", &long] {
        let told = detail(&mut desk, with(vec![at(1, address)]));
        let expected = "heir.members.address: not name:port of at most 260 bytes";
        assert_eq!(told, expected, "{address:?}");
    }
    let twice = with(vec![at(1, "there:1"), at(1, "there:2")]);
    let told = detail(&mut desk, twice);
    assert_eq!(told, "heir.members: not 1 to 5 hosts, each once");
    assert_eq!(desk.request(with(vec![at(1, &long[1..])])), Outcome::Done);
}
