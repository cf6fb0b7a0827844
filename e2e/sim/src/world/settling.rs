//! The end of a run: faults are over, everything that can run runs, and the cluster has to come to
//! rest: one view, all queues empty, all hosts with the same state.

use shoal_types::{HostId, HostState};

use super::{Event, Phase, World};
use crate::checkers::{Checker, CountsByHost};
use crate::history::SimTime;
use crate::limits::{CLOCK_ERROR_MAX, LOOK_EVERY, SETTLING_MAX};
use crate::trace::Note;

impl World {
    /// The load is over: all is made well that can be.
    pub(super) fn heal(&mut self) {
        self.trace.note(self.now, &Note::Phase("healed"));
        self.phase = Phase::Settling { since: self.now };
        self.network.heal();
        for id in self.all_hosts() {
            let host = self.host(id);
            host.disk_slower = 1;
            host.disk_stalled_until = SimTime(0);
            host.turn_longer = 0;
            host.client_cuts = 0;
            host.kill_in_start = false;
            host.kill_in_job = None;
            host.power_off_at_vote = None;
            host.disk.memory().set_capacity(None);
            let mut troubles = host.disk.troubles();
            (troubles.fail_write, troubles.fail_sync, troubles.fail_reads) = (false, false, 0);
            troubles.room_to_copy = None;
            drop(troubles);
            self.hasten_jobs(id);
            self.thaw(id);
            if self.hosts[&id].damaged {
                self.stop_damaged(id);
            } else {
                self.start(id);
            }
        }
        self.links_changed();
        let members = self.members.now();
        for id in self.all_hosts() {
            // Nor does one with a clock that is off take commands.
            let is_off = self.hosts[&id].clock.ahead().unsigned_abs() > CLOCK_ERROR_MAX;
            if is_off || !members.contains(&id) {
                self.workload.host_is_gone(id);
            }
        }
        self.workload.drain(self.now);
        self.plan_clients();
        self.schedule.at(self.now, Event::Look);
    }

    /// An operator replaces a host whose disk is known to be bad.
    fn stop_damaged(&mut self, id: HostId) {
        self.kill(id, "its disk is bad");
        let host = self.host(id);
        host.powered = false;
        self.lose(id);
        self.links_changed();
    }

    /// A host does not come back in this run.
    pub(super) fn lose(&mut self, id: HostId) {
        self.host(id).away = true;
        self.workload.host_is_gone(id);
    }

    /// Looks whether the cluster has come to rest. If not in time, that is a violation.
    pub(super) fn look_whether_settled(&mut self) {
        let Phase::Settling { since } = self.phase else {
            return;
        };
        // A host that was about to leave when the faults ended has left by now, and is wanted back.
        for id in self.expected() {
            self.start(id);
        }
        self.look_for_refused();
        let parcels = self.parcels_under_way(&self.expected());
        self.workload.parcels_are_under_way(parcels.is_some());
        let mut restless = self.restless();
        if restless.is_none() && self.workload.drained() {
            restless = self.untold(&self.expected()).or_else(|| parcels.clone());
            if restless.is_none() {
                return self.end(true);
            }
        }
        if self.now.0 > since.0 + SETTLING_MAX {
            let why = restless.or(parcels);
            let why = why.unwrap_or_else(|| "the clients did not come to rest".to_owned());
            let what = format!("{} s after the last fault: {why}", SETTLING_MAX / 1_000_000);
            self.violation(Checker::Liveness, what);
            return self.end(false);
        }
        self.schedule
            .at(SimTime(self.now.0 + LOOK_EVERY), Event::Look);
    }

    fn end(&mut self, settled: bool) {
        self.trace.note(self.now, &Note::Phase("over"));
        if settled {
            self.compare_states();
        }
        self.phase = Phase::Over { settled };
    }

    /// The hosts that should be there at the end: the members as of the last list.
    fn expected(&self) -> Vec<HostId> {
        let mut members = self.members.now();
        members.retain(|id| !self.hosts[id].away);
        members
    }

    /// Why the cluster is not at rest, if it is not.
    fn restless(&self) -> Option<String> {
        let expected = self.expected();
        let mut first = None;
        for id in &expected {
            let Some(process) = &self.hosts[id].process else {
                return Some(format!("{id} does not run"));
            };
            let (state, engine) = (process.core.state(), process.core.engine());
            let view = engine.view();
            // A host whose clock is off follows and writes, and takes no commands.
            let acts = state == HostState::Acting || process.core.clock_is_off();
            if !acts {
                return Some(format!(
                    "{id} is {state:?} in view {}: {:?}",
                    view.number,
                    engine.status()
                ));
            }
            if let Some(out) = expected.iter().find(|host| !view.is_writer(**host)) {
                return Some(format!(
                    "{out} is no writer of view {} as {id} has it",
                    view.number
                ));
            }
            let here = (view.number, process.core.machine().executed());
            let there = *first.get_or_insert(here);
            if here != there {
                return Some(format!(
                    "{id} has executed {here:?}, another host {there:?}"
                ));
            }
        }
        None
    }

    /// Hosts that executed the same must be the same.
    fn compare_states(&mut self) {
        let mut first: Option<(HostId, u64, u64)> = None;
        let mut differ = Vec::new();
        for id in self.expected() {
            let Some(process) = &self.hosts[&id].process else {
                continue;
            };
            let machine = process.core.machine();
            let here = (machine.state_hash(), machine.full_hash());
            let (other, rolling, full) = *first.get_or_insert((id, here.0, here.1));
            if here != (rolling, full) {
                differ.push(format!(
                    "at the end {id} and {other} have executed the same and differ"
                ));
            }
        }
        for what in differ {
            self.violation(Checker::C13, what);
        }
    }

    /// How many messages are where, on every host that should be there.
    pub(super) fn counts(&self) -> CountsByHost {
        let counts = |id: &HostId| {
            let machine = self.hosts[id].process.as_ref()?.core.machine();
            let partitions = machine.partitions();
            let counts = partitions
                .filter_map(|(partition, _)| Some((partition, machine.counts(partition)?)));
            Some((*id, counts.collect()))
        };
        self.expected().iter().filter_map(counts).collect()
    }
}
