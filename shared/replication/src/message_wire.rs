//! The bytes of messages: several to one peer share a frame.
//!
//! The head of the frame is the list of the messages without payloads; the payloads are its bodies,
//! in the order in which their entries stand in the head. The order of the variants here is the
//! format: add at the end only. In version 3 of the wire the head says first how many messages there are.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_types::limits::CLUSTER_HOSTS;
use shoal_types::{ClusterSpec, HostId, Incarnation, Ts, ViewNumber, WireVersion, decode_frame};

use crate::limits::{ENTRIES_COUNT_MAX, MESSAGES_PER_FRAME_MAX};
use crate::wire::{EntryHead, frame};
use crate::{
    Announced, Asked, Ballot, DecodeError, Entry, Heartbeat, Lacks, Message, Payload, Reason, View,
};

#[derive(Serialize, Deserialize)]
enum Head {
    Append(EntryHead),
    Clock(ViewNumber, Announced),
    Ack(ViewNumber, Option<Announced>, Vec<u64>),
    Heartbeat(Heartbeat),
    PreVote(ViewNumber, Reason),
    PreVoted(ViewNumber),
    Prepare(ViewNumber, Ballot),
    Promise {
        view: ViewNumber,
        ballot: Ballot,
        accepted: Option<(Ballot, View)>,
        durable: Vec<u64>,
        held: Vec<u64>,
        clock: Ts,
        incarnation: Incarnation,
        wants_out: bool,
        hears: Vec<HostId>,
    },
    Refused(ViewNumber, Ballot),
    Accept(Ballot, View),
    Accepted(ViewNumber, Ballot),
    Install(View),
    Fetch(ViewNumber, Vec<u64>, HostId),
    Entries(Vec<EntryHead>),
    Ask(ViewNumber, Asked),
    Forgotten(Incarnation, Option<u64>, Lacks),
    Change(ClusterSpec),
    Members(ViewNumber, ClusterSpec),
    Gone(ViewNumber),
    /// The payload's checksum.
    Snapshot(u32),
    Aside,
}

/// Encodes messages as one frame: a chunk for the heads, then the payloads' own chunks, uncopied.
///
/// The caller keeps the sum of the payloads below a frame's limit.
#[must_use]
pub fn encode_messages(version: WireVersion, messages: &[Message]) -> Vec<Bytes> {
    let mut payloads: Vec<&Payload> = Vec::new();
    let mut heads = Vec::with_capacity(messages.len());
    for message in messages {
        heads.push(head_of(message, &mut payloads));
    }
    match version {
        WireVersion::V2 => frame(&heads, &payloads),
        WireVersion::V3 => frame(&(heads.len(), heads), &payloads),
    }
}

/// Decodes what [`encode_messages`] wrote for the same version; payloads are slices of `bytes`.
///
/// # Errors
/// If the bytes are no such frame, a list is too long, or a payload is damaged. Nothing of the frame
/// is to be used then.
pub fn decode_messages(version: WireVersion, bytes: Bytes) -> Result<Vec<Message>, DecodeError> {
    let (heads, payloads) = match version {
        WireVersion::V2 => {
            let frame = decode_frame::<Vec<Head>>(bytes)?;
            (frame.head, frame.bodies)
        }
        WireVersion::V3 => {
            let frame = decode_frame::<(usize, Vec<Head>)>(bytes)?;
            let (said, heads) = frame.head;
            if heads.len() != said {
                let found = heads.len();
                return Err(DecodeError::Messages { said, found });
            }
            (heads, frame.bodies)
        }
    };
    at_most("messages", heads.len(), MESSAGES_PER_FRAME_MAX)?;
    let entries = heads.iter().map(entries_of).sum();
    if payloads.len() != entries {
        let bodies = payloads.len();
        return Err(DecodeError::Payloads { bodies, entries });
    }
    let mut payloads = payloads.into_iter();
    let heads = heads.into_iter();
    heads.map(|head| message_of(head, &mut payloads)).collect()
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), DecodeError> {
    if count <= max {
        Ok(())
    } else {
        Err(DecodeError::TooMany { what, count, max })
    }
}

/// A list of members is as long as a cluster may be.
fn of_one_cluster(spec: ClusterSpec) -> Result<ClusterSpec, DecodeError> {
    at_most("members", spec.members.len(), *CLUSTER_HOSTS.end())?;
    Ok(spec)
}

fn entries_of(head: &Head) -> usize {
    match head {
        Head::Append(_) | Head::Snapshot(_) | Head::Aside => 1,
        Head::Entries(entries) => entries.len(),
        _ => 0,
    }
}

