//! What happens to hosts, disks and the network.

use shoal_replication::{Engine, EngineConfig, LinkEvent, Message};
use shoal_types::Incarnation;

use super::{Event, MS, Rig, Us};

impl Rig {
    /// The manager tells a host to form the cluster.
    pub fn form(&mut self, h: usize) {
        let (spec, now) = (self.spec.clone(), self.now_of(h));
        self.engine(h).form(&spec, now).unwrap();
        self.after_input(h);
    }

    /// The process is killed: what it has written stays. The others' connections are reset, and
    /// dialling is refused.
    pub fn kill(&mut self, h: usize) {
        self.power_off_keeping(h, usize::MAX);
        for peer in self.others(h) {
            self.tell_link(peer, h, LinkEvent::Closed, self.latency);
            self.tell_link(peer, h, LinkEvent::Refused, 2 * self.latency);
        }
    }

    /// The machine is off: what was not synced is lost, nobody is told.
    pub fn power_off(&mut self, h: usize) {
        self.power_off_keeping(h, 0);
    }

    /// As `power_off`, but so many unsynced records happen to be on disk.
    pub fn power_off_keeping(&mut self, h: usize, unsynced: usize) {
        if self.trace {
            println!("{:>9} host {h} is down", self.now);
        }
        let host = &mut self.hosts[h];
        host.engine = None;
        host.disk.crash(unsynced);
        host.after_persisted.clear();
        host.start += 1;
        host.shown = Incarnation(0);
        for command in std::mem::take(&mut host.waiting).into_values() {
            self.history.forgotten(command);
        }
    }

    /// The process starts: checkpoint, replay, a new life.
    pub fn start(&mut self, h: usize) {
        if self.trace {
            println!("{:>9} host {h} starts", self.now);
        }
        let now = self.now_of(h);
        let host = &mut self.hosts[h];
        assert!(host.engine.is_none());
        host.start += 1;
        host.disk.opened();
        let mut config = EngineConfig::new(host.id, self.seed);
        config.timings = self.timings.clone();
        let (checkpoint, records) = host.disk.recover();
        host.executed = checkpoint.as_ref().map_or(0, |c| c.executed);
        let engine = Engine::new(config, checkpoint.map(|c| c.engine()), now);
        host.engine = Some(engine);
        for record in records {
            self.engine(h).replay(record);
            self.carry_out(h);
        }
        let now = self.now_of(h);
        self.engine(h).started(now);
        self.after_input(h);
    }

    /// Connections between `h` and everyone who is up.
    pub(super) fn connect(&mut self, h: usize) {
        let shown = self.hosts[h].shown;
        for peer in self.others(h) {
            let peer_shown = self.hosts[peer].shown;
            if peer_shown.0 == 0 {
                if self.hosts[peer].engine.is_none() {
                    self.tell_link(h, peer, LinkEvent::Refused, self.latency);
                }
                continue;
            }
            if !self.is_cut(h, peer) {
                let incarnation = shown;
                self.tell_link(peer, h, LinkEvent::Up { incarnation }, 2 * self.latency);
                let incarnation = peer_shown;
                self.tell_link(h, peer, LinkEvent::Up { incarnation }, 2 * self.latency);
            }
        }
    }

    /// The process is told to stop and asks to be sealed out.
    pub fn leave(&mut self, h: usize) {
        let now = self.now_of(h);
        self.engine(h).leave(now);
        self.after_input(h);
    }

    /// The process stands still for so long.
    pub fn pause(&mut self, h: usize, how_long: Us) {
        self.hosts[h].paused_until = self.now + how_long;
    }

    /// A link event that nothing else explains.
    pub fn tell_link(&mut self, host: usize, peer: usize, event: LinkEvent, after: Us) {
        self.push(after, Event::Link { host, peer, event });
    }

    /// A connection breaks for no reason and comes back, or is refused for a while.
    pub fn flap(&mut self, host: usize, peer: usize) {
        let down = if self.random.one_in(2) {
            LinkEvent::Refused
        } else {
            LinkEvent::Closed
        };
        self.tell_link(host, peer, down, 0);
        let incarnation = self.hosts[peer].shown;
        let back = self.random.below(20 * MS);
        self.tell_link(host, peer, LinkEvent::Up { incarnation }, back);
    }

    /// A host takes everyone for dead and believes that all agree to a view change: what the rules
    /// about suspicion and pre-votes prevent, and what must do no harm all the same.
    pub fn coup(&mut self, h: usize) {
        let now = self.now_of(h);
        let view = self.status(h).view.number.next();
        for peer in self.others(h) {
            let id = self.hosts[peer].id;
            self.engine(h).handle_link(id, LinkEvent::Refused, now);
        }
        for peer in self.others(h) {
            let id = self.hosts[peer].id;
            let message = Message::PreVoted { view };
            self.engine(h).handle_message(id, message, now);
        }
        self.after_input(h);
        for peer in self.others(h) {
            self.show_link(h, peer);
        }
    }

    /// Tells a host how its connection to a peer really is.
    pub fn show_link(&mut self, host: usize, peer: usize) {
        let incarnation = self.hosts[peer].shown;
        let event = match &self.hosts[peer].engine {
            Some(_) => LinkEvent::Up { incarnation },
            None => LinkEvent::Refused,
        };
        self.tell_link(host, peer, event, 0);
    }

    pub fn checkpoint(&mut self, h: usize) {
        let host = &mut self.hosts[h];
        let Some(engine) = &host.engine else { return };
        host.disk
            .take_checkpoint(&engine.checkpoint(), host.executed);
    }

    /// Removes the part of a host's log that neither its checkpoint nor a member needs.
    pub fn trim_log(&mut self, h: usize) {
        let host = &mut self.hosts[h];
        let Some(needed) = host.engine.as_ref().and_then(Engine::needed_from) else {
            return;
        };
        host.disk.trim(&needed);
    }

    // ---- what happens to the network ----

    pub fn cut_one_way(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Two groups that do not hear each other.
    pub fn split(&mut self, one_side: &[usize]) {
        for a in 0..self.hosts.len() {
            for b in 0..self.hosts.len() {
                if one_side.contains(&a) != one_side.contains(&b) {
                    self.cut.insert((a, b));
                }
            }
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    pub(super) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a, b)) || self.cut.contains(&(b, a))
    }
}
