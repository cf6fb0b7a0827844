//! What makes two sends the same message.

use sha2::{Digest, Sha256};
use shoal_api::keys;
use shoal_types::{DedupKey, DeduplicationScope, QueueSettings};

/// The key of a message in a queue with these settings: of the id that its sender gave, or else of its body
/// if the queue looks at that. Both APIs use this one, so that a message is the same through either.
pub(crate) fn dedup_key(
    settings: &QueueSettings,
    group: Option<&str>,
    id: Option<&str>,
    body: &[u8],
) -> Option<DedupKey> {
    let by_group = settings.sqs.deduplication_scope == Some(DeduplicationScope::MessageGroup);
    let key = match id {
        Some(id) => keys::of_dedup_id(id),
        None if settings.content_deduplication => keys::of_content(body),
        None => return None,
    };
    Some(match group {
        Some(group) if by_group => keys::in_group(group, &key),
        _ => key,
    })
}

/// The id that SQS shows of a message whose sender gave none: its body's SHA-256, in hex digits.
pub(crate) fn dedup_id_of_content(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use shoal_types::SqsAttributes;

    use super::*;

    #[test]
    fn the_same_id_in_another_group_is_another_message_if_the_queue_says_so() {
        let mut settings = QueueSettings {
            fifo: true,
            ..QueueSettings::default()
        };
        let key = |settings: &_, group, id| dedup_key(settings, Some(group), id, b"body");
        assert_eq!(key(&settings, "a", None), None);
        assert_eq!(
            key(&settings, "a", Some("1")),
            key(&settings, "b", Some("1"))
        );
        settings.content_deduplication = true;
        assert_eq!(key(&settings, "a", None), key(&settings, "b", None));
        settings.sqs = SqsAttributes {
            deduplication_scope: Some(DeduplicationScope::MessageGroup),
            ..SqsAttributes::default()
        };
        assert_ne!(
            key(&settings, "a", Some("1")),
            key(&settings, "b", Some("1"))
        );
        assert_ne!(key(&settings, "a", None), key(&settings, "b", None));
        assert_eq!(
            key(&settings, "a", Some("1")),
            key(&settings, "a", Some("1"))
        );
    }
}
