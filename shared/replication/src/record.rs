//! What a host must remember over restarts, one record at a time in its log.
//!
//! | kind | record | head (postcard) | body |
//! |---|---|---|---|
//! | 1 | entry | view, lane, index, ts, CRC-32C of the payload | the payload |
//! | 2 | ballot | view, round, host | |
//! | 3 | accepted | round, host, value (a view) | |
//! | 4 | view | the view | |
//! | 5 | formed | cluster, members, revision | |
//! | 6 | incarnation | number | |
//! | 7 | learning | cluster, members, revision | |
//! | 8 | removed | view | |
//!
//! Each is a frame as in [`shoal_types::encode_frame`]. The numbers and heads are the log's format:
//! add new kinds at the end, never change one.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_types::{ClusterSpec, Incarnation, ViewNumber, decode_frame, encode_frame};

use crate::wire::{EntryHead, frame};
use crate::{Ballot, DecodeError, Entry, View};

const ENTRY: u8 = 1;
const BALLOT: u8 = 2;
const ACCEPTED: u8 = 3;
const VIEW: u8 = 4;
const FORMED: u8 = 5;
const INCARNATION: u8 = 6;
const LEARNING: u8 = 7;
const REMOVED: u8 = 8;

/// One thing to remember. Replaying a record twice, or one that a checkpoint already contains, does
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An entry of any lane.
    Entry(Arc<Entry>),
    /// Promised: no smaller ballot is taken for this view any more.
    Ballot {
        /// The view to be decided.
        view: ViewNumber,
        /// The promised ballot.
        ballot: Ballot,
    },
    /// Accepted a value for the view that it is; implies the promise of the ballot.
    Accepted {
        /// Under this ballot.
        ballot: Ballot,
        /// The view.
        value: View,
    },
    /// Installed a view.
    View(View),
    /// The cluster was formed; implies view 1.
    Formed {
        /// Of whom.
        spec: ClusterSpec,
    },
    /// The process was started.
    Incarnation(Incarnation),
    /// The host is to become a member of a cluster that exists.
    Learning {
        /// The cluster as it is to be then.
        spec: ClusterSpec,
    },
    /// A later view than this host's was shown to it, in which it is no member.
    Removed {
        /// That view.
        view: ViewNumber,
    },
}

#[derive(Serialize, Deserialize)]
struct BallotHead {
    view: ViewNumber,
    ballot: Ballot,
}

#[derive(Serialize, Deserialize)]
struct AcceptedHead {
    ballot: Ballot,
    value: View,
}

impl Record {
    /// The kind of entries, for whoever reads them back from the log.
    pub const ENTRY_KIND: u8 = ENTRY;

    /// The kind, which the log keeps beside the bytes.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Entry(_) => ENTRY,
            Self::Ballot { .. } => BALLOT,
            Self::Accepted { .. } => ACCEPTED,
            Self::View(_) => VIEW,
            Self::Formed { .. } => FORMED,
            Self::Incarnation(_) => INCARNATION,
            Self::Learning { .. } => LEARNING,
            Self::Removed { .. } => REMOVED,
        }
    }

    /// The bytes, in chunks. An entry's payload comes last and is not copied; the first chunk is all
    /// that stands before it.
    #[must_use]
    pub fn encode(&self) -> Vec<Bytes> {
        match self {
            Self::Entry(entry) => frame(&EntryHead::of(entry), &[&entry.payload]),
            Self::Ballot { view, ballot } => {
                let (view, ballot) = (*view, *ballot);
                encode_frame(&BallotHead { view, ballot }, &[])
            }
            Self::Accepted { ballot, value } => {
                let (ballot, value) = (*ballot, value.clone());
                encode_frame(&AcceptedHead { ballot, value }, &[])
            }
            Self::View(view) => encode_frame(view, &[]),
            Self::Formed { spec } => encode_frame(spec, &[]),
            Self::Incarnation(incarnation) => encode_frame(incarnation, &[]),
            Self::Learning { spec } => encode_frame(spec, &[]),
            Self::Removed { view } => encode_frame(view, &[]),
        }
    }

    /// Bytes of the encoding before an entry's payload; of another record, all its bytes.
    #[must_use]
    pub fn payload_at(&self) -> usize {
        match self {
            Self::Entry(entry) => frame(&EntryHead::of(entry), &[&Default::default()])[0].len(),
            _ => self.encode()[0].len(),
        }
    }

    /// Reads what [`Record::encode`] wrote.
    ///
    /// # Errors
    /// If the kind is unknown or the bytes are not of this kind.
    pub fn decode(kind: u8, bytes: Bytes) -> Result<Self, DecodeError> {
        Ok(match kind {
            ENTRY => {
                let frame = decode_frame::<EntryHead>(bytes)?;
                let (bodies, entries) = (frame.bodies.len(), 1);
                let [payload] = <[Bytes; 1]>::try_from(frame.bodies)
                    .map_err(|_| DecodeError::Payloads { bodies, entries })?;
                Self::Entry(frame.head.with_payload(payload)?)
            }
            BALLOT => {
                let BallotHead { view, ballot } = decode_frame(bytes)?.head;
                Self::Ballot { view, ballot }
            }
            ACCEPTED => {
                let AcceptedHead { ballot, value } = decode_frame(bytes)?.head;
                Self::Accepted { ballot, value }
            }
            VIEW => Self::View(decode_frame(bytes)?.head),
            FORMED => Self::Formed {
                spec: decode_frame(bytes)?.head,
            },
            INCARNATION => Self::Incarnation(decode_frame(bytes)?.head),
            LEARNING => Self::Learning {
                spec: decode_frame(bytes)?.head,
            },
            REMOVED => Self::Removed {
                view: decode_frame(bytes)?.head,
            },
            unknown => return Err(DecodeError::UnknownKind(unknown)),
        })
    }
}
