//! Connections between hosts, as the hosts' own transport has them: each host dials every other one and
//! only sends on what it dialled. A connection is one stream: frames arrive in order, a cut holds them
//! up, and when the dialler has heard nothing for 1.5 s the connection ends with everything on it.
//!
//! On top of that, on some seeds single messages are lost, come twice or late, though a stream would
//! never do that: the engine promises to bear it.

use bytes::Bytes;
use shoal_queue::MACHINE_VERSION_NEXT;
use shoal_replication::{LinkEvent, Message, decode_messages, encode_messages};
use shoal_types::{HostId, WireVersion, join};

use super::host::{Input, Link, LinkState};
use super::network::Fate;
use super::{Event, World};
use crate::history::SimTime;
use crate::limits::{DIAL_PAUSE_MIN, MS, PEER_SILENCE, PEER_SILENCE_SPREAD, REPETITION_NOTICED};
use crate::sometimes::Sometimes;
use crate::trace::Note;

impl World {
    /// A process dials whom its engine wants to talk with, if these are others than before.
    pub(super) fn connect(&mut self, id: HostId) {
        let Some(process) = &mut self.hosts.get_mut(&id).expect("one of ours").process else {
            return;
        };
        let engine = process.core.engine();
        if process.dialled == Some(engine.neighbours_version()) {
            return;
        }
        process.dialled = Some(engine.neighbours_version());
        let neighbours = engine.neighbours();
        let wanted = |host: &HostId| neighbours.iter().any(|member| member.host == *host);
        process.links.retain(|to, _| wanted(to));
        let new: Vec<HostId> = neighbours
            .iter()
            .map(|member| member.host)
            .filter(|other| !process.links.contains_key(other))
            .collect();
        let life = process.life;
        for to in new {
            let link = Link {
                state: LinkState::Down,
                pause: DIAL_PAUSE_MIN,
                refused_at: None,
            };
            process.links.insert(to, link);
            self.schedule
                .at(self.now, Event::Dial { from: id, life, to });
        }
    }

    pub(super) fn link(&mut self, from: HostId, life: u64, to: HostId) -> Option<&mut Link> {
        self.hosts.get_mut(&from)?.life(life)?.links.get_mut(&to)
    }

    /// True if nothing of what the dialler says is answered: a cut either way, no power, or a process
    /// that stands still.
    pub(super) fn is_unanswered(&self, from: HostId, to: HostId) -> bool {
        let other = &self.hosts[&to];
        self.network.is_cut(from, to)
            || self.network.is_cut(to, from)
            || !other.powered
            || other.frozen
    }

    /// What two hosts speak: the highest version that the releases of both know.
    fn spoken(&self, from: HostId, to: HostId) -> WireVersion {
        match self.hosts[&from].supports.min(self.hosts[&to].supports) {
            both if both >= MACHINE_VERSION_NEXT => WireVersion::V3,
            _ => WireVersion::V2,
        }
    }

    /// Sends the messages of one turn to another host.
    pub(super) fn send(&mut self, from: HostId, to: HostId, messages: Vec<Message>) {
        self.note_sent(from, to, &messages);
        let messages = if self.network.encodes() {
            through_bytes(self.spoken(from, to), &messages)
        } else {
            messages
        };
        let messages = self.damage_snapshots(messages);
        let cut = self.network.is_cut(from, to);
        let dead = !self.hosts[&to].powered;
        let breaks = self.network.breaks();
        let process = self
            .hosts
            .get_mut(&from)
            .expect("one of ours")
            .process
            .as_mut();
        let link = process.and_then(|process| process.links.get_mut(&to));
        let Some(LinkState::Up {
            held, connection, ..
        }) = link.map(|link| &mut link.state)
        else {
            self.trace.note(self.now, &Note::Lost { from, to });
            return;
        };
        if breaks {
            let connection = *connection;
            return self.break_link(from, to, connection);
        }
        if cut || dead {
            held.push(messages);
            return;
        }
        let mut usual = Vec::with_capacity(messages.len());
        for message in messages {
            match self.network.fate() {
                Fate::Arrives => usual.push(message),
                Fate::Lost => self.reached.note(Sometimes::MessageLost),
                Fate::Twice => {
                    self.reached.note(Sometimes::MessageTwice);
                    usual.push(message.clone());
                    self.launch(from, to, vec![message], 20 * MS);
                }
                Fate::Late(by) => {
                    self.reached.note(Sometimes::MessageLate);
                    self.launch(from, to, vec![message], by);
                }
            }
        }
        if !usual.is_empty() {
            self.launch(from, to, usual, 0);
        }
    }

    /// Puts a frame on its way. One that is late by itself does not hold up others.
    fn launch(&mut self, from: HostId, to: HostId, messages: Vec<Message>, late: u64) {
        let repetition = self.network.repetition();
        if repetition >= REPETITION_NOTICED {
            self.calm.news();
        }
        let takes = self.network.latency(from, to) + repetition;
        let now = self.now;
        let process = self
            .hosts
            .get_mut(&from)
            .expect("one of ours")
            .process
            .as_mut();
        let sender = process.as_ref().map_or(0, |process| process.life);
        let link = process.and_then(|process| process.links.get_mut(&to));
        let Some(LinkState::Up { arrives, life, .. }) = link.map(|link| &mut link.state) else {
            return;
        };
        let mut at = SimTime(now.0 + takes + late);
        if late == 0 {
            at = at.max(*arrives);
            *arrives = at;
        }
        let event = Event::Frame {
            from,
            sender,
            to,
            life: *life,
            messages,
        };
        self.schedule.at(at, event);
    }

