//! From a command to an answer: any host of the queue's cluster, another one if that does not answer,
//! always under the same request id, so that nothing is done twice.

mod attempts;
mod choice;
mod cluster;
mod cluster_clock;
mod deadline;
mod execution;
mod retry_budget;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use shoal_runtime::clock::SystemClock;
use shoal_transport::{Identity, Role};
use shoal_types::{
    Applied, ClusterId, ClusterRoute, Command, ErrorCode, HostReply, HostRequest, Origin, Outcome,
    Push, Query, QueryReply, Refusal, Request, RequestId, Ts,
};
use tokio::time::Instant;
use tracing::debug;

use crate::limits;
use crate::routes::Routes;

pub(crate) use deadline::{Deadline, Pause};

use cluster::Cluster;
use execution::{Execution, Failure, Patience};
use retry_budget::RetryBudget;

/// Calls the hosts of all clusters.
pub(crate) struct Dispatcher {
    routes: Arc<Routes>,
    clusters: RwLock<HashMap<ClusterId, Arc<Cluster>>>,
    identity: Identity,
    clock: SystemClock,
    budget: RetryBudget,
}

/// What a cluster answered.
pub(crate) struct Answer<T> {
    pub(crate) reply: T,
    /// Of delivered or peeked messages, one per message.
    pub(crate) bodies: Vec<Bytes>,
    /// The answering host's clock.
    pub(crate) clock: Ts,
}

impl Dispatcher {
    pub(crate) fn new(routes: Arc<Routes>, clock: SystemClock) -> Arc<Self> {
        Arc::new(Self {
            routes,
            clusters: RwLock::default(),
            identity: Identity::caller(Role::Frontend),
            clock,
            budget: RetryBudget::default(),
        })
    }

    /// Executes a command, which is made from the cluster's time as far as it is known here. `bodies`
    /// are those of a send.
    ///
    /// # Errors
    /// The refusal says `applied: no` only if no attempt can have taken effect.
    pub(crate) async fn execute(
        self: &Arc<Self>,
        cluster: ClusterId,
        deadline: Deadline,
        bodies: &[Bytes],
        command: impl Fn(Ts) -> Command,
    ) -> Result<Answer<Outcome>, Refusal> {
        let cluster = self.cluster(cluster, deadline).await?;
        let mut may_stamp_again = true;
        loop {
            let stamp = Stamp::new(cluster.clock.now(self.clock.now()), deadline);
            let run = self.execution(&cluster, &stamp, deadline, bodies, command(stamp.now));
            match run.run().await {
                Ok(answer) => return outcome(answer),
                Err(failure) if may_stamp_again && stamp.may_be_tried_anew(&failure, deadline) => {
                    may_stamp_again = false;
                }
                Err(failure) => return Err(failure.refusal),
            }
        }
    }

