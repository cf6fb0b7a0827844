//! Tokens for the next page of a list: the last name, with what was listed and a checksum, so that a token
//! of another list or a mangled one is refused. A forged one tells nobody more than the list itself.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shoal_sqs::SqsError;
use shoal_types::{QueueName, Scope};

/// What is listed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Listed<'a> {
    /// The queues whose names begin so.
    Queues { prefix: &'a str },
    /// The queues that have this one as their dead-letter queue.
    Sources { of: &'a QueueName },
}

/// Bytes of the checksum before the rest.
const SUM: usize = 4;

/// The token for what comes after this queue.
pub(super) fn token(last: &QueueName, listed: Listed<'_>) -> String {
    let name = last.as_str().as_bytes();
    let mut bytes = sum(name, listed).to_vec();
    bytes.extend_from_slice(name);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The queue after which the list goes on.
///
/// # Errors
/// `InvalidParameterValue` if it is no token of this list.
pub(super) fn read_token(
    token: &str,
    listed: Listed<'_>,
    scope: &Scope,
) -> Result<QueueName, SqsError> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (its_sum, name) = bytes.split_at_checked(SUM)?;
        let last: QueueName = std::str::from_utf8(name).ok()?.parse().ok()?;
        let scope = match listed {
            Listed::Queues { .. } => scope.clone(),
            Listed::Sources { of } => of.scope(),
        };
        (its_sum == sum(name, listed) && last.scope() == scope).then_some(last)
    };
    read().ok_or_else(|| SqsError::invalid("NextToken", token, "It is no token of this list."))
}

fn sum(name: &[u8], listed: Listed<'_>) -> [u8; SUM] {
    let (kind, what) = match listed {
        Listed::Queues { prefix } => (b"queues\0".as_slice(), prefix),
        Listed::Sources { of } => (b"sources\0".as_slice(), of.as_str()),
    };
    let sum = crc32c::crc32c_append(crc32c::crc32c(kind), what.as_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, b"\0"), name).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_with_its_list_only() {
        let scope = Scope::default();
        let last: QueueName = "orders-1".parse().unwrap();
        let dead: QueueName = "dead".parse().unwrap();
        let (some, all) = (
            Listed::Queues { prefix: "orders" },
            Listed::Queues { prefix: "" },
        );
        let token = token(&last, some);
        assert_eq!(read_token(&token, some, &scope).unwrap(), last);
        assert!(read_token(&token, all, &scope).is_err());
        assert!(read_token(&token, Listed::Sources { of: &dead }, &scope).is_err());
        let elsewhere = Scope::new("123456789012", "us-east-1").unwrap();
        assert!(read_token(&token, some, &elsewhere).is_err());
    }

    #[test]
    fn a_forged_token_is_refused() {
        let (scope, all) = (Scope::default(), Listed::Queues { prefix: "" });
        let good = token(&"a".parse().unwrap(), all);
        for bad in [
            "",
            "x",
            "====",
            &good[1..],
            &format!("{good}A"),
            &"A".repeat(4_000),
        ] {
            let refused = read_token(bad, all, &scope).unwrap_err();
            assert!(refused.message.contains("NextToken"), "{bad}");
        }
    }
}
