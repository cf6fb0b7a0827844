//! Everything that happens by time alone.

use shoal_types::Mono;

/// What an engine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// When to tell every member how this host is.
    Heartbeat,
    /// When to look whether a member has become suspect.
    Suspicion,
    /// When to ask the others whether the view should be changed.
    Attempt,
    /// When to stop waiting for their answers.
    PreVote,
    /// When to send the messages of a view change again, or to stop waiting for late promises.
    Proposal,
    /// When to fetch from another peer what did not come.
    Fetch,
    /// When to ask a writer again to be let in or out.
    Ask,
    /// When to tell the others again of a change of the members that was asked for here.
    Change,
}

impl Timer {
    pub(crate) const ALL: [Self; 8] = [
        Self::Heartbeat,
        Self::Suspicion,
        Self::Attempt,
        Self::PreVote,
        Self::Proposal,
        Self::Fetch,
        Self::Ask,
        Self::Change,
    ];
}

/// At most one time for each timer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    at: [Option<Mono>; Timer::ALL.len()],
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Mono) {
        self.at[timer as usize] = Some(at);
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.at[timer as usize] = None;
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Mono> {
        self.at[timer as usize]
    }

    /// Stops the timer and says true if its time has come.
    pub(crate) fn expired(&mut self, timer: Timer, now: Mono) -> bool {
        let due = self.get(timer).is_some_and(|at| at <= now);
        if due {
            self.stop(timer);
        }
        due
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.at.iter().flatten().min().copied()
    }
}
