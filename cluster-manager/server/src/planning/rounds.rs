//! The rounds: look, plan, begin.

use std::sync::Arc;
use std::time::Duration;

use shoal_api::plan::PlanInfo;
use shoal_planner::{Plan, Rules, plan};
use shoal_runtime::clock::SystemClock;
use tokio::time::MissedTickBehavior;

use super::begin::{Beginner, ByItself};
use super::explain::{Explained, explain};
use super::queues::{Known, QueueNews};
use super::told::Told;
use crate::events::EventLog;
use crate::fleet::Fleet;
use crate::metric_names;
use crate::orders::Orders;
use crate::queues::Queues;
use crate::store::StoreError;
use crate::whole::Whole;

/// Plans and carries out.
pub(crate) struct Rounds {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) news: Arc<QueueNews>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) orders: Orders,
    pub(crate) queues: Arc<Queues>,
    pub(crate) explained: Arc<Explained>,
    pub(crate) clock: SystemClock,
    pub(crate) rules: Rules,
    pub(crate) by_itself: ByItself,
    /// Nothing is planned from a store that lacks something.
    pub(crate) whole: Arc<Whole>,
    /// Between two rounds, and how long a window is.
    pub(crate) interval: Duration,
}

impl Rounds {
    /// Runs until it is dropped.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn run(self) -> Result<(), StoreError> {
        let mut again = tokio::time::interval(self.interval);
        // A window that is short would be a guess.
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        again.tick().await;
        let mut known = Known::since(self.clock.now().wall);
        let mut told = Told::new(Arc::clone(&self.events));
        loop {
            again.tick().await;
            if !self.whole.is_whole() {
                continue;
            }
            let planned;
            (known, planned) = self.look_and_plan(known).await;
            let Planned { plan, mut info } = planned;
            let beginner = Beginner {
                orders: &self.orders,
                queues: &self.queues,
                names: &known.names,
                by_itself: self.by_itself,
            };
            for decided in &plan.actions {
                let action = beginner.begin(decided).await;
                if action.begun {
                    known.facts.begun(&decided.reason, self.clock.now().wall);
                }
                info.actions.push(action);
            }
            told.tell(&info).await?;
            measure(&info);
            self.explained.set(info);
        }
    }

    /// On a thread of its own: a plan for a large fleet takes milliseconds.
    async fn look_and_plan(&self, mut known: Known) -> (Known, Planned) {
        let now = self.clock.now().wall;
        // Queues first: what hosts report of a partition is looked up among them.
        self.news.tell(&mut known, now);
        known.facts.left_alone = self.queues.left_alone();
        self.fleet.tell(&mut known.facts, known.window_began);
        known.window_began = now;
        let rules = self.rules.clone();
        let planning = move || {
            let plan = plan(&known.facts, &rules, now);
            let info = explain(&plan, &known.facts, &rules, &known.names, now);
            (known, Planned { plan, info })
        };
        let planned = tokio::task::spawn_blocking(planning).await;
        planned.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

struct Planned {
    plan: Plan,
    info: PlanInfo,
}

fn measure(info: &PlanInfo) {
    let needed = info.capacity_needed.map_or(0, |needed| needed.hosts);
    metrics::gauge!(metric_names::CAPACITY_NEEDED).set(needed as f64);
    for cluster in &info.clusters {
        let label = cluster.cluster.to_string();
        let heat = cluster.heat.unwrap_or(0);
        metrics::gauge!(metric_names::HEAT, "cluster" => label).set(heat as f64 / 100.0);
    }
}
