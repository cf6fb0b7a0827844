//! The one text that client and service make of a request, so that both sign the same.

use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::credential::{Carrier, Presented};
use super::{hex, incomplete, mismatch};
use crate::reading::decode_bytes;
use crate::{Incoming, SqsError};

/// Method, path, query string, signed headers and the body's hash, each in its one form.
pub(super) fn request(
    incoming: &Incoming<'_>,
    presented: &Presented,
    payload: &str,
) -> Result<Vec<u8>, SqsError> {
    let mut text = Vec::new();
    text.extend_from_slice(incoming.method.as_str().as_bytes());
    text.push(b'\n');
    text.extend_from_slice(path(incoming.path).as_bytes());
    text.push(b'\n');
    text.extend_from_slice(query(incoming.query, presented.carrier)?.as_bytes());
    text.push(b'\n');
    for name in &presented.signed_headers {
        add_header(&mut text, name, incoming.headers)?;
    }
    text.push(b'\n');
    text.extend_from_slice(presented.signed_headers.join(";").as_bytes());
    text.push(b'\n');
    text.extend_from_slice(payload.as_bytes());
    Ok(text)
}

/// What is signed: algorithm, time, scope and the request's hash.
pub(super) fn string_to_sign(presented: &Presented, request: &[u8]) -> String {
    let Presented {
        time_text,
        scope_date,
        region,
        service,
        ..
    } = presented;
    let hash = hex(&Sha256::digest(request));
    format!("AWS4-HMAC-SHA256\n{time_text}\n{scope_date}/{region}/{service}/aws4_request\n{hash}")
}

/// The path without empty parts and dots, and every part escaped once more than it came.
fn path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let ends_in_slash = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let mut text = String::with_capacity(path.len() + 1);
    for part in &parts {
        text.push('/');
        escape(&mut text, part.as_bytes());
    }
    if parts.is_empty() || ends_in_slash {
        text.push('/');
    }
    text
}

/// Names and values escaped in the one way and sorted, without the signature itself.
fn query(query: &str, carrier: Carrier) -> Result<String, SqsError> {
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if carrier != Carrier::Header && name == "X-Amz-Signature" {
            continue;
        }
        pairs.push((escaped_again(name)?, escaped_again(value)?));
    }
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Ok(pairs.join("&"))
}

fn escaped_again(text: &str) -> Result<String, SqsError> {
    let bytes = decode_bytes(text)
        .ok_or_else(|| incomplete("A % in the query string is not followed by two hex digits."))?;
    let mut escaped = String::with_capacity(text.len());
    escape(&mut escaped, &bytes);
    Ok(escaped)
}

/// Escapes all but letters, digits and `-._~`, with hex digits in upper case.
fn escape(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// `name:value,value…`, each value without spaces around it and with single ones within.
fn add_header(text: &mut Vec<u8>, name: &str, headers: &HeaderMap) -> Result<(), SqsError> {
    if !headers.contains_key(name) {
        return Err(mismatch(format!(
            "The signed header {name} is not in the request."
        )));
    }
    text.extend_from_slice(name.as_bytes());
    for (i, value) in headers.get_all(name).iter().enumerate() {
        text.push(if i == 0 { b':' } else { b',' });
        let words = value
            .as_bytes()
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        for (i, word) in words.enumerate() {
            if i > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(word);
        }
    }
    text.push(b'\n');
    Ok(())
}
