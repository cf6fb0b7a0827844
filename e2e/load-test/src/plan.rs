//! What a load is to do.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::limits;

/// What a load is to do: how much, how fast, over how many queues.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Queues are named `{prefix}-{run}-{n}`, where `run` is drawn anew each time.
    pub queue_prefix: String,
    /// How many queues; producers and consumers spread over them evenly.
    pub queues: usize,
    /// Message groups of each queue, which is a FIFO queue then: every message has a group and a
    /// deduplication id. 0: standard queues.
    pub groups: usize,
    /// Queues may be split over several clusters. Numbers grow within each partition only then.
    pub auto: bool,
    /// Sends under way at once, at most.
    pub producers: usize,
    /// Receives under way at once. 0: messages are only sent.
    pub consumers: usize,
    /// Messages per second, all producers together. `None`: each producer sends as soon as its last
    /// send was answered.
    pub rate: Option<f64>,
    /// Without a rate: about so many messages may be sent and not yet received. Producers wait at
    /// the bound, so what is measured is how fast messages go *through*. `None`: they never wait.
    pub backlog_max: Option<u32>,
    /// Messages of one send.
    pub batch: usize,
    /// Messages of one receive, at most; they are acknowledged together.
    pub receive_batch: usize,
    /// Bytes of each body.
    pub body_bytes: usize,
    /// Load before the measurement begins. Accounted for, but not in rates and latencies.
    #[serde(rename = "warm_up_s", serialize_with = "seconds")]
    pub warm_up: Duration,
    /// Load that is measured.
    #[serde(rename = "duration_s", serialize_with = "seconds")]
    pub duration: Duration,
    /// The load ends after so many messages, if not before.
    pub messages_max: u64,
    /// The queues' visibility timeout; whole seconds.
    #[serde(rename = "visibility_s", serialize_with = "seconds")]
    pub visibility: Duration,
    /// How long a receive waits; whole seconds.
    #[serde(rename = "wait_s", serialize_with = "seconds")]
    pub wait: Duration,
    /// How long consumers may go on after the last send until the queues must be empty.
    #[serde(rename = "drain_s", serialize_with = "seconds")]
    pub drain: Duration,
    /// Leave the queues there afterwards.
    pub keep_queues: bool,
}

/// A plan that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// The field's name.
    pub field: &'static str,
    /// What it must be.
    pub why: String,
}

impl std::error::Error for PlanError {}

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.why)
    }
}

impl Default for Plan {
    /// Half a minute at 500 messages a second, one at a time, 1 KiB each.
    fn default() -> Self {
        Self {
            queue_prefix: "load".to_owned(),
            queues: 2,
            groups: 0,
            auto: false,
            producers: 8,
            consumers: 8,
            rate: Some(500.0),
            backlog_max: Some(2_000),
            batch: 1,
            receive_batch: 10,
            body_bytes: 1024,
            warm_up: Duration::from_secs(2),
            duration: Duration::from_secs(30),
            messages_max: limits::MESSAGES_MAX,
            visibility: Duration::from_secs(30),
            wait: Duration::from_secs(5),
            drain: Duration::from_secs(60),
            keep_queues: false,
        }
    }
}