fn head_of<'m>(message: &'m Message, payloads: &mut Vec<&'m Payload>) -> Head {
    match message {
        Message::Append(entry) => {
            payloads.push(&entry.payload);
            Head::Append(EntryHead::of(entry))
        }
        Message::Entries(entries) => {
            payloads.extend(entries.iter().map(|e| &e.payload));
            Head::Entries(entries.iter().map(|e| EntryHead::of(e)).collect())
        }
        Message::Snapshot(payload) => {
            payloads.push(payload);
            Head::Snapshot(payload.crc())
        }
        Message::Aside(payload) => {
            payloads.push(payload);
            Head::Aside
        }
        Message::Clock { view, announced } => Head::Clock(*view, *announced),
        Message::Ack {
            view,
            announced,
            durable,
        } => Head::Ack(*view, *announced, durable.clone()),
        Message::Heartbeat(heartbeat) => Head::Heartbeat(heartbeat.clone()),
        Message::PreVote { view, reason } => Head::PreVote(*view, reason.clone()),
        Message::PreVoted { view } => Head::PreVoted(*view),
        Message::Prepare { view, ballot } => Head::Prepare(*view, *ballot),
        Message::Promise {
            view,
            ballot,
            accepted,
            durable,
            held,
            clock,
            incarnation,
            wants_out,
            hears,
        } => Head::Promise {
            view: *view,
            ballot: *ballot,
            accepted: accepted.clone(),
            durable: durable.clone(),
            held: held.clone(),
            clock: *clock,
            incarnation: *incarnation,
            wants_out: *wants_out,
            hears: hears.clone(),
        },
        Message::Refused { view, rival } => Head::Refused(*view, *rival),
        Message::Accept { ballot, value } => Head::Accept(*ballot, value.clone()),
        Message::Accepted { view, ballot } => Head::Accepted(*view, *ballot),
        Message::Install(view) => Head::Install(view.clone()),
        Message::Fetch { view, have, first } => Head::Fetch(*view, have.clone(), *first),
        Message::Ask { view, asked } => Head::Ask(*view, *asked),
        Message::Forgotten {
            incarnation,
            life,
            lacks,
        } => Head::Forgotten(*incarnation, *life, *lacks),
        Message::Change { spec } => Head::Change(spec.clone()),
        Message::Members { view, spec } => Head::Members(*view, spec.clone()),
        Message::Gone { view } => Head::Gone(*view),
    }
}

fn message_of(
    head: Head,
    payloads: &mut impl Iterator<Item = Bytes>,
) -> Result<Message, DecodeError> {
    let mut payload = || payloads.next().expect("payloads were counted");
    if let Head::Snapshot(crc) = head {
        let payload = Payload::from(payload());
        return match payload.crc() == crc {
            true => Ok(Message::Snapshot(payload)),
            false => Err(DecodeError::SnapshotDamaged),
        };
    }
    let mut entry =
        |head: EntryHead| -> Result<Arc<Entry>, DecodeError> { head.with_payload(payload()) };
    Ok(match head {
        Head::Snapshot(_) => unreachable!("answered above"),
        Head::Append(head) => Message::Append(entry(head)?),
        Head::Entries(heads) => {
            at_most("entries", heads.len(), ENTRIES_COUNT_MAX)?;
            Message::Entries(heads.into_iter().map(entry).collect::<Result<_, _>>()?)
        }
        Head::Clock(view, announced) => Message::Clock { view, announced },
        Head::Ack(view, announced, durable) => Message::Ack {
            view,
            announced,
            durable,
        },
        Head::Heartbeat(heartbeat) => Message::Heartbeat(heartbeat),
        Head::PreVote(view, reason) => Message::PreVote { view, reason },
        Head::PreVoted(view) => Message::PreVoted { view },
        Head::Prepare(view, ballot) => Message::Prepare { view, ballot },
        Head::Promise {
            view,
            ballot,
            accepted,
            durable,
            held,
            clock,
            incarnation,
            wants_out,
            hears,
        } => Message::Promise {
            view,
            ballot,
            accepted,
            durable,
            held,
            clock,
            incarnation,
            wants_out,
            hears,
        },
        Head::Refused(view, rival) => Message::Refused { view, rival },
        Head::Accept(ballot, value) => Message::Accept { ballot, value },
        Head::Accepted(view, ballot) => Message::Accepted { view, ballot },
        Head::Install(view) => Message::Install(view),
        Head::Fetch(view, have, first) => Message::Fetch { view, have, first },
        Head::Ask(view, asked) => Message::Ask { view, asked },
        Head::Forgotten(incarnation, life, lacks) => Message::Forgotten {
            incarnation,
            life,
            lacks,
        },
        Head::Change(spec) => Message::Change {
            spec: of_one_cluster(spec)?,
        },
        Head::Members(view, spec) => Message::Members {
            view,
            spec: of_one_cluster(spec)?,
        },
        Head::Gone(view) => Message::Gone { view },
        Head::Aside => Message::Aside(payload().into()),
    })
}
