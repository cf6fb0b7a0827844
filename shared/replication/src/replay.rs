//! Rebuilding an engine after a restart: from its checkpoint, then from the log's records, in order.
//!
//! Replay may start at any record before the checkpoint's place: what the checkpoint contains already
//! is skipped. Entries beyond a seal come before the record of the view that seals them, so installing
//! it cuts them just as in the life before.

use std::sync::Arc;

use shoal_types::{Incarnation, Now};

use crate::{Engine, EngineCheckpoint, Entry, Record, RecordNumber, View};

impl Engine {
    pub(crate) fn restore(&mut self, checkpoint: EngineCheckpoint) {
        self.incarnation = checkpoint.incarnation;
        self.spec = checkpoint.spec;
        self.executed = checkpoint.executed;
        self.membership.learning = checkpoint.learning;
        self.membership.removed_in = checkpoint.removed_in;
        self.membership.parted = checkpoint.parted;
        self.clock.saw(checkpoint.clock);
        for view in checkpoint.views {
            self.views.insert(view.number, view);
        }
        self.shown_before.extend(checkpoint.shown);
        for view in checkpoint.past_views {
            self.past_views.insert(view.number, view);
        }
        match self.views.last_key_value() {
            Some((_, current)) => {
                let current = current.clone();
                let executed = checkpoint.executed_in_lanes;
                self.enter(current, executed, RecordNumber(0), &[]);
            }
            None => self.renew_slots(),
        }
        if let Some((view, ballot)) = checkpoint.promised {
            self.acceptor.promise(view, ballot);
        }
        if let Some((ballot, value)) = checkpoint.accepted {
            self.acceptor.accept(ballot, value, RecordNumber(0));
        }
    }

    /// Takes one record of the log, in the log's order; gives its number. What was sealed is executed
    /// again: poll the outputs after each record, they are `Execute` and `ViewInstalled` only.
    ///
    /// # Panics
    /// If records are missing or contradict each other.
    pub fn replay(&mut self, record: Record) -> RecordNumber {
        assert!(
            self.incarnation_record.0 == 0,
            "records are replayed before the engine is started"
        );
        let number = self.records.take();
        self.records.now_durable(number);
        match record {
            Record::Entry(entry) => self.replay_entry(entry, number),
            Record::Ballot { view, ballot } => self.acceptor.promise(view, ballot),
            Record::Accepted { ballot, value } => self.acceptor.accept(ballot, value, number),
            Record::View(view) => self.replay_view(view, number),
            Record::Formed { spec } => {
                if self.spec.is_none() {
                    self.formed(spec, number);
                }
            }
            Record::Incarnation(life) => self.incarnation = self.incarnation.max(life),
            Record::Learning { spec } => self.replay_learning(spec),
            Record::Removed { view } => self.replay_removed(view),
        }
        number
    }

    fn replay_entry(&mut self, entry: Arc<Entry>, number: RecordNumber) {
        assert!(
            entry.view <= self.view.number,
            "the log has an entry of view {} before the record of that view",
            entry.view
        );
        if entry.view < self.view.number {
            return;
        }
        let lane = self.view.slot(entry.lane).expect("only members have lanes");
        if entry.index <= self.lanes[lane].last() {
            return self.lanes[lane].check_same(&entry);
        }
        self.clock.saw(entry.ts);
        self.acks.replayed(lane, entry.index);
        self.lanes[lane].push(entry, number);
    }

    fn replay_view(&mut self, view: View, number: RecordNumber) {
        assert!(
            view.number <= self.view.number.next(),
            "the log lacks the record of the view before {}",
            view.number
        );
        if view.number > self.view.number {
            self.install(view, Some(number));
        } else if let Some(known) = self.views.get(&view.number) {
            assert!(
                *known == view,
                "view {} has two values: {known:?} and {view:?}",
                view.number
            );
        }
    }

    /// The log is read. Starts this life of the process. Its number must be durable before the driver
    /// shows it to anyone, in a handshake for instance: wait for the `Persist` that this gives.
    pub fn started(&mut self, now: Now) {
        self.begin_turn(now);
        self.incarnation = Incarnation(self.incarnation.0 + 1);
        let record = self.persist(Record::Incarnation(self.incarnation));
        self.incarnation_record = record;
        // Forgotten clocks, half-sent entries and half-written logs of an earlier life are harmless
        // because this one does not act where that one did.
        self.barred_through = self.view.number;
        self.act_after = record;
        self.renew_slots();
        if let Some((view, _)) = self.acceptor.promised() {
            self.suspended_for = view;
        }
        self.listen_from(now.mono);
    }
}
