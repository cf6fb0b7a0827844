//! What happened, as lines to read, and as one number by which two runs are compared.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

use shoal_types::HostId;

use crate::actions::{Action, JobKind};
use crate::history::{CallId, SimTime};

/// Something that happened in a run.
#[derive(Clone, Debug, Hash)]
pub enum Note {
    /// A fault or the end of one.
    Act(Action),
    /// A host's process runs: its life, how many records its log had.
    Started {
        host: HostId,
        life: u64,
        incarnation: u64,
        last_lsn: u64,
    },
    /// A process could not start.
    NotStarted {
        host: HostId,
        life: u64,
        why: String,
    },
    /// A process ended.
    Ended {
        host: HostId,
        life: u64,
        why: String,
    },
    /// A host took inputs and gave effects.
    Turn {
        host: HostId,
        inputs: usize,
        effects: usize,
    },
    /// A host sends messages to another.
    Frame {
        from: HostId,
        to: HostId,
        messages: String,
    },
    /// A frame got nowhere.
    Lost { from: HostId, to: HostId },
    /// A link changed.
    Link {
        from: HostId,
        to: HostId,
        what: &'static str,
    },
    /// A job of a disk ended.
    Job {
        host: HostId,
        what: JobKind,
        ok: bool,
    },
    /// A host executed up to here; hash of its queues.
    Executed {
        host: HostId,
        view: u64,
        ts: u64,
        lane: HostId,
        hash: u64,
    },
    /// A host installed a view.
    View {
        host: HostId,
        view: u64,
        writers: Vec<HostId>,
    },
    /// A client asks.
    Asks {
        call: CallId,
        host: HostId,
        what: String,
    },
    /// A client is told.
    Told { call: CallId, what: String },
    /// A call is given up by its client.
    Cancelled { call: CallId },
    /// What the seed drew.
    Drawn(String),
    /// A mark in the course of a run.
    Phase(&'static str),
    /// Something that must not be.
    Violation(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(action) => write!(f, "!! {action:?}"),
            Self::Started {
                host,
                life,
                incarnation,
                last_lsn,
            } => {
                write!(
                    f,
                    "{host} starts, life {life}, incarnation {incarnation}, log up to {last_lsn}"
                )
            }
            Self::NotStarted { host, life, why } => {
                write!(f, "{host} does not start, life {life}: {why}")
            }
            Self::Ended { host, life, why } => write!(f, "{host} ends, life {life}: {why}"),
            Self::Turn {
                host,
                inputs,
                effects,
            } => write!(f, "{host} turn: {inputs} in, {effects} out"),
            Self::Frame { from, to, messages } => write!(f, "{from} -> {to}: {messages}"),
            Self::Lost { from, to } => write!(f, "{from} -> {to}: lost"),
            Self::Link { from, to, what } => write!(f, "link {from} -> {to} {what}"),
            Self::Job { host, what, ok } => {
                write!(f, "{host} {what:?} {}", if *ok { "done" } else { "failed" })
            }
            Self::Executed {
                host,
                view,
                ts,
                lane,
                hash,
            } => {
                write!(f, "{host} executed {view}/{ts}/{lane}, state {hash:016x}")
            }
            Self::View {
                host,
                view,
                writers,
            } => {
                let writers: Vec<String> = writers.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "{host} installed view {view}, writers {}",
                    writers.join(" ")
                )
            }
            Self::Asks { call, host, what } => write!(f, "call {} asks {host}: {what}", call.0),
            Self::Told { call, what } => write!(f, "call {} is told: {what}", call.0),
            Self::Cancelled { call } => write!(f, "call {} is cancelled", call.0),
            Self::Drawn(what) => write!(f, "drawn: {what}"),
            Self::Phase(name) => write!(f, "---- {name}"),
            Self::Violation(what) => write!(f, "VIOLATION {what}"),
        }
    }
}

/// The course of a run.
#[derive(Debug)]
pub struct Trace {
    lines: Option<String>,
    hash: Mixer,
}

impl Trace {
    /// With lines to read, or only the number.
    #[must_use]
    pub fn new(with_lines: bool) -> Self {
        Self {
            lines: with_lines.then(String::new),
            hash: Mixer(0xcbf2_9ce4_8422_2325),
        }
    }

    /// True if texts are wanted.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.lines.is_some()
    }

    /// The text, if somebody will read it. It does not count for the number then, so that a run with
    /// and a run without lines have the same.
    pub fn text(&self, text: impl FnOnce() -> String) -> String {
        if self.is_read() {
            text()
        } else {
            String::new()
        }
    }

    /// Something happened.
    pub fn note(&mut self, at: SimTime, note: &Note) {
        at.0.hash(&mut self.hash);
        std::mem::discriminant(note).hash(&mut self.hash);
        note.key().hash(&mut self.hash);
        if let Some(lines) = &mut self.lines {
            let (seconds, micros) = (at.0 / 1_000_000, at.0 % 1_000_000);
            writeln!(lines, "{seconds:>4}.{micros:06} {note}").expect("memory takes all");
        }
    }

    /// One number for everything noted so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// The lines.
    #[must_use]
    pub fn into_lines(self) -> String {
        self.lines.unwrap_or_default()
    }
}

impl Note {
    /// What of it counts for the number: everything but texts, which are only made for readers.
    fn key(&self) -> [u64; 4] {
        match self {
            Self::Act(action) => {
                let mut hash = Mixer(1);
                action.hash(&mut hash);
                [hash.finish(), 0, 0, 0]
            }
            Self::Started {
                host,
                life,
                incarnation,
                last_lsn,
            } => [host.0, *life, *incarnation, *last_lsn],
            Self::NotStarted { host, life, .. } | Self::Ended { host, life, .. } => {
                [host.0, *life, 0, 0]
            }
            Self::Turn {
                host,
                inputs,
                effects,
            } => [host.0, *inputs as u64, *effects as u64, 0],
            Self::Frame { from, to, .. } | Self::Lost { from, to } => [from.0, to.0, 0, 0],
            Self::Link { from, to, what } => [from.0, to.0, what.len() as u64, 0],
            Self::Job { host, what, ok } => [host.0, *what as u64, u64::from(*ok), 0],
            Self::Executed {
                host,
                view,
                ts,
                hash,
                ..
            } => [host.0, *view, *ts, *hash],
            Self::View {
                host,
                view,
                writers,
            } => [host.0, *view, writers.len() as u64, 0],
            Self::Asks { call, host, .. } => [call.0, host.0, 0, 0],
            Self::Told { call, .. } | Self::Cancelled { call } => [call.0, 0, 0, 0],
            Self::Phase(name) => [name.len() as u64, 0, 0, 0],
            Self::Drawn(_) => [0; 4],
            Self::Violation(what) => [what.len() as u64, 0, 0, 0],
        }
    }
}

/// FNV over words: the same on every machine, unlike the standard library's.
#[derive(Debug)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let word = word
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(word);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }
}
