//! One operation on its way through the hosts, until one of them answers for good or its time is over.
//! Does what a frontend does: another host after a refusal that is about the host, all of them again
//! after a pause, a second one beside a silent first, always under the same request id.

use bytes::Bytes;
use shoal_types::{Applied, ErrorCode, HostId, Micros, Outcome, Refusal, Request};

use super::hosts::Hosts;
use super::limits::{ATTEMPTS_MAX, ROUND_PAUSE};
use crate::history::{CallId, SimTime, Told};
use crate::random::Random;

/// What a client wants done.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) command: shoal_types::Command,
    /// Of a send.
    pub(super) bodies: Vec<Bytes>,
    /// From now to the deadline.
    pub(super) patience: Micros,
    /// Another host is asked as well after so long.
    pub(super) hedge_after: Micros,
    /// The client goes away after so long, if it has no answer by then.
    pub(super) leaves_after: Option<Micros>,
    /// Only this host is asked.
    pub(super) only_at: Option<HostId>,
    /// How long the command itself asks to be kept waiting.
    pub(super) waits: Micros,
}

/// How an operation ended, as its client sees it.
#[derive(Debug)]
pub(super) enum End {
    Outcome(Outcome),
    /// `applied` speaks for all attempts together.
    Refused(Refusal),
    /// The deadline came first, or the client left.
    Unknown,
}

/// What comes next.
pub(super) enum Move {
    /// Ask this host.
    Ask(HostId),
    /// Nothing before [`Execution::next_at`].
    Rest,
    /// Over. Calls that still run are to be cancelled if `cancel`.
    End { end: End, cancel: bool },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) request: Request,
    pub(super) bodies: Vec<Bytes>,
    pub(super) running: Vec<(CallId, HostId)>,
    pub(super) waits: Micros,
    hedge_after: Micros,
    only_at: Option<HostId>,
    ends: SimTime,
    leaves: Option<SimTime>,
    next: SimTime,
    tried: Vec<HostId>,
    attempts: usize,
    pause: Micros,
    in_doubt: bool,
    refusal: Option<Refusal>,
}

impl Execution {
    pub(super) fn new(request: Request, errand: Errand, now: SimTime) -> Self {
        let after = |micros: Micros| SimTime(now.0 + micros);
        Self {
            request,
            bodies: errand.bodies,
            running: Vec::new(),
            waits: errand.waits,
            hedge_after: errand.hedge_after,
            only_at: errand.only_at,
            ends: after(errand.patience),
            leaves: errand.leaves_after.map(after),
            next: now,
            tried: Vec::new(),
            attempts: 0,
            pause: ROUND_PAUSE.start,
            in_doubt: false,
            refusal: None,
        }
    }

    /// When there is something to do even if nothing is heard.
    pub(super) fn next_at(&self) -> SimTime {
        self.next.min(self.until())
    }

    /// When its client gives it up.
    pub(super) fn until(&self) -> SimTime {
        self.leaves
            .map_or(self.ends, |leaves| leaves.min(self.ends))
    }

    /// Only one host is asked.
    pub(super) fn is_pinned(&self) -> bool {
        self.only_at.is_some()
    }

    /// Hosts that are asked at the moment may not be in the view any more: ask another one at once.
    pub(super) fn hurry(&mut self, hosts: &Hosts, now: SimTime) {
        let lost = |(_, host): &(CallId, HostId)| !hosts.is_active(*host);
        if self.only_at.is_none() && !self.running.is_empty() && self.running.iter().all(lost) {
            self.tried = self.running_at();
            self.next = now;
        }
    }

    pub(super) fn asked(&mut self, call: CallId, host: HostId, now: SimTime) {
        self.attempts += 1;
        self.running.push((call, host));
        self.tried.push(host);
        self.next = SimTime(now.0 + self.hedge_after);
    }

    /// To be called at [`Execution::next_at`].
    pub(super) fn wake(&mut self, hosts: &mut Hosts, now: SimTime, random: &mut Random) -> Move {
        if self.leaves.is_some_and(|leaves| leaves <= now) {
            let cancel = true;
            return Move::End {
                end: End::Unknown,
                cancel,
            };
        }
        let hopeless = self.running.is_empty() && self.attempts >= ATTEMPTS_MAX;
        if self.ends <= now || hopeless {
            return self.give_up();
        }
        if self.next > now {
            return Move::Rest;
        }
        for (_, silent) in &self.running {
            hosts.failed(*silent, now);
        }
        self.go_on(hosts, now, random)
    }

    /// One attempt ended.
    pub(super) fn told(
        &mut self,
        call: CallId,
        told: Told,
        hosts: &mut Hosts,
        now: SimTime,
        random: &mut Random,
    ) -> Move {
        let at = self
            .running
            .iter()
            .position(|(running, _)| *running == call);
        let (_, host) = self.running.remove(at.expect("the caller looked"));
        match told {
            Told::Outcome(outcome, _) => {
                hosts.answered(host);
                // Losers of a receive finish by themselves: cancelling them would take back what
                // the winner was given.
                Move::End {
                    end: End::Outcome(outcome),
                    cancel: false,
                }
            }
            Told::Refused(refusal) => {
                if refusal.code == ErrorCode::NotReady {
                    hosts.failed(host, now);
                } else {
                    hosts.answered(host);
                }
                self.in_doubt |= refusal.applied == Applied::Unknown;
                let another_may_do_it = is_about_the_host(refusal.code);
                self.refusal = Some(refusal);
                if another_may_do_it {
                    self.go_on(hosts, now, random)
                } else {
                    self.in_doubt |= !self.running.is_empty();
                    self.give_up()
                }
            }
            Told::Broken => {
                hosts.failed(host, now);
                self.in_doubt = true;
                self.go_on(hosts, now, random)
            }
        }
    }

    fn running_at(&self) -> Vec<HostId> {
        self.running.iter().map(|(_, host)| *host).collect()
    }

    fn go_on(&mut self, hosts: &Hosts, now: SimTime, random: &mut Random) -> Move {
        if self.attempts < ATTEMPTS_MAX && now < self.ends {
            let choice = match self.only_at {
                Some(host) => Some(host).filter(|host| !self.tried.contains(host)),
                None => hosts.choose(&self.tried, now, random),
            };
            if let Some(host) = choice {
                return Move::Ask(host);
            }
        }
        // A new round over all hosts in a moment.
        self.tried = self.running_at();
        self.next = SimTime(now.0 + random.range(self.pause / 2..self.pause));
        self.pause = (self.pause * 2).min(ROUND_PAUSE.end);
        Move::Rest
    }

    fn give_up(&mut self) -> Move {
        let undecided = self.in_doubt || !self.running.is_empty();
        let end = match self.refusal.take() {
            Some(refusal) => End::Refused(Refusal {
                applied: if undecided {
                    Applied::Unknown
                } else {
                    Applied::No
                },
                ..refusal
            }),
            None => End::Unknown,
        };
        Move::End { end, cancel: false }
    }
}

/// Whether a refusal says something about the host that gave it rather than about the request.
fn is_about_the_host(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotReady
            | ErrorCode::Busy
            | ErrorCode::Unavailable
            | ErrorCode::StaleRoute
            | ErrorCode::Corrupt
    )
}
