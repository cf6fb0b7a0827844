//! Carries a plan out: makes the queues, starts producers and consumers, waits until everything is
//! consumed, judges.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::arrival::Arrivals;
use crate::backlog::Backlog;
use crate::consumer::consume;
use crate::ledger::Ledger;
use crate::meter::{Gaps, Meter, Operation, Window};
use crate::plan::Plan;
use crate::producer::produce;
use crate::report::Report;
use crate::service::Service;
use crate::timeline::{Timeline, micros};
use crate::{cpu, limits};

/// A load whose queues are made. Either [`Load::start`] runs producers and consumers together, or
/// [`Load::produce`] and [`Load::consume`] run one after the other, with whatever a test does to the
/// service in between.
pub struct Load<S> {
    shared: Arc<Shared<S>>,
}

/// What producers and consumers share.
pub(crate) struct Shared<S> {
    pub(crate) plan: Plan,
    pub(crate) service: S,
    /// Names, by place.
    pub(crate) queues: Vec<String>,
    pub(crate) ledger: Ledger,
    pub(crate) meter: Meter,
    pub(crate) timeline: Timeline,
}

/// Counts so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Since the load began.
    pub elapsed: Duration,
    /// Messages accepted.
    pub sent: u64,
    /// Messages delivered, repeated deliveries included.
    pub received: u64,
    /// Messages deleted.
    pub acknowledged: u64,
    /// Operations that failed.
    pub failed: u64,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>4.0} s: {} sent, {} received, {} acknowledged, {} operations failed",
            self.elapsed.as_secs_f64(),
            self.sent,
            self.received,
            self.acknowledged,
            self.failed
        )
    }
}

/// A load under way.
pub struct Running<S> {
    load: Load<S>,
    arrivals: Arc<Arrivals>,
    producers: JoinSet<()>,
    consumers: Consumers,
    cpu: JoinSet<cpu::Used>,
    cpu_of: Vec<u32>,
    /// Cancelled when the measurement ends before its time.
    ended: CancellationToken,
}

struct Consumers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl<S: Service> Load<S> {
    /// Makes the queues, under names that no load had before.
    ///
    /// # Errors
    /// If the plan is not valid or a queue cannot be made.
    pub async fn prepare(plan: Plan, service: S) -> anyhow::Result<Self> {
        plan.validate()?;
        let run: u32 = rand::random();
        let suffix = if plan.groups > 0 { ".fifo" } else { "" };
        let name = |n| format!("{}-{run:08x}-{n}{suffix}", plan.queue_prefix);
        let queues: Vec<String> = (0..plan.queues).map(name).collect();
        for queue in &queues {
            let made = service
                .create_queue(queue, plan.visibility, plan.auto)
                .await;
            made.map_err(|e| anyhow::anyhow!("cannot create queue {queue}: {e}"))?;
        }
        let ledger =
            Ledger::new(run, plan.queues, plan.visibility, plan.groups).of_split_queues(plan.auto);
        let meter = Meter::new(plan.queues);
        Ok(Self {
            shared: Arc::new(Shared {
                plan,
                service,
                queues,
                ledger,
                meter,
                timeline: Timeline::begin(),
            }),
        })
    }

    /// Starts producers and consumers. The processor time of the processes in `cpu_of`, and of
    /// those that they started, is measured along.
    #[must_use]
    pub fn start(self, cpu_of: &[u32]) -> Running<S> {
        let plan = &self.shared.plan;
        let backlog = Arc::new(match plan.backlog_max {
            Some(messages) if plan.rate.is_none() && plan.consumers > 0 => {
                Backlog::bounded(messages)
            }
            _ => Backlog::unbounded(),
        });
        let (arrivals, producers) = self.spawn_producers(&backlog);
        let consumers = self.spawn_consumers(&backlog);
        let ended = CancellationToken::new();
        let mut cpu = JoinSet::new();
        if !cpu_of.is_empty() {
            cpu.spawn(measure_cpu(
                self.measured_window(),
                self.shared.timeline,
                cpu_of.to_vec(),
                ended.clone(),
            ));
        }
        Running {
            load: self,
            arrivals,
            producers,
            consumers,
            cpu,
            cpu_of: cpu_of.to_vec(),
            ended,
        }
    }