impl Plan {
    /// Checks every bound.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<(), PlanError> {
        let check = |ok: bool, field, why: String| {
            if ok {
                Ok(())
            } else {
                Err(PlanError { field, why })
            }
        };
        let within = |field, value: usize, low: usize, high: usize| {
            check(
                (low..=high).contains(&value),
                field,
                format!("{value} is not within {low} to {high}"),
            )
        };
        let whole_seconds = |field, value: Duration, low: u64, high: u64| {
            let ok = value.subsec_nanos() == 0 && (low..=high).contains(&value.as_secs());
            check(
                ok,
                field,
                format!("{value:?} is not whole seconds within {low} to {high}"),
            )
        };
        within("queues", self.queues, 1, limits::QUEUES_MAX)?;
        within("groups", self.groups, 0, limits::GROUPS_MAX)?;
        within("producers", self.producers, 1, limits::WORKERS_MAX)?;
        within("consumers", self.consumers, 0, limits::WORKERS_MAX)?;
        check(
            self.consumers == 0 || self.consumers >= self.queues,
            "consumers",
            format!(
                "{} cannot serve {} queues: there must be one for each",
                self.consumers, self.queues
            ),
        )?;
        check(
            self.rate
                .is_none_or(|r| r.is_finite() && (0.1..=1e6).contains(&r)),
            "rate",
            "must be within 0.1 and 1,000,000 messages per second".to_owned(),
        )?;
        within("batch", self.batch, 1, shoal_types::limits::SEND_BATCH_MAX)?;
        let batch = self.batch as u32;
        check(
            self.backlog_max
                .is_none_or(|max| (batch..=limits::BACKLOG_MAX).contains(&max)),
            "backlog_max",
            format!(
                "must be within {batch}, one batch, and {}",
                limits::BACKLOG_MAX
            ),
        )?;
        within(
            "receive_batch",
            self.receive_batch,
            1,
            shoal_types::limits::RECEIVE_BATCH_MAX,
        )?;
        within(
            "body_bytes",
            self.body_bytes,
            limits::BODY_BYTES_MIN,
            shoal_types::limits::MESSAGE_BYTES_MAX,
        )?;
        within(
            "batch",
            self.batch * self.body_bytes,
            0,
            shoal_types::limits::SEND_BATCH_BYTES_MAX,
        )?;
        check(
            !self.duration.is_zero() && self.warm_up + self.duration <= limits::DURATION_MAX,
            "duration",
            format!(
                "must be above 0 and, with the warm-up, at most {:?}",
                limits::DURATION_MAX
            ),
        )?;
        check(
            (1..=limits::MESSAGES_MAX).contains(&self.messages_max),
            "messages_max",
            format!("must be within 1 and {}", limits::MESSAGES_MAX),
        )?;
        whole_seconds(
            "visibility",
            self.visibility,
            1,
            limits::VISIBILITY_MAX.as_secs(),
        )?;
        whole_seconds(
            "wait",
            self.wait,
            0,
            u64::from(shoal_types::limits::RECEIVE_WAIT_S_MAX),
        )?;
        let longest_name = format!("{}-{:08x}-{}", self.queue_prefix, 0, self.queues);
        check(
            longest_name.parse::<shoal_types::QueueName>().is_ok() && !longest_name.contains('.'),
            "queue_prefix",
            format!("{longest_name:?} is no queue name"),
        )
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Plan)) -> &'static str {
        let mut plan = Plan::default();
        change(&mut plan);
        plan.validate().unwrap_err().field
    }

    #[test]
    fn the_default_plan_is_valid() {
        Plan::default().validate().unwrap();
    }

    #[test]
    fn each_bound_names_its_field() {
        assert_eq!(refused(|p| p.queues = 0), "queues");
        assert_eq!(refused(|p| p.producers = 0), "producers");
        assert_eq!(refused(|p| p.consumers = 1), "consumers");
        assert_eq!(refused(|p| p.rate = Some(0.0)), "rate");
        assert_eq!(refused(|p| p.rate = Some(f64::NAN)), "rate");
        assert_eq!(refused(|p| p.batch = 1_001), "batch");
        assert_eq!(
            refused(|p| (p.batch, p.body_bytes) = (1_000, 1 << 20)),
            "batch"
        );
        assert_eq!(refused(|p| p.receive_batch = 0), "receive_batch");
        assert_eq!(refused(|p| p.backlog_max = Some(0)), "backlog_max");
        assert_eq!(refused(|p| p.body_bytes = 39), "body_bytes");
        assert_eq!(refused(|p| p.duration = Duration::ZERO), "duration");
        assert_eq!(refused(|p| p.messages_max = u64::MAX), "messages_max");
        assert_eq!(
            refused(|p| p.visibility = Duration::from_millis(1_500)),
            "visibility"
        );
        assert_eq!(refused(|p| p.wait = Duration::from_secs(21)), "wait");
        assert_eq!(
            refused(|p| p.queue_prefix = "a/b".to_owned()),
            "queue_prefix"
        );
    }
}
