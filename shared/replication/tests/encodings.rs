//! The bytes on disk and on the wire: pinned, so that a change of format is seen; and whatever else
//! comes instead is refused without harm.

use std::sync::Arc;

use bytes::Bytes;
use shoal_replication::{
    Announced, Asked, Ballot, DecodeError, Entry, Heartbeat, HostPhase, Lacks, Message, Payload,
    Reason, Record, StateMark, StateReport, View, decode_messages, encode_messages,
};
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, HostId, Incarnation, MachineVersion, Origin, Position,
    Revision, Ts, ViewNumber, WireVersion, join,
};

const IN_USE: WireVersion = WireVersion::V2;

fn entry(index: u64, payload: &[&'static str]) -> Arc<Entry> {
    Arc::new(Entry {
        view: ViewNumber(3),
        lane: HostId(0x1234),
        index,
        ts: Ts(1_700_000_000_000_000),
        payload: Payload::new(
            payload
                .iter()
                .map(|s| Bytes::from_static(s.as_bytes()))
                .collect(),
        ),
    })
}

fn view() -> View {
    View {
        number: ViewNumber(4),
        members: vec![HostId(1), HostId(2), HostId(3)],
        active: vec![HostId(1), HostId(3)],
        incarnations: vec![
            Origin {
                host: HostId(1),
                incarnation: Incarnation(7),
            },
            Origin {
                host: HostId(3),
                incarnation: Incarnation(9),
            },
        ],
        ends: vec![10, 0, 300],
        start: Ts(1_000),
        spec: Some(Box::new(spec())),
    }
}

fn ballot() -> Ballot {
    Ballot {
        round: 5,
        host: HostId(2),
    }
}

fn spec() -> ClusterSpec {
    let member = |h: u64| ClusterMember {
        host: HostId(h),
        address: format!("h{h}:1"),
    };
    ClusterSpec {
        cluster: ClusterId(6),
        members: vec![member(1), member(2)],
        revision: Revision(8),
        only: None,
    }
}

fn records() -> Vec<Record> {
    vec![
        Record::Entry(entry(2, &["hello ", "shoal"])),
        Record::Ballot {
            view: ViewNumber(4),
            ballot: ballot(),
        },
        Record::Accepted {
            ballot: ballot(),
            value: view(),
        },
        Record::View(view()),
        Record::Formed { spec: spec() },
        Record::Incarnation(Incarnation(300)),
        Record::Learning { spec: spec() },
        Record::Removed {
            view: ViewNumber(5),
        },
    ]
}

fn messages() -> Vec<Message> {
    let announced = Announced {
        clock: Ts(77),
        last: 12,
    };
    let number = ViewNumber(4);
    vec![
        Message::Append(entry(2, &["hello ", "shoal"])),
        Message::Clock {
            view: number,
            announced,
        },
        Message::Ack {
            view: number,
            announced: Some(announced),
            durable: vec![1, 2, 300],
        },
        Message::Heartbeat(Heartbeat {
            view: number,
            incarnation: Incarnation(9),
            life: 1,
            phase: HostPhase::Entering,
            announced: None,
            unheard: vec![HostId(2)],
            durable: vec![0, 0, 5],
            wall: Ts(123_456),
            disk_used_percent: 42,
            state: StateReport {
                version: MachineVersion(1),
                supports: MachineVersion(2),
                mark: Some(StateMark {
                    position: Position {
                        view: number,
                        ts: Ts(5_000),
                        lane: HostId(3),
                    },
                    hash: 0x0123_4567,
                }),
            },
        }),
        Message::PreVote {
            view: number,
            reason: Reason {
                missing: vec![HostId(2)],
                joining: vec![],
                leaving: vec![HostId(1)],
                deaf: vec![HostId(2)],
                changing: Some(Revision(3)),
            },
        },
        Message::PreVoted { view: number },
        Message::Prepare {
            view: number,
            ballot: ballot(),
        },
        Message::Promise {
            view: number,
            ballot: ballot(),
            accepted: Some((ballot(), view())),
            durable: vec![1, 2, 3],
            held: vec![2, 2, 3],
            clock: Ts(99),
            incarnation: Incarnation(9),
            wants_out: true,
            hears: vec![HostId(1), HostId(3)],
        },
        Message::Refused {
            view: number,
            rival: ballot(),
        },
        Message::Accept {
            ballot: ballot(),
            value: view(),
        },
        Message::Accepted {
            view: number,
            ballot: ballot(),
        },
        Message::Install(view()),
        Message::Fetch {
            view: number,
            have: vec![1, 0, 9],
            first: HostId(2),
        },
        Message::Entries(vec![entry(3, &["a"]), entry(4, &[]), entry(5, &["bc"])]),
        Message::Ask {
            view: number,
            asked: Asked::Leave,
        },
        Message::Forgotten {
            incarnation: Incarnation(2),
            life: Some(7),
            lacks: Lacks::Entries {
                view: number,
                lane: HostId(3),
                seen: 9,
                has: 4,
            },
        },
        Message::Forgotten {
            incarnation: Incarnation(2),
            life: None,
            lacks: Lacks::Cluster,
        },
        Message::Change { spec: spec() },
        Message::Members {
            view: number,
            spec: spec(),
        },
        Message::Gone { view: number },
        Message::Snapshot(Payload::from(Bytes::from_static(b"chunk"))),
        Message::Aside(Payload::from(Bytes::from_static(b"between drivers"))),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_bytes_of_records_are_pinned() {
    let pinned = include_str!("encodings/records.txt");
    let lines = records().into_iter().map(|record| {
        let bytes = join(&record.encode());
        format!("{} {}\n", record.kind(), hex(&bytes))
    });
    let now: String = lines.collect();
    assert_eq!(now, pinned, "the log's format has changed");
}

#[test]
fn the_bytes_of_messages_are_pinned() {
    let pinned = include_str!("encodings/messages.txt");
    let lines = messages().into_iter().map(|message| {
        let bytes = join(&encode_messages(IN_USE, &[message]));
        format!("{}\n", hex(&bytes))
    });
    let now: String = lines.collect();
    assert_eq!(now, pinned, "the wire's format has changed");
}

#[test]
fn records_come_back_as_they_were() {
    for record in records() {
        let chunks = record.encode();
        assert_eq!(chunks[0].len(), record.payload_at());
        let back = Record::decode(record.kind(), join(&chunks)).unwrap();
        assert_eq!(back, record);
    }
}

#[test]
fn messages_that_share_a_frame_come_back_in_order() {
    let all = messages();
    for version in [IN_USE, WireVersion::V3] {
        for some in [&all[..], &[]] {
            let bytes = join(&encode_messages(version, some));
            assert_eq!(decode_messages(version, bytes).unwrap(), some);
        }
    }
}

#[test]
fn a_frame_of_one_version_is_not_read_as_one_of_another() {
    for (written, read) in [(IN_USE, WireVersion::V3), (WireVersion::V3, IN_USE)] {
        let bytes = join(&encode_messages(written, &messages()));
        decode_messages(read, bytes).unwrap_err();
    }
}

#[test]
fn payloads_are_not_copied() {
    let body = Bytes::from(vec![1u8; 1000]);
    let mut big = Entry::clone(&entry(1, &[]));
    big.payload = Payload::new(vec![body.clone()]);
    let big = Arc::new(big);
    let record = Record::Entry(big.clone()).encode();
    assert_eq!(record[1].as_ptr(), body.as_ptr());
    let message = encode_messages(IN_USE, &[Message::Append(big)]);
    assert_eq!(message[1].as_ptr(), body.as_ptr());
    let whole = join(&message);
    let Message::Append(back) = decode_messages(IN_USE, whole.clone()).unwrap().remove(0) else {
        panic!("it was an append");
    };
    let place = whole.len() - body.len();
    assert_eq!(back.payload.contiguous().as_ptr(), whole[place..].as_ptr());
}

#[test]
fn every_cut_is_refused() {
    for record in records() {
        let whole = join(&record.encode());
        for end in 0..whole.len() {
            assert!(Record::decode(record.kind(), whole.slice(..end)).is_err());
        }
    }
    for version in [IN_USE, WireVersion::V3] {
        let whole = join(&encode_messages(version, &messages()));
        for end in 0..whole.len() {
            let cut = decode_messages(version, whole.slice(..end));
            assert!(cut.is_err(), "{end} bytes");
        }
    }
}

#[test]
fn a_flipped_bit_in_a_payload_is_noticed() {
    let mut bytes = join(&encode_messages(
        IN_USE,
        &[Message::Append(entry(2, &["hello"]))],
    ))
    .to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let refused = decode_messages(IN_USE, bytes.into()).unwrap_err();
    assert!(matches!(
        refused,
        DecodeError::PayloadDamaged { index: 2, .. }
    ));
}

#[test]
fn any_flipped_bit_is_refused_or_read_as_something_without_harm() {
    let whole = join(&encode_messages(IN_USE, &messages()));
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = decode_messages(IN_USE, bytes.into());
    }
}

#[test]
fn an_unknown_kind_of_record_is_refused() {
    let refused = Record::decode(9, Bytes::from_static(&[0; 8])).unwrap_err();
    assert_eq!(refused, DecodeError::UnknownKind(9));
}

#[test]
fn too_many_messages_in_a_frame_are_refused() {
    let many = vec![
        Message::PreVoted {
            view: ViewNumber(1)
        };
        shoal_replication::limits::MESSAGES_PER_FRAME_MAX + 1
    ];
    let refused = decode_messages(IN_USE, join(&encode_messages(IN_USE, &many))).unwrap_err();
    assert!(matches!(refused, DecodeError::TooMany { .. }), "{refused}");
}
