//! Bodies about queues: settings in, settings with counts out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shoal_types::{
    ClusterId, Epoch, PartitionId, PartitionState, Partitioning, QueueName, QueueRoute,
    QueueSettings, RedriveAllow, limits,
};

use crate::{Field, Problem, Timestamp, Whole, text};

/// Seconds of a visibility timeout.
pub(crate) type VisibilitySeconds = Whole<0, { limits::VISIBILITY_S_MAX as u64 }>;
/// Seconds of a delay.
pub(crate) type DelaySeconds = Whole<0, { limits::DELAY_S_MAX as u64 }>;
/// Seconds of retention.
pub(crate) type RetentionSeconds =
    Whole<{ *limits::RETENTION_S.start() as u64 }, { *limits::RETENTION_S.end() as u64 }>;
/// Seconds of waiting for a message.
pub(crate) type WaitSeconds = Whole<0, { limits::RECEIVE_WAIT_S_MAX as u64 }>;
/// Bytes of a message.
pub(crate) type MessageBytes = Whole<
    { *limits::QUEUE_MESSAGE_BYTES.start() as u64 },
    { *limits::QUEUE_MESSAGE_BYTES.end() as u64 },
>;
/// Receives after which a message is dead.
pub(crate) type ReceiveCount =
    Whole<{ *limits::RECEIVE_COUNT.start() as u64 }, { *limits::RECEIVE_COUNT.end() as u64 }>;
/// A bound on what a queue holds.
pub(crate) type HoldingBound = Whole<1, { u64::MAX }>;

/// The body of `PUT` and `PATCH /v1/queues/{queue}`. See [`QueueSettings`] for what the fields mean. A
/// field that is `null` is the default; one that is missing is the default for a new queue, and stays
/// as it is in a change.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of QueueSettings")]
pub struct QueueBody {
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub fifo: Field<bool>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub visibility_timeout_s: Field<VisibilitySeconds>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub delay_s: Field<DelaySeconds>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub retention_s: Field<RetentionSeconds>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub max_message_bytes: Field<MessageBytes>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub receive_wait_s: Field<WaitSeconds>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub content_deduplication: Field<bool>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub max_messages: Field<HoldingBound>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub max_bytes: Field<HoldingBound>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub max_receive_count: Field<ReceiveCount>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub dead_letter_queue: Field<QueueName>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub redrive_allow: Field<RedriveAllow>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub partitions: Field<Partitioning>,
    #[serde(skip_serializing_if = "Field::is_missing")]
    pub tags: Field<BTreeMap<String, String>>,
}

impl QueueBody {
    /// The settings of a new queue. `fifo` follows from the name unless it is said.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn create(self, name: &QueueName) -> Result<QueueSettings, Problem> {
        let fresh = QueueSettings {
            fifo: name.is_fifo(),
            ..QueueSettings::default()
        };
        self.apply(fresh, name)
    }

    /// `settings` with what this body says about them.
    ///
    /// # Errors
    /// Names the field that is wrong or cannot change.
    pub fn change(
        self,
        settings: QueueSettings,
        name: &QueueName,
    ) -> Result<QueueSettings, Problem> {
        self.apply(settings, name)
    }

    fn apply(self, mut to: QueueSettings, name: &QueueName) -> Result<QueueSettings, Problem> {
        let default = QueueSettings {
            fifo: name.is_fifo(),
            ..QueueSettings::default()
        };
        self.fifo.apply(&mut to.fifo, default.fifo, |v| v);
        let Self {
            visibility_timeout_s,
            delay_s,
            retention_s,
            max_message_bytes,
            ..
        } = self;
        visibility_timeout_s.apply(
            &mut to.visibility_timeout_s,
            default.visibility_timeout_s,
            Whole::get_u32,
        );
        delay_s.apply(&mut to.delay_s, default.delay_s, Whole::get_u32);
        retention_s.apply(&mut to.retention_s, default.retention_s, Whole::get_u32);
        max_message_bytes.apply(
            &mut to.max_message_bytes,
            default.max_message_bytes,
            Whole::get_u32,
        );
        self.receive_wait_s.apply(
            &mut to.receive_wait_s,
            default.receive_wait_s,
            Whole::get_u32,
        );
        self.content_deduplication.apply(
            &mut to.content_deduplication,
            default.content_deduplication,
            |v| v,
        );
        self.max_messages
            .apply(&mut to.max_messages, None, |v| Some(v.get()));
        self.max_bytes
            .apply(&mut to.max_bytes, None, |v| Some(v.get()));
        self.max_receive_count
            .apply(&mut to.max_receive_count, None, |v| Some(v.get_u32()));
        self.dead_letter_queue
            .apply(&mut to.dead_letter_queue, None, Some);
        self.redrive_allow
            .apply(&mut to.redrive_allow, RedriveAllow::All, |v| v);
        self.partitions
            .apply(&mut to.partitions, default.partitions, |v| v);
        self.tags.apply(&mut to.tags, BTreeMap::new(), |v| v);
        match to.validate(name) {
            Ok(()) => Ok(to),
            Err(e) => Err(Problem::invalid(e.field, e.why)),
        }
    }
}

