//! A body that is the message itself, with everything else in header fields.

use bytes::Bytes;
use http::HeaderMap;
use shoal_api::{CheckedMessage, Problem, Whole, check_label};
use shoal_types::{Body, GroupName, MessagePayload, limits};

use super::super::headers::{self, ContentType};

const GROUP: &str = "shoal-group";
const DEDUP_ID: &str = "shoal-dedup-id";
const DELAY_S: &str = "shoal-delay-s";
const TTL_S: &str = "shoal-ttl-s";

/// The message of such a request.
pub(super) fn raw(
    headers: &HeaderMap,
    content_type: ContentType,
    body: Bytes,
) -> Result<CheckedMessage, Problem> {
    if body.is_empty() {
        return Err(Problem::invalid(
            "body",
            "is empty, a message has at least 1 byte",
        ));
    }
    let is_text = content_type == ContentType::Other && std::str::from_utf8(&body).is_ok();
    let body = if is_text {
        Body::Text(body)
    } else {
        Body::Binary(body)
    };
    Ok(CheckedMessage {
        payload: MessagePayload {
            body,
            ..Default::default()
        },
        delay: seconds::<0, { limits::DELAY_S_MAX as u64 }>(headers, DELAY_S)?,
        ttl: seconds::<1, { *limits::RETENTION_S.end() as u64 }>(headers, TTL_S)?,
        group: label(headers, GROUP)?.map(GroupName::from),
        dedup_id: label(headers, DEDUP_ID)?.map(str::to_owned),
    })
}

fn label<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let value = headers::text(headers, name)?;
    if let Some(value) = value {
        check_label(value).map_err(|why| Problem::invalid(name, why))?;
    }
    Ok(value)
}

fn seconds<const MIN: u64, const MAX: u64>(
    headers: &HeaderMap,
    name: &'static str,
) -> Result<Option<u64>, Problem> {
    let seconds = headers::text(headers, name)?.map(str::parse::<Whole<MIN, MAX>>);
    let seconds = seconds.transpose().map_err(|e| Problem::invalid(name, e))?;
    Ok(seconds.map(Whole::seconds))
}
