//! Header fields that requests may carry.

use std::time::Duration;

use http::{HeaderMap, header};
use shoal_api::Problem;
use shoal_types::limits;
use tokio::time::Instant;

use crate::dispatch::Deadline;
use crate::limits::{ANSWER_MARGIN, DEADLINE_DEFAULT, DEADLINE_MAX};

const DEADLINE_MS: &str = "x-deadline-ms";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How the body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentType {
    /// JSON.
    Json,
    /// Bytes that say of themselves that they are no text, or nothing at all.
    Binary,
    /// Anything else: text if it is UTF-8.
    Other,
}

/// A header field's value as text; an empty one counts.
///
/// # Errors
/// If it is given more than once, or is not printable ASCII.
pub(super) fn text<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (value, another) = (values.next(), values.next());
    if another.is_some() {
        return Err(Problem::invalid(name, "given more than once"));
    }
    value
        .map(|value| {
            value
                .to_str()
                .map_err(|_| Problem::invalid(name, "is not printable ASCII"))
        })
        .transpose()
}

/// When the request must be answered, and how long a receive may wait within that.
///
/// # Errors
/// If the client's deadline is none.
pub(super) fn deadline(
    headers: &HeaderMap,
    started: Instant,
    wait: Duration,
) -> Result<Deadline, Problem> {
    let total = match text(headers, DEADLINE_MS)? {
        None => DEADLINE_DEFAULT + wait,
        Some(asked) => deadline_ms(asked)?,
    };
    let total = total.min(DEADLINE_MAX);
    Ok(Deadline {
        at: started + total,
        wait: wait.min(total.saturating_sub(ANSWER_MARGIN)),
    })
}

fn deadline_ms(asked: &str) -> Result<Duration, Problem> {
    let invalid = || {
        let max = DEADLINE_MAX.as_millis();
        let why = format!(
            "{asked:?} is not a whole number of milliseconds from 1 (above {max} means {max})"
        );
        Problem::invalid(DEADLINE_MS, why)
    };
    if asked.is_empty() || !asked.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid());
    }
    // A number too large for the type is larger than the maximum, too.
    match asked.parse().unwrap_or(u64::MAX) {
        0 => Err(invalid()),
        ms => Ok(Duration::from_millis(ms)),
    }
}

/// The key under which the request may be repeated.
///
/// # Errors
/// If it is empty or too long.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let key = text(headers, IDEMPOTENCY_KEY)?;
    match key.map_or(1, str::len) {
        1..=limits::IDEMPOTENCY_KEY_BYTES_MAX => Ok(key),
        len => {
            let max = limits::IDEMPOTENCY_KEY_BYTES_MAX;
            Err(Problem::invalid(
                IDEMPOTENCY_KEY,
                format!("has {len} bytes, expected 1 to {max}"),
            ))
        }
    }
}

/// What the body says it is.
pub(super) fn content_type(headers: &HeaderMap) -> ContentType {
    let Some(value) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return ContentType::Binary;
    };
    let essence = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => ContentType::Json,
        "" | "application/octet-stream" => ContentType::Binary,
        _ => ContentType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    fn millis(asked: &str, wait: u64) -> Option<(u128, u128)> {
        let started = Instant::now();
        let deadline = deadline(
            &headers(DEADLINE_MS, asked),
            started,
            Duration::from_millis(wait),
        )
        .ok()?;
        Some((
            (deadline.at - started).as_millis(),
            deadline.wait.as_millis(),
        ))
    }

    #[test]
    fn a_deadline_is_taken_clamped_or_refused() {
        assert_eq!(millis("1500", 0), Some((1_500, 0)));
        assert_eq!(millis("1500", 20_000), Some((1_500, 1_300)));
        assert_eq!(millis("1", 1_000), Some((1, 0)));
        for huge in ["60001", "1000000000000", "99999999999999999999999"] {
            assert_eq!(millis(huge, 20_000), Some((60_000, 20_000)));
        }
        for bad in ["0", "-5", "x", "", "1.5", "+3", " "] {
            assert_eq!(millis(bad, 0), None, "{bad:?}");
        }
    }

    #[test]
    fn without_a_deadline_the_wait_comes_on_top() {
        let started = Instant::now();
        let wait = Duration::from_secs(20);
        let deadline = deadline(&HeaderMap::new(), started, wait).unwrap();
        assert_eq!(
            (deadline.at - started, deadline.wait),
            (wait + DEADLINE_DEFAULT, wait)
        );
    }

    #[test]
    fn content_types_are_compared_without_their_parameters() {
        let of = |value| content_type(&headers("content-type", value));
        assert_eq!(of("Application/JSON; charset=utf-8"), ContentType::Json);
        assert_eq!(of("application/octet-stream"), ContentType::Binary);
        assert_eq!(of("text/plain"), ContentType::Other);
        assert_eq!(of("application/problem+json"), ContentType::Other);
        assert_eq!(content_type(&HeaderMap::new()), ContentType::Binary);
    }
}