/// A queue as `GET /v1/queues/{queue}` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueInfo {
    /// Its name.
    pub name: QueueName,
    /// Its settings, all of them.
    pub settings: QueueSettings,
    /// What is in it; `null` if its cluster cannot be asked at the moment. Lists and changes do not
    /// ask, so there it is missing.
    #[serde(default, skip_serializing_if = "Field::is_missing")]
    pub counts: Field<QueueCounts>,
    /// Where it is, oldest partition first.
    pub partitions: Vec<QueuePartition>,
    /// When it was created, by the manager's clock.
    pub created_at: Timestamp,
    /// When its settings were last changed, likewise; when it was created if they never were. Missing: a
    /// frontend of an earlier release does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
}

/// How many messages are where, as one host of the queue's cluster saw it a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueCounts {
    /// Can be received now.
    pub ready: u64,
    /// Received and not acknowledged, within their visibility timeout.
    pub in_flight: u64,
    /// Held back until their delay is over.
    pub delayed: u64,
    /// Bytes of all of the above.
    pub bytes: u64,
    /// Seconds since the oldest of all of the above was sent; `null` if there is none.
    pub oldest_age_s: Option<u64>,
}

/// One partition of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePartition {
    /// Which: `p` and hex digits.
    #[serde(with = "text")]
    pub partition: PartitionId,
    /// Its generation; the upper part of its messages' sequence numbers.
    pub epoch: Epoch,
    /// Where it is: `c` and hex digits.
    #[serde(with = "text")]
    pub cluster: ClusterId,
    /// What it takes.
    pub state: PartitionState,
}

impl QueueInfo {
    /// What the route alone tells.
    #[must_use]
    pub fn new(route: &QueueRoute) -> Self {
        let partitions = route.partitions.iter().map(|p| QueuePartition {
            partition: p.partition,
            epoch: p.epoch,
            cluster: p.cluster,
            state: p.state,
        });
        Self {
            name: route.name.clone(),
            settings: route.settings.clone(),
            counts: Field::Missing,
            partitions: partitions.collect(),
            created_at: Timestamp(route.created_at),
            changed_at: Some(Timestamp(route.changed_at.max(route.created_at))),
        }
    }
}

/// The query of `GET /v1/queues`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueListQuery {
    /// Only names that start so.
    pub prefix: String,
    /// At most so many; 100 if not said.
    pub limit: Option<Whole<1, 1_000>>,
    /// Where the last page said that the next one starts.
    pub cursor: Option<String>,
}

