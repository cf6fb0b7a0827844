//! One turn of a host: an input, and what the engine wants done about it. The driver is this file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use shoal_replication::{LinkEvent, Message, Output, View};
use shoal_types::{Incarnation, Position, ViewNumber};

use crate::bounds::RECONNECT;
use crate::history::Batch;
use crate::host::Host;
use crate::letter::{Letter, News};
use crate::print::Printed;
use crate::world::HOSTS;
use crate::{Bounds, Driver};

/// What happens to one host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// The process starts, on what the disk has.
    Start,
    /// The manager lists the members.
    Form,
    /// A client submits its next batch.
    Submit,
    /// A letter arrives.
    Arrival(Arc<Printed<Letter>>),
    /// The driver notices what has become of a link.
    Notice { peer: usize, news: News },
    /// The sync under way is complete.
    Synced,
    /// The process is gone; so many of the unsynced records are on disk all the same.
    Crash { kept: usize },
    /// The link to a peer breaks and does not come back in time.
    Break { peer: usize },
    /// The time of the next timer has come.
    Timeout,
    /// The process is asked to stop.
    Leave,
}

/// What a turn came to. It depends on nothing but the host and the input.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) host: Arc<Printed<Host>>,
    pub(crate) sent: Vec<Arc<Printed<Letter>>>,
    pub(crate) events: Vec<Event>,
}

/// What the world must know of it.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Submitted {
        batch: Batch,
        view: ViewNumber,
    },
    Executed {
        /// How many entries this life had executed before.
        place: usize,
        position: Position,
        batch: Batch,
        /// Its client waits here and gets its answer now.
        answered: bool,
    },
    Installed {
        place: usize,
        view: View,
    },
    /// The client of a batch is told that it will not be executed.
    Dropped,
    /// A new life may be shown to others.
    Shown(Incarnation),
    /// A new life acts.
    ActsAgain,
    /// The engine or the driver panicked.
    Panicked(String),
}

/// Takes one turn.
pub(crate) fn take_turn(before: &Arc<Printed<Host>>, input: &Input, bounds: &Bounds) -> Turn {
    let mut turn = Going {
        host: Host::clone(before),
        driver: bounds.driver,
        slow_disk: bounds.slow_disks[before.place],
        frames: Default::default(),
        events: Vec::new(),
    };
    let done = catch_unwind(AssertUnwindSafe(|| turn.take(input)));
    if let Err(panic) = done {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        let event = Event::Panicked(message.unwrap_or_default());
        return Turn {
            host: before.clone(),
            sent: Vec::new(),
            events: vec![event],
        };
    }
    let from = turn.host.place;
    let frames = turn.frames.into_iter().enumerate();
    let frames = frames.filter(|(_, messages)| !messages.is_empty());
    let letter = |(to, messages)| Arc::new(Printed::new(Letter { from, to, messages }));
    Turn {
        sent: frames.map(letter).collect(),
        host: Arc::new(Printed::new(turn.host)),
        events: turn.events,
    }
}

/// A turn under way.
struct Going {
    host: Host,
    driver: Driver,
    slow_disk: bool,
    /// What is to be sent, by receiver.
    frames: [Vec<Message>; HOSTS],
    events: Vec<Event>,
}

impl Going {
    fn take(&mut self, input: &Input) {
        let now = self.host.now;
        match input {
            Input::Start => self.start(),
            Input::Crash { kept } => return self.host.crash(*kept),
            Input::Form => {
                let spec = self.host.spec.clone();
                let formed = self.host.engine().form(&spec, now);
                formed.expect("the list is right");
            }
            Input::Submit => {
                let batch = self.host.next_batch();
                let ticket = self.host.engine().submit(batch.payload(), now);
                let ticket = ticket.expect("asked only while commands are taken");
                self.host.waiting.insert(ticket, batch);
                let view = self.host.engine().view().number;
                self.events.push(Event::Submitted { batch, view });
            }
            Input::Arrival(letter) => self.arrived(letter),
            Input::Notice { peer, news } => self.noticed(*peer, *news),
            Input::Synced => self.synced(),
            Input::Break { peer } => {
                let id = self.host.id_of(*peer);
                self.host.engine().handle_link(id, LinkEvent::Closed, now);
                self.carry_out();
                self.host.now.mono = now.mono + RECONNECT;
                let now = self.host.now;
                self.host.engine().handle_timeout(now);
            }
            Input::Timeout => {
                let at = self.host.engine().next_timeout().expect("a timer is set");
                self.host.now.mono = now.mono.max(at);
                let now = self.host.now;
                self.host.engine().handle_timeout(now);
            }
            Input::Leave => self.host.engine().leave(now),
        }
        self.carry_out();
        self.host.disk.start_sync();
        while !self.slow_disk && self.host.disk.is_syncing() {
            self.synced();
            self.carry_out();
            self.host.disk.start_sync();
        }
        if self.host.acts_again() {
            self.events.push(Event::ActsAgain);
        }
    }

