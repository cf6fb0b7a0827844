//! Receiving from a queue that has several partitions: it is being moved, or was split.
//!
//! Sealed partitions come first, the oldest epoch before the others: what they hold was sent before. A
//! receive that may wait does so at one active partition at a time, for [`LOOK_AGAIN_AFTER`], and looks
//! at all others in between. A wait that short is called off only if the frontend stops: whatever it brings
//! is the answer, so no lease is given to nobody.
//!
//! A receive with an attempt key takes messages from one partition only, and a repetition begins with
//! that one: so it finds the same messages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use shoal_api::Problem;
use shoal_types::{AttemptKey, PartitionRoute, PartitionState, Query, QueryReply, QueueRoute, Ts};
use tokio::time::Instant;

use super::attempts::Attempts;
use super::{Given, Receive};
use crate::app::App;
use crate::dispatch::Deadline;
use crate::limits::{LOOK_AGAIN_AFTER, LOOK_WITHIN, NO_PLACE_TO_WAIT};
use crate::partitions::{in_partition, in_state, is_not_there, not_there_yet};

/// What receives from queues with several partitions have in common.
#[derive(Default)]
pub(crate) struct Turns {
    /// Counts them, so that each begins with another partition.
    count: AtomicUsize,
    attempts: Attempts,
}

