//! `RedrivePolicy` and `RedriveAllowPolicy`: attributes that are JSON objects in a text.

use std::collections::BTreeSet;

use serde::Deserialize;
use shoal_types::limits::{RECEIVE_COUNT, REDRIVE_SOURCES_MAX};
use shoal_types::{QueueName, RedriveAllow};

use crate::{SqsError, place};

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The dead-letter queue. Whether it exists, and is of the same kind, account and region, is to be
    /// checked.
    pub dead_letter_queue: QueueName,
    /// Receives after which a message goes there; 1 to 1,000.
    pub max_receive_count: u32,
}

/// As it stands in the text. A number may be written as a text, which many tools do.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(i64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawRedrive {
    dead_letter_target_arn: Option<String>,
    max_receive_count: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawAllow {
    redrive_permission: Option<String>,
    source_queue_arns: Option<BTreeSet<String>>,
}

/// Reads `RedrivePolicy`.
pub(super) fn read(text: &str) -> Result<RedrivePolicy, SqsError> {
    let refuse = |reason: &str| SqsError::invalid("RedrivePolicy", text, reason);
    let raw: RawRedrive = object(text).map_err(refuse)?;
    let mandatory = "Redrive policy does not contain mandatory attribute: ";
    let arn = raw.dead_letter_target_arn;
    let arn = arn.ok_or_else(|| refuse(&format!("{mandatory}deadLetterTargetArn.")))?;
    let count = raw.max_receive_count;
    let count = count.ok_or_else(|| refuse(&format!("{mandatory}maxReceiveCount.")))?;
    let dead_letter_queue = place::queue_from_arn(&arn)
        .ok_or_else(|| refuse("Invalid value for deadLetterTargetArn."))?;
    let (shown, number) = match count {
        Count::Number(number) => (number.to_string(), u32::try_from(number).ok()),
        Count::Text(text) => {
            let number = text.parse().ok();
            (text, number)
        }
    };
    let max_receive_count = number.filter(|number| RECEIVE_COUNT.contains(number));
    let max_receive_count = max_receive_count.ok_or_else(|| {
        refuse(&format!(
            "Invalid value for maxReceiveCount: {shown}, valid values are from 1 to 1000 both inclusive."
        ))
    })?;
    Ok(RedrivePolicy {
        dead_letter_queue,
        max_receive_count,
    })
}

/// Reads `RedriveAllowPolicy`.
pub(super) fn read_allow(text: &str) -> Result<RedriveAllow, SqsError> {
    let refuse = |reason: &str| SqsError::invalid("RedriveAllowPolicy", text, reason);
    let raw: RawAllow = object(text).map_err(refuse)?;
    let sources = raw.source_queue_arns;
    match (raw.redrive_permission.as_deref(), sources) {
        (Some("byQueue"), Some(arns)) if (1..=REDRIVE_SOURCES_MAX).contains(&arns.len()) => {
            let queues = arns.iter().map(|arn| place::queue_from_arn(arn));
            let queues: Option<BTreeSet<QueueName>> = queues.collect();
            queues
                .map(RedriveAllow::Queues)
                .ok_or_else(|| refuse("Invalid value for sourceQueueArns."))
        }
        (Some("byQueue"), _) => Err(refuse("byQueue goes with 1 to 10 sourceQueueArns.")),
        (Some("allowAll" | "denyAll"), Some(_)) => Err(refuse(
            "sourceQueueArns goes with the redrivePermission byQueue only.",
        )),
        (Some("allowAll"), None) => Ok(RedriveAllow::All),
        (Some("denyAll"), None) => Ok(RedriveAllow::None),
        _ => Err(refuse("redrivePermission is allowAll, denyAll or byQueue.")),
    }
}

/// Reads an object; what is wrong with it is a sentence without the value.
fn object<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, &'static str> {
    // serde would also read a struct out of a list of its fields' values.
    if !text.trim_start().starts_with('{') {
        return Err("It is not a valid JSON map.");
    }
    serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            "It has an attribute that is not known, is there twice or is of the wrong type."
        } else {
            "It is not a valid JSON map."
        }
    })
}

/// Writes `RedrivePolicy`.
pub(super) fn write(dead_letter_queue: &QueueName, max_receive_count: u32) -> String {
    // Nothing in an ARN has to be escaped.
    let arn = place::arn(dead_letter_queue);
    format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{max_receive_count}}}"#)
}

/// Writes `RedriveAllowPolicy`; none for what is the default.
pub(super) fn write_allow(allow: &RedriveAllow) -> Option<String> {
    match allow {
        RedriveAllow::All => None,
        RedriveAllow::None => Some(r#"{"redrivePermission":"denyAll"}"#.to_owned()),
        RedriveAllow::Queues(queues) => {
            let arns: Vec<String> = queues
                .iter()
                .map(|q| format!("\"{}\"", place::arn(q)))
                .collect();
            let arns = arns.join(",");
            Some(format!(
                r#"{{"redrivePermission":"byQueue","sourceQueueArns":[{arns}]}}"#
            ))
        }
    }
}