    /// To look at it, before, between and after.
    #[must_use]
    pub fn watch(&self) -> Watch<S> {
        Watch {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Only sends, and waits until all is sent.
    pub async fn produce(&self) {
        let (_, producers) = self.spawn_producers(&Arc::new(Backlog::unbounded()));
        finish(producers).await;
    }

    /// Only consumes, until the queues are empty or the plan's drain time is over; gives the report
    /// of the whole load.
    pub async fn consume(self) -> Report {
        let consumers = self.spawn_consumers(&Arc::new(Backlog::unbounded()));
        let drained = self.drain().await;
        consumers.stop().await;
        self.close(drained, 0, None).await
    }

    fn spawn_producers(&self, backlog: &Arc<Backlog>) -> (Arc<Arrivals>, JoinSet<()>) {
        let plan = &self.shared.plan;
        let begin = self.shared.timeline.now() + micros(plan.warm_up);
        self.shared.meter.open(Window {
            begin,
            end: begin + micros(plan.duration),
        });
        let arrivals = Arrivals::begin(plan, self.shared.timeline);
        let mut producers = JoinSet::new();
        for _ in 0..plan.producers {
            let (shared, arrivals) = (Arc::clone(&self.shared), Arc::clone(&arrivals));
            producers.spawn(produce(shared, arrivals, Arc::clone(backlog)));
        }
        (arrivals, producers)
    }

    fn spawn_consumers(&self, backlog: &Arc<Backlog>) -> Consumers {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for n in 0..self.shared.plan.consumers {
            let queue = n % self.shared.plan.queues;
            let (shared, backlog) = (Arc::clone(&self.shared), Arc::clone(backlog));
            tasks.spawn(consume(shared, queue, backlog, stop.clone()));
        }
        Consumers { tasks, stop }
    }

    fn measured_window(&self) -> Window {
        self.shared.meter.window().expect("producers have started")
    }

    /// Waits until nothing is left. False: the plan's drain time was over before.
    async fn drain(&self) -> bool {
        let shared = &self.shared;
        let deadline = shared.timeline.now() + micros(shared.plan.drain);
        let mut empty_since = None;
        loop {
            let now = shared.timeline.now();
            if !self.queues_are_empty().await {
                empty_since = None;
            } else {
                let since = *empty_since.get_or_insert(now);
                // With open entries in the ledger the counts have to say so for longer.
                let quiet = micros(limits::QUIET_BEFORE_EMPTY);
                if now - since
                    >= if shared.ledger.open() == 0 {
                        quiet / 10
                    } else {
                        quiet
                    }
                {
                    return true;
                }
            }
            if now > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn queues_are_empty(&self) -> bool {
        for queue in &self.shared.queues {
            if self.shared.service.waiting(queue).await != Ok(0) {
                return false;
            }
        }
        true
    }

    /// Judges, and drops the queues unless the plan says otherwise or they are worth a look.
    async fn close(self, drained: bool, unsent: u64, cpu: Option<(cpu::Used, Vec<u32>)>) -> Report {
        let shared = &self.shared;
        let report = Report::new(shared, drained, unsent, cpu);
        if report.verdict.ok && !shared.plan.keep_queues {
            for queue in &shared.queues {
                if let Err(failure) = shared.service.delete_queue(queue).await {
                    tracing::warn!(%queue, %failure, "queue of the load stays behind");
                }
            }
        }
        report
    }
}

/// Looks at a load under way from outside.
pub struct Watch<S> {
    shared: Arc<Shared<S>>,
}

impl<S: Service> Watch<S> {
    /// The names of the queues.
    #[must_use]
    pub fn queues(&self) -> &[String] {
        &self.shared.queues
    }

    /// Counts so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let shared = &self.shared;
        let [send, receive, acknowledge] =
            Operation::ALL.map(|operation| shared.meter.operation(operation));
        Progress {
            elapsed: Duration::from_micros(shared.timeline.now()),
            sent: send.messages,
            received: receive.messages,
            acknowledged: acknowledge.messages,
            failed: send.failures() + receive.failures() + acknowledge.failures(),
        }
    }

    /// The longest gaps without a success since the last call (or the end of the warm-up).
    pub fn take_gaps(&self) -> Gaps {
        self.shared.meter.take_gaps(self.shared.timeline.now())
    }
}

impl<S: Service> Running<S> {
    /// To look at it while it runs.
    #[must_use]
    pub fn watch(&self) -> Watch<S> {
        self.load.watch()
    }

    /// Ends the sending before the plan does.
    pub fn stop_sending(&self) {
        self.arrivals.stop();
        let shared = &self.load.shared;
        shared.meter.close(shared.timeline.now());
        self.ended.cancel();
    }

    /// Waits until all is sent and consumed, and judges.
    pub async fn finish(mut self) -> Report {
        finish(self.producers).await;
        let unsent = self.arrivals.unsent();
        let consumed = self.load.shared.plan.consumers > 0;
        let drained = consumed && self.load.drain().await;
        self.consumers.stop().await;
        let used = self.cpu.join_next().await;
        let cpu = used.map(|used| (used.expect("measuring does not panic"), self.cpu_of));
        self.load.close(drained, unsent, cpu).await
    }
}

impl Consumers {
    async fn stop(self) {
        self.stop.cancel();
        finish(self.tasks).await;
    }
}

/// Waits for all tasks. One that panicked has found a mistake of ours: the panic goes on here.
async fn finish(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

async fn measure_cpu(
    window: Window,
    timeline: Timeline,
    roots: Vec<u32>,
    ended: CancellationToken,
) -> cpu::Used {
    tokio::time::sleep_until(timeline.instant(window.begin).into()).await;
    let before = cpu::sample(&roots);
    let end = tokio::time::sleep_until(timeline.instant(window.end).into());
    ended.run_until_cancelled(end).await;
    cpu::used(&before, &cpu::sample(&roots))
}