impl Turns {
    /// Where to begin. The same attempt always begins alike.
    fn next(&self, attempt: Option<AttemptKey>) -> usize {
        match attempt {
            Some(key) => usize::from(u16::from_be_bytes([key[0], key[1]])),
            None => self.count.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// A queue's partitions in the order in which they are asked.
struct Order {
    draining: Vec<PartitionRoute>,
    /// From the one to begin with.
    active: Vec<PartitionRoute>,
}

impl Order {
    fn new(route: &QueueRoute, begin: usize) -> Self {
        let of = |state| in_state(route, state).copied().collect();
        let mut active: Vec<_> = of(PartitionState::Active);
        if !active.is_empty() {
            let begin = begin % active.len();
            active.rotate_left(begin);
        }
        Self {
            draining: of(PartitionState::Draining),
            active,
        }
    }

    fn all(&self) -> impl Iterator<Item = &PartitionRoute> {
        self.draining.iter().chain(&self.active)
    }

    /// Where to wait; then the others.
    fn wait_at(
        &self,
    ) -> Option<(
        &PartitionRoute,
        impl Iterator<Item = &PartitionRoute> + Clone,
    )> {
        let at = self.active.first().or_else(|| self.draining.last())?;
        let others = self.draining.iter().chain(&self.active);
        Some((
            at,
            others.filter(move |place| place.partition != at.partition),
        ))
    }
}

/// Why nothing may have been found although there is something.
type Missed = Option<Problem>;

impl Receive {
    pub(super) async fn run_on_several(
        &mut self,
        app: &App,
        route: &QueueRoute,
    ) -> Result<Vec<Given>, Problem> {
        let begin = app.turns.next(self.wanted.attempt);
        let mut newest = app.routes.news(route);
        let mut missed = self
            .look_everywhere(app, newest.as_deref().unwrap_or(route), begin)
            .await?;
        for turn in begin.. {
            let left = self.wait_until.saturating_duration_since(Instant::now());
            if !self.found.is_empty() || left.is_zero() {
                break;
            }
            newest = app
                .routes
                .news(newest.as_deref().unwrap_or(route))
                .or(newest);
            let route = newest.as_deref().unwrap_or(route);
            let order = Order::new(route, turn);
            let (at, others) = order.wait_at().ok_or_else(|| not_there_yet(route))?;
            let asked_at = Instant::now();
            missed = self.ask(app, route, at, left.min(LOOK_AGAIN_AFTER)).await?;
            if self.found.is_empty() {
                // One that has too many waiters answers at once.
                tokio::time::sleep_until(asked_at + left.min(NO_PLACE_TO_WAIT)).await;
            }
            if self.found.is_empty() {
                missed = missed.or(self.ask_ready(app, route, others).await?);
            }
        }
        match missed {
            Some(problem) if self.found.is_empty() => Err(problem),
            _ => self.answer(),
        }
    }

    /// Asks each partition once, without waiting.
    async fn look_everywhere(
        &mut self,
        app: &App,
        route: &QueueRoute,
        begin: usize,
    ) -> Result<Missed, Problem> {
        let order = Order::new(route, begin);
        if let Some(attempt) = self.wanted.attempt
            && let Some(served) = app.turns.attempts.served(route.queue, attempt)
            && let Some(place) = order.all().find(|place| place.partition == served)
        {
            self.ask(app, route, place, Duration::ZERO).await?;
        }
        let mut missed = self
            .ask_each(app, route, order.draining.iter().copied())
            .await?;
        let mut active = order.active.iter();
        let waits = self.wait_until > Instant::now();
        // The only one that is active is asked by waiting there.
        if !waits || active.len() > 1 {
            missed = missed.or(self.ask_each(app, route, active.next().copied()).await?);
            if self.wants_more() {
                missed = missed.or(self.ask_ready(app, route, active).await?);
            }
        }
        Ok(missed)
    }

    async fn ask_each(
        &mut self,
        app: &App,
        route: &QueueRoute,
        places: impl IntoIterator<Item = PartitionRoute>,
    ) -> Result<Missed, Problem> {
        let mut missed = None;
        for place in places {
            if !self.wants_more() {
                break;
            }
            missed = missed.or(self.ask(app, route, &place, Duration::ZERO).await?);
        }
        Ok(missed)
    }

    /// Asks those that have something to give, as some host of each knows: a read, which leases nothing.
    async fn ask_ready<'a>(
        &mut self,
        app: &App,
        route: &QueueRoute,
        places: impl Iterator<Item = &'a PartitionRoute>,
    ) -> Result<Missed, Problem> {
        let soon = self.deadline.at_most(LOOK_WITHIN);
        let looks = places.map(|place| async move { (place, ready(app, place, soon).await) });
        let mut missed = None;
        for (place, ready) in join_all(looks).await {
            match ready {
                Ok(false) => {}
                Ok(true) => {
                    let asked = self.ask_each(app, route, Some(*place)).await?;
                    missed = missed.or(asked);
                }
                Err(problem) => missed = missed.or(self.miss(place, problem)?),
            }
        }
        Ok(missed)
    }

    fn wants_more(&self) -> bool {
        let one_only = self.wanted.attempt.is_some() && !self.found.is_empty();
        !one_only && self.found.room(self.wanted.max) > 0
    }

    /// Takes what one partition has. That it cannot be asked is no reason not to ask the others.
    ///
    /// # Errors
    /// If it is active and not there: then the route is wrong.
    async fn ask(
        &mut self,
        app: &App,
        route: &QueueRoute,
        place: &PartitionRoute,
        wait: Duration,
    ) -> Result<Missed, Problem> {
        let max = self.found.room(self.wanted.max);
        let command = |now: Ts| self.command(place, max, now, wait);
        let deadline = Deadline {
            wait,
            ..self.deadline.at_most(wait + LOOK_WITHIN)
        };
        let answer = app
            .dispatcher
            .execute(place.cluster, deadline, &[], command);
        let problem = match answer.await.map_err(Problem::from) {
            Ok(answer) => {
                let before = self.found.bytes;
                self.take(place, answer)?;
                if let Some(attempt) = self.wanted.attempt
                    && self.found.bytes > before
                {
                    let attempts = &app.turns.attempts;
                    attempts.remember(route.queue, attempt, place.partition);
                }
                return Ok(None);
            }
            Err(problem) => problem,
        };
        self.miss(place, problem)
    }

    fn miss(&self, place: &PartitionRoute, problem: Problem) -> Result<Missed, Problem> {
        if !is_not_there(&problem) {
            return Ok(Some(in_partition(place, &problem)));
        }
        // A sealed partition goes when it is empty.
        if place.state == PartitionState::Draining || !self.found.is_empty() {
            return Ok(None);
        }
        Err(problem)
    }
}

async fn ready(app: &App, place: &PartitionRoute, soon: Deadline) -> Result<bool, Problem> {
    let query = Query::Counts {
        partition: place.partition,
    };
    let answer = app.dispatcher.query(place.cluster, soon, query).await?;
    Ok(matches!(answer.reply, QueryReply::Counts(counts) if counts.ready > 0))
}
