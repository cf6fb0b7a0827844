//! Receipts: what a consumer shows to acknowledge, extend or release a message.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{PartitionId, Sequence};

/// Names one lease of one message. It is a fence: after the message was leased again, the old
/// receipt never extends and, in FIFO queues, never deletes.
///
/// Users see 44 hex digits and must not look inside: partition, sequence, lease, CRC-32C over them.
/// The checksum catches mangled receipts at the edge; it is no protection against forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Receipt {
    /// Where the message lies; the receipt reaches it there even after the queue moved on.
    pub partition: PartitionId,
    /// Which message.
    pub sequence: Sequence,
    /// Which lease of it: 1 for the first, one more for each later lease.
    pub lease: u16,
}

/// The text is no receipt of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a receipt of this service")]
pub struct ReceiptError;

const BYTES: usize = 8 + 8 + 2 + 4;

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0u8; BYTES];
        bytes[..8].copy_from_slice(&self.partition.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.0.to_be_bytes());
        bytes[16..18].copy_from_slice(&self.lease.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..18]);
        bytes[18..].copy_from_slice(&crc.to_be_bytes());
        bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for Receipt {
    type Err = ReceiptError;

    fn from_str(text: &str) -> Result<Self, ReceiptError> {
        if text.len() != 2 * BYTES || !text.is_ascii() {
            return Err(ReceiptError);
        }
        let mut bytes = [0u8; BYTES];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let digits = &text[2 * i..2 * i + 2];
            if digits.starts_with('+') {
                return Err(ReceiptError);
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| ReceiptError)?;
        }
        let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let crc = u32::from_be_bytes(bytes[18..].try_into().expect("4 bytes"));
        if crc32c::crc32c(&bytes[..18]) != crc {
            return Err(ReceiptError);
        }
        Ok(Self {
            partition: PartitionId(word(0)),
            sequence: Sequence(word(8)),
            lease: u16::from_be_bytes([bytes[16], bytes[17]]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            partition: PartitionId(0xfeed),
            sequence: Sequence(1 << 41 | 5),
            lease: 65_535,
        }
    }

    #[test]
    fn reads_back_what_it_prints() {
        assert_eq!(receipt().to_string().parse(), Ok(receipt()));
    }

    #[test]
    fn any_changed_digit_is_refused() {
        let text = receipt().to_string();
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(other.parse::<Receipt>(), Err(ReceiptError), "{other}");
        }
        for bad in [
            "",
            "x",
            &text[1..],
            &format!("{text}0"),
            "ééééééééééééééééééééée",
        ] {
            assert_eq!(bad.parse::<Receipt>(), Err(ReceiptError), "{bad}");
        }
    }
}
