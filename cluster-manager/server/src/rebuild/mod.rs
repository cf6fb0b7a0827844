//! Rebuilding the store from what hosts report, when it was lost or is older than what they know.
//!
//! ```text
//!  ask every cluster ──► plan ──► fence what is undone ──► write clusters, then queues and moves ──► whole
//!        ▲                 │ something is not fenced yet
//!        └─────────────────┘
//! ```
//! It may end anywhere: the store says that it is being rebuilt until it is, and doing it again goes on.

mod gather;
mod moves;
mod plan;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use shoal_api::Problem;
use shoal_api::plan::EventKind;
use shoal_api::rebuild::{RebuildInfo, RebuildReport, RebuildRequest, RebuiltCluster};
use shoal_runtime::clock::SystemClock;
use shoal_runtime::shutdown::Shutdown;
use shoal_types::{ClusterId, Command, ErrorCode, HostId, PartitionId, Revision};
use tokio::time::Instant;
use tracing::{error, info};

use crate::events::{EventLog, News};
use crate::executor::{HostClients, Instructor};
use crate::fleet::{Fleet, Target};
use crate::keys;
use crate::limits::{
    ID_BLOCK, REBUILD_EVENTS_MAX, REBUILD_PATIENCE, REBUILD_REVISIONS_LEFT_OUT, REBUILD_ROUNDS_MAX,
    REVISIONS_SPENT_MAX,
};
use crate::queues::Queues;
use crate::records::ClusterStage;
use crate::store::MetadataStore;
use crate::whole::Whole;
use gather::{Asking, Gathered};
use plan::{Plan, Stored, plan};

/// Clusters that are asked at once: what they tell is held in memory until all have.
const CLUSTERS_AT_ONCE: usize = 8;

/// Rebuilds.
pub(crate) struct Rebuild {
    pub(crate) store: Arc<dyn MetadataStore>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) clients: Arc<HostClients>,
    pub(crate) instructor: Instructor,
    pub(crate) whole: Arc<Whole>,
    pub(crate) clock: SystemClock,
    pub(crate) progress: Progress,
    /// What is under way is given up with the process.
    pub(crate) shutdown: Shutdown,
}

/// How far the one that is under way is, or how the last one ended.
#[derive(Default)]
pub(crate) struct Progress {
    info: Mutex<RebuildInfo>,
    begun: Mutex<Option<Instant>>,
}

impl Progress {
    fn info(&self) -> MutexGuard<'_, RebuildInfo> {
        self.info.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if it is a new one, false if the same is under way.
    ///
    /// # Errors
    /// If another one is under way.
    fn begin(&self, asked: &RebuildRequest) -> Result<bool, Problem> {
        let mut info = self.info();
        match &info.asked {
            Some(under_way) if info.running && under_way == asked => return Ok(false),
            Some(under_way) if info.running => {
                let detail = format!(
                    "another rebuilding is under way, that of `{}`: {}. The same command follows it; give this one \
                     when it is over",
                    under_way.command(),
                    info.progress
                );
                return Err(Problem::new(ErrorCode::Busy, detail).status(409));
            }
            _ => {}
        }
        *info = RebuildInfo {
            running: true,
            asked: Some(asked.clone()),
            ..RebuildInfo::default()
        };
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        *begun = Some(Instant::now());
        Ok(true)
    }

    fn begun_s_ago(&self) -> u64 {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.map_or(0, |begun| begun.elapsed().as_secs())
    }

    fn say(&self, progress: String) {
        self.info().progress = progress;
    }
}

/// Why it ended without being done, in words.
type Ended<T> = Result<T, String>;

impl Rebuild {
    /// How far it is.
    pub(crate) fn info(&self) -> RebuildInfo {
        RebuildInfo {
            lacking: self.whole.lacking(),
            begun_s_ago: self.progress.begun_s_ago(),
            ..self.progress.info().clone()
        }
    }