    fn start(&mut self) {
        if self.driver == Driver::ComesBackEmpty {
            self.host.disk = Default::default();
        }
        let records = self.host.boot();
        let replayed = !records.is_empty();
        for record in records {
            self.host.engine().replay(record);
            self.carry_out();
        }
        let now = self.host.now;
        self.host.engine().started(now);
        if self.driver == Driver::ComesBackEmpty && !replayed {
            let spec = self.host.spec.clone();
            let formed = self.host.engine().form(&spec, now);
            formed.expect("an empty folder can be formed");
        }
    }

    fn arrived(&mut self, letter: &Letter) {
        let (now, from) = (self.host.now, self.host.id_of(letter.from));
        for message in &letter.messages {
            let message = message.clone();
            self.host.engine().handle_message(from, message, now);
        }
    }

    fn noticed(&mut self, peer: usize, news: News) {
        let (now, id) = (self.host.now, self.host.id_of(peer));
        self.host.engine().handle_link(id, news.event(), now);
    }

    fn synced(&mut self) {
        let now = self.host.now;
        let durable = match self.driver {
            Driver::ReportsTooEarly => self.host.disk.said_to_be_synced(),
            _ => self.host.disk.synced(),
        };
        self.host.engine().handle_persisted(durable, now);
        let kept = std::mem::take(&mut self.host.after_persisted);
        for (after, to, message) in kept {
            if after <= durable {
                self.frames[to].push(message);
            } else {
                self.host.after_persisted.push((after, to, message));
            }
        }
        let incarnation = self.host.engine().incarnation();
        if self.host.shown != Some(incarnation) {
            self.host.shown = Some(incarnation);
            self.events.push(Event::Shown(incarnation));
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.host.engine().poll_output() {
            match output {
                Output::Persist { number, record } => self.host.disk.append(number, record),
                Output::Send { to, message } => {
                    let to = self.host.place_of(to);
                    self.frames[to].push(message);
                }
                Output::SendAfterPersisted { after, to, message } => {
                    let to = self.host.place_of(to);
                    self.host.after_persisted.push((after, to, message));
                }
                Output::SendFromLog {
                    to,
                    view,
                    lane,
                    from,
                    to_index,
                } => {
                    let entries = self.host.disk.entries(view, lane, from, to_index);
                    let to = self.host.place_of(to);
                    self.frames[to].push(entries);
                }
                Output::Execute {
                    position,
                    entry,
                    ticket,
                } => {
                    let batch = Batch::of(&entry.payload);
                    let waited = ticket.map(|t| self.host.waiting.remove(&t).expect("it waits"));
                    assert!(waited.is_none_or(|w| w == batch), "a ticket is mixed up");
                    let place = self.host.executed;
                    self.host.executed += 1;
                    self.events.push(Event::Executed {
                        place,
                        position,
                        batch,
                        answered: waited.is_some(),
                    });
                }
                Output::ViewInstalled { view } => {
                    let place = self.host.executed;
                    self.events.push(Event::Installed { place, view });
                }
                Output::Dropped { ticket } => {
                    self.host.waiting.remove(&ticket).expect("it waits");
                    self.events.push(Event::Dropped);
                }
                Output::Removed => unreachable!("nobody changes the members in these worlds"),
                Output::Forgotten(_) => self.host.stopped = true,
            }
        }
    }
}
