//! Handles of tasks that move messages: the task's number and its queue's name, with a checksum, so that a
//! mangled one is refused before anybody is asked. A forged one names nothing that its sender could not name
//! anyway: whether the caller may touch the queue is looked at as always.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shoal_sqs::{ErrorKind, SqsError};
use shoal_types::QueueName;

/// Bytes of the checksum, which stands first.
const SUM: usize = 4;
/// Bytes of the task's number, which follows.
const NUMBER: usize = 8;

/// The handle of a queue's task.
pub(super) fn write(queue: &QueueName, task: u64) -> String {
    let mut rest = task.to_be_bytes().to_vec();
    rest.extend_from_slice(queue.as_str().as_bytes());
    let mut bytes = sum(&rest).to_vec();
    bytes.extend_from_slice(&rest);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The queue and its task.
///
/// # Errors
/// `InvalidParameterValue` if it is none that [`write`] made.
pub(super) fn read(handle: &str) -> Result<(QueueName, u64), SqsError> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(handle).ok()?;
        let (its_sum, rest) = bytes.split_first_chunk::<SUM>()?;
        let (number, name) = rest.split_first_chunk::<NUMBER>()?;
        let queue = std::str::from_utf8(name).ok()?.parse().ok()?;
        (*its_sum == sum(rest)).then_some((queue, u64::from_be_bytes(*number)))
    };
    read().ok_or_else(|| {
        let message = "Value for parameter TaskHandle is invalid.";
        SqsError::new(ErrorKind::InvalidParameterValue, message)
    })
}

fn sum(rest: &[u8]) -> [u8; SUM] {
    let kind = crc32c::crc32c(b"move task\0");
    crc32c::crc32c_append(kind, rest).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_its_task() {
        for queue in ["dead", "123456789012/eu-west-1/dead.fifo"] {
            let queue: QueueName = queue.parse().unwrap();
            let handle = write(&queue, 42);
            assert_eq!(read(&handle).unwrap(), (queue, 42));
        }
    }

    #[test]
    fn what_is_no_handle_is_refused() {
        let good = write(&"dead".parse().unwrap(), 42);
        let mut flipped = URL_SAFE_NO_PAD.decode(&good).unwrap();
        *flipped.last_mut().unwrap() ^= 1;
        let flipped = URL_SAFE_NO_PAD.encode(flipped);
        let longer = format!("{good}A");
        let huge = "A".repeat(100_000);
        for bad in ["", "x", "====", &good[1..], &longer, &flipped, &huge] {
            let refused = read(bad).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::InvalidParameterValue, "{bad}");
        }
    }
}
