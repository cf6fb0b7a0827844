//! What happens to hosts, disks and the network.

use shoal_replication::{
    ChangeError, Engine, EngineConfig, FormError, LearnError, LinkEvent, Message,
};
use shoal_types::{ClusterSpec, Incarnation, Revision};

use super::{Disk, Event, MS, Rig, Us, member};

impl Rig {
    /// The manager tells a host to form the cluster.
    pub fn form(&mut self, h: usize) {
        self.try_form(h).unwrap();
    }

    pub fn try_form(&mut self, h: usize) -> Result<(), FormError> {
        let (spec, now) = (self.spec.clone(), self.now_of(h));
        let formed = self.engine(h).form(&spec, now);
        self.after_input(h);
        formed
    }

    /// The manager tells a host that it is to become a member.
    pub fn learn(&mut self, h: usize, spec: &ClusterSpec) -> Result<(), LearnError> {
        let now = self.now_of(h);
        let taken = self.engine(h).learn(spec, now);
        self.after_input(h);
        taken
    }

    /// The manager tells a member who the members are to be.
    pub fn change_members(&mut self, h: usize, spec: &ClusterSpec) -> Result<(), ChangeError> {
        let now = self.now_of(h);
        let taken = self.engine(h).change_members(spec, now);
        self.after_input(h);
        taken
    }

    /// The list as a member knows it, with hosts added and removed and the next revision.
    pub fn spec_with(&self, h: usize, added: &[usize], removed: &[usize]) -> ClusterSpec {
        let engine = self.hosts[h].engine.as_ref().expect("the host is up");
        let mut spec = engine.spec().expect("it belongs to a cluster").clone();
        spec.members
            .retain(|m| !removed.contains(&(m.host.0 as usize - 1)));
        spec.members.extend(added.iter().map(|&h| member(h)));
        spec.members.sort_by_key(|m| m.host);
        spec.revision = Revision(spec.revision.0 + 1);
        spec
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
        host.links.clear();
        host.dialled = None;
        host.removed = false;
        for command in std::mem::take(&mut host.waiting).into_values() {
            self.history.forgotten(command);
        }
    }

    /// Somebody puts back an earlier copy of a host's data folder, or an empty one. The host is down.
    pub fn set_back(&mut self, h: usize, to: Disk) {
        assert!(
            !self.is_up(h),
            "a data folder is locked while the process runs"
        );
        let host = &mut self.hosts[h];
        host.disk = to;
        host.disk.crash(0);
        host.set_back = true;
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

    /// Connections between `h` and everyone who is up, as far as they dial each other.
    pub(super) fn connect(&mut self, h: usize) {
        for peer in self.others(h) {
            if self.hosts[peer].links.contains(&h) {
                self.show_new_link(peer, h);
            }
            if self.hosts[h].links.contains(&peer) {
                self.show_new_link(h, peer);
            }
        }
    }

    /// A host dials another one.
    pub(super) fn show_new_link(&mut self, host: usize, peer: usize) {
        let incarnation = self.hosts[peer].shown;
        if self.hosts[host].shown.0 == 0 {
            // It will, once its own life is durable.
        } else if self.hosts[peer].engine.is_none() {
            self.tell_link(host, peer, LinkEvent::Refused, self.latency);
        } else if incarnation.0 > 0 && !self.is_cut(host, peer) {
            let up = self.link_to(peer, incarnation);
            self.tell_link(host, peer, up, 2 * self.latency);
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
        let up = self.link_to(peer, incarnation);
        self.tell_link(host, peer, up, back);
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

    /// What a connection to a host shows.
    fn link_to(&self, peer: usize, incarnation: Incarnation) -> LinkEvent {
        let engine = self.hosts[peer].engine.as_ref();
        let assigned = engine.is_some_and(|engine| engine.spec().is_some());
        LinkEvent::Up {
            incarnation,
            assigned,
        }
    }

    /// Tells a host how its connection to a peer really is.
    pub fn show_link(&mut self, host: usize, peer: usize) {
        let incarnation = self.hosts[peer].shown;
        let event = match &self.hosts[peer].engine {
            Some(_) => self.link_to(peer, incarnation),
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
