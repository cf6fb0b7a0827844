//! What a host's driver does: carries out outputs, syncs its log, sends frames.

use std::collections::{BTreeMap, BTreeSet};

use shoal_replication::{Message, Output, RecordNumber, Standing, View, encode_messages};
use shoal_types::{HostId, WireVersion, join};

use super::{Event, Rig, Us};

impl Rig {
    pub(super) fn after_input(&mut self, h: usize) {
        let frames = self.carry_out(h);
        self.dial_neighbours(h);
        for (to, messages) in frames {
            self.transmit(h, to, &messages);
        }
        let host = &mut self.hosts[h];
        if let Some(up_to) = host.disk.start_sync() {
            let (start, latency) = (host.start, host.sync_latency);
            self.push(
                latency,
                Event::Synced {
                    host: h,
                    start,
                    up_to,
                },
            );
        }
    }

    /// Carries out all outputs; gives what is to be sent.
    pub(super) fn carry_out(&mut self, h: usize) -> BTreeMap<usize, Vec<Message>> {
        let mut frames: BTreeMap<usize, Vec<Message>> = BTreeMap::new();
        let was_removed = self.hosts[h].removed;
        while let Some(output) = self.engine(h).poll_output() {
            let may_say = match &output {
                Output::Send { message, .. } => {
                    matches!(message, Message::Install(_) | Message::Gone { .. })
                }
                Output::SendAfterPersisted { .. } | Output::SendFromLog { .. } => false,
                _ => true,
            };
            assert!(
                !was_removed || may_say,
                "host {h} was removed and says {output:?}"
            );
            match output {
                Output::Persist { number, record } => self.hosts[h].disk.append(number, &record),
                Output::Send { to, message } => {
                    frames.entry(self.place_of(to)).or_default().push(message);
                }
                Output::SendAfterPersisted { after, to, message } => {
                    let to = self.place_of(to);
                    self.hosts[h].after_persisted.push((after, to, message));
                }
                Output::SendFromLog {
                    to,
                    view,
                    lane,
                    from,
                    to_index,
                } => {
                    self.logs_read += 1;
                    match self.hosts[h].disk.entries(view, lane, from, to_index) {
                        Some(entries) => {
                            let message = Message::entries(entries);
                            frames.entry(self.place_of(to)).or_default().push(message);
                        }
                        None => {
                            let now = self.now_of(h);
                            self.engine(h).handle_not_in_log(to, view, now);
                        }
                    }
                }
                Output::Execute {
                    position,
                    entry,
                    ticket,
                } => {
                    let host = &mut self.hosts[h];
                    let command = ticket.map(|t| host.waiting.remove(&t).expect("it waits"));
                    let place = host.executed;
                    host.executed += 1;
                    if self.trace {
                        println!("{:>9} {h} executes {position} as {place}", self.now);
                    }
                    self.history.executed(h, place, position, &entry.payload);
                    if let Some(command) = command {
                        self.history.answered(command, self.now);
                    }
                }
                Output::ViewInstalled { view } => {
                    if self.trace {
                        println!("{:>9} {h} installs {view:?}", self.now);
                    }
                    let place = self.hosts[h].executed;
                    if self.history.installed(h, place, &view) {
                        self.check_decided(&view);
                    }
                }
                Output::Removed => {
                    if self.trace {
                        println!("{:>9} {h} knows that it was removed", self.now);
                    }
                    for command in std::mem::take(&mut self.hosts[h].waiting).into_values() {
                        self.history.forgotten(command);
                    }
                }
                Output::Dropped { ticket } => {
                    let host = &mut self.hosts[h];
                    let command = host.waiting.remove(&ticket).expect("it waits");
                    host.dropped.push(command);
                }
                Output::Forgotten(why) => {
                    assert!(self.hosts[h].set_back, "{h} lost nothing: {why}");
                    self.hosts[h].forgotten = Some(why);
                    for command in std::mem::take(&mut self.hosts[h].waiting).into_values() {
                        self.history.forgotten(command);
                    }
                }
            }
        }
        self.hosts[h].removed = self.engine(h).standing() == Standing::Removed;
        frames
    }

    /// Whoever installs a view first can rely on it: a majority of the members before and one of those
    /// after have it on disk.
    fn check_decided(&self, view: &View) {
        let Some(before) = self.history.members_before(view) else {
            return;
        };
        for members in [before, view.members.clone()] {
            let stand = |id: &&HostId| self.hosts[self.place_of(**id)].disk.stands_for(view);
            let count = members.iter().filter(stand).count();
            assert!(
                count * 2 > members.len(),
                "{view:?} is installed, but only {count} of {members:?} have it on disk"
            );
        }
    }

    /// Links are dialled to those whom the engine names, and to nobody else.
    fn dial_neighbours(&mut self, h: usize) {
        let engine = self.hosts[h].engine.as_ref().expect("it is up");
        let version = Some(engine.neighbours_version());
        if self.hosts[h].dialled == version {
            return;
        }
        let neighbours = engine.neighbours();
        let wanted: BTreeSet<usize> = neighbours.iter().map(|m| self.place_of(m.host)).collect();
        let host = &mut self.hosts[h];
        host.dialled = version;
        let known = std::mem::replace(&mut host.links, wanted.clone());
        for peer in wanted.difference(&known) {
            self.show_new_link(h, *peer);
        }
    }

    pub(super) fn send_after_persisted(&mut self, h: usize, durable: RecordNumber) {
        let kept = std::mem::take(&mut self.hosts[h].after_persisted);
        for (after, to, message) in kept {
            if after <= durable {
                self.transmit(h, to, &[message]);
            } else {
                self.hosts[h].after_persisted.push((after, to, message));
            }
        }
    }

    pub(super) fn transmit(&mut self, from: usize, to: usize, messages: &[Message]) {
        if !self.hosts[from].links.contains(&to) {
            return;
        }
        self.frames[from] += 1;
        if self.cut.contains(&(from, to)) || self.random.below(1_000) < self.loss {
            return;
        }
        let frame = join(&encode_messages(WireVersion::V2, messages));
        let copies = 1 + u64::from(self.random.below(1_000) < self.duplication);
        for _ in 0..copies {
            let mut arrival = self.now + self.latency + self.random.below(self.latency_jitter + 1);
            let last = self.last_arrival.entry((from, to)).or_default();
            if !self.reorder {
                arrival = arrival.max(*last);
            }
            *last = arrival.max(*last);
            let frame = frame.clone();
            self.push(arrival - self.now, Event::Deliver { from, to, frame });
        }
    }

    pub(super) fn push(&mut self, after: Us, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + after, self.sequence), event);
    }
}
