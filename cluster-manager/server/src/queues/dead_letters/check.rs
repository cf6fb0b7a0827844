//! Whether a queue may have another one as its dead-letter queue.

use shoal_api::Problem;
use shoal_types::{QueueName, QueueSettings};

use crate::limits::DEAD_LETTER_SOURCES_MAX;
use crate::queues::Queues;
use crate::records::QueueRecord;

impl Queues {
    /// Checks what the settings alone do not tell: that the dead-letter queue is there, allows it, and is not
    /// named by too many. That it is of the same kind and scope, its name says.
    pub(in crate::queues) async fn check_dead_letter_queue(
        &self,
        name: &QueueName,
        settings: &QueueSettings,
    ) -> Result<(), Problem> {
        let Some(to) = &settings.dead_letter_queue else {
            return Ok(());
        };
        let target = self.read(to).await?;
        let target = target.filter(|target| target.record.is_visible());
        let target = target.as_ref().map(|target| &target.record);
        let others = self.dead_letters.others(to, name);
        check(name, to, target, others).map_err(|why| Problem::invalid("dead_letter_queue", why))
    }
}

/// `others`: how many queues besides this one have it as their dead-letter queue.
fn check(
    name: &QueueName,
    to: &QueueName,
    target: Option<&QueueRecord>,
    others: usize,
) -> Result<(), String> {
    let Some(target) = target else {
        return Err(format!("there is no queue {to}; create it first"));
    };
    if !target.settings.redrive_allow.allows(name) {
        return Err(format!(
            "{to} does not take dead letters of {name}: its redrive_allow says of whom it does"
        ));
    }
    if others >= DEAD_LETTER_SOURCES_MAX {
        return Err(format!(
            "{to} is the dead-letter queue of {others} queues, which is the most there may be"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_takes_dead_letters_of_so_many_and_no_more() {
        let name = |text: &str| text.parse::<QueueName>().unwrap();
        let stored = r#"{"name":"dead","queue":7,"stage":"active","settings":{},"partitions":[],"created_at":0}"#;
        let dead: QueueRecord = serde_json::from_str(stored).unwrap();
        let with = |others| check(&name("a"), &name("dead"), Some(&dead), others);
        assert_eq!(with(DEAD_LETTER_SOURCES_MAX - 1), Ok(()));
        let refused = with(DEAD_LETTER_SOURCES_MAX).unwrap_err();
        assert!(refused.contains("10000 queues"), "{refused}");
    }
}
