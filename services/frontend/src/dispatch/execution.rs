//! One request on its way through the hosts of its cluster, until one of them answers for good or the
//! deadline is there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metrics::counter;
use rand::RngExt;
use shoal_runtime::clock::SystemClock;
use shoal_transport::{CallError, CallErrorKind, Response};
use shoal_types::{Applied, ErrorCode, HostId, HostReply, HostRequest, Outcome, Refusal, Ts};
use tokio::time::Instant;
use tracing::debug;

use super::attempts::Attempts;
use super::choice::choose;
use super::cluster::{Cluster, HostLink};
use super::retry_budget::RetryBudget;
use super::{Answer, Dispatcher};
use crate::limits::{ATTEMPTS_MAX, LOSER_GRACE, ROUND_PAUSE_MAX, ROUND_PAUSE_MIN};
use crate::metric_names;

/// When to turn to another host although one is still being asked, and what becomes of the first.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// After so long without an answer.
    pub(super) hedge_after: Duration,
    /// Attempts that lost are left to end by themselves instead of being cancelled.
    pub(super) losers_finish: bool,
    /// What attempts are given after the whole has ended without an answer goes back to its partition.
    pub(super) gives_back: bool,
}

/// No answer.
pub(super) struct Failure {
    /// What to tell.
    pub(super) refusal: Refusal,
    /// The clock of the host that gave this refusal, if one did.
    pub(super) clock: Option<Ts>,
}

/// See the module.
pub(super) struct Execution<'a> {
    cluster: &'a Arc<Cluster>,
    shared: &'a Arc<Dispatcher>,
    budget: &'a RetryBudget,
    clock: &'a SystemClock,
    request: Arc<HostRequest>,
    bodies: Vec<Bytes>,
    patience: Patience,
    deadline: Instant,
    running: Attempts,
    /// When another host is asked if nothing happens before: the one that runs is silent, or the pause
    /// between rounds is over.
    next_at: Instant,
    /// Hosts asked in this round.
    tried: Vec<HostId>,
    attempts: usize,
    pause: Duration,
    /// Some attempt may have taken effect without our knowing.
    in_doubt: bool,
    /// The last reason for going on, and the clock of the host that gave it.
    refusal: Option<Refusal>,
    refused_at: Option<Ts>,
}

impl<'a> Execution<'a> {
    pub(super) fn new(
        cluster: &'a Arc<Cluster>,
        shared: &'a Arc<Dispatcher>,
        request: HostRequest,
        bodies: Vec<Bytes>,
        patience: Patience,
        deadline: Instant,
    ) -> Self {
        Self {
            cluster,
            shared,
            budget: &shared.budget,
            clock: &shared.clock,
            request: Arc::new(request),
            bodies,
            patience,
            deadline,
            running: Attempts::default(),
            next_at: deadline,
            tried: Vec::new(),
            attempts: 0,
            pause: ROUND_PAUSE_MIN,
            in_doubt: false,
            refusal: None,
            refused_at: None,
        }
    }

    /// Runs to the answer. Dropped before that, it cancels all attempts.
    pub(super) async fn run(mut self) -> Result<Answer<HostReply>, Failure> {
        self.budget.earn();
        let mut views = self.cluster.views();
        match self.choose() {
            Some(link) => self.start(link),
            None => self.new_round(),
        }
        loop {
            tokio::select! {
                biased;
                Some((link, result)) = self.running.next() => {
                    if let Some(ended) = self.judge(&link, result) {
                        if ended.is_ok() {
                            self.leave_losers();
                        }
                        return ended;
                    }
                    if let Some(patient_until) = self.running.patient_until(self.cluster) {
                        // Another attempt does well: as long, this one needs no successor.
                        self.next_at = patient_until;
                    } else if self.is_elsewhere() {
                        return Err(self.failure());
                    } else {
                        self.go_on(metric_names::RETRY_REFUSED);
                    }
                }
                Ok(()) = views.changed() => {
                    if !self.running.any_active(self.cluster) {
                        self.tried = self.running.hosts();
                        self.go_on(metric_names::RETRY_NEW_VIEW);
                    }
                }
                () = tokio::time::sleep_until(self.next_at) => {
                    self.running.failed();
                    self.go_on(if self.running.is_empty() {
                        metric_names::RETRY_REFUSED
                    } else {
                        metric_names::RETRY_SILENT
                    });
                }
            }
            let late = Instant::now() >= self.deadline;
            let hopeless = self.attempts >= ATTEMPTS_MAX || self.next_at >= self.deadline;
            if late || self.running.is_empty() && hopeless {
                return Err(self.give_up());
            }
        }
    }

    /// Whether every host of this round has been asked and what is sought is not in this cluster, as far
    /// as the last of them knows. Asking again would not find it sooner than asking where it is.
    fn is_elsewhere(&self) -> bool {
        let stale = |refusal: &Refusal| refusal.code == ErrorCode::StaleRoute;
        self.running.is_empty()
            && !self.in_doubt
            && self.refusal.as_ref().is_some_and(stale)
            && self.choose().is_none()
    }

    /// Asks another host at once, or all of them again after a pause.
    fn go_on(&mut self, reason: &'static str) {
        if !self.start_another(reason) {
            self.new_round();
        }
    }

