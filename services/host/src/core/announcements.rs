//! What this host and the other members tell one another of their states, and what follows: the
//! version of the rules is raised when all support a newer one, and a host whose state is not the
//! others' stops.

use shoal_replication::{Standing, StateReport};
use shoal_types::planted::{Bug, planted};
use shoal_types::{Command, ErrorCode, MachineVersion, Mono, Refusal};

use super::agreement::Verdict;
use super::{Answer, Core, Effect};
use crate::formats::disk_version;
use crate::limits;

impl Core {
    /// Once per turn: a few comparisons, unless there is news.
    pub(super) fn exchange_announcements(&mut self) {
        self.engine.set_state_report(StateReport {
            version: self.machine.version(),
            supports: *self.machine.supported().end(),
            mark: self.agreement.newest(),
        });
        let mut in_force = self.machine.version();
        for (member, report) in self.engine.state_reports() {
            in_force = in_force.max(report.version);
            if let Some(mark) = report.mark {
                self.agreement.hear(member, mark);
            }
        }
        if !self.machine.supported().contains(&in_force) {
            return self.stop(self.unsupported(in_force));
        }
        self.write_as_all_can_read();
        if self
            .agreement
            .judge(self.origin.host, &self.engine.view().members)
        {
            self.verdict_changed();
        }
        self.propose_raise();
    }

    /// The log goes over to newer formats where the rules went over.
    pub(super) fn write_as_all_can_read(&mut self) {
        self.log.set_version(disk_version(self.machine.version()));
    }

    fn verdict_changed(&mut self) {
        match self.agreement.verdict() {
            Verdict::Same => tracing::info!("the members agree on the executed state again"),
            Verdict::Outvotes(difference) => {
                tracing::error!(%difference, "a member's state is not that of the majority");
            }
            Verdict::Outvoted(difference) => {
                let reason = format!(
                    "this host's state is not that of a majority of its cluster: {difference}; start \
                     it again, and if that happens again, replace it by a new host"
                );
                self.stop(reason);
            }
            Verdict::Undecided(difference) => {
                tracing::error!(%difference, "the members' states differ and no majority agrees: taking no commands");
                for operation in self.operations.take_waiting() {
                    self.answer(operation, Answer::refused(in_doubt()));
                }
            }
        }
    }

    /// True if commands are taken and executed ones answered.
    pub(super) fn serves(&self) -> bool {
        self.engine.takes_commands() && !self.is_halted()
    }

    /// True if what this host has executed must not be shown to anybody, or be made to last.
    pub(super) fn is_halted(&self) -> bool {
        self.stopped.is_some() || self.agreement.dispute().is_some()
    }

    /// Why this host takes no commands.
    pub(super) fn not_serving(&self) -> Refusal {
        let why = self.trouble();
        let why = why.unwrap_or_else(|| "it is catching up with its cluster".to_owned());
        Refusal::not_applied(
            ErrorCode::NotReady,
            format!("this host takes no commands: {why}"),
        )
    }

    /// Why this host takes no commands, for people: what is the matter and what to do, if there is
    /// something to do.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if let Some(forgotten) = self.engine.forgotten() {
            return Some(forgotten.to_string());
        }
        if let Some(difference) = self.agreement.dispute() {
            return Some(format!(
                "the hosts of this cluster came to different states, and no majority of them agrees: \
                 {difference}; an operator has to decide"
            ));
        }
        match self.engine.standing() {
            Standing::Removed => Some(
                "the host was removed from its cluster; it comes back with an empty data folder only"
                    .to_owned(),
            ),
            Standing::NeedsSnapshot if self.lacks_state() => Some(
                "the host's checkpoint is damaged: it needs a snapshot from another host of its cluster"
                    .to_owned(),
            ),
            Standing::NeedsSnapshot => Some(
                "the host needs a snapshot: what it lacks is in no log of its cluster any more".to_owned(),
            ),
            // As an operator wants it.
            _ if self.engine.is_set_aside() && self.engine.is_following() => None,
            _ => self.engine.not_ready().map(|why| why.to_string()),
        }
    }

    /// Nothing more is executed, answered or written from here on.
    pub(super) fn stop(&mut self, reason: String) {
        self.effects
            .retain(|effect| !matches!(effect, Effect::Answer { .. }));
        self.effects.push(Effect::Fatal(reason.clone()));
        self.stopped = Some(reason);
    }

    pub(super) fn unsupported(&self, in_force: MachineVersion) -> String {
        let supported = self.machine.supported();
        format!(
            "the cluster executes by machine version {in_force}, and this release supports {} to {}; \
             start a release that supports it",
            supported.start(),
            supported.end()
        )
    }

    /// All members support newer rules: the writers propose to go over to them, by rank, so that not
    /// all of them do.
    fn propose_raise(&mut self) {
        let Some(to) = self.may_raise_to() else {
            self.raise_at = None;
            return;
        };
        let active = &self.engine.view().active;
        let Some(rank) = active.iter().position(|host| *host == self.origin.host) else {
            return;
        };
        let now = self.now.mono;
        let stagger = limits::TICK_STAGGER * rank as u32;
        if *self.raise_at.get_or_insert(now + stagger) <= now {
            self.raise_at = Some(now + limits::RAISE_AGAIN);
            self.intake
                .push_own(self.origin, Command::RaiseVersion { to });
        }
    }

    pub(super) fn next_raise(&self) -> Option<Mono> {
        self.raise_at
    }

    /// A member that was not heard, in this view and in its latest life, counts as supporting nothing.
    fn may_raise_to(&self) -> Option<MachineVersion> {
        let newest = *self.machine.supported().end();
        if self.machine.version() == newest || !self.serves() {
            return None;
        }
        let (mut heard, mut to) = (1, newest);
        for (_, report) in self.engine.state_reports() {
            heard += 1;
            if !planted(Bug::RaisedAlone) {
                to = to.min(report.supports);
            }
        }
        let all_heard = heard == self.engine.view().members.len();
        (all_heard && to > self.machine.version()).then_some(to)
    }
}

/// What the client of an executed command is told during a dispute.
pub(super) fn in_doubt() -> Refusal {
    Refusal::unknown(
        ErrorCode::NotReady,
        "the hosts of this cluster came to different states, and no majority of them agrees",
    )
}
