//! Having a cluster execute a command: on any of its hosts, on another one if that does not answer,
//! under the same request id, until it is done or time is up.

use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;
use shoal_types::{
    ClusterId, Command, ErrorCode, HostReply, HostRequest, Origin, Outcome, Query, QueryReply,
    Refusal, Request, RequestId, Ts,
};
use tokio::time::Instant;
use tracing::debug;

use super::HostClients;
use crate::fleet::{Fleet, Target};
use crate::limits::{ATTEMPT_TIMEOUT, INSTRUCTION_DEADLINE, ROUND_PAUSE_MAX, ROUND_PAUSE_MIN};
use crate::metric_names;

/// Instructs clusters.
#[derive(Clone)]
pub(crate) struct Instructor {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) clients: Arc<HostClients>,
}

/// Why a cluster did not carry out an instruction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InstructError {
    /// No host of it did in time. It may yet.
    #[error("{cluster} has not confirmed: {last}")]
    Unavailable {
        /// The cluster.
        cluster: ClusterId,
        /// What came last.
        last: String,
    },
    /// It says no, and will say so again.
    #[error("{cluster} refused: {refusal}")]
    Refused {
        /// The cluster.
        cluster: ClusterId,
        /// Its words.
        refusal: Refusal,
    },
}

/// What one attempt came to.
enum Attempt {
    Done(HostReply),
    /// Another host, or the same one later.
    Again(String),
    /// The deadline of the request passed in the cluster's time, which is `now`. Nothing was applied.
    Late {
        now: Ts,
        why: String,
    },
    /// Another attempt would come to the same.
    Refused(Refusal),
}

impl Instructor {
    /// Has the cluster execute a command that is fenced, so that executing it twice is as good as once.
    /// Gives what it came to: done, sealed, or closed.
    pub(crate) async fn execute(
        &self,
        cluster: ClusterId,
        command: Command,
        until: Instant,
    ) -> Result<Outcome, InstructError> {
        let request = new_request(command, self.fleet.cluster_time(cluster));
        let call = HostRequest::Execute { cluster, request };
        match self.ask(cluster, call, until).await? {
            HostReply::Outcome(outcome) => Ok(outcome),
            other => unreachable!("judged to be no answer: {other:?}"),
        }
    }

    /// Has the cluster execute several of them, each after the one before it.
    pub(crate) async fn execute_in_turn(
        &self,
        cluster: ClusterId,
        commands: Vec<Command>,
        until: Instant,
    ) -> Result<(), InstructError> {
        for command in commands {
            self.execute(cluster, command, until).await?;
        }
        Ok(())
    }

    /// Reads the state of one of the cluster's hosts, of those first that act.
    pub(crate) async fn query(
        &self,
        cluster: ClusterId,
        query: Query,
        until: Instant,
    ) -> Result<QueryReply, InstructError> {
        let call = HostRequest::Query { cluster, query };
        match self.ask(cluster, call, until).await? {
            HostReply::Query(reply) => Ok(reply),
            other => unreachable!("judged to be no answer: {other:?}"),
        }
    }

    async fn ask(
        &self,
        cluster: ClusterId,
        mut call: HostRequest,
        until: Instant,
    ) -> Result<HostReply, InstructError> {
        let mut last = "it has no hosts".to_owned();
        let mut pause = ROUND_PAUSE_MIN;
        loop {
            for target in self.round(cluster) {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(InstructError::Unavailable { cluster, last });
                }
                match self
                    .attempt(cluster, &target, &call, left.min(ATTEMPT_TIMEOUT))
                    .await
                {
                    Attempt::Done(reply) => return Ok(reply),
                    Attempt::Again(why) => last = format!("{}: {why}", target.host),
                    Attempt::Late { now, why } => {
                        last = format!("{}: {why}", target.host);
                        if let HostRequest::Execute { request, .. } = &mut call {
                            *request = new_request(request.command.clone(), now);
                        }
                    }
                    Attempt::Refused(refusal) => {
                        return Err(InstructError::Refused { cluster, refusal });
                    }
                }
            }
            if Instant::now() + pause >= until {
                return Err(InstructError::Unavailable { cluster, last });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(ROUND_PAUSE_MAX);
        }
    }

    /// The hosts in the order in which to try them: those that act first, else at random, so that
    /// the cluster's hosts share the work.
    fn round(&self, cluster: ClusterId) -> Vec<Target> {
        let mut targets = self.fleet.targets(cluster);
        targets.shuffle(&mut rand::rng());
        targets.sort_by_key(|target| !target.acting);
        targets
    }

    async fn attempt(
        &self,
        cluster: ClusterId,
        target: &Target,
        call: &HostRequest,
        timeout: Duration,
    ) -> Attempt {
        let client = self.clients.get(target.host, &target.address);
        let attempt = match client.call(call, &[], timeout).await {
            Ok(answer) => judge(answer.result, answer.clock),
            Err(error) => Attempt::Again(error.to_string()),
        };
        match &attempt {
            Attempt::Again(why) => {
                debug!(%cluster, host = %target.host, why, "instruction not carried out");
                metrics::counter!(metric_names::INSTRUCTION_RETRIES, "reason" => metric_names::RETRY_AGAIN)
                    .increment(1);
            }
            Attempt::Late { .. } => {
                metrics::counter!(metric_names::INSTRUCTION_RETRIES, "reason" => metric_names::RETRY_LATE)
                    .increment(1);
            }
            Attempt::Done(_) | Attempt::Refused(_) => {}
        }
        attempt
    }
}

pub(crate) fn new_request(command: Command, cluster_time: Ts) -> Request {
    Request {
        id: RequestId(rand::random()),
        deadline: cluster_time.after(INSTRUCTION_DEADLINE.as_micros() as u64),
        origin: Origin::default(),
        command,
    }
}

/// What an answer means for the instruction.
fn judge(result: Result<HostReply, Refusal>, clock: Ts) -> Attempt {
    let refusal = match result {
        Ok(HostReply::Outcome(Outcome::Refused(refusal))) | Err(refusal) => refusal,
        Ok(
            reply @ (HostReply::Outcome(
                Outcome::Done | Outcome::Sealed(_) | Outcome::Closed { .. },
            )
            | HostReply::Query(_)),
        ) => return Attempt::Done(reply),
        Ok(other) => return Attempt::Again(format!("it answered {other:?}")),
    };
    match refusal.code {
        // The deadline lies too far behind or ahead: the cluster's time is not what was thought.
        ErrorCode::DeadlineExceeded | ErrorCode::InvalidRequest if clock > Ts::ZERO => {
            Attempt::Late {
                now: clock,
                why: refusal.to_string(),
            }
        }
        ErrorCode::Fenced | ErrorCode::QueueNotFound => Attempt::Refused(refusal),
        _ => Attempt::Again(refusal.to_string()),
    }
}