    /// In a moment every host may be asked again, except where an attempt still runs.
    fn new_round(&mut self) {
        self.tried = self.running.hosts();
        // Half to all of it, so that those who were refused together do not come back together.
        let pause = self.pause.mul_f64(rand::rng().random_range(0.5..1.0));
        self.pause = (self.pause * 2).min(ROUND_PAUSE_MAX);
        self.next_at = (Instant::now() + pause).min(self.deadline);
    }

    /// Asks a host that was not asked in this round. False if there is none, or no time or allowance
    /// for it.
    fn start_another(&mut self, reason: &'static str) -> bool {
        if self.attempts >= ATTEMPTS_MAX || Instant::now() >= self.deadline {
            return false;
        }
        let Some(link) = self.choose() else {
            return false;
        };
        if !self.budget.spend() {
            counter!(metric_names::RETRIES_DENIED).increment(1);
            return false;
        }
        counter!(metric_names::RETRIES, "reason" => reason).increment(1);
        debug!(host = %link.host, reason, attempts = self.attempts, "asking another host");
        self.start(link);
        true
    }

    fn choose(&self) -> Option<Arc<HostLink>> {
        let links = self.cluster.hosts();
        let candidates = self.cluster.candidates(&links, &self.tried);
        let index = choose(&candidates, |below| rand::rng().random_range(0..below))?;
        Some(Arc::clone(&links[index]))
    }

    fn start(&mut self, link: Arc<HostLink>) {
        self.attempts += 1;
        self.tried.push(link.host);
        let now = Instant::now();
        self.next_at = (now + self.patience.hedge_after).min(self.deadline);
        let mut time = self.deadline.saturating_duration_since(now);
        if self.patience.losers_finish {
            // A call that runs out of time is cancelled; by then the request must be forgotten.
            time += LOSER_GRACE;
        }
        let (request, bodies) = (Arc::clone(&self.request), self.bodies.clone());
        self.running
            .start(link, request, bodies, time, self.next_at);
    }

    /// What an attempt's end means: the end of all, or that another host is to be asked.
    fn judge(
        &mut self,
        link: &HostLink,
        result: Result<Response, CallError>,
    ) -> Option<Result<Answer<HostReply>, Failure>> {
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                if error.kind != CallErrorKind::Busy {
                    link.failed();
                }
                let is_final = error.kind == CallErrorKind::TooLarge;
                self.note(error.into(), None);
                return is_final.then(|| Err(self.final_failure()));
            }
        };
        // Refused before any host could say what time it is.
        let clock = (response.clock > Ts::ZERO).then_some(response.clock);
        if let Some(clock) = clock {
            self.cluster.clock.heard(clock, self.clock.now());
        }
        match response.result {
            Ok(HostReply::Outcome(Outcome::Refused(refusal))) | Err(refusal) => {
                let another_may_do_it = is_about_the_host(refusal.code);
                if refusal.code == ErrorCode::NotReady {
                    link.failed();
                } else {
                    link.answered();
                }
                self.note(refusal, clock);
                (!another_may_do_it).then(|| Err(self.final_failure()))
            }
            Ok(reply) => {
                link.answered();
                let Response { clock, bodies, .. } = response;
                Some(Ok(Answer {
                    reply,
                    bodies,
                    clock,
                }))
            }
        }
    }

    fn note(&mut self, refusal: Refusal, clock: Option<Ts>) {
        self.in_doubt |= refusal.applied == Applied::Unknown;
        self.refusal = Some(refusal);
        self.refused_at = clock;
    }

    /// The deadline, or the end of what may be tried.
    fn give_up(&mut self) -> Failure {
        if !self.running.is_empty() {
            self.note(
                Refusal::unknown(
                    ErrorCode::DeadlineExceeded,
                    "no answer came within the request's deadline",
                ),
                None,
            );
            self.leave_without_winner();
        }
        self.failure()
    }

    /// A host said no for good. An attempt that still runs elsewhere may be executed all the same.
    fn final_failure(&mut self) -> Failure {
        self.in_doubt |= !self.running.is_empty();
        self.failure()
    }

    fn failure(&mut self) -> Failure {
        let refusal = self.refusal.take().unwrap_or_else(|| {
            let detail = "no host of the queue's cluster could be asked";
            Refusal::not_applied(ErrorCode::Unavailable, detail)
        });
        let applied = if self.in_doubt {
            Applied::Unknown
        } else {
            Applied::No
        };
        Failure {
            refusal: Refusal { applied, ..refusal },
            clock: self.refused_at,
        }
    }

    /// What still runs is dropped, and so cancelled, or goes on without us.
    fn leave_losers(&mut self) {
        let running = std::mem::take(&mut self.running);
        if self.patience.losers_finish {
            running.leave();
        }
    }

    /// The same when there is no winner.
    fn leave_without_winner(&mut self) {
        if self.patience.gives_back {
            let running = std::mem::take(&mut self.running);
            running.give_back(self.shared, self.cluster.id);
        } else {
            self.leave_losers();
        }
    }
}

/// Whether a refusal says something about the host that gave it rather than about the request.
fn is_about_the_host(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotReady
            | ErrorCode::Busy
            | ErrorCode::Unavailable
            // The host may lag behind a partition's creation.
            | ErrorCode::StaleRoute
            // Another host has its own copy of the bytes.
            | ErrorCode::Corrupt
    )
}
