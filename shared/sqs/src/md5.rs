//! The MD5 sums with which SQS's clients check what was sent and received. They protect against bytes that
//! change on the way, and nobody takes them for more.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use shoal_types::Attribute;

const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// Of a body, as hex digits.
#[must_use]
pub fn md5_of_body(body: &[u8]) -> String {
    hex(&Md5::digest(body))
}

/// Of attributes, as hex digits; none if there are none.
///
/// By name: the lengths (32 bits, big-endian) and bytes of name and type, a byte that tells text from
/// bytes, length and bytes of the value.
#[must_use]
pub fn md5_of_attributes(attributes: &BTreeMap<String, Attribute>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut sum = Md5::new();
    for (name, attribute) in attributes {
        add(&mut sum, name, &attribute.kind, &attribute.value);
    }
    Some(hex(&sum.finalize()))
}

/// Of the one system attribute that can be sent.
pub(crate) fn md5_of_trace_header(value: &str) -> String {
    let mut sum = Md5::new();
    add(&mut sum, "AWSTraceHeader", "String", value.as_bytes());
    hex(&sum.finalize())
}

fn add(sum: &mut Md5, name: &str, kind: &str, value: &[u8]) {
    add_part(sum, name.as_bytes());
    add_part(sum, kind.as_bytes());
    let binary = kind.starts_with("Binary");
    sum.update([if binary { BINARY } else { TEXT }]);
    add_part(sum, value);
}

fn add_part(sum: &mut Md5, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("a part of a message is at most 1 MiB");
    sum.update(length.to_be_bytes());
    sum.update(part);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