    /// Begins. If the same is under way, that goes on.
    ///
    /// # Errors
    /// If another one is under way.
    pub(crate) fn begin(self: &Arc<Self>, asked: RebuildRequest) -> Result<(), Problem> {
        let asked = asked.in_order();
        if !self.progress.begin(&asked)? {
            return Ok(());
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = this.run(&asked) => ended,
                () = this.shutdown.triggered() => return,
            };
            let mut info = this.progress.info();
            info.running = false;
            match ended {
                Ok(report) => info.report = Some(report),
                Err(why) => {
                    error!(why, "the store was not rebuilt");
                    info.failed = Some(why);
                }
            }
        });
        Ok(())
    }

    async fn run(&self, asked: &RebuildRequest) -> Ended<RebuildReport> {
        let without: BTreeSet<ClusterId> = asked.without.iter().copied().collect();
        self.progress.say("waiting for hosts to report".to_owned());
        self.whole.all_heard().await;
        if asked.look_only {
            let gathered = self.gather_all(&without).await?;
            let planned = self.plan(&gathered, &without).await?;
            return Ok(self.report(&gathered, &planned, true));
        }
        self.progress
            .say("waiting for what is under way".to_owned());
        let was_lacking = self.whole.begin_rebuilding();
        let quiet = self.queues.quiet().await;
        let rebuilt = self.rebuild(&without, was_lacking).await;
        drop(quiet);
        if rebuilt.is_err() && !was_lacking && !self.is_begun().await? {
            self.whole.not_begun();
        }
        rebuilt
    }

    /// Whether the store says that it is being rebuilt.
    async fn is_begun(&self) -> Ended<bool> {
        let stored = self.store.get(keys::REBUILDING).await;
        Ok(stored.map_err(|error| error.to_string())?.is_some())
    }

    async fn rebuild(
        &self,
        without: &BTreeSet<ClusterId>,
        was_lacking: bool,
    ) -> Ended<RebuildReport> {
        let mut fenced: BTreeSet<PartitionId> = BTreeSet::new();
        for _ in 0..REBUILD_ROUNDS_MAX {
            let gathered = self.gather_all(without).await?;
            let planned = self.plan(&gathered, without).await?;
            let fence = self
                .raise_revision(&gathered, &planned, was_lacking)
                .await?;
            let added = self.write_clusters(&gathered, was_lacking).await?;
            let mut report = self.report(&gathered, &planned, false);
            for cluster in &mut report.clusters {
                cluster.added = added.contains(&cluster.cluster);
            }
            let open: Vec<PartitionId> = planned.fences.keys().copied().collect();
            if open.iter().all(|partition| fenced.contains(partition)) {
                self.write_queues(&planned).await?;
                report.revision = self.end(&report).await?;
                info!(?report, "the store is rebuilt");
                return Ok(report);
            }
            self.fence(&planned, fence).await?;
            fenced.extend(open);
        }
        Err(format!(
            "queues went on moving while {REBUILD_ROUNDS_MAX} times all clusters were asked; run it again"
        ))
    }

    /// Asks every cluster that reports, and fails if one that there must be does not.
    async fn gather_all(
        &self,
        without: &BTreeSet<ClusterId>,
    ) -> Ended<BTreeMap<ClusterId, Gathered>> {
        let reporting = self.fleet.reporting();
        self.check_all_report(&reporting, without)?;
        let asking = Asking {
            fleet: &self.fleet,
            clients: &self.clients,
            progress: &self.progress,
        };
        let asked: Vec<(ClusterId, Vec<Target>)> = reporting
            .into_iter()
            .filter(|(cluster, _)| !without.contains(cluster))
            .collect();
        let mut gathered = Vec::with_capacity(asked.len());
        for some in asked.chunks(CLUSTERS_AT_ONCE) {
            let told = some
                .iter()
                .map(|(cluster, hosts)| asking.gather(*cluster, hosts));
            let told = join_all(told).await;
            gathered.extend(some.iter().map(|(cluster, _)| *cluster).zip(told));
        }
        let mut all = BTreeMap::new();
        for (cluster, told) in gathered {
            let told = told.map_err(|why| {
                format!(
                    "{cluster} did not tell what it keeps: {why}. Bring its hosts back; or, if it is gone for \
                     good with all its messages: --without {cluster}"
                )
            })?;
            all.insert(cluster, told);
        }
        Ok(all)
    }

    /// Ids of clusters are given one after the other: what is missing among them is silent, or was retired.
    fn check_all_report(
        &self,
        reporting: &BTreeMap<ClusterId, Vec<Target>>,
        without: &BTreeSet<ClusterId>,
    ) -> Ended<()> {
        let last = reporting.keys().next_back().copied().unwrap_or_default();
        let last = last.max(self.fleet.last_cluster_id());
        let silent = (1..=last.0).map(ClusterId).filter(|cluster| {
            let is_done = || {
                let at = self.fleet.cluster(*cluster);
                at.is_some_and(|at| {
                    matches!(
                        at.record.stage,
                        ClusterStage::Retired | ClusterStage::Forming
                    )
                })
            };
            !reporting.contains_key(cluster) && !without.contains(cluster) && !is_done()
        });
        let silent: Vec<String> = silent.map(|cluster| cluster.to_string()).collect();
        if silent.is_empty() {
            return Ok(());
        }
        let (these, flags) = (silent.join(" "), silent.join(" --without "));
        Err(format!(
            "no host of {these} reports. Bring them back; or, if they were retired, or are gone for good \
             with all their messages: --without {flags}"
        ))
    }

    async fn plan(
        &self,
        gathered: &BTreeMap<ClusterId, Gathered>,
        without: &BTreeSet<ClusterId>,
    ) -> Ended<Plan> {
        let (queues, moves) = self.queues.stored().await.map_err(|e| e.to_string())?;
        let named = queues.into_iter().map(|at| (at.record.name.clone(), at));
        let stored = Stored {
            queues: named.collect(),
            moves,
        };
        let found: Vec<_> = gathered
            .iter()
            .map(|(cluster, told)| (*cluster, told.partitions.clone()))
            .collect();
        let (without, now) = (without.clone(), self.clock.now().wall);
        // A hundred thousand descriptions take some 0.3 s to read.
        let planned = tokio::task::spawn_blocking(move || plan(found, stored, &without, now)).await;
        Ok(planned.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }

    /// Says in the store that it is being rebuilt, at a revision above all that anybody knows of, and
    /// raises the counters of ids above all that were given. Gives that revision.
    async fn raise_revision(
        &self,
        gathered: &BTreeMap<ClusterId, Gathered>,
        planned: &Plan,
        was_lacking: bool,
    ) -> Ended<Revision> {
        let told = gathered.values();
        let told = told
            .map(|told| told.instructed.max(told.spec.revision))
            .max();
        let known = told.unwrap_or_default().max(self.whole.known());
        let clusters = gathered.keys().next_back().copied().unwrap_or_default();
        let mut last_ids = (planned.last_queue.0, planned.last_partition.0);
        let mut above = known;
        if was_lacking {
            above = Revision(known.0.saturating_add(REBUILD_REVISIONS_LEFT_OUT));
            if above.0 > REVISIONS_SPENT_MAX {
                return Err(format!(
                    "somebody knows of revision {known}, and too few are left above it: is a host or frontend of \
                     another system pointed at this manager? The log names who told it"
                ));
            }
            // A block of ids takes a revision, and an id comes from a block that is older than any
            // instruction about it.
            let given = known.0.saturating_mul(ID_BLOCK);
            last_ids = (last_ids.0.max(given), last_ids.1.max(given));
        }
        self.write_begun(above, clusters.max(self.fleet.last_cluster_id()), last_ids)
            .await
    }

    /// No seal that is on its way yet comes to pass where a move is undone.
    async fn fence(&self, planned: &Plan, revision: Revision) -> Ended<()> {
        for (partition, (cluster, settings)) in &planned.fences {
            let command = Command::ConfigurePartition {
                partition: *partition,
                settings: *settings,
                revision,
            };
            let until = Instant::now() + REBUILD_PATIENCE;
            let fenced = self.instructor.execute(*cluster, command, until).await;
            fenced.map_err(|why| why.to_string())?;
        }
        Ok(())
    }

    /// Notes what was found, and that the store is whole.
    async fn end(&self, report: &RebuildReport) -> Ended<Revision> {
        for finding in report.findings.iter().take(REBUILD_EVENTS_MAX) {
            let news = News {
                kind: EventKind::Found,
                clusters: Vec::new(),
                queue: None,
                text: finding.clone(),
            };
            self.events.note(news).await.map_err(|e| e.to_string())?;
        }
        let text = format!(
            "the store is rebuilt from what the hosts of {} clusters report: {} queues added, {} changed, {} \
             kept, {} removed",
            report.clusters.len(),
            report.queues_added,
            report.queues_changed,
            report.queues_kept,
            report.queues_removed
        );
        let revision = self.write_ended(text).await?;
        self.whole.rebuilt();
        Ok(revision)
    }

    fn report(
        &self,
        gathered: &BTreeMap<ClusterId, Gathered>,
        planned: &Plan,
        look_only: bool,
    ) -> RebuildReport {
        let cluster = |(cluster, told): (&ClusterId, &Gathered)| {
            let members: Vec<HostId> = told.spec.members.iter().map(|one| one.host).collect();
            let is_silent = |host: &HostId| !self.fleet.is_reporting(*host);
            RebuiltCluster {
                cluster: *cluster,
                silent: members.iter().copied().filter(is_silent).collect(),
                members,
                partitions: told.partitions.len() as u64,
                added: self.fleet.cluster(*cluster).is_none(),
            }
        };
        let added = planned
            .changes
            .iter()
            .filter(|change| change.before.is_none());
        let added = added.count() as u64;
        let moves = planned.changes.iter().flat_map(|change| &change.moves);
        RebuildReport {
            look_only,
            clusters: gathered.iter().map(cluster).collect(),
            queues_added: added,
            queues_changed: planned.changes.len() as u64 - added,
            queues_kept: planned.kept,
            queues_removed: planned.gone.len() as u64,
            moves: moves
                .map(|moving| moving.text.clone())
                .take(shoal_api::rebuild::FINDINGS_MAX)
                .collect(),
            findings: planned.findings.said.clone(),
            more_findings: planned.findings.more,
            revision: *self.store.watch().borrow(),
        }
    }
}
