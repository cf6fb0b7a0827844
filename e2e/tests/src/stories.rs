//! What happens to a cluster while clients load it, told once for processes and containers alike.
//!
//! Each story hurts one host after the other, so that whatever rests on a majority has to hold all
//! along, and every host has once been the one that was hurt.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use shoal_harness::Cluster;
use shoal_load_test::{Gaps, Operation, Plan, Report, Rest, Watch};
use tokio::time::sleep;

use crate::prepare_load;

/// How long a fault lasts: longer than any suspicion and view change.
pub const LASTS: Duration = Duration::from_secs(2);
/// Between the end of a fault and the next one.
pub const SETTLE: Duration = Duration::from_secs(1);
/// A plan that says to go on until the story is over.
const UNTIL_TOLD: Duration = Duration::from_secs(3_600);

/// The longest gaps without a success during one fault, and what it was.
#[derive(Clone, Debug)]
pub struct Pause {
    /// What was done, and to whom.
    pub fault: String,
    /// The gaps, on the queue that had the longest.
    pub gaps: Gaps,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |operation| format!("{:.0?}", self.gaps.of(operation));
        write!(
            f,
            "{:<16} send {:>8}   receive {:>8}   acknowledge {:>8}",
            self.fault,
            of(Operation::Send),
            of(Operation::Receive),
            of(Operation::Acknowledge)
        )
    }
}

/// A cluster under load, and what was seen so far.
pub struct Stage<'a, C> {
    /// The cluster.
    pub cluster: &'a mut C,
    watch: Watch<Rest>,
    /// One for each fault so far.
    pub pauses: Vec<Pause>,
}

/// Loads the cluster for as long as the story takes; the load's report and what each fault did.
///
/// # Errors
/// If the story fails, or the load cannot begin.
pub async fn under_load<C: Cluster>(
    cluster: &mut C,
    plan: Plan,
    story: impl AsyncFnOnce(&mut Stage<'_, C>) -> Result<()>,
) -> Result<(Report, Vec<Pause>)> {
    let plan = Plan {
        duration: UNTIL_TOLD,
        ..plan
    };
    let warm_up = plan.warm_up;
    let load = prepare_load(&cluster.endpoint(), plan).await?.start(&[]);
    let mut stage = Stage {
        cluster,
        watch: load.watch(),
        pauses: Vec::new(),
    };
    sleep(warm_up + SETTLE).await;
    let told = story(&mut stage).await;
    let pauses = stage.pauses;
    load.stop_sending();
    // Not before the load has ended: it would go on behind the next story.
    let report = load.finish().await;
    told?;
    Ok((report, pauses))
}

impl<C: Cluster> Stage<'_, C> {
    /// Each host in turn is killed and comes back.
    ///
    /// # Errors
    /// If a host cannot be killed or does not come back; as all stories.
    pub async fn kill_each(&mut self) -> Result<()> {
        for host in 0..self.cluster.hosts() {
            self.begin();
            self.cluster.kill(host).await?;
            self.end("kill", host).await;
            self.cluster.restart(host).await?;
            self.back(host).await?;
        }
        Ok(())
    }

    /// Each host in turn stands still for a while.
    ///
    /// # Errors
    /// As all stories.
    pub async fn freeze_each(&mut self) -> Result<()> {
        for host in 0..self.cluster.hosts() {
            self.begin();
            self.cluster.freeze(host).await?;
            self.end("freeze", host).await;
            self.cluster.thaw(host).await?;
            self.back(host).await?;
        }
        Ok(())
    }

    /// Each host in turn is cut off from everybody.
    ///
    /// # Errors
    /// As all stories.
    pub async fn isolate_each(&mut self) -> Result<()> {
        for host in 0..self.cluster.hosts() {
            self.begin();
            self.cluster.isolate(host).await?;
            self.end("isolate", host).await;
            self.cluster.heal().await?;
            self.back(host).await?;
        }
        Ok(())
    }

    /// Each host in turn is not heard by the next one, which it hears.
    ///
    /// # Errors
    /// As all stories.
    pub async fn one_way_cuts(&mut self) -> Result<()> {
        let hosts = self.cluster.hosts();
        for host in 0..hosts {
            self.begin();
            self.cluster.cut(host, (host + 1) % hosts).await?;
            self.end("one-way cut", host).await;
            self.cluster.heal().await?;
            self.all_back().await?;
        }
        Ok(())
    }

    /// A link between two hosts comes and goes so many times.
    ///
    /// # Errors
    /// As all stories.
    pub async fn flapping_link(&mut self, times: u32, every: Duration) -> Result<()> {
        self.begin();
        for _ in 0..times {
            self.cluster.cut(0, 1).await?;
            self.cluster.cut(1, 0).await?;
            sleep(every).await;
            self.cluster.heal().await?;
            sleep(every).await;
        }
        self.end("flapping link", 0).await;
        self.all_back().await
    }

    /// Each host in turn is asked to end and comes back.
    ///
    /// # Errors
    /// As all stories.
    pub async fn restart_each(&mut self) -> Result<()> {
        for host in 0..self.cluster.hosts() {
            self.begin();
            self.cluster.terminate(host).await?;
            self.end("restart", host).await;
            self.cluster.restart(host).await?;
            self.back(host).await?;
        }
        Ok(())
    }

    /// Each host in turn is lost with its disk, and another one takes its place.
    ///
    /// # Errors
    /// As all stories.
    pub async fn replace_each(&mut self) -> Result<()> {
        for host in 0..self.cluster.hosts() {
            self.begin();
            self.cluster.replace(host).await?;
            self.end("replace", host).await;
            self.back(host).await?;
        }
        Ok(())
    }

    /// What was before this does not count.
    pub fn begin(&self) {
        self.watch.take_gaps();
    }

    /// Waits until what the fault does has been seen, and notes it.
    pub async fn end(&mut self, fault: &str, host: usize) {
        sleep(LASTS).await;
        self.note(format!("{fault} h{host}"));
    }

    /// Notes what was seen since [`Stage::begin`].
    pub fn note(&mut self, fault: String) {
        let gaps = self.watch.take_gaps();
        self.pauses.push(Pause { fault, gaps });
    }

    async fn back(&mut self, host: usize) -> Result<()> {
        self.cluster.ready(host).await?;
        sleep(SETTLE).await;
        Ok(())
    }

    async fn all_back(&mut self) -> Result<()> {
        for host in 0..self.cluster.hosts() {
            self.cluster.ready(host).await?;
        }
        sleep(SETTLE).await;
        Ok(())
    }
}
