//! Carrying out what the engine wants done: into the log, to peers, to the executor; some of it only
//! once a record is durable.

use bytes::Bytes;
use shoal_replication::{Message, Output, Record, RecordNumber};
use shoal_storage::{Lsn, Tag};
use shoal_types::HostId;

use super::{Answer, Core, Effect, OperationId, Payload};

/// What waits for a record to be durable.
pub(super) enum Deferred {
    Send(HostId, Message),
    Answer(OperationId, Answer),
}

impl Core {
    /// Carries out what the engine put out, in order.
    pub(super) fn pump(&mut self) {
        while self.stopped.is_none()
            && let Some(output) = self.engine.poll_output()
        {
            match output {
                Output::Persist { number, record } => self.persist(number, &record),
                Output::Send { to, message } => self.outbox.entry(to).or_default().push(message),
                Output::SendAfterPersisted { after, to, message } => {
                    if after <= self.persisted {
                        self.outbox.entry(to).or_default().push(message);
                    } else {
                        self.deferred.push((after, Deferred::Send(to, message)));
                    }
                }
                Output::SendFromLog {
                    to,
                    view,
                    lane,
                    from,
                    to_index,
                } => {
                    self.effects.push(Effect::SendEntries {
                        to,
                        view,
                        lane,
                        from,
                        up_to: to_index,
                    });
                }
                Output::Execute {
                    position,
                    entry,
                    ticket,
                } => self.execute(position, &entry, ticket),
                Output::ViewInstalled { view } => self.view_installed(&view),
                Output::Dropped { ticket } => self.dropped(ticket),
                Output::Removed => self.removed(),
                Output::Forgotten(why) => self.forgotten(why),
            }
        }
    }

    fn persist(&mut self, number: RecordNumber, record: &Record) {
        let chunks = record.encode();
        self.checkpoint
            .appended(chunks.iter().map(Bytes::len).sum());
        let appended = self.log.append(record.kind(), tag_of(record), &chunks);
        self.note_record(number, appended.lsn);
        if let Record::Entry(entry) = record {
            let payload = Payload {
                at: appended.at,
                starts: record.payload_at(),
            };
            self.unexecuted
                .insert((entry.view, entry.lane, entry.index), payload);
        }
    }

    pub(super) fn note_record(&mut self, number: RecordNumber, lsn: Lsn) {
        assert_eq!(
            number,
            self.last_record.next(),
            "records are numbered without a gap"
        );
        self.last_record = number;
        self.records.push_back((number, lsn));
    }

    pub(super) fn release_deferred(&mut self) {
        let persisted = self.persisted;
        for (_, what) in self
            .deferred
            .extract_if(.., |(after, _)| *after <= persisted)
        {
            match what {
                Deferred::Send(to, message) => self.outbox.entry(to).or_default().push(message),
                Deferred::Answer(operation, answer) => {
                    self.effects.push(Effect::Answer { operation, answer });
                }
            }
        }
    }

    pub(super) fn flush_outbox(&mut self) {
        for (to, messages) in std::mem::take(&mut self.outbox) {
            self.effects.push(Effect::SendPeer { to, messages });
        }
    }
}

/// The log finds entries by view, lane and index.
fn tag_of(record: &Record) -> Tag {
    match record {
        Record::Entry(entry) => Tag {
            view: entry.view,
            lane: entry.lane,
            index: entry.index,
        },
        _ => Tag::NONE,
    }
}