/// The answer to `GET /v1/queues`: queues by name, without counts.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueList {
    /// The queues.
    pub queues: Vec<QueueInfo>,
    /// What to pass as `cursor` for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn name(name: &str) -> QueueName {
        name.parse().unwrap()
    }

    #[test]
    fn a_new_queue_has_the_defaults_and_fifo_by_its_name() {
        let body: QueueBody = json::read(b"{\"delay_s\":5,\"retention_s\":null}").unwrap();
        let settings = body.create(&name("a.fifo")).unwrap();
        let expected = QueueSettings {
            fifo: true,
            delay_s: 5,
            ..QueueSettings::default()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_change_leaves_what_it_does_not_mention_and_null_is_the_default() {
        let before = QueueSettings {
            delay_s: 9,
            max_messages: Some(5),
            max_bytes: Some(6),
            visibility_timeout_s: 1,
            ..QueueSettings::default()
        };
        let body: QueueBody =
            json::read(br#"{"visibility_timeout_s":2,"max_messages":null}"#).unwrap();
        let after = body.change(before.clone(), &name("a")).unwrap();
        let expected = QueueSettings {
            visibility_timeout_s: 2,
            max_messages: None,
            ..before
        };
        assert_eq!(after, expected);
    }

    #[test]
    fn partitions_are_one_unless_said_and_null_is_one_again() {
        let fresh = |body: &[u8]| {
            let body: QueueBody = json::read(body).unwrap();
            body.create(&name("a")).unwrap()
        };
        assert_eq!(fresh(b"{}").partitions, Partitioning::One);
        assert_eq!(fresh(br#"{"partitions":1}"#).partitions, Partitioning::One);
        let auto = fresh(br#"{"partitions":"auto"}"#);
        assert_eq!(auto.partitions, Partitioning::Auto);
        let back: QueueBody = json::read(br#"{"partitions":null}"#).unwrap();
        let back = back.change(auto, &name("a")).unwrap();
        assert_eq!(back.partitions, Partitioning::One);
    }

    #[test]
    fn partitions_are_written_as_one_or_auto_and_nothing_else_is_read() {
        for (text, partitions) in [("1", Partitioning::One), ("\"auto\"", Partitioning::Auto)] {
            assert_eq!(serde_json::to_string(&partitions).unwrap(), text);
            let read: Partitioning = serde_json::from_str(text).unwrap();
            assert_eq!(read, partitions);
        }
        for bad in ["0", "2", "-1", "1.0", "true", "\"1\"", "\"Auto\"", "[1]"] {
            let body = format!("{{\"partitions\":{bad}}}");
            let problem = json::read::<QueueBody>(body.as_bytes()).unwrap_err();
            let said = problem.detail.contains("expected 1 or \"auto\"");
            assert!(said, "{bad}: {}", problem.detail);
        }
        let old: QueueSettings = serde_json::from_str(r#"{"delay_s":5}"#).unwrap();
        assert_eq!(old.partitions, Partitioning::One, "of an earlier build");
    }

    #[test]
    fn dead_letters_are_set_changed_and_taken_back() {
        let orders = name("orders");
        let change = |settings: QueueSettings, body: &str| {
            let body: QueueBody = json::read(body.as_bytes()).unwrap();
            body.change(settings, &orders)
        };
        let pair = r#"{"max_receive_count":3,"dead_letter_queue":"dead","redrive_allow":"none"}"#;
        let set = change(QueueSettings::default(), pair).unwrap();
        assert_eq!(set.max_receive_count, Some(3));
        assert_eq!(set.dead_letter_queue, Some(name("dead")));
        assert_eq!(set.redrive_allow, RedriveAllow::None);

        let more = change(set.clone(), r#"{"max_receive_count":5}"#).unwrap();
        assert_eq!(more.max_receive_count, Some(5));
        assert_eq!(more.dead_letter_queue, set.dead_letter_queue);
        let listed = r#"{"redrive_allow":{"queues":["b","a"]}}"#;
        let listed = change(set.clone(), listed).unwrap();
        let these = RedriveAllow::Queues([name("a"), name("b")].into());
        assert_eq!(listed.redrive_allow, these);

        let none = r#"{"max_receive_count":null,"dead_letter_queue":null,"redrive_allow":null}"#;
        assert_eq!(change(set, none).unwrap(), QueueSettings::default());
    }

    #[test]
    fn dead_letters_that_do_not_fit_name_their_field() {
        for (body, field) in [
            (r#"{"max_receive_count":3}"#, "dead_letter_queue"),
            (r#"{"dead_letter_queue":"dead"}"#, "max_receive_count"),
            (
                r#"{"max_receive_count":3,"dead_letter_queue":"orders"}"#,
                "dead_letter_queue",
            ),
            (
                r#"{"max_receive_count":3,"dead_letter_queue":"dead.fifo"}"#,
                "dead_letter_queue",
            ),
            (
                r#"{"max_receive_count":3,"dead_letter_queue":"123456789012/us-east-1/dead"}"#,
                "dead_letter_queue",
            ),
            (r#"{"redrive_allow":{"queues":[]}}"#, "redrive_allow"),
        ] {
            let read: QueueBody = json::read(body.as_bytes()).unwrap();
            let problem = read.create(&name("orders")).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{body}");
        }
    }

    #[test]
    fn a_queue_was_changed_when_it_was_created_if_nothing_is_known() {
        let mut route = QueueRoute {
            name: name("a"),
            queue: shoal_types::QueueId(1),
            settings: QueueSettings::default(),
            partitions: Vec::new(),
            revision: shoal_types::Revision(1),
            created_at: shoal_types::Ts(7),
            changed_at: shoal_types::Ts(0),
        };
        let changed = |route: &QueueRoute| QueueInfo::new(route).changed_at.unwrap().0;
        assert_eq!(changed(&route), route.created_at);
        route.changed_at = shoal_types::Ts(9);
        assert_eq!(changed(&route), route.changed_at);
    }

    #[test]
    fn wrong_settings_name_their_field() {
        for (body, field) in [
            (r#"{"delay_s":901}"#, "delay_s"),
            (r#"{"retention_s":59}"#, "retention_s"),
            (r#"{"max_messages":0}"#, "max_messages"),
            (r#"{"max_messages":-1}"#, "max_messages"),
            (r#"{"fifo":"yes"}"#, "fifo"),
            (r#"{"partitions":2}"#, "partitions"),
            (r#"{"partitions":"Auto"}"#, "partitions"),
            (r#"{"tags":{"a":1}}"#, "tags.a"),
            (r#"{"max_receive_count":0}"#, "max_receive_count"),
            (r#"{"max_receive_count":1001}"#, "max_receive_count"),
            (r#"{"dead_letter_queue":"a b"}"#, "dead_letter_queue"),
            (r#"{"redrive_allow":"some"}"#, "redrive_allow"),
            (
                r#"{"redrive_allow":{"queues":["a b"]}}"#,
                "redrive_allow.queues[0]",
            ),
            (r#"{"visibility_timeout":3}"#, "visibility_timeout"),
        ] {
            let problem = json::read::<QueueBody>(body.as_bytes()).unwrap_err();
            assert_eq!(
                problem.field.as_deref(),
                Some(field),
                "{body}: {}",
                problem.detail
            );
        }
        let body: QueueBody = json::read(br#"{"fifo":true}"#).unwrap();
        assert_eq!(
            body.create(&name("a")).unwrap_err().field.as_deref(),
            Some("fifo")
        );
    }
}
