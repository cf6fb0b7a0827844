//! Bodies of `POST /v1/queues/{queue}/messages/ack`, `/extend` and `/release`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use shoal_types::{ErrorCode, Receipt, ReceiptResult, limits};

use crate::queue::{DelaySeconds, VisibilitySeconds};
use crate::{Batch, Problem};

/// Receipts as users hand them back.
pub type ReceiptTexts = Batch<String, { limits::RECEIPT_BATCH_MAX }>;

/// Which messages are done with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AckRequest {
    /// Their receipts; 1 to 1,000.
    pub receipts: ReceiptTexts,
}

/// Which leases are to end at another time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendRequest {
    /// Their receipts; 1 to 1,000.
    pub receipts: ReceiptTexts,
    /// Seconds from now until they end; 0 gives the messages back at once.
    pub visibility_timeout_s: VisibilitySeconds,
}

/// Which messages are given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// Their receipts; 1 to 1,000.
    pub receipts: ReceiptTexts,
    /// Seconds until they can be received again; at once if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_s: Option<DelaySeconds>,
}

/// Reads receipts.
///
/// # Errors
/// `invalid_receipt` names the first that is none of ours; `invalid_request` if there are none.
pub fn parse(receipts: &ReceiptTexts) -> Result<Vec<Receipt>, Problem> {
    let receipts = receipts.as_slice();
    if receipts.is_empty() {
        return Err(Problem::invalid(
            "receipts",
            "is empty, expected 1 to 1000 receipts",
        ));
    }
    let parse = |(i, text): (usize, &String)| text.parse().map_err(|e| invalid_receipt(i, e));
    receipts.iter().enumerate().map(parse).collect()
}

/// `invalid_receipt` about the receipt at an index.
pub fn invalid_receipt(index: usize, why: impl std::fmt::Display) -> Problem {
    let field = format!("receipts[{index}]");
    Problem::new(ErrorCode::InvalidReceipt, format!("{field}: {why}")).at(field)
}

/// The answer: one item per receipt, in order. Status 200 if all went well, 207 if not all did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptAnswer {
    /// What became of each receipt.
    pub receipts: Vec<ReceiptItem>,
}

/// What became of one receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptItem {
    /// The receipt.
    pub receipt: String,
    /// True if it was done.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReceiptFailure>,
    /// Why not, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'static, str>>,
}

/// Why nothing was done for a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptFailure {
    /// The message is deleted, expired or purged.
    Gone,
    /// The visibility timeout had passed.
    Expired,
    /// The message was received again by someone.
    Superseded,
    /// No message has or had this receipt.
    Unknown,
    /// Its consumer gave the message back, and nobody received it since.
    NotLeased,
    /// Extended so far, the lease would last longer than 12 hours from the receive.
    TooLong,
    /// Where the message is by now cannot be found out: another attempt may be able to.
    Unavailable,
}

impl ReceiptItem {
    /// Joins a receipt with what the host said about it.
    #[must_use]
    pub fn new(receipt: String, result: ReceiptResult) -> Self {
        Self::of(
            receipt,
            match result {
                ReceiptResult::Done => None,
                ReceiptResult::Gone => Some(ReceiptFailure::Gone),
                ReceiptResult::Expired => Some(ReceiptFailure::Expired),
                ReceiptResult::Superseded => Some(ReceiptFailure::Superseded),
                ReceiptResult::Unknown => Some(ReceiptFailure::Unknown),
                ReceiptResult::NotLeased => Some(ReceiptFailure::NotLeased),
                ReceiptResult::TooLong => Some(ReceiptFailure::TooLong),
            },
        )
    }

    /// A receipt that nobody could be asked about. Nothing was done.
    #[must_use]
    pub fn unavailable(receipt: String) -> Self {
        Self::of(receipt, Some(ReceiptFailure::Unavailable))
    }

    fn of(receipt: String, failure: Option<ReceiptFailure>) -> Self {
        Self {
            receipt,
            ok: failure.is_none(),
            reason: failure,
            detail: failure.map(|failure| failure.detail().into()),
        }
    }
}

impl ReceiptFailure {
    /// The reason for people.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::Gone => "the message is deleted, expired or purged",
            Self::Expired => "the visibility timeout had passed",
            Self::Superseded => "the message was received again since",
            Self::Unknown => "no message of this queue has this receipt",
            Self::NotLeased => "the message was given back, and nobody received it since",
            Self::TooLong => "a lease lasts at most 12 hours from the receive; it was not extended",
            Self::Unavailable => {
                "nothing was done: the queue is being moved, and the manager, who knows where this message \
                 is, cannot be asked at the moment; try again"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{PartitionId, Sequence};

    use super::*;

    #[test]
    fn the_first_receipt_that_is_none_is_named() {
        let good = Receipt {
            partition: PartitionId(1),
            sequence: Sequence(2),
            lease: 3,
        };
        let texts = vec![good.to_string(), "nonsense".to_owned()];
        assert_eq!(parse(&texts[..1].to_vec().into()).unwrap(), [good]);
        let problem = parse(&texts.into()).unwrap_err();
        assert_eq!(problem.code, ErrorCode::InvalidReceipt);
        assert_eq!(problem.field.as_deref(), Some("receipts[1]"));
        assert_eq!(
            parse(&vec![].into()).unwrap_err().field.as_deref(),
            Some("receipts")
        );
    }
}