    pub(super) fn frame(
        &mut self,
        from: HostId,
        sender: u64,
        to: HostId,
        life: u64,
        messages: Vec<Message>,
    ) {
        if self
            .hosts
            .get_mut(&from)
            .expect("one of ours")
            .life(sender)
            .is_none()
        {
            self.reached.note(Sometimes::FrameOfTheDead);
        }
        let receiver = self.hosts.get_mut(&to).expect("one of ours");
        if receiver.powered && receiver.life(life).is_some() {
            self.give(to, Input::Frame { from, messages });
        }
    }

    /// A connection ends, and with it what waits on it; it is dialled again.
    pub(super) fn break_link(&mut self, from: HostId, to: HostId, number: u64) {
        let Some(process) = &mut self.hosts.get_mut(&from).expect("one of ours").process else {
            return;
        };
        let life = process.life;
        let Some(link) = process.links.get_mut(&to) else {
            return;
        };
        if !matches!(&link.state, LinkState::Up { connection, .. } if *connection == number) {
            return;
        }
        link.state = LinkState::Down;
        self.trace.note(
            self.now,
            &Note::Link {
                from,
                to,
                what: "closed",
            },
        );
        self.give(from, Input::Link(to, LinkEvent::Closed));
        self.dial_again(from, life, to, 0);
    }

    /// Something about wires, power or processes changed: connections notice, each in its time.
    pub(super) fn links_changed(&mut self) {
        let ids: Vec<HostId> = self.hosts.keys().copied().collect();
        for &from in &ids {
            for &to in &ids {
                if from != to {
                    self.link_changed(from, to);
                }
            }
        }
    }

    fn link_changed(&mut self, from: HostId, to: HostId) {
        let unanswered = self.is_unanswered(from, to);
        let cut = self.network.is_cut(from, to) || !self.hosts[&to].powered;
        let gone = |life: u64| {
            let host = &self.hosts[&to];
            host.powered
                && host
                    .process
                    .as_ref()
                    .is_none_or(|process| process.life != life)
        };
        let process = self.hosts[&from].process.as_ref();
        let link = process.and_then(|process| process.links.get(&to));
        let Some(LinkState::Up {
            connection, life, ..
        }) = link.map(|link| &link.state)
        else {
            return;
        };
        let (connection, gone) = (*connection, gone(*life));
        if gone && !unanswered {
            // The machine answers that nobody has this connection any more.
            let at = SimTime(self.now.0 + self.network.latency(to, from));
            return self.schedule.at(
                at,
                Event::LinkBreaks {
                    from,
                    to,
                    connection,
                },
            );
        }
        let now = self.now;
        let process = self
            .hosts
            .get_mut(&from)
            .expect("one of ours")
            .process
            .as_mut();
        let link = process.and_then(|process| process.links.get_mut(&to));
        let Some(LinkState::Up {
            silent_since, held, ..
        }) = link.map(|link| &mut link.state)
        else {
            return;
        };
        let frames = if cut {
            Vec::new()
        } else {
            std::mem::take(held)
        };
        let began = unanswered && silent_since.is_none();
        *silent_since = unanswered.then(|| silent_since.unwrap_or(now));
        if began {
            let spread = self.network.any(PEER_SILENCE_SPREAD);
            let at = SimTime(now.0 + PEER_SILENCE + spread);
            let event = Event::LinkSilent {
                from,
                to,
                connection,
                since: now,
            };
            self.schedule.at(at, event);
        }
        for messages in frames {
            // What was lost on the way is sent again a moment after the wire is whole.
            self.launch(from, to, messages, 0);
        }
    }

    /// Nothing was heard on a connection since then: it is given up.
    pub(super) fn link_silent(
        &mut self,
        from: HostId,
        to: HostId,
        connection: u64,
        since: SimTime,
    ) {
        let process = self.hosts[&from].process.as_ref();
        let link = process.and_then(|process| process.links.get(&to));
        if let Some(LinkState::Up { silent_since, .. }) = link.map(|link| &link.state)
            && *silent_since == Some(since)
        {
            self.break_link(from, to, connection);
        }
    }

    /// All connections from and to a host break.
    pub(super) fn break_links(&mut self, id: HostId) {
        let mut broken = Vec::new();
        for (from, host) in &self.hosts {
            let links = host.process.iter().flat_map(|process| &process.links);
            for (to, link) in links {
                if let LinkState::Up { connection, .. } = link.state
                    && (*from == id || *to == id)
                {
                    broken.push((*from, *to, connection));
                }
            }
        }
        for (from, to, connection) in broken {
            let at = SimTime(self.now.0 + self.network.latency(to, from));
            self.schedule.at(
                at,
                Event::LinkBreaks {
                    from,
                    to,
                    connection,
                },
            );
        }
    }
}

fn through_bytes(version: WireVersion, messages: &[Message]) -> Vec<Message> {
    let bytes: Bytes = join(&encode_messages(version, messages));
    decode_messages(version, bytes).expect("what was written can be read")
}
