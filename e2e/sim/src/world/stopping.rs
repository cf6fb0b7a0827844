//! A process ends: killed, without power, of its own accord, or because something failed.

use shoal_storage::Keep;
use shoal_types::{HostId, HostState};

use super::World;
use super::host::Process;
use crate::checkers::Checker;
use crate::sometimes::Sometimes;
use crate::trace::Note;

impl World {
    /// Kill -9: what was written is in the page cache, and still there.
    pub(super) fn kill(&mut self, id: HostId, why: &str) {
        let host = self.hosts.get_mut(&id).expect("one of ours");
        if host.starting {
            host.kill_in_start = true;
            return;
        }
        let keep = match &host.process {
            // After a failed sync the system forgets what it could not write.
            Some(process) if process.lost_trust => Keep::Random(self.disk_random.any()),
            _ => Keep::All,
        };
        self.end_process(id, keep, why, true);
        self.break_calls_at(id, false);
        self.links_changed();
        self.note_who_is_up();
    }

    /// The machine loses its power: what was not synced may be gone, and nobody is told anything.
    pub(super) fn power_off(&mut self, id: HostId) {
        self.reached.note(Sometimes::PowerLost);
        let keep = if self.options.disk.keeps_some {
            Keep::Random(self.disk_random.any())
        } else {
            Keep::Synced
        };
        let host = self.hosts.get_mut(&id).expect("one of ours");
        host.powered = false;
        host.starting = false;
        host.kill_in_start = false;
        if host.process.is_some() {
            self.end_process(id, keep, "no power", true);
        } else {
            host.disk.crash(keep);
        }
        self.break_calls_at(id, true);
        self.links_changed();
        self.note_who_is_up();
    }

    /// The process left its view and ends.
    pub(super) fn process_left(&mut self, id: HostId) {
        self.end_process(id, Keep::All, "it left", false);
        self.break_calls_at(id, false);
        self.links_changed();
    }

    /// A host drops its state, to go on from what its disk holds.
    pub(super) fn process_replaced(&mut self, id: HostId) {
        self.end_process(id, Keep::All, "it goes on from a snapshot", false);
        self.break_calls_at(id, false);
        self.links_changed();
    }

    /// A write or sync failed: the host stops at once, which is right.
    pub(super) fn process_failed(&mut self, id: HostId, why: &str) {
        let host = &self.hosts[&id];
        if !host.damaged && !host.had_disk_trouble {
            self.violation(
                Checker::Assertions,
                format!("{id} stops though its disk is well: {why}"),
            );
        }
        self.kill(id, why);
        self.start_after_failure(id);
    }

    /// The engine says that the host must stop for good.
    pub(super) fn process_fatal(&mut self, id: HostId, why: &str) {
        if self.hosts[&id].process.is_none() {
            return;
        }
        if !self.hosts[&id].damaged {
            self.violation(
                Checker::Assertions,
                format!("{id} must stop though it lost nothing: {why}"),
            );
        }
        self.kill(id, why);
        self.lose(id);
    }

    /// An assertion of the host's own failed.
    pub(super) fn process_panicked(&mut self, id: HostId, panic: &str) {
        self.violation(Checker::Assertions, format!("{id} panics: {panic}"));
        self.kill(id, "it panicked");
        self.start_after_failure(id);
    }

    /// Whoever looks after the host starts it again after a while.
    fn start_after_failure(&mut self, id: HostId) {
        let after = self.process_random.magnitude(50_000..4_000_000);
        let at = crate::history::SimTime(self.now.0 + after);
        self.schedule.at(at, super::Event::StartAgain { host: id });
    }

    fn end_process(&mut self, id: HostId, keep: Keep, why: &str, in_the_middle: bool) {
        self.note_steps(id);
        let host = self.hosts.get_mut(&id).expect("one of ours");
        host.frozen = false;
        host.postponed.clear();
        host.clock.go_on(self.now);
        let Some(process) = host.process.take() else {
            return;
        };
        let note = Note::Ended {
            host: id,
            life: process.life,
            why: why.to_owned(),
        };
        self.trace.note(self.now, &note);
        self.calm.news();
        if process.seen.proposes > process.core.engine().view().number {
            self.reached.note(Sometimes::ProposerDied);
        }
        if in_the_middle && process.carriages > 0 {
            self.reached.note(Sometimes::KilledInCarriage);
        }
        if in_the_middle && process.core.state() == HostState::Learning {
            self.reached.note(Sometimes::NewcomerDied);
        }
        let Process {
            core,
            reader,
            checkpoints,
            jobs,
            ..
        } = process;
        if in_the_middle && core.is_moving_bodies() {
            self.reached.note(Sometimes::KilledWhileMoving);
        }
        host.durable_at_end = matches!(keep, Keep::All).then(|| core.log().durable_lsn());
        if in_the_middle {
            self.interrupt(jobs.into_values().collect(), id, &reader, &checkpoints);
        }
        // Whatever closes now finds a disk that takes nothing any more.
        self.hosts[&id].disk.crash(keep);
        drop((core, checkpoints));
    }
}
