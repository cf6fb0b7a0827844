//! Stored bytes on their way out: what is not what was sent is not handed out.

use bytes::Bytes;
use metrics::counter;
use shoal_api::Problem;
use shoal_types::{Applied, ErrorCode, MessagePayload, PartitionId, Sequence};
use tracing::error;

use crate::metric_names;

/// The message, if its bytes are those that were sent. Otherwise it is left out of the answer and comes
/// back after its lease, perhaps from a host whose copy is good.
pub(super) fn read(
    partition: PartitionId,
    sequence: Sequence,
    crc: u32,
    bytes: &Bytes,
) -> Option<MessagePayload> {
    let why = if crc32c::crc32c(bytes) == crc {
        match MessagePayload::decode(bytes) {
            Ok(payload) => return Some(payload),
            Err(error) => error.to_string(),
        }
    } else {
        "checksum mismatch".to_owned()
    };
    counter!(metric_names::CORRUPT_BODIES).increment(1);
    error!(%partition, %sequence, why, "message held back, its bytes are damaged");
    None
}

/// The answer when nothing else is left.
pub(super) fn nothing_intact(partition: PartitionId) -> Problem {
    let detail = format!("the stored bytes in {partition} are damaged and were held back");
    Problem::new(ErrorCode::Corrupt, detail).applied(Applied::Unknown)
}
