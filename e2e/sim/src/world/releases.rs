//! Upgrades of hosts, and what becomes of the machine version.

use shoal_types::{Command, HostId, MachineVersion};

use super::World;
use super::witness::Steps;
use crate::actions::Action;
use crate::history::{SimTime, Step};
use crate::limits::{MS, SECOND};
use crate::sometimes::Sometimes;

impl World {
    pub(super) fn plan_upgrades(&mut self) {
        for upgrade in self.options.releases.upgrades.clone() {
            let action = Action::Upgrade {
                host: upgrade.host,
                supports: upgrade.supports,
            };
            self.plan(SimTime(upgrade.at), action);
        }
    }

    /// Stops the host, in good order or not, and starts another release on the same data.
    pub(super) fn upgrade(&mut self, id: HostId, supports: MachineVersion) {
        let before = std::mem::replace(&mut self.host(id).supports, supports);
        if before > supports {
            if !self.may_be_put_back(id, supports) {
                self.host(id).supports = before;
                return;
            }
            self.reached.note(Sometimes::ReleasePutBack);
        }
        let leaves = self.process_random.one_in(2);
        let back = if leaves {
            self.act(Action::Leave(id));
            3 * SECOND + self.process_random.below(SECOND)
        } else {
            self.kill(id, "upgraded");
            self.process_random.magnitude(MS..SECOND)
        };
        self.plan(SimTime(self.now.0 + back), Action::Start(id));
    }

    /// As an operator would look: newer rules are in force nowhere, and cannot come into force, since
    /// another member does not know them either.
    fn may_be_put_back(&self, id: HostId, supports: MachineVersion) -> bool {
        let goes_by = |host: &HostId| {
            let process = self.hosts[host].process.as_ref()?;
            Some(process.core.machine().version())
        };
        let members = self.members.now();
        let mut others = members.iter().filter(|host| **host != id);
        goes_by(&id).is_some_and(|version| version <= supports)
            && members.iter().filter_map(goes_by).all(|v| v <= supports)
            && others.any(|host| self.hosts[host].supports <= supports)
    }

    /// A process has read its disk: what it executed so far, an earlier life of it executed before.
    pub(super) fn note_replayed(&mut self, steps: &Steps) {
        let raises = |step: &Step| {
            let Step::Command(request, ..) = step else {
                return false;
            };
            matches!(request.command, Command::RaiseVersion { .. })
        };
        if steps.any(raises) {
            self.reached.note(Sometimes::RaiseReplayed);
        }
    }

    /// Hosts that would go over to newer rules, were it not for a member that does not know them.
    pub(super) fn look_at_versions(&mut self) {
        let is_held_back = |id: &HostId| {
            let Some(process) = &self.hosts[id].process else {
                return false;
            };
            let (engine, machine) = (process.core.engine(), process.core.machine());
            let (own, in_force) = (*machine.supported().end(), machine.version());
            let others: Vec<MachineVersion> =
                engine.state_reports().map(|(_, r)| r.supports).collect();
            let all_heard = others.len() + 1 == engine.view().members.len();
            engine.is_ready() && all_heard && own > in_force && others.contains(&in_force)
        };
        if self.hosts.keys().any(is_held_back) {
            self.reached.note(Sometimes::RaiseHeldBack);
        }
    }
}