    fn execution<'a>(
        self: &'a Arc<Self>,
        cluster: &'a Arc<Cluster>,
        stamp: &Stamp,
        deadline: Deadline,
        bodies: &[Bytes],
        command: Command,
    ) -> Execution<'a> {
        let patience = Patience {
            hedge_after: deadline.wait + limits::HEDGE_AFTER,
            // A cancelled receive gives its messages back, also those that another host has
            // handed to us meanwhile.
            losers_finish: matches!(command, Command::Receive { .. }),
            // With an attempt key, whoever comes with it again is told of the same leases.
            gives_back: matches!(
                command,
                Command::Receive {
                    attempt: None,
                    auto_ack: false,
                    ..
                }
            ),
        };
        let request = Request {
            id: RequestId(rand::random()),
            deadline: stamp.deadline,
            origin: Origin::default(),
            command,
        };
        let request = HostRequest::Execute {
            cluster: cluster.id,
            request,
        };
        Execution::new(
            cluster,
            self,
            request,
            bodies.to_vec(),
            patience,
            deadline.at,
        )
    }

    /// Gives messages back, see [`unreceived`]. If that fails, they come back after their leases.
    async fn give_back(self: &Arc<Self>, cluster: ClusterId, command: Command) {
        let deadline = Deadline {
            at: Instant::now() + limits::DEADLINE_DEFAULT,
            wait: Duration::ZERO,
        };
        let given_back = self.execute(cluster, deadline, &[], |_| command.clone());
        if let Err(refusal) = given_back.await {
            debug!(%cluster, %refusal, "messages that nobody waited for stay leased");
        }
    }

    /// Reads the state of some host of a cluster, which may lag a little behind.
    pub(crate) async fn query(
        self: &Arc<Self>,
        cluster: ClusterId,
        deadline: Deadline,
        query: Query,
    ) -> Result<Answer<QueryReply>, Refusal> {
        let cluster = self.cluster(cluster, deadline).await?;
        let request = HostRequest::Query {
            cluster: cluster.id,
            query,
        };
        let patience = Patience {
            hedge_after: limits::HEDGE_AFTER,
            losers_finish: false,
            gives_back: false,
        };
        let run = Execution::new(&cluster, self, request, Vec::new(), patience, deadline.at);
        // Nothing is applied by reading.
        let answer = run.run().await.map_err(|failure| Refusal {
            applied: Applied::No,
            ..failure.refusal
        })?;
        match answer.reply {
            HostReply::Query(reply) => Ok(Answer {
                reply,
                bodies: answer.bodies,
                clock: answer.clock,
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// Brings a cluster's addresses up to date; those that are in use already.
    pub(crate) fn refresh(&self) {
        for route in self.routes.clusters() {
            if let Some(cluster) = self.in_use(route.cluster) {
                cluster.set_hosts(&route);
            }
        }
    }

    async fn cluster(
        self: &Arc<Self>,
        id: ClusterId,
        deadline: Deadline,
    ) -> Result<Arc<Cluster>, Refusal> {
        if let Some(cluster) = self.in_use(id) {
            return Ok(cluster);
        }
        match deadline.bound(self.routes.cluster(id)).await {
            Ok(route) => Ok(self.use_cluster(&route)),
            // Nobody was asked to do anything yet.
            Err(problem) => Err(Refusal::not_applied(problem.code, problem.detail.clone())),
        }
    }

    fn in_use(&self, id: ClusterId) -> Option<Arc<Cluster>> {
        let clusters = self.clusters.read().unwrap_or_else(PoisonError::into_inner);
        clusters.get(&id).cloned()
    }

    fn use_cluster(self: &Arc<Self>, route: &ClusterRoute) -> Arc<Cluster> {
        let mut clusters = self
            .clusters
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let cluster = clusters.entry(route.cluster).or_insert_with(|| {
            let dispatcher = Arc::downgrade(self);
            let on_push = Arc::new(move |push| {
                if let Some(dispatcher) = dispatcher.upgrade() {
                    dispatcher.take_push(push);
                }
            });
            Cluster::new(route, self.identity.clone(), on_push)
        });
        Arc::clone(cluster)
    }

    fn take_push(&self, push: Push) {
        let Push::View { cluster, view } = push;
        if let Some(cluster) = self.in_use(cluster) {
            cluster.set_view(view);
        }
    }
}

/// A command's times in the time of its cluster.
struct Stamp {
    now: Ts,
    deadline: Ts,
}

impl Stamp {
    fn new(now: Ts, deadline: Deadline) -> Self {
        let ahead = deadline.at.saturating_duration_since(Instant::now());
        let ahead = ahead.min(limits::STAMP_AHEAD_MAX);
        Self {
            now,
            deadline: now.after(ahead.as_micros() as u64),
        }
    }

    /// Whether nothing came of it only because cluster time is not what was believed here. By now it
    /// is known.
    fn was_wrong(&self, failure: &Failure) -> bool {
        let Some(clock) = failure.clock else {
            return false;
        };
        let too_late = self.deadline <= clock;
        let too_far = self.deadline > clock.after(shoal_types::limits::DEADLINE_AHEAD_MAX);
        failure.refusal.applied == Applied::No && (too_late || too_far)
    }

    fn may_be_tried_anew(&self, failure: &Failure, deadline: Deadline) -> bool {
        self.was_wrong(failure) && Instant::now() < deadline.at
    }
}

/// What gives the messages of a receive's outcome back, as if it had not been, if there are any.
fn unreceived(outcome: &Outcome) -> Option<Command> {
    let Outcome::Received(deliveries) = outcome else {
        return None;
    };
    let partition = deliveries.first()?.receipt.partition;
    let receipts = deliveries.iter().map(|delivery| delivery.receipt).collect();
    Some(Command::Unreceive {
        partition,
        receipts,
    })
}

fn outcome(answer: Answer<HostReply>) -> Result<Answer<Outcome>, Refusal> {
    match answer.reply {
        HostReply::Outcome(reply) => Ok(Answer {
            reply,
            bodies: answer.bodies,
            clock: answer.clock,
        }),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(reply: &HostReply) -> Refusal {
    let detail = format!("a host gave an answer of another kind: {reply:?}");
    Refusal::unknown(ErrorCode::Internal, detail)
}
